/* upload.c - bodies made piece by piece while they are sent: no memory, and any size.
   cc upload.c -lbearssl -lpthread -o upload
   ./upload http://127.0.0.1:8080 */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>
#include <string.h>

/* The bytes from `offset` on. Asked from 0 again when the request is tried again. */
static int64_t read_zeros(uint64_t offset, void *out, size_t room, void *user_data) {
    uint64_t left = *(const uint64_t *)user_data - offset;
    size_t n = left < room ? (size_t)left : room;
    memset(out, '0', n);
    return (int64_t)n;
}

int main(int argc, char **argv) {
    char url[256];
    uint64_t sizes[] = {1000, 2000000};
    sparp_request requests[2] = {0};
    snprintf(url, sizeof url, "%s/digest", argc > 1 ? argv[1] : "http://127.0.0.1:8080");
    for (int i = 0; i < 2; i++) {
        requests[i].url = url;
        requests[i].read_body = read_zeros;
        requests[i].user_data = &sizes[i];
    }
    requests[1].body_size = 2000000;    /* known: Content-Length; the other one is sent chunked */

    sparp_options options = {0};
    options.requests = requests;
    options.num_requests = 2;
    sparp_results results = sparp_run_all(&options);
    for (size_t i = 0; i < results.count; i++)
        printf("%d %s\n", results.items[i].status, results.items[i].body);
    sparp_results_free(&results);
    return 0;
}

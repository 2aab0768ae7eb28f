/* download.c - bodies go to files as they come, and never lie in memory whole.
   cc download.c -lbearssl -lpthread -o download
   ./download http://127.0.0.1:8080 */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>

typedef struct download {
    FILE *file;
    unsigned long long size;
} download;

/* `offset` is 0 again when the request is tried again: what came before does not count. */
static sparp_flow on_body(const sparp_result *head, uint64_t offset, const void *data,
                          size_t size, void *user_data) {
    download *d = (download *)head->user_data;
    (void)user_data;
    if (offset == 0) {
        rewind(d->file);
        d->size = 0;
    }
    d->size += size;
    return fwrite(data, 1, size, d->file) == size ? SPARP_FLOW_ON : SPARP_FLOW_FAILED;
}

int main(int argc, char **argv) {
    const char *base = argc > 1 ? argv[1] : "http://127.0.0.1:8080";
    static const unsigned sizes[] = {100, 100000, 10000000};
    enum { N = sizeof sizes / sizeof sizes[0] };
    char urls[N][256];
    download downloads[N] = {{0}};
    sparp_request requests[N] = {0};
    for (int i = 0; i < N; i++) {
        snprintf(urls[i], sizeof urls[i], "%s/bytes/%u", base, sizes[i]);
        requests[i].url = urls[i];
        requests[i].user_data = &downloads[i];
        if ((downloads[i].file = tmpfile()) == NULL)
            return 1;
    }

    sparp_options options = {0};
    options.requests = requests;
    options.num_requests = N;
    options.on_body = on_body;
    sparp_results results = sparp_run_all(&options);
    for (size_t i = 0; i < results.count; i++) {
        const sparp_result *r = &results.items[i];
        printf("%s: %d, %llu bytes\n", sparp_outcome_name(r->outcome), r->status,
               downloads[i].size);
        fclose(downloads[i].file);
    }
    sparp_results_free(&results);
    return 0;
}

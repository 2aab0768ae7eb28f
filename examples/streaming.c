/* streaming.c - results one by one, the quick ones first, in a loop of your own.
   cc streaming.c -lbearssl -lpthread -o streaming
   ./streaming http://127.0.0.1:8080 */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>

int main(int argc, char **argv) {
    const char *base = argc > 1 ? argv[1] : "http://127.0.0.1:8080";
    enum { N = 4 };
    char urls[N][256];
    sparp_request requests[N] = {0};
    for (int i = 0; i < N; i++) {
        snprintf(urls[i], sizeof urls[i], "%s/delay/%d", base, 200 * (N - i));
        requests[i].url = urls[i];
    }

    sparp_options options = {0};
    options.requests = requests;
    options.num_requests = N;

    sparp_error error;
    sparp *run = sparp_open(&options, &error);
    if (run == NULL) {
        fprintf(stderr, "no run: %s\n", sparp_error_text(error));
        return 1;
    }
    const sparp_result *result;              /* valid until the next sparp_next() */
    while ((result = sparp_next(run)) != NULL) {
        printf("request %d: status %d\n", (int)result->index, result->status);
        if (result->index == 1)
            break;                           /* seen enough: sparp_close() ends the others */
    }
    sparp_close(run);
    return 0;
}

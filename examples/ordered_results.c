/* ordered_results.c - results in the order of the requests, however late one of them comes.
   cc ordered_results.c -lbearssl -lpthread -o ordered_results
   ./ordered_results http://127.0.0.1:8080 */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>

int main(int argc, char **argv) {
    const char *base = argc > 1 ? argv[1] : "http://127.0.0.1:8080";
    enum { N = 6 };
    char urls[N][256];
    sparp_request requests[N] = {0};
    for (int i = 0; i < N; i++) {            /* the first ones take longest */
        snprintf(urls[i], sizeof urls[i], "%s/delay/%d", base, 50 * (N - i));
        requests[i].url = urls[i];
    }

    sparp_options options = {0};
    options.requests = requests;
    options.num_requests = N;

    sparp_results results = sparp_run_all(&options);
    for (size_t i = 0; i < results.count; i++)
        printf("%d: %s\n", (int)results.items[i].index, results.items[i].url);
    sparp_results_free(&results);            /* the strings of the results go with it */
    return 0;
}

/* throttling.c - never more than so many requests per second, evenly spaced.
   cc throttling.c -lbearssl -lpthread -o throttling
   ./throttling http://127.0.0.1:8080 */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>

int main(int argc, char **argv) {
    const char *base = argc > 1 ? argv[1] : "http://127.0.0.1:8080";
    enum { N = 21 };
    char urls[N][256];
    sparp_request requests[N] = {0};
    for (int i = 0; i < N; i++) {
        snprintf(urls[i], sizeof urls[i], "%s/items/%d", base, i);
        requests[i].url = urls[i];
    }

    sparp_options options = {0};
    options.requests = requests;
    options.num_requests = N;
    options.max_at_once = 5;
    options.max_per_second = 40;             /* 0.2 is fine as well: one each five seconds */

    sparp_stats stats;
    sparp_run_each(&options, &stats);

    /* The first starts at once, each of the other 20 a 40th of a second after the one before. */
    double least_s = 20 / 40.0, took_s = (double)stats.elapsed_us / 1e6;
    printf("%d requests at 40 per second take at least %.1f s: %s\n", (int)stats.success, least_s,
           took_s >= least_s ? "so they did" : "but they did not");
    return 0;
}

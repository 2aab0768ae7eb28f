/* stop_conditions.c - end a run early, and know what became of each request all the same.
   cc stop_conditions.c -lbearssl -lpthread -o stop_conditions
   ./stop_conditions http://127.0.0.1:8080 */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>

static void show(const char *title, const sparp_options *options) {
    sparp_results results = sparp_run_all(options);
    printf("%s\n", title);
    for (size_t i = 0; i < results.count; i++)
        printf("  %d %s\n", (int)i, sparp_outcome_name(results.items[i].outcome));
    printf("  stopped early: %s\n", results.stats.stopped == SPARP_STOPPED_NOT ? "no" : "yes");
    sparp_results_free(&results);
}

int main(int argc, char **argv) {
    const char *base = argc > 1 ? argv[1] : "http://127.0.0.1:8080";
    const char *paths[] = { "/items/0", "/items/1", "/status/404", "/items/3", "/items/4" };
    enum { N = sizeof paths / sizeof paths[0] };
    char urls[N][256];
    sparp_request requests[N] = {0};
    for (int i = 0; i < N; i++) {
        snprintf(urls[i], sizeof urls[i], "%s%s", base, paths[i]);
        requests[i].url = urls[i];
    }

    sparp_options options = {0};
    options.requests = requests;
    options.num_requests = N;
    options.max_at_once = 1;                 /* one after the other, to know what comes first */
    show("no rule:", &options);

    options.stop_on = SPARP_STOP_ON_HARD_FAIL;
    show("stop on a hard fail:", &options);

    options.stop_on = 0;
    options.stop_after_successes = 3;
    show("stop after three successes:", &options);
    return 0;
}

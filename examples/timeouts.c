/* timeouts.c - bound a try, a request with all its tries, and the whole run.
   cc timeouts.c -lbearssl -lpthread -o timeouts
   ./timeouts http://127.0.0.1:8080

   A clock starts when the request is really sent: waiting for its turn costs it nothing. */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>

int main(int argc, char **argv) {
    const char *base = argc > 1 ? argv[1] : "http://127.0.0.1:8080";
    const char *paths[] = {
        "/delay/50",                             /* in time */
        "/slow-then-fast/timeouts/1/5000",       /* too slow at first, then in time */
        "/delay/5000",                           /* too slow, whenever it is tried */
        "/delay/900",                            /* slow, but it is given more time */
        "/status/503"                            /* busy for ever, so it gets a deadline */
    };
    enum { N = sizeof paths / sizeof paths[0] };
    char urls[N][256];
    sparp_request requests[N] = {0};
    for (int i = 0; i < N; i++) {
        snprintf(urls[i], sizeof urls[i], "%s%s", base, paths[i]);
        requests[i].url = urls[i];
    }
    requests[3].timeout_s = 10;                  /* goes before the run's own */
    requests[4].deadline_s = 0.5;                /* all its tries and the pauses between them */

    sparp_options options = {0};
    options.requests = requests;
    options.num_requests = N;
    options.timeout_s = 0.4;                     /* one try */
    options.run_deadline_s = 15;                 /* everything */
    options.max_retries_by_timeout = 1;
    options.backoff_s = 0.05;

    sparp_results results = sparp_run_all(&options);
    for (size_t i = 0; i < results.count; i++) {
        const sparp_result *r = &results.items[i];
        printf("%-31s %s, %d timeouts", paths[i], sparp_outcome_name(r->outcome),
               r->timeout_retries + (r->outcome == SPARP_OUTCOME_TIMEOUT_EXHAUSTED));
        if (r->error == SPARP_E_TIMEOUT)
            printf(", the last one waiting for: %s", sparp_phase_name(r->phase));
        printf("\n");
    }
    sparp_results_free(&results);
    return 0;
}

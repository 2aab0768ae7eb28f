/* retry_exhaustion.c - what is tried again, how often, and how it ends when that was in vain.
   cc retry_exhaustion.c -lbearssl -lpthread -o retry_exhaustion
   ./retry_exhaustion http://127.0.0.1:8080

   N retries are N + 1 tries. Each kind of failure has its own count. */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>

int main(int argc, char **argv) {
    const char *base = argc > 1 ? argv[1] : "http://127.0.0.1:8080";
    const char *paths[] = {
        "/status/503",                       /* a soft fail, every time */
        "/flaky/exhaustion/1",               /* a soft fail the first time */
        "/hang",                             /* no answer at all */
        "/rst",                              /* the connection breaks */
        "/status/403"                        /* a hard fail: not tried again */
    };
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
    options.timeout_s = 0.5;
    options.max_retries_by_soft_fail = 3;
    options.max_retries_by_timeout = 1;
    options.max_retries_by_transport = SPARP_NONE;     /* 0 would mean the default */
    options.backoff_s = 0.01;

    sparp_results results = sparp_run_all(&options);
    for (size_t i = 0; i < results.count; i++) {
        const sparp_result *r = &results.items[i];
        printf("%-19s %-17s tries %d, status %d, %s\n", paths[i], sparp_outcome_name(r->outcome),
               r->attempts, r->status, sparp_error_text(r->error));
    }
    sparp_results_free(&results);
    return 0;
}

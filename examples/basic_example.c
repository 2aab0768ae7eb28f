/* basic_example.c - some requests, an opinion about the answers, all results at the end.
   cc basic_example.c -lbearssl -lpthread -o basic_example
   ./basic_example http://127.0.0.1:8080 */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>

/* Asked about every response. sparp_default_inspect() is what you get without one of your own. */
static sparp_verdict inspect(const sparp_result *response, void *user_data) {
    (void)user_data;
    if (response->status == 200)
        return SPARP_SUCCESS;
    if (response->status == 429 || response->status == 503)
        return SPARP_SOFT_FAIL;              /* try again, a little later */
    return SPARP_HARD_FAIL;                  /* trying again will not help */
}

int main(int argc, char **argv) {
    const char *base = argc > 1 ? argv[1] : "http://127.0.0.1:8080";
    const char *paths[] = { "/items/1", "/items/2", "/flaky/basic/1", "/status/404", "/items/3" };
    enum { N = sizeof paths / sizeof paths[0] };
    char urls[N][256];
    sparp_request requests[N] = {0};         /* zero means the default, in every struct */
    for (int i = 0; i < N; i++) {
        snprintf(urls[i], sizeof urls[i], "%s%s", base, paths[i]);
        requests[i].url = urls[i];
    }

    sparp_options options = {0};
    options.requests = requests;
    options.num_requests = N;
    options.max_at_once = 10;
    options.inspect = inspect;
    options.backoff_s = 0.05;                /* the first pause before another try */

    sparp_results results = sparp_run_all(&options);
    if (results.error != SPARP_E_OK)
        fprintf(stderr, "no run: %s\n", sparp_error_text(results.error));
    for (size_t i = 0; i < results.count; i++) {
        const sparp_result *r = &results.items[i];
        printf("%-15s %-9s %d after %d tries: %s\n", paths[i], sparp_outcome_name(r->outcome),
               r->status, r->attempts, r->body);
    }
    printf("%d succeeded, %d failed\n", (int)results.stats.success, (int)results.stats.hard_fail);
    sparp_results_free(&results);
    return 0;
}

/* first_result.c - ask several servers the same thing and take the first good answer.
   cc first_result.c -lbearssl -lpthread -o first_result
   ./first_result http://127.0.0.1:8080 */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>

int main(int argc, char **argv) {
    const char *base = argc > 1 ? argv[1] : "http://127.0.0.1:8080";
    const char *paths[] = { "/delay/5000", "/status/404", "/delay/100", "/hang" };
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

    /* One result if there was a success, else all of them with their reasons. */
    sparp_results results = sparp_run_any(&options);
    if (results.count == 1 && results.items[0].outcome == SPARP_OUTCOME_SUCCESS)
        printf("the first was %s\n", paths[results.items[0].index]);
    else
        printf("none of them answered\n");
    printf("%d failed, %d were cancelled\n", (int)results.stats.hard_fail,
           (int)results.stats.cancelled);
    sparp_results_free(&results);
    return 0;
}

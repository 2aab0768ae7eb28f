/* callbacks.c - be told of results, of tries that failed, and of the progress.
   cc callbacks.c -lbearssl -lpthread -o callbacks
   ./callbacks http://127.0.0.1:8080

   All callbacks are called on your own thread, one at a time: no locks needed. */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>

static const char *paths[] = { "/items/1", "/flaky/callbacks/2", "/status/404" };
enum { N = sizeof paths / sizeof paths[0] };

static void on_result(sparp *run, const sparp_result *result, void *user_data) {
    (void)run, (void)user_data;
    printf("%s ended: %s, status %d\n", paths[result->index],
           sparp_outcome_name(result->outcome), result->status);
}

/* The try has failed and will be repeated after wait_s seconds. */
static void on_retry(sparp *run, const sparp_result *attempt, double wait_s, void *user_data) {
    (void)run, (void)user_data;
    printf("%s will be tried again: try %d got %d%s\n", paths[attempt->index], attempt->attempts,
           attempt->status, wait_s < 2 ? "" : ", in a long while");
}

/* sparp_progress_bar() is one of these, ready to use. */
static void on_progress(sparp *run, const sparp_stats *stats, void *user_data) {
    (void)run;
    *(sparp_stats *)user_data = *stats;
}

int main(int argc, char **argv) {
    const char *base = argc > 1 ? argv[1] : "http://127.0.0.1:8080";
    char urls[N][256];
    sparp_request requests[N] = {0};
    sparp_stats last = {0};
    for (int i = 0; i < N; i++) {
        snprintf(urls[i], sizeof urls[i], "%s%s", base, paths[i]);
        requests[i].url = urls[i];
    }

    sparp_options options = {0};
    options.requests = requests;
    options.num_requests = N;
    options.max_at_once = 1;
    options.backoff_s = 0.2;
    options.on_result = on_result;
    options.on_retry = on_retry;
    options.on_progress = on_progress;
    options.user_data = &last;
    sparp_run_each(&options, NULL);
    printf("progress: %d of %d succeeded\n", (int)last.success, (int)last.input_size);
    return 0;
}

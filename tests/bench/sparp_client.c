/* sparp_client.c - the library in the benchmark. See client.h for the command line.
   --mode each (default): a generator and a callback; all: an array and sparp_run_all().
   --workers N: that many threads for I/O. */
#define _GNU_SOURCE
#define SPARP_IMPLEMENTATION
#include "sparp.h"
#include "client.h"

#include <poll.h>
#include <time.h>

struct run {
    struct client *c;
    char           url[512];
    bool           resting;
};

static sparp_input next_request(sparp_request *out, void *user_data) {
    struct run *run = (struct run *)user_data;
    if (run->c->asked == run->c->requests)
        return run->c->rest_s > 0 && !run->resting ? SPARP_INPUT_LATER : SPARP_INPUT_END;
    make_url(run->c, run->c->asked++, run->url);
    out->url = run->url;
    return SPARP_INPUT_READY;
}

static void on_result(sparp *handle, const sparp_result *r, void *user_data) {
    struct client *c = ((struct run *)user_data)->c;
    (void)handle;
    if (is_good(c, r->status, r->body_size))
        count_good(c);
    else if (c->good + 1 >= c->asked - c->at_once)
        fprintf(stderr, "%s: %d %s %s\n", r->url, r->status, sparp_error_name(r->error), r->detail);
}

static void count(struct client *c, const sparp_stats *stats) {
    c->connects = (long)stats->connects;
    c->full = (long)stats->tls_full;
    c->resumed = (long)stats->tls_resumed;
}

/* Everything sent and answered, every connection open: how much that is, and what it costs. */
static void rest(sparp *handle, struct run *run) {
    struct timespec begin, now;
    long before;
    while (sparp_get_stats(handle).success < (uint64_t)run->c->requests)
        sparp_step(handle, 100);
    before = cpu_us();
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        struct pollfd fd = {sparp_poll_fd(handle), POLLIN, 0};
        int wait = sparp_wait_ms(handle);
        poll(&fd, 1, wait < 0 || wait > 100 ? 100 : wait);
        sparp_step(handle, 0);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - begin.tv_sec < run->c->rest_s);
    run->c->rest_us = cpu_us() - before;
    run->c->rest_kb = memory_kb();
    run->resting = true;
    sparp_wake(handle);
}

static void run_each(struct client *c, sparp_options *options) {
    struct run run = {c, "", false};
    sparp_error error;
    options->next_request = next_request;
    options->on_result = on_result;
    options->user_data = &run;
    sparp *handle = sparp_open(options, &error);
    if (handle == NULL)
        die(sparp_error_text(error));
    if (c->rest_s > 0)
        rest(handle, &run);
    while (sparp_step(handle, -1))
        continue;
    sparp_stats stats = sparp_get_stats(handle);
    count(c, &stats);
    sparp_close(handle);
}

static void run_all(struct client *c, sparp_options *options) {
    size_t n = (size_t)c->requests, room = strlen(c->url) + 24;
    sparp_request *requests = (sparp_request *)calloc(n, sizeof *requests);
    char *urls = (char *)malloc(n * room);
    if (requests == NULL || urls == NULL)
        die("memory");
    for (size_t i = 0; i < n; i++) {
        make_url(c, (long)i, urls + i * room);
        requests[i].url = urls + i * room;
    }
    options->requests = requests;
    options->num_requests = n;
    sparp_results results = sparp_run_all(options);
    for (size_t i = 0; i < results.count; i++)
        c->good += is_good(c, results.items[i].status, results.items[i].body_size);
    count(c, &results.stats);
    sparp_results_free(&results);
    free(urls);
    free(requests);
}

int main(int argc, char **argv) {
    struct client c = parse_arguments(argc, argv);
    sparp_options options = {0};
    options.max_at_once = (int)c.at_once;
    options.workers = (int)c.workers;
    options.tls.ca_file = c.ca;
    if (c.mode != NULL && strcmp(c.mode, "all") == 0)
        run_all(&c, &options);
    else
        run_each(&c, &options);
    return report(&c);
}

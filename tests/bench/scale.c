/* scale.c - what grows and what does not, over the network of network.h: the library's own work,
   with no kernel and no server in it. 100 at once, 120 bytes of JSON each.

   usage: scale kept|new N REQUESTS          in turn from N origins, over kept connections or new
          scale asleep|parked N REQUESTS     while N others pause, or wait at a closed gate
          scale retries N REQUESTS           each a retry; N requests that never succeed take turns
          scale long N REQUESTS              in turn from N origins, and the memory

   Prints one line:   CPU_NS_PER_REQUEST KIB_AT_A_TENTH KIB_AT_THE_END
   What comes first is not counted: each origin's first request, or what brings the N to wait. */
#include "network.h"

static struct scale {
    const char *what;
    long        n, before, wanted;       /* others; requests that do not count, and in all */
    long        asked, ended, good;
    int64_t     begin_ns, end_ns;
    long        tenth_kib, end_kib;
    sparp_stats stats;                   /* when all had ended */
    sparp      *run;
    char        url[64];
} scale;

static bool is(const char *what) {
    return strcmp(scale.what, what) == 0;
}

static int64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Pages of its own that it has written to, exactly. (The kernel's peak is only good to 256 KiB, and
   has the pages of programs and libraries, too.) 0: it does not say. */
static long own_kib(void) {
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    char line[200];
    long kib = 0;
    while (file != NULL && kib == 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "Private_Dirty:", 14) == 0)
            kib = atol(line + 14);
    if (file != NULL)
        fclose(file);
    return kib;
}

/* One more has ended, or is to be sent again. */
static void count(void) {
    scale.ended++;
    if (scale.ended == scale.before)
        scale.begin_ns = cpu_ns();
    if (scale.ended == scale.wanted / 10)
        scale.tenth_kib = own_kib();
    if (scale.ended == scale.wanted) {
        scale.end_ns = cpu_ns();
        scale.end_kib = own_kib();
        scale.stats = sparp_get_stats(scale.run);
        sparp_stop(scale.run);
    }
}

/* An address for each origin, without the cost of printf. */
static void make_url(long origin, const char *path) {
    char *to = scale.url;
    memcpy(to, "http://10.", 10);
    to += 10;
    for (int shift = 16; shift >= 0; shift -= 8) {
        long part = origin >> shift & 255;
        if (part >= 100)
            *to++ = (char)('0' + part / 100);
        if (part >= 10)
            *to++ = (char)('0' + part / 10 % 10);
        *to++ = (char)('0' + part % 10);
        *to++ = shift > 0 ? '.' : '/';
    }
    strcpy(to, path);
}

static sparp_input next_request(sparp_request *out, void *user_data) {
    (void)user_data;
    long i = scale.asked;
    if (is("retries") ? i == scale.n : i == scale.wanted + 100000)
        return SPARP_INPUT_END;
    scale.asked++;
    if (is("kept") || is("long"))
        make_url(i % scale.n, "items/12345");
    else if (is("new"))
        make_url(i % scale.n, "close");
    else if (is("retries"))
        make_url(0, "fail");
    else if (i < scale.n)
        make_url(1, is("parked") ? "gate" : "fail");
    else
        make_url(0, "items/12345");
    out->url = scale.url;
    return SPARP_INPUT_READY;
}

static void on_result(sparp *run, const sparp_result *result, void *user_data) {
    (void)run;
    (void)user_data;
    if (scale.ended == scale.wanted)
        return;
    scale.good += result->status == 200 && result->body_size == 120;
    count();
}

static void on_retry(sparp *run, const sparp_result *attempt, double wait_s, void *user_data) {
    (void)run, (void)attempt, (void)wait_s, (void)user_data;
    if (is("retries") && scale.ended < scale.wanted) {
        scale.good++;
        count();
    }
}

/* The numbers that must be so if all went as it is meant to. */
static bool as_meant(void) {
    const sparp_stats *stats = &scale.stats;
    if (is("retries"))
        return stats->soft_retries >= (uint64_t)scale.wanted - 100 && stats->success == 0;
    if (is("asleep"))
        return stats->soft_fails == (uint64_t)scale.n && stats->waiting >= (uint64_t)scale.n;
    if (is("parked"))
        return stats->soft_fails > 0 && stats->waiting >= (uint64_t)scale.n;
    return is("new") ? stats->reuses == 0 : true;
}

int main(int argc, char **argv) {
    static const char *const whats[] = {"kept", "new", "asleep", "parked", "retries", "long"};
    sparp_options options = {0};
    sparp_error error;
    bool known = false;
    scale.what = argc == 4 ? argv[1] : "";
    for (size_t i = 0; i < sizeof whats / sizeof *whats; i++)
        known |= is(whats[i]);
    if (!known || (scale.n = atol(argv[2])) < 1 || (scale.wanted = atol(argv[3])) < 1) {
        fprintf(stderr, "usage: scale kept|new|asleep|parked|retries|long N REQUESTS\n");
        return 2;
    }
    scale.before = is("long") ? 1 : scale.n < 1000 ? 1000 : scale.n;
    scale.wanted += scale.before;
    options.next_request = next_request;
    options.on_result = on_result;
    options.on_retry = on_retry;
    options.max_at_once = 100;
    options.random_seed = 1;
    options.max_retries_by_soft_fail = 1000000000;
    options.backoff_s = options.backoff_max_s = is("retries") ? 1 : 100000;
    scale.run = sparp_open(&options, &error);
    if (scale.run == NULL) {
        fprintf(stderr, "%s\n", sparp_error_text(error));
        return 1;
    }
    while (sparp_step(scale.run, -1))
        continue;
    if (scale.good != scale.wanted || !as_meant()) {
        fprintf(stderr, "%ld good answers to %ld requests, or others did not wait\n", scale.good,
                scale.wanted);
        return 1;
    }
    printf("%.1f %ld %ld\n", (double)(scale.end_ns - scale.begin_ns)
           / (double)(scale.wanted - scale.before), scale.tenth_kib, scale.end_kib);
    sparp_close(scale.run);
    return 0;
}

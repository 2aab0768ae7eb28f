/* One run on the network of fakenet.h, as a test writes it down; what its callbacks saw; and what
   must be true of every run.

   Included after fakenet.h and sparp.h:

       static void test_a_soft_fail_is_tried_again(void **state) {
           (void)state;
           net_answer("/a", 0.01, NET_503);
           net_answer("/a", 0.01, NET_200);
           options.backoff_s = 2;
           get("http://10.0.0.1/a");
           sparp_stats stats = run();
           assert_outcome(0, SPARP_OUTCOME_SUCCESS);
           assert_int_equal(seen.results[0].soft_retries, 1);
       }

       ... SEEN_TEST(test_a_soft_fail_is_tried_again), ...     in the table of main()

   run() has checked by then that the numbers add up at every moment, that every index came
   exactly once, and that neither memory nor a descriptor is left. */
#ifndef TESTS_SEEN_H
#define TESTS_SEEN_H

#ifndef SEEN_MAX
#define SEEN_MAX 1100
#endif
#define SEEN_BODY 64

typedef struct seen_retry {
    uint64_t    index;
    double      wait_s, at;             /* the pause; when it began */
    int         status, made;           /* retries made before, of whatever kind */
    sparp_error error;
    sparp_phase phase;
} seen_retry;

static struct seen {
    sparp_result results[SEEN_MAX];     /* by index; what they point at has gone */
    int          times[SEEN_MAX];
    double       at[SEEN_MAX];          /* when each ended */
    char         bodies[SEEN_MAX][SEEN_BODY];
    uint64_t     order[SEEN_MAX];       /* of their ends */
    size_t       count;
    seen_retry   retries[SEEN_MAX];
    size_t       num_retries;
    sparp_error  error;                 /* what sparp_run_each() returned */
    test_memory  memory;
    void       (*on_result)(sparp *run, const sparp_result *result);
    void       (*on_retry)(sparp *run, const sparp_result *attempt);
} seen;

static char details[SEEN_MAX][200];     /* of the results, by index */

static inline uint64_t seen_outcomes(const sparp_stats *s) {
    return s->success + s->hard_fail + s->soft_exhausted + s->timeout_exhausted
        + s->transport_failed + s->local_failed + s->cancelled + s->not_started;
}

static inline void seen_keep(const sparp_result *result) {
    CHECK(result->index < SEEN_MAX, "%s: index %lu", net.label, (unsigned long)result->index);
    size_t i = (size_t)result->index;
    size_t size = result->body_size < SEEN_BODY - 1 ? result->body_size : SEEN_BODY - 1;
    CHECK(seen.times[i]++ == 0, "%s: request %lu ended twice", net.label, (unsigned long)i);
    assert_non_null(result->detail);
    assert_int_equal(result->body[result->body_size], '\0');
    seen.results[i] = *result;
    seen.at[i] = net_now();
    memcpy(seen.bodies[i], result->body, size);
    snprintf(details[i], sizeof details[i], "%s", result->detail);
    seen.order[seen.count++] = i;
}

static inline void seen_check_moment(sparp *run) {
    sparp_stats s = sparp_get_stats(run);
    CHECK(s.pulled == s.in_flight + s.waiting + seen_outcomes(&s), "%s: pulled %lu", net.label,
          (unsigned long)s.pulled);
}

static inline void seen_on_result(sparp *run, const sparp_result *result, void *user_data) {
    (void)user_data;
    seen_check_moment(run);
    seen_keep(result);
    if (seen.on_result != NULL)
        seen.on_result(run, result);
}

static inline void seen_on_retry(sparp *run, const sparp_result *attempt, double wait_s,
                                 void *user_data) {
    seen_retry *retry = &seen.retries[seen.num_retries < SEEN_MAX ? seen.num_retries++ : 0];
    (void)user_data;
    retry->index = attempt->index;
    retry->wait_s = wait_s;
    retry->at = net_now();
    retry->status = attempt->status;
    retry->error = attempt->error;
    retry->phase = attempt->phase;
    retry->made = attempt->soft_retries + attempt->timeout_retries + attempt->transport_retries;
    if (seen.on_retry != NULL)
        seen.on_retry(run, attempt);
}

/* The numbers at the end of a run, against the results that were seen. */
static inline void seen_check_end(const sparp_stats *s) {
    uint64_t by_outcome[SPARP_OUTCOME_COUNT] = {0};
    uint64_t soft = 0, timeout = 0, transport = 0, replays = 0;
    CHECK(s->pulled == seen_outcomes(s), "%s: %lu pulled", net.label, (unsigned long)s->pulled);
    CHECK(s->in_flight == 0 && s->waiting == 0, "%s: some are under way", net.label);
    CHECK(seen.count == s->pulled, "%s: %lu results of %lu", net.label,
          (unsigned long)seen.count, (unsigned long)s->pulled);
    for (size_t i = 0; i < seen.count; i++) {
        const sparp_result *r = &seen.results[i];
        CHECK(seen.times[i] == 1, "%s: request %lu has no end", net.label, (unsigned long)i);
        by_outcome[r->outcome]++;
        soft += (uint64_t)r->soft_retries;
        timeout += (uint64_t)r->timeout_retries;
        transport += (uint64_t)r->transport_retries;
        replays += (uint64_t)r->replays;
    }
    assert_int_equal(by_outcome[SPARP_OUTCOME_SUCCESS], s->success);
    assert_int_equal(by_outcome[SPARP_OUTCOME_HARD_FAIL], s->hard_fail);
    assert_int_equal(by_outcome[SPARP_OUTCOME_SOFT_EXHAUSTED], s->soft_exhausted);
    assert_int_equal(by_outcome[SPARP_OUTCOME_TIMEOUT_EXHAUSTED], s->timeout_exhausted);
    assert_int_equal(by_outcome[SPARP_OUTCOME_TRANSPORT_FAILED], s->transport_failed);
    assert_int_equal(by_outcome[SPARP_OUTCOME_LOCAL_FAILED], s->local_failed);
    assert_int_equal(by_outcome[SPARP_OUTCOME_CANCELLED], s->cancelled);
    assert_int_equal(by_outcome[SPARP_OUTCOME_NOT_STARTED], s->not_started);
    CHECK(soft == s->soft_retries && timeout == s->timeout_retries
          && transport == s->transport_retries && replays == s->replays, "%s: retries", net.label);
}

static inline void seen_begin(void) {
    memset(&seen, 0, sizeof seen);
}

static inline void seen_options(sparp_options *options) {
    options->on_result = seen_on_result;
    options->on_retry = seen_on_retry;
    options->allocator.func = test_memory_func;
    options->allocator.user_data = &seen.memory;
    if (options->random_seed == 0)
        options->random_seed = 1;
}

static inline void seen_check_clean(void) {
    net_end();
    CHECK(test_memory_clean(&seen.memory), "%s: %lu blocks left", net.label,
          (unsigned long)seen.memory.blocks);
}

static inline sparp_stats seen_run(sparp_options *options) {
    sparp_stats stats;
    seen_options(options);
    seen.error = sparp_run_each(options, &stats);
    seen_check_end(&stats);
    seen_check_clean();
    return stats;
}

/* --- one run, as a test writes it down ---------------------------------------------------- */

static sparp_options options;
static sparp_request requests[SEEN_MAX];
static size_t num_requests;
static void (*seen_prepare)(void);      /* what else a file of tests sets back, or NULL */

/* Nothing seen, nothing asked for, and a fresh network; the options stay. */
static inline void again(void) {
    net_begin();
    seen_begin();
    memset(requests, 0, sizeof requests);
    num_requests = 0;
    options.requests = NULL;
    options.num_requests = 0;
    if (seen_prepare != NULL)
        seen_prepare();
}

static inline int seen_setup(void **state) {
    test_setup(state);
    memset(&options, 0, sizeof options);
    again();
    return 0;
}

#define SEEN_TEST(function) \
    cmocka_unit_test_setup_teardown(function, seen_setup, test_teardown)

static inline sparp_request *ask(const char *method, const char *url) {
    assert_true(num_requests < SEEN_MAX);
    sparp_request *r = &requests[num_requests++];
    r->method = method;
    r->url = url;
    return r;
}

static inline sparp_request *get(const char *url) {
    return ask("GET", url);
}

static inline void get_many(size_t count, const char *url) {
    for (size_t i = 0; i < count; i++)
        get(url);
}

/* All that was asked for, for a test that opens the run itself. */
static inline void seen_fill(void) {
    options.requests = requests;
    options.num_requests = num_requests;
    seen_options(&options);
}

/* A run whose results are to be taken by sparp_ready() or sparp_next(). */
static inline sparp *seen_open(void) {
    seen_fill();
    options.on_result = NULL;
    return sparp_open(&options, &seen.error);
}

static inline sparp_stats run(void) {
    seen_fill();
    return seen_run(&options);
}

static inline void assert_near(double seconds, double expected, double tolerance) {
    CHECK(seconds >= expected - tolerance && seconds <= expected + tolerance,
          "%s: %.6f s, expected %.6f", net.label, seconds, expected);
}

static inline void assert_outcome(size_t index, sparp_outcome outcome) {
    CHECK(seen.times[index] == 1 && seen.results[index].outcome == outcome,
          "%s: request %lu: %s (%s: %s), expected %s", net.label, (unsigned long)index,
          sparp_outcome_name(seen.results[index].outcome),
          sparp_error_name(seen.results[index].error), details[index],
          sparp_outcome_name(outcome));
}

#endif

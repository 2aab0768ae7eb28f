/* What the callbacks of a run saw, and what must be true of every run.

   Included after sparp.h and fakenet.h:

       sparp_stats stats = seen_run(&options);
       seen.results[3].attempts ...

   seen_run() has checked by then that the numbers add up at every moment, that every index came
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

#endif

/* The whole engine on a scripted clock and a network inside the process: see ../fakenet.h.

   sparp is the union of five older libraries, and each thing that one could rely on there (or trip
   over) has an id: the library's letter and a number. S is SPARP, P Patata, G FastGET, Z
   zConcurrent, M aiometer. The ids stand in the names of tests here, and two in ../e2e/workers.c.
   Which test shows what became of each:

   S01 everything per request   test_S01_everything_can_be_said_per_request
   S02 verdict on the head      test_S02_a_verdict_needs_only_the_head, _may_need_the_body
   S03 junk verdicts            test_S03_a_junk_verdict_is_a_hard_fail
   S04 bodies of soft fails     test_S04_the_body_of_a_soft_fail_is_not_kept, _is_not_even_read
   S05 raw headers              test_S05_headers_keep_order_and_duplicates
   S06 bodies not wanted        test_S06_discarded_bodies_are_read_and_not_kept
   S07 retries and slots        test_S07_a_sleeping_request_holds_no_slot
   S08 no hidden cap            test_S08_there_is_no_hidden_cap
   S09 independent limits       test_S09_the_three_limits_are_independent
   S10 N retries, N+1 tries     test_S10_n_retries_are_n_plus_1_attempts
   S11 pauses                   test_S11_...: doubling, jitter, none, Retry-After, its cap
   S12 timeouts by phase        test_S12_a_timeout_names_its_phase, _a_kernel_timeout_...
   S13 what is sent twice       test_S13_what_may_be_sent_twice, _what_never_left_us_is_safe
   S14 errors end no run        test_S14_a_failed_input_keeps_what_is_done, test_M12_...
   S15 results and requests     test_S15_every_result_carries_its_request
   S16 retries told from 0 on   test_S16_retries_are_told_from_0_on
   S17 order of callbacks       test_S17_result_callback_then_stop
   S18 stop rules               test_S18_each_stop_rule_fires_at_its_event, _no_rule_is_on_...
   S19 abort, drain             test_S19_abort_cuts_and_drain_lets_end
   S20 the last response        test_S20_the_last_response_is_kept
   S21 events and retries       test_S21_events_and_retries_are_counted_apart
   S22 input that waits         test_S22_later_waits_for_a_wake
   S24 estimated size           test_S24_the_size_is_a_guess_until_the_input_ends
   S25 progress                 test_S25_progress_by_time_and_by_results
   S27 pool, replay, DNS        test_S27_...
   S28 a blocking call          all that use run(); test_M08_..., test_M10_...
   S29 interrupted              test_P21_stop_and_cancel_from_every_callback (and the command's)
   S30 elapsed times            test_times_add_up
   P01 G01 id and user data     test_P01_index_and_user_data_come_back
   P02 Z01 any method           test_P02_any_token_is_a_method
   P03 lazy, pulled             test_P03_nothing_is_sent_before_..., _nobody_takes_..., _taking_...
   P04 G04 not last in first    test_M09_results_come_as_they_complete
   P06 P07 input read ahead     test_P07_input_is_read_ahead_but_never_dropped
   P08 no busy waiting          test_P08_waiting_does_not_spin
   P09 P20 G03 bad requests     test_P20_a_bad_request_fails_alone
   P10 P11 clock from the slot  test_P11_queueing_is_no_timeout
   P12 retries by timeout       test_P12_n_timeouts_are_retried_n_times
   P14 P15 what parse returns   test_S17_result_callback_then_stop
   P17 Z02 Z10 json, POST       test_S01_..., test_Z08_content_that_is_no_json_is_no_error
   P18 P19 G02 true status      test_P18_a_short_body_is_an_error
   P21 stop at any time         test_P21_..., test_M11_closing_early_cancels_the_rest
   P22 Z14 logs                 test_Z14_silent_unless_asked
   P23 enough failures          test_P23_stop_after_failures
   P24 urls come encoded        test_P20_a_bad_request_fails_alone
   G05 runs side by side        test_G05_two_runs_do_not_know_each_other
   Z03 Z04 M08 by index         test_M08_run_all_returns_by_index, test_Z04_...
   Z05 Z06 Z07 Z15 errors       test_M08_run_all_returns_by_index: in place, status 0, request
   Z08 Z09 content              test_Z08_content_that_is_no_json_is_no_error
   Z11 response headers         test_S05_headers_keep_order_and_duplicates
   Z13 DNS beside the loop      test_Z13_one_lookup_per_name_for_all
   M01 max_at_once              test_M01_max_at_once_is_never_exceeded, _bad_limits_are_refused
   M02 M04 max_per_second       test_M02_fifty_per_second_for_ten_seconds
   M03 even, burst, stalls      test_M03_...
   M05 slot and token           test_M05_slot_and_token_are_taken_together, _takes_no_token
   M06 the reader's pace        test_P03_nobody_takes_results_and_nothing_is_lost
   M07 run_each                 all that use run()
   M09 generators               test_M09_..., test_S22_..., test_P07_...
   M10 run_any                  test_M10_run_any_is_the_first_success, _without_a_success
   M11 leaving early            test_M11_closing_early_cancels_the_rest
   M12 siblings                 test_M12_one_failure_leaves_the_others
   M13 lifetimes                test_M13_what_a_request_points_at_is_copied

   Shown elsewhere: S23 and S26 (the bar) by the command's tests; the query encoder of Z01 by
   test_request.c; P05 and P16 by ../e2e/workers.c; redirects and gzip of S27 by test_redirect.c and
   test_inflate.c; TLS and proxies of S01 by tests/tls and test_route.c. Nothing to show: P13, Z12,
   M14 and M15 say what the others lacked. */
#define NET_FDS 1300
#define SEEN_MAX 3100
#include "../fakenet.h"
#define SPARP_NO_TLS
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#include "../seen.h"

#define H "http://10.0.0.1"

/* --- counts: how often a request is tried ------------------------------------------------- */

static const struct {
    int limit, attempts;                /* 0 is the default: 20 or 5 */
} limits[] = {{SPARP_NONE, 1}, {1, 2}, {3, 4}, {0, 0}};

static void test_S10_n_retries_are_n_plus_1_attempts(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        again();
        net_answer("/soft", 0.01, NET_503);
        options.max_retries_by_soft_fail = limits[i].limit;
        get(H "/soft");
        sparp_stats s = run();
        int attempts = limits[i].limit == 0 ? 21 : limits[i].attempts;
        assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);
        assert_int_equal(seen.results[0].attempts, attempts);
        assert_int_equal(net_count("/soft"), attempts);
        assert_int_equal(s.soft_retries, attempts - 1);
        assert_int_equal(s.soft_fails, attempts);
    }
}

static void test_P12_n_timeouts_are_retried_n_times(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        again();
        net_answer("/mute", 0, NET_SILENCE);
        options.max_retries_by_timeout = limits[i].limit;
        options.timeout_s = 1;
        get(H "/mute");
        sparp_stats s = run();
        int attempts = limits[i].limit == 0 ? 21 : limits[i].attempts;
        assert_outcome(0, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
        assert_int_equal(net_count("/mute"), attempts);
        assert_int_equal(s.timeout_retries, attempts - 1);
        assert_int_equal(s.timeouts, attempts);
    }
}

static void test_n_transport_errors_are_retried_n_times(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        again();
        net_host("10.0.0.2", 0.01, ECONNREFUSED);
        options.max_retries_by_transport = limits[i].limit;
        get("http://10.0.0.2/");
        sparp_stats s = run();
        int attempts = limits[i].limit == 0 ? 6 : limits[i].attempts;
        assert_outcome(0, SPARP_OUTCOME_TRANSPORT_FAILED);
        assert_int_equal(seen.results[0].error, SPARP_E_REFUSED);
        assert_int_equal(net.connects, attempts);
        assert_int_equal(s.transport_retries, attempts - 1);
        assert_int_equal(s.transport_errors, attempts);
    }
}

static void test_S09_the_three_limits_are_independent(void **state) {
    (void)state;
    for (int round = 0; round < 2; round++) {
        net_answer("/mixed", 0.01, NET_503);
        net_answer("/mixed", 0, NET_SILENCE);
        net_answer_then("/mixed", 0.01, NET_SILENCE, NET_RST);
    }
    net_answer("/mixed", 0.01, NET_200);
    options.max_retries_by_soft_fail = 2;
    options.max_retries_by_timeout = 2;
    options.max_retries_by_transport = 2;
    options.timeout_s = 1;
    get(H "/mixed");
    sparp_stats s = run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(seen.results[0].attempts, 7);
    assert_int_equal(s.soft_retries, 2);
    assert_int_equal(s.timeout_retries, 2);
    assert_int_equal(s.transport_retries, 2);
}

static void test_S21_events_and_retries_are_counted_apart(void **state) {
    (void)state;
    net_answer("/soft", 0.01, NET_503);
    options.max_retries_by_soft_fail = 2;
    get(H "/soft");
    sparp_stats s = run();
    assert_int_equal(s.soft_fails, 3);
    assert_int_equal(s.soft_retries, 2);
    assert_int_equal(s.soft_exhausted, 1);
    assert_int_equal(s.pulled, 1);
}

static void test_S20_the_last_response_is_kept(void **state) {
    (void)state;
    net_answer("/soft", 0.01, NET_503);
    options.max_retries_by_soft_fail = 1;
    get(H "/soft");
    run();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);
    assert_int_equal(seen.results[0].status, 503);
    assert_string_equal(seen.bodies[0], "busy");
    assert_int_equal(seen.results[0].error, SPARP_E_OK);
}

/* --- pauses ------------------------------------------------------------------------------- */

static void test_S11_pauses_double_up_to_the_cap(void **state) {
    (void)state;
    net_answer("/soft", 0, NET_503);
    net_answer("/mute", 0, NET_SILENCE);
    net_host("10.0.0.2", 0, ECONNREFUSED);
    options.max_retries_by_soft_fail = options.max_retries_by_timeout = 9;
    options.max_retries_by_transport = 9;
    options.timeout_s = 1;
    get(H "/soft");
    get(H "/mute");
    get("http://10.0.0.2/");
    run();
    assert_int_equal(seen.num_retries, 27);
    for (size_t i = 0; i < seen.num_retries; i++) {
        const seen_retry *r = &seen.retries[i];
        double d = (r->index == 0 ? 0.5 : 0.25) * (double)(1 << r->made);
        d = d > 30 ? 30 : d;
        CHECK(r->wait_s >= d / 2 && r->wait_s <= d, "retry %d waits %f", r->made, r->wait_s);
    }
}

static void test_S11_the_jitter_follows_the_seed(void **state) {
    (void)state;
    double waits[3];
    for (int i = 0; i < 3; i++) {
        again();
        options.random_seed = i < 2 ? 7 : 8;
        net_answer("/soft", 0, NET_503);
        net_answer("/soft", 0, NET_200);
        get(H "/soft");
        run();
        waits[i] = seen.retries[0].wait_s;
    }
    assert_true(waits[0] == waits[1]);
    assert_true(waits[0] != waits[2]);
}

static void test_S11_backoff_none_retries_at_once(void **state) {
    (void)state;
    net_answer("/soft", 0, NET_503);
    options.backoff_s = SPARP_NONE;
    get(H "/soft");
    run();
    assert_int_equal(net_count("/soft"), 21);
    assert_near(net_now(), 0, 0.001);
}

static void test_S07_a_sleeping_request_holds_no_slot(void **state) {
    (void)state;
    net_answer("/soft", 0, NET_503);
    net_answer("/soft", 0, NET_200);
    net_answer("/ok", 0.1, NET_200);
    options.max_at_once = 1;
    options.backoff_s = 10;
    get(H "/soft");
    get_many(20, H "/ok");
    run();
    assert_int_equal(seen.order[20], 0);
    assert_near(seen.at[20], 2.0, 0.01);
    assert_true(seen.at[0] >= 5 && seen.at[0] <= 10.01);
}

static void test_M05_a_sleeping_request_takes_no_token(void **state) {
    (void)state;
    net_answer("/soft", 0, NET_503);
    net_answer("/ok", 0, NET_200);
    options.max_per_second = 10;
    options.max_retries_by_soft_fail = 1;
    options.backoff_s = 10;
    get(H "/soft");
    get_many(20, H "/ok");
    run();
    assert_near(seen.at[20], 2.0, 0.01);
}

/* --- Retry-After -------------------------------------------------------------------------- */

#define BUSY(lines) "HTTP/1.1 503 Busy\r\n" lines "Content-Length: 0\r\n\r\n"
#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static const struct {
    const char *answer;
    double at_least, at_most;
} retry_afters[] = {
    {BUSY("Retry-After: 3\r\n"), 3, 3.25},
    {BUSY("retry-after:   3  \r\n"), 3, 3.25},
    {BUSY(DATE "Retry-After: Sun, 06 Nov 1994 08:49:42 GMT\r\n"), 5, 5.25},
    {BUSY(DATE "Retry-After: Sunday, 06-Nov-94 08:49:42 GMT\r\n"), 5, 5.25},
    {BUSY(DATE "Retry-After: Sun Nov  6 08:49:42 1994\r\n"), 5, 5.25},
    {BUSY(DATE "Retry-After: Sun, 06 Nov 1994 08:49:00 GMT\r\n"), 0.25, 0.5},   /* past */
    {BUSY("Retry-After: 0\r\n"), 0.25, 0.5},
    {BUSY("Retry-After: -7\r\n"), 0.25, 0.5},
    {BUSY("Retry-After: soon\r\n"), 0.25, 0.5},
    {BUSY("Retry-After: 3 s\r\n"), 0.25, 0.5},
    {BUSY("Retry-After: \r\n"), 0.25, 0.5},
    {BUSY("Retry-After: 120\r\n"), 120, 120.25},                                /* the cap */
};

static void test_S11_retry_after_is_obeyed(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(retry_afters); i++) {
        again();
        net_answer("/soft", 0, retry_afters[i].answer);
        net_answer("/soft", 0, NET_200);
        get(H "/soft");
        run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        double gap = (double)(net.starts[1] - net.starts[0]) / 1e9;
        CHECK(gap >= retry_afters[i].at_least && gap <= retry_afters[i].at_most + 0.002,
              "%s: %f s", retry_afters[i].answer, gap);
    }
}

static void test_S11_the_longer_of_pause_and_retry_after(void **state) {
    (void)state;
    net_answer("/soft", 0, BUSY("Retry-After: 1\r\n"));
    net_answer("/soft", 0, NET_200);
    options.backoff_s = 10;
    get(H "/soft");
    run();
    assert_true(seen.retries[0].wait_s >= 5 && seen.retries[0].wait_s <= 10);
}

static const char *const too_late[] = {
    BUSY("Retry-After: 121\r\n"),
    BUSY("Retry-After: 99999999999999999999999\r\n"),
    BUSY(DATE "Retry-After: Sun, 06 Nov 1994 09:49:37 GMT\r\n"),
    BUSY("Retry-After: Fri, 01 Jan 2999 00:00:00 GMT\r\n"),
};

static void test_S11_above_the_cap_it_ends_now(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(too_late); i++) {
        again();
        net_answer("/soft", 0.5, too_late[i]);
        get(H "/soft");
        run();
        assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);
        assert_int_equal(seen.results[0].attempts, 1);
        assert_true(seen.results[0].retry_at_s > 120);
        assert_near(net_now(), 0.5, 0.002);
    }
}

/* --- verdicts ----------------------------------------------------------------------------- */

static sparp_verdict say;
static int asked, asked_complete;

static sparp_verdict inspect_say(const sparp_result *response, void *user_data) {
    (void)user_data;
    asked++;
    asked_complete += response->body_complete;
    return say;
}

static void test_S03_a_junk_verdict_is_a_hard_fail(void **state) {
    (void)state;
    static const int junk[] = {4, 17, -1};
    for (size_t i = 0; i < COUNT_OF(junk); i++) {
        again();
        say = (sparp_verdict)junk[i];
        options.inspect = inspect_say;
        net_answer("/a", 0, NET_200);
        get(H "/a");
        run();
        assert_outcome(0, SPARP_OUTCOME_HARD_FAIL);
        assert_int_equal(net.num_starts, 1);
    }
}

static void test_S02_a_verdict_needs_only_the_head(void **state) {
    (void)state;
    asked = asked_complete = 0;
    say = SPARP_SUCCESS;
    options.inspect = inspect_say;
    net_answer("/a", 0, NET_200);
    get(H "/a");
    run();
    assert_int_equal(asked, 1);
    assert_int_equal(asked_complete, 0);
    assert_string_equal(seen.bodies[0], "ok");
    assert_true(seen.results[0].body_complete);
}

static sparp_verdict inspect_body(const sparp_result *response, void *user_data) {
    (void)user_data;
    asked++;
    if (!response->body_complete)
        return SPARP_NEED_BODY;
    return strcmp(response->body, "busy") == 0 ? SPARP_SOFT_FAIL : SPARP_SUCCESS;
}

static void test_S02_a_verdict_may_need_the_body(void **state) {
    (void)state;
    asked = 0;
    options.inspect = inspect_body;
    net_answer("/a", 0, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbusy");
    net_answer("/a", 0, NET_200);
    get(H "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(asked, 4);
    assert_int_equal(seen.results[0].soft_retries, 1);
}

/* No body will follow: NEED_BODY would have nothing to wait for. */
static void test_S02_what_has_no_body_is_complete_at_its_head(void **state) {
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", NET_204,
        "HTTP/1.1 304 Same\r\nContent-Length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        again();
        asked = 0;
        options.inspect = inspect_body;
        net_answer("/a", 0, answers[i]);
        ask(i == 0 ? "HEAD" : "GET", H "/a");
        run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        assert_int_equal(asked, 1);
    }
}

static void test_need_body_for_ever_is_a_hard_fail(void **state) {
    (void)state;
    asked = 0;
    say = SPARP_NEED_BODY;
    options.inspect = inspect_say;
    net_answer("/a", 0, NET_200);
    get(H "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_HARD_FAIL);
    assert_int_equal(asked, 2);
}

static const struct {
    const char *head;
    sparp_outcome outcome;
} defaults[] = {
    {"200 A", SPARP_OUTCOME_SUCCESS}, {"206 A", SPARP_OUTCOME_SUCCESS},
    {"301 A", SPARP_OUTCOME_SUCCESS}, {"304 A", SPARP_OUTCOME_SUCCESS},
    {"400 A", SPARP_OUTCOME_HARD_FAIL}, {"404 A", SPARP_OUTCOME_HARD_FAIL},
    {"408 A", SPARP_OUTCOME_SOFT_EXHAUSTED}, {"418 A", SPARP_OUTCOME_HARD_FAIL},
    {"425 A", SPARP_OUTCOME_SOFT_EXHAUSTED}, {"429 A", SPARP_OUTCOME_SOFT_EXHAUSTED},
    {"500 A", SPARP_OUTCOME_SOFT_EXHAUSTED}, {"501 A", SPARP_OUTCOME_HARD_FAIL},
    {"502 A", SPARP_OUTCOME_SOFT_EXHAUSTED}, {"503 A", SPARP_OUTCOME_SOFT_EXHAUSTED},
    {"504 A", SPARP_OUTCOME_SOFT_EXHAUSTED}, {"599 A", SPARP_OUTCOME_HARD_FAIL},
};

static void test_the_default_verdicts(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(defaults); i++) {
        char answer[100];
        again();
        options.max_retries_by_soft_fail = SPARP_NONE;
        snprintf(answer, sizeof answer, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n",
                 defaults[i].head);
        net_answer("/a", 0, answer);
        get(H "/a");
        run();
        assert_outcome(0, defaults[i].outcome);
        assert_int_equal(seen.results[0].status, atoi(defaults[i].head));
    }
}

/* A head that promises `size` bytes of body, and the body. */
static char long_answer[60000];

static size_t make_long_answer(const char *status, size_t size) {
    size_t head = (size_t)snprintf(long_answer, sizeof long_answer,
                                   "HTTP/1.1 %s\r\nContent-Length: %lu\r\n\r\n", status,
                                   (unsigned long)size);
    assert_true(head + size <= sizeof long_answer);
    memset(long_answer + head, 'x', size);
    return head + size;
}

static void test_S04_the_body_of_a_soft_fail_is_not_kept(void **state) {
    (void)state;
    net_answer_bytes("/a", 0, long_answer, make_long_answer("503 Busy", 50000))->piece = 10000;
    net_answer("/a", 0, NET_200);
    get(H "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(net.connects, 1);              /* a small rest is read, for the connection */
}

static void test_S04_a_large_body_of_a_soft_fail_is_not_even_read(void **state) {
    (void)state;
    net_answer("/a", 0, "HTTP/1.1 503 Busy\r\nContent-Length: 70000\r\n\r\nbegins...");
    net_answer("/a", 0, NET_200);
    get(H "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(net.connects, 2);
    assert_true(net_now() < 1);                     /* nobody waits for the rest */
}

/* --- what may be sent twice --------------------------------------------------------------- */

typedef enum how { SOFT, MUTE, RESET } how;

static const struct {
    const char *method;
    how  how;
    bool safe_only, unsafe, idempotent, key;
    int  starts;                        /* with one retry of each kind allowed */
    bool maybe_applied;
} twice[] = {
    {"GET",  SOFT,  0, 0, 0, 0, 2, false}, {"POST",  SOFT,  0, 0, 0, 0, 2, false},
    {"GET",  MUTE,  0, 0, 0, 0, 2, false}, {"POST",  MUTE,  0, 0, 0, 0, 2, true},
    {"GET",  RESET, 0, 0, 0, 0, 2, false}, {"POST",  RESET, 0, 0, 0, 0, 1, true},
    {"GET",  SOFT,  1, 0, 0, 0, 2, false}, {"POST",  SOFT,  1, 0, 0, 0, 1, false},
    {"GET",  MUTE,  1, 0, 0, 0, 2, false}, {"POST",  MUTE,  1, 0, 0, 0, 1, true},
    {"POST", RESET, 0, 1, 0, 0, 2, true},  {"POST",  RESET, 0, 0, 1, 0, 2, false},
    {"POST", RESET, 0, 0, 0, 1, 2, false}, {"POST",  SOFT,  1, 0, 1, 0, 2, false},
    {"POST", MUTE,  1, 0, 0, 1, 2, false}, {"PATCH", RESET, 0, 0, 0, 0, 1, true},
    {"PUT",  RESET, 0, 0, 0, 0, 2, false}, {"DELETE", RESET, 0, 0, 0, 0, 2, false},
    {"HEAD", RESET, 0, 0, 0, 0, 2, false}, {"OPTIONS", RESET, 0, 0, 0, 0, 2, false},
    {"post", RESET, 0, 0, 0, 0, 1, true},  {"get", RESET, 0, 0, 0, 0, 2, false},
};

static void test_S13_what_may_be_sent_twice(void **state) {
    (void)state;
    static const sparp_field key = {"Idempotency-Key", "1"};
    for (size_t i = 0; i < COUNT_OF(twice); i++) {
        again();
        net_answer_then("/a", 0.01, twice[i].how == SOFT ? NET_503 : NET_SILENCE,
                        twice[i].how == RESET ? NET_RST : NET_KEEP);
        options.timeout_s = 1;
        options.max_retries_by_soft_fail = options.max_retries_by_timeout = 1;
        options.max_retries_by_transport = 1;
        options.retry_safe_only = twice[i].safe_only;
        options.retry_unsafe = twice[i].unsafe;
        sparp_request *r = ask(twice[i].method, H "/a");
        r->idempotent = twice[i].idempotent;
        r->headers = twice[i].key ? &key : NULL;
        r->num_headers = twice[i].key;
        run();
        CHECK((int)net.num_starts == twice[i].starts, "row %lu: %lu starts", (unsigned long)i,
              (unsigned long)net.num_starts);
        CHECK(seen.results[0].maybe_applied == twice[i].maybe_applied, "row %lu",
              (unsigned long)i);
    }
}

static void test_S13_what_never_left_us_is_safe(void **state) {
    (void)state;
    net_host("10.0.0.2", 0.01, ECONNREFUSED);
    net_host("10.0.0.3", -1, 0);
    options.max_retries_by_timeout = options.max_retries_by_transport = 1;
    options.retry_safe_only = true;
    ask("POST", "http://10.0.0.2/");
    ask("POST", "http://10.0.0.3/");
    run();
    assert_int_equal(seen.results[0].attempts, 2);
    assert_int_equal(seen.results[1].attempts, 2);
    assert_false(seen.results[0].maybe_applied);
    assert_false(seen.results[1].maybe_applied);
}

static void test_maybe_applied_is_forgotten_by_a_success(void **state) {
    (void)state;
    net_answer("/a", 0, NET_SILENCE);
    net_answer("/a", 0, NET_200);
    options.timeout_s = 1;
    ask("POST", H "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_false(seen.results[0].maybe_applied);
}

static void test_permanent_errors_are_not_retried(void **state) {
    (void)state;
    net_answer("/junk", 0, "SSH-2.0-OpenSSH_9.2\r\n");
    net_lookup("no.test", NULL, EAI_NONAME);
    get(H "/junk");
    get("http://no.test/");
    get("ftp://10.0.0.1/");
    get(NULL);
    run();
    assert_outcome(0, SPARP_OUTCOME_TRANSPORT_FAILED);
    assert_int_equal(seen.results[0].error, SPARP_E_PROTOCOL);
    assert_outcome(1, SPARP_OUTCOME_TRANSPORT_FAILED);
    assert_int_equal(seen.results[1].error, SPARP_E_DNS_NOT_FOUND);
    for (size_t i = 2; i < 4; i++) {
        assert_outcome(i, SPARP_OUTCOME_LOCAL_FAILED);
        assert_int_equal(seen.results[i].error, SPARP_E_BAD_REQUEST);
        assert_int_equal(seen.results[i].attempts, 0);
    }
    assert_int_equal(seen.num_retries, 0);
    assert_int_equal(net.lookups, 1);
}

/* --- stale connections -------------------------------------------------------------------- */

/* Two requests, one after the other; the server ends the connection as the second one arrives. */
static void ask_stale(const char *method, net_then then) {
    net_answer("/a", 0.1, NET_200);
    net_answer_then("/b", 0, NET_SILENCE, then);
    net_answer("/b", 0.1, NET_200);
    options.max_at_once = 1;
    options.max_retries_by_transport = SPARP_NONE;
    get(H "/a");
    ask(method, H "/b");
}

static void test_S27_a_stale_connection_is_replaced_once(void **state) {
    (void)state;
    static const net_then thens[] = {NET_FIN, NET_RST};
    for (size_t i = 0; i < COUNT_OF(thens); i++) {
        again();
        ask_stale("GET", thens[i]);
        sparp_stats s = run();
        assert_outcome(1, SPARP_OUTCOME_SUCCESS);
        assert_int_equal(seen.results[1].replays, 1);
        assert_int_equal(seen.results[1].attempts, 1);
        assert_int_equal(s.transport_retries, 0);
        assert_int_equal(s.replays, 1);
        assert_int_equal(net.connects, 2);
    }
}

static void test_S27_what_is_not_safe_is_not_replayed(void **state) {
    (void)state;
    ask_stale("POST", NET_RST);
    run();
    assert_outcome(1, SPARP_OUTCOME_TRANSPORT_FAILED);
    assert_int_equal(seen.results[1].replays, 0);
    assert_true(seen.results[1].maybe_applied);
    assert_int_equal(net_count("/b"), 1);
}

static void test_S27_replayed_once_is_enough(void **state) {
    (void)state;
    net_answer("/a", 0.1, NET_200);
    net_answer_then("/b", 0, NET_SILENCE, NET_RST);
    options.max_at_once = 1;
    options.max_retries_by_transport = SPARP_NONE;
    get(H "/a");
    get(H "/b");
    run();
    assert_outcome(1, SPARP_OUTCOME_TRANSPORT_FAILED);
    assert_int_equal(net_count("/b"), 2);
    assert_int_equal(seen.results[1].replays, 1);
}

static void test_an_answer_that_began_is_not_replayed(void **state) {
    (void)state;
    net_answer("/a", 0.1, NET_200);
    net_answer_then("/b", 0, "HTTP/1.1 200", NET_RST);
    options.max_at_once = 1;
    options.max_retries_by_transport = SPARP_NONE;
    get(H "/a");
    get(H "/b");
    run();
    assert_outcome(1, SPARP_OUTCOME_TRANSPORT_FAILED);
    assert_int_equal(net_count("/b"), 1);
}

static void test_a_replay_takes_a_token(void **state) {
    (void)state;
    ask_stale("GET", NET_RST);
    options.max_per_second = 1;
    run();
    assert_outcome(1, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(net.num_starts, 3);
    assert_int_equal(net_most_within(0.995), 1);
}

/* The server answers and closes without a word: what comes next goes over a new connection. */
static void test_an_unannounced_close_does_not_lose_a_post(void **state) {
    (void)state;
    net_answer_then("/a", 0.1, NET_200, NET_FIN);
    options.max_at_once = 1;
    for (int i = 0; i < 4; i++)
        ask("POST", H "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 4);
    assert_int_equal(net_count("/a"), 4);
}

/* --- limits ------------------------------------------------------------------------------- */

static void test_M01_max_at_once_is_never_exceeded(void **state) {
    (void)state;
    static const int caps[] = {1, 2, 7, 40};
    for (size_t i = 0; i < COUNT_OF(caps); i++) {
        again();
        options.max_at_once = caps[i];
        net_answer("/a", 0.05, NET_200);
        net_host("10.0.0.2", 0.2, 0);
        get_many(60, H "/a");
        get_many(60, "http://10.0.0.2/a");
        sparp_stats s = run();
        assert_int_equal(s.success, 120);
        assert_int_equal(net.most_at_once, caps[i]);
        assert_true(net.most_open <= caps[i]);
    }
}

static void test_S08_there_is_no_hidden_cap(void **state) {
    (void)state;
    options.max_at_once = 300;
    options.input_buffer_size = 300;
    net_answer("/a", 1, NET_200);
    get_many(300, H "/a");
    run();
    assert_int_equal(net.most_at_once, 300);
    assert_near(net_now(), 1, 0.01);
}

static void test_M02_fifty_per_second_for_ten_seconds(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    options.max_per_second = 50;
    options.run_deadline_s = 10;
    get_many(600, H "/a");
    run();
    CHECK(net.num_starts >= 499 && net.num_starts <= 501, "%lu starts",
          (unsigned long)net.num_starts);
    CHECK(net_most_within(1.0) <= 51, "%lu in a second", (unsigned long)net_most_within(1.0));
    CHECK(net_most_within(0.1) <= 6, "%lu in 100 ms", (unsigned long)net_most_within(0.1));
}

static void test_M03_the_first_start_is_free_and_the_rest_even(void **state) {
    (void)state;
    net_answer("/a", 0, NET_200);
    options.max_per_second = 0.2;
    get_many(5, H "/a");
    run();
    for (int i = 0; i < 5; i++)
        assert_near((double)(net.starts[i] - NET_BEGIN) / 1e9, 5.0 * i, 0.002 * (i + 1));
}

static void test_M03_a_burst_and_then_the_pace(void **state) {
    (void)state;
    net_answer("/a", 0, NET_200);
    options.max_per_second = 10;
    options.burst = 5;
    get_many(50, H "/a");
    run();
    assert_int_equal(net_most_within(0.001), 5);
    assert_true(net_most_within(1.0) <= 15);
    assert_near((double)(net.starts[49] - NET_BEGIN) / 1e9, 4.5, 0.05);
}

static void test_the_rate_holds_for_retries_and_replays(void **state) {
    (void)state;
    net_answer("/soft", 0, NET_503);
    net_answer_then("/stale", 0, NET_SILENCE, NET_FIN);
    net_answer("/a", 0.001, NET_200);
    options.max_per_second = 20;
    options.backoff_s = SPARP_NONE;
    options.max_retries_by_soft_fail = 10;
    for (int i = 0; i < 10; i++) {
        get(H "/soft");
        get(H "/a");
        get(H "/stale");
    }
    run();
    assert_true(net.num_starts > 110 + 10);
    CHECK(net_most_within(1.0) <= 21, "%lu", (unsigned long)net_most_within(1.0));
}

/* A connect that takes long must not let starts pile up and go out together. */
static void test_the_rate_holds_for_slow_connects(void **state) {
    (void)state;
    net_answer("/a", 0.001, NET_200);
    net_host("10.0.0.2", 0.9, 0);
    net_host("10.0.0.3", 0.4, 0);
    options.max_per_second = 20;
    options.max_at_once = 200;
    get_many(20, "http://10.0.0.2/a");
    get_many(20, "http://10.0.0.3/a");
    get_many(20, H "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 60);
    CHECK(net_most_within(1.0) <= 21, "%lu in a second", (unsigned long)net_most_within(1.0));
    CHECK(net_most_within(0.1) <= 3, "%lu in 100 ms", (unsigned long)net_most_within(0.1));
}

static void test_waiting_for_a_token_is_no_timeout(void **state) {
    (void)state;
    net_answer("/a", 0, NET_200);
    net_host("10.0.0.1", 0.5, 0);
    options.max_per_second = 0.5;
    options.timeout_s = 1;
    options.connect_timeout_s = 0.6;
    options.max_at_once = 10;
    get_many(5, H "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 5);
    assert_int_equal(s.timeouts, 0);
}

static double stall_s;

static void stall(sparp *run, const sparp_result *result) {
    (void)run;
    if (result->index == 0)
        test_now_ns += NET_NS(stall_s);
}

static void test_M03_a_stall_is_not_made_up_for(void **state) {
    (void)state;
    net_answer("/a", 0, NET_200);
    options.max_per_second = 10;
    stall_s = 5;
    seen.on_result = stall;
    get_many(30, H "/a");
    run();
    CHECK(net_most_within(0.95) <= 10, "%lu", (unsigned long)net_most_within(0.95));
}

/* The slot is taken at the instant of the start: while the rate holds the second request back,
   nothing is in flight. */
static void look_at_slots(sparp *run, const sparp_result *result) {
    (void)result;
    assert_int_equal(sparp_get_stats(run).in_flight, 0);
}

static void test_M05_slot_and_token_are_taken_together(void **state) {
    (void)state;
    net_answer("/a", 0.1, NET_200);
    options.max_per_second = 2;
    options.max_at_once = 10;
    seen.on_result = look_at_slots;
    get_many(6, H "/a");
    sparp_stats s = run();
    assert_int_equal(net.most_at_once, 1);
    assert_int_equal(net.connects, 1);
    assert_true(s.waited_us[SPARP_WAIT_RATE] > 0);
}

/* --- patience ----------------------------------------------------------------------------- */

static void assert_timeout(size_t index, sparp_phase phase, double after_s) {
    assert_outcome(index, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
    CHECK(seen.results[index].error == SPARP_E_TIMEOUT, "request %lu", (unsigned long)index);
    CHECK(seen.results[index].phase == phase, "request %lu: phase %s", (unsigned long)index,
          sparp_phase_name(seen.results[index].phase));
    assert_near((double)seen.results[index].elapsed_us / 1e6, after_s, 0.01);
}

static void test_S12_a_timeout_names_its_phase(void **state) {
    (void)state;
    static char large[2000];
    memset(large, 'x', sizeof large);
    net.lookup_s = 20;
    net.send_room = 1000;
    net_lookup("slow.test", "10.0.0.9", 0);
    net_host("10.0.0.2", -1, 0);
    net_answer("/mute", 0, NET_SILENCE);
    net_answer("/half", 1, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    options.max_retries_by_timeout = SPARP_NONE;
    options.connect_timeout_s = 3;
    options.timeout_s = 8;
    get("http://slow.test/");
    get("http://10.0.0.2/");
    sparp_request *r = ask("POST", H "/large");
    r->body = large;
    r->body_size = sizeof large;
    get(H "/mute");
    get(H "/half");
    run();
    assert_timeout(0, SPARP_PHASE_DNS, 3);
    assert_timeout(1, SPARP_PHASE_CONNECT, 3);
    assert_timeout(2, SPARP_PHASE_SEND, 8);
    assert_timeout(3, SPARP_PHASE_FIRST_BYTE, 8);
    assert_timeout(4, SPARP_PHASE_BODY, 8);
    assert_int_equal(seen.results[4].status, 200);
}

static void test_S12_a_kernel_timeout_is_a_timeout(void **state) {
    (void)state;
    net_host("10.0.0.2", 1, ETIMEDOUT);
    options.max_retries_by_timeout = SPARP_NONE;
    get("http://10.0.0.2/");
    run();
    assert_timeout(0, SPARP_PHASE_CONNECT, 1);
    assert_int_equal(seen.results[0].sys_error, ETIMEDOUT);
}

static void test_idle_timeout_counts_from_the_last_byte(void **state) {
    (void)state;
    static const char slow[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
    net_rule *drip = net_answer("/drip", 0.5, slow);
    drip->piece = 10;
    drip->gap_s = 1.5;
    net_answer("/stuck", 0.5, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01");
    options.idle_timeout_s = 2;
    options.max_retries_by_timeout = SPARP_NONE;
    get(H "/drip");
    get(H "/stuck");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_timeout(1, SPARP_PHASE_BODY, 2.5);
}

static void test_S12_each_request_may_have_its_own_timeout(void **state) {
    (void)state;
    net_answer("/a", 5, NET_200);
    options.timeout_s = 4;
    options.max_retries_by_timeout = SPARP_NONE;
    get(H "/a")->timeout_s = 1;
    get(H "/a")->timeout_s = 6;
    get(H "/a")->timeout_s = SPARP_NONE;
    get(H "/a");
    run();
    assert_timeout(0, SPARP_PHASE_FIRST_BYTE, 1);
    assert_outcome(1, SPARP_OUTCOME_SUCCESS);
    assert_outcome(2, SPARP_OUTCOME_SUCCESS);
    assert_timeout(3, SPARP_PHASE_FIRST_BYTE, 4);
}

static void test_P11_queueing_is_no_timeout(void **state) {
    (void)state;
    net_answer("/a", 5, NET_200);
    options.max_at_once = 1;
    options.timeout_s = 6;
    get_many(5, H "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 5);
    assert_near((double)seen.results[4].waited_us / 1e6, 20, 0.1);
    assert_near((double)seen.results[4].total_us / 1e6, 25, 0.1);
    assert_true(s.waited_us[SPARP_WAIT_SLOT] > 0 && s.waited_us[SPARP_WAIT_RATE] == 0);
}

static void test_a_deadline_bounds_all_attempts(void **state) {
    (void)state;
    net_answer("/mute", 0, NET_SILENCE);
    net_answer("/soft", 0.1, NET_503);
    options.timeout_s = 2;
    options.backoff_s = 0.2;
    get(H "/mute")->deadline_s = 5;
    get(H "/soft")->deadline_s = 1;
    run();
    assert_outcome(0, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
    assert_true(seen.at[0] <= 5.01);
    assert_outcome(1, SPARP_OUTCOME_SOFT_EXHAUSTED);
    assert_true(seen.at[1] <= 1.01);
}

static void test_a_wait_beyond_a_deadline_is_not_begun(void **state) {
    (void)state;
    net_answer("/soft", 0.1, BUSY("Retry-After: 10\r\n"));
    get(H "/soft")->deadline_s = 9;
    run();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);
    assert_near(net_now(), 0.1, 0.01);
    again();
    net_answer("/soft", 0.1, BUSY("Retry-After: 10\r\n"));
    options.run_deadline_s = 9;
    get(H "/soft");
    run();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);
    assert_near(net_now(), 0.1, 0.01);
}

/* The only slot is taken for long: the retry that waits for it ends in time all the same. */
static void test_a_deadline_counts_while_waiting_for_a_slot(void **state) {
    (void)state;
    net_answer("/soft", 0.1, NET_503);
    net_answer("/long", 10, NET_200);
    options.max_at_once = 1;
    get(H "/soft")->deadline_s = 2;
    get(H "/long");
    run();
    assert_int_equal(net_count("/soft"), 1);
    assert_true(seen.at[0] <= 2.01);
}

static void test_run_deadline_cuts_everything(void **state) {
    (void)state;
    net_answer("/a", 1, NET_200);
    net_answer("/mute", 0, NET_SILENCE);
    options.max_at_once = 2;
    options.run_deadline_s = 3.5;
    get(H "/mute");
    get_many(10, H "/a");
    sparp_stats s = run();
    assert_near(net_now(), 3.5, 0.01);
    assert_int_equal(s.stopped, SPARP_STOPPED_BY_DEADLINE);
    assert_int_equal(s.success, 3);
    assert_int_equal(s.cancelled, 2);
    assert_int_equal(s.not_started, 6);
}

static void test_times_add_up(void **state) {
    (void)state;
    net.lookup_s = 0.2;
    net_lookup("a.test", "10.0.0.2", 0);
    net_host("10.0.0.2", 0.3, 0);
    net_rule *rule = net_answer("/a", 0.4, NET_200);
    rule->piece = 20;
    rule->gap_s = 0.25;
    get("http://a.test/a");
    run();
    const sparp_result *r = &seen.results[0];
    assert_near((double)r->phase_us[SPARP_PHASE_DNS] / 1e6, 0.2, 0.002);
    assert_near((double)r->phase_us[SPARP_PHASE_CONNECT] / 1e6, 0.3, 0.002);
    assert_near((double)r->phase_us[SPARP_PHASE_FIRST_BYTE] / 1e6, 0.4, 0.002);
    assert_near((double)r->phase_us[SPARP_PHASE_BODY] / 1e6, 0.25, 0.002);
    assert_near((double)r->elapsed_us / 1e6, 1.15, 0.002);
    assert_int_equal(r->bytes_in, strlen(NET_200));
    assert_true(r->bytes_out > 20);
}

/* --- stopping ----------------------------------------------------------------------------- */

/* One event of each kind, and a slow request that is in flight meanwhile. */
static void script_events(void) {
    net_answer("/soft", 1, NET_503);
    net_answer("/hard", 1, NET_404);
    net_answer("/mute", 0, NET_SILENCE);
    net_answer_then("/reset", 1, NET_SILENCE, NET_RST);
    net_answer("/slow", 10, NET_200);
    options.max_at_once = 2;
}

static const struct {
    unsigned rule;
    const char *url;
    int soft, timeout, transport;       /* retries */
    sparp_outcome outcome;
    bool after_retries;
} rules[] = {
    {SPARP_STOP_ON_SOFT_FAIL, H "/soft", 3, 3, 3, SPARP_OUTCOME_CANCELLED, false},
    {SPARP_STOP_ON_SOFT_FAIL, H "/soft", SPARP_NONE, 3, 3, SPARP_OUTCOME_SOFT_EXHAUSTED, false},
    {SPARP_STOP_ON_HARD_FAIL, H "/hard", 3, 3, 3, SPARP_OUTCOME_HARD_FAIL, false},
    {SPARP_STOP_ON_TIMEOUT, H "/mute", 3, 3, 3, SPARP_OUTCOME_CANCELLED, false},
    {SPARP_STOP_ON_TRANSPORT, H "/reset", 3, 3, 3, SPARP_OUTCOME_CANCELLED, false},
    {SPARP_STOP_ON_SOFT_EXHAUSTED, H "/soft", 2, 3, 3, SPARP_OUTCOME_SOFT_EXHAUSTED, true},
    {SPARP_STOP_ON_TIMEOUT_EXHAUSTED, H "/mute", 3, 2, 3, SPARP_OUTCOME_TIMEOUT_EXHAUSTED, true},
};

static void test_S18_each_stop_rule_fires_at_its_event(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        again();
        script_events();
        options.stop_on = rules[i].rule;
        options.max_retries_by_soft_fail = rules[i].soft;
        options.max_retries_by_timeout = rules[i].timeout;
        options.max_retries_by_transport = rules[i].transport;
        options.backoff_s = SPARP_NONE;             /* or its slot would be taken meanwhile */
        get(rules[i].url)->timeout_s = 1;
        get_many(5, H "/slow");
        sparp_stats s = run();
        CHECK(s.stopped == SPARP_STOPPED_BY_RULE, "rule %lu", (unsigned long)i);
        assert_outcome(0, rules[i].outcome);
        assert_outcome(1, SPARP_OUTCOME_CANCELLED);
        assert_outcome(5, SPARP_OUTCOME_NOT_STARTED);
        assert_int_equal(seen.results[0].attempts, rules[i].after_retries ? 3 : 1);
        assert_true(net_now() < 5);
    }
}

static void test_S18_no_rule_is_on_by_default(void **state) {
    (void)state;
    script_events();
    options.max_retries_by_soft_fail = options.max_retries_by_timeout = 1;
    options.max_retries_by_transport = 1;
    get(H "/soft");
    get(H "/hard");
    get(H "/mute")->timeout_s = 1;
    get(H "/reset");
    get(H "/slow");
    sparp_stats s = run();
    assert_int_equal(s.stopped, SPARP_STOPPED_NOT);
    assert_int_equal(s.success, 1);
    assert_true(s.input_ended && s.input_size == 5);
}

static void test_P23_stop_after_failures(void **state) {
    (void)state;
    net_answer("/hard", 0.1, NET_404);
    net_answer("/a", 0.1, NET_200);
    options.max_at_once = 1;
    options.stop_after_failures = 2;
    for (int i = 0; i < 10; i++)
        get(i % 3 == 0 ? H "/hard" : H "/a");
    sparp_stats s = run();
    assert_int_equal(s.hard_fail, 2);
    assert_int_equal(s.success, 2);
    assert_int_equal(s.not_started, 6);
    assert_int_equal(s.stopped, SPARP_STOPPED_BY_RULE);
}

static void test_stop_after_successes(void **state) {
    (void)state;
    net_answer("/hard", 0.1, NET_404);
    net_answer("/a", 0.1, NET_200);
    options.max_at_once = 1;
    options.stop_after_successes = 3;
    get(H "/hard");
    get_many(8, H "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 3);
    assert_int_equal(s.not_started, 5);
    assert_int_equal(s.stopped, SPARP_STOPPED_BY_SUCCESSES);
}

static void test_S19_abort_cuts_and_drain_lets_end(void **state) {
    (void)state;
    for (int drains = 0; drains < 2; drains++) {
        again();
        net_answer("/hard", 1, NET_404);
        net_answer("/slow", 3, NET_200);
        net_answer("/soft", 2, NET_503);
        options.max_at_once = 3;
        options.stop_on = SPARP_STOP_ON_HARD_FAIL;
        options.stop_drains = drains == 1;
        get(H "/hard");
        get(H "/slow");
        get(H "/soft");
        get_many(3, H "/slow");
        sparp_stats s = run();
        assert_outcome(1, drains ? SPARP_OUTCOME_SUCCESS : SPARP_OUTCOME_CANCELLED);
        assert_outcome(2, SPARP_OUTCOME_CANCELLED);     /* its retry would be a new start */
        assert_int_equal(s.not_started, 3);
        assert_int_equal(net.num_starts, 3);
        assert_near(net_now(), drains ? 3 : 1, 0.01);
    }
}

static void test_cancelled_after_bytes_left_us_may_have_been_applied(void **state) {
    (void)state;
    net_answer("/hard", 1, NET_404);
    net_answer("/slow", 3, NET_200);
    net_host("10.0.0.2", 2, 0);
    options.stop_on = SPARP_STOP_ON_HARD_FAIL;
    get(H "/hard");
    ask("POST", H "/slow");
    ask("POST", "http://10.0.0.2/slow");
    run();
    assert_true(seen.results[1].maybe_applied);
    assert_false(seen.results[2].maybe_applied);
    assert_int_equal(seen.results[1].error, SPARP_E_CANCELLED);
}

/* --- stopping and cancelling out of every callback ---------------------------------------- */

typedef enum from {
    FROM_INSPECT, FROM_PARSE, FROM_RESULT, FROM_RETRY, FROM_PROGRESS, FROM_INPUT, FROM_LOGGER,
    FROM_REDIRECT, NUM_FROM
} from;

typedef enum deed { DO_STOP, DO_DRAIN, DO_ABORT, DO_CANCEL_ALL, NUM_DEEDS } deed;

static sparp *current;
static from   do_it_from;
static deed   do_it;
static int    seen_before_doing;

static void maybe_do(from here) {
    if (here != do_it_from || current == NULL || seen_before_doing++ < 1)
        return;
    if (do_it == DO_STOP)
        sparp_stop(current);
    else if (do_it == DO_DRAIN)
        sparp_drain(current);
    else if (do_it == DO_ABORT)
        sparp_abort(current);
    else
        for (uint64_t i = 0; i < 20; i++)
            sparp_cancel(current, i);
}

static sparp_verdict inspect_do(const sparp_result *response, void *user_data) {
    maybe_do(FROM_INSPECT);
    return sparp_default_inspect(response, user_data);
}

static void *parse_do(const sparp_result *response, void *user_data) {
    (void)response;
    (void)user_data;
    maybe_do(FROM_PARSE);
    return NULL;
}

static void result_do(sparp *run, const sparp_result *result) {
    (void)run;
    (void)result;
    maybe_do(FROM_RESULT);
}

static void retry_do(sparp *run, const sparp_result *attempt) {
    (void)run;
    (void)attempt;
    maybe_do(FROM_RETRY);
}

static void redirect_do(sparp *run, const sparp_result *hop, void *user_data) {
    (void)hop;
    (void)user_data;
    seen_check_moment(run);
    maybe_do(FROM_REDIRECT);
}

static void progress_do(sparp *run, const sparp_stats *stats, void *user_data) {
    (void)run;
    (void)stats;
    (void)user_data;
    maybe_do(FROM_PROGRESS);
}

static void logger_do(sparp_log_level level, const char *message, void *user_data) {
    (void)level;
    (void)message;
    (void)user_data;
    maybe_do(FROM_LOGGER);
}

static int inputs_left;

static sparp_input input_do(sparp_request *out, void *user_data) {
    static const char *const urls[] = {H "/a", H "/soft", H "/slow", H "/moved", "ftp://bad"};
    (void)user_data;
    maybe_do(FROM_INPUT);
    if (inputs_left == 0)
        return SPARP_INPUT_END;
    out->url = urls[inputs_left-- % 5];
    return SPARP_INPUT_READY;
}

/* As seen_run(), with the run in `current` while it lasts. */
static sparp_stats run_current(void) {
    sparp_error error;
    seen_options(&options);
    current = sparp_open(&options, &error);
    assert_non_null(current);
    while (sparp_step(current, -1))
        continue;
    sparp_stats s = sparp_get_stats(current);
    sparp_close(current);
    current = NULL;
    seen_check_end(&s);
    seen_check_clean();
    return s;
}

static void script_everything(void) {
    net_answer("/a", 0.1, NET_200);
    net_answer("/soft", 0.1, NET_503);
    net_answer("/slow", 5, NET_200);
    net_answer("/moved", 0.1, "HTTP/1.1 307 Go\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n");
    options.max_at_once = 4;
    options.max_retries_by_soft_fail = 2;
    options.on_redirect = redirect_do;
    options.inspect = inspect_do;
    options.parse = parse_do;
    options.on_progress = progress_do;
    options.progress_every_s = SPARP_NONE;
    options.logger.func = logger_do;
    options.logger.max_level = SPARP_LOG_TRACE;
    options.next_request = input_do;
    options.input_buffer_size = 4;
    seen.on_result = result_do;
    seen.on_retry = retry_do;
    inputs_left = 40;
    seen_before_doing = 0;
}

static void test_P21_stop_and_cancel_from_every_callback(void **state) {
    (void)state;
    for (int where = 0; where < NUM_FROM; where++)
        for (int what = 0; what < NUM_DEEDS; what++)
            for (int drains = 0; drains < 2; drains++) {
                again();
                script_everything();
                do_it_from = (from)where;
                do_it = (deed)what;
                options.stop_drains = drains == 1;
                sparp_stats s = run_current();
                CHECK(seen_before_doing > 1, "callback %d was not called", where);
                CHECK((s.stopped == SPARP_STOPPED_BY_CALL) == (what != DO_CANCEL_ALL),
                      "from %d, deed %d: stopped %d", where, what, (int)s.stopped);
                CHECK(what == DO_CANCEL_ALL || s.pulled < 40, "from %d, deed %d", where, what);
                CHECK(what != DO_CANCEL_ALL || s.pulled == 40, "from %d", where);
            }
}

static void test_M11_closing_early_cancels_the_rest(void **state) {
    (void)state;
    for (int results = 0; results < 4; results++) {
        again();
        net_answer("/a", 1, NET_200);
        net_answer("/soft", 1, NET_503);
        net_lookup("x.test", "10.0.0.3", 0);
        net.lookup_s = 5;
        get_many(5, H "/a");
        get(H "/soft");
        get("http://x.test/");
        sparp *one = seen_open();
        for (int i = 0; i < results; i++)
            assert_non_null(sparp_next(one));
        double before = net_now();
        sparp_close(one);
        assert_near(net_now(), before, 0);
        seen_check_clean();
    }
}

static void cancel_2(sparp *run, const sparp_result *result) {
    if (result->index == 0) {
        sparp_cancel(run, 2);
        sparp_cancel(run, 0);           /* has ended: nothing happens */
        sparp_cancel(run, 999);
    }
}

static void test_cancel_one_request(void **state) {
    (void)state;
    net_answer("/a", 0.1, NET_200);
    net_answer("/slow", 3, NET_200);
    seen.on_result = cancel_2;
    get(H "/a");
    get(H "/slow");
    get(H "/slow");
    sparp_stats s = run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_outcome(1, SPARP_OUTCOME_SUCCESS);
    assert_outcome(2, SPARP_OUTCOME_CANCELLED);
    assert_int_equal(s.stopped, SPARP_STOPPED_NOT);
    assert_near(seen.at[2], 0.1, 0.01);
}

static void abort_at_first(sparp *run, const sparp_result *result) {
    if (result->index == 0)
        sparp_drain(run);
    if (result->index == 1)
        sparp_abort(run);
}

static void test_an_abort_overtakes_a_drain(void **state) {
    (void)state;
    net_answer("/a", 1, NET_200);
    net_answer("/b", 2, NET_200);
    net_answer("/c", 9, NET_200);
    seen.on_result = abort_at_first;
    options.max_at_once = 3;
    get(H "/a");
    get(H "/b");
    get(H "/c");
    get(H "/a");
    run();
    assert_outcome(1, SPARP_OUTCOME_SUCCESS);
    assert_outcome(2, SPARP_OUTCOME_CANCELLED);
    assert_outcome(3, SPARP_OUTCOME_NOT_STARTED);
    assert_near(net_now(), 2, 0.01);
}

static char log_of_calls[64];

static void *parse_note(const sparp_result *response, void *user_data) {
    (void)user_data;
    strcat(log_of_calls, "p");
    return (void *)(uintptr_t)(response->index + 1);
}

static void result_note(sparp *run, const sparp_result *result) {
    (void)result;
    strcat(log_of_calls, sparp_get_stats(run).stopped == SPARP_STOPPED_NOT ? "r" : "R");
}

static void test_S17_result_callback_then_stop(void **state) {
    (void)state;
    log_of_calls[0] = '\0';
    net_answer("/hard", 0.1, NET_404);
    net_answer("/slow", 3, NET_200);
    options.parse = parse_note;
    options.stop_on = SPARP_STOP_ON_HARD_FAIL;
    seen.on_result = result_note;
    get(H "/hard");
    get(H "/slow");
    run();
    assert_string_equal(log_of_calls, "prR");
    assert_true(seen.results[0].parsed == (void *)(uintptr_t)1);
    assert_null(seen.results[1].parsed);
}

/* --- input -------------------------------------------------------------------------------- */

/* A generator that follows a string: r ready, l later, f failed, e end. */
static const char *moves;
static int times_asked;

static sparp_input input_moves(sparp_request *out, void *user_data) {
    (void)user_data;
    times_asked++;
    out->url = H "/a";
    switch (*moves != '\0' ? *moves++ : 'e') {
    case 'r': return SPARP_INPUT_READY;
    case 'l': return SPARP_INPUT_LATER;
    case 'f': return SPARP_INPUT_FAILED;
    default:  return SPARP_INPUT_END;
    }
}

static void *wake(void *argument) {
    (void)argument;
    sparp_wake(current);
    return NULL;
}

static void test_S22_later_waits_for_a_wake(void **state) {
    (void)state;
    net_answer("/a", 0.1, NET_200);
    moves = "rlrrllre";
    times_asked = 0;
    options.next_request = input_moves;
    for (int i = 1; i <= 3; i++)
        net_at(10.0 * i, wake, NULL);
    sparp_stats s = run_current();
    assert_int_equal(s.success, 4);
    assert_int_equal(times_asked, 8);
    assert_near(seen.at[0], 0.1, 0.01);
    assert_near(seen.at[1], 10.1, 0.01);
    assert_near(seen.at[3], 30.1, 0.01);
    assert_true(s.input_ended && s.input_size == 4);
}

static void test_P08_waiting_does_not_spin(void **state) {
    (void)state;
    net_answer("/a", 0.1, NET_200);
    moves = "rlre";
    options.next_request = input_moves;
    net_at(1000, wake, NULL);
    run_current();
    CHECK(net.calls[NET_POLL] < 30, "%lu turns", (unsigned long)net.calls[NET_POLL]);
}

static void test_S14_a_failed_input_keeps_what_is_done(void **state) {
    (void)state;
    for (int drains = 0; drains < 2; drains++) {
        again();
        net_answer("/a", 0.1, NET_200);
        moves = "rrrrf";
        options.next_request = input_moves;
        options.max_at_once = 2;
        options.input_buffer_size = 1;
        options.stop_drains = drains == 1;
        sparp_stats s = seen_run(&options);
        assert_int_equal(seen.error, SPARP_E_CALLBACK_FAILED);
        assert_int_equal(s.stopped, SPARP_STOPPED_BY_INPUT);
        assert_int_equal(s.pulled, 4);
        assert_true(s.success >= 1);
        assert_false(s.input_ended);
    }
}

static void test_Z_an_empty_input_is_a_run_too(void **state) {
    (void)state;
    sparp_stats s = run();
    assert_int_equal(s.pulled, 0);
    assert_true(s.input_ended);
    again();
    moves = "e";
    times_asked = 0;
    options.next_request = input_moves;
    seen_run(&options);
    assert_int_equal(times_asked, 1);
}

static uint64_t most_ahead;

static sparp_input input_ahead(sparp_request *out, void *user_data) {
    (void)user_data;
    sparp_stats s = sparp_get_stats(current);
    if (s.pulled == 300)
        return SPARP_INPUT_END;
    most_ahead = s.waiting > most_ahead ? s.waiting : most_ahead;
    out->url = H "/a";
    return SPARP_INPUT_READY;
}

static void test_P07_input_is_read_ahead_but_never_dropped(void **state) {
    (void)state;
    static const int sizes[] = {SPARP_NONE, 1, 7, 0};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        again();
        most_ahead = 0;
        net_answer("/a", 0.1, NET_200);
        options.next_request = input_ahead;
        options.input_buffer_size = sizes[i];
        options.max_at_once = 2;
        sparp_stats s = run_current();
        uint64_t most = sizes[i] == 0 ? 100 : sizes[i] == SPARP_NONE ? 1 : (uint64_t)sizes[i];
        assert_int_equal(s.success, 300);
        assert_int_equal(most_ahead, most - 1);     /* asked with room for one more */
    }
}

static char scratch_url[64];
static sparp_field scratch_field;

static sparp_input input_scratch(sparp_request *out, void *user_data) {
    (void)user_data;
    memset(scratch_url, 'X', sizeof scratch_url);   /* whoever kept a pointer sees this */
    if (inputs_left-- == 0)
        return SPARP_INPUT_END;
    snprintf(scratch_url, sizeof scratch_url, H "/n%d", inputs_left);
    scratch_field.name = "X-N";
    scratch_field.value = scratch_url;
    out->url = scratch_url;
    out->headers = &scratch_field;
    out->num_headers = 1;
    return SPARP_INPUT_READY;
}

static void test_M13_what_a_request_points_at_is_copied(void **state) {
    (void)state;
    inputs_left = 10;
    options.next_request = input_scratch;
    options.max_at_once = 1;
    sparp_stats s = seen_run(&options);
    assert_int_equal(s.hard_fail, 10);
    assert_int_equal(net_count("/n9"), 1);
    assert_int_equal(net_count("/n0"), 1);
}

static void test_P01_index_and_user_data_come_back(void **state) {
    (void)state;
    net_answer("/a", 0, NET_200);
    for (size_t i = 0; i < 50; i++)
        get(H "/a")->user_data = &requests[i];
    get("nonsense")->user_data = &options;
    run();
    for (size_t i = 0; i < 50; i++)
        assert_true(seen.results[i].index == i && seen.results[i].user_data == &requests[i]);
    assert_true(seen.results[50].user_data == &options);
}

static void test_P02_any_token_is_a_method(void **state) {
    (void)state;
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "OPTIONS", "DELETE",
                                          "PROPFIND", "M-SEARCH"};
    net_answer("/a", 0, NET_200);
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        ask(methods[i], H "/a");
    options.max_at_once = 1;
    sparp_stats s = run();
    assert_int_equal(s.success, COUNT_OF(methods));
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        assert_string_equal(net.requests[i].method, methods[i]);
}

static void test_P20_a_bad_request_fails_alone(void **state) {
    (void)state;
    net_answer("/a", 0, NET_200);
    get(H "/a");
    get(H "/with space");
    ask("BAD METHOD", H "/a");
    get("https://10.0.0.1/");
    get(H "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 2);
    assert_int_equal(s.local_failed, 3);
    assert_int_equal(seen.results[1].error, SPARP_E_BAD_REQUEST);
    assert_int_equal(seen.results[3].error, SPARP_E_TLS_ABSENT);
}

/* --- order -------------------------------------------------------------------------------- */

static void test_M09_results_come_as_they_complete(void **state) {
    (void)state;
    net_answer("/3", 3, NET_200);
    net_answer("/1", 1, NET_200);
    net_answer("/2", 2, NET_200);
    get(H "/3");
    get(H "/1");
    get(H "/2");
    run();
    assert_int_equal(seen.order[0], 1);
    assert_int_equal(seen.order[1], 2);
    assert_int_equal(seen.order[2], 0);
}

static sparp *open_pulled(void) {
    sparp *one = seen_open();
    assert_non_null(one);
    return one;
}

static void close_pulled(sparp *one) {
    sparp_stats s = sparp_get_stats(one);
    assert_null(sparp_next(one));
    assert_null(sparp_ready(one));
    assert_false(sparp_step(one, 0));
    seen_check_end(&s);
    sparp_close(one);
    seen_check_clean();
}

static void test_Z04_ordered_results_come_by_index(void **state) {
    (void)state;
    const sparp_result *r;
    net_answer("/slow", 2, NET_200);
    net_answer("/a", 0.1, NET_200);
    options.ordered = true;
    options.max_at_once = 3;
    for (int i = 0; i < 30; i++)
        get(i % 4 == 0 ? H "/slow" : i % 4 == 1 ? "bad" : H "/a");
    sparp *one = open_pulled();
    while ((r = sparp_next(one)) != NULL) {
        assert_int_equal(r->index, seen.count);
        seen_keep(r);
    }
    close_pulled(one);
    assert_int_equal(seen.count, 30);
}

static void test_Z04_the_window_of_ordered_results_is_bounded(void **state) {
    (void)state;
    const sparp_result *r;
    uint64_t most = 0;
    net_answer("/slow", 5, NET_200);
    net_answer("/a", 0.01, NET_200);
    options.ordered = true;
    options.max_at_once = 2;
    get(H "/slow");
    get_many(99, H "/a");
    sparp *one = open_pulled();
    while (sparp_step(one, -1)) {
        sparp_stats s = sparp_get_stats(one);
        most = s.pulled - seen.count > most ? s.pulled - seen.count : most;
        while ((r = sparp_ready(one)) != NULL)
            seen_keep(r);
    }
    while ((r = sparp_ready(one)) != NULL)
        seen_keep(r);
    close_pulled(one);
    assert_int_equal(seen.count, 100);
    CHECK(most <= 8, "%lu requests at a time", (unsigned long)most);
}

static void test_P03_nobody_takes_results_and_nothing_is_lost(void **state) {
    (void)state;
    const sparp_result *r;
    net_answer("/a", 0.01, NET_200);
    options.max_at_once = 2;
    options.input_buffer_size = 1;
    get_many(100, H "/a");
    sparp *one = open_pulled();
    for (int i = 0; i < 200; i++)
        sparp_step(one, 10);
    assert_true(sparp_get_stats(one).pulled <= 8 + 2 + 1);
    while ((r = sparp_next(one)) != NULL)
        seen_keep(r);
    close_pulled(one);
    assert_int_equal(seen.count, 100);
}

static sparp_options *with_requests(void) {
    options.requests = requests;
    options.num_requests = num_requests;
    options.allocator.func = test_memory_func;
    options.allocator.user_data = &seen.memory;
    return &options;
}

static void test_M08_run_all_returns_by_index(void **state) {
    (void)state;
    net_answer("/1", 1, NET_200);
    net_answer("/2", 0.5, NET_404);
    get(H "/1");
    get(H "/2");
    get("bad");
    sparp_results all = sparp_run_all(with_requests());
    assert_int_equal(all.error, SPARP_E_OK);
    assert_int_equal(all.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(all.items[i].index, i);
    assert_string_equal(all.items[0].body, "ok");
    assert_int_equal(all.items[1].status, 404);
    assert_string_equal(all.items[0].url, H "/1");              /* Z15 */
    assert_int_equal(all.items[2].error, SPARP_E_BAD_REQUEST);  /* Z05: in its own place */
    assert_int_equal(all.items[2].status, 0);                   /* Z06 */
    sparp_results_free(&all);
    sparp_results_free(&all);
    seen_check_clean();
}

/* What one result has in common with the one before is kept once; each has its own all the same. */
static void test_M08_alike_results_share(void **state) {
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nA: 1\r\nB: 3\r\nC: 4\r\nContent-Length: 1\r\n\r\ny",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nz",
        "HTTP/1.1 200 OK\r\nB: 2\r\nA: 1\r\nContent-Length: 1\r\n\r\nx"};
    static const char *const paths[] = {"/0", "/1", "/2", "/3"};
    (void)state;
    for (int i = 0; i < 40; i++)
        get(i % 4 == 0 ? H "/0" : i % 4 == 1 ? H "/1" : i % 4 == 2 ? H "/2" : H "/3");
    for (size_t i = 0; i < 4; i++)
        net_answer(paths[i], 0.1, answers[i]);
    options.max_at_once = 1;
    sparp_results all = sparp_run_all(with_requests());
    assert_int_equal(all.count, 40);
    for (size_t i = 0; i < 40; i++) {
        static const char *const a[] = {"1", "1", NULL, "1"}, *const b[] = {"2", "3", NULL, "2"};
        const sparp_result *r = &all.items[i];
        const char *got_a = sparp_find_header(r, "a"), *got_b = sparp_find_header(r, "b");
        assert_int_equal(r->num_headers, i % 4 == 0 ? 3 : i % 4 == 1 ? 4 : i % 4 == 2 ? 1 : 3);
        assert_string_equal(r->url + strlen(H), paths[i % 4]);
        assert_int_equal(r->body[0], "xyzx"[i % 4]);
        assert_string_equal(got_a != NULL ? got_a : "-", a[i % 4] != NULL ? a[i % 4] : "-");
        assert_string_equal(got_b != NULL ? got_b : "-", b[i % 4] != NULL ? b[i % 4] : "-");
    }
    assert_ptr_equal(all.items[0].method, all.items[39].method);
    assert_ptr_equal(all.items[4].headers[0].value, all.items[5].headers[0].value);
    sparp_results_free(&all);
    seen_check_clean();
}

static void test_M10_run_any_is_the_first_success(void **state) {
    (void)state;
    net_answer("/hard", 0.1, NET_404);
    net_answer("/slow", 9, NET_200);
    net_answer("/a", 1, NET_200);
    get(H "/hard");
    get(H "/slow");
    get(H "/a");
    sparp_results any = sparp_run_any(with_requests());
    assert_int_equal(any.count, 1);
    assert_int_equal(any.items[0].index, 2);
    assert_int_equal(any.stats.cancelled, 1);
    assert_near(net_now(), 1, 0.01);
    sparp_results_free(&any);
    seen_check_clean();
}

static void test_M10_run_any_without_a_success(void **state) {
    (void)state;
    net_answer("/hard", 0.1, NET_404);
    get_many(3, H "/hard");
    sparp_results any = sparp_run_any(with_requests());
    assert_int_equal(any.count, 3);
    assert_int_equal(any.items[2].index, 2);
    sparp_results_free(&any);
    seen_check_clean();
    again();
    any = sparp_run_any(with_requests());
    assert_int_equal(any.count, 0);
    assert_int_equal(any.error, SPARP_E_OK);
    sparp_results_free(&any);
    seen_check_clean();
}

/* --- bodies ------------------------------------------------------------------------------- */

#define CHUNKED_10 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" \
                   "6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n"
#define LENGTH_10 "HTTP/1.1 200 OK\r\nX: 1\r\nx: 2\r\nContent-Length: 10\r\n\r\n0123456789"
#define CLOSE_10 "HTTP/1.1 200 OK\r\n\r\n0123456789"

static const struct {
    const char *answer;
    net_then then;
    bool keeps;
} framings[] = {
    {LENGTH_10, NET_KEEP, true}, {CHUNKED_10, NET_KEEP, true}, {CLOSE_10, NET_FIN, false},
};

static void test_bodies_of_every_framing_in_every_piece(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(framings); i++)
        for (size_t piece = 0; piece < 8; piece++) {
            again();
            net_rule *rule = net_answer_then("/a", 0.1, framings[i].answer, framings[i].then);
            rule->piece = piece;
            rule->gap_s = 0.01;
            options.max_at_once = 1;
            get_many(2, H "/a");
            sparp_stats s = run();
            assert_int_equal(s.success, 2);
            assert_string_equal(seen.bodies[1], "0123456789");
            assert_int_equal(net.connects, framings[i].keeps ? 1 : 2);
        }
}

static void test_caps_on_bodies(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(framings); i++)
        for (int cap = 9; cap <= 10; cap++)
            for (int cuts = 0; cuts < 2; cuts++) {
                again();
                net_answer_then("/a", 0, framings[i].answer, framings[i].then);
                options.max_body_bytes = cap;
                options.truncate_body = cuts == 1;
                get(H "/a");
                run();
                bool over = cap == 9 && cuts == 0;
                assert_outcome(0, over ? SPARP_OUTCOME_LOCAL_FAILED : SPARP_OUTCOME_SUCCESS);
                assert_int_equal(seen.results[0].error,
                                 over ? SPARP_E_BODY_TOO_LARGE : SPARP_E_OK);
                assert_int_equal(seen.results[0].status, 200);
                assert_int_equal(seen.results[0].truncated, cap == 9 && cuts == 1);
                if (!over)
                    assert_int_equal(seen.results[0].body_size, cap);
                assert_int_equal(net.num_starts, 1);
            }
}

static void test_a_promised_body_above_the_cap_is_not_waited_for(void **state) {
    (void)state;
    net_answer("/a", 0.1, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
    get(H "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_LOCAL_FAILED);
    assert_near(net_now(), 0.1, 0.01);
    assert_int_equal(seen.results[0].num_headers, 1);
}

static void test_S06_discarded_bodies_are_read_and_not_kept(void **state) {
    (void)state;
    net_answer("/a", 0.1, LENGTH_10);
    options.discard_body = true;
    options.max_at_once = 1;
    get_many(2, H "/a");
    run();
    assert_outcome(1, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(seen.results[1].body_size, 0);
    assert_int_equal(seen.results[1].bytes_in, strlen(LENGTH_10));
    assert_int_equal(net.connects, 1);
}

static void look_at_headers(sparp *run, const sparp_result *r) {
    (void)run;
    assert_int_equal(r->num_headers, 3);
    assert_string_equal(r->headers[0].value, "1");
    assert_string_equal(r->headers[1].value, "2");
    assert_string_equal(sparp_find_header(r, "X"), "1");
}

static void test_S05_headers_keep_order_and_duplicates(void **state) {
    (void)state;
    net_answer("/a", 0.1, LENGTH_10);
    seen.on_result = look_at_headers;
    get(H "/a");
    run();
    assert_int_equal(seen.count, 1);
}

static void test_P18_a_short_body_is_an_error(void **state) {
    (void)state;
    net_answer_then("/len", 0, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123", NET_FIN);
    net_answer_then("/chunk", 0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "4\r\n0123\r\n", NET_FIN);
    net_answer_then("/reset", 0, "HTTP/1.1 200 OK\r\n\r\n0123", NET_RST);
    options.max_retries_by_transport = SPARP_NONE;
    get(H "/len");
    get(H "/chunk");
    get(H "/reset");
    run();
    for (size_t i = 0; i < 3; i++) {
        assert_outcome(i, SPARP_OUTCOME_TRANSPORT_FAILED);
        assert_int_equal(seen.results[i].error, SPARP_E_TRUNCATED);
        assert_int_equal(seen.results[i].status, 200);          /* never invented: P19 */
    }
}

static void test_Z08_content_that_is_no_json_is_no_error(void **state) {
    (void)state;
    net_answer("/a", 0, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
               "Content-Length: 9\r\n\r\nnot json!");
    get(H "/a")->json = NULL;
    get(H "/a")->json = "[1, 2]";                               /* Z09: an array is fine */
    requests[1].method = NULL;
    sparp_stats s = run();
    assert_int_equal(s.success, 2);
    assert_string_equal(seen.bodies[0], "not json!");
    assert_string_equal(net.requests[1].method, "POST");        /* Z02, Z10 */
}

/* --- keeping connections ------------------------------------------------------------------ */

static void test_S27_the_last_used_connection_is_used_first(void **state) {
    (void)state;
    net_answer("/1", 1, NET_200);
    net_answer("/2", 2, NET_200);
    net_answer("/3", 3, NET_503);
    net_answer("/3", 3, NET_200);
    options.backoff_s = 4;
    get(H "/1");
    get(H "/2");
    get(H "/3");
    run();
    assert_int_equal(net.connects, 3);
    assert_int_equal(net.requests[3].connection, net.requests[2].connection);
}

#define KEEP(version, seconds, lines) \
    "HTTP/" version " 503 A\r\nRetry-After: " #seconds "\r\nContent-Length: 0\r\n" lines "\r\n"

static const struct {
    const char *answer;                 /* the next request comes up to 0.25 s after that */
    bool reused;
} keeps[] = {
    {KEEP("1.1", 14, ""), true},
    {KEEP("1.1", 16, ""), false},
    {KEEP("1.1", 1, "Connection: close\r\n"), false},
    {KEEP("1.0", 1, ""), false},
    {KEEP("1.0", 1, "Connection: keep-alive\r\n"), true},
    {KEEP("1.1", 3, "Keep-Alive: timeout=5\r\n"), true},
    {KEEP("1.1", 5, "Keep-Alive: timeout=5\r\n"), false},
    {KEEP("1.1", 1, "Keep-Alive: timeout=1\r\n"), false},
    {KEEP("1.1", 59, "Keep-Alive: timeout=500\r\n"), true},
    {KEEP("1.1", 61, "Keep-Alive: timeout=500\r\n"), false},
    {KEEP("1.1", 1, "") "extra", false},
    {KEEP("1.1", 1, "") "HTTP/1.1 200 OK\r\n\r\n", false},
};

static void test_how_long_a_connection_is_kept(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(keeps); i++) {
        again();
        net_answer("/a", 0.1, keeps[i].answer);
        net_answer("/a", 0.1, NET_200);
        get(H "/a");
        run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        CHECK(seen.results[0].reused == keeps[i].reused, "row %lu", (unsigned long)i);
        assert_int_equal(seen.results[0].replays, 0);
        assert_int_equal(net.connects, keeps[i].reused ? 1 : 2);
    }
}

static void test_a_connection_that_dies_while_idle_is_forgotten(void **state) {
    (void)state;
    static const net_then thens[] = {NET_FIN, NET_RST};
    for (size_t i = 0; i < COUNT_OF(thens); i++) {
        again();
        net_answer_then("/a", 0.1, NET_200, thens[i])->then_s = 0.5;
        net_answer("/soft", 1, NET_503);
        net_answer("/soft", 1, NET_200);
        options.max_at_once = 2;
        options.backoff_s = 4;
        get(H "/a");
        get("http://10.0.0.2/soft");
        ask("POST", H "/a");
        sparp_stats s = run();
        assert_int_equal(s.success, 3);
        assert_int_equal(s.replays, 0);
    }
}

/* What the loop says of the connections that wait is enough; only where it had no room to speak of
   all of them, the sockets are asked. */
static void test_one_look_tells_of_every_connection(void **state) {
    (void)state;
    for (int many = 0; many < 2; many++) {
        again();
        net_answer("/a", 0.01, NET_200);        /* 256 at most start in a turn */
        options.max_at_once = many ? 1100 : 1000;
        for (size_t i = 0; i < 3000; i++)
            ask(i % 2 == 0 ? "POST" : "GET", H "/a");
        assert_int_equal(run().success, 3000);
        size_t asked = net.calls[NET_RECV] - 3000;
        CHECK(many ? asked > 300 && asked <= 1900 : asked == 0, "%lu", (unsigned long)asked);
        assert_int_equal(net.connects, options.max_at_once);
    }
}

static size_t evils;

static void count_evil(sparp *run, const sparp_result *r) {
    (void)run;
    evils += strcmp(r->body, "ok") != 0;
    test_now_ns += 1000;                /* a callback takes its time */
}

/* An answer, and bytes that nobody asked for behind it. */
static void answer_and_more(const char *target, double gap_s) {
    static const char answer[] = NET_200 "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    net_rule *rule = net_answer(target, 0.1, answer);
    rule->piece = strlen(NET_200);
    rule->gap_s = gap_s;
}

/* They are not the next answer, with however many at once. */
static void test_stray_bytes_among_many(void **state) {
    (void)state;
    answer_and_more("/a", 0.000256);
    options.max_at_once = 1200;
    seen.on_result = count_evil;
    evils = 0;
    get_many(3000, H "/a");
    assert_int_equal(run().success, 3000);
    assert_int_equal(evils, 0);
}

static void test_bytes_out_of_turn_close_the_connection(void **state) {
    (void)state;
    answer_and_more("/a", 0);
    options.max_at_once = 1;
    get_many(3, H "/a");
    run();
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(seen.bodies[i], "ok");
    assert_int_equal(net.connects, 3);
}

/* --- names -------------------------------------------------------------------------------- */

static void test_Z13_one_lookup_per_name_for_all(void **state) {
    (void)state;
    net.lookup_s = 1;
    net_lookup("a.test", "10.0.0.2", 0);
    net_answer("/a", 0.1, NET_200);
    get_many(50, "http://a.test/a");
    get(H "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 51);
    assert_int_equal(net.lookups, 1);
    assert_near(seen.at[50], 0.1, 0.01);            /* the loop does not wait for the name */
}

static void test_S27_names_are_kept_for_a_minute(void **state) {
    (void)state;
    net_lookup("a.test", "10.0.0.2", 0);
    net_answer("/a", 25, NET_200);
    options.max_at_once = 1;
    get_many(4, "http://a.test/a");
    net_rule *rule = &net.rules[0];
    rule->bytes = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    rule->size = strlen(rule->bytes);
    run();
    assert_int_equal(net.connects, 4);
    assert_int_equal(net.lookups, 2);               /* at 0 s and at 75 s */
}

static void test_a_lookup_that_fails_is_a_transport_error(void **state) {
    (void)state;
    net_lookup("a.test", NULL, EAI_AGAIN);
    options.max_retries_by_transport = 1;
    get("http://a.test/");
    run();
    assert_outcome(0, SPARP_OUTCOME_TRANSPORT_FAILED);
    assert_int_equal(seen.results[0].error, SPARP_E_DNS_FAILED);
    assert_int_equal(seen.results[0].attempts, 2);
}

static void test_addresses_are_raced(void **state) {
    (void)state;
    net_lookup("a.test", "2001:db8::1 10.0.0.2", 0);
    net_host("2001:db8::1", -1, 0);
    net_answer("/a", 0.1, NET_200);
    get("http://a.test/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_near(seen.at[0], 0.35, 0.01);
    assert_string_equal(net.requests[0].host, "10.0.0.2");
}

static void test_a_refused_address_makes_room_for_the_next(void **state) {
    (void)state;
    net_lookup("a.test", "10.0.0.2 10.0.0.3", 0);
    net_host("10.0.0.2", 0.01, ECONNREFUSED);
    net_answer("/a", 0.1, NET_200);
    get("http://a.test/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_near(seen.at[0], 0.11, 0.01);
    assert_int_equal(seen.results[0].attempts, 1);
}

/* Two of its sockets connect at the same moment, and the rate holds the winner back. */
static void test_the_loser_of_a_race_does_not_hurt_the_winner(void **state) {
    (void)state;
    net_lookup("a.test", "10.0.0.2 10.0.0.3", 0);
    net_host("10.0.0.2", 0.30, 0);
    net_host("10.0.0.3", 0.05, 0);
    net_answer("/a", 0.001, NET_200);
    options.max_per_second = 4;
    get_many(4, "http://a.test/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 4);
    assert_int_equal(s.transport_errors, 0);
}

/* --- a system that has no more to give ---------------------------------------------------- */

static void test_out_of_descriptors_is_not_a_failure(void **state) {
    (void)state;
    net.fd_limit = 3;
    net_answer("/a", 0.1, NET_200);
    options.max_at_once = 20;
    get_many(100, H "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 100);
    assert_int_equal(s.transport_retries, 0);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(seen.results[i].attempts, 1);
    assert_int_equal(net.most_open, 3);
    CHECK(net.calls[NET_POLL] < 1000, "%lu turns", (unsigned long)net.calls[NET_POLL]);
}

static void test_every_kind_of_starvation_passes(void **state) {
    (void)state;
    static const struct {
        net_call call;
        int error;
    } kinds[] = {{NET_SOCKET, EMFILE}, {NET_SOCKET, ENFILE}, {NET_SOCKET, ENOBUFS},
                 {NET_CONNECT, EADDRNOTAVAIL}, {NET_CONNECT, ENOBUFS}, {NET_CONNECT, EAGAIN}};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        again();
        net_answer("/a", 0.1, NET_200);
        net_fail(kinds[i].call, 2, kinds[i].error);
        options.max_at_once = 4;
        get_many(10, H "/a");
        sparp_stats s = run();
        CHECK(s.success == 10 && s.transport_errors == 0, "row %lu", (unsigned long)i);
    }
}

static void test_without_any_descriptor_it_gives_up_in_time(void **state) {
    (void)state;
    net_fail(NET_SOCKET, 1, EMFILE);
    net.fail_on = true;
    options.connect_timeout_s = 2;
    get_many(20, H "/a");
    sparp_stats s = run();
    assert_int_equal(s.local_failed, 20);
    assert_int_equal(seen.results[0].error, SPARP_E_OUT_OF_RESOURCES);
    assert_near(net_now(), 2, 0.2);
    CHECK(net.calls[NET_POLL] < 200, "%lu turns", (unsigned long)net.calls[NET_POLL]);
}

static void test_idle_connections_give_way(void **state) {
    (void)state;
    net.fd_limit = 2;
    net_answer("/a", 0.1, NET_200);
    options.max_at_once = 10;
    get_many(2, H "/a");
    get_many(2, "http://10.0.0.2/a");
    get_many(2, "http://10.0.0.3/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 6);
    assert_int_equal(s.local_failed, 0);
}

/* --- other people's loops ----------------------------------------------------------------- */

static void test_wait_ms_is_exact(void **state) {
    (void)state;
    net_answer("/a", 3, NET_200);
    net_answer("/soft", 0, NET_503);
    options.timeout_s = 7;
    get(H "/a");
    sparp *one = open_pulled();
    assert_int_equal(sparp_wait_ms(one), 0);                    /* nothing has begun */
    assert_true(sparp_step(one, 0));
    assert_int_equal(sparp_wait_ms(one), 10);                   /* without a descriptor to watch */
    sparp_step(one, 0);
    assert_int_equal(sparp__run_wait_ms(one, test_now_ns), 7000);
    test_now_ns += NET_NS(0.0005);
    assert_int_equal(sparp__run_wait_ms(one, test_now_ns), 7000);     /* rounded up */
    test_now_ns += NET_NS(2.9995);
    assert_int_equal(sparp__run_wait_ms(one, test_now_ns), 4000);
    sparp_step(one, 0);
    assert_int_equal(sparp_wait_ms(one), 0);                    /* a result is there */
    seen_keep(sparp_ready(one));
    close_pulled(one);
}

static void test_a_foreign_loop_misses_nothing(void **state) {
    (void)state;
    const sparp_result *r;
    int turns = 0;
    net_answer("/a", 0.5, NET_200);
    net_answer("/soft", 0.2, NET_503);
    net_answer("/soft", 0.2, NET_200);
    options.max_per_second = 3;
    get_many(10, H "/a");
    get(H "/soft");
    sparp *one = open_pulled();
    do {
        int ms = sparp_wait_ms(one);
        assert_true(ms >= 0 && ms <= 10);
        test_now_ns += NET_NS(ms / 1e3);
        while ((r = sparp_ready(one)) != NULL)
            seen_keep(r);
        CHECK(turns++ < 2000, "%f s", net_now());
    } while (sparp_step(one, 0));
    while ((r = sparp_ready(one)) != NULL)
        seen_keep(r);
    close_pulled(one);
    assert_int_equal(seen.count, 11);
    CHECK(net_most_within(1.0) <= 4, "%lu", (unsigned long)net_most_within(1.0));
}

static void test_a_step_never_waits_longer_than_told(void **state) {
    (void)state;
    net_answer("/a", 5, NET_200);
    get(H "/a");
    sparp *one = open_pulled();
    sparp_step(one, 0);
    sparp_step(one, 0);
    assert_near(net_now(), 0, 0);
    sparp_step(one, 250);
    assert_near(net_now(), 0.25, 0.0001);
    while (sparp_step(one, 250) && sparp_get_stats(one).success == 0)
        continue;
    assert_near(net_now(), 5, 0.0001);
    seen_keep(sparp_ready(one));
    close_pulled(one);
}

/* --- progress, logging, options ----------------------------------------------------------- */

static uint64_t last_done;
static int progress_calls;

static void progress_check(sparp *run, const sparp_stats *s, void *user_data) {
    (void)run;
    (void)user_data;
    uint64_t done = seen_outcomes(s);
    assert_true(done >= last_done && (!s->input_ended || done <= s->input_size));
    last_done = done;
    progress_calls++;
}

static void test_S25_progress_by_time_and_by_results(void **state) {
    (void)state;
    net_answer("/a", 0.1, NET_200);
    for (int i = 0; i < 2; i++) {
        again();
        last_done = 0;
        progress_calls = 0;
        net_answer("/a", 0.1, NET_200);
        options.on_progress = progress_check;
        options.progress_every_s = i == 0 ? 1 : SPARP_NONE;
        options.progress_every_results = i == 0 ? 1 : 10;
        options.max_at_once = 1;
        get_many(40, H "/a");
        run();
        assert_int_equal(last_done, 40);
        assert_true(progress_calls >= 4 && progress_calls <= 5);
    }
}

static int logged;

static void count_logs(sparp_log_level level, const char *message, void *user_data) {
    (void)user_data;
    assert_true(level <= SPARP_LOG_TRACE && message[0] != '\0');
    logged++;
}

static void test_Z14_silent_unless_asked(void **state) {
    (void)state;
    logged = 0;
    options.logger.func = count_logs;               /* errors alone, by default */
    net_answer("/soft", 0.1, NET_503);
    get(H "/soft");
    run();
    assert_int_equal(logged, 0);
    options.logger.max_level = SPARP_LOG_TRACE;
    again();
    net_answer("/soft", 0.1, NET_503);
    get(H "/soft");
    run();
    assert_true(logged >= 20);
}

static void test_M01_bad_limits_are_refused(void **state) {
    (void)state;
    sparp_error error;
    options.max_at_once = -3;           /* -2 is SPARP_AUTO */
    assert_null(sparp_open(&options, &error));
    assert_int_equal(error, SPARP_E_BAD_OPTIONS);
    assert_non_null(strstr(sparp_check_options(&options), "max_at_once"));
    memset(&options, 0, sizeof options);
    options.max_per_second = -2;
    assert_non_null(strstr(sparp_check_options(&options), "max_per_second"));
    assert_int_equal(sparp_run_each(&options, NULL), SPARP_E_BAD_OPTIONS);
    net_end();
}

static void test_a_huge_burst_is_no_limit(void **state) {
    (void)state;
    net_answer("/a", 0, NET_200);
    options.max_per_second = 0.1;
    options.burst = 1000000000;
    get_many(5, H "/a");
    run();
    assert_near(net_now(), 0, 0.01);
}

static void test_G05_two_runs_do_not_know_each_other(void **state) {
    (void)state;
    net_answer("/a", 1, NET_200);
    get_many(3, H "/a");
    sparp *first = open_pulled();
    sparp *second = sparp_open(&options, NULL);
    assert_int_equal(sparp_next(first)->status, 200);
    assert_int_equal(sparp_next(second)->status, 200);
    sparp_close(first);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sparp_next(second)->status, 200);
    assert_null(sparp_next(second));
    sparp_close(second);
    seen_check_clean();
}

/* --- the rest of the rows ----------------------------------------------------------------- */

static int as_expected;

static void server_S01(const net_request *r, net_rule *answer) {
    bool first = strcmp(r->path, "/1?q=a%20b") == 0;
    as_expected += first
        ? strcmp(r->method, "PUT") == 0 && strstr(r->text, "\r\nX-A: one\r\n") != NULL
            && strstr(r->text, "\r\nX-Run: mine\r\n") != NULL
            && strstr(r->text, "\r\n\r\nbody") != NULL
        : strcmp(r->method, "POST") == 0 && strstr(r->text, "\r\nX-Run: all\r\n") != NULL
            && strstr(r->text, "\r\nContent-Type: application/json\r\n") != NULL
            && strstr(r->text, "\r\n\r\n{}") != NULL;
    answer->bytes = NET_200;
    answer->size = strlen(NET_200);
}

static void test_S01_everything_can_be_said_per_request(void **state) {
    (void)state;
    static const sparp_field everywhere = {"X-Run", "all"}, query = {"q", "a b"};
    static const sparp_field own[] = {{"X-A", "one"}, {"X-Run", "mine"}};
    as_expected = 0;
    net.server = server_S01;
    options.headers = &everywhere;
    options.num_headers = 1;
    sparp_request *r = ask("PUT", H "/1");
    r->query = &query;
    r->headers = own;
    r->num_query = 1;
    r->num_headers = 2;
    r->body = "body";
    r->body_size = 4;
    ask(NULL, H "/2")->json = "{}";
    run();
    assert_int_equal(as_expected, 2);
}

static void look_at_request(sparp *run, const sparp_result *r) {
    (void)run;
    assert_string_equal(r->method, r->index == 2 ? "DELETE" : "GET");
    assert_string_equal(r->url, r->index == 0 ? "http://10.0.0.2/x" : r->index == 1 ? "nonsense"
                        : "http://***@10.0.0.1/a");
    assert_true(r->detail[0] != '\0' || r->index == 2);
}

static void test_S15_every_result_carries_its_request(void **state) {
    (void)state;
    net_host("10.0.0.2", 0, ECONNREFUSED);
    seen.on_result = look_at_request;
    options.max_retries_by_transport = SPARP_NONE;
    get("http://10.0.0.2/x#fragment");
    get("nonsense");
    ask("DELETE", "http://user:secret@10.0.0.1/a");
    run();
    assert_int_equal(seen.count, 3);
}

static void test_S16_retries_are_told_from_0_on(void **state) {
    (void)state;
    net_answer("/soft", 0, NET_503);
    net_answer("/mute", 0, NET_SILENCE);
    options.max_retries_by_soft_fail = options.max_retries_by_timeout = 3;
    options.timeout_s = 1;
    get(H "/soft");
    get(H "/mute");
    run();
    int told[2] = {0, 0};
    for (size_t i = 0; i < seen.num_retries; i++) {
        const seen_retry *r = &seen.retries[i];
        assert_int_equal(r->made, told[r->index]++);
        assert_int_equal(r->status, r->index == 0 ? 503 : 0);
        assert_int_equal(r->error, r->index == 0 ? SPARP_E_OK : SPARP_E_TIMEOUT);
    }
    assert_int_equal(told[0], 3);
    assert_int_equal(told[1], 3);
}

static uint64_t guess;

static void look_at_guess(sparp *run, const sparp_result *result) {
    sparp_stats s = sparp_get_stats(run);
    (void)result;
    guess = s.input_ended ? guess : s.input_size;
}

static void test_S24_the_size_is_a_guess_until_the_input_ends(void **state) {
    (void)state;
    net_answer("/a", 0.1, NET_200);
    moves = "rrrrre";
    guess = 0;
    options.next_request = input_moves;
    options.estimated_input_size = 77;
    options.input_buffer_size = 1;
    options.max_at_once = 1;
    seen.on_result = look_at_guess;
    sparp_stats s = seen_run(&options);
    assert_int_equal(guess, 77);
    assert_int_equal(s.input_size, 5);
    assert_true(s.input_ended);
}

static void test_P03_nothing_is_sent_before_a_result_is_asked_for(void **state) {
    (void)state;
    net_answer("/a", 0, NET_200);
    get(H "/a");
    sparp *one = open_pulled();
    assert_int_equal(net.calls[NET_SOCKET], 0);
    assert_null(sparp_ready(one));
    assert_int_equal(net.calls[NET_SOCKET], 0);
    seen_keep(sparp_next(one));
    close_pulled(one);
}

/* The connections close, so that no timer of theirs wakes the loop by accident. */
static void test_P03_taking_results_goes_on_with_the_input(void **state) {
    (void)state;
    for (int ordered = 0; ordered < 2; ordered++) {
        const sparp_result *r;
        again();
        net_answer_then("/a", 0.01, "HTTP/1.1 200 OK\r\n\r\n", NET_FIN);
        options.max_at_once = 2;
        options.input_buffer_size = 1;
        options.ordered = ordered == 1;
        get_many(100, H "/a");
        sparp *one = open_pulled();
        for (int i = 0; i < 100; i++)
            sparp_step(one, 1);
        while ((r = sparp_next(one)) != NULL)
            seen_keep(r);
        close_pulled(one);
        assert_int_equal(seen.count, 100);
        assert_true(net_now() < 2);
    }
}

static void test_M12_one_failure_leaves_the_others(void **state) {
    (void)state;
    net_answer("/a", 0.1, NET_200);
    net_host("10.0.0.2", 0, ECONNRESET);
    net_answer("/junk", 0, "junk\r\n");
    options.max_retries_by_transport = SPARP_NONE;
    for (int i = 0; i < 10; i++) {
        get(H "/a");
        get(i % 2 == 0 ? "http://10.0.0.2/" : H "/junk");
    }
    sparp_stats s = run();
    assert_int_equal(s.success, 10);
    assert_int_equal(s.transport_failed, 10);
    assert_int_equal(s.cancelled, 0);
}

/* What is due while a callback takes its time goes out in order, not in a heap. */
static void test_M03_a_slow_callback_does_not_bunch_starts(void **state) {
    (void)state;
    net_answer("/a", 0.35, NET_200);
    options.max_per_second = 10;
    options.max_at_once = 3;
    stall_s = 2.03;
    seen.on_result = stall;
    get_many(20, H "/a");
    run();
    for (size_t i = 1; i < net.num_starts; i++) {
        double gap = (double)(net.starts[i] - net.starts[i - 1]) / 1e9;
        CHECK(gap >= 0.0899, "start %lu comes %f s after the one before", (unsigned long)i, gap);
    }
}

static void test_a_probe_of_many_names(void **state) {
    (void)state;
    static char names[40][40];
    net.lookup_s = 0.3;
    net_answer("/a", 0.1, NET_200);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(names[i], sizeof names[i], "http://n%lu.test/a", (unsigned long)i);
        get(names[i]);
        snprintf(names[i] + 24, 16, "n%lu.test", (unsigned long)i);
        net_lookup(names[i] + 24, "10.0.0.7", 0);
    }
    sparp_stats s = run();
    assert_int_equal(s.success, 40);
    assert_int_equal(net.lookups, 40);
    assert_int_equal(net.most_looking, 8 + 2 * 8);       /* eight more after 0.1 and 0.2 s */
}

/* --- corners ------------------------------------------------------------------------------ */

static void *close_all(void *argument) {
    (void)argument;
    for (int fd = 0; fd < net.top; fd++)
        net.fds[fd].fin = net.fds[fd].fin || net.fds[fd].kind == NET_TCP;
    return NULL;
}

/* Its connection is there, its token is not; then the server closes. */
static void test_a_server_that_closes_while_the_rate_holds_us_back(void **state) {
    (void)state;
    net_host("10.0.0.2", 2.5, 0);
    net_answer("/a", 0, NET_200);
    options.max_per_second = 1;
    options.max_at_once = 5;
    ask("POST", "http://10.0.0.2/a");   /* could be written at 2.5 s, but for the third one */
    get(H "/a");
    get(H "/a");
    net_at(2.75, close_all, NULL);
    sparp_stats s = run();
    assert_int_equal(s.success, 3);
    assert_int_equal(seen.results[0].transport_retries, 1);
    assert_int_equal(net_count("/a"), 3);
}

static void test_an_answer_before_the_request_is_sent(void **state) {
    (void)state;
    static char body[4000];
    memset(body, 'x', sizeof body);
    net.send_room = 1000;
    net.hasty = true;
    net_answer("/large", 0.1, "HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n");
    net_answer("/a", 0.1, NET_200);
    options.max_at_once = 1;
    sparp_request *r = ask("POST", H "/large");
    r->body = body;
    r->body_size = sizeof body;
    get(H "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_HARD_FAIL);
    assert_int_equal(seen.results[0].status, 413);
    assert_outcome(1, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(net.connects, 2);
    assert_near(net_now(), 0.2, 0.01);
}

static void test_hundreds_of_origins(void **state) {
    (void)state;
    static char many[240][40];
    net_answer("/a", 0.01, NET_200);
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        snprintf(many[i], sizeof many[i], "http://10.1.%d.%d:%d/a", (int)i / 100, (int)i % 100,
                 8000 + (int)i % 7);
        get(many[i]);
    }
    for (size_t i = 0; i < COUNT_OF(many); i++)
        get(many[i]);
    options.max_at_once = 250;
    sparp_stats s = run();
    assert_int_equal(s.success, 480);
    assert_true(s.reuses > 0 && net.most_open <= 250);
}

static void look_at_names(sparp *run, const sparp_result *result) {
    (void)result;
    assert_true(run->engine.net.resolver.ages.count <= 1024);
}

static void test_more_names_than_are_kept(void **state) {
    (void)state;
    seen.on_result = look_at_names;
    static char many[SEEN_MAX][40];
    net_lookup("*", "10.0.0.7", 0);
    net_answer("/a", 0, NET_200);
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        snprintf(many[i], sizeof many[i], "http://n%lu.test/a", (unsigned long)i);
        get(many[i]);
    }
    sparp_stats s = run();
    assert_int_equal(s.success, COUNT_OF(many));
    assert_int_equal(net.lookups, COUNT_OF(many));
}

static void test_a_name_without_an_address(void **state) {
    (void)state;
    net_lookup("void.test", "", 0);
    get("http://void.test/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_TRANSPORT_FAILED);
    assert_int_equal(seen.results[0].error, SPARP_E_DNS_NOT_FOUND);
}

static void test_families_alternate(void **state) {
    (void)state;
    net_lookup("a.test", "10.0.0.2 10.0.0.3 2001:db8::1", 0);
    net_host("10.0.0.2", -1, 0);
    net_host("10.0.0.3", -1, 0);
    net_answer("/a", 0, NET_200);
    get("http://a.test/a");
    get("http://[2001:db8::5]:8080/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_outcome(1, SPARP_OUTCOME_SUCCESS);
    assert_string_equal(net.requests[0].host, "2001:db8::5");
    assert_string_equal(net.requests[1].host, "2001:db8::1");
    assert_near(seen.at[0], 0.25, 0.01);
}

static void test_a_long_chunked_body_of_a_soft_fail_is_cut(void **state) {
    (void)state;
    static char endless[80000];
    size_t n = (size_t)sprintf(endless, "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "13000\r\n");
    memset(endless + n, 'x', sizeof endless - n);
    net_rule *rule = net_answer_bytes("/a", 0, endless, sizeof endless);
    rule->piece = 10000;
    rule->gap_s = 0.001;
    net_answer("/a", 0, NET_200);
    get(H "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(net.connects, 2);
    assert_true(net_now() < 1);
}

static void test_a_connect_that_succeeds_at_once(void **state) {
    (void)state;
    net.connects_at_once = true;
    net_lookup("a.test", "10.0.0.2 10.0.0.3", 0);
    net_answer("/a", 0.1, NET_200);
    options.max_per_second = 2;
    get_many(3, "http://a.test/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 3);
    assert_true(net_most_within(0.49) == 1);
}

static void test_P23_stop_after_a_ratio_of_failures(void **state) {
    (void)state;
    net_answer("/hard", 0.1, NET_404);
    net_answer("/a", 0.1, NET_200);
    options.max_at_once = 1;
    options.stop_after_failure_ratio = 0.25;
    for (int i = 0; i < 100; i++)
        get(i < 4 || i > 25 ? H "/hard" : H "/a");
    sparp_stats s = run();
    /* 4 of the first 20 are too few, and so it goes until 4 + 5 of 31 or more */
    assert_int_equal(s.stopped, SPARP_STOPPED_BY_RULE);
    assert_int_equal(s.success, 22);
    assert_int_equal(s.hard_fail, 8);
    assert_int_equal(s.not_started, 70);
}

static void test_a_poll_that_fails_for_good_ends_the_run(void **state) {
    (void)state;
    net_answer("/a", 1, NET_200);
    net_fail(NET_POLL, 2, EINVAL);
    net.fail_on = true;
    options.max_at_once = 2;
    get_many(5, H "/a");
    sparp_stats s = run();
    assert_int_equal(seen.error, SPARP_E_SYSTEM);
    assert_int_equal(s.stopped, SPARP_STOPPED_BY_ERROR);
    assert_int_equal(s.cancelled + s.not_started, s.pulled);
}

static void test_an_interrupted_poll_is_nothing(void **state) {
    (void)state;
    net_answer("/a", 0.1, NET_200);
    net_fail(NET_POLL, 2, EINTR);
    get(H "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SEEN_TEST(test_S10_n_retries_are_n_plus_1_attempts),
        SEEN_TEST(test_P12_n_timeouts_are_retried_n_times),
        SEEN_TEST(test_n_transport_errors_are_retried_n_times),
        SEEN_TEST(test_S09_the_three_limits_are_independent),
        SEEN_TEST(test_S21_events_and_retries_are_counted_apart),
        SEEN_TEST(test_S20_the_last_response_is_kept),
        SEEN_TEST(test_S11_pauses_double_up_to_the_cap),
        SEEN_TEST(test_S11_the_jitter_follows_the_seed),
        SEEN_TEST(test_S11_backoff_none_retries_at_once),
        SEEN_TEST(test_S07_a_sleeping_request_holds_no_slot),
        SEEN_TEST(test_M05_a_sleeping_request_takes_no_token),
        SEEN_TEST(test_S11_retry_after_is_obeyed),
        SEEN_TEST(test_S11_the_longer_of_pause_and_retry_after),
        SEEN_TEST(test_S11_above_the_cap_it_ends_now),
        SEEN_TEST(test_S03_a_junk_verdict_is_a_hard_fail),
        SEEN_TEST(test_S02_a_verdict_needs_only_the_head),
        SEEN_TEST(test_S02_a_verdict_may_need_the_body),
        SEEN_TEST(test_S02_what_has_no_body_is_complete_at_its_head),
        SEEN_TEST(test_need_body_for_ever_is_a_hard_fail),
        SEEN_TEST(test_the_default_verdicts),
        SEEN_TEST(test_S04_the_body_of_a_soft_fail_is_not_kept),
        SEEN_TEST(test_S04_a_large_body_of_a_soft_fail_is_not_even_read),
        SEEN_TEST(test_S13_what_may_be_sent_twice),
        SEEN_TEST(test_S13_what_never_left_us_is_safe),
        SEEN_TEST(test_maybe_applied_is_forgotten_by_a_success),
        SEEN_TEST(test_permanent_errors_are_not_retried),
        SEEN_TEST(test_S27_a_stale_connection_is_replaced_once),
        SEEN_TEST(test_S27_what_is_not_safe_is_not_replayed),
        SEEN_TEST(test_S27_replayed_once_is_enough),
        SEEN_TEST(test_an_answer_that_began_is_not_replayed),
        SEEN_TEST(test_a_replay_takes_a_token),
        SEEN_TEST(test_an_unannounced_close_does_not_lose_a_post),
        SEEN_TEST(test_M01_max_at_once_is_never_exceeded),
        SEEN_TEST(test_S08_there_is_no_hidden_cap),
        SEEN_TEST(test_M02_fifty_per_second_for_ten_seconds),
        SEEN_TEST(test_M03_the_first_start_is_free_and_the_rest_even),
        SEEN_TEST(test_M03_a_burst_and_then_the_pace),
        SEEN_TEST(test_the_rate_holds_for_retries_and_replays),
        SEEN_TEST(test_the_rate_holds_for_slow_connects),
        SEEN_TEST(test_waiting_for_a_token_is_no_timeout),
        SEEN_TEST(test_M03_a_stall_is_not_made_up_for),
        SEEN_TEST(test_M05_slot_and_token_are_taken_together),
        SEEN_TEST(test_S12_a_timeout_names_its_phase),
        SEEN_TEST(test_S12_a_kernel_timeout_is_a_timeout),
        SEEN_TEST(test_idle_timeout_counts_from_the_last_byte),
        SEEN_TEST(test_S12_each_request_may_have_its_own_timeout),
        SEEN_TEST(test_P11_queueing_is_no_timeout),
        SEEN_TEST(test_a_deadline_bounds_all_attempts),
        SEEN_TEST(test_a_wait_beyond_a_deadline_is_not_begun),
        SEEN_TEST(test_a_deadline_counts_while_waiting_for_a_slot),
        SEEN_TEST(test_run_deadline_cuts_everything),
        SEEN_TEST(test_times_add_up),
        SEEN_TEST(test_S18_each_stop_rule_fires_at_its_event),
        SEEN_TEST(test_S18_no_rule_is_on_by_default),
        SEEN_TEST(test_P23_stop_after_failures),
        SEEN_TEST(test_stop_after_successes),
        SEEN_TEST(test_S19_abort_cuts_and_drain_lets_end),
        SEEN_TEST(test_cancelled_after_bytes_left_us_may_have_been_applied),
        SEEN_TEST(test_P21_stop_and_cancel_from_every_callback),
        SEEN_TEST(test_M11_closing_early_cancels_the_rest),
        SEEN_TEST(test_cancel_one_request),
        SEEN_TEST(test_an_abort_overtakes_a_drain),
        SEEN_TEST(test_S17_result_callback_then_stop),
        SEEN_TEST(test_S22_later_waits_for_a_wake),
        SEEN_TEST(test_P08_waiting_does_not_spin),
        SEEN_TEST(test_S14_a_failed_input_keeps_what_is_done),
        SEEN_TEST(test_Z_an_empty_input_is_a_run_too),
        SEEN_TEST(test_P07_input_is_read_ahead_but_never_dropped),
        SEEN_TEST(test_M13_what_a_request_points_at_is_copied),
        SEEN_TEST(test_P01_index_and_user_data_come_back),
        SEEN_TEST(test_P02_any_token_is_a_method),
        SEEN_TEST(test_P20_a_bad_request_fails_alone),
        SEEN_TEST(test_M09_results_come_as_they_complete),
        SEEN_TEST(test_Z04_ordered_results_come_by_index),
        SEEN_TEST(test_Z04_the_window_of_ordered_results_is_bounded),
        SEEN_TEST(test_P03_nobody_takes_results_and_nothing_is_lost),
        SEEN_TEST(test_M08_run_all_returns_by_index), SEEN_TEST(test_M08_alike_results_share),
        SEEN_TEST(test_M10_run_any_is_the_first_success),
        SEEN_TEST(test_M10_run_any_without_a_success),
        SEEN_TEST(test_bodies_of_every_framing_in_every_piece),
        SEEN_TEST(test_caps_on_bodies),
        SEEN_TEST(test_a_promised_body_above_the_cap_is_not_waited_for),
        SEEN_TEST(test_S06_discarded_bodies_are_read_and_not_kept),
        SEEN_TEST(test_S05_headers_keep_order_and_duplicates),
        SEEN_TEST(test_P18_a_short_body_is_an_error),
        SEEN_TEST(test_Z08_content_that_is_no_json_is_no_error),
        SEEN_TEST(test_S27_the_last_used_connection_is_used_first),
        SEEN_TEST(test_how_long_a_connection_is_kept),
        SEEN_TEST(test_a_connection_that_dies_while_idle_is_forgotten),
        SEEN_TEST(test_one_look_tells_of_every_connection),
        SEEN_TEST(test_stray_bytes_among_many),
        SEEN_TEST(test_bytes_out_of_turn_close_the_connection),
        SEEN_TEST(test_Z13_one_lookup_per_name_for_all),
        SEEN_TEST(test_S27_names_are_kept_for_a_minute),
        SEEN_TEST(test_a_lookup_that_fails_is_a_transport_error),
        SEEN_TEST(test_addresses_are_raced),
        SEEN_TEST(test_a_refused_address_makes_room_for_the_next),
        SEEN_TEST(test_the_loser_of_a_race_does_not_hurt_the_winner),
        SEEN_TEST(test_out_of_descriptors_is_not_a_failure),
        SEEN_TEST(test_every_kind_of_starvation_passes),
        SEEN_TEST(test_without_any_descriptor_it_gives_up_in_time),
        SEEN_TEST(test_idle_connections_give_way),
        SEEN_TEST(test_wait_ms_is_exact),
        SEEN_TEST(test_a_foreign_loop_misses_nothing),
        SEEN_TEST(test_a_step_never_waits_longer_than_told),
        SEEN_TEST(test_S25_progress_by_time_and_by_results),
        SEEN_TEST(test_Z14_silent_unless_asked),
        SEEN_TEST(test_M01_bad_limits_are_refused),
        SEEN_TEST(test_a_huge_burst_is_no_limit),
        SEEN_TEST(test_G05_two_runs_do_not_know_each_other),
        SEEN_TEST(test_S01_everything_can_be_said_per_request),
        SEEN_TEST(test_S15_every_result_carries_its_request),
        SEEN_TEST(test_S16_retries_are_told_from_0_on),
        SEEN_TEST(test_S24_the_size_is_a_guess_until_the_input_ends),
        SEEN_TEST(test_P03_nothing_is_sent_before_a_result_is_asked_for),
        SEEN_TEST(test_P03_taking_results_goes_on_with_the_input),
        SEEN_TEST(test_M12_one_failure_leaves_the_others),
        SEEN_TEST(test_M03_a_slow_callback_does_not_bunch_starts),
        SEEN_TEST(test_a_probe_of_many_names),
        SEEN_TEST(test_a_server_that_closes_while_the_rate_holds_us_back),
        SEEN_TEST(test_an_answer_before_the_request_is_sent),
        SEEN_TEST(test_hundreds_of_origins),
        SEEN_TEST(test_more_names_than_are_kept),
        SEEN_TEST(test_a_name_without_an_address),
        SEEN_TEST(test_families_alternate),
        SEEN_TEST(test_a_long_chunked_body_of_a_soft_fail_is_cut),
        SEEN_TEST(test_a_connect_that_succeeds_at_once),
        SEEN_TEST(test_P23_stop_after_a_ratio_of_failures),
        SEEN_TEST(test_a_poll_that_fails_for_good_ends_the_run),
        SEEN_TEST(test_an_interrupted_poll_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

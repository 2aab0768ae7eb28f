/* Look-ups: who waits for whom, how many threads there are, which families are asked for; on a
   scripted clock and a network inside the process, see ../fakenet.h. */
#define NET_FDS 700
#define NET_IN_SIZE 1024
#include "../fakenet.h"
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#include "../seen.h"

#define NAMES 1000

static char urls[NAMES][40];
static size_t num_urls;

static void prepare(void) {
    memset(&options, 0, sizeof options);
    num_urls = 0;
    net_answer("/a", 0.01, NET_200);
    options.max_at_once = 600;
    options.max_retries_by_timeout = options.max_retries_by_transport = SPARP_NONE;
}

static sparp_request *get_host(const char *host) {
    assert_true(num_urls < NAMES);
    snprintf(urls[num_urls], sizeof urls[0], "http://%s/a", host);
    return get(urls[num_urls++]);
}

/* "slow0.test", "slow1.test" ... */
static void get_names(const char *prefix, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char host[32];
        snprintf(host, sizeof host, "%s%lu.test", prefix, (unsigned long)i);
        get_host(host);
    }
}

/* --- those that wait ------------------------------------------------------------------------ */

/* Names whose servers are dead hold threads for long; the others have theirs. */
static void test_4_slow_names_do_not_starve_good_ones(void **state) {
    (void)state;
    for (size_t slow = 1; slow <= 50; slow += 7) {
        again();
        net_lookup("slow*", NULL, EAI_AGAIN)->takes_s = 20;
        net_lookup("good*", "10.0.0.1", 0)->takes_s = 0.02;
        get_names("slow", slow);
        get_names("good", 40);
        sparp_stats s = run();
        CHECK(s.success == 40, "%lu slow names: %lu", (unsigned long)slow,
              (unsigned long)s.success);
        for (size_t i = slow; i < num_requests; i++)
            CHECK(seen.at[i] < 1, "%lu slow names: %lu after %f s", (unsigned long)slow,
                  (unsigned long)i, seen.at[i]);
        CHECK(s.timeout_exhausted == slow, "%lu", (unsigned long)s.timeout_exhausted);
        for (size_t i = 0; i < slow; i++)
            assert_near(seen.at[i], 10, 0.75);          /* what it waited for a thread is not its */
    }
}

/* Also where there are more of them than threads: a thread that nobody waits for is replaced. */
static void test_4_a_thread_that_nobody_waits_for_does_not_count(void **state) {
    (void)state;
    net_lookup("slow*", NULL, EAI_AGAIN)->takes_s = 1000;
    net_lookup("good*", "10.0.0.1", 0)->takes_s = 0.02;
    options.dns_timeout_s = 2;
    get_names("slow", 150);
    get_names("good", 20);
    sparp_stats s = run();
    assert_int_equal(s.success, 20);
    assert_int_equal(s.timeout_exhausted, 150);
    for (size_t i = 150; i < num_requests; i++)
        CHECK(seen.at[i] < 2 * 2 + 2, "%lu after %f s", (unsigned long)i, seen.at[i]);
    assert_true(net.most_looking > 64 && net.most_looking <= 64 + 150);
}

/* However many there are: the threads are bounded, and every request ends. */
static void test_4_threads_are_bounded(void **state) {
    (void)state;
    net_lookup("slow*", NULL, EAI_AGAIN)->takes_s = 30;
    options.dns_timeout_s = 0.5;
    get_names("slow", 600);
    sparp_stats s = run();
    assert_int_equal(s.timeout_exhausted, 600);
    assert_int_equal(net.most_looking, 64 + 192);
    for (size_t i = 0; i < num_requests; i++)
        assert_int_equal(seen.results[i].phase, SPARP_PHASE_DNS);
}

/* Eight do where the queue moves. */
static void test_4_a_queue_that_moves_needs_eight(void **state) {
    (void)state;
    net_lookup("*", "10.0.0.1", 0)->takes_s = 0.09;
    get_names("n", 200);
    assert_int_equal(run().success, 200);
    assert_int_equal(net.most_looking, 8);
    assert_int_equal(net.lookups, 200);
}

/* No timer counts what a name waited for a thread; all of them count what the look-up takes. */
static void test_4_the_clock_starts_with_the_thread(void **state) {
    (void)state;
    static const struct { const char *name; size_t offset; } timers[] = {
        {"dns", offsetof(sparp_options, dns_timeout_s)},
        {"connect", offsetof(sparp_options, connect_timeout_s)},
        {"attempt", offsetof(sparp_options, timeout_s)},
        {"idle", offsetof(sparp_options, idle_timeout_s)},
    };
    for (size_t i = 0; i < COUNT_OF(timers); i++)
        for (int late = 0; late < 2; late++) {
            double patience = 2;
            again();
            net.label = timers[i].name;
            memcpy((char *)&options + timers[i].offset, &patience, sizeof patience);
            options.max_at_once = 100;
            net_lookup("slow*", "10.0.0.2", 0)->takes_s = 1.9;
            net_lookup("last*", "10.0.0.1", 0)->takes_s = late ? 2.1 : 1.8;
            get_names("slow", 80);      /* 8, 16 ... 64 at one time; the last one gets the */
            get_names("last", 1);       /* thread of the 17th, which ends after 2.1 s */
            sparp_stats s = run();
            CHECK(s.success == (late ? 80 : 81), "%s: %lu", net.label, (unsigned long)s.success);
            assert_near(seen.at[80], 2.1 + (late ? 2.0 : 1.8), 0.05);
            assert_int_equal(net.most_looking, 64);
        }
}

/* What a name waited for a thread is in no time of its attempt, and no time is negative. */
static void test_4_times_add_up(void **state) {
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        again();
        net_lookup("slow*", "10.0.0.1", 0)->takes_s = 2;
        net_lookup("last*", fails ? NULL : "10.0.0.1", fails ? EAI_AGAIN : 0)->takes_s = 0.5;
        get_names("slow", 80);
        get_names("last", 1);
        run();
        const sparp_result *r = &seen.results[80];
        assert_int_equal(r->error, fails ? SPARP_E_DNS_FAILED : SPARP_E_OK);
        assert_near((double)r->phase_us[SPARP_PHASE_DNS] / 1e6, 0.5, 0.01);
        assert_near((double)r->elapsed_us / 1e6, fails ? 0.5 : 0.51, 0.01);
        assert_near((double)r->total_us / 1e6, seen.at[80], 0.01);
        for (size_t i = 0; i < num_requests; i++)
            for (int k = 0; k < SPARP_PHASE_COUNT; k++)
                assert_true(seen.results[i].phase_us[k] >= 0);
    }
}

/* A thread reads a clock of its own, which may be later than what the loop takes for now. */
static void test_4_no_clock_runs_ahead(void **state) {
    (void)state;
    sparp__lookup lookup;
    memset(&lookup, 0, sizeof lookup);
    lookup.started_at = 1000;
    assert_int_equal(sparp__resolver_started(&lookup, 999), 999);
    assert_int_equal(sparp__resolver_started(&lookup, 1001), 1000);
}

/* The time between two starts of one name's attempt is the name's own, whoever waits for it. */
static void test_4_who_comes_later_has_his_own_clock(void **state) {
    (void)state;
    net_lookup("slow*", "10.0.0.1", 0)->takes_s = 3;
    options.dns_timeout_s = 2;
    options.max_at_once = 1;
    options.max_retries_by_timeout = 1;
    options.backoff_s = SPARP_NONE;
    get_host("slow.test");
    run();
    assert_int_equal(seen.results[0].outcome, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(seen.results[0].timeout_retries, 1);
    assert_int_equal(net.lookups, 1);                   /* the one that it had given up */
    assert_near(seen.at[0], 3, 0.05);
}

/* A request's deadline bounds all its waits, this one too. */
static void test_4_a_deadline_counts_the_queue(void **state) {
    (void)state;
    net_lookup("slow*", "10.0.0.1", 0)->takes_s = 5;
    get_names("slow", 80);
    get_host("last.test")->deadline_s = 1;
    net_lookup("last*", "10.0.0.1", 0)->takes_s = 0.01;
    run();
    assert_near(seen.at[80], 1, 0.002);
    assert_int_equal(seen.results[80].outcome, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
}

/* What nobody waits for any more is not asked for: the queue is empty when they have gone. */
static void test_4_who_has_gone_is_not_looked_up(void **state) {
    (void)state;
    net_lookup("*", "10.0.0.1", 0)->takes_s = 3;
    get_names("n", 100);
    for (size_t i = 0; i < num_requests; i++)
        requests[i].deadline_s = 0.05;
    run();
    assert_int_equal(net.lookups, 8);
    for (size_t i = 0; i < num_requests; i++)
        assert_near(seen.at[i], 0.05, 0.002);
}

static void stop_with_first(sparp *run, const sparp_result *result) {
    (void)result;
    sparp_stop(run);
}

static void test_4_a_stop_empties_the_queue(void **state) {
    (void)state;
    net_lookup("n*", "10.0.0.1", 0)->takes_s = 3;
    net_lookup("soon.test", "10.0.0.1", 0);
    get_host("soon.test");
    get_names("n", 100);
    seen.on_result = stop_with_first;
    run();
    assert_int_equal(net.lookups, 1 + 8);
    assert_near(seen.at[100], 0.01, 0.01);
}

/* A name that was dropped from the queue is looked up when it is wanted again. */
static void test_4_a_dropped_name_comes_back(void **state) {
    (void)state;
    net_lookup("slow*", "10.0.0.1", 0)->takes_s = 4;
    net_lookup("back*", "10.0.0.1", 0)->takes_s = 0.01;
    options.max_at_once = 9;
    get_names("slow", 8);
    get_host("back.test")->deadline_s = 0.05;
    get_host("back.test");
    run();
    assert_int_equal(seen.results[8].outcome, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
    assert_int_equal(seen.results[9].outcome, SPARP_OUTCOME_SUCCESS);
    assert_true(seen.at[9] < 0.3);
}

/* --- what fails ----------------------------------------------------------------------------- */

/* The answer that there is none is kept for a second: to hear it again costs no retry. */
static void test_4_a_failure_costs_one_retry(void **state) {
    (void)state;
    static const double backoffs[] = {SPARP_NONE, 0.1, 0.5, 4};
    for (size_t i = 0; i < COUNT_OF(backoffs); i++) {
        again();
        net_lookup("bad.test", NULL, EAI_AGAIN)->takes_s = 0.1;
        options.max_retries_by_transport = 5;
        options.backoff_s = backoffs[i];
        get_host("bad.test");
        run();
        assert_int_equal(seen.results[0].attempts, 6);
        CHECK(net.lookups == 6, "pause %g: %d look-ups", backoffs[i], net.lookups);
        assert_true(seen.at[0] >= 5 * 1 + 0.6);
    }
}

/* Others hear it at once. */
static void test_4_a_failure_is_told_to_all(void **state) {
    (void)state;
    net_lookup("bad.test", NULL, EAI_AGAIN)->takes_s = 0.1;
    options.max_at_once = 1;
    for (int i = 0; i < 50; i++)
        get_host("bad.test");
    sparp_stats s = run();
    assert_int_equal(s.transport_failed, 50);
    assert_int_equal(net.lookups, 1);
}

static void test_4_no_thread_to_be_had(void **state) {
    (void)state;
    net_lookup("*", "10.0.0.1", 0)->takes_s = 0.3;
    net_fail(NET_THREAD, 1, EAGAIN);
    net.fail_on = true;
    get_names("n", 3);
    sparp_stats s = run();
    assert_int_equal(s.transport_failed, 3);
    assert_int_equal(net.lookups, 0);
    again();                                            /* one was: it does all of them */
    net_lookup("*", "10.0.0.1", 0)->takes_s = 0.3;
    net_fail(NET_THREAD, 2, EAGAIN);
    net.fail_on = true;
    get_names("n", 10);
    s = run();
    assert_int_equal(s.success, 10);
    assert_int_equal(net.most_looking, 1);
    assert_near(seen.at[9], 10 * 0.3, 0.1);
}

/* --- families ------------------------------------------------------------------------------- */

static void check_families(const char *name, int count, int first, int second) {
    CHECK(net.lookups == count, "%s: %d look-ups", name, net.lookups);
    CHECK(net.families[0] == first, "%s: family %d", name, net.families[0]);
    CHECK(count < 2 || net.families[1] == second, "%s: family %d", name, net.families[1]);
}

/* Who wants one family asks for one. */
static void test_4_only_the_wanted_family_is_asked_for(void **state) {
    (void)state;
    static const struct {
        int ip_version;
        const char *local;
        int family;
        const char *host;
    } rows[] = {
        {0, NULL, AF_UNSPEC, "2001:db8::1"}, {4, NULL, AF_INET, "10.0.0.1"},
        {6, NULL, AF_INET6, "2001:db8::1"}, {4, "10.0.0.5", AF_INET, "10.0.0.1"},
        {6, "2001:db8::5", AF_INET6, "2001:db8::1"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        again();
        net_lookup("a.test", "2001:db8::1 10.0.0.1", 0);
        options.ip_version = rows[i].ip_version;
        get_host("a.test");
        run();
        assert_int_equal(seen.results[0].outcome, SPARP_OUTCOME_SUCCESS);
        check_families(rows[i].host, 1, rows[i].family, 0);
        assert_string_equal(net.requests[0].host, rows[i].host);
        options.local_address = rows[i].local;
        assert_int_equal(sparp__route_family(&options), rows[i].family);
        options.ip_version = 0;
        assert_int_equal(sparp__route_family(&options), rows[i].local != NULL ? rows[i].family
                                                                              : AF_UNSPEC);
    }
}

static void test_4_a_name_without_the_wanted_family(void **state) {
    (void)state;
    net_lookup("a.test", "2001:db8::1", 0);
    options.ip_version = 4;
    options.max_retries_by_transport = 3;
    get_host("a.test");
    run();
    assert_int_equal(seen.results[0].error, SPARP_E_DNS_NOT_FOUND);
    assert_int_equal(seen.results[0].attempts, 1);
}

/* A server that drops the question for IPv6 holds up nobody who has no IPv6, or did not ask. */
static void test_4_ipv6_is_not_waited_for_where_there_is_none(void **state) {
    (void)state;
    static const struct { bool no_ipv6; int ip_version; double at; } rows[] = {
        {true, 0, 0.01}, {false, 4, 0.01}, {true, 4, 0.01}, {false, 0, 5.01}, {true, 6, 5.01},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        again();
        net_lookup("a.test", "10.0.0.1 2001:db8::1", 0);
        net.aaaa_s = 5;
        net.no_ipv6 = rows[i].no_ipv6;
        options.ip_version = rows[i].ip_version;
        get_host("a.test");
        run();
        assert_int_equal(seen.results[0].outcome, SPARP_OUTCOME_SUCCESS);
        assert_near(seen.at[0], rows[i].at, 0.005);
        CHECK(net.lookups == 1, "row %lu", (unsigned long)i);
    }
}

/* Without IPv6: names of /etc/hosts are asked for with both, others for IPv6 only if there is no
   other address, and ::1 needs no look-up. */
static void test_4_loopback_alone_still_has_ipv6(void **state) {
    (void)state;
    static const struct {
        const char *name, *addresses, *host;
        int count, first, second;
    } rows[] = {
        {"both.test", "::1 127.0.0.1", "::1", 1, AF_UNSPEC, 0},
        {"BOTH.test", "::1 127.0.0.1", "::1", 1, AF_UNSPEC, 0},
        {"last.test", "10.0.0.2", "10.0.0.2", 1, AF_UNSPEC, 0},
        {"localhost", "::1 127.0.0.1", "::1", 1, AF_UNSPEC, 0},
        {"six.test", "::1", "::1", 2, AF_INET, AF_INET6},
        {"commented.test", "10.0.0.2 ::1", "10.0.0.2", 1, AF_INET, 0},
        {"not.test", "10.0.0.2 ::1", "10.0.0.2", 1, AF_INET, 0},
        {"both.tes", "10.0.0.2 ::1", "10.0.0.2", 1, AF_INET, 0},
        {"oth.test", "10.0.0.2 ::1", "10.0.0.2", 1, AF_INET, 0},
        {"[::1]", NULL, "::1", 0, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        again();
        net.no_ipv6 = true;
        if (rows[i].addresses != NULL)
            net_lookup("*", rows[i].addresses, 0);
        get_host(rows[i].name);
        run();
        CHECK(seen.results[0].outcome == SPARP_OUTCOME_SUCCESS, "%s", rows[i].name);
        assert_string_equal(net.requests[0].host, rows[i].host);
        check_families(rows[i].name, rows[i].count, rows[i].first, rows[i].second);
    }
    static const int errors[] = {EAI_NONAME, EAI_AGAIN, EAI_FAIL};
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        again();
        net.no_ipv6 = true;
        net_lookup("bad.test", NULL, errors[i]);
        get_host("bad.test");
        run();
        check_families("bad.test", errors[i] == EAI_NONAME ? 2 : 1, AF_INET, AF_INET6);
        assert_int_equal(seen.results[0].error, errors[i] == EAI_NONAME ? SPARP_E_DNS_NOT_FOUND
                                                                        : SPARP_E_DNS_FAILED);
    }
}

int main(void) {
    seen_prepare = prepare;
    static const struct CMUnitTest tests[] = {
        SEEN_TEST(test_4_slow_names_do_not_starve_good_ones),
        SEEN_TEST(test_4_a_thread_that_nobody_waits_for_does_not_count),
        SEEN_TEST(test_4_threads_are_bounded), SEEN_TEST(test_4_a_queue_that_moves_needs_eight),
        SEEN_TEST(test_4_the_clock_starts_with_the_thread),
        SEEN_TEST(test_4_who_comes_later_has_his_own_clock), SEEN_TEST(test_4_times_add_up),
        SEEN_TEST(test_4_no_clock_runs_ahead), SEEN_TEST(test_4_a_deadline_counts_the_queue),
        SEEN_TEST(test_4_who_has_gone_is_not_looked_up),
        SEEN_TEST(test_4_a_stop_empties_the_queue), SEEN_TEST(test_4_a_dropped_name_comes_back),
        SEEN_TEST(test_4_a_failure_costs_one_retry), SEEN_TEST(test_4_a_failure_is_told_to_all),
        SEEN_TEST(test_4_no_thread_to_be_had),
        SEEN_TEST(test_4_only_the_wanted_family_is_asked_for),
        SEEN_TEST(test_4_a_name_without_the_wanted_family),
        SEEN_TEST(test_4_ipv6_is_not_waited_for_where_there_is_none),
        SEEN_TEST(test_4_loopback_alone_still_has_ipv6),
    };
    return cmocka_run_group_tests_name("look-ups", tests, NULL, NULL);
}

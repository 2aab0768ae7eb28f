/* Who may start when: origins and their gates, the retry budget, paces that change, how many at
   once found out, permits, and what all the waiting was for. On a scripted clock and a network
   inside the process: see ../fakenet.h. */
#include <math.h>
#define NET_REQUESTS 120000
#define SEEN_MAX 9000
#include "../fakenet.h"
#define SPARP_NO_TLS
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#include "../seen.h"

#define H "http://10.0.0.1"
#define BUSY(lines) "HTTP/1.1 429 Slower\r\n" lines "Content-Length: 0\r\n\r\n"
#define AWAY(lines) "HTTP/1.1 503 Away\r\n" lines "Content-Length: 0\r\n\r\n"
#define S INT64_C(1000000000)
#define MS INT64_C(1000000)

/* sparp.h takes its private macros away at its end. */
#define NEVER INT64_MAX
#define GATE_OPEN 256
#define AIMD_START 8
#define AIMD_MAX 1000

/* --- what the servers saw, origin by origin, and what the gate must be by their account ---- */

#define MAX_PLACES 8
#define MAX_ANSWERS 4096

typedef struct place {                  /* one host */
    char    host[48];
    int64_t arrives[MAX_ANSWERS];       /* answers on their way */
    int     status[MAX_ANSWERS];
    double  after_s[MAX_ANSWERS];       /* their Retry-After */
    int     in_flight, most;
    int64_t closed_until;
    int     width, widest;              /* 0: open; at once while it reopened, at most */
    size_t  closings;
} place;

static place places[MAX_PLACES];
static size_t num_places;
static bool no_gate_expected;
static void (*town_answer)(const net_request *request, place *at, net_rule *answer);

static void forget_places(void) {
    num_places = 0;
    no_gate_expected = false;
    town_answer = NULL;
}

static place *place_of(const char *host) {
    for (size_t i = 0; i < num_places; i++)
        if (strcmp(places[i].host, host) == 0)
            return &places[i];
    assert_true(num_places < MAX_PLACES);
    place *p = &places[num_places++];
    memset(p, 0, sizeof *p);
    snprintf(p->host, sizeof p->host, "%s", host);
    return p;
}

/* An answer has arrived: one place in flight less; the gate opens further, or closes. */
static void place_learn(place *p, int i) {
    int64_t at = p->arrives[i];
    if (p->status[i] == 429 || (p->status[i] == 503 && p->after_s[i] > 0)) {
        int64_t until = at + NET_NS(p->after_s[i]);
        p->closings += p->closed_until <= at;
        p->closed_until = until > p->closed_until ? until : p->closed_until;
        p->width = 1;
    } else if (p->status[i] < 400 && p->width > 0 && p->closed_until <= at) {
        p->width = p->width * 2 < 256 ? p->width * 2 : 0;
    }
    p->in_flight--;
    p->arrives[i] = p->arrives[p->in_flight];
    p->status[i] = p->status[p->in_flight];
    p->after_s[i] = p->after_s[p->in_flight];
}

/* What has arrived by now, in its order. What arrives just now may be seen a moment later: it
   counts only where it allows more. */
static void place_settle(place *p) {
    for (;;) {
        int next = -1;
        for (int i = 0; i < p->in_flight; i++)
            if ((p->arrives[i] < test_now_ns
                 || (p->arrives[i] == test_now_ns && p->status[i] < 400))
                && (next < 0 || p->arrives[i] < p->arrives[next]))
                next = i;
        if (next < 0)
            return;
        place_learn(p, next);
    }
}

/* A request has come: may it? */
static void place_check(const place *p) {
    if (no_gate_expected)
        return;
    CHECK(p->closed_until <= test_now_ns, "%s is closed for %f s", p->host,
          (double)(p->closed_until - test_now_ns) / 1e9);
    CHECK(p->width == 0 || p->in_flight < p->width, "%s: %d at once, %d may", p->host,
          p->in_flight + 1, p->width);
}

static void place_serve(place *p, const net_rule *answer) {
    if (answer->size == 0)
        return;                         /* never answered: nobody knows when it is over */
    const char *after = strstr(answer->bytes, "Retry-After: ");
    assert_true(p->in_flight < MAX_ANSWERS);
    p->arrives[p->in_flight] = test_now_ns + NET_NS(answer->delay_s);
    p->status[p->in_flight] = atoi(answer->bytes + 9);
    p->after_s[p->in_flight] = after != NULL ? atof(after + 13) : 0;
    p->in_flight++;
    p->most = p->in_flight > p->most ? p->in_flight : p->most;
    if (p->width > 0 && p->in_flight > p->widest)
        p->widest = p->in_flight;
}

static void town(const net_request *request, net_rule *answer) {
    place *p = place_of(request->host);
    place_settle(p);
    place_check(p);
    if (town_answer != NULL)
        town_answer(request, p, answer);
    else
        net_choose(request, answer);
    place_serve(p, answer);
}

static void say(net_rule *answer, double delay_s, const char *bytes) {
    answer->bytes = bytes;
    answer->size = strlen(bytes);
    answer->delay_s = delay_s;
}

/* Most requests that one host got in any window of that length, its end excluded. */
static size_t most_within(const char *host, double seconds) {
    static int64_t at[NET_REQUESTS];
    size_t n = 0, most = 0;
    for (size_t i = 0; i < net.num_requests; i++)
        if (strcmp(net.requests[i].host, host) == 0)
            at[n++] = net.requests[i].at;
    for (size_t first = 0, i = 0; i < n; i++) {
        while (at[i] - at[first] >= NET_NS(seconds))
            first++;
        most = i - first + 1 > most ? i - first + 1 : most;
    }
    return most;
}

static double last_end_of(const char *url) {
    double last = 0;
    for (size_t i = 0; i < num_requests; i++)
        if (strcmp(requests[i].url, url) == 0 && seen.at[i] > last)
            last = seen.at[i];
    return last;
}

/* --- the gate, by itself ------------------------------------------------------------------ */

static void test_a_zeroed_gate_is_open(void **state) {
    (void)state;
    sparp__gate g;
    memset(&g, 0, sizeof g);
    for (int i = 0; i < 1000; i++) {
        assert_true(sparp__gate_wait(&g, 0, 1, 7 * S) == 0);
        assert_int_equal(sparp__gate_wait(&g, 0, 1, 7 * S), 0);
        sparp__gate_enter(&g, 1, 7 * S);
    }
    assert_int_equal(g.in_flight, 1000);
    assert_true(sparp__gate_memory(&g) <= 7 * S);
}

static void test_a_gate_counts_those_inside(void **state) {
    (void)state;
    sparp__gate g;
    memset(&g, 0, sizeof g);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sparp__gate_wait(&g, 3, 1, S), 0);
        sparp__gate_enter(&g, 1, S);
    }
    assert_true(sparp__gate_wait(&g, 3, 1, S) == NEVER);
    assert_int_equal(sparp__gate_wait(&g, 4, 1, S), 0);
    g.in_flight--;
    assert_int_equal(sparp__gate_wait(&g, 3, 1, S), 0);
}

static void test_a_gate_has_its_own_pace(void **state) {
    (void)state;
    sparp__gate g;
    memset(&g, 0, sizeof g);
    sparp__meter_init(&g.admit, 10, 2, 0, 0);
    sparp__gate_enter(&g, 1, S);
    g.in_flight--;
    assert_int_equal(sparp__gate_wait(&g, 0, 1, S), 0);
    sparp__gate_enter(&g, 1, S);
    assert_int_equal(sparp__gate_wait(&g, 0, 1, S), 100 * MS);
    assert_int_equal(sparp__gate_wait(&g, 0, 1, S + 100 * MS), 0);
    assert_true(sparp__gate_memory(&g) > S);        /* who forgets it gives the burst again */
}

static void test_a_gate_closes_until_the_latest_end(void **state) {
    (void)state;
    sparp__gate g;
    memset(&g, 0, sizeof g);
    sparp__gate_close(&g, 1, 10 * S, 12 * S);
    sparp__gate_close(&g, 1, 11 * S, 11 * S + 5);   /* sooner: nothing new */
    assert_true(g.closed_until == 12 * S && g.closed_at == 10 * S);
    assert_true(sparp__gate_wait(&g, 0, 1, 11 * S) == S);
    sparp__gate_close(&g, 1, 11 * S, 15 * S);
    assert_true(g.closed_until == 15 * S && g.closed_at == 10 * S);
    assert_true(sparp__gate_memory(&g) >= 15 * S);
    assert_true(sparp__gate_wait(&g, 0, 1, 15 * S - 1) > 0);
    assert_true(sparp__gate_wait(&g, 0, 1, 15 * S) == 0);
    sparp__gate_close(&g, 1, 16 * S, 17 * S);       /* another time */
    assert_true(g.closed_until == 17 * S && g.closed_at == 16 * S);
}

static void test_a_gate_reopens_by_doubling(void **state) {
    (void)state;
    sparp__gate g;
    memset(&g, 0, sizeof g);
    sparp__gate_close(&g, 1, S, 2 * S);
    sparp__gate_widen(&g, 1, S + 1);                /* an answer to what was under way before */
    assert_int_equal(g.width, 1);
    g.known = 1000;                                 /* what a window lets through is more */
    g.known_cost = 1000;
    for (int width = 1; width < GATE_OPEN; width *= 2) {
        assert_int_equal(g.width, width);
        while (sparp__gate_wait(&g, 0, 1, 2 * S) == 0)
            sparp__gate_enter(&g, 1, 2 * S);
        assert_int_equal(g.in_flight, width);
        assert_true(sparp__gate_wait(&g, 0, 1, 2 * S) == NEVER);
        sparp__gate_widen(&g, 1, 2 * S);
    }
    assert_int_equal(g.width, 0);
    assert_int_equal(sparp__gate_wait(&g, 0, 1, 2 * S), 0);
    sparp__gate_close(&g, 1, 3 * S, 4 * S);         /* and all from the beginning */
    g.in_flight = 0;
    sparp__gate_enter(&g, 1, 4 * S);
    assert_true(sparp__gate_wait(&g, 0, 1, 4 * S) == NEVER);
}

/* --- the found, by itself ------------------------------------------------------------------ */

static int64_t fastest;                 /* answer of the one origin there is */

static sparp__aimd new_aimd(void) {
    sparp__aimd found;
    fastest = 0;
    memset(&found, 0, sizeof found);
    found.limit = AIMD_START;
    return found;
}

static void flow(sparp__aimd *found, int64_t ns, int64_t now) {
    static int64_t fastest;
    if (found->usual == 0)
        fastest = 0;                    /* another server */
    sparp__aimd_on_answer(found, &fastest, ns, now);
}

static void test_the_limit_rises_by_one_a_round(void **state) {
    (void)state;
    sparp__aimd found = new_aimd();
    for (int limit = AIMD_START; limit < AIMD_MAX; limit++) {
        assert_int_equal(found.limit, limit);
        for (int i = 0; i < limit; i++)
            flow(&found, 10 * MS, S);
    }
    for (int i = 0; i < 5000; i++)
        flow(&found, 10 * MS, S);
    assert_int_equal(found.limit, AIMD_MAX);
}

static void test_the_limit_falls_by_a_third_once_a_round(void **state) {
    (void)state;
    sparp__aimd found = new_aimd();
    static const int limits[] = {8, 5, 3, 2, 1, 1, 1};
    int64_t now = S;
    flow(&found, 100 * MS, now);
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        assert_int_equal(found.limit, limits[i]);
        sparp__aimd_on_failure(&found, now);
        sparp__aimd_on_failure(&found, now + 50 * MS);      /* the same round */
        now += 102 * MS;
    }
    for (int i = 0; i < 3; i++)
        flow(&found, 100 * MS, now);
    assert_int_equal(found.limit, 3);                /* 1 and 2 took their rounds */
}

static void test_the_limit_falls_where_answers_queue(void **state) {
    (void)state;
    sparp__aimd found = new_aimd();
    int64_t now = S;
    found.limit = 500;
    flow(&found, 10 * MS, now);
    for (int i = 0; i < 200; i++)
        flow(&found, 100 * MS, now += 10 * MS);
    assert_true(found.limit < 100 && found.limit >= 1);
}

/* A server that computes `capacity` at once and queues the rest. */
static int settled_limit(int capacity) {
    sparp__aimd found = new_aimd();
    int64_t now = S;
    for (int round = 0; round < 3000; round++) {
        int n = found.limit;
        int64_t ns = n <= capacity ? 20 * MS : 20 * MS * n / capacity;
        for (int i = 0; i < n; i++)
            flow(&found, ns, now + ns);
        now += ns;
        assert_true(found.limit >= 1 && found.limit <= AIMD_MAX);
    }
    return found.limit;
}

static void test_the_limit_settles_at_what_the_server_can(void **state) {
    (void)state;
    static const int capacities[] = {4, 20, 100, 300};
    for (size_t i = 0; i < COUNT_OF(capacities); i++) {
        int limit = settled_limit(capacities[i]);
        CHECK(limit >= capacities[i] && limit <= capacities[i] * 5, "%d for %d", limit,
              capacities[i]);
    }
    assert_int_equal(settled_limit(100000), AIMD_MAX);
}

/* --- so many at once and so many per second, origin by origin ------------------------------ */

static void test_an_origin_has_its_own_cap(void **state) {
    (void)state;
    static const int caps[] = {1, 3, 10};
    for (size_t i = 0; i < COUNT_OF(caps); i++) {
        again();
        net.server = town;
        net_answer("/a", 0.1, NET_200);
        options.max_at_once = 30;
        options.max_at_once_per_origin = caps[i];
        for (int k = 0; k < 60; k++) {
            get(H "/a");
            get("http://10.0.0.2/a");
            get("http://10.0.0.2:81/a");        /* another port is another origin */
        }
        sparp_stats s = run();
        assert_int_equal(s.success, 180);
        assert_int_equal(place_of("10.0.0.1")->most, caps[i]);
        assert_true(place_of("10.0.0.2")->most <= 2 * caps[i]);
        assert_near(net_now(), 0.1 * 60 / caps[i], 0.01);
    }
}

static void test_an_origin_has_its_own_pace(void **state) {
    (void)state;
    net.server = town;
    net_answer("/a", 0.01, NET_200);
    options.max_per_second_per_origin = 20;
    for (int k = 0; k < 100; k++) {
        get(H "/a");
        get("http://10.0.0.2/a");
    }
    for (int k = 0; k < 50; k++)
        get("http://10.0.0.3/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 250);
    assert_near(net_now(), 4.96, 0.05);         /* neither waits for the other */
    assert_near(last_end_of("http://10.0.0.3/a"), 2.46, 0.05);
    assert_int_equal(most_within("10.0.0.1", 1), 20);
    assert_int_equal(most_within("10.0.0.2", 1), 20);
    assert_int_equal(most_within("10.0.0.2", 0.1), 2);
}

static void test_the_burst_is_each_origins_too(void **state) {
    (void)state;
    net.server = town;
    net_answer("/a", 0, NET_200);
    options.max_per_second_per_origin = 10;
    options.burst = 4;
    get_many(30, H "/a");
    get_many(30, "http://10.0.0.2/a");
    run();
    assert_int_equal(most_within("10.0.0.1", 0.05), 4);
    assert_int_equal(most_within("10.0.0.1", 1), 13);
    assert_near(net_now(), 2.6, 0.02);
}

/* A slow look-up dams them up: the server must not get them all at once afterwards, neither at
   the beginning nor when the address is looked up once more, a minute later. */
static void test_an_origins_pace_holds_after_a_slow_lookup(void **state) {
    (void)state;
    net.server = town;
    net.lookup_s = 1;
    net_lookup("a.test", "10.0.0.7", 0);
    net_answer_then("/a", 0, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", NET_FIN);
    options.max_per_second_per_origin = 10;
    get_many(700, "http://a.test/a");
    run();
    assert_int_equal(net.lookups, 2);
    CHECK(most_within("10.0.0.7", 0.1) <= 2 && most_within("10.0.0.7", 1) <= 11,
          "%lu in 0.1 s, %lu in a second", (unsigned long)most_within("10.0.0.7", 0.1),
          (unsigned long)most_within("10.0.0.7", 1));
    assert_near(net_now(), 70, 3);
}

/* A pace is a pace also where nobody answers, or takes long to. */
static void test_an_origins_pace_is_not_one_by_one(void **state) {
    (void)state;
    net.server = town;
    net_host("10.0.0.9", -1, 0);
    net_answer("/late", 2, NET_200);
    options.max_per_second_per_origin = 10;
    options.connect_timeout_s = 3;
    options.max_retries_by_timeout = SPARP_NONE;
    get_many(20, "http://10.0.0.9/dead");
    get_many(20, H "/late");
    run();
    assert_near(last_end_of(H "/late"), 1.9 + 2, 0.1);
    assert_near(last_end_of("http://10.0.0.9/dead"), 1.9 + 3, 0.1);
}

static void stale_every_second(const net_request *r, place *at, net_rule *answer) {
    (void)at;
    say(answer, 0.001, NET_200);
    if (r->on_connection == 2) {
        say(answer, 0, NET_SILENCE);
        answer->then = NET_FIN;
    }
}

/* Every write takes a token, that of its origin too. */
static void test_a_replay_takes_its_origins_token(void **state) {
    (void)state;
    net.server = town;
    town_answer = stale_every_second;
    options.max_per_second_per_origin = 10;
    get_many(20, H "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 20);
    assert_true(s.replays >= 10);
    CHECK(most_within("10.0.0.1", 0.09) == 1, "%lu within 90 ms",
          (unsigned long)most_within("10.0.0.1", 0.09));
}

static void close_soon_after_the_first(const net_request *r, place *at, net_rule *answer) {
    (void)r;
    (void)at;
    say(answer, 0, NET_200);
    answer->then = net.num_requests == 1 ? NET_FIN : NET_KEEP;
    answer->then_s = 0.07;
}

/* It waits for its token on a connection used before, and the server closes that. */
static void test_a_held_request_whose_connection_closes(void **state) {
    (void)state;
    net.server = town;
    town_answer = close_soon_after_the_first;
    net_host("10.0.0.1", 0.05, 0);              /* written 0.05 after it was admitted */
    options.max_per_second_per_origin = 10;
    get_many(3, H "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 3);
    assert_int_equal(s.connects, 2);
    assert_int_equal(s.replays, 1);
    assert_near(seen.at[1], 0.17, 0.002);       /* closed at 0.12, connected again */
    assert_int_equal(most_within("10.0.0.1", 0.09), 1);
}

/* Ten are held for one origin, and behind them one for another, which may go; whichever of the
   two names is looked up first. */
static void test_who_is_held_for_its_origin_holds_no_other(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        again();
        net.server = town;
        net.lookup_s = 1;
        net_lookup("a.test", "10.0.0.7", 0);
        net_lookup("b.test", "10.0.0.8", 0);
        net_answer("/a", 0.01, NET_200);
        options.max_per_second_per_origin = 10;
        get_many(i == 0 ? 10 : 2, i == 0 ? "http://a.test/a" : "http://b.test/a");
        get_many(i == 0 ? 2 : 10, i == 0 ? "http://b.test/a" : "http://a.test/a");
        run();
        assert_near(last_end_of("http://a.test/a"), 1.91, 0.01);
        assert_near(last_end_of("http://b.test/a"), 1.11, 0.01);
    }
}

/* Several ends and the origin's timer at the same moment: they go on in their order. */
static void ends_together(const net_request *r, place *at, net_rule *answer) {
    (void)r;
    (void)at;
    say(answer, 0.3 - 0.1 * (double)((net.num_requests - 1) % 3), NET_200);
}

static void test_the_order_at_an_origin_is_kept(void **state) {
    (void)state;
    net.server = town;
    town_answer = ends_together;
    options.max_per_second_per_origin = 10;
    get_many(60, H "/a");
    run();
    for (size_t i = 0; i < 60; i++)
        CHECK(seen.results[i].wait_us[SPARP_WAIT_ORIGIN] / 100000 == (int64_t)i,
              "%lu waited for %ld us", (unsigned long)i, (long)seen.results[i].waited_us);
}

/* 0 comes back and is quicker than 2, whose turn it was: 2 is still before 3. */
static void test_who_was_let_go_in_vain_is_still_the_first(void **state) {
    (void)state;
    net.server = town;
    net_answer("/soft", 0.01, NET_503);
    net_answer("/soft", 2, NET_200);
    net_answer("/a", 0.2, NET_200);
    options.backoff_s = 0.1;
    options.max_at_once_per_origin = 1;
    options.max_per_second = 2;
    options.burst = 2;
    get(H "/soft");
    get_many(3, H "/a");
    run();
    for (size_t i = 0; i < 4; i++)
        assert_outcome(i, SPARP_OUTCOME_SUCCESS);
    assert_near(seen.at[0], 2.5, 0.1);
    CHECK(seen.at[2] > seen.at[0] && seen.at[2] < seen.at[3], "2 at %f s, 3 at %f s", seen.at[2],
          seen.at[3]);
}

/* Both limits, the run's and the origin's: neither is exceeded, none is left unused. */
static void test_the_pace_of_all_and_of_each(void **state) {
    (void)state;
    net.server = town;
    net_answer("/a", 0.01, NET_200);
    options.max_per_second = 30;
    options.max_per_second_per_origin = 20;
    get_many(60, H "/a");
    get_many(60, "http://10.0.0.2/a");
    run();
    assert_true(net_most_within(1.0) <= 31);
    assert_true(most_within("10.0.0.1", 1) <= 21 && most_within("10.0.0.2", 1) <= 21);
    CHECK(net_now() < 4.6, "%f s", net_now());
}

/* --- the gate ----------------------------------------------------------------------------- */

/* Answers 429 with that Retry-After once, then well. */
static const char *first_answer;

static void first_and_then_well(const net_request *r, place *at, net_rule *answer) {
    (void)r;
    (void)at;
    say(answer, 0.05, net.num_requests == 1 ? first_answer : NET_200);
}

static void first_and_then_well_without_a_model(const net_request *r, net_rule *answer) {
    first_and_then_well(r, NULL, answer);
}

static void test_siblings_wait_for_nothing_but_the_gate(void **state) {
    (void)state;
    net.server = town;
    town_answer = first_and_then_well;
    first_answer = BUSY("Retry-After: 2\r\n");
    options.max_at_once = 1;
    options.max_per_second = 100;
    options.stop_after_failures = 1;
    get_many(40, H "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 40);
    assert_int_equal(s.soft_fails, 1);
    assert_int_equal(s.soft_retries, 1);
    for (size_t i = 1; i < 40; i++) {
        assert_int_equal(seen.results[i].attempts, 1);
        assert_int_equal(seen.results[i].soft_retries, 0);
    }
    assert_near((double)(net.starts[1] - NET_BEGIN) / 1e9, 2.05, 0.002);
}

static void busy_at_first_at_a(const net_request *r, place *at, net_rule *answer) {
    (void)at;
    bool first = strcmp(r->host, "10.0.0.7") == 0 && net_now() < 1.05;
    say(answer, 0.05, first ? BUSY("Retry-After: 5\r\n") : NET_200);
}

/* Ten are connected and wait for their tokens when the first is told 429: they do not go out.
   Nor do they cost a retry; and those that are held for another origin go on as they were. */
static void test_what_is_held_does_not_run_into_a_closed_gate(void **state) {
    (void)state;
    net.server = town;
    town_answer = busy_at_first_at_a;
    net.lookup_s = 1;
    net_lookup("a.test", "10.0.0.7", 0);
    net_lookup("b.test", "10.0.0.8", 0);
    options.max_per_second_per_origin = 10;
    get_many(30, "http://a.test/a");
    get_many(10, "http://b.test/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 40);
    assert_int_equal(s.soft_fails, 1);
    assert_int_equal(s.soft_retries, 1);
    for (size_t i = 1; i < 40; i++)
        assert_int_equal(seen.results[i].attempts, 1);
    for (size_t i = 30; i < 40; i++)
        assert_near(seen.at[i], 1.05 + 0.1 * (double)(i - 30), 0.003);
    int64_t second = 0;
    for (size_t i = 0, n = 0; i < net.num_requests; i++)
        if (strcmp(net.requests[i].host, "10.0.0.7") == 0 && ++n == 2)
            second = net.requests[i].at;
    assert_near((double)(second - NET_BEGIN) / 1e9, 6.05, 0.002);
}

/* While one origin is closed, another one has all slots and all tokens. */
static void test_a_closed_origin_takes_no_slot_and_no_token(void **state) {
    (void)state;
    net.server = town;
    net_answer("/shut", 0.05, BUSY("Retry-After: 20\r\n"));
    net_answer("/shut", 0.05, NET_200);
    net_answer("/a", 0.1, NET_200);
    options.max_at_once = 2;
    options.max_per_second = 20;
    get_many(200, H "/shut");
    get_many(100, "http://10.0.0.2/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 300);
    assert_near(last_end_of("http://10.0.0.2/a"), 5.15, 0.15);
}

static void busy_for_the_first(const net_request *r, place *at, net_rule *answer) {
    (void)r;
    (void)at;
    static const char *const answers[] = {BUSY("Retry-After: 3\r\n"), BUSY("Retry-After: 5\r\n"),
                                          BUSY("Retry-After: 1\r\n")};
    bool first = net.num_requests <= 3;
    say(answer, 0.1 * (double)net.num_requests, first ? answers[net.num_requests - 1] : NET_200);
    answer->delay_s = first ? answer->delay_s : 0.01;
}

static void test_the_latest_end_counts(void **state) {
    (void)state;
    net.server = town;
    town_answer = busy_for_the_first;
    options.max_at_once = 3;
    get_many(30, H "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 30);
    assert_int_equal(place_of("10.0.0.1")->closings, 1);
    assert_near((double)(net.starts[3] - NET_BEGIN) / 1e9, 5.2, 0.002);
    assert_int_equal(s.soft_fails, 3);
    assert_int_equal(s.soft_retries, 1);        /* the other two had started before it closed */
}

static void refuse_one_of_many(const net_request *r, place *at, net_rule *answer) {
    (void)r;
    (void)at;
    say(answer, 0.1, NET_200);
    if (net.num_requests == 1)
        say(answer, 0.01, BUSY("Retry-After: 1\r\n"));
}

static void test_it_reopens_1_2_4_8(void **state) {
    (void)state;
    net.server = town;
    town_answer = refuse_one_of_many;
    options.max_at_once = 300;
    get_many(1200, H "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 1200);
    assert_int_equal(place_of("10.0.0.1")->widest, 8);
    assert_int_equal(most_within("10.0.0.1", 0.05), 300);
    int64_t opened = net.starts[300];
    size_t within[4] = {0, 0, 0, 0};
    for (size_t i = 300; i < net.num_starts; i++)
        for (int round = 0; round < 4; round++)
            within[round] += net.starts[i] < opened + (round + 1) * 100 * MS;
    assert_near((double)(opened - NET_BEGIN) / 1e9, 1.01, 0.002);
    assert_int_equal(within[0], 1);                     /* then twice as many for each success */
    assert_int_equal(within[1], 3);
    assert_int_equal(within[2], 3 + 8);
    assert_true(within[3] >= 11 + 256);
}

/* --- passes, deadlines, lost turns -------------------------------------------------------- */

static void test_a_pass_has_no_outcome_yet(void **state) {
    (void)state;
    net.server = town;
    net_answer("/a", 0.05, BUSY("Retry-After: 10\r\n"));
    get(H "/a");
    get(H "/a")->deadline_s = 3;
    options.max_retries_by_soft_fail = 3;
    run();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);
    assert_outcome(1, SPARP_OUTCOME_SOFT_EXHAUSTED);
}

static void cancel_1_when_3_ends(sparp *run, const sparp_result *result) {
    if (result->index == 3)
        sparp_cancel(run, 1);
}

/* The origin lets 1 go on, the rate does not yet, and 1 is cancelled: 2 goes on instead. */
static void test_a_turn_that_is_not_taken_goes_to_the_next(void **state) {
    (void)state;
    net.server = town;
    net_answer("/a", 0.1, NET_200);
    net_answer("/b", 0.15, NET_200);
    options.max_at_once = 2;
    options.max_at_once_per_origin = 1;
    options.max_per_second = 4;
    options.burst = 2;
    get_many(3, H "/a");
    get("http://10.0.0.2/b");
    seen.on_result = cancel_1_when_3_ends;
    sparp_stats s = run();
    assert_int_equal(s.success, 3);
    assert_outcome(1, SPARP_OUTCOME_NOT_STARTED);
    assert_near(seen.at[2], 0.35, 0.01);
}

static double denied_from, denied_until;        /* by the permit */
static size_t permits_asked;

static double permit_by_time(const char *url, double cost, void *user_data) {
    (void)cost;
    (void)user_data;
    assert_non_null(strstr(url, "http://"));
    permits_asked++;
    return net_now() >= denied_from && net_now() < denied_until ? denied_until - net_now() : 0;
}

static void test_a_turn_that_its_deadline_ends_goes_to_the_next(void **state) {
    (void)state;
    net.server = town;
    net_answer("/soft", 0.01, NET_503);
    net_answer("/soft2", 0.1, NET_503);
    net_answer("/soft2", 0.1, NET_200);
    net_answer("/a", 0.4, NET_200);
    options.max_at_once_per_origin = 1;
    options.backoff_s = 0.1;
    options.permit = permit_by_time;
    denied_from = 0.4;
    denied_until = 2;
    get(H "/soft")->deadline_s = 0.8;
    get(H "/soft2");
    get(H "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);
    assert_outcome(1, SPARP_OUTCOME_SUCCESS);
    assert_near(seen.at[0], 0.8, 0.01);
    assert_near(seen.at[1], 2.1, 0.01);
}

/* --- one episode of 429s is one ------------------------------------------------------------ */

static void busy_at_first(const net_request *r, place *at, net_rule *answer) {
    (void)r;
    (void)at;
    say(answer, 0.05, net_now() < 0.2 ? BUSY("") : NET_200);
}

/* Without Retry-After it is closed for a pause like a retry's, however many say so at once. */
static void test_a_429_without_retry_after_closes_for_a_pause(void **state) {
    (void)state;
    for (size_t many = 1; many <= 50; many += 49) {
        again();
        net.server = town;
        town_answer = busy_at_first;
        options.max_at_once = (int)many;
        get_many(60, H "/a");
        sparp_stats s = run();
        assert_int_equal(s.success, 60);
        assert_int_equal(s.soft_fails, many);
        double opened = (double)(net.starts[many] - NET_BEGIN) / 1e9;
        CHECK(opened >= 0.05 + 0.25 && opened <= 0.05 + 0.5 + 0.001, "%lu at once: %f s",
              (unsigned long)many, opened);
    }
}

static void always_busy(const net_request *r, place *at, net_rule *answer) {
    (void)r;
    (void)at;
    say(answer, 0.05, BUSY(""));
}

/* Refused again and again without a success between, it stays closed longer each time. */
static void test_an_origin_that_stays_busy_is_asked_less_and_less(void **state) {
    (void)state;
    net.server = town;
    town_answer = always_busy;
    options.backoff_max_s = 8;
    options.max_retries_by_soft_fail = 6;
    get(H "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);
    assert_int_equal(net.num_starts, 7);
    for (size_t i = 1; i < net.num_starts; i++) {
        double gap = (double)(net.starts[i] - net.starts[i - 1]) / 1e9 - 0.05;
        double d = 0.5 * (double)(1 << (i - 1));
        d = d > 8 ? 8 : d;
        CHECK(gap >= d / 2 && gap <= d + 0.002, "%lu: %f s", (unsigned long)i, gap);
    }
}

/* The same with one try each: it is the gate that doubles; a success begins anew. */
static void busy_but_for_the_sixth(const net_request *r, place *at, net_rule *answer) {
    (void)r;
    (void)at;
    say(answer, 0.05, net.num_requests == 6 ? NET_200 : BUSY(""));
}

static void test_a_gate_doubles_its_pause_until_a_success(void **state) {
    (void)state;
    net.server = town;
    town_answer = busy_but_for_the_sixth;
    options.max_retries_by_soft_fail = SPARP_NONE;
    options.max_at_once = 1;
    get_many(11, H "/a");
    run();
    for (size_t i = 1; i < net.num_starts; i++) {
        double gap = (double)(net.starts[i] - net.starts[i - 1]) / 1e9 - 0.05;
        size_t strike = i == 6 ? 0 : i < 6 ? i : i - 6;
        double d = strike == 0 ? 0 : 0.5 * (double)(1 << (strike - 1));
        CHECK(gap >= d / 2 - 1e-9 && gap <= d + 0.002, "%lu: %f s", (unsigned long)i, gap);
    }
}

/* --- Retry-After at the gate ---------------------------------------------------------------- */

#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static const struct {
    const char *answer;
    double closed_s;                    /* 0: it does not close */
} closers[] = {
    {BUSY("Retry-After: 3\r\n"), 3},
    {AWAY("Retry-After: 3\r\n"), 3},
    {BUSY("retry-after:   3  \r\n"), 3},
    {BUSY(DATE "Retry-After: Sun, 06 Nov 1994 08:49:42 GMT\r\n"), 5},
    {BUSY(DATE "Retry-After: Sunday, 06-Nov-94 08:49:42 GMT\r\n"), 5},
    {AWAY(DATE "Retry-After: Sun Nov  6 08:49:42 1994\r\n"), 5},
    {BUSY("Retry-After: 2.5\r\n"), 2.5},
    {AWAY("Retry-After: 0.5\r\n"), 0.5},
    {BUSY("retry-after-ms: 1640\r\n"), 1.64},
    {AWAY("retry-after-ms: 1640\r\nRetry-After: 2\r\n"), 2},
    {BUSY("Retry-After: 3, 3\r\nRetry-After: 3\r\n"), 3},
    {BUSY(DATE "Retry-After: Sun, 06 Nov 1994 09:49:42 +0100\r\n"), 5},
    {BUSY(DATE "Retry-After: 1994-11-06T08:49:42Z\r\n"), 5},
    {AWAY(DATE "Retry-After: 1994-11-06T08:49:42\r\n"), 0},
    {BUSY("Retry-After: 120\r\n"), 120},
    {AWAY("Retry-After: 0\r\n"), 0},
    {AWAY("Retry-After: -3\r\n"), 0},
    {AWAY("Retry-After: soon\r\n"), 0},
    {AWAY(DATE "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), 0},
    {AWAY(""), 0},
    {"HTTP/1.1 500 Oh\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n", 0},
    {"HTTP/1.1 502 Oh\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n", 0},
};

static void test_what_closes_the_gate_and_for_how_long(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(closers); i++) {
        again();
        net.server = first_and_then_well_without_a_model;
        first_answer = closers[i].answer;
        options.max_at_once = 1;
        get_many(5, H "/a");
        run();
        double second = (double)(net.starts[1] - NET_BEGIN) / 1e9 - 0.05;
        CHECK(second >= closers[i].closed_s - 1e-9 && second <= closers[i].closed_s + 0.002,
              "%s: %f s", closers[i].answer, second);
    }
}

static void test_what_is_above_the_cap_ends_with_its_time(void **state) {
    (void)state;
    net.server = first_and_then_well_without_a_model;
    first_answer = BUSY("Retry-After: 11\r\n");
    options.max_at_once = 1;
    options.retry_after_max_s = 10;
    get_many(3, H "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);
    assert_near(seen.results[0].retry_at_s, 11, 0);
}

/* All that would have to wait for it ends at once: those that wait there already, those behind them
   in the input, and the next hop of a redirect that leads there. Other origins go on. */
static void test_13_what_is_above_the_cap_closes_its_origin(void **state) {
    (void)state;
    static const char *const long_ones[] = {
        BUSY("Retry-After: 121\r\n"), AWAY("Retry-After: 300\r\n"),
        BUSY(DATE "Retry-After: Sun, 06 Nov 1994 09:49:37 GMT\r\n")};
    for (size_t i = 0; i < COUNT_OF(long_ones); i++) {
        again();
        net_answer("/a", 0.05, long_ones[i]);
        net_answer("/b", 0.05, NET_200);
        net_answer("/to-a", 0.2, "HTTP/1.1 302 F\r\nLocation: " H "/a\r\n"
                   "Content-Length: 0\r\n\r\n");
        options.max_at_once = 3;
        options.max_at_once_per_origin = 1;
        options.input_buffer_size = 10;
        get_many(300, H "/a");
        get("http://10.0.0.2/to-a");
        get("http://10.0.0.2/b");
        sparp_stats s = run();
        assert_int_equal(net_count("/a"), 1);
        assert_int_equal(s.soft_exhausted, 301);
        assert_int_equal(s.soft_fails, 1);
        assert_outcome(301, SPARP_OUTCOME_SUCCESS);
        for (size_t k = 1; k < 301; k++) {
            const sparp_result *r = &seen.results[k];
            CHECK(r->attempts == (k == 300) && r->error == SPARP_E_NOT_STARTED && r->status == 0
                  && r->retry_at_s > 100, "request %lu: %d attempts, %f", (unsigned long)k,
                  r->attempts, r->retry_at_s);
            CHECK(strstr(details[k], "retry_after_max_s") != NULL, "%s", details[k]);
            CHECK(k == 300 || seen.at[k] < 0.06, "request %lu ended after %f s", (unsigned long)k,
                  seen.at[k]);
        }
    }
}

/* The gate is the same for all: when the time is nearly over, those that come wait for it. */
static void test_13_what_is_left_of_it_may_be_waited_for(void **state) {
    (void)state;
    options.input_buffer_size = 1;      /* looked at in the order of the input */
    net_answer("/a", 0.05, BUSY("Retry-After: 11\r\n"));
    net_answer("/a", 0.05, NET_200);
    options.max_at_once = 1;
    options.retry_after_max_s = 10;
    get(H "/a");
    for (int i = 0; i < 3; i++)
        get("http://10.0.0.2/slow");
    net_answer("/slow", 0.5, NET_200);
    get(H "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);
    assert_outcome(4, SPARP_OUTCOME_SUCCESS);
    assert_near(seen.at[4], 11.1, 0.1);
}

static void test_13_without_a_gate_each_hears_it_for_itself(void **state) {
    (void)state;
    net_answer("/a", 0.05, BUSY("Retry-After: 300\r\n"));
    options.no_gate = true;
    options.max_at_once = 1;
    get_many(3, H "/a");
    run();
    assert_int_equal(net_count("/a"), 3);
    assert_near(seen.results[2].retry_at_s, 300, 0);
}

/* Without a Date it counts from our own clock, which is the real one. */
static void test_a_date_without_a_date_counts_from_our_clock(void **state) {
    (void)state;
    char text[100], date[40];
    time_t then = time(NULL) + 50;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&then));
    snprintf(text, sizeof text, BUSY("Retry-After: %s\r\n"), date);
    net.server = first_and_then_well_without_a_model;
    first_answer = text;
    options.max_at_once = 1;
    get_many(3, H "/a");
    assert_int_equal(run().success, 3);
    assert_near((double)(net.starts[1] - NET_BEGIN) / 1e9, 0.05 + 45, 5.002);
}

/* The longest pause is none that doubling happens to meet. */
static void test_no_pause_is_longer_than_the_cap(void **state) {
    (void)state;
    net_answer("/a", 0.001, NET_503);
    options.backoff_s = 0.5;
    options.backoff_max_s = 0.7;
    options.max_retries_by_soft_fail = 20;
    get_many(5, H "/a");
    run();
    assert_int_equal(seen.num_retries, 100);
    for (size_t i = 0; i < seen.num_retries; i++)
        CHECK(seen.retries[i].wait_s >= 0.25 && seen.retries[i].wait_s <= 0.7, "%f s",
              seen.retries[i].wait_s);
}

static void *refuse_from_now_on(void *argument) {
    net_host("10.0.0.1", 0.001, ECONNREFUSED);
    return argument;
}

/* What was sent once may have been applied, whatever became of the later attempts. */
static void test_what_was_sent_once_may_have_been_applied(void **state) {
    (void)state;
    net_answer_then("/mute", 0, NET_SILENCE, NET_KEEP);
    net_at(0.5, refuse_from_now_on, NULL);
    options.timeout_s = 1;
    options.max_retries_by_timeout = 1;
    options.max_retries_by_transport = SPARP_NONE;
    get(H "/mute")->method = "POST";
    run();
    assert_outcome(0, SPARP_OUTCOME_TRANSPORT_FAILED);
    assert_int_equal(seen.results[0].attempts, 2);
    assert_true(seen.results[0].maybe_applied);
}

static void refuse_one_then_404(const net_request *r, net_rule *answer) {
    (void)r;
    say(answer, 0.05, net.num_requests == 1 ? BUSY("Retry-After: 1\r\n") : NET_404);
}

/* A 404 says no less than a 200 that the origin is at work again. */
static void test_any_answer_opens_it_further(void **state) {
    (void)state;
    options.max_at_once = 100;
    net.server = refuse_one_then_404;
    get_many(200, H "/a");
    sparp_stats s = run();
    assert_int_equal(s.hard_fail, 200);
    CHECK(net_now() < 1.5, "%f s", net_now());
}

/* What was under way when it closed, and is told to stay away longer than anybody waits. */
static void two_answers(const net_request *r, net_rule *answer) {
    (void)r;
    static const char *const answers[] = {BUSY("Retry-After: 1\r\n"),
                                          BUSY("Retry-After: 500\r\n"), NET_200};
    size_t n = net.num_requests < 3 ? net.num_requests - 1 : 2;
    say(answer, 0.1 * (double)net.num_requests, answers[n]);
}

static void busy_for_longer(const net_request *r, place *at, net_rule *answer) {
    (void)r;
    (void)at;
    say(answer, 0.05 * (double)net.num_requests, net.num_requests > 3 ? NET_200
        : net.num_requests == 3 ? BUSY("Retry-After: 10\r\n") : BUSY("Retry-After: 1\r\n"));
}

/* Told 1 second, then 10: who had passed meanwhile cannot wait that long. */
static void test_a_pass_may_still_end_at_its_deadline(void **state) {
    (void)state;
    net.server = town;
    town_answer = busy_for_longer;
    get(H "/a");
    get(H "/a")->deadline_s = 3;
    get(H "/a");
    run();
    assert_outcome(1, SPARP_OUTCOME_SOFT_EXHAUSTED);
    assert_near(seen.at[1], 3, 0.002);
    assert_int_equal(seen.results[1].attempts, 1);
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_outcome(2, SPARP_OUTCOME_SUCCESS);
}

static void test_a_pass_is_not_for_what_is_above_the_cap(void **state) {
    (void)state;
    net.server = two_answers;
    get_many(2, H "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);    /* it would have to wait as long now */
    assert_near(seen.results[0].retry_at_s, 499, 1);
    assert_outcome(1, SPARP_OUTCOME_SOFT_EXHAUSTED);
    assert_int_equal(seen.results[1].attempts, 1);
    assert_near(seen.results[1].retry_at_s, 500, 0);
    assert_near(seen.at[1], 0.2, 0.01);
}

static void test_a_pass_is_not_for_what_must_not_be_sent_twice(void **state) {
    (void)state;
    net.server = town;
    net_answer("/a", 0.05, BUSY("Retry-After: 1\r\n"));
    options.retry_safe_only = true;
    for (int i = 0; i < 3; i++)
        get(H "/a")->method = "POST";
    run();
    assert_int_equal(net.num_requests, 3);
    for (size_t i = 0; i < 3; i++)
        assert_outcome(i, SPARP_OUTCOME_SOFT_EXHAUSTED);
}

static void test_a_pass_that_ends_after_the_deadline_is_not_begun(void **state) {
    (void)state;
    net.server = town;
    net_answer("/a", 0.05, BUSY("Retry-After: 10\r\n"));
    get(H "/a")->deadline_s = 3;
    get(H "/a")->deadline_s = 3;
    run();
    for (size_t i = 0; i < 2; i++) {
        assert_outcome(i, SPARP_OUTCOME_SOFT_EXHAUSTED);
        assert_near(seen.at[i], 0.05, 0.002);
    }
}

static void busy_then_away(const net_request *r, place *at, net_rule *answer) {
    (void)r;
    (void)at;
    say(answer, 0.1 * (double)net.num_requests, net.num_requests == 1 ? BUSY("Retry-After: 1\r\n")
        : net.num_requests == 2 ? AWAY("") : NET_200);
}

/* A 503 that names no time is a failure of its own, whatever the gate does. */
static void test_a_pass_is_not_for_a_503_without_a_time(void **state) {
    (void)state;
    net.server = town;
    town_answer = busy_then_away;
    get_many(2, H "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 2);
    assert_int_equal(seen.results[1].soft_retries, 1);
}

static void busy_for_the_first_two(const net_request *r, place *at, net_rule *answer) {
    (void)r;
    (void)at;
    say(answer, 0.1 * (double)net.num_requests, net.num_requests <= 2
        ? BUSY("Retry-After: 10\r\n") : NET_200);
}

static void test_a_pass_that_ends_after_the_runs_deadline_is_not_begun(void **state) {
    (void)state;
    net.server = town;
    town_answer = busy_for_the_first_two;
    options.run_deadline_s = 3;
    get_many(2, H "/a");
    run();
    for (size_t i = 0; i < 2; i++) {
        assert_outcome(i, SPARP_OUTCOME_SOFT_EXHAUSTED);
        assert_near(seen.at[i], 0.1 * (double)(i + 1), 0.002);
    }
}

static void busy_together(const net_request *r, place *at, net_rule *answer) {
    (void)r;
    (void)at;
    say(answer, net.num_requests <= 4 ? 0.1 : 0.01, net.num_requests <= 4
        ? BUSY("Retry-After: 2\r\n") : NET_200);
}

static void test_passes_go_on_in_their_order(void **state) {
    (void)state;
    net.server = town;
    town_answer = busy_together;
    options.max_at_once = 4;
    get_many(8, H "/a");
    sparp_stats s = run();
    assert_int_equal(s.soft_retries, 1);
    assert_near(seen.at[1], 2.11, 0.002);               /* the probe */
    for (size_t i = 2; i < 4; i++)
        assert_near(seen.at[i], 2.12, 0.002);
}

/* A gate that somebody else closes again and again while one request is under way. The clock of
   this is the gate itself: it is closed by hand, right before each of its answers comes. */
static sparp *passing;

static void *close_by_hand(void *argument) {
    (void)argument;
    sparp__origins *origins = &passing->sched.origins;
    sparp__origin *o = sparp__origins_get(&passing->env, origins, "10.0.0.1", 80, false);
    sparp__limits *l = (sparp__limits *)(void *)o;
    sparp__gate_close(&l->gate, 1, test_now_ns, test_now_ns + 100 * MS);
    return NULL;
}

static void busy_after_somebody_closed(const net_request *r, net_rule *answer) {
    (void)r;
    say(answer, 0.2, BUSY("Retry-After: 1\r\n"));
    net_at(net_now() + 0.15, close_by_hand, NULL);
}

static void test_20_passes_cost_nothing_and_the_21st_does(void **state) {
    (void)state;
    net.server = busy_after_somebody_closed;
    options.max_retries_by_soft_fail = 1;
    get(H "/a");
    seen_fill();
    passing = sparp_open(&options, NULL);
    while (sparp_step(passing, -1))
        continue;
    sparp_stats s = sparp_get_stats(passing);
    sparp_close(passing);
    seen_check_end(&s);
    seen_check_clean();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);
    assert_int_equal(seen.results[0].attempts, 22);
    assert_int_equal(s.soft_retries, 1);
    assert_int_equal(s.soft_fails, 22);
}

/* Who wants no retry gets none, not even one that would cost nothing. */
static void test_14_without_soft_retries_a_429_is_final(void **state) {
    (void)state;
    net.server = busy_after_somebody_closed;
    options.max_retries_by_soft_fail = SPARP_NONE;
    get(H "/a");
    seen_fill();
    passing = sparp_open(&options, NULL);
    while (sparp_step(passing, -1))
        continue;
    sparp_close(passing);
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);
    assert_int_equal(seen.results[0].attempts, 1);
    net_end();
}

static void test_no_gate_lets_them_run_into_it(void **state) {
    (void)state;
    net.server = town;
    no_gate_expected = true;
    town_answer = first_and_then_well;
    first_answer = BUSY("Retry-After: 2\r\n");
    options.no_gate = true;
    options.max_at_once = 1;
    get_many(20, H "/a");
    run();
    assert_near(seen.at[19], 0.05 * 20, 0.01);
    assert_true(seen.at[0] >= 2.05);                    /* its own Retry-After it obeys */
    assert_int_equal(seen.results[0].soft_retries, 1);
}

/* --- a gate is remembered ------------------------------------------------------------------- */

static double next_at;                  /* when the input has its next request */
static size_t given;

static void *wake_run(void *run_or_null) {
    if (run_or_null != NULL)
        sparp_wake((sparp *)run_or_null);
    return NULL;
}

static sparp_input later_again(sparp_request *out, void *user_data) {
    (void)user_data;
    if (given == 4)
        return SPARP_INPUT_END;
    if (given > 0 && net_now() < next_at)
        return SPARP_INPUT_LATER;
    out->url = given++ == 2 ? "http://10.0.0.2/a" : H "/a";
    return SPARP_INPUT_READY;
}

static void close_the_connection(const net_request *r, place *at, net_rule *answer) {
    (void)at;
    (void)r;
    say(answer, 0.05, net.num_requests == 1
        ? "HTTP/1.1 429 Slower\r\nRetry-After: 30\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        : NET_200);
}

/* Three for one origin and one for another at 0, and then one for each, always right before both
   the run's token and the first origin's are due. Nobody of the first overtakes another: two of
   the three would wait for as long as there is input. */
#define TICKS 30

static size_t ticked;

static sparp_input one_each_a_tick(sparp_request *out, void *user_data) {
    (void)user_data;
    if (ticked == 4 + 2 * TICKS)
        return SPARP_INPUT_END;
    if (ticked >= 4 && net_now() < 0.1 * (double)((ticked - 2) / 2) - 0.01)
        return SPARP_INPUT_LATER;
    out->url = ticked != 1 && ticked % 2 == 1 ? "http://10.0.0.2/a" : H "/a";
    ticked++;
    return SPARP_INPUT_READY;
}

static void test_a_newcomer_does_not_overtake_who_is_parked(void **state) {
    (void)state;
    net.server = town;
    net_answer("/a", 0.01, NET_200);
    options.next_request = one_each_a_tick;
    options.max_per_second = 20;
    options.max_per_second_per_origin = 10;
    ticked = 0;
    seen_options(&options);
    sparp *r = sparp_open(&options, NULL);
    for (int i = 1; i <= TICKS; i++)
        net_at(0.1 * i - 0.009, wake_run, r);
    while (sparp_step(r, -1))
        continue;
    sparp_close(r);
    seen_check_clean();
    assert_int_equal(seen.count, 4 + 2 * TICKS);
    for (size_t i = 0, last = 0; i < seen.count; i++) {
        if (seen.order[i] != 1 && seen.order[i] % 2 == 1)
            continue;
        CHECK(seen.order[i] >= last, "%lu ends after %lu", (unsigned long)seen.order[i],
              (unsigned long)last);
        last = seen.order[i];
    }
}

/* Its request has ended and its connection is closed; 20 seconds later another one comes. */
static void test_a_closed_origin_is_remembered_though_nobody_uses_it(void **state) {
    (void)state;
    net.server = town;
    town_answer = close_the_connection;
    options.next_request = later_again;
    options.max_retries_by_soft_fail = SPARP_NONE;
    next_at = 20;
    given = 0;
    seen_options(&options);
    sparp *r = sparp_open(&options, NULL);
    net_at(20, wake_run, r);
    while (sparp_step(r, -1))
        continue;
    assert_true(r->sched.origins.count <= 2);
    sparp_close(r);
    seen_check_clean();
    assert_near(seen.at[0], 0.05, 0.002);
    assert_near(seen.at[2], 20.05, 0.002);
    assert_near(seen.at[1], 30.1, 0.002);
    assert_near(seen.at[3], 30.15, 0.002);              /* one probe, then the next */
}

/* ... and so is that it has to begin with one probe. */
static void test_that_it_reopens_is_remembered_too(void **state) {
    (void)state;
    net.server = town;
    town_answer = close_the_connection;
    options.next_request = later_again;
    options.max_retries_by_soft_fail = SPARP_NONE;
    next_at = 31;
    given = 0;
    seen_options(&options);
    sparp *r = sparp_open(&options, NULL);
    net_at(31, wake_run, r);
    while (sparp_step(r, -1))
        continue;
    sparp_close(r);
    seen_check_clean();
    assert_int_equal(seen.count, 4);
    assert_near(seen.at[1], 31.05, 0.002);
    assert_near(seen.at[3], 31.10, 0.002);
}

/* What is forgotten is freed: origins that nobody uses do not pile up. */
static void test_an_origin_is_forgotten_when_it_opens(void **state) {
    no_gate_expected = true;            /* the model never forgets */
    (void)state;
    net.server = town;
    town_answer = close_the_connection;
    options.next_request = later_again;
    options.max_retries_by_soft_fail = SPARP_NONE;
    next_at = 200;
    given = 0;
    seen_options(&options);
    sparp *r = sparp_open(&options, NULL);
    net_at(200, wake_run, r);
    while (net_now() < 199 && sparp_step(r, 1000))
        continue;
    assert_int_equal(r->sched.origins.count, 0);
    assert_int_equal(r->sched.gates.count, 0);
    while (sparp_step(r, -1))
        continue;
    sparp_close(r);
    seen_check_clean();
}

/* --- the gate and the ends of a request ------------------------------------------------------ */

static void shut_for_a_minute(const net_request *r, place *at, net_rule *answer) {
    (void)at;
    (void)r;
    say(answer, 0.05, net.num_requests == 1 ? NET_503
        : net.num_requests == 2 ? BUSY("Retry-After: 60\r\n") : NET_200);
}

/* 0 has been tried and comes back to a closed gate; 1 closed it; the others were never sent. */
static void shut_with_three_behind(void) {
    net.server = town;
    town_answer = shut_for_a_minute;
    options.max_at_once = 1;
    options.backoff_s = 0.01;
    options.retry_after_max_s = 100;
    get_many(4, H "/a");
}

static void test_a_parked_request_ends_at_its_deadline(void **state) {
    (void)state;
    shut_with_three_behind();
    requests[0].deadline_s = 7;
    sparp_stats s = run();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);
    assert_near(seen.at[0], 7, 0.002);
    assert_int_equal(s.success, 3);
    assert_near(seen.at[2], 60.15, 0.01);
}

static void test_the_runs_deadline_ends_what_is_parked(void **state) {
    (void)state;
    shut_with_three_behind();
    options.run_deadline_s = 30;
    sparp_stats s = run();
    assert_int_equal(s.stopped, SPARP_STOPPED_BY_DEADLINE);
    assert_outcome(0, SPARP_OUTCOME_CANCELLED);
    assert_outcome(1, SPARP_OUTCOME_SOFT_EXHAUSTED);    /* its wait would end after it */
    assert_outcome(2, SPARP_OUTCOME_NOT_STARTED);
    assert_outcome(3, SPARP_OUTCOME_NOT_STARTED);
    assert_near(net_now(), 30, 0.002);
}

/* Calls func with the run after that many seconds. */
static sparp_stats run_with_a_call(double seconds, void (*func)(sparp *run)) {
    seen_fill();
    sparp *r = sparp_open(&options, NULL);
    while (net_now() < seconds && sparp_step(r, 10))
        continue;
    func(r);
    while (sparp_step(r, -1))
        continue;
    sparp_stats s = sparp_get_stats(r);
    sparp_close(r);
    seen_check_end(&s);
    seen_check_clean();
    return s;
}

static void cancel_all_but_1(sparp *run) {
    sparp_cancel(run, 0);
    sparp_cancel(run, 2);
    sparp_cancel(run, 3);
}

static void test_stop_drain_and_cancel_end_what_is_parked(void **state) {
    (void)state;
    void (*const calls[])(sparp *) = {sparp_stop, sparp_drain, sparp_abort};
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        again();
        shut_with_three_behind();
        run_with_a_call(20, calls[i]);
        assert_outcome(0, SPARP_OUTCOME_CANCELLED);
        assert_outcome(1, SPARP_OUTCOME_CANCELLED);
        assert_outcome(2, SPARP_OUTCOME_NOT_STARTED);
        assert_near(net_now(), 20, 0.02);
    }
    again();
    shut_with_three_behind();
    run_with_a_call(20, cancel_all_but_1);
    assert_outcome(0, SPARP_OUTCOME_CANCELLED);
    assert_outcome(1, SPARP_OUTCOME_SUCCESS);
    assert_outcome(2, SPARP_OUTCOME_NOT_STARTED);
    assert_near(net_now(), 60.4, 0.2);
}

/* What is told 429 after a stop does not wait for the gate any more. */
static void test_a_pass_is_not_begun_after_a_stop(void **state) {
    (void)state;
    net.server = town;
    town_answer = busy_for_the_first_two;
    get_many(2, H "/a");
    run_with_a_call(0.15, sparp_drain);
    assert_int_equal(net.num_requests, 2);
    for (size_t i = 0; i < 2; i++)
        assert_outcome(i, SPARP_OUTCOME_CANCELLED);
    assert_near(net_now(), 0.2, 0.002);
}

/* --- hops of redirects ---------------------------------------------------------------------- */

#define TO(url) "HTTP/1.1 302 There\r\nLocation: " url "\r\nContent-Length: 0\r\n\r\n"

/* Every hop takes a token, of the run and of the origin where it goes. */
static void test_every_hop_takes_a_token(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        again();
        net.server = town;
        net_answer("/go", 0.01, TO("http://10.0.0.2/a"));
        net_answer("/a", 0.01, NET_200);
        options.max_per_second = i == 0 ? 10 : 0;
        options.max_per_second_per_origin = i == 0 ? 0 : 10;
        get_many(20, H "/go");
        get_many(i == 0 ? 0 : 20, "http://10.0.0.2/a");
        sparp_stats s = run();
        assert_int_equal(s.success, 20 + 20 * i);
        assert_int_equal(s.redirects, 20);
        assert_true(i == 1 || net_most_within(1.0) <= 11);
        assert_true(most_within("10.0.0.2", 1) <= 11);
        assert_near(net_now(), 3.92, 0.05);
        memset(&options, 0, sizeof options);
    }
}

static void shut_the_second(const net_request *r, place *at, net_rule *answer) {
    bool first = strcmp(r->path, "/b") == 0 && at->closings + (size_t)at->in_flight == 0;
    say(answer, 0.1, strcmp(r->path, "/go") == 0 ? TO("http://10.0.0.2/b")
        : first ? BUSY("Retry-After: 5\r\n") : NET_200);
}

/* A hop to an origin that is closed waits there, without a slot, a token or a retry. */
static void test_a_hop_waits_at_a_closed_origin(void **state) {
    (void)state;
    net.server = town;
    town_answer = shut_the_second;
    options.max_at_once = 2;
    options.max_per_second = 50;
    options.timeout_s = 2;                      /* no part of it */
    get("http://10.0.0.2/b");
    get_many(3, H "/go");
    get_many(40, "http://10.0.0.3/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 44);
    assert_int_equal(s.soft_fails, 1);
    assert_int_equal(s.timeouts, 0);
    assert_true(last_end_of("http://10.0.0.3/a") < 2.5);
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(seen.results[i].attempts, 1);
        CHECK(seen.results[i].wait_us[SPARP_WAIT_GATE] > 4000000, "%ld us",
              (long)seen.results[i].wait_us[SPARP_WAIT_GATE]);
    }
}

/* At the origin where it goes it counts, at the one that sent it no more. */
static void test_a_hop_counts_where_it_goes(void **state) {
    (void)state;
    net.server = town;
    net_answer("/go", 0.1, TO("http://10.0.0.2/a"));
    net_answer("/a", 0.3, NET_200);
    options.max_at_once_per_origin = 3;
    get_many(12, H "/go");
    assert_int_equal(run().success, 12);
    assert_int_equal(place_of("10.0.0.1")->most, 3);
    assert_int_equal(place_of("10.0.0.2")->most, 3);
    assert_near(net_now(), 0.1 + 4 * 0.3, 0.01);
}

static void refuse_one_then_302(const net_request *r, net_rule *answer) {
    bool second = strcmp(r->host, "10.0.0.2") == 0;
    say(answer, second ? 0.01 : 0.05, second ? NET_200
        : net.num_requests == 1 ? BUSY("Retry-After: 1\r\n") : TO("http://10.0.0.2/a"));
}

/* A redirect, too, says that its origin is at work again. */
static void test_a_redirect_opens_it_further(void **state) {
    (void)state;
    net.server = refuse_one_then_302;
    options.max_at_once = 100;
    get_many(200, H "/a");
    assert_int_equal(run().success, 200);
    CHECK(net_now() < 1.6, "%f s", net_now());
}

/* For want of a descriptor a hop waits as a first try does; the idle connection gives way. */
static void test_a_hop_that_starves_is_no_new_attempt(void **state) {
    (void)state;
    net_answer("/go", 0.01, TO("http://10.0.0.2/a"));
    net_answer("/a", 0.01, NET_200);
    net.fd_limit = 1;
    get(H "/go");
    assert_int_equal(run().success, 1);
    assert_int_equal(seen.results[0].attempts, 1);
    CHECK(net_now() < 0.2, "%f s", net_now());
}

/* 2 has been let go by its origin, and no permit is given yet, when the run is drained: the hop
   that is parked behind it has the turn. */
static void test_a_drain_does_not_forget_a_parked_hop(void **state) {
    (void)state;
    net_answer("/go", 0.3, TO("http://10.0.0.2/a"));
    net_answer("/a", 0.45, NET_200);
    options.max_at_once_per_origin = 1;
    options.permit = permit_by_time;
    denied_from = 0.4;
    denied_until = 2;
    net.poll_limit = 10000;
    get(H "/go");
    get_many(2, "http://10.0.0.2/a");
    run_with_a_call(1, sparp_drain);
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_outcome(2, SPARP_OUTCOME_NOT_STARTED);
    assert_near(seen.at[0], 2.45, 0.02);
}

/* Between two hops it is in flight: a drain lets it go on, a stop cuts it. */
static void test_a_drain_lets_hops_go_on(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        again();
        net_answer("/go", 0.01, TO("http://10.0.0.2/a"));
        net_answer("/a", 3, NET_200);
        options.max_per_second = i < 2 ? 1 : 0;
        options.max_at_once_per_origin = i < 2 ? 0 : 1;
        if (i >= 2)
            get("http://10.0.0.2/a");
        get(H "/go");
        get(H "/a");
        run_with_a_call(0.5, i % 2 == 0 ? sparp_drain : sparp_stop);
        size_t at = i < 2 ? 0 : 1;
        assert_outcome(at, i % 2 == 0 ? SPARP_OUTCOME_SUCCESS : SPARP_OUTCOME_CANCELLED);
        assert_near(seen.at[at], i % 2 == 1 ? 0.5 : i == 0 ? 4 : 6, 0.02);
        memset(&options, 0, sizeof options);
    }
}

/* --- four origins, thousands of requests ------------------------------------------------------ */

#define FAST H "/fast"
#define SLOW "http://10.0.0.2/slow"
#define STRICT "http://10.0.0.3/strict"
#define DEAD "http://10.0.0.4/dead"

/* The strict one takes 20 a second; who comes on top of that is told to stay away for 2. */
static void four_answers(const net_request *r, place *at, net_rule *answer) {
    static int64_t window;
    static int taken;
    if (strcmp(r->path, "/strict") != 0) {
        say(answer, strcmp(r->path, "/fast") == 0 ? 0.01 : 1, NET_200);
        return;
    }
    if (at->closings == 0 && at->in_flight == 0)
        window = 0;
    if (test_now_ns - window >= S) {
        window = test_now_ns;
        taken = 0;
    }
    say(answer, 0.03, ++taken > 20 ? BUSY("Retry-After: 2\r\n") : NET_200);
}

static double fast_alone(void) {
    net.server = town;
    town_answer = four_answers;
    get_many(2000, FAST);
    run();
    return last_end_of(FAST);
}

static void test_four_origins_do_not_wait_for_each_other(void **state) {
    (void)state;
    options.max_at_once = 100;
    options.max_at_once_per_origin = 25;
    options.connect_timeout_s = 1;
    options.max_retries_by_timeout = 2;
    options.max_retries_by_soft_fail = 40;
    double alone = fast_alone();
    again();
    net.server = town;
    town_answer = four_answers;
    net_host("10.0.0.4", -1, 0);
    for (size_t i = 0; i < 2000; i++) {
        get(FAST);
        if (i % 4 == 0)
            get(STRICT);
        if (i % 20 == 0)
            get(SLOW);
        if (i % 40 == 0)
            get(DEAD);
    }
    sparp_stats s = run();
    assert_int_equal(s.pulled, 2650);
    assert_int_equal(s.success, 2600);
    assert_int_equal(s.timeout_exhausted, 50);
    assert_int_equal(s.timeout_retries, 100);           /* three tries for each of the dead */
    CHECK(last_end_of(FAST) <= alone + 0.03, "%f s, alone %f", last_end_of(FAST), alone);
    assert_near(last_end_of(SLOW), 4, 0.2);
    CHECK(last_end_of(DEAD) < 9, "%f s", last_end_of(DEAD));
    assert_true(place_of("10.0.0.3")->closings >= 5);
    assert_int_equal(place_of("10.0.0.1")->most, 25);
    assert_int_equal(place_of("10.0.0.2")->most, 25);
    assert_true(place_of("10.0.0.3")->most <= 25);
}

/* --- the retry budget --------------------------------------------------------------------- */

/* What the budget has given at that time may be used by then, and no more. */
static void check_budget(size_t firsts, double ratio) {
    for (size_t i = firsts; i < net.num_starts; i++) {
        double t = (double)(net.starts[i] - NET_BEGIN) / 1e9;
        double may = ratio * (double)firsts + t + 1e-6;
        CHECK((double)(i - firsts + 1) <= may, "%lu retries after %f s",
              (unsigned long)(i - firsts + 1), t);
    }
}

static void test_the_budget_defers_and_never_drops(void **state) {
    (void)state;
    static const double backoffs[] = {SPARP_NONE, 0.3};
    for (size_t i = 0; i < COUNT_OF(backoffs); i++) {
        again();
        net_answer("/soft", 0.001, NET_503);
        options.backoff_s = backoffs[i];
        options.max_retries_by_soft_fail = 3;
        options.retry_ratio = 0.1;
        get_many(60, H "/soft");
        sparp_stats s = run();
        assert_int_equal(s.soft_exhausted, 60);
        assert_int_equal(s.soft_retries, 180);
        assert_int_equal(net.num_starts, 240);
        check_budget(60, 0.1);
        assert_near(net_now(), 180 - 6, 3);             /* one a second, no less */
    }
}

static void test_a_budget_that_is_not_used_up_defers_nothing(void **state) {
    (void)state;
    double took[2];
    for (int i = 0; i < 2; i++) {
        again();
        net_answer("/soft", 0.01, NET_503);
        net_answer("/soft", 0.01, NET_503);
        net_answer("/soft", 0.01, NET_200);
        net_answer("/a", 0.01, NET_200);
        options.retry_ratio = i == 0 ? 0 : 1;
        get_many(50, H "/a");
        get(H "/soft");
        assert_int_equal(run().soft_retries, 2);
        took[i] = net_now();
    }
    assert_near(took[1], took[0], 0.002);
}

static void test_every_kind_of_retry_counts_for_the_budget(void **state) {
    (void)state;
    net_host("10.0.0.2", 0.001, ECONNREFUSED);
    net_answer("/mute", 0, NET_SILENCE);
    options.backoff_s = SPARP_NONE;
    options.retry_ratio = 0.001;
    options.timeout_s = 0.1;
    options.max_retries_by_timeout = 5;
    get(H "/mute");
    get("http://10.0.0.2/");
    sparp_stats s = run();
    assert_int_equal(s.timeout_retries, 5);
    assert_int_equal(s.transport_retries, 5);
    assert_near(net_now(), 10, 1);
}

static void test_a_deadline_comes_while_the_budget_defers(void **state) {
    (void)state;
    net_answer("/soft", 0.001, NET_503);
    options.backoff_s = SPARP_NONE;
    options.max_retries_by_soft_fail = 100;
    options.retry_ratio = 0.01;
    options.run_deadline_s = 20;
    for (size_t i = 0; i < 10; i++)
        get(H "/soft")->deadline_s = 5.5;
    get(H "/soft");
    sparp_stats s = run();
    for (size_t i = 0; i < 10; i++) {
        assert_outcome(i, SPARP_OUTCOME_SOFT_EXHAUSTED);
        CHECK(seen.at[i] <= 5.502, "%f s", seen.at[i]);
    }
    assert_outcome(10, SPARP_OUTCOME_CANCELLED);
    check_budget(11, 0.01);
    assert_near((double)net.num_starts - 11, 20, 1.1);
    assert_true(s.soft_retries >= net.num_starts - 11);
}

/* Who was deferred first goes on first: nobody is passed over for ever. */
static void test_the_deferred_go_on_in_their_order(void **state) {
    (void)state;
    net_answer("/soft", 0.001, NET_503);
    options.backoff_s = SPARP_NONE;
    options.max_retries_by_soft_fail = 4;
    options.retry_ratio = 0.01;
    get_many(20, H "/soft");
    run();
    int longest = 0;
    for (size_t i = 0; i < 20; i++)
        longest = seen.at[i] < 45 ? longest + 1 : longest;
    assert_near(net_now(), 80, 2);
    CHECK(longest <= 12, "%d had all their retries when others had none", longest);
}

/* --- paces that change -------------------------------------------------------------------- */

typedef struct change {
    double at;
    int    max_at_once;
    double rate;
} change;

static const change *changes;
static size_t num_changes, next_change;

static sparp_stats run_with_changes(const change *list, size_t count) {
    changes = list;
    num_changes = count;
    next_change = 0;
    seen_fill();
    sparp *r = sparp_open(&options, NULL);
    for (size_t i = 0; i < count; i++) {
        while (net_now() < list[i].at - 1e-9
               && sparp_step(r, (int)((list[i].at - net_now()) * 1000 + 0.999)))
            continue;
        sparp_set_pace(r, list[i].max_at_once, list[i].rate);
    }
    while (sparp_step(r, -1))
        continue;
    sparp_stats s = sparp_get_stats(r);
    sparp_close(r);
    seen_check_end(&s);
    seen_check_clean();
    return s;
}

/* How many starts the rates allow from a to b, with the changes made; b is the end of it. */
static double allowed(double a, double b, double rate) {
    double sum = 0, from = 0;
    for (size_t i = 0; i <= num_changes; i++) {
        double to = i < num_changes ? changes[i].at : 1e9;
        double begins = from > a ? from : a, ends = to < b ? to : b;
        if (ends > begins)
            sum += (ends - begins) * rate;
        from = to;
        if (i < num_changes && changes[i].rate != 0)
            rate = changes[i].rate == SPARP_NONE ? 1e9 : changes[i].rate;
    }
    return sum;
}

static void check_changing_rate(double rate, int burst) {
    for (size_t i = 0; i < net.num_starts; i++)
        for (size_t j = i; j < net.num_starts; j++) {
            double a = (double)(net.starts[i] - NET_BEGIN) / 1e9;
            double b = (double)(net.starts[j] - NET_BEGIN) / 1e9;
            double may = allowed(a, b + 0.002, rate) + burst + 0.02;
            CHECK((double)(j - i + 1) <= may, "%lu starts from %f to %f s, %f may",
                  (unsigned long)(j - i + 1), a, b, may);
        }
}

static const change faster_and_slower[] = {
    {1, 0, 50}, {2, 0, 5}, {4, 0, 100}, {5, 0, 0.5}, {9, 0, 20},
};

static void test_a_pace_that_changes_is_kept_across_the_change(void **state) {
    (void)state;
    for (int burst = 1; burst <= 5; burst += 4) {
        again();
        net_answer("/a", 0.001, NET_200);
        options.max_per_second = 10;
        options.burst = burst;
        get_many(240, H "/a");
        sparp_stats s = run_with_changes(faster_and_slower, COUNT_OF(faster_and_slower));
        assert_int_equal(s.success, 240);
        check_changing_rate(10, burst);
        /* 10, 50, 10, 100, 2, and the rest at 20 a second */
        assert_near(net_now(), 9 + (240 - 172 - (burst - 1)) / 20.0, 0.4);
    }
}

static void set_the_same_again(sparp *run, const sparp_result *result) {
    (void)result;
    sparp_set_pace(run, 0, 10);
}

static void test_setting_the_same_pace_gives_nothing_away(void **state) {
    (void)state;
    for (int burst = 1; burst <= 5; burst += 4) {
        again();
        net_answer("/a", 0.001, NET_200);
        options.max_per_second = 10;
        options.burst = burst;
        seen.on_result = set_the_same_again;
        get_many(100, H "/a");
        run();
        num_changes = 0;
        check_changing_rate(10, burst);
        assert_near(net_now(), (100 - burst) / 10.0, 0.1);
    }
}

static const change off_and_on[] = {{2, 0, SPARP_NONE}, {2.5, 0, 10}};

static void test_a_rate_is_taken_away_and_set_again(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    options.max_at_once = 1;
    options.max_per_second = 10;
    get_many(100, H "/a");
    run_with_changes(off_and_on, COUNT_OF(off_and_on));
    check_changing_rate(10, 1);
    assert_near(net_now(), 2.5 + 3, 0.3);               /* 20, then 50, then 30 */
}

static const change more_and_less[] = {{1, 10, 0}, {2, 3, 0}, {3, 1, 0}};

static void test_slots_are_added_and_taken_away(void **state) {
    (void)state;
    net.server = town;
    net_answer("/a", 0.1, NET_200);
    options.max_at_once = 2;
    get_many(180, H "/a");
    run_with_changes(more_and_less, COUNT_OF(more_and_less));
    assert_int_equal(place_of("10.0.0.1")->most, 10);
    size_t by[3] = {0, 0, 0};
    for (size_t i = 0; i < net.num_starts; i++)
        for (int k = 0; k < 3; k++)
            by[k] += net.starts[i] < NET_BEGIN + (k + 1) * S;
    assert_near((double)by[0], 20, 2);
    assert_near((double)by[1] - (double)by[0], 100, 5);
    assert_near((double)by[2] - (double)by[1], 30, 4);
    assert_near(net_now(), 6, 0.3);
}

static const change nonsense[] = {
    {0.5, -7, -7}, {0.6, 100001, 2e9}, {0.7, 0, 1e-7}, {0.8, SPARP_AUTO, 0}, {0.9, 0, 0},
};

static void test_nonsense_changes_nothing(void **state) {
    (void)state;
    net_answer("/a", 0.001, NET_200);
    options.max_per_second = 10;
    options.max_at_once = 3;
    get_many(31, H "/a");
    run_with_changes(nonsense, COUNT_OF(nonsense));
    assert_near(net_now(), 3.0, 0.01);
}

/* --- how many at once, found out ------------------------------------------------------------ */

/* A server with so many hands, 20 ms each; who finds none free waits in its queue. */
static int hands;
static int64_t hand_free[512];

static double queue_for_a_hand(void) {
    int best = 0;
    for (int i = 1; i < hands; i++)
        best = hand_free[i] < hand_free[best] ? i : best;
    int64_t begins = hand_free[best] > test_now_ns ? hand_free[best] : test_now_ns;
    hand_free[best] = begins + 20 * MS;
    return (double)(hand_free[best] - test_now_ns) / 1e9;
}

static void hands_answer(const net_request *r, place *at, net_rule *answer) {
    (void)r;
    (void)at;
    say(answer, queue_for_a_hand(), NET_200);
}

/* Most at once in the second half of the run. */
static int late_most;

static void hands_watched(const net_request *r, net_rule *answer) {
    town(r, answer);
    net_recount();
    if (net.num_requests > num_requests / 2 && net.at_once > late_most)
        late_most = net.at_once;
}

static void begin_hands(int count, void (*how)(const net_request *, place *, net_rule *)) {
    again();
    hands = count;
    late_most = 0;
    memset(hand_free, 0, sizeof hand_free);
    net.server = hands_watched;
    town_answer = how;
    no_gate_expected = true;
    options.max_at_once = SPARP_AUTO;
}

static void test_auto_finds_what_a_server_can(void **state) {
    (void)state;
    static const int counts[] = {1, 4, 10, 30};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        begin_hands(counts[i], hands_answer);
        get_many(6000, H "/a");
        sparp_stats s = run();
        assert_int_equal(s.success, 6000);
        double best = 6000 * 0.02 / counts[i];
        CHECK(net_now() <= best * 1.1 + 0.5, "%d: %f s, possible are %f", counts[i], net_now(),
              best);
        CHECK(late_most <= counts[i] * 5 + 3, "%d at once for %d", late_most, counts[i]);
    }
}

static void test_auto_goes_up_while_that_is_well(void **state) {
    (void)state;
    begin_hands(500, hands_answer);
    get_many(8000, H "/a");
    run();
    CHECK(late_most > 100 && late_most <= 500, "%d at once", late_most);
}

static void strict_about_ten(const net_request *r, place *at, net_rule *answer) {
    (void)r;
    say(answer, 0.02, at->in_flight >= 10 ? BUSY("") : NET_200);
}

static void silent_above_ten(const net_request *r, place *at, net_rule *answer) {
    (void)r;
    say(answer, 0.02, at->in_flight >= 10 ? NET_SILENCE : NET_200);
}

static void test_auto_goes_down_on_429_and_timeouts(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        begin_hands(0, i == 0 ? strict_about_ten : silent_above_ten);
        options.no_gate = true;
        options.timeout_s = 0.2;
        get_many(4000, H "/a");
        sparp_stats s = run();
        assert_int_equal(s.success, 4000);
        /* a timeout is learnt of ten rounds late */
        CHECK(late_most <= (i == 0 ? 12 : 22), "%d at once", late_most);
        CHECK(net_now() < 4000 * 0.02 / 4, "%f s", net_now());      /* nor far below ten */
    }
}

static void all_is_lost(const net_request *r, place *at, net_rule *answer) {
    (void)r;
    (void)at;
    say(answer, 0.02, NET_503);
}

static void test_auto_never_goes_below_one(void **state) {
    (void)state;
    begin_hands(0, all_is_lost);
    options.backoff_s = SPARP_NONE;
    options.max_retries_by_soft_fail = 2;
    get_many(300, H "/a");
    sparp_stats s = run();
    assert_int_equal(s.soft_exhausted, 300);
    assert_int_equal(late_most, 1);
    assert_near(net_now(), 900 * 0.02, 0.6);
}

static void test_auto_is_bounded_by_what_set_pace_says(void **state) {
    (void)state;
    begin_hands(500, hands_answer);
    static const change fixed[] = {{0.5, 3, 0}};
    get_many(2000, H "/a");
    run_with_changes(fixed, 1);
    assert_int_equal(late_most, 3);
    static const change at_once[] = {{0.01, 60, 0}};    /* it is said, not found out */
    begin_hands(500, hands_answer);
    get_many(120, H "/a");
    run_with_changes(at_once, 1);
    assert_true(place_of("10.0.0.1")->most == 60);
    assert_near(net_now(), 0.06, 0.011);
}

/* Two servers of which one is far away: nothing queues anywhere. */
static void near_and_far(const net_request *r, place *at, net_rule *answer) {
    (void)at;
    say(answer, strcmp(r->path, "/far") == 0 ? 0.2 : 0.01, NET_200);
}

static void test_auto_does_not_take_a_far_server_for_a_slow_one(void **state) {
    (void)state;
    begin_hands(0, near_and_far);
    options.input_buffer_size = 1;
    for (int i = 0; i < 2000; i++)
        get(i % 2 == 0 ? H "/near" : "http://10.0.0.2/far");
    run();
    CHECK(late_most >= 30, "%d at once", late_most);
}

/* --- permits ------------------------------------------------------------------------------ */

static void test_a_permit_is_asked_for_each_start(void **state) {
    (void)state;
    net_answer("/soft", 0.01, NET_503);
    net_answer("/soft", 0.01, NET_200);
    net_answer("/a", 0.01, NET_200);
    options.permit = permit_by_time;
    denied_from = denied_until = permits_asked = 0;
    get(H "/soft");
    get_many(30, H "/a");
    run();
    assert_int_equal(permits_asked, 32);
    assert_int_equal(net.num_starts, 32);
}

static void test_a_permit_defers_for_seconds(void **state) {
    (void)state;
    net_answer("/a", 0.1, NET_200);
    options.permit = permit_by_time;
    options.max_at_once = 2;
    denied_from = 0.15;
    denied_until = 3;
    permits_asked = 0;
    get_many(6, H "/a");
    run();
    assert_near(seen.at[3], 0.2, 0.002);
    assert_near(seen.at[4], 3.1, 0.002);
    assert_near(seen.at[5], 3.1, 0.002);
    assert_int_equal(permits_asked, 7);                 /* one no */
}

static bool may_start;

static double permit_after_wake(const char *url, double cost, void *user_data) {
    (void)url;
    (void)cost;
    (void)user_data;
    permits_asked++;
    return may_start ? 0 : SPARP_NONE;
}

static void *allow_and_wake(void *argument) {
    may_start = true;
    sparp_wake((sparp *)argument);
    return NULL;
}

static void test_a_permit_waits_for_a_wake(void **state) {
    (void)state;
    net_answer("/a", 0.1, NET_200);
    options.permit = permit_after_wake;
    may_start = false;
    permits_asked = 0;
    get_many(3, H "/a");
    seen_fill();
    sparp *r = sparp_open(&options, NULL);
    net_at(3, wake_run, r);                             /* asked again, and refused again */
    net_at(5, allow_and_wake, r);
    while (sparp_step(r, -1))
        continue;
    sparp_close(r);
    seen_check_clean();
    assert_int_equal(seen.count, 3);
    assert_near(seen.at[2], 5.1, 0.002);
    assert_int_equal(permits_asked, 2 + 3);
}

/* Asked last: not for what cannot start anyway. */
static void test_a_permit_is_not_asked_in_vain(void **state) {
    (void)state;
    net.server = town;
    town_answer = first_and_then_well;
    first_answer = BUSY("Retry-After: 5\r\n");
    options.permit = permit_by_time;
    options.max_at_once = 1;
    options.max_per_second = 10;
    options.max_at_once_per_origin = 1;
    denied_from = denied_until = permits_asked = 0;
    get_many(20, H "/a");
    run();
    assert_int_equal(net.num_starts, 21);
    assert_int_equal(permits_asked, 21);
}

static sparp *stopped_by_permit;

static double permit_that_stops(const char *url, double cost, void *user_data) {
    (void)url;
    (void)cost;
    (void)user_data;
    if (++permits_asked == 4)
        sparp_stop(stopped_by_permit);
    return 0;
}

/* What a stop finds not started does not start any more. */
static void test_a_stop_inside_the_permit(void **state) {
    (void)state;
    net_answer("/a", 0.1, NET_200);
    options.permit = permit_that_stops;
    permits_asked = 0;
    get_many(10, H "/a");
    seen_fill();
    stopped_by_permit = sparp_open(&options, NULL);
    while (sparp_step(stopped_by_permit, -1))
        continue;
    sparp_stats s = sparp_get_stats(stopped_by_permit);
    sparp_close(stopped_by_permit);
    seen_check_end(&s);
    seen_check_clean();
    assert_int_equal(s.cancelled, 3);
    assert_int_equal(permits_asked, 4);
    assert_outcome(3, SPARP_OUTCOME_NOT_STARTED);
}

/* --- a system that has no more to give ---------------------------------------------------- */

static void *more_descriptors(void *argument) {
    net.fd_limit = *(const int *)argument;
    return NULL;
}

/* 8 of 40 get a descriptor: 4 at once from then on, and one more after each 8 successes. */
static void test_what_starves_is_halved_and_grows_again(void **state) {
    (void)state;
    static const int many = 1000;
    net_answer("/a", 0.1, NET_200);
    net.fd_limit = 8;
    net_at(0.05, more_descriptors, (void *)(uintptr_t)&many);
    options.max_at_once = 40;
    get_many(1000, H "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 1000);
    size_t sent = 8, first = 8;
    for (int round = 1; sent < 1000; round++) {
        size_t limit = 4 + sent / 8, count = 0;
        limit = limit < 40 ? limit : 40;
        sent = sent + limit < 1000 ? sent + limit : 1000;
        for (size_t i = first; i < net.num_starts; i++)
            count += net.starts[i] < NET_BEGIN + NET_NS(0.1) * round + 50 * MS;
        CHECK(first + count == sent, "%lu at once in round %d", (unsigned long)count, round);
        first += count;
    }
    assert_int_equal(net.most_at_once, 40);
}

static size_t warnings;

static void count_warnings(sparp_log_level level, const char *message, void *user_data) {
    (void)user_data;
    if (level == SPARP_LOG_WARN && strstr(message, "fewer connections") != NULL)
        warnings++;
}

static void test_starvation_is_said_once(void **state) {
    (void)state;
    net_answer("/a", 0.1, NET_200);
    net.fd_limit = 3;
    options.max_at_once = 20;
    options.logger.func = count_warnings;
    options.logger.max_level = SPARP_LOG_WARN;
    warnings = 0;
    get_many(200, H "/a");
    assert_int_equal(run().success, 200);
    assert_int_equal(warnings, 1);
}

#define CLOSING(status) "HTTP/1.1 " status "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

/* 2 holds the one descriptor there is, while 0 and 1 want to try again. */
static void soft_but_for_the_third(const net_request *r, net_rule *answer) {
    (void)r;
    if (net.num_requests == 3)
        net.fd_limit = 1;
    say(answer, net.num_requests == 3 ? 1 : 0.01,
        net.num_requests < 3 ? CLOSING("503 Away") : CLOSING("200 OK"));
}

static void test_who_starves_is_still_the_first(void **state) {
    (void)state;
    net.server = soft_but_for_the_third;
    options.backoff_s = SPARP_NONE;
    get_many(3, H "/a");
    assert_int_equal(run().success, 3);
    assert_near(seen.at[0], 1.01, 0.002);
    assert_near(seen.at[1], 1.02, 0.002);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(seen.results[i].attempts, 2);
}

/* What did not begin is no beginning: its deadline counts from the attempt that was made. */
static void test_a_starved_request_has_not_begun(void **state) {
    (void)state;
    net_answer("/long", 3, NET_200);
    net_answer("/a", 0.5, NET_200);
    net.fd_limit = 1;
    get(H "/long");
    get(H "/a")->deadline_s = 1;
    assert_int_equal(run().success, 2);
    assert_near(seen.at[1], 3.5, 0.01);
}

static void *no_descriptor(void *argument) {
    net_fail(NET_SOCKET, 1, EMFILE);
    net.fail_on = true;
    return argument;
}

static void *descriptors_again(void *argument) {
    net.fail_at = 0;
    return argument;
}

/* None at all from 0 to 1.5 and from 3 to 4.5 s: either is less than connect_timeout_s. */
static void test_the_patience_is_for_one_outage(void **state) {
    (void)state;
    net_answer("/a", 1, CLOSING("200 OK"));
    no_descriptor(NULL);
    net_at(1.5, descriptors_again, NULL);
    net_at(3, no_descriptor, NULL);
    net_at(4.5, descriptors_again, NULL);
    options.max_at_once = 1;
    options.connect_timeout_s = 2;
    get_many(3, H "/a");
    assert_int_equal(run().success, 3);
    assert_near(net_now(), 5.5, 0.1);
}

/* 20 times in its first second it has no descriptor: that earns no retries. */
static void test_starvation_earns_no_retries(void **state) {
    (void)state;
    net_answer("/soft", 0.001, NET_503);
    no_descriptor(NULL);
    net_at(1, descriptors_again, NULL);
    options.backoff_s = SPARP_NONE;
    options.max_retries_by_soft_fail = 11;
    options.retry_ratio = 0.5;
    get(H "/soft");
    run();
    assert_int_equal(seen.results[0].attempts, 12);
    CHECK(net_now() >= 11 - 0.5 && net_now() < 12, "%f s", net_now());
}

/* --- 10,000 wait for one origin ------------------------------------------------------------- */

#define CROWD 12000

static size_t crowd_given, crowd_ended;

static sparp_input crowd_requests(sparp_request *out, void *user_data) {
    (void)user_data;
    if (crowd_given == CROWD)
        return SPARP_INPUT_END;
    crowd_given++;
    out->url = H "/a";
    return SPARP_INPUT_READY;
}

static void crowd_result(sparp *run, const sparp_result *result, void *user_data) {
    (void)run;
    (void)user_data;
    crowd_ended += result->outcome == SPARP_OUTCOME_SUCCESS;
}

/* Then nothing new is pulled: what waits is bounded. Nor does anything get lost. */
static void test_10000_wait_for_an_origin_and_no_more(void **state) {
    (void)state;
    net.server = first_and_then_well_without_a_model;
    first_answer = BUSY("Retry-After: 5\r\n");
    options.next_request = crowd_requests;
    options.on_result = crowd_result;
    options.max_at_once = 500;
    options.random_seed = 1;
    net.poll_limit = 1000000;
    crowd_given = crowd_ended = 0;
    sparp *r = sparp_open(&options, NULL);
    while (net_now() < 4 && sparp_step(r, 100))
        continue;
    CHECK(crowd_given >= 10000 && crowd_given <= 10000 + 500 + 100, "%lu were pulled",
          (unsigned long)crowd_given);
    while (sparp_step(r, -1))
        continue;
    sparp_close(r);
    net_end();
    assert_int_equal(crowd_ended, CROWD);
}

/* --- what makes no sense is refused by name ------------------------------------------------- */

static void assert_refused(const char *field, double value) {
    sparp_error error = SPARP_E_OK;
    const char *sentence = sparp_check_options(&options);
    size_t size = strlen(field);
    CHECK(strncmp(sentence, field, size) == 0 && sentence[size] == ' ', "%s = %f: \"%s\"", field,
          value, sentence);
    assert_null(sparp_open(&options, &error));
    assert_int_equal(error, SPARP_E_BAD_OPTIONS);
    memset(&options, 0, sizeof options);
}

#define FIELD(name) {#name, offsetof(sparp_options, name)}

static const struct {
    const char *name;
    size_t offset;
} real_fields[] = {
    FIELD(max_per_second), FIELD(max_per_second_per_origin), FIELD(max_cost_per_second),
    FIELD(cost_burst), FIELD(max_cost_per_second_per_origin), FIELD(timeout_s),
    FIELD(connect_timeout_s), FIELD(idle_timeout_s), FIELD(run_deadline_s), FIELD(retry_ratio),
    FIELD(backoff_s), FIELD(backoff_max_s), FIELD(retry_after_max_s),
    FIELD(stop_after_failure_ratio), FIELD(progress_every_s),
}, whole_fields[] = {
    FIELD(max_at_once), FIELD(max_at_once_per_origin), FIELD(burst), FIELD(workers),
    FIELD(input_buffer_size), FIELD(max_retries_by_soft_fail), FIELD(max_retries_by_timeout),
    FIELD(max_retries_by_transport), FIELD(stop_after_failures), FIELD(stop_after_successes),
};

static void test_nonsense_is_refused_by_name(void **state) {
    (void)state;
    static const double real[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, -0.5, -2, -3};
    static const int whole[] = {-3, -100, INT_MIN};
    for (size_t i = 0; i < COUNT_OF(real_fields); i++)
        for (size_t k = 0; k < COUNT_OF(real); k++) {
            memcpy((char *)&options + real_fields[i].offset, &real[k], sizeof real[k]);
            assert_refused(real_fields[i].name, real[k]);
        }
    for (size_t i = 0; i < COUNT_OF(whole_fields); i++)
        for (size_t k = 0; k < COUNT_OF(whole); k++) {
            memcpy((char *)&options + whole_fields[i].offset, &whole[k], sizeof whole[k]);
            assert_refused(whole_fields[i].name, whole[k]);
        }
    options.retry_safe_only = options.retry_unsafe = true;
    assert_refused("retry_safe_only", 1);
    net_end();
}

/* The ends of a range belong to it. */
static void test_the_most_is_taken(void **state) {
    (void)state;
    static const double rates[] = {1e-6, 1e9}, costs[] = {1e-6, 1e12};
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        options.max_per_second = options.max_per_second_per_origin = rates[i];
        options.max_cost_per_second = options.max_cost_per_second_per_origin = costs[i];
        options.cost_burst = costs[i];
        options.burst = 1000000000;
        options.max_at_once_per_origin = options.stop_after_failures = INT_MAX;
        options.timeout_s = options.backoff_s = 1e9;
        options.retry_ratio = 1e6;
        assert_string_equal(sparp_check_options(&options), "");
    }
    net_end();
}

/* --- 100,000 origins ---------------------------------------------------------------------- */

#define MANY 100000

static struct many {
    size_t   given, ended, peak_origins, peak_gates, peak_bytes, blocks_after;
    uint64_t successes;
    sparp   *run;
} many;

static void *many_memory(void *ptr, size_t old_size, size_t new_size, void *user_data) {
    test_memory *m = (test_memory *)user_data;
    void *result = test_memory_func(ptr, old_size, new_size, m);
    many.peak_bytes = m->bytes > many.peak_bytes ? m->bytes : many.peak_bytes;
    return result;
}

static sparp_input many_requests(sparp_request *out, void *user_data) {
    static char url[64];
    (void)user_data;
    if (many.given == MANY)
        return SPARP_INPUT_END;
    snprintf(url, sizeof url, "http://10.%lu.%lu.%lu/a", (unsigned long)(many.given >> 16) + 1,
             (unsigned long)(many.given >> 8 & 255), (unsigned long)(many.given & 255));
    many.given++;
    out->url = url;
    return SPARP_INPUT_READY;
}

static void many_result(sparp *run, const sparp_result *result, void *user_data) {
    (void)user_data;
    many.ended++;
    many.successes += result->outcome == SPARP_OUTCOME_SUCCESS;
    many.peak_origins = run->sched.origins.count > many.peak_origins ? run->sched.origins.count
                                                                   : many.peak_origins;
    size_t gates = run->sched.gates.count;
    many.peak_gates = gates > many.peak_gates ? gates : many.peak_gates;
}

static void run_many(void) {
    test_memory memory;
    memset(&memory, 0, sizeof memory);
    memset(&many, 0, sizeof many);
    net.poll_limit = 1000000;
    options.next_request = many_requests;
    options.on_result = many_result;
    options.allocator.func = many_memory;
    options.allocator.user_data = &memory;
    options.random_seed = 1;
    options.max_at_once = 50;
    assert_int_equal(sparp_run_each(&options, NULL), SPARP_E_OK);
    net_end();
    assert_true(test_memory_clean(&memory));
    assert_int_equal(many.given, MANY);
    assert_int_equal(many.ended, MANY);
}

static void quick_answer(const net_request *r, net_rule *answer) {
    (void)r;
    say(answer, 0.01, NET_200);
}

static void test_100000_origins_need_no_more_memory_than_50(void **state) {
    (void)state;
    net.server = quick_answer;
    run_many();
    assert_int_equal(many.successes, MANY);
    CHECK(many.peak_origins <= 50 + 100 + 1, "%lu origins", (unsigned long)many.peak_origins);
    CHECK(many.peak_bytes < 800000, "%lu bytes", (unsigned long)many.peak_bytes);
    assert_true(net.calls[NET_POLL] <= 2 * MANY / 50 * 3);
}

/* The same with a pace for each: it is remembered, but only for as long as it holds. */
static void test_100000_origins_with_a_pace_each(void **state) {
    (void)state;
    net.server = quick_answer;
    options.max_per_second_per_origin = 10;
    options.max_at_once_per_origin = 2;
    run_many();
    assert_int_equal(many.successes, MANY);
    /* 5,000 come in a second, and each is remembered for 0.1 */
    CHECK(many.peak_origins <= 500 + 250, "%lu origins", (unsigned long)many.peak_origins);
    CHECK(many.peak_bytes < 1600000, "%lu bytes", (unsigned long)many.peak_bytes);
    assert_true(net.calls[NET_POLL] <= 2 * MANY / 50 * 3);
}

static void all_refuse(const net_request *r, net_rule *answer) {
    (void)r;
    say(answer, 0.01, BUSY("Retry-After: 1\r\nConnection: close\r\n"));
}

/* Each says 429 and is remembered for its second, and as long again for that it reopens. */
static void test_100000_origins_that_all_refuse(void **state) {
    (void)state;
    net.server = all_refuse;
    options.max_retries_by_soft_fail = SPARP_NONE;
    run_many();
    assert_int_equal(many.successes, 0);
    CHECK(many.peak_origins <= 2 * 5000 + 500, "%lu origins", (unsigned long)many.peak_origins);
    assert_true(many.peak_origins >= 4900);
    CHECK(many.peak_bytes < 12000000, "%lu bytes", (unsigned long)many.peak_bytes);
    assert_true(net.calls[NET_POLL] <= MANY);
}

/* --- what the waiting was for --------------------------------------------------------------- */

static int64_t tried_us[SEEN_MAX];      /* the attempts before the last */

static void add_attempt(sparp *run, const sparp_result *attempt) {
    (void)run;
    tried_us[attempt->index] += attempt->elapsed_us;
}

/* Every microsecond of a request was either spent on an attempt or waited, for a reason. */
static sparp_stats run_and_add_up(void) {
    int64_t sums[SPARP_WAIT_COUNT] = {0};
    memset(tried_us, 0, sizeof tried_us);
    seen.on_retry = add_attempt;
    sparp_stats s = run();
    for (size_t i = 0; i < seen.count; i++) {
        const sparp_result *r = &seen.results[i];
        int64_t waited = 0;
        for (int k = 0; k < SPARP_WAIT_COUNT; k++) {
            CHECK(r->wait_us[k] >= 0, "%lu: %s is negative", (unsigned long)i,
                  sparp_wait_name((sparp_wait)k));
            waited += r->wait_us[k];
            sums[k] += r->wait_us[k];
        }
        int64_t rest = r->total_us - waited - r->elapsed_us - tried_us[i];
        assert_true(waited == r->waited_us);
        CHECK(r->attempts == 0 || (rest >= -20 && rest <= 20),
              "%lu: %ld us of %ld are not accounted for", (unsigned long)i, (long)rest,
              (long)r->total_us);
    }
    for (int k = 0; k < SPARP_WAIT_COUNT; k++)
        assert_near((double)s.waited_us[k] / 1e6, (double)sums[k] / 1e6, 0.01);
    return s;
}

/* All of its waiting was for that, and so long. */
static void assert_waited(size_t index, sparp_wait why, double seconds, double tolerance) {
    const sparp_result *r = &seen.results[index];
    CHECK(r->wait_us[why] >= (int64_t)((seconds - tolerance) * 1e6)
          && r->wait_us[why] <= (int64_t)((seconds + tolerance) * 1e6),
          "%lu: %ld us for %s, expected %f s", (unsigned long)index, (long)r->wait_us[why],
          sparp_wait_name(why), seconds);
}

static void assert_waited_only(size_t index, sparp_wait why, double seconds, double tolerance) {
    assert_waited(index, why, seconds, tolerance);
    CHECK(seen.results[index].waited_us - seen.results[index].wait_us[why] <= 2000,
          "%lu: %ld us for something else than %s", (unsigned long)index,
          (long)(seen.results[index].waited_us - seen.results[index].wait_us[why]),
          sparp_wait_name(why));
}

static void test_waits_for_slot_rate_and_origin(void **state) {
    (void)state;
    for (int why = 0; why < 4; why++) {
        again();
        options.max_at_once = why == 0 ? 1 : 100;
        options.max_per_second = why == 1 ? 10 : 0;
        options.max_at_once_per_origin = why == 2 ? 1 : 0;
        options.max_per_second_per_origin = why == 3 ? 10 : 0;
        net_answer("/a", 0.1, NET_200);
        get_many(20, H "/a");
        run_and_add_up();
        for (size_t i = 0; i < 20; i++)
            assert_waited_only(i, why == 0 ? SPARP_WAIT_SLOT : why == 1 ? SPARP_WAIT_RATE
                               : SPARP_WAIT_ORIGIN, 0.1 * (double)i, 0.021);
        memset(&options, 0, sizeof options);
    }
}

static void lookup_dams_up_ten(void) {
    net.lookup_s = 1;
    net_lookup("a.test", "10.0.0.7", 0);
    net_answer("/a", 0.1, NET_200);
    options.max_per_second = 10;
    get_many(10, "http://a.test/a");
}

/* Admitted at 0.1 * i, and written as much after 1 s, when the address is known. */
static void test_a_wait_for_the_token_of_a_write_is_one_for_the_rate(void **state) {
    (void)state;
    lookup_dams_up_ten();
    run_and_add_up();
    for (size_t i = 0; i < 10; i++)
        assert_waited_only(i, SPARP_WAIT_RATE, 0.2 * (double)i, 0.021);
}

/* ... and does not count as time of the attempt, though it takes longer than timeout_s. */
static void test_a_wait_for_the_token_of_a_write_eats_no_timeout(void **state) {
    (void)state;
    static const change slower[] = {{0.95, 0, 0.5}};
    lookup_dams_up_ten();
    options.timeout_s = 1.5;
    sparp_stats s = run_with_changes(slower, 1);
    assert_int_equal(s.success, 10);
    assert_int_equal(s.timeouts, 0);
    CHECK(net_now() > 15, "%f s", net_now());
}

static void test_waits_for_gate_backoff_and_budget(void **state) {
    (void)state;
    net.server = town;
    town_answer = first_and_then_well;
    first_answer = BUSY("Retry-After: 2\r\n");
    options.max_at_once = 1;
    get_many(2, H "/a");
    run_and_add_up();
    assert_waited(0, SPARP_WAIT_BACKOFF, 2.2, 0.3);
    assert_waited(1, SPARP_WAIT_SLOT, 0.05, 0.002);
    assert_waited(1, SPARP_WAIT_GATE, 2, 0.002);
    again();
    net_answer("/soft", 0.01, NET_503);
    net_answer("/soft", 0.01, NET_503);
    net_answer("/soft", 0.01, NET_200);
    options.backoff_s = SPARP_NONE;
    options.retry_ratio = 0.001;
    get(H "/soft");
    run_and_add_up();
    assert_waited_only(0, SPARP_WAIT_BACKOFF, 2, 0.05);
}

static void test_a_wait_for_a_permit_is_one_for_the_rate(void **state) {
    (void)state;
    net_answer("/long", 2, NET_200);
    net_answer("/long", 0.01, NET_200);
    net_answer("/a", 0.3, NET_200);             /* something happens meanwhile */
    options.permit = permit_by_time;
    options.max_at_once = 8;
    denied_from = 0.1;
    denied_until = 5;
    get_many(7, H "/a");
    get(H "/long");
    get_many(5, H "/a");
    run_and_add_up();
    for (size_t i = 8; i < 13; i++) {
        assert_waited(i, SPARP_WAIT_SLOT, 0.3, 0.01);
        assert_waited(i, SPARP_WAIT_RATE, 4.7, 0.01);
    }
}

/* Parked because its origin was full; then the origin closes. */
static void test_a_wait_for_an_origin_becomes_one_for_its_gate(void **state) {
    (void)state;
    net.server = town;
    net_answer("/first", 1, BUSY("Retry-After: 10\r\n"));
    net_answer("/first", 1, NET_200);
    net_answer("/a", 0.1, NET_200);
    options.max_at_once_per_origin = 1;
    get(H "/first");
    get(H "/a");
    run_and_add_up();
    assert_waited(1, SPARP_WAIT_ORIGIN, 1, 0.01);
    assert_waited(1, SPARP_WAIT_GATE, 10, 0.01);
}

/* All are parked when the gate closes; once it is open they come one after the other, but what
   they wait for is not their origin. */
static void test_behind_a_gate_that_opened_waits_count_for_what_they_are(void **state) {
    (void)state;
    for (int rate = 0; rate < 2; rate++) {
        again();
        net.server = town;
        net_answer("/a", 0.01, BUSY("Retry-After: 1\r\n"));
        net_answer("/a", rate ? 0.01 : 0.1, NET_200);
        options.max_at_once = rate ? 100 : 1;
        options.max_per_second = rate ? 10 : 0;
        get_many(30, H "/a");
        run_and_add_up();
        for (size_t i = 1; i < 30; i++) {
            assert_waited(i, SPARP_WAIT_GATE, 1, 0.111);
            assert_waited(i, SPARP_WAIT_ORIGIN, 0, 0.011);
            assert_waited(i, rate ? SPARP_WAIT_RATE : SPARP_WAIT_SLOT, 0.1 * (double)i, 0.201);
        }
        memset(&options, 0, sizeof options);
    }
}

/* While 1 is parked the rate holds others back; then it waits for a slot. */
static void test_what_the_rate_does_to_others_is_not_its_wait(void **state) {
    (void)state;
    options.input_buffer_size = 1;      /* looked at in the order of the input */
    static const change one_slot[] = {{0.95, 1, 0}};
    net_answer("/first", 1, NET_200);
    net_answer("/b", 0.01, NET_200);
    net_answer("/long", 3, NET_200);
    net_answer("/a", 0.1, NET_200);
    options.max_at_once = 9;
    options.max_per_second = 10;
    options.max_at_once_per_origin = 1;
    get(H "/first");                            /* until 1 */
    get(H "/a");                                /* parked from 0.1 on */
    for (int i = 0; i < 8; i++)
        get("http://10.0.0.2/b");               /* until 0.8, one by one */
    get("http://10.0.0.3/long");                /* from 0.9 to 3.9, on what is the last slot then */
    run_with_changes(one_slot, 1);
    assert_waited(1, SPARP_WAIT_RATE, 0.1, 0.11);
    assert_waited(1, SPARP_WAIT_ORIGIN, 0.9, 0.11);
    assert_waited(1, SPARP_WAIT_SLOT, 2.9, 0.11);
}

/* The same for the one behind it in the same queue: what it waits for is what that one waits for,
   from when it was let go, not from when it was parked. */
static void test_nor_that_of_the_next(void **state) {
    (void)state;
    options.input_buffer_size = 1;      /* looked at in the order of the input */
    static const change one_slot[] = {{0.95, 1, 0}};
    net.server = town;
    net_answer("/a", 0.01, BUSY("Retry-After: 1\r\n"));
    net_answer("/a", 0.01, NET_200);
    net_answer("/b", 0.01, NET_200);
    net_answer("/long", 3, NET_200);
    options.max_at_once = 9;
    options.max_per_second = 10;
    get(H "/a");
    get("http://10.0.0.2/b");
    get_many(2, H "/a");                /* parked from 0.2 on */
    for (int i = 0; i < 7; i++)
        get("http://10.0.0.2/b");
    get("http://10.0.0.3/long");        /* from 0.9 to 3.9, on what is the last slot then */
    run_with_changes(one_slot, 1);
    assert_waited(2, SPARP_WAIT_SLOT, 2.89, 0.011);
    assert_waited(3, SPARP_WAIT_SLOT, 2.89, 0.021);     /* then the retry of 0 has its turn */
    assert_waited(2, SPARP_WAIT_RATE, 0.1, 0.011);      /* from when it was pulled */
    assert_waited(3, SPARP_WAIT_RATE, 0.18, 0.021);
}

/* One at a time and ten a second: the slot is free again long before the rate lets the next one. */
static void test_a_free_slot_is_not_waited_for(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    options.max_at_once = 1;
    options.max_per_second = 10;
    get_many(10, H "/a");
    run_and_add_up();
    for (size_t i = 0; i < 10; i++) {
        assert_waited(i, SPARP_WAIT_RATE, 0.09 * (double)i, 0.011);
        assert_waited(i, SPARP_WAIT_SLOT, 0.01 * (double)i, 0.011);
    }
}

/* While it reopens, the gate counts as closed, but not for what waits behind one that it has let
   go; then that one's place does. */
static void test_a_slot_in_a_gate_that_reopens(void **state) {
    (void)state;
    static const change one_slot[] = {{0.5, 1, 0}, {3.5, 2, 0}};
    net.server = town;
    net_answer("/a", 0.01, BUSY("Retry-After: 1\r\n"));
    net_answer("/a", 0.1, NET_200);
    net_answer("/long", 3, NET_200);
    options.max_at_once = 2;
    options.max_at_once_per_origin = 1;
    get("http://10.0.0.3/long");
    get_many(18, H "/a");
    run_with_changes(one_slot, 2);
    for (size_t i = 2; i < 19; i++) {
        assert_waited(i, SPARP_WAIT_GATE, i < 9 ? 0.8 + 0.1 * (double)i : 1.7, 0.011);
        assert_waited(i, SPARP_WAIT_ORIGIN, i < 9 ? 0 : 0.1 * (double)(i - 9), 0.011);
        assert_waited(i, SPARP_WAIT_SLOT, 2.1, 0.111);
    }
}

/* Stray bytes arrive on the connection that it holds, just when its token is due. */
static void test_a_held_connection_goes_bad(void **state) {
    (void)state;
    static const char answer[] = NET_200 "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    net_host("10.0.0.1", 0.25, 0);
    net_rule *rule = net_answer("/a", 0.01, answer);
    rule->piece = strlen(NET_200);
    rule->gap_s = 0.09;
    net_answer("/a", 0.01, NET_200);
    options.max_at_once = 1;
    options.max_per_second_per_origin = 10;
    get_many(3, H "/a");
    assert_int_equal(run().success, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(seen.bodies[i], "ok");
    assert_int_equal(seen.results[1].replays, 1);
}

/* It has waited, also when it never starts. */
static void test_waits_of_what_never_starts(void **state) {
    (void)state;
    net_answer("/a", 3, NET_200);
    options.max_at_once = 1;
    options.run_deadline_s = 2;
    get_many(2, H "/a");
    run_and_add_up();
    assert_outcome(1, SPARP_OUTCOME_NOT_STARTED);
    assert_waited_only(1, SPARP_WAIT_SLOT, 2, 0.01);
    again();
    options.run_deadline_s = 0;
    net_answer("/soft", 0.1, NET_503);
    net_answer("/long", 5, NET_200);
    options.backoff_s = SPARP_NONE;
    get(H "/soft")->deadline_s = 2;
    get(H "/long");
    run_and_add_up();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);
}

int main(void) {
    seen_prepare = forget_places;
    const struct CMUnitTest tests[] = {
        SEEN_TEST(test_a_zeroed_gate_is_open),
        SEEN_TEST(test_a_gate_counts_those_inside),
        SEEN_TEST(test_a_gate_has_its_own_pace),
        SEEN_TEST(test_a_gate_closes_until_the_latest_end),
        SEEN_TEST(test_a_gate_reopens_by_doubling),
        SEEN_TEST(test_the_limit_rises_by_one_a_round),
        SEEN_TEST(test_the_limit_falls_by_a_third_once_a_round),
        SEEN_TEST(test_the_limit_falls_where_answers_queue),
        SEEN_TEST(test_the_limit_settles_at_what_the_server_can),
        SEEN_TEST(test_an_origin_has_its_own_cap),
        SEEN_TEST(test_an_origin_has_its_own_pace),
        SEEN_TEST(test_the_burst_is_each_origins_too),
        SEEN_TEST(test_an_origins_pace_holds_after_a_slow_lookup),
        SEEN_TEST(test_an_origins_pace_is_not_one_by_one),
        SEEN_TEST(test_a_replay_takes_its_origins_token),
        SEEN_TEST(test_a_held_request_whose_connection_closes),
        SEEN_TEST(test_who_is_held_for_its_origin_holds_no_other),
        SEEN_TEST(test_the_order_at_an_origin_is_kept),
        SEEN_TEST(test_who_was_let_go_in_vain_is_still_the_first),
        SEEN_TEST(test_the_pace_of_all_and_of_each),
        SEEN_TEST(test_siblings_wait_for_nothing_but_the_gate),
        SEEN_TEST(test_what_is_held_does_not_run_into_a_closed_gate),
        SEEN_TEST(test_a_closed_origin_takes_no_slot_and_no_token),
        SEEN_TEST(test_the_latest_end_counts),
        SEEN_TEST(test_it_reopens_1_2_4_8),
        SEEN_TEST(test_a_pass_has_no_outcome_yet),
        SEEN_TEST(test_a_turn_that_is_not_taken_goes_to_the_next),
        SEEN_TEST(test_a_turn_that_its_deadline_ends_goes_to_the_next),
        SEEN_TEST(test_a_429_without_retry_after_closes_for_a_pause),
        SEEN_TEST(test_an_origin_that_stays_busy_is_asked_less_and_less),
        SEEN_TEST(test_a_gate_doubles_its_pause_until_a_success),
        SEEN_TEST(test_what_closes_the_gate_and_for_how_long),
        SEEN_TEST(test_what_is_above_the_cap_ends_with_its_time),
        SEEN_TEST(test_a_date_without_a_date_counts_from_our_clock),
        SEEN_TEST(test_no_pause_is_longer_than_the_cap),
        SEEN_TEST(test_what_was_sent_once_may_have_been_applied),
        SEEN_TEST(test_any_answer_opens_it_further),
        SEEN_TEST(test_a_pass_may_still_end_at_its_deadline),
        SEEN_TEST(test_a_pass_is_not_for_what_is_above_the_cap),
        SEEN_TEST(test_a_pass_is_not_for_what_must_not_be_sent_twice),
        SEEN_TEST(test_a_pass_is_not_for_a_503_without_a_time),
        SEEN_TEST(test_a_pass_that_ends_after_the_deadline_is_not_begun),
        SEEN_TEST(test_a_pass_that_ends_after_the_runs_deadline_is_not_begun),
        SEEN_TEST(test_passes_go_on_in_their_order),
        SEEN_TEST(test_20_passes_cost_nothing_and_the_21st_does),
        SEEN_TEST(test_14_without_soft_retries_a_429_is_final),
        SEEN_TEST(test_13_what_is_above_the_cap_closes_its_origin),
        SEEN_TEST(test_13_what_is_left_of_it_may_be_waited_for),
        SEEN_TEST(test_13_without_a_gate_each_hears_it_for_itself),
        SEEN_TEST(test_no_gate_lets_them_run_into_it),
        SEEN_TEST(test_a_newcomer_does_not_overtake_who_is_parked),
        SEEN_TEST(test_a_closed_origin_is_remembered_though_nobody_uses_it),
        SEEN_TEST(test_that_it_reopens_is_remembered_too),
        SEEN_TEST(test_an_origin_is_forgotten_when_it_opens),
        SEEN_TEST(test_a_parked_request_ends_at_its_deadline),
        SEEN_TEST(test_the_runs_deadline_ends_what_is_parked),
        SEEN_TEST(test_stop_drain_and_cancel_end_what_is_parked),
        SEEN_TEST(test_a_pass_is_not_begun_after_a_stop),
        SEEN_TEST(test_every_hop_takes_a_token),
        SEEN_TEST(test_a_hop_waits_at_a_closed_origin),
        SEEN_TEST(test_a_hop_counts_where_it_goes),
        SEEN_TEST(test_a_drain_does_not_forget_a_parked_hop),
        SEEN_TEST(test_a_redirect_opens_it_further),
        SEEN_TEST(test_a_hop_that_starves_is_no_new_attempt),
        SEEN_TEST(test_a_drain_lets_hops_go_on),
        SEEN_TEST(test_four_origins_do_not_wait_for_each_other),
        SEEN_TEST(test_the_budget_defers_and_never_drops),
        SEEN_TEST(test_a_budget_that_is_not_used_up_defers_nothing),
        SEEN_TEST(test_every_kind_of_retry_counts_for_the_budget),
        SEEN_TEST(test_a_deadline_comes_while_the_budget_defers),
        SEEN_TEST(test_the_deferred_go_on_in_their_order),
        SEEN_TEST(test_a_pace_that_changes_is_kept_across_the_change),
        SEEN_TEST(test_setting_the_same_pace_gives_nothing_away),
        SEEN_TEST(test_a_rate_is_taken_away_and_set_again),
        SEEN_TEST(test_slots_are_added_and_taken_away),
        SEEN_TEST(test_nonsense_changes_nothing),
        SEEN_TEST(test_auto_finds_what_a_server_can),
        SEEN_TEST(test_auto_goes_up_while_that_is_well),
        SEEN_TEST(test_auto_goes_down_on_429_and_timeouts),
        SEEN_TEST(test_auto_never_goes_below_one),
        SEEN_TEST(test_auto_is_bounded_by_what_set_pace_says),
        SEEN_TEST(test_auto_does_not_take_a_far_server_for_a_slow_one),
        SEEN_TEST(test_a_permit_is_asked_for_each_start),
        SEEN_TEST(test_a_permit_defers_for_seconds),
        SEEN_TEST(test_a_permit_waits_for_a_wake),
        SEEN_TEST(test_a_permit_is_not_asked_in_vain),
        SEEN_TEST(test_a_stop_inside_the_permit),
        SEEN_TEST(test_what_starves_is_halved_and_grows_again),
        SEEN_TEST(test_starvation_is_said_once),
        SEEN_TEST(test_who_starves_is_still_the_first),
        SEEN_TEST(test_a_starved_request_has_not_begun),
        SEEN_TEST(test_the_patience_is_for_one_outage),
        SEEN_TEST(test_starvation_earns_no_retries),
        SEEN_TEST(test_10000_wait_for_an_origin_and_no_more),
        SEEN_TEST(test_nonsense_is_refused_by_name), SEEN_TEST(test_the_most_is_taken),
        SEEN_TEST(test_100000_origins_need_no_more_memory_than_50),
        SEEN_TEST(test_100000_origins_with_a_pace_each),
        SEEN_TEST(test_100000_origins_that_all_refuse),
        SEEN_TEST(test_waits_for_slot_rate_and_origin),
        SEEN_TEST(test_a_wait_for_the_token_of_a_write_is_one_for_the_rate),
        SEEN_TEST(test_a_wait_for_the_token_of_a_write_eats_no_timeout),
        SEEN_TEST(test_waits_for_gate_backoff_and_budget),
        SEEN_TEST(test_a_wait_for_a_permit_is_one_for_the_rate),
        SEEN_TEST(test_a_wait_for_an_origin_becomes_one_for_its_gate),
        SEEN_TEST(test_behind_a_gate_that_opened_waits_count_for_what_they_are),
        SEEN_TEST(test_what_the_rate_does_to_others_is_not_its_wait),
        SEEN_TEST(test_nor_that_of_the_next),
        SEEN_TEST(test_a_free_slot_is_not_waited_for),
        SEEN_TEST(test_a_slot_in_a_gate_that_reopens),
        SEEN_TEST(test_a_held_connection_goes_bad),
        SEEN_TEST(test_waits_of_what_never_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What requests cost: the pace by weight, what is charged afterwards, limits by host, and origins
   that take turns. On a scripted clock and a network inside the process: see ../fakenet.h. */
#include <math.h>
#define NET_REQUESTS 12000
#define SEEN_MAX 11000
#include "../fakenet.h"
#define SPARP_NO_TLS
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#include "../seen.h"

#define A "http://10.0.0.1"
#define B "http://10.0.0.2"
#define S INT64_C(1000000000)
#define MS INT64_C(1000000)
#define LATE 0.01                       /* seconds: as much is made up for, see >>bucket */
#define OK_CLOSE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

/* --- what is owed, by itself ----------------------------------------------------------------- */

static sparp__debt new_debt(double rate, double burst) {
    sparp__debt d;
    sparp__debt_init(&d, rate, burst);
    return d;
}

static void test_without_a_rate_nothing_is_owed(void **state) {
    (void)state;
    sparp__debt none, zero = new_debt(0, 5);
    memset(&none, 0, sizeof none);
    for (int i = 0; i < 3; i++) {
        sparp__debt_book(&none, 1e12, S);
        sparp__debt_book(&zero, 1e12, S);
        assert_true(sparp__debt_wait(&none, 1e12, S) == 0);
        assert_true(sparp__debt_wait(&zero, 1e12, S) == 0);
    }
}

static void test_one_after_another_without_a_burst(void **state) {
    (void)state;
    sparp__debt d = new_debt(100, 0);
    assert_true(sparp__debt_wait(&d, 50, S) == 0);      /* the first is free */
    sparp__debt_book(&d, 50, S);
    assert_true(sparp__debt_wait(&d, 1, S) == S / 2);   /* until that is paid off, */
    assert_true(sparp__debt_wait(&d, 1e6, S) == S / 2); /* whatever it costs itself */
    assert_true(sparp__debt_wait(&d, 0, S) == 0);       /* but for what is free */
    assert_true(sparp__debt_wait(&d, 1, S + S / 2) == 0);
}

static void test_a_burst_of_light_ones(void **state) {
    (void)state;
    sparp__debt d = new_debt(100, 30);
    for (int i = 0; i < 3; i++) {
        assert_true(sparp__debt_wait(&d, 10, S) == 0);
        sparp__debt_book(&d, 10, S);
    }
    assert_true(sparp__debt_wait(&d, 10, S) == S / 10);
    assert_true(sparp__debt_wait(&d, 5, S) == S / 20);
    assert_true(sparp__debt_wait(&d, 30, S) == 3 * S / 10);
    assert_true(sparp__debt_wait(&d, 31, S) == 3 * S / 10);     /* heavier than the burst */
}

static void test_what_is_given_back_is_there_again(void **state) {
    (void)state;
    sparp__debt d = new_debt(100, 0);
    sparp__debt_book(&d, 100, S);
    sparp__debt_book(&d, -40, S + S / 10);
    assert_true(sparp__debt_wait(&d, 1, S + S / 10) == S / 2);
    sparp__debt_book(&d, -1e12, S + S / 10);            /* no more than that nothing is owed */
    assert_true(sparp__debt_wait(&d, 1, S + S / 10) == 0);
    sparp__debt_book(&d, 100, S + S / 10);
    assert_true(sparp__debt_wait(&d, 1, S + S / 10) >= S - 10 * MS);
    sparp__debt_book(&d, -5, 9 * S);                    /* long paid off */
    sparp__debt_book(&d, 10, 9 * S);
    assert_true(sparp__debt_wait(&d, 1, 9 * S) >= S / 10 - 10 * MS);
}

/* After n of them n times that has passed, to the nanosecond. */
static void test_a_debt_does_not_drift(void **state) {
    (void)state;
    static const double rates[] = {3, 7, 0.3, 1500, 90000. / 60, 1e9, 12345.678};
    static const double costs[] = {1, 1. / 3, 0.1, 17};
    for (size_t r = 0; r < COUNT_OF(rates); r++)
        for (size_t c = 0; c < COUNT_OF(costs); c++) {
            sparp__debt d = new_debt(rates[r], 0);
            int64_t now = 5 * S;
            for (int i = 0; i < 100000; i++) {
                now += sparp__debt_wait(&d, costs[c], now);
                sparp__debt_book(&d, costs[c], now);
            }
            double due = 5e9 + 1e5 * costs[c] * 1e9 / rates[r];
            CHECK(fabs((double)d.paid_at - due) <= 2 + due * 1e-15, "%g of %g: %.0f, not %.1f",
                  costs[c], rates[r], (double)d.paid_at, due);
        }
}

/* The ends of what options and requests allow: nothing overflows, and nobody is let in. */
static void test_debts_beyond_all_measure(void **state) {
    (void)state;
    static const double rates[] = {1e-6, 1, 1e12}, bursts[] = {0, 1, 1e12};
    static const int64_t uptimes[] = {0, 3600 * S, 100 * INT64_C(31557600) * S};
    for (size_t r = 0; r < COUNT_OF(rates); r++)
        for (size_t k = 0; k < COUNT_OF(bursts); k++)
            for (size_t u = 0; u < COUNT_OF(uptimes); u++) {
                sparp__debt d = new_debt(rates[r], bursts[k]);
                for (int i = 0; i < 20; i++) {
                    sparp__debt_book(&d, i % 3 == 2 ? -1e12 : 1e12, uptimes[u]);
                    assert_true(sparp__debt_wait(&d, 1e12, uptimes[u]) >= 0);
                    assert_true(sparp__debt_wait(&d, 1e-12, uptimes[u]) >= 0);
                }
                sparp__debt_book(&d, 1e12, uptimes[u]);
                CHECK(rates[r] > 1 || sparp__debt_wait(&d, 1e12, uptimes[u]) > 1000000 * S,
                      "rate %g, burst %g: a wait of %g s", rates[r], bursts[k],
                      (double)sparp__debt_wait(&d, 1e12, uptimes[u]) / 1e9);
            }
}

typedef struct metered {
    int64_t at;
    double  cost;
} metered;

/* In each window at most (W + 10 ms) times the rate and the burst, of starts and of cost. */
static void check_windows(const metered *m, size_t count, double rate, double burst,
                          double cost_rate, double cost_burst, uint64_t seed) {
    for (size_t i = 0; i < count; i++) {
        double sum = 0, heaviest = cost_burst;
        for (size_t j = i; j < count; j++) {
            double window = (double)(m[j].at - m[i].at) / 1e9 + LATE;
            heaviest = m[j].cost > heaviest ? m[j].cost : heaviest;
            sum += m[j].cost;
            CHECK((double)(j - i + 1) <= window * rate + burst + 1e-6, "seed %lu: %lu starts",
                  (unsigned long)seed, (unsigned long)(j - i + 1));
            CHECK(sum <= (window * cost_rate + heaviest) * (1 + 1e-9),
                  "seed %lu: a cost of %g in %g s at %g", (unsigned long)seed, sum, window,
                  cost_rate);
        }
    }
}

/* Whatever the rates, the bursts, the costs and the dice; and while wake-ups are a few milliseconds
   late at most, the whole takes no longer than the tighter limit asks for. */
static void test_no_window_is_above_either_rate(void **state) {
    (void)state;
    static metered m[120];
    for (uint64_t seed = 1; seed <= 10000; seed++) {
        uint64_t dice = seed * UINT64_C(0x9E3779B97F4A7C15);
        double rate = 0.5 + (double)(test_random(&dice) % 1000) / 10, total = 0;
        double cost_rate = 1 + (double)(test_random(&dice) % 100000) / 10;
        double cost_burst = seed % 3 == 0 ? 0 : (double)(test_random(&dice) % 1000) / 10;
        int burst = 1 + (int)(test_random(&dice) % 5);
        int64_t now = (int64_t)(test_random(&dice) % (uint64_t)S);
        bool stalls = seed % 2 == 0;
        sparp__meter meter;
        sparp__meter_init(&meter, rate, burst, cost_rate, cost_burst);
        for (size_t i = 0; i < COUNT_OF(m); i++) {
            m[i].cost = (double)(test_random(&dice) % 1000) / (i % 9 == 0 ? 1 : 50);
            int64_t wait = sparp__meter_wait(&meter, m[i].cost, now);
            uint64_t late = stalls && test_random(&dice) % 5 == 0 ? (uint64_t)S : 3 * (uint64_t)MS;
            now += wait > 0 ? wait + (int64_t)(test_random(&dice) % late) : 0;
            sparp__meter_take(&meter, m[i].cost, now);
            m[i].at = now;
            total += i + 1 < COUNT_OF(m) ? m[i].cost : 0;
        }
        check_windows(m, COUNT_OF(m), rate, burst, cost_rate, cost_burst, seed);
        double most = 0, took = (double)(now - m[0].at) / 1e9;
        for (size_t i = 0; i + 1 < COUNT_OF(m); i++)    /* one after another at the worst */
            most += 1 / rate > m[i].cost / cost_rate ? 1 / rate : m[i].cost / cost_rate;
        CHECK(stalls || took <= most + 0.004, "seed %lu: took %g s, not %g", (unsigned long)seed,
              took, most);
        CHECK(took >= (total - cost_burst) / cost_rate - LATE - 1e-9, "seed %lu: too soon",
              (unsigned long)seed);
    }
}

/* What the manual says: two limits that are equally tight, and costs from 0 to twice their mean.
   With a burst of ten such requests they take what the tighter one asks for, without a quarter
   more. */
static void test_two_limits_that_are_equally_tight(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        double took[2];
        for (int burst = 0; burst < 2; burst++) {
            uint64_t dice = seed * UINT64_C(0x9E3779B97F4A7C15);
            double cost = 0, total = 0;
            int64_t now = S;
            sparp__meter meter;
            sparp__meter_init(&meter, 1, 1, 90000. / 60, burst ? 15000 : 0);
            for (int i = 0; i < 600; i++) {
                total += cost;
                cost = (double)(test_random(&dice) % 3001);
                now += sparp__meter_wait(&meter, cost, now);
                sparp__meter_take(&meter, cost, now);
            }
            double due = total / 1500 > 599 ? total / 1500 : 599;
            took[burst] = (double)(now - S) / 1e9 / due;
        }
        CHECK(took[0] < 1.27 && took[1] < 1.03, "seed %lu: %g and %g", (unsigned long)seed, took[0],
              took[1]);
    }
}

/* --- whose turn it is, by itself ------------------------------------------------------------- */

#define LANES 40

typedef struct waiting {
    sparp__link link;
    size_t      lane, number;
    int64_t     counts;
} waiting;

static sparp__fair fair;
static sparp__lane lanes[LANES];
static waiting them[4000];
static test_memory lane_memory;
static sparp__env lane_env;

static void open_lanes(void) {
    memset(&fair, 0, sizeof fair);
    memset(lanes, 0, sizeof lanes);
    memset(&lane_env, 0, sizeof lane_env);
    lane_env.allocator.func = test_memory_func;
    lane_env.allocator.user_data = &lane_memory;
    sparp__list_init(&fair.now);
    sparp__list_init(&fair.next);
    assert_true(sparp__heap_reserve(&lane_env, &fair.later, LANES));
    for (size_t i = 0; i < LANES; i++) {
        sparp__list_init(&lanes[i].begun);
        sparp__list_init(&lanes[i].fresh);
    }
}

static void close_lanes(void) {
    assert_int_equal(fair.now.count + fair.next.count + fair.later.count, 0);
    sparp__heap_free(&lane_env, &fair.later);
    assert_true(test_memory_clean(&lane_memory));
}

static void wait_in_lane(size_t number, size_t lane, int64_t counts) {
    waiting *w = &them[number];
    w->lane = lane;
    w->number = number;
    w->counts = counts;
    sparp__fair_add(&fair, &lanes[lane], &lanes[lane].fresh, &w->link);
}

static waiting *have_a_turn(void) {
    waiting *w = (waiting *)(void *)sparp__fair_first(&fair);
    sparp__lane *lane = &lanes[w->lane];
    sparp__fair_remove(&fair, lane, lane->begun.count > 0 ? &lane->begun : &lane->fresh, &w->link);
    sparp__fair_count(&fair, lane, w->counts);
    return w;
}

static void assert_turns(const char *expected) {
    for (const char *at = expected; *at != '\0'; at++) {
        size_t lane = have_a_turn()->lane;
        CHECK(lane == (size_t)(*at - 'a'), "%s: %c at %lu", expected, (char)('a' + lane),
              (unsigned long)(at - expected));
    }
}

static void test_lanes_take_turns(void **state) {
    (void)state;
    open_lanes();
    for (size_t i = 0; i < 5; i++)
        wait_in_lane(i, 0, 1);
    for (size_t i = 5; i < 8; i++)
        wait_in_lane(i, 1, 1);
    wait_in_lane(8, 2, 1);
    assert_turns("abcab");
    wait_in_lane(9, 3, 1);              /* new: in the round that begins */
    assert_turns("abda");
    wait_in_lane(10, 2, 1);             /* there again */
    assert_turns("ac");
    close_lanes();
}

/* Those that wait alone owe no turns to who comes later. */
static void test_who_was_alone_owes_nothing(void **state) {
    (void)state;
    open_lanes();
    for (size_t i = 0; i < 50; i++)
        wait_in_lane(i, 0, 1000);
    for (size_t i = 0; i < 40; i++)
        have_a_turn();
    wait_in_lane(50, 1, 1);
    wait_in_lane(51, 1, 1);
    assert_turns("ab");
    for (size_t i = 0; i < 10; i++)
        have_a_turn();
    close_lanes();
}

static void test_who_counts_more_has_fewer_turns(void **state) {
    (void)state;
    open_lanes();
    for (size_t i = 0; i < 4; i++)
        wait_in_lane(i, 0, 4);
    for (size_t i = 4; i < 20; i++)
        wait_in_lane(i, 1, 1);
    assert_turns("abbbbabbbbabbbbabbbb");
    close_lanes();
}

static void test_who_has_begun_comes_first(void **state) {
    (void)state;
    open_lanes();
    wait_in_lane(0, 0, 1);
    wait_in_lane(1, 1, 1);
    wait_in_lane(2, 2, 1);
    them[3].lane = 2;
    them[3].counts = 1;
    sparp__fair_add(&fair, &lanes[2], &lanes[2].begun, &them[3].link);
    assert_true(have_a_turn() == &them[0]);
    them[4].lane = 3;
    them[4].counts = 1;
    sparp__fair_add_first(&fair, &lanes[3], &them[4].link);
    assert_true(have_a_turn() == &them[4]);     /* before all others */
    assert_true(have_a_turn() == &them[1]);
    assert_true(have_a_turn() == &them[3]);     /* before the fresh one of its lane */
    assert_true(have_a_turn() == &them[2]);
    close_lanes();
}

/* Whoever waits all the time gets as much as any other, but for the heaviest of them; in a lane
   it is first come, first served; and who is taken out leaves no trace. */
static void test_turns_are_fair(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        uint64_t dice = seed * UINT64_C(0x9E3779B97F4A7C15);
        size_t used = 2 + test_random(&dice) % (LANES - 2), last[LANES] = {0};
        int64_t most = seed % 4 == 0 ? 1 : 1 + (int64_t)(test_random(&dice) % 50), had[LANES] = {0};
        open_lanes();
        for (size_t i = 0; i < COUNT_OF(them); i++) /* some lanes are never empty, half the time */
            wait_in_lane(i, i < 40 * used ? i % used : test_random(&dice) % used,
                         1 + (int64_t)(test_random(&dice) % (uint64_t)most));
        for (size_t i = 0; i < 200; i++) {          /* cancelled */
            size_t n = 40 * used + i * 3;
            if (n < COUNT_OF(them))
                sparp__fair_remove(&fair, &lanes[them[n].lane], &lanes[them[n].lane].fresh,
                                   &them[n].link);
        }
        bool all_wait = true;
        while (fair.now.count > 0) {
            waiting *w = have_a_turn();
            had[w->lane] += w->counts;
            CHECK(last[w->lane] <= w->number, "seed %lu: lane %lu", (unsigned long)seed,
                  (unsigned long)w->lane);
            last[w->lane] = w->number;
            for (size_t i = 0; i < used; i++)
                all_wait = all_wait && sparp__fair_waits(&lanes[i]);
            for (size_t i = 0; i < used && all_wait; i++)
                CHECK(had[w->lane] - had[i] <= most + 1, "seed %lu: %ld and %ld",
                      (unsigned long)seed, (long)had[w->lane], (long)had[i]);
        }
        close_lanes();
    }
}

/* --- runs ------------------------------------------------------------------------------------ */

static sparp_request *get_for(double cost, const char *url) {
    sparp_request *r = get(url);
    r->cost = cost;
    return r;
}

static double came_at(size_t i) {
    CHECK(i < net.num_requests, "%s: only %lu came", net.label, (unsigned long)net.num_requests);
    return (double)(net.requests[i].at - NET_BEGIN) / 1e9;
}

static double cost_of(size_t index) {
    return seen.results[index].cost;
}

static void assert_cost(double cost, double expected) {
    CHECK(fabs(cost - expected) < 1e-9, "%s: %f, expected %f", net.label, cost, expected);
}

static void test_a_start_takes_its_cost(void **state) {
    (void)state;
    net_answer("/a", 0.5, NET_200);
    options.max_cost_per_second = 90000. / 60;
    for (int i = 0; i < 10; i++)
        get_for(150 * (i + 1), A "/a");
    sparp_stats s = run();
    double due = 0;
    for (size_t i = 0; i < 10; i++) {
        assert_near(came_at(i), due, 0.002);
        assert_cost(cost_of(i), 150. * (double)(i + 1));
        due += 0.1 * (double)(i + 1);
    }
    assert_cost(s.cost, 150 * 55);
}

static void test_what_has_no_cost_costs_one(void **state) {
    (void)state;
    net_answer("/a", 0, NET_200);
    options.max_cost_per_second = 10;
    options.cost_burst = 2.5;
    get_many(6, A "/a");
    sparp_stats s = run();
    assert_near(came_at(1), 0, 0.001);
    assert_near(came_at(2), 0.05, 0.002);
    assert_near(came_at(5), 0.35, 0.002);
    assert_cost(s.cost, 6);
}

static void test_what_is_free_waits_for_no_cost(void **state) {
    (void)state;
    net_answer("/a", 0, NET_200);
    options.max_cost_per_second = 1;
    get_for(1000, A "/a");
    for (int i = 0; i < 20; i++)
        get_for(SPARP_NONE, A "/a");
    sparp_stats s = run();
    assert_near(net_now(), 0, 0.01);
    assert_cost(s.cost, 1000);
    assert_cost(cost_of(7), 0);
}

/* The tighter of the two limits, whichever that is. */
static void test_two_limits_at_once(void **state) {
    (void)state;
    for (int heavy = 0; heavy < 2; heavy++) {
        again();
        net_answer("/a", 0.01, NET_200);
        options.max_per_second = 10;
        options.max_cost_per_second = 100;
        for (int i = 0; i < 21; i++)
            get_for(heavy ? 20 : 5, A "/a");
        sparp_stats s = run();
        assert_near(net_now(), heavy ? 4.01 : 2.01, 0.02);
        double rate = (double)s.waited_us[SPARP_WAIT_RATE], cost = (double)s.waited_cost_us;
        CHECK(heavy ? cost > 0.9 * rate && cost <= rate + 1 : cost == 0, "%g of %g us", cost, rate);
    }
}

static size_t warnings;
static char warning[300];

static void note_warning(sparp_log_level level, const char *message, void *user_data) {
    (void)user_data;
    if (level != SPARP_LOG_WARN)
        return;
    warnings++;
    snprintf(warning, sizeof warning, "%s", message);
}

static void test_heavier_than_the_burst(void **state) {
    (void)state;
    net_answer("/a", 0, NET_200);
    options.max_cost_per_second = 100;
    options.cost_burst = 50;
    options.logger.func = note_warning;
    options.logger.max_level = SPARP_LOG_WARN;
    warnings = 0;
    get_for(50, A "/a");
    get_for(200, A "/a");               /* when the 50 are paid off */
    get_for(50, A "/a");                /* when the 200 are */
    get_for(300, A "/a");
    run();
    assert_near(came_at(1), 0.5, 0.002);
    assert_near(came_at(2), 2.5, 0.002);
    assert_near(came_at(3), 3, 0.002);
    assert_int_equal(warnings, 1);
    assert_non_null(strstr(warning, "request 1 costs 200, more than cost_burst"));
}

/* The light ones that keep coming do not keep it out: neither in the queue, nor where it is held
   because its connection took long. */
static void test_a_heavy_one_does_not_starve(void **state) {
    (void)state;
    for (int slow = 0; slow < 2; slow++) {
        again();
        net_host("10.0.0.1", slow ? 0.5 : 0, 0);
        net_answer("/a", 0.01, NET_200);
        options.max_cost_per_second = 100;
        options.cost_burst = 20;
        for (int i = 0; i < 10; i++)
            get_for(1, B "/a");
        get_for(50, A "/a");
        for (int i = 0; i < 2000; i++)
            get_for(1, B "/a");
        run();
        CHECK(seen.at[10] < 1.5, "%f", seen.at[10]);
    }
}

static void test_what_costs_nonsense_is_a_bad_request(void **state) {
    (void)state;
    static const double nonsense[] = {-0.5, -2, (double)NAN, (double)INFINITY, 1.1e12};
    for (size_t i = 0; i < COUNT_OF(nonsense); i++)
        get_for(nonsense[i], A "/a");
    sparp_stats s = run();
    assert_int_equal(s.local_failed, COUNT_OF(nonsense));
    assert_int_equal(seen.results[2].error, SPARP_E_BAD_REQUEST);
    assert_string_equal(details[2], "cost is not 0 to 1000000000000");
    assert_cost(s.cost, 0);
}

static void test_hops_and_retries_and_replays_pay_again(void **state) {
    (void)state;
    net_answer("/hop", 0.01, "HTTP/1.1 302 There\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n");
    net_answer("/a", 0.01, NET_503);
    net_answer("/a", 0.01, NET_200);
    net_answer("/stale", 0.01, NET_200);
    net_answer_then("/stale", 0, "", NET_RST);
    net_answer("/stale", 0.01, NET_200);
    options.max_at_once = 1;
    options.max_cost_per_second = 10;
    options.backoff_s = SPARP_NONE;
    get_for(2, A "/hop");               /* hop, 503; hop, 200 */
    get_for(3, A "/stale");
    get_for(3, A "/stale");             /* on a connection that ends: once more */
    sparp_stats s = run();
    assert_int_equal(s.success, 3);
    assert_int_equal(s.replays, 1);
    assert_cost(cost_of(0), 8);
    assert_cost(cost_of(1), 3);
    assert_cost(cost_of(2), 6);
    assert_cost(s.cost, 17);
    static const double due[] = {0, 0.2, 0.4, 0.6, 0.8, 1.1, 1.4};
    for (size_t i = 0; i < COUNT_OF(due); i++)
        assert_near(came_at(i), due[i], 0.013);
}

/* What never left costs nothing, and holds up nobody after its end. */
static void test_what_was_not_sent_costs_nothing(void **state) {
    (void)state;
    net_host("10.0.0.2", 0.1, ECONNREFUSED);
    net_answer("/a", 0.01, NET_200);
    options.max_cost_per_second = options.max_cost_per_second_per_origin = 10;
    options.max_retries_by_transport = SPARP_NONE;
    for (int i = 0; i < 5; i++)
        get_for(1000, B "/a");
    get_for(10, A "/a");
    sparp_stats s = run();
    assert_int_equal(s.transport_failed, 5);
    assert_int_equal(s.success, 1);
    assert_cost(cost_of(0), 0);
    assert_cost(s.cost, 10);
    assert_near(net_now(), 1.5, 1.01);  /* not 500 s */
}

/* Who waits for its cost has no slot: it is taken together with that. */
static void test_who_waits_for_its_cost_has_no_slot(void **state) {
    (void)state;
    net_host("10.0.0.1", 2.5, 0);
    net_answer("/a", 0.01, NET_200);
    options.max_cost_per_second = 100;
    for (int i = 0; i < 10; i++)
        get_for(100, A "/a");
    run();
    assert_int_equal(net.most_open, 3);
    for (size_t i = 1; i < 10; i++)
        CHECK(came_at(i) - came_at(i - 1) >= 1 - LATE, "%f", came_at(i) - came_at(i - 1));
}

/* A slow look-up dams them up: the server must not get them all at once afterwards. */
static void test_cost_that_was_dammed_up(void **state) {
    (void)state;
    net.lookup_s = 1;
    net_lookup("a.test", "10.0.0.7", 0);
    net_answer_then("/a", 0, OK_CLOSE, NET_FIN);
    options.max_cost_per_second = 100;
    for (int i = 0; i < 30; i++)
        get_for(10, "http://a.test/a");
    sparp_stats s = run();
    for (size_t i = 0; i < 30; i++)
        for (size_t j = i + 1; j < 30; j++)
            CHECK((double)(j - i) * 10 <= (came_at(j) - came_at(i) + LATE) * 100 + 1e-6,
                  "%lu to %lu", (unsigned long)i, (unsigned long)j);
    assert_true(s.waited_cost_us > 0);
    CHECK(labs((long)(s.waited_cost_us - s.waited_us[SPARP_WAIT_RATE])) <= 100, "%ld of %ld",
          (long)s.waited_cost_us, (long)s.waited_us[SPARP_WAIT_RATE]);
}

static void test_each_origin_pays_for_itself(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    options.max_cost_per_second_per_origin = 100;
    for (int i = 0; i < 10; i++) {
        get_for(50, A "/a");
        get_for(10, B "/a");
    }
    sparp_stats s = run();
    assert_near(net_now(), 4.51, 0.02);
    assert_near(seen.at[19], 0.91, 0.02);
    assert_int_equal(s.waited_us[SPARP_WAIT_RATE], 0);
    assert_true(s.waited_us[SPARP_WAIT_ORIGIN] > 0);
    assert_int_equal(s.waited_cost_us, 0);
}

static void test_who_owes_is_not_forgotten(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    net_answer("/slow", 0.5, NET_200);
    options.max_at_once = options.input_buffer_size = 1;
    options.max_cost_per_second_per_origin = 10;
    get_for(100, A "/a");
    get_for(1, B "/slow");              /* meanwhile nobody uses the origin of A */
    get_for(1, A "/a");
    run();
    assert_near(came_at(1), 0.01, 0.01);
    assert_near(came_at(2), 10, 0.02);
}

static void test_the_pace_may_change_meanwhile(void **state) {
    (void)state;
    net_answer("/a", 0, NET_200);
    options.max_cost_per_second = 100;
    for (int i = 0; i < 10; i++)
        get_for(10, A "/a");
    sparp *ours = seen_open();
    sparp_step(ours, -1);
    sparp_set_pace(ours, 0, 2);
    sparp_set_pace(ours, 5, SPARP_NONE);
    while (sparp_next(ours) != NULL)
        continue;
    sparp_close(ours);
    seen_check_clean();
    assert_near(came_at(9), 0.9, 0.01); /* the cost holds on */
}

/* --- what is charged afterwards -------------------------------------------------------------- */

static double charge_by;                /* of each answer */
static sparp *charged_run;

static sparp_verdict charging_inspect(const sparp_result *response, void *user_data) {
    (void)user_data;
    if (!response->body_complete)
        return SPARP_NEED_BODY;
    assert_true(sparp_charge(charged_run, response->index, charge_by));
    assert_false(sparp_charge(charged_run, response->index + 1, charge_by));
    return sparp_default_inspect(response, NULL);
}

static void run_charged(void) {
    charged_run = seen_open();
    const sparp_result *r;
    while ((r = sparp_next(charged_run)) != NULL)
        seen_keep(r);
    sparp_stats s = sparp_get_stats(charged_run);
    double sum = 0;
    for (size_t i = 0; i < seen.count; i++)
        sum += cost_of(i);
    assert_cost(s.cost, sum);
    sparp_close(charged_run);
    seen_check_clean();
}

static void test_inspect_says_what_it_cost(void **state) {
    (void)state;
    static const double by[] = {30, -5, -1000};
    for (size_t k = 0; k < COUNT_OF(by); k++) {
        again();
        charge_by = by[k];
        net_answer("/a", 0, NET_200);
        options.inspect = charging_inspect;
        options.max_cost_per_second = 100;
        for (int i = 0; i < 11; i++)
            get_for(20, A "/a");
        run_charged();
        assert_cost(cost_of(4), k == 0 ? 50 : k == 1 ? 15 : 0);
        assert_near(came_at(10), k == 0 ? 5 : k == 1 ? 1.5 : 0, 0.02);
    }
}

static void test_the_origin_is_charged_too(void **state) {
    (void)state;
    charge_by = 80;
    net_answer("/a", 0, NET_200);
    options.inspect = charging_inspect;
    options.max_cost_per_second_per_origin = 100;
    for (int i = 0; i < 5; i++) {
        get_for(20, A "/a");
        get_for(20, B "/a");
    }
    run_charged();
    assert_near(net_now(), 4, 0.05);
}

static void charge_result(sparp *run, const sparp_result *result) {
    assert_true(sparp_charge(run, result->index, 30));
}

static void test_on_result_says_what_it_cost(void **state) {
    (void)state;
    net_answer("/a", 0, NET_200);
    options.max_cost_per_second = options.max_cost_per_second_per_origin = 100;
    seen.on_result = charge_result;
    for (int i = 0; i < 11; i++)
        get_for(20, A "/a");
    sparp_stats s = run();
    assert_cost(s.cost, 11 * 50);
    assert_near(came_at(10), 5, 0.02);
}

static void test_on_retry_says_what_it_cost(void **state) {
    (void)state;
    net_answer("/a", 0, NET_503);
    net_answer("/a", 0, NET_200);
    options.max_cost_per_second = 100;
    options.backoff_s = SPARP_NONE;
    seen.on_retry = charge_result;
    get_for(20, A "/a");
    sparp_stats s = run();
    assert_cost(cost_of(0), 70);
    assert_cost(s.cost, 70);
    assert_near(came_at(1), 0.5, 0.01);
}

/* Also of results that wait to be taken, by origins that nobody uses any more. */
static void test_who_takes_a_result_says_what_it_cost(void **state) {
    (void)state;
    for (int ordered = 0; ordered < 2; ordered++) {
        again();
        options.ordered = ordered;
        options.max_cost_per_second = 100;
        options.max_cost_per_second_per_origin = 100;
        net_answer("/a", 0, NET_200);
        for (int i = 0; i < 6; i++)
            get_for(20, i % 2 ? A "/a" : B "/a");
        sparp *ours = seen_open();
        const sparp_result *r;
        while ((r = sparp_next(ours)) != NULL) {
            seen_keep(r);
            assert_true(sparp_charge(ours, r->index, -5));
            assert_true(sparp_charge(ours, r->index, 15));
            assert_false(sparp_charge(ours, r->index + 1, 15));
        }
        assert_false(sparp_charge(ours, 5, 1));         /* it has been given back */
        assert_cost(sparp_get_stats(ours).cost, 6 * 30);
        assert_near(came_at(5), 1.5, 0.03);
        sparp_close(ours);
        seen_check_clean();
    }
}

static void test_results_that_are_kept_know_what_they_cost(void **state) {
    (void)state;
    net_answer("/a", 0, NET_200);
    options.max_cost_per_second = 1000;
    seen.on_result = charge_result;
    for (int i = 0; i < 5; i++)
        get_for(i + 1, A "/a");
    seen_fill();
    sparp_results results = sparp_run_all(&options);
    for (size_t i = 0; i < 5; i++)
        assert_cost(results.items[i].cost, (double)i + 31);
    assert_cost(results.stats.cost, 15 + 150);
    sparp_results_free(&results);
    seen_check_clean();
}

static void refuse_charge(sparp *run, const sparp_result *result) {
    assert_false(sparp_charge(run, result->index, 30));
}

static void test_without_a_limit_nothing_is_charged(void **state) {
    (void)state;
    net_answer("/a", 0, NET_200);
    seen.on_result = refuse_charge;
    options.max_per_second = 1000;
    get_for(20, A "/a");
    sparp_stats s = run();
    assert_cost(s.cost, 20);
}

/* --- limits by host -------------------------------------------------------------------------- */

static const struct {
    const char *pattern, *host;         /* this as >>request has it: lower case, no last dot */
    uint16_t    port;
    bool        matches;
} patterns[] = {
    {"*", "a.test", 80, true},
    {"*:81", "a.test", 80, false},
    {"*:81", "a.test", 81, true},
    {"a.test", "a.test", 80, true},
    {"A.Test", "a.test", 80, true},
    {"a.test.", "a.test", 80, true},
    {"a.test", "b.a.test", 80, false},
    {"a.test", "a.test", 443, true},
    {"a.test:80", "a.test", 80, true},
    {"a.test:80", "a.test", 443, false},
    {"a.test:443", "a.test", 443, true},
    {"*.a.test", "b.a.test", 80, true},
    {"*.a.test", "c.b.a.test", 80, true},
    {"*.a.test.", "b.a.test", 80, true},
    {"*.a.test", "a.test", 80, false},
    {"*.a.test", "ba.test", 80, false},
    {"*.a.test:8080", "b.a.test", 8080, true},
    {"*.a.test:8080", "b.a.test", 80, false},
    {"10.0.0.1", "10.0.0.1", 80, true},
    {"10.0.0.1", "10.0.0.11", 80, false},
    {"10.0.0.1:81", "10.0.0.1", 81, true},
    {"::1", "::1", 80, true},
    {"[::1]", "0:0:0:0:0:0:0:1", 80, true},
    {"[::1]:81", "::1", 81, true},
    {"[::1]:81", "::1", 80, false},
};

static void test_hosts_by_pattern(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        sparp_host_limit limit = {patterns[i].pattern, 0, 7, 0};
        char host[30];
        sparp__origin origin;
        memset(&origin, 0, sizeof origin);
        snprintf(host, sizeof host, "%s", patterns[i].host);
        origin.host = host;
        origin.port = patterns[i].port;
        options.host_limits = &limit;
        options.num_host_limits = 1;
        CHECK(*sparp_check_options(&options) == '\0', "%s: %s", limit.host,
              sparp_check_options(&options));
        double rate = sparp__limits_of(&options, &origin).max_per_second;
        CHECK(rate == (patterns[i].matches ? 7 : 0), "%s and %s, port %d", limit.host, host,
              patterns[i].port);
    }
    net_end();
}

static const struct {
    sparp_host_limit limit;
    const char *says;                   /* behind "host_limits " */
} bad_limits[] = {
    {{NULL, 1, 0, 0}, "has a host that"},
    {{"", 1, 0, 0}, "has a host that"},
    {{"*.", 1, 0, 0}, "has a host that"},
    {{".a.test", 1, 0, 0}, "has a host that"},
    {{"a*.test", 1, 0, 0}, "has a host that"},
    {{"*a.test", 1, 0, 0}, "has a host that"},
    {{"*.*", 1, 0, 0}, "has a host that"},
    {{"a.*.test", 1, 0, 0}, "has a host that"},
    {{"http://a.test", 1, 0, 0}, "has a host that"},
    {{"a.test/", 1, 0, 0}, "has a host that"},
    {{"a.test/x", 1, 0, 0}, "has a host that"},
    {{"a test", 1, 0, 0}, "has a host that"},
    {{"a.test:", 1, 0, 0}, "has a host that"},
    {{"a.test:0", 1, 0, 0}, "has a host that"},
    {{"a.test:65536", 1, 0, 0}, "has a host that"},
    {{":80", 1, 0, 0}, "has a host that"},
    {{"[::1", 1, 0, 0}, "has a host that"},
    {{"[::1]x", 1, 0, 0}, "has a host that"},
    {{"u@a.test", 1, 0, 0}, "has a host that"},
    {{"a.test", -2, 0, 0}, "has a max_at_once"},
    {{"a.test", 0, -0.5, 0}, "has a max_per_second"},
    {{"a.test", 0, 1e10, 0}, "has a max_per_second"},
    {{"a.test", 0, (double)NAN, 0}, "has a max_per_second"},
    {{"a.test", 0, 0, -3}, "has a max_cost_per_second"},
    {{"a.test", 0, 0, (double)INFINITY}, "has a max_cost_per_second"},
    {{"a.test", SPARP_NONE, SPARP_NONE, SPARP_NONE}, NULL},
};

static void test_bad_limits_are_refused_by_name(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_limits); i++) {
        sparp_host_limit limits[2] = {{"fine.test", 1, 2, 3}, {0}};
        limits[1] = bad_limits[i].limit;
        options.host_limits = limits;
        options.num_host_limits = 2;
        const char *sentence = sparp_check_options(&options);
        const char *says = bad_limits[i].says;
        sparp_error error = SPARP_E_OK;
        CHECK(says == NULL ? *sentence == '\0' : strncmp(sentence, "host_limits ", 12) == 0
              && strncmp(sentence + 12, says, strlen(says)) == 0, "%s: \"%s\"",
              limits[1].host != NULL ? limits[1].host : "NULL", sentence);
        sparp_close(sparp_open(&options, &error));
        assert_int_equal(error, says == NULL ? SPARP_E_OK : SPARP_E_BAD_OPTIONS);
    }
    options.host_limits = NULL;
    options.num_host_limits = 1;
    assert_string_equal(sparp_check_options(&options),
                        "host_limits is NULL, but num_host_limits is not 0");
    net_end();
}

/* The first entry that matches counts; what is 0 in it is as it is for all. */
static void test_a_host_has_its_own_limits(void **state) {
    (void)state;
    static const sparp_host_limit limits[] = {
        {"10.0.0.1", 0, 10, SPARP_NONE}, {"10.0.0.1", 1, 1, 1}, {"10.0.0.2:80", SPARP_NONE, 0, 100},
        {"*", 2, SPARP_NONE, 0},
    };
    net_answer("/a", 1, NET_200);
    options.max_at_once_per_origin = 3;
    options.max_per_second_per_origin = 4;
    options.max_cost_per_second_per_origin = 200;
    options.host_limits = limits;
    options.num_host_limits = COUNT_OF(limits);
    for (int i = 0; i < 8; i++) {
        get_for(50, A "/a");                    /* 3 at once, 10 a second */
        get_for(50, B "/a");                    /* 4 a second, a cost of 100: 2 */
        get_for(10, "http://10.0.0.3/a");       /* 2 at once, a cost of 200: 20 */
    }
    run();
    assert_near(seen.at[21], 3.1, 0.01);        /* 0, 0.1, 0.2; 1 ..; 2, 2.1 */
    assert_near(seen.at[22], 4.5, 0.02);
    assert_near(seen.at[23], 4.05, 0.02);
}

/* --- fairness -------------------------------------------------------------------------------- */

/* How many results there were before all of those of a host were there. */
static size_t done_after(const char *host) {
    size_t after = 0;
    for (size_t i = 0; i < seen.count; i++)
        if (strncmp(requests[seen.order[i]].url, host, strlen(host)) == 0)
            after = i + 1;
    return after;
}

static char other_urls[1000][40];

/* `many` to A at the head, then one to each of `others`. */
static void one_host_first(size_t many, size_t others) {
    net_answer("/a", 0.1, NET_200);
    get_many(many, A "/a");
    for (size_t i = 0; i < others; i++) {
        snprintf(other_urls[i], sizeof other_urls[i], "http://10.1.%lu.%lu/a",
                 (unsigned long)(i / 200), (unsigned long)(i % 200 + 1));
        get(other_urls[i]);
    }
}

static void test_the_many_of_one_host_keep_no_other_waiting(void **state) {
    (void)state;
    one_host_first(9900, 100);
    options.max_at_once = 10;
    options.input_buffer_size = 10000;
    run();
    CHECK(done_after("http://10.1.") <= 120, "done after %lu", (unsigned long)
          done_after("http://10.1."));
}

static void test_nor_do_they_at_a_rate(void **state) {
    (void)state;
    one_host_first(900, 100);
    options.max_per_second = 100;
    options.input_buffer_size = 1000;
    run();
    assert_near(seen.at[999], 1.1, 0.1);
}

/* Nor where their host holds them back, and lets them go one by one. */
static void test_nor_do_they_where_they_are_let_go(void **state) {
    (void)state;
    one_host_first(900, 100);
    options.max_per_second = 100;
    options.max_at_once_per_origin = 8;
    run();                              /* with the usual read-ahead: they are parked */
    assert_near(seen.at[999], 1.1, 0.1);
}

/* Nor what fails there again and again. */
static void test_nor_do_their_retries(void **state) {
    (void)state;
    one_host_first(0, 100);
    net_answer("/bad", 0.1, NET_503);
    options.backoff_s = SPARP_NONE;
    options.max_at_once = 10;
    options.input_buffer_size = 300;
    for (int i = 0; i < 100; i++)       /* before all others */
        requests[num_requests++] = requests[i];
    for (int i = 0; i < 100; i++)
        requests[i].url = A "/bad";
    run();
    CHECK(done_after("http://10.1.") <= 130, "done after %lu",
          (unsigned long)done_after("http://10.1."));
}

static void test_with_ordered_there_are_no_turns(void **state) {
    (void)state;
    one_host_first(50, 5);
    options.max_at_once = 1;
    options.ordered = true;
    sparp *ours = seen_open();
    while (sparp_next(ours) != NULL)
        continue;
    sparp_close(ours);
    seen_check_clean();
    for (size_t i = 0; i < 50; i++)
        assert_string_equal(net.requests[i].host, "10.0.0.1");
}

/* Turns are as long as what they cost: both hosts get half of it. */
static void test_turns_count_by_cost(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    options.max_cost_per_second = 100;
    options.input_buffer_size = 1000;
    for (int i = 0; i < 100; i++)
        get_for(30, A "/a");
    for (int i = 0; i < 600; i++)
        get_for(5, B "/a");
    run();
    double sums[2] = {0, 0};
    for (size_t i = 0; i < 650; i++) {
        bool heavy = strcmp(net.requests[i].host, "10.0.0.1") == 0;
        sums[heavy] += heavy ? 30 : 5;
        CHECK(fabs(sums[0] - sums[1]) <= 35, "%f and %f after %lu", sums[0], sums[1],
              (unsigned long)i);
    }
}

/* --- what is not there ----------------------------------------------------------------------- */

static void sweep_once(size_t n) {
    static const sparp_host_limit limits[] = {{"10.0.0.1", 3, 100, 1000}, {"*.test", 1, 0, 500}};
    again();
    net_answer("/a", 0.01, NET_503);
    net_answer("/a", 0.01, NET_200);
    net_answer("/hop", 0, "HTTP/1.1 307 There\r\nLocation: " B "/a\r\nContent-Length: 0\r\n\r\n");
    net_lookup("a.test", "10.0.0.7", 0);
    net_lookup("b.test", "10.0.0.8", 0);
    options.host_limits = limits;
    options.num_host_limits = COUNT_OF(limits);
    options.max_cost_per_second = 300;
    options.max_cost_per_second_per_origin = 200;
    options.backoff_s = 0.01;
    for (int i = 0; i < 4; i++) {
        get_for(10, A "/a");
        get_for(20, "http://a.test/a");
        get_for(30, "http://b.test/hop");
    }
    seen.memory.fail_at = n;
    charged_run = seen_open();
    if (charged_run == NULL)
        return;
    const sparp_result *r;
    double sum = 0;
    while ((r = sparp_next(charged_run)) != NULL) {
        seen_keep(r);
        sum += r->cost;
        if (sparp_charge(charged_run, r->index, 5))
            sum += 5;
    }
    sparp_stats s = sparp_get_stats(charged_run);
    CHECK(fabs(s.cost - sum) < 1e-6, "allocation %lu: %f booked, not %f", (unsigned long)n, s.cost,
          sum);
    CHECK(s.pulled == seen_outcomes(&s), "allocation %lu", (unsigned long)n);
    sparp_close(charged_run);
}

static void test_allocations_that_fail(void **state) {
    (void)state;
    size_t n = 0;
    do {
        sweep_once(++n);
        seen_check_clean();
    } while (seen.memory.calls >= n);
    assert_true(n > 40);
    assert_int_equal(seen.count, 12);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        SEEN_TEST(test_without_a_rate_nothing_is_owed),
        SEEN_TEST(test_one_after_another_without_a_burst),
        SEEN_TEST(test_a_burst_of_light_ones),
        SEEN_TEST(test_what_is_given_back_is_there_again),
        SEEN_TEST(test_a_debt_does_not_drift),
        SEEN_TEST(test_debts_beyond_all_measure),
        SEEN_TEST(test_no_window_is_above_either_rate),
        SEEN_TEST(test_two_limits_that_are_equally_tight),
        SEEN_TEST(test_lanes_take_turns),
        SEEN_TEST(test_who_was_alone_owes_nothing),
        SEEN_TEST(test_who_counts_more_has_fewer_turns),
        SEEN_TEST(test_who_has_begun_comes_first),
        SEEN_TEST(test_turns_are_fair),
        SEEN_TEST(test_a_start_takes_its_cost),
        SEEN_TEST(test_what_has_no_cost_costs_one),
        SEEN_TEST(test_what_is_free_waits_for_no_cost),
        SEEN_TEST(test_two_limits_at_once),
        SEEN_TEST(test_heavier_than_the_burst),
        SEEN_TEST(test_a_heavy_one_does_not_starve),
        SEEN_TEST(test_what_costs_nonsense_is_a_bad_request),
        SEEN_TEST(test_hops_and_retries_and_replays_pay_again),
        SEEN_TEST(test_what_was_not_sent_costs_nothing),
        SEEN_TEST(test_who_waits_for_its_cost_has_no_slot),
        SEEN_TEST(test_cost_that_was_dammed_up),
        SEEN_TEST(test_each_origin_pays_for_itself),
        SEEN_TEST(test_who_owes_is_not_forgotten),
        SEEN_TEST(test_the_pace_may_change_meanwhile),
        SEEN_TEST(test_inspect_says_what_it_cost),
        SEEN_TEST(test_the_origin_is_charged_too),
        SEEN_TEST(test_on_result_says_what_it_cost),
        SEEN_TEST(test_on_retry_says_what_it_cost),
        SEEN_TEST(test_who_takes_a_result_says_what_it_cost),
        SEEN_TEST(test_results_that_are_kept_know_what_they_cost),
        SEEN_TEST(test_without_a_limit_nothing_is_charged),
        SEEN_TEST(test_hosts_by_pattern),
        SEEN_TEST(test_bad_limits_are_refused_by_name),
        SEEN_TEST(test_a_host_has_its_own_limits),
        SEEN_TEST(test_the_many_of_one_host_keep_no_other_waiting),
        SEEN_TEST(test_nor_do_they_at_a_rate),
        SEEN_TEST(test_nor_do_they_where_they_are_let_go),
        SEEN_TEST(test_nor_do_their_retries),
        SEEN_TEST(test_with_ordered_there_are_no_turns),
        SEEN_TEST(test_turns_count_by_cost),
        SEEN_TEST(test_allocations_that_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

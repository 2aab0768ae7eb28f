/* How long anything may take: each timer alone, and the least speed, on a scripted clock and a
   network inside the process: see ../fakenet.h. */
#define NET_FDS 24
#define NET_REQUEST_SIZE (3 << 20)
#include "../fakenet.h"
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#include "../seen.h"
#include <math.h>

#define A "http://10.0.0.1"
#define B "http://10.0.0.2"

/* --- what all begin with ------------------------------------------------------------------ */

static char body[2 << 20];

static void prepare(void) {
    memset(&options, 0, sizeof options);
    options.max_retries_by_timeout = SPARP_NONE;
}

static sparp_request *put(const char *url, size_t size) {
    sparp_request *r = get(url);
    r->method = "PUT";
    r->body = body;
    r->body_size = size;
    return r;
}

static void assert_timeout(size_t index, sparp_phase phase, const char *detail, double at) {
    const sparp_result *r = &seen.results[index];
    assert_outcome(index, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
    assert_int_equal(r->error, SPARP_E_TIMEOUT);
    CHECK(r->phase == phase, "%s: %s instead of %s (%s)", net.label, sparp_phase_name(r->phase),
          sparp_phase_name(phase), details[index]);
    CHECK(strstr(details[index], detail) != NULL, "%s: %s", net.label, details[index]);
    assert_near(seen.at[index], at, 0.0015);
}

/* --- what can take long ------------------------------------------------------------------- */

static void slow_lookup(void) {
    net_lookup("a.test", "10.0.0.1", 0);
    net.lookup_s = 5;
    net_answer("/", 0.01, NET_200);
    get("http://a.test/");
}

static void slow_connect(void) {
    net_host("10.0.0.1", -1, 0);
    get(A "/");
}

static void slow_handshake(void) {
    options.tls.insecure_no_verify = true;
    net_host("10.0.0.1", 0.5, 0);
    get("https://10.0.0.1/");
}

static void slow_upload(void) {
    net.send_piece = 1000;
    net.send_gap_s = 0.1;
    net_answer("/", 0.01, NET_200);
    put(A "/", 500000);
}

static void stuck_upload(void) {
    net.send_room = 1000;
    put(A "/", 500000);
}

static void asked_upload(void) {
    net_answer("/", 0, NET_SILENCE);
    put(A "/", 1 << 20);
}

static void slow_answer(void) {
    net_host("10.0.0.1", 0.5, 0);
    net_answer("/", 0, NET_SILENCE);
    get(A "/");
}

static void drip(double start_s, size_t piece, double gap_s, size_t size) {
    static char text[70000];
    int head = sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: %lu\r\n\r\n",
                       (unsigned long)size);
    memset(text + head, 'x', size);
    net_rule *rule = net_answer_bytes("/", start_s, text, (size_t)head + size);
    rule->piece = piece;
    rule->gap_s = gap_s;
}

static void slow_body(void) {
    drip(0.5, 100, 0.9, 50000);
    get(A "/");
}

static void stuck_body(void) {
    net_answer("/", 0.5, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12");
    get(A "/");
}

static void stuck_head(void) {
    net_answer("/", 0.5, "HTTP/1.1 200 OK\r\n");
    get(A "/");
}

/* --- one timer at a time ------------------------------------------------------------------ */

#define OPTION(name) offsetof(sparp_options, name)

static const struct {
    const char *name;
    size_t option;
    void (*what)(void);
    double at;                          /* with that option at 2 s; 0: it has no say here */
    sparp_phase phase;
    const char *detail;
} timers[] = {
    {"dns, look-up", OPTION(dns_timeout_s), slow_lookup, 2, SPARP_PHASE_DNS, "no address"},
    {"dns, connect", OPTION(dns_timeout_s), slow_connect, 0, SPARP_PHASE_DNS, ""},
    {"connect, look-up", OPTION(connect_timeout_s), slow_lookup, 2, SPARP_PHASE_DNS, "no address"},
    {"connect", OPTION(connect_timeout_s), slow_connect, 2, SPARP_PHASE_CONNECT, "no connection"},
    {"connect, handshake", OPTION(connect_timeout_s), slow_handshake, 2, SPARP_PHASE_TLS,
     "no connection"},
    {"connect, answer", OPTION(connect_timeout_s), slow_answer, 0, SPARP_PHASE_DNS, ""},
    {"tls, handshake", OPTION(tls_timeout_s), slow_handshake, 2.5, SPARP_PHASE_TLS, "TLS"},
    {"tls, connect", OPTION(tls_timeout_s), slow_connect, 0, SPARP_PHASE_DNS, ""},
    {"tls, answer", OPTION(tls_timeout_s), slow_answer, 0, SPARP_PHASE_DNS, ""},
    {"send, slow", OPTION(send_timeout_s), slow_upload, 2, SPARP_PHASE_SEND, "not sent"},
    {"send, stuck", OPTION(send_timeout_s), stuck_upload, 2, SPARP_PHASE_SEND, "not sent"},
    {"send, handshake", OPTION(send_timeout_s), slow_handshake, 0, SPARP_PHASE_DNS, ""},
    {"send, answer", OPTION(send_timeout_s), slow_answer, 0, SPARP_PHASE_DNS, ""},
    {"first byte", OPTION(first_byte_timeout_s), slow_answer, 2.5, SPARP_PHASE_FIRST_BYTE,
     "no byte"},
    {"first byte, upload", OPTION(first_byte_timeout_s), slow_upload, 0, SPARP_PHASE_DNS, ""},
    {"first byte, connect", OPTION(first_byte_timeout_s), slow_connect, 0, SPARP_PHASE_DNS, ""},
    {"first byte, head", OPTION(first_byte_timeout_s), stuck_head, 0, SPARP_PHASE_DNS, ""},
    {"first byte, body", OPTION(first_byte_timeout_s), stuck_body, 0, SPARP_PHASE_DNS, ""},
    {"first byte, asked", OPTION(first_byte_timeout_s), asked_upload, 3, SPARP_PHASE_FIRST_BYTE,
     "no byte"},
    {"idle, stuck", OPTION(idle_timeout_s), stuck_upload, 2, SPARP_PHASE_SEND, "silent"},
    {"idle, moving up", OPTION(idle_timeout_s), slow_upload, 0, SPARP_PHASE_SEND, ""},
    {"idle, moving down", OPTION(idle_timeout_s), slow_body, 0, SPARP_PHASE_SEND, ""},
    {"idle, body", OPTION(idle_timeout_s), stuck_body, 2.5, SPARP_PHASE_BODY, "silent"},
    {"idle, head", OPTION(idle_timeout_s), stuck_head, 2.5, SPARP_PHASE_BODY, "silent"},
    {"attempt, look-up", OPTION(timeout_s), slow_lookup, 2, SPARP_PHASE_DNS, "more than"},
    {"attempt, connect", OPTION(timeout_s), slow_connect, 2, SPARP_PHASE_CONNECT, "more than"},
    {"attempt, handshake", OPTION(timeout_s), slow_handshake, 2, SPARP_PHASE_TLS, "more than"},
    {"attempt, upload", OPTION(timeout_s), slow_upload, 2, SPARP_PHASE_SEND, "more than"},
    {"attempt, answer", OPTION(timeout_s), slow_answer, 2, SPARP_PHASE_FIRST_BYTE, "no byte"},
    {"attempt, head", OPTION(timeout_s), stuck_head, 2, SPARP_PHASE_BODY, "more than"},
    {"attempt, body", OPTION(timeout_s), slow_body, 2, SPARP_PHASE_BODY, "more than"},
};

/* The others are switched off, and the run ends by its own deadline where this one has no say. */
static void test_each_timer_alone(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(timers); i++) {
        again();
        net.label = timers[i].name;
        options.timeout_s = options.connect_timeout_s = SPARP_NONE;
        options.run_deadline_s = 4.5;
        double two = 2;
        memcpy((char *)&options + timers[i].option, &two, sizeof two);
        timers[i].what();
        run();
        if (timers[i].at > 0)
            assert_timeout(0, timers[i].phase, timers[i].detail, timers[i].at);
        else
            assert_outcome(0, SPARP_OUTCOME_CANCELLED);
    }
}

/* The one that strikes first is named, whatever else is set. */
static void test_the_nearest_one_is_named(void **state) {
    (void)state;
    static const char *const names[] = {"no byte", "silent", "no byte", "deadline"};
    for (int first = 0; first < 4; first++) {
        again();
        net.label = names[first];
        slow_answer();
        options.timeout_s = first == 0 ? 1 : 3;
        options.idle_timeout_s = first == 1 ? 0.5 : 2.4;
        options.first_byte_timeout_s = first == 2 ? 0.5 : 2.3;
        requests[0].deadline_s = first == 3 ? 1 : 2.9;
        run();
        if (first != 1)
            assert_timeout(0, SPARP_PHASE_FIRST_BYTE, names[first], 1);
        else
            assert_near(seen.at[0], 1, 0.001);
    }
}

static void test_every_attempt_has_its_own(void **state) {
    (void)state;
    static const size_t fields[] = {OPTION(timeout_s), OPTION(first_byte_timeout_s),
                                    OPTION(idle_timeout_s)};
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        double two = 2;
        again();
        net_answer("/", 0, NET_SILENCE);
        net_answer("/", 0, NET_SILENCE);
        net_answer("/", 1.9, NET_200);
        options.max_retries_by_timeout = 5;
        options.backoff_s = SPARP_NONE;
        memcpy((char *)&options + fields[i], &two, sizeof two);
        get(A "/");
        sparp_stats s = run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        assert_near(net_now(), 5.9, 0.001);
        assert_int_equal(s.timeouts, 2);
        assert_int_equal(seen.results[0].timeout_retries, 2);
    }
}

/* What is never late is never cut. */
static void test_nothing_strikes_in_time(void **state) {
    (void)state;
    net_lookup("a.test", "10.0.0.1", 0);
    net.lookup_s = 0.9;
    net_host("10.0.0.1", 0.9, 0);
    net.send_piece = 1000;
    net.send_gap_s = 0.1;
    drip(0.9, 100, 0.9, 300);
    options.dns_timeout_s = 1;
    options.connect_timeout_s = 2;
    options.send_timeout_s = 1;
    options.first_byte_timeout_s = 1;
    options.idle_timeout_s = 1;
    options.timeout_s = 8;
    put("http://a.test/", 8000);
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
}

/* --- our own queues eat nothing -------------------------------------------------------------- */

static void set_all_timers(double s) {
    options.timeout_s = options.connect_timeout_s = options.idle_timeout_s = s;
    options.dns_timeout_s = options.tls_timeout_s = options.send_timeout_s = s;
    options.first_byte_timeout_s = s;
    options.min_bytes_per_second = 100;
    options.min_speed_s = s;
}

static void test_waiting_for_a_slot_or_a_token(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        again();
        set_all_timers(0.3);
        options.max_at_once = kind == 0 ? 1 : 0;
        options.max_per_second = kind == 1 ? 1 : 0;
        options.max_at_once_per_origin = kind == 2 ? 1 : 0;
        options.max_per_second_per_origin = kind == 3 ? 1 : 0;
        net_answer("/", 0.2, NET_200);
        for (int i = 0; i < 10; i++)
            get(A "/");
        run();
        for (size_t i = 0; i < 10; i++)
            assert_outcome(i, SPARP_OUTCOME_SUCCESS);
        assert_true(net_now() >= 2.0);
    }
}

/* The second one connects sooner and takes the token: the first one waits, with a connection in
   hand. */
static void test_waiting_for_a_token_with_a_connection(void **state) {
    (void)state;
    set_all_timers(0.8);
    net_host("10.0.0.1", 0.7, 0);
    net_host("10.0.0.2", 0.19, 0);
    net_answer("/", 0.05, NET_200);
    options.max_per_second = 2;
    get(A "/");
    get(B "/");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_outcome(1, SPARP_OUTCOME_SUCCESS);
    assert_near(seen.at[1], 0.74, 0.01);
    assert_near(seen.at[0], 1.24, 0.01);
}

/* A connection that has lain idle for long begins anew. */
static void test_an_idle_connection_owes_nothing(void **state) {
    (void)state;
    set_all_timers(0.5);
    options.max_per_second = 0.2;
    net_answer("/", 0.4, NET_200);
    get(A "/");
    get(A "/");
    run();
    assert_outcome(1, SPARP_OUTCOME_SUCCESS);
    assert_true(seen.results[1].reused);
}

static void test_a_pause_before_a_retry_is_no_attempt(void **state) {
    (void)state;
    set_all_timers(0.3);
    net_answer("/", 0.2, NET_503);
    net_answer("/", 0.2, NET_200);
    options.backoff_s = 5;
    get(A "/");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_true(net_now() > 2.5);
}

/* --- the least speed ----------------------------------------------------------------------- */

/* Bytes a second, measured over 2 s; nothing else ends an attempt. */
static void least_speed(double speed) {
    options.timeout_s = SPARP_NONE;
    options.min_bytes_per_second = speed;
    options.min_speed_s = 2;
}

static void test_a_slow_body_is_a_timeout(void **state) {
    (void)state;
    drip(0.5, 10, 0.1, 3000);           /* 100 a second, and the head's bytes too */
    least_speed(200);
    get(A "/");
    run();
    assert_outcome(0, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
    assert_int_equal(seen.results[0].phase, SPARP_PHASE_BODY);
    CHECK(strstr(details[0], "min_bytes_per_second") != NULL, "%s", details[0]);
    assert_true(net_now() >= 2 && net_now() <= 4.6);
}

static void test_a_body_that_becomes_slow(void **state) {
    (void)state;
    static char text[70000];
    int head = sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n");
    memset(text + head, 'x', 60000);
    net_rule *rule = net_answer_bytes("/", 0.1, text, (size_t)head + 50000);
    rule->piece = 5000;
    rule->gap_s = 0.5;                  /* and then nothing, after 5 s */
    least_speed(2000);
    get(A "/");
    run();
    assert_outcome(0, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
    assert_true(net_now() >= 6 && net_now() <= 9.1);
}

static void test_a_slow_upload_is_a_timeout(void **state) {
    (void)state;
    slow_upload();                      /* 10000 a second */
    least_speed(20000);
    run();
    assert_timeout(0, SPARP_PHASE_SEND, "min_bytes_per_second", 2);
}

static void test_fast_enough(void **state) {
    (void)state;
    for (int up = 0; up < 2; up++) {
        again();
        if (up)
            slow_upload();
        else
            drip(0.1, 1000, 0.1, 60000);
        if (!up)
            get(A "/");
        least_speed(9000);
        run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        assert_true(net_now() > 5);
    }
}

/* However long the server thinks: what follows is measured by itself. */
static void test_thinking_is_not_slow(void **state) {
    (void)state;
    for (double think = 0.05; think < 6; think += 0.13) {
        static char label[40];
        again();
        snprintf(label, sizeof label, "thinks for %.2f s", think);
        net.label = label;
        drip(think, 400, 0.1, 16000);   /* 4000 a second, for 4 s */
        least_speed(3000);
        get(A "/");
        run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    }
}

/* Nor where an interim response comes before the thought, in it or behind it. */
static void test_thinking_behind_an_interim_is_not_slow(void **state) {
    (void)state;
    static char text[600];
    size_t size = (size_t)sprintf(text, "HTTP/1.1 103 Early\r\nLink: <%0150d>\r\n\r\n", 0);
    strcpy(text + size, NET_200);
    for (double think = 0.05; think < 8; think += 0.13) {
        again();
        net_rule *rule = net_answer("/", think, text);
        rule->piece = size;
        rule->gap_s = 7;
        least_speed(3000);
        get(A "/");
        run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    }
}

/* A fast upload, a thought, a fast answer: no moment of it is slow. */
static void test_an_upload_before_a_thought(void **state) {
    (void)state;
    for (double think = 0.05; think < 5; think += 0.23) {
        static char label[40];
        again();
        snprintf(label, sizeof label, "thinks for %.2f s", think);
        net.label = label;
        net.send_piece = 1000;
        net.send_gap_s = 0.1;
        drip(think, 1000, 0.1, 30000);
        least_speed(8000);
        put(A "/", 30000);
        run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    }
}

/* What ends before there has been time to measure is never slow. */
static void test_a_short_body_is_never_slow(void **state) {
    (void)state;
    drip(0.1, 1, 0.02, 30);
    options.min_bytes_per_second = 1e6;
    options.min_speed_s = 2;
    get(A "/");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
}

static bool asleep;
static double slept_until, nap;
static size_t naps;

static sparp_flow nap_at_first(const sparp_result *head, uint64_t offset, const void *data,
                               size_t size, void *user_data) {
    (void)head;
    (void)data;
    (void)size;
    (void)user_data;
    assert_false(asleep);
    if (offset < 4000 || naps++ > 0)
        return SPARP_FLOW_ON;
    asleep = true;
    slept_until = net_now() + nap;
    return SPARP_FLOW_PAUSE;
}

static int64_t late_at_first(uint64_t offset, void *out, size_t room, void *user_data) {
    (void)user_data;
    assert_false(asleep);
    if (offset >= 4000 && naps++ == 0) {
        asleep = true;
        slept_until = net_now() + nap;
        return SPARP_LATER;
    }
    size_t n = 30000 - (size_t)offset;
    n = n < room ? n : room;
    n = n < 1000 ? n : 1000;
    memset(out, 'x', n);
    return (int64_t)n;
}

/* Takes a nap of that length in the middle of a fast body, and wakes. */
static void run_with_nap(double length) {
    const sparp_result *r;
    asleep = false;
    naps = 0;
    nap = length;
    sparp *one = seen_open();
    for (int i = 0; sparp_step(one, asleep ? (int)((slept_until - net_now()) * 1000 + 1) : -1);
         i++) {
        if (asleep && net_now() >= slept_until) {
            asleep = false;
            sparp_wake(one);
        }
        while ((r = sparp_ready(one)) != NULL) {
            seen_keep(r);
        }
        CHECK(i < 2000, "%s: %d turns", net.label, i);
    }
    while ((r = sparp_ready(one)) != NULL) {
        seen_keep(r);
    }
    sparp_close(one);
    seen_check_clean();
}

/* The user pauses, in either direction: that is not the peer's fault. */
static void test_pausing_is_not_slow(void **state) {
    (void)state;
    for (int up = 0; up < 2; up++)
        for (double length = 0.3; length < 5; length += 0.37) {
            static char label[60];
            again();
            snprintf(label, sizeof label, "%s, pauses for %.2f s", up ? "up" : "down", length);
            net.label = label;
            if (up) {
                net.send_piece = 1000;
                net.send_gap_s = 0.1;
                net_answer("/", 0.1, NET_200);
                sparp_request *r = get(A "/");
                r->method = "PUT";
                r->read_body = late_at_first;
                r->body_size = 30000;
            } else {
                drip(0.1, 1000, 0.1, 30000);
                options.on_body = nap_at_first;
                get(A "/");
            }
            options.timeout_s = SPARP_NONE;
            options.min_bytes_per_second = 8000;
            options.min_speed_s = 1;
            run_with_nap(length);
            assert_outcome(0, SPARP_OUTCOME_SUCCESS);
            assert_int_equal(naps > 0, 1);
        }
}

/* Waiting for 100 Continue is not slow, and what comes then has its own time. */
static void test_asking_first_is_not_slow(void **state) {
    (void)state;
    for (double window = 0.5; window < 1.6; window += 0.13) {
        static char label[40];
        again();
        snprintf(label, sizeof label, "window of %.2f s", window);
        net.label = label;
        net.send_piece = 100000;
        net.send_gap_s = 0.1;           /* a million a second */
        net_answer("/", 0.1, NET_200);
        options.timeout_s = SPARP_NONE;
        options.min_bytes_per_second = 800000;
        options.min_speed_s = window;
        put(A "/", sizeof body);
        run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    }
}

/* --- defaults ------------------------------------------------------------------------------ */

static void test_defaults(void **state) {
    (void)state;
    again();
    net_answer("/", 0, NET_SILENCE);
    get(A "/");
    run();
    assert_timeout(0, SPARP_PHASE_FIRST_BYTE, "", 30);
    again();
    slow_connect();
    run();
    assert_timeout(0, SPARP_PHASE_CONNECT, "no connection", 10);
    again();
    slow_lookup();
    net.lookup_s = 50;
    run();
    assert_timeout(0, SPARP_PHASE_DNS, "no address", 10);
    again();
    options.timeout_s = 90;             /* and idle is as patient */
    stuck_body();
    run();
    assert_timeout(0, SPARP_PHASE_BODY, "", 90);
    again();
    drip(0.1, 1, 0.5, 200);             /* two bytes a second are enough by default */
    options.timeout_s = SPARP_NONE;
    get(A "/");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
}

static void test_the_default_of_min_speed_s(void **state) {
    (void)state;
    drip(0.1, 1, 0.5, 2000);
    options.timeout_s = SPARP_NONE;
    options.min_bytes_per_second = 5;
    get(A "/");
    run();
    assert_outcome(0, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
    assert_true(net_now() >= 30 && net_now() <= 61);
}

static void test_none_is_no_limit(void **state) {
    (void)state;
    options.timeout_s = options.connect_timeout_s = options.idle_timeout_s = SPARP_NONE;
    options.dns_timeout_s = options.tls_timeout_s = options.send_timeout_s = SPARP_NONE;
    options.first_byte_timeout_s = options.min_bytes_per_second = SPARP_NONE;
    options.run_deadline_s = SPARP_NONE;
    net_lookup("a.test", "10.0.0.1", 0);
    net.lookup_s = 1000;
    net_host("10.0.0.1", 1000, 0);
    drip(1000, 30, 1000, 60);
    get("http://a.test/")->deadline_s = SPARP_NONE;
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_true(net_now() > 5000);
}

static void test_a_request_has_its_own_timeout(void **state) {
    (void)state;
    options.timeout_s = 2;
    net_answer("/", 5, NET_200);
    get(A "/")->timeout_s = 1;
    get(A "/")->timeout_s = 6;
    get(A "/")->timeout_s = SPARP_NONE;
    get(A "/");
    run();
    assert_timeout(0, SPARP_PHASE_FIRST_BYTE, "", 1);
    assert_outcome(1, SPARP_OUTCOME_SUCCESS);
    assert_outcome(2, SPARP_OUTCOME_SUCCESS);
    assert_timeout(3, SPARP_PHASE_FIRST_BYTE, "", 2);
}

/* --- values that make no sense --------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t at;
    bool none_is_fine;
} fields[] = {
#define FIELD(name, none) {#name, offsetof(sparp_options, name), none}
    FIELD(timeout_s, true), FIELD(connect_timeout_s, true), FIELD(idle_timeout_s, true),
    FIELD(dns_timeout_s, true), FIELD(tls_timeout_s, true), FIELD(send_timeout_s, true),
    FIELD(first_byte_timeout_s, true), FIELD(min_bytes_per_second, true),
    FIELD(min_speed_s, false), FIELD(run_deadline_s, true),
};

static void test_bad_values_are_refused_by_name(void **state) {
    (void)state;
    const double bad[] = {-2, -0.5, -1e9, (double)NAN, (double)INFINITY, -(double)INFINITY};
    const double good[] = {0, 0.001, 1, 86400};
    for (size_t f = 0; f < COUNT_OF(fields); f++) {
        double none = SPARP_NONE;
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
            sparp_error error = SPARP_E_OK;
            memset(&options, 0, sizeof options);
            memcpy((char *)&options + fields[f].at, &bad[i], sizeof bad[i]);
            const char *sentence = sparp_check_options(&options);
            CHECK(strncmp(sentence, fields[f].name, strlen(fields[f].name)) == 0
                  && sentence[strlen(fields[f].name)] == ' ', "%s = %f: \"%s\"", fields[f].name,
                  bad[i], sentence);
            assert_null(sparp_open(&options, &error));
            assert_int_equal(error, SPARP_E_BAD_OPTIONS);
        }
        for (size_t i = 0; i < COUNT_OF(good); i++) {
            memset(&options, 0, sizeof options);
            memcpy((char *)&options + fields[f].at, &good[i], sizeof good[i]);
            assert_string_equal(sparp_check_options(&options), "");
        }
        memset(&options, 0, sizeof options);
        memcpy((char *)&options + fields[f].at, &none, sizeof none);
        assert_int_equal(strlen(sparp_check_options(&options)) == 0, fields[f].none_is_fine);
    }
}

static void test_other_bad_values(void **state) {
    (void)state;
    static const char *const lists[] = {"X Key", "X-A;X-B", "X-A:", "X-\xc3\xa4", "X-A,\n"};
    memset(&options, 0, sizeof options);
    options.max_redirects = -2;
    assert_memory_equal(sparp_check_options(&options), "max_redirects ", 14);
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        memset(&options, 0, sizeof options);
        options.sensitive_headers = lists[i];
        CHECK(strncmp(sparp_check_options(&options), "sensitive_headers ", 18) == 0, "\"%s\": %s",
              lists[i], sparp_check_options(&options));
    }
    options.sensitive_headers = "X-A, X-B,,x-c ,";
    assert_string_equal(sparp_check_options(&options), "");
    options.sensitive_headers = "";
    assert_string_equal(sparp_check_options(&options), "");
}

int main(void) {
    memset(body, 'b', sizeof body);
    seen_prepare = prepare;
    const struct CMUnitTest tests[] = {
        SEEN_TEST(test_each_timer_alone),
        SEEN_TEST(test_the_nearest_one_is_named),
        SEEN_TEST(test_every_attempt_has_its_own),
        SEEN_TEST(test_nothing_strikes_in_time),
        SEEN_TEST(test_waiting_for_a_slot_or_a_token),
        SEEN_TEST(test_waiting_for_a_token_with_a_connection),
        SEEN_TEST(test_an_idle_connection_owes_nothing),
        SEEN_TEST(test_a_pause_before_a_retry_is_no_attempt),
        SEEN_TEST(test_a_slow_body_is_a_timeout),
        SEEN_TEST(test_a_body_that_becomes_slow),
        SEEN_TEST(test_a_slow_upload_is_a_timeout),
        SEEN_TEST(test_fast_enough),
        SEEN_TEST(test_thinking_is_not_slow),
        SEEN_TEST(test_thinking_behind_an_interim_is_not_slow),
        SEEN_TEST(test_an_upload_before_a_thought),
        SEEN_TEST(test_a_short_body_is_never_slow),
        SEEN_TEST(test_pausing_is_not_slow),
        SEEN_TEST(test_asking_first_is_not_slow),
        SEEN_TEST(test_defaults),
        SEEN_TEST(test_the_default_of_min_speed_s),
        SEEN_TEST(test_none_is_no_limit),
        SEEN_TEST(test_a_request_has_its_own_timeout),
        SEEN_TEST(test_bad_values_are_refused_by_name),
        SEEN_TEST(test_other_bad_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

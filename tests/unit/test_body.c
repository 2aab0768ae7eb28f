/* Bodies that stream, both ways, on a scripted clock and a network inside the process: see
   ../fakenet.h. */
#define NET_FDS 24
#define NET_REQUEST_SIZE (3 << 20)      /* whole bodies of requests are looked at */
#define NET_IN_SIZE (320 << 10)         /* more than is received at a time */
#include "../fakenet.h"
#define SPARP_NO_TLS
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#include "../seen.h"

#define A "http://10.0.0.1"
#define B "http://10.0.0.2"
#define KIB 1024

/* --- what servers were sent --------------------------------------------------------------- */

static char last_wire[NET_REQUEST_SIZE];        /* the request that came last, */
static size_t last_size;
static char first_heads[16][600];       /* and the heads of the first ones */
static size_t num_heads;

static void record(const net_request *request, net_rule *answer) {
    memcpy(last_wire, request->text, request->size);
    last_size = request->size;
    if (num_heads < COUNT_OF(first_heads))
        snprintf(first_heads[num_heads++], sizeof first_heads[0], "%.*s",
                 (int)(request->size < 599 ? request->size : 599), request->text);
    net_choose(request, answer);
}

/* --- what on_body saw --------------------------------------------------------------------- */

#define SINK_SIZE (256 * KIB)

static struct sink {
    char     data[SINK_SIZE];           /* of the last attempt */
    size_t   size, calls, beginnings;
    uint64_t expected;                  /* offset of the next call */
    bool     asleep;                    /* PAUSE was said, no wake since */
    size_t   pause_every, enough_at, fail_at;   /* calls; 0: never */
    int      statuses[32];
    size_t   most_memory;
    size_t   resumed;                   /* calls after a pause */
} sink;

static sparp_flow take(const sparp_result *head, uint64_t offset, const void *data, size_t size,
                       void *user_data) {
    (void)user_data;
    CHECK(!sink.asleep, "%s: called at %lu while it pauses", net.label, (unsigned long)offset);
    assert_true(size > 0);
    assert_int_equal(head->body_size, 0);
    assert_false(head->body_complete);
    if (offset == 0) {
        sink.beginnings++;
        sink.size = 0;
        sink.expected = 0;
    }
    CHECK(offset == sink.expected, "offset %lu, expected %lu", (unsigned long)offset,
          (unsigned long)sink.expected);
    sink.expected += size;
    assert_true(sink.size + size <= SINK_SIZE);
    memcpy(sink.data + sink.size, data, size);
    sink.size += size;
    if (sink.calls < COUNT_OF(sink.statuses))
        sink.statuses[sink.calls] = head->status;
    if (seen.memory.bytes > sink.most_memory)
        sink.most_memory = seen.memory.bytes;
    sink.calls++;
    if (sink.fail_at == sink.calls)
        return SPARP_FLOW_FAILED;
    if (sink.enough_at == sink.calls)
        return SPARP_FLOW_ENOUGH;
    sink.asleep = sink.pause_every != 0 && sink.calls % sink.pause_every == 0;
    return sink.asleep ? SPARP_FLOW_PAUSE : SPARP_FLOW_ON;
}

/* --- where read_body comes from ----------------------------------------------------------- */

static struct source {
    const char *data;
    size_t   size, piece;               /* bytes at most at a time; 0: as many as there is room */
    uint64_t expected;
    size_t   calls, beginnings, most_room, most_memory;
    int64_t  fail_at_call;              /* what it then says is wrong_answer */
    int64_t  wrong_answer;
    size_t   later_every;               /* calls; says LATER before each such one */
    bool     asleep;
} source;

static int64_t give(uint64_t offset, void *out, size_t room, void *user_data) {
    struct source *s = (struct source *)user_data;
    assert_ptr_equal(s, &source);
    CHECK(!s->asleep, "asked at %lu before a wake", (unsigned long)offset);
    s->calls++;
    if (offset == 0 && (s->expected != 0 || s->beginnings == 0)) {
        s->beginnings++;
        s->expected = 0;
    }
    CHECK(offset == s->expected, "asked for %lu, expected %lu", (unsigned long)offset,
          (unsigned long)s->expected);
    assert_true(room > 0);
    s->most_room = room > s->most_room ? room : s->most_room;
    s->most_memory = seen.memory.bytes > s->most_memory ? seen.memory.bytes : s->most_memory;
    if (s->fail_at_call == (int64_t)s->calls)
        return s->wrong_answer > 0 ? (int64_t)room + s->wrong_answer : s->wrong_answer;
    if (s->later_every != 0 && s->calls % s->later_every == 0) {
        s->asleep = true;
        return SPARP_LATER;
    }
    size_t n = s->size - (size_t)offset;
    n = n < room ? n : room;
    n = s->piece != 0 && n > s->piece ? s->piece : n;
    memcpy(out, s->data + offset, n);
    s->expected += n;
    return (int64_t)n;
}

static char pattern[3 << 20];

static void prepare(void) {
    memset(&sink, 0, sizeof sink);
    memset(&source, 0, sizeof source);
    memset(first_heads, 0, sizeof first_heads);
    num_heads = last_size = 0;
    net.server = record;
    net.poll_limit = 5000;
}

/* A request with a body that give() reads: sized, or chunked. */
static sparp_request *stream(const char *method, const char *url, size_t size, bool sized) {
    sparp_request *r = ask(method, url);
    r->read_body = give;
    r->body_size = sized ? size : 0;
    r->user_data = &source;
    source.data = pattern;
    source.size = size;
    return r;
}

/* --- waking while it pauses: as often as it takes, from outside ------------------------------ */

static size_t wakes, turns;

/* Turn by turn; every wake_s a wake, unless it is 0. The turns of a pause are counted. */
static void run_and_wake(double wake_s) {
    const sparp_result *r;
    double next = wake_s;
    wakes = turns = 0;
    sparp *one = seen_open();
    assert_non_null(one);
    for (bool more = true; more; turns++) {
        int ms = wake_s > 0 ? (int)((next - net_now()) * 1000 + 0.5) : -1;
        more = sparp_step(one, ms < 0 ? -1 : ms);
        if (wake_s > 0 && net_now() >= next - 0.0005) {
            sink.resumed += sink.asleep;
            sink.asleep = source.asleep = false;
            wakes++;
            next = net_now() + wake_s;
            sparp_wake(one);
        }
        while ((r = sparp_ready(one)) != NULL) {
            seen_keep(r);
        }
        CHECK(turns < 20000, "%lu turns", (unsigned long)turns);
    }
    sparp_stats s = sparp_get_stats(one);
    sparp_close(one);
    seen_check_end(&s);
    seen_check_clean();
}

/* --- an answer with that body, framed one way or another ------------------------------------- */

typedef enum framing { SIZED, CHUNKED, UNTIL_CLOSED, NUM_FRAMINGS } framing;

static char answer_bytes[300 * KIB];

static net_rule *answer_with(const char *path, framing how, size_t size, size_t chunk) {
    char *p = answer_bytes;
    p += sprintf(p, "HTTP/1.1 200 OK\r\n");
    if (how == SIZED)
        p += sprintf(p, "Content-Length: %lu\r\n\r\n", (unsigned long)size);
    else
        p += sprintf(p, how == CHUNKED ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
    for (size_t i = 0; i < size; i += how == CHUNKED ? chunk : size) {
        size_t n = how != CHUNKED ? size : size - i < chunk ? size - i : chunk;
        if (how == CHUNKED)
            p += sprintf(p, "%lx\r\n", (unsigned long)n);
        memcpy(p, pattern + i, n);
        p += n;
        if (how == CHUNKED)
            p += sprintf(p, "\r\n");
    }
    if (how == CHUNKED)
        p += sprintf(p, "0\r\n\r\n");
    net_rule *rule = net_answer_bytes(path, 0.01, answer_bytes, (size_t)(p - answer_bytes));
    rule->then = how == UNTIL_CLOSED ? NET_FIN : NET_KEEP;
    return rule;
}

static void assert_sink(size_t size) {
    CHECK(sink.size == size, "%s: %lu bytes of %lu", net.label, (unsigned long)sink.size,
          (unsigned long)size);
    assert_memory_equal(sink.data, pattern, size);
}

/* --- on_body --------------------------------------------------------------------------------- */

static void test_the_body_comes_in_order_and_is_not_kept(void **state) {
    (void)state;
    for (int how = 0; how < NUM_FRAMINGS; how++)
        for (size_t piece = 1; piece < 5000; piece *= 7) {
            again();
            net_rule *rule = answer_with("/a", (framing)how, 2000, 130);
            rule->piece = piece;
            rule->gap_s = 0.001;
            options.on_body = take;
            get(A "/a");
            run();
            assert_outcome(0, SPARP_OUTCOME_SUCCESS);
            assert_sink(2000);
            assert_int_equal(seen.results[0].body_size, 0);
            assert_true(seen.results[0].body_complete);
            assert_false(seen.results[0].truncated);
            assert_int_equal(sink.beginnings, 1);
            assert_int_equal(sink.statuses[0], 200);
        }
}

static void test_no_body_no_call(void **state) {
    (void)state;
    options.on_body = take;
    net_answer("/204", 0.01, NET_204);
    net_answer("/0", 0.01, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    net_answer("/chunked", 0.01, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               "0\r\n\r\n");
    net_answer("/redirect", 0.01, "HTTP/1.1 302 Moved\r\nLocation: /0\r\nContent-Length: 5\r\n\r\n"
               "moved");
    net_answer("/head", 0.01, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    get(A "/204");
    get(A "/0");
    get(A "/chunked");
    get(A "/redirect");
    ask("HEAD", A "/head");
    run();
    for (size_t i = 0; i < 5; i++)
        assert_outcome(i, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(sink.calls, 0);
}

/* A soft fail that is tried again is not told; the last one is. */
static void test_what_is_tried_again_is_not_told(void **state) {
    (void)state;
    for (int last = 0; last < 2; last++) {
        again();
        net_answer("/a", 0.01, NET_503);
        net_answer("/a", 0.01, last ? NET_503 : NET_200);
        options.on_body = take;
        options.max_retries_by_soft_fail = 1;
        get(A "/a");
        run();
        assert_outcome(0, last ? SPARP_OUTCOME_SOFT_EXHAUSTED : SPARP_OUTCOME_SUCCESS);
        assert_int_equal(sink.calls, 1);
        assert_int_equal(sink.statuses[0], last ? 503 : 200);
        assert_memory_equal(sink.data, last ? "busy" : "ok", last ? 4 : 2);
    }
}

static void test_a_retry_begins_at_0_again(void **state) {
    (void)state;
    net_answer_then("/a", 0.01, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345", NET_RST);
    net_answer("/a", 0.01, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabcdefghi");
    options.on_body = take;
    get(A "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(sink.beginnings, 2);
    assert_int_equal(sink.size, 9);
    assert_memory_equal(sink.data, "abcdefghi", 9);
    assert_int_equal(seen.results[0].transport_retries, 1);
}

static size_t asked;
static sparp_verdict second_verdict;

static sparp_verdict need_body(const sparp_result *response, void *user_data) {
    (void)user_data;
    asked++;
    if (!response->body_complete)
        return SPARP_NEED_BODY;
    assert_int_equal(response->body_size, 0);
    assert_true(asked > 1 ? sink.calls > 0 : true);
    return second_verdict;
}

/* The body has gone to on_body: inspect is asked again at its end, and sees none. */
static void test_need_body_with_on_body(void **state) {
    (void)state;
    for (int soft = 0; soft < 2; soft++) {
        again();
        asked = 0;
        second_verdict = soft ? SPARP_SOFT_FAIL : SPARP_HARD_FAIL;
        net_answer("/a", 0.01, NET_200);
        options.on_body = take;
        options.inspect = need_body;
        options.max_retries_by_soft_fail = 2;
        options.backoff_s = SPARP_NONE;
        get(A "/a");
        run();
        assert_outcome(0, soft ? SPARP_OUTCOME_SOFT_EXHAUSTED : SPARP_OUTCOME_HARD_FAIL);
        assert_int_equal(asked, soft ? 6 : 2);
        assert_int_equal(sink.beginnings, soft ? 3 : 1);
    }
}

/* --- pauses ---------------------------------------------------------------------------------- */

static void test_pauses_lose_nothing(void **state) {
    (void)state;
    static const size_t pieces[] = {1, 3, 64, 1000, 40000};
    for (int how = 0; how < NUM_FRAMINGS; how++)
        for (size_t p = 0; p < COUNT_OF(pieces); p++)
            for (size_t every = 1; every <= 3; every += 2) {
                static char label[80];
                again();
                snprintf(label, sizeof label, "framing %d, pieces of %lu, pause at each %lu", how,
                         (unsigned long)pieces[p], (unsigned long)every);
                net.label = label;
                size_t size = pieces[p] < 64 ? 300 : 30000;
                net_rule *rule = answer_with("/a", (framing)how, size, size / 9);
                rule->piece = pieces[p];
                rule->gap_s = 0.0003;
                options.on_body = take;
                sink.pause_every = every;
                get(A "/a");
                run_and_wake(0.005);
                assert_outcome(0, SPARP_OUTCOME_SUCCESS);
                assert_sink(size);
                assert_int_equal(sink.beginnings, 1);
                CHECK(sink.resumed > 0 || every > 1, "%s: it never paused", label);
            }
}

/* The last piece is one like any other: the end comes after the wake. */
static void test_a_pause_at_the_end_holds_the_end(void **state) {
    (void)state;
    for (int how = 0; how < NUM_FRAMINGS; how++) {
        again();
        answer_with("/a", (framing)how, 50, 50);
        options.on_body = take;
        sink.pause_every = 1;
        get(A "/a");
        run_and_wake(1.0);
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        assert_sink(50);
        assert_near(net_now(), 1.0, 0.01);
        CHECK(turns < 12, "%lu turns", (unsigned long)turns);
    }
}

static void test_a_paused_connection_is_used_again(void **state) {
    (void)state;
    for (int how = 0; how < UNTIL_CLOSED; how++) {
        again();
        answer_with("/a", (framing)how, 500, 100)->piece = 60;
        options.on_body = take;
        options.max_at_once = 1;
        sink.pause_every = 2;
        get(A "/a");
        get(A "/a");
        run_and_wake(0.01);
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        assert_outcome(1, SPARP_OUTCOME_SUCCESS);
        assert_sink(500);
        assert_int_equal(net.connects, 1);
    }
}

static void test_a_wake_for_nothing_does_nothing(void **state) {
    (void)state;
    answer_with("/a", SIZED, 3000, 0)->piece = 100;
    options.on_body = take;
    get(A "/a");
    run_and_wake(0.001);
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_sink(3000);
    assert_true(wakes > 5);
}

static sparp *the_run;

static sparp_flow pause_and_wake(const sparp_result *head, uint64_t offset, const void *data,
                                 size_t size, void *user_data) {
    sink.asleep = false;
    take(head, offset, data, size, user_data);
    sparp_wake(the_run);
    return SPARP_FLOW_PAUSE;
}

/* The wake may come before the pause is returned: it is not lost. */
static void test_a_wake_from_inside_counts(void **state) {
    (void)state;
    const sparp_result *r;
    answer_with("/a", SIZED, 3000, 0)->piece = 100;
    options.on_body = pause_and_wake;
    get(A "/a");
    the_run = seen_open();
    while ((r = sparp_next(the_run)) != NULL)
        seen_keep(r);
    sparp_close(the_run);
    seen_check_clean();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_sink(3000);
    assert_near(net_now(), 0.01, 0.001);
}

/* The peer closes, or resets, while nobody reads: no turn is spent on that. */
static void test_a_paused_body_whose_peer_has_gone(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        again();
        net_rule *rule = answer_with("/a", kind == 3 ? UNTIL_CLOSED : SIZED, 5000, 0);
        rule->piece = 1000;
        rule->gap_s = 0.1;
        if (kind < 2)
            rule->size -= 500;          /* and does not send all of it */
        rule->then = kind == 1 ? NET_RST : NET_FIN;
        rule->then_s = 0.1;
        options.on_body = take;
        options.max_retries_by_transport = SPARP_NONE;
        sink.pause_every = 1;
        get(A "/a");
        run_and_wake(5.0);
        assert_int_equal(seen.results[0].error, kind < 2 ? kind == 1 ? SPARP_E_RESET
                         : SPARP_E_TRUNCATED : SPARP_E_OK);
        if (kind >= 2)
            assert_sink(5000);
        CHECK(turns < 60, "kind %d: %lu turns", kind, (unsigned long)turns);
    }
}

static void test_clocks_while_it_pauses(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {      /* idle, attempt, deadline, speed */
        again();
        memset(&options, 0, sizeof options);
        net_rule *rule = answer_with("/a", SIZED, 4000, 0);
        rule->piece = 1000;
        rule->gap_s = 0.1;
        options.on_body = take;
        options.timeout_s = kind == 1 ? 3 : 100;
        options.idle_timeout_s = kind == 0 ? 1 : 0;
        options.min_bytes_per_second = kind == 3 ? 100 : 0;
        options.min_speed_s = 2;
        options.max_retries_by_timeout = SPARP_NONE;
        sink.pause_every = 2;
        get(A "/a")->deadline_s = kind == 2 ? 3 : 0;
        run_and_wake(kind == 1 || kind == 2 ? 50 : 11);
        bool ends = kind == 1 || kind == 2;
        assert_outcome(0, ends ? SPARP_OUTCOME_TIMEOUT_EXHAUSTED : SPARP_OUTCOME_SUCCESS);
        assert_near(net_now(), ends ? 3.0 : 22, ends ? 0.01 : 11.1);
        if (ends)
            assert_int_equal(seen.results[0].phase, SPARP_PHASE_BODY);
        CHECK(turns < 60, "kind %d: %lu turns", kind, (unsigned long)turns);
    }
}

static void cut_paused(int how) {
    sparp *one = seen_open();
    const sparp_result *r;
    while (!sink.asleep)
        sparp_step(one, 100);
    if (how == 0)
        sparp_cancel(one, 0);
    else if (how == 1)
        sparp_stop(one);
    else
        sparp_wake(one);                /* and closed before it is heard */
    while (how != 2 && (r = sparp_next(one)) != NULL)
        seen_keep(r);
    sparp_close(one);
    seen_check_clean();
}

static void test_a_paused_body_can_be_cut(void **state) {
    (void)state;
    for (int how = 0; how < 3; how++) {
        again();
        answer_with("/a", CHUNKED, 4000, 1000)->piece = 700;
        options.on_body = take;
        sink.pause_every = 1;
        get(A "/a");
        cut_paused(how);
        if (how < 2)
            assert_outcome(0, SPARP_OUTCOME_CANCELLED);
        assert_int_equal(sink.calls, 1);
    }
}

/* What lies in the receive buffer belongs to all: others go on, and spoil nothing. */
static void test_others_go_on_while_one_pauses(void **state) {
    (void)state;
    answer_with("/a", CHUNKED, 20000, 1000);
    net_answer("/b", 0.011, "HTTP/1.1 204 Nothing\r\n\r\n");
    options.on_body = take;
    sink.pause_every = 1;
    options.max_at_once = 4;
    get(A "/a");
    for (int i = 0; i < 20; i++)
        get(B "/b");
    run_and_wake(0.01);
    for (size_t i = 0; i < 21; i++)
        assert_outcome(i, SPARP_OUTCOME_SUCCESS);
    assert_sink(20000);
    assert_int_equal(seen.order[20], 0);
}

/* --- enough, failed, caps --------------------------------------------------------------------- */

static void test_enough_is_a_truncated_response(void **state) {
    (void)state;
    for (int hard = 0; hard < 2; hard++) {
        again();
        net_rule *rule = answer_with("/a", SIZED, 5000, 0);
        rule->piece = 500;
        rule->gap_s = 0.1;
        if (hard)
            memcpy(answer_bytes, "HTTP/1.1 400", 12);
        net_answer("/b", 0.01, NET_200);
        options.on_body = take;
        options.max_at_once = 1;
        sink.enough_at = 2;
        get(A "/a");
        get(A "/b");
        run();
        assert_outcome(0, hard ? SPARP_OUTCOME_HARD_FAIL : SPARP_OUTCOME_SUCCESS);
        assert_true(seen.results[0].truncated);
        assert_int_equal(seen.results[0].error, SPARP_E_OK);
        assert_near(seen.at[0], 0.11, 0.01);
        assert_int_equal(net.connects, 2);
        assert_outcome(1, SPARP_OUTCOME_SUCCESS);
        assert_false(seen.results[1].truncated);
    }
}

static sparp_flow junk(const sparp_result *head, uint64_t offset, const void *data, size_t size,
                       void *user_data) {
    (void)head;
    (void)offset;
    (void)data;
    (void)size;
    (void)user_data;
    return (sparp_flow)77;
}

static void test_a_failed_sink_is_ours(void **state) {
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        again();
        net_rule *rule = answer_with("/a", SIZED, 5000, 0);
        rule->piece = 500;
        rule->gap_s = 0.001;
        options.on_body = kind == 0 ? take : junk;
        options.max_retries_by_transport = 3;
        sink.fail_at = 2;
        get(A "/a");
        run();
        assert_outcome(0, SPARP_OUTCOME_LOCAL_FAILED);
        assert_int_equal(seen.results[0].error, SPARP_E_SINK_FAILED);
        assert_int_equal(seen.results[0].status, 200);
        assert_int_equal(seen.results[0].attempts, 1);
        CHECK(strstr(details[0], "offset") != NULL, "%s", details[0]);
    }
}

static void test_caps_hold_for_on_body_too(void **state) {
    (void)state;
    for (int how = 0; how < NUM_FRAMINGS; how++)
        for (int truncate = 0; truncate < 2; truncate++)
            for (size_t piece = 40; piece <= 4000; piece *= 10) {
                again();
                net_rule *rule = answer_with("/a", (framing)how, 5000, 333);
                rule->piece = piece;
                rule->gap_s = 0.001;
                options.on_body = take;
                options.max_body_bytes = 1234;
                options.truncate_body = truncate == 1;
                get(A "/a");
                run();
                assert_outcome(0, truncate ? SPARP_OUTCOME_SUCCESS : SPARP_OUTCOME_LOCAL_FAILED);
                assert_int_equal(seen.results[0].truncated, truncate);
                assert_int_equal(seen.results[0].error,
                                 truncate ? SPARP_E_OK : SPARP_E_BODY_TOO_LARGE);
                if (how == SIZED && !truncate)
                    assert_int_equal(sink.calls, 0);        /* decided at the head */
                else
                    assert_sink(1234);
            }
}

static void test_exactly_as_much_as_allowed(void **state) {
    (void)state;
    for (int how = 0; how < NUM_FRAMINGS; how++) {
        again();
        answer_with("/a", (framing)how, 1234, 617)->piece = 100;
        options.on_body = take;
        options.max_body_bytes = 1234;
        get(A "/a");
        run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        assert_sink(1234);
    }
}

static void test_memory_does_not_grow_with_the_body(void **state) {
    (void)state;
    net_rule *rule = answer_with("/a", SIZED, 250000, 0);
    rule->piece = 10000;
    rule->gap_s = 0.001;
    options.on_body = take;
    get(A "/a");
    run();
    assert_sink(250000);
    CHECK(sink.most_memory < 290000, "%lu bytes", (unsigned long)sink.most_memory);
}

/* --- read_body ----------------------------------------------------------------------------- */

static const char *wire_body(void) {
    static char none[] = "";
    for (size_t i = 0; i + 4 <= last_size; i++)
        if (memcmp(last_wire + i, "\r\n\r\n", 4) == 0)
            return last_wire + i + 4;
    return none;
}

static size_t wire_body_size(void) {
    return last_size - (size_t)(wire_body() - last_wire);
}

static void test_a_sized_body_is_read_and_sent(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 100, 32 * KIB, 32 * KIB + 1, 300000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        for (size_t piece = 0; piece <= 1000; piece += 1000) {
            char line[60];
            again();
            net_answer("/a", 0.01, NET_200);
            stream("POST", A "/a", sizes[i], true);
            source.piece = piece;
            run();
            assert_outcome(0, SPARP_OUTCOME_SUCCESS);
            assert_int_equal(wire_body_size(), sizes[i]);
            assert_memory_equal(wire_body(), pattern, sizes[i]);
            snprintf(line, sizeof line, "\r\nContent-Length: %lu\r\n", (unsigned long)sizes[i]);
            assert_non_null(strstr(first_heads[0], line));
            assert_null(strstr(first_heads[0], "Transfer-Encoding"));
            assert_int_equal(source.beginnings, 1);
            CHECK(source.most_memory < 350000, "%lu bytes", (unsigned long)source.most_memory);
        }
}

static void test_post_is_the_method_of_a_read_body(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    stream(NULL, A "/a", 5, true);
    run();
    assert_string_equal(net.requests[0].method, "POST");
}

/* Each piece a chunk, in lower or upper case hex, and the last one empty. */
static size_t put_chunks(char *out, size_t size, size_t piece) {
    char *p = out;
    for (size_t i = 0; i < size; i += piece) {
        size_t n = size - i < piece ? size - i : piece;
        p += sprintf(p, "%lx\r\n", (unsigned long)n);
        memcpy(p, pattern + i, n);
        p += n;
        p += sprintf(p, "\r\n");
    }
    return (size_t)(p - out) + (size_t)sprintf(p, "0\r\n\r\n");
}

#define ASKED_FOR (32 * KIB - 16)         /* of read_body() at a time */

static const sparp_field no_expect = {"Expect", NULL};

static void test_an_unknown_size_is_sent_in_chunks(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{0, 1}, {1, 1}, {15, 1}, {16, 16}, {5000, 255}, {5000, 256},
                                      {40000, 4095}, {70000, ASKED_FOR}, {100000, 40000}};
    static char expected[200 * KIB];
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        for (size_t taken = 0; taken < 2; taken++) {
            again();
            net_answer("/a", 0.01, NET_200);
            net.send_piece = taken == 1 ? 333 : 0;
            sparp_request *r = stream("PUT", A "/a", sizes[i][0], false);
            r->headers = &no_expect;
            r->num_headers = 1;
            source.piece = sizes[i][1];
            run();
            size_t piece = sizes[i][1] < ASKED_FOR ? sizes[i][1] : ASKED_FOR;
            size_t size = put_chunks(expected, sizes[i][0], piece);
            assert_outcome(0, SPARP_OUTCOME_SUCCESS);
            assert_non_null(strstr(first_heads[0], "\r\nTransfer-Encoding: chunked\r\n"));
            assert_null(strstr(first_heads[0], "Content-Length"));
            assert_null(strstr(first_heads[0], "Expect"));
            CHECK(wire_body_size() == size, "%lu of %lu bytes: %.50s",
                  (unsigned long)wire_body_size(), (unsigned long)size, wire_body());
            assert_memory_equal(wire_body(), expected, size);
        }
}

static void test_later_waits_for_a_wake(void **state) {
    (void)state;
    for (int sized = 0; sized < 2; sized++)
        for (size_t every = 1; every <= 3; every++) {
            again();
            net_answer("/a", 0.01, NET_200);
            sparp_request *r = stream("PUT", A "/a", 1000, sized == 1);
            r->headers = &no_expect;
            r->num_headers = 1;
            source.piece = 300;
            source.later_every = every + 1;
            options.idle_timeout_s = 0.5;
            options.min_bytes_per_second = 10000;
            options.min_speed_s = 0.5;
            run_and_wake(1);
            assert_outcome(0, SPARP_OUTCOME_SUCCESS);
            assert_int_equal(source.beginnings, 1);
            if (sized)
                assert_memory_equal(wire_body(), pattern, 1000);
            else
                assert_true(net_now() >= 1);
            CHECK(turns < 40, "%lu turns", (unsigned long)turns);
        }
}

static void test_later_at_once_and_for_ever(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    stream("PUT", A "/a", 1000, true);
    source.later_every = 1;
    options.timeout_s = 3;
    options.max_retries_by_timeout = SPARP_NONE;
    run_and_wake(0);
    assert_outcome(0, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
    assert_int_equal(seen.results[0].phase, SPARP_PHASE_SEND);
    assert_near(net_now(), 3, 0.001);
    CHECK(turns < 12, "%lu turns", (unsigned long)turns);
}

/* A wake is for those that are still there. */
static void test_a_wake_after_the_end_of_a_pause(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {      /* its connection is another's by then, or not */
        again();
        if (kind < 2) {
            stream("PUT", A "/a", 1000, true);
            source.later_every = 1;
        } else {
            answer_with("/a", SIZED, 1000, 0);
            options.on_body = take;
            sink.pause_every = 1;
            get(A "/a");
        }
        requests[0].timeout_s = 1;
        net_answer("/b", 5, NET_204);
        net_answer("/c", 5, NET_204);
        options.max_retries_by_timeout = SPARP_NONE;
        options.max_at_once = 2 + kind % 2;
        get(B "/b");
        get(B "/c");
        run_and_wake(3);
        assert_outcome(0, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
        assert_outcome(1, SPARP_OUTCOME_SUCCESS);
        assert_outcome(2, SPARP_OUTCOME_SUCCESS);
    }
}

static const struct {
    int64_t call, answer;
    bool sized;
} wrongs[] = {
    {1, SPARP_NONE, true}, {2, SPARP_NONE, true}, {2, SPARP_NONE, false},
    {1, 1, true}, {2, 1, false}, {2, -77, true}, {2, INT64_MIN, false},
    {2, 0, true},                       /* all that there was, and less than was said */
};

static void test_a_reader_that_fails(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrongs); i++) {
        again();
        net_answer("/a", 0.01, NET_200);
        sparp_request *r = stream("PUT", A "/a", 1000, wrongs[i].sized);
        r->headers = &no_expect;
        r->num_headers = 1;
        source.piece = 300;
        source.fail_at_call = wrongs[i].call;
        source.wrong_answer = wrongs[i].answer;
        run();
        CHECK(seen.results[0].outcome == SPARP_OUTCOME_LOCAL_FAILED
              && seen.results[0].error == SPARP_E_CALLBACK_FAILED, "row %lu: %s",
              (unsigned long)i, details[0]);
        assert_int_equal(seen.results[0].attempts, 1);
        assert_int_equal(net.num_requests, 0);
        CHECK(strstr(details[0], "read_body") != NULL, "%s", details[0]);
    }
}

/* A source that has more than was said is asked for what was said. */
static void test_no_more_than_was_said(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    stream("PUT", A "/a", 40000, true)->body_size = 33000;
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(wire_body_size(), 33000);
}

/* Again from the beginning: after a 503, a reset, a timeout, a 307, on a stale connection. */
static void test_the_body_is_read_again_from_the_start(void **state) {
    (void)state;
    for (int kind = 0; kind < 5; kind++)
        for (int sized = 0; sized < 2; sized++) {
            again();
            if (kind == 0)
                net_answer("/a", 0.01, NET_503);
            else if (kind == 1 || kind == 4)
                net_answer_then("/a", 0.01, NET_SILENCE, kind == 4 ? NET_FIN : NET_RST);
            else if (kind == 2)
                net_answer("/a", 0.01, NET_SILENCE);
            else
                net_answer("/a", 0.01, "HTTP/1.1 307 There\r\nLocation: " B "/b\r\n"
                           "Content-Length: 0\r\n\r\n");
            net_answer("/a", 0.01, NET_200);
            net_answer("/b", 0.01, NET_200);
            net_answer("/warm", 0.005, NET_200);
            options.timeout_s = 1;
            options.max_at_once = 1;
            if (kind == 4)
                get(A "/warm");
            sparp_request *r = stream("PUT", A "/a", 70000, sized == 1);
            r->headers = &no_expect;
            r->num_headers = 1;
            run();
            size_t i = kind == 4 ? 1 : 0;
            assert_outcome(i, SPARP_OUTCOME_SUCCESS);
            assert_int_equal(source.beginnings, 2);
            assert_int_equal(net.num_requests, 2 + i);
            assert_int_equal(seen.results[i].replays, kind == 4);
            assert_true(wire_body_size() >= 70000);
            if (sized)
                assert_memory_equal(wire_body(), pattern, 70000);
        }
}

static void test_a_303_drops_the_reader(void **state) {
    (void)state;
    net_answer("/a", 0.01, "HTTP/1.1 303 There\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n");
    net_answer("/b", 0.01, NET_200);
    stream("POST", A "/a", 100, false);
    requests[0].headers = &no_expect;
    requests[0].num_headers = 1;
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(source.beginnings, 1);
    assert_string_equal(net.requests[1].method, "GET");
    assert_null(strstr(first_heads[1], "Transfer-Encoding"));
    assert_int_equal(wire_body_size(), 0);
}

/* Half of a POST has left us when the connection breaks. */
static void test_a_broken_upload_follows_the_rules(void **state) {
    (void)state;
    for (int post = 0; post < 2; post++) {
        again();
        net_answer("/a", 0.01, NET_200);
        net.send_piece = 5000;
        net.send_gap_s = 0.01;
        net_fail(NET_SEND, 5, ECONNRESET);
        net_host("10.0.0.1", 0, 0);
        stream(post ? "POST" : "PUT", A "/a", 70000, true);
        options.timeout_s = 1;
        options.max_retries_by_timeout = SPARP_NONE;
        run();
        CHECK(seen.results[0].outcome != SPARP_OUTCOME_SUCCESS || !post, "%s", details[0]);
        assert_int_equal(seen.results[0].attempts >= 1, 1);
    }
}

static void test_bad_readers_are_refused(void **state) {
    (void)state;
    stream("PUT", A "/a", 10, true)->body = "x";
    stream("PUT", A "/a", 10, false)->json = "{}";
    run();
    for (size_t i = 0; i < 2; i++) {
        assert_outcome(i, SPARP_OUTCOME_LOCAL_FAILED);
        assert_int_equal(seen.results[i].error, SPARP_E_BAD_REQUEST);
        CHECK(strstr(details[i], "read_body") != NULL, "%s", details[i]);
    }
}

/* --- an answer before all is sent ------------------------------------------------------------ */

#define NET_413 "HTTP/1.1 413 Large\r\nContent-Length: 3\r\n\r\nbig"

static void test_an_early_answer_is_the_answer(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++)        /* kept; closed; reset later; no more taken */
        for (int streamed = 0; streamed < 2; streamed++) {
            again();
            net.hasty = true;
            net.send_piece = 10000;
            net.send_gap_s = 0.01;
            net.send_room = kind == 3 ? 50000 : 0;
            net_rule *rule = net_answer("/a", 0.05, NET_413);
            rule->then = kind == 1 ? NET_FIN : kind == 2 ? NET_RST : NET_KEEP;
            rule->then_s = kind == 2 ? 0.1 : 0;
            net_answer("/b", 0.01, NET_200);
            options.max_at_once = 1;
            sparp_request *r;
            if (streamed) {
                r = stream("POST", A "/a", 500000, true);
            } else {
                r = ask("POST", A "/a");
                r->body = pattern;
                r->body_size = 500000;
            }
            get(A "/b");
            run();
            assert_outcome(0, SPARP_OUTCOME_HARD_FAIL);
            assert_int_equal(seen.results[0].status, 413);
            assert_string_equal(seen.bodies[0], "big");
            assert_near(seen.at[0], 0.05, 0.001);
            assert_false(seen.results[0].maybe_applied);
            assert_int_equal(net.connects, 2);          /* half a request is on the first one */
            assert_outcome(1, SPARP_OUTCOME_SUCCESS);
            assert_int_equal(seen.results[1].attempts, 1);
            assert_true(seen.results[0].bytes_out < 100000);
        }
}

/* --- Expect ---------------------------------------------------------------------------------- */

#define MIB (1024 * KIB)
#define NET_100 "HTTP/1.1 100 Continue\r\n\r\n"

static const char *expect_answer;
static bool expect_final;
static size_t num_asked;
static net_then expect_then;

static bool on_expect(const net_request *request, net_rule *answer) {
    num_asked++;
    snprintf(first_heads[8], sizeof first_heads[0], "%.*s",
             (int)(request->size < 599 ? request->size : 599), request->text);
    CHECK(strcmp(strstr(first_heads[8], "\r\n\r\n"), "\r\n\r\n") == 0,
          "the body has come along: %lu bytes", (unsigned long)request->size);
    answer->bytes = expect_answer;
    answer->size = strlen(expect_answer);
    answer->delay_s = 0.2;
    answer->then = expect_then;
    return expect_final;
}

static void expecting(const char *answer, bool final) {
    again();
    memset(&options, 0, sizeof options);
    net.on_expect = on_expect;
    expect_answer = answer;
    expect_final = final;
    expect_then = NET_KEEP;
    num_asked = 0;
    options.max_at_once = 1;
    net_answer("/a", 0.01, NET_200);
    net_answer("/b", 0.01, NET_200);
}

/* A request whose body asks first: of a MiB, of a reader, of unknown size, by the user's word. */
static size_t ask_of_kind(int kind) {
    static const sparp_field expect = {"expect", " 100-Continue "};
    sparp_request *r;
    switch (kind) {
    case 0:
        r = ask("POST", A "/a");
        r->body = pattern;
        r->body_size = MIB;
        return MIB;
    case 1:
        stream("POST", A "/a", MIB, true);
        return MIB;
    case 2:
        stream("POST", A "/a", 5000, false);
        return put_chunks(answer_bytes, 5000, 5000);
    default:
        r = ask("POST", A "/a");
        r->headers = &expect;
        r->num_headers = 1;
        r->body = pattern;
        r->body_size = 5;
        return 5;
    }
}

static void test_100_lets_the_body_come(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        expecting(NET_100, false);
        size_t size = ask_of_kind(kind);
        get(A "/b");
        run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        assert_int_equal(num_asked, 1);
        assert_near(seen.at[0], 0.21, 0.001);
        assert_int_equal(seen.results[0].status, 200);
        assert_int_equal(net.connects, 1);
        assert_int_equal(net.num_requests, 2);
        assert_near((double)(net.requests[0].at - NET_BEGIN) / 1e9, 0.2, 0.001);
        assert_true(seen.results[0].bytes_out > size && seen.results[0].bytes_out < size + 300);
    }
}

static void test_another_1xx_is_no_100(void **state) {
    (void)state;
    expecting("HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", false);
    ask_of_kind(0);
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_near(seen.at[0], 1.01, 0.002);
}

static void test_without_a_100_it_comes_after_a_second(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        expecting("", false);
        ask_of_kind(kind);
        options.idle_timeout_s = 1.5;
        run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        assert_int_equal(num_asked, 1);
        assert_near(seen.at[0], 1.01, 0.002);
    }
}

/* The user's own line is found in any case; nothing waits without one. */
static void test_the_users_own_expect(void **state) {
    (void)state;
    expecting("", false);
    net.on_expect = NULL;
    ask_of_kind(3);
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_near(seen.at[0], 1.01, 0.002);
    assert_non_null(strstr(first_heads[0], "\r\nexpect: 100-Continue\r\n"));
    assert_null(strstr(first_heads[0], "\r\nExpect: 100-continue\r\n"));
    for (int kind = 0; kind < 3; kind++) {
        expecting("", false);
        ask_of_kind(kind);
        requests[0].headers = &no_expect;
        requests[0].num_headers = 1;
        run();
        assert_int_equal(num_asked, 0);
        assert_null(strstr(first_heads[0], "Expect"));
        assert_near(seen.at[0], 0.01, 0.002);
    }
}

static void test_small_bodies_do_not_ask(void **state) {
    (void)state;
    expecting("", false);
    sparp_request *r = ask("POST", A "/a");
    r->body = pattern;
    r->body_size = MIB - 1;
    run();
    assert_int_equal(num_asked, 0);
    assert_near(seen.at[0], 0.01, 0.002);
}

/* No: the body stays here, and the connection, which the server may take for half a request,
   goes. */
static void test_a_final_answer_instead_of_100(void **state) {
    (void)state;
    static const char *const answers[] = {NET_413, "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
                                          NET_200, NET_100 NET_413};
    for (size_t a = 0; a < COUNT_OF(answers); a++)
        for (int kind = 0; kind < 3; kind++) {
            expecting(answers[a], true);
            ask_of_kind(kind);
            get(A "/b");
            run();
            assert_outcome(0, a == 2 ? SPARP_OUTCOME_SUCCESS : SPARP_OUTCOME_HARD_FAIL);
            assert_near(seen.at[0], 0.2, 0.001);
            assert_true(seen.results[0].bytes_out < 300);
            assert_int_equal(source.calls, 0);
            assert_int_equal(net.connects, 2);
            assert_outcome(1, SPARP_OUTCOME_SUCCESS);
            assert_int_equal(seen.results[0].attempts, 1);
        }
}

/* 503 instead of 100 is a soft fail like any other: tried again, and asked again. */
static void test_a_soft_fail_instead_of_100(void **state) {
    (void)state;
    expecting(NET_503, true);
    ask_of_kind(0);
    options.max_retries_by_soft_fail = 1;
    run();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);
    assert_int_equal(num_asked, 2);
    assert_string_equal(seen.bodies[0], "busy");
}

#define NET_417 "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"

static void test_417_is_asked_again_without_expect(void **state) {
    (void)state;
    for (int max_redirects = SPARP_NONE; max_redirects <= 1; max_redirects++)
        for (int kind = 0; kind < 3; kind++) {
            expecting(NET_417, true);
            options.max_redirects = max_redirects;
            ask_of_kind(kind);
            sparp_stats s = run();
            assert_outcome(0, SPARP_OUTCOME_SUCCESS);
            assert_int_equal(num_asked, 1);
            assert_int_equal(net.num_requests, 2);
            assert_null(strstr(first_heads[0], "Expect"));      /* the first is not recorded */
            assert_near(seen.at[0], 0.21, 0.002);
            assert_int_equal(seen.results[0].attempts, 1);
            assert_int_equal(seen.results[0].redirects, 0);
            assert_int_equal(s.redirects, 0);
        }
}

/* A second 417 has another reason: it is the answer. So is one to who did not ask. */
static void test_417_again_is_the_answer(void **state) {
    (void)state;
    expecting(NET_417, true);
    num_requests = 0;
    net_answer("/c", 0.01, NET_417);
    sparp_request *r = ask("POST", A "/c");
    r->body = pattern;
    r->body_size = MIB;
    ask("POST", A "/c");
    run();
    assert_outcome(0, SPARP_OUTCOME_HARD_FAIL);
    assert_int_equal(seen.results[0].status, 417);
    assert_int_equal(net_count("/c"), 3);
    assert_outcome(1, SPARP_OUTCOME_HARD_FAIL);
}

/* Nothing has been done with it yet: a POST may be sent again after 417, whatever happens. */
static void test_417_does_not_mean_applied(void **state) {
    (void)state;
    expecting(NET_417, true);
    ask_of_kind(0);
    net_fail(NET_CONNECT, 2, ECONNREFUSED);
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(seen.results[0].transport_retries, 1);
    expecting(NET_417, true);
    ask_of_kind(0);
    options.max_retries_by_transport = SPARP_NONE;
    net_fail(NET_CONNECT, 2, ECONNREFUSED);
    run();
    assert_outcome(0, SPARP_OUTCOME_TRANSPORT_FAILED);
    assert_false(seen.results[0].maybe_applied);
}

/* Asked at every hop, and with every attempt. */
static void test_a_307_asks_again_at_its_goal(void **state) {
    (void)state;
    expecting(NET_100, false);
    num_requests = 0;
    net_answer("/r", 0.01, "HTTP/1.1 307 There\r\nLocation: " B "/a\r\nContent-Length: 0\r\n\r\n");
    stream("PUT", A "/r", MIB, true);
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(num_asked, 2);
    assert_int_equal(source.beginnings, 2);
    assert_int_equal(wire_body_size(), MIB);
    assert_memory_equal(wire_body(), pattern, MIB);
    assert_near(net_now(), 0.42, 0.002);
}

/* --- memory, and everything at once ---------------------------------------------------------- */

static void script_streams(void) {
    net_rule *rule = answer_with("/a", CHUNKED, 5000, 1000);
    rule->piece = 700;
    rule->gap_s = 0.001;
    net_answer("/r", 0.01, "HTTP/1.1 307 There\r\nLocation: " B "/a\r\nContent-Length: 0\r\n\r\n");
    stream("PUT", A "/r", 3000, false);
    requests[0].headers = &no_expect;
    requests[0].num_headers = 1;
    source.later_every = 3;
    sink.pause_every = 2;
    options.on_body = take;
    options.max_at_once = 1;
    options.timeout_s = 1;
    options.max_retries_by_timeout = 1;
}

static void test_each_allocation_of_a_stream_fails(void **state) {
    (void)state;
    bool reached = true;
    for (size_t n = 0; reached; n++) {          /* 0: none */
        char label[60];
        again();
        script_streams();
        snprintf(label, sizeof label, "allocation %lu", (unsigned long)n);
        net.label = label;
        seen.memory.fail_at = n;
        sparp *one = seen_open();
        for (int i = 0; one != NULL && sparp_step(one, 5); i++) {
            const sparp_result *r;
            if (sink.asleep || source.asleep)
                sparp_wake(one);
            sink.asleep = source.asleep = false;
            while ((r = sparp_ready(one)) != NULL)
                seen_keep(r);
            CHECK(i < 3000, "%s: hangs", label);
        }
        if (one != NULL) {
            sparp_stats s = sparp_get_stats(one);
            seen_check_end(&s);
        }
        sparp_close(one);
        seen_check_clean();
        if (n == 0)
            assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        reached = seen.memory.calls >= n;
        assert_true(n < 1000);
    }
}

/* --- bodies that are shown where they were received ----------------------------------------- */

#define RECEIVED_AT_ONCE (256 * KIB)
#define SCRATCHES 8

static struct whole {
    bool   lent;
    size_t size;
    char   body[400 * KIB];
} whole;

static bool is_lent(const sparp *run, const sparp_result *r) {
    for (size_t i = 0; i < COUNT_OF(run->engine.net.scratches); i++)
        if ((uintptr_t)r->body - (uintptr_t)run->engine.net.scratches[i].data < RECEIVED_AT_ONCE)
            return true;
    return false;
}

static void see_whole(sparp *run, const sparp_result *r) {
    whole.lent = is_lent(run, r);
    whole.size = r->body_size;
    assert_true(r->body_size < sizeof whole.body);
    memcpy(whole.body, r->body, r->body_size);
}

static sparp_verdict want_body(const sparp_result *response, void *user_data) {
    (void)user_data;
    if (response->status == 503)
        return SPARP_SOFT_FAIL;
    return response->body_complete ? SPARP_SUCCESS : SPARP_NEED_BODY;
}

/* "HTTP/1.1 200 OK", its length, and a body such that all of it is `total` bytes. */
static size_t put_response(char *out, size_t total) {
    size_t body = total - strlen("HTTP/1.1 200 OK\r\nContent-Length: 000000\r\n\r\n");
    int head = sprintf(out, "HTTP/1.1 200 OK\r\nContent-Length: %06lu\r\n\r\n",
                       (unsigned long)body);
    memcpy(out + head, pattern, body);
    return body;
}

static const struct {
    size_t total, piece;                /* bytes of the response; that come at a time */
    int    more;                        /* stray bytes behind it */
    bool   inspected, truncated, lent;
} wholes[] = {
    {100, 0, 0, false, false, false},                   /* a small one is not worth it */
    {16384, 0, 0, false, false, false},
    {20000, 0, 0, false, false, true},
    {RECEIVED_AT_ONCE - 1, 0, 0, false, false, true},
    {RECEIVED_AT_ONCE, 0, 0, false, false, false},      /* no room for the NUL */
    {RECEIVED_AT_ONCE + 1, 0, 0, false, false, false},
    {RECEIVED_AT_ONCE + 5000, 0, 0, false, false, false},
    {5000, 4999, 0, false, false, false},
    {17000, 100, 0, false, false, true},
    {17000, 16999, 0, false, false, true},
    {100000, 60000, 0, false, false, true},
    {100000, 3000, 0, false, false, true},
    {100000, 40, 0, false, false, true},
    {RECEIVED_AT_ONCE - 1, 100000, 0, false, false, true},
    {RECEIVED_AT_ONCE, 100000, 0, false, false, false},
    {RECEIVED_AT_ONCE + 5000, 100000, 0, false, false, false},
    {60000, 50000, 7, false, false, true},              /* they are not received with it */
    {60000, 50000, 0, true, false, false},
    {60000, 50000, 0, false, true, false},
    {20000, 0, 7, false, false, false},                 /* the NUL would be in their place */
    {20000, 0, 0, true, false, false},                  /* it might be tried again */
    {20000, 0, 0, false, true, false},
};

static void test_a_whole_body_is_not_copied(void **state) {
    (void)state;
    static char response[300 * KIB];
    for (size_t i = 0; i < COUNT_OF(wholes); i++)
        for (int soft = 0; soft < 2; soft++) {
            again();
            memset(&whole, 0, sizeof whole);
            size_t body = put_response(response, wholes[i].total);
            if (soft > 0)               /* what came before leaves nothing behind */
                net_answer("/a", 0.01, NET_503);
            net_rule *rule = net_answer_bytes("/a", 0.01, response,
                                              wholes[i].total + (size_t)wholes[i].more);
            rule->piece = wholes[i].piece;
            rule->gap_s = 0.01;
            memset(response + wholes[i].total, 'x', (size_t)wholes[i].more);
            options.inspect = wholes[i].inspected ? want_body : NULL;
            options.truncate_body = wholes[i].truncated;
            options.max_body_bytes = wholes[i].truncated ? 100 : 0;
            seen.on_result = see_whole;
            get(A "/a");
            run();
            body = wholes[i].truncated ? 100 : body;
            CHECK(seen.results[0].outcome == SPARP_OUTCOME_SUCCESS && whole.lent == wholes[i].lent
                  && whole.size == body, "row %lu: %s, %lu bytes, %s", (unsigned long)i,
                  details[0], (unsigned long)whole.size, whole.lent ? "lent" : "not");
            assert_memory_equal(whole.body, pattern, body);
        }
}

static size_t num_lent;

static void see_large(sparp *run, const sparp_result *r) {
    num_lent += is_lent(run, r);
    if (r->body_size > 2)
        assert_memory_equal(r->body, pattern, r->body_size);
    assert_int_equal(r->body[r->body_size], '\0');
}

/* More at once than there are scratches: the others are copied. */
static void test_large_bodies_in_turns(void **state) {
    (void)state;
    static char response[100000];
    size_t body = put_response(response, sizeof response);
    net_rule *rule = net_answer_bytes("/a", 0.01, response, sizeof response);
    rule->piece = 30000;
    rule->gap_s = 0.01;
    seen.on_result = see_large;
    num_lent = 0;
    for (int i = 0; i < 12; i++)
        get(A "/a");
    assert_int_equal(run().success, 12);
    assert_int_equal(num_lent, SCRATCHES - 1);
    for (int i = 0; i < 12; i++)
        assert_int_equal(seen.results[i].body_size, body);
}

/* What came of it is in the result, as of any other; and the scratch is free for the next. */
static void test_a_large_body_that_breaks_off(void **state) {
    (void)state;
    static char response[100000];
    size_t body = put_response(response, sizeof response);
    static const net_then ends[] = {NET_FIN, NET_RST, NET_KEEP};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        again();
        for (int k = 0; k < 2; k++) {
            net_rule *rule = net_answer_bytes(k == 0 ? "/cut" : "/a", 0.01, response,
                                              k == 0 ? 60000 : sizeof response);
            rule->piece = 25000;
            rule->gap_s = 0.01;
            rule->then = k == 0 ? ends[i] : NET_KEEP;
        }
        options.timeout_s = 1;
        options.max_at_once = 1;
        seen.on_result = see_large;
        num_lent = 0;
        for (int k = 0; k < 6; k++) {
            get(A "/cut");
            get(A "/a");
        }
        run();
        assert_int_equal(num_lent, 6);
        for (int k = 0; k < 12; k++) {
            const sparp_result *r = &seen.results[k];
            bool cut = k % 2 == 0;
            assert_int_equal(r->body_size, cut ? body - 40000 : body);
            assert_int_equal(r->body_complete, !cut);
            assert_int_equal(r->error, !cut ? SPARP_E_OK : ends[i] == NET_KEEP ? SPARP_E_TIMEOUT
                                       : ends[i] == NET_RST ? SPARP_E_RESET : SPARP_E_TRUNCATED);
        }
    }
}

/* Cut by a cancel or a stop from another one's callback, or by the end of the run. */
static void test_a_large_body_that_is_cut(void **state) {
    (void)state;
    static char response[100000];
    put_response(response, sizeof response);
    for (int how = 0; how < 3; how++) {
        again();
        net_rule *rule = net_answer_bytes("/a", 0.01, response, sizeof response);
        rule->piece = 25000;
        rule->gap_s = 0.01;
        net_answer("/b", 0.025, NET_200);
        seen.on_result = see_large;
        get(A "/a");
        get(A "/b");
        seen_fill();
        sparp *one = sparp_open(&options, NULL);
        while (seen.count == 0)
            sparp_step(one, -1);
        if (how == 0)
            sparp_cancel(one, 0);
        else if (how == 1)
            sparp_abort(one);
        while (how < 2 && sparp_step(one, -1))
            continue;
        if (how < 2) {
            assert_int_equal(seen.results[0].outcome, SPARP_OUTCOME_CANCELLED);
            assert_true(seen.results[0].body_size > 16384);
        }
        sparp_close(one);
        seen_check_clean();
    }
}

/* Without memory for another scratch it is copied, as long as there is memory for that. */
static void test_no_memory_for_another_scratch(void **state) {
    (void)state;
    static char response[100000];
    size_t body = put_response(response, sizeof response);
    bool reached = true;
    for (size_t n = 1; reached; n++) {
        again();
        net_rule *rule = net_answer_bytes("/a", 0.01, response, sizeof response);
        rule->piece = 50000;
        rule->gap_s = 0.01;
        seen.on_result = see_large;
        get(A "/a");
        seen_fill();
        seen.memory.fail_at = n;
        sparp *one = sparp_open(&options, NULL);
        while (one != NULL && sparp_step(one, -1))
            continue;
        if (seen.count > 0 && seen.results[0].outcome == SPARP_OUTCOME_SUCCESS)
            assert_int_equal(seen.results[0].body_size, body);
        sparp_close(one);
        reached = seen.memory.calls >= n;
        seen.memory.fail_at = 0;
        seen_check_clean();
    }
}

/* One that is kept until the run ends has to be. */
static void test_a_body_that_is_kept_is_copied(void **state) {
    (void)state;
    static char response[2][6000];
    size_t sizes[2];
    for (size_t i = 0; i < 2; i++) {
        sizes[i] = put_response(response[i], 5000 + i);
        net_answer_bytes(i == 0 ? "/a" : "/b", 0.01 + 0.01 * (double)i, response[i], 5000 + i);
        get(i == 0 ? A "/a" : A "/b");
    }
    seen_fill();
    sparp_results results = sparp_run_all(&options);
    assert_int_equal(results.count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(results.items[i].body_size, sizes[i]);
        assert_memory_equal(results.items[i].body, pattern, sizes[i]);
        assert_int_equal(results.items[i].body[sizes[i]], '\0');
    }
    sparp_results_free(&results);
    seen_check_clean();
}

int main(void) {
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (char)('!' + (i * 7 + i / 997) % 90);
    seen_prepare = prepare;
    const struct CMUnitTest tests[] = {
        SEEN_TEST(test_a_whole_body_is_not_copied),
        SEEN_TEST(test_large_bodies_in_turns),
        SEEN_TEST(test_a_large_body_that_breaks_off),
        SEEN_TEST(test_a_large_body_that_is_cut),
        SEEN_TEST(test_no_memory_for_another_scratch),
        SEEN_TEST(test_a_body_that_is_kept_is_copied),
        SEEN_TEST(test_the_body_comes_in_order_and_is_not_kept),
        SEEN_TEST(test_no_body_no_call),
        SEEN_TEST(test_what_is_tried_again_is_not_told),
        SEEN_TEST(test_a_retry_begins_at_0_again),
        SEEN_TEST(test_need_body_with_on_body),
        SEEN_TEST(test_pauses_lose_nothing),
        SEEN_TEST(test_a_pause_at_the_end_holds_the_end),
        SEEN_TEST(test_a_paused_connection_is_used_again),
        SEEN_TEST(test_a_wake_for_nothing_does_nothing),
        SEEN_TEST(test_a_wake_from_inside_counts),
        SEEN_TEST(test_a_paused_body_whose_peer_has_gone),
        SEEN_TEST(test_clocks_while_it_pauses),
        SEEN_TEST(test_a_paused_body_can_be_cut),
        SEEN_TEST(test_others_go_on_while_one_pauses),
        SEEN_TEST(test_enough_is_a_truncated_response),
        SEEN_TEST(test_a_failed_sink_is_ours),
        SEEN_TEST(test_caps_hold_for_on_body_too),
        SEEN_TEST(test_exactly_as_much_as_allowed),
        SEEN_TEST(test_memory_does_not_grow_with_the_body),
        SEEN_TEST(test_a_sized_body_is_read_and_sent),
        SEEN_TEST(test_post_is_the_method_of_a_read_body),
        SEEN_TEST(test_an_unknown_size_is_sent_in_chunks),
        SEEN_TEST(test_later_waits_for_a_wake),
        SEEN_TEST(test_later_at_once_and_for_ever),
        SEEN_TEST(test_a_wake_after_the_end_of_a_pause),
        SEEN_TEST(test_a_reader_that_fails),
        SEEN_TEST(test_no_more_than_was_said),
        SEEN_TEST(test_the_body_is_read_again_from_the_start),
        SEEN_TEST(test_a_303_drops_the_reader),
        SEEN_TEST(test_a_broken_upload_follows_the_rules),
        SEEN_TEST(test_bad_readers_are_refused),
        SEEN_TEST(test_an_early_answer_is_the_answer),
        SEEN_TEST(test_100_lets_the_body_come),
        SEEN_TEST(test_another_1xx_is_no_100),
        SEEN_TEST(test_without_a_100_it_comes_after_a_second),
        SEEN_TEST(test_the_users_own_expect),
        SEEN_TEST(test_small_bodies_do_not_ask),
        SEEN_TEST(test_a_final_answer_instead_of_100),
        SEEN_TEST(test_a_soft_fail_instead_of_100),
        SEEN_TEST(test_417_is_asked_again_without_expect),
        SEEN_TEST(test_417_again_is_the_answer),
        SEEN_TEST(test_417_does_not_mean_applied),
        SEEN_TEST(test_a_307_asks_again_at_its_goal),
        SEEN_TEST(test_each_allocation_of_a_stream_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

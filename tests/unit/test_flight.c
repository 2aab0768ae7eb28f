/* The engine alone: what one attempt brings, whichever way it goes; without a scheduler, over the
   network of ../fakenet.h.

       open_engine();                   with the options of the test
       sparp__task *t = fly(A "/x");    a task made by hand, and its attempt begun
       until_ended(1);                  turn after turn
       assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
       close_engine();                  nothing is left: no block, no descriptor

   What has ended is in the engine's list `ended`, and stays the test's until close_engine(). */
#define NET_FDS 64
#define NET_REQUEST_SIZE (1 << 17)
#define NET_IN_SIZE (1 << 19)
#include "../fakenet.h"
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#define A "http://10.0.0.1"
#define B "http://10.0.0.2"
#define NEVER INT64_MAX
#define SECOND INT64_C(1000000000)
#define OWNER(type, member, ptr) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
#define MAX 64                          /* tasks of one test */

/* --- the world -------------------------------------------------------------------------------- */

static sparp__engine engine;
static sparp__env env;
static sparp__pace pace;
static sparp__meter meter, other_meter;        /* of writes: of all origins, if not said else */
static sparp_options options;
static test_memory memory;
static sparp__task *tasks[MAX];
static size_t num_tasks, num_ended;
static char large[1 << 20];

static bool try_to_open(void) {
    sparp__fault fault;
    options.allocator.func = test_memory_func;
    options.allocator.user_data = &memory;
    CHECK(*sparp_check_options(&options) == '\0', "%s", sparp_check_options(&options));
    sparp__options_fill(&options);
    memset(&engine, 0, sizeof engine);
    memset(&env, 0, sizeof env);
    env.allocator = options.allocator;
    env.random = 1;
    sparp__meter_init(&pace.all, options.max_per_second, options.burst, 0, 0);
    return sparp__engine_open(&engine, &env, &options, &pace, &fault);
}

static void open_engine(void) {
    assert_true(try_to_open());
}

/* Those in flight included: they are nobody's but ours. */
static void close_engine(void) {
    sparp__engine_close(&engine);
    for (size_t i = 0; i < num_tasks; i++) {
        CHECK(tasks[i]->fly.conn == NULL && tasks[i]->fly.pool == NULL, "%s: task %lu", net.label,
              (unsigned long)i);
        sparp__task_free(&env, tasks[i]);
    }
    num_tasks = 0;
    net_end();
    CHECK(test_memory_clean(&memory), "%s: %lu blocks left", net.label,
          (unsigned long)memory.blocks);
}

static void again(void) {
    net_begin();
    memset(&memory, 0, sizeof memory);
    memset(&pace, 0, sizeof pace);
    memset(&meter, 0, sizeof meter);
    memset(&other_meter, 0, sizeof other_meter);
    memset(&options, 0, sizeof options);
    num_tasks = num_ended = 0;
}

static int setup(void **state) {
    test_setup(state);
    again();
    return 0;
}

#define FLIGHT_TEST(function) \
    cmocka_unit_test_setup_teardown(function, setup, test_teardown)

/* --- tasks ------------------------------------------------------------------------------------ */

/* NULL: no memory to make one. */
static sparp__task *new_task(const sparp_request *in) {
    sparp__fault fault;
    sparp__request_memo memo;
    sparp__task *t = (sparp__task *)sparp__env_zalloc(&env, sizeof *t);
    if (t == NULL)
        return NULL;
    memset(&memo, 0, sizeof memo);
    assert_true(num_tasks < MAX);
    bool built = sparp__request_build(&env, &t->request, in, &options, &memo, &fault);
    sparp__buf_free(&env, &memo.lines);
    if (!built) {
        CHECK(fault.error == SPARP_E_OUT_OF_MEMORY, "%s", fault.detail);
        sparp__task_free(&env, t);
        return NULL;
    }
    t->index = num_tasks;
    t->user_data = in->user_data;
    t->patience = t->deadline = NEVER;
    t->fly.timeout = options.timeout_s > 0 ? sparp__time_from_s(options.timeout_s) : NEVER;
    t->fly.write = &meter;
    t->state = SPARP__TASK_FLYING;
    return tasks[num_tasks++] = t;
}

static sparp__task *begin(sparp__task *t) {
    sparp__task_begin_attempt(t, engine.now);
    sparp__engine_start(&engine, t);
    return t;
}

static sparp__task *launch(const sparp_request *in) {
    sparp__task *t = new_task(in);
    assert_non_null(t);
    return begin(t);
}

static sparp__task *fly_as(const char *method, const char *url) {
    sparp_request in;
    memset(&in, 0, sizeof in);
    in.method = method;
    in.url = url;
    return launch(&in);
}

static sparp__task *fly(const char *url) {
    return fly_as("GET", url);
}

/* Its next hop, as the scheduler would let it go at once. */
static void go_on(sparp__task *t) {
    assert_int_equal(t->fly.end, SPARP__END_HOP);
    if (t->fly.answer != NULL)
        sparp__answers_put(&engine.env, &engine.spares.answers, t->fly.answer);
    t->fly.answer = NULL;
    sparp__task_begin_hop(t);
    sparp__engine_start(&engine, t);
}

/* --- turns ------------------------------------------------------------------------------------ */

static bool try_to_turn(int64_t until) {
    int64_t due = sparp__min(sparp__engine_next_due(&engine), until);
    bool works = sparp__engine_look(&engine, sparp__time_wait_ms(due, test_now_ns));
    while (sparp__engine_release(&engine))
        continue;
    while (sparp__engine_step(&engine))
        continue;
    return works;
}

static void turn(void) {
    assert_true(try_to_turn(NEVER));
}

/* Until that many have ended that nobody has asked for; net_now() is then the time. */
static void until_ended(size_t count) {
    while (engine.ended.count < count)
        turn();
}

/* Until that many seconds after the beginning. */
static void until(double seconds) {
    int64_t at = NET_BEGIN + NET_NS(seconds);
    do
        assert_true(try_to_turn(at));
    while (test_now_ns < at);
    assert_true(try_to_turn(at));       /* what is due at that very moment */
}

/* The first that has ended; NULL: none. */
static sparp__task *take_ended(void) {
    sparp__link *link = sparp__list_pop_front(&engine.ended);
    if (link == NULL)
        return NULL;
    sparp__task *t = OWNER(sparp__task, here, link);
    assert_true(t->fly.conn == NULL && t->fly.pool == NULL && t->fly.held_at == 0);
    num_ended++;
    return t;
}

/* It is the first that has ended, in that way. */
static void assert_end(sparp__task *t, sparp__end end, sparp_error error) {
    const sparp__task *first = take_ended();
    CHECK(first == t, "%s: another one", net.label);
    CHECK(t->fly.end == end && sparp__task_error(t) == error, "%s: end %d, %s: %s", net.label,
          (int)t->fly.end, sparp_error_name(sparp__task_error(t)),
          t->fault != NULL ? t->fault->detail : "");
}

static sparp_result result_of(const sparp__task *t) {
    sparp_result r;
    sparp__task_result(t, engine.now, &r);
    return r;
}

/* Its phases fill the time it took, and each has some or none. */
static void check_times(const sparp__task *t) {
    sparp_result r = result_of(t);
    int64_t sum = 0;
    for (int i = 0; i < SPARP_PHASE_COUNT; i++) {
        CHECK(r.phase_us[i] >= 0, "%s: %s took %ld us", net.label,
              sparp_phase_name((sparp_phase)i), (long)r.phase_us[i]);
        sum += r.phase_us[i];
    }
    CHECK(sum <= r.elapsed_us && sum >= r.elapsed_us - 2000, "%s: %ld us of %ld", net.label,
          (long)sum, (long)r.elapsed_us);
}

static void assert_near(double seconds, double expected, double tolerance) {
    CHECK(seconds >= expected - tolerance && seconds <= expected + tolerance,
          "%s: %.6f s, expected %.6f", net.label, seconds, expected);
}

static size_t count_dials(void) {
    size_t n = 0;
    for (sparp__dial *d = engine.spares.dials; d != NULL; d = d->next)
        n++;
    return n;
}

/* --- responses -------------------------------------------------------------------------------- */

static void test_a_response_is_all_that_came(void **state) {
    (void)state;
    net_answer("/a", 0.25, "HTTP/1.1 201 Made\r\nX-One: 1\r\nContent-Length: 5\r\n\r\nhello");
    net_host("10.0.0.1", 0.125, 0);
    open_engine();
    sparp__task *t = fly(A "/a");
    assert_int_equal(engine.ended.count, 0);
    until_ended(1);
    assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
    sparp_result r = result_of(t);
    assert_int_equal(t->fly.verdict, SPARP_SUCCESS);
    assert_int_equal(r.status, 201);
    assert_string_equal(r.body, "hello");
    assert_true(r.body_complete && !r.truncated && !r.reused && !t->fly.unsure);
    assert_string_equal(sparp_find_header(&r, "x-one"), "1");
    assert_int_equal(r.phase_us[SPARP_PHASE_CONNECT], 125000);
    assert_int_equal(r.phase_us[SPARP_PHASE_FIRST_BYTE], 250000);
    assert_int_equal(r.elapsed_us, 375000);
    assert_int_equal(r.bytes_in, 55);
    assert_int_equal(r.bytes_out, net.requests[0].size);
    assert_int_equal(engine.tally.connects, 1);
    assert_int_equal(engine.net.bytes_out, r.bytes_out);
    assert_int_equal(engine.pools.idle.count, 1);
    close_engine();
}

static sparp_verdict said[9];
static size_t num_asked;

static sparp_verdict inspect(const sparp_result *response, void *user_data) {
    (void)user_data;
    assert_true(response->body_complete == (num_asked > 0));
    return said[num_asked++];
}

static void test_who_needs_the_body_is_asked_twice(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    options.inspect = inspect;
    num_asked = 0;
    said[0] = SPARP_NEED_BODY;
    said[1] = SPARP_HARD_FAIL;
    open_engine();
    sparp__task *t = fly(A "/a");
    until_ended(1);
    assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_int_equal(t->fly.verdict, SPARP_HARD_FAIL);
    assert_int_equal(num_asked, 2);
    close_engine();
}

/* Of what will be tried again a small rest is read, for the sake of the connection. */
static void test_the_body_of_a_soft_fail_is_not_kept(void **state) {
    (void)state;
    size_t head = (size_t)sprintf(large, "HTTP/1.1 503 No\r\nContent-Length: 90000\r\n\r\n");
    net_answer("/small", 0.01, NET_503);
    net_answer_bytes("/large", 0.01, large, head + 90000)->piece = 1000;
    net_answer("/last", 0.01, NET_503);
    open_engine();
    sparp__task *small = fly(A "/small"), *big = fly(B "/large");
    sparp__task *last = fly("http://10.0.0.3/last");
    last->retries[SPARP__CAUSE_SOFT_FAIL] = 20;
    until_ended(3);
    for (size_t i = 0; i < 3; i++)
        take_ended();
    assert_int_equal(small->fly.verdict, SPARP_SOFT_FAIL);
    assert_int_equal(result_of(small).body_size, 0);
    assert_int_equal(big->fly.verdict, SPARP_SOFT_FAIL);
    assert_false(result_of(big).body_complete);
    assert_string_equal(result_of(last).body, "busy");
    assert_int_equal(engine.pools.idle.count, 2);       /* the large one's is gone */
    close_engine();
}

/* Nobody wanted the rest: it is what its head said, however it ends; for it 100 ms are enough. */
static void test_a_soft_fail_is_one_without_its_rest(void **state) {
    static const char chunk[] = "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n";
    (void)state;
    memset(large, 'y', sizeof large);
    memcpy(large, chunk, sizeof chunk - 1);
    net_answer_then("/reset", 0.01, "HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\n12", NET_RST);
    net_answer("/mute", 0.01, "HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\n12");
    net_answer_bytes("/much", 0.01, large, 100000);
    open_engine();
    fly(A "/reset");
    fly(B "/mute");
    fly("http://10.0.0.3/much");
    until_ended(3);
    assert_near(net_now(), 0.11, 0.001);
    for (sparp__task *t = take_ended(); t != NULL; t = take_ended()) {
        assert_int_equal(t->fly.end, SPARP__END_RESPONSE);
        assert_int_equal(t->fly.verdict, SPARP_SOFT_FAIL);
        assert_null(t->fault);
    }
    assert_int_equal(engine.pools.idle.count, 0);
    close_engine();
}

static void *parse(const sparp_result *response, void *user_data) {
    (void)user_data;
    assert_true(response->body_complete);
    return (void *)(uintptr_t)(response->body_size + 1);
}

static void test_a_whole_body_is_parsed(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    net_answer("/b", 0.01, NET_503);
    options.parse = parse;
    open_engine();
    sparp__task *a = fly(A "/a"), *b = fly(B "/b");
    b->retries[SPARP__CAUSE_SOFT_FAIL] = 20;    /* that is the scheduler's, when it is the end */
    until_ended(2);
    assert_ptr_equal(a->parsed, (void *)3);
    assert_null(b->parsed);
    assert_true(b->fly.body_complete);
    close_engine();
}

/* --- hops ------------------------------------------------------------------------------------- */

static void test_a_hop_is_made_and_left_to_the_scheduler(void **state) {
    (void)state;
    net_answer("/a", 0.01, "HTTP/1.1 302 There\r\nLocation: " B "/b\r\n"
               "Content-Length: 2\r\n\r\nno");
    net_answer("/b", 0.01, NET_200);
    open_engine();
    sparp__task *t = fly(A "/a");
    until_ended(1);
    assert_end(t, SPARP__END_HOP, SPARP_E_OK);
    assert_true(t->on_hop && !t->fly.unsure);
    assert_int_equal(t->redirects, 1);
    assert_string_equal(sparp__request_url(sparp__task_wire(t)), B "/b");
    until(1);
    assert_int_equal(net.num_requests, 1);
    go_on(t);
    until_ended(1);
    assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_string_equal(result_of(t).final_url, B "/b");
    assert_string_equal(result_of(t).url, A "/a");
    assert_string_equal(result_of(t).body, "ok");
    close_engine();
}

static void test_a_redirect_that_is_not_followed_keeps_its_body(void **state) {
    static const struct {
        const char *location, *why;
    } rows[] = {
        {"ftp://a.test/", "another scheme"},
        {"http://u:p@a.test/", "***"},
        {"/b\r\nLocation: /c", "two different"},
        {"//", "refused"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[200];
        again();
        net.label = rows[i].location;
        snprintf(text, sizeof text, "HTTP/1.1 302 There\r\nLocation: %s\r\nContent-Length: 4\r\n"
                 "\r\nhere", rows[i].location);
        net_answer("/a", 0.01, text);
        open_engine();
        sparp__task *t = fly(A "/a");
        until_ended(1);
        assert_end(t, SPARP__END_FAULT, SPARP_E_REDIRECT_REFUSED);
        CHECK(strstr(t->fault->detail, rows[i].why) != NULL, "%s", t->fault->detail);
        assert_int_equal(t->status, 302);
        assert_string_equal(result_of(t).body, "here");
        assert_true(result_of(t).body_complete && !t->on_hop);
        close_engine();
    }
}

static void test_redirects_are_counted_in_one_attempt(void **state) {
    (void)state;
    net_answer("/a", 0.01, "HTTP/1.1 302 There\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n");
    options.max_redirects = 3;
    open_engine();
    sparp__task *t = fly(A "/a");
    for (int i = 1; i <= 3; i++) {
        until_ended(1);
        assert_end(t, SPARP__END_HOP, SPARP_E_OK);
        assert_int_equal(t->redirects, i);
        go_on(t);
    }
    until_ended(1);
    assert_end(t, SPARP__END_FAULT, SPARP_E_REDIRECT_REFUSED);
    assert_int_equal(net.connects, 1);
    close_engine();
}

/* It goes once more, without asking: that is no redirect. */
static void test_417_leads_to_the_same_without_asking(void **state) {
    sparp_request in;
    (void)state;
    net_answer("/a", 0.01, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
    net.hasty = true;                   /* it answers the head */
    open_engine();
    memset(&in, 0, sizeof in);
    in.url = A "/a";
    in.body = large;
    in.body_size = sizeof large;
    sparp__task *t = launch(&in);
    until_ended(1);
    assert_end(t, SPARP__END_HOP, SPARP_E_OK);
    assert_int_equal(t->redirects, 0);
    assert_true(t->request.expects && !t->hop->expects);
    close_engine();
}

/* What there is of a long body is shown, and is not all of it. */
static void test_a_redirect_with_a_long_body(void **state) {
    (void)state;
    net_answer("/a", 0.01, "HTTP/1.1 302 There\r\nLocation: ftp://a.test/\r\n"
               "Transfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n0\r\n\r\n");
    options.max_body_bytes = 5;
    open_engine();
    sparp__task *t = fly(A "/a");
    until_ended(1);
    assert_end(t, SPARP__END_FAULT, SPARP_E_REDIRECT_REFUSED);
    assert_string_equal(result_of(t).body, "12345");
    assert_false(result_of(t).body_complete);
    close_engine();
}

/* --- faults ----------------------------------------------------------------------------------- */

static void refuse(void) {
    net_host("10.0.0.1", 0.01, ECONNREFUSED);
}

static void be_unreachable(void) {
    net_host("10.0.0.1", 0.01, EHOSTUNREACH);
}

static void never_connect(void) {
    net_host("10.0.0.1", -1, 0);
}

static void be_silent(void) {
    net_answer("/a", 0, NET_SILENCE);
}

static void reset(void) {
    net_answer_then("/a", 0.01, "HTTP/1.1 200 OK\r\n", NET_RST);
}

static void leave(void) {
    net_answer_then("/a", 0.01, NET_SILENCE, NET_FIN);
}

static void leave_early(void) {
    net_answer_then("/a", 0.01, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nearly", NET_FIN);
}

static void talk_nonsense(void) {
    net_answer("/a", 0.01, "SSH-2.0-OpenSSH\r\n\r\n");
}

static void break_a_chunk(void) {
    net_answer("/a", 0.01, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n");
}

static void say_too_much(void) {
    net_answer("/a", 0.01, "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n");
}

static void send_too_much(void) {
    net_answer("/a", 0.01, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               "60\r\n0123456789012345678901234567890123456789012345678901234567890123456789"
               "01234567890123456789012345\r\n"
               "10\r\n0123456789012345\r\n0\r\n\r\n");
}

static void head_too_much(void) {
    net_answer("/a", 0.01, "HTTP/1.1 200 OK\r\nX: 0123456789012345678901234567890123456789012345678"
               "90123456789012345678901234567890123456789\r\n\r\n");
}

static const struct {
    void (*prepare)(void);
    const char *url;
    sparp_error error;
    bool        sent;                   /* bytes of the request had left us */
    int         status;
    sparp_phase phase;
    double      at;
} faults[] = {
    {refuse, A "/a", SPARP_E_REFUSED, false, 0, SPARP_PHASE_CONNECT, 0.01},
    {be_unreachable, A "/a", SPARP_E_UNREACHABLE, false, 0, SPARP_PHASE_CONNECT, 0.01},
    {never_connect, A "/a", SPARP_E_TIMEOUT, false, 0, SPARP_PHASE_CONNECT, 2},
    {be_silent, "http://none.test/a", SPARP_E_DNS_NOT_FOUND, false, 0, SPARP_PHASE_DNS, 0},
    {be_silent, A "/a", SPARP_E_TIMEOUT, true, 0, SPARP_PHASE_FIRST_BYTE, 3},
    {reset, A "/a", SPARP_E_RESET, true, 0, SPARP_PHASE_BODY, 0.01},
    {leave, A "/a", SPARP_E_CLOSED, true, 0, SPARP_PHASE_FIRST_BYTE, 0.01},
    {leave_early, A "/a", SPARP_E_TRUNCATED, true, 200, SPARP_PHASE_BODY, 0.01},
    {talk_nonsense, A "/a", SPARP_E_PROTOCOL, true, 0, SPARP_PHASE_BODY, 0.01},
    {break_a_chunk, A "/a", SPARP_E_PROTOCOL, true, 200, SPARP_PHASE_BODY, 0.01},
    {say_too_much, A "/a", SPARP_E_BODY_TOO_LARGE, false, 200, SPARP_PHASE_BODY, 0.01},
    {send_too_much, A "/a", SPARP_E_BODY_TOO_LARGE, false, 200, SPARP_PHASE_BODY, 0.01},
    {head_too_much, A "/a", SPARP_E_HEAD_TOO_LARGE, false, 0, SPARP_PHASE_BODY, 0.01},
};

/* What is our own affair is not called sent: it is not tried again in any case. */
static void test_each_fault_says_what_it_was_and_where(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        char label[20];
        again();
        snprintf(label, sizeof label, "row %lu", (unsigned long)i);
        net.label = label;
        options.connect_timeout_s = 2;
        options.timeout_s = 3;
        options.max_body_bytes = 100;
        options.max_head_bytes = 100;
        faults[i].prepare();
        open_engine();
        sparp__task *t = fly(faults[i].url);
        until_ended(1);
        assert_end(t, SPARP__END_FAULT, faults[i].error);
        CHECK(t->fly.sent == faults[i].sent, "%s: sent", label);
        CHECK(t->status == faults[i].status, "%s: status %d", label, t->status);
        CHECK(result_of(t).phase == faults[i].phase, "%s: %s", label,
              sparp_phase_name(result_of(t).phase));
        CHECK(*t->fault->detail != '\0', "%s: no detail", label);
        check_times(t);
        assert_near(net_now(), faults[i].at, 0.0015);
        CHECK(engine.pools.idle.count == 0, "%s: an idle connection", label);
        close_engine();
    }
}

static void test_a_proxy_that_fails_is_said_to(void **state) {
    (void)state;
    options.proxy = "http://10.0.0.7:3128";
    net_host("10.0.0.7", 0.01, ECONNREFUSED);
    open_engine();
    sparp__task *t = fly("http://a.test/a");
    until_ended(1);
    assert_end(t, SPARP__END_FAULT, SPARP_E_PROXY_FAILED);
    close_engine();
}

/* The system has no descriptor: the attempt has not begun. The idle connections are given up. */
static void test_starved_is_no_fault(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    open_engine();
    sparp__task *first = fly(A "/a");
    until_ended(1);
    assert_end(first, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_int_equal(engine.pools.idle.count, 1);
    net_fail(NET_SOCKET, net.calls[NET_SOCKET] + 1, EMFILE);
    sparp__task *t = fly(B "/a");
    assert_end(t, SPARP__END_STARVED, SPARP_E_OUT_OF_RESOURCES);
    assert_false(t->fly.sent || t->fly.unsure);
    assert_int_equal(engine.pools.idle.count, 0);
    assert_int_equal(net.open, 0);
    begin(t);
    until_ended(1);
    assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
    close_engine();
}

/* --- cut, in each state ----------------------------------------------------------------------- */

static sparp_flow pause_at_once(const sparp_result *head, uint64_t offset, const void *data,
                                size_t size, void *user_data) {
    (void)head;
    (void)offset;
    (void)data;
    (void)size;
    (void)user_data;
    return SPARP_FLOW_PAUSE;
}

static int64_t later(uint64_t offset, void *out, size_t room, void *user_data) {
    (void)user_data;
    if (offset > 0)
        return SPARP_LATER;
    memset(out, 'x', room < 10 ? room : 10);
    return 10;
}

static sparp__task *put(const char *url, size_t size) {
    sparp_request in;
    memset(&in, 0, sizeof in);
    in.method = "PUT";
    in.url = url;
    in.body = large;
    in.body_size = size;
    return launch(&in);
}

static sparp__dial_state dial_state(const sparp__task *t) {
    return t->fly.conn->dial != NULL ? t->fly.conn->dial->state : SPARP__DIAL_CLOSED;
}

static sparp__task *while_resolving(void) {
    net.lookup_s = 5;
    net_lookup("a.test", "10.0.0.1", 0);
    open_engine();
    sparp__task *t = fly("http://a.test/a");
    until(0.1);
    assert_int_equal(dial_state(t), SPARP__DIAL_RESOLVING);
    return t;
}

static sparp__task *while_racing(void) {
    net_lookup("a.test", "10.0.0.8 10.0.0.9", 0);
    net_host("10.0.0.8", -1, 0);
    net_host("10.0.0.9", -1, 0);
    open_engine();
    sparp__task *t = fly("http://a.test/a");
    until(0.4);
    assert_int_equal(dial_state(t), SPARP__DIAL_CONNECTING);
    assert_int_equal(net.open, 2);
    return t;
}

static sparp__task *while_held(void) {
    options.max_per_second = 0.1;
    net_answer("/b", 0.01, NET_200);
    open_engine();
    fly(B "/b");
    until_ended(1);
    take_ended();
    sparp__task *t = fly(A "/a");
    until(0.1);
    assert_int_equal(t->fly.conn->state, SPARP__CONN_OPEN);
    assert_int_equal(engine.held.count, 1);
    assert_true(t->fly.held_at != 0);
    return t;
}

static sparp__task *while_sending(void) {
    net.send_room = 1000;
    open_engine();
    sparp__task *t = put(A "/a", 5000);
    until(0.1);
    assert_int_equal(t->fly.conn->state, SPARP__CONN_SENDING);
    return t;
}

static sparp__task *while_it_asks(void) {
    net_answer("/a", 0, NET_SILENCE);
    open_engine();
    sparp__task *t = put(A "/a", sizeof large);
    until(0.1);
    assert_true(t->fly.conn->asks);
    return t;
}

static sparp__task *while_unfed(void) {
    sparp_request in;
    open_engine();
    memset(&in, 0, sizeof in);
    in.url = A "/a";
    in.read_body = later;
    sparp__task *t = launch(&in);
    until(1.1);                         /* it has asked first, and got no answer */
    assert_true(t->fly.conn->unfed);
    assert_int_equal(engine.suspended.count, 1);
    return t;
}

static sparp__task *while_reading(void) {
    net_answer("/a", 0, NET_SILENCE);
    open_engine();
    sparp__task *t = fly(A "/a");
    until(0.1);
    assert_int_equal(t->fly.conn->state, SPARP__CONN_READING);
    assert_null(t->fly.answer);
    return t;
}

static sparp__task *while_in_the_head(void) {
    net_answer("/a", 0, "HTTP/1.1 200 OK\r\nX: 1\r\n");
    open_engine();
    sparp__task *t = fly(A "/a");
    until(0.1);
    assert_true(t->fly.answer != NULL && !t->fly.answer->http.has_head);
    return t;
}

static sparp__task *while_in_the_body(void) {
    net_answer("/a", 0, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234");
    open_engine();
    sparp__task *t = fly(A "/a");
    until(0.1);
    assert_int_equal(t->fly.answer->body.size, 4);
    return t;
}

/* The rest of the body goes where its beginning was received. */
static sparp__task *while_lent(void) {
    size_t head = (size_t)sprintf(large, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    memset(large + head, 'y', 100000);
    net_answer_bytes("/a", 0, large, head + 5000);
    open_engine();
    engine.may_lend = true;
    sparp__task *t = fly(A "/a");
    until(0.1);
    assert_non_null(t->fly.answer->lent);
    assert_int_equal(t->fly.conn->rest_size, 95000);
    return t;
}

static sparp__task *while_muted(void) {
    options.on_body = pause_at_once;
    net_answer("/a", 0, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234");
    open_engine();
    sparp__task *t = fly(A "/a");
    until(0.1);
    assert_true(t->fly.conn->muted);
    assert_int_equal(engine.suspended.count, 1);
    return t;
}

static bool has_tls(void) {
    return strcmp(sparp_tls_library(), "none") != 0;
}

static sparp__task *while_tunneling(void) {
    options.proxy = "http://10.0.0.7:3128";
    options.tls.insecure_no_verify = true;      /* no file of the system's is opened */
    net_answer("a.test:443", 0, NET_SILENCE);
    open_engine();
    sparp__task *t = fly("https://a.test/a");
    until(0.1);
    assert_int_equal(dial_state(t), SPARP__DIAL_TUNNELING);
    return t;
}

static sparp__task *while_shaking(void) {
    options.tls.insecure_no_verify = true;
    open_engine();
    sparp__task *t = fly("https://10.0.0.1/a");
    until(0.1);
    assert_int_equal(dial_state(t), SPARP__DIAL_SHAKING);
    return t;
}

static sparp__task *while_following(void) {
    while_shaking();
    sparp__task *t = fly("https://10.0.0.1/a");
    until(0.2);
    assert_int_equal(dial_state(t), SPARP__DIAL_FOLLOWING);
    return t;
}

static const struct {
    const char *name;
    sparp__task *(*reach)(void);
    bool   unsure;                      /* something of it has left us */
    bool   tls;
    size_t kept;                        /* bytes of its body that have come */
} states[] = {
    {"resolving", while_resolving, false, false, 0},
    {"racing", while_racing, false, false, 0},
    {"tunneling", while_tunneling, false, true, 0},
    {"shaking", while_shaking, false, true, 0},
    {"following", while_following, false, true, 0},
    {"held", while_held, false, false, 0},
    {"sending", while_sending, true, false, 0},
    {"asking", while_it_asks, true, false, 0},
    {"unfed", while_unfed, true, false, 0},
    {"reading", while_reading, true, false, 0},
    {"in the head", while_in_the_head, true, false, 0},
    {"in the body", while_in_the_body, true, false, 4},
    {"lent", while_lent, true, false, 5000},
    {"muted", while_muted, true, false, 0},
};

static void test_a_cut_reaches_every_state(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        if (states[i].tls && !has_tls())
            continue;
        again();
        net.label = states[i].name;
        sparp__task *t = states[i].reach();
        int open = net.open;
        sparp__engine_cut(&engine, t);
        assert_end(t, SPARP__END_CUT, SPARP_E_OK);
        CHECK(t->fly.unsure == states[i].unsure, "%s: unsure", net.label);
        CHECK(engine.held.count + engine.suspended.count == 0, "%s: in a list", net.label);
        CHECK(net.open < open || i == 0 || states[i].reach == while_following, "%s: %d open",
              net.label, net.open);
        CHECK(result_of(t).body_size == states[i].kept, "%s: %lu bytes", net.label,
              (unsigned long)result_of(t).body_size);
        options.on_body = NULL;
        net.send_room = 0;
        pace.all.starts.next = 0;
        net_answer("/next", 0.01, NET_200);
        sparp__task *next = fly("http://10.0.0.5/next");        /* it goes on as if nothing was */
        if (options.proxy == NULL) {
            until_ended(1);
            assert_end(next, SPARP__END_RESPONSE, SPARP_E_OK);
        }
        close_engine();
    }
}

/* What was received of it is its own then, whatever is received after that. */
static void test_a_cut_keeps_what_was_lent(void **state) {
    (void)state;
    sparp__task *t = while_lent();
    sparp__engine_cut(&engine, t);
    assert_end(t, SPARP__END_CUT, SPARP_E_OK);
    memset(large + 100, 'z', 100000);
    for (int i = 0; i < 3; i++) {       /* into each scratch that there is */
        char url[30];
        snprintf(url, sizeof url, "http://10.0.0.%d/a", 5 + i);
        fly(url);
        until(0.2 + i);
    }
    sparp_result r = result_of(t);
    assert_int_equal(r.body_size, 5000);
    for (size_t i = 0; i < r.body_size; i++)
        assert_int_equal(r.body[i], 'y');
    close_engine();
}

/* What was seen of a connection is not said to the one that has its place, and its descriptor. */
static void test_an_event_of_a_connection_that_was_cut_is_nobodys(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    net_answer_then("/b", 0.01, NET_SILENCE, NET_RST);
    open_engine();
    sparp__task *first = fly(A "/a"), *second = fly(B "/b");
    while (engine.ended.count == 0) {
        int64_t due = sparp__engine_next_due(&engine);
        assert_true(sparp__engine_look(&engine, sparp__time_wait_ms(due, test_now_ns)));
        while (engine.ended.count == 0 && sparp__engine_step(&engine))
            continue;
    }
    assert_int_equal(engine.num_events - engine.next_event, 1);
    assert_end(first, SPARP__END_RESPONSE, SPARP_E_OK);
    uint32_t tag = second->fly.conn->tag;
    int fd = second->fly.conn->stream.fd;
    sparp__engine_cut(&engine, second);
    assert_end(second, SPARP__END_CUT, SPARP_E_OK);
    net_host("10.0.0.3", 1, 0);
    sparp__task *third = fly("http://10.0.0.3/a");
    assert_int_equal((tag ^ third->fly.conn->tag) & 0xFFFFF, 0);
    assert_int_equal(third->fly.conn->dial->racing[0], fd);
    while (sparp__engine_step(&engine)) /* what was seen of the second is among it */
        continue;
    assert_int_equal(engine.ended.count, 0);
    until_ended(1);
    assert_end(third, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_near(net_now(), 1.02, 0.001);
    close_engine();
}

/* Closed instead: whatever state it is in, the task is its owner's again, and nothing is left. */
static void test_an_engine_may_be_closed_in_every_state(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        if (states[i].tls && !has_tls())
            continue;
        again();
        net.label = states[i].name;
        sparp__task *t = states[i].reach();
        sparp__engine_close(&engine);
        CHECK(t->fly.answer == NULL && t->fly.conn == NULL && t->fly.pool == NULL, "%s",
              net.label);
        close_engine();                 /* closed already is fine */
    }
}

/* --- what waits for its token ----------------------------------------------------------------- */

static void test_those_of_one_origin_are_recalled(void **state) {
    (void)state;
    net_answer("/a", 5, NET_200);
    sparp__meter_init(&meter, 0.1, 1, 0, 0);
    sparp__meter_init(&other_meter, 0.1, 1, 0, 0);
    open_engine();
    sparp__task *a[5];
    for (int i = 0; i < 5; i++) {
        sparp_request in;
        memset(&in, 0, sizeof in);
        in.url = i < 3 ? A "/a" : B "/a";
        a[i] = new_task(&in);
        a[i]->fly.write = i < 3 ? &meter : &other_meter;
        begin(a[i]);
    }
    until(0.5);
    assert_int_equal(net.num_requests, 2);
    assert_int_equal(engine.held.count, 3);
    sparp__engine_recall(&engine, &meter);
    assert_end(a[2], SPARP__END_RECALLED, SPARP_E_OK);  /* the last one first: each goes to the */
    assert_end(a[1], SPARP__END_RECALLED, SPARP_E_OK);  /* head of the queue                    */
    assert_int_equal(engine.ended.count, 0);
    assert_int_equal(engine.held.count, 1);
    assert_false(a[1]->fly.sent || a[1]->fly.unsure);
    assert_int_equal(a[1]->waited[SPARP_WAIT_RATE], SECOND / 2);
    assert_true(a[1]->fly.started_at == NET_BEGIN + SECOND / 2);        /* that was ours */
    until_ended(3);
    assert_end(a[0], SPARP__END_RESPONSE, SPARP_E_OK);
    assert_end(a[3], SPARP__END_RESPONSE, SPARP_E_OK);
    assert_end(a[4], SPARP__END_RESPONSE, SPARP_E_OK);
    assert_near(net_now(), 15, 0.01);
    assert_int_equal(engine.tally.held_us, 500000 * 2 + 10000000);
    close_engine();
}

/* Held longer than its timeout: the clock of an attempt stands still meanwhile. */
static void test_a_token_that_is_waited_for_eats_no_timeout(void **state) {
    (void)state;
    options.timeout_s = 1;
    options.idle_timeout_s = 1;
    options.max_per_second = 0.2;
    net_answer("/a", 0.5, NET_200);
    open_engine();
    sparp__task *first = fly(A "/a"), *second = fly(B "/a");
    until_ended(2);
    assert_end(first, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_end(second, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_near(net_now(), 5.5, 0.01);
    assert_near((double)result_of(second).elapsed_us / 1e6, 0.5, 0.01);
    close_engine();
}

static void test_a_connection_that_goes_bad_while_it_is_held(void **state) {
    (void)state;
    options.max_per_second = 0.2;
    net_answer("/a", 0.01, NET_200);
    open_engine();
    fly(A "/a");
    until_ended(1);
    take_ended();
    sparp__task *t = fly(B "/a");
    until(0.1);
    for (int fd = 0; fd < net.top; fd++)        /* the other side leaves */
        net.fds[fd].fin = net.fds[fd].kind == NET_TCP && strcmp(net.fds[fd].host, "10.0.0.2") == 0;
    until_ended(1);
    assert_end(t, SPARP__END_FAULT, SPARP_E_CLOSED);
    assert_false(t->fly.sent || t->fly.unsure);
    close_engine();
}

/* The same on one that was used before: another one takes its place, and waits for the token. */
static void test_a_connection_that_goes_stale_while_it_is_held(void **state) {
    (void)state;
    options.max_per_second = 0.2;
    net_answer("/a", 0.01, NET_200);
    open_engine();
    fly(A "/a");
    until_ended(1);
    take_ended();
    sparp__task *t = fly_as("POST", A "/a");
    assert_true(t->fly.reused && engine.held.count == 1);
    until(0.1);
    for (int fd = 0; fd < net.top; fd++)
        net.fds[fd].fin = net.fds[fd].kind == NET_TCP;
    until(0.2);
    assert_int_equal(t->replays, 1);
    assert_int_equal(engine.held.count, 1);
    until_ended(1);
    assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_near(net_now(), 5.01, 0.001);
    assert_near((double)t->waited[SPARP_WAIT_RATE] / 1e9, 5 - 0.01, 0.002);
    close_engine();
}

/* --- connections ------------------------------------------------------------------------------ */

static void test_a_connection_is_used_again(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    open_engine();
    for (int i = 0; i < 5; i++) {
        sparp__task *t = fly(A "/a");
        until_ended(1);
        assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
        assert_int_equal(t->fly.reused, i > 0);
    }
    assert_int_equal(net.connects, 1);
    assert_int_equal(engine.tally.reuses, 4);
    close_engine();
}

static void test_an_idle_connection_is_closed_before_the_server_does(void **state) {
    static const struct {
        const char *answer;
        double      for_s;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 15},
        {"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n", 4},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        again();
        net_answer("/a", 0, rows[i].answer);
        open_engine();
        fly(A "/a");
        until_ended(1);
        take_ended();
        if (rows[i].for_s > 0) {
            until(rows[i].for_s - 0.01);
            assert_int_equal(net.open, 1);
        }
        until(rows[i].for_s + 0.01);
        assert_int_equal(net.open, 0);
        close_engine();
    }
}

/* Nor is it used at the very moment in which it would be closed. */
static void test_an_idle_connection_that_is_due_is_not_used(void **state) {
    (void)state;
    net_answer("/a", 0, NET_200);
    open_engine();
    fly(A "/a");
    until_ended(1);
    take_ended();
    until(10);
    test_now_ns = NET_BEGIN + 15 * SECOND;
    assert_true(sparp__engine_look(&engine, 0));
    sparp__task *t = fly(A "/a");
    assert_false(t->fly.reused);
    until_ended(1);
    assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
    close_engine();
}

static void test_a_connection_that_went_bad_while_idle_is_not_used(void **state) {
    (void)state;
    net_answer_then("/a", 0.01, NET_200, NET_FIN)->then_s = 1;
    open_engine();
    fly(A "/a");
    until_ended(1);
    take_ended();
    until(1.5);
    assert_int_equal(engine.pools.idle.count, 0);
    sparp__task *t = fly(A "/a");
    until_ended(1);
    assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_int_equal(t->replays, 0);
    assert_int_equal(net.connects, 2);
    close_engine();
}

/* The server left when it saw the request: once more at once, if that is safe. */
static void test_a_stale_connection_is_replaced_once(void **state) {
    static const struct {
        const char *method;
        bool        again;
    } rows[] = {{"GET", true}, {"POST", false}, {"PUT", true}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        again();
        net.label = rows[i].method;
        net_answer("/a", 0.01, NET_200);
        net_answer_then("/b", 0.01, NET_SILENCE, NET_FIN);
        net_answer("/b", 0.01, NET_200);
        open_engine();
        fly(A "/a");
        until_ended(1);
        take_ended();
        sparp__task *t = fly_as(rows[i].method, A "/b");
        assert_true(t->fly.reused);
        until_ended(1);
        assert_end(t, rows[i].again ? SPARP__END_RESPONSE : SPARP__END_FAULT,
                   rows[i].again ? SPARP_E_OK : SPARP_E_CLOSED);
        assert_int_equal(t->replays, rows[i].again);
        assert_int_equal(engine.tally.replays, rows[i].again);
        assert_int_equal(t->attempts, 1);
        close_engine();
    }
}

static void test_a_new_connection_is_not_stale(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    net_answer_then("/b", 0.01, NET_SILENCE, NET_FIN);
    open_engine();
    fly(A "/a");
    until_ended(1);
    take_ended();
    sparp__task *t = fly(A "/b");       /* stale, and the one in its place is closed, too */
    until_ended(1);
    assert_end(t, SPARP__END_FAULT, SPARP_E_CLOSED);
    assert_int_equal(t->replays, 1);
    assert_int_equal(net.connects, 2);
    close_engine();
}

/* Never more than it may have: the idle give way to another origin's. */
static void test_idle_connections_give_way(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    options.max_at_once = 2;
    open_engine();
    for (int i = 0; i < 6; i++) {
        char url[30];
        snprintf(url, sizeof url, "http://10.0.0.%d/a", i + 1);
        fly(url);
        until_ended(1);
        take_ended();
        assert_true(net.open <= 2);
    }
    close_engine();
}

/* --- look-ups --------------------------------------------------------------------------------- */

static void test_one_lookup_serves_all_that_wait_for_it(void **state) {
    (void)state;
    net.lookup_s = 0.5;
    net_lookup("a.test", "10.0.0.1", 0);
    net_answer("/a", 0.01, NET_200);
    open_engine();
    sparp__task *t[4];
    for (int i = 0; i < 4; i++)
        t[i] = fly("http://a.test/a");
    until(0.1);
    sparp__engine_cut(&engine, t[1]);   /* one leaves before that */
    assert_end(t[1], SPARP__END_CUT, SPARP_E_OK);
    until_ended(3);
    assert_int_equal(net.lookups, 1);
    for (int i = 0; i < 4; i++)
        if (i != 1)
            assert_end(t[i], SPARP__END_RESPONSE, SPARP_E_OK);
    assert_near(net_now(), 0.51, 0.001);
    close_engine();
}

/* They are told one by one; one that is cut between two of them, as a scheduler may do, is told
   nothing, and those behind it are. */
static void test_a_cut_between_two_that_are_told(void **state) {
    (void)state;
    for (int which = 1; which < 3; which++) {
        again();
        net.lookup_s = 0.5;
        net_lookup("no.test", NULL, EAI_NONAME);
        open_engine();
        sparp__task *t[3];
        for (int i = 0; i < 3; i++)
            t[i] = fly("http://no.test/a");
        while (engine.ended.count == 0) {
            int64_t due = sparp__engine_next_due(&engine);
            assert_true(sparp__engine_look(&engine, sparp__time_wait_ms(due, test_now_ns)));
            while (engine.ended.count == 0 && sparp__engine_step(&engine))
                continue;
        }
        assert_end(t[0], SPARP__END_FAULT, SPARP_E_DNS_NOT_FOUND);
        sparp__engine_cut(&engine, t[which]);
        assert_end(t[which], SPARP__END_CUT, SPARP_E_OK);
        while (sparp__engine_step(&engine))
            continue;
        assert_end(t[3 - which], SPARP__END_FAULT, SPARP_E_DNS_NOT_FOUND);
        assert_false(sparp__engine_step(&engine));
        close_engine();
    }
}

/* Closed between two of them. */
static void test_an_engine_may_be_closed_while_they_are_told(void **state) {
    (void)state;
    net_lookup("no.test", NULL, EAI_NONAME);
    open_engine();
    for (int i = 0; i < 3; i++)
        fly("http://no.test/a");
    while (engine.ended.count == 0) {
        assert_true(sparp__engine_look(&engine, 10));
        while (engine.ended.count == 0 && sparp__engine_step(&engine))
            continue;
    }
    assert_non_null(engine.lookup);
    close_engine();
}

/* Where it is said what a name is, or where to go instead, nobody is asked. */
static void test_a_way_that_is_said_needs_no_lookup(void **state) {
    (void)state;
    for (int how = 0; how < 2; how++) {
        again();
        options.resolve = how == 0 ? "a.test:80:10.0.0.7" : NULL;
        options.connect_to = how == 1 ? "a.test:80:10.0.0.7:81" : NULL;
        net_answer("/a", 0.01, NET_200);
        open_engine();
        sparp__task *t = fly("http://a.test/a");
        until_ended(1);
        assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
        assert_string_equal(net.requests[0].host, "10.0.0.7");
        assert_int_equal(net.lookups, 0);
        close_engine();
    }
}

/* --- bodies ----------------------------------------------------------------------------------- */

/* A small one is copied, which costs less than the care. */
static void test_a_large_body_is_shown_where_it_was_received(void **state) {
    (void)state;
    size_t head = (size_t)sprintf(large, "HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n");
    memset(large + head, 'y', 50000);
    for (int may = 0; may < 2; may++) {
        again();
        net_answer("/small", 0.01, NET_200);
        net_answer_bytes("/large", 0.01, large, head + 50000);
        open_engine();
        engine.may_lend = may == 1;
        sparp__task *t = fly(A "/large");
        until_ended(1);
        assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
        assert_int_equal(t->fly.answer->lent != NULL, may);
        assert_int_equal(result_of(t).body_size, 50000);
        assert_true(result_of(t).body[0] == 'y' && result_of(t).body[49999] == 'y');
        t = fly(A "/small");
        until_ended(1);
        assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
        assert_null(t->fly.answer->lent);
        assert_string_equal(result_of(t).body, "ok");
        close_engine();
    }
}

/* Two large ones at the same time: each is received where its beginning was. */
static void test_large_bodies_are_received_in_their_own_scratches(void **state) {
    static char text[2][60000];
    (void)state;
    open_engine();
    engine.may_lend = true;
    sparp__task *t[2];
    for (int i = 0; i < 2; i++) {
        size_t head = (size_t)sprintf(text[i], "HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n");
        memset(text[i] + head, 'a' + i, 50000);
        net_rule *rule = net_answer_bytes(i == 0 ? "/0" : "/1", 0.01, text[i], head + 50000);
        rule->piece = 7000;
        rule->gap_s = 0.01;
        t[i] = fly(i == 0 ? A "/0" : B "/1");
    }
    until_ended(1);
    assert_end(t[0], SPARP__END_RESPONSE, SPARP_E_OK);
    for (int i = 0; i < 2; i++) {
        if (i == 1) {
            until_ended(1);
            assert_end(t[1], SPARP__END_RESPONSE, SPARP_E_OK);
        }
        sparp_result r = result_of(t[i]);
        assert_int_equal(r.body_size, 50000);
        assert_true(r.body[0] == 'a' + i && r.body[49999] == 'a' + i);
        assert_non_null(t[i]->fly.answer->lent);
    }
    close_engine();
}

static char sunk[1000];
static size_t num_sunk, calls_of_sink;
static sparp_flow sink_says;

static sparp_flow sink(const sparp_result *head, uint64_t offset, const void *data, size_t size,
                       void *user_data) {
    (void)user_data;
    assert_int_equal(offset, num_sunk);
    assert_int_equal(head->status, 200);
    memcpy(sunk + num_sunk, data, size);
    num_sunk += size;
    sunk[num_sunk] = '\0';
    calls_of_sink++;
    return sink_says;
}

static void begin_sink(sparp_flow says) {
    again();
    num_sunk = calls_of_sink = 0;
    sink_says = says;
    options.on_body = sink;
    net_answer("/a", 0.01, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               "3\r\nabc\r\n3\r\ndef\r\n3\r\nghi\r\n0\r\n\r\n");
}

static void news(void) {
    sparp__wake_send_news(&engine.wake);
}

/* After each piece it waits for news, and reads nothing; a wake-up that is none changes nothing. */
static void test_a_paused_body_goes_on_when_there_is_news(void **state) {
    (void)state;
    begin_sink(SPARP_FLOW_PAUSE);
    open_engine();
    sparp__task *t = fly(A "/a");
    t->fly.timeout = NEVER;
    until(1);
    assert_string_equal(sunk, "abc");
    sparp__wake_send(&engine.wake);
    until(100);                         /* nor does idle_timeout_s count meanwhile */
    assert_string_equal(sunk, "abc");
    news();
    until(101);
    assert_string_equal(sunk, "abcdef");
    news();
    news();                             /* once in a turn */
    until(102);
    assert_string_equal(sunk, "abcdefghi");
    assert_int_equal(engine.ended.count, 0);
    news();
    until_ended(1);
    assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_int_equal(result_of(t).body_size, 0);
    assert_true(result_of(t).body_complete);
    assert_int_equal(engine.pools.idle.count, 1);
    close_engine();
}

/* Nothing is heard of it either, until there is news. */
static void test_a_paused_body_whose_connection_is_reset(void **state) {
    (void)state;
    sparp__task *t = while_muted();
    for (int fd = 0; fd < net.top; fd++)
        net.fds[fd].rst = net.fds[fd].kind == NET_TCP;
    until(1);
    assert_int_equal(engine.ended.count, 0);
    news();
    until_ended(1);
    assert_end(t, SPARP__END_FAULT, SPARP_E_RESET);
    close_engine();
}

/* The peer's time begins anew then. */
static void test_a_pause_is_not_the_peers_silence(void **state) {
    (void)state;
    begin_sink(SPARP_FLOW_PAUSE);
    net_rule *rule = net_answer("/b", 0.01, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
                                "123456789");
    rule->piece = 41;                   /* the head, and three bytes */
    rule->gap_s = 60;
    options.idle_timeout_s = 10;
    options.timeout_s = 100;
    open_engine();
    sparp__task *t = fly(A "/b");
    until(55);
    assert_string_equal(sunk, "123");
    sink_says = SPARP_FLOW_ON;
    news();
    until_ended(1);
    assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_string_equal(sunk, "123456789");
    close_engine();
}

static void test_a_body_may_be_enough_or_fail(void **state) {
    (void)state;
    begin_sink(SPARP_FLOW_ENOUGH);
    open_engine();
    sparp__task *t = fly(A "/a");
    until_ended(1);
    assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_true(result_of(t).truncated);
    assert_int_equal(calls_of_sink, 1);
    assert_int_equal(engine.pools.idle.count, 0);
    close_engine();
    begin_sink(SPARP_FLOW_FAILED);
    open_engine();
    t = fly(A "/a");
    until_ended(1);
    assert_end(t, SPARP__END_FAULT, SPARP_E_SINK_FAILED);
    close_engine();
}

static void test_a_body_is_cut_where_it_is_too_long(void **state) {
    (void)state;
    net_answer("/a", 0.01, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n12345678");
    options.max_body_bytes = 5;
    options.truncate_body = true;
    open_engine();
    sparp__task *t = fly(A "/a");
    until_ended(1);
    assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_string_equal(result_of(t).body, "12345");
    assert_true(result_of(t).truncated);
    close_engine();
}

/* --- bodies that are read while they are sent ------------------------------------------------- */

static size_t feed_at;
static const char *feed_script;         /* a: "ab", l: later, f: failed; its end: that was all */
static char received[400];

static int64_t feed(uint64_t offset, void *out, size_t room, void *user_data) {
    (void)user_data;
    assert_true(room >= 2 || feed_script[feed_at] == '\0');
    char what = feed_script[feed_at];
    feed_at += what != '\0';
    if (what == 'a') {
        assert_true(offset % 2 == 0);
        memcpy(out, "ab", 2);
        return 2;
    }
    return what == 'l' ? SPARP_LATER : what == 'f' ? SPARP_NONE : 0;
}

static void note_body(const net_request *request, net_rule *answer) {
    const char *body = strstr(request->text, "\r\n\r\n");
    snprintf(received, sizeof received, "%s", body != NULL ? body + 4 : "");
    answer->bytes = NET_200;
    answer->size = strlen(NET_200);
}

static sparp__task *feed_as(const char *script, uint64_t size) {
    sparp_request in;
    memset(&in, 0, sizeof in);
    net.server = note_body;
    feed_script = script;
    feed_at = 0;
    *received = '\0';
    in.url = A "/a";
    in.read_body = feed;
    in.body_size = size;
    return launch(&in);
}

static void test_a_body_is_read_as_it_is_sent(void **state) {
    (void)state;
    open_engine();
    sparp__task *t = feed_as("aa", 0);
    until_ended(1);
    assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_string_equal(received, "2\r\nab\r\n2\r\nab\r\n0\r\n\r\n");
    t = feed_as("aaa", 6);
    until_ended(1);
    assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_string_equal(received, "ababab");
    close_engine();
}

static void test_a_body_that_comes_later_goes_on_when_there_is_news(void **state) {
    (void)state;
    open_engine();
    sparp__task *t = feed_as("ala", 0);
    until(1);
    assert_int_equal(engine.suspended.count, 1);
    assert_int_equal(feed_at, 2);
    sparp__wake_send(&engine.wake);
    until(20);
    assert_int_equal(feed_at, 2);
    news();
    until_ended(1);
    assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_string_equal(received, "2\r\nab\r\n2\r\nab\r\n0\r\n\r\n");
    close_engine();
}

static void test_a_body_that_cannot_be_read_fails(void **state) {
    static const struct {
        const char *script;
        uint64_t    size;
    } rows[] = {{"f", 0}, {"af", 0}, {"aa", 6}, {"alf", 6}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        again();
        net.label = rows[i].script;
        open_engine();
        sparp__task *t = feed_as(rows[i].script, rows[i].size);
        until(1);
        if (engine.ended.count == 0)
            news();
        until_ended(1);
        assert_end(t, SPARP__END_FAULT, SPARP_E_CALLBACK_FAILED);
        assert_false(t->fly.sent);
        assert_int_equal(net.num_requests, 0);
        close_engine();
    }
}

/* Sent once more on another connection: from its first byte on. */
static void test_a_body_begins_again_in_a_replay(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    open_engine();
    fly(A "/a");
    until_ended(1);
    take_ended();
    net.server = NULL;
    sparp_request in;
    memset(&in, 0, sizeof in);
    net_answer_then("/b", 0.01, NET_SILENCE, NET_FIN);
    net_answer("/b", 0.01, NET_200);
    feed_script = "aaaa";
    feed_at = 0;
    in.method = "PUT";
    in.url = A "/b";
    in.read_body = feed;
    in.body_size = 4;
    sparp__task *t = launch(&in);
    until_ended(1);
    assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_int_equal(t->replays, 1);
    assert_int_equal(feed_at, 4);
    assert_int_equal(t->fly.upload->at, 4);
    close_engine();
}

/* --- what is used again ----------------------------------------------------------------------- */

/* Once warm, an attempt allocates nothing: on a connection used before, and on a new one. */
static void test_once_warm_nothing_is_allocated(void **state) {
    static const char *const answers[] = {
        NET_200, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    };
    (void)state;
    for (size_t how = 0; how < COUNT_OF(answers); how++) {
        sparp_request in;
        size_t calls = 0;
        again();
        net_answer("/a", 0.01, answers[how]);
        net_lookup("b.test", "10.0.0.2", 0);
        open_engine();
        memset(&in, 0, sizeof in);
        for (int i = 0; i < 40; i++) {
            in.url = i % 2 == 0 ? A "/a" : "http://b.test/a";
            new_task(&in);
        }
        for (size_t i = 0; i < 40; i += 4) {
            calls = i == 8 ? memory.calls : calls;
            for (size_t k = i; k < i + 4; k++)
                begin(tasks[k]);
            until_ended(4);
            for (int k = 0; k < 4; k++) {
                sparp__task *t = take_ended();
                assert_int_equal(t->fly.end, SPARP__END_RESPONSE);
                sparp__answers_put(&engine.env, &engine.spares.answers, t->fly.answer);
                t->fly.answer = NULL;
            }
        }
        CHECK(memory.calls == calls, "%lu: %lu more", (unsigned long)how,
              (unsigned long)(memory.calls - calls));
        assert_int_equal(net.connects, how == 0 ? 4 : 40);
        assert_int_equal(count_dials(), 4);
        close_engine();
    }
}

/* --- whatever fails, and whenever ------------------------------------------------------------- */

static const char *const urls[] = {
    A "/plain", "http://a.test/chunked", A "/close", "http://a.test/plain", B "/mute",
    "http://no.test/", "http://10.0.0.9/refused", A "/moved", A "/stale", A "/plain", A "/reset",
    "https://10.0.0.8/", "https://10.0.0.8/", A "/large", A "/upload", "http://b.test/plain",
};

static void script_answers(void) {
    size_t head = (size_t)sprintf(large, "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n");
    net.lookup_s = 0.05;
    net_answer("/plain", 0.02, NET_200);
    net_answer("/chunked", 0.02, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               "4\r\nabcd\r\n3;x=y\r\nefg\r\n0\r\nT: 1\r\n\r\n")->piece = 7;
    net_answer_then("/close", 0.02, "HTTP/1.1 200 OK\r\n\r\nuntil the end", NET_FIN);
    net_answer("/mute", 0, NET_SILENCE);
    net_answer("/moved", 0.02, "HTTP/1.1 302 Moved\r\nLocation: http://a.test/plain\r\n"
               "Content-Length: 5\r\n\r\nmoved");
    net_answer_then("/stale", 0, NET_SILENCE, NET_FIN);
    net_answer("/stale", 0.02, NET_200);
    net_answer_then("/reset", 0.02, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", NET_RST);
    net_answer_bytes("/large", 0.02, large, head + 20000)->piece = 6000;
    net_answer("/upload", 0.02, NET_200);
    net_lookup("a.test", "2001:db8::1 10.0.0.5", 0);
    net_host("2001:db8::1", -1, 0);
    net_host("10.0.0.9", 0.01, ECONNREFUSED);
}

static sparp_flow pause_a_little(const sparp_result *head, uint64_t offset, const void *data,
                                 size_t size, void *user_data) {
    (void)head;
    (void)offset;
    (void)data;
    (void)user_data;
    return size % 2 == 0 ? SPARP_FLOW_PAUSE : SPARP_FLOW_ON;
}

static int64_t feed_a_little(uint64_t offset, void *out, size_t room, void *user_data) {
    int *times = (int *)user_data;
    (void)room;
    if (++*times % 2 == 0)
        return SPARP_LATER;
    memcpy(out, "some", 4);
    return offset < 12 ? 4 : 0;
}

static int feeds;

/* The next one of the scenario. False: there is none any more, or no memory to make it. */
static bool fly_next(size_t *next) {
    sparp_request in;
    while (*next < COUNT_OF(urls)) {
        const char *url = urls[(*next)++];
        if (!has_tls() && strncmp(url, "https", 5) == 0)
            continue;
        memset(&in, 0, sizeof in);
        in.url = url;
        if (strstr(url, "/upload") != NULL) {
            in.read_body = feed_a_little;
            in.body_size = 12;
        }
        in.user_data = &feeds;
        sparp__task *t = new_task(&in);
        if (t != NULL) {
            begin(t);
            return true;
        }
    }
    return false;
}

/* Whose attempt has ended is over, or goes on with its hop, or makes room for the next one. */
static void handle_ended(size_t *next, size_t *flying) {
    sparp__task *t;
    while ((t = take_ended()) != NULL) {
        if (t->fly.end == SPARP__END_HOP && t->redirects < 3) {
            go_on(t);
            continue;
        }
        CHECK(t->fly.end == SPARP__END_RESPONSE || t->fault != NULL, "%s: no reason", net.label);
        if (t->fly.answer != NULL)
            sparp__answers_put(&engine.env, &engine.spares.answers, t->fly.answer);
        t->fly.answer = NULL;
        *flying -= 1;
        *flying += fly_next(next);
    }
}

static void begin_scenario(bool streamed) {
    again();
    script_answers();
    options.timeout_s = options.connect_timeout_s = 0.5;
    options.tls.insecure_no_verify = true;
    options.max_at_once = 5;
    options.on_body = streamed ? pause_a_little : NULL;
    options.resolve = "b.test:80:10.0.0.6";
    feeds = 0;
}

/* Closed after so many turns, or when all have ended. Returns how many turns there were. */
static size_t play(size_t max_turns) {
    size_t next = 0, flying = 0, turns = 0, failed = 0;
    bool opened = try_to_open();
    engine.may_lend = options.on_body == NULL;
    while (opened && flying < 4 && fly_next(&next))
        flying++;
    handle_ended(&next, &flying);
    while (opened && flying > 0 && turns < max_turns && failed < 20) {
        failed += !try_to_turn(NEVER);
        handle_ended(&next, &flying);
        if (engine.suspended.count > 0)
            news();
        turns++;
        CHECK(turns < 10000, "%s: no end", net.label);
    }
    CHECK(flying > 0 || !opened || next == COUNT_OF(urls), "%s: some were forgotten", net.label);
    close_engine();
    return turns;
}

static void test_closed_after_any_turn_nothing_is_left(void **state) {
    (void)state;
    for (int streamed = 0; streamed < 2; streamed++) {
        char label[60];
        begin_scenario(streamed == 1);
        size_t turns = play(SIZE_MAX);
        assert_true(turns > 20 && num_ended >= COUNT_OF(urls) - 2);
        for (size_t k = 0; k < turns; k++) {
            begin_scenario(streamed == 1);
            snprintf(label, sizeof label, "%d, closed after %lu turns", streamed,
                     (unsigned long)k);
            net.label = label;
            play(k);
        }
    }
}

static void test_the_nth_allocation_fails(void **state) {
    (void)state;
    for (int how = 0; how < 4; how++) {
        bool reached = true;
        for (size_t n = 1; reached; n++) {
            char label[60];
            begin_scenario(how % 2 == 1);
            snprintf(label, sizeof label, "%d, allocation %lu", how, (unsigned long)n);
            net.label = label;
            memory.fail_at = n;
            memory.fail_on = how >= 2;
            play(SIZE_MAX);
            reached = memory.calls >= n;
            assert_true(n < 5000);
        }
    }
}

static const struct {
    net_call call;
    int      errors[5];
} calls[] = {
    {NET_SOCKET, {EMFILE, ENOBUFS, EACCES}},
    {NET_CONNECT, {EINTR, EADDRNOTAVAIL, ECONNREFUSED, ENETUNREACH}},
    {NET_SEND, {EINTR, EAGAIN, EPIPE, ENOBUFS, NET_SHORT}},
    {NET_RECV, {EINTR, EAGAIN, ECONNRESET, ENOMEM, NET_SHORT}},
    {NET_CLOSE, {EINTR}},
    {NET_GETSOCKOPT, {ENOBUFS}},
    {NET_SETSOCKOPT, {EINVAL}},
    {NET_FCNTL, {EBADF}},
    {NET_PIPE, {EMFILE}},
    {NET_READ, {EINTR, EIO, NET_SHORT}},
    {NET_WRITE, {EINTR, EAGAIN}},
    {NET_POLL, {EINTR, ENOMEM, EFAULT}},
    {NET_GETADDRINFO, {EAI_AGAIN, EAI_MEMORY}},
    {NET_THREAD, {EAGAIN}},
};

/* A call that always says EINTR would be tried for ever by anybody; so would a poll() that has no
   memory for once. */
static bool makes_sense_for_ever(net_call call, int error) {
    return (error != EINTR || call == NET_CLOSE || call == NET_CONNECT)
        && (error != ENOMEM || call != NET_POLL);
}

/* True if it got as far as that call. */
static bool fail_one(int how, net_call call, int error, size_t n) {
    static char label[80];
    begin_scenario(how % 2 == 1);
    snprintf(label, sizeof label, "%d, call %d, %lu: %d", how, (int)call, (unsigned long)n, error);
    net.label = label;
    net_fail(call, n, error);
    net.fail_on = how >= 2;
    play(SIZE_MAX);
    return net.calls[call] >= n;
}

static void test_the_nth_system_call_fails(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        for (size_t e = 0; e < COUNT_OF(calls[i].errors) && calls[i].errors[e] != 0; e++)
            for (int how = 0; how < 4; how++) {
                int error = calls[i].errors[e];
                if (how >= 2 && !makes_sense_for_ever(calls[i].call, error))
                    continue;
                for (size_t n = 1; fail_one(how, calls[i].call, error, n); n++)
                    assert_true(n < 5000);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLIGHT_TEST(test_a_response_is_all_that_came),
        FLIGHT_TEST(test_who_needs_the_body_is_asked_twice),
        FLIGHT_TEST(test_the_body_of_a_soft_fail_is_not_kept),
        FLIGHT_TEST(test_a_soft_fail_is_one_without_its_rest),
        FLIGHT_TEST(test_a_whole_body_is_parsed),
        FLIGHT_TEST(test_a_hop_is_made_and_left_to_the_scheduler),
        FLIGHT_TEST(test_a_redirect_that_is_not_followed_keeps_its_body),
        FLIGHT_TEST(test_redirects_are_counted_in_one_attempt),
        FLIGHT_TEST(test_417_leads_to_the_same_without_asking),
        FLIGHT_TEST(test_a_redirect_with_a_long_body),
        FLIGHT_TEST(test_each_fault_says_what_it_was_and_where),
        FLIGHT_TEST(test_a_proxy_that_fails_is_said_to),
        FLIGHT_TEST(test_starved_is_no_fault),
        FLIGHT_TEST(test_a_cut_reaches_every_state),
        FLIGHT_TEST(test_a_cut_keeps_what_was_lent),
        FLIGHT_TEST(test_an_event_of_a_connection_that_was_cut_is_nobodys),
        FLIGHT_TEST(test_an_engine_may_be_closed_in_every_state),
        FLIGHT_TEST(test_those_of_one_origin_are_recalled),
        FLIGHT_TEST(test_a_token_that_is_waited_for_eats_no_timeout),
        FLIGHT_TEST(test_a_connection_that_goes_bad_while_it_is_held),
        FLIGHT_TEST(test_a_connection_that_goes_stale_while_it_is_held),
        FLIGHT_TEST(test_a_connection_is_used_again),
        FLIGHT_TEST(test_an_idle_connection_is_closed_before_the_server_does),
        FLIGHT_TEST(test_an_idle_connection_that_is_due_is_not_used),
        FLIGHT_TEST(test_a_connection_that_went_bad_while_idle_is_not_used),
        FLIGHT_TEST(test_a_stale_connection_is_replaced_once),
        FLIGHT_TEST(test_a_new_connection_is_not_stale),
        FLIGHT_TEST(test_idle_connections_give_way),
        FLIGHT_TEST(test_one_lookup_serves_all_that_wait_for_it),
        FLIGHT_TEST(test_a_cut_between_two_that_are_told),
        FLIGHT_TEST(test_an_engine_may_be_closed_while_they_are_told),
        FLIGHT_TEST(test_a_way_that_is_said_needs_no_lookup),
        FLIGHT_TEST(test_a_large_body_is_shown_where_it_was_received),
        FLIGHT_TEST(test_large_bodies_are_received_in_their_own_scratches),
        FLIGHT_TEST(test_a_paused_body_goes_on_when_there_is_news),
        FLIGHT_TEST(test_a_paused_body_whose_connection_is_reset),
        FLIGHT_TEST(test_a_pause_is_not_the_peers_silence),
        FLIGHT_TEST(test_a_body_may_be_enough_or_fail),
        FLIGHT_TEST(test_a_body_is_cut_where_it_is_too_long),
        FLIGHT_TEST(test_a_body_is_read_as_it_is_sent),
        FLIGHT_TEST(test_a_body_that_comes_later_goes_on_when_there_is_news),
        FLIGHT_TEST(test_a_body_that_cannot_be_read_fails),
        FLIGHT_TEST(test_a_body_begins_again_in_a_replay),
        FLIGHT_TEST(test_once_warm_nothing_is_allocated),
        FLIGHT_TEST(test_closed_after_any_turn_nothing_is_left),
        FLIGHT_TEST(test_the_nth_allocation_fails),
        FLIGHT_TEST(test_the_nth_system_call_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

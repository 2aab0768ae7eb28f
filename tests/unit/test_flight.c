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
static sparp__bucket bucket, other_bucket;      /* of writes: of all origins, if not said else */
static sparp_options options;
static test_memory memory;
static sparp__task *tasks[MAX];
static size_t num_tasks, num_ended;

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
    sparp__bucket_init(&pace.all, options.max_per_second, options.burst);
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
    memset(&bucket, 0, sizeof bucket);
    memset(&other_bucket, 0, sizeof other_bucket);
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
    t->fly.write = &bucket;
    t->state = SPARP__TASK_FLYING;
    return tasks[num_tasks++] = t;
}

static sparp__task *begin(sparp__task *t) {
    sparp__task_begin_attempt(t, engine.now);
    sparp__engine_start(&engine, t);
    return t;
}

static sparp__task *send(const sparp_request *in) {
    sparp__task *t = new_task(in);
    assert_non_null(t);
    return begin(t);
}

static sparp__task *fly_as(const char *method, const char *url) {
    sparp_request in;
    memset(&in, 0, sizeof in);
    in.method = method;
    in.url = url;
    return send(&in);
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
    bool works = sparp__engine_look(&engine, sparp__engine_wait_ms(due, test_now_ns));
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
    sparp__task *t = OWNER(sparp__task, fly.link, link);
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
    assert_true(r.body_complete && !r.truncated && !r.reused);
    assert_string_equal(sparp_find_header(&r, "x-one"), "1");
    assert_int_equal(r.phase_us[SPARP_PHASE_CONNECT], 125000);
    assert_int_equal(r.phase_us[SPARP_PHASE_FIRST_BYTE], 250000);
    assert_int_equal(r.elapsed_us, 375000);
    assert_int_equal(r.bytes_in, 55);
    assert_int_equal(r.bytes_out, net.requests[0].size);
    assert_int_equal(engine.tally.connects, 1);
    assert_int_equal(engine.tally.bytes_out, r.bytes_out);
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
    static char large[100000];
    size_t head = (size_t)sprintf(large, "HTTP/1.1 503 No\r\nContent-Length: 90000\r\n\r\n");
    net_answer("/small", 0.01, NET_503);
    net_answer_bytes("/large", 0.01, large, head + 90000)->piece = 1000;
    net_answer("/last", 0.01, NET_503);
    open_engine();
    sparp__task *small = fly(A "/small"), *big = fly(B "/large"), *last = fly("http://10.0.0.3/last");
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
    until_ended(2);
    assert_ptr_equal(a->parsed, (void *)3);
    assert_null(b->parsed);
    close_engine();
}

/* --- hops ------------------------------------------------------------------------------------- */

static void test_a_hop_is_made_and_left_to_the_scheduler(void **state) {
    (void)state;
    net_answer("/a", 0.01, "HTTP/1.1 302 There\r\nLocation: " B "/b\r\nContent-Length: 2\r\n\r\nno");
    net_answer("/b", 0.01, NET_200);
    open_engine();
    sparp__task *t = fly(A "/a");
    until_ended(1);
    assert_end(t, SPARP__END_HOP, SPARP_E_OK);
    assert_true(t->on_hop);
    assert_int_equal(t->redirects, 1);
    assert_string_equal(sparp__request_url(sparp__task_wire(t)), B "/b");
    assert_int_equal(net.num_requests, 1);
    turn_nothing:
    go_on(t);
    until_ended(1);
    assert_end(t, SPARP__END_RESPONSE, SPARP_E_OK);
    assert_string_equal(result_of(t).final_url, B "/b");
    assert_string_equal(result_of(t).url, A "/a");
    close_engine();
}

int main(void) {
    return 0;
}

/* Whatever fails, and whenever: nothing leaks, nothing hangs, every request has one end.

   One scenario goes through every part of the library. In a first run its first allocation
   fails, in the next one the second, and so on until a run passes untouched; then the same with
   every system call and every errno that it may plausibly give, and once more with all later
   calls failing too. With TURNS=yes in the environment each errno comes in one of the ways to run,
   the next errno in the next one, instead of in all. */
#include "../fakenet.h"
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#include "../seen.h"

#define H "http://10.0.0.1"

/* --- the scenario ------------------------------------------------------------------------- */

typedef enum mode { EACH, ALL, PULLED, NUM_MODES } mode;

static const char *const urls[] = {
    H "/plain", "http://a.test/chunked", H "/soft", H "/close", "http://b.test/plain",
    H "/mute", "not a url", "http://no.test/", "http://10.0.0.9/refused", H "/drip", H "/plain",
    H "/reset", H "/soft", "http://a.test/plain", H "/large", H "/stale", H "/moved",
    "http://10.0.0.8/hard", H "/plain", H "/plain",
};

static char large[20000];
static const sparp_field field = {"X-Sweep", "yes"};
static size_t next_url;

static sparp_input next_request(sparp_request *out, void *user_data) {
    (void)user_data;
    if (next_url == COUNT_OF(urls))
        return SPARP_INPUT_END;
    out->url = urls[next_url++];
    out->headers = &field;
    out->num_headers = 1;
    if (next_url % 3 == 0) {
        out->method = "PUT";
        out->body = large;
        out->body_size = 500;
    }
    return SPARP_INPUT_READY;
}

static void script_answers(void) {
    size_t head = (size_t)sprintf(large, "HTTP/1.1 200 OK\r\nContent-Length: 18000\r\n\r\n");
    memset(large + head, 'x', sizeof large - head);
    net_answer("/plain", 0.02, NET_200);
    net_answer("/chunked", 0.02, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               "4\r\nabcd\r\n3;x=y\r\nefg\r\n0\r\nT: 1\r\n\r\n")->piece = 7;
    net_answer("/soft", 0.02, NET_503);
    net_answer("/soft", 0.02, NET_200);
    net_answer_then("/close", 0.02, "HTTP/1.1 200 OK\r\n\r\nuntil the end", NET_FIN);
    net_answer("/mute", 0, NET_SILENCE);
    net_rule *drip = net_answer("/drip", 0.02, NET_200);
    drip->piece = 1;
    drip->gap_s = 0.001;
    net_answer_then("/reset", 0.02, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", NET_RST);
    net_answer_bytes("/large", 0.02, large, head + 18000)->piece = 6000;
    net_answer_then("/stale", 0, NET_SILENCE, NET_FIN);
    net_answer("/stale", 0.02, NET_200);
    net_answer("/moved", 0.02, "HTTP/1.1 302 Moved\r\nLocation: http://a.test/plain\r\n"
               "Content-Length: 5\r\n\r\nmoved");
    net_answer("/hard", 0.02, "HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n");
    net_answer("/hard", 0.02, NET_404);
    net_lookup("a.test", "10.0.0.5", 0);
    net_lookup("b.test", "2001:db8::1 10.0.0.6", 0);
    net_host("2001:db8::1", -1, 0);
    net_host("10.0.0.9", 0.01, ECONNREFUSED);
}

static void begin(sparp_options *o) {
    net_begin();
    seen_begin();
    script_answers();
    next_url = 0;
    net.lookup_s = 0.05;
    memset(o, 0, sizeof *o);
    o->next_request = next_request;
    o->input_buffer_size = 3;
    o->max_at_once = 3;
    o->timeout_s = 0.5;
    o->connect_timeout_s = 0.5;
    o->run_deadline_s = 60;
    o->max_retries_by_soft_fail = o->max_retries_by_timeout = 1;
    o->max_retries_by_transport = 1;
    o->stop_on = SPARP_STOP_ON_HARD_FAIL;
    seen_options(o);
}

/* --- the other scenario: many origins, each with its limits, and each says 429 at first ----- */

#define ORIGINS 70                      /* more than there is room for at the beginning */

static int refused[ORIGINS];
static size_t permits;

static void refuse_at_first(const net_request *request, net_rule *answer) {
    size_t i = (size_t)atoi(strrchr(request->host, '.') + 1);
    answer->bytes = refused[i]++ > 0 ? NET_200
        : "HTTP/1.1 429 Slower\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    answer->size = strlen(answer->bytes);
    answer->delay_s = 0.02;
}

static sparp_input next_origin(sparp_request *out, void *user_data) {
    static char url[40];
    (void)user_data;
    if (next_url == ORIGINS + 20)
        return SPARP_INPUT_END;
    snprintf(url, sizeof url, "http://10.0.1.%lu/a",
             (unsigned long)(next_url < ORIGINS ? next_url : next_url % 3));
    next_url++;
    out->url = url;
    return SPARP_INPUT_READY;
}

static double seventh_waits(const char *url, double cost, void *user_data) {
    (void)url;
    (void)cost;
    (void)user_data;
    return ++permits % 7 == 0 ? 0.005 : 0;
}

static void change_pace(sparp *run, const sparp_result *result) {
    if (result->index == 10)
        sparp_set_pace(run, 9, 800);
    if (result->index == 11)
        sparp_cancel(run, ORIGINS + 19);
}

static void begin_origins(sparp_options *o) {
    begin(o);
    memset(refused, 0, sizeof refused);
    permits = 0;
    net.server = refuse_at_first;
    o->next_request = next_origin;
    o->input_buffer_size = 0;
    o->max_at_once = 8;
    o->max_per_second = 1000;
    o->max_at_once_per_origin = 2;
    o->max_per_second_per_origin = 50;
    o->max_retries_by_soft_fail = 2;
    o->retry_ratio = 0.5;
    o->permit = seventh_waits;
    o->stop_on = 0;
    seen.on_result = change_pace;
}

static void run_all(const sparp_options *o, sparp_stats *stats) {
    sparp_results all = sparp_run_all(o);
    for (size_t i = 0; i < all.count; i++)
        seen_keep(&all.items[i]);
    if (all.count == 0 && all.error == SPARP_E_OUT_OF_MEMORY)
        seen.count = (size_t)-1;        /* there was no memory to list them in */
    *stats = all.stats;
    sparp_results_free(&all);
}

static void run_pulled(const sparp_options *o, sparp_stats *stats) {
    const sparp_result *r;
    sparp *run = sparp_open(o, &seen.error);
    memset(stats, 0, sizeof *stats);
    if (run == NULL)
        return;
    sparp_wake(run);
    while ((r = sparp_next(run)) != NULL) {
        CHECK(r->index == seen.count, "%s: index %lu", net.label, (unsigned long)r->index);
        seen_keep(r);
        if (r->index == 2)
            sparp_cancel(run, 4);
    }
    *stats = sparp_get_stats(run);
    sparp_close(run);
}

static void run_scenario(mode how, sparp_options *o) {
    sparp_stats stats;
    if (how == EACH) {
        seen.error = sparp_run_each(o, &stats);
    } else {
        o->on_result = NULL;
        o->ordered = true;
        (how == ALL ? run_all : run_pulled)(o, &stats);
    }
    if (seen.count != (size_t)-1)
        seen_check_end(&stats);
    CHECK(net_now() < 70, "%s: took %f s", net.label, net_now());
    seen_check_clean();
}

/* --- nothing fails: what the rest is compared with ---------------------------------------- */

static void test_the_scenario_as_it_is(void **state) {
    (void)state;
    for (int how = 0; how < NUM_MODES; how++) {
        sparp_options o;
        begin(&o);
        run_scenario((mode)how, &o);
        assert_true(seen.count >= 17);
        assert_int_equal(seen.results[0].outcome, SPARP_OUTCOME_SUCCESS);
        assert_int_equal(seen.results[2].soft_retries, 1);
        assert_int_equal(seen.results[5].outcome, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
        assert_int_equal(seen.results[14].body_size, 18000);
        assert_int_equal(seen.results[16].redirects, 1);
    }
}

static void test_the_origins_as_they_are(void **state) {
    (void)state;
    for (int how = 0; how < NUM_MODES; how++) {
        sparp_options o;
        begin_origins(&o);
        run_scenario((mode)how, &o);
        assert_int_equal(seen.count, ORIGINS + 20);
        int retries = 0;
        for (size_t i = 0; i < ORIGINS; i++) {
            retries += seen.results[i].soft_retries;
            if (how != PULLED || i != 4)        /* that one is cancelled there */
                assert_int_equal(seen.results[i].outcome, SPARP_OUTCOME_SUCCESS);
        }
        assert_true(retries >= ORIGINS - 1);
    }
}

/* --- memory ------------------------------------------------------------------------------- */

static void fail_allocations(void (*begin_scenario)(sparp_options *o)) {
    char label[80];
    for (int how = 0; how < NUM_MODES; how++)
        for (int on = 0; on < 2; on++) {
            bool reached = true;
            for (size_t n = 1; reached; n++) {
                sparp_options o;
                begin_scenario(&o);
                snprintf(label, sizeof label, "mode %d, allocation %lu%s", how,
                         (unsigned long)n, on ? " and later" : "");
                net.label = label;
                seen.memory.fail_at = n;
                seen.memory.fail_on = on == 1;
                run_scenario((mode)how, &o);
                reached = seen.memory.calls >= n;
                assert_true(n < 5000);
            }
        }
}

static void test_the_nth_allocation_fails(void **state) {
    (void)state;
    fail_allocations(begin);
}

static void test_the_nth_allocation_fails_among_origins(void **state) {
    (void)state;
    fail_allocations(begin_origins);
}

/* --- system calls ------------------------------------------------------------------------- */

static const struct {
    net_call call;
    int      errors[8];
} calls[] = {
    {NET_SOCKET, {EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES, EAFNOSUPPORT}},
    {NET_CONNECT, {EINTR, EADDRNOTAVAIL, ECONNREFUSED, ENETUNREACH, EAGAIN, ETIMEDOUT, EPERM}},
    {NET_SEND, {EINTR, EAGAIN, EPIPE, ECONNRESET, ENOBUFS, ENOMEM, ETIMEDOUT, NET_SHORT}},
    {NET_RECV, {EINTR, EAGAIN, ECONNRESET, ENOMEM, ETIMEDOUT, EHOSTUNREACH, EIO, NET_SHORT}},
    {NET_CLOSE, {EINTR, EIO}},
    {NET_GETSOCKOPT, {ENOBUFS, ENOMEM, EBADF}},
    {NET_SETSOCKOPT, {EINVAL, ENOPROTOOPT}},
    {NET_FCNTL, {EBADF, EINVAL}},
    {NET_PIPE, {EMFILE, ENFILE}},
    {NET_READ, {EINTR, EAGAIN, EIO, NET_SHORT}},
    {NET_WRITE, {EINTR, EAGAIN, EPIPE}},
    {NET_POLL, {EINTR, ENOMEM, EAGAIN}},
    {NET_GETADDRINFO, {EAI_AGAIN, EAI_FAIL, EAI_MEMORY, EAI_SYSTEM, EAI_NONAME}},
    {NET_THREAD, {EAGAIN, ENOMEM}},
    {NET_REALLOC, {ENOMEM}},
};

static const char *const names[] = {
#define NET_X(name) #name,
    NET_CALLS(NET_X)
#undef NET_X
};

/* True if the run got as far as that call. */
static bool fail_one(mode how, net_call call, int error, size_t n, bool on) {
    static char label[80];
    sparp_options o;
    begin(&o);
    snprintf(label, sizeof label, "mode %d, %s %lu%s: %d", (int)how, names[call],
             (unsigned long)n, on ? " and later" : "", error);
    net.label = label;
    if (call == NET_REALLOC)
        o.allocator.func = NULL;
    net_fail(call, n, error);
    net.fail_on = on;
    run_scenario(how, &o);
    return net.calls[call] >= n;
}

/* A call that always says EINTR, or that a pipe is full, would be tried for ever by anybody. */
static bool makes_sense_for_ever(net_call call, int error) {
    return !(error == EINTR && call != NET_POLL && call != NET_CLOSE && call != NET_CONNECT);
}

static bool is_left_out(size_t call, size_t error, int how, bool on) {
    return getenv("TURNS") != NULL && (call + error + on) % NUM_MODES != (size_t)how;
}

static void test_the_nth_system_call_fails(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        for (size_t e = 0; e < COUNT_OF(calls[i].errors) && calls[i].errors[e] != 0; e++)
            for (int how = 0; how < NUM_MODES; how++) {
                if (is_left_out(i, e, how, false))
                    continue;
                for (size_t n = 1; fail_one((mode)how, calls[i].call, calls[i].errors[e], n,
                                            false); n++)
                    assert_true(n < 5000);
            }
}

static void test_every_call_from_the_nth_on_fails(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        for (size_t e = 0; e < COUNT_OF(calls[i].errors) && calls[i].errors[e] != 0; e++)
            for (int how = 0; how < NUM_MODES; how++) {
                if (!makes_sense_for_ever(calls[i].call, calls[i].errors[e])
                    || is_left_out(i, e, how, true))
                    continue;
                for (size_t n = 1; fail_one((mode)how, calls[i].call, calls[i].errors[e], n,
                                            true); n++)
                    assert_true(n < 5000);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_the_scenario_as_it_is),
        TEST(test_the_origins_as_they_are),
        TEST(test_the_nth_allocation_fails),
        TEST(test_the_nth_allocation_fails_among_origins),
        TEST(test_the_nth_system_call_fails),
        TEST(test_every_call_from_the_nth_on_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

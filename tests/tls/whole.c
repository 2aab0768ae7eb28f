/* whole.c - whole runs over TLS 1.3 against a server on a thread of ours (server.h): what comes
   with the end of the handshake, bodies that pause, system calls and allocations that fail. */
#define _GNU_SOURCE
#include "../support.h"
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

static ssize_t test_recv(int fd, void *to, size_t size, int flags);
static ssize_t test_send(int fd, const void *from, size_t size, int flags);
#define SPARP__SYS_RECV test_recv
#define SPARP__SYS_SEND test_send
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#include "server.h"

/* --- calls that fail, of the thread of the test ----------------------------------------------- */

enum { SHORT = -1 };

static __thread bool watched;
static size_t calls, fail_at;
static bool fail_recv;
static int fail_errno;

static bool fails(bool receiving) {
    return watched && receiving == fail_recv && ++calls == fail_at;
}

static ssize_t test_recv(int fd, void *to, size_t size, int flags) {
    if (!fails(true))
        return recv(fd, to, size, flags);
    if (fail_errno == SHORT)
        return recv(fd, to, 1, flags);
    errno = fail_errno;
    return -1;
}

static ssize_t test_send(int fd, const void *from, size_t size, int flags) {
    if (!fails(false))
        return send(fd, from, size, flags);
    if (fail_errno == SHORT)
        return send(fd, from, 1, flags);
    if (fail_errno != EAGAIN && fail_errno != EINTR)
        shutdown(fd, SHUT_RDWR);        /* what cannot be written to is not read from either */
    errno = fail_errno;
    return -1;
}

/* --- the server ------------------------------------------------------------------------------- */

static struct {
    int listener, port;
    pthread_t thread;
    bool early, close_early, keeps;     /* see server.h; keeps: connections stay open */
    size_t body;                        /* bytes of the answer */
    size_t record;                      /* and of each of its records */
    double late_s;                      /* before the tickets, that long */
} host;

static char pattern(size_t i) {
    return (char)('a' + (i * 7 + i / 97) % 26);
}

static void write_all(int fd, sparp__str bytes) {
    while (bytes.size > 0) {
        ssize_t n = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        bytes = sparp__str_skip(bytes, (size_t)n);
    }
}

static void flush(server *s, int fd) {
    write_all(fd, sparp__str_make(s->tls.outgoing.data, s->tls.outgoing.size));
    s->tls.outgoing.size = 0;
}

static void answer(server *s) {
    static char text[1 << 20];
    int n = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
                     host.body);
    for (size_t i = 0; i < host.body; i++)
        text[(size_t)n + i] = pattern(i);
    for (size_t at = 0, all = (size_t)n + host.body; at < all; at += host.record)
        server_send(s, 23, text + at, all - at < host.record ? all - at : host.record);
}

/* One connection, from its beginning to its end. */
static void serve(int fd) {
    static unsigned char psk[48];
    server s;
    char bytes[16384];
    int asked = 0;
    server_begin(&s);
    memcpy(s.psk, psk, sizeof psk);
    s.data_with_finished = false;
    s.close_with_finished = host.close_early && !host.early;
    for (bool more = true; more;) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0)
            break;
        bool was_open = s.open, hello = s.hellos == 0;
        server_push(&s, sparp__str_make(bytes, (size_t)n));
        if (host.early && hello && s.hellos > 0) {      /* before anything was asked */
            answer(&s);
            if (host.close_early)
                sparp__record_alert(&s.tls, 1, 0);
        }
        if (!was_open && s.open && host.late_s > 0)
            usleep((useconds_t)(host.late_s * 1e6));
        flush(&s, fd);
        more = s.alert < 0 && !s.closed;
        if (s.data_bytes > asked && !host.early && !host.close_early) {
            asked = s.data_bytes;
            answer(&s);
            if (!host.keeps)
                sparp__record_alert(&s.tls, 1, 0);
            flush(&s, fd);
        }
    }
    memcpy(psk, s.psk, sizeof psk);
    server_end(&s);
    close(fd);
}

static void *serve_all(void *nothing) {
    (void)nothing;
    for (;;) {
        int fd = accept(host.listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        serve(fd);
    }
}

static int host_begin(void) {
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    memset(&at, 0, sizeof at);
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    host.listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(host.listener, (struct sockaddr *)&at, sizeof at) != 0
        || listen(host.listener, 64) != 0
        || getsockname(host.listener, (struct sockaddr *)&at, &size) != 0)
        return -1;
    host.port = ntohs(at.sin_port);
    return pthread_create(&host.thread, NULL, serve_all, NULL);
}

/* --- runs ------------------------------------------------------------------------------------- */

static char url[128], pem[2048];

static sparp_options options_for(void) {
    sparp_options o;
    memset(&o, 0, sizeof o);
    snprintf(url, sizeof url, "https://server.test:%d/", host.port);
    o.resolve = "server.test:*:127.0.0.1";
    o.tls.ca_pem = pem;
    o.tls.ca_pem_size = strlen(pem);
    o.max_at_once = 1;
    o.timeout_s = 10;
    o.max_retries_by_transport = SPARP_NONE;
    o.max_retries_by_timeout = SPARP_NONE;
    return o;
}

static int reset_host(void **state) {
    host.early = host.close_early = host.keeps = false;
    host.body = 5;
    host.record = 16384;
    host.late_s = 0;
    fail_at = 0;
    watched = true;
    return test_setup(state);
}

static sparp_results run(sparp_options *o, size_t count) {
    static sparp_request q[64];
    memset(q, 0, sizeof q);
    for (size_t i = 0; i < count; i++)
        q[i].url = url;
    o->requests = q;
    o->num_requests = count;
    return sparp_run_all(o);
}

static void expect_good(const sparp_results *all, size_t count) {
    assert_int_equal(all->error, SPARP_E_OK);
    assert_int_equal(all->count, count);
    for (size_t i = 0; i < count; i++) {
        const sparp_result *r = &all->items[i];
        CHECK(r->outcome == SPARP_OUTCOME_SUCCESS, "%d: %s", (int)i, r->detail);
        assert_int_equal(r->body_size, host.body);
        for (size_t k = 0; k < r->body_size; k++)
            CHECK(r->body[k] == pattern(k), "byte %d", (int)k);
    }
}

static void test_plain(void **state) {
    static const size_t sizes[] = {0, 1, 5, 1000, 16384, 16385, 100000, 300000};
    static const size_t records[] = {16384, 16000, 1000, 17};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        for (size_t k = 0; k < COUNT_OF(records); k++) {
            sparp_options o = options_for();
            host.body = sizes[i];
            host.record = records[k];
            host.keeps = k % 2 == 0;
            sparp_results all = run(&o, 3);
            expect_good(&all, 3);
            sparp_results_free(&all);
        }
}

/* The answer comes with Finished, before the question: it is an answer all the same. */
static void test_early(void **state) {
    (void)state;
    for (int closes = 0; closes < 2; closes++) {
        sparp_options o = options_for();
        host.early = true;
        host.close_early = closes == 1;
        host.body = 3000;
        sparp_results all = run(&o, 1);
        expect_good(&all, 1);
        assert_true(all.items[0].elapsed_us < 2000000);
        sparp_results_free(&all);
    }
}

/* And the end, too: nobody waits for a timeout. */
static void test_early_close(void **state) {
    sparp_options o = options_for();
    (void)state;
    host.close_early = true;
    sparp_results all = run(&o, 1);
    assert_int_equal(all.count, 1);
    CHECK(all.items[0].error == SPARP_E_CLOSED, "%s", all.items[0].detail);
    assert_true(all.items[0].elapsed_us < 2000000);
    sparp_results_free(&all);
}

/* Tickets come while the connection, open, waits for its token. */
static void test_late_tickets(void **state) {
    sparp_options o = options_for();
    (void)state;
    host.late_s = 0.02;
    o.max_per_second = 8;
    o.max_at_once = 3;
    o.burst = 1;
    sparp_results all = run(&o, 4);
    expect_good(&all, 4);
    sparp_results_free(&all);
}

/* --- bodies that pause ------------------------------------------------------------------------ */

static struct { sparp *run; size_t got, pauses, pieces, bytes; bool wrong; } sink;

static sparp_flow on_body(const sparp_result *head, uint64_t offset, const void *bytes,
                          size_t size, void *user_data) {
    const char *data = (const char *)bytes;
    (void)head;
    (void)user_data;
    sink.wrong = sink.wrong || offset != sink.got;
    for (size_t i = 0; i < size; i++)
        sink.wrong = sink.wrong || data[i] != pattern(sink.got + i);
    sink.got += size;
    sink.pieces++;
    if (sink.pieces % sink.pauses != 0)
        return SPARP_FLOW_ON;
    return SPARP_FLOW_PAUSE;
}

/* With others that use the same buffer meanwhile. */
static void test_pauses(void **state) {
    static const size_t records[] = {16384, 5000, 100};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(records); i++)
        for (sink.pauses = 1; sink.pauses < 4; sink.pauses++) {
            sparp_options o = options_for();
            sparp_request q[1];
            const sparp_result *r;
            bool good = false;
            memset(q, 0, sizeof q);
            q[0].url = url;
            host.body = 200000;
            host.record = records[i];
            host.keeps = i == 1;
            sink.got = sink.pieces = 0;
            sink.wrong = false;
            o.requests = q;
            o.num_requests = 1;
            o.on_body = on_body;
            sink.run = sparp_open(&o, NULL);
            assert_non_null(sink.run);
            while (sparp_step(sink.run, 5)) {
                char *scratch = sink.run->engine.net.scratch;
                if (scratch != NULL)    /* what others would do to it */
                    memset(scratch, 'X', 256 * 1024);
                sparp_wake(sink.run);
                while ((r = sparp_ready(sink.run)) != NULL)
                    good = r->outcome == SPARP_OUTCOME_SUCCESS;
            }
            while ((r = sparp_ready(sink.run)) != NULL)
                good = r->outcome == SPARP_OUTCOME_SUCCESS;
            sparp_close(sink.run);
            assert_true(good);
            assert_false(sink.wrong);
            assert_int_equal(sink.got, host.body);
        }
}

/* --- what fails ------------------------------------------------------------------------------- */

/* Each send and each recv fails once, in six ways: nothing hangs, nothing is half of it. */
static void test_calls_fail(void **state) {
    static const int ways[] = {ECONNRESET, EPIPE, EAGAIN, EINTR, ENOBUFS, SHORT};
    (void)state;
    for (int receiving = 0; receiving < 2; receiving++)
        for (size_t way = 0; way < COUNT_OF(ways); way++) {
            bool done = false;
            for (fail_at = 1; !done; fail_at++) {
                sparp_options o = options_for();
                host.keeps = true;
                host.body = 40000;
                calls = 0;
                fail_recv = receiving == 1;
                fail_errno = ways[way];
                sparp_results all = run(&o, 2);
                done = calls < fail_at;
                assert_int_equal(all.error, SPARP_E_OK);
                assert_int_equal(all.count, 2);
                for (size_t i = 0; i < 2; i++) {
                    const sparp_result *r = &all.items[i];
                    CHECK(r->elapsed_us < 5000000, "call %d took its time", (int)fail_at);
                    CHECK(r->outcome == SPARP_OUTCOME_SUCCESS || r->error != SPARP_E_OK, "%s",
                          r->detail);
                    CHECK(r->outcome != SPARP_OUTCOME_SUCCESS || r->body_size == host.body,
                          "%d bytes", (int)r->body_size);
                    if (ways[way] == EAGAIN || ways[way] == EINTR || ways[way] == SHORT)
                        CHECK(r->outcome == SPARP_OUTCOME_SUCCESS, "%s, call %d: %s",
                              strerror(ways[way]), (int)fail_at, r->detail);
                }
                sparp_results_free(&all);
                assert_true(fail_at < 200);
            }
        }
    fail_at = 0;
}

static void test_memory_fails(void **state) {
    (void)state;
    for (int on = 0; on < 2; on++) {
        bool done = false;
        for (size_t at = 1; !done; at++) {
            sparp_options o = options_for();
            test_memory m;
            memset(&m, 0, sizeof m);
            m.fail_at = at;
            m.fail_on = on == 1;
            o.allocator.func = test_memory_func;
            o.allocator.user_data = &m;
            sparp_results all = run(&o, 2);
            done = m.calls < at;
            for (size_t i = 0; all.error == SPARP_E_OK && i < all.count; i++)
                CHECK(all.items[i].outcome == SPARP_OUTCOME_SUCCESS
                      || all.items[i].error == SPARP_E_OUT_OF_MEMORY, "%d: %s", (int)at,
                      all.items[i].detail);
            sparp_results_free(&all);
            CHECK(test_memory_clean(&m), "%d: %d bytes are left", (int)at, (int)m.bytes);
            assert_true(at < 1000);
        }
    }
}

/* --- all of it -------------------------------------------------------------------------------- */

static void make_pem(void) {
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    server s;
    server_begin(&s);
    size_t n = (size_t)sprintf(pem, "-----BEGIN CERTIFICATE-----\n");
    for (size_t i = 0; i < s.cert.size; i += 3) {
        uint32_t word = 0;
        for (size_t k = 0; k < 3; k++)
            word = word << 8 | (i + k < s.cert.size ? (unsigned char)s.cert.data[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            pem[n++] = i + k > s.cert.size ? '=' : digits[word >> (18 - 6 * k) & 63];
    }
    sprintf(pem + n, "\n-----END CERTIFICATE-----\n");
    server_end(&s);
}

#define WHOLE(function) cmocka_unit_test_setup_teardown(function, reset_host, test_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WHOLE(test_plain), WHOLE(test_early), WHOLE(test_early_close), WHOLE(test_late_tickets),
        WHOLE(test_pauses), WHOLE(test_calls_fail), WHOLE(test_memory_fails)
    };
    make_pem();
    assert_int_equal(host_begin(), 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    shutdown(host.listener, SHUT_RDWR);
    close(host.listener);
    pthread_join(host.thread, NULL);
    return failed;
}

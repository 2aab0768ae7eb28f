/* Whole runs over a network that the input scripts: they end, the numbers add up, every request
   has one result that fits what happened, and nothing is left.

   Input: SETTINGS bytes of options, two for each request, then the answers, in the order in which
   servers are asked (take_answer() says what they look like); afterwards everything is a 200. If
   the first byte is odd there is one request and nothing is tried again, and the response parser
   says what must come of it, and the limits (the second byte). */
#define FUZZ_TLS
#include "fuzz.h"
#include "../fakenet.h"
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#define SEEN_MAX 64
#include "../seen.h"

#define SETTINGS 24
#define MAX_REQUESTS 12
#define ANSWER_MAX 20000                /* bytes: three of them fit where fakenet keeps them */
#define MAX_PIECES 64
#define RUN_MEMORY 600000               /* bytes: the receive buffer, tables */
#define REQUEST_MEMORY 120000           /* bytes: body, upload, TLS, what undoes gzip */
#define UPLOAD 3000                     /* bytes that read_body has */

static fuzz_input script;
static uint8_t settings[SETTINGS];
static struct { uint8_t what, how; } wanted[MAX_REQUESTS];
static size_t num_wanted, num_pulled;
static bool alone;                      /* one request, judged by the parser */
static uint64_t dice;                   /* for callbacks */
static sparp *current;
static fuzz_memory memory;
static char arena[1 << 18];             /* of answers that had to be put together */
static size_t arena_used;

static bool one_in(unsigned n) {
    return test_random(&dice) % n == 0;
}

static void *wake(void *argument) {
    (void)argument;
    if (current != NULL)
        sparp_wake(current);
    return NULL;
}

/* --- servers ---------------------------------------------------------------------------------- */

static const char *const heads[16] = {
    "HTTP/1.1 200 OK\r\n", "HTTP/1.1 503 Busy\r\n", "HTTP/1.1 429 Slower\r\nRetry-After: 1\r\n",
    "HTTP/1.1 404 No\r\n", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n",
    "HTTP/1.1 204 Nothing\r\n", "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\n",
    "HTTP/1.1 503 Busy\r\nRetry-After: 500\r\n", "HTTP/1.1 302 F\r\nLocation: /b\r\n",
    "HTTP/1.1 307 T\r\nLocation: http://10.0.0.2/a\r\n",
    "HTTP/1.1 303 S\r\nLocation: //10.0.0.3/../c?d#e\r\n",
    "HTTP/1.1 301 M\r\nLocation: https://10.0.0.1/\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n", "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\n",
    "HTTP/1.1 408 T\r\nConnection: close\r\n", "HTTP/1.1 304 Same\r\n",
};

static const char *const bodies[16] = {
    "Content-Length: 5\r\n\r\nhello", "Content-Length: 0\r\n\r\n", "\r\nuntil the end", "\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\nA\r\n0123456789\r\n0\r\nA: b\r\n\r\n",
    "Content-Length: 40\r\n\r\n0123456789012345678901234567890123456789",
    "Content-Length: 9\r\n\r\nshort",
    "Content-Length: 2\r\n\r\nok and more", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "Transfer-Encoding: chunked\r\n\r\nZZ\r\n", "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "Content-Length: 99999999999\r\n\r\n", "no colon\r\n\r\n",
    "Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
    "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x08",
};

static void put(const void *data, size_t size) {
    size_t room = sizeof arena - arena_used;
    size = size < room ? size : room;
    memcpy(arena + arena_used, data, size);
    arena_used += size;
}

/* As many bytes as the next byte says, doubled twice if it is large, out of the input; beyond its
   end the letter x goes on. */
static void put_raw(void) {
    size_t size = fuzz_byte(&script);
    size = size < 200 ? size : (size - 199) * 300;
    fuzz_input raw = fuzz_take(&script, size);
    put(raw.data != NULL ? (const void *)raw.data : "", raw.size);
    for (size_t i = raw.size; i < size && arena_used < sizeof arena; i++)
        arena[arena_used++] = 'x';
}

/* Two bytes about how it comes, then what: a head and a body of the above, bytes of the input,
   or one behind the other. */
static void take_answer(net_rule *answer) {
    static const double delays[] = {0, 0, 0.01, 0.05, 0.2, 0.5, 1, 3};
    static const double gaps[] = {0, 0.001, 0.02, 0.4};
    if (script.size == 0) {
        answer->bytes = NET_200;
        answer->size = strlen(NET_200);
        return;
    }
    unsigned what = fuzz_byte(&script), how = fuzz_byte(&script);
    size_t from = arena_used;
    if ((what & 1) == 0) {
        unsigned pair = fuzz_byte(&script);
        put(heads[pair & 15], strlen(heads[pair & 15]));
        if ((what & 2) == 0)
            put(bodies[pair >> 4], strlen(bodies[pair >> 4]));
    }
    if ((what & 3) == 1 || (what & 3) == 2)
        put_raw();                      /* 3: silence */
    answer->bytes = arena + from;
    answer->size = arena_used - from < ANSWER_MAX ? arena_used - from : ANSWER_MAX;
    answer->piece = (what >> 2 & 7) == 0 ? answer->size : (size_t)1 << ((what >> 2 & 7) * 2 - 2);
    if (answer->piece < answer->size / MAX_PIECES + 1)
        answer->piece = answer->size / MAX_PIECES + 1;
    answer->then = (what >> 5 & 3) == 1 ? NET_FIN : (what >> 5 & 3) == 2 ? NET_RST : NET_KEEP;
    answer->then_s = (what & 128) != 0 ? 0.3 : 0;
    answer->delay_s = delays[how & 7];
    answer->gap_s = gaps[how >> 3 & 3];
}

/* --- what the parser says about the one answer ------------------------------------------------ */

static struct {
    sparp__http http;
    sparp__buf  body;
    net_rule    answer;
    bool        asked, has_head;
    sparp__http_event event;            /* of the bytes alone */
} expected;

static sparp__env plain;                /* memory of its own */
static fuzz_memory plain_memory;

static void expect(const net_rule *answer) {
    sparp__str in = sparp__str_make(answer->bytes, answer->size), piece = {NULL, 0};
    plain.allocator.func = fuzz_memory_func;
    plain.allocator.user_data = &plain_memory;
    expected.asked = true;
    expected.answer = *answer;
    sparp__http_start(&plain, &expected.http, strcmp(net.requests[0].method, "HEAD") == 0,
                      options.max_head_bytes > 0 ? (size_t)options.max_head_bytes : 65536);
    do {
        expected.event = sparp__http_feed(&plain, &expected.http, &in, &piece);
        expected.has_head = expected.has_head || expected.event == SPARP__HTTP_HEAD;
        if (expected.event == SPARP__HTTP_PIECE)
            assert_true(sparp__buf_add(&plain, &expected.body, piece));
    } while (expected.event == SPARP__HTTP_HEAD || expected.event == SPARP__HTTP_PIECE);
}

static void expected_free(void) {
    sparp__http_free(&plain, &expected.http);
    sparp__buf_free(&plain, &expected.body);
    memset(&expected, 0, sizeof expected);
}

static void check_same(const sparp_result *r) {
    CHECK(r->status == expected.http.status, "status %d, not %d", r->status,
          expected.http.status);
    CHECK(r->num_headers == expected.http.num_fields, "%u fields", (unsigned)r->num_headers);
    for (size_t i = 0; i < r->num_headers; i++)
        CHECK(strcmp(r->headers[i].name, expected.http.fields[i].name) == 0
              && strcmp(r->headers[i].value, expected.http.fields[i].value) == 0, "%s: %s",
              r->headers[i].name, r->headers[i].value);
    CHECK(r->body_size == expected.body.size
          && (r->body_size == 0 || memcmp(r->body, expected.body.data, r->body_size) == 0),
          "%u bytes of body, not %u", (unsigned)r->body_size, (unsigned)expected.body.size);
}

static void check_too_long(const sparp_result *r, size_t max) {
    if (!options.truncate_body) {
        CHECK(r->error == SPARP_E_BODY_TOO_LARGE, "%s", r->detail);
        return;
    }
    CHECK(r->error == SPARP_E_OK && r->truncated && r->body_size == max, "%s", r->detail);
    CHECK(memcmp(r->body, expected.body.data, max) == 0, "another body");
}

/* All that came before the end of the connection, or before a timeout, was not enough. */
static void check_unfinished(const sparp_result *r) {
    if (expected.answer.then == NET_RST) {
        CHECK(r->error == SPARP_E_RESET || r->error == SPARP_E_TRUNCATED, "%s", r->detail);
        CHECK(r->error == SPARP_E_RESET || expected.has_head, "%s", r->detail);
    } else if (expected.answer.then == NET_KEEP) {
        CHECK(r->error == SPARP_E_TIMEOUT, "%s", r->detail);
    } else {
        sparp__http_event event = sparp__http_feed_eof(&expected.http);
        CHECK(r->error == expected.http.fault.error, "%s, not %s", r->detail,
              expected.http.fault.detail);
        if (event == SPARP__HTTP_COMPLETE)
            check_same(r);
    }
}

/* The run knows what the parser knows, and what became of the connection. */
static void check_alone(const sparp_result *r) {
    size_t max = options.max_body_bytes > 0 ? (size_t)options.max_body_bytes : 64 << 20;
    const sparp__http *h = &expected.http;
    if (!expected.asked) {
        CHECK(r->error != SPARP_E_OK, "success without an answer");
    } else if (expected.body.size > max) {
        check_too_long(r, max);
    } else if (expected.has_head && !h->chunked && h->has_length && !options.truncate_body
               && expected.body.size + h->left > max) {
        CHECK(r->error == SPARP_E_BODY_TOO_LARGE && r->body_size == 0, "%s", r->detail);
    } else if (expected.event == SPARP__HTTP_COMPLETE) {
        CHECK(r->error == SPARP_E_OK && !r->truncated, "%s", r->detail);
        check_same(r);
    } else if (expected.event == SPARP__HTTP_FAILED) {
        CHECK(r->error == h->fault.error, "%s, not %s", r->detail, h->fault.detail);
    } else {
        check_unfinished(r);
    }
}

static void serve(const net_request *request, net_rule *answer) {
    (void)request;
    take_answer(answer);
    if (alone && !expected.asked)
        expect(answer);
}

/* --- requests --------------------------------------------------------------------------------- */

static const char *const urls[8] = {
    "http://10.0.0.1/a", "http://10.0.0.1/b?c=d", "http://10.0.0.2/a", "http://10.0.0.3:8080",
    "http://u:p@10.0.0.1/a", "http://one.test/a", "http://no.test/a", "http://[::1]/a#f",
};

static const char *const methods[8] = {"GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "X"};

/* Bytes of its own choice, now or later, and sometimes it fails. */
static int64_t read_body(uint64_t offset, void *out, size_t room, void *user_data) {
    (void)user_data;
    size_t left = offset < UPLOAD ? (size_t)(UPLOAD - offset) : 0;
    size_t n = 1 + (size_t)(test_random(&dice) % 700);
    if (one_in(9)) {
        net_at(net_now() + 0.05, wake, NULL);
        return SPARP_LATER;
    }
    if (one_in(40))
        return SPARP_NONE;
    n = n < left ? n : left;
    n = n < room ? n : room;
    memset(out, 'u', n);
    return (int64_t)n;
}

static sparp_input next_request(sparp_request *out, void *user_data) {
    (void)user_data;
    if (num_pulled == num_wanted)
        return SPARP_INPUT_END;
    unsigned what = wanted[num_pulled].what, how = wanted[num_pulled].how;
    num_pulled++;
    out->url = what == 255 ? "nonsense" : what == 254 ? "https://10.0.0.1/a" : urls[what & 7];
    out->method = methods[what >> 3 & 7];
    if ((what >> 3 & 7) >= 4 && (settings[22] & 2) == 0) {
        out->json = "{\"a\": 1}";
    } else if ((what >> 3 & 7) >= 4) {
        out->read_body = read_body;
        out->body_size = (settings[22] & 4) != 0 ? UPLOAD : 0;
    }
    out->idempotent = (how & 1) != 0;
    out->timeout_s = (how & 2) != 0 ? 0.7 : 0;
    out->deadline_s = (how & 4) != 0 ? 1.5 : 0;
    return SPARP_INPUT_READY;
}

/* --- callbacks -------------------------------------------------------------------------------- */

/* From inside a callback, and now and then. */
static void meddle(sparp *run) {
    if (run == NULL || alone || settings[1] % 8 < 5 || !one_in(12))
        return;
    switch (test_random(&dice) % 8) {
    case 0: sparp_stop(run); break;
    case 1: sparp_drain(run); break;
    case 2: sparp_abort(run); break;
    case 3: sparp_set_pace(run, 1 + (int)(test_random(&dice) % 9), 0); break;
    case 4: test_now_ns += NET_NS(0.2); break;
    case 5: sparp_wake(run); break;
    default: sparp_cancel(run, test_random(&dice) % MAX_REQUESTS);
    }
}

static size_t fields_size(const sparp_result *r) {
    size_t n = 0;
    for (size_t i = 0; i < r->num_headers; i++)
        n += strlen(r->headers[i].name) + strlen(r->headers[i].value);
    return n;
}

/* What is true of any response, complete or not. */
static void check_response(const sparp_result *r) {
    size_t max_head = options.max_head_bytes > 0 ? (size_t)options.max_head_bytes : 65536;
    CHECK(r->status == 0 || (r->status >= 200 && r->status <= 999), "status %d", r->status);
    CHECK(r->num_headers <= 256 && fields_size(r) <= max_head, "%u fields",
          (unsigned)r->num_headers);
    CHECK(options.max_body_bytes <= 0 || r->body_size <= (size_t)options.max_body_bytes,
          "%u bytes of body", (unsigned)r->body_size);
    CHECK(r->body[r->body_size] == '\0' && r->detail != NULL && r->method != NULL
          && r->url != NULL, "NULL");
    CHECK(!r->truncated || options.truncate_body || options.on_body != NULL, "truncated");
    CHECK(strchr(r->url, '@') == NULL || strstr(r->url, "//***@") != NULL, "%s", r->url);
}

static sparp_verdict inspect(const sparp_result *r, void *user_data) {
    (void)user_data;
    check_response(r);
    CHECK(r->error == SPARP_E_OK && r->status >= 200, "%s", r->detail);
    meddle(current);
    if (!r->body_complete && one_in(3))
        return SPARP_NEED_BODY;
    return one_in(10) ? (sparp_verdict)(test_random(&dice) % 6) : sparp_default_inspect(r, NULL);
}

static sparp_flow on_body(const sparp_result *head, uint64_t offset, const void *data, size_t size,
                          void *user_data) {
    (void)user_data;
    check_response(head);
    CHECK(data != NULL && size > 0, "nothing at %lu", (unsigned long)offset);
    meddle(current);
    if (one_in(8)) {
        net_at(net_now() + 0.05, wake, NULL);
        return SPARP_FLOW_PAUSE;
    }
    return one_in(20) ? SPARP_FLOW_ENOUGH : one_in(40) ? SPARP_FLOW_FAILED : SPARP_FLOW_ON;
}

/* --- results ---------------------------------------------------------------------------------- */

static double own_timeout(const sparp_result *r) {
    return (wanted[r->index].how & 2) != 0 ? 0.7 : options.timeout_s;
}

static bool within(int retries, int limit) {
    return retries <= (limit == SPARP_NONE ? 0 : limit);
}

static void check_result(const sparp_result *r) {
    check_response(r);
    CHECK(r->outcome < SPARP_OUTCOME_COUNT && r->error < SPARP_E_COUNT, "%d", r->outcome);
    CHECK(r->outcome != SPARP_OUTCOME_SUCCESS || (r->error == SPARP_E_OK && r->status > 0), "%s",
          r->detail);
    CHECK((r->error == SPARP_E_OK) == (r->detail[0] == '\0'), "error %d, '%s'", r->error,
          r->detail);
    CHECK(r->attempts <= 21 + r->soft_retries + r->timeout_retries + r->transport_retries,
          "%d attempts", r->attempts);      /* 20 that found the gate closed behind them */
    CHECK(within(r->soft_retries, options.max_retries_by_soft_fail)
          && within(r->timeout_retries, options.max_retries_by_timeout)
          && within(r->transport_retries, options.max_retries_by_transport), "%d attempts",
          r->attempts);
    CHECK(within(r->redirects, options.max_redirects != 0 ? options.max_redirects : 10),
          "%d redirects", r->redirects);
    CHECK(net.fail_at > 0 || settings[1] % 8 >= 5
          || (double)r->elapsed_us / 1e6 <= own_timeout(r) + 0.011, "%f s of %f",
          (double)r->elapsed_us / 1e6, own_timeout(r));
    if (alone)
        check_alone(r);
}

static void on_result(sparp *run, const sparp_result *r) {
    check_result(r);
    meddle(run);
}

static void run_once(bool told) {
    const sparp_result *r;
    sparp_stats stats;
    memset(&stats, 0, sizeof stats);
    options.on_result = told ? options.on_result : NULL;
    current = sparp_open(&options, NULL);
    if (current != NULL) {
        while (told && sparp_step(current, -1))
            continue;
        while ((r = sparp_next(current)) != NULL) {
            CHECK(!options.ordered || r->index == seen.count, "%u is not next",
                  (unsigned)r->index);
            seen_check_moment(current);
            seen_keep(r);
            on_result(current, r);
        }
        stats = sparp_get_stats(current);
        CHECK(stats.stopped != SPARP_STOPPED_NOT || stats.pulled == num_wanted, "%lu pulled",
              (unsigned long)stats.pulled);
    }
    sparp_close(current);
    current = NULL;
    seen_check_end(&stats);
}

/* --- options ---------------------------------------------------------------------------------- */

static double some_seconds(unsigned n) {
    static const double some[] = {0, 0.3, 0.7, 1, 2, 5};
    return some[n % COUNT_OF(some)];
}

static int some_retries(unsigned n) {
    return n % 4 == 0 ? SPARP_NONE : (int)(n % 4);
}

static void set_pace(sparp_options *o, const uint8_t *s) {
    o->max_at_once = s[0] % 7 == 6 ? SPARP_AUTO : 1 + s[0] % 7;
    o->max_at_once_per_origin = s[0] / 7 % 4;
    o->max_per_second = s[1] % 4 == 3 ? 0.5 + s[1] / 4 : 0;
    o->max_per_second_per_origin = s[2] % 4 == 3 ? 0.5 + s[2] / 4 : 0;
    o->burst = s[2] % 3;
    o->input_buffer_size = s[3] % 5;
    o->no_gate = s[3] % 4 == 3;
    o->retry_ratio = s[3] / 64 == 3 ? 0.1 : 0;
    o->timeout_s = some_seconds(1 + s[4] % 5);
    o->connect_timeout_s = some_seconds(s[4] / 5);
    o->idle_timeout_s = some_seconds(s[5]);
    o->run_deadline_s = s[5] / 6 % 4 == 3 ? 2 : 0;
    o->max_retries_by_soft_fail = some_retries(s[6]);
    o->max_retries_by_timeout = some_retries(s[6] / 4u);
    o->max_retries_by_transport = some_retries(s[6] / 16u);
    o->backoff_s = s[6] / 64 == 0 ? SPARP_NONE : 0.05;
    o->retry_after_max_s = s[6] / 64 == 3 ? 600 : 0;
}

static void set_rest(sparp_options *o, const uint8_t *s) {
    static const int64_t body_limits[] = {0, 0, 20, 1000};
    static const int64_t head_limits[] = {0, 0, 64, 300};
    o->stop_on = s[0] % 4 == 3 ? 1u << s[0] / 4 % 6 : 0;
    o->stop_after_failures = s[1] % 8 == 7 ? 1 + s[1] / 8 % 4 : 0;
    o->stop_after_successes = s[2] % 8 == 7 ? 1 + s[2] / 8 % 4 : 0;
    o->stop_drains = (s[3] & 1) != 0;
    o->ordered = (s[3] & 2) != 0;
    o->retry_safe_only = (s[3] & 4) != 0;
    o->retry_unsafe = (s[3] & 12) == 8;
    o->truncate_body = (s[3] & 16) != 0;
    o->discard_body = (s[3] & 32) != 0;
    o->inspect = (s[3] & 64) != 0 ? inspect : NULL;
    o->on_body = (s[3] & 128) != 0 ? on_body : NULL;
    o->max_body_bytes = body_limits[s[4] & 3];
    o->max_head_bytes = head_limits[s[4] >> 2 & 3];
    o->max_redirects = (s[4] >> 4 & 3) == 0 ? 0 : (s[4] >> 4 & 3) == 1 ? SPARP_NONE : 3;
}

static double permit(const char *url, double cost, void *user_data) {
    (void)cost;
    (void)user_data;
    CHECK(url != NULL && url[0] == 'h', "%s", url);
    meddle(current);
    if (one_in(10)) {
        net_at(net_now() + 0.3, wake, NULL);
        return SPARP_NONE;
    }
    return one_in(6) ? 0.1 : 0;
}

static const char *resolve_host(const char *host, int port, void *user_data) {
    (void)user_data;
    CHECK(port > 0 && host[0] != '\0', "%s", host);
    return strcmp(host, "one.test") == 0 ? "10.0.0.4,::1"
        : strcmp(host, "no.test") == 0 ? "" : NULL;
}

static void set_ways(sparp_options *o, const uint8_t *s) {
    o->compressed = (s[0] & 1) != 0 && sparp_has_zlib();
    o->proxy = (s[0] & 8) != 0 ? "http://u:p@10.0.0.9:3128" : NULL;
    o->no_proxy = (s[0] & 16) != 0 ? "10.0.0.2,.test" : NULL;
    o->permit = (s[0] & 32) != 0 ? permit : NULL;
    o->resolve_host = (s[0] & 64) != 0 ? resolve_host : NULL;
    o->connect_to = (s[0] & 128) != 0 ? "10.0.0.3:8080:10.0.0.1:80" : NULL;
    o->dns_timeout_s = (s[1] & 1) != 0 ? 0.1 : 0;
    o->send_timeout_s = (s[1] & 2) != 0 ? 0.2 : 0;
    o->first_byte_timeout_s = (s[1] & 4) != 0 ? 0.2 : 0;
    o->min_bytes_per_second = (s[1] & 8) != 0 ? 30 : 0;
    o->min_speed_s = (s[1] & 16) != 0 ? 0.5 : 0;
    o->stop_after_failure_ratio = (s[1] & 32) != 0 ? 0.5 : 0;
    o->sensitive_headers = "X-Secret";
    o->tls.insecure_no_verify = true;   /* no certificates are read */
}

static void set_options(void) {
    memset(&options, 0, sizeof options);
    options.next_request = next_request;
    if (alone) {
        options.max_retries_by_soft_fail = options.max_retries_by_timeout = SPARP_NONE;
        options.max_retries_by_transport = options.max_redirects = SPARP_NONE;
        options.timeout_s = 30;
        options.max_body_bytes = (settings[1] & 1) != 0 ? 20 : 0;
        options.truncate_body = (settings[1] & 2) != 0;
        options.max_head_bytes = (settings[1] & 4) != 0 ? 100 : 0;
    } else {
        set_pace(&options, settings + 4);
        set_rest(&options, settings + 11);
        set_ways(&options, settings + 22);
    }
    seen_options(&options);
    options.allocator.func = fuzz_memory_func;
    options.allocator.user_data = &memory;
    seen.on_result = on_result;
}

/* --- the world -------------------------------------------------------------------------------- */

/* One system call or one allocation that fails, but not where nothing could be done about it. */
static void set_failures(const uint8_t *s) {
    static const int errors[] = {ECONNRESET, EAGAIN, ENOBUFS, ENOMEM, EPIPE, EMFILE, ETIMEDOUT,
                                 EINTR};
    net_call call = (net_call)(s[0] % NET_NUM_CALLS);
    if (s[1] > 0 && call != NET_POLL && call != NET_WRITE)
        net_fail(call, s[1], errors[s[0] / NET_NUM_CALLS % COUNT_OF(errors)]);
    memory.counted.fail_at = s[2];
}

static void set_world(const uint8_t *s) {
    net.server = serve;
    net.label = "fuzz";
    net_lookup("one.test", "10.0.0.4", 0);
    net.lookup_s = some_seconds(s[0]) / 4;
    net.fd_limit = s[1] % 8 == 7 ? 1 + s[1] / 8 % 4 : 0;
    net.connects_at_once = (s[1] & 64) != 0;
    if (s[2] % 4 == 3 && !net.connects_at_once)
        net_host("10.0.0.2", s[2] / 4 % 4 == 3 ? -1 : 0.2, s[2] / 16 % 2 ? ECONNREFUSED : 0);
}

static void take_script(const uint8_t *data, size_t size) {
    script.data = data;
    script.size = size;
    for (size_t i = 0; i < SETTINGS; i++)
        settings[i] = (uint8_t)fuzz_byte(&script);
    alone = (settings[0] & 1) != 0;
    num_wanted = alone ? 1 : 1 + settings[2] % MAX_REQUESTS;
    num_pulled = 0;
    for (size_t i = 0; i < num_wanted; i++) {
        wanted[i].what = (uint8_t)fuzz_byte(&script);
        wanted[i].how = (uint8_t)fuzz_byte(&script);
    }
    if (alone) {                        /* nothing but the answer may matter */
        wanted[0].what &= 0x38;
        wanted[0].how = 0;
    }
    dice = settings[3] + 1u;
}

/* A run may take so many seconds: each request may hear 20 times that it has to wait, without a
   charge, and three times with one. */
static double longest(void) {
    double pause = options.retry_after_max_s > 0 ? options.retry_after_max_s : 120;
    return 60 + 24 * pause * (double)num_wanted;
}

static void fuzz_one(const uint8_t *data, size_t size) {
    net_begin();
    seen_begin();
    memset(&memory, 0, sizeof memory);
    arena_used = 0;
    take_script(data, size);
    if (!alone) {
        set_world(settings + 16);
        set_failures(settings + 19);
    } else {
        set_world((const uint8_t *)"\0\0");
    }
    set_options();
    run_once((settings[0] & 2) != 0);
    net_end();
    CHECK(net_now() < longest(), "took %f s", net_now());
    CHECK(test_memory_clean(&memory.counted), "%u blocks left", (unsigned)memory.counted.blocks);
    CHECK(memory.peak < RUN_MEMORY + num_wanted * REQUEST_MEMORY, "%u bytes of memory",
          (unsigned)memory.peak);
    expected_free();
}

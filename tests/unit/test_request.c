/* The section request: the exact bytes that go out, and what never does. */
#include "../support.h"
#include <ctype.h>
#include <math.h>

#define SPARP__SYS_CLOCK test_clock
#define SPARP_NO_TLS
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#define LIST(...) \
    (const sparp_field[]){__VA_ARGS__}, \
    sizeof((const sparp_field[]){__VA_ARGS__}) / sizeof(sparp_field)
#define QUERY(...) .query = (const sparp_field[]){__VA_ARGS__}, \
    .num_query = sizeof((const sparp_field[]){__VA_ARGS__}) / sizeof(sparp_field)
#define HEADERS(...) .headers = (const sparp_field[]){__VA_ARGS__}, \
    .num_headers = sizeof((const sparp_field[]){__VA_ARGS__}) / sizeof(sparp_field)
#define BODY(text) .body = text, .body_size = sizeof text - 1

#define AGENT  "User-Agent: sparp/" SPARP_VERSION_STRING "\r\n"
#define ACCEPT "Accept: */*\r\n"
#define USUAL  AGENT ACCEPT
#define TYPE   "Content-Type: application/json\r\n"

static sparp__env env;
static test_memory memory;
static sparp__request built;
static sparp__fault fault;
static sparp__request_memo memo;

static int begin(void **state) {
    memset(&env, 0, sizeof env);
    memset(&memory, 0, sizeof memory);
    memset(&built, 0, sizeof built);
    memset(&fault, 0, sizeof fault);
    env.allocator.func = test_memory_func;
    env.allocator.user_data = &memory;
    return test_setup(state);
}

static int end(void **state) {
    sparp__buf_free(&env, &built.image);
    sparp__buf_free(&env, &memo.lines);
    assert_true(test_memory_clean(&memory));
    return test_teardown(state);
}

/* The second url with the same beginning takes another way, and the third copies the lines of the
   second: nothing may differ. */
static void check_the_same_again(const sparp_request *request, const sparp_options *options,
                                 bool ok) {
    sparp__request again;
    sparp__fault second;
    memset(&again, 0, sizeof again);
    memset(&second, 0, sizeof second);
    assert_int_equal(sparp__request_build(&env, &again, request, options, &memo, &second), ok);
    if (!ok) {
        assert_int_equal(second.error, fault.error);
        assert_string_equal(second.detail, fault.detail);
    } else {
        assert_int_equal(again.image.size, built.image.size);
        assert_memory_equal(again.image.data, built.image.data, built.image.size);
        assert_string_equal(sparp__request_host(&again), sparp__request_host(&built));
        assert_int_equal(again.port, built.port);
        assert_int_equal(again.https, built.https);
    }
    sparp__buf_free(&env, &again.image);
}

static bool build_with(const sparp_request *request, const sparp_field *run, size_t num_run) {
    sparp_options options;
    memset(&options, 0, sizeof options);
    options.headers = run;
    options.num_headers = num_run;
    sparp__buf_free(&env, &memo.lines);
    memset(&memo, 0, sizeof memo);
    bool ok = sparp__request_build(&env, &built, request, &options, &memo, &fault);
    if (memory.fail_at == 0)
        for (int i = 0; i < 2; i++)
            check_the_same_again(request, &options, ok);
    return ok;
}

static bool build(const sparp_request *request) {
    return build_with(request, NULL, 0);
}

static bool wire_is(const char *wire, size_t size) {
    return built.wire_size == size && memcmp(built.image.data, wire, size) == 0;
}

/* How often `text` stands in the bytes that go out. */
static int count_in_wire(const char *text) {
    int count = 0;
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= built.wire_size; i++)
        count += memcmp(built.image.data + i, text, n) == 0;
    return count;
}

/* --- exact images --------------------------------------------------------------------------- */

typedef struct image_case {
    const char *name;
    sparp_request request;
    const sparp_field *run;
    size_t num_run;
    const char *wire, *url, *host;      /* host: the one that is looked up */
    int port;
} image_case;

static const image_case images[] = {
    {"least", {.url = "http://a"}, NULL, 0,
     "GET / HTTP/1.1\r\nHost: a\r\n" USUAL "\r\n", "http://a/", "a", 80},
    {"path and query", {.url = "http://a/b?c=d"}, NULL, 0,
     "GET /b?c=d HTTP/1.1\r\nHost: a\r\n" USUAL "\r\n", "http://a/b?c=d", "a", 80},
    {"query without path", {.url = "http://a?b"}, NULL, 0,
     "GET /?b HTTP/1.1\r\nHost: a\r\n" USUAL "\r\n", "http://a/?b", "a", 80},
    {"fragment", {.url = "http://a/b#c"}, NULL, 0,
     "GET /b HTTP/1.1\r\nHost: a\r\n" USUAL "\r\n", "http://a/b", "a", 80},
    /* RFC 9112 §3.2: port in Host unless it is the default one; the last dot is for DNS only */
    {"port", {.url = "http://a:8080/"}, NULL, 0,
     "GET / HTTP/1.1\r\nHost: a:8080\r\n" USUAL "\r\n", "http://a:8080/", "a", 8080},
    {"default port", {.url = "http://a:80/"}, NULL, 0,
     "GET / HTTP/1.1\r\nHost: a\r\n" USUAL "\r\n", "http://a/", "a", 80},
    {"port of the other scheme", {.url = "http://a:443/"}, NULL, 0,
     "GET / HTTP/1.1\r\nHost: a:443\r\n" USUAL "\r\n", "http://a:443/", "a", 443},
    {"last dot", {.url = "http://A.Example./"}, NULL, 0,
     "GET / HTTP/1.1\r\nHost: A.Example.\r\n" USUAL "\r\n", "http://A.Example./", "a.example",
     80},
    {"IPv6", {.url = "http://[2001:DB8::1]:81/"}, NULL, 0,
     "GET / HTTP/1.1\r\nHost: [2001:DB8::1]:81\r\n" USUAL "\r\n", "http://[2001:DB8::1]:81/",
     "2001:db8::1", 81},
    /* RFC 3986 §2.1: encoded once, and what is encoded already not again */
    {"encoding", {.url = "http://a/\xC3\xBC|\"<>\\^`{}'[]%20%c3%zz%?\xFF|%7c"}, NULL, 0,
     "GET /%C3%BC%7C%22%3C%3E%5C%5E%60%7B%7D'[]%20%c3%zz%?%FF%7C%7c HTTP/1.1\r\nHost: a\r\n"
     USUAL "\r\n", "http://a/%C3%BC%7C%22%3C%3E%5C%5E%60%7B%7D'[]%20%c3%zz%?%FF%7C%7c", "a", 80},
    {"parameters", {.url = "http://a/b", QUERY({"q", "x y&z=1"}, {"\xC3\xA4", "%20"}, {"e", ""},
                                               {"n", NULL}, {"", "v"})}, NULL, 0,
     "GET /b?q=x%20y%26z%3D1&%C3%A4=%2520&e=&n&=v HTTP/1.1\r\nHost: a\r\n" USUAL "\r\n",
     "http://a/b?q=x%20y%26z%3D1&%C3%A4=%2520&e=&n&=v", "a", 80},
    {"parameters behind a query", {.url = "http://a?b=c#d", QUERY({"e", "f"})}, NULL, 0,
     "GET /?b=c&e=f HTTP/1.1\r\nHost: a\r\n" USUAL "\r\n", "http://a/?b=c&e=f", "a", 80},
    /* bodies and methods: RFC 9110 §8.6 */
    {"body", {.url = "http://a", BODY("x=1")}, NULL, 0,
     "POST / HTTP/1.1\r\nHost: a\r\n" USUAL "Content-Length: 3\r\n\r\nx=1", "http://a/", "a", 80},
    {"empty body", {.url = "http://a", BODY("")}, NULL, 0,
     "POST / HTTP/1.1\r\nHost: a\r\n" USUAL "Content-Length: 0\r\n\r\n", "http://a/", "a", 80},
    {"json", {.url = "http://a", .json = "{}"}, NULL, 0,
     "POST / HTTP/1.1\r\nHost: a\r\n" USUAL TYPE "Content-Length: 2\r\n\r\n{}", "http://a/", "a",
     80},
    {"json with its own type", {.url = "http://a", .method = "PATCH", .json = "[]",
                                HEADERS({"content-type", "application/json-patch+json"})}, NULL, 0,
     "PATCH / HTTP/1.1\r\nHost: a\r\n" USUAL "content-type: application/json-patch+json\r\n"
     "Content-Length: 2\r\n\r\n[]", "http://a/", "a", 80},
    {"GET with a body", {.url = "http://a", .method = "GET", BODY("b")}, NULL, 0,
     "GET / HTTP/1.1\r\nHost: a\r\n" USUAL "Content-Length: 1\r\n\r\nb", "http://a/", "a", 80},
    {"POST without a body", {.url = "http://a", .method = "POST"}, NULL, 0,
     "POST / HTTP/1.1\r\nHost: a\r\n" USUAL "Content-Length: 0\r\n\r\n", "http://a/", "a", 80},
    {"PUT without a body", {.url = "http://a", .method = "PUT"}, NULL, 0,
     "PUT / HTTP/1.1\r\nHost: a\r\n" USUAL "Content-Length: 0\r\n\r\n", "http://a/", "a", 80},
    {"DELETE", {.url = "http://a", .method = "DELETE"}, NULL, 0,
     "DELETE / HTTP/1.1\r\nHost: a\r\n" USUAL "\r\n", "http://a/", "a", 80},
    {"post, raised", {.url = "http://a", .method = "post", BODY("b")}, NULL, 0,
     "POST / HTTP/1.1\r\nHost: a\r\n" USUAL "Content-Length: 1\r\n\r\nb", "http://a/", "a", 80},
    {"pAtch, as it is", {.url = "http://a", .method = "pAtch", BODY("b")}, NULL, 0,
     "pAtch / HTTP/1.1\r\nHost: a\r\n" USUAL "Content-Length: 1\r\n\r\nb", "http://a/", "a", 80},
    {"HEAD", {.url = "http://a", .method = "HEAD"}, NULL, 0,
     "HEAD / HTTP/1.1\r\nHost: a\r\n" USUAL "\r\n", "http://a/", "a", 80},
    {"a method of one's own, in its case", {.url = "http://a", .method = "m-Search!"}, NULL, 0,
     "m-Search! / HTTP/1.1\r\nHost: a\r\n" USUAL "\r\n", "http://a/", "a", 80},
    /* fields: run, request, and NULL */
    {"fields keep case, order and duplicates",
     {.url = "http://a", HEADERS({"X-B", "1"}, {"x-a", "2"}, {"X-B", "3"})}, NULL, 0,
     "GET / HTTP/1.1\r\nHost: a\r\n" USUAL "X-B: 1\r\nx-a: 2\r\nX-B: 3\r\n\r\n",
     "http://a/", "a", 80},
    {"values are trimmed, not changed",
     {.url = "http://a", HEADERS({"X", " \ta \t b\xFF\t "}, {"Y", ""}, {"Z", " "})}, NULL, 0,
     "GET / HTTP/1.1\r\nHost: a\r\n" USUAL "X: a \t b\xFF\r\nY: \r\nZ: \r\n\r\n",
     "http://a/", "a", 80},
    {"own agent", {.url = "http://a", HEADERS({"user-AGENT", "me"})}, NULL, 0,
     "GET / HTTP/1.1\r\nHost: a\r\n" ACCEPT "user-AGENT: me\r\n\r\n", "http://a/", "a", 80},
    {"nothing but Host", {.url = "http://a", HEADERS({"User-Agent", NULL}, {"accept", NULL})},
     NULL, 0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "http://a/", "a", 80},
    {"no type", {.url = "http://a", .json = "1", HEADERS({"Content-Type", NULL})}, NULL, 0,
     "POST / HTTP/1.1\r\nHost: a\r\n" USUAL "Content-Length: 1\r\n\r\n1", "http://a/", "a", 80},
    {"fields of the run", {.url = "http://a", HEADERS({"X-1", "own"})},
     LIST({"X-2", "run"}, {"Accept", "text/html"}),
     "GET / HTTP/1.1\r\nHost: a\r\n" AGENT "X-2: run\r\nAccept: text/html\r\nX-1: own\r\n\r\n",
     "http://a/", "a", 80},
    {"own above run", {.url = "http://a", HEADERS({"x-2", "own"}, {"ACCEPT", "b"})},
     LIST({"X-2", "run"}, {"X-2", "run"}, {"Accept", "a"}, {"X-3", "run"}),
     "GET / HTTP/1.1\r\nHost: a\r\n" AGENT "X-3: run\r\nx-2: own\r\nACCEPT: b\r\n\r\n",
     "http://a/", "a", 80},
    {"own NULL above run", {.url = "http://a", HEADERS({"x-2", NULL}, {"accept", NULL})},
     LIST({"X-2", "run"}, {"Accept", "a"}),
     "GET / HTTP/1.1\r\nHost: a\r\n" AGENT "\r\n", "http://a/", "a", 80},
    {"run NULL above default", {.url = "http://a"}, LIST({"User-Agent", NULL}),
     "GET / HTTP/1.1\r\nHost: a\r\n" ACCEPT "\r\n", "http://a/", "a", 80},
    {"own above run NULL", {.url = "http://a", HEADERS({"User-Agent", "me"})},
     LIST({"User-Agent", NULL}),
     "GET / HTTP/1.1\r\nHost: a\r\n" ACCEPT "User-Agent: me\r\n\r\n", "http://a/", "a", 80},
    /* Host and Content-Length from the user: one of each goes out, in the usual place */
    {"own Host", {.url = "http://a:81", HEADERS({"X", "1"}, {"host", "b:82"})}, NULL, 0,
     "GET / HTTP/1.1\r\nHost: b:82\r\n" USUAL "X: 1\r\n\r\n", "http://a:81/", "a", 81},
    {"two own Hosts: the last", {.url = "http://a", HEADERS({"Host", "b"}, {"HOST", "c"})},
     NULL, 0, "GET / HTTP/1.1\r\nHost: c\r\n" USUAL "\r\n", "http://a/", "a", 80},
    {"Host of the run", {.url = "http://a"}, LIST({"Host", "r"}),
     "GET / HTTP/1.1\r\nHost: r\r\n" USUAL "\r\n", "http://a/", "a", 80},
    {"own Host above run", {.url = "http://a", HEADERS({"host", "b"})}, LIST({"Host", "r"}),
     "GET / HTTP/1.1\r\nHost: b\r\n" USUAL "\r\n", "http://a/", "a", 80},
    {"own Host NULL above run", {.url = "http://a", HEADERS({"host", NULL})}, LIST({"Host", "r"}),
     "GET / HTTP/1.1\r\nHost: a\r\n" USUAL "\r\n", "http://a/", "a", 80},
    {"own Host is trimmed", {.url = "http://a", HEADERS({"Host", " b\t"})}, NULL, 0,
     "GET / HTTP/1.1\r\nHost: b\r\n" USUAL "\r\n", "http://a/", "a", 80},
    {"right Content-Length", {.url = "http://a", BODY("abc"), HEADERS({"content-length", " 3"})},
     NULL, 0, "POST / HTTP/1.1\r\nHost: a\r\n" USUAL "Content-Length: 3\r\n\r\nabc",
     "http://a/", "a", 80},
    {"right Content-Length twice",
     {.url = "http://a", BODY("abc"), HEADERS({"Content-Length", "3"}, {"Content-Length", "03"})},
     NULL, 0, "POST / HTTP/1.1\r\nHost: a\r\n" USUAL "Content-Length: 3\r\n\r\nabc",
     "http://a/", "a", 80},
    {"Content-Length NULL", {.url = "http://a", BODY("abc"), HEADERS({"Content-Length", NULL})},
     NULL, 0, "POST / HTTP/1.1\r\nHost: a\r\n" USUAL "Content-Length: 3\r\n\r\nabc",
     "http://a/", "a", 80},
    {"Transfer-Encoding NULL", {.url = "http://a", HEADERS({"Transfer-Encoding", NULL})}, NULL, 0,
     "GET / HTTP/1.1\r\nHost: a\r\n" USUAL "\r\n", "http://a/", "a", 80},
    /* credentials of the url: RFC 7617, and never shown */
    {"credentials", {.url = "http://Aladdin:open%20sesame@a/x"}, NULL, 0,
     "GET /x HTTP/1.1\r\nHost: a\r\n" USUAL
     "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n", "http://***@a/x", "a", 80},
    {"own Authorization", {.url = "http://u:p@a", HEADERS({"authorization", "Bearer t"})}, NULL, 0,
     "GET / HTTP/1.1\r\nHost: a\r\n" USUAL "authorization: Bearer t\r\n\r\n",
     "http://***@a/", "a", 80},
    {"no Authorization", {.url = "http://u:p@a", HEADERS({"Authorization", NULL})}, NULL, 0,
     "GET / HTTP/1.1\r\nHost: a\r\n" USUAL "\r\n", "http://***@a/", "a", 80},
    {"Authorization of the run", {.url = "http://u:p@a"}, LIST({"Authorization", "Bearer r"}),
     "GET / HTTP/1.1\r\nHost: a\r\n" USUAL "Authorization: Bearer r\r\n\r\n",
     "http://***@a/", "a", 80},
    {"empty userinfo", {.url = "http://@a"}, NULL, 0,
     "GET / HTTP/1.1\r\nHost: a\r\n" USUAL "\r\n", "http://a/", "a", 80},
};

/* One request struct for all of them, as in a run: what was in it before does not show. */
static void test_images(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(images); i++) {
        const image_case *c = &images[i];
        bool ok = build_with(&c->request, c->run, c->num_run);
        CHECK(ok, "%s: %s", c->name, fault.detail);
        CHECK(wire_is(c->wire, strlen(c->wire)), "%s: %.*s", c->name, (int)built.wire_size,
              built.image.data);
        CHECK(strcmp(sparp__request_url(&built), c->url) == 0, "%s: %s", c->name,
              sparp__request_url(&built));
        size_t method = strcspn(c->wire, " ");
        CHECK(strlen(sparp__request_method(&built)) == method
              && memcmp(sparp__request_method(&built), c->wire, method) == 0, "%s", c->name);
        CHECK(strcmp(sparp__request_host(&built), c->host) == 0, "%s: %s", c->name,
              sparp__request_host(&built));
        CHECK(built.port == c->port, "%s: %d", c->name, built.port);
        CHECK(built.is_head == (strncmp(c->wire, "HEAD ", 5) == 0), "%s", c->name);
    }
}

static void test_binary_body(void **state) {
    (void)state;
    char body[256];
    for (int i = 0; i < 256; i++)
        body[i] = (char)i;
    sparp_request request = {.url = "http://a", .body = body, .body_size = sizeof body};
    assert_true(build(&request));
    assert_memory_equal(built.image.data + built.wire_size - 256, body, 256);
    assert_memory_equal(built.image.data + built.wire_size - 260, "\r\n\r\n", 4);
}

static void test_https(void **state) {
    (void)state;
    sparp_request request = {.url = "https://u:p@a:443/b", .method = "HEAD"};
    assert_false(build(&request));
    assert_int_equal(fault.error, SPARP_E_TLS_ABSENT);
    assert_string_equal(sparp__request_url(&built), "https://***@a/b");
    assert_string_equal(sparp__request_method(&built), "HEAD");
    assert_int_equal(built.port, 443);
}

/* --- what is refused ------------------------------------------------------------------------ */

static const struct {
    const char *name;
    sparp_request request;
    const char *sentence;
} refused[] = {
    {"nothing", {.url = NULL}, "url is missing"},
    {"body and json", {.url = "http://a", .json = "1", BODY("1")}, "body and json are both set"},
    {"size and json", {.url = "http://a", .json = "1", .body_size = 1},
     "body and json are both set"},
    {"body NULL", {.url = "http://a", .body_size = 1}, "body is NULL, but body_size is not 0"},
    {"query NULL", {.url = "http://a", .num_query = 1}, "query is NULL, but num_query is not 0"},
    {"headers NULL", {.url = "http://a", .num_headers = 2}, "headers is NULL, num_headers 2"},
    {"parameter without name", {.url = "http://a", QUERY({"a", "b"}, {NULL, "v"})},
     "query has a parameter without a name"},
    {"empty method", {.url = "http://a", .method = ""}, "method is not a token"},
    {"method with a space", {.url = "http://a", .method = "GET /x"}, "method is not a token"},
    {"CONNECT", {.url = "http://a", .method = "CONNECT"}, "method CONNECT is for proxies"},
    {"negative timeout", {.url = "http://a", .timeout_s = -0.5}, "timeout_s is negative"},
    {"timeout NaN", {.url = "http://a", .timeout_s = NAN}, "timeout_s is negative"},
    {"negative deadline", {.url = "http://a", .deadline_s = -2}, "deadline_s is negative"},
    {"deadline NaN", {.url = "http://a", .deadline_s = NAN}, "deadline_s is negative"},
    {"url", {.url = "ftp://a"}, "url must begin with http://"},
    {"name NULL", {.url = "http://a", HEADERS({NULL, "v"})},
     "header 1 (NULL) has a name that is not a token"},
    {"empty name", {.url = "http://a", HEADERS({"A", "1"}, {"", "v"})},
     "header 2 () has a name that is not a token"},
    {"name with a colon", {.url = "http://a", HEADERS({"A:", "1"})},
     "header 1 (A:) has a name that is not a token"},
    {"bad name, no value", {.url = "http://a", HEADERS({"A ", NULL})},
     "header 1 (A ) has a name that is not a token"},
    {"second line", {.url = "http://a", HEADERS({"A", "1\r\nB: 2"})},
     "header 1 (A) has a control character in its value"},
    {"second line in Host", {.url = "http://a", HEADERS({"Host", "b\r\nB: 2"})},
     "header 1 (Host) has a control character in its value"},
    {"Transfer-Encoding", {.url = "http://a", HEADERS({"transfer-ENCODING", "chunked"})},
     "header 1 (transfer-ENCODING) is set by sparp"},
    {"Transfer-Encoding: identity", {.url = "http://a", HEADERS({"Transfer-Encoding", ""})},
     "header 1 (Transfer-Encoding) is set by sparp"},
    {"long Content-Length", {.url = "http://a", BODY("abc"), HEADERS({"Content-Length", "4"})},
     "header 1 (Content-Length) contradicts the body"},
    {"short Content-Length", {.url = "http://a", BODY("abc"), HEADERS({"Content-Length", "2"})},
     "header 1 (Content-Length) contradicts the body"},
    {"signed Content-Length", {.url = "http://a", BODY("abc"), HEADERS({"Content-Length", "+3"})},
     "header 1 (Content-Length) contradicts the body"},
    {"list Content-Length", {.url = "http://a", BODY("abc"), HEADERS({"Content-Length", "3,3"})},
     "header 1 (Content-Length) contradicts the body"},
    {"empty Content-Length", {.url = "http://a", HEADERS({"Content-Length", ""})},
     "header 1 (Content-Length) contradicts the body"},
    {"2^64 Content-Length", {.url = "http://a",
                             HEADERS({"Content-Length", "18446744073709551616"})},
     "header 1 (Content-Length) contradicts the body"},
    {"second Content-Length",
     {.url = "http://a", BODY("abc"), HEADERS({"Content-Length", "3"}, {"Content-Length", "5"})},
     "header 2 (Content-Length) contradicts the body"},
    {"empty Host", {.url = "http://a", HEADERS({"Host", ""})}, "header 1 (Host) is empty"},
    {"blank Host", {.url = "http://a", HEADERS({"Host", " \t"})}, "header 1 (Host) is empty"},
};

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        const sparp_request *r = &refused[i].request;
        bool body = r->body != NULL || r->json != NULL;
        CHECK(!build(r), "%s", refused[i].name);
        CHECK(fault.error == SPARP_E_BAD_REQUEST, "%s: %d", refused[i].name, fault.error);
        CHECK(strcmp(fault.detail, refused[i].sentence) == 0, "%s: %s", refused[i].name,
              fault.detail);
        CHECK(built.wire_size == 0, "%s", refused[i].name);
        CHECK(strcmp(sparp__request_url(&built), r->url != NULL ? r->url : "") == 0, "%s: %s",
              refused[i].name, sparp__request_url(&built));
        CHECK(strcmp(sparp__request_method(&built),
                     r->method != NULL ? r->method : body ? "POST" : "GET") == 0, "%s: %s",
              refused[i].name, sparp__request_method(&built));
    }
}

/* A refused url may still hold a password. */
static void test_refused_secret(void **state) {
    (void)state;
    sparp_request request = {.url = "http://u:secret@a:x/"};
    assert_false(build(&request));
    assert_null(strstr(sparp__request_url(&built), "secret"));
    assert_null(strstr(fault.detail, "secret"));
}

/* --- every byte in every place -------------------------------------------------------------- */

/* RFC 9110 §5.6.2, written down once more. */
static bool is_token(int byte) {
    return byte != 0 && strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ", byte) != NULL;
}

static void test_method_bytes(void **state) {
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        char method[] = {'g', (char)byte, 'x', '\0'};
        char start[] = {'g', (char)byte, 'x', ' ', '/', ' ', '\0'};
        sparp_request request = {.url = "http://a", .method = method};
        CHECK(build(&request) == is_token(byte), "byte %d", byte);
        CHECK(!is_token(byte) || count_in_wire(start) == 1, "byte %d", byte);
        CHECK(is_token(byte) || built.wire_size == 0, "byte %d", byte);
    }
}

static void test_name_bytes(void **state) {
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        char name[] = {'X', (char)byte, 'Y', '\0'};
        char line[] = {'\n', 'X', (char)byte, 'Y', ':', ' ', 'v', '\r', '\0'};
        sparp_field field = {name, "v"};
        sparp_request request = {.url = "http://a", .headers = &field, .num_headers = 1};
        CHECK(build(&request) == is_token(byte), "byte %d", byte);
        CHECK(!is_token(byte) || count_in_wire(line) == 1, "byte %d", byte);
    }
}

/* RFC 9110 §5.5: visible characters, blanks and what is not ASCII. */
static void test_value_bytes(void **state) {
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        bool ok = byte == '\t' || (byte >= 0x20 && byte != 0x7F);
        char value[] = {'v', (char)byte, 'w', '\0'};
        char line[] = {'X', ':', ' ', 'v', (char)byte, 'w', '\r', '\n', '\0'};
        sparp_field field = {"X", value};
        sparp_request request = {.url = "http://a", .headers = &field, .num_headers = 1};
        CHECK(build(&request) == ok, "byte %d", byte);
        CHECK(!ok || count_in_wire(line) == 1, "byte %d", byte);
        CHECK(!ok || count_in_wire("\r\n") == 6, "byte %d", byte);
    }
}

/* In a parameter everything may stand, and nothing gets out of it. */
static void test_query_bytes(void **state) {
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        bool plain = byte < 0x80 && (isalnum(byte) || strchr("-._~", byte) != NULL);
        char text[] = {(char)byte, '\0'};
        char code[8], start[64];
        sparp_field parameter = {text, text};
        sparp_request request = {.url = "http://a/b", .query = &parameter, .num_query = 1};
        snprintf(code, sizeof code, plain ? "%c" : "%%%02X", byte);
        snprintf(start, sizeof start, "GET /b?%s=%s HTTP/1.1\r\n", code, code);
        CHECK(build(&request), "byte %d: %s", byte, fault.detail);
        CHECK(count_in_wire(start) == 1, "byte %d", byte);
    }
}

/* In the url: refused, or on the wire as itself or as its code. */
static void test_url_bytes(void **state) {
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        char url[] = {'h', 't', 't', 'p', ':', '/', '/', 'a', '/', 'b', (char)byte, 'c', '\0'};
        bool ok = byte > 0x20 && byte != 0x7F;
        char code[8], start[64];
        sparp_request request = {.url = url};
        CHECK(build(&request) == ok, "byte %d", byte);
        if (!ok)
            continue;
        bool encode = byte >= 0x80 || strchr("\"<>\\^`{|}", byte) != NULL;
        snprintf(code, sizeof code, encode ? "%%%02X" : "%c", byte);
        snprintf(start, sizeof start, "GET /b%s%s HTTP/1.1\r\n", byte == '#' ? "" : code,
                 byte == '#' ? "" : "c");
        CHECK(count_in_wire(start) == 1, "byte %d", byte);
    }
}

/* --- credentials ---------------------------------------------------------------------------- */

static const struct {
    const char *userinfo, *credentials;
} basics[] = {
    {"Aladdin:open%20sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},     /* RFC 7617 §2 */
    {"test:123%C2%A3", "dGVzdDoxMjPCow=="},                        /* §2.1 */
    {"test:123%c2%a3", "dGVzdDoxMjPCow=="},
    {":", "Og=="},
    {"a:", "YTo="},
    {":b", "OmI="},
    {"a:b", "YTpi"},
    {"a:bc", "YTpiYw=="},
    {"a:bcd", "YTpiY2Q="},
    {"a:bcde", "YTpiY2Rl"},
    {"a:b:c", "YTpiOmM="},
    {"a%3Ab:c", "YTpiOmM="},
    {"u:%FF%FE%FD%fc", "dTr//v38"},
    {"u:%00", "dToA"},
    {"u:%0D%0AX:y", "dToNClg6eQ=="},
    {"u:100%", "dToxMDAl"},
    {"u:%4", "dTolNA=="},
    {"u:%4G%", "dTolNEcl"},
    {"u:%%41", "dTolQQ=="},
    {"a@b:c", "YUBiOmM="},
    {"user", "dXNlcjo="},                           /* §2: the colon belongs to it */
    {"us%65r", "dXNlcjo="},
    {"us%3Aer", "dXM6ZXI6"},                        /* a colon that was none in the url */
};

static void test_basic(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(basics); i++) {
        char url[100], line[100];
        sparp_request request = {.url = url};
        snprintf(url, sizeof url, "http://%s@host/", basics[i].userinfo);
        snprintf(line, sizeof line, "\nAuthorization: Basic %s\r\n", basics[i].credentials);
        CHECK(build(&request), "%s: %s", basics[i].userinfo, fault.detail);
        CHECK(count_in_wire(line) == 1, "%s: %.*s", basics[i].userinfo, (int)built.wire_size,
              built.image.data);
        CHECK(strcmp(sparp__request_url(&built), "http://***@host/") == 0, "%s: %s",
              basics[i].userinfo, sparp__request_url(&built));
    }
}

/* --- who may be sent twice (RFC 9110 §9.2.2) ------------------------------------------------- */

static const struct {
    sparp_request request;
    const sparp_field *run;
    size_t num_run;
    bool safe;
} twice[] = {
    {{.method = NULL}, NULL, 0, true},
    {{.method = "GET"}, NULL, 0, true},
    {{.method = "HEAD"}, NULL, 0, true},
    {{.method = "OPTIONS"}, NULL, 0, true},
    {{.method = "TRACE"}, NULL, 0, true},
    {{.method = "PUT"}, NULL, 0, true},
    {{.method = "DELETE"}, NULL, 0, true},
    {{.method = "POST"}, NULL, 0, false},
    {{.method = "PATCH"}, NULL, 0, false},
    {{.method = NULL, .json = "1"}, NULL, 0, false},
    {{.method = "get"}, NULL, 0, true},
    {{.method = "Head"}, NULL, 0, true},
    {{.method = "post"}, NULL, 0, false},
    {{.method = "trace"}, NULL, 0, false},          /* RFC 9110 §9.1: methods have a case */
    {{.method = "GE"}, NULL, 0, false},
    {{.method = "ET"}, NULL, 0, false},
    {{.method = "E"}, NULL, 0, false},
    {{.method = "GETT"}, NULL, 0, false},
    {{.method = "LOCK"}, NULL, 0, false},
    {{.method = "PUTDELETE"}, NULL, 0, false},
    {{.method = "POST", .idempotent = true}, NULL, 0, true},
    {{.method = "POST", HEADERS({"Idempotency-Key", "1"})}, NULL, 0, true},
    {{.method = "POST", HEADERS({"idempotency-key", "1"})}, NULL, 0, true},
    {{.method = "POST", HEADERS({"Idempotency-Key", NULL})}, NULL, 0, false},
    {{.method = "POST", HEADERS({"Idempotency-Keys", "1"})}, NULL, 0, false},
    {{.method = "POST"}, LIST({"Idempotency-Key", "1"}), true},
    {{.method = "POST", HEADERS({"Idempotency-Key", NULL})}, LIST({"Idempotency-Key", "1"}),
     false},
};

/* The methods of fetch() are raised, and are shown so; all others are sent as they are. */
static void test_methods_are_raised(void **state) {
    (void)state;
    static const char *const methods[][2] = {
        {"get", "GET"}, {"post", "POST"}, {"head", "HEAD"}, {"put", "PUT"}, {"delete", "DELETE"},
        {"options", "OPTIONS"}, {"Get", "GET"}, {"oPtionS", "OPTIONS"}, {"GET", "GET"},
        {"patch", "patch"}, {"PATCH", "PATCH"}, {"trace", "trace"}, {"connect", "connect"},
        {"gett", "gett"}, {"ge", "ge"}, {"propfind", "propfind"}, {"getx", "getx"},
    };
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        sparp_request request;
        size_t n = strlen(methods[i][1]);
        memset(&request, 0, sizeof request);
        request.url = "http://a";
        request.method = methods[i][0];
        CHECK(build(&request), "%s: %s", methods[i][0], fault.detail);
        CHECK(memcmp(built.image.data, methods[i][1], n) == 0 && built.image.data[n] == ' ', "%s",
              methods[i][0]);
        assert_string_equal(sparp__request_method(&built), methods[i][1]);
        CHECK(built.is_head == (strcmp(methods[i][1], "HEAD") == 0), "%s", methods[i][0]);
    }
}

static void test_replay_safe(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(twice); i++) {
        sparp_request request = twice[i].request;
        request.url = "http://a";
        CHECK(build_with(&request, twice[i].run, twice[i].num_run),
              "row %u: %s", (unsigned)i, fault.detail);
        CHECK(built.replay_safe == twice[i].safe, "row %u", (unsigned)i);
    }
}

/* --- memory --------------------------------------------------------------------------------- */

/* The n-th allocation fails, for every n until none does; then once more with all that follow. */
static void sweep(bool fail_on) {
    static char body[10000];
    sparp_field headers[100];
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        headers[i].name = "X-Long-Enough-To-Grow";
        headers[i].value = "0123456789012345678901234567890123456789";
    }
    sparp_request request = {.url = "http://u:p@a/b", QUERY({"q", "\xFF\xFF\xFF\xFF"}),
                             .body = body, .body_size = sizeof body,
                             .headers = headers, .num_headers = COUNT_OF(headers)};
    size_t n = 0;
    bool ok = false;
    while (!ok) {
        memory.calls = 0;
        memory.fail_at = ++n;
        memory.fail_on = fail_on;
        ok = build(&request);
        CHECK(ok || fault.error == SPARP_E_OUT_OF_MEMORY, "allocation %u", (unsigned)n);
        CHECK(ok || built.wire_size == 0, "allocation %u", (unsigned)n);
        CHECK(ok || *sparp__request_url(&built) == '\0', "allocation %u", (unsigned)n);
        CHECK(ok || *sparp__request_method(&built) == '\0', "allocation %u", (unsigned)n);
        sparp__buf_free(&env, &built.image);
        CHECK(test_memory_clean(&memory), "allocation %u", (unsigned)n);
        memset(&built, 0, sizeof built);
    }
    assert_true(n > 5);
    memory.fail_at = 0;
}

static void test_memory_failures(void **state) {
    (void)state;
    sweep(false);
    sweep(true);
}

/* The names of a refused request need memory too. */
static void test_memory_of_refused(void **state) {
    (void)state;
    char url[300] = "ftp://";
    memset(url + 6, 'a', sizeof url - 7);
    sparp_request request = {.url = url};
    memory.fail_at = 1;
    memory.fail_on = true;
    assert_false(build(&request));
    assert_int_equal(fault.error, SPARP_E_BAD_REQUEST);
    assert_string_equal(sparp__request_url(&built), "");
    assert_string_equal(sparp__request_method(&built), "");
    memory.fail_at = 0;
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, begin, end)

/* Lines for the next attempts: they come last, in the place of those of the same names and of
   those before; body and names stay. */
static void test_extended(void **state) {
    static const sparp_field first[] = {{"Range", "bytes=5-"}, {"If-Range", "\"a\""}};
    static const sparp_field second[] = {{"range", "bytes=9-"}};
    static const sparp_field bad[] = {{"A", "b\r\nc"}};
    sparp_request r = {.url = "http://h/x#y", BODY("hello"), HEADERS({"Range", "bytes=1-"})};
    sparp__buf old = {0};
    (void)state;
    assert_true(build(&r));
    size_t before = built.wire_size;
    for (int n = 1; n <= 3; n++) {      /* no memory: it is as it was */
        memory.fail_at = memory.calls + 1;
        assert_false(sparp__request_extend(&env, &built, first, 2, &old));
        assert_int_equal(built.wire_size, before);
    }
    memory.fail_at = 0;
    for (int round = 0; round < 2; round++) {
        const sparp_field *fields = round == 0 ? first : second;
        const char *lines = round == 0 ? "Range: bytes=5-\r\nIf-Range: \"a\"\r\n"
                                       : "range: bytes=9-\r\n";
        char expected[300];
        assert_true(sparp__request_extend(&env, &built, fields, round == 0 ? 2 : 1, &old));
        assert_true(old.size > 0);      /* what was shown of it stays for a while */
        int size = snprintf(expected, sizeof expected, "POST /x HTTP/1.1\r\nHost: h\r\n" USUAL
                            "Content-Length: 5\r\n%s\r\nhello", lines);
        assert_int_equal(built.wire_size, size);
        assert_memory_equal(built.image.data, expected, size);
        assert_int_equal(built.head_size, size - 5);
        assert_string_equal(sparp__request_url(&built), "http://h/x");
        assert_string_equal(sparp__request_final_url(&built), "http://h/x#y");
        assert_string_equal(sparp__request_method(&built), "POST");
    }
    assert_false(sparp__request_extend(&env, &built, bad, 1, &old));
    sparp__buf_free(&env, &old);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        CASE(test_images), CASE(test_binary_body), CASE(test_https), CASE(test_refused),
        CASE(test_refused_secret), CASE(test_method_bytes), CASE(test_name_bytes),
        CASE(test_value_bytes), CASE(test_query_bytes), CASE(test_url_bytes), CASE(test_basic),
        CASE(test_methods_are_raised), CASE(test_replay_safe), CASE(test_memory_failures),
        CASE(test_memory_of_refused),
        CASE(test_extended),
    };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}

/* Redirects on a scripted clock and a network inside the process: see ../fakenet.h.

   What each hop looked like on the wire is kept in wire[], in the order of arrival. */
#include "../fakenet.h"
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#include "../seen.h"

#define A "http://10.0.0.1"
#define B "http://10.0.0.2"
#define WIRE 64

/* --- what servers were sent, and results with their strings ------------------------------- */

static char wire[WIRE][2048];
static size_t num_wire;
static char final_urls[SEEN_MAX][128];
static char locations[SEEN_MAX][80];

static void record(const net_request *request, net_rule *answer) {
    if (num_wire < WIRE)
        snprintf(wire[num_wire++], sizeof wire[0], "%.*s", (int)request->size, request->text);
    net_choose(request, answer);
}

static void keep_strings(sparp *run, const sparp_result *r) {
    const char *location = sparp_find_header(r, "location");
    (void)run;
    snprintf(final_urls[r->index], sizeof final_urls[0], "%s", r->final_url);
    snprintf(locations[r->index], sizeof locations[0], "%s", location != NULL ? location : "");
}

static void prepare(void) {
    memset(wire, 0, sizeof wire);
    num_wire = 0;
    net.server = record;
    seen.on_result = keep_strings;
}

static double at(size_t i) {
    return (double)(net.requests[i].at - NET_BEGIN) / 1e9;
}

/* A 3xx as it stands on the wire; it lasts until 16 more are made. */
static const char *to(int status, const char *location) {
    static char texts[16][400];
    static int next;
    char *text = texts[next++ % 16];
    snprintf(text, sizeof texts[0], "HTTP/1.1 %d There\r\nLocation: %s\r\n"
             "Content-Length: 0\r\n\r\n", status, location);
    return text;
}

#define MOVED(lines) "HTTP/1.1 302 Moved\r\n" lines "Content-Length: 5\r\n\r\nmoved"

/* strstr() for field names, which come in any case. */
static const char *find_line(const char *text, const char *what) {
    for (size_t n = strlen(what); *text != '\0'; text++)
        if (strncasecmp(text, what, n) == 0)
            return text;
    return NULL;
}

static const char *body_of(size_t i) {
    const char *end = strstr(wire[i], "\r\n\r\n");
    return end != NULL ? end + 4 : "";
}

/* --- methods and bodies ------------------------------------------------------------------- */

static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};

static const struct {
    int status;
    const char *becomes[COUNT_OF(methods)];
} turns[] = {
    {301, {"GET", "HEAD", "GET", "PUT", "DELETE"}},
    {302, {"GET", "HEAD", "GET", "PUT", "DELETE"}},
    {303, {"GET", "HEAD", "GET", "GET", "GET"}},
    {307, {"GET", "HEAD", "POST", "PUT", "DELETE"}},
    {308, {"GET", "HEAD", "POST", "PUT", "DELETE"}},
};

static const sparp_field lines_of_body[] = {
    {"Content-Type", "text/x"}, {"content-encoding", "x"}, {"Content-Language", "de"},
    {"Content-Location", "/x"}, {"X-Own", "1"},
};

static void assert_hop(size_t i, const char *method, bool has_body, const char *what) {
    char start[40];
    snprintf(start, sizeof start, "%s /there HTTP/1.1\r\n", method);
    CHECK(strncmp(wire[i], start, strlen(start)) == 0, "%s: %s", what, wire[i]);
    CHECK(strstr(wire[i], "X-Own: 1\r\n") != NULL, "%s: %s", what, wire[i]);
    CHECK((find_line(wire[i], "\r\ncontent-") != NULL) == has_body, "%s: %s", what, wire[i]);
    CHECK(strcmp(body_of(i), has_body ? "hello" : "") == 0, "%s: %s", what, wire[i]);
}

static void test_status_and_method_say_how_it_goes_on(void **state) {
    (void)state;
    for (size_t s = 0; s < COUNT_OF(turns); s++)
        for (size_t m = 0; m < COUNT_OF(methods); m++)
            for (int kind = 0; kind < 2; kind++) {
                char what[80];
                bool sends = strcmp(methods[m], "POST") == 0 || strcmp(methods[m], "PUT") == 0;
                again();
                snprintf(what, sizeof what, "%d after %s", turns[s].status, methods[m]);
                net_answer("/here", 0.01, to(turns[s].status, kind == 0 ? "/there" : B "/there"));
                net_answer("/there", 0.01, NET_204);
                sparp_request *r = ask(methods[m], A "/here");
                r->headers = sends ? lines_of_body : lines_of_body + 4;
                r->num_headers = sends ? 5 : 1;
                r->body = sends ? "hello" : NULL;
                r->body_size = sends ? 5 : 0;
                sparp_stats stats = run();
                assert_outcome(0, SPARP_OUTCOME_SUCCESS);
                CHECK(num_wire == 2, "%s: %lu hops", what, (unsigned long)num_wire);
                assert_hop(1, turns[s].becomes[m],
                           sends && strcmp(turns[s].becomes[m], methods[m]) == 0, what);
                assert_int_equal(net.connects, kind + 1);
                assert_int_equal(stats.redirects, 1);
                assert_int_equal(seen.results[0].redirects, 1);
                assert_int_equal(seen.results[0].attempts, 1);
            }
}

static void test_json_goes_on_or_is_dropped_as_a_whole(void **state) {
    (void)state;
    for (int status = 307; status >= 303; status -= 4) {
        again();
        net_answer("/here", 0.01, to(status, "/there"));
        net_answer("/there", 0.01, NET_204);
        ask("POST", A "/here")->json = "{}";
        run();
        assert_int_equal(strstr(wire[1], "Content-Type: application/json\r\n") != NULL,
                         status == 307);
        assert_string_equal(body_of(1), status == 307 ? "{}" : "");
        assert_int_equal(strstr(wire[1], "Content-Length: 2\r\n") != NULL, status == 307);
    }
}

/* RFC 9110 §15.4 names them: they say something about a body that is not there any more. */
static void test_no_line_about_the_dropped_body_is_left(void **state) {
    (void)state;
    static const sparp_field fields[] = {
        {"Digest", "x"}, {"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"},
        {"Content-MD5", "x"}, {"Content-Digest", "x"}, {"Content-Range", "bytes 0-4/5"},
        {"Content-Disposition", "x"}, {"Expect", "100-continue"}, {"X-Content-Type", "kept"},
    };
    net_answer("/here", 0.01, to(303, "/there"));
    net_answer("/there", 0.01, NET_204);
    sparp_request *r = ask("POST", A "/here");
    r->body = "hello";
    r->body_size = 5;
    r->headers = fields;
    r->num_headers = COUNT_OF(fields);
    run();
    assert_null(find_line(wire[1], "\r\ndigest"));
    assert_null(find_line(wire[1], "\r\nlast-modified"));
    assert_null(find_line(wire[1], "\r\ncontent-"));
    assert_null(find_line(wire[1], "\r\nexpect"));
    assert_non_null(strstr(wire[1], "\r\nX-Content-Type: kept\r\n"));
}

/* --- where it leads ----------------------------------------------------------------------- */

static const struct {
    const char *base, *location, *host, *target, *final_url;
} places[] = {
    {A "/d/a?q=1#f", "/x", "10.0.0.1", "/x", A "/x#f"},
    {A "/d/a?q=1#f", "x", "10.0.0.1", "/d/x", A "/d/x#f"},
    {A "/d/a?q=1#f", "../x", "10.0.0.1", "/x", A "/x#f"},
    {A "/d/a?q=1#f", "./x/../y", "10.0.0.1", "/d/y", A "/d/y#f"},
    {A "/d/a?q=1#f", "//10.0.0.2/x", "10.0.0.2", "/x", B "/x#f"},
    {A "/d/a?q=1#f", B, "10.0.0.2", "/", B "/#f"},
    {A "/d/a?q=1#f", B "/x#g", "10.0.0.2", "/x", B "/x#g"},
    {A "/d/a?q=1#f", "HTTP://10.0.0.2/x", "10.0.0.2", "/x", B "/x#f"},
    {A "/d/a?q=1#f", "?q=2", "10.0.0.1", "/d/a?q=2", A "/d/a?q=2#f"},
    {A "/d/a?q=1#f", "#g", "10.0.0.1", "/d/a?q=1", A "/d/a?q=1#g"},
    {A "/d/a?q=1", "x#", "10.0.0.1", "/d/x", A "/d/x"},
    {A "/d/a", A ":80/x", "10.0.0.1", "/x", A "/x"},
    {A "/d/a", A ":81/x", "10.0.0.1", "/x", A ":81/x"},
    {A ":81/d/a", "/x", "10.0.0.1", "/x", A ":81/x"},
    {A "/d/a", "/x%0d%0aX-Evil:%201", "10.0.0.1", "/x%0d%0aX-Evil:%201",
     A "/x%0d%0aX-Evil:%201"},
    {A "/d/a", "/\xc3\xa4", "10.0.0.1", "/%C3%A4", A "/%C3%A4"},
    {A "/d/a", "  /x  ", "10.0.0.1", "/x", A "/x"},
    {A, "x", "10.0.0.1", "/x", A "/x"},
    {A "/d/a", "/x?u=http://h/&v=a@b", "10.0.0.1", "/x?u=http://h/&v=a@b",
     A "/x?u=http://h/&v=a@b"},
    {"http://u:p@10.0.0.1/d/a", "x", "10.0.0.1", "/d/x", A "/d/x"},
    {"http://u:p@10.0.0.1/d/a", "?q", "10.0.0.1", "/d/a?q", A "/d/a?q"},
};

static size_t hop_number;
static const char *hop_answer;

static void redirect_first(const net_request *request, net_rule *answer) {
    record(request, answer);
    answer->bytes = hop_number++ == 0 ? hop_answer : NET_204;
    answer->size = strlen(answer->bytes);
}

static void test_location_is_resolved_against_the_url(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        char start[100];
        again();
        hop_number = 0;
        hop_answer = to(302, places[i].location);
        net.server = redirect_first;
        get(places[i].base);
        run();
        snprintf(start, sizeof start, "GET %s HTTP/1.1\r\n", places[i].target);
        CHECK(seen.results[0].outcome == SPARP_OUTCOME_SUCCESS && num_wire == 2, "%s: %s",
              places[i].location, details[0]);
        CHECK(strncmp(wire[1], start, strlen(start)) == 0, "%s: %s", places[i].location, wire[1]);
        CHECK(strcmp(net.requests[1].host, places[i].host) == 0, "%s", places[i].location);
        CHECK(strcmp(final_urls[0], places[i].final_url) == 0, "%s: %s", places[i].location,
              final_urls[0]);
    }
}

/* An empty Location is the same url again: it ends when there have been enough. */
static void test_an_empty_location_leads_to_itself(void **state) {
    (void)state;
    net_answer("/here", 0.01, to(302, ""));
    options.max_redirects = 2;
    get(A "/here");
    run();
    assert_outcome(0, SPARP_OUTCOME_LOCAL_FAILED);
    assert_int_equal(seen.results[0].error, SPARP_E_REDIRECT_REFUSED);
    assert_int_equal(net_count("/here"), 3);
}

static void test_parameters_of_the_request_do_not_follow(void **state) {
    (void)state;
    static const sparp_field query = {"k", "v"};
    net_answer("/here?k=v", 0.01, to(302, "there"));
    net_answer("/here?k=v", 0.01, NET_404);
    net_answer("/there", 0.01, NET_204);
    sparp_request *r = get(A "/here");
    r->query = &query;
    r->num_query = 1;
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_string_equal(final_urls[0], A "/there");
}

static void test_a_name_is_looked_up_at_its_hop(void **state) {
    (void)state;
    net_lookup("b.test", "10.0.0.2", 0);
    net.lookup_s = 0.5;
    net_answer("/here", 0.01, to(302, "http://B.test/there"));
    net_answer("/there", 0.01, NET_204);
    get(A "/here");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_non_null(find_line(wire[1], "\r\nHost: b.test\r\n"));
    assert_near(net_now(), 0.52, 0.002);
}

/* --- whom the secrets are for -------------------------------------------------------------- */

static const sparp_field secrets[] = {
    {"Authorization", "Bearer 1"}, {"cookie", "c=1"}, {"X-API-key", "k"}, {"X-Token", "t"},
    {"X-Tokens", "kept"}, {"Host", "virtual.test"}, {"Accept", "a/b"}, {"User-Agent", "mine"},
};

static void ask_with_secrets(const char *url) {
    sparp_request *r = get(url);
    r->headers = secrets;
    r->num_headers = COUNT_OF(secrets);
}

static void assert_secrets(size_t i, bool there) {
    static const char *const names[] = {"\r\nAuthorization: Bearer 1\r\n", "\r\ncookie: c=1\r\n",
                                        "\r\nX-API-key: k\r\n", "\r\nX-Token: t\r\n",
                                        "\r\nHost: virtual.test\r\n"};
    for (size_t n = 0; n < COUNT_OF(names); n++)
        CHECK((strstr(wire[i], names[n]) != NULL) == there, "hop %lu, %s: %s", (unsigned long)i,
              names[n] + 2, wire[i]);
    CHECK(strstr(wire[i], "\r\nX-Tokens: kept\r\n") != NULL, "%s", wire[i]);
    CHECK(strstr(wire[i], "\r\nAccept: a/b\r\n") != NULL, "%s", wire[i]);
    CHECK(strstr(wire[i], "\r\nUser-Agent: mine\r\n") != NULL, "%s", wire[i]);
    const char *host = find_line(wire[i], "\r\nhost:");
    CHECK(host != NULL && find_line(host + 2, "\r\nhost:") == NULL, "%s", wire[i]);
}

static void test_secrets_stay_at_their_origin(void **state) {
    (void)state;
    static const char *const away[] = {B "/2", A ":81/2", "http://10.0.0.1.:80/2"};
    for (size_t i = 0; i < COUNT_OF(away) - 1; i++) {
        again();
        net_answer("/0", 0.01, to(301, "1"));
        net_answer("/1", 0.01, to(301, away[i]));
        net_answer("/2", 0.01, to(301, "/3"));
        net_answer("/3", 0.01, to(301, A "/4"));
        net_answer("/4", 0.01, NET_204);
        options.sensitive_headers = "x-api-KEY, x-token";
        ask_with_secrets(A "/0");
        run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        assert_int_equal(num_wire, 5);
        for (size_t hop = 0; hop < 5; hop++)        /* what was dropped does not come back */
            assert_secrets(hop, hop < 2);
        assert_non_null(strstr(wire[4], "\r\nHost: 10.0.0.1\r\n"));
    }
    assert_non_null(strstr(wire[2], "\r\nHost: 10.0.0.1:81\r\n"));
}

static void test_only_what_is_listed_is_sensitive(void **state) {
    (void)state;
    net_answer("/0", 0.01, to(301, B "/1"));
    net_answer("/1", 0.01, NET_204);
    options.headers = secrets;
    options.num_headers = COUNT_OF(secrets);
    get(A "/0");
    run();
    assert_null(strstr(wire[1], "Authorization"));
    assert_null(strstr(wire[1], "cookie"));
    assert_null(strstr(wire[1], "virtual"));
    assert_non_null(strstr(wire[1], "\r\nX-API-key: k\r\n"));
    assert_non_null(strstr(wire[1], "\r\nX-Token: t\r\n"));
}

static void test_credentials_of_the_url_stay_at_their_origin(void **state) {
    (void)state;
    static const char line[] = "\r\nAuthorization: Basic dTpw\r\n";
    net_answer("/d/0", 0.01, to(302, "1"));
    net_answer("/d/1", 0.01, to(302, A "/d/2"));
    net_answer("/d/2", 0.01, to(302, B "/3"));
    net_answer("/3", 0.01, to(302, A "/4"));
    net_answer("/4", 0.01, NET_204);
    get("http://u:p@10.0.0.1/d/0");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    for (size_t i = 0; i < 5; i++)
        CHECK((strstr(wire[i], line) != NULL) == (i < 3), "hop %lu: %s", (unsigned long)i,
              wire[i]);
}

/* --- what is not followed ------------------------------------------------------------------ */

static const struct {
    const char *lines;
    const char *in_detail;
} refusals[] = {
    {"Location: ftp://10.0.0.1/x\r\n", "scheme"},
    {"Location: file:///etc/passwd\r\n", "scheme"},
    {"Location: javascript:alert(1)\r\n", "scheme"},
    {"Location: http:x\r\n", ""},
    {"Location: http://u:p@10.0.0.2/x\r\n", "credentials"},
    {"Location: http://u@10.0.0.2/x\r\n", "credentials"},
    {"Location: //u:p@10.0.0.2/x\r\n", "credentials"},
    {"Location: http:///x\r\n", ""},
    {"Location: http://\r\n", ""},
    {"Location: http://10.0.0.2:99999/x\r\n", ""},
    {"Location: http://10.0.0.2:0x/x\r\n", ""},
    {"Location: http://[::1/x\r\n", ""},
    {"Location: http://a b/x\r\n", ""},
    {"Location: http://a_\x01/x\r\n", ""},
    {"Location: /x\r\nlocation: /y\r\n", "two"},
};

static void test_a_refused_redirect_is_the_result(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        char text[300];
        again();
        snprintf(text, sizeof text, MOVED("%s"), refusals[i].lines);
        net_answer("/here", 0.01, text);
        ask("POST", A "/here");
        sparp_stats s = run();
        CHECK(seen.results[0].error == SPARP_E_REDIRECT_REFUSED, "%s: %s", refusals[i].lines,
              sparp_error_name(seen.results[0].error));
        assert_outcome(0, SPARP_OUTCOME_LOCAL_FAILED);
        assert_int_equal(net.num_requests, 1);
        assert_int_equal(seen.results[0].status, 302);
        assert_string_equal(seen.bodies[0], "moved");
        assert_int_equal(seen.results[0].redirects, 0);
        assert_int_equal(s.redirects, 0);
        assert_int_equal(seen.results[0].attempts, 1);
        assert_true(locations[0][0] != '\0');
        assert_string_equal(final_urls[0], A "/here");
        CHECK(strstr(details[0], refusals[i].in_detail) != NULL, "%s", details[0]);
        CHECK(strstr(details[0], "u:p") == NULL, "%s", details[0]);
        assert_false(seen.results[0].maybe_applied);    /* the answer is there */
    }
}

static void test_two_equal_locations_are_one(void **state) {
    (void)state;
    net_answer("/here", 0.01, MOVED("Location: /x\r\nLocation: /x\r\n"));
    net_answer("/x", 0.01, NET_204);
    get(A "/here");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
}

/* No TLS server here: the question is put to the function that answers it. */
static void test_https_never_leads_to_http(void **state) {
    (void)state;
    sparp__url url;
    sparp__str plain = sparp__str_of(A "/x"), secure = sparp__str_of("https://10.0.0.1/x");
    assert_non_null(sparp__judge_target(plain, true, &url));
    assert_null(sparp__judge_target(plain, false, &url));
    assert_null(sparp__judge_target(secure, false, &url));
    assert_null(sparp__judge_target(secure, true, &url));
    static sparp__task t;
    sparp__request hop;
    memset(&hop, 0, sizeof hop);
    hop.https = true;                   /* http, then https, then http: the last hop counts */
    t.hop = &hop;
    t.on_hop = true;
    assert_true(sparp__task_wire(&t)->https);
}

static const struct {
    int limit, hops;
} limits[] = {{1, 1}, {3, 3}, {0, 10}};

static void test_so_many_and_no_more(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        again();
        net_answer("/loop", 0.01, MOVED("Location: /loop\r\n"));
        options.max_redirects = limits[i].limit;
        get(A "/loop");
        sparp_stats s = run();
        assert_outcome(0, SPARP_OUTCOME_LOCAL_FAILED);
        assert_int_equal(seen.results[0].error, SPARP_E_REDIRECT_REFUSED);
        assert_int_equal(seen.results[0].status, 302);
        assert_string_equal(seen.bodies[0], "moved");
        assert_int_equal(net_count("/loop"), limits[i].hops + 1);
        assert_int_equal(seen.results[0].redirects, limits[i].hops);
        assert_int_equal(s.redirects, limits[i].hops);
        assert_int_equal(net.connects, 1);
        CHECK(strstr(details[0], "redirects") != NULL, "%s", details[0]);
    }
}

static size_t asked, parsed;
static int asked_redirects;
static char asked_url[80];

static sparp_verdict count_asked(const sparp_result *response, void *user_data) {
    (void)user_data;
    asked++;
    asked_redirects = response->redirects;
    snprintf(asked_url, sizeof asked_url, "%s", response->final_url);
    return response->status == 200 ? SPARP_SUCCESS : SPARP_HARD_FAIL;
}

static void *count_parsed(const sparp_result *response, void *user_data) {
    (void)user_data;
    (void)response;
    parsed++;
    return NULL;
}

static const struct {
    const char *answer;
    int max_redirects;
} no_redirects[] = {
    {"HTTP/1.1 302 Moved\r\nContent-Length: 0\r\n\r\n", 0},     /* leads nowhere */
    {"HTTP/1.1 302 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", SPARP_NONE},
    {"HTTP/1.1 302 Moved\r\nLocation: ftp:x\r\nContent-Length: 0\r\n\r\n", SPARP_NONE},
    {"HTTP/1.1 300 Choose\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 0},
    {"HTTP/1.1 304 Same\r\nLocation: /x\r\n\r\n", 0},
    {"HTTP/1.1 305 Proxy\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 0},
    {"HTTP/1.1 306 Old\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 0},
    {"HTTP/1.1 201 Made\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 0},
};

static void test_other_responses_with_a_location_are_judged(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(no_redirects); i++)
        for (int own = 0; own < 2; own++) {
            again();
            asked = 0;
            net_answer("/here", 0.01, no_redirects[i].answer);
            options.max_redirects = no_redirects[i].max_redirects;
            options.inspect = own ? count_asked : NULL;
            get(A "/here");
            sparp_stats s = run();
            assert_outcome(0, own ? SPARP_OUTCOME_HARD_FAIL : SPARP_OUTCOME_SUCCESS);
            assert_int_equal(asked, own);
            assert_int_equal(net.num_requests, 1);
            assert_int_equal(s.redirects, 0);
            assert_int_equal(seen.results[0].error, SPARP_E_OK);
        }
}

static void test_the_inspector_sees_the_last_one_alone(void **state) {
    (void)state;
    net_answer("/here", 0.01, to(302, "/x"));
    net_answer("/x", 0.01, to(302, "/y"));
    net_answer("/y", 0.01, NET_200);
    asked = parsed = 0;
    options.inspect = count_asked;
    options.parse = count_parsed;
    get(A "/here");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(asked, 1);
    assert_int_equal(parsed, 1);
    assert_int_equal(asked_redirects, 2);
    assert_string_equal(asked_url, A "/y");
    assert_string_equal(seen.bodies[0], "ok");
}

/* --- who is told of them -------------------------------------------------------------------- */

static char hops[16][160];
static size_t num_hops;

static void note_hop(sparp *run, const sparp_result *hop, void *user_data) {
    const char *location = sparp_find_header(hop, "location");
    (void)user_data;
    seen_check_moment(run);
    assert_int_equal(hop->body[hop->body_size], '\0');
    if (num_hops < COUNT_OF(hops))
        snprintf(hops[num_hops++], sizeof hops[0], "%d: %d %s %s, %d, %s%s",
                 (int)hop->index, hop->status, location != NULL ? location : "-", hop->final_url,
                 hop->redirects, hop->body, hop->body_complete ? "" : "...");
}

static void test_each_hop_is_told_of(void **state) {
    (void)state;
    num_hops = 0;
    net_answer("/here", 0.01, MOVED("Location: /x\r\n"));
    net_answer("/x", 0.03, to(307, B "/y"));
    net_answer("/y", 0.01, NET_503);
    net_answer("/y", 0.01, NET_200);
    net_answer("/one", 0.02, MOVED("Location: ftp://10.0.0.1/\r\n"));
    options.on_redirect = note_hop;
    get(A "/here");
    get(A "/one");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_outcome(1, SPARP_OUTCOME_LOCAL_FAILED);      /* which no hop follows */
    assert_int_equal(num_hops, 4);
    assert_string_equal(hops[0], "0: 302 /x " A "/x, 1, moved");
    assert_string_equal(hops[1], "0: 307 " B "/y " B "/y, 2, ");
    assert_string_equal(hops[2], hops[0]);              /* of the next attempt */
    assert_string_equal(hops[3], hops[1]);
}

static void test_a_417_that_is_asked_again_is_told_of(void **state) {
    static const sparp_field expect = {"Expect", "100-continue"};
    (void)state;
    num_hops = 0;
    net_answer("/a", 0.01, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
    net_answer("/a", 0.01, NET_200);
    options.on_redirect = note_hop;
    sparp_request *r = ask("PUT", A "/a");
    r->body = "hello";
    r->body_size = 5;
    r->headers = &expect;
    r->num_headers = 1;
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(num_hops, 1);
    assert_string_equal(hops[0], "0: 417 - " A "/a, 0, ");
}

static void test_a_hard_fail_behind_a_redirect(void **state) {
    (void)state;
    net_answer("/here", 0.01, to(302, "/gone"));
    get(A "/here");
    run();
    assert_outcome(0, SPARP_OUTCOME_HARD_FAIL);
    assert_int_equal(seen.results[0].status, 404);
    assert_string_equal(final_urls[0], A "/gone");
    assert_string_equal(seen.bodies[0], "no");
}

/* --- the redirect's own body ----------------------------------------------------------------- */

static char large[80 * 1024];

static const char *large_answer(const char *framing, size_t size) {
    size_t head = (size_t)sprintf(large, "HTTP/1.1 302 Moved\r\nLocation: /x\r\n%s\r\n", framing);
    memset(large + head, 'm', size);
    large[head + size] = '\0';
    return large;
}

static void follow_from(const char *answer, size_t size, net_then then, int connects) {
    again();
    net_rule *rule = net_answer_bytes("/here", 0.01, answer, size);
    rule->then = then;
    rule->piece = 16 * 1024;
    rule->gap_s = 0.001;
    net_answer("/x", 0.01, NET_200);
    get(A "/here");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_string_equal(seen.bodies[0], "ok");
    assert_int_equal(seen.results[0].body_size, 2);
    CHECK(net.connects == connects, "%d connections for %.80s", net.connects, answer);
}

static void test_the_body_of_a_redirect_does_not_matter(void **state) {
    (void)state;
    const char *small = MOVED("Location: /x\r\n");
    follow_from(small, strlen(small), NET_KEEP, 1);
    follow_from(small, strlen(small) - 2, NET_FIN, 2);
    follow_from(small, strlen(small) - 2, NET_RST, 2);
    small = "HTTP/1.1 302 Moved\r\nLocation: /x\r\n\r\nuntil the end";
    follow_from(small, strlen(small), NET_FIN, 2);
    small = "HTTP/1.1 302 Moved\r\nLocation: /x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    follow_from(small, strlen(small), NET_KEEP, 2);
    small = "HTTP/1.1 302 Moved\r\nLocation: /x\r\nTransfer-Encoding: chunked\r\n\r\n"
            "2\r\nab\r\n0\r\n\r\n";
    follow_from(small, strlen(small), NET_KEEP, 1);
    large_answer("Content-Length: 60000\r\n", 60000);
    follow_from(large, strlen(large), NET_KEEP, 1);
    large_answer("Content-Length: 70000\r\n", 70000);
    follow_from(large, strlen(large), NET_KEEP, 2);
    assert_true(seen.results[0].bytes_in < 20000);      /* its length is told: none is read */
    large_answer("", 70000);
    follow_from(large, strlen(large), NET_KEEP, 2);
}

/* Nobody is given that body: neither its limit nor on_body has to do with it. */
static void test_max_body_bytes_is_not_about_redirects(void **state) {
    (void)state;
    options.max_body_bytes = 2;
    for (int truncate = 0; truncate < 2; truncate++) {
        options.truncate_body = truncate == 1;
        const char *small = MOVED("Location: /x\r\n");
        follow_from(small, strlen(small), NET_KEEP, 1);
        assert_false(seen.results[0].truncated);
    }
}

/* The prefix that was read is there, and nothing says that it is all. */
static void test_a_refused_redirect_with_a_large_body(void **state) {
    (void)state;
    sprintf(large, "HTTP/1.1 302 Moved\r\nLocation: ftp:y\r\nContent-Length: 70000\r\n\r\n");
    net_answer("/here", 0.01, large)->piece = 16 * 1024;
    get(A "/here");
    run();
    assert_outcome(0, SPARP_OUTCOME_LOCAL_FAILED);
    assert_int_equal(seen.results[0].error, SPARP_E_REDIRECT_REFUSED);
    assert_false(seen.results[0].body_complete);
    assert_false(seen.results[0].truncated);            /* nobody asked for a part */
}

/* --- pace, gate, caps, clocks ---------------------------------------------------------------- */

static void test_every_hop_takes_a_token(void **state) {
    (void)state;
    net_answer("/0", 0.01, to(302, "/1"));
    net_answer("/1", 0.01, to(302, B "/2"));
    net_answer("/2", 0.01, NET_200);
    options.max_per_second = 1;
    options.timeout_s = 0.5;            /* waiting for tokens is no part of it */
    get(A "/0");
    get(A "/0");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_outcome(1, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(net.num_requests, 6);
    for (size_t i = 0; i < 6; i++)
        assert_near(at(i), (double)i, 0.02);
    assert_int_equal(net_most_within(1.0), 1);
    assert_string_equal(net.requests[1].path, "/1");    /* before those that come new */
    assert_near((double)seen.results[0].wait_us[SPARP_WAIT_RATE] / 1e6, 1.98, 0.02);
}

static void test_the_origin_of_a_hop_has_its_own_pace(void **state) {
    (void)state;
    net_answer("/a", 0.01, to(302, B "/b"));
    net_answer("/b", 0.01, NET_200);
    options.max_per_second_per_origin = 2;
    for (int i = 0; i < 3; i++)
        get(A "/a");
    run();
    assert_int_equal(net.num_requests, 6);
    double last_a = -1, last_b = -1;
    for (size_t i = 0; i < 6; i++) {
        double *last = strcmp(net.requests[i].path, "/a") == 0 ? &last_a : &last_b;
        assert_true(*last < 0 || at(i) - *last >= 0.499);
        *last = at(i);
    }
    assert_near(last_b, 1.01, 0.03);
}

static void test_a_closed_gate_holds_the_hop(void **state) {
    (void)state;
    net_answer("/busy", 0.01, "HTTP/1.1 429 Slow\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n");
    net_answer("/busy", 0.01, NET_200);
    net_answer("/a", 0.1, to(302, B "/b"));
    net_answer("/b", 0.01, NET_200);
    net_answer("/other", 0.01, NET_200);
    options.max_at_once = 1;
    options.timeout_s = 1;
    get(B "/busy");
    get(A "/a");
    get(A "/other");
    run();
    for (size_t i = 0; i < 3; i++)
        assert_outcome(i, SPARP_OUTCOME_SUCCESS);
    assert_true(seen.at[2] < 0.2);      /* the slot is free meanwhile */
    assert_true(seen.at[1] >= 5.0);
    assert_true(at(3) >= 5.0 && at(4) >= 5.0);
    assert_near((double)seen.results[1].wait_us[SPARP_WAIT_GATE] / 1e6, 4.9, 0.1);
    assert_true(seen.results[1].elapsed_us < 300000);
}

static void test_the_cap_of_the_other_origin_holds_the_hop(void **state) {
    (void)state;
    net_answer("/a", 0.1, to(302, B "/b"));
    net_answer("/b", 0.01, NET_200);
    net_answer("/long", 3, NET_200);
    options.max_at_once_per_origin = 1;
    options.timeout_s = 3.5;
    get(B "/long");
    get(A "/a");
    get(A "/a");
    run();
    for (size_t i = 0; i < 3; i++)
        assert_outcome(i, SPARP_OUTCOME_SUCCESS);
    assert_near(seen.at[1], 3.01, 0.02);
    assert_near(seen.at[2], 3.02, 0.02);
    assert_near((double)seen.results[1].wait_us[SPARP_WAIT_ORIGIN] / 1e6, 2.9, 0.05);
}

static void test_one_at_once_and_many_hops(void **state) {
    (void)state;
    net_answer("/0", 0.01, to(302, B "/1"));
    net_answer("/1", 0.01, to(302, A "/2"));
    net_answer("/2", 0.01, NET_200);
    options.max_at_once = options.max_at_once_per_origin = 1;
    for (int i = 0; i < 20; i++)
        get(A "/0");
    run();
    for (size_t i = 0; i < 20; i++) {
        assert_outcome(i, SPARP_OUTCOME_SUCCESS);
        assert_int_equal(seen.order[i], i);     /* one that goes on is before the others */
    }
    assert_int_equal(net.most_at_once, 1);
    assert_near(net_now(), 0.6, 0.01);
}

/* It has begun: it is before those that are tried again, too. */
static void test_a_hop_is_before_the_retries(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++)
        net_answer("/soft", 0.01, NET_503);
    net_answer("/soft", 0.01, NET_200);
    net_answer("/0", 0.05, to(302, B "/1"));
    net_answer("/1", 0.01, NET_200);
    options.max_per_second = 10;
    options.burst = 6;
    options.backoff_s = SPARP_NONE;
    for (int i = 0; i < 5; i++)
        get(A "/soft");
    get(A "/0");
    run();
    assert_int_equal(net.num_requests, 12);
    assert_string_equal(net.requests[6].path, "/1");
}

static void test_the_timeout_is_for_all_hops(void **state) {
    (void)state;
    net_answer("/a", 0.6, to(302, "/b"));
    net_answer("/b", 0.6, NET_200);
    options.timeout_s = 1;
    options.max_retries_by_timeout = 1;
    options.backoff_s = SPARP_NONE;
    get(A "/a");
    sparp_stats s = run();
    assert_outcome(0, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
    assert_int_equal(seen.results[0].error, SPARP_E_TIMEOUT);
    assert_int_equal(net.num_requests, 4);
    assert_near(net_now(), 2.0, 0.001);
    assert_int_equal(s.redirects, 2);
    assert_int_equal(seen.results[0].redirects, 1);
    assert_near((double)seen.results[0].elapsed_us / 1e6, 1.0, 0.001);
}

static void test_a_deadline_passes_before_a_hop(void **state) {
    (void)state;
    for (int parked = 0; parked < 2; parked++) {
        again();
        net_answer("/a", 0.01, "HTTP/1.1 302 Moved\r\nLocation: " B "/b\r\n"
                   "Content-Length: 70000\r\n\r\n");          /* of which none is read */
        net_answer("/b", 0.01, NET_200);
        options.max_per_second = parked ? 0 : 0.1;
        options.max_per_second_per_origin = parked ? 0.1 : 0;
        if (parked)
            get(B "/b");
        get(A "/a")->deadline_s = 3;
        run();
        size_t i = parked ? 1 : 0;
        assert_outcome(i, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
        assert_int_equal(seen.results[i].error, SPARP_E_TIMEOUT);
        assert_near(seen.at[i], 3.0, 0.001);
        assert_true(strstr(details[i], "deadline") != NULL);
        assert_int_equal(net_count("/a"), 1);
        assert_int_equal(seen.results[i].status, 0);    /* of the hop that was not made */
        assert_int_equal(seen.results[i].body_size, 0);
        assert_false(seen.results[i].truncated);
        assert_int_equal(seen.results[i].attempts, 1);
    }
}

/* --- the end of a run ------------------------------------------------------------------------ */

static void stop_at_first(sparp *run, const sparp_result *result) {
    keep_strings(run, result);
    if (result->index == 0)
        sparp_stop(run);
}

static void test_a_stop_lets_hops_go_on_or_not(void **state) {
    (void)state;
    for (int drains = 0; drains < 2; drains++)
        for (int waits = 0; waits < 3; waits++) {       /* the second hop flies, or waits: */
            again();
            net_answer("/first", 0.11, NET_200);
            net_answer("/a", 0.05, to(302, B "/b"));
            net_answer("/b", 0.1, to(302, B "/c"));
            net_answer("/c", 0.1, NET_200);
            options.stop_drains = drains == 1;
            options.max_per_second_per_origin = waits == 1 ? 5 : 0;     /* for its origin */
            options.max_per_second = waits == 2 ? 5 : 0;                /* for its token */
            options.burst = waits == 2 ? 2 : 0;
            seen.on_result = stop_at_first;
            get("http://10.0.0.3/first");
            get(A "/a");
            if (waits == 1)
                get(B "/c");
            run();
            assert_outcome(0, SPARP_OUTCOME_SUCCESS);
            assert_outcome(1, drains ? SPARP_OUTCOME_SUCCESS : SPARP_OUTCOME_CANCELLED);
            assert_int_equal(net_count("/b"), drains || !waits);
            if (!drains)
                assert_near(seen.at[1], 0.11, 0.001);
        }
}

/* Draining starts nothing new: a retry behind a redirect is none that flies. */
static void test_a_drained_hop_is_not_tried_again(void **state) {
    (void)state;
    net_answer("/first", 0.02, NET_200);
    net_answer("/a", 0.05, to(302, B "/b"));
    net_answer("/b", 0.1, NET_503);
    options.stop_drains = true;
    seen.on_result = stop_at_first;
    get("http://10.0.0.3/first");
    get(A "/a");
    get(A "/a");
    run();
    assert_int_equal(net_count("/b"), 2);
    assert_near(net_now(), 0.15, 0.001);
}

static void cancel_second(sparp *run, const sparp_result *result) {
    keep_strings(run, result);
    if (result->index == 0)
        sparp_cancel(run, 1);
}

static void test_a_waiting_hop_can_be_cancelled(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {      /* flies; waits for the rate; at its origin */
        again();
        net_answer("/first", 0.31, NET_200);
        net_answer("/a", 0.01, MOVED("Location: " B "/b\r\n"));
        net_answer("/b", 1, NET_200);
        net_answer("/c", 1, NET_200);
        options.max_per_second = kind == 1 ? 5 : 0;
        options.max_per_second_per_origin = kind == 2 ? 1 : 0;
        seen.on_result = cancel_second;
        get("http://10.0.0.3/first");
        get(A "/a");
        if (kind == 2)
            get(B "/c");
        run();
        assert_outcome(1, SPARP_OUTCOME_CANCELLED);
        assert_near(seen.at[1], 0.31, 0.001);
        assert_int_equal(net_count("/b"), kind == 0);
        assert_int_equal(seen.results[1].error, SPARP_E_CANCELLED);
        assert_int_equal(seen.results[1].body_size, 0);
        assert_int_equal(seen.results[1].status, 0);
    }
}

static void test_closing_early_in_the_middle_of_a_chain(void **state) {
    (void)state;
    for (int turns_made = 0; turns_made < 40; turns_made++) {
        again();
        net_answer("/0", 0.003, to(302, B "/1"));
        net_answer("/1", 0.003, to(302, A "/2"));
        net_answer("/2", 0.003, NET_200);
        get(A "/0");
        options.max_per_second = 200;
        sparp *one = seen_open();
        for (int i = 0; i < turns_made; i++)
            sparp_step(one, 1);
        sparp_close(one);
        seen_check_clean();
    }
}

/* --- tried again ----------------------------------------------------------------------------- */

static void assert_paths(const char *const *paths, size_t count) {
    CHECK(net.num_requests == count, "%lu requests", (unsigned long)net.num_requests);
    for (size_t i = 0; i < count; i++)
        CHECK(strcmp(net.requests[i].path, paths[i]) == 0, "request %lu is for %s",
              (unsigned long)i, net.requests[i].path);
}

static void test_a_retry_begins_at_the_first_url(void **state) {
    (void)state;
    static const char *const paths[] = {"/a", "/b", "/c", "/a", "/b", "/c"};
    static const sparp_field auth = {"Authorization", "x"};
    for (int kind = 0; kind < 3; kind++) {
        again();
        net_answer("/a", 0.01, to(307, B "/b"));
        net_answer("/b", 0.01, to(307, "/c"));
        if (kind == 0)
            net_answer("/c", 0.01, NET_503);
        else if (kind == 1)
            net_answer("/c", 0, NET_SILENCE);
        else
            net_answer_then("/c", 0.01, "HTTP/1.1 200 OK\r\n", NET_RST);
        net_answer("/c", 0.01, NET_200);
        options.timeout_s = 1;
        sparp_request *r = ask("PUT", A "/a");
        r->body = "hello";
        r->body_size = 5;
        r->headers = &auth;
        r->num_headers = 1;
        sparp_stats s = run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        assert_paths(paths, 6);
        for (size_t i = 0; i < 6; i++) {
            assert_string_equal(body_of(i), "hello");
            assert_int_equal(strstr(wire[i], "Authorization") != NULL, i % 3 == 0);
        }
        assert_int_equal(seen.results[0].attempts, 2);
        assert_int_equal(seen.results[0].redirects, 2);
        assert_int_equal(s.redirects, 4);
        assert_string_equal(final_urls[0], B "/c");
    }
}

/* In the end it leads elsewhere, or nowhere at all: what the last attempt did is what counts. */
static void test_the_result_tells_of_the_last_attempt(void **state) {
    (void)state;
    net_answer("/a", 0.01, to(302, B "/b"));
    net_answer("/a", 0.01, NET_200);
    net_answer("/b", 0.01, NET_503);
    get(A "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(seen.results[0].redirects, 0);
    assert_string_equal(final_urls[0], A "/a");
}

static void test_429_behind_a_redirect_closes_the_gate_there(void **state) {
    (void)state;
    net_answer("/a", 0.01, to(302, B "/b"));
    net_answer("/b", 0.01, "HTTP/1.1 429 Slow\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n");
    net_answer("/b", 0.01, NET_200);
    net_answer("/c", 0.01, NET_200);
    net_answer("/d", 0.01, NET_200);
    options.max_at_once = 1;
    get(A "/a");
    get(B "/c");
    get(A "/d");
    run();
    for (size_t i = 0; i < 3; i++)
        assert_outcome(i, SPARP_OUTCOME_SUCCESS);
    assert_true(seen.at[1] >= 5);       /* held back at B */
    assert_true(seen.at[2] < 0.1);      /* A goes on */
    assert_int_equal(net_count("/a"), 2);
    assert_int_equal(seen.results[0].soft_retries, 1);
}

static void test_a_stale_connection_at_a_hop_is_replayed(void **state) {
    (void)state;
    for (int post = 0; post < 2; post++) {
        again();
        net_answer("/warm", 0.005, NET_200);
        net_answer("/a", 0.01, to(303, B "/b"));
        net_answer_then("/b", 0.01, NET_SILENCE, NET_FIN);
        net_answer("/b", 0.01, NET_200);
        get(B "/warm");
        sparp_request *r = ask(post ? "POST" : "GET", A "/a");
        r->body = post ? "x" : NULL;
        r->body_size = post ? 1 : 0;
        run();
        assert_outcome(1, SPARP_OUTCOME_SUCCESS);
        assert_int_equal(seen.results[1].replays, 1);
        assert_int_equal(seen.results[1].attempts, 1);
        assert_int_equal(net_count("/b"), 2);
        assert_int_equal(net_count("/a"), 1);
    }
}

/* With its body, a POST is not sent twice. */
static void test_a_stale_connection_at_a_307_of_a_post(void **state) {
    (void)state;
    net_answer("/warm", 0.005, NET_200);
    net_answer("/a", 0.01, to(307, B "/b"));
    net_answer_then("/b", 0.01, NET_SILENCE, NET_FIN);
    get(B "/warm");
    sparp_request *r = ask("POST", A "/a");
    r->body = "x";
    r->body_size = 1;
    run();
    assert_outcome(1, SPARP_OUTCOME_TRANSPORT_FAILED);
    assert_int_equal(net_count("/b"), 1);
    assert_true(seen.results[1].maybe_applied);
}

static void test_what_has_been_acted_on_is_not_sent_again(void **state) {
    (void)state;
    for (int status = 303; status <= 307; status += 4)
        for (int unsafe = 0; unsafe < 2; unsafe++) {
            again();
            net_answer("/a", 0.01, to(status, B "/b"));
            net_host("10.0.0.2", 0.01, ECONNREFUSED);
            options.retry_unsafe = unsafe == 1;
            options.max_retries_by_transport = 2;
            ask("POST", A "/a");
            ask("PUT", A "/a");
            run();
            assert_outcome(0, SPARP_OUTCOME_TRANSPORT_FAILED);
            assert_outcome(1, SPARP_OUTCOME_TRANSPORT_FAILED);
            assert_int_equal(seen.results[0].attempts, unsafe ? 3 : 1);
            assert_int_equal(seen.results[1].attempts, 3);
            assert_true(seen.results[0].maybe_applied);
            assert_false(seen.results[1].maybe_applied);
            assert_int_equal(seen.results[0].error, SPARP_E_REFUSED);
            assert_string_equal(final_urls[0], B "/b");
        }
}

static void test_a_post_that_got_through_is_not_in_doubt(void **state) {
    (void)state;
    net_answer("/a", 0.01, to(303, B "/b"));
    net_answer("/b", 0.01, NET_200);
    ask("POST", A "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_false(seen.results[0].maybe_applied);
}

/* The pace is asked for at every hop, the one outside, too: with the url that is meant. */
static char permitted[8][40];
static size_t num_permitted;

static double permit_all(const char *url, double cost, void *user_data) {
    (void)cost;
    (void)user_data;
    if (num_permitted < 8)
        snprintf(permitted[num_permitted++], sizeof permitted[0], "%s", url);
    return 0;
}

static void test_permit_is_asked_with_the_url_of_the_hop(void **state) {
    (void)state;
    net_answer("/a", 0.01, to(302, B "/b"));
    net_answer("/b", 0.01, NET_200);
    num_permitted = 0;
    options.permit = permit_all;
    get(A "/a");
    run();
    assert_int_equal(num_permitted, 2);
    assert_string_equal(permitted[0], A "/a");
    assert_string_equal(permitted[1], B "/b");
}

/* --- descriptors, order, memory --------------------------------------------------------------- */

static void test_hops_wait_for_descriptors(void **state) {
    (void)state;
    net_answer("/a", 0.01, to(302, B "/b"));
    net_answer("/b", 0.01, NET_200);
    net.fd_limit = 2;
    options.max_at_once = 10;
    for (int i = 0; i < 10; i++)
        get(A "/a");
    run();
    for (size_t i = 0; i < 10; i++) {
        assert_outcome(i, SPARP_OUTCOME_SUCCESS);
        assert_int_equal(seen.results[i].attempts, 1);
        assert_int_equal(seen.results[i].redirects, 1);
    }
}

/* An origin is forgotten when nobody is there any more, whoever came through it. */
static size_t num_origins;

static void count_origins(sparp *run, const sparp_result *result) {
    keep_strings(run, result);
    num_origins = run->sched.origins.count;
}

static void redirect_on_and_on(const net_request *request, net_rule *answer) {
    static char text[200];
    unsigned n = (unsigned)atoi(request->path + 1), host = (unsigned)num_wire++ % 250 + 1;
    snprintf(text, sizeof text, "HTTP/1.1 302 Moved\r\nConnection: close\r\n"
             "Location: http://10.0.1.%u/%u\r\nContent-Length: 0\r\n\r\n", host, n - 1);
    answer->bytes = n == 0 ? NET_204 : text;
    answer->size = strlen(answer->bytes);
    answer->then = NET_FIN;
}

static void test_origins_of_hops_are_forgotten(void **state) {
    (void)state;
    net.server = redirect_on_and_on;
    seen.on_result = count_origins;
    options.max_at_once = 1;
    for (int i = 0; i < 20; i++)
        get(A "/5");
    sparp_stats s = run();
    assert_int_equal(s.redirects, 100);
    CHECK(num_origins < 10, "%lu origins", (unsigned long)num_origins);
}

static void test_order_is_kept_over_redirects(void **state) {
    (void)state;
    const sparp_result *r;
    net_answer("/a", 0.1, to(302, B "/b"));
    net_answer("/b", 0.1, NET_200);
    options.ordered = true;
    options.max_at_once = 3;
    for (int i = 0; i < 12; i++)
        get(i % 3 == 0 ? A "/a" : B "/b");
    sparp *one = seen_open();
    while ((r = sparp_next(one)) != NULL) {
        assert_int_equal(r->index, seen.count);
        assert_int_equal(r->redirects, r->index % 3 == 0);
        assert_string_equal(r->final_url, B "/b");
        seen_keep(r);
    }
    sparp_stats s = sparp_get_stats(one);
    sparp_close(one);
    seen_check_end(&s);
    seen_check_clean();
    assert_int_equal(seen.count, 12);
}

static void script_chain(void) {
    static const sparp_field fields[] = {{"Authorization", "x"}, {"X-Own", "y"}};
    net_lookup("b.test", "10.0.0.2", 0);
    net_answer("/0", 0.01, MOVED("Location: http://b.test/1\r\n"));
    net_answer("/1", 0.01, to(307, A "/2"));
    net_answer("/2", 0.01, NET_503);
    net_answer("/2", 0.01, to(301, "/3#f"));
    net_answer("/3", 0.01, NET_200);
    net_answer("/4", 0.01, MOVED("Location: ftp://b.test/1\r\n"));
    for (int i = 0; i < 3; i++) {
        sparp_request *r = ask("PUT", i < 2 ? "http://u:p@10.0.0.1/0" : A "/4");
        r->body = "hello";
        r->body_size = 5;
        r->headers = fields;
        r->num_headers = 2;
    }
    options.max_at_once = 2;
    options.max_per_second = 500;
    options.max_retries_by_transport = 1;
    options.on_redirect = note_hop;
}

static void test_the_chain_of_the_sweep_as_it_is(void **state) {
    (void)state;
    script_chain();
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_outcome(1, SPARP_OUTCOME_SUCCESS);
    assert_outcome(2, SPARP_OUTCOME_LOCAL_FAILED);
    assert_string_equal(final_urls[1], A "/3#f");
}

static void test_each_allocation_of_a_chain_fails(void **state) {
    (void)state;
    for (int on = 0; on < 2; on++) {
        bool reached = true;
        for (size_t n = 1; reached; n++) {
            char label[60];
            sparp_stats stats;
            again();
            script_chain();
            seen_fill();
            snprintf(label, sizeof label, "allocation %lu%s", (unsigned long)n,
                     on ? " and later" : "");
            net.label = label;
            seen.memory.fail_at = n;
            seen.memory.fail_on = on == 1;
            seen.error = sparp_run_each(&options, &stats);
            seen_check_end(&stats);
            seen_check_clean();
            CHECK(on || seen.error != SPARP_E_OK || seen.count == 3, "%s: %lu results", label,
                  (unsigned long)seen.count);
            reached = seen.memory.calls >= n;
            assert_true(n < 2000);
        }
    }
}

int main(void) {
    seen_prepare = prepare;
    const struct CMUnitTest tests[] = {
        SEEN_TEST(test_status_and_method_say_how_it_goes_on),
        SEEN_TEST(test_json_goes_on_or_is_dropped_as_a_whole),
        SEEN_TEST(test_no_line_about_the_dropped_body_is_left),
        SEEN_TEST(test_location_is_resolved_against_the_url),
        SEEN_TEST(test_an_empty_location_leads_to_itself),
        SEEN_TEST(test_parameters_of_the_request_do_not_follow),
        SEEN_TEST(test_a_name_is_looked_up_at_its_hop),
        SEEN_TEST(test_secrets_stay_at_their_origin),
        SEEN_TEST(test_only_what_is_listed_is_sensitive),
        SEEN_TEST(test_credentials_of_the_url_stay_at_their_origin),
        SEEN_TEST(test_a_refused_redirect_is_the_result),
        SEEN_TEST(test_two_equal_locations_are_one),
        SEEN_TEST(test_https_never_leads_to_http),
        SEEN_TEST(test_so_many_and_no_more),
        SEEN_TEST(test_other_responses_with_a_location_are_judged),
        SEEN_TEST(test_the_inspector_sees_the_last_one_alone),
        SEEN_TEST(test_each_hop_is_told_of),
        SEEN_TEST(test_a_417_that_is_asked_again_is_told_of),
        SEEN_TEST(test_a_hard_fail_behind_a_redirect),
        SEEN_TEST(test_the_body_of_a_redirect_does_not_matter),
        SEEN_TEST(test_max_body_bytes_is_not_about_redirects),
        SEEN_TEST(test_a_refused_redirect_with_a_large_body),
        SEEN_TEST(test_every_hop_takes_a_token),
        SEEN_TEST(test_the_origin_of_a_hop_has_its_own_pace),
        SEEN_TEST(test_a_closed_gate_holds_the_hop),
        SEEN_TEST(test_the_cap_of_the_other_origin_holds_the_hop),
        SEEN_TEST(test_one_at_once_and_many_hops),
        SEEN_TEST(test_a_hop_is_before_the_retries),
        SEEN_TEST(test_the_timeout_is_for_all_hops),
        SEEN_TEST(test_a_deadline_passes_before_a_hop),
        SEEN_TEST(test_a_stop_lets_hops_go_on_or_not),
        SEEN_TEST(test_a_drained_hop_is_not_tried_again),
        SEEN_TEST(test_a_waiting_hop_can_be_cancelled),
        SEEN_TEST(test_closing_early_in_the_middle_of_a_chain),
        SEEN_TEST(test_a_retry_begins_at_the_first_url),
        SEEN_TEST(test_the_result_tells_of_the_last_attempt),
        SEEN_TEST(test_429_behind_a_redirect_closes_the_gate_there),
        SEEN_TEST(test_a_stale_connection_at_a_hop_is_replayed),
        SEEN_TEST(test_a_stale_connection_at_a_307_of_a_post),
        SEEN_TEST(test_what_has_been_acted_on_is_not_sent_again),
        SEEN_TEST(test_a_post_that_got_through_is_not_in_doubt),
        SEEN_TEST(test_permit_is_asked_with_the_url_of_the_hop),
        SEEN_TEST(test_hops_wait_for_descriptors),
        SEEN_TEST(test_origins_of_hops_are_forgotten),
        SEEN_TEST(test_order_is_kept_over_redirects),
        SEEN_TEST(test_the_chain_of_the_sweep_as_it_is),
        SEEN_TEST(test_each_allocation_of_a_chain_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The command's pure parts: values of flags, JSON, lines, urls, records, statistics, progress. */
#include "../support.h"

#include <json-c/json.h>

#define SPARP_NO_MAIN
#include "../../tools/sparp.c"

/* Puts what a text holds against what it should hold, and empties it. */
static void expect_text(text *t, const char *expected) {
    put_char(t, '\0');
    assert_false(t->failed);
    assert_string_equal(t->at, expected);
    t->size = 0;
}

/* A copy that ends at a page that must not be touched would hide nothing here: every scanner has
   an end pointer. A copy of the exact size, for the sanitizer, does the same. */
static slice exact_slice(slice s, char **memory) {
    *memory = (char *)malloc(s.size + (s.size == 0));
    assert_non_null(*memory);
    memcpy(*memory, s.at, s.size);
    s.at = *memory;
    return s;
}

static slice exact(const char *string, char **memory) {
    return exact_slice(slice_of(string), memory);
}

/* --- values ---------------------------------------------------------------------------------- */

static void test_counts(void **state) {
    static const char *const bad[] = { "", "-1", "+1", "1.0", "1k", " 1", "9999999999999999999" };
    int64_t n;
    (void)state;
    assert_true(parse_count(slice_of("0"), &n) && n == 0);
    assert_true(parse_count(slice_of("100000"), &n) && n == 100000);
    assert_true(parse_count(slice_of("999999999999999999"), &n) && n == 999999999999999999);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK(!parse_count(slice_of(bad[i]), &n), "%s", bad[i]);
    }
}

static void test_times(void **state) {
    static const struct { const char *in; double out; } good[] = {
        { "30", 30 }, { "2.5", 2.5 }, { "500ms", 0.5 }, { "1m", 60 }, { "2h", 7200 }, { "7s", 7 },
        { "0", 0 }, { "0.25s", 0.25 }
    };
    static const char *const bad[] = { "", "s", "-1", "1,5", "1.", ".", "5 s", "1d", "1e3", "nan" };
    double s;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        CHECK(parse_time(slice_of(good[i].in), &s) && s == good[i].out, "%s", good[i].in);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK(!parse_time(slice_of(bad[i]), &s), "%s", bad[i]);
    }
}

static void test_rates(void **state) {
    static const struct { const char *in; double out; } good[] = {
        { "50", 50 }, { "50/s", 50 }, { "300/m", 5 }, { "3600/h", 1 }, { "5/15s", 5.0 / 15 },
        { "0.2", 0.2 }, { "1/500ms", 2 }, { "10/2m", 10.0 / 120 }
    };
    static const char *const bad[] = { "", "/s", "5/", "5/15", "5/0s", "5 /s", "5/d", "-5" };
    double r;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        CHECK(parse_rate(slice_of(good[i].in), &r) && r == good[i].out, "%s", good[i].in);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK(!parse_rate(slice_of(bad[i]), &r), "%s", bad[i]);
    }
}

static void test_sizes(void **state) {
    static const char *const bad[] = { "", "k", "1.5M", "1kb", "-1", "99999999999G" };
    int64_t n;
    (void)state;
    assert_true(parse_size(slice_of("512"), &n) && n == 512);
    assert_true(parse_size(slice_of("64k"), &n) && n == 65536);
    assert_true(parse_size(slice_of("8M"), &n) && n == 8 << 20);
    assert_true(parse_size(slice_of("2G"), &n) && n == INT64_C(2) << 30);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK(!parse_size(slice_of(bad[i]), &n), "%s", bad[i]);
    }
}

static size_t statuses(const char *list, status_list *out) {
    size_t count = 0;
    CHECK(parse_statuses(slice_of(list), out), "%s", list);
    for (int i = 0; i < STATUS_END; i++) count += out->has[i];
    return count;
}

static void test_status_lists(void **state) {
    static const char *const bad[] = { "", "20", "2x", "xx", "0xx", "200-", "299-200", "200,,201",
                                       "99", "1000", "2xx;3xx", "al", "200 ,201" };
    status_list l;
    (void)state;
    assert_int_equal(statuses("200", &l), 1);
    assert_true(l.has[200]);
    assert_int_equal(statuses("2xx,304", &l), 101);
    assert_true(l.has[299] && l.has[304] && !l.has[300]);
    assert_int_equal(statuses("200-299,4XX,301", &l), 201);
    assert_int_equal(statuses("408,425,429,500,502-504", &l), 7);
    assert_int_equal(statuses("all", &l), 900);
    assert_int_equal(statuses("none", &l), 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK(!parse_statuses(slice_of(bad[i]), &l), "%s", bad[i]);
    }
}

static void test_numbers_as_text(void **state) {
    static const struct { int64_t in; const char *out; } cases[] = {
        { 0, "0" }, { 1, "0.001" }, { 10, "0.01" }, { 400, "0.4" }, { 41700, "41.7" },
        { 612000, "612" }, { -1500, "-1.5" }, { INT64_MAX, "9223372036854775.807" }
    };
    text t = { NULL, 0, 0, false };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        put_thousandths(&t, cases[i].in);
        expect_text(&t, cases[i].out);
    }
    put_u64(&t, UINT64_MAX);
    expect_text(&t, "18446744073709551615");
    text_free(&t);
}

static void test_numbers_for_people(void **state) {
    static const struct { int64_t us; const char *out; } times[] = {
        { 0, "0us" }, { 999, "999us" }, { 4000, "4.00ms" }, { 9994, "9.99ms" }, { 9996, "10.0ms" },
        { 56600, "56.6ms" }, { 118000, "118ms" }, { 999600, "1.00s" }, { 3000000, "3.00s" },
        { 22100000, "22.1s" }, { INT64_C(3600000000), "60.0min" }
    };
    text t = { NULL, 0, 0, false };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        put_duration(&t, times[i].us);
        expect_text(&t, times[i].out);
    }
    put_size(&t, 76100000);
    expect_text(&t, "76.1 MB");
    put_size(&t, 999);
    expect_text(&t, "999 B");
    put_rate(&t, 1872.6);
    expect_text(&t, "1873");
    put_rate(&t, 0.45);
    expect_text(&t, "0.5");
    text_free(&t);
}

/* --- utf8 and json --------------------------------------------------------------------------- */

static void test_utf8(void **state) {
    static const struct { const char *in; size_t good; } cases[] = {
        { "", 0 }, { "abc", 3 }, { "0123456789abcdef\x80", 16 }, { "gr\xC3\xBC\xC3\x9F" "e", 7 },
        { "\xE2\x82\xAC", 3 }, { "\xF0\x9F\x98\x80", 4 }, { "a\xC3", 1 }, { "\xC0\x80", 0 },
        { "\xE0\x80\x80", 0 }, { "\xED\xA0\x80", 0 }, { "\xF4\x90\x80\x80", 0 }, { "\xF5", 0 },
        { "\xF0\x80\x80\x80", 0 }, { "ab\xFF" "cdefghijkl", 2 }, { "\xE2\x82", 0 },
        { "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 0 },
        { "\xFF\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 0 }
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *memory;
        slice s = exact(cases[i].in, &memory);
        CHECK(utf8_good_prefix(s) == cases[i].good, "row %zu", i);
        free(memory);
    }
}

/* Valid and not, by RFC 8259. */
static const struct { const char *line; bool valid; } documents[] = {
    { "{}", true }, { "[]", true }, { "0", true }, { "-0", true }, { "1e5", true },
    { "-1.25E-10", true }, { "true", true }, { "false", true }, { "null", true }, { "\"\"", true },
    { "\"\\u00e9\\n\\\"\\\\\\/\"", true }, { " { \"a\" : [ 1 , 2 , { } ] } ", true },
    { "{\"a\":{\"b\":[[],[[]]]}}", true }, { "\"\\ud83d\\ude00\"", true },
    { "12345678901234567890123", true }, { "[\"\xC3\xA4\"]", true }, { "\r\n\t [1]\t\r\n", true },
    { "", false }, { " ", false }, { "{", false }, { "}", false }, { "[1", false },
    { "[1,]", false },
    { "[,1]", false }, { "{\"a\"}", false }, { "{\"a\":}", false }, { "{\"a\":1,}", false },
    { "{a:1}", false }, { "{1:2}", false }, { "[1 2]", false }, { "{\"a\" 1}", false },
    { "\"", false }, { "\"\\", false }, { "\"\\x\"", false }, { "\"\\u12g4\"", false },
    { "\"\\u12", false }, { "\"a\tb\"", false }, { "\"a\nb\"", false }, { "tru", false },
    { "nul", false }, { "+1", false }, { ".5", false }, { "1.", false }, { "1e", false },
    { "1e+", false }, { "-", false }, { "--1", false }, { "[1}", false }, { "{\"a\":1]", false },
    { "1 2", false }, { "{}{}", false }, { "[]]", false }, { "'a'", false }, { "{'a':1}", false },
    { "[1,2,3", false }, { "\"\xFF\"", false }, { "NaN", false }, { "Infinity", false },
    { "-Infinity", false }, { "[1,,2]", false }, { "{,}", false }, { "{\"a\":1,,\"b\":2}", false },
    { "//c\n1", false }, { "/*c*/1", false }, { "undefined", false }, { "01", false },
    { "-01", false }, { "0x10", false }, { "{\"a\"::1}", false }, { "[\"a\",\n4,", false }
};

static void test_json_documents(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(documents); i++) {
        char *memory;
        slice s = exact(documents[i].line, &memory);
        CHECK(json_is_valid(s) == documents[i].valid, "%s", documents[i].line);
        free(memory);
    }
}

/* What json-c says of the same line: strict, UTF-8 checked, nothing after the value. */
static bool json_c_is_valid(struct json_tokener *tok, slice s) {
    json_tokener_reset(tok);
    char *copy = (char *)malloc(s.size + 1);
    assert_non_null(copy);
    if (s.size > 0) memcpy(copy, s.at, s.size);
    copy[s.size] = '\0';
    /* with its NUL: json-c wants to know that a number has ended */
    struct json_object *o = json_tokener_parse_ex(tok, copy, (int)s.size + 1);
    bool valid = json_tokener_get_error(tok) == json_tokener_success;
    json_object_put(o);
    free(copy);
    return valid;
}

static struct json_tokener *json_c_new(void) {
    struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
    assert_non_null(tok);
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    return tok;
}

/* Where json-c 0.16 is known to be laxer than RFC 8259 although it is told to be strict. */
static bool json_c_is_lax(slice s) {
    json j = json_of(s);
    slice raw;
    (void)(json_value(&j, &raw) && json_end(&j));
    return j.error != NULL
        && (strcmp(j.error, "raw control character in a string") == 0
            || strcmp(j.error, "expected a digit") == 0
            || strcmp(j.error, "number starts with 0") == 0
            || (j.at < j.end && *j.at == '\''));
}

static void test_json_like_json_c(void **state) {
    struct json_tokener *tok = json_c_new();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(documents); i++) {
        slice s = slice_of(documents[i].line);
        bool same = json_c_is_valid(tok, s) == documents[i].valid;
        CHECK(same || json_c_is_lax(s) || starts_with(trimmed(s), "NaN")
              || strstr(s.at, "Infinity") != NULL, "%s", s.at);
    }
    json_tokener_free(tok);
}

static uint64_t random_state;

static size_t random_below(size_t n) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(random_state >> 33) % n;
}

/* Valid lines with a byte or three changed: both have to say the same. */
static void test_json_mutations(void **state) {
    static const char seed[] = "{\"url\":\"http://h/\\u00e4\",\"id\":[1,-2.5e3,{\"k\":null}],"
                               "\"headers\":{\"a\":[\"b\",\"c\"],\"d\":null},\"idempotent\":true}";
    static const char bytes[] = "{}[]:,\"\\ 019-.eEtrufalsn\xC3\xA4/bx";
    struct json_tokener *tok = json_c_new();
    int valid = 0;
    (void)state;
    random_state = 42;
    for (int round = 0; round < 60000; round++) {
        char line[sizeof seed];
        memcpy(line, seed, sizeof seed);
        for (size_t changes = 1 + random_below(3); changes > 0; changes--) {
            line[random_below(sizeof seed - 1)] = bytes[random_below(sizeof bytes - 1)];
        }
        slice s = { line, sizeof seed - 1 };
        bool ours = json_is_valid(s), theirs = json_c_is_valid(tok, s);
        valid += ours;
        CHECK(ours == theirs || (theirs && json_c_is_lax(s)), "%d %d %s", ours, theirs, line);
    }
    assert_true(valid > 1000);
    json_tokener_free(tok);
}

static void test_json_depth(void **state) {
    size_t size = 400000;
    char *deep = (char *)malloc(size);
    (void)state;
    assert_non_null(deep);
    memset(deep, '[', size);
    slice s = { deep, size };
    assert_false(json_is_valid(s));
    memset(deep + 1000, ']', 1000);
    s.size = 2000;
    assert_true(json_is_valid(s));
    memset(deep, '[', 1001);
    memset(deep + 1001, ']', 1001);
    s.size = 2002;
    assert_false(json_is_valid(s));
    free(deep);
}

static void test_json_decoding(void **state) {
    static const struct { const char *raw, *out; } cases[] = {
        { "", "" }, { "plain", "plain" }, { "a\\nb\\tc\\rd\\be\\ff", "a\nb\tc\rd\be\ff" },
        { "\\\"\\\\\\/", "\"\\/" }, { "\\u0041\\u00e4\\u20ac", "A\xC3\xA4\xE2\x82\xAC" },
        { "\\ud83d\\ude00!", "\xF0\x9F\x98\x80!" }, { "\xC3\xA4", "\xC3\xA4" }
    };
    static const char *const halves[] = { "\\ud83d", "\\ude00", "\\ud83dx", "\\ud83d\\u0041" };
    text t = { NULL, 0, 0, false };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_true(put_json_decoded(&t, slice_of(cases[i].raw)));
        expect_text(&t, cases[i].out);
    }
    for (size_t i = 0; i < COUNT_OF(halves); i++) {
        CHECK(!put_json_decoded(&t, slice_of(halves[i])), "%s", halves[i]);
        t.size = 0;
    }
    text_free(&t);
}

static void test_json_number_values(void **state) {
    (void)state;
    assert_true(json_number_value(slice_of("0")) == 0);
    assert_true(json_number_value(slice_of("2.5")) == 2.5);
    assert_true(json_number_value(slice_of("-25e-1")) == -2.5);
    assert_true(json_number_value(slice_of("1E+3")) == 1000);
    assert_true(json_number_value(slice_of("0e99999999")) == 0);
}

/* --- url ------------------------------------------------------------------------------------- */

/* A value inside a value, by names and places. */
static void test_json_paths(void **state) {
    static const char whole[] =
        " {\"a\":1,\"b\":{\"c\":[10,{\"d\":\"x\"},[]],\"\":5},\"b\":2}";
    static const struct { const char *path, *value; } good[] = {
        { "a", "1" }, { "b.c.0", "10" }, { "b.c.1.d", "\"x\"" }, { "b.c.2", "[]" }, { "b.", "5" }
    };
    static const char *const none[] = { "", "c", "a.b", "b.c.3", "b.c.x", "b.c.-1", "b.c.1.d.e",
                                        "b.c.2.0", "A", ".a" };
    static const char *const broken[] = { "", "{", "{\"b\"", "{\"b\":", "[", "[1", "x", "{1}",
                                          "{\"a\":1 \"b\":2}" };
    char *memory;
    slice found;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        CHECK(json_find(slice_of(whole), slice_of(good[i].path), &found)
              && slice_is(found, good[i].value), "%s", good[i].path);
    }
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        CHECK(!json_find(slice_of(whole), slice_of(none[i]), &found), "%s", none[i]);
    }
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        slice s = exact(broken[i], &memory);
        CHECK(!json_find(s, slice_of("b.c"), &found) && !json_find(s, slice_of("1"), &found), "%s",
              broken[i]);
        free(memory);
    }
}

/* --- limits of hosts, costs ------------------------------------------------------------------ */

static void test_costs(void **state) {
    static const struct { const char *in; double out; } good[] = {
        { "0", 0 }, { "1", 1 }, { "0.25", 0.25 }, { "1000000000000", 1e12 }
    };
    static const char *const bad[] = { "", "-1", "1e3", "x", "1 ", "1000000000001", "nan", "{}" };
    static const struct { const char *body, *path; double out; } answers[] = {
        { "{\"usage\":{\"total_tokens\":123}}", "usage.total_tokens", 123 },
        { "{\"cost\":1.5e2,\"x", "cost", 150 }, { "{\"n\":0}", "n", 0 },
        { "{\"n\":\"5\"}", "n", -1 }, { "{\"n\":-5}", "n", -1 }, { "{\"n\":null}", "n", -1 },
        { "{\"n\":1e13}", "n", -1 }, { "{\"n\":1e999}", "n", -1 }, { "{\"n\":{}}", "n", -1 },
        { "", "n", -1 }, { "<html>", "n", -1 }, { "{\"n\":5", "m", -1 }
    };
    static const char *const paths[] = { "", ".usage", "$.usage", "a..b", "a.", "a[0]", "a b",
                                        "a/b" };
    double cost;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        CHECK(parse_cost(slice_of(good[i].in), &cost) && cost == good[i].out, "%s", good[i].in);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK(!parse_cost(slice_of(bad[i]), &cost), "%s", bad[i]);
    }
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        bool found = cost_of_answer(slice_of(answers[i].body), slice_of(answers[i].path), &cost);
        CHECK(found == (answers[i].out >= 0) && (!found || cost == answers[i].out), "%s",
              answers[i].body);
    }
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        CHECK(wrong_path(slice_of(paths[i])) != NULL, "%s", paths[i]);
    }
    assert_null(wrong_path(slice_of("usage.total_tokens")));
    assert_null(wrong_path(slice_of("items.0.cost")));
}

/* Server-sent events: the last one that says it counts. */
static void test_costs_of_streams(void **state) {
    static const struct { const char *body; double out; } rows[] = {
        { "data: {\"u\":{\"n\":3}}\n\n", 3 },
        { "data: {\"u\":{\"n\":3}}\n\ndata: {\"u\":{\"n\":5}}\n\ndata: [DONE]\n\n", 5 },
        { "data: {\"u\":{\"n\":3}}\n\ndata: {\"u\":null}\n\ndata: [DONE]\n\n", 3 },
        { "event: a\r\ndata: {\"u\":null}\r\n\r\ndata:{\"u\":{\"n\":7}}\r\n\r\n", 7 },
        { "data: {\"u\":{\"n\":1}}\r\rdata: {\"u\":{\"n\":2}}\r\r", 2 },
        { "data: {\"u\":\ndata: {\"n\":\ndata:\ndata: 4.5}}\n\n", 4.5 },
        { "data: {\"u\":\r\nid: 3\r\n: a comment\r\ndata: {\"n\":8}}\r\n\r\n", 8 },
        { "\n\n: hello\n\ndata: {\"u\":{\"n\":9}}", 9 },         /* it ends without an end */
        { "\xEF\xBB\xBF" "data: {\"u\":{\"n\":6}}\n\n", 6 },
        { "data: {\"u\":\n\ndata: {\"n\":4}}\n\n", -1 },          /* two events */
        { "data: {\"u\":{\"n\":\"3\"}}\n\n", -1 }, { "Data: {\"u\":{\"n\":3}}\n\n", -1 },
        { "data\n\n", -1 }, { "data: {\"u\":{\"n\":12\n\ndata: [DONE]\n\n", -1 },
        { "datas: {\"u\":{\"n\":3}}\n\n", -1 }, { "{\"u\":{\"n\":3}}", -1 }, { "", -1 },
        { "\r", -1 }, { "\r\n", -1 }, { "data:", -1 }, { "data: ", -1 }
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *memory;
        double cost = -1;
        slice body = exact(rows[i].body, &memory);
        bool found = cost_of_stream(body, slice_of("u.n"), &cost);
        CHECK(found == (rows[i].out >= 0) && (!found || cost == rows[i].out), "%s: %g",
              rows[i].body, cost);
        free(memory);
    }
    assert_true(is_event_stream("text/event-stream"));
    assert_true(is_event_stream(" Text/Event-Stream ;charset=utf-8"));
    assert_false(is_event_stream("text/event-streams"));
    assert_false(is_event_stream("text/plain; text/event-stream"));
    assert_false(is_event_stream(NULL));
}

static void test_host_limits(void **state) {
    static const struct { const char *in, *host; int n; double rate, cost; } good[] = {
        { "a.example=10", "a.example", 10, 0, 0 }, { "*.b=2,5/s", "*.b", 2, 5, 0 },
        { "*=none,none,none", "*", SPARP_NONE, SPARP_NONE, SPARP_NONE },
        { "h:8080=,300/m", "h:8080", 0, 5, 0 }, { "h=,,600/m", "h", 0, 0, 10 },
        { "[::1]:80=1,,", "[::1]:80", 1, 0, 0 }, { "h=2147483647,0.5,0.5", "h", INT_MAX, 0.5, 0.5 }
    };
    static const char *const bad[] = {
        "", "h", "=5", "h=", "h=,", "h=,,", "h=0", "h=-1", "h=x", "h=5/s", "h=1.5", "h=2147483648",
        "h=1,0", "h=1,x", "h=1,2,0", "h=1,2,3,4", "h=1,2,3,", "http://h=1", "h/=1", "a@h=1", "h=all"
    };
    static const struct { const char *first, *second; bool covers; } pairs[] = {
        { "*", "x", true }, { "a.b", "A.B", true }, { "*.b", "a.b", true },
        { "*.b", "*.a.b", true },
        { "*.b", "*.b", true }, { "*.b", "b", false }, { "*.b", "ab", false }, { "a", "*", false },
        { "a", "*.a", false }, { "a", "a:80", true }, { "a:80", "a", false },
        { "*", "[::1]:80", true },
        { "*.b", "a.b:80", true }, { "a:80", "a:8", false }, { "a", "b:80", false },
        { "a", "80", false }
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        sparp_host_limit l;
        slice host;
        CHECK(parse_host_limit(slice_of(good[i].in), &host, &l) == NULL, "%s", good[i].in);
        CHECK(slice_is(host, good[i].host) && l.max_at_once == good[i].n
              && l.max_per_second == good[i].rate && l.max_cost_per_second == good[i].cost, "%s",
              good[i].in);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        sparp_host_limit l;
        slice host;
        CHECK(parse_host_limit(slice_of(bad[i]), &host, &l) != NULL, "%s", bad[i]);
    }
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        CHECK(pattern_covers(slice_of(pairs[i].first), slice_of(pairs[i].second))
              == pairs[i].covers, "%s %s", pairs[i].first, pairs[i].second);
    }
}

static void test_templates(void **state) {
    static const struct { const char *pattern, *line, *out; } good[] = {
        { "http://h/{}", "7", "http://h/7" },
        { "http://h/{}", "a b/c\xC3\xA4?&", "http://h/a%20b%2Fc%C3%A4%3F%26" },
        { "http://h/{1}?q={2}", "x\ty z", "http://h/x?q=y%20z" },
        { "{raw}", "http://h/a?b=c", "http://h/a?b=c" },
        { "http://h/{}/{}", "1", "http://h/1/1" },
        { "http://h/{{{}}/{{x}{{", "1", "http://h/{1}/{x}{" }, { "}{}", "1", "}1" },
        { "http://h/{2}", "a\tb\tc", "http://h/b" }
    };
    text t = { NULL, 0, 0, false };
    (void)state;
    static row_values row;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_null(split_row(&row, slice_of(good[i].line), '\t', false));
        assert_null(fill_url(&t, slice_of(good[i].pattern), &row, NULL));
        expect_text(&t, good[i].out);
    }
    assert_null(split_row(&row, slice_of("only"), '\t', false));
    assert_non_null(fill_url(&t, slice_of("http://h/{2}"), &row, NULL));
    text_free(&t);
    text_free(&row.unquoted);
}

/* RFC 4180: quotes, and what is wrong about them. Cells are put between | for the comparison. */
static void test_csv_rows(void **state) {
    static const struct { const char *line, *out; } cases[] = {
        { "a,b,c", "|a|b|c|" }, { "", "||" }, { ",", "|||" }, { "\"a,b\",c", "|a,b|c|" },
        { "\"a\"\"b\"", "|a\"b|" }, { "\"\"", "||" }, { "\"\",", "|||" }, { "a\"b,c", "|a\"b|c|" },
        { "\"a\nb\",c", "|a\nb|c|" }, { "\"\"\"\"", "|\"|" }, { " \"a\"", "| \"a\"|" },
        { "\"a", NULL }, { "\"a\"b", NULL }, { "a,\"", NULL }, { "\"a\"\"", NULL }
    };
    static row_values row;
    text t = { NULL, 0, 0, false };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *memory;
        const char *wrong = split_row(&row, exact(cases[i].line, &memory), ',', true);
        CHECK((wrong == NULL) == (cases[i].out != NULL), "%s: %s", cases[i].line, wrong);
        put_char(&t, '|');
        for (size_t k = 0; wrong == NULL && k < row.count; k++) {
            put_slice(&t, row.cells[k]);
            put_char(&t, '|');
        }
        if (wrong == NULL)
            expect_text(&t, cases[i].out);
        t.size = 0;
        free(memory);
    }
    text_free(&t);
    text_free(&row.unquoted);
}

/* A row ends where no quote is open, wherever the bytes are cut. */
static void test_csv_lines(void **state) {
    static const char all[] = "a,\"b\nc\"\n\"\"\"\n\"\"\",d\ne\"f\n\"g\"\n";
    static const char *const rows[] = { "a,\"b\nc\"", "\"\"\"\n\"\"\",d", "e\"f", "\"g\"" };
    (void)state;
    for (size_t cut = 0; cut < sizeof all; cut++) {
        reader r;
        size_t row = 0, size = sizeof all - 1;
        slice line;
        memset(&r, 0, sizeof r);
        r.quotes = true;
        put_bytes(&r.buffer, all, cut < size ? cut : size);
        for (int round = 0; round < 2; round++) {
            while (reader_scan(&r, &line) == READ_LINE) {
                CHECK(row < 4 && slice_is(line, rows[row]), "cut at %zu: %.*s", cut, (int)line.size,
                      line.at);
                row++;
            }
            if (round == 0 && cut < size)
                put_bytes(&r.buffer, all + cut, size - cut);
            r.at_end = round == 0;
        }
        assert_int_equal(row, 4);
        text_free(&r.buffer);
    }
}

/* Words in bodies and headers: JSON has braces of its own, and what is put into a string of it is
   escaped. */
static void test_loose_templates(void **state) {
    static const struct { const char *pattern; bool is_json; const char *out; } cases[] = {
        { "a={1}&b={2}", false, "a=x\"y&b=7" }, { "{name}: {n o}", false, "x\"y: 7" },
        { "{\"a\":{\"b\":\"{1}\"}}", true, "{\"a\":{\"b\":\"x\\\"y\"}}" },
        { "{\"n\":{2}}", true, "{\"n\":7}" }, { "{\"a\":{},\"b\":\"{}\"}", true,
          "{\"a\":{},\"b\":\"x\\\"y\\t7\"}" },
        { "[\"{{1}\",{ }]", true, "[\"{1}\",{ }]" }, { "{{1}", false, "{1}" },
        { "f(){\nx}", false, "f(){\nx}" }, { "{\"\\\"{1}\":1}", true, "{\"\\\"x\\\"y\":1}" },
        { "{", false, "{" }, { "{\"a\":\"{\"}", true, "{\"a\":\"{\"}" }, { "{a,b}", false, "{a,b}" }
    };
    static row_values row;
    static column_names names;
    slice unknown;
    text t = { NULL, 0, 0, false };
    (void)state;
    assert_null(columns_take(&names, &row, slice_of("name\tn o"), '\t', false));
    assert_null(split_row(&row, slice_of("x\"y\t7"), '\t', false));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_null(fill_loose(&t, slice_of(cases[i].pattern), cases[i].is_json, &row, &names));
        expect_text(&t, cases[i].out);
        (void)count_words(slice_of(cases[i].pattern), cases[i].is_json, &names, &unknown);
        CHECK(unknown.at == NULL, "row %zu", i);
    }
    assert_int_equal(count_words(slice_of("{1}{nam}{2}"), false, &names, &unknown), 3);
    assert_true(slice_is(unknown, "nam"));
    assert_non_null(fill_loose(&t, slice_of("{3}"), false, &row, &names));
    assert_non_null(columns_take(&names, &row, slice_of("a,a"), ',', true));
    text_free(&t);
    text_free(&row.unquoted);
    text_free(&names.kept);
}

static void test_resolution(void **state) {
    /* RFC 3986 5.4, those that concern http */
    static const struct { const char *reference, *out; } cases[] = {
        { "g", "http://a/b/c/g" }, { "./g", "http://a/b/c/g" }, { "g/", "http://a/b/c/g/" },
        { "/g", "http://a/g" }, { "//g", "http://g" }, { "?y", "http://a/b/c/d;p?y" },
        { "g?y", "http://a/b/c/g?y" }, { "#s", "http://a/b/c/d;p#s" },
        { "g#s", "http://a/b/c/g#s" },
        { ";x", "http://a/b/c/;x" }, { ".", "http://a/b/c/" }, { "./", "http://a/b/c/" },
        { "..", "http://a/b/" }, { "../", "http://a/b/" }, { "../g", "http://a/b/g" },
        { "../..", "http://a/" }, { "../../g", "http://a/g" }, { "../../../g", "http://a/g" },
        { "/./g", "http://a/g" }, { "/../g", "http://a/g" }, { "g.", "http://a/b/c/g." },
        { "..g", "http://a/b/c/..g" }, { "./../g", "http://a/b/g" },
        { "g/./h", "http://a/b/c/g/h" },
        { "g/../h", "http://a/b/c/h" }, { "g?y/../x", "http://a/b/c/g?y/../x" }
    };
    text t = { NULL, 0, 0, false };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        put_resolved(&t, slice_of("http://a/b/c/d;p?q"), slice_of(cases[i].reference));
        put_char(&t, '\0');
        CHECK(strcmp(t.at, cases[i].out) == 0, "%s -> %s", cases[i].reference, t.at);
        t.size = 0;
    }
    put_resolved(&t, slice_of("https://host:8443"), slice_of("x/y?z"));
    expect_text(&t, "https://host:8443/x/y?z");
    put_resolved(&t, slice_of("https://host"), slice_of("//other/z"));
    expect_text(&t, "https://other/z");
    text_free(&t);
}

/* --- lines ----------------------------------------------------------------------------------- */

static config test_config;
static parser test_parser;

static line_kind parse(const char *line, item *out) {
    memset(&test_parser.headers, 0, sizeof test_parser.headers);
    test_parser.config = &test_config;
    return parse_line(&test_parser, slice_of(line), false, out);
}

static int lines_reset(void **state) {
    (void)state;
    parser_free(&test_parser);
    config_free(&test_config);
    memset(&test_config, 0, sizeof test_config);
    memset(&test_parser, 0, sizeof test_parser);
    return test_setup(state);
}

static void test_plain_lines(void **state) {
    static const char *const nothing[] = { "", "   ", "\t", "# comment", "  #x" };
    item it;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(nothing); i++) {
        CHECK(parse(nothing[i], &it) == LINE_NOTHING, "'%s'", nothing[i]);
    }
    assert_int_equal(parse("http://a/b", &it), LINE_REQUEST);
    assert_string_equal(it.url, "http://a/b");
    assert_null(it.method);
    assert_int_equal(parse("  DELETE http://a/b  ", &it), LINE_REQUEST);
    assert_string_equal(it.url, "http://a/b");
    assert_string_equal(it.method, "DELETE");
    assert_int_equal(parse("HTTPS://a/b", &it), LINE_REQUEST);
}

static void test_object_lines(void **state) {
    item it;
    (void)state;
    const char *line = " {\"url\":\"http://h/\\u0061\",\"method\":\"PUT\",\"id\": {\"n\": 1.50},"
                       "\"query\":{\"a\":[1,true,\"x y\"],\"b\":-2.5},"
                       "\"headers\":{\"X-A\":\"1\",\"X-B\":[\"2\",\"3\"],\"User-Agent\":null},"
                       "\"json\":{\"k\": [1, 2]},\"timeout\":2.5,\"idempotent\":true,"
                       "\"meta\":[ ]} ";
    assert_int_equal(parse(line, &it), LINE_REQUEST);
    assert_string_equal(it.url, "http://h/a");
    assert_string_equal(it.method, "PUT");
    assert_true(slice_is(it.id, "{\"n\": 1.50}"));
    assert_true(slice_is(it.meta, "[ ]"));
    assert_string_equal(it.json, "{\"k\": [1, 2]}");
    assert_true(it.timeout == 2.5 && it.idempotent);
    const field_list *q = &test_parser.query, *h = &test_parser.headers;
    assert_int_equal(q->count, 4);
    assert_string_equal(q->items[0].value, "1");
    assert_string_equal(q->items[1].value, "true");
    assert_string_equal(q->items[2].name, "a");
    assert_string_equal(q->items[2].value, "x y");
    assert_string_equal(q->items[3].value, "-2.5");
    assert_int_equal(h->count, 4);
    assert_string_equal(h->items[2].name, "X-B");
    assert_string_equal(h->items[2].value, "3");
    assert_null(h->items[3].value);
}

static void test_bodies(void **state) {
    item it;
    (void)state;
    assert_int_equal(parse("{\"url\":\"http://h\",\"body\":\"a\\u0000\\n\"}", &it), LINE_REQUEST);
    assert_int_equal(it.body_size, 3);
    assert_memory_equal(it.body, "a\0\n", 3);
    assert_null(it.json);
    assert_int_equal(parse("{\"url\":\"http://h\",\"body\":[1, 2]}", &it), LINE_REQUEST);
    assert_string_equal(it.json, "[1, 2]");
    assert_int_equal(parse("{\"url\":\"http://h\",\"json\":null}", &it), LINE_REQUEST);
    assert_string_equal(it.json, "null");
    assert_int_equal(parse("{\"url\":\"http://h\",\"custom_id\":7}", &it), LINE_REQUEST);
    assert_true(slice_is(it.id, "7"));
}

static void test_base64_bodies(void **state) {
    static const char format[] = "{\"url\":\"http://h\",\"body_base64\":\"%s\"}";
    static const struct { const char *in, *out; size_t size; } good[] = {
        { "", "", 0 }, { "Zg==", "f", 1 }, { "Zg", "f", 1 }, { "Zm8=", "fo", 2 },
        { "Zm8", "fo", 2 },
        { "Zm9v", "foo", 3 }, { "Zm9vYmFy", "foobar", 6 }, { "AP/+", "\0\xFF\xFE", 3 },
        { "A\\u0050\\/+", "\0\xFF\xFE", 3 }
    };
    static const struct { const char *in; size_t column; } bad[] = {
        { "Z", 35 }, { "Zm9vZ", 39 }, { "Zg=", 36 }, { "Zm9v=", 38 }, { "Zg===", 36 }, { "=", 34 },
        { "====", 34 }, { "Zg=a", 36 }, { "Zh==", 36 }, { "Zm9=", 37 }, { "Zm 9v", 36 },
        { "-_==", 34 }, { "\\/\\u0041*A", 42 }, { "Zm9v\\n", 38 }, { "\xC3\xA4", 34 },
        { "Zm9\\u0000", 37 }
    };
    char line[200];
    item it;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        (void)snprintf(line, sizeof line, format, good[i].in);
        CHECK(parse(line, &it) == LINE_REQUEST, "%s", line);
        CHECK(it.body_size == good[i].size, "%s", line);
        assert_memory_equal(it.body, good[i].out, good[i].size);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        (void)snprintf(line, sizeof line, format, bad[i].in);
        CHECK(parse(line, &it) == LINE_BAD, "%s", line);
        CHECK(test_parser.column == bad[i].column, "%s: column %zu", line, test_parser.column);
        CHECK(strcmp(test_parser.error, "not base64") == 0, "%s: %s", line, test_parser.error);
    }
}

/* What put_base64() writes comes back, padded or not. */
static void test_base64_there_and_back(void **state) {
    char bytes[64];
    text t = { NULL, 0, 0, false };
    (void)state;
    for (size_t size = 0; size < sizeof bytes; size++) {
        for (size_t i = 0; i < size; i++) bytes[i] = (char)(i * 37 + size * 11);
        slice s = { bytes, size };
        for (size_t cut = 0; cut <= (3 - size % 3) % 3; cut++) {
            t.size = 0;
            put_base64(&t, s);
            t.size = cut > 0 ? t.size - (3 - size % 3) % 3 : t.size;
            CHECK(size == 0 || decode_base64(t.at, &t.size), "size %zu", size);
            assert_int_equal(t.size, size);
            if (size > 0) assert_memory_equal(t.at, bytes, size);
        }
    }
    text_free(&t);
}

static void test_forms(void **state) {
    static const struct { const char *in, *out; } cases[] = {
        { "{}", "" }, { "{\"a\":[]}", "" }, { "{\"\":\"\"}", "=" },
        { "{\"a b\":\"x y+&=\",\"n\":[1,true,-2.50e3]}", "a+b=x+y%2B%26%3D&n=1&n=true&n=-2.50e3" },
        { "{\"k\":\"azAZ09*-._~!'()/%\"}", "k=azAZ09*-._%7E%21%27%28%29%2F%25" },
        { "{\"\xC3\xA4\":\"\\n\\u00e4\"}", "%C3%A4=%0A%C3%A4" }
    };
    char line[200];
    item it;
    sparp_request r;
    (void)state;
    assert_true(config_set(&test_config, OPTION_HEADER, "content-type:"));
    assert_true(config_set(&test_config, OPTION_DATA, "default"));
    assert_true(config_check(&test_config));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        (void)snprintf(line, sizeof line, "{\"url\":\"http://h\",\"form\":%s}", cases[i].in);
        CHECK(parse(line, &it) == LINE_REQUEST, "%s", line);
        item_request(&test_parser, &it, &r, form_read);
        CHECK(r.body != NULL && strcmp((const char *)r.body, cases[i].out) == 0, "%s", line);
        assert_int_equal(r.body_size, strlen(cases[i].out));
        assert_int_equal(r.num_headers, 1);
        assert_string_equal(r.headers[0].value, "application/x-www-form-urlencoded");
    }
    const char *own = "{\"url\":\"http://h\",\"form\":{},\"headers\":{\"CONTENT-type\":\"x\"}}";
    assert_int_equal(parse(own, &it), LINE_REQUEST);
    item_request(&test_parser, &it, &r, form_read);
    assert_int_equal(r.num_headers, 1);
    assert_string_equal(r.headers[0].value, "x");
}

/* The most fields a line may have, and all that is added to them. */
static void test_most_fields(void **state) {
    text t = { NULL, 0, 0, false };
    item it;
    sparp_request r;
    (void)state;
    for (int i = 0; i < DEFAULTS_MAX; i++) {
        char header[32];
        (void)snprintf(header, sizeof header, "R%d:", i);
        assert_true(config_set(&test_config, OPTION_HEADER, header));
    }
    assert_true(config_check(&test_config));
    for (int extra = 0; extra < 2; extra++) {
        t.size = 0;
        PUT(&t, "{\"url\":\"http://h\",\"form\":{},\"headers\":{\"x\":[");
        for (int i = 0; i < FIELDS_MAX + extra; i++) put_text(&t, i > 0 ? ",\"v\"" : "\"v\"");
        PUT(&t, "]}}\0");
        assert_int_equal(parse(t.at, &it), extra ? LINE_BAD : LINE_REQUEST);
        if (extra) continue;
        item_request(&test_parser, &it, &r, form_read);
        assert_int_equal(r.num_headers, FIELDS_MAX + 1 + DEFAULTS_MAX);
    }
    assert_string_equal(test_parser.error, "more than 1000 fields");
    text_free(&t);
}

static void test_body_file_lines(void **state) {
    item it;
    sparp_request r;
    (void)state;
    assert_true(config_set(&test_config, OPTION_DATA, "default"));
    assert_int_equal(parse("{\"url\":\"http://h\",\"body_file\":\"a\\/b\"}", &it), LINE_REQUEST);
    assert_string_equal(it.body_file, "a/b");
    item_request(&test_parser, &it, &r, form_read);
    assert_non_null(r.body);
    assert_int_equal(r.body_size, 0);
    assert_int_equal(r.num_headers, 0);
}

static void test_bad_lines(void **state) {
    static const struct { const char *line; size_t column; const char *error; } cases[] = {
        { "{\"url\" 1}", 8, "expected ':'" },
        { "{\"url\":1}", 8, "expected a string" },
        { "{}", 1, "url is missing" },
        { "{\"url\":\"\"}", 1, "url is empty" },
        { "{\"url\":\"http://h\"} x", 20, "text after the end of the value" },
        { "{\"url\":\"http://h\",\"url\":\"http://h\"}", 19, "duplicate key" },
        { "{\"url\":\"http://h\",\"id\":1,\"custom_id\":2}", 26, "duplicate key" },
        { "{\"url\":\"http://h\",\"u\\u0072l\":\"http://h\"}", 19, "duplicate key" },
        { "{\"url\":\"http://h\",\"what\":1}", 19, "unknown key \"what\"" },
        { "{\"uri\":\"http://h\"}", 2, "unknown key \"uri\"; did you mean \"url\"?" },
        { "{\"url\":\"http://h\",\"header\":{}}", 19,
          "unknown key \"header\"; did you mean \"headers\"?" },
        { "{\"url\":\"http://h\",\"a\\nb\":1}", 19, "unknown key \"a\nb\"" },
        { "{\"url\":\"http://h\",\"body\":\"x\",\"json\":1}", 30, "a second body" },
        { "{\"url\":\"http://h\",\"json\":1,\"body_base64\":\"\"}", 28, "a second body" },
        { "{\"url\":\"http://h\",\"form\":{},\"body\":\"\"}", 29, "a second body" },
        { "{\"url\":\"http://h\",\"body_file\":\"x\",\"form\":{}}", 35, "a second body" },
        { "{\"url\":\"http://h\",\"body_file\":\"x\",\"body_file\":\"x\"}", 35, "duplicate key" },
        { "{\"url\":\"http://h\",\"body_base64\":1}", 33, "expected a string" },
        { "{\"url\":\"http://h\",\"body_file\":null}", 31, "expected a string" },
        { "{\"url\":\"http://h\",\"body_file\":\"a\\u0000\"}", 31, "NUL in a string" },
        { "{\"url\":\"http://h\",\"form\":\"a=b\"}", 26, "expected an object" },
        { "{\"url\":\"http://h\",\"form\":{\"a\":null}}", 31,
          "expected a string, number, bool or an array of them" },
        { "{\"url\":\"http://h\",\"form\":{\"a\":[{}]}}", 32,
          "expected a string, number, bool or an array of them" },
        { "{\"url\":\"http://h\",\"form\":{\"a\":1,\"a\":2}}", 33, "duplicate key" },
        { "{\"url\":\"http://h\",\"form\":{\"a\":[],\"a\":1}}", 34, "duplicate key" },
        { "{\"url\":\"http://h\",\"query\":{\"a\":[],\"a\":[]}}", 35, "duplicate key" },
        { "{\"url\":\"http://h\",\"headers\":{\"a\":[],\"A\":\"x\"}}", 37, "duplicate key" },
        { "{\"url\":\"http://h\",\"form\":{\"a\":\"\\u0000\"}}", 31, "NUL in a string" },
        { "{\"url\":\"http://h\",\"body\":1}", 26, "body is a string, an object or an array" },
        { "{\"url\":\"http://h\",\"timeout\":0}", 29, "timeout is out of range" },
        { "{\"url\":\"http://h\",\"timeout\":\"1\"}", 29, "timeout is a number of seconds" },
        { "{\"url\":\"http://h\",\"idempotent\":1}", 32, "expected true or false" },
        { "{\"url\":\"http://h\",\"cost\":\"1\"}", 26, "cost is a number, 0 for free" },
        { "{\"url\":\"http://h\",\"cost\":null}", 26, "cost is a number, 0 for free" },
        { "{\"url\":\"http://h\",\"cost\": -1}", 27,
          "cost is out of range, which is 0 to 1000000000000" },
        { "{\"url\":\"http://h\",\"cost\":1e13}", 26,
          "cost is out of range, which is 0 to 1000000000000" },
        { "{\"url\":\"http://h\",\"cost\":01}", 26, "number starts with 0" },
        { "{\"url\":\"http://h\",\"costs\":1}", 19,
          "unknown key \"costs\"; did you mean \"cost\"?" },
        { "{\"url\":\"http://h\",\"headers\":{\"a\":1}}", 34,
          "a header is a string, strings or null" },
        { "{\"url\":\"http://h\",\"headers\":{\"a\":\"\",\"A\":\"\"}}", 37,
          "duplicate key" },
        { "{\"url\":\"http://h\",\"query\":{\"a\":null}}", 32,
          "expected a string, number, bool or an array of them" },
        { "{\"url\":\"http://h\\u0000\"}", 8, "NUL in a string" },
        { "{\"url\":\"http://h\\ud800\"}", 8, "half of a surrogate pair" },
        { "{\"url\":\"http://h\",}", 19, "expected a key in quotes" },
        { "null", 1, "url is not absolute, and there is no --base-url" },
        { "[1]", 1, "url is not absolute, and there is no --base-url" },
        { "ftp://h/", 1, "url does not start with http:// or https://" },
        { "GET /x", 5, "url is not absolute, and there is no --base-url" },
        { "http://h/\xFF", 10, "not UTF-8" },
        { "{\"url\":\"http://h\"", 18, "expected ',' or '}'" }
    };
    item it;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CHECK(parse(cases[i].line, &it) == LINE_BAD, "%s", cases[i].line);
        CHECK(strcmp(test_parser.error, cases[i].error) == 0, "%s: %s", cases[i].line,
              test_parser.error);
        CHECK(test_parser.column == cases[i].column, "%s: column %zu", cases[i].line,
              test_parser.column);
    }
}

static void test_formats(void **state) {
    item it;
    (void)state;
    test_config.format = FORMAT_JSONL;
    assert_int_equal(parse("http://h", &it), LINE_BAD);
    assert_int_equal(parse("# no comments here", &it), LINE_BAD);
    assert_int_equal(parse("  ", &it), LINE_NOTHING);
    test_config.format = FORMAT_URL;
    assert_int_equal(parse("{\"url\":\"http://h\"}", &it), LINE_BAD);
    test_config.base_url = "http://b/x/";
    assert_int_equal(parse("y?z", &it), LINE_REQUEST);
    assert_string_equal(it.url, "http://b/x/y?z");
    test_config.template_url = "items/{}";
    assert_int_equal(parse("#1", &it), LINE_REQUEST);
    assert_string_equal(it.url, "http://b/x/items/%231");
}

/* The room made for decoded strings is never exceeded: it must not move under the pointers. */
static void test_arena_stays(void **state) {
    static const char *const lines[] = {
        "{\"url\":\"http://h\",\"query\":{\"a\":[1,2,3,4,5,6,7,8,9]}}",
        "{\"url\":\"http://h\",\"query\":{\"\":\"\",\"b\":1}}",
        "{\"url\":\"http://h\",\"form\":{\"a\":[1,2,3,4,5,6,7,8,9]}}",
        "{\"url\":\"http://h\",\"body_base64\":\"AAAA\"}",
        "{\"url\":\"http://h\",\"body_file\":\"\"}",
        "{\"url\":\"http://h\",\"json\":1}", "GET http://h", "http://h"
    };
    item it;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        text_free(&test_parser.arena);
        assert_int_equal(parse(lines[i], &it), LINE_REQUEST);
        CHECK(test_parser.arena.size <= strlen(lines[i]) + 2, "%s", lines[i]);
    }
}

static void test_requests(void **state) {
    item it;
    sparp_request r;
    (void)state;
    assert_true(config_set(&test_config, OPTION_HEADER, "X-A: 1"));
    assert_true(config_set(&test_config, OPTION_HEADER, "X-B: 2"));
    assert_true(config_set(&test_config, OPTION_HEADER, "x-a:"));
    assert_true(config_set(&test_config, OPTION_URL_QUERY, "k=v w"));
    assert_true(config_set(&test_config, OPTION_DATA, "hello"));
    assert_true(config_check(&test_config));
    assert_int_equal(test_config.num_removed, 1);
    assert_int_equal(test_config.num_headers, 2);
    assert_string_equal(test_config.headers[1].name, "X-B");
    assert_int_equal(parse("http://h/", &it), LINE_REQUEST);
    item_request(&test_parser, &it, &r, form_read);
    assert_int_equal(r.num_headers, 1);
    assert_null(r.headers[0].value);
    assert_int_equal(r.num_query, 1);
    assert_string_equal(r.query[0].value, "v w");
    assert_int_equal(r.body_size, 5);
    assert_int_equal(parse("{\"url\":\"http://h/\",\"json\":{},\"headers\":{\"X-A\":\"9\"}}", &it),
                     LINE_REQUEST);
    item_request(&test_parser, &it, &r, form_read);
    assert_int_equal(r.num_headers, 1);
    assert_string_equal(r.headers[0].value, "9");
    assert_null(r.body);
    assert_string_equal(r.json, "{}");
}

/* --- options --------------------------------------------------------------------------------- */

static bool parse_words(config *c, const char *words) {
    static char copy[256];
    static char *argv[32];
    int argc = 1;
    argv[0] = copy;
    (void)snprintf(copy, sizeof copy, "sparp");
    char *at = copy + 6;
    (void)snprintf(at, sizeof copy - 6, "%s", words);
    for (char *word = strtok(at, " "); word != NULL; word = strtok(NULL, " ")) argv[argc++] = word;
    argv[argc] = NULL;
    config_free(c);
    memset(c, 0, sizeof *c);
    return config_parse(c, argc, argv) && config_check(c);
}

/* The cost of a line: its own, that of --cost, or that of its row. */
static void test_costs_of_lines(void **state) {
    static const struct { const char *words, *line; double cost; } cases[] = {
        { "", "http://h", 0 }, { "", "{\"url\":\"http://h\",\"cost\":2.5}", 2.5 },
        { "", "{\"url\":\"http://h\",\"cost\":0}", SPARP_NONE },
        { "", "{\"url\":\"http://h\",\"cost\":0.0e5}", SPARP_NONE },
        { "--cost 7", "http://h", 7 }, { "--cost 0", "http://h", SPARP_NONE },
        { "--cost 7", "{\"url\":\"http://h\",\"cost\":2}", 2 },
        { "-T http://h/{1} --cost {2}", "a\t 3.5 ", 3.5 },
        { "-T http://h/{1} --cost {2}0", "a\t3", 30 },
        { "-T http://h/{1} --cost {2}", "a\t0", SPARP_NONE }, { "-T http://h/{} --cost 4", "a", 4 }
    };
    item it;
    sparp_request r;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char words[100];
        (void)snprintf(words, sizeof words, "--max-cost 5 %s", cases[i].words);
        CHECK(parse_words(&test_config, words), "%s", words);
        CHECK(parse(cases[i].line, &it) == LINE_REQUEST, "%s", cases[i].line);
        item_request(&test_parser, &it, &r, form_read);
        CHECK(r.cost == cases[i].cost, "%s %s", cases[i].words, cases[i].line);
    }
    assert_true(parse_words(&test_config, "--max-cost 5 -T http://h/{1} --cost {2}"));
    assert_int_equal(parse("a\tx", &it), LINE_BAD);
    assert_string_equal(test_parser.error, "--cost is no number with these values");
    assert_int_equal(parse("a\t", &it), LINE_BAD);
    assert_int_equal(parse("a", &it), LINE_BAD);
    assert_int_equal(parse("{\"url\":\"http://h\"}", &it), LINE_BAD);
}

static void test_limits_of_flags(void **state) {
    config *c = &test_config;
    (void)state;
    assert_true(parse_words(c, "--max-cost 90000/m --cost-burst 0.5 --per-host-rate 2 "
                            "--limit-host a.example=10,5/s,600/m --limit-host *.example=,1"));
    assert_true(c->max_cost == 1500 && c->cost_burst == 0.5 && c->per_host_rate == 2);
    assert_int_equal(c->num_host_limits, 2);
    assert_string_equal(c->host_limits[0].host, "a.example");
    assert_true(c->host_limits[0].max_cost_per_second == 10 && c->host_limits[1].max_at_once == 0);
    assert_true(parse_words(c, "--retry-ratio 10%") && c->retry_ratio == 0.1);
    assert_true(parse_words(c, "--retry-ratio 2.5") && c->retry_ratio == 2.5);
    assert_true(parse_words(c, "--cost-from usage.total_tokens") && shows_cost(c));
    assert_true(parse_words(c, "--limit-host *=,,5 --cost 2 --cost-burst 7") && shows_cost(c));
    assert_true(parse_words(c, "--limit-host h:80=none --limit-host h=5 --limit-host *=1"));
    assert_false(shows_cost(c));
}

static void test_command_lines(void **state) {
    config *c = &test_config;
    (void)state;
    assert_true(parse_words(c, "-c 50 -r 300/m a.jsonl -t500ms --retries=3 http://x -vq -- -z"));
    assert_int_equal(c->max_at_once, 50);
    assert_true(c->max_per_second == 5 && c->timeout == 0.5);
    assert_int_equal(c->num_sources, 3);
    assert_string_equal(c->sources[2], "-z");
    assert_true(c->verbose && c->quiet && c->given[OPTION_RETRIES]);
    assert_true(parse_words(c, "--concurrency 7 --rate 2 --order input --body none -"));
    assert_true(c->max_at_once == 7 && c->max_per_second == 2 && c->order == ORDER_INPUT);
    assert_int_equal(c->body, BODY_NONE);
    assert_true(parse_words(c, "--max-fail 5%"));
    assert_true(c->max_fail_ratio == 0.05 && c->max_fail_after == 20 && c->max_fail == 0);
    assert_true(parse_words(c, "--stop-on hard-fail,timeout"));
    assert_int_equal(c->stop_on, SPARP_STOP_ON_HARD_FAIL | SPARP_STOP_ON_TIMEOUT);
    assert_true(parse_words(c, "--ok all"));
    assert_false(c->retry_on.has[503]);
    assert_true(parse_words(c, "--retry-on 2xx"));
    assert_false(c->ok.has[200]);
    assert_true(c->ok.has[304]);
}

static void test_network_flags(void **state) {
    config *c = &test_config;
    sparp_options o;
    (void)state;
    memset(&o, 0, sizeof o);
    assert_true(parse_words(c, "-c 1"));
    net_options(c, &o);
    assert_int_equal(o.max_redirects, 0);
    assert_int_equal(o.ip_version, 0);
    assert_null(o.proxy);
    assert_true(parse_words(c, "--max-redirs none -4 --sensitive X-Key,X-Token --unix-socket /s "
                            "--interface 127.0.0.9 --min-speed 2k --min-speed-time 5"));
    net_options(c, &o);
    assert_int_equal(o.max_redirects, SPARP_NONE);
    assert_int_equal(o.ip_version, 4);
    assert_string_equal(o.sensitive_headers, "X-Key,X-Token");
    assert_string_equal(o.unix_socket, "/s");
    assert_string_equal(o.local_address, "127.0.0.9");
    assert_true(o.min_bytes_per_second == 2048 && o.min_speed_s == 5);
    assert_true(parse_words(c, "--max-redirs 0 --ipv6 --dns-timeout 1 --tls-timeout 2 "
                            "--send-timeout 3 --first-byte-timeout 4 --idle-timeout 500ms"));
    net_options(c, &o);
    assert_int_equal(o.max_redirects, SPARP_NONE);
    assert_int_equal(o.ip_version, 6);
    assert_true(o.dns_timeout_s == 1 && o.tls_timeout_s == 2 && o.send_timeout_s == 3);
    assert_true(o.first_byte_timeout_s == 4 && o.idle_timeout_s == 0.5);
    assert_true(parse_words(c, "--max-redirs 7 --resolve a.org:443:10.0.0.1,::1 "
                            "--resolve *:80:[fe80::2] --resolve [::1]:*:::2 "
                            "--connect-to ::[::1]:8080 "
                            "--connect-to a:1:b:2 --connect-to :::"));
    net_options(c, &o);
    assert_int_equal(o.max_redirects, 7);
    assert_string_equal(o.resolve, "a.org:443:10.0.0.1,a.org:443:::1,*:80:[fe80::2],[::1]:*:::2");
    assert_string_equal(o.connect_to, "::[::1]:8080,a:1:b:2,:::");
}

/* What `run` says on stderr, which is not for the test's log. */
static const char *what_it_says(bool (*run)(config *), bool *result) {
    static char said[4096];
    char path[] = "/tmp/sparp-test-XXXXXX";
    int saved_stderr = dup(STDERR_FILENO), file = mkstemp(path);
    assert_true(saved_stderr >= 0 && file >= 0);
    (void)dup2(file, STDERR_FILENO);
    *result = run(&test_config);
    (void)dup2(saved_stderr, STDERR_FILENO);
    ssize_t size = pread(file, said, sizeof said - 1, 0);
    said[size < 0 ? 0 : size] = '\0';
    (void)close(saved_stderr);
    (void)close(file);
    (void)unlink(path);
    return said;
}

static bool parse_compressed(config *c) {
    return parse_words(c, "--compressed");
}

/* Taken only by a build that can do it. */
static void test_compressed(void **state) {
    bool good;
    (void)state;
    const char *said = what_it_says(parse_compressed, &good);
    assert_true(good == sparp_has_zlib());
    assert_true(good || strstr(said, "--compressed: this sparp was built without zlib") != NULL);
}

static void test_user_agent(void **state) {
    config *c = &test_config;
    (void)state;
    assert_true(parse_words(c, "-A robot/1"));
    assert_int_equal(c->num_headers, 1);
    assert_string_equal(c->headers[0].name, "User-Agent");
    assert_string_equal(c->headers[0].value, "robot/1");
    assert_true(parse_words(c, "--user-agent robot -H user-agent:own"));
    assert_int_equal(c->num_headers, 1);
    assert_string_equal(c->headers[0].value, "own");
    assert_true(parse_words(c, "--user-agent="));
    assert_int_equal(c->num_removed, 1);
    assert_null(c->headers[0].value);
}

/* The environment as a list of "name=value" with blanks between, a blank at either end. */
static void set_environment(const char *list) {
    static const char *const names[] = { "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
                                         "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY" };
    char copy[256];
    for (size_t i = 0; i < COUNT_OF(names); i++) (void)unsetenv(names[i]);
    (void)snprintf(copy, sizeof copy, "%s", list);
    for (char *one = strtok(copy, " "); one != NULL; one = strtok(NULL, " ")) {
        char *value = strchr(one, '=');
        *value++ = '\0';
        assert_int_equal(setenv(one, value, 1), 0);
    }
}

static void test_proxies(void **state) {
    static const struct { const char *env, *words, *http, *https, *no; } cases[] = {
        { "", "-v", NULL, NULL, NULL },
        { "", "-x p:3128", "p:3128", "p:3128", NULL },
        { "", "-x HTTP://u:p@p/ --noproxy a,.b", "HTTP://u:p@p/", "HTTP://u:p@p/", "a,.b" },
        { "", "--proxy http://[::1]:80", "http://[::1]:80", "http://[::1]:80", NULL },
        { "http_proxy=h:1", "-v", "h:1", "", NULL },
        { "HTTP_PROXY=h:1", "-v", NULL, NULL, NULL },
        { "HTTPS_PROXY=s", "-v", NULL, "s", NULL },
        { "https_proxy=s HTTPS_PROXY=S", "-v", NULL, "s", NULL },
        { "ALL_PROXY=a http_proxy=h", "-v", "h", "a", NULL },
        { "ALL_PROXY=A all_proxy=a HTTPS_PROXY=", "-v", "a", "a", NULL },
        { "no_proxy=n NO_PROXY=N http_proxy=h", "-v", "h", "", "n" },
        { "NO_PROXY=N http_proxy=h", "-x p", "p", "p", "N" },
        { "NO_PROXY=10.0.0.0/8,::1/128 http_proxy=h", "-v", "h", "", "10.0.0.0/8,::1/128" },
        { "NO_PROXY=N http_proxy=h", "--noproxy=", "h", "", "" },
        { "NO_PROXY=N http_proxy=h", "--proxy=", NULL, NULL, NULL },
        { "NO_PROXY=a/b all_proxy=socks5://h", "-x none", NULL, NULL, NULL },
        { "http_proxy=http://h/path all_proxy=socks5://i", "-v", "http://h", "socks5://i", NULL },
        { "all_proxy=h", "--unix-socket /s", NULL, NULL, NULL }
    };
    sparp_options o;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        set_environment(cases[i].env);
        CHECK(parse_words(&test_config, cases[i].words), "row %zu", i);
        CHECK(config_proxies(&test_config), "row %zu", i);
        memset(&o, 0, sizeof o);
        net_options(&test_config, &o);
        const char *got[3] = { o.proxy, o.https_proxy, o.no_proxy };
        const char *wanted[3] = { cases[i].http, cases[i].https, cases[i].no };
        for (int k = 0; k < 3; k++) {
            CHECK((got[k] == NULL) == (wanted[k] == NULL), "row %zu, %d", i, k);
            CHECK(got[k] == NULL || strcmp(got[k], wanted[k]) == 0, "row %zu: %s", i, got[k]);
        }
    }
    set_environment("");
}

static void test_bad_proxies(void **state) {
    static const struct { const char *env, *words, *says; } cases[] = {
        { "", "-x socks5://u:secret@h:1", "--proxy: proxy must begin with http://" },
        { "", "-x https://u:secret@h", "--proxy: proxy must begin with http://" },
        { "", "-x u:secret@h:0", "--proxy: proxy is not http://" },
        { "", "-x h:80:80", "--proxy: " }, { "", "-x :80", "--proxy: " },
        { "", "-x http://", "--proxy: " }, { "", "-x h/path", "--proxy: " },
        { "", "-x h?q", "--proxy: " }, { "", "-x [::1", "--proxy: " },
        { "", "-x h,i", "--proxy: " },
        { "", "-x h --unix-socket /s", "--unix-socket and --proxy" },
        { "", "-x h --noproxy a/b", "--noproxy: 'a/b': --noproxy has an entry with a /" },
        { "http_proxy=h no_proxy=a/b NO_PROXY=c", "-v", NULL },     /* they stop nobody */
        { "http_proxy=ftp://h https_proxy=h:x", "-v", NULL }
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bool good;
        set_environment(cases[i].env);
        CHECK(parse_words(&test_config, cases[i].words), "row %zu", i);
        const char *said = what_it_says(config_proxies, &good);
        CHECK(good == (cases[i].says == NULL), "row %zu: %s", i, said);
        CHECK(good || strstr(said, cases[i].says) != NULL, "row %zu: %s", i, said);
        CHECK(strstr(said, "secret") == NULL, "row %zu: %s", i, said);
    }
    set_environment("");
}

/* 20: placeholders that mean nothing, and braces that are none. */
static void test_template_words(void **state) {
    static const char *const good[] = { "{}", "h/{1}/{9999}", "{raw}", "{{x}{}", "}{}" };
    config c;
    static const char *const bad[] = {
        "", "h/", "{{}", "{id}", "{}{0}", "{}{1raw}", "{}{raw1}", "{}{line}", "{}{ }", "{}{#}",
        "{}{", "{}{1", "{12345}", "{-1}", "{Raw}", "{}{{{"
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
    {
        memset(&c, 0, sizeof c);
        c.template_url = good[i];
        CHECK(check_template(&c), "%s", good[i]);
    }
    int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    assert_true(saved >= 0 && null >= 0 && dup2(null, STDERR_FILENO) >= 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
    {
        memset(&c, 0, sizeof c);
        c.template_url = bad[i];
        CHECK(!check_template(&c), "%s", bad[i]);
    }
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    close(null);
}

/* 20: what the library calls a field, we call a flag. */
static void test_our_words(void **state) {
    static const struct { const char *in, *out; } cases[] = {
        { "exceeds max_body_bytes (67108864)", "exceeds --max-body (67108864)" },
        { "local_address is not of ip_version", "--interface is not of --ipv4 or --ipv6" },
        { "pin_sha256: not the base64", "--pin: not the base64" }, { "", "" },
        { "xmax_body_bytes max_body_bytes2 _", "xmax_body_bytes max_body_bytes2 _" },
        { "timeout_s", "--timeout" }, { "connection refused", "connection refused" },
        { "cost_burst must be", "--cost-burst must be" }
    };
    text t = { NULL, 0, 0, false };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        put_in_our_words(&t, slice_of(cases[i].in));
        expect_text(&t, cases[i].out);
    }
    text_free(&t);
}

/* The messages go to stderr, which is not for the test's log. */
static void test_usage_errors(void **state) {
    static const char *const bad[] = {
        "--retry 3", "--max-at-onc 5", "--zzz", "-Z", "-c", "-c 0", "-c 100001", "-c x", "-t 0",
        "-r 0", "--order", "--order up", "--echo=1", "--max-fail 101%", "--max-fail 0",
        "--stop-on never", "--ok 20", "--ok 200 --retry-on 2xx", "-T http://h/",
        "--data a --json 1",
        "--json {", "-H nocolon", "--url-query k", "--base-url h", "--format jsonl -T http://h/{}",
        "--journl x", "-y x", "--shard 2/2", "--fleet-rate 5", "--merge",
        "--per-host 0", "--report r -n", "--report r --merge x", "--report",
        "--summarize http://h/", "--max-body 0", "--header @/nonexistent/file", "--headers all,x",
        "--max-redirs -1", "--max-redirs x", "--max-redirs=", "--max-redirs 1001", "--max-redirs",
        "-A", "-4 -6", "--compressed=1", "--resolve h", "--resolve h:80", "--resolve h:80:",
        "--resolve :80:10.0.0.1", "--resolve h:0:10.0.0.1", "--resolve h:65536:10.0.0.1",
        "--resolve h:x:10.0.0.1", "--resolve h:80:name", "--resolve h:80:10.0.0.1,",
        "--resolve h:80:10.0.0.1,x", "--resolve h:80:[10.0.0.1]",
        "--resolve=", "--resolve ,","--resolve h:80:1.2.3",
        "--resolve [::1:80:::1", "--resolve a,b:80:10.0.0.1", "--connect-to h", "--connect-to :",
        "--connect-to ::", "--connect-to ::::", "--connect-to a:80:b:x", "--connect-to a:0:b:80",
        "--connect-to a:80:b:65536", "--connect-to a,b:80:c:80", "--connect-to a:80:[x]:80",
        "--unix-socket=", "--interface eth0", "--interface=", "--interface 10.0.0.300",
        "--interface localhost", "--interface [::1]",
        "--interface ::1 -4", "--connect-to=", "--connect-to ,",
        "--dns-timeout 0", "--dns-timeout x", "--tls-timeout 0",
        "--tls-timeout -1", "--send-timeout 0", "--send-timeout x", "--first-byte-timeout 0",
        "--first-byte-timeout 1d", "--idle-timeout 0", "--idle-timeout=", "--min-speed 0",
        "--min-speed 1.5", "--min-speed x", "--min-speed-time 5", "--sensitive=",
        "--sensitive a,,b", "--sensitive a:b", "--min-speed 1 --min-speed-time 0",
        "--body-dir=", "--body-dir d --body none", "--body auto --body-dir d", "--body-dir",
        "--headers=", "--headers x,none", "--headers a,,b", "--headers ,", "--headers a;b",
        "--max-cost 0", "--max-cost x", "--max-cost -1", "--max-cost 90k/m", "--cost-burst 5",
        "--max-cost 5 --cost-burst 0", "--max-cost 5 --cost-burst 5/m", "--cost 5",
        "--max-cost 5 --cost x", "--max-cost 5 --cost -1", "--max-cost 5 --cost {1}",
        "--max-cost 5 -T http://h/{1} --cost {x}", "--limit-host h=5 --cost 5", "--cost-from=",
        "--cost-from .a", "--cost-from a --body-dir d", "--per-host-rate 0", "--limit-host",
        "--limit-host h", "--limit-host *.*=5", "--limit-host a*=5", "--limit-host h:x=5",
        "--limit-host h:0=5", "--limit-host *=5 --limit-host h=5",
        "--limit-host h=5 --limit-host h:80=none", "--limit-host h=,1e9",
        "--limit-host h=,,99999999999999", "--retry-ratio 0", "--retry-ratio x", "--retry-ratio 5x",
        "--retry-ratio -1", "--retry-ratio %", "--no-gate=1"
    };
    (void)state;
    int saved_stderr = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    assert_true(saved_stderr >= 0 && null >= 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        (void)dup2(null, STDERR_FILENO);
        bool taken = parse_words(&test_config, bad[i]);
        (void)dup2(saved_stderr, STDERR_FILENO);
        CHECK(!taken, "%s", bad[i]);
    }
    (void)close(saved_stderr);
    (void)close(null);
}

static void test_nearest_option(void **state) {
    (void)state;
    assert_string_equal(option_nearest(slice_of("retry")), "retries");
    assert_string_equal(option_nearest(slice_of("max-at-onec")), "max-at-once");
    assert_string_equal(option_nearest(slice_of("quite")), "quiet");
    assert_string_equal(option_nearest(slice_of("max-tokens")), "max-cost");
    assert_string_equal(option_nearest(slice_of("tpm")), "max-cost");
    assert_string_equal(option_nearest(slice_of("rpm")), "max-per-second");
    assert_string_equal(option_nearest(slice_of("concurency")), "concurrency");
    assert_null(option_nearest(slice_of("frobnicate")));
}

/* Names are unique, fit the help screen, and the short one fits 24 x 80. */
static void test_option_table(void **state) {
    option_id id, other;
    const char *name, *known;
    (void)state;
    for (size_t i = 0; (name = option_name(i, &id)) != NULL; i++) {
        for (size_t k = 0; k < i; k++) {
            known = option_name(k, &other);
            CHECK(strcmp(name, known) != 0, "--%s", name);
            CHECK(i >= OPTION_COUNT || option_rows[id].letter == 0
                  || option_rows[id].letter != option_rows[k].letter, "--%s", name);
        }
    }
    slice rest = slice_of(short_help), line;
    size_t lines = 0;
    while (slice_split(&rest, '\n', &line)) {
        CHECK(line.size <= 80, "%.*s", (int)line.size, line.at);
        lines++;
    }
    assert_true(lines <= 25);    /* the last one is empty */
    text t = { NULL, 0, 0, false };
    put_help(&t);
    rest.at = t.at;
    rest.size = t.size;
    while (slice_split(&rest, '\n', &line)) {
        CHECK(line.size <= 110, "%.*s", (int)line.size, line.at);
    }
    text_free(&t);
}

/* --- what the library may say ----------------------------------------------------------------- */

static sparp_result plain_result(void) {
    static const sparp_field headers[] = { { "content-type", "application/json" }, { "x", "1" },
                                           { "x", "2" } };
    sparp_result r;
    memset(&r, 0, sizeof r);
    r.method = "GET";
    r.url = "http://h/";
    r.outcome = SPARP_OUTCOME_SUCCESS;
    r.detail = "";
    r.status = 200;
    r.headers = headers;
    r.num_headers = 3;
    r.body = "{\"a\":\n1}";
    r.body_size = 8;
    r.attempts = 2;
    r.reused = true;
    r.bytes_out = 211;
    r.bytes_in = 1834;
    r.phase_us[SPARP_PHASE_FIRST_BYTE] = 41700;
    r.elapsed_us = 43500;
    r.total_us = 612000;
    r.waited_us = 400;
    return r;
}

static ticket plain_ticket(const char *id, const char *meta, const char *line) {
    ticket k;
    item it;
    memset(&k, 0, sizeof k);
    memset(&it, 0, sizeof it);
    it.id = slice_of(id);
    it.meta = slice_of(meta);
    it.line = slice_of(line);
    assert_true(ticket_fill(&k, 17, &it, true));
    return k;
}

/* --- reader ---------------------------------------------------------------------------------- */

static const char *write_temporary(const char *at, size_t size) {
    static char path[64];
    (void)snprintf(path, sizeof path, "/tmp/sparp-test-XXXXXX");
    int fd = mkstemp(path);
    size_t written;
    assert_true(fd >= 0 && write_all(fd, at, size, &written));
    (void)close(fd);
    return path;
}

static void test_reader(void **state) {
    static const char *const lines[] = { "one", "", "three", "four" };
    static const char content[] = "\xEF\xBB\xBF" "one\r\n\nthree\nfour";
    const char *const sources[2] = { write_temporary(content, sizeof content - 1), "http://arg" };
    reader r;
    slice line;
    (void)state;
    assert_true(reader_open(&r, sources, 2));
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        assert_int_equal(reader_next(&r, &line), READ_LINE);
        assert_true(slice_is(line, lines[i]));
        assert_int_equal(r.lines, i + 1);
    }
    assert_int_equal(reader_next(&r, &line), READ_LINE);
    assert_true(slice_is(line, "http://arg") && r.argument);
    assert_int_equal(reader_next(&r, &line), READ_END);
    assert_int_equal(reader_next(&r, &line), READ_END);
    reader_free(&r);
    (void)unlink(sources[0]);
}

static void test_reader_long_line(void **state) {
    size_t size = LINE_BYTES_MAX + 3 * CHUNK;
    char *content = (char *)malloc(size + 8);
    reader r;
    slice line;
    (void)state;
    assert_non_null(content);
    memset(content, 'a', size);
    memcpy(content + size, "\nnext\n\n", 7);
    const char *path = write_temporary(content, size + 7);
    assert_true(reader_open(&r, &path, 1));
    assert_int_equal(reader_next(&r, &line), READ_TOO_LONG);
    assert_true(line.size > LINE_BYTES_MAX);
    assert_int_equal(reader_next(&r, &line), READ_LINE);
    assert_true(slice_is(line, "next") && r.lines == 2);
    assert_int_equal(reader_next(&r, &line), READ_LINE);
    assert_int_equal(reader_next(&r, &line), READ_END);
    reader_free(&r);
    (void)unlink(path);
    free(content);
}

/* A pipe is never waited for, and a line may come in pieces. */
static void test_reader_pipe(void **state) {
    int ends[2];
    reader r;
    slice line;
    char path[32];
    const char *source = path;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    (void)snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    if (access(path, R_OK) != 0) skip();
    assert_true(reader_open(&r, &source, 1));
    assert_int_equal(reader_next(&r, &line), READ_LATER);
    assert_int_equal(write(ends[1], "ab", 2), 2);
    assert_int_equal(reader_next(&r, &line), READ_LATER);
    assert_int_equal(write(ends[1], "c\nd\ne", 5), 5);
    assert_int_equal(reader_next(&r, &line), READ_LINE);
    assert_true(slice_is(line, "abc"));
    assert_int_equal(reader_next(&r, &line), READ_LINE);
    assert_true(slice_is(line, "d"));
    assert_int_equal(reader_next(&r, &line), READ_LATER);
    (void)close(ends[1]);
    assert_int_equal(reader_next(&r, &line), READ_LINE);
    assert_true(slice_is(line, "e"));
    assert_int_equal(reader_next(&r, &line), READ_END);
    reader_free(&r);
    (void)close(ends[0]);
}

static void test_paths_in_lines(void **state) {
    static const struct { const char *source, *path, *out; } cases[] = {
        { "in.jsonl", "x", "x" }, { "a/in.jsonl", "x", "a/x" }, { "/in", "x", "/x" },
        { "a/b/in", "../x", "a/b/../x" }, { "a/in", "/x", "/x" }, { "stdin", "b/x", "b/x" }
    };
    reader r;
    text t = { NULL, 0, 0, false };
    (void)state;
    memset(&r, 0, sizeof r);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        r.name = cases[i].source;
        put_reader_path(&t, &r, cases[i].path);
        t.size--;                /* its NUL */
        expect_text(&t, cases[i].out);
    }
    text_free(&t);
}

static void test_body_files(void **state) {
    char path[] = "/tmp/sparp-test-XXXXXX";
    static char bytes[200000], read[200000];
    int fd = mkstemp(path);
    reader r;
    ticket k;
    item it;
    (void)state;
    memset(&r, 0, sizeof r);
    memset(&k, 0, sizeof k);
    memset(&it, 0, sizeof it);
    r.name = "stdin";
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 7);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    for (int round = 0; round < 2; round++) {    /* the second is a retry */
        assert_true(ticket_fill(&k, 1, &it, false) && body_file_find(&k, &r, path));
        assert_int_equal(k.file.st_size, sizeof bytes);
        for (uint64_t at = 0; at < sizeof bytes;) {
            int64_t n = body_file_read(at, read + at, sizeof bytes - (size_t)at, &k);
            assert_true(n > 0);
            at += (uint64_t)n;
        }
        assert_memory_equal(read, bytes, sizeof bytes);
    }
    assert_int_equal(body_file_read(sizeof bytes, read, 1, &k), SPARP_NONE);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    text_free(&k.parts);
}

/* What `path` holds now is no longer what was promised, or begun with. */
static void test_body_files_that_change(void **state) {
    char path[] = "/tmp/sparp-test-XXXXXX";
    static const struct { off_t size; time_t time; bool again; const char *says; } cases[] = {
        { 100, 5, false, NULL }, { 100, 6, false, NULL }, { 99, 5, true, "its size has changed" },
        { 101, 5, false, "its size has changed" }, { 100, 6, true, "while it was sent" }
    };
    char byte;
    reader r;
    ticket k;
    item it;
    int fd = mkstemp(path);
    (void)state;
    memset(&r, 0, sizeof r);
    memset(&k, 0, sizeof k);
    memset(&it, 0, sizeof it);
    r.name = "stdin";
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct timespec before[2] = { { 5, 0 }, { 5, 0 } };
        const struct timespec after[2] = { { cases[i].time, 0 }, { cases[i].time, 0 } };
        assert_true(ftruncate(fd, 100) == 0 && futimens(fd, before) == 0);
        assert_true(ticket_fill(&k, 1, &it, false) && body_file_find(&k, &r, path));
        if (cases[i].again) assert_int_equal(body_file_read(0, &byte, 1, &k), 1);
        assert_true(ftruncate(fd, cases[i].size) == 0 && futimens(fd, after) == 0);
        int64_t n = body_file_read(cases[i].again, &byte, 1, &k);
        CHECK(n == (cases[i].says == NULL ? 1 : SPARP_NONE), "row %zu", i);
        put_char(&k.parts, '\0');
        CHECK(cases[i].says == NULL || strstr(k.parts.at + k.path_size, cases[i].says) != NULL,
              "row %zu: %s", i, k.parts.at + k.path_size);
        CHECK(cases[i].says == NULL || k.failure_size > strlen(path), "row %zu", i);
    }
    (void)close(fd);
    (void)unlink(path);
    text_free(&k.parts);
}

static void test_body_files_that_are_none(void **state) {
    char path[] = "/tmp/sparp-test-XXXXXX";
    struct stat info;
    const char *error;
    int fd = mkstemp(path);
    (void)state;
    assert_int_equal(close(fd), 0);
    fd = open_regular(path, &info, &error);
    assert_true(fd >= 0 && error == NULL && info.st_size == 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(open_regular(path, &info, &error), -1);
    assert_string_equal(error, strerror(ENOENT));
    assert_int_equal(open_regular("/", &info, &error), -1);
    assert_string_equal(error, "not a regular file");
    assert_int_equal(open_regular("/dev/null", &info, &error), -1);
    assert_string_equal(error, "not a regular file");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(open_regular(path, &info, &error), -1);
    assert_string_equal(error, "not a regular file");
    assert_int_equal(unlink(path), 0);
}

static int file_size(int dir, const char *name) {    /* -1: there is none */
    struct stat info;
    return fstatat(dir, name, &info, 0) == 0 ? (int)info.st_size : -1;
}

/* One request's attempts, and what lies in the directory afterwards. */
static void test_bodies_into_files(void **state) {
    static const struct {
        int first, second;       /* bytes that the attempts brought; -1: there was none */
        bool complete;
        int size;                /* of the file; -1: none */
    } cases[] = {
        { 5, -1, true, 5 }, { 0, -1, true, 0 }, { 5, -1, false, -1 }, { 5, 3, true, 3 },
        { 5, 0, true, 0 }, { 5, 0, false, -1 }, { 0, 7, true, 7 }, { 3, 8, false, -1 }
    };
    char dir_name[] = "/tmp/sparp-test-XXXXXX";
    assert_non_null(mkdtemp(dir_name));
    int dir = open(dir_name, O_RDONLY);
    slice bytes = slice_of("abcdefgh");
    sparp_result r = plain_result();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ticket k = plain_ticket("", "", "");
        int sizes[2] = { cases[i].first, cases[i].second };
        for (r.attempts = 1; r.attempts <= 2 && sizes[r.attempts - 1] >= 0; r.attempts++) {
            if (r.attempts == 2) part_forget(&k);
            for (int at = 0; at < sizes[r.attempts - 1]; at++) {
                slice byte = { bytes.at + at, 1 };
                assert_true(part_write(&k, dir, &r, (uint64_t)at, byte, false));
                assert_int_equal(file_size(dir, "17"), -1);
            }
        }
        r.attempts--;
        r.body_complete = cases[i].complete;
        assert_true(part_finish(&k, dir, &r));
        CHECK(k.has_file == cases[i].complete && k.part == -1, "row %zu", i);
        CHECK(file_size(dir, "17") == cases[i].size, "row %zu: %d", i, file_size(dir, "17"));
        assert_int_equal(file_size(dir, "17.part"), -1);
        (void)unlinkat(dir, "17", 0);
        text_free(&k.parts);
    }
    (void)close(dir);
    assert_int_equal(rmdir(dir_name), 0);
}

/* An error of any kind leaves nothing under the name. */
static void test_bodies_that_cannot_be_written(void **state) {
    char dir_name[] = "/tmp/sparp-test-XXXXXX";
    assert_non_null(mkdtemp(dir_name));
    int dir = open(dir_name, O_RDONLY);
    sparp_result r = plain_result();
    ticket k = plain_ticket("", "", "");
    (void)state;
    r.body_complete = true;
    struct rlimit before, none = { 0, 0 };
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none.rlim_max = before.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    bool written = part_write(&k, dir, &r, 0, slice_of("x"), false);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_false(written);
    assert_int_equal(k.part_error, EFBIG);
    assert_false(part_finish(&k, dir, &r));
    assert_true(!k.has_file && k.part == -1);
    assert_int_equal(file_size(dir, "17"), -1);
    assert_int_equal(mkdirat(dir, "17", 0700), 0);
    k.part_error = 0;
    assert_true(part_write(&k, dir, &r, 0, slice_of("x"), false));
    assert_false(part_finish(&k, dir, &r));
    assert_int_equal(k.part_error, EISDIR);
    assert_int_equal(file_size(dir, "17.part"), -1);
    assert_int_equal(unlinkat(dir, "17", AT_REMOVEDIR), 0);
    (void)close(dir);
    assert_int_equal(rmdir(dir_name), 0);
    text_free(&k.parts);
}

/* --- records --------------------------------------------------------------------------------- */

static void test_strings(void **state) {
    static const struct { const char *in, *out, *ascii; } cases[] = {
        { "", "\"\"", "\"\"" },
        { "plain text of more than eight", "\"plain text of more than eight\"", NULL },
        { "a\"b\\c\n\r\t\b\f\x01\x1f", "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u001f\"", NULL },
        { "\x7f", "\"\x7f\"", NULL },
        { "01234567\"", "\"01234567\\\"\"", NULL },
        { "\xC3\xA4\xE2\x82\xAC", "\"\xC3\xA4\xE2\x82\xAC\"", "\"\\u00e4\\u20ac\"" },
        { "\xF0\x9F\x98\x80", "\"\xF0\x9F\x98\x80\"", "\"\\ud83d\\ude00\"" },
        { "\xE2\x80\xA8\xE2\x80\xA9", "\"\\u2028\\u2029\"", "\"\\u2028\\u2029\"" },
        { "x\xFFy", "\"x\xEF\xBF\xBDy\"", "\"x\\ufffdy\"" },
        { "x\xEF\xBF\xBDy", "\"x\xEF\xBF\xBDy\"", "\"x\\ufffdy\"" }
    };
    text t = { NULL, 0, 0, false };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        put_string(&t, slice_of(cases[i].in), false);
        expect_text(&t, cases[i].out);
        put_string(&t, slice_of(cases[i].in), true);
        expect_text(&t, cases[i].ascii != NULL ? cases[i].ascii : cases[i].out);
    }
    text_free(&t);
}

/* One byte after another, as put_escaped() must not be seen to do. */
static void put_byte_escaped(text *t, unsigned c) {
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *known = c == 0 ? NULL : strchr(from, (int)c);
    if (known != NULL)
        put_format(t, "\\%c", to[known - from]);
    else if (c < 0x20)
        put_format(t, "\\u%04x", c);
    else if (c >= 0x80)
        PUT(t, "\xEF\xBF\xBD");           /* U+FFFD: alone it is no UTF-8 */
    else
        put_char(t, (char)c);
}

static void check_escaped(slice s, const char *what, size_t number) {
    text t = { NULL, 0, 0, false }, expected = t;
    char *copy;
    put_escaped(&t, exact_slice(s, &copy), false);
    for (size_t i = 0; i < s.size; i++)
        put_byte_escaped(&expected, (unsigned char)s.at[i]);
    CHECK(t.size == expected.size && (t.size == 0 || memcmp(t.at, expected.at, t.size) == 0),
          "%s %zu", what, number);
    free(copy);
    text_free(&t);
    text_free(&expected);
}

/* Every byte at every place of a word of eight, alone and with another one behind it. */
static void test_escapes_in_words(void **state) {
    char word[17] = "abcdefghijklmnop";
    slice s = { word, 16 };
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        for (size_t at = 0; at < 16; at++) {
            memcpy(word, "abcdefghijklmnop", 16);
            word[at] = (char)c;
            check_escaped(s, "byte", c);
            word[(at + 3) % 16] = '"';
            check_escaped(s, "with a quote, byte", c);
        }
    }
}

/* Where one part of a long string ends and the next one begins. */
static void test_escapes_in_parts(void **state) {
    static const char kinds[] = "a\"\\\n\x01\x80";
    static char long_one[3 * ESCAPED_AT_ONCE];
    (void)state;
    for (size_t size = ESCAPED_AT_ONCE - 9; size < ESCAPED_AT_ONCE + 9; size++) {
        for (size_t k = 0; k < sizeof kinds - 1; k++) {
            slice s = { long_one, size };
            memset(long_one, 'x', size);
            memset(long_one + ESCAPED_AT_ONCE - 12, kinds[k], size - ESCAPED_AT_ONCE + 12);
            check_escaped(s, "size", size);
        }
    }
    for (size_t k = 0; k < sizeof kinds - 1; k++) {
        slice all = { long_one, sizeof long_one };
        memset(long_one, kinds[k], sizeof long_one);
        check_escaped(all, "all of kind", k);
    }
}

static void test_base64(void **state) {
    static const struct { const char *in, *out; } cases[] = {       /* RFC 4648 10 */
        { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" }, { "\xFF\xFE", "//4=" }
    };
    text t = { NULL, 0, 0, false };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        put_base64(&t, slice_of(cases[i].in));
        expect_text(&t, cases[i].out);
    }
    text_free(&t);
}

static void test_record(void **state) {
    record_style style = { false, false, BODY_JSON, "all", NULL, false, false };
    sparp_result r = plain_result();
    ticket k = plain_ticket("\"user-17\"", "", "");
    text t = { NULL, 0, 0, false };
    (void)state;
    put_record(&t, &style, &k, &r, INT64_C(1795176142082));
    expect_text(&t, "{\"index\":17,\"id\":\"user-17\",\"outcome\":\"success\","
                    "\"status\":200,\"attempts\":2,"
                "\"url\":\"http://h/\",\"t\":1795176142.082,\"ms\":{\"queue\":0.4,\"dns\":0,"
                "\"connect\":0,\"tls\":0,\"ttfb\":41.7,\"total\":43.5,\"all\":612},"
                "\"bytes\":{\"out\":211,\"in\":1834},\"reused\":true,"
                "\"headers\":{\"content-type\":[\"application/json\"],\"x\":[\"1\",\"2\"]},"
                "\"json\":{\"a\": 1}}\n");
    text_free(&k.parts);
    text_free(&t);
}

/* What was booked, where anybody counts it, and not where nothing was sent. */
static void test_record_of_a_cost(void **state) {
    static const struct { double cost; const char *out; } cases[] = {
        { 0, ",\"cost\":0," }, { 2, ",\"cost\":2," }, { 0.1 + 0.2, ",\"cost\":0.3," },
        { 123456789.25, ",\"cost\":123456789.25," }, { 1e12, ",\"cost\":1e+12," }
    };
    record_style style = { false, false, BODY_NONE, NULL, NULL, false, true };
    sparp_result r = plain_result();
    ticket k = plain_ticket("", "", "");
    text t = { NULL, 0, 0, false };
    saved v;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        t.size = 0;
        r.cost = cases[i].cost;
        put_record(&t, &style, &k, &r, 5000);
        slice line = { t.at, t.size };
        CHECK(json_is_valid(line) && saved_parse(&v, line), "%.*s", (int)t.size, t.at);
        CHECK(v.sample.has_cost && v.sample.cost - r.cost < 1e-9, "%s", cases[i].out);
        put_char(&t, '\0');
        CHECK(strstr(t.at, cases[i].out) != NULL, "%s", t.at);
    }
    t.size = 0;
    r.wait_us[SPARP_WAIT_RATE] = 3000;
    r.wait_cost_us = 2000;
    put_record(&t, &style, &k, &r, 5000);
    slice line = { t.at, t.size };
    assert_true(saved_parse(&v, line) && v.sample.waited_cost_us == 2000);
    put_char(&t, '\0');
    assert_non_null(strstr(t.at, ",\"rate\":3,\"cost\":2,"));
    t.size = 0;
    r.attempts = 0;
    put_record(&t, &style, &k, &r, 5000);
    put_char(&t, '\0');
    assert_null(strstr(t.at, "cost"));
    text_free(&k.parts);
    text_free(&t);
}

static void test_record_of_a_failure(void **state) {
    record_style style = { false, true, BODY_AUTO, NULL, NULL, false, false };
    sparp_result r = plain_result();
    ticket k = plain_ticket("", "{\"m\":1}", " GET http://h/ ");
    text t = { NULL, 0, 0, false };
    (void)state;
    r.outcome = SPARP_OUTCOME_TIMEOUT_EXHAUSTED;
    r.error = SPARP_E_TIMEOUT;
    r.phase = SPARP_PHASE_FIRST_BYTE;
    r.detail = "no byte for 30 s";
    r.status = 0;
    r.body_size = 0;
    put_record(&t, &style, &k, &r, 1500);
    expect_text(&t, "{\"index\":17,\"outcome\":\"timeout_exhausted\",\"status\":null,"
                    "\"attempts\":2,"
                "\"url\":\"http://h/\",\"t\":1.5,\"ms\":{\"queue\":0.4,\"total\":43.5,\"all\":612},"
                "\"bytes\":{\"out\":211,\"in\":1834},\"error\":{\"kind\":\"timeout\","
                "\"phase\":\"first_byte\",\"message\":\"no byte for 30 s\"},"
                "\"maybe_applied\":false,"
                "\"meta\":{\"m\":1},\"request\":\"GET http://h/\"}\n");
    text_free(&k.parts);
    text_free(&t);
}

static void test_record_of_a_redirect(void **state) {
    record_style style = { false, false, BODY_NONE, NULL, NULL, false, false };
    sparp_result r = plain_result();
    ticket k = plain_ticket("", "", "");
    text t = { NULL, 0, 0, false };
    (void)state;
    r.final_url = "https://user:secret@h2/x#y";
    r.redirects = 2;
    put_record(&t, &style, &k, &r, 1500);
    put_char(&t, '\0');
    assert_non_null(strstr(t.at, ",\"url\":\"http://h/\","
                           "\"final_url\":\"https://***@h2/x#y\",\"redirects\":2,\"t\":1.5,"));
    slice line = { t.at, t.size - 1 };
    saved v;
    assert_true(saved_parse(&v, line));
    assert_int_equal(v.sample.redirects, 2);
    text_free(&k.parts);
    text_free(&t);
}

/* What the library says of a request without its body_file is not what went wrong. */
static void test_record_of_a_lost_file(void **state) {
    record_style style = { false, false, BODY_AUTO, NULL, NULL, false, false };
    sparp_result r = plain_result();
    ticket k = plain_ticket("1", "2", "line");
    text t = { NULL, 0, 0, false };
    (void)state;
    r.outcome = SPARP_OUTCOME_LOCAL_FAILED;
    r.error = SPARP_E_BAD_REQUEST;
    r.detail = "body is NULL, but body_size is not 0";
    r.status = r.attempts = 0;
    r.body_size = 0;
    PUT(&k.parts, "cannot read x: gone");
    k.failure_size = strlen("cannot read x: gone");
    put_record(&t, &style, &k, &r, 1500);
    expect_text(&t, "{\"index\":17,\"id\":1,\"outcome\":\"local_failed\",\"status\":null,"
                "\"attempts\":0,\"url\":\"http://h/\",\"t\":1.5,\"error\":"
                "{\"kind\":\"bad_request\",\"message\":\"cannot read x: gone\"},\"meta\":2}\n");
    text_free(&k.parts);
    text_free(&t);
}

static void test_record_bodies(void **state) {
    static const struct { int mode; const char *body; size_t size; const char *out; } cases[] = {
        { BODY_AUTO, "text", 4, ",\"body\":\"text\"" },
        { BODY_AUTO, "a\0b", 3, ",\"body_base64\":\"YQBi\"" },
        { BODY_AUTO, "\xFF", 1, ",\"body_base64\":\"/w==\"" },
        { BODY_AUTO, "", 0, "" },
        { BODY_JSON, " [1,\r\n2] ", 9, ",\"json\": [1,  2] " },
        { BODY_JSON, "[1,", 3, ",\"body\":\"[1,\"" },
        { BODY_BASE64, "foo", 3, ",\"body_base64\":\"Zm9v\"" },
        { BODY_NONE, "foo", 3, "" }
    };
    text t = { NULL, 0, 0, false };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        record_style style = { false, false, cases[i].mode, NULL, NULL, false, false };
        sparp_result r = plain_result();
        ticket k = plain_ticket("", "", "");
        r.body = cases[i].body;
        r.body_size = cases[i].size;
        put_body(&t, &style, &k, &r);
        expect_text(&t, cases[i].out);
        text_free(&k.parts);
    }
    text_free(&t);
}

static void test_record_body_files(void **state) {
    static const struct { const char *dir, *out; } cases[] = {
        { "d", ",\"body_file\":\"d/17\"" }, { "/a b/\"x/", ",\"body_file\":\"/a b/\\\"x/17\"" }
    };
    text t = { NULL, 0, 0, false };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        record_style style = { false, false, BODY_AUTO, NULL, cases[i].dir, false, false };
        sparp_result r = plain_result();
        ticket k = plain_ticket("", "", "");
        k.has_file = true;
        put_body(&t, &style, &k, &r);
        expect_text(&t, cases[i].out);
        k.has_file = false;
        put_body(&t, &style, &k, &r);
        expect_text(&t, "");
        text_free(&k.parts);
    }
    text_free(&t);
}

/* 20: half of a surrogate pair is passed on as text: jq would give up the file at it. */
static void test_half_surrogates(void **state) {
    static const struct { const char *in; bool valid; } cases[] = {
        { "\"\\ud83d\\ude00\"", true }, { "\"\\ud83d\"", false }, { "\"\\ude00\"", false },
        { "\"\\ud83dx\"", false }, { "\"\\ud83d\\ud83d\\ude00\"", false },
        { "{\"\\ud83d\":1}", false }, { "[1,[\"\\\\ud83d\"]]", true },
        { "\"\\ud83d\\u0041\"", false }, { "\"\\uD83D\\uDE00\\uDE00\"", false }
    };
    record_style style = { false, false, BODY_JSON, NULL, NULL, false, false };
    text t = { NULL, 0, 0, false };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        CHECK(json_is_valid(slice_of(cases[i].in)) == cases[i].valid, "%s", cases[i].in);
    put_given_json(&t, slice_of("\"\\ud83d\""), false);
    expect_text(&t, "\"\\\"\\u005cud83d\\\"\"");
    put_given_json(&t, slice_of("{\"a\":\"\\n\"}"), false);
    expect_text(&t, "{\"a\":\"\\n\"}");
    sparp_result r = plain_result();
    ticket k = plain_ticket("", "", "");
    r.body = "{\"t\":\"cut \\ud83d\"}";
    r.body_size = strlen(r.body);
    put_body(&t, &style, &k, &r);
    expect_text(&t, ",\"body\":\"{\\\"t\\\":\\\"cut \\u005cud83d\\\"}\"");
    text_free(&k.parts);
    text_free(&t);
}

/* 20: a record says which codings its body still has. */
static void test_encoded_bodies(void **state) {
    static const struct { const char *one, *two; bool compressed; const char *out; } cases[] = {
        { "gzip", NULL, true, "" }, { "gzip", NULL, false, ",\"encoded\":\"gzip\"" },
        { "identity", "gzip", true, "" }, { "identity", NULL, false, "" },
        { "gzip", "gzip", true, ",\"encoded\":\"gzip, gzip\"" },
        { "gzip", "br", true, ",\"encoded\":\"gzip, br\"" },
        { "br", NULL, true, ",\"encoded\":\"br\"" }, { "X-GZIP , ", "", true, "" }
    };
    text t = { NULL, 0, 0, false };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        record_style style = { false, false, BODY_NONE, NULL, NULL, cases[i].compressed,
                               false };
        sparp_field fields[2] = { { "content-encoding", cases[i].one },
                                  { "content-encoding", cases[i].two } };
        sparp_result r = plain_result();
        r.headers = fields;
        r.num_headers = cases[i].two != NULL ? 2 : 1;
        put_encoded(&t, &style, &r);
        expect_text(&t, cases[i].out);
    }
    text_free(&t);
}

/* 16: what is put together as a name stays one, in its directory. */
static void test_body_names(void **state) {
    static const struct { const char *pattern, *id, *url, *out; } cases[] = {
        { "{name}", "", "http://h/a/b.txt?x#y", "b.txt" }, { "{name}", "", "http://h", "index" },
        { "{name}", "", "http://h/", "index" }, { "{name}", "", "https://h/a//", "a" },
        { "{name}", "", "http://h/%2e%2E", "_." },
        { "{name}", "", "http://h/..%2f..%2fx", "_._.._x" },
        { "{name}", "", "http://h/%zz%2", "%zz%2" }, { "{name}", "", "http://h/a%00b", "a%00b" },
        { "{name}", "", "http://h/x.PART", "x.PART_" }, { "{name}", "", "http://h/x.part-of",
          "x.part-of_" }, { "{name}", "", "http://h/.failed", "_failed" },
        { "{name}", "", "http://h/x.failed", "x.failed_" },
        { "{id}", "\"a/b\"", "http://h", "a_b" },
        { "{id}", "\"\\u0000\\n\"", "http://h", "__" }, { "{id}", "\"\"", "http://h", "17" },
        { "{id}", "\"\\ud83d\"", "http://h", "17" }, { "{id}", "[1, 2]", "http://h", "[1, 2]" },
        { "../{index}/{{", "", "http://h", "_._17_{" }, { "a\\b", "", "http://h", "a_b" }
    };
    text t = { NULL, 0, 0, false };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ticket k = plain_ticket(cases[i].id, "", "");
        put_filled_name(&t, cases[i].pattern, &test_parser, &k, slice_of(cases[i].url));
        expect_text(&t, cases[i].out);
        text_free(&k.parts);
    }
    text_free(&t);
}

/* 16: ten thousand equal names, each with its number, and not in quadratic time. */
static void test_equal_names(void **state) {
    hash_set names = { NULL, 0, 0 };
    ticket k = plain_ticket("", "", "");
    char expected[32];
    (void)state;
    test_parser.config = &test_config;
    test_config.body_name = "a.b.txt";
    for (int i = 1; i <= 10000; i++) {
        assert_true(name_body(&k, &names, &test_parser, slice_of("http://h")));
        put_char(&k.name, '\0');
        snprintf(expected, sizeof expected, i == 1 ? "a.b.txt" : "a.b-%d.txt", i);
        assert_string_equal(k.name.at, expected);
    }
    test_config.body_name = "A.B-7.TXT";
    assert_true(name_body(&k, &names, &test_parser, slice_of("http://h")));
    put_char(&k.name, '\0');
    assert_string_equal(k.name.at, "A.B-7-2.TXT");
    hash_free(&names);
    text_free(&k.name);
    text_free(&k.parts);
}

static void test_ranges(void **state) {
    static const struct { const char *value; bool fits; } cases[] = {
        { "bytes 5-9/10", true }, { "bytes 5-9/*", true }, { "bytes 5-8/10", false },
        { "bytes 4-9/10", false }, { "bytes */10", false }, { "bytes 5-/10", false }, { "", false },
        { "5-9/10", false }, { "bytes 5-9", false }, { "bytes 5-9/x", false },
        { "BYTES 5-9/10", true }
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sparp_field f = { "content-range", cases[i].value };
        sparp_result r = plain_result();
        r.headers = &f;
        r.num_headers = 1;
        int64_t end = 0;
        CHECK(range_fits(&r, 5, &end) == cases[i].fits, "%s", cases[i].value);
    }
}

static void test_bad_record(void **state) {
    record_style style = { false, false, BODY_AUTO, NULL, NULL, false, false };
    text t = { NULL, 0, 0, false };
    (void)state;
    put_bad_record(&t, &style, 19, slice_of("line 20, column 8: expected ':'"),
                   slice_of("{\"url\" 1}"));
    expect_text(&t, "{\"index\":19,\"outcome\":\"invalid\",\"status\":null,\"attempts\":0,"
                    "\"error\":"
                "{\"kind\":\"bad_line\",\"message\":\"line 20, column 8: expected ':'\"},"
                "\"line\":\"{\\\"url\\\" 1}\"}\n");
    /* 20: what names the line is kept, as far as it can be read. */
    put_bad_record(&t, &style, 0, slice_of("why"),
                   slice_of("{\"url\":1,\"custom_id\":[\"a\"],\"meta\":2,\"id\":3,\"x\" 1}"));
    expect_text(&t, "{\"index\":0,\"id\":[\"a\"],\"outcome\":\"invalid\",\"status\":null,"
                "\"attempts\":0,\"error\":{\"kind\":\"bad_line\",\"message\":\"why\"},\"meta\":2,"
                "\"line\":\"{\\\"url\\\":1,\\\"custom_id\\\":[\\\"a\\\"],"
                "\\\"meta\\\":2,\\\"id\\\":3,"
                "\\\"x\\\" 1}\"}\n");
    text_free(&t);
}

static void test_dry_urls(void **state) {
    static const struct { const char *url, *out, *more; } cases[] = {
        { "http://h/a#f", "http://h/a?k=v%20w", "" },
        { "http://h/?x=1", "http://h/?x=1&k=v%20w", "" },
        { "http://h/?", "http://h/?k=v%20w", "" }, { "http://h/?x&", "http://h/?x&k=v%20w", "" },
        { "http://u:p@h#?", "http://***@h/?k=v%20w", ",\"Authorization\":[\"***\"]" },
        { "http://h:80?y", "http://h:80/?y&k=v%20w", "" }
    };
    static const sparp_field query = { "k", "v w" };
    record_style style = { false, false, BODY_AUTO, NULL, NULL, false, false };
    ticket k = plain_ticket("", "", "");
    static config c;                    /* no flags */
    text t = { NULL, 0, 0, false };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char expected[400];
        sparp_request r;
        memset(&r, 0, sizeof r);
        r.url = cases[i].url;
        r.query = &query;
        r.num_query = 1;
        sent *s = sent_new(&c, &r);
        assert_non_null(s);
        put_dry_record(&t, &style, &c, &k, s);
        sent_free(s);
        (void)snprintf(expected, sizeof expected, "{\"index\":17,\"outcome\":\"not_started\","
                       "\"status\":null,\"attempts\":0,\"method\":\"GET\",\"url\":\"%s\","
                       "\"headers\":{\"Host\":[\"h\"],\"User-Agent\":[\"sparp/%s\"],"
                       "\"Accept\":[\"*/*\"]%s}}\n", cases[i].out, SPARP_VERSION_STRING,
                       cases[i].more);
        expect_text(&t, expected);
    }
    text_free(&k.parts);
    text_free(&t);
}

static void test_masked_urls(void **state) {
    text t = { NULL, 0, 0, false };
    (void)state;
    put_masked_url(&t, slice_of("http://user:secret@h/x@y"), false);
    expect_text(&t, "\"http://***@h/x@y\"");
    put_masked_url(&t, slice_of("https://h/?a@b"), false);
    expect_text(&t, "\"https://h/?a@b\"");
    text_free(&t);
}

/* --- statistics ------------------------------------------------------------------------------ */

static void test_latency_buckets(void **state) {
    size_t before = 0;
    (void)state;
    for (int64_t us = 0; us < INT64_C(1) << 38; us = us < 4096 ? us + 1 : us + us / 300) {
        size_t bucket = latency_bucket(us);
        assert_true(bucket < LATENCY_BUCKETS);
        CHECK(bucket == before || bucket == before + 1, "%lld", (long long)us);
        before = bucket;
        if (us >> LATENCY_BITS_MAX != 0) continue;
        int64_t top = latency_top(bucket);
        CHECK(top >= us && (double)(top - us) <= (double)us * 0.008, "%lld %lld", (long long)us,
              (long long)top);
        assert_int_equal(latency_bucket(top), bucket);
        assert_int_equal(latency_bucket(top + 1), bucket + (bucket + 1 < LATENCY_BUCKETS));
    }
}

/* 23: within half a per cent of the truth, whatever that is. */
static void test_percentiles(void **state) {
    static latencies l;
    (void)state;
    memset(&l, 0, sizeof l);
    assert_int_equal(latencies_percentile(&l, 500), 0);
    for (int64_t ms = 1; ms <= 1000; ms++)
        latencies_add(&l, ms * 1000);
    static const struct { uint64_t thousandths; double us; } cases[] = {
        { 1, 1e3 }, { 10, 10e3 }, { 500, 500e3 }, { 900, 900e3 }, { 950, 950e3 }, { 990, 990e3 },
        { 1000, 1000e3 }
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        double off = (double)latencies_percentile(&l, cases[i].thousandths) - cases[i].us;
        CHECK(off <= cases[i].us * 0.005 && off >= cases[i].us * -0.005, "%f", off);
    }
    for (int64_t us = 1; us < INT64_C(1) << 37; us += 1 + us / 7) {
        memset(&l, 0, sizeof l);
        latencies_add(&l, 1);
        latencies_add(&l, us);
        latencies_add(&l, us * 2);
        double off = (double)latencies_percentile(&l, 500) - (double)us;
        CHECK(off <= (double)us * 0.005 && off >= (double)us * -0.005, "%lld", (long long)us);
    }
    memset(&l, 0, sizeof l);
    latencies_add(&l, 43500);
    assert_int_equal(latencies_percentile(&l, 500), 43500);
}

/* Two requests: one went well in the end, one did not. */
static void two_requests(tally *y) {
    sparp_result r = plain_result();
    sample v;
    tried tries = { 0, { 0 }, { 0 } };
    memset(y, 0, sizeof *y);
    tried_add(&tries, 429, 1);
    sample_result(&v, &r, &tries, 3, 11000);
    tally_add(y, &v);
    r.outcome = SPARP_OUTCOME_TRANSPORT_FAILED;
    r.error = SPARP_E_REFUSED;
    r.status = 0;
    r.attempts = 4;
    r.wait_us[SPARP_WAIT_BACKOFF] = 1600000;
    r.total_us = 2000000;
    tries.count = 0;
    tried_add(&tries, TRIED_ERROR + SPARP_E_REFUSED, 2);
    tried_add(&tries, TRIED_ERROR + SPARP_E_TIMEOUT, 1);
    sample_result(&v, &r, &tries, 812, 12000);
    tally_add(y, &v);
}

static void test_summary_text(void **state) {
    static tally y;
    summary s;
    text t = { NULL, 0, 0, false };
    (void)state;
    two_requests(&y);
    memset(&s, 0, sizeof s);
    s.tally = &y;
    s.columns = 80;
    s.live = true;
    s.connections = 1;
    put_summary_text(&t, &s);
    expect_text(&t, "requests   2 finished in 2.00 s   1/s\n"
                "           1 ok   0 failed   1 out of retries\n"
                "retries    4:   1 after a status   1 after a timeout\n"
                "           2 after a failure of the network\n"
                "status     200 1   429 1 (retried)   1 without\n"
                "errors     refused 1   refused 2 (retried)   timeout 1 (retried)\n"
                "           first: index 812 http://h/\n"
                "traffic    3.67 kB in   422 B out   1 connection   100 % reused\n"
                "last try   min 43.5ms   mean 43.5ms   p50 43.5ms   p90 43.5ms   p95 43.5ms\n"
                "           p99 43.5ms   max 43.5ms\n"
                "overall    min 612ms   mean 612ms   p50 612ms   p90 612ms   p95 612ms\n"
                "           p99 612ms   max 612ms\n"
                "waiting    800ms a request:   100 % between tries\n");
    y.redirects = 1;
    put_retries_rows(&t, &s);
    expect_text(&t, "retries    4:   1 after a status   1 after a timeout\n"
                "           2 after a failure of the network\n"
                "redirects  1\n");
    memset(y.tried, 0, sizeof y.tried);
    y.redirects = 2;
    put_retries_rows(&t, &s);
    expect_text(&t, "redirects  2\n");
    text_free(&t);
}

/* What the limits have held, by their names, and what was booked. */
static void test_summary_of_limits(void **state) {
    static tally y;
    config *c = &test_config;
    summary s;
    text t = { NULL, 0, 0, false };
    (void)state;
    memset(&s, 0, sizeof s);
    memset(&y, 0, sizeof y);
    s.tally = &y;
    s.columns = 80;
    y.waiters = 2;
    y.waited_us[SPARP_WAIT_RATE] = 4000000;
    put_waiting_row(&t, &s);
    expect_text(&t, "waiting    2.00s a request:   100 % for the rate limit\n");
    put_cost_json(&t, &s);
    expect_text(&t, ",\"cost\":null");
    y.has_cost = true;
    y.cost = 90000.5;
    put_waiting_row(&t, &s);        /* of saved records */
    expect_text(&t, "waiting    2.00s a request:   100 % for the rate limit\n");
    put_cost_json(&t, &s);
    expect_text(&t, ",\"cost\":{\"booked\":90000.5,\"waited_ms\":0,"
                "\"held_by\":\"max_per_second\"}");
    put_cost_row(&t, &s);
    expect_text(&t, "cost       90000.5 booked\n");
    assert_true(parse_words(c, "-r 5 --max-cost 9 --limit-host h=1 --per-host 3 --cost-from a.b"));
    s.config = c;
    s.live = true;
    y.waited_cost_us = 3000000;
    s.costs_unknown = 2;
    y.waited_us[SPARP_WAIT_ORIGIN] = 4000000;
    put_waiting_row(&t, &s);
    expect_text(&t, "waiting    4.00s a request:   13 % for the rate limit (-r)\n"
                "           38 % for the limit of cost (--max-cost)\n"
                "           50 % for the limits of its host (--per-host, --limit-host)\n");
    y.to_us = 60000000;
    put_cost_row(&t, &s);
    expect_text(&t, "cost       90000.5 booked   1500/s   2 answers without a.b\n");
    put_cost_json(&t, &s);
    expect_text(&t, ",\"cost\":{\"booked\":90000.5,\"unknown\":2,\"waited_ms\":3000,"
                "\"held_by\":\"max_cost\"}");
    y.waited_cost_us = 1000000;
    put_cost_json(&t, &s);
    expect_text(&t, ",\"cost\":{\"booked\":90000.5,\"unknown\":2,\"waited_ms\":1000,"
                "\"held_by\":\"max_per_second\"}");
    assert_true(parse_words(c, "--shard 0/2 --fleet-rate 9"));
    y.waited_cost_us = 0;
    y.waited_us[SPARP_WAIT_ORIGIN] = 0;
    put_waiting_row(&t, &s);
    expect_text(&t, "waiting    2.00s a request:   100 % for the rate limit (--fleet-rate)\n");
    text_free(&t);
}

/* --shard divides --fleet-rate and no other limit. */
static void test_limits_of_a_shard(void **state) {
    (void)state;
    config *c = &test_config;
    assert_true(parse_words(c, "--shard 1/4 --fleet-rate 10"));
    assert_true(c->max_per_second == 2.5);
    assert_true(parse_words(c, "--shard 1/4 -r 10 -c 20 --max-cost 30 --cost-burst 40 "
                            "--per-host 5 --per-host-rate 6"));
    assert_true(c->max_per_second == 10 && c->max_at_once == 20 && c->max_cost == 30
                && c->cost_burst == 40 && c->per_host == 5 && c->per_host_rate == 6);
}

/* What servers say is left: the least first, and not all of a thousand. */
static void test_summary_of_what_is_left(void **state) {
    sparp_left l = { "api.example.com", false, 60, 57, 12.4 };
    static tally y;
    summary s;
    text t = { NULL, 0, 0, false };
    (void)state;
    memset(&s, 0, sizeof s);
    s.tally = &y;
    s.columns = 60;
    put_left_row(&t, &s);
    expect_text(&t, "");
    put_left_json(&t, &s);
    expect_text(&t, ",\"left\":[]");
    summary_add_left(&s, &l);
    l.is_cost = true;
    l.limit = 90000;
    l.left = 1234;
    l.reset_s = 0;
    summary_add_left(&s, &l);
    l.origin = "127.0.0.1:8080";
    l.is_cost = false;
    l.limit = 0;
    l.left = 5;
    summary_add_left(&s, &l);
    put_left_row(&t, &s);
    expect_text(&t, "left       api.example.com: 1234 of 90000 in cost left\n"
                "           api.example.com: 57 of 60 left, 12 s\n"
                "           127.0.0.1:8080: 5 left\n");
    put_left_json(&t, &s);
    expect_text(&t, ",\"left\":[{\"origin\":\"api.example.com\",\"of\":\"cost\",\"limit\":90000,"
                "\"left\":1234,\"reset\":0},{\"origin\":\"api.example.com\",\"of\":\"requests\","
                "\"limit\":60,\"left\":57,\"reset\":12.4},{\"origin\":\"127.0.0.1:8080\","
                "\"of\":\"requests\",\"limit\":0,\"left\":5,\"reset\":0}]");
    s.num_left = 0;
    memset(s.left, 0, sizeof s.left);
    for (int i = 0; i < 1000; i++) {
        l.limit = 1000;
        l.left = i * 7 % 1000;
        summary_add_left(&s, &l);
    }
    assert_int_equal(s.num_left, LEFT_MAX);
    for (int i = 0; i < LEFT_MAX; i++)
        assert_true(s.left[i].left == i);
    put_left_row(&t, &s);
    put_char(&t, '\0');
    assert_non_null(strstr(t.at, "127.0.0.1:8080: 4 of 1000 left   others have more\n"));
    text_free(&t);
}

/* No row is wider than the terminal, if its items are not. */
static void test_summary_wraps(void **state) {
    static tally y;
    summary s;
    text t = { NULL, 0, 0, false };
    (void)state;
    two_requests(&y);
    memset(&s, 0, sizeof s);
    s.tally = &y;
    s.histogram = true;
    for (int i = 0; i < 200; i++)
        latencies_add(&y.last_try, 1000 * i * i);
    for (s.columns = 50; s.columns < 200; s.columns++) {
        t.size = 0;
        put_summary_text(&t, &s);
        slice rest = { t.at, t.size }, line;
        while (slice_split(&rest, '\n', &line))
            CHECK(line.size <= s.columns, "%zu columns: %.*s", s.columns, (int)line.size, line.at);
    }
    text_free(&t);
}

/* 23: rounded, not cut. */
static void test_percents(void **state) {
    static const struct { uint64_t part, whole; const char *out; } cases[] = {
        { 17, 3000, "0.6 %" }, { 1, 3, "33.3 %" }, { 2, 3, "66.7 %" }, { 1, 1, "100 %" },
        { 0, 9, "0 %" }, { 9996, 10000, "100 %" }, { 9994, 10000, "99.9 %" }
    };
    text t = { NULL, 0, 0, false };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        put_percent_of(&t, cases[i].part, cases[i].whole);
        expect_text(&t, cases[i].out);
    }
    text_free(&t);
}

static void test_summary_json_is_json(void **state) {
    static tally y;
    summary s;
    text t = { NULL, 0, 0, false };
    (void)state;
    memset(&y, 0, sizeof y);
    memset(&s, 0, sizeof s);
    s.tally = &y;
    for (int round = 0; round < 3; round++) {
        put_summary_json(&t, &s);
        slice line = { t.at, t.size };
        assert_true(json_is_valid(line));
        t.size = 0;
        y.status[200] = y.status[404] = 1;
        y.errors[SPARP_E_TIMEOUT][SPARP_PHASE_DNS] = y.errors[SPARP_E_RESET][0] = 2;
        y.tried[503] = y.tried[TRIED_ERROR + SPARP_E_RESET] = 4;
        s.live = true;
        s.stopped = "first";
        latencies_add(&y.last_try, 4711);
        latencies_add(&y.overall, 4711);
    }
    text_free(&t);
}

/* What was written can be read back. */
static void test_saved_records(void **state) {
    record_style style = { false, false, BODY_AUTO, NULL, NULL, false, false };
    sparp_result r = plain_result();
    ticket k = plain_ticket("", "", "");
    text t = { NULL, 0, 0, false };
    saved v;
    (void)state;
    tried_add(&k.tries, 503, 3);
    tried_add(&k.tries, TRIED_ERROR + SPARP_E_TIMEOUT, 1);
    put_record(&t, &style, &k, &r, 5000);
    slice line = { t.at, t.size };
    assert_true(saved_parse(&v, line));
    assert_int_equal(v.sample.outcome, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(v.sample.index, 17);
    assert_int_equal(v.sample.status, 200);
    assert_int_equal(v.sample.attempts, 2);
    assert_int_equal(v.sample.elapsed_us, 43500);
    assert_int_equal(v.sample.total_us, 612000);
    assert_int_equal(v.sample.bytes_in, 1834);
    assert_true(v.sample.reused && v.sample.at_ms == 5000);
    assert_true(v.tries.count == 2 && v.tries.codes[0] == 503 && v.tries.times[0] == 3
                && v.tries.codes[1] == TRIED_ERROR + SPARP_E_TIMEOUT);
    assert_ptr_equal(v.sample.tried, &v.tries);
    assert_false(saved_parse(&v, slice_of("{\"index\":1}")));
    assert_false(saved_parse(&v, slice_of("{\"index\":1,\"outcome\":\"succ")));
    text_free(&k.parts);
    text_free(&t);
}

/* --- progress -------------------------------------------------------------------------------- */

static progress_view view(void) {
    progress_view v = { 41230, 100000, false, 40897, 301, 1204, 100, 1873, 31, 22, 0, 0, -1, 0, 0,
                        NULL, 0, 0 };
    return v;
}

static void expect_bar(const progress_view *v, size_t columns, const char *expected) {
    text t = { NULL, 0, 0, false };
    put_progress_bar(&t, v, columns, false, false);
    CHECK(t.size < columns, "%zu columns", columns);
    expect_text(&t, expected);
    text_free(&t);
}

static void test_bar(void **state) {
    progress_view v = view();
    (void)state;
    expect_bar(&v, 120, " 41% ############..................  41230/100000  ok 40897  fail 301  "
               "retry 1204  1873/s  live 100  in 0:22  eta 0:31");
    /* 21: the graph at 80 columns */
    expect_bar(&v, 80, " 41% ####......  41230/100000  ok 40897  fail 301  retry 1204  1873/s  "
               "eta 0:31");
    expect_bar(&v, 79, " 41% #######............  41230/100000  fail 301  retry 1204  1873/s  "
               "eta 0:31");
    expect_bar(&v, 60, " 41%  41230/100000  fail 301  retry 1204  1873/s  eta 0:31");
    expect_bar(&v, 40, " 41%  41230/100000  fail 301  1873/s");
    expect_bar(&v, 20, " 41%  41230/100000");
    v.estimated = true;
    expect_bar(&v, 40, "~ 41%  41230/~100000  fail 301  1873/s");
    v.total = 0;
    v.eta_s = -1;
    expect_bar(&v, 80, "  -%  41230  ok 40897  fail 301  retry 1204  1873/s  live 100  "
               "eta -:--");
}

/* 21: what it waits for when nothing is in flight, and how fast large bodies come. */
static void test_bar_says_what_it_waits_for(void **state) {
    progress_view v = view();
    (void)state;
    v.done = 60;
    v.total = 150;
    v.ok = 60;
    v.failed = v.retries = v.live = 0;
    v.rate = 0;
    v.wait_s = 52;
    v.wait_for = 429;
    expect_bar(&v, 100, " 40% ##########.................  60/150  ok 60  fail 0  retry 0  0/s  "
               "429: 52 s  in 0:22  eta 0:31");
    expect_bar(&v, 40, " 40%  60/150  fail 0  0/s  429: 52 s");
    v.wait_s = 8;
    v.wait_for = 0;
    expect_bar(&v, 60, " 40%  60/150  fail 0  retry 0  0/s  retry in 8 s  eta 0:31");
    v.wait_s = -1;
    v.live = 4;
    v.bytes_rate = 12345678;
    expect_bar(&v, 86, " 40% #####.........  60/150  ok 60  fail 0  retry 0  0/s  12.3 MB/s  "
               "live 4  eta 0:31");
}

static size_t display_width(const text *t) {
    size_t width = 0;
    for (size_t i = 0; i < t->size; i++) width += ((unsigned char)t->at[i] & 0xC0) != 0x80;
    return width;
}

/* Never wider than the terminal less one, whatever the numbers are. */
static void test_bar_never_wraps(void **state) {
    progress_view v = view();
    text t = { NULL, 0, 0, false };
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t columns = 1; columns < 200; columns++) {
            put_progress_bar(&t, &v, columns, true, false);
            CHECK(display_width(&t) < columns, "%zu columns", columns);
            t.size = 0;
        }
        v.done = v.total = v.ok = v.failed = v.retries = UINT64_MAX / 2;
        v.eta_s = 99999999;
        if (round == 1) v.total = 0;
    }
    text_free(&t);
}

static void test_bar_color(void **state) {
    progress_view v = view();
    text t = { NULL, 0, 0, false };
    (void)state;
    put_progress_bar(&t, &v, 40, true, true);
    expect_text(&t, " 41%  41230/100000\033[31m  fail 301\033[m  1873/s");
    v.failed = 0;
    put_progress_bar(&t, &v, 40, true, true);
    assert_null(memchr(t.at, '\033', t.size));
    text_free(&t);
}

static void test_progress_lines(void **state) {
    progress_view v = view();
    text t = { NULL, 0, 0, false };
    (void)state;
    put_progress_line(&t, &v, INT64_C(1795176284000));
    expect_text(&t, "2026-11-20T12:04:44Z sparp 41230/100000 ok=40897 fail=301 retry=1204 "
                "rate=1873/s live=100 elapsed=22s eta=31s\n");
    v.wait_s = 52;
    v.wait_for = 429;
    put_progress_line(&t, &v, INT64_C(1795176284000));
    expect_text(&t, "2026-11-20T12:04:44Z sparp 41230/100000 ok=40897 fail=301 retry=1204 "
                "rate=1873/s live=100 elapsed=22s eta=31s  429: 52 s\n");
    v.total = 0;
    v.eta_s = -1;
    put_progress_json(&t, &v, INT64_C(1795176284000));
    slice line = { t.at, t.size };
    assert_true(json_is_valid(line));
    expect_text(&t, "{\"t\":1795176284,\"done\":41230,\"total\":null,\"estimated\":false,"
                    "\"ok\":40897,"
                "\"fail\":301,\"retry\":1204,\"rate\":1873,\"live\":100,\"elapsed\":22,"
                "\"bytes\":0,\"eta\":null,\"wait\":52,\"wait_for\":429}\n");
    text_free(&t);
}

static progress begun(int mode) {
    config *c = &test_config;
    progress p;
    assert_true(parse_words(c, "--progress line"));
    progress_open(&p, c, 0);
    p.mode = mode;
    p.every_us = LINE_EVERY_US;
    return p;
}

/* The view at `us` microseconds, with `done` of `total`. */
static progress_view at(progress *p, int64_t us, uint64_t done, uint64_t total) {
    progress_view v;
    memset(&v, 0, sizeof v);
    v.done = v.ok = done;
    v.total = total;
    v.wait_s = -1;
    progress_rates(p, &v, us);
    return v;
}

/* 21: 20 requests of 4 s each, 4 at once: answers come in rounds, the time left does not jump. */
static void test_progress_in_rounds(void **state) {
    progress p = begun(PROGRESS_BAR);
    (void)state;
    for (int64_t us = 200000; us <= 20000000; us += 200000) {
        uint64_t done = (uint64_t)(us / 4000000) * 4;
        progress_view v = at(&p, us, done, 20);
        double left = 20.0 - (double)us / 1e6;
        if (us < 4000000)
            assert_int_equal(v.eta_s, -1);
        else
            CHECK((double)v.eta_s >= left - 1 && (double)v.eta_s <= left + 1,
                  "after %.1f s: %d s, not %.1f s", (double)us / 1e6, (int)v.eta_s, left);
    }
    assert_int_equal(at(&p, 20000000, 20, 20).eta_s, 0);
}

/* 21: 60 a minute in one go, then 429 until the minute is over: 300 of them take five minutes. */
static void test_progress_with_a_gate(void **state) {
    progress p = begun(PROGRESS_BAR);
    (void)state;
    for (int64_t s = 1; s <= 240; s++) {
        progress_view v = at(&p, s * 1000000, (uint64_t)(s / 60 + 1) * 60, 300);
        int64_t left = 240 - s;
        if (s >= 60)
            CHECK(v.eta_s <= left + 20 && v.eta_s >= left - 20, "after %d s: %d s, not %d s",
                  (int)s, (int)v.eta_s, (int)left);
    }
}

/* 21: the rate is that of ten seconds, however long the run is. */
static void test_progress_rates(void **state) {
    progress p = begun(PROGRESS_BAR);
    (void)state;
    for (int64_t s = 1; s <= 20000; s++) {
        progress_view v = at(&p, s * 1000000, (uint64_t)s * 100, 2000000);
        CHECK(v.rate > 99 && v.rate < 101, "after %d s: %f", (int)s, v.rate);
        CHECK(v.eta_s >= 20000 - s - 1 && v.eta_s <= 20000 - s + 1, "after %d s: %d", (int)s,
              (int)v.eta_s);
        CHECK(p.num_marks <= MARKS_MAX, "%d", (int)s);
    }
    p = begun(PROGRESS_BAR);
    p.limit = 1;
    assert_int_equal(at(&p, 1000000, 10, 110).eta_s, 100);     /* not beyond --max-per-second */
}

/* 21: the next end of a pause is what is said, and nothing while something is in flight. */
static void test_progress_pauses(void **state) {
    progress p = begun(PROGRESS_BAR);
    progress_view v = view();
    (void)state;
    v.live = 0;
    progress_find_pause(&p, &v, 0);
    assert_int_equal(v.wait_s, -1);
    progress_pause(&p, 0, 52, 429);
    progress_pause(&p, 0, 8.5, 0);
    progress_find_pause(&p, &v, 0);
    assert_true(v.wait_s == 9 && v.wait_for == 0);
    progress_find_pause(&p, &v, 9000000);
    assert_true(v.wait_s == 43 && v.wait_for == 429);
    v.live = 1;
    progress_find_pause(&p, &v, 9000000);
    assert_int_equal(v.wait_s, -1);
    v.live = 0;
    for (int i = 0; i < 1000; i++)
        progress_pause(&p, 9000000, 1000 - i, 503);
    progress_find_pause(&p, &v, 9000000);
    assert_true(v.wait_s == 1 && v.wait_for == 503);
    progress_find_pause(&p, &v, INT64_C(2000000000));
    assert_int_equal(v.wait_s, -1);
}

/* A limit that lets nothing start is named when nothing has come for a second. */
static void test_progress_names_the_limit(void **state) {
    static const struct { const char *words, *name; } cases[] = {
        { "-c 5", NULL }, { "-r 5", "rate" }, { "--shard 0/1 --fleet-rate 5", "rate" },
        { "--max-cost 5", "cost" }, { "-r 5 --max-cost 5", "limits" },
        { "--per-host-rate 5", "host" },
        { "--limit-host h=,5", "host" }, { "--limit-host h=,,5", "host" },
        { "--limit-host h=5", NULL },
        { "--limit-host h=none,none,none", NULL }, { "-r 5 --limit-host h=,5", "limits" }
    };
    progress_view v = view();
    progress p;
    text t = { NULL, 0, 0, false };
    (void)state;
    v.live = 0;
    v.waiting = 7;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CHECK(parse_words(&test_config, cases[i].words), "%s", cases[i].words);
        progress_open(&p, &test_config, 0);
        progress_find_pause(&p, &v, 999999);
        assert_null(v.held_by);
        progress_find_pause(&p, &v, 1000000);
        CHECK(cases[i].name == NULL ? v.held_by == NULL
              : v.held_by != NULL && strcmp(v.held_by, cases[i].name) == 0, "%s", cases[i].words);
    }
    expect_bar(&v, 80, " 41%  41230/100000  fail 301  retry 1204  1873/s  waits: limits  eta 0:31");
    put_progress_json(&t, &v, 0);
    put_char(&t, '\0');
    assert_non_null(strstr(t.at, ",\"wait\":null,\"wait_for\":\"limits\"}"));
    t.size = 0;
    v.quota_s = 11.2;
    progress_find_pause(&p, &v, 1000000);
    expect_bar(&v, 80, " 41%  41230/100000  fail 301  retry 1204  1873/s  quota: 12 s  eta 0:31");
    put_progress_json(&t, &v, 0);
    put_char(&t, '\0');
    assert_non_null(strstr(t.at, ",\"wait\":12,\"wait_for\":\"quota\"}"));
    t.size = 0;
    v.waiting = 0;
    progress_find_pause(&p, &v, 1000000);
    assert_null(v.held_by);         /* it is the input that is waited for */
    v.waiting = 7;
    progress_pause(&p, 0, 52, 429);
    progress_find_pause(&p, &v, 1000000);
    assert_true(v.held_by == NULL && v.wait_s == 51);
    text_free(&t);
}

/* The time left is not less than the cost of the rest takes. */
static void test_progress_with_a_cost(void **state) {
    progress_view v = view();
    progress p;
    (void)state;
    assert_true(parse_words(&test_config, "--max-cost 600/m"));
    progress_open(&p, &test_config, 0);
    v.done = 10;
    v.live = 10;
    v.total = 110;
    v.cost = 400;       /* 20 each: the 90 that are left, 3 minutes */
    progress_rates(&p, &v, 1000000);
    assert_int_equal(v.eta_s, 180);
}

/* 21: without a bar, ten seconds of silence are broken by a line; later ones more rarely. */
static void test_progress_breaks_the_silence(void **state) {
    progress p = begun(PROGRESS_RARELY);
    (void)state;
    assert_int_equal(progress_wait_ms(&p, 0), 10001);
    assert_int_equal(progress_wait_ms(&p, 10000000), 0);
    progress_shown(&p, 9000000);
    assert_int_equal(progress_wait_ms(&p, 10000000), 9001);
    p.mode = PROGRESS_NONE;
    assert_int_equal(progress_wait_ms(&p, 10000000), -1);
}

int main(void) {
#define LINES(function) cmocka_unit_test_setup_teardown(function, lines_reset, lines_reset)
    const struct CMUnitTest tests[] = {
        TEST(test_counts), TEST(test_times), TEST(test_rates), TEST(test_sizes),
        TEST(test_status_lists), TEST(test_numbers_as_text), TEST(test_numbers_for_people),
        TEST(test_utf8), TEST(test_json_documents), TEST(test_json_like_json_c),
        TEST(test_json_mutations), TEST(test_json_depth), TEST(test_json_decoding),
        TEST(test_json_number_values), TEST(test_json_paths),
        TEST(test_costs), TEST(test_costs_of_streams), TEST(test_host_limits),
        TEST(test_templates), TEST(test_csv_rows), TEST(test_csv_lines),
        TEST(test_loose_templates), TEST(test_resolution),
        LINES(test_plain_lines), LINES(test_object_lines), LINES(test_bodies),
        LINES(test_base64_bodies), TEST(test_base64_there_and_back), LINES(test_forms),
        LINES(test_most_fields), LINES(test_body_file_lines), TEST(test_paths_in_lines),
        TEST(test_body_files), TEST(test_body_files_that_change),
        TEST(test_body_files_that_are_none), TEST(test_bodies_into_files),
        TEST(test_bodies_that_cannot_be_written), TEST(test_record_of_a_lost_file),
        TEST(test_record_of_a_redirect),
        LINES(test_bad_lines), LINES(test_formats), LINES(test_arena_stays), LINES(test_requests),
        LINES(test_costs_of_lines), LINES(test_limits_of_flags),
        LINES(test_command_lines), LINES(test_network_flags), LINES(test_compressed),
        LINES(test_user_agent),
        LINES(test_proxies), LINES(test_bad_proxies),
        LINES(test_usage_errors), TEST(test_nearest_option),
        TEST(test_option_table), TEST(test_reader), TEST(test_reader_long_line),
        TEST(test_reader_pipe), TEST(test_strings), TEST(test_escapes_in_words),
        TEST(test_escapes_in_parts), TEST(test_base64),
        TEST(test_record), TEST(test_record_of_a_cost), TEST(test_record_of_a_failure),
        TEST(test_record_bodies),
        TEST(test_record_body_files), TEST(test_bad_record), TEST(test_dry_urls),
        TEST(test_masked_urls), TEST(test_latency_buckets),
        TEST(test_percentiles), TEST(test_summary_text), TEST(test_summary_wraps),
        LINES(test_summary_of_limits),
        LINES(test_limits_of_a_shard), TEST(test_summary_of_what_is_left),
        TEST(test_template_words), TEST(test_body_names),
        LINES(test_equal_names), TEST(test_ranges),
        TEST(test_our_words), TEST(test_half_surrogates), TEST(test_encoded_bodies),
        TEST(test_percents), TEST(test_summary_json_is_json),
        TEST(test_saved_records), TEST(test_bar), TEST(test_bar_never_wraps), TEST(test_bar_color),
        TEST(test_progress_lines), TEST(test_bar_says_what_it_waits_for),
        LINES(test_progress_in_rounds), LINES(test_progress_with_a_gate),
        LINES(test_progress_rates), LINES(test_progress_pauses),
        LINES(test_progress_names_the_limit),
        LINES(test_progress_with_a_cost), LINES(test_progress_breaks_the_silence)
    };
    (void)command;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

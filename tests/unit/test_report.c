/* What --report keeps of a run, the command line without secrets, the pieces of the pictures. */
#include "../support.h"

#define SPARP_NO_MAIN
#include "../../tools/sparp.c"

static uint64_t dice = 1;

static uint64_t roll(uint64_t below) {   /* the same numbers each time */
    dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (dice >> 33) % below;
}

static sample an_answer(int64_t at_ms, int64_t took_us, const char *url) {
    sample s;
    memset(&s, 0, sizeof s);
    s.outcome = SPARP_OUTCOME_SUCCESS;
    s.status = 200;
    s.attempts = 1;
    s.at_ms = at_ms;
    s.elapsed_us = s.total_us = took_us;
    s.waited_us[SPARP_WAIT_GATE] = 1000000;
    s.url = slice_of(url);
    return s;
}

static report *new_report(void) {
    report *r = (report *)calloc(1, sizeof *r);
    assert_non_null(r);
    return r;
}

static uint64_t in_column(const report_column *c) {
    uint64_t sum = 0;
    for (int i = 0; i < REPORT_ROWS; i++)
        sum += c->heat[i];
    assert_int_equal(sum, c->classes[CLASS_OK]);
    return sum;
}

/* Everything is where a table that has all of it would have it, and nothing outside. */
static void compare(const report *r, const int64_t *at, const int64_t *took, int count) {
    uint64_t sum = 0;
    double waited = 0;
    assert_true(r->time.count <= REPORT_COLUMNS && r->latency.count <= REPORT_ROWS);
    for (int i = 0; i < count; i++) {
        int64_t column = at[i] / r->time.step - r->time.first;
        int64_t level = (int64_t)log_place(took[i]) / r->latency.step - r->latency.first;
        CHECK(column >= 0 && column < r->time.count, "%d", i);
        CHECK(level >= 0 && level < r->latency.count, "%d", i);
        uint64_t expected = 0;
        for (int k = 0; k < count; k++)
            expected += at[k] / r->time.step - r->time.first == column
                && (int64_t)log_place(took[k]) / r->latency.step - r->latency.first == level;
        CHECK(r->columns[column].heat[level] == expected, "%d", i);
    }
    for (int i = 0; i < REPORT_COLUMNS; i++) {
        sum += in_column(&r->columns[i]);
        waited += (double)r->columns[i].waited_s[SPARP_WAIT_GATE];
    }
    assert_int_equal(sum, count);
    assert_true(waited > count - 0.01 && waited < count + 0.01);
}

static void test_nothing_is_lost(void **state) {
    static const int64_t ranges[] = { 1, 100, 2399, 2400, 2401, 60000, 86400000, 3000000000 };
    enum { MANY = 300 };
    int64_t at[MANY], took[MANY];
    (void)state;
    for (size_t k = 0; k < COUNT_OF(ranges); k++) {
        report *r = new_report();
        for (int i = 0; i < MANY; i++) {
            at[i] = 1795176142000 + (int64_t)roll((uint64_t)ranges[k]);
            took[i] = (int64_t)roll(UINT64_C(1) << roll(38));
            sample s = an_answer(at[i], took[i], "http://h/");
            s.total_us = 0;
            report_add(r, &s);
        }
        compare(r, at, took, MANY);
        free(r);
    }
}

/* The table is that of the range alone, whoever comes first; its steps are as small as can be. */
static void test_order_is_nothing(void **state) {
    enum { MANY = 200 };
    int64_t at[MANY];
    report *forth = new_report(), *back = new_report();
    (void)state;
    for (int i = 0; i < MANY; i++)
        at[i] = 5000000 + (int64_t)roll(100000);
    for (int i = 0; i < MANY; i++) {
        sample a = an_answer(at[i], 1 + i * i, "http://h/");
        sample b = an_answer(at[MANY - 1 - i], 1 + (MANY - 1 - i) * (MANY - 1 - i), "http://h/");
        report_add(forth, &a);
        report_add(back, &b);
    }
    assert_memory_equal(&forth->time, &back->time, sizeof forth->time);
    assert_memory_equal(&forth->latency, &back->latency, sizeof forth->latency);
    assert_memory_equal(forth->columns, back->columns, sizeof forth->columns);
    assert_true(forth->time.step == 640 && forth->time.count > 120);
    free(forth);
    free(back);
}

/* A request that took long shows when the run began; one without a time is counted. */
static void test_times(void **state) {
    report *r = new_report();
    sample s = an_answer(100000, 30000000, "http://h/");
    (void)state;
    report_add(r, &s);
    assert_int_equal(r->time.first, 70000 / r->time.step);
    assert_int_equal(in_column(&r->columns[r->time.count - 1]), 1);
    s.at_ms = 0;
    report_add(r, &s);
    s.at_ms = 50;                       /* before 1970, it had begun then */
    report_add(r, &s);
    assert_int_equal(r->time.first, 0);
    assert_int_equal(r->no_time, 1);
    report_add_closing(r, 90000, 2.5);
    report_add_closing(r, 0, 9);
    assert_true(r->closings == 1 && r->longest_pause_s == 2.5);
    free(r);
}

static void test_counts_have_an_end(void **state) {
    uint32_t n = UINT32_MAX - 1;
    (void)state;
    count_up(&n, 1);
    assert_int_equal(n, UINT32_MAX);
    count_up(&n, 1);
    assert_int_equal(n, UINT32_MAX);
    count_up(&n, UINT64_MAX);
    assert_int_equal(n, UINT32_MAX);
}

static void test_log_places(void **state) {
    double last = -1;
    (void)state;
    for (int64_t us = 0; us < 5000; us++) {
        CHECK(log_place(us) > last || us == 1, "%lld", (long long)us);
        last = log_place(us);
    }
    for (int octave = 0; octave < 60; octave++)
        CHECK(log_place(INT64_C(1) << octave) == octave * 16, "%d", octave);
    assert_true(log_place(INT64_MAX) < 63 * 16 + 0.01);
    double between = log_place(1414) - log_place(1000);
    assert_true(between > 7.98 && between < 8.02);     /* the half of an octave */
}

static void test_slowest(void **state) {
    report *r = new_report();
    (void)state;
    for (int i = 0; i < 100; i++) {
        sample s = an_answer(1000, 1000 * (int64_t)(1 + i * 37 % 50), "http://h/x");
        s.index = (uint64_t)i;
        report_add(r, &s);
    }
    assert_int_equal(r->num_slowest, 10);
    for (int i = 0; i < 10; i++) {      /* each comes twice; the earlier one is first */
        assert_int_equal(r->slowest[i].last_us, 1000 * (50 - i / 2));
        assert_int_equal(r->slowest[i].index >= 50, i % 2);
    }
    free(r);
}

/* Ten that come first, then many that come once, and among them one that does not. */
static void test_hosts(void **state) {
    report *r = new_report();
    char url[64];
    bool done[REPORT_HOSTS] = { false };
    (void)state;
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(url, sizeof url, "https://me:pw@Host-%d/x", i % 3 == 0 && i > 30 ? -1 : i);
        sample s = an_answer(1000, 5000, url);
        report_add(r, &s);
    }
    report_host *often = host_next(r, done);
    assert_string_equal(often->name, "Host--1");
    assert_true(often->requests == 989 && often->ok == 989 && often->most_us == 5000);
    for (int i = 0; i < REPORT_FIRST_HOSTS; i++) {
        (void)snprintf(url, sizeof url, "Host-%d", i);
        assert_string_equal(host_next(r, done)->name, url);
    }
    assert_null(host_next(r, done));    /* who has just come is not known well enough */
    free(r);
}

static void test_kept_urls(void **state) {
    static const struct { const char *in, *out; } rows[] = {
        { "", "" }, { "http://h", "h" }, { "https://u:p@h:1/a/b", "h:1/a/b" },
        { "http://a@b@h/", "h/" }, { "http://h/?a=1#b", "h/?\xE2\x80\xA6" }, { "http://h#b", "h" },
        { "h/x", "h/x" }, { "http://h?", "h?\xE2\x80\xA6" },
        { "http://h/0123456789abc", "h/0123456789abc" },
        { "http://h/0123456789abcd", "h/0123456789\xE2\x80\xA6" },
        { "http://h/0123456789abc?x", "h/0123456789abc" },
        { "http://h/012345678\xC3\xA4\xC3\xA4\xC3\xA4", "h/012345678\xE2\x80\xA6" },
        { "http://h/01234567\xC3\xA4\xC3\xA4\xC3\xA4", "h/01234567\xC3\xA4\xE2\x80\xA6" }
    };
    char room[16];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        keep_url(room, sizeof room, slice_of(rows[i].in));
        CHECK(strcmp(room, rows[i].out) == 0, "%s: %s", rows[i].in, room);
    }
}

/* --- text ------------------------------------------------------------------------------------- */

static void expect_text(text *t, const char *expected) {
    put_char(t, '\0');
    assert_false(t->failed);
    assert_string_equal(t->at, expected);
    t->size = 0;
}

static void test_html(void **state) {
    static const struct { const char *in, *out; } rows[] = {
        { "a", "a" }, { "<script>", "&lt;script&gt;" }, { "\"'&", "&quot;&#39;&amp;" },
        { "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80" },
        { "a\tb\nc", "a\tb\nc" }, { "\x01", "\xEF\xBF\xBD" }, { "\x7F", "\xEF\xBF\xBD" },
        { "\xC2\x85", "\xEF\xBF\xBD" }, { "\xE2\x80\xAE", "\xEF\xBF\xBD" },
        { "\xEF\xBF\xBF", "\xEF\xBF\xBD" }, { "\xFF<", "\xEF\xBF\xBD&lt;" },
        { "\xE2\x82", "\xEF\xBF\xBD\xEF\xBF\xBD" }, { "\xC0\xBC", "\xEF\xBF\xBD\xEF\xBF\xBD" }
    };
    text t = { NULL, 0, 0, false };
    slice nul = { "a\0b", 3 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        put_html(&t, slice_of(rows[i].in));
        expect_text(&t, rows[i].out);
    }
    put_html(&t, nul);
    expect_text(&t, "a\xEF\xBF\xBD" "b");
    text_free(&t);
}

static void test_figures(void **state) {
    text t = { NULL, 0, 0, false };
    (void)state;
    put_grouped(&t, 0);
    expect_text(&t, "0");
    put_grouped(&t, 1007);
    expect_text(&t, "1,007");
    put_grouped(&t, UINT64_MAX);
    expect_text(&t, "18,446,744,073,709,551,615");
    put_length(&t, 1999000);
    expect_text(&t, "1999 ms");
    put_length(&t, 2000000);
    expect_text(&t, "2.00 s");
    put_length(&t, 86400000000);
    expect_text(&t, "24.0 h");
    put_latency_tick(&t, 500);
    expect_text(&t, "500 us");
    put_latency_tick(&t, 20000000);
    expect_text(&t, "20 s");
    put_moment(&t, 90000, 30000);
    expect_text(&t, "90 s");
    put_moment(&t, 90000, 60000);
    expect_text(&t, "1.5 min");
    text_free(&t);
}

static void test_axes(void **state) {
    static const double mosts[] = { 1e-6, 0.3, 1, 1.01, 7, 8.5, 1000, 123456, 1e15 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(mosts); i++) {
        double top = scale_top(mosts[i]);
        CHECK(top >= mosts[i] && top <= 2.01 * mosts[i], "%g: %g", mosts[i], top);
    }
    for (int64_t range = 100; range < INT64_C(1) << 50; range = range * 3 / 2) {
        int64_t step = time_step(range);
        CHECK(range / step < 10 && (range / step >= 2 || step == 10), "%lld", (long long)range);
    }
    for (int first = 0; first < 400; first += 7) {
        for (int range = 1; range < 500; range += 13) {
            tick ticks[TICKS_MAX];
            int count = latency_ticks(ticks, first, first + range);
            CHECK(count <= 17, "%d %d", first, range);
            for (int i = 1; i < count; i++)
                CHECK(ticks[i].at - ticks[i - 1].at >= 0.06 && ticks[i].at <= 1, "%d", i);
        }
    }
}

/* All that is in the buckets is in the bars, each where it belongs. */
static void test_bars(void **state) {
    latencies *l = (latencies *)calloc(1, sizeof *l);
    bars b;
    (void)state;
    assert_non_null(l);
    for (int i = 0; i < 10000; i++)
        latencies_add(l, (int64_t)roll(UINT64_C(1) << roll(36)));
    bars_of(&b, l);
    double sum = 0;
    for (int i = 0; i < BARS_MAX; i++) {
        sum += b.counts[i];
        assert_true(b.counts[i] >= 0 && (i < b.count || !(b.counts[i] > 0)));
    }
    assert_true(b.count <= BARS_MAX && sum > 9999.9 && sum < 10000.1);
    for (int64_t us = 1; us < INT64_C(1) << 37; us *= 4) {
        memset(l, 0, sizeof *l);
        latencies_add(l, us);
        bars_of(&b, l);
        CHECK(b.counts[0] > 0.99 && b.counts[0] < 1.01, "%lld", (long long)us);
    }
    free(l);
}

/* --- the command line ------------------------------------------------------------------------- */

static void expect_command(const char *const *words, const char *expected) {
    char *argv[16];
    int argc = 0;
    config *c = (config *)calloc(1, sizeof *c);
    text t = { NULL, 0, 0, false };
    assert_non_null(c);
    for (; words[argc] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    argv[argc] = NULL;
    assert_true(config_parse(c, argc, argv));
    put_command(&t, c);
    expect_text(&t, expected);
    text_free(&t);
    config_free(c);
    free(c);
}

static void test_commands(void **state) {
    static const char *const rows[][10] = {
        { "sparp", "-c5", "--rate=3/m", "a b", "x.txt", NULL },
        { "sparp", "-H", "X-Key: s", "-H", "Accept:", "-H", "@/dev/null", "-q", NULL },
        { "sparp", "-us:s", "-bs=s", "-d", "s", "-d@/dev/null", "--url-query=k=s=s", NULL },
        { "sparp", "-Fa=s", "-F", "b=@tests/support.h", "--json", "\"s\"", NULL },
        { "sparp", "-T", "https://s:s@h/{}?a={}&b=s&s#s", "-xhttp://s@p:1", NULL },
        { "sparp", "http://s@s:s@h?s=", "--", "-o", NULL }
    };
    static const char *const expected[] = {
        "sparp -c 5 --max-per-second 3/m 'a b' x.txt",
        "sparp -H 'X-Key: ***' -H Accept: -H @/dev/null -q",
        "sparp -u '***' -b '***' -d '***' -d @/dev/null --url-query 'k=***'",
        "sparp -F 'a=***' -F b=@tests/support.h --json '***'",
        "sparp -T 'https://***@h/{}?a={}&b=***&***' -x 'http://***@p:1'",
        "sparp 'http://***@h?s=***' -- -o"
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect_command(rows[i], expected[i]);
}

static void test_classes_add_up(void **state) {
    tally *y = (tally *)calloc(1, sizeof *y);
    uint64_t sum = 0;
    (void)state;
    assert_non_null(y);
    for (int i = 0; i < OUTCOMES; i++)
        y->outcomes[i] = UINT64_C(1) << i;
    for (int i = 0; i < CLASSES; i++)
        sum += tally_class(y, i);
    assert_int_equal(sum, (1 << OUTCOMES) - 1);
    free(y);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_lost), TEST(test_order_is_nothing), TEST(test_times),
        TEST(test_counts_have_an_end), TEST(test_log_places), TEST(test_slowest),
        TEST(test_hosts), TEST(test_kept_urls), TEST(test_html), TEST(test_figures),
        TEST(test_axes), TEST(test_bars), TEST(test_commands), TEST(test_classes_add_up)
    };
    (void)command;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

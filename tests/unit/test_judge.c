/* The section judge: what a response asks for. No socket, no clock. */
#include "../support.h"

#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#include "../head.h"

#define WALL INT64_C(784111777)         /* Sun, 06 Nov 1994 08:49:37 GMT */
#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define AFTER(value) "Retry-After: " value "\r\n"
#define AFTER_MS(value) "retry-after-ms: " value "\r\n"

/* What these fields of a response ask for, on a machine whose clock shows `wall_s`. */
static double asked(const char *fields, int64_t wall_s) {
    test_head head;
    test_head_read(&head, "429 Slower", fields);
    double seconds = sparp__judge_retry_after(&head.http, wall_s);
    test_head_free(&head);
    return seconds;
}

static const struct {
    const char *fields;
    double      seconds;
} clear[] = {
    {"", 0},
    {AFTER("0"), 0},
    {AFTER("2"), 2},
    {AFTER("120"), 120},
    {AFTER("4294967295"), 4294967295.0},
    {AFTER("99999999999999999999999999999999"), 4294967295.0},
    /* decimals */
    {AFTER("2.0"), 2},
    {AFTER("2."), 2},
    {AFTER("0.5"), 0.5},
    {AFTER("0.8"), 0.8},
    {AFTER("1.25"), 1.25},
    {AFTER("0.0"), 0},
    {AFTER("00.50"), 0.5},
    {AFTER("12.000000000000000000000000000000000000000001"), 12},
    {AFTER("99999999999999999999999999999999.9"), 4294967295.0},
    /* milliseconds */
    {AFTER_MS("640"), 0.64},
    {AFTER_MS("640.5"), 0.6405},
    {AFTER_MS("640, 640"), 0.64},
    {"Retry-After-Ms: 1500\r\n", 1.5},
    {AFTER("1") AFTER_MS("640"), 1},
    {AFTER_MS("1640") AFTER("1"), 1.64},
    {AFTER("soon") AFTER_MS("640"), 0.64},
    /* several of them: the latest */
    {AFTER("2, 2"), 2},
    {AFTER("2,2,2"), 2},
    {AFTER(", 2 ,"), 2},
    {AFTER("2") AFTER("2"), 2},
    {AFTER("2") AFTER("5"), 5},
    {AFTER("5") AFTER("2"), 5},
    {AFTER("2, 5"), 5},
    {AFTER("2") AFTER("soon"), 2},
    {DATE AFTER("2, Sun, 06 Nov 1994 08:49:42 GMT"), 5},
    {DATE AFTER("Sun, 06 Nov 1994 08:49:42 GMT, Sun, 06 Nov 1994 08:49:42 GMT"), 5},
    /* the dates of RFC 9110 */
    {AFTER("Sun, 06 Nov 1994 08:49:42 GMT"), 5},
    {AFTER("Sunday, 06-Nov-94 08:49:42 GMT"), 5},
    {AFTER("Sun Nov  6 08:49:42 1994"), 5},
    {AFTER("Sun Nov 16 08:49:37 1994"), 864000},
    {AFTER("sun, 06 nov 1994 08:49:42 gmt"), 5},
    {AFTER("Sun, 06 Nov 1994 08:49:36 GMT"), 0},
    {AFTER("Thu, 01 Jan 1970 00:00:00 GMT"), 0},
    {AFTER("Sun, 06 Nov 1994 08:49:60 GMT"), 23},
    {AFTER("Sat, 06-Nov-99 08:49:37 GMT"), 157766400},
    {AFTER("Tue, 06-Nov-07 08:49:37 GMT"), 410227200},
    /* in other zones, with other words for Greenwich */
    {AFTER("06 Nov 1994 08:49:42 GMT"), 5},
    {AFTER("Sun, 6 Nov 1994 08:49:42 UTC"), 5},
    {AFTER("Sun, 06 Nov 1994 08:49:42 UT"), 5},
    {AFTER("Sun, 06 Nov 1994 08:49:42 Z"), 5},
    {AFTER("Sun, 06 Nov 1994 08:49:42 +0000"), 5},
    {AFTER("Sun, 06 Nov 1994 08:49:42 -0000"), 5},
    {AFTER("Sun, 06 Nov 1994 09:49:42 +0100"), 5},
    {AFTER("Sun, 06 Nov 1994 03:19:42 -05:30"), 5},
    {AFTER("Sun, 06 Nov 1994 00:19:42 -0830"), 5},
    {AFTER("Mon, 07 Nov 1994 00:49:42 +16"), 5},
    {AFTER("Sun Nov  6 08:49:42 UTC 1994"), 5},
    {AFTER("Sun Nov  6 09:49:42 1994 +0100"), 5},
    {AFTER("Sun, 06 Nov 1994 08:50 GMT"), 23},
    /* ISO 8601 */
    {AFTER("1994-11-06T08:49:42Z"), 5},
    {AFTER("1994-11-06t08:49:42z"), 5},
    {AFTER("1994-11-06 08:49:42Z"), 5},
    {AFTER("1994-11-06 08:49:42 UTC"), 5},
    {AFTER("1994-11-06T08:50Z"), 23},
    {AFTER("1994-11-06T09:49:42+01:00"), 5},
    {AFTER("1994-11-06T09:49:42+0100"), 5},
    {AFTER("1994-11-06T09:49:42+01"), 5},
    {AFTER("1994-11-05T22:49:42-10:00"), 5},
    {AFTER("19941106T084942Z"), 5},
    {AFTER("1994-11-06T08:49:42.000Z"), 5},
    {AFTER("1994-11-06T08:49:41.25Z"), 5},
    {AFTER("1994-11-06T08:49:41.999999999+00:00"), 5},
    {AFTER("1994-11-06T08:49:42Z, 1994-11-06T08:49:42Z"), 5},
    {AFTER("1994-11-06T08:49:36Z"), 0},
};

static void test_12_what_is_clear_is_obeyed_to_the_second(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(clear); i++) {
        double seconds = asked(clear[i].fields, WALL);
        CHECK(seconds >= clear[i].seconds && seconds <= clear[i].seconds + 1e-9, "%s: %.9f, not "
              "%.9f", clear[i].fields, seconds, clear[i].seconds);
    }
}

static const char *const unclear[] = {
    "", "-3", "+3", "soon", "2s", "2 s", "2 minutes", "0x10", "1e3", ".5", ".", "1.5.2", "2;q=1",
    "\"2\"", "2, soon", "soon, 2", "2-5", "Sun", "Sun,", "Sunday, ", "Sun, Nov",
    "06 Nov 1994", "Sun, 06 Nov 1994", "Sun, 06 Nov 1994 08:49:42", "Sun, 06 Nov 1994 08:49:42 CET",
    "Sun, 06 Nov 1994 08:49:42 PST", "Sun, 06 Nov 1994 08:49:42 GMT+1", "Sun, 06 Nov 08:49:42 GMT",
    "Sun, 06 Nov 1994 08:49:42 +1", "Sun, 06 Nov 1994 08:49:42 +010", "Sun, 06 Nov 1994 08:49:42 +",
    "Sun, 06 Nov 1994 08:49:42 +0160", "Sun, 06 Nov 1994 08:49:42 +2400",
    "Sun, 06 Nov 1994 08:49:42 +01:", "Sun, 06 Nov 1994 08:49:42 +01000",
    "Sun, 06 Nov 1994 08:49:42 GMT GMT", "Sun, 06 Nov 1994 08:49:42 GMT 08:49:42",
    "Sun, 06 Nov Dec 1994 08:49:42 GMT", "Sun, 06 Nov 1994 1995 08:49:42 GMT",
    "Sun, 00 Nov 1994 08:49:42 GMT", "Sun, 32 Nov 1994 08:49:42 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:00 GMT",
    "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 1994 08:49:4 GMT", "Sun, 06 Nov 1994 08: GMT",
    "Sun, 06 Nov 1994 08:49: GMT", "Sun, 06 Nov 19945 08:49:42 GMT", "Sun, 06 Nov 199 08:49:42 GMT",
    "Sun, 06 November 1994 08:49:42 GMT", "Sun, 06 11 1994 08:49:42 GMT", "11/06/1994 08:49:42 GMT",
    "Someday, 06 Nov 1994 08:49:42 GMT", "Sunny, 2",
    "1994-11-06T08:49:42", "1994-11-06 08:49:42", "1994-11-06", "1994-11-06T",
    "1994-13-06T08:49:42Z",
    "1994-00-06T08:49:42Z", "1994-11-00T08:49:42Z", "1994-11-32T08:49:42Z", "1994-11-06T24:49:42Z",
    "1994-11-06T08:49:42.Z", "1994-11-06T08:49:42ZZ", "1994-11-06T08:49:42 CET", "1994-11-06T08Z",
    "94-11-06T08:49:42Z", "1994-W45-7T08:49:42Z", "1994-310T08:49:42Z", "1994-11-06T08:49:42Z soon",
};

static void test_12_what_is_not_clear_is_absent(void **state) {
    (void)state;
    char fields[200];
    for (size_t i = 0; i < COUNT_OF(unclear); i++) {
        snprintf(fields, sizeof fields, AFTER("%s"), unclear[i]);
        CHECK(asked(fields, 0) == 0, "%s: %f", fields, asked(fields, 0));
        snprintf(fields, sizeof fields, AFTER_MS("%s"), unclear[i]);
        CHECK(asked(fields, 0) == 0, "%s: %f", fields, asked(fields, 0));
    }
    assert_true(asked(AFTER_MS("Sun, 06 Nov 1994 08:49:42 GMT"), 0) == 0);
    assert_true(asked("Retry-After-S: 5\r\nX-Retry-After: 5\r\n", 0) == 0);
}

/* The response's own Date counts, in all its forms; our clock only where there is none. */
static void test_12_dates_count_from_the_response(void **state) {
    (void)state;
    static const char *const dates[] = {
        DATE, "Date: Sunday, 06-Nov-94 08:49:37 GMT\r\n", "Date: Sun Nov  6 08:49:37 1994\r\n",
        "Date: Sun, 06 Nov 1994 09:49:37 +0100\r\n", "Date: 1994-11-06T08:49:37Z\r\n",
    };
    char fields[200];
    for (size_t i = 0; i < COUNT_OF(dates); i++) {
        snprintf(fields, sizeof fields, "%s" AFTER("Sun, 06 Nov 1994 08:49:42 GMT"), dates[i]);
        CHECK(asked(fields, 0) == 5, "%s", dates[i]);
        CHECK(asked(fields, INT64_C(4102444800)) == 5, "%s", dates[i]);
    }
    assert_true(asked("Date: today\r\n" AFTER("Sun, 06 Nov 1994 08:49:42 GMT"), WALL) == 5);
    assert_true(asked("Date: Sun, 06 Nov 1994 08:49:37 CET\r\n"
                      AFTER("Sun, 06 Nov 1994 08:49:42 GMT"), WALL + 2) == 3);
}

/* Whatever is cut off or changed: no crash, and nothing but a time or none. */
static void test_spoilt_values(void **state) {
    (void)state;
    static const char bytes[] = "09:-+., TZGn\x80";
    char fields[200];
    for (size_t i = 0; i < COUNT_OF(clear); i++)
        for (size_t at = 0; clear[i].fields[at] != '\0'; at++)
            for (size_t k = 0; k < sizeof bytes - 1; k++) {
                const char *value = strchr(clear[i].fields, ':');
                if (value == NULL || clear[i].fields + at < value + 2
                    || clear[i].fields[at] < ' ' || strchr(value, '\n')[1] != '\0')
                    continue;
                snprintf(fields, sizeof fields, "%s", clear[i].fields);
                fields[at] = bytes[k];
                double seconds = asked(fields, WALL);
                CHECK(seconds >= 0 && seconds < 253402300800.0, "%s: %f", fields, seconds);
            }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(test_12_what_is_clear_is_obeyed_to_the_second),
        TEST(test_12_what_is_not_clear_is_absent),
        TEST(test_12_dates_count_from_the_response), TEST(test_spoilt_values),
    };
    return cmocka_run_group_tests_name("judge", tests, NULL, NULL);
}

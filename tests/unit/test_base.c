/* The sections base, env, buf, heap and bucket: no socket, no thread, no real time. */
#include "../support.h"

#include <errno.h>

static const int *random_errors;        /* of getrandom(), in turn; 0: it works */
static const char *random_file = "/none";

static ssize_t fake_getrandom(void *out, size_t size, unsigned flags) {
    assert_int_equal(flags, 0);
    errno = *random_errors++;
    if (errno != 0)
        return -1;
    memset(out, 'r', size);
    return (ssize_t)size;
}

#define SPARP__SYS_CLOCK test_clock
#define SPARP__SYS_GETRANDOM fake_getrandom
#define SPARP__URANDOM random_file
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#define NEVER INT64_MAX

static sparp__env make_env(test_memory *memory) {
    sparp__env env;
    memset(&env, 0, sizeof env);
    memset(memory, 0, sizeof *memory);
    env.allocator.func = test_memory_func;
    env.allocator.user_data = memory;
    return env;
}

/* --- base ----------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    uint64_t max;
    bool ok;
    uint64_t value;
} numbers[] = {
    {"0", 10, true, 0},
    {"00", 10, true, 0},
    {"10", 10, true, 10},
    {"11", 10, false, 0},
    {"0010", 10, true, 10},
    {"9", 9, true, 9},
    {"65535", 65535, true, 65535},
    {"65536", 65535, false, 0},
    {"655350", 65535, false, 0},
    {"9223372036854775807", INT64_MAX, true, INT64_MAX},
    {"9223372036854775808", INT64_MAX, false, 0},
    {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
    {"18446744073709551616", UINT64_MAX, false, 0},
    {"18446744073709551619", UINT64_MAX, false, 0},      /* 2^64 + 3 */
    {"184467440737095516150", UINT64_MAX, false, 0},
    {"99999999999999999999999999", UINT64_MAX, false, 0},
    {"000000000000000000000000000000003", UINT64_MAX, true, 3},
    {"", 10, false, 0},
    {"-1", 10, false, 0},
    {"+1", 10, false, 0},
    {" 1", 10, false, 0},
    {"1 ", 10, false, 0},
    {"1.0", 10, false, 0},
    {"0x1", 100, false, 0},
    {"1e1", 100, false, 0},
    {"\xD9\xA1", 10, false, 0},                          /* an Arabic-Indic digit one */
};

static void test_numbers(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        uint64_t n = 0;
        bool ok = sparp__str_number(sparp__str_of(numbers[i].text), numbers[i].max, &n);
        CHECK(ok == numbers[i].ok, "\"%s\"", numbers[i].text);
        CHECK(!ok || n == numbers[i].value, "\"%s\"", numbers[i].text);
    }
}

/* Every number below 2000, and its neighbours, against a limit in between. */
static void test_number_limits(void **state) {
    (void)state;
    for (uint64_t max = 9; max < 2000; max += 13)
        for (uint64_t n = 0; n < 2000; n++) {
            char text[8];
            uint64_t out = 0;
            snprintf(text, sizeof text, "%u", (unsigned)n);
            bool ok = sparp__str_number(sparp__str_of(text), max, &out);
            CHECK(ok == (n <= max), "%s of %u", text, (unsigned)max);
            CHECK(!ok || out == n, "%s of %u", text, (unsigned)max);
        }
}

static void test_classes(void **state) {
    (void)state;
    for (int i = 0; i < 256; i++) {
        char c = (char)i;
        bool lower = i >= 'a' && i <= 'z', upper = i >= 'A' && i <= 'Z';
        bool digit = i >= '0' && i <= '9';
        bool mark = i != 0 && memchr("!#$%&'*+-.^_`|~", i, 15) != NULL;
        bool hex = digit || (i >= 'a' && i <= 'f') || (i >= 'A' && i <= 'F');
        char fold = upper ? (char)(i + 32) : lower || digit || mark ? c : '\0';
        CHECK(sparp__ascii_alpha(c) == (lower || upper), "byte %d", i);
        CHECK(sparp__ascii_digit(c) == digit, "byte %d", i);
        CHECK(sparp__ascii_token(c) == (fold != '\0'), "byte %d", i);
        CHECK(sparp__token_fold[i] == fold, "byte %d", i);
        CHECK((sparp__hex_value(c) >= 0) == hex, "byte %d", i);
        CHECK(sparp__ascii_lower(c) == (upper ? (char)(i + 32) : c), "byte %d", i);
    }
    assert_int_equal(sparp__hex_value('9'), 9);
    assert_int_equal(sparp__hex_value('a'), 10);
    assert_int_equal(sparp__hex_value('F'), 15);
}

static const struct {
    const char *text;
    size_t size;
    const char *other;
    bool same;
} pairs[] = {
    {"Content-LENGTH", 14, "content-length", true},
    {"content-lengt", 13, "content-length", false},
    {"content-lengths", 15, "content-length", false},
    {"content-lengths", 14, "content-length", true},
    {"a\0b", 3, "a", false},
    {"\xC4\xB0", 2, "i", false},          /* a capital I with a dot */
    {"k", 1, "\xE2\x84\xAA", false},      /* the sign of the kelvin */
    {"[", 1, "{", false},
    {"", 0, "", true},
    {"", 0, "a", false},
};

static void test_slices(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        CHECK(sparp__str_same(sparp__str_make(pairs[i].text, pairs[i].size), pairs[i].other)
              == pairs[i].same, "\"%s\", \"%s\"", pairs[i].text, pairs[i].other);
    assert_true(sparp__str_token(sparp__str_of("X-1")));
    assert_false(sparp__str_token(sparp__str_of("")));
    assert_false(sparp__str_token(sparp__str_of("a b")));
    assert_int_equal(sparp__str_trim(sparp__str_of(" \t ")).size, 0);
    sparp__str s = sparp__str_trim(sparp__str_of("\t a b\v "));
    assert_int_equal(s.size, 4);                                       /* only SP and HTAB go */
    assert_memory_equal(s.data, "a b\v", 4);
}

/* RFC 9110 §5.6.1: empty elements do not count. */
static void test_elements(void **state) {
    (void)state;
    static const char *const expected[] = {"a", "b c", "d"};
    sparp__str list = sparp__str_of(",, a ,\tb c,,d ,"), element;
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_true(sparp__str_element(&list, &element));
        assert_true(sparp__str_same(element, expected[i]));
    }
    assert_false(sparp__str_element(&list, &element));
    list = sparp__str_of(" , \t,");
    assert_false(sparp__str_element(&list, &element));
    list = sparp__str_of("");
    assert_false(sparp__str_element(&list, &element));
}

static void test_times(void **state) {
    (void)state;
    assert_true(sparp__time_after(5, 7) == 12);
    assert_true(sparp__time_after(5, NEVER) == NEVER);
    assert_true(sparp__time_after(NEVER, 0) == NEVER);
    assert_true(sparp__time_after(NEVER - 2, 1) == NEVER - 1);
    assert_true(sparp__time_after(NEVER - 2, 2) == NEVER);
    assert_true(sparp__time_after(NEVER - 2, 3) == NEVER);
    assert_true(sparp__time_from_s(0) == 0);
    assert_true(sparp__time_from_s(1.5) == INT64_C(1500000000));
    assert_true(sparp__time_from_s(1e9) == INT64_C(1000000000000000000));
    assert_true(sparp__time_from_s(9e9) == NEVER);
    assert_true(sparp__time_from_s(1e300) == NEVER);
    assert_true(sparp__min(-1, 1) == -1 && sparp__max(-1, 1) == 1);
}

typedef struct item {
    int number;
    sparp__link link;
} item;

static int number_of(const sparp__link *link) {
    return ((const item *)(const void *)((const char *)link - offsetof(item, link)))->number;
}

static void check_list(const sparp__list *list, const int *numbers_wanted, size_t count) {
    assert_int_equal(list->count, count);
    const sparp__link *at = list->ring.next;
    for (size_t i = 0; i < count; i++, at = at->next) {
        assert_int_equal(number_of(at), numbers_wanted[i]);
        assert_ptr_equal(at->next->prev, at);
    }
    assert_ptr_equal(at, &list->ring);
}

static void test_lists(void **state) {
    (void)state;
    static const int all[] = {0, 1, 2, 3, 4}, some[] = {1, 3}, last[] = {3};
    item items[5];
    sparp__list list;
    sparp__list_init(&list);
    assert_null(sparp__list_pop_front(&list));
    for (int i = 0; i < 5; i++)
        items[i].number = i;
    sparp__list_push_back(&list, &items[2].link);
    sparp__list_push_front(&list, &items[0].link);
    sparp__list_push_back(&list, &items[4].link);
    sparp__list_insert(&list, &items[2].link, &items[1].link);
    sparp__list_insert(&list, &items[4].link, &items[3].link);
    check_list(&list, all, 5);
    sparp__list_remove(&list, &items[0].link);
    sparp__list_remove(&list, &items[4].link);
    sparp__list_remove(&list, &items[2].link);
    assert_null(items[2].link.next);
    check_list(&list, some, 2);
    assert_ptr_equal(sparp__list_pop_front(&list), &items[1].link);
    check_list(&list, last, 1);
    assert_ptr_equal(sparp__list_pop_front(&list), &items[3].link);
    check_list(&list, NULL, 0);
    assert_null(sparp__list_pop_front(&list));
}

/* --- env ------------------------------------------------------------------------------------ */

static int log_count;
static char log_last[600];

static void remember(sparp_log_level level, const char *message, void *user_data) {
    assert_ptr_equal(user_data, &log_count);
    assert_true(level <= SPARP_LOG_WARN);
    snprintf(log_last, sizeof log_last, "%s", message);
    log_count++;
}

static void test_env(void **state) {
    (void)state;
    test_memory memory;
    sparp__env env = make_env(&memory);
    sparp__env_log(&env, SPARP_LOG_ERROR, "nobody listens");
    env.logger.func = remember;
    env.logger.user_data = &log_count;
    env.logger.max_level = SPARP_LOG_WARN;
    log_count = 0;
    sparp__env_log(&env, SPARP_LOG_WARN, "%d %s", 1, "two");
    assert_string_equal(log_last, "1 two");
    sparp__env_log(&env, SPARP_LOG_INFO, "too much detail");
    sparp__env_log(&env, SPARP_LOG_ERROR, "%1000d", 1);
    assert_int_equal(log_count, 2);
    assert_int_equal(strlen(log_last), 511);
    test_now_ns = INT64_C(123456789012345678);
    assert_true(sparp__env_now() == INT64_C(123456789012345678));
    char *block = (char *)sparp__env_zalloc(&env, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(block[i], 0);
    sparp__env_free(&env, block, 100);
    sparp__env_free(&env, NULL, 100);
    memory.fail_at = memory.calls + 1;
    assert_null(sparp__env_zalloc(&env, 1));
    assert_true(test_memory_clean(&memory));
}

/* splitmix64 is published with its first words for the seed 0. */
static void test_dice(void **state) {
    (void)state;
    test_memory memory;
    sparp__env env = make_env(&memory);
    assert_true(sparp__env_random(&env) == UINT64_C(0xE220A8397B1DCDAF));
    assert_true(sparp__env_random(&env) == UINT64_C(0x6E789E6AA1B965F4));
    assert_true(sparp__env_random(&env) == UINT64_C(0x06C45D188009454F));
}

/* Where getrandom() is missing, or forbidden, the file has it; without either there is none. */
static void test_entropy(void **state) {
    (void)state;
    static const struct { int errors[3]; const char *file; bool ok, by_call; } rows[] = {
        {{0, 0, 0}, "/none", true, true}, {{EINTR, EINTR, 0}, "/none", true, true},
        {{ENOSYS, 0, 0}, "/dev/urandom", true, false}, {{EPERM, 0, 0}, "/dev/urandom", true, false},
        {{EINTR, ENOSYS, 0}, "/dev/urandom", true, false}, {{ENOSYS, 0, 0}, "/none", false, false},
        {{ENOSYS, 0, 0}, "/dev/null", false, false},
    };
#if SPARP__TLS
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned char a[33], b[33];
        memset(a, 0x77, sizeof a);
        memset(b, 0x77, sizeof b);
        random_errors = rows[i].errors;
        random_file = rows[i].file;
        CHECK(sparp__env_entropy(a, 32) == rows[i].ok, "row %u", (unsigned)i);
        CHECK(rows[i].ok || errno != 0, "row %u", (unsigned)i);
        random_errors = rows[i].errors;
        CHECK(sparp__env_entropy(b, 32) == rows[i].ok, "row %u", (unsigned)i);
        bool same = memcmp(a, b, 32) == 0;
        CHECK(same == (rows[i].by_call || !rows[i].ok), "row %u", (unsigned)i);
        assert_true(a[32] == 0x77 && b[32] == 0x77);
    }
#else
    (void)rows;
#endif
}

static void test_default_allocator(void **state) {
    (void)state;
    char *p = (char *)sparp__env_default_allocator(NULL, 0, 3, NULL);
    memcpy(p, "ab", 3);
    p = (char *)sparp__env_default_allocator(p, 3, 3000, NULL);
    assert_string_equal(p, "ab");
    assert_null(sparp__env_default_allocator(p, 3000, 0, NULL));
    assert_null(sparp__env_default_allocator(NULL, 0, 0, NULL));
}

static void test_faults(void **state) {
    (void)state;
    sparp__fault fault;
    assert_false(sparp__fault_set(&fault, SPARP_E_RESET, 104, "%300d", 7));
    assert_int_equal(fault.error, SPARP_E_RESET);
    assert_int_equal(fault.sys_error, 104);
    assert_int_equal(strlen(fault.detail), sizeof fault.detail - 1);
    assert_false(sparp__fault_memory(&fault));
    assert_int_equal(fault.error, SPARP_E_OUT_OF_MEMORY);
    sparp__fault_clear(&fault);
    assert_int_equal(fault.error, SPARP_E_OK);
    assert_int_equal(fault.sys_error, 0);
    assert_string_equal(fault.detail, "");
}

/* --- buf ------------------------------------------------------------------------------------ */

static void test_buf_contents(void **state) {
    (void)state;
    test_memory memory;
    sparp__env env = make_env(&memory);
    sparp__buf b;
    memset(&b, 0, sizeof b);
    assert_true(sparp__buf_append(&env, &b, NULL, 0));
    assert_int_equal(memory.calls, 0);
    assert_true(sparp__buf_text(&env, &b, "n="));
    assert_true(sparp__buf_number(&env, &b, 0));
    assert_true(sparp__buf_byte(&env, &b, ' '));
    assert_true(sparp__buf_number(&env, &b, UINT64_MAX));
    assert_true(sparp__buf_add(&env, &b, sparp__str_of(" ")));
    assert_true(sparp__buf_percent(&env, &b, '\n'));
    assert_true(sparp__buf_percent(&env, &b, (char)0xFE));
    assert_true(sparp__str_same(sparp__str_make(b.data, b.size),
                                "n=0 18446744073709551615 %0A%FE"));
    sparp__buf_free(&env, &b);
    sparp__buf_free(&env, &b);
    assert_int_equal(b.capacity, 0);
    assert_true(test_memory_clean(&memory));
}

/* A million bytes one by one take few resizes, and nothing gets lost in a move. */
static void test_buf_growth(void **state) {
    (void)state;
    test_memory memory;
    sparp__env env = make_env(&memory);
    sparp__buf b;
    memset(&b, 0, sizeof b);
    for (size_t i = 0; i < 1000000; i++)
        assert_true(sparp__buf_byte(&env, &b, (char)(i * 7 % 251)));
    assert_true(memory.calls <= 14);
    for (size_t i = 0; i < b.size; i++)
        CHECK(b.data[i] == (char)(i * 7 % 251), "byte %u", (unsigned)i);
    sparp__buf_reuse(&env, &b);
    assert_int_equal(memory.blocks, 0);                  /* large: given back */
    assert_true(sparp__buf_text(&env, &b, "small"));
    sparp__buf_reuse(&env, &b);
    assert_int_equal(memory.blocks, 1);                  /* small: kept */
    assert_int_equal(b.size, 0);
    sparp__buf_free(&env, &b);
    assert_true(test_memory_clean(&memory));
}

/* When there is no memory, what was there stays. */
static void test_buf_failure(void **state) {
    (void)state;
    test_memory memory;
    sparp__env env = make_env(&memory);
    sparp__buf b;
    memset(&b, 0, sizeof b);
    memory.fail_at = 1;
    assert_false(sparp__buf_text(&env, &b, "x"));
    assert_int_equal(b.capacity, 0);
    assert_true(sparp__buf_text(&env, &b, "kept"));
    assert_false(sparp__buf_reserve(&env, &b, SIZE_MAX));
    assert_false(sparp__buf_reserve(&env, &b, (size_t)PTRDIFF_MAX));
    memory.fail_at = memory.calls + 1;
    assert_false(sparp__buf_reserve(&env, &b, (size_t)PTRDIFF_MAX - 4));
    memory.fail_at = memory.calls + 1;
    assert_false(sparp__buf_reserve(&env, &b, b.capacity - b.size + 1));
    assert_true(sparp__buf_reserve(&env, &b, b.capacity - b.size));
    assert_int_equal(b.size, 4);
    assert_memory_equal(b.data, "kept", 4);
    sparp__buf_free(&env, &b);
    assert_true(test_memory_clean(&memory));
}

/* --- heap ----------------------------------------------------------------------------------- */

static void test_heap_moves(void **state) {
    (void)state;
    test_memory memory;
    sparp__env env = make_env(&memory);
    sparp__heap h;
    sparp__timer a, b;
    memset(&h, 0, sizeof h);
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    assert_true(sparp__heap_next(&h) == NEVER);
    assert_null(sparp__heap_expire(&h, NEVER));
    sparp__heap_remove(&h, &a);                          /* not in it: nothing happens */
    assert_true(sparp__heap_reserve(&env, &h, 2));
    sparp__heap_set(&h, &a, 10);
    sparp__heap_set(&h, &b, 20);
    sparp__heap_set(&h, &a, 30);                         /* later: noted, mended at 10 */
    assert_true(sparp__heap_next(&h) == 10);
    assert_null(sparp__heap_expire(&h, 10));
    assert_true(sparp__heap_next(&h) == 20);
    sparp__heap_set(&h, &a, 15);                         /* sooner: at once */
    assert_true(sparp__heap_next(&h) == 15);
    sparp__heap_set(&h, &b, NEVER);
    assert_ptr_equal(sparp__heap_expire(&h, 1000), &a);
    assert_int_equal(a.place, 0);
    assert_null(sparp__heap_expire(&h, 1000));
    assert_true(sparp__heap_next(&h) == NEVER);
    sparp__heap_set(&h, &b, 40);
    assert_ptr_equal(sparp__heap_expire(&h, 40), &b);
    assert_int_equal(h.count, 0);
    sparp__heap_free(&env, &h);
    sparp__heap_free(&env, &h);
    assert_true(test_memory_clean(&memory));
}

static void test_heap_reserve(void **state) {
    (void)state;
    test_memory memory;
    sparp__env env = make_env(&memory);
    sparp__heap h;
    memset(&h, 0, sizeof h);
    memory.fail_at = 1;
    assert_false(sparp__heap_reserve(&env, &h, 1));
    assert_true(sparp__heap_reserve(&env, &h, 1));
    assert_false(sparp__heap_reserve(&env, &h, SIZE_MAX));
    assert_false(sparp__heap_reserve(&env, &h, SIZE_MAX / sizeof(void *) / 2));
    assert_true(sparp__heap_reserve(&env, &h, 5000));
    assert_true(h.capacity >= 5000);
    sparp__heap_free(&env, &h);
    assert_true(test_memory_clean(&memory));
}

#define TIMERS 64

/* The model: timers[i] is in the heap if in[i], and due at model[i] then. */
static void check_expiry(sparp__heap *h, sparp__timer *timers, const int64_t *model, bool *in,
                         int64_t now) {
    sparp__timer *t;
    while ((t = sparp__heap_expire(h, now)) != NULL) {
        size_t i = (size_t)(t - timers);
        assert_true(in[i] && model[i] <= now);
        in[i] = false;
    }
    int64_t soonest = NEVER;
    size_t count = 0;
    for (size_t i = 0; i < TIMERS; i++) {
        assert_int_equal(in[i], timers[i].place != 0);
        if (!in[i])
            continue;
        assert_true(model[i] > now);                     /* none was forgotten */
        soonest = sparp__min(soonest, model[i]);
        count++;
    }
    assert_int_equal(h->count, count);
    assert_true(sparp__heap_next(h) <= soonest);         /* early is allowed, late is not */
    assert_true(sparp__heap_next(h) > now);
}

static void test_heap_random(void **state) {
    (void)state;
    test_memory memory;
    sparp__env env = make_env(&memory);
    sparp__heap h;
    sparp__timer timers[TIMERS];
    int64_t model[TIMERS], now = 0;
    bool in[TIMERS] = {false};
    uint64_t dice = 42;
    memset(&h, 0, sizeof h);
    memset(timers, 0, sizeof timers);
    assert_true(sparp__heap_reserve(&env, &h, TIMERS));
    for (int step = 0; step < 100000; step++) {
        size_t i = test_random(&dice) % TIMERS;
        switch (test_random(&dice) % 8) {
        case 0:
            sparp__heap_remove(&h, &timers[i]);
            in[i] = false;
            break;
        case 1:
            now += (int64_t)(test_random(&dice) % 50);
            check_expiry(&h, timers, model, in, now);
            break;
        default:
            model[i] = now + 1 + (int64_t)(test_random(&dice) % 200);
            sparp__heap_set(&h, &timers[i], model[i]);
            in[i] = true;
        }
    }
    check_expiry(&h, timers, model, in, now + 1000);
    assert_int_equal(h.count, 0);
    sparp__heap_free(&env, &h);
    assert_true(test_memory_clean(&memory));
}

/* In order: what comes out of a heap without late moves is sorted. */
static void test_heap_sorts(void **state) {
    (void)state;
    test_memory memory;
    sparp__env env = make_env(&memory);
    sparp__heap h;
    sparp__timer timers[1000];
    uint64_t dice = 7;
    memset(&h, 0, sizeof h);
    memset(timers, 0, sizeof timers);
    assert_true(sparp__heap_reserve(&env, &h, COUNT_OF(timers)));
    for (size_t i = 0; i < COUNT_OF(timers); i++)
        sparp__heap_set(&h, &timers[i], (int64_t)(test_random(&dice) % 300));
    int64_t last = -1;
    for (size_t i = 0; i < COUNT_OF(timers); i++) {
        sparp__timer *t = sparp__heap_expire(&h, 300);
        assert_non_null(t);
        assert_true(t->due >= last);
        last = t->due;
    }
    assert_null(sparp__heap_expire(&h, 300));
    sparp__heap_free(&env, &h);
    assert_true(test_memory_clean(&memory));
}

/* --- bucket --------------------------------------------------------------------------------- */

#define STARTS 1000
#define MS INT64_C(1000000)
#define SECOND INT64_C(1000000000)

static const double rates[] = {0.2, 1.0 / 3, 1, 3, 7.5, 50, 333, 999, 1000, 1001, 5000, 123456};

/* From every start to every later one: never more than floor((W + 10 ms) / T) + burst. One
   nanosecond is given away, because the clock shows whole ones. Written as at[j] - at[i] >=
   (j - i + 1 - burst) * T - 10 ms, so that only the latest of all i has to be looked at. */
static void check_windows(const int64_t *at, size_t count, double rate, int burst) {
    double period = (double)SECOND / rate, latest = -1e300;
    for (size_t j = 0; j < count; j++) {
        double late = (double)(at[j] - at[0]) - (double)j * period;
        latest = late > latest ? late : latest;
        CHECK(late - latest >= (1 - burst) * period - 10.0 * (double)MS - 1, "rate %g, burst %d: "
              "start %u is %g ns early", rate, burst, (unsigned)j, latest - late);
    }
}

/* Any second: never more than 1.01 * rate + burst. */
static void check_seconds(const int64_t *at, size_t count, double rate, int burst) {
    for (size_t from = 0, j = 0; j < count; j++) {
        while (at[j] - at[from] >= SECOND)
            from++;
        CHECK((double)(j - from + 1) <= 1.01 * rate + burst + 1e-6, "rate %g, burst %d: %u in one "
              "second", rate, burst, (unsigned)(j - from + 1));
    }
}

/* How late a wake-up is: mostly a little, now and then very. */
static int64_t lateness(uint64_t *dice, double rate) {
    uint64_t r = test_random(dice);
    int64_t period = (int64_t)((double)SECOND / rate);
    switch (r % 16) {
    case 0:
        return (int64_t)(r >> 8) % (100 * period);       /* a stall */
    case 1:
    case 2:
        return (int64_t)(r >> 8) % (5 * MS);
    case 3:
        return 10 * MS;                                  /* the last that is made up for */
    case 4:
        return 10 * MS + 1;                              /* the first that is not, all of it */
    default:
        return (int64_t)(r >> 8) % MS;
    }
}

static void test_bucket_windows(void **state) {
    (void)state;
    static const int bursts[] = {1, 2, 10};
    static int64_t at[STARTS];
    uint64_t dice = 99;
    for (size_t r = 0; r < COUNT_OF(rates); r++)
        for (size_t k = 0; k < COUNT_OF(bursts); k++) {
            sparp__bucket b;
            int64_t now = (int64_t)(test_random(&dice) % (uint64_t)SECOND);
            sparp__bucket_init(&b, rates[r], bursts[k]);
            for (size_t i = 0; i < COUNT_OF(at); i++) {
                int64_t wait = sparp__bucket_wait(&b, now);
                if (wait > 0)
                    now += wait + lateness(&dice, rates[r]);
                assert_true(sparp__bucket_wait(&b, now) == 0);
                sparp__bucket_take(&b, now);
                at[i] = now;
            }
            check_windows(at, COUNT_OF(at), rates[r], bursts[k]);
            check_seconds(at, COUNT_OF(at), rates[r], bursts[k]);
        }
}

/* Whatever the rate, the burst and the dice: with stalls never above the guarantee, and while
   wake-ups are a few milliseconds late at most, nothing is lost. */
static void test_22_the_bucket_keeps_its_rate(void **state) {
    (void)state;
    static int64_t at[400];
    for (uint64_t seed = 1; seed <= 10000; seed++) {
        uint64_t dice = seed * UINT64_C(0x9E3779B97F4A7C15);
        double rate = 0.2, period;
        for (uint64_t n = test_random(&dice) % 12; n > 0; n--)
            rate *= 1 + (double)(test_random(&dice) % 1000) / 500;
        int burst = 1 + (int)(test_random(&dice) % 4) * (int)(test_random(&dice) % 4);
        int64_t now = (int64_t)(test_random(&dice) % (uint64_t)SECOND), most = 0;
        uint64_t late = test_random(&dice) % (uint64_t)(10 * MS) + 1;
        bool stalls = seed % 2 == 0;
        sparp__bucket b;
        sparp__bucket_init(&b, rate, burst);
        for (size_t i = 0; i < COUNT_OF(at); i++) {
            int64_t wait = sparp__bucket_wait(&b, now);
            int64_t more = wait == 0 ? 0 : stalls ? lateness(&dice, rate)
                : (int64_t)(test_random(&dice) % late);
            now += wait + more;
            most = more > most ? more : most;
            sparp__bucket_take(&b, now);
            at[i] = now;
        }
        check_windows(at, COUNT_OF(at), rate, burst);
        check_seconds(at, COUNT_OF(at), rate, burst);
        period = (double)SECOND / rate;
        for (size_t i = 0; i < COUNT_OF(at) && !stalls; i++) {
            double behind = (double)(at[i] - at[0]) - (double)i * period;
            CHECK(behind <= (double)most + 2, "seed %lu: rate %g, start %lu, %g ns late",
                  (unsigned long)seed, rate, (unsigned long)i, behind);
        }
    }
}

/* Woken exactly when asked: after n starts n periods have passed, to the nanosecond. */
static void test_bucket_exact(void **state) {
    (void)state;
    for (size_t r = 0; r < COUNT_OF(rates); r++) {
        sparp__bucket b;
        int64_t now = 5 * SECOND;
        sparp__bucket_init(&b, rates[r], 1);
        for (int i = 0; i < 100000; i++) {
            now += sparp__bucket_wait(&b, now);
            double due = 5e9 + i * (1e9 / rates[r]);
            CHECK((double)now >= due - 1.5 && (double)now <= due + 1.5,
                  "rate %g, start %d at %.0f, due %.3f", rates[r], i, (double)now, due);
            sparp__bucket_take(&b, now);
        }
    }
}

/* Starts in [0, seconds) when woken `late` nanoseconds after the time asked for. A start counts
   for the next second when it is due there, which may be half a nanosecond later than shown. */
static int count_starts(double rate, int burst, double seconds, int64_t late) {
    sparp__bucket b;
    int64_t now = 0;
    int count = 0;
    sparp__bucket_init(&b, rate, burst);
    for (;;) {
        int64_t wait = sparp__bucket_wait(&b, now);
        if (wait > 0)
            now += wait + late;
        if ((double)now >= seconds * 1e9 - 1)
            return count;
        sparp__bucket_take(&b, now);
        count++;
    }
}

/* The most starts in any `window` when every wake-up is late by up to `late`. */
static int most_in_window(double rate, int64_t window, int64_t late) {
    static int64_t at[STARTS];
    sparp__bucket b;
    uint64_t dice = 7;
    int64_t now = 0;
    int most = 0;
    sparp__bucket_init(&b, rate, 1);
    for (size_t i = 0, from = 0; i < COUNT_OF(at); i++) {
        int64_t wait = sparp__bucket_wait(&b, now);
        if (wait > 0)
            now += wait + (int64_t)(test_random(&dice) % (uint64_t)(late + 1));
        sparp__bucket_take(&b, now);
        at[i] = now;
        while (at[i] - at[from] > window)
            from++;
        most = most > (int)(i - from + 1) ? most : (int)(i - from + 1);
    }
    return most;
}

static void test_bucket_counts(void **state) {
    (void)state;
    assert_int_equal(count_starts(50, 1, 10, 0), 500);
    assert_int_equal(count_starts(50, 1, 10, 10 * MS), 500);  /* a late timer costs no rate */
    assert_in_range(count_starts(50, 1, 10, 11 * MS), 475, 477);    /* what is more does */
    assert_in_range(count_starts(50, 1, 10, 100 * MS), 90, 92);
    assert_int_equal(count_starts(50, 10, 10, 0), 509);
    assert_int_equal(count_starts(0.2, 1, 100, 0), 20);
    assert_int_equal(count_starts(3, 1, 1000, 0), 3000);      /* a third of a second is kept */
    assert_int_equal(count_starts(3, 1, 1000, MS), 3000);
    assert_in_range(most_in_window(50, SECOND, 10 * MS), 50, 51);
    assert_in_range(most_in_window(300, SECOND, MS), 300, 301);
    assert_in_range(most_in_window(300, SECOND, 9 * MS), 301, 304);
    assert_int_equal(count_starts(1000, 1, 10, 0), 10000);
    assert_int_equal(count_starts(5000, 1, 10, 0), 50000);
    for (double rate = 300; rate <= 1000; rate += 100)
        assert_in_range(count_starts(rate, 1, 10, 9 * MS), rate * 10 - 10, rate * 10);
    assert_in_range(count_starts(5000, 1, 10, MS / 2), 49990, 50000);
    assert_in_range(count_starts(123456, 1, 10, MS), 1234430, 1234560);
}

/* After a stall: the burst and what the last 10 ms would have been, then the pace. */
static void test_bucket_stall(void **state) {
    (void)state;
    for (size_t r = 0; r < COUNT_OF(rates); r++)
        for (int burst = 1; burst <= 4; burst += 3) {
            sparp__bucket b;
            int64_t now = 0;
            int at_once = 0, allowed = burst + (int)(10.0 * (double)MS * rates[r] / 1e9);
            sparp__bucket_init(&b, rates[r], burst);
            for (int i = 0; i < 100; i++) {
                now += sparp__bucket_wait(&b, now);
                sparp__bucket_take(&b, now);
            }
            now += 1000 * (int64_t)(1e9 / rates[r]) + SECOND;
            for (; sparp__bucket_wait(&b, now) == 0; at_once++)
                sparp__bucket_take(&b, now);
            CHECK(at_once >= burst && at_once <= allowed, "rate %g, burst %d: %d at once",
                  rates[r], burst, at_once);
        }
}

/* The ends of what the options allow, after an hour and after a century of uptime. */
static void test_bucket_extremes(void **state) {
    (void)state;
    static const double ends[] = {1e-6, 0.2, 1, 1000, 1e9};
    static const int bursts[] = {1, 2, 1000000000};
    static const int64_t uptimes[] = {3600 * SECOND, 100 * INT64_C(31557600) * SECOND};
    for (size_t r = 0; r < COUNT_OF(ends); r++)
        for (size_t k = 0; k < COUNT_OF(bursts); k++)
            for (size_t u = 0; u < COUNT_OF(uptimes); u++) {
                sparp__bucket b;
                sparp__bucket_init(&b, ends[r], bursts[k]);
                for (int i = 0; i < bursts[k] && i < 3; i++) {
                    CHECK(sparp__bucket_wait(&b, uptimes[u]) == 0, "rate %g, burst %d, start %d",
                          ends[r], bursts[k], i);
                    sparp__bucket_take(&b, uptimes[u]);
                }
                int64_t wait = sparp__bucket_wait(&b, uptimes[u]);
                CHECK((double)wait <= 1e9 / ends[r] + 1, "rate %g, burst %d", ends[r], bursts[k]);
            }
}

static void test_bucket_no_limit(void **state) {
    (void)state;
    sparp__bucket b;
    memset(&b, 0, sizeof b);
    for (int i = 0; i < 2; i++) {
        assert_true(sparp__bucket_wait(&b, 0) == 0);
        sparp__bucket_take(&b, 0);
        assert_true(sparp__bucket_wait(&b, 0) == 0);
        sparp__bucket_init(&b, 0, 1);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(test_numbers), TEST(test_number_limits), TEST(test_classes), TEST(test_slices),
        TEST(test_elements), TEST(test_times), TEST(test_lists), TEST(test_env), TEST(test_dice),
        TEST(test_entropy),
        TEST(test_default_allocator), TEST(test_faults), TEST(test_buf_contents),
        TEST(test_buf_growth), TEST(test_buf_failure), TEST(test_heap_moves),
        TEST(test_heap_reserve), TEST(test_heap_random), TEST(test_heap_sorts),
        TEST(test_bucket_windows), TEST(test_22_the_bucket_keeps_its_rate),
        TEST(test_bucket_exact), TEST(test_bucket_counts),
        TEST(test_bucket_stall), TEST(test_bucket_extremes),
        TEST(test_bucket_no_limit),
    };
    return cmocka_run_group_tests_name("base, env, buf, heap, bucket", tests, NULL, NULL);
}

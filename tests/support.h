/* What every test program shares: a time limit, a clock that only moves when told to, memory
   that counts and fails when told to, and inputs that end at a page which must not be touched.

   It knows nothing of sparp.h and is included before it:

       #include "../support.h"
       #define SPARP__SYS_CLOCK test_clock
       #define SPARP_IMPLEMENTATION
       #include "../../sparp.h"
*/
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* As assert_true(), with a sentence that says which row of the table it was. */
#define CHECK(ok, ...) \
    do { \
        if (!(ok)) { \
            print_error("%s:%d: %s: ", __FILE__, __LINE__, #ok); \
            print_error(__VA_ARGS__); \
            print_error("\n"); \
            fail(); \
        } \
    } while (0)

/* --- a test that hangs is a test that fails: TEST(function) in a struct CMUnitTest table ----- */

static int64_t test_now_ns;

static inline int test_setup(void **state) {
    (void)state;
    test_now_ns = 0;
    alarm(60);                          /* far more than any takes, also with sanitizers */
    return 0;
}

static inline int test_teardown(void **state) {
    (void)state;
    alarm(0);
    return 0;
}

/* CASE='test_S09*' in the environment: of all cases only these. */
__attribute__((constructor)) static void test_choose_cases(void) {
    const char *cases = getenv("CASE");
    if (cases != NULL && *cases != '\0')
        cmocka_set_test_filter(cases);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, test_setup, test_teardown)

/* --- the scripted clock: stands in for clock_gettime(), shows test_now_ns --------------------- */

static inline int test_clock(clockid_t id, struct timespec *out) {
    (void)id;
    out->tv_sec = (time_t)(test_now_ns / 1000000000);
    out->tv_nsec = (long)(test_now_ns % 1000000000);
    return 0;
}

/* --- dice that fall the same way every time: an xorshift; *state must not be 0 ---------------- */

static inline uint64_t test_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* --- memory: the function of a sparp_allocator whose user_data is a test_memory --------------- */

typedef struct test_memory {            /* zeroed: nothing fails */
    size_t blocks, bytes;               /* outstanding */
    size_t calls;                       /* allocations and resizes asked for */
    size_t fail_at;                     /* this one fails (1 is the first; 0: none does) ... */
    bool   fail_on;                     /* ... and every later one */
    bool   wrong;                       /* a size given back was not the size taken */
} test_memory;

#define TEST_MEMORY_HEAD 16             /* before each block: its size, aligned for anything */

static inline void test_memory_drop(test_memory *m, void *ptr, size_t old_size) {
    char *block = (char *)ptr - TEST_MEMORY_HEAD;
    size_t size;
    memcpy(&size, block, sizeof size);
    m->wrong = m->wrong || size != old_size;
    m->blocks--;
    m->bytes -= size;
    memset(block, 0xDD, TEST_MEMORY_HEAD + size);
    free(block);
}

/* A resize always moves, so that a pointer kept into the old block is noticed. */
static inline void *test_memory_func(void *ptr, size_t old_size, size_t new_size,
                                     void *user_data) {
    test_memory *m = (test_memory *)user_data;
    char *block = NULL;
    if (new_size > 0) {
        m->calls++;
        if (m->fail_at != 0 && (m->calls == m->fail_at || (m->fail_on && m->calls > m->fail_at)))
            return NULL;
        block = new_size < SIZE_MAX / 2 ? (char *)malloc(TEST_MEMORY_HEAD + new_size) : NULL;
        if (block == NULL)
            return NULL;
        memcpy(block, &new_size, sizeof new_size);
        block += TEST_MEMORY_HEAD;
        m->blocks++;
        m->bytes += new_size;
        if (ptr != NULL)
            memcpy(block, ptr, old_size < new_size ? old_size : new_size);
    }
    if (ptr != NULL)
        test_memory_drop(m, ptr, old_size);
    return block;
}

/* Nothing outstanding, and every size was right. */
static inline bool test_memory_clean(const test_memory *m) {
    return m->blocks == 0 && m->bytes == 0 && !m->wrong;
}

/* --- a guarded input: its last byte is the last of a page, and the next page is closed -------- */

typedef struct test_guard {             /* zeroed: none */
    char  *map;
    size_t map_size, capacity;          /* capacity: whole pages in front of the closed one */
} test_guard;

static inline test_guard test_guard_make(size_t capacity) {
    test_guard g;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    g.capacity = (capacity + page - 1) / page * page;
    g.map_size = g.capacity + page;
    void *map = mmap(NULL, g.map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(map != MAP_FAILED);
    g.map = (char *)map;
    assert_int_equal(mprotect(g.map + g.capacity, page, PROT_NONE), 0);
    return g;
}

/* A copy that ends at the closed page; it stands until the next one is put there. */
static inline const char *test_guard_put(test_guard *g, const char *data, size_t size) {
    assert_true(size <= g->capacity);
    char *copy = g->map + g->capacity - size;
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

/* Spoils the copy of `size` bytes: whoever kept a pointer into it will see something else. */
static inline void test_guard_spoil(test_guard *g, size_t size) {
    memset(g->map + g->capacity - size, 0xA5, size);
}

static inline void test_guard_free(test_guard *g) {
    if (g->map != NULL)
        munmap(g->map, g->map_size);
    memset(g, 0, sizeof *g);
}

#endif

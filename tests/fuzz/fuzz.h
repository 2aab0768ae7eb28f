/* What the fuzz targets share. A target is one C file that includes this, then sparp.h with its
   implementation, and defines

       static void fuzz_one(const uint8_t *data, size_t size)

   which stops the program with CHECK() when something is not as it must be. With clang's
   -fsanitize=fuzzer it is a libFuzzer target; with -DFUZZ_REPLAY it is a program that takes the
   inputs named on its command line. tests/fuzz/run.sh does the former, replay.sh the latter. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "../support.h"

/* Without TLS they build in half the time; who needs it says so. */
#if !defined(FUZZ_TLS) && !defined(SPARP_NO_TLS)
#define SPARP_NO_TLS
#endif

/* --- the input, taken bit by bit --------------------------------------------------------------

   What a target wants to know (limits, splits, options) is asked of the input byte by byte from
   the front; where it has ended every answer is 0. */

typedef struct fuzz_input {
    const uint8_t *data;
    size_t size;
} fuzz_input;

static inline unsigned fuzz_byte(fuzz_input *in) {
    if (in->size == 0)
        return 0;
    in->size--;
    return *in->data++;
}

static inline unsigned fuzz_below(fuzz_input *in, unsigned n) {
    return fuzz_byte(in) % n;
}

static inline bool fuzz_one_in(fuzz_input *in, unsigned n) {
    return fuzz_below(in, n) == n - 1;
}

/* The next `size` bytes, or what there is. */
static inline fuzz_input fuzz_take(fuzz_input *in, size_t size) {
    fuzz_input taken;
    taken.data = in->data;
    taken.size = size < in->size ? size : in->size;
    in->data += taken.size;
    in->size -= taken.size;
    return taken;
}

/* --- memory: counted, with the most there ever was -------------------------------------------- */

typedef struct fuzz_memory {            /* zeroed: nothing fails */
    test_memory counted;
    size_t peak;
} fuzz_memory;

static inline void *fuzz_memory_func(void *ptr, size_t old_size, size_t new_size,
                                     void *user_data) {
    fuzz_memory *m = (fuzz_memory *)user_data;
    void *block = test_memory_func(ptr, old_size, new_size, &m->counted);
    m->peak = m->counted.bytes > m->peak ? m->counted.bytes : m->peak;
    return block;
}

/* A copy that ends where its allocation does: a read beyond it, or after free(), is found. */
static inline char *fuzz_copy(const void *data, size_t size) {
    char *copy = (char *)malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

/* --- the two ways in -------------------------------------------------------------------------- */

static void fuzz_one(const uint8_t *data, size_t size);

#ifdef FUZZ_REPLAY

static inline void fuzz_replay(const char *path) {
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    fprintf(stderr, "%s\n", path);      /* the last one named is the one that failed */
    alarm(60);
    char *copy = fuzz_copy(data, size);
    fuzz_one((const uint8_t *)copy, size);
    free(copy);
    alarm(0);
}

int main(int argc, char **argv) {
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    for (int i = 1; i < argc; i++)
        fuzz_replay(argv[i]);
    printf("%d inputs\n", argc - 1);
    return argc > 1 ? 0 : 1;
}

#else

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    return setenv("CMOCKA_TEST_ABORT", "1", 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_one(data, size);
    return 0;
}

#endif
#endif

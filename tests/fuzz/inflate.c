/* Bodies in gzip and deflate, two ways. Input: a byte of options, two of dice, then either what a
   server sends, which must come to the same however it is cut; or a body, which is packed in some
   way and must come out again, and from no prefix of it as if that were all. */
#include "fuzz.h"
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#ifdef SPARP_ZLIB

#define OUT_MAX (1 << 22)               /* a bomb is left alone after as many bytes */

typedef struct unpacked {
    bool        large;
    const char *wrong;                  /* NULL: it was whole */
    size_t      size;
    char        data[OUT_MAX];
} unpacked;

static sparp__env env;
static fuzz_memory memory;
static unpacked whole, other;
static char packed[1 << 20];

static bool take(unpacked *u, sparp__inflate *z, const void *data, size_t size) {
    char *copy = fuzz_copy(data, size);
    sparp__str in = sparp__str_make(copy, size), piece = {NULL, 0};
    sparp__inflate_event event;
    while ((event = sparp__inflate_feed(z, &in, &piece, &u->wrong)) == SPARP__INFLATE_PIECE) {
        CHECK(piece.size > 0 && piece.size <= sizeof z->out, "%u bytes", (unsigned)piece.size);
        u->large = u->large || piece.size > OUT_MAX - u->size;
        if (u->large)
            break;
        memcpy(u->data + u->size, piece.data, piece.size);
        u->size += piece.size;
    }
    CHECK(u->large || event != SPARP__INFLATE_MORE || in.size == 0, "not all was eaten");
    CHECK(event != SPARP__INFLATE_NO_MEMORY, "no memory");
    free(copy);
    return event == SPARP__INFLATE_MORE;
}

/* In slices of at most `most` bytes; 0: all at once. */
static void unpack(unpacked *u, const char *coding, const void *data, size_t size, size_t most,
                   uint64_t dice) {
    static sparp__inflate *z;
    bool more = true;
    u->large = false;
    u->wrong = NULL;
    u->size = 0;
    z = sparp__inflate_new(&env);
    assert_non_null(z);
    assert_true(sparp__inflate_start(z, sparp__str_of(coding)));
    for (size_t at = 0, n; at < size && more; at += n) {
        n = most == 0 ? size : 1 + (size_t)(test_random(&dice) % most);
        n = n < size - at ? n : size - at;
        more = take(u, z, (const char *)data + at, n);
    }
    if (more)
        u->wrong = sparp__inflate_end(z);
    CHECK(u->large || u->wrong == sparp__inflate_end(z), "%s", u->wrong);
    sparp__inflate_free(&env, z);
}

static void check_cuts(const char *coding, const uint8_t *data, size_t size, uint64_t dice) {
    static const size_t most[] = {1, 3, 50, 1000};
    unpack(&whole, coding, data, size, 0, dice);
    for (size_t i = 0; i < COUNT_OF(most); i++) {
        unpack(&other, coding, data, size, most[i], dice);
        CHECK(other.large == whole.large, "%u bytes", (unsigned)other.size);
        if (whole.large)
            continue;
        CHECK((other.wrong == NULL) == (whole.wrong == NULL), "%s", other.wrong);
        CHECK(other.wrong == NULL || strcmp(other.wrong, whole.wrong) == 0, "%s", other.wrong);
        CHECK(other.size == whole.size && memcmp(other.data, whole.data, other.size) == 0,
              "%u bytes, not %u", (unsigned)other.size, (unsigned)whole.size);
    }
}

/* --- there and back -------------------------------------------------------------------------- */

static size_t pack(const uint8_t *data, size_t size, int window_bits, int level, int strategy,
                   size_t at) {
    z_stream z;
    memset(&z, 0, sizeof z);
    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, window_bits, 8, strategy), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)size;
    z.next_out = (Bytef *)packed + at;
    z.avail_out = (uInt)(sizeof packed - at);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = (size_t)z.total_out;
    deflateEnd(&z);
    return n;
}

static void check_round_trip(const fuzz_input *in, unsigned kind, uint64_t dice) {
    static const int bits[] = {31, 15, -15};            /* gzip, zlib's format, raw */
    int format = bits[kind % 3], level = (int)(test_random(&dice) % 10);
    const char *coding = format == 31 ? "gzip" : "deflate";
    size_t half = format == 31 && in->size > 0 ? (size_t)(test_random(&dice) % in->size) : 0;
    size_t n = 0;
    if (half > 0)                       /* two members of one file */
        n = pack(in->data, half, format, level, (int)(test_random(&dice) % 5), 0);
    size_t second = n;
    n += pack(in->data + half, in->size - half, format, level, (int)(test_random(&dice) % 5), n);
    unpack(&other, coding, packed, n, 1 + dice % 100, dice);
    CHECK(other.wrong == NULL && other.size == in->size
          && memcmp(other.data, in->data, in->size) == 0, "%s: %u bytes of %u", other.wrong,
          (unsigned)other.size, (unsigned)in->size);
    size_t cut = 1 + (size_t)(test_random(&dice) % (n - 1));
    unpack(&other, coding, packed, cut, 0, dice);
    CHECK((other.wrong == NULL) == (cut == second), "%u of %u bytes: %s", (unsigned)cut,
          (unsigned)n, other.wrong);
}

static void fuzz_one(const uint8_t *data, size_t size) {
    static const char *const codings[] = {"gzip", "deflate", "x-gzip, identity"};
    fuzz_input in = {data, size};
    unsigned kind = fuzz_byte(&in);
    uint64_t dice = (fuzz_byte(&in) << 8 | fuzz_byte(&in)) + 1u;
    if (in.size > 1 << 16)
        return;
    memset(&memory, 0, sizeof memory);
    env.allocator.func = fuzz_memory_func;
    env.allocator.user_data = &memory;
    if ((kind & 1) != 0)
        check_round_trip(&in, kind / 2, dice);
    else
        check_cuts(codings[kind / 2 % 3], in.data, in.size, dice);
    CHECK(memory.peak < 100000, "%u bytes of memory", (unsigned)memory.peak);
    CHECK(test_memory_clean(&memory.counted), "%u blocks left", (unsigned)memory.counted.blocks);
}

#else

static void fuzz_one(const uint8_t *data, size_t size) {
    (void)data;
    (void)size;                         /* no zlib here */
}

#endif

/* The section inflate: what zlib has packed comes out again however it is cut, and what is wrong,
   missing or too much is noticed. */
#include "../support.h"

#ifndef SPARP_ZLIB

int main(void) {
    printf("skipped: no zlib\n");
    return 77;
}

#else

#define SPARP__SYS_CLOCK test_clock
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#define PIECE_MAX 32768

static test_memory memory;
static sparp__env env;
static sparp__inflate *z;
static test_guard guard;

static int begin(void **state) {
    test_setup(state);
    memset(&memory, 0, sizeof memory);
    memset(&env, 0, sizeof env);
    env.allocator.func = test_memory_func;
    env.allocator.user_data = &memory;
    z = sparp__inflate_new(&env);
    assert_non_null(z);
    guard = test_guard_make(1 << 22);
    return 0;
}

static int end(void **state) {
    sparp__inflate_free(&env, z);
    test_guard_free(&guard);
    CHECK(test_memory_clean(&memory), "%u blocks", (unsigned)memory.blocks);
    return test_teardown(state);
}

/* --- packed by zlib --------------------------------------------------------------------------- */

typedef struct bytes {                  /* to be freed */
    char *data;
    size_t size;
} bytes;

static bytes bytes_of(const void *data, size_t size) {
    bytes b;
    b.data = (char *)malloc(size + 1);
    assert_non_null(b.data);
    if (size > 0)
        memcpy(b.data, data, size);
    b.size = size;
    return b;
}

static bytes bytes_join(bytes a, bytes b) {
    bytes both = bytes_of(a.data, a.size);
    both.data = (char *)realloc(both.data, a.size + b.size + 1);
    assert_non_null(both.data);
    memcpy(both.data + a.size, b.data, b.size);
    both.size = a.size + b.size;
    return both;
}

enum format { GZIP, ZLIB, RAW };

static const char *const codings[] = {"gzip", "deflate", "deflate"};
static const char *const names[] = {"gzip", "zlib", "raw"};

static bytes pack_as(enum format format, int window, const void *data, size_t size, int level,
                     int strategy, const char *dictionary, gz_header *header) {
    static const int wraps[] = {16, 0, 0};
    z_stream s;
    memset(&s, 0, sizeof s);
    int bits = format == RAW ? -window : window + wraps[format];
    assert_int_equal(deflateInit2(&s, level, Z_DEFLATED, bits, 8, strategy), Z_OK);
    if (dictionary != NULL)
        assert_int_equal(deflateSetDictionary(&s, (const Bytef *)dictionary,
                                              (uInt)strlen(dictionary)), Z_OK);
    if (header != NULL)
        assert_int_equal(deflateSetHeader(&s, header), Z_OK);
    bytes out;
    size_t room = deflateBound(&s, (uLong)size) + 100;
    out.data = (char *)malloc(room);
    assert_non_null(out.data);
    s.next_in = (Bytef *)(uintptr_t)data;
    s.avail_in = (uInt)size;
    s.next_out = (Bytef *)out.data;
    s.avail_out = (uInt)room;
    assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
    out.size = room - s.avail_out;
    deflateEnd(&s);
    return out;
}

static bytes pack(enum format format, const void *data, size_t size) {
    return pack_as(format, 15, data, size, 6, Z_DEFAULT_STRATEGY, NULL, NULL);
}

/* --- unpacked by us --------------------------------------------------------------------------- */

typedef struct unpacked {               /* data to be freed */
    char  *data;
    size_t size, room;
    sparp__inflate_event last;          /* MORE, BAD or NO_MEMORY */
    const char *why;                    /* of BAD, or what the end said; NULL: all is well */
} unpacked;

static bool good(const unpacked *u, const void *data, size_t size) {
    return u->last == SPARP__INFLATE_MORE && u->why == NULL && u->size == size
        && (size == 0 || memcmp(u->data, data, size) == 0);
}

/* One stretch of input, at the end of a page that nothing may read beyond; the pieces go to *u. */
static void feed(unpacked *u, const char *data, size_t size) {
    sparp__str in = sparp__str_make(test_guard_put(&guard, data, size), size), piece;
    for (;;) {
        size_t before = in.size;
        u->last = sparp__inflate_feed(z, &in, &piece, &u->why);
        assert_true(in.size <= before);
        if (u->last != SPARP__INFLATE_PIECE)
            break;
        CHECK(piece.size > 0 && piece.size <= PIECE_MAX, "%u bytes", (unsigned)piece.size);
        if (u->room - u->size < piece.size)
            u->data = (char *)realloc(u->data, u->room += u->room + piece.size);
        assert_non_null(u->data);
        memcpy(u->data + u->size, piece.data, piece.size);
        u->size += piece.size;
    }
    CHECK(u->last != SPARP__INFLATE_MORE || in.size == 0, "%u left", (unsigned)in.size);
}

enum { WHOLE = 0, DICE = -1 };          /* how it is cut; else so many bytes at a time */

static uint64_t dice = 20261121;

static unpacked unpack(const char *coding, const char *data, size_t size, int cut) {
    unpacked u;
    memset(&u, 0, sizeof u);
    u.last = SPARP__INFLATE_MORE;
    assert_true(sparp__inflate_start(z, sparp__str_of(coding)));
    for (size_t at = 0, n; at < size && u.last == SPARP__INFLATE_MORE; at += n) {
        n = cut == WHOLE ? size : cut == DICE ? (size_t)1 << test_random(&dice) % 16 : (size_t)cut;
        if (cut == DICE && test_random(&dice) % 4 == 0)
            feed(&u, NULL, 0);          /* nothing changes nothing */
        n = n > 1 && cut == DICE ? 1 + test_random(&dice) % n : n;
        n = n < size - at ? n : size - at;
        feed(&u, data + at, n);
    }
    const char *why = sparp__inflate_end(z);
    assert_true(u.last != SPARP__INFLATE_BAD || why == u.why);
    u.why = why;
    return u;
}

static unpacked unpack_bytes(const char *coding, bytes b, int cut) {
    return unpack(coding, b.data, b.size, cut);
}

/* The same bytes and the same verdict however it is cut; returns that of the whole. */
static unpacked unpack_all_ways(const char *coding, bytes b) {
    unpacked whole = unpack_bytes(coding, b, WHOLE);
    static const int cuts[] = {1, 2, 3, 7, DICE};
    for (size_t i = 0; i < COUNT_OF(cuts); i++) {
        unpacked u = unpack_bytes(coding, b, cuts[i]);
        CHECK(u.last == whole.last && u.why == whole.why && u.size == whole.size
              && (u.size == 0 || memcmp(u.data, whole.data, u.size) == 0),
              "%s, cut %d: %s after %u bytes, not %s after %u", coding, cuts[i],
              u.why != NULL ? u.why : "good", (unsigned)u.size,
              whole.why != NULL ? whole.why : "good", (unsigned)whole.size);
        free(u.data);
    }
    return whole;
}

/* What comes out in all ways is this text; or, with `why`, bad or incomplete with that sentence. */
static void check(const char *coding, bytes b, const char *text, const char *why,
                  const char *what) {
    unpacked u = unpack_all_ways(coding, b);
    CHECK(why == NULL ? u.why == NULL : u.why != NULL && strcmp(u.why, why) == 0, "%s: %s", what,
          u.why != NULL ? u.why : "good");
    CHECK(why != NULL || good(&u, text, strlen(text)), "%s: \"%.*s\"", what, (int)u.size, u.data);
    free(u.data);
}

/* --- data ------------------------------------------------------------------------------------- */

static const char text[] =
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age "
    "of foolishness, it was the epoch of belief, it was the epoch of incredulity";

static char large[1 << 20];

enum content { NOTHING, BYTE, TEXT, ZEROS, NOISE, MIXTURE, CONTENTS };

static size_t fill(enum content content) {
    static const size_t sizes[] = {0, 1, sizeof text - 1, sizeof large, 100000, 300000};
    for (size_t i = 0; i < sizes[content]; i++)
        large[i] = content == NOISE || (content == MIXTURE && i / 1000 % 3 == 0)
            ? (char)test_random(&dice) : content == ZEROS ? '\0' : text[i % (sizeof text - 1)];
    return sizes[content];
}

#define GZIP_BAD  "is not valid gzip data"
#define GZIP_ENDS "ends in the middle of the gzip data"
#define GZIP_MORE "has other bytes behind its gzip data"
#define BAD       "is not valid deflate data"
#define ENDS      "ends in the middle of the deflate data"
#define MORE      "has other bytes behind its deflate data"

/* --- the tests -------------------------------------------------------------------------------- */

static void test_wants(void **state) {
    (void)state;
    static const struct {
        const char *coding;
        bool wanted;
    } rows[] = {
        {"gzip", true}, {"x-gzip", true}, {"deflate", true}, {"GZip", true}, {"X-GZIP", true},
        {"DEFLATE", true}, {" gzip\t", true}, {"identity, gzip", true}, {"gzip,identity", true},
        {",,gzip , ,", true}, {"Identity,x-gzip,identity", true},
        {"", false}, {"identity", false}, {"br", false}, {"zstd", false}, {"compress", false},
        {"x-deflate", false}, {"gzip, gzip", false}, {"gzip, deflate", false}, {"br, gzip", false},
        {"gzip, br", false}, {"gzip;q=1", false}, {"gzip deflate", false}, {"gzipx", false},
        {"gzi", false}, {"none", false}, {"gzip,none", false}, {"\xFF", false}, {",", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        sparp__str coding = sparp__str_of(rows[i].coding);
        CHECK(sparp__inflate_wants(coding) == rows[i].wanted, "\"%s\"", rows[i].coding);
        CHECK(sparp__inflate_start(z, coding) == rows[i].wanted, "\"%s\"", rows[i].coding);
    }
    assert_false(sparp__inflate_wants(sparp__str_make(NULL, 0)));
    assert_true(sparp_has_zlib());
}

/* Every content in every format, packed in many ways, cut in many ways. */
static void test_contents(void **state) {
    (void)state;
    static const struct {
        int level, strategy;
    } ways[] = {
        {0, Z_DEFAULT_STRATEGY}, {1, Z_DEFAULT_STRATEGY}, {9, Z_DEFAULT_STRATEGY}, {6, Z_FIXED},
        {6, Z_HUFFMAN_ONLY}, {6, Z_RLE},
    };
    for (int format = GZIP; format <= RAW; format++)
        for (int content = 0; content < CONTENTS; content++)
            for (size_t i = 0; i < COUNT_OF(ways); i++) {
                size_t size = fill((enum content)content);
                bytes b = pack_as((enum format)format, 15, large, size, ways[i].level,
                                  ways[i].strategy, NULL, NULL);
                unpacked u = unpack_all_ways(codings[format], b);
                CHECK(good(&u, large, size), "%s, content %d, way %u: %s, %u bytes", names[format],
                      content, (unsigned)i, u.why != NULL ? u.why : "good", (unsigned)u.size);
                free(u.data);
                free(b.data);
            }
}

/* zlib's format says how large its window was, and how hard it tried. */
static void test_windows(void **state) {
    (void)state;
    size_t size = fill(MIXTURE);
    for (int format = GZIP; format <= RAW; format++)
        for (int window = 9; window <= 15; window++)
            for (int level = 0; level <= 9; level++) {
                bytes b = pack_as((enum format)format, window, large, size, level,
                                  Z_DEFAULT_STRATEGY, NULL, NULL);
                unpacked u = unpack_bytes(codings[format], b, DICE);
                CHECK(good(&u, large, size), "%s, window %d, level %d: %s", names[format], window,
                      level, u.why != NULL ? u.why : "good");
                free(u.data);
                free(b.data);
            }
}

/* What is raw deflate although it looks a little like zlib's header: stored blocks, whose first
   byte has five bits without a meaning. */
static void test_raw_that_looks_wrapped(void **state) {
    (void)state;
    static const unsigned char firsts[] = {0x00, 0x08, 0x18, 0x38, 0x78, 0x88, 0xF8, 0xF0};
    for (size_t i = 0; i < COUNT_OF(firsts); i++)
        for (unsigned size = 1; size < 256; size++) {
            unsigned char stream[5 + 255 + 2];
            bool wrapped = i > 0 && i < 5 && (firsts[i] * 256u + size) % 31 == 0;
            stream[0] = firsts[i];
            stream[1] = (unsigned char)size;
            stream[2] = 0;
            stream[3] = (unsigned char)~size;
            stream[4] = 0xFF;
            memcpy(stream + 5, text, size < sizeof text ? size : sizeof text);
            if (size > sizeof text)
                memset(stream + 5 + sizeof text, 'x', size - sizeof text);
            stream[5 + size] = 3;       /* an empty last block */
            stream[6 + size] = 0;
            bytes b = bytes_of(stream, 7 + size);
            unpacked u = unpack_all_ways("deflate", b);
            CHECK(wrapped ? u.why != NULL : good(&u, stream + 5, size), "%02x %02x: %s",
                  firsts[i], size, u.why != NULL ? u.why : "good");
            free(u.data);
            free(b.data);
        }
}

/* Every prefix: part of the content, no error, and the end notices. */
static void test_truncated(void **state) {
    (void)state;
    static const char *const sentences[] = {GZIP_ENDS, ENDS, ENDS};
    static const size_t sizes[] = {0, 1, 50, sizeof text - 1, 40000};
    for (int format = GZIP; format <= RAW; format++)
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            fill(MIXTURE);
            bytes b = pack((enum format)format, large, sizes[i]);
            size_t step = b.size > 1000 ? 97 : 1;
            for (size_t size = 0; size < b.size; size += size + 100 < b.size ? step : 1)
                for (int cut = WHOLE; cut <= 1; cut++) {
                    unpacked u = unpack(codings[format], b.data, size, cut);
                    CHECK(u.last == SPARP__INFLATE_MORE && u.size <= sizes[i]
                          && (u.size == 0 || memcmp(u.data, large, u.size) == 0), "%s, %u of %u",
                          names[format], (unsigned)size, (unsigned)b.size);
                    CHECK(size == 0 ? u.why == NULL
                          : u.why != NULL && strcmp(u.why, sentences[format]) == 0,
                          "%s, %u of %u: %s", names[format], (unsigned)size, (unsigned)b.size,
                          u.why != NULL ? u.why : "good");
                    free(u.data);
                }
            free(b.data);
        }
}

/* One bit is wrong. Some say nothing (the time in gzip's head): then the bytes are the same. Raw
   deflate has no check: only that it ends, and as it does in pieces. */
static void test_flipped(void **state) {
    (void)state;
    for (int format = GZIP; format <= RAW; format++)
        for (size_t size = 0; size < sizeof text; size += 27) {
            bytes b = pack((enum format)format, text, size);
            for (size_t bit = 0; bit < b.size * 8; bit++) {
                b.data[bit / 8] ^= (char)(1 << bit % 8);
                unpacked u = unpack_all_ways(codings[format], b);
                CHECK(format == RAW || u.why != NULL || good(&u, text, size),
                      "%s of %u bytes, bit %u", names[format], (unsigned)size, (unsigned)bit);
                bool silent = format == GZIP && bit / 8 >= 4 && bit / 8 < 10;
                CHECK(!silent || u.why == NULL, "bit %u: %s", (unsigned)bit, u.why);
                free(u.data);
                b.data[bit / 8] ^= (char)(1 << bit % 8);
            }
            free(b.data);
        }
}

/* The checks at the end: CRC and length of gzip, Adler-32 of zlib. */
static void test_checks(void **state) {
    (void)state;
    for (size_t back = 1; back <= 8; back++) {
        bytes b = pack(GZIP, text, sizeof text - 1);
        b.data[b.size - back] ^= 1;
        check("gzip", b, "", GZIP_BAD, "wrong CRC or length");
        free(b.data);
        if (back > 4)
            continue;
        b = pack(ZLIB, text, sizeof text - 1);
        b.data[b.size - back] ^= 1;
        check("deflate", b, "", BAD, "wrong Adler-32");
        free(b.data);
    }
}

/* The parts of a body: m a member with "member", e one without content, 0 eight zeros, x rubbish,
   f the first byte of a member, h its first three, c a member with a wrong CRC, g the first byte
   of gzip. */
static bytes body_of(const char *parts, enum format format) {
    bytes body = bytes_of("", 0);
    for (; *parts != '\0'; parts++) {
        bytes part = *parts == '0' ? bytes_of("\0\0\0\0\0\0\0", 8)
            : *parts == 'x' ? bytes_of("x", 1)
            : *parts == 'g' ? bytes_of("\x1F", 1)
            : pack(format, "member", *parts == 'e' ? 0 : 6);
        if (*parts == 'f' || *parts == 'h')
            part.size = *parts == 'f' ? 1 : 3;
        if (*parts == 'c')
            part.data[part.size - 6] ^= 1;
        bytes longer = bytes_join(body, part);
        free(body.data);
        free(part.data);
        body = longer;
    }
    return body;
}

static void test_members(void **state) {
    (void)state;
    static const struct {
        const char *parts, *content, *why;
    } rows[] = {
        {"", "", NULL},
        {"m", "member", NULL},
        {"mm", "membermember", NULL},
        {"mmm", "membermembermember", NULL},
        {"e", "", NULL},
        {"eee", "", NULL},
        {"eme", "member", NULL},
        {"m0", "member", NULL},
        {"mm000", "membermember", NULL},
        {"e0", "", NULL},
        {"m0m", "", GZIP_MORE},
        {"m0x", "", GZIP_MORE},
        {"mx", "", GZIP_MORE},
        {"mmx", "", GZIP_MORE},
        {"mf", "", GZIP_ENDS},
        {"mh", "", GZIP_ENDS},
        {"mfx", "", GZIP_BAD},
        {"mff", "", GZIP_BAD},
        {"f", "", GZIP_ENDS},
        {"fx", "", GZIP_BAD},
        {"h", "", GZIP_ENDS},
        {"0", "", GZIP_BAD},
        {"0m", "", GZIP_BAD},
        {"x", "", GZIP_ENDS},           /* zlib wants to see two bytes first */
        {"xx", "", GZIP_BAD},
        {"xm", "", GZIP_BAD},
        {"c", "", GZIP_BAD},
        {"cm", "", GZIP_BAD},
        {"mc", "", GZIP_BAD},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        bytes b = body_of(rows[i].parts, GZIP);
        check("gzip", b, rows[i].content, rows[i].why, rows[i].parts);
        check("identity, X-GZip", b, rows[i].content, rows[i].why, rows[i].parts);
        free(b.data);
    }
}

/* "deflate" has no members. */
static void test_behind_deflate(void **state) {
    (void)state;
    for (int format = ZLIB; format <= RAW; format++) {
        static const struct {
            const char *parts, *content, *why;
        } rows[] = {
            {"", "", NULL}, {"m", "member", NULL}, {"e", "", NULL}, {"m0", "member", NULL},
            {"mx", "", MORE}, {"mm", "", MORE}, {"mg", "", MORE}, {"m0m", "", MORE},
            {"m0x", "", MORE}, {"f", "", ENDS}, {"h", "", ENDS}, {"x", "", ENDS},
        };
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            bytes b = body_of(rows[i].parts, (enum format)format);
            check("deflate", b, rows[i].content, rows[i].why, rows[i].parts);
            free(b.data);
        }
    }
}

/* One format where the other is announced. */
static void test_mistaken(void **state) {
    (void)state;
    static const struct {
        const char *coding;
        enum format format;
        const char *why;
    } rows[] = {
        {"gzip", ZLIB, GZIP_BAD}, {"gzip", RAW, GZIP_BAD}, {"deflate", GZIP, BAD},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        bytes b = pack(rows[i].format, text, sizeof text - 1);
        check(rows[i].coding, b, "", rows[i].why, names[rows[i].format]);
        free(b.data);
    }
    bytes plain = bytes_of(text, sizeof text - 1);
    check("gzip", plain, "", GZIP_BAD, "plain text");
    check("deflate", plain, "", BAD, "plain text");
    free(plain.data);
}

/* Everything that RFC 1952 §2.3 lets stand in the head. */
static void test_gzip_heads(void **state) {
    (void)state;
    for (int set = 0; set < 16; set++) {
        static Bytef name[] = "a name", comment[] = "a comment", extra[300];
        gz_header header;
        memset(&header, 0, sizeof header);
        header.name = set & 1 ? name : Z_NULL;
        header.comment = set & 2 ? comment : Z_NULL;
        header.extra = set & 4 ? extra : Z_NULL;
        header.extra_len = set & 4 ? sizeof extra : 0;
        header.hcrc = set & 8;
        bytes b = pack_as(GZIP, 15, text, sizeof text - 1, 6, Z_DEFAULT_STRATEGY, NULL, &header);
        check("gzip", b, text, NULL, "head");
        bytes two = bytes_join(b, b);
        unpacked u = unpack_all_ways("gzip", two);
        CHECK(u.why == NULL && u.size == 2 * (sizeof text - 1), "head %d: %s", set, u.why);
        free(u.data);
        free(two.data);
        if (set & 8) {
            b.data[5] ^= 1;             /* the time: now the head's own CRC is wrong */
            check("gzip", b, "", GZIP_BAD, "head");
            b.data[5] ^= 1;
        }
        for (int flag = 0x20; flag <= 0x80; flag *= 2) {
            b.data[3] ^= (char)flag;    /* reserved, must be zero */
            check("gzip", b, "", GZIP_BAD, "flags");
            b.data[3] ^= (char)flag;
        }
        b.data[2] ^= 1;                 /* a method that there is not */
        check("gzip", b, "", GZIP_BAD, "method");
        free(b.data);
    }
}

static void test_dictionary(void **state) {
    (void)state;
    bytes b = pack_as(ZLIB, 15, text, sizeof text - 1, 6, Z_DEFAULT_STRATEGY, "the best of times",
                      NULL);
    check("deflate", b, "", "needs a dictionary that nobody has", "dictionary");
    free(b.data);
}

/* A kilobyte for each byte: never more than 32 KB at once, and no memory beyond the first. */
static void test_bomb(void **state) {
    (void)state;
    static char zeros[1 << 24];
    for (int format = GZIP; format <= RAW; format++) {
        bytes b = pack_as((enum format)format, 15, zeros, sizeof zeros, 9, Z_DEFAULT_STRATEGY,
                          NULL, NULL);
        assert_true(b.size < sizeof zeros / 900);
        assert_true(sparp__inflate_start(z, sparp__str_of(codings[format])));
        sparp__str in = sparp__str_make(b.data, b.size), piece;
        size_t size = 0, calls = 0, held = 0;
        const char *why;
        while (sparp__inflate_feed(z, &in, &piece, &why) == SPARP__INFLATE_PIECE) {
            assert_true(piece.size > 0 && piece.size <= PIECE_MAX);
            assert_memory_equal(piece.data, zeros, piece.size);
            size += piece.size;
            if (calls++ == 1)
                held = memory.bytes;
            assert_true(calls < 2 || memory.bytes == held);
        }
        assert_int_equal(in.size, 0);
        assert_int_equal(size, sizeof zeros);
        assert_int_equal(calls, sizeof zeros / PIECE_MAX);
        assert_null(sparp__inflate_end(z));
        assert_true(memory.bytes < 100000);
        free(b.data);
    }
}

/* Many members without content: one call eats them all and is over. */
static void test_many_members(void **state) {
    (void)state;
    bytes one = body_of("e", GZIP), all = bytes_of("", 0);
    for (int i = 0; i < 14; i++) {      /* 16384 of them */
        bytes more = i == 0 ? bytes_join(one, one) : bytes_join(all, all);
        free(all.data);
        all = more;
    }
    assert_int_equal(all.size, one.size * 16384);
    unpacked u = unpack_bytes("gzip", all, WHOLE);
    assert_true(good(&u, "", 0));
    free(u.data);
    free(all.data);
    free(one.data);
}

/* A body without a byte is no broken one, even if somebody feeds it. */
static void test_nothing_came(void **state) {
    (void)state;
    for (int format = GZIP; format <= RAW; format++) {
        unpacked u;
        memset(&u, 0, sizeof u);
        assert_true(sparp__inflate_start(z, sparp__str_of(codings[format])));
        assert_null(sparp__inflate_end(z));
        feed(&u, NULL, 0);
        assert_int_equal(u.last, SPARP__INFLATE_MORE);
        assert_null(sparp__inflate_end(z));
        feed(&u, "\x1F", 1);
        assert_non_null(sparp__inflate_end(z));
    }
}

/* After an end, an error, or in the middle: it begins anew, in another format. */
static void test_reused(void **state) {
    (void)state;
    size_t size = fill(MIXTURE);
    for (int round = 0; round < 300; round++) {
        enum format format = (enum format)(test_random(&dice) % 3);
        bytes b = pack(format, large, size);
        switch (test_random(&dice) % 3) {
        case 0:
            b.data[b.size / 2] ^= 0x10;
            break;
        case 1:
            b.size = (size_t)test_random(&dice) % b.size;
            break;
        }
        unpacked u = unpack_bytes(codings[format], b, DICE);
        free(u.data);
        free(b.data);
        format = (enum format)(test_random(&dice) % 3);
        b = pack(format, text, sizeof text - 1);
        u = unpack_bytes(codings[format], b, DICE);
        CHECK(good(&u, text, sizeof text - 1), "round %d, %s: %s", round, names[format],
              u.why != NULL ? u.why : "good");
        free(u.data);
        free(b.data);
    }
}

/* Bytes without a sense, and good ones that were spoiled. */
static void test_nonsense(void **state) {
    (void)state;
    fill(MIXTURE);
    for (int round = 0; round < 3000; round++) {
        enum format format = (enum format)(test_random(&dice) % 3);
        size_t size = test_random(&dice) % 3000;
        bytes b = round % 3 == 0 ? bytes_of(large, size) : pack(format, large, size);
        for (size_t i = 0; i < b.size && round % 3 == 0; i++)
            b.data[i] = (char)test_random(&dice);
        if (b.size > 2 && round % 2 == 0)   /* or it would soon be over */
            memcpy(b.data, format == ZLIB ? "\x78\x9C" : "\x1F\x8B\x08", format == ZLIB ? 2 : 3);
        for (uint64_t n = test_random(&dice) % 4; n > 0 && b.size > 0; n--)
            b.data[test_random(&dice) % b.size] = (char)test_random(&dice);
        unpacked u = unpack_all_ways(codings[format], b);
        free(u.data);
        free(b.data);
    }
}

/* The n-th allocation fails, for every n until none does; then once more with all that follow. */
static void test_without_memory(void **state) {
    (void)state;
    static sparp__inflate *const none = NULL;
    sparp__inflate *kept = z;
    size_t size = fill(MIXTURE);
    bytes b = pack(GZIP, large, size), other = pack(ZLIB, text, sizeof text - 1);
    for (int fail_on = 0; fail_on < 2; fail_on++) {
        bool ok = false;
        size_t starved = 0, n = 0;
        while (!ok) {
            memory.calls = 0;
            memory.fail_at = ++n;
            memory.fail_on = fail_on;
            z = sparp__inflate_new(&env);
            if (z == NULL)
                continue;
            unpacked u = unpack_bytes("gzip", b, 10000);
            ok = u.last == SPARP__INFLATE_MORE;
            if (ok) {
                CHECK(good(&u, large, size), "%s", u.why != NULL ? u.why : "");
            } else {
                starved++;
                assert_int_equal(u.last, SPARP__INFLATE_NO_MEMORY);
                assert_string_equal(u.why, "could not be decoded: out of memory");
                feed(&u, b.data, b.size);
                assert_int_equal(u.last, SPARP__INFLATE_NO_MEMORY);
            }
            free(u.data);
            memory.fail_at = 0;         /* then there is some again */
            u = unpack_bytes("deflate", other, 10);
            assert_true(good(&u, text, sizeof text - 1));
            free(u.data);
            sparp__inflate_free(&env, z);
        }
        assert_true(starved > 0 && n > starved + 1);
    }
    memory.fail_at = 0;
    free(b.data);
    free(other.data);
    sparp__inflate_free(&env, none);
    z = kept;
    assert_null(sparp__inflate_alloc(&env, UINT_MAX, UINT_MAX));
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void) {
    static const struct CMUnitTest tests[] = {
        CASE(test_wants), CASE(test_contents), CASE(test_windows),
        CASE(test_raw_that_looks_wrapped), CASE(test_truncated), CASE(test_flipped),
        CASE(test_checks), CASE(test_members), CASE(test_behind_deflate), CASE(test_mistaken),
        CASE(test_gzip_heads), CASE(test_dictionary), CASE(test_bomb), CASE(test_many_members),
        CASE(test_nothing_came), CASE(test_reused), CASE(test_nonsense), CASE(test_without_memory),
    };
    return cmocka_run_group_tests_name("inflate", tests, NULL, NULL);
}

#endif

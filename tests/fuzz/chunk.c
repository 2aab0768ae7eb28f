/* Chunked bodies, two ways (RFC 9112 §7.1). If the first byte is even, the rest is what a server
   sends as a body, and another decoder, below, says what is right. If it is odd, the rest is a
   body: it is encoded in some way and must come out again. Then two bytes of dice. */
#include "fuzz.h"
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#define BODY_MAX (1 << 20)
#define HEAD "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

typedef enum end { UNFINISHED, FINISHED, REFUSED, TOO_MUCH } end;

typedef struct decoded {
    end    how;
    size_t used, overhead, size;
    char   body[BODY_MAX];
} decoded;

static sparp__env env;
static fuzz_memory memory;
static sparp__http http;
static decoded right, ours;
static char wire[8 * BODY_MAX];

/* --- the other decoder: all of it is there, so it just walks along ---------------------------- */

static int hex(uint8_t c) {
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *at = c != 0 ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) & 15 : -1;
}

/* Overhead is what says nothing: digits beyond 16, blanks, and everything behind a ';' (the CR
   too). That and what it has used is set in *d; the size is 16 digits at most. */
static end take_size(const uint8_t *p, size_t size, decoded *d, uint64_t *chunk) {
    size_t digits = 0;
    *chunk = 0;
    for (; d->used < size && hex(p[d->used]) >= 0; d->used++) {
        if (*chunk >> 59 != 0)
            return REFUSED;             /* one more digit and it is 2^63 or more */
        *chunk = *chunk * 16 + (uint64_t)hex(p[d->used]);
        d->overhead += ++digits > 16;
    }
    if (d->used == size)
        return UNFINISHED;
    if (digits == 0)
        return REFUSED;
    for (; d->used < size && (p[d->used] == ' ' || p[d->used] == '\t'); d->used++)
        d->overhead++;
    if (d->used < size && p[d->used] == ';') {
        for (d->used++; d->used < size && p[d->used] != '\r'; d->used++, d->overhead++)
            if (p[d->used] == '\n' || p[d->used] == '\0')
                return REFUSED;
        d->overhead += d->used < size;
    }
    if (d->used == size)
        return UNFINISHED;
    if (p[d->used++] != '\r')
        return REFUSED;
    if (d->used == size)
        return UNFINISHED;
    return p[d->used++] == '\n' ? FINISHED : REFUSED;
}

static end take_data(const uint8_t *p, size_t size, decoded *d, uint64_t chunk) {
    size_t n = size - d->used < chunk ? size - d->used : (size_t)chunk;
    memcpy(d->body + d->size, p + d->used, n);
    d->size += n;
    d->used += n;
    for (const char *crlf = "\r\n"; n == chunk && *crlf != '\0'; crlf++) {
        if (d->used == size)
            return UNFINISHED;
        if (p[d->used++] != (uint8_t)*crlf)
            return REFUSED;
    }
    return n == chunk ? FINISHED : UNFINISHED;
}

/* Lines up to an empty one; a bare LF ends a line (RFC 9112 §2.2). All of it is overhead. */
static end take_trailers(const uint8_t *p, size_t size, decoded *d) {
    for (size_t from = d->used; d->used < size; d->used++) {
        d->overhead++;
        if (p[d->used] != '\n')
            continue;
        size_t line = d->used - from;
        from = d->used + 1;
        if (line == 0 || (line == 1 && p[d->used - 1] == '\r')) {
            d->used++;
            return FINISHED;
        }
    }
    return UNFINISHED;
}

static void decode(const uint8_t *p, size_t size, decoded *d) {
    uint64_t chunk = 1;
    d->used = d->overhead = d->size = 0;
    do {
        d->how = take_size(p, size, d, &chunk);
        if (d->how == FINISHED && chunk > 0)
            d->how = take_data(p, size, d, chunk);
    } while (d->how == FINISHED && chunk > 0);
    if (d->how == FINISHED)
        d->how = take_trailers(p, size, d);
}

/* --- ours ------------------------------------------------------------------------------------- */

static sparp__http_event feed(decoded *d, const void *data, size_t size) {
    char *copy = fuzz_copy(data, size);
    sparp__str in = sparp__str_make(copy, size), piece = {NULL, 0};
    sparp__http_event event;
    do {
        event = sparp__http_feed(&env, &http, &in, &piece);
        if (event == SPARP__HTTP_PIECE) {
            memcpy(d->body + d->size, piece.data, piece.size);
            d->size += piece.size;
        }
    } while (event == SPARP__HTTP_HEAD || event == SPARP__HTTP_PIECE);
    d->used += size - in.size;
    free(copy);
    return event;
}

static void decode_ours(const void *data, size_t size, size_t max, uint64_t dice, decoded *d) {
    sparp__http_start(&env, &http, false, max);
    sparp__http_event event = feed(d, HEAD, sizeof HEAD - 1);
    assert_int_equal(event, SPARP__HTTP_MORE);
    d->used = d->size = 0;
    for (size_t at = 0, n; at < size && event == SPARP__HTTP_MORE; at += n) {
        n = 1 + (size_t)(test_random(&dice) % (UINT64_C(1) << test_random(&dice) % 12));
        n = n < size - at ? n : size - at;
        event = feed(d, (const char *)data + at, n);
    }
    d->overhead = http.overhead;
    d->how = event == SPARP__HTTP_MORE ? UNFINISHED : event == SPARP__HTTP_COMPLETE ? FINISHED
        : http.fault.error == SPARP_E_HEAD_TOO_LARGE ? TOO_MUCH : REFUSED;
}

/* `max` is a limit on the overhead: it is exact. */
static void check_decoder(const fuzz_input *in, size_t max, uint64_t dice) {
    decode(in->data, in->size, &right);
    decode_ours(in->data, in->size, max, dice, &ours);
    if (right.overhead > max) {
        CHECK(ours.how == TOO_MUCH || (ours.how == REFUSED && right.how == REFUSED),
              "%d with %u bytes of overhead", ours.how, (unsigned)right.overhead);
        CHECK(ours.size <= right.size && memcmp(ours.body, right.body, ours.size) == 0, "body");
        return;
    }
    CHECK(ours.how == right.how, "%d, not %d: %s", ours.how, right.how, http.fault.detail);
    CHECK(ours.size == right.size && memcmp(ours.body, right.body, ours.size) == 0, "body");
    CHECK(ours.how != FINISHED || ours.used == right.used, "%u bytes, not %u",
          (unsigned)ours.used, (unsigned)right.used);
    CHECK(ours.how == REFUSED || ours.overhead == right.overhead, "overhead %u, not %u",
          (unsigned)ours.overhead, (unsigned)right.overhead);
}

/* --- there and back --------------------------------------------------------------------------- */

static const char *const extensions[] = {
    "", "", "", "", ";", ";a", ";a=b", " ;a = \"\\\"\" ", " ", "\t", ";ieof", ";\xff\x01\x7f",
};

static const char *const trailers[] = {
    "", "", "X: y\r\n", "X: y\nZ:\n", "Content-Length: 9\r\n", "nothing\r\n", " \r\n",
};

static size_t encode(const fuzz_input *in, uint64_t *dice) {
    size_t n = 0;
    for (size_t at = 0, chunk = 1; chunk > 0; at += chunk) {
        chunk = 1 + (size_t)(test_random(dice) % (UINT64_C(1) << test_random(dice) % 14));
        chunk = chunk < in->size - at ? chunk : in->size - at;
        for (size_t zeros = (size_t)(test_random(dice) % 40); zeros > 30; zeros--)
            wire[n++] = '0';
        n += (size_t)sprintf(wire + n, test_random(dice) % 2 ? "%lx" : "%lX",
                             (unsigned long)chunk);
        n += (size_t)sprintf(wire + n, "%s\r\n",
                             extensions[test_random(dice) % COUNT_OF(extensions)]);
        memcpy(wire + n, in->data + at, chunk);
        n += chunk;
        if (chunk > 0)
            n += (size_t)sprintf(wire + n, "\r\n");
    }
    n += (size_t)sprintf(wire + n, "%s", trailers[test_random(dice) % COUNT_OF(trailers)]);
    return n + (size_t)sprintf(wire + n, "\r\n");
}

static void check_round_trip(const fuzz_input *in, uint64_t dice) {
    size_t size = encode(in, &dice);
    memcpy(wire + size, "0\r\n\r\n", 5);                /* belongs to somebody else */
    decode_ours(wire, size + 5, SIZE_MAX / 2, dice, &ours);
    CHECK(ours.how == FINISHED && ours.used == size, "%d after %u of %u bytes: %s", ours.how,
          (unsigned)ours.used, (unsigned)size, http.fault.detail);
    CHECK(ours.size == in->size && memcmp(ours.body, in->data, in->size) == 0, "another body");
    CHECK(http.keep_alive, "a trailer was believed");
    decode((const uint8_t *)wire, size, &right);
    CHECK(right.how == FINISHED && right.size == in->size, "the other decoder");
    decode_ours(wire, size - 1, SIZE_MAX / 2, dice, &ours);
    CHECK(ours.how == UNFINISHED, "complete without its last byte");
    CHECK(sparp__http_feed_eof(&http) == SPARP__HTTP_FAILED
          && http.fault.error == SPARP_E_TRUNCATED, "a cut body taken for a whole one");
}

static void fuzz_one(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    bool back = (fuzz_byte(&in) & 1) != 0;
    uint64_t dice = (fuzz_byte(&in) << 8 | fuzz_byte(&in)) + 1u;
    if (in.size > BODY_MAX / 8)
        return;
    memset(&memory, 0, sizeof memory);
    env.allocator.func = fuzz_memory_func;
    env.allocator.user_data = &memory;
    if (back) {
        check_round_trip(&in, dice);
    } else {
        check_decoder(&in, 1 << 24, dice);
        check_decoder(&in, sizeof HEAD + dice % 64, dice);
    }
    sparp__http_free(&env, &http);
    CHECK(test_memory_clean(&memory.counted), "%u blocks left", (unsigned)memory.counted.blocks);
}

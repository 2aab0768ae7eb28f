/* sparp.c - the command: sends the requests of its input, writes one record for each of them.
   Built from this file and sparp.h alone: cc -O2 -o sparp tools/sparp.c - MIT licence, see sparp.h

   CONTENTS (grep for the tag)
       >>base      slices, growing text, numbers as text, messages, clocks
       >>values    what flags take: counts, rates, times, sizes, lists of statuses
       >>utf8      well-formed or not
       >>json      a strict scanner: slices of the line, no tree
       >>options   the one table of flags, and what it makes
       >>config    the command line as a struct
       >>url       percent-encoding, templates, resolution against a base
       >>line      one line of input -> one request
       >>reader    lines out of files and pipes, never waiting for a pipe
       >>sink      whole records into a descriptor
       >>record    one result -> one line of output
       >>files     request bodies out of files, response bodies into files
       >>tally     counts, latencies, percentiles
       >>summary   what is said at the end
       >>progress  what is said in between
       >>signals   flags set by handlers
       >>run       the loop that joins all of the above
       >>modes     --dry-run, --summarize
       >>main

   A section uses only what stands above it. */
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64     /* files beyond 2 GiB where a long is short */
#endif
#if defined(__linux__)
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#endif

#define SPARP_IMPLEMENTATION
#include "../sparp.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* The exit codes: stable numbers, so that job schedulers can name them. */
enum {
    EXIT_ALL_OK   = 0,
    EXIT_SOME_BAD = 1,   /* all input handled, something did not succeed */
    EXIT_USAGE    = 2,   /* nothing was sent */
    EXIT_RULE     = 3,   /* a stop rule fired */
    EXIT_DEADLINE = 4,
    EXIT_OUTPUT   = 5    /* output lost, or out of memory after something was sent */
};

/* ============================================================================================ */
/* >>base - slices, growing text, numbers as text, messages, clocks                              */
/* ============================================================================================ */

typedef struct slice {           /* bytes somebody else owns */
    const char *at;
    size_t      size;
} slice;

typedef struct text {            /* bytes we own; {0} is empty */
    char  *at;
    size_t size, room;
    bool   failed;               /* out of memory: sticky, looked at before the text is used */
} text;

/* Puts a string literal. */
#define PUT(t, literal) put_bytes((t), "" literal, sizeof(literal) - 1)

#if defined(__GNUC__)
#define PRINTF_LIKE(at, first) __attribute__((format(printf, at, first)))
#else
#define PRINTF_LIKE(at, first)
#endif

static slice slice_of(const char *string) {
    slice s = { string, strlen(string) };
    return s;
}

static slice slice_from(slice s, size_t offset) {
    slice rest = { s.at + offset, s.size - offset };
    return rest;
}

static bool slice_is(slice s, const char *string) {
    return s.size == strlen(string) && memcmp(s.at, string, s.size) == 0;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool same_name(slice a, slice b) {       /* ASCII case does not matter */
    if (a.size != b.size) return false;
    for (size_t i = 0; i < a.size; i++) {
        if (lower(a.at[i]) != lower(b.at[i])) return false;
    }
    return true;
}

static bool starts_with(slice s, const char *prefix) {      /* ASCII case does not matter */
    slice head = { s.at, strlen(prefix) };
    return s.size >= head.size && same_name(head, slice_of(prefix));
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* Takes the part before the first `mark` off *rest; false when nothing is left. */
static bool slice_split(slice *rest, char mark, slice *part) {
    if (rest->at == NULL) return false;
    const char *found = (const char *)memchr(rest->at, mark, rest->size);
    *part = *rest;
    if (found == NULL) {
        rest->at = NULL;
        return true;
    }
    part->size = (size_t)(found - rest->at);
    *rest = slice_from(*rest, part->size + 1);
    return true;
}

/* Makes room for `more` bytes; what was there may move. */
static bool text_reserve(text *t, size_t more) {
    if (more <= t->room - t->size) return !t->failed;
    if (t->failed || more > SIZE_MAX / 4 || t->size > SIZE_MAX / 4) {
        t->failed = true;
        return false;
    }
    size_t room = t->room < 256 ? 256 : t->room;
    while (room < t->size + more) room *= 2;
    char *at = (char *)realloc(t->at, room);
    if (at == NULL) {
        t->failed = true;
        return false;
    }
    t->at = at;
    t->room = room;
    return true;
}

static void text_free(text *t) {
    free(t->at);
    memset(t, 0, sizeof *t);
}

static void put_bytes(text *t, const char *at, size_t size) {
    if (size == 0 || !text_reserve(t, size)) return;
    memcpy(t->at + t->size, at, size);
    t->size += size;
}

static void put_slice(text *t, slice s) {
    put_bytes(t, s.at, s.size);
}

static void put_text(text *t, const char *string) {
    put_bytes(t, string, strlen(string));
}

static void put_char(text *t, char c) {
    if (text_reserve(t, 1)) t->at[t->size++] = c;
}

static void put_repeat(text *t, char c, size_t count) {
    while (count-- > 0) put_char(t, c);
}

static void put_u64(text *t, uint64_t n) {
    char digits[20];
    size_t i = sizeof digits;
    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    put_bytes(t, digits + i, sizeof digits - i);
}

/* Thousandths as a decimal: 41700 -> 41.7, 612000 -> 612. No locale has a say in the point. */
static void put_thousandths(text *t, int64_t n) {
    if (n < 0) {
        put_char(t, '-');
        n = -n;
    }
    put_u64(t, (uint64_t)n / 1000);
    unsigned rest = (unsigned)(n % 1000);
    if (rest == 0) return;
    char digits[4] = { '.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                       (char)('0' + rest % 10) };
    size_t size = rest % 10 != 0 ? 4 : rest % 100 != 0 ? 3 : 2;
    put_bytes(t, digits, size);
}

/* Three significant digits, for people: 4.00, 56.6, 118. */
static void put_three_digits(text *t, double value) {
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    uint64_t scale = decimals == 2 ? 100 : decimals == 1 ? 10 : 1;
    uint64_t n = (uint64_t)(value * (double)scale + 0.5);
    put_u64(t, n / scale);
    if (decimals == 0) return;
    put_char(t, '.');
    if (decimals == 2) put_char(t, (char)('0' + n / 10 % 10));
    put_char(t, (char)('0' + n % 10));
}

static void put_duration(text *t, int64_t us) {
    double value = us < 0 ? 0 : (double)us;
    if (value < 1e3) {
        put_u64(t, (uint64_t)value);
        PUT(t, "us");
    } else if (value < 999.5e3) {
        put_three_digits(t, value / 1e3);
        PUT(t, "ms");
    } else if (value < 600e6) {
        put_three_digits(t, value / 1e6);
        PUT(t, "s");
    } else {
        put_three_digits(t, value / 60e6);
        PUT(t, "min");
    }
}

static void put_size(text *t, uint64_t bytes) {
    static const char units[][4] = { " B", " kB", " MB", " GB", " TB", " PB" };
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.5 && unit < 5) {
        value /= 1000;
        unit++;
    }
    if (unit == 0) put_u64(t, bytes);
    else           put_three_digits(t, value);
    put_text(t, units[unit]);
}

/* "1873", "4.2": whole numbers from ten on. */
static void put_rate(text *t, double rate) {
    uint64_t tenths = (uint64_t)(rate * 10 + 0.5);
    if (tenths >= 100 || tenths % 10 == 0) {
        put_u64(t, (tenths + 5) / 10);
        return;
    }
    put_u64(t, tenths / 10);
    put_char(t, '.');
    put_char(t, (char)('0' + tenths % 10));
}

PRINTF_LIKE(2, 3)
static void put_format(text *t, const char *format, ...) {     /* short things on cold paths */
    char line[1024];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (size < 0) return;
    put_bytes(t, line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
}

/* Writes all of it to a descriptor. What has to be known on failure is in errno and *written. */
static bool write_all(int fd, const char *at, size_t size, size_t *written) {
    *written = 0;
    while (*written < size) {
        ssize_t n = write(fd, at + *written, size - *written);
        if (n > 0) {
            *written += (size_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            /* somebody else made the descriptor non-blocking: it is shared, so it stays so */
            struct pollfd wait = { fd, POLLOUT, 0 };
            (void)poll(&wait, 1, -1);
        } else if (n == 0 || errno != EINTR) {
            if (n == 0) errno = EIO;
            return false;
        }
    }
    return true;
}

static bool bar_is_drawn;        /* the last thing on the terminal is the progress bar */

static void clear_bar(void) {
    static const char clear[] = "\r\033[K";
    size_t written;
    if (bar_is_drawn) (void)write_all(STDERR_FILENO, clear, sizeof clear - 1, &written);
    bar_is_drawn = false;
}

/* Everything the command has to say goes to stderr in one write, over the bar if there is one. */
static void say_text(const text *t) {
    size_t written;
    clear_bar();
    if (t->size > 0) (void)write_all(STDERR_FILENO, t->at, t->size, &written);
}

PRINTF_LIKE(1, 2)
static void say(const char *format, ...) {
    char line[2048] = "sparp: ";
    size_t head = strlen(line);
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line + head, sizeof line - head - 1, format, args);
    va_end(args);
    size_t end = size < 0 ? head : head + (size_t)size;
    if (end > sizeof line - 2) end = sizeof line - 2;
    line[end] = '\n';
    text t = { line, end + 1, sizeof line, false };
    say_text(&t);
}

static int64_t monotonic_us(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 0;
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t wall_ms(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return 0;
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ============================================================================================ */
/* >>values - what flags take: counts, rates, times, sizes, lists of statuses                    */
/* ============================================================================================ */

enum { STATUS_MIN = 100, STATUS_END = 1000 };

typedef struct status_list {
    bool has[STATUS_END];
} status_list;

/* digits [ "." digits ], taken off the front of *s. */
static bool take_decimal(slice *s, double *out) {
    double value = 0, unit = 1;
    size_t i = 0, digits = 0;
    for (; i < s->size && is_digit(s->at[i]); i++, digits++) value = value * 10 + (s->at[i] - '0');
    if (i < s->size && s->at[i] == '.') {
        for (i++; i < s->size && is_digit(s->at[i]); i++, digits++) {
            unit *= 10;
            value = value * 10 + (s->at[i] - '0');
        }
        if (unit <= 1) return false;
    }
    if (digits == 0 || digits > 300) return false;
    *out = value / unit;
    *s = slice_from(*s, i);
    return true;
}

static bool parse_count(slice s, int64_t *out) {
    int64_t value = 0;
    if (s.size == 0 || s.size > 18) return false;
    for (size_t i = 0; i < s.size; i++) {
        if (!is_digit(s.at[i])) return false;
        value = value * 10 + (s.at[i] - '0');
    }
    *out = value;
    return true;
}

/* Seconds: "30", "2.5", "500ms", "2m", "1h". */
static bool parse_time(slice s, double *out) {
    double value;
    if (!take_decimal(&s, &value)) return false;
    if      (s.size == 0 || slice_is(s, "s")) *out = value;
    else if (slice_is(s, "ms"))               *out = value / 1000;
    else if (slice_is(s, "m"))                *out = value * 60;
    else if (slice_is(s, "h"))                *out = value * 3600;
    else return false;
    return true;
}

/* Per second: "50", "300/m", "5/15s". */
static bool parse_rate(slice s, double *out) {
    double value, period = 1;
    if (!take_decimal(&s, &value)) return false;
    if (s.size > 0) {
        if (s.at[0] != '/') return false;
        s = slice_from(s, 1);
        if      (slice_is(s, "s")) period = 1;
        else if (slice_is(s, "m")) period = 60;
        else if (slice_is(s, "h")) period = 3600;
        else if (s.size == 0 || is_digit(s.at[s.size - 1]) || !parse_time(s, &period)) return false;
    }
    if (!(period > 0)) return false;
    *out = value / period;
    return true;
}

/* Bytes: "512", "64k", "8M", "1G"; a k is 1024. */
static bool parse_size(slice s, int64_t *out) {
    int shift = 0;
    if (s.size > 0) {
        char unit = lower(s.at[s.size - 1]);
        shift = unit == 'k' ? 10 : unit == 'm' ? 20 : unit == 'g' ? 30 : 0;
        if (shift > 0) s.size--;
    }
    if (!parse_count(s, out) || *out > INT64_MAX >> shift) return false;
    *out *= (int64_t)1 << shift;
    return true;
}

/* "404", "4xx" or "200-299". */
static bool parse_status_range(slice s, int64_t *first, int64_t *last) {
    if (s.size == 3 && s.at[0] >= '1' && s.at[0] <= '9' && lower(s.at[1]) == 'x'
        && lower(s.at[2]) == 'x') {
        *first = (s.at[0] - '0') * 100;
        *last = *first + 99;
        return true;
    }
    slice low;
    if (!slice_split(&s, '-', &low) || !parse_count(low, first)) return false;
    *last = *first;
    if (s.at != NULL && !parse_count(s, last)) return false;
    return *first >= STATUS_MIN && *last < STATUS_END && *first <= *last;
}

/* "200-299,4xx,301", "all", "none". */
static bool parse_statuses(slice s, status_list *out) {
    memset(out, 0, sizeof *out);
    slice part;
    while (slice_split(&s, ',', &part)) {
        int64_t first = STATUS_MIN, last = STATUS_END - 1;
        if (slice_is(part, "none")) continue;
        if (!slice_is(part, "all") && !parse_status_range(part, &first, &last)) return false;
        for (int64_t i = first; i <= last; i++) out->has[i] = true;
    }
    return true;
}

/* The position of `word` in "a|b|c", or -1. */
static int parse_choice(const char *choices, slice word) {
    slice rest = slice_of(choices), part;
    for (int i = 0; slice_split(&rest, '|', &part); i++) {
        if (part.size == word.size && memcmp(part.at, word.at, word.size) == 0) return i;
    }
    return -1;
}

/* ============================================================================================ */
/* >>utf8 - well-formed or not (RFC 3629)                                                        */
/* ============================================================================================ */

/* The code point at s[0] and its length in bytes; length 0: not well-formed. s.size > 0. */
static unsigned utf8_decode(slice s, size_t *length) {
    unsigned char c = (unsigned char)s.at[0];
    size_t more = c < 0x80 ? 0 : c < 0xC2 ? 9 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : c < 0xF5 ? 3 : 9;
    *length = 0;
    if (more >= s.size) return 0;
    unsigned point = more == 0 ? c : c & (0x3Fu >> more);
    for (size_t i = 1; i <= more; i++) {
        unsigned char next = (unsigned char)s.at[i];
        if ((next & 0xC0) != 0x80) return 0;
        point = point << 6 | (next & 0x3Fu);
    }
    bool overlong = (more == 2 && point < 0x800) || (more == 3 && point < 0x10000);
    if (overlong || (point >= 0xD800 && point <= 0xDFFF) || point > 0x10FFFF) return 0;
    *length = more + 1;
    return point;
}

/* How many bytes are well-formed from the start: s.size if all are. */
static size_t utf8_good_prefix(slice s) {
    size_t i = 0;
    while (i < s.size) {
        uint64_t eight;
        while (s.size - i >= sizeof eight) {
            memcpy(&eight, s.at + i, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) != 0) break;
            i += sizeof eight;
        }
        if (i == s.size) break;
        size_t length = 1;
        if ((unsigned char)s.at[i] >= 0x80) (void)utf8_decode(slice_from(s, i), &length);
        if (length == 0) return i;
        i += length;
    }
    return i;
}

static void put_utf8(text *t, unsigned point) {
    char out[4];
    size_t size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = size; i-- > 1; point >>= 6) out[i] = (char)(0x80 | (point & 0x3F));
    static const unsigned char lead[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    out[0] = (char)(lead[size] | point);
    put_bytes(t, out, size);
}

/* ============================================================================================ */
/* >>json - a strict scanner (RFC 8259): slices of the line, no tree                             */
/* ============================================================================================ */

enum { JSON_DEPTH_MAX = 1000 };

typedef struct json {
    const char *start, *at, *end;
    const char *error;           /* the first one; `at` stays where it was met */
} json;

static json json_of(slice s) {
    json j = { s.at, s.at, s.at + s.size, NULL };
    return j;
}

static bool json_fail(json *j, const char *error) {
    if (j->error == NULL) j->error = error;
    return false;
}

static bool json_fail_at(json *j, const char *at, const char *error) {
    j->at = at;
    return json_fail(j, error);
}

static char json_peek(json *j) {         /* the next byte that is not space; 0 at the end */
    while (j->at < j->end && (is_blank(*j->at) || *j->at == '\r' || *j->at == '\n')) j->at++;
    return j->at < j->end ? *j->at : '\0';
}

static bool json_take(json *j, char c, const char *error) {
    if (json_peek(j) != c) return json_fail(j, error);
    j->at++;
    return true;
}

static bool json_hex4(const char *at, const char *end, unsigned *out) {
    if (end - at < 4) return false;
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        char c = lower(at[i]);
        if (is_digit(c))                  value = value * 16 + (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')    value = value * 16 + (unsigned)(c - 'a') + 10;
        else return false;
    }
    *out = value;
    return true;
}

static bool json_escape(json *j) {       /* at the byte after the backslash */
    unsigned unit;
    if (j->at == j->end) return json_fail(j, "string does not end");
    if (*j->at == 'u') {
        if (!json_hex4(j->at + 1, j->end, &unit)) return json_fail(j, "bad \\u escape");
        j->at += 5;
        return true;
    }
    if (*j->at == '\0' || strchr("\"\\/bfnrt", *j->at) == NULL) return json_fail(j, "bad escape");
    j->at++;
    return true;
}

/* A string; *raw is what stands between the quotes, escapes and all. */
static bool json_string(json *j, slice *raw) {
    if (!json_take(j, '"', "expected a string")) return false;
    raw->at = j->at;
    while (j->at < j->end) {
        unsigned char c = (unsigned char)*j->at;
        if (c == '"') {
            raw->size = (size_t)(j->at - raw->at);
            j->at++;
            return true;
        }
        if (c < 0x20) return json_fail(j, "raw control character in a string");
        j->at++;
        if (c == '\\' && !json_escape(j)) return false;
    }
    return json_fail(j, "string does not end");
}

static bool json_digits(json *j) {
    const char *start = j->at;
    while (j->at < j->end && is_digit(*j->at)) j->at++;
    return j->at > start ? true : json_fail(j, "expected a digit");
}

static bool json_number(json *j) {
    if (*j->at == '-') j->at++;
    const char *first = j->at;
    if (!json_digits(j)) return false;
    if (*first == '0' && j->at - first > 1) return json_fail_at(j, first, "number starts with 0");
    if (j->at < j->end && *j->at == '.') {
        j->at++;
        if (!json_digits(j)) return false;
    }
    if (j->at < j->end && lower(*j->at) == 'e') {
        j->at++;
        if (j->at < j->end && (*j->at == '+' || *j->at == '-')) j->at++;
        if (!json_digits(j)) return false;
    }
    return true;
}

static bool json_word(json *j, const char *word) {
    size_t size = strlen(word);
    if ((size_t)(j->end - j->at) < size || memcmp(j->at, word, size) != 0) {
        return json_fail(j, "expected a value");
    }
    j->at += size;
    return true;
}

static bool json_scalar(json *j) {
    slice raw;
    switch (json_peek(j)) {
    case '"': return json_string(j, &raw);
    case 't': return json_word(j, "true");
    case 'f': return json_word(j, "false");
    case 'n': return json_word(j, "null");
    case '-': case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9':
        return json_number(j);
    default:
        return json_fail(j, "expected a value");
    }
}

static bool json_key(json *j, slice *raw) {
    if (json_peek(j) != '"') return json_fail(j, "expected a key in quotes");
    return json_string(j, raw) && json_take(j, ':', "expected ':'");
}

/* After a value: closes what ends here, or goes on to the next member. */
static bool json_after_value(json *j, const char *closers, size_t *depth) {
    slice key;
    while (*depth > 0) {
        char closer = closers[*depth - 1], c = json_peek(j);
        if (c == ',') {
            j->at++;
            return closer == '}' ? json_key(j, &key) : true;
        }
        if (c != closer) {
            return json_fail(j, closer == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
        }
        j->at++;
        --*depth;
    }
    return true;
}

/* One value of any kind, checked to its end; *raw is its text as written. No recursion: a line of
   a million brackets costs an error and not the stack. */
static bool json_value(json *j, slice *raw) {
    char closers[JSON_DEPTH_MAX];
    size_t depth = 0;
    (void)json_peek(j);
    raw->at = j->at;
    do {
        char c = json_peek(j);
        if (c == '{' || c == '[') {
            if (depth == JSON_DEPTH_MAX) return json_fail(j, "nested deeper than 1000");
            char closer = c == '{' ? '}' : ']';
            slice key;
            closers[depth++] = closer;
            j->at++;
            if (json_peek(j) != closer) {
                if (closer == '}' && !json_key(j, &key)) return false;
                continue;
            }
        } else if (!json_scalar(j)) {
            return false;
        }
        if (!json_after_value(j, closers, &depth)) return false;
    } while (depth > 0);
    raw->size = (size_t)(j->at - raw->at);
    return true;
}

/* Inside an object or array whose opening bracket is taken: is there another member? */
static bool json_more(json *j, char closer, bool *first) {
    char c = json_peek(j);
    if (c == closer) {
        j->at++;
        return false;
    }
    if (*first) {
        *first = false;
        return true;
    }
    if (c != ',') {
        return json_fail(j, closer == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
    }
    j->at++;
    return true;
}

static bool json_end(json *j) {
    if (json_peek(j) == '\0' && j->at == j->end) return true;
    return json_fail(j, "text after the end of the value");
}

static bool json_is_valid(slice s) {
    json j = json_of(s);
    slice raw;
    return utf8_good_prefix(s) == s.size && json_value(&j, &raw) && json_end(&j);
}

/* One \uXXXX (or a pair of them) at *at, just after the u. false: half of a surrogate pair. */
static bool put_json_unit(text *out, const char **at, const char *end) {
    unsigned unit = 0, second = 0;
    (void)json_hex4(*at, end, &unit);
    *at += 4;
    if (unit >= 0xDC00 && unit <= 0xDFFF) return false;
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') return false;
        if (!json_hex4(*at + 2, end, &second) || second < 0xDC00 || second > 0xDFFF) return false;
        *at += 6;
        unit = 0x10000 + ((unit - 0xD800) << 10) + (second - 0xDC00);
    }
    put_utf8(out, unit);
    return true;
}

/* Appends what a raw string (checked by json_string) means; false: half of a surrogate pair. */
static bool put_json_decoded(text *out, slice raw) {
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *at = raw.at, *end = raw.at + raw.size;
    while (at < end) {
        const char *back = (const char *)memchr(at, '\\', (size_t)(end - at));
        if (back == NULL) back = end;
        put_bytes(out, at, (size_t)(back - at));
        if (back == end) return true;
        at = back + 2;
        const char *known = strchr(from, back[1]);
        if (back[1] == 'u') {
            if (!put_json_unit(out, &at, end)) return false;
        } else {
            put_char(out, known != NULL ? to[known - from] : back[1]);
        }
    }
    return true;
}

/* The value of a number as written (checked by json_number). */
static double json_number_value(slice raw) {
    double value = 0;
    bool negative = raw.size > 0 && raw.at[0] == '-';
    if (negative) raw = slice_from(raw, 1);
    (void)take_decimal(&raw, &value);
    if (raw.size > 1) {
        raw = slice_from(raw, 1);
        bool shrink = raw.at[0] == '-';
        if (shrink || raw.at[0] == '+') raw = slice_from(raw, 1);
        int64_t exponent = 400;
        if (raw.size < 4) (void)parse_count(raw, &exponent);
        for (int64_t i = 0; i < exponent && i < 400; i++) value = shrink ? value / 10 : value * 10;
    }
    return negative ? -value : value;
}

/* ============================================================================================ */
/* >>options - the one table of flags, and what it makes                                         */
/* ============================================================================================ */

/* X(GROUP, title): the order is that of --help. */
#define GROUPS(X) \
    X(INPUT,  "Input") \
    X(PACE,   "Pace") \
    X(JUDGE,  "Judging and retrying") \
    X(STOP,   "Stopping") \
    X(OUTPUT, "Output") \
    X(NET,    "Network") \
    X(TLS,    "TLS") \
    X(SCREEN, "Screen")

/* X(ID, short, "long", "ARGUMENT", GROUP, KIND, config field, lowest, highest, "help")
   KIND says how the argument is read: SWITCH has none; a CHOICE is one of the words of ARGUMENT;
   OTHER is read by a function of its own. The limits are those of COUNT and SIZE; for TIME and
   RATE a lowest of 1 means "more than 0". */
#define OPTIONS(X) \
    X(METHOD, 'X', "method", "METHOD", INPUT, TEXT, method, 0, 0, \
      "method of lines that give none [GET; POST with a body]") \
    X(HEADER, 'H', "header", "'K: V'|@FILE", INPUT, OTHER, given, 0, 0, \
      "added to every request unless its line sets it; 'K:' removes; repeatable") \
    X(DATA, 'd', "data", "TEXT|@FILE", INPUT, OTHER, given, 0, 0, \
      "body of lines without one") \
    X(JSON, 0, "json", "JSON|@FILE", INPUT, OTHER, given, 0, 0, \
      "JSON body of lines without one; sets Content-Type and Accept") \
    X(URL_QUERY, 0, "url-query", "K=V", INPUT, OTHER, given, 0, 0, \
      "appended to every URL, percent-encoded; repeatable") \
    X(BASE_URL, 0, "base-url", "URL", INPUT, TEXT, base_url, 0, 0, \
      "what relative URLs are relative to") \
    X(TEMPLATE, 'T', "template", "URL", INPUT, TEXT, template_url, 0, 0, \
      "plain lines are values: {} the line, {1} {2} its TAB columns, {raw} unencoded") \
    X(FORMAT, 0, "format", "auto|url|jsonl", INPUT, CHOICE, format, 0, 0, \
      "of the input lines [auto: decided for each line]") \
    X(ON_BAD_LINE, 0, "on-bad-line", "record|skip|fail", INPUT, CHOICE, on_bad_line, 0, 0, \
      "[record: outcome \"invalid\", exit 1]") \
    X(SKIP, 0, "skip", "N", INPUT, COUNT, skip, 0, INT64_MAX, \
      "leave out the first N lines") \
    X(LIMIT, 0, "limit", "N", INPUT, COUNT, limit, 0, INT64_MAX, \
      "use N lines at most") \
    X(TOTAL, 0, "total", "N", INPUT, COUNT, total, 1, INT64_MAX, \
      "expected number of lines, for percent and time left") \
    X(MAX_AT_ONCE, 'c', "max-at-once", "N|auto", PACE, OTHER, given, 0, 0, \
      "requests in flight, whole process; auto: found out, up to 1000 [100]") \
    X(PER_HOST, 0, "per-host", "N", PACE, COUNT, per_host, 1, 100000, \
      "requests in flight to one host [no limit]") \
    X(MAX_PER_SECOND, 'r', "max-per-second", "RATE", PACE, RATE, max_per_second, 1, 0, \
      "requests started, whole process: 50, 300/m, 5/15s [no limit]") \
    X(BURST, 0, "burst", "N", PACE, COUNT, burst, 1, 1000000000, \
      "starts that may come at once [1]") \
    X(WORKERS, 'w', "workers", "N|auto", PACE, OTHER, given, 0, 0, \
      "threads for network and TLS; auto: as many as processors [1]") \
    X(TIMEOUT, 't', "timeout", "TIME", PACE, TIME, timeout, 1, 0, \
      "one attempt: 30, 2.5, 500ms, 1m [30s]") \
    X(CONNECT_TIMEOUT, 0, "connect-timeout", "TIME", PACE, TIME, connect_timeout, 1, 0, \
      "name lookup and connection [10s]") \
    X(DNS_TIMEOUT, 0, "dns-timeout", "TIME", PACE, TIME, dns_timeout, 1, 0, \
      "name lookup; this and the next four count within the above [none]") \
    X(TLS_TIMEOUT, 0, "tls-timeout", "TIME", PACE, TIME, tls_timeout, 1, 0, \
      "TLS handshake [none]") \
    X(SEND_TIMEOUT, 0, "send-timeout", "TIME", PACE, TIME, send_timeout, 1, 0, \
      "sending the request, from its first byte to its last [none]") \
    X(FIRST_BYTE_TIMEOUT, 0, "first-byte-timeout", "TIME", PACE, TIME, first_byte_timeout, 1, 0, \
      "from there to the first byte of the answer [none]") \
    X(IDLE_TIMEOUT, 0, "idle-timeout", "TIME", PACE, TIME, idle_timeout, 1, 0, \
      "no byte either way [that of --timeout]") \
    X(MIN_SPEED, 0, "min-speed", "SIZE", PACE, SIZE, min_speed, 1, INT64_MAX, \
      "bytes per second: a body that is slower is a timeout [none]") \
    X(MIN_SPEED_TIME, 0, "min-speed-time", "TIME", PACE, TIME, min_speed_time, 1, 0, \
      "... when it has been so for that long [30s]") \
    X(DEADLINE, 0, "deadline", "TIME", PACE, TIME, deadline, 1, 0, \
      "the whole run; exit 4 [none]") \
    X(OK, 0, "ok", "LIST", JUDGE, OTHER, given, 0, 0, \
      "statuses that are success: 200-299,4xx,301,all,none [2xx,304]") \
    X(RETRY_ON, 0, "retry-on", "LIST", JUDGE, OTHER, given, 0, 0, \
      "statuses worth another try [408,425,429,500,502-504]") \
    X(RETRIES, 'R', "retries", "N", JUDGE, COUNT, retries, 0, INT_MAX, \
      "per kind of failure, after the first try; sets the next three") \
    X(SOFT_RETRIES, 0, "soft-retries", "N", JUDGE, COUNT, soft_retries, 0, INT_MAX, \
      "after statuses of --retry-on [20]") \
    X(TIMEOUT_RETRIES, 0, "timeout-retries", "N", JUDGE, COUNT, timeout_retries, 0, INT_MAX, \
      "after timeouts [20]") \
    X(TRANSPORT_RETRIES, 0, "transport-retries", "N", JUDGE, COUNT, transport_retries, 0, \
      INT_MAX, "after failures of network or peer [5]") \
    X(BACKOFF, 0, "backoff", "TIME", JUDGE, TIME, backoff, 0, 0, \
      "first pause before a retry, doubling; 0: none [0.5s]") \
    X(BACKOFF_MAX, 0, "backoff-max", "TIME", JUDGE, TIME, backoff_max, 1, 0, \
      "longest such pause [30s]") \
    X(RETRY_AFTER_MAX, 0, "retry-after-max", "TIME", JUDGE, TIME, retry_after_max, 0, 0, \
      "longest Retry-After obeyed [120s]") \
    X(RETRY_SAFE_ONLY, 0, "retry-safe-only", NULL, JUDGE, SWITCH, retry_safe_only, 0, 0, \
      "retry only what may be sent twice") \
    X(RETRY_UNSAFE, 0, "retry-unsafe", NULL, JUDGE, SWITCH, retry_unsafe, 0, 0, \
      "after transport failures, retry also what may not be sent twice") \
    X(STOP_ON, 0, "stop-on", "EVENT,..", STOP, OTHER, given, 0, 0, \
      "hard-fail soft-fail timeout transport soft-exhausted timeout-exhausted") \
    X(MAX_FAIL, 0, "max-fail", "N|P%", STOP, OTHER, given, 0, 0, \
      "stop after that many failed requests; P% counts after 20 finished") \
    X(FIRST, 0, "first", "N", STOP, COUNT, first, 1, INT_MAX, \
      "stop after N successes; exit 0 if they were reached") \
    X(STOP_MODE, 0, "stop-mode", "drain|abort", STOP, CHOICE, stop_mode, 0, 0, \
      "requests in flight finish, or are cut [abort; drain for --max-fail]") \
    X(DRAIN_INPUT, 0, "drain-input", NULL, STOP, SWITCH, drain_input, 0, 0, \
      "after a stop, read the input to its end") \
    X(OUTPUT, 'o', "output", "FILE", OUTPUT, TEXT, output, 0, 0, \
      "where the records go [stdout]") \
    X(ORDER, 0, "order", "completion|input", OUTPUT, CHOICE, order, 0, 0, \
      "of the records [completion]") \
    X(BODY, 0, "body", "auto|json|base64|none", OUTPUT, CHOICE, body, 0, 0, \
      "how a response body is written [auto: as text if it is text, else base64]") \
    X(BODY_DIR, 0, "body-dir", "DIR", OUTPUT, TEXT, body_dir, 0, 0, \
      "bodies into DIR/<index>, as they come; records name the file instead") \
    X(HEADERS, 0, "headers", "none|all|NAME,..", OUTPUT, OTHER, given, 0, 0, \
      "response headers in the record [none]") \
    X(ECHO, 0, "echo", NULL, OUTPUT, SWITCH, echo, 0, 0, \
      "repeat the input under \"request\"") \
    X(ASCII, 0, "ascii", NULL, OUTPUT, SWITCH, ascii, 0, 0, \
      "escape everything above U+007F") \
    X(REJECTS, 0, "rejects", "FILE", OUTPUT, TEXT, rejects, 0, 0, \
      "the input lines, as they were, of everything that did not succeed") \
    X(MAX_BODY, 0, "max-body", "SIZE", OUTPUT, SIZE, max_body, 1, INT64_MAX, \
      "longest response body taken: 64k, 8M [64M]") \
    X(MAX_REDIRS, 0, "max-redirs", "N|none", NET, OTHER, given, 0, 0, \
      "redirects followed; none: a 3xx is an answer like any other [10]") \
    X(SENSITIVE, 0, "sensitive", "NAME,..", NET, TEXT, sensitive, 0, 0, \
      "headers not sent on to another host, as Authorization and Cookie are not") \
    X(COMPRESSED, 0, "compressed", NULL, NET, SWITCH, compressed, 0, 0, \
      "ask for gzip and deflate, and decode them") \
    X(USER_AGENT, 'A', "user-agent", "UA", NET, TEXT, user_agent, 0, 0, \
      "the User-Agent header, unless --header sets it; '': none") \
    X(PROXY, 'x', "proxy", "URL", NET, TEXT, proxy, 0, 0, \
      "http://[USER:PASSWORD@]HOST[:PORT]; none: not even that of the environment") \
    X(NOPROXY, 0, "noproxy", "LIST", NET, TEXT, noproxy, 0, 0, \
      "hosts reached without: a.org,.b.org,10.0.0.7 or *") \
    X(IPV4, '4', "ipv4", NULL, NET, SWITCH, ipv4, 0, 0, \
      "only IPv4 addresses") \
    X(IPV6, '6', "ipv6", NULL, NET, SWITCH, ipv6, 0, 0, \
      "only IPv6 addresses") \
    X(RESOLVE, 0, "resolve", "HOST:PORT:ADDRESS", NET, OTHER, given, 0, 0, \
      "what a name stands for; HOST may be *; repeatable") \
    X(CONNECT_TO, 0, "connect-to", "H1:P1:H2:P2", NET, OTHER, given, 0, 0, \
      "to H2:P2 instead of H1:P1; what is empty matches all, or stays; repeatable") \
    X(UNIX_SOCKET, 0, "unix-socket", "PATH", NET, TEXT, unix_socket, 0, 0, \
      "connect to this socket, whatever the host") \
    X(INTERFACE, 0, "interface", "ADDRESS", NET, TEXT, local_address, 0, 0, \
      "our own address: 10.0.0.5, ::1 [any]") \
    X(CACERT, 0, "cacert", "FILE", TLS, TEXT, cacert, 0, 0, \
      "trust the certificates of this PEM file [those of the system]") \
    X(PIN, 0, "pin", "SHA256", TLS, TEXT, pin, 0, 0, \
      "base64 SHA-256 of the server's public key; several with ';' between") \
    X(CERT, 0, "cert", "FILE", TLS, TEXT, cert, 0, 0, \
      "our certificate and its chain, PEM; with --key") \
    X(KEY, 0, "key", "FILE", TLS, TEXT, key, 0, 0, \
      "its private key, PEM: RSA or P-256, not encrypted") \
    X(INSECURE, 0, "insecure", NULL, TLS, SWITCH, insecure, 0, 0, \
      "accept any certificate; a --pin still counts") \
    X(PROGRESS, 0, "progress", "auto|bar|line|json|none", SCREEN, CHOICE, progress, 0, 0, \
      "[auto: a bar on a terminal, nothing elsewhere]") \
    X(SUMMARY, 0, "summary", "text|json|none", SCREEN, CHOICE, summary, 0, 0, \
      "said on stderr at the end [text]") \
    X(SUMMARY_FILE, 0, "summary-file", "FILE", SCREEN, TEXT, summary_file, 0, 0, \
      "the summary goes there instead") \
    X(SUMMARIZE, 0, "summarize", NULL, SCREEN, SWITCH, summarize, 0, 0, \
      "send nothing: the arguments are files of records, sum them up") \
    X(NO_FAIL, 0, "no-fail", NULL, SCREEN, SWITCH, no_fail, 0, 0, \
      "exit 0 although requests failed") \
    X(QUIET, 'q', "quiet", NULL, SCREEN, SWITCH, quiet, 0, 0, \
      "errors only: no progress, no summary") \
    X(VERBOSE, 'v', "verbose", NULL, SCREEN, SWITCH, verbose, 0, 0, \
      "say more: warnings, progress lines, the histogram") \
    X(COLOR, 0, "color", "auto|always|never", SCREEN, CHOICE, color, 0, 0, \
      "[auto: on a terminal, unless NO_COLOR is set]") \
    X(DRY_RUN, 'n', "dry-run", NULL, SCREEN, SWITCH, dry_run, 0, 0, \
      "parse everything, print the requests as records, send nothing") \
    X(USAGE, 'h', "", NULL, SCREEN, SWITCH, show_usage, 0, 0, \
      "the short help") \
    X(HELP, 0, "help", NULL, SCREEN, SWITCH, show_help, 0, 0, \
      "this help") \
    X(VERSION, 'V', "version", NULL, SCREEN, SWITCH, show_version, 0, 0, \
      "version, compiler, TLS library, backend, zlib")

/* X("other name", ID) */
#define ALIASES(X) \
    X("concurrency", MAX_AT_ONCE) \
    X("rate", MAX_PER_SECOND)

/* X("word of another tool", ID): never accepted, but the hint names what is meant. */
#define FOREIGN_WORDS(X) \
    X("retry", RETRIES) \
    X("parallel-max", MAX_AT_ONCE) \
    X("jobs", MAX_AT_ONCE) \
    X("request", METHOD) \
    X("max-time", TIMEOUT) \
    X("location", MAX_REDIRS) \
    X("speed-limit", MIN_SPEED) \
    X("speed-time", MIN_SPEED_TIME)

typedef enum option_id {
#define X(id, letter, name, arg, group, kind, field, low, high, help) OPTION_##id,
    OPTIONS(X)
#undef X
    OPTION_COUNT
} option_id;

typedef enum option_group {
#define X(id, title) GROUP_##id,
    GROUPS(X)
#undef X
    GROUP_COUNT
} option_group;

typedef enum option_kind {
    KIND_SWITCH, KIND_COUNT, KIND_SIZE, KIND_TIME, KIND_RATE, KIND_TEXT, KIND_CHOICE, KIND_OTHER
} option_kind;

/* The values of the CHOICE flags, in the order of the words in the table. */
enum { FORMAT_AUTO, FORMAT_URL, FORMAT_JSONL };
enum { BAD_LINE_RECORD, BAD_LINE_SKIP, BAD_LINE_FAIL };
enum { MODE_DRAIN, MODE_ABORT };
enum { ORDER_COMPLETION, ORDER_INPUT };
enum { BODY_AUTO, BODY_JSON, BODY_BASE64, BODY_NONE };
enum { PROGRESS_AUTO, PROGRESS_BAR, PROGRESS_LINE, PROGRESS_JSON, PROGRESS_NONE };
enum { SUMMARY_TEXT, SUMMARY_JSON, SUMMARY_NONE };
enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

enum { DEFAULTS_MAX = 250 };     /* -H and --url-query */

enum { REDIRECTS_MAX = 1000 };

typedef struct kept {            /* memory that lives as long as the config */
    struct kept *next;
} kept;

typedef struct config {
    const char *method, *base_url, *template_url, *output, *rejects, *summary_file, *headers_shown;
    const char *body_dir;
    const char *cacert, *pin, *cert, *key;
    const char *sensitive, *user_agent, *unix_socket, *local_address;
    const char *resolve, *connect_to;        /* all that were given, ',' between */
    const char *proxy, *noproxy;             /* of the command line ... */
    const char *http_proxy, *https_proxy;    /* ... and what follows, with the environment */
    const char *no_proxy;
    const char *data, *json;                 /* default bodies */
    size_t      data_size;
    sparp_field headers[DEFAULTS_MAX];       /* -H 'K: V', and in front those of -H 'K:' ... */
    sparp_field query[DEFAULTS_MAX];
    size_t      num_headers, num_query;
    size_t      num_removed;                 /* ... this many, their values are NULL */
    int64_t     skip, limit, total, max_at_once, per_host, workers, burst, max_body, first;
    int64_t     retries, soft_retries, timeout_retries, transport_retries;
    int64_t     max_redirs, min_speed;       /* max_redirs 0: the default */
    double      max_per_second, timeout, connect_timeout, deadline;
    double      dns_timeout, tls_timeout, send_timeout, first_byte_timeout, idle_timeout;
    double      min_speed_time;
    double      backoff, backoff_max, retry_after_max;
    int         format, on_bad_line, stop_mode, order, body, progress, summary, color;
    bool        retry_safe_only, retry_unsafe, drain_input, echo, ascii, summarize, no_fail;
    bool        insecure, compressed, ipv4, ipv6;
    bool        quiet, verbose, dry_run, show_usage, show_help, show_version;
    status_list ok, retry_on;
    unsigned    stop_on;
    int64_t     max_fail, max_fail_percent;
    const char **sources;                    /* files and URLs, in the order given */
    size_t      num_sources;
    kept       *kept;
    bool        given[OPTION_COUNT];
} config;

typedef struct option_row {
    const char  *name, *arg, *help;          /* arg NULL: takes none */
    int          letter;                     /* 0: none */
    option_group group;
    option_kind  kind;
    size_t       offset;                     /* of the config field */
    int64_t      low, high;
} option_row;

static const option_row option_rows[OPTION_COUNT] = {
#define X(id, letter, name, arg, group, kind, field, low, high, help) \
    { name, arg, help, letter, GROUP_##group, KIND_##kind, offsetof(config, field), low, high },
    OPTIONS(X)
#undef X
};

static const struct { const char *name; option_id id; } option_aliases[] = {
#define X(name, id) { name, OPTION_##id },
    ALIASES(X)
#undef X
};

enum { ALIAS_COUNT = sizeof option_aliases / sizeof *option_aliases };

/* Every long name, aliases last; NULL after the last one. */
static const char *option_name(size_t i, option_id *id) {
    if (i < OPTION_COUNT) {
        *id = (option_id)i;
        return option_rows[i].name;
    }
    if (i - OPTION_COUNT >= ALIAS_COUNT) return NULL;
    *id = option_aliases[i - OPTION_COUNT].id;
    return option_aliases[i - OPTION_COUNT].name;
}

static bool option_exists(slice name) {
    option_id id;
    const char *known;
    for (size_t i = 0; (known = option_name(i, &id)) != NULL; i++) {
        if (name.size > 0 && slice_is(name, known)) return true;
    }
    return false;
}

/* Edits (insert, delete, replace) between two short words. */
static size_t edit_distance(slice a, const char *b) {
    size_t row[32], columns = strlen(b);
    if (columns >= 32) return SIZE_MAX;
    for (size_t j = 0; j <= columns; j++) row[j] = j;
    for (size_t i = 0; i < a.size; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < columns; j++) {
            size_t best = diagonal + (a.at[i] != b[j]);
            diagonal = row[j + 1];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (diagonal + 1 < best) best = diagonal + 1;
            row[j + 1] = best;
        }
    }
    return row[columns];
}

/* The nearest long name, or NULL if none is near. A beginning counts as one edit. */
static const char *option_nearest(slice name) {
#define X(word, tag) if (slice_is(name, word)) return option_rows[OPTION_##tag].name;
    FOREIGN_WORDS(X)
#undef X
    const char *known, *nearest = NULL;
    size_t least = name.size < 4 ? 2 : 3;
    option_id id;
    for (size_t i = 0; (known = option_name(i, &id)) != NULL; i++) {
        if (known[0] == '\0') continue;
        size_t distance = edit_distance(name, known);
        if (name.size >= 3 && strncmp(known, name.at, name.size) == 0) distance = 1;
        if (distance < least) {
            least = distance;
            nearest = known;
        }
    }
    return nearest;
}

static void put_option_help(text *t, const option_row *row) {
    size_t start = t->size;
    if (row->letter != 0) put_format(t, "  -%c", row->letter);
    else                  PUT(t, "    ");
    if (row->name[0] != '\0') put_format(t, "%s --%s", row->letter != 0 ? "," : " ", row->name);
    if (row->arg != NULL) put_format(t, " %s", row->arg);
    size_t width = t->size - start;
    if (width > 30) {
        put_char(t, '\n');
        width = 0;
    }
    put_repeat(t, ' ', 32 - width);
    put_format(t, "%s\n", row->help);
}

static void put_help(text *t) {
    static const char *const titles[GROUP_COUNT] = {
#define X(id, title) title,
        GROUPS(X)
#undef X
    };
    PUT(t, "sparp " SPARP_VERSION_STRING
           " - send many HTTP requests, a bounded number at a time\n\n"
           "  sparp [options] [FILE | URL]...        no argument: read stdin\n"
           "  sparp --summarize RESULTS.jsonl...     sum up saved records\n");
    for (int group = 0; group < GROUP_COUNT; group++) {
        put_format(t, "\n%s\n", titles[group]);
        for (int i = 0; i < OPTION_COUNT; i++) {
            if ((int)option_rows[i].group == group) put_option_help(t, &option_rows[i]);
        }
    }
    PUT(t, "\nOther names:");
    for (int i = 0; i < ALIAS_COUNT; i++) {
        put_format(t, "%s --%s is --%s", i > 0 ? "," : "", option_aliases[i].name,
                   option_rows[option_aliases[i].id].name);
    }
    PUT(t, ".\n"
           "Environment: http_proxy, https_proxy, all_proxy, no_proxy; all but the first also in"
           " capitals.\n"
           "TIME: 30 (seconds), 500ms, 2m, 1h.  RATE: 50 (per second), 300/m, 1000/h, 5/15s.\n"
           "SIZE: 64k, 8M, 1G.  LIST: 200-299,4xx,301,all,none.\n"
           "Exit: 0 all succeeded, 1 some did not, 2 usage, 3 a stop rule fired, 4 deadline,\n"
           "      5 output could not be written, 128+N ended by signal N.\n");
}

static const char short_help[] =
    "sparp " SPARP_VERSION_STRING " - send many HTTP requests, a bounded number at a time\n"
    "\n"
    "  sparp urls.txt > results.jsonl                    one URL per line\n"
    "  sparp -c 50 -r 200 reqs.jsonl -o results.jsonl    50 at once, 200 per second\n"
    "  seq 1000 | sparp -T 'http://api.example.com/items/{}' | jq .status\n"
    "\n"
    "Pace       -c, --max-at-once N     requests in flight, whole process      [100]\n"
    "           -r, --max-per-second R  requests started: 50, 300/m, 5/15s [no limit]\n"
    "           -t, --timeout TIME      one attempt: 30, 2.5, 500ms, 1m        [30s]\n"
    "Retries    -R, --retries N         tries again, per kind of failure   [20,20,5]\n"
    "               --ok LIST           statuses that are success          [2xx,304]\n"
    "               --retry-on LIST     another try        [408,425,429,500,502-504]\n"
    "Stop           --first N           stop after N successes\n"
    "               --max-fail N|P%     stop after that many failed requests\n"
    "Requests   -X METHOD  -H 'K: V'|@FILE  -d DATA|@FILE  --json JSON|@FILE  -T URL\n"
    "Network    -x PROXY  -A UA  --max-redirs N  --compressed  --resolve H:P:A\n"
    "Output     -o FILE  --order input  --body-dir DIR  --rejects FILE  -n  -q  -v\n"
    "'sparp --help' lists everything.\n";

/* ============================================================================================ */
/* >>config - the command line as a struct                                                       */
/* ============================================================================================ */

/* Memory freed by config_free; NULL, after a message, when there is none. */
static char *config_keep(config *c, const char *at, size_t size) {
    kept *k = (kept *)malloc(sizeof *k + size + 1);
    if (k == NULL) {
        say("out of memory");
        return NULL;
    }
    k->next = c->kept;
    c->kept = k;
    char *copy = (char *)(k + 1);
    if (size > 0) memcpy(copy, at, size);
    copy[size] = '\0';
    return copy;
}

static void config_free(config *c) {
    while (c->kept != NULL) {
        kept *next = c->kept->next;
        free(c->kept);
        c->kept = next;
    }
    free(c->sources);
    c->sources = NULL;
}

/* "--retries" or "-c", as it is best written in a message. */
static const char *option_label(option_id id, char *label, size_t size) {
    const option_row *row = &option_rows[id];
    if (row->name[0] != '\0') (void)snprintf(label, size, "--%s", row->name);
    else                      (void)snprintf(label, size, "-%c", row->letter);
    return label;
}

static bool option_refuse(option_id id, const char *arg, const char *wanted) {
    char label[48];
    say("%s: '%.200s' is not %s", option_label(id, label, sizeof label), arg, wanted);
    return false;
}

static bool out_of_range(option_id id, const char *arg) {
    const option_row *row = &option_rows[id];
    char label[48];
    (void)option_label(id, label, sizeof label);
    if (row->kind == KIND_TIME || row->kind == KIND_RATE) {
        say("%s: '%s' is out of range, it must be more than 0", label, arg);
    } else if (row->high == INT64_MAX) {
        say("%s: '%s' is out of range, the lowest is %lld", label, arg, (long long)row->low);
    } else {
        say("%s: '%s' is out of range, which is %lld to %lld", label, arg, (long long)row->low,
            (long long)row->high);
    }
    return false;
}

static bool set_whole(void *field, option_id id, const char *arg) {
    const option_row *row = &option_rows[id];
    int64_t value;
    if (row->kind == KIND_SIZE) {
        if (!parse_size(slice_of(arg), &value)) {
            return option_refuse(id, arg, "a size like 64k or 8M");
        }
    } else if (!parse_count(slice_of(arg), &value)) {
        return option_refuse(id, arg, "a whole number");
    }
    if (value < row->low || value > row->high) return out_of_range(id, arg);
    *(int64_t *)field = value;
    return true;
}

static bool set_real(void *field, option_id id, const char *arg) {
    const option_row *row = &option_rows[id];
    double value;
    if (row->kind == KIND_TIME) {
        if (!parse_time(slice_of(arg), &value)) {
            return option_refuse(id, arg, "a time like 30, 500ms or 2m");
        }
    } else if (!parse_rate(slice_of(arg), &value)) {
        return option_refuse(id, arg, "a rate like 50, 300/m or 5/15s");
    }
    if (row->low > 0 && !(value > 0)) return out_of_range(id, arg);
    *(double *)field = value;
    return true;
}

/* A whole file as text that lives as long as the config; its size in *size. */
static const char *read_file(config *c, option_id id, const char *path, size_t *size) {
    char label[48];
    text t = { NULL, 0, 0, false };
    const char *copy = NULL;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        say("%s: cannot open %s: %s", option_label(id, label, sizeof label), path, strerror(errno));
        return NULL;
    }
    while (text_reserve(&t, 65536)) {
        size_t n = fread(t.at + t.size, 1, 65536, file);
        t.size += n;
        if (n == 0) break;
    }
    if (ferror(file)) {
        say("%s: cannot read %s", option_label(id, label, sizeof label), path);
    } else if (t.failed) {
        say("%s: out of memory reading %s", option_label(id, label, sizeof label), path);
    } else {
        copy = config_keep(c, t.at, t.size);
        *size = t.size;
    }
    (void)fclose(file);
    text_free(&t);
    return copy;
}

/* The bytes of "TEXT" or of "@FILE". */
static const char *text_or_file(config *c, option_id id, const char *arg, size_t *size) {
    if (arg[0] == '@') return read_file(c, id, arg + 1, size);
    *size = strlen(arg);
    return arg;
}

static slice trimmed(slice s) {
    while (s.size > 0 && is_blank(s.at[0])) s = slice_from(s, 1);
    while (s.size > 0 && (is_blank(s.at[s.size - 1]) || s.at[s.size - 1] == '\r')) s.size--;
    return s;
}

/* One "K: V" or "K:". */
static bool add_header(config *c, slice line) {
    slice value = line, name;
    (void)slice_split(&value, ':', &name);
    name = trimmed(name);
    if (value.at == NULL || name.size == 0) {
        say("--header: '%.*s' is not 'Name: value'", (int)(line.size < 200 ? line.size : 200),
            line.at);
        return false;
    }
    if (c->num_headers == DEFAULTS_MAX) {
        say("--header: more than %d headers", DEFAULTS_MAX);
        return false;
    }
    value = trimmed(value);
    sparp_field *f = &c->headers[c->num_headers];
    f->name = config_keep(c, name.at, name.size);
    f->value = value.size == 0 ? NULL : config_keep(c, value.at, value.size);
    c->num_headers++;
    return f->name != NULL && (value.size == 0 || f->value != NULL);
}

static bool set_header(config *c, const char *arg) {
    size_t size;
    if (arg[0] != '@') return add_header(c, slice_of(arg));
    const char *at = read_file(c, OPTION_HEADER, arg + 1, &size);
    if (at == NULL) return false;
    slice rest = { at, size }, line;
    while (slice_split(&rest, '\n', &line)) {
        if (trimmed(line).size > 0 && !add_header(c, line)) return false;
    }
    return true;
}

static bool set_query(config *c, const char *arg) {
    slice value = slice_of(arg), name;
    (void)slice_split(&value, '=', &name);
    if (value.at == NULL || name.size == 0) return option_refuse(OPTION_URL_QUERY, arg, "K=V");
    if (c->num_query == DEFAULTS_MAX) {
        say("--url-query: more than %d parameters", DEFAULTS_MAX);
        return false;
    }
    sparp_field *f = &c->query[c->num_query++];
    f->name = config_keep(c, name.at, name.size);
    f->value = value.at;
    return f->name != NULL;
}

/* RFC 9110 5.6.2: what a token is made of. */
static const char token_characters[] = "!#$%&'*+-.^_`|~0123456789"
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

static bool is_token(slice s) {
    for (size_t i = 0; i < s.size; i++) {
        if (s.at[i] == '\0' || strchr(token_characters, s.at[i]) == NULL) return false;
    }
    return s.size > 0;
}

/* "Name,Other": names of headers. */
static bool is_name_list(slice list) {
    slice part;
    while (slice_split(&list, ',', &part)) {
        if (!is_token(trimmed(part))) return false;
    }
    return true;
}

/* "all", "none", or names of headers. */
static bool set_headers_shown(config *c, const char *arg) {
    slice rest = slice_of(arg), part;
    bool word = strcmp(arg, "none") == 0 || strcmp(arg, "all") == 0, names = is_name_list(rest);
    while (!word && slice_split(&rest, ',', &part)) {
        if (parse_choice("none|all", trimmed(part)) >= 0) names = false;
    }
    if (!word && !names) return option_refuse(OPTION_HEADERS, arg, "none, all, or names");
    c->headers_shown = strcmp(arg, "none") == 0 ? NULL : arg;
    return true;
}

static bool set_json(config *c, const char *arg) {
    size_t size;
    c->json = text_or_file(c, OPTION_JSON, arg, &size);
    if (c->json == NULL) return false;
    slice s = { c->json, size };
    return json_is_valid(s) ? true : option_refuse(OPTION_JSON, arg, "valid JSON");
}

/* A number, or "auto". */
static bool set_or_auto(option_id id, const char *arg, int64_t highest, int64_t *out) {
    int64_t value = SPARP_AUTO;
    if (strcmp(arg, "auto") != 0 && !parse_count(slice_of(arg), &value))
        return option_refuse(id, arg, "a number or auto");
    if (value != SPARP_AUTO && (value < 1 || value > highest)) {
        say("--%s: '%s' is out of range, which is 1 to %lld", option_rows[id].name, arg,
            (long long)highest);
        return false;
    }
    *out = value;
    return true;
}

/* A number, or "none", which is what 0 means too. */
static bool set_max_redirs(config *c, const char *arg) {
    int64_t value = 0;
    bool none = strcmp(arg, "none") == 0;
    if (!none && !parse_count(slice_of(arg), &value)) {
        return option_refuse(OPTION_MAX_REDIRS, arg, "a number or none");
    }
    if (value > REDIRECTS_MAX) {
        say("--max-redirs: '%s' is out of range, which is 0 to %d", arg, REDIRECTS_MAX);
        return false;
    }
    c->max_redirs = value == 0 ? SPARP_NONE : value;
    return true;
}

/* Appends to a list of the config, after a comma. */
static bool list_append(config *c, const char **list, const char *entry) {
    text t = { NULL, 0, 0, false };
    if (*list != NULL) {
        put_text(&t, *list);
        put_char(&t, ',');
    }
    put_text(&t, entry);
    if (t.failed) say("out of memory");
    *list = t.failed ? NULL : config_keep(c, t.at, t.size);
    text_free(&t);
    return *list != NULL;
}

/* What these options are worth, the library knows best. */
static bool library_takes(const sparp_options *o, option_id id, const char *arg) {
    const char *wrong = sparp_check_options(o);
    char label[48];
    if (wrong[0] == '\0') return true;
    say("%s: '%.200s': %s", option_label(id, label, sizeof label), arg, wrong);
    return false;
}

/* The part of an entry of --resolve before its addresses; brackets have colons of their own. */
static size_t resolve_prefix(const char *arg) {
    size_t i = 0;
    bool inside = false;
    for (int colons = 0; arg[i] != '\0' && colons < 2; i++) {
        inside = arg[i] == '[' || (inside && arg[i] != ']');
        colons += arg[i] == ':' && !inside;
    }
    return i;
}

/* "host:port:address", and as curl has it more addresses after commas. */
static bool set_resolve(config *c, const char *arg) {
    size_t prefix = resolve_prefix(arg);
    slice rest = slice_of(arg + prefix), address;
    sparp_options o;
    text list = { NULL, 0, 0, false };
    while (slice_split(&rest, ',', &address)) {
        if (list.size > 0) put_char(&list, ',');
        put_bytes(&list, arg, prefix);
        put_slice(&list, address);
    }
    memset(&o, 0, sizeof o);
    o.resolve = list.failed ? NULL : config_keep(c, list.at, list.size);
    bool good = o.resolve != NULL && prefix > 0 && arg[prefix - 1] == ':'
        ? library_takes(&o, OPTION_RESOLVE, arg)
        : option_refuse(OPTION_RESOLVE, arg, "HOST:PORT:ADDRESS");
    if (good) good = list_append(c, &c->resolve, o.resolve);
    text_free(&list);
    return good;
}

static bool set_connect_to(config *c, const char *arg) {
    sparp_options o;
    memset(&o, 0, sizeof o);
    o.connect_to = arg;
    if (strchr(arg, ':') == NULL) return option_refuse(OPTION_CONNECT_TO, arg, "H1:P1:H2:P2");
    return library_takes(&o, OPTION_CONNECT_TO, arg) && list_append(c, &c->connect_to, arg);
}

/* "N" or "P%". */
static bool set_max_fail(config *c, const char *arg) {
    slice s = slice_of(arg);
    bool percent = s.size > 0 && s.at[s.size - 1] == '%';
    int64_t value;
    if (percent) s.size--;
    if (!parse_count(s, &value)) return option_refuse(OPTION_MAX_FAIL, arg, "a number or N%");
    if (value < 1 || value > (percent ? 100 : INT_MAX)) {
        say("--max-fail: '%s' is out of range, which is 1 to %d%s", arg, percent ? 100 : INT_MAX,
            percent ? "%" : "");
        return false;
    }
    c->max_fail = percent ? 0 : value;
    c->max_fail_percent = percent ? value : 0;
    return true;
}

static bool set_stop_on(config *c, const char *arg) {
    static const char events[] =
        "soft-fail|hard-fail|timeout|transport|soft-exhausted|timeout-exhausted";
    static const unsigned flags[] = {
        SPARP_STOP_ON_SOFT_FAIL, SPARP_STOP_ON_HARD_FAIL, SPARP_STOP_ON_TIMEOUT,
        SPARP_STOP_ON_TRANSPORT, SPARP_STOP_ON_SOFT_EXHAUSTED, SPARP_STOP_ON_TIMEOUT_EXHAUSTED
    };
    slice rest = slice_of(arg), part;
    while (slice_split(&rest, ',', &part)) {
        int i = parse_choice(events, part);
        if (i < 0) return option_refuse(OPTION_STOP_ON, arg, events);
        c->stop_on |= flags[i];
    }
    return true;
}

static bool set_other(config *c, option_id id, const char *arg) {
    static const char statuses[] = "a list of statuses like 200-299,4xx,301,all,none";
    switch (id) {
    case OPTION_HEADER:    return set_header(c, arg);
    case OPTION_URL_QUERY: return set_query(c, arg);
    case OPTION_JSON:      return set_json(c, arg);
    case OPTION_MAX_AT_ONCE: return set_or_auto(id, arg, 100000, &c->max_at_once);
    case OPTION_WORKERS:   return set_or_auto(id, arg, 256, &c->workers);
    case OPTION_MAX_FAIL:  return set_max_fail(c, arg);
    case OPTION_STOP_ON:   return set_stop_on(c, arg);
    case OPTION_HEADERS:   return set_headers_shown(c, arg);
    case OPTION_MAX_REDIRS: return set_max_redirs(c, arg);
    case OPTION_RESOLVE:   return set_resolve(c, arg);
    case OPTION_CONNECT_TO: return set_connect_to(c, arg);
    case OPTION_DATA:
        c->data = text_or_file(c, id, arg, &c->data_size);
        return c->data != NULL;
    case OPTION_OK:
        return parse_statuses(slice_of(arg), &c->ok) || option_refuse(id, arg, statuses);
    case OPTION_RETRY_ON:
        return parse_statuses(slice_of(arg), &c->retry_on) || option_refuse(id, arg, statuses);
    default:
        return false;
    }
}

static bool config_set(config *c, option_id id, const char *arg) {
    const option_row *row = &option_rows[id];
    void *field = (char *)c + row->offset;
    c->given[id] = true;
    switch (row->kind) {
    case KIND_SWITCH:
        *(bool *)field = true;
        return true;
    case KIND_TEXT:
        *(const char **)field = arg;
        return true;
    case KIND_CHOICE:
        *(int *)field = parse_choice(row->arg, slice_of(arg));
        return *(int *)field >= 0 ? true : option_refuse(id, arg, row->arg);
    case KIND_COUNT:
    case KIND_SIZE:
        return set_whole(field, id, arg);
    case KIND_TIME:
    case KIND_RATE:
        return set_real(field, id, arg);
    case KIND_OTHER:
    default:
        return set_other(c, id, arg);
    }
}

static bool say_unknown(slice name) {
    const char *nearest = option_nearest(name);
    int size = (int)(name.size < 200 ? name.size : 200);
    if (nearest != NULL) {
        say("unknown option --%.*s; did you mean --%s?", size, name.at, nearest);
    } else {
        say("unknown option --%.*s; 'sparp --help' lists them all", size, name.at);
    }
    return false;
}

enum { LETTER_FIRST = 256 };     /* getopt values of long options start here */

typedef struct getopt_tables {
    char          letters[2 * OPTION_COUNT + 3];
    struct option names[OPTION_COUNT + ALIAS_COUNT + 1];
    int           id_of_letter[LETTER_FIRST];
} getopt_tables;

static void getopt_fill(getopt_tables *g) {
    memset(g, 0, sizeof *g);
    size_t used = 0, count = 0;
    g->letters[used++] = '-';    /* arguments are handed out in their place, none is moved */
    g->letters[used++] = ':';    /* a missing argument is told from an unknown option */
    for (int i = 0; i < OPTION_COUNT; i++) {
        const option_row *row = &option_rows[i];
        if (row->letter == 0) continue;
        g->id_of_letter[row->letter] = i;
        g->letters[used++] = (char)row->letter;
        if (row->arg != NULL) g->letters[used++] = ':';
    }
    option_id id;
    const char *name;
    for (size_t i = 0; (name = option_name(i, &id)) != NULL; i++) {
        if (name[0] == '\0') continue;
        struct option *o = &g->names[count++];
        o->name = name;
        o->has_arg = option_rows[id].arg != NULL ? required_argument : no_argument;
        o->val = LETTER_FIRST + (int)id;
    }
}

/* What getopt_long() complained about. */
static bool say_misused(const char *word, int mark) {
    if (word[0] == '-' && word[1] == '-') {
        size_t size = strcspn(word, "=");
        if (mark == ':') say("%s needs an argument", word);
        else             say("%.*s takes no argument", (int)size, word);
    } else if (mark == ':') {
        say("-%c needs an argument", optopt);
    } else {
        say("unknown option -%c; 'sparp --help' lists them all", optopt);
    }
    return false;
}

/* getopt_long() accepts beginnings of names, and a flag added later would change what they mean:
   so the word is looked up before getopt_long() sees it. */
static bool is_whole_name(const char *word) {
    if (strncmp(word, "--", 2) != 0 || word[2] == '\0') return true;
    slice name = { word + 2, strcspn(word + 2, "=") };
    return option_exists(name) ? true : say_unknown(name);
}

/* The command line into *c; false after a message. argv has to stay. */
static bool config_parse(config *c, int argc, char **argv) {
    getopt_tables g;
    getopt_fill(&g);
    c->sources = (const char **)calloc((size_t)argc + 1, sizeof *c->sources);
    if (c->sources == NULL) {
        say("out of memory");
        return false;
    }
    optind = 0;      /* from the start: not on in a cluster of letters that an error has left */
    opterr = 0;
    for (;;) {
        int next = optind > 0 ? optind : 1;
        if (next >= argc) break;
        const char *word = argv[next];
        if (!is_whole_name(word)) return false;
        int value = getopt_long(argc, argv, g.letters, g.names, NULL);
        if (value == -1) break;
        if (value == '?' || value == ':') return say_misused(word, value);
        if (value == 1) {
            c->sources[c->num_sources++] = optarg;
            continue;
        }
        int id = value >= LETTER_FIRST ? value - LETTER_FIRST : g.id_of_letter[value];
        if (!config_set(c, (option_id)id, optarg)) return false;
    }
    for (int i = optind > 0 ? optind : 1; i < argc; i++) {
        c->sources[c->num_sources++] = argv[i];
    }
    return true;
}

/* -H 'K:' takes back an earlier -H of that name, a later -H of that name wins over both. What is
   left of the 'K:' goes to the front: every request carries those. */
static void resolve_headers(config *c) {
    sparp_field settled[DEFAULTS_MAX];
    size_t count = 0;
    memset(settled, 0, sizeof settled);
    for (int removed = 1; removed >= 0; removed--) {
        for (size_t i = 0; i < c->num_headers; i++) {
            slice name = slice_of(c->headers[i].name);
            bool stays = (c->headers[i].value == NULL) == (removed == 1);
            for (size_t k = i + 1; stays && k < c->num_headers; k++) {
                bool opposite = (c->headers[k].value == NULL) != (removed == 1);
                stays = !opposite || !same_name(name, slice_of(c->headers[k].name));
            }
            if (stays) settled[count++] = c->headers[i];
        }
        if (removed == 1) c->num_removed = count;
    }
    memcpy(c->headers, settled, count * sizeof *settled);
    c->num_headers = count;
}

/* What another flag sets, unless -H does. No value: the library's own is not sent. */
static bool add_default_header(config *c, const char *name, const char *value) {
    for (size_t i = 0; i < c->num_headers; i++) {
        if (same_name(slice_of(c->headers[i].name), slice_of(name))) return true;
    }
    text line = { NULL, 0, 0, false };
    put_text(&line, name);
    PUT(&line, ": ");
    put_text(&line, value);
    slice whole = { line.at, line.size };
    if (line.failed) say("out of memory");
    bool done = !line.failed && add_header(c, whole);
    text_free(&line);
    return done;
}

/* Lists that were not given get their defaults, less what the other list claims. */
static bool resolve_lists(config *c) {
    static const char ok[] = "2xx,3xx", retry_on[] = "408,425,429,500,502-504";
    if (!c->given[OPTION_OK]) (void)parse_statuses(slice_of(ok), &c->ok);
    if (!c->given[OPTION_RETRY_ON]) (void)parse_statuses(slice_of(retry_on), &c->retry_on);
    for (int i = 0; i < STATUS_END; i++) {
        if (!c->ok.has[i] || !c->retry_on.has[i]) continue;
        if (c->given[OPTION_OK] && c->given[OPTION_RETRY_ON]) {
            say("status %d is in --ok and in --retry-on", i);
            return false;
        }
        if (c->given[OPTION_OK]) c->retry_on.has[i] = false;
        else                     c->ok.has[i] = false;
    }
    return true;
}

static bool is_url(const char *arg) {    /* literally so, see the synopsis */
    return strncmp(arg, "http://", 7) == 0 || strncmp(arg, "https://", 8) == 0;
}

/* Files that TLS will need later are worth a look before anything is sent. */
static bool check_readable(const char *flag, const char *path) {
    if (path == NULL || access(path, R_OK) == 0) return true;
    say("--%s: cannot read %s: %s", flag, path, strerror(errno));
    return false;
}

static bool check_tls(const config *c) {
    if ((c->cert != NULL) != (c->key != NULL)) {
        say("--cert and --key belong together");
        return false;
    }
    return check_readable("cacert", c->cacert) && check_readable("cert", c->cert)
        && check_readable("key", c->key);
}

static bool check_net(const config *c) {
    sparp_options to, from;
    memset(&to, 0, sizeof to);
    memset(&from, 0, sizeof from);
    to.unix_socket = c->unix_socket;
    from.local_address = c->local_address;
    from.ip_version = c->ipv4 ? 4 : c->ipv6 ? 6 : 0;
    if (c->compressed && !sparp_has_zlib()) {
        say("--compressed: this sparp was built without zlib, so it cannot decode gzip");
        return false;
    }
    if (c->ipv4 && c->ipv6) {
        say("--ipv4 and --ipv6 exclude each other");
        return false;
    }
    if (c->sensitive != NULL && !is_name_list(slice_of(c->sensitive))) {
        return option_refuse(OPTION_SENSITIVE, c->sensitive, "names of headers, ',' between");
    }
    if (c->given[OPTION_MIN_SPEED_TIME] && !c->given[OPTION_MIN_SPEED]) {
        say("--min-speed-time says for how long --min-speed is looked at, give that too");
        return false;
    }
    return library_takes(&to, OPTION_UNIX_SOCKET, c->unix_socket)
        && library_takes(&from, OPTION_INTERFACE, c->local_address);
}

/* A header of a line of its own would end the line. */
static bool check_user_agent(config *c) {
    if (c->user_agent == NULL) return true;
    for (const char *at = c->user_agent; *at != '\0'; at++) {
        if ((unsigned char)*at >= ' ' && *at != 0x7F) continue;
        say("--user-agent: a control character is in it");
        return false;
    }
    return add_default_header(c, "User-Agent", c->user_agent);
}

/* What no single flag can know; false after a message. */
static bool config_check(config *c) {
    if (c->data != NULL && c->json != NULL) {
        say("--data and --json are two bodies, give one");
        return false;
    }
    if (c->template_url != NULL && c->format == FORMAT_JSONL) {
        say("--template is for plain lines, --format jsonl has none");
        return false;
    }
    if (c->template_url != NULL && strchr(c->template_url, '{') == NULL) {
        say("--template: '%s' has no {} in it", c->template_url);
        return false;
    }
    if (c->base_url != NULL && !is_url(c->base_url)) {
        say("--base-url: '%s' does not start with http:// or https://", c->base_url);
        return false;
    }
    for (size_t i = 0; c->summarize && i < c->num_sources; i++) {
        if (!is_url(c->sources[i])) continue;
        say("--summarize reads files of records, not %s", c->sources[i]);
        return false;
    }
    if (c->body_dir != NULL && (c->given[OPTION_BODY] || *c->body_dir == '\0')) {
        say(*c->body_dir == '\0' ? "--body-dir: the name is empty"
            : "--body says how a body is written in its record, with --body-dir it is in a file");
        return false;
    }
    if (!check_tls(c) || !check_net(c) || !check_user_agent(c)) return false;
    if (c->method != NULL && !is_token(slice_of(c->method))) {
        say("--method: '%s' is no method", c->method);
        return false;
    }
    if (c->output != NULL && strcmp(c->output, "-") == 0) c->output = NULL;
    if (c->json != NULL && !add_default_header(c, "Accept", "application/json")) return false;
    resolve_headers(c);
    return resolve_lists(c);
}

static const char *env_text(const char *name) {      /* NULL: not set, or empty */
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* What `name`, a flag or a variable, says; its value is not shown, for a password may be in it. */
static bool take_proxy(const char *name, const char *value, const char **out) {
    sparp_options o;
    memset(&o, 0, sizeof o);
    o.proxy = *out = value;
    const char *wrong = sparp_check_options(&o);
    if (wrong[0] != '\0') say("%s: %s", name, wrong);
    return wrong[0] == '\0';
}

/* The first of the variables "NAME|NAME|..." that is set. HTTP_PROXY is none of them: in a CGI
   script that is a header of the client. */
static const char *first_variable(const char *names, char *name, size_t size) {
    slice rest = slice_of(names), part;
    const char *value = NULL;
    while (value == NULL && slice_split(&rest, '|', &part)) {
        (void)snprintf(name, size, "%.*s", (int)part.size, part.at);
        value = env_text(name);
    }
    return value;
}

static bool take_env_proxy(const char *names, const char **out) {
    char name[32];
    const char *value = first_variable(names, name, sizeof name);
    return value == NULL || take_proxy(name, value, out);
}

/* Who is reached without a proxy. */
static bool take_exceptions(config *c) {
    char name[32] = "--noproxy";
    sparp_options o;
    c->no_proxy = c->noproxy;
    if (c->no_proxy == NULL) c->no_proxy = first_variable("no_proxy|NO_PROXY", name, sizeof name);
    memset(&o, 0, sizeof o);
    o.no_proxy = c->no_proxy;
    const char *wrong = sparp_check_options(&o);
    if (wrong[0] != '\0') say("%s: '%.200s': %s", name, c->no_proxy, wrong);
    return wrong[0] == '\0';
}

/* --proxy, else the environment, as curl does it; false after a message. */
static bool config_proxies(config *c) {
    bool none = c->proxy != NULL && (*c->proxy == '\0' || strcmp(c->proxy, "none") == 0);
    if (none || (c->unix_socket != NULL && c->proxy == NULL)) return true;
    if (c->unix_socket != NULL) {
        say("--unix-socket and --proxy exclude each other");
        return false;
    }
    if (!take_exceptions(c)) return false;
    if (c->proxy != NULL) {
        bool good = take_proxy("--proxy", c->proxy, &c->http_proxy);
        c->https_proxy = c->http_proxy;
        return good;
    }
    return take_env_proxy("http_proxy|all_proxy|ALL_PROXY", &c->http_proxy)
        && take_env_proxy("https_proxy|HTTPS_PROXY|all_proxy|ALL_PROXY", &c->https_proxy);
}

/* ============================================================================================ */
/* >>url - percent-encoding, templates, resolution against a base                                */
/* ============================================================================================ */

static bool is_unreserved(char c) {      /* RFC 3986 2.3 */
    return (lower(c) >= 'a' && lower(c) <= 'z') || is_digit(c) || c == '-' || c == '.' || c == '_'
        || c == '~';
}

static void put_code(text *t, char c) {
    static const char hex[] = "0123456789ABCDEF";
    char code[3] = { '%', hex[(unsigned char)c >> 4], hex[(unsigned char)c & 15] };
    put_bytes(t, code, sizeof code);
}

static void put_percent(text *t, slice s) {
    for (size_t i = 0; i < s.size; i++) {
        if (is_unreserved(s.at[i])) put_char(t, s.at[i]);
        else                        put_code(t, s.at[i]);
    }
}

/* As HTML forms have it (WHATWG URL 5.2): a space is a plus, ~ is encoded and * is not. */
static void put_form_word(text *t, const char *word) {
    for (; *word != '\0'; word++) {
        char c = *word;
        if (c == ' ')                                       put_char(t, '+');
        else if (c == '*' || (is_unreserved(c) && c != '~')) put_char(t, c);
        else                                                put_code(t, c);
    }
}

/* The n-th TAB column, from 1. */
static bool line_column(slice line, int64_t n, slice *column) {
    while (n-- > 0) {
        if (!slice_split(&line, '\t', column)) return false;
    }
    return true;
}

/* The template with its {} filled in; other braces stay as they are. NULL, or what is wrong. */
static const char *put_template(text *t, slice pattern, slice line) {
    while (pattern.size > 0) {
        const char *open = (const char *)memchr(pattern.at, '{', pattern.size);
        size_t before = open == NULL ? pattern.size : (size_t)(open - pattern.at);
        put_bytes(t, pattern.at, before);
        pattern = slice_from(pattern, before);
        if (pattern.size == 0) break;
        const char *close = (const char *)memchr(pattern.at, '}', pattern.size);
        slice name = { pattern.at + 1, close == NULL ? 0 : (size_t)(close - pattern.at - 1) };
        int64_t n;
        slice column;
        if (close != NULL && name.size == 0) {
            put_percent(t, line);
        } else if (slice_is(name, "raw")) {
            put_slice(t, line);
        } else if (close != NULL && name.size < 5 && parse_count(name, &n) && n > 0) {
            if (!line_column(line, n, &column)) return "fewer TAB columns than in the template";
            put_percent(t, column);
        } else {
            put_char(t, '{');
            pattern = slice_from(pattern, 1);
            continue;
        }
        pattern = slice_from(pattern, (size_t)(close - pattern.at) + 1);
    }
    return NULL;
}

/* An absolute path with its "." and ".." carried out (RFC 3986 5.2.4). */
static void put_path(text *t, slice path) {
    size_t floor = t->size;
    slice rest = slice_from(path, 1), part;
    while (slice_split(&rest, '/', &part)) {
        bool up = slice_is(part, ".."), same = slice_is(part, ".");
        if (up) {
            while (t->size > floor && t->at[--t->size] != '/') continue;
        }
        if (!up && !same) {
            put_char(t, '/');
            put_slice(t, part);
        } else if (rest.at == NULL) {
            put_char(t, '/');
        }
    }
}

static size_t find_any(slice s, const char *marks) {     /* s.size when there is none */
    size_t i = 0;
    while (i < s.size && (s.at[i] == '\0' || strchr(marks, s.at[i]) == NULL)) i++;
    return i;
}

/* A relative reference made absolute (RFC 3986 5.2); the base starts with http:// or https://. */
static void put_resolved(text *t, slice base, slice reference) {
    size_t scheme = starts_with(base, "https") ? 6 : 5;
    slice after = slice_from(base, scheme + 2);
    size_t host = scheme + 2 + find_any(after, "/?#");
    if (reference.size >= 2 && memcmp(reference.at, "//", 2) == 0) {
        put_bytes(t, base.at, scheme);
        put_slice(t, reference);
        return;
    }
    put_bytes(t, base.at, host);
    slice path = slice_from(base, host);
    path.size = find_any(path, "?#");
    size_t own = find_any(reference, "?#");
    text joined = { NULL, 0, 0, false };
    if (own == 0) {
        put_slice(&joined, path);
        if (reference.size == 0) put_slice(&joined, slice_from(base, host + path.size));
    } else if (reference.at[0] != '/') {
        while (path.size > 0 && path.at[path.size - 1] != '/') path.size--;
        put_slice(&joined, path);
    }
    if (joined.size == 0 && (own == 0 || reference.at[0] != '/')) put_char(&joined, '/');
    put_bytes(&joined, reference.at, own);
    slice whole = { joined.at, joined.size };
    if (own > 0 && joined.size > 0) put_path(t, whole);
    else                            put_slice(t, whole);
    put_slice(t, slice_from(reference, own));
    if (joined.failed) t->failed = true;
    text_free(&joined);
}

/* ============================================================================================ */
/* >>line - one line of input -> one request                                                     */
/* ============================================================================================ */

enum { FIELDS_MAX = 1000 };      /* headers, and query parameters, of one line */

/* X(name, TAG): keys with the same tag are two names of one thing. */
#define KEYS(X) \
    X("url", URL) X("method", METHOD) X("id", ID) X("custom_id", ID) X("query", QUERY) \
    X("headers", HEADERS) X("json", JSON) X("body", BODY) X("body_base64", BODY_BASE64) \
    X("body_file", BODY_FILE) X("form", FORM) X("timeout", TIMEOUT) \
    X("idempotent", IDEMPOTENT) X("meta", META)

typedef enum key_tag {
    KEY_URL, KEY_METHOD, KEY_ID, KEY_QUERY, KEY_HEADERS, KEY_JSON, KEY_BODY, KEY_BODY_BASE64,
    KEY_BODY_FILE, KEY_FORM, KEY_TIMEOUT, KEY_IDEMPOTENT, KEY_META, KEY_UNKNOWN
} key_tag;

/* Of these a line has one at most. */
enum {
    BODY_KEYS = 1 << KEY_JSON | 1 << KEY_BODY | 1 << KEY_BODY_BASE64 | 1 << KEY_BODY_FILE
              | 1 << KEY_FORM
};

typedef struct field_list {      /* of the line, then of the command line; a form's Content-Type */
    sparp_field items[FIELDS_MAX + DEFAULTS_MAX + 1];
    size_t      count;
    const char *keys[FIELDS_MAX];    /* of the line: those of an empty array are in no item */
    size_t      num_keys;
} field_list;

typedef struct item {            /* a line taken apart; valid until the next one */
    slice       line;            /* verbatim, without its end */
    slice       id, meta;        /* JSON as written; size 0: none */
    const char *url, *method;
    const char *json, *body;
    const char *body_file;       /* its path; body is empty then: it is read later */
    size_t      body_size;
    double      timeout;
    bool        idempotent;
    unsigned    keys_seen;       /* 1 << key_tag */
} item;

typedef struct parser {
    const config *config;
    text          arena;         /* decoded strings; room is made before, so it never moves */
    text          url;           /* resolved, or out of the template */
    text          form;          /* encoded */
    field_list    headers, query, fields;    /* the fields are those of the form */
    const char   *error;         /* why the line is bad ... */
    size_t        column;        /* ... and where, from 1 */
} parser;

typedef enum line_kind { LINE_REQUEST, LINE_NOTHING, LINE_BAD } line_kind;

static line_kind line_bad(parser *p, size_t column, const char *error) {
    p->error = error;
    p->column = column;
    return LINE_BAD;
}

/* Why the room suffices: what is copied is at most as long as its text in the line, and the NUL
   has the place of a quote or of the delimiter that follows. */
static const char *arena_copy(parser *p, slice s) {
    const char *copy = p->arena.at + p->arena.size;
    put_slice(&p->arena, s);
    put_char(&p->arena, '\0');
    return copy;
}

/* The next string, decoded; NULL: the error is in *j. Without `size`, NUL bytes are an error. */
static const char *take_string(parser *p, json *j, size_t *size) {
    slice raw;
    (void)json_peek(j);
    const char *at = j->at;
    if (!json_string(j, &raw)) return NULL;
    char *copy = p->arena.at + p->arena.size;
    size_t before = p->arena.size;
    if (!put_json_decoded(&p->arena, raw)) {
        (void)json_fail_at(j, at, "half of a surrogate pair");
        return NULL;
    }
    size_t length = p->arena.size - before;
    put_char(&p->arena, '\0');
    if (size != NULL) {
        *size = length;
    } else if (memchr(copy, '\0', length) != NULL) {
        (void)json_fail_at(j, at, "NUL in a string");
        return NULL;
    }
    return copy;
}

static bool list_add(field_list *list, json *j, const char *name, const char *value) {
    if (list->count >= FIELDS_MAX) return json_fail(j, "more than 1000 fields");
    list->items[list->count].name = name;
    list->items[list->count].value = value;
    list->count++;
    return true;
}

/* A key of the line, which has each of them once. */
static bool list_add_key(field_list *list, json *j, const char *at, const char *name,
                         bool any_case) {
    for (size_t i = 0; i < list->num_keys; i++) {
        slice known = slice_of(list->keys[i]);
        if (any_case ? same_name(known, slice_of(name)) : slice_is(known, name)) {
            return json_fail_at(j, at, "duplicate key");
        }
    }
    if (list->num_keys == FIELDS_MAX) return json_fail(j, "more than 1000 fields");
    list->keys[list->num_keys++] = name;
    return true;
}

static bool list_has(const field_list *list, const char *name) {
    for (size_t i = 0; i < list->count; i++) {
        if (same_name(slice_of(list->items[i].name), slice_of(name))) return true;
    }
    return false;
}

/* One value of a list: a string; in `query` and `form` also a number or bool, as written. */
static bool take_field(parser *p, json *j, field_list *list, const char *name) {
    char c = json_peek(j);
    if (c == '"') {
        const char *value = take_string(p, j, NULL);
        return value != NULL && list_add(list, j, name, value);
    }
    if (list == &p->headers) return json_fail(j, "a header is a string, strings or null");
    if (c != 't' && c != 'f' && c != '-' && !is_digit(c)) {
        return json_fail(j, "expected a string, number, bool or an array of them");
    }
    slice raw = { j->at, 0 };
    if (!json_scalar(j)) return false;
    raw.size = (size_t)(j->at - raw.at);
    return list_add(list, j, name, arena_copy(p, raw));
}

/* {"name": value | [value, ...], ...} for `headers`, `query` and `form`. */
static bool take_fields(parser *p, json *j, field_list *list) {
    bool headers = list == &p->headers, first = true;
    if (!json_take(j, '{', "expected an object")) return false;
    while (json_more(j, '}', &first)) {
        (void)json_peek(j);
        const char *at = j->at, *name = take_string(p, j, NULL);
        if (name == NULL) return false;
        if (!list_add_key(list, j, at, name, headers)) return false;
        if (!json_take(j, ':', "expected ':'")) return false;
        char c = json_peek(j);
        if (c == 'n' && headers) {
            if (!json_word(j, "null") || !list_add(list, j, name, NULL)) return false;
        } else if (c == '[') {
            bool first_value = true;
            j->at++;
            while (json_more(j, ']', &first_value)) {
                if (!take_field(p, j, list, name)) return false;
            }
        } else if (!take_field(p, j, list, name)) {
            return false;
        }
        if (j->error != NULL) return false;
    }
    return j->error == NULL;
}

static bool take_json(parser *p, json *j, item *out) {
    slice raw;
    if (!json_value(j, &raw)) return false;
    out->json = arena_copy(p, raw);
    return true;
}

static bool take_body(parser *p, json *j, item *out) {
    char c = json_peek(j);
    if (c == '{' || c == '[') return take_json(p, j, out);
    if (c != '"') return json_fail(j, "body is a string, an object or an array");
    out->body = take_string(p, j, &out->body_size);
    return out->body != NULL;
}

static int base64_value(char c) {        /* -1: none of the 64 */
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (is_digit(c)) return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* In place, as the bytes are fewer than their digits. Padding may be left out, but not be wrong,
   and bits without a byte are 0. On false *size is the place of what is wrong. */
static bool decode_base64(char *at, size_t *size) {
    size_t digits = *size, out = 0, i = 0;
    uint32_t bits = 0;
    while (digits > 0 && *size - digits < 2 && at[digits - 1] == '=') digits--;
    for (; i < digits && base64_value(at[i]) >= 0; i++) {
        bits = bits << 6 | (uint32_t)base64_value(at[i]);
        if (i % 4 > 0) at[out++] = (char)(bits >> (6 - i % 4 * 2) & 0xFF);
    }
    size_t tail = digits % 4;
    uint32_t rest = tail == 2 ? bits & 15 : tail == 3 ? bits & 3 : 0;
    bool good = i == digits && tail != 1 && rest == 0 && (*size == digits || *size % 4 == 0);
    *size = good ? out : i;
    return good;
}

static bool take_base64(parser *p, json *j, item *out) {
    (void)json_peek(j);
    const char *at = j->at + 1;
    size_t start = p->arena.size;
    out->body = take_string(p, j, &out->body_size);
    if (out->body == NULL) return false;
    if (decode_base64(p->arena.at + start, &out->body_size)) return true;
    for (size_t i = out->body_size; i > 0; i--) at += *at != '\\' ? 1 : at[1] == 'u' ? 6 : 2;
    return json_fail_at(j, at, "not base64");
}

static bool take_body_file(parser *p, json *j, item *out) {
    out->body = "";
    out->body_file = take_string(p, j, NULL);
    return out->body_file != NULL;
}

static bool take_form(parser *p, json *j, item *out) {
    if (!take_fields(p, j, &p->fields)) return false;
    for (size_t i = 0; i < p->fields.count; i++) {
        if (i > 0) put_char(&p->form, '&');
        put_form_word(&p->form, p->fields.items[i].name);
        put_char(&p->form, '=');
        put_form_word(&p->form, p->fields.items[i].value);
    }
    out->body_size = p->form.size;
    put_char(&p->form, '\0');            /* an empty form is a body, too */
    out->body = p->form.at;
    return true;
}

static bool take_timeout(json *j, item *out) {
    slice raw = { NULL, 0 };
    char c = json_peek(j);
    raw.at = j->at;
    if (c != '-' && !is_digit(c)) return json_fail(j, "timeout is a number of seconds");
    if (!json_number(j)) return false;
    raw.size = (size_t)(j->at - raw.at);
    out->timeout = json_number_value(raw);
    if (out->timeout > 0 && out->timeout < 1e9) return true;
    return json_fail_at(j, raw.at, "timeout is out of range");
}

static bool take_bool(json *j, bool *out) {
    *out = json_peek(j) == 't';
    if (*out) return json_word(j, "true");
    return json_peek(j) == 'f' ? json_word(j, "false") : json_fail(j, "expected true or false");
}

static key_tag key_find(const char *name) {
#define X(known, tag) if (strcmp(name, known) == 0) return KEY_##tag;
    KEYS(X)
#undef X
    return KEY_UNKNOWN;
}

static bool take_member(parser *p, json *j, item *out, key_tag tag) {
    switch (tag) {
    case KEY_URL:         return (out->url = take_string(p, j, NULL)) != NULL;
    case KEY_METHOD:      return (out->method = take_string(p, j, NULL)) != NULL;
    case KEY_ID:          return json_value(j, &out->id);
    case KEY_QUERY:       return take_fields(p, j, &p->query);
    case KEY_HEADERS:     return take_fields(p, j, &p->headers);
    case KEY_JSON:        return take_json(p, j, out);
    case KEY_BODY:        return take_body(p, j, out);
    case KEY_BODY_BASE64: return take_base64(p, j, out);
    case KEY_BODY_FILE:   return take_body_file(p, j, out);
    case KEY_FORM:        return take_form(p, j, out);
    case KEY_TIMEOUT:     return take_timeout(j, out);
    case KEY_IDEMPOTENT:  return take_bool(j, &out->idempotent);
    case KEY_META:        return json_value(j, &out->meta);
    case KEY_UNKNOWN:
    default:              return json_fail(j, "unknown key");
    }
}

static bool take_object(parser *p, json *j, item *out) {
    bool first = true;
    if (!json_take(j, '{', "expected an object")) return false;
    while (json_more(j, '}', &first)) {
        if (json_peek(j) != '"') return json_fail(j, "expected a key in quotes");
        const char *at = j->at, *name = take_string(p, j, NULL);
        if (name == NULL) return false;
        key_tag tag = key_find(name);
        if (tag == KEY_UNKNOWN) return json_fail_at(j, at, "unknown key");
        if ((out->keys_seen & 1u << tag) != 0) return json_fail_at(j, at, "duplicate key");
        if ((1u << tag & BODY_KEYS) != 0 && (out->keys_seen & BODY_KEYS) != 0) {
            return json_fail_at(j, at, "a second body");
        }
        out->keys_seen |= 1u << tag;
        if (!json_take(j, ':', "expected ':'") || !take_member(p, j, out, tag)) return false;
    }
    return j->error == NULL && json_end(j);
}

/* Makes out->url absolute; `column` is where it stands in the line. */
static line_kind finish_url(parser *p, item *out, size_t column) {
    slice url = slice_of(out->url);
    if (starts_with(url, "http://") || starts_with(url, "https://")) return LINE_REQUEST;
    if (url.size == 0) return line_bad(p, column, "url is empty");
    if (strstr(out->url, "://") != NULL && find_any(url, "/?#") > find_any(url, ":")) {
        return line_bad(p, column, "url does not start with http:// or https://");
    }
    if (p->config->base_url == NULL) {
        return line_bad(p, column, "url is not absolute, and there is no --base-url");
    }
    p->url.size = 0;
    put_resolved(&p->url, slice_of(p->config->base_url), url);
    put_char(&p->url, '\0');
    out->url = p->url.at;
    return LINE_REQUEST;
}

static line_kind parse_object(parser *p, item *out) {
    json j = json_of(out->line);
    if (!take_object(p, &j, out)) return line_bad(p, (size_t)(j.at - j.start) + 1, j.error);
    if (out->url == NULL) return line_bad(p, 1, "url is missing");
    return finish_url(p, out, 1);
}

/* [ METHOD SP ] URL */
static line_kind parse_plain(parser *p, item *out, slice s) {
    const char *space = (const char *)memchr(s.at, ' ', s.size);
    size_t word = space == NULL ? 0 : (size_t)(space - s.at);
    bool method = word > 0;
    for (size_t i = 0; i < word; i++) {
        if (s.at[i] < 'A' || s.at[i] > 'Z') method = false;
    }
    if (method) {
        slice name = { s.at, word };
        out->method = arena_copy(p, name);
        s = trimmed(slice_from(s, word));
    }
    out->url = arena_copy(p, s);
    return finish_url(p, out, (size_t)(s.at - out->line.at) + 1);
}

static line_kind parse_value(parser *p, item *out) {
    p->url.size = 0;
    const char *error = put_template(&p->url, slice_of(p->config->template_url), out->line);
    if (error != NULL) return line_bad(p, 1, error);
    put_char(&p->url, '\0');
    out->url = p->url.at;
    if (p->url.failed || is_url(out->url)) return LINE_REQUEST;
    /* finish_url() resolves into the buffer that holds it: hand it a copy */
    slice relative = { p->url.at, p->url.size };
    if (!text_reserve(&p->arena, relative.size + 1)) return LINE_REQUEST;
    out->url = arena_copy(p, relative);
    return finish_url(p, out, 1);
}

/* An argument of the command line is a URL whatever the format says. */
static line_kind parse_line(parser *p, slice line, bool argument, item *out) {
    memset(out, 0, sizeof *out);
    out->line = line;
    p->headers.count = p->query.count = p->fields.count = 0;
    p->headers.num_keys = p->query.num_keys = p->fields.num_keys = 0;
    p->arena.size = p->form.size = 0;
    slice s = trimmed(line);
    if (s.size == 0) return LINE_NOTHING;
    size_t good = utf8_good_prefix(line);
    if (good < line.size) return line_bad(p, good + 1, "not UTF-8");
    if (!text_reserve(&p->arena, line.size + 2)) return LINE_REQUEST;     /* see parser_failed() */
    int format = argument ? FORMAT_URL : p->config->format;
    if (format == FORMAT_JSONL || (format == FORMAT_AUTO && s.at[0] == '{')) {
        return parse_object(p, out);
    }
    const char *nul = (const char *)memchr(line.at, '\0', line.size);
    if (nul != NULL) return line_bad(p, (size_t)(nul - line.at) + 1, "NUL byte");
    if (p->config->template_url != NULL && !argument) return parse_value(p, out);
    if (s.at[0] == '#') return LINE_NOTHING;
    return parse_plain(p, out, s);
}

static bool parser_failed(const parser *p) {     /* out of memory */
    return p->arena.failed || p->url.failed || p->form.failed;
}

static void parser_free(parser *p) {
    text_free(&p->arena);
    text_free(&p->url);
    text_free(&p->form);
}

/* The request of an item, with what the command line adds to every request. Points into the
   parser, so it lives until the next line. */
static void item_request(parser *p, const item *it, sparp_request *out) {
    static const sparp_field form = { "Content-Type", "application/x-www-form-urlencoded" };
    const config *c = p->config;
    memset(out, 0, sizeof *out);
    if ((it->keys_seen & 1u << KEY_FORM) != 0 && !list_has(&p->headers, form.name)) {
        p->headers.items[p->headers.count++] = form;
    }
    for (size_t i = 0; i < c->num_removed; i++) {
        if (list_has(&p->headers, c->headers[i].name)) continue;
        p->headers.items[p->headers.count++] = c->headers[i];
    }
    for (size_t i = 0; i < c->num_query; i++) p->query.items[p->query.count++] = c->query[i];
    out->url = it->url;
    out->method = it->method != NULL ? it->method : c->method;
    out->headers = p->headers.items;
    out->num_headers = p->headers.count;
    out->query = p->query.items;
    out->num_query = p->query.count;
    out->timeout_s = it->timeout;
    out->idempotent = it->idempotent;
    if (it->json != NULL || it->body != NULL) {
        out->json = it->json;
        out->body = it->body;
        out->body_size = it->body_size;
    } else {
        out->json = c->json;
        out->body = c->data;
        out->body_size = c->data_size;
    }
}

/* ============================================================================================ */
/* >>reader - lines out of files and pipes, never waiting for a pipe                             */
/* ============================================================================================ */

enum { CHUNK = 64 * 1024, LINE_BYTES_MAX = 64 * 1024 * 1024 };

typedef enum read_state {
    READ_LINE,                   /* there is one */
    READ_TOO_LONG,               /* there is one, cut at LINE_BYTES_MAX: the rest is thrown away */
    READ_LATER,                  /* not without waiting */
    READ_END,
    READ_FAILED                  /* the message has been said */
} read_state;

typedef struct reader {
    const char *const *sources;
    size_t      num_sources, next_source;
    const char *name;            /* the source being read, for messages */
    int         fd;              /* -1: between two sources */
    bool        regular;         /* reading it does not wait */
    bool        at_end;          /* no more bytes from fd */
    bool        argument;        /* the line is an argument of the command line */
    bool        skip_rest;       /* of a line that was too long */
    text        buffer;
    size_t      start, scanned;  /* of the line being looked for; no LF before scanned */
    uint64_t    lines;           /* handed out, over all sources */
    uint64_t    lines_here;      /* of this source */
    uint64_t    bytes_read, bytes_in_all;     /* in_all 0: not known */
} reader;

/* A file that cannot be read is better known before anything is sent. */
static bool source_check(const char *path, uint64_t *size) {
    struct stat info;
    *size = 0;
    if (is_url(path)) return true;
    bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "stdin" : path;
    if ((standard ? fstat(STDIN_FILENO, &info) : stat(path, &info)) != 0
        || (!standard && access(path, R_OK) != 0)) {
        say("cannot open %s: %s", name, strerror(errno));
        return false;
    }
    if (S_ISDIR(info.st_mode)) {
        say("cannot read %s: it is a directory", name);
        return false;
    }
    if (S_ISREG(info.st_mode)) *size = (uint64_t)info.st_size;
    return true;
}

static bool reader_open(reader *r, const char *const *sources, size_t count) {
    static const char *const standard[] = { "-" };
    memset(r, 0, sizeof *r);
    r->fd = -1;
    r->sources = count > 0 ? sources : standard;
    r->num_sources = count > 0 ? count : 1;
    r->name = "stdin";
    bool known = true;
    for (size_t i = 0; i < r->num_sources; i++) {
        uint64_t size;
        if (!source_check(r->sources[i], &size)) return false;
        if (size == 0) known = false;
        r->bytes_in_all += size;
    }
    if (!known) r->bytes_in_all = 0;
    return true;
}

static void reader_close_source(reader *r) {
    if (r->fd > STDERR_FILENO) (void)close(r->fd);
    r->fd = -1;
    r->at_end = r->skip_rest = false;
    r->buffer.size = r->start = r->scanned = 0;
    r->lines_here = 0;
}

static void reader_free(reader *r) {
    reader_close_source(r);
    text_free(&r->buffer);
}

static bool reader_open_source(reader *r, const char *path) {
    struct stat info;
    bool standard = strcmp(path, "-") == 0;
    r->name = standard ? "stdin" : path;
    r->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (r->fd < 0 || fstat(r->fd, &info) != 0) {
        say("cannot open %s: %s", r->name, strerror(errno));
        return false;
    }
    r->regular = S_ISREG(info.st_mode);
    return true;
}

/* More bytes into the buffer. */
static read_state reader_fill(reader *r) {
    if (!r->regular) {
        struct pollfd wait = { r->fd, POLLIN, 0 };
        if (poll(&wait, 1, 0) <= 0) return READ_LATER;
    }
    if (r->start > 0) {
        size_t left = r->buffer.size - r->start;
        memmove(r->buffer.at, r->buffer.at + r->start, left);
        r->buffer.size = left;
        r->scanned -= r->start;
        r->start = 0;
    }
    if (!text_reserve(&r->buffer, CHUNK)) {
        say("%s:%llu: out of memory", r->name, (unsigned long long)r->lines_here + 1);
        return READ_FAILED;
    }
    ssize_t n = read(r->fd, r->buffer.at + r->buffer.size, CHUNK);
    if (n < 0) {
        if (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK) return READ_LATER;
        say("cannot read %s: %s", r->name, strerror(errno));
        return READ_FAILED;
    }
    r->at_end = n == 0;
    r->buffer.size += (size_t)n;
    r->bytes_read += (uint64_t)n;
    return READ_LINE;
}

/* The line from start to `end`, of which `more` bytes are its LF. */
static slice reader_take(reader *r, size_t end, size_t more) {
    slice line = { r->buffer.at + r->start, end - r->start };
    r->start = r->scanned = end + more;
    if (line.size > 0 && line.at[line.size - 1] == '\r') line.size--;
    if (r->lines_here == 0 && starts_with(line, "\xEF\xBB\xBF")) line = slice_from(line, 3);
    r->lines++;
    r->lines_here++;
    return line;
}

/* Looks for a line in what is buffered: READ_LATER if there is none. */
static read_state reader_scan(reader *r, slice *line) {
    for (;;) {
        size_t left = r->buffer.size - r->scanned;
        const char *lf = NULL;
        if (left > 0) lf = (const char *)memchr(r->buffer.at + r->scanned, '\n', left);
        bool skipped = r->skip_rest;
        if (lf == NULL) {
            r->scanned = r->buffer.size;
            if (skipped) r->start = r->scanned;
            if (!skipped && r->buffer.size - r->start > LINE_BYTES_MAX) {
                r->skip_rest = true;
                *line = reader_take(r, r->buffer.size, 0);
                return READ_TOO_LONG;
            }
            if (!r->at_end || r->start == r->buffer.size) return READ_LATER;
            *line = reader_take(r, r->buffer.size, 0);
            return READ_LINE;
        }
        size_t end = (size_t)(lf - r->buffer.at);
        r->skip_rest = false;
        if (skipped) {
            r->start = r->scanned = end + 1;
            continue;
        }
        *line = reader_take(r, end, 1);
        return line->size > LINE_BYTES_MAX ? READ_TOO_LONG : READ_LINE;
    }
}

/* The next line; it stays until the next call. */
static read_state reader_next(reader *r, slice *line) {
    for (;;) {
        if (r->fd < 0) {
            if (r->next_source == r->num_sources) return READ_END;
            const char *source = r->sources[r->next_source++];
            r->argument = is_url(source);
            if (r->argument) {
                r->name = "argument";
                r->lines++;
                r->lines_here = 1;
                *line = slice_of(source);
                return READ_LINE;
            }
            r->lines_here = 0;
            if (!reader_open_source(r, source)) return READ_FAILED;
        }
        read_state state = reader_scan(r, line);
        if (state != READ_LATER) return state;
        if (r->at_end) {
            reader_close_source(r);
            continue;
        }
        state = reader_fill(r);
        if (state != READ_LINE) return state;
    }
}

/* Reads to the end of what is being read, for writers that must not meet a closed pipe. */
static void reader_drain(reader *r) {
    char waste[4096];
    if (r->fd < 0 && r->next_source < r->num_sources) {
        const char *source = r->sources[r->next_source++];
        if (is_url(source) || !reader_open_source(r, source)) return;
    }
    while (r->fd >= 0 && !r->regular) {
        ssize_t n = read(r->fd, waste, sizeof waste);
        if (n == 0 || (n < 0 && errno != EINTR)) return;
    }
}

/* A path in a line is relative to the file that the line is in. */
static void put_reader_path(text *t, const reader *r, const char *path) {
    const char *slash = strrchr(r->name, '/');
    if (path[0] != '/' && slash != NULL) put_bytes(t, r->name, (size_t)(slash + 1 - r->name));
    put_text(t, path);
    put_char(t, '\0');
}

/* ============================================================================================ */
/* >>sink - whole records into a descriptor                                                      */
/* ============================================================================================ */

enum { SINK_FULL = 1 << 20 };    /* bytes: more than that is not held back to the end of a turn */

typedef struct sink {
    int         fd;              /* -1: not asked for */
    const char *name;            /* for messages */
    text        buffer;          /* whole records only */
    uint64_t    lines;
    bool        failed;          /* said so; nothing more is written */
} sink;

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Creating the output must not empty the input. */
static bool is_an_input(const reader *r, const char *path) {
    struct stat out, in;
    if (stat(path, &out) != 0 || !S_ISREG(out.st_mode)) return false;
    for (size_t i = 0; i < r->num_sources; i++) {
        const char *source = r->sources[i];
        bool standard = strcmp(source, "-") == 0;
        if (is_url(source)) continue;
        if ((standard ? fstat(STDIN_FILENO, &in) : stat(source, &in)) != 0) continue;
        if (same_file(&in, &out)) return true;
    }
    return false;
}

/* What was in the file stays until sink_begin(). */
static bool sink_open(sink *s, const reader *r, const char *path) {
    if (is_an_input(r, path)) {
        say("%s is input and output", path);
        return false;
    }
    s->name = path;
    s->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (s->fd < 0) say("cannot create %s: %s", path, strerror(errno));
    return s->fd >= 0;
}

/* Two outputs in one file would destroy each other. */
static bool is_output_of(const sink *s, const struct stat *other) {
    struct stat info;
    return s->fd >= 0 && fstat(s->fd, &info) == 0 && S_ISREG(info.st_mode)
        && same_file(&info, other);
}

static void sink_begin(const sink *s) {
    struct stat info;
    if (s->fd < 0 || fstat(s->fd, &info) != 0 || !S_ISREG(info.st_mode)) return;
    if (ftruncate(s->fd, 0) != 0) say("cannot empty %s: %s", s->name, strerror(errno));
}

/* A full disk took part of a record: takes it back, so that the file holds whole lines. Not with
   O_APPEND, where the end of the file may be somebody else's. */
static void sink_cut_torn_line(const sink *s, size_t written) {
    struct stat info;
    size_t torn = 0;
    while (torn < written && s->buffer.at[written - torn - 1] != '\n') torn++;
    int flags = fcntl(s->fd, F_GETFL);
    if (torn == 0 || flags < 0 || (flags & O_APPEND) != 0) return;
    if (fstat(s->fd, &info) != 0 || !S_ISREG(info.st_mode)) return;
    off_t end = lseek(s->fd, 0, SEEK_CUR);
    if (end >= (off_t)torn && ftruncate(s->fd, end - (off_t)torn) != 0) return;
}

static void sink_fail(sink *s, const char *why) {
    if (!s->failed) say("cannot write %s: %s", s->name, why);
    s->failed = true;
}

static void sink_flush(sink *s) {
    size_t written;
    if (s->buffer.failed) sink_fail(s, "out of memory");
    if (!s->failed && s->buffer.size > 0
        && !write_all(s->fd, s->buffer.at, s->buffer.size, &written)) {
        int error = errno;
        sink_cut_torn_line(s, written);
        sink_fail(s, strerror(error));
    }
    s->buffer.size = 0;
    if (s->buffer.room > 4 * SINK_FULL) text_free(&s->buffer);
}

/* To be called after every record. */
static void sink_record_done(sink *s) {
    s->lines++;
    if (s->buffer.size >= SINK_FULL) sink_flush(s);
}

static void sink_close(sink *s) {
    if (s->fd < 0) return;
    sink_flush(s);
    if (close(s->fd) != 0 && errno != EINTR) sink_fail(s, strerror(errno));    /* NFS, quotas */
    s->fd = -1;
    text_free(&s->buffer);
}

/* ============================================================================================ */
/* >>record - one result -> one line of output                                                   */
/* ============================================================================================ */

enum { BAD_LINE_SHOWN = 4096 };  /* bytes of a bad line in its record */

typedef struct record_style {
    bool        ascii;           /* escape everything above U+007F */
    bool        echo;
    int         body;            /* BODY_* */
    const char *headers;         /* "all", "name,name", or NULL for none */
    const char *body_dir;        /* bodies are in files there; NULL: in the record */
} record_style;

typedef struct ticket {          /* what a request's record needs to know about its line */
    struct ticket *next;         /* in the list of spare ones */
    uint64_t       index;
    text           parts;        /* id, meta, line, path and failure, one after the other */
    size_t         id_size, meta_size, line_size;
    size_t         path_size;    /* of its body_file, NUL included */
    size_t         failure_size; /* why its file could not be read or written; else 0 */
    struct stat    file;         /* its body_file: whose size is promised, and what is being read */
    int            part;         /* descriptor of DIR/<index>.part while a body comes, else -1 */
    int            part_attempt; /* whose body that is: 0 for none */
    int            part_error;   /* errno of what went wrong with it, else 0 */
    bool           has_file;     /* the body is in DIR/<index> */
} ticket;

static slice ticket_part(const ticket *k, size_t at, size_t size) {
    slice s = { size > 0 ? k->parts.at + at : NULL, size };
    return s;
}

static slice ticket_id(const ticket *k) {
    return ticket_part(k, 0, k->id_size);
}

static slice ticket_meta(const ticket *k) {
    return ticket_part(k, k->id_size, k->meta_size);
}

static slice ticket_line(const ticket *k) {
    return ticket_part(k, k->id_size + k->meta_size, k->line_size);
}

static const char *ticket_path(const ticket *k) {
    return k->parts.at + k->id_size + k->meta_size + k->line_size;
}

static slice ticket_failure(const ticket *k) {
    return ticket_part(k, k->parts.size - k->failure_size, k->failure_size);
}

/* "cannot read PATH: why". Without memory there is none. */
static void ticket_fail(ticket *k, const char *what, slice path, const char *why) {
    text t = { NULL, 0, 0, false };
    if (k->failure_size > 0) return;
    put_text(&t, what);
    put_slice(&t, path);
    PUT(&t, ": ");
    put_text(&t, why);
    if (!t.failed) put_bytes(&k->parts, t.at, t.size);
    if (!t.failed && !k->parts.failed) k->failure_size = t.size;
    text_free(&t);
}

/* Fills in a ticket, new or used before; false: out of memory. */
static bool ticket_fill(ticket *k, uint64_t index, const item *it, bool with_line) {
    k->index = index;
    k->id_size = it->id.size;
    k->meta_size = it->meta.size;
    k->line_size = with_line ? it->line.size : 0;
    k->path_size = k->failure_size = 0;
    k->part = -1;
    k->part_attempt = k->part_error = 0;
    k->has_file = false;
    k->parts.size = 0;
    put_slice(&k->parts, it->id);
    put_slice(&k->parts, it->meta);
    if (with_line) put_slice(&k->parts, it->line);
    return !k->parts.failed;
}

/* Length of the run that needs no escape: eight bytes at a time as long as none of them is below
   0x20, above 0x7F, a quote or a backslash. */
static size_t clean_run(const char *at, size_t size) {
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
    size_t i = 0;
    for (; size - i >= 8; i += 8) {
        uint64_t x;
        memcpy(&x, at + i, 8);
        uint64_t quote = x ^ ones * '"', back = x ^ ones * '\\';
        uint64_t hit = ((x - ones * 0x20) & ~x) | ((quote - ones) & ~quote)
                     | ((back - ones) & ~back) | x;
        if ((hit & tops) != 0) break;
    }
    for (; i < size; i++) {
        unsigned char c = (unsigned char)at[i];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') break;
    }
    return i;
}

static void put_unit(text *t, unsigned unit) {
    static const char hex[] = "0123456789abcdef";
    char code[6] = { '\\', 'u', hex[unit >> 12 & 15], hex[unit >> 8 & 15], hex[unit >> 4 & 15],
                     hex[unit & 15] };
    put_bytes(t, code, sizeof code);
}

/* The character at s[0], which is above U+007F; returns its length. U+2028 and U+2029 are line
   ends to some readers. What is not UTF-8 becomes U+FFFD. */
static size_t put_wide(text *t, slice s, bool ascii) {
    size_t length;
    unsigned point = utf8_decode(s, &length);
    if (length == 0) {
        point = 0xFFFD;
        length = 1;
        if (!ascii) put_utf8(t, point);
    } else if (!ascii && point != 0x2028 && point != 0x2029) {
        put_bytes(t, s.at, length);
        return length;
    }
    if (point >= 0x10000) {
        put_unit(t, 0xD800 + ((point - 0x10000) >> 10));
        put_unit(t, 0xDC00 + ((point - 0x10000) & 0x3FF));
    } else if (ascii || point != 0xFFFD) {
        put_unit(t, point);
    }
    return length;
}

static void put_string(text *t, slice s, bool ascii) {
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    put_char(t, '"');
    while (s.size > 0) {
        size_t run = clean_run(s.at, s.size);
        put_bytes(t, s.at, run);
        s = slice_from(s, run);
        if (s.size == 0) break;
        unsigned char c = (unsigned char)s.at[0];
        const char *known = c == 0 || c >= 0x80 ? NULL : strchr(from, c);
        size_t used = 1;
        if (c >= 0x80) {
            used = put_wide(t, s, ascii);
        } else if (known != NULL) {
            put_char(t, '\\');
            put_char(t, to[known - from]);
        } else {
            put_unit(t, c);
        }
        s = slice_from(s, used);
    }
    put_char(t, '"');
}

/* Valid JSON as it was written. Only what would break the line is changed, and none of it changes
   the value: line ends between tokens, U+2028 and U+2029, with --ascii all that is not. */
static void put_raw_json(text *t, slice s, bool ascii) {
    while (s.size > 0) {
        size_t run = 0;
        for (; run < s.size; run++) {
            if ((unsigned char)s.at[run] >= 0x80 || s.at[run] == '\n' || s.at[run] == '\r') break;
        }
        put_bytes(t, s.at, run);
        s = slice_from(s, run);
        if (s.size == 0) break;
        size_t used = 1;
        if ((unsigned char)s.at[0] >= 0x80) used = put_wide(t, s, ascii);
        else                                put_char(t, ' ');
        s = slice_from(s, used);
    }
}

static void put_base64(text *t, slice s) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (!text_reserve(t, s.size / 3 * 4 + 4)) return;
    for (size_t i = 0; i < s.size; i += 3) {
        size_t left = s.size - i;
        unsigned bits = (unsigned)(unsigned char)s.at[i] << 16;
        if (left > 1) bits |= (unsigned)(unsigned char)s.at[i + 1] << 8;
        if (left > 2) bits |= (unsigned)(unsigned char)s.at[i + 2];
        char four[4] = { digits[bits >> 18], digits[bits >> 12 & 63],
                         left > 1 ? digits[bits >> 6 & 63] : '=',
                         left > 2 ? digits[bits & 63] : '=' };
        put_bytes(t, four, 4);
    }
}

static void put_lower(text *t, const char *name) {
    for (; *name != '\0'; name++) put_char(t, lower(*name));
}

static int64_t phase_us(const sparp_result *r, sparp_phase phase) {
    return r->phase_us[phase];
}

/* "ms" and "bytes". What "queue" was spent on is told where it was something. The phases are
   those of the last attempt, and told only if it had a response: before that they are where it
   broke, and error.phase says so. */
static void put_times(text *t, const sparp_result *r) {
    PUT(t, ",\"ms\":{\"queue\":");
    put_thousandths(t, r->waited_us);
    for (int i = 0; i < SPARP_WAIT_COUNT; i++) {
        if (r->wait_us[i] == 0) continue;
        PUT(t, ",\"");
        put_text(t, sparp_wait_name((sparp_wait)i));
        PUT(t, "\":");
        put_thousandths(t, r->wait_us[i]);
    }
    if (r->status != 0) {
        PUT(t, ",\"dns\":");
        put_thousandths(t, phase_us(r, SPARP_PHASE_DNS));
        PUT(t, ",\"connect\":");
        put_thousandths(t, phase_us(r, SPARP_PHASE_CONNECT));
        PUT(t, ",\"tls\":");
        put_thousandths(t, phase_us(r, SPARP_PHASE_TLS));
        PUT(t, ",\"ttfb\":");
        put_thousandths(t, phase_us(r, SPARP_PHASE_SEND) + phase_us(r, SPARP_PHASE_FIRST_BYTE));
    }
    PUT(t, ",\"total\":");
    put_thousandths(t, r->elapsed_us);
    PUT(t, ",\"all\":");
    put_thousandths(t, r->total_us);
    PUT(t, "},\"bytes\":{\"out\":");
    put_u64(t, r->bytes_out);
    PUT(t, ",\"in\":");
    put_u64(t, r->bytes_in);
    if (r->status == 0)  PUT(t, "}");
    else if (r->reused)  PUT(t, "},\"reused\":true");
    else                 PUT(t, "},\"reused\":false");
}

static bool header_wanted(const record_style *style, slice name) {
    if (strcmp(style->headers, "all") == 0) return true;
    slice rest = slice_of(style->headers), part;
    while (slice_split(&rest, ',', &part)) {
        if (same_name(trimmed(part), name)) return true;
    }
    return false;
}

/* {"name":["value", ...], ...}: repeats are gathered at the place of the first. */
static void put_headers(text *t, const record_style *style, const sparp_result *r) {
    const char *before = ",\"headers\":{";
    for (size_t i = 0; i < r->num_headers; i++) {
        slice name = slice_of(r->headers[i].name);
        bool wanted = header_wanted(style, name);
        for (size_t k = 0; wanted && k < i; k++) {
            if (slice_is(name, r->headers[k].name)) wanted = false;
        }
        if (!wanted) continue;
        put_text(t, before);
        before = ",";
        put_string(t, name, style->ascii);
        PUT(t, ":[");
        for (size_t k = i; k < r->num_headers; k++) {
            if (!slice_is(name, r->headers[k].name)) continue;
            if (k > i) put_char(t, ',');
            put_string(t, slice_of(r->headers[k].value), style->ascii);
        }
        put_char(t, ']');
    }
    if (before[1] == '\0') put_char(t, '}');
    else                   PUT(t, ",\"headers\":{}");
}

static void put_error(text *t, const record_style *style, const ticket *k, const sparp_result *r) {
    PUT(t, ",\"error\":{\"kind\":\"");
    put_lower(t, sparp_error_name(r->error));
    if (r->error == SPARP_E_TIMEOUT) {
        PUT(t, "\",\"phase\":\"");
        put_text(t, sparp_phase_name(r->phase));
    }
    PUT(t, "\",\"message\":");
    slice message = slice_of(r->detail[0] != '\0' ? r->detail : sparp_error_text(r->error));
    put_string(t, k->failure_size > 0 ? ticket_failure(k) : message, style->ascii);
    put_char(t, '}');
}

/* DIR/<index> as the user named DIR. */
static void put_body_path(text *t, const char *dir, uint64_t index) {
    size_t size = strlen(dir);
    put_bytes(t, dir, size);
    if (size > 0 && dir[size - 1] != '/') put_char(t, '/');
    put_u64(t, index);
}

static void put_body_file(text *t, const record_style *style, const ticket *k) {
    text path = { NULL, 0, 0, false };
    put_body_path(&path, style->body_dir, k->index);
    slice shown = { path.at, path.size };
    PUT(t, ",\"body_file\":");
    put_string(t, shown, style->ascii);
    if (path.failed) t->failed = true;
    text_free(&path);
}

/* Last in the record, so that `cut -c1-200` shows the rest. */
static void put_body(text *t, const record_style *style, const ticket *k, const sparp_result *r) {
    slice body = { r->body, r->body_size };
    bool cut = r->error != SPARP_E_OK && body.size > 0 && !r->body_complete;
    if (r->truncated || cut) PUT(t, ",\"truncated\":true");
    if (k->has_file) put_body_file(t, style, k);
    if (style->body_dir != NULL || style->body == BODY_NONE || body.size == 0) return;
    if (style->body == BODY_JSON && json_is_valid(body)) {
        PUT(t, ",\"json\":");
        put_raw_json(t, body, style->ascii);
    } else if (style->body != BODY_BASE64 && utf8_good_prefix(body) == body.size
               && memchr(body.at, '\0', body.size) == NULL) {
        PUT(t, ",\"body\":");
        put_string(t, body, style->ascii);
    } else {
        PUT(t, ",\"body_base64\":\"");
        put_base64(t, body);
        put_char(t, '"');
    }
}

static void put_index_and_id(text *t, const record_style *style, const ticket *k) {
    PUT(t, "{\"index\":");
    put_u64(t, k->index);
    if (k->id_size > 0) {
        PUT(t, ",\"id\":");
        put_raw_json(t, ticket_id(k), style->ascii);
    }
}

static void put_meta_and_echo(text *t, const record_style *style, const ticket *k) {
    if (k->meta_size > 0) {
        PUT(t, ",\"meta\":");
        put_raw_json(t, ticket_meta(k), style->ascii);
    }
    if (!style->echo) return;
    slice line = trimmed(ticket_line(k));
    PUT(t, ",\"request\":");
    if (json_is_valid(line) && line.at[0] == '{') put_raw_json(t, line, style->ascii);
    else                                          put_string(t, line, style->ascii);
}

/* A URL as it may be shown: the password is nobody's business. */
static void put_masked_url(text *t, slice url, bool ascii) {
    size_t scheme = starts_with(url, "https") ? 8 : 7;
    text masked = { NULL, 0, 0, false };
    if (url.size < scheme) scheme = url.size;
    slice rest = slice_from(url, scheme);
    slice authority = { rest.at, find_any(rest, "/?#") };
    size_t user_end = authority.size;
    while (user_end > 0 && authority.at[user_end - 1] != '@') user_end--;
    put_bytes(&masked, url.at, scheme);
    if (user_end > 0) PUT(&masked, "***@");
    put_slice(&masked, slice_from(rest, user_end));
    slice shown = { masked.at, masked.size };
    put_string(t, shown, ascii);
    if (masked.failed) t->failed = true;
    text_free(&masked);
}

static void put_record(text *t, const record_style *style, const ticket *k, const sparp_result *r,
                       int64_t now_ms) {
    put_index_and_id(t, style, k);
    PUT(t, ",\"outcome\":\"");
    put_text(t, sparp_outcome_name(r->outcome));
    PUT(t, "\",\"status\":");
    if (r->status != 0) put_u64(t, (uint64_t)r->status);
    else                PUT(t, "null");
    PUT(t, ",\"attempts\":");
    put_u64(t, (uint64_t)r->attempts);
    PUT(t, ",\"url\":");
    put_string(t, slice_of(r->url), style->ascii);
    if (r->redirects > 0) {
        PUT(t, ",\"final_url\":");
        put_masked_url(t, slice_of(r->final_url), style->ascii);
        PUT(t, ",\"redirects\":");
        put_u64(t, (uint64_t)r->redirects);
    }
    PUT(t, ",\"t\":");
    put_thousandths(t, now_ms);
    if (r->attempts > 0) put_times(t, r);
    if (style->headers != NULL && r->status != 0) put_headers(t, style, r);
    if (r->error != SPARP_E_OK) put_error(t, style, k, r);
    if (r->retry_at_s > 0) {
        PUT(t, ",\"retry_at\":");
        put_thousandths(t, now_ms + (int64_t)(r->retry_at_s * 1000));
    }
    if (r->maybe_applied)                               PUT(t, ",\"maybe_applied\":true");
    else if (r->error != SPARP_E_OK && r->attempts > 0) PUT(t, ",\"maybe_applied\":false");
    put_meta_and_echo(t, style, k);
    put_body(t, style, k, r);
    PUT(t, "}\n");
}

/* The record of a line that is no request. */
static void put_bad_record(text *t, const record_style *style, uint64_t index, slice message,
                           slice line) {
    PUT(t, "{\"index\":");
    put_u64(t, index);
    PUT(t, ",\"outcome\":\"invalid\",\"status\":null,\"attempts\":0"
           ",\"error\":{\"kind\":\"bad_line\",\"message\":");
    put_string(t, message, style->ascii);
    put_char(t, '}');
    if (line.size > BAD_LINE_SHOWN) {
        PUT(t, ",\"truncated\":true");
        line.size = BAD_LINE_SHOWN;
    }
    PUT(t, ",\"line\":");
    put_string(t, line, style->ascii);
    PUT(t, "}\n");
}

/* --dry-run: what would be sent. */
static void put_dry_record(text *t, const record_style *style, const ticket *k,
                           const sparp_request *request) {
    bool body = request->json != NULL || request->body != NULL;
    const char *method = request->method != NULL ? request->method : body ? "POST" : "GET";
    put_index_and_id(t, style, k);
    PUT(t, ",\"outcome\":\"not_started\",\"status\":null,\"attempts\":0,\"method\":");
    put_string(t, slice_of(method), style->ascii);
    text url = { NULL, 0, 0, false };
    slice target = { request->url, strcspn(request->url, "#") };     /* a fragment is not sent */
    put_slice(&url, target);
    size_t mark = find_any(target, "?");
    const char *before = mark == target.size ? "?" : "&";
    if (mark < target.size && strchr("?&", target.at[target.size - 1]) != NULL) before = "";
    for (size_t i = 0; i < request->num_query; i++, before = "&") {
        put_text(&url, before);
        put_percent(&url, slice_of(request->query[i].name));
        put_char(&url, '=');
        put_percent(&url, slice_of(request->query[i].value));
    }
    slice whole = { url.at, url.size };
    PUT(t, ",\"url\":");
    put_masked_url(t, whole, style->ascii);
    if (url.failed) t->failed = true;
    text_free(&url);
    put_meta_and_echo(t, style, k);
    PUT(t, "}\n");
}

/* ============================================================================================ */
/* >>files - request bodies out of files, response bodies into files. What the threads of the    */
/*           workers call touches a ticket and no more.                                          */
/* ============================================================================================ */

/* Of a regular file alone the size is known beforehand, and it can be read twice. */
static int open_regular(const char *path, struct stat *info, const char **error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);   /* no wait for a FIFO */
    *error = NULL;
    if (fd < 0 || fstat(fd, info) != 0) *error = strerror(errno);
    else if (!S_ISREG(info->st_mode))   *error = "not a regular file";
    if (*error == NULL || fd < 0) return fd;
    (void)close(fd);
    return -1;
}

/* A body_file's size is what the server is promised; its bytes are read when they are sent. */
static bool body_file_find(ticket *k, const reader *r, const char *path) {
    const char *error;
    size_t before = k->parts.size;
    put_reader_path(&k->parts, r, path);
    if (k->parts.failed) return false;
    k->path_size = k->parts.size - before;
    int fd = open_regular(ticket_path(k), &k->file, &error);
    if (fd >= 0) (void)close(fd);
    if (fd < 0) ticket_fail(k, "cannot read body_file ", slice_of(ticket_path(k)), error);
    return fd >= 0;
}

/* Whether the file is still what was promised, and what the bytes before `offset` came from. */
static const char *body_file_changed(ticket *k, uint64_t offset, const struct stat *now) {
    if (now->st_size != k->file.st_size) return "its size has changed since its line was read";
    bool same = same_file(now, &k->file) && now->st_mtime == k->file.st_mtime;
    if (offset > 0 && !same) return "it has changed while it was sent";
    k->file = *now;
    return NULL;
}

/* sparp_request.read_body. The file is opened for each piece, so that none is held however many
   requests there are. */
static int64_t body_file_read(uint64_t offset, void *out, size_t room, void *user_data) {
    ticket *k = (ticket *)user_data;
    struct stat now;
    const char *error;
    ssize_t n = 0;
    int fd = open_regular(ticket_path(k), &now, &error);
    if (error == NULL) error = body_file_changed(k, offset, &now);
    while (error == NULL && (n = pread(fd, out, room, (off_t)offset)) <= 0) {
        if (n == 0 || errno != EINTR) error = n == 0 ? "it ends too early" : strerror(errno);
    }
    if (fd >= 0) (void)close(fd);
    if (error == NULL) return n;
    ticket_fail(k, "cannot read body_file ", slice_of(ticket_path(k)), error);
    return SPARP_NONE;
}

/* DIR/<index>.part is where a body comes in. DIR/<index> is complete: nothing else is ever under
   that name, whatever kills us. */

enum { PART_NAME_MAX = 32 };

static const char *part_name(char *name, const ticket *k, const char *suffix) {
    (void)snprintf(name, PART_NAME_MAX, "%llu%s", (unsigned long long)k->index, suffix);
    return name;
}

static bool part_fail(ticket *k) {
    if (k->part_error == 0) k->part_error = errno;
    return false;
}

static bool part_open(ticket *k, int dir) {
    char name[PART_NAME_MAX];
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY;
    k->part = openat(dir, part_name(name, k, ".part"), flags, 0666);
    return k->part >= 0 ? true : part_fail(k);
}

/* What was written late may fail only here: NFS, quotas. */
static bool part_close(ticket *k) {
    if (k->part < 0) return true;
    bool closed = close(k->part) == 0 || errno == EINTR;
    k->part = -1;
    return closed ? true : part_fail(k);
}

/* The attempt was not the last one, and holds nothing while it waits for the next. */
static void part_forget(ticket *k) {
    (void)part_close(k);
    k->part_error = 0;
}

/* The next piece of a body; each attempt begins the file afresh. On the thread that receives. */
static bool part_write(ticket *k, int dir, const sparp_result *head, uint64_t offset, slice data) {
    size_t written;
    if (offset == 0 && (!part_close(k) || !part_open(k, dir))) return false;
    k->part_attempt = head->attempts;
    return write_all(k->part, data.at, data.size, &written) ? true : part_fail(k);
}

/* The request has ended: the file gets its name, or goes. An empty body has brought no piece: what
   lies there then is of an earlier attempt. */
static bool part_finish(ticket *k, int dir, const sparp_result *r) {
    char part[PART_NAME_MAX], final[PART_NAME_MAX];
    bool complete = r->error == SPARP_E_OK && r->body_complete;
    bool good = part_close(k) && k->part_error == 0;
    (void)part_name(part, k, ".part");
    (void)part_name(final, k, "");
    if (good && complete && k->part_attempt != r->attempts) good = part_open(k, dir);
    if (good && complete) good = part_close(k);
    if (good && complete && renameat(dir, part, dir, final) != 0) good = part_fail(k);
    k->has_file = good && complete;
    if (!k->has_file && r->attempts > 0) (void)unlinkat(dir, part, 0);
    return good;
}

/* ============================================================================================ */
/* >>tally - counts, latencies, percentiles                                                      */
/* ============================================================================================ */

/* Latencies in 32 buckets per octave, so within 3.2 %, from a microsecond to a day and a half:
   below 64 us a bucket is one microsecond, above it the six leading bits of the number. */
enum { LATENCY_BITS_MAX = 37, LATENCY_BUCKETS = 32 * (LATENCY_BITS_MAX - 6) + 64 };

enum { OUTCOME_INVALID = SPARP_OUTCOME_COUNT, OUTCOMES = SPARP_OUTCOME_COUNT + 1 };

typedef struct sample {          /* what the tally wants to know about one request */
    int         outcome;         /* sparp_outcome, or OUTCOME_INVALID */
    sparp_error error;
    sparp_phase phase;
    int         status, attempts, redirects;
    bool        reused;
    uint64_t    index, bytes_in, bytes_out;
    int64_t     elapsed_us, total_us;
    slice       url;
} sample;

typedef struct tally {
    uint64_t outcomes[OUTCOMES];
    uint64_t status[STATUS_END], retried[STATUS_END], no_status;
    uint64_t errors[SPARP_E_COUNT][SPARP_PHASE_COUNT];   /* by phase for timeouts, else in [0] */
    uint64_t retries, redirects, responses, reused, bytes_in, bytes_out;
    bool     has_first;          /* the first one with an error */
    uint64_t first_index;
    char     first_url[200];
    uint64_t latencies[LATENCY_BUCKETS], num_latencies;
    int64_t  latency_min, latency_max;
    double   latency_sum;
} tally;

static size_t latency_bucket(int64_t us) {
    uint64_t v = us < 0 ? 0 : (uint64_t)us, most = (UINT64_C(1) << LATENCY_BITS_MAX) - 1;
    unsigned shift = 0;
    if (v > most) v = most;
    while (v >> shift >= 64) shift++;
    return 32 * (size_t)shift + (size_t)(v >> shift);
}

static int64_t latency_top(size_t bucket) {      /* the longest latency that falls into it */
    if (bucket < 64) return (int64_t)bucket;
    unsigned shift = (unsigned)(bucket / 32 - 1);
    uint64_t lead = bucket - 32 * (size_t)shift;
    return (int64_t)(((lead + 1) << shift) - 1);
}

static void tally_latency(tally *y, int64_t us) {
    if (y->num_latencies == 0 || us < y->latency_min) y->latency_min = us;
    if (us > y->latency_max) y->latency_max = us;
    y->latencies[latency_bucket(us)]++;
    y->latency_sum += (double)us;
    y->num_latencies++;
}

/* The latency that `thousandths` of the requests do not exceed. */
static int64_t tally_percentile(const tally *y, uint64_t thousandths) {
    uint64_t rank = (y->num_latencies * thousandths + 999) / 1000, sum = 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        sum += y->latencies[i];
        if (sum < rank || sum == 0) continue;
        int64_t top = latency_top(i);
        if (top < y->latency_min) return y->latency_min;
        return top < y->latency_max ? top : y->latency_max;
    }
    return 0;
}

static void tally_first(tally *y, const sample *s) {
    y->has_first = true;
    y->first_index = s->index;
    size_t size = s->url.size < sizeof y->first_url ? s->url.size : sizeof y->first_url - 1;
    if (size > 0) memcpy(y->first_url, s->url.at, size);
    y->first_url[size] = '\0';
}

/* Timeouts are latencies too: without them a server that hangs looks fast. */
static void tally_add(tally *y, const sample *s) {
    bool timeout = s->error == SPARP_E_TIMEOUT;
    bool sent = s->outcome != SPARP_OUTCOME_CANCELLED && s->outcome != SPARP_OUTCOME_NOT_STARTED
             && s->outcome != OUTCOME_INVALID;
    y->outcomes[s->outcome]++;
    y->bytes_in += s->bytes_in;
    y->bytes_out += s->bytes_out;
    if (s->attempts > 1) y->retries += (uint64_t)(s->attempts - 1);
    if (s->redirects > 0) y->redirects += (uint64_t)s->redirects;
    if (s->status > 0 && s->status < STATUS_END) {
        y->status[s->status]++;
        y->responses++;
        y->reused += s->reused;
    }
    if (!sent) return;
    if (s->status == 0) y->no_status++;
    if (s->error != SPARP_E_OK) {
        y->errors[s->error][timeout ? s->phase : 0]++;
        if (!y->has_first) tally_first(y, s);
    }
    if (s->status > 0 || timeout) tally_latency(y, s->elapsed_us);
}

static void sample_result(sample *s, const sparp_result *r, uint64_t index) {
    memset(s, 0, sizeof *s);
    s->outcome = (int)r->outcome;
    s->error = r->error;
    s->phase = r->phase;
    s->status = r->status;
    s->attempts = r->attempts;
    s->redirects = r->redirects;
    s->reused = r->reused;
    s->index = index;
    s->bytes_in = r->bytes_in;
    s->bytes_out = r->bytes_out;
    s->elapsed_us = r->elapsed_us;
    s->total_us = r->total_us;
    s->url = slice_of(r->url);
}

static uint64_t tally_failed(const tally *y) {   /* said no, or could not be sent */
    return y->outcomes[SPARP_OUTCOME_HARD_FAIL] + y->outcomes[SPARP_OUTCOME_LOCAL_FAILED];
}

static uint64_t tally_gave_up(const tally *y) {  /* tried as often as allowed */
    return y->outcomes[SPARP_OUTCOME_SOFT_EXHAUSTED] + y->outcomes[SPARP_OUTCOME_TIMEOUT_EXHAUSTED]
         + y->outcomes[SPARP_OUTCOME_TRANSPORT_FAILED];
}

static uint64_t tally_finished(const tally *y) {
    return y->outcomes[SPARP_OUTCOME_SUCCESS] + tally_failed(y) + tally_gave_up(y);
}

/* ============================================================================================ */
/* >>summary - what is said at the end                                                           */
/* ============================================================================================ */

enum { HISTOGRAM_ROWS = 12, HISTOGRAM_WIDTH = 46, HISTOGRAM_MIN = 100 };

enum { WAITING_WORTH_A_ROW = 1000000 };  /* microseconds, all requests together */

typedef struct summary {
    const tally *tally;
    int64_t      elapsed_us;
    uint64_t     connects, reuses;
    uint64_t     soft_retries, timeout_retries, transport_retries;     /* all 0: not known */
    uint64_t     redirects;                                            /* 0: as the tally has it */
    int64_t      waited_us[SPARP_WAIT_COUNT];                          /* all 0: not known */
    bool         histogram, utf8;
    const sink  *out, *rejects;  /* NULL, or without a file: not mentioned */
    const char  *body_dir;       /* likewise */
    uint64_t     body_files;
} summary;

/* A bar `part` of `whole` long; eighths of a column where the terminal has them. */
static void put_bar(text *t, uint64_t part, uint64_t whole, size_t width, bool utf8) {
    static const char eighths[8][4] = { "", "\xE2\x96\x8F", "\xE2\x96\x8E", "\xE2\x96\x8D",
                                        "\xE2\x96\x8C", "\xE2\x96\x8B", "\xE2\x96\x8A",
                                        "\xE2\x96\x89" };
    if (whole == 0) return;
    size_t length = (size_t)((double)part / (double)whole * (double)width * 8 + 0.5);
    for (size_t i = 0; i < length / 8; i++) put_text(t, utf8 ? "\xE2\x96\x88" : "#");
    if (utf8)                 put_text(t, eighths[length % 8]);
    else if (length % 8 >= 4) put_char(t, '#');
}

static void put_padded(text *t, const char *at, size_t size, size_t width) {
    if (size < width) put_repeat(t, ' ', width - size);
    put_bytes(t, at, size);
}

/* Rows of equally many buckets: a logarithmic scale, as linear rows put everything in the first. */
static void put_histogram(text *t, const tally *y, bool utf8) {
    size_t first = latency_bucket(y->latency_min), last = latency_bucket(y->latency_max);
    size_t step = (last - first) / HISTOGRAM_ROWS + 1;
    uint64_t most = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t from = first; from <= last; from += step) {
            uint64_t count = 0;
            for (size_t i = from; i < from + step && i <= last; i++) count += y->latencies[i];
            if (count > most) most = count;
            if (pass == 0) continue;
            int64_t top = latency_top(from + step - 1);
            text bound = { NULL, 0, 0, false };
            put_duration(&bound, top < y->latency_max ? top : y->latency_max);
            PUT(t, "  <= ");
            put_padded(t, bound.at, bound.size, 8);
            text_free(&bound);
            uint64_t share = count * 1000 / y->num_latencies;
            put_format(t, "%10llu %3llu.%llu%% ", (unsigned long long)count,
                       (unsigned long long)share / 10, (unsigned long long)share % 10);
            put_bar(t, count, most, HISTOGRAM_WIDTH, utf8);
            put_char(t, '\n');
        }
    }
}

static void put_count(text *t, const char *before, uint64_t count, const char *after) {
    put_text(t, before);
    put_u64(t, count);
    put_text(t, after);
}

static double summary_rate(const summary *s) {
    if (s->elapsed_us <= 0) return 0;
    return (double)tally_finished(s->tally) * 1e6 / (double)s->elapsed_us;
}

/* A saved record has those of its last attempt alone. */
static uint64_t summary_redirects(const summary *s) {
    return s->redirects > 0 ? s->redirects : s->tally->redirects;
}

static void put_requests_rows(text *t, const summary *s) {
    const tally *y = s->tally;
    put_count(t, "requests   ", tally_finished(y), " finished");
    if (s->elapsed_us > 0) {
        PUT(t, " in ");
        put_three_digits(t, (double)s->elapsed_us / 1e6);
        PUT(t, " s   ");
        put_rate(t, summary_rate(s));
        PUT(t, "/s");
    }
    put_count(t, "\n           ", y->outcomes[SPARP_OUTCOME_SUCCESS], " ok");
    put_count(t, "   ", tally_failed(y), " failed");
    put_count(t, "   ", tally_gave_up(y), " gave up");
    put_count(t, "   ", y->outcomes[OUTCOME_INVALID], " invalid");
    uint64_t cancelled = y->outcomes[SPARP_OUTCOME_CANCELLED];
    uint64_t not_started = y->outcomes[SPARP_OUTCOME_NOT_STARTED];
    if (cancelled > 0) put_count(t, "   ", cancelled, " cancelled");
    if (not_started > 0) put_count(t, "   ", not_started, " not started");
    if (s->soft_retries + s->timeout_retries + s->transport_retries > 0) {
        put_count(t, "      ", s->soft_retries + s->timeout_retries + s->transport_retries,
                  " retries (");
        put_count(t, "", s->soft_retries, " soft, ");
        put_count(t, "", s->timeout_retries, " timeout, ");
        put_count(t, "", s->transport_retries, " transport)");
    } else if (y->retries > 0) {
        put_count(t, "      ", y->retries, " retries");
    }
    uint64_t redirects = summary_redirects(s);
    if (redirects > 0) put_count(t, "   ", redirects, redirects == 1 ? " redirect" : " redirects");
    put_char(t, '\n');
}

static void put_status_row(text *t, const tally *y) {
    const char *before = "status     ";
    for (int i = 0; i < STATUS_END; i++) {
        for (int retried = 0; retried < 2; retried++) {
            uint64_t count = retried ? y->retried[i] : y->status[i];
            if (count == 0) continue;
            put_text(t, before);
            before = "   ";
            put_u64(t, (uint64_t)i);
            put_count(t, " ", count, retried ? " (retried)" : "");
        }
    }
    if (y->no_status > 0) {
        put_text(t, before);
        before = "   ";
        put_count(t, "none ", y->no_status, "");
    }
    if (before[0] == ' ') put_char(t, '\n');
}

static void put_error_label(text *t, int error, int phase) {
    put_lower(t, sparp_error_name((sparp_error)error));
    if (error != SPARP_E_TIMEOUT) return;
    put_char(t, '/');
    put_text(t, sparp_phase_name((sparp_phase)phase));
}

static void put_errors_row(text *t, const tally *y) {
    const char *before = "errors     ";
    if (!y->has_first) return;
    for (int i = 0; i < SPARP_E_COUNT; i++) {
        for (int k = 0; k < SPARP_PHASE_COUNT; k++) {
            if (y->errors[i][k] == 0) continue;
            put_text(t, before);
            before = "   ";
            put_error_label(t, i, k);
            put_count(t, " ", y->errors[i][k], "");
        }
    }
    put_count(t, "      first: index ", y->first_index, " ");
    put_text(t, y->first_url);
    put_char(t, '\n');
}

static void put_traffic_row(text *t, const summary *s) {
    PUT(t, "traffic    ");
    put_size(t, s->tally->bytes_in);
    PUT(t, " in   ");
    put_size(t, s->tally->bytes_out);
    PUT(t, " out");
    uint64_t used = s->connects + s->reuses, reused = s->reuses;
    if (used > 0) {
        put_count(t, "   ", s->connects, s->connects == 1 ? " connection" : " connections");
    } else {
        used = s->tally->responses;
        reused = s->tally->reused;
    }
    if (used > 0) {
        PUT(t, ", ");
        put_thousandths(t, (int64_t)(reused * 1000 / used) * 100);
        PUT(t, " % reused");
    }
    put_char(t, '\n');
}

/* Why it took so long, in one sentence, if waiting was most of it. */
static void put_waiting_row(text *t, const summary *s) {
    static const char *const reasons[SPARP_WAIT_COUNT] = {
        "for a free slot (--max-at-once)", "the rate limit", "the limit per host",
        "hosts that asked for a pause", "pauses before retries"
    };
    int64_t sum = 0;
    int most = 0;
    for (int i = 0; i < SPARP_WAIT_COUNT; i++) {
        sum += s->waited_us[i];
        if (s->waited_us[i] > s->waited_us[most]) most = i;
    }
    if (sum < WAITING_WORTH_A_ROW) return;
    put_format(t, "waiting    %d %% of the waiting was %s\n",
               (int)(s->waited_us[most] * 100 / sum), reasons[most]);
}

static void put_latency_row(text *t, const tally *y) {
    static const struct { const char *label; uint64_t thousandths; } marks[] = {
        { "  p50 ", 500 }, { "  p90 ", 900 }, { "  p95 ", 950 }, { "  p99 ", 990 }
    };
    if (y->num_latencies == 0) return;
    PUT(t, "latency    min ");
    put_duration(t, y->latency_min);
    PUT(t, "  mean ");
    put_duration(t, (int64_t)(y->latency_sum / (double)y->num_latencies));
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        put_text(t, marks[i].label);
        put_duration(t, tally_percentile(y, marks[i].thousandths));
    }
    PUT(t, "  max ");
    put_duration(t, y->latency_max);
    put_char(t, '\n');
}

static void put_output_row(text *t, const summary *s) {
    const sink *sinks[2] = { s->out, s->rejects };
    const char *before = "output     ";
    for (int i = 0; i < 2; i++) {
        if (sinks[i] == NULL || sinks[i]->fd <= STDERR_FILENO) continue;
        put_text(t, before);
        before = "   ";
        put_text(t, sinks[i]->name);
        put_count(t, " (", sinks[i]->lines, sinks[i]->lines == 1 ? " line)" : " lines)");
    }
    if (s->body_dir != NULL) {
        put_text(t, before);
        before = "   ";
        put_text(t, s->body_dir);
        put_count(t, " (", s->body_files, s->body_files == 1 ? " file)" : " files)");
    }
    if (before[0] == ' ') put_char(t, '\n');
}

static void put_summary_text(text *t, const summary *s) {
    put_requests_rows(t, s);
    put_status_row(t, s->tally);
    put_errors_row(t, s->tally);
    put_traffic_row(t, s);
    put_latency_row(t, s->tally);
    put_waiting_row(t, s);
    if (s->histogram && s->tally->num_latencies > HISTOGRAM_MIN) {
        put_histogram(t, s->tally, s->utf8);
    }
    put_output_row(t, s);
}

static void put_outcomes_json(text *t, const tally *y) {
    PUT(t, ",\"outcomes\":{");
    for (int i = 0; i < OUTCOMES; i++) {
        const char *name = i == OUTCOME_INVALID ? "invalid" : sparp_outcome_name((sparp_outcome)i);
        put_format(t, "%s\"%s\":", i > 0 ? "," : "", name);
        put_u64(t, y->outcomes[i]);
    }
    PUT(t, "},\"status\":{");
    const char *before = "";
    for (int i = 0; i < STATUS_END; i++) {
        if (y->status[i] == 0) continue;
        put_format(t, "%s\"%d\":", before, i);
        put_u64(t, y->status[i]);
        before = ",";
    }
    PUT(t, "},\"errors\":{");
    before = "\"";
    for (int i = 0; i < SPARP_E_COUNT; i++) {
        for (int k = 0; k < SPARP_PHASE_COUNT; k++) {
            if (y->errors[i][k] == 0) continue;
            put_text(t, before);
            put_error_label(t, i, k);
            put_count(t, "\":", y->errors[i][k], "");
            before = ",\"";
        }
    }
    put_char(t, '}');
}

static void put_latency_json(text *t, const tally *y) {
    static const struct { const char *key; uint64_t thousandths; } marks[] = {
        { "p50", 500 }, { "p90", 900 }, { "p95", 950 }, { "p99", 990 }
    };
    PUT(t, ",\"latency_ms\":");
    if (y->num_latencies == 0) {
        PUT(t, "null");
        return;
    }
    PUT(t, "{\"min\":");
    put_thousandths(t, y->latency_min);
    PUT(t, ",\"mean\":");
    put_thousandths(t, (int64_t)(y->latency_sum / (double)y->num_latencies));
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        put_format(t, ",\"%s\":", marks[i].key);
        put_thousandths(t, tally_percentile(y, marks[i].thousandths));
    }
    PUT(t, ",\"max\":");
    put_thousandths(t, y->latency_max);
    put_char(t, '}');
}

static void put_summary_json(text *t, const summary *s) {
    const tally *y = s->tally;
    PUT(t, "{\"requests\":");
    put_u64(t, tally_finished(y));
    PUT(t, ",\"seconds\":");
    put_thousandths(t, s->elapsed_us / 1000);
    PUT(t, ",\"per_second\":");
    put_thousandths(t, (int64_t)(summary_rate(s) * 1000));
    PUT(t, ",\"retries\":");
    uint64_t known = s->soft_retries + s->timeout_retries + s->transport_retries;
    put_u64(t, known > 0 ? known : y->retries);
    put_count(t, ",\"redirects\":", summary_redirects(s), "");
    put_outcomes_json(t, y);
    PUT(t, ",\"bytes\":{\"out\":");
    put_u64(t, y->bytes_out);
    PUT(t, ",\"in\":");
    put_u64(t, y->bytes_in);
    put_char(t, '}');
    put_latency_json(t, y);
    PUT(t, "}\n");
}

/* Says it, or writes the file; false: the file could not be written. */
static bool summary_show(const config *c, const summary *s) {
    text t = { NULL, 0, 0, false };
    size_t written;
    bool done = true;
    if (c->summary == SUMMARY_NONE || (c->quiet && c->summary_file == NULL)) return true;
    if (c->summary == SUMMARY_JSON) put_summary_json(&t, s);
    else                            put_summary_text(&t, s);
    if (c->summary_file == NULL) {
        say_text(&t);
    } else {
        int fd = open(c->summary_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        done = fd >= 0 && write_all(fd, t.at, t.size, &written) && !t.failed;
        if (fd >= 0 && close(fd) != 0) done = false;
        if (!done) say("cannot write %s: %s", c->summary_file, strerror(errno));
    }
    text_free(&t);
    return done;
}

/* ============================================================================================ */
/* >>progress - what is said in between                                                          */
/* ============================================================================================ */

enum { BAR_EVERY_US = 200000, LINE_EVERY_US = 10000000, BAR_CELLS = 30 };

typedef struct progress_view {   /* one moment of a run */
    uint64_t done, total;        /* total 0: not known */
    bool     estimated;          /* the total */
    uint64_t ok, failed, retries, live;
    double   rate;               /* results per second, lately */
    int64_t  eta_s;              /* -1: not known */
} progress_view;

typedef struct progress {
    int     mode;                /* PROGRESS_BAR, _LINE, _JSON or _NONE */
    bool    utf8, color;
    size_t  columns;
    int64_t last_us;             /* when it was shown */
    int64_t sampled_us;          /* for the rate */
    uint64_t sampled_done;
    double  rate, limit;         /* limit: --max-per-second, 0 for none */
} progress;

static unsigned view_percent(const progress_view *v) {
    if (v->total == 0) return 0;
    double percent = (double)v->done * 100 / (double)v->total;
    return percent < 100 ? (unsigned)percent : 100;
}

static void put_eta(text *t, int64_t s) {
    if (s < 0) {
        PUT(t, "-:--");
    } else if (s < 3600) {
        put_format(t, "%d:%02d", (int)(s / 60), (int)(s % 60));
    } else {
        put_format(t, "%lld:%02d:%02d", (long long)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
    }
}

/* The fields in the order they are shown. */
enum { FIELD_BAR, FIELD_OK, FIELD_FAIL, FIELD_RETRY, FIELD_RATE, FIELD_LIVE, FIELD_ETA, FIELDS };

static void put_field(text *t, const progress_view *v, int field) {
    switch (field) {
    case FIELD_OK:    put_count(t, "  ok ", v->ok, ""); break;
    case FIELD_FAIL:  put_count(t, "  fail ", v->failed, ""); break;
    case FIELD_RETRY: put_count(t, "  retry ", v->retries, ""); break;
    case FIELD_LIVE:  put_count(t, "  live ", v->live, ""); break;
    case FIELD_RATE:
        PUT(t, "  ");
        put_rate(t, v->rate);
        PUT(t, "/s");
        break;
    case FIELD_ETA:
        PUT(t, "  eta ");
        put_eta(t, v->eta_s);
        break;
    default:
        break;
    }
}

static void put_cells(text *t, unsigned percent, bool utf8) {
    unsigned full = percent * BAR_CELLS / 100;
    put_char(t, ' ');
    for (unsigned i = 0; i < BAR_CELLS; i++) {
        if (i < full) put_text(t, utf8 ? "\xE2\x96\x88" : "#");
        else          put_text(t, utf8 ? "\xE2\x96\x91" : ".");
    }
}

/* " 41%" and "  41230/100000"; "~ 41%" and "  41230/~100000" when the total is a guess. */
static void put_bar_head(text *percent, text *count, const progress_view *v) {
    if (v->total == 0) put_text(percent, "  -%");
    else put_format(percent, "%s%3u%%", v->estimated ? "~" : "", view_percent(v));
    put_count(count, "  ", v->done, "");
    if (v->total > 0) put_count(count, v->estimated ? "/~" : "/", v->total, "");
}

/* The bar's text, at most columns-1 wide: what does not fit is left out, the least important field
   first, so that the line never wraps. */
static void put_progress_bar(text *t, const progress_view *v, size_t columns, bool utf8,
                             bool color) {
    static const int shed[FIELDS] = { FIELD_BAR, FIELD_LIVE, FIELD_OK, FIELD_ETA, FIELD_RETRY,
                                      FIELD_RATE, FIELD_FAIL };
    text percent = { NULL, 0, 0, false }, count = percent, field = percent;
    bool shown[FIELDS];
    size_t widths[FIELDS], width = 0;
    put_bar_head(&percent, &count, v);
    for (int i = 0; i < FIELDS; i++) {
        field.size = 0;
        put_field(&field, v, i);
        widths[i] = i == FIELD_BAR ? BAR_CELLS + 1 : field.size;
        shown[i] = i != FIELD_BAR || v->total > 0;
        if (shown[i]) width += widths[i];
    }
    width += percent.size + count.size;
    for (int i = 0; i < FIELDS && width + 1 > columns; i++) {
        if (!shown[shed[i]]) continue;
        shown[shed[i]] = false;
        width -= widths[shed[i]];
    }
    if (width + 1 <= columns) {
        put_bytes(t, percent.at, percent.size);
        if (shown[FIELD_BAR]) put_cells(t, view_percent(v), utf8);
        put_bytes(t, count.at, count.size);
    }
    for (int i = FIELD_OK; i < FIELDS; i++) {
        bool red = color && i == FIELD_FAIL && v->failed > 0;
        if (!shown[i]) continue;
        if (red) PUT(t, "\033[31m");
        put_field(t, v, i);
        if (red) PUT(t, "\033[m");
    }
    text_free(&percent);
    text_free(&count);
    text_free(&field);
}

/* "2026-11-20T12:04:44Z sparp 41230/100000 ok=40897 fail=301 ..." */
static void put_progress_line(text *t, const progress_view *v, int64_t now_ms) {
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    char stamp[96];
    if (gmtime_r(&seconds, &utc) == NULL) memset(&utc, 0, sizeof utc);
    snprintf(stamp, sizeof stamp, "%d-%02d-%02dT%02d:%02d:%02dZ", utc.tm_year + 1900,
             utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
    put_bytes(t, stamp, strlen(stamp));
    put_count(t, " sparp ", v->done, "");
    if (v->total > 0) put_count(t, v->estimated ? "/~" : "/", v->total, "");
    put_count(t, " ok=", v->ok, "");
    put_count(t, " fail=", v->failed, "");
    put_count(t, " retry=", v->retries, " rate=");
    put_rate(t, v->rate);
    put_count(t, "/s live=", v->live, " eta=");
    if (v->eta_s >= 0) put_count(t, "", (uint64_t)v->eta_s, "s\n");
    else               PUT(t, "-\n");
}

static void put_progress_json(text *t, const progress_view *v, int64_t now_ms) {
    PUT(t, "{\"t\":");
    put_thousandths(t, now_ms);
    put_count(t, ",\"done\":", v->done, ",\"total\":");
    if (v->total > 0) put_u64(t, v->total);
    else              PUT(t, "null");
    PUT(t, ",\"estimated\":");
    put_text(t, v->estimated ? "true" : "false");
    put_count(t, ",\"ok\":", v->ok, "");
    put_count(t, ",\"fail\":", v->failed, "");
    put_count(t, ",\"retry\":", v->retries, ",\"rate\":");
    put_thousandths(t, (int64_t)(v->rate * 1000));
    put_count(t, ",\"live\":", v->live, ",\"eta\":");
    if (v->eta_s >= 0) put_u64(t, (uint64_t)v->eta_s);
    else               PUT(t, "null");
    PUT(t, "}\n");
}

static size_t terminal_columns(void) {
    struct winsize window;
    const char *env = getenv("COLUMNS");
    int64_t columns;
    if (env != NULL && parse_count(slice_of(env), &columns) && columns > 0 && columns < 10000) {
        return (size_t)columns;
    }
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0) return window.ws_col;
    return 80;
}

/* As the names of locales say it: "de_DE.UTF-8", "C.utf8". */
static bool terminal_takes_utf8(void) {
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
    const char *value = NULL;
    for (size_t i = 0; i < 3 && (value == NULL || *value == '\0'); i++) value = getenv(names[i]);
    const char *dot = value != NULL ? strchr(value, '.') : NULL;
    return dot != NULL && (strncasecmp(dot, ".UTF-8", 6) == 0 || strncasecmp(dot, ".UTF8", 5) == 0);
}

static bool terminal_is_dumb(void) {
    const char *term = getenv("TERM");
    return term == NULL || strcmp(term, "dumb") == 0;
}

/* stderr is a terminal that can redraw a line, and the records do not scroll over it. */
static bool bar_makes_sense(void) {
    struct stat out, err;
    if (!isatty(STDERR_FILENO) || terminal_is_dumb()) return false;
    if (!isatty(STDOUT_FILENO)) return true;
    return fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0
        && out.st_rdev != err.st_rdev;
}

static bool color_wanted(const config *c) {
    if (c->color != COLOR_AUTO) return c->color == COLOR_ALWAYS;
    if (env_text("NO_COLOR") != NULL) return false;
    if (env_text("FORCE_COLOR") != NULL || env_text("CLICOLOR_FORCE") != NULL) return true;
    return isatty(STDERR_FILENO) && !terminal_is_dumb();
}

static void progress_open(progress *p, const config *c) {
    memset(p, 0, sizeof *p);
    p->mode = c->progress;
    if (p->mode == PROGRESS_AUTO) {
        bool over_records = c->output == NULL && !bar_makes_sense();
        bool bar = c->output != NULL ? isatty(STDERR_FILENO) && !terminal_is_dumb() : !over_records;
        p->mode = bar ? PROGRESS_BAR : c->verbose ? PROGRESS_LINE : PROGRESS_NONE;
    }
    if (c->quiet) p->mode = PROGRESS_NONE;
    p->utf8 = terminal_takes_utf8();
    p->color = color_wanted(c);
    p->columns = terminal_columns();
    p->limit = c->max_per_second;
    p->last_us = p->sampled_us = monotonic_us();
}

/* How long the loop may sleep before the next drawing; -1: as long as it likes. */
static int progress_wait_ms(const progress *p) {
    if (p->mode == PROGRESS_NONE) return -1;
    int64_t every = p->mode == PROGRESS_BAR ? BAR_EVERY_US : LINE_EVERY_US;
    int64_t left = p->last_us + every - monotonic_us();
    return left > 0 ? (int)(left / 1000) + 1 : 0;
}

/* The rate of the last second or so, and the time left that follows from it. */
static void progress_rate(progress *p, progress_view *v, int64_t now_us) {
    int64_t passed = now_us - p->sampled_us;
    if (passed >= BAR_EVERY_US / 2) {
        double rate = (double)(v->done - p->sampled_done) * 1e6 / (double)passed;
        double weight = passed > 1000000 ? 1 : (double)passed / 1e6;
        if (p->sampled_done == 0) weight = 1;
        p->rate += (rate - p->rate) * weight;
        p->sampled_us = now_us;
        p->sampled_done = v->done;
    }
    v->rate = p->rate;
    v->eta_s = -1;
    if (v->total == 0 || v->done > v->total) return;
    double remaining = (double)(v->total - v->done);
    double seconds = p->rate > 0 ? remaining / p->rate : -1;
    if (p->limit > 0 && remaining / p->limit > seconds) seconds = remaining / p->limit;
    if (seconds >= 0 && seconds < 1e9) v->eta_s = (int64_t)(seconds + 0.5);
}

static void progress_show(progress *p, progress_view *v) {
    text t = { NULL, 0, 0, false };
    size_t written;
    p->last_us = monotonic_us();
    progress_rate(p, v, p->last_us);
    if (p->mode == PROGRESS_BAR) {
        put_char(&t, '\r');
        put_progress_bar(&t, v, p->columns, p->utf8, p->color);
        PUT(&t, "\033[K");
        (void)write_all(STDERR_FILENO, t.at, t.size, &written);
        bar_is_drawn = true;
    } else {
        if (p->mode == PROGRESS_JSON) put_progress_json(&t, v, wall_ms());
        else                          put_progress_line(&t, v, wall_ms());
        say_text(&t);
    }
    text_free(&t);
}

/* ============================================================================================ */
/* >>signals - flags set by handlers                                                             */
/* ============================================================================================ */

/* Handlers have no argument to carry a run in: the one place for globals. */
static sparp *volatile        signal_run;        /* to be woken; NULL: none */
static volatile sig_atomic_t signal_stops;       /* how many INT, TERM, HUP */
static volatile sig_atomic_t signal_last;        /* the first of them: what we die of */
static volatile sig_atomic_t signal_status;      /* a progress line is asked for */
static volatile sig_atomic_t signal_resized;

static void signal_wake(void) {
    int error = errno;
    if (signal_run != NULL) sparp_wake(signal_run);
    errno = error;
}

static void on_stop_signal(int number) {
    if (signal_stops == 2) _exit(128 + number);
    if (signal_stops == 0) signal_last = number;
    signal_stops++;
    signal_wake();
}

static void on_status_signal(int number) {
    (void)number;
    signal_status = 1;
    signal_wake();
}

static void on_resize_signal(int number) {
    (void)number;
    signal_resized = 1;
}

/* Who ignores a signal (nohup, a shell's background job) meant it. */
static void signal_catch(int number, void (*handler)(int), int flags) {
    struct sigaction action, before;
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_IGN) return;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, NULL);
}

static void signals_catch(void) {
    signal_catch(SIGINT, on_stop_signal, 0);
    signal_catch(SIGTERM, on_stop_signal, 0);
    signal_catch(SIGHUP, on_stop_signal, 0);
    signal_catch(SIGUSR1, on_status_signal, SA_RESTART);
#ifdef SIGINFO
    signal_catch(SIGINFO, on_status_signal, SA_RESTART);
#endif
    signal_catch(SIGWINCH, on_resize_signal, SA_RESTART);
    signal_catch(SIGXFSZ, SIG_IGN, 0);       /* a write that is too much fails, and is told */
}

/* Dies of the signal that ended the run, so that a shell sees just that. */
static void signal_die(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(signal_last, &action, NULL);
    (void)raise(signal_last);
}

/* ============================================================================================ */
/* >>run - the loop that joins all of the above                                                  */
/* ============================================================================================ */

enum { LINES_PER_PULL = 1000 };  /* lines without a request, before the loop gets its turn back */
enum { HELD_MAX = 1000 };        /* bad lines that wait for the results before them */
enum { SPARE_TEXT_MAX = 64 * 1024, DESCRIPTORS_EXTRA = 16, DESCRIPTORS_WORKER = 4 };

typedef struct held {            /* --order input: a finished record that is not due yet */
    struct held *next;
    uint64_t     after;          /* results to be delivered first */
    text         record;
} held;

typedef struct app {
    const config *config;
    parser        parser;
    reader        reader;
    record_style  style;
    sink          out, rejects;
    tally         tally;
    progress      progress;
    sparp        *run;
    ticket       *spare;         /* free list */
    held         *held_first, *held_last;
    size_t        num_held;
    uint64_t      pulled, delivered;     /* requests handed to the run, results got back */
    int           body_dir;      /* descriptor of --body-dir, or -1 */
    uint64_t      body_files;    /* written there */
    bool          bodies_failed; /* one could not be written: said so */
    uint64_t      bad_lines;
    char          first_bad[512];        /* message of the first one */
    int64_t       now_ms;        /* wall clock of this turn */
    int           stops_seen;    /* how many of signal_stops have been acted upon */
    bool          input_waits;   /* the next line has to be waited for */
    bool          input_paused;  /* too much is held, see app_is_full() */
    bool          input_failed;  /* could not be read, or no memory for it: said so */
    bool          input_refused; /* --on-bad-line fail */
    bool          step_sleeps;   /* we are inside a step that may sleep */
    bool          aborted;
    bool          out_of_memory;
} app;

static ticket *ticket_take(app *a) {
    ticket *k = a->spare;
    if (k != NULL) a->spare = k->next;
    else           k = (ticket *)calloc(1, sizeof *k);
    return k;
}

static void ticket_give_back(app *a, ticket *k) {
    if (k->parts.room > SPARE_TEXT_MAX) text_free(&k->parts);
    k->next = a->spare;
    a->spare = k;
}

static bool app_has_failed(const app *a) {
    return a->out.failed || a->rejects.failed || a->bodies_failed || a->out_of_memory;
}

static void app_reject(app *a, slice line) {
    if (a->rejects.fd < 0) return;
    put_slice(&a->rejects.buffer, line);
    put_char(&a->rejects.buffer, '\n');
    sink_record_done(&a->rejects);
}

static void app_flush(app *a) {
    if (a->out.buffer.size > 0 || a->out.buffer.failed) sink_flush(&a->out);
    if (a->rejects.buffer.size > 0 || a->rejects.buffer.failed) sink_flush(&a->rejects);
}

/* With --order input, a bad line's record keeps its place between those of its neighbours. */
static void app_hold(app *a, uint64_t index, slice message, slice line) {
    held *h = (held *)calloc(1, sizeof *h);
    if (h == NULL) {
        a->out_of_memory = true;
        return;
    }
    put_bad_record(&h->record, &a->style, index, message, line);
    if (h->record.failed) a->out_of_memory = true;
    h->after = a->pulled;
    if (a->held_last != NULL) a->held_last->next = h;
    else                      a->held_first = h;
    a->held_last = h;
    a->num_held++;
}

/* Writes the held records that are due now. */
static void app_release(app *a) {
    while (a->held_first != NULL && a->held_first->after <= a->delivered) {
        held *h = a->held_first;
        a->held_first = h->next;
        if (h->next == NULL) a->held_last = NULL;
        a->num_held--;
        put_bytes(&a->out.buffer, h->record.at, h->record.size);
        sink_record_done(&a->out);
        text_free(&h->record);
        free(h);
    }
}

/* Bounds what waits for results: they come without more input, so a pause has an end. */
static bool app_is_full(const app *a) {
    return a->num_held >= HELD_MAX;
}

/* The line is no request. */
static void app_bad_line(app *a, slice line, bool whole) {
    const reader *r = &a->reader;
    const parser *p = &a->parser;
    char message[400];
    unsigned long long number = (unsigned long long)r->lines_here;
    int size = snprintf(message, sizeof message, "%.200s%sline %llu, column %llu: %s",
                        r->num_sources > 1 ? r->name : "", r->num_sources > 1 ? ", " : "", number,
                        (unsigned long long)p->column, p->error);
    slice sentence = { message, size > 0 ? strlen(message) : 0 };
    if (a->bad_lines++ == 0) {
        (void)snprintf(a->first_bad, sizeof a->first_bad, "%.200s:%llu:%llu: %s", r->name, number,
                       (unsigned long long)p->column, p->error);
    }
    a->input_refused = a->config->on_bad_line == BAD_LINE_FAIL;
    if (a->config->on_bad_line == BAD_LINE_SKIP) return;
    sample s;
    memset(&s, 0, sizeof s);
    s.outcome = OUTCOME_INVALID;
    tally_add(&a->tally, &s);
    if (whole) app_reject(a, line);
    if (a->config->order == ORDER_INPUT && a->delivered < a->pulled) {
        app_hold(a, r->lines - 1, sentence, line);
        return;
    }
    put_bad_record(&a->out.buffer, &a->style, r->lines - 1, sentence, line);
    sink_record_done(&a->out);
}

/* The next request of the input into *it; bad lines are dealt with on the way. READ_LATER also
   after many lines without any, so that signals and results get their turn: then input_waits is
   not set. */
static read_state app_next_item(app *a, item *it) {
    const config *c = a->config;
    for (int budget = LINES_PER_PULL; budget > 0; budget--) {
        slice line;
        if (c->given[OPTION_LIMIT] && a->reader.lines >= (uint64_t)(c->skip + c->limit)) {
            return READ_END;
        }
        if (app_is_full(a)) {
            a->input_paused = true;
            return READ_LATER;
        }
        read_state state = reader_next(&a->reader, &line);
        if (state == READ_FAILED) a->input_failed = true;
        if (state == READ_LATER) a->input_waits = true;
        if (state != READ_LINE && state != READ_TOO_LONG) return state;
        if (a->reader.lines <= (uint64_t)c->skip) continue;
        line_kind kind = LINE_BAD;
        if (state == READ_LINE) kind = parse_line(&a->parser, line, a->reader.argument, it);
        else (void)line_bad(&a->parser, LINE_BYTES_MAX + 1, "line is longer than 64 MiB");
        if (parser_failed(&a->parser)) a->out_of_memory = true;
        if (kind == LINE_BAD) app_bad_line(a, line, state == READ_LINE);
        if (app_has_failed(a) || a->input_refused) return READ_FAILED;
        if (kind == LINE_REQUEST) return READ_LINE;
    }
    return READ_LATER;
}

static uint64_t stats_failed(const sparp_stats *s) {
    return s->hard_fail + s->soft_exhausted + s->timeout_exhausted + s->transport_failed
         + s->local_failed;
}

static bool fired_by_max_fail(const config *c, const sparp_stats *s) {
    uint64_t failed = stats_failed(s), ended = s->success + failed;
    return (c->max_fail > 0 && failed >= (uint64_t)c->max_fail)
        || (c->max_fail_percent > 0 && failed * 100 >= ended * (uint64_t)c->max_fail_percent);
}

/* What the library leaves to us: which rules cut and which drain. */
static void app_rules(app *a) {
    const config *c = a->config;
    if (a->aborted) return;
    sparp_stats s = sparp_get_stats(a->run);
    bool mode_given = c->given[OPTION_STOP_MODE];
    if (s.stopped == SPARP_STOPPED_BY_DEADLINE || s.stopped == SPARP_STOPPED_BY_INPUT) {
        a->aborted = s.stopped == SPARP_STOPPED_BY_DEADLINE || app_has_failed(a);
    } else if (s.stopped == SPARP_STOPPED_BY_SUCCESSES) {
        a->aborted = !mode_given;
    } else if (s.stopped == SPARP_STOPPED_BY_RULE) {
        a->aborted = !mode_given && !fired_by_max_fail(c, &s);
    }
    if (app_has_failed(a)) a->aborted = true;
    if (a->aborted) sparp_abort(a->run);
}

/* The item's body_file. One that cannot be read becomes a request that the library refuses (a size
   without a body), so that it is counted and delivered like any other; the ticket knows the
   reason. */
static void app_take_body_file(const app *a, ticket *k, const item *it, sparp_request *out) {
    bool found = body_file_find(k, &a->reader, it->body_file);
    if (found && k->file.st_size == 0) return;       /* an empty body is there already */
    out->body = NULL;
    out->body_size = found ? (size_t)k->file.st_size : 1;
    out->read_body = found ? body_file_read : NULL;
}

/* sparp_options.next_request */
static sparp_input next_request(sparp_request *out, void *user_data) {
    app *a = (app *)user_data;
    const config *c = a->config;
    item it;
    uint64_t lines_before = a->out.lines;
    a->input_waits = false;
    read_state state = app_has_failed(a) ? READ_FAILED : app_next_item(a, &it);
    if (a->out.lines > lines_before) app_flush(a);     /* bad lines do not wait for an answer */
    if (state == READ_END) return SPARP_INPUT_END;
    if (state == READ_FAILED) return SPARP_INPUT_FAILED;
    if (state == READ_LATER) {
        /* A step that sleeps would not notice new input: it is ended, and the loop waits for both.
           Nor would it notice that there is more to read right now. */
        bool at_once = !a->input_waits && !a->input_paused;
        if (at_once || (a->input_waits && a->step_sleeps)) sparp_wake(a->run);
        return SPARP_INPUT_LATER;
    }
    ticket *k = ticket_take(a);
    bool with_line = c->echo || a->rejects.fd >= 0;
    item_request(&a->parser, &it, out);
    bool filled = k != NULL && ticket_fill(k, a->reader.lines - 1, &it, with_line);
    if (filled && it.body_file != NULL) app_take_body_file(a, k, &it, out);
    if (!filled || k->parts.failed) {
        a->out_of_memory = true;
        if (k != NULL) ticket_give_back(a, k);
        return SPARP_INPUT_FAILED;
    }
    out->user_data = k;
    a->pulled++;
    return SPARP_INPUT_READY;
}

/* The file of its body. One that could not be written is no success, whatever the server said. */
static void app_finish_body(app *a, ticket *k, sparp_result *r) {
    bool finished = part_finish(k, a->body_dir, r);
    a->body_files += k->has_file;
    if (finished) return;
    r->outcome = SPARP_OUTCOME_LOCAL_FAILED;
    r->error = SPARP_E_SINK_FAILED;
    text path = { NULL, 0, 0, false };
    put_body_path(&path, a->style.body_dir, k->index);
    slice shown = { path.at, path.size };
    const char *why = strerror(k->part_error);
    ticket_fail(k, "cannot write ", shown, why);
    if (!a->bodies_failed) say("cannot write %.*s: %s", (int)shown.size, shown.at, why);
    a->bodies_failed = true;
    text_free(&path);
}

/* A result: its record, its line if it failed, its place in the statistics. */
static void app_deliver(app *a, const sparp_result *result) {
    ticket *k = (ticket *)result->user_data;
    sparp_result r = *result;
    sample s;
    if (a->body_dir >= 0) app_finish_body(a, k, &r);
    sample_result(&s, &r, k->index);
    tally_add(&a->tally, &s);
    put_record(&a->out.buffer, &a->style, k, &r, a->now_ms);
    sink_record_done(&a->out);
    if (r.outcome != SPARP_OUTCOME_SUCCESS) app_reject(a, ticket_line(k));
    ticket_give_back(a, k);
    a->delivered++;
    if (a->num_held > 0) app_release(a);
}

static uint64_t stats_done(const sparp_stats *s) {
    return s->success + stats_failed(s) + s->cancelled + s->not_started;
}

static uint64_t stats_retries(const sparp_stats *s) {
    return s->soft_retries + s->timeout_retries + s->transport_retries;
}

/* Lines there will be, as well as it is known: the library's number, else what the sizes of the
   files promise. */
static void app_total(const app *a, const sparp_stats *s, progress_view *v) {
    uint64_t bad = a->tally.outcomes[OUTCOME_INVALID];
    const reader *r = &a->reader;
    v->estimated = !s->input_ended;
    v->total = s->input_size;
    if (s->input_ended) v->total += bad;
    bool part = a->config->given[OPTION_SKIP] || a->config->given[OPTION_LIMIT];
    if (v->total == 0 && r->bytes_in_all > 0 && !part && r->bytes_read > 0) {
        uint64_t used = r->bytes_read - (r->buffer.size - r->start);
        double share = (double)used / (double)r->bytes_in_all;
        if (used > 0) v->total = (uint64_t)((double)(s->pulled + bad) / share + 0.5);
    }
    if (v->total < v->done) v->total = v->total == 0 ? 0 : v->done;
}

static void app_show_progress(app *a) {
    sparp_stats s = sparp_get_stats(a->run);
    progress_view v;
    memset(&v, 0, sizeof v);
    v.done = stats_done(&s) + a->tally.outcomes[OUTCOME_INVALID];
    v.ok = s.success;
    v.failed = stats_failed(&s);
    v.retries = stats_retries(&s);
    v.live = s.in_flight;
    app_total(a, &s, &v);
    progress_show(&a->progress, &v);
}

/* INT, TERM, HUP: the first drains, the second cuts (the third ends the handler). */
static void app_signals(app *a) {
    if (signal_resized) {
        signal_resized = 0;
        a->progress.columns = terminal_columns();
    }
    if (signal_status) {
        signal_status = 0;
        int mode = a->progress.mode;
        if (mode != PROGRESS_JSON) a->progress.mode = PROGRESS_LINE;
        app_show_progress(a);
        a->progress.mode = mode;
    }
    int stops = signal_stops;
    if (stops > 0 && a->stops_seen == 0) {
        sparp_stats s = sparp_get_stats(a->run);
        double timeout = a->config->timeout > 0 ? a->config->timeout : 30;
        text patience = { NULL, 0, 0, false };
        put_thousandths(&patience, (int64_t)(timeout * 1000));
        put_char(&patience, '\0');
        say("stopping: %llu requests in flight get up to %s s. %s again to cut them.",
            (unsigned long long)s.in_flight, patience.failed ? "30" : patience.at,
            signal_last == SIGINT ? "Ctrl-C" : "Signal");
        text_free(&patience);
        sparp_drain(a->run);
    }
    if (stops > 1 && a->stops_seen < 2) sparp_abort(a->run);
    a->stops_seen = stops;
}

/* New lines and new answers, whichever comes first. */
static void app_wait_for_input(app *a) {
    struct pollfd wait[2] = { { a->reader.fd, POLLIN, 0 }, { sparp_poll_fd(a->run), POLLIN, 0 } };
    int timeout = sparp_wait_ms(a->run), drawing = progress_wait_ms(&a->progress);
    if (timeout < 0 || (drawing >= 0 && drawing < timeout)) timeout = drawing;
    if (poll(wait, 2, timeout) <= 0 || wait[0].revents == 0) return;
    a->input_waits = false;
    sparp_wake(a->run);
}

static void app_loop(app *a) {
    bool alive = true;
    const sparp_result *r;
    while (alive) {
        app_signals(a);
        if (a->input_waits && sparp_get_stats(a->run).stopped != SPARP_STOPPED_NOT) {
            a->input_waits = false;      /* nobody asks for it any more */
        }
        if (a->input_waits) app_wait_for_input(a);
        a->step_sleeps = !a->input_waits;
        alive = sparp_step(a->run, a->step_sleeps ? progress_wait_ms(&a->progress) : 0);
        a->step_sleeps = false;
        a->now_ms = wall_ms();
        while ((r = sparp_ready(a->run)) != NULL) app_deliver(a, r);
        if (a->num_held > 0) app_release(a);
        if (a->input_paused && !app_is_full(a)) {
            a->input_paused = false;
            sparp_wake(a->run);
        }
        app_flush(a);
        app_rules(a);
        if (progress_wait_ms(&a->progress) == 0) app_show_progress(a);
    }
}

/* sparp_options.inspect, with --ok or --retry-on */
static sparp_verdict inspect_by_lists(const sparp_result *response, void *user_data) {
    const config *c = ((const app *)user_data)->config;
    int status = response->status;
    if (status < STATUS_MIN || status >= STATUS_END) return SPARP_HARD_FAIL;
    if (c->ok.has[status]) return SPARP_SUCCESS;
    return c->retry_on.has[status] ? SPARP_SOFT_FAIL : SPARP_HARD_FAIL;
}

/* sparp_options.on_body, on the threads of the workers */
static sparp_flow on_body(const sparp_result *head, uint64_t offset, const void *data, size_t size,
                          void *user_data) {
    const app *a = (const app *)user_data;
    ticket *k = (ticket *)head->user_data;
    slice piece = { (const char *)data, size };
    return part_write(k, a->body_dir, head, offset, piece) ? SPARP_FLOW_ON : SPARP_FLOW_FAILED;
}

/* sparp_options.parse, likewise: the body is complete. Its result may have to wait for its turn,
   and no descriptor should. */
static void *on_body_end(const sparp_result *response, void *user_data) {
    (void)user_data;
    (void)part_close((ticket *)response->user_data);
    return NULL;
}

/* sparp_options.on_retry: which statuses were tried again */
static void on_retry(sparp *run, const sparp_result *attempt, double wait_s, void *user_data) {
    app *a = (app *)user_data;
    (void)run;
    (void)wait_s;
    part_forget((ticket *)attempt->user_data);
    if (attempt->status > 0 && attempt->status < STATUS_END) a->tally.retried[attempt->status]++;
}

static void on_log(sparp_log_level level, const char *message, void *user_data) {
    (void)level;
    (void)user_data;
    say("%s", message);
}

/* N retries: a number that was given, where 0 is the library's "none", or its default. */
static int retries_option(const config *c, option_id id, int64_t value) {
    if (!c->given[id]) {
        if (!c->given[OPTION_RETRIES]) return 0;
        value = c->retries;
    }
    return value == 0 ? SPARP_NONE : (int)value;
}

static double none_if_zero(const config *c, option_id id, double value) {
    return c->given[id] && !(value > 0) ? SPARP_NONE : value;
}

/* Where to connect, and how long what may take. */
static void net_options(const config *c, sparp_options *o) {
    o->timeout_s = c->timeout;
    o->connect_timeout_s = c->connect_timeout;
    o->dns_timeout_s = c->dns_timeout;
    o->tls_timeout_s = c->tls_timeout;
    o->send_timeout_s = c->send_timeout;
    o->first_byte_timeout_s = c->first_byte_timeout;
    o->idle_timeout_s = c->idle_timeout;
    o->min_bytes_per_second = (double)c->min_speed;
    o->min_speed_s = c->min_speed_time;
    o->max_redirects = (int)c->max_redirs;
    o->sensitive_headers = c->sensitive;
    o->compressed = c->compressed;
    o->proxy = c->http_proxy;
    o->https_proxy = c->https_proxy != NULL ? c->https_proxy : c->http_proxy != NULL ? "" : NULL;
    if (o->proxy != NULL || o->https_proxy != NULL) o->no_proxy = c->no_proxy;
    o->unix_socket = c->unix_socket;
    o->resolve = c->resolve;
    o->connect_to = c->connect_to;
    o->local_address = c->local_address;
    o->ip_version = c->ipv4 ? 4 : c->ipv6 ? 6 : 0;
    o->tls.ca_file = c->cacert;
    o->tls.pin_sha256 = c->pin;
    o->tls.client_cert_file = c->cert;
    o->tls.client_key_file = c->key;
    o->tls.insecure_no_verify = c->insecure;
}

static void run_options(app *a, sparp_options *o) {
    const config *c = a->config;
    memset(o, 0, sizeof *o);
    net_options(c, o);
    o->next_request = next_request;
    o->estimated_input_size = (uint64_t)c->total;
    o->max_at_once = (int)c->max_at_once;
    o->max_at_once_per_origin = (int)c->per_host;
    o->workers = (int)c->workers;
    o->max_per_second = c->max_per_second;
    o->burst = (int)c->burst;
    o->run_deadline_s = c->deadline;
    if (c->given[OPTION_OK] || c->given[OPTION_RETRY_ON]) o->inspect = inspect_by_lists;
    o->max_retries_by_soft_fail = retries_option(c, OPTION_SOFT_RETRIES, c->soft_retries);
    o->max_retries_by_timeout = retries_option(c, OPTION_TIMEOUT_RETRIES, c->timeout_retries);
    o->max_retries_by_transport = retries_option(c, OPTION_TRANSPORT_RETRIES, c->transport_retries);
    o->backoff_s = none_if_zero(c, OPTION_BACKOFF, c->backoff);
    o->backoff_max_s = c->backoff_max;
    o->retry_after_max_s = none_if_zero(c, OPTION_RETRY_AFTER_MAX, c->retry_after_max);
    o->retry_safe_only = c->retry_safe_only;
    o->retry_unsafe = c->retry_unsafe;
    o->stop_on = c->stop_on;
    o->stop_after_failures = (int)c->max_fail;
    o->stop_after_successes = (int)c->first;
    o->stop_after_failure_ratio = (double)c->max_fail_percent / 100;
    o->stop_drains = c->given[OPTION_STOP_MODE] ? c->stop_mode == MODE_DRAIN
        : c->max_fail + c->max_fail_percent > 0;
    o->ordered = c->order == ORDER_INPUT;
    o->headers = c->headers + c->num_removed;
    o->num_headers = c->num_headers - c->num_removed;
    o->max_body_bytes = c->max_body;
    o->discard_body = c->body == BODY_NONE;
    if (c->body_dir != NULL) {
        o->on_body = on_body;
        o->parse = on_body_end;
    }
    o->on_retry = on_retry;
    o->logger.func = c->quiet ? NULL : on_log;
    o->logger.max_level = SPARP_LOG_WARN;
    o->user_data = a;
}

/* Takes what the system allows. Too few is no failure: then there are fewer requests at once, for
   sockets must not take what files and look-ups need. */
static void provide_descriptors(const config *c, sparp_options *o) {
    struct rlimit limit;
    /* Each has a connection, and a file; with --order input so may those whose body has broken off
       and whose result waits, of which there are four times as many at most. */
    rlim_t each = c->body_dir == NULL ? 1 : c->order == ORDER_INPUT ? 6 : 2;
    rlim_t extra = DESCRIPTORS_EXTRA;
    rlim_t at_once = c->max_at_once > 0 ? (rlim_t)c->max_at_once
                   : c->max_at_once == SPARP_AUTO ? 1000 : 100;
    int64_t workers = c->workers == SPARP_AUTO ? sysconf(_SC_NPROCESSORS_ONLN) : c->workers;
    if (workers > 1) extra += (rlim_t)workers * DESCRIPTORS_WORKER;
    rlim_t needed = at_once * each + extra;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) return;
    limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= needed || c->max_at_once == SPARP_AUTO) return;
    unsigned long long have = (unsigned long long)limit.rlim_cur;
    unsigned long long fits = have > extra + each ? (have - extra) / each : 1;
    o->max_at_once = (int)fits;
    if (fits > 100) fits -= fits % 100;
    say("-c %llu needs %llu file descriptors, the limit is %llu: fewer at once. "
        "Raise it with 'ulimit -n %llu' or use -c %llu.", (unsigned long long)at_once,
        (unsigned long long)needed, have, ((unsigned long long)needed + 999) / 1000 * 1000, fits);
}

static void app_free(app *a) {
    while (a->spare != NULL) {
        ticket *next = a->spare->next;
        text_free(&a->spare->parts);
        free(a->spare);
        a->spare = next;
    }
    while (a->held_first != NULL) {
        held *next = a->held_first->next;
        text_free(&a->held_first->record);
        free(a->held_first);
        a->held_first = next;
    }
    sink_close(&a->out);
    sink_close(&a->rejects);
    if (a->body_dir >= 0) (void)close(a->body_dir);
    reader_free(&a->reader);
    parser_free(&a->parser);
    free(a);
}

/* False after a message: what is written where is settled before anything is sent. */
static bool app_open_outputs(app *a) {
    const config *c = a->config;
    struct stat info;
    a->out.fd = STDOUT_FILENO;
    a->out.name = "stdout";
    if (c->summary_file != NULL && is_an_input(&a->reader, c->summary_file)) {
        say("%s is input and output", c->summary_file);
        return false;
    }
    if ((c->rejects != NULL && !sink_open(&a->rejects, &a->reader, c->rejects))
        || (c->output != NULL && !sink_open(&a->out, &a->reader, c->output)))
        return false;
    bool twice = c->rejects != NULL && fstat(a->rejects.fd, &info) == 0
        && is_output_of(&a->out, &info);
    if (!twice && c->summary_file != NULL && stat(c->summary_file, &info) == 0)
        twice = is_output_of(&a->out, &info) || is_output_of(&a->rejects, &info);
    if (twice) {
        say("%s would be two outputs in one", a->out.name);
        return false;
    }
    sink_begin(&a->rejects);
    if (c->output != NULL) sink_begin(&a->out);
    return true;
}

/* False after a message. */
static bool app_open_body_dir(app *a) {
    const char *dir = a->config->body_dir;
    bool made = mkdir(dir, 0777) == 0 || errno == EEXIST;
    if (made) a->body_dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (a->body_dir >= 0 && faccessat(a->body_dir, ".", W_OK | X_OK, 0) == 0) return true;
    say("--body-dir: cannot %s %s: %s", made ? "write to" : "create", dir, strerror(errno));
    return false;
}

/* Input and outputs opened; NULL after a message. */
static app *app_new(const config *c) {
    app *a = (app *)calloc(1, sizeof *a);
    if (a == NULL) {
        say("out of memory");
        return NULL;
    }
    a->config = a->parser.config = c;
    a->reader.fd = a->rejects.fd = a->out.fd = a->body_dir = -1;
    a->style.ascii = c->ascii;
    a->style.echo = c->echo;
    a->style.body = c->body;
    a->style.headers = c->headers_shown;
    a->style.body_dir = c->body_dir;
    if (!reader_open(&a->reader, c->sources, c->num_sources) || !app_open_outputs(a)) {
        app_free(a);
        return NULL;
    }
    a->now_ms = wall_ms();
    return a;
}

static void app_say_bad_lines(const app *a) {
    if (a->bad_lines == 0 || (a->config->quiet && !a->input_refused)) return;
    bool skipped = a->config->on_bad_line == BAD_LINE_SKIP;
    const char *hint = skipped ? "skipped" : "see outcome \"invalid\"";
    say("%s            (%llu bad line%s; %s)", a->first_bad, (unsigned long long)a->bad_lines,
        a->bad_lines == 1 ? "" : "s", hint);
}

/* Why the run ended before its input did; nothing if it did not. */
static void app_say_stop(const app *a, const sparp_stats *s) {
    const config *c = a->config;
    unsigned long long done = (unsigned long long)(s->success + stats_failed(s));
    if (signal_stops > 0 && s->input_size > 0) {
        say("interrupted after %llu of %s%llu.", done, s->input_ended ? "" : "~",
            (unsigned long long)s->input_size);
    } else if (signal_stops > 0) {
        say("interrupted after %llu.", done);
    } else if (s->stopped == SPARP_STOPPED_BY_DEADLINE) {
        say("stopped after %llu: the --deadline has passed", done);
    } else if (s->stopped == SPARP_STOPPED_BY_RULE) {
        say("stopped after %llu by %s", done, fired_by_max_fail(c, s) ? "--max-fail" : "--stop-on");
    } else if (s->stopped == SPARP_STOPPED_BY_ERROR) {
        say("stopped after %llu: %s", done, sparp_error_detail(a->run));
    }
    if (a->out_of_memory) say("out of memory after %llu requests", done);
}

static bool app_show_summary(const app *a, const sparp_stats *s) {
    summary y;
    memset(&y, 0, sizeof y);
    y.tally = &a->tally;
    y.elapsed_us = s->elapsed_us;
    memcpy(y.waited_us, s->waited_us, sizeof y.waited_us);
    y.connects = s->connects;
    y.reuses = s->reuses;
    y.soft_retries = s->soft_retries;
    y.timeout_retries = s->timeout_retries;
    y.transport_retries = s->transport_retries;
    y.redirects = s->redirects;
    y.histogram = a->config->verbose || isatty(STDERR_FILENO);
    y.utf8 = a->progress.utf8;
    y.out = &a->out;
    y.rejects = &a->rejects;
    y.body_dir = a->config->body_dir;
    y.body_files = a->body_files;
    return summary_show(a->config, &y);
}

/* The table of exit codes, top down. */
static int app_exit_code(const app *a, const sparp_stats *s) {
    const config *c = a->config;
    bool bad = stats_failed(s) + s->cancelled + s->not_started > 0
            || a->tally.outcomes[OUTCOME_INVALID] > 0;
    bool lost = a->input_failed || a->out_of_memory || s->stopped == SPARP_STOPPED_BY_ERROR;
    if (lost && s->pulled == 0) return EXIT_USAGE;
    if (a->input_refused && s->pulled == 0) return EXIT_USAGE;
    if (lost || app_has_failed(a)) return EXIT_OUTPUT;
    if (s->stopped == SPARP_STOPPED_BY_DEADLINE) return EXIT_DEADLINE;
    if (a->input_refused || s->stopped == SPARP_STOPPED_BY_RULE) return EXIT_RULE;
    if (c->first > 0) bad = s->success < (uint64_t)c->first;
    return bad && !c->no_fail ? EXIT_SOME_BAD : EXIT_ALL_OK;
}

static int run_requests(config *c) {
    sparp_options options;
    sparp_error error;
    if (!config_proxies(c)) return EXIT_USAGE;
    app *a = app_new(c);
    if (a == NULL) return EXIT_USAGE;
    if (c->body_dir != NULL && !app_open_body_dir(a)) {
        app_free(a);
        return EXIT_USAGE;
    }
    progress_open(&a->progress, c);
    run_options(a, &options);
    provide_descriptors(c, &options);
    signals_catch();
    a->run = sparp_open(&options, &error);
    if (a->run == NULL) {
        const char *why = sparp_check_options(&options);
        say("cannot start: %s", why[0] != '\0' ? why : sparp_error_text(error));
        app_free(a);
        return EXIT_USAGE;
    }
    signal_run = a->run;
    app_loop(a);
    signal_run = NULL;
    sparp_stats s = sparp_get_stats(a->run);
    clear_bar();
    app_say_bad_lines(a);
    app_say_stop(a, &s);
    bool shown = app_show_summary(a, &s);
    if (c->drain_input && signal_stops == 0) reader_drain(&a->reader);
    sink_close(&a->out);
    sink_close(&a->rejects);
    int code = shown ? app_exit_code(a, &s) : EXIT_OUTPUT;
    sparp_close(a->run);
    app_free(a);
    if (signal_stops > 0 && code != EXIT_OUTPUT) signal_die();
    return code;
}

/* ============================================================================================ */
/* >>modes - --dry-run, --summarize                                                              */
/* ============================================================================================ */

/* One record per line, nothing sent. */
static int run_dry(const config *c) {
    app *a = app_new(c);
    if (a == NULL) return EXIT_USAGE;
    ticket k;
    item it;
    read_state state;
    memset(&k, 0, sizeof k);
    while ((state = app_next_item(a, &it)) != READ_END && state != READ_FAILED) {
        if (state != READ_LINE) {
            struct pollfd wait = { a->reader.fd, POLLIN, 0 };
            app_flush(a);
            if (a->input_waits) (void)poll(&wait, 1, -1);
            a->input_waits = false;
            continue;
        }
        sparp_request request;
        item_request(&a->parser, &it, &request);
        if (!ticket_fill(&k, a->reader.lines - 1, &it, c->echo)) a->out_of_memory = true;
        put_dry_record(&a->out.buffer, &a->style, &k, &request);
        sink_record_done(&a->out);
        if (app_has_failed(a)) break;
    }
    text_free(&k.parts);
    app_flush(a);
    app_say_bad_lines(a);
    sink_close(&a->out);
    sink_close(&a->rejects);
    int code = a->out_of_memory || a->input_failed || a->input_refused ? EXIT_USAGE : EXIT_ALL_OK;
    if (a->tally.outcomes[OUTCOME_INVALID] > 0 && code == EXIT_ALL_OK) code = EXIT_SOME_BAD;
    if (app_has_failed(a) && !a->out_of_memory) code = EXIT_OUTPUT;
    if (code == EXIT_SOME_BAD && c->no_fail) code = EXIT_ALL_OK;
    app_free(a);
    return code;
}

static int outcome_find(slice name) {    /* -1: no such */
    if (slice_is(name, "invalid")) return OUTCOME_INVALID;
    for (int i = 0; i < SPARP_OUTCOME_COUNT; i++) {
        if (slice_is(name, sparp_outcome_name((sparp_outcome)i))) return i;
    }
    return -1;
}

static sparp_error error_find(slice kind) {
    for (int i = 0; i < SPARP_E_COUNT; i++) {
        if (same_name(kind, slice_of(sparp_error_name((sparp_error)i)))) return (sparp_error)i;
    }
    return SPARP_E_SYSTEM;
}

static sparp_phase phase_find(slice name) {
    for (int i = 0; i < SPARP_PHASE_COUNT; i++) {
        if (slice_is(name, sparp_phase_name((sparp_phase)i))) return (sparp_phase)i;
    }
    return SPARP_PHASE_FIRST_BYTE;
}

typedef struct saved {           /* a record read back */
    sample  sample;
    double  seconds;             /* its "t" */
    bool    has_outcome;
} saved;

static double take_number(slice raw) {
    return raw.size > 0 && (is_digit(raw.at[0]) || raw.at[0] == '-') ? json_number_value(raw) : 0;
}

static slice unquoted(slice raw) {
    slice s = { raw.at + 1, raw.size - 2 };
    return raw.size >= 2 && raw.at[0] == '"' ? s : raw;
}

/* One member of "ms", "bytes" or "error". */
static void saved_inner(saved *v, slice outer, slice key, slice raw) {
    sample *s = &v->sample;
    if (slice_is(outer, "ms")) {
        int64_t us = (int64_t)(take_number(raw) * 1000 + 0.5);
        if (slice_is(key, "total")) s->elapsed_us = us;
        if (slice_is(key, "all")) s->total_us = us;
    } else if (slice_is(outer, "bytes")) {
        if (slice_is(key, "in")) s->bytes_in = (uint64_t)take_number(raw);
        if (slice_is(key, "out")) s->bytes_out = (uint64_t)take_number(raw);
    } else if (slice_is(outer, "error")) {
        if (slice_is(key, "kind")) s->error = error_find(unquoted(raw));
        if (slice_is(key, "phase")) s->phase = phase_find(unquoted(raw));
    }
}

static void saved_member(saved *v, slice key, slice raw) {
    sample *s = &v->sample;
    if (slice_is(key, "outcome")) {
        s->outcome = outcome_find(unquoted(raw));
        v->has_outcome = s->outcome >= 0;
    }
    if (slice_is(key, "index")) s->index = (uint64_t)take_number(raw);
    if (slice_is(key, "status")) s->status = (int)take_number(raw);
    if (slice_is(key, "attempts")) s->attempts = (int)take_number(raw);
    if (slice_is(key, "redirects")) s->redirects = (int)take_number(raw);
    if (slice_is(key, "t")) v->seconds = take_number(raw);
    if (slice_is(key, "reused")) s->reused = slice_is(raw, "true");
    if (slice_is(key, "url")) s->url = unquoted(raw);
    bool nested = slice_is(key, "ms") || slice_is(key, "bytes") || slice_is(key, "error");
    if (!nested || raw.size == 0 || raw.at[0] != '{') return;
    json j = json_of(slice_from(raw, 1));
    slice inner_key, inner;
    bool first = true;
    while (json_more(&j, '}', &first)) {
        if (!json_key(&j, &inner_key) || !json_value(&j, &inner)) return;
        saved_inner(v, key, inner_key, inner);
    }
}

/* A record as this command writes it; false: the line is none. */
static bool saved_parse(saved *v, slice line) {
    json j = json_of(line);
    slice key, raw;
    bool first = true;
    memset(v, 0, sizeof *v);
    if (!json_take(&j, '{', "expected an object")) return false;
    while (json_more(&j, '}', &first)) {
        if (!json_key(&j, &key) || !json_value(&j, &raw)) return false;
        saved_member(v, key, raw);
    }
    return j.error == NULL && json_end(&j) && v->has_outcome;
}

static bool summarize_line(app *a, slice line, double *from, double *to) {
    saved v;
    if (!saved_parse(&v, line)) return false;
    tally_add(&a->tally, &v.sample);
    if (!(v.seconds > 0)) return true;
    double start = v.seconds - (double)v.sample.total_us / 1e6;
    if (*to <= 0 || start < *from) *from = start;
    if (v.seconds > *to) *to = v.seconds;
    return true;
}

/* The summary of records saved before, of any number of files. */
static int run_summarize(const config *c) {
    app *a = app_new(c);
    if (a == NULL) return EXIT_USAGE;
    uint64_t strange = 0;
    double from = 0, to = 0;
    slice line;
    read_state state;
    while ((state = reader_next(&a->reader, &line)) != READ_END && state != READ_FAILED) {
        if (state == READ_LATER) {
            struct pollfd wait = { a->reader.fd, POLLIN, 0 };
            (void)poll(&wait, 1, -1);
        } else if (state == READ_TOO_LONG
                   || (trimmed(line).size > 0 && !summarize_line(a, line, &from, &to))) {
            strange++;
        }
    }
    if (strange > 0) {
        say("%llu line%s skipped: not a record of sparp", (unsigned long long)strange,
            strange == 1 ? "" : "s");
    }
    summary y;
    memset(&y, 0, sizeof y);
    y.tally = &a->tally;
    y.elapsed_us = (int64_t)((to - from) * 1e6);
    y.histogram = c->verbose || isatty(STDERR_FILENO);
    y.utf8 = terminal_takes_utf8();
    bool shown = summary_show(c, &y);
    app_free(a);
    return state == READ_FAILED ? EXIT_USAGE : shown ? EXIT_ALL_OK : EXIT_OUTPUT;
}

/* ============================================================================================ */
/* >>main                                                                                        */
/* ============================================================================================ */

static void put_version(text *t) {
#if defined(__clang__)
    const char *compiler = "clang " __clang_version__;
#elif defined(__VERSION__)
    const char *compiler = "gcc " __VERSION__;
#else
    const char *compiler = "unknown";
#endif
    PUT(t, "sparp " SPARP_VERSION_STRING "\ncompiler  ");
    put_text(t, compiler);
    PUT(t, "\nTLS       ");
    put_text(t, sparp_tls_library());
    PUT(t, "\nbackend   ");
    put_text(t, sparp_backend());
    PUT(t, "\nzlib      ");
    put_text(t, sparp_has_zlib() ? "yes\n" : "no\n");
}

/* What was asked for on stdout, and the exit code of having done so. */
static int print_and_free(text *t) {
    size_t written;
    bool done = !t->failed && write_all(STDOUT_FILENO, t->at, t->size, &written);
    if (!done) say("cannot write stdout: %s", t->failed ? "out of memory" : strerror(errno));
    text_free(t);
    return done ? EXIT_ALL_OK : EXIT_OUTPUT;
}

/* A closed standard descriptor would be taken by the first file that is opened, and its records
   would land there: /dev/null takes the place. Returns which ones were closed, as 1 << fd. */
static int fill_standard_fds(void) {
    int closed = 0;
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        if (open("/dev/null", O_RDWR) == fd) closed |= 1 << fd;
    }
    return closed;
}

static bool reads_stdin(const config *c) {
    if (c->num_sources == 0) return true;
    for (size_t i = 0; i < c->num_sources; i++) {
        if (strcmp(c->sources[i], "-") == 0) return true;
    }
    return false;
}

static int run_config(config *c, int closed) {
    text t = { NULL, 0, 0, false };
    if (c->show_usage || c->show_help || c->show_version) {
        if (c->show_help)       put_help(&t);
        else if (c->show_usage) put_text(&t, short_help);
        else                    put_version(&t);
        return print_and_free(&t);
    }
    if ((closed & 1 << STDOUT_FILENO) != 0 && c->output == NULL && !c->summarize) {
        say("stdout is closed, and there is no --output");
        return EXIT_USAGE;
    }
    if ((closed & 1 << STDIN_FILENO) != 0 && reads_stdin(c)) {
        say("stdin is closed, and there is no file to read");
        return EXIT_USAGE;
    }
    if (c->summarize) return run_summarize(c);
    return c->dry_run ? run_dry(c) : run_requests(c);
}

static int command(int argc, char **argv) {
    config *c = (config *)calloc(1, sizeof *c);
    int closed = fill_standard_fds(), code = EXIT_USAGE;
    if (c == NULL) {
        say("out of memory");
        return EXIT_USAGE;
    }
    if (argc <= 1 && isatty(STDIN_FILENO)) {
        text t = { NULL, 0, 0, false };
        put_text(&t, short_help);
        say_text(&t);
        text_free(&t);
    } else if (config_parse(c, argc, argv) && (c->show_help || config_check(c))) {
        code = run_config(c, closed);
    }
    config_free(c);
    free(c);
    return code;
}

#ifndef SPARP_NO_MAIN
int main(int argc, char **argv) {
    return command(argc, argv);
}
#endif

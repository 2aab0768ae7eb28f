/* sparp/text.h - slices, growing text, numbers as text, UTF-8 (RFC 3629). Pure. Uses nothing. */

typedef struct slice {           /* bytes somebody else owns */
    const char *at;
    size_t size;
} slice;

typedef struct text {            /* bytes we own; {0} is empty */
    char *at;
    size_t size, room;
    bool failed;                      /* out of memory: sticky, looked at before the text is used */
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
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++) {
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
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
    if (rest->at == NULL)
        return false;
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

static slice trimmed(slice s) {
    while (s.size > 0 && is_blank(s.at[0]))
        s = slice_from(s, 1);
    while (s.size > 0 && (is_blank(s.at[s.size - 1]) || s.at[s.size - 1] == '\r'))
        s.size--;
    return s;
}

static bool text_grow(text *t, size_t more) {
    if (t->failed || more > SIZE_MAX / 4 || t->size > SIZE_MAX / 4) {
        t->failed = true;
        return false;
    }
    size_t room = t->room < 256 ? 256 : t->room;
    while (room < t->size + more)
        room *= 2;
    char *at = (char *)realloc(t->at, room);
    if (at == NULL) {
        t->failed = true;
        return false;
    }
    t->at = at;
    t->room = room;
    return true;
}

/* Makes room for `more` bytes; what was there may move. Inline, with the two below that are called
   most: 7 % of the command's own instructions. */
static inline bool text_reserve(text *t, size_t more) {
    return more <= t->room - t->size ? !t->failed : text_grow(t, more);
}

static void text_free(text *t) {
    free(t->at);
    memset(t, 0, sizeof *t);
}

static inline void put_bytes(text *t, const char *at, size_t size) {
    if (size == 0 || !text_reserve(t, size))
        return;
    memcpy(t->at + t->size, at, size);
    t->size += size;
}

static void put_slice(text *t, slice s) {
    put_bytes(t, s.at, s.size);
}

static void put_text(text *t, const char *string) {
    put_bytes(t, string, strlen(string));
}

static inline void put_char(text *t, char c) {
    if (text_reserve(t, 1))
        t->at[t->size++] = c;
}

static void put_repeat(text *t, char c, size_t count) {
    while (count-- > 0)
        put_char(t, c);
}

static void put_lower(text *t, const char *name) {
    for (; *name != '\0'; name++)
        put_char(t, lower(*name));
}

/* --- numbers, and what stands between them --------------------------------------------------- */

/* What is set at a place has the room there; its end is returned. A record is mostly numbers: to
   look for room once for a dozen of them takes 7 % off the command's own instructions. */
enum { U64_SIZE = 20, THOUSANDTHS_SIZE = 24 };

/* Sets a string literal. */
#define SET(to, literal) ((char *)memcpy((to), "" literal, sizeof(literal) - 1) \
                          + (sizeof(literal) - 1))

static char *set_two_digits(char *to, unsigned n) {
    to[0] = (char)('0' + n / 10);
    to[1] = (char)('0' + n % 10);
    return to + 2;
}

static char *set_u64(char *to, uint64_t n) {
    if (n < 10) {
        *to = (char)('0' + n);
        return to + 1;
    }
    if (n >= 100)
        to = set_u64(to, n / 100);
    return set_two_digits(to, (unsigned)(n % 100));
}

/* Thousandths as a decimal: 41700 -> 41.7, 612000 -> 612. No locale has a say in the point. */
static char *set_thousandths(char *to, int64_t n) {
    if (n < 0) {
        *to++ = '-';
        n = -n;
    }
    unsigned rest = (unsigned)((uint64_t)n % 1000);
    to = set_u64(to, (uint64_t)n / 1000);
    if (rest == 0)
        return to;
    to[0] = '.';
    to[1] = (char)('0' + rest / 100);
    (void)set_two_digits(to + 2, rest % 100);
    return to + (to[3] != '0' ? 4 : to[2] != '0' ? 3 : 2);
}

static void put_u64(text *t, uint64_t n) {
    if (text_reserve(t, U64_SIZE))
        t->size = (size_t)(set_u64(t->at + t->size, n) - t->at);
}

static void put_thousandths(text *t, int64_t n) {
    if (text_reserve(t, THOUSANDTHS_SIZE))
        t->size = (size_t)(set_thousandths(t->at + t->size, n) - t->at);
}

/* Three significant digits, for people: 4.00, 56.6, 118. */
static void put_three_digits(text *t, double value) {
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    uint64_t scale = decimals == 2 ? 100 : decimals == 1 ? 10 : 1;
    uint64_t n = (uint64_t)(value * (double)scale + 0.5);
    put_u64(t, n / scale);
    if (decimals == 0)
        return;
    put_char(t, '.');
    if (decimals == 2)
        put_char(t, (char)('0' + n / 10 % 10));
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
    if (unit == 0)
        put_u64(t, bytes);
    else
        put_three_digits(t, value);
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
    if (size < 0)
        return;
    put_bytes(t, line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
}

/* A number that is no count: as short as it may be, and with twelve digits at most, for sums of
   fractions are not exact. */
static void put_number(text *t, double n) {
    put_format(t, "%.12g", n);
}

/* The code point at s[0] and its length in bytes; length 0: not well-formed. s.size > 0. */
static unsigned utf8_decode(slice s, size_t *length) {
    unsigned char c = (unsigned char)s.at[0];
    size_t more = c < 0x80 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    *length = 0;
    if ((c >= 0x80 && c < 0xC2) || c >= 0xF5 || more >= s.size)
        return 0;
    unsigned point = more == 0 ? c : c & (0x3Fu >> more);
    for (size_t i = 1; i <= more; i++) {
        unsigned char next = (unsigned char)s.at[i];
        if ((next & 0xC0) != 0x80)
            return 0;
        point = point << 6 | (next & 0x3Fu);
    }
    bool overlong = (more == 2 && point < 0x800) || (more == 3 && point < 0x10000);
    if (overlong || (point >= 0xD800 && point <= 0xDFFF) || point > 0x10FFFF)
        return 0;
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
            if ((eight & UINT64_C(0x8080808080808080)) != 0)
                break;
            i += sizeof eight;
        }
        if (i == s.size)
            break;
        size_t length = 1;
        if ((unsigned char)s.at[i] >= 0x80)
            (void)utf8_decode(slice_from(s, i), &length);
        if (length == 0)
            return i;
        i += length;
    }
    return i;
}

static void put_utf8(text *t, unsigned point) {
    char out[4];
    size_t size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = size; i-- > 1; point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3F));
    static const unsigned char lead[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    out[0] = (char)(lead[size] | point);
    put_bytes(t, out, size);
}

static void put_base64(text *t, slice s) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (!text_reserve(t, s.size / 3 * 4 + 4))
        return;
    for (size_t i = 0; i < s.size; i += 3) {
        size_t left = s.size - i;
        unsigned bits = (unsigned)(unsigned char)s.at[i] << 16;
        if (left > 1)
            bits |= (unsigned)(unsigned char)s.at[i + 1] << 8;
        if (left > 2)
            bits |= (unsigned)(unsigned char)s.at[i + 2];
        char four[4] = { digits[bits >> 18], digits[bits >> 12 & 63],
                         left > 1 ? digits[bits >> 6 & 63] : '=',
                         left > 2 ? digits[bits & 63] : '=' };
        put_bytes(t, four, 4);
    }
}

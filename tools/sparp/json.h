/* sparp/json.h - a strict scanner (RFC 8259): slices of the line, no tree; and strings written.
   Pure. Uses text, values. */

enum { JSON_DEPTH_MAX = 1000, ESCAPED_AT_ONCE = 4096 };

typedef struct json {
    const char *start, *at, *end;
    const char *error;                  /* the first one; `at` stays where it was met */
    bool half;                          /* met half of a surrogate pair: no text at all */
    bool escaped;                       /* the last string has escapes */
} json;

static json json_of(slice s) {
    json j = { s.at, s.at, s.at + s.size, NULL, false, false };
    return j;
}

static bool json_fail(json *j, const char *error) {
    if (j->error == NULL)
        j->error = error;
    return false;
}

static bool json_fail_at(json *j, const char *at, const char *error) {
    j->at = at;
    return json_fail(j, error);
}

static char json_peek(json *j) {         /* the next byte that is not space; 0 at the end */
    while (j->at < j->end && (is_blank(*j->at) || *j->at == '\r' || *j->at == '\n'))
        j->at++;
    return j->at < j->end ? *j->at : '\0';
}

static bool json_take(json *j, char c, const char *error) {
    if (json_peek(j) != c)
        return json_fail(j, error);
    j->at++;
    return true;
}

static bool json_hex4(const char *at, const char *end, unsigned *out) {
    if (end - at < 4)
        return false;
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        char c = lower(at[i]);
        if (is_digit(c))
            value = value * 16 + (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (unsigned)(c - 'a') + 10;
        else
            return false;
    }
    *out = value;
    return true;
}

/* Notes half of a surrogate pair, at the byte after the u; the other half of one is skipped. */
static void json_unit(json *j, unsigned unit) {
    unsigned second;
    j->at += 5;
    if (unit < 0xD800 || unit > 0xDFFF)
        return;
    bool pair = unit < 0xDC00 && j->end - j->at >= 6 && j->at[0] == '\\' && j->at[1] == 'u'
        && json_hex4(j->at + 2, j->end, &second) && second >= 0xDC00 && second <= 0xDFFF;
    if (pair)
        j->at += 6;
    else
        j->half = true;
}

static bool json_escape(json *j) {       /* at the byte after the backslash */
    unsigned unit;
    if (j->at == j->end)
        return json_fail(j, "string does not end");
    if (*j->at == 'u') {
        if (!json_hex4(j->at + 1, j->end, &unit))
            return json_fail(j, "bad \\u escape");
        json_unit(j, unit);
        return true;
    }
    if (*j->at == '\0' || strchr("\"\\/bfnrt", *j->at) == NULL)
        return json_fail(j, "bad escape");
    j->at++;
    return true;
}

/* What stands behind the backslash where a byte has to be escaped; 'u': there is no letter for it;
   0: it has not. */
static const char escapes[128] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b', 't', 'n', 'u', 'f', 'r', 'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
    0, 0, '"', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '\\'
};

static char escape_of(char c) {
    return (unsigned char)c < 0x80 ? escapes[(unsigned char)c] : '\0';
}

/* Up to the next byte that means something in a string. */
static void json_skip_plain(json *j) {
    const char *at = j->at;
    while (at < j->end && escape_of(*at) == '\0')
        at++;
    j->at = at;
}

/* A string; *raw is what stands between the quotes, escapes and all. */
static bool json_string(json *j, slice *raw) {
    if (!json_take(j, '"', "expected a string"))
        return false;
    raw->at = j->at;
    j->escaped = false;
    for (json_skip_plain(j); j->at < j->end; json_skip_plain(j)) {
        char c = *j->at;
        if (c != '"' && c != '\\')
            return json_fail(j, "raw control character in a string");
        j->at++;
        if (c == '"') {
            raw->size = (size_t)(j->at - raw->at) - 1;
            return true;
        }
        j->escaped = true;
        if (!json_escape(j))
            return false;
    }
    return json_fail(j, "string does not end");
}

static bool json_digits(json *j) {
    const char *start = j->at;
    while (j->at < j->end && is_digit(*j->at))
        j->at++;
    return j->at > start ? true : json_fail(j, "expected a digit");
}

static bool json_number(json *j) {
    if (*j->at == '-')
        j->at++;
    const char *first = j->at;
    if (!json_digits(j))
        return false;
    if (*first == '0' && j->at - first > 1)
        return json_fail_at(j, first, "number starts with 0");
    if (j->at < j->end && *j->at == '.') {
        j->at++;
        if (!json_digits(j))
            return false;
    }
    if (j->at < j->end && lower(*j->at) == 'e') {
        j->at++;
        if (j->at < j->end && (*j->at == '+' || *j->at == '-'))
            j->at++;
        if (!json_digits(j))
            return false;
    }
    return true;
}

static bool json_word(json *j, const char *word) {
    size_t size = strlen(word);
    if ((size_t)(j->end - j->at) < size || memcmp(j->at, word, size) != 0)
        return json_fail(j, "expected a value");
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
    if (json_peek(j) != '"')
        return json_fail(j, "expected a key in quotes");
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
        if (c != closer)
            return json_fail(j, closer == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
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
            if (depth == JSON_DEPTH_MAX)
                return json_fail(j, "nested deeper than 1000");
            char closer = c == '{' ? '}' : ']';
            slice key;
            closers[depth++] = closer;
            j->at++;
            if (json_peek(j) != closer) {
                if (closer == '}' && !json_key(j, &key))
                    return false;
                continue;
            }
        } else if (!json_scalar(j)) {
            return false;
        }
        if (!json_after_value(j, closers, &depth))
            return false;
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
    if (c != ',')
        return json_fail(j, closer == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
    j->at++;
    return true;
}

static bool json_end(json *j) {
    if (json_peek(j) == '\0' && j->at == j->end)
        return true;
    return json_fail(j, "text after the end of the value");
}

/* What is there under a name, or in a place of an array, counted from 0. */
static bool json_member(slice whole, slice key, slice *value) {
    json j = json_of(whole);
    bool first = true, object = json_peek(&j) == '{';
    int64_t place = -1;
    slice name, raw;
    if (!object && (json_peek(&j) != '[' || !parse_count(key, &place)))
        return false;
    j.at++;
    while (json_more(&j, object ? '}' : ']', &first)) {
        if ((object && !json_key(&j, &name)) || !json_value(&j, &raw))
            return false;
        if (object ? name.size != key.size || memcmp(name.at, key.at, key.size) != 0
            : place-- > 0)
            continue;
        *value = raw;
        return true;
    }
    return false;
}

/* The value at "key", "key.inner", "key.0.inner" ..., as it is written. */
static bool json_find(slice whole, slice path, slice *value) {
    slice key, found = whole;
    while (path.at != NULL) {
        (void)slice_split(&path, '.', &key);
        if (!json_member(found, key, &found))
            return false;
    }
    *value = found;
    return true;
}

/* JSON that every reader takes: without half of a surrogate pair, which jq and others refuse, and
   the rest of the file with it. */
static bool json_is_valid(slice s) {
    json j = json_of(s);
    slice raw;
    return utf8_good_prefix(s) == s.size && json_value(&j, &raw) && json_end(&j) && !j.half;
}

/* One \uXXXX (or a pair of them) at *at, just after the u. false: half of a surrogate pair. */
static bool put_json_unit(text *out, const char **at, const char *end) {
    unsigned unit = 0, second = 0;
    (void)json_hex4(*at, end, &unit);
    *at += 4;
    if (unit >= 0xDC00 && unit <= 0xDFFF)
        return false;
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
            return false;
        if (!json_hex4(*at + 2, end, &second) || second < 0xDC00 || second > 0xDFFF)
            return false;
        *at += 6;
        unit = 0x10000 + ((unit - 0xD800) << 10) + (second - 0xDC00);
    }
    put_utf8(out, unit);
    return true;
}

/* Appends what a raw string (checked by json_string) means; false: half of a surrogate pair. */
static bool put_json_decoded(text *out, slice raw) {
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    if (raw.size == 0)
        return true;
    const char *at = raw.at, *end = raw.at + raw.size;
    while (at < end) {
        const char *back = (const char *)memchr(at, '\\', (size_t)(end - at));
        if (back == NULL)
            back = end;
        put_bytes(out, at, (size_t)(back - at));
        if (back == end)
            return true;
        at = back + 2;
        const char *known = strchr(from, back[1]);
        if (back[1] == 'u') {
            if (!put_json_unit(out, &at, end))
                return false;
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
    if (negative)
        raw = slice_from(raw, 1);
    (void)take_decimal(&raw, &value);
    if (raw.size > 1) {
        raw = slice_from(raw, 1);
        bool shrink = raw.at[0] == '-';
        if (shrink || raw.at[0] == '+')
            raw = slice_from(raw, 1);
        int64_t exponent = 400;
        if (raw.size < 4)
            (void)parse_count(raw, &exponent);
        for (int64_t i = 0; i < exponent && i < 400; i++)
            value = shrink ? value / 10 : value * 10;
    }
    return negative ? -value : value;
}

/* --- writing it ------------------------------------------------------------------------------ */

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
        if (!ascii)
            put_utf8(t, point);
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

static const uint64_t each_byte = UINT64_C(0x0101010101010101);
static const uint64_t top_bits = UINT64_C(0x8080808080808080);

/* As a number, whose lowest byte is the first one. */
static uint64_t eight_bytes(const char *at) {
    const unsigned char *b = (const unsigned char *)at;
    uint64_t low = b[0] | (uint64_t)b[1] << 8 | (uint64_t)b[2] << 16 | (uint64_t)b[3] << 24;
    uint64_t high = b[4] | (uint64_t)b[5] << 8 | (uint64_t)b[6] << 16 | (uint64_t)b[7] << 24;
    return low | high << 32;
}

/* The lowest byte of x that is below 0x20, a quote or a backslash has its top bit set. What that
   of bytes above it is, and of those from 0x80 on, says nothing. */
static uint64_t special_bytes(uint64_t x) {
    uint64_t quote = x ^ each_byte * '"', back = x ^ each_byte * '\\';
    return (x - each_byte * 0x20) | (quote - each_byte) | (back - each_byte);
}

/* In which byte the lowest of these top bits is. */
static size_t first_of(uint64_t tops) {
#if defined(__GNUC__)
    return (size_t)__builtin_ctzll(tops) / 8;
#else
    size_t i = 0;
    while ((tops >> 8 * i & 0x80) == 0)
        i++;
    return i;
#endif
}

/* What needs no more than a backslash, to the first byte that does; returns how much that is. Eight
   bytes at a time and in one go: 21 % of the command's own instructions, if a body is JSON of 120
   bytes. */
static size_t put_plain(text *t, slice s) {
    const char *at = s.at, *end = s.at + s.size;
    if (!text_reserve(t, 2 * s.size))
        return s.size;
    char *to = t->at + t->size;
    while (at < end) {
        if (end - at >= 8) {
            uint64_t x = eight_bytes(at), special = (special_bytes(x) | x) & top_bits;
            memcpy(to, at, 8);          /* for each byte there is room for two */
            size_t plain = special == 0 ? 8 : first_of(special);
            to += plain;
            at += plain;
            if (special == 0)
                continue;
        }
        char c = *at, escape = escape_of(c);
        if ((unsigned char)c >= 0x80 || escape == 'u')
            break;
        if (escape != '\0') {
            *to++ = '\\';
            c = escape;
        }
        *to++ = c;
        at++;
    }
    t->size = (size_t)(to - t->at);
    return (size_t)(at - s.at);
}

static void put_escaped(text *t, slice s, bool ascii) {
    while (s.size > 0) {
        slice part = { s.at, s.size < ESCAPED_AT_ONCE ? s.size : ESCAPED_AT_ONCE };
        size_t used = put_plain(t, part);
        s = slice_from(s, used);
        if (used == part.size)
            continue;
        used = 1;
        if ((unsigned char)s.at[0] >= 0x80)
            used = put_wide(t, s, ascii);
        else
            put_unit(t, (unsigned char)s.at[0]);
        s = slice_from(s, used);
    }
}

static void put_string(text *t, slice s, bool ascii) {
    put_char(t, '"');
    put_escaped(t, s, ascii);
    put_char(t, '"');
}

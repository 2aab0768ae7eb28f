/* sparp/json.h - a strict scanner (RFC 8259): slices of the line, no tree; and strings written.
   Pure. Uses text, values. */

enum { JSON_DEPTH_MAX = 1000 };

typedef struct json {
    const char *start, *at, *end;
    const char *error;                  /* the first one; `at` stays where it was met */
    bool half;                          /* met half of a surrogate pair: no text at all */
} json;

static json json_of(slice s) {
    json j = { s.at, s.at, s.at + s.size, NULL, false };
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

/* A string; *raw is what stands between the quotes, escapes and all. */
static bool json_string(json *j, slice *raw) {
    if (!json_take(j, '"', "expected a string"))
        return false;
    raw->at = j->at;
    while (j->at < j->end) {
        unsigned char c = (unsigned char)*j->at;
        if (c == '"') {
            raw->size = (size_t)(j->at - raw->at);
            j->at++;
            return true;
        }
        if (c < 0x20)
            return json_fail(j, "raw control character in a string");
        j->at++;
        if (c == '\\' && !json_escape(j))
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
        if ((hit & tops) != 0)
            break;
    }
    for (; i < size; i++) {
        unsigned char c = (unsigned char)at[i];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            break;
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

static void put_escaped(text *t, slice s, bool ascii) {
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    while (s.size > 0) {
        size_t run = clean_run(s.at, s.size);
        put_bytes(t, s.at, run);
        s = slice_from(s, run);
        if (s.size == 0)
            break;
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
}

static void put_string(text *t, slice s, bool ascii) {
    put_char(t, '"');
    put_escaped(t, s, ascii);
    put_char(t, '"');
}

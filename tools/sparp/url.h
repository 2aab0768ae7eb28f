/* sparp/url.h - percent-encoding, resolution against a base. Pure. Uses text, values. */

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
        if (is_unreserved(s.at[i]))
            put_char(t, s.at[i]);
        else
            put_code(t, s.at[i]);
    }
}

/* As HTML forms have it (WHATWG URL 5.2): a space is a plus, ~ is encoded and * is not. */
static void put_form_word(text *t, const char *word) {
    for (; *word != '\0'; word++) {
        char c = *word;
        if (c == ' ')
            put_char(t, '+');
        else if (c == '*' || (is_unreserved(c) && c != '~'))
            put_char(t, c);
        else
            put_code(t, c);
    }
}

/* Two hexadecimal digits. */
static bool hex_pair(const char *at, unsigned *out) {
    unsigned value = 0;
    for (int i = 0; i < 2; i++) {
        char c = lower(at[i]);
        if (!is_digit(c) && !(c >= 'a' && c <= 'f'))
            return false;
        value = value * 16 + (unsigned)(is_digit(c) ? c - '0' : c - 'a' + 10);
    }
    *out = value;
    return true;
}

/* An absolute path with its "." and ".." carried out (RFC 3986 5.2.4). */
static void put_path(text *t, slice path) {
    size_t floor = t->size;
    slice rest = slice_from(path, 1), part;
    while (slice_split(&rest, '/', &part)) {
        bool up = slice_is(part, ".."), same = slice_is(part, ".");
        if (up) {
            while (t->size > floor && t->at[--t->size] != '/')
                continue;
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
    while (i < s.size && (s.at[i] == '\0' || strchr(marks, s.at[i]) == NULL))
        i++;
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
        if (reference.size == 0)
            put_slice(&joined, slice_from(base, host + path.size));
    } else if (reference.at[0] != '/') {
        while (path.size > 0 && path.at[path.size - 1] != '/')
            path.size--;
        put_slice(&joined, path);
    }
    if (joined.size == 0 && (own == 0 || reference.at[0] != '/'))
        put_char(&joined, '/');
    put_bytes(&joined, reference.at, own);
    slice whole = { joined.at, joined.size };
    if (own > 0 && joined.size > 0)
        put_path(t, whole);
    else
        put_slice(t, whole);
    put_slice(t, slice_from(reference, own));
    if (joined.failed)
        t->failed = true;
    text_free(&joined);
}

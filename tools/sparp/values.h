/* sparp/values.h - what flags take: counts, rates, times, sizes, lists of statuses. Pure.
   Uses text. */

enum { STATUS_MIN = 100, STATUS_END = 1000 };

typedef struct status_list {
    bool has[STATUS_END];
} status_list;

/* digits [ "." digits ], taken off the front of *s. */
static bool take_decimal(slice *s, double *out) {
    double value = 0, unit = 1;
    size_t i = 0, digits = 0;
    for (; i < s->size && is_digit(s->at[i]); i++, digits++)
        value = value * 10 + (s->at[i] - '0');
    if (i < s->size && s->at[i] == '.') {
        for (i++; i < s->size && is_digit(s->at[i]); i++, digits++) {
            unit *= 10;
            value = value * 10 + (s->at[i] - '0');
        }
        if (unit <= 1)
            return false;
    }
    if (digits == 0 || digits > 300)
        return false;
    *out = value / unit;
    *s = slice_from(*s, i);
    return true;
}

static bool parse_count(slice s, int64_t *out) {
    int64_t value = 0;
    if (s.size == 0 || s.size > 18)
        return false;
    for (size_t i = 0; i < s.size; i++) {
        if (!is_digit(s.at[i]))
            return false;
        value = value * 10 + (s.at[i] - '0');
    }
    *out = value;
    return true;
}

/* Seconds: "30", "2.5", "500ms", "2m", "1h". */
static bool parse_time(slice s, double *out) {
    double value;
    if (!take_decimal(&s, &value))
        return false;
    if (s.size == 0 || slice_is(s, "s"))
        *out = value;
    else if (slice_is(s, "ms"))
        *out = value / 1000;
    else if (slice_is(s, "m"))
        *out = value * 60;
    else if (slice_is(s, "h"))
        *out = value * 3600;
    else
        return false;
    return true;
}

/* Per second: "50", "300/m", "5/15s". */
static bool parse_rate(slice s, double *out) {
    double value, period = 1;
    if (!take_decimal(&s, &value))
        return false;
    if (s.size > 0) {
        if (s.at[0] != '/')
            return false;
        s = slice_from(s, 1);
        if (slice_is(s, "s"))
            period = 1;
        else if (slice_is(s, "m"))
            period = 60;
        else if (slice_is(s, "h"))
            period = 3600;
        else if (s.size == 0 || is_digit(s.at[s.size - 1]) || !parse_time(s, &period))
            return false;
    }
    if (!(period > 0))
        return false;
    *out = value / period;
    return true;
}

/* Bytes: "512", "64k", "8M", "1G"; a k is 1024. */
static bool parse_size(slice s, int64_t *out) {
    int shift = 0;
    if (s.size > 0) {
        char unit = lower(s.at[s.size - 1]);
        shift = unit == 'k' ? 10 : unit == 'm' ? 20 : unit == 'g' ? 30 : 0;
        if (shift > 0)
            s.size--;
    }
    if (!parse_count(s, out) || *out > INT64_MAX >> shift)
        return false;
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
    if (!slice_split(&s, '-', &low) || !parse_count(low, first))
        return false;
    *last = *first;
    if (s.at != NULL && !parse_count(s, last))
        return false;
    return *first >= STATUS_MIN && *last < STATUS_END && *first <= *last;
}

/* "200-299,4xx,301", "all", "none". */
static bool parse_statuses(slice s, status_list *out) {
    memset(out, 0, sizeof *out);
    slice part;
    while (slice_split(&s, ',', &part)) {
        int64_t first = STATUS_MIN, last = STATUS_END - 1;
        if (slice_is(part, "none"))
            continue;
        if (!slice_is(part, "all") && !parse_status_range(part, &first, &last))
            return false;
        for (int64_t i = first; i <= last; i++)
            out->has[i] = true;
    }
    return true;
}

/* The position of `word` in "a|b|c", or -1. */
static int parse_choice(const char *choices, slice word) {
    slice rest = slice_of(choices), part;
    for (int i = 0; slice_split(&rest, '|', &part); i++) {
        if (part.size == word.size && memcmp(part.at, word.at, word.size) == 0)
            return i;
    }
    return -1;
}

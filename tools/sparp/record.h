/* sparp/record.h - one result -> one line of output. Pure.
   Uses text, json, options, config, url, line. */

enum { BAD_LINE_SHOWN = 4096 };  /* bytes of a bad line in its record */

typedef struct record_style {
    bool ascii;                         /* escape everything above U+007F */
    bool echo;
    int body;                           /* BODY_* */
    const char *headers;                /* "all", "name,name", or NULL for none */
    const char *body_dir;               /* bodies are in files there; NULL: in the record */
} record_style;

typedef struct ticket {          /* what a request's record needs to know about its line */
    struct ticket *next;                /* in the list of spare ones */
    uint64_t index;
    text parts;                         /* id, meta, line, path and failure, one after the other */
    size_t id_size, meta_size, line_size;
    size_t path_size;                   /* of its body_file, NUL included */
    size_t failure_size;                /* why its file could not be read or written; else 0 */
    struct stat file;            /* its body_file: whose size is promised, and what is being read */
    int part;                       /* descriptor of DIR/<index>.part while a body comes, else -1 */
    int part_attempt;                   /* whose body that is: 0 for none */
    int part_error;                     /* errno of what went wrong with it, else 0 */
    bool has_file;                      /* the body is in DIR/<index> */
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
    if (k->failure_size > 0)
        return;
    put_text(&t, what);
    put_slice(&t, path);
    PUT(&t, ": ");
    put_text(&t, why);
    if (!t.failed)
        put_bytes(&k->parts, t.at, t.size);
    if (!t.failed && !k->parts.failed)
        k->failure_size = t.size;
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
    if (with_line)
        put_slice(&k->parts, it->line);
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

static void put_string(text *t, slice s, bool ascii) {
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    put_char(t, '"');
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
    put_char(t, '"');
}

/* Valid JSON as it was written. Only what would break the line is changed, and none of it changes
   the value: line ends between tokens, U+2028 and U+2029, with --ascii all that is not. */
static void put_raw_json(text *t, slice s, bool ascii) {
    while (s.size > 0) {
        size_t run = 0;
        for (; run < s.size; run++) {
            if ((unsigned char)s.at[run] >= 0x80 || s.at[run] == '\n' || s.at[run] == '\r')
                break;
        }
        put_bytes(t, s.at, run);
        s = slice_from(s, run);
        if (s.size == 0)
            break;
        size_t used = 1;
        if ((unsigned char)s.at[0] >= 0x80)
            used = put_wide(t, s, ascii);
        else
            put_char(t, ' ');
        s = slice_from(s, used);
    }
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
        if (r->wait_us[i] == 0)
            continue;
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
    if (r->status == 0)
        PUT(t, "}");
    else if (r->reused)
        PUT(t, "},\"reused\":true");
    else
        PUT(t, "},\"reused\":false");
}

static bool header_wanted(const record_style *style, slice name) {
    if (strcmp(style->headers, "all") == 0)
        return true;
    slice rest = slice_of(style->headers), part;
    while (slice_split(&rest, ',', &part)) {
        if (same_name(trimmed(part), name))
            return true;
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
            if (slice_is(name, r->headers[k].name))
                wanted = false;
        }
        if (!wanted)
            continue;
        put_text(t, before);
        before = ",";
        put_string(t, name, style->ascii);
        PUT(t, ":[");
        for (size_t k = i; k < r->num_headers; k++) {
            if (!slice_is(name, r->headers[k].name))
                continue;
            if (k > i)
                put_char(t, ',');
            put_string(t, slice_of(r->headers[k].value), style->ascii);
        }
        put_char(t, ']');
    }
    if (before[1] == '\0')
        put_char(t, '}');
    else
        PUT(t, ",\"headers\":{}");
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
    if (size > 0 && dir[size - 1] != '/')
        put_char(t, '/');
    put_u64(t, index);
}

static void put_body_file(text *t, const record_style *style, const ticket *k) {
    text path = { NULL, 0, 0, false };
    put_body_path(&path, style->body_dir, k->index);
    slice shown = { path.at, path.size };
    PUT(t, ",\"body_file\":");
    put_string(t, shown, style->ascii);
    if (path.failed)
        t->failed = true;
    text_free(&path);
}

/* Last in the record, so that `cut -c1-200` shows the rest. */
static void put_body(text *t, const record_style *style, const ticket *k, const sparp_result *r) {
    slice body = { r->body, r->body_size };
    bool cut = r->error != SPARP_E_OK && body.size > 0 && !r->body_complete;
    if (r->truncated || cut)
        PUT(t, ",\"truncated\":true");
    if (k->has_file)
        put_body_file(t, style, k);
    if (style->body_dir != NULL || style->body == BODY_NONE || body.size == 0)
        return;
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
    if (!style->echo)
        return;
    slice line = trimmed(ticket_line(k));
    PUT(t, ",\"request\":");
    if (json_is_valid(line) && line.at[0] == '{')
        put_raw_json(t, line, style->ascii);
    else
        put_string(t, line, style->ascii);
}

/* A URL as it may be shown: the password is nobody's business. */
static void put_masked_url(text *t, slice url, bool ascii) {
    size_t scheme = starts_with(url, "https") ? 8 : 7;
    text masked = { NULL, 0, 0, false };
    if (url.size < scheme)
        scheme = url.size;
    slice rest = slice_from(url, scheme);
    slice authority = { rest.at, find_any(rest, "/?#") };
    size_t user_end = authority.size;
    while (user_end > 0 && authority.at[user_end - 1] != '@')
        user_end--;
    put_bytes(&masked, url.at, scheme);
    if (user_end > 0)
        PUT(&masked, "***@");
    put_slice(&masked, slice_from(rest, user_end));
    slice shown = { masked.at, masked.size };
    put_string(t, shown, ascii);
    if (masked.failed)
        t->failed = true;
    text_free(&masked);
}

static void put_record(text *t, const record_style *style, const ticket *k, const sparp_result *r,
                       int64_t now_ms) {
    put_index_and_id(t, style, k);
    PUT(t, ",\"outcome\":\"");
    put_text(t, sparp_outcome_name(r->outcome));
    PUT(t, "\",\"status\":");
    if (r->status != 0)
        put_u64(t, (uint64_t)r->status);
    else
        PUT(t, "null");
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
    if (r->attempts > 0)
        put_times(t, r);
    if (style->headers != NULL && r->status != 0)
        put_headers(t, style, r);
    if (r->error != SPARP_E_OK)
        put_error(t, style, k, r);
    if (r->retry_at_s > 0) {
        PUT(t, ",\"retry_at\":");
        put_thousandths(t, now_ms + (int64_t)(r->retry_at_s * 1000));
    }
    if (r->maybe_applied)
        PUT(t, ",\"maybe_applied\":true");
    else if (r->error != SPARP_E_OK && r->attempts > 0)
        PUT(t, ",\"maybe_applied\":false");
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
    if (mark < target.size && strchr("?&", target.at[target.size - 1]) != NULL)
        before = "";
    for (size_t i = 0; i < request->num_query; i++, before = "&") {
        put_text(&url, before);
        put_percent(&url, slice_of(request->query[i].name));
        put_char(&url, '=');
        put_percent(&url, slice_of(request->query[i].value));
    }
    slice whole = { url.at, url.size };
    PUT(t, ",\"url\":");
    put_masked_url(t, whole, style->ascii);
    if (url.failed)
        t->failed = true;
    text_free(&url);
    put_meta_and_echo(t, style, k);
    PUT(t, "}\n");
}

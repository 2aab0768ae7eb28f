/* sparp/record.h - one result -> one line of output. Pure.
   Uses text, json, options, config, url, line. */

enum { BAD_LINE_SHOWN = 4096 };  /* bytes of a bad line in its record */

typedef struct record_style {
    bool ascii;                         /* escape everything above U+007F */
    bool echo;
    int body;                           /* BODY_* */
    const char *headers;                /* "all", "name,name", or NULL for none */
    const char *body_dir;               /* bodies are in files there; NULL: in the record */
    bool compressed;                    /* gzip and deflate have been asked for and undone */
    bool cost;                          /* say what was booked */
} record_style;

typedef struct ticket {          /* what a request's record needs to know about its line */
    struct ticket *next;                /* in the list of spare ones */
    uint64_t index;
    uint64_t key;                       /* in the journal */
    text parts;                         /* id, meta, line, path and failure, one after the other */
    size_t id_size, meta_size, line_size;
    text name;                          /* of the file of its body; empty: its index */
    text url;                           /* what is in that file, for whoever goes on with it */
    size_t path_size;                   /* of its body_file, NUL included */
    size_t failure_size;                /* why its file could not be read or written; else 0 */
    struct stat file;            /* its body_file: whose size is promised, and what is being read */
    const config *config;               /* whose form it sends */
    tried tries;                        /* those that were not the last */
    double cost;                        /* of one start */
    bool cost_unknown;                  /* --cost-from: the answer does not say */
    int part;                       /* descriptor of DIR/<index>.part while a body comes, else -1 */
    int part_attempt;                   /* whose body that is: 0 for none */
    int part_error;                     /* errno of what went wrong with it, else 0 */
    int64_t part_size;                  /* that an earlier run has left, and is asked to go on */
    int64_t part_end;                   /* where the rest of that ends, as the answer says, or 0 */
    int64_t part_written;               /* how large the file is, once it is closed */
    bool part_stays;                    /* it can be gone on with: NAME.part-of is there */
    bool part_no_use;                   /* the server has no rest of it: all is asked for again */
    bool kept;                          /* a file of that name exists: nothing was sent */
    bool has_file;                      /* the body is in its file ... */
    bool has_failed;                    /* ... which is NAME.failed */
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
    k->has_file = k->has_failed = k->part_stays = k->kept = k->cost_unknown = false;
    k->part_no_use = false;
    k->part_size = k->part_end = k->part_written = 0;
    k->name.size = k->url.size = 0;
    k->tries.count = 0;
    k->parts.size = 0;
    put_slice(&k->parts, it->id);
    put_slice(&k->parts, it->meta);
    if (with_line)
        put_slice(&k->parts, it->line);
    return !k->parts.failed;
}

/* JSON that may be broken, as a string. A \u of it is no escape of ours: its backslash is written
   so that nobody who looks for escapes takes it for one. */
static void put_json_as_text(text *t, slice s, bool ascii) {
    put_char(t, '"');
    while (s.size > 0) {
        size_t n = 0;
        while (n < s.size && !(s.at[n] == '\\' && s.size - n > 1 && s.at[n + 1] == 'u'))
            n++;
        slice part = { s.at, n };
        put_escaped(t, part, ascii);
        s = slice_from(s, n);
        if (s.size == 0)
            break;
        put_unit(t, '\\');
        s = slice_from(s, 1);
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

static int64_t phase_us(const sparp_result *r, sparp_phase phase) {
    return r->phase_us[phase];
}

static char *set_text(char *to, const char *string) {
    size_t size = strlen(string);
    memcpy(to, string, size);
    return to + size;
}

/* What "queue" was spent on: where it was something. */
static char *set_waits(char *to, const sparp_result *r) {
    for (int i = 0; i < SPARP_WAIT_COUNT; i++) {
        if (r->wait_us[i] == 0)
            continue;
        to = SET(to, ",\"");
        to = set_text(to, sparp_wait_name((sparp_wait)i));
        to = SET(to, "\":");
        to = set_thousandths(to, r->wait_us[i]);
    }
    if (r->wait_cost_us > 0) {
        to = SET(to, ",\"cost\":");
        to = set_thousandths(to, r->wait_cost_us);
    }
    return to;
}

/* Those of the last attempt, and told only if it had a response: before that they are where it
   broke, and error.phase says so. */
static char *set_phases(char *to, const sparp_result *r) {
    to = SET(to, ",\"dns\":");
    to = set_thousandths(to, phase_us(r, SPARP_PHASE_DNS));
    to = SET(to, ",\"connect\":");
    to = set_thousandths(to, phase_us(r, SPARP_PHASE_CONNECT));
    to = SET(to, ",\"tls\":");
    to = set_thousandths(to, phase_us(r, SPARP_PHASE_TLS));
    to = SET(to, ",\"ttfb\":");
    return set_thousandths(to, phase_us(r, SPARP_PHASE_SEND)
                               + phase_us(r, SPARP_PHASE_FIRST_BYTE));
}

/* "ms" and "bytes". */
static void put_times(text *t, const sparp_result *r) {
    enum { NUMBERS = SPARP_WAIT_COUNT + 10, EACH = THOUSANDTHS_SIZE + 20 };
    if (!text_reserve(t, NUMBERS * EACH))
        return;
    char *to = SET(t->at + t->size, ",\"ms\":{\"queue\":");
    to = set_thousandths(to, r->waited_us);
    to = set_waits(to, r);
    if (r->status != 0)
        to = set_phases(to, r);
    to = SET(to, ",\"total\":");
    to = set_thousandths(to, r->elapsed_us);
    to = SET(to, ",\"all\":");
    to = set_thousandths(to, r->total_us);
    to = SET(to, "},\"bytes\":{\"out\":");
    to = set_u64(to, r->bytes_out);
    to = SET(to, ",\"in\":");
    to = set_u64(to, r->bytes_in);
    if (r->status == 0)
        to = SET(to, "}");
    else if (r->reused)
        to = SET(to, "},\"reused\":true");
    else
        to = SET(to, "},\"reused\":false");
    t->size = (size_t)(to - t->at);
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
    text words = { NULL, 0, 0, false };
    put_in_our_words(&words, slice_of(r->detail[0] != '\0' ? r->detail
                                      : sparp_error_text(r->error)));
    if (r->error == SPARP_E_TLS_CERTIFICATE && strstr(r->detail, "unknown issuer") != NULL)
        PUT(&words, " (--cacert FILE trusts the certificates in it)");
    slice message = { words.at, words.size };
    put_string(t, k->failure_size > 0 ? ticket_failure(k) : message, style->ascii);
    put_char(t, '}');
    if (words.failed)
        t->failed = true;
    text_free(&words);
}

static void put_body_name(text *t, const ticket *k) {
    if (k->name.size > 0)
        put_bytes(t, k->name.at, k->name.size);
    else
        put_u64(t, k->index);
}

/* DIR/NAME as the user named DIR. */
static void put_body_path(text *t, const char *dir, const ticket *k) {
    size_t size = strlen(dir);
    put_bytes(t, dir, size);
    if (size > 0 && dir[size - 1] != '/')
        put_char(t, '/');
    put_body_name(t, k);
}

static void put_body_file(text *t, const record_style *style, const ticket *k) {
    text path = { NULL, 0, 0, false };
    put_body_path(&path, style->body_dir, k);
    if (k->has_failed)
        PUT(&path, ".failed");
    slice shown = { path.at, path.size };
    PUT(t, ",\"body_file\":");
    put_string(t, shown, style->ascii);
    if (path.failed)
        t->failed = true;
    text_free(&path);
}

/* The codings that the body still has: "gzip" if it was not asked to be undone, "br" that we do not
   speak, "gzip, gzip" that is undone by nobody. */
static void put_encoded(text *t, const record_style *style, const sparp_result *r) {
    text list = { NULL, 0, 0, false };
    size_t count = 0;
    bool known = true;
    for (size_t i = 0; i < r->num_headers; i++) {
        if (strcmp(r->headers[i].name, "content-encoding") != 0)
            continue;
        slice rest = slice_of(r->headers[i].value), coding;
        while (slice_split(&rest, ',', &coding)) {
            coding = trimmed(coding);
            if (coding.size == 0 || same_name(coding, slice_of("identity")))
                continue;
            if (count++ > 0)
                PUT(&list, ", ");
            put_slice(&list, coding);
            known = known && (same_name(coding, slice_of("gzip"))
                              || same_name(coding, slice_of("x-gzip"))
                              || same_name(coding, slice_of("deflate")));
        }
    }
    slice all = { list.at, list.size };
    if (count > 0 && !(style->compressed && count == 1 && known)) {
        PUT(t, ",\"encoded\":");
        put_string(t, all, style->ascii);
    }
    if (list.failed)
        t->failed = true;
    text_free(&list);
}

/* Last in the record, so that `cut -c1-200` shows the rest. */
static void put_body(text *t, const record_style *style, const ticket *k, const sparp_result *r) {
    slice body = { r->body, r->body_size };
    bool cut = r->error != SPARP_E_OK && body.size > 0 && !r->body_complete;
    if (r->truncated || cut)
        PUT(t, ",\"truncated\":true");
    if (k->has_file || body.size > 0)
        put_encoded(t, style, r);
    if (k->has_file)
        put_body_file(t, style, k);
    if (k->kept)
        PUT(t, ",\"kept\":true");
    if (style->body_dir != NULL || style->body == BODY_NONE || body.size == 0)
        return;
    if (style->body == BODY_JSON && json_is_valid(body)) {
        PUT(t, ",\"json\":");
        put_raw_json(t, body, style->ascii);
    } else if (style->body != BODY_BASE64 && utf8_good_prefix(body) == body.size
               && memchr(body.at, '\0', body.size) == NULL) {
        PUT(t, ",\"body\":");
        if (style->body == BODY_JSON)
            put_json_as_text(t, body, style->ascii);
        else
            put_string(t, body, style->ascii);
    } else {
        PUT(t, ",\"body_base64\":\"");
        put_base64(t, body);
        put_char(t, '"');
    }
}

/* JSON of the input, as it was written; as text, if no reader would take it. */
static void put_given_json(text *t, slice s, bool ascii) {
    if (memchr(s.at, '\\', s.size) == NULL || json_is_valid(s))
        put_raw_json(t, s, ascii);
    else
        put_json_as_text(t, s, ascii);
}

static void put_index_and_id(text *t, const record_style *style, const ticket *k) {
    PUT(t, "{\"index\":");
    put_u64(t, k->index);
    if (k->id_size > 0) {
        PUT(t, ",\"id\":");
        put_given_json(t, ticket_id(k), style->ascii);
    }
}

static void put_meta_and_echo(text *t, const record_style *style, const ticket *k) {
    if (k->meta_size > 0) {
        PUT(t, ",\"meta\":");
        put_given_json(t, ticket_meta(k), style->ascii);
    }
    if (!style->echo)
        return;
    slice line = trimmed(ticket_line(k));
    PUT(t, ",\"request\":");
    if (json_is_valid(line) && line.at[0] == '{')
        put_raw_json(t, line, style->ascii);
    else
        put_json_as_text(t, line, style->ascii);
}

/* A URL as it may be shown: the password is nobody's business. One in a Location may begin with
   "//". */
static void put_masked(text *t, slice url) {
    size_t scheme = starts_with(url, "//") ? 2 : starts_with(url, "https") ? 8 : 7;
    if (url.size < scheme)
        scheme = url.size;
    slice rest = slice_from(url, scheme);
    slice authority = { rest.at, find_any(rest, "/?#") };
    size_t user_end = authority.size;
    while (user_end > 0 && authority.at[user_end - 1] != '@')
        user_end--;
    put_bytes(t, url.at, scheme);
    if (user_end > 0)
        PUT(t, "***@");
    put_slice(t, slice_from(rest, user_end));
}

static void put_masked_url(text *t, slice url, bool ascii) {
    text masked = { NULL, 0, 0, false };
    put_masked(&masked, url);
    slice shown = { masked.at, masked.size };
    put_string(t, shown, ascii);
    if (masked.failed)
        t->failed = true;
    text_free(&masked);
}

/* {"429":2,"timeout":1} */
static void put_tries(text *t, const tried *tries) {
    for (unsigned i = 0; i < tries->count; i++) {
        put_text(t, i == 0 ? ",\"retried\":{\"" : ",\"");
        put_tried_code(t, tries->codes[i]);
        PUT(t, "\":");
        put_u64(t, tries->times[i]);
    }
    if (tries->count > 0)
        put_char(t, '}');
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
    put_tries(t, &k->tries);
    if (style->cost && r->attempts > 0) {
        PUT(t, ",\"cost\":");
        put_number(t, r->cost);
    }
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
    slice id = { NULL, 0 }, meta = { NULL, 0 };
    find_names(line, &id, &meta);
    PUT(t, "{\"index\":");
    put_u64(t, index);
    if (id.size > 0) {
        PUT(t, ",\"id\":");
        put_given_json(t, id, style->ascii);
    }
    PUT(t, ",\"outcome\":\"invalid\",\"status\":null,\"attempts\":0"
           ",\"error\":{\"kind\":\"bad_line\",\"message\":");
    put_string(t, message, style->ascii);
    put_char(t, '}');
    if (meta.size > 0) {
        PUT(t, ",\"meta\":");
        put_given_json(t, meta, style->ascii);
    }
    if (line.size > BAD_LINE_SHOWN) {
        PUT(t, ",\"truncated\":true");
        line.size = BAD_LINE_SHOWN;
    }
    PUT(t, ",\"line\":");
    put_string(t, line, style->ascii);
    PUT(t, "}\n");
}

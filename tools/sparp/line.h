/* sparp/line.h - one line of input -> one request, which points into the line and into a parser.
   Pure. Uses text, json, url, template, options, config. */

enum { FIELDS_MAX = 1000 };      /* headers, and query parameters, of one line */

/* X(name, TAG): keys with the same tag are two names of one thing. */
#define KEYS(X) \
    X("url", URL) X("method", METHOD) X("id", ID) X("custom_id", ID) X("query", QUERY) \
    X("headers", HEADERS) X("json", JSON) X("body", BODY) X("body_base64", BODY_BASE64) \
    X("body_file", BODY_FILE) X("form", FORM) X("timeout", TIMEOUT) \
    X("idempotent", IDEMPOTENT) X("cost", COST) X("meta", META)

typedef enum key_tag {
    KEY_URL, KEY_METHOD, KEY_ID, KEY_QUERY, KEY_HEADERS, KEY_JSON, KEY_BODY, KEY_BODY_BASE64,
    KEY_BODY_FILE, KEY_FORM, KEY_TIMEOUT, KEY_IDEMPOTENT, KEY_COST, KEY_META, KEY_UNKNOWN
} key_tag;

/* Of these a line has one at most. */
enum {
    BODY_KEYS = 1 << KEY_JSON | 1 << KEY_BODY | 1 << KEY_BODY_BASE64 | 1 << KEY_BODY_FILE
              | 1 << KEY_FORM
};

typedef struct field_list {      /* of the line, the command line, a form, a file to go on with */
    sparp_field items[FIELDS_MAX + DEFAULTS_MAX + 3];
    size_t count;
    const char *keys[FIELDS_MAX];       /* of the line: those of an empty array are in no item */
    size_t num_keys;
} field_list;

typedef struct item {            /* a line taken apart; valid until the next one */
    slice line;                         /* verbatim, without its end */
    slice id, meta;                     /* JSON as written; size 0: none */
    const char *url, *method;
    const char *json, *body;
    const char *body_file;              /* its path; body is empty then: it is read later */
    size_t body_size;
    double timeout;
    double cost;                        /* as the library has it: 0 is none given */
    bool idempotent;
    unsigned keys_seen;                 /* 1 << key_tag */
} item;

typedef struct parser {
    const config *config;
    text arena;                        /* decoded strings; room is made before, so it never moves */
    text url;                           /* resolved, or out of the template */
    text form;                          /* encoded */
    text filled;                        /* -d, --json and -H as templates */
    text cost;                          /* --cost as one */
    row_values row;
    const column_names *columns;             /* NULL: they have no names */
    field_list headers, query, fields;  /* the fields are those of the form */
    char sentence[160];                 /* if it is not one of ours */
    const char *error;                  /* why the line is bad ... */
    size_t column;                      /* ... and where, from 1 */
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
    if (!json_string(j, &raw))
        return NULL;
    if (!j->escaped) {                  /* nor is there a NUL in it */
        if (size != NULL)
            *size = raw.size;
        return arena_copy(p, raw);
    }
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

/* A key is only looked at: where it stands, if nothing in it is escaped. With that, and with copies
   of strings as they stand, a line takes 12 % less of the command's own instructions. */
static bool take_key(parser *p, json *j, slice *key) {
    const char *at = j->at;
    if (!json_string(j, key))
        return false;
    if (!j->escaped)
        return true;
    j->at = at;
    const char *decoded = take_string(p, j, NULL);
    if (decoded != NULL)
        *key = slice_of(decoded);
    return decoded != NULL;
}

static bool list_add(field_list *list, json *j, const char *name, const char *value) {
    if (list->count >= FIELDS_MAX)
        return json_fail(j, "more than 1000 fields");
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
        if (any_case ? same_name(known, slice_of(name)) : slice_is(known, name))
            return json_fail_at(j, at, "duplicate key");
    }
    if (list->num_keys == FIELDS_MAX)
        return json_fail(j, "more than 1000 fields");
    list->keys[list->num_keys++] = name;
    return true;
}

static bool list_has(const field_list *list, const char *name) {
    for (size_t i = 0; i < list->count; i++) {
        if (same_name(slice_of(list->items[i].name), slice_of(name)))
            return true;
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
    if (list == &p->headers)
        return json_fail(j, "a header is a string, strings or null");
    if (c != 't' && c != 'f' && c != '-' && !is_digit(c))
        return json_fail(j, "expected a string, number, bool or an array of them");
    slice raw = { j->at, 0 };
    if (!json_scalar(j))
        return false;
    raw.size = (size_t)(j->at - raw.at);
    return list_add(list, j, name, arena_copy(p, raw));
}

/* {"name": value | [value, ...], ...} for `headers`, `query` and `form`. */
static bool take_fields(parser *p, json *j, field_list *list) {
    bool headers = list == &p->headers, first = true;
    if (!json_take(j, '{', "expected an object"))
        return false;
    while (json_more(j, '}', &first)) {
        (void)json_peek(j);
        const char *at = j->at, *name = take_string(p, j, NULL);
        if (name == NULL)
            return false;
        if (!list_add_key(list, j, at, name, headers))
            return false;
        if (!json_take(j, ':', "expected ':'"))
            return false;
        char c = json_peek(j);
        if (c == 'n' && headers) {
            if (!json_word(j, "null") || !list_add(list, j, name, NULL))
                return false;
        } else if (c == '[') {
            bool first_value = true;
            j->at++;
            while (json_more(j, ']', &first_value)) {
                if (!take_field(p, j, list, name))
                    return false;
            }
        } else if (!take_field(p, j, list, name)) {
            return false;
        }
        if (j->error != NULL)
            return false;
    }
    return j->error == NULL;
}

static bool take_json(parser *p, json *j, item *out) {
    slice raw;
    if (!json_value(j, &raw))
        return false;
    out->json = arena_copy(p, raw);
    return true;
}

static bool take_body(parser *p, json *j, item *out) {
    char c = json_peek(j);
    if (c == '{' || c == '[')
        return take_json(p, j, out);
    if (c != '"')
        return json_fail(j, "body is a string, an object or an array");
    out->body = take_string(p, j, &out->body_size);
    return out->body != NULL;
}

static int base64_value(char c) {        /* -1: none of the 64 */
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* In place, as the bytes are fewer than their digits. Padding may be left out, but not be wrong,
   and bits without a byte are 0. On false *size is the place of what is wrong. */
static bool decode_base64(char *at, size_t *size) {
    size_t digits = *size, out = 0, i = 0;
    uint32_t bits = 0;
    while (digits > 0 && *size - digits < 2 && at[digits - 1] == '=')
        digits--;
    for (; i < digits && base64_value(at[i]) >= 0; i++) {
        bits = bits << 6 | (uint32_t)base64_value(at[i]);
        if (i % 4 > 0)
            at[out++] = (char)(bits >> (6 - i % 4 * 2) & 0xFF);
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
    if (out->body == NULL)
        return false;
    if (decode_base64(p->arena.at + start, &out->body_size))
        return true;
    for (size_t i = out->body_size; i > 0; i--)
        at += *at != '\\' ? 1 : at[1] == 'u' ? 6 : 2;
    return json_fail_at(j, at, "not base64");
}

static bool take_body_file(parser *p, json *j, item *out) {
    out->body = "";
    out->body_file = take_string(p, j, NULL);
    return out->body_file != NULL;
}

static bool take_form(parser *p, json *j, item *out) {
    if (!take_fields(p, j, &p->fields))
        return false;
    for (size_t i = 0; i < p->fields.count; i++) {
        if (i > 0)
            put_char(&p->form, '&');
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
    if (c != '-' && !is_digit(c))
        return json_fail(j, "timeout is a number of seconds");
    if (!json_number(j))
        return false;
    raw.size = (size_t)(j->at - raw.at);
    out->timeout = json_number_value(raw);
    if (out->timeout > 0 && out->timeout < 1e9)
        return true;
    return json_fail_at(j, raw.at, "timeout is out of range");
}

static bool take_cost(json *j, item *out) {
    slice raw = { NULL, 0 };
    char c = json_peek(j);
    raw.at = j->at;
    if (c != '-' && !is_digit(c))
        return json_fail(j, "cost is a number, 0 for free");
    if (!json_number(j))
        return false;
    raw.size = (size_t)(j->at - raw.at);
    double cost = json_number_value(raw);
    if (c == '-' || cost > COST_MAX)
        return json_fail_at(j, raw.at, "cost is out of range, which is 0 to 1000000000000");
    out->cost = cost > 0 ? cost : SPARP_NONE;
    return true;
}

static bool take_bool(json *j, bool *out) {
    *out = json_peek(j) == 't';
    if (*out)
        return json_word(j, "true");
    return json_peek(j) == 'f' ? json_word(j, "false") : json_fail(j, "expected true or false");
}

static key_tag key_find(slice name) {
#define X(known, tag) if (slice_is(name, known)) return KEY_##tag;
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
    case KEY_COST:        return take_cost(j, out);
    case KEY_META:        return json_value(j, &out->meta);
    case KEY_UNKNOWN:
    default:              return json_fail(j, "unknown key");
    }
}

/* The sentence about it names it, and what may have been meant. */
static const char *unknown_key(parser *p, slice given) {
    const char *nearest = NULL;
    size_t least = given.size < 4 ? 2 : 3;
#define X(known, tag) \
    if (edit_distance(given, known) < least) { \
        nearest = known; \
        least = edit_distance(given, known); \
    }
    KEYS(X)
#undef X
    if (given.size > 40)
        given.size = 40;
    (void)snprintf(p->sentence, sizeof p->sentence, "unknown key \"%.*s\"%s%s%s", (int)given.size,
                   given.at, nearest != NULL ? "; did you mean \"" : "",
                   nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
    return p->sentence;
}

static bool take_object(parser *p, json *j, item *out) {
    bool first = true;
    if (!json_take(j, '{', "expected an object"))
        return false;
    while (json_more(j, '}', &first)) {
        if (json_peek(j) != '"')
            return json_fail(j, "expected a key in quotes");
        const char *at = j->at;
        slice name;
        if (!take_key(p, j, &name))
            return false;
        key_tag tag = key_find(name);
        if (tag == KEY_UNKNOWN)
            return json_fail_at(j, at, unknown_key(p, name));
        if ((out->keys_seen & 1u << tag) != 0)
            return json_fail_at(j, at, "duplicate key");
        if ((1u << tag & BODY_KEYS) != 0 && (out->keys_seen & BODY_KEYS) != 0)
            return json_fail_at(j, at, "a second body");
        out->keys_seen |= 1u << tag;
        if (!json_take(j, ':', "expected ':'") || !take_member(p, j, out, tag))
            return false;
    }
    return j->error == NULL && json_end(j);
}

/* Makes out->url absolute; `column` is where it stands in the line. */
static line_kind finish_url(parser *p, item *out, size_t column) {
    slice url = slice_of(out->url);
    if (starts_with(url, "http://") || starts_with(url, "https://"))
        return LINE_REQUEST;
    if (url.size == 0)
        return line_bad(p, column, "url is empty");
    if (strstr(out->url, "://") != NULL && find_any(url, "/?#") > find_any(url, ":"))
        return line_bad(p, column, "url does not start with http:// or https://");
    if (p->config->base_url == NULL)
        return line_bad(p, column, "url is not absolute, and there is no --base-url");
    p->url.size = 0;
    put_resolved(&p->url, slice_of(p->config->base_url), url);
    put_char(&p->url, '\0');
    out->url = p->url.at;
    return LINE_REQUEST;
}

static line_kind parse_object(parser *p, item *out) {
    json j = json_of(out->line);
    if (!take_object(p, &j, out))
        return line_bad(p, (size_t)(j.at - j.start) + 1, j.error);
    if (out->url == NULL)
        return line_bad(p, 1, "url is missing");
    return finish_url(p, out, 1);
}

/* In capitals, or one of those that fetch raises, and the library as well. */
static bool is_method_word(slice word) {
    static const char *const raised[] = { "delete", "get", "head", "options", "post", "put" };
    size_t capitals = 0;
    for (size_t i = 0; i < sizeof raised / sizeof *raised; i++)
        if (same_name(word, slice_of(raised[i])))
            return true;
    while (capitals < word.size && word.at[capitals] >= 'A' && word.at[capitals] <= 'Z')
        capitals++;
    return word.size > 0 && capitals == word.size;
}

/* [ METHOD SP ] URL */
static line_kind parse_plain(parser *p, item *out, slice s) {
    const char *space = (const char *)memchr(s.at, ' ', s.size);
    slice word = { s.at, space == NULL ? 0 : (size_t)(space - s.at) };
    if (is_method_word(word)) {
        out->method = arena_copy(p, word);
        s = trimmed(slice_from(s, word.size));
    }
    out->url = arena_copy(p, s);
    return finish_url(p, out, (size_t)(s.at - out->line.at) + 1);
}

/* -d, --json and -H with the values of the row. Their text may move while it grows, so pointers
   into it are taken at the end. */
static const char *fill_request(parser *p, item *out) {
    const config *c = p->config;
    slice data = { c->data, c->data_size }, body = { c->json, c->json_size };
    const char *wrong = NULL;
    size_t starts[DEFAULTS_MAX], count = 0;
    p->filled.size = 0;
    if (c->words_in_data)
        wrong = fill_loose(&p->filled, data, false, &p->row, p->columns);
    if (c->words_in_json)
        wrong = fill_loose(&p->filled, body, true, &p->row, p->columns);
    out->body_size = p->filled.size;
    slice whole = { p->filled.at, out->body_size };
    if (wrong == NULL && c->words_in_json && !json_is_valid(whole))
        wrong = "--json is no JSON with these values";
    for (size_t i = c->num_removed; wrong == NULL && c->words_in_headers && i < c->num_headers;
         i++) {
        put_char(&p->filled, '\0');
        starts[count++] = p->filled.size;
        wrong = fill_loose(&p->filled, slice_of(c->headers[i].value), false, &p->row, p->columns);
    }
    put_char(&p->filled, '\0');
    if (wrong != NULL || p->filled.failed)
        return wrong;
    out->body = c->words_in_data ? p->filled.at : NULL;
    out->json = c->words_in_json ? p->filled.at : NULL;
    if (!c->words_in_data)
        out->body_size = 0;
    for (size_t i = 0; i < count; i++) {
        sparp_field f = { c->headers[c->num_removed + i].name, p->filled.at + starts[i] };
        if (has_control(slice_of(f.value)))
            return "a control character would be in a header";
        p->headers.items[p->headers.count++] = f;
    }
    return NULL;
}

/* --cost with the values of the row. */
static const char *fill_cost(parser *p, item *out) {
    double cost = 0;
    p->cost.size = 0;
    const char *wrong = fill_loose(&p->cost, slice_of(p->config->cost), false, &p->row, p->columns);
    slice filled = { p->cost.at, p->cost.size };
    if (wrong != NULL || p->cost.failed)
        return wrong;
    if (!parse_cost(trimmed(filled), &cost))
        return "--cost is no number with these values";
    out->cost = cost > 0 ? cost : SPARP_NONE;
    return NULL;
}

static line_kind parse_value(parser *p, item *out) {
    const config *c = p->config;
    p->url.size = 0;
    const char *error = split_row(&p->row, out->line, c->csv ? ',' : '\t', c->csv);
    if (error == NULL)
        error = fill_url(&p->url, slice_of(c->template_url), &p->row, p->columns);
    if (error == NULL && (c->words_in_data || c->words_in_json || c->words_in_headers))
        error = fill_request(p, out);
    if (error == NULL && c->words_in_cost)
        error = fill_cost(p, out);
    if (error != NULL)
        return line_bad(p, 1, error);
    put_char(&p->url, '\0');
    out->url = p->url.at;
    if (p->url.failed || is_url(out->url))
        return LINE_REQUEST;
    /* finish_url() resolves into the buffer that holds it: hand it a copy */
    slice relative = { p->url.at, p->url.size };
    if (!text_reserve(&p->arena, relative.size + 1))
        return LINE_REQUEST;
    out->url = arena_copy(p, relative);
    return finish_url(p, out, 1);
}

/* The id and meta of a line that is no request, as far as it can be read: its record is asked for
   by them. */
static void find_names(slice line, slice *id, slice *meta) {
    json j = json_of(line);
    bool first = true;
    slice key, raw;
    if (utf8_good_prefix(line) < line.size || !json_take(&j, '{', ""))
        return;
    while (json_more(&j, '}', &first) && json_key(&j, &key) && json_value(&j, &raw)) {
        if (id->size == 0 && (slice_is(key, "id") || slice_is(key, "custom_id")))
            *id = raw;
        if (meta->size == 0 && slice_is(key, "meta"))
            *meta = raw;
    }
}

/* Blank; or a comment, where lines may be plain and are no values. */
static bool line_is_nothing(const config *c, slice trimmed_line, bool argument) {
    if (trimmed_line.size == 0)
        return true;
    return trimmed_line.at[0] == '#'
        && (argument || (c->format != FORMAT_JSONL && c->template_url == NULL));
}

/* An argument of the command line is a URL whatever the format says. */
static line_kind parse_line(parser *p, slice line, bool argument, item *out) {
    memset(out, 0, sizeof *out);
    out->line = line;
    p->headers.count = p->query.count = p->fields.count = 0;
    p->headers.num_keys = p->query.num_keys = p->fields.num_keys = 0;
    p->arena.size = p->form.size = p->row.count = 0;
    p->row.line.size = 0;
    slice s = trimmed(line);
    if (line_is_nothing(p->config, s, argument))
        return LINE_NOTHING;
    size_t good = utf8_good_prefix(line);
    if (good < line.size)
        return line_bad(p, good + 1, "not UTF-8");
    if (!text_reserve(&p->arena, line.size + 2))
        return LINE_REQUEST;      /* see parser_failed() */
    const config *c = p->config;
    bool row = c->template_url != NULL && !argument;
    bool words = c->words_in_data || c->words_in_json || c->words_in_headers || c->words_in_cost;
    int format = argument || p->columns != NULL ? FORMAT_URL : c->format;
    if (words && (!row || (format == FORMAT_AUTO && s.at[0] == '{')))
        return line_bad(p, 1, "no line of values, which -d, --json, -H or --cost want");
    if (format == FORMAT_JSONL || (format == FORMAT_AUTO && s.at[0] == '{'))
        return parse_object(p, out);
    const char *nul = (const char *)memchr(line.at, '\0', line.size);
    if (nul != NULL)
        return line_bad(p, (size_t)(nul - line.at) + 1, "NUL byte");
    if (row)
        return parse_value(p, out);
    return parse_plain(p, out, s);
}

static bool parser_failed(const parser *p) {     /* out of memory */
    return p->arena.failed || p->url.failed || p->form.failed || p->filled.failed
        || p->cost.failed || p->row.unquoted.failed;
}

static void parser_free(parser *p) {
    text_free(&p->arena);
    text_free(&p->url);
    text_free(&p->form);
    text_free(&p->filled);
    text_free(&p->cost);
    text_free(&p->row.unquoted);
}

/* sparp_request.read_body */
typedef int64_t (*form_reader)(uint64_t offset, void *out, size_t room, void *user_data);

/* The request of an item, with what the command line adds to every request. Points into the
   parser, so it lives until the next line. */
static void item_request(parser *p, const item *it, sparp_request *out, form_reader form_read) {
    static const sparp_field form = { "Content-Type", "application/x-www-form-urlencoded" };
    const config *c = p->config;
    memset(out, 0, sizeof *out);
    if ((it->keys_seen & 1u << KEY_FORM) != 0 && !list_has(&p->headers, form.name))
        p->headers.items[p->headers.count++] = form;
    for (size_t i = 0; i < c->num_removed; i++) {
        if (list_has(&p->headers, c->headers[i].name))
            continue;
        p->headers.items[p->headers.count++] = c->headers[i];
    }
    for (size_t i = 0; i < c->num_query; i++)
        p->query.items[p->query.count++] = c->query[i];
    out->url = it->url;
    out->method = it->method != NULL ? it->method : c->method;
    out->query = p->query.items;
    out->num_query = p->query.count;
    out->timeout_s = it->timeout;
    out->idempotent = it->idempotent;
    out->cost = it->cost < 0 || it->cost > 0 ? it->cost : c->cost_default;
    if (it->json != NULL || it->body != NULL) {
        out->json = it->json;
        out->body = it->body;
        out->body_size = it->body_size;
    } else if (c->num_parts > 0) {
        out->read_body = form_read;
        out->body_size = (size_t)c->form_size;
        (void)snprintf(p->sentence, sizeof p->sentence, "multipart/form-data; boundary=%s",
                       c->boundary);
        sparp_field type = { form.name, p->sentence };
        if (!list_has(&p->headers, form.name))
            p->headers.items[p->headers.count++] = type;
    } else {
        out->json = c->json;
        out->body = c->data;
        out->body_size = c->data_size;
    }
    out->headers = p->headers.items;
    out->num_headers = p->headers.count;
}

/* From a request to the bytes on the wire: what is accepted is well formed, whatever it was made
   of, what is shown of it leads to the same again, and the next hop has what it may have.

   Input: parts with NUL between them: two bytes of options, the url, the method, the body, then
   "?name=value" is a query parameter, "+name:value" a line of the run, ">url" where a redirect
   leads, anything else a line of the request's own. Without = or : its value is NULL. Empty is
   NULL, too. */
#define FUZZ_TLS
#include "fuzz.h"
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#define MAX_PARTS 24

static sparp__env env;
static fuzz_memory memory;
static char *parts[MAX_PARTS];          /* each with its NUL, and an allocation of its own */
static size_t num_parts;
static sparp_field query[MAX_PARTS], own[MAX_PARTS], run[MAX_PARTS];
static size_t num_query, num_own, num_run;
static const char *hop;                 /* NULL: no redirect */
static sparp_options options;

static bool has_tls(void) {
    return strcmp(sparp_tls_library(), "none") != 0;
}

/* --- the input -------------------------------------------------------------------------------- */

static void split(const fuzz_input *in) {
    num_parts = 0;
    for (size_t from = 0; from <= in->size && num_parts < MAX_PARTS;) {
        const void *nul = from < in->size ? memchr(in->data + from, 0, in->size - from) : NULL;
        size_t n = nul != NULL ? (size_t)((const uint8_t *)nul - in->data) - from
                               : in->size - from;
        char *part = (char *)malloc(n + 1);
        assert_non_null(part);
        memcpy(part, in->data + from, n);
        part[n] = '\0';
        parts[num_parts++] = part;
        from += n + 1;
    }
}

static char *part(size_t i) {
    return i < num_parts && parts[i][0] != '\0' ? parts[i] : NULL;
}

static void add(sparp_field *list, size_t *count, char *text, char separator) {
    char *at = strchr(text, separator);
    list[*count].name = text;
    list[*count].value = at != NULL ? at + 1 : NULL;
    if (at != NULL)
        *at = '\0';
    ++*count;
}

static void sort_fields(void) {
    num_query = num_own = num_run = 0;
    hop = NULL;
    for (size_t i = 4; i < num_parts; i++) {
        char kind = parts[i][0];
        if (kind == '?')
            add(query, &num_query, parts[i] + 1, '=');
        else if (kind == '>')
            hop = parts[i] + 1;
        else if (kind == '+')
            add(run, &num_run, parts[i] + 1, ':');
        else
            add(own, &num_own, parts[i], ':');
    }
}

/* --- what must be true of the bytes ----------------------------------------------------------- */

static bool is_one_of(char c, const char *set) {
    return c != '\0' && strchr(set, c) != NULL;
}

static bool is_token(const char *s, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (!is_one_of(s[i], "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
            return false;
    return size > 0;
}

/* RFC 3986 §3.3 and §3.4; a % may stand alone, since it is left as it came. */
static bool is_target(const char *s, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (s[i] <= 0x20 || s[i] == 0x7F || is_one_of(s[i], "\"<>\\^`{|}#"))
            return false;
    return size > 0 && s[0] == '/';
}

/* The value of the only line of that name, or NULL; more than one is an error. */
static const char *only_line(const char *head, size_t size, const char *name, size_t *value_size) {
    const char *found = NULL;
    size_t n = strlen(name);
    for (const char *at = head, *end; at < head + size; at = end + 2) {
        end = (const char *)memchr(at, '\r', (size_t)(head + size - at));
        if ((size_t)(end - at) < n + 2 || strncasecmp(at, name, n) != 0 || at[n] != ':')
            continue;
        CHECK(found == NULL, "two lines of %s", name);
        found = at + n + 2;
        *value_size = (size_t)(end - found);
    }
    return found;
}

/* RFC 9112 §3 and §5: lines of tokens and values, each ended by CR LF, and by nothing else. */
static void check_lines(const char *at, const char *end) {
    while (at < end) {
        const char *cr = (const char *)memchr(at, '\r', (size_t)(end - at));
        const char *colon = (const char *)memchr(at, ':', (size_t)(end - at));
        CHECK(cr != NULL && cr + 1 < end && cr[1] == '\n', "a line without an end");
        CHECK(colon != NULL && colon < cr && is_token(at, (size_t)(colon - at)), "'%.*s'",
              (int)(cr - at), at);
        CHECK(colon[1] == ' ', "'%.*s'", (int)(cr - at), at);
        for (const char *c = colon + 1; c < cr; c++)
            CHECK(((unsigned char)*c >= 0x20 || *c == '\t') && *c != 0x7F, "byte %d in a value",
                  *c);
        at = cr + 2;
    }
}

/* `length`: of the body; UINT64_MAX: unknown. */
static void check_framing(const char *head, size_t size, uint64_t length) {
    size_t n = 0;
    const char *value = only_line(head, size, "host", &n);
    CHECK(value != NULL && n > 0, "no host");
    value = only_line(head, size, "transfer-encoding", &n);
    CHECK((value != NULL) == (length == UINT64_MAX), "a transfer coding");
    CHECK(value == NULL || (n == 7 && memcmp(value, "chunked", 7) == 0), "%.*s", (int)n, value);
    value = only_line(head, size, "content-length", &n);
    CHECK(value != NULL || length == 0 || length == UINT64_MAX, "no length");
    if (value != NULL)
        CHECK(n > 0 && strspn(value, "0123456789") == n && strtoull(value, NULL, 10) == length,
              "length %.*s", (int)n, value);
}

/* Of a request for `method`, with that body (NULL: it comes from read_body). */
static void check_wire(const sparp__request *r, const char *body, uint64_t length) {
    const char *wire = r->image.data, *method = sparp__request_method(r);
    size_t head = r->head_size, n = strlen(method), body_size = body != NULL ? strlen(body) : 0;
    CHECK(head > 4 && r->wire_size == head + body_size, "%u bytes", (unsigned)r->wire_size);
    CHECK(body_size == 0 || memcmp(wire + head, body, body_size) == 0, "another body");
    CHECK(memcmp(wire + head - 4, "\r\n\r\n", 4) == 0, "no empty line");
    CHECK(is_token(method, n) && memcmp(wire, method, n) == 0 && wire[n] == ' ', "%s", method);
    const char *target = wire + n + 1, *cr = (const char *)memchr(wire, '\r', head);
    const char *blank = (const char *)memchr(target, ' ', head - n - 1);
    CHECK(blank != NULL && cr - blank == 9 && memcmp(blank, " HTTP/1.1\r\n", 11) == 0, "'%.*s'",
          (int)(cr - wire), wire);
    CHECK(is_target(target, (size_t)(blank - target)), "'%.*s'", (int)(blank - target), target);
    check_lines(cr + 2, wire + head - 2);
    check_framing(cr + 2, head - (size_t)(cr + 2 - wire) - 2, length);
}

static bool has_control(const char *text) {
    for (; text != NULL && *text != '\0'; text++)
        if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7F)
            return true;
    return false;
}

/* What was accepted could not have been more than one line anywhere. */
static void check_accepted(const sparp_request *in) {
    CHECK(!has_control(in->url) && strpbrk(in->url, " \t") == NULL, "'%s'", in->url);
    CHECK(in->method == NULL || is_token(in->method, strlen(in->method)), "'%s'", in->method);
    for (size_t i = 0; i < num_own; i++)
        CHECK(is_token(own[i].name, strlen(own[i].name)) && !has_control(own[i].value), "'%s: %s'",
              own[i].name, own[i].value);
}

static void check_host(const char *host) {
    size_t n = strlen(host);
    CHECK(n > 0 && n <= 253 && host[0] != '.', "'%s'", host);
    bool ipv6 = strchr(host, ':') != NULL;
    for (size_t i = 0; i < n; i++)
        CHECK(is_one_of(host[i], ipv6 ? "0123456789abcdef:." : "0123456789-._"
                                        "abcdefghijklmnopqrstuvwxyz"), "'%s'", host);
}

/* The url `shown` is accepted, gives the same place and target, and is shown as it is. */
static void check_shown(const sparp__request *r, const char *shown, bool with_fragment) {
    static sparp__request again;
    sparp__fault fault;
    sparp__request_memo memo;
    sparp_request plain;
    memset(&memo, 0, sizeof memo);
    memset(&fault, 0, sizeof fault);
    memset(&plain, 0, sizeof plain);
    plain.url = shown;
    plain.method = sparp__request_method(r);
    CHECK(sparp__request_build(&env, &again, &plain, &options, &memo, &fault), "%s: %s", shown,
          fault.detail);
    CHECK(strcmp(with_fragment ? sparp__request_final_url(&again) : sparp__request_url(&again),
                 shown) == 0, "%s, then %s", shown, sparp__request_url(&again));
    CHECK(strcmp(sparp__request_host(&again), sparp__request_host(r)) == 0
          && again.port == r->port && again.https == r->https, "%s leads to %s:%d", shown,
          sparp__request_host(&again), again.port);
    size_t line = strcspn(r->image.data, "\r");
    CHECK(memcmp(again.image.data, r->image.data, line) == 0, "%s: '%.*s'", shown, (int)line,
          again.image.data);
    sparp__buf_free(&env, &again.image);
}

static void check_names(const sparp__request *r) {
    CHECK(strchr(sparp__request_url(r), '#') == NULL, "%s", sparp__request_url(r));
    check_shown(r, sparp__request_url(r), false);
    check_shown(r, sparp__request_final_url(r), true);
}

/* --- the next hop ----------------------------------------------------------------------------- */

/* Lines that are for one origin alone do not go to another one. */
static void check_secrets(const sparp__request *r) {
    static const char *const secret[] = {"authorization", "cookie", "x-secret"};
    size_t n;
    for (size_t i = 0; i < COUNT_OF(secret); i++)
        CHECK(only_line(r->image.data, r->head_size - 2, secret[i], &n) == NULL, "%s is sent on",
              secret[i]);
}

static void check_hop(const sparp__request *from, bool keep_body, const char *body,
                      uint64_t length) {
    static sparp__request r;
    sparp__url url;
    sparp__turn turn;
    if (hop == NULL || sparp__url_parse(sparp__str_of(hop), &url) != NULL
        || url.userinfo.size > 0 || (url.https && !has_tls()))
        return;
    turn.method = keep_body ? sparp__request_method(from) : "GET";
    turn.options = &options;
    turn.keep_body = turn.keep_expect = keep_body;
    turn.same_origin = sparp__request_same_origin(from, &url);
    CHECK(sparp__request_build_hop(&env, &r, from, &url, &turn), "no hop");
    check_wire(&r, keep_body ? body : NULL, keep_body ? length : 0);
    check_host(sparp__request_host(&r));
    check_names(&r);
    if (!turn.same_origin)
        check_secrets(&r);
    sparp__buf_free(&env, &r.image);
}

/* --- the functions that are asked ------------------------------------------------------------- */

static bool within(sparp__str part, const char *text, size_t size) {
    return part.data == NULL ? part.size == 0
        : part.data >= text && part.data + part.size <= text + size;
}

static bool same(sparp__str a, sparp__str b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* What came before makes no difference: a part of the same bytes, or all of them. */
static void check_next(const char *text, size_t size, size_t before, const sparp__url *url,
                       const char *wrong) {
    sparp__url_memo memo;
    memset(&memo, 0, sizeof memo);
    for (int i = 0; i < 3; i++) {
        sparp__url next;
        size_t n = i == 0 ? before : size;
        const char *again = sparp__url_parse_next(&memo, sparp__str_make(text, n), &next);
        if (i == 0)
            continue;
        CHECK(again == wrong || (again != NULL && wrong != NULL && strcmp(again, wrong) == 0),
              "%s, %s", again != NULL ? again : "taken", wrong != NULL ? wrong : "taken");
        CHECK(wrong != NULL
              || (same(next.userinfo, url->userinfo) && same(next.host, url->host)
                  && same(next.path, url->path) && same(next.fragment, url->fragment)
                  && same(next.shown, url->shown) && next.port == url->port
                  && next.https == url->https && next.plain == url->plain),
              "%.*s", (int)size, text);
    }
}

/* Bytes of any kind, without a NUL behind them. */
static void check_parser(const uint8_t *data, size_t size) {
    char *text = fuzz_copy(data, size);
    sparp__url url;
    const char *wrong = sparp__url_parse(sparp__str_make(text, size), &url);
    check_next(text, size, size > 0 ? data[size / 2] % size : 0, &url, wrong);
    if (wrong != NULL) {
        CHECK(wrong[0] != '\0', "refused without a reason");
    } else {
        CHECK(within(url.userinfo, text, size) && within(url.host, text, size)
              && within(url.path, text, size), "%.*s", (int)size, text);
        CHECK(url.host.size > 0 && url.host.size <= 253 && url.port > 0, "%.*s", (int)size, text);
        for (size_t i = 0; i < size; i++)
            CHECK((unsigned char)text[i] > 0x20 && text[i] != 0x7F, "byte %d", text[i]);
        CHECK(memchr(url.path.data, '#', url.path.size) == NULL, "%.*s", (int)size, text);
    }
    free(text);
}

/* What the request before had in common with it is copied: nothing may differ. */
static void check_again(const sparp__request *r, const sparp_request *in,
                        sparp__request_memo *memo) {
    static sparp__request again;
    sparp__fault fault;
    for (int i = 0; i < 2; i++) {
        CHECK(sparp__request_build(&env, &again, in, &options, memo, &fault), "not again");
        CHECK(again.image.size == r->image.size
              && memcmp(again.image.data, r->image.data, r->image.size) == 0, "another image");
    }
    sparp__buf_free(&env, &again.image);
}

static void check_build(sparp_request *in, size_t fail_at, bool keep_body) {
    static sparp__request r;
    sparp__fault fault;
    sparp__request_memo memo;
    const char *body = in->json != NULL ? in->json : (const char *)in->body;
    uint64_t length = in->read_body != NULL && in->body_size == 0 ? UINT64_MAX
        : body != NULL ? strlen(body) : in->body_size;
    memset(&memo, 0, sizeof memo);
    memset(&fault, 0, sizeof fault);
    memory.counted.calls = 0;
    memory.counted.fail_at = fail_at;
    bool ok = sparp__request_build(&env, &r, in, &options, &memo, &fault);
    memory.counted.fail_at = 0;
    CHECK(ok == (fault.error == SPARP_E_OK), "error %d", fault.error);
    CHECK(ok || fault.error == SPARP_E_BAD_REQUEST
          || (fault.error == SPARP_E_TLS_ABSENT && !has_tls())
          || (fail_at > 0 && fault.error == SPARP_E_OUT_OF_MEMORY), "%d: %s", fault.error,
          fault.detail);
    CHECK(ok || fault.detail[0] != '\0', "refused without a reason");
    if (ok) {
        check_accepted(in);
        check_wire(&r, body, length);
        check_host(sparp__request_host(&r));
        check_names(&r);
        check_hop(&r, keep_body, body, length);
        check_again(&r, in, &memo);
        CHECK(r.port > 0 && r.is_head == (strcmp(sparp__request_method(&r), "HEAD") == 0), "port");
    } else {                            /* a secret is not shown, whatever else is wrong */
        const char *url = sparp__request_url(&r);
        CHECK(strchr(url, '@') == NULL, "'%s' is shown", url);
    }
    sparp__buf_free(&env, &r.image);
    sparp__buf_free(&env, &memo.lines);
}

static int64_t read_body(uint64_t offset, void *out, size_t room, void *user_data) {
    (void)offset;
    (void)out;
    (void)room;
    (void)user_data;
    return 0;                           /* it is not asked here */
}

static void set_body(sparp_request *request, unsigned kind) {
    if (kind == 3) {
        request->read_body = read_body;
        request->body_size = part(3) != NULL ? strlen(part(3)) : 0;
    } else if (kind == 1) {
        request->json = part(3);
    } else if (part(3) != NULL) {
        request->body = part(3);
        request->body_size = strlen(part(3));
    }
}

/* What sparp_open() would have refused is left out. */
static void set_options(void) {
    sparp__fault fault;
    memset(&options, 0, sizeof options);
    options.sensitive_headers = "X-Secret";
    if (!sparp__request_check_fields(run, num_run, 0, &fault))
        return;
    options.headers = run;
    options.num_headers = num_run;
}

static void fuzz_one(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    sparp_request request;
    memset(&memory, 0, sizeof memory);
    memset(&request, 0, sizeof request);
    env.allocator.func = fuzz_memory_func;
    env.allocator.user_data = &memory;
    split(&in);
    sort_fields();
    unsigned kind = (unsigned char)parts[0][0];
    bool keep_body = kind != 0 && (parts[0][1] & 1) != 0;
    set_options();
    request.url = part(1);
    request.method = part(2);
    request.query = query;
    request.num_query = num_query;
    request.headers = own;
    request.num_headers = num_own;
    set_body(&request, kind & 3);
    check_build(&request, 0, keep_body);
    check_build(&request, kind >> 2 & 7, keep_body);
    if (request.url != NULL)
        check_parser((const uint8_t *)request.url, strlen(request.url));
    check_parser(data, size);
    if (size > 3)
        check_parser(data + 3, size - 3);
    for (size_t i = 0; i < num_parts; i++)
        free(parts[i]);
    CHECK(test_memory_clean(&memory.counted), "%u blocks left", (unsigned)memory.counted.blocks);
}

/* From a request to the bytes on the wire: what is accepted is well formed, whatever it was made
   of, and what is shown of it leads to the same again.

   Input: parts with NUL between them: a byte of options, the url, the method, the body, then
   fields: "?name=value" is a query parameter, "+name:value" a line of the run, anything else a
   line of the request's own. Without = or : its value is NULL. Empty is NULL, too. */
#include "fuzz.h"
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#define MAX_PARTS 24
#define SHOWN_MAX 65536

static sparp__env env;
static fuzz_memory memory;
static char *parts[MAX_PARTS];          /* each with its NUL, and an allocation of its own */
static size_t num_parts;
static sparp_field query[MAX_PARTS], own[MAX_PARTS], run[MAX_PARTS];
static size_t num_query, num_own, num_run;

/* --- the input ---------------------------------------------------------------------------------- */

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
    for (size_t i = 4; i < num_parts; i++) {
        char kind = parts[i][0];
        if (kind == '?')
            add(query, &num_query, parts[i] + 1, '=');
        else if (kind == '+')
            add(run, &num_run, parts[i] + 1, ':');
        else
            add(own, &num_own, parts[i], ':');
    }
}

/* --- what must be true of the bytes -------------------------------------------------------------- */

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

static void check_framing(const char *head, size_t size, size_t body_size) {
    size_t n = 0;
    const char *value = only_line(head, size, "host", &n);
    CHECK(value != NULL && n > 0, "no host");
    CHECK(only_line(head, size, "transfer-encoding", &n) == NULL, "a transfer coding");
    value = only_line(head, size, "content-length", &n);
    CHECK(value != NULL || body_size == 0, "no length");
    if (value != NULL)
        CHECK(n > 0 && strspn(value, "0123456789") == n && strtoul(value, NULL, 10) == body_size,
              "length %.*s", (int)n, value);
}

static void check_wire(const sparp__request *r, const sparp_request *in) {
    const char *wire = r->image.data, *method = sparp__request_method(r);
    size_t body_size = in->json != NULL ? strlen(in->json) : in->body_size;
    const void *body = in->json != NULL ? in->json : in->body;
    CHECK(r->wire_size > body_size + 4, "no head");
    size_t head = r->wire_size - body_size, n = strlen(method);
    CHECK(body_size == 0 || memcmp(wire + head, body, body_size) == 0, "another body");
    CHECK(memcmp(wire + head - 4, "\r\n\r\n", 4) == 0, "no empty line");
    CHECK(is_token(method, n) && memcmp(wire, method, n) == 0 && wire[n] == ' ', "%s", method);
    const char *target = wire + n + 1, *cr = (const char *)memchr(wire, '\r', head);
    const char *blank = (const char *)memchr(target, ' ', head - n - 1);
    CHECK(blank != NULL && cr - blank == 9 && memcmp(blank, " HTTP/1.1\r\n", 11) == 0, "'%.*s'",
          (int)(cr - wire), wire);
    CHECK(is_target(target, (size_t)(blank - target)), "'%.*s'", (int)(blank - target), target);
    check_lines(cr + 2, wire + head - 2);
    check_framing(cr + 2, head - (size_t)(cr + 2 - wire) - 2, body_size);
}

static void check_host(const char *host) {
    size_t n = strlen(host);
    CHECK(n > 0 && n <= 253 && host[0] != '.', "'%s'", host);
    bool ipv6 = strchr(host, ':') != NULL;
    for (size_t i = 0; i < n; i++)
        CHECK(is_one_of(host[i], ipv6 ? "0123456789abcdef:." : "0123456789-._"
                                        "abcdefghijklmnopqrstuvwxyz"), "'%s'", host);
}

/* What is shown is accepted, gives the same place and target, and is shown as it is. */
static void check_shown(const sparp__request *r, const sparp_request *in) {
    static char shown[SHOWN_MAX];
    static sparp__request again;
    sparp__fault fault;
    sparp_request plain;
    memset(&fault, 0, sizeof fault);
    memset(&plain, 0, sizeof plain);
    if (strlen(sparp__request_url(r)) >= sizeof shown)
        return;
    strcpy(shown, sparp__request_url(r));
    plain.url = shown;
    plain.method = in->method;
    CHECK(sparp__request_build(&env, &again, &plain, NULL, 0, &fault), "%s: %s", shown,
          fault.detail);
    CHECK(strcmp(sparp__request_url(&again), shown) == 0, "%s, then %s", shown,
          sparp__request_url(&again));
    CHECK(strcmp(again.host, r->host) == 0 && again.port == r->port && again.https == r->https,
          "%s leads to %s:%d", shown, again.host, again.port);
    if (in->method != NULL || in->body == NULL) {
        size_t line = (size_t)((const char *)memchr(r->image.data, '\r', r->wire_size)
                               - r->image.data);
        CHECK(in->json != NULL || memcmp(again.image.data, r->image.data, line) == 0, "%s: '%.*s'",
              shown, (int)line, again.image.data);
    }
    sparp__buf_free(&env, &again.image);
}

/* --- the two functions ---------------------------------------------------------------------------- */

static bool within(sparp__str part, const char *text, size_t size) {
    return part.data == NULL ? part.size == 0
        : part.data >= text && part.data + part.size <= text + size;
}

/* Bytes of any kind, without a NUL behind them. */
static void check_parser(const uint8_t *data, size_t size) {
    char *text = fuzz_copy(data, size);
    sparp__url url;
    const char *wrong = sparp__url_parse(sparp__str_make(text, size), &url);
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

static void check_build(sparp_request *in, size_t fail_at) {
    static sparp__request r;
    sparp__fault fault;
    memset(&fault, 0, sizeof fault);
    memory.counted.calls = 0;
    memory.counted.fail_at = fail_at;
    bool ok = sparp__request_build(&env, &r, in, run, num_run, &fault);
    memory.counted.fail_at = 0;
    CHECK(ok == (fault.error == SPARP_E_OK), "error %d", fault.error);
    CHECK(ok || fault.error == SPARP_E_BAD_REQUEST
          || (fail_at > 0 && fault.error == SPARP_E_OUT_OF_MEMORY), "%d: %s", fault.error,
          fault.detail);
    CHECK(ok || fault.detail[0] != '\0', "refused without a reason");
    if (ok) {
        check_wire(&r, in);
        check_host(r.host);
        check_shown(&r, in);
        CHECK(r.port > 0 && r.is_head == (strcmp(sparp__request_method(&r), "HEAD") == 0), "port");
    } else {                            /* a secret is not shown, whatever else is wrong */
        const char *url = sparp__request_url(&r);
        CHECK(strchr(url, '@') == NULL, "'%s' is shown", url);
    }
    sparp__buf_free(&env, &r.image);
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
    unsigned options = (unsigned char)parts[0][0];
    request.url = part(1);
    request.method = part(2);
    request.query = query;
    request.num_query = num_query;
    request.headers = own;
    request.num_headers = num_own;
    if ((options & 1) != 0) {
        request.json = part(3);
    } else if (part(3) != NULL) {
        request.body = part(3);
        request.body_size = strlen(part(3));
    }
    request.idempotent = (options & 2) != 0;
    sparp__fault fault;
    if (!sparp__request_check_fields(run, num_run, 0, &fault))
        num_run = 0;                    /* sparp_open() would have refused them */
    check_build(&request, 0);
    check_build(&request, options >> 2 & 7);
    size_t skipped = num_parts > 1 ? strlen(parts[0]) + 1 : 0;
    check_parser(data + skipped, size - skipped);
    if (request.url != NULL)
        check_parser((const uint8_t *)request.url, strlen(request.url));
    for (size_t i = 0; i < num_parts; i++)
        free(parts[i]);
    CHECK(test_memory_clean(&memory.counted), "%u blocks left", (unsigned)memory.counted.blocks);
}

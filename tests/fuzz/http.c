/* The response parser: whatever comes, and however it is cut up, the same comes out.

   Input: four bytes (what kind, two of dice, which allocation fails; '@' is always "nothing
   special"), then what the server sends. */
#include "fuzz.h"
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#define BODY_MAX (1 << 20)

typedef struct trace {                  /* everything that can be seen from outside */
    bool        has_head, keep_alive, complete_by_close;
    int         status, keep_alive_s;
    size_t      eaten, num_fields, fields_size, body_size, dropped;
    sparp__http_event event;
    sparp_error error;
    char        detail[160];
    char        fields[2 * 65536 + 1024];       /* "name" NUL "value" NUL ... */
    char        body[BODY_MAX];
} trace;

typedef enum cut { WHOLE, BYTES, PIECES } cut;

static sparp__env env;
static fuzz_memory memory;
static sparp__http http;
static bool to_head, to_connect;
static size_t max_head;
static trace whole, other, *current;

static const char *field(const char *name) {
    for (size_t i = 0; i < http.num_fields; i++)
        if (strcmp(http.fields[i].name, name) == 0)
            return http.fields[i].value;
    return NULL;
}

/* --- what must be true of any head ------------------------------------------------------------ */

/* A line that was dropped has a blank in its name, and could not have framed anything. */
static void on_log(sparp_log_level level, const char *message, void *user_data) {
    const char *name = strchr(message, '"'), *end = strrchr(message, '"');
    char letters[64];
    size_t n = 0;
    bool blank = false;
    (void)level;
    (void)user_data;
    CHECK(name != NULL && end > name && end - name < 64, "%s", message);
    for (const char *c = name + 1; c < end; c++) {
        blank = blank || *c == ' ' || *c == '\t' || end - name > 60;
        CHECK((*c >= ' ' && *c < 0x7F) || *c == '\t', "byte %d in a log", *c);
        if (strchr(" \t-_", *c) == NULL)
            letters[n++] = sparp__ascii_lower(*c);
    }
    letters[n] = '\0';
    CHECK(blank, "%s", message);
    CHECK(to_connect || (strstr(letters, "contentlength") == NULL
                         && strstr(letters, "transferencoding") == NULL), "%s", message);
    current->dropped++;
}

static void check_field(const sparp_field *f) {
    size_t name = strlen(f->name), value = strlen(f->value);
    CHECK(name > 0, "an empty name");
    for (size_t i = 0; i < name; i++)
        CHECK(strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz", f->name[i]) != NULL,
              "byte %d in a name", f->name[i]);
    CHECK(strpbrk(f->value, "\r\n") == NULL, "a line end in a value");
    CHECK(value == 0 || (strchr(" \t", f->value[0]) == NULL
                         && strchr(" \t", f->value[value - 1]) == NULL), "'%s'", f->value);
}

/* What its fields say is left, and what becomes of that: sensible, whatever they are. */
static void check_quotas(void) {
    sparp__telling told;
    sparp__quotas qs;
    memset(&qs, 0, sizeof qs);
    qs.longest = INT64_MAX;
    sparp__quota_read(&told, &http, 1700000000);
    CHECK(told.count <= sizeof told.items / sizeof *told.items, "%u of them", (unsigned)told.count);
    for (size_t i = 0; i < told.count; i++) {
        const sparp__told *q = &told.items[i];
        CHECK(q->left >= 0 && q->left <= 1e15 && (q->limit < 0 || q->left <= q->limit),
              "%f of %f left", q->left, q->limit);
        CHECK(q->reset_s < 0 || q->reset_s <= 32 * 86400.0, "%f s", q->reset_s);
    }
    for (int64_t now = 1; now < 9; now++) {
        sparp__quotas_on_end(&qs, &told, true, 1, 1, now - 1, now);
        int64_t wait = sparp__quotas_wait(&qs, 1, 1, 1, now);
        CHECK(wait >= 0 && (wait == INT64_MAX || wait <= 33 * 86400 * INT64_C(1000000000)),
              "%lld ns", (long long)wait);
    }
}

static void on_head(trace *t) {
    CHECK(!t->has_head, "a second head");
    CHECK(http.status >= 200 && http.status <= 999, "status %d", http.status);
    CHECK(http.num_fields <= 256, "%u fields", (unsigned)http.num_fields);
    CHECK(http.head_bytes <= max_head, "%u bytes", (unsigned)http.head_bytes);
    CHECK(http.keep_alive_s >= -1 && http.keep_alive_s <= 3600, "%d s", http.keep_alive_s);
    t->has_head = true;
    check_quotas();
    t->num_fields = http.num_fields;
    for (size_t i = 0; i < http.num_fields; i++) {
        const char *name = http.fields[i].name, *value = http.fields[i].value;
        check_field(&http.fields[i]);
        CHECK(t->fields_size + strlen(name) + strlen(value) + 2 <= sizeof t->fields, "too much");
        memcpy(t->fields + t->fields_size, name, strlen(name) + 1);
        t->fields_size += strlen(name) + 1;
        memcpy(t->fields + t->fields_size, value, strlen(value) + 1);
        t->fields_size += strlen(value) + 1;
    }
}

/* --- feeding ---------------------------------------------------------------------------------- */

/* One slice, which is gone afterwards. */
static sparp__http_event feed(trace *t, const uint8_t *data, size_t size) {
    char *copy = fuzz_copy(data, size);
    sparp__str in = sparp__str_make(copy, size), piece = {NULL, 0};
    sparp__http_event event;
    do {
        event = sparp__http_feed(&env, &http, &in, &piece);
        CHECK(in.size <= size && in.data + in.size == copy + size, "not a slice of the input");
        if (event == SPARP__HTTP_HEAD) {
            on_head(t);
        } else if (event == SPARP__HTTP_PIECE) {
            CHECK(t->has_head && piece.size > 0 && piece.data >= copy
                  && piece.data + piece.size == in.data, "a piece from elsewhere");
            memcpy(t->body + t->body_size, piece.data, piece.size);
            t->body_size += piece.size;
        }
        CHECK(http.head_bytes <= max_head && http.overhead <= max_head + 1, "%u and %u bytes",
              (unsigned)http.head_bytes, (unsigned)http.overhead);
    } while (event == SPARP__HTTP_HEAD || event == SPARP__HTTP_PIECE);
    CHECK(event != SPARP__HTTP_GO_ON && (event != SPARP__HTTP_MORE || in.size == 0), "event %d",
          event);
    t->eaten += size - in.size;
    free(copy);
    return event;
}

static size_t next_slice(cut how, size_t left, uint64_t *dice) {
    uint64_t n = how == WHOLE ? left : how == BYTES ? 1
        : 1 + test_random(dice) % (UINT64_C(1) << test_random(dice) % 9);
    return n < left ? (size_t)n : left;
}

/* A length that announces a body: the number alone, since all of a list are equal. */
static uint64_t announced(const char *value) {
    CHECK(value[0] >= '0' && value[0] <= '9' && value[strlen(value) - 1] != ',', "'%s'", value);
    return strtoull(value, NULL, 10);
}

/* RFC 9112 §6.3: how long this body had to be. */
static void check_framing(const trace *t) {
    const char *length = field("content-length");
    bool chunked = field("transfer-encoding") != NULL;
    if (to_connect && http.status < 300) {
        CHECK(t->body_size == 0 && !t->complete_by_close, "a tunnel has a body");
        return;
    }
    if (to_head || http.status == 204 || http.status == 304) {
        CHECK(t->body_size == 0 && !t->complete_by_close, "%d has a body", http.status);
    } else if (!chunked && length != NULL) {
        CHECK(t->body_size == announced(length) && !t->complete_by_close, "%u bytes",
              (unsigned)t->body_size);
    } else {
        CHECK(chunked != t->complete_by_close, "the end of the body");
        CHECK(!t->complete_by_close || !t->keep_alive, "kept, though the close ended it");
    }
    if (chunked && length != NULL)
        CHECK(!t->keep_alive, "two framings, and kept");
}

/* All of it, and then the peer closes. */
static void run(trace *t, const uint8_t *data, size_t size, cut how, uint64_t dice) {
    memset(t, 0, offsetof(trace, fields));
    current = t;
    sparp__http_start(&env, &http, to_head, max_head);
    http.is_connect_request = to_connect;
    t->event = SPARP__HTTP_MORE;
    for (size_t at = 0, n; at < size && t->event == SPARP__HTTP_MORE; at += n) {
        n = next_slice(how, size - at, &dice);
        t->event = feed(t, data + at, n);
    }
    bool more = t->event == SPARP__HTTP_MORE;
    sparp__http_event end = sparp__http_feed_eof(&http);
    CHECK(more ? end == SPARP__HTTP_COMPLETE || end == SPARP__HTTP_FAILED : end == t->event,
          "event %d after %d", end, t->event);
    CHECK(feed(t, (const uint8_t *)"HTTP/1.1", 8) == end, "it went on");
    t->complete_by_close = more && end == SPARP__HTTP_COMPLETE;
    t->event = end;
    t->keep_alive = http.keep_alive;
    t->keep_alive_s = http.keep_alive_s;
    t->status = t->has_head ? http.status : 0;
    t->error = http.fault.error;
    memcpy(t->detail, http.fault.detail, sizeof t->detail);
    CHECK((end == SPARP__HTTP_COMPLETE) == (t->error == SPARP_E_OK), "error %d", t->error);
    CHECK((t->error == SPARP_E_OK) == (t->detail[0] == '\0'), "'%s'", t->detail);
    if (end == SPARP__HTTP_COMPLETE)
        check_framing(t);
}

static void compare(const trace *a, const trace *b, const char *how) {
    CHECK(a->event == b->event && a->error == b->error, "%s: '%s', not '%s'", how, b->detail,
          a->detail);
    CHECK(strcmp(a->detail, b->detail) == 0, "%s: '%s', not '%s'", how, b->detail, a->detail);
    CHECK(a->event == SPARP__HTTP_FAILED || a->eaten == b->eaten, "%s: %u bytes, not %u", how,
          (unsigned)b->eaten, (unsigned)a->eaten);
    CHECK(a->has_head == b->has_head && a->status == b->status, "%s: status %d", how, b->status);
    CHECK(!a->has_head || (a->keep_alive == b->keep_alive && a->keep_alive_s == b->keep_alive_s
                           && a->complete_by_close == b->complete_by_close), "%s", how);
    CHECK(a->dropped == b->dropped, "%s: %u lines dropped", how, (unsigned)b->dropped);
    CHECK(a->num_fields == b->num_fields && a->fields_size == b->fields_size
          && memcmp(a->fields, b->fields, a->fields_size) == 0, "%s: other fields", how);
    CHECK(a->body_size == b->body_size && memcmp(a->body, b->body, a->body_size) == 0,
          "%s: another body", how);
}

/* Without memory at some point it fails for that reason, or it is as if nothing had been. */
static void run_without_memory(const uint8_t *data, size_t size, size_t fail_at, uint64_t dice) {
    sparp__http_free(&env, &http);
    memory.counted.calls = 0;
    memory.counted.fail_at = fail_at;
    run(&other, data, size, PIECES, dice);
    memory.counted.fail_at = 0;
    if (other.error != SPARP_E_OUT_OF_MEMORY)
        compare(&whole, &other, "a failing allocation");
    run(&other, data, size, PIECES, dice);
    compare(&whole, &other, "after a failing allocation");
}

static void fuzz_one(const uint8_t *data, size_t size) {
    static const size_t limits[] = {65536, 64, 300, 1200};
    fuzz_input in = {data, size};
    unsigned kind = fuzz_byte(&in);
    uint64_t dice = (fuzz_byte(&in) << 8 | fuzz_byte(&in)) + 1u;
    size_t fail_at = fuzz_byte(&in) & 31;
    if (in.size > BODY_MAX)
        return;
    memset(&memory, 0, sizeof memory);
    env.allocator.func = fuzz_memory_func;
    env.allocator.user_data = &memory;
    env.logger.func = on_log;
    env.logger.max_level = SPARP_LOG_INFO;
    to_head = (kind & 1) != 0;
    to_connect = (kind & 0x18) == 0x18;
    max_head = limits[kind >> 1 & 3];
    run(&whole, in.data, in.size, WHOLE, dice);
    run(&other, in.data, in.size, PIECES, dice);
    compare(&whole, &other, "in pieces");
    run(&other, in.data, in.size, BYTES, dice);
    compare(&whole, &other, "byte by byte");
    if (fail_at > 0)
        run_without_memory(in.data, in.size, fail_at, dice);
    sparp__http_free(&env, &http);
    CHECK(memory.peak <= 6 * max_head + 8192, "%u bytes of memory", (unsigned)memory.peak);
    CHECK(test_memory_clean(&memory.counted), "%u blocks left", (unsigned)memory.counted.blocks);
}

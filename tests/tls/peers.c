/* peers.c - the library's TLS against tests/server/rude_tls.c and the certificates of pki.sh.

   usage: peers PKI PORT PORT6 TIME     what pki.sh made; the plain port of the server; of one on
                                        ::1, or 0; where to write how long the bundle took

   Tables first: which mode of the server, asked by which name, comes to what; then what takes more
   than one request. Every name that ends with .test is 127.0.0.1. */
#define _GNU_SOURCE
#include "../support.h"
#include <netdb.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/socket.h>

static int test_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                            struct addrinfo **out);
static ssize_t test_recv(int fd, void *to, size_t size, int flags);
static ssize_t test_send(int fd, const void *from, size_t size, int flags);
static ssize_t test_getrandom(void *to, size_t size, unsigned flags);
static time_t test_time(time_t *out);
static bool no_random;

#define SPARP__SYS_GETADDRINFO test_getaddrinfo
#define SPARP__SYS_RECV test_recv
#define SPARP__SYS_SEND test_send
#define SPARP__SYS_GETRANDOM test_getrandom
#define SPARP__URANDOM (no_random ? "/dev/null" : "/dev/urandom")
#define time(out) test_time(out)
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#undef time

#define DEADLINE_S 0.6             /* of what has to run into it */
#define PATIENCE_S 15.0            /* of everything else */

enum { HASTE_MS = 5000, MAX_MODES = 300, UPLOAD = 4 * 1024 * 1024 };

static const char *pki;
static int         plain_port, plain_port6;
static char        ca_file[1024];
static struct { char name[64]; int port; } modes[MAX_MODES];
static int         num_modes;

/* --- the system, with a few changes ---------------------------------------------------------- */

static size_t  piece;              /* recv and send move at most that much; 0: no limit */
static int64_t clock_off_s;

static int test_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                            struct addrinfo **out) {
    size_t n = strlen(node);
    if (n > 5 && strcmp(node + n - 5, ".test") == 0)
        node = "127.0.0.1";
    return getaddrinfo(node, service, hints, out);
}

static ssize_t test_recv(int fd, void *to, size_t size, int flags) {
    return recv(fd, to, piece > 0 && size > piece ? piece : size, flags);
}

static ssize_t test_send(int fd, const void *from, size_t size, int flags) {
    return send(fd, from, piece > 0 && size > piece ? piece : size, flags);
}

static ssize_t test_getrandom(void *to, size_t size, unsigned flags) {
    if (!no_random)
        return getrandom(to, size, flags);
    errno = ENOSYS;
    return -1;
}

static time_t test_time(time_t *out) {
    time_t now = time(NULL) + (time_t)clock_off_s;
    if (out != NULL)
        *out = now;
    return now;
}

/* --- what should come of it ------------------------------------------------------------------ */

enum trusting { PRIVATE_CA, INSECURE, ITSELF, PIN_RIGHT, PIN_WRONG, PIN_SECOND, PIN_INSECURE,
                PIN_WRONG_INSECURE };

struct row {
    const char *mode;
    const char *host;              /* default: localhost */
    const char *errors;            /* one of these; default: none, a success */
    const char *detail;            /* a part of the sentence */
    const char *body;              /* default: hello; "*": any */
    enum trusting trust;
    size_t      post;              /* bytes to send */
    int         status;            /* default: 200 */
    bool        unsent;            /* no request may have come to the server */
};

#define HANDSHAKE "TLS_HANDSHAKE"
#define BROKEN "RESET TRUNCATED PROTOCOL"
#define NO(mode_, detail_) { .mode = mode_, .errors = "TLS_CERTIFICATE", .detail = detail_, \
                             .unsent = true }
#define NOT_AS(mode_, host_, detail_) { .mode = mode_, .host = host_, .unsent = true, \
                                        .errors = "TLS_CERTIFICATE", .detail = detail_ }

static const struct row certificates[] = {
    /* good ones */
    { .mode = "rsa" },                               { .mode = "p256" },
    { .mode = "p384" },                              { .mode = "rsa-rsa" },
    { .mode = "rsa", .host = "good.test" },          { .mode = "rsa", .host = "GOOD.Test" },
    { .mode = "rsa", .host = "good.test." },         { .mode = "upper-case" },
    { .mode = "upper-case", .host = "good.test" },   { .mode = "no-eku" },
    { .mode = "two-ekus" },                          { .mode = "root-sent" },
    { .mode = "duplicate" },                         { .mode = "out-of-order" },
    { .mode = "unrelated" },                         { .mode = "deep" },
    { .mode = "backwards" },                         { .mode = "cross-expired" },
    { .mode = "old-int-first" },
    { .mode = "ip", .host = "127.0.0.1" },
    { .mode = "wild", .host = "a.wild.test" },       { .mode = "wild", .host = "B-1.WILD.test" },

    /* the name */
    NO("wrong-name", "other.test"),                  NO("wrong-name", "second.test"),
    NO("wrong-name", "localhost"),                   NO("wrong-name-many", "name-10.test"),
    NOT_AS("rsa", "other.test", "good.test"),        NOT_AS("rsa", "a.good.test", "good.test"),
    NOT_AS("rsa", "xgood.test", "good.test"),        NOT_AS("rsa", "127.0.0.1", "good.test"),
    NO("ip", "127.0.0.1"),
    NOT_AS("ip-other", "127.0.0.1", "127.0.0.2"),    NOT_AS("ip-as-dns", "127.0.0.1", NULL),
    NOT_AS("wild-ip", "127.0.0.1", NULL),
    NO("cn-only", "name"),                           NO("cn-ignored", "other.test"),
    NO("only-email", NULL),                          NO("nul-name", NULL),
    NOT_AS("wild", "wild.test", "*.wild.test"),      NOT_AS("wild", "a.b.wild.test", NULL),
    NOT_AS("wild", "awild.test", NULL),              NOT_AS("wild", "localhost", NULL),
    NOT_AS("wild-tld", "any.test", "*.test"),        NOT_AS("wild-part", "www.wild.test", NULL),
    NOT_AS("wild-part", "w.wild.test", NULL),        NOT_AS("wild-all", "any.test", NULL),
    NOT_AS("wild-all", "localhost", NULL),           NOT_AS("wild-middle", "a.b.test", NULL),

    /* the time */
    NO("expired", "expired on 2021-01-01"),          NO("expired", "the clock here says 20"),
    NO("not-yet", "not valid before 2048-01-01"),    NO("old-int", "expired on 2019-01-01"),
    NO("not-yet-int", "before 2048-01-01"),

    /* the issuer */
    NO("self-signed", "issuer: self-signed.test"),   NO("self-ca", "issuer: self-ca.test"),
    NO("unknown-issuer", "issuer: other-root.test"), NO("unknown-root", "issuer: other-root.test"),
    NO("no-intermediate", "issuer: int.test"),       NO("same-name", NULL),
    NO("bad-signature", NULL),

    /* the purpose */
    NO("for-clients", "server"),                         NO("under-for-clients", "server"),
    { .mode = "no-signing", .errors = "TLS_CERTIFICATE TLS_HANDSHAKE", .unsent = true },
    NO("critical-unknown", "critical"),              NO("not-ca", "issue"),
    NO("no-basic", "issue"),                         NO("no-cert-sign", "issue"),
    NO("path-too-long", NULL),                       NO("constraint-broken", NULL),
    NO("constraint-excluded", NULL),                 NO("constraint-soft", NULL),
    { .mode = "constraint-kept" },                   NOT_AS("constraint-kept", "127.0.0.1", NULL),

    /* what it is made of */
    NO("sha1", "SHA-1"),                             NO("sha1-int", "SHA-1"),
    NO("rsa1024", "2048"),                           NO("rsa1024-int", "2048"),
    NO("rsa8192", ""),                             NO("ed25519", "kind"),
    NO("long", "more than"),                         NO("many-names", "more than"),

    /* whom to trust, said otherwise */
    { .mode = "self-signed", .trust = ITSELF },      { .mode = "self-ca", .trust = ITSELF },
    { .mode = "rsa-rsa", .trust = ITSELF },
    { .mode = "rsa", .trust = INSECURE },            { .mode = "self-signed", .trust = INSECURE },
    { .mode = "expired", .trust = INSECURE },        { .mode = "wrong-name", .trust = INSECURE },
    { .mode = "no-intermediate", .trust = INSECURE }, { .mode = "p384", .trust = INSECURE },
    { .mode = "rsa1024", .trust = INSECURE },
    { .mode = "rsa8192", .trust = INSECURE, .errors = "TLS_CERTIFICATE TLS_HANDSHAKE",
      .unsent = true },
    { .mode = "ed25519", .trust = INSECURE, .errors = "TLS_CERTIFICATE", .unsent = true },
    { .mode = "wrong-key", .trust = INSECURE, .errors = "TLS_HANDSHAKE", .unsent = true },
    { .mode = "wrong-key-rsa", .trust = INSECURE, .errors = "TLS_HANDSHAKE", .unsent = true },
    { .mode = "rsa", .trust = PIN_RIGHT },           { .mode = "rsa", .trust = PIN_SECOND },
    { .mode = "rsa", .trust = PIN_WRONG, .errors = "TLS_CERTIFICATE", .detail = "pinned",
      .unsent = true },
    { .mode = "p256", .trust = PIN_RIGHT, .errors = "TLS_CERTIFICATE", .detail = "pinned",
      .unsent = true },
    { .mode = "expired", .trust = PIN_RIGHT, .errors = "TLS_CERTIFICATE", .detail = "expired",
      .unsent = true },
    { .mode = "self-signed", .trust = PIN_RIGHT, .errors = "TLS_CERTIFICATE", .detail = "issuer",
      .unsent = true },
    { .mode = "self-signed", .trust = PIN_INSECURE }, { .mode = "expired", .trust = PIN_INSECURE },
    { .mode = "self-signed", .trust = PIN_WRONG_INSECURE, .errors = "TLS_CERTIFICATE",
      .detail = "pinned", .unsent = true }
};

static const struct row faults[] = {
    { .mode = "fin-at-once",     .errors = HANDSHAKE, .unsent = true },
    { .mode = "rst-at-once",     .errors = "TLS_HANDSHAKE RESET", .unsent = true },
    { .mode = "fin",             .errors = HANDSHAKE, .unsent = true },
    { .mode = "rst",             .errors = HANDSHAKE, .unsent = true },
    { .mode = "garbage",         .errors = "TLS_HANDSHAKE", .detail = "not speak TLS" },
    { .mode = "plain-http",      .errors = "TLS_HANDSHAKE", .detail = "not speak TLS" },
    { .mode = "plain-html",      .errors = "TLS_HANDSHAKE", .detail = "not speak TLS" },
    { .mode = "ssh-first",       .errors = "TLS_HANDSHAKE", .detail = "not speak TLS" },
    { .mode = "smtp-first",      .errors = "TLS_HANDSHAKE", .detail = "not speak TLS" },
    { .mode = "alert-failure",   .errors = "TLS_HANDSHAKE", .detail = "handshake failure" },
    { .mode = "alert-hang",      .errors = "TLS_HANDSHAKE", .detail = "handshake failure" },
    { .mode = "alert-version",   .errors = "TLS_VERSION", .detail = "1.2, 1.3" },
    { .mode = "alert-name",      .errors = "TLS_HANDSHAKE", .detail = "name" },
    { .mode = "alert-internal",  .errors = "TLS_HANDSHAKE", .detail = "internal error" },
    { .mode = "alert-alpn",      .errors = "TLS_HANDSHAKE", .detail = "protocol" },
    { .mode = "notify-at-hello", .errors = HANDSHAKE },
    { .mode = "warn-name" },
    { .mode = "huge-record",     .errors = "TLS_HANDSHAKE" },
    { .mode = "data-first",      .errors = "TLS_HANDSHAKE" },
    { .mode = "hello-endless",   .errors = "TLS_VERSION TLS_HANDSHAKE" },
    { .mode = "cut-none-fin",    .errors = HANDSHAKE, .unsent = true },
    { .mode = "cut-half-fin",    .errors = HANDSHAKE, .unsent = true },
    { .mode = "cut-half-rst",    .errors = HANDSHAKE, .unsent = true },
    { .mode = "cut-first-fin",   .errors = HANDSHAKE, .unsent = true },
    { .mode = "cut-first-rst",   .errors = HANDSHAKE, .unsent = true },
    { .mode = "cut-second-fin",  .errors = HANDSHAKE, .unsent = true },
    { .mode = "cut-second-rst",  .errors = HANDSHAKE, .unsent = true },
    { .mode = "cut-last-fin",    .errors = HANDSHAKE, .unsent = true },
    { .mode = "cut-last-rst",    .errors = HANDSHAKE, .unsent = true },
    { .mode = "drip-handshake" }, { .mode = "drip-rsa" },
    { .mode = "tls10",           .errors = "TLS_VERSION", .detail = "below 1.2" },
    { .mode = "tls11",           .errors = "TLS_VERSION", .detail = "below 1.2" },
    { .mode = "h2-only",         .errors = "TLS_HANDSHAKE", .unsent = true },
    { .mode = "wrong-key",       .errors = "TLS_HANDSHAKE", .unsent = true },
    { .mode = "wrong-key-rsa",   .errors = "TLS_HANDSHAKE", .unsent = true },
    { .mode = "client-cert",     .errors = HANDSHAKE, .unsent = true },
    { .mode = "client-cert-rsa", .errors = HANDSHAKE, .unsent = true },
    { .mode = "aes128" }, { .mode = "aes256" }, { .mode = "chacha" }, { .mode = "aes128-rsa" },
    { .mode = "aes256-rsa" }, { .mode = "chacha-rsa" }, { .mode = "x25519" },
    { .mode = "curve-p384" },
    { .mode = "cbc",             .errors = "TLS_HANDSHAKE", .unsent = true },
    { .mode = "static-rsa",      .errors = "TLS_HANDSHAKE", .unsent = true },
    { .mode = "good" },
    { .mode = "good",            .host = "good.test" },
    { .mode = "resume",          .body = "*" }, { .mode = "resume-close",  .body = "*" },
    { .mode = "resume-broken",   .body = "*" }, { .mode = "resume-never",  .body = "*" },
    { .mode = "upload",          .body = "0000000000" },
    { .mode = "upload",          .body = "*", .post = UPLOAD },
    { .mode = "upload",          .body = "*", .post = 1 },
    { .mode = "upload",          .body = "*", .post = 16384 },
    { .mode = "big",             .body = "*" }, { .mode = "big-chunked",   .body = "*" },
    { .mode = "byte-records" }, { .mode = "byte-records-drip" }, { .mode = "drip-body" },
    { .mode = "empty-some" }, { .mode = "warnings-some" }, { .mode = "hello-request" },
    { .mode = "hello-requests",  .errors = "* RESET" },        /* a flood: never a local error */
    { .mode = "flip",             .errors = BROKEN, .detail = "damaged" },
    { .mode = "flip-first",       .errors = BROKEN },
    { .mode = "half-record-fin",  .errors = "TRUNCATED" },
    { .mode = "half-record-rst",  .errors = BROKEN },
    { .mode = "type-99",          .errors = BROKEN },
    { .mode = "oversized",        .errors = BROKEN },
    { .mode = "cipher-spec",      .errors = BROKEN },
    { .mode = "in-the-clear",     .errors = BROKEN },
    { .mode = "alert-mid-body",   .errors = BROKEN },
    { .mode = "alert-no-answer",  .errors = "RESET CLOSED" },
    { .mode = "no-answer-notify", .errors = "CLOSED" },
    { .mode = "no-answer-fin",    .errors = "CLOSED" },
    { .mode = "no-answer-rst",    .errors = "RESET" },
    { .mode = "head-notify",      .errors = "CLOSED" },
    { .mode = "head-fin",         .errors = "CLOSED" },
    { .mode = "length-fin" }, { .mode = "length-notify" }, { .mode = "length-rst" },
    { .mode = "short-fin",        .errors = "TRUNCATED" },
    { .mode = "short-notify",     .errors = "TRUNCATED" },
    { .mode = "short-rst",        .errors = BROKEN },
    { .mode = "chunks-fin",       .errors = "TRUNCATED" },
    { .mode = "chunks-notify",    .errors = "TRUNCATED" },
    { .mode = "chunks-whole-fin" }, { .mode = "closed-notify" }, { .mode = "closed-notify-rst" },
    { .mode = "closed-fin",       .errors = "TRUNCATED" },
    { .mode = "closed-rst",       .errors = "TRUNCATED" },
    { .mode = "closed-half",      .errors = "TRUNCATED" },
    { .mode = "closed-flip",      .errors = BROKEN },
    { .mode = "closed-alert",     .errors = BROKEN },
    { .mode = "after-notify" },
    { .mode = "talk-first",       .errors = "* PROTOCOL CLOSED RESET" },
    { .mode = "early-notify",     .post = UPLOAD, .status = 413 },
    { .mode = "early-fin",        .post = UPLOAD, .status = 413 },
    { .mode = "early-rst",        .post = UPLOAD, .status = 413 },
    { .mode = "idle-notify" }, { .mode = "idle-fin" }, { .mode = "idle-rst" },
    { .mode = "idle-alert" }, { .mode = "extra-record" }, { .mode = "extra-same" },
    { .mode = "stray-line" }, { .mode = "stray-body" }, { .mode = "stray-alone" },
    { .mode = "slow-408" }, { .mode = "alert-second" }
};

/* What ends when the time is up; or before, where that is possible. */
static const struct row late[] = {
    { .mode = "hang",             .errors = "TIMEOUT", .unsent = true },
    { .mode = "warn-endless",     .errors = "TIMEOUT TLS_HANDSHAKE", .unsent = true },
    { .mode = "empty-records",    .errors = "TIMEOUT TLS_HANDSHAKE", .unsent = true },
    { .mode = "cut-half-hang",    .errors = "TIMEOUT", .unsent = true },
    { .mode = "cut-first-hang",   .errors = "TIMEOUT", .unsent = true },
    { .mode = "cut-second-hang",  .errors = "TIMEOUT", .unsent = true },
    { .mode = "cut-last-hang",    .errors = "TIMEOUT", .unsent = true },
    { .mode = "no-answer-hang",   .errors = "TIMEOUT" },
    { .mode = "half-record-hang", .errors = "TIMEOUT" },
    { .mode = "short-hang",       .errors = "TIMEOUT" },
    { .mode = "empty-endless",    .errors = "TIMEOUT PROTOCOL RESET" },
    { .mode = "warnings-endless", .errors = "TIMEOUT PROTOCOL RESET" }
};

/* --- asking ---------------------------------------------------------------------------------- */

static const char *read_text(const char *name, const char *kind) {
    static char text[256];
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.%s", pki, name, kind);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[0] = '\0';
    CHECK(fgets(text, sizeof text, f) != NULL, "%s", path);
    fclose(f);
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static int port_of(const char *mode) {
    for (int i = 0; i < num_modes; i++)
        if (strcmp(modes[i].name, mode) == 0)
            return modes[i].port;
    print_error("no such mode: %s\n", mode);
    return 1;
}

static sparp_options options_for(int at_once) {
    sparp_options o;
    memset(&o, 0, sizeof o);
    o.max_at_once = at_once;
    o.max_retries_by_soft_fail = o.max_retries_by_timeout = SPARP_NONE;
    o.max_retries_by_transport = SPARP_NONE;
    o.timeout_s = PATIENCE_S;
    o.tls.ca_file = ca_file;
    return o;
}

static void set_trust(sparp_options *o, const struct row *r) {
    static char path[1024], pins[600], right[64], wrong[64];
    snprintf(right, sizeof right, "%s", read_text("rsa", "pin"));
    snprintf(wrong, sizeof wrong, "%s", read_text("p384", "pin"));
    bool two = r->trust == PIN_SECOND;
    snprintf(pins, sizeof pins, "%s%s%s", two ? wrong : "", two ? ";" : "",
             r->trust == PIN_WRONG || r->trust == PIN_WRONG_INSECURE ? wrong : right);
    if (r->trust >= PIN_RIGHT)
        o->tls.pin_sha256 = pins;
    if (r->trust == INSECURE || r->trust >= PIN_INSECURE) {
        o->tls.insecure_no_verify = true;
        o->tls.ca_file = "/nowhere/at/all";        /* not even looked at */
    }
    if (r->trust == ITSELF) {
        snprintf(path, sizeof path, "%s/%s.crt", pki, r->mode);
        o->tls.ca_file = path;
    }
}

static void set_request(sparp_request *q, const struct row *r, char *url, size_t size) {
    static char filler[UPLOAD];
    memset(q, 0, sizeof *q);
    snprintf(url, size, "https://%s:%d/", r->host != NULL ? r->host : "localhost",
             port_of(r->mode));
    for (size_t i = 0; i < sizeof filler && filler[0] == '\0'; i++)
        filler[sizeof filler - 1 - i] = (char)('a' + i % 23);
    q->url = url;
    q->body = r->post > 0 ? filler : NULL;
    q->body_size = r->post;
}

static sparp_results run_one(const char *url, const sparp_options *options) {
    sparp_options o = *options;
    sparp_request q;
    memset(&q, 0, sizeof q);
    q.url = url;
    o.requests = &q;
    o.num_requests = 1;
    return sparp_run_all(&o);
}

static sparp_results ask_plain(const char *path) {
    char url[128];
    sparp_options o = options_for(1);
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", plain_port, path);
    return run_one(url, &o);
}

static void reset_seen(void) {
    sparp_results all = ask_plain("/seen/reset");
    sparp_results_free(&all);
}

struct seen { int connections, handshakes, resumed, requests; };

static struct seen seen(const char *mode) {
    char key[80];
    struct seen s = { -1, -1, -1, -1 };
    sparp_results all = ask_plain("/seen");
    assert_int_equal(all.count, 1);
    snprintf(key, sizeof key, "\n%s ", mode);
    const char *at = strstr(all.items[0].body, key);
    if (at == NULL && strncmp(all.items[0].body, key + 1, strlen(key + 1)) == 0)
        at = all.items[0].body - 1;
    if (at != NULL)
        sscanf(at + strlen(key), "%d %d %d %d", &s.connections, &s.handshakes, &s.resumed,
               &s.requests);
    sparp_results_free(&all);
    return s;
}

static const char *told(const sparp_result *r) {
    static char text[600];
    snprintf(text, sizeof text, "%s, error %s (%.300s), status %d, %zu bytes, %lld ms, phase %s",
             sparp_outcome_name(r->outcome), sparp_error_name(r->error), r->detail, r->status,
             r->body_size, (long long)(r->elapsed_us / 1000), sparp_phase_name(r->phase));
    return text;
}

static bool has_word(const char *words, const char *word) {
    size_t n = strlen(word);
    for (const char *at = words; (at = strstr(at, word)) != NULL; at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

static bool right_body(const struct row *row, const sparp_result *r) {
    char sum[16];
    uint32_t n = 0;
    const char *body = row->body != NULL ? row->body : "hello";
    if (strcmp(row->mode, "big") == 0)
        return r->body_size == 65536 * 64 && memcmp(r->body, "0123456789abcdef", 16) == 0
            && memcmp(r->body, r->body + 64, r->body_size - 64) == 0;
    if (strcmp(row->mode, "big-chunked") == 0)
        return r->body_size == 3000 * 43 && memcmp(r->body, r->body + 43, r->body_size - 43) == 0;
    for (size_t i = 0; i < row->post; i++)
        n = n * 31 + (uint32_t)('a' + (UPLOAD - 1 - i) % 23);
    snprintf(sum, sizeof sum, "%010u", (unsigned)n);
    if (strcmp(row->mode, "upload") == 0)
        body = sum;
    return strcmp(body, "*") == 0
        || (r->body_size == strlen(body) && memcmp(r->body, body, r->body_size) == 0);
}

static bool as_expected(const struct row *row, const sparp_result *r) {
    if (r->elapsed_us / 1000 > HASTE_MS)
        return false;
    if (row->errors != NULL && r->error != SPARP_E_OK)
        return has_word(row->errors, sparp_error_name(r->error)) && r->detail[0] != '\0'
            && (row->detail == NULL || strstr(r->detail, row->detail) != NULL)
            && (r->outcome == SPARP_OUTCOME_TRANSPORT_FAILED
                || r->outcome == SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
    if (row->errors != NULL && row->errors[0] != '*')
        return false;
    return r->error == SPARP_E_OK && r->status == (row->status != 0 ? row->status : 200)
        && right_body(row, r);
}

/* --- one row, alone -------------------------------------------------------------------------- */

static void test_row(void **state) {
    const struct row *row = *state;
    char url[256];
    sparp_request q;
    sparp_options o = options_for(1);
    reset_seen();
    set_trust(&o, row);
    set_request(&q, row, url, sizeof url);
    o.requests = &q;
    o.num_requests = 1;
    sparp_results all = sparp_run_all(&o);
    assert_int_equal(all.error, SPARP_E_OK);
    assert_int_equal(all.count, 1);
    bool right = as_expected(row, &all.items[0]);
    if (!right)
        print_error("%s: %s\n", url, told(&all.items[0]));
    sparp_results_free(&all);
    struct seen s = seen(row->mode);
    CHECK(s.connections == 1, "%d connections", s.connections);
    CHECK(!row->unsent || s.requests == 0, "the request was sent");
    assert_true(right);
}

/* --- many rows, together --------------------------------------------------------------------- */

static void run_together(const struct row *rows, size_t count, int at_once, double timeout_s) {
    sparp_request *q = calloc(count, sizeof *q);
    char (*urls)[256] = calloc(count, sizeof *urls);
    sparp_options o = options_for(at_once);
    size_t n = 0, wrong = 0;
    const struct row *which[256];
    assert_true(q != NULL && urls != NULL && count <= COUNT_OF(which));
    for (size_t i = 0; i < count; i++)
        if (rows[i].trust == PRIVATE_CA) {
            set_request(&q[n], &rows[i], urls[n], sizeof *urls);
            which[n++] = &rows[i];
        }
    reset_seen();
    o.requests = q;
    o.num_requests = n;
    o.timeout_s = timeout_s;
    sparp_results all = sparp_run_all(&o);
    assert_int_equal(all.count, n);
    for (size_t i = 0; i < n; i++)
        if (!as_expected(which[i], &all.items[i])) {
            wrong++;
            print_error("%s %s: %s\n", which[i]->mode, urls[i], told(&all.items[i]));
        }
    for (size_t i = 0; i < n; i++)
        if (which[i]->unsent && which[i]->host == NULL && seen(which[i]->mode).requests > 0
            && (i == 0 || strcmp(which[i - 1]->mode, which[i]->mode) != 0)) {
            bool also_good = false;
            for (size_t k = 0; k < n; k++)
                also_good = also_good || (strcmp(which[k]->mode, which[i]->mode) == 0
                                          && !which[k]->unsent);
            wrong += !also_good;
        }
    sparp_results_free(&all);
    free(q);
    free(urls);
    assert_int_equal(wrong, 0);
}

static void test_late(void **state) {
    (void)state;
    run_together(late, COUNT_OF(late), 50, DEADLINE_S);
}

static void test_certificates_together(void **state) {
    (void)state;
    run_together(certificates, COUNT_OF(certificates), 50, PATIENCE_S);
}

static void test_faults_together(void **state) {
    (void)state;
    run_together(faults, COUNT_OF(faults), 100, PATIENCE_S);
}

/* With one byte in each send() and recv(). */
static void test_in_pieces(void **state) {
    static const char *const names[] = { "good", "rsa", "closed-notify", "short-fin", "expired",
                                         "plain-http", "upload", "big-chunked" };
    (void)state;
    piece = 1;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        for (size_t k = 0; k < COUNT_OF(faults) + COUNT_OF(certificates); k++) {
            const struct row *row = k < COUNT_OF(faults) ? &faults[k]
                                  : &certificates[k - COUNT_OF(faults)];
            if (strcmp(row->mode, names[i]) == 0 && row->post <= 16384)
                run_together(row, 1, 1, PATIENCE_S);
        }
    piece = 0;
}

/* --- cut after 0, 7, 14, ... bytes of the handshake ----------------------------------------- */

static void test_cut_next(void **state) {
    char url[128];
    int fails = 0, successes = 0, port = port_of("cut-next");
    sparp_options o = options_for(1);
    (void)state;
    reset_seen();
    snprintf(url, sizeof url, "https://localhost:%d/", port);
    while (successes == 0 && fails < 1000) {
        sparp_results all = run_one(url, &o);
        assert_int_equal(all.count, 1);
        if (all.items[0].outcome == SPARP_OUTCOME_SUCCESS) {
            successes++;
        } else {
            fails++;
            CHECK(has_word(HANDSHAKE, sparp_error_name(all.items[0].error)), "cut %d: %s",
                  fails * 7 - 7, told(&all.items[0]));
            CHECK(seen("cut-next").requests == 0, "cut %d: sent", fails * 7 - 7);
        }
        sparp_results_free(&all);
    }
    CHECK(successes == 1 && fails > 100, "%d fails", fails);
}

/* --- sessions, connections, retries ----------------------------------------------------------- */

struct course { sparp_stats stats; int good, resumed; };

/* The same again and again, one at a time. */
static struct course run_course(const char *mode, const char *body, int count, int retries) {
    struct course c;
    char url[128];
    sparp_options o = options_for(1);
    sparp_request *q = calloc((size_t)count, sizeof *q);
    assert_non_null(q);
    memset(&c, 0, sizeof c);
    snprintf(url, sizeof url, "https://localhost:%d/", port_of(mode));
    for (int i = 0; i < count; i++)
        q[i].url = url;
    reset_seen();
    o.requests = q;
    o.num_requests = (size_t)count;
    o.max_retries_by_transport = retries;
    o.backoff_s = 0.001;
    sparp_results all = sparp_run_all(&o);
    assert_int_equal(all.count, count);
    for (int i = 0; i < count; i++) {
        const sparp_result *r = &all.items[i];
        c.resumed += strcmp(r->body, "resumed") == 0;
        if (r->outcome == SPARP_OUTCOME_SUCCESS && (body == NULL || strcmp(r->body, body) == 0))
            c.good++;
        else
            print_error("%s, number %d: %s\n", mode, i, told(r));
    }
    c.stats = all.stats;
    sparp_results_free(&all);
    free(q);
    return c;
}

static void test_resumption(void **state) {
    (void)state;
    struct course c = run_course("resume-close", NULL, 8, SPARP_NONE);
    assert_int_equal(c.good, 8);
    assert_int_equal(c.resumed, 7);
    assert_int_equal(c.stats.tls_full, 1);
    assert_int_equal(c.stats.tls_resumed, 7);
    assert_int_equal(seen("resume-close").resumed, 7);
    c = run_course("resume", "fullone", 8, SPARP_NONE);
    assert_int_equal(c.good, 8);
    assert_int_equal(c.stats.connects, 1);
    assert_int_equal(c.stats.tls_full, 1);
    c = run_course("resume-never", "fullone", 4, SPARP_NONE);
    assert_int_equal(c.good, 4);
    assert_int_equal(c.stats.tls_full, 4);
    assert_int_equal(c.stats.tls_resumed, 0);
}

/* The server remembers the session, but not its secret: a retry must not offer it again. */
static void test_broken_resumption(void **state) {
    (void)state;
    struct course c = run_course("resume-broken", "fullone", 3, 2);
    assert_int_equal(c.good, 3);
}

/* The server ends idle connections in all ways: that is nobody's failure. */
static void test_idle_ends(void **state) {
    static const char *const names[] = { "idle-notify", "idle-fin", "idle-rst", "idle-alert",
                                         "length-fin", "length-notify", "after-notify",
                                         "extra-same", "chunks-whole-fin" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct course c = run_course(names[i], "hello", 5, SPARP_NONE);
        CHECK(c.good == 5, "%s: %d good", names[i], c.good);
        struct seen s = seen(names[i]);
        CHECK(s.connections >= 4, "%s: %d connections", names[i], s.connections);
    }
}

/* What meets the next request and is no answer to it, or a 408, is nobody's failure either. */
static void test_strays(void **state) {
    static const char *const names[] = { "stray-line", "stray-body", "stray-alone", "slow-408",
                                         "alert-second" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct course c = run_course(names[i], "hello", 6, SPARP_NONE);
        CHECK(c.good == 6, "%s: %d good", names[i], c.good);
        CHECK(c.stats.soft_fails == 0 && c.stats.transport_errors == 0, "%s: it was charged",
              names[i]);
        bool is_line = strcmp(names[i], "stray-line") == 0;     /* may be passed over */
        CHECK(c.stats.replays >= 5 || is_line, "%s: %d replays", names[i], (int)c.stats.replays);
    }
}

/* A kept connection is used again, whatever came in between. */
static void test_reuse(void **state) {
    static const char *const names[] = { "good", "rsa", "byte-records", "drip-body",
                                         "warnings-some", "chacha", "drip-rsa" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct course c = run_course(names[i], "hello", 20, SPARP_NONE);
        CHECK(c.good == 20 && c.stats.connects == 1, "%s: %d good, %d connects", names[i], c.good,
              (int)c.stats.connects);
    }
}

/* What is permanent is not tried again, what is not is. */
static void test_retries(void **state) {
    static const struct { const char *mode; int connections; } rows[] = {
        { "expired", 1 }, { "wrong-name", 1 }, { "unknown-issuer", 1 }, { "alert-version", 1 },
        { "rst", 3 }, { "short-fin", 3 }
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char url[128];
        sparp_options o = options_for(1);
        o.max_retries_by_transport = 2;
        o.backoff_s = 0.001;
        reset_seen();
        snprintf(url, sizeof url, "https://localhost:%d/", port_of(rows[i].mode));
        sparp_results all = run_one(url, &o);
        CHECK(all.count == 1 && all.items[0].outcome == SPARP_OUTCOME_TRANSPORT_FAILED, "%s",
              rows[i].mode);
        sparp_results_free(&all);
        struct seen s = seen(rows[i].mode);
        CHECK(s.connections == rows[i].connections, "%s: %d connections", rows[i].mode,
              s.connections);
    }
}

/* A refused neighbour does not disturb the others, nor does the same host at another port. */
static void test_neighbours(void **state) {
    enum { N = 60 };
    static char urls[N][128];
    sparp_request q[N];
    sparp_options o = options_for(20);
    (void)state;
    memset(q, 0, sizeof q);
    for (int i = 0; i < N; i++) {
        snprintf(urls[i], sizeof urls[i], "https://localhost:%d/",
                 port_of(i % 3 == 0 ? "expired" : i % 3 == 1 ? "good" : "flip"));
        q[i].url = urls[i];
    }
    o.requests = q;
    o.num_requests = N;
    sparp_results all = sparp_run_all(&o);
    assert_int_equal(all.count, N);
    for (int i = 0; i < N; i++) {
        const sparp_result *r = &all.items[i];
        CHECK(i % 3 == 0 ? r->error == SPARP_E_TLS_CERTIFICATE
              : i % 3 == 1 ? r->outcome == SPARP_OUTCOME_SUCCESS : r->error != SPARP_E_OK,
              "%d: %s", i, told(r));
    }
    sparp_results_free(&all);
}

/* --- the clock, chance, memory -------------------------------------------------------------- */

static void test_wrong_clock(void **state) {
    char url[128];
    sparp_options o = options_for(1);
    (void)state;
    snprintf(url, sizeof url, "https://localhost:%d/", port_of("rsa"));
    clock_off_s = -(int64_t)time(NULL) + 86400;              /* 2 January 1970 */
    sparp_results all = run_one(url, &o);
    clock_off_s = 0;
    CHECK(all.count == 1 && all.items[0].error == SPARP_E_TLS_CERTIFICATE
          && strstr(all.items[0].detail, "clock") != NULL
          && strstr(all.items[0].detail, "not set") != NULL
          && strstr(all.items[0].detail, "1970-01-02") != NULL
          && strstr(all.items[0].detail, "expired") == NULL, "%s", told(&all.items[0]));
    sparp_results_free(&all);
    clock_off_s = (int64_t)86400 * 365 * 30;
    all = run_one(url, &o);
    clock_off_s = 0;
    CHECK(all.count == 1 && all.items[0].error == SPARP_E_TLS_CERTIFICATE
          && strstr(all.items[0].detail, "expired on 2049-12-31") != NULL, "%s",
          told(&all.items[0]));
    sparp_results_free(&all);
}

static void test_no_random(void **state) {
    char url[128];
    sparp_options o = options_for(1);
    (void)state;
    snprintf(url, sizeof url, "https://localhost:%d/", port_of("good"));
    reset_seen();
    no_random = true;
    sparp_results all = run_one(url, &o);
    no_random = false;
    CHECK(all.count == 1 && all.items[0].outcome != SPARP_OUTCOME_SUCCESS
          && all.items[0].error != SPARP_E_OK, "%s", told(&all.items[0]));
    sparp_results_free(&all);
    assert_int_equal(seen("good").handshakes, 0);
}

/* Who waits for an answer needs no buffers: not even four have more than one pair among them. */
static void test_waiting_lends_the_buffers(void **state) {
    char url[128];
    sparp_options o = options_for(4);
    sparp_request q[12];
    const sparp_result *r;
    size_t waiting = 0, good = 0;
    (void)state;
    snprintf(url, sizeof url, "https://localhost:%d/", port_of("good"));
    memset(q, 0, sizeof q);
    for (size_t i = 0; i < COUNT_OF(q); i++)
        q[i].url = url;
    o.requests = q;
    o.num_requests = COUNT_OF(q);
    sparp *run = sparp_open(&o, NULL);
    assert_non_null(run);
    while (sparp_step(run, 1000)) {
        for (size_t i = 0; i < run->engine.num_conns; i++)
            if (run->engine.conns[i]->state == SPARP__CONN_READING) {
                assert_null(run->engine.conns[i]->stream.tls->held);
                waiting++;
            }
        while ((r = sparp_ready(run)) != NULL)
            good += r->outcome == SPARP_OUTCOME_SUCCESS;
    }
    sparp_close(run);
    assert_int_equal(good, COUNT_OF(q));
    assert_true(waiting > 0);
}

/* Each allocation fails once, and each from some point on: one result, nothing is lost. */
static void test_memory_sweep(void **state) {
    char url[128];
    sparp_options o = options_for(1);
    (void)state;
    snprintf(url, sizeof url, "https://localhost:%d/", port_of("good"));
    for (int on = 0; on < 2; on++) {
        bool done = false;
        for (size_t at = 1; !done && at < 1000; at++) {
            test_memory m;
            memset(&m, 0, sizeof m);
            m.fail_at = at;
            m.fail_on = on == 1;
            o.allocator.func = test_memory_func;
            o.allocator.user_data = &m;
            sparp_results all = run_one(url, &o);
            CHECK(all.error != SPARP_E_OK || all.count == 1, "allocation %zu", at);
            if (all.error == SPARP_E_OK && m.calls >= at)
                CHECK(all.items[0].outcome == SPARP_OUTCOME_SUCCESS
                      || all.items[0].error == SPARP_E_OUT_OF_MEMORY, "allocation %zu: %s", at,
                      told(&all.items[0]));
            done = m.calls < at;
            sparp_results_free(&all);
            CHECK(test_memory_clean(&m), "allocation %zu: %zu bytes lost", at, m.bytes);
        }
        assert_true(done);
    }
}

/* --- whom to trust: bundles ----------------------------------------------------------------- */

enum { BUNDLE_ROOM = 1024 * 1024 };

static char   bundle[BUNDLE_ROOM];
static size_t bundle_size;

static void bundle_add(const char *text, size_t size) {
    assert_true(bundle_size + size < BUNDLE_ROOM);
    memcpy(bundle + bundle_size, text, size);
    bundle_size += size;
    bundle[bundle_size] = '\0';
}

static void bundle_add_text(const char *text) {
    bundle_add(text, strlen(text));
}

/* Without its last byte, if short; with CR LF, if crlf. */
static void bundle_add_file(const char *path, bool shorter, bool crlf) {
    static char text[512 * 1024];
    FILE *f = fopen(path, "r");
    CHECK(f != NULL, "%s", path);
    size_t size = fread(text, 1, sizeof text, f);
    fclose(f);
    size -= shorter && text[size - 1] == '\n';
    if (!crlf)
        bundle_add(text, size);
    for (size_t i = 0; crlf && i < size; i++) {
        if (text[i] == '\n')
            bundle_add_text("\r");
        bundle_add(text + i, 1);
    }
}

static void bundle_add_pki(const char *name, bool shorter, bool crlf) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.crt", pki, name);
    bundle_add_file(path, shorter, crlf);
}

/* Begins a new one. */
static void bundle_begin(void) {
    bundle_size = 0;
    bundle[0] = '\0';
}

/* Does this bundle make https://localhost/ of mode "rsa" good? By memory, and by file. */
static void bundle_check(const char *what, sparp_error error, const char *detail) {
    char url[128], path[1100];
    sparp_options o = options_for(1);
    snprintf(url, sizeof url, "https://localhost:%d/", port_of("rsa"));
    snprintf(path, sizeof path, "%s/bundle.%d", pki, (int)getpid());
    FILE *f = fopen(path, "w");
    assert_true(f != NULL && fwrite(bundle, 1, bundle_size, f) == bundle_size && fclose(f) == 0);
    for (int by_file = 0; by_file < 2; by_file++) {
        o.tls.ca_file = by_file ? path : NULL;
        o.tls.ca_pem = by_file ? NULL : bundle;
        o.tls.ca_pem_size = by_file ? 0 : bundle_size;
        sparp_results all = run_one(url, &o);
        CHECK(all.count == 1, "%s", what);
        CHECK(all.items[0].error == error
              && (detail == NULL || strstr(all.items[0].detail, detail) != NULL), "%s: %s", what,
              told(&all.items[0]));
        sparp_results_free(&all);
    }
    unlink(path);
}

static void test_bundle_forms(void **state) {
    (void)state;
    bundle_begin();
    bundle_add_pki("root", false, true);
    bundle_check("CR LF", SPARP_E_OK, NULL);
    bundle_begin();
    bundle_add_text("\xEF\xBB\xBF");
    bundle_add_pki("root", false, false);
    bundle_check("a byte order mark", SPARP_E_OK, NULL);
    bundle_begin();
    bundle_add_text("\xEF\xBB\xBF");
    bundle_add_pki("root-ec", false, true);
    bundle_add_pki("root", true, true);
    bundle_check("no last newline, CR LF, byte order mark", SPARP_E_OK, NULL);
    bundle_begin();
    bundle_add_text("# a comment\n\nSubject: CN = root.test\n=====\n");
    bundle_add_pki("root-ec", false, false);
    bundle_add_text("Root\n====\n\n\n");
    bundle_add_pki("root", true, false);
    bundle_check("comments", SPARP_E_OK, NULL);
    bundle_begin();
    bundle_add_pki("root", false, false);
    char *lines = strdup(bundle), *line;
    assert_non_null(lines);
    bundle_begin();
    for (char *rest = lines; (line = strsep(&rest, "\n")) != NULL; bundle_add_text("\n\n"))
        bundle_add_text(line);
    free(lines);
    bundle_check("a blank line after each line", SPARP_E_OK, NULL);
}

static void test_bundle_bad_neighbours(void **state) {
    static const struct { const char *what, *text; } bad[] = {
        { "not base64", "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n" },
        { "not DER", "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n" },
        { "empty", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" },
        { "cut", "-----BEGIN CERTIFICATE-----\nMIIBhjCCASygAwIBAgICEAcwCgYIKoZIzj0EAwIw\n"
                 "-----END CERTIFICATE-----\n" },
        { "length of 4 GB", "-----BEGIN CERTIFICATE-----\nMIT/////////\n"
                            "-----END CERTIFICATE-----\n" },
        { "trusted", "-----BEGIN TRUSTED CERTIFICATE-----\naGVsbG8=\n"
                     "-----END TRUSTED CERTIFICATE-----\n" },
        { "key", "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n" },
        { "no end", "-----BEGIN CERTIFICATE-----\nMIIBhjCCASygAwIBAgICEAcwCgYIKoZIzj0EAwIw\n" },
        { "dashes", "-----BEGIN\n-----BEGIN -----\n----- BEGIN CERTIFICATE-----\n" }
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        bundle_begin();
        bundle_add_pki("root-ec", false, false);
        bundle_add_text(bad[i].text);
        bundle_add_pki("root", false, false);
        bundle_check(bad[i].what, SPARP_E_OK, NULL);
    }
}

static void test_bundle_useless(void **state) {
    char url[128];
    sparp_options o = options_for(1);
    (void)state;
    bundle_begin();
    bundle_check("empty", SPARP_E_TLS_TRUST, NULL);
    bundle_add_text("hello\n");
    bundle_check("no certificate", SPARP_E_TLS_TRUST, NULL);
    bundle_begin();
    bundle_add_pki("root-ec", false, false);
    bundle_check("another root", SPARP_E_TLS_CERTIFICATE, "root.test");
    snprintf(url, sizeof url, "https://localhost:%d/", port_of("rsa"));
    o.tls.ca_file = "/nowhere/ca.pem";
    reset_seen();
    sparp_results all = run_one(url, &o);
    CHECK(all.count == 1 && all.items[0].error == SPARP_E_TLS_TRUST
          && strstr(all.items[0].detail, "/nowhere/ca.pem") != NULL, "%s", told(&all.items[0]));
    sparp_results_free(&all);
    assert_int_equal(seen("rsa").requests, 0);
}

/* Each byte of a certificate spoiled, every prefix of it: never a crash. */
static void test_bundle_damaged(void **state) {
    uint64_t dice = 88172645463325252u;
    sparp_options o = options_for(1);
    (void)state;
    bundle_begin();
    bundle_add_pki("root", false, false);
    char *good = strdup(bundle);
    assert_non_null(good);
    for (size_t i = 0; i < strlen(good); i++) {
        bundle_begin();
        bundle_add(good, i % 2 == 0 ? i : strlen(good));
        if (i % 2 == 1)
            bundle[i] = (char)test_random(&dice);
        o.tls.ca_file = NULL;
        o.tls.ca_pem = bundle;
        o.tls.ca_pem_size = bundle_size;
        sparp_results all = run_one("https://localhost:1/", &o);
        assert_int_equal(all.count, 1);
        sparp_results_free(&all);
    }
    free(good);
}

/* What the library does with a certificate before BearSSL has looked at its signature. */
static void look_at(const char *der, size_t size) {
    sparp__cert c;
    sparp__address ip;
    br_x509_pkey key;
    char text[96];
    assert_true(sparp__address_parse(&ip, "127.0.0.1"));
    if (!sparp__cert_parse(sparp__str_make(der, size), &c))
        return;
    (void)sparp__spki_key(c.spki, &key);
    (void)sparp__cert_serves(&c);
    (void)sparp__cert_is_for(&c, "good.test", NULL);
    (void)sparp__cert_is_for(&c, "127.0.0.1", &ip);
    sparp__cert_show_names(&c, text, sizeof text);
    assert_true(strlen(text) < sizeof text);
    sparp__cert_show_name(c.issuer, text, sizeof text);
    assert_true(strlen(text) < sizeof text);
}

/* Every prefix, every byte changed in six ways, at the end of a page; nothing is read beyond. */
static void test_certificate_damaged(void **state) {
    static const char *const names[] = { "rsa", "ip", "wild", "constraint-kept", "client-ec" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        sparp__buf der;
        sparp__env env;
        sparp__str text, label, base64;
        memset(&der, 0, sizeof der);
        memset(&env, 0, sizeof env);
        test_memory m;
        memset(&m, 0, sizeof m);
        env.allocator.func = test_memory_func;
        env.allocator.user_data = &m;
        bundle_begin();
        bundle_add_pki(names[i], false, false);
        text = sparp__str_make(bundle, bundle_size);
        assert_true(sparp__pem_next(&text, &label, &base64));
        assert_true(sparp__pem_decode(&env, base64, &der));
        test_guard g = test_guard_make(der.size);
        for (size_t size = 0; size < der.size; size++)
            look_at(test_guard_put(&g, der.data, size), size);
        for (size_t at = 0; at < der.size; at++)
            for (int way = 0; way < 6; way++) {
                static const unsigned char values[] = { 0, 0x7F, 0x80, 0x84, 0xFF };
                char *copy = (char *)(uintptr_t)test_guard_put(&g, der.data, der.size);
                copy[at] = way < 5 ? (char)values[way] : (char)(copy[at] ^ 1);
                look_at(copy, der.size);
            }
        test_guard_free(&g);
        sparp__buf_free(&env, &der);
        assert_true(test_memory_clean(&m));
    }
}

/* The bundle of this system, if it has Debian's. */
static const char *time_file;

static void test_system_bundle(void **state) {
    static const char path[] = "/etc/ssl/certs/ca-certificates.crt";
    char url[128], line[512];
    int lines = 0;
    FILE *f = fopen(path, "r");
    struct timespec from, to;
    test_memory m;
    sparp__env env;
    sparp__anchors anchors;
    (void)state;
    if (f == NULL)
        skip();
    while (fgets(line, sizeof line, f) != NULL)
        lines += strncmp(line, "-----BEGIN CERTIFICATE-----", 27) == 0;
    fclose(f);
    memset(&m, 0, sizeof m);
    memset(&env, 0, sizeof env);
    memset(&anchors, 0, sizeof anchors);
    env.allocator.func = test_memory_func;
    env.allocator.user_data = &m;
    bundle_begin();
    bundle_add_file(path, false, false);
    clock_gettime(CLOCK_MONOTONIC, &from);
    assert_true(sparp__anchors_add_pem(&env, &anchors, sparp__str_make(bundle, bundle_size)));
    sparp__anchors_finish(&env, &anchors);
    clock_gettime(CLOCK_MONOTONIC, &to);
    f = fopen(time_file, "w");
    assert_non_null(f);
    fprintf(f, "%s: %zu anchors of %d certificates in %.1f ms, %zu bytes\n", path, anchors.count,
            lines, (double)(to.tv_sec - from.tv_sec) * 1e3
            + (double)(to.tv_nsec - from.tv_nsec) / 1e6, m.bytes);
    fclose(f);
    CHECK(lines > 0 && anchors.count <= (size_t)lines && anchors.count + 5 >= (size_t)lines,
          "%zu of %d", anchors.count, lines);
    sparp__anchors_free(&env, &anchors);
    assert_true(test_memory_clean(&m));
    sparp_options o = options_for(1);
    o.tls.ca_file = path;
    snprintf(url, sizeof url, "https://localhost:%d/", port_of("rsa"));
    sparp_results all = run_one(url, &o);
    CHECK(all.count == 1 && all.items[0].error == SPARP_E_TLS_CERTIFICATE
          && strstr(all.items[0].detail, "root.test") != NULL, "%s", told(&all.items[0]));
    sparp_results_free(&all);
}

/* --- who we are ------------------------------------------------------------------------------- */

static void test_client_certificates(void **state) {
    static const struct { const char *chain, *key, *error; } rows[] = {
        { "client-rsa", "client-rsa", "" },         { "client-ec", "client-ec", "" },
        { "client-deep", "client-deep", "" },       { "client-rsa", "client-rsa-old", "" },
        { "client-ec", "client-ec-old", "" },       { "client-ec", "client-ec-params", "" },
        { "client-unknown", "client-ec", HANDSHAKE }, { "client-ec", "not-ours", "TLS_TRUST" },
        { "client-ec", "client-encrypted", "TLS_TRUST" },
        { "client-rsa", "client-sealed", "TLS_TRUST" },
        { "client-rsa", "client-big", "TLS_TRUST" },
        { "client-rsa", "no-such", "TLS_TRUST" },   { "no-such", "client-rsa", "TLS_TRUST" },
        { "client-rsa", "ed25519", "TLS_TRUST" }
    };
    static const char *const servers[] = { "client-cert", "client-cert-rsa", "good" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t k = 0; k < COUNT_OF(servers); k++) {
            char url[128], chain[1100], key[1100];
            sparp_options o = options_for(1);
            snprintf(url, sizeof url, "https://localhost:%d/", port_of(servers[k]));
            snprintf(chain, sizeof chain, "%s/%s.pem", pki, rows[i].chain);
            snprintf(key, sizeof key, "%s/%s.key", pki, rows[i].key);
            o.tls.client_cert_file = chain;
            o.tls.client_key_file = key;
            sparp_results all = run_one(url, &o);
            assert_int_equal(all.count, 1);
            const sparp_result *r = &all.items[0];
            bool unasked = k == 2 && strcmp(rows[i].error, HANDSHAKE) == 0;
            bool good = rows[i].error[0] == '\0' || unasked;
            CHECK(good ? r->outcome == SPARP_OUTCOME_SUCCESS
                       : has_word(rows[i].error, sparp_error_name(r->error)),
                  "%s, %s to %s: %s", rows[i].chain, rows[i].key, servers[k], told(r));
            sparp_results_free(&all);
        }
}

static void test_options(void **state) {
    sparp_options o = options_for(1);
    (void)state;
    o.tls.client_cert_file = "a";
    assert_string_not_equal(sparp_check_options(&o), "");
    o = options_for(1);
    o.tls.client_key_file = "a";
    assert_string_not_equal(sparp_check_options(&o), "");
    o = options_for(1);
    assert_string_equal(sparp_check_options(&o), "");
    assert_string_equal(sparp_tls_library(), "TLS 1.3 (own) on BearSSL 0.6");
}

static void test_bad_pin(void **state) {
    static const char *const pins[] = { "hello", "AAAA", "=", ";" };
    char url[128];
    (void)state;
    snprintf(url, sizeof url, "https://localhost:%d/", port_of("rsa"));
    for (size_t i = 0; i < COUNT_OF(pins); i++) {
        sparp_options o = options_for(1);
        o.tls.pin_sha256 = pins[i];
        reset_seen();
        if (sparp_check_options(&o)[0] == '\0') {
            sparp_results all = run_one(url, &o);
            CHECK(all.count == 1 && all.items[0].error != SPARP_E_OK, "pin %s: %s", pins[i],
                  told(&all.items[0]));
            sparp_results_free(&all);
        }
        assert_int_equal(seen("rsa").requests, 0);
    }
}

/* --- the other family ------------------------------------------------------------------------- */

static void load_modes(int port);

static void test_ipv6(void **state) {
    static const struct { const char *mode, *host; bool good; } rows[] = {
        { "ip", "[::1]", true }, { "ip", "[0:0::0:1]", true }, { "ip-other", "[::1]", false },
        { "rsa", "[::1]", false }, { "ip-as-dns", "[::1]", false }
    };
    (void)state;
    if (plain_port6 == 0)
        skip();
    load_modes(plain_port6);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char url[128];
        sparp_options o = options_for(1);
        snprintf(url, sizeof url, "https://%s:%d/", rows[i].host, port_of(rows[i].mode));
        sparp_results all = run_one(url, &o);
        CHECK(all.count == 1 && (rows[i].good ? all.items[0].outcome == SPARP_OUTCOME_SUCCESS
                                 : all.items[0].error == SPARP_E_TLS_CERTIFICATE),
              "%s: %s", url, told(&all.items[0]));
        sparp_results_free(&all);
    }
    load_modes(plain_port);
}

/* --- all of it -------------------------------------------------------------------------------- */

static void load_modes(int port) {
    char url[64];
    sparp_options o = options_for(1);
    snprintf(url, sizeof url, "http://%s:%d/list", port == plain_port6 ? "[::1]" : "127.0.0.1",
             port);
    sparp_results all = run_one(url, &o);
    num_modes = 0;
    if (all.count == 1)
        for (const char *at = all.items[0].body; num_modes < MAX_MODES && at != NULL; at++) {
            if (sscanf(at, "%63s %d", modes[num_modes].name, &modes[num_modes].port) == 2)
                num_modes++;
            at = strchr(at, '\n');
            if (at == NULL)
                break;
        }
    sparp_results_free(&all);
}

static bool in_table(const char *mode, const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].mode, mode) == 0)
            return true;
    return false;
}

/* What the server can do, and nobody asks for. */
static void test_nothing_is_left_out(void **state) {
    int wrong = 0;
    (void)state;
    assert_true(num_modes > 100);
    for (int i = 0; i < num_modes; i++) {
        const char *name = modes[i].name;
        if (!in_table(name, certificates, COUNT_OF(certificates))
            && !in_table(name, faults, COUNT_OF(faults)) && !in_table(name, late, COUNT_OF(late))
            && strcmp(name, "cut-next") != 0) {
            print_error("not in a table: %s\n", name);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static int set_up(void **state) {
    (void)state;
    piece = 0;
    no_random = false;
    clock_off_s = 0;
    alarm(60);
    return 0;
}

static const struct { const char *name; CMUnitTestFunction function; } others[] = {
    { "nothing is left out", test_nothing_is_left_out },
    { "options", test_options },
    { "late", test_late },
    { "certificates together", test_certificates_together },
    { "faults together", test_faults_together },
    { "in pieces", test_in_pieces },
    { "cut at every seventh byte", test_cut_next },
    { "resumption", test_resumption },
    { "broken resumption", test_broken_resumption },
    { "idle ends", test_idle_ends },
    { "8: strays", test_strays },
    { "reuse", test_reuse },
    { "retries", test_retries },
    { "neighbours", test_neighbours },
    { "clock", test_wrong_clock },
    { "no random", test_no_random },
    { "waiting", test_waiting_lends_the_buffers },
    { "memory sweep", test_memory_sweep },
    { "bundle: forms", test_bundle_forms },
    { "bundle: bad neighbours", test_bundle_bad_neighbours },
    { "bundle: useless", test_bundle_useless },
    { "bundle: damaged", test_bundle_damaged },
    { "certificate: damaged", test_certificate_damaged },
    { "bundle: the system's", test_system_bundle },
    { "client certificates", test_client_certificates },
    { "bad pin", test_bad_pin },
    { "IPv6", test_ipv6 }
};

static size_t add_rows(struct CMUnitTest *tests, size_t n, const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++)
        tests[n++] = (struct CMUnitTest){ rows[i].mode, test_row, set_up, test_teardown,
                                          (void *)(uintptr_t)&rows[i] };
    return n;
}

int main(int argc, char **argv) {
    static struct CMUnitTest tests[COUNT_OF(certificates) + COUNT_OF(faults) + COUNT_OF(others)];
    size_t n = 0;
    if (argc != 5) {
        fprintf(stderr, "usage: %s PKI PORT PORT6 TIME\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_DFL);              /* the library has to do without */
    pki = argv[1];
    plain_port = atoi(argv[2]);
    plain_port6 = atoi(argv[3]);
    time_file = argv[4];
    snprintf(ca_file, sizeof ca_file, "%s/ca.crt", pki);
    alarm(60);
    load_modes(plain_port);
    printf("backend: %s\n", sparp_backend());
    n = add_rows(tests, n, certificates, COUNT_OF(certificates));
    n = add_rows(tests, n, faults, COUNT_OF(faults));
    for (size_t i = 0; i < COUNT_OF(others); i++)
        tests[n++] = (struct CMUnitTest){ others[i].name, others[i].function, set_up,
                                          test_teardown, NULL };
    int failed = _cmocka_run_group_tests("tls", tests, n, NULL, NULL);
    return failed != 0;
}

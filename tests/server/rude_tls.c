/* rude_tls.c - an https server that misbehaves on purpose, one port for each way of doing so.

   usage: rude_tls --pki DIR [--port N] [--port-file FILE] [--max-seconds N]     (see listen.h)

   DIR is what tests/tls/pki.sh has made. The port that is told is plain HTTP:

   GET /list         one line per mode: its name, and its port
   GET /seen         one line per mode: its name, connections, handshakes completed, handshakes that
                     resumed a session, requests
   GET /seen/reset   sets those to 0, and cut-next back to its first byte

   A mode has the name of a row of the table below; or it is the name of a chain that pki.sh has
   made, which is then sent with the script "HELLO". Requests of any method and path are alike.

   Each connection has a thread; 400 of them at most. */
#define _GNU_SOURCE                /* one set of names on every libc */
#include "listen.h"
#include <bearssl.h>
#include <dirent.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>

enum {
    MAX_CONNECTIONS = 400,
    MAX_MODES       = 250,
    MAX_CHAIN       = 1000,
    MAX_SESSIONS    = 64,
    PATIENCE_MS     = 60 * 1000,           /* with a silent client */
    MAX_HEAD        = 64 * 1024,
    MAX_TEXT        = 16 * 1024,           /* of one record, as TLS has it */
    MAX_FLIGHT      = 1024 * 1024,
    HEADROOM        = 64                   /* for what comes before the text of a record */
};

enum { CIPHER_SPEC = 20, ALERTS, HANDSHAKE, DATA, NONSENSE = 99 };     /* types of records */

/* Scripts: bytes to send as they are, but for
   |           CR LF
   ~xHH        the byte HH
   ~20.        wait 20 ms, with what comes before on its way
   ~[9:...~]   nine times
   ~d          from here on, every byte on the wire is a packet of its own
   ~F  ~R  ~H  FIN, RST: the end of this connection; nothing more until the client gives up
   In .raw, which is sent in the clear when the client has said hello:
   ~a          at the start: do not wait for the client
   ~=          at the end: now do the handshake after all
   In .script, which is the answer to a request, inside of TLS:
   ~u          at the start: do not read the body of the request first
   ~C          ten digits: a sum over the body of the request
   ~S          "resumed" or "fullone": how this session came to be
   ~r          what comes before is a record of its own; other records end at 16 KiB, at the end of
               the script, and before anything that follows here
   ~b          from here on, every byte is a record of its own
   ~e          an empty record
   ~N          close_notify
   ~aLLDD      the alert DD of level LL
   ~q          a HelloRequest: please handshake again
   ~k          a ChangeCipherSpec
   ~t          a record of type 99
   ~z          a record of 20,000 bytes
   ~p          something in the clear
   ~f          in the next record one bit is wrong
   ~c          of the next record only the first half is sent
   At its end the next request is read. */
#define H      "HTTP/1.1 200 OK|"
#define LENGTH "Content-Length: 5||hello"
#define HELLO  H LENGTH
#define CHUNKS H "Transfer-Encoding: chunked||"
#define CLOSED H "|hello"                  /* a body that ends with the connection */
#define EARLY  "~uHTTP/1.1 413 Content Too Large|Connection: close|" LENGTH
#define EVER   "1000000000"
#define ALERT  "~x15~x03~x03~x00~x02"
#define SERVER_HELLO(version) "~x16" version "~x00~x2a~x02~x00~x00~x26" version "~[32:r~]~x00" \
                              "~xc0~x2b~x00~H"

enum way {                                 /* the parts of a mode that are not scripts */
    SESSIONS     = 1 << 0,                 /* keeps sessions, and resumes them */
    BAD_SESSIONS = 1 << 1,                 /* ... but remembers another secret */
    H2_ONLY      = 1 << 2,
    ASK_CLIENT   = 1 << 3,                 /* a certificate of client-ca is required */
    DRIP         = 1 << 4,                 /* the handshake, byte by byte */
    TALK_FIRST   = 1 << 5,                 /* the answer comes before the request */
    CUT_NEXT     = 1 << 6,                 /* each connection is cut a few bytes later */
    WRONG_KEY    = 1 << 7
};

struct mode {
    const char *name, *raw, *script;
    const char *second;                    /* from the second request of a connection on */
    const char *chain;                     /* default: p256 */
    unsigned    ways;
    struct { int flight, percent; char ending; } cut;      /* of the server's two flights */
    uint16_t    suite;                     /* the only one, if there is one */
    int         curve;                     /* the same */
};

static const struct mode table[] = {
    /* before and in the handshake */
    { .name = "hang",            .raw = "~H" },
    { .name = "fin-at-once",     .raw = "~a~F" },
    { .name = "rst-at-once",     .raw = "~a~R" },
    { .name = "fin",             .raw = "~F" },
    { .name = "rst",             .raw = "~R" },
    { .name = "garbage",         .raw = "~xde~xad~xbe~xef~x00~x01~x02~x03~x04~x05~x06~x07~H" },
    { .name = "plain-http",      .raw = "HTTP/1.1 400 Bad Request|" LENGTH "~F" },
    { .name = "plain-html",      .raw = "<html>hello</html>~F" },
    { .name = "ssh-first",       .raw = "~aSSH-2.0-OpenSSH_9.2|~H" },
    { .name = "smtp-first",      .raw = "~a220 mail.test ESMTP|~H" },
    { .name = "alert-failure",   .raw = ALERT "~x02~x28~F" },
    { .name = "alert-version",   .raw = ALERT "~x02~x46~F" },
    { .name = "alert-name",      .raw = ALERT "~x02~x70~F" },
    { .name = "alert-internal",  .raw = ALERT "~x02~x50~F" },
    { .name = "alert-alpn",      .raw = ALERT "~x02~x78~F" },
    { .name = "alert-hang",      .raw = ALERT "~x02~x28~H" },
    { .name = "notify-at-hello", .raw = ALERT "~x01~x00~F" },
    { .name = "warn-name",       .raw = ALERT "~x01~x70~=", .script = HELLO },
    { .name = "warn-endless",    .raw = "~[" EVER ":" ALERT "~x01~x5a~]" },
    { .name = "huge-record",     .raw = "~x16~x03~x03~xff~xff~[70000:a~]~H" },
    { .name = "empty-records",   .raw = "~[" EVER ":~x16~x03~x03~x00~x00~]" },
    { .name = "data-first",      .raw = "~x17~x03~x03~x00~x05hello~H" },
    { .name = "hello-endless",   .raw = "~x16~x03~x03~x40~x00~x02~xff~xff~xff~[" EVER ":a~]" },
    { .name = "cut-none-fin",    .cut = { 1, 0, 'F' } },
    { .name = "cut-half-fin",    .cut = { 1, 50, 'F' } },
    { .name = "cut-half-rst",    .cut = { 1, 50, 'R' } },
    { .name = "cut-half-hang",   .cut = { 1, 50, 'H' } },
    { .name = "cut-first-fin",   .cut = { 1, 100, 'F' } },
    { .name = "cut-first-rst",   .cut = { 1, 100, 'R' } },
    { .name = "cut-first-hang",  .cut = { 1, 100, 'H' } },
    { .name = "cut-second-fin",  .cut = { 2, 0, 'F' } },
    { .name = "cut-second-rst",  .cut = { 2, 0, 'R' } },
    { .name = "cut-second-hang", .cut = { 2, 0, 'H' } },
    { .name = "cut-last-fin",    .cut = { 2, 50, 'F' } },
    { .name = "cut-last-rst",    .cut = { 2, 50, 'R' } },
    { .name = "cut-last-hang",   .cut = { 2, 50, 'H' } },
    { .name = "cut-next",        .ways = CUT_NEXT, .script = HELLO },
    { .name = "drip-handshake",  .ways = DRIP, .script = HELLO },
    { .name = "drip-rsa",        .ways = DRIP, .chain = "rsa", .script = "~d" HELLO },
    { .name = "tls10",           .raw = SERVER_HELLO("~x03~x01") },
    { .name = "tls11",           .raw = SERVER_HELLO("~x03~x02") },
    { .name = "h2-only",         .ways = H2_ONLY, .script = HELLO },
    { .name = "wrong-key",       .ways = WRONG_KEY, .script = HELLO },
    { .name = "wrong-key-rsa",   .ways = WRONG_KEY, .chain = "rsa", .script = HELLO },
    { .name = "client-cert",     .ways = ASK_CLIENT, .script = HELLO },
    { .name = "client-cert-rsa", .ways = ASK_CLIENT, .chain = "rsa", .script = HELLO },

    /* what they agree on */
    { .name = "aes128",     .suite = BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, .script = HELLO },
    { .name = "aes256",     .suite = BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, .script = HELLO },
    { .name = "chacha",     .suite = BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
      .script = HELLO },
    { .name = "aes128-rsa", .suite = BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, .chain = "rsa",
      .script = HELLO },
    { .name = "aes256-rsa", .suite = BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, .chain = "rsa",
      .script = HELLO },
    { .name = "chacha-rsa", .suite = BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
      .chain = "rsa", .script = HELLO },
    { .name = "cbc",        .suite = BR_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, .script = HELLO },
    { .name = "static-rsa", .suite = BR_TLS_RSA_WITH_AES_128_GCM_SHA256, .chain = "rsa",
      .script = HELLO },
    { .name = "x25519",     .curve = BR_EC_curve25519, .script = HELLO },
    { .name = "curve-p384", .curve = BR_EC_secp384r1, .script = HELLO },

    /* after it */
    { .name = "good",             .script = HELLO },
    { .name = "resume",           .ways = SESSIONS, .script = H "Content-Length: 7||~S" },
    { .name = "resume-close",     .ways = SESSIONS,
      .script = H "Connection: close|Content-Length: 7||~S~N~F" },
    { .name = "resume-broken",    .ways = SESSIONS | BAD_SESSIONS,
      .script = H "Connection: close|Content-Length: 7||~S~N~F" },
    { .name = "resume-never",     .script = H "Connection: close|Content-Length: 7||~S~N~F" },
    { .name = "upload",           .script = H "Content-Length: 10||~C" },
    { .name = "big",              .script = H "Content-Length: 4194304||"
                                            "~[65536:0123456789abcdef0123456789abcdef"
                                            "0123456789abcdef0123456789abcdef~]" },
    { .name = "big-chunked",      .script = CHUNKS "~[3000:2b|0123456789abcdef0123456789abcdef"
                                            "0123456789a|~]0||" },
    { .name = "byte-records",     .script = "~b" HELLO },
    { .name = "byte-records-drip", .script = "~d~b" HELLO },
    { .name = "drip-body",        .script = "~d" HELLO },
    { .name = "empty-some",       .script = "~e" H "Content-Length: 5||he~r~[20000:~e~]llo~e" },
    { .name = "empty-endless",    .script = H "Content-Length: 5||he~r~[" EVER ":~e~]" },
    { .name = "warnings-some",    .script = H "Content-Length: 5||he~r~[100:~a015a~]llo" },
    { .name = "warnings-endless", .script = H "Content-Length: 5||he~r~[" EVER ":~a015a~]" },
    { .name = "hello-request",    .script = H "Content-Length: 5||he~r~qllo" },
    { .name = "hello-requests",   .script = H "Content-Length: 5||he~r~[500:~q~]llo" },
    { .name = "flip",             .script = H "Content-Length: 10||hello~r~fworld~r~H" },
    { .name = "flip-first",       .script = "~f" HELLO "~r~H" },
    { .name = "half-record-fin",  .script = H "Content-Length: 10||hello~r~cworld~F" },
    { .name = "half-record-rst",  .script = H "Content-Length: 10||hello~r~cworld~20.~R" },
    { .name = "half-record-hang", .script = H "Content-Length: 10||hello~r~cworld~H" },
    { .name = "type-99",          .script = H "Content-Length: 10||hello~t~H" },
    { .name = "oversized",        .script = H "Content-Length: 30000||hello~z~H" },
    { .name = "cipher-spec",      .script = H "Content-Length: 10||hello~k~H" },
    { .name = "in-the-clear",     .script = H "Content-Length: 10||hello~r~p~H" },
    { .name = "alert-mid-body",   .script = H "Content-Length: 10||hello~a0250~F" },
    { .name = "alert-no-answer",  .script = "~a0250~F" },
    { .name = "no-answer-notify", .script = "~N~F" },
    { .name = "no-answer-fin",    .script = "~F" },
    { .name = "no-answer-rst",    .script = "~R" },
    { .name = "no-answer-hang",   .script = "~H" },
    { .name = "head-notify",      .script = H "Content-Le~N~F" },
    { .name = "head-fin",         .script = H "Content-Le~r~F" },
    { .name = "length-fin",       .script = HELLO "~r~F" },
    { .name = "length-notify",    .script = HELLO "~N~F" },
    { .name = "length-rst",       .script = HELLO "~20.~R" },
    { .name = "short-fin",        .script = H "Content-Length: 10||hello~r~F" },
    { .name = "short-notify",     .script = H "Content-Length: 10||hello~N~F" },
    { .name = "short-rst",        .script = H "Content-Length: 10||hello~20.~R" },
    { .name = "short-hang",       .script = H "Content-Length: 10||hello~H" },
    { .name = "chunks-fin",       .script = CHUNKS "5|hello|~r~F" },
    { .name = "chunks-notify",    .script = CHUNKS "5|hello|~N~F" },
    { .name = "chunks-whole-fin", .script = CHUNKS "5|hello|0||~r~F" },
    { .name = "closed-notify",    .script = CLOSED "~N~F" },
    { .name = "closed-notify-rst", .script = CLOSED "~N~20.~R" },
    { .name = "closed-fin",       .script = CLOSED "~r~F" },
    { .name = "closed-rst",       .script = CLOSED "~20.~R" },
    { .name = "closed-half",      .script = CLOSED "~r~cworld~F" },
    { .name = "closed-flip",      .script = CLOSED "~r~f~N~F" },
    { .name = "closed-alert",     .script = CLOSED "~a0250~F" },
    { .name = "after-notify",     .script = HELLO "~N~p~F" },
    { .name = "talk-first",       .ways = TALK_FIRST, .script = HELLO },
    { .name = "early-notify",     .script = EARLY "~N~F" },
    { .name = "early-fin",        .script = EARLY "~r~F" },
    { .name = "early-rst",        .script = EARLY "~200.~R" },
    { .name = "idle-notify",      .script = HELLO "~50.~N~F" },
    { .name = "idle-fin",         .script = HELLO "~50.~F" },
    { .name = "idle-rst",         .script = HELLO "~50.~R" },
    { .name = "idle-alert",       .script = HELLO "~50.~a0250~F" },
    { .name = "extra-record",     .script = HELLO "~rHTTP/1.1 200 OK|Content-Length: 4||evil" },
    { .name = "extra-same",       .script = HELLO "HTTP/1.1 200 OK|Content-Length: 4||evil" },
    { .name = "stray-line",       .script = HELLO, .second = "|~r" HELLO },
    { .name = "stray-body",       .script = HELLO, .second = "<html>No</html>~r" HELLO },
    { .name = "stray-alone",      .script = HELLO, .second = "hello" },
    { .name = "slow-408",         .script = HELLO,
      .second = "HTTP/1.1 408 Slow|Connection: close|Content-Length: 0||~N~F" },
    { .name = "alert-second",     .script = HELLO, .second = "~a0250~F" }
};

/* --- certificates and keys ------------------------------------------------------------------- */

struct identity {
    br_x509_certificate *chain;
    size_t               length;
    br_skey_decoder_context key;           /* the key points into it */
};

struct bytes {
    unsigned char *data;
    size_t         size;
};

static const char *pki;
static br_x509_trust_anchor client_anchor;

static struct bytes read_pki(const char *name, const char *kind) {
    char path[1024];
    struct bytes b = { NULL, 0 };
    snprintf(path, sizeof path, "%s/%s.%s", pki, name, kind);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        die(path);
    b.data = malloc(MAX_FLIGHT + 1);
    if (b.data == NULL)
        die("memory");
    b.size = fread(b.data, 1, MAX_FLIGHT, f);
    b.data[b.size] = '\0';
    fclose(f);
    return b;
}

static void add_bytes(void *context, const void *data, size_t size) {
    struct bytes *b = context;
    b->data = realloc(b->data, b->size + size);
    if (b->data == NULL)
        die("memory");
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

/* The next object of a PEM text in DER, *at behind it; false: there is none. */
static bool next_object(const struct bytes *pem, size_t *at, struct bytes *out) {
    br_pem_decoder_context pc;
    br_pem_decoder_init(&pc);
    memset(out, 0, sizeof *out);
    while (*at < pem->size) {
        *at += br_pem_decoder_push(&pc, pem->data + *at, pem->size - *at);
        int event = br_pem_decoder_event(&pc);
        if (event == BR_PEM_BEGIN_OBJ)
            br_pem_decoder_setdest(&pc, add_bytes, out);
        else if (event == BR_PEM_END_OBJ)
            return true;
    }
    return false;
}

static struct identity *read_identity(const char *chain, const char *key) {
    struct identity *id = calloc(1, sizeof *id);
    struct bytes pem = read_pki(chain, "pem"), der;
    size_t at = 0;
    if (id != NULL)
        id->chain = calloc(MAX_CHAIN, sizeof *id->chain);
    if (id == NULL || id->chain == NULL)
        die("memory");
    while (id->length < MAX_CHAIN && next_object(&pem, &at, &der)) {
        id->chain[id->length].data = der.data;
        id->chain[id->length++].data_len = der.size;
    }
    free(pem.data);
    pem = read_pki(key, "key");
    at = 0;
    br_skey_decoder_init(&id->key);
    if (next_object(&pem, &at, &der))
        br_skey_decoder_push(&id->key, der.data, der.size);
    if (br_skey_decoder_key_type(&id->key) == 0 || id->length == 0) {
        fprintf(stderr, "%s.pem, %s.key: not to be used\n", chain, key);
        exit(1);
    }
    free(pem.data);
    free(der.data);
    return id;
}

/* The key is an elliptic one. */
static void read_client_anchor(void) {
    static br_x509_decoder_context dc;     /* the key points into it */
    static struct bytes dn;
    struct bytes pem = read_pki("client-ca", "crt"), der;
    size_t at = 0;
    br_x509_decoder_init(&dc, add_bytes, &dn);
    if (next_object(&pem, &at, &der))
        br_x509_decoder_push(&dc, der.data, der.size);
    const br_x509_pkey *key = br_x509_decoder_get_pkey(&dc);
    if (key == NULL)
        die("client-ca.crt");
    client_anchor.dn.data = dn.data;
    client_anchor.dn.len = dn.size;
    client_anchor.flags = BR_X509_TA_CA;
    client_anchor.pkey = *key;
    free(pem.data);
    free(der.data);
}

/* --- modes, and what all connections share -------------------------------------------------- */

struct place {                             /* a mode at its port */
    struct mode      mode;
    struct identity *id;
    int              listener, port;
    unsigned         connections, handshakes, resumed, requests;
};

static struct place    places[MAX_MODES];
static int             num_places;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  one_less = PTHREAD_COND_INITIALIZER;
static int             open_connections;
static int             next_cut;           /* of cut-next, bytes */

static struct {
    br_ssl_session_parameters saved[MAX_SESSIONS];
    int next;
} sessions;

static void count(unsigned *counter) {
    pthread_mutex_lock(&lock);
    ++*counter;
    pthread_mutex_unlock(&lock);
}

/* What a chain's key is called, if not "rsa". */
static const char *key_of(const char *chain) {
    static const char *const others[][2] = {
        { "p256", "ec" }, { "p384", "p384" }, { "rsa1024", "rsa1024" }
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(chain, others[i][0]) == 0)
            return others[i][1];
    return "rsa";
}

static void add_place(const struct settings *s, const struct mode *mode) {
    struct place *p = &places[num_places++];
    struct settings any_port = *s;
    p->mode = *mode;
    if (p->mode.chain == NULL)
        p->mode.chain = "p256";
    const char *key = key_of(p->mode.chain);
    if ((mode->ways & WRONG_KEY) != 0)
        key = strcmp(key, "rsa") == 0 ? "rsa-ca" : "not-ours";
    p->id = read_identity(p->mode.chain, key);
    any_port.port = 0;
    p->listener = open_listener(&any_port, &p->port);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One for each NAME.pem, but for those of clients. */
static void add_chains(const struct settings *s) {
    char *names[MAX_MODES];
    size_t n = 0;
    struct dirent *entry;
    DIR *d = opendir(pki);
    if (d == NULL)
        die(pki);
    while ((entry = readdir(d)) != NULL && n < MAX_MODES) {
        size_t length = strlen(entry->d_name);
        if (length > 4 && strcmp(entry->d_name + length - 4, ".pem") == 0
            && strncmp(entry->d_name, "client-", 7) != 0)
            names[n++] = strndup(entry->d_name, length - 4);
    }
    closedir(d);
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n && num_places < MAX_MODES; i++) {
        struct mode mode;
        memset(&mode, 0, sizeof mode);
        mode.name = mode.chain = names[i];
        mode.script = HELLO;
        add_place(s, &mode);
    }
}

/* --- connections ----------------------------------------------------------------------------- */

struct conn {
    struct place  *place;          /* NULL: plain HTTP */
    int            fd;
    br_ssl_server_context     tls;
    br_x509_minimal_context   x509;
    br_ec_impl                one_curve;
    const br_ssl_session_cache_class *sessions;
    unsigned char  buffer[BR_SSL_BUFSIZE_BIDI];
    unsigned char  flight[MAX_FLIGHT];
    unsigned char  record[HEADROOM + 32 * 1024];
    char           text[MAX_TEXT];         /* to be a record */
    size_t         text_size;
    char           in[MAX_HEAD];           /* heads of requests, and what came with them */
    size_t         in_size;
    bool           raw;                    /* the script is sent in the clear */
    bool           deaf, drip, byte_records, flip, half, resumed;
    int            answers;                /* on this connection, so far */
    size_t         body_left;              /* of the request, to be read */
    uint32_t       body_sum;
    long           cut_at;                 /* byte of the handshake, for cut-next; -1: none */
};

enum step { GO_ON, OVER };

static enum step put_wire(struct conn *c, const unsigned char *data, size_t size) {
    for (size_t at = 0; at < size;) {
        ssize_t n = send(c->fd, data + at, c->drip ? 1 : size - at, MSG_NOSIGNAL);
        if (n <= 0)
            return OVER;
        at += (size_t)n;
    }
    return GO_ON;
}

static enum step put_record(struct conn *c, int type, const void *data, size_t size) {
    br_ssl_engine_context *e = &c->tls.eng;
    memcpy(c->record + HEADROOM, data, size);
    unsigned char *wire = e->out.vtable->encrypt(&e->out.vtable, type, e->session.version,
                                                 c->record + HEADROOM, &size);
    if (c->flip)
        wire[size - 1] ^= 0x10;
    if (c->half)
        size /= 2;
    c->flip = c->half = false;
    return put_wire(c, wire, size);
}

/* What the script has said so far. */
static enum step flush(struct conn *c) {
    size_t size = c->text_size;
    c->text_size = 0;
    if (size == 0)
        return GO_ON;
    return c->raw ? put_wire(c, (unsigned char *)c->text, size)
                  : put_record(c, DATA, c->text, size);
}

static enum step put(struct conn *c, char byte) {
    c->text[c->text_size++] = byte;
    return c->byte_records || c->text_size == sizeof c->text ? flush(c) : GO_ON;
}

static enum step put_string(struct conn *c, const char *s) {
    enum step step = GO_ON;
    while (*s != '\0' && step == GO_ON)
        step = put(c, *s++);
    return step;
}

static enum step put_alert(struct conn *c, int level, int description) {
    unsigned char alert[2] = { (unsigned char)level, (unsigned char)description };
    return flush(c) == OVER ? OVER : put_record(c, ALERTS, alert, sizeof alert);
}

static enum step end_with(struct conn *c, char ending) {
    char waste[4096];
    struct linger none = { 1, 0 };
    struct pollfd p = { .fd = c->fd, .events = POLLIN };
    if (flush(c) == OVER)
        return OVER;
    if (ending == 'R')
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    if (ending == 'F' && shutdown(c->fd, SHUT_WR) == 0)
        while (poll(&p, 1, 2000) > 0 && recv(c->fd, waste, sizeof waste, 0) > 0)
            continue;              /* close() with something unread would send a RST after all */
    if (ending == 'H')
        while (poll(&p, 1, PATIENCE_MS) > 0 && recv(c->fd, waste, sizeof waste, 0) > 0)
            continue;
    return OVER;
}

/* --- what the client says -------------------------------------------------------------------- */

/* Bytes from the wire into the engine. */
static bool fill(struct conn *c) {
    size_t room;
    unsigned char *to = br_ssl_engine_recvrec_buf(&c->tls.eng, &room);
    if (to == NULL)
        return false;
    ssize_t n = recv(c->fd, to, room, 0);
    if (n <= 0)
        return false;
    br_ssl_engine_recvrec_ack(&c->tls.eng, (size_t)n);
    return true;
}

/* Some bytes of the client, at least one, into out; 0: there are no more. */
static size_t take(struct conn *c, char *out, size_t room) {
    br_ssl_engine_context *e = &c->tls.eng;
    size_t size;
    if (c->place == NULL) {
        ssize_t n = recv(c->fd, out, room, 0);
        return n > 0 ? (size_t)n : 0;
    }
    for (;;) {
        unsigned state = br_ssl_engine_current_state(e);
        if ((state & BR_SSL_CLOSED) != 0)
            return 0;
        if ((state & BR_SSL_RECVAPP) != 0) {
            unsigned char *from = br_ssl_engine_recvapp_buf(e, &size);
            size = size < room ? size : room;
            memcpy(out, from, size);
            br_ssl_engine_recvapp_ack(e, size);
            return size;
        }
        if ((state & BR_SSL_SENDREC) != 0) {
            unsigned char *from = br_ssl_engine_sendrec_buf(e, &size);
            if (put_wire(c, from, size) == OVER)
                return 0;
            br_ssl_engine_sendrec_ack(e, size);
        } else if (!fill(c)) {
            return 0;
        }
    }
}

static enum step skip_body(struct conn *c) {
    while (c->body_left > 0) {
        if (c->in_size == 0)
            c->in_size = take(c, c->in, sizeof c->in);
        if (c->in_size == 0)
            return OVER;
        size_t size = c->in_size < c->body_left ? c->in_size : c->body_left;
        for (size_t i = 0; i < size; i++)
            c->body_sum = c->body_sum * 31 + (unsigned char)c->in[i];
        c->in_size -= size;
        c->body_left -= size;
        memmove(c->in, c->in + size, c->in_size);
    }
    return GO_ON;
}

/* --- scripts --------------------------------------------------------------------------------- */

/* The "~]" that belongs to the "~[" before s. */
static const char *closing(const char *s) {
    for (int depth = 1;; s++) {
        s = strchr(s, '~');
        depth += s[1] == '[' ? 1 : s[1] == ']' ? -1 : 0;
        if (depth == 0)
            return s;
    }
}

static int hex_byte(const char *s) {
    char digits[3] = { s[0], s[1], '\0' };
    return (int)strtol(digits, NULL, 16);
}

/* The operations that send one record, after what comes before. */
static enum step put_special(struct conn *c, char operation) {
    static const unsigned char zeros[20000];
    const char *clear = "HTTP/1.1 400 Bad Request\r\n\r\n";
    if (flush(c) == OVER)
        return OVER;
    switch (operation) {
    case 'e': return put_record(c, DATA, "", 0);
    case 'q': return put_record(c, HANDSHAKE, zeros, 4);
    case 'k': return put_record(c, CIPHER_SPEC, "\1", 1);
    case 't': return put_record(c, NONSENSE, "hello", 5);
    case 'z': return put_record(c, DATA, zeros, sizeof zeros);
    case 'p': return put_wire(c, (const unsigned char *)clear, strlen(clear));
    default:
        fprintf(stderr, "script: ~%c?\n", operation);
        abort();
    }
}

static enum step pause_ms(struct conn *c, int ms) {
    if (flush(c) == OVER)
        return OVER;
    poll(NULL, 0, ms);
    return GO_ON;
}

/* The operation at *s, which is moved behind it. */
static enum step operate(struct conn *c, const char **s) {
    char sum[16], *end;
    long ms;
    char operation = *(*s)++;
    switch (operation) {
    case 'x':
        *s += 2;
        return put(c, (char)hex_byte(*s - 2));
    case 'a':
        *s += 4;
        return put_alert(c, hex_byte(*s - 4), hex_byte(*s - 2));
    case 'd': c->drip = true;           return GO_ON;
    case 'b': c->byte_records = true;   return GO_ON;
    case 'u': return GO_ON;
    case 'r': return flush(c);
    case 'f': c->flip = true;           return GO_ON;
    case 'c': c->half = true;           return GO_ON;
    case 'N': return put_alert(c, 1, 0);
    case 'S': return put_string(c, c->resumed ? "resumed" : "fullone");
    case 'C':
        snprintf(sum, sizeof sum, "%010u", (unsigned)c->body_sum);
        return put_string(c, sum);
    case 'F': case 'R': case 'H':
        return end_with(c, operation);
    default:
        if (operation < '0' || operation > '9')
            return put_special(c, operation);
        ms = strtol(*s - 1, &end, 10);                   /* 20. */
        *s = end + 1;
        return pause_ms(c, (int)ms);
    }
}

static enum step play(struct conn *c, const char *s, const char *end) {
    enum step step = GO_ON;
    while (s < end && step == GO_ON) {
        if (s[0] == '~' && s[1] == '[') {
            char *piece;
            long times = strtol(s + 2, &piece, 10);
            const char *close = closing(s + 2);
            for (; times > 0 && step == GO_ON; times--)
                step = play(c, piece + 1, close);
            s = close + 2;
        } else if (s[0] == '~') {
            s++;
            step = operate(c, &s);
        } else if (*s == '|') {
            step = put_string(c, "\r\n");
            s++;
        } else {
            step = put(c, *s++);
        }
    }
    return step;
}

/* --- the handshake --------------------------------------------------------------------------- */

static void save_session(const br_ssl_session_cache_class **ctx, br_ssl_server_context *server,
                         const br_ssl_session_parameters *p) {
    (void)ctx, (void)server;
    pthread_mutex_lock(&lock);
    sessions.saved[sessions.next++ % MAX_SESSIONS] = *p;
    pthread_mutex_unlock(&lock);
}

static int load_session(const br_ssl_session_cache_class **ctx, br_ssl_server_context *server,
                        br_ssl_session_parameters *p) {
    struct conn *c = (struct conn *)(void *)((char *)ctx - offsetof(struct conn, sessions));
    (void)server;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MAX_SESSIONS && !c->resumed; i++)
        if (p->session_id_len == sizeof p->session_id && sessions.saved[i].session_id_len > 0
            && memcmp(p->session_id, sessions.saved[i].session_id, sizeof p->session_id) == 0) {
            *p = sessions.saved[i];
            c->resumed = true;
        }
    pthread_mutex_unlock(&lock);
    if (c->resumed && (c->place->mode.ways & BAD_SESSIONS) != 0)
        p->master_secret[0] ^= 1;
    return c->resumed;
}

static const br_ssl_session_cache_class session_class = {
    sizeof(struct conn), save_session, load_session
};

static void ask_for_client(struct conn *c) {
    br_ssl_engine_context *e = &c->tls.eng;
    br_x509_minimal_init_full(&c->x509, &client_anchor, 1);
    br_ssl_engine_set_default_rsavrfy(e);
    br_ssl_engine_set_default_ecdsa(e);
    br_ssl_engine_set_x509(e, &c->x509.vtable);
    br_ssl_server_set_trust_anchor_names_alt(&c->tls, &client_anchor, 1);
}

static void set_up(struct conn *c) {
    static const char *h2 = "h2";
    const struct mode *m = &c->place->mode;
    struct identity *id = c->place->id;
    br_ssl_engine_context *e = &c->tls.eng;
    const br_rsa_private_key *rsa = br_skey_decoder_get_rsa(&id->key);
    if (rsa != NULL)
        br_ssl_server_init_full_rsa(&c->tls, id->chain, id->length, rsa);
    else
        br_ssl_server_init_full_ec(&c->tls, id->chain, id->length, BR_KEYTYPE_EC,
                                   br_skey_decoder_get_ec(&id->key));
    br_ssl_engine_set_buffer(e, c->buffer, sizeof c->buffer, 1);
    if ((m->ways & H2_ONLY) != 0) {
        br_ssl_engine_set_protocol_names(e, &h2, 1);
        br_ssl_engine_add_flags(e, BR_OPT_FAIL_ON_ALPN_MISMATCH);
    }
    if ((m->ways & ASK_CLIENT) != 0)
        ask_for_client(c);
    if ((m->ways & SESSIONS) != 0) {
        c->sessions = &session_class;
        br_ssl_server_set_cache(&c->tls, &c->sessions);
    }
    if (m->suite != 0)
        br_ssl_engine_set_suites(e, &m->suite, 1);
    if (m->curve != 0) {
        c->one_curve = *br_ec_get_default();
        c->one_curve.supported_curves = (uint32_t)1 << m->curve;
        br_ssl_engine_set_ec(e, &c->one_curve);
    }
}

/* All that the engine wants to send now. */
static size_t gather_flight(struct conn *c) {
    br_ssl_engine_context *e = &c->tls.eng;
    size_t total = 0, size;
    while ((br_ssl_engine_current_state(e) & BR_SSL_SENDREC) != 0) {
        unsigned char *from = br_ssl_engine_sendrec_buf(e, &size);
        if (total + size > sizeof c->flight)
            break;
        memcpy(c->flight + total, from, size);
        br_ssl_engine_sendrec_ack(e, size);
        total += size;
    }
    return total;
}

static enum step send_flight(struct conn *c, int flight) {
    const struct mode *m = &c->place->mode;
    size_t size = gather_flight(c);
    if (m->cut.flight == flight) {
        if (put_wire(c, c->flight, size * (size_t)m->cut.percent / 100) == GO_ON)
            end_with(c, m->cut.ending);
        return OVER;
    }
    if (c->cut_at >= 0 && (size_t)c->cut_at < size) {
        if (put_wire(c, c->flight, (size_t)c->cut_at) == GO_ON)
            end_with(c, c->cut_at % 2 == 0 ? 'F' : 'R');
        return OVER;
    }
    if (c->cut_at >= 0)
        c->cut_at -= (long)size;
    return put_wire(c, c->flight, size);
}

static enum step handshake(struct conn *c) {
    const struct mode *m = &c->place->mode;
    br_ssl_engine_context *e = &c->tls.eng;
    set_up(c);
    c->drip = (m->ways & DRIP) != 0;
    if (!br_ssl_server_reset(&c->tls))
        return OVER;
    for (int flight = 1;;) {
        unsigned state = br_ssl_engine_current_state(e);
        if ((state & BR_SSL_CLOSED) != 0)
            return OVER;
        if ((state & BR_SSL_SENDREC) != 0) {
            if (send_flight(c, flight++) == OVER)
                return OVER;
        } else if ((state & BR_SSL_SENDAPP) != 0) {
            c->drip = false;
            return GO_ON;
        } else if (!fill(c)) {
            return OVER;
        }
    }
}

/* --- requests -------------------------------------------------------------------------------- */

/* Ends the head with a NUL; the rest of c->in comes after it. 0: there is none. */
static size_t read_head(struct conn *c) {
    for (;;) {
        char *end = memmem(c->in, c->in_size, "\r\n\r\n", 4);
        if (end != NULL) {
            end[2] = '\0';
            return (size_t)(end - c->in) + 4;
        }
        if (c->in_size == sizeof c->in)
            return 0;
        size_t n = take(c, c->in + c->in_size, sizeof c->in - c->in_size);
        if (n == 0)
            return 0;
        c->in_size += n;
    }
}

static void drop_head(struct conn *c, size_t size) {
    const char *length = strcasestr(c->in, "\ncontent-length:");
    c->body_left = length == NULL ? 0 : (size_t)strtoul(length + 16, NULL, 10);
    c->body_sum = 0;
    c->in_size -= size;
    memmove(c->in, c->in + size, c->in_size);
}

static enum step play_script(struct conn *c) {
    const struct mode *mode = &c->place->mode;
    const char *script = c->answers++ > 0 && mode->second != NULL ? mode->second : mode->script;
    bool deaf = strncmp(script, "~u", 2) == 0;
    c->drip = c->byte_records = false;
    if (!deaf && skip_body(c) == OVER)
        return OVER;
    if (play(c, script, script + strlen(script)) == OVER)
        return OVER;
    return flush(c);
}

/* false: the handshake is not to be tried. */
static bool play_raw(struct conn *c) {
    char byte;
    const char *s = c->place->mode.raw, *end;
    if (s == NULL)
        return true;
    if (strncmp(s, "~a", 2) == 0)
        s += 2;
    else if (recv(c->fd, &byte, 1, MSG_PEEK) != 1)
        return false;
    end = strstr(s, "~=");
    c->raw = true;
    if (play(c, s, end != NULL ? end : s + strlen(s)) == OVER || flush(c) == OVER)
        return false;
    c->raw = false;
    return end != NULL;
}

static void serve_tls(struct conn *c) {
    struct place *p = c->place;
    size_t size;
    count(&p->connections);
    c->cut_at = -1;
    if ((p->mode.ways & CUT_NEXT) != 0) {
        pthread_mutex_lock(&lock);
        c->cut_at = next_cut;
        next_cut += 7;
        pthread_mutex_unlock(&lock);
    }
    if (!play_raw(c))
        return;
    if (handshake(c) == OVER) {
        end_with(c, 'F');
        return;
    }
    count(&p->handshakes);
    if (c->resumed)
        count(&p->resumed);
    if ((p->mode.ways & TALK_FIRST) != 0 && play_script(c) == OVER)
        return;
    while ((size = read_head(c)) > 0) {
        count(&p->requests);
        drop_head(c, size);
        if (play_script(c) == OVER)
            return;
    }
    end_with(c, 'F');
}

/* --- the plain port -------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4)))
static size_t print_at(char *text, size_t at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text + at, MAX_HEAD - at, format, args);
    va_end(args);
    return at + (size_t)n < MAX_HEAD ? at + (size_t)n : MAX_HEAD - 1;
}

static void reset_counts(void) {
    for (int i = 0; i < num_places; i++)
        places[i].connections = places[i].handshakes = places[i].resumed = places[i].requests = 0;
    next_cut = 0;
}

static void serve_plain(struct conn *c) {
    static const char form[] = "HTTP/1.1 %d \r\nConnection: close\r\nContent-Length: %zu\r\n\r\n";
    char path[64] = "";
    size_t size = 0;
    if (read_head(c) == 0)
        return;
    sscanf(c->in, "%*s %63s", path);
    bool list = strcmp(path, "/list") == 0, reset = strcmp(path, "/seen/reset") == 0;
    bool found = list || reset || strcmp(path, "/seen") == 0;
    pthread_mutex_lock(&lock);
    if (reset)
        reset_counts();
    for (int i = 0; i < num_places && found; i++) {
        struct place *p = &places[i];
        if (list)
            size = print_at(c->in, size, "%s %d\n", p->mode.name, p->port);
        else
            size = print_at(c->in, size, "%s %u %u %u %u\n", p->mode.name, p->connections,
                            p->handshakes, p->resumed, p->requests);
    }
    pthread_mutex_unlock(&lock);
    char *head = (char *)c->record;
    int n = snprintf(head, sizeof c->record, form, found ? 200 : 404, size);
    if (put_wire(c, c->record, (size_t)n) == GO_ON
        && put_wire(c, (unsigned char *)c->in, size) == GO_ON)
        end_with(c, 'F');
}

/* --- accepting ------------------------------------------------------------------------------- */

static void *converse(void *argument) {
    struct conn *c = argument;
    if (c->place == NULL)
        serve_plain(c);
    else
        serve_tls(c);
    close(c->fd);
    free(c);
    pthread_mutex_lock(&lock);
    open_connections--;
    pthread_cond_signal(&one_less);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void start_thread(int fd, struct place *place) {
    pthread_t thread;
    int on = 1;
    struct timeval patience = { PATIENCE_MS / 1000, 0 };
    struct conn *c = calloc(1, sizeof *c);
    if (c == NULL)
        die("memory");
    fcntl(fd, F_SETFL, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    c->fd = fd;
    c->place = place;
    pthread_mutex_lock(&lock);
    while (open_connections >= MAX_CONNECTIONS)
        pthread_cond_wait(&one_less, &lock);
    open_connections++;
    pthread_mutex_unlock(&lock);
    if (pthread_create(&thread, NULL, converse, c) != 0)
        die("thread");
    pthread_detach(thread);
}

static void accept_all(int plain) {
    struct pollfd set[MAX_MODES + 1];
    for (int i = 0; i <= num_places; i++)
        set[i] = (struct pollfd){ i == num_places ? plain : places[i].listener, POLLIN, 0 };
    if (poll(set, (nfds_t)num_places + 1, 500) <= 0)
        return;
    for (int i = 0; i <= num_places; i++) {
        int fd = set[i].revents != 0 ? accept(set[i].fd, NULL, NULL) : -1;
        if (fd >= 0)
            start_thread(fd, i == num_places ? NULL : &places[i]);
    }
}

/* Takes "--pki DIR" out of the arguments. */
static void find_pki(int *argc, char **argv) {
    for (int i = 1; i + 1 < *argc; i++)
        if (strcmp(argv[i], "--pki") == 0) {
            pki = argv[i + 1];
            memmove(argv + i, argv + i + 2, (size_t)(*argc - i - 1) * sizeof *argv);
            *argc -= 2;
            return;
        }
    fprintf(stderr, "usage: %s --pki DIR [--port N] [--port-file FILE]\n", argv[0]);
    exit(2);
}

int main(int argc, char **argv) {
    int port;
    find_pki(&argc, argv);
    struct settings s = parse_arguments(argc, argv);
    read_client_anchor();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        add_place(&s, &table[i]);
    add_chains(&s);
    int plain = open_listener(&s, &port);
    tell_port(&s, port);
    while (!time_to_end(&s))
        accept_all(plain);
    return 0;
}

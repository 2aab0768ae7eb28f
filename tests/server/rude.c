/* rude.c - an HTTP server that misbehaves on purpose, and says beforehand what to expect of it.

   usage: rude [--port N] [--port-file FILE] [--ipv6] [--max-seconds N]      (see listen.h)

   GET /NAME         the fault of that name, from the table below
   GET /list         one line per fault: NAME, tab, expectation, and where it matters another tab
                     and the body (its text, or its length when that is a number; "hello" where
                     nothing is said), and another tab and "POST N": send it N bytes
   GET /seen         what has arrived so far, as JSON: connections, requests, and per fault
                     .requests and .reused_after, the number of requests that came over a connection
                     on which the fault had been played to its end
   GET /seen/reset   forgets that
   Anything else is a 404. /list and /seen are not counted.

   The expectations:
   error       this request ends with one error, at once; nothing partial is a success
   ok          a success with exactly that body
   deadline    an error when the attempt's own time is up
   either      an error or a success, but decided at once
   status N    a response with that status ("status 204 noreuse": and a new connection after it)
   noreuse     a success, and .reused_after stays 0; extra-late and 408-late send what they should
               not 100 ms after the answer, so wait that long before the next request

   Each connection has a thread; 400 of them at most. */
#define _GNU_SOURCE                /* one set of names on every libc */
#include "listen.h"
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>

enum {
    MAX_CONNECTIONS = 400,
    PATIENCE_MS     = 60 * 1000,           /* with a silent client */
    MAX_HEAD        = 64 * 1024
};

static const int64_t max_sent = (int64_t)1 << 30;      /* nothing endless is really endless */

/* A fault is a script: bytes to send as they are, but for
   |           CR LF
   ~xHH        the byte HH
   ~A          all 256 bytes
   ~20.        wait 20 ms, with what comes before on its way
   ~[9:...~]   nine times
   ~d  ~D      from here on every byte is a packet of its own; the same, and 2 ms between them
   ~u          at the start: do not read the body of the request first
   ~s          read it now, slowly
   ~S          shut down the receiving half
   ~F          FIN, and the end of this connection
   ~R          RST, and the end
   ~H          nothing more, until the client gives up
   ~/          what follows is the script for every second request
   At its end the next request is read. When the client says something during a wait, the rest of
   the script is skipped. */
#define H      "HTTP/1.1 200 OK|"
#define LENGTH "Content-Length: 5||hello"
#define HELLO  H LENGTH
#define CHUNKS H "Transfer-Encoding: chunked||"
#define EVIL   H "Content-Length: 4||evil"
#define BUSY   "HTTP/1.1 503 Service Unavailable|Content-Length: 0|Retry-After: "
#define EVER   "1000000000"
#define FOUND  "HTTP/1.1 302 Found|Location: "
#define GO     "/chunk-trailers|"          /* says hello */
#define EMPTY  "Content-Length: 0||"

static const struct fault { const char *name, *expected, *script; } faults[] = {
    /* A: the connection */
    { "close-at-once",        "error",    "~F" },
    { "rst-at-once",          "error",    "~R" },
    { "hang-no-byte",         "deadline", "~H" },
    { "rst-mid-head",         "error",    H "Content-Le~20.~R" },
    { "fin-mid-head",         "error",    H "Content-Length: 5|~F" },
    { "fin-after-status-line", "error",   H "~F" },
    { "rst-mid-body",         "error",    H "Content-Length: 5||he~20.~R" },
    { "fin-mid-body",         "error",    H "Content-Length: 5||he~F" },
    { "rst-until-close",      "error",    H "|hello~20.~R" },
    { "ok-until-close",       "ok",       H "|hello~F" },
    { "half-close-first",     "ok",       "~S" HELLO "~F" },
    { "rst-after-complete",   "ok",       HELLO "~20.~R" },

    /* B: the head */
    { "http09",               "error",    "<html>hello</html>|~F" },
    { "empty-lines-first",    "either",   "||" HELLO },
    { "h2-preface",           "error",    "~x00~x00~x06~x04~x00~x00~x00~x00~x00"
                                          "~x00~x03~x00~x00~x00~x64" },
    { "tls-alert",            "error",    "~x15~x03~x01~x00~x02~x02~x28~F" },
    { "tls-hello",            "error",    "~x16~x03~x03~x00~x2a~x02~x00~x00~x26~x03~x03~F" },
    { "ssh-banner",           "error",    "SSH-2.0-OpenSSH_9.2|" },
    { "smtp-banner",          "error",    "220 mail.example ESMTP|" },
    { "http2-version",        "either",   "HTTP/2.0 200 OK|" LENGTH },
    { "http3-version",        "error",    "HTTP/3 200|" LENGTH },
    { "http12-version",       "either",   "HTTP/1.2 200 OK|" LENGTH },
    { "lowercase-http",       "error",    "http/1.1 200 OK|" LENGTH },
    { "icy",                  "error",    "ICY 200 OK|Content-Type: audio/mpeg||hello~F" },
    { "status-2-digits",      "error",    "HTTP/1.1 20 OK|" LENGTH },
    { "status-4-digits",      "error",    "HTTP/1.1 2000 OK|" LENGTH },
    { "status-neg",           "error",    "HTTP/1.1 -20 OK|" LENGTH },
    { "status-000",           "either",   "HTTP/1.1 000 Zero|" LENGTH },
    { "status-999",           "either",   "HTTP/1.1 999 Denied|" LENGTH },
    { "status-600",           "either",   "HTTP/1.1 600 Odd|" LENGTH },
    { "no-reason",            "ok",       "HTTP/1.1 200|" LENGTH },
    { "empty-reason",         "ok",       "HTTP/1.1 200 |" LENGTH },
    { "latin1-reason",        "ok",       "HTTP/1.1 200 Tr~xe8s bien|" LENGTH },
    { "bare-lf-head",         "either",   "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello" },
    { "bare-cr-head",         "either",   H "X-A: 1\rContent-Length: 9|" LENGTH },
    { "nul-in-value",         "either",   H "X-A: a~x00b|" LENGTH },
    { "nul-in-name",          "error",    H "X~x00A: a|" LENGTH },
    { "no-colon",             "either",   H "nonsense|" LENGTH },
    { "empty-name",           "either",   H ": nameless|" LENGTH },
    { "space-before-colon",   "either",   H "Content-Length : 5||hello" },
    { "obs-fold",             "ok",       H "X-A: one|  two|" LENGTH },
    { "fold-first",           "either",   H "  X-A: 1|" LENGTH },
    { "utf8-header",          "either",   H "X-Stra~xc3~x9fe: gr~xc3~xbcn|" LENGTH },
    { "bad-utf8-header",      "ok",       H "X-A: ~xff~xfe~xc3|" LENGTH },
    { "esc-in-header",        "either",   H "X-A: ~x1b[31mred|" LENGTH },
    { "quote-in-header",      "ok",       H "X-A: \"a\\b\", {}|" LENGTH },
    { "huge-header-line",     "error",    H "X-A: ~[67108864:a~]|" LENGTH },
    { "many-headers",         "either",   H "~[100000:X-A: b|~]" LENGTH },
    { "infinite-headers",     "error",    H "~[" EVER ":X-A: b|~]" },
    { "header-64k-ok",        "either",   H "X-A: ~[60000:a~]|" LENGTH },
    { "header-8k-ok",         "ok",       H "X-A: ~[8000:a~]|" LENGTH },
    { "drip-head",            "deadline", H "X-A: ~[" EVER ":a~300.~]" },
    { "drip-head-ok",         "ok",       "~D" HELLO },
    { "100-endless",          "error",    "~[" EVER ":HTTP/1.1 100 Continue||~]" },
    { "103-then-200",         "ok",       "HTTP/1.1 103 Early Hints|Link: </a>; rel=preload||"
                                          "HTTP/1.1 102 Processing||" HELLO },
    { "100-then-fin",         "error",    "HTTP/1.1 100 Continue||~F" },
    { "101-unasked",          "either",   "HTTP/1.1 101 Switching Protocols|Upgrade: x||hello" },
    { "100-with-body",        "either",   "HTTP/1.1 100 Continue|Content-Length: 5||" HELLO },

    /* C: where the body ends */
    { "cl-negative",          "error",    H "Content-Length: -5||hello" },
    { "cl-plus",              "error",    H "Content-Length: +5||hello" },
    { "cl-hex",               "error",    H "Content-Length: 0x5||hello" },
    { "cl-text",              "error",    H "Content-Length: five||hello" },
    { "cl-empty",             "either",   H "Content-Length: ||hello~F" },
    { "cl-space-inside",      "error",    H "Content-Length: 1 3||hello" },
    { "cl-overflow64",        "error",    H "Content-Length: 18446744073709551619||hel" },
    { "cl-overflow32",        "error",    H "Content-Length: 4294967299||hel~F" },
    { "cl-int64max",          "error",    H "Content-Length: 9223372036854775807||hel~F" },
    { "cl-conflict",          "error",    H "Content-Length: 5|Content-Length: 3||hello" },
    { "cl-conflict-list",     "error",    H "Content-Length: 5, 3||hello" },
    { "cl-dup-same",          "either",   H "Content-Length: 5|Content-Length: 5||hello" },
    { "cl-leading-zeros",     "ok",       H "Content-Length: 0000000000000000000000005||hello" },
    { "te-cl",                "either",   H "Transfer-Encoding: chunked|Content-Length: 3||"
                                          "5|hello|0||" },
    { "te-unknown",           "either",   H "Transfer-Encoding: rot13||uryyb~F" },
    { "te-gzip-chunked",      "either",   H "Transfer-Encoding: gzip, chunked||5|hello|0||" },
    { "te-chunked-not-last",  "either",   H "Transfer-Encoding: chunked, gzip||5|hello|0||~F" },
    { "te-vtab",              "either",   H "Transfer-Encoding: \vchunked||5|hello|0||~F" },
    { "te-on-http10",         "either",   "HTTP/1.0 200 OK|Transfer-Encoding: chunked||"
                                          "5|hello|0||~F" },
    { "chunk-trunc-size",     "error",    CHUNKS "5|hello|1~F" },
    { "chunk-trunc-data",     "error",    CHUNKS "5|hel~F" },
    { "chunk-no-last",        "error",    CHUNKS "5|hello|~F" },
    { "chunk-no-final-crlf",  "either",   CHUNKS "5|hello|0|~F" },
    { "chunk-bad-hex",        "error",    CHUNKS "zz|hello|0||" },
    { "chunk-neg",            "error",    CHUNKS "-5|hello|0||" },
    { "chunk-0x",             "error",    CHUNKS "0x5|hello|0||" },
    { "chunk-overflow",       "error",    CHUNKS "10000000000000003|hel|0||" },
    { "chunk-overflow2",      "error",    CHUNKS "ffffffffffffffff|hello|0||" },
    { "chunk-empty-size",     "error",    CHUNKS "|hello|0||" },
    { "chunk-data-long",      "error",    CHUNKS "3|hello|0||" },
    { "chunk-bare-lf",        "either",   CHUNKS "5\nhello\n0\n\n" },
    { "chunk-ext",            "ok",       CHUNKS "5;a=b;c=\"d;e\"|hello|0;last||" },
    { "chunk-leading-zeros",  "either",   CHUNKS "0000000000000005|hello|0000||" },
    { "chunk-upper-hex",      "ok\thellohello", CHUNKS "A|hellohello|0||" },
    { "chunk-trailers",       "ok",       CHUNKS "5|hello|0|X-Sum: 1|X-Seen: 2||" },
    { "chunk-trailer-cl",     "ok",       CHUNKS "5|hello|0|Content-Length: 99|"
                                          "Transfer-Encoding: gzip||" },
    { "head-204-body",        "status 204 noreuse", "HTTP/1.1 204 No Content|" LENGTH },
    { "head-304-cl",          "status 304", "HTTP/1.1 304 Not Modified|Content-Length: 300||" },
    { "head-205-body",        "status 205", "HTTP/1.1 205 Reset Content|Content-Length: 0||" },
    { "chunk-drip-ok",        "ok\t300",  "~d" CHUNKS "~[300:1|x|~]0||" },
    { "chunk-ext-flood",      "error",    CHUNKS "5;a=~[16777216:b~]|hello|0||" },
    { "trailer-flood",        "error",    CHUNKS "5|hello|0|~[" EVER ":X-T: 1|~]" },
    { "endless-body",         "error",    CHUNKS "~[65:100000|~[1048576:a~]|~]~H" },
    { "drip-body",            "deadline", H "Content-Length: 100000||~[" EVER ":a~300.~]" },
    { "stall-mid-body",       "deadline", H "Content-Length: 10||hello~H" },
    { "gzip-bomb",            "either",   H "Content-Encoding: gzip|Content-Length: 660460||"
                                          /* 100 MiB of zeros: 8 matches of 258 are 13 bytes */
                                          "~x1f~x8b~x08~x00~x00~x00~x00~x00~x00~x03~x63~[50803:"
                                          "~x18~x05~xa3~x60~x14~x8c~x82~x51~x30~x0a~x46~xc1~x28~]"
                                          "~x00~x00~x85~xbb~x26~x01~x31~xff~x3f~x06" },
    { "coding-identity", "ok\t25",
                                          H "Content-Encoding: identity|Content-Encoding: gzip|"
          "Content-Length: 25||"
          "~x1F~x8B~x08~x00~x00~x00~x00~x00~x02~x03~xCB~x48~xCD~xC9~xC9~x07~x00~x86~xA6"
          "~x10~x36~x05~x00~x00~x00" },
    { "coding-twice", "ok\t42",
                                          H "Content-Encoding: gzip|Content-Encoding: gzip|"
          "Content-Length: 42||"
          "~x1F~x8B~x08~x00~x00~x00~x00~x00~x02~x03~x93~xEF~xE6~x60~x00~x01~x26~xE6~xD3"
          "~x1E~x67~x4F~x9E~x64~x67~x68~x5B~x26~x60~xC6~x0A~x14~x00~x00~xA7~x6F~xB4~x45"
          "~x19~x00~x00~x00" },
    { "coding-br", "ok\t25",
                                          H "Content-Encoding: gzip|Content-Encoding: br|"
          "Content-Length: 25||"
          "~x1F~x8B~x08~x00~x00~x00~x00~x00~x02~x03~xCB~x48~xCD~xC9~xC9~x07~x00~x86~xA6"
          "~x10~x36~x05~x00~x00~x00" },
    { "gzip-corrupt",         "either",   H "Content-Encoding: gzip|Content-Length: 10||"
                                          "~x1f~x8b~x08~x00hello!" },
    { "binary-body",          "ok\t256",  H "Content-Length: 256||~A" },

    /* D: what a kept connection is worth */
    { "extra-after-cl",       "noreuse",  HELLO EVIL },
    { "extra-late",           "noreuse",  HELLO "~100." EVIL },
    { "408-late",             "noreuse",  HELLO "~100.HTTP/1.1 408 Request Timeout|"
                                          "Connection: close|Content-Length: 0||~F" },
    { "fin-after-ok",         "ok",       HELLO "~F" },
    { "conn-close-honoured",  "noreuse",  H "Connection: close|" LENGTH },
    { "conn-close-mixed",     "noreuse",  H "Connection: keep-alive, CLOSE|" LENGTH },
    { "http10-no-ka",         "noreuse",  "HTTP/1.0 200 OK|" LENGTH },
    { "stale",                "ok",       HELLO "~C" },
    { "keepalive-max1",       "ok",       H "Connection: keep-alive|Keep-Alive: timeout=0, max=0|"
                                          LENGTH "~20.~F" },

    /* E: while the request is being sent */
    { "early-413",            "status 413\t-\tPOST 8388608",
                                          "~uHTTP/1.1 413 Content Too Large|Connection: close|"
                                          LENGTH "~200.~R" },
    { "slow-read",            "ok\thello\tPOST 1048576", "~u~s" HELLO },
    { "early-401",            "status 401\t-\tPOST 8388608",
                                          "~uHTTP/1.1 401 Unauthorized|" LENGTH },
    { "early-400-small",      "status 400\t-\tPOST 524288",
                                          "~uHTTP/1.1 400 Bad Request|Connection: close|"
                                          LENGTH "~F" },
    { "early-200",            "ok\thello\tPOST 8388608", "~u" H "Connection: close|" LENGTH "~F" },
    { "unread-fin",           "error\t-\tPOST 8388608", "~u~20.~F" },
    { "unread-rst",           "error\t-\tPOST 524288", "~u~20.~R" },
    { "unread-hang",          "deadline\t-\tPOST 8388608", "~u~H" },
    { "100-late",             "ok\thello\tPOST 1048576",
                                          "~u~200.HTTP/1.1 100 Continue||~s" HELLO },
    { "100-thrice",           "ok\thello\tPOST 1048576",
                                          "~u~[3:HTTP/1.1 100 Continue||~]~s" HELLO },
    { "100-then-401",         "status 401\t-\tPOST 1048576",
                                          "~uHTTP/1.1 100 Continue||~s"
                                          "HTTP/1.1 401 Unauthorized|" LENGTH },
    { "100-never-read",       "deadline\t-\tPOST 8388608", "~uHTTP/1.1 100 Continue||~H" },
    { "417-always",           "status 417\t-\tPOST 1048576",
                                          "~uHTTP/1.1 417 Expectation Failed|Connection: close|"
                                          LENGTH "~F" },

    /* F: where to go instead, and when to come back */
    { "redir-ok",             "ok",       FOUND GO EMPTY },
    { "redir-loop",           "error",    FOUND "/redir-loop|" EMPTY },
    { "redir-no-location",    "status 302", "HTTP/1.1 302 Found|" LENGTH },
    { "redir-empty",          "either",   FOUND "|" EMPTY },
    { "redir-two",            "error",    FOUND GO "Location: /list|" EMPTY },
    { "redir-two-same",       "ok",       FOUND GO "Location: " GO EMPTY },
    { "redir-file",           "error",    FOUND "file:///etc/passwd|" EMPTY },
    { "redir-crlf",           "status 404", FOUND "/a%0d%0aX-Evil:%201|" EMPTY },
    { "redir-space",          "status 404", FOUND "/a b|" EMPTY },
    { "redir-ctl",            "error",    FOUND "/a~x01b|" EMPTY },
    { "redir-userinfo",       "error",    FOUND "http://a:b@127.0.0.1:1/|" EMPTY },
    { "redir-long",           "status 404", FOUND "/~[60000:a~]|" EMPTY },
    { "redir-too-long",       "error",    FOUND "/~[70000:a~]|" EMPTY },
    { "redir-refused",        "error",    FOUND "http://127.0.0.1:1/|" EMPTY },
    { "redir-port-0",         "error",    FOUND "http://127.0.0.1:0/|" EMPTY },
    { "redir-folded",         "either",   FOUND "|  " GO EMPTY },
    { "redir-close",          "ok",       FOUND GO "Connection: close|" EMPTY "~F" },
    { "redir-body",           "ok",       FOUND GO LENGTH },
    { "redir-large-body",     "ok",       FOUND GO "Content-Length: 9000000||~[9000000:a~]" },
    { "redir-endless-body",   "ok",       FOUND GO "Transfer-Encoding: chunked||"
                                          "~[" EVER ":1000|~[4096:a~]|~]" },
    { "redir-cut-body",       "ok",       FOUND GO "Content-Length: 100||hello~F" },
    { "redir-rst-body",       "ok",       FOUND GO "Content-Length: 100||hello~20.~R" },
    { "redir-bad-chunk",      "either",   FOUND GO "Transfer-Encoding: chunked||zz|hello|0||" },
    { "redir-surplus",        "ok",       FOUND GO EMPTY EVIL },
    { "redir-bare-lf",        "either",   "HTTP/1.1 302 Found\nLocation: /chunk-trailers\n"
                                          "Content-Length: 0\n\n" },
    { "redir-308-post",       "ok\thello\tPOST 300000", "HTTP/1.1 308 Permanent Redirect|"
                                          "Location: " GO EMPTY },
    { "redir-300",            "status 300", "HTTP/1.1 300 Multiple Choices|Location: " GO LENGTH },
    { "redir-304",            "status 304", "HTTP/1.1 304 Not Modified|Location: " GO "|" },
    { "redir-399",            "status 399", "HTTP/1.1 399 Odd|Location: " GO LENGTH },
    { "retry-after-huge",     "either",   BUSY "99999999999999999999||~/" HELLO },
    { "retry-after-neg",      "either",   BUSY "-5||~/" HELLO },
    { "retry-after-past",     "either",   BUSY "Sun, 06 Nov 1994 08:49:37 GMT||~/" HELLO },
    { "retry-after-junk",     "either",   BUSY "soon||~/" HELLO }
};

enum { NUM_FAULTS = sizeof faults / sizeof faults[0], NO_FAULT = -1 };

/* --- what all connections share ------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  one_less = PTHREAD_COND_INITIALIZER;
static int             open_connections;
static struct {
    unsigned connections, requests, era;   /* era: +1 with each reset */
    struct { unsigned requests, reused_after; } fault[NUM_FAULTS];
} seen;

/* --- connections ----------------------------------------------------------------------------- */

struct conn {
    int      fd;
    char     in[MAX_HEAD];
    size_t   in_size;
    char     out[MAX_HEAD];
    size_t   out_size;
    char     text[MAX_HEAD];       /* the head of the request, then the body of an answer */
    int64_t  sent;
    int      drip_ms;              /* -1: bytes leave together */
    bool     deaf;                 /* the body of the request is not read */
    size_t   body_left;            /* of the request, to be read */
    unsigned era;                  /* of the counters this connection was last counted in */
    int      last_fault;           /* played to its end on this connection, or NO_FAULT */
};

enum step {                        /* what a piece of a script led to */
    GO_ON,
    NEXT,                          /* the client has begun to say something else */
    OVER                           /* the connection is at its end */
};

static enum step flush(struct conn *c) {
    for (size_t at = 0; at < c->out_size;) {
        ssize_t n = send(c->fd, c->out + at, c->out_size - at, 0);
        if (n <= 0)
            return OVER;
        at += (size_t)n;
    }
    c->sent += (int64_t)c->out_size;
    c->out_size = 0;
    return c->sent < max_sent ? GO_ON : OVER;
}

/* With what is in the buffer on its way. */
static enum step pause_ms(struct conn *c, int ms) {
    char byte;
    struct pollfd p = { .fd = c->fd, .events = c->deaf ? 0 : POLLIN };
    if (flush(c) == OVER)
        return OVER;
    poll(&p, 1, ms);
    if (poll(&p, 1, 0) <= 0 || c->deaf)    /* again: on a busy machine it may be late by now */
        return GO_ON;
    return recv(c->fd, &byte, 1, MSG_PEEK) == 1 ? NEXT : OVER;
}

static enum step put(struct conn *c, char byte) {
    c->out[c->out_size++] = byte;
    if (c->drip_ms > 0)
        return pause_ms(c, c->drip_ms);
    return c->drip_ms == 0 || c->out_size == sizeof c->out ? flush(c) : GO_ON;
}

static enum step end_with_fin(struct conn *c) {
    char waste[4096];
    struct pollfd p = { .fd = c->fd, .events = POLLIN };
    if (flush(c) == GO_ON && shutdown(c->fd, SHUT_WR) == 0)
        while (poll(&p, 1, 2000) > 0 && recv(c->fd, waste, sizeof waste, 0) > 0)
            continue;              /* close() with something unread would send a RST after all */
    return OVER;
}

static enum step end_with_rst(struct conn *c) {
    struct linger none = { 1, 0 };
    if (flush(c) == GO_ON)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    return OVER;
}

/* Reads what is left of the request's body, 16 KiB and a pause at a time. */
static enum step skip_body(struct conn *c, int ms) {
    char waste[16 * 1024];
    size_t early = c->in_size < c->body_left ? c->in_size : c->body_left;
    c->in_size -= early;
    c->body_left -= early;
    memmove(c->in, c->in + early, c->in_size);
    while (c->body_left > 0) {
        size_t most = c->body_left < sizeof waste ? c->body_left : sizeof waste;
        ssize_t n = recv(c->fd, waste, most, 0);
        if (n <= 0)
            return OVER;
        c->body_left -= (size_t)n;
        if (ms > 0)
            poll(NULL, 0, ms);
    }
    c->deaf = false;
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

static char hex_byte(const char *s) {
    char digits[3] = { s[0], s[1], '\0' };
    return (char)strtol(digits, NULL, 16);
}

/* The operation at *s, which is moved behind it. */
static enum step operate(struct conn *c, const char **s) {
    enum step step = GO_ON;
    char *end;
    long ms;
    char operation = *(*s)++;
    switch (operation) {
    case 'x':
        step = put(c, hex_byte(*s));
        *s += 2;
        return step;
    case 'A':
        for (int byte = 0; byte < 256 && step == GO_ON; byte++)
            step = put(c, (char)byte);
        return step;
    case 'd': c->drip_ms = 0;           return GO_ON;
    case 'D': c->drip_ms = 2;           return GO_ON;
    case 'u': c->deaf = true;           return GO_ON;
    case 's': return skip_body(c, 20);
    case 'S': shutdown(c->fd, SHUT_RD); return GO_ON;
    case 'C': return pause_ms(c, PATIENCE_MS) == NEXT ? end_with_fin(c) : OVER;
    case 'F': return end_with_fin(c);
    case 'R': return end_with_rst(c);
    case 'H': return pause_ms(c, PATIENCE_MS) == NEXT ? NEXT : OVER;
    default:                                             /* 20. */
        ms = strtol(*s - 1, &end, 10);
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
            step = put(c, '\r');
            if (step == GO_ON)
                step = put(c, '\n');
            s++;
        } else {
            step = put(c, *s++);
        }
    }
    return step;
}

static enum step play_fault(struct conn *c, int fault, bool second_time) {
    const char *script = faults[fault].script;
    const char *end = script + strlen(script), *other = strstr(script, "~/");
    if (other != NULL && second_time)
        script = other + 2;
    else if (other != NULL)
        end = other;
    enum step step = strncmp(script, "~u", 2) == 0 ? GO_ON : skip_body(c, 0);
    if (step == GO_ON)
        step = play(c, script, end);
    if (step == GO_ON) {
        c->last_fault = fault;
        step = skip_body(c, 0);
    }
    return step == OVER ? OVER : flush(c);
}

/* --- requests -------------------------------------------------------------------------------- */

/* Returns true if this is the second, fourth, ... request for the fault. */
static bool count_request(struct conn *c, int fault) {
    bool even;
    pthread_mutex_lock(&lock);
    if (c->era != seen.era + 1) {
        c->era = seen.era + 1;
        c->last_fault = NO_FAULT;          /* what was before the reset is forgotten */
        seen.connections++;
    }
    seen.requests++;
    if (c->last_fault != NO_FAULT)
        seen.fault[c->last_fault].reused_after++;
    even = fault != NO_FAULT && ++seen.fault[fault].requests % 2 == 0;
    pthread_mutex_unlock(&lock);
    return even;
}

__attribute__((format(printf, 3, 4)))
static size_t print_at(char *text, size_t at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text + at, MAX_HEAD - at, format, args);
    va_end(args);
    return at + (size_t)n < MAX_HEAD ? at + (size_t)n : MAX_HEAD - 1;
}

static enum step answer(struct conn *c, int status, const char *text, size_t size) {
    c->out_size = print_at(c->out, 0, "HTTP/1.1 %d \r\nContent-Length: %zu\r\n\r\n", status, size);
    for (size_t i = 0; i < size; i++)
        if (put(c, text[i]) == OVER)
            return OVER;
    return flush(c);
}

static enum step answer_list(struct conn *c) {
    size_t size = 0;
    for (int i = 0; i < NUM_FAULTS; i++)
        size = print_at(c->text, size, "%s\t%s\n", faults[i].name, faults[i].expected);
    return answer(c, 200, c->text, size);
}

static enum step answer_seen(struct conn *c, bool reset) {
    char *text = c->text;
    const char *comma = "";
    pthread_mutex_lock(&lock);
    if (reset) {
        unsigned era = seen.era + 1;
        memset(&seen, 0, sizeof seen);
        seen.era = era;
    }
    size_t size = print_at(text, 0, "{\"connections\":%u,\"requests\":%u,\"faults\":{",
                           seen.connections, seen.requests);
    for (int i = 0; i < NUM_FAULTS; i++) {
        if (seen.fault[i].requests == 0)
            continue;
        size = print_at(text, size, "%s\"%s\":{\"requests\":%u,\"reused_after\":%u}", comma,
                        faults[i].name, seen.fault[i].requests, seen.fault[i].reused_after);
        comma = ",";
    }
    pthread_mutex_unlock(&lock);
    size = print_at(text, size, "}}\n");
    return answer(c, 200, text, size);
}

static int find_fault(const char *path) {
    for (int i = 0; i < NUM_FAULTS; i++)
        if (strcmp(path + 1, faults[i].name) == 0)
            return i;
    return NO_FAULT;
}

/* Reads a head, into c->text as a string; false: there is none. */
static bool read_head(struct conn *c) {
    for (;;) {
        const char *end = memmem(c->in, c->in_size, "\r\n\r\n", 4);
        if (end != NULL) {
            size_t size = (size_t)(end - c->in) + 4;
            memcpy(c->text, c->in, size);
            c->text[size - 2] = '\0';
            c->in_size -= size;
            memmove(c->in, c->in + size, c->in_size);
            return true;
        }
        if (c->in_size == sizeof c->in)
            return false;
        ssize_t n = recv(c->fd, c->in + c->in_size, sizeof c->in - c->in_size, 0);
        if (n <= 0)
            return false;
        c->in_size += (size_t)n;
    }
}

static enum step serve(struct conn *c) {
    char path[128];
    const char *length = strcasestr(c->text, "\ncontent-length:");
    c->body_left = length == NULL ? 0 : (size_t)strtoul(length + 16, NULL, 10);
    c->drip_ms = -1;
    c->deaf = false;
    if (sscanf(c->text, "%*s %127[^ ?]", path) != 1 || path[0] != '/')
        return OVER;
    bool reset = strcmp(path, "/seen/reset") == 0;
    if (reset || strcmp(path, "/seen") == 0)
        return answer_seen(c, reset);
    if (strcmp(path, "/list") == 0)
        return answer_list(c);
    int fault = find_fault(path);
    bool second_time = count_request(c, fault);
    c->last_fault = NO_FAULT;
    if (fault != NO_FAULT)
        return play_fault(c, fault, second_time);
    return skip_body(c, 0) == OVER ? OVER : answer(c, 404, "", 0);
}

static void *converse(void *argument) {
    struct conn *c = argument;
    while (read_head(c) && serve(c) != OVER)
        continue;
    close(c->fd);
    free(c);
    pthread_mutex_lock(&lock);
    open_connections--;
    pthread_cond_signal(&one_less);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void start_conversation(int fd) {
    struct timeval patience = { PATIENCE_MS / 1000, 0 };
    struct conn *c = calloc(1, sizeof *c);
    pthread_t thread;
    int on = 1;
    if (c == NULL)
        die("memory");
    c->fd = fd;
    c->last_fault = NO_FAULT;
    fcntl(fd, F_SETFL, 0);                 /* the BSDs let it inherit O_NONBLOCK */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    pthread_mutex_lock(&lock);
    while (open_connections == MAX_CONNECTIONS)
        pthread_cond_wait(&one_less, &lock);
    open_connections++;
    pthread_mutex_unlock(&lock);
    if (pthread_create(&thread, NULL, converse, c) != 0)
        die("thread");
    pthread_detach(thread);
}

int main(int argc, char **argv) {
    struct settings s = parse_arguments(argc, argv);
    int port;
    int small = 32 * 1024;                 /* inherited: or a megabyte would not be noticed */
    signal(SIGPIPE, SIG_IGN);
    struct pollfd listener = { .fd = open_listener(&s, &port), .events = POLLIN };
    setsockopt(listener.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    tell_port(&s, port);
    while (!time_to_end(&s)) {
        int fd = poll(&listener, 1, 500) > 0 ? accept(listener.fd, NULL, NULL) : -1;
        if (fd >= 0)
            start_conversation(fd);
    }
    return 0;
}

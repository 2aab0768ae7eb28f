/* The section http, the response parser: one table of responses, several ways to feed it. */
#include "../support.h"

#define SPARP__SYS_CLOCK test_clock
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

/* A row is what a server sends. If it is taken: `in` is the response, and `rest` must be left
   over. If it is refused: `in` ends with the byte at which it must be refused, no sooner and no
   later, and `rest` (what came next) must not change that. */
typedef struct http_case {
    const char *name;
    sparp__str  in, rest;
    int         status;
    const char *fields;                 /* "name: value\n" ... */
    sparp__str  body;
    int         flags;
    sparp_error error;
    int         keep_alive_s;           /* if 0: nothing was said about it */
    size_t      max_head;               /* if 0: 65536 */
} http_case;

enum {
    KEEP = 1,                           /* the connection may be used again */
    EOF_ENDS = 2,                       /* the peer's close is the end of the body */
    TO_HEAD = 4,                        /* the request was a HEAD */
    CUT = 8,                            /* `in` is not all of it, and then the peer closes */
    AT_ONCE = 16,                       /* Keep-Alive said: timeout=0 */
    TO_CONNECT = 32                     /* the request was a CONNECT */
};

#define S(text) {text, sizeof text - 1}
#define OK(name, in, rest, status, fields, body, flags) \
    {name, S(in), S(rest), status, fields, S(body), flags, SPARP_E_OK, 0, 0}
#define NO(name, in, rest) {name, S(in), S(rest), 0, "", S(""), 0, SPARP_E_PROTOCOL, 0, 0}
#define CUT_HEAD(name, in) {name, S(in), S(""), 0, "", S(""), CUT, SPARP_E_CLOSED, 0, 0}
#define CUT_BODY(name, in) {name, S(in), S(""), 0, "", S(""), CUT, SPARP_E_TRUNCATED, 0, 0}

/* A Keep-Alive field and the seconds that it means. */
#define STAYS(name, value, folded, flags, seconds) \
    {name, S(H "Keep-Alive:" value "\r\n" NONE), S(""), 200, "keep-alive: " folded "\n" NONE_F, \
     S(""), flags, SPARP_E_OK, seconds, 0}

/* With a limit of `max` bytes: just small enough, and one byte too many. */
#define FITS(name, max, in, fields, body) \
    {name, S(in), S(""), 200, fields, S(body), KEEP, SPARP_E_OK, 0, max}
#define LARGE(name, max, in, rest) \
    {name, S(in), S(rest), 0, "", S(""), 0, SPARP_E_HEAD_TOO_LARGE, 0, max}

#define X4(text)   text text text text
#define X16(text)  X4(X4(text))
#define X64(text)  X4(X16(text))
#define X256(text) X4(X64(text))

#define H      "HTTP/1.1 200 OK\r\n"
#define H10    "HTTP/1.0 200 OK\r\n"
#define NONE   "Content-Length: 0\r\n\r\n"
#define NONE_F "content-length: 0\n"
#define TE     "Transfer-Encoding: chunked\r\n\r\n"
#define TE_F   "transfer-encoding: chunked\n"
#define LAST   "0\r\n\r\n"

/* The comment beside each row is the RFC and its section. */
static const http_case cases[] = {
    /* --- status line --- */
    /* 9112 §4 */    OK("plain", H NONE, "", 200, NONE_F, "", KEEP),
    /* 9112 §4 */    OK("no-reason", "HTTP/1.1 200\r\n" NONE, "", 200, NONE_F, "", KEEP),
    /* 9112 §4 */    OK("empty-reason", "HTTP/1.1 200 \r\n" NONE, "", 200, NONE_F, "", KEEP),
    /* 9112 §4 */    OK("long-reason", "HTTP/1.1 404 Not  Here:\t\"x\"\r\n" NONE, "", 404, NONE_F,
                        "", KEEP),
    /* 9112 §4 */    OK("latin1-reason", "HTTP/1.1 200 d\xE9j\xE0\r\n" NONE, "", 200, NONE_F, "",
                        KEEP),
    /* 9112 §4 */    OK("esc-reason", "HTTP/1.1 200 \x1B[31m\r\n" NONE, "", 200, NONE_F, "", KEEP),
    /* 9110 §15 */   OK("status-299", "HTTP/1.1 299 x\r\n" NONE, "", 299, NONE_F, "", KEEP),
    /* 9110 §15 */   OK("status-500", "HTTP/1.1 500 x\r\n" NONE, "", 500, NONE_F, "", KEEP),
    /* 9110 §15 */   OK("status-600", "HTTP/1.1 600 x\r\n" NONE, "", 600, NONE_F, "", KEEP),
    /* 9110 §15 */   OK("status-999", "HTTP/1.1 999 x\r\n" NONE, "", 999, NONE_F, "", KEEP),
    /* 9110 §2.5 */  OK("http12-version", "HTTP/1.2 200 OK\r\n" NONE, "", 200, NONE_F, "", KEEP),
    /* 9110 §2.5 */  OK("http19-version", "HTTP/1.9 200 OK\r\n" NONE, "", 200, NONE_F, "", KEEP),
    /* 9112 §2.2 */  NO("empty-lines-first", "\r", "\n" H NONE),
    /* 9112 §2.2 */  NO("empty-line-first-lf", "\n", H NONE),
    /* 9112 §2.2 */  NO("blank-first", " ", H NONE),
    /* 1945 §6 */    NO("http09", "<", "html>hello</html>"),
    /* 9113 §3.4 */  NO("h2-preface", "\0", "\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64"),
    /* 5246 §7.2 */  NO("tls-alert", "\x15", "\x03\x01\0\x02\x02\x28"),
    /* 5246 §7.4 */  NO("tls-hello", "\x16", "\x03\x03\0\x4A\x02\0\0\x46"),
    /* 4253 §4.2 */  NO("ssh-banner", "S", "SH-2.0-OpenSSH_9.2\r\n"),
    /* 5321 §4.2 */  NO("smtp-banner", "2", "20 mail.example ESMTP\r\n"),
    /* 9112 §2.3 */  NO("http2-version", "HTTP/2", ".0 200 OK\r\n" NONE),
    /* 9112 §2.3 */  NO("http3-version", "HTTP/3", " 200\r\n" NONE),
    /* 9112 §2.3 */  NO("http09-version", "HTTP/0", ".9 200 OK\r\n" NONE),
    /* 9112 §2.3 */  NO("http10-two-digits", "HTTP/11", ".1 200 OK\r\n" NONE),
    /* 9112 §2.3 */  NO("http-comma", "HTTP/1,", "1 200 OK\r\n" NONE),
    /* 9112 §2.3 */  NO("lowercase-http", "h", "ttp/1.1 200 OK\r\n" NONE),
    /* 9112 §2.3 */  NO("mixed-case-http", "Ht", "tp/1.1 200 OK\r\n" NONE),
    /* 9112 §2.3 */  NO("icy", "I", "CY 200 OK\r\n\r\n"),
    /* 9112 §2.3 */  NO("rtsp", "R", "TSP/1.0 200 OK\r\n\r\n"),
    /* 9112 §2.3 */  NO("https", "HTTPS", "/1.1 200 OK\r\n\r\n"),
    /* 9112 §2.3 */  NO("minor-letter", "HTTP/1.x 200 OK\r\n", NONE),
    /* 9112 §2.3 */  NO("minor-missing", "HTTP/1. 200 OK\r\n", NONE),
    /* 9112 §2.3 */  NO("minor-two-digits", "HTTP/1.10 200 OK\r\n", NONE),
    /* 9112 §4 */    NO("version-alone", "HTTP/1.1\r\n", NONE),
    /* 9112 §4 */    NO("version-and-blank", "HTTP/1.1 \r\n", NONE),
    /* 9112 §4 */    NO("half-a-version", "HTTP/\r", "\n" NONE),
    /* 9112 §4 */    NO("seven-bytes", "HTTP/1.\n", NONE),
    /* 9112 §4 */    NO("status-1-digit", "HTTP/1.1 2\r\n", NONE),
    /* 9112 §4 */    NO("status-2-digits", "HTTP/1.1 20 OK\r\n", NONE),
    /* 9112 §4 */    NO("status-4-digits", "HTTP/1.1 2000 OK\r\n", NONE),
    /* 9112 §4 */    NO("status-neg", "HTTP/1.1 -20 OK\r\n", NONE),
    /* 9112 §4 */    NO("status-plus", "HTTP/1.1 +20 OK\r\n", NONE),
    /* 9112 §4 */    NO("status-000", "HTTP/1.1 000 OK\r\n", NONE),
    /* 9112 §4 */    NO("status-099", "HTTP/1.1 099 OK\r\n", NONE),
    /* 9112 §4 */    NO("status-hex", "HTTP/1.1 2a0 OK\r\n", NONE),
    /* 9112 §4 */    NO("status-letters", "HTTP/1.1 two OK\r\n", NONE),
    /* 9112 §4 */    NO("status-glued", "HTTP/1.1 200OK\r\n", NONE),
    /* 9112 §4 */    NO("two-blanks", "HTTP/1.1  200 OK\r\n", NONE),
    /* 9112 §4 */    NO("tab-for-blank", "HTTP/1.1\t200 OK\r\n", NONE),
    /* 9112 §4 */    NO("tab-behind-status", "HTTP/1.1 200\tOK\r\n", NONE),
    /* 9112 §4 */    NO("no-blank", "HTTP/1.1200 OK\r\n", NONE),
    /* 9112 §4 */    NO("nul-in-reason", "HTTP/1.1 200 O\0K\r\n", NONE),
    /* 9112 §2.2 */  NO("cr-in-reason", "HTTP/1.1 200 O\rK\r\n", NONE),
    /* 9112 §2.2 */  NO("cr-cr-lf", "HTTP/1.1 200 OK\r\r\n", NONE),
    /* 9112 §2.2 */  NO("cr-cr-lf-no-reason", "HTTP/1.1 200\r\r\n", NONE),
    /* 9112 §4 */    OK("reason-of-blanks", "HTTP/1.1 200  \t \r\n" NONE, "", 200, NONE_F, "",
                        KEEP),
    /* 9112 §4 */    OK("reason-of-del", "HTTP/1.1 200 \x7F\x80\r\n" NONE, "", 200, NONE_F, "",
                        KEEP),
    /* 9112 §2.2 */  OK("status-line-lf", "HTTP/1.1 200\n" NONE, "", 200, NONE_F, "", KEEP),
    /* 9110 §15 */   OK("status-451", "HTTP/1.1 451 x\r\n" NONE, "", 451, NONE_F, "", KEEP),
    /* 9112 §2.3 */  NO("version-9", "HTTP/9", ".1 200 OK\r\n" NONE),
    /* 9112 §2.3 */  NO("version-glued", "HTTP1", "/1.1 200 OK\r\n" NONE),
    /* 9112 §2.3 */  NO("http-blank-slash", "HTTP ", "/1.1 200 OK\r\n" NONE),
    /* 9112 §2.3 */  NO("lf-in-version", "HTTP\n", "/1.1 200 OK\r\n" NONE),
    /* 9112 §2.3 */  NO("cr-in-version", "HTTP/1\r", "\n.1 200 OK\r\n" NONE),
    /* 9112 §2.3 */  NO("byte-order-mark", "\xEF", "\xBB\xBF" H NONE),
    /* 9112 §4 */    NO("status-cut-short", "HTTP/1.1 20\r\n", NONE),
    /* 9112 §4 */    NO("status-fullwidth", "HTTP/1.1 \xEF\xBC\x92" "00 OK\r\n", NONE),
    /* 9112 §2.2 */  NO("cr-behind-status", "HTTP/1.1 200\rOK\r\n", NONE),
    /* 9112 §4 */    NO("nul-behind-status", "HTTP/1.1 200\0OK\r\n", NONE),
    /* 9112 §2.2 */  NO("lf-cr", "HTTP/1.1 200 OK\n\rContent-Length: 0\r\n", "\r\n"),

    /* --- field lines --- */
    /* 9110 §5.1 */  OK("names-are-folded", H "X-Abc: Def\r\nETag: \"Q\"\r\n" NONE, "", 200,
                        "x-abc: Def\netag: \"Q\"\n" NONE_F, "", KEEP),
    /* 9110 §5.6.2*/ OK("every-mark-in-a-name", H "!#$%&'*+-.^_`|~09azAZ: v\r\n" NONE, "", 200,
                        "!#$%&'*+-.^_`|~09azaz: v\n" NONE_F, "", KEEP),
    /* 9112 §5 */    OK("blanks-around-value", H "A: \t v w\t \r\nB:v\r\n" NONE, "", 200,
                        "a: v w\nb: v\n" NONE_F, "", KEEP),
    /* 9110 §5.5 */  OK("empty-values", H "A:\r\nB: \t\r\n" NONE, "", 200, "a: \nb: \n" NONE_F, "",
                        KEEP),
    /* 9110 §5.2 */  OK("duplicates-in-order", H "A: 1\r\nB: 2\r\na: 3\r\n" NONE, "", 200,
                        "a: 1\nb: 2\na: 3\n" NONE_F, "", KEEP),
    /* 9112 §5 */    OK("colons-in-value", H "A: b: c:\r\nB:: c\r\n" NONE, "", 200,
                        "a: b: c:\nb: : c\n" NONE_F, "", KEEP),
    /* 9110 §5.5 */  OK("bad-utf8-header", H "A: \xFF\xC3(\xA0\r\n" NONE, "", 200,
                        "a: \xFF\xC3(\xA0\n" NONE_F, "", KEEP),
    /* 9110 §5.5 */  OK("utf8-value", H "A: \xE2\x82\xAC\r\n" NONE, "", 200,
                        "a: \xE2\x82\xAC\n" NONE_F, "", KEEP),
    /* 9110 §5.5 */  OK("esc-in-header", H "A: \x1B[2J\x7F\x01\r\n" NONE, "", 200,
                        "a: \x1B[2J\x7F\x01\n" NONE_F, "", KEEP),
    /* 9110 §5.5 */  OK("quote-in-header", H "A: \"\\{}[],\r\n" NONE, "", 200,
                        "a: \"\\{}[],\n" NONE_F, "", KEEP),
    /* 9112 §2.2 */  OK("bare-lf-head", "HTTP/1.1 200 OK\nA: b\nContent-Length: 2\n\nok", "", 200,
                        "a: b\ncontent-length: 2\n", "ok", KEEP),
    /* 9112 §2.2 */  OK("mixed-line-ends", "HTTP/1.1 200 OK\nA: b\r\nContent-Length: 0\n\r\n", "",
                        200, "a: b\n" NONE_F, "", KEEP),
    /* 9110 §5.1 */  OK("one-letter", H "a:b\r\n" NONE, "", 200, "a: b\n" NONE_F, "", KEEP),
    /* 9112 §5 */    OK("blanks-inside-value", H "A: b  \t c\r\n" NONE, "", 200,
                        "a: b  \t c\n" NONE_F, "", KEEP),
    /* 9110 §5.5 */  OK("vtab-is-no-blank", H "A: \vb\f\r\n" NONE, "", 200,
                        "a: \vb\f\n" NONE_F, "", KEEP),
    /* 9110 §5.5 */  OK("nbsp-is-no-blank", H "A: \xA0" "b\xA0\r\n" NONE, "", 200,
                        "a: \xA0" "b\xA0\n" NONE_F, "", KEEP),
    /* 9112 §2.2 */  OK("one-lf-among-crlf", H "A: b\nC: d\r\n" NONE, "", 200,
                        "a: b\nc: d\n" NONE_F, "", KEEP),
    /* 9112 §2.2 */  OK("lf-ends-the-head", H "Content-Length: 2\r\n\nok", "", 200,
                        "content-length: 2\n", "ok", KEEP),
    /* 9112 §5.1 */  NO("no-colon", H "Nothing\r\n", NONE),
    /* 9112 §5.1 */  NO("no-colon-one-letter", H "A\r\n", NONE),
    /* 9112 §5.1 */  NO("no-colon-lf", H "Nothing\n", NONE),
    /* 9112 §5.1 */  NO("status-line-as-field", H H, NONE),
    /* 9112 §5.1 */  NO("colon-alone", H ":\r\n", NONE),
    /* 9110 §5.1 */  NO("slash-in-name", H "A/B: c\r\n", NONE),
    /* 9110 §5.1 */  NO("del-in-name", H "A\x7F: c\r\n", NONE),
    /* 9112 §2.2 */  NO("bare-cr-first", H "A:\rb\r\n", NONE),
    /* 9112 §2.2 */  NO("bare-cr-before-colon", H "A\r: b\r\n", NONE),
    /* 9112 §2.2 */  NO("bare-cr-alone", H "\r\r\n", NONE),
    /* 9112 §2.2 */  NO("bare-cr-and-a-field", H "\rA: b\r\n", NONE),
    /* 9112 §2.2 */  NO("bare-cr-for-the-end", H "Content-Length: 2\r\n\rok\r\n", ""),
    /* 9110 §5.5 */  NO("nul-alone", H "A: \0\r\n", NONE),
    /* 9110 §5.5 */  NO("nul-in-length", H "Content-Length: 2\0\r\n", "\r\nok"),
    /* 9110 §5.5 */  NO("nul-for-a-line", H "\0\r\n", NONE),
    /* 9112 §5.1 */  NO("empty-name", H ": v\r\n", NONE),
    /* 9112 §5.1 */  NO("space-before-colon", H "Content-Length : 5\r\n", "\r\nhello"),
    /* 9112 §5.1 */  NO("tab-before-colon", H "Transfer-Encoding\t: chunked\r\n", "\r\n" LAST),
    /* 9112 §5.1 */  NO("spaces-before-colon", H "Content-Length  : 5\r\n", "\r\nhello"),
    /* 9112 §5.1 */  NO("length-in-any-case", H "cOnTeNt-lengtH : 5\r\n", "\r\nhello"),
    /* 9112 §5.1 */  NO("length-with-a-blank", H "Content Length: 5\r\n", "\r\nhello"),
    /* 9112 §5.1 */  NO("length-with-a-tab", H "Content\tLength: 5\r\n", "\r\nhello"),
    /* 9112 §5.1 */  NO("length-with-both", H "Content-\t Length: 5\r\n", "\r\nhello"),
    /* 9112 §5.1 */  NO("coding-dot", H "Transfer.Encoding : chunked\r\n", NONE),
    /* 9112 §5.1 */  NO("length-digits", H "Content7+Length : 5\r\n", "\r\nhello"),
    /* 9112 §5.1 */  NO("length-underscore", H "Content_Length : 5\r\n", "\r\nhello"),
    /* 9112 §5.1 */  NO("length-underscores", H "_Content_-Length_ : 5\r\n", "\r\nhello"),
    /* 9112 §5.1 */  NO("length-of-pieces", H "Con tent Len gth: 5\r\n", "\r\nhello"),
    /* 9112 §5.1 */  NO("length-behind-a-word", H "A Content-Length: 5\r\n", "\r\nhello"),
    /* 9112 §5.1 */  NO("length-before-a-word", H "Content-Length A: 5\r\n", "\r\nhello"),
    /* 9112 §5.1 */  NO("length-again", H "Content-Content-Length : 5\r\n", "\r\nhello"),
    /* 9112 §5.1 */  NO("coding-before-colon", H "Transfer-Encoding : x\r\n", "\r\n" LAST),
    /* 9112 §5.1 */  NO("coding-with-a-blank", H "transfer encoding: chunked\r\n", "\r\n" LAST),
    /* 9112 §5.1 */  NO("coding-underscore", H "TRANSFER_ENCODING\t: chunked\r\n", "\r\n" LAST),
    /* 9112 §5.1 */  NO("coding-behind-a-word", H "X Transfer-Encoding: chunked\r\n",
                        "\r\n" LAST),
    /* 9112 §5.1 */  NO("length-beside-a-length", H "Content-Length: 5\r\n"
                        "Content-Length : 5\r\n", "\r\nhello"),
    /* 9112 §5.1 */  NO("length-in-an-interim", "HTTP/1.1 103 E\r\nContent-Length : 5\r\n",
                        "\r\n" H NONE),
    /* 9112 §5.1 */  OK("space-in-name", H "A B: c\r\n" NONE, "", 200, NONE_F, "", KEEP),
    /* 9112 §5.1 */  OK("tab-in-name", H "A\tB: c\r\n" NONE, "", 200, NONE_F, "", KEEP),
    /* 9112 §5.1 */  OK("space-behind-name", H "A : b\r\nC: d\r\n" NONE, "", 200,
                        "c: d\n" NONE_F, "", KEEP),
    /* 9112 §5.1 */  OK("space-behind-the-last", H "Content-Length: 2\r\nA \t: b\r\n\r\nok", "",
                        200, "content-length: 2\n", "ok", KEEP),
    /* 9112 §5.1 */  OK("length-in-its-value", H "Expose : Content-Length, Transfer-Encoding\r\n"
                        NONE, "", 200, NONE_F, "", KEEP),
    /* 9112 §5.1 */  OK("not-quite-framing", H "Content Lengt: 5\r\nTransfer: x\r\n"
                        "Transfer Encodin: x\r\nEncoding : x\r\n" NONE, "", 200,
                        "transfer: x\n" NONE_F, "", KEEP),
    /* 9112 §5.2 */  OK("fold-of-a-dropped-line", H "A: b\r\nC D: e\r\n f: g\r\n\th\r\nI: j\r\n"
                        " k\r\n" NONE, "", 200, "a: b\ni: j k\n" NONE_F, "", KEEP),
    /* 9112 §5.2 */  OK("fold-of-a-dropped-first", H "C D: e\r\n f\r\n" NONE, "", 200, NONE_F, "",
                        KEEP),
    /* 9112 §5.1 */  OK("dropped-in-an-interim", "HTTP/1.1 103 E\r\nA B: c\r\n\r\n" H NONE, "",
                        200, NONE_F, "", KEEP),
    /* 9112 §5.1 */  OK("dropped-close", H "Connection : close\r\n" NONE, "", 200, NONE_F, "",
                        KEEP),
    /* 9112 §5.2 */  NO("fold-behind-an-interim", "HTTP/1.1 103 E\r\nA B: c\r\n\r\n" H " d\r\n",
                        NONE),
    /* 9112 §5.2 */  NO("fold-of-a-dropped-nul", H "A B: c\r\n d\0\r\n", NONE),
    /* 9112 §5.1 */  NO("no-colon-but-blanks", H "A B c\r\n", NONE),
    /* 9112 §5.1 */  NO("dropped-nul", H "A B: c\0\r\n", NONE),
    /* 9112 §5.1 */  NO("dropped-cr", H "A B: c\rContent-Length: 5\r\n", NONE),
    /* 9112 §5.1 */  NO("blank-and-slash-in-name", H "A B/: c\r\n", NONE),
    /* 9112 §5.1 */  NO("blank-and-utf8-in-name", H "A \xC3\x84: c\r\n", NONE),
    /* 9112 §5.1 */  NO("no-break-space-in-name", H "A\xA0" "B: c\r\n", NONE),
    /* 9112 §5.1 */  NO("vtab-in-name", H "A\vB: c\r\n", NONE),
    /* 9110 §5.1 */  NO("quote-in-name", H "\"A\": c\r\n", NONE),
    /* 9110 §5.1 */  NO("comment-for-name", H "(a): c\r\n", NONE),
    /* 9110 §5.1 */  NO("utf8-name", H "\xC3\x84: c\r\n", NONE),
    /* 9110 §5.1 */  NO("nul-in-name", H "A\0B: c\r\n", NONE),
    /* 9110 §5.5 */  NO("nul-in-value", H "A: b\0c\r\n", NONE),
    /* 9112 §2.2 */  NO("bare-cr-head", H "A: b\rContent-Length: 5\r\n", "\r\nhello"),
    /* 9112 §2.2 */  NO("cr-cr-lf-in-head", H "A: b\r\r\n", NONE),
    /* 9112 §2.2 */  NO("cr-cr-lf-for-the-end", H "A: b\r\n\r\r\n", ""),
    /* 9112 §2.2 */  NO("cr-in-name", H "A\rB: c\r\n", NONE),
    /* 9112 §5.2 */  OK("obs-fold", H "A: b\r\n c\r\n" NONE, "", 200, "a: b c\n" NONE_F, "", KEEP),
    /* 9112 §5.2 */  OK("obs-fold-tabs", H "A: b \r\n\t\t c \t\r\n" NONE, "", 200,
                        "a: b c\n" NONE_F, "", KEEP),
    /* 9112 §5.2 */  OK("obs-fold-twice", H "A: b\r\n c\r\n d: e\r\nF: g\r\n" NONE, "", 200,
                        "a: b c d: e\nf: g\n" NONE_F, "", KEEP),
    /* 9112 §5.2 */  OK("obs-fold-bare-lf", H "A: b\n c\n" NONE, "", 200, "a: b c\n" NONE_F, "",
                        KEEP),
    /* 9112 §5.2 */  OK("obs-fold-of-nothing", H "A: b\r\n \t \r\n" NONE, "", 200,
                        "a: b\n" NONE_F, "", KEEP),
    /* 9112 §5 */    OK("obs-fold-behind-nothing", H "A:\r\n b\r\n" NONE, "", 200,
                        "a: b\n" NONE_F, "", KEEP),
    /* 9112 §5.2 */  OK("obs-fold-length", H "Content-Length:\r\n 2\r\n\r\nok", "", 200,
                        "content-length: 2\n", "ok", KEEP),
    /* 9112 §5.2 */  OK("obs-fold-over-a-blank-line", H "A: b\r\n \r\n\t\r\n c\r\n" NONE, "", 200,
                        "a: b c\n" NONE_F, "", KEEP),
    /* 9112 §5.2 */  OK("obs-fold-of-the-last", H "Content-Length: 2\r\nA:\r\n b\r\n\r\nok", "",
                        200,
                        "content-length: 2\na: b\n", "ok", KEEP),
    /* 9112 §5.2 */  OK("obs-fold-coding", H "Transfer-Encoding:\r\n\tchunked\r\n\r\n" LAST, "",
                        200,
                        "transfer-encoding: chunked\n", "", KEEP),
    /* 9112 §5.2 */  OK("obs-fold-close", H "Connection: x,\r\n close\r\n" NONE, "", 200,
                        "connection: x, close\n" NONE_F, "", 0),
    /* 9112 §5.2 */  OK("obs-fold-list", H "Content-Length: 2,\r\n 2\r\n\r\nok", "", 200,
                        "content-length: 2, 2\n", "ok", KEEP),
    /* 9112 §5.2 */  OK("obs-fold-hides-a-length", H "A: b\r\n Content-Length: 9\r\n" NONE, "", 200,
                        "a: b Content-Length: 9\n" NONE_F, "", KEEP),
    /* 9112 §5.2 */  NO("obs-fold-other-length", H "Content-Length: 2,\r\n 3\r\n\r\n", "ok"),
    /* 9112 §5.2 */  NO("obs-fold-in-a-number", H "Content-Length: 1\r\n 2\r\n\r\n", "ok"),
    /* 9112 §5.2 */  NO("obs-fold-in-a-coding", H "Transfer-Encoding: chun\r\n ked\r\n\r\n", LAST),
    /* 9112 §5.2 */  NO("obs-fold-nul", H "A: b\r\n \0\r\n", NONE),
    /* 9112 §5.2 */  NO("obs-fold-cr", H "A: b\r\n c\rd\r\n", NONE),
    /* 9112 §2.2 */  NO("fold-first", H " A: b\r\n", NONE),
    /* 9112 §2.2 */  NO("fold-first-tab", H "\tA: b\r\n", NONE),
    /* 9112 §2.2 */  NO("fold-first-blank", H " \r\n", NONE),
    /* 9112 §8 */    CUT_HEAD("fin-at-once", ""),
    /* 9112 §8 */    CUT_HEAD("fin-in-version", "HTT"),
    /* 9112 §8 */    CUT_HEAD("fin-after-status-line", H),
    /* 9112 §8 */    CUT_HEAD("fin-mid-head", H "Content-Length: 0\r\nA:"),
    /* 9112 §8 */    CUT_HEAD("fin-before-empty-line", H "Content-Length: 0\r\n"),
    /* 9112 §8 */    CUT_HEAD("fin-in-empty-line", H "Content-Length: 0\r\n\r"),

    /* --- interim responses --- */
    /* 9110 §15.2 */ OK("100-then-200", "HTTP/1.1 100 Continue\r\n\r\n" H NONE, "", 200, NONE_F,
                        "", KEEP),
    /* 9110 §15.2 */ OK("103-then-200", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                        "HTTP/1.1 102 Processing\r\n\r\n" H "A: b\r\n" NONE, "", 200,
                        "a: b\n" NONE_F, "", KEEP),
    /* 9110 §15.2 */ OK("199-then-404", "HTTP/1.1 199\n\nHTTP/1.1 404\n" NONE, "", 404, NONE_F, "",
                        KEEP),
    /* 9110 §15.2 */ OK("100-with-body", "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n"
                        H "Content-Length: 2\r\n\r\nok", "", 200, "content-length: 2\n", "ok",
                        KEEP),
    /* 9110 §15.2 */ OK("100-chunked", "HTTP/1.1 100 C\r\n" TE H "Content-Length: 2\r\n\r\nok", "",
                        200, "content-length: 2\n", "ok", KEEP),
    /* 9110 §15.2 */ OK("100-close", "HTTP/1.1 100 C\r\nConnection: close\r\n\r\n" H NONE, "", 200,
                        NONE_F, "", KEEP),
    /* 9110 §15.2 */ OK("100-then-http10", "HTTP/1.1 100 C\r\n\r\n" H10 NONE, "", 200, NONE_F, "",
                        0),
    /* 9110 §15.2 */ OK("100-then-204", "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 204 N\r\n\r\n", "", 204, "",
                        "", KEEP),
    /* 9110 §15.2 */ OK("100-to-head", "HTTP/1.1 100 C\r\n\r\n" H "Content-Length: 5\r\n\r\n", "",
                        200, "content-length: 5\n", "", KEEP | TO_HEAD),
    /* 9110 §15.2 */ OK("64-interim", X64("HTTP/1.1 102\n\n") H NONE, "", 200, NONE_F, "", KEEP),
    /* 9110 §15.2 */ OK("103-fields-mean-nothing", "HTTP/1.1 103 E\r\nContent-Length: x\r\n"
                        "Transfer-Encoding: foo\r\nKeep-Alive: max=0\r\n\r\n" H NONE, "", 200,
                        NONE_F, "", KEEP),
    /* 9110 §15.2 */ OK("100-of-http10", "HTTP/1.0 100 C\r\n\r\n" H NONE, "", 200, NONE_F, "",
                        KEEP),
    /* 9110 §15.2 */ OK("100-until-close", "HTTP/1.1 100 C\r\n\r\n" H "\r\nhello", "", 200, "",
                        "hello", EOF_ENDS),
    /* 9110 §15.2 */ NO("100-then-empty-line", "HTTP/1.1 100 C\r\n\r\n\r", "\n" H NONE),
    /* 9110 §15.2 */ NO("100-then-bad-status", "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 20\r\n", NONE),
    /* 9110 §15.2 */ NO("100-no-colon", "HTTP/1.1 100 C\r\n\r\n" H "x\r\n", NONE),
    /* 9110 §7.8 */  NO("101-behind-100", "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 101 S\r\n\r\n", ""),
    /* 9110 §15.2 */ NO("100-then-fold", "HTTP/1.1 103 E\r\nLink: a\r\n\r\n" H " b\r\n", NONE),
    /* 9110 §15.2 */ NO("100-then-junk", "HTTP/1.1 100 C\r\n\r\nj", "unk"),
    /* 9110 §15.2 */ NO("100-with-bad-field", "HTTP/1.1 100 C\r\nnothing\r\n", "\r\n" H NONE),
    /* 9110 §7.8 */  NO("101-unasked", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", ""),
    /* 9112 §8 */    CUT_HEAD("100-then-fin", "HTTP/1.1 100 Continue\r\n\r\n"),
    /* 9112 §8 */    CUT_HEAD("100-then-half", "HTTP/1.1 100 Continue\r\n\r\n" H "Content-Le"),

    /* --- Content-Length --- */
    /* 9112 §6.2 */  OK("length", H "Content-Length: 5\r\n\r\nhello", "", 200,
                        "content-length: 5\n", "hello", KEEP),
    /* 9112 §6.2 */  OK("length-of-binary", H "Content-Length: 5\r\n\r\n\0\r\n\xFF\0", "", 200,
                        "content-length: 5\n", "\0\r\n\xFF\0", KEEP),
    /* 9110 §8.6 */  OK("cl-leading-zeros", H "Content-Length: 0000000000000000000002\r\n\r\nok",
                        "", 200, "content-length: 0000000000000000000002\n", "ok", KEEP),
    /* 9112 §6.3 */  OK("cl-dup-same", H "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", "",
                        200, "content-length: 2\ncontent-length: 2\n", "ok", KEEP),
    /* 9112 §6.3 */  OK("cl-list-same", H "Content-Length: 2, 2,2\r\n\r\nok", "", 200,
                        "content-length: 2, 2,2\n", "ok", KEEP),
    /* 9112 §6.3 */  OK("cl-same-number", H "Content-Length: 2\r\nContent-Length: 02\r\n\r\nok", "",
                        200, "content-length: 2\ncontent-length: 02\n", "ok", KEEP),
    /* 9112 §6.3 */  OK("cl-on-http10", H10 "Content-Length: 2\r\n\r\nok", "", 200,
                        "content-length: 2\n", "ok", 0),
    /* 9112 §6.3 */  OK("extra-after-cl", H "Content-Length: 2\r\n\r\nok", "XX", 200,
                        "content-length: 2\n", "ok", KEEP),
    /* 9112 §9.3.2*/ OK("second-response", H "Content-Length: 2\r\n\r\nok", H NONE, 200,
                        "content-length: 2\n", "ok", KEEP),
    /* 9112 §6.3 */  OK("bytes-behind-nothing", H NONE, "\r\n", 200, NONE_F, "", KEEP),
    /* 9110 §15.5.9*/OK("408-behind", H NONE, "HTTP/1.1 408 T\r\n\r\n", 200, NONE_F, "", KEEP),
    /* 9110 §8.4 */  OK("gzip-is-not-undone", H "Content-Encoding: gzip\r\n"
                        "Content-Length: 2\r\n\r\n\x1F\x8B", "", 200,
                        "content-encoding: gzip\ncontent-length: 2\n", "\x1F\x8B", KEEP),
    /* 9110 §5.1 */  OK("not-quite-length", H "Content-Lengths: 9\r\nXContent-Length: 9\r\n" NONE,
                        "", 200, "content-lengths: 9\nxcontent-length: 9\n" NONE_F, "", KEEP),
    /* 9112 §5 */    OK("cl-blanks", H "Content-Length:\t 2 \t\r\n\r\nok", "", 200,
                        "content-length: 2\n", "ok", KEEP),
    /* 9112 §6.3 */  OK("cl-0-twice", H "Content-Length: 0\r\nContent-Length: 00\r\n\r\n", "x", 200,
                        "content-length: 0\ncontent-length: 00\n", "", KEEP),
    /* 9110 §8.6 */  OK("cl-of-404", "HTTP/1.1 404 N\r\nContent-Length: 2\r\n\r\nno", "", 404,
                        "content-length: 2\n", "no", KEEP),
    /* 9110 §8.6 */  NO("cl-negative", H "Content-Length: -1\r\n\r\n", "x"),
    /* 9110 §8.6 */  NO("cl-plus", H "Content-Length: +3\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-hex", H "Content-Length: 0x3\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-text", H "Content-Length: three\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-fraction", H "Content-Length: 3.0\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-quoted", H "Content-Length: \"3\"\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-empty", H "Content-Length:\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-comma", H "Content-Length: ,\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-comma-last", H "Content-Length: 30,\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-comma-blank-last", H "Content-Length: 3, \t\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-comma-first", H "Content-Length: ,3\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-comma-comma", H "Content-Length: 3,,3\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-comma-fold", H "Content-Length: 3,\r\n \r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-space-inside", H "Content-Length: 1 3\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-vtab", H "Content-Length: \v3\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-nbsp", H "Content-Length: \xA0" "3\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-tab-inside", H "Content-Length: 1\t3\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-exponent", H "Content-Length: 1e1\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-underscore", H "Content-Length: 1_0\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-semicolon", H "Content-Length: 3;4\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-other-digits", H "Content-Length: \xD9\xA3\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-minus-0", H "Content-Length: -0\r\n\r\n", ""),
    /* 9110 §8.6 */  NO("cl-overflow64", H "Content-Length: 18446744073709551619\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-overflow63", H "Content-Length: 9223372036854775808\r\n\r\n", "abc"),
    /* 9110 §8.6 */  NO("cl-endless", H "Content-Length: 999999999999999999999999999\r\n\r\n", ""),
    /* 9112 §6.3 */  NO("cl-conflict", H "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", "abcd"),
    /* 9112 §6.3 */  NO("cl-conflict-0", H "Content-Length: 0\r\nContent-Length: 4\r\n\r\n", "ab"),
    /* 9112 §6.3 */  NO("cl-conflict-list", H "Content-Length: 3, 4\r\n\r\n", "abcd"),
    /* 9112 §6.3 */  NO("cl-list-with-junk", H "Content-Length: 3, x\r\n\r\n", "abc"),
    /* 9112 §6.3 */  NO("cl-list-negative", H "Content-Length: 3, -3\r\n\r\n", "abc"),
    /* 9112 §6.3 */  NO("cl-list-overflow", H "Content-Length: 3, 18446744073709551619\r\n\r\n",
                        "a"),
    /* 9112 §6.3 */  NO("cl-third-differs", H "Content-Length: 3\r\nContent-Length: 3\r\n"
                        "Content-Length: 4\r\n\r\n", "abcd"),
    /* 9112 §6.3 */  {"cl-conflict-head", S(H "Content-Length: 3, 4\r\n\r\n"), S(""), 0, "", S(""),
                      TO_HEAD, SPARP_E_PROTOCOL, 0, 0},
    /* 9112 §6.3 */  NO("cl-and-empty-cl", H "Content-Length: 3\r\nContent-Length:\r\n\r\n", "a"),
    /* 9112 §8 */    CUT_BODY("fin-mid-body", H "Content-Length: 5\r\n\r\nhell"),
    /* 9112 §8 */    CUT_BODY("fin-before-body", H "Content-Length: 5\r\n\r\n"),
    /* 9112 §8 */    CUT_BODY("fin-last-byte", "HTTP/1.1 404 N\r\nContent-Length: 2\r\n\r\nn"),
    /* 9112 §8 */    CUT_BODY("fin-http10-body", H10 "Content-Length: 5\r\n\r\nhell"),
    /* 9112 §8 */    CUT_BODY("fin-close-body", H
                              "Connection: close\r\nContent-Length: 5\r\n\r\nhell"),
    /* 9112 §8 */    CUT_BODY("cl-overflow32", H "Content-Length: 4294967299\r\n\r\nabc"),
    /* 9112 §8 */    CUT_BODY("cl-int64max", H "Content-Length: 9223372036854775807\r\n\r\nabc"),

    /* --- Transfer-Encoding --- */
    /* 9112 §7.1 */  OK("chunked", H TE "5\r\nhello\r\n" LAST, "", 200, TE_F, "hello", KEEP),
    /* 9112 §7.1 */  OK("chunked-nothing", H TE LAST, "", 200, TE_F, "", KEEP),
    /* 9112 §7.1 */  OK("chunked-two", H TE "3\r\nhel\r\n2\r\nlo\r\n" LAST, "", 200, TE_F, "hello",
                        KEEP),
    /* 9112 §7.1 */  OK("chunked-and-more", H TE "2\r\nok\r\n" LAST, H NONE, 200, TE_F, "ok", KEEP),
    /* 9112 §7.1 */  OK("chunk-of-framing", H TE "7\r\n0\r\n\r\n\r\n\r\n" LAST, "", 200, TE_F,
                        "0\r\n\r\n\r\n", KEEP),
    /* 9112 §7.1 */  OK("chunk-upper-hex", H TE "A\r\n0123456789\r\n" LAST, "", 200, TE_F,
                        "0123456789", KEEP),
    /* 9112 §7.1 */  OK("chunk-lower-hex", H TE "0b\r\n0123456789a\r\n" LAST, "", 200, TE_F,
                        "0123456789a", KEEP),
    /* 9112 §7.1 */  OK("chunk-two-digits", H TE "10\r\n0123456789abcdef\r\n" LAST, "", 200, TE_F,
                        "0123456789abcdef", KEEP),
    /* 9112 §7.1 */  OK("chunk-leading-zeros", H TE "000000000000000000002\r\nok\r\n"
                        "00000000000000000000000000000000000\r\n\r\n", "", 200, TE_F, "ok", KEEP),
    /* 9112 §7.1 */  OK("chunk-16-digits", H TE "000000000000000A\r\n0123456789\r\n" LAST, "", 200,
                        TE_F, "0123456789", KEEP),
    /* 9112 §7.1 */  OK("chunk-zeros-end-it", H TE "000\r\n\r\n", "1\r\nx\r\n", 200, TE_F, "",
                        KEEP),
    /* 9112 §7.1 */  OK("chunk-of-binary", H TE "5\r\n\0\r\n\xFF\0\r\n" LAST, "", 200, TE_F,
                        "\0\r\n\xFF\0", KEEP),
    /* 9112 §7.1.1*/ OK("chunk-ext-empty", H TE "2;\r\nok\r\n0;\r\n\r\n", "", 200, TE_F, "ok",
                        KEEP),
    /* 9112 §7.1.1*/ OK("chunk-ext-tab", H TE "2\t;\ta\r\nok\r\n" LAST, "", 200, TE_F, "ok", KEEP),
    /* 9112 §7.1.1*/ OK("chunk-ext-semicolons", H TE "2;;;a;;\r\nok\r\n" LAST, "", 200, TE_F, "ok",
                        KEEP),
    /* 9112 §7.1.1*/ OK("chunk-ext", H TE "2;a=b;c=\"d;e\"\r\nok\r\n0;f\r\n\r\n", "", 200, TE_F,
                        "ok", KEEP),
    /* 9112 §7.1.1*/ OK("chunk-ext-blanks", H TE "2 ; a = b\r\nok\r\n0 \t\r\n\r\n", "", 200, TE_F,
                        "ok", KEEP),
    /* 9112 §7.1.1*/ OK("chunk-ext-bytes", H TE "2;\x01\xFF\r\nok\r\n" LAST, "", 200, TE_F, "ok",
                        KEEP),
    /* 9112 §7.1.2*/ OK("chunk-trailers", H TE "2\r\nok\r\n0\r\nA: b\r\nC: d\r\n\r\n", "x", 200,
                        TE_F, "ok", KEEP),
    /* 9110 §6.5.1*/ OK("chunk-trailer-cl", H TE "2\r\nok\r\n0\r\nContent-Length: 9\r\n"
                        "Connection: close\r\nTransfer-Encoding: x\r\n\r\n", "", 200, TE_F, "ok",
                        KEEP),
    /* 9112 §2.2 */  OK("chunk-trailer-lf", H TE "2\r\nok\r\n0\r\nA: b\n\n", "x", 200, TE_F, "ok",
                        KEEP),
    /* 9112 §7.1.2*/ OK("chunk-trailer-fold", H TE "0\r\nA: b\r\n c\r\n\r\n", "", 200, TE_F, "",
                        KEEP),
    /* 9112 §7.1.2*/ OK("chunk-trailer-and-more", H TE "0\r\nA: b\r\n\r\n", H NONE, 200, TE_F, "",
                        KEEP),
    /* 9112 §7 */    OK("te-blanks", H "Transfer-Encoding: \tchunked\t \r\n\r\n" LAST, "", 200,
                        TE_F,
                        "", KEEP),
    /* 9112 §6.3 */  OK("te-of-404", "HTTP/1.1 404 N\r\n" TE "2\r\nno\r\n" LAST, "", 404, TE_F,
                        "no",
                        KEEP),
    /* 9112 §7 */    OK("te-any-case", H "TRANSFER-encoding: ChunKed\r\n\r\n" LAST, "", 200,
                        "transfer-encoding: ChunKed\n", "", KEEP),
    /* 9110 §5.6.1*/ OK("te-empty-elements", H "Transfer-Encoding: , chunked ,\r\n\r\n" LAST, "",
                        200, "transfer-encoding: , chunked ,\n", "", KEEP),
    /* 9112 §6.1 */  OK("te-cl", H "Content-Length: 99\r\n" TE "2\r\nok\r\n" LAST, "", 200,
                        "content-length: 99\n" TE_F, "ok", 0),
    /* 9112 §6.1 */  OK("te-cl-shorter", H "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"
                        "2\r\nok\r\n" LAST, "", 200, TE_F "content-length: 1\n", "ok", 0),
    /* 9112 §6.1 */  OK("te-cl-0", H "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"
                        "2\r\nok\r\n" LAST, "", 200, TE_F "content-length: 0\n", "ok", 0),
    /* 9112 §6.1 */  OK("te-cl-twice", H "Content-Length: 2\r\nContent-Length: 2\r\n" TE LAST, "",
                        200,
                        "content-length: 2\ncontent-length: 2\n" TE_F, "", 0),
    /* 9112 §6.1 */  OK("te-cl-keep-alive", H "Connection: keep-alive\r\nContent-Length: 5\r\n" TE
                        LAST,
                        "", 200, "connection: keep-alive\ncontent-length: 5\n" TE_F, "", 0),
    /* 9112 §6.1 */  OK("te-cl-head", H "Content-Length: 5\r\n" TE, "", 200,
                        "content-length: 5\n" TE_F, "", TO_HEAD),
    /* 9112 §6.1 */  OK("te-cl-304", "HTTP/1.1 304 N\r\nContent-Length: 5\r\n" TE, "", 304,
                        "content-length: 5\n" TE_F, "", 0),
    /* 9112 §6.1 */  OK("te-http10-no-ka", H10 TE "2\r\nok\r\n" LAST, "", 200, TE_F, "ok", 0),
    /* 9112 §6.1 */  OK("te-on-http10", H10 "Connection: keep-alive\r\n" TE "2\r\nok\r\n" LAST, "",
                        200, "connection: keep-alive\n" TE_F, "ok", 0),
    /* 9112 §6.1 */  NO("te-and-bad-cl", H "Content-Length: x\r\n" TE, LAST),
    /* 9112 §6.1 */  NO("te-and-two-cl", H "Content-Length: 3\r\nContent-Length: 4\r\n" TE, LAST),
    /* 9112 §6.1 */  NO("te-cl-unknown", H "Content-Length: 2\r\nTransfer-Encoding: x\r\n\r\n",
                        "ok"),
    /* 9112 §6.1 */  NO("te-gzip", H "Transfer-Encoding: gzip\r\n\r\n", "\x1F\x8B"),
    /* 9112 §6.1 */  NO("te-identity-chunked", H "Transfer-Encoding: identity, chunked\r\n\r\n",
                        LAST),
    /* 9112 §6.1 */  NO("te-gzip-then-chunked", H "Transfer-Encoding: gzip\r\n" TE, LAST),
    /* 9112 §6.1 */  NO("te-chunked-then-gzip", H "Transfer-Encoding: chunked\r\n"
                        "Transfer-Encoding: gzip\r\n\r\n", LAST),
    /* 9112 §6.1 */  NO("te-unknown-204", "HTTP/1.1 204 N\r\nTransfer-Encoding: x\r\n\r\n", ""),
    /* 9112 §6.1 */  NO("te-unknown-http10", H10 "Transfer-Encoding: x\r\n\r\n", "hello"),
    /* 9112 §6.1 */  NO("te-blank-inside", H "Transfer-Encoding: chunked chunked\r\n\r\n", LAST),
    /* 9112 §6.1 */  NO("te-unknown", H "Transfer-Encoding: foo\r\n\r\n", "x"),
    /* 9112 §6.1 */  NO("te-identity", H "Transfer-Encoding: identity\r\n\r\n", "x"),
    /* 9112 §6.1 */  NO("te-empty", H "Transfer-Encoding:\r\n\r\n", "x"),
    /* 9112 §6.1 */  NO("te-commas", H "Transfer-Encoding: ,,\r\n\r\n", "x"),
    /* 9112 §6.1 */  NO("te-gzip-chunked", H "Transfer-Encoding: gzip, chunked\r\n\r\n", LAST),
    /* 9112 §6.1 */  NO("te-chunked-not-last", H "Transfer-Encoding: chunked, gzip\r\n\r\n", LAST),
    /* 9112 §6.1 */  NO("te-chunked-twice", H "Transfer-Encoding: chunked, chunked\r\n\r\n", LAST),
    /* 9112 §6.1 */  NO("te-two-lines", H "Transfer-Encoding: chunked\r\n" TE, LAST),
    /* 9112 §6.1 */  NO("te-vtab", H "Transfer-Encoding: \vchunked\r\n\r\n", LAST),
    /* 9112 §6.1 */  NO("te-parameter", H "Transfer-Encoding: chunked;q=1\r\n\r\n", LAST),
    /* 9112 §6.1 */  NO("te-quoted", H "Transfer-Encoding: \"chunked\"\r\n\r\n", LAST),
    /* 9112 §6.1 */  NO("te-xchunked", H "Transfer-Encoding: xchunked\r\n\r\n", LAST),
    /* 9112 §6.1 */  NO("te-chunkedx", H "Transfer-Encoding: chunkedx\r\n\r\n", LAST),
    /* 9112 §7.1 */  NO("chunk-bad-hex", H TE "g", "\r\n"),
    /* 9112 §7.1 */  NO("chunk-bad-hex-second", H TE "1g", "\r\n"),
    /* 9112 §7.1 */  NO("chunk-neg", H TE "-", "5\r\n"),
    /* 9112 §7.1 */  NO("chunk-plus", H TE "+", "5\r\nhello\r\n" LAST),
    /* 9112 §7.1 */  NO("chunk-0x", H TE "0x", "5\r\nhello\r\n" LAST),
    /* 9112 §7.1 */  NO("chunk-blank-first", H TE " ", "5\r\nhello\r\n" LAST),
    /* 9112 §7.1 */  NO("chunk-empty-size", H TE "\r", "\nhello\r\n" LAST),
    /* 9112 §7.1 */  NO("chunk-no-size", H TE ";", "a\r\n"),
    /* 9112 §7.1 */  NO("chunk-overflow", H TE "10000000000000003", "\r\nabc\r\n" LAST),
    /* 9112 §7.1 */  NO("chunk-overflow2", H TE "ffffffffffffffff", "\r\nabc\r\n" LAST),
    /* 9112 §7.1 */  NO("chunk-overflow63", H TE "8000000000000000", "\r\nabc\r\n" LAST),
    /* 9112 §7.1 */  NO("chunk-data-long", H TE "3\r\nhell", "o\r\n" LAST),
    /* 9112 §7.1 */  NO("chunk-data-short", H TE "5\r\nhel\r\n0", "\r\n\r\n"),
    /* 9112 §7.1 */  NO("chunk-bare-lf", H TE "5\n", "hello\n0\n\n"),
    /* 9112 §7.1 */  NO("chunk-data-bare-lf", H TE "5\r\nhello\n", LAST),
    /* 9112 §7.1 */  NO("chunk-size-bare-cr", H TE "5\rh", "ello"),
    /* 9112 §7.1 */  NO("chunk-data-bare-cr", H TE "5\r\nhello\r0", "\r\n\r\n"),
    /* 9112 §7.1 */  NO("chunk-size-cr-cr", H TE "5\r\r", "\nhello\r\n" LAST),
    /* 9112 §7.1 */  NO("chunk-data-cr-cr", H TE "5\r\nhello\r\r", "\n" LAST),
    /* 9112 §7.1 */  NO("chunk-blank-inside", H TE "1 0", "\r\n"),
    /* 9112 §7.1 */  NO("chunk-h", H TE "5h", "\r\nhello\r\n" LAST),
    /* 9112 §7.1 */  NO("chunk-comma", H TE "5,", "6\r\nhello\r\n" LAST),
    /* 9112 §7.1 */  NO("chunk-nul", H TE "5\0", "\r\nhello\r\n" LAST),
    /* 9112 §7.1 */  NO("chunk-quote", H TE "\"", "5\"\r\nhello\r\n" LAST),
    /* 9112 §7.1 */  NO("chunk-second-neg", H TE "2\r\nok\r\n-", "2\r\nok\r\n" LAST),
    /* 9112 §7.1 */  NO("chunk-second-empty", H TE "2\r\nok\r\n\r", "\n" LAST),
    /* 9112 §7.1 */  NO("chunk-second-overflow", H TE "2\r\nok\r\n8000000000000000", "\r\n"),
    /* 9112 §7.1 */  NO("chunk-last-bare-lf", H TE "0\n", "\n"),
    /* 9112 §7.1.1*/ NO("chunk-pad-lf", H TE "5 \n", "hello\r\n" LAST),
    /* 9112 §7.1.1*/ NO("chunk-ext-lf", H TE "5;a\n", "hello\r\n" LAST),
    /* 9112 §7.1.1*/ NO("chunk-ext-nul", H TE "5;a\0", "\r\nhello\r\n" LAST),
    /* 9112 §7.1.1*/ NO("chunk-ext-cr", H TE "5;a\rb", "\r\nhello\r\n" LAST),
    /* 9112 §8 */    CUT_BODY("chunk-trunc-size", H TE "5"),
    /* 9112 §8 */    CUT_BODY("chunk-nothing", H TE),
    /* 9112 §8 */    CUT_BODY("chunk-trunc-size-cr", H TE "5\r"),
    /* 9112 §8 */    CUT_BODY("chunk-trunc-ext", H TE "5;a=b"),
    /* 9112 §8 */    CUT_BODY("chunk-trunc-crlf", H TE "2\r\nok\r"),
    /* 9112 §8 */    CUT_BODY("chunk-last-cr", H TE "2\r\nok\r\n0\r"),
    /* 9112 §8 */    CUT_BODY("chunk-last-cr-lf-cr", H TE "2\r\nok\r\n0\r\n\r"),
    /* 9112 §8 */    CUT_BODY("chunk-trunc-data", H TE "5\r\nhel"),
    /* 9112 §8 */    CUT_BODY("chunk-no-last", H TE "5\r\nhello\r\n"),
    /* 9112 §8 */    CUT_BODY("chunk-no-final-crlf", H TE "5\r\nhello\r\n0\r\n"),
    /* 9112 §8 */    CUT_BODY("chunk-trunc-trailer", H TE "0\r\nA: b\r\n"),
    /* 9112 §8 */    CUT_BODY("chunk-int64max", H TE "7fffffffffffffff\r\nabc"),
    /* 9112 §8 */    CUT_BODY("te-cl-cut", H "Content-Length: 2\r\n" TE "5\r\nhe"),

    /* --- no body, or one that the close ends --- */
    /* 9112 §6.3 */  OK("ok-until-close", H "\r\nhello", "", 200, "", "hello", EOF_ENDS),
    /* 9112 §6.3 */  OK("nothing-until-close", H "\r\n", "", 200, "", "", EOF_ENDS),
    /* 9112 §6.3 */  OK("until-close-http10", H10 "A: b\r\n\r\nhello", "", 200, "a: b\n", "hello",
                        EOF_ENDS),
    /* 9112 §6.3 */  OK("until-close-not-kept", H "Connection: keep-alive\r\n\r\nhello", "", 200,
                        "connection: keep-alive\n", "hello", EOF_ENDS),
    /* 9112 §6.3 */  OK("until-close-of-responses", H "\r\n" H NONE, "", 200, "", H NONE, EOF_ENDS),
    /* 9112 §6.3 */  OK("until-close-of-chunks", H "\r\n" LAST, "", 200, "", LAST, EOF_ENDS),
    /* 9112 §6.3 */  OK("until-close-said", H "Connection: close\r\n\r\nhello", "", 200,
                        "connection: close\n", "hello", EOF_ENDS),
    /* 9112 §6.3 */  OK("until-close-404", "HTTP/1.1 404 N\r\n\r\nno", "", 404, "", "no", EOF_ENDS),
    /* 9112 §6.3 */  OK("until-close-http10-ka", H10 "Connection: keep-alive\r\n\r\nhello", "", 200,
                        "connection: keep-alive\n", "hello", EOF_ENDS),
    /* 9110 §9.3.2*/ OK("head-length", H "Content-Length: 5\r\n\r\n", "", 200,
                        "content-length: 5\n", "", KEEP | TO_HEAD),
    /* 9110 §9.3.2*/ OK("head-chunked", H TE, "", 200, TE_F, "", KEEP | TO_HEAD),
    /* 9110 §9.3.2*/ OK("head-unframed", H "\r\n", "", 200, "", "", KEEP | TO_HEAD),
    /* 9110 §9.3.2*/ OK("head-404", "HTTP/1.1 404 N\r\nContent-Length: 9\r\n\r\n", "", 404,
                        "content-length: 9\n", "", KEEP | TO_HEAD),
    /* 9110 §9.3.2*/ OK("head-with-body", H "Content-Length: 2\r\n\r\n", "ok", 200,
                        "content-length: 2\n", "", KEEP | TO_HEAD),
    /* 9110 §9.3.2*/ OK("head-int64max", H "Content-Length: 9223372036854775807\r\n\r\n", "", 200,
                        "content-length: 9223372036854775807\n", "", KEEP | TO_HEAD),
    /* 9110 §9.3.2*/ OK("head-close", H "Connection: close\r\n\r\n", "", 200,
                        "connection: close\n", "", TO_HEAD),
    /* 9110 §9.3.2*/ OK("head-http10", H10 "Content-Length: 5\r\n\r\n", "", 200,
                        "content-length: 5\n", "", TO_HEAD),
    /* 9110 §9.3.2*/ OK("head-204", "HTTP/1.1 204 N\r\n\r\n", "", 204, "", "", KEEP | TO_HEAD),
    /* 9110 §9.3.2*/ OK("head-304", "HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n", "", 304,
                        "content-length: 5\n", "", KEEP | TO_HEAD),
    /* 9112 §6.3 */  OK("204", "HTTP/1.1 204 No Content\r\n\r\n", "", 204, "", "", KEEP),
    /* 9112 §6.3 */  OK("204-length-0", "HTTP/1.1 204 N\r\n" NONE, "", 204, NONE_F, "", KEEP),
    /* 9110 §8.6 */  OK("204-body", "HTTP/1.1 204 N\r\nContent-Length: 5\r\n\r\n", "hello", 204,
                        "content-length: 5\n", "", 0),
    /* 9112 §6.1 */  OK("204-chunked", "HTTP/1.1 204 N\r\n" TE, LAST, 204, TE_F, "", 0),
    /* 9112 §6.3 */  OK("304", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", "", 304,
                        "etag: \"a\"\n", "", KEEP),
    /* 9110 §15.4.5*/OK("304-cl", "HTTP/1.1 304 N\r\nContent-Length: 300\r\n\r\n", "", 304,
                        "content-length: 300\n", "", KEEP),
    /* 9112 §6.1 */  OK("304-chunked", "HTTP/1.1 304 N\r\n" TE, "", 304, TE_F, "", KEEP),
    /* 9110 §15.3.6*/OK("205-body", "HTTP/1.1 205 R\r\nContent-Length: 2\r\n\r\nok", "", 205,
                        "content-length: 2\n", "ok", KEEP),
    /* 9110 §15.3.6*/OK("205-nothing", "HTTP/1.1 205 R\r\n" NONE, "", 205, NONE_F, "", KEEP),
    /* 9110 §15.3.6*/OK("205-chunked", "HTTP/1.1 205 R\r\n" TE LAST, "", 205, TE_F, "", KEEP),
    /* 9112 §6.3 */  OK("205-until-close", "HTTP/1.1 205 R\r\n\r\n", "", 205, "", "", EOF_ENDS),
    /* 9112 §6.3 */  OK("204-http10", "HTTP/1.0 204 N\r\n\r\n", "", 204, "", "", 0),
    /* 9112 §6.3 */  OK("204-close", "HTTP/1.1 204 N\r\nConnection: close\r\n\r\n", "", 204,
                        "connection: close\n", "", 0),
    /* 9112 §6.3 */  OK("204-and-bytes", "HTTP/1.1 204 N\r\n\r\n", "hello", 204, "", "", KEEP),
    /* 9112 §6.3 */  OK("304-and-bytes", "HTTP/1.1 304 N\r\n\r\n", "hello", 304, "", "", KEEP),
    /* 9112 §6.3 */  NO("204-bad-length", "HTTP/1.1 204 N\r\nContent-Length: -1\r\n\r\n", ""),
    /* 9112 §6.3 */  NO("304-two-lengths", "HTTP/1.1 304 N\r\nContent-Length: 1, 2\r\n\r\n", ""),

    /* --- what a proxy says to CONNECT: a 2xx has no body, whatever it says of one --- */
#define TUNNEL(name, in, rest, fields, flags) \
    /* 9110 §9.3.6 */ OK(name, in, rest, 200, fields, "", (flags) | TO_CONNECT)
    TUNNEL("tunnel", H "\r\n", "\x16\x03", "", KEEP),
    TUNNEL("tunnel-http10", H10 "\r\n", "", "", 0),
    TUNNEL("tunnel-no-reason", "HTTP/1.1 200\r\n\r\n", "", "", KEEP),
    TUNNEL("tunnel-lf", H10 "\n", "x", "", 0),
    TUNNEL("tunnel-length", H "Content-Length: 5\r\n\r\n", "hello", "content-length: 5\n", KEEP),
    TUNNEL("tunnel-bad-length", H "Content-Length: x\r\n\r\n", "", "content-length: x\n", KEEP),
    TUNNEL("tunnel-minus", H "Content-Length: -1\r\n\r\n", "", "content-length: -1\n", KEEP),
    TUNNEL("tunnel-two-lengths", H "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "ab",
           "content-length: 1\ncontent-length: 2\n", KEEP),
    TUNNEL("tunnel-no-length", H "Content-Length:\r\n\r\n", "", "content-length: \n", KEEP),
    TUNNEL("tunnel-blank", H "Content-Length : 5\r\nA: b\r\n\r\n", "", "a: b\n", KEEP),
    TUNNEL("tunnel-chunked", H TE, LAST, TE_F, KEEP),
    TUNNEL("tunnel-identity", H "Transfer-Encoding: identity\r\n\r\n", "",
           "transfer-encoding: identity\n", KEEP),
    TUNNEL("tunnel-no-coding", H "Transfer-Encoding:\r\n\r\n", "", "transfer-encoding: \n", KEEP),
    TUNNEL("tunnel-both", H "Content-Length: 5\r\n" TE, "", "content-length: 5\n" TE_F, KEEP),
    TUNNEL("tunnel-close", H "Connection: close\r\n\r\n", "", "connection: close\n", 0),
    TUNNEL("tunnel-interim", "HTTP/1.1 100 C\r\nContent-Length: x\r\n\r\n" H "\r\n", "x", "", KEEP),
    /* 9110 §9.3.6 */ OK("tunnel-201", "HTTP/1.1 201 C\r\nContent-Length: x\r\n\r\n", "", 201,
                         "content-length: x\n", "", KEEP | TO_CONNECT),
    /* 9110 §9.3.6 */ OK("tunnel-204", "HTTP/1.1 204 N\r\n\r\n", "", 204, "", "",
                         KEEP | TO_CONNECT),
    /* 9110 §9.3.6 */ OK("no-tunnel", "HTTP/1.1 407 A\r\nContent-Length: 2\r\n\r\nno", "x", 407,
                         "content-length: 2\n", "no", KEEP | TO_CONNECT),
    /* 9110 §9.3.6 */ OK("no-tunnel-300", "HTTP/1.1 300 A\r\n" TE LAST, "x", 300, TE_F, "",
                         KEEP | TO_CONNECT),
    /* 9110 §9.3.6 */ {"no-tunnel-bad-length", S("HTTP/1.1 407 A\r\nContent-Length: x\r\n\r\n"),
                       S(""), 0, "", S(""), TO_CONNECT, SPARP_E_PROTOCOL, 0, 0},
    /* 9112 §5.1 */   {"tunnel-no-colon", S(H "x\r\n"), S("\r\n"), 0, "", S(""), TO_CONNECT,
                       SPARP_E_PROTOCOL, 0, 0},

    /* --- whether the connection is kept --- */
    /* 9112 §9.3 */  OK("close", H "Connection: close\r\n" NONE, "", 200,
                        "connection: close\n" NONE_F, "", 0),
    /* 9112 §9.3 */  OK("close-any-case", H "CONNECTION: CLOSE\r\n" NONE, "", 200,
                        "connection: CLOSE\n" NONE_F, "", 0),
    /* 9112 §9.3 */  OK("conn-close-mixed", H "Connection: keep-alive, CLOSE\r\n" NONE, "", 200,
                        "connection: keep-alive, CLOSE\n" NONE_F, "", 0),
    /* 9112 §9.3 */  OK("conn-two-lines", H "Connection: close\r\nConnection: keep-alive\r\n" NONE,
                        "", 200, "connection: close\nconnection: keep-alive\n" NONE_F, "", 0),
    /* 9112 §9.3 */  OK("conn-close-in-list", H "Connection: a,,\tclose ,b\r\n" NONE, "", 200,
                        "connection: a,,\tclose ,b\n" NONE_F, "", 0),
    /* 9112 §9.3 */  OK("conn-other", H "Connection: closed, x-close\r\n" NONE, "", 200,
                        "connection: closed, x-close\n" NONE_F, "", KEEP),
    /* 9112 §9.3 */  OK("conn-empty", H "Connection:\r\n" NONE, "", 200, "connection: \n" NONE_F,
                        "", KEEP),
    /* 9112 §9.3 */  OK("close-chunked", H "Connection: close\r\n" TE LAST, "", 200,
                        "connection: close\n" TE_F, "", 0),
    /* 9112 §9.3 */  OK("http10-no-ka", H10 NONE, "", 200, NONE_F, "", 0),
    /* 9112 §9.3 */  OK("http10-ka", H10 "Connection: Keep-Alive\r\n" NONE, "", 200,
                        "connection: Keep-Alive\n" NONE_F, "", KEEP),
    /* 9112 §9.3 */  OK("http10-ka-close", H10 "Connection: keep-alive, close\r\n" NONE, "", 200,
                        "connection: keep-alive, close\n" NONE_F, "", 0),
    /* 9112 App. C*/ OK("http10-proxy", H10 "Proxy-Connection: keep-alive\r\n" NONE, "", 200,
                        "proxy-connection: keep-alive\n" NONE_F, "", 0),
    /* 2068 §19.7 */ {"http10-ka-alone", S(H10 "Keep-Alive: timeout=5\r\n" NONE), S(""), 200,
                      "keep-alive: timeout=5\n" NONE_F, S(""), 0, SPARP_E_OK, 5, 0},
    /* 9112 §9.3 */  OK("ka-on-http11", H "Connection: keep-alive\r\n" NONE, "", 200,
                        "connection: keep-alive\n" NONE_F, "", KEEP),
    /* 9112 §9.3 */  OK("close-twice", H "Connection: close, close\r\n" NONE, "", 200,
                        "connection: close, close\n" NONE_F, "", 0),
    /* 9112 §9.3 */  OK("close-quoted", H "Connection: \"close\"\r\n" NONE, "", 200,
                        "connection: \"close\"\n" NONE_F, "", KEEP),
    /* 9112 §9.3 */  OK("close-parameter", H "Connection: close;q=1\r\n" NONE, "", 200,
                        "connection: close;q=1\n" NONE_F, "", KEEP),
    /* 9112 §9.3 */  OK("close-blank-inside", H "Connection: x close\r\n" NONE, "", 200,
                        "connection: x close\n" NONE_F, "", KEEP),
    /* 9112 §9.3 */  OK("close-no-comma-behind", H "Connection: a,close\r\n" NONE, "", 200,
                        "connection: a,close\n" NONE_F, "", 0),
    /* 9112 §9.3 */  OK("close-other-field", H "Proxy-Connection: close\r\nX-Connection: close\r\n"
                        NONE,
                        "", 200, "proxy-connection: close\nx-connection: close\n" NONE_F, "", KEEP),
    /* 9112 §9.3 */  OK("upgrade-is-nothing", H "Connection: upgrade\r\nUpgrade: h2c\r\n" NONE, "",
                        200,
                        "connection: upgrade\nupgrade: h2c\n" NONE_F, "", KEEP),
    /* 9112 §9.3 */  OK("http10-ka-in-list", H10 "Connection: x,\tKEEP-alive ,y\r\n" NONE, "", 200,
                        "connection: x,\tKEEP-alive ,y\n" NONE_F, "", KEEP),
    /* 9112 §9.3 */  OK("http10-close", H10 "Connection: close\r\n" NONE, "", 200,
                        "connection: close\n" NONE_F, "", 0),
    /* 9112 §9.3 */  OK("http10-not-quite-ka", H10 "Connection: keep-alives, keepalive\r\n" NONE,
                        "", 200,
                        "connection: keep-alives, keepalive\n" NONE_F, "", 0),
    /* 9112 §9.3 */  OK("http12-close", "HTTP/1.2 200 OK\r\nConnection: close\r\n" NONE, "", 200,
                        "connection: close\n" NONE_F, "", 0),
    /* 9112 §9.3 */  OK("close-of-404", "HTTP/1.1 404 N\r\nConnection: close\r\n" NONE, "", 404,
                        "connection: close\n" NONE_F, "", 0),

    /* --- the Keep-Alive field --- */
    /* 2068 §19.7 */ STAYS("ka-timeout", " timeout=5", "timeout=5", KEEP, 5),
    /* 2068 §19.7 */ STAYS("ka-any-case", "TIMEOUT=5", "TIMEOUT=5", KEEP, 5),
    /* 2068 §19.7 */ STAYS("ka-timeout-0", " timeout=0", "timeout=0", KEEP | AT_ONCE, 0),
    /* 2068 §19.7 */ STAYS("ka-both", " timeout=15, max=100", "timeout=15, max=100", KEEP, 15),
    /* 2068 §19.7 */ STAYS("ka-other-order", " max=100,timeout=15", "max=100,timeout=15", KEEP, 15),
    /* 2068 §19.7 */ STAYS("ka-an-hour", " timeout=3600", "timeout=3600", KEEP, 3600),
    /* 2068 §19.7 */ STAYS("ka-more-than-an-hour", " timeout=3601", "timeout=3601", KEEP, 0),
    /* 2068 §19.7 */ STAYS("ka-endless", " timeout=99999999999999999999",
                           "timeout=99999999999999999999", KEEP, 0),
    /* 2068 §19.7 */ STAYS("ka-zeros", " timeout=0005", "timeout=0005", KEEP, 5),
    /* 2068 §19.7 */ STAYS("ka-last-one-counts", " timeout=5, timeout=7", "timeout=5, timeout=7",
                           KEEP,
                           7),
    /* 2068 §19.7 */ STAYS("ka-no-number", " timeout=", "timeout=", KEEP, 0),
    /* 2068 §19.7 */ STAYS("ka-neg", " timeout=-5", "timeout=-5", KEEP, 0),
    /* 2068 §19.7 */ STAYS("ka-plus", " timeout=+5", "timeout=+5", KEEP, 0),
    /* 2068 §19.7 */ STAYS("ka-unit", " timeout=5s", "timeout=5s", KEEP, 0),
    /* 2068 §19.7 */ STAYS("ka-quoted", " timeout=\"5\"", "timeout=\"5\"", KEEP, 0),
    /* 2068 §19.7 */ STAYS("ka-blanks", " timeout = 5", "timeout = 5", KEEP, 0),
    /* 2068 §19.7 */ STAYS("ka-semicolon", " timeout=5; max=9", "timeout=5; max=9", KEEP, 0),
    /* 2068 §19.7 */ STAYS("ka-number-alone", " 300", "300", KEEP, 0),
    /* 2068 §19.7 */ STAYS("ka-nothing", "", "", KEEP, 0),
    /* 2068 §19.7 */ STAYS("ka-not-quite", " xtimeout=5", "xtimeout=5", KEEP, 0),
    /* 2068 §19.7 */ STAYS("ka-max-1", " max=1", "max=1", KEEP, 0),
    /* 2068 §19.7 */ STAYS("ka-max-10", " max=10", "max=10", KEEP, 0),
    /* 2068 §19.7 */ STAYS("ka-max-0", " max=0", "max=0", 0, 0),
    /* 2068 §19.7 */ STAYS("ka-max-0-any-case", " timeout=5, MAX=0", "timeout=5, MAX=0", 0, 5),
    /* 2068 §19.7 */ STAYS("ka-two-fields", " timeout=5\r\nKeep-Alive: max=0",
                           "timeout=5\nkeep-alive: max=0", 0, 5),
    /* 9112 §9.3 */  STAYS("ka-and-close", " timeout=5\r\nConnection: close",
                           "timeout=5\nconnection: close", 0, 5),
    /* 9112 §5.2 */  STAYS("ka-folded", " timeout=5,\r\n max=0", "timeout=5, max=0", 0, 5),
    /* 2068 §19.7 */ STAYS("keepalive-max0", " timeout=0, max=0", "timeout=0, max=0", AT_ONCE, 0),

    /* --- limits: of the head (H NONE has 38 bytes), and of what is between chunks --- */
    /* 9110 §5.4 */  FITS("head-fits", 38, H NONE, NONE_F, ""),
    /* 9110 §5.4 */  LARGE("head-too-large", 37, H NONE, ""),
    /* 9110 §5.4 */  LARGE("status-line-too-large", 16, H, NONE),
    /* 9110 §5.4 */  LARGE("reason-too-large", 40, "HTTP/1.1 200 " X4("1234567"), "\r\n" NONE),
    /* 9110 §5.4 */  LARGE("name-too-large", 40, H X16("a") X4("bb"), ": c\r\n" NONE),
    /* 9110 §5.4 */  LARGE("value-too-large", 40, H "A: " X16("a") X4("b") "c", "\r\n" NONE),
    /* 9110 §5.4 */  LARGE("fold-too-large", 40, H "A: b\r\n " X16("c") "d", "\r\n" NONE),
    /* 9110 §5.4 */  LARGE("blanks-too-large", 40, H "A:" X16(" ") X4(" ") "  ", "b\r\n" NONE),
    /* 9110 §5.4 */  FITS("interim-counts", 65, "HTTP/1.1 103 E\r\nLink: a\r\n\r\n" H NONE, NONE_F,
                          ""),
    /* 9110 §5.4 */  LARGE("interim-counts-too", 64, "HTTP/1.1 103 E\r\nLink: a\r\n\r\n" H NONE,
                           ""),
    /* 9110 §5.4 */  FITS("256-fields", 0, H X64("a:\nb:\nc:\n") X16("a:\nb:\nc:\n")
                          X4("a:\nb:\nc:\n")
                          "a:\nb:\nc:\n" NONE, X64("a: \nb: \nc: \n") X16("a: \nb: \nc: \n")
                          X4("a: \nb: \nc: \n") "a: \nb: \nc: \n" NONE_F, ""),
    /* 9110 §5.4 */  LARGE("257-fields", 0, H X256("a:\n") "b:\n", NONE),
    /* 9112 §5.2 */  FITS("256-folds", 0, H "A: b\r\n" X256(" \n") NONE, "a: b\n" NONE_F, ""),
    /* 9112 §7.1.1*/ FITS("ext-fits", 60, H TE "1;" X16("abc") X4("de") "f\r\nx\r\n" LAST, TE_F,
                          "x"),
    /* 9112 §7.1.1*/ LARGE("ext-too-large", 60, H TE "1;" X16("abc") X4("def") "g", "\r\nx\r\n"
                           LAST),
    /* 9112 §7.1.1*/ LARGE("ext-crlf-counts", 60, H TE "1;" X16("abc") X4("def") "\r", "\nx\r\n"
                           LAST),
    /* 9112 §7.1.1*/ LARGE("exts-add-up", 60, H TE X4("1;abcdefghijklmn\r\nx\r\n") "1;a",
                           "\r\nx\r\n"),
    /* 9112 §7.1.1*/ LARGE("last-ext-too-large", 60, H TE "0;" X16("abc") X4("def") "g",
                           "\r\n\r\n"),
    /* 9112 §7.1 */  LARGE("chunk-blanks-too-large", 60, H TE "1" X16("   ") X4("   ") " ",
                           "\r\nx\r\n"),
    /* 9112 §7.1 */  LARGE("chunk-zeros-too-large", 60, H TE X64("0") X4("000") "0", "1\r\nx\r\n"),
    /* 9112 §7.1.2*/ FITS("trailer-fits", 60, H TE "0\r\nA: " X16("abc") X4("d") "e\r\n\r\n", TE_F,
                          ""),
    /* 9112 §7.1.2*/ LARGE("trailer-too-large", 60, H TE "0\r\nA: " X16("abc") X4("d") "ef\r\n\r\n",
                           ""),
    /* 9112 §7.1.2*/ LARGE("trailers-add-up", 60, H TE "0\r\n" X4("A: bcdefghijk\r\n") "C",
                           ": d\r\n\r\n"),
    /* 9112 §7.1.2*/ LARGE("ext-and-trailer", 60, H TE "0;" X16("ab") "\r\nA: " X16("b") X4("c")
                           "defgh",
                           "\r\n\r\n"),
};

/* --- one parser, one response at a time ------------------------------------------------------- */

#define BODY_MAX 200000

static sparp__env env;
static test_memory memory;
static test_guard guard;
static sparp__http http;
static size_t eaten;                    /* bytes of the response so far */
static bool head_seen;
static char body[BODY_MAX];
static size_t body_size;

static int begin(void **state) {
    memset(&env, 0, sizeof env);
    memset(&memory, 0, sizeof memory);
    memset(&http, 0, sizeof http);
    env.allocator.func = test_memory_func;
    env.allocator.user_data = &memory;
    guard = test_guard_make(BODY_MAX);
    return test_setup(state);
}

static int end(void **state) {
    sparp__http_free(&env, &http);
    assert_true(test_memory_clean(&memory));
    test_guard_free(&guard);
    return test_teardown(state);
}

static void start(bool to_head, size_t max_head) {
    sparp__http_start(&env, &http, to_head, max_head);
    eaten = body_size = 0;
    head_seen = false;
}

/* Feeds one slice up to the event that ends it; the slice is gone afterwards. */
static sparp__http_event feed(const char *data, size_t size) {
    const char *copy = test_guard_put(&guard, data, size);
    sparp__str in = sparp__str_make(copy, size), piece = {NULL, 0};
    sparp__http_event event;
    do {
        event = sparp__http_feed(&env, &http, &in, &piece);
        assert_int_not_equal(event, SPARP__HTTP_GO_ON);
        assert_ptr_equal(in.data + in.size, copy + size);
        if (event == SPARP__HTTP_HEAD) {
            assert_false(head_seen);
            assert_int_equal(http.head_bytes, eaten + size - in.size);
            head_seen = true;
        } else if (event == SPARP__HTTP_PIECE) {
            assert_true(head_seen && piece.size > 0);
            assert_ptr_equal(piece.data + piece.size, in.data);
            assert_true(piece.data >= copy && body_size + piece.size <= sizeof body);
            memcpy(body + body_size, piece.data, piece.size);
            body_size += piece.size;
        }
    } while (event == SPARP__HTTP_HEAD || event == SPARP__HTTP_PIECE);
    assert_true(event != SPARP__HTTP_MORE || in.size == 0);
    eaten += size - in.size;
    test_guard_spoil(&guard, size);
    return event;
}

/* In slices of `step` bytes, until something else than MORE. */
static sparp__http_event feed_in_steps(const char *data, size_t size, size_t step) {
    sparp__http_event event = SPARP__HTTP_MORE;
    for (size_t at = 0; at < size && event == SPARP__HTTP_MORE; at += step)
        event = feed(data + at, size - at < step ? size - at : step);
    return event;
}

static void check_fields(const http_case *c) {
    char text[4096];
    size_t n = 0;
    for (size_t i = 0; i < http.num_fields; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s: %s\n", http.fields[i].name,
                              http.fields[i].value);
    CHECK(n == strlen(c->fields) && memcmp(text, c->fields, n) == 0, "%s: %.*s", c->name, (int)n,
          text);
}

static void check_taken(const http_case *c) {
    CHECK(head_seen, "%s", c->name);
    CHECK(eaten == c->in.size, "%s: %u bytes eaten", c->name, (unsigned)eaten);
    CHECK(http.status == c->status, "%s: %d", c->name, http.status);
    check_fields(c);
    CHECK(body_size == c->body.size && memcmp(body, c->body.data, body_size) == 0, "%s: %.*s",
          c->name, (int)body_size, body);
    CHECK(http.keep_alive == ((c->flags & KEEP) != 0), "%s", c->name);
    int seconds = c->keep_alive_s > 0 || (c->flags & AT_ONCE) != 0 ? c->keep_alive_s : -1;
    CHECK(http.keep_alive_s == seconds, "%s: %d s", c->name, http.keep_alive_s);
    CHECK(http.fault.error == SPARP_E_OK, "%s: %s", c->name, http.fault.detail);
}

/* `event` is what came of all the bytes of the row. */
static void check_end(const http_case *c, sparp__http_event event) {
    if (c->flags & (CUT | EOF_ENDS)) {
        CHECK(event == SPARP__HTTP_MORE, "%s: event %d", c->name, event);
        event = sparp__http_feed_eof(&http);
    }
    CHECK(http.fault.error == c->error, "%s: %d %s", c->name, http.fault.error, http.fault.detail);
    if (c->error == SPARP_E_OK) {
        CHECK(event == SPARP__HTTP_COMPLETE, "%s: event %d", c->name, event);
        check_taken(c);
    } else {
        CHECK(event == SPARP__HTTP_FAILED, "%s: event %d", c->name, event);
        CHECK(http.fault.detail[0] != '\0', "%s", c->name);
    }
    /* and there it stays, whatever comes next */
    size_t before = eaten;
    CHECK(feed("HTTP/1.1", 8) == event && eaten == before, "%s", c->name);
    CHECK(sparp__http_feed_eof(&http) == event, "%s", c->name);
    CHECK(http.fault.error == c->error, "%s", c->name);
}

/* --- the runners ------------------------------------------------------------------------------ */

/* `in` and `rest`, one behind the other. */
static size_t join(const http_case *c, char *out) {
    memcpy(out, c->in.data, c->in.size);
    memcpy(out + c->in.size, c->rest.data, c->rest.size);
    return c->in.size + c->rest.size;
}

static void start_case(const http_case *c) {
    start((c->flags & TO_HEAD) != 0, c->max_head > 0 ? c->max_head : 65536);
    http.is_connect_request = (c->flags & TO_CONNECT) != 0;
}

static void test_at_once(void **state) {
    (void)state;
    char all[4096];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t size = join(&cases[i], all);
        start_case(&cases[i]);
        check_end(&cases[i], feed(all, size));
    }
}

static void test_byte_by_byte(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const http_case *c = &cases[i];
        sparp__http_event event = SPARP__HTTP_MORE;
        start_case(c);
        for (size_t at = 0; at < c->in.size; at++) {
            CHECK(event == SPARP__HTTP_MORE, "%s: event %d at byte %u", c->name, event,
                  (unsigned)at);
            event = feed(c->in.data + at, 1);
        }
        check_end(c, event);
    }
}

static void test_every_split(void **state) {
    (void)state;
    char all[4096];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t size = join(&cases[i], all);
        for (size_t at = 1; at < size; at++) {
            start_case(&cases[i]);
            sparp__http_event event = feed(all, at);
            if (event == SPARP__HTTP_MORE)
                event = feed(all + at, size - at);
            check_end(&cases[i], event);
        }
    }
}

static void test_steps(void **state) {
    (void)state;
    char all[4096];
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t step = 2; step < 20; step++) {
            size_t size = join(&cases[i], all);
            start_case(&cases[i]);
            check_end(&cases[i], feed_in_steps(all, size, step));
        }
}

/* Slices of any size, most of them small; the dice fall the same way every time. */
static void test_random_splits(void **state) {
    (void)state;
    char all[4096];
    uint64_t dice = 1;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (int round = 0; round < 100; round++) {
            size_t size = join(&cases[i], all);
            sparp__http_event event = SPARP__HTTP_MORE;
            start_case(&cases[i]);
            for (size_t at = 0, n; at < size && event == SPARP__HTTP_MORE; at += n) {
                n = 1 + (size_t)(test_random(&dice) % (UINT64_C(1) << test_random(&dice) % 8));
                n = n < size - at ? n : size - at;
                event = feed(all + at, n);
            }
            check_end(&cases[i], event);
        }
}

/* No strict prefix is complete, nor wrong; and if the peer closes there, it was too early. */
static void test_every_prefix(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const http_case *c = &cases[i];
        for (size_t size = 0; size < c->in.size; size++) {
            start_case(c);
            sparp__http_event event = feed(c->in.data, size);
            CHECK(event == SPARP__HTTP_MORE, "%s: event %d after %u bytes: %s", c->name, event,
                  (unsigned)size, http.fault.detail);
            event = sparp__http_feed_eof(&http);
            if (head_seen && (c->flags & EOF_ENDS)) {
                CHECK(event == SPARP__HTTP_COMPLETE && http.fault.error == SPARP_E_OK, "%s",
                      c->name);
                CHECK(memcmp(body, c->body.data, body_size) == 0, "%s", c->name);
                continue;
            }
            CHECK(event == SPARP__HTTP_FAILED, "%s: event %d after %u bytes", c->name, event,
                  (unsigned)size);
            CHECK(http.fault.error == (head_seen ? SPARP_E_TRUNCATED : SPARP_E_CLOSED),
                  "%s: %d after %u bytes", c->name, http.fault.error, (unsigned)size);
        }
    }
}

/* A new parser for each row: nothing of the row before helps, nothing is left behind. */
static void test_alone(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const http_case *c = &cases[i];
        sparp__http_free(&env, &http);
        assert_true(test_memory_clean(&memory));
        start_case(c);
        check_end(c, feed_in_steps(c->in.data, c->in.size, 3));
    }
}

/* Two kept responses in one stream: what is left of the first is the second. */
static void test_pipeline(void **state) {
    (void)state;
    char all[4096];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const http_case *c = &cases[i];
        size_t first = sizeof H NONE - 1;
        memcpy(all, H NONE, first);
        memcpy(all + first, c->in.data, c->in.size);
        start(false, 65536);
        CHECK(feed(all, first + c->in.size) == SPARP__HTTP_COMPLETE, "%s", c->name);
        CHECK(eaten == first, "%s", c->name);
        start_case(c);
        check_end(c, feed(all + first, c->in.size));
    }
}

/* --- every byte in every place ---------------------------------------------------------------- */

/* What comes of `text` with its '@' replaced, byte by byte and at once alike. */
static sparp__http_event with_byte(const char *text, int byte) {
    char all[256];
    size_t size = strlen(text);
    memcpy(all, text, size + 1);
    *strchr(all, '@') = (char)byte;
    start(false, 65536);
    sparp__http_event slowly = feed_in_steps(all, size, 1);
    start(false, 65536);
    sparp__http_event at_once = feed(all, size);
    assert_int_equal(slowly, at_once);
    return at_once;
}

static bool is_token(int byte) {
    return byte != 0 && strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ", byte) != NULL;
}

static void test_11_name_bytes(void **state) {
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        bool ok = with_byte(H "X@Y: v\r\n" NONE, byte) == SPARP__HTTP_COMPLETE;
        bool blank = byte == ' ' || byte == '\t';        /* drops the line */
        char name[] = {'x', sparp__ascii_lower((char)byte), 'y', '\0'};
        CHECK(ok == (is_token(byte) || byte == ':' || blank), "byte %d", byte);
        if (ok && blank)
            CHECK(http.num_fields == 1, "byte %d", byte);
        else if (ok && byte == ':')
            assert_string_equal(http.fields[0].value, "Y: v");
        else if (ok)
            CHECK(strcmp(http.fields[0].name, name) == 0, "byte %d", byte);
        ok = with_byte(H "A: b\r\n@X: v\r\n" NONE, byte) == SPARP__HTTP_COMPLETE;
        CHECK(ok == (is_token(byte) || blank), "byte %d first", byte);
        ok = with_byte(H "X@: v\r\n" NONE, byte) == SPARP__HTTP_COMPLETE;
        CHECK(ok == (is_token(byte) || byte == ':' || blank), "byte %d last", byte);
        CHECK(!ok || http.num_fields == (blank ? 1 : 2), "byte %d last", byte);
    }
}

static sparp__http_event feed_lines(const char *line, size_t count, size_t step) {
    sparp__http_event event = SPARP__HTTP_MORE;
    for (size_t i = 0; i < count && event == SPARP__HTTP_MORE; i++)
        event = feed_in_steps(line, strlen(line), step);
    return event;
}

static size_t num_logs;
static char last_log[512];

static void remember_log(sparp_log_level level, const char *message, void *user_data) {
    (void)user_data;
    assert_int_equal(level, SPARP_LOG_INFO);
    num_logs++;
    snprintf(last_log, sizeof last_log, "%s", message);
}

/* What is dropped is said, once, with its name and not with its value. */
static void test_11_dropped_lines_are_logged(void **state) {
    (void)state;
    static const char head[] = H "X-Token Key : secret\r\n more secret\r\nA: b\r\n" NONE;
    env.logger.func = remember_log;
    env.logger.max_level = SPARP_LOG_INFO;
    for (size_t step = 1; step < sizeof head; step = step * 3 + 1) {
        num_logs = 0;
        start(false, 65536);
        assert_int_equal(feed_in_steps(head, sizeof head - 1, step), SPARP__HTTP_COMPLETE);
        assert_int_equal(num_logs, 1);
        assert_non_null(strstr(last_log, "\"X-Token Key \""));
        assert_null(strstr(last_log, "secret"));
    }
    start(false, 65536);                                /* a long name is shown in part */
    assert_int_equal(feed_lines(H "A " X256("b") ": c\r\n" NONE, 1, 1), SPARP__HTTP_COMPLETE);
    assert_true(strlen(last_log) < 120);
    memset(&env.logger, 0, sizeof env.logger);
}

static void test_value_bytes(void **state) {
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        bool blank = byte == ' ' || byte == '\t';
        bool good = byte != '\0' && byte != '\r' && byte != '\n';
        char inside[] = {'v', (char)byte, 'w', '\0'};
        bool ok = with_byte(H "X: v@w\r\n" NONE, byte) == SPARP__HTTP_COMPLETE;
        CHECK(ok == good, "byte %d", byte);
        CHECK(!ok || strcmp(http.fields[0].value, inside) == 0, "byte %d", byte);
        ok = with_byte(H "X:@w\r\n" NONE, byte) == SPARP__HTTP_COMPLETE;
        CHECK(ok == good, "byte %d first", byte);
        CHECK(!ok || strcmp(http.fields[0].value, blank ? "w" : inside + 1) == 0, "byte %d first",
              byte);
        inside[2] = '\0';
        ok = with_byte(H "X: v@\r\nY: z\r\n" NONE, byte) == SPARP__HTTP_COMPLETE;
        CHECK(ok == good, "byte %d last", byte);
        CHECK(!ok || strcmp(http.fields[0].value, blank ? "v" : inside) == 0, "byte %d last", byte);
    }
}

static void test_reason_bytes(void **state) {
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        bool good = byte != '\0' && byte != '\r' && byte != '\n';
        bool ok = with_byte("HTTP/1.1 200 O@K\r\n" NONE, byte) == SPARP__HTTP_COMPLETE;
        CHECK(ok == good, "byte %d", byte);
        ok = with_byte("HTTP/1.1 20@ OK\r\n" NONE, byte) == SPARP__HTTP_COMPLETE;
        CHECK(ok == (byte >= '0' && byte <= '9'), "status byte %d", byte);
        ok = with_byte("HTTP/1.@ 299 OK\r\n" NONE, byte) == SPARP__HTTP_COMPLETE;
        CHECK(ok == (byte >= '0' && byte <= '9'), "version byte %d", byte);
    }
}

static void test_chunk_bytes(void **state) {
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        bool hex = byte != 0 && strchr("0123456789abcdefABCDEF", byte) != NULL;
        bool ext = byte == ';' || byte == ' ' || byte == '\t';
        bool ok = with_byte(H TE "@", byte) == SPARP__HTTP_MORE;
        CHECK(ok == hex, "first byte %d", byte);
        ok = with_byte(H TE "1@", byte) == SPARP__HTTP_MORE;
        CHECK(ok == (hex || ext || byte == '\r'), "second byte %d", byte);
        ok = with_byte(H TE "1;@", byte) == SPARP__HTTP_MORE;
        CHECK(ok == (byte != '\0' && byte != '\n'), "extension byte %d", byte);
        ok = with_byte(H TE "1\r\n@\r\n" LAST, byte) == SPARP__HTTP_COMPLETE;
        CHECK(ok && body_size == 1 && body[0] == (char)byte, "data byte %d", byte);
        ok = with_byte(H TE "1\r\nx@", byte) == SPARP__HTTP_MORE;
        CHECK(ok == (byte == '\r'), "byte %d behind the data", byte);
        ok = with_byte(H TE "1\r\nx\r@", byte) == SPARP__HTTP_MORE;
        CHECK(ok == (byte == '\n'), "byte %d at the end", byte);
    }
}

/* All byte values in a body, in the three framings. */
static void test_binary_body(void **state) {
    (void)state;
    static const struct {
        const char *head, *tail;
        sparp__http_event event;
    } framings[] = {
        {H "Content-Length: 256\r\n\r\n", "", SPARP__HTTP_COMPLETE},
        {H TE "100\r\n", "\r\n" LAST, SPARP__HTTP_COMPLETE},
        {H "\r\n", "", SPARP__HTTP_MORE},
    };
    for (size_t i = 0; i < COUNT_OF(framings); i++) {
        char all[1024];
        size_t head = strlen(framings[i].head), tail = strlen(framings[i].tail);
        memcpy(all, framings[i].head, head);
        for (int byte = 0; byte < 256; byte++)
            all[head + (size_t)byte] = (char)byte;
        memcpy(all + head + 256, framings[i].tail, tail);
        for (size_t step = 1; step < head + 256 + tail + 30; step += 29) {
            start(false, 65536);
            assert_int_equal(feed_in_steps(all, head + 256 + tail, step), framings[i].event);
            assert_int_equal(body_size, 256);
            assert_memory_equal(body, all + head, 256);
        }
    }
}

/* --- limits ----------------------------------------------------------------------------------- */

/* Heads without their last CRLF, to be filled up with 'x' to a given size. */
static const char *const stretched[] = {
    "HTTP/1.1 200 ",                                             /* the reason */
    H "X: ",                                                     /* a value */
    H "Content-Length: 3\r\nX: ",
    H "A: b\r\n x",                                              /* a folded value */
    "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" H "X: ",       /* 1xx counts too */
    "HTTP/1.1 200 OK\nA: b\nX: ",
};

static size_t stretch(const char *prefix, size_t size, char *out) {
    size_t n = strlen(prefix);
    memcpy(out, prefix, n);
    memset(out + n, 'x', size - n - 4);
    memcpy(out + size - 4, "\r\n\r\n", 4);
    return size;
}

/* A head of exactly max_head bytes is taken; of one byte more it is refused at that byte. */
static void test_max_head(void **state) {
    (void)state;
    static const size_t limits[] = {90, 1000, 65536};
    static char all[65540];
    for (size_t i = 0; i < COUNT_OF(stretched); i++)
        for (size_t k = 0; k < COUNT_OF(limits); k++)
            for (size_t step = 1; step <= 65537; step = step * 6 + 1) {
                size_t max = limits[k], size = stretch(stretched[i], max, all);
                start(true, max);
                CHECK(feed_in_steps(all, size, step) == SPARP__HTTP_COMPLETE, "%s: %s",
                      stretched[i], http.fault.detail);
                size = stretch(stretched[i], max + 1, all);
                start(true, max);
                CHECK(feed_in_steps(all, size, step) == SPARP__HTTP_FAILED, "%s", stretched[i]);
                CHECK(http.fault.error == SPARP_E_HEAD_TOO_LARGE, "%s", stretched[i]);
                start(true, max);
                CHECK(feed_in_steps(all, max, step) == SPARP__HTTP_MORE, "%s", stretched[i]);
            }
}

/* A line without an end is refused at the limit, not collected: memory stays bounded. */
static void test_endless_line(void **state) {
    (void)state;
    static char junk[4096];
    memset(junk, 'x', sizeof junk);
    start(false, 65536);
    sparp__http_event event = feed(H "X: ", sizeof H "X: " - 1);
    size_t sent = 0;
    for (; event == SPARP__HTTP_MORE; sent += sizeof junk)
        event = feed(junk, sizeof junk);
    assert_int_equal(event, SPARP__HTTP_FAILED);
    assert_int_equal(http.fault.error, SPARP_E_HEAD_TOO_LARGE);
    assert_int_equal(sent, 65536);
    assert_true(memory.bytes <= 2 * 65536 + 65536);
}

static void test_max_fields(void **state) {
    (void)state;
    for (size_t step = 1; step < 10; step += 4) {
        start(false, 65536);
        assert_int_equal(feed_lines(H, 1, step), SPARP__HTTP_MORE);
        assert_int_equal(feed_lines("X: y\r\n", 255, step), SPARP__HTTP_MORE);
        assert_int_equal(feed_lines(NONE, 1, step), SPARP__HTTP_COMPLETE);
        assert_int_equal(http.num_fields, 256);
        assert_string_equal(http.fields[254].value, "y");
        assert_string_equal(http.fields[255].name, "content-length");
        start(false, 65536);
        assert_int_equal(feed_lines(H, 1, step), SPARP__HTTP_MORE);
        assert_int_equal(feed_lines("X: y\r\n", 256, step), SPARP__HTTP_MORE);
        assert_int_equal(feed_lines("X: y\r\n", 1, step), SPARP__HTTP_FAILED);
        assert_int_equal(http.fault.error, SPARP_E_HEAD_TOO_LARGE);
    }
    start(false, 100);                                   /* for ever: the bytes end it first */
    assert_int_equal(feed_lines(H, 1, 1), SPARP__HTTP_MORE);
    assert_int_equal(feed_lines("X: y\r\n", 100000, 6), SPARP__HTTP_FAILED);
    assert_int_equal(eaten, sizeof H - 1 + 13 * 6);
}

/* Their bytes count, all together with the head's, and nothing else does. */
static void test_max_interim(void **state) {
    (void)state;
    static const char interim[] = "HTTP/1.1 102 Processing\r\n\r\n";
    const size_t size = sizeof interim - 1, fit = (65536 - (sizeof H NONE - 1)) / size;
    for (size_t step = 1; step < 100; step = step * 6 + 1) {
        start(false, 65536);
        assert_int_equal(feed_lines(interim, fit, step), SPARP__HTTP_MORE);
        assert_int_equal(feed_lines(H NONE, 1, step), SPARP__HTTP_COMPLETE);
        assert_int_equal(http.status, 200);
        assert_int_equal(http.num_fields, 1);
        start(false, 65536);
        assert_int_equal(feed_lines(interim, 100000, step), SPARP__HTTP_FAILED);
        assert_int_equal(http.fault.error, SPARP_E_HEAD_TOO_LARGE);
        assert_in_range(eaten, 65536 - 100, 65536);
        assert_true(memory.bytes < 4096);
    }
    /* 256 fields are a limit for each head */
    start(false, 65536);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(feed_lines("HTTP/1.1 103 E\r\n", 1, 5), SPARP__HTTP_MORE);
        assert_int_equal(feed_lines("A: b\r\n", 256, 5), SPARP__HTTP_MORE);
        assert_int_equal(feed_lines("\r\n", 1, 5), SPARP__HTTP_MORE);
    }
    assert_int_equal(feed_lines(H NONE, 1, 5), SPARP__HTTP_COMPLETE);
}

/* What is between the data of chunks has the limit of the head, all of it together. */
static void test_chunk_overhead(void **state) {
    (void)state;
    static const struct {
        const char *name, *before, *flood;
        size_t free_bytes;              /* this much of the flood costs nothing */
    } floods[] = {
        {"extension", H TE "1;", "x", 0},
        {"blanks", H TE "1", " ", 0},
        {"zeros", H TE, "0", 16},
        {"trailer", H TE "0\r\n", "x", 0},
        {"last extension", H TE "0;", "x", 0},
    };
    for (size_t i = 0; i < COUNT_OF(floods); i++)
        for (size_t max = 100; max <= 65536; max = max * 25 + 1) {
            size_t n = max + floods[i].free_bytes;
            start(false, max);
            assert_int_equal(feed_lines(floods[i].before, 1, 50), SPARP__HTTP_MORE);
            CHECK(feed_lines(floods[i].flood, n, 1) == SPARP__HTTP_MORE, "%s of %u: %s",
                  floods[i].name, (unsigned)max, http.fault.detail);
            CHECK(feed_lines(floods[i].flood, 1, 1) == SPARP__HTTP_FAILED, "%s", floods[i].name);
            CHECK(http.fault.error == SPARP_E_HEAD_TOO_LARGE, "%s", floods[i].name);
        }
}

/* Many small floods are a flood, and extensions and trailers share the limit. */
static void test_chunk_overhead_adds_up(void **state) {
    (void)state;
    start(false, 100);
    assert_int_equal(feed_lines(H TE, 1, 9), SPARP__HTTP_MORE);
    sparp__http_event event = feed_lines("1;23456789\r\nx\r\n", 9, 2);
    assert_int_equal(event, SPARP__HTTP_MORE);
    event = feed_lines("1;23456789\r\nx\r\n", 10, 2);
    assert_int_equal(event, SPARP__HTTP_FAILED);
    assert_int_equal(http.fault.error, SPARP_E_HEAD_TOO_LARGE);
    assert_in_range(body_size, 9, 12);
    start(false, 100);
    assert_int_equal(feed_lines(H TE, 1, 9), SPARP__HTTP_MORE);
    assert_int_equal(feed_lines("1;23456789\r\nx\r\n", 9, 2), SPARP__HTTP_MORE);
    assert_int_equal(feed_lines("0\r\n", 1, 1), SPARP__HTTP_MORE);
    assert_int_equal(feed_lines("A: 3456789\r\n", 9, 1), SPARP__HTTP_FAILED);
    assert_int_equal(http.fault.error, SPARP_E_HEAD_TOO_LARGE);
}

/* Size lines themselves are no overhead: any number of one-byte chunks is a legal body. */
static void test_many_chunks(void **state) {
    (void)state;
    start(false, 100);
    assert_int_equal(feed_lines(H TE, 1, 1), SPARP__HTTP_MORE);
    assert_int_equal(feed_lines("1\r\nx\r\n", 20000, 4), SPARP__HTTP_MORE);
    assert_int_equal(feed_lines(LAST, 1, 1), SPARP__HTTP_COMPLETE);
    assert_int_equal(body_size, 20000);
}

/* --- memory ----------------------------------------------------------------------------------- */

static size_t many_fields(char *out, size_t count) {
    size_t n = (size_t)sprintf(out, "%s", "HTTP/1.1 103 Early\r\nA: b\r\n\r\n" H);
    for (size_t i = 0; i < count; i++)
        n += (size_t)sprintf(out + n, "X-Field-%u: the value of %u\r\n continued\r\n", (unsigned)i,
                             (unsigned)i);
    return n + (size_t)sprintf(out + n, "%s", TE "3;ext\r\nabc\r\n0\r\nTrailer: t\r\n\r\n");
}

/* The n-th allocation fails, for every n until none does; then with all that follow it. */
static void sweep(const char *all, size_t size, size_t step, bool fail_on) {
    sparp__http_event event = SPARP__HTTP_FAILED;
    size_t n = 0;
    while (event != SPARP__HTTP_COMPLETE) {
        memory.calls = 0;
        memory.fail_at = ++n;
        memory.fail_on = fail_on;
        start(false, 65536);
        event = feed_in_steps(all, size, step);
        if (event != SPARP__HTTP_COMPLETE) {
            CHECK(event == SPARP__HTTP_FAILED, "allocation %u: event %d", (unsigned)n, event);
            CHECK(http.fault.error == SPARP_E_OUT_OF_MEMORY, "allocation %u", (unsigned)n);
        }
        sparp__http_free(&env, &http);
        sparp__http_free(&env, &http);
        CHECK(test_memory_clean(&memory), "allocation %u", (unsigned)n);
    }
    assert_true(n > 2);
    memory.fail_at = 0;
}

static void test_memory_failures(void **state) {
    (void)state;
    static char all[8192];
    size_t size = many_fields(all, 40);
    sweep(all, size, 1, false);
    sweep(all, size, 1, true);
    sweep(all, size, size, false);
    sweep(all, size, 100, true);
}

/* A parser that failed for want of memory does the next response as if nothing had been. */
static void test_memory_comes_back(void **state) {
    (void)state;
    static char all[8192];
    size_t size = many_fields(all, 40);
    for (size_t n = 1; n < 6; n++) {
        memory.calls = 0;
        memory.fail_at = n;
        start(false, 65536);
        assert_int_equal(feed_in_steps(all, size, 1), SPARP__HTTP_FAILED);
        memory.fail_at = 0;
        start(false, 65536);
        assert_int_equal(feed_in_steps(all, size, 1), SPARP__HTTP_COMPLETE);
        assert_int_equal(http.num_fields, 41);
        assert_string_equal(http.fields[39].value, "the value of 39 continued");
        sparp__http_free(&env, &http);
    }
}

/* What worked once works again without asking for memory, unless it was large. */
static void test_memory_is_kept(void **state) {
    (void)state;
    static char all[8192], large[65540];
    size_t size = many_fields(all, 40);
    start(false, 65536);
    assert_int_equal(feed_in_steps(all, size, 1), SPARP__HTTP_COMPLETE);
    size_t calls = memory.calls;
    start(false, 65536);
    assert_int_equal(feed_in_steps(all, size, 1), SPARP__HTTP_COMPLETE);
    assert_int_equal(memory.calls, calls);
    start(true, 65536);
    assert_int_equal(feed_in_steps(large, stretch(H "X: ", 65536, large), 1000),
                     SPARP__HTTP_COMPLETE);
    assert_true(memory.bytes > 65536);
    start(false, 65536);
    assert_true(memory.bytes < 65536);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void) {
    static const struct CMUnitTest tests[] = {
        CASE(test_at_once), CASE(test_byte_by_byte), CASE(test_every_split), CASE(test_steps),
        CASE(test_random_splits), CASE(test_every_prefix), CASE(test_alone), CASE(test_pipeline),
        CASE(test_11_name_bytes), CASE(test_11_dropped_lines_are_logged),
        CASE(test_value_bytes), CASE(test_reason_bytes),
        CASE(test_chunk_bytes),
        CASE(test_binary_body), CASE(test_max_head), CASE(test_endless_line),
        CASE(test_max_fields), CASE(test_max_interim), CASE(test_chunk_overhead),
        CASE(test_chunk_overhead_adds_up), CASE(test_many_chunks),
        CASE(test_memory_failures), CASE(test_memory_comes_back), CASE(test_memory_is_kept),
    };
    printf("%u rows\n", (unsigned)COUNT_OF(cases));
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}

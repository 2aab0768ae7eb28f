/* sparp.h 0.1.0 - many HTTP requests, a bounded number at a time - MIT licence, see the end */
/* ============================================================================================ */
/* >>api                                                                                        */
/* ============================================================================================ */
#ifndef SPARP_H
#define SPARP_H

#define SPARP_VERSION_MAJOR 0
#define SPARP_VERSION_MINOR 1
#define SPARP_VERSION_PATCH 0
#define SPARP_VERSION 100          /* MAJOR * 10000 + MINOR * 100 + PATCH, for #if */
#define SPARP_VERSION_STRING "0.1.0"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef SPARP_API
#ifdef SPARP_STATIC
#if defined(__GNUC__)
#define SPARP_API static __attribute__((unused))
#else
#define SPARP_API static
#endif
#else
#define SPARP_API extern
#endif
#endif

#if defined(SPARP_STATIC) && !defined(SPARP_IMPLEMENTATION)
#error "sparp.h: SPARP_STATIC makes every function static, so SPARP_IMPLEMENTATION belongs to it."
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* In every number of an option struct: 0 means "the default", SPARP_NONE means "none at all". */
#define SPARP_NONE (-1)

/* X(name, text): error codes and their texts live in one list. */
#define SPARP_ERRORS(X) \
    X(OK,               "no error") \
    X(OUT_OF_MEMORY,    "out of memory") \
    X(OUT_OF_RESOURCES, "no descriptor, port or buffer to be had") \
    X(BAD_OPTIONS,      "an option is out of range or contradicts another") \
    X(BAD_REQUEST,      "request is malformed (url, method, header or body)") \
    X(DNS_NOT_FOUND,    "host name does not exist") \
    X(DNS_FAILED,       "host name could not be looked up") \
    X(REFUSED,          "connection refused") \
    X(UNREACHABLE,      "host or network unreachable") \
    X(RESET,            "connection reset by peer") \
    X(CLOSED,           "peer closed the connection before a complete response") \
    X(TRUNCATED,        "response body ended early") \
    X(PROTOCOL,         "response is not valid HTTP/1.1") \
    X(TIMEOUT,          "attempt ran out of time") \
    X(HEAD_TOO_LARGE,   "response head exceeds max_head_bytes") \
    X(BODY_TOO_LARGE,   "response body exceeds max_body_bytes") \
    X(CALLBACK_FAILED,  "a user callback failed") \
    X(TLS_ABSENT,       "https is not spoken by this build") \
    X(CANCELLED,        "run was stopped before this request ended") \
    X(NOT_STARTED,      "run was stopped before this request was sent") \
    X(SYSTEM,           "operating system call failed")

typedef enum sparp_error {
#define SPARP__X(name, text) SPARP_E_##name,
    SPARP_ERRORS(SPARP__X)
#undef SPARP__X
    SPARP_E_COUNT
} sparp_error;

/* How one request ended: each gets exactly one. X(name, text) */
#define SPARP_OUTCOMES(X) \
    X(SUCCESS,           "success") \
    X(HARD_FAIL,         "hard_fail") \
    X(SOFT_EXHAUSTED,    "soft_exhausted") \
    X(TIMEOUT_EXHAUSTED, "timeout_exhausted") \
    X(TRANSPORT_FAILED,  "transport_failed") \
    X(LOCAL_FAILED,      "local_failed") \
    X(CANCELLED,         "cancelled") \
    X(NOT_STARTED,       "not_started")

typedef enum sparp_outcome {
#define SPARP__X(name, text) SPARP_OUTCOME_##name,
    SPARP_OUTCOMES(SPARP__X)
#undef SPARP__X
    SPARP_OUTCOME_COUNT
} sparp_outcome;

/* Where an attempt was: where a timeout struck, and what the timings are split into. */
#define SPARP_PHASES(X) \
    X(DNS,        "dns") \
    X(CONNECT,    "connect") \
    X(TLS,        "tls") \
    X(SEND,       "send") \
    X(FIRST_BYTE, "first_byte") \
    X(BODY,       "body")

typedef enum sparp_phase {
#define SPARP__X(name, text) SPARP_PHASE_##name,
    SPARP_PHASES(SPARP__X)
#undef SPARP__X
    SPARP_PHASE_COUNT
} sparp_phase;

typedef enum sparp_verdict {     /* what inspect() says about one response */
    SPARP_SUCCESS,
    SPARP_SOFT_FAIL,             /* try again, at most max_retries_by_soft_fail times */
    SPARP_HARD_FAIL,             /* never again; also what any value not in this list means */
    SPARP_NEED_BODY              /* ask me again when the body is complete */
} sparp_verdict;

typedef enum sparp_input {       /* what next_request() says */
    SPARP_INPUT_END,             /* no more requests: it is not asked again */
    SPARP_INPUT_READY,           /* *out is filled in */
    SPARP_INPUT_LATER,           /* nothing now: it is asked again after sparp_wake() */
    SPARP_INPUT_FAILED           /* give up: the run stops, what is done is kept */
} sparp_input;

enum {                           /* sparp_options.stop_on, combined with | */
    SPARP_STOP_ON_SOFT_FAIL         = 1 << 0,
    SPARP_STOP_ON_HARD_FAIL         = 1 << 1,
    SPARP_STOP_ON_TIMEOUT           = 1 << 2,
    SPARP_STOP_ON_TRANSPORT         = 1 << 3,
    SPARP_STOP_ON_SOFT_EXHAUSTED    = 1 << 4,
    SPARP_STOP_ON_TIMEOUT_EXHAUSTED = 1 << 5
};

typedef enum sparp_stopped {     /* why a run ended before its input did */
    SPARP_STOPPED_NOT,           /* it did not */
    SPARP_STOPPED_BY_CALL,       /* sparp_stop() */
    SPARP_STOPPED_BY_RULE,       /* stop_on, stop_after_failures */
    SPARP_STOPPED_BY_SUCCESSES,  /* stop_after_successes, and sparp_run_any() */
    SPARP_STOPPED_BY_DEADLINE,   /* run_deadline_s */
    SPARP_STOPPED_BY_INPUT,      /* next_request() said FAILED */
    SPARP_STOPPED_BY_ERROR       /* the run itself failed: sparp_error_detail() says how */
} sparp_stopped;

typedef struct sparp sparp;      /* one run */

typedef struct sparp_field {     /* a header line, or a query parameter (percent-encoded by sparp) */
    const char *name;
    const char *value;           /* NULL in a request's headers: do not send the run's default */
} sparp_field;

/* In. sparp copies what it points at before next_request() is called again, or while the
   request is pulled from the array: nothing has to outlive that but the array itself. */
typedef struct sparp_request {
    const char        *url;              /* "http://host[:port]/path?query" (required) */
    const char        *method;           /* default: "GET"; "POST" with a body or json */
    const sparp_field *query;            /* appended to the url, percent-encoded */
    size_t             num_query;
    const sparp_field *headers;
    size_t             num_headers;
    const void        *body;
    size_t             body_size;        /* bytes */
    const char        *json;             /* instead of body: text, sent as application/json */
    double             timeout_s;        /* default: sparp_options.timeout_s */
    double             deadline_s;       /* all attempts and waits (default: none) */
    bool               idempotent;       /* safe to send twice although the method is not */
    void              *user_data;        /* handed back in the result, never looked at */
} sparp_request;

/* Out. What it points at lives as long as the struct: until the callback returns, until the next
   sparp_next/sparp_ready/sparp_step/sparp_close, or until sparp_results_free. */
typedef struct sparp_result {
    uint64_t           index;            /* position in the input: 0, 1, 2, ... */
    void              *user_data;        /* the request's own */
    const char        *method, *url;     /* as sent; the password of a url is replaced by *** */
    sparp_outcome      outcome;          /* how the request ended (final results only) */
    sparp_error        error;            /* why there is no complete response, else SPARP_E_OK */
    int                sys_error;        /* errno or EAI_* behind .error, else 0 */
    const char        *detail;           /* a sentence about .error; "" without one; never NULL */
    sparp_phase        phase;            /* where SPARP_E_TIMEOUT struck */
    int                status;           /* what HTTP said: 200, 404, ...; 0 without a response */
    const sparp_field *headers;          /* in wire order, duplicates kept, names in lower case */
    size_t             num_headers;
    const char        *body;             /* never NULL; body[body_size] == 0 */
    size_t             body_size;        /* bytes */
    bool               body_complete;    /* false while inspect() looks at the head alone */
    bool               truncated;        /* cut at max_body_bytes, with truncate_body */
    bool               maybe_applied;    /* unsafe request whose effect is unknown */
    bool               reused;           /* last attempt went over a connection used before */
    void              *parsed;           /* what parse() returned */
    int                attempts;         /* tries, the first included */
    int                soft_retries, timeout_retries, transport_retries;  /* tries made again */
    int                replays;          /* sent again at once after a stale connection */
    double             retry_at_s;       /* seconds from now the server asked for, beyond the cap */
    uint64_t           bytes_out, bytes_in;           /* on the wire, all attempts */
    int64_t            phase_us[SPARP_PHASE_COUNT];   /* last attempt, microseconds */
    int64_t            elapsed_us;       /* last attempt: slot taken .. last byte */
    int64_t            waited_us;        /* for a slot, the rate and backoff, together */
    int64_t            total_us;         /* pulled from the input .. this result */
} sparp_result;

/* The first line and the second always add up: pulled = in_flight + waiting + the outcomes. */
typedef struct sparp_stats {
    uint64_t pulled, in_flight, waiting;
    uint64_t success, hard_fail, soft_exhausted, timeout_exhausted, transport_failed, local_failed,
             cancelled, not_started;
    uint64_t soft_retries, timeout_retries, transport_retries, replays;   /* sent again */
    uint64_t soft_fails, timeouts, transport_errors;                      /* events, last included */
    uint64_t connects, reuses, bytes_out, bytes_in;
    int64_t  waited_slot_us, waited_rate_us, waited_backoff_us, elapsed_us;
    uint64_t input_size;         /* requests in all: exact with input_ended, else the estimate or 0 */
    bool     input_ended;
    sparp_stopped stopped;
} sparp_stats;

typedef struct sparp_allocator {
    /* new_size == 0: free, return NULL. ptr == NULL: allocate. Else: resize. Failure: NULL. */
    void *(*func)(void *ptr, size_t old_size, size_t new_size, void *user_data);
    void  *user_data;
} sparp_allocator;

typedef enum sparp_log_level {
    SPARP_LOG_ERROR, SPARP_LOG_WARN, SPARP_LOG_INFO, SPARP_LOG_TRACE
} sparp_log_level;

typedef struct sparp_logger {
    void          (*func)(sparp_log_level level, const char *message, void *user_data);
    void           *user_data;
    sparp_log_level max_level;           /* default: SPARP_LOG_ERROR */
} sparp_logger;

/* Zeroed, every field has its default. sparp_open copies the struct; the array of requests and
   the run's headers must stay until the run is closed. */
typedef struct sparp_options {
    /* input: an array, or a function that is asked for one request at a time */
    const sparp_request *requests;
    size_t               num_requests;
    sparp_input        (*next_request)(sparp_request *out, void *user_data);
    int                  input_buffer_size;     /* requests read ahead (default: 100; NONE: 1) */
    uint64_t             estimated_input_size;  /* for the progress bar (default: unknown) */

    /* pace */
    int      max_at_once;                /* attempts in flight, 1 .. 100000 (default: 100) */
    double   max_per_second;             /* hops started per second (default: no limit) */
    int      burst;                      /* starts that may come at once (default: 1) */

    /* patience: seconds */
    double   timeout_s;                  /* one attempt (default: 30; NONE: no limit) */
    double   connect_timeout_s;          /* DNS and TCP (default: 10; NONE: no limit) */
    double   idle_timeout_s;             /* no byte either way (default: timeout_s) */
    double   run_deadline_s;             /* the whole run (default: none) */

    /* judgement and retries */
    sparp_verdict (*inspect)(const sparp_result *response, void *user_data);
    void         *(*parse)(const sparp_result *response, void *user_data);
    int      max_retries_by_soft_fail;   /* (default: 20) */
    int      max_retries_by_timeout;     /* (default: 20) */
    int      max_retries_by_transport;   /* (default: 5) */
    double   backoff_s, backoff_max_s;   /* first pause, doubling (default: 0.5 and 30) */
    double   retry_after_max_s;          /* longest Retry-After obeyed (default: 120) */
    bool     retry_safe_only;            /* soft fails and timeouts: only what is safe twice */
    bool     retry_unsafe;               /* transport errors: also what is not safe twice */
    unsigned stop_on;                    /* SPARP_STOP_ON_* */
    int      stop_after_failures;        /* requests that ended without success (default: none) */
    int      stop_after_successes;       /* (default: none) */
    bool     stop_drains;                /* a stop lets what is in flight end by itself */
    bool     ordered;                    /* sparp_next(), sparp_ready(): in input order */
    uint64_t random_seed;                /* of the jitter (default: another one each run) */

    /* HTTP */
    const sparp_field *headers;          /* added to every request that does not set them */
    size_t      num_headers;
    int64_t     max_head_bytes;          /* (default: 64 KiB) */
    int64_t     max_body_bytes;          /* (default: 64 MiB) */
    bool        truncate_body;           /* a longer body is cut there and is no failure */
    bool        discard_body;            /* read and counted, not kept */

    /* observation: called on the thread that is inside sparp_*(), one at a time */
    void (*on_result)(sparp *run, const sparp_result *result, void *user_data);
    void (*on_retry)(sparp *run, const sparp_result *attempt, double wait_s, void *user_data);
    void (*on_progress)(sparp *run, const sparp_stats *stats, void *user_data);
    double   progress_every_s;           /* (default: 0.5) */
    uint64_t progress_every_results;     /* (default: 1) */

    sparp_allocator allocator;           /* default: realloc and free */
    sparp_logger    logger;              /* default: silent */
    void           *user_data;           /* for every callback above */
} sparp_options;

/* --- one call, start to end ---------------------------------------------------------------- */

typedef struct sparp_results {
    sparp_error   error;                 /* why the run could not be performed, else SPARP_E_OK */
    sparp_stats   stats;
    size_t        count;
    sparp_result *items;                 /* after sparp_run_all: items[i].index == i */
    sparp        *owner;                 /* keeps the memory behind items; may be NULL */
} sparp_results;

/* Sends everything, reports through on_result, returns when every request has its result.
   A failed request is a result, not an error: OK means that the run was performed. Else:
   BAD_OPTIONS, OUT_OF_MEMORY, SYSTEM, or CALLBACK_FAILED when next_request() gave up. */
SPARP_API sparp_error   sparp_run_each(const sparp_options *options, sparp_stats *stats_or_null);

/* The same, and all results at the end, in input order, in memory. Free them in any case. */
SPARP_API sparp_results sparp_run_all(const sparp_options *options);

/* The first SUCCESS alone (count == 1), the rest cancelled. Without any: all results by index. */
SPARP_API sparp_results sparp_run_any(const sparp_options *options);

/* Frees items and what they point at. Zeroed or already freed is fine. */
SPARP_API void          sparp_results_free(sparp_results *results);

/* --- results one by one, as they come ------------------------------------------------------ */

/* NULL on failure, with the code in *error_or_null; on BAD_OPTIONS the logger gets the sentence,
   and sparp_check_options() returns it. Sends nothing yet. */
SPARP_API sparp              *sparp_open(const sparp_options *options, sparp_error *error_or_null);
/* Runs until a result is there and returns it; NULL: every request has been delivered. */
SPARP_API const sparp_result *sparp_next(sparp *run);
/* Ends the run at once, whatever is in flight, and frees it. NULL is fine; not in a callback. */
SPARP_API void                sparp_close(sparp *run);

/* --- inside your own event loop ------------------------------------------------------------ */

/* Readable: call sparp_step(). -1 with the poll backend, which has no such descriptor: then
   call sparp_step() as often as sparp_wait_ms() says. */
SPARP_API int                 sparp_poll_fd(const sparp *run);
/* ... or after this many milliseconds; -1: no limit; 0: now. */
SPARP_API int                 sparp_wait_ms(const sparp *run);
/* One turn: waits up to wait_ms (-1: as long as it takes; 0: not at all), does what is due.
   false: the run is over and every result delivered. */
SPARP_API bool                sparp_step(sparp *run, int wait_ms);
/* A final result not seen yet, or NULL at once. */
SPARP_API const sparp_result *sparp_ready(sparp *run);

/* --- at any time, from callbacks too, on the thread of the run ----------------------------- */

SPARP_API void          sparp_stop(sparp *run);    /* as a stop rule does: aborts, or drains */
SPARP_API void          sparp_drain(sparp *run);   /* nothing new starts, what flies may end */
SPARP_API void          sparp_abort(sparp *run);   /* cuts what is in flight, while draining too */
SPARP_API void          sparp_cancel(sparp *run, uint64_t index);  /* one request, if under way */
SPARP_API void          sparp_wake(sparp *run);    /* legal from any thread or signal handler */
SPARP_API sparp_stats   sparp_get_stats(const sparp *run);
SPARP_API const char   *sparp_error_detail(const sparp *run);      /* why the run failed; else "" */

/* --- helpers: pure, no run needed ---------------------------------------------------------- */

/* "" if sparp_open() would take them, else the sentence that names the field. */
SPARP_API const char   *sparp_check_options(const sparp_options *options);
SPARP_API const char   *sparp_error_text(sparp_error error);       /* "connection refused" */
SPARP_API const char   *sparp_error_name(sparp_error error);       /* "REFUSED" */
SPARP_API const char   *sparp_outcome_name(sparp_outcome outcome); /* "success" */
SPARP_API const char   *sparp_phase_name(sparp_phase phase);       /* "first_byte" */
SPARP_API const char   *sparp_backend(void);                       /* "epoll", "kqueue" or "poll" */
/* The first value of that name (any case), or NULL. */
SPARP_API const char   *sparp_find_header(const sparp_result *result, const char *name);
/* 2xx, 304 and other 3xx SUCCESS; 408 425 429 500 502 503 504 SOFT_FAIL; the rest HARD_FAIL. */
SPARP_API sparp_verdict sparp_default_inspect(const sparp_result *response, void *user_data);
#ifndef SPARP_NO_STDIO
/* An on_progress: one line on stderr, redrawn on a terminal, every 10 s elsewhere. */
SPARP_API void          sparp_progress_bar(sparp *run, const sparp_stats *stats, void *user_data);
#endif

#ifdef __cplusplus
}
#endif
#endif /* SPARP_H */

/* End of API. Implementation follows. */

#if defined(SPARP_IMPLEMENTATION) && !defined(SPARP_IMPLEMENTED)
#define SPARP_IMPLEMENTED

/* ============================================================================================ */
/* >>platform   feature checks, includes, 0/1 switches, and every system call by a name that a   */
/*              test can define first, to make the n-th one fail or to script the clock          */
/* ============================================================================================ */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* By result, not by name of the system: both are macros wherever POSIX names are visible. */
#if !defined(AI_NUMERICHOST) || !defined(CLOCK_MONOTONIC)
#error "sparp.h: POSIX names are hidden. Include sparp.h first, or use -std=gnu99 \
or -D_POSIX_C_SOURCE=200809L."
#endif

#if defined(SPARP_FORCE_POLL)
#define SPARP__EPOLL 0
#define SPARP__KQUEUE 0
#elif defined(SPARP_USE_KQUEUE) || defined(__APPLE__) || defined(__FreeBSD__) \
    || defined(__NetBSD__) || defined(__OpenBSD__) || defined(__DragonFly__)
#define SPARP__EPOLL 0
#define SPARP__KQUEUE 1
#include <sys/event.h>
#elif defined(__linux__)
#define SPARP__EPOLL 1
#define SPARP__KQUEUE 0
#include <sys/epoll.h>
#else
#define SPARP__EPOLL 0
#define SPARP__KQUEUE 0
#endif

#ifdef SPARP_NO_THREADS
#define SPARP__THREADS 0
#else
#define SPARP__THREADS 1
#include <pthread.h>
#endif

#ifdef MSG_NOSIGNAL
#define SPARP__NOSIGNAL MSG_NOSIGNAL
#else
#define SPARP__NOSIGNAL 0               /* there SO_NOSIGPIPE does it, see >>socket */
#endif

#ifndef SPARP__SYS_SOCKET
#define SPARP__SYS_SOCKET socket
#endif
#ifndef SPARP__SYS_CONNECT
#define SPARP__SYS_CONNECT connect
#endif
#ifndef SPARP__SYS_SEND
#define SPARP__SYS_SEND send
#endif
#ifndef SPARP__SYS_RECV
#define SPARP__SYS_RECV recv
#endif
#ifndef SPARP__SYS_CLOSE
#define SPARP__SYS_CLOSE close
#endif
#ifndef SPARP__SYS_GETSOCKOPT
#define SPARP__SYS_GETSOCKOPT getsockopt
#endif
#ifndef SPARP__SYS_SETSOCKOPT
#define SPARP__SYS_SETSOCKOPT setsockopt
#endif
#ifndef SPARP__SYS_FCNTL
#define SPARP__SYS_FCNTL fcntl
#endif
#ifndef SPARP__SYS_PIPE
#define SPARP__SYS_PIPE pipe
#endif
#ifndef SPARP__SYS_READ
#define SPARP__SYS_READ read
#endif
#ifndef SPARP__SYS_WRITE
#define SPARP__SYS_WRITE write
#endif
#ifndef SPARP__SYS_EPOLL_CREATE
#define SPARP__SYS_EPOLL_CREATE epoll_create1
#endif
#ifndef SPARP__SYS_EPOLL_CTL
#define SPARP__SYS_EPOLL_CTL epoll_ctl
#endif
#ifndef SPARP__SYS_EPOLL_WAIT
#define SPARP__SYS_EPOLL_WAIT epoll_wait
#endif
#ifndef SPARP__SYS_KQUEUE
#define SPARP__SYS_KQUEUE kqueue
#endif
#ifndef SPARP__SYS_KEVENT
#define SPARP__SYS_KEVENT kevent
#endif
#ifndef SPARP__SYS_POLL
#define SPARP__SYS_POLL poll
#endif
#ifndef SPARP__SYS_GETADDRINFO
#define SPARP__SYS_GETADDRINFO getaddrinfo
#endif
#ifndef SPARP__SYS_FREEADDRINFO
#define SPARP__SYS_FREEADDRINFO freeaddrinfo
#endif
#ifndef SPARP__SYS_THREAD
#define SPARP__SYS_THREAD pthread_create
#endif
#ifndef SPARP__SYS_CLOCK
#define SPARP__SYS_CLOCK clock_gettime
#endif
#ifndef SPARP__SYS_REALLOC
#define SPARP__SYS_REALLOC realloc
#endif
#ifndef SPARP__SYS_FREE
#define SPARP__SYS_FREE free
#endif

#if defined(__GNUC__)
#define SPARP__PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define SPARP__PRINTF(text, first)
#endif

/* ============================================================================================ */
/* >>base       slices, ASCII classes, numbers, intrusive lists. Uses nothing.                   */
/* ============================================================================================ */

#define SPARP__NEVER INT64_MAX          /* a time that does not come */
#define SPARP__NS_PER_S INT64_C(1000000000)
#define SPARP__NS_PER_MS INT64_C(1000000)
#define SPARP__OWNER(type, member, pointer) \
    ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

typedef struct sparp__str {             /* somebody else's bytes, not NUL-terminated */
    const char *data;
    size_t size;
} sparp__str;

static sparp__str sparp__str_make(const char *data, size_t size) {
    sparp__str s;
    s.data = data;
    s.size = size;
    return s;
}

static sparp__str sparp__str_of(const char *text) {
    return sparp__str_make(text, strlen(text));
}

static sparp__str sparp__str_skip(sparp__str s, size_t n) {
    return sparp__str_make(s.data + n, s.size - n);
}

static sparp__str sparp__str_trim(sparp__str s) {
    while (s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = sparp__str_skip(s, 1);
    while (s.size > 0 && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
        s.size--;
    return s;
}

static char sparp__ascii_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool sparp__ascii_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool sparp__ascii_alpha(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* tchar of RFC 9110 §5.6.2: what methods and field names are made of. */
static bool sparp__ascii_token(char c) {
    return sparp__ascii_alpha(c) || sparp__ascii_digit(c)
        || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* The lower-case form of a token character, 0 for every other byte: one look-up per byte of a
   field name, which is checked and folded in the same pass. */
static const char sparp__token_fold[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, '!', 0, '#', '$', '%', '&', '\'', 0, 0, '*', '+', 0, '-', '.', 0,
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 0, 0, 0, 0, 0, 0,
    0, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, 0, 0, '^', '_',
    '`', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, '|', 0, '~', 0
};

static int sparp__hex_value(char c) {
    if (sparp__ascii_digit(c))
        return c - '0';
    c = sparp__ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool sparp__str_equal(sparp__str a, sparp__str b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* ASCII only, whatever the locale says: "I" has one lower-case form on the wire. */
static bool sparp__str_same(sparp__str a, const char *text) {
    for (size_t i = 0; i < a.size; i++)
        if (text[i] == '\0' || sparp__ascii_lower(a.data[i]) != sparp__ascii_lower(text[i]))
            return false;
    return text[a.size] == '\0';
}

static bool sparp__str_token(sparp__str s) {
    for (size_t i = 0; i < s.size; i++)
        if (!sparp__ascii_token(s.data[i]))
            return false;
    return s.size > 0;
}

/* 1*DIGIT and nothing else: no sign, no blank, no overflow. */
static bool sparp__str_number(sparp__str s, uint64_t max, uint64_t *out) {
    uint64_t n = 0;
    for (size_t i = 0; i < s.size; i++) {
        if (!sparp__ascii_digit(s.data[i]))
            return false;
        uint64_t digit = (uint64_t)(s.data[i] - '0');
        if (n > (max - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return s.size > 0;
}

/* Cuts the next element of a comma-separated list (RFC 9110 §5.6.1) off `list`; empty elements
   are passed over, as a recipient must. */
static bool sparp__str_element(sparp__str *list, sparp__str *out) {
    while (list->size > 0) {
        const char *comma = (const char *)memchr(list->data, ',', list->size);
        size_t n = comma != NULL ? (size_t)(comma - list->data) : list->size;
        *out = sparp__str_trim(sparp__str_make(list->data, n));
        *list = sparp__str_skip(*list, comma != NULL ? n + 1 : n);
        if (out->size > 0)
            return true;
    }
    return false;
}

static int64_t sparp__min(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t sparp__max(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Times are never negative; a sum that does not fit is never. */
static int64_t sparp__time_after(int64_t now, int64_t wait) {
    return wait >= SPARP__NEVER - now ? SPARP__NEVER : now + wait;
}

static int64_t sparp__time_from_s(double seconds) {
    return seconds >= 9e9 ? SPARP__NEVER : (int64_t)(seconds * (double)SPARP__NS_PER_S);
}

/* An element of a doubly linked ring; alone, or as a list's head, it points at itself. */
typedef struct sparp__link {
    struct sparp__link *prev, *next;
} sparp__link;

typedef struct sparp__list {
    sparp__link ring;
    size_t count;
} sparp__list;

static void sparp__list_init(sparp__list *list) {
    list->ring.prev = list->ring.next = &list->ring;
    list->count = 0;
}

static void sparp__list_insert(sparp__list *list, sparp__link *before, sparp__link *link) {
    link->prev = before->prev;
    link->next = before;
    before->prev->next = link;
    before->prev = link;
    list->count++;
}

static void sparp__list_push_back(sparp__list *list, sparp__link *link) {
    sparp__list_insert(list, &list->ring, link);
}

static void sparp__list_push_front(sparp__list *list, sparp__link *link) {
    sparp__list_insert(list, list->ring.next, link);
}

static void sparp__list_remove(sparp__list *list, sparp__link *link) {
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = link->next = NULL;
    list->count--;
}

static sparp__link *sparp__list_pop_front(sparp__list *list) {
    sparp__link *link = list->ring.next;
    if (link == &list->ring)
        return NULL;
    sparp__list_remove(list, link);
    return link;
}

/* ============================================================================================ */
/* >>env        what every section may need: allocator, logger, clock, dice; and the fault, which */
/*              says how something failed. Uses base.                                            */
/* ============================================================================================ */

typedef struct sparp__env {
    sparp_allocator allocator;
    sparp_logger    logger;
    uint64_t        random;
} sparp__env;

typedef struct sparp__fault {           /* zeroed: nothing failed */
    sparp_error error;
    int         sys_error;
    char        detail[160];
} sparp__fault;

static void *sparp__env_default_allocator(void *ptr, size_t old_size, size_t new_size,
                                          void *user_data) {
    (void)old_size;
    (void)user_data;
    if (new_size == 0) {
        SPARP__SYS_FREE(ptr);
        return NULL;
    }
    return SPARP__SYS_REALLOC(ptr, new_size);
}

static void *sparp__env_realloc(sparp__env *env, void *ptr, size_t old_size, size_t new_size) {
    return env->allocator.func(ptr, old_size, new_size, env->allocator.user_data);
}

static void *sparp__env_zalloc(sparp__env *env, size_t size) {
    void *ptr = sparp__env_realloc(env, NULL, 0, size);
    if (ptr != NULL)
        memset(ptr, 0, size);
    return ptr;
}

static void sparp__env_free(sparp__env *env, void *ptr, size_t size) {
    if (ptr != NULL)
        sparp__env_realloc(env, ptr, size, 0);
}

static int64_t sparp__env_now(void) {
    struct timespec t;
    if (SPARP__SYS_CLOCK(CLOCK_MONOTONIC, &t) != 0)
        return 0;                       /* cannot fail where CLOCK_MONOTONIC exists */
    return (int64_t)t.tv_sec * SPARP__NS_PER_S + (int64_t)t.tv_nsec;
}

/* splitmix64: one 64-bit word of state, good enough to spread retries. */
static uint64_t sparp__env_random(sparp__env *env) {
    uint64_t z = env->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

SPARP__PRINTF(3, 4)
static void sparp__env_log(const sparp__env *env, sparp_log_level level, const char *format, ...) {
    if (env->logger.func == NULL || level > env->logger.max_level)
        return;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    env->logger.func(level, text, env->logger.user_data);
}

/* Always false, so that a function can fail in one line. */
SPARP__PRINTF(4, 5)
static bool sparp__fault_set(sparp__fault *fault, sparp_error error, int sys_error,
                             const char *format, ...) {
    va_list args;
    fault->error = error;
    fault->sys_error = sys_error;
    va_start(args, format);
    vsnprintf(fault->detail, sizeof fault->detail, format, args);
    va_end(args);
    return false;
}

static bool sparp__fault_memory(sparp__fault *fault) {
    return sparp__fault_set(fault, SPARP_E_OUT_OF_MEMORY, ENOMEM, "out of memory");
}

static void sparp__fault_clear(sparp__fault *fault) {
    fault->error = SPARP_E_OK;
    fault->sys_error = 0;
    fault->detail[0] = '\0';
}

/* ============================================================================================ */
/* >>buf        a growing byte buffer. Uses env.                                                 */
/* ============================================================================================ */

#define SPARP__BUF_KEEP 16384           /* more than this is given back when a buffer is reused */

typedef struct sparp__buf {             /* zeroed: empty */
    char *data;
    size_t size, capacity;
} sparp__buf;

static void sparp__buf_free(sparp__env *env, sparp__buf *b) {
    sparp__env_free(env, b->data, b->capacity);
    memset(b, 0, sizeof *b);
}

static void sparp__buf_reuse(sparp__env *env, sparp__buf *b) {
    b->size = 0;
    if (b->capacity > SPARP__BUF_KEEP)
        sparp__buf_free(env, b);
}

/* Room for `more` bytes behind what is there. */
static bool sparp__buf_reserve(sparp__env *env, sparp__buf *b, size_t more) {
    if (more <= b->capacity - b->size)
        return true;
    if (more > (size_t)PTRDIFF_MAX - b->size)
        return false;
    size_t wanted = b->size + more;
    size_t capacity = b->capacity < 128 ? 128 : b->capacity;
    while (capacity < wanted)
        capacity = capacity > (size_t)PTRDIFF_MAX / 2 ? wanted : capacity * 2;
    char *data = (char *)sparp__env_realloc(env, b->data, b->capacity, capacity);
    if (data == NULL)
        return false;
    b->data = data;
    b->capacity = capacity;
    return true;
}

static bool sparp__buf_append(sparp__env *env, sparp__buf *b, const char *data, size_t size) {
    if (!sparp__buf_reserve(env, b, size))
        return false;
    if (size > 0)
        memcpy(b->data + b->size, data, size);
    b->size += size;
    return true;
}

static bool sparp__buf_add(sparp__env *env, sparp__buf *b, sparp__str s) {
    return sparp__buf_append(env, b, s.data, s.size);
}

static bool sparp__buf_text(sparp__env *env, sparp__buf *b, const char *text) {
    return sparp__buf_append(env, b, text, strlen(text));
}

static bool sparp__buf_byte(sparp__env *env, sparp__buf *b, char c) {
    return sparp__buf_append(env, b, &c, 1);
}

static bool sparp__buf_number(sparp__env *env, sparp__buf *b, uint64_t n) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return sparp__buf_append(env, b, digits + at, sizeof digits - at);
}

static bool sparp__buf_percent(sparp__env *env, sparp__buf *b, char c) {
    static const char hex[] = "0123456789ABCDEF";
    unsigned char u = (unsigned char)c;
    char code[3];
    code[0] = '%';
    code[1] = hex[u >> 4];
    code[2] = hex[u & 15];
    return sparp__buf_append(env, b, code, sizeof code);
}

/* ============================================================================================ */
/* >>heap       what is due next: a binary heap of timers that live in their owners. Uses env.   */
/*                                                                                               */
/* Moving a timer later only notes the new time; its place in the heap is mended when the old    */
/* one comes up. A connection that answers request after request therefore never touches the     */
/* heap, at the price of one early wake-up per timer and timeout.                                */
/* ============================================================================================ */

typedef struct sparp__timer {           /* zeroed: not in a heap */
    int64_t due;                        /* when its owner wants to be woken */
    int64_t key;                        /* where it stands in the heap: never later than due */
    size_t  place;                      /* index + 1; 0: not in the heap */
} sparp__timer;

typedef struct sparp__heap {            /* zeroed: empty */
    sparp__timer **items;
    size_t count, capacity;
} sparp__heap;

static void sparp__heap_free(sparp__env *env, sparp__heap *h) {
    sparp__env_free(env, h->items, h->capacity * sizeof *h->items);
    memset(h, 0, sizeof *h);
}

/* Room for `count` timers in all, so that sparp__heap_set cannot fail. */
static bool sparp__heap_reserve(sparp__env *env, sparp__heap *h, size_t count) {
    if (count <= h->capacity)
        return true;
    if (count > (size_t)PTRDIFF_MAX / 2 / sizeof *h->items)
        return false;
    size_t capacity = h->capacity * 2 < 64 ? 64 : h->capacity * 2;
    if (capacity < count)
        capacity = count;
    void *items = sparp__env_realloc(env, h->items, h->capacity * sizeof *h->items,
                                     capacity * sizeof *h->items);
    if (items == NULL)
        return false;
    h->items = (sparp__timer **)items;
    h->capacity = capacity;
    return true;
}

static void sparp__heap_put(sparp__heap *h, size_t at, sparp__timer *timer) {
    h->items[at] = timer;
    timer->place = at + 1;
}

static void sparp__heap_up(sparp__heap *h, size_t at, sparp__timer *timer) {
    while (at > 0 && h->items[(at - 1) / 2]->key > timer->key) {
        sparp__heap_put(h, at, h->items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    sparp__heap_put(h, at, timer);
}

static void sparp__heap_down(sparp__heap *h, size_t at, sparp__timer *timer) {
    for (size_t child; (child = at * 2 + 1) < h->count; at = child) {
        if (child + 1 < h->count && h->items[child + 1]->key < h->items[child]->key)
            child++;
        if (h->items[child]->key >= timer->key)
            break;
        sparp__heap_put(h, at, h->items[child]);
    }
    sparp__heap_put(h, at, timer);
}

static void sparp__heap_remove(sparp__heap *h, sparp__timer *timer) {
    if (timer->place == 0)
        return;
    size_t at = timer->place - 1;
    sparp__timer *last = h->items[--h->count];
    timer->place = 0;
    if (last == timer)
        return;
    if (last->key < timer->key)
        sparp__heap_up(h, at, last);
    else
        sparp__heap_down(h, at, last);
}

static void sparp__heap_set(sparp__heap *h, sparp__timer *timer, int64_t due) {
    timer->due = due;
    if (timer->place != 0 && timer->key <= due)
        return;
    size_t at = timer->place != 0 ? timer->place - 1 : h->count++;
    timer->key = due;
    sparp__heap_up(h, at, timer);
}

/* Takes one timer that is due at `now` out of the heap; NULL: none is. */
static sparp__timer *sparp__heap_expire(sparp__heap *h, int64_t now) {
    while (h->count > 0 && h->items[0]->key <= now) {
        sparp__timer *timer = h->items[0];
        if (timer->due <= now) {
            sparp__heap_remove(h, timer);
            return timer;
        }
        timer->key = timer->due;
        sparp__heap_down(h, 0, timer);
    }
    return NULL;
}

static int64_t sparp__heap_next(const sparp__heap *h) {
    return h->count > 0 ? h->items[0]->key : SPARP__NEVER;
}

/* ============================================================================================ */
/* >>bucket     how many starts per second: the generic cell rate algorithm in whole nanoseconds */
/*              and 2^-32 parts of one, so that 3 per second stay 3. Pure. Uses base.            */
/*                                                                                               */
/* A start that comes at most 1 ms late (timers are that coarse) does not push the next one      */
/* back; a later one does, so a stall is never made up for. In any window W there are at most    */
/* floor((W + 1 ms) / T) + burst starts, with T = 1 s / rate.                                    */
/* ============================================================================================ */

typedef struct sparp__bucket {          /* zeroed: no limit */
    int64_t  period;                    /* T: nanoseconds, and 2^-32 parts */
    uint32_t period_part;
    int64_t  next;                      /* when the next start is due if there is no burst */
    uint32_t next_part;
    int64_t  ahead;                     /* (burst - 1) * T: how much earlier it may come */
} sparp__bucket;

static void sparp__bucket_init(sparp__bucket *b, double rate, int burst) {
    memset(b, 0, sizeof *b);
    if (!(rate > 0))
        return;
    double period = (double)SPARP__NS_PER_S / rate;
    b->period = (int64_t)period;
    b->period_part = (uint32_t)((period - (double)b->period) * 4294967296.0);
    b->ahead = (int64_t)(period * (double)(burst - 1));
    b->next = INT64_MIN / 2;            /* long ago: the first start is free */
}

/* Nanoseconds until the next start is allowed; 0: now. */
static int64_t sparp__bucket_wait(const sparp__bucket *b, int64_t now) {
    if (b->period == 0 && b->period_part == 0)
        return 0;
    return sparp__max(0, b->next - b->ahead - now);
}

static void sparp__bucket_take(sparp__bucket *b, int64_t now) {
    int64_t step = b->period < SPARP__NS_PER_MS ? SPARP__NS_PER_MS : 0;
    if (now - b->next > SPARP__NS_PER_MS) {     /* the past is lost but for one step of 1 ms */
        b->next = now - step;
        b->next_part = 0;
    }
    uint64_t part = (uint64_t)b->next_part + b->period_part;
    b->next += b->period + (int64_t)(part >> 32);
    b->next_part = (uint32_t)part;
}

/* ============================================================================================ */
/* >>url        "http://user:password@host:port/path?query#fragment" (RFC 3986). Pure, but for   */
/*              inet_pton. Uses base.                                                            */
/* ============================================================================================ */

#define SPARP__HOST_MAX 253             /* bytes of a host name: RFC 1035 §2.3.4 */

typedef struct sparp__url {             /* slices of the text that was parsed */
    sparp__str userinfo;                /* without the @ */
    sparp__str host;                    /* without brackets, in whatever case it came */
    sparp__str path;                    /* path and query, without the fragment; may be empty */
    uint16_t port;
    bool https, ipv6;
} sparp__url;

static const char *sparp__url_scheme(sparp__str *rest, sparp__url *out) {
    const char *colon = (const char *)memchr(rest->data, ':', rest->size);
    if (colon == NULL || rest->size < (size_t)(colon - rest->data) + 3
        || colon[1] != '/' || colon[2] != '/')
        return "url must begin with http://";
    sparp__str scheme = sparp__str_make(rest->data, (size_t)(colon - rest->data));
    if (sparp__str_same(scheme, "https"))
        out->https = true;
    else if (!sparp__str_same(scheme, "http"))
        return "url must begin with http://";
    *rest = sparp__str_skip(*rest, scheme.size + 3);
    return NULL;
}

static const char *sparp__url_ipv6(sparp__str host) {
    char text[64];
    struct in6_addr ignored;
    if (memchr(host.data, '%', host.size) != NULL)
        return "url has an IPv6 zone, which is not supported";
    if (host.size >= sizeof text)
        return "url has a bad IPv6 address";
    memcpy(text, host.data, host.size);
    text[host.size] = '\0';
    return inet_pton(AF_INET6, text, &ignored) == 1 ? NULL : "url has a bad IPv6 address";
}

static const char *sparp__url_host(sparp__str host, sparp__url *out) {
    out->host = host;
    if (host.size == 0)
        return "url has no host";
    if (host.data[0] == '[') {
        if (host.size < 3 || host.data[host.size - 1] != ']')
            return "url has a bad IPv6 address";
        out->host = sparp__str_make(host.data + 1, host.size - 2);
        out->ipv6 = true;
        return sparp__url_ipv6(out->host);
    }
    if (host.size > SPARP__HOST_MAX)
        return "url has a host name of more than 253 bytes";
    for (size_t i = 0; i < host.size; i++) {
        char c = host.data[i];
        if ((unsigned char)c >= 0x80)
            return "url has a host that is not ASCII: write its punycode form (xn--...)";
        if (!sparp__ascii_alpha(c) && !sparp__ascii_digit(c) && c != '-' && c != '.' && c != '_')
            return "url has a character in its host that no host name has";
    }
    return host.data[0] == '.' ? "url has a host name that begins with a dot" : NULL;
}

static const char *sparp__url_authority(sparp__str authority, sparp__url *out) {
    for (size_t i = authority.size; i > 0; i--)
        if (authority.data[i - 1] == '@') {
            out->userinfo = sparp__str_make(authority.data, i - 1);
            authority = sparp__str_skip(authority, i);
            break;
        }
    size_t colon = authority.size;
    for (size_t i = authority.size; i > 0 && authority.data[i - 1] != ']'; i--)
        if (authority.data[i - 1] == ':')
            colon = i - 1;
    out->port = out->https ? 443 : 80;
    if (colon + 1 < authority.size) {   /* "host:" without a number is legal: RFC 3986 §3.2.3 */
        uint64_t port;
        if (!sparp__str_number(sparp__str_skip(authority, colon + 1), 65535, &port) || port == 0)
            return "url has a port that is not 1 to 65535";
        out->port = (uint16_t)port;
    }
    return sparp__url_host(sparp__str_make(authority.data, colon), out);
}

/* NULL, or the sentence that says what is wrong. */
static const char *sparp__url_parse(sparp__str text, sparp__url *out) {
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == ' ')
            return "url has a raw space: write %20";
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7F)
            return "url has a control character";
    }
    sparp__str rest = text;
    const char *wrong = sparp__url_scheme(&rest, out);
    if (wrong != NULL)
        return wrong;
    size_t end = 0, hash = 0;
    while (end < rest.size && strchr("/?#", rest.data[end]) == NULL)
        end++;
    for (hash = end; hash < rest.size && rest.data[hash] != '#'; hash++)
        continue;
    out->path = sparp__str_make(rest.data + end, hash - end);
    return sparp__url_authority(sparp__str_make(rest.data, end), out);
}

/* Bytes that may not stand in a path or query as they are (RFC 3986 §2) but that people write
   there all the same. A % is left alone: what is encoded already is not encoded twice. */
static bool sparp__url_must_encode(char c) {
    return (unsigned char)c >= 0x80 || strchr("\"<>\\^`{|}", c) != NULL;
}

static bool sparp__url_unreserved(char c) {
    return sparp__ascii_alpha(c) || sparp__ascii_digit(c)
        || c == '-' || c == '.' || c == '_' || c == '~';
}

/* ============================================================================================ */
/* >>request    from the user's struct to the bytes on the wire, built once and sent as often as */
/*              it takes. Nothing passes unchecked: CR, LF and NUL do not reach the wire.        */
/*              Uses url, buf, env.                                                              */
/* ============================================================================================ */

typedef struct sparp__request {         /* zeroed: empty; its buffer is reused */
    sparp__buf  image;                  /* head and body, then the url, then the method */
    size_t      wire_size, url_at, method_at;
    char        host[SPARP__HOST_MAX + 1];      /* lower case, no brackets, no last dot */
    uint16_t    port;
    bool        replay_safe, is_head;
} sparp__request;

typedef struct sparp__fields {          /* a request's own lines, and the run's below them */
    const sparp_field *own;
    size_t             num_own;
    const sparp_field *run;
    size_t             num_run;
} sparp__fields;

/* The last line of that name in one list; NULL: none. */
static const sparp_field *sparp__fields_in(const sparp_field *list, size_t count,
                                           const char *name) {
    for (size_t i = count; i > 0; i--)
        if (sparp__str_same(sparp__str_of(list[i - 1].name), name))
            return &list[i - 1];
    return NULL;
}

static const sparp_field *sparp__fields_find(const sparp__fields *fields, const char *name) {
    const sparp_field *own = sparp__fields_in(fields->own, fields->num_own, name);
    return own != NULL ? own : sparp__fields_in(fields->run, fields->num_run, name);
}

static const char *sparp__request_check_value(const char *value) {
    for (; *value != '\0'; value++)
        if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7F)
            return "has a control character in its value";
    return NULL;
}

/* NULL, or what is wrong with this line. Names that frame the message are ours to set. */
static const char *sparp__request_check_field(const sparp_field *f, size_t body_size) {
    uint64_t length;
    if (f->name == NULL || !sparp__str_token(sparp__str_of(f->name)))
        return "has a name that is not a token";
    if (f->value == NULL)
        return NULL;
    sparp__str name = sparp__str_of(f->name);
    if (sparp__str_same(name, "transfer-encoding"))
        return "is set by sparp";
    if (sparp__str_same(name, "content-length")
        && (!sparp__str_number(sparp__str_trim(sparp__str_of(f->value)), UINT64_MAX, &length)
            || length != body_size))
        return "contradicts the body";
    if (sparp__str_same(name, "host") && *f->value == '\0')
        return "is empty";
    return sparp__request_check_value(f->value);
}

static bool sparp__request_check_fields(const sparp_field *fields, size_t count, size_t body_size,
                                        sparp__fault *fault) {
    if (count > 0 && fields == NULL)
        return sparp__fault_set(fault, SPARP_E_BAD_REQUEST, 0, "headers is NULL, num_headers %lu",
                                (unsigned long)count);
    for (size_t i = 0; i < count; i++) {
        const char *wrong = sparp__request_check_field(&fields[i], body_size);
        if (wrong != NULL)
            return sparp__fault_set(fault, SPARP_E_BAD_REQUEST, 0, "header %lu (%.40s) %s",
                                    (unsigned long)i + 1,
                                    fields[i].name != NULL ? fields[i].name : "NULL", wrong);
    }
    return true;
}

static bool sparp__request_check(const sparp_request *in, size_t body_size, sparp__fault *fault) {
    const char *wrong = NULL;
    if (in->url == NULL)
        wrong = "url is missing";
    else if (in->json != NULL && (in->body != NULL || in->body_size > 0))
        wrong = "body and json are both set";
    else if (in->body == NULL && in->body_size > 0)
        wrong = "body is NULL, but body_size is not 0";
    else if (in->query == NULL && in->num_query > 0)
        wrong = "query is NULL, but num_query is not 0";
    else if (in->method != NULL && !sparp__str_token(sparp__str_of(in->method)))
        wrong = "method is not a token";
    else if (in->method != NULL && strcmp(in->method, "CONNECT") == 0)
        wrong = "method CONNECT is for proxies";
    else if (!(in->timeout_s >= 0 || in->timeout_s == SPARP_NONE))
        wrong = "timeout_s is negative";
    else if (!(in->deadline_s >= 0 || in->deadline_s == SPARP_NONE))
        wrong = "deadline_s is negative";
    for (size_t i = 0; wrong == NULL && i < in->num_query; i++)
        if (in->query[i].name == NULL)
            wrong = "query has a parameter without a name";
    if (wrong != NULL)
        return sparp__fault_set(fault, SPARP_E_BAD_REQUEST, 0, "%s", wrong);
    return sparp__request_check_fields(in->headers, in->num_headers, body_size, fault);
}

static bool sparp__request_add_encoded(sparp__env *env, sparp__buf *b, const char *text) {
    bool ok = true;
    for (; ok && *text != '\0'; text++)
        ok = sparp__url_unreserved(*text) ? sparp__buf_byte(env, b, *text)
                                          : sparp__buf_percent(env, b, *text);
    return ok;
}

/* The request target: path and query as given, then the parameters. */
static bool sparp__request_add_target(sparp__env *env, sparp__buf *b, sparp__str path,
                                      const sparp_request *in) {
    bool ok = path.size > 0 && path.data[0] == '/' ? true : sparp__buf_byte(env, b, '/');
    for (size_t from = 0, i = 0; ok && i <= path.size; i++)
        if (i == path.size || sparp__url_must_encode(path.data[i])) {
            ok = sparp__buf_append(env, b, path.data + from, i - from)
                && (i == path.size || sparp__buf_percent(env, b, path.data[i]));
            from = i + 1;
        }
    bool first = path.size == 0 || memchr(path.data, '?', path.size) == NULL;
    for (size_t i = 0; ok && i < in->num_query; i++) {
        const char *value = in->query[i].value;
        ok = sparp__buf_byte(env, b, first ? '?' : '&')
            && sparp__request_add_encoded(env, b, in->query[i].name)
            && (value == NULL || (sparp__buf_byte(env, b, '=')
                                  && sparp__request_add_encoded(env, b, value)));
        first = false;
    }
    return ok;
}

static bool sparp__request_add_host(sparp__env *env, sparp__buf *b, const sparp__url *url) {
    bool ok = true;
    if (url->ipv6)
        ok = sparp__buf_byte(env, b, '[');
    ok = ok && sparp__buf_add(env, b, url->host);
    if (url->ipv6)
        ok = ok && sparp__buf_byte(env, b, ']');
    if (url->port != (url->https ? 443 : 80))
        ok = ok && sparp__buf_byte(env, b, ':') && sparp__buf_number(env, b, url->port);
    return ok;
}

static bool sparp__request_add_line(sparp__env *env, sparp__buf *b, const char *name,
                                    const char *value) {
    return sparp__buf_text(env, b, name) && sparp__buf_text(env, b, ": ")
        && sparp__buf_add(env, b, sparp__str_trim(sparp__str_of(value)))
        && sparp__buf_text(env, b, "\r\n");
}

/* A line that we send unless the user has one of that name, or has switched it off. */
static bool sparp__request_add_default(sparp__env *env, sparp__buf *b, const sparp__fields *fields,
                                       const char *name, const char *value) {
    return sparp__fields_find(fields, name) != NULL
        || sparp__request_add_line(env, b, name, value);
}

static bool sparp__request_add_fields(sparp__env *env, sparp__buf *b, const sparp_field *list,
                                      size_t count, const sparp_field *above, size_t num_above) {
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        if (list[i].value == NULL || sparp__str_same(sparp__str_of(list[i].name), "host")
            || sparp__str_same(sparp__str_of(list[i].name), "content-length")
            || sparp__fields_in(above, num_above, list[i].name) != NULL)
            continue;
        ok = sparp__request_add_line(env, b, list[i].name, list[i].value);
    }
    return ok;
}

/* "user:password" of the url as RFC 7617 credentials; percent-encoded bytes are decoded first. */
static bool sparp__request_add_basic(sparp__env *env, sparp__buf *b, sparp__str userinfo) {
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bool ok = sparp__buf_text(env, b, "Authorization: Basic ");
    uint32_t word = 0;
    int bits = 0, count = 0;
    for (size_t i = 0; ok && i < userinfo.size; i++, count++) {
        unsigned char c = (unsigned char)userinfo.data[i];
        if (c == '%' && i + 2 < userinfo.size && sparp__hex_value(userinfo.data[i + 1]) >= 0
            && sparp__hex_value(userinfo.data[i + 2]) >= 0) {
            c = (unsigned char)(sparp__hex_value(userinfo.data[i + 1]) * 16
                                + sparp__hex_value(userinfo.data[i + 2]));
            i += 2;
        }
        word = word << 8 | c;
        for (bits += 8; ok && bits >= 6; bits -= 6)
            ok = sparp__buf_byte(env, b, digits[word >> (bits - 6) & 63]);
    }
    if (bits > 0)
        ok = ok && sparp__buf_byte(env, b, digits[word << (6 - bits) & 63]);
    for (; count % 3 != 0; count++)
        ok = ok && sparp__buf_byte(env, b, '=');
    return ok && sparp__buf_text(env, b, "\r\n");
}

/* The line that frames the body. A body-less POST says 0, so that no server waits for one
   (RFC 9110 §8.6). */
static bool sparp__request_add_length(sparp__env *env, sparp__buf *b, const char *method,
                                      size_t body_size) {
    if (body_size == 0 && strcmp(method, "POST") != 0 && strcmp(method, "PUT") != 0
        && strcmp(method, "PATCH") != 0)
        return true;
    return sparp__buf_text(env, b, "Content-Length: ") && sparp__buf_number(env, b, body_size)
        && sparp__buf_text(env, b, "\r\n");
}

static bool sparp__request_add_head(sparp__env *env, sparp__buf *b, const sparp_request *in,
                                    const sparp__url *url, const sparp__fields *fields,
                                    size_t body_size) {
    const char *method = in->method;
    const sparp_field *host = sparp__fields_find(fields, "host");
    bool ok = sparp__buf_text(env, b, method) && sparp__buf_byte(env, b, ' ')
        && sparp__request_add_target(env, b, url->path, in)
        && sparp__buf_text(env, b, " HTTP/1.1\r\nHost: ");
    if (ok && host != NULL && host->value != NULL)
        ok = sparp__buf_text(env, b, host->value);
    else
        ok = ok && sparp__request_add_host(env, b, url);
    ok = ok && sparp__buf_text(env, b, "\r\n")
        && sparp__request_add_default(env, b, fields, "User-Agent", "sparp/" SPARP_VERSION_STRING)
        && sparp__request_add_default(env, b, fields, "Accept", "*/*");
    if (in->json != NULL)
        ok = ok && sparp__request_add_default(env, b, fields, "Content-Type", "application/json");
    if (url->userinfo.size > 0 && sparp__fields_find(fields, "authorization") == NULL)
        ok = ok && sparp__request_add_basic(env, b, url->userinfo);
    return ok
        && sparp__request_add_fields(env, b, fields->run, fields->num_run,
                                     fields->own, fields->num_own)
        && sparp__request_add_fields(env, b, fields->own, fields->num_own, NULL, 0)
        && sparp__request_add_length(env, b, method, body_size)
        && sparp__buf_text(env, b, "\r\n");
}

/* The url for people: with the parameters, without fragment and password. */
static bool sparp__request_add_url(sparp__env *env, sparp__buf *b, const sparp_request *in,
                                   const sparp__url *url) {
    return sparp__buf_text(env, b, url->https ? "https://" : "http://")
        && (url->userinfo.size == 0 || sparp__buf_text(env, b, "***@"))
        && sparp__request_add_host(env, b, url)
        && sparp__request_add_target(env, b, url->path, in)
        && sparp__buf_byte(env, b, '\0');
}

/* Safe to send twice: RFC 9110 §9.2.2, or said to be. */
static bool sparp__request_is_safe(const sparp_request *in, const sparp__fields *fields) {
    static const char methods[] = " GET HEAD OPTIONS TRACE PUT DELETE ";
    const char *at = strstr(methods, in->method);
    const sparp_field *key = sparp__fields_find(fields, "idempotency-key");
    return in->idempotent || (key != NULL && key->value != NULL)
        || (at != NULL && at > methods && at[-1] == ' ' && at[strlen(in->method)] == ' ');
}

static void sparp__request_set_origin(sparp__request *r, const sparp__url *url) {
    size_t n = url->host.size;
    if (n > 1 && url->host.data[n - 1] == '.')
        n--;
    for (size_t i = 0; i < n; i++)
        r->host[i] = sparp__ascii_lower(url->host.data[i]);
    r->host[n] = '\0';
    r->port = url->port;
}

/* The url and the method of a request that is refused, as far as they can be shown. */
static bool sparp__request_keep_names(sparp__env *env, sparp__request *r, const char *url,
                                      const char *method) {
    r->image.size = 0;
    r->wire_size = r->url_at = 0;
    r->method_at = strlen(url) + 1;
    return sparp__buf_append(env, &r->image, url, strlen(url) + 1)
        && sparp__buf_append(env, &r->image, method, strlen(method) + 1);
}

/* Fills `r`, whose buffer may have been used before. On false *fault says why, and as much of
   url and method is kept as can be. */
static bool sparp__request_build(sparp__env *env, sparp__request *r, const sparp_request *user,
                                 const sparp_field *run_fields, size_t num_run_fields,
                                 sparp__fault *fault) {
    sparp__url url;
    sparp__fields fields;
    sparp_request in = *user;
    const void *body = in.json != NULL ? in.json : in.body;
    size_t body_size = in.json != NULL ? strlen(in.json) : in.body_size;
    const char *wrong = NULL;
    if (in.method == NULL)
        in.method = body != NULL ? "POST" : "GET";
    if (!sparp__request_check(&in, body_size, fault))
        wrong = fault->detail;
    else if ((wrong = sparp__url_parse(sparp__str_of(in.url), &url)) != NULL)
        sparp__fault_set(fault, SPARP_E_BAD_REQUEST, 0, "%s", wrong);
    if (wrong != NULL) {
        bool secret = in.url != NULL && strchr(in.url, '@') != NULL;
        if (!sparp__request_keep_names(env, r, in.url == NULL ? "" : secret ? "***" : in.url,
                                       in.method))
            sparp__request_keep_names(env, r, "", "");
        return false;
    }
    fields.own = in.headers;
    fields.num_own = in.num_headers;
    fields.run = run_fields;
    fields.num_run = num_run_fields;
    r->image.size = 0;
    bool ok = sparp__request_add_head(env, &r->image, &in, &url, &fields, body_size)
        && sparp__buf_append(env, &r->image, (const char *)body, body_size);
    r->wire_size = r->url_at = r->image.size;
    ok = ok && sparp__request_add_url(env, &r->image, &in, &url);
    r->method_at = r->image.size;
    ok = ok && sparp__buf_append(env, &r->image, in.method, strlen(in.method) + 1);
    if (!ok) {
        sparp__request_keep_names(env, r, "", "");
        return sparp__fault_memory(fault);
    }
    sparp__request_set_origin(r, &url);
    r->is_head = strcmp(in.method, "HEAD") == 0;
    r->replay_safe = sparp__request_is_safe(&in, &fields);
    if (url.https)
        return sparp__fault_set(fault, SPARP_E_TLS_ABSENT, 0,
                                "https is not spoken by this build of sparp");
    return true;
}

/* Never NULL, also when there was no memory for them. */
static const char *sparp__request_url(const sparp__request *r) {
    return r->url_at < r->image.size ? r->image.data + r->url_at : "";
}

static const char *sparp__request_method(const sparp__request *r) {
    return r->method_at < r->image.size ? r->image.data + r->method_at : "";
}

/* ============================================================================================ */
/* >>http       the response parser (RFC 9112), resumable at every byte. Bytes come in as slices; */
/*              one event at a time goes out; no descriptor, no clock. What is refused is        */
/*              refused at once. Uses buf, env.                                                  */
/* ============================================================================================ */

#define SPARP__HTTP_MAX_LINES 256       /* field lines of one head */
#define SPARP__HTTP_MAX_INTERIM 32      /* 1xx responses before the final one */

/*   STATUS --line--> FIELD --empty line--> READY --> LENGTH --> DONE
       ^                |                      |----> UNTIL_EOF --peer closes--> DONE
       '--1xx-----------'                      |----> CHUNK_SIZE --> CHUNK_DATA --> CHUNK_END -.
                                               |        ^  '--last chunk--> TRAILER --> DONE   |
                                               '> DONE  '--------------------------------------'
   Every state may go to BAD. */
typedef enum sparp__http_state {
    SPARP__HTTP_STATUS,                 /* waits for the rest of the status line */
    SPARP__HTTP_FIELD,                  /* for a field line, or the empty one that ends the head */
    SPARP__HTTP_READY,                  /* for nothing: the head is complete and reported */
    SPARP__HTTP_LENGTH,                 /* for `left` more bytes */
    SPARP__HTTP_UNTIL_EOF,              /* for bytes, until the peer closes */
    SPARP__HTTP_CHUNK_SIZE,             /* for the hex digits of a chunk-size line */
    SPARP__HTTP_CHUNK_EXT,              /* for the CR that ends its extensions */
    SPARP__HTTP_CHUNK_LF,               /* for the LF behind that */
    SPARP__HTTP_CHUNK_DATA,             /* for `left` more bytes of this chunk */
    SPARP__HTTP_CHUNK_CR,               /* for the CR behind the chunk's data */
    SPARP__HTTP_CHUNK_END,              /* for the LF behind that */
    SPARP__HTTP_TRAILER,                /* for a trailer line, or the empty one that ends it all */
    SPARP__HTTP_DONE,                   /* for nothing: the response is complete */
    SPARP__HTTP_BAD                     /* for nothing: the fault says why */
} sparp__http_state;

typedef enum sparp__http_event {
    SPARP__HTTP_MORE,                   /* everything is eaten: feed more */
    SPARP__HTTP_GO_ON,                  /* not seen outside of this section */
    SPARP__HTTP_HEAD,                   /* the final head is complete */
    SPARP__HTTP_PIECE,                  /* a piece of the body */
    SPARP__HTTP_COMPLETE,               /* the response is; what is left does not belong to it */
    SPARP__HTTP_FAILED                  /* see fault */
} sparp__http_event;

typedef struct sparp__http {            /* zeroed, then sparp__http_start() */
    sparp__http_state state;
    sparp__buf   head;                  /* "name" NUL "value" NUL, again and again */
    sparp__buf   line;                  /* the part of a line that has come so far */
    sparp_field *fields;                /* made when the head is complete; points into head */
    size_t       num_fields, fields_capacity;
    size_t       max_head, head_bytes;  /* limit and count: status line, fields, 1xx included */
    size_t       overhead;              /* chunk extensions and trailers: the same limit */
    uint64_t     left;                  /* bytes still to come: of the body, or of this chunk */
    int          status, interim, digits;
    int          keep_alive_s;          /* what Keep-Alive: timeout= said; -1: nothing */
    bool         is_head_request, http10, keep_alive, chunked, has_length;
    sparp__fault fault;
} sparp__http;

static void sparp__http_free(sparp__env *env, sparp__http *h) {
    sparp__buf_free(env, &h->head);
    sparp__buf_free(env, &h->line);
    sparp__env_free(env, h->fields, h->fields_capacity * sizeof *h->fields);
    memset(h, 0, sizeof *h);
}

static void sparp__http_start(sparp__env *env, sparp__http *h, bool is_head_request,
                              size_t max_head) {
    sparp__buf_reuse(env, &h->head);
    sparp__buf_reuse(env, &h->line);
    h->state = SPARP__HTTP_STATUS;
    h->num_fields = h->head_bytes = h->overhead = 0;
    h->max_head = max_head;
    h->left = 0;
    h->status = h->interim = h->digits = 0;
    h->keep_alive_s = -1;
    h->is_head_request = is_head_request;
    h->http10 = h->keep_alive = h->chunked = h->has_length = false;
    sparp__fault_clear(&h->fault);
}

static sparp__http_event sparp__http_bad(sparp__http *h, const char *what) {
    h->state = SPARP__HTTP_BAD;
    sparp__fault_set(&h->fault, SPARP_E_PROTOCOL, 0, "not valid HTTP/1.1: %s", what);
    return SPARP__HTTP_FAILED;
}

static sparp__http_event sparp__http_no_memory(sparp__http *h) {
    h->state = SPARP__HTTP_BAD;
    sparp__fault_memory(&h->fault);
    return SPARP__HTTP_FAILED;
}

static sparp__http_event sparp__http_too_large(sparp__http *h, const char *what) {
    h->state = SPARP__HTTP_BAD;
    sparp__fault_set(&h->fault, SPARP_E_HEAD_TOO_LARGE, 0, "%s exceeds max_head_bytes (%lu)", what,
                     (unsigned long)h->max_head);
    return SPARP__HTTP_FAILED;
}

/* A peer that speaks something else is known by its first bytes: no need to wait for a line. */
static sparp__http_event sparp__http_check_start(sparp__http *h, sparp__str line) {
    static const char start[] = "HTTP/1.";
    size_t n = line.size < 7 ? line.size : 7;
    if (memcmp(line.data, start, n) == 0)
        return SPARP__HTTP_GO_ON;
    if (line.data[0] == 0x15 || line.data[0] == 0x16)
        return sparp__http_bad(h, "the peer speaks TLS");
    if (n > 5 && memcmp(line.data, start, 5) == 0)
        return sparp__http_bad(h, "another HTTP version");
    return sparp__http_bad(h, "no status line");
}

/* The next line, without its end, in *line: a slice of `in`, or of h->line if it came in parts.
   A bare LF ends a line too (RFC 9112 §2.2). */
static sparp__http_event sparp__http_take_line(sparp__env *env, sparp__http *h, sparp__str *in,
                                               size_t *count, sparp__str *line) {
    const char *lf = (const char *)memchr(in->data, '\n', in->size);
    size_t n = lf != NULL ? (size_t)(lf - in->data) + 1 : in->size;
    if (n > h->max_head - *count)
        return sparp__http_too_large(h, count == &h->overhead ? "trailer" : "response head");
    *count += n;
    if (lf == NULL || h->line.size > 0) {
        if (!sparp__buf_append(env, &h->line, in->data, n))
            return sparp__http_no_memory(h);
        *line = sparp__str_make(h->line.data, h->line.size);
    } else {
        *line = sparp__str_make(in->data, n);
    }
    *in = sparp__str_skip(*in, n);
    if (lf == NULL)
        return SPARP__HTTP_MORE;
    line->size--;
    if (line->size > 0 && line->data[line->size - 1] == '\r')
        line->size--;
    h->line.size = 0;                   /* the bytes stay there until the next call */
    return SPARP__HTTP_GO_ON;
}

static sparp__http_event sparp__http_on_status(sparp__http *h, sparp__str line) {
    uint64_t status;
    if (line.size < 7)
        return sparp__http_bad(h, "no status line");
    if (sparp__http_check_start(h, line) == SPARP__HTTP_FAILED)
        return SPARP__HTTP_FAILED;
    if (line.size < 12 || !sparp__ascii_digit(line.data[7]) || line.data[8] != ' '
        || !sparp__str_number(sparp__str_make(line.data + 9, 3), 999, &status)
        || status < 100 || (line.size > 12 && line.data[12] != ' '))
        return sparp__http_bad(h, "bad status line");
    for (size_t i = 12; i < line.size; i++)
        if (line.data[i] == '\0' || line.data[i] == '\r')
            return sparp__http_bad(h, "NUL or CR in the status line");
    h->http10 = line.data[7] == '0';
    h->status = (int)status;
    h->state = SPARP__HTTP_FIELD;
    return SPARP__HTTP_GO_ON;
}

static bool sparp__http_value_ok(sparp__str value) {
    return value.size == 0
        || (memchr(value.data, '\0', value.size) == NULL
            && memchr(value.data, '\r', value.size) == NULL);
}

/* obs-fold: a line that begins with a blank goes on with the value of the one before. A user
   agent must take it as a space (RFC 9112 §5.2). */
static sparp__http_event sparp__http_on_fold(sparp__env *env, sparp__http *h, sparp__str line) {
    sparp__str more = sparp__str_trim(line);
    if (h->num_fields == 0)
        return sparp__http_bad(h, "a blank before the first field");
    if (!sparp__http_value_ok(more))
        return sparp__http_bad(h, "NUL or CR in a field value");
    if (more.size == 0)
        return SPARP__HTTP_GO_ON;
    h->head.size--;                     /* the NUL behind the value */
    if (!sparp__buf_byte(env, &h->head, ' ') || !sparp__buf_add(env, &h->head, more)
        || !sparp__buf_byte(env, &h->head, '\0'))
        return sparp__http_no_memory(h);
    return SPARP__HTTP_GO_ON;
}

static sparp__http_event sparp__http_on_field(sparp__env *env, sparp__http *h, sparp__str line) {
    if (line.data[0] == ' ' || line.data[0] == '\t')
        return sparp__http_on_fold(env, h, line);
    const char *colon = (const char *)memchr(line.data, ':', line.size);
    if (colon == NULL)
        return sparp__http_bad(h, "a field without a colon");
    if (h->num_fields >= SPARP__HTTP_MAX_LINES)
        return sparp__http_too_large(h, "the number of fields (256)");
    size_t name_size = (size_t)(colon - line.data);
    sparp__str value = sparp__str_trim(sparp__str_skip(line, name_size + 1));
    if (!sparp__http_value_ok(value))
        return sparp__http_bad(h, "NUL or CR in a field value");
    if (!sparp__buf_reserve(env, &h->head, line.size + 2))
        return sparp__http_no_memory(h);
    char *out = h->head.data + h->head.size;
    for (size_t i = 0; i < name_size; i++)
        if ((out[i] = sparp__token_fold[(unsigned char)line.data[i]]) == '\0')
            return sparp__http_bad(h, "a character in a field name that no name has");
    if (name_size == 0)
        return sparp__http_bad(h, "a field without a name");
    out[name_size] = '\0';
    memcpy(out + name_size + 1, value.data, value.size);
    out[name_size + 1 + value.size] = '\0';
    h->head.size += name_size + value.size + 2;
    h->num_fields++;
    return SPARP__HTTP_GO_ON;
}

/* head cannot move any more: point into it. */
static bool sparp__http_index_fields(sparp__env *env, sparp__http *h) {
    if (h->num_fields > h->fields_capacity) {
        size_t capacity = h->num_fields + 8;
        void *fields = sparp__env_realloc(env, h->fields, h->fields_capacity * sizeof *h->fields,
                                          capacity * sizeof *h->fields);
        if (fields == NULL)
            return false;
        h->fields = (sparp_field *)fields;
        h->fields_capacity = capacity;
    }
    const char *at = h->head.data;
    for (size_t i = 0; i < h->num_fields; i++) {
        h->fields[i].name = at;
        h->fields[i].value = at += strlen(at) + 1;
        at += strlen(at) + 1;
    }
    return true;
}

/* RFC 9112 §6.1: the one coding we take is "chunked", once. */
static sparp__http_event sparp__http_on_coding(sparp__http *h, sparp__str value) {
    sparp__str coding;
    while (sparp__str_element(&value, &coding)) {
        if (h->chunked || !sparp__str_same(coding, "chunked"))
            return sparp__http_bad(h, "an unknown transfer coding");
        h->chunked = true;
    }
    return h->chunked ? SPARP__HTTP_GO_ON : sparp__http_bad(h, "an empty transfer coding");
}

/* RFC 9112 §6.3 rule 5: a list of equal lengths is one length. */
static sparp__http_event sparp__http_on_length(sparp__http *h, sparp__str value) {
    sparp__str element;
    uint64_t length;
    if (value.size == 0)
        return sparp__http_bad(h, "an empty Content-Length");
    while (sparp__str_element(&value, &element)) {
        if (!sparp__str_number(element, INT64_MAX, &length))
            return sparp__http_bad(h, "a Content-Length that is not a number");
        if (h->has_length && length != h->left)
            return sparp__http_bad(h, "two different Content-Lengths");
        h->left = length;
        h->has_length = true;
    }
    return h->has_length ? SPARP__HTTP_GO_ON : sparp__http_bad(h, "an empty Content-Length");
}

/* RFC 9112 §9.3: 1.1 stays open unless it says close, 1.0 closes unless it says keep-alive. */
static void sparp__http_on_connection(sparp__str value, bool *close, bool *keep) {
    sparp__str option;
    while (sparp__str_element(&value, &option)) {
        *close = *close || sparp__str_same(option, "close");
        *keep = *keep || sparp__str_same(option, "keep-alive");
    }
}

static void sparp__http_on_keep_alive(sparp__http *h, sparp__str value, bool *close) {
    sparp__str parameter;
    uint64_t n;
    while (sparp__str_element(&value, &parameter)) {
        if (parameter.size > 8 && sparp__str_same(sparp__str_make(parameter.data, 8), "timeout=")
            && sparp__str_number(sparp__str_skip(parameter, 8), 3600, &n))
            h->keep_alive_s = (int)n;
        if (sparp__str_same(parameter, "max=0"))
            *close = true;
    }
}

/* What the fields say about framing and reuse. */
static sparp__http_event sparp__http_read_fields(sparp__http *h) {
    sparp__http_event event = SPARP__HTTP_GO_ON;
    bool close = false, keep = false;
    for (size_t i = 0; i < h->num_fields && event == SPARP__HTTP_GO_ON; i++) {
        const char *name = h->fields[i].name;
        size_t length = (size_t)(h->fields[i].value - name) - 1;
        sparp__str value = sparp__str_of(h->fields[i].value);
        if (length == 14 && memcmp(name, "content-length", 14) == 0)
            event = sparp__http_on_length(h, value);
        else if (length == 17 && memcmp(name, "transfer-encoding", 17) == 0)
            event = sparp__http_on_coding(h, value);
        else if (length == 10 && memcmp(name, "connection", 10) == 0)
            sparp__http_on_connection(value, &close, &keep);
        else if (length == 10 && memcmp(name, "keep-alive", 10) == 0)
            sparp__http_on_keep_alive(h, value, &close);
    }
    h->keep_alive = !close && (keep || !h->http10);
    return event;
}

/* RFC 9112 §6.3, in its order. */
static void sparp__http_frame_body(sparp__http *h) {
    if (h->chunked && (h->has_length || h->http10))
        h->keep_alive = false;          /* §6.1: somebody on the way may read it otherwise */
    if (h->is_head_request || h->status == 204 || h->status == 304) {
        h->left = 0;
        h->state = SPARP__HTTP_DONE;
    } else if (h->chunked) {
        h->left = 0;
        h->state = SPARP__HTTP_CHUNK_SIZE;
    } else if (h->has_length) {
        h->state = h->left > 0 ? SPARP__HTTP_LENGTH : SPARP__HTTP_DONE;
    } else {
        h->keep_alive = false;
        h->state = SPARP__HTTP_UNTIL_EOF;
    }
}

static sparp__http_event sparp__http_on_head_end(sparp__env *env, sparp__http *h) {
    if (h->status == 101)
        return sparp__http_bad(h, "101 without an Upgrade request");
    if (h->status < 200) {              /* RFC 9110 §15.2: skip it, the final one follows */
        if (++h->interim > SPARP__HTTP_MAX_INTERIM)
            return sparp__http_bad(h, "more than 32 interim responses");
        h->head.size = h->num_fields = 0;
        h->state = SPARP__HTTP_STATUS;
        return SPARP__HTTP_GO_ON;
    }
    if (!sparp__http_index_fields(env, h))
        return sparp__http_no_memory(h);
    if (sparp__http_read_fields(h) == SPARP__HTTP_FAILED)
        return SPARP__HTTP_FAILED;
    h->state = SPARP__HTTP_READY;
    return SPARP__HTTP_HEAD;
}

/* Status line, field lines, trailer lines. */
static sparp__http_event sparp__http_feed_line(sparp__env *env, sparp__http *h, sparp__str *in) {
    sparp__str line;
    bool trailer = h->state == SPARP__HTTP_TRAILER;
    sparp__http_event event =
        sparp__http_take_line(env, h, in, trailer ? &h->overhead : &h->head_bytes, &line);
    if (event == SPARP__HTTP_MORE && h->state == SPARP__HTTP_STATUS)
        return sparp__http_check_start(h, line) == SPARP__HTTP_FAILED ? SPARP__HTTP_FAILED : event;
    if (event != SPARP__HTTP_GO_ON)
        return event;
    if (h->state == SPARP__HTTP_STATUS)
        return sparp__http_on_status(h, line);
    if (line.size > 0)                  /* trailers are bounded and dropped (RFC 9110 §6.5.1) */
        return trailer ? SPARP__HTTP_GO_ON : sparp__http_on_field(env, h, line);
    if (!trailer)
        return sparp__http_on_head_end(env, h);
    h->state = SPARP__HTTP_DONE;
    return SPARP__HTTP_GO_ON;
}

static sparp__http_event sparp__http_feed_piece(sparp__http *h, sparp__str *in,
                                                sparp__str *piece) {
    bool until_eof = h->state == SPARP__HTTP_UNTIL_EOF;
    size_t n = until_eof || h->left > in->size ? in->size : (size_t)h->left;
    *piece = sparp__str_make(in->data, n);
    *in = sparp__str_skip(*in, n);
    if (!until_eof && (h->left -= n) == 0)
        h->state = h->state == SPARP__HTTP_LENGTH ? SPARP__HTTP_DONE : SPARP__HTTP_CHUNK_CR;
    return SPARP__HTTP_PIECE;
}

/* A hex digit, or what ends them. Bytes that say nothing (leading zeros beyond reason, blanks,
   extensions) are overhead, which has a limit. */
static sparp__http_event sparp__http_on_chunk_size(sparp__http *h, char c) {
    int value = sparp__hex_value(c);
    if (value >= 0) {
        if (h->left > (uint64_t)(INT64_MAX >> 4))
            return sparp__http_bad(h, "a chunk size beyond all measure");
        h->left = h->left << 4 | (uint64_t)value;
        if (++h->digits > 16 && ++h->overhead > h->max_head)
            return sparp__http_too_large(h, "chunk overhead");
    } else if (h->digits == 0) {
        return sparp__http_bad(h, "a chunk without a size");
    } else if (c == '\r') {
        h->state = SPARP__HTTP_CHUNK_LF;
    } else if (c == ';' || c == ' ' || c == '\t') {
        h->state = SPARP__HTTP_CHUNK_EXT;
    } else {
        return sparp__http_bad(h, "a bad chunk size");
    }
    return SPARP__HTTP_GO_ON;
}

static sparp__http_event sparp__http_on_chunk_byte(sparp__http *h, char c) {
    switch (h->state) {
    case SPARP__HTTP_CHUNK_SIZE:
        return sparp__http_on_chunk_size(h, c);
    case SPARP__HTTP_CHUNK_EXT:
        if (c == '\n' || c == '\0')
            return sparp__http_bad(h, "a bad chunk extension");
        if (++h->overhead > h->max_head)
            return sparp__http_too_large(h, "chunk overhead");
        if (c == '\r')
            h->state = SPARP__HTTP_CHUNK_LF;
        return SPARP__HTTP_GO_ON;
    case SPARP__HTTP_CHUNK_LF:
        if (c != '\n')
            return sparp__http_bad(h, "a chunk size line without its LF");
        h->digits = 0;
        h->state = h->left > 0 ? SPARP__HTTP_CHUNK_DATA : SPARP__HTTP_TRAILER;
        return SPARP__HTTP_GO_ON;
    case SPARP__HTTP_CHUNK_CR:
        if (c != '\r')
            return sparp__http_bad(h, "a chunk longer than its size");
        h->state = SPARP__HTTP_CHUNK_END;
        return SPARP__HTTP_GO_ON;
    default:
        if (c != '\n')
            return sparp__http_bad(h, "a chunk without its end");
        h->state = SPARP__HTTP_CHUNK_SIZE;
        return SPARP__HTTP_GO_ON;
    }
}

/* Eats from *in, at most up to the next event. A PIECE is a slice of what was given. */
static sparp__http_event sparp__http_feed(sparp__env *env, sparp__http *h, sparp__str *in,
                                          sparp__str *piece) {
    sparp__http_event event = SPARP__HTTP_GO_ON;
    while (event == SPARP__HTTP_GO_ON) {
        if (h->state == SPARP__HTTP_DONE)
            return SPARP__HTTP_COMPLETE;
        if (h->state == SPARP__HTTP_BAD)
            return SPARP__HTTP_FAILED;
        if (h->state == SPARP__HTTP_READY) {
            sparp__http_frame_body(h);
            continue;
        }
        if (in->size == 0)
            return SPARP__HTTP_MORE;
        switch (h->state) {
        case SPARP__HTTP_STATUS:
        case SPARP__HTTP_FIELD:
        case SPARP__HTTP_TRAILER:
            event = sparp__http_feed_line(env, h, in);
            break;
        case SPARP__HTTP_LENGTH:
        case SPARP__HTTP_UNTIL_EOF:
        case SPARP__HTTP_CHUNK_DATA:
            event = sparp__http_feed_piece(h, in, piece);
            break;
        default:
            event = sparp__http_on_chunk_byte(h, in->data[0]);
            *in = sparp__str_skip(*in, 1);
        }
    }
    return event;
}

/* The peer has closed: COMPLETE where that is how the body ends, else FAILED. */
static sparp__http_event sparp__http_feed_eof(sparp__http *h) {
    if (h->state == SPARP__HTTP_UNTIL_EOF)
        h->state = SPARP__HTTP_DONE;
    if (h->state == SPARP__HTTP_DONE)
        return SPARP__HTTP_COMPLETE;
    if (h->state == SPARP__HTTP_BAD)
        return SPARP__HTTP_FAILED;
    if (h->state <= SPARP__HTTP_FIELD)
        sparp__fault_set(&h->fault, SPARP_E_CLOSED, 0, h->head_bytes == 0
                         ? "peer closed the connection without an answer"
                         : "peer closed the connection in the middle of the response head");
    else
        sparp__fault_set(&h->fault, SPARP_E_TRUNCATED, 0,
                         "peer closed the connection in the middle of the body");
    h->state = SPARP__HTTP_BAD;
    return SPARP__HTTP_FAILED;
}

#endif

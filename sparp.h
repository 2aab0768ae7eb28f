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

SPARP_API void          sparp_stop(sparp *run);            /* as a stop rule: aborts, or drains */
SPARP_API void          sparp_abort(sparp *run);           /* cuts what is in flight, also while draining */
SPARP_API void          sparp_cancel(sparp *run, uint64_t index);  /* one request, if it is under way */
SPARP_API void          sparp_wake(sparp *run);            /* legal from any thread or signal handler */
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

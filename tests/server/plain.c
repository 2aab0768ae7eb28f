/* plain.c - a fast, well-behaved HTTP/1.1 server for tests, examples and benchmarks.

   usage: plain [--port N] [--port-file FILE] [--ipv6] [--unix PATH] [--max-seconds N]
   (see listen.h)

   Loopback only. One thread: epoll on Linux, poll elsewhere or with -DPLAIN_USE_POLL.

   /items/N                    200 {"id":N,"name":"item N"}
   /status/CODE                that status
   /delay/MS                   200 after that many milliseconds
   /flaky/KEY/N                the first N requests with this KEY get 503, later ones 200
   /slow-then-fast/KEY/N/MS    the first N requests with this KEY take MS, later ones nothing
   /retry-after/KEY/SECONDS    the first request with this KEY gets 429 with Retry-After
   /left/N/LEFT/SECONDS        200 that says so, by RateLimit-Limit, -Remaining and -Reset
   /throttle/N/SECONDS/MS      200 after MS; but where more than N requests have come in a second,
                               429 with Retry-After: SECONDS, see "early" and "probes" below
   /bytes/N  /chunked/N        N bytes "abc..z", with a Content-Length or chunked
   /close/N                    the same, ended by the end of the connection
   /echo                       any method: the request as JSON
   /v1/...                     any method: the request's body, as it came
   /redirect/CODE/N            that status, N times, then as /echo
   /redirect-to/CODE?URL       that status, to just this URL
   /half/KEY/N/M               the first time with this KEY half of N bytes, then M bytes
   /digest                     {"size":N,"cksum":N} of the request's body, as cksum(1) has it
   /trickle/N/MS               N bytes, one each MS milliseconds
   /peer                       {"address":"127.0.0.1"}: whom we talk to
   /rst  /eof  /hang           a reset, an end, nothing at all instead of an answer
   /demo/N                     an API with a temper, see demo_route()
   /stats                      what has been asked so far, as JSON; /stats itself is not counted
   /stats/reset                forgets it all, the KEYs too

   A 429 of /throttle means that nothing shall come for SECONDS; the latest such end counts. How
   that is obeyed, /stats says, of all requests to all routes:
   early    requests that came although their client had been told: before the end that was known
            when the answer before this one left on the same connection (a client that has read
            that answer can have read every 429 that left before it); or before the end that was
            known half a second before the connection was opened. What was on its way when the
            429 left is thus not counted, and all else is.
   probes   the most requests that came after such an end before one of them was answered */
#define _GNU_SOURCE                /* one set of names on every libc */
#include "listen.h"
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/resource.h>

#if defined(__linux__) && !defined(PLAIN_USE_POLL)
#define USE_EPOLL 1
#include <sys/epoll.h>
#else
#define USE_EPOLL 0
#endif

enum {
    MAX_FD     = 65536,            /* connections, about */
    MAX_HEAD   = 64 * 1024,
    MAX_BODY   = 256 * 1024 * 1024,
    MAX_FIELDS = 100,
    MAX_ARGS   = 3,
    SECOND_US  = 1000000
};

/* --- buffers ------------------------------------------------------------------------------- */

struct buf {
    char  *data;
    size_t size, capacity;
};

static void buf_reserve(struct buf *b, size_t more) {
    if (b->capacity - b->size >= more)
        return;
    size_t capacity = b->capacity < 1024 ? 1024 : b->capacity;
    while (capacity - b->size < more)
        capacity *= 2;
    b->data = realloc(b->data, capacity);
    if (b->data == NULL)
        die("memory");
    b->capacity = capacity;
}

static void buf_add(struct buf *b, const char *data, size_t size) {
    if (size == 0)
        return;
    buf_reserve(b, size);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

__attribute__((format(printf, 2, 3)))
static void buf_print(struct buf *b, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_add(b, text, size < (int)sizeof text ? (size_t)size : sizeof text - 1);
}

static void buf_cut_front(struct buf *b, size_t size) {
    b->size -= size;
    if (b->size > 0)
        memmove(b->data, b->data + size, b->size);
}

/* Length of the UTF-8 sequence at s, 0 if it is none. */
static size_t utf8_length(const unsigned char *s, size_t size) {
    size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3
                  : s[0] < 0xf5 ? 4 : 0;
    if (length > size)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong  = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] >= 0xa0;
    bool too_high  = s[0] == 0xf4 && s[1] >= 0x90;
    return overlong || surrogate || too_high ? 0 : length;
}

/* The inside of a JSON string. A byte that is no UTF-8 becomes the character of that number. */
static void buf_add_json(struct buf *b, const char *text, size_t size) {
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < size;) {
        size_t length = utf8_length(s + i, size - i);
        if (s[i] == '"' || s[i] == '\\')
            buf_print(b, "\\%c", s[i]);
        else if (s[i] < 0x20 || length == 0)
            buf_print(b, "\\u%04x", s[i]);
        else
            buf_add(b, text + i, length);
        i += length == 0 ? 1 : length;
    }
}

/* --- connections, and what waits for its time ---------------------------------------------- */

enum state {
    READING,                       /* for the rest of a request */
    HELD,                          /* for its timer, or with none for the client to give up */
    SENDING                        /* for room in the socket */
};

enum ending { KEEP, CLOSE, RESET };    /* what becomes of the connection after the answer */

struct conn {
    int         fd;
    enum state  state;
    enum ending ending;
    bool        head_only;         /* the request is a HEAD */
    bool        told_to_go_on;     /* it has asked for 100 Continue */
    bool        counted;           /* among the requests of now */
    int64_t     quiet_until;       /* what its client was told by /throttle; 0: nothing */
    bool        watches_writes;
    unsigned    era;               /* of the statistics this connection was last counted in */
    struct buf  in, out;
    size_t      sent;              /* bytes of out */
    long        drops, drop_ms;    /* bytes of /trickle still to come, and their distance */
    int64_t     due_us;
    size_t      timer;             /* place in timers[] + 1; 0: none */
};

static struct conn *conns[MAX_FD];     /* by descriptor */
static struct conn *timers[MAX_FD];    /* a binary heap, the next one due first */
static size_t       num_timers;

static void timer_place(size_t i, struct conn *c) {
    timers[i] = c;
    c->timer = i + 1;
}

/* Moves the hole at i to where c belongs, and puts it there. */
static void timer_settle(size_t i, struct conn *c) {
    for (; i > 0 && timers[(i - 1) / 2]->due_us > c->due_us; i = (i - 1) / 2)
        timer_place(i, timers[(i - 1) / 2]);
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < num_timers && timers[child + 1]->due_us < timers[child]->due_us)
            child++;
        if (child >= num_timers || timers[child]->due_us >= c->due_us)
            break;
        timer_place(i, timers[child]);
        i = child;
    }
    timer_place(i, c);
}

static void timer_remove(struct conn *c) {
    if (c->timer == 0)
        return;
    size_t hole = c->timer - 1;
    struct conn *last = timers[--num_timers];
    if (last != c)
        timer_settle(hole, last);
    c->timer = 0;
}

/* The answer is ready but is to leave later. */
static void hold(struct conn *c, int64_t ms) {
    c->state = HELD;
    c->due_us = now_us() + ms * 1000;
    timer_settle(num_timers++, c);
}

/* --- readiness: epoll, or poll ------------------------------------------------------------- */

static int ready[1024];                /* the descriptors watch_wait() found ready */
static int listener = -1;

#if USE_EPOLL

static int epoll_fd = -1;

static void watch(int fd, bool added, bool writes) {
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = writes ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.fd = fd;
    if (epoll_fd < 0)
        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(epoll_fd, added ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) != 0)
        die("epoll_ctl");
}

static int watch_wait(int ms) {
    struct epoll_event events[sizeof ready / sizeof ready[0]];
    int n = epoll_wait(epoll_fd, events, sizeof ready / sizeof ready[0], ms);
    for (int i = 0; i < n; i++)
        ready[i] = events[i].data.fd;
    return n;
}

#else

static void watch(int fd, bool added, bool writes) {
    (void)fd, (void)added, (void)writes;      /* watch_wait() looks at the connections itself */
}

static int watch_wait(int ms) {
    static struct pollfd set[MAX_FD];
    static nfds_t        next;                /* go on there: no connection may be starved */
    nfds_t size = 0;
    for (int fd = 0; fd < MAX_FD; fd++)
        if (fd == listener || conns[fd] != NULL) {
            set[size].fd = fd;
            set[size].revents = 0;
            set[size++].events = fd != listener && conns[fd]->watches_writes ? POLLIN | POLLOUT
                                                                             : POLLIN;
        }
    int found = 0;
    if (poll(set, size, ms) <= 0)
        return 0;
    for (nfds_t i = 0; i < size && found < (int)(sizeof ready / sizeof ready[0]); i++, next++)
        if (set[next % size].revents != 0)
            ready[found++] = set[next % size].fd;
    return found;
}

#endif

/* --- statistics ---------------------------------------------------------------------------- */

static struct {
    uint64_t requests, connections, now, most_at_once;
    int64_t  first_us, last_us;
    size_t   max_in_window;
    uint64_t refused, early, probes;
} stats;
static unsigned era = 1;               /* +1 with each /stats/reset */
static int64_t  start_us;

/* The arrivals of the last second, a ring whose capacity is a power of two. */
static struct {
    int64_t *at;
    size_t   capacity, first, size;
} window;

/* Windows are half open: with one request each 100 ms there are 10 in a second, not 11. */
static void window_add(int64_t now) {
    while (window.size > 0 && window.at[window.first] <= now - SECOND_US) {
        window.first = (window.first + 1) & (window.capacity - 1);
        window.size--;
    }
    if (window.size == window.capacity) {
        size_t capacity = window.capacity == 0 ? 1024 : window.capacity * 2;
        int64_t *at = malloc(capacity * sizeof *at);
        if (at == NULL)
            die("memory");
        for (size_t i = 0; i < window.size; i++)
            at[i] = window.at[(window.first + i) & (window.capacity - 1)];
        free(window.at);
        window.at = at;
        window.capacity = capacity;
        window.first = 0;
    }
    window.at[(window.first + window.size++) & (window.capacity - 1)] = now;
    if (window.size > stats.max_in_window)
        stats.max_in_window = window.size;
}

/* What /throttle has asked for. */
static struct {
    int64_t  said_at, quiet_until; /* 0: nothing */
    uint64_t probes;               /* since that end; none of them is answered yet */
    bool     answered;             /* one of them is */
} throttle;

static void throttle_refuse(int64_t now, long seconds) {
    int64_t until = now + seconds * SECOND_US;
    throttle.said_at = now;
    if (until > throttle.quiet_until)
        throttle.quiet_until = until;
    throttle.probes = 0;
    throttle.answered = false;
    stats.refused++;
}

static void throttle_watch(const struct conn *c, int64_t now) {
    if (now < c->quiet_until)
        stats.early++;
    if (throttle.quiet_until == 0 || now < throttle.quiet_until || throttle.answered)
        return;
    if (++throttle.probes > stats.probes)
        stats.probes = throttle.probes;
}

/* An answer has left, and with it, or before it, all that was said to this client. */
static void throttle_told(struct conn *c) {
    c->quiet_until = throttle.quiet_until;
    if (throttle.probes > 0)
        throttle.answered = true;
}

/* A new connection: its client has had half a second to read what was said. */
static void throttle_greet(struct conn *c, int64_t now) {
    if (now - throttle.said_at > SECOND_US / 2)
        c->quiet_until = throttle.quiet_until;
}

static void count_request(struct conn *c) {
    int64_t now = now_us() - start_us;
    if (stats.requests++ == 0)
        stats.first_us = now;
    stats.last_us = now;
    window_add(now);
    if (c->era != era) {
        c->era = era;
        stats.connections++;
    }
    throttle_watch(c, now);
    c->counted = true;
    if (++stats.now > stats.most_at_once)
        stats.most_at_once = stats.now;
}

static void count_end(struct conn *c) {
    if (c->counted)
        stats.now--;
    c->counted = false;
}

/* --- what has been asked before: /flaky/KEY and its like ------------------------------------ */

struct seen {
    struct seen *next;
    char        *key;
    int          times;
};

static struct seen *seen[1 << 16];

static uint64_t hash_text(const char *s) {
    uint64_t h = 14695981039346656037u;              /* FNV-1a */
    for (; *s != '\0'; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h;
}

/* How often it was called with this route and key before. */
static int times_seen(const char *route, const char *key) {
    char text[256];
    snprintf(text, sizeof text, "%s/%s", route, key);
    struct seen **head = &seen[hash_text(text) % (sizeof seen / sizeof seen[0])];
    for (struct seen *s = *head; s != NULL; s = s->next)
        if (strcmp(s->key, text) == 0)
            return s->times++;
    struct seen *s = malloc(sizeof *s);
    if (s == NULL || (s->key = strdup(text)) == NULL)
        die("memory");
    s->times = 1;
    s->next = *head;
    *head = s;
    return 0;
}

static void forget_seen(void) {
    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++)
        while (seen[i] != NULL) {
            struct seen *s = seen[i];
            seen[i] = s->next;
            free(s->key);
            free(s);
        }
}

/* --- requests ------------------------------------------------------------------------------ */

struct field { char *name, *value; };

struct request {                       /* points into the connection's in buffer */
    char        *method, *target;      /* target: as sent, with its query */
    char        *path[1 + MAX_ARGS];   /* its parts: the route and the arguments; "" where none */
    struct field fields[MAX_FIELDS];
    size_t       num_fields;
    char        *body;
    size_t       body_size;
};

enum framing { WHOLE, MORE, BAD };

struct frame { size_t head_size, body_size, wire_size; bool chunked; };

/* The value of a header line (name in lower case) in a head, up to its CR; or NULL. */
static const char *head_field(const char *head, size_t size, const char *name) {
    size_t length = strlen(name);
    const char *end = head + size;
    const char *line = head;
    while ((line = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        line++;
        if ((size_t)(end - line) > length && line[length] == ':'
            && strncasecmp(line, name, length) == 0) {
            line += length + 1;
            return line + strspn(line, " \t");
        }
    }
    return NULL;
}

/* Measures the chunks at s, and joins them at `to` unless that is NULL. */
static enum framing walk_chunks(const char *s, size_t size, char *to, struct frame *f) {
    size_t at = 0;
    f->body_size = 0;
    for (;;) {
        const char *eol = memchr(s + at, '\n', size - at);
        if (eol == NULL)
            return size - at > MAX_HEAD ? BAD : MORE;
        unsigned long chunk = strtoul(s + at, NULL, 16);
        at = (size_t)(eol - s) + 1;
        if (chunk == 0)
            break;
        if (chunk > MAX_BODY - f->body_size)
            return BAD;
        if (size - at < chunk + 2)
            return MORE;
        if (to != NULL)
            memmove(to + f->body_size, s + at, chunk);
        f->body_size += chunk;
        at += chunk + 2;
    }
    for (;;) {                             /* trailers, up to the empty line */
        const char *eol = memchr(s + at, '\n', size - at);
        if (eol == NULL)
            return size - at > MAX_HEAD ? BAD : MORE;
        bool empty = eol - (s + at) <= 1;
        at = (size_t)(eol - s) + 1;
        if (empty)
            break;
    }
    f->wire_size = f->head_size + at;
    return WHOLE;
}

/* Where the first request in s ends, if it is all there. */
static enum framing measure(const char *s, size_t size, struct frame *f) {
    memset(f, 0, sizeof *f);
    const char *end = memmem(s, size, "\r\n\r\n", 4);
    if (end == NULL)
        return size > MAX_HEAD ? BAD : MORE;
    f->head_size = (size_t)(end - s) + 4;
    const char *coding = head_field(s, f->head_size, "transfer-encoding");
    f->chunked = coding != NULL && strncasecmp(coding, "chunked", 7) == 0;
    if (f->chunked)
        return walk_chunks(s + f->head_size, size - f->head_size, NULL, f);
    const char *length = head_field(s, f->head_size, "content-length");
    unsigned long n = length == NULL ? 0 : strtoul(length, NULL, 10);
    if (n > MAX_BODY)
        return BAD;
    f->body_size = n;
    f->wire_size = f->head_size + n;
    return f->wire_size > size ? MORE : WHOLE;
}

/* Cuts the whole request at s into strings, in place. */
static bool dissect(char *s, const struct frame *f, struct request *r) {
    memset(r, 0, sizeof *r);
    s[f->head_size - 2] = '\0';
    char *rest = s;
    char *line = strsep(&rest, "\n");
    r->method = strsep(&line, " ");
    r->target = strsep(&line, " ");
    if (line == NULL || r->target[0] != '/')
        return false;
    while ((line = strsep(&rest, "\n")) != NULL && r->num_fields < MAX_FIELDS) {
        line[strcspn(line, "\r")] = '\0';
        char *name = strsep(&line, ":");
        if (line == NULL)
            continue;
        for (char *p = name; *p != '\0'; p++)
            *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
        r->fields[r->num_fields].name = name;
        r->fields[r->num_fields++].value = line + strspn(line, " \t");
    }
    r->body = s + f->head_size;
    r->body_size = f->body_size;
    if (f->chunked) {
        struct frame again = *f;
        walk_chunks(r->body, f->wire_size - f->head_size, r->body, &again);
    }
    return true;
}

/* "/items/7?x=1" -> "items", "7", "", ""; in a copy, for /echo shows the target as it was. */
static void split_path(struct request *r, char *copy, size_t size) {
    snprintf(copy, size, "%s", r->target + 1);
    copy[strcspn(copy, "?#")] = '\0';
    char *end = copy + strlen(copy);
    for (size_t i = 0; i <= MAX_ARGS; i++) {
        char *part = strsep(&copy, "/");
        r->path[i] = part != NULL ? part : end;
    }
}

/* --- answers ------------------------------------------------------------------------------- */

static const char *reason(int status) {
    switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 429: return "Too Many Requests";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    default:  return "";                 /* a reason is optional */
    }
}

/* The head; more: further header lines, each with its CRLF. */
static void answer_head(struct conn *c, int status, const char *type, const char *more) {
    buf_print(&c->out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n%s%s\r\n", status, reason(status),
              type, more, c->ending == KEEP ? "" : "Connection: close\r\n");
    c->state = SENDING;
}

static void answer(struct conn *c, int status, const char *more, const struct buf *body) {
    char lines[512];
    if (status == 204)
        snprintf(lines, sizeof lines, "%s", more);
    else
        snprintf(lines, sizeof lines, "Content-Length: %zu\r\n%s", body->size, more);
    answer_head(c, status, "application/json", lines);
    if (!c->head_only && status != 204 && status != 304)
        buf_add(&c->out, body->data, body->size);
}

static void answer_text(struct conn *c, int status, const char *more, const char *text) {
    struct buf body = { NULL, 0, 0 };
    buf_add(&body, text, strlen(text));
    answer(c, status, more, &body);
    free(body.data);
}

static void answer_status(struct conn *c, int status, const char *more) {
    char text[64];
    if (status == 304)
        text[0] = '\0';
    else
        snprintf(text, sizeof text, "{\"status\":%d}", status);
    answer_text(c, status, more, text);
}

static long number(const char *s) {
    long n = strtol(s, NULL, 10);
    return n < 0 ? 0 : n;
}

static void add_alphabet(struct buf *b, size_t from, size_t size) {
    buf_reserve(b, size);
    for (size_t i = from; i < from + size; i++)
        b->data[b->size++] = (char)('a' + i % 26);
}

/* --- routes -------------------------------------------------------------------------------- */

static void items_route(struct conn *c, const struct request *r) {
    char text[128];
    long n = number(r->path[1]);
    snprintf(text, sizeof text, "{\"id\":%ld,\"name\":\"item %ld\"}", n, n);
    answer_text(c, 200, "", text);
}

static void status_route(struct conn *c, const struct request *r) {
    long status = number(r->path[1]);
    answer_status(c, status < 200 || status > 999 ? 400 : (int)status, "");
}

static void delay_route(struct conn *c, const struct request *r) {
    answer_status(c, 200, "");
    hold(c, number(r->path[1]));
}

static void flaky_route(struct conn *c, const struct request *r) {
    answer_status(c, times_seen("flaky", r->path[1]) < number(r->path[2]) ? 503 : 200, "");
}

static void slow_then_fast_route(struct conn *c, const struct request *r) {
    answer_status(c, 200, "");
    if (times_seen("slow", r->path[1]) < number(r->path[2]))
        hold(c, number(r->path[3]));
}

static void retry_after_route(struct conn *c, const struct request *r) {
    char more[64];
    snprintf(more, sizeof more, "Retry-After: %ld\r\n", number(r->path[2]));
    if (times_seen("retry-after", r->path[1]) == 0)
        answer_status(c, 429, more);
    else
        answer_status(c, 200, "");
}

static void throttle_route(struct conn *c, const struct request *r) {
    char more[64];
    long seconds = number(r->path[2]);
    if (window.size <= (size_t)number(r->path[1])) {
        answer_status(c, 200, "");
        hold(c, number(r->path[3]));
        return;
    }
    throttle_refuse(now_us() - start_us, seconds);
    snprintf(more, sizeof more, "Retry-After: %ld\r\n", seconds);
    answer_status(c, 429, more);
}

static void bytes_route(struct conn *c, const struct request *r) {
    char more[64];
    long size = number(r->path[1]);
    if (size > MAX_BODY) {
        answer_status(c, 400, "");
        return;
    }
    snprintf(more, sizeof more, "Content-Length: %ld\r\n", size);
    answer_head(c, 200, "text/plain", more);
    if (!c->head_only)
        add_alphabet(&c->out, 0, (size_t)size);
}

static void chunked_route(struct conn *c, const struct request *r) {
    size_t size = (size_t)number(r->path[1]);
    if (size > MAX_BODY) {
        answer_status(c, 400, "");
        return;
    }
    answer_head(c, 200, "text/plain", "Transfer-Encoding: chunked\r\n");
    for (size_t at = 0; at < size && !c->head_only; at += 1000) {
        size_t chunk = size - at < 1000 ? size - at : 1000;
        buf_print(&c->out, "%zx\r\n", chunk);
        add_alphabet(&c->out, at, chunk);
        buf_print(&c->out, "\r\n");
    }
    if (!c->head_only)
        buf_print(&c->out, "0\r\n\r\n");
}

static void close_route(struct conn *c, const struct request *r) {
    long size = number(r->path[1]);
    c->ending = CLOSE;
    answer_head(c, size > MAX_BODY ? 400 : 200, "text/plain", "");
    if (!c->head_only && size <= MAX_BODY)
        add_alphabet(&c->out, 0, (size_t)size);
}

/* Header lines of one name become one member, joined as RFC 9110 5.3 joins them. */
static void add_json_fields(struct buf *b, const struct request *r) {
    for (size_t i = 0; i < r->num_fields; i++) {
        const char *name = r->fields[i].name;
        size_t same = 0;
        while (strcmp(r->fields[same].name, name) != 0)
            same++;
        if (same < i)
            continue;
        buf_print(b, i == 0 ? "\"" : ",\"");
        buf_add_json(b, name, strlen(name));
        buf_print(b, "\":\"");
        for (size_t k = i; k < r->num_fields; k++) {
            if (strcmp(r->fields[k].name, name) != 0)
                continue;
            buf_print(b, k == i ? "" : ", ");
            buf_add_json(b, r->fields[k].value, strlen(r->fields[k].value));
        }
        buf_print(b, "\"");
    }
}

static void echo_route(struct conn *c, const struct request *r) {
    struct buf body = { NULL, 0, 0 };
    buf_print(&body, "{\"method\":\"");
    buf_add_json(&body, r->method, strlen(r->method));
    buf_print(&body, "\",\"url\":\"");
    buf_add_json(&body, r->target, strlen(r->target));
    buf_print(&body, "\",\"headers\":{");
    add_json_fields(&body, r);
    buf_print(&body, "},\"body\":\"");
    buf_add_json(&body, r->body, r->body_size);
    buf_print(&body, "\"}");
    answer(c, 200, "", &body);
    free(body.data);
}

static void left_route(struct conn *c, const struct request *r) {
    char more[160];
    snprintf(more, sizeof more,
             "RateLimit-Limit: %ld\r\nRateLimit-Remaining: %ld\r\nRateLimit-Reset: %ld\r\n",
             number(r->path[1]), number(r->path[2]), number(r->path[3]));
    answer_text(c, 200, more, "{}");
}

static void mirror_route(struct conn *c, const struct request *r) {
    struct buf body = { NULL, 0, 0 };
    buf_add(&body, r->body, r->body_size);
    answer(c, 200, "", &body);
    free(body.data);
}

/* To the address at hand, so that it works whatever name and port the client knows us by. */
static void redirect_route(struct conn *c, const struct request *r) {
    char more[128];
    long left = number(r->path[2]);
    if (left == 0) {
        echo_route(c, r);
        return;
    }
    snprintf(more, sizeof more, "Location: /redirect/%s/%ld\r\n", r->path[1], left - 1);
    answer_status(c, (int)number(r->path[1]), more);
}

static void redirect_to_route(struct conn *c, const struct request *r) {
    char more[400];
    const char *mark = strchr(r->target, '?');
    snprintf(more, sizeof more, "Location: %s\r\n", mark == NULL ? "" : mark + 1);
    answer_status(c, (int)number(r->path[1]), more);
}

/* The sum of cksum(1), POSIX: CRC-32 of the bytes and of their number. */
static uint32_t crc_byte(uint32_t crc, unsigned byte) {
    static uint32_t table[256];
    if (table[1] == 0)
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t x = i << 24;
            for (int bit = 0; bit < 8; bit++)
                x = x << 1 ^ ((x & 0x80000000u) != 0 ? 0x04c11db7u : 0);
            table[i] = x;
        }
    return crc << 8 ^ table[(crc >> 24 ^ byte) & 0xff];
}

static void digest_route(struct conn *c, const struct request *r) {
    char text[80];
    uint32_t crc = 0;
    for (size_t i = 0; i < r->body_size; i++)
        crc = crc_byte(crc, (unsigned char)r->body[i]);
    for (size_t n = r->body_size; n > 0; n >>= 8)
        crc = crc_byte(crc, n & 0xff);
    snprintf(text, sizeof text, "{\"size\":%zu,\"cksum\":%lu}", r->body_size,
             (unsigned long)(~crc & 0xffffffffu));
    answer_text(c, 200, "", text);
}

static void half_route(struct conn *c, const struct request *r) {
    bool first = times_seen("half", r->path[1]) == 0;
    long size = number(r->path[first ? 2 : 3]);
    char more[64];
    snprintf(more, sizeof more, "Content-Length: %ld\r\n", size);
    c->ending = first ? CLOSE : c->ending;
    answer_head(c, size > MAX_BODY ? 400 : 200, "text/plain", more);
    if (!c->head_only && size <= MAX_BODY)
        add_alphabet(&c->out, 0, (size_t)(first ? size / 2 : size));
}

/* The head at once, then byte after byte: fire_timers() brings them on their way. */
static void trickle_route(struct conn *c, const struct request *r) {
    char more[64];
    long size = number(r->path[1]);
    snprintf(more, sizeof more, "Content-Length: %ld\r\n", size);
    answer_head(c, 200, "text/plain", more);
    c->drops = c->head_only ? 0 : size;
    c->drop_ms = number(r->path[2]);
}

static void peer_route(struct conn *c, const struct request *r) {
    union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; } from;
    socklen_t size = sizeof from;
    char address[INET6_ADDRSTRLEN] = "", text[80];
    (void)r;
    memset(&from, 0, sizeof from);
    getpeername(c->fd, &from.any, &size);
    if (from.any.sa_family == AF_INET)
        inet_ntop(AF_INET, &from.v4.sin_addr, address, sizeof address);
    if (from.any.sa_family == AF_INET6)
        inet_ntop(AF_INET6, &from.v6.sin6_addr, address, sizeof address);
    snprintf(text, sizeof text, "{\"address\":\"%s\"}", address);
    answer_text(c, 200, "", text);
}

static void rst_route(struct conn *c, const struct request *r) {
    (void)r;
    c->ending = RESET;
    c->state = SENDING;
}

static void eof_route(struct conn *c, const struct request *r) {
    (void)r;
    c->ending = CLOSE;
    c->state = SENDING;
}

static void hang_route(struct conn *c, const struct request *r) {
    (void)r;
    c->state = HELD;
}

/* An API on an ordinary day, the same one each time: what N meets hangs on N and on how often
   it was asked for. Of 10,000: 50 are not there, 30 take 1.5 s at first, 30 are cut in the body
   at first, 50 are told 429 and 550 503 once or twice. The rest takes 2 to 40 ms. No Retry-After:
   its unit is the second, and then a demo would be a wait. */
static void demo_route(struct conn *c, const struct request *r) {
    char text[128];
    long n = number(r->path[1]);
    uint64_t h = hash_text(r->path[1]);
    h = (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 32)) * 0x94d049bb133111ebu;
    h ^= h >> 31;
    int kind = (int)(h % 10000), latency_ms = (int)(2 + (h >> 32) % 39);
    int before = kind >= 50 && kind < 710 ? times_seen("demo", r->path[1]) : 0;
    int refusals = 1 + (int)(h >> 60) % 2;
    snprintf(text, sizeof text, "{\"id\":%ld,\"name\":\"item %ld\",\"stock\":%d}", n, n,
             (int)(h >> 40) % 100);
    if (kind < 50) {
        answer_status(c, 404, "");
    } else if (kind < 80) {
        answer_text(c, 200, "", text);
        latency_ms = before == 0 ? 1500 : latency_ms;
    } else if (kind < 110) {
        c->ending = before == 0 ? CLOSE : c->ending;
        answer_text(c, 200, "", text);
        if (before == 0 && !c->head_only)
            c->out.size -= strlen(text) / 2;
    } else if (kind < 160) {
        answer_status(c, before < refusals ? 429 : 200, "");
    } else if (kind < 710) {
        answer_status(c, before < refusals ? 503 : 200, "");
    } else {
        answer_text(c, 200, "", text);
    }
    hold(c, latency_ms);
}

static struct route {
    const char *name;
    void      (*answer)(struct conn *c, const struct request *r);
    uint64_t    count;
} routes[] = {
    { "items",          items_route,          0 },
    { "status",         status_route,         0 },
    { "delay",          delay_route,          0 },
    { "flaky",          flaky_route,          0 },
    { "slow-then-fast", slow_then_fast_route, 0 },
    { "retry-after",    retry_after_route,    0 },
    { "throttle",       throttle_route,       0 },
    { "bytes",          bytes_route,          0 },
    { "chunked",        chunked_route,        0 },
    { "close",          close_route,          0 },
    { "echo",           echo_route,           0 },
    { "v1",             mirror_route,         0 },
    { "left",           left_route,           3 },
    { "redirect",       redirect_route,       0 },
    { "redirect-to",    redirect_to_route,    0 },
    { "digest",         digest_route,         0 },
    { "half",           half_route,           0 },
    { "trickle",        trickle_route,        0 },
    { "peer",           peer_route,           0 },
    { "rst",            rst_route,            0 },
    { "eof",            eof_route,            0 },
    { "hang",           hang_route,           0 },
    { "demo",           demo_route,           0 }
};

enum { NUM_ROUTES = sizeof routes / sizeof routes[0] };

static void stats_answer(struct conn *c, const struct request *r) {
    struct buf body = { NULL, 0, 0 };
    if (strcmp(r->path[1], "reset") == 0) {
        uint64_t now = stats.now;
        memset(&stats, 0, sizeof stats);
        memset(&throttle, 0, sizeof throttle);
        stats.now = now;
        window.size = 0;
        era++;
        for (size_t i = 0; i < NUM_ROUTES; i++)
            routes[i].count = 0;
        for (size_t i = 0; i < MAX_FD; i++)
            if (conns[i] != NULL)
                conns[i]->quiet_until = 0;
        forget_seen();
    }
    buf_print(&body, "{\"requests\":%llu,\"connections\":%llu,\"most_at_once\":%llu",
              (unsigned long long)stats.requests, (unsigned long long)stats.connections,
              (unsigned long long)stats.most_at_once);
    buf_print(&body, ",\"first_us\":%lld,\"last_us\":%lld,\"max_in_window\":%zu",
              (long long)stats.first_us, (long long)stats.last_us, stats.max_in_window);
    buf_print(&body, ",\"refused\":%llu,\"early\":%llu,\"probes\":%llu,\"paths\":{",
              (unsigned long long)stats.refused, (unsigned long long)stats.early,
              (unsigned long long)stats.probes);
    for (size_t i = 0; i < NUM_ROUTES; i++)
        buf_print(&body, "%s\"/%s\":%llu", i == 0 ? "" : ",", routes[i].name,
                  (unsigned long long)routes[i].count);
    buf_print(&body, "}}\n");
    answer(c, 200, "", &body);
    free(body.data);
}

static void route(struct conn *c, struct request *r) {
    char copy[512];
    split_path(r, copy, sizeof copy);
    if (strcmp(r->path[0], "stats") == 0) {
        stats_answer(c, r);
        return;
    }
    count_request(c);
    for (size_t i = 0; i < NUM_ROUTES; i++)
        if (strcmp(r->path[0], routes[i].name) == 0) {
            routes[i].count++;
            routes[i].answer(c, r);
            return;
        }
    answer_status(c, 404, "");
}

/* --- the life of a connection -------------------------------------------------------------- */

static void drop(struct conn *c) {
    if (c->ending == RESET) {
        struct linger none = { 1, 0 };       /* close() then sends a RST */
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
    count_end(c);
    timer_remove(c);
    conns[c->fd] = NULL;
    close(c->fd);
    free(c->in.data);
    free(c->out.data);
    free(c);
}

static void watch_writes(struct conn *c, bool writes) {
    if (c->watches_writes != writes) {
        c->watches_writes = writes;
        watch(c->fd, false, writes);
    }
}

/* Whether all is out; after a failure the connection is gone and *alive is false. */
static bool flush(struct conn *c, bool *alive) {
    while (c->sent < c->out.size) {
        ssize_t n = send(c->fd, c->out.data + c->sent, c->out.size - c->sent, 0);
        if (n > 0) {
            c->sent += (size_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            watch_writes(c, true);
            return false;
        } else {
            *alive = false;
            drop(c);
            return false;
        }
    }
    watch_writes(c, false);
    c->out.size = c->sent = 0;
    return true;
}

/* A client that asks before it sends its body (RFC 9110 10.1.1) is told to: it waits, so there is
   room for these few bytes. */
static void go_on(struct conn *c, const struct frame *f) {
    static const char word[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const char *want = f->head_size == 0 ? NULL
                     : head_field(c->in.data, f->head_size, "expect");
    if (want == NULL || strncasecmp(want, "100-continue", 12) != 0 || c->told_to_go_on)
        return;
    c->told_to_go_on = true;
    (void)!send(c->fd, word, sizeof word - 1, 0);
}

/* Answers the first request in the in buffer. False: it is not whole yet. */
static bool serve(struct conn *c) {
    struct frame f;
    struct request r;
    enum framing framing = measure(c->in.data, c->in.size, &f);
    if (framing == MORE) {
        go_on(c, &f);
        return false;
    }
    c->told_to_go_on = false;
    c->head_only = false;
    c->ending = KEEP;
    if (framing == WHOLE) {
        const char *want = head_field(c->in.data, f.head_size, "connection");
        const char *old = memmem(c->in.data, f.head_size, " HTTP/1.0\r\n", 11);
        if (want != NULL ? strncasecmp(want, "close", 5) == 0 : old != NULL)
            c->ending = CLOSE;
        c->head_only = strncmp(c->in.data, "HEAD ", 5) == 0;
    }
    if (framing == BAD || !dissect(c->in.data, &f, &r)) {
        c->ending = CLOSE;
        f.wire_size = c->in.size;
        answer_status(c, 400, "");
    } else {
        route(c, &r);
    }
    buf_cut_front(&c->in, f.wire_size);
    return true;
}

/* Goes on until there is something to wait for. */
static void advance(struct conn *c) {
    bool alive = true;
    while (c->state != HELD) {
        if (c->state == READING) {
            if (c->in.size == 0 || !serve(c))
                return;
        } else {
            if (!flush(c, &alive))
                return;
            if (c->drops > 0) {
                c->drops--;
                add_alphabet(&c->out, 0, 1);
                hold(c, c->drop_ms);
                return;
            }
            if (c->ending != KEEP) {
                drop(c);
                return;
            }
            count_end(c);
            throttle_told(c);
            c->state = READING;
        }
    }
}

static void accept_all(void) {
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            return;                    /* none left; or no descriptor: it waits in the backlog */
        struct conn *c = fd < MAX_FD ? calloc(1, sizeof *c) : NULL;
        if (c == NULL) {
            close(fd);
            continue;
        }
        int on = 1;
        fcntl(fd, F_SETFL, O_NONBLOCK);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        c->fd = fd;
        conns[fd] = c;
        throttle_greet(c, now_us() - start_us);
        watch(fd, true, false);
    }
}

static void on_ready(int fd) {
    if (fd == listener) {
        accept_all();
        return;
    }
    struct conn *c = conns[fd];
    if (c == NULL)
        return;
    buf_reserve(&c->in, c->in.size < 16 * 1024 ? 4 * 1024 : c->in.size);
    ssize_t n = recv(fd, c->in.data + c->in.size, c->in.capacity - c->in.size, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)
        || (n > 0 && c->in.size > (size_t)MAX_BODY + 2 * MAX_HEAD)) {
        drop(c);
        return;
    }
    if (n > 0)
        c->in.size += (size_t)n;
    advance(c);
}

static void fire_timers(void) {
    int64_t now = num_timers > 0 ? now_us() : 0;
    while (num_timers > 0 && timers[0]->due_us <= now) {
        struct conn *c = timers[0];
        timer_remove(c);
        c->state = SENDING;
        advance(c);
    }
}

static int timers_wait_ms(void) {
    if (num_timers == 0)
        return 1000;
    int64_t us = timers[0]->due_us - now_us();
    return us <= 0 ? 0 : us > SECOND_US ? 1000 : (int)((us + 999) / 1000);
}

/* --- start and end ------------------------------------------------------------------------- */

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max < MAX_FD ? limit.rlim_max : MAX_FD;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv) {
    struct settings s = parse_arguments(argc, argv);
    int port;
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    listener = open_listener(&s, &port);
    watch(listener, true, false);
    start_us = now_us();
    tell_port(&s, port);
    for (int64_t check_us = 0;;) {
        int n = watch_wait(timers_wait_ms());
        for (int i = 0; i < n; i++)
            on_ready(ready[i]);
        fire_timers();
        if (now_us() < check_us)
            continue;
        if (time_to_end(&s))
            return 0;
        check_us = now_us() + SECOND_US / 2;
    }
}

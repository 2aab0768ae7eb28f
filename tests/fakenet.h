/* A network, a resolver and a clock inside the test, instead of the system's.

   Nothing here takes real time: poll() moves the clock to the next thing that happens, or by its
   timeout. What a server answers is written down beforehand:

       net_begin();
       net_answer("/a", 0.050, NET_503);              the first request for /a
       net_answer("/a", 0.010, NET_OK("hello"));      the second, and every later one
       net_host("10.0.0.2", 0.1, ECONNREFUSED);       a host that refuses after 100 ms
       net_fail(NET_SEND, 3, EPIPE);                  the third send() fails
       ... a run against http://10.0.0.1/a ...
       net_end();                                     nothing may be left open

   A host without a net_host() line accepts at once; a path without an answer gets a 404.
   What happened can be asked afterwards: net.num_requests, net.requests[i], net.starts[i],
   net.most_at_once, net.most_open, net.connects, net_most_within(1.0), net.calls[NET_SEND] ...

   Include this before anything else: it selects the poll backend and defines SPARP__SYS_*. */
#ifndef TESTS_FAKENET_H
#define TESTS_FAKENET_H

#undef SPARP_USE_KQUEUE
#undef SPARP_NO_THREADS
#ifndef SPARP_FORCE_POLL
#define SPARP_FORCE_POLL
#endif

#include "support.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>

#define NET_NEVER INT64_MAX
#define NET_NS(seconds) ((int64_t)((seconds) * 1e9 + 0.5))
#define NET_BEGIN NET_NS(1000.0)        /* the time on the clock when a test begins */
#ifndef NET_FDS
#define NET_FDS 512
#endif
#define NET_EVENTS 4096
#define NET_RULES 256
#define NET_HOSTS 64
#ifndef NET_REQUESTS
#define NET_REQUESTS 16384
#endif
#ifndef NET_REQUEST_SIZE
#define NET_REQUEST_SIZE 4096           /* bytes of one request that are looked at */
#endif
#ifndef NET_IN_SIZE
#define NET_IN_SIZE (1 << 16)           /* bytes of an answer that can wait to be read */
#endif

#define NET_503 "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
#define NET_404 "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno"
#define NET_200 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define NET_204 "HTTP/1.1 204 Nothing\r\n\r\n"
#define NET_SILENCE ""

/* --- what a server does ------------------------------------------------------------------- */

typedef enum net_then {                 /* after the last byte of an answer */
    NET_KEEP,                           /* the connection stays open */
    NET_FIN,                            /* the server closes it */
    NET_RST                             /* the server resets it */
} net_then;

typedef struct net_request {            /* as a server has received it */
    char     method[12], path[52], host[48];
    int64_t  at;                        /* when it was complete */
    int      connection, on_connection; /* the how manieth connection; request on it: 1, 2 ... */
    const char *text;                   /* all of it; for net.server alone, it does not last */
    size_t   size;                      /* of the text */
} net_request;

typedef struct net_rule {               /* one answer */
    const char *path;                   /* whose: with the query, if there is one */
    const char *bytes;                  /* all of them: no answer is framed here */
    size_t      size;
    double      delay_s;                /* until the first byte */
    size_t      piece;                  /* bytes that come at a time; 0: all at once */
    double      gap_s;                  /* between pieces */
    net_then    then;
    double      then_s;                 /* from the last byte to what comes then */
    bool        spent;
} net_rule;

typedef struct net_address {            /* how one address connects */
    char   text[48];
    double delay_s;                     /* negative: it never does */
    int    error;                       /* 0: it accepts */
} net_address;

typedef struct net_name {               /* what getaddrinfo() says about one name */
    const char *name;                   /* "*": every other one; "a*": those that begin so */
    const char *addresses;              /* separated by blanks; NULL: none */
    int         error;                  /* EAI_* */
    double      takes_s;                /* negative: net.lookup_s */
} net_name;

/* --- what can be made to fail ------------------------------------------------------------- */

#define NET_CALLS(X) \
    X(SOCKET) X(CONNECT) X(SEND) X(RECV) X(CLOSE) X(GETSOCKOPT) X(SETSOCKOPT) X(FCNTL) X(PIPE) \
    X(READ) X(WRITE) X(POLL) X(GETADDRINFO) X(THREAD) X(REALLOC)

typedef enum net_call {
#define NET_X(name) NET_##name,
    NET_CALLS(NET_X)
#undef NET_X
    NET_NUM_CALLS
} net_call;

#define NET_SHORT (-1)                  /* instead of an errno: send, recv, read one byte */

/* --- the world ---------------------------------------------------------------------------- */

typedef enum net_kind { NET_UNUSED, NET_PIPE_READ, NET_PIPE_WRITE, NET_TCP, NET_UDP } net_kind;

typedef struct net_socket {
    net_kind kind;
    unsigned serial;                    /* tells two users of one descriptor apart */
    int      peer;                      /* of a pipe */
    size_t   pipe_bytes;
    char     host[48];
    int      connection;
    bool     connecting, connected, fin, rst, rst_told;
    int      error;                     /* what SO_ERROR says */
    char     in[NET_IN_SIZE];               /* arrived, not read */
    size_t   in_size;
    char     out[NET_REQUEST_SIZE];     /* of the request being received */
    size_t   out_size, out_total;
    int      exchanges;
    bool     busy, answered;            /* a request is under way; its last byte has arrived */
    bool     asked, refused;            /* Expect has been looked at; the body is not wanted */
    int64_t  room_at;                   /* no byte is taken before */
    bool     probes;                    /* SO_KEEPALIVE */
    int      probes_after_s;
} net_socket;

typedef enum net_what {
    NET_ON_CONNECT, NET_ON_DATA, NET_ON_FIN, NET_ON_RST, NET_ON_ROOM, NET_ON_CALL
} net_what;

typedef struct net_event {
    int64_t     at;
    uint64_t    order;
    net_what    what;
    int         fd, error;
    unsigned    serial;
    const char *data;
    size_t      size;
    bool        last;                   /* byte of an answer */
    void     *(*func)(void *);
    void       *argument;
} net_event;

static struct net {
    int         top;                    /* one more than the highest descriptor ever used */
    size_t      num_events;
    uint64_t    order;
    unsigned    serial;
    net_rule    rules[NET_RULES];
    size_t      num_rules;
    net_address hosts[NET_HOSTS];
    size_t      num_hosts;
    net_name    names[NET_HOSTS];
    size_t      num_names;

    /* knobs */
    void      (*server)(const net_request *request, net_rule *answer);  /* instead of the rules */
    /* What is said to "Expect: 100-continue" when the head is there. True: that is the answer,
       and what else comes is not looked at. NULL: the body is waited for in silence. */
    bool      (*on_expect)(const net_request *request, net_rule *answer);
    size_t      send_piece;             /* bytes taken at a time, 0: all; and the next ones */
    double      send_gap_s;             /*    so much later */
    int         fd_limit;               /* sockets that may be open: beyond it EMFILE */
    double      lookup_s;               /* how long getaddrinfo() takes */
    double      aaaa_s;                 /* how much longer where it asks for IPv6, too */
    bool        no_ipv6;                /* this machine has none but ::1 and fe80:: */
    size_t      send_room;              /* bytes one connection ever takes; 0: any number */
    bool        hasty;                  /* servers answer heads and never read bodies */
    bool        connects_at_once;       /* connect() does not say EINPROGRESS */
    bool        no_source6;             /* nor any address to connect to IPv6 from */
    bool        foreign_source;         /* the local address that is asked for is not ours */
    size_t      recv_piece;             /* bytes read at a time; 0: all */
    bool        endless;                /* there is always more behind an answer: 1 MB a second */
    uint64_t    poll_limit;             /* calls of poll() before a test is said to hang */
    const char *label;                  /* shown if it does */

    /* failures */
    size_t      calls[NET_NUM_CALLS], fail_at;
    net_call    fail_call;
    int         fail_errno;
    bool        fail_on;                /* this one and every later one */

    /* what happened */
    size_t      num_requests, num_starts;
    int         connects, open, most_open, at_once, most_at_once, lookups;
    int         looking, most_looking;  /* names up, at one time */
    int         families[NET_HOSTS];    /* that the look-ups asked for */
    int         turn_connects, turn_starts;     /* since the last poll() */
    int         most_turn_connects, most_turn_starts;
    char        connected[NET_HOSTS][48];       /* whom the first connects went to */
    int         unprobed;               /* connects without SO_KEEPALIVE after 60 s */
    bool        interrupted;            /* poll() is to say EINTR */
    uint64_t    idle_polls;             /* nothing was ready and no time passed */
    size_t      blocks;                 /* of SPARP__SYS_REALLOC */

    /* from here on net_begin() clears only what was used */
    net_event   events[NET_EVENTS];
    net_request requests[NET_REQUESTS];
    int64_t     starts[NET_REQUESTS];   /* of requests: when the first byte was written */
    net_socket  fds[NET_FDS];
} net;

static inline double net_now(void) {
    return (double)(test_now_ns - NET_BEGIN) / 1e9;
}

/* --- scripting ---------------------------------------------------------------------------- */

static inline net_rule *net_answer_bytes(const char *path, double delay_s, const char *bytes,
                                         size_t size) {
    assert_true(net.num_rules < NET_RULES);
    net_rule *rule = &net.rules[net.num_rules++];
    memset(rule, 0, sizeof *rule);
    rule->path = path;
    rule->bytes = bytes;
    rule->size = size;
    rule->delay_s = delay_s;
    return rule;
}

/* Answers to one path are given in turn, the last one for ever. */
static inline net_rule *net_answer(const char *path, double delay_s, const char *bytes) {
    return net_answer_bytes(path, delay_s, bytes, strlen(bytes));
}

static inline net_rule *net_answer_then(const char *path, double delay_s, const char *bytes,
                                        net_then then) {
    net_rule *rule = net_answer(path, delay_s, bytes);
    rule->then = then;
    return rule;
}

static inline void net_host(const char *address, double delay_s, int error) {
    assert_true(net.num_hosts < NET_HOSTS);
    net_address *host = &net.hosts[net.num_hosts++];
    snprintf(host->text, sizeof host->text, "%s", address);
    host->delay_s = delay_s;
    host->error = error;
}

static inline net_name *net_lookup(const char *name, const char *addresses_or_null, int error) {
    assert_true(net.num_names < NET_HOSTS);
    net_name *n = &net.names[net.num_names++];
    n->name = name;
    n->addresses = addresses_or_null;
    n->error = error;
    n->takes_s = -1;
    return n;
}

static inline void net_fail(net_call call, size_t n, int error) {
    net.fail_call = call;
    net.fail_at = n;
    net.fail_errno = error;
    net.fail_on = false;
}

static inline net_event *net_schedule(int64_t at, net_what what, int fd) {
    assert_true(net.num_events < NET_EVENTS);
    net_event *event = &net.events[net.num_events++];
    memset(event, 0, sizeof *event);
    event->at = at;
    event->order = net.order++;
    event->what = what;
    event->fd = fd;
    event->serial = fd >= 0 ? net.fds[fd].serial : 0;
    return event;
}

/* Calls func(argument) that many seconds after the beginning, while poll() waits. */
static inline void net_at(double seconds, void *(*func)(void *), void *argument) {
    net_event *event = net_schedule(NET_BEGIN + NET_NS(seconds), NET_ON_CALL, -1);
    event->func = func;
    event->argument = argument;
}

/* What net_stop() has written down. */
typedef struct net_pause {
    double seconds;
    bool   interrupts;
} net_pause;

static inline void *net_sleep(void *argument) {
    const net_pause *pause = (const net_pause *)argument;
    test_now_ns += NET_NS(pause->seconds);
    net.interrupted = pause->interrupts;
    return NULL;
}

/* While poll() waits the process stops (SIGSTOP, a closed lid), and the world does not. Afterwards
   poll() says EINTR, or what has happened by then. */
static inline void net_stop(double at_s, double for_s, bool interrupts) {
    static net_pause pause;
    pause.seconds = for_s;
    pause.interrupts = interrupts;
    net_at(at_s, net_sleep, &pause);
}

/* --- counting ----------------------------------------------------------------------------- */

/* Most starts in any window of that length, its end excluded. */
static inline size_t net_most_within(double seconds) {
    size_t most = 0;
    for (size_t first = 0, i = 0; i < net.num_starts; i++) {
        while (net.starts[i] - net.starts[first] >= NET_NS(seconds))
            first++;
        most = i - first + 1 > most ? i - first + 1 : most;
    }
    return most;
}

/* How often a path was asked for. */
static inline size_t net_count(const char *path) {
    size_t n = 0;
    for (size_t i = 0; i < net.num_requests; i++)
        n += strcmp(net.requests[i].path, path) == 0;
    return n;
}

/* What is under way: connections being made, and requests without their whole answer. */
static inline void net_recount(void) {
    net.open = net.at_once = 0;
    for (int fd = 0; fd < net.top; fd++)
        if (net.fds[fd].kind == NET_TCP) {
            net.open++;
            net.at_once += net.fds[fd].connecting || net.fds[fd].busy;
        }
    net.most_open = net.open > net.most_open ? net.open : net.most_open;
    net.most_at_once = net.at_once > net.most_at_once ? net.at_once : net.most_at_once;
}

/* One more in this turn. */
static inline void net_count_turn(int *in_turn, int *most) {
    ++*in_turn;
    *most = *in_turn > *most ? *in_turn : *most;
}

/* A failure takes a millisecond, so that even one that stays is over one day. */
static inline bool net_fails(net_call call) {
    size_t n = ++net.calls[call];
    if (net.fail_at == 0 || net.fail_call != call
        || (n != net.fail_at && !(net.fail_on && n > net.fail_at)))
        return false;
    test_now_ns += NET_NS(0.001);
    errno = net.fail_errno;
    return true;
}

/* --- the server's side -------------------------------------------------------------------- */

/* The first rule of that path that is not spent; the last one never is. */
static inline void net_choose(const net_request *request, net_rule *answer) {
    net_rule *chosen = NULL;
    for (size_t i = 0; i < net.num_rules; i++) {
        net_rule *rule = &net.rules[i];
        if (rule->spent || strcmp(rule->path, request->path) != 0)
            continue;
        if (chosen != NULL) {
            chosen->spent = true;
            break;
        }
        chosen = rule;
    }
    if (chosen != NULL)
        *answer = *chosen;
}

static inline void net_reply(int fd, const net_rule *rule) {
    size_t piece = rule->piece != 0 ? rule->piece : rule->size;
    int64_t at = test_now_ns + NET_NS(rule->delay_s);
    for (size_t from = 0; from < rule->size; from += piece) {
        at += from > 0 ? NET_NS(rule->gap_s) : 0;
        net_event *event = net_schedule(at, NET_ON_DATA, fd);
        event->data = rule->bytes + from;
        event->size = rule->size - from < piece ? rule->size - from : piece;
        event->last = from + event->size == rule->size;
    }
    if (rule->then != NET_KEEP)
        net_schedule(at + NET_NS(rule->then_s), rule->then == NET_FIN ? NET_ON_FIN : NET_ON_RST,
                     fd);
}

static inline size_t net_head_size(const net_socket *s) {
    for (size_t i = 3; i < s->out_size; i++)
        if (memcmp(s->out + i - 3, "\r\n\r\n", 4) == 0)
            return i + 1;
    return 0;
}

static inline bool net_has_line(const net_socket *s, size_t head, const char *line) {
    size_t n = strlen(line);
    for (size_t i = 0; i + n < head; i++)
        if (strncasecmp(s->out + i, line, n) == 0)
            return true;
    return false;
}

/* Bytes of a chunked body, without trailers, as far as they are looked at; 0: not complete. */
static inline size_t net_chunked_size(const net_socket *s, size_t head) {
    for (size_t at = head; at < s->out_size;) {
        char *end = NULL;
        size_t size = (size_t)strtoul(s->out + at, &end, 16), line = (size_t)(end - s->out) + 2;
        if (line + size + 2 > s->out_size)
            return 0;
        assert_memory_equal(end, "\r\n", 2);
        assert_memory_equal(s->out + line + size, "\r\n", 2);
        at = line + size + 2;
        if (size == 0)
            return at - head;
    }
    return 0;
}

/* Bytes of the first request in the buffer, or 0 if it is not complete. */
static inline size_t net_request_size(const net_socket *s) {
    size_t head = net_head_size(s), length = 0;
    if (!net.hasty && net_has_line(s, head, "\r\nTransfer-Encoding: chunked\r\n")) {
        length = net_chunked_size(s, head);
        return length > 0 ? head + length : 0;
    }
    for (size_t i = 0; i + 16 < head; i++)
        if (strncasecmp(s->out + i, "\r\nContent-Length:", 17) == 0)
            length = (size_t)strtoul(s->out + i + 17, NULL, 10);
    if (net.hasty)
        length = 0;
    return head > 0 && s->out_total >= head + length ? head + length : 0;
}

static inline void net_note_request(net_socket *s, net_request *r) {
    memset(r, 0, sizeof *r);
    s->out[s->out_size < NET_REQUEST_SIZE ? s->out_size : NET_REQUEST_SIZE - 1] = '\0';
    sscanf(s->out, "%11s %51s", r->method, r->path);
    memcpy(r->host, s->host, sizeof r->host);
    r->at = test_now_ns;
    r->connection = s->connection;
    r->on_connection = s->exchanges + 1;
    r->text = s->out;
    r->size = s->out_size;
}

/* A head is there that asks before its body comes. */
static inline void net_ask(int fd) {
    net_socket *s = &net.fds[fd];
    net_request request;
    net_rule answer;
    size_t head = net_head_size(s);
    if (net.on_expect == NULL || s->asked || head == 0
        || !net_has_line(s, head, "\r\nExpect: 100-continue\r\n"))
        return;
    memset(&answer, 0, sizeof answer);
    answer.bytes = "";
    s->asked = true;
    net_note_request(s, &request);
    s->refused = net.on_expect(&request, &answer);
    if (s->refused) {
        assert_true(net.num_requests < NET_REQUESTS);
        net.requests[net.num_requests++] = request;
        s->exchanges++;
    }
    net_reply(fd, &answer);
    if (!s->refused)
        for (size_t i = 0; i < net.num_events; i++)
            if (net.events[i].fd == fd)
                net.events[i].last = false;
}

static inline void net_serve(int fd) {
    net_socket *s = &net.fds[fd];
    net_rule answer;
    memset(&answer, 0, sizeof answer);
    answer.bytes = NET_404;
    answer.size = strlen(NET_404);
    assert_true(net.num_requests < NET_REQUESTS);
    net_request *r = &net.requests[net.num_requests++];
    net_note_request(s, r);
    s->exchanges++;
    s->asked = false;
    if (!net.hasty)
        s->out_size = s->out_total = 0;
    if (net.server != NULL)
        net.server(r, &answer);
    else
        net_choose(r, &answer);
    net_reply(fd, &answer);
}

/* --- time --------------------------------------------------------------------------------- */

static inline void net_receive(net_socket *s, const net_event *event) {
    assert_true(s->in_size + event->size <= sizeof s->in);
    memcpy(s->in + s->in_size, event->data, event->size);
    s->in_size += event->size;
    s->answered = s->answered || event->last;
}

static inline void net_happen(const net_event *event) {
    net_socket *s = event->fd >= 0 ? &net.fds[event->fd] : NULL;
    if (s != NULL && (s->kind != NET_TCP || s->serial != event->serial))
        return;                         /* its socket has been closed since */
    switch (event->what) {
    case NET_ON_CONNECT:
        s->connecting = false;
        s->connected = event->error == 0;
        s->error = event->error;
        break;
    case NET_ON_DATA:
        if (!s->rst)
            net_receive(s, event);
        break;
    case NET_ON_FIN:
        s->fin = true;
        break;
    case NET_ON_RST:
        s->rst = true;
        break;
    case NET_ON_ROOM:
        break;
    default:
        event->func(event->argument);
    }
}

/* The place of the next event, the older one of two at the same time. */
static inline size_t net_next_event(void) {
    size_t next = 0;
    for (size_t i = 1; i < net.num_events; i++)
        if (net.events[i].at < net.events[next].at
            || (net.events[i].at == net.events[next].at
                && net.events[i].order < net.events[next].order))
            next = i;
    return next;
}

static inline int64_t net_next_time(void) {
    return net.num_events > 0 ? net.events[net_next_event()].at : NET_NEVER;
}

static inline void net_run_events(void) {
    while (net_next_time() <= test_now_ns) {
        size_t at = net_next_event();
        net_event event = net.events[at];
        net.events[at] = net.events[--net.num_events];
        net_happen(&event);
    }
}

static inline short net_ready(const net_socket *s) {
    bool room = (net.send_room == 0 || s->out_total < net.send_room) && s->room_at <= test_now_ns;
    if (s->kind == NET_PIPE_READ)
        return s->pipe_bytes > 0 ? POLLIN : 0;
    if (s->kind != NET_TCP)
        return POLLNVAL;
    if (s->connecting)
        return 0;
    if (!s->connected || s->rst)
        return POLLIN | POLLOUT | POLLERR | POLLHUP;
    bool more = s->in_size > 0 || s->fin || (net.endless && s->answered);
    return (short)((more ? POLLIN : 0) | (room ? POLLOUT : 0));
}

static inline int net_mark(struct pollfd *fds, nfds_t count) {
    int n = 0;
    for (nfds_t i = 0; i < count; i++) {
        short always = POLLERR | POLLHUP | POLLNVAL;
        fds[i].revents = (short)(net_ready(&net.fds[fds[i].fd]) & (fds[i].events | always));
        n += fds[i].revents != 0;
    }
    return n;
}

static inline int net_poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    if (net.calls[NET_POLL] >= net.poll_limit)
        fail_msg("%s: more than %lu turns", net.label, (unsigned long)net.poll_limit);
    if (net_fails(NET_POLL))
        return -1;
    net.turn_connects = net.turn_starts = 0;
    int64_t began = test_now_ns;
    int64_t until = timeout_ms < 0 ? NET_NEVER : began + NET_NS(timeout_ms / 1e3);
    for (;;) {
        net_run_events();
        if (net.interrupted) {
            net.interrupted = false;
            errno = EINTR;
            return -1;
        }
        int n = net_mark(fds, count);
        if (n > 0 || until <= test_now_ns) {
            net.idle_polls += n == 0 && test_now_ns == began;
            return n;
        }
        if (until == NET_NEVER && net.num_events == 0)
            fail_msg("%s: waits for something that never comes", net.label);
        test_now_ns = net_next_time() < until ? net_next_time() : until;
    }
}

/* --- sockets ------------------------------------------------------------------------------ */

static inline int net_new_fd(net_kind kind) {
    int fd = 3;                         /* the lowest one, as the system does */
    while (fd < NET_FDS && net.fds[fd].kind != NET_UNUSED)
        fd++;
    assert_true(fd < NET_FDS);
    net.top = fd + 1 > net.top ? fd + 1 : net.top;
    net_socket *s = &net.fds[fd];
    s->kind = kind;
    s->serial = ++net.serial;
    s->peer = -1;
    s->pipe_bytes = s->in_size = s->out_size = s->out_total = 0;
    s->connecting = s->connected = s->fin = s->rst = s->rst_told = s->busy = s->answered = false;
    s->asked = s->refused = s->probes = false;
    s->probes_after_s = 0;
    s->error = s->exchanges = s->connection = 0;
    s->room_at = 0;
    return fd;
}

static inline net_socket *net_get(int fd, net_kind kind) {
    assert_true(fd >= 0 && fd < NET_FDS && net.fds[fd].kind == kind);
    return &net.fds[fd];
}

static inline int net_socket_new(int family, int type, int protocol) {
    (void)protocol;
    assert_true(family == AF_INET || family == AF_INET6);
    if (type == SOCK_DGRAM)             /* asked where the machine's own address would be */
        return net_new_fd(NET_UDP);
    if (net_fails(NET_SOCKET))
        return -1;
    net_recount();
    if (net.fd_limit > 0 && net.open >= net.fd_limit) {
        errno = EMFILE;
        return -1;
    }
    int fd = net_new_fd(NET_TCP);
    net_recount();
    return fd;
}

static inline int net_connect(int fd, const struct sockaddr *to, socklen_t size) {
    bool unreachable = net.no_source6 && to->sa_family == AF_INET6;
    if (net.fds[fd].kind == NET_UDP || unreachable) {
        errno = EADDRNOTAVAIL;
        return unreachable ? -1 : 0;
    }
    net_socket *s = net_get(fd, NET_TCP);
    net_address *host = NULL;
    net_count_turn(&net.turn_connects, &net.most_turn_connects);
    net.unprobed += !s->probes || s->probes_after_s != 60;
    bool fails = net_fails(NET_CONNECT);
    (void)size;
    if (fails && net.fail_errno != EINTR)
        return -1;
    if (to->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)to)->sin_addr, s->host,
                  sizeof s->host);
    else
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)to)->sin6_addr, s->host,
                  sizeof s->host);
    for (size_t i = 0; i < net.num_hosts; i++)
        if (strcmp(net.hosts[i].text, s->host) == 0)
            host = &net.hosts[i];
    s->connecting = true;
    if (net.connects < NET_HOSTS)
        memcpy(net.connected[net.connects], s->host, sizeof s->host);
    s->connection = ++net.connects;
    if (host == NULL || host->delay_s >= 0)
        net_schedule(test_now_ns + NET_NS(host != NULL ? host->delay_s : 0), NET_ON_CONNECT,
                     fd)->error = host != NULL ? host->error : 0;
    net_recount();
    if (net.connects_at_once) {
        net_run_events();
        return 0;
    }
    errno = fails ? EINTR : EINPROGRESS;    /* either way it goes on in the background */
    return -1;
}

/* A peer that has closed answers the first bytes with a reset. */
static inline ssize_t net_send(int fd, const void *data, size_t size, int flags) {
    net_socket *s = net_get(fd, NET_TCP);
    assert_true(flags == MSG_NOSIGNAL && size > 0);
    if (net_fails(NET_SEND)) {
        if (net.fail_errno != NET_SHORT)
            return -1;
        size = 1;
    }
    if (!s->connected || s->rst) {
        errno = s->connected ? EPIPE : ENOTCONN;
        return -1;
    }
    if (net.send_room != 0 && s->out_total + size > net.send_room)
        size = net.send_room > s->out_total ? net.send_room - s->out_total : 0;
    if (size == 0 || s->room_at > test_now_ns) {
        errno = EAGAIN;
        return -1;
    }
    if (net.send_piece != 0) {
        size = size < net.send_piece ? size : net.send_piece;
        s->room_at = test_now_ns + NET_NS(net.send_gap_s);
        net_schedule(s->room_at, NET_ON_ROOM, fd);
    }
    if (s->out_total == 0) {
        assert_true(net.num_starts < NET_REQUESTS);
        net.starts[net.num_starts++] = test_now_ns;
        net_count_turn(&net.turn_starts, &net.most_turn_starts);
        s->busy = true;
        s->answered = false;
        net_recount();
    }
    size_t room = NET_REQUEST_SIZE - s->out_size;
    memcpy(s->out + s->out_size, data, size < room ? size : room);
    s->out_size += size < room ? size : room;
    s->out_total += size;
    if (!s->fin)
        net_ask(fd);
    if (!s->fin && !s->refused && net_request_size(s) > 0 && !(net.hasty && s->exchanges > 0))
        net_serve(fd);
    return (ssize_t)size;
}

static inline ssize_t net_recv(int fd, void *data, size_t size, int flags) {
    net_socket *s = net_get(fd, NET_TCP);
    if (net_fails(NET_RECV)) {
        if (net.fail_errno != NET_SHORT)
            return -1;
        size = 1;
    }
    net_run_events();                   /* what has arrived by now */
    if (net.endless && s->answered && s->in_size == 0) {
        test_now_ns += (flags & MSG_PEEK) != 0 ? 0 : NET_NS(0.001);
        s->in_size = sizeof s->in < 1000 ? sizeof s->in : 1000;
        memset(s->in, 'x', s->in_size);
    }
    if (s->in_size == 0) {
        errno = s->rst && !s->rst_told ? ECONNRESET : EAGAIN;
        if (s->fin || s->rst_told)
            return 0;
        s->rst_told = s->rst;
        return -1;
    }
    size = s->in_size < size ? s->in_size : size;
    size = net.recv_piece != 0 && size > net.recv_piece ? net.recv_piece : size;
    memcpy(data, s->in, size);
    if ((flags & MSG_PEEK) != 0)
        return (ssize_t)size;
    s->in_size -= size;
    memmove(s->in, s->in + size, s->in_size);
    s->busy = s->busy && !(s->answered && s->in_size == 0);
    return (ssize_t)size;
}

/* Closed also when it says EINTR, as Linux does. */
static inline int net_close(int fd) {
    assert_true(fd >= 3 && fd < NET_FDS && net.fds[fd].kind != NET_UNUSED);
    net.fds[fd].kind = NET_UNUSED;
    net_recount();
    return net_fails(NET_CLOSE) ? -1 : 0;
}

static inline int net_getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
    net_socket *s = net_get(fd, NET_TCP);
    assert_true(level == SOL_SOCKET && name == SO_ERROR && *size == sizeof s->error);
    if (net_fails(NET_GETSOCKOPT))
        return -1;
    memcpy(value, &s->error, sizeof s->error);
    return 0;
}

static inline int net_setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
    net_socket *s = net_get(fd, NET_TCP);
    int number;
    assert_int_equal(size, sizeof number);
    memcpy(&number, value, sizeof number);
    if (net_fails(NET_SETSOCKOPT))
        return -1;
    if (level == SOL_SOCKET && name == SO_KEEPALIVE)
        s->probes = number != 0;
    if (level == IPPROTO_TCP && name == TCP_KEEPIDLE)
        s->probes_after_s = number;
    return 0;
}

static inline int net_bind(int fd, const struct sockaddr *to, socklen_t size) {
    (void)fd;
    (void)to;
    (void)size;
    errno = EADDRNOTAVAIL;
    return net.foreign_source ? -1 : 0;
}

static inline int net_fcntl(int fd, int command, int argument) {
    (void)fd;
    (void)command;
    (void)argument;
    return net_fails(NET_FCNTL) ? -1 : 0;
}

static inline int net_pipe(int fds[2]) {
    if (net_fails(NET_PIPE))
        return -1;
    fds[0] = net_new_fd(NET_PIPE_READ);
    fds[1] = net_new_fd(NET_PIPE_WRITE);
    net.fds[fds[1]].peer = fds[0];
    return 0;
}

static inline ssize_t net_read(int fd, void *data, size_t size) {
    net_socket *s = net_get(fd, NET_PIPE_READ);
    if (net_fails(NET_READ)) {
        if (net.fail_errno != NET_SHORT)
            return -1;
        size = 1;
    }
    if (s->pipe_bytes == 0) {
        errno = EAGAIN;
        return -1;
    }
    size = s->pipe_bytes < size ? s->pipe_bytes : size;
    memcpy(data, s->in, size);
    s->pipe_bytes -= size;
    memmove(s->in, s->in + size, s->pipe_bytes);
    return (ssize_t)size;
}

static inline ssize_t net_write(int fd, const void *data, size_t size) {
    net_socket *s = &net.fds[net_get(fd, NET_PIPE_WRITE)->peer];
    if (net_fails(NET_WRITE))
        return -1;
    if (s->pipe_bytes + size > sizeof s->in) {
        errno = EAGAIN;
        return -1;
    }
    memcpy(s->in + s->pipe_bytes, data, size);
    s->pipe_bytes += size;
    return (ssize_t)size;
}

/* --- helper threads ----------------------------------------------------------------------- */

typedef struct net_helper {
    pthread_t thread;
    sem_t     go, blocked;
    bool      begun, ended;
    void   *(*func)(void *);
    void     *argument;
} net_helper;

static __thread net_helper *net_me;     /* NULL: the test itself */

static inline void *net_helper_main(void *argument) {
    net_me = (net_helper *)argument;
    sem_wait(&net_me->go);
    net_me->func(net_me->argument);
    net_me->ended = true;
    sem_post(&net_me->blocked);
    return NULL;
}

static inline void *net_go_on(void *argument) {
    net_helper *helper = (net_helper *)argument;
    if (!helper->begun)
        assert_int_equal(pthread_create(&helper->thread, NULL, net_helper_main, helper), 0);
    helper->begun = true;
    sem_post(&helper->go);
    while (sem_wait(&helper->blocked) != 0)
        continue;
    if (helper->ended) {
        pthread_join(helper->thread, NULL);
        sem_destroy(&helper->go);
        sem_destroy(&helper->blocked);
        free(helper);
    }
    return NULL;
}

static inline void net_block(double seconds) {
    net_helper *me = net_me;
    if (me == NULL || seconds <= 0)
        return;
    net_event *event = net_schedule(test_now_ns + NET_NS(seconds), NET_ON_CALL, -1);
    event->func = net_go_on;
    event->argument = me;
    sem_post(&me->blocked);
    while (sem_wait(&me->go) != 0)
        continue;
}

/* --- names, threads, memory --------------------------------------------------------------- */

static inline struct addrinfo *net_new_address(const char *text) {
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)calloc(1, sizeof *v6);
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)v6;
    struct addrinfo *a = (struct addrinfo *)calloc(1, sizeof *a);
    assert_true(a != NULL && v6 != NULL);
    bool is_v4 = inet_pton(AF_INET, text, &v4->sin_addr) == 1;
    if (!is_v4)
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
    v6->sin6_family = is_v4 ? AF_INET : AF_INET6;
    a->ai_family = v6->sin6_family;
    a->ai_socktype = SOCK_STREAM;
    a->ai_addr = (struct sockaddr *)(void *)v6;
    a->ai_addrlen = is_v4 ? sizeof *v4 : sizeof *v6;
    return a;
}

/* "slow*" is every name that begins so. */
static inline const net_name *net_find_name(const char *name) {
    for (size_t i = 0; i < net.num_names; i++) {
        const char *known = net.names[i].name;
        size_t n = strlen(known);
        if (strcmp(known, name) == 0
            || (n > 0 && known[n - 1] == '*' && strncmp(known, name, n - 1) == 0))
            return &net.names[i];
    }
    return NULL;
}

/* The addresses of one family, or of both. */
static inline int net_list_addresses(const net_name *n, int family, struct addrinfo **out) {
    struct addrinfo **first = out;
    char list[256], *rest = NULL;
    bool others = false;
    *out = NULL;
    snprintf(list, sizeof list, "%s", n->addresses);
    for (char *a = strtok_r(list, " ", &rest); a != NULL; a = strtok_r(NULL, " ", &rest)) {
        others = true;
        if (family != AF_UNSPEC && family != (strchr(a, ':') != NULL ? AF_INET6 : AF_INET))
            continue;
        *out = net_new_address(a);
        out = &(*out)->ai_next;
    }
    return *first == NULL && others ? -5 : 0;           /* EAI_NODATA, whose name glibc hides */
}

static inline int net_getaddrinfo(const char *name, const char *service,
                                  const struct addrinfo *hints, struct addrinfo **out) {
    (void)service;
    if (net.lookups < NET_HOSTS)
        net.families[net.lookups] = hints->ai_family;
    net.lookups++;
    if (net_fails(NET_GETADDRINFO)) {
        errno = ENOMEM;
        return net.fail_errno;
    }
    const net_name *n = net_find_name(name);
    net.looking++;
    net.most_looking = net.looking > net.most_looking ? net.looking : net.most_looking;
    net_block((n != NULL && n->takes_s >= 0 ? n->takes_s : net.lookup_s)
              + (hints->ai_family != AF_INET ? net.aaaa_s : 0));
    net.looking--;
    if (n == NULL)
        return EAI_NONAME;
    return n->error != 0 ? n->error : net_list_addresses(n, hints->ai_family, out);
}

static inline void net_freeaddrinfo(struct addrinfo *a) {
    while (a != NULL) {
        struct addrinfo *next = a->ai_next;
        free(a->ai_addr);
        free(a);
        a = next;
    }
}

static inline int net_getifaddrs(struct ifaddrs **out) {
    static struct ifaddrs all[4];
    static struct sockaddr_in v4;
    static struct sockaddr_in6 v6[3];
    static const char *const texts[] = {"::1", "fe80::1", "2001:db8::99"};
    memset(all, 0, sizeof all);
    v4.sin_family = AF_INET;
    all[0].ifa_addr = (struct sockaddr *)(void *)&v4;
    all[0].ifa_next = &all[1];
    for (int i = 0; i < 3; i++) {
        v6[i].sin6_family = AF_INET6;
        inet_pton(AF_INET6, texts[i], &v6[i].sin6_addr);
        all[i + 1].ifa_addr = (struct sockaddr *)(void *)&v6[i];
        all[i + 1].ifa_next = i < (net.no_ipv6 ? 1 : 2) ? &all[i + 2] : NULL;
    }
    *out = all;
    return 0;
}

static inline void net_freeifaddrs(struct ifaddrs *all) {
    (void)all;
}

/* Helper threads are real ones, but one at a time: poll() lets one go on when its time has come,
   and waits until it blocks again, or ends. What it blocks on is getaddrinfo(). */
static inline int net_thread(pthread_t *thread, const pthread_attr_t *attributes,
                             void *(*func)(void *), void *argument) {
    (void)thread;
    (void)attributes;
    if (net_fails(NET_THREAD))
        return net.fail_errno;
    net_helper *helper = (net_helper *)calloc(1, sizeof *helper);
    helper->func = func;
    helper->argument = argument;
    sem_init(&helper->go, 0, 0);
    sem_init(&helper->blocked, 0, 0);
    net_event *event = net_schedule(test_now_ns, NET_ON_CALL, -1);
    event->func = net_go_on;
    event->argument = helper;
    return 0;
}

static inline void *net_realloc(void *ptr, size_t size) {
    if (net_fails(NET_REALLOC))
        return NULL;
    net.blocks += ptr == NULL;
    return realloc(ptr, size);
}

static inline void net_free(void *ptr) {
    net.blocks -= ptr != NULL;
    free(ptr);
}

/* --- begin and end ------------------------------------------------------------------------ */

static inline void net_begin(void) {
    for (int fd = 0; fd < net.top; fd++)
        memset(&net.fds[fd], 0, sizeof net.fds[fd]);
    memset(&net, 0, offsetof(struct net, events));
    net.poll_limit = 100000;
    net.label = "run";
    test_now_ns = NET_BEGIN;
}

/* Lets what is still under way on other threads end; then nothing may be left. */
static inline void net_end(void) {
    int64_t ended = test_now_ns;
    while (net.num_events > 0) {
        test_now_ns = net_next_time() > test_now_ns ? net_next_time() : test_now_ns;
        net_run_events();
    }
    test_now_ns = ended;
    for (int fd = 0; fd < net.top; fd++)
        CHECK(net.fds[fd].kind == NET_UNUSED, "%s: descriptor %d is open", net.label, fd);
    CHECK(net.blocks == 0, "%s: %lu blocks left", net.label, (unsigned long)net.blocks);
}

#define SPARP__SYS_SOCKET net_socket_new
#define SPARP__SYS_BIND net_bind
#define SPARP__SYS_CONNECT net_connect
#define SPARP__SYS_SEND net_send
#define SPARP__SYS_RECV net_recv
#define SPARP__SYS_CLOSE net_close
#define SPARP__SYS_GETSOCKOPT net_getsockopt
#define SPARP__SYS_SETSOCKOPT net_setsockopt
#define SPARP__SYS_FCNTL net_fcntl
#define SPARP__SYS_PIPE net_pipe
#define SPARP__SYS_READ net_read
#define SPARP__SYS_WRITE net_write
#define SPARP__SYS_POLL net_poll
#define SPARP__SYS_GETADDRINFO net_getaddrinfo
#define SPARP__SYS_FREEADDRINFO net_freeaddrinfo
#define SPARP__SYS_GETIFADDRS net_getifaddrs
#define SPARP__SYS_FREEIFADDRS net_freeifaddrs
#define SPARP__HOSTS_FILE "tests/unit/hosts.txt"
#define SPARP__SYS_THREAD net_thread
#define SPARP__SYS_CLOCK test_clock
#define SPARP__SYS_REALLOC net_realloc
#define SPARP__SYS_FREE net_free

#endif

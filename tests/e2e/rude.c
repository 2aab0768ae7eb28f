/* rude.c - sends the library to tests/server/rude.c, whose every answer is a fault, and to a server
   of its own that ends replies early.

   usage: rude PORT        PORT: of tests/server/rude.c

   1  alone: each fault in a run with good requests to the same server before, beside and after it
   2  together: all of them in one run
   3  the four faults of Retry-After again, with one retry
   4  a dozen replies, cut at every byte by FIN and by RST: an error each; and sent in two pieces,
      apart at every byte: a success each

   Prints one line per check, and at last "N passed, N failed". */
#define _GNU_SOURCE
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_ENTRIES  = 200,
    BEFORE       = 3,              /* good requests in front of the fault ... */
    BESIDE       = 3,              /* ... at the same time ... */
    AFTER        = 6,              /* ... and when it is over */
    GOOD_EACH    = 3,              /* per fault, when all are together */
    LATE_MS      = 150,            /* extra-late and 408-late strike 100 ms after their answer */
    MAX_BODY     = 16 * 1024 * 1024,
    HASTE_MS     = 5000            /* "at once", on a machine that is busy and with sanitizers */
};

#define DEADLINE_S 0.6             /* of the faults that have to run into it */
#define PATIENCE_S 15.0            /* of everything else */

struct entry {                     /* one line of /list */
    char   name[64], expected[64];
    char   body[64];               /* "": not checked */
    size_t body_size;
    size_t post;                   /* bytes to send */
};

static struct entry entries[MAX_ENTRIES];
static int          num_entries;
static char         base[64];
static char         list[64 * 1024];        /* what /list says, again and again */
static size_t       list_size;
static char        *filler;                 /* a request body */
static int          passed, failed;

/* --- checks ----------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4)))
static void check(bool ok, const char *what, const char *format, ...) {
    va_list args;
    if (ok) {
        passed++;
        printf("ok %s\n", what);
        return;
    }
    failed++;
    printf("FAILED %s: ", what);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int open_descriptors(void) {
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (d == NULL)
        return 0;
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

/* --- what should come of a fault -------------------------------------------------------------- */

/* Where semantics.md says more than the server does. "": a success with the body hello. */
static const struct { const char *name, *error; } strict[] = {
    { "close-at-once", "CLOSED" },          { "rst-at-once", "RESET" },
    { "rst-until-close", "TRUNCATED" },     { "fin-mid-body", "TRUNCATED" },
    { "http09", "PROTOCOL" },               { "h2-preface", "PROTOCOL" },
    { "bare-lf-head", "" },                 { "bare-cr-head", "PROTOCOL" },
    { "nul-in-value", "PROTOCOL" },         { "nul-in-name", "PROTOCOL" },
    { "no-colon", "PROTOCOL" },             { "infinite-headers", "HEAD_TOO_LARGE" },
    { "huge-header-line", "HEAD_TOO_LARGE" }, { "many-headers", "HEAD_TOO_LARGE" },
    { "100-endless", "HEAD_TOO_LARGE" },   { "101-unasked", "PROTOCOL" },
    { "cl-negative", "PROTOCOL" },          { "cl-plus", "PROTOCOL" },
    { "cl-empty", "PROTOCOL" },             { "cl-conflict", "PROTOCOL" },
    { "cl-conflict-list", "PROTOCOL" },     { "cl-dup-same", "" },
    { "cl-overflow64", "PROTOCOL" },        { "te-cl", "" },
    { "te-unknown", "PROTOCOL" },           { "chunk-no-last", "TRUNCATED" },
    { "chunk-trunc-data", "TRUNCATED" },    { "chunk-trunc-size", "TRUNCATED" },
    { "endless-body", "BODY_TOO_LARGE" },
    { "redir-loop", "REDIRECT_REFUSED" },   { "redir-empty", "REDIRECT_REFUSED" },
    { "redir-two", "REDIRECT_REFUSED" },    { "redir-file", "REDIRECT_REFUSED" },
    { "redir-ctl", "REDIRECT_REFUSED" },    { "redir-userinfo", "REDIRECT_REFUSED" },
    { "redir-port-0", "REDIRECT_REFUSED" }, { "redir-too-long", "HEAD_TOO_LARGE" },
    { "redir-refused", "REFUSED" },         { "redir-folded", "" },
    { "redir-bare-lf", "" },                { "unread-fin", "CLOSED" }
};

static bool starts(const char *s, const char *with) {
    return strncmp(s, with, strlen(with)) == 0;
}

static bool is_late(const struct entry *e) {
    return strcmp(e->expected, "deadline") == 0;
}

static bool has_hello(const sparp_result *r) {
    return r->outcome == SPARP_OUTCOME_SUCCESS && r->body_size == 5
        && memcmp(r->body, "hello", 5) == 0;
}

static bool right_body(const struct entry *e, const sparp_result *r) {
    if (e->body[0] == '-')
        return true;
    for (size_t i = 0; i < r->body_size && strcmp(e->name, "binary-body") == 0; i++)
        if ((unsigned char)r->body[i] != i)
            return false;
    return r->body_size == e->body_size
        && (e->body[0] == '\0' || memcmp(r->body, e->body, e->body_size) == 0);
}

static bool is_error(const sparp_result *r) {
    return r->error != SPARP_E_OK
        && (r->outcome == SPARP_OUTCOME_TRANSPORT_FAILED
            || r->outcome == SPARP_OUTCOME_TIMEOUT_EXHAUSTED
            || r->outcome == SPARP_OUTCOME_LOCAL_FAILED);
}

static bool as_expected(const struct entry *e, const sparp_result *r) {
    int64_t ms = r->elapsed_us / 1000;
    if (is_late(e))
        return r->error == SPARP_E_TIMEOUT && r->outcome == SPARP_OUTCOME_TIMEOUT_EXHAUSTED
            && ms >= (int)(DEADLINE_S * 1000) - 1 && ms < (int)(DEADLINE_S * 1000) + HASTE_MS;
    if (r->error == SPARP_E_TIMEOUT || ms > HASTE_MS)
        return false;
    for (size_t i = 0; i < sizeof strict / sizeof *strict; i++)
        if (strcmp(e->name, strict[i].name) == 0)
            return strict[i].error[0] == '\0' ? has_hello(r)
                 : is_error(r) && strcmp(sparp_error_name(r->error), strict[i].error) == 0;
    if (strcmp(e->expected, "error") == 0)
        return is_error(r);
    if (starts(e->expected, "status "))
        return r->error == SPARP_E_OK && r->status == atoi(e->expected + 7);
    if (starts(e->expected, "ok") || starts(e->expected, "noreuse"))
        return r->outcome == SPARP_OUTCOME_SUCCESS && r->error == SPARP_E_OK && right_body(e, r);
    bool other = starts(e->name, "gzip-") || starts(e->name, "retry-after-");
    return is_error(r) || other || (r->error == SPARP_E_OK && right_body(e, r));
}

static const char *told(const sparp_result *r) {
    static char text[512];
    snprintf(text, sizeof text, "%s, error %s (%.200s), status %d, %zu bytes, %lld ms, replays %d",
             sparp_outcome_name(r->outcome), sparp_error_name(r->error), r->detail, r->status,
             r->body_size, (long long)(r->elapsed_us / 1000), r->replays);
    return text;
}

/* --- requests --------------------------------------------------------------------------------- */

static void rude_request(sparp_request *out, const struct entry *e) {
    static char url[256];
    memset(out, 0, sizeof *out);
    snprintf(url, sizeof url, "%s/%s", base, e->name);
    out->url = url;
    out->timeout_s = is_late(e) ? DEADLINE_S : PATIENCE_S;
    out->body = e->post > 0 ? filler : NULL;
    out->body_size = e->post;
}

/* Two kinds: the list is long, the other one is counted by /seen. */
static void good_request(sparp_request *out, int i) {
    static char url[256];
    memset(out, 0, sizeof *out);
    snprintf(url, sizeof url, "%s/%s", base, i % 2 == 0 ? "list" : "chunk-trailers");
    out->url = url;
    out->timeout_s = PATIENCE_S;
}

static bool is_good_result(const sparp_result *r) {
    if (r->outcome != SPARP_OUTCOME_SUCCESS || r->error != SPARP_E_OK || r->status != 200)
        return false;
    if (strstr(r->url, "/chunk-trailers") != NULL)
        return has_hello(r);
    return r->body_size == list_size && memcmp(r->body, list, list_size) == 0;
}

static sparp_options no_retries(int at_once) {
    sparp_options o;
    memset(&o, 0, sizeof o);
    o.max_at_once = at_once;
    o.max_retries_by_soft_fail = o.max_retries_by_timeout = SPARP_NONE;
    o.max_retries_by_transport = SPARP_NONE;
    o.max_body_bytes = MAX_BODY;
    o.no_gate = true;              /* a fault's Retry-After is not its neighbours' */
    return o;
}

/* The body of one GET, copied; "" if there is none. */
static size_t get(const char *path, char *text, size_t room) {
    char url[256];
    sparp_request q;
    sparp_options o = no_retries(1);
    size_t size = 0;
    memset(&q, 0, sizeof q);
    snprintf(url, sizeof url, "%s%s", base, path);
    q.url = url;
    o.requests = &q;
    o.num_requests = 1;
    sparp_results all = sparp_run_all(&o);
    if (all.count == 1 && all.items[0].outcome == SPARP_OUTCOME_SUCCESS
        && all.items[0].body_size < room) {
        size = all.items[0].body_size;
        memcpy(text, all.items[0].body, size);
    }
    text[size] = '\0';
    sparp_results_free(&all);
    return size;
}

/* NAME, tab, expectation [, tab, body [, tab, "POST N"]] */
static void parse_list(void) {
    char *copy = strdup(list), *rest = copy, *line;
    while ((line = strsep(&rest, "\n")) != NULL && num_entries < MAX_ENTRIES) {
        struct entry *e = &entries[num_entries];
        char *name = strsep(&line, "\t"), *expected = strsep(&line, "\t");
        char *body = strsep(&line, "\t"), *post = strsep(&line, "\t");
        if (expected == NULL)
            continue;
        snprintf(e->name, sizeof e->name, "%s", name);
        snprintf(e->expected, sizeof e->expected, "%s", expected);
        snprintf(e->body, sizeof e->body, "%s", body != NULL ? body : "hello");
        e->body_size = strlen(e->body);
        if (e->body[0] >= '0' && e->body[0] <= '9') {
            e->body_size = (size_t)atol(e->body);
            e->body[0] = '\0';
        }
        if (post != NULL && starts(post, "POST "))
            e->post = (size_t)atol(post + 5);
        num_entries++;
    }
    free(copy);
}

/* --- 1: alone --------------------------------------------------------------------------------- */

struct mix {
    const struct entry *entry;
    int     given;
    int     results, bad_neighbours, rude_results;
    bool    right;
    int     sent;                  /* how often the fault was sent */
    int64_t over_ms;               /* when the fault was over; 0: it is not */
    char    why[512], why_neighbour[512];
};

static bool late_enough(const struct mix *m) {
    int wait = strstr(m->entry->expected, "noreuse") != NULL ? LATE_MS : 0;
    return m->over_ms != 0 && now_ms() >= m->over_ms + wait;
}

static sparp_input mix_next(sparp_request *out, void *user_data) {
    struct mix *m = user_data;
    int i = m->given;
    if (i == BEFORE + 1 + BESIDE + AFTER)
        return SPARP_INPUT_END;
    if (i > BEFORE + BESIDE && !late_enough(m))
        return SPARP_INPUT_LATER;
    if (i == BEFORE)
        rude_request(out, m->entry);
    else
        good_request(out, i);
    m->given++;
    return SPARP_INPUT_READY;
}

static void mix_take(struct mix *m, const sparp_result *r) {
    m->results++;
    if (r->index != BEFORE) {
        if (is_good_result(r))
            return;
        m->bad_neighbours++;
        snprintf(m->why_neighbour, sizeof m->why_neighbour, "index %llu: %.480s",
                 (unsigned long long)r->index, told(r));
        return;
    }
    m->rude_results++;
    m->right = as_expected(m->entry, r);
    m->sent = r->attempts + r->replays;
    if (strstr(r->final_url, m->entry->name) != NULL)
        m->sent += r->redirects;               /* to itself */
    if (starts(m->entry->name, "417-"))
        m->sent++;
    m->over_ms = now_ms();
    snprintf(m->why, sizeof m->why, "expected %s: %.400s", m->entry->expected, told(r));
}

static bool mix_run(struct mix *m, sparp_stats *stats) {
    sparp_options o = no_retries(5);
    const sparp_result *r;
    int64_t begin = now_ms();
    o.next_request = mix_next;
    o.user_data = m;
    sparp *run = sparp_open(&o, NULL);
    if (run == NULL)
        return false;
    while (sparp_step(run, 20)) {
        while ((r = sparp_ready(run)) != NULL)
            mix_take(m, r);
        if (late_enough(m))
            sparp_wake(run);
        if (now_ms() > begin + 2 * (int64_t)(PATIENCE_S * 1000))
            break;
    }
    while ((r = sparp_ready(run)) != NULL)
        mix_take(m, r);
    *stats = sparp_get_stats(run);
    sparp_close(run);
    return true;
}

/* What /seen says of a fault. */
static void seen(const char *name, int *requests, int *reused_after) {
    char text[16 * 1024], key[128];
    *requests = *reused_after = -1;
    get("/seen", text, sizeof text);
    snprintf(key, sizeof key, "\"%s\":{", name);
    const char *at = strstr(text, key);
    if (at != NULL)
        sscanf(at + strlen(key), "\"requests\":%d,\"reused_after\":%d", requests, reused_after);
}

static void test_alone(const struct entry *e) {
    char text[16 * 1024], what[256];
    int requests, reused_after;
    struct mix m;
    sparp_stats s;
    memset(&m, 0, sizeof m);
    memset(&s, 0, sizeof s);
    m.entry = e;
    get("/seen/reset", text, sizeof text);
    bool ran = mix_run(&m, &s);
    seen(e->name, &requests, &reused_after);
    snprintf(what, sizeof what, "%s: %s", e->name, e->expected);
    check(ran && m.right, what, "%s", m.why);
    uint64_t ends = s.success + s.hard_fail + s.soft_exhausted + s.timeout_exhausted
                  + s.transport_failed + s.local_failed + s.cancelled + s.not_started;
    snprintf(what, sizeof what, "%s: one result each, the neighbours undisturbed", e->name);
    check(m.results == BEFORE + 1 + BESIDE + AFTER && m.rude_results == 1 && m.bad_neighbours == 0
          && ends == (uint64_t)m.results && s.pulled == ends,
          what, "%d results, %d of the fault, %d bad neighbours, pulled %llu, ended %llu; %s",
          m.results, m.rude_results, m.bad_neighbours, (unsigned long long)s.pulled,
          (unsigned long long)ends, m.why_neighbour);
    if (strcmp(e->name, "chunk-trailers") != 0) {        /* which the good ones send too */
        snprintf(what, sizeof what, "%s: sent as often as told", e->name);
        check(requests == m.sent, what, "told %d, seen %d", m.sent, requests);
    }
    if (strstr(e->expected, "noreuse") != NULL) {
        snprintf(what, sizeof what, "%s: the connection is not used again", e->name);
        check(reused_after == 0, what, "%d requests came after it", reused_after);
    }
}

/* --- 2: together ------------------------------------------------------------------------------ */

struct crowd {
    int  order[MAX_ENTRIES * (1 + GOOD_EACH)];     /* index of the entry, or -1: a good one */
    int  count, given;
    int  seen[MAX_ENTRIES * (1 + GOOD_EACH)];      /* results of each */
};

static sparp_input crowd_next(sparp_request *out, void *user_data) {
    struct crowd *c = user_data;
    if (c->given == c->count)
        return SPARP_INPUT_END;
    int which = c->order[c->given++];
    if (which >= 0)
        rude_request(out, &entries[which]);
    else
        good_request(out, c->given);
    return SPARP_INPUT_READY;
}

/* What strikes an idle connection may strike just when another request has taken it. */
static bool strikes_later(const struct entry *e) {
    return strcmp(e->name, "extra-late") == 0 || strcmp(e->name, "408-late") == 0;
}

static void crowd_shuffle(struct crowd *c) {
    uint32_t dice = 12345;
    c->count = num_entries * (1 + GOOD_EACH);
    for (int i = 0; i < c->count; i++)
        c->order[i] = i < num_entries && !strikes_later(&entries[i]) ? i : -1;
    for (int i = c->count - 1; i > 0; i--) {
        dice = dice * 1664525 + 1013904223;
        int k = (int)(dice >> 8) % (i + 1), other = c->order[k];
        c->order[k] = c->order[i];
        c->order[i] = other;
    }
}

static void test_together(int at_once) {
    static struct crowd c;
    char what[128];
    const sparp_result *r;
    int right = 0, good = 0, once = 0, faults = 0;
    memset(&c, 0, sizeof c);
    crowd_shuffle(&c);
    sparp_options o = no_retries(at_once);
    o.next_request = crowd_next;
    o.user_data = &c;
    sparp *run = sparp_open(&o, NULL);
    while (run != NULL && (r = sparp_next(run)) != NULL) {
        int which = c.order[r->index];
        c.seen[r->index]++;
        if (which < 0 && is_good_result(r))
            good++;
        else if (which >= 0 && as_expected(&entries[which], r))
            right++;
        else
            printf("    %s: %s\n", which < 0 ? "good" : entries[which].name, told(r));
    }
    sparp_close(run);
    for (int i = 0; i < c.count; i++) {
        once += c.seen[i] == 1;
        faults += c.order[i] >= 0;
    }
    snprintf(what, sizeof what, "all together, %d at once", at_once);
    check(right == faults && good == c.count - faults && once == c.count, what,
          "%d of %d faults as expected, %d of %d good, %d of %d with one result", right, faults,
          good, c.count - faults, once, c.count);
}

/* --- 3: when to come back --------------------------------------------------------------------- */

static void test_retry_after(const struct entry *e) {
    char what[128], text[1024];
    sparp_request q;
    sparp_options o = no_retries(2);
    bool huge = strcmp(e->name, "retry-after-huge") == 0;
    rude_request(&q, e);
    o.requests = &q;
    o.num_requests = 1;
    o.max_retries_by_soft_fail = 1;
    o.backoff_s = 0.01;
    for (int tries = 0; tries < 2; tries++) {      /* every second answer is the 503 */
        sparp_results all = sparp_run_all(&o);
        const sparp_result *r = all.items;
        bool hello = all.count == 1 && has_hello(r);
        bool given_up = all.count == 1 && r->outcome == SPARP_OUTCOME_SOFT_EXHAUSTED
                     && r->status == 503 && r->attempts == 1 && r->retry_at_s > 120;
        snprintf(text, sizeof text, "%s, attempts %d, retry_at_s %g",
                 all.count == 1 ? told(r) : "no result", all.count == 1 ? r->attempts : 0,
                 all.count == 1 ? r->retry_at_s : 0);
        snprintf(what, sizeof what, "%s: with a retry, number %d", e->name, tries + 1);
        check((hello || (huge && given_up)) && r->total_us < 3000000, what, "%s", text);
        sparp_results_free(&all);
    }
}

/* --- 4: cut short ----------------------------------------------------------------------------- */

#define OK_HEAD "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"

static const struct { const char *reply, *body; } replies[] = {
    { OK_HEAD "Content-Length: 5\r\n\r\nhello", "hello" },
    { OK_HEAD "Content-Length: 0\r\n\r\n", "" },
    { "HTTP/1.0 200\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nhello, world", NULL },
    { CHUNKED "5\r\nhello\r\n0\r\n\r\n", "hello" },
    { CHUNKED "1\r\nh\r\n4\r\nello\r\n00\r\n\r\n", "hello" },
    { CHUNKED "5;a=b; c=\"d\"\r\nhello\r\n0;z\r\n\r\n", "hello" },
    { CHUNKED "5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n", "hello" },
    { "HTTP/1.1 100 Continue\r\n\r\n" OK_HEAD "Content-Length: 5\r\n\r\nhello", "hello" },
    { "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" CHUNKED
      "5\r\nhello\r\n0\r\n\r\n", "hello" },
    { OK_HEAD "X-Folded: one\r\n two\r\n\tthree\r\nContent-Length: 5\r\n\r\nhello", "hello" },
    { "HTTP/1.1 404 Not Found\r\nServer: x\r\nContent-Length: 7\r\nX-Empty:\r\n\r\nmissing", NULL },
    { OK_HEAD "Set-Cookie: a=\"b\"\r\nSet-Cookie: c\r\nKeep-Alive: timeout=5\r\n"
      "Connection: keep-alive\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
      "Content-Length: 5\r\n\r\nhello", "hello" },
    { "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", "" }
};

enum { NUM_REPLIES = sizeof replies / sizeof *replies };
enum ending { BY_FIN, BY_RST, IN_TWO };

static int listener;

static void send_cut(int fd, int reply, size_t cut, int ending) {
    struct linger none = { 1, 0 };
    struct timespec moment = { 0, 200000 };
    const char *text = replies[reply].reply;
    size_t size = strlen(text);
    if (cut > 0)
        (void)!send(fd, text, cut, MSG_NOSIGNAL);
    if (ending == IN_TWO) {
        nanosleep(&moment, NULL);
        (void)!send(fd, text + cut, size - cut, MSG_NOSIGNAL);
    } else if (ending == BY_RST) {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
}

/* GET /REPLY/CUT/ENDING, one after the other: a connection each. */
static void *cut_server(void *nothing) {
    char head[4096];
    (void)nothing;
    for (;;) {
        int fd = accept(listener, NULL, NULL), reply, ending;
        size_t cut, size = 0;
        if (fd < 0)
            return NULL;
        while (size < sizeof head - 1) {
            ssize_t n = recv(fd, head + size, sizeof head - 1 - size, 0);
            if (n <= 0)
                break;
            size += (size_t)n;
            if (memmem(head, size, "\r\n\r\n", 4) != NULL)
                break;
        }
        head[size] = '\0';
        if (sscanf(head, "GET /%d/%zu/%d", &reply, &cut, &ending) == 3 && reply < NUM_REPLIES
            && cut <= strlen(replies[reply].reply))
            send_cut(fd, reply, cut, ending);
        close(fd);
    }
}

static int start_cut_server(void) {
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    pthread_t thread;
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof a) != 0
        || listen(listener, SOMAXCONN) != 0
        || getsockname(listener, (struct sockaddr *)&a, &size) != 0
        || pthread_create(&thread, NULL, cut_server, NULL) != 0) {
        perror("cut server");
        exit(1);
    }
    pthread_detach(thread);
    return ntohs(a.sin_port);
}

struct cuts {
    int    port, reply, ending;
    size_t at, size;
};

static sparp_input cuts_next(sparp_request *out, void *user_data) {
    static char url[128];
    struct cuts *c = user_data;
    if (c->at == c->size)
        return SPARP_INPUT_END;
    memset(out, 0, sizeof *out);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/%d/%zu/%d", c->port, c->reply, c->at++,
             c->ending);
    out->url = url;
    out->timeout_s = PATIENCE_S;
    return SPARP_INPUT_READY;
}

static bool is_whole_reply(int reply, const sparp_result *r) {
    const char *body = replies[reply].body;
    if (r->error != SPARP_E_OK || r->status < 200)
        return false;
    return body == NULL || (r->outcome == SPARP_OUTCOME_SUCCESS && r->body_size == strlen(body)
                            && memcmp(r->body, body, r->body_size) == 0);
}

static void test_cuts(int port, int reply, int ending) {
    static const char *const words[] = { "cut by FIN", "cut by RST", "in two pieces" };
    struct cuts c = { port, reply, ending, 0, strlen(replies[reply].reply) };
    char what[128];
    const sparp_result *r;
    size_t right = 0;
    sparp_options o = no_retries(20);
    o.next_request = cuts_next;
    o.user_data = &c;
    sparp *run = sparp_open(&o, NULL);
    while (run != NULL && (r = sparp_next(run)) != NULL) {
        bool refused = is_error(r) && r->error != SPARP_E_TIMEOUT;
        if (ending == IN_TWO ? is_whole_reply(reply, r) : refused)
            right++;
        else
            printf("    at byte %llu: %s\n", (unsigned long long)r->index, told(r));
    }
    sparp_close(run);
    snprintf(what, sizeof what, "reply %d %s, at each of %zu bytes", reply, words[ending], c.size);
    check(right == c.size, what, "%zu right", right);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_DFL);              /* the library has to do without */
    alarm(100);
    snprintf(base, sizeof base, "http://127.0.0.1:%s", argv[1]);
    filler = calloc(1, MAX_BODY);
    list_size = get("/list", list, sizeof list);
    parse_list();
    printf("backend: %s\n", sparp_backend());
    check(num_entries > 100, "the server has a list", "%d entries", num_entries);
    if (num_entries == 0)
        return 1;
    int descriptors = open_descriptors();
    for (int i = 0; i < num_entries; i++)
        test_alone(&entries[i]);
    test_together(10);
    test_together(200);
    for (int i = 0; i < num_entries; i++)
        if (starts(entries[i].name, "retry-after-"))
            test_retry_after(&entries[i]);
    check(open_descriptors() == descriptors, "no descriptor is left open", "%d before, %d after",
          descriptors, open_descriptors());
    int port = start_cut_server();
    for (int ending = BY_FIN; ending <= IN_TWO; ending++)
        for (int reply = 0; reply < NUM_REPLIES; reply++)
            test_cuts(port, reply, ending);
    free(filler);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

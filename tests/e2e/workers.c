/* workers.c - the library with several workers (sparp_options.workers), whose threads must not be
   seen in anything but the speed.

   usage: workers PLAIN_PORT RUDE_PORT TLS_PORT CA_FILE
   The ports of tests/server/plain.c, rude.c and rude_tls.c (mode p256); TLS_PORT 0: without TLS.

   Every name that ends with .test is 127.0.0.1, but nothing.unknown.test is nowhere, and a look-up
   of any.slow.test lasts until the test lets it go. Built with a sanitizer of threads, and again
   with those of memory. Prints one line per check, and at last "N passed, N failed". */
#define _GNU_SOURCE
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int test_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                            struct addrinfo **out);
static int test_socket(int domain, int type, int protocol);
static int test_thread(pthread_t *thread, const pthread_attr_t *attributes,
                       void *(*main)(void *), void *argument);

#define SPARP__SYS_GETADDRINFO test_getaddrinfo
#define SPARP__SYS_SOCKET test_socket
#define SPARP__SYS_THREAD test_thread
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

enum { MAX_REQUESTS = 4096, BIG = 150000, PATIENCE_MS = 20000 };

static int         plain_port, rude_port, tls_port;
static const char *ca_file;
static pthread_t   caller;
static int         base_descriptors, base_threads;
static int         passed, failed;

/* --- checks ----------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4)))
static bool check(bool ok, const char *what, const char *format, ...) {
    va_list args;
    if (ok) {
        passed++;
        return true;
    }
    failed++;
    printf("FAILED %s: ", what);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
    return false;
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int entries_of(const char *path) {
    int n = 0;
    DIR *d = opendir(path);
    if (d == NULL)
        return 0;
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

/* Helper threads for look-ups go by themselves: they are given time to. */
static void check_nothing_left(const char *what) {
    int64_t end = now_ms() + PATIENCE_MS;
    int descriptors, threads;
    for (;;) {
        descriptors = entries_of("/proc/self/fd");
        threads = entries_of("/proc/self/task");
        if ((descriptors == base_descriptors && threads == base_threads) || now_ms() > end)
            break;
        poll(NULL, 0, 1);
    }
    check(descriptors == base_descriptors, what, "%d descriptors too many",
          descriptors - base_descriptors);
    check(threads == base_threads, what, "%d threads too many", threads - base_threads);
}

/* What several threads count. */
static int  get(int *n)           { return __atomic_load_n(n, __ATOMIC_SEQ_CST); }
static void set(int *n, int to)   { __atomic_store_n(n, to, __ATOMIC_SEQ_CST); }
static int  add(int *n, int more) { return __atomic_add_fetch(n, more, __ATOMIC_SEQ_CST); }

/* Waits until *n is at least that; false: it took too long. */
static bool wait_for(int *n, int least) {
    int64_t end = now_ms() + PATIENCE_MS;
    while (get(n) < least && now_ms() < end)
        poll(NULL, 0, 1);
    return get(n) >= least;
}

/* --- the system, with a few changes ----------------------------------------------------------- */

static int slow_open, slow_waiting;    /* look-ups of *.slow.test */
static int sockets_to_fail;
static int thread_calls, thread_to_fail;

static int test_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                            struct addrinfo **out) {
    if (strstr(node, ".unknown.test") != NULL)
        return EAI_NONAME;
    if (strstr(node, ".slow.test") != NULL) {
        add(&slow_waiting, 1);
        wait_for(&slow_open, 1);
        add(&slow_waiting, -1);
    }
    if (strstr(node, ".test") != NULL)
        node = "127.0.0.1";
    return getaddrinfo(node, service, hints, out);
}

static int test_socket(int domain, int type, int protocol) {
    if (get(&sockets_to_fail) > 0 && add(&sockets_to_fail, -1) >= 0) {
        errno = EMFILE;
        return -1;
    }
    return socket(domain, type, protocol);
}

static int test_thread(pthread_t *thread, const pthread_attr_t *attributes,
                       void *(*main)(void *), void *argument) {
    if (add(&thread_calls, 1) == get(&thread_to_fail))
        return EAGAIN;
    return pthread_create(thread, attributes, main, argument);
}

static int blocks, allocations, allocation_to_fail, allocation_fails_each;

/* Thread-safe, as an allocator has to be with workers. */
static void *count_memory(void *ptr, size_t old_size, size_t new_size, void *user_data) {
    (void)old_size;
    (void)user_data;
    if (new_size == 0) {
        if (ptr != NULL)
            add(&blocks, -1);
        free(ptr);
        return NULL;
    }
    int n = add(&allocations, 1), each = get(&allocation_fails_each);
    if (n == get(&allocation_to_fail) || (each > 0 && n % each == 0))
        return NULL;
    void *out = realloc(ptr, new_size);
    if (out != NULL && ptr == NULL)
        add(&blocks, 1);
    return out;
}

/* --- the servers' side of it ------------------------------------------------------------------ */

/* The answer to a GET, head and all, in a static buffer. */
static const char *ask(int port, const char *path) {
    static char text[64 * 1024];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    size_t size = 0;
    ssize_t n;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int length = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nConnection: close\r\n\r\n", path);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0
        && send(fd, text, (size_t)length, MSG_NOSIGNAL) == length) {
        shutdown(fd, SHUT_WR);
        while ((n = recv(fd, text + size, sizeof text - 1 - size, 0)) > 0)
            size += (size_t)n;
    }
    text[size] = '\0';
    close(fd);
    return text;
}

static long stat_of(const char *text, const char *name) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(text, key);
    return at == NULL ? -1 : strtol(at + strlen(key), NULL, 10);
}

/* --- requests of all kinds -------------------------------------------------------------------- */

enum kind {
    ITEM, ITEM_TOO, DELAYED, LARGE, CHUNKED, UNTIL_CLOSE, POSTED, FLAKY, REFUSING, ABSENT,
    RST, ENDED, HANGING, UNKNOWN, REFUSED, BAD_URL, CUT_BODY, ODD_CHUNKS, SECRET, NUM_KINDS
};

static const struct {
    const char   *path;                /* %d: of the run, %d: the index */
    sparp_outcome outcome;
    int           status;
} kinds[NUM_KINDS] = {
    [ITEM]        = {"/items/%2$d", SPARP_OUTCOME_SUCCESS, 200},
    [ITEM_TOO]    = {"/items/%2$d", SPARP_OUTCOME_SUCCESS, 200},
    [DELAYED]     = {"/delay/3", SPARP_OUTCOME_SUCCESS, 200},
    [LARGE]       = {"/bytes/150000", SPARP_OUTCOME_SUCCESS, 200},
    [CHUNKED]     = {"/chunked/150000", SPARP_OUTCOME_SUCCESS, 200},
    [UNTIL_CLOSE] = {"/close/150000", SPARP_OUTCOME_SUCCESS, 200},
    [POSTED]      = {"/echo?%2$d", SPARP_OUTCOME_SUCCESS, 200},
    [FLAKY]       = {"/flaky/w%1$d-%2$d/1", SPARP_OUTCOME_SUCCESS, 200},
    [REFUSING]    = {"/status/503", SPARP_OUTCOME_SOFT_EXHAUSTED, 503},
    [ABSENT]      = {"/status/404", SPARP_OUTCOME_HARD_FAIL, 404},
    [RST]         = {"/rst", SPARP_OUTCOME_TRANSPORT_FAILED, 0},
    [ENDED]       = {"/eof", SPARP_OUTCOME_TRANSPORT_FAILED, 0},
    [HANGING]     = {"/hang", SPARP_OUTCOME_TIMEOUT_EXHAUSTED, 0},
    [UNKNOWN]     = {"/", SPARP_OUTCOME_TRANSPORT_FAILED, 0},
    [REFUSED]     = {"/", SPARP_OUTCOME_TRANSPORT_FAILED, 0},
    [BAD_URL]     = {"/", SPARP_OUTCOME_LOCAL_FAILED, 0},
    [CUT_BODY]    = {"/rst-mid-body", SPARP_OUTCOME_TRANSPORT_FAILED, 200},
    [ODD_CHUNKS]  = {"/chunk-ext", SPARP_OUTCOME_SUCCESS, 200},
    [SECRET]      = {"/", SPARP_OUTCOME_SUCCESS, 200}
};

static uint64_t mix(uint64_t x) {
    x = (x + 1) * UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static void fill_base(char *out, size_t size, enum kind kind) {
    if (kind == UNKNOWN)
        snprintf(out, size, "http://nothing.unknown.test");
    else if (kind == REFUSED)
        snprintf(out, size, "http://127.0.0.1:1");
    else if (kind == BAD_URL)
        snprintf(out, size, "gopher://x");
    else if (kind == CUT_BODY || kind == ODD_CHUNKS)
        snprintf(out, size, "http://127.0.0.1:%d", rude_port);
    else if (kind == SECRET)
        snprintf(out, size, "https://good.test:%d", tls_port);
    else
        snprintf(out, size, "http://%s:%d", kind == ITEM_TOO ? "another.test" : "127.0.0.1",
                 plain_port);
}

/* --- one run, and what it should do ----------------------------------------------------------- */

enum way { EACH, ALL, NEXT, LOOP, NUM_WAYS };

static const char *const way_names[] = {"run_each", "run_all", "sparp_next", "foreign loop"};

static struct trial {
    char          what[128];
    sparp_options o;
    sparp        *run;                  /* where it is known */
    enum way      way;
    int           number;               /* of this run */
    int           count;                /* requests */
    int           only;                 /* a kind, or -1: all of them */
    bool          later;                /* the input says LATER now and then */
    int           chaos;                /* 1 / chaos of the callbacks do something; 0: none */
    uint64_t      dice;
    int           pulled, last_later;
    int           acts;
    bool          order_broken;
    unsigned char times[MAX_REQUESTS];  /* an index got its result */
    sparp_stats   stats;
    sparp_error   error;
} now;

static int foreign_inspects, own_inspects;      /* on a worker, on the caller's thread */
static int foreign_parses, own_parses;
static int strayed;                             /* other callbacks on a worker */
static int wrong;                               /* whatever is wrong in a callback */
static char first_wrong[512];

__attribute__((format(printf, 1, 2)))
static void say_wrong(const char *format, ...) {
    va_list args;
    if (wrong++ > 0)
        return;
    va_start(args, format);
    vsnprintf(first_wrong, sizeof first_wrong, format, args);
    va_end(args);
}

static bool at_home(void) {
    return pthread_equal(pthread_self(), caller) != 0;
}

static void check_home(void) {
    if (!at_home())
        add(&strayed, 1);
}

static sparp_verdict inspect(const sparp_result *r, void *user_data) {
    add(at_home() ? &own_inspects : &foreign_inspects, 1);
    return sparp_default_inspect(r, user_data);
}

/* What parse() hands over, so that its result can be known again. */
static void *token_of(const sparp_result *r) {
    uint64_t h = mix((uint64_t)r->index * 1000 + (uint64_t)r->status) ^ r->body_size;
    return (void *)(uintptr_t)(h | 1);
}

static void *parse(const sparp_result *r, void *user_data) {
    (void)user_data;
    if (r->status != 503)               /* a soft fail that ends is parsed where that is known */
        add(at_home() ? &own_parses : &foreign_parses, 1);
    return token_of(r);
}

static void *parse_null(const sparp_result *r, void *user_data) {
    (void)parse(r, user_data);
    return NULL;
}

static uint64_t ended_of(const sparp_stats *s) {
    return s->success + s->hard_fail + s->soft_exhausted + s->timeout_exhausted
        + s->transport_failed + s->local_failed + s->cancelled + s->not_started;
}

static void check_account(const sparp_stats *s) {
    if (s->pulled != s->in_flight + s->waiting + ended_of(s))
        say_wrong("the account does not close");
    if (s->in_flight > (uint64_t)now.o.max_at_once && now.o.max_at_once > 0 && now.chaos == 0)
        say_wrong("%d in flight", (int)s->in_flight);
}

static void act(sparp *run) {
    uint64_t dice = now.dice = mix(now.dice);
    if (now.chaos == 0 || run == NULL || dice % (uint64_t)now.chaos != 0)
        return;
    dice /= (uint64_t)now.chaos;
    now.acts++;
    switch (dice % 16) {
    case 0:  sparp_stop(run); break;
    case 1:  sparp_abort(run); break;
    case 2:  sparp_drain(run); break;
    case 3:
    case 4:  sparp_set_pace(run, 1 + (int)(dice / 16 % 60), 0); break;
    case 5:  sparp_set_pace(run, 0, 2000 + (double)(dice / 16 % 5000)); break;
    case 6:  sparp_set_pace(run, 0, SPARP_NONE); break;
    case 7:  sparp_wake(run); break;
    default:
        for (int i = 0; i < 5; i++)
            sparp_cancel(run, dice / 16 % 100 + (now.pulled > 100 ? (uint64_t)now.pulled - 100 : 0)
                              + (uint64_t)i);
    }
    sparp_stats s = sparp_get_stats(run);
    check_account(&s);
}

static sparp_input next_request(sparp_request *out, void *user_data) {
    static char url[256];
    (void)user_data;
    check_home();
    int i = now.pulled;
    if (i == now.count)
        return SPARP_INPUT_END;
    if (now.later && i % 37 == 36 && now.last_later != i) {
        now.last_later = i;
        sem_post((sem_t *)now.o.user_data);
        return SPARP_INPUT_LATER;
    }
    uint64_t h = mix((uint64_t)now.number * MAX_REQUESTS + (uint64_t)i);
    enum kind kind = now.only >= 0 ? (enum kind)now.only : (enum kind)(h % NUM_KINDS);
    if (kind == SECRET && tls_port == 0)
        kind = ITEM;
    fill_base(url, sizeof url, kind);
    snprintf(url + strlen(url), sizeof url - strlen(url), kinds[kind].path, now.number, i);
    out->url = url;
    out->user_data = (void *)(uintptr_t)kind;
    if (kind == HANGING)
        out->timeout_s = 0.04;
    if (kind == POSTED)
        out->json = "{\"a\":1}";
    now.pulled++;
    return SPARP_INPUT_READY;
}

/* --- results ---------------------------------------------------------------------------------- */

static bool right_body(enum kind kind, const sparp_result *r) {
    char text[64];
    if (kind == LARGE || kind == CHUNKED || kind == UNTIL_CLOSE)
        return r->body_size == BIG && r->body[BIG - 1] == 'a' + (BIG - 1) % 26;
    if (kind == SECRET || kind == ODD_CHUNKS)
        return r->body_size == 5 && memcmp(r->body, "hello", 5) == 0;
    if (kind == ITEM || kind == ITEM_TOO)
        snprintf(text, sizeof text, "{\"id\":%d,", (int)r->index);
    else if (kind == POSTED)
        snprintf(text, sizeof text, "\"url\":\"/echo?%d\"", (int)r->index);
    else
        snprintf(text, sizeof text, "{\"status\":200}");
    return strstr(r->body, text) != NULL;
}

static void check_times(const sparp_result *r) {
    bool negative = r->elapsed_us < 0 || r->total_us < 0;
    for (int i = 0; i < SPARP_PHASE_COUNT; i++)
        negative = negative || r->phase_us[i] < 0;
    for (int i = 0; i < SPARP_WAIT_COUNT; i++)
        negative = negative || r->wait_us[i] < 0;
    if (negative)
        say_wrong("a time is negative: %s, elapsed %lld, total %lld", r->url,
                  (long long)r->elapsed_us, (long long)r->total_us);
    if (r->attempts == 1 && r->elapsed_us > r->total_us)
        say_wrong("%s: elapsed %lld of total %lld", r->url, (long long)r->elapsed_us,
                  (long long)r->total_us);
}

static void take(const sparp_result *r) {
    enum kind kind = (enum kind)(uintptr_t)r->user_data;
    bool cut = r->outcome == SPARP_OUTCOME_CANCELLED || r->outcome == SPARP_OUTCOME_NOT_STARTED;
    check_home();
    check_times(r);
    if (r->index >= MAX_REQUESTS || now.times[r->index]++ > 0) {
        say_wrong("index %d again", (int)r->index);
        return;
    }
    if (r->outcome == SPARP_OUTCOME_SUCCESS && !right_body(kind, r))
        say_wrong("%s: body %.80s", r->url, r->body);
    bool hurt = get(&allocation_fails_each) > 0 || (now.o.run_deadline_s > 0);
    if (!hurt && !(cut && (now.chaos > 0 || now.stats.stopped != SPARP_STOPPED_NOT
                           || now.o.stop_on != 0 || now.o.stop_after_failures != 0
                           || now.o.stop_after_failure_ratio > 0
                           || now.o.stop_after_successes != 0))
        && (r->outcome != kinds[kind].outcome || r->status != kinds[kind].status)
        && !(now.o.retry_safe_only || now.chaos > 0))
        say_wrong("%s: %s, %d, %s", r->url, sparp_outcome_name(r->outcome), r->status, r->detail);
    if (r->error == SPARP_E_OUT_OF_MEMORY)      /* what was made of it stays, if nothing else */
        return;
    void *want = now.o.parse == parse && r->body_complete ? token_of(r) : NULL;
    if (r->parsed != want)
        say_wrong("%s: parsed %p instead of %p", r->url, r->parsed, want);
}

static void on_result(sparp *run, const sparp_result *r, void *user_data) {
    (void)user_data;
    take(r);
    act(run);
}

static void on_retry(sparp *run, const sparp_result *r, double wait_s, void *user_data) {
    (void)user_data;
    check_home();
    if (r->outcome != SPARP_OUTCOME_SUCCESS && wait_s < 0)
        say_wrong("on_retry");
    act(run);
}

static void on_progress(sparp *run, const sparp_stats *stats, void *user_data) {
    (void)user_data;
    check_home();
    check_account(stats);
    act(run);
}

/* --- the ways to run -------------------------------------------------------------------------- */

static void *wake_thread(void *argument) {
    struct trial *t = (struct trial *)argument;
    for (;;) {
        while (sem_wait((sem_t *)t->o.user_data) != 0)
            continue;
        sparp *run = __atomic_load_n(&t->run, __ATOMIC_SEQ_CST);
        if (run == NULL)
            return NULL;
        sparp_wake(run);                /* it is closed when this thread has ended */
    }
}

static void take_in_order(const sparp_result *r, uint64_t *next) {
    if (now.o.ordered && r->index != *next)
        now.order_broken = true;
    ++*next;
    take(r);
    act(now.run);
}

static void follow_loop(sparp *run) {
    const sparp_result *r;
    uint64_t next = 0;
    for (bool more = true; more;) {
        struct pollfd p = {.fd = sparp_poll_fd(run), .events = POLLIN};
        poll(&p, p.fd >= 0 ? 1 : 0, sparp_wait_ms(run));
        more = sparp_step(run, 0);
        while ((r = sparp_ready(run)) != NULL)
            take_in_order(r, &next);
    }
}

static void follow_open(void) {
    const sparp_result *r;
    uint64_t next = 0;
    sem_t asked;
    pthread_t waker;
    sem_init(&asked, 0, 0);
    now.o.user_data = &asked;
    now.run = sparp_open(&now.o, &now.error);
    if (now.run == NULL)
        return;
    pthread_create(&waker, NULL, wake_thread, &now);
    if (now.way == LOOP)
        follow_loop(now.run);
    else
        while ((r = sparp_next(now.run)) != NULL)
            take_in_order(r, &next);
    now.stats = sparp_get_stats(now.run);
    sparp *run = now.run;
    __atomic_store_n(&now.run, NULL, __ATOMIC_SEQ_CST);
    sem_post(&asked);
    pthread_join(waker, NULL);
    sem_destroy(&asked);
    sparp_close(run);
}

static void follow(void) {
    if (now.way == EACH) {
        now.o.on_result = now.o.on_result != NULL ? now.o.on_result : on_result;
        now.error = sparp_run_each(&now.o, &now.stats);
    } else if (now.way == ALL) {
        sparp_results all = sparp_run_all(&now.o);
        now.error = all.error;
        now.stats = all.stats;
        for (size_t i = 0; i < all.count; i++)
            take(&all.items[i]);
        sparp_results_free(&all);
    } else {
        follow_open();
    }
}

static bool has_crew(int workers) {
    return workers != SPARP_AUTO || sysconf(_SC_NPROCESSORS_ONLN) > 1;
}

/* A run of `count` requests of all kinds, the defaults of which any test may change. */
__attribute__((format(printf, 4, 5)))
static void prepare(int workers, enum way way, int count, const char *format, ...) {
    static int number;
    va_list args;
    memset(&now, 0, sizeof now);
    va_start(args, format);
    vsnprintf(now.what, sizeof now.what, format, args);
    va_end(args);
    snprintf(now.what + strlen(now.what), sizeof now.what - strlen(now.what), ", %d workers, %s",
             workers, way_names[way]);
    now.way = way;
    now.count = count;
    now.only = -1;
    now.number = ++number;
    now.dice = mix((uint64_t)number);
    now.o.workers = workers;
    now.o.max_at_once = 60;
    now.o.next_request = next_request;
    now.o.inspect = inspect;
    now.o.parse = parse;
    now.o.on_retry = on_retry;
    now.o.on_progress = on_progress;
    now.o.progress_every_s = SPARP_NONE;
    now.o.max_retries_by_soft_fail = 2;
    now.o.max_retries_by_timeout = now.o.max_retries_by_transport = 1;
    now.o.backoff_s = 0.002;
    now.o.tls.ca_file = ca_file;
    now.o.allocator.func = count_memory;
    strayed = wrong = foreign_inspects = own_inspects = foreign_parses = own_parses = 0;
}

/* Runs it, and checks what holds for every run. */
static void go(void) {
    int before = blocks, twice = 0, never = 0, pulled;
    follow();
    pulled = (int)now.stats.pulled;
    for (int i = 0; i < pulled; i++)
        never += now.times[i] == 0;
    for (int i = 0; i < MAX_REQUESTS; i++)
        twice += now.times[i] > 1 || (now.times[i] == 1 && i >= pulled);
    check(never == 0 && twice == 0, now.what, "of %d, %d without a result, %d with several",
          pulled, never, twice);
    check(now.stats.pulled == ended_of(&now.stats) && now.stats.in_flight + now.stats.waiting == 0,
          now.what, "the account does not close");
    check(wrong == 0, now.what, "%d times: %s", wrong, first_wrong);
    check(strayed == 0, now.what, "%d callbacks on a worker", strayed);
    if (has_crew(now.o.workers))
        check(own_inspects + own_parses == 0, now.what, "%d inspects and %d parses at home",
              own_inspects, own_parses);
    check(!now.order_broken, now.what, "not in order");
    check(blocks == before, now.what, "%d blocks left", blocks - before);
    check_nothing_left(now.what);
}

/* --- the tests -------------------------------------------------------------------------------- */

static const int crews[] = {2, 3, 8, SPARP_AUTO};

/* P05: num_workers of the old program; P16: what follows an answer is done in parallel. */
static void test_num_workers(void) {
    for (size_t i = 0; i < COUNT_OF(crews); i++)
        for (int way = 0; way < NUM_WAYS; way++) {
            bool by_tide = way == LOOP && i == 1;
            prepare(crews[i], (enum way)way, by_tide ? 100 : 400, "num_workers");
            now.later = way == NEXT || way == LOOP;
            now.o.ordered = (way + (int)i) % 2 == 0;
            now.o.max_at_once = by_tide ? SPARP_AUTO : 60;
            if (way == ALL && i % 2 == 0)
                now.o.parse = NULL;
            else if (way == EACH && i % 2 == 0)
                now.o.parse = parse_null;
            go();
            check(now.error == SPARP_E_OK && (int)now.stats.pulled == now.count, now.what, "%s",
                  sparp_error_text(now.error));
            if (has_crew(crews[i]))
                check(foreign_inspects > now.count / 2
                      && (now.o.parse == NULL || foreign_parses > now.count / 3),
                      now.what, "%d inspects, %d parses", foreign_inspects, foreign_parses);
        }
}

static void test_run_any(void) {
    for (size_t i = 0; i < COUNT_OF(crews); i++) {
        prepare(crews[i], ALL, 300, "run_any");
        sparp_results any = sparp_run_any(&now.o);
        check(any.count == 1 && any.items[0].outcome == SPARP_OUTCOME_SUCCESS, now.what,
              "%d results", (int)any.count);
        check(any.stats.stopped == SPARP_STOPPED_BY_SUCCESSES
              && any.stats.pulled == ended_of(&any.stats), now.what, "stopped: %d",
              (int)any.stats.stopped);
        sparp_results_free(&any);
        check_nothing_left(now.what);
    }
}

/* Callbacks that stop, abort, drain, cancel and change the pace at random moments. */
static void test_chaos(void) {
    for (int i = 0; i < 24; i++) {
        enum way way = (enum way)(i % NUM_WAYS);
        prepare(crews[i / 4 % 4], way, 400, "chaos %d", i);
        now.chaos = 3 + i * 3;
        now.later = way >= NEXT;
        now.o.stop_drains = i % 3 == 0;
        now.o.max_per_second_per_origin = i % 4 == 1 ? 3000 : 0;
        now.o.max_at_once_per_origin = i % 4 == 2 ? 20 : 0;
        now.o.ordered = i % 5 == 0;
        go();
    }
}

static void change_pace(sparp *run, const sparp_result *r, void *user_data) {
    (void)user_data;
    take(r);
    now.dice = mix(now.dice);
    sparp_set_pace(run, 20 + (int)(now.dice % 60), 2000 + (double)(now.dice % 100000));
}

/* With every result another pace, while the workers look at it. */
static void test_changing_pace(void) {
    for (int i = 0; i < 6; i++) {
        prepare(crews[i % 4], EACH, 400, "changing pace %d", i);
        now.only = i < 4 ? ITEM : -1;
        now.chaos = 1 << 30;
        now.o.max_per_second = i % 2 == 0 ? 0 : 3000;
        now.o.on_result = change_pace;
        go();
        check(now.stats.pulled == 400, now.what, "%d", (int)now.stats.pulled);
    }
}

/* Each of these ends the run, with everything accounted for. */
static void test_stop_rules(void) {
    for (int i = 0; i < 10; i++) {
        prepare(crews[i % 4], (enum way)(i % NUM_WAYS), 400, "stop rule %d", i);
        now.o.stop_drains = i % 2 == 1;
        if (i < 6)
            now.o.stop_on = 1u << i;
        else if (i == 6)
            now.o.stop_after_failures = 20;
        else if (i == 7)
            now.o.stop_after_failure_ratio = 0.2;
        else
            now.o.stop_after_successes = 50;
        go();
        check(now.stats.stopped == (i < 8 ? SPARP_STOPPED_BY_RULE : SPARP_STOPPED_BY_SUCCESSES),
              now.what, "stopped: %d, %d pulled", (int)now.stats.stopped, (int)now.stats.pulled);
    }
}

static void test_run_deadline(void) {
    for (size_t i = 0; i < COUNT_OF(crews); i++) {
        prepare(crews[i], EACH, 400, "run_deadline_s");
        now.only = HANGING;
        now.o.max_retries_by_timeout = 20;
        now.o.run_deadline_s = 0.2;
        int64_t begin = now_ms();
        go();
        check(now.stats.stopped == SPARP_STOPPED_BY_DEADLINE, now.what, "stopped: %d",
              (int)now.stats.stopped);
        check(now_ms() - begin < 10000, now.what, "%d ms", (int)(now_ms() - begin));
    }
}

/* With hundreds in flight, and look-ups that do not come back before everything is gone. */
static void test_close_in_the_middle(void) {
    static const sparp_request slow[] = {
        {.url = "http://a.slow.test/"}, {.url = "http://b.slow.test/"},
        {.url = "http://c.slow.test/"}, {.url = "http://d.slow.test/"}
    };
    for (int i = 0; i < 16; i++) {
        prepare(crews[i % 4], NEXT, 2000, "sparp_close in the middle %d", i);
        int before = blocks;
        bool lookups = i % 4 == 3 || i % 4 == 1;
        now.o.max_at_once = 300;
        if (lookups) {
            now.o.next_request = NULL;
            now.o.requests = slow;
            now.o.num_requests = COUNT_OF(slow);
        }
        set(&slow_open, 0);
        sparp *run = sparp_open(&now.o, NULL);
        for (int results = 0; results < i * 20 && !lookups; results++)
            take(sparp_next(run));
        if (lookups) {
            sparp_step(run, 0);
            check(wait_for(&slow_waiting, 4), now.what, "%d look-ups", get(&slow_waiting));
        }
        if (i % 3 == 0)
            sparp_abort(run);
        sparp_close(run);
        set(&slow_open, 1);
        check(blocks == before, now.what, "%d blocks left", blocks - before);
        check(wrong + strayed == 0, now.what, "%s", first_wrong);
        check_nothing_left(now.what);
    }
}

/* Seen from the server, to which a write that the machine has held up looks as if the others had
   come too early: the best of three tries counts. */
static void test_pace(void) {
    for (int i = 0; i < 2; i++) {
        long most = 52, all = 0;
        for (int k = 0; k < 3 && most > 51; k++) {
            prepare(crews[1 + i], EACH, 1000, i == 0 ? "50 a second" : "50 a second for an origin");
            now.only = ITEM;
            now.o.max_per_second = i == 0 ? 50 : 0;
            now.o.max_per_second_per_origin = i == 0 ? 0 : 50;
            now.o.run_deadline_s = 3 - 1.5 * i;
            ask(plain_port, "/stats/reset");
            go();
            const char *stats = ask(plain_port, "/stats");
            most = stat_of(stats, "max_in_window");
            all = stat_of(stats, "requests");
        }
        check(most <= 51, now.what, "%ld in a second", most);
        check(all <= 151 - 75 * i && all > 50, now.what, "%ld in all", all);
    }
}

static void test_at_once(void) {
    for (int i = 0; i < 6; i++) {
        bool origin = i >= 3;
        prepare(crews[i % 3], EACH, 400, origin ? "an origin's cap" : "max_at_once");
        now.only = DELAYED;
        now.o.max_at_once = origin ? 50 : 17;
        now.o.max_at_once_per_origin = origin ? 5 : 0;
        ask(plain_port, "/stats/reset");
        go();
        long most = stat_of(ask(plain_port, "/stats"), "most_at_once");
        check(most <= (origin ? 5 : 17) && most > 1, now.what, "%ld", most);
    }
}

static sparp_input throttled(sparp_request *out, void *user_data) {
    static char url[64];
    (void)user_data;
    if (now.pulled == now.count)
        return SPARP_INPUT_END;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/throttle/60/1/1", plain_port);
    out->url = url;
    out->user_data = (void *)(uintptr_t)DELAYED;
    now.pulled++;
    return SPARP_INPUT_READY;
}

/* After a 429 nothing is started before its time, and then one before the others. "early" are those
   that one worker sent while another one had the 429, but had not read it. */
static void test_gate(void) {
    prepare(3, EACH, 100, "the gate");
    now.o.next_request = throttled;
    now.o.max_at_once = 20;
    now.o.max_retries_by_soft_fail = 20;
    ask(plain_port, "/stats/reset");
    go();
    const char *stats = ask(plain_port, "/stats");
    check(now.stats.success == 100, now.what, "%d", (int)now.stats.success);
    check(stat_of(stats, "refused") > 0 && stat_of(stats, "refused") <= 60, now.what, "refused %ld",
          stat_of(stats, "refused"));
    check(stat_of(stats, "early") < 20, now.what, "early %ld", stat_of(stats, "early"));
    check(stat_of(stats, "probes") <= 1, now.what, "probes %ld", stat_of(stats, "probes"));
}

/* --- what is charged ------------------------------------------------------------------------ */

static sparp *charged;
static int    charges, refusals;

/* On a worker. Each costs 2 more than was thought; a third of that is given back. */
static sparp_verdict charging_inspect(const sparp_result *r, void *user_data) {
    bool all = sparp_charge(charged, r->index, 3) && sparp_charge(charged, r->index, -1);
    add(all ? &charges : &refusals, 1);
    return inspect(r, user_data);
}

/* Nothing of it is lost, whoever charges: the workers, and who takes the results. */
static void test_charges(void) {
    for (int i = 0; i < 3; i++) {
        prepare(crews[i], NEXT, 600, "charges");
        now.only = ITEM;
        now.o.parse = NULL;
        now.o.inspect = charging_inspect;
        now.o.on_retry = NULL;
        now.o.on_progress = NULL;
        now.o.max_cost_per_second = i == 2 ? 3000 : 1e6;
        now.o.max_cost_per_second_per_origin = 1e5;
        charges = refusals = 0;
        double sum = 0;
        int64_t begin = now_ms();
        const sparp_result *r;
        charged = sparp_open(&now.o, NULL);
        while ((r = sparp_next(charged)) != NULL) {
            sum += r->cost + 2;
            sum -= sparp_charge(charged, r->index, 2) ? 0 : 1000;
        }
        sparp_stats stats = sparp_get_stats(charged);
        sparp_close(charged);
        check(charges == 600 && refusals == 0, now.what, "%d charged, %d not", charges, refusals);
        check(sum == 600 * 5 && stats.cost == sum, now.what, "%f and %f", sum, stats.cost);
        check(i < 2 || now_ms() - begin >= 900, now.what, "it took %d ms",
              (int)(now_ms() - begin));
        check_nothing_left(now.what);
    }
}

/* --- starvation ------------------------------------------------------------------------------- */

static struct rlimit limit_before;
static int           plugs[1024], num_plugs;

/* So many descriptors more than now, and no more: the holes below the highest one are filled. */
static void limit_descriptors(int more) {
    struct rlimit limit;
    struct dirent *entry;
    int highest = 0, at;
    DIR *d = opendir("/proc/self/fd");
    while (d != NULL && (entry = readdir(d)) != NULL)
        if ((at = atoi(entry->d_name)) > highest && at != dirfd(d))
            highest = at;
    closedir(d);
    for (num_plugs = 0; num_plugs < (int)COUNT_OF(plugs); num_plugs++)
        if ((plugs[num_plugs] = dup(STDIN_FILENO)) > highest) {
            close(plugs[num_plugs]);
            break;
        }
    base_descriptors += num_plugs;
    getrlimit(RLIMIT_NOFILE, &limit_before);
    limit = limit_before;
    limit.rlim_cur = (rlim_t)(highest + 1 + more);
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void unlimit_descriptors(void) {
    base_descriptors -= num_plugs;
    while (num_plugs > 0)
        close(plugs[--num_plugs]);
    setrlimit(RLIMIT_NOFILE, &limit_before);
}

static void test_few_descriptors(void) {
    for (int i = 0; i < 3; i++) {
        prepare(crews[i], NEXT, 300, "few descriptors");
        now.only = i == 1 ? (int)UNTIL_CLOSE : (int)DELAYED;
        limit_descriptors(3 + 3 * crews[i] + 6);    /* 3 for each run */
        go();
        unlimit_descriptors();
        check(now.stats.success == 300, now.what, "%d successes", (int)now.stats.success);
    }
}

/* The system has nothing to give, twice, with more than connect_timeout_s between: that it once
   had nothing is forgotten. */
static void test_starved_again(void) {
    char urls[3][64];
    sparp_request in[3];
    memset(in, 0, sizeof in);
    snprintf(urls[0], sizeof *urls, "http://127.0.0.1:%d/delay/400", plain_port);
    snprintf(urls[1], sizeof *urls, "http://b.test:%d/delay/1", plain_port);
    snprintf(urls[2], sizeof *urls, "http://c.test:%d/delay/1", plain_port);
    for (int i = 0; i < 3; i++) {
        in[i].url = urls[i];
        in[i].user_data = (void *)(uintptr_t)DELAYED;
    }
    prepare(2, NEXT, 3, "starved again");
    now.o.next_request = NULL;
    now.o.requests = in;
    now.o.num_requests = 3;
    now.o.max_at_once = 1;
    now.o.connect_timeout_s = 0.3;
    now.o.timeout_s = 20;
    sparp *run = sparp_open(&now.o, NULL);
    for (int i = 0; i < 3; i++) {
        set(&sockets_to_fail, 1);
        const sparp_result *r = sparp_next(run);
        check(r != NULL && r->outcome == SPARP_OUTCOME_SUCCESS, now.what, "%s: %s",
              urls[i], r == NULL ? "nothing" : r->detail);
    }
    set(&sockets_to_fail, 0);
    sparp_close(run);
    check_nothing_left(now.what);
}

/* The first worker has no descriptor, and the second one keeps an idle connection to elsewhere. */
static void test_starved_by_the_idle(void) {
    char urls[3][64];
    sparp_request in[3];
    memset(in, 0, sizeof in);
    snprintf(urls[0], sizeof *urls, "http://127.0.0.1:%d/close/10", plain_port);
    snprintf(urls[1], sizeof *urls, "http://127.0.0.1:%d/delay/50", plain_port);
    snprintf(urls[2], sizeof *urls, "http://127.0.0.1:%d/chunk-ext", rude_port);
    for (int i = 0; i < 3; i++)
        in[i].url = urls[i];
    prepare(2, NEXT, 3, "starved by the idle");
    now.o.next_request = NULL;
    now.o.requests = in;
    now.o.num_requests = 3;
    now.o.max_at_once = 2;
    now.o.connect_timeout_s = 0.5;
    now.o.max_per_second = 5;           /* the third one comes when both have their answer */
    now.o.burst = 2;
    sparp *run = sparp_open(&now.o, NULL);
    for (int i = 0; i < 2; i++)
        check(sparp_next(run)->outcome == SPARP_OUTCOME_SUCCESS, now.what, "number %d", i);
    limit_descriptors(0);
    const sparp_result *r = sparp_next(run);
    unlimit_descriptors();
    check(r != NULL && r->outcome == SPARP_OUTCOME_SUCCESS, now.what, "%s",
          r == NULL ? "nothing" : r->detail);
    sparp_close(run);
    check_nothing_left(now.what);
}

/* --- opening that fails ----------------------------------------------------------------------- */

static void test_no_thread(void) {
    for (int n = 1; n <= 9; n++) {
        sparp_error error = SPARP_E_OK;
        prepare(8, EACH, 10, "thread %d cannot be had", n);
        int before = blocks;
        set(&thread_calls, 0);
        set(&thread_to_fail, n);
        sparp *run = sparp_open(&now.o, &error);
        check((run == NULL) == (n <= 8), now.what, "run %d", run != NULL);
        check(error == (n <= 8 ? SPARP_E_SYSTEM : SPARP_E_OK), now.what, "%s",
              sparp_error_name(error));
        sparp_close(run);
        set(&thread_to_fail, 0);
        check(blocks == before, now.what, "%d blocks left", blocks - before);
        check_nothing_left(now.what);
    }
}

static void test_no_memory_to_open(void) {
    sparp_error error = SPARP_E_OUT_OF_MEMORY;
    int n = 0;
    while (error != SPARP_E_OK && n < 1000) {
        prepare(3, EACH, 10, "allocation %d fails in sparp_open", ++n);
        int before = blocks;
        set(&allocations, 0);
        set(&allocation_to_fail, n);
        sparp *run = sparp_open(&now.o, &error);
        set(&allocation_to_fail, 0);
        check((run == NULL) == (error != SPARP_E_OK), now.what, "%s", sparp_error_name(error));
        sparp_close(run);
        check(blocks == before, now.what, "%d blocks left", blocks - before);
    }
    check(n > 10, now.what, "that was early");
    check_nothing_left(now.what);
}

/* Every so many allocations one fails: nothing is lost by that. */
static void test_little_memory(void) {
    for (int i = 0; i < 8; i++) {
        prepare(crews[i % 4], i % 2 == 0 ? EACH : LOOP, 300, "little memory %d", i);
        set(&allocation_fails_each, 31 + 17 * i);
        now.chaos = i % 3 == 0 ? 40 : 0;
        go();
        set(&allocation_fails_each, 0);
    }
}

/* --- what happens between the threads --------------------------------------------------------- */

static int soft_fails_seen;

static sparp_verdict count_soft_fails(const sparp_result *r, void *user_data) {
    sparp_verdict verdict = sparp_default_inspect(r, user_data);
    if (verdict == SPARP_SOFT_FAIL)
        add(&soft_fails_seen, 1);
    return verdict;
}

static int cancelled_outcome;

static void cancel_the_other(sparp *run, const sparp_result *r, void *user_data) {
    (void)user_data;
    if (r->index == 1)
        cancelled_outcome = (int)r->outcome;
    if (r->index != 0)
        return;
    wait_for(&soft_fails_seen, 1);
    sparp_cancel(run, 1);
}

/* Cancelled when its attempt has ended on the worker and nobody knows yet: it does not go again. */
static void test_cancel_of_the_ended(void) {
    char urls[2][64];
    sparp_request in[2];
    for (int i = 0; i < 20; i++) {
        memset(in, 0, sizeof in);
        prepare(2, EACH, 2, "cancelled in the outbox %d", i);
        snprintf(urls[0], sizeof *urls, "http://127.0.0.1:%d/items/0", plain_port);
        snprintf(urls[1], sizeof *urls, "http://127.0.0.1:%d/flaky/c%d/1", plain_port, now.number);
        in[0].url = urls[0];
        in[1].url = urls[1];
        now.o.next_request = NULL;
        now.o.requests = in;
        now.o.num_requests = 2;
        now.o.inspect = count_soft_fails;
        now.o.on_result = cancel_the_other;
        now.o.backoff_s = 0.05;
        cancelled_outcome = -1;
        set(&soft_fails_seen, 0);
        sparp_run_each(&now.o, NULL);
        if (!check(cancelled_outcome == SPARP_OUTCOME_CANCELLED, now.what, "%s",
                   sparp_outcome_name((sparp_outcome)cancelled_outcome)))
            break;
    }
    check_nothing_left(now.what);
}

static void slow_down_then_hasten(sparp *run, const sparp_result *r, void *user_data) {
    (void)user_data;
    take(r);
    if (r->index == 1) {
        sparp_set_pace(run, 0, 0.05);
    } else if (r->index == 2) {         /* has the token: number 0 will have to wait for one */
        set(&slow_open, 1);
        wait_for(&slow_waiting, 0);
        poll(NULL, 0, 100);             /* so that it does */
        sparp_set_pace(run, 0, 1000);
    }
}

/* Those that a worker holds for the old pace hear of the new one. */
static void test_faster(void) {
    char urls[3][64];
    sparp_request in[3];
    memset(in, 0, sizeof in);
    for (int i = 0; i < 3; i++) {
        snprintf(urls[i], sizeof *urls, "http://%s:%d/items/%d",
                 i == 0 ? "a.slow.test" : "127.0.0.1", plain_port, i);
        in[i].url = urls[i];
    }
    prepare(3, EACH, 3, "set_pace to those that are held");
    set(&slow_open, 0);
    now.o.next_request = NULL;
    now.o.requests = in;
    now.o.num_requests = 3;
    now.o.max_at_once = 2;              /* so that number 2 starts at the slow pace */
    now.o.on_result = slow_down_then_hasten;
    int64_t begin = now_ms();
    go();
    check(now_ms() - begin < 9000 && now.stats.success == 3, now.what, "%d ms, %d successes",
          (int)(now_ms() - begin), (int)now.stats.success);
}

static int    parsing_long, stale_pulled;
static char   stale_urls[4][64];
static sparp *stale_run;

/* 0: its connection will get what nobody asked for; 1: keeps the other worker busy; 2: keeps this
   one busy meanwhile; 3: must not go out on that connection. */
static sparp_input stale_input(sparp_request *out, void *user_data) {
    (void)user_data;
    sparp_stats s = sparp_get_stats(stale_run);
    if (stale_pulled == 4)
        return SPARP_INPUT_END;
    if ((stale_pulled == 2 && s.success < 1) || (stale_pulled == 3 && get(&parsing_long) == 0))
        return SPARP_INPUT_LATER;
    out->url = stale_urls[stale_pulled++];
    return SPARP_INPUT_READY;
}

static void *parse_long(const sparp_result *r, void *user_data) {
    (void)user_data;
    if (r->index == 0)
        sparp_wake(stale_run);
    if (r->index == 2) {
        set(&parsing_long, 1);
        sparp_wake(stale_run);
        poll(NULL, 0, 300);             /* the server speaks after 100 ms */
    }
    return NULL;
}

/* What came on an idle connection while its worker was in a callback is no answer. */
static void test_stray_bytes(void) {
    prepare(2, NEXT, 4, "stray bytes during parse()");
    snprintf(stale_urls[0], sizeof *stale_urls, "http://127.0.0.1:%d/extra-late", rude_port);
    snprintf(stale_urls[1], sizeof *stale_urls, "http://127.0.0.1:%d/delay/900", plain_port);
    snprintf(stale_urls[2], sizeof *stale_urls, "http://127.0.0.1:%d/items/2", plain_port);
    snprintf(stale_urls[3], sizeof *stale_urls, "http://127.0.0.1:%d/chunk-ext", rude_port);
    stale_pulled = parsing_long = 0;
    now.o.next_request = stale_input;
    now.o.parse = parse_long;
    now.o.on_progress = NULL;
    const sparp_result *r;
    stale_run = sparp_open(&now.o, NULL);
    while ((r = sparp_next(stale_run)) != NULL) {
        if (r->index == 0)
            sparp_wake(stale_run);
        check(r->outcome == SPARP_OUTCOME_SUCCESS && strstr(r->body, "evil") == NULL, now.what,
              "%s: %s", r->url, r->body);
    }
    sparp_close(stale_run);
    check_nothing_left(now.what);
}

static uint64_t bytes_seen;
static int      bytes_rose;

static void note_bytes(sparp *run, const sparp_stats *stats, void *user_data) {
    (void)run;
    (void)user_data;
    check_home();
    check_account(stats);
    if (stats->in_flight == 1 && stats->bytes_in > bytes_seen) {
        bytes_seen = stats->bytes_in;
        bytes_rose++;
    }
}

/* What has come of a body that a worker still reads counts already. */
static void test_bytes_as_they_come(void) {
    char url[64];
    sparp_request in = {0};
    snprintf(url, sizeof url, "http://127.0.0.1:%d/trickle/10/100", plain_port);
    in.url = url;
    prepare(2, NEXT, 1, "bytes as they come");
    now.o.requests = &in;
    now.o.num_requests = 1;
    now.o.next_request = NULL;
    now.o.progress_every_s = 0.02;
    now.o.on_progress = note_bytes;
    bytes_seen = 0;
    bytes_rose = 0;
    sparp *run = sparp_open(&now.o, NULL);
    const sparp_result *r = sparp_next(run);
    check(r != NULL && r->outcome == SPARP_OUTCOME_SUCCESS && r->body_size == 10, now.what, "%s",
          r != NULL ? sparp_outcome_name(r->outcome) : "no result");
    sparp_close(run);
    check(bytes_rose >= 3, now.what, "%d times more", bytes_rose);
    check(wrong == 0, now.what, "%d times: %s", wrong, first_wrong);
    check_nothing_left(now.what);
}

/* --- */

static void *nothing(void *argument) {
    return argument;
}

/* A sanitizer may start a thread of its own with the first one of the program. */
static void take_stock(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, nothing, NULL);
    pthread_join(thread, NULL);
    poll(NULL, 0, 20);
    base_descriptors = entries_of("/proc/self/fd");
    base_threads = entries_of("/proc/self/task");
}

static const struct { const char *name; void (*run)(void); } tests[] = {
    {"num_workers", test_num_workers},
    {"run_any", test_run_any},
    {"chaos", test_chaos},
    {"changing_pace", test_changing_pace},
    {"stop_rules", test_stop_rules},
    {"run_deadline", test_run_deadline},
    {"close", test_close_in_the_middle},
    {"pace", test_pace},
    {"at_once", test_at_once},
    {"gate", test_gate},
    {"charges", test_charges},
    {"few_descriptors", test_few_descriptors},
    {"starved_again", test_starved_again},
    {"starved_idle", test_starved_by_the_idle},
    {"no_thread", test_no_thread},
    {"no_memory", test_no_memory_to_open},
    {"little_memory", test_little_memory},
    {"cancel", test_cancel_of_the_ended},
    {"faster", test_faster},
    {"stray", test_stray_bytes},
    {"bytes", test_bytes_as_they_come}
};

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: %s PLAIN_PORT RUDE_PORT TLS_PORT CA_FILE [TEST]\n", argv[0]);
        return 2;
    }
    plain_port = atoi(argv[1]);
    rude_port = atoi(argv[2]);
    tls_port = atoi(argv[3]);
    ca_file = tls_port != 0 ? argv[4] : NULL;
    caller = pthread_self();
    setvbuf(stdout, NULL, _IOLBF, 0);
    take_stock();
    for (size_t i = 0; i < COUNT_OF(tests); i++) {
        int64_t begin = now_ms();
        int before = failed;
        if (argc > 5 && strcmp(argv[5], tests[i].name) != 0)
            continue;
        tests[i].run();
        printf("%s %s (%d ms)\n", failed == before ? "ok" : "not ok", tests[i].name,
               (int)(now_ms() - begin));
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

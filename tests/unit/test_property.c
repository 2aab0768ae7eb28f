/* Random runs: whatever is thrown together, the promises hold.

       test_property            10000 seeds
       test_property 5          from seed 5 on
       SEEDS=100000 test_property

   A failure names its seed. */
#include <math.h>
#include "../fakenet.h"
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#include "../seen.h"

static uint64_t dice;
static bool races;                      /* a name has several addresses */
static uint64_t first_seed = 1, num_seeds = 10000;

static size_t below(size_t n) {
    return (size_t)(test_random(&dice) % n);
}

static bool one_in(size_t n) {
    return below(n) == 0;
}

static double seconds(double most) {
    return most * (double)below(1001) / 1000;
}

/* --- what arrives, and what it costs -------------------------------------------------------- */

#define MAX_ARRIVALS 8192

static struct {
    char    host[48];
    int64_t at;
    double  cost;
} arrivals[MAX_ARRIVALS];
static size_t num_arrivals;
static double costs[100], arrived[100], charged[100];   /* by index: of one; of all that came */
static double charged_late;             /* to results that had been given out */

static double number_behind(const net_request *request, const char *name) {
    const char *at = strstr(request->text, name);
    CHECK(at != NULL, "%s: a request without %s", net.label, name);
    return atof(at + strlen(name));
}

static void note_arrival(const net_request *request) {
    size_t index = (size_t)number_behind(request, "X-Index: ");
    assert_true(num_arrivals < MAX_ARRIVALS);
    snprintf(arrivals[num_arrivals].host, sizeof arrivals[0].host, "%s", request->host);
    arrivals[num_arrivals].at = request->at;
    arrivals[num_arrivals++].cost = costs[index];
    arrived[index] += costs[index];
}

/* --- a server that does anything ---------------------------------------------------------- */

static const char *const heads[] = {
    "200 OK", "200 OK", "200 OK", "204 Nothing", "304 Same", "404 No", "503 Busy",
    "503 Busy\r\nRetry-After: 2", "429 Slower\r\nRetry-After: 500", "500 Broken",
    "503 Busy\r\nRetry-After: 0", "429 Slower\r\nRetry-After: 1", "429 Slower",
    "429 Slower\r\nRetry-After: 3", "200 OK", "200 OK", "200 OK",
    "200 OK\r\nConnection: close", "200 OK\r\nKeep-Alive: timeout=3",
    "200 OK\r\nRateLimit: \"a\";r=0;t=2", "200 OK\r\nRateLimit: \"a\";r=5;t=30",
    "503 Busy\r\nX-RateLimit-Limit: 9\r\nX-RateLimit-Remaining: 2\r\nX-RateLimit-Reset: 900",
    "302 There\r\nLocation: /b", "307 There\r\nLocation: http://10.0.0.3/b",
    "303 There\r\nLocation: http://one.test/a", "301 There\r\nLocation: ftp://x/",
};

static const char *const bodies[] = {
    "Content-Length: 5\r\n\r\nhello",
    "Content-Length: 0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "Content-Length: 50\r\n\r\n01234567890123456789012345678901234567890123456789",
    "Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    "Content-Length: 9\r\n\r\nshort",
    "Content-Length: 2\r\n\r\nok and more",
    "\r\nuntil the end",
};

static char answers[COUNT_OF(heads)][COUNT_OF(bodies)][200];

static void any_answer(const net_request *request, net_rule *answer) {
    note_arrival(request);
    size_t head = below(COUNT_OF(heads)), body = below(COUNT_OF(bodies) * 2);
    body = body < COUNT_OF(bodies) ? body : body % 3;
    snprintf(answers[head][body], sizeof answers[head][body], "HTTP/1.1 %s\r\n%s", heads[head],
             bodies[body]);
    answer->bytes = one_in(12) ? NET_SILENCE : answers[head][body];
    answer->size = strlen(answer->bytes);
    answer->delay_s = one_in(4) ? 0 : seconds(0.8);
    answer->piece = one_in(3) ? 1 + below(30) : 0;
    answer->gap_s = seconds(0.05);
    answer->then = one_in(6) ? NET_FIN : one_in(12) ? NET_RST : NET_KEEP;
    answer->then_s = one_in(2) ? 0 : seconds(2);
}

/* --- requests ----------------------------------------------------------------------------- */

static const char *const urls[] = {
    "http://10.0.0.1/a", "http://10.0.0.1/b", "http://10.0.0.2/a", "http://10.0.0.3/a",
    "http://one.test/a", "http://two.test/a", "http://no.test/a", "nonsense",
};

static const char *const methods[] = {"GET", "GET", "GET", "POST", "PUT", "HEAD", "PATCH"};

static size_t requests_left, num_given;
static bool gives_up;
static sparp *current;

static void *wake(void *argument) {
    (void)argument;
    if (current != NULL)
        sparp_wake(current);
    return NULL;
}

/* And an index, which hops do not lose. */
static void give_a_cost(sparp_request *out) {
    static char text[20];
    static sparp_field field = {"X-Index", text};
    size_t index = num_given++;
    snprintf(text, sizeof text, "%lu", (unsigned long)index);
    out->headers = &field;
    out->num_headers = 1;
    out->cost = one_in(3) ? 0 : one_in(10) ? SPARP_NONE : one_in(10) ? 100 : seconds(20);
    costs[index] = out->cost == 0 ? 1 : out->cost == SPARP_NONE ? 0 : out->cost;
}

static sparp_input any_request(sparp_request *out, void *user_data) {
    (void)user_data;
    if (requests_left == 0)
        return SPARP_INPUT_END;
    if (one_in(10)) {
        net_at(net_now() + seconds(1), wake, NULL);
        return SPARP_INPUT_LATER;
    }
    if (gives_up && one_in(30))
        return SPARP_INPUT_FAILED;
    give_a_cost(out);
    requests_left--;
    out->url = one_in(40) ? urls[below(COUNT_OF(urls))] : urls[below(4)];
    out->url = one_in(3) ? urls[4 + below(2)] : out->url;
    out->url = races && one_in(2) ? "http://three.test/a" : out->url;
    out->method = methods[below(COUNT_OF(methods))];
    out->idempotent = one_in(8);
    out->timeout_s = one_in(8) ? 0.1 + seconds(2) : 0;
    out->deadline_s = one_in(6) ? 0.1 + seconds(4) : 0;
    if (strcmp(out->method, "POST") == 0)
        out->json = "{}";
    return SPARP_INPUT_READY;
}

/* --- callbacks that meddle ---------------------------------------------------------------- */

static size_t meddling;                 /* one callback in so many; 0: none */

#define MAX_CHANGES 200

static struct {
    double at, rate;                    /* rate 0: no limit, from then on */
} changes[MAX_CHANGES];                 /* the first is the option */
static size_t num_changes;
static int slots;                       /* the most that have ever been allowed at once */

static void note_rate(double at, double rate) {
    if (num_changes < MAX_CHANGES) {
        changes[num_changes].at = at;
        changes[num_changes++].rate = rate;
    }
}

static bool is_faster(double rate) {
    double before = changes[num_changes - 1].rate;
    return before > 0 && (rate == SPARP_NONE || rate > before);
}

static void meddle_with_pace(sparp *run) {
    int at_once = one_in(2) ? 0 : 1 + (int)below(12);
    double rate = one_in(3) ? 0 : one_in(6) ? SPARP_NONE : 0.5 + seconds(60);
    if (num_changes == MAX_CHANGES)
        return;
    slots = at_once > slots ? at_once : slots;
    if (rate != 0)                      /* the clock of the run may have stood for a while */
        note_rate(is_faster(rate) ? (double)(run->sched.now - NET_BEGIN) / 1e9 : net_now(),
                  rate == SPARP_NONE ? 0 : rate);
    sparp_set_pace(run, at_once, rate);
}

static bool charges, weighs;            /* somebody charges; some limit is one of cost */

/* What is at hand may be charged, and nothing else. */
static void charge(sparp *run, uint64_t index, double booked, double *sum) {
    if (!charges || !one_in(3))
        return;
    double more = one_in(2) ? seconds(10) : -seconds(15);
    CHECK(!sparp_charge(run, index + 1, more), "%s: charged another", net.label);
    CHECK(!sparp_charge(run, index, (double)NAN) && !sparp_charge(run, index, 1e300)
          && !sparp_charge(run, index, -(double)INFINITY), "%s: charged nonsense", net.label);
    CHECK(sparp_charge(run, index, more) == weighs, "%s: charged %d", net.label, weighs);
    if (weighs)
        *sum += more < -booked ? -booked : more;
}

static void meddle(sparp *run) {
    if (meddling == 0 || !one_in(meddling))
        return;
    switch (below(14)) {
    case 0: sparp_stop(run); break;
    case 1: sparp_drain(run); break;
    case 2: sparp_abort(run); break;
    case 3: sparp_wake(run); break;
    case 4: case 5: test_now_ns += NET_NS(seconds(0.6)); break;     /* it takes its time */
    case 6: case 7: meddle_with_pace(run); break;
    default: sparp_cancel(run, below(40));
    }
}

static void result_meddle(sparp *run, const sparp_result *result) {
    charge(run, result->index, result->cost, &charged_late);
    meddle(run);
}

static void retry_meddle(sparp *run, const sparp_result *attempt) {
    charge(run, attempt->index, attempt->cost, &charged[attempt->index]);
}

static sparp_verdict any_verdict(const sparp_result *response, void *user_data) {
    (void)user_data;
    sparp_verdict usual = sparp_default_inspect(response, NULL);
    if (current != NULL) {
        charge(current, response->index, response->cost, &charged[response->index]);
        meddle(current);
    }
    if (!response->body_complete && one_in(3))
        return SPARP_NEED_BODY;
    return one_in(20) ? (sparp_verdict)below(6) : usual;
}

/* --- origins, looked at from the inside ---------------------------------------------------- */

static const sparp__task *task_of(const sparp__link *link) {
    return (const sparp__task *)(const void *)((const char *)link - offsetof(sparp__task, link));
}

/* Right before a start: the gate is open, and wide enough for one more. Those that were under way
   when it closed do not count. */
static void check_may_start(const sparp__sched *s, const sparp__limits *l) {
    const sparp__gate *g = &l->gate;
    int cap = l->max_at_once;
    CHECK(g->closed_until <= s->now, "%s: a start at a closed gate", net.label);
    CHECK(g->before <= g->in_flight, "%s: more than all were there before", net.label);
    CHECK(g->width == 0 || g->in_flight - g->before < (uint64_t)g->width,
          "%s: %lu more at once, %d may", net.label,
          (unsigned long)(g->in_flight - g->before) + 1, g->width);
    CHECK(cap == 0 || g->in_flight < (uint64_t)cap, "%s: more than %d at an origin", net.label,
          cap);
}

static double any_permit(const char *url, double cost, void *user_data) {
    (void)user_data;
    const sparp__sched *s = &current->sched;
    const sparp__task *t = sparp__sched_first(s);
    CHECK(cost == costs[t->index], "%s: permit() for a cost of %f", net.label, cost);
    CHECK(strcmp(sparp__request_url(sparp__task_wire(t)), url) == 0, "%s: whose permit?",
          net.label);
    check_may_start(&current->sched, t->wait.limits);
    meddle(current);
    if (one_in(10)) {
        net_at(net_now() + seconds(1), wake, NULL);
        return SPARP_NONE;
    }
    return one_in(6) ? 0.001 + seconds(0.5) : 0;
}

/* Somebody who waits at an origin is sure to be looked at: one that it let go is on its way, or
   one is in flight there, or its timer runs. */
static void check_origin(const sparp__limits *l, size_t let_go) {
    const sparp__gate *g = &l->gate;
    int cap = l->max_at_once;
    CHECK(cap == 0 || g->in_flight <= (uint64_t)cap, "%s: more than %d at an origin", net.label,
          cap);
    CHECK(l->users > 0 || l->timer.place > 0, "%s: an origin is never forgotten", net.label);
    CHECK(l->parked.count == 0 || let_go > 0 || g->in_flight > 0
          || (l->timer.place > 0 && l->timer.due < NET_NEVER), "%s: parked for ever", net.label);
}

/* First come, first served: first tries start at an origin in the order of the input, until it
   closes, which takes some back. Whoever is seen in flight for the first time has just started. */
static bool in_turn;
static bool has_started[100];           /* by index */

static void check_turns(const sparp__sched *s) {
    const sparp__link *end = &s->flying.ring;
    for (const sparp__link *at = end->next; in_turn && at != end; at = at->next) {
        const sparp__task *t = task_of(at);
        if (t->attempts != 1 || t->on_hop || has_started[t->index]
            || t->wait.limits->gate.closed_until > 0)
            continue;
        has_started[t->index] = true;
        for (const sparp__link *next = end->next; next != at; next = next->next)
            CHECK(task_of(next)->wait.limits != t->wait.limits || task_of(next)->attempts != 1
                  || task_of(next)->on_hop || task_of(next)->index < t->index,
                  "%s: %lu has overtaken %lu", net.label, (unsigned long)task_of(next)->index,
                  (unsigned long)t->index);
        for (const sparp__link *late = s->parked.ring.next; late != &s->parked.ring;
             late = late->next)
            CHECK(task_of(late)->wait.limits != t->wait.limits || task_of(late)->attempts > 0
                  || has_started[task_of(late)->index] || task_of(late)->index > t->index,
                  "%s: %lu has overtaken %lu", net.label, (unsigned long)t->index,
                  (unsigned long)task_of(late)->index);
    }
}

static void check_origins(const sparp__sched *s) {
    size_t in_flight = 0, parked = 0;
    check_turns(s);
    for (size_t i = 0; i < s->origins.num_buckets; i++)
        for (const sparp__origin *o = s->origins.table[i]; o != NULL; o = o->chain) {
            const sparp__limits *l = (const sparp__limits *)(const void *)o;
            size_t let_go = 0;
            const sparp__link *end = &s->again.ring;
            for (const sparp__link *at = end->next; at != end; at = at->next)
                let_go += task_of(at)->wait.limits == l;
            check_origin(l, let_go);
            in_flight += (size_t)l->gate.in_flight;
            parked += l->parked.count;
        }
    CHECK(s->rate.retry_credit > -1e-6, "%s: more retries than the budget has", net.label);
    CHECK(parked == s->parked.count, "%s: %lu are parked", net.label, (unsigned long)parked);
    CHECK(in_flight == s->stats.in_flight, "%s: %lu in flight", net.label,
          (unsigned long)in_flight);
}

/* --- one run ------------------------------------------------------------------------------ */

static void any_network(void) {
    net.server = any_answer;
    net.lookup_s = seconds(1);
    net_lookup("one.test", "10.0.0.4", 0);
    net_lookup("two.test", "10.0.0.5", one_in(8) ? EAI_AGAIN : 0);
    net_host("10.0.0.2", one_in(8) ? -1 : seconds(1), 0);
    net_host("10.0.0.3", seconds(0.3), one_in(4) ? ECONNREFUSED : 0);
    net.fd_limit = one_in(6) ? 1 + (int)below(6) : 0;
    races = one_in(6);
    if (races) {
        net_lookup("three.test", "2001:db8::1 10.0.0.6 2001:db8::2 10.0.0.7", 0);
        net_host("2001:db8::1", one_in(2) ? -1 : seconds(0.5), one_in(3) ? ENETUNREACH : 0);
        net_host("10.0.0.6", seconds(0.5), one_in(3) ? ECONNREFUSED : 0);
        net_host("2001:db8::2", seconds(0.5), one_in(3) ? ETIMEDOUT : 0);
    }
}

/* One system call or allocation, or all from then on; but not where nothing could be done about
   it: without poll() or the pipe that wakes the loop no input ever comes. */
static void any_failure(void) {
    static const int errors[] = {ECONNRESET, EAGAIN, ENOBUFS, ENOMEM, EPIPE, EMFILE, ETIMEDOUT};
    net_call call = (net_call)below(NET_NUM_CALLS);
    call = call == NET_POLL || call == NET_WRITE ? NET_SEND : call;
    net_fail(call, 1 + below(100), errors[below(COUNT_OF(errors))]);
    net.fail_on = one_in(2);
    net.poll_limit = 1000000;           /* some of it is tried again every millisecond */
    if (!net.fail_on && one_in(4))
        net.fail_errno = EINTR;
    if (one_in(2)) {
        seen.memory.fail_at = 1 + below(300);
        seen.memory.fail_on = one_in(2);
    }
}

static int some_retries(void) {
    return one_in(3) ? SPARP_NONE : 1 + (int)below(4);
}

static sparp_host_limit host_limits[3];

/* Of 10.0.0.1, of what is below "test", and of all others or none. */
static size_t any_host_limits(void) {
    memset(host_limits, 0, sizeof host_limits);
    host_limits[0].host = one_in(2) ? "10.0.0.1" : "10.0.0.1:80";
    host_limits[1].host = "*.test";
    host_limits[2].host = "*";
    for (size_t i = 0; i < 3; i++) {
        sparp_host_limit *h = &host_limits[i];
        h->max_at_once = one_in(3) ? 0 : one_in(3) ? SPARP_NONE : 1 + (int)below(3);
        h->max_per_second = one_in(3) ? 0 : one_in(3) ? SPARP_NONE : 1 + seconds(20);
        h->max_cost_per_second = one_in(3) ? 0 : one_in(3) ? SPARP_NONE : 20 + seconds(80);
    }
    return 2 + below(2);
}

static double own_or(double own, double all) {
    double limit = own != 0 ? own : all;
    return limit > 0 ? limit : 0;
}

/* What a host is allowed, at its address; 0: no limit. */
static sparp_host_limit allowed_at(const sparp_options *o, const char *host) {
    sparp_host_limit none = {0}, own = {0};
    bool named = strcmp(host, "10.0.0.4") == 0 || strcmp(host, "10.0.0.5") == 0;
    if (o->num_host_limits > 0)
        own = strcmp(host, "10.0.0.1") == 0 ? host_limits[0] : named ? host_limits[1]
            : o->num_host_limits > 2 ? host_limits[2] : none;
    own.max_at_once = (int)own_or(own.max_at_once, o->max_at_once_per_origin);
    own.max_per_second = own_or(own.max_per_second, o->max_per_second_per_origin);
    own.max_cost_per_second = own_or(own.max_cost_per_second, o->max_cost_per_second_per_origin);
    return own;
}

static void any_options(sparp_options *o) {
    memset(o, 0, sizeof *o);
    o->next_request = any_request;
    o->input_buffer_size = one_in(2) ? 0 : 1 + (int)below(10);
    o->max_at_once = one_in(10) ? SPARP_AUTO : 1 + (int)below(12);
    o->max_at_once_per_origin = one_in(2) ? 0 : 1 + (int)below(4);
    o->max_per_second_per_origin = one_in(2) ? 0 : 1 + seconds(30);
    o->max_cost_per_second = one_in(2) ? 0 : 20 + seconds(200);
    o->cost_burst = one_in(2) ? 0 : seconds(60);
    o->max_cost_per_second_per_origin = one_in(3) ? 20 + seconds(100) : 0;
    if (one_in(2)) {
        o->host_limits = host_limits;
        o->num_host_limits = any_host_limits();
    }
    o->permit = one_in(2) ? NULL : any_permit;
    o->retry_ratio = one_in(3) ? 0.01 + seconds(0.5) : 0;
    o->no_gate = one_in(5);
    o->max_per_second = one_in(2) ? 0 : 0.5 + seconds(60);
    o->burst = one_in(2) ? 0 : 1 + (int)below(5);
    o->timeout_s = 0.3 + seconds(2);
    o->connect_timeout_s = one_in(2) ? 0 : 0.2 + seconds(1);
    o->idle_timeout_s = one_in(3) ? 0.2 + seconds(1) : 0;
    o->run_deadline_s = one_in(5) ? seconds(20) : 0;
    o->inspect = one_in(2) ? any_verdict : NULL;
    o->max_retries_by_soft_fail = some_retries();
    o->max_retries_by_timeout = some_retries();
    o->max_retries_by_transport = some_retries();
    o->backoff_s = one_in(4) ? SPARP_NONE : 0.01 + seconds(2);
    o->retry_safe_only = one_in(4);
    o->retry_unsafe = !o->retry_safe_only && one_in(4);
    o->stop_on = one_in(4) ? 1u << below(6) : 0;
    o->stop_after_failures = one_in(5) ? 1 + (int)below(10) : 0;
    o->stop_after_successes = one_in(5) ? 1 + (int)below(10) : 0;
    o->stop_drains = one_in(2);
    o->ordered = one_in(2);
    o->max_body_bytes = one_in(4) ? 20 : 0;
    o->truncate_body = one_in(2);
    o->discard_body = one_in(4);
    o->random_seed = test_random(&dice);
    seen_options(o);
}

/* How many starts the rates allow between two moments; every change is kept across. */
static double allowed(double from, double to) {
    double sum = 0;
    for (size_t i = 0; i < num_changes; i++) {
        double begins = changes[i].at > from ? changes[i].at : from;
        double ends = i + 1 < num_changes && changes[i + 1].at < to ? changes[i + 1].at : to;
        if (ends >= begins && changes[i].rate == 0)
            return 1e9;
        if (ends > begins)
            sum += (ends - begins) * changes[i].rate;
    }
    return sum;
}

#define LATE 0.01                       /* seconds: as much is made up for, see >>bucket */

/* In every window, from any start to any other; a start that came a little late, as timers do,
   does not put the next ones off. */
static void check_rate(const sparp_options *o) {
    double burst = o->burst > 0 ? o->burst : 1;
    double late = LATE;
    late += net.fail_at > 0 ? 0.002 : 0;        /* a send() that fails takes a millisecond */
    for (size_t i = 0; i < net.num_starts; i++)
        for (size_t j = i; j < net.num_starts; j++) {
            double a = (double)(net.starts[i] - NET_BEGIN) / 1e9;
            double b = (double)(net.starts[j] - NET_BEGIN) / 1e9;
            double may = allowed(a - late, b), then = allowed(a, b + late);
            may = (may > then ? may : then) + burst;
            CHECK((double)(j - i + 1) <= may + 1e-6,
                  "%s: %lu starts in %f s from %f on", net.label, (unsigned long)(j - i + 1), b - a,
                  a);
        }
}

/* The same at every host; each of them is one origin. */
static void check_origin_rates(const sparp_options *o) {
    double burst = o->burst > 0 ? o->burst : 1;
    if (races)
        return;
    double late = LATE + (net.fail_at > 0 ? 0.002 : 0);
    for (size_t i = 0; i < net.num_requests; i++) {
        size_t count = 0;
        double rate = allowed_at(o, net.requests[i].host).max_per_second;
        for (size_t j = i; j < net.num_requests && rate > 0; j++) {
            if (strcmp(net.requests[i].host, net.requests[j].host) != 0)
                continue;
            double window = (double)(net.requests[j].at - net.requests[i].at) / 1e9;
            CHECK((double)++count <= (window + late) * rate + burst + 1e-6,
                  "%s: %lu starts in %f s at %s, rate %f", net.label, (unsigned long)count, window,
                  net.requests[i].host, rate);
        }
    }
}

/* Of each window, from any arrival to any other: the cost of what began in it. */
static void check_cost_windows(double rate, double burst, const char *host) {
    double late = LATE + (net.fail_at > 0 ? 0.002 : 0);
    for (size_t i = 0; i < num_arrivals && rate > 0; i++) {
        double sum = 0, heaviest = burst;
        for (size_t j = i; j < num_arrivals; j++) {
            if (host != NULL && (strcmp(arrivals[j].host, host) != 0
                                 || strcmp(arrivals[i].host, host) != 0))
                continue;
            double window = (double)(arrivals[j].at - arrivals[i].at) / 1e9;
            heaviest = arrivals[j].cost > heaviest ? arrivals[j].cost : heaviest;
            sum += arrivals[j].cost;
            CHECK(sum <= (window + late) * rate + heaviest + 1e-6,
                  "%s: a cost of %f in %f s, rate %f", net.label, sum, window, rate);
        }
    }
}

/* What is charged afterwards comes too late for some, and what is given back is used again. */
static void check_costs(const sparp_options *o, const sparp_stats *s, bool with_failures) {
    double sum = charged_late, burst = o->cost_burst > 0 ? o->cost_burst : 0;
    if (!charges)
        check_cost_windows(o->max_cost_per_second, burst, NULL);
    for (size_t i = 0; !charges && !races && i < num_arrivals; i++) {
        bool first = true;
        for (size_t k = 0; k < i; k++)
            first = first && strcmp(arrivals[k].host, arrivals[i].host) != 0;
        if (first)
            check_cost_windows(allowed_at(o, arrivals[i].host).max_cost_per_second, burst,
                               arrivals[i].host);
    }
    for (size_t i = 0; i < seen.count; i++) {
        double cost = arrived[i] + charged[i], booked = seen.results[i].cost;
        sum += booked;
        CHECK(fabs(booked - cost) < 1e-6 || (with_failures && booked > cost),
              "%s: %lu: a cost of %f is booked, it was %f", net.label, (unsigned long)i, booked,
              cost);
    }
    CHECK(fabs(s->cost - sum) < 1e-6 * (1 + sum), "%s: %f are booked in all, they were %f",
          net.label, s->cost, sum);
    CHECK(s->waited_cost_us <= s->waited_us[SPARP_WAIT_RATE] + 1000, "%s: waited for its cost",
          net.label);
    int64_t waited = 0;
    for (size_t i = 0; i < seen.count; i++) {
        const sparp_result *r = &seen.results[i];
        CHECK(r->wait_cost_us >= 0 && r->wait_cost_us <= r->wait_us[SPARP_WAIT_RATE],
              "%s: %lu: waited for its cost", net.label, (unsigned long)i);
        waited += r->wait_cost_us;
    }
    CHECK(llabs(s->waited_cost_us - waited) <= 1000 || with_failures,
          "%s: %ld us for costs, the results say %ld", net.label, (long)s->waited_cost_us,
          (long)waited);
}

static void run_once(sparp_options *o, sparp_stats *stats) {
    const sparp_result *r;
    bool told = one_in(2);              /* by on_result, or asked with sparp_next() */
    o->on_result = told ? o->on_result : NULL;
    memset(stats, 0, sizeof *stats);
    current = sparp_open(o, NULL);
    if (current == NULL)
        return;
    note_rate(0, o->max_per_second);
    slots = o->max_at_once == SPARP_AUTO ? 1000 : o->max_at_once;
    while (told && sparp_step(current, -1))
        check_origins(&current->sched);
    while ((r = sparp_next(current)) != NULL) {
        check_origins(&current->sched);
        seen_check_moment(current);
        CHECK(!o->ordered || r->index == seen.count, "%s: order", net.label);
        seen_keep(r);
        charge(current, r->index, r->cost, &charged_late);
        meddle(current);
    }
    *stats = sparp_get_stats(current);
    sparp_close(current);
    current = NULL;
}

static void check_limits(const sparp_options *o) {
    CHECK(races || net.most_at_once <= slots, "%s: %d at once", net.label, net.most_at_once);
    CHECK(races || net.most_open <= slots, "%s: %d sockets", net.label, net.most_open);
    CHECK(net_now() < 3600, "%s: took %f s", net.label, net_now());
    check_rate(o);
    check_origin_rates(o);
}

static void run_seed(uint64_t seed, bool with_failures) {
    static char label[60];
    sparp_options o;
    sparp_stats stats;
    dice = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    net_begin();
    seen_begin();
    snprintf(label, sizeof label, "seed %llu%s", (unsigned long long)seed,
             with_failures ? " with failures" : "");
    net.label = label;
    any_network();
    any_options(&o);
    memset(has_started, 0, sizeof has_started);
    in_turn = net.fd_limit == 0 && !with_failures;
    requests_left = below(60);
    num_given = num_arrivals = 0;
    memset(arrived, 0, sizeof arrived);
    memset(charged, 0, sizeof charged);
    charged_late = 0;
    charges = one_in(2);
    weighs = o.max_cost_per_second > 0 || o.max_cost_per_second_per_origin > 0;
    for (size_t i = 0; i < o.num_host_limits; i++)
        weighs = weighs || o.host_limits[i].max_cost_per_second > 0;
    num_changes = 0;
    gives_up = one_in(5);
    meddling = one_in(2) ? 0 : 5 + below(50);
    seen.on_result = result_meddle;
    seen.on_retry = retry_meddle;
    if (with_failures)
        any_failure();
    run_once(&o, &stats);
    seen_check_end(&stats);
    seen_check_clean();
    check_limits(&o);
    check_costs(&o, &stats, with_failures);
}

static void test_random_runs(void **state) {
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + num_seeds; seed++)
        run_seed(seed, false);
}

static void test_random_runs_with_failures(void **state) {
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + num_seeds; seed++)
        run_seed(seed, true);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_runs),
        cmocka_unit_test(test_random_runs_with_failures),
    };
    const char *seeds = getenv("SEEDS");
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (seeds != NULL)
        num_seeds = strtoull(seeds, NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

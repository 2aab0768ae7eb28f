/* The scheduler alone: who starts when, and what each end of an attempt means.

   Its engines are played by the test: workers without a thread, whose list `to_do` is looked at
   by look(), and whose ends are put into the crew's list by end_as(). Nothing is sent, nothing is
   waited for; the clock goes where a test says, from one thing that is due to the next:

       get(A);                          what is to be sent
       start();                         the scheduler has been asked for the first time
       respond(0, 503, "");             what the engine has brought for request 0
       go(0.6);                         until 0.6 s later: the pause is over, it is in flight again
       respond(0, 200, "");
       finish();                        that was all, and the numbers add up

   After every turn check() looks at all that must be true between two turns. */
#include "../support.h"
#include <sys/types.h>

static ssize_t note_wake(int fd, const void *data, size_t size);
static time_t wall_clock(time_t *out);

#define SPARP__SYS_CLOCK test_clock
#define SPARP__SYS_WRITE note_wake
#define SPARP__SYS_TIME wall_clock
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#define A "http://a.test/"
#define B "http://b.test/"
#define C "http://c.test/"

#define MAX 300                         /* requests in one test */
#define WORKERS 3
#define WAKES 7                         /* what stands for the descriptor of the run's pipe */
#define SECOND INT64_C(1000000000)
#define NEVER INT64_MAX
#define BEGIN (1000 * SECOND)
#define PASSES 20                       /* SPARP__PASSES_MAX */
#define WALL 784111777                  /* Sun, 06 Nov 1994 08:49:37 GMT */

#define OWNER(type, member, ptr) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* --- the world -------------------------------------------------------------------------------- */

typedef struct start_seen {
    uint64_t index;
    int64_t  at;
    size_t   worker;
} start_seen;

static sparp run;                       /* its engine is never opened */
static sparp__sched *const sched = &run.sched;
static sparp__worker workers[WORKERS];
static int num_workers;
static sparp_options options;
static sparp_request requests[MAX];
static size_t num_requests;
static test_memory memory;
static sparp__answers answers;          /* that the engines have to spare */
static size_t num_answers;              /* that they ever had */
static size_t wakes[WORKERS + 1];       /* of the workers, and of the run */

/* What the engines have. */
static sparp__task *aloft[MAX];         /* by index */
static bool deaf;                       /* they look at nothing that is new */
static bool cut_at_once;                /* what is to be cut is, as soon as they look */
static bool in_callback;

/* What was seen. */
static struct seen {
    sparp_result results[MAX];          /* what they point at has gone */
    int          times[MAX];
    double       at[MAX];
    char         details[MAX][160];
    uint64_t     order[MAX];
    size_t       count, waiting;        /* waiting: records that nobody has taken */
    start_seen   starts[4000];
    size_t       num_starts;
    double       pauses[MAX];           /* of on_retry, in their order */
    sparp_result retries[MAX];
    size_t       num_retries;
    int64_t      flown[MAX];            /* in flight, as the scheduler sees it: nanoseconds */
    const char  *label;
    void       (*on_result)(const sparp_result *result);
    void       (*on_retry)(void);
} seen;

static ssize_t note_wake(int fd, const void *data, size_t size) {
    (void)data;
    assert_true(fd >= WAKES && fd <= WAKES + WORKERS);
    wakes[fd - WAKES]++;
    return (ssize_t)size;
}

static time_t wall_clock(time_t *out) {
    time_t now = WALL + (time_t)((test_now_ns - BEGIN) / SECOND);
    if (out != NULL)
        *out = now;
    return now;
}

static double now_s(void) {
    return (double)(test_now_ns - BEGIN) / 1e9;
}

/* --- what must be true ------------------------------------------------------------------------ */

static void check_sum(void) {
    const sparp_stats *n = &sched->stats;
    CHECK(n->pulled == n->in_flight + n->waiting + sparp__stats_ended(n), "%s: %lu pulled",
          seen.label, (unsigned long)n->pulled);
}

/* What one task does to the numbers of its origins. */
static size_t uses(const sparp__task *t, const sparp__limits *l) {
    return (size_t)(t->wait.limits == l) + (size_t)(t->wait.first_limits == l);
}

static size_t uses_in_list(const sparp__list *list, const sparp__limits *l) {
    size_t n = 0;
    for (sparp__link *at = list->ring.next; at != &list->ring; at = at->next)
        n += uses(OWNER(sparp__task, link, at), l);
    return n;
}

static size_t sleepers(const sparp__limits *l) {
    size_t n = 0;
    for (size_t i = 0; i < sched->sleeping.count; i++) {
        const sparp__task *t = OWNER(sparp__task, wait.timer, sched->sleeping.items[i]);
        if (t->state == SPARP__TASK_SLEEPING)
            n += l == NULL ? 1 : uses(t, l);
        else
            CHECK(t->deadline != NEVER, "%s: %lu has no deadline", seen.label,
                  (unsigned long)t->index);
    }
    return n;
}

static void check_limits(const sparp__limits *l) {
    size_t in_flight = 0, let = 0;
    for (sparp__link *at = sched->flying.ring.next; at != &sched->flying.ring; at = at->next)
        in_flight += OWNER(sparp__task, link, at)->wait.limits == l;
    for (sparp__link *at = sched->again.ring.next; at != &sched->again.ring; at = at->next) {
        const sparp__task *t = OWNER(sparp__task, link, at);
        let += t->wait.limits == l && l->letting == t;
    }
    CHECK(l->gate.in_flight == in_flight, "%s: %s: %lu in flight", seen.label, l->origin.host,
          (unsigned long)l->gate.in_flight);
    CHECK(let == (l->letting != NULL), "%s: %s: lets %lu", seen.label, l->origin.host,
          (unsigned long)let);
    CHECK(l->users == uses_in_list(&sched->fresh, l) + uses_in_list(&sched->again, l)
          + uses_in_list(&sched->parked, l) + uses_in_list(&sched->flying, l) + sleepers(l),
          "%s: %s: %lu users", seen.label, l->origin.host, (unsigned long)l->users);
    CHECK(l->users > 0 || l->timer.place != 0, "%s: %s is never forgotten", seen.label,
          l->origin.host);
    if (l->parked.count > 0 && l->letting == NULL) {    /* somebody will look at it again */
        const sparp__task *t = OWNER(sparp__task, here, l->parked.ring.next);
        int64_t wait = sparp__limits_wait((sparp__limits *)(uintptr_t)l, t, &run.options,
                                          sched->now);
        CHECK(wait == NEVER ? in_flight > 0 : wait > 0 && l->timer.place != 0
              && l->timer.key <= sched->now + wait + 1000, "%s: %s: parked for ever", seen.label,
              l->origin.host);          /* what leaks is counted in fractions */
    }
}

static size_t parked_at_limits(void) {
    size_t n = 0;
    for (size_t i = 0; i < sched->origins.num_buckets; i++)
        for (sparp__origin *o = sched->origins.table[i]; o != NULL; o = o->chain) {
            check_limits(OWNER(sparp__limits, origin, o));
            n += OWNER(sparp__limits, origin, o)->parked.count;
        }
    return n;
}

static void check_state(const sparp__list *list, sparp__task_state state) {
    size_t n = 0;
    for (sparp__link *at = list->ring.next; at != &list->ring; at = at->next, n++)
        CHECK(OWNER(sparp__task, link, at)->state == state, "%s: %d in the list of %d",
              seen.label, (int)OWNER(sparp__task, link, at)->state, (int)state);
    assert_int_equal(n, list->count);
}

static void check(void) {
    const sparp_stats *n = &sched->stats;
    size_t load = 0;
    check_sum();
    check_state(&sched->fresh, SPARP__TASK_FRESH);
    check_state(&sched->again, SPARP__TASK_AGAIN);
    check_state(&sched->parked, SPARP__TASK_PARKED);
    check_state(&sched->flying, SPARP__TASK_FLYING);
    check_state(&sched->unused, SPARP__TASK_UNUSED);
    CHECK(n->waiting == sched->fresh.count + sched->again.count + sched->parked.count
          + sleepers(NULL), "%s: %lu wait", seen.label, (unsigned long)n->waiting);
    for (int i = 0; i < num_workers; i++)
        load += workers[i].load;
    CHECK(n->in_flight == sched->flying.count && load == n->in_flight, "%s: %lu in flight",
          seen.label, (unsigned long)n->in_flight);
    CHECK(parked_at_limits() == sched->parked.count, "%s: parked", seen.label);
    CHECK(run.engine.ended.count == 0, "%s: ended and not looked at", seen.label);
    CHECK(run.options.on_result != NULL || sched->output.keep || sched->output.discard
          || seen.waiting == sched->output.ready.count + sched->output.in_order.count,
          "%s: %lu records", seen.label, (unsigned long)seen.waiting);
    CHECK(sched->over == (sched->input.done && n->in_flight + n->waiting == 0), "%s: over",
          seen.label);
}

/* --- what is seen ----------------------------------------------------------------------------- */

/* Each nanosecond of a request was spent in flight, or waited for a reason that is counted. */
static void check_times(const sparp_result *r) {
    int64_t sum = 0, flown = seen.flown[r->index] / 1000;
    for (int i = 0; i < SPARP_WAIT_COUNT; i++) {
        CHECK(r->wait_us[i] >= 0, "%s: %lu waited %ld us: %s", seen.label,
              (unsigned long)r->index, (long)r->wait_us[i], sparp_wait_name((sparp_wait)i));
        sum += r->wait_us[i];
    }
    CHECK(r->waited_us == sum && sum + flown >= r->total_us - 10
          && sum + flown <= r->total_us + 10, "%s: %lu: %ld us waited, %ld flown, %ld in all",
          seen.label, (unsigned long)r->index, (long)sum, (long)flown, (long)r->total_us);
}

static void keep(const sparp_result *r) {
    CHECK(r->index < MAX && seen.times[r->index]++ == 0, "%s: request %lu ended twice",
          seen.label, (unsigned long)r->index);
    check_times(r);
    assert_non_null(r->detail);
    assert_int_equal(r->body[r->body_size], '\0');
    seen.results[r->index] = *r;
    seen.at[r->index] = now_s();
    snprintf(seen.details[r->index], sizeof seen.details[0], "%s", r->detail);
    seen.order[seen.count++] = r->index;
}

static void on_result(sparp *ours, const sparp_result *r, void *user_data) {
    (void)user_data;
    assert_true(ours == &run && !in_callback);
    in_callback = true;
    check_sum();
    keep(r);
    if (seen.on_result != NULL)
        seen.on_result(r);
    in_callback = false;
}

static void on_retry(sparp *ours, const sparp_result *attempt, double wait_s, void *user_data) {
    (void)user_data;
    assert_true(ours == &run && !in_callback);
    check_sum();
    size_t i = seen.num_retries < MAX ? seen.num_retries++ : 0;
    seen.pauses[i] = wait_s;
    seen.retries[i] = *attempt;
    if (seen.on_retry != NULL)
        seen.on_retry();
}

/* --- the engines ------------------------------------------------------------------------------ */

static sparp__task *task_of(size_t index) {
    CHECK(index < MAX && aloft[index] != NULL, "%s: request %lu is not in flight", seen.label,
          (unsigned long)index);
    return aloft[index];
}

/* The attempt is over: the scheduler will hear of it. */
static void end_as(sparp__task *t, sparp__end end) {
    aloft[t->index] = NULL;
    t->fly.end = end;
    sparp__lock_take(&run.crew.lock);
    sparp__list_push_back(&run.crew.ended, &t->here);
    sparp__lock_leave(&run.crew.lock);
}

static void begin(sparp__worker *w, sparp__task *t) {
    assert_true(t->fly.posted && t->state == SPARP__TASK_FLYING);
    assert_true(sparp__crew_worker(&run.crew, t) == w);
    assert_null(t->fly.answer);
    assert_null(aloft[t->index]);
    t->fly.posted = false;
    aloft[t->index] = t;
    if (sparp__pace_take(&run.pace, t->fly.write, t->cost, test_now_ns))
        t->fly.booked += t->cost;
    start_seen *s = &seen.starts[seen.num_starts < COUNT_OF(seen.starts) ? seen.num_starts++ : 0];
    s->index = t->index;
    s->at = test_now_ns;
    s->worker = (size_t)(w - workers);
}

static void take_spent(sparp__worker *w) {
    while (w->spent != NULL) {
        sparp__answer *a = w->spent;
        w->spent = a->next;
        sparp__answers_put(&run.env, &answers, a);
    }
}

/* What a worker does when it was woken. */
static void look(void) {
    for (int i = 0; i < num_workers; i++) {
        sparp__worker *w = &workers[i];
        sparp__link *link;
        sparp__lock_take(&run.crew.lock);
        CHECK(w->called || (w->to_do.count == 0 && !w->cut_any), "%s: nobody woke it", seen.label);
        while (!deaf && (link = sparp__list_pop_front(&w->to_do)) != NULL)
            begin(w, OWNER(sparp__task, here, link));
        take_spent(w);
        bool cut = w->cut_any && cut_at_once;
        w->cut_any = w->cut_any && !cut;
        w->called = w->called && (deaf || w->cut_any);
        sparp__lock_leave(&run.crew.lock);
        for (size_t at = 0; cut && at < MAX; at++)
            if (aloft[at] != NULL && sparp__crew_worker(&run.crew, aloft[at]) == w
                && aloft[at]->fly.cut_wanted)
                end_as(aloft[at], SPARP__END_CUT);
    }
}

/* Where what an attempt brings is kept; NULL: out of memory. */
static sparp__answer *answer(sparp__task *t) {
    num_answers += answers.spare == NULL;
    t->fly.answer = sparp__answers_get(&run.env, &answers, sparp__task_wire(t)->is_head, 1 << 16);
    if (t->fly.answer == NULL)
        num_answers--;
    else
        t->fly.answer->elapsed = test_now_ns - t->fly.started_at;
    return t->fly.answer;
}

/* False: out of memory, and the attempt is over by that. */
static bool parse(sparp__task *t, int status, const char *fields, const char *body) {
    char head[500];
    sparp__str in, piece = {NULL, 0};
    sparp__answer *a = answer(t);
    bool ok = a != NULL;
    snprintf(head, sizeof head, "HTTP/1.1 %d Said\r\n%sContent-Length: 0\r\n\r\n", status, fields);
    in = sparp__str_of(head);
    ok = ok && sparp__http_feed(&run.env, &a->http, &in, &piece) == SPARP__HTTP_HEAD
        && sparp__task_add_body(&run.env, a, sparp__str_of(body));
    if (!ok) {
        sparp__task_blame_memory(t);
        end_as(t, SPARP__END_FAULT);
    }
    t->status = status;
    return ok;
}

static void respond_with(size_t index, int status, const char *fields, const char *body) {
    sparp__task *t = task_of(index);
    if (!parse(t, status, fields, body))
        return;
    t->fly.verdict = sparp__judge_status(status);
    t->fly.body_complete = true;
    if (t->fly.verdict != SPARP_SOFT_FAIL)
        sparp__task_parse(t, &run.options, test_now_ns);
    end_as(t, SPARP__END_RESPONSE);
}

static void respond(size_t index, int status, const char *fields) {
    respond_with(index, status, fields, "body");
}

/* The attempt failed; `sent`: after bytes had left us. */
static void fail_with(size_t index, sparp_error error, bool sent) {
    sparp__task *t = task_of(index);
    if (answer(t) == NULL) {
        sparp__task_blame_memory(t);
    } else {
        sparp__fault_set(&t->fly.answer->fault, error, 0, "played: %s", sparp_error_text(error));
        t->fault = &t->fly.answer->fault;
    }
    t->fly.sent = sent;
    t->fly.unsure = t->fly.unsure || sent;
    end_as(t, SPARP__END_FAULT);
}

static void starve(size_t index) {
    sparp__task *t = task_of(index);
    if (answer(t) == NULL) {
        sparp__task_blame_memory(t);
    } else {
        sparp__fault_set(&t->fly.answer->fault, SPARP_E_OUT_OF_RESOURCES, 24, "no descriptor");
        t->fault = &t->fly.answer->fault;
    }
    end_as(t, SPARP__END_STARVED);
}

static void recall(size_t index) {
    end_as(task_of(index), SPARP__END_RECALLED);
}

/* A redirect, or 417, leads on to that url. */
static void lead_to(size_t index, int status, const char *url) {
    sparp__task *t = task_of(index);
    sparp__request_memo memo;
    sparp__fault fault;
    sparp_request in;
    memset(&memo, 0, sizeof memo);
    memset(&in, 0, sizeof in);
    in.url = url;
    in.method = sparp__request_method(&t->request);
    if (!parse(t, status, "Location: there\r\n", ""))
        return;
    if (t->hop == NULL)
        t->hop = (sparp__request *)sparp__env_zalloc(&run.env, sizeof *t->hop);
    bool ok = t->hop != NULL
        && sparp__request_build(&run.env, t->hop, &in, &run.options, &memo, &fault);
    sparp__buf_free(&run.env, &memo.lines);
    if (ok) {
        t->on_hop = true;
        t->redirects += status != 417;
    } else {
        sparp__task_blame_memory(t);
    }
    end_as(t, ok ? SPARP__END_HOP : SPARP__END_FAULT);
}

/* --- turns ------------------------------------------------------------------------------------ */

/* Those in flight have been so since the turn before. */
static void count_flown(int64_t ns) {
    for (sparp__link *at = sched->flying.ring.next; at != &sched->flying.ring; at = at->next)
        seen.flown[OWNER(sparp__task, link, at)->index] += ns;
}

static void turn(void) {
    count_flown(test_now_ns - sched->now);
    sched->now = test_now_ns;
    sparp__crew_collect(&run.crew);
    sparp__sched_admit(sched);
    sparp__sched_run_timers(sched);
    sparp__sched_end_turn(sched);
    if (run.options.on_result == NULL && !sched->output.keep && !sched->output.discard)
        seen.waiting = sparp__stats_ended(&sched->stats) - seen.count;
    check();
    look();
}

/* Turn after turn until then, in seconds since the beginning. */
static void go(double until_s) {
    int64_t until = BEGIN + sparp__time_from_s(until_s);
    for (int in_place = 0;;) {
        turn();
        int64_t due = sparp__sched_next_due(sched);
        if (sched->over || (due > until && run.crew.ended.count == 0))
            break;
        in_place = due > test_now_ns ? 0 : in_place + 1;
        CHECK(in_place < 50, "%s: awake for nothing at %f s", seen.label, now_s());
        test_now_ns = sparp__max(test_now_ns, due <= until ? due : test_now_ns);
    }
    if (test_now_ns < until) {
        test_now_ns = until;
        turn();
    }
}

/* As long as something is due at once. */
static void settle(void) {
    go(now_s());
}

/* --- opening and closing ---------------------------------------------------------------------- */

static sparp_request *ask(const char *method, const char *url) {
    assert_true(num_requests < MAX);
    sparp_request *r = &requests[num_requests++];
    memset(r, 0, sizeof *r);
    r->method = method;
    r->url = url;
    return r;
}

static sparp_request *get(const char *url) {
    return ask("GET", url);
}

static void get_many(size_t count, const char *url) {
    while (count-- > 0)
        get(url);
}

static void open_workers(void) {
    memset(workers, 0, sizeof workers);
    for (int i = 0; i < num_workers; i++) {
        workers[i].crew = &run.crew;
        workers[i].engine.wake.fd[1] = WAKES + 1 + i;
        sparp__list_init(&workers[i].to_do);
    }
    run.crew.workers = workers;
    run.crew.size = num_workers;
    assert_true(sparp__lock_open(&run.crew.lock) && sparp__lock_open(&run.pace.lock));
}

/* The run's options are those of the test. False: out of memory. */
static bool open_run(void) {
    if (options.next_request == NULL) {
        options.requests = requests;
        options.num_requests = num_requests;
    }
    options.on_retry = on_retry;
    options.allocator.func = test_memory_func;
    options.allocator.user_data = &memory;
    CHECK(*sparp_check_options(&options) == '\0', "%s", sparp_check_options(&options));
    memset(&run, 0, sizeof run);
    run.options = options;
    sparp__options_fill(&run.options);
    run.env.allocator = run.options.allocator;
    run.env.random = run.options.random_seed != 0 ? run.options.random_seed : 1;
    run.crew.own = &run.engine;
    run.engine.wake.fd[1] = WAKES;
    sparp__list_init(&run.engine.ended);
    sparp__list_init(&run.crew.ended);
    open_workers();
    bool ok = sparp__sched_open(sched, &run, &run.env, &run.options, &run.crew, &run.pace);
    if (run.options.run_deadline_s > 0)
        sched->deadline = sparp__time_after(sched->now,
                                            sparp__time_from_s(run.options.run_deadline_s));
    return ok;
}

/* At any moment: nothing is left of it. */
static void close_run(void) {
    for (int i = 0; i < num_workers; i++)
        take_spent(&workers[i]);
    sparp__sched_free(sched);
    sparp__answers_free(&run.env, &answers);
    sparp__lock_close(&run.crew.lock);
    sparp__lock_close(&run.pace.lock);
    CHECK(test_memory_clean(&memory), "%s: %lu blocks left", seen.label,
          (unsigned long)memory.blocks);
}

/* With the results given to on_result(), and the first turn behind it. */
static void start(void) {
    options.on_result = on_result;
    assert_true(open_run());
    turn();
}

/* With the results left for sparp_ready(), or kept till the end. */
static void start_without_callback(bool kept) {
    options.on_result = NULL;
    assert_true(open_run());
    sched->output.keep = kept;
    turn();
}

/* Nothing seen, nothing asked for; the options stay. */
static void again(void) {
    memset(&seen, 0, sizeof seen);
    memset(aloft, 0, sizeof aloft);
    memset(wakes, 0, sizeof wakes);
    memset(&memory, 0, sizeof memory);
    memset(&answers, 0, sizeof answers);
    seen.label = "run";
    num_requests = num_answers = 0;
    deaf = in_callback = false;
    cut_at_once = true;
    num_workers = 1;
    options.requests = NULL;
    options.num_requests = 0;
    test_now_ns = BEGIN;
}

static int setup(void **state) {
    test_setup(state);
    memset(&options, 0, sizeof options);
    again();
    return 0;
}

#define SCHED_TEST(function) \
    cmocka_unit_test_setup_teardown(function, setup, test_teardown)

/* The numbers of all results are those of the run. */
static void check_end(void) {
    const sparp_stats *n = &sched->stats;
    uint64_t by_outcome[SPARP_OUTCOME_COUNT] = {0}, retries[3] = {0};
    const uint64_t wanted[] = {
        n->success, n->hard_fail, n->soft_exhausted, n->timeout_exhausted, n->transport_failed,
        n->local_failed, n->cancelled, n->not_started,
    };
    for (size_t i = 0; i < seen.count; i++) {
        const sparp_result *r = &seen.results[seen.order[i]];
        by_outcome[r->outcome]++;
        retries[0] += (uint64_t)r->soft_retries;
        retries[1] += (uint64_t)r->timeout_retries;
        retries[2] += (uint64_t)r->transport_retries;
    }
    for (int i = 0; i < SPARP_OUTCOME_COUNT; i++)
        CHECK(by_outcome[i] == wanted[i], "%s: %lu %s of %lu", seen.label,
              (unsigned long)by_outcome[i], sparp_outcome_name((sparp_outcome)i),
              (unsigned long)wanted[i]);
    CHECK(seen.count == n->pulled, "%s: %lu results", seen.label, (unsigned long)seen.count);
    CHECK(retries[0] == n->soft_retries && retries[1] == n->timeout_retries
          && retries[2] == n->transport_retries, "%s: retries", seen.label);
}

/* Every request has its end. */
static void finish(void) {
    settle();
    CHECK(sched->over, "%s: not over", seen.label);
    check_end();
    for (int i = 0; i < num_workers; i++)
        take_spent(&workers[i]);
    size_t spare = 0;
    for (sparp__answer *a = answers.spare; a != NULL; a = a->next)
        spare++;
    CHECK(spare == num_answers, "%s: %lu answers of %lu", seen.label, (unsigned long)spare,
          (unsigned long)num_answers);
    close_run();
}

/* --- asserting -------------------------------------------------------------------------------- */

static void assert_outcome(size_t index, sparp_outcome outcome, sparp_error error) {
    const sparp_result *r = &seen.results[index];
    CHECK(seen.times[index] == 1 && r->outcome == outcome && r->error == error,
          "request %lu, %d times: %s, %s (%s)", (unsigned long)index, seen.times[index],
          sparp_outcome_name(r->outcome), sparp_error_name(r->error), seen.details[index]);
}

static void assert_near(double value, double expected, double tolerance) {
    CHECK(value >= expected - tolerance && value <= expected + tolerance,
          "%s: %.9f instead of %.9f at %.6f s", seen.label, value, expected, now_s());
}

/* Those of `indexes`, in that order, are what has started since start `from`. */
static void assert_starts(size_t from, const char *indexes) {
    char text[400] = "";
    for (size_t i = from, n = 0; i < seen.num_starts && n < sizeof text - 12; i++)
        n += (size_t)sprintf(text + n, "%s%d", i > from ? " " : "", (int)seen.starts[i].index);
    CHECK(strcmp(text, indexes) == 0, "%s instead of %s", text, indexes);
}

static void assert_started_at(size_t start, double at) {
    CHECK(start < seen.num_starts, "only %lu starts", (unsigned long)seen.num_starts);
    assert_near((double)(seen.starts[start].at - BEGIN) / 1e9, at, 0.001);
}

static void assert_waited(size_t index, sparp_wait why, double expected) {
    double waited = (double)seen.results[index].wait_us[why] / 1e6;
    CHECK(waited >= expected - 0.002 && waited <= expected + 0.002,
          "request %lu: %s %.6f s, expected %.6f", (unsigned long)index, sparp_wait_name(why),
          waited, expected);
}

static sparp__limits *limits_of(const char *host) {
    for (size_t i = 0; i < sched->origins.num_buckets; i++)
        for (sparp__origin *o = sched->origins.table[i]; o != NULL; o = o->chain)
            if (strcmp(o->host, host) == 0)
                return OWNER(sparp__limits, origin, o);
    return NULL;
}

static size_t in_flight(void) {
    return (size_t)sched->stats.in_flight;
}

static const char *script;              /* r: a request, b: a bad one, l: later, f: failed; end */

static sparp_input next_of_script(sparp_request *out, void *user_data) {
    (void)user_data;
    if (*script == '\0')
        return SPARP_INPUT_END;
    char what = *script++;
    out->url = what == 'b' ? "nonsense" : A;
    return what == 'l' ? SPARP_INPUT_LATER : what == 'f' ? SPARP_INPUT_FAILED : SPARP_INPUT_READY;
}

/* --- who starts ------------------------------------------------------------------------------- */

static void test_no_more_at_once_than_there_are_slots(void **state) {
    (void)state;
    options.max_at_once = 3;
    get_many(5, A);
    start();
    assert_starts(0, "0 1 2");
    go(1);
    respond(1, 200, "");
    go(1);
    assert_starts(3, "3");
    go(3);
    for (size_t i = 0; i < 4; i++)
        if (i != 1)
            respond(i, 200, "");
    settle();
    assert_starts(4, "4");
    respond(4, 200, "");
    finish();
    assert_waited(2, SPARP_WAIT_SLOT, 0);
    assert_waited(3, SPARP_WAIT_SLOT, 1);
    assert_waited(4, SPARP_WAIT_SLOT, 3);
    assert_int_equal(run.sched.stats.waited_us[SPARP_WAIT_SLOT], 4000000);
}

static void test_the_work_is_spread_over_the_workers(void **state) {
    (void)state;
    num_workers = 3;
    options.max_at_once = 7;
    get_many(9, A);
    start();
    assert_starts(0, "0 3 6 1 4 2 5");  /* 0 1 2 were posted to one worker each, and so on */
    for (size_t i = 0; i < 7; i += 3)   /* the first worker has nothing to do any more */
        respond(i, 200, "");
    settle();
    assert_starts(7, "7 8");
    assert_int_equal(seen.starts[7].worker, 0);
    assert_int_equal(seen.starts[8].worker, 0);
    for (size_t i = 0; i < 9; i++)
        if (aloft[i] != NULL)
            respond(i, 200, "");
    finish();
    for (int i = 0; i < 3; i++)
        assert_true(wakes[1 + i] > 0);
}

static void test_a_worker_is_woken_once_until_it_looks(void **state) {
    (void)state;
    deaf = true;
    get_many(9, A);
    start();
    assert_int_equal(wakes[1], 1);
    deaf = false;
    turn();
    assert_starts(0, "0 1 2 3 4 5 6 7 8");
    for (size_t i = 0; i < 9; i++)
        respond(i, 200, "");
    finish();
}

static void test_no_more_per_second_than_asked_for(void **state) {
    (void)state;
    options.max_per_second = 10;
    options.burst = 2;
    get_many(5, A);
    start();
    assert_starts(0, "0 1");
    go(1);
    for (size_t i = 2; i < 5; i++) {
        assert_started_at(i, 0.1 * (double)(i - 1));
        respond(i, 200, "");
    }
    respond(0, 200, "");
    respond(1, 200, "");
    finish();
    for (size_t i = 2; i < 5; i++) {
        assert_waited(i, SPARP_WAIT_RATE, 0.1 * (double)(i - 1));
        assert_waited(i, SPARP_WAIT_SLOT, 0);
    }
}

static void test_a_slot_and_the_rate_are_told_apart(void **state) {
    (void)state;
    options.max_per_second = 1;
    options.max_at_once = 1;
    get_many(2, A);
    start();
    go(0.4);
    respond(0, 200, "");
    go(2);
    assert_started_at(1, 1);
    respond(1, 200, "");
    finish();
    assert_waited(1, SPARP_WAIT_SLOT, 0.4);
    assert_waited(1, SPARP_WAIT_RATE, 0.6);
}

/* Also when it begins to want a slot in the middle of a turn. */
static void test_a_retry_waits_for_the_rate(void **state) {
    (void)state;
    options.max_per_second = 1;
    options.backoff_s = options.backoff_max_s = 0.1;
    get(A);
    start();
    respond(0, 503, "");
    go(2);
    assert_started_at(1, 1);
    respond(0, 200, "");
    finish();
    assert_near((double)seen.results[0].wait_us[SPARP_WAIT_BACKOFF] / 1e6, 0.075, 0.026);
    assert_near((double)seen.results[0].wait_us[SPARP_WAIT_RATE] / 1e6, 0.925, 0.026);
    assert_waited(0, SPARP_WAIT_SLOT, 0);
}

static void test_a_new_pace_counts_from_the_next_start_on(void **state) {
    (void)state;
    options.max_per_second = 1;
    get_many(5, A);
    start();
    go(0.5);
    sparp_set_pace(&run, 3, 10);
    assert_true(wakes[0] > 0 && wakes[1] > 0);
    go(5);
    assert_started_at(1, 0.55);         /* half a start was ahead, and still is */
    assert_started_at(2, 0.65);
    assert_int_equal(seen.num_starts, 3);
    sparp_set_pace(&run, 0, SPARP_NONE);
    respond(0, 200, "");
    respond(1, 200, "");
    settle();
    assert_starts(3, "3 4");
    for (size_t i = 2; i < 5; i++)
        respond(i, 200, "");
    finish();
}

static void test_an_origin_holds_up_only_its_own(void **state) {
    (void)state;
    options.max_at_once_per_origin = 1;
    get_many(3, A);
    get(B);
    start();
    assert_starts(0, "0 3");
    go(2);
    respond(0, 200, "");
    settle();
    assert_starts(2, "1");
    go(3);
    respond(1, 200, "");
    respond(3, 200, "");
    settle();
    assert_starts(3, "2");
    respond(2, 200, "");
    finish();
    assert_waited(1, SPARP_WAIT_ORIGIN, 2);
    assert_waited(2, SPARP_WAIT_ORIGIN, 3);
    assert_waited(3, SPARP_WAIT_ORIGIN, 0);
}

static void test_an_origin_has_its_own_rate(void **state) {
    (void)state;
    options.max_per_second_per_origin = 2;
    get_many(3, A);
    get_many(2, B);
    start();
    assert_starts(0, "0 3");
    go(5);
    assert_starts(2, "1 4 2");
    assert_started_at(2, 0.5);
    assert_started_at(3, 0.5);
    assert_started_at(4, 1);
    for (size_t i = 0; i < 5; i++)
        respond(i, 200, "");
    finish();
    assert_waited(2, SPARP_WAIT_ORIGIN, 1);
    assert_waited(2, SPARP_WAIT_RATE, 0);
}

/* It waits for its origin first, and for a slot when that has let it go. */
static void test_an_origin_and_a_slot_are_told_apart(void **state) {
    (void)state;
    options.input_buffer_size = 1;      /* looked at in the order of the input */
    options.max_at_once = 2;
    options.max_at_once_per_origin = 1;
    get_many(3, A);
    get(B);
    start();
    assert_starts(0, "0 3");
    go(1);
    sparp_set_pace(&run, 1, 0);
    respond(0, 200, "");
    go(3);
    respond(3, 200, "");
    settle();
    assert_starts(2, "1");
    go(4);
    respond(1, 200, "");
    settle();
    respond(2, 200, "");
    finish();
    assert_waited(1, SPARP_WAIT_ORIGIN, 1);
    assert_waited(1, SPARP_WAIT_SLOT, 2);
    assert_waited(2, SPARP_WAIT_ORIGIN, 2);             /* behind 1, for what 1 waited for */
    assert_waited(2, SPARP_WAIT_SLOT, 2);
}

/* One token every 4 s: who is parked waits for its origin, then with all others for a token. */
static void test_an_origin_and_the_rate_are_told_apart(void **state) {
    (void)state;
    options.input_buffer_size = 1;      /* looked at in the order of the input */
    options.max_per_second = 0.25;
    options.max_at_once_per_origin = 1;
    get_many(3, A);
    get(B);
    start();
    go(5);
    assert_starts(0, "0 3");
    respond(0, 200, "");
    go(9);
    assert_started_at(2, 8);
    respond(1, 200, "");
    go(12);
    respond(2, 200, "");
    respond(3, 200, "");
    finish();
    assert_waited(1, SPARP_WAIT_RATE, 7);
    assert_waited(1, SPARP_WAIT_ORIGIN, 1);
    assert_waited(2, SPARP_WAIT_RATE, 6);               /* since it was pulled */
    assert_waited(2, SPARP_WAIT_ORIGIN, 2);
}

/* While it was parked the rate held up others: that is none of its business afterwards. */
static void test_the_rate_that_held_up_others_is_not_counted(void **state) {
    (void)state;
    options.input_buffer_size = 1;      /* looked at in the order of the input */
    options.max_per_second = 1;
    options.burst = 4;
    options.max_at_once_per_origin = 1;
    get_many(2, A);
    get(B);
    get(C);
    for (int i = 4; i < 8; i++)
        get(i == 4 ? "http://4.test/" : i == 5 ? "http://5.test/" : i == 6 ? "http://6.test/"
            : "http://7.test/");
    start();
    assert_int_equal(sched->parked.count, 1);
    go(6);
    assert_int_equal(in_flight(), 7);
    sparp_set_pace(&run, 1, SPARP_NONE);
    respond(0, 200, "");
    go(8);
    for (size_t i = 2; i < 8; i++)
        respond(i, 200, "");
    settle();
    respond(1, 200, "");
    finish();
    assert_waited(1, SPARP_WAIT_ORIGIN, 6);
    assert_waited(1, SPARP_WAIT_SLOT, 2);
    assert_waited(1, SPARP_WAIT_RATE, 0);
}

/* Whoever comes when its origin lets somebody through waits behind those that were there. */
static void test_nobody_overtakes_who_is_parked(void **state) {
    (void)state;
    options.max_per_second_per_origin = 1;
    options.next_request = next_of_script;
    script = "rrlr";
    start();
    assert_starts(0, "0");
    test_now_ns = BEGIN + SECOND;
    sparp__sched_on_wake(sched, false);
    go(2);
    assert_starts(1, "1 2");
    assert_started_at(1, 1);
    assert_started_at(2, 2);
    for (size_t i = 0; i < 3; i++)
        respond(i, 200, "");
    finish();
}

static double permit_says;
static size_t permit_asked;
static char permit_url[40];

static double permit(const char *url, double cost, void *user_data) {
    (void)cost;
    (void)user_data;
    permit_asked++;
    snprintf(permit_url, sizeof permit_url, "%s", url);
    return permit_says;
}

static void test_the_last_word_is_permits(void **state) {
    (void)state;
    options.permit = permit;
    permit_says = 2;
    permit_asked = 0;
    get_many(2, A "x");
    start();
    assert_int_equal(permit_asked, 1);
    assert_string_equal(permit_url, A "x");
    go(1.9);
    assert_int_equal(permit_asked, 1);
    permit_says = SPARP_NONE;
    go(60);                             /* asked after 2 s, and never again */
    assert_int_equal(permit_asked, 2);
    permit_says = 0;
    sparp__sched_on_wake(sched, false);
    settle();
    assert_starts(0, "0 1");
    respond(0, 200, "");
    respond(1, 200, "");
    finish();
    assert_waited(0, SPARP_WAIT_RATE, 60);
    assert_waited(1, SPARP_WAIT_RATE, 60);
}

static double stopping_permit(const char *url, double cost, void *user_data) {
    (void)url;
    (void)cost;
    (void)user_data;
    sparp_abort(&run);
    return 0;
}

static void test_a_stop_inside_permit_comes_first(void **state) {
    (void)state;
    options.permit = stopping_permit;
    get_many(2, A);
    start();
    assert_int_equal(seen.num_starts, 0);
    finish();
    assert_outcome(0, SPARP_OUTCOME_NOT_STARTED, SPARP_E_NOT_STARTED);
    assert_outcome(1, SPARP_OUTCOME_NOT_STARTED, SPARP_E_NOT_STARTED);
}

/* With SPARP_AUTO one more after each round that went well, a third less after one that did not. */
static void test_how_many_at_once_is_found_out(void **state) {
    (void)state;
    options.max_at_once = SPARP_AUTO;
    get_many(60, A);
    start();
    assert_int_equal(seen.num_starts, 8);
    go(0.1);
    for (size_t i = 0; i < 8; i++)
        respond(i, 200, "");
    settle();
    assert_int_equal(sched->stats.in_flight, 9);
    go(0.2);
    for (size_t i = 8; i < 17; i++)
        respond(i, i < 15 ? 200 : 503, "");
    settle();
    assert_int_equal(sched->slots.found.limit, 6);      /* two failures of one round count once */
    assert_int_equal(sched->stats.in_flight, 6);
    sparp_abort(&run);
    finish();
}

/* --- the gate --------------------------------------------------------------------------------- */

/* It reopens with one, then with twice as many each time one succeeds. */
static void test_429_closes_the_gate_which_reopens_by_doubling(void **state) {
    (void)state;
    options.max_at_once = 1;
    get_many(10, A);
    start();
    go(1);
    sparp_set_pace(&run, 20, 0);
    respond(0, 429, "Retry-After: 10\r\n");
    go(1);
    assert_int_equal(in_flight(), 0);
    assert_int_equal(sched->parked.count, 9);
    go(10.9);
    assert_int_equal(in_flight(), 0);
    go(11.0);
    assert_starts(1, "1");
    respond(1, 200, "");
    settle();
    assert_starts(2, "2 3");
    respond(2, 200, "");
    settle();
    assert_int_equal(in_flight(), 4);
    go(12);
    respond(3, 200, "");                /* eight may try then, and there are seven */
    settle();
    assert_int_equal(in_flight(), 7);
    respond(0, 200, "");
    for (size_t i = 4; i < 10; i++)
        respond(i, 200, "");
    finish();
    assert_waited(1, SPARP_WAIT_SLOT, 1);
    assert_waited(1, SPARP_WAIT_GATE, 10);
    assert_waited(9, SPARP_WAIT_GATE, 11);
    assert_int_equal(seen.results[0].soft_retries, 1);
}

/* Who had its turn when it closed again has it when it reopens. */
static void test_who_was_let_go_is_the_next_one_again(void **state) {
    (void)state;
    options.input_buffer_size = 1;      /* looked at in the order of the input */
    options.max_at_once = 3;
    options.max_at_once_per_origin = 2;
    get_many(4, A);
    get(B);
    start();
    assert_starts(0, "0 1 4");
    sparp_set_pace(&run, 1, 0);
    respond(0, 200, "");
    settle();                           /* 2 is let go, and has no slot */
    respond(1, 429, "Retry-After: 3\r\n");
    settle();
    respond(4, 200, "");
    settle();
    assert_int_equal(sched->parked.count, 2);
    go(3);
    assert_starts(3, "2");
    respond(2, 200, "");
    settle();
    assert_starts(4, "3");
    respond(3, 200, "");
    go(5);
    respond(1, 200, "");
    finish();
}

/* What leads on has not failed: two may try next. */
static void test_a_redirect_opens_the_gate_further(void **state) {
    (void)state;
    get(A);
    start();
    respond(0, 429, "Retry-After: 3\r\n");
    go(4);
    lead_to(0, 302, B);
    settle();
    assert_int_equal(limits_of("a.test")->gate.width, 2);
    assert_int_equal(limits_of("a.test")->gate.strikes, 0);
    respond(0, 200, "");
    finish();
}

/* A failure while it reopens closes it again, and without a Retry-After for twice as long. */
static void test_the_gate_closes_for_longer_each_time(void **state) {
    (void)state;
    options.backoff_s = 1;
    options.backoff_max_s = 5;
    get(A);
    start();
    for (int k = 0; k < 5; k++) {
        double pause = k < 3 ? 1 << k : 5;
        respond(0, 429, "");
        settle();
        int64_t closed = limits_of("a.test")->gate.closed_until - test_now_ns;
        assert_near((double)closed / 1e9, pause * 0.75, pause * 0.25);
        assert_int_equal(limits_of("a.test")->gate.strikes, k + 1);
        go(now_s() + 11);
        assert_int_equal(in_flight(), 1);
    }
    respond(0, 200, "");
    settle();
    assert_int_equal(seen.results[0].soft_retries, 5);
    finish();
}

/* What was under way when it closed says nothing new: it waits with the others, uncounted. */
static void test_a_429_that_the_closed_gate_explains_costs_no_retry(void **state) {
    (void)state;
    options.max_retries_by_soft_fail = 1;
    get_many(3, A);
    get(B);
    start();
    go(1);
    respond(0, 429, "Retry-After: 5\r\n");
    settle();
    respond(1, 429, "");
    respond(2, 503, "Retry-After: 2\r\n");
    respond(3, 429, "Retry-After: 1\r\n");      /* another origin: a failure of its own */
    settle();
    assert_int_equal(sched->stats.soft_retries, 2);
    assert_int_equal(sched->parked.count, 2);
    go(20);
    assert_starts(4, "3 1");            /* one probe at first: 1 was there before 0 */
    respond(1, 200, "");
    respond(3, 200, "");
    settle();
    respond(2, 200, "");
    respond(0, 200, "");
    finish();
    for (size_t i = 0; i < 4; i++)
        assert_outcome(i, SPARP_OUTCOME_SUCCESS, SPARP_E_OK);
    assert_int_equal(seen.results[0].soft_retries, 1);
    assert_int_equal(seen.results[1].soft_retries, 0);
    assert_int_equal(seen.results[1].attempts, 2);
    assert_int_equal(seen.results[2].soft_retries, 0);
    assert_int_equal(sched->stats.soft_fails, 4);
}

/* It is a failure like any other then: of the request's deadline, or of the run's. */
static void test_no_pass_for_who_cannot_wait_that_long(void **state) {
    (void)state;
    for (int whole_run = 0; whole_run < 2; whole_run++) {
        again();
        options.run_deadline_s = whole_run == 1 ? 4 : 0;
        get_many(3, A);
        requests[1].deadline_s = whole_run == 1 ? 0 : 4;
        start();
        respond(0, 429, "Retry-After: 5\r\n");
        respond(1, 429, "");
        respond(2, 429, "");
        settle();
        assert_int_equal(sched->parked.count, whole_run == 1 ? 0 : 1);
        assert_int_equal(sched->stats.soft_retries, 2);
        go(4);
        assert_outcome(1, whole_run == 1 ? SPARP_OUTCOME_CANCELLED : SPARP_OUTCOME_SOFT_EXHAUSTED,
                       whole_run == 1 ? SPARP_E_CANCELLED : SPARP_E_OK);
        sparp_abort(&run);
        finish();
    }
}

static void test_so_many_passes_are_enough(void **state) {
    (void)state;
    options.max_retries_by_soft_fail = 1;
    get(A);
    start();
    for (int i = 0; i <= PASSES; i++) { /* always begun before another one closed it */
        assert_int_equal(task_of(0)->passes, i);
        assert_int_equal(sched->stats.soft_retries, 0);
        sparp__gate_close(&limits_of("a.test")->gate, 1, test_now_ns, test_now_ns + SECOND);
        respond(0, 429, "");
        go(now_s() + 2);
    }
    assert_int_equal(sched->stats.soft_retries, 1);
    respond(0, 503, "");
    finish();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED, SPARP_E_OK);
    assert_int_equal(seen.results[0].attempts, PASSES + 2);
}

/* Who is not to be tried again at all is not. */
static void test_no_pass_without_retries(void **state) {
    (void)state;
    options.max_retries_by_soft_fail = SPARP_NONE;
    get_many(2, A);
    start();
    respond(0, 429, "Retry-After: 5\r\n");
    respond(1, 429, "");
    finish();
    assert_outcome(1, SPARP_OUTCOME_SOFT_EXHAUSTED, SPARP_E_OK);
}

static void test_without_a_gate_a_429_is_a_soft_fail_like_any_other(void **state) {
    (void)state;
    options.no_gate = true;
    options.max_retries_by_soft_fail = 1;
    get_many(2, A);
    start();
    respond(0, 429, "Retry-After: 5\r\n");
    respond(1, 429, "");
    settle();
    assert_int_equal(sched->parked.count, 0);
    assert_int_equal(limits_of("a.test")->gate.width, 0);
    go(6);
    respond(0, 200, "");
    respond(1, 200, "");
    finish();
    assert_waited(0, SPARP_WAIT_GATE, 0);
    assert_near((double)seen.results[0].wait_us[SPARP_WAIT_BACKOFF] / 1e6, 5.2, 0.2);
    assert_true(seen.results[1].wait_us[SPARP_WAIT_BACKOFF] <= 500000);
}

/* Who would have to wait there longer than anyone wants to ends at once, parked or not; who may
   come later waits as at any closed gate. */
static void test_an_origin_that_wants_too_much_time(void **state) {
    (void)state;
    options.input_buffer_size = 1;      /* looked at in the order of the input */
    options.retry_after_max_s = 60;
    options.max_at_once = 3;
    options.max_at_once_per_origin = 2;
    get_many(3, A);
    get(B);
    get(A);
    start();
    assert_starts(0, "0 1 3");
    go(1);
    respond(0, 429, "Retry-After: 80\r\n");
    settle();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED, SPARP_E_OK);
    assert_near(seen.results[0].retry_at_s, 80, 0.001);
    for (size_t i = 2; i < 5; i += 2) {
        assert_outcome(i, SPARP_OUTCOME_SOFT_EXHAUSTED, SPARP_E_NOT_STARTED);
        assert_near(seen.results[i].retry_at_s, 80, 0.001);
        assert_int_equal(seen.results[i].attempts, 0);
    }
    assert_waited(2, SPARP_WAIT_ORIGIN, 1);
    assert_waited(4, SPARP_WAIT_SLOT, 1);
    respond(1, 429, "");                /* costs no retry, but it would have to wait, too */
    settle();
    assert_outcome(1, SPARP_OUTCOME_SOFT_EXHAUSTED, SPARP_E_NOT_STARTED);
    go(30);
    lead_to(3, 302, A);                 /* 51 s more: that is not too long */
    go(80.9);
    assert_int_equal(sched->parked.count, 1);
    go(81);
    respond(3, 200, "");
    finish();
    assert_waited(3, SPARP_WAIT_GATE, 51);
    assert_near(seen.results[3].retry_at_s, 0, 0);
}

/* A date, against the clock on the wall. */
static void test_an_origin_says_when(void **state) {
    (void)state;
    get(A);
    start();
    go(1);
    respond(0, 503, "Retry-After: Sun, 06 Nov 1994 08:50:00 GMT\r\n");  /* 23 s after the begin */
    go(30);
    assert_near(seen.pauses[0], 22.2, 0.2);
    respond(0, 200, "");
    finish();
}

/* So does one that has been told to wait less, and wakes up too early; and what was let go. */
static void test_an_origin_that_wants_too_much_time_refuses_whoever_waits(void **state) {
    (void)state;
    options.input_buffer_size = 1;      /* looked at in the order of the input */
    options.retry_after_max_s = 60;
    options.max_at_once = 4;
    options.max_at_once_per_origin = 3;
    get_many(4, A);
    get(B);
    get(A)->deadline_s = 100;
    start();
    assert_starts(0, "0 1 2 4");
    sparp_set_pace(&run, 2, 0);
    respond(0, 503, "Retry-After: 2\r\n");     /* pauses */
    settle();
    go(2.3);                            /* its pause is over: it is parked, or waits for a slot */
    respond(1, 200, "");
    settle();
    respond(2, 429, "Retry-After: 100\r\n");
    settle();
    assert_outcome(2, SPARP_OUTCOME_SOFT_EXHAUSTED, SPARP_E_OK);
    respond(4, 200, "");
    finish();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED, SPARP_E_NOT_STARTED);
    assert_outcome(3, SPARP_OUTCOME_SOFT_EXHAUSTED, SPARP_E_NOT_STARTED);
    assert_outcome(5, SPARP_OUTCOME_SOFT_EXHAUSTED, SPARP_E_NOT_STARTED);
    assert_int_equal(seen.results[0].attempts, 1);
}

/* --- retries ---------------------------------------------------------------------------------- */

static const struct {
    const char   *name;
    int           status;               /* 0: a fault */
    sparp_error   error;
    double        first_s;              /* the longest first pause */
    sparp_outcome outcome;
    size_t        limit;                /* in sparp_options */
} causes[] = {
    {"soft fail", 503, SPARP_E_OK, 0.4, SPARP_OUTCOME_SOFT_EXHAUSTED,
     offsetof(sparp_options, max_retries_by_soft_fail)},
    {"timeout", 0, SPARP_E_TIMEOUT, 0.2, SPARP_OUTCOME_TIMEOUT_EXHAUSTED,
     offsetof(sparp_options, max_retries_by_timeout)},
    {"transport", 0, SPARP_E_RESET, 0.2, SPARP_OUTCOME_TRANSPORT_FAILED,
     offsetof(sparp_options, max_retries_by_transport)},
};

static void end_by(size_t row, size_t index) {
    if (causes[row].status != 0)
        respond(index, causes[row].status, "");
    else
        fail_with(index, causes[row].error, true);
}

static int retries_by(size_t row, const sparp_result *r) {
    return row == 0 ? r->soft_retries : row == 1 ? r->timeout_retries : r->transport_retries;
}

static uint64_t events_by(size_t row) {
    const sparp_stats *n = &sched->stats;
    return row == 0 ? n->soft_fails : row == 1 ? n->timeouts : n->transport_errors;
}

static void set_limit(size_t row, int limit) {
    memcpy((char *)&options + causes[row].limit, &limit, sizeof limit);
}

static void test_each_cause_has_its_limit_and_its_pauses(void **state) {
    (void)state;
    for (size_t row = 0; row < COUNT_OF(causes); row++)
        for (int limit = 0; limit < 6; limit++) {
            again();
            memset(&options, 0, sizeof options);
            options.backoff_s = 0.4;
            options.backoff_max_s = 2;
            for (size_t other = 0; other < COUNT_OF(causes); other++)
                set_limit(other, SPARP_NONE);
            set_limit(row, limit > 0 ? limit : SPARP_NONE);
            seen.label = causes[row].name;
            get(A);
            start();
            for (int k = 0; k <= limit; k++) {
                end_by(row, 0);
                go(now_s() + 2.1);
            }
            finish();
            const sparp_result *r = &seen.results[0];
            assert_outcome(0, causes[row].outcome, causes[row].error);
            assert_int_equal(r->attempts, limit + 1);
            assert_int_equal(retries_by(row, r), limit);
            assert_int_equal(r->soft_retries + r->timeout_retries + r->transport_retries, limit);
            assert_int_equal(events_by(row), (uint64_t)limit + 1);
            assert_int_equal(seen.num_retries, (size_t)limit);
            for (int k = 0; k < limit; k++) {
                double most = causes[row].first_s * (double)(1 << k) < 2
                    ? causes[row].first_s * (double)(1 << k) : 2;
                assert_near(seen.pauses[k], most * 0.75, most * 0.25 + 1e-9);
                assert_int_equal(seen.retries[k].status, causes[row].status);
                assert_int_equal(seen.retries[k].error, causes[row].error);
                assert_int_equal(retries_by(row, &seen.retries[k]), k);
                assert_int_equal(seen.retries[k].attempts, k + 1);
            }
        }
}

/* Each has its own count: none uses up another's. */
static void test_the_three_limits_know_nothing_of_each_other(void **state) {
    (void)state;
    for (size_t row = 0; row < COUNT_OF(causes); row++)
        set_limit(row, 2);
    get(A);
    start();
    for (size_t i = 0; i < 6; i++) {
        end_by(i % 3, 0);
        go(now_s() + 5);
    }
    assert_int_equal(seen.count, 0);
    end_by(1, 0);
    finish();
    assert_outcome(0, SPARP_OUTCOME_TIMEOUT_EXHAUSTED, SPARP_E_TIMEOUT);
    assert_int_equal(seen.results[0].attempts, 7);
}

static const struct {
    const char *method;
    bool        idempotent, safe_only, unsafe;
    size_t      row;                    /* of causes */
    bool        sent, again;
} safety[] = {
    {"GET",  false, false, false, 2, true,  true},
    {"POST", false, false, false, 2, true,  false},
    {"POST", false, false, false, 2, false, true},
    {"POST", true,  false, false, 2, true,  true},
    {"POST", false, false, true,  2, true,  true},
    {"POST", false, false, false, 0, true,  true},
    {"POST", false, false, false, 1, true,  true},
    {"POST", false, true,  false, 0, true,  false},
    {"POST", false, true,  false, 1, true,  false},
    {"POST", false, true,  false, 1, false, true},
    {"GET",  false, true,  false, 1, true,  true},
    {"PUT",  false, true,  false, 0, true,  true},
};

static void test_what_is_not_safe_is_not_sent_twice(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(safety); i++) {
        char label[30];
        again();
        memset(&options, 0, sizeof options);
        snprintf(label, sizeof label, "row %lu", (unsigned long)i);
        seen.label = label;
        options.retry_safe_only = safety[i].safe_only;
        options.retry_unsafe = safety[i].unsafe;
        ask(safety[i].method, A)->idempotent = safety[i].idempotent;
        start();
        if (causes[safety[i].row].status != 0)
            respond(0, 503, "");
        else
            fail_with(0, causes[safety[i].row].error, safety[i].sent);
        settle();
        CHECK((seen.count == 0) == safety[i].again, "%s", label);
        bool unsure = safety[i].sent && causes[safety[i].row].status == 0
            && strcmp(safety[i].method, "POST") == 0 && !safety[i].idempotent;
        sparp_abort(&run);
        finish();
        CHECK(seen.results[0].maybe_applied == unsure, "%s", label);
    }
}

static void test_what_cannot_help_is_not_tried(void **state) {
    static const sparp_error permanent[] = {
        SPARP_E_DNS_NOT_FOUND, SPARP_E_PROTOCOL, SPARP_E_PROXY_REFUSED, SPARP_E_TLS_CERTIFICATE,
        SPARP_E_TLS_VERSION,
    };
    static const sparp_error local[] = {
        SPARP_E_OUT_OF_MEMORY, SPARP_E_BODY_TOO_LARGE, SPARP_E_HEAD_TOO_LARGE,
        SPARP_E_REDIRECT_REFUSED, SPARP_E_SINK_FAILED, SPARP_E_CALLBACK_FAILED, SPARP_E_TLS_TRUST,
        SPARP_E_TLS_ABSENT, SPARP_E_SYSTEM,
    };
    size_t count = COUNT_OF(permanent) + COUNT_OF(local);
    (void)state;
    get_many(count, A);
    start();
    for (size_t i = 0; i < count; i++)
        fail_with(i, i < COUNT_OF(permanent) ? permanent[i] : local[i - COUNT_OF(permanent)],
                  false);
    finish();
    for (size_t i = 0; i < COUNT_OF(permanent); i++)
        assert_outcome(i, SPARP_OUTCOME_TRANSPORT_FAILED, permanent[i]);
    for (size_t i = 0; i < COUNT_OF(local); i++)
        assert_outcome(COUNT_OF(permanent) + i, SPARP_OUTCOME_LOCAL_FAILED, local[i]);
    assert_int_equal(sched->stats.transport_errors, COUNT_OF(permanent));
}

/* Known to stay so until then: a look-up that failed is not asked again at once. */
static void test_a_pause_is_as_long_as_the_failure_is_known_to_last(void **state) {
    (void)state;
    options.backoff_s = 0.01;
    get(A);
    start();
    sparp__task *t = aloft[0];
    answer(t);
    sparp__fault_set(&t->fly.answer->fault, SPARP_E_DNS_FAILED, 0, "known");
    t->fly.answer->fault.until = test_now_ns + 3 * SECOND;
    t->fault = &t->fly.answer->fault;
    end_as(t, SPARP__END_FAULT);
    go(4);
    assert_near(seen.pauses[0], 3, 0.001);
    assert_started_at(1, 3);
    respond(0, 200, "");
    finish();
    assert_waited(0, SPARP_WAIT_BACKOFF, 3);
}

/* One retry a second is free; the others have to be earned by first tries. */
static void test_retries_are_put_off_beyond_their_budget(void **state) {
    (void)state;
    options.retry_ratio = 0.5;
    options.backoff_s = options.backoff_max_s = 0.01;
    options.max_retries_by_soft_fail = 1;
    get_many(4, A);
    start();
    for (size_t i = 0; i < 4; i++)
        respond(i, 503, "");            /* they have earned two */
    settle();
    go(0.5);
    assert_int_equal(seen.num_starts, 6);
    go(1.2);
    assert_int_equal(seen.num_starts, 7);
    go(2.2);
    assert_int_equal(seen.num_starts, 8);
    for (size_t i = 0; i < 4; i++)
        respond(i, 200, "");
    finish();
    double waited = 0;
    for (size_t i = 0; i < 4; i++)
        waited += (double)seen.results[i].wait_us[SPARP_WAIT_BACKOFF] / 1e6;
    assert_near(waited, 3, 0.1);        /* two at once, one after 1 s, one after 2 s */
    assert_true(sched->rate.retry_credit < 0.1);        /* a retry earns nothing */
}

/* Also where there is no pause. */
static void test_the_budget_holds_without_a_backoff(void **state) {
    (void)state;
    options.retry_ratio = 0.01;
    options.backoff_s = SPARP_NONE;
    options.max_retries_by_soft_fail = 3;
    get(A);
    start();
    for (int k = 0; k < 3; k++) {
        respond(0, 503, "");
        go(k + 1.002);
        assert_int_equal(seen.num_starts, (size_t)k + 2);
    }
    respond(0, 200, "");
    finish();
    assert_near((double)seen.results[0].wait_us[SPARP_WAIT_BACKOFF] / 1e6, 2.98, 0.03);
}

/* --- hops ------------------------------------------------------------------------------------- */

static void test_a_hop_goes_to_another_origin_before_all_others(void **state) {
    (void)state;
    options.max_at_once = 1;
    options.timeout_s = 30;
    get_many(2, A);
    start();
    int64_t began = aloft[0]->fly.started_at;
    go(1);
    lead_to(0, 302, B "x");
    turn();
    assert_starts(1, "0");
    assert_int_equal(limits_of("b.test")->gate.in_flight, 1);
    assert_int_equal(limits_of("a.test")->gate.in_flight, 0);
    assert_int_equal(limits_of("a.test")->users, 2);
    assert_true(aloft[0]->fly.started_at == began);
    go(2);
    lead_to(0, 302, C);
    settle();
    assert_int_equal(limits_of("a.test")->users, 2);    /* where it would begin again */
    assert_int_equal(limits_of("c.test")->users, 1);
    go(3);
    respond(0, 200, "");
    settle();
    respond(1, 200, "");
    finish();
    assert_int_equal(seen.results[0].redirects, 2);
    assert_int_equal(seen.results[0].attempts, 1);
    assert_int_equal(sched->stats.redirects, 2);
    assert_waited(1, SPARP_WAIT_SLOT, 3);
}

/* Our queues eat no timeout: the clock of the attempt stands still meanwhile. */
static void test_a_hop_waits_for_its_origin_without_losing_time(void **state) {
    (void)state;
    options.max_at_once_per_origin = 1;
    get(A);
    get(B);
    start();
    int64_t began = aloft[0]->fly.started_at;
    go(1);
    lead_to(0, 307, B);
    go(5);
    assert_int_equal(sched->parked.count, 1);
    respond(1, 200, "");
    settle();
    assert_true(aloft[0]->fly.started_at == began + 4 * SECOND);
    respond(0, 200, "");
    finish();
    assert_waited(0, SPARP_WAIT_ORIGIN, 4);
}

static void test_a_retry_begins_where_the_request_began(void **state) {
    (void)state;
    get(A "first");
    start();
    lead_to(0, 302, B "second");
    settle();
    assert_string_equal(sparp__request_url(sparp__task_wire(aloft[0])), B "second");
    respond(0, 503, "");
    settle();
    assert_int_equal(limits_of("a.test")->users, 1);
    assert_null(limits_of("b.test"));   /* forgotten at the end of the turn */
    go(1);
    assert_string_equal(sparp__request_url(sparp__task_wire(aloft[0])), A "first");
    assert_int_equal(aloft[0]->redirects, 0);
    respond(0, 200, "");
    finish();
    assert_int_equal(seen.results[0].redirects, 0);
    assert_int_equal(seen.results[0].soft_retries, 1);
    assert_int_equal(sched->stats.redirects, 1);
}

/* It asked before it sent its body: nothing has been done yet. */
static void test_417_is_no_redirect(void **state) {
    (void)state;
    ask("POST", A);
    ask("POST", B);
    start();
    lead_to(0, 417, A);
    lead_to(1, 302, A);
    settle();
    assert_int_equal(limits_of("a.test")->users, 3);
    fail_with(0, SPARP_E_RESET, false);
    fail_with(1, SPARP_E_RESET, false);
    settle();
    assert_int_equal(sched->stats.redirects, 1);
    sparp_abort(&run);
    finish();
    assert_false(seen.results[0].maybe_applied);
    assert_true(seen.results[1].maybe_applied);         /* the first server has acted on it */
}

/* --- what did not begin ----------------------------------------------------------------------- */

static void test_starved_means_fewer_at_once_and_counts_as_nothing(void **state) {
    (void)state;
    options.max_at_once = 8;
    get_many(30, A);
    start();
    assert_int_equal(seen.num_starts, 8);
    starve(7);
    settle();
    assert_int_equal(sched->slots.limit, 3);            /* half of those that were left */
    assert_true(wakes[1] > 0 && workers[0].drop_idle);
    assert_int_equal(seen.num_starts, 8);               /* not before one of them has ended */
    assert_true(sparp__sched_next_due(sched) == NEVER);
    for (size_t i = 0; i < 5; i++)
        respond(i, 200, "");
    settle();
    assert_starts(8, "7");              /* first of all */
    for (size_t i = 5; i < 8; i++)
        respond(i, 200, "");            /* the eighth success: one more */
    settle();
    assert_int_equal(sched->slots.limit, 4);
    assert_int_equal(in_flight(), 4);
    assert_int_equal(seen.results[7].attempts, 1);
    sparp_abort(&run);
    finish();
}

static void test_starved_with_nothing_in_flight_ends_after_connect_timeout(void **state) {
    (void)state;
    options.connect_timeout_s = 2;
    get(A);
    start();
    int tries = 1;
    while (aloft[0] != NULL && tries < 100) {
        starve(0);
        go(now_s() + 0.0501);
        tries++;
    }
    finish();
    assert_outcome(0, SPARP_OUTCOME_LOCAL_FAILED, SPARP_E_OUT_OF_RESOURCES);
    assert_int_equal(seen.results[0].attempts, 1);
    assert_near(seen.at[0], 2, 0.06);
    assert_near(tries, 41, 2);          /* every 50 ms */
}

static void test_a_flight_that_ends_gives_the_starved_new_patience(void **state) {
    (void)state;
    options.connect_timeout_s = 1;
    get_many(2, A);
    start();
    starve(1);
    go(5);
    respond(0, 200, "");
    settle();
    starve(1);
    go(5.9);
    starve(1);
    go(6);
    assert_starts(2, "1 1 1");
    respond(1, 200, "");
    finish();
    assert_outcome(1, SPARP_OUTCOME_SUCCESS, SPARP_E_OK);
    assert_int_equal(seen.results[1].attempts, 1);
}

static void test_recalled_goes_back_as_if_it_had_never_begun(void **state) {
    (void)state;
    options.max_at_once = 1;
    options.retry_ratio = 1;
    get(A)->deadline_s = 5;
    get(A);
    start();
    go(1);
    recall(0);
    turn();
    assert_starts(1, "0");              /* before the others */
    assert_int_equal(aloft[0]->attempts, 1);
    assert_true(aloft[0]->deadline == BEGIN + 6 * SECOND);     /* from here on */
    assert_true(sched->rate.retry_credit == 0);
    go(3);
    respond(0, 200, "");
    settle();
    respond(1, 200, "");
    finish();
    assert_int_equal(seen.results[0].attempts, 1);
    assert_int_equal(sched->stats.soft_retries, 0);
    assert_true(sched->rate.retry_credit == 2);
}

static void test_recalled_by_a_closed_gate_waits_for_it(void **state) {
    (void)state;
    get_many(2, A);
    start();
    respond(0, 429, "Retry-After: 3\r\n");
    recall(1);
    settle();
    assert_int_equal(sched->parked.count, 1);
    go(4);
    assert_starts(2, "1");
    respond(1, 200, "");
    settle();
    respond(0, 200, "");
    finish();
    assert_int_equal(seen.results[1].attempts, 1);
    assert_waited(1, SPARP_WAIT_GATE, 3);
}

/* --- stops ------------------------------------------------------------------------------------ */

/* Five requests in five states: 0 is in flight, 1 is parked, 2 pauses, 3 waits again for a slot, 4
   is fresh. */
static void put_into_states(void) {
    options.input_buffer_size = 1;
    options.max_at_once = 2;
    options.max_at_once_per_origin = 1;
    options.backoff_s = options.backoff_max_s = 20;
    get_many(2, A);
    get(B);
    get(C);
    get("http://d.test/");
    start();
    respond(2, 503, "");
    settle();
    sparp_set_pace(&run, 1, 0);
    recall(3);
    settle();
    assert_starts(0, "0 2 3");
    assert_int_equal(sched->parked.count + sched->fresh.count + sched->again.count, 3);
    assert_int_equal(sched->sleeping.count, 1);
    go(1);
}

static void test_an_abort_ends_all(void **state) {
    (void)state;
    put_into_states();
    cut_at_once = false;
    sparp_abort(&run);
    turn();
    assert_int_equal(in_flight(), 1);   /* until its engine has cut it */
    for (size_t i = 1; i < 5; i++)
        assert_outcome(i, i == 2 ? SPARP_OUTCOME_CANCELLED : SPARP_OUTCOME_NOT_STARTED,
                       i == 2 ? SPARP_E_CANCELLED : SPARP_E_NOT_STARTED);
    cut_at_once = true;
    look();
    finish();
    assert_outcome(0, SPARP_OUTCOME_CANCELLED, SPARP_E_CANCELLED);
    assert_int_equal(sched->stats.stopped, SPARP_STOPPED_BY_CALL);
    assert_waited(1, SPARP_WAIT_ORIGIN, 1);
    assert_waited(2, SPARP_WAIT_BACKOFF, 1);
    assert_waited(3, SPARP_WAIT_SLOT, 1);
    assert_waited(4, SPARP_WAIT_SLOT, 1);
}

/* What ends before its engine has cut it is what it is, unless it would have gone on. */
static void test_an_abort_takes_what_has_ended_already(void **state) {
    (void)state;
    get_many(6, A);
    start();
    cut_at_once = false;
    sparp_abort(&run);
    turn();
    respond(0, 200, "");
    respond(1, 404, "");
    respond(2, 503, "");
    fail_with(3, SPARP_E_RESET, true);
    lead_to(4, 302, B);
    starve(5);
    finish();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS, SPARP_E_OK);
    assert_outcome(1, SPARP_OUTCOME_HARD_FAIL, SPARP_E_OK);
    for (size_t i = 2; i < 6; i++)
        assert_outcome(i, SPARP_OUTCOME_CANCELLED, SPARP_E_CANCELLED);
}

/* What no engine has seen is cut without one. */
static void test_an_abort_takes_back_what_was_only_posted(void **state) {
    (void)state;
    deaf = true;
    get_many(3, A);
    start();
    sparp_abort(&run);
    turn();
    assert_int_equal(seen.count, 3);
    assert_int_equal(workers[0].to_do.count, 0);
    deaf = false;
    finish();
    for (size_t i = 0; i < 3; i++)
        assert_outcome(i, SPARP_OUTCOME_CANCELLED, SPARP_E_CANCELLED);
}

/* What is in flight may end by itself, its hops included; no retry follows. */
static void test_a_drain_lets_what_flies_end(void **state) {
    (void)state;
    options.max_at_once = 4;
    get_many(6, A);
    start();
    respond(3, 503, "");
    settle();
    assert_starts(4, "4");
    sparp_drain(&run);
    turn();
    assert_outcome(3, SPARP_OUTCOME_CANCELLED, SPARP_E_CANCELLED);
    assert_outcome(5, SPARP_OUTCOME_NOT_STARTED, SPARP_E_NOT_STARTED);
    assert_int_equal(in_flight(), 4);
    respond(0, 200, "");
    respond(1, 503, "");
    lead_to(2, 302, B);
    fail_with(4, SPARP_E_TIMEOUT, true);
    settle();
    assert_int_equal(in_flight(), 1);
    respond(2, 200, "");
    finish();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS, SPARP_E_OK);
    assert_outcome(1, SPARP_OUTCOME_CANCELLED, SPARP_E_CANCELLED);
    assert_outcome(2, SPARP_OUTCOME_SUCCESS, SPARP_E_OK);
    assert_outcome(4, SPARP_OUTCOME_CANCELLED, SPARP_E_CANCELLED);
}

static void test_a_drain_lets_a_hop_that_waits_for_a_slot_end(void **state) {
    (void)state;
    options.max_at_once = 2;
    get_many(2, A);
    start();
    sparp_set_pace(&run, 1, 0);
    lead_to(0, 302, B);
    settle();
    assert_int_equal(sched->again.count, 1);
    sparp_drain(&run);
    turn();
    assert_int_equal(seen.count, 0);
    respond(1, 200, "");
    settle();
    respond(0, 200, "");
    finish();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS, SPARP_E_OK);
}

/* A hop that waits for its origin while the run drains, and an abort on top of it. */
static void test_an_abort_follows_a_drain(void **state) {
    (void)state;
    options.max_at_once_per_origin = 1;
    get(A);
    get(B);
    start();
    lead_to(0, 302, B);
    settle();
    sparp_drain(&run);
    turn();
    assert_int_equal(sched->parked.count, 1);
    assert_int_equal(seen.count, 0);
    sparp_abort(&run);
    finish();
    assert_outcome(0, SPARP_OUTCOME_CANCELLED, SPARP_E_CANCELLED);
    assert_outcome(1, SPARP_OUTCOME_CANCELLED, SPARP_E_CANCELLED);
}

static void test_the_run_has_a_deadline(void **state) {
    (void)state;
    options.run_deadline_s = 2;
    options.max_at_once = 2;
    options.backoff_s = options.backoff_max_s = 3;
    get_many(4, A);
    start();
    respond(0, 503, "Retry-After: 5\r\n");      /* a pause beyond the end is not begun */
    settle();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED, SPARP_E_OK);
    go(1.999);
    assert_int_equal(seen.count, 1);
    go(2);
    finish();
    assert_outcome(1, SPARP_OUTCOME_CANCELLED, SPARP_E_CANCELLED);
    assert_outcome(3, SPARP_OUTCOME_NOT_STARTED, SPARP_E_NOT_STARTED);
    assert_int_equal(sched->stats.stopped, SPARP_STOPPED_BY_DEADLINE);
}

/* --- one request is cancelled ----------------------------------------------------------------- */

static void test_a_cancel_reaches_every_state(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 5; i++) {
        again();
        memset(&options, 0, sizeof options);
        put_into_states();
        sparp_cancel(&run, 99);         /* there is none: nothing happens */
        sparp_cancel(&run, i);
        settle();
        turn();
        assert_int_equal(seen.count, 1);
        bool tried = i == 0 || i == 2;
        assert_outcome((size_t)i, tried ? SPARP_OUTCOME_CANCELLED : SPARP_OUTCOME_NOT_STARTED,
                       tried ? SPARP_E_CANCELLED : SPARP_E_NOT_STARTED);
        sparp_cancel(&run, i);          /* it is over */
        settle();
        assert_int_equal(seen.count, 1);
        sparp_abort(&run);
        finish();
    }
}

static void test_a_cancel_of_what_is_only_posted(void **state) {
    (void)state;
    deaf = true;
    options.max_at_once = 2;
    get_many(3, A);
    start();
    sparp_cancel(&run, 1);
    turn();
    assert_outcome(1, SPARP_OUTCOME_CANCELLED, SPARP_E_CANCELLED);
    deaf = false;
    settle();
    assert_starts(0, "0 2");
    respond(0, 200, "");
    respond(2, 200, "");
    finish();
}

/* The turn that it had at its origin is another's. */
static void test_a_cancel_of_what_was_let_go_lets_the_next_one_go(void **state) {
    (void)state;
    options.input_buffer_size = 1;      /* looked at in the order of the input */
    options.max_at_once = 2;
    options.max_at_once_per_origin = 1;
    get_many(3, A);
    get(B);
    start();
    sparp_set_pace(&run, 1, 0);
    respond(0, 200, "");
    settle();
    assert_int_equal(sched->again.count, 1);
    sparp_cancel(&run, 1);
    settle();
    assert_outcome(1, SPARP_OUTCOME_NOT_STARTED, SPARP_E_NOT_STARTED);
    assert_int_equal(sched->again.count, 1);
    respond(3, 200, "");
    settle();
    assert_starts(2, "2");
    respond(2, 200, "");
    finish();
}

static void cancel_the_next(const sparp_result *r) {
    if (r->index + 1 < num_requests)
        sparp_cancel(&run, r->index + 1);
}

/* What is behind a heavy one need not wait until that one could have gone. */
static void test_a_cancel_of_a_heavy_one_that_is_parked_lets_a_light_one_go(void **state) {
    (void)state;
    options.max_cost_per_second_per_origin = 1;
    options.cost_burst = 10;
    get(A "0")->cost = 10;
    get(A "1")->cost = 10;              /* in 10 s */
    get(A "2")->cost = 1;               /* in 1 s */
    start();
    go(0.5);
    assert_int_equal(sched->parked.count, 2);
    sparp_cancel(&run, 1);
    go(3);
    assert_outcome(1, SPARP_OUTCOME_NOT_STARTED, SPARP_E_NOT_STARTED);
    assert_started_at(1, 1);
    respond(0, 200, "");
    respond(2, 200, "");
    finish();
}

static void test_a_callback_cancels_one_after_another(void **state) {
    (void)state;
    seen.on_result = cancel_the_next;
    options.max_at_once = 3;
    get_many(8, A);
    start();
    respond(0, 200, "");
    finish();
    for (size_t i = 1; i < 8; i++)
        assert_outcome(i, SPARP_OUTCOME_CANCELLED, SPARP_E_CANCELLED);
}

/* --- rules ------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    int         status;
    sparp_error error;
    int         retries;
    unsigned    rules;                  /* that it fires */
} events[] = {
    {"success", 200, SPARP_E_OK, 1, 0},
    {"hard fail", 404, SPARP_E_OK, 1, SPARP_STOP_ON_HARD_FAIL},
    {"soft fail", 503, SPARP_E_OK, 1, SPARP_STOP_ON_SOFT_FAIL},
    {"the last soft fail", 503, SPARP_E_OK, SPARP_NONE,
     SPARP_STOP_ON_SOFT_FAIL | SPARP_STOP_ON_SOFT_EXHAUSTED},
    {"timeout", 0, SPARP_E_TIMEOUT, 1, SPARP_STOP_ON_TIMEOUT},
    {"the last timeout", 0, SPARP_E_TIMEOUT, SPARP_NONE,
     SPARP_STOP_ON_TIMEOUT | SPARP_STOP_ON_TIMEOUT_EXHAUSTED},
    {"transport", 0, SPARP_E_RESET, 1, SPARP_STOP_ON_TRANSPORT},
    {"the last transport", 0, SPARP_E_RESET, SPARP_NONE, SPARP_STOP_ON_TRANSPORT},
    {"local", 0, SPARP_E_BODY_TOO_LARGE, 1, 0},
};

static void begin_event(size_t row, unsigned rule, bool drains) {
    again();
    memset(&options, 0, sizeof options);
    seen.label = events[row].name;
    options.max_retries_by_soft_fail = options.max_retries_by_timeout =
        options.max_retries_by_transport = events[row].retries;
    options.stop_on = rule;
    options.stop_drains = drains;
    options.max_at_once = 2;
    get_many(3, A);
    start();
    if (events[row].status != 0)
        respond(0, events[row].status, "");
    else
        fail_with(0, events[row].error, true);
    settle();
    turn();
}

static void test_a_rule_fires_at_its_event_and_at_no_other(void **state) {
    (void)state;
    for (size_t row = 0; row < COUNT_OF(events); row++)
        for (unsigned rule = 1; rule < 1u << 6; rule <<= 1)
            for (int drains = 0; drains < 2; drains++) {
                begin_event(row, rule, drains == 1);
                bool fires = (events[row].rules & rule) != 0;
                CHECK((sched->stats.stopped == SPARP_STOPPED_BY_RULE) == fires,
                      "%s, rule %u", seen.label, rule);
                CHECK((seen.times[1] == 0) == (!fires || drains == 1), "%s, rule %u: 1", seen.label,
                      rule);
                CHECK((seen.times[2] == 1) == fires, "%s, rule %u: 2", seen.label, rule);
                if (seen.times[1] == 0)
                    respond(1, 200, "");
                settle();
                sparp_abort(&run);
                finish();
            }
}

static void test_so_many_failures_are_enough(void **state) {
    (void)state;
    options.stop_after_failures = 2;
    get_many(5, A);
    start();
    respond(0, 404, "");
    respond(1, 200, "");
    settle();
    assert_int_equal(sched->stats.stopped, SPARP_STOPPED_NOT);
    fail_with(2, SPARP_E_BODY_TOO_LARGE, true);
    finish();
    assert_int_equal(sched->stats.stopped, SPARP_STOPPED_BY_RULE);
    assert_outcome(3, SPARP_OUTCOME_CANCELLED, SPARP_E_CANCELLED);
}

static void test_so_many_of_all_are_enough_once_20_have_ended(void **state) {
    (void)state;
    options.stop_after_failure_ratio = 0.4;
    get_many(30, A);
    start();
    for (size_t i = 0; i < 19; i++)
        respond(i, i % 2 == 0 ? 404 : 200, "");         /* ten of nineteen */
    settle();
    assert_int_equal(sched->stats.stopped, SPARP_STOPPED_NOT);
    respond(19, 200, "");
    finish();
    assert_int_equal(sched->stats.stopped, SPARP_STOPPED_BY_RULE);
}

static void test_so_many_successes_are_enough(void **state) {
    (void)state;
    options.stop_after_successes = 2;
    get_many(5, A);
    start();
    respond(0, 404, "");
    respond(1, 200, "");
    settle();
    respond(2, 200, "");
    finish();
    assert_int_equal(sched->stats.stopped, SPARP_STOPPED_BY_SUCCESSES);
    assert_outcome(4, SPARP_OUTCOME_CANCELLED, SPARP_E_CANCELLED);
}

/* --- deadlines of requests -------------------------------------------------------------------- */

static void test_a_pause_beyond_the_deadline_is_not_begun(void **state) {
    (void)state;
    options.backoff_s = options.backoff_max_s = 10;
    get(A)->deadline_s = 2;
    get(A)->deadline_s = 20;
    get(A)->deadline_s = 2;
    start();
    respond(0, 503, "");
    respond(1, 503, "");
    fail_with(2, SPARP_E_TIMEOUT, true);
    settle();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED, SPARP_E_OK);
    assert_outcome(2, SPARP_OUTCOME_TIMEOUT_EXHAUSTED, SPARP_E_TIMEOUT);
    assert_int_equal(seen.results[0].status, 503);
    go(11);
    respond(1, 200, "");
    finish();
    assert_outcome(1, SPARP_OUTCOME_SUCCESS, SPARP_E_OK);
}

/* Each waits in another way when its deadline comes; the result says what it was that failed. */
static void test_a_deadline_comes_while_it_waits_for_a_slot(void **state) {
    (void)state;
    options.backoff_s = SPARP_NONE;
    options.max_at_once = 4;
    for (size_t i = 0; i < 4; i++)
        get(A)->deadline_s = i < 3 ? 2 : 9;
    start();
    sparp_set_pace(&run, 1, 0);
    for (size_t row = 0; row < COUNT_OF(causes); row++)
        end_by(row, row);
    go(1.999);
    assert_int_equal(sched->again.count, 3);
    go(2);
    assert_int_equal(seen.count, 3);
    for (size_t row = 0; row < COUNT_OF(causes); row++) {
        assert_outcome(row, causes[row].outcome, causes[row].error);
        assert_int_equal(seen.results[row].status, causes[row].status);
        assert_waited(row, SPARP_WAIT_SLOT, 2);
        CHECK((*seen.details[row] != '\0') == (causes[row].status == 0), "%s",
              seen.details[row]);
    }
    respond(3, 200, "");
    finish();
}

/* Not sent any more: neither when its pause, nor when the wait for its slot ends too late. */
static void test_nothing_starts_at_its_deadline(void **state) {
    (void)state;
    options.backoff_s = SPARP_NONE;
    options.max_at_once = 2;
    get(A)->deadline_s = 2;
    get_many(2, A);
    start();
    sparp_set_pace(&run, 1, 0);
    respond(0, 503, "");
    settle();
    test_now_ns = BEGIN + 2 * SECOND;   /* the slot is free in the very same turn */
    respond(1, 200, "");
    turn();
    assert_starts(2, "2");
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED, SPARP_E_OK);
    assert_int_equal(seen.results[0].attempts, 1);
    respond(2, 200, "");
    finish();
}

static void test_a_deadline_comes_while_it_is_parked(void **state) {
    (void)state;
    options.max_at_once_per_origin = 1;
    get(A);
    get(B)->deadline_s = 2;
    get(A);
    start();
    assert_starts(0, "0 1");
    lead_to(1, 302, A);                 /* behind 2, which has no deadline before it starts */
    go(2);
    assert_outcome(1, SPARP_OUTCOME_TIMEOUT_EXHAUSTED, SPARP_E_TIMEOUT);
    assert_non_null(strstr(seen.details[1], "before the next hop"));
    assert_waited(1, SPARP_WAIT_ORIGIN, 2);
    assert_int_equal(seen.results[1].redirects, 1);
    go(3);
    respond(0, 200, "");
    settle();
    respond(2, 200, "");
    finish();
    assert_waited(2, SPARP_WAIT_ORIGIN, 3);
}

/* Parked at a closed gate, after a 429 that cost no retry. */
static void test_a_deadline_comes_while_the_gate_is_closed(void **state) {
    (void)state;
    get(A);
    get(A)->deadline_s = 4;
    start();
    respond(0, 429, "Retry-After: 3\r\n");
    respond(1, 429, "Retry-After: 3\r\n");
    settle();
    assert_int_equal(sched->parked.count, 1);
    sparp__gate_close(&limits_of("a.test")->gate, 1, test_now_ns, BEGIN + 9 * SECOND);
    go(4);
    assert_outcome(1, SPARP_OUTCOME_SOFT_EXHAUSTED, SPARP_E_OK);
    assert_waited(1, SPARP_WAIT_GATE, 4);
    go(12);
    respond(0, 200, "");
    finish();
}

static void test_a_deadline_comes_while_the_budget_puts_it_off(void **state) {
    (void)state;
    options.retry_ratio = 0.1;
    options.backoff_s = options.backoff_max_s = 0.1;
    get(A)->deadline_s = 0.5;
    start();
    fail_with(0, SPARP_E_RESET, true);
    go(0.49);
    assert_int_equal(seen.count, 0);
    go(0.5);
    finish();
    assert_outcome(0, SPARP_OUTCOME_TRANSPORT_FAILED, SPARP_E_RESET);
    assert_waited(0, SPARP_WAIT_BACKOFF, 0.5);
}

/* --- results that are taken one by one -------------------------------------------------------- */

/* The next one that is there, as it was played. NULL: none so far. */
static const sparp_result *take(void) {
    const sparp_result *r = sparp_ready(&run);
    if (r == NULL)
        return NULL;
    seen.waiting--;
    keep(r);
    return r;
}

static void test_results_come_as_they_end(void **state) {
    (void)state;
    get_many(4, A);
    start_without_callback(false);
    assert_null(take());
    respond_with(2, 200, "X-One: 1\r\nX-Two: 2\r\n", "the body");
    respond(0, 404, "");
    turn();
    const sparp_result *r = take();
    assert_int_equal(r->index, 2);
    assert_string_equal(r->body, "the body");
    assert_int_equal(r->num_headers, 3);
    assert_string_equal(sparp_find_header(r, "x-two"), "2");
    assert_string_equal(r->url, A);
    assert_ptr_equal(r->url, r->final_url);
    assert_int_equal(take()->index, 0);
    assert_null(take());
    lead_to(3, 302, B "x");
    respond(1, 200, "");
    settle();
    respond_with(3, 200, "", "");
    settle();
    assert_int_equal(take()->index, 1);
    r = take();
    assert_string_equal(r->url, A);
    assert_string_equal(r->final_url, B "x");
    assert_int_equal(r->body_size, 0);
    finish();
}

static void test_a_large_result_is_not_held_on_to(void **state) {
    (void)state;
    static char body[100000];
    memset(body, 'x', sizeof body - 1);
    get(A);
    start_without_callback(false);
    size_t bytes = memory.bytes;
    respond_with(0, 200, "", body);
    turn();
    assert_int_equal(take()->body_size, sizeof body - 1);
    assert_true(memory.bytes > bytes + sizeof body);
    assert_null(take());
    take_spent(&workers[0]);
    assert_true(memory.bytes < bytes + 20000);
    finish();
}

static void test_results_come_in_input_order(void **state) {
    (void)state;
    options.ordered = true;
    get_many(5, A);
    start_without_callback(false);
    for (size_t i = 4; i > 1; i--) {
        respond(i, 200, "");
        turn();
        assert_null(take());
    }
    respond(0, 200, "");
    turn();
    assert_int_equal(take()->index, 0);
    assert_null(take());
    respond(1, 200, "");
    turn();
    for (size_t i = 1; i < 5; i++)
        assert_int_equal(take()->index, i);
    assert_null(take());
    finish();
}

/* Nothing new is pulled while nobody takes what there is. */
static void test_results_that_nobody_takes_hold_up_the_input(void **state) {
    (void)state;
    for (int ordered = 0; ordered < 2; ordered++) {
        again();
        options.ordered = ordered == 1;
        options.max_at_once = 2;
        options.input_buffer_size = 1;
        get_many(50, A);
        start_without_callback(false);
        for (int i = 0; i < 60; i++) {
            for (size_t at = ordered == 1; at < 50; at++)       /* ordered: 0 takes for ever */
                if (aloft[at] != NULL)
                    respond(at, 200, "");
            settle();
        }
        CHECK(sched->stats.pulled <= 4 * 2 + 3, "%d: %lu", ordered,
              (unsigned long)sched->stats.pulled);
        while (seen.count < 50) {
            for (size_t at = 0; at < 50; at++)
                if (aloft[at] != NULL)
                    respond(at, 200, "");
            settle();
            while (take() != NULL)
                continue;
        }
        finish();
    }
}

/* Without memory for a record the task's own block becomes one: it says so, and counts so. */
static void test_without_memory_a_result_says_that_it_could_not_be_kept(void **state) {
    (void)state;
    for (int on = 0; on < 2; on++) {
        again();
        get_many(3, A);
        start_without_callback(false);
        respond_with(1, 200, "X-One: 1\r\n", "the body");
        memory.fail_at = memory.calls + 1;
        memory.fail_on = on == 1;
        turn();
        memory.fail_at = 0;
        const sparp_result *r = take();
        assert_int_equal(r->index, 1);
        assert_int_equal(r->outcome, SPARP_OUTCOME_LOCAL_FAILED);
        assert_int_equal(r->error, SPARP_E_OUT_OF_MEMORY);
        assert_string_equal(r->detail, "out of memory: the response could not be kept");
        assert_string_equal(r->url, "");
        assert_int_equal(r->status, 200);
        assert_int_equal(r->attempts, 1);
        assert_int_equal(sched->stats.success, 0);
        assert_int_equal(sched->stats.local_failed, 1);
        respond(0, 200, "");
        respond(2, 200, "");
        settle();
        while (take() != NULL)
            continue;
        finish();
    }
}

static void test_a_record_is_used_again(void **state) {
    (void)state;
    options.max_at_once = 1;
    get_many(40, A);
    start_without_callback(false);
    size_t calls = 0;
    for (size_t i = 0; i < 40; i++) {
        respond(i, 200, "");
        settle();
        assert_int_equal(take()->index, i);
        if (i == 9)
            calls = memory.calls;
    }
    CHECK(memory.calls == calls, "%lu more", (unsigned long)(memory.calls - calls));
    finish();
}

/* Closed at any moment: those in flight, those that wait, those shown and those not taken. */
static void test_it_may_be_closed_at_any_moment(void **state) {
    (void)state;
    for (int moment = 0; moment < 5; moment++) {
        again();
        memset(&options, 0, sizeof options);
        put_into_states();
        if (moment == 1)
            respond(0, 200, "");
        if (moment == 2)
            sparp_abort(&run);
        if (moment == 3)
            lead_to(0, 302, B);
        if (moment == 4)
            sparp_cancel(&run, 0);
        if (moment > 0)
            sparp__crew_collect(&run.crew);
        close_run();
    }
    for (int shown = 0; shown < 3; shown++) {
        again();
        memset(&options, 0, sizeof options);
        options.ordered = shown == 2;
        get_many(3, A);
        start_without_callback(false);
        respond(0, 200, "");
        respond(1, 200, "");
        turn();
        if (shown > 0)
            assert_non_null(take());
        close_run();
    }
}

/* --- results that are kept till the end ------------------------------------------------------- */

static void keep_items(void) {
    for (size_t i = 0; i < (size_t)sched->stats.pulled; i++) {
        assert_int_equal(sched->output.items[i].index, i);
        keep(&sched->output.items[i]);
    }
}

static void test_kept_results_are_whole(void **state) {
    (void)state;
    char body[40];
    get_many(200, A "some/path");
    start_without_callback(true);
    for (size_t i = 0; i < 200; i++) {
        size_t at = (i * 7 + 3) % 100 + i / 100 * 100;
        snprintf(body, sizeof body, "body %lu", (unsigned long)at);
        respond_with(at, 200, "X-One: 1\r\n", body);
        settle();
    }
    for (size_t i = 0; i < 200; i++) {
        const sparp_result *r = &sched->output.items[i];
        snprintf(body, sizeof body, "body %lu", (unsigned long)i);
        assert_string_equal(r->body, body);
        assert_string_equal(r->url, A "some/path");
        assert_string_equal(sparp_find_header(r, "X-One"), "1");
    }
    keep_items();
    finish();
}

static void test_kept_results_without_memory_say_so(void **state) {
    (void)state;
    get_many(4, A);
    start_without_callback(true);
    respond(2, 200, "");
    memory.fail_at = memory.calls + 1;
    turn();
    memory.fail_at = 0;
    for (size_t i = 0; i < 4; i++)
        if (i != 2)
            respond(i, 200, "");
    settle();
    keep_items();
    finish();
    assert_outcome(2, SPARP_OUTCOME_LOCAL_FAILED, SPARP_E_OUT_OF_MEMORY);
    assert_int_equal(sched->stats.success, 3);
}

/* --- input ------------------------------------------------------------------------------------ */

static void start_script(const char *text) {
    script = text;
    options.next_request = next_of_script;
    start();
}

static void test_input_that_says_later_is_asked_when_there_is_news(void **state) {
    (void)state;
    start_script("rlr");
    assert_string_equal(script, "r");
    respond(0, 200, "");
    go(5);
    assert_false(sched->over);
    assert_string_equal(script, "r");
    sparp__sched_on_wake(sched, false);
    settle();
    assert_true(sched->stats.input_ended);
    assert_int_equal(sched->stats.input_size, 2);
    respond(1, 200, "");
    finish();
}

static void test_input_that_fails_stops_the_run(void **state) {
    (void)state;
    start_script("rrf");
    finish();
    assert_int_equal(sched->stats.stopped, SPARP_STOPPED_BY_INPUT);
    assert_int_equal(sched->fault.error, SPARP_E_CALLBACK_FAILED);
    assert_false(sched->stats.input_ended);
    assert_int_equal(seen.num_starts, 0);       /* it was asked before they could start */
}

static void test_a_bad_request_ends_where_it_is_pulled(void **state) {
    (void)state;
    start_script("brb");
    assert_outcome(0, SPARP_OUTCOME_LOCAL_FAILED, SPARP_E_BAD_REQUEST);
    assert_outcome(2, SPARP_OUTCOME_LOCAL_FAILED, SPARP_E_BAD_REQUEST);
    respond(1, 200, "");
    finish();
    assert_int_equal(seen.num_starts, 1);
    assert_int_equal(seen.results[0].attempts, 0);
}

static void test_without_memory_the_input_waits_for_an_end(void **state) {
    (void)state;
    size_t short_of_it = 0;
    for (size_t n = 1; n < 40; n++) {
        again();
        get_many(4, A);
        options.on_result = on_result;
        assert_true(open_run());
        memory.fail_at = memory.calls + n;
        turn();
        bool paused = sched->input.memory_short;
        short_of_it += paused;
        CHECK(!paused || sched->stats.pulled > 0, "%lu", (unsigned long)n);
        for (int k = 0; k < 5; k++) {
            for (size_t i = 0; i < 4; i++)
                if (aloft[i] != NULL)
                    respond(i, 200, "");
            settle();
        }
        CHECK(sched->stats.pulled == 4 || sched->stats.stopped == SPARP_STOPPED_BY_ERROR, "%lu",
              (unsigned long)n);
        finish();
    }
    assert_true(short_of_it >= 3);
}

static void test_without_memory_for_anything_the_run_fails(void **state) {
    (void)state;
    get_many(2, A);
    options.on_result = on_result;
    assert_true(open_run());
    memory.fail_at = memory.calls + 1;
    memory.fail_on = true;
    turn();
    assert_true(sched->over);
    assert_int_equal(sched->stats.stopped, SPARP_STOPPED_BY_ERROR);
    assert_int_equal(sched->fault.error, SPARP_E_OUT_OF_MEMORY);
    memory.fail_at = 0;
    finish();
}

/* --- what is remembered ----------------------------------------------------------------------- */

static void test_an_origin_is_forgotten_when_nobody_uses_it(void **state) {
    (void)state;
    start_script("rl");
    assert_non_null(limits_of("a.test"));
    respond(0, 200, "");
    turn();
    assert_null(limits_of("a.test"));
    assert_int_equal(sched->origins.count, 0);
    sparp__sched_on_wake(sched, false);
    finish();
}

/* But for as long as it has something to say: that it is closed, or reopens, or its rate. */
static void test_a_closed_origin_is_remembered_until_it_is_open(void **state) {
    (void)state;
    options.max_retries_by_soft_fail = SPARP_NONE;
    start_script("rl");
    respond(0, 429, "Retry-After: 3\r\n");
    go(5.9);                            /* as long again as it was closed */
    assert_non_null(limits_of("a.test"));
    go(6.1);
    assert_null(limits_of("a.test"));
    sparp__sched_on_wake(sched, false);
    finish();
}

static void test_the_rate_of_an_origin_outlives_its_users(void **state) {
    (void)state;
    options.max_per_second_per_origin = 0.5;
    start_script("rlr");
    go(0.5);
    respond(0, 200, "");
    go(1);
    assert_non_null(limits_of("a.test"));
    sparp__sched_on_wake(sched, false);
    go(5);
    assert_started_at(1, 2);
    respond(1, 200, "");
    finish();
    assert_int_equal(sched->origins.count, 0);
}

/* --- what it takes to wait -------------------------------------------------------------------- */

#define WAITING_MOST 512                /* bytes, besides those of the request itself */

static size_t bytes_of_requests(const sparp__list *list) {
    size_t bytes = 0;
    for (sparp__link *at = list->ring.next; at != &list->ring; at = at->next)
        bytes += OWNER(sparp__task, link, at)->request.image.capacity;
    return bytes;
}

/* What the run has, besides the bytes of requests, while so many wait in that state; but for one
   in flight if there has to be. */
static size_t bytes_while(sparp__task_state state, size_t count) {
    again();
    options.max_at_once = state == SPARP__TASK_FRESH ? 1 : MAX;
    options.max_at_once_per_origin = state == SPARP__TASK_PARKED ? 1 : 0;
    options.input_buffer_size = MAX;
    get_many(count, A "to/wait/for");
    start();
    turn();
    size_t bytes = 0;
    for (size_t i = 0; state == SPARP__TASK_SLEEPING && i < count; i++) {
        bytes += aloft[i]->request.image.capacity;
        fail_with(i, SPARP_E_RESET, false);
    }
    turn();
    sparp__answers_free(&run.env, &answers);    /* the engines' */
    size_t waiting = state == SPARP__TASK_SLEEPING ? sleepers(NULL)
        : state == SPARP__TASK_PARKED ? sched->parked.count : sched->fresh.count;
    assert_int_equal(waiting, state == SPARP__TASK_SLEEPING ? count : count - 1);
    bytes += bytes_of_requests(&sched->parked) + bytes_of_requests(&sched->fresh)
        + bytes_of_requests(&sched->flying);
    size_t others = memory.bytes - bytes;
    close_run();
    return others;
}

/* There may be 10,000 that pause or are parked, and any number that were read ahead. */
static void test_who_waits_takes_half_a_kilobyte(void **state) {
    static const sparp__task_state states[] = {
        SPARP__TASK_FRESH, SPARP__TASK_PARKED, SPARP__TASK_SLEEPING
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        size_t few = bytes_while(states[i], 100), many = bytes_while(states[i], 250);
        CHECK(many > few && (many - few) / 150 <= WAITING_MOST, "state %d: %lu bytes each",
              (int)states[i], (unsigned long)((many - few) / 150));
    }
}

/* --- progress --------------------------------------------------------------------------------- */

static size_t num_progress;

static void on_progress(sparp *ours, const sparp_stats *stats, void *user_data) {
    (void)ours;
    (void)user_data;
    CHECK(stats->pulled == stats->in_flight + stats->waiting + sparp__stats_ended(stats), "%lu",
          (unsigned long)stats->pulled);
    num_progress++;
}

static void test_progress_is_told_by_time_and_by_results(void **state) {
    (void)state;
    num_progress = 0;
    options.on_progress = on_progress;
    options.progress_every_s = 1;
    options.progress_every_results = 2;
    get_many(5, A);
    start();
    go(5);
    assert_int_equal(num_progress, 0);
    respond(0, 200, "");
    settle();
    assert_int_equal(num_progress, 0);
    respond(1, 200, "");
    respond(2, 200, "");
    settle();
    assert_int_equal(num_progress, 1);
    respond(3, 200, "");
    respond(4, 200, "");
    finish();
    assert_int_equal(num_progress, 2);  /* the end is told in any case */
}

/* --- whatever happens ------------------------------------------------------------------------- */

/* How the results of a random run are taken. */
typedef enum manner { CALLBACK, RECORDS, ORDERED, KEPT, NUM_MANNERS } manner;

static uint64_t dice, first_seed = 1, num_seeds = 10000;
static size_t requests_left;
static bool steady;                     /* nobody stops it, changes its pace, or looks late */

static size_t below(size_t n) {
    return (size_t)(test_random(&dice) % n);
}

static bool one_in(size_t n) {
    return below(n) == 0;
}

static double upto(double seconds) {
    return seconds * (double)below(1001) / 1000;
}

static sparp_input any_request(sparp_request *out, void *user_data) {
    static const char *const urls[] = {A, A, A, B, B, C, "http://d.test/", "nonsense"};
    static const char *const methods[] = {"GET", "GET", "POST", "HEAD"};
    (void)user_data;
    if (requests_left == 0)
        return one_in(5) ? SPARP_INPUT_FAILED : SPARP_INPUT_END;
    if (one_in(15))
        return SPARP_INPUT_LATER;
    requests_left--;
    out->url = urls[below(COUNT_OF(urls))];
    out->method = methods[below(COUNT_OF(methods))];
    out->deadline_s = one_in(3) ? upto(20) : 0;
    return SPARP_INPUT_READY;
}

static double any_permit(const char *url, double cost, void *user_data) {
    (void)url;
    (void)cost;
    (void)user_data;
    return one_in(8) ? SPARP_NONE : one_in(4) ? upto(1) : 0;
}

static void any_callback(const sparp_result *r) {
    if (one_in(20))
        sparp_cancel(&run, r->index + below(4));
    if (one_in(200))
        sparp_drain(&run);
    if (one_in(300))
        sparp_abort(&run);
}

/* The next attempt has another line. */
static void any_retry(void) {
    sparp_field line = {"X-Try", "again"};
    if (one_in(4))
        sparp_retry_with(&run, &line, 1);
}

static void any_options(void) {
    sparp_options *o = &options;
    memset(o, 0, sizeof *o);
    o->next_request = any_request;
    o->random_seed = test_random(&dice) | 1;
    o->input_buffer_size = 1 + (int)below(6);
    o->max_at_once = one_in(8) ? SPARP_AUTO : 1 + (int)below(6);
    o->max_per_second = one_in(3) ? 1 + (double)below(30) : 0;
    o->burst = 1 + (int)below(3);
    o->max_at_once_per_origin = one_in(2) ? 1 + (int)below(3) : 0;
    o->max_per_second_per_origin = one_in(4) ? 1 + (double)below(9) : 0;
    o->max_retries_by_soft_fail = one_in(3) ? SPARP_NONE : 1 + (int)below(3);
    o->max_retries_by_timeout = one_in(3) ? SPARP_NONE : 1 + (int)below(3);
    o->max_retries_by_transport = one_in(3) ? SPARP_NONE : 1 + (int)below(3);
    o->backoff_s = one_in(4) ? SPARP_NONE : upto(3);
    o->retry_after_max_s = one_in(3) ? 2 : 0;
    o->retry_ratio = one_in(4) ? 0.2 : 0;
    o->permit = one_in(8) ? any_permit : NULL;
    o->connect_timeout_s = one_in(3) ? 0.2 : 0;
    o->run_deadline_s = one_in(8) ? upto(60) : 0;
    o->no_gate = one_in(6);
    o->stop_on = one_in(8) ? 1u << below(6) : 0;
    o->stop_after_failures = one_in(10) ? 1 + (int)below(9) : 0;
    o->stop_after_failure_ratio = one_in(10) ? 0.5 : 0;
    o->stop_after_successes = one_in(10) ? 1 + (int)below(9) : 0;
    o->stop_drains = one_in(2);
}

static void end_any(size_t index) {
    static const int statuses[] = {200, 200, 200, 404, 503, 503, 429, 429};
    static const sparp_error errors[] = {
        SPARP_E_TIMEOUT, SPARP_E_TIMEOUT, SPARP_E_RESET, SPARP_E_REFUSED, SPARP_E_PROTOCOL,
        SPARP_E_BODY_TOO_LARGE,
    };
    static const char *const waits[] = {
        "", "", "", "Retry-After: 1\r\n", "Retry-After: 3\r\n", "Retry-After: 500\r\n",
        "RateLimit: \"a\";r=0;t=2\r\n", "RateLimit: \"a\";r=3;t=9\r\n",
        "X-RateLimit-Limit: 5\r\nX-RateLimit-Remaining: 1\r\nX-RateLimit-Reset: 700\r\n",
        "X-RateLimit-Limit-Tokens: 9\r\nX-RateLimit-Remaining-Tokens: 2\r\n"
        "X-RateLimit-Reset-Tokens: 1.5s\r\nRetry-After: 1\r\n",
        "X-Shopify-Shop-Api-Call-Limit: 39/40\r\n", "X-Shopify-Shop-Api-Call-Limit: 1/40\r\n",
    };
    size_t what = below(20);
    if (what < 12)
        respond(index, statuses[below(COUNT_OF(statuses))], waits[below(COUNT_OF(waits))]);
    else if (what < 15)
        fail_with(index, errors[below(COUNT_OF(errors))], one_in(2));
    else if (what < 17 && aloft[index]->redirects < 4)
        lead_to(index, 302, one_in(2) ? B : "http://e.test/");
    else if (what < 18)
        starve(index);
    else
        recall(index);
}

/* Ends some of those in flight; all of them, if nothing else would happen any more. */
static void end_some(bool all) {
    for (size_t i = 0; i < MAX; i++)
        if (aloft[i] != NULL && (all || one_in(3)))
            end_any(i);
}

/* What was let in, against what may be. */
static void check_starts(size_t from) {
    int most = run.options.max_at_once_per_origin;
    size_t limit = (size_t)sparp__sched_limit(sched);
    for (size_t i = 0; i < sched->origins.num_buckets; i++)
        for (sparp__origin *o = sched->origins.table[i]; o != NULL; o = o->chain)
            CHECK(most == 0 || OWNER(sparp__limits, origin, o)->gate.in_flight <= (uint64_t)most,
                  "%s: %s: too many", seen.label, o->host);
    if (!steady || seen.num_starts == from)
        return;
    CHECK(sched->stats.in_flight <= limit, "%s: %lu of %lu", seen.label,
          (unsigned long)sched->stats.in_flight, (unsigned long)limit);
    for (size_t i = from; i < seen.num_starts; i++) {
        const sparp__task *t = aloft[seen.starts[i].index];
        CHECK(t == NULL || t->wait.limits->gate.closed_until <= test_now_ns,
              "%s: %lu has started at a closed gate", seen.label,
              (unsigned long)seen.starts[i].index);
        CHECK(t == NULL || t->deadline > test_now_ns, "%s: %lu has started too late", seen.label,
              (unsigned long)seen.starts[i].index);
    }
}

/* In any second at most 1.01 * rate + burst. */
static void check_rate(void) {
    double most = run.options.max_per_second * 1.01 + run.options.burst;
    for (size_t first = 0, i = 0; steady && run.options.max_per_second > 0
             && i < seen.num_starts; i++) {
        while (seen.starts[i].at - seen.starts[first].at >= SECOND)
            first++;
        CHECK((double)(i - first + 1) <= most, "%s: %lu within a second", seen.label,
              (unsigned long)(i - first + 1));
    }
}

/* The next moment: what is due, or some time before it. */
static void pass_time(void) {
    int64_t due = sparp__sched_next_due(sched), most = test_now_ns + 10 * SECOND;
    if (due == NEVER || one_in(3))
        test_now_ns += (int64_t)below(700) * SECOND / 1000;
    else if (due > test_now_ns)
        test_now_ns = due < most ? due : most;
}

static void meddle(void) {
    if (one_in(60))
        sparp_cancel(&run, below(MAX));
    if (!steady && one_in(300))
        sparp_stop(&run);
    if (!steady && one_in(30))
        sparp_set_pace(&run, (int)below(7), one_in(2) ? 0 : 1 + (double)below(20));
    if (!steady)
        deaf = one_in(3);
    cut_at_once = !one_in(3);
    if (one_in(4))
        sparp__sched_on_wake(sched, one_in(2));
}

static void play(manner how) {
    for (int turns = 0; !sched->over; turns++) {
        size_t from = seen.num_starts;
        CHECK(turns < 20000, "%s: no end", seen.label);
        turn();
        check_starts(from);
        while (how != CALLBACK && how != KEPT && !one_in(3) && take() != NULL)
            continue;
        meddle();
        end_some(turns % 40 == 39);
        pass_time();
    }
    turn();
    while (how != CALLBACK && how != KEPT && take() != NULL)
        continue;
    if (how == KEPT)
        keep_items();
}

/* The counters of one result, against what they may be. */
static void check_counters(const sparp_result *r) {
    const sparp_options *o = &run.options;
    int retries = r->soft_retries + r->timeout_retries + r->transport_retries;
    CHECK(r->soft_retries <= o->max_retries_by_soft_fail
          && r->timeout_retries <= o->max_retries_by_timeout
          && r->transport_retries <= o->max_retries_by_transport, "%s: %lu: retries", seen.label,
          (unsigned long)r->index);
    bool waiting = r->outcome == SPARP_OUTCOME_CANCELLED || retries > 0;        /* for another */
    CHECK(r->attempts <= 1 + retries + PASSES && r->attempts + waiting >= retries, "%s: %lu: %d",
          seen.label, (unsigned long)r->index, r->attempts);
    bool refused = r->outcome == SPARP_OUTCOME_SOFT_EXHAUSTED && r->error == SPARP_E_NOT_STARTED;
    CHECK(r->outcome != SPARP_OUTCOME_NOT_STARTED || r->attempts == 0, "%s: %lu has started",
          seen.label, (unsigned long)r->index);
    CHECK(r->attempts > 0 || refused || r->outcome == SPARP_OUTCOME_NOT_STARTED
          || r->outcome == SPARP_OUTCOME_LOCAL_FAILED, "%s: %lu: %s unsent", seen.label,
          (unsigned long)r->index, sparp_outcome_name(r->outcome));
    bool answered = r->outcome == SPARP_OUTCOME_SUCCESS || r->outcome == SPARP_OUTCOME_HARD_FAIL
        || (r->outcome == SPARP_OUTCOME_SOFT_EXHAUSTED && !refused);
    CHECK(answered == (r->error == SPARP_E_OK), "%s: %lu: %s, but %s", seen.label,
          (unsigned long)r->index, sparp_outcome_name(r->outcome), sparp_error_name(r->error));
}

static void check_waits(void) {
    int64_t sums[SPARP_WAIT_COUNT] = {0};
    for (size_t i = 0; i < seen.count; i++)
        for (int why = 0; why < SPARP_WAIT_COUNT; why++)
            sums[why] += seen.results[seen.order[i]].wait_us[why];
    for (int why = 0; why < SPARP_WAIT_COUNT; why++) {
        int64_t apart = sums[why] - sched->stats.waited_us[why];
        CHECK(apart > -2000 && apart < 2000, "%s: %s: %ld us apart", seen.label,
              sparp_wait_name((sparp_wait)why), (long)apart);
    }
}

/* True if so many allocations were asked for that the `fail_at`th was among them. */
static bool run_seed(uint64_t seed, size_t fail_at, bool fail_on) {
    char label[80];
    again();
    dice = seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
    for (int i = 0; i < 8; i++)
        test_random(&dice);
    snprintf(label, sizeof label, "seed %lu, allocation %lu%s", (unsigned long)seed,
             (unsigned long)fail_at, fail_on ? " and later" : "");
    seen.label = label;
    manner how = (manner)below(NUM_MANNERS);
    num_workers = 1 + (int)below(WORKERS);
    steady = one_in(2);
    requests_left = 1 + below(40);
    any_options();
    options.ordered = how == ORDERED;
    options.on_result = how == CALLBACK ? on_result : NULL;
    seen.on_result = any_callback;
    seen.on_retry = any_retry;
    memory.fail_at = fail_at;
    memory.fail_on = fail_on;
    bool opened = open_run();
    sched->output.keep = how == KEPT;
    if (opened) {
        play(how);
        check_end();
        check_rate();
        check_waits();
        for (size_t i = 0; i < seen.count && fail_at == 0; i++)
            check_counters(&seen.results[seen.order[i]]);
    }
    close_run();
    return memory.calls >= fail_at;
}

static void test_the_promises_hold_whatever_happens(void **state) {
    (void)state;
    for (uint64_t i = 0; i < num_seeds; i++)
        run_seed(first_seed + i, 0, false);
}

static void test_the_nth_allocation_fails(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++)
        for (int on = 0; on < 2; on++)
            for (size_t n = 1; run_seed(seed, n, on == 1); n++)
                assert_true(n < 5000);
}

/* SEEDS=100000 in the environment: so many random runs; FIRST=5: from that seed on. */
int main(void) {
    const struct CMUnitTest tests[] = {
        SCHED_TEST(test_no_more_at_once_than_there_are_slots),
        SCHED_TEST(test_the_work_is_spread_over_the_workers),
        SCHED_TEST(test_a_worker_is_woken_once_until_it_looks),
        SCHED_TEST(test_no_more_per_second_than_asked_for),
        SCHED_TEST(test_a_slot_and_the_rate_are_told_apart),
        SCHED_TEST(test_a_retry_waits_for_the_rate),
        SCHED_TEST(test_a_new_pace_counts_from_the_next_start_on),
        SCHED_TEST(test_an_origin_holds_up_only_its_own),
        SCHED_TEST(test_an_origin_has_its_own_rate),
        SCHED_TEST(test_an_origin_and_a_slot_are_told_apart),
        SCHED_TEST(test_an_origin_and_the_rate_are_told_apart),
        SCHED_TEST(test_the_rate_that_held_up_others_is_not_counted),
        SCHED_TEST(test_nobody_overtakes_who_is_parked),
        SCHED_TEST(test_the_last_word_is_permits),
        SCHED_TEST(test_a_stop_inside_permit_comes_first),
        SCHED_TEST(test_how_many_at_once_is_found_out),
        SCHED_TEST(test_429_closes_the_gate_which_reopens_by_doubling),
        SCHED_TEST(test_who_was_let_go_is_the_next_one_again),
        SCHED_TEST(test_a_redirect_opens_the_gate_further),
        SCHED_TEST(test_the_gate_closes_for_longer_each_time),
        SCHED_TEST(test_a_429_that_the_closed_gate_explains_costs_no_retry),
        SCHED_TEST(test_no_pass_for_who_cannot_wait_that_long),
        SCHED_TEST(test_so_many_passes_are_enough),
        SCHED_TEST(test_no_pass_without_retries),
        SCHED_TEST(test_without_a_gate_a_429_is_a_soft_fail_like_any_other),
        SCHED_TEST(test_an_origin_that_wants_too_much_time),
        SCHED_TEST(test_an_origin_says_when),
        SCHED_TEST(test_an_origin_that_wants_too_much_time_refuses_whoever_waits),
        SCHED_TEST(test_each_cause_has_its_limit_and_its_pauses),
        SCHED_TEST(test_the_three_limits_know_nothing_of_each_other),
        SCHED_TEST(test_what_is_not_safe_is_not_sent_twice),
        SCHED_TEST(test_what_cannot_help_is_not_tried),
        SCHED_TEST(test_a_pause_is_as_long_as_the_failure_is_known_to_last),
        SCHED_TEST(test_retries_are_put_off_beyond_their_budget),
        SCHED_TEST(test_the_budget_holds_without_a_backoff),
        SCHED_TEST(test_a_hop_goes_to_another_origin_before_all_others),
        SCHED_TEST(test_a_hop_waits_for_its_origin_without_losing_time),
        SCHED_TEST(test_a_retry_begins_where_the_request_began),
        SCHED_TEST(test_417_is_no_redirect),
        SCHED_TEST(test_starved_means_fewer_at_once_and_counts_as_nothing),
        SCHED_TEST(test_starved_with_nothing_in_flight_ends_after_connect_timeout),
        SCHED_TEST(test_a_flight_that_ends_gives_the_starved_new_patience),
        SCHED_TEST(test_recalled_goes_back_as_if_it_had_never_begun),
        SCHED_TEST(test_recalled_by_a_closed_gate_waits_for_it),
        SCHED_TEST(test_an_abort_ends_all),
        SCHED_TEST(test_an_abort_takes_what_has_ended_already),
        SCHED_TEST(test_an_abort_takes_back_what_was_only_posted),
        SCHED_TEST(test_a_drain_lets_what_flies_end),
        SCHED_TEST(test_a_drain_lets_a_hop_that_waits_for_a_slot_end),
        SCHED_TEST(test_an_abort_follows_a_drain),
        SCHED_TEST(test_the_run_has_a_deadline),
        SCHED_TEST(test_a_cancel_reaches_every_state),
        SCHED_TEST(test_a_cancel_of_what_is_only_posted),
        SCHED_TEST(test_a_cancel_of_what_was_let_go_lets_the_next_one_go),
        SCHED_TEST(test_a_cancel_of_a_heavy_one_that_is_parked_lets_a_light_one_go),
        SCHED_TEST(test_a_callback_cancels_one_after_another),
        SCHED_TEST(test_a_rule_fires_at_its_event_and_at_no_other),
        SCHED_TEST(test_so_many_failures_are_enough),
        SCHED_TEST(test_so_many_of_all_are_enough_once_20_have_ended),
        SCHED_TEST(test_so_many_successes_are_enough),
        SCHED_TEST(test_a_pause_beyond_the_deadline_is_not_begun),
        SCHED_TEST(test_a_deadline_comes_while_it_waits_for_a_slot),
        SCHED_TEST(test_nothing_starts_at_its_deadline),
        SCHED_TEST(test_a_deadline_comes_while_it_is_parked),
        SCHED_TEST(test_a_deadline_comes_while_the_gate_is_closed),
        SCHED_TEST(test_a_deadline_comes_while_the_budget_puts_it_off),
        SCHED_TEST(test_results_come_as_they_end),
        SCHED_TEST(test_a_large_result_is_not_held_on_to),
        SCHED_TEST(test_results_come_in_input_order),
        SCHED_TEST(test_results_that_nobody_takes_hold_up_the_input),
        SCHED_TEST(test_without_memory_a_result_says_that_it_could_not_be_kept),
        SCHED_TEST(test_a_record_is_used_again),
        SCHED_TEST(test_it_may_be_closed_at_any_moment),
        SCHED_TEST(test_kept_results_are_whole),
        SCHED_TEST(test_kept_results_without_memory_say_so),
        SCHED_TEST(test_input_that_says_later_is_asked_when_there_is_news),
        SCHED_TEST(test_input_that_fails_stops_the_run),
        SCHED_TEST(test_a_bad_request_ends_where_it_is_pulled),
        SCHED_TEST(test_without_memory_the_input_waits_for_an_end),
        SCHED_TEST(test_without_memory_for_anything_the_run_fails),
        SCHED_TEST(test_an_origin_is_forgotten_when_nobody_uses_it),
        SCHED_TEST(test_a_closed_origin_is_remembered_until_it_is_open),
        SCHED_TEST(test_the_rate_of_an_origin_outlives_its_users),
        SCHED_TEST(test_who_waits_takes_half_a_kilobyte),
        SCHED_TEST(test_progress_is_told_by_time_and_by_results),
        SCHED_TEST(test_the_promises_hold_whatever_happens),
        SCHED_TEST(test_the_nth_allocation_fails),
    };
    const char *seeds = getenv("SEEDS"), *first = getenv("FIRST");
    num_seeds = seeds != NULL ? strtoull(seeds, NULL, 10) : num_seeds;
    first_seed = first != NULL ? strtoull(first, NULL, 10) : first_seed;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

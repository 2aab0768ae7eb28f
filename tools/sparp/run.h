/* sparp/run.h - the loop that joins all of the above, and what it asks the library for. */

enum { LINES_PER_PULL = 1000 };  /* lines without a request, before the loop gets its turn back */
enum { HELD_MAX = 1000 };        /* bad lines that wait for the results before them */
enum { SPARE_TEXT_MAX = 64 * 1024, DESCRIPTORS_EXTRA = 16, DESCRIPTORS_WORKER = 4 };

typedef struct held {            /* --order input: a finished record that is not due yet */
    struct held *next;
    uint64_t after;                     /* results to be delivered first */
    text record;
} held;

typedef struct app {
    const config *config;
    parser parser;
    reader reader;
    record_style style;
    sink out, rejects;
    tally tally;
    progress progress;
    sparp *run;
    ticket *spare;                      /* free list */
    held *held_first, *held_last;
    size_t num_held;
    uint64_t pulled, delivered;         /* requests handed to the run, results got back */
    int body_dir;                       /* descriptor of --body-dir, or -1 */
    uint64_t body_files;                /* written there */
    bool bodies_failed;                 /* one could not be written: said so */
    uint64_t bad_lines;
    char first_bad[512];                /* message of the first one */
    int64_t now_ms;                     /* wall clock of this turn */
    int stops_seen;                     /* how many of signal_stops have been acted upon */
    bool input_waits;                   /* the next line has to be waited for */
    bool input_paused;                  /* too much is held, see app_is_full() */
    bool input_failed;                  /* could not be read, or no memory for it: said so */
    bool input_refused;                 /* --on-bad-line fail */
    bool step_sleeps;                   /* we are inside a step that may sleep */
    bool aborted;
    bool out_of_memory;
} app;

static ticket *ticket_take(app *a) {
    ticket *k = a->spare;
    if (k != NULL)
        a->spare = k->next;
    else
        k = (ticket *)calloc(1, sizeof *k);
    return k;
}

static void ticket_give_back(app *a, ticket *k) {
    if (k->parts.room > SPARE_TEXT_MAX)
        text_free(&k->parts);
    k->next = a->spare;
    a->spare = k;
}

static bool app_has_failed(const app *a) {
    return a->out.failed || a->rejects.failed || a->bodies_failed || a->out_of_memory;
}

static void app_reject(app *a, slice line) {
    if (a->rejects.fd < 0)
        return;
    put_slice(&a->rejects.buffer, line);
    put_char(&a->rejects.buffer, '\n');
    sink_record_done(&a->rejects);
}

static void app_flush(app *a) {
    if (a->out.buffer.size > 0 || a->out.buffer.failed)
        sink_flush(&a->out);
    if (a->rejects.buffer.size > 0 || a->rejects.buffer.failed)
        sink_flush(&a->rejects);
}

/* With --order input, a bad line's record keeps its place between those of its neighbours. */
static void app_hold(app *a, uint64_t index, slice message, slice line) {
    held *h = (held *)calloc(1, sizeof *h);
    if (h == NULL) {
        a->out_of_memory = true;
        return;
    }
    put_bad_record(&h->record, &a->style, index, message, line);
    if (h->record.failed)
        a->out_of_memory = true;
    h->after = a->pulled;
    if (a->held_last != NULL)
        a->held_last->next = h;
    else
        a->held_first = h;
    a->held_last = h;
    a->num_held++;
}

/* Writes the held records that are due now. */
static void app_release(app *a) {
    while (a->held_first != NULL && a->held_first->after <= a->delivered) {
        held *h = a->held_first;
        a->held_first = h->next;
        if (h->next == NULL)
            a->held_last = NULL;
        a->num_held--;
        put_bytes(&a->out.buffer, h->record.at, h->record.size);
        sink_record_done(&a->out);
        text_free(&h->record);
        free(h);
    }
}

/* Bounds what waits for results: they come without more input, so a pause has an end. */
static bool app_is_full(const app *a) {
    return a->num_held >= HELD_MAX;
}

/* The line is no request. */
static void app_bad_line(app *a, slice line, bool whole) {
    const reader *r = &a->reader;
    const parser *p = &a->parser;
    char message[400];
    unsigned long long number = (unsigned long long)r->lines_here;
    int size = snprintf(message, sizeof message, "%.200s%sline %llu, column %llu: %s",
                        r->num_sources > 1 ? r->name : "", r->num_sources > 1 ? ", " : "", number,
                        (unsigned long long)p->column, p->error);
    slice sentence = { message, size > 0 ? strlen(message) : 0 };
    if (a->bad_lines++ == 0)
        (void)snprintf(a->first_bad, sizeof a->first_bad, "%.200s:%llu:%llu: %s", r->name, number,
                       (unsigned long long)p->column, p->error);
    a->input_refused = a->config->on_bad_line == BAD_LINE_FAIL;
    if (a->config->on_bad_line == BAD_LINE_SKIP)
        return;
    sample s;
    memset(&s, 0, sizeof s);
    s.outcome = OUTCOME_INVALID;
    tally_add(&a->tally, &s);
    if (whole)
        app_reject(a, line);
    if (a->config->order == ORDER_INPUT && a->delivered < a->pulled) {
        app_hold(a, r->lines - 1, sentence, line);
        return;
    }
    put_bad_record(&a->out.buffer, &a->style, r->lines - 1, sentence, line);
    sink_record_done(&a->out);
}

/* The next request of the input into *it; bad lines are dealt with on the way. READ_LATER also
   after many lines without any, so that signals and results get their turn: then input_waits is
   not set. */
static read_state app_next_item(app *a, item *it) {
    const config *c = a->config;
    for (int budget = LINES_PER_PULL; budget > 0; budget--) {
        slice line;
        if (c->given[OPTION_LIMIT] && a->reader.lines >= (uint64_t)(c->skip + c->limit))
            return READ_END;
        if (app_is_full(a)) {
            a->input_paused = true;
            return READ_LATER;
        }
        read_state state = reader_next(&a->reader, &line);
        if (state == READ_FAILED)
            a->input_failed = true;
        if (state == READ_LATER)
            a->input_waits = true;
        if (state != READ_LINE && state != READ_TOO_LONG)
            return state;
        if (a->reader.lines <= (uint64_t)c->skip)
            continue;
        line_kind kind = LINE_BAD;
        if (state == READ_LINE)
            kind = parse_line(&a->parser, line, a->reader.argument, it);
        else
            (void)line_bad(&a->parser, LINE_BYTES_MAX + 1, "line is longer than 64 MiB");
        if (parser_failed(&a->parser))
            a->out_of_memory = true;
        if (kind == LINE_BAD)
            app_bad_line(a, line, state == READ_LINE);
        if (app_has_failed(a) || a->input_refused)
            return READ_FAILED;
        if (kind == LINE_REQUEST)
            return READ_LINE;
    }
    return READ_LATER;
}

static uint64_t stats_failed(const sparp_stats *s) {
    return s->hard_fail + s->soft_exhausted + s->timeout_exhausted + s->transport_failed
         + s->local_failed;
}

static bool fired_by_max_fail(const config *c, const sparp_stats *s) {
    uint64_t failed = stats_failed(s), ended = s->success + failed;
    return (c->max_fail > 0 && failed >= (uint64_t)c->max_fail)
        || (c->max_fail_percent > 0 && failed * 100 >= ended * (uint64_t)c->max_fail_percent);
}

/* What the library leaves to us: which rules cut and which drain. */
static void app_rules(app *a) {
    const config *c = a->config;
    if (a->aborted)
        return;
    sparp_stats s = sparp_get_stats(a->run);
    bool mode_given = c->given[OPTION_STOP_MODE];
    if (s.stopped == SPARP_STOPPED_BY_DEADLINE || s.stopped == SPARP_STOPPED_BY_INPUT)
        a->aborted = s.stopped == SPARP_STOPPED_BY_DEADLINE || app_has_failed(a);
    else if (s.stopped == SPARP_STOPPED_BY_SUCCESSES)
        a->aborted = !mode_given;
    else if (s.stopped == SPARP_STOPPED_BY_RULE)
        a->aborted = !mode_given && !fired_by_max_fail(c, &s);
    if (app_has_failed(a))
        a->aborted = true;
    if (a->aborted)
        sparp_abort(a->run);
}

/* The item's body_file. One that cannot be read becomes a request that the library refuses (a size
   without a body), so that it is counted and delivered like any other; the ticket knows the
   reason. */
static void app_take_body_file(const app *a, ticket *k, const item *it, sparp_request *out) {
    bool found = body_file_find(k, &a->reader, it->body_file);
    if (found && k->file.st_size == 0)
        return;      /* an empty body is there already */
    out->body = NULL;
    out->body_size = found ? (uint64_t)k->file.st_size : 1;
    out->read_body = found ? body_file_read : NULL;
}

/* sparp_options.next_request */
static sparp_input next_request(sparp_request *out, void *user_data) {
    app *a = (app *)user_data;
    const config *c = a->config;
    item it;
    uint64_t lines_before = a->out.lines;
    a->input_waits = false;
    read_state state = app_has_failed(a) ? READ_FAILED : app_next_item(a, &it);
    if (a->out.lines > lines_before)
        app_flush(a);      /* bad lines do not wait for an answer */
    if (state == READ_END)
        return SPARP_INPUT_END;
    if (state == READ_FAILED)
        return SPARP_INPUT_FAILED;
    if (state == READ_LATER) {
        /* A step that sleeps would not notice new input: it is ended, and the loop waits for both.
           Nor would it notice that there is more to read right now. */
        bool at_once = !a->input_waits && !a->input_paused;
        if (at_once || (a->input_waits && a->step_sleeps))
            sparp_wake(a->run);
        return SPARP_INPUT_LATER;
    }
    ticket *k = ticket_take(a);
    bool with_line = c->echo || a->rejects.fd >= 0;
    item_request(&a->parser, &it, out);
    bool filled = k != NULL && ticket_fill(k, a->reader.lines - 1, &it, with_line);
    if (filled && it.body_file != NULL)
        app_take_body_file(a, k, &it, out);
    if (!filled || k->parts.failed) {
        a->out_of_memory = true;
        if (k != NULL)
            ticket_give_back(a, k);
        return SPARP_INPUT_FAILED;
    }
    out->user_data = k;
    a->pulled++;
    return SPARP_INPUT_READY;
}

/* The file of its body. One that could not be written is no success, whatever the server said. */
static void app_finish_body(app *a, ticket *k, sparp_result *r) {
    bool finished = part_finish(k, a->body_dir, r);
    a->body_files += k->has_file;
    if (finished)
        return;
    r->outcome = SPARP_OUTCOME_LOCAL_FAILED;
    r->error = SPARP_E_SINK_FAILED;
    text path = { NULL, 0, 0, false };
    put_body_path(&path, a->style.body_dir, k->index);
    slice shown = { path.at, path.size };
    const char *why = strerror(k->part_error);
    ticket_fail(k, "cannot write ", shown, why);
    if (!a->bodies_failed)
        say("cannot write %.*s: %s", (int)shown.size, shown.at, why);
    a->bodies_failed = true;
    text_free(&path);
}

/* A result: its record, its line if it failed, its place in the statistics. */
static void app_deliver(app *a, const sparp_result *result) {
    ticket *k = (ticket *)result->user_data;
    sparp_result r = *result;
    sample s;
    if (a->body_dir >= 0)
        app_finish_body(a, k, &r);
    sample_result(&s, &r, k->index);
    tally_add(&a->tally, &s);
    put_record(&a->out.buffer, &a->style, k, &r, a->now_ms);
    sink_record_done(&a->out);
    if (r.outcome != SPARP_OUTCOME_SUCCESS)
        app_reject(a, ticket_line(k));
    ticket_give_back(a, k);
    a->delivered++;
    if (a->num_held > 0)
        app_release(a);
}

static uint64_t stats_done(const sparp_stats *s) {
    return s->success + stats_failed(s) + s->cancelled + s->not_started;
}

static uint64_t stats_retries(const sparp_stats *s) {
    return s->soft_retries + s->timeout_retries + s->transport_retries;
}

/* Lines there will be, as well as it is known: the library's number, else what the sizes of the
   files promise. */
static void app_total(const app *a, const sparp_stats *s, progress_view *v) {
    uint64_t bad = a->tally.outcomes[OUTCOME_INVALID];
    const reader *r = &a->reader;
    v->estimated = !s->input_ended;
    v->total = s->input_size;
    if (s->input_ended)
        v->total += bad;
    bool part = a->config->given[OPTION_SKIP] || a->config->given[OPTION_LIMIT];
    if (v->total == 0 && r->bytes_in_all > 0 && !part && r->bytes_read > 0) {
        uint64_t used = r->bytes_read - (r->buffer.size - r->start);
        double share = (double)used / (double)r->bytes_in_all;
        if (used > 0)
            v->total = (uint64_t)((double)(s->pulled + bad) / share + 0.5);
    }
    if (v->total < v->done)
        v->total = v->total == 0 ? 0 : v->done;
}

static void app_show_progress(app *a) {
    sparp_stats s = sparp_get_stats(a->run);
    progress_view v;
    memset(&v, 0, sizeof v);
    v.done = stats_done(&s) + a->tally.outcomes[OUTCOME_INVALID];
    v.ok = s.success;
    v.failed = stats_failed(&s);
    v.retries = stats_retries(&s);
    v.live = s.in_flight;
    app_total(a, &s, &v);
    progress_show(&a->progress, &v);
}

/* INT, TERM, HUP: the first drains, the second cuts (the third ends the handler). */
static void app_signals(app *a) {
    if (signal_resized) {
        signal_resized = 0;
        a->progress.columns = terminal_columns();
    }
    if (signal_status) {
        signal_status = 0;
        int mode = a->progress.mode;
        if (mode != PROGRESS_JSON)
            a->progress.mode = PROGRESS_LINE;
        app_show_progress(a);
        a->progress.mode = mode;
    }
    int stops = signal_stops;
    if (stops > 0 && a->stops_seen == 0) {
        sparp_stats s = sparp_get_stats(a->run);
        double timeout = a->config->timeout > 0 ? a->config->timeout : 30;
        text patience = { NULL, 0, 0, false };
        put_thousandths(&patience, (int64_t)(timeout * 1000));
        put_char(&patience, '\0');
        say("stopping: %llu requests in flight get up to %s s. %s again to cut them.",
            (unsigned long long)s.in_flight, patience.failed ? "30" : patience.at,
            signal_last == SIGINT ? "Ctrl-C" : "Signal");
        text_free(&patience);
        sparp_drain(a->run);
    }
    if (stops > 1 && a->stops_seen < 2)
        sparp_abort(a->run);
    a->stops_seen = stops;
}

/* New lines and new answers, whichever comes first. */
static void app_wait_for_input(app *a) {
    struct pollfd wait[2] = { { a->reader.fd, POLLIN, 0 }, { sparp_poll_fd(a->run), POLLIN, 0 } };
    int timeout = sparp_wait_ms(a->run), drawing = progress_wait_ms(&a->progress);
    if (timeout < 0 || (drawing >= 0 && drawing < timeout))
        timeout = drawing;
    if (poll(wait, 2, timeout) <= 0 || wait[0].revents == 0)
        return;
    a->input_waits = false;
    sparp_wake(a->run);
}

static void app_loop(app *a) {
    bool alive = true;
    const sparp_result *r;
    while (alive) {
        app_signals(a);
        if (a->input_waits && sparp_get_stats(a->run).stopped != SPARP_STOPPED_NOT)
            a->input_waits = false;      /* nobody asks for it any more */
        if (a->input_waits)
            app_wait_for_input(a);
        a->step_sleeps = !a->input_waits;
        alive = sparp_step(a->run, a->step_sleeps ? progress_wait_ms(&a->progress) : 0);
        a->step_sleeps = false;
        a->now_ms = wall_ms();
        while ((r = sparp_ready(a->run)) != NULL)
            app_deliver(a, r);
        if (a->num_held > 0)
            app_release(a);
        if (a->input_paused && !app_is_full(a)) {
            a->input_paused = false;
            sparp_wake(a->run);
        }
        app_flush(a);
        app_rules(a);
        if (progress_wait_ms(&a->progress) == 0)
            app_show_progress(a);
    }
}

/* sparp_options.inspect, with --ok or --retry-on */
static sparp_verdict inspect_by_lists(const sparp_result *response, void *user_data) {
    const config *c = ((const app *)user_data)->config;
    int status = response->status;
    if (status < STATUS_MIN || status >= STATUS_END)
        return SPARP_HARD_FAIL;
    if (c->ok.has[status])
        return SPARP_SUCCESS;
    return c->retry_on.has[status] ? SPARP_SOFT_FAIL : SPARP_HARD_FAIL;
}

/* sparp_options.on_body, on the threads of the workers */
static sparp_flow on_body(const sparp_result *head, uint64_t offset, const void *data, size_t size,
                          void *user_data) {
    const app *a = (const app *)user_data;
    ticket *k = (ticket *)head->user_data;
    slice piece = { (const char *)data, size };
    return part_write(k, a->body_dir, head, offset, piece) ? SPARP_FLOW_ON : SPARP_FLOW_FAILED;
}

/* sparp_options.parse, likewise: the body is complete. Its result may have to wait for its turn,
   and no descriptor should. */
static void *on_body_end(const sparp_result *response, void *user_data) {
    (void)user_data;
    (void)part_close((ticket *)response->user_data);
    return NULL;
}

/* sparp_options.on_retry: which statuses were tried again */
static void on_retry(sparp *run, const sparp_result *attempt, double wait_s, void *user_data) {
    app *a = (app *)user_data;
    (void)run;
    (void)wait_s;
    part_forget((ticket *)attempt->user_data);
    if (attempt->status > 0 && attempt->status < STATUS_END)
        a->tally.retried[attempt->status]++;
}

static void on_log(sparp_log_level level, const char *message, void *user_data) {
    (void)level;
    (void)user_data;
    say("%s", message);
}

/* N retries: a number that was given, where 0 is the library's "none", or its default. */
static int retries_option(const config *c, option_id id, int64_t value) {
    if (!c->given[id]) {
        if (!c->given[OPTION_RETRIES])
            return 0;
        value = c->retries;
    }
    return value == 0 ? SPARP_NONE : (int)value;
}

static double none_if_zero(const config *c, option_id id, double value) {
    return c->given[id] && !(value > 0) ? SPARP_NONE : value;
}

/* Where to connect, and how long what may take. */
static void net_options(const config *c, sparp_options *o) {
    o->timeout_s = c->timeout;
    o->connect_timeout_s = c->connect_timeout;
    o->dns_timeout_s = c->dns_timeout;
    o->tls_timeout_s = c->tls_timeout;
    o->send_timeout_s = c->send_timeout;
    o->first_byte_timeout_s = c->first_byte_timeout;
    o->idle_timeout_s = c->idle_timeout;
    o->min_bytes_per_second = (double)c->min_speed;
    o->min_speed_s = c->min_speed_time;
    o->max_redirects = (int)c->max_redirs;
    o->sensitive_headers = c->sensitive;
    o->compressed = c->compressed;
    o->proxy = c->http_proxy;
    o->https_proxy = c->https_proxy != NULL ? c->https_proxy : c->http_proxy != NULL ? "" : NULL;
    if (o->proxy != NULL || o->https_proxy != NULL)
        o->no_proxy = c->no_proxy;
    o->unix_socket = c->unix_socket;
    o->resolve = c->resolve;
    o->connect_to = c->connect_to;
    o->local_address = c->local_address;
    o->ip_version = c->ipv4 ? 4 : c->ipv6 ? 6 : 0;
    o->tls.ca_file = c->cacert;
    o->tls.pin_sha256 = c->pin;
    o->tls.client_cert_file = c->cert;
    o->tls.client_key_file = c->key;
    o->tls.insecure_no_verify = c->insecure;
}

static void run_options(app *a, sparp_options *o) {
    const config *c = a->config;
    memset(o, 0, sizeof *o);
    net_options(c, o);
    o->next_request = next_request;
    o->estimated_input_size = (uint64_t)c->total;
    o->max_at_once = (int)c->max_at_once;
    o->max_at_once_per_origin = (int)c->per_host;
    o->workers = (int)c->workers;
    o->max_per_second = c->max_per_second;
    o->burst = (int)c->burst;
    o->run_deadline_s = c->deadline;
    if (c->given[OPTION_OK] || c->given[OPTION_RETRY_ON])
        o->inspect = inspect_by_lists;
    o->max_retries_by_soft_fail = retries_option(c, OPTION_SOFT_RETRIES, c->soft_retries);
    o->max_retries_by_timeout = retries_option(c, OPTION_TIMEOUT_RETRIES, c->timeout_retries);
    o->max_retries_by_transport = retries_option(c, OPTION_TRANSPORT_RETRIES, c->transport_retries);
    o->backoff_s = none_if_zero(c, OPTION_BACKOFF, c->backoff);
    o->backoff_max_s = c->backoff_max;
    o->retry_after_max_s = none_if_zero(c, OPTION_RETRY_AFTER_MAX, c->retry_after_max);
    o->retry_safe_only = c->retry_safe_only;
    o->retry_unsafe = c->retry_unsafe;
    o->stop_on = c->stop_on;
    o->stop_after_failures = (int)c->max_fail;
    o->stop_after_successes = (int)c->first;
    o->stop_after_failure_ratio = (double)c->max_fail_percent / 100;
    o->stop_drains = c->given[OPTION_STOP_MODE] ? c->stop_mode == MODE_DRAIN
        : c->max_fail + c->max_fail_percent > 0;
    o->ordered = c->order == ORDER_INPUT;
    o->headers = c->headers + c->num_removed;
    o->num_headers = c->num_headers - c->num_removed;
    o->max_body_bytes = c->max_body;
    o->discard_body = c->body == BODY_NONE;
    if (c->body_dir != NULL) {
        o->on_body = on_body;
        o->parse = on_body_end;
    }
    o->on_retry = on_retry;
    o->logger.func = c->quiet ? NULL : on_log;
    o->logger.max_level = SPARP_LOG_WARN;
    o->user_data = a;
}

/* Takes what the system allows. Too few is no failure: then there are fewer requests at once, for
   sockets must not take what files and look-ups need. */
static void provide_descriptors(const config *c, sparp_options *o) {
    struct rlimit limit;
    /* Each has a connection, and a file; with --order input so may those whose body has broken off
       and whose result waits, of which there are four times as many at most. */
    rlim_t each = c->body_dir == NULL ? 1 : c->order == ORDER_INPUT ? 6 : 2;
    rlim_t extra = DESCRIPTORS_EXTRA;
    rlim_t at_once = c->max_at_once > 0 ? (rlim_t)c->max_at_once
                   : c->max_at_once == SPARP_AUTO ? 1000 : 100;
    int64_t workers = c->workers == SPARP_AUTO ? sysconf(_SC_NPROCESSORS_ONLN) : c->workers;
    if (workers > 1)
        extra += (rlim_t)workers * DESCRIPTORS_WORKER;
    rlim_t needed = at_once * each + extra;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return;
    limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= needed || c->max_at_once == SPARP_AUTO)
        return;
    unsigned long long have = (unsigned long long)limit.rlim_cur;
    unsigned long long fits = have > extra + each ? (have - extra) / each : 1;
    o->max_at_once = (int)fits;
    if (fits > 100)
        fits -= fits % 100;
    say("-c %llu needs %llu file descriptors, the limit is %llu: fewer at once. "
        "Raise it with 'ulimit -n %llu' or use -c %llu.", (unsigned long long)at_once,
        (unsigned long long)needed, have, ((unsigned long long)needed + 999) / 1000 * 1000, fits);
}

static void app_free(app *a) {
    while (a->spare != NULL) {
        ticket *next = a->spare->next;
        text_free(&a->spare->parts);
        free(a->spare);
        a->spare = next;
    }
    while (a->held_first != NULL) {
        held *next = a->held_first->next;
        text_free(&a->held_first->record);
        free(a->held_first);
        a->held_first = next;
    }
    sink_close(&a->out);
    sink_close(&a->rejects);
    if (a->body_dir >= 0)
        (void)close(a->body_dir);
    reader_free(&a->reader);
    parser_free(&a->parser);
    free(a);
}

/* False after a message: what is written where is settled before anything is sent. */
static bool app_open_outputs(app *a) {
    const config *c = a->config;
    struct stat info;
    a->out.fd = STDOUT_FILENO;
    a->out.name = "stdout";
    if (c->summary_file != NULL && is_an_input(&a->reader, c->summary_file)) {
        say("%s is input and output", c->summary_file);
        return false;
    }
    if ((c->rejects != NULL && !sink_open(&a->rejects, &a->reader, c->rejects))
        || (c->output != NULL && !sink_open(&a->out, &a->reader, c->output)))
        return false;
    bool twice = c->rejects != NULL && fstat(a->rejects.fd, &info) == 0
        && is_output_of(&a->out, &info);
    if (!twice && c->summary_file != NULL && stat(c->summary_file, &info) == 0)
        twice = is_output_of(&a->out, &info) || is_output_of(&a->rejects, &info);
    if (twice) {
        say("%s would be two outputs in one", a->out.name);
        return false;
    }
    sink_begin(&a->rejects);
    if (c->output != NULL)
        sink_begin(&a->out);
    return true;
}

/* False after a message. */
static bool app_open_body_dir(app *a) {
    const char *dir = a->config->body_dir;
    bool made = mkdir(dir, 0777) == 0 || errno == EEXIST;
    if (made)
        a->body_dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (a->body_dir >= 0 && faccessat(a->body_dir, ".", W_OK | X_OK, 0) == 0)
        return true;
    say("--body-dir: cannot %s %s: %s", made ? "write to" : "create", dir, strerror(errno));
    return false;
}

/* Input and outputs opened; NULL after a message. */
static app *app_new(const config *c) {
    app *a = (app *)calloc(1, sizeof *a);
    if (a == NULL) {
        say("out of memory");
        return NULL;
    }
    a->config = a->parser.config = c;
    a->reader.fd = a->rejects.fd = a->out.fd = a->body_dir = -1;
    a->style.ascii = c->ascii;
    a->style.echo = c->echo;
    a->style.body = c->body;
    a->style.headers = c->headers_shown;
    a->style.body_dir = c->body_dir;
    if (!reader_open(&a->reader, c->sources, c->num_sources) || !app_open_outputs(a)) {
        app_free(a);
        return NULL;
    }
    a->now_ms = wall_ms();
    return a;
}

static void app_say_bad_lines(const app *a) {
    if (a->bad_lines == 0 || (a->config->quiet && !a->input_refused))
        return;
    bool skipped = a->config->on_bad_line == BAD_LINE_SKIP;
    const char *hint = skipped ? "skipped" : "see outcome \"invalid\"";
    say("%s            (%llu bad line%s; %s)", a->first_bad, (unsigned long long)a->bad_lines,
        a->bad_lines == 1 ? "" : "s", hint);
}

/* Why the run ended before its input did; nothing if it did not. */
static void app_say_stop(const app *a, const sparp_stats *s) {
    const config *c = a->config;
    unsigned long long done = (unsigned long long)(s->success + stats_failed(s));
    if (signal_stops > 0 && s->input_size > 0)
        say("interrupted after %llu of %s%llu.", done, s->input_ended ? "" : "~",
            (unsigned long long)s->input_size);
    else if (signal_stops > 0)
        say("interrupted after %llu.", done);
    else if (s->stopped == SPARP_STOPPED_BY_DEADLINE)
        say("stopped after %llu: the --deadline has passed", done);
    else if (s->stopped == SPARP_STOPPED_BY_RULE)
        say("stopped after %llu by %s", done, fired_by_max_fail(c, s) ? "--max-fail" : "--stop-on");
    else if (s->stopped == SPARP_STOPPED_BY_ERROR)
        say("stopped after %llu: %s", done, sparp_error_detail(a->run));
    if (a->out_of_memory)
        say("out of memory after %llu requests", done);
}

static bool app_show_summary(const app *a, const sparp_stats *s) {
    summary y;
    memset(&y, 0, sizeof y);
    y.tally = &a->tally;
    y.elapsed_us = s->elapsed_us;
    memcpy(y.waited_us, s->waited_us, sizeof y.waited_us);
    y.connects = s->connects;
    y.reuses = s->reuses;
    y.soft_retries = s->soft_retries;
    y.timeout_retries = s->timeout_retries;
    y.transport_retries = s->transport_retries;
    y.redirects = s->redirects;
    y.histogram = a->config->verbose || isatty(STDERR_FILENO);
    y.utf8 = a->progress.utf8;
    y.out = &a->out;
    y.rejects = &a->rejects;
    y.body_dir = a->config->body_dir;
    y.body_files = a->body_files;
    return summary_show(a->config, &y);
}

/* The table of exit codes, top down. */
static int app_exit_code(const app *a, const sparp_stats *s) {
    const config *c = a->config;
    bool bad = stats_failed(s) + s->cancelled + s->not_started > 0
            || a->tally.outcomes[OUTCOME_INVALID] > 0;
    bool lost = a->input_failed || a->out_of_memory || s->stopped == SPARP_STOPPED_BY_ERROR;
    if (lost && s->pulled == 0)
        return EXIT_USAGE;
    if (a->input_refused && s->pulled == 0)
        return EXIT_USAGE;
    if (lost || app_has_failed(a))
        return EXIT_OUTPUT;
    if (s->stopped == SPARP_STOPPED_BY_DEADLINE)
        return EXIT_DEADLINE;
    if (a->input_refused || s->stopped == SPARP_STOPPED_BY_RULE)
        return EXIT_RULE;
    if (c->first > 0)
        bad = s->success < (uint64_t)c->first;
    return bad && !c->no_fail ? EXIT_SOME_BAD : EXIT_ALL_OK;
}

static int run_requests(config *c) {
    sparp_options options;
    sparp_error error;
    if (!config_proxies(c))
        return EXIT_USAGE;
    app *a = app_new(c);
    if (a == NULL)
        return EXIT_USAGE;
    if (c->body_dir != NULL && !app_open_body_dir(a)) {
        app_free(a);
        return EXIT_USAGE;
    }
    progress_open(&a->progress, c);
    run_options(a, &options);
    provide_descriptors(c, &options);
    signals_catch();
    a->run = sparp_open(&options, &error);
    if (a->run == NULL) {
        const char *why = sparp_check_options(&options);
        say("cannot start: %s", why[0] != '\0' ? why : sparp_error_text(error));
        app_free(a);
        return EXIT_USAGE;
    }
    signal_run = a->run;
    app_loop(a);
    signal_run = NULL;
    sparp_stats s = sparp_get_stats(a->run);
    clear_bar();
    app_say_bad_lines(a);
    app_say_stop(a, &s);
    bool shown = app_show_summary(a, &s);
    if (c->drain_input && signal_stops == 0)
        reader_drain(&a->reader);
    sink_close(&a->out);
    sink_close(&a->rejects);
    int code = shown ? app_exit_code(a, &s) : EXIT_OUTPUT;
    sparp_close(a->run);
    app_free(a);
    if (signal_stops > 0 && code != EXIT_OUTPUT)
        signal_die();
    return code;
}

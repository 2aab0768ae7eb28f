/* sparp/modes.h - what sends nothing: --dry-run, --summarize. Uses run, and what is above it. */

static void dry_show(app *a, ticket *k, const item *it) {
    const config *c = a->config;
    sparp_request request;
    item_request(&a->parser, it, &request, form_read);
    bool filled = ticket_fill(k, a->reader.lines - 1, it, c->echo);
    if (filled && it->body_file != NULL)
        app_take_body_file(a, k, it, &request);
    if (k->failure_size > 0) {          /* said in the place of the body */
        request.body = "";
        request.body_size = 0;
    }
    sent *s = filled && !k->parts.failed ? sent_new(c, &request) : NULL;
    if (s == NULL)
        a->out_of_memory = true;
    else if (c->curl)
        put_curl(&a->out.buffer, c, k, s);
    else
        put_dry_record(&a->out.buffer, &a->style, c, k, s);
    if (s != NULL)
        sent_free(s);
    sink_record_done(&a->out);
}

/* One record, or command, per line, nothing sent. */
static int run_dry(config *c) {
    app *a = app_new(c);
    if (a == NULL)
        return EXIT_USAGE;
    ticket k;
    item it;
    read_state state;
    memset(&k, 0, sizeof k);
    while ((state = app_next_item(a, &it)) != READ_END && state != READ_FAILED) {
        if (state != READ_LINE) {
            struct pollfd wait = { a->reader.fd, POLLIN, 0 };
            app_flush(a);
            if (a->input_waits)
                (void)poll(&wait, 1, -1);
            a->input_waits = false;
            continue;
        }
        dry_show(a, &k, &it);
        if (app_has_failed(a))
            break;
    }
    text_free(&k.parts);
    app_flush(a);
    app_say_bad_lines(a);
    sink_close(&a->out);
    sink_close(&a->rejects);
    int code = a->out_of_memory || a->input_failed || a->input_refused ? EXIT_USAGE : EXIT_ALL_OK;
    if (a->tally.outcomes[OUTCOME_INVALID] > 0 && code == EXIT_ALL_OK)
        code = EXIT_SOME_BAD;
    if (app_has_failed(a) && !a->out_of_memory)
        code = EXIT_OUTPUT;
    if (code == EXIT_SOME_BAD && c->no_fail)
        code = EXIT_ALL_OK;
    app_free(a);
    return code;
}

static int outcome_find(slice name) {    /* -1: no such */
    if (slice_is(name, "invalid"))
        return OUTCOME_INVALID;
    for (int i = 0; i < SPARP_OUTCOME_COUNT; i++) {
        if (slice_is(name, sparp_outcome_name((sparp_outcome)i)))
            return i;
    }
    return -1;
}

static sparp_error error_find(slice kind) {
    for (int i = 0; i < SPARP_E_COUNT; i++) {
        if (same_name(kind, slice_of(sparp_error_name((sparp_error)i))))
            return (sparp_error)i;
    }
    return SPARP_E_SYSTEM;
}

static sparp_phase phase_find(slice name) {
    for (int i = 0; i < SPARP_PHASE_COUNT; i++) {
        if (slice_is(name, sparp_phase_name((sparp_phase)i)))
            return (sparp_phase)i;
    }
    return SPARP_PHASE_FIRST_BYTE;
}

static int tried_find(slice name) {
    int64_t status;
    if (parse_count(name, &status) && status > 0 && status < STATUS_END)
        return (int)status;
    return slice_is(name, "unknown") ? TRIED_ERROR : TRIED_ERROR + (int)error_find(name);
}

typedef struct saved {           /* a record read back */
    sample sample;
    tried tries;
    bool has_outcome;
} saved;

static double take_number(slice raw) {
    return raw.size > 0 && (is_digit(raw.at[0]) || raw.at[0] == '-') ? json_number_value(raw) : 0;
}

/* `times` the number, as a whole one from 0 to `most`: what a record says need not be true. */
static int64_t take_whole(slice raw, double times, int64_t most) {
    double value = take_number(raw) * times + 0.5;
    return value < (double)most ? value > 0 ? (int64_t)value : 0 : most;
}

enum { SAVED_TRIES_MAX = 1000000 };

static const int64_t saved_us_max = INT64_C(1000000000000);      /* eleven days */
static const int64_t saved_ms_max = INT64_C(100000000000000);    /* Unix time: the year 5138 */
static const int64_t saved_count_max = INT64_C(1) << 53;         /* what a double has exactly */
static const double saved_cost_max = 1e15;

static slice unquoted(slice raw) {
    slice s = { raw.at + 1, raw.size - 2 };
    return raw.size >= 2 && raw.at[0] == '"' ? s : raw;
}

/* One member of "ms", "bytes" or "error". */
static void saved_inner(saved *v, slice outer, slice key, slice raw) {
    sample *s = &v->sample;
    if (slice_is(outer, "retried"))
        tried_add(&v->tries, tried_find(key), (unsigned)take_whole(raw, 1, SAVED_TRIES_MAX));
    if (slice_is(outer, "ms")) {
        int64_t us = take_whole(raw, 1000, saved_us_max);
        for (int i = 0; i < SPARP_WAIT_COUNT; i++)
            if (slice_is(key, sparp_wait_name((sparp_wait)i)))
                s->waited_us[i] = us;
        if (slice_is(key, "cost"))
            s->waited_cost_us = us;
        if (slice_is(key, "total"))
            s->elapsed_us = us;
        if (slice_is(key, "all"))
            s->total_us = us;
    } else if (slice_is(outer, "bytes")) {
        if (slice_is(key, "in"))
            s->bytes_in = (uint64_t)take_whole(raw, 1, saved_count_max);
        if (slice_is(key, "out"))
            s->bytes_out = (uint64_t)take_whole(raw, 1, saved_count_max);
    } else if (slice_is(outer, "error")) {
        if (slice_is(key, "kind"))
            s->error = error_find(unquoted(raw));
        if (slice_is(key, "phase"))
            s->phase = phase_find(unquoted(raw));
    }
}

static void saved_member(saved *v, slice key, slice raw) {
    sample *s = &v->sample;
    slice inside = key, outer;
    (void)slice_split(&inside, '.', &outer);
    if (inside.at != NULL)              /* "ms.total", as --fields writes it */
        saved_inner(v, outer, inside, raw);
    if (slice_is(key, "outcome")) {
        s->outcome = outcome_find(unquoted(raw));
        v->has_outcome = s->outcome >= 0;
    }
    if (slice_is(key, "index"))
        s->index = (uint64_t)take_whole(raw, 1, saved_count_max);
    if (slice_is(key, "status"))
        s->status = (int)take_whole(raw, 1, STATUS_END);
    if (slice_is(key, "attempts"))
        s->attempts = (int)take_whole(raw, 1, SAVED_TRIES_MAX);
    if (slice_is(key, "redirects"))
        s->redirects = (int)take_whole(raw, 1, SAVED_TRIES_MAX);
    if (slice_is(key, "cost")) {
        double cost = take_number(raw);
        s->has_cost = cost >= 0 && cost <= saved_cost_max;
        s->cost = s->has_cost ? cost : 0;
    }
    if (slice_is(key, "t"))
        s->at_ms = take_whole(raw, 1000, saved_ms_max);
    if (slice_is(key, "reused"))
        s->reused = slice_is(raw, "true");
    if (slice_is(key, "url"))
        s->url = unquoted(raw);
    bool nested = slice_is(key, "ms") || slice_is(key, "bytes") || slice_is(key, "error")
        || slice_is(key, "retried");
    if (!nested || raw.size == 0 || raw.at[0] != '{')
        return;
    json j = json_of(slice_from(raw, 1));
    slice inner_key, inner;
    bool first = true;
    while (json_more(&j, '}', &first)) {
        if (!json_key(&j, &inner_key) || !json_value(&j, &inner))
            return;
        saved_inner(v, key, inner_key, inner);
    }
}

/* A record as this command writes it; false: the line is none. */
static bool saved_parse(saved *v, slice line) {
    json j = json_of(line);
    slice key, raw;
    bool first = true;
    memset(v, 0, sizeof *v);
    v->sample.tried = &v->tries;
    if (!json_take(&j, '{', "expected an object"))
        return false;
    while (json_more(&j, '}', &first)) {
        if (!json_key(&j, &key) || !json_value(&j, &raw))
            return false;
        saved_member(v, key, raw);
    }
    return j.error == NULL && json_end(&j) && v->has_outcome;
}

/* The URL is there as JSON has it. */
static void report_saved(app *a, sample *s) {
    a->record.size = 0;
    if (!put_json_decoded(&a->record, s->url))
        a->record.size = 0;
    slice url = { a->record.at, a->record.size };
    s->url = url;
    if (a->record.failed)
        a->out_of_memory = true;
    report_add(a->report.report, s);
}

static bool summarize_line(app *a, slice line) {
    saved v;
    if (!saved_parse(&v, line))
        return false;
    unsigned known = tried_sum(&v.tries) + 1;
    if (v.sample.attempts > 0 && (unsigned)v.sample.attempts > known)
        tried_add(&v.tries, TRIED_ERROR, (unsigned)v.sample.attempts - known);
    tally_add(&a->tally, &v.sample);
    if (a->report.report != NULL)
        report_saved(a, &v.sample);
    return true;
}

/* The summary of records saved before, of any number of files. */
static int run_summarize(config *c) {
    app *a = app_new(c);
    if (a == NULL)
        return EXIT_USAGE;
    uint64_t strange = 0;
    slice line;
    read_state state;
    while ((state = reader_next(&a->reader, &line)) != READ_END && state != READ_FAILED) {
        if (state == READ_LATER) {
            struct pollfd wait = { a->reader.fd, POLLIN, 0 };
            (void)poll(&wait, 1, -1);
        } else if (state == READ_TOO_LONG
                   || (trimmed(line).size > 0 && !summarize_line(a, line))) {
            strange++;
        }
    }
    if (strange > 0)
        say("%llu line%s skipped: not a record of sparp", (unsigned long long)strange,
            strange == 1 ? "" : "s");
    summary y;
    memset(&y, 0, sizeof y);
    y.tally = &a->tally;
    y.columns = terminal_columns();
    y.histogram = c->verbose || isatty(STDERR_FILENO);
    y.utf8 = terminal_takes_utf8();
    if (a->out_of_memory)
        say("out of memory");
    bool shown = state != READ_FAILED && !a->out_of_memory && report_publish(&a->report, c, &y);
    y.report = shown ? c->report : NULL;
    shown = summary_show(c, &y, &a->summary) && shown;
    app_free(a);
    return state == READ_FAILED ? EXIT_USAGE : shown ? EXIT_ALL_OK : EXIT_OUTPUT;
}

/* sparp/run.h - the loop that joins all of the above, and what it asks the library for. */

enum { LINES_PER_PULL = 1000 };  /* lines without a request, before the loop gets its turn back */
enum { COUNT_REST_US = 1000000 };  /* that long unread lines are counted */
enum { LEFT_ASKED = 1000 };      /* origins whose limits are looked at, of those that tell */
enum { HELD_MAX = 1000 };        /* bad lines that wait for the results before them */
enum { SPARE_TEXT_MAX = 64 * 1024, DESCRIPTORS_EXTRA = 16, DESCRIPTORS_WORKER = 4 };

typedef struct held {            /* --order input: a finished record that is not due yet */
    struct held *next;
    uint64_t after;                     /* results to be delivered first */
    text record;
    uint64_t index, key;                /* for the journal */
} held;

typedef struct app {
    config *config;
    parser parser;
    reader reader;
    record_style style;
    sink out, rejects, summary;
    report_file report;
    tally tally;
    progress progress;
    sparp *run;
    ticket *spare;                      /* free list */
    held *held_first, *held_last;
    size_t num_held;
    uint64_t pulled, delivered;         /* requests handed to the run, results got back */
    int body_dir;                       /* descriptor of --body-dir, or -1 */
    uint64_t body_files;                /* written there */
    hash_set names;                     /* that they have got */
    journal journal;
    uint64_t key;                       /* in it, of the request being made */
    hash_set done;                      /* by an earlier run: --resume */
    uint64_t done_before;               /* lines left out for that */
    uint64_t failed_before;             /* of those */
    column_names columns;                    /* of --csv and --tsv, and the line that names them */
    text first_line;
    text record;                        /* whole, before it becomes what is wanted of it */
    bool viewed;                        /* --only, --fields, --output-format */
    bool bodies_failed;                 /* one could not be written: said so */
    uint64_t costs_unknown;             /* answers that do not say it: --cost-from */
    uint64_t bad_lines;
    char range[40], validator[1024];    /* of the request being made */
    char first_bad[512];                /* message of the first one */
    int64_t now_ms;                     /* wall clock of this turn's results; 0: none yet */
    int stops_seen;                     /* how many of signal_stops have been acted upon */
    bool input_waits;                   /* the next line has to be waited for */
    bool input_paused;                  /* too much is held, see app_is_full() */
    bool input_ended;                   /* read to its end, or as far as --limit */
    uint64_t not_read;                  /* lines after a stop: in the rejects, if there are any */
    bool rest_unknown;                  /* there may be more of them */
    bool input_failed;                  /* could not be read, or no memory for it: said so */
    bool input_refused;                 /* --on-bad-line fail */
    bool step_sleeps;                   /* we are inside a step that may sleep */
    bool aborted;
    bool out_is_watched;                /* records go to a terminal, or a pipe: it is not silent */
    bool ratio_exceeded;                /* --max-fail P%: the run was stopped for it */
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
    if (k->url.room > SPARE_TEXT_MAX)
        text_free(&k->url);
    k->next = a->spare;
    a->spare = k;
}

static bool app_has_failed(const app *a) {
    return a->out.failed || a->rejects.failed || a->journal.lines.failed || a->bodies_failed
        || a->out_of_memory;
}

/* `line` as it was, but for its LF. */
static void app_reject(app *a, slice line) {
    if (a->rejects.fd < 0)
        return;
    if (a->first_line.size > 0 && a->rejects.lines == 0) {       /* rows without names are none */
        put_bytes(&a->rejects.buffer, a->first_line.at, a->first_line.size);
        put_char(&a->rejects.buffer, '\n');
        sink_record_done(&a->rejects);
    }
    put_slice(&a->rejects.buffer, line);
    put_char(&a->rejects.buffer, '\n');
    sink_record_done(&a->rejects);
}

static void app_flush(app *a) {
    if (a->out.buffer.size > 0 && a->progress.mode == PROGRESS_RARELY && a->out_is_watched)
        progress_shown(&a->progress, monotonic_us());
    if (a->out.buffer.size > 0 || a->out.buffer.failed)
        sink_flush(&a->out);
    if (a->rejects.buffer.size > 0 || a->rejects.buffer.failed)
        sink_flush(&a->rejects);
    if (!a->out.failed && (a->journal.lines.buffer.size > 0 || a->journal.lines.buffer.failed))
        sink_flush(&a->journal.lines);
}

/* After its record: it has its final result. */
static void app_note(app *a, uint64_t index, uint64_t key, const char *outcome) {
    if (a->journal.lines.fd >= 0)
        journal_note(&a->journal, index, key, outcome,
                     a->journal.offset + a->out.written + a->out.buffer.size);
}

/* What is wanted of the record in a->record; false: nothing. */
static bool app_put(app *a, text *to, bool success, int status) {
    slice record = { a->record.at, a->record.size };
    bool wanted = view_wants(a->config, success, status);
    if (a->record.failed)
        to->failed = true;
    else if (wanted)
        put_view(to, a->config, record);
    a->record.size = 0;
    return wanted;
}

/* With --order input, a bad line's record keeps its place between those of its neighbours. */
static void app_hold(app *a, uint64_t index, slice message, slice line) {
    held *h = (held *)calloc(1, sizeof *h);
    if (h == NULL) {
        a->out_of_memory = true;
        return;
    }
    put_bad_record(&a->record, &a->style, index, message, line);
    (void)app_put(a, &h->record, false, -1);
    if (h->record.failed)
        a->out_of_memory = true;
    h->index = index;
    h->key = a->key;
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
        app_note(a, h->index, h->key, "invalid");
        if (h->record.size > 0)
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
        app_reject(a, reader_raw(r, line));
    if (a->config->order == ORDER_INPUT && a->delivered < a->pulled) {
        app_hold(a, r->lines - 1, sentence, line);
        return;
    }
    put_bad_record(&a->record, &a->style, r->lines - 1, sentence, line);
    if (a->config->curl)
        PUT(&a->out.buffer, "# ");      /* among commands it is a comment */
    bool written = app_put(a, &a->out.buffer, false, -1);
    app_note(a, r->lines - 1, a->key, "invalid");
    if (written)
        sink_record_done(&a->out);
}

/* The line that names the columns: the same in each file. false after a message. */
static bool app_take_names(app *a, slice line) {
    config *c = a->config;
    slice known = { a->first_line.at, a->first_line.size };
    const char *name = a->reader.name, *wrong = NULL;
    if (known.size > 0) {
        known.size -= known.at[known.size - 1] == '\r';
        if (known.size == line.size && memcmp(known.at, line.at, line.size) == 0)
            return true;
        say("%s:1: other columns than in the first file", name);
        return false;
    }
    if (utf8_good_prefix(line) < line.size)
        wrong = "not UTF-8";
    else
        wrong = columns_take(&a->columns, &a->parser.row, line, c->csv ? ',' : '\t', c->csv);
    put_slice(&a->first_line, reader_raw(&a->reader, line));
    if (wrong != NULL || a->columns.kept.failed || a->first_line.failed) {
        say("%s:1: %s", name, wrong != NULL ? wrong : "out of memory");
        return false;
    }
    return check_templates(c, &a->columns, false);
}

static bool app_is_names(const app *a) {
    return (a->config->csv || a->config->tsv) && a->reader.lines_here == 1 && !a->reader.argument;
}

static bool app_is_at_limit(const app *a) {
    const config *c = a->config;
    return c->given[OPTION_LIMIT] && a->reader.lines >= (uint64_t)(c->skip + c->limit);
}

static bool app_is_ours(const app *a) {
    const config *c = a->config;
    return a->reader.lines > (uint64_t)c->skip && shard_has(c, a->reader.lines - 1);
}

/* What tells one request from another, as far as a body in a file is concerned. */
static void put_identity(text *t, const sparp_request *request) {
    const char *before = "?";
    slice url = slice_of(request->url);
    size_t scheme = starts_with(url, "https") ? 8 : 7;
    slice rest = slice_from(url, url.size < scheme ? url.size : scheme);
    slice authority = { rest.at, find_any(rest, "/?#") };
    while (authority.size > 0 && authority.at[authority.size - 1] != '@')
        authority.size--;
    put_bytes(t, url.at, url.size - rest.size);
    put_slice(t, slice_from(rest, authority.size));      /* a password is not for a file */
    for (size_t i = 0; i < request->num_query; i++, before = "&") {
        put_text(t, before);
        put_percent(t, slice_of(request->query[i].name));
        put_char(t, '=');
        put_percent(t, slice_of(request->query[i].value));
    }
    for (size_t i = 0; i < t->size; i++)
        if (t->at[i] == '\n')
            t->at[i] = ' ';
}

static uint64_t hash_text(uint64_t hash, const char *s) {
    return s == NULL ? hash_byte(hash, '\1') : hash_byte(hash_bytes(hash, slice_of(s)), '\0');
}

/* The parts of a form, without the line between them, which is another one in each run. */
static uint64_t hash_form(uint64_t hash, const config *c) {
    for (size_t i = 0; i < c->num_parts; i++) {
        const form_part *part = &c->parts[i];
        slice value = { part->value, part->path == NULL ? (size_t)part->size : 0 };
        hash = hash_text(hash, strstr(part->head, "Content-Disposition"));
        hash = hash_bytes(hash_text(hash, part->path), value);
    }
    return hash;
}

/* What the command line adds to a request. A credential is none of it: the next run may have
   another one, for tokens do not last. */
static uint64_t hash_defaults(uint64_t hash, const parser *p, const item *it) {
    const config *c = p->config;
    slice data = { c->data, c->data_size }, body = { c->json, c->json_size };
    size_t count = c->words_in_headers ? c->num_removed : c->num_headers;
    for (size_t i = 0; i < count; i++) {
        const sparp_field *f = &c->headers[i];
        if (!is_secret(c, slice_of(f->name)) && !list_has(&p->headers, f->name))
            hash = hash_text(hash_text(hash, f->name), f->value);
    }
    if (it->method == NULL && c->method != NULL)
        hash = hash_text(hash, c->method);
    if (it->json != NULL || it->body != NULL)
        return hash;
    if (c->data != NULL)
        hash = hash_bytes(hash_byte(hash, 'd'), data);
    return hash_form(c->json != NULL ? hash_bytes(hash_byte(hash, 'j'), body) : hash, c);
}

/* Is that line of a template the same for all rows, and a credential? */
static bool is_fixed_secret(const parser *p, size_t i) {
    const config *c = p->config;
    const sparp_field *f = &p->headers.items[i];
    return c->words_in_headers && is_secret(c, slice_of(f->name))
        && strcmp(f->value, c->headers[c->num_removed + i].value) == 0;
}

/* A request as it is sent. */
static uint64_t app_key(const app *a, const item *it, slice url) {
    const parser *p = &a->parser;
    uint64_t hash = hash_url(hash_text(HASH_START, it->method), url);
    slice body = { it->body, it->body_size };
    for (size_t i = 0; i < p->headers.count; i++)
        if (!is_fixed_secret(p, i))
            hash = hash_text(hash_text(hash, p->headers.items[i].name), p->headers.items[i].value);
    hash = hash_text(hash_text(hash, it->json), it->body_file);
    if (it->body != NULL)
        hash = hash_bytes(hash, body);
    return hash_defaults(hash, p, it);
}

/* An earlier run has ended it. What failed then is in the rejects of this run, too. */
static void app_left_out(app *a, slice line, bool failed) {
    a->done_before++;
    a->failed_before += failed;
    if (failed)
        app_reject(a, reader_raw(&a->reader, line));
}

/* The body of a line that is left out keeps its name: equal ones are numbered in this order. */
static bool app_name_left_out(app *a, const item *it) {
    const config *c = a->config;
    ticket *k = c->body_name != NULL ? ticket_take(a) : NULL;
    if (k == NULL)
        return c->body_name == NULL;
    bool good = ticket_fill(k, a->reader.lines - 1, it, false)
        && name_body(k, &a->names, &a->parser, slice_of(it->url));
    ticket_give_back(a, k);
    return good;
}

/* Has an earlier run ended it? */
static bool app_is_done(app *a, const item *it) {
    parser *p = &a->parser;
    const config *c = a->config;
    text t = { NULL, 0, 0, false };
    sparp_request request;
    journal_state state = JOURNAL_NEW;
    if (c->resume == NULL && a->journal.lines.fd < 0)
        return false;
    memset(&request, 0, sizeof request);
    size_t count = p->query.count;
    for (size_t i = 0; i < c->num_query; i++)
        p->query.items[p->query.count++] = c->query[i];
    request.url = it->url;
    request.query = p->query.items;
    request.num_query = p->query.count;
    put_identity(&t, &request);
    p->query.count = count;
    slice url = { t.at, t.size };
    a->key = app_key(a, it, url);
    if (a->journal.lines.fd >= 0)
        state = journal_pull(&a->journal, a->key);
    else if (hash_has(&a->done, hash_request(it->id, a->reader.lines - 1, url)))
        state = JOURNAL_DONE;
    bool done = state == JOURNAL_DONE || state == JOURNAL_FAILED;
    if (done)
        app_left_out(a, it->line, state == JOURNAL_FAILED);
    if (t.failed || state == JOURNAL_NO_MEMORY || (done && !app_name_left_out(a, it)))
        a->out_of_memory = true;
    text_free(&t);
    return done;
}

/* The same of a line that is no request. */
static bool app_bad_is_done(app *a, slice line) {
    if (a->journal.lines.fd < 0)
        return false;
    a->key = hash_bytes(hash_byte(HASH_START, '!'), line);
    journal_state state = journal_pull(&a->journal, a->key);
    if (state == JOURNAL_DONE)
        app_left_out(a, line, true);
    if (state == JOURNAL_NO_MEMORY)
        a->out_of_memory = true;
    return state == JOURNAL_DONE;
}

/* The next request of the input into *it; bad lines are dealt with on the way. READ_LATER also
   after many lines without any, so that signals and results get their turn: then input_waits is
   not set. */
static read_state app_next_item(app *a, item *it) {
    for (int budget = LINES_PER_PULL; budget > 0; budget--) {
        slice line;
        if (app_is_at_limit(a))
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
        if (app_is_names(a) && (state == READ_TOO_LONG || !app_take_names(a, line))) {
            a->input_failed = true;
            return READ_FAILED;
        }
        if (app_is_names(a) || !app_is_ours(a))
            continue;
        line_kind kind = LINE_BAD;
        if (state == READ_LINE)
            kind = parse_line(&a->parser, line, a->reader.argument, it);
        else
            (void)line_bad(&a->parser, LINE_BYTES_MAX + 1, "line is longer than 64 MiB");
        if (parser_failed(&a->parser)) {
            a->out_of_memory = true;
            app_reject(a, reader_raw(&a->reader, line));
            return READ_FAILED;
        }
        if (kind == LINE_BAD && !app_bad_is_done(a, line))
            app_bad_line(a, line, state == READ_LINE);
        if (app_has_failed(a) || a->input_refused)
            return READ_FAILED;
        if (kind == LINE_REQUEST && !app_is_done(a, it))
            return READ_LINE;
    }
    return READ_LATER;
}

/* Does the host of that answer ask to be left alone, and is it? */
static bool app_closes_gate(const app *a, const sparp_result *r) {
    return !a->config->no_gate
        && (r->status == 429
            || (r->status == 503 && sparp_find_header(r, "retry-after") != NULL));
}

static uint64_t stats_failed(const sparp_stats *s) {
    return s->hard_fail + s->soft_exhausted + s->timeout_exhausted + s->transport_failed
         + s->local_failed;
}

static bool app_max_fail_fired(const app *a, const sparp_stats *s) {
    const config *c = a->config;
    return a->ratio_exceeded || (c->max_fail > 0 && stats_failed(s) >= (uint64_t)c->max_fail);
}

static bool app_rule_fired(const app *a, const sparp_stats *s) {
    return a->ratio_exceeded || s->stopped == SPARP_STOPPED_BY_RULE;
}

/* What the library leaves to us: which rules cut and which drain. */
static void app_rules(app *a) {
    const config *c = a->config;
    if (a->aborted)
        return;
    sparp_stats s = sparp_get_stats(a->run);
    bool mode_given = c->given[OPTION_STOP_MODE];
    if (s.stopped == SPARP_STOPPED_BY_DEADLINE)
        a->aborted = true;
    else if (s.stopped == SPARP_STOPPED_BY_SUCCESSES)
        a->aborted = !mode_given;
    else if (app_max_fail_fired(a, &s))
        a->aborted = mode_given && c->stop_mode == MODE_ABORT;
    else if (s.stopped == SPARP_STOPPED_BY_RULE)
        a->aborted = !mode_given;
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

static bool asks_for_range(const parser *p) {
    const config *c = p->config;
    for (size_t i = 0; i < c->num_headers; i++)
        if (same_name(slice_of(c->headers[i].name), slice_of("range")))
            return true;
    return list_has(&p->headers, "range");
}

/* Where the body goes. A file that is there is kept, and nothing is sent, unless it is of a run
   that was killed before it had the record; the beginning of one is gone on with. False: out of
   memory. */
static bool app_place_body(app *a, ticket *k, sparp_request *out) {
    const config *c = a->config;
    parser *p = &a->parser;
    char name[PART_NAME_MAX];
    struct stat info;
    if (c->body_name != NULL && !name_body(k, &a->names, p, slice_of(out->url)))
        return false;
    bool ours = a->journal.lines.fd >= 0 && hash_has(&a->journal.files, a->key);
    if (!c->overwrite && !ours
        && fstatat(a->body_dir, part_name(name, k, ""), &info, AT_SYMLINK_NOFOLLOW) == 0) {
        k->kept = true;
        out->json = NULL;
        out->body = NULL;
        out->read_body = NULL;
        out->body_size = 1;
        return true;
    }
    bool get = out->method == NULL || same_name(slice_of(out->method), slice_of("get"));
    if (!get || out->body != NULL || out->json != NULL || out->read_body != NULL || c->compressed
        || asks_for_range(p) || (c->given[OPTION_OK] && !c->ok.has[206]))
        return true;
    put_identity(&k->url, out);
    k->part_size = part_find(k, a->body_dir, a->validator, sizeof a->validator, NULL);
    if (k->part_size > 0) {
        (void)snprintf(a->range, sizeof a->range, "bytes=%lld-", (long long)k->part_size);
        sparp_field range = { "Range", a->range }, by = { "If-Range", a->validator };
        p->headers.items[p->headers.count++] = range;
        p->headers.items[p->headers.count++] = by;
        out->headers = p->headers.items;
        out->num_headers = p->headers.count;
    }
    return !k->url.failed;
}

/* From on_retry: what has come already is not asked for again; or all is, if that is no use. */
static void app_go_on(app *a, ticket *k) {
    sparp_field fields[2] = { { "Range", a->range }, { "If-Range", a->validator } };
    sparp_field none[2] = { { "Range", NULL }, { "If-Range", NULL } };
    if (k->part_no_use && sparp_retry_with(a->run, none, 2)) {
        part_drop(k, a->body_dir);
        k->part_size = 0;
        k->part_no_use = k->part_stays = false;
        return;
    }
    int64_t size = part_find(k, a->body_dir, a->validator, sizeof a->validator, NULL);
    if (size <= 0)
        return;
    (void)snprintf(a->range, sizeof a->range, "bytes=%lld-", (long long)size);
    if (sparp_retry_with(a->run, fields, 2))
        k->part_size = size;
}

/* The library counts requests, which a line that is none is not: so do its messages. */
static void app_say_request(app *a, const ticket *k, const sparp_request *r) {
    sent *s = k->kept || k->failure_size > 0 ? NULL : sent_new(a->config, r);
    if (s == NULL)
        return;
    say_sent_head(a->config, a->pulled - 1, s);
    sent_free(s);
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
    a->input_ended = state == READ_END;
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
    it.line = reader_raw(&a->reader, it.line);
    item_request(&a->parser, &it, out, form_read);
    if (k != NULL) {
        k->config = c;
        k->key = a->key;
        k->cost = out->cost > 0 ? out->cost : out->cost < 0 ? 0 : 1;
    }
    bool filled = k != NULL && ticket_fill(k, a->reader.lines - 1, &it, with_line);
    if (filled && it.body_file != NULL)
        app_take_body_file(a, k, &it, out);
    if (filled && a->body_dir >= 0)
        filled = app_place_body(a, k, out);
    if (!filled || k->parts.failed) {
        a->out_of_memory = true;
        app_reject(a, it.line);
        if (k != NULL)
            ticket_give_back(a, k);
        return SPARP_INPUT_FAILED;
    }
    out->user_data = k;
    a->pulled++;
    if (c->very_verbose && !c->quiet)
        app_say_request(a, k, out);
    return SPARP_INPUT_READY;
}

/* The file of its body. One that could not be written is no success, whatever the server said. */
static void app_finish_body(app *a, ticket *k, sparp_result *r) {
    if (a->journal.lines.fd >= 0 && r->outcome == SPARP_OUTCOME_SUCCESS) {
        app_note(a, k->index, k->key, "file");
        app_flush(a);
    }
    bool finished = k->kept || part_finish(k, a->body_dir, r);
    bool exists = k->kept && r->outcome == SPARP_OUTCOME_LOCAL_FAILED;
    a->body_files += k->has_file;
    if (finished && !exists)
        return;
    r->outcome = SPARP_OUTCOME_LOCAL_FAILED;
    r->error = SPARP_E_SINK_FAILED;
    text path = { NULL, 0, 0, false };
    put_body_path(&path, a->style.body_dir, k);
    slice shown = { path.at, path.size };
    const char *why = strerror(k->part_error);
    if (exists) {
        ticket_fail(k, "", shown, "it exists and is kept; --overwrite replaces it, --body-name "
                    "gives other names");
    } else if (k->part_error == EPROTO) {
        ticket_fail(k, "", shown, "the server has sent another part than was asked for");
    } else {
        ticket_fail(k, "cannot write ", shown, why);
        if (!a->bodies_failed)
            say("cannot write %.*s: %s", (int)shown.size, shown.at, why);
        a->bodies_failed = true;
    }
    text_free(&path);
}

/* A proxy of the environment that is no use: the record names the variable. */
static void app_name_proxy(const app *a, ticket *k, const sparp_result *r) {
    if (r->error != SPARP_E_BAD_REQUEST)
        return;
    slice detail = slice_of(r->detail), url = slice_of(r->url);
    const config *c = a->config;
    const char *from = starts_with(url, "https") ? c->https_proxy_from : c->http_proxy_from;
    if (from != NULL && starts_with(detail, "proxy "))
        ticket_fail(k, "", slice_of(from), r->detail);
}

/* The ratio of --max-fail, asked after each result until it says yes, and never after: what is in
   flight then may bring it down again. */
static void app_judge_ratio(app *a) {
    const config *c = a->config;
    if (!(c->max_fail_ratio > 0))
        return;
    uint64_t finished = tally_finished(&a->tally), ok = a->tally.outcomes[SPARP_OUTCOME_SUCCESS];
    if (finished < (uint64_t)c->max_fail_after
        || (double)(finished - ok) < (double)finished * c->max_fail_ratio
        || sparp_get_stats(a->run).stopped != SPARP_STOPPED_NOT)
        return;
    a->ratio_exceeded = true;
    sparp_drain(a->run);
}

/* A result: its record, its line if it failed, its place in the statistics. */
/* -v: a failure that is the last of its request; those before it are told of with their retries. */
static void app_say_end(const app *a, const sparp_result *r) {
    const config *c = a->config;
    if (c->very_verbose && !c->quiet)
        say_answer_head(c, r->index, r);
    if (!c->verbose || c->quiet || r->error == SPARP_E_OK || r->attempts == 0
        || r->outcome == SPARP_OUTCOME_CANCELLED)
        return;
    text words = { NULL, 0, 0, false };
    put_in_our_words(&words, slice_of(r->detail[0] != '\0' ? r->detail
                                      : sparp_error_text(r->error)));
    say("request %llu: %.*s; given up after %d attempt%s", (unsigned long long)r->index,
        (int)words.size, words.at != NULL ? words.at : "", r->attempts,
        r->attempts == 1 ? "" : "s");
    text_free(&words);
}

/* An answer that does not say what it cost, where it could. */
static void app_note_cost(app *a, const ticket *k, const sparp_result *r) {
    if (!k->cost_unknown || r->outcome != SPARP_OUTCOME_SUCCESS)
        return;
    if (a->costs_unknown++ == 0 && !a->config->quiet)
        say("request %llu: the answer has no number at %s, so what was booked stays",
            (unsigned long long)r->index, a->config->cost_from);
}

/* The last try's answer may have closed a gate, too. */
static void app_report(app *a, const sample *s, const sparp_result *r) {
    if (a->report.report == NULL)
        return;
    report_add(a->report.report, s);
    if (r->outcome == SPARP_OUTCOME_SOFT_EXHAUSTED && app_closes_gate(a, r))
        report_add_closing(a->report.report, a->now_ms, 0);
}

static void app_deliver(app *a, const sparp_result *r) {
    ticket *k = (ticket *)r->user_data;
    sparp_result in_file;
    sample s;
    if (a->now_ms == 0)
        a->now_ms = wall_ms();
    if (a->body_dir >= 0) {
        in_file = *r;
        app_finish_body(a, k, &in_file);
        r = &in_file;
    }
    app_name_proxy(a, k, r);
    app_say_end(a, r);
    tried_complete(&k->tries, r->attempts);
    sample_result(&s, r, &k->tries, k->index, a->now_ms);
    s.has_cost = a->style.cost;
    app_note_cost(a, k, r);
    tally_add(&a->tally, &s);
    app_report(a, &s, r);
    bool ended = r->outcome != SPARP_OUTCOME_CANCELLED && r->outcome != SPARP_OUTCOME_NOT_STARTED;
    if (a->journal.lines.fd >= 0 && !ended) {        /* it has its record in the run that ends it */
        if (k->line_size > 0)
            app_reject(a, ticket_line(k));
        ticket_give_back(a, k);
        a->delivered++;
        app_release(a);
        return;
    }
    put_record(a->viewed ? &a->record : &a->out.buffer, &a->style, k, r, a->now_ms);
    if (!a->viewed
        || app_put(a, &a->out.buffer, r->outcome == SPARP_OUTCOME_SUCCESS, r->status)) {
        app_note(a, k->index, k->key, sparp_outcome_name(r->outcome));
        sink_record_done(&a->out);
    }
    if (r->outcome != SPARP_OUTCOME_SUCCESS)
        app_reject(a, ticket_line(k));
    ticket_give_back(a, k);
    a->delivered++;
    app_judge_ratio(a);
    if (a->num_held > 0)
        app_release(a);
}

/* sparp_options.on_result, but for --order input: what waits in the library until it is taken is
   copied first, and a body of 100 KB then takes 88 us of CPU instead of 33. */
static void on_result(sparp *run, const sparp_result *result, void *user_data) {
    (void)run;
    app_deliver((app *)user_data, result);
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

/* Nothing is in flight: is it because servers say that nothing is left? The first end of that. */
static void app_find_quota(const app *a, progress_view *v) {
    double first = 0;
    sparp_left left;
    for (size_t i = 0; v->live == 0 && i < LEFT_ASKED && sparp_get_left(a->run, i, &left); i++)
        if (left.left < 1 && left.reset_s > 0 && (first <= 0 || left.reset_s < first))
            first = left.reset_s;
    v->quota_s = first < 1e9 ? first : 1e9;
}

static void app_show_progress(app *a) {
    sparp_stats s = sparp_get_stats(a->run);
    progress_view v;
    memset(&v, 0, sizeof v);
    uint64_t invalid = a->tally.outcomes[OUTCOME_INVALID];
    v.ok = s.success;
    v.failed = stats_failed(&s) + invalid;
    v.done = v.ok + v.failed;
    v.retries = stats_retries(&s);
    v.live = s.in_flight;
    v.waiting = s.waiting;
    v.cost = s.cost;
    app_find_quota(a, &v);
    v.bytes = s.bytes_in;
    app_total(a, &s, &v);
    progress_show(&a->progress, &v);
}

/* What a stop waits for. */
static void app_say_patience(const app *a) {
    sparp_stats s = sparp_get_stats(a->run);
    double timeout = a->config->timeout > 0 ? a->config->timeout : 30;
    text patience = { NULL, 0, 0, false };
    if (s.in_flight == 0)
        return;
    put_thousandths(&patience, (int64_t)(timeout * 1000));
    put_char(&patience, '\0');
    say("stopping: %llu request%s in flight get%s up to %s s. %s again to cut %s.",
        (unsigned long long)s.in_flight, s.in_flight == 1 ? "" : "s", s.in_flight == 1 ? "s" : "",
        patience.failed ? "30" : patience.at, signal_last == SIGINT ? "Ctrl-C" : "Signal",
        s.in_flight == 1 ? "it" : "them");
    text_free(&patience);
}

/* INT, TERM, HUP: the first drains, the second cuts (the third ends the handler). */
static void app_signals(app *a) {
    if (signal_resized) {
        signal_resized = 0;
        a->progress.columns = terminal_columns();
    }
    if (signal_status) {
        signal_status = 0;
        progress *p = &a->progress;
        int mode = p->mode;
        if (mode != PROGRESS_JSON)
            p->mode = PROGRESS_LINE;
        app_show_progress(a);
        p->mode = mode;
    }
    int stops = signal_stops;
    if (stops > 0 && a->stops_seen == 0) {
        app_say_patience(a);
        sparp_drain(a->run);
    }
    if (stops > 1 && a->stops_seen < 2)
        sparp_abort(a->run);
    a->stops_seen = stops;
}

/* New lines and new answers, whichever comes first. */
static void app_wait_for_input(app *a) {
    struct pollfd wait[2] = { { a->reader.fd, POLLIN, 0 }, { sparp_poll_fd(a->run), POLLIN, 0 } };
    int timeout = sparp_wait_ms(a->run), drawing = progress_wait_ms(&a->progress, monotonic_us());
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
        int drawing = progress_wait_ms(&a->progress, monotonic_us());
        a->now_ms = 0;
        alive = sparp_step(a->run, a->step_sleeps ? drawing : 0);
        a->step_sleeps = false;
        while ((r = sparp_ready(a->run)) != NULL)       /* with --order input */
            app_deliver(a, r);
        if (a->num_held > 0)
            app_release(a);
        if (a->input_paused && !app_is_full(a)) {
            a->input_paused = false;
            sparp_wake(a->run);
        }
        app_flush(a);
        app_rules(a);
        if (progress_wait_ms(&a->progress, monotonic_us()) == 0)
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

/* sparp_options.inspect with --cost-from, on the threads of the workers: what is beyond what each
   hop of the attempt was booked with. */
static sparp_verdict inspect_cost(const sparp_result *response, void *user_data) {
    const app *a = (const app *)user_data;
    const config *c = a->config;
    ticket *k = (ticket *)response->user_data;
    bool lists = c->given[OPTION_OK] || c->given[OPTION_RETRY_ON];
    sparp_verdict verdict = lists ? inspect_by_lists(response, user_data)
        : sparp_default_inspect(response, NULL);
    slice body = { response->body, response->body_size }, path = slice_of(c->cost_from);
    double cost;
    if (verdict != SPARP_SOFT_FAIL && !response->body_complete)
        return SPARP_NEED_BODY;
    k->cost_unknown = is_event_stream(sparp_find_header(response, "content-type"))
        ? !cost_of_stream(body, path, &cost) : !cost_of_answer(body, path, &cost);
    if (!k->cost_unknown && cost > cost_most(c))
        cost = cost_most(c);
    if (!k->cost_unknown)
        (void)sparp_charge(a->run, response->index, cost - k->cost * (1 + response->redirects));
    return verdict;
}

/* sparp_options.inspect with --body-dir, likewise: the rest of a file may be none. */
static sparp_verdict inspect_part(const sparp_result *response, void *user_data) {
    const app *a = (const app *)user_data;
    const config *c = a->config;
    ticket *k = (ticket *)response->user_data;
    if (!part_serves(k, a->body_dir, response)) {
        k->part_no_use = true;
        return SPARP_SOFT_FAIL;
    }
    return c->given[OPTION_OK] || c->given[OPTION_RETRY_ON]
        ? inspect_by_lists(response, user_data) : sparp_default_inspect(response, NULL);
}

/* sparp_options.on_body, on the threads of the workers */
static sparp_flow on_body(const sparp_result *head, uint64_t offset, const void *data, size_t size,
                          void *user_data) {
    app *a = (app *)user_data;
    ticket *k = (ticket *)head->user_data;
    slice piece = { (const char *)data, size };
    return part_write(k, a->body_dir, head, offset, piece, a->config->compressed)
        ? SPARP_FLOW_ON : SPARP_FLOW_FAILED;
}

/* sparp_options.parse, likewise: the body is complete. Its result may have to wait for its turn,
   and no descriptor should. */
static void *on_body_end(const sparp_result *response, void *user_data) {
    (void)user_data;
    (void)part_close((ticket *)response->user_data);
    return NULL;
}

/* sparp_options.on_retry: what was tried again */
static void on_retry(sparp *run, const sparp_result *attempt, double wait_s, void *user_data) {
    (void)run;
    app *a = (app *)user_data;
    ticket *k = (ticket *)attempt->user_data;
    bool asked = attempt->status == 429
        || (attempt->status == 503 && sparp_find_header(attempt, "retry-after") != NULL);
    if (a->config->very_verbose && !a->config->quiet)
        say_answer_head(a->config, attempt->index, attempt);
    progress_pause(&a->progress, monotonic_us(), wait_s, asked ? attempt->status : 0);
    if (a->report.report != NULL && app_closes_gate(a, attempt))
        report_add_closing(a->report.report, wall_ms(), wait_s);
    part_forget(k);
    if (a->body_dir >= 0)
        app_go_on(a, k);
    tried_add(&k->tries, tried_code(attempt), 1);
}

/* sparp_options.on_redirect, with -vv */
static void on_redirect(sparp *run, const sparp_result *hop, void *user_data) {
    (void)run;
    say_answer_head(((const app *)user_data)->config, hop->index, hop);
}

static void on_log(sparp_log_level level, const char *message, void *user_data) {
    text t = { NULL, 0, 0, false };
    (void)level;
    (void)user_data;
    put_in_our_words(&t, slice_of(message));
    say("%.*s", (int)t.size, t.at);
    text_free(&t);
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
    o->lenient_proxies = c->proxy == NULL;
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
    o->tls.min_version = c->tls_min == TLS_MIN_13 ? SPARP_TLS_1_3 : SPARP_TLS_1_2;
}

/* Processors that we may use, which may be fewer than there are: taskset, cpusets of containers. */
static int64_t processors(void) {
    int64_t count = sysconf(_SC_NPROCESSORS_ONLN);
#if defined(__linux__) && defined(CPU_COUNT)
    cpu_set_t ours;
    if (sched_getaffinity(0, sizeof ours, &ours) == 0)
        count = CPU_COUNT(&ours);
#endif
    return count < 1 ? 1 : count > WORKERS_MAX ? WORKERS_MAX : count;
}

static void run_options(app *a, sparp_options *o) {
    const config *c = a->config;
    memset(o, 0, sizeof *o);
    net_options(c, o);
    o->next_request = next_request;
    o->estimated_input_size = (uint64_t)shard_share(c, c->total);
    o->max_at_once = (int)c->max_at_once;
    o->max_at_once_per_origin = (int)c->per_host;
    o->workers = (int)(c->workers == SPARP_AUTO ? processors() : c->workers);
    o->max_per_second = c->max_per_second;
    o->burst = (int)c->burst;
    o->max_cost_per_second = c->max_cost;
    o->cost_burst = c->cost_burst;
    if (c->cost_from != NULL && !has_cost_limit(c))     /* no limit, but it is booked */
        o->max_cost_per_second = o->cost_burst = COST_MAX;
    o->max_per_second_per_origin = c->per_host_rate;
    o->host_limits = c->host_limits;
    o->num_host_limits = c->num_host_limits;
    o->run_deadline_s = c->deadline;
    if (c->given[OPTION_OK] || c->given[OPTION_RETRY_ON])
        o->inspect = inspect_by_lists;
    if (c->cost_from != NULL)
        o->inspect = inspect_cost;
    if (c->body_dir != NULL)
        o->inspect = inspect_part;
    o->max_retries_by_soft_fail = retries_option(c, OPTION_SOFT_RETRIES, c->soft_retries);
    o->max_retries_by_timeout = retries_option(c, OPTION_TIMEOUT_RETRIES, c->timeout_retries);
    o->max_retries_by_transport = retries_option(c, OPTION_TRANSPORT_RETRIES, c->transport_retries);
    o->backoff_s = none_if_zero(c, OPTION_BACKOFF, c->backoff);
    o->backoff_max_s = c->backoff_max;
    o->retry_after_max_s = none_if_zero(c, OPTION_RETRY_AFTER_MAX, c->retry_after_max);
    o->retry_ratio = c->retry_ratio;
    o->no_gate = c->no_gate;
    o->retry_safe_only = c->retry_safe_only;
    o->retry_unsafe = c->retry_unsafe;
    o->stop_on = c->stop_on;
    o->stop_after_failures = (int)c->max_fail;
    o->stop_after_successes = (int)c->first;
    o->stop_drains = c->given[OPTION_STOP_MODE] ? c->stop_mode == MODE_DRAIN
        : c->max_fail > 0;
    o->ordered = c->order == ORDER_INPUT;
    o->headers = c->headers + c->num_removed;
    o->num_headers = c->num_headers - c->num_removed;
    o->max_body_bytes = c->max_body == 0 && c->body_dir != NULL ? SPARP_NONE : c->max_body;
    o->discard_body = c->body == BODY_NONE && c->cost_from == NULL;
    if (c->body_dir != NULL) {
        o->on_body = on_body;
        o->parse = on_body_end;
    }
    o->on_retry = on_retry;
    o->on_result = c->order == ORDER_INPUT ? NULL : on_result;
    o->on_redirect = c->very_verbose && !c->quiet ? on_redirect : NULL;
    o->logger.func = c->quiet ? NULL : on_log;
    o->logger.max_level = c->verbose ? SPARP_LOG_INFO : SPARP_LOG_WARN;
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
    if (o->workers > 1)
        extra += (rlim_t)o->workers * DESCRIPTORS_WORKER;
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
        text_free(&a->spare->name);
        text_free(&a->spare->url);
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
    sink_close(&a->summary);
    journal_free(&a->journal);
    report_free(&a->report);
    if (a->body_dir >= 0)
        (void)close(a->body_dir);
    hash_free(&a->names);
    hash_free(&a->done);
    text_free(&a->columns.kept);
    text_free(&a->first_line);
    text_free(&a->record);
    reader_free(&a->reader);
    parser_free(&a->parser);
    free(a);
}

/* Is that one of the files that are open for writing? */
static bool app_writes_to(const app *a, const struct stat *info) {
    return is_output_of(&a->out, info) || is_output_of(&a->rejects, info)
        || is_output_of(&a->summary, info);
}

/* False after a message. */
static bool app_open_journal(app *a) {
    const config *c = a->config;
    struct stat info;
    bool input = is_an_input(&a->reader, c->journal);
    if (input || (stat(c->journal, &info) == 0 && app_writes_to(a, &info))) {
        say(input ? "%s is input and output" : "%s would be two outputs in one", c->journal);
        return false;
    }
    bool file = fstat(a->out.fd, &info) == 0 && S_ISREG(info.st_mode);
    if (c->output == NULL && file) {
        say("--journal: give the records their file by -o: a shell would empty it at each start");
        return false;
    }
    if (!journal_open(&a->journal, c))
        return false;
    if (!file && !c->quiet)
        say("--journal: the records go to no file, so that some may come twice after a stop");
    if (file && !journal_cut_output(&a->journal, &a->out, c->restart)) {
        a->journal.lines.buffer.size = 0;
        return false;
    }
    sink_flush(&a->journal.lines);      /* before the first record: it is new no more */
    return !a->journal.lines.failed;
}

/* False after a message. */
static bool app_open_report(app *a) {
    config *c = a->config;
    struct stat part, whole;
    if (c->report == NULL)
        return true;
    if (!report_open(&a->report, c, &a->reader) || fstat(a->report.sink.fd, &part) != 0)
        return false;
    if (!app_writes_to(a, &part)
        && (stat(c->report, &whole) != 0 || !app_writes_to(a, &whole)))
        return true;
    say("%s would be two outputs in one", c->report);
    return false;
}

/* The records begin, or go on. False after a message. */
static bool app_begin_records(app *a) {
    const config *c = a->config;
    if (c->resume != NULL && !resume_read(&a->done, c->resume))
        return false;
    if (c->journal != NULL && !c->dry_run)
        return app_open_journal(a);
    if (c->output != NULL && c->resume == NULL)
        sink_begin(&a->out);
    if (c->resume == NULL || c->output == NULL)
        return true;
    if (resume_append(a->out.fd, c->output))
        return true;
    say("cannot append to %s: %s", c->output, strerror(errno));
    return false;
}

/* False after a message. */
static bool app_open_body_dir(app *a) {
    const char *dir = a->config->body_dir;
    if (dir == NULL || a->config->dry_run || a->config->summarize)
        return true;
    bool made = mkdir(dir, 0777) == 0 || errno == EEXIST;
    if (made)
        a->body_dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (a->body_dir >= 0 && faccessat(a->body_dir, ".", W_OK | X_OK, 0) == 0)
        return true;
    say("--body-dir: cannot %s %s: %s", made ? "write to" : "create", dir, strerror(errno));
    return false;
}

/* False after a message: what is written where is settled before anything is sent. */
static bool app_open_outputs(app *a) {
    const config *c = a->config;
    struct { sink *to; const char *path; } files[] = {
        { &a->out, c->output }, { &a->rejects, c->rejects }, { &a->summary, c->summary_file }
    };
    enum { FILES = sizeof files / sizeof *files };
    struct stat info;
    if (c->output == NULL) {
        a->out.fd = STDOUT_FILENO;
        a->out.name = "stdout";
    }
    for (int i = 0; i < FILES; i++) {
        if (files[i].path != NULL && !sink_open(files[i].to, &a->reader, files[i].path))
            return false;
        for (int k = 0; k < i && files[i].path != NULL; k++) {
            if (fstat(files[i].to->fd, &info) == 0 && is_output_of(files[k].to, &info)) {
                say("%s would be two outputs in one", files[i].path);
                return false;
            }
        }
    }
    if (!app_open_report(a) || !app_open_body_dir(a) || !app_begin_records(a))
        return false;
    sink_begin(&a->rejects);            /* what is refused leaves it as it was */
    return true;
}

/* Input and outputs opened; NULL after a message. */
static app *app_new(config *c) {
    app *a = (app *)calloc(1, sizeof *a);
    if (a == NULL) {
        say("out of memory");
        return NULL;
    }
    a->config = c;
    a->parser.config = c;
    a->reader.fd = a->rejects.fd = a->out.fd = a->summary.fd = a->body_dir = -1;
    a->journal.lines.fd = a->report.sink.fd = -1;
    a->style.ascii = c->ascii;
    a->style.echo = c->echo;
    a->style.compressed = c->compressed;
    a->style.cost = shows_cost(c);
    a->style.body = c->body;
    a->style.headers = c->headers_shown;
    a->style.body_dir = c->body_dir;
    if (c->csv || c->tsv)
        a->parser.columns = &a->columns;
    if (!reader_open(&a->reader, c->sources, c->num_sources) || !app_open_outputs(a)) {
        app_free(a);
        return NULL;
    }
    a->reader.quotes = c->csv;
    a->viewed = c->only != ONLY_ALL || c->fields != NULL || c->output_format != OUTPUT_JSONL;
    struct stat info;
    a->out_is_watched = fstat(a->out.fd, &info) == 0 && !S_ISREG(info.st_mode);
    bool begun = (c->resume != NULL || c->journal != NULL)
        && fstat(a->out.fd, &info) == 0 && info.st_size > 0;
    if (!c->summarize && !c->dry_run && !begun
        && (c->output_format == OUTPUT_CSV || c->output_format == OUTPUT_TSV)) {
        put_view_names(&a->out.buffer, c);
        sink_record_done(&a->out);
    }
    a->now_ms = wall_ms();
    return a;
}

/* After a stop, what was not read goes to the rejects as it is: records and rejects together are
   the input. Without rejects it is counted, for as long as nobody minds. */
static void app_keep_rest(app *a) {
    const config *c = a->config;
    bool drain = c->drain_input, counted = a->rejects.fd < 0 && !drain;
    int stops = signal_stops;
    int64_t until = monotonic_us() + COUNT_REST_US;
    slice line;
    read_state state = READ_LINE;
    while (!a->input_ended && !app_is_at_limit(a)) {
        state = reader_rest(&a->reader, drain, &line, &a->rest_unknown);
        if (state != READ_LINE && state != READ_TOO_LONG)
            break;
        if (!app_is_ours(a) || app_is_names(a)
            || line_is_nothing(c, trimmed(line), a->reader.argument))
            continue;
        a->not_read++;
        app_reject(a, reader_raw(&a->reader, line));
        if (signal_stops > stops || (counted && monotonic_us() > until)) {
            a->rest_unknown = true;
            break;
        }
    }
    if (state == READ_LATER || state == READ_FAILED)
        a->rest_unknown = true;
    app_flush(a);
}

/* Whether --resume would go on with what this run has written. */
static bool app_may_resume(const app *a) {
    const config *c = a->config;
    struct stat info;
    return c->output != NULL && c->resume == NULL && !a->viewed
        && fstat(a->out.fd, &info) == 0 && S_ISREG(info.st_mode);
}

/* The last line, for it says what to do next. */
static void app_say_rest(const app *a, uint64_t skip) {
    const config *c = a->config;
    if (c->journal != NULL && (a->not_read > 0 || a->rest_unknown || signal_stops > 0)) {
        say("to go on, give the same command again: %s knows how far it came", c->journal);
        return;
    }
    const char *some = a->rest_unknown ? "at least " : "";
    unsigned long long lines = (unsigned long long)a->not_read;
    const char *were = lines == 1 ? " was" : "s were";
    bool safe = a->rejects.fd >= 0 && !a->rejects.failed;
    if (lines == 0 && a->rest_unknown && !c->quiet)
        say("the rest of the input was not read: --rejects FILE --drain-input keeps it");
    if (lines == 0 || (c->quiet && safe))
        return;
    if (safe)
        say("%s%llu line%s not read: in %s, with what did not succeed. To go on, give the same "
            "command that file%s.", some, lines, were, a->rejects.name,
            c->shards > 0 ? ", without --shard" : "");
    else if (app_may_resume(a))
        say("%s%llu line%s not read. To go on, add --resume %s: all is sent that has no success "
            "there.", some, lines, were, c->output);
    else
        say("%s%llu line%s not read. To go on, add --skip %llu; --rejects FILE would have kept "
            "them, and what did not succeed.", some, lines, were, (unsigned long long)skip);
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
    unsigned long long done = (unsigned long long)(s->success + stats_failed(s));
    if (signal_stops > 0 && s->input_size > 0)
        say("interrupted after %llu of %s%llu.", done, s->input_ended ? "" : "~",
            (unsigned long long)s->input_size);
    else if (signal_stops > 0)
        say("interrupted after %llu.", done);
    else if (s->stopped == SPARP_STOPPED_BY_DEADLINE)
        say("stopped after %llu: the --deadline has passed", done);
    else if (app_rule_fired(a, s))
        say("stopped after %llu by %s", done,
            app_max_fail_fired(a, s) ? "--max-fail" : "--stop-on");
    else if (s->stopped == SPARP_STOPPED_BY_ERROR)
        say("stopped after %llu: %s", done, sparp_error_detail(a->run));
    if (a->out_of_memory)
        say("out of memory after %llu requests", done);
}

/* The table of exit codes, top down. */
static int app_exit_code(const app *a, const sparp_stats *s) {
    const config *c = a->config;
    bool bad = stats_failed(s) + s->cancelled + s->not_started + a->failed_before > 0
            || a->tally.outcomes[OUTCOME_INVALID] > 0           /* and bodies that are no file */
            || a->tally.outcomes[SPARP_OUTCOME_LOCAL_FAILED] > s->local_failed;
    bool lost = a->input_failed || a->out_of_memory || s->stopped == SPARP_STOPPED_BY_ERROR;
    if (lost && s->pulled == 0)
        return EXIT_USAGE;
    if (a->input_refused && s->pulled == 0)
        return EXIT_USAGE;
    if (lost || app_has_failed(a))
        return EXIT_OUTPUT;
    if (signal_stops > 0)
        return 128 + signal_last;
    if (s->stopped == SPARP_STOPPED_BY_DEADLINE)
        return EXIT_DEADLINE;
    if (a->input_refused || app_rule_fired(a, s))
        return EXIT_RULE;
    if (c->first > 0)
        bad = s->success < (uint64_t)c->first;
    return bad && !c->no_fail ? EXIT_SOME_BAD : EXIT_ALL_OK;
}

/* Why the run ended before its input did, as one word; NULL: it did not. */
static const char *app_stopped(const app *a, const sparp_stats *s) {
    if (app_has_failed(a))
        return "output";
    if (a->input_failed || s->stopped == SPARP_STOPPED_BY_ERROR)
        return "error";
    if (signal_stops > 0)
        return "signal";
    if (s->stopped == SPARP_STOPPED_BY_DEADLINE)
        return "deadline";
    if (s->stopped == SPARP_STOPPED_BY_SUCCESSES)
        return "first";
    if (a->input_refused)
        return "bad_line";
    return !app_rule_fired(a, s) ? NULL : app_max_fail_fired(a, s) ? "max_fail" : "stop_on";
}

static bool app_show_summary(app *a, const sparp_stats *s, int code) {
    summary y;
    sparp_left left;
    memset(&y, 0, sizeof y);
    for (size_t i = 0; i < LEFT_ASKED && sparp_get_left(a->run, i, &left); i++)
        summary_add_left(&y, &left);
    y.tally = &a->tally;
    y.config = a->config;
    y.columns = a->progress.columns;
    y.live = true;
    y.connections = s->connects;
    y.costs_unknown = a->costs_unknown;
    y.not_read = a->not_read;
    y.done_before = a->done_before;
    y.failed_before = a->failed_before;
    y.rest_unknown = a->rest_unknown;
    y.stopped = app_stopped(a, s);
    y.exit_code = code;
    y.histogram = a->config->verbose || isatty(STDERR_FILENO);
    y.utf8 = a->progress.utf8;
    y.out = &a->out;
    y.rejects = &a->rejects;
    y.body_dir = a->config->body_dir;
    y.body_files = a->body_files;
    bool published = report_publish(&a->report, a->config, &y);
    y.report = published ? a->config->report : NULL;
    y.exit_code = published ? code : EXIT_OUTPUT;
    return summary_show(a->config, &y, &a->summary) && published;
}

static int run_requests(config *c) {
    sparp_options options;
    sparp_error error;
    if (!config_proxies(c))
        return EXIT_USAGE;
    app *a = app_new(c);
    if (a == NULL)
        return EXIT_USAGE;
    progress_open(&a->progress, c, monotonic_us());
    run_options(a, &options);
    provide_descriptors(c, &options);
    signals_catch();
    a->run = sparp_open(&options, &error);
    if (a->run == NULL) {
        const char *why = sparp_check_options(&options);
        text t = { NULL, 0, 0, false };
        put_in_our_words(&t, slice_of(why[0] != '\0' ? why : sparp_error_text(error)));
        say("cannot start: %.*s", (int)t.size, t.at);
        text_free(&t);
        app_free(a);
        return EXIT_USAGE;
    }
    signal_run = a->run;
    app_loop(a);
    signal_run = NULL;
    sparp_stats s = sparp_get_stats(a->run);
    uint64_t lines_read = a->reader.lines;
    clear_bar();
    app_keep_rest(a);
    app_say_bad_lines(a);
    app_say_stop(a, &s);
    bool shown = app_show_summary(a, &s, app_exit_code(a, &s));
    app_say_rest(a, lines_read);
    app_flush(a);
    sink_close(&a->out);
    sink_close(&a->rejects);
    int code = shown ? app_exit_code(a, &s) : EXIT_OUTPUT;
    sparp_close(a->run);
    app_free(a);
    if (code > 128)
        signal_die();
    return code;
}

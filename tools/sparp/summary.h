/* sparp/summary.h - what is said at the end.
   Uses text, say, values, terminal, json, options, config, sink, tally. */

enum { HISTOGRAM_ROWS = 12, HISTOGRAM_FIGURES = 33, HISTOGRAM_WIDTH = 46, HISTOGRAM_MIN = 100 };

enum { WAITING_WORTH_A_ROW = 1000000 };  /* microseconds, all requests together */

enum { ROW_INDENT = 11 };

enum { LEFT_MAX = 20, LEFT_SHOWN = 5 };  /* origins that tell what is left, and those in the text */

typedef struct summary {
    const tally *tally;
    const config *config;               /* of the run; NULL: saved records do not tell */
    size_t columns;
    bool histogram, utf8;
    /* of a run alone, not of saved records: */
    bool live;
    uint64_t connections, costs_unknown;
    uint64_t done_before, failed_before;    /* failed: of those done */
    uint64_t not_read;                  /* lines: at least that many ... */
    bool rest_unknown;                  /* ... if so */
    const char *stopped;                /* why, as one word; NULL: the input has ended */
    int exit_code;
    const sink *out, *rejects;          /* NULL, or without a file: not mentioned */
    const char *body_dir;               /* likewise */
    uint64_t body_files;
    const char *report;                 /* likewise */
    sparp_left left[LEFT_MAX];          /* the least first */
    size_t num_left;
} summary;

/* A bar `part` of `whole` long; eighths of a column where the terminal has them. */
static void put_bar(text *t, uint64_t part, uint64_t whole, size_t width, bool utf8) {
    static const char eighths[8][4] = { "", "\xE2\x96\x8F", "\xE2\x96\x8E", "\xE2\x96\x8D",
                                        "\xE2\x96\x8C", "\xE2\x96\x8B", "\xE2\x96\x8A",
                                        "\xE2\x96\x89" };
    if (whole == 0)
        return;
    size_t length = (size_t)((double)part / (double)whole * (double)width * 8 + 0.5);
    for (size_t i = 0; i < length / 8; i++)
        put_text(t, utf8 ? "\xE2\x96\x88" : "#");
    if (utf8)
        put_text(t, eighths[length % 8]);
    else if (length % 8 >= 4)
        put_char(t, '#');
}

static void put_padded(text *t, const char *at, size_t size, size_t width) {
    if (size < width)
        put_repeat(t, ' ', width - size);
    put_bytes(t, at, size);
}

/* Rows of equally many buckets: a logarithmic scale, as linear rows put everything in the first. */
static void put_histogram(text *t, const latencies *l, size_t columns, bool utf8) {
    size_t first = latency_bucket(l->least), last = latency_bucket(l->most);
    size_t width = columns < HISTOGRAM_WIDTH + HISTOGRAM_FIGURES
        ? columns < HISTOGRAM_FIGURES ? 0 : columns - HISTOGRAM_FIGURES : HISTOGRAM_WIDTH;
    size_t step = (last - first) / HISTOGRAM_ROWS + 1;
    uint64_t most = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t from = first; from <= last; from += step) {
            uint64_t count = 0;
            for (size_t i = from; i < from + step && i <= last; i++)
                count += l->buckets[i];
            if (count > most)
                most = count;
            if (pass == 0)
                continue;
            int64_t top = latency_top(from + step - 1);
            text bound = { NULL, 0, 0, false };
            put_duration(&bound, top < l->most ? top : l->most);
            PUT(t, "  <= ");
            put_padded(t, bound.at, bound.size, 8);
            text_free(&bound);
            uint64_t share = (count * 1000 + l->count / 2) / l->count;
            put_format(t, "%10llu %3llu.%llu%% ", (unsigned long long)count,
                       (unsigned long long)share / 10, (unsigned long long)share % 10);
            put_bar(t, count, most, width, utf8);
            put_char(t, '\n');
        }
    }
}

/* A row of the summary: a label, then items, which go on in the next line when one is full. */
typedef struct row {
    text *out;
    text item;                          /* being written */
    const char *label;
    size_t line_start, columns;
    bool any;
} row;

static row row_start(text *out, size_t columns, const char *label) {
    row r = { out, { NULL, 0, 0, false }, label, out->size, columns, false };
    return r;
}

static void row_finish_item(row *r) {
    text *t = r->out;
    if (r->item.size == 0)
        return;
    if (!r->any) {
        put_text(t, r->label);
        put_repeat(t, ' ', ROW_INDENT - strlen(r->label));
    } else if (t->size - r->line_start + 3 + r->item.size > r->columns) {
        put_char(t, '\n');
        r->line_start = t->size;
        put_repeat(t, ' ', ROW_INDENT);
    } else {
        PUT(t, "   ");
    }
    put_bytes(t, r->item.at, r->item.size);
    r->item.size = 0;
    r->any = true;
}

/* Where the next item is to be put. */
static text *row_item(row *r) {
    row_finish_item(r);
    return &r->item;
}

static void row_end(row *r) {
    row_finish_item(r);
    if (r->any)
        put_char(r->out, '\n');
    if (r->item.failed)
        r->out->failed = true;
    text_free(&r->item);
}

static void put_count(text *t, const char *before, uint64_t count, const char *after) {
    put_text(t, before);
    put_u64(t, count);
    put_text(t, after);
}

/* "1 retry", "2 retries" */
static void put_counted(text *t, uint64_t count, const char *one, const char *many) {
    put_count(t, "", count, count == 1 ? one : many);
}

/* Rounded: 99.7. */
static void put_percent_of(text *t, uint64_t part, uint64_t whole) {
    put_thousandths(t, (int64_t)((double)part / (double)whole * 1000 + 0.5) * 100);
    PUT(t, " %");
}

static double summary_rate(const tally *y) {
    int64_t us = tally_elapsed_us(y);
    return us > 0 ? (double)tally_finished(y) * 1e6 / (double)us : 0;
}

static void put_outcome_item(row *r, uint64_t count, const char *what) {
    if (count > 0)
        put_count(row_item(r), "", count, what);
}

static void put_requests_rows(text *t, const summary *s) {
    const tally *y = s->tally;
    int64_t us = tally_elapsed_us(y);
    row r = row_start(t, s->columns, "requests");
    put_count(row_item(&r), "", tally_finished(y), " finished");
    if (us > 0) {
        PUT(&r.item, " in ");
        put_three_digits(&r.item, (double)us / 1e6);
        PUT(&r.item, " s");
        text *rate = row_item(&r);
        put_rate(rate, summary_rate(y));
        PUT(rate, "/s");
    }
    row_end(&r);
    r = row_start(t, s->columns, "");
    put_count(row_item(&r), "", y->outcomes[SPARP_OUTCOME_SUCCESS], " ok");
    put_count(row_item(&r), "", tally_failed(y), " failed");
    put_count(row_item(&r), "", tally_gave_up(y), " out of retries");
    put_outcome_item(&r, y->outcomes[OUTCOME_INVALID], " invalid");
    put_outcome_item(&r, y->outcomes[SPARP_OUTCOME_CANCELLED], " cancelled");
    put_outcome_item(&r, y->outcomes[SPARP_OUTCOME_NOT_STARTED], " not started");
    put_outcome_item(&r, s->not_read, " not read");
    put_outcome_item(&r, s->done_before, " done before");
    put_outcome_item(&r, s->failed_before, " of them failed");
    row_end(&r);
}

static void put_retries_rows(text *t, const summary *s) {
    static const char *const whys[RETRIES_KINDS] = {
        " after a status", " after a timeout", " after a failure of the network"
    };
    const tally *y = s->tally;
    uint64_t kinds[RETRIES_KINDS], retries = tally_retries(y, kinds);
    row r = row_start(t, s->columns, "retries");
    bool mixed = retries > kinds[RETRIES_SOFT] && retries > kinds[RETRIES_TIMEOUT]
        && retries > kinds[RETRIES_TRANSPORT];
    if (mixed)
        put_count(row_item(&r), "", retries, ":");
    for (int i = 0; i < RETRIES_KINDS; i++)
        put_outcome_item(&r, kinds[i], whys[i]);
    row_end(&r);
    r = row_start(t, s->columns, "redirects");
    if (y->redirects > 0)
        put_u64(row_item(&r), y->redirects);
    row_end(&r);
}

static void put_status_row(text *t, const summary *s) {
    const tally *y = s->tally;
    row r = row_start(t, s->columns, "status");
    for (unsigned i = 0; i < STATUS_END; i++) {
        for (int again = 0; again < 2; again++) {
            uint64_t count = again ? y->tried[i] : y->status[i];
            if (count == 0)
                continue;
            put_count(row_item(&r), "", i, " ");
            put_count(&r.item, "", count, again ? " (retried)" : "");
        }
    }
    put_outcome_item(&r, y->no_status, " without");
    row_end(&r);
}

static void put_error_label(text *t, int error, int phase) {
    put_lower(t, sparp_error_name((sparp_error)error));
    if (error != SPARP_E_TIMEOUT)
        return;
    put_char(t, '/');
    put_text(t, sparp_phase_name((sparp_phase)phase));
}

static void put_errors_row(text *t, const summary *s) {
    const tally *y = s->tally;
    row r = row_start(t, s->columns, "errors");
    for (int i = 0; i < SPARP_E_COUNT; i++) {
        for (int k = 0; k < SPARP_PHASE_COUNT; k++) {
            if (y->errors[i][k] == 0)
                continue;
            put_error_label(row_item(&r), i, k);
            put_count(&r.item, " ", y->errors[i][k], "");
        }
        if (y->tried[TRIED_ERROR + i] == 0)
            continue;
        put_lower(row_item(&r), sparp_error_name((sparp_error)i));
        put_count(&r.item, " ", y->tried[TRIED_ERROR + i], " (retried)");
    }
    if (y->has_first) {
        put_count(row_item(&r), "first: index ", y->first_index, " ");
        put_text(&r.item, y->first_url);
    }
    row_end(&r);
}

static void put_traffic_row(text *t, const summary *s) {
    const tally *y = s->tally;
    row r = row_start(t, s->columns, "traffic");
    put_size(row_item(&r), y->bytes_in);
    PUT(&r.item, " in");
    put_size(row_item(&r), y->bytes_out);
    PUT(&r.item, " out");
    if (s->live && s->connections > 0)
        put_counted(row_item(&r), s->connections, " connection", " connections");
    if (y->responses > 0) {
        put_percent_of(row_item(&r), y->reused, y->responses);
        PUT(&r.item, " reused");
    }
    row_end(&r);
}

static void put_cost_row(text *t, const summary *s) {
    const tally *y = s->tally;
    double seconds = (double)tally_elapsed_us(y) / 1e6;
    row r = row_start(t, s->columns, "cost");
    if (!y->has_cost)
        return;
    put_number(row_item(&r), y->cost);
    PUT(&r.item, " booked");
    if (seconds > 0) {
        put_rate(row_item(&r), y->cost / seconds);
        PUT(&r.item, "/s");
    }
    if (s->costs_unknown > 0) {
        put_counted(row_item(&r), s->costs_unknown, " answer without ", " answers without ");
        put_text(&r.item, s->config->cost_from);
    }
    row_end(&r);
}

/* What is waited for; the cost is a part of the rate. */
enum { WAIT_COST = SPARP_WAIT_COUNT, WAITS };

static int64_t waited_us(const tally *y, int reason) {
    int64_t rate = y->waited_us[SPARP_WAIT_RATE];
    int64_t cost = y->waited_cost_us < rate ? y->waited_cost_us : rate;
    return reason == WAIT_COST ? cost : reason == SPARP_WAIT_RATE ? rate - cost
        : y->waited_us[reason];
}

/* " (--per-host, --limit-host)": those that were given. Saved records do not tell. */
static void put_flags(text *t, const summary *s, const option_id *ids, size_t count) {
    const char *before = " (";
    for (size_t i = 0; i < count && s->config != NULL; i++) {
        const option_row *o = &option_rows[ids[i]];
        if (!s->config->given[ids[i]])
            continue;
        if (o->letter != 0)
            put_format(t, "%s-%c", before, o->letter);
        else
            put_format(t, "%s--%s", before, o->name);
        before = ", ";
    }
    put_text(t, before[0] == ',' ? ")" : "");
}

/* " for the rate limit (-r)" */
static void put_reason(text *t, const summary *s, int reason) {
    static const option_id rates[] = { OPTION_MAX_PER_SECOND, OPTION_FLEET_RATE };
    static const option_id hosts[] = { OPTION_PER_HOST, OPTION_PER_HOST_RATE, OPTION_LIMIT_HOST };
    switch (reason) {
    case SPARP_WAIT_SLOT:   PUT(t, " for a free place (-c)"); break;
    case SPARP_WAIT_GATE:   PUT(t, " for a host that had enough"); break;
    case SPARP_WAIT_RATE:
        PUT(t, " for the rate limit");
        put_flags(t, s, rates, 2);
        break;
    case WAIT_COST:         PUT(t, " for the limit of cost (--max-cost)"); break;
    case SPARP_WAIT_ORIGIN:
        PUT(t, " for the limits of its host");
        put_flags(t, s, hosts, 3);
        break;
    default:                PUT(t, " between tries"); break;
    }
}

/* What a request waited for on average, if all of that is worth a row. */
static void put_waiting_row(text *t, const summary *s) {
    static const int order[WAITS] = { SPARP_WAIT_SLOT, SPARP_WAIT_RATE, WAIT_COST,
                                      SPARP_WAIT_ORIGIN, SPARP_WAIT_GATE, SPARP_WAIT_BACKOFF };
    const tally *y = s->tally;
    int64_t sum = 0;
    for (int i = 0; i < WAITS; i++)
        sum += waited_us(y, order[i]);
    if (sum < WAITING_WORTH_A_ROW || y->waiters == 0)
        return;
    row r = row_start(t, s->columns, "waiting");
    put_duration(row_item(&r), (int64_t)((double)sum / (double)y->waiters + 0.5));
    PUT(&r.item, " a request:");
    for (int i = 0; i < WAITS; i++) {
        int percent = (int)((double)waited_us(y, order[i]) * 100 / (double)sum + 0.5);
        if (percent == 0)
            continue;
        put_count(row_item(&r), "", (uint64_t)percent, " %");
        put_reason(&r.item, s, order[i]);
    }
    row_end(&r);
}

static double left_share(const sparp_left *l) {
    return l->limit > 0 ? l->left / l->limit : l->left < 1 ? 0 : 1;
}

/* Keeps its place among those that have less, if there is one. */
static void summary_add_left(summary *s, const sparp_left *l) {
    size_t i = s->num_left < LEFT_MAX ? s->num_left++ : LEFT_MAX - 1;
    if (i + 1 == LEFT_MAX && s->left[i].origin != NULL && left_share(&s->left[i]) <= left_share(l))
        return;
    for (; i > 0 && left_share(&s->left[i - 1]) > left_share(l); i--)
        s->left[i] = s->left[i - 1];
    s->left[i] = *l;
}

/* "api.example.com: 57 of 60 left, 12 s" */
static void put_left(text *t, const sparp_left *l) {
    put_format(t, "%.300s: %.0f", l->origin, l->left);
    if (l->limit > 0)
        put_format(t, " of %.0f", l->limit);
    put_format(t, "%s left", l->is_cost ? " in cost" : "");
    if (l->reset_s > 0)
        put_format(t, ", %.0f s", l->reset_s);
}

/* What the servers said at last. */
static void put_left_row(text *t, const summary *s) {
    row r = row_start(t, s->columns, "left");
    for (size_t i = 0; i < s->num_left && i < LEFT_SHOWN; i++)
        put_left(row_item(&r), &s->left[i]);
    if (s->num_left > LEFT_SHOWN)
        PUT(row_item(&r), "others have more");
    row_end(&r);
}

typedef struct mark {            /* of a distribution */
    const char *name;
    uint64_t thousandths;
} mark;

static const mark marks[] = { { "p50", 500 }, { "p90", 900 }, { "p95", 950 }, { "p99", 990 } };

enum { MARK_COUNT = sizeof marks / sizeof *marks };

static void put_latency_row(text *t, const summary *s, const char *label, const latencies *l) {
    row r = row_start(t, s->columns, label);
    if (l->count == 0)
        return;
    PUT(row_item(&r), "min ");
    put_duration(&r.item, l->least);
    PUT(row_item(&r), "mean ");
    put_duration(&r.item, latencies_mean(l));
    for (int i = 0; i < MARK_COUNT; i++) {
        put_format(row_item(&r), "%s ", marks[i].name);
        put_duration(&r.item, latencies_percentile(l, marks[i].thousandths));
    }
    PUT(row_item(&r), "max ");
    put_duration(&r.item, l->most);
    row_end(&r);
}

static void put_output_row(text *t, const summary *s) {
    const sink *sinks[2] = { s->out, s->rejects };
    row r = row_start(t, s->columns, "output");
    for (int i = 0; i < 2; i++) {
        if (sinks[i] == NULL || sinks[i]->fd <= STDERR_FILENO)
            continue;
        put_text(row_item(&r), sinks[i]->name);
        PUT(&r.item, " (");
        put_counted(&r.item, sinks[i]->lines, " line)", " lines)");
    }
    if (s->body_dir != NULL) {
        put_text(row_item(&r), s->body_dir);
        PUT(&r.item, " (");
        put_counted(&r.item, s->body_files, " file)", " files)");
    }
    if (s->report != NULL)
        put_text(row_item(&r), s->report);
    row_end(&r);
}

static void put_summary_text(text *t, const summary *s) {
    const tally *y = s->tally;
    put_requests_rows(t, s);
    put_retries_rows(t, s);
    put_status_row(t, s);
    put_errors_row(t, s);
    put_traffic_row(t, s);
    put_latency_row(t, s, "last try", &y->last_try);
    put_latency_row(t, s, "overall", &y->overall);
    put_cost_row(t, s);
    put_waiting_row(t, s);
    put_left_row(t, s);
    if (s->histogram && y->last_try.count > HISTOGRAM_MIN)
        put_histogram(t, &y->last_try, s->columns, s->utf8);
    put_output_row(t, s);
}

static void put_outcomes_json(text *t, const tally *y) {
    PUT(t, ",\"outcomes\":{");
    for (int i = 0; i < OUTCOMES; i++) {
        const char *name = i == OUTCOME_INVALID ? "invalid" : sparp_outcome_name((sparp_outcome)i);
        put_format(t, "%s\"%s\":", i > 0 ? "," : "", name);
        put_u64(t, y->outcomes[i]);
    }
    PUT(t, "},\"status\":{");
    const char *before = "";
    for (int i = 0; i < STATUS_END; i++) {
        if (y->status[i] == 0)
            continue;
        put_format(t, "%s\"%d\":", before, i);
        put_u64(t, y->status[i]);
        before = ",";
    }
    PUT(t, "},\"errors\":{");
    before = "\"";
    for (int i = 0; i < SPARP_E_COUNT; i++) {
        for (int k = 0; k < SPARP_PHASE_COUNT; k++) {
            if (y->errors[i][k] == 0)
                continue;
            put_text(t, before);
            put_error_label(t, i, k);
            put_count(t, "\":", y->errors[i][k], "");
            before = ",\"";
        }
    }
    put_char(t, '}');
}

/* How many tries again, after which kind of failure, and after what exactly. */
static void put_retries_json(text *t, const tally *y) {
    uint64_t kinds[RETRIES_KINDS];
    put_count(t, ",\"retries\":", tally_retries(y, kinds), ",\"retries_by_kind\":{\"soft\":");
    put_count(t, "", kinds[RETRIES_SOFT], ",\"timeout\":");
    put_count(t, "", kinds[RETRIES_TIMEOUT], ",\"transport\":");
    put_count(t, "", kinds[RETRIES_TRANSPORT], "},\"retried\":{");
    const char *before = "\"";
    for (int i = 0; i < TRIED_CODES; i++) {
        if (y->tried[i] == 0)
            continue;
        put_text(t, before);
        put_tried_code(t, i);
        put_count(t, "\":", y->tried[i], "");
        before = ",\"";
    }
    put_count(t, "},\"redirects\":", y->redirects, "");
}

static void put_latency_json(text *t, const char *key, const latencies *l) {
    put_format(t, ",\"%s\":", key);
    if (l->count == 0) {
        PUT(t, "null");
        return;
    }
    PUT(t, "{\"min\":");
    put_thousandths(t, l->least);
    PUT(t, ",\"mean\":");
    put_thousandths(t, latencies_mean(l));
    for (int i = 0; i < MARK_COUNT; i++) {
        put_format(t, ",\"%s\":", marks[i].name);
        put_thousandths(t, latencies_percentile(l, marks[i].thousandths));
    }
    PUT(t, ",\"max\":");
    put_thousandths(t, l->most);
    put_char(t, '}');
}

/* Which of the two limits was waited for more; NULL: neither. */
static const char *held_by(const tally *y) {
    int64_t cost = waited_us(y, WAIT_COST), rate = waited_us(y, SPARP_WAIT_RATE);
    return cost > rate ? "max_cost" : rate > 0 ? "max_per_second" : NULL;
}

/* What was booked, what was waited for; of a run also what --cost-from has not found. */
static void put_cost_json(text *t, const summary *s) {
    const tally *y = s->tally;
    const char *held = held_by(y);
    if (!y->has_cost) {
        PUT(t, ",\"cost\":null");
        return;
    }
    PUT(t, ",\"cost\":{\"booked\":");
    put_number(t, y->cost);
    if (s->live)
        put_count(t, ",\"unknown\":", s->costs_unknown, "");
    PUT(t, ",\"waited_ms\":");
    put_thousandths(t, waited_us(y, WAIT_COST));
    put_text(t, ",\"held_by\":");
    if (held != NULL)
        put_format(t, "\"%s\"}", held);
    else
        PUT(t, "null}");
}

static void put_waits_json(text *t, const tally *y) {
    PUT(t, ",\"waited_ms\":{");
    for (int i = 0; i < SPARP_WAIT_COUNT; i++) {
        put_format(t, "%s\"%s\":", i > 0 ? "," : "", sparp_wait_name((sparp_wait)i));
        put_thousandths(t, y->waited_us[i]);
    }
    put_char(t, '}');
}

static void put_left_json(text *t, const summary *s) {
    PUT(t, ",\"left\":[");
    for (size_t i = 0; i < s->num_left; i++) {
        const sparp_left *l = &s->left[i];
        PUT(t, "{\"origin\":");
        put_string(t, slice_of(l->origin), true);
        put_format(t, ",\"of\":\"%s\",\"limit\":", l->is_cost ? "cost" : "requests");
        put_number(t, l->limit);
        PUT(t, ",\"left\":");
        put_number(t, l->left);
        PUT(t, ",\"reset\":");
        put_thousandths(t, (int64_t)(l->reset_s * 1000));
        put_text(t, i + 1 < s->num_left ? "}," : "}");
    }
    put_char(t, ']');
}

/* What a run alone knows; saved records do not. */
static void put_live_json(text *t, const summary *s) {
    if (!s->live)
        return;
    put_count(t, ",\"connections\":", s->connections, ",\"done_before\":");
    put_count(t, "", s->done_before, ",\"failed_before\":");
    put_count(t, "", s->failed_before, ",\"not_read\":");
    put_u64(t, s->not_read);
    put_left_json(t, s);
    put_format(t, ",\"all_read\":%s,\"stopped\":", s->not_read > 0 || s->rest_unknown ? "false"
               : "true");
    if (s->stopped == NULL)
        PUT(t, "null");
    else
        put_format(t, "\"%s\"", s->stopped);
    put_format(t, ",\"exit_code\":%d", s->exit_code);
}

static void put_summary_json(text *t, const summary *s) {
    const tally *y = s->tally;
    put_count(t, "{\"requests\":", tally_finished(y), ",\"seconds\":");
    put_thousandths(t, tally_elapsed_us(y) / 1000);
    PUT(t, ",\"per_second\":");
    put_thousandths(t, (int64_t)(summary_rate(y) * 1000 + 0.5));
    PUT(t, ",\"first_t\":");
    put_thousandths(t, y->from_us / 1000);
    PUT(t, ",\"last_t\":");
    put_thousandths(t, y->to_us / 1000);
    put_retries_json(t, y);
    put_outcomes_json(t, y);
    PUT(t, ",\"bytes\":{\"out\":");
    put_u64(t, y->bytes_out);
    PUT(t, ",\"in\":");
    put_u64(t, y->bytes_in);
    put_count(t, "},\"reused\":", y->reused, "");
    put_latency_json(t, "latency_ms", &y->last_try);
    put_latency_json(t, "overall_ms", &y->overall);
    put_cost_json(t, s);
    put_waits_json(t, y);
    put_live_json(t, s);
    PUT(t, "}\n");
}

/* Says it, or writes the file of --summary-file; false: that could not be written. */
static bool summary_show(const config *c, const summary *s, sink *file) {
    text t = { NULL, 0, 0, false };
    text *out = file->fd >= 0 ? &file->buffer : &t;
    if (c->summary == SUMMARY_NONE || (c->quiet && file->fd < 0))
        return true;
    if (c->summary == SUMMARY_JSON)
        put_summary_json(out, s);
    else
        put_summary_text(out, s);
    say_text(&t);
    text_free(&t);
    if (file->fd < 0)
        return true;
    sink_begin(file);
    sink_close(file);
    return !file->failed;
}

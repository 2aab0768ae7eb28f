/* sparp/summary.h - what is said at the end.
   Uses text, say, values, options, config, sink, tally. */

enum { HISTOGRAM_ROWS = 12, HISTOGRAM_WIDTH = 46, HISTOGRAM_MIN = 100 };

enum { WAITING_WORTH_A_ROW = 1000000 };  /* microseconds, all requests together */

typedef struct summary {
    const tally *tally;
    int64_t elapsed_us;
    uint64_t connects, reuses;
    uint64_t soft_retries, timeout_retries, transport_retries; /* all 0: not known */
    uint64_t redirects;                 /* 0: as the tally has it */
    int64_t waited_us[SPARP_WAIT_COUNT]; /* all 0: not known */
    bool histogram, utf8;
    const sink *out, *rejects;          /* NULL, or without a file: not mentioned */
    const char *body_dir;               /* likewise */
    uint64_t body_files;
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
static void put_histogram(text *t, const tally *y, bool utf8) {
    size_t first = latency_bucket(y->latency_min), last = latency_bucket(y->latency_max);
    size_t step = (last - first) / HISTOGRAM_ROWS + 1;
    uint64_t most = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t from = first; from <= last; from += step) {
            uint64_t count = 0;
            for (size_t i = from; i < from + step && i <= last; i++)
                count += y->latencies[i];
            if (count > most)
                most = count;
            if (pass == 0)
                continue;
            int64_t top = latency_top(from + step - 1);
            text bound = { NULL, 0, 0, false };
            put_duration(&bound, top < y->latency_max ? top : y->latency_max);
            PUT(t, "  <= ");
            put_padded(t, bound.at, bound.size, 8);
            text_free(&bound);
            uint64_t share = count * 1000 / y->num_latencies;
            put_format(t, "%10llu %3llu.%llu%% ", (unsigned long long)count,
                       (unsigned long long)share / 10, (unsigned long long)share % 10);
            put_bar(t, count, most, HISTOGRAM_WIDTH, utf8);
            put_char(t, '\n');
        }
    }
}

static void put_count(text *t, const char *before, uint64_t count, const char *after) {
    put_text(t, before);
    put_u64(t, count);
    put_text(t, after);
}

static double summary_rate(const summary *s) {
    if (s->elapsed_us <= 0)
        return 0;
    return (double)tally_finished(s->tally) * 1e6 / (double)s->elapsed_us;
}

/* A saved record has those of its last attempt alone. */
static uint64_t summary_redirects(const summary *s) {
    return s->redirects > 0 ? s->redirects : s->tally->redirects;
}

static void put_requests_rows(text *t, const summary *s) {
    const tally *y = s->tally;
    put_count(t, "requests   ", tally_finished(y), " finished");
    if (s->elapsed_us > 0) {
        PUT(t, " in ");
        put_three_digits(t, (double)s->elapsed_us / 1e6);
        PUT(t, " s   ");
        put_rate(t, summary_rate(s));
        PUT(t, "/s");
    }
    put_count(t, "\n           ", y->outcomes[SPARP_OUTCOME_SUCCESS], " ok");
    put_count(t, "   ", tally_failed(y), " failed");
    put_count(t, "   ", tally_gave_up(y), " gave up");
    put_count(t, "   ", y->outcomes[OUTCOME_INVALID], " invalid");
    uint64_t cancelled = y->outcomes[SPARP_OUTCOME_CANCELLED];
    uint64_t not_started = y->outcomes[SPARP_OUTCOME_NOT_STARTED];
    if (cancelled > 0)
        put_count(t, "   ", cancelled, " cancelled");
    if (not_started > 0)
        put_count(t, "   ", not_started, " not started");
    if (s->soft_retries + s->timeout_retries + s->transport_retries > 0) {
        put_count(t, "      ", s->soft_retries + s->timeout_retries + s->transport_retries,
                  " retries (");
        put_count(t, "", s->soft_retries, " soft, ");
        put_count(t, "", s->timeout_retries, " timeout, ");
        put_count(t, "", s->transport_retries, " transport)");
    } else if (y->retries > 0) {
        put_count(t, "      ", y->retries, " retries");
    }
    uint64_t redirects = summary_redirects(s);
    if (redirects > 0)
        put_count(t, "   ", redirects, redirects == 1 ? " redirect" : " redirects");
    put_char(t, '\n');
}

static void put_status_row(text *t, const tally *y) {
    const char *before = "status     ";
    for (int i = 0; i < STATUS_END; i++) {
        for (int retried = 0; retried < 2; retried++) {
            uint64_t count = retried ? y->retried[i] : y->status[i];
            if (count == 0)
                continue;
            put_text(t, before);
            before = "   ";
            put_u64(t, (uint64_t)i);
            put_count(t, " ", count, retried ? " (retried)" : "");
        }
    }
    if (y->no_status > 0) {
        put_text(t, before);
        before = "   ";
        put_count(t, "none ", y->no_status, "");
    }
    if (before[0] == ' ')
        put_char(t, '\n');
}

static void put_error_label(text *t, int error, int phase) {
    put_lower(t, sparp_error_name((sparp_error)error));
    if (error != SPARP_E_TIMEOUT)
        return;
    put_char(t, '/');
    put_text(t, sparp_phase_name((sparp_phase)phase));
}

static void put_errors_row(text *t, const tally *y) {
    const char *before = "errors     ";
    if (!y->has_first)
        return;
    for (int i = 0; i < SPARP_E_COUNT; i++) {
        for (int k = 0; k < SPARP_PHASE_COUNT; k++) {
            if (y->errors[i][k] == 0)
                continue;
            put_text(t, before);
            before = "   ";
            put_error_label(t, i, k);
            put_count(t, " ", y->errors[i][k], "");
        }
    }
    put_count(t, "      first: index ", y->first_index, " ");
    put_text(t, y->first_url);
    put_char(t, '\n');
}

static void put_traffic_row(text *t, const summary *s) {
    PUT(t, "traffic    ");
    put_size(t, s->tally->bytes_in);
    PUT(t, " in   ");
    put_size(t, s->tally->bytes_out);
    PUT(t, " out");
    uint64_t used = s->connects + s->reuses, reused = s->reuses;
    if (used > 0) {
        put_count(t, "   ", s->connects, s->connects == 1 ? " connection" : " connections");
    } else {
        used = s->tally->responses;
        reused = s->tally->reused;
    }
    if (used > 0) {
        PUT(t, ", ");
        put_thousandths(t, (int64_t)(reused * 1000 / used) * 100);
        PUT(t, " % reused");
    }
    put_char(t, '\n');
}

/* Why it took so long, in one sentence, if waiting was most of it. */
static void put_waiting_row(text *t, const summary *s) {
    static const char *const reasons[SPARP_WAIT_COUNT] = {
        "for a free slot (--max-at-once)", "the rate limit", "the limit per host",
        "hosts that asked for a pause", "pauses before retries"
    };
    int64_t sum = 0;
    int most = 0;
    for (int i = 0; i < SPARP_WAIT_COUNT; i++) {
        sum += s->waited_us[i];
        if (s->waited_us[i] > s->waited_us[most])
            most = i;
    }
    if (sum < WAITING_WORTH_A_ROW)
        return;
    put_format(t, "waiting    %d %% of the waiting was %s\n",
               (int)(s->waited_us[most] * 100 / sum), reasons[most]);
}

static void put_latency_row(text *t, const tally *y) {
    static const struct { const char *label; uint64_t thousandths; } marks[] = {
        { "  p50 ", 500 }, { "  p90 ", 900 }, { "  p95 ", 950 }, { "  p99 ", 990 }
    };
    if (y->num_latencies == 0)
        return;
    PUT(t, "latency    min ");
    put_duration(t, y->latency_min);
    PUT(t, "  mean ");
    put_duration(t, (int64_t)(y->latency_sum / (double)y->num_latencies));
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        put_text(t, marks[i].label);
        put_duration(t, tally_percentile(y, marks[i].thousandths));
    }
    PUT(t, "  max ");
    put_duration(t, y->latency_max);
    put_char(t, '\n');
}

static void put_output_row(text *t, const summary *s) {
    const sink *sinks[2] = { s->out, s->rejects };
    const char *before = "output     ";
    for (int i = 0; i < 2; i++) {
        if (sinks[i] == NULL || sinks[i]->fd <= STDERR_FILENO)
            continue;
        put_text(t, before);
        before = "   ";
        put_text(t, sinks[i]->name);
        put_count(t, " (", sinks[i]->lines, sinks[i]->lines == 1 ? " line)" : " lines)");
    }
    if (s->body_dir != NULL) {
        put_text(t, before);
        before = "   ";
        put_text(t, s->body_dir);
        put_count(t, " (", s->body_files, s->body_files == 1 ? " file)" : " files)");
    }
    if (before[0] == ' ')
        put_char(t, '\n');
}

static void put_summary_text(text *t, const summary *s) {
    put_requests_rows(t, s);
    put_status_row(t, s->tally);
    put_errors_row(t, s->tally);
    put_traffic_row(t, s);
    put_latency_row(t, s->tally);
    put_waiting_row(t, s);
    if (s->histogram && s->tally->num_latencies > HISTOGRAM_MIN)
        put_histogram(t, s->tally, s->utf8);
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

static void put_latency_json(text *t, const tally *y) {
    static const struct { const char *key; uint64_t thousandths; } marks[] = {
        { "p50", 500 }, { "p90", 900 }, { "p95", 950 }, { "p99", 990 }
    };
    PUT(t, ",\"latency_ms\":");
    if (y->num_latencies == 0) {
        PUT(t, "null");
        return;
    }
    PUT(t, "{\"min\":");
    put_thousandths(t, y->latency_min);
    PUT(t, ",\"mean\":");
    put_thousandths(t, (int64_t)(y->latency_sum / (double)y->num_latencies));
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        put_format(t, ",\"%s\":", marks[i].key);
        put_thousandths(t, tally_percentile(y, marks[i].thousandths));
    }
    PUT(t, ",\"max\":");
    put_thousandths(t, y->latency_max);
    put_char(t, '}');
}

static void put_summary_json(text *t, const summary *s) {
    const tally *y = s->tally;
    PUT(t, "{\"requests\":");
    put_u64(t, tally_finished(y));
    PUT(t, ",\"seconds\":");
    put_thousandths(t, s->elapsed_us / 1000);
    PUT(t, ",\"per_second\":");
    put_thousandths(t, (int64_t)(summary_rate(s) * 1000));
    PUT(t, ",\"retries\":");
    uint64_t known = s->soft_retries + s->timeout_retries + s->transport_retries;
    put_u64(t, known > 0 ? known : y->retries);
    put_count(t, ",\"redirects\":", summary_redirects(s), "");
    put_outcomes_json(t, y);
    PUT(t, ",\"bytes\":{\"out\":");
    put_u64(t, y->bytes_out);
    PUT(t, ",\"in\":");
    put_u64(t, y->bytes_in);
    put_char(t, '}');
    put_latency_json(t, y);
    PUT(t, "}\n");
}

/* Says it, or writes the file; false: the file could not be written. */
static bool summary_show(const config *c, const summary *s) {
    text t = { NULL, 0, 0, false };
    size_t written;
    bool done = true;
    if (c->summary == SUMMARY_NONE || (c->quiet && c->summary_file == NULL))
        return true;
    if (c->summary == SUMMARY_JSON)
        put_summary_json(&t, s);
    else
        put_summary_text(&t, s);
    if (c->summary_file == NULL) {
        say_text(&t);
    } else {
        int fd = open(c->summary_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        done = fd >= 0 && write_all(fd, t.at, t.size, &written) && !t.failed;
        if (fd >= 0 && close(fd) != 0)
            done = false;
        if (!done)
            say("cannot write %s: %s", c->summary_file, strerror(errno));
    }
    text_free(&t);
    return done;
}

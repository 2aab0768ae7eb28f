/* sparp/progress.h - what is said in between: a bar, lines, JSON.
   Uses text, say, values, options, config, summary. */

enum { BAR_EVERY_US = 200000, LINE_EVERY_US = 10000000, RARELY_MAX_US = 600000000 };
enum { BAR_CELLS = 30, BAR_CELLS_MIN = 10 };

/* Rates are those of ten seconds or more: answers come in rounds, and limits are by the minute. */
enum { WINDOW_US = 10000000, MARK_EVERY_US = 250000, MARKS_MAX = 64 };

enum { LARGE_BODY = 256 * 1024 };        /* bytes: above it the bar shows how fast they come */

enum { WAIT_NAMED_US = 1000000 };        /* nothing came for that long: that is a wait */

enum { PAUSES_MAX = 64 };                /* of which the next end is known, the others follow */

/* Not a choice: a line after ten seconds without a word, the next after twice as long. */
enum { PROGRESS_RARELY = PROGRESS_NONE + 1 };

typedef struct progress_view {   /* one moment of a run */
    uint64_t done, total;               /* total 0: not known */
    bool estimated;                     /* the total */
    uint64_t ok, failed, retries, live;
    double rate;                        /* results per second, lately */
    int64_t eta_s;                      /* -1: not known */
    int64_t elapsed_s;
    uint64_t bytes;                     /* received so far */
    double bytes_rate;                  /* per second, lately; 0: bodies are small */
    int64_t wait_s;                     /* nothing is in flight before that; -1: something is */
    int wait_for;                       /* 429, 503, or 0: a pause before a retry */
    uint64_t waiting;                   /* read, and not in flight */
    const char *held_by;                /* nothing is in flight for this limit; NULL: not so */
    double cost;                        /* booked so far */
    double quota_s;                     /* servers say that nothing is left until then; 0: no */
} progress_view;

typedef struct progress_mark {   /* how far it had come at one time */
    int64_t us, done_us;                /* when it was; when the last result had come */
    uint64_t done, bytes;
} progress_mark;

typedef struct progress {
    int mode;                           /* PROGRESS_BAR, _LINE, _JSON, _RARELY or _NONE */
    bool utf8, color;
    size_t columns;
    int64_t start_us, last_us, every_us;    /* last: when it was shown */
    double limit, cost_limit;           /* --max-per-second, --max-cost; 0 for none */
    const char *slow_limit;             /* the one that may hold all; NULL: there is none */
    progress_mark marks[MARKS_MAX];
    size_t num_marks;
    int64_t mark_every_us;
    uint64_t last_done;
    int64_t last_done_us, longest_gap_us;       /* when results came last, and how rarely they do */
    struct { int64_t until_us; int status; } pauses[PAUSES_MAX];
} progress;

static unsigned view_percent(const progress_view *v) {
    if (v->total == 0)
        return 0;
    double percent = (double)v->done * 100 / (double)v->total;
    return percent < 100 ? (unsigned)percent : 100;
}

static void put_eta(text *t, int64_t s) {
    if (s < 0)
        PUT(t, "-:--");
    else if (s < 3600)
        put_format(t, "%d:%02d", (int)(s / 60), (int)(s % 60));
    else
        put_format(t, "%lld:%02d:%02d", (long long)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
}

/* The fields in the order they are shown. */
enum {
    FIELD_BAR, FIELD_OK, FIELD_FAIL, FIELD_RETRY, FIELD_RATE, FIELD_SPEED, FIELD_LIVE, FIELD_WAIT,
    FIELD_ELAPSED, FIELD_ETA, FIELDS
};

static void put_wait(text *t, const progress_view *v) {
    if (v->held_by != NULL)
        put_format(t, v->wait_s < 0 ? "  waits: %s" : "  %s: ", v->held_by);
    else if (v->wait_for != 0)
        put_count(t, "  ", (uint64_t)v->wait_for, ": ");
    else
        PUT(t, "  retry in ");
    if (v->wait_s >= 0)
        put_count(t, "", (uint64_t)v->wait_s, " s");
}

static bool view_waits(const progress_view *v) {
    return v->wait_s >= 0 || v->held_by != NULL;
}

/* What waits has no rate, and nothing live. */
static void put_field(text *t, const progress_view *v, int field) {
    bool waits = view_waits(v);
    switch (field) {
    case FIELD_OK:    put_count(t, "  ok ", v->ok, ""); break;
    case FIELD_FAIL:  put_count(t, "  fail ", v->failed, ""); break;
    case FIELD_RETRY: put_count(t, "  retry ", v->retries, ""); break;
    case FIELD_LIVE:
        if (!waits)
            put_count(t, "  live ", v->live, "");
        break;
    case FIELD_RATE:
        PUT(t, "  ");
        put_rate(t, v->rate);
        PUT(t, "/s");
        break;
    case FIELD_SPEED:
        if (v->bytes_rate > 0) {
            PUT(t, "  ");
            put_size(t, (uint64_t)v->bytes_rate);
            PUT(t, "/s");
        }
        break;
    case FIELD_WAIT:
        if (waits)
            put_wait(t, v);
        break;
    case FIELD_ELAPSED:
        PUT(t, "  in ");
        put_eta(t, v->elapsed_s);
        break;
    case FIELD_ETA:
        PUT(t, "  eta ");
        put_eta(t, v->eta_s);
        break;
    default:
        break;
    }
}

static void put_cells(text *t, const progress_view *v, size_t cells, bool utf8) {
    size_t full = view_percent(v) * cells / 100;
    put_char(t, ' ');
    for (size_t i = 0; i < cells; i++) {
        if (i < full)
            put_text(t, utf8 ? "\xE2\x96\x88" : "#");
        else
            put_text(t, utf8 ? "\xE2\x96\x91" : ".");
    }
}

/* " 41%" and "  41230/100000"; "~ 41%" and "  41230/~100000" when the total is a guess. */
static void put_bar_head(text *percent, text *count, const progress_view *v) {
    if (v->total == 0)
        put_text(percent, "  -%");
    else
        put_format(percent, "%s%3u%%", v->estimated ? "~" : "", view_percent(v));
    put_count(count, "  ", v->done, "");
    if (v->total > 0)
        put_count(count, v->estimated ? "/~" : "/", v->total, "");
}

/* Which fields fit into `columns`, the least important one goes first; 0 for those that do not,
   else their width. Returns the width of all. */
static size_t fit_fields(const progress_view *v, size_t head, size_t columns,
                         size_t widths[FIELDS]) {
    static const int shed[FIELDS] = {
        FIELD_ELAPSED, FIELD_LIVE, FIELD_SPEED, FIELD_OK, FIELD_BAR, FIELD_ETA, FIELD_RETRY,
        FIELD_RATE, FIELD_WAIT, FIELD_FAIL
    };
    text field = { NULL, 0, 0, false };
    size_t width = head;
    for (int i = 0; i < FIELDS; i++) {
        field.size = 0;
        put_field(&field, v, i);
        widths[i] = i == FIELD_BAR ? v->total > 0 ? BAR_CELLS_MIN + 1 : 0 : field.size;
        width += widths[i];
    }
    for (int i = 0; i < FIELDS && width + 1 > columns; i++) {
        width -= widths[shed[i]];
        widths[shed[i]] = 0;
    }
    text_free(&field);
    return width;
}

/* The bar's text, at most columns-1 wide, so that the line never wraps. */
static void put_progress_bar(text *t, const progress_view *v, size_t columns, bool utf8,
                             bool color) {
    text percent = { NULL, 0, 0, false }, count = percent;
    size_t widths[FIELDS];
    put_bar_head(&percent, &count, v);
    size_t head = percent.size + count.size, width = fit_fields(v, head, columns, widths);
    if (width + 1 <= columns) {
        size_t spare = columns - width - 1, more = BAR_CELLS - BAR_CELLS_MIN;
        put_bytes(t, percent.at, percent.size);
        if (widths[FIELD_BAR] > 0)
            put_cells(t, v, BAR_CELLS_MIN + (spare < more ? spare : more), utf8);
        put_bytes(t, count.at, count.size);
    }
    for (int i = FIELD_OK; i < FIELDS; i++) {
        bool red = color && i == FIELD_FAIL && v->failed > 0;
        if (widths[i] == 0)
            continue;
        if (red)
            PUT(t, "\033[31m");
        put_field(t, v, i);
        if (red)
            PUT(t, "\033[m");
    }
    text_free(&percent);
    text_free(&count);
}

/* "2026-11-20T12:04:44Z sparp 41230/100000 ok=40897 fail=301 ..." */
static void put_progress_line(text *t, const progress_view *v, int64_t now_ms) {
    put_utc(t, now_ms);
    put_count(t, " sparp ", v->done, "");
    if (v->total > 0)
        put_count(t, v->estimated ? "/~" : "/", v->total, "");
    put_count(t, " ok=", v->ok, "");
    put_count(t, " fail=", v->failed, "");
    put_count(t, " retry=", v->retries, " rate=");
    put_rate(t, v->rate);
    put_count(t, "/s live=", v->live, " elapsed=");
    put_count(t, "", (uint64_t)v->elapsed_s, "s eta=");
    if (v->eta_s >= 0)
        put_count(t, "", (uint64_t)v->eta_s, "s");
    else
        PUT(t, "-");
    if (view_waits(v))
        put_wait(t, v);
    put_char(t, '\n');
}

static void put_seconds_or_null(text *t, const char *key, int64_t seconds) {
    put_text(t, key);
    if (seconds >= 0)
        put_u64(t, (uint64_t)seconds);
    else
        PUT(t, "null");
}

static void put_progress_json(text *t, const progress_view *v, int64_t now_ms) {
    PUT(t, "{\"t\":");
    put_thousandths(t, now_ms);
    put_count(t, ",\"done\":", v->done, ",\"total\":");
    if (v->total > 0)
        put_u64(t, v->total);
    else
        PUT(t, "null");
    PUT(t, ",\"estimated\":");
    put_text(t, v->estimated ? "true" : "false");
    put_count(t, ",\"ok\":", v->ok, "");
    put_count(t, ",\"fail\":", v->failed, "");
    put_count(t, ",\"retry\":", v->retries, ",\"rate\":");
    put_thousandths(t, (int64_t)(v->rate * 1000));
    put_count(t, ",\"live\":", v->live, ",\"elapsed\":");
    put_count(t, "", (uint64_t)v->elapsed_s, ",\"bytes\":");
    put_u64(t, v->bytes);
    put_seconds_or_null(t, ",\"eta\":", v->eta_s);
    put_seconds_or_null(t, ",\"wait\":", v->wait_s);
    PUT(t, ",\"wait_for\":");
    if (v->held_by != NULL)
        put_format(t, "\"%s\"", v->held_by);
    else if (v->wait_s < 0)
        PUT(t, "null");
    else if (v->wait_for != 0)
        put_u64(t, (uint64_t)v->wait_for);
    else
        PUT(t, "\"retry\"");
    PUT(t, "}\n");
}

/* stderr is a terminal that can redraw a line, and no records scroll over it: neither our own, nor
   those that the reader of a pipe shows there. */
static bool bar_makes_sense(const config *c) {
    struct stat out, err;
    if (!isatty(STDERR_FILENO) || terminal_is_dumb())
        return false;
    if (c->output != NULL || fstat(STDOUT_FILENO, &out) != 0)
        return true;
    if (S_ISFIFO(out.st_mode) || S_ISSOCK(out.st_mode))
        return false;
    return !isatty(STDOUT_FILENO)
        || (fstat(STDERR_FILENO, &err) == 0 && out.st_rdev != err.st_rdev);
}

static bool color_wanted(const config *c) {
    if (c->color != COLOR_AUTO)
        return c->color == COLOR_ALWAYS;
    if (env_text("NO_COLOR") != NULL)
        return false;
    if (env_text("FORCE_COLOR") != NULL || env_text("CLICOLOR_FORCE") != NULL)
        return true;
    return isatty(STDERR_FILENO) && !terminal_is_dumb();
}

/* Which of the limits may be slow enough for nothing to be in flight. */
static const char *limit_name(const config *c) {
    bool rate = c->max_per_second > 0, cost = c->max_cost > 0, host = c->per_host_rate > 0;
    for (size_t i = 0; i < c->num_host_limits; i++)
        host = host || c->host_limits[i].max_per_second > 0
            || c->host_limits[i].max_cost_per_second > 0;
    return rate + cost + host > 1 ? "limits" : rate ? "rate" : cost ? "cost"
        : host ? "host" : NULL;
}

static void progress_open(progress *p, const config *c, int64_t now_us) {
    memset(p, 0, sizeof *p);
    p->mode = c->progress;
    if (p->mode == PROGRESS_AUTO)
        p->mode = bar_makes_sense(c) ? PROGRESS_BAR : c->verbose ? PROGRESS_LINE : PROGRESS_RARELY;
    if (c->quiet)
        p->mode = PROGRESS_NONE;
    p->utf8 = terminal_takes_utf8();
    p->color = color_wanted(c);
    p->columns = terminal_columns();
    p->limit = c->max_per_second;
    p->cost_limit = c->max_cost;
    p->slow_limit = limit_name(c);
    p->start_us = p->last_us = p->last_done_us = now_us;
    p->every_us = p->mode == PROGRESS_BAR ? BAR_EVERY_US : LINE_EVERY_US;
    p->mark_every_us = MARK_EVERY_US;
    p->marks[0].us = p->marks[0].done_us = now_us;
    p->num_marks = 1;
}

/* How long the loop may sleep before the next drawing; -1: as long as it likes. */
static int progress_wait_ms(const progress *p, int64_t now_us) {
    if (p->mode == PROGRESS_NONE)
        return -1;
    int64_t left = p->last_us + p->every_us - now_us;
    return left > 0 ? (int)(left / 1000) + 1 : 0;
}

/* It has been shown, or something else has come to where it would be. */
static void progress_shown(progress *p, int64_t now_us) {
    p->last_us = now_us;
}

/* Remembers how far it is. When there is no more room every second mark goes, and they are made
   half as often: a long run has its window of half its time. */
static void progress_mark_here(progress *p, const progress_view *v, int64_t now_us) {
    if (now_us - p->marks[p->num_marks - 1].us < p->mark_every_us)
        return;
    if (p->num_marks == MARKS_MAX) {
        for (size_t i = 0; i < MARKS_MAX / 2; i++)
            p->marks[i] = p->marks[2 * i];
        p->num_marks = MARKS_MAX / 2;
        p->mark_every_us *= 2;
    }
    progress_mark *m = &p->marks[p->num_marks++];
    m->us = now_us;
    m->done_us = p->last_done_us;
    m->done = v->done;
    m->bytes = v->bytes;
}

/* The last mark that is at least so old, or the beginning. */
static const progress_mark *progress_since(const progress *p, int64_t now_us, int64_t age_us) {
    size_t i = p->num_marks - 1;
    while (i > 0 && now_us - p->marks[i].us < age_us)
        i--;
    return &p->marks[i];
}

static double per_second(uint64_t now, uint64_t then, int64_t us) {
    return us > 0 && now > then ? (double)(now - then) * 1e6 / (double)us : 0;
}

/* Seconds until the rest is done, going by the last half of the run, pauses and all; -1: not known.
   Answers may come in rounds: counted up to the last one, until it is later than ever before. */
static double progress_left(const progress *p, const progress_view *v, int64_t now_us) {
    double remaining = (double)(v->total - v->done), seconds = -1;
    int64_t half_us = (now_us - p->start_us) / 2, since = now_us - p->last_done_us;
    const progress_mark *m = progress_since(p, now_us, half_us > WINDOW_US ? half_us : WINDOW_US);
    bool as_ever = since <= p->longest_gap_us;
    double rate = per_second(v->done, m->done, (as_ever ? p->last_done_us : now_us) - m->done_us);
    if (rate > 0)
        seconds = remaining / rate - (as_ever ? (double)since / 1e6 : 0);
    if (rate > 0 && seconds < 1)
        seconds = 1;
    if (p->limit > 0 && remaining / p->limit > seconds)
        seconds = remaining / p->limit;
    double started = (double)(v->done + v->live), rest = remaining - (double)v->live;
    if (p->cost_limit > 0 && rest * v->cost > seconds * p->cost_limit * started)
        seconds = rest * v->cost / (p->cost_limit * started);
    if (seconds >= 0 && seconds < (double)v->wait_s)
        seconds = (double)v->wait_s;
    return remaining > 0 ? seconds : 0;
}

/* The rate of the last ten seconds, and the time that is left. */
static void progress_rates(progress *p, progress_view *v, int64_t now_us) {
    const progress_mark *lately;
    if (v->done != p->last_done) {
        if (now_us - p->last_done_us > p->longest_gap_us)
            p->longest_gap_us = now_us - p->last_done_us;
        p->last_done = v->done;
        p->last_done_us = now_us;
    }
    progress_mark_here(p, v, now_us);
    lately = progress_since(p, now_us, WINDOW_US);
    uint64_t results = v->done - lately->done, bytes = v->bytes - lately->bytes;
    v->elapsed_s = (now_us - p->start_us) / 1000000;
    v->rate = per_second(v->done, lately->done, now_us - lately->us);
    v->bytes_rate = bytes / (results > 0 ? results : 1) >= LARGE_BODY
        ? per_second(v->bytes, lately->bytes, now_us - lately->us) : 0;
    double left = v->total > 0 && v->done <= v->total ? progress_left(p, v, now_us) : -1;
    v->eta_s = left >= 0 && left < 1e9 ? (int64_t)(left + 0.5) : -1;
}

/* A request waits before its next try, because this status asked for it (0: none did). Of too many
   the latest end is forgotten: the next one is what is shown. */
static void progress_pause(progress *p, int64_t now_us, double wait_s, int asked_by) {
    size_t at = 0;
    for (size_t i = 0; i < PAUSES_MAX && p->pauses[at].until_us > now_us; i++)
        if (p->pauses[i].until_us <= now_us || p->pauses[i].until_us > p->pauses[at].until_us)
            at = i;
    p->pauses[at].until_us = now_us + (int64_t)(wait_s < 1e9 ? wait_s * 1e6 : 1e15);
    p->pauses[at].status = asked_by;
}

/* When nothing is in flight: until when, and why. A limit is named when nothing has come for a
   second: how long it still takes, the library keeps to itself. */
static void progress_find_pause(const progress *p, progress_view *v, int64_t now_us) {
    int64_t next = INT64_MAX;
    v->wait_s = -1;
    for (size_t i = 0; i < PAUSES_MAX && v->live == 0; i++) {
        if (p->pauses[i].until_us <= now_us || p->pauses[i].until_us >= next)
            continue;
        next = p->pauses[i].until_us;
        v->wait_s = (next - now_us + 999999) / 1000000;
        v->wait_for = p->pauses[i].status;
    }
    bool held = v->live == 0 && v->wait_s < 0 && v->waiting > 0
        && now_us - p->last_done_us >= WAIT_NAMED_US;
    v->held_by = !held ? NULL : v->quota_s > 0 ? "quota" : p->slow_limit;
    if (held && v->quota_s > 0)
        v->wait_s = (int64_t)(v->quota_s + 0.999);
}

static void progress_show(progress *p, progress_view *v) {
    text t = { NULL, 0, 0, false };
    size_t written;
    int64_t now_us = monotonic_us();
    progress_find_pause(p, v, now_us);
    progress_rates(p, v, now_us);
    progress_shown(p, now_us);
    if (p->mode == PROGRESS_RARELY && p->every_us < RARELY_MAX_US)
        p->every_us *= 2;
    if (p->mode == PROGRESS_BAR) {
        put_char(&t, '\r');
        put_progress_bar(&t, v, p->columns, p->utf8, p->color);
        PUT(&t, "\033[K");
        (void)write_all(STDERR_FILENO, t.at, t.size, &written);
        bar_is_drawn = true;
    } else {
        if (p->mode == PROGRESS_JSON)
            put_progress_json(&t, v, wall_ms());
        else
            put_progress_line(&t, v, wall_ms());
        say_text(&t);
    }
    text_free(&t);
}

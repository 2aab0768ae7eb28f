/* sparp/progress.h - what is said in between: a bar, lines, JSON.
   Uses text, say, values, options, config, summary. */

enum { BAR_EVERY_US = 200000, LINE_EVERY_US = 10000000, BAR_CELLS = 30 };

typedef struct progress_view {   /* one moment of a run */
    uint64_t done, total;               /* total 0: not known */
    bool estimated;                     /* the total */
    uint64_t ok, failed, retries, live;
    double rate;                        /* results per second, lately */
    int64_t eta_s;                      /* -1: not known */
} progress_view;

typedef struct progress {
    int mode;                           /* PROGRESS_BAR, _LINE, _JSON or _NONE */
    bool utf8, color;
    size_t columns;
    int64_t last_us;                    /* when it was shown */
    int64_t sampled_us;                 /* for the rate */
    uint64_t sampled_done;
    double rate, limit;                 /* limit: --max-per-second, 0 for none */
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
enum { FIELD_BAR, FIELD_OK, FIELD_FAIL, FIELD_RETRY, FIELD_RATE, FIELD_LIVE, FIELD_ETA, FIELDS };

static void put_field(text *t, const progress_view *v, int field) {
    switch (field) {
    case FIELD_OK:    put_count(t, "  ok ", v->ok, ""); break;
    case FIELD_FAIL:  put_count(t, "  fail ", v->failed, ""); break;
    case FIELD_RETRY: put_count(t, "  retry ", v->retries, ""); break;
    case FIELD_LIVE:  put_count(t, "  live ", v->live, ""); break;
    case FIELD_RATE:
        PUT(t, "  ");
        put_rate(t, v->rate);
        PUT(t, "/s");
        break;
    case FIELD_ETA:
        PUT(t, "  eta ");
        put_eta(t, v->eta_s);
        break;
    default:
        break;
    }
}

static void put_cells(text *t, unsigned percent, bool utf8) {
    unsigned full = percent * BAR_CELLS / 100;
    put_char(t, ' ');
    for (unsigned i = 0; i < BAR_CELLS; i++) {
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

/* The bar's text, at most columns-1 wide: what does not fit is left out, the least important field
   first, so that the line never wraps. */
static void put_progress_bar(text *t, const progress_view *v, size_t columns, bool utf8,
                             bool color) {
    static const int shed[FIELDS] = { FIELD_BAR, FIELD_LIVE, FIELD_OK, FIELD_ETA, FIELD_RETRY,
                                      FIELD_RATE, FIELD_FAIL };
    text percent = { NULL, 0, 0, false }, count = percent, field = percent;
    bool shown[FIELDS];
    size_t widths[FIELDS], width = 0;
    put_bar_head(&percent, &count, v);
    for (int i = 0; i < FIELDS; i++) {
        field.size = 0;
        put_field(&field, v, i);
        widths[i] = i == FIELD_BAR ? BAR_CELLS + 1 : field.size;
        shown[i] = i != FIELD_BAR || v->total > 0;
        if (shown[i])
            width += widths[i];
    }
    width += percent.size + count.size;
    for (int i = 0; i < FIELDS && width + 1 > columns; i++) {
        if (!shown[shed[i]])
            continue;
        shown[shed[i]] = false;
        width -= widths[shed[i]];
    }
    if (width + 1 <= columns) {
        put_bytes(t, percent.at, percent.size);
        if (shown[FIELD_BAR])
            put_cells(t, view_percent(v), utf8);
        put_bytes(t, count.at, count.size);
    }
    for (int i = FIELD_OK; i < FIELDS; i++) {
        bool red = color && i == FIELD_FAIL && v->failed > 0;
        if (!shown[i])
            continue;
        if (red)
            PUT(t, "\033[31m");
        put_field(t, v, i);
        if (red)
            PUT(t, "\033[m");
    }
    text_free(&percent);
    text_free(&count);
    text_free(&field);
}

/* "2026-11-20T12:04:44Z sparp 41230/100000 ok=40897 fail=301 ..." */
static void put_progress_line(text *t, const progress_view *v, int64_t now_ms) {
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    char stamp[96];
    if (gmtime_r(&seconds, &utc) == NULL)
        memset(&utc, 0, sizeof utc);
    snprintf(stamp, sizeof stamp, "%d-%02d-%02dT%02d:%02d:%02dZ", utc.tm_year + 1900,
             utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
    put_bytes(t, stamp, strlen(stamp));
    put_count(t, " sparp ", v->done, "");
    if (v->total > 0)
        put_count(t, v->estimated ? "/~" : "/", v->total, "");
    put_count(t, " ok=", v->ok, "");
    put_count(t, " fail=", v->failed, "");
    put_count(t, " retry=", v->retries, " rate=");
    put_rate(t, v->rate);
    put_count(t, "/s live=", v->live, " eta=");
    if (v->eta_s >= 0)
        put_count(t, "", (uint64_t)v->eta_s, "s\n");
    else
        PUT(t, "-\n");
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
    put_count(t, ",\"live\":", v->live, ",\"eta\":");
    if (v->eta_s >= 0)
        put_u64(t, (uint64_t)v->eta_s);
    else
        PUT(t, "null");
    PUT(t, "}\n");
}

static size_t terminal_columns(void) {
    struct winsize window;
    const char *env = getenv("COLUMNS");
    int64_t columns;
    if (env != NULL && parse_count(slice_of(env), &columns) && columns > 0 && columns < 10000)
        return (size_t)columns;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
        return window.ws_col;
    return 80;
}

/* As the names of locales say it: "de_DE.UTF-8", "C.utf8". */
static bool terminal_takes_utf8(void) {
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
    const char *value = NULL;
    for (size_t i = 0; i < 3 && (value == NULL || *value == '\0'); i++)
        value = getenv(names[i]);
    const char *dot = value != NULL ? strchr(value, '.') : NULL;
    return dot != NULL && (strncasecmp(dot, ".UTF-8", 6) == 0 || strncasecmp(dot, ".UTF8", 5) == 0);
}

static bool terminal_is_dumb(void) {
    const char *term = getenv("TERM");
    return term == NULL || strcmp(term, "dumb") == 0;
}

/* stderr is a terminal that can redraw a line, and the records do not scroll over it. */
static bool bar_makes_sense(void) {
    struct stat out, err;
    if (!isatty(STDERR_FILENO) || terminal_is_dumb())
        return false;
    if (!isatty(STDOUT_FILENO))
        return true;
    return fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0
        && out.st_rdev != err.st_rdev;
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

static void progress_open(progress *p, const config *c) {
    memset(p, 0, sizeof *p);
    p->mode = c->progress;
    if (p->mode == PROGRESS_AUTO) {
        bool over_records = c->output == NULL && !bar_makes_sense();
        bool bar = c->output != NULL ? isatty(STDERR_FILENO) && !terminal_is_dumb() : !over_records;
        p->mode = bar ? PROGRESS_BAR : c->verbose ? PROGRESS_LINE : PROGRESS_NONE;
    }
    if (c->quiet)
        p->mode = PROGRESS_NONE;
    p->utf8 = terminal_takes_utf8();
    p->color = color_wanted(c);
    p->columns = terminal_columns();
    p->limit = c->max_per_second;
    p->last_us = p->sampled_us = monotonic_us();
}

/* How long the loop may sleep before the next drawing; -1: as long as it likes. */
static int progress_wait_ms(const progress *p) {
    if (p->mode == PROGRESS_NONE)
        return -1;
    int64_t every = p->mode == PROGRESS_BAR ? BAR_EVERY_US : LINE_EVERY_US;
    int64_t left = p->last_us + every - monotonic_us();
    return left > 0 ? (int)(left / 1000) + 1 : 0;
}

/* The rate of the last second or so, and the time left that follows from it. */
static void progress_rate(progress *p, progress_view *v, int64_t now_us) {
    int64_t passed = now_us - p->sampled_us;
    if (passed >= BAR_EVERY_US / 2) {
        double rate = (double)(v->done - p->sampled_done) * 1e6 / (double)passed;
        double weight = passed > 1000000 ? 1 : (double)passed / 1e6;
        if (p->sampled_done == 0)
            weight = 1;
        p->rate += (rate - p->rate) * weight;
        p->sampled_us = now_us;
        p->sampled_done = v->done;
    }
    v->rate = p->rate;
    v->eta_s = -1;
    if (v->total == 0 || v->done > v->total)
        return;
    double remaining = (double)(v->total - v->done);
    double seconds = p->rate > 0 ? remaining / p->rate : -1;
    if (p->limit > 0 && remaining / p->limit > seconds)
        seconds = remaining / p->limit;
    if (seconds >= 0 && seconds < 1e9)
        v->eta_s = (int64_t)(seconds + 0.5);
}

static void progress_show(progress *p, progress_view *v) {
    text t = { NULL, 0, 0, false };
    size_t written;
    p->last_us = monotonic_us();
    progress_rate(p, v, p->last_us);
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

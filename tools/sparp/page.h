/* sparp/page.h - the file of --report: a page for a browser that needs nothing but itself. It is
   XML, too, so that whoever reads it by program can do so strictly.
   Uses text, say, config, sink, tally, summary, version, report, command, chart. */

static const char page_style[] =
    ":root{color-scheme:light dark;--paper:#fff;--panel:#f6f8fa;--ink:#1f2328;--soft:#59636e;"
    "--line:#d8dde3;--ok:#0b62c4;--failed:#c2410c;--out:#7e22ce;--cut:#59636e;--wait:#15803d;"
    "--h1:#d3e5fa;--h2:#b0d0f3;--h3:#86b6ea;--h4:#5a99dc;--h5:#357bc8;--h6:#175aa6;--h7:#08306b}\n"
    "@media (prefers-color-scheme:dark){:root{--paper:#0d1117;--panel:#161b22;--ink:#e6edf3;"
    "--soft:#9198a1;--line:#30363d;--ok:#6cb2ff;--failed:#ff9d66;--out:#c99cff;--cut:#9198a1;"
    "--wait:#6fd88f;--h1:#14304f;--h2:#1b4677;--h3:#255f9f;--h4:#357cc6;--h5:#5b9fe3;"
    "--h6:#93c5f7;--h7:#dcedff}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:76rem;padding:1.5rem 1rem 3rem;background:var(--paper);"
    "color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}\n"
    "h1{margin:0;font-size:1.6rem;line-height:1.25}h2{margin:2.5rem 0 .5rem;font-size:1.2rem}\n"
    "time{white-space:nowrap}p{margin:.4rem 0}.soft,.key,figcaption{color:var(--soft)}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.2rem,1fr));gap:.5rem;"
    "margin:1.2rem 0;padding:0;list-style:none}.tiles li{background:var(--panel);"
    "border:1px solid var(--line);border-radius:.5rem;padding:.55rem .75rem;color:var(--soft);"
    "font-size:.85rem}.tiles b{display:block;color:var(--ink);font-size:1.15rem;"
    "font-variant-numeric:tabular-nums;overflow-wrap:anywhere}\n"
    "figure{margin:1rem 0 0}figcaption{margin-bottom:.35rem}figcaption b,.mark b{"
    "color:var(--ink)}\n"
    ".plot{position:relative;margin-left:3.8rem}.tall{height:9rem}.flat{height:3rem}"
    ".map{height:15rem}.lane{height:.9rem}\n"
    "svg{display:block;width:100%;height:100%;overflow:visible;shape-rendering:crispEdges}\n"
    "path{vector-effect:non-scaling-stroke;fill:none}.grid{stroke:var(--line)}"
    ".over{stroke:var(--ink);opacity:.13}.area{fill:var(--ok);stroke:none}"
    ".failed .area{fill:var(--failed)}.out .area{fill:var(--out)}.cut .area{fill:var(--cut)}"
    ".wait .area{fill:var(--wait)}.gate path{stroke:var(--failed);stroke-width:2}"
    ".mark{stroke:var(--ink);stroke-dasharray:3 3}\n"
    ".tips rect{fill:var(--ink);opacity:0}.tips rect:hover{opacity:.16}\n"
    ".y{position:absolute;right:100%;padding-right:.45rem;transform:translateY(50%);"
    "white-space:nowrap}.x{position:relative;margin-left:3.8rem;height:1.4rem}.x span{"
    "position:absolute;top:.15rem;transform:translateX(-50%);white-space:nowrap}"
    ".x .end{transform:translateX(-100%)}"
    ".y,.x,span.mark{font-size:.8rem;color:var(--soft);font-variant-numeric:tabular-nums;"
    "line-height:1.2}\n"
    "span.mark{position:absolute;margin-left:.15rem;padding:0 .2rem;white-space:nowrap;"
    "background:var(--paper)}"
    "span.flip{margin-left:-.15rem;transform:translateX(-100%)}\n"
    ".key{font-size:.85rem}.key span{white-space:nowrap;margin-left:.5rem}.key i{"
    "display:inline-block;width:.9rem;height:.9rem;vertical-align:-.1rem;margin-right:.25rem}\n"
    ".map path[class^=h]{vector-effect:none;stroke-width:1}"
    ".h1{stroke:var(--h1);background:var(--h1)}.h2{stroke:var(--h2);background:var(--h2)}"
    ".h3{stroke:var(--h3);background:var(--h3)}.h4{stroke:var(--h4);background:var(--h4)}"
    ".h5{stroke:var(--h5);background:var(--h5)}.h6{stroke:var(--h6);background:var(--h6)}"
    ".h7{stroke:var(--h7);background:var(--h7)}\n"
    "table{margin-top:.6rem;border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th,td{padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);text-align:right;"
    "vertical-align:top}th{color:var(--soft);font-weight:normal;font-size:.85rem}"
    "th:first-child,td:first-child,.l{text-align:left}td.l{overflow-wrap:anywhere}"
    "td small{color:var(--soft)}\n"
    "pre{margin:.5rem 0;padding:.75rem;background:var(--panel);border:1px solid var(--line);"
    "border-radius:.5rem;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.85rem}\n"
    "@media (min-width:60rem){.two{display:grid;grid-template-columns:1fr 1fr;gap:0 2.5rem}}\n"
    "@media (max-width:40rem){.odd{display:none}body{font-size:14px;padding:1rem .75rem}"
    ".plot,.x{margin-left:3.4rem}#latency tbody{display:grid;grid-auto-flow:column;"
    "grid-template-rows:repeat(8,auto)}#latency tr{display:contents}"
    ".split tr{display:grid;grid-template-columns:2fr 1fr 1fr;border-bottom:1px solid var(--line)}"
    ".split td,.split th{border:0;padding-bottom:0}.split .l{grid-column:1/-1;"
    "padding:0 0 .3rem}}\n";

typedef struct page {            /* what there is to be told */
    const config *config;
    const summary *summary;
    report *report;                     /* made coarser for it */
    int64_t from_ms;                    /* where time begins */
} page;

static void put_page_head(text *t) {
    PUT(t, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
           "<meta http-equiv=\"Content-Security-Policy\" "
           "content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
           "<meta name=\"generator\" content=\"sparp " SPARP_VERSION_STRING "\"/>\n"
           "<title>Report of sparp</title>\n<style>\n");
    put_text(t, page_style);
    PUT(t, "</style>\n</head>\n<body>\n");
}

/* --- what has happened ------------------------------------------------------------------------ */

static const char *const class_names[CLASSES] = {
    "ok", "failed", "out of retries", "cut off", "invalid"
};

static const char *const class_styles[CLASSES] = { "ok", "failed", "out", "cut", "cut" };

/* Why the run ended, by the word that --summary json has for it. */
static const char *stop_sentence(const char *stopped) {
    static const struct { const char *word, *sentence; } rows[] = {
        { "output", "The run was stopped: an output could not be written." },
        { "error", "The run was stopped by an error." },
        { "signal", "The run was stopped by a signal, such as Ctrl-C." },
        { "deadline", "The run was stopped by its --deadline." },
        { "first", "The run had the successes that --first asked for." },
        { "bad_line", "The run was stopped by a bad line of its input." },
        { "max_fail", "The run was stopped by --max-fail." },
        { "stop_on", "The run was stopped by --stop-on." }
    };
    for (size_t i = 0; stopped != NULL && i < sizeof rows / sizeof *rows; i++)
        if (strcmp(stopped, rows[i].word) == 0)
            return rows[i].sentence;
    return "The run came to its end.";
}

static void put_title(text *t, const tally *y) {
    int64_t us = tally_elapsed_us(y);
    PUT(t, "<h1>");
    put_grouped(t, tally_finished(y));
    put_text(t, tally_finished(y) == 1 ? " request" : " requests");
    if (us > 0) {
        PUT(t, " in ");
        put_length(t, us);
    }
    PUT(t, "</h1>\n");
}

static void put_success(text *t, const tally *y) {
    uint64_t ok = tally_class(y, CLASS_OK), all = 0;
    for (int i = 0; i < CLASSES; i++)
        all += tally_class(y, i);
    if (all == 0)
        return;
    if (ok == all) {
        PUT(t, " Every request succeeded.");
        return;
    }
    put_char(t, ' ');
    put_grouped(t, all - ok);
    PUT(t, " of ");
    put_grouped(t, all);
    PUT(t, " did not succeed.");
}

static void put_verdict(text *t, const page *p) {
    const summary *s = p->summary;
    PUT(t, "<p>");
    put_text(t, s->live ? stop_sentence(s->stopped) : "Summed up from saved records.");
    put_success(t, s->tally);
    if (s->live)
        put_format(t, " Exit status %d.", s->exit_code);
    if (s->not_read > 0) {
        put_text(t, s->rest_unknown ? " At least " : " ");
        put_grouped(t, s->not_read);
        put_text(t, s->not_read == 1 ? " line was not read." : " lines were not read.");
    }
    if (s->done_before > 0) {
        PUT(t, " Left out, for an earlier run had ended them: ");
        put_grouped(t, s->done_before);
        PUT(t, ".");
    }
    PUT(t, "</p>\n");
}

static void put_dates(text *t, const tally *y) {
    if (y->to_us == 0)
        return;
    PUT(t, "<p class=\"soft\">From <time>");
    put_utc(t, y->from_us / 1000);
    PUT(t, "</time> to <time>");
    put_utc(t, y->to_us / 1000);
    PUT(t, "</time></p>\n");
}

/* A figure, and what it is. */
static void put_tile(text *t, const char *name, const text *value) {
    put_format(t, "<li>%s <b>", name);
    put_bytes(t, value->at, value->size);
    PUT(t, "</b></li>\n");
    if (value->failed)
        t->failed = true;
}

static void put_count_tile(text *t, const char *name, uint64_t count) {
    text value = { NULL, 0, 0, false };
    put_grouped(&value, count);
    put_tile(t, name, &value);
    text_free(&value);
}

static void put_outcome_tiles(text *t, const tally *y) {
    uint64_t kinds[RETRIES_KINDS];
    for (int i = 0; i < CLASSES; i++) {
        uint64_t count = tally_class(y, i);
        if (count > 0 || i <= CLASS_GAVE_UP)
            put_count_tile(t, class_names[i], count);
    }
    put_count_tile(t, "tries again", tally_retries(y, kinds));
    if (y->redirects > 0)
        put_count_tile(t, "redirects", y->redirects);
}

static void put_traffic_tiles(text *t, const summary *s) {
    const tally *y = s->tally;
    text value = { NULL, 0, 0, false };
    put_rate(&value, summary_rate(y));
    PUT(&value, "/s");
    if (tally_elapsed_us(y) > 0)
        put_tile(t, "rate", &value);
    value.size = 0;
    put_size(&value, y->bytes_in);
    put_tile(t, "received", &value);
    value.size = 0;
    put_size(&value, y->bytes_out);
    put_tile(t, "sent", &value);
    if (s->live && s->connections > 0)
        put_count_tile(t, "connections", s->connections);
    value.size = 0;
    if (y->responses > 0) {
        put_percent_of(&value, y->reused, y->responses);
        put_tile(t, "reused", &value);
    }
    value.size = 0;
    put_number(&value, y->cost);
    if (y->has_cost)
        put_tile(t, "cost booked", &value);
    text_free(&value);
}

static void put_latency_tiles(text *t, const latencies *l) {
    text value = { NULL, 0, 0, false };
    for (int i = 0; i < MARK_COUNT && l->count > 0; i++) {
        value.size = 0;
        put_duration(&value, latencies_percentile(l, marks[i].thousandths));
        put_tile(t, marks[i].name, &value);
    }
    text_free(&value);
}

static void put_overview(text *t, const page *p) {
    const tally *y = p->summary->tally;
    put_title(t, y);
    put_verdict(t, p);
    put_dates(t, y);
    PUT(t, "<ul class=\"tiles\">\n");
    put_outcome_tiles(t, y);
    put_latency_tiles(t, &y->last_try);
    put_traffic_tiles(t, p->summary);
    PUT(t, "</ul>\n");
}

/* --- over time -------------------------------------------------------------------------------- */

/* What happened in each of the columns: "1.28 s to 1.44 s: 401 ok, 3 failed" */
static void put_class_tips(text *t, const page *p) {
    const report *r = p->report;
    PUT(t, "<g class=\"tips\">");
    for (int i = 0; i < r->time.count; i++) {
        const report_column *c = &r->columns[i];
        const char *before = "";
        put_tip(t, i, SHARE);
        put_span(t, r, i, p->from_ms);
        for (int k = 0; k < REPORT_CLASSES; k++) {
            if (c->classes[k] == 0)
                continue;
            put_text(t, before);
            put_grouped(t, c->classes[k]);
            put_format(t, " %s", class_names[k]);
            before = ", ";
        }
        if (*before == '\0')
            PUT(t, "nothing ended");
        PUT(t, "</title></rect>");
    }
    PUT(t, "</g>");
}

/* false: no request has ended so. */
static bool put_class_steps(text *t, const page *p, int kind, bool tips) {
    const report *r = p->report;
    double values[REPORT_COLUMNS], most = 0;
    for (int i = 0; i < r->time.count; i++) {
        values[i] = r->columns[i].classes[kind] * 1000.0 / (double)r->time.step;
        most = values[i] > most ? values[i] : most;
    }
    if (!(most > 0))
        return false;
    put_format(t, "<figure class=\"%s\">\n<figcaption><b>%s</b>: ", class_styles[kind],
               class_names[kind]);
    put_grouped(t, tally_class(p->summary->tally, kind));
    PUT(t, ", up to ");
    put_rate(t, most);
    PUT(t, "/s</figcaption>\n");
    bool tall = kind == CLASS_OK;
    double top = put_steps(t, values, r->time.count, "Requests per second that ended so, over time",
                           tall);
    if (tips)
        put_class_tips(t, p);
    put_steps_end(t, top, "/s", tall);
    PUT(t, "</figure>\n");
    return true;
}

/* A line for each column in which a gate has closed. */
static void put_closings(text *t, const page *p) {
    const report *r = p->report;
    if (r->closings == 0)
        return;
    PUT(t, "<figure class=\"gate\">\n<figcaption><b>gate closed</b>: ");
    put_grouped(t, r->closings);
    PUT(t, " times a host had enough, 429 or 503 with Retry-After");
    if (r->longest_pause_s > 0) {
        PUT(t, "; the longest pause is ");
        put_duration(t, (int64_t)(r->longest_pause_s * 1e6));
    }
    PUT(t, "</figcaption>\n<div class=\"plot lane\">");
    put_svg(t, r->time.count, SHARE, "When the gates of hosts closed");
    PUT(t, "<path d=\"");
    for (int i = 0; i < r->time.count; i++)
        if (r->columns[i].closings > 0)
            put_format(t, "M%d.5 0v%d", i, SHARE);
    PUT(t, "\"/></svg></div>\n</figure>\n");
}

static void put_rates(text *t, const page *p) {
    PUT(t, "<section>\n<h2>Requests per second</h2>\n");
    bool tips = true;
    for (int i = 0; i < REPORT_CLASSES; i++)
        tips = !put_class_steps(t, p, i, tips) && tips;
    put_closings(t, p);
    put_time_axis(t, p->report, p->from_ms);
    PUT(t, "</section>\n");
}

static void put_latency_map(text *t, const page *p) {
    if (p->report->latency.count == 0)
        return;
    PUT(t, "<section>\n<h2>Latency over time</h2>\n<p class=\"soft\">Of the last try of each "
           "request, when the request ended. The darker (in the dark: the brighter), the more.</p>"
           "\n<figure>\n");
    put_heat(t, p->report, p->from_ms);
    put_time_axis(t, p->report, p->from_ms);
    PUT(t, "</figure>\n");
    put_heat_legend(t, p->report);
    PUT(t, "</section>\n");
}

/* How long the requests that ended in each column had waited for that, on average. */
static void put_wait_steps(text *t, const page *p, int reason, int64_t sum_us) {
    const report *r = p->report;
    const tally *y = p->summary->tally;
    double values[REPORT_COLUMNS];
    for (int i = 0; i < r->time.count; i++) {
        uint64_t ended = 0;
        for (int k = 0; k < REPORT_CLASSES; k++)
            ended += r->columns[i].classes[k];
        values[i] = ended > 0 ? (double)r->columns[i].waited_s[reason] / (double)ended : 0;
    }
    text words = { NULL, 0, 0, false };
    int64_t cost = reason == SPARP_WAIT_RATE ? waited_us(y, WAIT_COST) : 0;
    if (cost < y->waited_us[reason])
        put_reason(&words, p->summary, reason);
    put_text(&words, cost > 0 && words.size > 0 ? ", or" : "");
    if (cost > 0)
        put_reason(&words, p->summary, WAIT_COST);
    PUT(t, "<figure class=\"wait\">\n<figcaption><b>");
    slice label = { words.at, words.size };
    put_slice(t, trimmed(label));
    PUT(t, "</b>: ");
    t->failed = t->failed || words.failed;
    text_free(&words);
    put_duration(t, y->waited_us[reason] / (int64_t)(y->waiters > 0 ? y->waiters : 1));
    PUT(t, " a request, ");
    put_percent_of(t, (uint64_t)y->waited_us[reason], (uint64_t)sum_us);
    PUT(t, " of all waiting</figcaption>\n");
    double top = put_steps(t, values, r->time.count,
                           "Mean wait of the requests that ended, over time", false);
    put_steps_end(t, top, " s", false);
    PUT(t, "</figure>\n");
}

static void put_waits(text *t, const page *p) {
    const tally *y = p->summary->tally;
    int64_t sum = 0;
    for (int i = 0; i < SPARP_WAIT_COUNT; i++)
        sum += y->waited_us[i];
    if (sum == 0)
        return;
    PUT(t, "<section>\n<h2>Waits</h2>\n<p class=\"soft\">What the requests that ended then had "
           "waited for before they were sent, on average.</p>\n");
    for (int i = 0; i < SPARP_WAIT_COUNT; i++)
        if ((double)y->waited_us[i] * 200 >= (double)sum)       /* half a percent */
            put_wait_steps(t, p, i, sum);
    put_time_axis(t, p->report, p->from_ms);
    PUT(t, "</section>\n");
}

/* What servers say of their limits, the least first. */
static void put_what_is_left(text *t, const page *p) {
    const summary *s = p->summary;
    text line = { NULL, 0, 0, false };
    if (s->num_left == 0)
        return;
    PUT(t, "<section>\n<h2>What servers say is left</h2>\n<ul>\n");
    for (size_t i = 0; i < s->num_left; i++) {
        line.size = 0;
        put_left(&line, &s->left[i]);
        slice shown = { line.at, line.size };
        PUT(t, "<li>");
        put_html(t, shown);
        PUT(t, "</li>\n");
    }
    PUT(t, "</ul>\n</section>\n");
    if (line.failed)
        t->failed = true;
    text_free(&line);
}

/* --- latencies -------------------------------------------------------------------------------- */

static void put_duration_cell(text *t, int64_t us) {
    PUT(t, "<td>");
    put_duration(t, us);
    PUT(t, "</td>");
}

static void put_latencies(text *t, const char *name, const latencies *l) {
    put_format(t, "<tr><td>%s</td>", name);
    put_duration_cell(t, l->least);
    put_duration_cell(t, latencies_mean(l));
    for (int i = 0; i < MARK_COUNT; i++)
        put_duration_cell(t, latencies_percentile(l, marks[i].thousandths));
    put_duration_cell(t, l->most);
    PUT(t, "</tr>\n");
}

static void put_latency_section(text *t, const tally *y) {
    if (y->last_try.count == 0)
        return;
    PUT(t, "<section>\n<h2>Latency</h2>\n<p class=\"soft\">How many requests had which; the last "
           "try of each, timeouts included.</p>\n<figure class=\"ok\">\n");
    put_distribution(t, &y->last_try);
    PUT(t, "</figure>\n<table id=\"latency\">\n<tbody>\n<tr><th></th><th>min</th><th>mean</th>");
    for (int i = 0; i < MARK_COUNT; i++)
        put_format(t, "<th>%s</th>", marks[i].name);
    PUT(t, "<th>max</th></tr>\n");
    put_latencies(t, "last try", &y->last_try);
    put_latencies(t, "overall", &y->overall);
    PUT(t, "</tbody>\n</table>\n</section>\n");
}

/* --- tables ----------------------------------------------------------------------------------- */

enum { TABLE_ROWS_MAX = 40 };    /* a server may have hundreds of statuses for us */

/* A section of its own, and its table as far as the first row: `names` with '|' between; the last
   column, if it is one of URLs, goes below the others where there is little room. */
static void put_table(text *t, const char *title, const char *id, const char *names,
                      const char *urls_or_null) {
    slice rest = slice_of(names), name;
    put_format(t, "<section>\n<h2>%s</h2>\n<table id=\"%s\"%s>\n<tbody>\n<tr>", title, id,
               urls_or_null != NULL ? " class=\"split\"" : "");
    while (slice_split(&rest, '|', &name)) {
        PUT(t, "<th>");
        put_slice(t, name);
        PUT(t, "</th>");
    }
    if (urls_or_null != NULL)
        put_format(t, "<th class=\"l\">%s</th>", urls_or_null);
    PUT(t, "</tr>\n");
}

static void put_count_cell(text *t, uint64_t count) {
    PUT(t, "<td>");
    if (count > 0)
        put_grouped(t, count);
    PUT(t, "</td>");
}

static void put_index_and_url(text *t, uint64_t index, const char *url) {
    put_format(t, "<td class=\"l\"><small>%llu</small> ", (unsigned long long)index);
    put_html(t, slice_of(url));
    PUT(t, "</td>");
}

static void put_example_cell(text *t, const report *r, int code, int phase) {
    const report_example *e = report_example_of(r, code, phase);
    if (e != NULL)
        put_index_and_url(t, e->index, e->url);
    else
        PUT(t, "<td></td>");
}

static void put_statuses(text *t, const page *p) {
    const tally *y = p->summary->tally;
    uint64_t ended = 0, again = 0;
    int rows = 0;
    put_table(t, "Statuses", "statuses", "status|requests|tried again", "the first: index, URL");
    for (int i = 0; i < STATUS_END; i++) {
        if (y->status[i] == 0 && y->tried[i] == 0)
            continue;
        if (rows++ >= TABLE_ROWS_MAX) {
            ended += y->status[i];
            again += y->tried[i];
            continue;
        }
        put_format(t, "<tr><td>%d</td>", i);
        put_count_cell(t, y->status[i]);
        put_count_cell(t, y->tried[i]);
        put_example_cell(t, p->report, i, 0);
        PUT(t, "</tr>\n");
    }
    if (y->no_status > 0) {
        PUT(t, "<tr><td>none</td>");
        put_count_cell(t, y->no_status);
        PUT(t, "<td></td><td></td></tr>\n");
    }
    if (rows > TABLE_ROWS_MAX) {
        put_format(t, "<tr><td>%d others</td>", rows - TABLE_ROWS_MAX);
        put_count_cell(t, ended);
        put_count_cell(t, again);
        PUT(t, "<td></td></tr>\n");
    }
    PUT(t, "</tbody>\n</table>\n</section>\n");
}

static void put_error_row(text *t, const page *p, int error, int phase, uint64_t ended,
                          uint64_t again) {
    PUT(t, "<tr><td>");
    if (ended > 0)
        put_error_label(t, error, phase);
    else
        put_tried_code(t, TRIED_ERROR + error);
    if (error != SPARP_E_OK)            /* else it is not known */
        put_format(t, "<br/><small>%s</small>", sparp_error_text((sparp_error)error));
    PUT(t, "</td>");
    put_count_cell(t, ended);
    put_count_cell(t, again);
    put_example_cell(t, p->report, TRIED_ERROR + error, phase);
    PUT(t, "</tr>\n");
}

/* A timeout has a row for each phase; those that were tried again do not say in which it was. */
static void put_error_rows(text *t, const page *p, int error) {
    const tally *y = p->summary->tally;
    uint64_t again = y->tried[TRIED_ERROR + error];
    bool apart = error == SPARP_E_TIMEOUT || y->errors[error][0] == 0;
    for (int k = 0; k < SPARP_PHASE_COUNT; k++)
        if (y->errors[error][k] > 0)
            put_error_row(t, p, error, k, y->errors[error][k], apart ? 0 : again);
    if (apart && again > 0)
        put_error_row(t, p, error, 0, 0, again);
}

static void put_errors(text *t, const page *p) {
    size_t start = t->size;
    put_table(t, "Errors", "errors", "error|requests|tried again", "the first: index, URL");
    size_t empty = t->size;
    for (int i = 0; i < SPARP_E_COUNT; i++)
        put_error_rows(t, p, i);
    if (t->size > empty) {
        PUT(t, "</tbody>\n</table>\n</section>\n");
        return;
    }
    t->size = t->failed ? t->size : start;
    PUT(t, "<section>\n<h2>Errors</h2>\n<p>None: every try had an answer.</p>\n</section>\n");
}

static void put_slowest(text *t, const page *p) {
    const report *r = p->report;
    if (r->num_slowest == 0)
        return;
    put_table(t, "The slowest", "slowest", "last try|overall|ended", "index, URL");
    for (int i = 0; i < r->num_slowest; i++) {
        const report_slow *slow = &r->slowest[i];
        PUT(t, "<tr>");
        put_duration_cell(t, slow->last_us);
        put_duration_cell(t, slow->overall_us);
        PUT(t, "<td>");
        if (slow->status > 0)
            put_u64(t, (uint64_t)slow->status);
        else
            put_lower(t, sparp_error_name(slow->error));
        PUT(t, "</td>");
        put_index_and_url(t, slow->index, slow->url);
        PUT(t, "</tr>\n");
    }
    PUT(t, "</tbody>\n</table>\n</section>\n");
}

/* The one that comes most often first; NULL: all are done. */
static report_host *host_next(report *r, bool *done) {
    report_host *most = NULL;
    for (int i = 0; i < r->num_hosts; i++)
        if (!done[i] && report_host_is_known(&r->hosts[i])
            && (most == NULL || r->hosts[i].requests > most->requests))
            most = &r->hosts[i];
    if (most != NULL)
        done[most - r->hosts] = true;
    return most;
}

static void put_host_row(text *t, const report_host *h) {
    PUT(t, "<tr><td class=\"l\">");
    put_html(t, slice_of(h->name));
    PUT(t, "</td>");
    put_count_cell(t, h->requests);
    put_count_cell(t, h->requests - h->ok);
    if (h->answers > 0) {
        put_duration_cell(t, (int64_t)(h->sum_us / (double)h->answers + 0.5));
        put_duration_cell(t, h->most_us);
    } else {
        PUT(t, "<td></td><td></td>");
    }
    PUT(t, "</tr>\n");
}

static void put_hosts(text *t, const page *p) {
    report *r = p->report;
    bool done[REPORT_HOSTS] = { false };
    uint64_t sum = 0, all = 0;
    if (r->num_hosts == 0)
        return;
    put_table(t, "Hosts", "hosts", "host|requests|not ok|mean|max", NULL);
    for (report_host *h; (h = host_next(r, done)) != NULL; sum += h->requests)
        put_host_row(t, h);
    for (int i = 0; i < CLASS_INVALID; i++)
        all += tally_class(p->summary->tally, i);
    if (all > sum + r->no_url) {
        PUT(t, "<tr><td>others</td>");
        put_count_cell(t, all - sum - r->no_url);
        PUT(t, "<td></td><td></td><td></td></tr>\n");
    }
    PUT(t, "</tbody>\n</table>\n");
    if (all > sum + r->no_url)
        PUT(t, "<p class=\"soft\">The first ten hosts are here, and of later ones those that came "
               "most often since.</p>\n");
    PUT(t, "</section>\n");
}

/* --- what it was, and what is not known ------------------------------------------------------- */

static void put_gap(text *t, uint64_t count, const char *sentence) {
    if (count == 0)
        return;
    PUT(t, "<li>");
    put_grouped(t, count);
    put_format(t, " %s</li>\n", sentence);
}

static void put_gaps(text *t, const page *p) {
    const report *r = p->report;
    const summary *s = p->summary;
    size_t start = t->size;
    PUT(t, "<section>\n<h2>What this page cannot tell</h2>\n<ul>\n");
    size_t empty = t->size;
    if (!s->live)
        PUT(t, "<li>Records do not say when the gate of a host closed (only how long a request "
               "waited for it), how many connections there were, how the run ended, and by which "
               "command it was made: the one below has made this page.</li>\n");
    if (!s->live && r->last_index + 1 > r->records)
        put_gap(t, r->last_index + 1 - r->records, "of the lines up to the last one have no record "
                "here: another shard's, left out by --only, or never ended.");
    put_gap(t, r->no_time, "have no time: they are in the figures, and not in what is over time.");
    put_gap(t, r->no_url, "have no URL: they are not among the hosts.");
    if (!s->live)
        put_gap(t, r->no_times, "have no latencies: records with --fields have what was asked "
                "for.");
    if (s->live && p->config->order == ORDER_INPUT)
        PUT(t, "<li>With --order input a request ends here when its record is written: later than "
               "its answer came, if others had to go first.</li>\n");
    if (t->size == empty && !t->failed)
        t->size = start;
    else
        PUT(t, "</ul>\n</section>\n");
}

static void put_origin(text *t, const page *p) {
    text shown = { NULL, 0, 0, false };
    PUT(t, "<section>\n<h2>Made by</h2>\n<pre id=\"command\">");
    put_command(&shown, p->config);
    slice command = { shown.at, shown.size };
    put_html(t, command);
    shown.size = 0;
    put_version(&shown);
    slice version = { shown.at, shown.size };
    PUT(t, "</pre>\n<pre>");
    put_html(t, version);
    PUT(t, "</pre>\n<p class=\"soft\">Credentials, headers, bodies and what stands behind the ? of "
           "a URL are not in this file: *** and ? stand for them.</p>\n</section>\n");
    if (shown.failed)
        t->failed = true;
    text_free(&shown);
}

/* A column with hardly anything in it makes no rate. */
static void page_coarsen(report *r) {
    uint64_t sum = 0;
    for (int i = 0; i < r->time.count; i++)
        for (int k = 0; k < REPORT_CLASSES; k++)
            sum += r->columns[i].classes[k];
    while (r->time.count > 24 && sum < (uint64_t)r->time.count * 8)
        columns_halve(r);
}

static void put_page(text *t, page *p) {
    const tally *y = p->summary->tally;
    report *r = p->report;
    page_coarsen(r);
    p->from_ms = y->from_us / 1000;
    put_page_head(t);
    put_overview(t, p);
    if (r->time.count > 0) {
        put_rates(t, p);
        put_latency_map(t, p);
        put_waits(t, p);
    }
    put_what_is_left(t, p);
    put_latency_section(t, y);
    if (tally_finished(y) > 0) {
        PUT(t, "<div class=\"two\">\n");
        put_statuses(t, p);
        put_errors(t, p);
        put_slowest(t, p);
        put_hosts(t, p);
        PUT(t, "</div>\n");
    }
    put_gaps(t, p);
    put_origin(t, p);
    PUT(t, "</body>\n</html>\n");
}

/* --- the file --------------------------------------------------------------------------------- */

typedef struct report_file {     /* FILE.part until it is whole; {0}: not asked for */
    report *report;
    sink sink;
    const char *name, *part;            /* part NULL: no regular file, written as it is */
} report_file;

/* The page takes the place of FILE when it is whole; it must not be that of a file we read. */
static bool report_may_replace(const config *c, const reader *inputs, struct stat *info) {
    const char *ours[] = { c->journal, c->resume };
    struct stat other;
    bool exists = stat(c->report, info) == 0;
    if (exists && S_ISDIR(info->st_mode)) {
        say("cannot create %s: %s", c->report, strerror(EISDIR));
        return false;
    }
    bool taken = is_an_input(inputs, c->report);
    for (int i = 0; i < 2; i++)
        taken = taken || (ours[i] != NULL
                          && (strcmp(ours[i], c->report) == 0
                              || (exists && stat(ours[i], &other) == 0
                                  && same_file(info, &other))));
    if (taken)
        say("%s is input and output", c->report);
    return !taken;
}

/* Before anything is sent: so that nothing is sent for a page that cannot be written. */
static bool report_open(report_file *f, config *c, const reader *inputs) {
    struct stat info;
    memset(&info, 0, sizeof info);
    if (!report_may_replace(c, inputs, &info))
        return false;
    f->name = c->report;
    bool whole = info.st_mode == 0 || S_ISREG(info.st_mode);
    const char *part = whole ? config_join(c, f->name, ".part", "") : f->name;
    f->report = (report *)calloc(1, sizeof *f->report);
    if (f->report == NULL || part == NULL) {
        say("out of memory");
        return false;
    }
    if (!sink_open(&f->sink, inputs, part))
        return false;
    f->part = whole ? part : NULL;
    return true;
}

/* The page in the place of what was there before; false after a message. */
static bool report_publish(report_file *f, const config *c, const summary *s) {
    page p = { c, s, f->report, 0 };
    if (f->report == NULL)
        return true;
    sink_begin(&f->sink);               /* of a run that was killed */
    put_page(&f->sink.buffer, &p);
    sink_close(&f->sink);
    if (!f->sink.failed && f->part != NULL && rename(f->part, f->name) != 0)
        sink_fail(&f->sink, strerror(errno));
    if (!f->sink.failed)
        f->part = NULL;
    return !f->sink.failed;
}

static void report_free(report_file *f) {
    sink_close(&f->sink);
    if (f->part != NULL)
        (void)unlink(f->part);
    free(f->report);
    memset(f, 0, sizeof *f);
    f->sink.fd = -1;
}

/* sparp/chart.h - what was kept, as pictures: SVG within HTML. A picture is as wide as there is
   room for, so its lines are in SVG, stretched, and its words in HTML around it, which are not.
   Nothing in it is told by colour alone. Pure. Uses text, tally, summary, report. */

enum { SHARE = 1000 };           /* of the height of a picture, in which its heights are given */

/* --- text ------------------------------------------------------------------------------------- */

/* What HTML may have as a character; not those that turn the direction of what stands around. */
static bool is_shown_point(unsigned point) {
    bool control = (point < ' ' && point != '\t' && point != '\n') || (point >= 127 && point < 160);
    bool turns = point == 0x200E || point == 0x200F || (point >= 0x202A && point <= 0x202E)
        || (point >= 0x2066 && point <= 0x2069);
    bool none = (point >= 0xFDD0 && point <= 0xFDEF) || (point & 0xFFFE) == 0xFFFE;
    return !control && !turns && !none;
}

/* Text of others: nothing in it is markup, whatever it is. */
static void put_html(text *t, slice s) {
    static const char special[] = "&<>\"'";
    static const char *const names[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&#39;" };
    while (s.size > 0) {
        size_t length;
        unsigned point = utf8_decode(s, &length);
        const char *found = point < 128 && point > 0 ? strchr(special, (int)point) : NULL;
        if (length == 0 || !is_shown_point(point))
            PUT(t, "\xEF\xBF\xBD");
        else if (found != NULL)
            put_text(t, names[found - special]);
        else
            put_bytes(t, s.at, length);
        s = slice_from(s, length > 0 ? length : 1);
    }
}

/* 41330 -> 41,330 */
static void put_grouped(text *t, uint64_t n) {
    if (n >= 1000) {
        put_grouped(t, n / 1000);
        put_format(t, ",%03u", (unsigned)(n % 1000));
    } else {
        put_u64(t, n);
    }
}

/* Of an axis: 1,500 but 0.25, never more figures than there are. */
static void put_tick(text *t, double value) {
    if (value >= 10 || value == (double)(uint64_t)value)
        put_grouped(t, (uint64_t)(value + 0.5));
    else
        put_thousandths(t, (int64_t)(value * 1000 + 0.5));
}

static void put_place(text *t, double share) {       /* for CSS: where something is */
    put_format(t, "%.2f%%", share * 100);
}

/* --- axes ------------------------------------------------------------------------------------- */

/* Where time begins in the pictures. */
static double column_at(const report *r, int64_t ms) {
    return ((double)ms / (double)r->time.step - (double)r->time.first) / r->time.count;
}

typedef struct time_unit {
    int64_t ms;
    const char *name;
} time_unit;

static const time_unit time_units[] = {
    { 1, " ms" }, { 1000, " s" }, { 60000, " min" }, { 3600000, " h" }, { 86400000, " d" }
};

/* Between two marks of the time axis: the least that leaves no more than ten of them. */
static int64_t time_step(int64_t range_ms) {
    static const int steps[][5] = {
        { 10, 20, 50, 100, 200 }, { 1, 2, 5, 10, 30 }, { 1, 2, 5, 10, 30 }, { 1, 2, 6, 12, 12 }
    };
    for (int unit = 0; unit < 4; unit++)
        for (int i = 0; i < 5; i++)
            if (range_ms / (steps[unit][i] * time_units[unit].ms) < 10)
                return steps[unit][i] * time_units[unit].ms;
    int64_t step = time_units[4].ms;
    while (range_ms / step >= 10)
        step *= 2;
    return step;
}

/* "0.4 s", "90 s", "10 min", in the unit of the step. */
static void put_moment(text *t, int64_t ms, int64_t step) {
    int unit = 1;
    while (unit < 4 && step >= time_units[unit + 1].ms)
        unit++;
    put_thousandths(t, (int64_t)((double)ms / (double)time_units[unit].ms * 1000 + 0.5));
    put_text(t, time_units[unit].name);
}

/* A mark below a picture; those at its right end stay within it. */
static void put_x_mark(text *t, double at, bool minor) {
    put_format(t, "<span class=\"%s%s\" style=\"left:%.2f%%\">", minor ? "odd" : "even",
               at > 0.97 ? " end" : "", at * 100);
}

static void put_time_axis(text *t, const report *r, int64_t from_ms) {
    int64_t range = r->time.count * r->time.step, step = time_step(range), ms = 0;
    PUT(t, "<div class=\"x\">");
    for (int i = 0; ; i++, ms += step) {
        double at = column_at(r, from_ms + ms);
        if (at > 1)
            break;
        put_x_mark(t, at, i % 2 == 1);
        put_moment(t, ms, step);
        PUT(t, "</span>");
    }
    PUT(t, "</div>\n");
}

/* "60.1 s", "24.3 h": three digits, in the largest unit that there are two of. */
static void put_length(text *t, int64_t us) {
    double ms = (double)us / 1000;
    int unit = 0;
    while (unit < 4 && ms >= 2 * (double)time_units[unit + 1].ms)
        unit++;
    put_three_digits(t, ms / (double)time_units[unit].ms);
    put_text(t, time_units[unit].name);
}

/* The least of 1, 2, 3, 4, 5, 6, 8 times a power of ten that is not below. */
static double scale_top(double most) {
    static const int steps[] = { 1, 2, 3, 4, 5, 6, 8 };
    double power = 1;
    while (power * 10 <= most)
        power *= 10;
    while (power > most && power > 1e-6)
        power /= 10;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (steps[i] * power >= most)
            return steps[i] * power;
    return 10 * power;
}

/* A mark at the left of a picture, `share` of its height above its bottom. */
static void put_y_mark(text *t, double share, double value, const char *unit) {
    PUT(t, "<span class=\"y\" style=\"bottom:");
    put_place(t, share);
    PUT(t, "\">");
    put_tick(t, value);
    put_text(t, unit);
    PUT(t, "</span>");
}

typedef struct tick {            /* of an axis of latencies */
    int64_t us;
    double at;                          /* 0 to 1 */
    bool minor;
} tick;

enum { TICKS_MAX = 40, TICKS_SHOWN = 10 };

/* The round latencies between two log_place()s: 1, 2, 5 times a power of ten, or that alone. */
static int latency_ticks(tick *ticks, double first, double end) {
    static const int steps[] = { 1, 2, 5 };
    int count = 0, lines = 0;
    for (int64_t power = 1; power < INT64_C(1000000000000); power *= 10) {
        for (int i = 0; i < 3; i++) {
            tick k = { steps[i] * power, 0, i > 0 };
            k.at = (log_place(k.us) - first) / (end - first);
            if (k.at >= 0 && k.at <= 1 && count < TICKS_MAX)
                ticks[count++] = k;
        }
    }
    bool all = count <= TICKS_SHOWN;
    double last = -1;
    for (int i = 0; i < count; i++) {
        if ((ticks[i].minor && !all) || ticks[i].at - last < 0.06)
            continue;
        last = ticks[i].at;
        ticks[lines++] = ticks[i];
    }
    return lines;
}

/* "500 us" without the figures that are none. */
static void put_latency_tick(text *t, int64_t us) {
    static const int64_t sizes[] = { 1, 1000, 1000000 };
    static const char *const names[] = { " us", " ms", " s" };
    int unit = us < 1000 ? 0 : us < 1000000 ? 1 : 2;
    put_tick(t, (double)us / (double)sizes[unit]);
    put_text(t, names[unit]);
}

/* --- pictures --------------------------------------------------------------------------------- */

/* `columns` wide, `rows` high, whatever that is on the screen. */
static void put_svg(text *t, int columns, int rows, const char *what) {
    put_format(t, "<svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\" "
               "aria-label=\"%s\">", columns, rows, what);
}

static void put_grid_line(text *t, int columns, double y) {
    put_format(t, "<path class=\"grid\" d=\"M0 %.0fH%d\"/>", y, columns);
}

/* Steps as high as the values, from the bottom up. */
static void put_area(text *t, const double *values, int count, double top) {
    int last = SHARE;
    put_format(t, "<path class=\"area\" d=\"M0 %d", SHARE);
    for (int i = 0; i < count; i++) {
        int y = SHARE - (int)(values[i] / top * SHARE + 0.5);
        if (values[i] > 0 && y > SHARE - SHARE / 50)
            y = SHARE - SHARE / 50;     /* what is there is seen */
        if (y != last)
            put_format(t, "H%dV%d", i, y);
        last = y;
    }
    put_format(t, "H%dV%dz\"/>", count, SHARE);
}

/* A picture of steps, to be closed with what is returned: the value at its top. */
static double put_steps(text *t, const double *values, int count, const char *what, bool tall) {
    double most = 0;
    for (int i = 0; i < count; i++)
        most = values[i] > most ? values[i] : most;
    double top = scale_top(most);
    put_format(t, "<div class=\"plot %s\">", tall ? "tall" : "flat");
    put_svg(t, count, SHARE, what);
    put_grid_line(t, count, 0);
    if (tall)
        put_grid_line(t, count, SHARE / 2);
    put_area(t, values, count, top);
    put_grid_line(t, count, SHARE);
    return top;
}

/* The marks at its left; one in the middle, too, where it is tall. */
static void put_steps_end(text *t, double top, const char *unit, bool tall) {
    PUT(t, "</svg>");
    put_y_mark(t, 1, top, unit);
    if (tall)
        put_y_mark(t, 0.5, top / 2, unit);
    PUT(t, "</div>\n");
}

/* "1.28 s to 1.44 s: " */
static void put_span(text *t, const report *r, int column, int64_t from_ms) {
    int64_t begin = (r->time.first + column) * r->time.step - from_ms;
    put_moment(t, begin > 0 ? begin : 0, 1000);
    PUT(t, " to ");
    put_moment(t, begin + r->time.step, 1000);
    PUT(t, ": ");
}

static void put_tip(text *t, int column, int rows) {
    put_format(t, "<rect x=\"%d\" width=\"1\" height=\"%d\"><title>", column, rows);
}

/* --- the heat map ----------------------------------------------------------------------------- */

enum { HEAT_LEVELS = 7 };

/* Level 1 is from one request on, level 2 from `base`, level 3 from base * base. */
static uint32_t heat_base(const report *r) {
    uint32_t most = 0, base = 2;
    for (int i = 0; i < r->time.count; i++)
        for (int k = 0; k < r->latency.count; k++)
            if (r->columns[i].heat[k] > most)
                most = r->columns[i].heat[k];
    for (;; base++) {
        double above = 1;
        for (int i = 0; i < HEAT_LEVELS; i++)
            above *= base;
        if (above > most)
            return base;
    }
}

static int heat_level(uint32_t count, uint32_t base) {
    int level = 0;
    for (; count > 0; count /= base)
        level++;
    return level;
}

static int heat_highest(const report *r, uint32_t base) {
    int highest = 1;
    for (int i = 0; i < r->time.count; i++)
        for (int k = 0; k < r->latency.count; k++) {
            int level = heat_level(r->columns[i].heat[k], base);
            highest = level > highest ? level : highest;
        }
    return highest;
}

/* All cells of one level, as lines from cell to cell: each row of the map is one unit high. */
static void put_heat_level(text *t, const report *r, int level, uint32_t base, int shade) {
    int x = 0, y = 0, rows = r->latency.count;
    put_format(t, "<path class=\"h%d\" d=\"M0 .5", shade);
    for (int at = 0; at < rows; at++) {
        for (int column = 0; column < r->time.count; column++) {
            int end = column;
            while (end < r->time.count
                   && heat_level(r->columns[end].heat[rows - 1 - at], base) == level)
                end++;
            if (end == column)
                continue;
            put_format(t, "m%d %dh%d", column - x, at - y, end - column);
            x = column = end;
            y = at;
        }
    }
    PUT(t, "\"/>");
}

/* A level is the darker the nearer it is to the highest one. */
static void put_heat_map(text *t, const report *r) {
    uint32_t base = heat_base(r);
    int highest = heat_highest(r, base);
    for (int level = 1; level <= highest; level++)
        put_heat_level(t, r, level, base, HEAT_LEVELS - highest + level);
}

static void put_heat_legend(text *t, const report *r) {
    uint32_t base = heat_base(r);
    int highest = heat_highest(r, base);
    uint64_t from = 1;
    PUT(t, "<p class=\"key\">Requests in a cell:");
    for (int level = 1; level <= highest; level++, from *= base) {
        put_format(t, " <span><i class=\"h%d\">&#160;</i>", HEAT_LEVELS - highest + level);
        put_grouped(t, from);
        if (level == highest || base > 2 || from > 1)
            PUT(t, "+");
        PUT(t, "</span>");
    }
    PUT(t, "</p>\n");
}

/* The longest latency that falls into a row. */
static int64_t latency_row_top(const report *r, int level) {
    double end = (double)((r->latency.first + level + 1) * r->latency.step);
    size_t bucket = 0;
    while (bucket + 1 < LATENCY_BUCKETS && log_place(latency_top(bucket + 1)) < end)
        bucket++;
    return latency_top(bucket);
}

/* "1.28 s to 1.44 s: 404 requests, half of them within 45.1ms" */
static void put_heat_tips(text *t, const report *r, int64_t from_ms) {
    PUT(t, "<g class=\"tips\">");
    for (int i = 0; i < r->time.count; i++) {
        const uint32_t *heat = r->columns[i].heat;
        uint64_t sum = 0, below = 0;
        int level = 0;
        for (int k = 0; k < r->latency.count; k++)
            sum += heat[k];
        if (sum == 0)
            continue;
        while ((below += heat[level]) * 2 < sum)
            level++;
        put_tip(t, i, r->latency.count);
        put_span(t, r, i, from_ms);
        put_grouped(t, sum);
        PUT(t, ", half of them within ");
        put_duration(t, latency_row_top(r, level));
        PUT(t, "</title></rect>");
    }
    PUT(t, "</g>");
}

static void put_heat(text *t, const report *r, int64_t from_ms) {
    tick ticks[TICKS_MAX];
    double first = (double)(r->latency.first * r->latency.step);
    double range = (double)(r->latency.count * r->latency.step);
    int count = latency_ticks(ticks, first, first + range);
    PUT(t, "<div class=\"plot map\">");
    put_svg(t, r->time.count, r->latency.count,
            "How long the last tries of the requests took, over time: the darker, the more");
    put_heat_map(t, r);
    for (int i = 0; i < count; i++)
        put_format(t, "<path class=\"grid over\" d=\"M0 %.2fH%d\"/>",
                   (1 - ticks[i].at) * r->latency.count, r->time.count);
    put_heat_tips(t, r, from_ms);
    PUT(t, "</svg>");
    for (int i = 0; i < count; i++) {
        PUT(t, "<span class=\"y\" style=\"bottom:");
        put_place(t, ticks[i].at);
        PUT(t, "\">");
        put_latency_tick(t, ticks[i].us);
        PUT(t, "</span>");
    }
    PUT(t, "</div>\n");
}

/* --- the distribution ------------------------------------------------------------------------- */

enum { BARS_MAX = 96 };

typedef struct bars {            /* each `step` sixteenths of an octave wide, from `first` on */
    double counts[BARS_MAX];
    double first, step;
    int count;
} bars;

/* How far to the right a latency lies, in bars. */
static double bars_at(const bars *b, int64_t us) {
    double at = (log_place(us) - b->first) / b->step;
    return at < 0 ? 0 : at < b->count ? at : b->count;
}

/* What is in a bucket lies anywhere between its ends, which may be in several bars. */
static void bars_add(bars *b, size_t bucket, double count) {
    double from = bars_at(b, latency_bottom(bucket)), to = bars_at(b, latency_bottom(bucket + 1));
    if (!(to > from)) {
        b->counts[from < b->count ? (int)from : b->count - 1] += count;
        return;
    }
    for (int i = (int)from; i < b->count && i < to; i++) {
        double begin = i > from ? i : from, end = i + 1 < to ? i + 1 : to;
        b->counts[i] += count * (end - begin) / (to - from);
    }
}

static void bars_of(bars *b, const latencies *l) {
    int64_t first = (int64_t)log_place(l->least), last = (int64_t)log_place(l->most);
    int64_t step = 1;
    memset(b, 0, sizeof *b);
    while (last / step - first / step >= BARS_MAX)
        step *= 2;
    b->step = (double)step;
    b->first = (double)(first / step * step);
    b->count = (int)(last / step - first / step) + 1;
    for (size_t i = latency_bucket(l->least); i <= latency_bucket(l->most); i++)
        if (l->buckets[i] > 0)
            bars_add(b, i, (double)l->buckets[i]);
}

static void put_marks(text *t, const bars *b, const latencies *l, bool words) {
    for (int i = 0; i < MARK_COUNT; i++) {
        int64_t us = latencies_percentile(l, marks[i].thousandths);
        double at = bars_at(b, us) / b->count;
        if (!words) {
            put_format(t, "<path class=\"mark\" d=\"M%.2f %dV%d\"/>", at * b->count, SHARE,
                       i * SHARE / 10);
            continue;
        }
        put_format(t, "<span class=\"mark%s\" style=\"left:%.2f%%;top:%d%%\">%s <b>",
                   at > 0.7 ? " flip" : "", at * 100, i * 10, marks[i].name);
        put_duration(t, us);
        PUT(t, "</b></span>");
    }
}

static void put_distribution(text *t, const latencies *l) {
    bars b;
    tick ticks[TICKS_MAX];
    double most = 0;
    bars_of(&b, l);
    for (int i = 0; i < b.count; i++)
        most = b.counts[i] > most ? b.counts[i] : most;
    double top = scale_top(most * 1.25);        /* room for what is written above */
    int count = latency_ticks(ticks, b.first, b.first + b.count * b.step);
    PUT(t, "<div class=\"plot map\">");
    put_svg(t, b.count, SHARE, "How many requests had which latency, with the percentiles");
    for (int i = 0; i <= 2; i++)
        put_grid_line(t, b.count, i * SHARE / 2);
    put_area(t, b.counts, b.count, top);
    put_marks(t, &b, l, false);
    PUT(t, "</svg>");
    put_y_mark(t, 1, top, "");
    put_y_mark(t, 0.5, top / 2, "");
    put_marks(t, &b, l, true);
    PUT(t, "</div>\n<div class=\"x\">");
    for (int i = 0; i < count; i++) {
        put_x_mark(t, ticks[i].at, ticks[i].minor);
        put_latency_tick(t, ticks[i].us);
        PUT(t, "</span>");
    }
    PUT(t, "</div>\n");
}

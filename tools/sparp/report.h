/* sparp/report.h - what --report keeps of a run while it runs: a table of columns over time that
   grow coarser as it goes on, the slowest, the hosts, an example of everything. 40 KB, however
   many requests there are; what the tally has is not kept twice. Pure.
   Uses text, url, hash, record, tally. */

enum {
    REPORT_COLUMNS = 240, REPORT_ROWS = 28,
    REPORT_CLASSES = CLASS_CUT + 1,     /* those that have a time: lines that are none do not */
    REPORT_HOSTS = 16, REPORT_FIRST_HOSTS = 10, REPORT_SLOWEST = 10, REPORT_EXAMPLES = 16,
    COLUMN_MS = 10,                     /* at first: then 20, 40, ... */
    LOG_STEPS = 16,                     /* of an octave */
    ROW_STEPS = LOG_STEPS / 4           /* likewise: 28 rows are seven octaves */
};

/* Equal steps on an axis, of which a bounded number is kept: `count` from `first` on, counted from
   zero. What lies too far apart makes them twice as wide. */
typedef struct scale {
    int64_t step, first;
    int count;
} scale;

typedef struct report_column {
    uint32_t heat[REPORT_ROWS];         /* requests by how long their last try took */
    uint32_t classes[REPORT_CLASSES];   /* requests that ended then */
    float waited_s[SPARP_WAIT_COUNT];   /* ... and had waited that long, all together */
    uint32_t closings;
} report_column;

typedef struct report_host {
    uint64_t hash;                      /* of its name */
    double sum_us;                      /* of the latencies of `answers` */
    int64_t most_us;
    uint32_t rank;                      /* requests, and those of who had its place before */
    uint32_t requests, ok, answers;
    char name[40];
} report_host;

typedef struct report_slow {
    int64_t last_us, overall_us;
    uint64_t index;
    int status;
    sparp_error error;
    char url[56];
} report_slow;

typedef struct report_example {
    uint64_t index;
    unsigned short code;                /* as in `tried` */
    unsigned short phase;               /* of a timeout; else 0 */
    char url[60];
} report_example;

typedef struct report {
    report_column columns[REPORT_COLUMNS];
    scale time, latency;                /* milliseconds; sixteenths of an octave, see log_place() */
    report_host hosts[REPORT_HOSTS];
    report_slow slowest[REPORT_SLOWEST];
    report_example examples[REPORT_EXAMPLES];
    int num_hosts, num_slowest, num_examples;
    uint64_t closings, no_time, no_url, no_times, last_index, records;
    double longest_pause_s;             /* that one of the closings has asked for */
} report;

/* Fails to compile where it is more than it may be. */
typedef char report_fits[sizeof(report) <= 40 * 1024 ? 1 : -1];

static void count_up(uint32_t *n, uint64_t by) {
    *n = by > UINT32_MAX - *n ? UINT32_MAX : *n + (uint32_t)by;
}

/* Where a latency lies on a logarithmic scale: sixteenths of an octave above a microsecond. The
   buckets of the tally would not do: their share of an octave doubles from its end to its start,
   and so would what is counted in them. */
static double log_place(int64_t us) {
    static const double powers[LOG_STEPS + 1] = {
        1.000000, 1.044274, 1.090508, 1.138789, 1.189207, 1.241858, 1.296840, 1.354256, 1.414214,
        1.476826, 1.542211, 1.610490, 1.681793, 1.756252, 1.834008, 1.915207, 2.000000
    };
    int octave = 0, i = 0;
    if (us < 1)
        return 0;
    while (us >> octave > 1)
        octave++;
    double rest = (double)us / (double)(INT64_C(1) << octave);
    while (i < LOG_STEPS - 1 && powers[i + 1] <= rest)
        i++;
    return octave * LOG_STEPS + i + (rest - powers[i]) / (powers[i + 1] - powers[i]);
}

/* --- the table -------------------------------------------------------------------------------- */

static bool scale_reaches(const scale *s, int64_t at, int room) {
    int64_t end = s->first + s->count;
    return s->count == 0 || (at < s->first ? end - at : at - s->first + 1) <= room;
}

/* Of a step: which one it becomes when all are twice as wide, counted from the new first one. */
static int scale_halved(const scale *s, int i) {
    return (int)((s->first + i) / 2 - s->first / 2);
}

static void scale_halve(scale *s) {
    if (s->count > 0)
        s->count = scale_halved(s, s->count - 1) + 1;
    s->first /= 2;
    s->step *= 2;
}

static void column_add(report_column *to, const report_column *from) {
    for (int i = 0; i < REPORT_ROWS; i++)
        count_up(&to->heat[i], from->heat[i]);
    for (int i = 0; i < REPORT_CLASSES; i++)
        count_up(&to->classes[i], from->classes[i]);
    for (int i = 0; i < SPARP_WAIT_COUNT; i++)
        to->waited_s[i] += from->waited_s[i];
    count_up(&to->closings, from->closings);
}

static void columns_halve(report *r) {
    for (int i = 0; i < r->time.count; i++) {
        int to = scale_halved(&r->time, i);
        if (to == i)
            continue;
        column_add(&r->columns[to], &r->columns[i]);
        memset(&r->columns[i], 0, sizeof r->columns[i]);
    }
    scale_halve(&r->time);
}

static void rows_halve(report *r) {
    for (int column = 0; column < r->time.count; column++) {
        uint32_t *heat = r->columns[column].heat;
        for (int i = 0; i < r->latency.count; i++) {
            int to = scale_halved(&r->latency, i);
            if (to == i)
                continue;
            count_up(&heat[to], heat[i]);
            heat[i] = 0;
        }
    }
    scale_halve(&r->latency);
}

/* Makes room for `more` of them in front. */
static void columns_shift(report *r, int more) {
    size_t count = (size_t)r->time.count;
    memmove(r->columns + more, r->columns, count * sizeof *r->columns);
    memset(r->columns, 0, (size_t)more * sizeof *r->columns);
}

static void rows_shift(report *r, int more) {
    size_t count = (size_t)r->latency.count;
    for (int i = 0; i < r->time.count; i++) {
        uint32_t *heat = r->columns[i].heat;
        memmove(heat + more, heat, count * sizeof *heat);
        memset(heat, 0, (size_t)more * sizeof *heat);
    }
}

/* The step that `value` lies in, made one of those that are kept. `halve` and `shift` do to what
   is kept what is done to the scale. */
static int scale_place(report *r, scale *s, int64_t value, int room, void (*halve)(report *),
                       void (*shift)(report *, int)) {
    while (!scale_reaches(s, value / s->step, room))
        halve(r);
    int64_t at = value / s->step;
    if (s->count == 0) {
        s->first = at;
        s->count = 1;
    } else if (at < s->first) {
        int more = (int)(s->first - at);
        shift(r, more);
        s->first = at;
        s->count += more;
    } else if (at >= s->first + s->count) {
        s->count = (int)(at - s->first) + 1;
    }
    return (int)(at - s->first);
}

static report_column *report_column_at(report *r, int64_t ms) {
    if (r->time.step == 0)
        r->time.step = COLUMN_MS;
    return &r->columns[scale_place(r, &r->time, ms, REPORT_COLUMNS, columns_halve, columns_shift)];
}

static int report_row_of(report *r, int64_t us) {
    if (r->latency.step == 0)
        r->latency.step = ROW_STEPS;
    return scale_place(r, &r->latency, (int64_t)log_place(us), REPORT_ROWS, rows_halve, rows_shift);
}

static void report_add_time(report *r, const sample *s) {
    int64_t began = s->at_ms - s->total_us / 1000;
    if (s->at_ms <= 0) {
        r->no_time++;
        return;
    }
    (void)report_column_at(r, began > 0 ? began : 0);
    int level = sample_has_latency(s) ? report_row_of(r, s->elapsed_us) : -1;
    report_column *c = report_column_at(r, s->at_ms);
    count_up(&c->classes[outcome_class(s->outcome)], 1);
    if (level >= 0)
        count_up(&c->heat[level], 1);
    for (int i = 0; i < SPARP_WAIT_COUNT; i++)
        c->waited_s[i] += (float)((double)s->waited_us[i] / 1e6);
}

/* A host has said that it has had enough. */
static void report_add_closing(report *r, int64_t at_ms, double pause_s) {
    if (at_ms <= 0)
        return;
    count_up(&report_column_at(r, at_ms)->closings, 1);
    r->closings++;
    if (pause_s > r->longest_pause_s)
        r->longest_pause_s = pause_s;
}

/* --- the lists -------------------------------------------------------------------------------- */

/* Where the part behind the scheme ends that is the host's: "user@host:1/x" */
static slice url_authority(slice url) {
    size_t scheme = starts_with(url, "https://") ? 8 : starts_with(url, "http://") ? 7 : 0;
    slice s = slice_from(url, scheme);
    s.size = find_any(s, "/?#");
    return s;
}

static slice url_host(slice url) {
    slice s = url_authority(url);
    size_t user = s.size;
    while (user > 0 && s.at[user - 1] != '@')
        user--;
    return slice_from(s, user);
}

/* As much of it as there is room for, whole characters. */
static void keep_text(char *to, size_t room, slice s) {
    static const char more[] = "\xE2\x80\xA6";
    bool cut = s.size >= room;
    size_t size = cut ? room - sizeof more : s.size;
    while (cut && size > 0 && ((unsigned char)s.at[size] & 0xC0) == 0x80)
        size--;
    if (size > 0)
        memcpy(to, s.at, size);
    memcpy(to + size, more, cut ? sizeof more : 1);
    to[cut ? size + sizeof more - 1 : size] = '\0';
}

/* Host and path: who may see a report may not see what stands before the @, or behind the ?. */
static void keep_url(char *to, size_t room, slice url) {
    to[0] = '\0';
    if (url.size == 0)
        return;
    slice host = url_host(url);
    slice s = { host.at, (size_t)(url.at + url.size - host.at) };
    size_t end = find_any(s, "?#");
    bool query = end < s.size && s.at[end] == '?';
    s.size = end;
    if (query && end + 5 < room) {      /* which it has */
        keep_text(to, room, s);
        memcpy(to + end, "?\xE2\x80\xA6", 5);
        return;
    }
    keep_text(to, room, s);
}

/* Its place in the table. The first ten hosts keep theirs. A later one takes that of the later one
   which comes least often, and its rank: so whoever comes often is there in the end (Metwally et
   al., Efficient computation of frequent and top-k elements in data streams, 2005). */
static report_host *report_host_of(report *r, slice name) {
    uint64_t hash = HASH_START;
    report_host *least = &r->hosts[REPORT_FIRST_HOSTS];
    for (size_t i = 0; i < name.size; i++)
        hash = hash_byte(hash, lower(name.at[i]));
    for (int i = 0; i < r->num_hosts; i++) {
        if (r->hosts[i].hash == hash)
            return &r->hosts[i];
        if (i > REPORT_FIRST_HOSTS && r->hosts[i].rank < least->rank)
            least = &r->hosts[i];
    }
    if (r->num_hosts < REPORT_HOSTS)
        least = &r->hosts[r->num_hosts++];
    uint32_t rank = least->rank;
    memset(least, 0, sizeof *least);
    least->hash = hash;
    least->rank = rank;
    keep_text(least->name, sizeof least->name, name);
    return least;
}

/* Has it been there for long enough to have its figures? */
static bool report_host_is_known(const report_host *h) {
    return h->requests >= h->rank / 2;
}

static void report_add_host(report *r, const sample *s) {
    slice name = url_host(s->url);
    if (name.size == 0) {
        r->no_url++;
        return;
    }
    report_host *h = report_host_of(r, name);
    count_up(&h->rank, 1);
    count_up(&h->requests, 1);
    count_up(&h->ok, s->outcome == SPARP_OUTCOME_SUCCESS);
    if (!sample_has_latency(s))
        return;
    count_up(&h->answers, 1);
    h->sum_us += (double)s->elapsed_us;
    if (s->elapsed_us > h->most_us)
        h->most_us = s->elapsed_us;
}

/* Kept in order, the slowest first; of equal ones the earlier. */
static void report_add_slow(report *r, const sample *s) {
    int i = r->num_slowest;
    if (!sample_has_latency(s)
        || (i == REPORT_SLOWEST && r->slowest[i - 1].last_us >= s->elapsed_us))
        return;
    if (i == REPORT_SLOWEST)
        i--;
    else
        r->num_slowest++;
    for (; i > 0 && r->slowest[i - 1].last_us < s->elapsed_us; i--)
        r->slowest[i] = r->slowest[i - 1];
    report_slow *slow = &r->slowest[i];
    slow->last_us = s->elapsed_us;
    slow->overall_us = s->total_us;
    slow->index = s->index;
    slow->status = s->status;
    slow->error = s->error;
    keep_url(slow->url, sizeof slow->url, s->url);
}

/* NULL: there is none. */
static const report_example *report_example_of(const report *r, int code, int phase) {
    for (int i = 0; i < r->num_examples; i++)
        if (r->examples[i].code == code && r->examples[i].phase == phase)
            return &r->examples[i];
    return NULL;
}

static void report_add_example(report *r, const sample *s, int code, int phase) {
    if (r->num_examples == REPORT_EXAMPLES || report_example_of(r, code, phase) != NULL)
        return;
    report_example *e = &r->examples[r->num_examples++];
    e->index = s->index;
    e->code = (unsigned short)code;
    e->phase = (unsigned short)phase;
    keep_url(e->url, sizeof e->url, s->url);
}

/* The first request that has ended with a status or an error, or has had it on its way. */
static void report_add_examples(report *r, const sample *s) {
    if (sample_ended(s) && s->status > 0 && s->status < STATUS_END)
        report_add_example(r, s, s->status, 0);
    if (sample_ended(s) && s->error != SPARP_E_OK)
        report_add_example(r, s, TRIED_ERROR + (int)s->error,
                           s->error == SPARP_E_TIMEOUT ? (int)s->phase : 0);
    for (unsigned i = 0; s->tried != NULL && i < s->tried->count; i++)
        report_add_example(r, s, s->tried->codes[i], 0);
}

static void report_add(report *r, const sample *s) {
    r->records++;
    if (s->index > r->last_index)
        r->last_index = s->index;
    if (s->outcome == OUTCOME_INVALID)
        return;
    r->no_times += s->attempts > 0 && s->total_us == 0;
    report_add_time(r, s);
    report_add_host(r, s);
    report_add_slow(r, s);
    report_add_examples(r, s);
}

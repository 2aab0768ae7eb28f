/* sparp/merge.h - the records of several runs of one input as one file, by index or by id: --merge.
   Only the place of a record is kept, 32 bytes of it. Uses text, say, values, json, hash, config,
   reader, sink, view. */

#define PLACE_SUCCESS (UINT32_C(1) << 31)

enum { RANGES_SHOWN = 10 };

typedef struct place {           /* of a record */
    uint64_t index, offset;             /* index: hash of the id, with --by-id */
    uint64_t request;                   /* hash of its id and its URL; 0: it has none */
    uint32_t size;
    uint32_t rank;                      /* number of the file; PLACE_SUCCESS: that is best */
} place;

typedef struct merge {
    const config *config;
    place *places;
    size_t count, room;
    int *files;
    uint64_t without_id;                /* records */
    sink out;
} merge;

typedef struct ranges {          /* of indices, for a message */
    text shown;
    uint64_t count;                     /* of indices */
    int num;
} ranges;

static void ranges_add(ranges *r, uint64_t first, uint64_t last) {
    r->count += last - first + 1;
    if (++r->num > RANGES_SHOWN + 1)
        return;
    if (r->num > 1)
        PUT(&r->shown, ", ");
    if (r->num > RANGES_SHOWN) {
        PUT(&r->shown, "...");
        return;
    }
    put_u64(&r->shown, first);
    if (last > first)
        put_format(&r->shown, "-%llu", (unsigned long long)last);
}

/* "3 indices WHAT: 4, 7-8 (HINT)", of ids their number alone; false: there are none. */
static bool ranges_say(ranges *r, bool ids, const char *what, const char *hint) {
    const char *one = ids ? "id" : "index", *many = ids ? "ids" : "indices";
    if (r->count > 0)
        say("%llu %s %s%s%.*s (%s)", (unsigned long long)r->count, r->count == 1 ? one : many,
            what, r->shown.size > 0 ? ": " : "", (int)r->shown.size,
            r->shown.size > 0 ? r->shown.at : "", hint);
    text_free(&r->shown);
    return r->count > 0;
}

/* By index, the one to be taken last: a success, else the later one. */
static int place_compare(const void *left, const void *right) {
    const place *a = (const place *)left, *b = (const place *)right;
    if (a->index != b->index)
        return a->index < b->index ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* As they stand in the files. */
static int place_compare_order(const void *left, const void *right) {
    const place *a = (const place *)left, *b = (const place *)right;
    uint32_t file_a = a->rank & ~PLACE_SUCCESS, file_b = b->rank & ~PLACE_SUCCESS;
    if (file_a != file_b)
        return file_a < file_b ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static bool place_differs(const place *a, const place *b) {
    return a->request != b->request && a->request != 0 && b->request != 0;
}

/* What is to be known of a record; why it is none, or NULL. One without an id is its own. */
static const char *merge_take(merge *m, place *p, slice line) {
    slice index, outcome, id = { NULL, 0 }, url = id;
    int64_t number;
    if (!json_find(line, slice_of("index"), &index) || !parse_count(index, &number))
        return "no record of sparp, it has no index";
    (void)json_find(line, slice_of("id"), &id);
    (void)json_find(line, slice_of("url"), &url);
    p->index = m->config->by_id ? hash_bytes(HASH_START, id.size > 0 ? id : line)
        : (uint64_t)number;
    m->without_id += id.size == 0;
    if (id.size + url.size > 0)
        p->request = hash_bytes(hash_byte(hash_bytes(HASH_START, id), '\n'), url);
    if (json_find(line, slice_of("outcome"), &outcome) && slice_is(outcome, "\"success\""))
        p->rank |= PLACE_SUCCESS;
    return NULL;
}

/* False: out of memory. */
static bool merge_add(merge *m, const place *p) {
    if (m->count == m->room) {
        size_t room = m->room > 0 ? 2 * m->room : 1024;
        place *more = room > SIZE_MAX / sizeof *more ? NULL
            : (place *)realloc(m->places, room * sizeof *more);
        if (more == NULL)
            return false;
        m->places = more;
        m->room = room;
    }
    m->places[m->count++] = *p;
    return true;
}

/* A line as the reader has handed it out; why it will not do, or NULL. */
static const char *merge_line(merge *m, const reader *r, size_t file, slice line) {
    place p;
    memset(&p, 0, sizeof p);
    p.offset = r->bytes_read - (r->buffer.size - (size_t)(line.at - r->buffer.at));
    p.size = (uint32_t)line.size;
    p.rank = (uint32_t)file;
    if (trimmed(line).size == 0)
        return NULL;
    if (!json_is_valid(line)) {
        if (r->buffer.at[r->start - 1] == '\n')
            return "no record of sparp, it is no JSON";
        say("%s:%llu: the last line is torn, it is left out", r->name,
            (unsigned long long)r->lines_here);
        return NULL;
    }
    const char *wrong = merge_take(m, &p, line);
    return wrong != NULL || merge_add(m, &p) ? wrong : "out of memory";
}

/* One of the files; false after a message. */
static bool merge_read(merge *m, size_t file) {
    const char *path = m->config->sources[file], *wrong = NULL;
    struct stat info;
    reader r;
    slice line;
    read_state state = READ_LINE;
    m->files[file] = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (m->files[file] < 0 || fstat(m->files[file], &info) != 0 || !S_ISREG(info.st_mode)) {
        say("cannot open %s: %s", path, m->files[file] < 0 ? strerror(errno)
            : "--merge reads its records twice, which takes a regular file");
        return false;
    }
    if (!reader_open(&r, &path, 1))
        return false;
    while (wrong == NULL && (state = reader_next(&r, &line)) != READ_END && state != READ_FAILED) {
        if (state == READ_TOO_LONG)
            wrong = "line is longer than 64 MiB";
        else if (state == READ_LINE)
            wrong = merge_line(m, &r, file, line);
    }
    if (wrong != NULL)
        say("%s:%llu: %s; nothing was written", path, (unsigned long long)r.lines_here, wrong);
    reader_free(&r);
    return wrong == NULL && state != READ_FAILED;
}

/* False after a message. */
static bool merge_copy(merge *m, const place *p) {
    size_t file = p->rank & ~PLACE_SUCCESS;
    text *to = &m->out.buffer;
    ssize_t n = 0;
    if (text_reserve(to, (size_t)p->size + 1)) {
        n = pread(m->files[file], to->at + to->size, p->size, (off_t)p->offset);
        if (n != (ssize_t)p->size) {
            say("cannot read %s: %s", m->config->sources[file],
                n < 0 ? strerror(errno) : "it has become shorter");
            return false;
        }
        to->size += p->size;
        put_char(to, '\n');
    }
    if (to->failed)
        sink_flush(&m->out);
    sink_record_done(&m->out);
    return !m->out.failed;
}

typedef struct findings {        /* of what is to be said */
    ranges gaps, doubles, mixed;
} findings;

/* Leaves the best record of each index or id. */
static void merge_choose(merge *m, findings *f) {
    size_t count = 0;
    bool by_id = m->config->by_id;
    for (size_t i = 0, end; i < m->count; i = end) {
        const place *p = &m->places[i];
        bool differ = false;
        for (end = i + 1; end < m->count && m->places[end].index == p->index; end++)
            differ = differ || place_differs(p, &m->places[end]);
        ranges *r = differ ? &f->mixed : &f->doubles;
        if (end - i > 1 && by_id)
            r->count++;
        else if (end - i > 1)
            ranges_add(r, p->index, p->index);
        m->places[count++] = m->places[end - 1];
    }
    m->count = count;
}

static void merge_find_gaps(const merge *m, findings *f) {
    const config *c = m->config;
    uint64_t next = (uint64_t)c->skip, total = (uint64_t)c->total;
    if (c->by_id) {
        f->gaps.count = total > m->count ? total - m->count : 0;
        return;
    }
    for (size_t i = 0; i < m->count; i++) {
        uint64_t index = m->places[i].index;
        if (index > next)
            ranges_add(&f->gaps, next, index - 1);
        next = index >= next ? index + 1 : next;
    }
    if (next < total)
        ranges_add(&f->gaps, next, total - 1);
}

/* What is wrong with the records; false: nothing. */
static bool merge_say(const merge *m, findings *f) {
    bool ids = m->config->by_id;
    bool left = ranges_say(&f->gaps, ids, "without a record", ids ? "of those of --total"
                           : "as blank lines and comments are; --skip N: the first N have none");
    bool twice = ranges_say(&f->doubles, ids, "with several records",
                            "a success was taken, else the later one");
    bool other = ranges_say(&f->mixed, ids, "with records of different requests",
                            "are these runs of one input?");
    bool nameless = ids && m->without_id > 0;
    if (nameless)
        say("%llu record%s without an id", (unsigned long long)m->without_id,
            m->without_id == 1 ? "" : "s");
    return left || twice || other || nameless;
}

/* The best record of each index; what is wrong with them is said. The exit code. */
static int merge_write(merge *m) {
    const config *c = m->config;
    unsigned long long all = (unsigned long long)m->count;
    findings f;
    bool good = true;
    memset(&f, 0, sizeof f);
    merge_choose(m, &f);
    merge_find_gaps(m, &f);
    if (c->by_id && m->count > 0)
        qsort(m->places, m->count, sizeof *m->places, place_compare_order);
    for (size_t i = 0; good && i < m->count; i++)
        good = merge_copy(m, &m->places[i]);
    sink_flush(&m->out);
    good = good && !m->out.failed;
    bool wrong = merge_say(m, &f);
    if (good && !c->quiet)
        say("%llu records of %llu", (unsigned long long)m->out.lines, all);
    return !good ? EXIT_OUTPUT : wrong && !c->no_fail ? EXIT_SOME_BAD : EXIT_ALL_OK;
}

/* False after a message; what was in the output is gone only then. */
static bool merge_open(merge *m) {
    const config *c = m->config;
    struct rlimit limit;
    reader all;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {        /* all files are open at once */
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    m->out.fd = STDOUT_FILENO;
    m->out.name = "stdout";
    if (!reader_open(&all, c->sources, c->num_sources)
        || (c->output != NULL && !sink_open(&m->out, &all, c->output)))
        return false;
    for (size_t i = 0; i < c->num_sources; i++) {
        if (!merge_read(m, i))
            return false;
    }
    if (m->count > 0)
        qsort(m->places, m->count, sizeof *m->places, place_compare);
    if (c->output != NULL)
        sink_begin(&m->out);
    return true;
}

static int run_merge(const config *c) {
    merge m;
    int code = EXIT_USAGE;
    memset(&m, 0, sizeof m);
    m.config = c;
    m.files = (int *)malloc(c->num_sources * sizeof *m.files);
    for (size_t i = 0; m.files != NULL && i < c->num_sources; i++)
        m.files[i] = -1;
    if (m.files == NULL)
        say("out of memory");
    else if (merge_open(&m))
        code = merge_write(&m);
    sink_close(&m.out);
    code = m.out.failed ? EXIT_OUTPUT : code;
    for (size_t i = 0; m.files != NULL && i < c->num_sources; i++)
        if (m.files[i] >= 0)
            (void)close(m.files[i]);
    free(m.files);
    free(m.places);
    return code;
}

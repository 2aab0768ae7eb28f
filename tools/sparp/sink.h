/* sparp/sink.h - whole records into a descriptor. Uses text, say, config, reader. */

enum { SINK_FULL = 1 << 20 };    /* bytes: more than that is not held back to the end of a turn */

typedef struct sink {
    int fd;                             /* -1: not asked for */
    const char *name;                   /* for messages */
    text buffer;                        /* whole records only */
    uint64_t lines;
    uint64_t written;                   /* bytes */
    bool failed;                        /* said so; nothing more is written */
} sink;

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Creating the output must not empty the input. */
static bool is_an_input(const reader *r, const char *path) {
    struct stat out, in;
    if (stat(path, &out) != 0 || !S_ISREG(out.st_mode))
        return false;
    for (size_t i = 0; i < r->num_sources; i++) {
        const char *source = r->sources[i];
        bool standard = strcmp(source, "-") == 0;
        if (is_url(source))
            continue;
        if ((standard ? fstat(STDIN_FILENO, &in) : stat(source, &in)) != 0)
            continue;
        if (same_file(&in, &out))
            return true;
    }
    return false;
}

/* What was in the file stays until sink_begin(). */
static bool sink_open(sink *s, const reader *r, const char *path) {
    if (is_an_input(r, path)) {
        say("%s is input and output", path);
        return false;
    }
    s->name = path;
    s->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (s->fd < 0)
        say("cannot create %s: %s", path, strerror(errno));
    return s->fd >= 0;
}

/* Two outputs in one file would destroy each other. */
static bool is_output_of(const sink *s, const struct stat *other) {
    struct stat info;
    return s->fd >= 0 && fstat(s->fd, &info) == 0 && S_ISREG(info.st_mode)
        && same_file(&info, other);
}

static void sink_begin(const sink *s) {
    struct stat info;
    if (s->fd < 0 || fstat(s->fd, &info) != 0 || !S_ISREG(info.st_mode))
        return;
    if (ftruncate(s->fd, 0) != 0)
        say("cannot empty %s: %s", s->name, strerror(errno));
}

/* A full disk took part of a record: takes it back, so that the file holds whole lines. Not with
   O_APPEND, where the end of the file may be somebody else's. */
static void sink_cut_torn_line(const sink *s, size_t written) {
    struct stat info;
    size_t torn = 0;
    while (torn < written && s->buffer.at[written - torn - 1] != '\n')
        torn++;
    int flags = fcntl(s->fd, F_GETFL);
    if (torn == 0 || flags < 0 || (flags & O_APPEND) != 0)
        return;
    if (fstat(s->fd, &info) != 0 || !S_ISREG(info.st_mode))
        return;
    off_t end = lseek(s->fd, 0, SEEK_CUR);
    if (end >= (off_t)torn && ftruncate(s->fd, end - (off_t)torn) != 0)
        return;
}

static void sink_fail(sink *s, const char *why) {
    if (!s->failed)
        say("cannot write %s: %s", s->name, why);
    s->failed = true;
}

static void sink_flush(sink *s) {
    size_t written;
    if (s->buffer.failed)
        sink_fail(s, "out of memory");
    if (!s->failed && s->buffer.size > 0
        && !write_all(s->fd, s->buffer.at, s->buffer.size, &written)) {
        int error = errno;
        sink_cut_torn_line(s, written);
        sink_fail(s, strerror(error));
    }
    s->written += s->buffer.size;
    s->buffer.size = 0;
    if (s->buffer.room > 4 * SINK_FULL)
        text_free(&s->buffer);
}

/* To be called after every record. */
static void sink_record_done(sink *s) {
    s->lines++;
    if (s->buffer.size >= SINK_FULL)
        sink_flush(s);
}

static void sink_close(sink *s) {
    if (s->fd < 0)
        return;
    sink_flush(s);
    if (close(s->fd) != 0 && errno != EINTR)
        sink_fail(s, strerror(errno));      /* NFS, quotas */
    s->fd = -1;
    text_free(&s->buffer);
}

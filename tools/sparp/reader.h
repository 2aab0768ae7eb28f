/* sparp/reader.h - lines out of files and pipes, never waiting for a pipe.
   Uses text, say, config. */

enum { CHUNK = 64 * 1024, LINE_BYTES_MAX = 64 * 1024 * 1024 };

typedef enum read_state {
    READ_LINE,                   /* there is one */
    READ_TOO_LONG,               /* there is one, cut at LINE_BYTES_MAX: the rest is thrown away */
    READ_LATER,                  /* not without waiting */
    READ_END,
    READ_FAILED                  /* the message has been said */
} read_state;

typedef struct reader {
    const char *const *sources;
    size_t num_sources, next_source;
    const char *name;                   /* the source being read, for messages */
    int fd;                             /* -1: between two sources */
    bool regular;                       /* reading it does not wait */
    bool at_end;                        /* no more bytes from fd */
    bool argument;                      /* the line is an argument of the command line */
    bool cr;                            /* the line ended with CR LF, not LF alone */
    bool skip_rest;                     /* of a line that was too long */
    bool quotes;                        /* a line of CSV ends where no quote is open */
    char quoting;                       /* what the byte before `scanned` means for that */
    bool looked;                        /* see reader_rest() */
    text buffer;
    size_t start, scanned;              /* of the line being looked for; no LF before scanned */
    uint64_t lines;                     /* handed out, over all sources */
    uint64_t lines_here;                /* of this source */
    uint64_t bytes_read, bytes_in_all;  /* in_all 0: not known */
} reader;

/* "localhost:8080/x", "www.example.com", "example.com/x": no such file, as it is no file. */
static bool is_like_url(const char *path) {
    const char *dot = strchr(path, '.'), *slash = strchr(path, '/');
    return strchr(path, ':') != NULL || strncmp(path, "www.", 4) == 0
        || (slash != NULL && dot != NULL && dot > path && dot < slash);
}

/* A file that cannot be read is better known before anything is sent. */
static bool source_check(const char *path, uint64_t *size) {
    struct stat info;
    *size = 0;
    if (is_url(path))
        return true;
    bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "stdin" : path;
    if ((standard ? fstat(STDIN_FILENO, &info) : stat(path, &info)) != 0
        || (!standard && access(path, R_OK) != 0)) {
        if (strstr(path, "://") != NULL)        /* a password may be in it */
            say("cannot open an argument with ://: a URL begins with http:// or https://");
        else if (strchr(path, ':') != NULL && strchr(path, '@') != NULL)
            say("cannot open an argument with ':' and '@': a URL begins with http:// or https://");
        else
            say("cannot open %s: %s%s", name, strerror(errno),
                is_like_url(path) ? " (a URL begins with http:// or https://)" : "");
        return false;
    }
    if (S_ISDIR(info.st_mode)) {
        say("cannot read %s: it is a directory", name);
        return false;
    }
    if (S_ISREG(info.st_mode))
        *size = (uint64_t)info.st_size;
    return true;
}

static bool reader_open(reader *r, const char *const *sources, size_t count) {
    static const char *const standard[] = { "-" };
    memset(r, 0, sizeof *r);
    r->fd = -1;
    r->sources = count > 0 ? sources : standard;
    r->num_sources = count > 0 ? count : 1;
    r->name = "stdin";
    bool known = true;
    for (size_t i = 0; i < r->num_sources; i++) {
        uint64_t size;
        if (!source_check(r->sources[i], &size))
            return false;
        if (size == 0)
            known = false;
        r->bytes_in_all += size;
    }
    if (!known)
        r->bytes_in_all = 0;
    return true;
}

static void reader_close_source(reader *r) {
    if (r->fd > STDERR_FILENO)
        (void)close(r->fd);
    r->fd = -1;
    r->at_end = r->skip_rest = r->looked = false;
    r->buffer.size = r->start = r->scanned = 0;
    r->quoting = 0;
    r->lines_here = 0;
}

static void reader_free(reader *r) {
    reader_close_source(r);
    text_free(&r->buffer);
}

static bool reader_open_source(reader *r, const char *path) {
    struct stat info;
    bool standard = strcmp(path, "-") == 0;
    r->name = standard ? "stdin" : path;
    r->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (r->fd < 0 || fstat(r->fd, &info) != 0) {
        say("cannot open %s: %s", r->name, strerror(errno));
        return false;
    }
    r->regular = S_ISREG(info.st_mode);
    return true;
}

/* More bytes into the buffer. */
static read_state reader_fill(reader *r) {
    if (!r->regular) {
        struct pollfd wait = { r->fd, POLLIN, 0 };
        if (poll(&wait, 1, 0) <= 0)
            return READ_LATER;
    }
    if (r->start > 0) {
        size_t left = r->buffer.size - r->start;
        memmove(r->buffer.at, r->buffer.at + r->start, left);
        r->buffer.size = left;
        r->scanned -= r->start;
        r->start = 0;
    }
    if (!text_reserve(&r->buffer, CHUNK)) {
        say("%s:%llu: out of memory", r->name, (unsigned long long)r->lines_here + 1);
        return READ_FAILED;
    }
    ssize_t n = read(r->fd, r->buffer.at + r->buffer.size, CHUNK);
    if (n < 0) {
        if (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)
            return READ_LATER;
        say("cannot read %s: %s", r->name, strerror(errno));
        return READ_FAILED;
    }
    r->at_end = n == 0;
    r->buffer.size += (size_t)n;
    r->bytes_read += (uint64_t)n;
    return READ_LINE;
}

/* The line from start to `end`, of which `more` bytes are its LF. */
static slice reader_take(reader *r, size_t end, size_t more) {
    slice line = { r->buffer.at + r->start, end - r->start };
    r->start = r->scanned = end + more;
    r->cr = line.size > 0 && line.at[line.size - 1] == '\r';
    line.size -= r->cr;
    if (r->lines_here == 0 && starts_with(line, "\xEF\xBB\xBF"))
        line = slice_from(line, 3);
    r->lines++;
    r->lines_here++;
    return line;
}

/* The same line as it was, but for its LF. */
static slice reader_raw(const reader *r, slice line) {
    line.size += r->cr;
    return line;
}

/* The first LF behind `scanned` that ends a row of CSV (RFC 4180): not in a cell that began with a
   quote, before the quote that closes it. */
static const char *reader_find_row(reader *r) {
    enum { CELL_START, PLAIN, QUOTED, QUOTE_IN_QUOTED };
    for (size_t i = r->scanned; i < r->buffer.size; i++) {
        char c = r->buffer.at[i];
        if (r->quoting == QUOTED) {
            r->quoting = c == '"' ? QUOTE_IN_QUOTED : QUOTED;
        } else if (c == '\n') {
            r->quoting = CELL_START;
            return r->buffer.at + i;
        } else if (c == '"' && r->quoting != PLAIN) {
            r->quoting = QUOTED;
        } else {
            r->quoting = c == ',' ? CELL_START : PLAIN;
        }
    }
    return NULL;
}

/* Looks for a line in what is buffered: READ_LATER if there is none. */
static read_state reader_scan(reader *r, slice *line) {
    for (;;) {
        size_t left = r->buffer.size - r->scanned;
        const char *lf = NULL;
        if (left > 0)
            lf = r->quotes ? reader_find_row(r)
                : (const char *)memchr(r->buffer.at + r->scanned, '\n', left);
        bool skipped = r->skip_rest;
        if (lf == NULL) {
            r->scanned = r->buffer.size;
            if (skipped)
                r->start = r->scanned;
            if (!skipped && r->buffer.size - r->start > LINE_BYTES_MAX) {
                r->skip_rest = true;
                *line = reader_take(r, r->buffer.size, 0);
                return READ_TOO_LONG;
            }
            if (!r->at_end || r->start == r->buffer.size)
                return READ_LATER;
            *line = reader_take(r, r->buffer.size, 0);
            return READ_LINE;
        }
        size_t end = (size_t)(lf - r->buffer.at);
        r->skip_rest = false;
        if (skipped) {
            r->start = r->scanned = end + 1;
            continue;
        }
        *line = reader_take(r, end, 1);
        return line->size > LINE_BYTES_MAX ? READ_TOO_LONG : READ_LINE;
    }
}

/* The next line; it stays until the next call. */
static read_state reader_next(reader *r, slice *line) {
    for (;;) {
        if (r->fd < 0) {
            if (r->next_source == r->num_sources)
                return READ_END;
            const char *source = r->sources[r->next_source++];
            r->argument = is_url(source);
            if (r->argument) {
                r->name = "argument";
                r->cr = false;
                r->lines++;
                r->lines_here = 1;
                *line = slice_of(source);
                return READ_LINE;
            }
            r->lines_here = 0;
            if (!reader_open_source(r, source))
                return READ_FAILED;
        }
        read_state state = reader_scan(r, line);
        if (state != READ_LATER)
            return state;
        if (r->at_end) {
            reader_close_source(r);
            continue;
        }
        state = reader_fill(r);
        if (state != READ_LINE)
            return state;
    }
}

/* A source that would have to be waited for, or whose lines somebody else may want. */
static bool source_is_pipe(const char *source) {
    struct stat info;
    bool standard = strcmp(source, "-") == 0;
    return !is_url(source) && (standard ? fstat(STDIN_FILENO, &info) : stat(source, &info)) == 0
        && !S_ISREG(info.st_mode);
}

/* What has come out of a pipe already, and no more: READ_LATER at its end, when *cut says whether
   there may be more. */
static read_state reader_rest_of_pipe(reader *r, slice *line, bool *cut) {
    read_state state = reader_scan(r, line);
    if (state == READ_LATER && !r->at_end && !r->looked) {
        r->looked = true;               /* its end may be there to be read */
        if (reader_fill(r) == READ_LINE)
            state = reader_scan(r, line);
    }
    if (state != READ_LATER)
        return state;
    *cut = *cut || !r->at_end;
    reader_close_source(r);
    return READ_LATER;
}

/* The next line of what is left after a stop. Pipes are read to their end only with `drain`;
   *cut says that there may be more. READ_LATER: a signal came, enough is enough. */
static read_state reader_rest(reader *r, bool drain, slice *line, bool *cut) {
    for (;;) {
        bool next = r->fd < 0 && r->next_source < r->num_sources;
        read_state state = READ_LATER;
        if (!drain && r->fd >= 0 && !r->regular) {
            state = reader_rest_of_pipe(r, line, cut);
        } else if (!drain && next && source_is_pipe(r->sources[r->next_source])) {
            r->next_source++;
            *cut = true;
        } else {
            state = reader_next(r, line);
            struct pollfd wait = { r->fd, POLLIN, 0 };
            if (state == READ_LATER && poll(&wait, 1, -1) < 0)
                return READ_LATER;
        }
        if (state != READ_LATER)
            return state;
    }
}

/* A path in a line is relative to the file that the line is in. */
static void put_reader_path(text *t, const reader *r, const char *path) {
    const char *slash = strrchr(r->name, '/');
    if (path[0] != '/' && slash != NULL)
        put_bytes(t, r->name, (size_t)(slash + 1 - r->name));
    put_text(t, path);
    put_char(t, '\0');
}

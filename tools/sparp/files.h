/* sparp/files.h - request bodies out of files, response bodies into files. What the threads of
   the workers call touches a ticket and no more. Uses text, say, reader, sink, record. */

/* Of a regular file alone the size is known beforehand, and it can be read twice. */
static int open_regular(const char *path, struct stat *info, const char **error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);   /* no wait for a FIFO */
    *error = NULL;
    if (fd < 0 || fstat(fd, info) != 0)
        *error = strerror(errno);
    else if (!S_ISREG(info->st_mode))
        *error = "not a regular file";
    if (*error == NULL || fd < 0)
        return fd;
    (void)close(fd);
    return -1;
}

/* A body_file's size is what the server is promised; its bytes are read when they are sent. */
static bool body_file_find(ticket *k, const reader *r, const char *path) {
    const char *error;
    size_t before = k->parts.size;
    put_reader_path(&k->parts, r, path);
    if (k->parts.failed)
        return false;
    k->path_size = k->parts.size - before;
    int fd = open_regular(ticket_path(k), &k->file, &error);
    if (fd >= 0)
        (void)close(fd);
    if (fd < 0)
        ticket_fail(k, "cannot read body_file ", slice_of(ticket_path(k)), error);
    return fd >= 0;
}

/* Whether the file is still what was promised, and what the bytes before `offset` came from. */
static const char *body_file_changed(ticket *k, uint64_t offset, const struct stat *now) {
    if (now->st_size != k->file.st_size)
        return "its size has changed since its line was read";
    bool same = same_file(now, &k->file) && now->st_mtime == k->file.st_mtime;
    if (offset > 0 && !same)
        return "it has changed while it was sent";
    k->file = *now;
    return NULL;
}

/* sparp_request.read_body. The file is opened for each piece, so that none is held however many
   requests there are. */
static int64_t body_file_read(uint64_t offset, void *out, size_t room, void *user_data) {
    ticket *k = (ticket *)user_data;
    struct stat now;
    const char *error;
    ssize_t n = 0;
    int fd = open_regular(ticket_path(k), &now, &error);
    if (error == NULL)
        error = body_file_changed(k, offset, &now);
    while (error == NULL && (n = pread(fd, out, room, (off_t)offset)) <= 0) {
        if (n == 0 || errno != EINTR)
            error = n == 0 ? "it ends too early" : strerror(errno);
    }
    if (fd >= 0)
        (void)close(fd);
    if (error == NULL)
        return n;
    ticket_fail(k, "cannot read body_file ", slice_of(ticket_path(k)), error);
    return SPARP_NONE;
}

/* DIR/<index>.part is where a body comes in. DIR/<index> is complete: nothing else is ever under
   that name, whatever kills us. */

enum { PART_NAME_MAX = 32 };

static const char *part_name(char *name, const ticket *k, const char *suffix) {
    (void)snprintf(name, PART_NAME_MAX, "%llu%s", (unsigned long long)k->index, suffix);
    return name;
}

static bool part_fail(ticket *k) {
    if (k->part_error == 0)
        k->part_error = errno;
    return false;
}

static bool part_open(ticket *k, int dir) {
    char name[PART_NAME_MAX];
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY;
    k->part = openat(dir, part_name(name, k, ".part"), flags, 0666);
    return k->part >= 0 ? true : part_fail(k);
}

/* What was written late may fail only here: NFS, quotas. */
static bool part_close(ticket *k) {
    if (k->part < 0)
        return true;
    bool closed = close(k->part) == 0 || errno == EINTR;
    k->part = -1;
    return closed ? true : part_fail(k);
}

/* The attempt was not the last one, and holds nothing while it waits for the next. */
static void part_forget(ticket *k) {
    (void)part_close(k);
    k->part_error = 0;
}

/* The next piece of a body; each attempt begins the file afresh. On the thread that receives. */
static bool part_write(ticket *k, int dir, const sparp_result *head, uint64_t offset, slice data) {
    size_t written;
    if (offset == 0 && (!part_close(k) || !part_open(k, dir)))
        return false;
    k->part_attempt = head->attempts;
    return write_all(k->part, data.at, data.size, &written) ? true : part_fail(k);
}

/* The request has ended: the file gets its name, or goes. An empty body has brought no piece: what
   lies there then is of an earlier attempt. */
static bool part_finish(ticket *k, int dir, const sparp_result *r) {
    char part[PART_NAME_MAX], final[PART_NAME_MAX];
    bool complete = r->error == SPARP_E_OK && r->body_complete;
    bool good = part_close(k) && k->part_error == 0;
    (void)part_name(part, k, ".part");
    (void)part_name(final, k, "");
    if (good && complete && k->part_attempt != r->attempts)
        good = part_open(k, dir);
    if (good && complete)
        good = part_close(k);
    if (good && complete && renameat(dir, part, dir, final) != 0)
        good = part_fail(k);
    k->has_file = good && complete;
    if (!k->has_file && r->attempts > 0)
        (void)unlinkat(dir, part, 0);
    return good;
}

/* sparp/files.h - request bodies out of files, response bodies into files. What the threads of
   the workers call touches a ticket and no more. Uses text, say, hash, reader, sink, record. */

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

/* Piece of a file at `offset`; *error says why there is none. */
static ssize_t read_piece(const char *path, uint64_t size, uint64_t offset, void *out, size_t room,
                          const char **error) {
    struct stat now;
    ssize_t n = -1;
    int fd = open_regular(path, &now, error);
    if (*error == NULL && (uint64_t)now.st_size != size)
        *error = "its size has changed since the run began";
    while (*error == NULL && (n = pread(fd, out, room, (off_t)offset)) < 0)
        if (errno != EINTR)
            *error = strerror(errno);
    if (*error == NULL && n == 0)
        *error = "it ends too early";
    if (fd >= 0)
        (void)close(fd);
    return n;
}

/* sparp_request.read_body of a multipart form: the same parts for every request. */
static int64_t form_read(uint64_t offset, void *out, size_t room, void *user_data) {
    ticket *k = (ticket *)user_data;
    const form_part *part = k->config->parts, *end = part + k->config->num_parts;
    const char *error = NULL;
    while (part < end && offset >= part->head_size + part->size) {
        offset -= part->head_size + part->size;
        part++;
    }
    bool head = offset < part->head_size;
    uint64_t at = head ? offset : offset - part->head_size;
    uint64_t left = (head ? part->head_size : part->size) - at;
    size_t n = left < room ? (size_t)left : room;
    if (n == 0)
        return 0;
    if (head || part->path == NULL) {
        memcpy(out, (head ? part->head : part->value) + at, n);
        return (int64_t)n;
    }
    ssize_t got = read_piece(part->path, part->size, at, out, n, &error);
    if (error == NULL)
        return got;
    ticket_fail(k, "cannot read ", slice_of(part->path), error);
    return SPARP_NONE;
}

/* --- names ------------------------------------------------------------------------------------

   Nothing leaves the directory, and nothing in it has a name that starts with a dot, or that one of
   ours could get: NAME is complete, NAME.failed the body of an answer that was no success,
   NAME.part where they come in, NAME.part-of says what that is the beginning of. */

static const char *const name_suffixes[] = { ".part", ".part-of", ".failed" };

enum { NAME_BYTES_MAX = 200, PART_NAME_MAX = 256 };

/* Cuts what was put behind `from` to a name: at a character, before its number and suffix come. */
static void make_safe(text *t, size_t from) {
    slice s = { t->at + from, t->size - from };
    for (size_t i = 0; i < s.size; i++)
        if ((unsigned char)s.at[i] < ' ' || s.at[i] == 0x7F || s.at[i] == '/' || s.at[i] == '\\')
            t->at[from + i] = '_';
    size_t good = utf8_good_prefix(s);
    for (size_t i = good; i < s.size; i++)
        if ((unsigned char)s.at[i] >= 0x80)
            t->at[from + i] = '_';
    if (s.size > NAME_BYTES_MAX) {
        s.size = NAME_BYTES_MAX;
        s.size = utf8_good_prefix(s);
    }
    t->size = from + s.size;
    if (s.size > 0 && s.at[0] == '.')
        t->at[from] = '_';
    bool ours = false;
    for (size_t i = 0; i < sizeof name_suffixes / sizeof *name_suffixes; i++) {
        size_t size = strlen(name_suffixes[i]);
        slice end = slice_from(s, s.size > size ? s.size - size : 0);
        ours = ours || same_name(end, slice_of(name_suffixes[i]));
    }
    if (ours)
        put_char(t, '_');
}

/* The last segment of the path, decoded; "index" if there is none. */
static void put_url_name(text *t, slice url) {
    size_t scheme = starts_with(url, "https") ? 8 : 7, before = t->size;
    slice rest = slice_from(url, url.size < scheme ? url.size : scheme), part = rest, last = part;
    rest.size = find_any(rest, "?#");
    (void)slice_split(&rest, '/', &part);
    last.size = 0;
    while (slice_split(&rest, '/', &part))
        if (part.size > 0)
            last = part;
    for (size_t i = 0; i < last.size; i++) {
        unsigned code;
        bool escape = last.at[i] == '%' && i + 2 < last.size
            && hex_pair(last.at + i + 1, &code) && code != 0;
        put_char(t, escape ? (char)code : last.at[i]);
        i += escape ? 2 : 0;
    }
    if (t->size == before)
        PUT(t, "index");
}

/* The id: a string as it reads, anything else as it was written; the index if there is none. */
static void put_id_name(text *t, const ticket *k) {
    slice id = ticket_id(k);
    size_t before = t->size;
    if (id.size > 1 && id.at[0] == '"') {
        slice raw = { id.at + 1, id.size - 2 };
        if (!put_json_decoded(t, raw))
            t->size = before;
    } else if (id.size > 0) {
        put_slice(t, id);
    }
    if (t->size == before)
        put_u64(t, k->index);
}

static void put_filled_name(text *t, const char *pattern, const parser *p, const ticket *k,
                            slice url) {
    slice rest = slice_of(pattern), name, value;
    bool wrong;
    while (next_placeholder(&rest, t, &name, &wrong)) {
        if (slice_is(name, "id"))
            put_id_name(t, k);
        else if (slice_is(name, "name"))
            put_url_name(t, url);
        else if (slice_is(name, "index"))
            put_u64(t, k->index);
        else if (value_find(&p->row, p->columns, name, &value) == NULL)
            put_slice(t, value);
    }
    make_safe(t, 0);
    if (t->size == 0)
        put_u64(t, k->index);
}

/* Capitals do not count, as they do not on some file systems. */
static uint64_t name_hash(slice name) {
    uint64_t hash = HASH_START;
    for (size_t i = 0; i < name.size; i++)
        hash = hash_byte(hash, lower(name.at[i]));
    return hash;
}

/* Gives the ticket a name that no other of this run has: "a.txt", then "a-2.txt". */
static bool name_body(ticket *k, hash_set *names, const parser *p, slice url) {
    text t = { NULL, 0, 0, false };
    put_filled_name(&t, p->config->body_name, p, k, url);
    slice plain = { t.at, t.size };
    size_t stem = plain.size;
    while (stem > 1 && plain.at[stem - 1] != '.')
        stem--;
    stem = stem > 1 ? stem - 1 : plain.size;
    k->name.size = 0;
    put_slice(&k->name, plain);
    int64_t before = hash_take(names, name_hash(plain));
    while (before > 0 && !k->name.failed) {
        slice head = { plain.at, stem };
        k->name.size = 0;
        put_slice(&k->name, head);
        put_char(&k->name, '-');
        put_u64(&k->name, (uint64_t)++before);
        put_slice(&k->name, slice_from(plain, stem));
        slice numbered = { k->name.at, k->name.size };
        int64_t taken = hash_take(names, name_hash(numbered));
        before = taken > 0 ? before : taken;
    }
    bool good = before == 0 && !k->name.failed && !t.failed;
    text_free(&t);
    return good;
}

/* --- bodies into files ----------------------------------------------------------------------- */

static const char *part_name(char *name, const ticket *k, const char *suffix) {
    if (k->name.size > 0)
        (void)snprintf(name, PART_NAME_MAX, "%.*s%s", (int)k->name.size, k->name.at, suffix);
    else
        (void)snprintf(name, PART_NAME_MAX, "%llu%s", (unsigned long long)k->index, suffix);
    return name;
}

static bool part_fail(ticket *k) {
    if (k->part_error == 0)
        k->part_error = errno;
    return false;
}

/* "bytes 100-299/300": does it start there and, if that is said, go on to the end? *end: where that
   is. */
static bool range_fits(const sparp_result *head, int64_t start, int64_t *end) {
    const char *value = sparp_find_header(head, "content-range");
    slice rest = slice_of(value != NULL ? value : ""), from, to;
    int64_t first, last, total;
    if (!starts_with(rest, "bytes "))
        return false;
    rest = slice_from(rest, 6);
    if (!slice_split(&rest, '-', &from) || rest.at == NULL || !slice_split(&rest, '/', &to)
        || rest.at == NULL || !parse_count(from, &first) || !parse_count(to, &last)
        || first != start || last < first)
        return false;
    *end = last + 1;
    return slice_is(rest, "*") || (parse_count(rest, &total) && last + 1 == total);
}

/* What says that two answers are the same bytes (RFC 9110 13.1.5): a strong ETag, or a date that
   is not that of the answer itself. */
static const char *strong_validator(const sparp_result *head) {
    const char *tag = sparp_find_header(head, "etag");
    const char *changed = sparp_find_header(head, "last-modified");
    const char *date = sparp_find_header(head, "date");
    if (tag != NULL && tag[0] == '"')
        return tag;
    return changed != NULL && date != NULL && strcmp(changed, date) != 0 ? changed : NULL;
}

enum { PART_WORTH_IT = 1 << 20 };        /* bytes: what is less is asked for again as a whole */

/* Notes what a large body is, so that this run or a later one can go on with it. */
static void part_note(ticket *k, int dir, const sparp_result *head, bool compressed) {
    char name[PART_NAME_MAX];
    const char *validator = strong_validator(head);
    const char *ranges = sparp_find_header(head, "accept-ranges");
    const char *length = sparp_find_header(head, "content-length");
    const char *coding = sparp_find_header(head, "content-encoding");
    int64_t size = 0;
    text t = { NULL, 0, 0, false };
    if (k->url.size == 0 || validator == NULL || compressed || coding != NULL
        || (length != NULL && (!parse_count(slice_of(length), &size) || size < PART_WORTH_IT))
        || (head->status != 206 && (ranges == NULL || strcmp(ranges, "bytes") != 0)))
        return;
    put_bytes(&t, k->url.at, k->url.size);
    put_char(&t, '\n');
    put_text(&t, validator);
    put_char(&t, '\n');
    put_u64(&t, (uint64_t)(head->status == 206 ? k->part_end : size));
    put_char(&t, '\n');
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW;
    int fd = t.failed ? -1 : openat(dir, part_name(name, k, ".part-of"), flags, 0666);
    size_t written;
    k->part_stays = fd >= 0 && write_all(fd, t.at, t.size, &written);
    if (fd >= 0)
        (void)close(fd);
    text_free(&t);
}

/* Its size, if it is the beginning of what this ticket asks for, and by what to ask; else 0.
   *whole, if not NULL: the size of all of it; 0: not known. */
static int64_t part_find(const ticket *k, int dir, char *validator, size_t room, int64_t *whole) {
    char name[PART_NAME_MAX], note[8192];
    struct stat info;
    int fd = openat(dir, part_name(name, k, ".part-of"), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd >= 0 ? read(fd, note, sizeof note) : -1;
    slice rest = { note, n > 0 ? (size_t)n : 0 }, url, by, total;
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0 || !slice_split(&rest, '\n', &url) || rest.at == NULL
        || !slice_split(&rest, '\n', &by) || rest.at == NULL || by.size == 0 || by.size >= room
        || url.size != k->url.size || memcmp(url.at, k->url.at, url.size) != 0
        || fstatat(dir, part_name(name, k, ".part"), &info, AT_SYMLINK_NOFOLLOW) != 0
        || !S_ISREG(info.st_mode))
        return 0;
    memcpy(validator, by.at, by.size);
    validator[by.size] = '\0';
    if (whole != NULL && (!slice_split(&rest, '\n', &total) || !parse_count(total, whole)))
        *whole = 0;
    return (int64_t)info.st_size;
}

/* Is it the rest of that beginning, and of the same bytes? There are servers that know Range, and
   not If-Range (RFC 9110 15.3.7); or that have another file of another size by the same ETag. What
   it does not say is believed. */
static bool part_goes_on(ticket *k, int dir, const sparp_result *head) {
    char noted[1024];
    int64_t whole;
    if (sparp_find_header(head, "content-encoding") != NULL
        || !range_fits(head, k->part_size, &k->part_end)
        || part_find(k, dir, noted, sizeof noted, &whole) < k->part_size
        || (whole > 0 && k->part_end != whole))
        return false;
    const char *now = sparp_find_header(head, noted[0] == '"' ? "etag" : "last-modified");
    return now == NULL || strcmp(now, noted) == 0;
}

/* Whether an answer to our Range is of use; else all has to be asked for again: there is no rest
   (416), or it is of something else. */
static bool part_serves(ticket *k, int dir, const sparp_result *head) {
    if (k->part_size <= 0 || (head->status != 206 && head->status != 416))
        return true;
    return head->status == 206 && part_goes_on(k, dir, head);
}

/* Afresh, or behind what is there already if the answer is the rest of it. */
static bool part_open(ticket *k, int dir, const sparp_result *head) {
    char name[PART_NAME_MAX];
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW;
    bool rest = k->part_size > 0 && head->status == 206;
    off_t keep = rest ? (off_t)k->part_size : 0;
    k->part_end = 0;
    if (rest && !part_goes_on(k, dir, head)) {
        errno = EPROTO;
        return part_fail(k);
    }
    k->part = openat(dir, part_name(name, k, ".part"), flags, 0666);
    if (k->part < 0 || ftruncate(k->part, keep) != 0 || lseek(k->part, keep, SEEK_SET) != keep)
        return part_fail(k);
    return true;
}

/* What was written late may fail only here: NFS, quotas. */
static bool part_close(ticket *k) {
    if (k->part < 0)
        return true;
    k->part_written = (int64_t)lseek(k->part, 0, SEEK_CUR);
    bool closed = close(k->part) == 0 || errno == EINTR;
    k->part = -1;
    return closed ? true : part_fail(k);
}

/* The attempt was not the last one, and holds nothing while it waits for the next. */
static void part_forget(ticket *k) {
    (void)part_close(k);
    k->part_error = 0;
}

/* What is no success does not take the place of a beginning that can be gone on with. */
static bool part_ignores(const ticket *k, const sparp_result *head) {
    return (k->part_size > 0 || k->part_stays) && head->status / 100 != 2;
}

/* The next piece of a body. On the thread that receives. */
static bool part_write(ticket *k, int dir, const sparp_result *head, uint64_t offset, slice data,
                       bool compressed) {
    size_t written;
    k->part_attempt = head->attempts;
    if (part_ignores(k, head))
        return true;
    if (offset == 0) {
        if (!part_close(k) || !part_open(k, dir, head))
            return false;
        if (head->status / 100 == 2)
            part_note(k, dir, head, compressed);
    }
    return write_all(k->part, data.at, data.size, &written) ? true : part_fail(k);
}

static void part_drop(ticket *k, int dir) {
    char name[PART_NAME_MAX];
    (void)unlinkat(dir, part_name(name, k, ".part"), 0);
    if (k->part_stays || k->part_size > 0)
        (void)unlinkat(dir, part_name(name, k, ".part-of"), 0);
}

/* The request has ended: the file gets its name, stays for whoever goes on, or goes. An empty body
   has brought no piece: what lies there then is of an earlier attempt. */
static bool part_finish(ticket *k, int dir, const sparp_result *r) {
    char part[PART_NAME_MAX], final[PART_NAME_MAX], failed[PART_NAME_MAX];
    bool success = r->outcome == SPARP_OUTCOME_SUCCESS, noted = k->part_stays || k->part_size > 0;
    bool complete = r->error == SPARP_E_OK && r->body_complete && !part_ignores(k, r);
    bool good = part_close(k) && k->part_error == 0;
    bool stays = noted && k->part_error != EPROTO && r->status != 416;
    (void)part_name(part, k, ".part");
    (void)part_name(final, k, "");
    (void)part_name(failed, k, ".failed");
    if (good && complete && k->part_attempt != r->attempts)
        good = part_open(k, dir, r);
    if (good && complete)
        good = part_close(k);
    if (good && complete && k->part_end > 0 && k->part_written != k->part_end) {
        errno = EPROTO;                 /* without a Content-Length, and cut short */
        good = part_fail(k);
        stays = false;
    }
    if (good && complete && renameat(dir, part, dir, success ? final : failed) != 0)
        good = part_fail(k);
    k->has_file = good && complete;
    k->has_failed = k->has_file && !success;
    if (k->has_file && success)
        (void)unlinkat(dir, failed, 0);
    if (k->has_file && noted)
        (void)unlinkat(dir, part_name(part, k, ".part-of"), 0);
    else if (!k->has_file && r->attempts > 0 && !stays)
        part_drop(k, dir);
    return good;
}

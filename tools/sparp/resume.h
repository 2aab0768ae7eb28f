/* sparp/resume.h - what an earlier run has done: --resume. Uses text, say, values, json, hash, url,
   config, reader, view. */

/* A URL as far as it tells one request from another: without user and fragment, decoded, so that it
   does not matter who has encoded what. */
static uint64_t hash_url(uint64_t hash, slice url) {
    size_t scheme = starts_with(url, "https") ? 8 : 7;
    slice rest = slice_from(url, url.size < scheme ? url.size : scheme);
    slice host = { rest.at, find_any(rest, "/?#") };
    rest = slice_from(rest, host.size);
    rest.size = find_any(rest, "#");
    while (memchr(host.at, '@', host.size) != NULL)
        host = slice_from(host, 1);
    hash = hash_byte(hash, scheme == 8 ? 's' : 'p');
    for (size_t i = 0; i < host.size; i++)
        hash = hash_byte(hash, lower(host.at[i]));
    if (rest.size == 0 || rest.at[0] != '/')
        hash = hash_byte(hash, '/');
    for (size_t i = 0; i < rest.size; i++) {
        unsigned code = 0;
        bool escape = rest.at[i] == '%' && i + 2 < rest.size && hex_pair(rest.at + i + 1, &code);
        hash = hash_byte(hash, escape ? (char)code : rest.at[i]);
        i += escape ? 2 : 0;
    }
    return hash;
}

/* A request by its id, else by its place and its URL. */
static uint64_t hash_request(slice id, uint64_t index, slice url) {
    text t = { NULL, 0, 0, false };
    uint64_t hash = HASH_START;
    if (id.size > 0) {
        put_given_json(&t, id, false);
        slice shown = { t.at, t.size };
        hash = hash_bytes(hash_byte(hash, 'i'), shown);
    } else {
        put_u64(&t, index);
        slice number = { t.at, t.size };
        hash = hash_url(hash_bytes(hash_byte(hash, 'u'), number), url);
    }
    text_free(&t);
    return hash;
}

/* One line of an earlier run; false: out of memory. What is no record, such as a torn last line, is
   no success. */
static bool resume_take(hash_set *done, slice line) {
    slice outcome, id = { NULL, 0 }, index = id, url = id;
    int64_t number = 0;
    text t = { NULL, 0, 0, false };
    if (!json_is_valid(line) || !json_find(line, slice_of("outcome"), &outcome)
        || !slice_is(outcome, "\"success\""))
        return true;
    (void)json_find(line, slice_of("id"), &id);
    if (!json_find(line, slice_of("index"), &index) || !parse_count(index, &number)
        || !json_find(line, slice_of("url"), &url) || url.size < 2)
        return true;
    slice raw = { url.at + 1, url.size - 2 };
    (void)put_json_decoded(&t, raw);
    slice decoded = { t.at, t.size };
    bool good = !t.failed
        && hash_take(done, hash_request(id, (uint64_t)number, decoded)) >= 0;
    text_free(&t);
    return good;
}

/* All of them; false after a message. */
static bool resume_read(hash_set *done, const char *path) {
    reader r;
    slice line;
    read_state state;
    bool good = true;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return true;                    /* the first time there is nothing to go on with */
    if (!reader_open(&r, &path, 1))
        return false;
    while (good && (state = reader_next(&r, &line)) != READ_END && state != READ_FAILED) {
        struct pollfd wait = { r.fd, POLLIN, 0 };
        if (state == READ_LATER)
            (void)poll(&wait, 1, -1);
        else if (state == READ_LINE)
            good = resume_take(done, line);
    }
    if (!good)
        say("--resume: out of memory");
    reader_free(&r);
    return good && state != READ_FAILED;
}

/* Where the last whole line of a file ends; -1, with errno: it cannot be read. */
static off_t whole_lines(int fd, off_t end) {
    char chunk[4096];
    while (end > 0) {
        size_t n = end < (off_t)sizeof chunk ? (size_t)end : sizeof chunk;
        if (pread(fd, chunk, n, end - (off_t)n) != (ssize_t)n)
            return -1;
        for (size_t i = n; i > 0; i--)
            if (chunk[i - 1] == '\n')
                return end - (off_t)(n - i);
        end -= (off_t)n;
    }
    return 0;
}

/* Records are appended to whole ones: kill -9 may have torn the last. False, with errno. */
static bool resume_append(int out, const char *path) {
    struct stat info;
    if (fstat(out, &info) != 0 || !S_ISREG(info.st_mode))
        return true;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    off_t end = fd >= 0 ? whole_lines(fd, info.st_size) : -1;
    if (fd >= 0)
        (void)close(fd);
    return end >= 0 && ftruncate(out, end) == 0 && lseek(out, end, SEEK_SET) == end;
}

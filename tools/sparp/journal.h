/* sparp/journal.h - what has its final result, for the same command to go on with: one line each,
   "index hash outcome offset", written after the record. The hash is that of the request, not of
   its place, so a line more at the top does not send everything again; of equal requests as many
   are done as there are lines. The offset is where the record ends in the output.
   Two words in the place of the outcome say something else: "file", written before the body of
   that request gets its final name, and "retry": what has failed so far is to be sent again.
   Uses text, say, values, hash, config, reader, sink. */

static const char journal_head[] = "sparp-journal 2\n";  /* 1: the hash had less of the request */

typedef struct journal {
    sink lines;                         /* fd -1: none */
    hash_set done;                      /* by earlier runs */
    hash_set failed;                    /* of those: no success, but what is no request */
    hash_set files;                     /* whose body may be there without its result */
    hash_set pulled;                    /* by this one */
    uint64_t offset;                    /* where the output ended then */
    bool is_new;                        /* there was not even its first line */
} journal;

static bool parse_hash(slice s, uint64_t *out) {
    uint64_t value = 0;
    for (size_t i = 0; i < s.size; i++) {
        char c = lower(s.at[i]);
        if (!is_digit(c) && !(c >= 'a' && c <= 'f'))
            return false;
        value = value << 4 | (uint64_t)(is_digit(c) ? c - '0' : c - 'a' + 10);
    }
    *out = value;
    return s.size == 16;
}

/* What has failed is not done. */
static void journal_retry(journal *j) {
    for (size_t i = 0; i < j->failed.room; i++)
        if (j->failed.slots[i].hash != 0)
            hash_find(&j->done, j->failed.slots[i].hash)->times -= j->failed.slots[i].times;
    hash_free(&j->failed);
}

static void journal_take(journal *j, slice outcome, uint64_t key) {
    bool failed = !slice_is(outcome, "success") && !slice_is(outcome, "invalid");
    bool good = true;
    if (slice_is(outcome, "retry"))
        journal_retry(j);
    else if (slice_is(outcome, "file"))
        good = hash_take(&j->files, key) >= 0;
    else
        good = hash_take(&j->done, key) >= 0 && (!failed || hash_take(&j->failed, key) >= 0);
    if (!good)
        j->lines.buffer.failed = true;
}

/* One line; false: it is none, or torn. */
static bool journal_line(journal *j, slice line) {
    slice index, hash, outcome;
    uint64_t key;
    int64_t number, offset;
    if (!slice_split(&line, ' ', &index) || line.at == NULL || !slice_split(&line, ' ', &hash)
        || line.at == NULL || !slice_split(&line, ' ', &outcome) || line.at == NULL
        || !parse_count(index, &number) || !parse_hash(hash, &key) || !parse_count(line, &offset))
        return false;
    j->offset = (uint64_t)offset;
    journal_take(j, outcome, key);
    return true;
}

/* All of it. What is behind the last whole line is cut off; with --restart all of it, but of no
   other file. False after a message. */
static bool journal_read(journal *j, const char *path, bool restart) {
    text t = { NULL, 0, 0, false };
    size_t head = sizeof journal_head - 1;
    ssize_t n = 0;
    while (text_reserve(&t, CHUNK) && (n = read(j->lines.fd, t.at + t.size, CHUNK)) > 0)
        t.size += (size_t)n;
    bool good = !t.failed && n == 0;
    if (!good)
        say("--journal: cannot read %s: %s", path, t.failed ? "out of memory" : strerror(errno));
    bool ours = t.size == 0 || (t.size >= head && memcmp(t.at, journal_head, head) == 0)
        || (t.size < head && memcmp(t.at, journal_head, t.size) == 0);
    slice all = { t.at, t.size };
    bool other_version = !ours && starts_with(all, "sparp-journal ");
    if (good && restart && (ours || other_version)) {
        t.size = 0;
        ours = true;
    }
    if (good && !ours)
        say(other_version
            ? "--journal: %s is of another version, which knew requests otherwise: --restart "
              "begins anew" : "--journal: %s is a file of another kind", path);
    size_t whole = t.size < head ? 0 : head;
    slice rest = { t.at + whole, whole == 0 ? 0 : t.size - whole }, line;
    while (good && ours && rest.size > 0 && memchr(rest.at, '\n', rest.size) != NULL
           && slice_split(&rest, '\n', &line) && journal_line(j, line))
        whole += line.size + 1;
    good = good && ours && ftruncate(j->lines.fd, (off_t)whole) == 0
        && lseek(j->lines.fd, (off_t)whole, SEEK_SET) == (off_t)whole;
    j->is_new = whole == 0;
    if (j->is_new)
        put_text(&j->lines.buffer, journal_head);
    text_free(&t);
    return good && !j->lines.buffer.failed;
}

static void journal_note(journal *j, uint64_t index, uint64_t key, const char *outcome,
                         uint64_t offset) {
    put_format(&j->lines.buffer, "%llu %016llx %s %llu\n", (unsigned long long)index,
               (unsigned long long)key, outcome, (unsigned long long)offset);
}

/* False after a message. */
static bool journal_open(journal *j, const config *c) {
    const char *path = c->journal;
    j->lines.name = path;
    j->lines.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (j->lines.fd < 0) {
        say("cannot create %s: %s", path, strerror(errno));
        return false;
    }
    if (flock(j->lines.fd, LOCK_EX | LOCK_NB) != 0) {
        say("--journal: %s is in use by another run", path);
        return false;
    }
    if (!journal_read(j, path, c->restart))
        return false;
    if (c->retry_failed && j->failed.count > 0) {
        journal_retry(j);
        journal_note(j, 0, 0, "retry", j->offset);
    }
    return true;
}

static bool journal_had(const hash_set *s, uint64_t key, int64_t before) {
    return hash_has(s, key) && (uint64_t)before < hash_find(s, key != 0 ? key : 1)->times;
}

typedef enum { JOURNAL_NEW, JOURNAL_DONE, JOURNAL_FAILED, JOURNAL_NO_MEMORY } journal_state;

/* What earlier runs have had of this one. */
static journal_state journal_pull(journal *j, uint64_t key) {
    int64_t before = hash_take(&j->pulled, key);
    return before < 0 ? JOURNAL_NO_MEMORY : !journal_had(&j->done, key, before) ? JOURNAL_NEW
        : journal_had(&j->failed, key, before) ? JOURNAL_FAILED : JOURNAL_DONE;
}

static void journal_free(journal *j) {
    sink_close(&j->lines);
    hash_free(&j->done);
    hash_free(&j->failed);
    hash_free(&j->files);
    hash_free(&j->pulled);
}

/* Whether a record may end there. What cannot be read is believed. */
static bool journal_is_an_end(const char *path, uint64_t offset) {
    char last = '\n';
    int fd = offset > 0 ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
    if (fd < 0)
        return true;
    ssize_t n = pread(fd, &last, 1, (off_t)offset - 1);
    (void)close(fd);
    return n != 1 || last == '\n';
}

/* The output is cut back to what the journal knows of, and gone on with. What other commands have
   written there is not lost. False after a message. */
static bool journal_cut_output(const journal *j, sink *out, bool restart) {
    struct stat info;
    if (fstat(out->fd, &info) != 0 || !S_ISREG(info.st_mode))
        return true;
    if (j->is_new && !restart && info.st_size > 0) {
        say("--journal: %s is new, but %s is not empty: --restart empties it; without a journal "
            "--resume goes on with it", j->lines.name, out->name);
        return false;
    }
    if ((uint64_t)info.st_size < j->offset) {
        say("--journal: %s is shorter than when it was left; --restart begins anew", out->name);
        return false;
    }
    if (!journal_is_an_end(out->name, j->offset)) {
        say("--journal: %s is not what was written with %s; --restart begins anew", out->name,
            j->lines.name);
        return false;
    }
    if (ftruncate(out->fd, (off_t)j->offset) == 0
        && lseek(out->fd, (off_t)j->offset, SEEK_SET) == (off_t)j->offset)
        return true;
    say("cannot append to %s: %s", out->name, strerror(errno));
    return false;
}

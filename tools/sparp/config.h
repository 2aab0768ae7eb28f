/* sparp/config.h - the command line as a struct; what no flag alone can know is checked here.
   Uses text, say, values, json, url, template, options, shard. */

/* Memory freed by config_free; NULL, after a message, when there is none. */
static char *config_keep(config *c, const char *at, size_t size) {
    kept *k = (kept *)malloc(sizeof *k + size + 1);
    if (k == NULL) {
        say("out of memory");
        return NULL;
    }
    k->next = c->kept;
    c->kept = k;
    char *copy = (char *)(k + 1);
    if (size > 0)
        memcpy(copy, at, size);
    copy[size] = '\0';
    return copy;
}

static void config_free(config *c) {
    while (c->kept != NULL) {
        kept *next = c->kept->next;
        free(c->kept);
        c->kept = next;
    }
    free(c->sources);
    c->sources = NULL;
}

/* "--retries" or "-c", as it is best written in a message. */
static const char *option_label(option_id id, char *label, size_t size) {
    const option_row *row = &option_rows[id];
    if (row->name[0] != '\0')
        (void)snprintf(label, size, "--%s", row->name);
    else
        (void)snprintf(label, size, "-%c", row->letter);
    return label;
}

static bool option_refuse(option_id id, const char *arg, const char *wanted) {
    char label[48];
    say("%s: '%.200s' is not %s", option_label(id, label, sizeof label), arg, wanted);
    return false;
}

static bool out_of_range(option_id id, const char *arg) {
    const option_row *row = &option_rows[id];
    char label[48];
    (void)option_label(id, label, sizeof label);
    if (row->kind == KIND_TIME || row->kind == KIND_RATE || row->kind == KIND_NUMBER)
        say("%s: '%s' is out of range, it must be more than 0", label, arg);
    else if (row->high == INT64_MAX)
        say("%s: '%s' is out of range, the lowest is %lld", label, arg, (long long)row->low);
    else
        say("%s: '%s' is out of range, which is %lld to %lld", label, arg, (long long)row->low,
            (long long)row->high);
    return false;
}

static bool set_whole(void *field, option_id id, const char *arg) {
    const option_row *row = &option_rows[id];
    int64_t value;
    if (row->kind == KIND_SIZE) {
        if (!parse_size(slice_of(arg), &value))
            return option_refuse(id, arg, "a size like 64k or 8M");
    } else if (!parse_count(slice_of(arg), &value)) {
        return option_refuse(id, arg, "a whole number");
    }
    if (value < row->low || value > row->high)
        return out_of_range(id, arg);
    *(int64_t *)field = value;
    return true;
}

static bool set_real(void *field, option_id id, const char *arg) {
    const option_row *row = &option_rows[id];
    double value;
    if (row->kind == KIND_TIME) {
        if (!parse_time(slice_of(arg), &value))
            return option_refuse(id, arg, "a time like 30, 500ms or 2m");
    } else if (row->kind == KIND_NUMBER) {
        if (!parse_cost(slice_of(arg), &value))
            return option_refuse(id, arg, "a number");
    } else if (!parse_rate(slice_of(arg), &value)) {
        return option_refuse(id, arg, "a rate like 50, 300/m or 5/15s");
    }
    if (row->low > 0 && !(value > 0))
        return out_of_range(id, arg);
    *(double *)field = value;
    return true;
}

/* A whole file as text that lives as long as the config; its size in *size. */
static const char *read_file(config *c, option_id id, const char *path, size_t *size) {
    char label[48];
    text t = { NULL, 0, 0, false };
    const char *copy = NULL;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        say("%s: cannot open %s: %s", option_label(id, label, sizeof label), path, strerror(errno));
        return NULL;
    }
    while (text_reserve(&t, 65536)) {
        size_t n = fread(t.at + t.size, 1, 65536, file);
        t.size += n;
        if (n == 0)
            break;
    }
    if (ferror(file)) {
        say("%s: cannot read %s", option_label(id, label, sizeof label), path);
    } else if (t.failed) {
        say("%s: out of memory reading %s", option_label(id, label, sizeof label), path);
    } else {
        copy = config_keep(c, t.at, t.size);
        *size = t.size;
    }
    (void)fclose(file);
    text_free(&t);
    return copy;
}

/* The bytes of "TEXT" or of "@FILE". */
static const char *text_or_file(config *c, option_id id, const char *arg, size_t *size) {
    if (arg[0] == '@')
        return read_file(c, id, arg + 1, size);
    *size = strlen(arg);
    return arg;
}

/* RFC 9110 5.6.2: what a token is made of. */
static const char token_characters[] = "!#$%&'*+-.^_`|~0123456789"
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

static bool is_token(slice s) {
    for (size_t i = 0; i < s.size; i++)
        if (s.at[i] == '\0' || strchr(token_characters, s.at[i]) == NULL)
            return false;
    return s.size > 0;
}

static bool has_control(slice s) {
    for (size_t i = 0; i < s.size; i++)
        if (((unsigned char)s.at[i] < ' ' && s.at[i] != '\t') || s.at[i] == 0x7F)
            return true;
    return false;
}

/* One "K: V" or "K:". NULL, or what is wrong, in words that do not repeat it: it may be secret. */
static const char *add_header(config *c, slice line) {
    slice value = line, name;
    (void)slice_split(&value, ':', &name);
    name = trimmed(name);
    if (value.at == NULL)
        return "this is not 'Name: value'";
    if (!is_token(name))
        return "the name in front of the colon is none";
    value = trimmed(value);
    if (has_control(value))
        return "a control character is in the value";
    if (same_name(name, slice_of("transfer-encoding"))
        || (same_name(name, slice_of("content-length")) && value.size > 0))
        return "this line is set by sparp, as the body wants it";
    if (c->num_headers == DEFAULTS_MAX)
        return "more than 250 headers";
    sparp_field *f = &c->headers[c->num_headers];
    f->name = config_keep(c, name.at, name.size);
    f->value = value.size == 0 ? NULL : config_keep(c, value.at, value.size);
    if (f->name == NULL || (value.size > 0 && f->value == NULL))
        return "out of memory";
    c->num_headers++;
    return NULL;
}

static bool set_header(config *c, const char *arg) {
    size_t size;
    const char *wrong = arg[0] == '@' ? NULL : add_header(c, slice_of(arg));
    if (wrong != NULL)
        say("--header: %s", wrong);
    if (arg[0] != '@')
        return wrong == NULL;
    const char *at = read_file(c, OPTION_HEADER, arg + 1, &size);
    if (at == NULL)
        return false;
    slice rest = { at, size }, line;
    for (int number = 1; slice_split(&rest, '\n', &line); number++) {
        wrong = trimmed(line).size > 0 ? add_header(c, line) : NULL;
        if (wrong == NULL)
            continue;
        say("--header: %s, line %d: %s", arg + 1, number, wrong);
        return false;
    }
    return true;
}

/* --- credentials: nothing of them is ever repeated -------------------------------------------- */

/* The text of "@FILE" without the end of its last line, which lives as long as the config. */
static const char *secret_of_file(config *c, option_id id, const char *path) {
    size_t size;
    char *at = (char *)(uintptr_t)read_file(c, id, path, &size);
    while (at != NULL && size > 0 && (at[size - 1] == '\n' || at[size - 1] == '\r'))
        at[--size] = '\0';
    return at;
}

/* One line, typed unseen. NULL: there is no terminal. */
static char *ask_terminal(config *c, const char *prompt) {
    char line[512];
    struct termios before, silent;
    size_t written;
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    bool quiet = fd >= 0 && tcgetattr(fd, &before) == 0;
    ssize_t n = -1;
    if (quiet) {
        silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(fd, TCSAFLUSH, &silent);
        (void)write_all(fd, prompt, strlen(prompt), &written);
        n = read(fd, line, sizeof line);
        (void)tcsetattr(fd, TCSAFLUSH, &before);
        (void)write_all(fd, "\n", 1, &written);
    }
    if (fd >= 0)
        (void)close(fd);
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
        n--;
    return n >= 0 ? config_keep(c, line, (size_t)n) : NULL;
}

static const char *config_join(config *c, const char *a, const char *b, const char *d) {
    text t = { NULL, 0, 0, false };
    put_text(&t, a);
    put_text(&t, b);
    put_text(&t, d);
    const char *joined = t.failed ? NULL : config_keep(c, t.at, t.size);
    text_free(&t);
    return joined;
}

static bool set_user(config *c, const char *arg) {
    const char *user = arg[0] == '@' ? secret_of_file(c, OPTION_USER, arg + 1) : arg;
    if (user != NULL && strchr(user, ':') == NULL) {
        char prompt[200];
        (void)snprintf(prompt, sizeof prompt, "Password of %.100s: ", user);
        const char *password = ask_terminal(c, prompt);
        if (password == NULL)
            say("--user: the password is missing, and there is no terminal to ask on");
        user = password != NULL ? config_join(c, user, ":", password) : NULL;
    }
    if (user == NULL)
        return false;
    text t = { NULL, 0, 0, false };
    put_base64(&t, slice_of(user));
    put_char(&t, '\0');
    c->authorization = t.failed ? NULL : config_join(c, "Basic ", t.at, "");
    text_free(&t);
    return c->authorization != NULL;
}

static bool set_bearer(config *c, const char *arg) {
    const char *token = NULL;
    if (arg[0] == '@')
        token = secret_of_file(c, OPTION_BEARER, arg + 1);
    else if (arg[0] == '$' && (token = getenv(arg + 1)) == NULL)
        say("--bearer: the variable %.60s is not set", arg + 1);
    else if (arg[0] != '$')
        say("--bearer wants @FILE or the name of a variable, '$NAME' in single quotes: the token "
            "itself would be in every list of processes");
    c->authorization = token != NULL ? config_join(c, "Bearer ", token, "") : NULL;
    return c->authorization != NULL;
}

static bool set_cookie(config *c, const char *arg) {
    const char *cookie = arg[0] == '@' ? secret_of_file(c, OPTION_COOKIE, arg + 1) : arg;
    if (cookie == NULL)
        return false;
    if (strchr(cookie, '=') == NULL) {
        say("--cookie: this is not NAME=VALUE");
        return false;
    }
    c->cookie = c->cookie == NULL ? cookie : config_join(c, c->cookie, "; ", cookie);
    return c->cookie != NULL;
}

/* --- multipart forms (RFC 7578) --------------------------------------------------------------- */

/* What stands behind ";type=" or ";filename=" of an -F, up to the other of them. */
static slice form_extra(slice s, const char *key, const char *other) {
    slice value = { NULL, 0 };
    size_t size = strlen(key), other_size = strlen(other);
    for (size_t i = 0; i + size <= s.size && value.at == NULL; i++)
        if (memcmp(s.at + i, key, size) == 0)
            value = slice_from(s, i + size);
    for (size_t i = 0; value.at != NULL && i + other_size <= value.size; i++)
        if (memcmp(value.at + i, other, other_size) == 0)
            value.size = i;
    return value;
}

/* A name in quotes, as browsers write it (WHATWG HTML 4.10.21.8). */
static void put_quoted(text *t, slice s) {
    for (size_t i = 0; i < s.size; i++) {
        if (s.at[i] == '"' || s.at[i] == '\r' || s.at[i] == '\n')
            put_code(t, s.at[i]);
        else
            put_char(t, s.at[i]);
    }
}

static bool form_file(form_part *part) {
    struct stat info;
    bool readable = stat(part->path, &info) == 0 && access(part->path, R_OK) == 0;
    if (!readable)
        say("--form: cannot read %s: %s", part->path, strerror(errno));
    else if (!S_ISREG(info.st_mode))
        say("--form: %s is not a regular file", part->path);
    part->size = readable ? (uint64_t)info.st_size : 0;
    return readable && S_ISREG(info.st_mode);
}

static void put_part_head(text *t, const config *c, slice name, slice file, slice type) {
    put_format(t, "%s--%s\r\nContent-Disposition: form-data; name=\"",
               c->num_parts > 0 ? "\r\n" : "", c->boundary);
    put_quoted(t, name);
    if (file.at != NULL) {
        PUT(t, "\"; filename=\"");
        put_quoted(t, file);
    }
    PUT(t, "\"\r\n");
    if (file.at != NULL || type.at != NULL) {
        PUT(t, "Content-Type: ");
        put_slice(t, type.at != NULL ? type : slice_of("application/octet-stream"));
        PUT(t, "\r\n");
    }
    PUT(t, "\r\n");
}

/* "@FILE[;type=T][;filename=F]" */
static bool set_form_file(config *c, form_part *part, slice value, slice *file, slice *type) {
    *file = form_extra(value, ";filename=", ";type=");
    *type = form_extra(value, ";type=", ";filename=");
    for (size_t i = 1; i < value.size; i++)
        if (starts_with(slice_from(value, i), ";type=")
            || starts_with(slice_from(value, i), ";filename="))
            value.size = i;
    part->path = config_keep(c, value.at + 1, value.size - 1);
    if (part->path == NULL || !form_file(part))
        return false;
    const char *slash = strrchr(part->path, '/');
    if (file->at == NULL)
        *file = slice_of(slash != NULL ? slash + 1 : part->path);
    if (has_control(*type))
        say("--form: a control character is in the type");
    return !has_control(*type);
}

/* "NAME=VALUE" or "NAME=@FILE..." */
static bool set_form(config *c, const char *arg) {
    slice value = slice_of(arg), name, file = { NULL, 0 }, type = file;
    (void)slice_split(&value, '=', &name);
    if (value.at == NULL || name.size == 0 || c->num_parts == PARTS_MAX) {
        say(c->num_parts == PARTS_MAX ? "--form: more than 100 parts"
            : "--form: this is not NAME=VALUE");
        return false;
    }
    if (c->boundary[0] == '\0')
        (void)snprintf(c->boundary, sizeof c->boundary, "sparp-%llx-%llx",
                       (unsigned long long)monotonic_us(), (unsigned long long)getpid());
    form_part *part = &c->parts[c->num_parts];
    part->value = value.at;
    part->size = value.size;
    if (value.size > 0 && value.at[0] == '@' && !set_form_file(c, part, value, &file, &type))
        return false;
    text t = { NULL, 0, 0, false };
    put_part_head(&t, c, name, file, type);
    part->head_size = t.size;
    part->head = t.failed ? NULL : config_keep(c, t.at, t.size);
    text_free(&t);
    c->num_parts++;
    return part->head != NULL;
}

/* The line that ends the form, and how long all of it is. */
static bool finish_form(config *c) {
    text t = { NULL, 0, 0, false };
    put_format(&t, "\r\n--%s--\r\n", c->boundary);
    form_part *end = &c->parts[c->num_parts];
    end->head_size = t.size;
    end->head = t.failed ? NULL : config_keep(c, t.at, t.size);
    text_free(&t);
    for (size_t i = 0; i <= c->num_parts; i++)
        c->form_size += c->parts[i].head_size + c->parts[i].size;
    return end->head != NULL;
}

static bool set_query(config *c, const char *arg) {
    slice value = slice_of(arg), name;
    (void)slice_split(&value, '=', &name);
    if (value.at == NULL || name.size == 0) {
        say("--url-query: this is not K=V");
        return false;
    }
    if (c->num_query == DEFAULTS_MAX) {
        say("--url-query: more than %d parameters", DEFAULTS_MAX);
        return false;
    }
    sparp_field *f = &c->query[c->num_query++];
    f->name = config_keep(c, name.at, name.size);
    f->value = value.at;
    return f->name != NULL;
}

/* "Name,Other": names of headers. */
static bool is_name_list(slice list) {
    slice part;
    while (slice_split(&list, ',', &part)) {
        if (!is_token(trimmed(part)))
            return false;
    }
    return true;
}

/* "all", "none", or names of headers. */
static bool set_headers_shown(config *c, const char *arg) {
    slice rest = slice_of(arg), part;
    bool word = strcmp(arg, "none") == 0 || strcmp(arg, "all") == 0, names = is_name_list(rest);
    while (!word && slice_split(&rest, ',', &part)) {
        if (parse_choice("none|all", trimmed(part)) >= 0)
            names = false;
    }
    if (!word && !names)
        return option_refuse(OPTION_HEADERS, arg, "none, all, or names");
    c->headers_shown = strcmp(arg, "none") == 0 ? NULL : arg;
    return true;
}

static bool set_json(config *c, const char *arg) {
    size_t size;
    c->json = text_or_file(c, OPTION_JSON, arg, &size);
    c->json_size = size;
    return c->json != NULL;
}

/* Of a template, what it is with its words filled in is looked at, line by line. */
static bool check_json(const config *c) {
    slice s = { c->json, c->json_size }, raw;
    json j = json_of(s);
    size_t good = utf8_good_prefix(s);
    if (good < s.size)
        (void)json_fail_at(&j, s.at + good, "not UTF-8");
    else if (json_value(&j, &raw) && json_end(&j))
        return true;
    say("--json: not JSON, byte %llu: %s", (unsigned long long)(j.at - j.start) + 1, j.error);
    return false;
}

static bool set_only(config *c, const char *arg) {
    int choice = parse_choice("failed|success", slice_of(arg));
    c->only = choice == 0 ? ONLY_FAILED : choice == 1 ? ONLY_SUCCESS : ONLY_STATUSES;
    return choice >= 0 || parse_statuses(slice_of(arg), &c->only_statuses)
        || option_refuse(OPTION_ONLY, arg, "failed, success or a list of statuses like 404,5xx");
}

/* What a record may have; those with a dot at the end are objects of fields. */
static const char record_fields[] =
    "index|id|outcome|status|attempts|retried|retried.|cost|url|final_url|redirects|t|ms|ms.|bytes|"
    "bytes.|reused|headers|headers.|error|error.|retry_at|maybe_applied|meta|meta.|request|"
    "request.|truncated|encoded|body_file|kept|body|body_base64|json|json.|line";

static bool set_fields(config *c, const char *arg) {
    slice rest = slice_of(arg), field, outer, inner;
    while (slice_split(&rest, ',', &field)) {
        field = outer = inner = trimmed(field);
        (void)slice_split(&inner, '.', &outer);
        if (inner.at != NULL)
            outer.size++;               /* with its dot */
        if (parse_choice(record_fields, outer) < 0 || (inner.at != NULL && inner.size == 0)) {
            say("--fields: a record has no '%.*s'", (int)(field.size < 60 ? field.size : 60),
                field.at);
            return false;
        }
    }
    c->fields = arg;
    return true;
}

/* A number, or "auto". */
static bool set_or_auto(option_id id, const char *arg, int64_t highest, int64_t *out) {
    int64_t value = SPARP_AUTO;
    if (strcmp(arg, "auto") != 0 && !parse_count(slice_of(arg), &value))
        return option_refuse(id, arg, "a number or auto");
    if (value != SPARP_AUTO && (value < 1 || value > highest)) {
        say("--%s: '%s' is out of range, which is 1 to %lld", option_rows[id].name, arg,
            (long long)highest);
        return false;
    }
    *out = value;
    return true;
}

/* A number, or "none", which is what 0 means too. */
static bool set_max_redirs(config *c, const char *arg) {
    int64_t value = 0;
    bool none = strcmp(arg, "none") == 0;
    if (!none && !parse_count(slice_of(arg), &value))
        return option_refuse(OPTION_MAX_REDIRS, arg, "a number or none");
    if (value > REDIRECTS_MAX) {
        say("--max-redirs: '%s' is out of range, which is 0 to %d", arg, REDIRECTS_MAX);
        return false;
    }
    c->max_redirs = value == 0 ? SPARP_NONE : value;
    return true;
}

/* Appends to a list of the config, after a comma. */
static bool list_append(config *c, const char **list, const char *entry) {
    text t = { NULL, 0, 0, false };
    if (*list != NULL) {
        put_text(&t, *list);
        put_char(&t, ',');
    }
    put_text(&t, entry);
    if (t.failed)
        say("out of memory");
    *list = t.failed ? NULL : config_keep(c, t.at, t.size);
    text_free(&t);
    return *list != NULL;
}

/* X("field of the library", ID): what its sentences call a flag of ours. */
#define LIBRARY_WORDS(X) \
    X("max_body_bytes", MAX_BODY) X("local_address", INTERFACE) X("pin_sha256", PIN) \
    X("unix_socket", UNIX_SOCKET) X("connect_to", CONNECT_TO) X("max_redirects", MAX_REDIRS) \
    X("retry_after_max_s", RETRY_AFTER_MAX) X("max_at_once", MAX_AT_ONCE) \
    X("max_per_second", MAX_PER_SECOND) X("timeout_s", TIMEOUT) \
    X("connect_timeout_s", CONNECT_TIMEOUT) X("idle_timeout_s", IDLE_TIMEOUT) \
    X("run_deadline_s", DEADLINE) X("sensitive_headers", SENSITIVE) X("https_proxy", PROXY) \
    X("no_proxy", NOPROXY) X("max_at_once_per_origin", PER_HOST) \
    X("max_per_second_per_origin", PER_HOST_RATE) X("max_cost_per_second", MAX_COST) \
    X("cost_burst", COST_BURST) X("host_limits", LIMIT_HOST) X("retry_ratio", RETRY_RATIO) \
    X("min_bytes_per_second", MIN_SPEED)

/* A sentence of the library, with our flags in the place of its fields. */
static void put_in_our_words(text *t, slice s) {
    while (s.size > 0) {
        size_t word = 0;
        while (word < s.size && (is_digit(s.at[word]) || s.at[word] == '_'
                                 || (lower(s.at[word]) >= 'a' && lower(s.at[word]) <= 'z')))
            word++;
        slice name = { s.at, word > 0 ? word : 1 };
        const char *flag = NULL;
#define X(field, id) if (slice_is(name, field)) flag = option_rows[OPTION_##id].name;
        LIBRARY_WORDS(X)
#undef X
        if (slice_is(name, "ip_version"))
            flag = "ipv4 or --ipv6";
        if (flag != NULL)
            put_format(t, "--%s", flag);
        else
            put_slice(t, name);
        s = slice_from(s, name.size);
    }
}

/* What these options are worth, the library knows best. */
static bool library_takes(const sparp_options *o, option_id id, const char *arg) {
    const char *wrong = sparp_check_options(o);
    char label[48];
    if (wrong[0] == '\0')
        return true;
    text t = { NULL, 0, 0, false };
    put_in_our_words(&t, slice_of(wrong));
    say("%s: '%.200s': %.*s", option_label(id, label, sizeof label), arg, (int)t.size, t.at);
    text_free(&t);
    return false;
}

/* The part of an entry of --resolve before its addresses; brackets have colons of their own. */
static size_t resolve_prefix(const char *arg) {
    size_t i = 0;
    bool inside = false;
    for (int colons = 0; arg[i] != '\0' && colons < 2; i++) {
        inside = arg[i] == '[' || (inside && arg[i] != ']');
        colons += arg[i] == ':' && !inside;
    }
    return i;
}

/* "host:port:address", and as curl has it more addresses after commas. */
static bool set_resolve(config *c, const char *arg) {
    size_t prefix = resolve_prefix(arg);
    slice rest = slice_of(arg + prefix), address;
    sparp_options o;
    text list = { NULL, 0, 0, false };
    while (slice_split(&rest, ',', &address)) {
        if (list.size > 0)
            put_char(&list, ',');
        put_bytes(&list, arg, prefix);
        put_slice(&list, address);
    }
    memset(&o, 0, sizeof o);
    o.resolve = list.failed ? NULL : config_keep(c, list.at, list.size);
    bool good = o.resolve != NULL && prefix > 0 && arg[prefix - 1] == ':'
        ? library_takes(&o, OPTION_RESOLVE, arg)
        : option_refuse(OPTION_RESOLVE, arg, "HOST:PORT:ADDRESS");
    if (good)
        good = list_append(c, &c->resolve, o.resolve);
    text_free(&list);
    return good;
}

static bool set_connect_to(config *c, const char *arg) {
    sparp_options o;
    memset(&o, 0, sizeof o);
    o.connect_to = arg;
    if (strchr(arg, ':') == NULL)
        return option_refuse(OPTION_CONNECT_TO, arg, "H1:P1:H2:P2");
    return library_takes(&o, OPTION_CONNECT_TO, arg) && list_append(c, &c->connect_to, arg);
}

/* "P%" or "P%/AFTER", of which `s` is the P and the rest stands behind the %. */
static bool set_max_fail_ratio(config *c, const char *arg, slice s, slice rest) {
    double percent;
    if (!take_decimal(&s, &percent) || s.size > 0)
        return option_refuse(OPTION_MAX_FAIL, arg, "a number, P% or P%/AFTER");
    if (!(percent > 0 && percent <= 100)) {
        say("--max-fail: '%s' is out of range, which is more than 0%% to 100%%", arg);
        return false;
    }
    c->max_fail_after = MAX_FAIL_AFTER;
    if (rest.size > 0 && (rest.at[0] != '/' || !parse_count(slice_from(rest, 1), &c->max_fail_after)
                          || c->max_fail_after < 1))
        return option_refuse(OPTION_MAX_FAIL, arg, "P%/AFTER, with a number of requests");
    c->max_fail_ratio = percent / 100;
    return true;
}

/* "N", "P%" or "P%/AFTER". */
static bool set_max_fail(config *c, const char *arg) {
    slice s = slice_of(arg);
    const char *mark = strchr(arg, '%');
    int64_t value;
    c->max_fail = 0;
    c->max_fail_ratio = 0;
    if (mark != NULL) {
        slice percent = { arg, (size_t)(mark - arg) };
        return set_max_fail_ratio(c, arg, percent, slice_of(mark + 1));
    }
    if (!parse_count(s, &value))
        return option_refuse(OPTION_MAX_FAIL, arg, "a number, P% or P%/AFTER");
    if (value < 1 || value > INT_MAX) {
        say("--max-fail: '%s' is out of range, which is 1 to %d", arg, INT_MAX);
        return false;
    }
    c->max_fail = value;
    return true;
}

static bool set_stop_on(config *c, const char *arg) {
    static const char events[] =
        "soft-fail|hard-fail|timeout|transport|soft-exhausted|timeout-exhausted";
    static const unsigned flags[] = {
        SPARP_STOP_ON_SOFT_FAIL, SPARP_STOP_ON_HARD_FAIL, SPARP_STOP_ON_TIMEOUT,
        SPARP_STOP_ON_TRANSPORT, SPARP_STOP_ON_SOFT_EXHAUSTED, SPARP_STOP_ON_TIMEOUT_EXHAUSTED
    };
    slice rest = slice_of(arg), part;
    while (slice_split(&rest, ',', &part)) {
        int i = parse_choice(events, part);
        if (i < 0)
            return option_refuse(OPTION_STOP_ON, arg, events);
        c->stop_on |= flags[i];
    }
    return true;
}

/* A fraction, or per cent. */
static bool set_retry_ratio(config *c, const char *arg) {
    slice s = slice_of(arg);
    bool percent = s.size > 0 && s.at[s.size - 1] == '%';
    s.size -= percent;
    if (!take_decimal(&s, &c->retry_ratio) || s.size > 0)
        return option_refuse(OPTION_RETRY_RATIO, arg, "a fraction like 0.1, or 10%");
    c->retry_ratio /= percent ? 100 : 1;
    if (c->retry_ratio > 0 && c->retry_ratio <= 1e6)
        return true;
    say("--retry-ratio: '%s' is out of range, it must be more than 0", arg);
    return false;
}

static bool set_cost_from(config *c, const char *arg) {
    const char *wanted = wrong_path(slice_of(arg));
    c->cost_from = arg;
    return wanted == NULL || option_refuse(OPTION_COST_FROM, arg, wanted);
}

/* "HOST=N[,R[,COST]]". One that would never count is a mistake. */
static bool set_limit_host(config *c, const char *arg) {
    sparp_options o;
    slice host;
    if (c->num_host_limits == HOST_LIMITS_MAX) {
        say("--limit-host: more than %d hosts", HOST_LIMITS_MAX);
        return false;
    }
    sparp_host_limit *limit = &c->host_limits[c->num_host_limits];
    const char *wanted = parse_host_limit(slice_of(arg), &host, limit);
    if (wanted != NULL)
        return option_refuse(OPTION_LIMIT_HOST, arg, wanted);
    for (size_t i = 0; i < c->num_host_limits; i++) {
        if (!pattern_covers(slice_of(c->host_limits[i].host), host))
            continue;
        say("--limit-host: '%.200s' never counts, for %s= stands before it", arg,
            c->host_limits[i].host);
        return false;
    }
    limit->host = config_keep(c, host.at, host.size);
    memset(&o, 0, sizeof o);
    o.host_limits = limit;
    o.num_host_limits = 1;
    if (limit->host == NULL || !library_takes(&o, OPTION_LIMIT_HOST, arg))
        return false;
    c->num_host_limits++;
    return true;
}

static bool set_other(config *c, option_id id, const char *arg) {
    static const char statuses[] = "a list of statuses like 200-299,4xx,301,all,none";
    switch (id) {
    case OPTION_HEADER:    return set_header(c, arg);
    case OPTION_ONLY:      return set_only(c, arg);
    case OPTION_FIELDS:    return set_fields(c, arg);
    case OPTION_USER:      return set_user(c, arg);
    case OPTION_BEARER:    return set_bearer(c, arg);
    case OPTION_COOKIE:    return set_cookie(c, arg);
    case OPTION_FORM:      return set_form(c, arg);
    case OPTION_URL_QUERY: return set_query(c, arg);
    case OPTION_JSON:      return set_json(c, arg);
    case OPTION_MAX_AT_ONCE: return set_or_auto(id, arg, 100000, &c->max_at_once);
    case OPTION_WORKERS:   return set_or_auto(id, arg, WORKERS_MAX, &c->workers);
    case OPTION_SHARD:     return set_shard(c, arg);
    case OPTION_COST_FROM: return set_cost_from(c, arg);
    case OPTION_LIMIT_HOST: return set_limit_host(c, arg);
    case OPTION_RETRY_RATIO: return set_retry_ratio(c, arg);
    case OPTION_MAX_FAIL:  return set_max_fail(c, arg);
    case OPTION_STOP_ON:   return set_stop_on(c, arg);
    case OPTION_HEADERS:   return set_headers_shown(c, arg);
    case OPTION_MAX_REDIRS: return set_max_redirs(c, arg);
    case OPTION_RESOLVE:   return set_resolve(c, arg);
    case OPTION_CONNECT_TO: return set_connect_to(c, arg);
    case OPTION_DATA:
        c->data = text_or_file(c, id, arg, &c->data_size);
        return c->data != NULL;
    case OPTION_OK:
        return parse_statuses(slice_of(arg), &c->ok) || option_refuse(id, arg, statuses);
    case OPTION_RETRY_ON:
        return parse_statuses(slice_of(arg), &c->retry_on) || option_refuse(id, arg, statuses);
    default:
        return false;
    }
}

static bool config_set(config *c, option_id id, const char *arg) {
    const option_row *row = &option_rows[id];
    void *field = (char *)c + row->offset;
    c->very_verbose = c->very_verbose || (id == OPTION_VERBOSE && c->verbose);
    c->given[id] = true;
    switch (row->kind) {
    case KIND_SWITCH:
        *(bool *)field = true;
        return true;
    case KIND_TEXT:
        *(const char **)field = arg;
        return true;
    case KIND_CHOICE:
        *(int *)field = parse_choice(row->arg, slice_of(arg));
        return *(int *)field >= 0 ? true : option_refuse(id, arg, row->arg);
    case KIND_COUNT:
    case KIND_SIZE:
        return set_whole(field, id, arg);
    case KIND_NUMBER:
    case KIND_TIME:
    case KIND_RATE:
        return set_real(field, id, arg);
    case KIND_OTHER:
    default:
        return set_other(c, id, arg);
    }
}

static bool say_unknown(slice name) {
    const char *nearest = option_nearest(name);
    int size = (int)(name.size < 200 ? name.size : 200);
    if (nearest != NULL)
        say("unknown option --%.*s; did you mean --%s?", size, name.at, nearest);
    else
        say("unknown option --%.*s; 'sparp --help' lists them all", size, name.at);
    return false;
}

enum { LETTER_FIRST = 256 };     /* getopt values of long options start here */

typedef struct getopt_tables {
    char letters[2 *OPTION_COUNT + 3];
    struct option names[OPTION_COUNT + ALIAS_COUNT + 1];
    int id_of_letter[LETTER_FIRST];
} getopt_tables;

static void getopt_fill(getopt_tables *g) {
    memset(g, 0, sizeof *g);
    size_t used = 0, count = 0;
    g->letters[used++] = '-';    /* arguments are handed out in their place, none is moved */
    g->letters[used++] = ':';    /* a missing argument is told from an unknown option */
    for (int i = 0; i < OPTION_COUNT; i++) {
        const option_row *row = &option_rows[i];
        if (row->letter == 0)
            continue;
        g->id_of_letter[row->letter] = i;
        g->letters[used++] = (char)row->letter;
        if (row->arg != NULL)
            g->letters[used++] = ':';
    }
    option_id id;
    const char *name;
    for (size_t i = 0; (name = option_name(i, &id)) != NULL; i++) {
        if (name[0] == '\0')
            continue;
        struct option *o = &g->names[count++];
        o->name = name;
        o->has_arg = option_rows[id].arg != NULL ? required_argument : no_argument;
        o->val = LETTER_FIRST + (int)id;
    }
}

/* What getopt_long() complained about. */
static bool say_misused(const char *word, int mark) {
    if (word[0] == '-' && word[1] == '-') {
        size_t size = strcspn(word, "=");
        if (mark == ':')
            say("%s needs an argument", word);
        else
            say("%.*s takes no argument", (int)size, word);
    } else if (mark == ':') {
        say("-%c needs an argument", optopt);
    } else {
        const char *ours = NULL;
#define X(letter, words) if (optopt == (letter)) ours = words;
        FOREIGN_LETTERS(X)
#undef X
        if (ours != NULL)
            say("unknown option -%c; here that is %s", optopt, ours);
        else
            say("unknown option -%c; 'sparp --help' lists them all", optopt);
    }
    return false;
}

/* getopt_long() accepts beginnings of names, and a flag added later would change what they mean:
   so the word is looked up before getopt_long() sees it. */
static bool is_whole_name(const char *word) {
    if (strncmp(word, "--", 2) != 0 || word[2] == '\0')
        return true;
    slice name = { word + 2, strcspn(word + 2, "=") };
    return option_exists(name) ? true : say_unknown(name);
}

/* The command line into *c; false after a message. argv has to stay. */
static bool config_parse(config *c, int argc, char **argv) {
    getopt_tables g;
    getopt_fill(&g);
    c->argc = argc;
    c->argv = argv;
    c->sources = (const char **)calloc((size_t)argc + 1, sizeof *c->sources);
    if (c->sources == NULL) {
        say("out of memory");
        return false;
    }
    optind = 0;      /* from the start: not on in a cluster of letters that an error has left */
    opterr = 0;
    for (;;) {
        int next = optind > 0 ? optind : 1;
        if (next >= argc)
            break;
        const char *word = argv[next];
        if (!is_whole_name(word))
            return false;
        int value = getopt_long(argc, argv, g.letters, g.names, NULL);
        if (value == -1)
            break;
        if (value == '?' || value == ':')
            return say_misused(word, value);
        if (value == 1) {
            c->sources[c->num_sources++] = optarg;
            continue;
        }
        int id = value >= LETTER_FIRST ? value - LETTER_FIRST : g.id_of_letter[value];
        if (!config_set(c, (option_id)id, optarg))
            return false;
    }
    for (int i = optind > 0 ? optind : 1; i < argc; i++)
        c->sources[c->num_sources++] = argv[i];
    return true;
}

/* -H 'K:' takes back an earlier -H of that name, a later -H of that name wins over both. What is
   left of the 'K:' goes to the front: every request carries those. */
static void resolve_headers(config *c) {
    sparp_field settled[DEFAULTS_MAX];
    size_t count = 0;
    memset(settled, 0, sizeof settled);
    for (int removed = 1; removed >= 0; removed--) {
        for (size_t i = 0; i < c->num_headers; i++) {
            slice name = slice_of(c->headers[i].name);
            bool stays = (c->headers[i].value == NULL) == (removed == 1);
            for (size_t k = i + 1; stays && k < c->num_headers; k++) {
                bool opposite = (c->headers[k].value == NULL) != (removed == 1);
                stays = !opposite || !same_name(name, slice_of(c->headers[k].name));
            }
            if (stays)
                settled[count++] = c->headers[i];
        }
        if (removed == 1)
            c->num_removed = count;
    }
    memcpy(c->headers, settled, count * sizeof *settled);
    c->num_headers = count;
}

/* What another flag sets, unless -H does. No value: the library's own is not sent. */
static bool add_default_header(config *c, const char *name, const char *value) {
    for (size_t i = 0; i < c->num_headers; i++) {
        if (same_name(slice_of(c->headers[i].name), slice_of(name)))
            return true;
    }
    text line = { NULL, 0, 0, false };
    put_text(&line, name);
    PUT(&line, ": ");
    put_text(&line, value);
    slice whole = { line.at, line.size };
    const char *wrong = line.failed ? "out of memory" : add_header(c, whole);
    if (wrong != NULL)
        say("%s: %s", name, wrong);
    text_free(&line);
    return wrong == NULL;
}

/* Lists that were not given get their defaults, less what the other list claims. */
static bool resolve_lists(config *c) {
    static const char ok[] = "2xx,3xx", retry_on[] = "408,425,429,500,502-504";
    if (!c->given[OPTION_OK])
        (void)parse_statuses(slice_of(ok), &c->ok);
    if (!c->given[OPTION_RETRY_ON])
        (void)parse_statuses(slice_of(retry_on), &c->retry_on);
    for (int i = 0; i < STATUS_END; i++) {
        if (!c->ok.has[i] || !c->retry_on.has[i])
            continue;
        if (c->given[OPTION_OK] && c->given[OPTION_RETRY_ON]) {
            say("status %d is in --ok and in --retry-on", i);
            return false;
        }
        if (c->given[OPTION_OK])
            c->retry_on.has[i] = false;
        else
            c->ok.has[i] = false;
    }
    return true;
}

static bool is_url(const char *arg) {    /* literally so, see the synopsis */
    return strncmp(arg, "http://", 7) == 0 || strncmp(arg, "https://", 8) == 0;
}

/* Files that TLS will need later are worth a look before anything is sent. */
static bool check_readable(const char *flag, const char *path) {
    if (path == NULL || access(path, R_OK) == 0)
        return true;
    say("--%s: cannot read %s: %s", flag, path, strerror(errno));
    return false;
}

/* Their contents, too: what is no use here would fail every request. */
static bool check_tls_files(const config *c) {
    sparp_options o;
    char why[300];
    memset(&o, 0, sizeof o);
    o.tls.ca_file = c->cacert;
    o.tls.pin_sha256 = c->pin;
    o.tls.client_cert_file = c->cert;
    o.tls.client_key_file = c->key;
    o.tls.insecure_no_verify = c->cacert == NULL;   /* not the time for those of the system */
    if (c->cacert == NULL && c->pin == NULL && c->cert == NULL)
        return true;
    text t = { NULL, 0, 0, false };
    put_in_our_words(&t, slice_of(sparp_check_tls(&o, why, sizeof why)));
    bool good = t.size == 0;
    if (!good)
        say("%.*s", (int)t.size, t.at);
    text_free(&t);
    return good;
}

static bool check_tls(const config *c) {
    if ((c->cert != NULL) != (c->key != NULL)) {
        say("--cert and --key belong together");
        return false;
    }
    return check_readable("cacert", c->cacert) && check_readable("cert", c->cert)
        && check_readable("key", c->key) && check_tls_files(c);
}

/* One of our own addresses: another would fail each request, after a long time. */
static bool check_interface(const char *address) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to;
    memset(&to, 0, sizeof to);
    bool v4 = inet_pton(AF_INET, address, &to.v4.sin_addr) == 1;
    bool v6 = !v4 && inet_pton(AF_INET6, address, &to.v6.sin6_addr) == 1;
    to.any.sa_family = v4 ? AF_INET : AF_INET6;
    int fd = v4 || v6 ? socket(to.any.sa_family, SOCK_STREAM, 0) : -1;
    bool ours = fd >= 0 && bind(fd, &to.any, v4 ? sizeof to.v4 : sizeof to.v6) == 0;
    if (!ours)
        say("--interface: %.100s is no address of this machine: %s", address, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return ours;
}

static bool check_net(const config *c) {
    sparp_options to, from;
    memset(&to, 0, sizeof to);
    memset(&from, 0, sizeof from);
    to.unix_socket = c->unix_socket;
    from.local_address = c->local_address;
    from.ip_version = c->ipv4 ? 4 : c->ipv6 ? 6 : 0;
    if (c->compressed && !sparp_has_zlib()) {
        say("--compressed: this sparp was built without zlib, so it cannot decode gzip");
        return false;
    }
    if (c->ipv4 && c->ipv6) {
        say("--ipv4 and --ipv6 exclude each other");
        return false;
    }
    if (c->sensitive != NULL && !is_name_list(slice_of(c->sensitive)))
        return option_refuse(OPTION_SENSITIVE, c->sensitive, "names of headers, ',' between");
    if (c->given[OPTION_MIN_SPEED_TIME] && !c->given[OPTION_MIN_SPEED]) {
        say("--min-speed-time says for how long --min-speed is looked at, give that too");
        return false;
    }
    return library_takes(&to, OPTION_UNIX_SOCKET, c->unix_socket)
        && library_takes(&from, OPTION_INTERFACE, c->local_address)
        && (c->local_address == NULL || check_interface(c->local_address));
}

/* A header of a line of its own would end the line. */
static bool check_user_agent(config *c) {
    if (c->user_agent == NULL)
        return true;
    for (const char *at = c->user_agent; *at != '\0'; at++) {
        if ((unsigned char)*at >= ' ' && *at != 0x7F)
            continue;
        say("--user-agent: a control character is in it");
        return false;
    }
    return add_default_header(c, "User-Agent", c->user_agent);
}

/* A word that stands for nothing would be sent as it is, ten thousand times. */
static bool refuse_word(option_id id, slice word, bool named) {
    char label[48];
    say("%s: {%.*s} means nothing; %s{} is the line, {1} {2} its columns, %s{raw} the line as it "
        "is, {{ a brace", option_label(id, label, sizeof label),
        (int)(word.size < 40 ? word.size : 40), word.at,
        id == OPTION_BODY_NAME ? "{index}, {id} and {name} do; with -T " : "",
        named ? "{name} the one that the first line calls so, " : "");
    return false;
}

/* The words of -T and --body-name, as far as they are known: with --csv not before its first line
   has been read. */
static bool check_strict(option_id id, const char *pattern, const char *more, bool values,
                         const column_names *names, bool later) {
    slice rest = slice_of(pattern), word;
    char label[48];
    bool wrong;
    while (next_placeholder(&rest, NULL, &word, &wrong))
        if (parse_choice(more, word) < 0 && !(values && (later || word_is_known(names, word))))
            return refuse_word(id, word, names != NULL);
    if (wrong)
        say("%s: a { has no }; a brace itself is written {{",
            option_label(id, label, sizeof label));
    return !wrong;
}

static bool check_loose(option_id id, slice pattern, bool is_json, const column_names *names,
                        bool later, bool *any) {
    slice unknown;
    if (count_words(pattern, is_json, names, &unknown) > 0)
        *any = true;
    return later || unknown.at == NULL || refuse_word(id, unknown, names != NULL);
}

/* All templates. Without -T a brace is a brace, but in --body-name. */
static bool check_templates(config *c, const column_names *names, bool later) {
    slice data = { c->data, c->data_size }, body = { c->json, c->json_size };
    if (c->body_name != NULL
        && !check_strict(OPTION_BODY_NAME, c->body_name, "index|id|name", c->template_url != NULL,
                         names, later))
        return false;
    if (c->template_url == NULL)
        return true;
    if (!check_strict(OPTION_TEMPLATE, c->template_url, "raw", true, names, later)
        || (c->data != NULL
            && !check_loose(OPTION_DATA, data, false, names, later, &c->words_in_data))
        || (c->json != NULL
            && !check_loose(OPTION_JSON, body, true, names, later, &c->words_in_json)))
        return false;
    if (c->cost != NULL
        && !check_loose(OPTION_COST, slice_of(c->cost), false, names, later, &c->words_in_cost))
        return false;
    for (size_t i = c->num_removed; i < c->num_headers; i++) {
        slice value = slice_of(c->headers[i].value);
        if (!check_loose(OPTION_HEADER, value, false, names, later, &c->words_in_headers))
            return false;
    }
    return true;
}

/* ... and that they make a difference: each line of a template without {} would be the same. */
static bool check_template(config *c) {
    slice rest = slice_of(c->template_url), word;
    bool wrong, later = c->csv || c->tsv;
    if (!check_templates(c, NULL, later))
        return false;
    if (later || c->words_in_data || c->words_in_json || c->words_in_headers
        || next_placeholder(&rest, NULL, &word, &wrong))
        return true;
    say("--template has no {} in it");
    return false;
}

/* Flags whose arguments are files of records; false after a message. */
static bool check_records(const config *c) {
    const char *flag = c->merge ? "merge" : "summarize";
    if (c->by_id && !c->merge) {
        say("--by-id is about --merge, give that too");
        return false;
    }
    if (!c->merge && !c->summarize)
        return true;
    if (c->merge && (c->summarize || c->dry_run)) {
        say("--merge does not go with --%s", c->summarize ? "summarize" : "dry-run");
        return false;
    }
    if (c->merge && c->num_sources == 0) {
        say("--merge: which files?");
        return false;
    }
    for (size_t i = 0; i < c->num_sources; i++) {
        bool standard = c->merge && strcmp(c->sources[i], "-") == 0;
        if (!standard && !is_url(c->sources[i]))
            continue;
        say("--%s reads files of records, not %s", flag, standard ? "stdin" : c->sources[i]);
        return false;
    }
    return true;
}

/* The share of this process; false after a message. */
static bool check_fleet(config *c) {
    if (!c->given[OPTION_FLEET_RATE])
        return true;
    if (c->shards == 0) {
        say("--fleet-rate is that of all processes of --shard, give that too");
        return false;
    }
    if (c->given[OPTION_MAX_PER_SECOND]) {
        say("--max-per-second and --fleet-rate exclude each other");
        return false;
    }
    c->max_per_second = c->fleet_rate / (double)c->shards;
    return true;
}

/* A report is about what was sent. */
static bool check_report(const config *c) {
    if (c->report == NULL || (!c->merge && !c->dry_run))
        return true;
    say("--report does not go with --%s", c->merge ? "merge: give the files to --summarize"
        : "dry-run: nothing is sent");
    return false;
}

static bool check_view(config *c) {
    bool part = c->only != ONLY_ALL || c->fields != NULL || c->output_format != OUTPUT_JSONL;
    if (c->journal == NULL && (c->retry_failed || c->restart)) {
        say("--%s is about a --journal, give that too", c->restart ? "restart" : "retry-failed");
        return false;
    }
    if (c->journal != NULL && (c->resume != NULL || c->only != ONLY_ALL)) {
        say("--journal does not go with --%s", c->resume != NULL ? "resume" : "only");
        return false;
    }
    if (c->curl && (!c->dry_run || part)) {
        say(c->dry_run ? "--curl prints no records: not with --only, --fields or --output-format"
            : "--curl is about --dry-run, give that too");
        return false;
    }
    if ((c->resume != NULL || c->merge) && part) {
        say("--%s needs whole records: not with --only, --fields or --output-format",
            c->merge ? "merge" : "resume");
        return false;
    }
    if (c->fields != NULL && c->output_format == OUTPUT_OPENAI) {
        say("--output-format openai-batch has fields of its own, --fields does not go with it");
        return false;
    }
    if (c->output_format == OUTPUT_OPENAI && !c->given[OPTION_BODY])
        c->body = BODY_JSON;
    return true;
}

/* One body, one credential: and they become what every request has. */
static bool check_contents(config *c) {
    if (c->data != NULL && c->json != NULL) {
        say("--data and --json are two bodies, give one");
        return false;
    }
    if (c->given[OPTION_USER] && c->given[OPTION_BEARER]) {
        say("--user and --bearer are two credentials, give one");
        return false;
    }
    if (c->num_parts > 0 && (c->data != NULL || c->json != NULL)) {
        say("--form and --%s are two bodies, give one", c->data != NULL ? "data" : "json");
        return false;
    }
    if ((c->authorization != NULL && !add_default_header(c, "Authorization", c->authorization))
        || (c->cookie != NULL && !add_default_header(c, "Cookie", c->cookie))
        || (c->num_parts > 0 && !finish_form(c)))
        return false;
    return true;
}

/* Is there a limit that a cost counts for? */
static bool has_cost_limit(const config *c) {
    bool any = c->given[OPTION_MAX_COST];
    for (size_t i = 0; i < c->num_host_limits; i++)
        any = any || c->host_limits[i].max_cost_per_second > 0;
    return any;
}

/* What one answer may say that it cost: as much as the tightest limit lets through in an hour. A
   server's word shall not hold a run for longer. */
static double cost_most(const config *c) {
    double rate = c->given[OPTION_MAX_COST] ? c->max_cost : COST_MAX;
    for (size_t i = 0; i < c->num_host_limits; i++) {
        double other = c->host_limits[i].max_cost_per_second;
        rate = other > 0 && other < rate ? other : rate;
    }
    return rate * 3600 < COST_MAX ? rate * 3600 : COST_MAX;
}

/* Are costs worth a word in records and summary? */
static bool shows_cost(const config *c) {
    return has_cost_limit(c) || c->cost_from != NULL;
}

/* After the templates. */
static bool check_cost(config *c) {
    if (c->given[OPTION_COST_BURST] && !has_cost_limit(c)) {
        say("--cost-burst says how much --max-cost lets come at once, give that too");
        return false;
    }
    if (c->cost != NULL && !shows_cost(c)) {
        say("--cost is what --max-cost counts, give that too");
        return false;
    }
    if (c->cost_from != NULL && c->body_dir != NULL) {
        say("--cost-from looks into the answers, which --body-dir puts into files");
        return false;
    }
    if (c->cost == NULL || c->words_in_cost)
        return true;
    if (!parse_cost(slice_of(c->cost), &c->cost_default))
        return option_refuse(OPTION_COST, c->cost, "a number like 1 or 0.5, or with -T a {column}");
    c->cost_default = c->cost_default > 0 ? c->cost_default : SPARP_NONE;
    return true;
}

/* What no single flag can know; false after a message. */
static bool config_check(config *c) {
    if (c->given[OPTION_BURST] && !c->given[OPTION_MAX_PER_SECOND]
        && !c->given[OPTION_FLEET_RATE]) {
        say("--burst says how many starts --max-per-second lets come at once, give that too");
        return false;
    }
    if (c->template_url != NULL && c->format == FORMAT_JSONL) {
        say("--template is for plain lines, --format jsonl has none");
        return false;
    }
    if (c->csv && c->tsv) {
        say("--csv and --tsv exclude each other");
        return false;
    }
    if ((c->csv || c->tsv) && c->template_url == NULL) {
        say("--%s: its columns are for --template, give that too", c->csv ? "csv" : "tsv");
        return false;
    }
    if (c->base_url != NULL && !is_url(c->base_url)) {
        say("--base-url does not start with http:// or https://");
        return false;
    }
    if (c->body_dir != NULL && (c->given[OPTION_BODY] || *c->body_dir == '\0')) {
        say(*c->body_dir == '\0' ? "--body-dir: the name is empty"
            : "--body says how a body is written in its record, with --body-dir it is in a file");
        return false;
    }
    if (c->body_dir == NULL && (c->body_name != NULL || c->overwrite)) {
        say("--%s is about the files of --body-dir, give that too",
            c->body_name != NULL ? "body-name" : "overwrite");
        return false;
    }
    if (!check_records(c) || !check_fleet(c) || !check_contents(c) || !check_view(c)
        || !check_report(c))
        return false;
    if (!check_tls(c) || !check_net(c) || !check_user_agent(c))
        return false;
    if (c->method != NULL && !is_token(slice_of(c->method))) {
        say("--method: '%s' is no method", c->method);
        return false;
    }
    if (c->output != NULL && strcmp(c->output, "-") == 0)
        c->output = NULL;
    if (c->json != NULL && !add_default_header(c, "Accept", "application/json"))
        return false;
    resolve_headers(c);
    return resolve_lists(c)
        && (c->template_url != NULL ? check_template(c) : check_templates(c, NULL, false))
        && check_cost(c)
        && (c->json == NULL || c->words_in_json || check_json(c));
}

static const char *env_text(const char *name) {      /* NULL: not set, or empty */
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* What `name`, a flag or a variable, says; its value is not shown, for a password may be in it. */
static bool take_proxy(const char *name, const char *value, const char **out) {
    sparp_options o;
    memset(&o, 0, sizeof o);
    o.proxy = *out = value;
    const char *wrong = sparp_check_options(&o);
    if (wrong[0] != '\0')
        say("%s: %s", name, wrong);
    return wrong[0] == '\0';
}

/* The first of the variables "NAME|NAME|..." that is set. HTTP_PROXY is none of them: in a CGI
   script that is a header of the client. */
static const char *first_variable(const char *names, char *name, size_t size) {
    slice rest = slice_of(names), part;
    const char *value = NULL;
    while (value == NULL && slice_split(&rest, '|', &part)) {
        (void)snprintf(name, size, "%.*s", (int)part.size, part.at);
        value = env_text(name);
    }
    return value;
}

/* What the environment says is taken as it is: whoever needs none of it should not be stopped by
   it. As for curl, a path behind it means nothing. */
static bool take_env_proxy(config *c, const char *names, const char **out, const char **from) {
    char name[32];
    const char *value = first_variable(names, name, sizeof name);
    if (value == NULL)
        return true;
    *from = config_keep(c, name, strlen(name));
    const char *scheme_end = strstr(value, "://");
    const char *host = scheme_end != NULL ? scheme_end + 3 : value;
    *out = config_keep(c, value, (size_t)(host - value) + strcspn(host, "/"));
    return *out != NULL && *from != NULL;
}

/* Who is reached without a proxy. */
static bool take_exceptions(config *c) {
    char name[32];
    sparp_options o;
    c->no_proxy = c->noproxy;
    if (c->no_proxy == NULL)
        c->no_proxy = first_variable("no_proxy|NO_PROXY", name, sizeof name);
    memset(&o, 0, sizeof o);
    o.no_proxy = c->noproxy;
    return c->noproxy == NULL || library_takes(&o, OPTION_NOPROXY, c->noproxy);
}

/* --proxy, else the environment, as curl does it; false after a message. */
static bool config_proxies(config *c) {
    bool none = c->proxy != NULL && (*c->proxy == '\0' || strcmp(c->proxy, "none") == 0);
    if (none || (c->unix_socket != NULL && c->proxy == NULL))
        return true;
    if (c->unix_socket != NULL) {
        say("--unix-socket and --proxy exclude each other");
        return false;
    }
    if (!take_exceptions(c))
        return false;
    if (c->proxy != NULL) {
        bool good = take_proxy("--proxy", c->proxy, &c->http_proxy);
        c->https_proxy = c->http_proxy;
        return good;
    }
    return take_env_proxy(c, "http_proxy|all_proxy|ALL_PROXY", &c->http_proxy,
                          &c->http_proxy_from)
        && take_env_proxy(c, "https_proxy|HTTPS_PROXY|all_proxy|ALL_PROXY", &c->https_proxy,
                          &c->https_proxy_from);
}

/* sparp/look.h - a request and an answer as people may see them: what goes out, by the rules of
   sparp.h, as a record of --dry-run, a command of --curl, the heads of -vv. No secret is shown.
   Uses text, url, config, line, record. */

enum {
    SENT_LINES_MAX = 2 * DEFAULTS_MAX + FIELDS_MAX + 16,
    BODY_SHOWN_MAX = 1000,              /* bytes; a longer body is "<N bytes>" */
    BODY_ASKS_MIN = 1024 * 1024         /* from there on Expect: 100-continue goes ahead */
};

typedef struct sent {            /* a request as it goes out; points into it, and the config */
    const sparp_request *request;
    const char *method;
    text url;                           /* with the parameters, without the fragment */
    slice scheme, user, host, target;   /* of url; user with its '@' */
    bool has_body, sized;               /* sized: it has a Content-Length */
    const void *body;                   /* NULL: it is read later */
    uint64_t body_size;
    char length[24], shown_host[300];
    sparp_field lines[SENT_LINES_MAX];
    size_t count;
} sent;

static void sent_free(sent *s) {
    text_free(&s->url);
    free(s);
}

/* What the library encodes where it should have been encoded. A blank it refuses. */
static void put_url_bytes(text *t, slice s) {
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c >= 127 || (c > ' ' && strchr("\"<>\\^`{|}", c) != NULL))
            put_code(t, s.at[i]);
        else
            put_char(t, s.at[i]);
    }
}

static void sent_add_query(text *url, slice target, const sparp_request *r) {
    const char *before = find_any(target, "?") == target.size ? "?" : "&";
    if (before[0] == '&' && strchr("?&", target.at[target.size - 1]) != NULL)
        before = "";
    for (size_t i = 0; i < r->num_query; i++, before = "&") {
        put_text(url, before);
        put_percent(url, slice_of(r->query[i].name));
        put_char(url, '=');
        put_percent(url, slice_of(r->query[i].value));
    }
}

static void sent_set_url(sent *s, const sparp_request *r) {
    slice given = { r->url, strcspn(r->url, "#") };     /* a fragment is not sent */
    size_t scheme = starts_with(given, "https") ? 8 : 7;
    if (given.size < scheme)
        scheme = given.size;
    slice rest = slice_from(given, scheme);
    size_t end = find_any(rest, "/?"), user = end;
    while (user > 0 && rest.at[user - 1] != '@')
        user--;
    put_bytes(&s->url, given.at, scheme + end);
    if (end == rest.size || rest.at[end] != '/')
        put_char(&s->url, '/');
    put_url_bytes(&s->url, slice_from(rest, end));
    sent_add_query(&s->url, given, r);
    if (s->url.failed)
        return;
    slice whole = { s->url.at, s->url.size };
    s->scheme = whole;
    s->scheme.size = scheme;
    s->user = slice_from(whole, scheme);
    s->user.size = user;
    s->host = slice_from(whole, scheme + user);
    s->host.size = end - user;
    s->target = slice_from(whole, scheme + end);
}

static void sent_set_body(sent *s, const sparp_request *r) {
    s->has_body = r->json != NULL || r->body != NULL || r->read_body != NULL;
    s->body = r->json != NULL ? r->json : r->body;
    s->body_size = r->json != NULL ? strlen(r->json) : r->body_size;
    if (s->body == NULL && r->read_body == NULL)
        s->body_size = 0;
}

static void sent_set_method(sent *s, const sparp_request *r) {
    static const char *const raised[] = { "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS" };
    s->method = r->method != NULL ? r->method : s->has_body ? "POST" : "GET";
    for (size_t i = 0; i < sizeof raised / sizeof *raised; i++)
        if (same_name(slice_of(s->method), slice_of(raised[i])))
            s->method = raised[i];
    s->sized = s->body_size > 0 || strcmp(s->method, "POST") == 0
        || strcmp(s->method, "PUT") == 0 || strcmp(s->method, "PATCH") == 0;
}

static const sparp_field *fields_find(const sparp_field *list, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (same_name(slice_of(list[i].name), slice_of(name)))
            return &list[i];
    return NULL;
}

/* The line of that name that the user has given, or switched off; NULL: none. */
static const sparp_field *sent_own(const config *c, const sparp_request *r, const char *name) {
    const sparp_field *own = fields_find(r->headers, r->num_headers, name);
    return own != NULL ? own
        : fields_find(c->headers + c->num_removed, c->num_headers - c->num_removed, name);
}

static void sent_add(sent *s, const char *name, const char *value) {
    sparp_field line = { name, value };
    if (s->count < SENT_LINES_MAX)
        s->lines[s->count++] = line;
}

static void sent_add_default(sent *s, const config *c, const char *name, const char *value) {
    if (sent_own(c, s->request, name) == NULL)
        sent_add(s, name, value);
}

static void sent_add_fields(sent *s, const sparp_field *list, size_t count,
                            const sparp_field *above, size_t num_above) {
    for (size_t i = 0; i < count; i++) {
        slice name = slice_of(list[i].name);
        if (list[i].value != NULL && !same_name(name, slice_of("host"))
            && !same_name(name, slice_of("content-length"))
            && fields_find(above, num_above, list[i].name) == NULL)
            sent_add(s, list[i].name, list[i].value);
    }
}

/* The host as written, without the port that the scheme has anyway. */
static const char *sent_host(sent *s) {
    slice host = s->host, port = slice_of(s->scheme.size == 8 ? ":443" : ":80");
    if (host.size > port.size
        && memcmp(host.at + host.size - port.size, port.at, port.size) == 0)
        host.size -= port.size;
    (void)snprintf(s->shown_host, sizeof s->shown_host, "%.*s", (int)host.size, host.at);
    return s->shown_host;
}

static void sent_add_lines(sent *s, const config *c) {
    const sparp_request *r = s->request;
    const sparp_field *host = sent_own(c, r, "Host");
    sent_add(s, "Host", host != NULL && host->value != NULL ? host->value : sent_host(s));
    sent_add_default(s, c, "User-Agent", "sparp/" SPARP_VERSION_STRING);
    sent_add_default(s, c, "Accept", "*/*");
    if (c->compressed)
        sent_add_default(s, c, "Accept-Encoding", "gzip, deflate");
    if (r->json != NULL)
        sent_add_default(s, c, "Content-Type", "application/json");
    if (s->user.size > 0)
        sent_add_default(s, c, "Authorization", "***");
    if (s->body_size >= BODY_ASKS_MIN)
        sent_add_default(s, c, "Expect", "100-continue");
    sent_add_fields(s, c->headers + c->num_removed, c->num_headers - c->num_removed, r->headers,
                    r->num_headers);
    sent_add_fields(s, r->headers, r->num_headers, NULL, 0);
    (void)snprintf(s->length, sizeof s->length, "%llu", (unsigned long long)s->body_size);
    if (s->sized)
        sent_add(s, "Content-Length", s->length);
}

/* NULL: out of memory. */
static sent *sent_new(const config *c, const sparp_request *r) {
    sent *s = (sent *)calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->request = r;
    sent_set_body(s, r);
    sent_set_method(s, r);
    sent_set_url(s, r);
    if (s->url.failed) {
        sent_free(s);
        return NULL;
    }
    sent_add_lines(s, c);
    return s;
}

/* --- secrets ---------------------------------------------------------------------------------- */

/* Is the value of that line nobody's business? */
static bool is_secret(const config *c, slice name) {
    static const char *const names[] = { "authorization", "proxy-authorization", "cookie",
                                         "set-cookie" };
    slice rest = slice_of(c->sensitive != NULL ? c->sensitive : ""), part;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (same_name(name, slice_of(names[i])))
            return true;
    while (slice_split(&rest, ',', &part))
        if (same_name(trimmed(part), name))
            return true;
    return false;
}

static slice shown_value(const config *c, const sparp_field *line) {
    return is_secret(c, slice_of(line->name)) ? slice_of("***") : trimmed(slice_of(line->value));
}

/* --- a record of --dry-run -------------------------------------------------------------------- */

static void put_sent_headers(text *t, const record_style *style, const config *c, const sent *s) {
    const char *before = ",\"headers\":{";
    for (size_t i = 0; i < s->count; i++) {
        slice name = slice_of(s->lines[i].name);
        if (fields_find(s->lines, i, s->lines[i].name) != NULL)
            continue;                   /* it stands with the first of its name */
        put_text(t, before);
        before = ",";
        put_string(t, name, style->ascii);
        PUT(t, ":[");
        for (size_t k = i; k < s->count; k++) {
            if (!same_name(name, slice_of(s->lines[k].name)))
                continue;
            if (k > i)
                put_char(t, ',');
            put_string(t, shown_value(c, &s->lines[k]), style->ascii);
        }
        put_char(t, ']');
    }
    put_char(t, '}');
}

/* Control characters, or bytes that are no UTF-8: not to be shown as text. */
static bool is_plain_text(slice s, const char *but) {
    for (size_t i = 0; i < s.size; i++)
        if (((unsigned char)s.at[i] < ' ' && (s.at[i] == '\0' || strchr(but, s.at[i]) == NULL))
            || s.at[i] == 127)
            return false;
    return utf8_good_prefix(s) == s.size;
}

static void put_sent_body(text *t, const record_style *style, const ticket *k, const sent *s) {
    slice whole = { (const char *)s->body, (size_t)s->body_size };
    PUT(t, ",\"body\":");
    if (k->failure_size > 0)
        put_string(t, ticket_failure(k), style->ascii);
    else if (s->body != NULL && whole.size <= BODY_SHOWN_MAX && is_plain_text(whole, "\t\r\n"))
        put_string(t, whole, style->ascii);
    else
        put_format(t, "\"<%llu byte%s>\"", (unsigned long long)s->body_size,
                   s->body_size == 1 ? "" : "s");
}

/* --dry-run: what would be sent. */
static void put_dry_record(text *t, const record_style *style, const config *c, const ticket *k,
                           const sent *s) {
    slice url = { s->url.at, s->url.size };
    put_index_and_id(t, style, k);
    PUT(t, ",\"outcome\":\"not_started\",\"status\":null,\"attempts\":0,\"method\":");
    put_string(t, slice_of(s->method), style->ascii);
    if (style->cost) {
        double cost = s->request->cost;
        PUT(t, ",\"cost\":");
        put_number(t, cost > 0 ? cost : cost < 0 ? 0 : 1);
    }
    PUT(t, ",\"url\":");
    put_masked_url(t, url, style->ascii);
    put_sent_headers(t, style, c, s);
    put_meta_and_echo(t, style, k);
    if (s->has_body)
        put_sent_body(t, style, k, s);
    PUT(t, "}\n");
}

/* --- a command of --curl ---------------------------------------------------------------------- */

/* Within single quotes nothing has a meaning but their end. */
static void put_shell_bytes(text *t, slice s) {
    for (size_t i = 0; i < s.size; i++) {
        if (s.at[i] == '\'')
            PUT(t, "'\\''");
        else
            put_char(t, s.at[i]);
    }
}

static void put_shell(text *t, slice s) {
    put_char(t, '\'');
    put_shell_bytes(t, s);
    put_char(t, '\'');
}

static void put_flag(text *t, const char *flag, slice value) {
    put_format(t, " %s ", flag);
    put_shell(t, value);
}

/* printf 'FORMAT', which prints any bytes and is one line. */
static void put_printf(text *t, slice s) {
    PUT(t, "printf '");
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.at[i];
        slice one = { s.at + i, 1 };
        if (c < ' ' || c >= 127 || (i == 0 && c == '-'))     /* - would begin an option */
            put_format(t, "\\%03o", (unsigned)c);
        else if (c == '%' || c == '\\')
            put_format(t, "%c%c", c, c);
        else
            put_shell_bytes(t, one);
    }
    PUT(t, "'");
}

/* The parts of a form, one after the other. */
static void put_form_printers(text *t, const config *c) {
    PUT(t, "{ ");
    for (size_t i = 0; i <= c->num_parts; i++) {
        const form_part *part = &c->parts[i];
        slice head = { part->head, (size_t)part->head_size };
        slice value = { part->value, (size_t)part->size };
        put_printf(t, head);
        PUT(t, "; ");
        if (i == c->num_parts || part->size == 0)
            continue;
        if (part->path != NULL) {
            PUT(t, "cat <");
            put_shell(t, slice_of(part->path));
        } else {
            put_printf(t, value);
        }
        PUT(t, "; ");
    }
    PUT(t, "} | ");
}

/* Does the body stand in the command, or come through a pipe? */
static bool fits_argument(const sent *s) {
    slice whole = { (const char *)s->body, (size_t)s->body_size };
    return s->body != NULL && whole.size <= 100000 && is_plain_text(whole, "\t");
}

static void put_curl_route(text *t, const config *c) {
    const struct { const char *flag, *value; } flags[] = {
        { "--noproxy", c->proxy != NULL && strcmp(c->proxy, "none") == 0 ? "*" : c->noproxy },
        { "--unix-socket", c->unix_socket }, { "--interface", c->local_address },
        { "--cacert", c->cacert }, { "--cert", c->cert }, { "--key", c->key }
    };
    const struct { const char *flag, *list; } lists[] = {
        { "--resolve", c->resolve }, { "--connect-to", c->connect_to }
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (flags[i].value != NULL)
            put_flag(t, flags[i].flag, slice_of(flags[i].value));
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        slice rest = slice_of(lists[i].list != NULL ? lists[i].list : ""), one;
        while (rest.size > 0 && slice_split(&rest, ',', &one))
            put_flag(t, lists[i].flag, one);
    }
    if (c->proxy != NULL && strcmp(c->proxy, "none") != 0) {
        text masked = { NULL, 0, 0, false };
        put_masked(&masked, slice_of(c->proxy));
        slice shown = { masked.at, masked.size };
        put_flag(t, "-x", shown);
        text_free(&masked);
    }
    put_text(t, c->insecure ? " -k" : "");
    put_text(t, c->ipv4 ? " -4" : c->ipv6 ? " -6" : "");
    put_text(t, c->compressed ? " --compressed" : "");
}

/* A line that curl would make itself is none of ours, and one that we do not send is switched
   off. */
static void put_curl_headers(text *t, const config *c, const sent *s) {
    static const char *const of_curl[] = { "User-Agent", "Accept", "Content-Type", "Expect" };
    size_t asked = s->body_size >= BODY_ASKS_MIN ? 4 : s->has_body || s->sized ? 3 : 2;
    bool host = sent_own(c, s->request, "Host") != NULL;
    for (size_t i = 0; i < s->count; i++) {
        const sparp_field *line = &s->lines[i];
        if ((i == 0 && !host) || strcmp(line->name, "Content-Length") == 0
            || (s->user.size > 0 && strcmp(line->name, "Authorization") == 0
                && sent_own(c, s->request, "Authorization") == NULL))
            continue;
        slice value = shown_value(c, line);
        PUT(t, " -H '");
        put_shell_bytes(t, slice_of(line->name));
        put_text(t, value.size > 0 ? ": " : ";");       /* curl's word for an empty value */
        put_shell_bytes(t, value);
        PUT(t, "'");
    }
    for (size_t i = 0; i < asked; i++)
        if (fields_find(s->lines, s->count, of_curl[i]) == NULL)
            put_format(t, " -H '%s:'", of_curl[i]);
}

/* What stands in front of curl, when its body comes through a pipe. */
static void put_curl_source(text *t, const config *c, const ticket *k, const sent *s) {
    slice whole = { (const char *)s->body, (size_t)s->body_size };
    if (k->path_size > 0 || !s->has_body)
        return;
    if (s->body == NULL) {
        put_form_printers(t, c);
    } else if (!fits_argument(s)) {
        put_printf(t, whole);
        PUT(t, " | ");
    }
}

static void put_curl_body(text *t, const ticket *k, const sent *s) {
    slice whole = { (const char *)s->body, (size_t)s->body_size };
    if (k->path_size > 0) {
        PUT(t, " --data-binary '@");
        put_shell_bytes(t, slice_of(ticket_path(k)));
        PUT(t, "'");
    } else if (s->has_body && !fits_argument(s)) {
        PUT(t, " --data-binary @-");
    } else if (s->has_body || s->sized) {
        put_flag(t, "--data-raw", whole);
    }
}

/* --curl: the command that sends the same request once; a comment if there is none. */
static void put_curl(text *t, const config *c, const ticket *k, const sent *s) {
    bool body = s->has_body || s->sized;
    text masked = { NULL, 0, 0, false };
    slice url = { s->url.at, s->url.size };
    if (k->failure_size > 0) {
        PUT(t, "# ");
        put_slice(t, ticket_failure(k));
        put_char(t, '\n');
        return;
    }
    put_masked(&masked, url);
    slice shown = { masked.at, masked.size };
    put_curl_source(t, c, k, s);
    put_text(t, s->scheme.size == 8 ? "curl --http1.1" : "curl");
    if (!body && strcmp(s->method, "HEAD") == 0)
        PUT(t, " -I");
    else if (strcmp(s->method, body ? "POST" : "GET") != 0)
        put_flag(t, "-X", slice_of(s->method));
    put_curl_route(t, c);
    put_curl_headers(t, c, s);
    put_curl_body(t, k, s);
    if (find_any(url, "[]{}") < url.size)
        PUT(t, " -g");
    if (strstr(s->request->url, "/.") != NULL)
        PUT(t, " --path-as-is");
    put_char(t, ' ');
    put_shell(t, shown);
    put_char(t, '\n');
    if (masked.failed)
        t->failed = true;
    text_free(&masked);
}

/* --- the heads of -vv ------------------------------------------------------------------------- */

/* What a terminal would obey is shown as a question mark. */
static void put_head_line(text *t, char mark, uint64_t index, slice name, slice value) {
    put_format(t, "%c %llu ", mark, (unsigned long long)index);
    put_slice(t, name);
    put_text(t, name.size > 0 ? ": " : "");
    size_t from = t->size;
    if (starts_with(value, "//") || starts_with(value, "http://")
        || starts_with(value, "https://"))
        put_masked(t, value);
    else
        put_slice(t, value);
    for (size_t i = from; !t->failed && i < t->size; i++)
        if ((unsigned char)t->at[i] < ' ' || t->at[i] == 127)
            t->at[i] = '?';
    put_char(t, '\n');
}

static void say_sent_head(const config *c, uint64_t index, const sent *s) {
    text t = { NULL, 0, 0, false }, start = { NULL, 0, 0, false };
    slice none = { NULL, 0 };
    put_format(&start, "%.100s ", s->method);
    put_slice(&start, s->target);
    PUT(&start, " HTTP/1.1");
    slice first = { start.at, start.size };
    put_head_line(&t, '>', index, none, first);
    for (size_t i = 0; i < s->count; i++)
        put_head_line(&t, '>', index, slice_of(s->lines[i].name), shown_value(c, &s->lines[i]));
    if (!t.failed && !start.failed)
        say_text(&t);
    text_free(&start);
    text_free(&t);
}

static void say_answer_head(const config *c, uint64_t index, const sparp_result *r) {
    text t = { NULL, 0, 0, false };
    char status[24];
    slice none = { NULL, 0 };
    if (r->status == 0)
        return;
    (void)snprintf(status, sizeof status, "HTTP/1.1 %d", r->status);
    put_head_line(&t, '<', index, none, slice_of(status));
    for (size_t i = 0; i < r->num_headers; i++)
        put_head_line(&t, '<', index, slice_of(r->headers[i].name),
                      shown_value(c, &r->headers[i]));
    if (!t.failed)
        say_text(&t);
    text_free(&t);
}

/* sparp/command.h - the command line as others may see it: no credential, no header, no body, no
   parameter of a URL. Uses text, options, config, look, report. */

enum { COMMAND_SHOWN_MAX = 4000 };       /* bytes */

static const char hidden[] = "***";

/* "{}", "{name}": it stands for what the lines have. */
static bool is_placeholder(slice s) {
    return s.size >= 2 && s.at[0] == '{' && s.at[s.size - 1] == '}';
}

/* "a=***&b={}" of what stands behind the ? */
static void put_hidden_query(text *t, slice query) {
    slice value, name;
    const char *before = "?";
    while (slice_split(&query, '&', &value)) {
        put_text(t, before);
        before = "&";
        (void)slice_split(&value, '=', &name);
        if (value.at != NULL) {
            put_slice(t, name);
            put_char(t, '=');
        } else {
            value = name;
        }
        put_slice(t, is_placeholder(value) ? value : slice_of(hidden));
    }
}

static void put_hidden_url(text *t, slice url) {
    slice authority = url_authority(url), host = url_host(url);
    put_bytes(t, url.at, (size_t)(authority.at - url.at));
    if (host.size < authority.size) {
        put_text(t, hidden);
        put_char(t, '@');
    }
    slice rest = { host.at, (size_t)(url.at + url.size - host.at) };
    slice path = rest;
    path.size = find_any(rest, "?#");
    put_slice(t, path);
    rest = slice_from(rest, path.size);
    rest.size = find_any(rest, "#");
    if (rest.size > 0)
        put_hidden_query(t, slice_from(rest, 1));
}

/* Up to and including the first `end`, and stars for the rest. */
static void put_hidden_after(text *t, slice s, char end, const char *space) {
    slice value = s, name;
    (void)slice_split(&value, end, &name);
    if (value.at == NULL) {
        put_text(t, hidden);
        return;
    }
    put_slice(t, name);
    put_char(t, end);
    value = trimmed(value);
    if (value.size > 0 && value.at[0] == '@') {
        put_slice(t, value);            /* the file of a form */
    } else if (value.size > 0) {
        put_text(t, space);
        put_text(t, hidden);
    }
}

static void put_hidden_value(text *t, option_id id, slice value) {
    bool file = value.size > 0 && value.at[0] == '@';
    switch (id) {
    case OPTION_HEADER:
        if (file)
            put_slice(t, value);
        else
            put_hidden_after(t, value, ':', " ");
        break;
    case OPTION_USER:
    case OPTION_COOKIE:
    case OPTION_DATA:
    case OPTION_JSON:
        put_slice(t, file ? value : slice_of(hidden));
        break;
    case OPTION_FORM:
        put_hidden_after(t, value, '=', "");
        break;
    case OPTION_URL_QUERY:
        value.size = find_any(value, "=");
        put_slice(t, value);
        put_char(t, '=');
        put_text(t, hidden);
        break;
    case OPTION_BASE_URL:
    case OPTION_TEMPLATE:
    case OPTION_PROXY:
        put_hidden_url(t, value);
        break;
    default:
        put_slice(t, value);
        break;
    }
}

/* In quotes if a shell would make something else of it. */
static void put_word(text *t, slice word) {
    bool plain = word.size > 0;
    for (size_t i = 0; plain && i < word.size; i++)
        plain = is_unreserved(word.at[i]) || strchr("/:=,@%+", word.at[i]) != NULL;
    put_char(t, ' ');
    if (plain)
        put_slice(t, word);
    else
        put_shell(t, word);
}

static void put_command_option(text *t, option_id id, bool by_letter, const char *arg) {
    text shown = { NULL, 0, 0, false };
    const option_row *option = &option_rows[id];
    if (by_letter)
        put_format(t, " -%c", option->letter);
    else
        put_format(t, " --%s", option->name);
    if (option->arg == NULL)
        return;
    put_hidden_value(&shown, id, slice_of(arg));
    slice s = { shown.at, shown.size };
    put_word(t, s);
    text_free(&shown);
}

static void put_command_source(text *t, const char *arg) {
    text shown = { NULL, 0, 0, false };
    if (is_url(arg))
        put_hidden_url(&shown, slice_of(arg));
    else
        put_text(&shown, arg);
    slice s = { shown.at, shown.size };
    put_word(t, s);
    text_free(&shown);
}

/* config_parse() has been content with it. */
static void put_command(text *t, const config *c) {
    getopt_tables g;
    size_t start = t->size;
    getopt_fill(&g);
    PUT(t, "sparp");
    optind = 0;
    for (int value; (value = getopt_long(c->argc, c->argv, g.letters, g.names, NULL)) != -1; ) {
        if (value == 1)
            put_command_source(t, optarg);
        else if (value >= LETTER_FIRST)
            put_command_option(t, (option_id)(value - LETTER_FIRST), false, optarg);
        else
            put_command_option(t, (option_id)g.id_of_letter[value], true, optarg);
    }
    if (optind < c->argc)
        PUT(t, " --");
    for (int i = optind; i < c->argc; i++)
        put_command_source(t, c->argv[i]);
    if (t->size - start > COMMAND_SHOWN_MAX) {
        t->size = start + COMMAND_SHOWN_MAX;
        PUT(t, " ...");
    }
}

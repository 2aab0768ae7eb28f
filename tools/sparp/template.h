/* sparp/template.h - values of a line in the place of {...}: in URLs, bodies, headers, names of
   files. Pure. Uses text, values, json, url. */

enum { COLUMNS_MAX = 1000, WORD_MAX = 64 };

typedef struct column_names {    /* of the first line of --csv or --tsv; {0}: none */
    text kept;
    slice names[COLUMNS_MAX];
    size_t count;
} column_names;

typedef struct row_values {      /* of one line */
    slice line;
    slice cells[COLUMNS_MAX];
    size_t count;
    text unquoted;                      /* cells that had quotes; room is made before */
} row_values;

/* The number of a TAB column: 1 to 9999. */
static bool parse_column(slice name, int64_t *n) {
    return name.size < 5 && parse_count(name, n) && *n > 0;
}

/* A cell of RFC 4180 that begins with a quote, taken off *rest with the mark behind it. */
static const char *take_quoted(text *t, slice *rest, char mark, slice *cell) {
    size_t i = 1;
    cell->at = t->at + t->size;
    for (;; i++) {
        const char *quote = (const char *)memchr(rest->at + i, '"', rest->size - i);
        if (quote == NULL)
            return "a quote is not closed";
        put_bytes(t, rest->at + i, (size_t)(quote - rest->at) - i);
        i = (size_t)(quote - rest->at) + 1;
        if (i == rest->size || rest->at[i] != '"')
            break;
        put_char(t, '"');
    }
    cell->size = (size_t)(t->at + t->size - cell->at);
    if (i < rest->size && rest->at[i] != mark)
        return "text behind the closing quote of a cell";
    if (i == rest->size)
        rest->at = NULL;
    else
        *rest = slice_from(*rest, i + 1);
    return NULL;
}

/* NULL, or what is wrong with the line. */
static const char *split_row(row_values *r, slice line, char mark, bool quotes) {
    slice rest = line;
    const char *wrong = NULL;
    r->line = line;
    r->count = r->unquoted.size = 0;
    if (!text_reserve(&r->unquoted, line.size + 1))
        return NULL;                    /* see parser_failed() */
    while (rest.at != NULL && wrong == NULL) {
        if (r->count == COLUMNS_MAX)
            return "more than 1000 columns";
        slice *cell = &r->cells[r->count++];
        if (quotes && rest.size > 0 && rest.at[0] == '"')
            wrong = take_quoted(&r->unquoted, &rest, mark, cell);
        else
            (void)slice_split(&rest, mark, cell);
    }
    return wrong;
}

/* The names of the columns, which stay when the line goes. */
static const char *columns_take(column_names *c, row_values *r, slice line, char mark,
                                bool quotes) {
    const char *wrong = split_row(r, line, mark, quotes);
    c->kept.size = c->count = 0;
    if (wrong != NULL || !text_reserve(&c->kept, line.size + 1))
        return wrong;
    for (size_t i = 0; i < r->count; i++) {
        slice name = { c->kept.at + c->kept.size, trimmed(r->cells[i]).size };
        put_slice(&c->kept, trimmed(r->cells[i]));
        for (size_t k = 0; k < i; k++)
            if (name.size > 0 && name.size == c->names[k].size
                && memcmp(name.at, c->names[k].at, name.size) == 0)
                return "two columns have the same name";
        c->names[c->count++] = name;
    }
    return NULL;
}

/* The position of a column: a number from 1, or a name; -1: it is neither. */
static int64_t column_find(const column_names *c, slice word) {
    int64_t n;
    if (parse_column(word, &n))
        return n - 1;
    for (size_t i = 0; c != NULL && i < c->count; i++)
        if (word.size > 0 && word.size == c->names[i].size
            && memcmp(word.at, c->names[i].at, word.size) == 0)
            return (int64_t)i;
    return -1;
}

static bool is_whole_line(slice word) {
    return word.size == 0 || slice_is(word, "raw");
}

static bool word_is_known(const column_names *c, slice word) {
    return is_whole_line(word) || column_find(c, word) >= 0;
}

static const char *value_find(const row_values *r, const column_names *c, slice word,
                              slice *value) {
    *value = r->line;
    if (is_whole_line(word))
        return NULL;
    int64_t n = column_find(c, word);
    if (n < 0)
        return "no column has a name of the template";
    if ((size_t)n >= r->count)
        return "fewer columns than in the template";
    *value = r->cells[n];
    return NULL;
}

/* The next "{name}" of a template into *name; what stands before it, with {{ as a brace, into *t,
   if there is one. false: there is none left, or `*wrong` is true: a { has no }. */
static bool next_placeholder(slice *rest, text *t, slice *name, bool *wrong) {
    const char *open;
    *wrong = false;
    while ((open = (const char *)memchr(rest->at, '{', rest->size)) != NULL) {
        slice before = { rest->at, (size_t)(open - rest->at) };
        bool brace = before.size + 1 < rest->size && open[1] == '{';
        before.size += brace;
        if (t != NULL)
            put_slice(t, before);
        *rest = slice_from(*rest, before.size + 1);
        if (brace)
            continue;
        (void)slice_split(rest, '}', name);
        *wrong = rest->at == NULL;
        return !*wrong;
    }
    if (t != NULL)
        put_slice(t, *rest);
    rest->size = 0;
    return false;
}

/* --- where a { may be one: in a body, or the value of a header -------------------------------- */

typedef struct loose {           /* on its way through such a template */
    slice rest;
    bool is_json, in_string;            /* JSON: quotes and braces of its own */
} loose;

static loose loose_of(slice pattern, bool is_json) {
    loose l = { pattern, is_json, false };
    return l;
}

/* What stands between the brace that *rest begins with and the next one, if it could be a word. */
static bool loose_word(const loose *l, slice *word) {
    size_t i = 1;
    while (i < l->rest.size && i <= WORD_MAX && strchr("{}\"\\:,\r\n", l->rest.at[i]) == NULL)
        i++;
    word->at = l->rest.at + 1;
    word->size = i - 1;
    bool closed = i < l->rest.size && l->rest.at[i] == '}';
    return closed && (!l->is_json || l->in_string || trimmed(*word).size > 0);
}

/* The next word; what stands before it into *t, if there is one. In JSON {} is an object, but in a
   string it is the line. */
static bool loose_next(loose *l, text *t, slice *word) {
    for (; l->rest.size > 0; l->rest = slice_from(l->rest, 1)) {
        char c = l->rest.at[0];
        bool text_here = !l->is_json || l->in_string;
        if (l->is_json && c == '"')
            l->in_string = !l->in_string;
        if (c == '{' && text_here && l->rest.size > 1 && l->rest.at[1] == '{') {
            l->rest = slice_from(l->rest, 1);
        } else if (c == '{' && loose_word(l, word)) {
            l->rest = slice_from(l->rest, word->size + 2);
            return true;
        } else if (c == '\\' && l->in_string && l->rest.size > 1) {
            if (t != NULL)
                put_char(t, c);
            l->rest = slice_from(l->rest, 1);
        }
        if (t != NULL)
            put_char(t, l->rest.at[0]);
    }
    return false;
}

/* The template filled in; NULL, or what is wrong. In a string of JSON a value is escaped. */
static const char *fill_loose(text *t, slice pattern, bool is_json, const row_values *r,
                              const column_names *c) {
    loose l = loose_of(pattern, is_json);
    slice word, value;
    while (loose_next(&l, t, &word)) {
        const char *wrong = value_find(r, c, word, &value);
        if (wrong != NULL)
            return wrong;
        if (l.in_string)
            put_escaped(t, value, false);
        else
            put_slice(t, value);
    }
    return NULL;
}

/* How many words it has; *unknown is one that stands for nothing, else its `at` is NULL. */
static size_t count_words(slice pattern, bool is_json, const column_names *c, slice *unknown) {
    loose l = loose_of(pattern, is_json);
    size_t count = 0;
    slice word;
    unknown->at = NULL;
    for (; loose_next(&l, NULL, &word); count++)
        if (!word_is_known(c, word))
            *unknown = word;
    return count;
}

/* --- where each { is one: in a URL ------------------------------------------------------------ */

/* The template filled in; NULL, or what is wrong. */
static const char *fill_url(text *t, slice pattern, const row_values *r, const column_names *c) {
    slice word, value;
    bool wrong;
    while (next_placeholder(&pattern, t, &word, &wrong)) {
        const char *why = value_find(r, c, word, &value);
        if (why != NULL)
            return why;
        if (slice_is(word, "raw"))
            put_slice(t, value);
        else
            put_percent(t, value);
    }
    return NULL;
}

/* sparp/terminal.h - what stderr can show. Uses text, values. */

static size_t terminal_columns(void) {
    struct winsize window;
    const char *env = getenv("COLUMNS");
    int64_t columns;
    if (env != NULL && parse_count(slice_of(env), &columns) && columns > 0 && columns < 10000)
        return (size_t)columns;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
        return window.ws_col;
    return 80;
}

/* As the names of locales say it: "de_DE.UTF-8", "C.utf8". */
static bool terminal_takes_utf8(void) {
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
    const char *value = NULL;
    for (size_t i = 0; i < 3 && (value == NULL || *value == '\0'); i++)
        value = getenv(names[i]);
    const char *dot = value != NULL ? strchr(value, '.') : NULL;
    return dot != NULL && (strncasecmp(dot, ".UTF-8", 6) == 0 || strncasecmp(dot, ".UTF8", 5) == 0);
}

static bool terminal_is_dumb(void) {
    const char *term = getenv("TERM");
    return term == NULL || strcmp(term, "dumb") == 0;
}

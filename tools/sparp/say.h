/* sparp/say.h - messages on stderr, whole writes, clocks, dates. Uses text. */

/* Writes all of it to a descriptor. What has to be known on failure is in errno and *written. */
static bool write_all(int fd, const char *at, size_t size, size_t *written) {
    *written = 0;
    while (*written < size) {
        ssize_t n = write(fd, at + *written, size - *written);
        if (n > 0) {
            *written += (size_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            /* somebody else made the descriptor non-blocking: it is shared, so it stays so */
            struct pollfd wait = { fd, POLLOUT, 0 };
            (void)poll(&wait, 1, -1);
        } else if (n == 0 || errno != EINTR) {
            if (n == 0)
                errno = EIO;
            return false;
        }
    }
    return true;
}

static bool bar_is_drawn;        /* the last thing on the terminal is the progress bar */

static void clear_bar(void) {
    static const char clear[] = "\r\033[K";
    size_t written;
    if (bar_is_drawn)
        (void)write_all(STDERR_FILENO, clear, sizeof clear - 1, &written);
    bar_is_drawn = false;
}

/* Everything the command has to say goes to stderr in one write, over the bar if there is one. */
static void say_text(const text *t) {
    size_t written;
    clear_bar();
    if (t->size > 0)
        (void)write_all(STDERR_FILENO, t->at, t->size, &written);
}

PRINTF_LIKE(1, 2)
static void say(const char *format, ...) {
    char line[2048] = "sparp: ";
    size_t head = strlen(line);
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line + head, sizeof line - head - 1, format, args);
    va_end(args);
    size_t end = size < 0 ? head : head + (size_t)size;
    if (end > sizeof line - 2)
        end = sizeof line - 2;
    line[end] = '\n';
    text t = { line, end + 1, sizeof line, false };
    say_text(&t);
}

static int64_t monotonic_us(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        return 0;
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t wall_ms(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return 0;
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* "2026-11-20T12:04:44Z" */
static void put_utc(text *t, int64_t unix_ms) {
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL)
        memset(&utc, 0, sizeof utc);
    put_format(t, "%d-%02d-%02dT%02d:%02d:%02dZ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
               utc.tm_hour, utc.tm_min, utc.tm_sec);
}

/* sparp/signals.h - flags set by handlers; the one place for globals. Uses nothing. */

/* Handlers have no argument to carry a run in: the one place for globals. */
static sparp *volatile        signal_run;        /* to be woken; NULL: none */
static volatile sig_atomic_t signal_stops;       /* how many INT, TERM, HUP */
static volatile sig_atomic_t signal_last;        /* the first of them: what we die of */
static volatile sig_atomic_t signal_status;      /* a progress line is asked for */
static volatile sig_atomic_t signal_resized;

static void signal_wake(void) {
    int error = errno;
    if (signal_run != NULL)
        sparp_wake(signal_run);
    errno = error;
}

static void on_stop_signal(int number) {
    if (signal_stops == 2)
        _exit(128 + number);
    if (signal_stops == 0)
        signal_last = number;
    signal_stops++;
    signal_wake();
}

static void on_status_signal(int number) {
    (void)number;
    signal_status = 1;
    signal_wake();
}

static void on_resize_signal(int number) {
    (void)number;
    signal_resized = 1;
}

/* Who ignores a signal (nohup, a shell's background job) meant it. */
static void signal_catch(int number, void (*handler)(int), int flags) {
    struct sigaction action, before;
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_IGN)
        return;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, NULL);
}

static void signals_catch(void) {
    signal_catch(SIGINT, on_stop_signal, 0);
    signal_catch(SIGTERM, on_stop_signal, 0);
    signal_catch(SIGHUP, on_stop_signal, 0);
    signal_catch(SIGUSR1, on_status_signal, SA_RESTART);
#ifdef SIGINFO
    signal_catch(SIGINFO, on_status_signal, SA_RESTART);
#endif
    signal_catch(SIGWINCH, on_resize_signal, SA_RESTART);
    signal_catch(SIGXFSZ, SIG_IGN, 0);       /* a write that is too much fails, and is told */
}

/* Dies of the signal that ended the run, so that a shell sees just that. */
static void signal_die(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(signal_last, &action, NULL);
    (void)raise(signal_last);
}

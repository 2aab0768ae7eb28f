/* sparp.c - the command: sends the requests of its input, writes one record for each of them.
   Built from this file, its parts in sparp/ and sparp.h: cc -O2 -o sparp tools/sparp.c
   MIT licence, see sparp.h

   CONTENTS of sparp/, each of which uses only what stands above it
       text.h      slices, growing text, numbers as text, UTF-8
       say.h       messages, whole writes, clocks
       values.h    what flags take: counts, rates, times, sizes, lists of statuses
       terminal.h  what stderr can show
       json.h      a strict scanner: slices of the line, no tree
       url.h       percent-encoding, resolution against a base
       template.h  values of a line in the place of {...}
       hash.h      a set of hashes
       limits.h    limits of hosts, and what requests cost
       options.h   the one table of flags, and what it makes
       shard.h     which lines are ours: --shard
       config.h    the command line as a struct
       line.h      one line of input -> one request
       reader.h    lines out of files and pipes, never waiting for a pipe
       sink.h      whole records into a descriptor
       tally.h     counts, latencies, percentiles
       record.h    one result -> one line of output
       look.h      a request and an answer as people may see them
       view.h      which records are written, and what of them
       resume.h    what an earlier run has done
       journal.h   what has its result, for the same command to go on with
       files.h     request bodies out of files, response bodies into files
       summary.h   what is said at the end
       progress.h  what is said in between
       version.h   what we are made of
       report.h    what --report keeps of a run
       command.h   the command line as others may see it
       chart.h     what was kept, as pictures
       page.h      the file of --report
       signals.h   flags set by handlers
       run.h       the loop that joins all of the above
       modes.h     --dry-run, --summarize
       merge.h     records of several runs as one file: --merge
   and here: which of them is asked for. */
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64     /* files beyond 2 GiB where a long is short */
#endif
#if defined(__linux__)
#ifndef _GNU_SOURCE
#define _GNU_SOURCE              /* sched_getaffinity() */
#endif
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#endif

#define SPARP_IMPLEMENTATION
#include "../sparp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* The exit codes: stable numbers, so that job schedulers can name them. */
enum {
    EXIT_ALL_OK   = 0,
    EXIT_SOME_BAD = 1,   /* all input handled, something did not succeed */
    EXIT_USAGE    = 2,   /* nothing was sent */
    EXIT_RULE     = 3,   /* a stop rule fired */
    EXIT_DEADLINE = 4,
    EXIT_OUTPUT   = 5    /* output lost, or out of memory after something was sent */
};

#include "sparp/text.h"
#include "sparp/say.h"
#include "sparp/values.h"
#include "sparp/terminal.h"
#include "sparp/json.h"
#include "sparp/url.h"
#include "sparp/template.h"
#include "sparp/hash.h"
#include "sparp/limits.h"
#include "sparp/options.h"
#include "sparp/shard.h"
#include "sparp/config.h"
#include "sparp/line.h"
#include "sparp/reader.h"
#include "sparp/sink.h"
#include "sparp/tally.h"
#include "sparp/record.h"
#include "sparp/look.h"
#include "sparp/view.h"
#include "sparp/resume.h"
#include "sparp/journal.h"
#include "sparp/files.h"
#include "sparp/summary.h"
#include "sparp/progress.h"
#include "sparp/version.h"
#include "sparp/report.h"
#include "sparp/command.h"
#include "sparp/chart.h"
#include "sparp/page.h"
#include "sparp/signals.h"
#include "sparp/run.h"
#include "sparp/modes.h"
#include "sparp/merge.h"

/* What was asked for on stdout, and the exit code of having done so. */
static int print_and_free(text *t) {
    size_t written;
    bool done = !t->failed && write_all(STDOUT_FILENO, t->at, t->size, &written);
    if (!done)
        say("cannot write stdout: %s", t->failed ? "out of memory" : strerror(errno));
    text_free(t);
    return done ? EXIT_ALL_OK : EXIT_OUTPUT;
}

/* A closed standard descriptor would be taken by the first file that is opened, and its records
   would land there: /dev/null takes the place. Returns which ones were closed, as 1 << fd. */
static int fill_standard_fds(void) {
    int closed = 0;
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        if (open("/dev/null", O_RDWR) == fd)
            closed |= 1 << fd;
    }
    return closed;
}

static bool reads_stdin(const config *c) {
    if (c->num_sources == 0)
        return true;
    for (size_t i = 0; i < c->num_sources; i++) {
        if (strcmp(c->sources[i], "-") == 0)
            return true;
    }
    return false;
}

static int run_config(config *c, int closed) {
    text t = { NULL, 0, 0, false };
    if (c->show_usage || c->show_help || c->show_version) {
        if (c->show_help)
            put_help(&t);
        else if (c->show_usage)
            put_text(&t, short_help);
        else
            put_version(&t);
        return print_and_free(&t);
    }
    if ((closed & 1 << STDOUT_FILENO) != 0 && c->output == NULL && !c->summarize) {
        say("stdout is closed, and there is no --output");
        return EXIT_USAGE;
    }
    if ((closed & 1 << STDIN_FILENO) != 0 && reads_stdin(c)) {
        say("stdin is closed, and there is no file to read");
        return EXIT_USAGE;
    }
    if (c->summarize)
        return run_summarize(c);
    if (c->merge)
        return run_merge(c);
    return c->dry_run ? run_dry(c) : run_requests(c);
}

/* --drain-input: a producer must not die of SIGPIPE because we have refused to begin. */
static void drain_stdin(void) {
    char chunk[4096];
    ssize_t n;
    do {
        struct pollfd wait = { STDIN_FILENO, POLLIN, 0 };
        n = read(STDIN_FILENO, chunk, sizeof chunk);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            (void)poll(&wait, 1, -1);
    } while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)));
}

static int command(int argc, char **argv) {
    config *c = (config *)calloc(1, sizeof *c);
    int closed = fill_standard_fds(), code = EXIT_USAGE;
    if (c == NULL) {
        say("out of memory");
        return EXIT_USAGE;
    }
    if (argc <= 1 && isatty(STDIN_FILENO)) {
        text t = { NULL, 0, 0, false };
        put_text(&t, short_help);
        say_text(&t);
        text_free(&t);
    } else if (config_parse(c, argc, argv)) {
        if (c->show_help || config_check(c))
            code = run_config(c, closed);
        if (code == EXIT_USAGE && c->drain_input && reads_stdin(c) && !isatty(STDIN_FILENO))
            drain_stdin();
    }
    config_free(c);
    free(c);
    return code;
}

#ifndef SPARP_NO_MAIN
int main(int argc, char **argv) {
    return command(argc, argv);
}
#endif

/* signal.c - runs a command, sends it signals at the right moments, says how it ended.

   usage: signal OUT STEP... -- COMMAND...

   OUT is the command's standard output. The steps, one after the other:
   lines=N      wait until OUT has N lines (20 s at most)
   ms=N         wait that long
   INT, TERM, HUP, USR1, STOP, CONT, KILL, WINCH      send it

   Prints "exit N MS" or "signal N MS", where MS is how long the end took after the last step. The
   command starts with every signal at its default, whatever the caller's shell ignores. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST_S = 20 };

static const struct { const char *name; int number; } signals[] = {
    { "INT", SIGINT },   { "TERM", SIGTERM }, { "HUP", SIGHUP },   { "USR1", SIGUSR1 },
    { "STOP", SIGSTOP }, { "CONT", SIGCONT }, { "KILL", SIGKILL }, { "WINCH", SIGWINCH }
};

static long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void wait_ms(long ms) {
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        continue;
}

static long lines_in(const char *path) {
    char data[65536];
    ssize_t n;
    long lines = 0;
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    while (fd >= 0 && (n = read(fd, data, sizeof data)) > 0)
        for (ssize_t i = 0; i < n; i++)
            lines += data[i] == '\n';
    if (fd >= 0)
        close(fd);
    return lines;
}

/* false: there is no such step, or what it waits for did not come. */
static bool take_step(const char *step, const char *out, pid_t pid) {
    if (strncmp(step, "ms=", 3) == 0) {
        wait_ms(atol(step + 3));
        return true;
    }
    if (strncmp(step, "lines=", 6) == 0) {
        long end = now_ms() + LONGEST_S * 1000;
        while (lines_in(out) < atol(step + 6) && now_ms() < end)
            wait_ms(5);
        return now_ms() < end;
    }
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (strcmp(step, signals[i].name) == 0)
            return kill(pid, signals[i].number) == 0;
    return false;
}

static pid_t start(const char *out, char **command) {
    int fd = open(out, O_RDWR | O_CREAT | O_TRUNC, 0666);
    if (fd < 0) {
        perror(out);
        exit(2);
    }
    pid_t pid = fork();
    if (pid != 0) {
        close(fd);
        return pid;
    }
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i].number, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    dup2(fd, STDOUT_FILENO);
    close(fd);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

int main(int argc, char **argv) {
    int first = 2, status;
    while (first < argc && strcmp(argv[first], "--") != 0)
        first++;
    if (first + 1 >= argc) {
        fprintf(stderr, "usage: %s OUT STEP... -- COMMAND...\n", argv[0]);
        return 2;
    }
    pid_t pid = start(argv[1], argv + first + 1);
    for (int i = 2; i < first; i++)
        if (!take_step(argv[i], argv[1], pid)) {
            printf("no %s\n", argv[i]);
            kill(pid, SIGKILL);
        }
    long begin = now_ms();
    while (waitpid(pid, &status, WNOHANG) == 0 && now_ms() < begin + LONGEST_S * 1000)
        wait_ms(2);
    if (now_ms() >= begin + LONGEST_S * 1000) {
        kill(pid, SIGKILL);
        printf("no end\n");
        return 1;
    }
    printf("%s %d %ld\n", WIFSIGNALED(status) ? "signal" : "exit",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), now_ms() - begin);
    return 0;
}

/* measure.c - runs one command, pinned to one core, and writes down what it cost.

   usage: measure CORE SECONDS FILE COMMAND...

   FILE gets one line: CPU time (user + system) and wall time in microseconds, peak memory in KiB
   (as the kernel counted them for that process), the exit status, 128 + N after signal N, and how
   much of the CPU time was the user's. The command may open as many files as it can and is killed
   after SECONDS. CORE -1: any core. FILE "-": nothing is measured, the command is only pinned, so
   that a server keeps the process id its starter knows. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t child;

static void die(const char *what) {
    fprintf(stderr, "measure: %s: %s\n", what, strerror(errno));
    exit(125);
}

static void end_child(int signal_number) {
    kill(child, signal_number == SIGALRM ? SIGKILL : signal_number);
}

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t us(struct timeval t) {
    return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

static void run(int core, char **command) {
    cpu_set_t set;
    struct rlimit files;
    CPU_ZERO(&set);
    if (core >= 0) {
        CPU_SET(core, &set);
        if (sched_setaffinity(0, sizeof set, &set) != 0)
            die("pinning");
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    execvp(command[0], command);
    die(command[0]);
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: measure CORE SECONDS FILE COMMAND...\n");
        return 125;
    }
    if (strcmp(argv[3], "-") == 0)
        run(atoi(argv[1]), argv + 4);
    int64_t start = now_us();
    child = fork();
    if (child < 0)
        die("fork");
    if (child == 0)
        run(atoi(argv[1]), argv + 4);
    signal(SIGALRM, end_child);
    signal(SIGTERM, end_child);
    signal(SIGINT, end_child);
    alarm((unsigned)atoi(argv[2]));
    int status;
    struct rusage used;
    while (wait4(child, &status, 0, &used) < 0)
        if (errno != EINTR)
            die("wait4");
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    FILE *out = fopen(argv[3], "w");
    if (out == NULL)
        die(argv[3]);
    fprintf(out, "%lld %lld %ld %d %lld\n", (long long)(us(used.ru_utime) + us(used.ru_stime)),
            (long long)(now_us() - start), used.ru_maxrss, code, (long long)us(used.ru_utime));
    return fclose(out) == 0 ? code : 125;
}

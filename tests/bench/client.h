/* client.h - what the clients of the benchmark do the same way: their command line, the urls they
   ask for, and what they say at the end.

   Each takes   [--ca FILE] [--rest SECONDS] [--warm N] [--expect BYTES] URL REQUESTS AT_ONCE
   and options of its own, and asks for URL0, URL1, URL2 ... At the end it prints one line of
   name=value: requests answered well, connects, full and resumed handshakes; with --warm also the
   CPU time (microseconds) from the Nth good answer to the last; with --rest the memory (KiB) and
   the CPU time of lying idle with every connection open */
#ifndef CLIENT_H
#define CLIENT_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct client {
    const char *url, *ca, *mode;
    long        requests, at_once, rest_s, expect, warm, workers;
    long        asked, good;             /* begun; ended with 200 and the expected body */
    long        connects, full, resumed;
    long        rest_kb, rest_us, warm_us;
};

static void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, errno != 0 ? strerror(errno) : "failed");
    exit(1);
}

static struct client parse_arguments(int argc, char **argv) {
    struct client c = {0};
    int i = 1;
    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        if (strcmp(argv[i], "--ca") == 0)
            c.ca = argv[i + 1];
        else if (strcmp(argv[i], "--rest") == 0)
            c.rest_s = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--expect") == 0)
            c.expect = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--warm") == 0)
            c.warm = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--workers") == 0)
            c.workers = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--mode") == 0)
            c.mode = argv[i + 1];
        else
            break;
    }
    if (argc - i == 3) {
        c.url = argv[i];
        c.requests = atol(argv[i + 1]);
        c.at_once = atol(argv[i + 2]);
    }
    if (c.url == NULL || c.requests < 1 || c.at_once < 1) {
        fprintf(stderr, "usage: %s [--ca FILE] [--rest S] [--warm N] [--expect BYTES] "
                "[--mode MODE] [--workers N] URL REQUESTS AT_ONCE\n", argv[0]);
        exit(2);
    }
    return c;
}

/* The url and a number behind it, without the cost of printf. */
static __attribute__((unused)) void make_url(const struct client *c, long n, char *to) {
    char digits[24];
    size_t size = strlen(c->url), count = 0;
    memcpy(to, c->url, size);
    do
        digits[count++] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    while (count > 0)
        to[size++] = digits[--count];
    to[size] = '\0';
}

static __attribute__((unused)) long cpu_us(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (long)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000
        + (long)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

/* What counts as a good answer: compared in every client, so that none is fast by being wrong. */
static __attribute__((unused)) bool is_good(const struct client *c, long status, size_t size) {
    return status == 200 && (c->expect == 0 || (size_t)c->expect == size);
}

static __attribute__((unused)) void count_good(struct client *c) {
    c->good++;
    if (c->warm > 0 && c->good == c->warm)
        c->warm_us = -cpu_us();
    if (c->warm > 0 && c->good == c->requests)
        c->warm_us += cpu_us();
}

/* Resident now, not at the peak. */
static __attribute__((unused)) long memory_kb(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f != NULL)
        fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int report(const struct client *c) {
    printf("good=%ld connects=%ld full=%ld resumed=%ld", c->good, c->connects, c->full,
           c->resumed);
    if (c->warm > 0)
        printf(" warm_us=%ld", c->warm_us);
    if (c->rest_s > 0)
        printf(" rest_kb=%ld rest_us=%ld", c->rest_kb, c->rest_us);
    printf("\n");
    if (c->good != c->requests)
        fprintf(stderr, "%ld good answers to %ld requests\n", c->good, c->requests);
    return c->good == c->requests ? 0 : 1;
}

#endif /* CLIENT_H */

/* listen.h - what every test server does the same way: its command line, its loopback listener,
   telling its port, and ending when nobody needs it any more.

   Each takes   [--port N] [--port-file FILE] [--ipv6] [--unix PATH] [--max-seconds N]
   Port 0 (the default) is any free port; with --unix it is none. The port is printed when the
   server listens, and written to FILE. It ends on SIGTERM, when its parent is gone, and after
   600 seconds if nothing else is said. */
#ifndef LISTEN_H
#define LISTEN_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

struct settings {
    const char *program;
    int         port;
    const char *port_file;
    bool        ipv6;
    const char *unix_path;
    long        max_seconds;
    pid_t       parent;
    int64_t     end_us;
};

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static struct settings parse_arguments(int argc, char **argv) {
    struct settings s = { argv[0], 0, NULL, false, NULL, 600, getppid(), 0 };
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--ipv6") == 0) {
            s.ipv6 = true;
        } else if (strcmp(argv[i], "--port") == 0 && more) {
            s.port = atoi(argv[++i]);
        } else if (strcmp(argv[i], "--port-file") == 0 && more) {
            s.port_file = argv[++i];
        } else if (strcmp(argv[i], "--unix") == 0 && more) {
            s.unix_path = argv[++i];
        } else if (strcmp(argv[i], "--max-seconds") == 0 && more) {
            s.max_seconds = atol(argv[++i]);
        } else {
            fprintf(stderr, "usage: %s [--port N] [--port-file FILE] [--ipv6] [--unix PATH]"
                    " [--max-seconds N]\n", s.program);
            exit(2);
        }
    }
    s.end_us = now_us() + s.max_seconds * 1000000;
    return s;
}

/* Nobody needs the server any more. Cheap enough for a few times per second. */
static bool time_to_end(const struct settings *s) {
    return getppid() != s->parent || now_us() > s->end_us;
}

static int open_unix_listener(const char *path) {
    struct sockaddr_un address;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        die("socket");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, SOMAXCONN) != 0)
        die(path);
    return fd;
}

/* Binds and listens, non-blocking; sets *port to the real one. */
static int open_listener(const struct settings *s, int *port) {
    if (s->unix_path != NULL) {
        *port = 0;
        return open_unix_listener(s->unix_path);
    }
    union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; } address;
    socklen_t size = s->ipv6 ? sizeof address.v6 : sizeof address.v4;
    int on = 1;
    memset(&address, 0, sizeof address);
    if (s->ipv6) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_addr = in6addr_loopback;
        address.v6.sin6_port = htons((uint16_t)s->port);
    } else {
        address.v4.sin_family = AF_INET;
        address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.v4.sin_port = htons((uint16_t)s->port);
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM, 0);
    if (fd < 0)
        die("socket");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, &address.any, size) != 0 || listen(fd, SOMAXCONN) != 0)
        die("listen");
    if (getsockname(fd, &address.any, &size) != 0)
        die("getsockname");
    *port = ntohs(s->ipv6 ? address.v6.sin6_port : address.v4.sin_port);
    return fd;
}

/* By way of a rename, so that whoever waits for the file never sees half of it. */
static void tell_port(const struct settings *s, int port) {
    char temporary[1024];
    printf("%d\n", port);
    fflush(stdout);
    if (s->port_file == NULL)
        return;
    snprintf(temporary, sizeof temporary, "%s.new", s->port_file);
    FILE *f = fopen(temporary, "w");
    if (f == NULL || fprintf(f, "%d\n", port) < 0 || fclose(f) != 0
        || rename(temporary, s->port_file) != 0)
        die(s->port_file);
}

#endif /* LISTEN_H */

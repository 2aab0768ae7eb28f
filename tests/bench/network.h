/* network.h - a network that is a table in this process: no system call, no clock, no chance, so
   that what is left is the library's own work, the same every time. To be included instead of
   sparp.h, by the one file that has the implementation.

   Every address connects at once. What is answered says the letter behind the first slash of the
   request's target:   /close  and ends the connection   /fail  503   /gate  429 for 100 s
   anything else  120 bytes of JSON and the connection stays. */
#ifndef NETWORK_H
#define NETWORK_H

#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

enum { MAX_FD = 32768, FIRST_FD = 10 };

#define NETWORK_HEAD "Server: nginx/1.22.1\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
#define NETWORK_TYPE "Content-Type: application/json\r\nContent-Length: 120\r\n"
#define NETWORK_BODY \
    "{\"id\":12345,\"name\":\"item 12345\",\"description\":\"lorem ipsum dolor sit amet lorem" \
    " ipsum dolor sit amet lorem ipsum dolor\"}"

struct answer {
    const char *text;
    size_t      size;
};

#define ANSWER(text) {text, sizeof text - 1}
static const struct answer answers[] = {
    ANSWER("HTTP/1.1 200 OK\r\n" NETWORK_HEAD NETWORK_TYPE "Connection: keep-alive\r\n\r\n"
           NETWORK_BODY),
    ANSWER("HTTP/1.1 200 OK\r\n" NETWORK_HEAD NETWORK_TYPE "Connection: close\r\n\r\n"
           NETWORK_BODY),
    ANSWER("HTTP/1.1 503 Service Unavailable\r\n" NETWORK_HEAD "Content-Length: 0\r\n\r\n"),
    ANSWER("HTTP/1.1 429 Too Many Requests\r\n" NETWORK_HEAD "Content-Length: 0\r\n"
           "Retry-After: 100\r\n\r\n"),
};

static struct peer {
    epoll_data_t         watched;
    const struct answer *answer;            /* sent, and not yet received */
    bool                 queued;
} peers[MAX_FD];

static int     ready[MAX_FD], first_ready, num_ready;      /* a ring */
static int     free_fds[MAX_FD], num_free, next_fd = FIRST_FD;
static int64_t now_ns;

/* Calls, as the real ones are: not inlined. */
#define FAKE __attribute__((noinline)) static

static int take_fd(void) {
    int fd = num_free > 0 ? free_fds[--num_free] : next_fd++;
    if (fd == MAX_FD)
        abort();
    return fd;
}

FAKE int fake_clock(clockid_t clock, struct timespec *t) {
    (void)clock;
    now_ns += 500;
    t->tv_sec = 1000 + now_ns / 1000000000;
    t->tv_nsec = now_ns % 1000000000;
    return 0;
}

FAKE int fake_pipe(int fds[2]) {
    fds[0] = take_fd();
    fds[1] = take_fd();
    return 0;
}

FAKE int fake_socket(int family, int type, int protocol) {
    (void)family, (void)type, (void)protocol;
    return take_fd();
}

FAKE int fake_connect(int fd, const struct sockaddr *to, socklen_t size) {
    (void)fd, (void)to, (void)size;
    return 0;
}

FAKE int fake_option(int fd, int level, int name, const void *value, socklen_t size) {
    (void)fd, (void)level, (void)name, (void)value, (void)size;
    return 0;
}

FAKE int fake_fcntl(int fd, int what, int value) {
    (void)fd, (void)what, (void)value;
    return 0;
}

FAKE int fake_close(int fd) {
    peers[fd].answer = NULL;
    free_fds[num_free++] = fd;
    return 0;
}

FAKE ssize_t fake_write(int fd, const void *data, size_t size) {
    (void)fd, (void)data;
    return (ssize_t)size;
}

FAKE ssize_t fake_read(int fd, void *data, size_t size) {
    (void)fd, (void)data, (void)size;
    errno = EAGAIN;
    return -1;
}

FAKE ssize_t fake_send(int fd, const void *data, size_t size, int flags) {
    const char *target = (const char *)memchr(data, '/', size);
    struct peer *peer = &peers[fd];
    (void)flags;
    if (peer->answer != NULL || target == NULL)
        abort();
    peer->answer = &answers[target[1] == 'c' ? 1 : target[1] == 'f' ? 2 : target[1] == 'g' ? 3 : 0];
    if (!peer->queued) {
        peer->queued = true;
        ready[(first_ready + num_ready++) % MAX_FD] = fd;
    }
    return (ssize_t)size;
}

FAKE ssize_t fake_recv(int fd, void *data, size_t size, int flags) {
    const struct answer *answer = peers[fd].answer;
    (void)flags;
    if (answer == NULL || size < answer->size) {
        errno = EAGAIN;
        return -1;
    }
    peers[fd].answer = NULL;
    memcpy(data, answer->text, answer->size);
    return (ssize_t)answer->size;
}

FAKE int fake_epoll(int flags) {
    (void)flags;
    return take_fd();
}

FAKE int fake_ctl(int epoll, int how, int fd, struct epoll_event *event) {
    (void)epoll;
    if (how != EPOLL_CTL_DEL)
        peers[fd].watched = event->data;
    return 0;
}

/* Nothing ready and no answer to come: the run hangs. Else time passes at once. */
FAKE int fake_wait(int epoll, struct epoll_event *events, int max, int wait_ms) {
    (void)epoll;
    int n = 0;
    if (num_ready == 0 && wait_ms < 0)
        abort();
    now_ns += num_ready == 0 ? (int64_t)wait_ms * 1000000 : 0;
    while (num_ready > 0 && n < max) {
        struct peer *peer = &peers[ready[first_ready]];
        first_ready = (first_ready + 1) % MAX_FD;
        num_ready--;
        peer->queued = false;
        if (peer->answer != NULL) {
            events[n].events = EPOLLIN;
            events[n++].data = peer->watched;
        }
    }
    return n;
}

#define SPARP__SYS_CLOCK fake_clock
#define SPARP__SYS_SOCKET fake_socket
#define SPARP__SYS_CONNECT fake_connect
#define SPARP__SYS_CLOSE fake_close
#define SPARP__SYS_SETSOCKOPT fake_option
#define SPARP__SYS_GETSOCKOPT(fd, level, name, value, size) \
    fake_option((fd), (level), (name), (value), *(size))
#define SPARP__SYS_FCNTL fake_fcntl
#define SPARP__SYS_PIPE fake_pipe
#define SPARP__SYS_READ fake_read
#define SPARP__SYS_WRITE fake_write
#define SPARP__SYS_SEND fake_send
#define SPARP__SYS_RECV fake_recv
#define SPARP__SYS_EPOLL_CREATE fake_epoll
#define SPARP__SYS_EPOLL_CTL fake_ctl
#define SPARP__SYS_EPOLL_WAIT fake_wait
#define SPARP_IMPLEMENTATION
#include "sparp.h"

#endif /* NETWORK_H */

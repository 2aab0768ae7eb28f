/* instructions.c - a fixed run of the library over a network that is a table in this process, to be
   counted by callgrind: no system call, no clock, no chance, so the count is the same every time.

   usage: instructions REQUESTS       (100 at once, 120 bytes of JSON each) */
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

enum { MAX_FD = 256, FIRST_FD = 10 };

static const char answer[] =
    "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    "Content-Type: application/json\r\nContent-Length: 120\r\nConnection: keep-alive\r\n\r\n"
    "{\"id\":12345,\"name\":\"item 12345\",\"description\":\"lorem ipsum dolor sit amet lorem"
    " ipsum dolor sit amet lorem ipsum dolor\"}";

static epoll_data_t watched[MAX_FD];
static int          ready[MAX_FD], num_ready, next_fd = FIRST_FD;
static bool         answered[MAX_FD];      /* and not yet received */
static int64_t      now_ns;

/* Calls, as the real ones are: not inlined. */
#define FAKE __attribute__((noinline)) static

static int free_fd(void) {
    if (next_fd == MAX_FD)
        abort();
    return next_fd++;
}

FAKE int fake_clock(clockid_t clock, struct timespec *t) {
    (void)clock;
    now_ns += 500;
    t->tv_sec = 1000 + now_ns / 1000000000;
    t->tv_nsec = now_ns % 1000000000;
    return 0;
}

FAKE int fake_pipe(int fds[2]) {
    fds[0] = free_fd();
    fds[1] = free_fd();
    return 0;
}

FAKE int fake_socket(int family, int type, int protocol) {
    (void)family, (void)type, (void)protocol;
    return free_fd();
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
    (void)fd;
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
    (void)data, (void)flags;
    if (answered[fd])
        abort();
    answered[fd] = true;
    ready[num_ready++] = fd;
    return (ssize_t)size;
}

FAKE ssize_t fake_recv(int fd, void *data, size_t size, int flags) {
    (void)flags;
    if (!answered[fd] || size < sizeof answer) {
        errno = EAGAIN;
        return -1;
    }
    answered[fd] = false;
    memcpy(data, answer, sizeof answer - 1);
    return sizeof answer - 1;
}

FAKE int fake_epoll(int flags) {
    (void)flags;
    return free_fd();
}

FAKE int fake_ctl(int epoll, int how, int fd, struct epoll_event *event) {
    (void)epoll;
    if (how != EPOLL_CTL_DEL)
        watched[fd] = event->data;
    return 0;
}

/* Nothing ready and no answer to come: the run hangs. */
FAKE int fake_wait(int epoll, struct epoll_event *events, int max, int wait_ms) {
    (void)epoll;
    int n = num_ready < max ? num_ready : max;
    if (n == 0 && wait_ms < 0)
        abort();
    now_ns += n == 0 ? (int64_t)wait_ms * 1000000 : 0;
    for (int i = 0; i < n; i++) {
        events[i].events = EPOLLIN;
        events[i].data = watched[ready[i]];
    }
    memmove(ready, ready + n, (size_t)(num_ready - n) * sizeof *ready);
    num_ready -= n;
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

static long asked, wanted, good;

static sparp_input next_request(sparp_request *out, void *user_data) {
    (void)user_data;
    if (asked == wanted)
        return SPARP_INPUT_END;
    asked++;
    out->url = "http://127.0.0.1:8080/items/12345";
    return SPARP_INPUT_READY;
}

static void on_result(sparp *run, const sparp_result *result, void *user_data) {
    (void)run;
    (void)user_data;
    good += result->status == 200 && result->body_size == 120;
}

int main(int argc, char **argv) {
    sparp_options options = {0};
    options.next_request = next_request;
    options.on_result = on_result;
    options.max_at_once = 100;
    options.random_seed = 1;
    wanted = argc > 1 ? atol(argv[1]) : 1000;
    sparp_error error = sparp_run_each(&options, NULL);
    if (error != SPARP_E_OK || good != wanted) {
        fprintf(stderr, "%s: %ld good answers to %ld requests\n", sparp_error_text(error), good,
                wanted);
        return 1;
    }
    return 0;
}

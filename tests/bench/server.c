/* server.c - the least a server can do, so that it is not what limits the client.

   usage: server [--port N] [--port-file FILE] [--max-seconds N]     (see ../server/listen.h)

   Every request, whatever it asks for, gets the same 120 bytes of JSON, or 100,000 bytes if its
   path begins with "/b". Requests have no body; a head comes in one piece, or the connection is
   closed. */
#define _GNU_SOURCE
#include "../server/listen.h"
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>

enum { MAX_FD = 65536, BIG = 100000, ROOM = 16384 };

static char   small_answer[512], big_answer[BIG + 512];
static size_t small_size, big_size;
static size_t unsent[MAX_FD];               /* bytes of the big answer, of each connection */

static void make_answers(void) {
    static const char head[] = "HTTP/1.1 200 OK\r\nServer: bench\r\n"
        "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: application/json\r\n"
        "Content-Length: %d\r\nConnection: keep-alive\r\n\r\n";
    small_size = (size_t)snprintf(small_answer, sizeof small_answer, head, 120);
    memset(small_answer + small_size, 'x', 120);
    small_size += 120;
    big_size = (size_t)snprintf(big_answer, sizeof big_answer, head, BIG);
    memset(big_answer + big_size, 'x', BIG);
    big_size += BIG;
}

static void push(int epoll, int fd) {
    const char *from = big_answer + big_size - unsent[fd];
    ssize_t n = send(fd, from, unsent[fd], MSG_NOSIGNAL);
    struct epoll_event event = { EPOLLIN | EPOLLOUT, { .fd = fd } };
    size_t before = unsent[fd];
    if (n > 0)
        unsent[fd] -= (size_t)n;
    if (unsent[fd] > 0 && before == big_size)
        epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
    event.events = EPOLLIN;
    if (unsent[fd] == 0 && before < big_size)
        epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}

static void serve(int epoll, int fd) {
    static char request[ROOM];
    ssize_t n = recv(fd, request, sizeof request, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n < 8 || memcmp(request + n - 4, "\r\n\r\n", 4) != 0) {
        close(fd);
        return;
    }
    if (memcmp(request, "GET /b", 6) == 0) {
        unsent[fd] = big_size;
        push(epoll, fd);
    } else if (send(fd, small_answer, small_size, MSG_NOSIGNAL) != (ssize_t)small_size) {
        close(fd);
    }
}

static void take(int epoll, int listener) {
    for (int fd, on = 1; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        struct epoll_event event = { EPOLLIN, { .fd = fd } };
        if (fd >= MAX_FD) {
            close(fd);
            continue;
        }
        unsent[fd] = 0;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int argc, char **argv) {
    struct settings s = parse_arguments(argc, argv);
    struct epoll_event events[512];
    struct rlimit limit;
    int port, listener = open_listener(&s, &port), epoll = epoll_create1(0);
    struct epoll_event event = { EPOLLIN, { .fd = listener } };
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    make_answers();
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0)
        die("epoll");
    tell_port(&s, port);
    for (int64_t looked = now_us(); ; ) {
        int n = epoll_wait(epoll, events, 512, 500);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                take(epoll, fd);
            else if (unsent[fd] > 0)
                push(epoll, fd);
            else
                serve(epoll, fd);
        }
        if (n <= 0 || now_us() - looked > 500000) {
            looked = now_us();
            if (time_to_end(&s))
                return 0;
        }
    }
}

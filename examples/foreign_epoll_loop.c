/* foreign_epoll_loop.c - requests inside the event loop that your program has already.
   cc foreign_epoll_loop.c -lbearssl -lpthread -o foreign_epoll_loop
   ./foreign_epoll_loop http://127.0.0.1:8080 */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>
#ifdef __linux__
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void add(int loop, int fd) {
    struct epoll_event event = { .events = EPOLLIN, .data = { .fd = fd } };
    epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
}

int main(int argc, char **argv) {
    char url[256];
    snprintf(url, sizeof url, "%s/delay/100", argc > 1 ? argv[1] : "http://127.0.0.1:8080");
    sparp_request requests[] = { { .url = url }, { .url = url }, { .url = url } };
    sparp_options options = { .requests = requests, .num_requests = 3, .max_at_once = 1 };
    sparp *run = sparp_open(&options, NULL);
    if (run == NULL)
        return 1;

    /* Something else that the program waits for: a tick each 20 ms. */
    struct itimerspec every = { { 0, 20000000 }, { 0, 20000000 } };
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), loop = epoll_create1(0);
    timerfd_settime(timer, 0, &every, NULL);
    add(loop, timer);
    add(loop, sparp_poll_fd(run));            /* -1 without epoll: then the wait below is short */

    uint64_t ticks = 0, expired;
    int results = 0;
    for (bool busy = true; busy;) {
        struct epoll_event event;
        int n = epoll_wait(loop, &event, 1, sparp_wait_ms(run));    /* never wait longer */
        if (n == 1 && event.data.fd == timer && read(timer, &expired, 8) == 8)
            ticks += expired;
        busy = sparp_step(run, 0);           /* cheap when there is nothing to do */
        while (sparp_ready(run) != NULL)
            results++;
    }
    printf("%d results, and the timer ticked %s\n", results, ticks >= 5 ? "on" : "too rarely");
    sparp_close(run);
    close(timer);
    close(loop);
    return 0;
}
#else
int main(void) {
    printf("there is no epoll here\n");
    return 0;
}
#endif

/* foreign_libev.c - requests inside a loop of libev.
   cc foreign_libev.c -lbearssl -lpthread -lev -o foreign_libev
   ./foreign_libev http://127.0.0.1:8080 */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <ev.h>
#include <stdio.h>

typedef struct client {
    sparp   *run;
    ev_timer timer;
} client;

/* One turn, and when the next one is due at the latest. */
static void turn(struct ev_loop *loop, client *c) {
    const sparp_result *r;
    bool more = sparp_step(c->run, 0);
    while ((r = sparp_ready(c->run)) != NULL)
        printf("%d %s\n", r->status, r->url);
    int wait_ms = sparp_wait_ms(c->run);
    ev_timer_stop(loop, &c->timer);
    ev_now_update(loop);                        /* for a turn may take its time */
    ev_timer_set(&c->timer, wait_ms / 1000.0, 0.0);
    if (more && wait_ms >= 0)
        ev_timer_start(loop, &c->timer);
    if (!more)
        ev_break(loop, EVBREAK_ALL);
}

static void on_time(struct ev_loop *loop, ev_timer *timer, int events) {
    (void)events;
    turn(loop, (client *)timer->data);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events) {
    (void)events;
    turn(loop, (client *)watcher->data);
}

int main(int argc, char **argv) {
    char url[256];
    snprintf(url, sizeof url, "%s/delay/100", argc > 1 ? argv[1] : "http://127.0.0.1:8080");
    sparp_request requests[] = { { .url = url }, { .url = url }, { .url = url } };
    sparp_options options = { .requests = requests, .num_requests = 3, .max_at_once = 1 };
    client c = { .run = sparp_open(&options, NULL) };
    struct ev_loop *loop = ev_default_loop(0);
    ev_io watcher;
    if (c.run == NULL || loop == NULL)
        return 1;
    ev_io_init(&watcher, on_readable, sparp_poll_fd(c.run), EV_READ);
    ev_timer_init(&c.timer, on_time, 0.0, 0.0);     /* the first turn */
    watcher.data = c.timer.data = &c;
    ev_io_start(loop, &watcher);
    ev_timer_start(loop, &c.timer);
    ev_run(loop, 0);
    ev_io_stop(loop, &watcher);                     /* before the descriptor goes */
    sparp_close(c.run);
    return 0;
}

/* foreign_libuv.c - requests inside a loop of libuv.
   cc foreign_libuv.c -lbearssl -lpthread -luv -o foreign_libuv
   ./foreign_libuv http://127.0.0.1:8080 */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>
#include <uv.h>

typedef struct client {
    sparp     *run;
    uv_poll_t  watcher;
    uv_timer_t timer;
} client;

/* One turn, and when the next one is due at the latest. */
static void turn(client *c) {
    const sparp_result *r;
    bool more = sparp_step(c->run, 0);
    while ((r = sparp_ready(c->run)) != NULL)
        printf("%d %s\n", r->status, r->url);
    int wait_ms = sparp_wait_ms(c->run);        /* -1: no limit, which is libuv's 0 */
    uv_timer_set_repeat(&c->timer, wait_ms < 0 ? 0 : wait_ms == 0 ? 1 : (uint64_t)wait_ms);
    uv_timer_again(&c->timer);
    if (!more)
        uv_stop(c->watcher.loop);
}

static void on_time(uv_timer_t *timer) {
    turn((client *)timer->data);
}

static void on_readable(uv_poll_t *watcher, int status, int events) {
    (void)status;
    (void)events;
    turn((client *)watcher->data);
}

int main(int argc, char **argv) {
    char url[256];
    snprintf(url, sizeof url, "%s/delay/100", argc > 1 ? argv[1] : "http://127.0.0.1:8080");
    sparp_request requests[] = { { .url = url }, { .url = url }, { .url = url } };
    sparp_options options = { .requests = requests, .num_requests = 3, .max_at_once = 1 };
    client c = { .run = sparp_open(&options, NULL) };
    uv_loop_t *loop = uv_default_loop();
    if (c.run == NULL || uv_poll_init(loop, &c.watcher, sparp_poll_fd(c.run)) != 0)
        return 1;
    uv_timer_init(loop, &c.timer);
    c.watcher.data = c.timer.data = &c;
    uv_poll_start(&c.watcher, UV_READABLE, on_readable);
    uv_timer_start(&c.timer, on_time, 0, 0);    /* the first turn */
    uv_run(loop, UV_RUN_DEFAULT);
    uv_poll_stop(&c.watcher);                   /* before the descriptor goes */
    sparp_close(c.run);
    return 0;
}

/* redis_rate.c - one rate for many programs on many machines: a Redis server counts for them.
   cc redis_rate.c -lbearssl -lpthread -o redis_rate
   ./redis_rate 127.0.0.1:6379 http://127.0.0.1:8080 1000 200 1 */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <netdb.h>
#include <poll.h>
#include <stdio.h>

enum { HANDFUL = 10 };      /* asked for at a time: fewer questions, but so much may lie idle */

struct limiter {
    int fd, pulled, total;
    double rate, cost, left;    /* per second; of one request; what may be spent */
    double asked, wait;         /* what Redis is asked for; seconds until its answer counts */
    size_t size;            /* bytes of the answer so far */
    char answer[100], url[300];
    const char *base;
};

/* GCRA: this handful counts from when the one before it, whoever has that, is used up. */
static const char script[] = "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2]"
    " local from = math.max(now, tonumber(redis.call('GET', KEYS[1])) or 0)"
    " local to = from + ARGV[1]"
    " redis.call('SET', KEYS[1], string.format('%.0f', to), 'PX', math.ceil((to - now) / 1000))"
    " return from - now";

static double permit(const char *url, double cost, void *user_data) {
    struct limiter *l = user_data;
    double wait = l->wait;
    (void)url;
    l->wait = 0;
    if (l->left < cost && l->asked == 0) {
        /* It always fits: no other is under way. If Redis is gone, hear() comes to know. */
        l->asked = cost > HANDFUL ? cost : HANDFUL;
        dprintf(l->fd, "EVAL \"%s\" 1 sparp:rate %.0f\r\n", script, l->asked * 1e6 / l->rate);
    }
    if (l->left < cost)
        return SPARP_NONE;  /* not before sparp_wake() */
    if (wait > 0)
        return wait;        /* sparp asks again then */
    l->left -= cost;
    return 0;
}

/* ":1234\r\n" are microseconds to wait; false: anything else, or the connection has ended. */
static bool hear(struct limiter *l, sparp *run) {
    ssize_t n = recv(l->fd, l->answer + l->size, sizeof l->answer - 1 - l->size, 0);
    l->size += n > 0 ? (size_t)n : 0;
    l->answer[l->size] = '\0';
    if (n == 0 || (n < 0 && errno != EAGAIN) || (n > 0 && l->answer[0] != ':'))
        return false;
    if (strchr(l->answer, '\n') != NULL) {
        l->wait = atof(l->answer + 1) / 1e6;
        l->left += l->asked;
        l->asked = 0;
        l->size = 0;
        sparp_wake(run);    /* permit() is asked again */
    }
    return true;
}

static sparp_input next(sparp_request *out, void *user_data) {
    struct limiter *l = user_data;
    snprintf(l->url, sizeof l->url, "%s/items/%d", l->base, l->pulled);
    out->url = l->url;
    out->cost = l->cost;
    return l->pulled++ < l->total ? SPARP_INPUT_READY : SPARP_INPUT_END;
}

static int dial(char *host_port) {
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *to;
    char *port = strrchr(host_port, ':');
    if (port == NULL || (*port = '\0', getaddrinfo(host_port, port + 1, &hints, &to) != 0))
        return -1;
    int fd = socket(to->ai_family, SOCK_STREAM, 0);
    bool ok = connect(fd, to->ai_addr, to->ai_addrlen) == 0;
    freeaddrinfo(to);
    return ok && fcntl(fd, F_SETFL, O_NONBLOCK) == 0 ? fd : -1;
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fprintf(stderr, "usage: redis_rate HOST:PORT-OF-REDIS BASE-URL N RATE COST\n");
        return 2;
    }
    struct limiter l = { .fd = dial(argv[1]), .base = argv[2], .total = atoi(argv[3]),
                         .rate = atof(argv[4]), .cost = atof(argv[5]) };
    /* Its own rate, too: so that a handful leaves evenly, not at once. */
    sparp_options options = { .next_request = next, .permit = permit, .user_data = &l,
                              .max_cost_per_second = l.rate };
    sparp *run = l.fd < 0 ? NULL : sparp_open(&options, NULL);
    if (run == NULL) {
        fprintf(stderr, "Redis does not answer, or there is no such rate\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);           /* if Redis is gone, poll() says so */
    for (bool busy = true; busy; busy = sparp_step(run, 0)) {
        struct pollfd fds[] = { { .fd = sparp_poll_fd(run), .events = POLLIN },
                                { .fd = l.fd, .events = POLLIN } };
        poll(fds, 2, sparp_wait_ms(run));
        if (fds[1].revents != 0 && !hear(&l, run)) {
            fprintf(stderr, "Redis: %s\n", l.size > 0 ? l.answer : "the connection is lost");
            break;                      /* without it nobody knows the rate */
        }
        while (sparp_ready(run) != NULL)
            continue;                   /* what came back is of no interest here */
    }
    int good = (int)sparp_get_stats(run).success;
    printf("%d of %d succeeded\n", good, l.total);
    sparp_close(run);
    close(l.fd);
    return good < l.total;
}

/* Calls the library, also to send requests: a compile test links and runs. C99 and C++11. */
#ifndef USE_H
#define USE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define USE_REQUESTS 12
#define USE_BODY 20000                  /* more than the smallest buffer takes */

/* One request after the other, each on a connection of its own, until it is killed. */
static void use_serve(int listener) {
    static const char start[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    static char answer[sizeof start - 1 + USE_BODY];
    char head[2000];
    memset(answer, 'x', sizeof answer);
    memcpy(answer, start, sizeof start - 1);
    alarm(20);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (read(fd, head, sizeof head) > 0 && write(fd, answer, sizeof answer) < 0)
            _exit(1);
        close(fd);
    }
}

/* All at the end: 0 if all were answered. */
static int use_run_all(const sparp_options *options) {
    size_t i;
    int bad = 0;
    sparp_results results = sparp_run_all(options);
    for (i = 0; i < results.count; i++)
        bad += results.items[i].status != 200 || results.items[i].body_size != USE_BODY;
    bad += results.count != USE_REQUESTS;
    sparp_results_free(&results);
    return bad;
}

/* The same in a loop of our own, which sleeps until a descriptor is ready: nothing here is due
   at a time, so a wait that ends without one was in vain. */
static int use_own_loop(const sparp_options *options) {
    struct pollfd fds[64];
    const sparp_result *result;
    size_t count = 0;
    int bad = 0, wait_ms = 0;
    bool more = true;
    sparp *run = sparp_open(options, NULL);
    if (run == NULL || sparp_poll_fds(run, NULL, 0) < 1)
        return 1;
    while (more) {
        size_t n = sparp_poll_fds(run, fds, 64);
        wait_ms = sparp_wait_ms(run);
        if (n > 64 || (poll(fds, (nfds_t)n, wait_ms) == 0 && wait_ms != 0)) {
            bad = 1;
            break;
        }
        more = sparp_step(run, 0);
        while ((result = sparp_ready(run)) != NULL) {
            bad += result->status != 200;
            count++;
        }
    }
    sparp_close(run);
    return bad + (count != USE_REQUESTS);
}

/* Several at once, as far as this compiler and backend can: 0 if all were answered. */
static int use_requests(int listener, const char *url) {
    sparp_request requests[USE_REQUESTS];
    sparp_options options;
    size_t i;
    int bad;
    pid_t server = fork();
    if (server == 0)
        use_serve(listener);
    memset(requests, 0, sizeof requests);
    memset(&options, 0, sizeof options);
    for (i = 0; i < USE_REQUESTS; i++)
        requests[i].url = url;
    options.requests = requests;
    options.num_requests = USE_REQUESTS;
    options.max_at_once = 5;
    options.run_deadline_s = 15;
    options.progress_every_s = SPARP_NONE;
    bad = use_run_all(&options) + use_own_loop(&options);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    return bad;
}

static int use_loopback(void) {
    struct sockaddr_in to;
    socklen_t size = sizeof to;
    char url[60];
    int bad = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (const struct sockaddr *)&to, size) == 0 && listen(listener, 20) == 0
        && getsockname(listener, (struct sockaddr *)&to, &size) == 0) {
        snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(to.sin_port));
        bad = use_requests(listener, url);
    }
    close(listener);
    return bad;
}

static int use_sparp(const char *backend) {
#ifdef __cplusplus
    sparp_options options = {};
#else
    sparp_options options = {0};
#endif
    sparp_results results;
    sparp_stats stats;
    const char *a, *b;

    if (sparp_check_options(&options)[0] != 0) return 1;
    results = sparp_run_all(&options);
    if (results.error != SPARP_E_OK || results.count != 0) return 2;
    sparp_results_free(&results);
    sparp_results_free(&results);
    if (sparp_run_each(&options, &stats) != SPARP_E_OK || stats.pulled != 0) return 3;
    options.max_at_once = -7;
    if (sparp_check_options(&options)[0] == 0) return 4;
    if (sparp_open(&options, NULL) != NULL) return 5;
    sparp_close(NULL);
    for (a = backend, b = sparp_backend(); a != NULL && (*a != 0 || *b != 0); a++, b++)
        if (*a != *b) return 6;
    if (sparp_version() != SPARP_VERSION) return 7;
    if (sparp_sizeof("sparp_options") != sizeof options || sparp_sizeof("sparp") != 0) return 8;
    options.timeout_s = SPARP_NONE;
    if (options.timeout_s != SPARP_NONE) return 9;
    if (sparp_error_text(SPARP_E_REFUSED)[0] != 'c') return 10;
    return use_loopback() == 0 ? 0 : 11;
}

#endif

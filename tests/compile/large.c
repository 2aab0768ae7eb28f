/* Bodies of more than 4 GiB, up and down, also where a size_t has 32 bits. There is no server and
   no byte of them exists: what is sent is counted, and what is received is only said to be. */
#undef NDEBUG
#define SPARP_FORCE_POLL
#define SPARP_NO_TLS
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#define LARGE (UINT64_C(4294967296) + 12345)

static int      the_socket = -1;
static uint64_t fake_sent, fake_received, offset_of_body, to_receive, to_send;
static char     fake_head[4096], fake_answer[256];
static size_t   fake_head_size, fake_answer_size, fake_answer_at;
static bool     fake_asked;

static int fake_socket(int family, int type, int protocol) {
    the_socket = socket(family, type, protocol);
    return the_socket;
}

static int fake_connect(int fd, const struct sockaddr *to, socklen_t size) {
    (void)fd;
    (void)to;
    (void)size;
    return 0;
}

static int fake_getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
    (void)fd;
    (void)level;
    (void)name;
    memset(value, 0, *size);
    return 0;
}

/* There are bytes of the body to be received. */
static bool has_body(void) {
    return offset_of_body > 0 && fake_sent == offset_of_body + to_send
        && fake_received < to_receive;
}

static void say(const char *text) {
    fake_answer_size = (size_t)snprintf(fake_answer, sizeof fake_answer, "%s", text);
    fake_answer_at = 0;
}

static ssize_t fake_send(int fd, const void *data, size_t size, int flags) {
    (void)fd;
    (void)flags;
    size_t room = sizeof fake_head - 1 - fake_head_size;
    if (fake_sent == 0)
        fake_head_size = 0;
    if (offset_of_body == 0) {
        memcpy(fake_head + fake_head_size, data, size < room ? size : room);
        fake_head_size += size < room ? size : room;
        fake_head[fake_head_size] = '\0';
        char *end = strstr(fake_head, "\r\n\r\n");
        if (end != NULL)
            offset_of_body = (uint64_t)(end + 4 - fake_head);
    }
    fake_sent += size;
    if (!fake_asked && offset_of_body > 0 && strstr(fake_head, "Expect: 100-continue") != NULL)
        say("HTTP/1.1 100 Continue\r\n\r\n");
    fake_asked = fake_asked || offset_of_body > 0;
    if (offset_of_body > 0 && fake_sent == offset_of_body + to_send) {
        fake_answer_at = 0;
        fake_answer_size = (size_t)snprintf(fake_answer, sizeof fake_answer,
                                            "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
                                            (unsigned long long)to_receive);
    }
    return (ssize_t)size;
}

static ssize_t fake_recv(int fd, void *data, size_t size, int flags) {
    (void)fd;
    if (fake_answer_at < fake_answer_size) {
        size = fake_answer_size - fake_answer_at < size ? fake_answer_size - fake_answer_at : size;
        memcpy(data, fake_answer + fake_answer_at, size);
        fake_answer_at += (flags & MSG_PEEK) == 0 ? size : 0;
        return (ssize_t)size;
    }
    if (!has_body()) {
        errno = EAGAIN;
        return -1;
    }
    size = to_receive - fake_received < size ? (size_t)(to_receive - fake_received) : size;
    fake_received += (flags & MSG_PEEK) == 0 ? size : 0;
    return (ssize_t)size;
}

static int fake_poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    int n = 0;
    (void)timeout_ms;
    for (nfds_t i = 0; i < count; i++) {
        bool readable = fake_answer_at < fake_answer_size || has_body();
        fds[i].revents = fds[i].fd != the_socket ? 0
            : (short)(fds[i].events & (POLLOUT | (readable ? POLLIN : 0)));
        n += fds[i].revents != 0;
    }
    return n;
}

#define SPARP__SYS_SOCKET fake_socket
#define SPARP__SYS_CONNECT fake_connect
#define SPARP__SYS_GETSOCKOPT fake_getsockopt
#define SPARP__SYS_SEND fake_send
#define SPARP__SYS_RECV fake_recv
#define SPARP__SYS_POLL fake_poll
#define SPARP_IMPLEMENTATION
#include "sparp.h"

static uint64_t next_offset;

static int64_t read_body(uint64_t offset, void *out, size_t room, void *user_data) {
    uint64_t left = to_send - offset;
    (void)out;
    (void)user_data;
    assert(offset == next_offset && offset < to_send);
    next_offset += left < room ? left : room;
    return (int64_t)(left < room ? left : room);
}

static sparp_flow on_body(const sparp_result *response, uint64_t offset, const void *data,
                          size_t size, void *user_data) {
    (void)response;
    (void)data;
    assert(offset == *(uint64_t *)user_data);
    *(uint64_t *)user_data += size;
    return SPARP_FLOW_ON;
}

/* One request, with that much up and that much down. */
static sparp_results run(uint64_t up, uint64_t down, int64_t max_body_bytes, uint64_t *taken) {
    sparp_request request;
    sparp_options options;
    memset(&request, 0, sizeof request);
    memset(&options, 0, sizeof options);
    fake_sent = fake_received = offset_of_body = next_offset = *taken = 0;
    fake_head_size = fake_answer_size = fake_answer_at = 0;
    fake_asked = false;
    to_send = up;
    to_receive = down;
    request.url = "http://127.0.0.1:9/";
    request.body_size = up;
    request.read_body = up > 0 ? read_body : NULL;
    options.requests = &request;
    options.num_requests = 1;
    options.on_body = on_body;
    options.user_data = taken;
    options.max_body_bytes = max_body_bytes;
    options.timeout_s = options.idle_timeout_s = 600;
    return sparp_run_all(&options);
}

int main(void) {
    uint64_t taken;
    sparp_results up = run(LARGE, 2, 0, &taken);
    assert(up.items[0].outcome == SPARP_OUTCOME_SUCCESS && next_offset == LARGE);
    assert(strstr(fake_head, "\r\nContent-Length: 4294979641\r\n") != NULL);
    assert(up.items[0].bytes_out == offset_of_body + LARGE && taken == 2);
    sparp_results_free(&up);

    sparp_results down = run(0, LARGE, SPARP_NONE, &taken);
    assert(down.items[0].outcome == SPARP_OUTCOME_SUCCESS && taken == LARGE);
    assert(down.items[0].bytes_in > LARGE);
    sparp_results_free(&down);

    sparp_results just = run(0, LARGE, (int64_t)LARGE, &taken);
    assert(just.items[0].outcome == SPARP_OUTCOME_SUCCESS && taken == LARGE);
    sparp_results_free(&just);

    sparp_results over = run(0, LARGE, (int64_t)LARGE - 1, &taken);
    assert(over.items[0].error == SPARP_E_BODY_TOO_LARGE);
    sparp_results_free(&over);

    sparp_request request;
    sparp_options options;
    memset(&request, 0, sizeof request);
    memset(&options, 0, sizeof options);
    request.url = "http://127.0.0.1:9/";
    request.body = "";
    request.body_size = (uint64_t)PTRDIFF_MAX + 1;      /* more than memory has */
    options.requests = &request;
    options.num_requests = 1;
    sparp_results huge = sparp_run_all(&options);
    assert(huge.items[0].error == SPARP_E_BAD_REQUEST);
    sparp_results_free(&huge);
    return 0;
}

/* curl_client.c - libcurl in the benchmark, used as well as we know how: one multi handle driven
   by multi_socket and epoll, easy handles used again, connections kept, and no epoll_ctl but when
   what libcurl wants of a socket really changes. See client.h for the command line. */
#define _GNU_SOURCE
#include "client.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <time.h>

enum { MAX_FD = 65536, ROUND = 1024 };

struct transfer {
    CURL  *easy;
    char  *body;                     /* kept, as a program that wants the answer has to */
    size_t size, capacity;
    bool   looked;                   /* at the TLS session of this transfer */
};

static struct client   client;
static CURLM          *multi;
static int             epoll;
static long            ended;
static bool            known[MAX_FD];      /* to epoll */
static uint32_t        wanted[MAX_FD];
static int64_t         deadline_ms = -1;
static struct transfer *transfers;

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void watch(int fd, uint32_t events) {
    struct epoll_event event = { events, { .fd = fd } };
    if (known[fd] && wanted[fd] == events)
        return;
    if (epoll_ctl(epoll, known[fd] ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll_ctl");
    known[fd] = true;
    wanted[fd] = events;
}

/* An idle connection stays watched for reading: that saves two epoll_ctl a request. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user_data, void *socket_data) {
    (void)easy, (void)user_data, (void)socket_data;
    if (what == CURL_POLL_IN)
        watch(fd, EPOLLIN);
    else if (what == CURL_POLL_OUT)
        watch(fd, EPOLLOUT);
    else if (what == CURL_POLL_INOUT)
        watch(fd, EPOLLIN | EPOLLOUT);
    return 0;
}

static int on_timer(CURLM *handle, long wait_ms, void *user_data) {
    (void)handle, (void)user_data;
    deadline_ms = wait_ms < 0 ? -1 : now_ms() + wait_ms;
    return 0;
}

static int on_close(void *user_data, curl_socket_t fd) {
    (void)user_data;
    known[fd] = false;
    return close(fd);
}

/* The session can only be looked at while the transfer is under way. */
static void look(struct transfer *t) {
    struct curl_tlssessioninfo *info = NULL;
    long connects = 0;
    t->looked = true;
    curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
    if (connects == 0 || curl_easy_getinfo(t->easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK
        || info == NULL || info->backend != CURLSSLBACKEND_OPENSSL || info->internals == NULL)
        return;
    if (SSL_session_reused((SSL *)info->internals))
        client.resumed++;
    else
        client.full++;
}

static size_t on_body(char *data, size_t size, size_t count, void *user_data) {
    struct transfer *t = (struct transfer *)user_data;
    size *= count;
    if (!t->looked && client.ca != NULL)
        look(t);
    if (t->capacity < t->size + size) {
        t->capacity = (t->size + size) * 2;
        t->body = (char *)realloc(t->body, t->capacity);
        if (t->body == NULL)
            die("memory");
    }
    memcpy(t->body + t->size, data, size);
    t->size += size;
    return size;
}

static void start(struct transfer *t) {
    char url[512];
    make_url(&client, client.asked++, url);
    t->size = 0;
    t->looked = false;
    curl_easy_setopt(t->easy, CURLOPT_URL, url);
    if (curl_multi_add_handle(multi, t->easy) != CURLM_OK)
        die("curl_multi_add_handle");
}

static void make_easy(struct transfer *t) {
    t->easy = curl_easy_init();
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(t->easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (client.ca != NULL)
        curl_easy_setopt(t->easy, CURLOPT_CAINFO, client.ca);
}

static void finish(void) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        struct transfer *t;
        long status = 0, connects = 0;
        CURLcode result = message->data.result;
        CURL *easy = message->easy_handle;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
        client.connects += connects;
        ended++;
        curl_multi_remove_handle(multi, easy);
        if (result == CURLE_OK && is_good(&client, status, t->size))
            count_good(&client);
        else
            fprintf(stderr, "%ld: %s\n", status, curl_easy_strerror(result));
        if (client.asked < client.requests)
            start(t);
    }
}

static void turn(int longest_ms) {
    struct epoll_event events[ROUND];
    int running;
    int64_t wait = deadline_ms < 0 ? longest_ms : deadline_ms - now_ms();
    wait = wait < 0 ? 0 : wait > longest_ms ? longest_ms : wait;
    int n = epoll_wait(epoll, events, ROUND, (int)wait);
    for (int i = 0; i < n; i++) {
        int bits = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0)
            | (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0)
            | (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        curl_multi_socket_action(multi, events[i].data.fd, bits, &running);
    }
    if (deadline_ms >= 0 && now_ms() >= deadline_ms) {
        deadline_ms = -1;
        curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    finish();
}

static void rest(void) {
    long before = cpu_us();
    int64_t end = now_ms() + client.rest_s * 1000;
    while (now_ms() < end)
        turn(100);
    client.rest_us = cpu_us() - before;
    client.rest_kb = memory_kb();
}

int main(int argc, char **argv) {
    client = parse_arguments(argc, argv);
    long n = client.at_once < client.requests ? client.at_once : client.requests;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    multi = curl_multi_init();
    epoll = epoll_create1(0);
    transfers = (struct transfer *)calloc((size_t)n, sizeof *transfers);
    if (multi == NULL || epoll < 0 || transfers == NULL)
        die("starting");
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, n);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    for (long i = 0; i < n; i++) {
        make_easy(&transfers[i]);
        start(&transfers[i]);
    }
    do
        turn(1000);
    while (ended < client.requests);
    if (client.rest_s > 0)
        rest();
    for (long i = 0; i < n; i++) {
        curl_easy_cleanup(transfers[i].easy);
        free(transfers[i].body);
    }
    curl_multi_cleanup(multi);
    free(transfers);
    return report(&client);
}

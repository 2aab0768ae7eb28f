/* floor.c - the floor of the benchmark: what no client can do without. One thread, epoll, each
   socket registered once; a request made beforehand, one send; one recv into one buffer; the head
   is looked through for its end and its Content-Length, and the body is counted. Nothing is
   checked, kept or handed on. With an https url: the same through BearSSL, nothing verified, and
   every handshake but the first resumed. See client.h for the command line. */
#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <bearssl.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

enum { ROUND = 512, RECEIVE = 262144, MAX_HEAD = 4096 };

/* Takes the key of the first certificate as it comes. */
struct trusting {
    const br_x509_class    *vtable;
    br_x509_decoder_context decoder;
    int                     certificates;
};

struct tls {
    br_ssl_client_context engine;
    struct trusting       x509;
    unsigned char         in[BR_SSL_BUFSIZE_INPUT], out[BR_SSL_BUFSIZE_OUTPUT];
};

struct conn {
    int         fd;
    bool        busy, done;              /* asked; answered in this turn */
    size_t      body_left, head_size;    /* of a head that is not complete */
    bool        in_body;
    char       *head;
    struct tls *tls;
};

static struct client client;
static struct conn  *conns;
static struct conn **ready;              /* to be asked again at the end of the turn */
static long          num_conns, num_ready, ended;
static int           epoll;
static char          request[1024];
static size_t        request_size;
static struct sockaddr_in address;
static br_ssl_client_context     prototype;
static br_ssl_session_parameters session;
static bool                      has_session;

static void start_chain(const br_x509_class **ctx, const char *name) {
    (void)name;
    ((struct trusting *)(void *)ctx)->certificates = 0;
}

static void start_cert(const br_x509_class **ctx, uint32_t size) {
    struct trusting *t = (struct trusting *)(void *)ctx;
    (void)size;
    if (t->certificates++ == 0)
        br_x509_decoder_init(&t->decoder, NULL, NULL);
}

static void append(const br_x509_class **ctx, const unsigned char *data, size_t size) {
    struct trusting *t = (struct trusting *)(void *)ctx;
    if (t->certificates == 1)
        br_x509_decoder_push(&t->decoder, data, size);
}

static void end_cert(const br_x509_class **ctx) {
    (void)ctx;
}

static unsigned end_chain(const br_x509_class **ctx) {
    (void)ctx;
    return 0;
}

static const br_x509_pkey *get_pkey(const br_x509_class *const *ctx, unsigned *usages) {
    struct trusting *t = (struct trusting *)(void *)(uintptr_t)ctx;
    if (usages != NULL)
        *usages = BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN;
    return br_x509_decoder_get_pkey(&t->decoder);
}

static const br_x509_class trusting_class = {
    sizeof(struct trusting), start_chain, start_cert, append, end_cert, end_chain, get_pkey
};

static void parse_url(void) {
    char host[64], path[512];
    int port;
    bool tls = strncmp(client.url, "https://", 8) == 0;
    if (sscanf(strstr(client.url, "://") + 3, "%63[^:]:%d%511s", host, &port, path) != 3)
        die("url");
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
                  &address.sin_addr) != 1)
        die(host);
    request_size = (size_t)snprintf(request, sizeof request,
        "GET %s0 HTTP/1.1\r\nHost: %s:%d\r\n\r\n", path, host, port);
    if (tls) {
        static br_x509_minimal_context unused;
        br_ssl_client_init_full(&prototype, &unused, NULL, 0);
        br_ssl_engine_set_versions(&prototype.eng, BR_TLS12, BR_TLS12);
    }
}

static struct tls *new_tls(void) {
    unsigned char seed[32];
    struct tls *t = (struct tls *)malloc(sizeof *t);
    if (t == NULL || getrandom(seed, sizeof seed, 0) != sizeof seed)
        die("tls");
    t->engine = prototype;
    t->x509.vtable = &trusting_class;
    br_ssl_engine_set_x509(&t->engine.eng, &t->x509.vtable);
    br_ssl_engine_set_buffers_bidi(&t->engine.eng, t->in, sizeof t->in, t->out, sizeof t->out);
    br_ssl_engine_inject_entropy(&t->engine.eng, seed, sizeof seed);
    if (has_session)
        br_ssl_engine_set_session_parameters(&t->engine.eng, &session);
    br_ssl_client_reset(&t->engine, "localhost", has_session);
    return t;
}

static void open_conn(struct conn *c) {
    struct epoll_event event = { EPOLLIN, { .ptr = c } };
    int on = 1;
    memset(c, 0, sizeof *c);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    /* On loopback a connect is over at once: there is nothing to be gained by not waiting. */
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        die("epoll_ctl");
    client.connects++;
    if (strncmp(client.url, "https", 5) == 0)
        c->tls = new_tls();
}

static void send_all(struct conn *c, const void *data, size_t size) {
    if (send(c->fd, data, size, MSG_NOSIGNAL) != (ssize_t)size)
        die("send");
}

/* Whatever the engine has for the socket. */
static void tls_send(struct conn *c) {
    size_t size;
    unsigned char *data;
    while ((data = br_ssl_engine_sendrec_buf(&c->tls->engine.eng, &size)) != NULL) {
        send_all(c, data, size);
        br_ssl_engine_sendrec_ack(&c->tls->engine.eng, size);
    }
}

static void ask(struct conn *c) {
    client.asked++;
    c->busy = true;
    if (c->tls == NULL) {
        send_all(c, request, request_size);
        return;
    }
    size_t room;
    unsigned char *to = br_ssl_engine_sendapp_buf(&c->tls->engine.eng, &room);
    if (to == NULL || room < request_size)
        die("tls: no room");
    memcpy(to, request, request_size);
    br_ssl_engine_sendapp_ack(&c->tls->engine.eng, request_size);
    br_ssl_engine_flush(&c->tls->engine.eng, 0);
    tls_send(c);
}

static void end_answer(struct conn *c, bool good) {
    c->busy = c->in_body = false;
    ended++;
    client.good += good;
    ready[num_ready++] = c;
}

/* A head that comes in pieces is put together; a whole one is looked at where it is. */
static size_t take_head(struct conn *c, const char *data, size_t size) {
    const char *head = data;
    size_t head_size = size;
    if (c->head_size > 0) {
        head_size = c->head_size + size;
        if (head_size > MAX_HEAD)
            die("head");
        memcpy(c->head + c->head_size, data, size);
        head = c->head;
    }
    const char *end = (const char *)memmem(head, head_size, "\r\n\r\n", 4);
    if (end == NULL) {
        if (c->head == NULL && (c->head = (char *)malloc(MAX_HEAD)) == NULL)
            die("memory");
        if (c->head_size == 0 && size <= MAX_HEAD)
            memcpy(c->head, data, size);
        c->head_size = head_size;
        return size;
    }
    const char *length = (const char *)memmem(head, (size_t)(end - head), "ontent-Length: ", 15);
    if (length == NULL || memcmp(head, "HTTP/1.1 200", 12) != 0)
        die("answer");
    c->body_left = strtoul(length + 15, NULL, 10);
    c->in_body = true;
    size_t taken = (size_t)(end + 4 - head) - c->head_size;
    c->head_size = 0;
    if (c->body_left == 0 || (client.expect > 0 && c->body_left != (size_t)client.expect))
        end_answer(c, c->body_left == 0 && client.expect == 0);
    return taken;
}

static void take(struct conn *c, const char *data, size_t size) {
    while (size > 0 && c->busy) {
        size_t taken;
        if (c->in_body) {
            taken = size < c->body_left ? size : c->body_left;
            c->body_left -= taken;
            if (c->body_left == 0)
                end_answer(c, true);
        } else {
            taken = take_head(c, data, size);
        }
        data += taken;
        size -= taken;
    }
}

static void established(struct conn *c) {
    br_ssl_session_parameters now;
    br_ssl_engine_get_session_parameters(&c->tls->engine.eng, &now);
    if (has_session && memcmp(now.session_id, session.session_id, sizeof now.session_id) == 0)
        client.resumed++;
    else
        client.full++;
    session = now;
    has_session = true;
    c->done = true;
    ready[num_ready++] = c;
}

static void tls_take(struct conn *c, const unsigned char *data, size_t size) {
    br_ssl_engine_context *e = &c->tls->engine.eng;
    for (;;) {
        size_t room;
        unsigned char *buf;
        tls_send(c);
        if ((buf = br_ssl_engine_recvapp_buf(e, &room)) != NULL) {
            take(c, (const char *)buf, room);
            br_ssl_engine_recvapp_ack(e, room);
        } else if (size > 0 && (buf = br_ssl_engine_recvrec_buf(e, &room)) != NULL) {
            room = room < size ? room : size;
            memcpy(buf, data, room);
            br_ssl_engine_recvrec_ack(e, room);
            data += room;
            size -= room;
        } else {
            break;
        }
    }
    if (br_ssl_engine_current_state(e) & BR_SSL_CLOSED) {
        fprintf(stderr, "tls: %d\n", br_ssl_engine_last_error(e));
        exit(1);
    }
    if (!c->done && (br_ssl_engine_current_state(e) & BR_SSL_SENDAPP))
        established(c);
}

static void receive(struct conn *c) {
    static char buffer[RECEIVE];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("closed by the server");
    if (c->tls != NULL)
        tls_take(c, (const unsigned char *)buffer, (size_t)n);
    else
        take(c, buffer, (size_t)n);
}

static void turn(int wait_ms) {
    struct epoll_event events[ROUND];
    int n = epoll_wait(epoll, events, ROUND, wait_ms);
    for (int i = 0; i < n; i++)
        receive((struct conn *)events[i].data.ptr);
    for (long i = 0; i < num_ready; i++)
        if (client.asked < client.requests)
            ask(ready[i]);
    num_ready = 0;
}

static void rest(void) {
    long before = cpu_us();
    time_t end = time(NULL) + client.rest_s;
    while (time(NULL) < end)
        turn(100);
    client.rest_us = cpu_us() - before;
    client.rest_kb = memory_kb();
}

int main(int argc, char **argv) {
    client = parse_arguments(argc, argv);
    parse_url();
    num_conns = client.at_once < client.requests ? client.at_once : client.requests;
    conns = (struct conn *)calloc((size_t)num_conns, sizeof *conns);
    ready = (struct conn **)calloc((size_t)num_conns + ROUND, sizeof *ready);
    epoll = epoll_create1(0);
    if (conns == NULL || ready == NULL || epoll < 0)
        die("starting");
    for (long i = 0; i < num_conns; i++) {
        open_conn(&conns[i]);
        if (conns[i].tls == NULL)
            ask(&conns[i]);
        else
            tls_send(&conns[i]);
        while (i == 0 && conns[i].tls != NULL && !has_session)
            turn(1000);
    }
    while (ended < client.requests)
        turn(1000);
    if (client.rest_s > 0)
        rest();
    return report(&client);
}

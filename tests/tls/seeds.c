/* seeds.c - makes the seeds of tests/fuzz/tls.c: what a server says in handshakes of all kinds,
   with nothing encrypted.   usage: seeds DIRECTORY */
#define SPARP__TLS_NEUTRAL 1
#include "../support.h"

static ssize_t chance(void *out, size_t size, unsigned flags);
#define SPARP__SYS_GETRANDOM chance
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#include "server.h"

static ssize_t chance(void *out, size_t size, unsigned flags) {
    (void)flags;
    memset(out, 'A', size);
    return (ssize_t)size;
}

static const char *directory;

static void write_seed(const char *name, int settings, const void *data, size_t size) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputc(settings, f);
    fputc(0, f);
    fwrite(data, 1, size, f);
    fclose(f);
}

/* One of 1.3, by the server of server.h, as far as `stop` says. */
static void make(const char *name, int settings, void (*set)(server *s)) {
    server s;
    sparp__env env;
    sparp__trust trust;
    sparp__tls_session session;
    sparp__fault fault;
    sparp_tls_options options;
    sparp__buf said;
    memset(&env, 0, sizeof env);
    memset(&trust, 0, sizeof trust);
    memset(&session, 0, sizeof session);
    memset(&options, 0, sizeof options);
    memset(&said, 0, sizeof said);
    env.allocator.func = sparp__env_default_allocator;
    options.insecure_no_verify = true;
    trust.options = &options;
    sparp__crypto_choose(&trust.crypto);
    if ((settings & 1) != 0) {
        session.version = SPARP_TLS_1_3;
        session.suite = 0x1301;
        session.lifetime_s = 1000;
        session.received_at = sparp__env_now();
        sparp__buf_text(&env, &session.ticket, "ticket");
    }
    server_begin(&s);
    set(&s);
    sparp__tls *tls = sparp__tls_new(&env, &trust, "server.test", &session, &fault);
    for (int turn = 0; turn < 6; turn++) {
        sparp__str out = sparp__tls_peek_out(tls);
        server_push(&s, out);
        sparp__tls_ack_out(tls, out.size);
        if (turn == 4)
            server_send(&s, 23, "HTTP/1.1 200 OK\r\n\r\n", 19);
        if (turn == 5)
            sparp__record_alert(&s.tls, 1, 0);
        sparp__str said_now = sparp__str_make(s.tls.outgoing.data, s.tls.outgoing.size);
        sparp__buf_add(&env, &said, said_now);
        while (said_now.size > 0)
            said_now = sparp__str_skip(said_now, sparp__tls_push(tls, said_now)),
            sparp__tls_ack_in(tls, sparp__tls_peek_in(tls).size);
        s.tls.outgoing.size = 0;
    }
    printf("%s: %s\n", name, sparp__tls_status(tls) == SPARP__TLS_CLOSED ? "closed" : "not closed");
    write_seed(name, settings, said.data, said.size);
    sparp__tls_free(tls);
    server_end(&s);
}

static void plain(server *s) { s->in_clear = true; }
static void asks(server *s) { s->asks = s->requests_update = true; }
static void retries(server *s) { s->retries = true; }
static void splits(server *s) { s->splits = true; }

/* One of 1.2: `id` echoed for one that is resumed. */
static void make12(const char *name, int settings, bool resumed, bool ticket) {
    server s;
    sparp__buf b, m;
    memset(&b, 0, sizeof b);
    memset(&m, 0, sizeof m);
    server_begin(&s);
    s.tls.version = SPARP_TLS_1_2;
    s.tls.suite = sparp__suite_find(0xC02B);
    s.tls.shake = NULL;
    s.in_clear = true;
    sparp__wire w = sparp__wire_begin(&s.tls, &b);
    sparp__wire_put_number(&w, 0x0303, 2);
    sparp__wire_put(&w, "................................", 32);
    sparp__wire_put_vector(&w, resumed && !ticket ? "IIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII"
                           : "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", resumed ? 32 : 0, 1);
    sparp__wire_put(&w, "\xC0\x2B\x00", 3);
    size_t list = sparp__wire_open(&w, 2);
    if (!resumed)
        sparp__hello_put(&w, 23, "", 0);
    if (ticket)
        sparp__hello_put(&w, 35, "", 0);
    sparp__hello_put(&w, 0xFF01, "\x00", 1);
    sparp__wire_close(&w, list, 2);
    server_message(&s, 2, &b);
    if (!resumed) {
        b.size = 0;
        list = sparp__wire_open(&w, 3);
        sparp__wire_put_vector(&w, s.cert.data, s.cert.size, 3);
        sparp__wire_close(&w, list, 3);
        server_message(&s, 11, &b);
        b.size = 0;
        sparp__wire_put(&w, "\x03\x00\x1D\x20", 4);
        sparp__wire_put(&w, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 32);
        sparp__wire_put(&w, "\x04\x03\x00\x04sign", 8);
        server_message(&s, 12, &b);
        b.size = 0;
        sparp__wire_put(&w, "\x01\x40\x00\x02\x04\x03\x00\x00", 8);
        server_message(&s, 13, &b);
        b.size = 0;
        server_message(&s, 14, &b);
    }
    if (ticket) {
        b.size = 0;
        sparp__wire_put(&w, "\x00\x00\x10\x00\x00\x03new", 9);
        server_message(&s, 4, &b);
    }
    server_send(&s, 20, "\x01", 1);
    s.tls.writing = true;
    b.size = 0;
    sparp__wire_put(&w, "............", 12);
    server_message(&s, 20, &b);
    server_send(&s, 22, "\x00\x00\x00\x00", 4);
    server_send(&s, 23, "HTTP/1.1 200 OK\r\n\r\n", 19);
    sparp__record_alert(&s.tls, 1, 0);
    write_seed(name, settings, s.tls.outgoing.data, s.tls.outgoing.size);
    sparp__buf_free(&s.env, &b);
    server_end(&s);
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    directory = argv[1];
    make("full", 16, plain);
    make("asks", 16, asks);
    make("retry", 16, retries);
    make("split", 16, splits);
    make("resumed", 1 + 16, plain);
    make12("old", 16, false, false);
    make12("old-ticket", 16, false, true);
    make12("old-resumed", 2, true, false);
    make12("old-resumed-ticket", 2 + 64, true, true);
    return 0;
}

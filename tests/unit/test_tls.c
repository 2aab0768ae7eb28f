/* test_tls.c - TLS without a descriptor: the trace of RFC 8448, a server of our own that misbehaves
   (tests/tls/server.h), every bit of a handshake turned round, every allocation failing, secrets
   that must be gone; and chains of certificates that want to cost much. */
#include "../support.h"

static time_t test_time(time_t *out);
static ssize_t test_chance(void *out, size_t size, unsigned flags);
#define SPARP__SYS_GETRANDOM test_chance
#define time(out) test_time(out)
#define SPARP__TLS_OFFERED(extension) ((extension) == 28)       /* as the hello of RFC 8448 did */
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#undef time

#ifdef SPARP_NO_TLS

int main(void) {
    printf("skipped: no TLS\n");
    return 77;
}

#else

#include "../tls/rfc8448.h"
#include "../tls/server.h"

/* As the header has them; a test says what it means. */
enum { MAX_STEPS = 2000, WORK_A_TURN = 100, WORK_P256 = 9, WORK_P521 = 100 };

static time_t test_time(time_t *out) {
    (void)out;
    return 1800000000;                  /* January 2027 */
}

static uint64_t chance = 1;

/* The same again, if it is set to the same again. */
static ssize_t test_chance(void *out, size_t size, unsigned flags) {
    (void)flags;
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)out)[i] = (unsigned char)(test_random(&chance) >> 24);
    return (ssize_t)size;
}

/* --- a client and what it needs --------------------------------------------------------------- */

typedef struct client {
    test_memory memory;
    sparp__env env;
    sparp_tls_options options;
    sparp__trust trust;
    sparp__tls_session session;
    sparp__tls *tls;
    sparp__fault fault;
    char got[256];
    size_t got_size;
} client;

/* Trusts that server's certificate, and nobody else. */
static void client_begin(client *c, const server *s) {
    memset(c, 0, sizeof *c);
    c->env.allocator.func = test_memory_func;
    c->env.allocator.user_data = &c->memory;
    c->trust.options = &c->options;
    c->trust.loaded = true;
    sparp__crypto_choose(&c->trust.crypto);
    if (s == NULL)
        return;
    assert_true(sparp__anchors_add(&c->env, &c->trust.anchors,
                                   sparp__str_make(s->cert.data, s->cert.size)));
    sparp__anchors_finish(&c->env, &c->trust.anchors);
    assert_int_equal(c->trust.anchors.count, 1);
}

static bool client_open(client *c) {
    sparp__tls_free(c->tls);
    c->got_size = 0;
    sparp__fault_clear(&c->fault);
    c->tls = sparp__tls_new(&c->env, &c->trust, "server.test", &c->session, &c->fault);
    return c->tls != NULL;
}

static void client_end(client *c) {
    sparp__tls_free(c->tls);
    sparp__tls_session_clear(&c->env, &c->session);
    sparp__trust_free(&c->env, &c->trust);
    CHECK(test_memory_clean(&c->memory), "%zu blocks are left", c->memory.blocks);
}

/* Bytes of the server, so many at a time: each where its allocation ends, as it may be written
   to. */
static void client_push(client *c, sparp__str bytes, size_t piece) {
    while (bytes.size > 0 && sparp__tls_status(c->tls) < SPARP__TLS_CLOSED) {
        size_t n = piece > 0 && piece < bytes.size ? piece : bytes.size;
        char *copy = (char *)malloc(n);
        sparp__str in = sparp__str_make(copy, n);
        assert_non_null(copy);
        memcpy(copy, bytes.data, n);
        bytes = sparp__str_skip(bytes, n);
        while (in.size > 0 || sparp__tls_is_busy(c->tls)) {
            size_t eaten = sparp__tls_push(c->tls, in);
            sparp__str plain = sparp__tls_peek_in(c->tls);
            in = sparp__str_skip(in, eaten);
            assert_true(c->got_size + plain.size <= sizeof c->got);
            if (plain.size > 0)
                memcpy(c->got + c->got_size, plain.data, plain.size);
            c->got_size += plain.size;
            sparp__tls_ack_in(c->tls, plain.size);
            if (sparp__tls_status(c->tls) >= SPARP__TLS_CLOSED)
                break;
            sparp__tls_take_work(c->tls);
            sparp__tls_go_on(c->tls);
        }
        free(copy);
    }
}

/* To and fro, until nobody has anything to say. */
static void talk(client *c, server *s, size_t piece) {
    for (bool more = true; more;) {
        sparp__str out = sparp__tls_peek_out(c->tls);
        more = out.size > 0;
        if (more)
            server_push(s, out);
        sparp__tls_ack_out(c->tls, out.size);
        sparp__buf said = s->tls.outgoing;
        memset(&s->tls.outgoing, 0, sizeof said);
        more = more || said.size > 0;
        client_push(c, sparp__str_make(said.data, said.size), piece);
        sparp__buf_free(&s->env, &said);
    }
}

static const char *told(client *c) {
    if (sparp__tls_status(c->tls) == SPARP__TLS_FAILED)
        sparp__tls_say_why(c->tls, &c->fault);
    return c->fault.detail;
}

static void expect_open(client *c, server *s) {
    CHECK(sparp__tls_status(c->tls) == SPARP__TLS_OPEN, "%s", told(c));
    assert_true(s->open);
    assert_int_equal(s->alert, SPARP__ALERT_NONE);
}

/* Data goes both ways. */
static void expect_data(client *c, server *s) {
    int before = s->data_bytes;
    size_t got = c->got_size;
    assert_int_equal(sparp__tls_write(c->tls, sparp__str_of("hello")), 5);
    server_send(s, SPARP__TYPE_DATA, "world", 5);
    talk(c, s, 0);
    assert_int_equal(s->data_bytes, before + 5);
    assert_int_equal(c->got_size, got + 5);
    assert_memory_equal(c->got + got, "world", 5);
}

/* --- RFC 8448 --------------------------------------------------------------------------------- */

static size_t unhex(const char *text, unsigned char *out) {
    size_t n = 0;
    int high = -1;
    for (; *text != '\0'; text++) {
        int digit = sparp__hex_value(*text);
        if (digit < 0)
            continue;
        if (high < 0) {
            high = digit;
            continue;
        }
        out[n++] = (unsigned char)(high * 16 + digit);
        high = -1;
    }
    return n;
}

static void push_hex(client *c, const char *text) {
    unsigned char bytes[1024];
    size_t n = unhex(text, bytes);
    client_push(c, sparp__str_make((const char *)bytes, n), 0);
}

static void expect_out(client *c, const char *text) {
    unsigned char bytes[1024];
    size_t n = unhex(text, bytes);
    sparp__str out = sparp__tls_peek_out(c->tls);
    assert_int_equal(out.size, n);
    assert_memory_equal(out.data, bytes, n);
    sparp__tls_ack_out(c->tls, n);
}

static void test_rfc8448(void **state) {
    client c;
    unsigned char bytes[1024], payload[50];
    (void)state;
    client_begin(&c, NULL);
    c.options.insecure_no_verify = true;        /* its certificate is of nobody, and of 1024 bits */
    assert_true(client_open(&c));
    sparp__shake *s = c.tls->shake;
    sparp__tls_ack_out(c.tls, sparp__tls_peek_out(c.tls).size);
    s->hello.size = unhex(rfc8448_hello, (unsigned char *)s->hello.data);
    assert_int_equal(s->hello.size, 196);
    assert_int_equal(unhex(rfc8448_private, s->private_key), 32);
    s->id_size = 0;
    push_hex(&c, rfc8448_server_hello);
    push_hex(&c, rfc8448_flight);
    CHECK(sparp__tls_status(c.tls) == SPARP__TLS_OPEN, "%s", told(&c));
    assert_memory_equal(sparp__tls_peek_out(c.tls).data, "\x14\x03\x03\x00\x01\x01", 6);
    sparp__tls_ack_out(c.tls, 6);       /* a server that echoes no session id needs none */
    expect_out(&c, rfc8448_client_finished);
    assert_true(sparp__tls_awaits_session(c.tls));
    push_hex(&c, rfc8448_ticket);
    assert_false(sparp__tls_awaits_session(c.tls));
    assert_int_equal(c.session.lifetime_s, 30);
    assert_int_equal(unhex(rfc8448_resumption, bytes), 32);
    assert_memory_equal(c.session.secret, bytes, 32);
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (unsigned char)i;
    assert_int_equal(sparp__tls_write(c.tls, sparp__str_make((const char *)payload, 50)), 50);
    expect_out(&c, rfc8448_client_data);
    push_hex(&c, rfc8448_server_data);
    assert_int_equal(c.got_size, 50);
    assert_memory_equal(c.got, payload, 50);
    sparp__tls_close(c.tls);
    expect_out(&c, rfc8448_client_close);
    push_hex(&c, rfc8448_server_close);
    assert_int_equal(sparp__tls_status(c.tls), SPARP__TLS_CLOSED);
    assert_int_equal(sparp__tls_peek_out(c.tls).size, 0);
    client_end(&c);
}

/* --- handshakes ------------------------------------------------------------------------------- */

typedef struct how {
    const char *name;
    size_t offset;                      /* of a bool of the server */
    size_t piece;
    const char *why;                    /* NULL: it opens */
    int alert;                          /* that the server hears */
} how;

#define DOES(flag) offsetof(server, flag)

static void test_ways(void **state) {
    static const how ways[] = {
        {"plain", DOES(in_clear), 0, NULL, 0},       {"one record", 0, 0, NULL, 0},
        {"byte by byte", 0, 1, NULL, 0},
        {"records of a byte", DOES(splits), 0, NULL, 0},
        {"records of a byte, in sevens", DOES(splits), 7, NULL, 0},
        {"another group", DOES(retries), 0, NULL, 0},
        {"another group, in threes", DOES(retries), 3, NULL, 0},
        {"two more hellos", DOES(retries_twice), 0, "second HelloRetryRequest", 10},
        {"who are you?", DOES(asks), 0, NULL, 0},    {"no ticket", DOES(no_ticket), 0, NULL, 0}
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        server s;
        client c;
        server_begin(&s);
        if (ways[i].offset > 0)
            *(bool *)(void *)((char *)&s + ways[i].offset) = true;
        client_begin(&c, &s);
        assert_true(client_open(&c));
        talk(&c, &s, ways[i].piece);
        if (ways[i].why == NULL) {
            expect_open(&c, &s);
            expect_data(&c, &s);
            assert_int_equal(c.tls->has_ticket, !s.no_ticket);
        } else {
            assert_int_equal(sparp__tls_status(c.tls), SPARP__TLS_FAILED);
            CHECK(strstr(told(&c), ways[i].why) != NULL, "%s: %s", ways[i].name, told(&c));
            assert_int_equal(s.alert, ways[i].alert);
        }
        client_end(&c);
        server_end(&s);
    }
}

/* The second connection resumes; the group that was asked for is sent first. */
static void test_resumption(void **state) {
    server s;
    client c;
    (void)state;
    server_begin(&s);
    s.retries = true;
    client_begin(&c, &s);
    assert_true(client_open(&c));
    talk(&c, &s, 0);
    expect_open(&c, &s);
    assert_int_equal(s.hellos, 2);
    for (int i = 0; i < 3; i++) {
        server_again(&s);
        assert_true(client_open(&c));
        talk(&c, &s, 0);
        expect_open(&c, &s);
        assert_true(sparp__tls_resumed(c.tls));
        assert_int_equal(s.hellos, 1);
        assert_int_equal(c.tls->group, BR_EC_secp256r1);
        expect_data(&c, &s);
    }
    server_again(&s);                   /* after a HelloRetryRequest too: the binder is made anew */
    s.retries = true;
    assert_true(client_open(&c));
    c.tls->session->group = 0;
    talk(&c, &s, 0);
    CHECK(sparp__tls_status(c.tls) == SPARP__TLS_FAILED, "%s", "the same group, again");
    client_end(&c);
    server_end(&s);
}

/* Somebody else's ticket comes between our hello and the answer: what was offered counts. */
static void test_session_is_copied(void **state) {
    server s;
    client c;
    (void)state;
    server_begin(&s);
    client_begin(&c, &s);
    assert_true(client_open(&c));
    talk(&c, &s, 0);
    server_again(&s);
    assert_true(client_open(&c));
    memset(c.session.secret, 0xAA, sizeof c.session.secret);
    c.session.ticket.size = 3;
    talk(&c, &s, 0);
    expect_open(&c, &s);
    assert_true(sparp__tls_resumed(c.tls));
    client_end(&c);
    server_end(&s);
}

/* Who spoke 1.2 before gets a hello without a share; if he speaks 1.3 now, he asks for one. */
static void test_promoted(void **state) {
    server s;
    client c;
    (void)state;
    server_begin(&s);
    client_begin(&c, &s);
    c.session.version = SPARP_TLS_1_2;
    c.session.suite = 0xC02B;
    c.session.id_size = 32;
    memset(c.session.id, 'i', 32);
    assert_true(client_open(&c));
    assert_int_equal(c.tls->shake->share_size, 0);
    talk(&c, &s, 0);
    expect_open(&c, &s);
    assert_int_equal(s.hellos, 2);
    assert_false(sparp__tls_resumed(c.tls));
    expect_data(&c, &s);
    client_end(&c);
    server_end(&s);
}

static void test_key_update(void **state) {
    server s;
    client c;
    (void)state;
    server_begin(&s);
    s.requests_update = true;
    client_begin(&c, &s);
    assert_true(client_open(&c));
    talk(&c, &s, 0);
    expect_open(&c, &s);
    assert_int_equal(s.updates, 0);     /* the answer is due before our data, not at once */
    expect_data(&c, &s);
    assert_int_equal(s.updates, 1);
    for (int i = 0; i < 3; i++) {       /* once for many */
        server_send(&s, SPARP__TYPE_HANDSHAKE, "\x18\x00\x00\x01\x01", 5);
        sparp__cipher_next(&s.tls, &s.tls.out);
    }
    expect_data(&c, &s);
    assert_int_equal(s.updates, 1);     /* both wrote at the same time */
    expect_data(&c, &s);
    assert_int_equal(s.updates, 2);
    c.tls->out.seq = s.tls.in.seq = UINT64_C(1) << 23;    /* and on our own */
    expect_data(&c, &s);
    assert_int_equal(s.updates, 3);
    client_end(&c);
    server_end(&s);
}

/* What comes in the same segment as Finished is as if it came after. */
static void test_with_finished(void **state) {
    (void)state;
    for (int what = 0; what < 3; what++) {
        server s;
        client c;
        server_begin(&s);
        s.data_with_finished = what > 0;
        s.close_with_finished = what != 1;
        client_begin(&c, &s);
        assert_true(client_open(&c));
        talk(&c, &s, 0);
        assert_int_equal(c.got_size, what > 0 ? 5 : 0);
        assert_int_equal(sparp__tls_status(c.tls),
                         what == 1 ? SPARP__TLS_OPEN : SPARP__TLS_CLOSED);
        if (what != 1)
            assert_true(s.closed);
        client_end(&c);
        server_end(&s);
    }
}

static void test_close(void **state) {
    server s;
    client c;
    (void)state;
    server_begin(&s);
    client_begin(&c, &s);
    assert_true(client_open(&c));
    talk(&c, &s, 0);
    sparp__tls_close(c.tls);
    talk(&c, &s, 0);
    assert_true(s.closed);
    assert_int_equal(sparp__tls_write(c.tls, sparp__str_of("x")), 0);
    client_end(&c);
    server_end(&s);
}

/* --- records that have no place --------------------------------------------------------------- */

/* Sent by the server after the handshake, under its cipher or in the clear. */
static void test_bad_records(void **state) {
    static const struct {
        const char *what;
        int type;
        const char *bytes;
        size_t size;
        bool clear;
        int alert;
    } rows[] = {
        {"ChangeCipherSpec in the clear", 20, "\x01", 1, true, 10},
        {"ChangeCipherSpec", 20, "\x01", 1, false, 10},
        {"an alert in the clear", 21, "\x02\x28", 2, true, 10},
        {"data in the clear", 23, "hello hello hello", 17, true, 20},
        {"an alert of one byte", 21, "\x02", 1, false, 50},
        {"an empty handshake record", 22, "", 0, false, 10},
        {"ClientHello", 22, "\x01\x00\x00\x00", 4, false, 10},
        {"Finished again", 22, "\x14\x00\x00\x00", 4, false, 10},
        {"a ticket without anything", 22, "\x04\x00\x00\x00", 4, false, 50},
        {"KeyUpdate 2", 22, "\x18\x00\x00\x01\x02", 5, false, 47},
        {"KeyUpdate, empty", 22, "\x18\x00\x00\x00", 4, false, 50},
        {"KeyUpdate and more", 22, "\x18\x00\x00\x01\x00\x04", 6, false, 10},
        {"a message of 16 MB", 22, "\x04\xFF\xFF\xFF", 4, false, 47},
        {"a certificate of 16 MB", 22, "\x0B\xFF\xFF\xFF", 4, false, -1},
        {"data inside of a message", 23, NULL, 0, false, 10},
        {"type 24", 24, "x", 1, false, 10},
        {"type 0: nothing but zeros", 0, "\0\0\0", 3, false, 10}
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        server s;
        client c;
        server_begin(&s);
        client_begin(&c, &s);
        assert_true(client_open(&c));
        talk(&c, &s, 0);
        expect_open(&c, &s);
        s.tls.writing = !rows[i].clear;
        s.tls.version = rows[i].clear ? SPARP_TLS_1_2 : SPARP_TLS_1_3;
        if (rows[i].bytes == NULL) {
            server_send(&s, 22, "\x04\x00", 2);
            server_send(&s, 23, "data", 4);
        } else {
            assert_true(sparp__record_put(&s.tls, rows[i].type, rows[i].bytes, rows[i].size));
        }
        s.tls.version = SPARP_TLS_1_3;
        talk(&c, &s, 0);
        if (rows[i].alert < 0) {
            assert_int_equal(sparp__tls_status(c.tls), SPARP__TLS_OPEN);
        } else {
            CHECK(sparp__tls_status(c.tls) == SPARP__TLS_FAILED, "%s", rows[i].what);
            CHECK(s.alert == rows[i].alert, "%s: alert %d", rows[i].what, s.alert);
            assert_string_not_equal(told(&c), "");
        }
        client_end(&c);
        server_end(&s);
    }
}

/* Raw bytes instead of a ServerHello. */
static void test_bad_beginnings(void **state) {
    static const struct {
        const char *bytes;
        size_t size;
        sparp_error error;
        const char *detail;
    } rows[] = {
#define BEGINS(bytes_, error_, detail_) {bytes_, sizeof bytes_ - 1, error_, detail_}
        BEGINS("HTTP/1.1 400 Bad Request\r\n", SPARP_E_TLS_HANDSHAKE, "does not speak TLS"),
        BEGINS("SSH-2.0-x\r\n", SPARP_E_TLS_HANDSHAKE, "does not speak TLS"),
        BEGINS("\x15\x03\x01\x00\x02\x02\x46", SPARP_E_TLS_VERSION, "1.2, 1.3"),
        BEGINS("\x15\x03\x03\x00\x02\x02\x28", SPARP_E_TLS_HANDSHAKE, "handshake failure"),
        BEGINS("\x15\x03\x03\x00\x02\x01\x00", SPARP_E_TLS_HANDSHAKE, "alert 0"),
        BEGINS("\x16\x03\x03\x41\x01", SPARP_E_TLS_HANDSHAKE, "too long"),
        BEGINS("\x16\x03\x03\x40\x01", SPARP_E_OK, ""),
        BEGINS("\x17\x03\x03\x00\x01x", SPARP_E_TLS_HANDSHAKE, "data out of its place"),
        BEGINS("\x16\x03\x03\x00\x04\x0B\x00\x00\x00", SPARP_E_TLS_HANDSHAKE, "out of its place"),
        BEGINS("\x16\x03\x03\x00\x04\x02\x00\x00\x00", SPARP_E_TLS_HANDSHAKE, "malformed"),
        BEGINS("\x16\x03\x03\x00\x00", SPARP_E_TLS_HANDSHAKE, "empty"),
        BEGINS("\x14\x03\x03\x00\x01\x02", SPARP_E_TLS_HANDSHAKE, "ChangeCipherSpec"),
        BEGINS("\x14\x03\x03\x00\x01\x01\x14\x03\x03\x00\x01\x01", SPARP_E_OK, "")
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t piece = 0; piece < 2; piece++) {
            client c;
            client_begin(&c, NULL);
            assert_true(client_open(&c));
            client_push(&c, sparp__str_make(rows[i].bytes, rows[i].size), piece);
            told(&c);
            CHECK(c.fault.error == rows[i].error, "%d: %s", (int)i, c.fault.detail);
            CHECK(strstr(c.fault.detail, rows[i].detail) != NULL, "%d: %s", (int)i,
                  c.fault.detail);
            client_end(&c);
        }
}

/* --- ServerHello ------------------------------------------------------------------------------ */

typedef struct hello_row {
    const char *what, *extensions;      /* hexadecimal */
    int version, suite, compression;
    const char *why;
} hello_row;

#define SHARE "003300240020001d0909090909090909090909090909090909090909090909090909090909090909"
#define KEY_SHARE "00330024001d00200909090909090909090909090909090909090909090909090909090909090909"
#define V13 "002b00020304"

static const hello_row hellos[] = {
    {"TLS 1.0", "", 0x0301, 0xC02B, 0, "below 1.2"},
    {"TLS 1.1", "", 0x0302, 0xC02B, 0, "below 1.2"},
    {"TLS 1.4 of old", "", 0x0305, 0xC02B, 0, "cannot be chosen"},
    {"1.2 by supported_versions", "002b00020303", 0x0303, 0x1301, 0, "cannot be chosen"},
    {"a draft of 1.3", "002b00027f1c", 0x0303, 0x1301, 0, "cannot be chosen"},
    {"1.3, and 1.1 in the old field", V13 KEY_SHARE, 0x0302, 0x1301, 0, "cannot be chosen"},
    {"an unknown suite", V13 KEY_SHARE, 0x0303, 0x1304, 0, "suite"},
    {"a suite of 1.2", V13 KEY_SHARE, 0x0303, 0xC02B, 0, "suite"},
    {"a suite of 1.3 for 1.2", "", 0x0303, 0x1301, 0, "suite"},
    {"static RSA", "", 0x0303, 0x009C, 0, "suite"},
    {"compression", V13 KEY_SHARE, 0x0303, 0x1301, 1, "suite"},
    {"no share", V13, 0x0303, 0x1301, 0, "no key share"},
    {"a share of P-256", V13 "00330024001700200909090909090909090909090909090909090909090909090909"
     "090909090909", 0x0303, 0x1301, 0, "another group"},
    {"zero as a share", V13 "00330024001d00200000000000000000000000000000000000000000000000000000"
     "000000000000", 0x0303, 0x1301, 0, "no point"},
    {"a short share", V13 "0033000600" "1d000209" "09", 0x0303, 0x1301, 0, "no point"},
    {"a cut share", V13 "0033000400" "1d0002", 0x0303, 0x1301, 0, "key_share is malformed"},
    {"the share twice", V13 KEY_SHARE KEY_SHARE, 0x0303, 0x1301, 0, "twice"},
    {"a ticket that was not offered", V13 KEY_SHARE "002900020000", 0x0303, 0x1301, 0,
     "not offered"},
    {"ALPN in ServerHello", V13 KEY_SHARE "0010000b000908687474702f312e31", 0x0303, 0x1301, 0,
     "out of its place"},
    {"an extension of nobody", V13 KEY_SHARE "123400" "00", 0x0303, 0x1301, 0, "not offered"},
    {"signature_algorithms", V13 KEY_SHARE "000d00020403", 0x0303, 0x1301, 0, "out of its place"},
    {"cut extensions", V13 "0033", 0x0303, 0x1301, 0, "malformed"},
    {"h2 by ALPN in 1.2", "00100005000302" "6832", 0x0303, 0xC02B, 0, "not offered (ALPN)"},
    {"ALPN of two", "0010000d000b08687474702f312e310161", 0x0303, 0xC02B, 0, "ALPN is malformed"},
    {"compressed points alone", "000b00020101", 0x0303, 0xC02B, 0, "wrong body"},
    {"renegotiation_info of one", "ff010002010a", 0x0303, 0xC02B, 0, "wrong body"},
    {"EMS with a body", "0017000100", 0x0303, 0xC02B, 0, "wrong body"},
    {"a cookie for 1.2", "002c0003000101", 0x0303, 0xC02B, 0, "out of its place"}
};

/* `id`: NULL, or that which is echoed; `random`: its last eight bytes. */
static void say_hello(client *c, const hello_row *row, bool echo, const char *random) {
    unsigned char bytes[1024] = {0};
    size_t n = unhex(row->extensions, bytes + 200), at = 9;
    bytes[0] = 22;
    bytes[1] = bytes[2] = 3;
    bytes[5] = 2;
    bytes[at++] = (unsigned char)(row->version >> 8);
    bytes[at++] = (unsigned char)row->version;
    memset(bytes + at, 0x33, 32);
    if (random != NULL)
        memcpy(bytes + at + 24, random, 8);
    at += 32;
    bytes[at++] = echo ? 32 : 0;
    memcpy(bytes + at, c->tls->shake->id, echo ? 32 : 0);
    at += echo ? 32 : 0;
    bytes[at++] = (unsigned char)(row->suite >> 8);
    bytes[at++] = (unsigned char)row->suite;
    bytes[at++] = (unsigned char)row->compression;
    if (n > 0) {
        bytes[at++] = (unsigned char)(n >> 8);
        bytes[at++] = (unsigned char)n;
        memmove(bytes + at, bytes + 200, n);
        at += n;
    }
    bytes[3] = (unsigned char)((at - 5) >> 8);
    bytes[4] = (unsigned char)(at - 5);
    bytes[7] = (unsigned char)((at - 9) >> 8);
    bytes[8] = (unsigned char)(at - 9);
    client_push(c, sparp__str_make((const char *)bytes, at), 0);
}

static void test_bad_hellos(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(hellos); i++) {
        client c;
        client_begin(&c, NULL);
        assert_true(client_open(&c));
        say_hello(&c, &hellos[i], hellos[i].suite < 0x2000 && hellos[i].suite > 0x1000, NULL);
        CHECK(sparp__tls_status(c.tls) == SPARP__TLS_FAILED, "%s", hellos[i].what);
        CHECK(strstr(told(&c), hellos[i].why) != NULL, "%s: %s", hellos[i].what, told(&c));
        client_end(&c);
    }
}

static void test_downgrades(void **state) {
    static const hello_row old = {"", "", 0x0303, 0xC02B, 0, ""};
    static const hello_row new_one = {"", V13 KEY_SHARE, 0x0303, 0x1301, 0, ""};
    static const struct { const char *random; bool echo, only13; const char *why; } rows[] = {
        {NULL, false, false, NULL},
        {"DOWNGRD\x01", false, false, "talked"}, {"DOWNGRD\x00", false, false, "talked"},
        {"DOWNGRD\x02", false, false, NULL},
        {NULL, true, false, "not offered"},     /* our random session id, though none is offered */
        {NULL, false, true, "below 1.3"}
    };
    client c;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        client_begin(&c, NULL);
        c.options.min_version = rows[i].only13 ? SPARP_TLS_1_3 : SPARP_TLS_1_2;
        assert_true(client_open(&c));
        say_hello(&c, &old, rows[i].echo, rows[i].random);
        CHECK((sparp__tls_status(c.tls) == SPARP__TLS_FAILED) == (rows[i].why != NULL), "%d",
              (int)i);
        CHECK(rows[i].why == NULL || strstr(told(&c), rows[i].why) != NULL, "%s", told(&c));
        client_end(&c);
    }
    client_begin(&c, NULL);
    assert_true(client_open(&c));
    say_hello(&c, &new_one, false, NULL);
    CHECK(strstr(told(&c), "session id") != NULL, "%s", told(&c));
    client_end(&c);
}

/* --- every bit turned round ------------------------------------------------------------------- */

typedef struct flip {
    int message, seen;                  /* of the messages, the how-many-eth */
    size_t bit, bits;                   /* bits: out */
} flip;

static void turn(int type, unsigned char *message, size_t size, void *user_data) {
    flip *f = (flip *)user_data;
    (void)type;
    if (f->seen++ != f->message)
        return;
    f->bits = 8 * size;
    if (f->bit < f->bits)
        message[f->bit / 8] ^= (unsigned char)(1 << f->bit % 8);
}

/* One handshake; whether it opened. */
static bool shake_with(flip *f, bool retries, bool asks, bool resumes) {
    server s;
    client c;
    chance = 7;
    server_begin(&s);
    client_begin(&c, &s);
    bool open = true;
    for (int i = 0; i < (resumes ? 2 : 1); i++) {
        s.retries = retries;
        s.asks = asks;
        s.in_clear = true;              /* a message is a record: its length may be wrong */
        f->seen = 0;
        s.mutate = !resumes || i == 1 ? turn : NULL;
        s.user_data = f;
        assert_true(client_open(&c));
        talk(&c, &s, 0);
        open = sparp__tls_status(c.tls) == SPARP__TLS_OPEN && s.open;
        if (i == 0 && resumes) {
            assert_true(open);
            server_again(&s);
        }
    }
    client_end(&c);
    server_end(&s);
    return open;
}

/* Of the bits only every so-many-th, or all with EVERY=1 in the environment. */
static size_t every(void) {
    const char *text = getenv("EVERY");
    return text != NULL ? (size_t)atoi(text) : 11;
}

/* Whatever bit of whatever message of the server is wrong, the handshake does not open. */
static void test_flips(void **state) {
    static const struct { bool retries, asks, resumes; int messages; } ways[] = {
        {false, false, false, 5}, {true, true, false, 7}, {false, false, true, 3}
    };
    size_t flips = 0, step = every();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ways); i++)
        for (int message = 0; message < ways[i].messages; message++) {
            flip f = {message, 0, SIZE_MAX, 0};
            assert_true(shake_with(&f, ways[i].retries, ways[i].asks, ways[i].resumes));
            assert_true(f.bits > 0);
            for (f.bit = (size_t)message % step; f.bit < f.bits; f.bit += step, flips++)
                CHECK(!shake_with(&f, ways[i].retries, ways[i].asks, ways[i].resumes),
                      "way %d, message %d, bit %d of %d", (int)i, message, (int)f.bit,
                      (int)f.bits);
        }
    printf("%d bits\n", (int)flips);
}

/* --- the same with TLS 1.2: BearSSL's own server, in memory ---------------------------------- */

typedef struct old_server {
    br_ssl_server_context context;
    br_ec_private_key key;
    br_x509_certificate chain;
    unsigned char buffer[BR_SSL_BUFSIZE_BIDI];
} old_server;

static void old_server_begin(old_server *o, server *s) {
    unsigned char seed[32] = {1};
    o->key.curve = BR_EC_secp256r1;
    o->key.x = (unsigned char *)(uintptr_t)server_scalar;
    o->key.xlen = 32;
    o->chain.data = (unsigned char *)s->cert.data;
    o->chain.data_len = s->cert.size;
    br_ssl_server_init_full_ec(&o->context, &o->chain, 1, BR_KEYTYPE_EC, &o->key);
    br_ssl_engine_set_versions(&o->context.eng, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_buffer(&o->context.eng, o->buffer, sizeof o->buffer, 1);
    o->context.eng.rng_os_rand_done = 1;        /* the same again: no other chance */
    br_ssl_engine_inject_entropy(&o->context.eng, seed, sizeof seed);
    assert_int_equal(br_ssl_server_reset(&o->context), 1);
}

/* The bytes from `at` on that the server sends are counted in *sent; bit `bit` of them is turned
   round. Whether the client thinks that it is open. */
static bool old_shake(size_t bit, size_t *sent) {
    server s;
    client c;
    old_server *o = (old_server *)calloc(1, sizeof *o);
    assert_non_null(o);
    chance = 7;
    server_begin(&s);
    client_begin(&c, &s);
    old_server_begin(o, &s);
    assert_true(client_open(&c));
    *sent = 0;
    for (bool more = true; more;) {
        sparp__str out = sparp__tls_peek_out(c.tls);
        size_t n = 0;
        unsigned char *at = br_ssl_engine_recvrec_buf(&o->context.eng, &n);
        more = out.size > 0 && at != NULL;
        n = !more ? 0 : n < out.size ? n : out.size;
        if (n > 0) {
            memcpy(at, out.data, n);
            br_ssl_engine_recvrec_ack(&o->context.eng, n);
            sparp__tls_ack_out(c.tls, n);
        }
        at = br_ssl_engine_sendrec_buf(&o->context.eng, &n);
        if (at != NULL) {
            more = true;
            if (bit / 8 >= *sent && bit / 8 < *sent + n)
                at[bit / 8 - *sent] ^= (unsigned char)(1 << bit % 8);
            *sent += n;
            client_push(&c, sparp__str_make((const char *)at, n), 0);
            br_ssl_engine_sendrec_ack(&o->context.eng, n);
        }
    }
    bool open = sparp__tls_status(c.tls) == SPARP__TLS_OPEN;
    client_end(&c);
    server_end(&s);
    free(o);
    return open;
}

/* Whole records, headers and all: only the version of a record may be anything. */
static void test_old_flips(void **state) {
    size_t step = every(), sent = 0, opened = 0;
    size_t records = 6;                 /* ServerHello ... Finished, each of its own */
    (void)state;
    assert_true(old_shake(SIZE_MAX, &sent));
    assert_true(sent > 500);
    size_t all = sent;
    for (size_t bit = 0; bit < 8 * all; bit += step)
        if (old_shake(bit, &sent)) {
            opened++;
            CHECK(sent >= all, "bit %d: it is open before the end", (int)bit);
        }
    CHECK(opened <= 8 * records, "%d bits made no difference", (int)opened);
}

/* --- memory ----------------------------------------------------------------------------------- */

/* Each allocation fails once: the fault says so, or it did without. */
static void test_no_memory(void **state) {
    (void)state;
    for (int way = 0; way < 4; way++) {
        bool done = false;
        for (size_t at = 1; !done; at++) {
            server s;
            client c;
            server_begin(&s);
            client_begin(&c, &s);
            for (int i = 0; i < (way == 3 ? 2 : 1); i++) {
                s.retries = way == 1;
                s.asks = s.requests_update = way == 2;
                c.memory.calls = 0;
                c.memory.fail_at = way < 3 || i == 1 ? at : 0;
                if (client_open(&c)) {
                    talk(&c, &s, way == 2 ? 5 : 0);
                    if (sparp__tls_status(c.tls) == SPARP__TLS_OPEN)
                        sparp__tls_write(c.tls, sparp__str_of("x"));
                    told(&c);
                }
                if (way == 3 && i == 0)
                    server_again(&s);
            }
            done = c.memory.calls < at;
            CHECK(c.tls != NULL || c.fault.error == SPARP_E_OUT_OF_MEMORY, "%d: %s", (int)at,
                  c.fault.detail);
            CHECK(c.tls == NULL || sparp__tls_status(c.tls) == SPARP__TLS_OPEN
                  || c.fault.error == SPARP_E_OUT_OF_MEMORY, "%d: %s", (int)at, c.fault.detail);
            c.memory.fail_at = 0;
            client_end(&c);
            server_end(&s);
            assert_true(at < 1000);
        }
    }
}

/* --- secrets ---------------------------------------------------------------------------------- */

static unsigned char freed[1 << 20];
static size_t freed_size;

/* Keeps an image of everything that is given back. */
static void *watching_func(void *ptr, size_t old_size, size_t new_size, void *user_data) {
    (void)user_data;
    void *moved = new_size > 0 ? malloc(new_size) : NULL;       /* always elsewhere */
    if (ptr == NULL)
        return moved;
    if (moved != NULL)
        memcpy(moved, ptr, old_size < new_size ? old_size : new_size);
    assert_true(freed_size + old_size < sizeof freed);
    memcpy(freed + freed_size, ptr, old_size);
    freed_size += old_size;
    free(ptr);
    return moved;
}

static bool was_freed_with(const unsigned char *secret, size_t size) {
    for (size_t i = 0; i + size <= freed_size; i++)
        if (memcmp(freed + i, secret, size) == 0)
            return true;
    return false;
}

/* Keys, private keys and what can be resumed are overwritten before their memory is given back. */
static void test_secrets_are_wiped(void **state) {
    server s;
    client c;
    unsigned char secrets[8][32];
    (void)state;
    freed_size = 0;
    server_begin(&s);
    client_begin(&c, NULL);
    c.env.allocator.func = watching_func;
    c.options.insecure_no_verify = true;
    for (int i = 0; i < 2; i++) {
        assert_true(client_open(&c));
        memcpy(secrets[0], c.tls->shake->private_key, 32);
        talk(&c, &s, 0);
        expect_open(&c, &s);
        memcpy(secrets[1], s.shake.secret, 32);
        memcpy(secrets[2], s.client_secret, 32);
        memcpy(secrets[3], s.server_secret, 32);
        memcpy(secrets[4], c.tls->in.secret, 32);
        memcpy(secrets[5], c.tls->out.secret, 32);
        memcpy(secrets[6], c.tls->master, 32);
        memcpy(secrets[7], c.session.secret, 32);
        expect_data(&c, &s);
        if (i == 0)
            server_again(&s);
        sparp__tls_free(c.tls);
        c.tls = NULL;
    }
    sparp__tls_session_clear(&c.env, &c.session);
    for (size_t i = 0; i < sizeof c.session.secret; i++)
        assert_int_equal(c.session.secret[i], 0);
    assert_true(freed_size > 1000);
    for (int i = 0; i < 8; i++)
        CHECK(!was_freed_with(secrets[i], 16), "secret %d was given back as it was", i);
    memcpy(freed + freed_size, secrets[0], 32);         /* the search finds what there is */
    freed_size += 32;
    assert_true(was_freed_with(secrets[0], 16));
    sparp__trust_free(&c.env, &c.trust);
    server_end(&s);
}

/* --- X25519 ----------------------------------------------------------------------------------- */

static void test_x25519(void **state) {
    static const struct { const char *scalar, *point, *result; } rows[] = {      /* RFC 7748 §5.2 */
        {"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
         "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
         "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
        {"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
         "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
         "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"}
    };
    sparp__crypto crypto;
    unsigned char scalar[32], point[32], result[32], mine[32];
    uint64_t dice = 42;
    (void)state;
    sparp__crypto_choose(&crypto);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unhex(rows[i].scalar, scalar);
        unhex(rows[i].point, point);
        unhex(rows[i].result, result);
        sparp__x25519(&crypto, mine, scalar, point);
        assert_memory_equal(mine, result, 32);
    }
    for (int n = 0; n < 3000; n++) {    /* the edges too: 0, 1, p - 3 .. p + 3, 2^256 - 1 */
        for (size_t i = 0; i < 32; i++) {
            scalar[i] = (unsigned char)test_random(&dice);
            point[i] = (unsigned char)test_random(&dice);
        }
        if (n % 5 == 0)
            memset(point, n % 2 != 0 ? 0xFF : 0, 31);
        if (n % 7 == 0) {
            memset(point, 0xFF, 32);
            point[0] = (unsigned char)(0xED - 3 + n / 7 % 7);
            point[31] = n % 2 != 0 ? 0x7F : 0xFF;
        }
        if (n % 11 == 0) {
            memset(point, 0, 32);
            point[0] = (unsigned char)(n / 11 % 3);
        }
        memcpy(result, point, 32);
        crypto.ec->mul(result, 32, scalar, 32, BR_EC_curve25519);
        sparp__x25519(&crypto, mine, scalar, point);
        assert_memory_equal(mine, result, 32);
    }
}

/* --- chains ----------------------------------------------------------------------------------- */

static unsigned char long_scalar[66] = {0};

static const der_key big_key = {BR_EC_secp521r1, long_scalar, 66};

typedef struct made {                   /* a Certificate message's list, without extensions */
    sparp__env env;
    sparp__buf list, der, extensions;
} made;

static void made_begin(made *m) {
    memset(m, 0, sizeof *m);
    m->env.allocator.func = sparp__env_default_allocator;
    memset(long_scalar + 1, 0x21, 65);
}

static void made_end(made *m) {
    sparp__buf_free(&m->env, &m->list);
    sparp__buf_free(&m->env, &m->der);
    sparp__buf_free(&m->env, &m->extensions);
}

static void made_extension(made *m, const char *oid, const void *value, size_t size) {
    size_t mark = m->extensions.size;
    der_put(&m->env, &m->extensions, 0x06, oid, 3);
    der_put(&m->env, &m->extensions, 0x04, value, size);
    der_wrap(&m->env, &m->extensions, mark, 0x30);
}

static void made_ca(made *m) {
    made_extension(m, "\x55\x1D\x13", "\x30\x03\x01\x01\xFF", 5);
}

static void made_names(made *m, const char *names, size_t size) {
    made_extension(m, "\x55\x1D\x11", names, size);
}

/* With the extensions so far, which are used up. */
static void made_add(made *m, const char *issuer, const char *subject, const der_key *key,
                     const der_key *by) {
    char size[3];
    m->der.size = 0;
    der_certificate(&m->env, &m->der, issuer, subject, key, by,
                    sparp__str_make(m->extensions.data, m->extensions.size));
    size[0] = (char)(m->der.size >> 16);
    size[1] = (char)(m->der.size >> 8);
    size[2] = (char)m->der.size;
    sparp__buf_append(&m->env, &m->list, size, 3);
    sparp__buf_append(&m->env, &m->list, m->der.data, m->der.size);
    m->extensions.size = 0;
}

static void made_trust(made *m, sparp__anchors *anchors) {
    assert_true(sparp__anchors_add(&m->env, anchors,
                                   sparp__str_make(m->der.data, m->der.size)));
    m->list.size = 0;
}

typedef struct verdict {
    sparp__chain_answer answer;
    sparp__flaw flaw;
    int steps, turns, work, most;       /* most: in one turn */
    char why[200];
} verdict;

static verdict judge(const made *m, const sparp__anchors *anchors, const char *host) {
    sparp__crypto crypto;
    sparp__address ip;
    sparp__fault fault;
    verdict v;
    memset(&v, 0, sizeof v);
    memset(&fault, 0, sizeof fault);
    sparp__crypto_choose(&crypto);
    sparp__chain *chain = (sparp__chain *)calloc(1, sizeof *chain);
    assert_non_null(chain);
    chain->crypto = &crypto;
    chain->anchors = anchors;
    chain->host = host;
    chain->ip = sparp__address_parse(&ip, host) ? &ip : NULL;
    chain->wall_s = 1800000000;
    assert_true(sparp__chain_take(chain, sparp__str_make(m->list.data, m->list.size), false));
    v.answer = SPARP__NOT_YET;
    while (v.answer == SPARP__NOT_YET) {
        int work = 0;
        v.answer = sparp__chain_search(chain, &work);
        v.turns++;
        v.work += work;
        v.most = work > v.most ? work : v.most;
    }
    v.steps = chain->steps;
    v.flaw = chain->flaw;
    if (v.answer == SPARP__NO)
        sparp__chain_say_why(chain, &fault);
    memcpy(v.why, fault.detail, sizeof fault.detail);
    free(chain);
    return v;
}

/* Ten that share a name, of which each could have issued each: with nobody who is trusted, with
   somebody of that name who is, and with one who has really signed them all. */
static void test_chains_that_cost(void **state) {
    sparp__anchors none, some, big;
    made m;
    (void)state;
    memset(&none, 0, sizeof none);
    memset(&some, 0, sizeof some);
    memset(&big, 0, sizeof big);
    made_begin(&m);
    made_ca(&m);
    made_add(&m, "same", "same", &server_key, &server_key);
    made_trust(&m, &some);
    made_ca(&m);
    made_add(&m, "same", "same", &big_key, &big_key);
    made_trust(&m, &big);
    sparp__anchors_finish(&m.env, &some);
    sparp__anchors_finish(&m.env, &big);
    for (int forged = 0; forged < 2; forged++) {
        m.list.size = 0;
        made_add(&m, "same", "leaf", &big_key, forged ? NULL : &big_key);
        for (int i = 1; i < 40; i++) {
            made_ca(&m);
            made_add(&m, "same", "same", &big_key, forged ? NULL : &big_key);
        }
        verdict v = judge(&m, &none, "server.test");
        assert_int_equal(v.answer, SPARP__NO);
        assert_int_equal(v.work, 0);
        CHECK(v.steps <= MAX_STEPS, "%d steps", v.steps);
        assert_string_equal(v.why, "certificate is from an unknown issuer: same");
        v = judge(&m, &some, "server.test");
        assert_int_equal(v.answer, SPARP__NO);
        CHECK(v.work <= 10 * WORK_P256, "%d tenths of a millisecond", v.work);
        v = judge(&m, &big, "server.test");
        assert_int_equal(v.answer, forged ? SPARP__NO : SPARP__YES);
        CHECK(v.most <= 2 * WORK_A_TURN, "%d tenths of a millisecond in a turn", v.most);
        CHECK(v.work <= 11 * WORK_P521, "%d tenths of a millisecond", v.work);
        assert_true(forged ? v.turns > 5 : v.turns >= 1);
    }
    sparp__anchors_free(&m.env, &some);
    sparp__anchors_free(&m.env, &big);
    made_end(&m);
}

/* The one that matters comes behind a hundred others. */
static void test_bundle(void **state) {
    sparp__anchors anchors;
    made m;
    (void)state;
    memset(&anchors, 0, sizeof anchors);
    made_begin(&m);
    made_ca(&m);
    made_add(&m, "root", "root", &server_key, &server_key);
    made_trust(&m, &anchors);
    sparp__anchors_finish(&m.env, &anchors);
    made_add(&m, "middle", "leaf", &server_key, &server_key);
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "other %d", i);
        made_ca(&m);
        made_add(&m, name, name, &server_key, NULL);
    }
    made_ca(&m);
    made_add(&m, "root", "middle", &server_key, &server_key);
    verdict v = judge(&m, &anchors, "server.test");
    CHECK(v.answer == SPARP__YES, "%s", v.why);
    sparp__anchors_free(&m.env, &anchors);
    made_end(&m);
}

/* Names, of the leaf; constraints, of the one above it or of the anchor. */
static void test_constraints(void **state) {
#define DNS(name) "\x82", name
    static const struct {
        const char *constraints;        /* hexadecimal, what is inside of the SEQUENCE */
        const char *names;              /* the same */
        const char *host;
        bool good;
    } rows[] = {
        /* permitted DNS good.test */
        {"a00d300b8209676f6f642e74657374", "8209676f6f642e74657374", "good.test", true},
        {"a00d300b8209676f6f642e74657374", "820b612e676f6f642e74657374", "a.good.test", true},
        {"a00d300b8209676f6f642e74657374", "820b2a2e676f6f642e74657374", "a.good.test", true},
        {"a00d300b8209676f6f642e74657374", "820a78676f6f642e74657374", "xgood.test", false},
        {"a00d300b8209676f6f642e74657374", "8209474f4f442e74657374", "good.test", true},
        {"a00d300b8209676f6f642e74657374", "87047f000001", "127.0.0.1", true},
        /* one name too many */
        {"a00d300b8209676f6f642e74657374", "8209676f6f642e746573748204612e6262", "good.test",
         false},
        /* excluded DNS bad.test */
        {"a10c300a82086261642e74657374", "8209676f6f642e74657374", "good.test", true},
        {"a10c300a82086261642e74657374", "82086261642e74657374", "bad.test", false},
        {"a10c300a82086261642e74657374", "82062a2e74657374", "bad.test", false},
        {"a10c300a82086261642e74657374", "82062a2e74657374", "fine.test", true},
        /* permitted DNS .good.test: below it only */
        {"a00e300c820a2e676f6f642e74657374", "820b612e676f6f642e74657374", "a.good.test", true},
        {"a00e300c820a2e676f6f642e74657374", "8209676f6f642e74657374", "good.test", false},
        /* permitted IP 10.0.0.0/8; excluded 10.1.0.0/16 */
        {"a00c300a87080a000000ff000000", "87040a000001", "10.0.0.1", true},
        {"a00c300a87080a000000ff000000", "87040b000001", "11.0.0.1", false},
        {"a10c300a87080a010000ffff0000", "87040a010203", "10.1.2.3", false},
        {"a10c300a87080a010000ffff0000", "87040a020203", "10.2.2.3", true},
        {"a00c300a87080a000000ff000000", "871000000000000000000000000000000001", "::1", false},
        {"a00830068704" "0a000000", "87040a000001", "10.0.0.1", false},
        /* other forms: of a directory name, which the subject is; of mail, which is not there */
        {"a0043002a400", "8209676f6f642e74657374", "good.test", false},
        {"a1043002a400", "8209676f6f642e74657374", "good.test", false},
        {"a0083006810461406263", "8209676f6f642e74657374", "good.test", true},
        {"a0083006810461406263", "8209676f6f642e746573748104624063" "64", "good.test", false},
        /* a minimum; rubbish */
        {"a00e300c8209676f6f642e74657374" "8000", "8209676f6f642e74657374", "good.test", false},
        {"a0023005", "8209676f6f642e74657374", "good.test", false},
        {"a0", "8209676f6f642e74657374", "good.test", false}
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (int of_anchor = 0; of_anchor < 2; of_anchor++) {
            sparp__anchors anchors;
            made m;
            unsigned char inside[256], names[256];
            size_t n = unhex(rows[i].constraints, inside + 2), k = unhex(rows[i].names, names + 2);
            inside[0] = names[0] = 0x30;
            inside[1] = (unsigned char)n;
            names[1] = (unsigned char)k;
            memset(&anchors, 0, sizeof anchors);
            made_begin(&m);
            made_ca(&m);
            if (of_anchor)
                made_extension(&m, "\x55\x1D\x1E", inside, n + 2);
            made_add(&m, "root", "root", &server_key, &server_key);
            made_trust(&m, &anchors);
            sparp__anchors_finish(&m.env, &anchors);
            made_names(&m, (const char *)names, k + 2);
            made_add(&m, "middle", "", &server_key, &server_key);
            made_ca(&m);
            if (!of_anchor)
                made_extension(&m, "\x55\x1D\x1E", inside, n + 2);
            made_add(&m, "root", "middle", &server_key, &server_key);
            verdict v = judge(&m, &anchors, rows[i].host);
            CHECK((v.answer == SPARP__YES) == rows[i].good, "row %d, %s: %s", (int)i,
                  of_anchor ? "anchor" : "middle", v.why);
            CHECK(rows[i].good || v.flaw == SPARP__FLAW_CONSTRAINT, "row %d: %s", (int)i, v.why);
            sparp__anchors_free(&m.env, &anchors);
            made_end(&m);
        }
}

/* The dates of a sentence, whatever a time_t is. */
static void test_dates(void **state) {
    static const struct { int64_t unix_s; const char *date; } rows[] = {
        {0, "1970-01-01"}, {86399, "1970-01-01"}, {86400, "1970-01-02"}, {-1, "1969-12-31"},
        {951782400, "2000-02-29"}, {951868800, "2000-03-01"}, {978220800, "2000-12-31"},
        {INT64_C(2147483647), "2038-01-19"}, {INT64_C(2147483648), "2038-01-19"},
        {INT64_C(2524607999), "2049-12-31"}, {INT64_C(4107542400), "2100-03-01"},
        {INT64_C(253402300799), "9999-12-31"}, {INT64_C(-62135596800), "0001-01-01"}
    };
    char date[40];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        sparp__chain_show_date(rows[i].unix_s, date, sizeof date);
        assert_string_equal(date, rows[i].date);
    }
    for (int64_t day = -300000; day < 300000; day += 13) {     /* 1148 to 2791, and back */
        int year, month, of_month;
        sparp__chain_show_date(day * 86400, date, sizeof date);
        assert_int_equal(sscanf(date, "%d-%d-%d", &year, &month, &of_month), 3);
        assert_true(sparp__days(year, month, of_month) == day);
    }
}

/* --- PEM -------------------------------------------------------------------------------------- */

/* 660 KB of beginnings without an end: each byte is looked at a few times only. */
static void test_pem_is_linear(void **state) {
    static const char line[] = "-----BEGIN CERTIFICATE-----\nMII\n";
    size_t count = 20000, n = 0;
    char *text = (char *)malloc(count * (sizeof line - 1));
    sparp__str rest, label, base64;
    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * (sizeof line - 1), line, sizeof line - 1);
    rest = sparp__str_make(text, count * (sizeof line - 1));
    clock_t from = clock();             /* it took 17 s when it went back and forth */
    while (sparp__pem_next(&rest, &label, &base64)) {
        assert_int_equal(base64.size, 0);
        n++;
    }
    CHECK(clock() - from < CLOCKS_PER_SEC, "%d ms", (int)((clock() - from) / 1000));
    assert_int_equal(n, count - 1);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_rfc8448), TEST(test_ways),
        TEST(test_resumption), TEST(test_session_is_copied),
        TEST(test_promoted),
        TEST(test_key_update), TEST(test_with_finished),
        TEST(test_close), TEST(test_bad_records),
        TEST(test_bad_beginnings), TEST(test_bad_hellos),
        TEST(test_downgrades), TEST(test_no_memory),
        TEST(test_secrets_are_wiped), TEST(test_x25519),
        TEST(test_chains_that_cost), TEST(test_bundle),
        TEST(test_constraints), TEST(test_dates), TEST(test_pem_is_linear),
        TEST(test_flips), TEST(test_old_flips)
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif

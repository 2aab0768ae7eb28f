/* server.h - a server of TLS 1.3 in memory, made of the library's own parts, which can misbehave.
   Include it after sparp.h with its implementation. It has one certificate for "server.test", by
   itself, of P-256, and knows one suite, TLS_AES_128_GCM_SHA256.

       server_begin(&server);                      zeroed: it behaves
       server_push(&server, tls's bytes);          server.out is what it says to them */
#ifndef TESTS_TLS_SERVER_H
#define TESTS_TLS_SERVER_H

typedef struct server {
    sparp__env env;
    sparp__trust trust;                 /* its crypto */
    sparp__tls tls;                     /* its ciphers, outgoing records and transcript */
    sparp__shake shake;
    unsigned char client_secret[48], server_secret[48], next_client[48], next_server[48];
    unsigned char psk[48];              /* of the last ticket */
    sparp__buf in, cert, flight;
    sparp__str out;                     /* everything said so far: server.tls.outgoing */
    bool open, closed, resumed;
    int hellos, data_bytes, alert, updates;

    /* what it does */
    bool in_clear;                      /* a flight of records of one message each */
    bool retries, retries_twice, asks, no_ticket, pads, splits, close_with_finished;
    bool data_with_finished, requests_update;
    unsigned group;                     /* of its key share; 0: that of the hello */
    void (*mutate)(int type, unsigned char *message, size_t size, void *user_data);
    void *user_data;                    /* (mutated is what is sent; the transcript is right) */
} server;

static const unsigned char server_scalar[32] = {
    0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x08, 0x19, 0x2A, 0x3B, 0x4C, 0x5D, 0x6E, 0x7F, 0x01,
    0x12, 0x23, 0x34, 0x45, 0x56, 0x67, 0x78, 0x09, 0x1A, 0x2B, 0x3C, 0x4D, 0x5E, 0x6F, 0x70, 0x02
};

/* --- a certificate ---------------------------------------------------------------------------- */

/* An element of DER around what stands in `b` from `mark` on. */
static void der_wrap(sparp__env *env, sparp__buf *b, size_t mark, int tag) {
    size_t size = b->size - mark;
    char head[5];
    size_t n = 0;
    head[n++] = (char)tag;
    if (size > 255) {
        head[n++] = (char)0x82;
        head[n++] = (char)(size >> 8);
    } else if (size > 127) {
        head[n++] = (char)0x81;
    }
    head[n++] = (char)size;
    if (!sparp__buf_reserve(env, b, n))
        abort();
    memmove(b->data + mark + n, b->data + mark, size);
    memcpy(b->data + mark, head, n);
    b->size += n;
}

static void der_put(sparp__env *env, sparp__buf *b, int tag, const void *value, size_t size) {
    size_t mark = b->size;
    if (!sparp__buf_append(env, b, (const char *)value, size))
        abort();
    der_wrap(env, b, mark, tag);
}

static void der_name(sparp__env *env, sparp__buf *b, const char *name) {
    size_t mark = b->size;
    der_put(env, b, 0x06, "\x55\x04\x03", 3);
    der_put(env, b, 0x0C, name, strlen(name));
    der_wrap(env, b, mark, 0x30);
    der_wrap(env, b, mark, 0x31);
    der_wrap(env, b, mark, 0x30);
}

typedef struct der_key {                /* a key on one of the NIST curves */
    int curve;
    const unsigned char *scalar;
    size_t size;
} der_key;

static void der_spki(sparp__env *env, sparp__buf *b, const der_key *key) {
    unsigned char point[1 + 133] = {0}; /* a BIT STRING has no unused bits */
    br_ec_private_key sk;
    br_ec_public_key pk;
    size_t mark = b->size;
    sk.curve = key->curve;
    sk.x = (unsigned char *)(uintptr_t)key->scalar;
    sk.xlen = key->size;
    size_t n = br_ec_compute_pub(br_ec_get_default(), &pk, point + 1, &sk);
    der_put(env, b, 0x06, "\x2A\x86\x48\xCE\x3D\x02\x01", 7);
    if (key->curve == BR_EC_secp256r1)
        der_put(env, b, 0x06, "\x2A\x86\x48\xCE\x3D\x03\x01\x07", 8);
    else
        der_put(env, b, 0x06, key->curve == BR_EC_secp384r1 ? "\x2B\x81\x04\x00\x22"
                : "\x2B\x81\x04\x00\x23", 5);
    der_wrap(env, b, mark, 0x30);
    der_put(env, b, 0x03, point, 1 + n);
    der_wrap(env, b, mark, 0x30);
}

/* `extensions`: whole ones, one after the other. Signed with ECDSA and SHA-256; by nobody if `by`
   is NULL. */
static void der_certificate(sparp__env *env, sparp__buf *b, const char *issuer,
                            const char *subject, const der_key *key, const der_key *by,
                            sparp__str extensions) {
    static const char algorithm[] = "\x2A\x86\x48\xCE\x3D\x04\x03\x02";
    size_t tbs = b->size, mark;
    unsigned char hash[32], sig[1 + 139] = {0};
    size_t n = 8;
    der_put(env, b, 0x02, "\x02", 1);
    der_wrap(env, b, tbs, 0xA0);
    der_put(env, b, 0x02, "\x05", 1);
    mark = b->size;
    der_put(env, b, 0x06, algorithm, 8);
    der_wrap(env, b, mark, 0x30);
    der_name(env, b, issuer);
    mark = b->size;
    der_put(env, b, 0x17, "200101000000Z", 13);
    der_put(env, b, 0x18, "20490101000000Z", 15);
    der_wrap(env, b, mark, 0x30);
    der_name(env, b, subject);
    der_spki(env, b, key);
    if (extensions.size > 0) {
        mark = b->size;
        sparp__buf_add(env, b, extensions);
        der_wrap(env, b, mark, 0x30);
        der_wrap(env, b, mark, 0xA3);
    }
    der_wrap(env, b, tbs, 0x30);
    sparp__digest(32, b->data + tbs, b->size - tbs, hash);
    if (by != NULL) {
        br_ec_private_key sk;
        sk.curve = by->curve;
        sk.x = (unsigned char *)(uintptr_t)by->scalar;
        sk.xlen = by->size;
        n = br_ecdsa_i31_sign_asn1(br_ec_get_default(), &br_sha256_vtable, hash, &sk, sig + 1);
    }
    mark = b->size;
    der_put(env, b, 0x06, algorithm, 8);
    der_wrap(env, b, mark, 0x30);
    der_put(env, b, 0x03, sig, 1 + n);
    der_wrap(env, b, tbs, 0x30);
}

/* --- messages --------------------------------------------------------------------------------- */

static const der_key server_key = {BR_EC_secp256r1, server_scalar, 32};

static void server_send(server *s, int type, const void *data, size_t size) {
    if (!sparp__record_send(&s->tls, type, data, size))
        abort();
    s->out = sparp__str_make(s->tls.outgoing.data, s->tls.outgoing.size);
}

/* The rest of the flight, if messages share records. */
static void server_flush(server *s) {
    if (s->flight.size > 0)
        server_send(s, SPARP__TYPE_HANDSHAKE, s->flight.data, s->flight.size);
    s->flight.size = 0;
}

static void server_message(server *s, int type, const sparp__buf *body) {
    sparp__buf m;
    memset(&m, 0, sizeof m);
    sparp__wire w = sparp__wire_begin(&s->tls, &m);
    sparp__wire_put_number(&w, (uint32_t)type, 1);
    sparp__wire_put_vector(&w, body->data, body->size, 3);
    if (s->tls.shake != NULL && s->shake.transcript.vtable != NULL)
        sparp__transcript_add(&s->tls, sparp__str_make(m.data, m.size));
    if (s->mutate != NULL)
        s->mutate(type, (unsigned char *)m.data, m.size, s->user_data);
    sparp__buf_append(&s->env, &s->flight, m.data, m.size);
    for (size_t i = 0; s->splits && i < s->flight.size; i++)
        server_send(s, SPARP__TYPE_HANDSHAKE, s->flight.data + i, 1);
    if (s->splits)
        s->flight.size = 0;
    if (s->in_clear)
        server_flush(s);
    sparp__buf_free(&s->env, &m);
}

static void server_finished(server *s, const unsigned char *secret, unsigned char *mac) {
    unsigned char key[32], hash[64];
    sparp__expand_plain(32, secret, "finished", key, 32);
    sparp__transcript_out(&s->tls, hash);
    sparp__hmac(32, key, 32, hash, 32, mac);
}

typedef struct server_hello {
    sparp__str random, id, point, ticket;
    unsigned group;
    size_t binders;                     /* bytes behind the PSK's list */
} server_hello;

static bool server_read_hello(sparp__str in, server_hello *h) {
    memset(h, 0, sizeof *h);
    sparp__wire_number(&in, 2);
    h->random = sparp__wire_take(&in, 32);
    h->id = sparp__wire_vector(&in, 1);
    sparp__wire_vector(&in, 2);
    sparp__wire_vector(&in, 1);
    sparp__str list = sparp__wire_vector(&in, 2);
    while (list.size > 0) {
        unsigned id = sparp__wire_number(&list, 2);
        sparp__str body = sparp__wire_vector(&list, 2), inner;
        if (id == 51) {
            inner = sparp__wire_vector(&body, 2);
            if (inner.size > 0) {
                h->group = sparp__wire_number(&inner, 2);
                h->point = sparp__wire_vector(&inner, 2);
            }
        } else if (id == 41) {
            inner = sparp__wire_vector(&body, 2);
            h->ticket = sparp__wire_vector(&inner, 2);
            h->binders = body.size;
        }
    }
    return list.data != NULL;
}

static void server_say_hello(server *s, const server_hello *h, bool retry) {
    sparp__buf b;
    unsigned char random[32];
    memset(&b, 0, sizeof b);
    memset(random, 0x5A, sizeof random);
    sparp__wire w = sparp__wire_begin(&s->tls, &b);
    sparp__wire_put_number(&w, 0x0303, 2);
    sparp__wire_put(&w, retry ? sparp__retry_random : random, 32);
    sparp__wire_put_vector(&w, h->id.data, h->id.size, 1);
    sparp__wire_put_number(&w, 0x1301, 2);
    sparp__wire_put_number(&w, 0, 1);
    size_t list = sparp__wire_open(&w, 2);
    sparp__hello_put(&w, 43, "\x03\x04", 2);
    size_t share = sparp__hello_open(&w, 51);
    sparp__wire_put_number(&w, retry ? BR_EC_secp256r1 : s->shake.group, 2);
    if (!retry)
        sparp__wire_put_vector(&w, s->shake.share, s->shake.share_size, 2);
    sparp__wire_close(&w, share, 2);
    if (s->resumed)
        sparp__hello_put(&w, 41, "\x00\x00", 2);
    sparp__wire_close(&w, list, 2);
    server_message(s, 2, &b);
    server_flush(s);
    sparp__buf_free(&s->env, &b);
}

static void server_say_certificate(server *s) {
    sparp__buf b;
    unsigned char content[98 + 64], hash[32], sig[139];
    br_ec_private_key sk;
    memset(&b, 0, sizeof b);
    sparp__wire w = sparp__wire_begin(&s->tls, &b);
    if (s->asks) {
        sparp__wire_put(&w, "\x00\x00\x08\x00\x0D\x00\x04\x00\x02\x04\x03", 11);
        server_message(s, 13, &b);
        b.size = 0;
    }
    sparp__wire_put_number(&w, 0, 1);
    size_t list = sparp__wire_open(&w, 3);
    sparp__wire_put_vector(&w, s->cert.data, s->cert.size, 3);
    sparp__wire_put_number(&w, 0, 2);
    sparp__wire_close(&w, list, 3);
    server_message(s, 11, &b);
    b.size = 0;
    size_t size = sparp__shake_signed(&s->tls, "TLS 1.3, server CertificateVerify", content);
    sparp__digest(32, content, size, hash);
    sk.curve = BR_EC_secp256r1;
    sk.x = (unsigned char *)(uintptr_t)server_scalar;
    sk.xlen = 32;
    size = br_ecdsa_i31_sign_asn1(br_ec_get_default(), &br_sha256_vtable, hash, &sk, sig);
    sparp__wire_put_number(&w, 0x0403, 2);
    sparp__wire_put_vector(&w, sig, size, 2);
    server_message(s, 15, &b);
    sparp__buf_free(&s->env, &b);
}

/* ServerHello to Finished, and the keys behind them. */
static void server_say_flight(server *s, const server_hello *h) {
    unsigned char shared[48], hash[64], mac[32];
    static const unsigned char zeros[32];
    sparp__buf b;
    memset(&b, 0, sizeof b);
    if (!sparp__group_begin(&s->tls, s->group != 0 ? s->group : h->group))
        abort();
    size_t size = sparp__group_agree(&s->tls, h->point, shared);
    server_say_hello(s, h, false);
    s->tls.version = SPARP_TLS_1_3;
    sparp__extract_early(32, s->resumed ? s->psk : NULL, s->shake.secret);
    sparp__extract_next(32, s->shake.secret, shared, size);
    sparp__transcript_out(&s->tls, hash);
    sparp__derive(32, s->shake.secret, "c hs traffic", hash, s->client_secret);
    sparp__derive(32, s->shake.secret, "s hs traffic", hash, s->server_secret);
    sparp__cipher_secret(&s->tls, &s->tls.in, s->client_secret);
    sparp__cipher_secret(&s->tls, &s->tls.out, s->server_secret);
    s->tls.reading = s->tls.writing = true;
    sparp__buf_append(&s->env, &b, "\x00\x00", 2);
    server_message(s, 8, &b);
    if (!s->resumed)
        server_say_certificate(s);
    server_finished(s, s->server_secret, mac);
    b.size = 0;
    sparp__buf_append(&s->env, &b, (const char *)mac, 32);
    server_message(s, 20, &b);
    server_flush(s);
    sparp__buf_free(&s->env, &b);
    sparp__extract_next(32, s->shake.secret, zeros, 32);
    sparp__transcript_out(&s->tls, hash);
    sparp__derive(32, s->shake.secret, "c ap traffic", hash, s->next_client);
    sparp__derive(32, s->shake.secret, "s ap traffic", hash, s->next_server);
    sparp__cipher_secret(&s->tls, &s->tls.out, s->next_server);
    if (s->data_with_finished)
        server_send(s, SPARP__TYPE_DATA, "early", 5);
    if (s->close_with_finished)
        sparp__record_alert(&s->tls, 1, SPARP__ALERT_CLOSE);
    s->out = sparp__str_make(s->tls.outgoing.data, s->tls.outgoing.size);
}

static void server_on_hello(server *s, sparp__str whole) {
    server_hello h;
    if (!server_read_hello(sparp__str_skip(whole, 4), &h))
        abort();
    s->resumed = h.ticket.size > 0;
    if (++s->hellos <= (s->retries_twice ? 2 : s->retries ? 1 : 0) || h.point.size == 0) {
        unsigned char hash[32], head[4] = {254, 0, 0, 32};
        sparp__digest(32, whole.data, whole.size, hash);
        sparp__transcript_begin(&s->tls);
        sparp__transcript_add(&s->tls, sparp__str_make((const char *)head, 4));
        sparp__transcript_add(&s->tls, sparp__str_make((const char *)hash, 32));
        s->resumed = false;
        server_say_hello(s, &h, true);
        return;
    }
    if (s->shake.transcript.vtable == NULL)
        sparp__transcript_begin(&s->tls);
    sparp__transcript_add(&s->tls, whole);
    server_say_flight(s, &h);
}

static void server_say_ticket(server *s) {
    sparp__buf b;
    memset(&b, 0, sizeof b);
    sparp__wire w = sparp__wire_begin(&s->tls, &b);
    sparp__wire_put_number(&w, 7200, 4);
    sparp__wire_put_number(&w, 77, 4);
    sparp__wire_put_vector(&w, "n", 1, 1);
    sparp__wire_put_vector(&w, "a ticket", 8, 2);
    sparp__wire_put_number(&w, 0, 2);
    sparp__expand(32, s->tls.master, "resumption", sparp__str_make("n", 1), s->psk, 32);
    server_message(s, 4, &b);
    server_flush(s);
    sparp__buf_free(&s->env, &b);
}

static void server_on_finished(server *s, sparp__str whole) {
    unsigned char mac[32], hash[64];
    server_finished(s, s->client_secret, mac);
    if (whole.size != 36 || !sparp__same_secret(mac, whole.data + 4, 32)) {
        s->alert = 51;
        return;
    }
    sparp__transcript_add(&s->tls, whole);
    sparp__transcript_out(&s->tls, hash);
    sparp__derive(32, s->shake.secret, "res master", hash, s->tls.master);
    sparp__cipher_secret(&s->tls, &s->tls.in, s->next_client);
    s->open = true;
    s->shake.transcript.vtable = NULL;
    if (!s->no_ticket)
        server_say_ticket(s);
    if (s->requests_update) {
        server_send(s, SPARP__TYPE_HANDSHAKE, "\x18\x00\x00\x01\x01", 5);
        sparp__cipher_next(&s->tls, &s->tls.out);
    }
}

/* Several may share a record. */
static void server_on_messages(server *s, sparp__str body) {
    while (body.size >= 4) {
        sparp__str at = sparp__str_skip(body, 1);
        size_t size = 4 + sparp__wire_number(&at, 3);
        sparp__str whole = sparp__str_make(body.data, size);
        body = sparp__str_skip(body, size);
        if (whole.data[0] == 1)
            server_on_hello(s, whole);
        else if (whole.data[0] == 20)
            server_on_finished(s, whole);
        else if (whole.data[0] == 24) {
            sparp__cipher_next(&s->tls, &s->tls.in);
            s->updates++;
        } else if (s->shake.transcript.vtable != NULL)
            sparp__transcript_add(&s->tls, whole);      /* Certificate, say */
    }
}

static void server_on_record(server *s, unsigned char *record, size_t size) {
    int type = record[0];
    sparp__str body = sparp__str_make((const char *)record + 5, size - 5);
    if (type == SPARP__TYPE_CCS)
        return;
    if (s->tls.reading && !sparp__record_unseal(&s->tls, record, &type, &body)) {
        s->alert = 20;
        return;
    }
    if (type == SPARP__TYPE_HANDSHAKE)
        server_on_messages(s, body);
    else if (type == SPARP__TYPE_DATA)
        s->data_bytes += (int)body.size;
    else if (type == SPARP__TYPE_ALERT && body.data[1] == 0)
        s->closed = true;
    else if (type == SPARP__TYPE_ALERT)
        s->alert = (unsigned char)body.data[1];
}

static void server_push(server *s, sparp__str bytes) {
    sparp__buf_add(&s->env, &s->in, bytes);
    while (s->in.size >= 5 && s->alert < 0) {
        unsigned char *at = (unsigned char *)s->in.data;
        size_t size = sparp__record_size(at);
        if (s->in.size < size)
            return;
        server_on_record(s, at, size);
        memmove(s->in.data, s->in.data + size, s->in.size - size);
        s->in.size -= size;
    }
}

static void server_begin(server *s) {
    sparp__buf extensions;
    memset(s, 0, sizeof *s);
    memset(&extensions, 0, sizeof extensions);
    s->env.allocator.func = sparp__env_default_allocator;
    sparp__crypto_choose(&s->trust.crypto);
    s->tls.env = &s->env;
    s->tls.trust = &s->trust;
    s->tls.shake = &s->shake;
    s->tls.suite = sparp__suite_find(0x1301);
    s->tls.greeted = true;
    s->alert = SPARP__ALERT_NONE;
    size_t mark = 0;
    der_put(&s->env, &extensions, 0x82, "server.test", 11);
    der_wrap(&s->env, &extensions, mark, 0x30);
    der_wrap(&s->env, &extensions, mark, 0x04);
    sparp__buf_reserve(&s->env, &extensions, 5);
    memmove(extensions.data + 5, extensions.data, extensions.size);
    memcpy(extensions.data, "\x06\x03\x55\x1D\x11", 5);
    extensions.size += 5;
    der_wrap(&s->env, &extensions, mark, 0x30);
    der_certificate(&s->env, &s->cert, "server.test", "server.test", &server_key, &server_key,
                    sparp__str_make(extensions.data, extensions.size));
    sparp__buf_free(&s->env, &extensions);
}

/* For another handshake: what it knows of tickets stays. */
static inline void server_again(server *s) {
    unsigned char psk[48];
    server keep = *s;
    memcpy(psk, s->psk, sizeof psk);
    sparp__buf_free(&s->env, &s->in);
    sparp__buf_free(&s->env, &s->flight);
    sparp__buf_free(&s->env, &s->tls.outgoing);
    sparp__buf_free(&s->env, &s->cert);
    server_begin(s);
    memcpy(s->psk, psk, sizeof psk);
    s->mutate = keep.mutate;
    s->user_data = keep.user_data;
}

static void server_end(server *s) {
    sparp__buf_free(&s->env, &s->in);
    sparp__buf_free(&s->env, &s->flight);
    sparp__buf_free(&s->env, &s->tls.outgoing);
    sparp__buf_free(&s->env, &s->cert);
}

#endif

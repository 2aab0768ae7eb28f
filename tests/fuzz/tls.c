/* TLS: whatever a server says, nothing outside of it is read, what is answered is made of records,
   and it comes to an end. Nothing is encrypted and every signature, tag and Finished is good, so
   that the input gets past them (seeds: tests/tls/seeds.c).

   Input: a byte of settings (1: a ticket of 1.3 is offered, 2: a session of 1.2, 64: which has a
   ticket, 4: only 1.3 is, 16: no certificate is looked at, 32: memory runs out), a byte with the
   size of the pieces in which it comes (0: all at once), then what the server sends. */
#define FUZZ_TLS
#define SPARP__TLS_NEUTRAL 1
#include "fuzz.h"

static ssize_t fuzz_chance(void *out, size_t size, unsigned flags);
#define SPARP__SYS_GETRANDOM fuzz_chance
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#ifndef SPARP_NO_TLS

static sparp__env env;
static fuzz_memory memory;
static sparp_tls_options options;
static sparp__trust trust;
static sparp__tls_session session;

static ssize_t fuzz_chance(void *out, size_t size, unsigned flags) {
    (void)flags;
    memset(out, 'A', size);
    return (ssize_t)size;
}

static void set_session(unsigned settings) {
    memset(&session, 0, sizeof session);
    if ((settings & 3) == 0)
        return;
    session.version = (settings & 1) != 0 ? SPARP_TLS_1_3 : SPARP_TLS_1_2;
    session.suite = (settings & 1) != 0 ? 0x1301 : 0xC02B;
    session.lifetime_s = 1000;
    session.received_at = sparp__env_now();
    session.id_size = (settings & 1) != 0 ? 0 : 32;
    memset(session.id, 'I', sizeof session.id);
    if ((settings & 1) != 0 || (settings & 64) != 0)
        sparp__buf_text(&env, &session.ticket, "ticket");
}

/* What we say is records, none of them too long. */
static void check_out(sparp__tls *tls) {
    sparp__str out = sparp__tls_peek_out(tls), rest = out;
    while (rest.size > 0) {
        const unsigned char *at = (const unsigned char *)rest.data;
        CHECK(rest.size >= 5 && at[0] >= 20 && at[0] <= 23 && at[1] == 3, "type %d", at[0]);
        size_t size = 5 + (size_t)(at[3] << 8 | at[4]);
        CHECK(size <= rest.size && size <= 5 + 16384 + 256, "%u bytes of %u", (unsigned)size,
              (unsigned)rest.size);
        rest = sparp__str_skip(rest, size);
    }
    sparp__tls_ack_out(tls, out.size);
}

/* A piece of what came. */
static void push(sparp__tls *tls, const fuzz_input *in) {
    char *copy = fuzz_copy(in->data, in->size);
    sparp__str rest = sparp__str_make(copy, in->size);
    volatile unsigned char sum = 0;
    int idle = 0;
    while ((rest.size > 0 || sparp__tls_is_busy(tls))
           && sparp__tls_status(tls) < SPARP__TLS_CLOSED) {
        sparp__tls_take_work(tls);
        size_t eaten = sparp__tls_push(tls, rest);
        sparp__str plain = sparp__tls_peek_in(tls);
        CHECK(eaten <= rest.size && plain.size <= 16384, "%u bytes", (unsigned)plain.size);
        for (size_t i = 0; i < plain.size; i++)
            sum ^= (unsigned char)plain.data[i];        /* can be read */
        idle = eaten > 0 ? 0 : idle + 1;
        CHECK(idle < 200, "it does not get on");
        rest = eaten > 0 ? sparp__str_skip(rest, eaten) : rest;
        sparp__tls_ack_in(tls, plain.size);
        sparp__tls_go_on(tls);
        check_out(tls);
        if (sparp__tls_status(tls) == SPARP__TLS_OPEN)
            sparp__tls_write(tls, sparp__str_of("GET / HTTP/1.1\r\n\r\n"));
        check_out(tls);
        sparp__tls_rest(tls);
    }
    check_out(tls);
    free(copy);
}

static void run(fuzz_input *in, size_t piece, sparp__fault *fault) {
    sparp__tls *tls = sparp__tls_new(&env, &trust, "server.test", &session, fault);
    if (tls == NULL) {
        CHECK(fault->error == SPARP_E_OUT_OF_MEMORY, "%s", fault->detail);
        return;
    }
    check_out(tls);
    while (in->size > 0) {
        fuzz_input one = fuzz_take(in, piece > 0 ? piece : in->size);
        push(tls, &one);
    }
    if (sparp__tls_status(tls) == SPARP__TLS_FAILED) {
        sparp__tls_say_why(tls, fault);
        CHECK(fault->error != SPARP_E_OK && fault->detail[0] != '\0', "failed without a reason");
        CHECK(strstr(fault->detail, "(null)") == NULL, "%s", fault->detail);
    }
    sparp__tls_close(tls);
    check_out(tls);
    sparp__tls_free(tls);
}

static void fuzz_one(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    unsigned settings = fuzz_byte(&in);
    size_t piece = fuzz_byte(&in);
    sparp__fault fault;
    memset(&memory, 0, sizeof memory);
    memset(&fault, 0, sizeof fault);
    memset(&trust, 0, sizeof trust);
    memset(&options, 0, sizeof options);
    env.allocator.func = fuzz_memory_func;
    env.allocator.user_data = &memory;
    options.min_version = (settings & 4) != 0 ? SPARP_TLS_1_3 : SPARP_TLS_1_2;
    options.insecure_no_verify = (settings & 16) != 0;
    trust.options = &options;
    trust.loaded = true;
    sparp__crypto_choose(&trust.crypto);
    set_session(settings);
    memory.counted.fail_at = (settings & 32) != 0 ? memory.counted.calls + 1 + piece : 0;
    run(&in, piece, &fault);
    memory.counted.fail_at = 0;
    sparp__tls_session_clear(&env, &session);
    sparp__trust_free(&env, &trust);
    CHECK(test_memory_clean(&memory.counted), "%u blocks left", (unsigned)memory.counted.blocks);
}

#else

static void fuzz_one(const uint8_t *data, size_t size) {
    (void)data;
    (void)size;                         /* no BearSSL here */
}

#endif

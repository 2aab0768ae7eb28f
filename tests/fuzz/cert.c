/* Certificates: whatever a file or a server has for one, nothing outside of it is read, and what
   is taken from it lies inside.

   Input: a byte that says what, then 0: a PEM file of trusted ones; 1: one in DER; 2: a chain, of
   which the last is trusted, two bytes of length before each; 3: bytes that must come out again
   when they have been put into PEM, with a byte of dice. */
#define FUZZ_TLS
#include "fuzz.h"
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#ifndef SPARP_NO_TLS

#define WALL_S INT64_C(1800000000)      /* January 2027: what the clock says */
#define MAX_CERTS 10

static sparp__env env;
static fuzz_memory memory;

static bool within(sparp__str part, sparp__str all) {
    return part.size == 0
        || (part.data >= all.data && part.data + part.size <= all.data + all.size);
}

/* --- trusted ones ---------------------------------------------------------------------------- */

static void check_in(const sparp__anchors *a, sparp__str part) {
    CHECK(part.size == 0 || within(part, sparp__str_make(a->bytes.data, a->bytes.size)),
          "%u bytes", (unsigned)part.size);
}

static void check_anchors(const sparp__anchors *a) {
    for (size_t i = 0; i < a->count; i++) {
        const sparp__anchor *t = &a->list[i];
        br_x509_pkey key;
        check_in(a, t->name);
        check_in(a, t->spki);
        check_in(a, t->constraints);
        assert_true(sparp__spki_key(t->spki, &key));
        CHECK(key.key_type == BR_KEYTYPE_EC || key.key.rsa.nlen >= 256, "an RSA key of %u bytes",
              (unsigned)key.key.rsa.nlen);
    }
}

static void fuzz_pem(sparp__str text) {
    sparp__anchors anchors;
    memset(&anchors, 0, sizeof anchors);
    CHECK(sparp__anchors_add_pem(&env, &anchors, text), "no memory");
    sparp__anchors_finish(&env, &anchors);
    check_anchors(&anchors);
    sparp__anchors_free(&env, &anchors);
}

/* --- one certificate ------------------------------------------------------------------------- */

/* Text for people, cut where there is no more room. */
static void check_texts(const sparp__cert *c) {
    static const size_t sizes[] = {1, 2, 16, 96};
    char text[96];
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        sparp__cert_show_name(c->subject, text, sizes[i]);
        CHECK(strlen(text) < sizes[i], "%u bytes", (unsigned)strlen(text));
        sparp__cert_show_names(c, text, sizes[i]);
        CHECK(strlen(text) < sizes[i], "%u bytes", (unsigned)strlen(text));
        for (const char *at = text; *at != '\0'; at++)
            CHECK(*at >= 0x20 && *at < 0x7F, "byte %d is shown", *at);
    }
}

/* It is for a host only if that name, or the name with * for its first label, is in it. */
static void check_host(const sparp__cert *c, const char *host) {
    const char *dot = strchr(host, '.');
    bool found = false;
    if (!sparp__cert_is_for(c, host, NULL))
        return;
    for (size_t i = 0; i < c->names.size; i++) {
        sparp__str rest = sparp__str_skip(c->names, i);
        size_t n = strlen(host), suffix = strlen(dot);
        found = found || (rest.size >= n && strncasecmp(rest.data, host, n) == 0)
            || (rest.size >= suffix + 1 && rest.data[0] == '*'
                && strncasecmp(rest.data + 1, dot, suffix) == 0);
    }
    CHECK(found, "it is not for %s", host);
}

static void fuzz_der(sparp__str der) {
    sparp__cert c;
    br_x509_pkey key;
    sparp__address ip;
    if (!sparp__cert_parse(der, &c))
        return;
    CHECK(within(c.whole, der) && within(c.issuer, der) && within(c.subject, der)
          && within(c.spki, der) && within(c.names, der) && within(c.purposes, der)
          && within(c.tbs, der) && within(c.algorithm, der) && within(c.signature, der)
          && within(c.constraints, der), "outside");
    check_texts(&c);
    check_host(&c, "a.example.com");
    check_host(&c, "example.com");
    memset(&ip, 0, sizeof ip);
    assert_true(sparp__address_parse(&ip, "10.0.0.1"));
    sparp__cert_is_for(&c, "10.0.0.1", &ip);
    assert_true(sparp__address_parse(&ip, "::1"));
    sparp__cert_is_for(&c, "::1", &ip);
    sparp__cert_serves(&c);
    sparp__cert_scheme(&c);
    sparp__constraint_allows_cert(c.constraints, &c);
    sparp__constraint_allows(c.constraints, 0x82, sparp__str_of("a.example.com"));
    sparp__constraint_allows(c.constraints, 0x87, sparp__cert_ip(&ip));
    memset(&key, 0, sizeof key);
    if (sparp__spki_key(c.spki, &key) && key.key_type == BR_KEYTYPE_RSA)
        CHECK(within(sparp__str_make((const char *)key.key.rsa.n, key.key.rsa.nlen), der), "n");
}

/* --- a chain --------------------------------------------------------------------------------- */

static void verify(sparp__chain *chain, sparp__str list) {
    sparp__fault fault;
    sparp__chain_answer answer = SPARP__NOT_YET;
    int turns = 0, work;
    memset(&fault, 0, sizeof fault);
    if (!sparp__chain_take(chain, list, false))
        return;
    CHECK(chain->count <= MAX_CERTS, "%u certificates", (unsigned)chain->count);
    for (; answer == SPARP__NOT_YET; turns++) {
        work = 0;
        answer = sparp__chain_search(chain, &work);
        CHECK(work <= 200, "%d tenths of a millisecond in one go", work);
    }
    CHECK(chain->steps <= 2000 && turns <= 110, "%d steps, %d turns", chain->steps, turns);
    if (answer == SPARP__YES)
        sparp__chain_check_name(chain, "a.example.com", NULL, &fault);
    else
        sparp__chain_say_why(chain, &fault);
    CHECK(answer == SPARP__YES || fault.detail[0] != '\0', "refused without a reason");
    CHECK(chain->anchors->count > 0 || answer == SPARP__NO, "trusted without anybody to trust");
}

static void fuzz_chain(fuzz_input *in) {
    sparp__chain chain;
    sparp__crypto crypto;
    sparp__anchors anchors;
    sparp__buf list;
    fuzz_input one = {NULL, 0};
    memset(&chain, 0, sizeof chain);
    memset(&anchors, 0, sizeof anchors);
    memset(&list, 0, sizeof list);
    sparp__crypto_choose(&crypto);
    while (in->size > 2) {
        size_t size = fuzz_byte(in) << 8;
        one = fuzz_take(in, size + fuzz_byte(in));
        char head[3] = {0, (char)(one.size >> 8), (char)(one.size & 0xFF)};
        assert_true(sparp__buf_append(&env, &list, head, 3));
        assert_true(sparp__buf_append(&env, &list, (const char *)one.data, one.size));
    }
    assert_true(sparp__anchors_add(&env, &anchors,
                                   sparp__str_make((const char *)one.data, one.size)));
    sparp__anchors_finish(&env, &anchors);
    check_anchors(&anchors);
    chain.crypto = &crypto;
    chain.anchors = &anchors;
    chain.host = "a.example.com";
    chain.wall_s = WALL_S;
    verify(&chain, sparp__str_make(list.data, list.size));
    sparp__anchors_free(&env, &anchors);
    sparp__buf_free(&env, &list);
}

/* --- there and back -------------------------------------------------------------------------- */

static size_t encode(const fuzz_input *in, uint64_t dice, char *out) {
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = (size_t)sprintf(out, "junk\n-----BEGIN SOME THING-----\r\n");
    for (size_t i = 0; i < in->size; i += 3) {
        size_t left = in->size - i;
        uint32_t word = (uint32_t)in->data[i] << 16
            | (left > 1 ? (uint32_t)in->data[i + 1] << 8 : 0) | (left > 2 ? in->data[i + 2] : 0);
        for (size_t k = 0; k < 4; k++)
            out[n++] = k > left ? '=' : digits[word >> (18 - 6 * k) & 63];
        if (test_random(&dice) % 9 == 0)
            n += (size_t)sprintf(out + n, "%s", &"\r\n \t\n"[test_random(&dice) % 5]);
    }
    return n + (size_t)sprintf(out + n, "\n-----END SOME THING-----\nmore junk\n");
}

static void check_round_trip(const fuzz_input *in, uint64_t dice) {
    char *text = (char *)malloc(in->size * 10 + 200);
    sparp__str rest, label, base64;
    sparp__buf out;
    assert_non_null(text);
    memset(&out, 0, sizeof out);
    rest = sparp__str_make(text, encode(in, dice, text));
    CHECK(sparp__pem_next(&rest, &label, &base64), "not found");
    CHECK(sparp__str_same(label, "SOME THING"), "%.*s", (int)label.size, label.data);
    CHECK(sparp__pem_decode(&env, base64, &out), "not decoded");
    CHECK(out.size == in->size && memcmp(out.data, in->data, in->size) == 0, "%u bytes of %u",
          (unsigned)out.size, (unsigned)in->size);
    CHECK(!sparp__pem_next(&rest, &label, &base64), "found twice");
    sparp__buf_free(&env, &out);
    free(text);
}

static void fuzz_one(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    unsigned kind = fuzz_below(&in, 4);
    memset(&memory, 0, sizeof memory);
    env.allocator.func = fuzz_memory_func;
    env.allocator.user_data = &memory;
    char *copy = fuzz_copy(in.data, in.size);
    if (kind == 0)
        fuzz_pem(sparp__str_make(copy, in.size));
    else if (kind == 1)
        fuzz_der(sparp__str_make(copy, in.size));
    free(copy);
    if (kind == 2) {
        fuzz_chain(&in);
    } else if (kind == 3) {
        uint64_t dice = fuzz_byte(&in) + 1u;
        check_round_trip(&in, dice);
    }
    CHECK(test_memory_clean(&memory.counted), "%u blocks left", (unsigned)memory.counted.blocks);
}

#else

static void fuzz_one(const uint8_t *data, size_t size) {
    (void)data;
    (void)size;                         /* no BearSSL here */
}

#endif

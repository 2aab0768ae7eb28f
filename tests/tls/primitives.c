/* primitives.c - what the library computes itself, or has BearSSL compute, beside OpenSSL: RSA-PSS,
   X25519, the agreement on P-256 and P-384, records; with the cases at their edges. */
#include "../support.h"

#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

static sparp__env env;
static sparp__trust trust;

static const struct { size_t size; const char *name; } hashes[] = {
    {32, "SHA256"}, {48, "SHA384"}, {64, "SHA512"}
};

static void put_number(const EVP_PKEY *key, const char *name, unsigned char *out, size_t size) {
    BIGNUM *n = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &n), 1);
    assert_int_equal(BN_bn2binpad(n, out, (int)size), (int)size);
    BN_free(n);
}

/* --- RSA-PSS ---------------------------------------------------------------------------------- */

typedef struct rsa {
    EVP_PKEY *key;
    unsigned char n[513], e[3], p[256], q[256], dp[256], dq[256], iq[256];
    br_rsa_public_key public_key;
    br_rsa_private_key private_key;
} rsa;

static void rsa_begin(rsa *r, int bits) {
    r->key = EVP_RSA_gen((unsigned)bits);
    assert_non_null(r->key);
    assert_int_equal(EVP_PKEY_get_bits(r->key), bits);
    size_t size = ((size_t)bits + 7) / 8, half = (size + 1) / 2;
    put_number(r->key, OSSL_PKEY_PARAM_RSA_N, r->n, size);
    put_number(r->key, OSSL_PKEY_PARAM_RSA_E, r->e, 3);
    put_number(r->key, OSSL_PKEY_PARAM_RSA_FACTOR1, r->p, half);
    put_number(r->key, OSSL_PKEY_PARAM_RSA_FACTOR2, r->q, half);
    put_number(r->key, OSSL_PKEY_PARAM_RSA_EXPONENT1, r->dp, half);
    put_number(r->key, OSSL_PKEY_PARAM_RSA_EXPONENT2, r->dq, half);
    put_number(r->key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, r->iq, half);
    br_rsa_public_key public_key = {r->n, size, r->e, 3};
    br_rsa_private_key private_key = {(uint32_t)bits, r->p, half, r->q, half, r->dp, half, r->dq,
                                      half, r->iq, half};
    r->public_key = public_key;
    r->private_key = private_key;
}

/* What OpenSSL does with a hash and a salt of that length: signs, or says whether it is good. */
static size_t theirs(const rsa *r, size_t hash, int salt, const unsigned char *digest,
                     unsigned char *sig, size_t size, bool sign) {
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(r->key, NULL);
    const EVP_MD *md = EVP_get_digestbyname(hashes[hash].name);
    assert_true((sign ? EVP_PKEY_sign_init(ctx) : EVP_PKEY_verify_init(ctx)) == 1
                && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1
                && EVP_PKEY_CTX_set_signature_md(ctx, md) == 1
                && EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt) == 1);
    bool good = (sign ? EVP_PKEY_sign(ctx, sig, &size, digest, hashes[hash].size)
                      : EVP_PKEY_verify(ctx, sig, size, digest, hashes[hash].size)) == 1;
    EVP_PKEY_CTX_free(ctx);
    return good ? size : 0;
}

static bool ours(const rsa *r, size_t hash, const unsigned char *digest, const unsigned char *sig,
                 size_t size) {
    return sparp__pss_verify(&trust.crypto, hashes[hash].size, digest,
                             sparp__str_make((const char *)sig, size), &r->public_key);
}

static void check_pss(const rsa *r, size_t hash) {
    unsigned char digest[64], sig[513];
    size_t size = r->public_key.nlen, n;
    int h = (int)hashes[hash].size;
    memset(digest, 0x42, sizeof digest);
    static const int salts[] = {0, 1, 20, 31, 33, 47, 49, 63, 65};
    n = theirs(r, hash, h, digest, sig, size, true);
    assert_int_equal(n, size);
    assert_true(ours(r, hash, digest, sig, n));
    assert_false(ours(r, hash, digest, sig, n - 1));
    digest[0] ^= 1;
    assert_false(ours(r, hash, digest, sig, n));
    digest[0] ^= 1;
    for (size_t i = 0; i < n; i += 7) {
        sig[i] ^= 0x10;
        assert_false(ours(r, hash, digest, sig, n));
        sig[i] ^= 0x10;
    }
    for (size_t i = 0; i < COUNT_OF(salts); i++)
        if (salts[i] != h && (n = theirs(r, hash, salts[i], digest, sig, size, true)) > 0)
            CHECK(!ours(r, hash, digest, sig, n), "a salt of %d bytes is taken", salts[i]);
    n = sparp__pss_sign(hashes[hash].size, digest, &r->private_key, sig);
    assert_int_equal(n, size);
    assert_int_equal(theirs(r, hash, h, digest, sig, n, false), n);
    assert_true(ours(r, hash, digest, sig, n));
}

/* An encoded message that is almost right, signed. */
static void check_edges(const rsa *r) {
    unsigned char digest[32] = {9}, em[513], good[513];
    size_t bits = r->private_key.n_bitlen, size = (bits + 7) / 8;
    size_t n = sparp__pss_sign(32, digest, &r->private_key, good);
    assert_int_equal(trust.crypto.rsa(good, n, &r->public_key), 1);     /* what was encoded */
    for (int what = 0; what < 5; what++) {
        size_t first = bits % 8 == 1 ? 1 : 0;
        memcpy(em, good, size);
        if (what == 1)
            em[size - 1] = 0xBD;
        else if (what == 2)
            em[first] ^= 0x01;                          /* in the zeros in front of the salt */
        else if (what == 3)
            em[size - 34] ^= 0x01;                      /* in the salt */
        else if (what == 4)
            em[size - 66] ^= 0x03;                      /* the 01 before it */
        assert_int_equal(br_rsa_private_get_default()(em, &r->private_key), 1);
        CHECK(ours(r, 0, digest, em, size) == (what == 0), "edge %d, %d bits", what, (int)bits);
        CHECK((theirs(r, 0, 32, digest, em, size, false) > 0) == (what == 0), "edge %d", what);
    }
}

static void test_pss(void **state) {
    static const int sizes[] = {1031, 1032, 1033, 2047, 2048, 2050, 4096};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        static rsa r;
        rsa_begin(&r, sizes[i]);
        for (size_t hash = 0; hash < 3; hash++)
            if (sizes[i] >= 1040 || hash < 2)  /* two hashes of 64 bytes are too much */
                check_pss(&r, hash);
        check_edges(&r);
        EVP_PKEY_free(r.key);
    }
}

/* --- agreement -------------------------------------------------------------------------------- */

static void client_begin(sparp__tls *tls, sparp__shake *shake) {
    memset(tls, 0, sizeof *tls);
    memset(shake, 0, sizeof *shake);
    tls->env = &env;
    tls->trust = &trust;
    tls->shake = shake;
}

static size_t their_secret(EVP_PKEY *mine, EVP_PKEY *peer, unsigned char *out, size_t size) {
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(mine, NULL);
    assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
    bool good = EVP_PKEY_derive_set_peer(ctx, peer) == 1 && EVP_PKEY_derive(ctx, out, &size) == 1;
    EVP_PKEY_CTX_free(ctx);
    return good ? size : 0;
}

static EVP_PKEY *key_of(const char *name, const unsigned char *point, size_t size) {
    EVP_PKEY *key = EVP_PKEY_new(), *like = strcmp(name, "X25519") == 0
        ? EVP_PKEY_Q_keygen(NULL, NULL, name) : EVP_PKEY_Q_keygen(NULL, NULL, "EC", name);
    assert_int_equal(EVP_PKEY_copy_parameters(key, like), 1);
    if (EVP_PKEY_set1_encoded_public_key(key, point, size) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EVP_PKEY_free(like);
    return key;
}

static void test_agreement(void **state) {
    static const struct { const char *name; int group; size_t size; } groups[] = {
        {"P-256", BR_EC_secp256r1, 65}, {"P-384", BR_EC_secp384r1, 97}
    };
    (void)state;
    for (size_t g = 0; g < COUNT_OF(groups); g++)
        for (int round = 0; round < 5; round++) {
            sparp__tls tls;
            sparp__shake shake;
            unsigned char shared[48], want[48], *point = NULL, bad[97];
            client_begin(&tls, &shake);
            assert_true(sparp__group_begin(&tls, (unsigned)groups[g].group));
            assert_int_equal(shake.share_size, groups[g].size);
            EVP_PKEY *mine = EVP_PKEY_Q_keygen(NULL, NULL, "EC", groups[g].name);
            EVP_PKEY *client = key_of(groups[g].name, shake.share, shake.share_size);
            assert_non_null(client);
            size_t n = EVP_PKEY_get1_encoded_public_key(mine, &point);
            assert_int_equal(n, groups[g].size);
            size_t got = sparp__group_agree(&tls, sparp__str_make((char *)point, n), shared);
            assert_int_equal(got, (groups[g].size - 1) / 2);
            assert_int_equal(their_secret(mine, client, want, sizeof want), got);
            assert_memory_equal(shared, want, got);
            /* compressed, truncated, hybrid, off the curve, at infinity, nothing */
            memcpy(bad, point, n);
            bad[0] = 2;
            assert_int_equal(sparp__group_agree(&tls, sparp__str_make((char *)bad, (n + 1) / 2),
                                                shared), 0);
            bad[0] = 6;
            assert_int_equal(sparp__group_agree(&tls, sparp__str_make((char *)bad, n), shared), 0);
            bad[0] = 4;
            assert_int_equal(sparp__group_agree(&tls, sparp__str_make((char *)bad, n - 1), shared),
                             0);
            bad[n - 1] ^= 1;
            assert_int_equal(sparp__group_agree(&tls, sparp__str_make((char *)bad, n), shared), 0);
            memset(bad + 1, 0, n - 1);
            assert_int_equal(sparp__group_agree(&tls, sparp__str_make((char *)bad, n), shared), 0);
            assert_int_equal(sparp__group_agree(&tls, sparp__str_make((char *)bad, 1), shared), 0);
            memset(bad + 1, 0xFF, n - 1);
            assert_int_equal(sparp__group_agree(&tls, sparp__str_make((char *)bad, n), shared), 0);
            assert_int_equal(sparp__group_agree(&tls, sparp__str_make((char *)bad, 0), shared), 0);
            OPENSSL_free(point);
            EVP_PKEY_free(mine);
            EVP_PKEY_free(client);
        }
}

static void test_x25519(void **state) {
    (void)state;
    for (int round = 0; round < 50; round++) {
        sparp__tls tls;
        sparp__shake shake;
        unsigned char shared[48], want[48], *point = NULL;
        client_begin(&tls, &shake);
        assert_true(sparp__group_begin(&tls, BR_EC_curve25519));
        EVP_PKEY *mine = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
        EVP_PKEY *client = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, shake.share, 32);
        assert_int_equal(EVP_PKEY_get1_encoded_public_key(mine, &point), 32);
        assert_int_equal(sparp__group_agree(&tls, sparp__str_make((char *)point, 32), shared), 32);
        assert_int_equal(their_secret(mine, client, want, sizeof want), 32);
        assert_memory_equal(shared, want, 32);
        OPENSSL_free(point);
        EVP_PKEY_free(mine);
        EVP_PKEY_free(client);
    }
}

/* Points of small order come to zero, which is no secret. */
static void test_x25519_zero(void **state) {
    static const unsigned char lows[][32] = {
        {0}, {1},
        {0xE0, 0xEB, 0x7A, 0x7C, 0x3B, 0x41, 0xB8, 0xAE, 0x16, 0x56, 0xE3, 0xFA, 0xF1, 0x9F, 0xC4,
         0x6A, 0xDA, 0x09, 0x8D, 0xEB, 0x9C, 0x32, 0xB1, 0xFD, 0x86, 0x62, 0x05, 0x16, 0x5F, 0x49,
         0xB8, 0x00},
        {0xEC, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
         0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
         0xFF, 0x7F},
        {0xED, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
         0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
         0xFF, 0x7F}
    };
    sparp__tls tls;
    sparp__shake shake;
    unsigned char shared[48];
    (void)state;
    client_begin(&tls, &shake);
    assert_true(sparp__group_begin(&tls, BR_EC_curve25519));
    for (size_t i = 0; i < COUNT_OF(lows); i++)
        assert_int_equal(sparp__group_agree(&tls, sparp__str_make((const char *)lows[i], 32),
                                            shared), 0);
    assert_int_equal(sparp__group_agree(&tls, sparp__str_make((const char *)lows[2], 31), shared),
                     0);
}

/* --- records ---------------------------------------------------------------------------------- */

static const EVP_CIPHER *cipher_of(const sparp__suite *s) {
    return !s->gcm ? EVP_chacha20_poly1305() : s->key_size == 16 ? EVP_aes_128_gcm()
        : EVP_aes_256_gcm();
}

/* What OpenSSL makes of the same: ciphertext, then the tag. */
static void seal(const sparp__suite *s, const unsigned char *key, const sparp__seal *how,
                 const unsigned char *plain, size_t size, unsigned char *out) {
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0, total = 0;
    assert_true(EVP_EncryptInit_ex(ctx, cipher_of(s), NULL, key, how->nonce) == 1
                && EVP_EncryptUpdate(ctx, NULL, &n, how->aad, (int)how->aad_size) == 1);
    if (size > 0)
        assert_int_equal(EVP_EncryptUpdate(ctx, out, &total, plain, (int)size), 1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, out + total, &n), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out + size), 1);
    EVP_CIPHER_CTX_free(ctx);
}

static void test_records(void **state) {
    static const size_t sizes[] = {0, 1, 15, 16, 17, 63, 64, 65, 255, 1000, 4096, 16384};
    static unsigned char plain[16385], mine[16385 + 16], want[16385 + 16];
    unsigned char key[32];
    (void)state;
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (unsigned char)(i * 7);
    for (size_t i = 0; i < 32; i++)
        key[i] = (unsigned char)(3 * i + 1);
    for (unsigned id = 0; id < 0x10000; id++) {
        sparp__tls tls;
        sparp__shake shake;
        client_begin(&tls, &shake);
        tls.suite = sparp__suite_find(id);
        if (tls.suite == NULL)
            continue;
        tls.version = tls.suite->version;
        sparp__cipher_key(&tls, &tls.out, key);
        sparp__cipher_key(&tls, &tls.in, key);
        memset(tls.out.iv, 0x21, 12);
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            static const unsigned char header[5] = {23, 3, 3, 0x12, 0x34};
            sparp__seal how;
            unsigned char tag[16];
            sparp__seal_make(&tls, &tls.out, header, NULL, sizes[i], &how);
            memcpy(mine, plain, sizes[i]);
            sparp__crypt(&tls, &tls.out, true, &how, mine, sizes[i], tag);
            memcpy(mine + sizes[i], tag, 16);
            seal(tls.suite, key, &how, plain, sizes[i], want);
            assert_memory_equal(mine, want, sizes[i] + 16);
            sparp__crypt(&tls, &tls.in, false, &how, mine, sizes[i], tag);
            assert_memory_equal(mine, plain, sizes[i]);
            assert_memory_equal(tag, want + sizes[i], 16);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_pss), TEST(test_agreement),
        TEST(test_x25519), TEST(test_x25519_zero),
        TEST(test_records)
    };
    env.allocator.func = sparp__env_default_allocator;
    sparp__crypto_choose(&trust.crypto);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

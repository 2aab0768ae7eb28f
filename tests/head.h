/* head.h - the head of a response as the library reads it, for tests of what its fields say. It is
   included behind support.h and sparp.h. */
#ifndef TESTS_HEAD_H
#define TESTS_HEAD_H

typedef struct test_head {
    test_memory  memory;
    sparp__env   env;
    sparp__http  http;
} test_head;

/* `status`: "200 OK"; each of the fields ends with CR LF. Until test_head_free(). */
static inline void test_head_read(test_head *h, const char *status, const char *fields) {
    char text[4000];
    sparp__str piece;
    memset(h, 0, sizeof *h);
    h->env.allocator.func = test_memory_func;
    h->env.allocator.user_data = &h->memory;
    snprintf(text, sizeof text, "HTTP/1.1 %s\r\n%s\r\n", status, fields);
    sparp__str in = sparp__str_of(text);
    sparp__http_start(&h->env, &h->http, false, 65536);
    CHECK(sparp__http_feed(&h->env, &h->http, &in, &piece) == SPARP__HTTP_HEAD, "%s", fields);
}

static inline void test_head_free(test_head *h) {
    sparp__http_free(&h->env, &h->http);
    assert_true(test_memory_clean(&h->memory));
}

#endif

/* References: what a Location means where it stands. Another resolver, below, written as RFC 3986
   has it, says what is right.

   Input: a byte (which allocation fails), the base, NUL, the reference. */
#include "fuzz.h"
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#define TEXT_MAX 4096                   /* of the base and of the reference */
#define OUT_MAX (6 * TEXT_MAX + 64)     /* each space becomes %20 */

static sparp__env env;
static fuzz_memory memory;
static sparp__buf out, again;
static bool spoiled;                    /* the base was no absolute url */

/* --- the other resolver ----------------------------------------------------------------------- */

typedef struct parts {                  /* RFC 3986 §5.2: what may be undefined has a flag */
    bool has_scheme, has_authority, has_query, has_fragment;
    char scheme[TEXT_MAX + 1], authority[TEXT_MAX + 1], path[3 * TEXT_MAX + 1],
         query[TEXT_MAX + 1], fragment[TEXT_MAX + 1];
} parts;

static void copy(char *to, const char *from, size_t size) {
    memcpy(to, from, size);
    to[size] = '\0';
}

/* RFC 3986 appendix B, but that a scheme is what §3.1 says. */
static void take_apart(const char *text, parts *p) {
    memset(p, 0, sizeof *p);
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    if (n > 0 && text[n] == ':' && strchr("0123456789+-.", text[0]) == NULL) {
        p->has_scheme = true;
        copy(p->scheme, text, n);
        text += n + 1;
    }
    if (strncmp(text, "//", 2) == 0) {
        p->has_authority = true;
        n = strcspn(text + 2, "/?#");
        copy(p->authority, text + 2, n);
        text += 2 + n;
    }
    n = strcspn(text, "?#");
    copy(p->path, text, n);
    text += n;
    if (*text == '?') {
        p->has_query = true;
        n = strcspn(text + 1, "#");
        copy(p->query, text + 1, n);
        text += 1 + n;
    }
    p->has_fragment = *text == '#';
    copy(p->fragment, p->has_fragment ? text + 1 : "", p->has_fragment ? strlen(text + 1) : 0);
}

static bool starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

/* RFC 3986 §5.2.4, step by step. */
static void remove_dots(char *path) {
    static char in[3 * TEXT_MAX + 1];
    strcpy(in, path);
    char *at = in, *to = path;
    *to = '\0';
    while (*at != '\0') {
        if (starts(at, "../"))                                          /* A */
            at += 3;
        else if (starts(at, "./"))
            at += 2;
        else if (starts(at, "/./"))                                     /* B */
            at += 2;
        else if (strcmp(at, "/.") == 0)
            strcpy(at, "/");
        else if (starts(at, "/../") || strcmp(at, "/..") == 0) {        /* C */
            at += 3;
            if (*at == '\0')
                *--at = '/';
            while (to > path && *--to != '/')
                continue;
        } else if (strcmp(at, ".") == 0 || strcmp(at, "..") == 0)       /* D */
            *at = '\0';
        else                                                            /* E */
            do
                *to++ = *at++;
            while (*at != '\0' && *at != '/');
        *to = '\0';
    }
}

/* RFC 3986 §5.2.3. */
static void merge(const parts *base, parts *ref) {
    static char merged[3 * TEXT_MAX + 1];
    const char *slash = strrchr(base->path, '/');
    if (base->has_authority && base->path[0] == '\0')
        strcpy(merged, "/");
    else
        copy(merged, base->path, slash != NULL ? (size_t)(slash - base->path) + 1 : 0);
    strcat(merged, ref->path);
    strcpy(ref->path, merged);
}

/* RFC 3986 §5.2.2, strict; a fragment of the base is inherited (RFC 9110 §10.2.2). */
static void transform(const parts *base, parts *ref) {
    bool same_path = !ref->has_scheme && !ref->has_authority && ref->path[0] == '\0';
    if (!ref->has_scheme && !ref->has_authority) {
        if (same_path)
            strcpy(ref->path, base->path);
        else if (ref->path[0] != '/')
            merge(base, ref);
        if (same_path && !ref->has_query) {
            ref->has_query = base->has_query;
            strcpy(ref->query, base->query);
        }
        ref->has_authority = base->has_authority;
        strcpy(ref->authority, base->authority);
    }
    if (!same_path)
        remove_dots(ref->path);
    if (!ref->has_scheme)
        strcpy(ref->scheme, base->scheme);
    if (!ref->has_fragment) {
        ref->has_fragment = base->has_fragment;
        strcpy(ref->fragment, base->fragment);
    }
}

/* RFC 3986 §5.3; a path that would be taken for an authority begins with "/." instead (§3.3). */
static void put_together(const parts *p, char *text) {
    text += sprintf(text, "%s:", p->scheme);
    if (p->has_authority)
        text += sprintf(text, "//%s", p->authority);
    else if (starts(p->path, "//"))
        text += sprintf(text, "/.");
    text += sprintf(text, "%s", p->path);
    if (p->has_query)
        text += sprintf(text, "?%s", p->query);
    if (p->has_fragment)
        sprintf(text, "#%s", p->fragment);
}

static void encode_spaces(const char *from, char *to) {
    for (; *from != '\0'; from++)
        to += sprintf(to, *from == ' ' ? "%%20" : "%c", *from);
    *to = '\0';
}

/* --- ours ------------------------------------------------------------------------------------- */

/* From copies that end where they end. */
static bool resolve(sparp__buf *to, const char *base, const char *ref) {
    size_t base_size = strlen(base), ref_size = strlen(ref);
    char *b = fuzz_copy(base, base_size), *r = fuzz_copy(ref, ref_size);
    bool ok = sparp__url_resolve(&env, to, sparp__str_make(b, base_size),
                                 sparp__str_make(r, ref_size));
    free(b);
    free(r);
    return ok;
}

static const char *text_of(sparp__buf *b) {
    assert_true(sparp__buf_byte(&env, b, '\0'));
    b->size--;
    return b->data;
}

/* What is refused is refused; what is taken has no dots left, and is taken as it was meant. */
static void check_as_url(const char *text, const parts *p, bool same_path) {
    sparp__url url;
    if (sparp__url_parse(sparp__str_of(text), &url) != NULL)
        return;
    CHECK(p->has_authority && url.https == (strcasecmp(p->scheme, "https") == 0), "%s", text);
    CHECK(url.fragment.size == strlen(p->fragment), "%s", text);
    CHECK(url.path.size == strlen(p->path) + (p->has_query ? strlen(p->query) + 1 : 0), "%s",
          text);
    for (const char *at = p->path; !same_path && (at = strstr(at, "/.")) != NULL; at++)
        CHECK(at[2 + (at[2] == '.')] != '/' && at[2 + (at[2] == '.')] != '\0', "%s", text);
}

static void check(const char *base, const char *ref) {
    static char right[OUT_MAX];
    static parts b, r, relative;
    take_apart(base, &b);
    take_apart(ref, &r);
    relative = r;
    if (!b.has_scheme) {
        spoiled = true;                 /* the caller has seen to that */
        return;
    }
    transform(&b, &r);
    put_together(&r, right);
    assert_true(resolve(&out, base, ref));
    const char *ours = text_of(&out);
    CHECK(strcmp(ours, right) == 0, "%s in %s is %s, not %s", ref, base, right, ours);
    bool same_path = !relative.has_scheme && !relative.has_authority && relative.path[0] == '\0';
    check_as_url(ours, &r, same_path);
    assert_true(resolve(&again, base, ours));
    CHECK(same_path || strcmp(text_of(&again), ours) == 0, "%s becomes %s", ours, again.data);
    assert_true(resolve(&again, "http://10.0.0.9/x/y?z", same_path ? text_of(&again) : ours));
    CHECK(same_path || strcmp(text_of(&again), ours) == 0, "%s becomes %s", ours, again.data);
}

static void fuzz_one(const uint8_t *data, size_t size) {
    static char base[TEXT_MAX + 1], ref[TEXT_MAX + 1], encoded[3 * TEXT_MAX + 1];
    fuzz_input in = {data, size};
    unsigned fail_at = fuzz_byte(&in) & 7;
    const uint8_t *nul = in.size > 0 ? (const uint8_t *)memchr(in.data, 0, in.size) : NULL;
    fuzz_input first = fuzz_take(&in, nul != NULL ? (size_t)(nul - in.data) : 0);
    fuzz_byte(&in);
    if (first.size > TEXT_MAX / 2 || in.size > TEXT_MAX / 4)
        return;
    memset(&memory, 0, sizeof memory);
    env.allocator.func = fuzz_memory_func;
    env.allocator.user_data = &memory;
    copy(base, first.size > 0 ? (const char *)first.data : "", first.size);
    copy(ref, in.size > 0 ? (const char *)in.data : "", in.size);
    if (strchr(base, ' ') == NULL) {    /* as in any url that was asked for */
        encode_spaces(ref, encoded);
        check(base, encoded);
        sparp__buf first_out = out;
        memset(&out, 0, sizeof out);
        if (!spoiled && resolve(&out, base, ref))
            CHECK(strcmp(text_of(&out), text_of(&first_out)) == 0, "spaces: %s", out.data);
        memory.counted.calls = 0;
        memory.counted.fail_at = fail_at;
        if (!spoiled && fail_at > 0)
            resolve(&again, base, ref);
        memory.counted.fail_at = 0;
        sparp__buf_free(&env, &first_out);
    }
    spoiled = false;
    sparp__buf_free(&env, &out);
    sparp__buf_free(&env, &again);
    CHECK(test_memory_clean(&memory.counted), "%u blocks left", (unsigned)memory.counted.blocks);
}

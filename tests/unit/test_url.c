/* The section url: what is taken, what is refused and with which sentence; and what a reference
   means where it stands. */
#include "../support.h"

#define SPARP__SYS_CLOCK test_clock
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#define SCHEME  "url must begin with http://"
#define SPACE   "url has a raw space: write %20"
#define CONTROL "url has a control character"
#define NO_HOST "url has no host"
#define LETTER  "url has a character in its host that no host name has"
#define ASCII   "url has a host that is not ASCII: write its punycode form (xn--...)"
#define DOT     "url has a host name that begins with a dot"
#define LONG    "url has a host name of more than 253 bytes"
#define PORT    "url has a port that is not 1 to 65535"
#define IPV6    "url has a bad IPv6 address"
#define NO_END  "url has a [ without its ]"
#define NO_OPEN "url has a ] without its ["
#define BARE    "url has an IPv6 address that is not in [ ]"
#define ZONE    "url has an IPv6 zone, which is not supported"

#define TEN     "abcdefghi."
#define FIFTY   TEN TEN TEN TEN TEN
#define HOST253 FIFTY FIFTY FIFTY FIFTY FIFTY "abc"

static const struct {
    const char *url;
    const char *userinfo, *host;
    int port;
    const char *path;
} taken[] = {
    /* RFC 3986 §3, RFC 9110 §4.2 */
    {"http://a", "", "a", 80, ""},
    {"http://a/", "", "a", 80, "/"},
    {"http://a/b/c?d=e&f", "", "a", 80, "/b/c?d=e&f"},
    {"https://a", "", "a", 443, ""},
    {"HTTP://a", "", "a", 80, ""},
    {"hTtPs://A.Example", "", "A.Example", 443, ""},
    {"http://www.example.org./x", "", "www.example.org.", 80, "/x"},
    {"http://_dmarc.a-b.c1/", "", "_dmarc.a-b.c1", 80, "/"},
    {"http://127.0.0.1", "", "127.0.0.1", 80, ""},
    {"http://xn--bcher-kva.example", "", "xn--bcher-kva.example", 80, ""},
    {"http://" HOST253 "/", "", HOST253, 80, "/"},
    /* §3.2.3: the port, also none behind its colon */
    {"http://a:1", "", "a", 1, ""},
    {"http://a:8080/x", "", "a", 8080, "/x"},
    {"http://a:65535", "", "a", 65535, ""},
    {"http://a:", "", "a", 80, ""},
    {"https://a:/x", "", "a", 443, "/x"},
    {"https://a:80", "", "a", 80, ""},
    {"http://a:0080", "", "a", 80, ""},
    /* §3.2.2: IPv6 */
    {"http://[::1]", "", "::1", 80, ""},
    {"http://[::1]:81/x", "", "::1", 81, "/x"},
    {"http://[::1]:", "", "::1", 80, ""},
    {"http://[2001:DB8::a]?q", "", "2001:DB8::a", 80, "?q"},
    {"http://[::ffff:192.0.2.1]:1", "", "::ffff:192.0.2.1", 1, ""},
    {"http://[0000:0000:0000:0000:0000:ffff:255.255.255.255]", "",
     "0000:0000:0000:0000:0000:ffff:255.255.255.255", 80, ""},
    /* §3.2.1: userinfo ends at the last @ of the authority */
    {"http://u:p@a", "u:p", "a", 80, ""},
    {"http://u@a:81", "u", "a", 81, ""},
    {"http://@a", "", "a", 80, ""},
    {"http://:@a", ":", "a", 80, ""},
    {"http://u:p:q@a", "u:p:q", "a", 80, ""},
    {"http://u@b@a", "u@b", "a", 80, ""},
    {"http://u:80@[::1]:81", "u:80", "::1", 81, ""},
    {"http://[::2]@[::1]", "[::2]", "::1", 80, ""},
    {"http://u%40:%3A@a", "u%40:%3A", "a", 80, ""},
    /* the authority ends at the first / ? or # */
    {"http://a/@b", "", "a", 80, "/@b"},
    {"http://a?@b", "", "a", 80, "?@b"},
    {"http://a#@b", "", "a", 80, ""},
    {"http://a/:81", "", "a", 80, "/:81"},
    {"http://a/b//c", "", "a", 80, "/b//c"},
    {"http://a//", "", "a", 80, "//"},
    {"http://a/http://b/", "", "a", 80, "/http://b/"},
    /* §3.5: the fragment stays here */
    {"http://a#f", "", "a", 80, ""},
    {"http://a/b#f#g", "", "a", 80, "/b"},
    {"http://a/b?c#d?e", "", "a", 80, "/b?c"},
    {"http://a?#", "", "a", 80, "?"},
    {"http://a/b#/c?d", "", "a", 80, "/b"},
    /* §2.1: percent-encoding is left as it is, good or bad */
    {"http://a/%20%2f%zz%", "", "a", 80, "/%20%2f%zz%"},
    {"http://a/%00%0d%0a", "", "a", 80, "/%00%0d%0a"},
};

static const struct {
    const char *url, *sentence;
} refused[] = {
    {"", SCHEME},
    {"a", SCHEME},
    {"/", SCHEME},
    {"//a/", SCHEME},
    {"a:80", SCHEME},
    {"a.example/x", SCHEME},
    {":", SCHEME},
    {"://a", SCHEME},
    {"http", SCHEME},
    {"http:", SCHEME},
    {"http:/", SCHEME},
    {"http:a", SCHEME},
    {"http:/a", SCHEME},
    {"httpx://a", SCHEME},
    {"htt://a", SCHEME},
    {"ftp://a", SCHEME},
    {"file:///etc/passwd", SCHEME},
    {"ws://a", SCHEME},
    {"javascript://a", SCHEME},
    {" http://a", SPACE},
    {"http://a ", SPACE},
    {"http://a/b c", SPACE},
    {"http://a/b#c d", SPACE},
    {"http://a b/", SPACE},
    {"http://a/\r\nX: y", CONTROL},
    {"http://a\r\nX:y/", CONTROL},
    {"http://a/\n", CONTROL},
    {"http://a/#\t", CONTROL},
    {"http://a/\x7F", CONTROL},
    {"http://", NO_HOST},
    {"http:///x", NO_HOST},
    {"http://?x", NO_HOST},
    {"http://#x", NO_HOST},
    {"http://:80", NO_HOST},
    {"http://u:p@", NO_HOST},
    {"http://u:p@:80/", NO_HOST},
    {"http://@/", NO_HOST},
    {"http://a%41/", LETTER},
    {"http://a%2e/", LETTER},
    {"http://a,b/", LETTER},
    {"http://a\\b/", LETTER},
    {"http://a[::1]/", LETTER},
    {"http://b\xC3\xBC" "cher.example/", ASCII},
    {"http://\xFF/", ASCII},
    {"http://./", DOT},
    {"http://.a/", DOT},
    {"http://" HOST253 "d/", LONG},
    {"http://a:0", PORT},
    {"http://a:00", PORT},
    {"http://a:65536", PORT},
    {"http://a:4294967376", PORT},                        /* 2^32 + 80 */
    {"http://a:18446744073709551696", PORT},              /* 2^64 + 80 */
    {"http://a:-1", PORT},
    {"http://a:+80", PORT},
    {"http://a:80x", PORT},
    {"http://a:x", PORT},
    {"http://a:80:81", PORT},
    {"http://a::80", BARE},                       /* a host named a has one colon */
    {"http://a:80%20/", PORT},
    {"http://::1/", BARE},
    {"http://2001:db8::1/", BARE},
    {"http://::1:8080/", BARE},
    {"http://u@::1/", BARE},
    {"http://::/", BARE},
    {"http://:::/", PORT},
    {"http://::g/", PORT},
    {"http://[::1", NO_END},
    {"http://[::1/x", NO_END},
    {"http://[::1:8080/x", NO_END},
    {"http://u:p@[::1", NO_END},
    {"http://[", NO_END},
    {"http://[?]", NO_END},
    {"http://[a.b/", NO_END},
    {"http://::1]/", NO_OPEN},
    {"http://::1]:80/", NO_OPEN},
    {"http://a]/", NO_OPEN},
    {"http://]/", NO_OPEN},
    {"http://[::1]:0", PORT},
    {"http://[::1]:65536", PORT},
    {"http://[]", IPV6},
    {"http://[]:80", IPV6},
    {"http://[::1]x", IPV6},
    {"http://[::1]80", IPV6},
    {"http://[::1]x:80", IPV6},
    {"http://[1.2.3.4]", IPV6},
    {"http://[a]", IPV6},
    {"http://[::1::]", IPV6},
    {"http://[1:2:3:4:5:6:7:8:9]", IPV6},
    {"http://[12345::]", IPV6},
    {"http://[::1]]", IPV6},
    {"http://[[::1]]", IPV6},
    {"http://[v1.a]", IPV6},
    {"http://[" FIFTY TEN "abc]", IPV6},
    {"http://[" FIFTY TEN "abcd]", IPV6},
    {"http://[" FIFTY TEN TEN "]", IPV6},
    {"http://[fe80::1%25eth0]/", ZONE},
    {"http://[fe80::1%eth0]/", ZONE},
    {"http://[%]", ZONE},
};

static void check_slice(sparp__str s, const char *text, const char *url) {
    CHECK(s.size == strlen(text) && (s.size == 0 || memcmp(s.data, text, s.size) == 0),
          "\"%s\": \"%.*s\", not \"%s\"", url, (int)s.size, s.size > 0 ? s.data : "", text);
}

static bool same_slice(sparp__str a, sparp__str b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* As the library asks: after all the urls before, and after the same one: no difference. */
static const char *parse(sparp__str text, sparp__url *url) {
    static sparp__url_memo memo;
    const char *wrong = sparp__url_parse(text, url);
    for (int i = 0; i < 2; i++) {
        sparp__url next;
        const char *again = sparp__url_parse_next(&memo, text, &next);
        CHECK(again == wrong || (again != NULL && wrong != NULL && strcmp(again, wrong) == 0),
              "%.*s: %s", (int)text.size, text.data, again != NULL ? again : "taken");
        if (wrong != NULL)
            continue;
        CHECK(same_slice(next.userinfo, url->userinfo) && same_slice(next.host, url->host)
              && same_slice(next.path, url->path) && same_slice(next.fragment, url->fragment)
              && same_slice(next.shown, url->shown), "%.*s", (int)text.size, text.data);
        CHECK((next.fragment.data == NULL) == (url->fragment.data == NULL), "%.*s",
              (int)text.size, text.data);
        CHECK(next.port == url->port && next.https == url->https
              && next.plain == url->plain, "%.*s", (int)text.size, text.data);
    }
    return wrong;
}

/* What begins in the same way is not the same yet. */
static void test_one_after_the_other(void **state) {
    (void)state;
    static const char *const urls[] = {
        "http://a.b", "http://a.bc", "http://a.b/c", "http://a.b?c", "http://a.b#c", "http://a.b/#",
        "http://a.b:80/", "http://a.b:8", "http://a.b:80", "http://a.b:801/", "http://a.b:80x/",
        "http://a.b@c/", "http://a.b:80@c/", "http://a.b\\c/", "https://a.b/", "http://a.b/ ",
        "http://a.b/\x01", "http://a.b/\"", "HTTP://a.b/", "http://A.b/", "http://[::1]/",
        "http://[::1]:8/", "http://[::1]8/", "http://[::1", "http://u@a.b/", "http://@a.b/",
        "http://" FIFTY FIFTY TEN "/x", "http://a"
    };
    for (size_t i = 0; i < COUNT_OF(urls); i++)
        for (size_t k = 0; k < COUNT_OF(urls); k++) {
            sparp__url url;
            parse(sparp__str_of(urls[i]), &url);
            parse(sparp__str_of(urls[k]), &url);
        }
}

static void test_taken(void **state) {
    (void)state;
    test_guard guard = test_guard_make(1000);
    for (size_t i = 0; i < COUNT_OF(taken); i++) {
        sparp__url url;
        size_t size = strlen(taken[i].url);
        const char *copy = test_guard_put(&guard, taken[i].url, size);
        const char *wrong = parse(sparp__str_make(copy, size), &url);
        CHECK(wrong == NULL, "\"%s\": %s", taken[i].url, wrong);
        check_slice(url.userinfo, taken[i].userinfo, taken[i].url);
        check_slice(url.host, taken[i].host, taken[i].url);
        check_slice(url.path, taken[i].path, taken[i].url);
        CHECK(url.port == taken[i].port, "\"%s\": port %d", taken[i].url, url.port);
        CHECK(url.https == (strncasecmp(taken[i].url, "https", 5) == 0), "\"%s\"", taken[i].url);
    }
    test_guard_free(&guard);
}

static void test_refused(void **state) {
    (void)state;
    test_guard guard = test_guard_make(1000);
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        sparp__url url;
        size_t size = strlen(refused[i].url);
        const char *copy = test_guard_put(&guard, refused[i].url, size);
        const char *wrong = parse(sparp__str_make(copy, size), &url);
        CHECK(wrong != NULL && strcmp(wrong, refused[i].sentence) == 0, "\"%s\": %s",
              refused[i].url, wrong != NULL ? wrong : "taken");
    }
    test_guard_free(&guard);
}

/* Nothing but the slice is looked at, wherever it is cut. */
static void test_prefixes(void **state) {
    (void)state;
    test_guard guard = test_guard_make(1000);
    for (size_t i = 0; i < COUNT_OF(taken); i++)
        for (size_t size = 0; size <= strlen(taken[i].url); size++) {
            sparp__url url;
            const char *copy = test_guard_put(&guard, taken[i].url, size);
            if (parse(sparp__str_make(copy, size), &url) != NULL)
                continue;
            CHECK(url.host.size > 0 && url.host.data >= copy
                  && url.host.data + url.host.size <= copy + size, "\"%s\"", taken[i].url);
            CHECK(url.path.data >= copy && url.path.data + url.path.size <= copy + size,
                  "\"%s\"", taken[i].url);
            CHECK(url.port != 0, "\"%s\"", taken[i].url);
        }
    test_guard_free(&guard);
}

/* The sentence for "http://a<byte>b/" and for "http://<byte>b/"; NULL: taken. */
static const char *host_verdict(int byte, bool first) {
    if (byte == ' ')
        return SPACE;
    if (byte < 0x20 || byte == 0x7F)
        return CONTROL;
    if (byte >= 0x80)
        return ASCII;
    if (byte == '/' || byte == '?' || byte == '#' || byte == ':')
        return byte == ':' ? PORT : first ? NO_HOST : NULL;
    if (first && byte == '.')
        return DOT;
    if (first && byte == '[')
        return NO_END;
    if (byte == ']')
        return NO_OPEN;
    if (byte == '@' || byte == '-' || byte == '.' || byte == '_')
        return NULL;
    return sparp__ascii_alpha((char)byte) || sparp__ascii_digit((char)byte) ? NULL : LETTER;
}

static void test_host_bytes(void **state) {
    (void)state;
    test_guard guard = test_guard_make(1000);
    for (int i = 0; i < 512; i++) {
        bool first = i >= 256;
        int byte = i % 256;
        char text[] = "http://a#b/";
        sparp__url url;
        text[8] = (char)byte;
        if (first)
            memmove(text + 7, text + 8, sizeof text - 8);
        size_t size = sizeof text - 1 - (first ? 1 : 0);
        const char *copy = test_guard_put(&guard, text, size);
        const char *wrong = parse(sparp__str_make(copy, size), &url);
        const char *wanted = host_verdict(byte, first);
        CHECK(wrong == wanted || (wrong != NULL && wanted != NULL && strcmp(wrong, wanted) == 0),
              "byte %d: %s, not %s", byte, wrong != NULL ? wrong : "taken",
              wanted != NULL ? wanted : "taken");
    }
    test_guard_free(&guard);
}

/* In the path everything passes that is not a control character or a space; what has no place
   there is marked for encoding, and the % never is. */
static void test_path_bytes(void **state) {
    (void)state;
    test_guard guard = test_guard_make(1000);
    for (int byte = 0; byte < 256; byte++) {
        char text[] = "http://a/b?c";
        sparp__url url;
        text[9] = (char)byte;
        const char *copy = test_guard_put(&guard, text, sizeof text - 1);
        const char *wrong = parse(sparp__str_make(copy, sizeof text - 1), &url);
        if (byte <= 0x20 || byte == 0x7F) {
            CHECK(wrong != NULL && strcmp(wrong, byte == ' ' ? SPACE : CONTROL) == 0, "%d", byte);
            continue;
        }
        bool encode = byte >= 0x80 || strchr("\"<>\\^`{|}", byte) != NULL;
        CHECK(wrong == NULL, "byte %d: %s", byte, wrong);
        CHECK(url.path.size == (byte == '#' ? 1 : 4), "byte %d", byte);
        CHECK(sparp__url_must_encode((char)byte) == encode, "byte %d", byte);
    }
    assert_false(sparp__url_must_encode('%'));
    test_guard_free(&guard);
}

/* RFC 3986 §2.3 */
static void test_unreserved(void **state) {
    (void)state;
    static const char all[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (int byte = 0; byte < 256; byte++)
        CHECK(sparp__url_unreserved((char)byte) == (byte != 0 && strchr(all, byte) != NULL),
              "byte %d", byte);
}

/* Every port that there is, and the first that are not. */
static void test_ports(void **state) {
    (void)state;
    for (int port = 0; port <= 70000; port++) {
        char text[32];
        sparp__url url;
        snprintf(text, sizeof text, "http://a:%d/", port);
        const char *wrong = parse(sparp__str_of(text), &url);
        CHECK((wrong == NULL) == (port >= 1 && port <= 65535), "%s", text);
        CHECK(wrong != NULL || url.port == port, "%s", text);
    }
}

/* --- references ------------------------------------------------------------------------------ */

#define RFC "http://a/b/c/d;p?q"

static const struct {
    const char *base, *reference, *target;
} resolved[] = {
    /* RFC 3986 §5.4.1 */
    {RFC, "g:h", "g:h"},
    {RFC, "g", "http://a/b/c/g"},
    {RFC, "./g", "http://a/b/c/g"},
    {RFC, "g/", "http://a/b/c/g/"},
    {RFC, "/g", "http://a/g"},
    {RFC, "//g", "http://g"},
    {RFC, "?y", "http://a/b/c/d;p?y"},
    {RFC, "g?y", "http://a/b/c/g?y"},
    {RFC, "#s", "http://a/b/c/d;p?q#s"},
    {RFC, "g#s", "http://a/b/c/g#s"},
    {RFC, "g?y#s", "http://a/b/c/g?y#s"},
    {RFC, ";x", "http://a/b/c/;x"},
    {RFC, "g;x", "http://a/b/c/g;x"},
    {RFC, "g;x?y#s", "http://a/b/c/g;x?y#s"},
    {RFC, "", "http://a/b/c/d;p?q"},
    {RFC, ".", "http://a/b/c/"},
    {RFC, "./", "http://a/b/c/"},
    {RFC, "..", "http://a/b/"},
    {RFC, "../", "http://a/b/"},
    {RFC, "../g", "http://a/b/g"},
    {RFC, "../..", "http://a/"},
    {RFC, "../../", "http://a/"},
    {RFC, "../../g", "http://a/g"},
    /* §5.4.2 */
    {RFC, "../../../g", "http://a/g"},
    {RFC, "../../../../g", "http://a/g"},
    {RFC, "/./g", "http://a/g"},
    {RFC, "/../g", "http://a/g"},
    {RFC, "g.", "http://a/b/c/g."},
    {RFC, ".g", "http://a/b/c/.g"},
    {RFC, "g..", "http://a/b/c/g.."},
    {RFC, "..g", "http://a/b/c/..g"},
    {RFC, "./../g", "http://a/b/g"},
    {RFC, "./g/.", "http://a/b/c/g/"},
    {RFC, "g/./h", "http://a/b/c/g/h"},
    {RFC, "g/../h", "http://a/b/c/h"},
    {RFC, "g;x=1/./y", "http://a/b/c/g;x=1/y"},
    {RFC, "g;x=1/../y", "http://a/b/c/y"},
    {RFC, "g?y/./x", "http://a/b/c/g?y/./x"},
    {RFC, "g?y/../x", "http://a/b/c/g?y/../x"},
    {RFC, "g#s/./x", "http://a/b/c/g#s/./x"},
    {RFC, "g#s/../x", "http://a/b/c/g#s/../x"},
    {RFC, "http:g", "http:g"},
    /* §5.2.2: what the reference has counts, the rest is the base's */
    {RFC, "https://h/x?y", "https://h/x?y"},
    {RFC, "HTTP://H/x", "HTTP://H/x"},
    {RFC, "//h:81", "http://h:81"},
    {RFC, "//h/../x/./y", "http://h/x/y"},
    {RFC, "//u:p@h/", "http://u:p@h/"},
    {RFC, "//[::1]:81/x", "http://[::1]:81/x"},
    {RFC, "//h?y", "http://h?y"},
    {RFC, "//h#s", "http://h#s"},
    {RFC, "//", "http://"},
    {RFC, "///x", "http:///x"},
    {RFC, "?", "http://a/b/c/d;p?"},
    {RFC, "#", "http://a/b/c/d;p?q#"},
    {RFC, "?#", "http://a/b/c/d;p?#"},
    {RFC, "/?a?b", "http://a/?a?b"},
    {RFC, "/#a#b?c", "http://a/#a#b?c"},
    {RFC, "http://h/a/../b/./c/..", "http://h/b/"},
    {RFC, "http://h", "http://h"},
    {RFC, "http:/.//h/x", "http:/.//h/x"},
    {RFC, "http:/a/..//h", "http:/.//h"},
    {RFC, "x:", "x:"},
    {RFC, "x:?y", "x:?y"},
    {RFC, "mailto:a@b.example", "mailto:a@b.example"},
    {RFC, "x:a/../b", "x:/b"},
    {RFC, "x:../a/./b", "x:a/b"},
    {RFC, "x:.", "x:"},
    {RFC, "x:..", "x:"},
    {"https://h/", "//g/x", "https://g/x"},
    {"https://h/", "/x", "https://h/x"},
    /* §3.1: what is a scheme, and what is a path */
    {RFC, "a+b-c.9:x", "a+b-c.9:x"},
    {RFC, "9:x", "http://a/b/c/9:x"},
    {RFC, ":x", "http://a/b/c/:x"},
    {RFC, "a_b:x", "http://a/b/c/a_b:x"},
    {RFC, "./a:x", "http://a/b/c/a:x"},
    {RFC, "a/b:x", "http://a/b/c/a/b:x"},
    {RFC, "?a:x", "http://a/b/c/d;p?a:x"},
    {RFC, "#a:x", "http://a/b/c/d;p?q#a:x"},
    /* bases */
    {"http://a", "g", "http://a/g"},
    {"http://a", "../g", "http://a/g"},
    {"http://a", "", "http://a"},
    {"http://a", "?y", "http://a?y"},
    {"http://a", "#s", "http://a#s"},
    {"http://a", ".", "http://a/"},
    {"http://a?q", "g", "http://a/g"},
    {"http://a?q/r", "g", "http://a/g"},
    {"http://a?q", "", "http://a?q"},
    {"http://a?", "", "http://a?"},
    {"http://a/b?x/y", "g", "http://a/g"},
    {"http://a/b/", "g", "http://a/b/g"},
    {"http://a/b/", "../g", "http://a/g"},
    {"http://a//b//c", "g", "http://a//b//g"},
    {"http://a//b//c", "../g", "http://a//b/g"},
    {"http://a//b//c", "../../g", "http://a//g"},
    {"http://a/b/../c", "", "http://a/b/../c"},
    {"http://a/b/../c", "?y", "http://a/b/../c?y"},
    {"http://a/b/../c", "g", "http://a/g"},
    {"http://a/b", "..//g", "http://a//g"},
    {"http://a/b", "/..//../g", "http://a/g"},
    {"http://a/b", "/c/...", "http://a/c/..."},
    {"x:", "g", "x:g"},
    {"x:a/b", "g", "x:a/g"},
    {"x:a/b", "../g", "x:/g"},
    {"x:/a/b", "/.//g", "x:/.//g"},
    {"x:/a/b", "..//g", "x:/.//g"},
    {"x:///a", "g", "x:///g"},
    /* the fragment: RFC 9110 §10.2.2 */
    {"http://a/b#f", "", "http://a/b#f"},
    {"http://a/b#f", "g", "http://a/g#f"},
    {"http://a/b#f", "g#s", "http://a/g#s"},
    {"http://a/b#f", "#s", "http://a/b#s"},
    {"http://a/b#f", "#", "http://a/b#"},
    {"http://a/b#f", "?y", "http://a/b?y#f"},
    {"http://a/b#f", "//h", "http://h#f"},
    {"http://a/b#f", "http://h/", "http://h/#f"},
    {"http://a#f/?g", "x", "http://a/x#f/?g"},
    {"http://a/b?c#", "g", "http://a/g#"},
    /* raw spaces are encoded, and nothing else is */
    {RFC, "g h", "http://a/b/c/g%20h"},
    {RFC, " ", "http://a/b/c/%20"},
    {RFC, "  g  ", "http://a/b/c/%20%20g%20%20"},
    {RFC, "/a b?c d#e f", "http://a/a%20b?c%20d#e%20f"},
    {RFC, "//h h/", "http://h%20h/"},
    {RFC, ". ./g", "http://a/b/c/.%20./g"},
    {RFC, "g%20%2e%2E/h", "http://a/b/c/g%20%2e%2E/h"},
    {RFC, "g\xC3\xBC<>\"\\^`{|}", "http://a/b/c/g\xC3\xBC<>\"\\^`{|}"},
    {RFC, "g\t\r\n", "http://a/b/c/g\t\r\n"},
};

static sparp__env memory_env(test_memory *memory) {
    sparp__env env;
    memset(&env, 0, sizeof env);
    env.allocator.func = test_memory_func;
    env.allocator.user_data = memory;
    return env;
}

static void check_target(const sparp__buf *out, const char *target, const char *base,
                         const char *reference) {
    CHECK(out->size == strlen(target) && memcmp(out->data, target, out->size) == 0,
          "\"%s\" in \"%s\": \"%.*s\", not \"%s\"", reference, base, (int)out->size, out->data,
          target);
}

static void test_resolved(void **state) {
    (void)state;
    test_memory memory = {0};
    sparp__env env = memory_env(&memory);
    test_guard first = test_guard_make(1000), second = test_guard_make(1000);
    sparp__buf out = {0};
    for (size_t i = 0; i < COUNT_OF(resolved); i++) {
        size_t base_size = strlen(resolved[i].base), size = strlen(resolved[i].reference);
        const char *base = test_guard_put(&first, resolved[i].base, base_size);
        const char *reference = test_guard_put(&second, resolved[i].reference, size);
        assert_true(sparp__url_resolve(&env, &out, sparp__str_make(base, base_size),
                                       sparp__str_make(reference, size)));
        check_target(&out, resolved[i].target, resolved[i].base, resolved[i].reference);
    }
    assert_true(sparp__url_resolve(&env, &out, sparp__str_of(RFC), sparp__str_make(NULL, 0)));
    check_target(&out, RFC, RFC, "NULL");
    sparp__buf_free(&env, &out);
    test_guard_free(&first);
    test_guard_free(&second);
    assert_true(test_memory_clean(&memory));
}

/* Where nothing is to be encoded, a target is resolved to itself. */
static void test_resolved_again(void **state) {
    (void)state;
    test_memory memory = {0};
    sparp__env env = memory_env(&memory);
    sparp__buf out = {0};
    for (size_t i = 0; i < COUNT_OF(resolved); i++) {
        const char *target = resolved[i].target;
        if (strstr(target, "/../") != NULL)
            continue;                   /* the empty reference leaves the base as it is */
        assert_true(sparp__url_resolve(&env, &out, sparp__str_of(RFC), sparp__str_of(target)));
        check_target(&out, target, RFC, target);
        assert_true(sparp__url_resolve(&env, &out, sparp__str_of(target), sparp__str_of("")));
        check_target(&out, target, target, "");
    }
    sparp__buf_free(&env, &out);
    assert_true(test_memory_clean(&memory));
}

#define MUCH 60000

/* References of 60 kB made of one piece again and again. The time limit of the test would notice
   if that took the square of it. */
static void test_resolved_long(void **state) {
    (void)state;
    static const struct {
        const char *piece, *target;     /* of RFC's base; NULL: behind its directory, as it is */
    } rows[] = {
        {"../", "http://a/"}, {"./", "http://a/b/c/"}, {"x/../", "http://a/b/c/"}, {"x", NULL},
        {"x/", NULL}, {"?", NULL}, {"#", NULL}, {"..x/", NULL}, {"a/b/../../", "http://a/b/c/"},
        {"/..", "http://a/"}, {"/.", "http://a/"},
    };
    static char reference[MUCH + 1], wanted[MUCH + 100];
    test_memory memory = {0};
    sparp__env env = memory_env(&memory);
    sparp__buf out = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t piece = strlen(rows[i].piece), size = MUCH / piece * piece;
        for (size_t at = 0; at < size; at += piece)
            memcpy(reference + at, rows[i].piece, piece);
        reference[size] = '\0';
        snprintf(wanted, sizeof wanted, "%s%s", *reference == '?' ? "http://a/b/c/d;p"
                 : *reference == '#' ? RFC : "http://a/b/c/", reference);
        assert_true(sparp__url_resolve(&env, &out, sparp__str_of(RFC), sparp__str_of(reference)));
        check_target(&out, rows[i].target != NULL ? rows[i].target : wanted, RFC, rows[i].piece);
    }
    memset(reference, ' ', MUCH);
    assert_true(sparp__url_resolve(&env, &out, sparp__str_of(RFC), sparp__str_of(reference)));
    assert_int_equal(out.size, strlen("http://a/b/c/") + 3 * MUCH);
    for (size_t i = strlen("http://a/b/c/"); i < out.size; i += 3)
        assert_memory_equal(out.data + i, "%20", 3);
    sparp__buf_free(&env, &out);
    assert_true(test_memory_clean(&memory));
}

/* No part of a path or of dots makes a target with dots left, or one outside of the host. */
static void test_resolved_dice(void **state) {
    (void)state;
    static const char letters[] = "..//ab?# ";
    uint64_t dice = 77;
    test_memory memory = {0};
    sparp__env env = memory_env(&memory);
    sparp__buf out = {0};
    for (int round = 0; round < 200000; round++) {
        char reference[12];
        size_t size = test_random(&dice) % sizeof reference;
        for (size_t i = 0; i < size; i++)
            reference[i] = letters[test_random(&dice) % (sizeof letters - 1)];
        if (size >= 2 && memcmp(reference, "//", 2) == 0)
            continue;                   /* another host */
        assert_true(sparp__url_resolve(&env, &out, sparp__str_of("http://h/a/b"),
                                       sparp__str_make(reference, size)));
        assert_true(sparp__buf_byte(&env, &out, '\0'));
        CHECK(strncmp(out.data, "http://h/", 9) == 0, "%.*s", (int)size, reference);
        out.data[strcspn(out.data, "?#")] = '\0';
        CHECK(strstr(out.data, "/./") == NULL && strstr(out.data, "/../") == NULL,
              "%.*s: %s", (int)size, reference, out.data);
        size_t end = strlen(out.data);
        CHECK(strcmp(out.data + end - 2, "/.") != 0 && strcmp(out.data + end - 3, "/..") != 0,
              "%.*s: %s", (int)size, reference, out.data);
    }
    sparp__buf_free(&env, &out);
    assert_true(test_memory_clean(&memory));
}

/* The n-th allocation fails, for every n until none does; then once more with all that follow. */
static void test_resolved_without_memory(void **state) {
    (void)state;
    static char reference[3000];
    static const char *const bases[] = {RFC, "x:/a/b"};
    memset(reference, ' ', sizeof reference - 1);
    for (size_t i = 0; i < 2 * COUNT_OF(bases); i++) {
        memcpy(reference, "/.//", 4);
        bool ok = false;
        for (size_t n = 1; !ok; n++) {
            test_memory memory = {0};
            sparp__env env = memory_env(&memory);
            sparp__buf out = {0};
            memory.fail_at = n;
            memory.fail_on = i >= COUNT_OF(bases);
            ok = sparp__url_resolve(&env, &out, sparp__str_of(bases[i % COUNT_OF(bases)]),
                                    sparp__str_of(reference));
            assert_true(!ok || n > 3);
            sparp__buf_free(&env, &out);
            CHECK(test_memory_clean(&memory), "allocation %u", (unsigned)n);
        }
    }
    /* each size once, so that every append is the one that does not fit */
    for (size_t size = 1; size < 300; size++) {
        test_memory memory = {0};
        sparp__env env = memory_env(&memory);
        sparp__buf out = {0};
        memset(reference, 'g', size);
        memcpy(reference, "/.//?y#s", size < 8 ? size : 8);
        memory.fail_at = 2;
        bool ok = sparp__url_resolve(&env, &out, sparp__str_of("x:/a/b?q#f"),
                                     sparp__str_make(reference, size));
        assert_int_equal(ok, memory.calls < 2);
        sparp__buf_free(&env, &out);
        assert_true(test_memory_clean(&memory));
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(test_one_after_the_other), TEST(test_taken), TEST(test_refused),
        TEST(test_prefixes), TEST(test_host_bytes),
        TEST(test_path_bytes), TEST(test_unreserved), TEST(test_ports), TEST(test_resolved),
        TEST(test_resolved_again), TEST(test_resolved_long), TEST(test_resolved_dice),
        TEST(test_resolved_without_memory),
    };
    return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}

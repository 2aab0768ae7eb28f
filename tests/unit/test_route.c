/* The section route: proxies, who is reached without one, addresses and detours by hand, and with
   which sentence an option is refused. */
#include "../support.h"

#define SPARP__SYS_CLOCK test_clock
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"

#define TEN     "abcdefghi."
#define FIFTY   TEN TEN TEN TEN TEN
#define HOST253 FIFTY FIFTY FIFTY FIFTY FIFTY "abc"
#define HOST_SIZE sizeof HOST253

#define P_SCHEME "proxy must begin with http://"
#define P_BAD    "proxy is not http://[user:password@]host[:port]"
#define S_BAD    "https_proxy is not http://[user:password@]host[:port]"
#define N_BAD    "no_proxy has an entry with a / that is not address/bits"
#define R_BAD    "resolve has an entry that is not host:port:address"
#define C_BAD    "connect_to has an entry that is not host:port:host2:port2"

/* A copy without a byte to spare, so that the sanitizer sees who looks further. */
static char *copy_of(const char *text) {
    char *copy = strdup(text);
    assert_non_null(copy);
    return copy;
}

/* "10.0.0.1,::1" of what is there. */
static const char *address_list(const sparp__address *list, size_t count, char *out, size_t size) {
    *out = '\0';
    for (size_t i = 0; i < count; i++) {
        char text[64];
        size_t at = strlen(out);
        snprintf(out + at, size - at, "%s%s", i > 0 ? "," : "",
                 sparp__address_text(&list[i], text, sizeof text));
        bool v4 = list[i].to.any.sa_family == AF_INET;
        assert_int_equal(list[i].size, v4 ? sizeof list[i].to.v4 : sizeof list[i].to.v6);
        assert_int_equal(v4 ? list[i].to.v4.sin_port : list[i].to.v6.sin6_port, 0);
    }
    return out;
}

/* --- proxies --------------------------------------------------------------------------------- */

static const struct {
    const char *text, *userinfo, *host;
    int port;
} proxies[] = {
    {"http://p", "", "p", 80},
    {"http://p/", "", "p", 80},
    {"http://p:3128", "", "p", 3128},
    {"http://p:3128/", "", "p", 3128},
    {"http://p:", "", "p", 80},
    {"http://p:65535", "", "p", 65535},
    {"HTTP://Proxy.Example.ORG.:1", "", "proxy.example.org", 1},
    {"p", "", "p", 80},
    {"p:3128", "", "p", 3128},
    {"p:3128/", "", "p", 3128},
    {"P.a.", "", "p.a", 80},
    {"10.0.0.1:8080", "", "10.0.0.1", 8080},
    {"http://[::1]", "", "::1", 80},
    {"[2001:DB8::A]:81", "", "2001:db8::a", 81},
    {"http://u:p@h:81", "u:p", "h", 81},
    {"u:p@h", "u:p", "h", 80},
    {"u@h:81", "u", "h", 81},
    {"http://@h", "", "h", 80},
    {"http://u:p@q@h", "u:p@q", "h", 80},
    {"http://u%40b:%3a%2F@h", "u%40b:%3a%2F", "h", 80},
    {"u:p@[::1]:81", "u:p", "::1", 81},
    {"http.proxy:81", "", "http.proxy", 81},
    {"http:81", "", "http", 81},
    {"http://http:81", "", "http", 81},
    {HOST253, "", HOST253, 80},
};

static void test_proxies(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(proxies); i++) {
        sparp__proxy p;
        char *text = copy_of(proxies[i].text);
        memset(&p, 0xA5, sizeof p);
        const char *wrong = sparp__proxy_parse(text, &p);
        CHECK(wrong == NULL, "\"%s\": %s", text, wrong);
        CHECK(p.userinfo.size == strlen(proxies[i].userinfo)
              && (p.userinfo.size == 0 || (p.userinfo.data >= text
              && memcmp(p.userinfo.data, proxies[i].userinfo, p.userinfo.size) == 0)),
              "\"%s\": \"%.*s\"", text, (int)p.userinfo.size, p.userinfo.data);
        CHECK(strcmp(p.host, proxies[i].host) == 0, "\"%s\": %s", text, p.host);
        CHECK(p.port == proxies[i].port, "\"%s\": port %d", text, p.port);
        free(text);
    }
}

static const struct {
    const char *text, *sentence;
} bad_proxies[] = {
    {"https://p", P_SCHEME},
    {"socks5://p", P_SCHEME},
    {"socks5h://u:p@p:1080", P_SCHEME},
    {"socks4://p", P_SCHEME},
    {"ftp://p", P_SCHEME},
    {"httpx://p", P_SCHEME},
    {"htt://p", P_SCHEME},
    {"://p", P_SCHEME},
    {" http://p", P_SCHEME},
    {"p/http://", P_SCHEME},
    {"", P_BAD},
    {"/", P_BAD},
    {"http://", P_BAD},
    {"http:///", P_BAD},
    {"http:/p", P_BAD},
    {"http:p", P_BAD},
    {"http://p/x", P_BAD},
    {"http://p//", P_BAD},
    {"http://p/?", P_BAD},
    {"http://p?x", P_BAD},
    {"http://p#x", P_BAD},
    {"p#", P_BAD},
    {"http://u:p#q@h", P_BAD},
    {"http://u:p/q@h", P_BAD},
    {"http://u:p?q@h", P_BAD},
    {"http://u:p q@h", P_BAD},
    {"http://u:<p>@h", P_BAD},
    {"http://u:\xC3\xBC@h", P_BAD},
    {"http://p ", P_BAD},
    {"http://p\r\nX: y", P_BAD},
    {"http://p\t", P_BAD},
    {"http://u:\x01@p", P_BAD},
    {"http://u:\x7F@p", P_BAD},
    {"http://p:0", P_BAD},
    {"http://p:65536", P_BAD},
    {"http://p:x", P_BAD},
    {"http://p:-1", P_BAD},
    {"http://p:80:81", P_BAD},
    {"http://:80", P_BAD},
    {"http://u:p@", P_BAD},
    {"http://u:p@:80", P_BAD},
    {"::1", P_BAD},
    {"::1:80", P_BAD},
    {"[::1", P_BAD},
    {"[::1]x", P_BAD},
    {"[10.0.0.1]", P_BAD},
    {"[fe80::1%eth0]", P_BAD},
    {"b\xC3\xBC" "cher.example", P_BAD},
    {".p", P_BAD},
    {"p_*", P_BAD},
    {"p,q", P_BAD},
    {HOST253 "d", P_BAD},
};

static void test_bad_proxies(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_proxies); i++) {
        sparp__proxy p;
        char *text = copy_of(bad_proxies[i].text);
        const char *wrong = sparp__proxy_parse(text, &p);
        CHECK(wrong != NULL && strcmp(wrong, bad_proxies[i].sentence) == 0, "\"%s\": %s", text,
              wrong != NULL ? wrong : "taken");
        free(text);
    }
}

/* --- no_proxy -------------------------------------------------------------------------------- */

static const struct {
    const char *list, *host;
    int port;
    bool matches;
} exceptions[] = {
    {"", "a.org", 80, false},
    {" , ,, ", "a.org", 80, false},
    {"*", "a.org", 80, true},
    {"*", "::1", 80, true},
    {"b.org,*", "a.org", 80, true},
    {"b.org * ", "10.0.0.1", 80, true},
    {"**", "a.org", 80, false},
    {"*:80", "a.org", 80, true},
    {"*:80", "a.org", 81, false},
    /* names: itself and what is below it */
    {"a.org", "a.org", 80, true},
    {"a.org", "x.a.org", 80, true},
    {"a.org", "y.x.a.org", 80, true},
    {"a.org", "xa.org", 80, false},
    {"a.org", "a.org.b", 80, false},
    {"a.org", "org", 80, false},
    {"a.org", ".org", 80, false},
    {"a.org", "b.org", 80, false},
    {"a.org", "", 80, false},
    {".a.org", "a.org", 80, true},
    {".a.org", "x.a.org", 80, true},
    {".a.org", "xa.org", 80, false},
    {"..a.org", "a.org", 80, false},
    {"*.a.org", "a.org", 80, true},
    {"*.a.org", "x.a.org", 80, true},
    {"*.a.org", "xa.org", 80, false},
    {"*a.org", "xa.org", 80, false},
    {"*a.org", "a.org", 80, false},
    {"x.*.org", "x.a.org", 80, false},
    {"a.org.", "a.org", 80, true},
    {".a.org.", "x.a.org", 80, true},
    {"org", "a.org", 80, true},
    {"A.oRG", "x.a.org", 80, true},
    {".", "a.org", 80, false},
    {".", "", 80, false},
    {"..", "a.org", 80, false},
    {"*.", "a.org", 80, false},
    {"localhost", "localhost", 80, true},
    /* a port */
    {"a.org:8080", "a.org", 8080, true},
    {"a.org:8080", "x.a.org", 8080, true},
    {"a.org:8080", "a.org", 80, false},
    {".a.org:8080", "x.a.org", 8080, true},
    {"a.org:8080,a.org:80", "a.org", 80, true},
    {"a.org:", "a.org", 80, false},
    {"a.org:x", "a.org", 80, false},
    {"a.org:0", "a.org", 80, false},
    {"a.org:65616", "a.org", 80, false},
    {":80", "a.org", 80, false},
    {":", "a.org", 80, false},
    /* addresses */
    {"127.0.0.1", "127.0.0.1", 80, true},
    {"127.0.0.1", "127.0.0.2", 80, false},
    {"127.0.0.1:81", "127.0.0.1", 81, true},
    {"127.0.0.1:81", "127.0.0.1", 80, false},
    {"0.0.1", "127.0.0.1", 80, false},
    {".0.0.1", "127.0.0.1", 80, false},
    {"127.0.0.1", "x.127.0.0.1", 80, true},
    {"::1", "::1", 80, true},
    {"::1", "0:0:0:0:0:0:0:1", 80, true},
    {"0:0::0:1", "::1", 80, true},
    {"[::1]", "::1", 80, true},
    {"[::1]:81", "::1", 81, true},
    {"[::1]:81", "::1", 80, false},
    {"[::1]:", "::1", 80, false},
    {"[::1]81", "::1", 81, false},
    {"[::1", "::1", 80, false},
    {"::1]", "::1", 80, false},
    {"[]", "::1", 80, false},
    {"[", "::1", 80, false},
    {"]", "::1", 80, false},
    {"2001:DB8::A", "2001:db8::a", 80, true},
    {"::1", "::2", 80, false},
    {"::1", "0.0.0.1", 80, false},
    {"0.0.0.1", "::1", 80, false},
    {"::1", "a.org", 80, false},
    {"a.org", "::1", 80, false},
    /* blocks */
    {"10.0.0.0/8", "10.255.1.2", 80, true},
    {"10.0.0.0/8", "11.0.0.0", 80, false},
    {"10.9.9.9/8", "10.0.0.1", 80, true},
    {"10.0.0.0/8", "a.org", 80, false},
    {"10.0.0.0/8", "10.a.org", 80, false},
    {"0.0.0.0/0", "1.2.3.4", 80, true},
    {"0.0.0.0/0", "::1", 80, false},
    {"0.0.0.0/0", "a.org", 80, false},
    {"1.2.3.4/32", "1.2.3.4", 80, true},
    {"1.2.3.4/32", "1.2.3.5", 80, false},
    {"1.2.3.4/31", "1.2.3.5", 80, true},
    {"1.2.3.4/31", "1.2.3.6", 80, false},
    {"1.2.3.4/33", "1.2.3.4", 80, false},
    {"1.2.3.4/", "1.2.3.4", 80, false},
    {"1.2.3.4/x", "1.2.3.4", 80, false},
    {"1.2.3.4/-1", "1.2.3.4", 80, false},
    {"1.2.3.4/8/8", "1.2.3.4", 80, false},
    {"/8", "1.2.3.4", 80, false},
    {"/", "1.2.3.4", 80, false},
    {"a.org/8", "a.org", 80, false},
    {"10.0.0.0/8:81", "10.0.0.1", 81, true},
    {"10.0.0.0/8:81", "10.0.0.1", 80, false},
    {"fd00::/8", "fdab::1", 80, true},
    {"fd00::/8", "fe00::1", 80, false},
    {"FD00::/8", "fdab::1", 80, true},
    {"[fd00::/8]", "fdab::1", 80, true},
    {"[fd00::/8]:81", "fdab::1", 81, true},
    {"[fd00::/8]:81", "fdab::1", 80, false},
    {"[fd00::]/8", "fdab::1", 80, false},
    {"fd00::/8", "253.0.0.1", 80, false},
    {"::/0", "::1", 80, true},
    {"::/0", "1.2.3.4", 80, false},
    {"2001:db8::/33", "2001:db8:7fff::1", 80, true},
    {"2001:db8::/33", "2001:db8:8000::1", 80, false},
    {"::1/128", "::1", 80, true},
    {"::1/129", "::1", 80, false},
    {"::1/127", "::", 80, true},
    /* lists */
    {"b.org,a.org", "a.org", 80, true},
    {"b.org a.org", "a.org", 80, true},
    {"\tb.org\t,\t a.org , c.org", "a.org", 80, true},
    {",,b.org,,,10.0.0.0/8,,", "10.1.1.1", 80, true},
    {"b.org;a.org", "a.org", 80, false},
    {"b.org,c.org", "a.org", 80, false},
    {"http://a.org/", "a.org", 80, false},
    {"\xFF\xFE,\x01,a.org", "a.org", 80, true},
};

static void test_no_proxy(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(exceptions); i++) {
        char *list = copy_of(exceptions[i].list), *host = copy_of(exceptions[i].host);
        bool matches = sparp__route_matches_no_proxy(list, host, (uint16_t)exceptions[i].port);
        CHECK(matches == exceptions[i].matches, "\"%s\" and %s:%d", list, host,
              exceptions[i].port);
        free(list);
        free(host);
    }
}

/* Every width of a block, with the one bit that is the last to count, and the next. */
static void test_block_widths(void **state) {
    (void)state;
    for (int v6 = 0; v6 < 2; v6++)
        for (unsigned bits = 0; bits <= (v6 ? 128 : 32); bits++)
            for (unsigned flip = 0; flip < (v6 ? 128 : 32); flip++) {
                unsigned char address[16] = {0x5A, 0xA5, 0x0F, 0xF0, 1, 2, 3, 4, 5, 6, 7, 8};
                char block[64], list[80], host[64];
                int family = v6 ? AF_INET6 : AF_INET;
                assert_non_null(inet_ntop(family, address, block, sizeof block));
                address[flip / 8] ^= (unsigned char)(0x80u >> flip % 8);
                assert_non_null(inet_ntop(family, address, host, sizeof host));
                snprintf(list, sizeof list, "%s/%u", block, bits);
                CHECK(sparp__route_matches_no_proxy(list, host, 80) == (flip >= bits),
                      "%s and %s", list, host);
            }
}

static void test_which_proxy(void **state) {
    (void)state;
    static const struct {
        const char *proxy, *https_proxy, *no_proxy, *unix_socket;
        bool https;
        const char *host;               /* of the proxy; NULL: none */
    } rows[] = {
        {NULL, NULL, NULL, NULL, false, NULL},
        {NULL, NULL, NULL, NULL, true, NULL},
        {"p", NULL, NULL, NULL, false, "p"},
        {"p", NULL, NULL, NULL, true, "p"},
        {"p", "s", NULL, NULL, false, "p"},
        {"p", "s", NULL, NULL, true, "s"},
        {"p", "", NULL, NULL, false, "p"},
        {"p", "", NULL, NULL, true, NULL},
        {"", NULL, NULL, NULL, false, NULL},
        {"", NULL, NULL, NULL, true, NULL},
        {"", "s", NULL, NULL, false, NULL},
        {"", "s", NULL, NULL, true, "s"},
        {NULL, "s", NULL, NULL, false, NULL},
        {NULL, "s", NULL, NULL, true, "s"},
        {"p", "s", "a.org", NULL, true, NULL},
        {"p", "s", "a.org", NULL, false, NULL},
        {"p", "s", "a.org:81", NULL, false, NULL},
        {"p", "s", "a.org:80", NULL, false, "p"},
        {"p", "s", "b.org", NULL, true, "s"},
        {"p", "s", "", NULL, true, "s"},
        {"p", "s", "*", NULL, true, NULL},
        {"p", "s", NULL, "/x", true, NULL},
        {"p", "s", NULL, "/x", false, NULL},
        {"socks5://p", NULL, NULL, NULL, false, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        sparp_options o;
        sparp__proxy p;
        memset(&o, 0, sizeof o);
        o.proxy = rows[i].proxy;
        o.https_proxy = rows[i].https_proxy;
        o.no_proxy = rows[i].no_proxy;
        o.unix_socket = rows[i].unix_socket;
        bool found = sparp__route_proxy(&o, "x.a.org", 81, rows[i].https, &p);
        CHECK(found == (rows[i].host != NULL), "row %u", (unsigned)i);
        CHECK(!found || strcmp(p.host, rows[i].host) == 0, "row %u: %s", (unsigned)i, p.host);
    }
}

/* With lenient_proxies one that is no use stops those who need it, and nobody goes past it. */
static void test_lenient_proxies(void **state) {
    sparp_options o;
    sparp__proxy p;
    (void)state;
    memset(&o, 0, sizeof o);
    o.proxy = "p";
    o.https_proxy = "socks5://s";
    o.no_proxy = "a.org,b/x";
    assert_string_not_equal(sparp_check_options(&o), "");
    o.lenient_proxies = true;
    assert_string_equal(sparp_check_options(&o), "");
    assert_null(sparp__route_bad_proxy(&o, "h", 80, false));
    assert_null(sparp__route_bad_proxy(&o, "a.org", 443, true));
    assert_non_null(sparp__route_bad_proxy(&o, "h", 443, true));
    assert_false(sparp__route_proxy(&o, "a.org", 443, true, &p));
    assert_false(sparp__route_proxy(&o, "h", 443, true, &p));
    o.local_address = "x";
    assert_string_not_equal(sparp_check_options(&o), "");
}

/* --- connect_to ------------------------------------------------------------------------------ */

static const struct {
    const char *list, *host;
    int port;
    const char *to_host;
    int to_port;
} detours[] = {
    {NULL, "a", 80, "a", 80},
    {"", "a", 80, "a", 80},
    {"a:80:b:81", "a", 80, "b", 81},
    {"a:80:b:81", "a", 81, "a", 81},
    {"a:80:b:81", "b", 80, "b", 80},
    {"a:80:b:81", "x.a", 80, "x.a", 80},
    {"A.Org.:80:B.Org.:81", "a.org", 80, "b.org", 81},
    /* empty: any, or as it is */
    {":80:b:81", "x", 80, "b", 81},
    {":80:b:81", "x", 443, "x", 443},
    {"a::b:81", "a", 443, "b", 81},
    {"a::b:", "a", 443, "b", 443},
    {"a::b", "a", 443, "a", 443},
    {"a:80::81", "a", 80, "a", 81},
    {"::b:81", "x", 7, "b", 81},
    {"::b:", "x", 7, "b", 7},
    {":::81", "x", 7, "x", 81},
    {":::", "x", 7, "x", 7},
    /* addresses */
    {"a:80:10.0.0.1:81", "a", 80, "10.0.0.1", 81},
    {"a:80:[::1]:81", "a", 80, "::1", 81},
    {"a:80:[2001:DB8::A]:", "a", 80, "2001:db8::a", 80},
    {"[::1]:80:b:81", "::1", 80, "b", 81},
    {"[0:0::1]:80:b:81", "::1", 80, "b", 81},
    {"[::1]:80:[::2]:81", "::1", 80, "::2", 81},
    {"[::1]:80:b:81", "::2", 80, "::2", 80},
    {"10.0.0.1:80:b:81", "10.0.0.1", 80, "b", 81},
    {"a:80:b:81", "10.0.0.1", 80, "10.0.0.1", 80},
    /* the first match counts, and is not followed any further */
    {"a:80:b:81,a:80:c:82", "a", 80, "b", 81},
    {"a:81:b:81,a:80:c:82", "a", 80, "c", 82},
    {"a:80:b:81,b:81:c:82", "a", 80, "b", 81},
    {"a:80::,::z:1", "a", 80, "a", 80},
    {" , a:80:b:81 ,", "a", 80, "b", 81},
    /* what makes no sense is passed over */
    {"a,a:80,a:80:b,a:80:b:81:9,a:80:b:81", "a", 80, "b", 81},
    {"a:0:b:81,a:80:b:0,a:65536:b:81,a:x:b:81,a:80:b:65536,a:80:b:-1", "a", 80, "a", 80},
    {"*:80:b:81,a:*:b:81,a:80:*:81,a:80:b c:81,a:80:.b:81", "a", 80, "a", 80},
    {"a:80:[::1:81,a:80:[x]:81,a:80:[10.0.0.1]:81,a:80:::1:81", "a", 80, "a", 80},
    {"a:80:" HOST253 "d:81", "a", 80, "a", 80},
    {"a:80:" HOST253 ":81", "a", 80, HOST253, 81},
    {"::" HOST253 ":", HOST253, 80, HOST253, 80},
    {HOST253 ".:80:b:81", HOST253, 80, HOST253, 80},
    {HOST253 ":80:b:81", HOST253, 80, "b", 81},
};

static void test_connect_to(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(detours); i++) {
        char *list = detours[i].list != NULL ? copy_of(detours[i].list) : NULL;
        char *host = (char *)malloc(HOST_SIZE);
        uint16_t port = 0;
        sparp__route_connect_to(list, detours[i].host, (uint16_t)detours[i].port, host, &port);
        CHECK(strcmp(host, detours[i].to_host) == 0 && port == detours[i].to_port,
              "\"%s\" sends %s:%d to %s:%d", list != NULL ? list : "NULL", detours[i].host,
              detours[i].port, host, port);
        free(host);
        free(list);
    }
}

/* --- resolve, and what resolve_host() says ---------------------------------------------------- */

static const struct {
    const char *list, *host;
    int port;
    const char *addresses;
} givens[] = {
    {NULL, "a", 80, ""},
    {"", "a", 80, ""},
    {"a:80:10.0.0.1", "a", 80, "10.0.0.1"},
    {"a:80:10.0.0.1", "a", 81, ""},
    {"a:80:10.0.0.1", "b", 80, ""},
    {"a:80:10.0.0.1", "x.a", 80, ""},
    {"A.Org.:80:10.0.0.1", "a.org", 80, "10.0.0.1"},
    {"a:80:[::1]", "a", 80, "::1"},
    {"a:80:::1", "a", 80, "::1"},
    {"a:80:[2001:DB8::A]", "a", 80, "2001:db8::a"},
    {"a:80:10.0.0.1,b:80:10.0.0.2,a:80:[::1],a:81:10.0.0.4,a:80:10.0.0.1", "a", 80,
     "10.0.0.1,::1,10.0.0.1"},
    {"*:80:10.0.0.1", "a", 80, "10.0.0.1"},
    {"*:80:10.0.0.1", "a", 81, ""},
    {"*:*:10.0.0.1", "a", 81, "10.0.0.1"},
    {"a:*:10.0.0.1", "a", 81, "10.0.0.1"},
    {"a:*:10.0.0.1", "b", 81, ""},
    {"*:80:10.0.0.1,a:80:10.0.0.2", "a", 80, "10.0.0.1,10.0.0.2"},
    {"*:80:10.0.0.1", "::1", 80, "10.0.0.1"},
    {"[::1]:80:10.0.0.1", "::1", 80, "10.0.0.1"},
    {"[::0:1]:80:10.0.0.1", "::1", 80, "10.0.0.1"},
    {"10.0.0.1:80:10.0.0.2", "10.0.0.1", 80, "10.0.0.2"},
    {" a:80:10.0.0.1 ,, ", "a", 80, "10.0.0.1"},
    /* what makes no sense is passed over */
    {"a,a:80,a:80:,:80:10.0.0.1,a::10.0.0.1,a:80:10.0.0.1", "a", 80, "10.0.0.1"},
    {"a:80:b,a:80:10.0.0,a:80:10.0.0.256,a:80:10.0.0.1:1,a:80:[10.0.0.1],a:80:[::1", "a", 80, ""},
    {"a:80:[::1]x,a:80:[],a:80:[fe80::1%lo],a:0:10.0.0.1,a:65536:10.0.0.1,a:x:::1", "a", 80, ""},
    {"a:80:10.0.0.1;10.0.0.2,**:80:10.0.0.1,*a:80:10.0.0.1,a:8*:10.0.0.1", "a", 80, ""},
    {"a:80:1111111111111111111111111111111111111111111111111111111111111111", "a", 80, ""},
    {"-a:80:10.0.0.1,+a:80:10.0.0.1", "+a", 80, ""},
};

static void test_resolve(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(givens); i++) {
        sparp__address out[8];
        char text[400], *list = givens[i].list != NULL ? copy_of(givens[i].list) : NULL;
        size_t count = sparp__route_resolve(list, givens[i].host, (uint16_t)givens[i].port, out,
                                            COUNT_OF(out));
        address_list(out, count, text, sizeof text);
        CHECK(strcmp(text, givens[i].addresses) == 0, "\"%s\" has \"%s\" for %s:%d",
              list != NULL ? list : "NULL", text, givens[i].host, givens[i].port);
        free(list);
    }
}

/* No more than asked for, and nothing is written behind that. */
static void test_resolve_max(void **state) {
    (void)state;
    static const char list[] = "a:80:10.0.0.1,a:80:10.0.0.2,b:80:10.0.0.9,a:80:10.0.0.3";
    for (size_t max = 0; max < 5; max++) {
        size_t size = max * sizeof(sparp__address);
        sparp__address *out = (sparp__address *)malloc(size > 0 ? size : 1);
        size_t count = sparp__route_resolve(list, "a", 80, out, max);
        assert_int_equal(count, max < 3 ? max : 3);
        free(out);
    }
}

static const struct {
    const char *text, *addresses;       /* NULL: refused */
} hooked[] = {
    {"", ""},
    {" , ,", ""},
    {"10.0.0.1", "10.0.0.1"},
    {"::1", "::1"},
    {"[::1]", "::1"},
    {"10.0.0.1,::1,[::2]", "10.0.0.1,::1,::2"},
    {" 10.0.0.1 ,\t::1 ", "10.0.0.1,::1"},
    {"::ffff:10.0.0.1", "::ffff:10.0.0.1"},
    {"a", NULL},
    {"10.0.0.1,a", NULL},
    {"a,10.0.0.1", NULL},
    {"10.0.0.1 10.0.0.2", NULL},
    {"10.0.0", NULL},
    {"10.0.0.01x", NULL},
    {"10.0.0.1:80", NULL},
    {"[10.0.0.1]", NULL},
    {"[::1]:80", NULL},
    {"[::1", NULL},
    {"::1]", NULL},
    {"[]", NULL},
    {"[", NULL},
    {"]", NULL},
    {"[[::1]]", NULL},
    {"::1%lo", NULL},
    {":", NULL},
    {"0", NULL},
    {"1,2,3,4,5,6,7,8,9", NULL},
    {"::1,::2,::3,::4,::5,::6,::7,::8", "::1,::2,::3,::4,::5,::6,::7,::8"},
    {"::1,::2,::3,::4,::5,::6,::7,::8,::9", "::1,::2,::3,::4,::5,::6,::7,::8"},
    {"::1,::2,::3,::4,::5,::6,::7,::8,a", NULL},
};

static void test_addresses(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(hooked); i++) {
        sparp__address *out = (sparp__address *)malloc(8 * sizeof *out);
        char list[400], *text = copy_of(hooked[i].text);
        int count = sparp__route_addresses(text, out, 8);
        CHECK((count < 0) == (hooked[i].addresses == NULL), "\"%s\": %d", text, count);
        if (count >= 0)
            CHECK(strcmp(address_list(out, (size_t)count, list, sizeof list),
                         hooked[i].addresses) == 0, "\"%s\": %s", text, list);
        assert_int_equal(sparp__route_addresses(text, out, 0), count < 0 ? -1 : 0);
        free(text);
        free(out);
    }
}

/* --- the options ----------------------------------------------------------------------------- */

#define PATH100 "/23456789/23456789/23456789/23456789/23456789" \
                "/23456789/23456789/23456789/23456789/234567890"

enum field { PROXY, HTTPS_PROXY, NO_PROXY, UNIX_SOCKET, RESOLVE, CONNECT_TO, LOCAL_ADDRESS };

static const struct {
    enum field field;
    const char *value, *sentence;       /* NULL: taken */
} options[] = {
    {PROXY, "", NULL},
    {PROXY, "http://u:p@h:3128/", NULL},
    {PROXY, "socks5://h", P_SCHEME},
    {PROXY, "http://h/x", P_BAD},
    {HTTPS_PROXY, "", NULL},
    {HTTPS_PROXY, "h:3128", NULL},
    {HTTPS_PROXY, "https://h", S_BAD},
    {HTTPS_PROXY, "http://h:0", S_BAD},
    {NO_PROXY, "", NULL},
    {NO_PROXY, "*", NULL},
    {NO_PROXY, "a.org,.b.org 10.0.0.7 ::1,[::1]:80,10.0.0.0/8,fd00::/8,[fd00::/8]:80", NULL},
    {NO_PROXY, "0.0.0.0/0,::/0,1.2.3.4/32,::1/128,10.0.0.0/8:80", NULL},
    {NO_PROXY, "a.org:x,[,],%&", NULL},
    {NO_PROXY, "10.0.0.0/33", N_BAD},
    {NO_PROXY, "a.org, 10.0.0.0/", N_BAD},
    {NO_PROXY, "10.0.0.0/8/8", N_BAD},
    {NO_PROXY, "10.0.0/8", N_BAD},
    {NO_PROXY, "::/129", N_BAD},
    {NO_PROXY, "[fd00::]/8", N_BAD},
    {NO_PROXY, "[fd00::/8", N_BAD},
    {NO_PROXY, "a.org/8", N_BAD},
    {NO_PROXY, "http://a.org", N_BAD},
    {NO_PROXY, "/", N_BAD},
    {UNIX_SOCKET, "/x", NULL},
    {UNIX_SOCKET, "x", NULL},
    {UNIX_SOCKET, PATH100, NULL},
    {UNIX_SOCKET, "", "unix_socket is empty"},
    {RESOLVE, "", NULL},
    {RESOLVE, " , ,", NULL},
    {RESOLVE, "a:80:10.0.0.1,*:*:[::1]", NULL},
    {RESOLVE, "a:80:10.0.0.1,b", R_BAD},
    {RESOLVE, "a:80", R_BAD},
    {RESOLVE, "a:80:", R_BAD},
    {RESOLVE, "a:80:b", R_BAD},
    {RESOLVE, ":80:10.0.0.1", R_BAD},
    {RESOLVE, "a::10.0.0.1", R_BAD},
    {RESOLVE, "a:80:10.0.0.1,10.0.0.2", R_BAD},
    {RESOLVE, "a b:80:10.0.0.1", R_BAD},
    {CONNECT_TO, "", NULL},
    {CONNECT_TO, "::b:81,a:80:[::1]:,:::", NULL},
    {CONNECT_TO, "a:80:b:81,a", C_BAD},
    {CONNECT_TO, "a:80:b", C_BAD},
    {CONNECT_TO, "a:80:b:81:x", C_BAD},
    {CONNECT_TO, "a:0:b:81", C_BAD},
    {CONNECT_TO, "*:80:b:81", C_BAD},
    {CONNECT_TO, "a:80:::1:81", C_BAD},
    {LOCAL_ADDRESS, "10.0.0.5", NULL},
    {LOCAL_ADDRESS, "::1", NULL},
    {LOCAL_ADDRESS, "0.0.0.0", NULL},
    {LOCAL_ADDRESS, "", "local_address is not an IPv4 or IPv6 address"},
    {LOCAL_ADDRESS, "[::1]", "local_address is not an IPv4 or IPv6 address"},
    {LOCAL_ADDRESS, "eth0", "local_address is not an IPv4 or IPv6 address"},
    {LOCAL_ADDRESS, "10.0.0.5:80", "local_address is not an IPv4 or IPv6 address"},
};

static void check_options(const sparp_options *o, const char *sentence, const char *what) {
    const char *wrong = sparp__route_check(o);
    CHECK(sentence == NULL ? wrong == NULL : wrong != NULL && strcmp(wrong, sentence) == 0,
          "%s: %s", what, wrong != NULL ? wrong : "taken");
    assert_string_equal(sparp_check_options(o), wrong != NULL ? wrong : "");
}

static void test_options(void **state) {
    (void)state;
    sparp_options o;
    memset(&o, 0, sizeof o);
    check_options(&o, NULL, "nothing");
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        memset(&o, 0, sizeof o);
        char *value = copy_of(options[i].value);
        const char **fields[] = {&o.proxy, &o.https_proxy, &o.no_proxy, &o.unix_socket,
                                 &o.resolve, &o.connect_to, &o.local_address};
        *fields[options[i].field] = value;
        check_options(&o, options[i].sentence, value);
        free(value);
    }
}

/* The longest path that the system takes, and one byte more; the sentence has the limit. */
static void test_unix_path_limit(void **state) {
    (void)state;
    struct sockaddr_un address;
    char path[sizeof address.sun_path + 1], sentence[80];
    sparp_options o;
    memset(&o, 0, sizeof o);
    memset(path, 'x', sizeof path);
    path[sizeof address.sun_path - 1] = '\0';
    o.unix_socket = path;
    check_options(&o, NULL, "the longest path");
    path[sizeof address.sun_path - 1] = 'x';
    path[sizeof address.sun_path] = '\0';
    snprintf(sentence, sizeof sentence, "unix_socket has more than %u bytes",
             (unsigned)sizeof address.sun_path - 1);
    check_options(&o, sentence, "one byte more");
}

static void test_options_together(void **state) {
    (void)state;
    static const struct {
        const char *proxy, *https_proxy, *unix_socket, *local_address;
        int ip_version;
        const char *sentence;
    } rows[] = {
        {"p", NULL, "/x", NULL, 0, "unix_socket and a proxy are both set"},
        {NULL, "p", "/x", NULL, 0, "unix_socket and a proxy are both set"},
        {"", "", "/x", NULL, 0, NULL},
        {NULL, NULL, "/x", "::1", 6, NULL},
        {"p", "s", NULL, "10.0.0.1", 4, NULL},
        {NULL, NULL, NULL, NULL, 4, NULL},
        {NULL, NULL, NULL, NULL, 6, NULL},
        {NULL, NULL, NULL, NULL, 5, "ip_version must be 4 or 6 (0: both)"},
        {NULL, NULL, NULL, NULL, -1, "ip_version must be 4 or 6 (0: both)"},
        {NULL, NULL, NULL, NULL, 46, "ip_version must be 4 or 6 (0: both)"},
        {NULL, NULL, NULL, "10.0.0.1", 0, NULL},
        {NULL, NULL, NULL, "10.0.0.1", 6, "local_address is not of ip_version"},
        {NULL, NULL, NULL, "::1", 4, "local_address is not of ip_version"},
        {NULL, NULL, NULL, "::1", 6, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char what[16];
        sparp_options o;
        memset(&o, 0, sizeof o);
        o.proxy = rows[i].proxy;
        o.https_proxy = rows[i].https_proxy;
        o.unix_socket = rows[i].unix_socket;
        o.local_address = rows[i].local_address;
        o.ip_version = rows[i].ip_version;
        snprintf(what, sizeof what, "row %u", (unsigned)i);
        check_options(&o, rows[i].sentence, what);
    }
}

/* --- dice ------------------------------------------------------------------------------------ */

/* Nonsense is refused or means something, the same to the check and to the use; nothing is read
   beyond its end. */
static void test_nonsense(void **state) {
    (void)state;
    static const char *const pieces[] = {
        "a", "b.org", ".", ":", "::", ":80", ":0", ",", " ", "[", "]", "[::1]", "::1", "10.0.0.1",
        "/8", "/", "*", "@", "http://", "u:p", "\x01", "\xFF", "%", "80", "65536", "-",
    };
    uint64_t dice = 4711;
    for (int round = 0; round < 200000; round++) {
        char text[128] = "", host[HOST_SIZE];
        uint16_t port;
        sparp__address out[4];
        sparp__proxy proxy;
        sparp_options o;
        for (uint64_t n = test_random(&dice) % 8; n > 0; n--)
            strcat(text, pieces[test_random(&dice) % COUNT_OF(pieces)]);
        char *copy = copy_of(text);
        memset(&o, 0, sizeof o);
        o.resolve = copy;
        bool taken = sparp__route_check(&o) == NULL;
        size_t count = sparp__route_resolve(copy, "10.0.0.1", 80, out, COUNT_OF(out));
        CHECK(taken || strchr(copy, ',') != NULL || count == 0, "%s", copy);
        o.resolve = NULL;
        o.connect_to = copy;
        taken = sparp__route_check(&o) == NULL;
        sparp__route_connect_to(copy, "a", 80, host, &port);
        CHECK(port != 0 && *host != '\0', "%s", copy);
        CHECK(taken || strchr(copy, ',') != NULL || (port == 80 && strcmp(host, "a") == 0), "%s",
              copy);
        o.connect_to = NULL;
        o.proxy = copy;
        taken = *copy != '\0' && sparp__route_check(&o) == NULL;
        CHECK(sparp__route_proxy(&o, "a", 80, false, &proxy) == taken, "%s", copy);
        CHECK(!taken || (proxy.port != 0 && proxy.host[0] != '\0'), "%s", copy);
        sparp__route_matches_no_proxy(copy, "a.b.org", 80);
        sparp__route_matches_no_proxy(copy, "::1", 80);
        o.proxy = NULL;
        o.no_proxy = copy;
        sparp__route_check(&o);
        sparp__route_addresses(copy, out, COUNT_OF(out));
        free(copy);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(test_proxies), TEST(test_bad_proxies), TEST(test_no_proxy), TEST(test_block_widths),
        TEST(test_which_proxy), TEST(test_lenient_proxies), TEST(test_connect_to),
        TEST(test_resolve), TEST(test_resolve_max),
        TEST(test_addresses), TEST(test_options), TEST(test_unix_path_limit),
        TEST(test_options_together), TEST(test_nonsense),
    };
    return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}

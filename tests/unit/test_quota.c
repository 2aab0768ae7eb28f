/* The section quota, and what limits and gate make of it: what a server says is left is read from
   its fields, and used up without a 429. No socket; the clock goes where a test says. */
#include "../fakenet.h"

#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#define SEEN_MAX 2000
#include "../head.h"
#include "../seen.h"

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)
#define NEVER INT64_MAX
#define QUOTAS 6                        /* SPARP__QUOTAS */
#define WALL INT64_C(1700000000)        /* Tue, 14 Nov 2023 22:13:20 GMT */
#define DATE "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"

/* --- what fields say -------------------------------------------------------------------------- */

static sparp__telling telling;

/* Reads the fields of a response that arrives when the clock shows WALL + 7200. */
static void read_fields(const char *fields) {
    test_head head;
    test_head_read(&head, "200 OK", fields);
    sparp__quota_read(&telling, &head.http, WALL + 7200);
    CHECK(telling.count == 0 || head.http.may_limit, "not looked at: %s", fields);
    test_head_free(&head);
}

/* "57/60 12 s": what is left of what, and until when; '?': not said; '~': in whole seconds; 'c':
   counted in cost; 'b': a bucket that leaks. In the order of the fields, '|' between. */
static const char *said(const char *fields) {
    static char text[600];
    size_t n = 0;
    read_fields(fields);
    text[0] = '\0';
    for (size_t i = 0; i < telling.count; i++) {
        const sparp__told *t = &telling.items[i];
        char limit[40] = "?", reset[40] = "?";
        if (t->limit >= 0)
            snprintf(limit, sizeof limit, "%.8g", t->limit);
        if (t->reset_s >= 0)
            snprintf(reset, sizeof reset, "%s%.8g s", t->coarse ? "~" : "", t->reset_s);
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%.8g/%s %s%s%s", i > 0 ? " | " : "",
                              t->left, limit, reset, t->is_cost ? " c" : "", t->leaks ? " b" : "");
    }
    return text;
}

/* What real services send, by their documentation. */
static const struct {
    const char *who, *fields, *said;
} services[] = {
    {"IETF draft 11", "RateLimit-Policy: \"default\";q=100;w=60\r\n"
     "RateLimit: \"default\";r=50;t=30\r\n", "50/100 ~30 s"},
    {"IETF draft 11, several policies",
     "RateLimit-Policy: \"burst\";q=100;w=60, \"daily\";q=1000;w=86400\r\n"
     "RateLimit: \"burst\";r=99;t=12, \"daily\";r=7;t=4000\r\n", "99/100 ~12 s | 7/1000 ~4000 s"},
    {"IETF draft 11, partition key", "RateLimit-Policy: \"default\";q=10;w=1;pk=:dHJ5:\r\n"
     "RateLimit: \"default\";r=9;t=1;pk=:dHJ5:\r\n", "9/10 ~1 s"},
    {"IETF draft 11, partition key on one side", "RateLimit-Policy: \"default\";q=10;w=60\r\n"
     "RateLimit: \"default\";r=9;pk=:dHJ5:\r\n", "9/10 ~60 s"},
    {"IETF draft 11, tokens and concurrency",
     "RateLimit-Policy: \"requests\";q=60;w=60, \"t\";q=90000;w=60;qu=\"tokens\", "
     "\"concurrency\";q=4;qu=\"concurrent-requests\"\r\n"
     "RateLimit: \"requests\";r=41;t=23, \"t\";r=81234;t=23, \"concurrency\";r=0;t=1\r\n",
     "41/60 ~23 s | 81234/90000 ~23 s c"},
    {"monday.com", "RateLimit-Policy: \"minuteRate\";q=5000;w=60, \"concurrency\";q=250;"
     "qu=\"concurrent-requests\", \"complexityMinute\";q=5000000;w=60;qu=\"content-bytes\"\r\n"
     "RateLimit: \"minuteRate\";r=4998;t=45, \"concurrency\";r=249;t=1, \"complexityMinute\";"
     "r=4950000;t=45\r\n", "4998/5000 ~45 s"},
    {"Cloudflare", "Ratelimit: \"default\";r=1199;t=300\r\n"
     "Ratelimit-Policy: \"burst\";q=1200;w=300\r\n", "1199/? ~300 s"},
    {"IETF draft 7", "RateLimit-Policy: 100;w=60\r\n"
     "RateLimit: limit=100, remaining=50, reset=5\r\n", "50/100 ~5 s"},
    {"IETF draft 6", "RateLimit-Limit: 100, 100;w=60, 5000;w=86400\r\nRateLimit-Remaining: 50\r\n"
     "RateLimit-Reset: 50\r\nRateLimit-Policy: 100;w=60;comment=\"fixed, window\"\r\n",
     "50/100 ~50 s"},
    {"GitHub", "X-RateLimit-Limit: 5000\r\nX-RateLimit-Remaining: 4987\r\nX-RateLimit-Used: 13\r\n"
     DATE "X-RateLimit-Reset: 1700001223\r\nX-RateLimit-Resource: core\r\n", "4987/5000 ~1223 s"},
    {"GitLab", DATE "RateLimit-Limit: 2000\r\nRateLimit-Observed: 1\r\n"
     "RateLimit-Remaining: 1999\r\nRateLimit-Reset: 0\r\nRateLimit-Name: throttle_web\r\n"
     "RateLimit-ResetTime: Tue, 14 Nov 2023 22:13:43 GMT\r\n", "1999/2000 ~23 s"},
    {"X, Okta", DATE "x-rate-limit-limit: 900\r\nx-rate-limit-remaining: 0\r\n"
     "x-rate-limit-reset: 1700000023\r\n", "0/900 ~23 s"},
    {"epoch milliseconds", DATE "X-RateLimit-Limit: 60\r\nX-RateLimit-Remaining: 3\r\n"
     "X-RateLimit-Reset: 1700000012250\r\n", "3/60 12.25 s"},
    {"OpenAI, Groq", "x-ratelimit-limit-requests: 60\r\nx-ratelimit-limit-tokens: 150000\r\n"
     "x-ratelimit-remaining-requests: 59\r\nx-ratelimit-remaining-tokens: 149984\r\n"
     "x-ratelimit-reset-requests: 1s\r\nx-ratelimit-reset-tokens: 6m0s\r\n",
     "59/60 1 s | 149984/150000 360 s c"},
    {"Groq", "x-ratelimit-limit-requests: 14400\r\nx-ratelimit-remaining-requests: 14370\r\n"
     "x-ratelimit-reset-requests: 2m59.56s\r\nx-ratelimit-limit-tokens: 18000\r\n"
     "x-ratelimit-remaining-tokens: 17997\r\nx-ratelimit-reset-tokens: 7.66ms\r\n",
     "14370/14400 179.56 s | 17997/18000 0.00766 s c"},
    {"Anthropic", DATE "anthropic-ratelimit-requests-limit: 50\r\n"
     "anthropic-ratelimit-requests-remaining: 49\r\n"
     "anthropic-ratelimit-requests-reset: 2023-11-14T22:13:22Z\r\n"
     "anthropic-ratelimit-tokens-limit: 80000\r\nanthropic-ratelimit-tokens-remaining: 38000\r\n"
     "anthropic-ratelimit-tokens-reset: 2023-11-14T22:13:53Z\r\n"
     "anthropic-ratelimit-input-tokens-limit: 40000\r\n"
     "anthropic-ratelimit-input-tokens-remaining: 0\r\n"
     "anthropic-ratelimit-input-tokens-reset: 2023-11-14T22:13:53Z\r\n",
     "49/50 ~2 s | 38000/80000 ~33 s c"},
    {"Cerebras", "x-ratelimit-limit-requests-day: 14400\r\n"
     "x-ratelimit-limit-tokens-minute: 60000\r\n"
     "x-ratelimit-remaining-requests-day: 14399\r\nx-ratelimit-remaining-tokens-minute: 59000\r\n"
     "x-ratelimit-reset-requests-day: 33011.382867\r\n"
     "x-ratelimit-reset-tokens-minute: 11.382867\r\n",
     "14399/14400 33011.383 s | 59000/60000 11.382867 s c"},
    {"Mistral", "x-ratelimit-limit-req-minute: 30\r\nx-ratelimit-remaining-req-minute: 29\r\n"
     "x-ratelimit-limit-tokens-minute: 937500\r\nx-ratelimit-remaining-tokens-minute: 936900\r\n",
     "29/30 ? | 936900/937500 ? c"},
    {"Kong", "X-RateLimit-Limit-Second: 5\r\nX-RateLimit-Remaining-Second: 4\r\n"
     "X-RateLimit-Limit-Minute: 10\r\nX-RateLimit-Remaining-Minute: 9\r\n"
     "RateLimit-Limit: 10\r\nRateLimit-Remaining: 9\r\nRateLimit-Reset: 41\r\n",
     "4/5 ? | 9/10 ? | 9/10 ~41 s"},
    {"Discord", "X-RateLimit-Limit: 5\r\nX-RateLimit-Remaining: 0\r\n"
     "X-RateLimit-Reset: 1700000001.470\r\nX-RateLimit-Reset-After: 1.25\r\n"
     "X-RateLimit-Bucket: abcd1234\r\n" DATE, "0/5 1.47 s"},
    {"Shopify", "X-Shopify-Shop-Api-Call-Limit: 32/40\r\n", "8/40 16 s b"},
    {"HubSpot", "X-HubSpot-RateLimit-Daily: 250000\r\n"
     "X-HubSpot-RateLimit-Daily-Remaining: 249999\r\n"
     "X-HubSpot-RateLimit-Interval-Milliseconds: 10000\r\nX-HubSpot-RateLimit-Max: 100\r\n"
     "X-HubSpot-RateLimit-Remaining: 99\r\nX-HubSpot-RateLimit-Secondly: 10\r\n"
     "X-HubSpot-RateLimit-Secondly-Remaining: 9\r\n", "249999/250000 ? | 99/100 10 s | 9/10 ?"},
    {"Reddit", "x-ratelimit-remaining: 598.0\r\nx-ratelimit-used: 2\r\nx-ratelimit-reset: 427\r\n",
     "598/600 ~427 s"},
    {"Zendesk", "X-Rate-Limit: 700\r\nX-Rate-Limit-Remaining: 699\r\nratelimit-limit: 700\r\n"
     "ratelimit-remaining: 699\r\nratelimit-reset: 41\r\n", "699/700 ~41 s"},
    {"Docker Hub", "ratelimit-limit: 100;w=21600\r\nratelimit-remaining: 76;w=21600\r\n"
     "docker-ratelimit-source: 192.0.2.1\r\n", "76/100 ?"},
    {"Roblox", "x-ratelimit-limit: 60, 60;w=60\r\nx-ratelimit-remaining: 59\r\n"
     "x-ratelimit-reset: 51\r\n", "59/60 ~51 s"},
    {"Atlassian", DATE "X-RateLimit-Limit: 350\r\nX-RateLimit-Remaining: 0\r\n"
     "X-RateLimit-NearLimit: true\r\nX-RateLimit-Reset: 2023-11-14T22:14Z\r\n", "0/350 ~40 s"},
    {"without a Date, by the clock", "X-RateLimit-Remaining: 2\r\n"
     "X-RateLimit-Reset: 1700007210\r\n", "2/? ~10 s"},
    {"both forms of one limit", "X-RateLimit-Limit: 60\r\nX-RateLimit-Remaining: 9\r\n"
     "X-RateLimit-Reset: 20\r\nRateLimit-Limit: 60\r\nRateLimit-Remaining: 8\r\n"
     "RateLimit-Reset: 21\r\n", "8/60 ~21 s"},
};

static void test_real_services(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(services); i++) {
        const char *got = said(services[i].fields);
        CHECK(strcmp(got, services[i].said) == 0, "%s: '%s', not '%s'", services[i].who, got,
              services[i].said);
    }
}

/* Nobody knows what these mean, or nobody can mean it. */
static const char *const nothing[] = {
    "", "Server: x\r\n", "X-Ratio: 5\r\n", "RateLimit:\r\n",
    "RateLimit: \r\nRateLimit-Policy: ,;,\r\n",
    "RateLimit: 5\r\n",
    "X-RateLimit-Limit: 60\r\n",
    "X-RateLimit-Remaining: -1\r\nX-RateLimit-Limit: 60\r\nX-RateLimit-Reset: 5\r\n",
    "X-RateLimit-Remaining: many\r\nX-RateLimit-Reset: 5\r\n",
    "X-RateLimit-Remaining: 0x10\r\nX-RateLimit-Reset: 5\r\n",
    "X-RateLimit-Remaining: 1e3\r\nX-RateLimit-Reset: 5\r\n",
    "X-RateLimit-Remaining: nan\r\nX-RateLimit-Reset: 5\r\n",
    "X-RateLimit-Remaining: inf\r\nX-RateLimit-Reset: 5\r\n",
    "X-RateLimit-Remaining: 70\r\nX-RateLimit-Limit: 60\r\nX-RateLimit-Reset: 5\r\n",
    "X-RateLimit-Remaining: 0\r\nX-RateLimit-Limit: 0\r\nX-RateLimit-Reset: 5\r\n",
    "X-RateLimit-Remaining: 99999999999999999999999999\r\nX-RateLimit-Reset: 5\r\n",
    "X-RateLimit-Remaining-Unicorns: 0\r\nX-RateLimit-Reset-Unicorns: 5\r\n",
    "X-RateLimit-Remaining-Limit: 0\r\n", "X-RateLimit-: 0\r\n", "X-Rate-Limits-Remaining: 0\r\n",
    "RateLimit: \"a\";r=-5;t=5\r\n", "RateLimit: \"a\";r=;t=5\r\n", "RateLimit: \"a\";t=5\r\n",
    "RateLimit: \"a;r=0;t=5\r\n", "RateLimit: ;r=0;t=5\r\n", "RateLimit: \"a\", r=0, t=5\r\n",
    "RateLimit: \"a\";r=6;t=5\r\nRateLimit-Policy: \"a\";q=5;w=60\r\n",
    "RateLimit: \"a\";r=0;t=5\r\nRateLimit-Policy: \"a\";q=5;qu=\"concurrent-requests\"\r\n",
    "RateLimit: \"a\";r=0;t=5\r\nAge: 30\r\n",
    "X-Shopify-Shop-Api-Call-Limit: 41/40\r\n", "X-Shopify-Shop-Api-Call-Limit: 4\r\n",
    "X-Shopify-Shop-Api-Call-Limit: /\r\n", "X-Shopify-Shop-Api-Call-Limit: 0/0\r\n",
    "anthropic-version: 2023-06-01\r\n", "ratelimit-scope: user\r\nratelimit-cost: 5\r\n"
};

static void test_what_means_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(nothing); i++)
        CHECK(said(nothing[i])[0] == '\0', "'%s': '%s'", nothing[i], said(nothing[i]));
}

/* The rest is understood; the time of the reset is not. */
static const char *const no_times[] = {
    "-5", "soon", "5 minutes", "99999999999", "2764801", "1e2", "5x", "m", "5m m", "6m0", "0x5",
    "999999999", "9784111777", "1700000005000000", "1700000005000000000", "1600000000",
    "1800000000", "Sun, 14 Nov 2094 22:13:25 GMT", "Sun, 06 Nov 1974 08:49:37 GMT",
    "2023-11-14T22:13:25", "-1700000012", "", ",", ";", "99999999999999999999s"
};

static void test_resets_that_are_none(void **state) {
    (void)state;
    char fields[300];
    for (size_t i = 0; i < COUNT_OF(no_times); i++) {
        snprintf(fields, sizeof fields, DATE "X-RateLimit-Limit: 60\r\nX-RateLimit-Remaining: 0\r\n"
                 "X-RateLimit-Reset: %s\r\n", no_times[i]);
        CHECK(strcmp(said(fields), "0/60 ?") == 0, "'%s': %s", no_times[i], said(fields));
    }
}

static const struct {
    const char *reset, *said;
} times[] = {
    {"0", "~0 s"}, {"30", "~30 s"}, {"30.5", "30.5 s"}, {"2764800", "~2764800 s"},
    {"30;w=60", "~30 s"}, {"20, 30", "~30 s"}, {"120ms", "0.12 s"}, {"6m0s", "360 s"},
    {"1h2m3.5s", "3723.5 s"}, {"1d", "86400 s"}, {"250us", "0.00025 s"}, {"9ns", "9e-09 s"},
    {"Tue, 14 Nov 2023 22:13:25 GMT", "~5 s"}, {"2023-11-14T23:13:25+01:00", "~5 s"},
    {"2023-11-14T22:13:25.25Z", "~6 s"}, {"Tue, 14 Nov 2023 22:13:15 GMT", "~0 s"},
    {"1700000012", "~12 s"}, {"1700000012.25", "12.25 s"}, {"1700000012250", "12.25 s"},
    {"1699999999", "~0 s"}
};

static void test_resets(void **state) {
    (void)state;
    char fields[300], wanted[60];
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        snprintf(fields, sizeof fields, DATE "X-RateLimit-Limit: 60\r\nX-RateLimit-Remaining: 0\r\n"
                 "X-RateLimit-Reset: %s\r\n", times[i].reset);
        snprintf(wanted, sizeof wanted, "0/60 %s", times[i].said);
        CHECK(strcmp(said(fields), wanted) == 0, "'%s': %s", times[i].reset, said(fields));
    }
}

/* Whatever comes: what is said makes sense. */
static void check_told(const char *fields) {
    read_fields(fields);
    CHECK(telling.count <= QUOTAS, "%s", fields);
    for (size_t i = 0; i < telling.count; i++) {
        const sparp__told *t = &telling.items[i];
        CHECK(t->left >= 0 && t->left <= 1e15, "%s: %f left", fields, t->left);
        CHECK(t->limit < 0 || (t->limit >= t->left && t->limit > 0 && t->limit <= 2e15),
              "%s: %f of %f", fields, t->left, t->limit);
        CHECK(t->reset_s < 0 || t->reset_s <= 32 * 86400, "%s: %f s", fields, t->reset_s);
    }
}

static void test_spoilt_fields(void **state) {
    (void)state;
    static const char bytes[] = "09-.,;:=\"\\ \tTZzm\xff\x01/";
    uint64_t dice = 1;
    char fields[4000];
    for (int n = 0; n < 200000; n++) {
        const char *from = services[test_random(&dice) % COUNT_OF(services)].fields;
        size_t size = (size_t)snprintf(fields, sizeof fields, "%s", from);
        for (uint64_t k = test_random(&dice) % 6; k > 0; k--) {
            size_t at = test_random(&dice) % size;
            if (fields[at] >= ' ' && fields[at] != ':')
                fields[at] = bytes[test_random(&dice) % (sizeof bytes - 1)];
        }
        for (char *line = fields; *line != '\0'; line = strchr(line, '\n') + 1)
            if (!sparp__ascii_token(*line))
                *line = 'x';            /* else it is no field, or the fold of one */
        char *blank = fields;           /* nor is one with a blank in its name */
        for (bool in_name = true; *blank != '\0'; blank++) {
            in_name = *blank == '\n' || (in_name && *blank != ':');
            if (in_name && *blank >= ' ' && !sparp__ascii_token(*blank))
                *blank = '-';
            if (*blank == '\x01' || *blank == '\xff')
                *blank = 'y';
        }
        check_told(fields);
    }
}

/* --- a server that counts, and the one who asks it -------------------------------------------- */

typedef enum style { EXACT, WHOLE_SECONDS, WHOLE_SECONDS_DOWN, EPOCH, SILENT } style;

#define MOST 4000                       /* requests in one play */

/* Two limits, of requests and of cost, both by window or both by bucket. */
static struct server {
    bool    buckets;
    double  limit[2], left[2];          /* [1]: cost; limit 0: none */
    int64_t window, since;              /* the window's beginning; of a bucket: when left was so */
    style   style;
    size_t  refused;
    size_t  refused_late;               /* ... of those sent when an answer had been heard */
    size_t  in_window, most_refused;    /* 429s of this window, and of the worst after the first */
    size_t  windows;
    int64_t last;                       /* when it let the last one through */
} server;

static double least(double a, double b) {
    return a < b ? a : b;
}

static void server_pass_time(int64_t now) {
    for (int i = 0; server.buckets && i < 2; i++)
        server.left[i] = least(server.limit[i], server.left[i] + server.limit[i]
                               * (double)(now - server.since) / (double)server.window);
    if (server.buckets) {
        server.since = now;
    } else if (now - server.since >= server.window) {
        server.since += (now - server.since) / server.window * server.window;
        server.left[0] = server.limit[0];
        server.left[1] = server.limit[1];
        server.windows++;
        server.in_window = 0;
    }
}

/* When this one would get through, if nobody came before it. */
static int64_t server_next(double cost, int64_t now) {
    int64_t at = now;
    const double need[2] = {1, cost};
    server_pass_time(now);
    for (int i = 0; i < 2; i++) {
        double missing = server.limit[i] > 0 ? need[i] - server.left[i] : 0;
        if (missing > 1e-6 && server.buckets)
            at = sparp__max(at, now + 1 + (int64_t)(missing / server.limit[i]
                                                    * (double)server.window));
        else if (missing > 1e-6)
            at = sparp__max(at, server.since + server.window);
    }
    return at;
}

/* False: 429. */
static bool server_take(double cost, bool late, int64_t now) {
    if (server_next(cost, now) > now) {
        server.refused++;
        server.refused_late += late;
        server.in_window++;
        if (server.windows > 0 && server.in_window > server.most_refused)
            server.most_refused = server.in_window;
        return false;
    }
    server.left[0] -= 1;
    server.left[1] -= cost;
    server.last = now;
    return true;
}

static double server_reset_s(int i, int64_t now) {
    if (!server.buckets)
        return (double)(server.since + server.window - now) / 1e9;
    return (server.limit[i] - server.left[i]) / server.limit[i] * (double)server.window / 1e9;
}

/* What it says with an answer, as fields would have it. */
static void server_say(sparp__telling *all, int64_t now) {
    memset(all, 0, sizeof *all);
    for (int i = 0; i < 2 && server.style != SILENT; i++) {
        if (!(server.limit[i] > 0))
            continue;
        sparp__told *t = sparp__telling_about(all, (uint32_t)i, 0);
        t->limit = server.limit[i];
        t->left = (double)(int64_t)(server.left[i] + 1e-6);
        t->is_cost = i == 1;
        t->reset_s = server_reset_s(i, now);
        t->coarse = server.style != EXACT;
        if (server.style == WHOLE_SECONDS)
            t->reset_s = (double)(int64_t)(t->reset_s + 0.999999999);
        if (server.style == WHOLE_SECONDS_DOWN)
            t->reset_s = (double)(int64_t)t->reset_s;
        if (server.style == EPOCH)      /* from the second in which the answer was made */
            t->reset_s = (double)(int64_t)(t->reset_s + (double)now / 1e9 + 0.999999999)
                - (double)(now / S);
    }
}

typedef struct asked {
    double  cost;
    int64_t at, arrives, returns;       /* sent; at the server; back again */
    bool    refused, lost;
    bool    late;                       /* sent when an answer had been heard */
    sparp__telling told;
} asked;

static struct client {
    sparp__gate   gate;
    sparp__quotas quotas;
    int64_t       retry_at, last;
    size_t        done, sent, num_flying;
    int           max_at_once;
    double        lose;                 /* of the answers: so many of 1 */
    asked         flying[256];
    bool          known;                /* an answer has come */
    double        costs[MOST];
    size_t        count;
} client;

static int64_t client_wait(double cost, int64_t now) {
    int64_t wait = sparp__gate_wait(&client.gate, client.max_at_once, cost, now);
    return sparp__max(wait, sparp__quotas_wait(&client.quotas, (double)client.gate.in_flight,
                                               client.gate.cost_in_flight, cost, now));
}

static void client_send(uint64_t *dice, int64_t now) {
    asked *a = &client.flying[client.num_flying++];
    memset(a, 0, sizeof *a);
    a->cost = client.costs[client.done + client.num_flying - 1];
    a->at = now;
    a->late = client.known;
    a->arrives = now + (int64_t)(test_random(dice) % 20) * MS;
    a->returns = a->arrives + (int64_t)(test_random(dice) % 30) * MS + 1;
    a->lost = (double)(test_random(dice) % 1000) < client.lose * 1000;
    sparp__quotas_on_start(&client.quotas, (double)client.gate.in_flight,
                           client.gate.cost_in_flight, a->cost, now);
    sparp__gate_enter(&client.gate, a->cost, now);
    client.sent++;
}

/* Its costs go back into the heap of those to be sent when it was refused. */
static void client_hear(asked *a, int64_t now) {
    static const sparp__telling none;
    sparp__gate_leave(&client.gate, a->cost, a->at);
    sparp__quotas_on_end(&client.quotas, a->lost ? &none : &a->told, !a->lost, 1, a->cost, a->at,
                         now);
    client.known = client.known || !a->lost;
    if (a->refused && !a->lost) {
        sparp__quotas_on_429(&client.quotas, true, a->at, now);
        sparp__gate_close(&client.gate, a->cost, now, server_next(a->cost, now));
    } else if (!a->lost) {
        sparp__gate_widen(&client.gate, a->cost, now);
    }
    if (a->refused)
        client.costs[client.count++] = a->cost;
    client.done++;
    client.last = now;
    client.num_flying--;
}

/* What happens next: an arrival, or an answer. */
static asked *client_next(int64_t *at) {
    asked *next = NULL;
    *at = NEVER;
    for (size_t i = 0; i < client.num_flying; i++) {
        asked *a = &client.flying[i];
        int64_t due = a->arrives != 0 ? a->arrives : a->returns;
        if (due < *at) {
            *at = due;
            next = a;
        }
    }
    return next;
}

/* Sends all of it. The time when the server let the last one through. */
static int64_t play(uint64_t *dice, int64_t begin) {
    int64_t now = begin;
    while (client.done < client.count) {
        int64_t due, wait = NEVER;
        while (client.done + client.num_flying < client.count
               && (wait = client_wait(client.costs[client.done + client.num_flying], now)) == 0)
            client_send(dice, now);
        asked *a = client_next(&due);
        CHECK(a != NULL || wait != NEVER, "it waits for nothing at %f s", (double)now / 1e9);
        if (wait != NEVER && client.done + client.num_flying < client.count && now + wait < due) {
            now += wait;
            continue;
        }
        now = due;
        if (a->arrives != 0) {
            a->arrives = 0;
            a->refused = !server_take(a->cost, a->late, now);
            server_say(&a->told, now);
        } else {
            asked ended = *a;           /* the order of the others is the order of their costs */
            memmove(a, a + 1, (size_t)(client.flying + client.num_flying - a - 1) * sizeof *a);
            client_hear(&ended, now);
        }
        CHECK(client.count < MOST && server.refused < 1000, "%lu were refused",
              (unsigned long)server.refused);
    }
    return server.last;
}

static void begin_play(bool buckets, style how, double requests, double cost, double window_s) {
    memset(&server, 0, sizeof server);
    memset(&client, 0, sizeof client);
    server.buckets = buckets;
    server.limit[0] = server.left[0] = requests;
    server.limit[1] = server.left[1] = cost;
    server.window = (int64_t)(window_s * 1e9);
    server.since = 1000 * S;
    server.style = how;
    client.max_at_once = 30;
    client.quotas.longest = NEVER;
}

static void add_requests(uint64_t *dice, size_t count, double most) {
    while (count-- > 0)
        client.costs[client.count++] = 1 + (double)(test_random(dice) % (uint64_t)most);
}

/* When the last of them gets through that server at the earliest, in this order, by somebody who
   knows all and is next to it. */
static int64_t earliest(int64_t begin) {
    struct server before = server;
    int64_t now = begin;
    for (size_t i = 0; i < client.count; i++) {
        now = server_next(client.costs[i], now);
        assert_true(server_take(client.costs[i], false, now));
    }
    server = before;
    return now;
}

/* Windows or buckets, one limit or both, whatever the latencies and the order of the answers: no
   429, and little more time than the limit takes. SEEDS=10000 in the environment: so many plays. */
static void test_what_is_left_is_used_without_a_429(void **state) {
    (void)state;
    const char *seeds = getenv("SEEDS");
    int plays = seeds != NULL ? atoi(seeds) : 1000;
    for (int n = 0; n < plays; n++) {
        uint64_t dice = (uint64_t)n + 1;
        bool buckets = n % 2 == 1, costs = n / 2 % 2 == 1;
        style how = (style)(n / 4 % 2 == 0 ? EXACT : n / 8 % 2 == 0 ? WHOLE_SECONDS : EPOCH);
        double window = how == EXACT ? 2 + (double)(n % 7) : 60;
        double most = costs ? 3000 : 1;
        begin_play(buckets, how, 60, costs ? 90000 : 0, window);
        client.max_at_once = 1 + n % 50;
        int64_t begin = server.since
            + (int64_t)(test_random(&dice) % (uint64_t)(server.window / 2));
        add_requests(&dice, 300 + (size_t)(n % 60), most);
        int64_t ideal = earliest(begin), took = play(&dice, begin) - begin;
        ideal -= begin;
        CHECK(server.refused_late == 0, "play %d: %lu refused", n,
              (unsigned long)server.refused_late);
        /* a probe and the trip there and back for each window; the coarse wait up to a second */
        double slack = (how == EXACT ? 0.15 : 1.15) * (double)(ideal / server.window + 1)
            + (client.max_at_once < 20 ? 0.05 * (double)client.count / client.max_at_once : 0);
        CHECK((double)took <= (double)ideal * 1.03 + slack * 1e9, "play %d: %s, %d at once: %f s, "
              "not %f", n, buckets ? "buckets" : "windows", client.max_at_once, (double)took / 1e9,
              (double)ideal / 1e9);
    }
}

/* A 429 says that it was no bucket after all, or not only one. */
static void test_a_429_takes_the_leak_back(void **state) {
    (void)state;
    sparp__quotas qs;
    sparp__telling told;
    memset(&qs, 0, sizeof qs);
    qs.longest = NEVER;
    for (int used = 1; used <= 64; used++) {
        memset(&told, 0, sizeof told);
        sparp__told *t = sparp__telling_about(&told, 1, 0);
        t->limit = 64;
        t->left = 64 - used;
        t->reset_s = used;
        sparp__quotas_on_end(&qs, &told, true, 1, 1, used, used);
    }
    assert_true(qs.items[0].leaks && sparp__quotas_wait(&qs, 0, 0, 1, 64) <= S + 1);
    sparp__quotas_on_429(&qs, false, 1, 65);       /* of one that went before anybody knew */
    assert_true(qs.items[0].leaks);
    sparp__quotas_on_429(&qs, false, 64, 65);
    assert_true(!qs.items[0].leaks && sparp__quotas_wait(&qs, 0, 0, 1, 64) == 64 * S);
    for (int used = 1; used <= 64; used++) {    /* once and for all */
        told.items[0].left = 64 - used;
        told.items[0].reset_s = used;
        sparp__quotas_on_end(&qs, &told, true, 1, 1, 64 + used, 64 + used);
    }
    assert_true(!qs.items[0].leaks);
    sparp__quotas_on_429(&qs, true, 200, 201);
    assert_true(sparp__quotas_wait(&qs, 0, 0, 1, 201) == 0);
}

static sparp__quotas heard;

/* An answer, to a request of that moment. Negative: it does not say. */
static void hear(double left, double limit, double reset_s, int64_t at) {
    sparp__telling told;
    memset(&told, 0, sizeof told);
    sparp__told *t = sparp__telling_about(&told, 1, 0);
    t->left = left;
    t->limit = limit;
    t->reset_s = reset_s;
    sparp__quotas_on_end(&heard, &told, true, 1, 1, at, at);
}

static void test_what_is_said_once(void **state) {
    (void)state;
    const sparp__quota *q = &heard.items[0];
    memset(&heard, 0, sizeof heard);
    heard.longest = NEVER;
    hear(9, 10, 60, S);
    hear(8, -1, -1, 2 * S);             /* the limit, and the reset, are as they were */
    assert_true(q->limit == 10 && q->until == 61 * S && q->left == 8);
    assert_true(sparp__quotas_wait(&heard, 8, 0, 1, 2 * S) == 59 * S);
    hear(12, -1, -1, 3 * S);            /* it is not 10 any more */
    assert_true(!(q->limit > 0) && q->left == 12);
    hear(0, -1, -1, 70 * S);            /* nothing is left, and nobody knows until when */
    assert_true(sparp__quotas_wait(&heard, 0, 0, 1, 70 * S) == 0);
    memset(&heard, 0, sizeof heard);
    for (int used = 1; used <= 64; used++)      /* a bucket, whose resets are said no more */
        hear(64 - used, 64, used, used);
    hear(1, -1, -1, 65);
    assert_true(q->leaks && sparp__quotas_wait(&heard, 1, 0, 1, 65) <= S + 1);
    hear(64, 64, 0, 66);                /* full, and a bucket still */
    assert_true(q->leaks && sparp__quotas_wait(&heard, 64, 0, 1, 66) == 0);
    hear(100, -1, -1, 67);              /* of what? */
    assert_false(q->leaks);
}

/* One at a time, and whole seconds: there are enough answers to know a bucket by. */
static void test_a_bucket_in_whole_seconds(void **state) {
    (void)state;
    sparp__telling told;
    memset(&heard, 0, sizeof heard);
    for (int used = 1; used <= 30; used++) {
        memset(&told, 0, sizeof told);
        sparp__told *t = sparp__telling_about(&told, 1, 0);
        t->left = 60 - used;
        t->limit = 60;
        t->reset_s = used;
        t->coarse = true;
        sparp__quotas_on_end(&heard, &told, true, 1, 1, used, used);
    }
    assert_true(heard.items[0].leaks);
}

/* Who has tried after the reset brought no answer: another one may, whoever else is under way. */
static void test_another_one_tries(void **state) {
    (void)state;
    static const sparp__telling none;
    memset(&heard, 0, sizeof heard);
    heard.longest = NEVER;
    hear(0, 10, 60, S);
    assert_true(sparp__quotas_wait(&heard, 2, 2, 1, 61 * S) == 0);
    sparp__quotas_on_start(&heard, 2, 2, 1, 61 * S);
    assert_true(sparp__quotas_wait(&heard, 3, 3, 1, 62 * S) == NEVER);
    sparp__quotas_on_end(&heard, &none, false, 1, 1, 60 * S, 62 * S);   /* not that one */
    assert_true(sparp__quotas_wait(&heard, 2, 2, 1, 62 * S) == NEVER);
    sparp__quotas_on_end(&heard, &none, false, 1, 1, 61 * S, 62 * S);
    assert_true(sparp__quotas_wait(&heard, 1, 1, 1, 62 * S) == 0);
}

/* A table that is full: who has not been heard so far is not listened to. */
static void test_more_quotas_than_are_looked_at(void **state) {
    (void)state;
    char fields[600] = "RateLimit: ";
    for (int i = 0; i < 20; i++)
        snprintf(fields + strlen(fields), 20, "\"%d\";r=0;t=9,", i);
    strcat(fields, "\r\n");
    read_fields(fields);
    assert_int_equal(telling.count, QUOTAS);
    memset(&heard, 0, sizeof heard);
    sparp__quotas_on_end(&heard, &telling, true, 1, 1, 0, 1);
    for (size_t i = 0; i < telling.count; i++)
        telling.items[i].key += 100;
    sparp__quotas_on_end(&heard, &telling, true, 1, 1, 0, 1);
    assert_int_equal(heard.count, QUOTAS);
}

/* Whole seconds that are rounded down end too soon. Who comes too soon has come alone, and that is
   not forgotten. */
static void test_seconds_rounded_down(void **state) {
    (void)state;
    uint64_t dice = 2;
    size_t refused = 0, windows = 0;
    for (int n = 0; n < 300; n++) {
        begin_play(false, WHOLE_SECONDS_DOWN, 60, 0, 60);
        client.max_at_once = 1 + n % 50;
        add_requests(&dice, 400, 1);
        play(&dice, server.since + 7 * S);
        CHECK(server.most_refused <= 1, "play %d: %lu refused in one window", n,
              (unsigned long)server.most_refused);
        refused += server.refused;
        windows += server.windows;
    }
    CHECK(refused < windows / 4, "%lu refused in %lu windows", (unsigned long)refused,
          (unsigned long)windows);
}

/* Answers get lost, and what they would have said. */
static void test_lost_answers(void **state) {
    (void)state;
    uint64_t dice = 3;
    for (int n = 0; n < 1000; n++) {
        begin_play(n % 2 == 1, EXACT, 60, n % 4 > 1 ? 90000 : 0, 5);
        client.lose = 0.1;
        client.max_at_once = 1 + n % 50;
        add_requests(&dice, 300, 2000);
        int64_t ideal = earliest(server.since) - server.since;
        int64_t took = play(&dice, server.since) - 1000 * S;
        CHECK(server.refused_late == 0, "play %d: %lu refused", n,
              (unsigned long)server.refused_late);
        CHECK((double)took < (double)ideal * 1.3 + (client.max_at_once < 20 ? 40e9 : 5e9),
              "play %d: %f s, not %f", n, (double)took / 1e9, (double)ideal / 1e9);
    }
}

/* One needs all there is; it gets through, and so do the others. */
static void test_as_heavy_as_the_limit(void **state) {
    (void)state;
    uint64_t dice = 4;
    for (int n = 0; n < 200; n++) {
        begin_play(n % 2 == 1, EXACT, 60, 10000, 5);
        add_requests(&dice, 100, 2000);
        for (size_t i = 0; i < 30; i++)
            client.costs[i] = 10;       /* the first ones, of which nobody knows anything */
        client.costs[50] = 10000;       /* just fits, into a full one */
        play(&dice, server.since);
        CHECK(server.refused_late == 0, "play %d: %lu refused", n,
              (unsigned long)server.refused_late);
        assert_int_equal(client.done, 100 + server.refused);
    }
}

/* Nothing is said: the gate alone. From the second window on it knows how much the ones before let
   through, and the one behind that goes alone: one 429 for each window, whether the requests are
   what is counted, or their cost. Of both, as many as are at once may hear it when first one binds,
   then the other. */
static void test_the_gate_alone_is_told_429_once_a_window(void **state) {
    (void)state;
    uint64_t dice = 5;
    enum { REQUESTS, COST, BOTH };
    for (int n = 0; n < 900; n++) {
        int what = n % 3;
        begin_play(false, SILENT, what == COST ? 0 : 20 + n % 80, what == REQUESTS ? 0 : 90000,
                   2 + n % 9);
        client.max_at_once = 1 + n % 50;
        for (int i = 0; i < 8; i++)
            add_requests(&dice, 100, what == REQUESTS ? 1 : n % 2 == 0 ? 3000
                                                          : i % 2 == 0 ? 6000 : 500);
        play(&dice, server.since);
        CHECK(what == BOTH || server.most_refused <= 1, "play %d: %lu refused in one window", n,
              (unsigned long)server.most_refused);
        size_t first = (size_t)client.max_at_once * (what == BOTH ? 2 : 1);
        CHECK(server.refused <= server.windows + first, "play %d: %lu refused in %lu windows", n,
              (unsigned long)server.refused, (unsigned long)server.windows);
    }
}

/* It has halved its limits, then doubled them: as many as are at once hear that they are lower, and
   one a window until all of them are used again. */
static void test_the_gate_alone_learns_other_limits(void **state) {
    (void)state;
    uint64_t dice = 6;
    for (int n = 0; n < 300; n++) {
        bool costs = n % 2 == 1;
        begin_play(false, SILENT, costs ? 0 : 200, costs ? 200000 : 0, 10);
        client.max_at_once = 1 + n % 30;
        add_requests(&dice, 1000, costs ? 2000 : 1);
        play(&dice, server.since);
        size_t refused = server.refused, windows = server.windows;
        for (int i = 0; i < 2; i++) {
            for (int of = 0; of < 2; of++)
                server.limit[of] *= i == 0 ? 0.5 : 2;
            add_requests(&dice, 1000, costs ? 2000 : 1);
            play(&dice, sparp__max(client.last, client.gate.closed_until));
            CHECK(server.refused - refused <= server.windows - windows + 1
                  + 2 * (size_t)client.max_at_once,
                  "play %d: %lu refused in %lu windows", n,
                  (unsigned long)(server.refused - refused),
                  (unsigned long)(server.windows - windows));
            size_t least_windows = i == 0 ? 10 : 5;
            CHECK(server.windows - windows <= least_windows + 2, "play %d: %lu windows", n,
                  (unsigned long)(server.windows - windows));
            refused = server.refused;
            windows = server.windows;
        }
    }
}

/* A 429 that was no limit, behind one that got through, and behind some that never end. */
static void outage(size_t hanging) {
    for (size_t i = 0; i <= hanging + 1; i++)
        sparp__gate_enter(&client.gate, 1, S);
    sparp__gate_leave(&client.gate, 1, S);
    sparp__gate_widen(&client.gate, 1, S);
    sparp__gate_leave(&client.gate, 1, S);
    sparp__gate_close(&client.gate, 1, S, 2 * S);
}

/* A 429 that was no limit, or one that is gone: it opens again within a few round trips. */
static void test_the_gate_alone_opens_again(void **state) {
    (void)state;
    uint64_t dice = 7;
    begin_play(false, SILENT, 0, 0, 10);
    client.max_at_once = 200;
    outage(0);
    add_requests(&dice, 3000, 1);
    play(&dice, 3 * S);
    assert_int_equal(server.refused, 0);
    /* 25 ms each: 0.4 s with 200 at once */
    CHECK(client.last < 3 * S + 800 * MS, "%f s", (double)(client.last - 3 * S) / 1e9);
}

/* Nor do others wait until those end that were under way when it closed, or that hang. */
static void test_the_gate_alone_waits_for_none_that_hangs(void **state) {
    (void)state;
    uint64_t dice = 8;
    for (size_t hanging = 1; hanging < 30; hanging += 7) {
        begin_play(false, SILENT, 0, 0, 10);
        client.max_at_once = 60;
        outage(hanging);
        add_requests(&dice, 1000, 1);
        play(&dice, 3 * S);
        CHECK(client.last < 5 * S, "%lu hang: %f s", (unsigned long)hanging,
              (double)(client.last - 3 * S) / 1e9);
    }
}

/* A window of 100 that each cost 1, then a 429, while `hanging` others of that cost go on. */
static void window_of_100(sparp__gate *g, size_t hanging, double cost) {
    memset(g, 0, sizeof *g);
    for (size_t i = 0; i < hanging; i++)
        sparp__gate_enter(g, cost, S);
    for (int i = 0; i <= 100; i++)
        sparp__gate_enter(g, 1, S);
    for (int i = 0; i <= 100; i++) {
        sparp__gate_leave(g, 1, S);
        if (i < 100)
            sparp__gate_widen(g, 1, S);
    }
    sparp__gate_close(g, 1, S, 2 * S);
}

static void one_gets_through(sparp__gate *g) {
    sparp__gate_enter(g, 1, 2 * S);
    sparp__gate_leave(g, 1, 2 * S);
    sparp__gate_widen(g, 1, 2 * S);
}

/* Nor does their cost count for a window that they do not belong to. */
static void test_the_gate_alone_counts_no_cost_of_before(void **state) {
    (void)state;
    sparp__gate g;
    window_of_100(&g, 3, 1000);
    for (int i = 0; i < 8; i++)
        one_gets_through(&g);
    for (int i = 8; i < 100; i++) {
        CHECK(sparp__gate_wait(&g, 0, 1, 2 * S) == 0, "the one behind %d waits", i);
        sparp__gate_enter(&g, 1, 2 * S);
    }
    assert_true(sparp__gate_wait(&g, 0, 1, 2 * S) > 0);
}

/* Nor do they hide that the limits are lower now. */
static void test_the_gate_alone_learns_beside_some_that_hang(void **state) {
    (void)state;
    sparp__gate g;
    window_of_100(&g, 95, 1);
    for (int i = 0; i < 50; i++)
        one_gets_through(&g);
    sparp__gate_close(&g, 1, 2 * S, 3 * S);
    assert_int_equal(g.known, 50);
    assert_true(g.known_cost == 50);
}

/* What a hop waited for, or a paused body, is time that its start is later by. */
static void test_a_gate_miscounts_none_that_were_before(void **state) {
    (void)state;
    sparp__gate g;
    memset(&g, 0, sizeof g);
    for (int i = 0; i < 3; i++)
        sparp__gate_enter(&g, 1, S);
    sparp__gate_leave(&g, 1, S);
    sparp__gate_close(&g, 1, 2 * S, 3 * S);
    sparp__gate_leave(&g, 1, 3 * S);
    sparp__gate_leave(&g, 1, 3 * S);
    assert_int_equal(g.before, 0);
    assert_int_equal(sparp__gate_wait(&g, 0, 1, 3 * S), 0);
    sparp__gate_enter(&g, 1, 3 * S);
    assert_true(sparp__gate_wait(&g, 0, 1, 3 * S) == NEVER);
}

/* --- whole runs, over the network of fakenet.h ------------------------------------------------ */

#define SITE "http://10.0.0.1/"
#define OTHER "http://10.0.0.2/"

/* A server at each address that is the one of above, and what it says in fields. */
static void (*site_fields)(char *out, size_t size);

static void fields_of_ietf(char *out, size_t size) {
    snprintf(out, size, "RateLimit-Policy: \"requests\";q=%.0f;w=60, \"tokens\";q=%.0f;w=60\r\n"
             "RateLimit: \"requests\";r=%.0f;t=%.3f, \"tokens\";r=%.0f;t=%.3f\r\n",
             server.limit[0], server.limit[1], (double)(long)server.left[0],
             server_reset_s(0, test_now_ns), (double)(long)server.left[1],
             server_reset_s(1, test_now_ns));
}

static void fields_of_pairs(char *out, size_t size) {
    snprintf(out, size, "x-ratelimit-limit-requests: %.0f\r\nx-ratelimit-limit-tokens: %.0f\r\n"
             "x-ratelimit-remaining-requests: %d\r\nx-ratelimit-remaining-tokens: %ld\r\n"
             "x-ratelimit-reset-requests: %.6fs\r\nx-ratelimit-reset-tokens: %.3fms\r\n",
             server.limit[0], server.limit[1], (int)server.left[0], (long)server.left[1],
             server_reset_s(0, test_now_ns), server_reset_s(1, test_now_ns) * 1000);
}

static void fields_of_three(char *out, size_t size) {
    snprintf(out, size, "X-RateLimit-Limit: %.0f\r\nX-RateLimit-Remaining: %.0f\r\n"
             "X-RateLimit-Reset: %.0f\r\n", server.limit[0], (double)(long)server.left[0],
             server_reset_s(0, test_now_ns) + 0.4999999);
}

static void fields_of_none(char *out, size_t size) {
    (void)size;
    *out = '\0';
}

static void site(const net_request *request, net_rule *answer) {
    static char bytes[SEEN_MAX][700];
    char fields[500] = "", after[60] = "";
    char *out = bytes[net.num_requests % SEEN_MAX];
    double cost = atof(request->path + 1);
    bool other = strcmp(request->host, "10.0.0.2") == 0, ok = other;
    if (!other) {
        ok = server_take(cost, test_now_ns > NET_BEGIN, test_now_ns);
        site_fields(fields, sizeof fields);
        if (!ok)
            snprintf(after, sizeof after, "Retry-After: %.3f\r\n",
                     (double)(server_next(cost, test_now_ns) - test_now_ns) / 1e9 + 0.001);
    }
    snprintf(out, sizeof bytes[0], "HTTP/1.1 %s\r\n%s%sContent-Length: 0\r\n\r\n",
             ok ? "200 OK" : "429 Slower", fields, after);
    answer->bytes = out;
    answer->size = strlen(out);
    answer->delay_s = 0.05;
}

/* `count` requests of that cost, from the beginning of a window on. */
static void ask_site(void (*fields)(char *out, size_t size), size_t count, double cost) {
    static char urls[SEEN_MAX][40];
    net.server = site;
    site_fields = fields;
    server.since = NET_BEGIN;
    for (size_t i = 0; i < count; i++) {
        snprintf(urls[num_requests], sizeof urls[0], SITE "%.0f", cost);
        get(urls[num_requests])->cost = cost;
    }
}

static double waited_s(const sparp_stats *stats, sparp_wait why) {
    return (double)stats->waited_us[why] / 1e6;
}

/* Each style, windows and buckets: 60 a minute are used without a 429, and at once. */
static void test_a_run_uses_what_is_left(void **state) {
    (void)state;
    void (*const styles[])(char *, size_t) = {fields_of_ietf, fields_of_pairs, fields_of_three};
    for (size_t i = 0; i < 6; i++) {
        again();
        begin_play(i % 2 == 1, EXACT, 60, 0, 60);
        options.max_at_once = 20;
        ask_site(styles[i / 2], 250, 1);
        sparp_stats stats = run();
        CHECK(server.refused == 0 && stats.success == 250, "style %lu: %lu refused",
              (unsigned long)i, (unsigned long)server.refused);
        double took = (double)(test_now_ns - NET_BEGIN) / 1e9;
        double least_s = i % 2 == 1 ? 190 : 240;
        CHECK(took >= least_s && took < least_s * 1.03, "style %lu: %f s", (unsigned long)i, took);
        CHECK(waited_s(&stats, SPARP_WAIT_GATE) > 100, "style %lu: %f s", (unsigned long)i,
              waited_s(&stats, SPARP_WAIT_GATE));
    }
}

/* What is left in tokens counts with what requests cost. */
static void test_a_run_uses_what_is_left_in_cost(void **state) {
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        again();
        begin_play(i % 2 == 1, EXACT, 60, 90000, 60);
        options.max_at_once = 20;
        ask_site(i < 2 ? fields_of_ietf : fields_of_pairs, 150, 3000);
        sparp_stats stats = run();
        CHECK(server.refused == 0 && stats.success == 150, "style %lu: %lu refused",
              (unsigned long)i, (unsigned long)server.refused);
        double took = (double)(test_now_ns - NET_BEGIN) / 1e9;
        CHECK(took >= 239 && took < 247.5, "style %lu: %f s", (unsigned long)i, took);
    }
}

static void test_no_gate_uses_it_and_more(void **state) {
    (void)state;
    begin_play(false, EXACT, 60, 0, 60);
    options.max_at_once = 20;
    options.no_gate = true;
    ask_site(fields_of_three, 100, 1);
    sparp_stats stats = run();
    assert_int_equal(stats.success, 100);
    CHECK(server.refused >= 20, "%lu refused", (unsigned long)server.refused);
}

/* The user's own limits hold as before. */
static void test_the_pace_is_never_faster_than_the_user_s(void **state) {
    (void)state;
    begin_play(false, EXACT, 60, 0, 60);
    options.max_at_once = 2;
    options.max_per_second = 4;
    ask_site(fields_of_ietf, 100, 1);
    run();
    assert_int_equal(server.refused, 0);
    CHECK(net_most_within(1.0) <= 5 && net.most_at_once <= 2, "%d a second",
          (int)net_most_within(1.0));
}

/* Nothing starts there, and others go on. */
static void test_other_origins_go_on(void **state) {
    (void)state;
    begin_play(false, EXACT, 5, 0, 60);
    options.max_at_once = 5;
    ask_site(fields_of_ietf, 10, 1);
    get_many(30, OTHER "1");
    sparp_stats stats = run();
    assert_int_equal(stats.success, 40);
    assert_int_equal(server.refused, 0);
    for (size_t i = 10; i < 40; i++)
        CHECK(seen.at[i] < 2, "request %lu ended at %f s", (unsigned long)i, seen.at[i]);
    for (size_t i = 5; i < 10; i++)
        CHECK(seen.at[i] > 60 && seen.results[i].wait_us[SPARP_WAIT_GATE] > 59000000,
              "request %lu ended at %f s", (unsigned long)i, seen.at[i]);
}

#define NOTHING_LEFT(reset) "X-RateLimit-Limit: 5\r\nX-RateLimit-Remaining: 0\r\n" \
    "X-RateLimit-Reset: " reset "\r\nContent-Length: 0\r\n\r\n"

/* A reset that is further away than retry_after_max_s is not waited for: one tries. */
static void test_a_far_reset_is_not_waited_for(void **state) {
    (void)state;
    options.max_at_once = 1;
    options.retry_after_max_s = 7;
    net_answer("/1", 0.05, "HTTP/1.1 200 OK\r\n" NOTHING_LEFT("1000"));
    get_many(8, SITE "1");
    sparp_stats stats = run();
    assert_int_equal(stats.success, 8);
    for (size_t i = 1; i < 8; i++)
        CHECK(seen.at[i] - seen.at[i - 1] > 7 && seen.at[i] - seen.at[i - 1] < 7.1, "%f s",
              seen.at[i] - seen.at[i - 1]);
}

/* Who says no more how much is left is not waited for any more. */
static void test_a_server_that_stops_telling(void **state) {
    (void)state;
    options.max_at_once = 10;
    net_answer("/1", 0.05, "HTTP/1.1 200 OK\r\n" NOTHING_LEFT("3"));
    net_answer("/1", 0.05, NET_200);
    get_many(100, SITE "1");
    run();
    CHECK(seen.at[99] > 3 && seen.at[99] < 4, "%f s", seen.at[99]);
}

/* What it said is not forgotten while nobody wants anything of it. */
static void test_what_is_left_is_remembered(void **state) {
    (void)state;
    options.max_at_once = 1;
    options.input_buffer_size = 1;
    net_answer("/1", 0.05, "HTTP/1.1 200 OK\r\n" NOTHING_LEFT("10"));
    net_answer("/2", 2, NET_200);
    get(SITE "1");
    get_many(3, OTHER "2");
    get(SITE "1");
    run();
    CHECK(seen.at[3] < 6.5 && seen.at[4] > 10, "%f and %f s", seen.at[3], seen.at[4]);
}

/* Retry-After counts more than what is said beside it (draft 11, §4). */
static void test_retry_after_comes_first(void **state) {
    (void)state;
    options.max_at_once = 1;
    net_answer("/1", 0.05, "HTTP/1.1 429 Slower\r\nRetry-After: 2\r\n" NOTHING_LEFT("60"));
    net_answer("/1", 0.05, "HTTP/1.1 429 Slower\r\n" NOTHING_LEFT("60"));
    net_answer("/1", 0.05, NET_200);
    get(SITE "1");
    run();
    CHECK(net.requests[1].at - net.requests[0].at < 3 * S, "%ld", (long)net.requests[1].at);
    CHECK(net.requests[2].at - net.requests[1].at >= 60 * S, "%ld", (long)net.requests[2].at);
}

static sparp_left lefts[4];
static char left_at[60];
static size_t num_lefts;

static void note_left(sparp *ours, const sparp_result *result) {
    if (result->index == 9)
        for (num_lefts = 0; num_lefts < 4 && sparp_get_left(ours, num_lefts, &lefts[num_lefts]);)
            snprintf(left_at, sizeof left_at, "%s", lefts[num_lefts++].origin);
}

static void test_what_is_left_can_be_asked(void **state) {
    (void)state;
    begin_play(false, EXACT, 60, 90000, 60);
    options.max_at_once = 1;
    ask_site(fields_of_ietf, 10, 100);
    seen.on_result = note_left;
    run();
    assert_int_equal(num_lefts, 2);
    assert_string_equal(left_at, "10.0.0.1");
    assert_true(!lefts[0].is_cost && lefts[1].is_cost);
    CHECK(lefts[0].left == 50 && lefts[0].limit == 60, "%f of %f", lefts[0].left, lefts[0].limit);
    CHECK(lefts[1].left == 89000 && lefts[1].limit == 90000, "%f", lefts[1].left);
    CHECK(lefts[0].reset_s > 59 && lefts[0].reset_s < 60, "%f s", lefts[0].reset_s);
}

static char last_log[200];
static size_t num_logs;

static void note_log(sparp_log_level level, const char *message, void *user_data) {
    (void)user_data;
    if (level == SPARP_LOG_INFO && strstr(message, " left, ") != NULL) {
        snprintf(last_log, sizeof last_log, "%s", message);
        num_logs++;
    }
}

static void test_the_log_says_what_is_left(void **state) {
    (void)state;
    num_logs = 0;
    begin_play(false, EXACT, 5, 0, 60);
    options.max_at_once = 1;
    options.logger.func = note_log;
    options.logger.max_level = SPARP_LOG_INFO;
    ask_site(fields_of_three, 12, 1);
    run();
    assert_int_equal(num_logs, 3);      /* heard of; and each time that nothing was left */
    assert_string_equal(last_log, "10.0.0.1: 0 of 5 left, 60 s");
    again();
    net_answer("/1", 0.05, "HTTP/1.1 200 OK\r\nRateLimit: \"tokens\";r=7;t=9\r\n"
               "Content-Length: 0\r\n\r\n");
    get(SITE "1");
    run();
    assert_string_equal(last_log, "10.0.0.1: 7 in cost left, 9 s");
}

/* A hop of a redirect is told, too. */
static void test_a_hop_is_told_what_is_left(void **state) {
    (void)state;
    net_answer("/a", 0.05, "HTTP/1.1 302 There\r\nLocation: " OTHER "b\r\nRateLimit: \"a\";r=0;t=9"
               "\r\nContent-Length: 0\r\n\r\n");
    net_answer("/b", 0.05, NET_200);
    options.max_at_once = 1;
    get_many(2, SITE "a");
    run();
    CHECK(seen.at[0] < 1 && seen.at[1] > 9 && seen.at[1] < 9.5, "%f and %f s", seen.at[0],
          seen.at[1]);
}

/* The one that tries after the reset may be a hop, whose attempt began long before. */
static void test_a_hop_tries_after_the_reset(void **state) {
    (void)state;
    net_answer("/1", 0.05, "HTTP/1.1 200 OK\r\n" NOTHING_LEFT("10"));
    net_answer("/1", 0.05, NET_200);
    net_answer("/a", 3, "HTTP/1.1 302 There\r\nLocation: " SITE "1\r\nContent-Length: 0\r\n\r\n");
    options.max_at_once = 1;
    get(SITE "1");
    get(OTHER "a");
    get_many(3, SITE "1");
    sparp_stats stats = run();
    assert_int_equal(stats.success, 5);
    CHECK(seen.at[1] > 10 && seen.at[1] < 11 && seen.at[4] < 12, "%f and %f s", seen.at[1],
          seen.at[4]);
}

/* Without memory for what is left the run goes on without. */
static void test_what_is_left_without_memory(void **state) {
    (void)state;
    for (size_t n = 1, done = 0; done == 0; n++) {
        again();
        begin_play(false, EXACT, 4, 0, 60);
        options.max_at_once = 2;
        ask_site(fields_of_pairs, 6, 1);
        seen.memory.fail_at = n;
        seen_fill();
        seen.error = sparp_run_each(&options, NULL);
        done = seen.memory.calls < n;
        CHECK(seen.error == SPARP_E_OK || seen.error == SPARP_E_OUT_OF_MEMORY
              || seen.error == SPARP_E_SYSTEM, "%lu: %s", (unsigned long)n,
              sparp_error_name(seen.error));
        seen_check_clean();
    }
}

/* No word of what is left: 429s until the gate knows how many get through, then one a window. */
static void test_a_run_with_the_gate_alone(void **state) {
    (void)state;
    begin_play(false, EXACT, 60, 0, 60);
    options.max_at_once = 30;
    ask_site(fields_of_none, 600, 1);
    sparp_stats stats = run();
    assert_int_equal(stats.success, 600);
    CHECK(server.most_refused <= 1, "%lu refused in one window",
          (unsigned long)server.most_refused);
    CHECK(server.refused <= 30 + server.windows, "%lu refused in %lu windows",
          (unsigned long)server.refused, (unsigned long)server.windows);
    double took = (double)(test_now_ns - NET_BEGIN) / 1e9;
    CHECK(took > 540 && took < 556, "%f s", took);
}

/* --- main ------------------------------------------------------------------------------------- */

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_real_services),
        TEST(test_what_means_nothing),
        TEST(test_resets_that_are_none),
        TEST(test_resets),
        TEST(test_spoilt_fields),
        TEST(test_what_is_left_is_used_without_a_429),
        TEST(test_a_429_takes_the_leak_back),
        TEST(test_what_is_said_once),
        TEST(test_a_bucket_in_whole_seconds),
        TEST(test_another_one_tries),
        TEST(test_more_quotas_than_are_looked_at),
        TEST(test_seconds_rounded_down),
        TEST(test_lost_answers),
        TEST(test_as_heavy_as_the_limit),
        TEST(test_the_gate_alone_is_told_429_once_a_window),
        TEST(test_the_gate_alone_learns_other_limits),
        TEST(test_the_gate_alone_opens_again),
        TEST(test_the_gate_alone_waits_for_none_that_hangs),
        TEST(test_the_gate_alone_counts_no_cost_of_before),
        TEST(test_the_gate_alone_learns_beside_some_that_hang),
        TEST(test_a_gate_miscounts_none_that_were_before),
        SEEN_TEST(test_a_run_uses_what_is_left),
        SEEN_TEST(test_a_run_uses_what_is_left_in_cost),
        SEEN_TEST(test_no_gate_uses_it_and_more),
        SEEN_TEST(test_the_pace_is_never_faster_than_the_user_s),
        SEEN_TEST(test_other_origins_go_on),
        SEEN_TEST(test_a_far_reset_is_not_waited_for),
        SEEN_TEST(test_a_server_that_stops_telling),
        SEEN_TEST(test_what_is_left_is_remembered),
        SEEN_TEST(test_retry_after_comes_first),
        SEEN_TEST(test_what_is_left_can_be_asked),
        SEEN_TEST(test_the_log_says_what_is_left),
        SEEN_TEST(test_a_hop_is_told_what_is_left),
        SEEN_TEST(test_a_hop_tries_after_the_reset),
        SEEN_TEST(test_what_is_left_without_memory),
        SEEN_TEST(test_a_run_with_the_gate_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

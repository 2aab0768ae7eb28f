/* Faults that real networks and servers showed, by the numbers they were collected under: answers
   that were there before the timers, stalls of our own, addresses that lead nowhere, bytes that
   are no answer. On a scripted clock and a network inside the process: see ../fakenet.h. */
#define NET_FDS 1300
#define NET_IN_SIZE 4096
#define SEEN_MAX 3100
#include "../fakenet.h"
#define SPARP_IMPLEMENTATION
#include "../../sparp.h"
#include "../seen.h"

#define A "http://10.0.0.1"
#define B "http://10.0.0.2"
#define MANY 1100                       /* more than one look takes */

static const char *const methods[] = {"GET", "POST"};

static void prepare(void) {
    memset(&options, 0, sizeof options);
    options.max_at_once = 1000;
}

static void ask_many(size_t count, const char *method, const char *url) {
    for (size_t i = 0; i < count; i++)
        ask(method, url);
}

static void assert_timeout(size_t index, double at) {
    assert_outcome(index, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
    assert_near(seen.at[index], at, 0.003);
}

/* --- 1: what has arrived comes before the timers ------------------------------------------ */

/* Long, so that it is seen to be a stop; and so short that it is not. The answer comes while the
   process is stopped, and so does the end of the timeout. */
static const struct {
    double at, length, answer, timeout;
} stops[] = {{0.2, 5, 0.5, 1}, {0.1, 0.24, 0.15, 0.2}};

/* The k-th way to be stopped: long and short, with EINTR and without; asking by GET and POST. */
#define WAYS 8

static const char *stopped(int k) {
    int i = k / 4;
    again();
    net_answer("/a", stops[i].answer, NET_200);
    net_stop(stops[i].at, stops[i].length, k % 2 == 0);
    options.timeout_s = stops[i].timeout;
    options.max_at_once = MANY;
    return methods[k / 2 % 2];
}

static void assert_all_taken(int k) {
    size_t count = num_requests;
    sparp_stats s = run();
    CHECK(s.success == count && s.timeouts == 0 && net.num_requests == count,
          "%d: %lu of %lu, %lu sent", k, (unsigned long)s.success, (unsigned long)count,
          (unsigned long)net.num_requests);
}

static void test_1_answers_that_were_there_are_taken(void **state) {
    (void)state;
    static const size_t counts[] = {1, 40, MANY};
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        for (int k = 0; k < WAYS; k++) {
            const char *method = stopped(k);
            ask_many(counts[i], method, A "/a");
            assert_all_taken(k);
        }
}

/* Also those that take more than one read. */
static void test_1_the_rest_of_an_answer_is_read(void **state) {
    (void)state;
    for (int k = 0; k < WAYS; k++) {
        const char *method = stopped(k);
        net.recv_piece = 7;
        ask_many(40, method, A "/a");
        assert_all_taken(k);
    }
}

/* As far as there is an end. */
static void test_1_an_endless_answer_ends_in_time(void **state) {
    (void)state;
    net_answer("/a", 0.1, "HTTP/1.1 200 OK\r\n\r\n");
    net.endless = true;
    options.timeout_s = 1;
    options.max_retries_by_timeout = SPARP_NONE;
    options.discard_body = true;
    get(A "/a");
    run();
    assert_near(seen.at[0], 1, 0.05);
    assert_outcome(0, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
}

/* Those that come a moment after it are waited for: the stop was no time of theirs. */
static void test_1_a_stop_is_not_charged(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        again();
        net_answer("/a", 5.5, NET_200);
        net_stop(0.2, 5, i % 2 == 0);
        options.timeout_s = 1;
        ask_many(40, methods[i / 2], A "/a");
        sparp_stats s = run();
        CHECK(s.success == 40 && s.timeouts == 0 && net.num_requests == 40, "%d: %lu of 40", i,
              (unsigned long)s.success);
    }
    again();                            /* but nobody waits for ever */
    net_answer("/a", 0, NET_SILENCE);
    net_stop(0.2, 5, true);
    options.timeout_s = 1;
    options.max_retries_by_timeout = SPARP_NONE;
    get(A "/a");
    run();
    assert_timeout(0, 6.2);
}

/* But a server that never ends does not get more time by it. */
static void test_1_a_drip_ends_in_time(void **state) {
    (void)state;
    static char text[4000] = "HTTP/1.1 200 OK\r\nContent-Length: 3900\r\n\r\n";
    net_rule *rule = net_answer_bytes("/a", 0.1, text, sizeof text);
    rule->piece = 1;
    rule->gap_s = 0.001;
    options.timeout_s = 1;
    options.max_retries_by_timeout = SPARP_NONE;
    get(A "/a");
    run();
    assert_timeout(0, 1);
}

/* Names and connections have timers of their own, which are passed while the process is stopped. */
static void test_1_names_and_connections_that_were_there_are_taken(void **state) {
    (void)state;
    for (int k = 0; k < WAYS; k++) {
        bool connects = k / 2 % 2 == 1;
        stopped(k);
        net_lookup("a.test", "10.0.0.1", 0)->takes_s = connects ? 0 : stops[k / 4].answer;
        net_host("10.0.0.1", connects ? stops[k / 4].answer : 0, 0);
        options.connect_timeout_s = connects ? stops[k / 4].timeout : 0;
        options.dns_timeout_s = connects ? 0 : stops[k / 4].timeout;
        options.timeout_s = 10;
        get("http://a.test/a");
        assert_all_taken(k);
    }
}

/* Alert 40, on every connection there is */
static void *refuse_all(void *argument) {
    for (int fd = 0; fd < net.top; fd++)
        if (net.fds[fd].kind == NET_TCP) {
            net_event *event = net_schedule(test_now_ns, NET_ON_DATA, fd);
            event->data = "\x15\x03\x03\x00\x02\x02\x28";
            event->size = 7;
        }
    return argument;
}

/* Of handshakes only some go on in a turn, for they cost much; the timers wait for the others. */
static void test_1_handshakes_that_went_on_are_not_timed_out(void **state) {
    (void)state;
    for (int k = 0; k < WAYS; k++) {
        stopped(k);
        options.tls.insecure_no_verify = true;
        options.tls_timeout_s = stops[k / 4].timeout;
        options.timeout_s = 10;
        options.max_retries_by_timeout = options.max_retries_by_transport = SPARP_NONE;
        net_at(stops[k / 4].answer, refuse_all, NULL);
        ask_many(40, "GET", "https://10.0.0.1/a");
        sparp_stats s = run();
        CHECK(s.transport_failed == 40 && s.timeouts == 0, "%d: %lu timeouts", k,
              (unsigned long)s.timeouts);
        CHECK(strstr(details[39], "alert 40") != NULL, "%s", details[39]);
    }
}

/* The deadlines of a request and of the run look again first, too. */
static void test_1_deadlines_come_after_what_has_arrived(void **state) {
    (void)state;
    for (int i = 0; i < 2 * WAYS; i++) {
        const char *method = stopped(i % WAYS);
        double deadline = options.timeout_s;
        options.timeout_s = 0;
        options.run_deadline_s = i < WAYS ? deadline : 0;
        ask_many(40, method, A "/a");
        for (size_t k = 0; k < num_requests; k++)
            requests[k].deadline_s = i < WAYS ? 0 : deadline;
        assert_all_taken(i);
    }
}

/* A callback that takes less than what counts as a stall, but longer than the rest of a timeout;
   what came meanwhile is more than one look takes. */
static void take_long(sparp *run_, const sparp_result *result) {
    (void)run_;
    (void)result;
    if (seen.count == 1)
        test_now_ns += NET_NS(0.24);
}

static void test_1_a_slow_callback_times_nobody_out(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        again();
        net_answer("/a", 0.15, NET_200);
        net_answer("/first", 0.1, NET_200);
        seen.on_result = take_long;
        options.max_at_once = MANY + 1;
        options.timeout_s = 0.2;
        get(B "/first");
        ask_many(MANY, methods[i], A "/a");
        sparp_stats s = run();
        CHECK(s.success == MANY + 1 && net.num_requests == MANY + 1, "%lu of %d, %lu sent",
              (unsigned long)s.success, MANY + 1, (unsigned long)net.num_requests);
    }
}

/* --- 2: our own stalls are not charged ----------------------------------------------------- */

#define STALL 3.0
#define OPTION(name) offsetof(sparp_options, name)

static void slow_lookup(void) {
    net_lookup("a.test", NULL, EAI_NONAME)->takes_s = 50;
    get("http://a.test/");
}

static void slow_connect(void) {
    net_host("10.0.0.1", -1, 0);
    get(A "/a");
}

static void slow_handshake(void) {
    options.tls.insecure_no_verify = true;
    get("https://10.0.0.1/");
}

static void stuck_upload(void) {
    static char body[5000];
    sparp_request *r = ask("PUT", A "/a");
    net.send_room = 1000;
    r->body = body;
    r->body_size = sizeof body;
}

static void no_answer(void) {
    net_answer("/a", 0, NET_SILENCE);
    get(A "/a");
}

static void stuck_body(void) {
    net_answer("/a", 0, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12");
    get(A "/a");
}

static const struct {
    const char *name;
    size_t      option;
    void      (*what)(void);
} clocks[] = {
    {"timeout, look-up", OPTION(timeout_s), slow_lookup},
    {"timeout, connect", OPTION(timeout_s), slow_connect},
    {"timeout, handshake", OPTION(timeout_s), slow_handshake},
    {"timeout, upload", OPTION(timeout_s), stuck_upload},
    {"timeout, answer", OPTION(timeout_s), no_answer},
    {"timeout, body", OPTION(timeout_s), stuck_body},
    {"dns", OPTION(dns_timeout_s), slow_lookup},
    {"connect", OPTION(connect_timeout_s), slow_connect},
    {"connect, look-up", OPTION(connect_timeout_s), slow_lookup},
    {"connect, handshake", OPTION(connect_timeout_s), slow_handshake},
    {"tls", OPTION(tls_timeout_s), slow_handshake},
    {"send", OPTION(send_timeout_s), stuck_upload},
    {"first byte", OPTION(first_byte_timeout_s), no_answer},
    {"idle, upload", OPTION(idle_timeout_s), stuck_upload},
    {"idle, answer", OPTION(idle_timeout_s), no_answer},
    {"idle, body", OPTION(idle_timeout_s), stuck_body},
    {"speed", OPTION(min_speed_s), stuck_body},
};

static void stall(sparp *run_, const sparp_result *result) {
    (void)run_;
    if (result->index == 0)
        test_now_ns += NET_NS(STALL);
}

/* Each clock alone at 1 s; the callback blocks for 3 s from 0.3 s on. */
static void test_2_a_callback_that_blocks_moves_every_clock(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(clocks); i++) {
        double one = 1;
        again();
        prepare();
        net.label = clocks[i].name;
        net_answer("/b", 0.3, NET_200);
        seen.on_result = stall;
        options.max_retries_by_timeout = SPARP_NONE;
        memcpy((char *)&options + clocks[i].option, &one, sizeof one);
        if (clocks[i].option == OPTION(min_speed_s))
            options.min_bytes_per_second = 1e6;
        get(B "/b");
        clocks[i].what();
        run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        assert_timeout(1, 1 + STALL);
    }
}

/* What the user promised to others stays: his deadline is a time of day. */
static void test_2_deadlines_are_not_moved(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        again();
        prepare();
        net_answer("/b", 0.3, NET_200);
        seen.on_result = stall;
        options.max_retries_by_timeout = SPARP_NONE;
        options.run_deadline_s = i == 0 ? 1 : 0;
        get(B "/b");
        no_answer();
        requests[1].deadline_s = i == 0 ? 0 : 1;
        run();
        assert_near(seen.at[1], 0.3 + STALL, 0.003);
    }
}

static bool stalled;

static void stall_once(void) {
    if (!stalled && net_now() > 0.25)
        test_now_ns += NET_NS(STALL);
    stalled = stalled || net_now() > 0.25;
}

static sparp_verdict stalling_inspect(const sparp_result *response, void *user_data) {
    stall_once();
    return sparp_default_inspect(response, user_data);
}

static void *stalling_parse(const sparp_result *result, void *user_data) {
    (void)result;
    (void)user_data;
    stall_once();
    return NULL;
}

static sparp_flow stalling_on_body(const sparp_result *head, uint64_t offset, const void *data,
                                   size_t size, void *user_data) {
    (void)head;
    (void)offset;
    (void)data;
    (void)size;
    (void)user_data;
    stall_once();
    return SPARP_FLOW_ON;
}

static void stalling_on_progress(sparp *run_, const sparp_stats *stats, void *user_data) {
    (void)run_;
    (void)stats;
    (void)user_data;
    stall_once();
}

static double stalling_permit(const char *url, double cost, void *user_data) {
    (void)url;
    (void)cost;
    (void)user_data;
    stall_once();
    return 0;
}

static size_t given;

static sparp_input stalling_input(sparp_request *out, void *user_data) {
    (void)user_data;
    stall_once();
    if (given == 3)
        return SPARP_INPUT_END;
    *out = requests[given++];
    return SPARP_INPUT_READY;
}

static void stalling_log(sparp_log_level level, const char *message, void *user_data) {
    (void)level;
    (void)message;
    (void)user_data;
    stall_once();
}

/* Whoever blocks. The answer comes 3.8 s after the request, where 1 s is allowed. */
static void test_2_it_does_not_matter_who_blocks(void **state) {
    (void)state;
    for (int i = 0; i < 7; i++) {
        static const char *const names[] = {"inspect", "parse", "on_body", "on_progress", "permit",
                                            "next_request", "logger"};
        again();
        prepare();
        net.label = names[i];
        stalled = false;
        given = 0;
        net_answer("/a", 3.8, NET_200);
        net_answer("/b", 0.3, "HTTP/1.1 200 OK\r\nA name: logged\r\nContent-Length: 2\r\n\r\nok");
        options.timeout_s = 1;
        options.max_retries_by_timeout = SPARP_NONE;
        options.max_at_once = 2;
        get(B "/b");
        get(A "/a");
        get(B "/b");
        switch (i) {
        case 0:  options.inspect = stalling_inspect; break;
        case 1:  options.parse = stalling_parse; break;
        case 2:  options.on_body = stalling_on_body; break;
        case 3:  options.on_progress = stalling_on_progress; break;
        case 4:  options.permit = stalling_permit; break;
        case 5:  options.input_buffer_size = SPARP_NONE; break;
        default: options.logger.func = stalling_log;
                 options.logger.max_level = SPARP_LOG_TRACE;
        }
        seen_options(&options);
        if (i == 5)
            options.next_request = stalling_input;
        sparp_stats s = i == 5 ? seen_run(&options) : run();
        CHECK(stalled, "%s", names[i]);
        CHECK(s.success == 3, "%s: %lu (%s)", names[i], (unsigned long)s.success, details[1]);
    }
}

/* Nor whether it is a callback at all: the caller may take his time between two results. */
static void test_2_the_caller_may_take_his_time(void **state) {
    (void)state;
    net_answer("/b", 0.3, NET_200);
    net_answer("/a", 3.8, NET_200);
    options.timeout_s = 1;
    options.max_retries_by_timeout = SPARP_NONE;
    get(B "/b");
    get(A "/a");
    sparp *run_ = seen_open();
    for (int i = 0; i < 2; i++) {
        const sparp_result *result = sparp_next(run_);
        assert_non_null(result);
        assert_int_equal(result->outcome, SPARP_OUTCOME_SUCCESS);
        if (i == 0)
            test_now_ns += NET_NS(STALL);
    }
    assert_null(sparp_next(run_));
    sparp_close(run_);
    seen_check_clean();
}

/* In a loop of the user's own, which waits by itself: what it waits is time that counts. */
static void test_2_in_a_loop_of_ones_own(void **state) {
    (void)state;
    net_answer("/b", 0.3, NET_200);
    no_answer();
    requests[0].url = B "/b";
    no_answer();
    seen.on_result = stall;
    options.timeout_s = 1;
    options.max_retries_by_timeout = SPARP_NONE;
    seen_fill();
    sparp *run_ = sparp_open(&options, NULL);
    while (sparp_step(run_, 0))
        test_now_ns += NET_NS(0.001);
    sparp_close(run_);
    assert_timeout(1, 1 + STALL);
    seen_check_clean();
}

/* --- 3: how many start in a turn ----------------------------------------------------------- */

static void test_3_at_most_256_start_in_a_turn(void **state) {
    (void)state;
    net_answer("/a", 0.01, NET_200);
    options.max_at_once = 1000;
    get_many(3000, A "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 3000);
    assert_int_equal(net.most_turn_connects, 256);
    assert_true(net.most_turn_starts <= 256 && net.most_turn_starts > 100);
    assert_true(net.most_at_once >= 900);
    assert_true(seen.at[2999] < 0.1);   /* and no turn waits for another */
}

/* --- 5: probes ------------------------------------------------------------------------------ */

static void test_5_every_connection_is_probed(void **state) {
    (void)state;
    net_lookup("a.test", "2001:db8::1 10.0.0.1", 0);
    net_host("2001:db8::1", -1, 0);
    net_answer("/a", 0.01, NET_200);
    get("http://a.test/a");
    get(A "/a");
    run();
    assert_int_equal(net.connects, 3);
    assert_int_equal(net.unprobed, 0);
    again();
    net_answer("http://10.0.0.1/a", 0.01, NET_200);
    options.proxy = "http://10.0.0.9:3128";
    options.tls.insecure_no_verify = true;
    options.timeout_s = 1;
    options.max_retries_by_timeout = SPARP_NONE;
    get(A "/a");
    get("https://10.0.0.1/a");
    run();
    assert_true(net.connects >= 2);
    assert_int_equal(net.unprobed, 0);
}

/* --- 6: whose fault it is that there is no way ---------------------------------------------- */

static void two_addresses(void) {
    net_lookup("both.test", "2001:db8::1 10.0.0.1", 0);
    net_lookup("six.test", "2001:db8::1", 0);
    net_answer("/a", 0.01, NET_200);
}

/* The next address is tried at once, and others are not held up. */
static void test_6_without_ipv6_the_next_address_is_tried_at_once(void **state) {
    (void)state;
    two_addresses();
    net.no_source6 = true;
    options.max_retries_by_transport = SPARP_NONE;
    get_many(20, "http://both.test/a");
    get_many(20, B "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 40);
    for (size_t i = 0; i < 40; i++)
        CHECK(seen.at[i] < 0.05, "%lu after %f s", (unsigned long)i, seen.at[i]);
}

static void test_6_an_address_without_a_way_is_unreachable(void **state) {
    (void)state;
    static const char *const urls[] = {"http://six.test/a", "http://[2001:db8::1]/a"};
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        again();
        two_addresses();
        net.no_source6 = true;
        options.max_retries_by_transport = SPARP_NONE;
        get_many(5, urls[i]);
        get_many(20, B "/a");
        sparp_stats s = run();
        assert_int_equal(s.success, 20);
        for (size_t k = 0; k < 25; k++)
            CHECK(seen.at[k] < 0.05, "%lu after %f s", (unsigned long)k, seen.at[k]);
        assert_outcome(0, SPARP_OUTCOME_TRANSPORT_FAILED);
        assert_int_equal(seen.results[0].error, SPARP_E_UNREACHABLE);
        assert_int_equal(seen.results[0].sys_error, EADDRNOTAVAIL);
        assert_non_null(strstr(details[0], "[2001:db8::1]:80"));
    }
}

/* "Connection refused" is what the user must read, whichever came first. */
static void test_6_a_refusal_outranks_it(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        again();
        net_lookup("both.test", i == 0 ? "2001:db8::1 10.0.0.1" : "10.0.0.1 2001:db8::1", 0);
        net_host("10.0.0.1", 0.01, ECONNREFUSED);
        net.no_source6 = true;
        options.max_retries_by_transport = SPARP_NONE;
        get("http://both.test/a");
        run();
        assert_outcome(0, SPARP_OUTCOME_TRANSPORT_FAILED);
        CHECK(seen.results[0].error == SPARP_E_REFUSED, "%s", details[0]);
    }
}

static void test_6_a_local_address_that_is_not_ours(void **state) {
    (void)state;
    two_addresses();
    net.foreign_source = true;
    options.local_address = "10.9.9.9";
    options.max_retries_by_transport = SPARP_NONE;
    get_many(3, B "/a");
    run();
    for (size_t i = 0; i < 3; i++) {
        assert_outcome(i, SPARP_OUTCOME_TRANSPORT_FAILED);
        CHECK(seen.results[i].error == SPARP_E_UNREACHABLE, "%s", details[i]);
        CHECK(seen.at[i] < 0.05, "after %f s", seen.at[i]);
    }
}

/* When all ports are in use every connection is concerned: it is waited for, no try is charged. */
static void test_6_used_up_ports_are_still_waited_for(void **state) {
    (void)state;
    two_addresses();
    net_fail(NET_CONNECT, 1, EADDRNOTAVAIL);
    options.max_retries_by_transport = SPARP_NONE;
    get_many(3, B "/a");
    sparp_stats s = run();
    assert_int_equal(s.success, 3);
    assert_int_equal(s.transport_errors, 0);
    assert_int_equal(seen.results[0].attempts, 1);
}

/* --- 7: the race reaches every address ------------------------------------------------------ */

static void test_7_more_dead_addresses_than_the_race_holds(void **state) {
    (void)state;
    for (size_t dead = 1; dead <= 12; dead++) {
        char list[256] = "";
        again();
        for (size_t i = 0; i < dead; i++) {
            char address[20];
            snprintf(address, sizeof address, "10.0.1.%lu", (unsigned long)i);
            net_host(address, -1, 0);
            strcat(strcat(list, address), " ");
        }
        strcat(list, "10.0.0.1");
        net_lookup("a.test", list, 0);
        net_answer("/a", 0.01, NET_200);
        options.max_retries_by_timeout = options.max_retries_by_transport = SPARP_NONE;
        get("http://a.test/a");
        run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        assert_near(seen.at[0], 0.25 * (double)dead, 0.02);
        assert_true(net.most_open <= 4);
    }
}

/* 10.0.0.1 takes connections and never answers, or resets what it is asked. */
static const char *bad_answer;
static net_then bad_then;

static void one_is_bad(const net_request *request, net_rule *answer) {
    bool bad = strcmp(request->host, "10.0.0.1") == 0;
    answer->bytes = bad ? bad_answer : NET_200;
    answer->size = strlen(answer->bytes);
    answer->delay_s = 0.01;
    answer->then = bad ? bad_then : NET_KEEP;
}

static void test_7_a_retry_begins_with_another_address(void **state) {
    (void)state;
    static const struct { const char *bytes; net_then then; } rows[] = {
        {NET_SILENCE, NET_KEEP}, {NET_SILENCE, NET_RST}, {NET_SILENCE, NET_FIN}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        again();
        net_lookup("a.test", "10.0.0.1 10.0.0.2", 0);
        bad_answer = rows[i].bytes;
        bad_then = rows[i].then;
        net.server = one_is_bad;
        options.timeout_s = 1;
        options.max_retries_by_timeout = options.max_retries_by_transport = 1;
        get("http://a.test/a");
        run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        assert_int_equal(seen.results[0].attempts, 2);
        assert_int_equal(net.connects, 2);
    }
}

/* A handshake that does not end is the address's, too. */
static void test_7_also_after_a_handshake_that_did_not_end(void **state) {
    (void)state;
    net_lookup("a.test", "10.0.0.1 10.0.0.2 10.0.0.3", 0);
    options.tls.insecure_no_verify = true;
    options.timeout_s = 1;
    options.max_retries_by_timeout = 2;
    get("https://a.test/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
    assert_int_equal(net.connects, 3);
    assert_string_equal(net.connected[0], "10.0.0.1");
    assert_string_equal(net.connected[1], "10.0.0.2");
    assert_string_equal(net.connected[2], "10.0.0.3");
}

static void test_7_the_winner_is_remembered(void **state) {
    (void)state;
    net_lookup("a.test", "10.0.0.1 10.0.0.2 10.0.0.3", 0);
    net_host("10.0.0.1", -1, 0);
    net_answer_then("/a", 0.01, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    NET_FIN);
    options.max_at_once = 1;
    get_many(5, "http://a.test/a");
    run();
    assert_int_equal(net.connects, 6);
    for (int i = 1; i < 6; i++)
        assert_string_equal(net.connected[i], "10.0.0.2");
    assert_near(seen.at[4], 0.25 + 5 * 0.01, 0.02);
}

/* --- 8: bytes that are no answer ------------------------------------------------------------ */

static const char *stray;

/* The second request of a connection meets what is left of the first. */
static void stray_server(const net_request *request, net_rule *answer) {
    answer->bytes = request->on_connection == 2 ? stray : NET_200;
    answer->size = strlen(answer->bytes);
    answer->delay_s = 0.01;
}

static const char *const strays[] = {
    "\r\n", "\r\n" NET_200, "\n", "\r\n\r\n", "hello", "<html><body>No</body></html>",
    "0\r\n\r\n", "hello" NET_200, "{\"ok\": true}",
};

static void test_8_a_stray_byte_is_a_stale_connection(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(strays); i++) {
        again();
        stray = strays[i];
        net.label = stray;
        net.server = stray_server;
        options.max_at_once = 1;
        options.max_retries_by_transport = SPARP_NONE;
        options.timeout_s = 1;
        get_many(6, A "/a");
        sparp_stats s = run();
        CHECK(s.success == 6, "%s: %lu (%s)", stray, (unsigned long)s.success, details[1]);
        CHECK(s.transport_errors == 0 && s.transport_retries == 0, "%s: %lu", stray,
              (unsigned long)s.transport_errors);
        for (size_t k = 0; k < 6; k++)
            CHECK(seen.results[k].attempts == 1 && seen.results[k].replays <= 1, "%s: %lu", stray,
                  (unsigned long)k);
    }
}

/* A body where there can be none comes 5 ms behind its head, when the next request is under way. */
static const char *head_alone;

static void body_behind(const net_request *request, net_rule *answer) {
    bool odd_one = strcmp(request->path, "/none") == 0;
    answer->bytes = odd_one ? head_alone : NET_200;
    answer->size = strlen(answer->bytes);
    answer->delay_s = 0.01;
    answer->piece = odd_one ? answer->size - 5 : 0;
    answer->gap_s = 0.005;
}

static void test_8_the_body_of_what_has_none(void **state) {
    (void)state;
    static const struct { const char *method, *head; } rows[] = {
        {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
        {"GET", "HTTP/1.1 304 Old\r\nContent-Length: 5\r\n\r\nhello"},
        {"GET", "HTTP/1.1 204 None\r\n\r\nhello"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        again();
        net.label = head_alone = rows[i].head;
        net.server = body_behind;
        options.max_at_once = 1;
        options.max_retries_by_transport = SPARP_NONE;
        for (int k = 0; k < 5; k++) {
            ask(rows[i].method, A "/none");
            get(A "/a");
        }
        run();
        for (size_t k = 1; k < num_requests; k += 2) {
            assert_outcome(k, SPARP_OUTCOME_SUCCESS);
            assert_int_equal(seen.results[k].attempts, 1);
            assert_int_equal(seen.results[k].replays, 1);
        }
    }
}

/* What may not be sent twice is not. */
static void test_8_a_post_is_not_sent_again(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(strays); i++) {
        again();
        stray = strays[i];
        net.label = stray;
        net.server = stray_server;
        options.max_at_once = 1;
        options.timeout_s = 1;
        get(A "/a");
        ask("POST", A "/post");
        get(A "/a");
        run();
        assert_int_equal(net_count("/post"), 1);
        if (seen.results[1].outcome == SPARP_OUTCOME_SUCCESS)
            continue;                   /* a line end before an answer may be passed over */
        CHECK(seen.results[1].error == SPARP_E_CLOSED, "%s: %s", stray, details[1]);
        assert_outcome(1, SPARP_OUTCOME_TRANSPORT_FAILED);
        assert_true(seen.results[1].maybe_applied);
        assert_outcome(2, SPARP_OUTCOME_SUCCESS);
        again();                        /* unless the user says it may */
        net.server = stray_server;
        get(A "/a");
        ask("POST", A "/post")->idempotent = true;
        run();
        assert_outcome(1, SPARP_OUTCOME_SUCCESS);
        assert_int_equal(seen.results[1].attempts, 1);
    }
}

/* On a connection of its own it is no answer, and nothing else. */
static void always_stray(const net_request *request, net_rule *answer) {
    (void)request;
    answer->bytes = stray;
    answer->size = strlen(stray);
}

static void test_8_on_a_fresh_connection_it_is_an_error(void **state) {
    (void)state;
    stray = "hello, world: no HTTP";
    net.server = always_stray;
    options.max_retries_by_transport = SPARP_NONE;
    get(A "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_TRANSPORT_FAILED);
    assert_int_equal(seen.results[0].error, SPARP_E_PROTOCOL);
    assert_int_equal(seen.results[0].replays, 0);
    assert_int_equal(net.num_requests, 1);
}

/* Once: what meets it again on the new connection has it for an answer. */
static void stray_after_first(const net_request *request, net_rule *answer) {
    answer->bytes = net.num_requests == 1 ? NET_200 : stray;
    answer->size = strlen(answer->bytes);
    (void)request;
}

#define TIMED_OUT "HTTP/1.1 408 Slow\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

static void test_8_replayed_once_is_enough(void **state) {
    (void)state;
    static const char *const rows[] = {"no HTTP at all\r\n\r\n", TIMED_OUT};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        again();
        stray = rows[i];
        net.server = stray_after_first;
        options.max_at_once = 1;
        options.max_retries_by_transport = options.max_retries_by_soft_fail = SPARP_NONE;
        get_many(2, A "/a");
        run();
        assert_outcome(1, i == 0 ? SPARP_OUTCOME_TRANSPORT_FAILED : SPARP_OUTCOME_SOFT_EXHAUSTED);
        assert_int_equal(seen.results[1].error, i == 0 ? SPARP_E_PROTOCOL : SPARP_E_OK);
        assert_int_equal(seen.results[1].replays, 1);
        assert_int_equal(net.num_requests, 3);
    }
}

/* 408 on a connection used before: nothing was acted on, so that a POST goes out again, too. */
static void test_8_a_408_for_the_idle_connection(void **state) {
    (void)state;
    static const char *const all[] = {"GET", "POST", "PUT", "DELETE", "PATCH"};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        again();
        stray = TIMED_OUT;
        net.label = all[i];
        net.server = stray_server;
        options.max_at_once = 1;
        options.max_retries_by_soft_fail = SPARP_NONE;
        get(A "/a");
        ask(all[i], A "/b");
        sparp_stats s = run();
        assert_outcome(1, SPARP_OUTCOME_SUCCESS);
        assert_int_equal(s.soft_fails, 0);
        assert_int_equal(s.soft_retries, 0);
        assert_int_equal(seen.results[1].replays, 1);
        assert_int_equal(seen.results[1].attempts, 1);
    }
    again();                            /* on a fresh one it is an answer */
    net_answer("/a", 0.01, TIMED_OUT);
    get(A "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SOFT_EXHAUSTED);
    assert_int_equal(seen.results[0].status, 408);
    assert_int_equal(seen.results[0].replays, 0);
}

/* --- 9: a body that nobody wants ------------------------------------------------------------ */

static const char *const endless[] = {
    "Content-Length: 1000000\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "Connection: close\r\n\r\nabc",
};

static void test_9_a_redirect_does_not_wait_for_its_body(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(endless); i++)
        for (size_t k = 0; k < 2; k++) {
            char text[200];
            again();
            net.label = endless[i];
            snprintf(text, sizeof text, "HTTP/1.1 307 F\r\nLocation: /b\r\n%s", endless[i]);
            net_answer("/a", 0.01, text);
            net_answer("/b", 0.01, NET_200);
            options.timeout_s = 4;
            options.max_retries_by_timeout = SPARP_NONE;
            ask(methods[k], A "/a");
            run();
            assert_outcome(0, SPARP_OUTCOME_SUCCESS);
            CHECK(seen.at[0] < 0.01 + 0.1 + 0.02, "%s: %f s", net.label, seen.at[0]);
        }
}

static void test_9_a_503_that_is_tried_again_does_not_wait(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(endless); i++) {
        char text[200];
        again();
        net.label = endless[i];
        snprintf(text, sizeof text, "HTTP/1.1 503 B\r\n%s", endless[i]);
        net_answer("/a", 0.01, text);
        net_answer("/a", 0.01, NET_200);
        options.timeout_s = 4;
        options.backoff_s = SPARP_NONE;
        options.max_retries_by_timeout = SPARP_NONE;
        get(A "/a");
        sparp_stats s = run();
        assert_outcome(0, SPARP_OUTCOME_SUCCESS);
        assert_int_equal(s.soft_fails, 1);
        assert_int_equal(s.timeouts, 0);
        CHECK(seen.at[0] < 0.02 + 0.1 + 0.02, "%s: %f s", net.label, seen.at[0]);
    }
}

/* Nor for one that drips. */
static void test_9_nor_for_one_that_drips(void **state) {
    (void)state;
    static char text[3000] = "HTTP/1.1 302 F\r\nLocation: /b\r\nContent-Length: 9000\r\n\r\n";
    net_rule *rule = net_answer_bytes("/a", 0.01, text, sizeof text);
    rule->piece = 60;
    rule->gap_s = 0.01;
    net_answer("/b", 0.01, NET_200);
    get(A "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    CHECK(seen.at[0] < 0.14, "%f s", seen.at[0]);
}

/* One that ends within the moment leaves its connection to the next. */
static void test_9_a_short_one_keeps_the_connection(void **state) {
    (void)state;
    net_rule *rule = net_answer("/a", 0.01, "HTTP/1.1 302 F\r\nLocation: /b\r\n"
                                "Content-Length: 3\r\n\r\nabc");
    rule->piece = 56;
    rule->gap_s = 0.05;
    net_answer("/b", 0.01, NET_200);
    get(A "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(net.connects, 1);
}

/* --- 10: answers of proxies, and before answers --------------------------------------------- */

/* Framing of a CONNECT's 2xx means nothing (RFC 9110 §9.3.6): what follows is the tunnel. */
static void test_10_framing_of_a_tunnel_means_nothing(void **state) {
    (void)state;
    static const char *const rows[] = {
        "", "Content-Length: 0\r\n", "Content-Length: 5\r\n", "Content-Length: 5, 6\r\n",
        "Content-Length: 5\r\nContent-Length: 7\r\n", "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: x\r\n", "Content-Length: 9999999999999999999999\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[200];
        again();
        net.label = rows[i];
        snprintf(text, sizeof text, "HTTP/1.1 200 Go\r\n%s\r\n", rows[i]);
        net_answer("10.0.0.1:443", 0.01, text);
        options.proxy = "http://10.0.0.9:3128";
        options.tls.insecure_no_verify = true;
        options.timeout_s = 1;
        options.max_retries_by_timeout = SPARP_NONE;
        get("https://10.0.0.1/a");
        run();
        assert_timeout(0, 1);
        CHECK(seen.results[0].phase == SPARP_PHASE_TLS, "%s: %s", rows[i],
              sparp_phase_name(seen.results[0].phase));
        assert_int_equal(net.num_starts, 2);            /* CONNECT, then the handshake */
    }
}

static char interims[200000];

static void say_interims(size_t count, const char *one, const char *last) {
    char *to = interims;
    for (size_t i = 0; i < count; i++)
        to += sprintf(to, "%s", one);
    strcpy(to, last);
}

static void test_10_interim_responses_are_bounded_by_bytes(void **state) {
    (void)state;
    static const char early[] = "HTTP/1.1 103 Early\r\nLink: </a.css>\r\n\r\n";
    for (size_t i = 0; i < 4; i++) {
        static const size_t counts[] = {33, 1000, 1700, 4000};
        bool fits = counts[i] * (sizeof early - 1) < 64 * 1024;
        again();
        say_interims(counts[i], early, NET_200);
        net_rule *rule = net_answer("/a", 0.01, interims);
        rule->piece = 2000;
        rule->gap_s = 0.001;
        options.max_retries_by_transport = SPARP_NONE;
        get(A "/a");
        run();
        assert_outcome(0, fits ? SPARP_OUTCOME_SUCCESS : SPARP_OUTCOME_LOCAL_FAILED);
        assert_int_equal(seen.results[0].error, fits ? SPARP_E_OK : SPARP_E_HEAD_TOO_LARGE);
    }
}

/* One a second, for ever: an attempt has its time, whatever comes meanwhile. */
static void test_10_interim_responses_are_bounded_by_time(void **state) {
    static const char one[] = "HTTP/1.1 102 Wait\r\n\r\n";
    (void)state;
    say_interims(1000, one, NET_200);
    net_rule *rule = net_answer("/a", 1, interims);
    rule->piece = sizeof one - 1;
    rule->gap_s = 1;
    options.timeout_s = 10;
    options.idle_timeout_s = 5;
    options.max_retries_by_timeout = SPARP_NONE;
    get(A "/a");
    sparp_stats s = run();
    assert_outcome(0, SPARP_OUTCOME_TIMEOUT_EXHAUSTED);
    assert_int_equal(seen.results[0].attempts, 1);
    CHECK(s.elapsed_us >= 10000000 && s.elapsed_us < 11000000, "%ld us", (long)s.elapsed_us);
}

/* They are not the answer's first byte, either. */
static void test_10_interim_responses_are_no_first_byte(void **state) {
    static const char early[] = "HTTP/1.1 103 Early\r\nLink: </a.css>\r\n\r\n";
    (void)state;
    for (int twice = 0; twice < 2; twice++) {
        again();
        say_interims(1, early, NET_200);
        net_rule *rule = net_answer("/a", 0.5, interims);
        rule->piece = sizeof early - 1;
        rule->gap_s = twice == 0 ? 5 : 1;
        options.first_byte_timeout_s = 2;
        options.max_retries_by_timeout = SPARP_NONE;
        get(A "/a");
        run();
        assert_outcome(0, twice == 0 ? SPARP_OUTCOME_TIMEOUT_EXHAUSTED : SPARP_OUTCOME_SUCCESS);
        if (twice == 0)
            assert_int_equal(seen.results[0].phase, SPARP_PHASE_FIRST_BYTE);
    }
}

/* What is measured ends at the final response's first byte, wherever the pieces end. */
static void test_10_interim_responses_end_no_time(void **state) {
    static const char early[] = "HTTP/1.1 103 Early\r\nLink: </a.css>\r\n\r\n";
    (void)state;
    for (size_t piece = 1; piece <= 2 * sizeof early; piece++)
        for (size_t count = 0; count <= 2; count++) {
            double first = 0.5 + 0.1 * (double)(count * (sizeof early - 1) / piece);
            again();
            say_interims(count, early, NET_200);
            net_rule *rule = net_answer("/a", 0.5, interims);
            rule->piece = piece;
            rule->gap_s = 0.1;
            get(A "/a");
            run();
            const sparp_result *r = &seen.results[0];
            assert_outcome(0, SPARP_OUTCOME_SUCCESS);
            assert_near((double)r->phase_us[SPARP_PHASE_FIRST_BYTE] / 1e6, first, 0.002);
            assert_near((double)r->phase_us[SPARP_PHASE_BODY] / 1e6, seen.at[0] - first, 0.002);
        }
}

/* Nor where nothing follows. */
static void test_10_behind_interim_responses_it_waits(void **state) {
    (void)state;
    net_answer("/a", 0.5, "HTTP/1.1 103 Early\r\n\r\n");
    options.timeout_s = 2;
    options.max_retries_by_timeout = SPARP_NONE;
    get(A "/a");
    run();
    const sparp_result *r = &seen.results[0];
    assert_timeout(0, 2);
    assert_int_equal(r->phase, SPARP_PHASE_FIRST_BYTE);
    assert_near((double)r->phase_us[SPARP_PHASE_FIRST_BYTE] / 1e6, 2, 0.002);
    assert_int_equal(r->phase_us[SPARP_PHASE_BODY], 0);
}

/* The body of a redirect has its time to come from its own head on: 0.1 s. */
static void test_10_interim_responses_before_an_unwanted_body(void **state) {
    static const char early[] = "HTTP/1.1 103 Early\r\nLink: </a-long-name.css>; rel=preload\r\n"
                                "X: 12345\r\n\r\n";
    static const char found[] = "HTTP/1.1 302 Found\r\nLocation: /b\r\nX: 1234567890\r\n"
                                "Content-Length: 20\r\n\r\n";
    (void)state;
    assert_int_equal(sizeof early, sizeof found);
    say_interims(1, early, found);
    strcat(interims, "12345678901234567890");
    net_rule *rule = net_answer("/a", 0.01, interims);
    rule->piece = sizeof early - 1;
    rule->gap_s = 0.08;
    net_answer("/b", 0.01, NET_200);
    get(A "/a");
    run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(net.connects, 1);
}

/* --- verdicts, bodies that are counted, progress -------------------------------------------- */

static int odd;

static sparp_verdict say_odd(const sparp_result *response, void *user_data) {
    (void)response;
    (void)user_data;
    return (sparp_verdict)odd;
}

static void test_an_odd_verdict_says_so(void **state) {
    (void)state;
    static const int rows[] = {SPARP_NEED_BODY, 77, 1000000, -1};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        again();
        odd = rows[i];
        net_answer("/a", 0.01, NET_200);
        net_answer("/b", 0.01, NET_204);
        options.inspect = say_odd;
        get(A "/a");
        get(A "/b");
        run();
        for (size_t k = 0; k < 2; k++) {
            assert_outcome(k, SPARP_OUTCOME_HARD_FAIL);
            CHECK(seen.results[k].error == SPARP_E_CALLBACK_FAILED, "%d: %s", odd, details[k]);
            assert_non_null(strstr(details[k], "no verdict"));
        }
    }
}

static uint64_t body_arrived;

static sparp_flow count_body(const sparp_result *head, uint64_t offset, const void *data,
                             size_t size, void *user_data) {
    (void)head;
    (void)data;
    (void)user_data;
    assert_int_equal(offset, body_arrived);
    body_arrived += size;
    return SPARP_FLOW_ON;
}

static void test_body_bytes_counts_what_is_not_kept(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        again();
        body_arrived = 0;
        options.discard_body = i == 1;
        options.on_body = i == 2 ? count_body : NULL;
        net_answer("/a", 0.01, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n")->piece = 9;
        net_answer("/b", 0.01, NET_204);
        get(A "/a");
        get(A "/b");
        run();
        assert_int_equal(seen.results[0].body_bytes, 12);
        assert_int_equal(seen.results[0].body_size, i == 0 ? 12 : 0);
        assert_int_equal(seen.results[1].body_bytes, 0);
        assert_int_equal(body_arrived, i == 2 ? 12 : 0);
    }
}

static double progress_at[200];
static size_t num_progress;
static bool progress_stops;

static void note_progress(sparp *run_, const sparp_stats *stats, void *user_data) {
    (void)stats;
    (void)user_data;
    assert_true(num_progress < COUNT_OF(progress_at));
    progress_at[num_progress++] = net_now();
    if (progress_stops && net_now() > 1)
        sparp_stop(run_);
}

/* At the beginning, every half a second, and at the end: though nothing ends. */
static void test_progress_is_told_by_time(void **state) {
    (void)state;
    num_progress = 0;
    net_answer("/a", 5.25, NET_200);
    options.on_progress = note_progress;
    get(A "/a");
    run();
    assert_int_equal(num_progress, 12);
    assert_near(progress_at[0], 0, 0.001);
    for (size_t i = 1; i < 11; i++)
        assert_near(progress_at[i], 0.5 * (double)i, 0.011);
    assert_near(progress_at[11], 5.25, 0.001);
}

/* 21: what has come of a body that is under way counts already. */
static uint64_t bytes_at[3];

static void note_bytes(sparp *run, const sparp_stats *stats, void *user_data) {
    (void)run;
    (void)user_data;
    if (stats->in_flight == 1 && net_now() > 0.5)
        bytes_at[stats->bytes_in > bytes_at[0] ? bytes_at[1] > 0 ? 2 : 1 : 0] = stats->bytes_in;
}

static void test_21_bytes_count_as_they_come(void **state) {
    static char answer[4000];
    (void)state;
    memset(bytes_at, 0, sizeof bytes_at);
    size_t head = (size_t)sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n");
    memset(answer + head, 'x', 3000);
    net_rule *rule = net_answer("/a", 0.1, answer);
    rule->piece = 500;
    rule->gap_s = 1;
    options.on_progress = note_bytes;
    get(A "/a");
    sparp_stats s = run();
    assert_outcome(0, SPARP_OUTCOME_SUCCESS);
    assert_int_equal(s.bytes_in, head + 3000);
    CHECK(bytes_at[1] >= 500 && bytes_at[2] > bytes_at[1] && bytes_at[2] < s.bytes_in, "%lu, %lu",
          (unsigned long)bytes_at[1], (unsigned long)bytes_at[2]);
}

static sparp *waked;

static void *wake(void *argument) {
    sparp_wake(waked);
    return argument;
}

/* sparp_wake() asks for one more, also when it is told by results alone: a signal handler does no
   more than that, and on_progress stops the run. */
static void test_a_wake_is_answered_by_progress(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        again();
        num_progress = 0;
        progress_stops = true;
        options.progress_every_s = i == 0 ? 100 : SPARP_NONE;
        options.on_progress = note_progress;
        net_answer("/a", 0, NET_SILENCE);
        get_many(3, A "/a");
        seen_fill();
        waked = sparp_open(&options, NULL);
        net_at(0.7, wake, NULL);
        net_at(1.3, wake, NULL);
        while (sparp_step(waked, -1))
            continue;
        sparp_stats s = sparp_get_stats(waked);
        sparp_close(waked);
        assert_int_equal(s.stopped, SPARP_STOPPED_BY_CALL);
        assert_int_equal(s.cancelled, 3);
        assert_near(seen.at[0], 1.3, 0.001);
        assert_true(num_progress >= 3);
        seen_check_clean();
    }
    progress_stops = false;
}

int main(void) {
    seen_prepare = prepare;
    const struct CMUnitTest tests[] = {
        SEEN_TEST(test_1_answers_that_were_there_are_taken),
        SEEN_TEST(test_1_the_rest_of_an_answer_is_read),
        SEEN_TEST(test_1_a_stop_is_not_charged),
        SEEN_TEST(test_1_an_endless_answer_ends_in_time),
        SEEN_TEST(test_1_a_drip_ends_in_time),
        SEEN_TEST(test_1_names_and_connections_that_were_there_are_taken),
        SEEN_TEST(test_1_handshakes_that_went_on_are_not_timed_out),
        SEEN_TEST(test_1_deadlines_come_after_what_has_arrived),
        SEEN_TEST(test_1_a_slow_callback_times_nobody_out),
        SEEN_TEST(test_2_a_callback_that_blocks_moves_every_clock),
        SEEN_TEST(test_2_deadlines_are_not_moved),
        SEEN_TEST(test_2_it_does_not_matter_who_blocks),
        SEEN_TEST(test_2_the_caller_may_take_his_time),
        SEEN_TEST(test_2_in_a_loop_of_ones_own),
        SEEN_TEST(test_3_at_most_256_start_in_a_turn),
        SEEN_TEST(test_5_every_connection_is_probed),
        SEEN_TEST(test_6_without_ipv6_the_next_address_is_tried_at_once),
        SEEN_TEST(test_6_an_address_without_a_way_is_unreachable),
        SEEN_TEST(test_6_a_refusal_outranks_it),
        SEEN_TEST(test_6_a_local_address_that_is_not_ours),
        SEEN_TEST(test_6_used_up_ports_are_still_waited_for),
        SEEN_TEST(test_7_more_dead_addresses_than_the_race_holds),
        SEEN_TEST(test_7_a_retry_begins_with_another_address),
        SEEN_TEST(test_7_also_after_a_handshake_that_did_not_end),
        SEEN_TEST(test_7_the_winner_is_remembered),
        SEEN_TEST(test_8_a_stray_byte_is_a_stale_connection),
        SEEN_TEST(test_8_the_body_of_what_has_none),
        SEEN_TEST(test_8_a_post_is_not_sent_again),
        SEEN_TEST(test_8_on_a_fresh_connection_it_is_an_error),
        SEEN_TEST(test_8_replayed_once_is_enough),
        SEEN_TEST(test_8_a_408_for_the_idle_connection),
        SEEN_TEST(test_9_a_redirect_does_not_wait_for_its_body),
        SEEN_TEST(test_9_a_503_that_is_tried_again_does_not_wait),
        SEEN_TEST(test_9_nor_for_one_that_drips),
        SEEN_TEST(test_9_a_short_one_keeps_the_connection),
        SEEN_TEST(test_10_framing_of_a_tunnel_means_nothing),
        SEEN_TEST(test_10_interim_responses_are_bounded_by_bytes),
        SEEN_TEST(test_10_interim_responses_are_bounded_by_time),
        SEEN_TEST(test_10_interim_responses_are_no_first_byte),
        SEEN_TEST(test_10_interim_responses_end_no_time),
        SEEN_TEST(test_10_behind_interim_responses_it_waits),
        SEEN_TEST(test_10_interim_responses_before_an_unwanted_body),
        SEEN_TEST(test_an_odd_verdict_says_so),
        SEEN_TEST(test_body_bytes_counts_what_is_not_kept),
        SEEN_TEST(test_progress_is_told_by_time), SEEN_TEST(test_21_bytes_count_as_they_come),
        SEEN_TEST(test_a_wake_is_answered_by_progress),
    };
    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}

/* sparp.h 0.1.0 - many HTTP requests, a bounded number at a time - MIT licence, see the end
   SPDX-License-Identifier: MIT

   You give it requests. It sends them, many at once, as fast as you allow.
   A temporary failure is tried again. Every request gets exactly one result.

   DO THIS
   =======
   In one C or C++ file, best in a file of its own, say sparp.c:

       #define SPARP_IMPLEMENTATION
       #include "sparp.h"

   Everywhere else include it without the macro. Then one of:

       cc app.c sparp.c -lbearssl -lpthread
       cc -DSPARP_NO_TLS app.c sparp.c -lpthread

   The first has https and needs BearSSL (Debian: libbearssl-dev).
   -lpthread is needed where the C library is old.
   C99 or later, C++11 or later. POSIX with epoll, kqueue or poll.

   Switches
   --------
   Define them before the #include, in the file with the implementation:

       SPARP_STATIC        every function is static; implementation
                           and use are in this file
       SPARP_NO_TLS        no https, and no need of BearSSL
       SPARP_ZLIB          decode gzip and deflate; link with -lz
       SPARP_NO_THREADS    no helper threads: looking up a host name
                           then blocks the run; no workers
       SPARP_NO_STDIO      no sparp_progress_bar()
       SPARP_FORCE_POLL    poll(2) even where there is epoll or kqueue
       SPARP_RANDOM(p, n)  your source of random bytes for TLS: writes
                           n of them to p; true: it could. Default:
                           getrandom(), /dev/urandom where it is missing
       SPARP_CLOCK()       your clock: an int64_t of nanoseconds, which
                           never goes back; every thread of ours asks it.
                           Default: clock_gettime(CLOCK_MONOTONIC)
       SPARP_TIME()        your calendar: an int64_t of seconds since 1970,
                           for the dates of certificates and of Retry-After.
                           Default: time()
       SPARP_API           what stands before each declaration (default:
                           extern). For a shared library that hides the
                           rest: extern __attribute__((visibility("default")))

   For a small device (README's table of sizes says what each saves):

       SPARP_BUFFER_SIZE   bytes received at a time, 4096 or more: one such
                           buffer for the run, and one for each read_body()
                           in flight (of 32 KB at most). Default: 262144
       SPARP_EVENTS        events taken at one look, 4 or more: 12 bytes of
                           stack and 12 of heap each. Default: 1024
       SPARP_READ_AHEAD    default of input_buffer_size: 0.5 KB each.
                           Default: 100
       SPARP_NO_WORKERS    no workers; helper threads still look names up
       SPARP_NO_PROXIES    no proxy, https_proxy, resolve, connect_to
       SPARP_NO_REDIRECTS  a redirect is a response like any other, and so
                           is 417
       SPARP_NO_LIMITS     no costs, no host_limits; of what a server says
                           of its limits only 429, and 503 with Retry-After
       SPARP_NO_LOOKUPS    no getaddrinfo(): hosts are addresses, or
                           resolve_host() knows them
       SPARP_NO_DATES      a Retry-After that is a date is ignored
       SPARP_NO_SENTENCES  errors have codes but no sentences: .detail is
                           sparp_error_text(), nothing is logged, and
                           sparp_check_options() names no field

   An option that needs what was left out is BAD_OPTIONS.

   EXAMPLE
   =======
       // each.c
       #define SPARP_IMPLEMENTATION
       #include "sparp.h"
       #include <stdio.h>

       static void print(sparp *run, const sparp_result *r, void *user_data) {
           (void)run;
           (void)user_data;
           printf("%d %s %s\n", r->status, r->url,
                  sparp_outcome_name(r->outcome));
       }

       int main(void) {
           sparp_request requests[2] = {0};
           requests[0].url = "http://127.0.0.1:8080/items/1";
           requests[1].url = "http://127.0.0.1:8080/status/404";

           sparp_options options = {0};        // every default
           options.requests = requests;
           options.num_requests = 2;
           options.max_at_once = 50;           // in flight
           options.max_per_second = 20;        // started
           options.on_result = print;
           return sparp_run_each(&options, NULL);
       }

   It prints, in the order of completion:

       200 http://127.0.0.1:8080/items/1 success
       404 http://127.0.0.1:8080/status/404 hard_fail

   CONTENTS
   ========
   This manual has
       WAYS TO RUN, LIFETIMES, STATES, CALLBACKS, PACE, PACE BY ORIGIN,
       GATE, RETRIES, REDIRECTS, BODIES, PROXIES AND ADDRESSES, ERRORS,
       STOPPING, EVENT LOOP, TLS, DEFAULTS, LIMITS, THREATS, MEMORY,
       COST, THREADS AND SIGNALS, INSIDE, NOT DONE

   The code has these sections. Search for the tag:
       >>api         every declaration, with units, defaults and ownership
       >>platform    feature checks, includes, system calls by name
       >>base        slices, ASCII, numbers, lists
       >>texts       codes to names and sentences
       >>env         allocator, logger, clock, dice, locks, faults
       >>buf         growing byte buffer
       >>heap        timers
       >>bucket      starts per second (GCRA)
       >>pace        the token that every write takes
       >>rate        how fast the run may go, and the time that takes
       >>gate        what one origin allows (a circuit breaker for 429)
       >>aimd        how many at once is right
       >>url         "http://host:port/path?query"
       >>http        response parser
       >>inflate     gzip and deflate, with SPARP_ZLIB
       >>wake        a pipe that wakes the loop
       >>resolve     names to addresses, on helper threads
       >>route       where to connect: proxies, resolve, connect_to
       >>request     from the user's struct to the bytes on the wire
       >>reactor     epoll, kqueue, poll
       >>socket      connect, send, recv
       >>crypto      hashes and signatures, by BearSSL
       >>x509        certificates, and whether a chain is good
       >>trust       whom to trust, who we are
       >>record      TLS records and their secrets
       >>shake       what both handshakes are made of
       >>tls12       the handshake of TLS 1.2
       >>tls13       the handshake of TLS 1.3
       >>tls         TLS 1.3 and 1.2, without a descriptor
       >>stream      a socket, in the clear or through TLS
       >>dial        from a host to an open stream (Happy Eyeballs, proxies, TLS)
       >>conn        one exchange after another on a stream
       >>origin      scheme, host and port, and what is found by them
       >>pool        connections by origin
       >>judge       verdicts, pauses, redirects, Retry-After
       >>quota       what a server says is left
       >>task        one request from input to result
       >>patience    when an attempt is given up
       >>engine      one attempt after another
       >>store       results that nobody has seen yet
       >>crew        the engines as the scheduler sees them
       >>fair        whose turn it is, of all origins
       >>limits      what each origin allows, and who waits there
       >>sched       who starts, what an end means, who gets the result
       >>run         one run: scheduler, engines, memory; one turn
       >>workers     engines on threads of their own
       >>public      the functions of the API
       >>extras      progress bar
       >>end         macros go, history, licence

   Each section uses only what stands above it.

   WAYS TO RUN
   ===========
       sparp_run_each   sends everything, calls on_result as results come
       sparp_run_all    the same, and returns all results in input order
       sparp_run_any    returns the first success, cancels the rest
       sparp_next       your loop takes one result after another
       sparp_step       your event loop: see EVENT LOOP

   A result is delivered once: to on_result if you set it, else to
   sparp_next() and sparp_ready(). sparp_run_all() and sparp_run_any() call
   on_result too. What sparp_run_all() returns stays in memory until it is
   freed.

   Requests come from an array, or from next_request(). That function is
   asked for one at a time, input_buffer_size ahead of need. It may say
   SPARP_INPUT_LATER: then it is asked again after sparp_wake().

   All results at once, and what to do with errors:

       // all.c
       #define SPARP_IMPLEMENTATION
       #include "sparp.h"
       #include <stdio.h>

       int main(void) {
           sparp_request requests[3] = {0};
           requests[0].url = "http://127.0.0.1:8080/items/1";
           requests[1].url = "http://127.0.0.1:8080/status/404";
           requests[2].url = "http://127.0.0.1:8080/rst";

           sparp_options options = {0};
           options.requests = requests;
           options.num_requests = 3;
           options.max_retries_by_transport = SPARP_NONE;
           if (*sparp_check_options(&options) != '\0') {
               fprintf(stderr, "%s\n", sparp_check_options(&options));
               return 2;
           }
           sparp_results results = sparp_run_all(&options);
           for (size_t i = 0; i < results.count; i++) {
               const sparp_result *r = &results.items[i];
               if (r->outcome == SPARP_OUTCOME_SUCCESS)
                   printf("%s\n", r->body);
               else if (r->error == SPARP_E_OK)     // an answer, but no good one
                   printf("%s: status %d\n", r->url, r->status);
               else                                 // no complete answer
                   printf("%s: %s\n", r->url, sparp_error_text(r->error));
           }
           if (results.error != SPARP_E_OK)         // the run itself failed
               fprintf(stderr, "%s\n", sparp_error_text(results.error));
           sparp_results_free(&results);            // in any case
           return results.error;
       }

   The first of several servers that answers well:

       // any.c
       #define SPARP_IMPLEMENTATION
       #include "sparp.h"
       #include <stdio.h>

       int main(void) {
           sparp_request mirrors[2] = {0};
           mirrors[0].url = "http://127.0.0.1:8080/delay/5000";
           mirrors[1].url = "http://127.0.0.1:8080/items/1";

           sparp_options options = {0};
           options.requests = mirrors;
           options.num_requests = 2;
           sparp_results results = sparp_run_any(&options);
           if (results.count > 0
               && results.items[0].outcome == SPARP_OUTCOME_SUCCESS)
               printf("%s\n", results.items[0].body);
           sparp_results_free(&results);
           return 0;
       }

   Requests from a function, results in a loop:

       // next.c
       #define SPARP_IMPLEMENTATION
       #include "sparp.h"
       #include <stdio.h>

       static sparp_input next_request(sparp_request *out, void *user_data) {
           static char url[100];               // may be overwritten each time
           int *n = (int *)user_data;
           if (++*n > 1000)
               return SPARP_INPUT_END;
           snprintf(url, sizeof url, "http://127.0.0.1:8080/items/%d", *n);
           out->url = url;
           return SPARP_INPUT_READY;
       }

       int main(void) {
           int n = 0, good = 0;
           sparp_options options = {0};
           options.next_request = next_request;
           options.user_data = &n;
           sparp_error error;
           sparp *run = sparp_open(&options, &error);
           if (run == NULL) {
               fprintf(stderr, "%s\n", sparp_error_text(error));
               return 2;
           }
           const sparp_result *r;
           while ((r = sparp_next(run)) != NULL)
               good += r->outcome == SPARP_OUTCOME_SUCCESS;
           printf("%d of 1000\n", good);
           sparp_close(run);
           return 0;
       }

   LIFETIMES
   =========
   Yours: the array of requests, and what sparp_options points at (headers,
   host_limits, strings), must stay until the run is closed. sparp_open() copies the
   struct itself.

   A sparp_request is copied, with all that it points at, when it is pulled:
   read from the array or given by next_request(). Strings that
   next_request() gives may be overwritten at its next call.

   A result, and all that it points at, lives
       in a callback        until it returns
       from sparp_next()    until the next sparp_next, sparp_ready,
       or sparp_ready()         sparp_step or sparp_close
       in sparp_results     until sparp_results_free

   What parse() returns is yours.

   STATES
   ======
   Of a request:

       pulled -> waiting -> in flight -> [answer -> verdict] -> ended,
                    ^                         |            with one outcome
                    '-------- pause ----------'

   A request that pauses holds no slot.

   An attempt ends as exactly one of
       a response          status line, fields and body are complete (or
                           skipped, or cut on purpose)
       a timeout           one of our timers fired, or the kernel said
                           ETIMEDOUT; .phase says where
       a transport error   everything else that network or peer did
       a local error       bad request, body or head too large, no memory;
                           never tried again

   A request ends as exactly one of
       SUCCESS             inspect() said so
       HARD_FAIL           inspect() said so
       SOFT_EXHAUSTED      soft fails, out of retries
       TIMEOUT_EXHAUSTED   timeouts, out of retries
       TRANSPORT_FAILED    out of retries, or not to be tried again
       LOCAL_FAILED        a local error
       CANCELLED           under way when the run was stopped, or by
                           sparp_cancel()
       NOT_STARTED         never sent

   The verdict on a response is yours, by inspect(). It is asked when the
   fields are there. It may say SPARP_NEED_BODY: then it is asked again with
   the body. A value that it should not return means HARD_FAIL, with the error
   CALLBACK_FAILED.
       SPARP_SUCCESS       default: 2xx, 304, a 3xx that is not followed
       SPARP_SOFT_FAIL     try again; default: 408 425 429 500 502 503 504
       SPARP_HARD_FAIL     do not; default: the rest

   The body of a SOFT_FAIL that is tried again is not kept. A small rest of
   it is read to keep the connection; a large one closes it.

   The numbers always add up, also after a stop and without memory:

       pulled = in_flight + waiting + success + hard_fail + soft_exhausted
                + timeout_exhausted + transport_failed + local_failed
                + cancelled + not_started

   CALLBACKS
   =========
   Called for
       next_request    one more request, when there is room for it
       permit          a request that could start: may it?
       resolve_host    a name that is not known yet: its addresses
       read_body       a piece of a request's body
       inspect         a response: your verdict
       on_body         a piece of a response's body
       parse           the complete response that ends a request: its value
                       as you like it
       on_retry        an attempt that failed and is tried again
       on_redirect     an answer that leads on: see REDIRECTS
       on_result       the result of a request
       on_progress     now and then

   on_retry tells the kind by attempt->error: SPARP_E_OK is a soft fail (see
   .status), SPARP_E_TIMEOUT a timeout, all else a transport error. The last
   failure of a request goes to on_result only.

   PACE
   ====
   At most max_at_once attempts are in flight, and as many connections open.

   At most max_per_second writes start, evenly spaced. Each takes a token:
   first tries, retries, redirects, replays. This is the generic cell rate
   algorithm (GCRA), a leaky bucket. In any W seconds no more start than

       (W + 10 ms) * rate + burst

   At 50 a second any second has 51 at the most, at 500 a second 506.
   Timers are coarse and turns take time, so a write may come late. It is
   made up for, so that the rate is kept, but only for the last 10 ms: what
   a longer delay has cost is lost.

   Slot and token are taken together when a request starts. Where it must
   wait for a new connection, the pace is checked once more when it is
   written. So a slow look-up does not end in a burst.

   max_at_once = SPARP_AUTO finds out how many are right, by additive
   increase and multiplicative decrease (AIMD). It starts at 8. It adds one
   after each full round of good answers, up to 1,000. It drops by a third,
   once a round at most, after a soft fail or a timeout, and when answers
   take three times as long as the fastest of their origin.

   sparp_set_pace() changes max_at_once (which ends SPARP_AUTO) and
   max_per_second, for what starts from then on. Limits of cost stay.

   Cost
   ----
   Many servers count credits, or the tokens of a language model, not only
   requests. sparp_request.cost is what a request counts for, in any unit: 1 is
   the default, SPARP_NONE is free. max_cost_per_second limits their sum as
   max_per_second limits their number. With 1,500 a second and a cost of 3,000
   the next request starts two seconds later. Retries, redirects and replays
   cost as much again. What starts in any W seconds costs no more than

       (W + 10 ms) * max_cost_per_second + cost_burst

   with the heaviest of them in place of cost_burst, if that is more: so a
   request that is heavier than cost_burst starts, too, when nothing is owed.

   Without a cost_burst requests go one after another, evenly. Where both limits
   are equally tight and costs vary, that wastes some of each: 23 % for costs
   from 0 to twice their mean. With a cost_burst of five such requests it is
   3 %, with ten under 1 %.

   sparp_charge() books what a request turned out to cost beyond that, or gives
   back what it did not. Call it from inspect(), on_retry() or on_result(), or
   for the result that sparp_next() has just returned:

       static sparp_verdict inspect(const sparp_result *r, void *user_data) {
           struct mine *m = (struct mine *)user_data;
           if (!r->body_complete)
               return SPARP_NEED_BODY;
           sparp_charge(m->run, r->index, tokens_used(r->body) - m->expected);
           return sparp_default_inspect(r, NULL);
       }

   It counts from the next start on. What was not sent costs nothing.
   result->cost is what was booked for a request, sparp_stats.cost for all. A
   server's word is refused only beyond 1e12: bound it where you pass it on, or
   one answer can stop a run for years.

   A limit of yours
   ----------------
   permit() is for a limit that sparp does not know, such as one that many
   machines share (examples/redis_rate.c). It is told url and cost, and
   asked last, when slot, token, origin and gate are free: once for each
   attempt and each hop of a redirect, not for a replay. What it permits
   starts; only a stop or a cancel from inside it comes first.

   It must not block. It returns 0 (it may), the seconds after which to ask
   again, or SPARP_NONE: not before sparp_wake(), though it may be asked
   earlier, for nothing. Until it permits one, no request starts, whatever
   its url.

   What a request waited for
   -------------------------
   Its result says it in wait_us, by reason:
       SLOT      max_at_once were in flight
       RATE      max_per_second, max_cost_per_second, or permit(); what of
                 it was for the cost is in wait_cost_us
       ORIGIN    a limit of its origin, or its turn
       GATE      its origin had said 429, or 503 with Retry-After, or that
                 nothing is left
       BACKOFF   its own pause before a retry, retry_ratio included
   The sums over all requests are in sparp_stats.waited_us and
   waited_cost_us.

   PACE BY ORIGIN
   ==============
   An origin is scheme, host and port.
   max_at_once_per_origin, max_per_second_per_origin and
   max_cost_per_second_per_origin hold for each of them, with the same bursts.

   host_limits has other limits for some hosts: in flight, starts, cost. The
   first entry that matches applies, for each origin by itself; 0 stands for
   the limit of all, SPARP_NONE for no limit:

       static const sparp_host_limit limits[3] = {
           {"api.example.com", 10, 5, 1500},
           {"*.example.com", 4, 0, 0},         // what is below it
           {"*", 2, 0, 0}                      // everybody else
       };
       options.host_limits = limits;
       options.num_host_limits = 3;

   Origins take turns where max_at_once, max_per_second or max_cost_per_second
   holds all of them back. One that costs twice as much has half as many turns
   (deficit round robin). So 99,000 requests for one host keep no other
   waiting, nor do its retries. That reaches as far as requests are read ahead:
   if one host fills the head of the input, set input_buffer_size to 10,000,
   say. What goes on with an attempt, as the next hop of a redirect does, comes
   before all others. With .ordered there are no turns.

   A request that waits for its origin holds no slot and no token, so it
   does not delay others. With 10,000 of them waiting, reading the input
   pauses.

   GATE
   ====
   After a 429, or a 503 with Retry-After, nothing is sent to that origin
   until that time. Requests to other origins go on. (Elsewhere this is
   called a circuit breaker.) Without Retry-After the pause after a 429
   starts at backoff_s and doubles until a success. If several answers name a
   time, the latest applies.

   It reopens step by step: one request, then 2, 4, 8 at once, doubling with
   each answer that is no soft fail. At 256 it is open. Those that have been in
   flight since before it closed do not count.

   Requests that were in flight when it closed may be told 429 too. That
   costs them no retry, up to 20 times a request, if soft fails are retried at
   all.

   A Retry-After above retry_after_max_s is not waited for. The requests to
   that origin end at once as SOFT_EXHAUSTED, unsent, with retry_at_s set.

   What is left
   ------------
   Many servers say with their answers how much of a limit is left. That much
   is used and no more, so that they need not say 429. These are read:
       RateLimit, RateLimit-Policy       of the IETF's draft 11, and the forms
                                         of older ones
       [X-]RateLimit-Limit, -Remaining,  of whatever vendor, for requests or
       -Reset and their like             ("...-tokens") for cost
       X-Shopify-Shop-Api-Call-Limit
   A reset may be in seconds, since 1970, a duration ("6m0s") or a date.

   What is in flight is taken off. When nothing is left, nothing starts there
   until the reset; then one request asks how much there is. A bucket, which
   fills bit by bit, is told from a window by its answers, and used as it
   fills. What makes no sense, contradicts itself or comes from a cache (Age)
   changes nothing. A Retry-After has precedence.

   This never ends a request, it only makes it wait, as GATE: for
   retry_after_max_s since the last answer at the most; then one tries in any
   case. It never starts anything sooner than your own limits do.

   Where a server says nothing, the gate remembers how many requests got
   through before a 429, and how much cost. In the next window as much goes
   as before. The one behind that goes alone, for a second at most, and then
   more and more of them, as long as they get through. So a server that counts
   by windows says 429 once a window, whether it counts requests or cost. In
   the first window all that are in flight may hear it; likewise when its
   limits have become lower.

   A server with several limits is left alone when one is used up: nobody
   knows which of them the next request will count for.
   sparp_get_left() says what is left, origin by origin.

   no_gate: only the request that was told waits, and what is left is not
   obeyed.

   RETRIES
   =======
   Three limits, for each request by itself:
       max_retries_by_soft_fail    20
       max_retries_by_timeout      20
       max_retries_by_transport     5
   N retries are N + 1 attempts. SPARP_NONE is one attempt; 0 is the default.

   Timers start when an attempt gets its slot: time spent waiting in sparp's
   queues does not count.

   Pauses
   ------
   The k-th pause of its kind (0, 1, ...) is

       d/2 + a random part of d/2,   d = min(backoff_max_s, backoff_s * 2^k)

   and half of that after timeouts and transport errors.
   backoff_s = SPARP_NONE: no pause.
   With the defaults 20 retries of a 503 take 6 minutes or so.

   Retry-After
   -----------
   It makes a pause longer, never shorter. It may be
       seconds     "2" or "2.5"; retry-after-ms counts too
       a date      of HTTP, or ISO 8601, with a zone as in "+0100" if you
                   like; measured against the response's own Date
   If several times are named, the latest applies. A time that is not clear
   is ignored. Above retry_after_max_s the request ends now, with retry_at_s
   set. A pause that would end after a deadline is not begun: the request
   ends now.

   A budget
   --------
   retry_ratio limits retries to that fraction of first tries, plus one a
   second. (0.1: 100 requests allow 10 retries.) Retries over the limit
   wait, as BACKOFF; none is dropped. With 0.1 a server that fails everything
   gets a tenth more requests and one a second, not 21 times as many.

   What may be sent twice
   ----------------------
   Soft fails and timeouts are tried again for every method, unless
   retry_safe_only is set.
   Transport errors are tried again only where that is safe, unless
   retry_unsafe is set. It is safe if one of these is true:
       no byte was sent
       the method is GET, HEAD, OPTIONS, TRACE, PUT or DELETE
       the request has an Idempotency-Key, or is marked idempotent
   Never tried again: a host that does not exist, a certificate that was not
   accepted, a peer that does not speak HTTP/1.1 or our versions of TLS, a
   proxy that refused.

   A result of an unsafe request whose effect is unknown says maybe_applied.

   A connection that the server closed while it lay idle is no failure. The
   request is sent again once, at once, on a new connection, if that is safe:
   a replay.

   REDIRECTS
   =========
   301, 302, 303, 307 and 308 with a Location are followed, up to
   max_redirects (10). inspect() does not see them. SPARP_NONE: a redirect is
   a response like any other.
       303              becomes a GET (HEAD stays)
       301, 302         turn POST into GET
       307, 308         keep method and body, as do 301 and 302 otherwise
   What becomes a GET loses the body and the fields that describe it.

   Each hop takes a token and waits for its origin, as a request does.
   timeout_s holds for the attempt with all its hops, but not for what they
   wait. The next attempt begins with the first url.

   Another origin does not get Authorization, Cookie, your Host, or
   sensitive_headers; nor do the hops after it.

   These are refused, with the 3xx, its fields and its body as the result and
   the error REDIRECT_REFUSED:
       one more than max_redirects     credentials in Location
       https to http                   two Locations
       another scheme
   .url is the first, .final_url the last.

   A 417 to a request that said Expect is sent again without.

   on_redirect() is shown each answer that leads on: its status and fields, its
   body, and in .final_url where it leads.

   BODIES
   ======
   In memory, or streamed.

   on_body() takes a response's body, decoded, in pieces of up to 256 KB. It
   may ask to pause. Then the connection is not read until sparp_wake(), from
   any thread. Meanwhile idle_timeout_s stands still; timeout_s does not.

   read_body() gives a request's body, by offset, so that each attempt can
   begin at 0. It is asked for up to 32 KB at a time. It may say SPARP_LATER:
   not before sparp_wake().

   A request whose body is 1 MiB or more, or of unknown size, says
   "Expect: 100-continue" and waits for the 100, one second at the most. A
   header Expect of yours decides otherwise (with value NULL: none). An answer
   that comes before the body is sent is the answer.

   compressed asks for gzip and deflate and decodes them, all members of a
   gzip file too. ENCODING is what is damaged, cut off, or followed by
   something else. max_body_bytes counts what came, and what it was decoded to.

   PROXIES AND ADDRESSES
   =====================
   What decides where to connect, in this order:
       unix_socket, proxy (but for no_proxy), connect_to, resolve,
       resolve_host(), look-up

   Proxies
   -------
   For http:// a proxy is asked for whole urls, over connections that all
   origins share. For https:// it is asked to CONNECT, and sees nothing more.
   Credentials are sent to the proxy alone. It is spoken to in the clear;
   there is no SOCKS. No environment variable is read.
   PROXY_FAILED is what goes wrong before it has let us through.
   PROXY_REFUSED is its refusal, with its 3xx or 4xx in .sys_error. A 407 to
   an http:// request is a response.

   Names
   -----
   A name is looked up once a minute. A failure is kept for a second; who
   heard it tries again after that. Eight threads look names up, and more
   while their queue stands still, up to 64: so a few dead names delay no
   others. The time that a name waits for a thread counts in no timeout.

   Addresses
   ---------
   Several addresses of a name race, a quarter of a second apart, IPv6 and
   IPv4 in turn (Happy Eyeballs, RFC 8305).
   ip_version and local_address ask for their family alone. A machine without
   IPv6 does not wait for IPv6 addresses, unless /etc/hosts has the name.

   ERRORS
   ======
   A request that fails is a result. It has
       .outcome     which of the eight ends
       .error       why there is no complete response, else SPARP_E_OK
       .status      what HTTP said; it may be known beside an error, else 0
       .sys_error   errno, EAI_*, or a proxy's status behind it
       .detail      a sentence, with the address or the limit in it

   A function fails only if the run cannot be performed:
       BAD_OPTIONS       sparp_check_options() returns the sentence that
                         names the field
       OUT_OF_MEMORY     not even enough for the run itself
       SYSTEM            no descriptor for the event queue
       CALLBACK_FAILED   next_request() gave up

   EMFILE, ENFILE, EADDRNOTAVAIL and ENOBUFS are no failures. The run goes on
   with half of the connections it has, and one more after 8 successes; the
   request waits. It ends as OUT_OF_RESOURCES only when nothing at all can be
   opened for connect_timeout_s.

   STOPPING
   ========
   A run ends early by
       stop_on                    one of six events, even if retries are left
       stop_after_failures, stop_after_failure_ratio, stop_after_successes
       run_deadline_s
       sparp_stop(); or sparp_drain(), sparp_abort(), whatever stop_drains says

   The event is recorded and its callback run; then the run stops:
       in flight         is cut and ends CANCELLED; with stop_drains it
                         may end by itself
       waits to retry    ends CANCELLED
       was never sent    ends NOT_STARTED
   next_request() is not asked again. sparp_stats.stopped says why.

   sparp_cancel() ends one request. All these functions may be called from any
   callback; they take effect when it has returned.

   Ctrl-C
   ------
   on_progress is called when the run begins, every progress_every_s, and
   after each sparp_wake(), which a signal handler may call:

       // ctrl_c.c
       #define SPARP_IMPLEMENTATION
       #include "sparp.h"
       #include <signal.h>
       #include <stdio.h>

       static sparp *volatile running;
       static volatile sig_atomic_t stop;

       static void on_signal(int number) {
           stop = number;
           if (running != NULL)
               sparp_wake(running);
       }

       static void on_progress(sparp *run, const sparp_stats *stats,
                               void *user_data) {
           (void)stats;
           (void)user_data;
           running = run;
           if (stop)
               sparp_stop(run);
       }

       int main(void) {
           sparp_request requests[2] = {0};
           requests[0].url = "http://127.0.0.1:8080/delay/25000";
           requests[1].url = "http://127.0.0.1:8080/items/1";
           signal(SIGINT, on_signal);

           sparp_options options = {0};
           options.requests = requests;
           options.num_requests = 2;
           options.on_progress = on_progress;
           sparp_stats stats;
           sparp_run_each(&options, &stats);
           running = NULL;                     // the run is gone
           printf("%d of %d\n", (int)stats.success, (int)stats.pulled);
           return 0;
       }

   EVENT LOOP
   ==========
   Watch sparp_poll_fd(run) for reading, for sparp_wait_ms(run) milliseconds
   at the most, beside descriptors of your own:

       // step.c
       #define SPARP_IMPLEMENTATION
       #include "sparp.h"
       #include <poll.h>
       #include <stdio.h>

       int main(void) {
           sparp_request requests[2] = {0};
           requests[0].url = "http://127.0.0.1:8080/items/1";
           requests[1].url = "http://127.0.0.1:8080/items/2";
           sparp_options options = {0};
           options.requests = requests;
           options.num_requests = 2;
           sparp *run = sparp_open(&options, NULL);
           for (bool more = run != NULL; more;) {
               struct pollfd fds[1];           // and yours
               fds[0].fd = sparp_poll_fd(run);
               fds[0].events = POLLIN;
               poll(fds, 1, sparp_wait_ms(run));
               more = sparp_step(run, 0);
               const sparp_result *r;
               while ((r = sparp_ready(run)) != NULL)
                   printf("%d %s\n", r->status, r->body);
           }
           sparp_close(run);
           return 0;
       }

   The descriptor alone is not enough: timeouts, pauses and the pace need the
   milliseconds too. To wake early, or for nothing, is cheap. No turn takes
   long, but for a callback of yours.

   With the poll backend there is no such descriptor (-1). There, and wherever
   your loop is poll(2) itself, ask for all of them before each wait:

       struct pollfd fds[401];                 // 4 * max_at_once + 1
       size_t n = sparp_poll_fds(run, fds, 401);
       poll(fds, n, sparp_wait_ms(run));

   They change with each step. If you never ask for them, sparp_wait_ms() is
   10 at the most. (5,000 requests, 100 at once: 0.10 s with them, 0.70 s
   without.) examples/foreign_epoll_loop.c, foreign_libuv.c and foreign_libev.c
   are whole programs.

   TLS
   ===
   TLS 1.3 (RFC 8446), and 1.2 where the server has nothing newer.
   tls.min_version = SPARP_TLS_1_3 refuses 1.2.

       groups        X25519, P-256, P-384
       ciphers       AES-GCM (first where the processor has it),
                     ChaCha20-Poly1305
       signatures    ECDSA, RSA-PSS; with 1.2 RSA-PKCS1 too
       ALPN          http/1.1
       of 1.2        ECDHE; extended master secret where the server has it;
                     no CBC, no renegotiation

   A downgrade from 1.3 on the way is noticed. There is no early data.
   Handshake and records are our own. The cryptography is BearSSL's, but for
   RSA-PSS and X25519.

   Certificates are always checked
   -------------------------------
       chain      to a trusted one; found by names, so order and surplus do
                  not matter; at most 10 to a path, 128 KiB in all
       dates      by the clock of the machine
       keys       RSA of 2048 to 4096 bits, P-256, P-384; P-521 too, but not
                  as the server's own key with 1.2
       hashes     SHA-256 or better
       purpose    key usage, extendedKeyUsage
       name       against dNSName, an address against iPAddress; never the
                  common name. A wildcard is the whole first label and
                  stands for one
       name constraints    of DNS names and addresses; others refuse what
                           they constrain
   Revocation is not checked. tls.insecure_no_verify turns all of it off, but
   for a pin.

   Whom to trust
   -------------
   tls.ca_file or tls.ca_pem; else SSL_CERT_FILE; else SSL_CERT_DIR; else the
   bundle of the system, at eleven usual places, or Android's two folders. It
   is read once a run, at the first https request (Debian's 144 certificates:
   2 ms, 80 KB). If there is none: TLS_TRUST.
   The sentence of a refusal says what is wrong: expired (when, and what the
   clock says), the names that it is for, the unknown issuer.

   Who we are
   ----------
   tls.client_cert_file and client_key_file. That the key can sign, and
   belongs to the certificate, is checked when they are read. With 1.3 a
   server says what it thinks of them after the request has gone out.

   Sessions
   --------
   They are resumed within a run, by origin: with the newest ticket, or with
   1.2 by an id. The first handshake with an origin leads. Those that come
   meanwhile wait for it and its ticket, a second at the most, and then cost
   a fourth (1.2: a tenth).
   A chain found good stays good for ten minutes, so that many handshakes with
   one host cost little. What is computed in a turn is bounded, some 20 ms. A
   chain made to cost much is looked at a bit at a time, each signature once,
   and the loop stays responsive.

   The end
   -------
   We send close_notify when we close a connection. A server that closes
   without it is fine where HTTP's own framing is complete; a body that only
   the end delimits is TRUNCATED then.

   DEFAULTS
   ========
   0 is the default. NONE, AUTO: SPARP_NONE, SPARP_AUTO may be given too.
   Seconds unless the name says otherwise. Anything else fails sparp_open(),
   with a sentence that names the field; nothing is changed silently.

       sparp_options                   default         or     from .. to
       ----------------------------------------------------------------------
       input_buffer_size               100             NONE   1 .. 1,000,000
       max_at_once                     100             AUTO   1 .. 100,000
       max_per_second                  no limit        NONE   10^-6 .. 10^9
       burst                           1                      1 .. 10^9
       max_cost_per_second             no limit        NONE   10^-6 .. 10^12
       cost_burst                      one request's   NONE   0 .. 10^12
       max_at_once_per_origin          no limit        NONE   1 .. INT_MAX
       max_per_second_per_origin       no limit        NONE   10^-6 .. 10^9
       max_cost_per_second_per_origin  no limit        NONE   10^-6 .. 10^12
       workers                         1               AUTO   1 .. 256
       timeout_s                       30              NONE   0 .. 10^9
       connect_timeout_s               10              NONE   0 .. 10^9
       idle_timeout_s                  timeout_s       NONE   0 .. 10^9
       dns_timeout_s                   none            NONE   0 .. 10^9
       tls_timeout_s                   none            NONE   0 .. 10^9
       send_timeout_s                  none            NONE   0 .. 10^9
       first_byte_timeout_s            none            NONE   0 .. 10^9
       min_bytes_per_second            none            NONE   0 .. 10^12
       min_speed_s                     30                     0 .. 10^9
       run_deadline_s                  none            NONE   0 .. 10^9
       max_retries_by_soft_fail        20              NONE   1 .. INT_MAX
       max_retries_by_timeout          20              NONE   1 .. INT_MAX
       max_retries_by_transport        5               NONE   1 .. INT_MAX
       backoff_s                       0.5             NONE   0 .. 10^9
       backoff_max_s                   30              NONE   0 .. 10^9
       retry_after_max_s               120             NONE   0 .. 10^9
       retry_ratio                     no budget       NONE   0 .. 10^6
       stop_after_failures             none            NONE   1 .. INT_MAX
       stop_after_failure_ratio        none            NONE   0 .. 1
       stop_after_successes            none            NONE   1 .. INT_MAX
       max_redirects                   10              NONE   1 .. INT_MAX
       max_head_bytes                  64 KiB                 1 .. 1 GiB
       max_body_bytes                  64 MiB          NONE   1 .. 2^61
       progress_every_s                0.5             NONE   0 .. 10^9

       method                       GET; POST with a body
       headers of every request     Host, User-Agent: sparp/VERSION, and
                                    Accept (anything); yours replace them
       proxy                        none
       trusted certificates         those of the system
       inspect                      sparp_default_inspect()

   LIMITS
   ======
       fields of a response         256
       head                         max_head_bytes: status line, fields and
                                    all interim responses together; again
                                    for chunk extensions and trailers
       addresses of a name          64
       names kept                   1,024
       connections racing           4 for one host
       idle connection kept         15 s; as long as Keep-Alive says, less
                                    1 s, up to 60 s
       unused origins remembered    256, for their TLS sessions
       body paused by on_body()     256 KB
       stop_after_failure_ratio     counts after 20 results
       passes of a request          20, see GATE
       cost of a request            10^12
       limits that an origin tells  6 are looked at
       certificates                 10 to a path, 128 KiB to a chain
       pins                         16
       requests that pause, or      10,000; then nothing new is pulled
       wait for their origin
       results not yet taken, or    4 * max_at_once; then nothing new is
       not yet in order             pulled

   THREATS
   =======
   The server is taken to be hostile. Every length it sends is checked against
   a limit before it is used. Memory is not reserved on its word.

   What RFC 9112 calls an error is one, at once:
       a Content-Length that is no number, or differs from another
       an unknown transfer coding, a bad chunk
       NUL or a bare CR, a field without a colon
   A field with a blank in its name, or behind it, is dropped and logged. If
   it could say where the body ends, it is an error too.
   A response that ends early is TRUNCATED or CLOSED, never a success.
   Transfer-Encoding beside Content-Length: the former applies, and the
   connection is not used again. Bytes behind a response close its connection.
   A server that drips is bounded by timeout_s.

   From you nothing passes unchecked either. Refused are
       CR, LF, NUL and controls in url, method, field names and values
       raw blanks in a url
       a Transfer-Encoding, and a Content-Length that is not the body's
   Bytes above 127 and "<>\^`{|} in a path are percent-encoded; a % is left
   as it is. "user:password@" in a url becomes an Authorization header and is
   shown as ***.

   MEMORY
   ======
   On a 64-bit machine:
       a run                       280 KB; 256 KB of it is the receive buffer
                                   (SPARP_BUFFER_SIZE). Up to seven more of
                                   these where bodies of 16 KB and more come
                                   to on_result() in parts, if it is larger
                                   than 16 KB
       a request, until it ends    0.5 KB and its bytes, in flight or not
       a connection                0.4 KB; as much again while it connects
         with TLS                  2 KB more; 16 KB while a record has come
                                   in part (64 of these are kept); during the
                                   handshake 4 KB, the server's chain, and
                                   4 KB while that is looked at
       an origin                   0.5 KB while it is in use, or owes something;
                                   1.2 KB more, if it says what is left, until
                                   its reset
       a response                  0.7 KB, the fields and the body: of each
                                   that has come in part, and of one for all
                                   that come whole
       a result not yet taken      0.3 KB, and its fields and body
       a result of run_all         0.3 KB, and its bytes; what is the same in
                                   the result before is kept once (a fifth of
                                   a small answer)
       read_body()                 32 KB for each request in flight (or
                                   SPARP_BUFFER_SIZE, if that is less)
       a body being decoded        73 KB
       a body paused               up to 256 KB
       the stack                   14 KB, 12 of them for SPARP_EVENTS; more
                                   with kqueue
   With all left out that can be, one connection needs 18 KB of heap and 2.5 KB
   of stack, each further one 1.7 KB.
   Buffers are used again. Everything comes from sparp_options.allocator, but
   for name look-ups. They come from malloc, because a helper thread may
   outlive the run.

   COST
   ====
   A request on an open connection takes a send, a recv, and its share of one
   wait for many: 2.02 system calls, and once warm no allocation. They are most
   of its cost. Of 5.8 us of CPU time 0.8 is spent outside the kernel.
   (120 bytes, 100 in flight, loopback, the machine of the README.)

       outside the kernel          5,400 instructions: a third to build the
                                   request, a third to parse the response, a
                                   third to schedule and keep the books
       1,000 in flight             6 to 7 us
       10,000 in flight            7.7 us: no cache holds them all, in the
                                   kernel least of all
       100,000 origins             0.2 us more
       10,000 that wait            0.1 us more
       100 KB of body              15 us; copied once, but for on_result() in
                                   the clear and without workers, which is
                                   shown them where they were received
       sparp_run_all()             0.2 us more for a small result
       TLS                         2 us more; 40 us for 100 KB
         a full handshake          0.8 ms (ECDSA P-256), 0.3 ms (RSA-2048)
         ... with a new chain      as much again, or twice
         a resumed one             0.1 ms (1.3), 0.05 ms (1.2)

   "make bench" measures all of this.

   THREADS AND SIGNALS
   ===================
   A run belongs to one thread at a time. Callbacks are called on it, inside a
   sparp function. Runs share nothing: have as many as you like, in as many
   threads. Only sparp_wake() may be called from any thread and from a signal
   handler; sparp_charge() from inspect(), whatever thread that is on.

   Helper threads look host names up. They take no signals and touch nothing
   of yours; literal addresses need none. sparp_close() does not wait for a
   look-up. The library installs no signal handler and raises no SIGPIPE.

   Workers
   -------
   They are worth it where TLS or parse() is most of the work. That many
   threads do the I/O. One scheduler, on your thread, keeps every limit exact.
   On the workers' threads are called
       inspect(), on_body(), read_body(), resolve_host()
       parse(), but for the last answer of a request that ends SOFT_EXHAUSTED
   All other callbacks stay on yours. What these and the allocator touch must
   be safe to use from several threads.
   Each worker has its own connections, sessions, look-ups and 260 KB, and
   logs nothing. What is on its way to a worker when a gate closes may still
   be sent. sparp_close() waits for a callback that a worker is in.

   INSIDE, for who carries it on
   =============================
   The way of a request. One turn, sparp__run_turn(), is
       sparp__engine_look      what has happened on the sockets?
       sparp__sched_admit      start what may: pull, accept, admit_next, start
       sparp__engine_step      do what has happened, one thing at a time
       sparp__sched_catch_up   take what has ended: conclude, settle or retry
   sparp__crew_start() hands a task to an engine; it comes back in the list `ended`,
   with sparp__task.fly.end. sparp__engine_follow() takes it there through dial
   (look-up, race, proxy, TLS) and conn (send, head, pieces of the body).

   Whose is what. A task is the scheduler's, or an engine's from start to `ended`: .fly
   is written by the engine, .wait by the scheduler. limits are the scheduler's, pools
   and connections the engine's. With workers crew puts a lock around the lists. DNS
   threads touch sparp__dns_shared only.

   Where a change goes. What starts, how often, how late: sched, limits, gate, quota,
   bucket, rate; whose turn it is: fair. What an answer means: judge. How it is got: engine;
   on an open stream: conn; until then: dial. How long it may take: patience. What goes out:
   request, url. What comes in: http, inflate. Whom to trust: trust, x509. An option: its
   struct in api, its line in public, the table above, the README.

   Rules. A section calls only what stands above it, and its banner says whom. It returns a
   status or fills a list; the only function pointers are the user's. Bytes and times come in as
   arguments. What a macro leaves out is behind an `if` on a constant of platform, at one place
   each, and compiled all the same. "make lint" checks it. "make test ONLY=test_pace
   CASE=test_name" runs one test. tests/unit looks inside this file, over the network in
   tests/fakenet.h; test_sched has an engine of its own, test_flight no scheduler.

   NOT DONE
   ========
   HTTP/2, early data, Ed25519, revocation, SOCKS and https proxies, cookies,
   brotli and zstd, WebSocket. */

/* Under -std=c99 the C library hides what POSIX adds. This can only add names, never hide any,
   because it is left alone where the includer has chosen for himself. */
#if defined(SPARP_IMPLEMENTATION) && defined(__linux__) && defined(__STRICT_ANSI__) \
    && !defined(_POSIX_C_SOURCE) && !defined(_GNU_SOURCE) && !defined(_DEFAULT_SOURCE) \
    && !defined(_XOPEN_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

/* ============================================================================================ */
/* >>api                                                                                        */
/* ============================================================================================ */
#ifndef SPARP_H
#define SPARP_H

#define SPARP_VERSION_MAJOR 0
#define SPARP_VERSION_MINOR 1
#define SPARP_VERSION_PATCH 0
#define SPARP_VERSION 100          /* MAJOR * 10000 + MINOR * 100 + PATCH, for #if */
#define SPARP_VERSION_STRING "0.1.0"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef SPARP_API
#ifdef SPARP_STATIC
#if defined(__GNUC__)
#define SPARP_API static __attribute__((unused))
#else
#define SPARP_API static
#endif
#else
#define SPARP_API extern
#endif
#endif

#if defined(SPARP_STATIC) && !defined(SPARP_IMPLEMENTATION)
#error "sparp.h: SPARP_STATIC makes every function static, so SPARP_IMPLEMENTATION belongs to it."
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* In every number of an option struct: 0 means "the default", SPARP_NONE means "none at all". */
enum {
    SPARP_NONE = -1,
    SPARP_AUTO = -2,                    /* only where a field's comment allows it */
    SPARP_LATER = -3                    /* likewise: nothing now, ask again after sparp_wake() */
};
#define SPARP_NONE ((int)SPARP_NONE)    /* C++20 compares no enum with a double */
#define SPARP_AUTO ((int)SPARP_AUTO)
#define SPARP_LATER ((int)SPARP_LATER)

/* X(name, text): error codes and their texts live in one list. */
#define SPARP_ERRORS(X) \
    X(OK,               "no error") \
    X(OUT_OF_MEMORY,    "out of memory") \
    X(OUT_OF_RESOURCES, "no descriptor, port or buffer to be had") \
    X(BAD_OPTIONS,      "an option is out of range or contradicts another") \
    X(BAD_REQUEST,      "request is malformed (url, method, header or body)") \
    X(DNS_NOT_FOUND,    "host name does not exist") \
    X(DNS_FAILED,       "host name could not be looked up") \
    X(REFUSED,          "connection refused") \
    X(UNREACHABLE,      "host or network unreachable") \
    X(RESET,            "connection reset by peer") \
    X(CLOSED,           "peer closed the connection before a complete response") \
    X(TRUNCATED,        "response body ended early") \
    X(PROTOCOL,         "response is not valid HTTP/1.1") \
    X(ENCODING,         "response body cannot be decoded") \
    X(PROXY_FAILED,     "proxy could not be reached, or failed") \
    X(PROXY_REFUSED,    "proxy refused to connect to the server") \
    X(TIMEOUT,          "attempt ran out of time") \
    X(HEAD_TOO_LARGE,   "response head exceeds max_head_bytes") \
    X(BODY_TOO_LARGE,   "response body exceeds max_body_bytes") \
    X(REDIRECT_REFUSED, "redirect was not followed") \
    X(SINK_FAILED,      "on_body could not take the data") \
    X(CALLBACK_FAILED,  "a user callback failed") \
    X(TLS_HANDSHAKE,    "TLS handshake failed") \
    X(TLS_CERTIFICATE,  "server certificate was not accepted") \
    X(TLS_VERSION,      "server speaks no version of TLS that is spoken here") \
    X(TLS_TRUST,        "no usable set of trusted certificates") \
    X(TLS_ABSENT,       "https needs a build without SPARP_NO_TLS") \
    X(CANCELLED,        "run was stopped before this request ended") \
    X(NOT_STARTED,      "run was stopped before this request was sent") \
    X(SYSTEM,           "operating system call failed")

typedef enum sparp_error {
#define SPARP__X(name, text) SPARP_E_##name,
    SPARP_ERRORS(SPARP__X)
#undef SPARP__X
    SPARP_E_COUNT
} sparp_error;

/* How one request ended: each gets exactly one. X(name, text) */
#define SPARP_OUTCOMES(X) \
    X(SUCCESS,           "success") \
    X(HARD_FAIL,         "hard_fail") \
    X(SOFT_EXHAUSTED,    "soft_exhausted") \
    X(TIMEOUT_EXHAUSTED, "timeout_exhausted") \
    X(TRANSPORT_FAILED,  "transport_failed") \
    X(LOCAL_FAILED,      "local_failed") \
    X(CANCELLED,         "cancelled") \
    X(NOT_STARTED,       "not_started")

typedef enum sparp_outcome {
#define SPARP__X(name, text) SPARP_OUTCOME_##name,
    SPARP_OUTCOMES(SPARP__X)
#undef SPARP__X
    SPARP_OUTCOME_COUNT
} sparp_outcome;

/* Where an attempt was: where a timeout struck, and what the timings are split into. */
#define SPARP_PHASES(X) \
    X(DNS,        "dns") \
    X(CONNECT,    "connect") \
    X(TLS,        "tls") \
    X(SEND,       "send") \
    X(FIRST_BYTE, "first_byte") \
    X(BODY,       "body")

typedef enum sparp_phase {
#define SPARP__X(name, text) SPARP_PHASE_##name,
    SPARP_PHASES(SPARP__X)
#undef SPARP__X
    SPARP_PHASE_COUNT
} sparp_phase;

/* Why a request was not in flight, or not yet. */
#define SPARP_WAITS(X) \
    X(SLOT,    "slot")           /* max_at_once were in flight */ \
    X(RATE,    "rate")           /* max_per_second, max_cost_per_second, or permit() */ \
    X(ORIGIN,  "origin")         /* what its origin is allowed: ..._per_origin, host_limits */ \
    X(GATE,    "gate")           /* its origin had said 429, or 503 with Retry-After */ \
    X(BACKOFF, "backoff")        /* its own pause before a retry, the retry budget included */

typedef enum sparp_wait {
#define SPARP__X(name, text) SPARP_WAIT_##name,
    SPARP_WAITS(SPARP__X)
#undef SPARP__X
    SPARP_WAIT_COUNT
} sparp_wait;

typedef enum sparp_verdict {     /* what inspect() says about one response */
    SPARP_SUCCESS,
    SPARP_SOFT_FAIL,             /* try again, at most max_retries_by_soft_fail times */
    SPARP_HARD_FAIL,             /* never again; also what any value not in this list means */
    SPARP_NEED_BODY              /* ask me again when the body is complete */
} sparp_verdict;

typedef enum sparp_input {       /* what next_request() says */
    SPARP_INPUT_END,             /* no more requests: it is not asked again */
    SPARP_INPUT_READY,           /* *out is filled in */
    SPARP_INPUT_LATER,           /* nothing now: it is asked again after sparp_wake() */
    SPARP_INPUT_FAILED           /* give up: the run stops, what is done is kept */
} sparp_input;

typedef enum sparp_flow {        /* what on_body() says, having taken the data */
    SPARP_FLOW_ON,               /* go on */
    SPARP_FLOW_PAUSE,            /* read no more of this body until sparp_wake() */
    SPARP_FLOW_ENOUGH,           /* the rest is not wanted: the response is what it is so far */
    SPARP_FLOW_FAILED            /* the request fails: SPARP_E_SINK_FAILED, not tried again */
} sparp_flow;

enum {                           /* sparp_options.stop_on, combined with | */
    SPARP_STOP_ON_SOFT_FAIL         = 1 << 0,
    SPARP_STOP_ON_HARD_FAIL         = 1 << 1,
    SPARP_STOP_ON_TIMEOUT           = 1 << 2,
    SPARP_STOP_ON_TRANSPORT         = 1 << 3,
    SPARP_STOP_ON_SOFT_EXHAUSTED    = 1 << 4,
    SPARP_STOP_ON_TIMEOUT_EXHAUSTED = 1 << 5
};

typedef enum sparp_stopped {     /* why a run ended before its input did */
    SPARP_STOPPED_NOT,           /* it did not */
    SPARP_STOPPED_BY_CALL,       /* sparp_stop() */
    SPARP_STOPPED_BY_RULE,       /* stop_on, stop_after_failures, ..._failure_ratio */
    SPARP_STOPPED_BY_SUCCESSES,  /* stop_after_successes, and sparp_run_any() */
    SPARP_STOPPED_BY_DEADLINE,   /* run_deadline_s */
    SPARP_STOPPED_BY_INPUT,      /* next_request() said FAILED */
    SPARP_STOPPED_BY_ERROR       /* the run itself failed: sparp_error_detail() says how */
} sparp_stopped;

typedef struct sparp sparp;      /* one run */
struct pollfd;                   /* of <poll.h> */

typedef struct sparp_field {     /* a header line, or a query parameter (encoded by sparp) */
    const char *name;
    const char *value;           /* NULL in a request's headers: do not send the run's default */
} sparp_field;

/* In. sparp copies what it points at before next_request() is called again, or while the
   request is pulled from the array: nothing has to outlive that but the array itself. */
typedef struct sparp_request {
    const char        *url;              /* "http://host[:port]/path?query" (required) */
    const char        *method;           /* default: "GET"; "POST" with a body or json. "get",
                                            "post", "head", "put", "delete", "options" are raised */
    const sparp_field *query;            /* appended to the url, percent-encoded */
    size_t             num_query;
    const sparp_field *headers;
    size_t             num_headers;
    const void        *body;
    uint64_t           body_size;        /* bytes */
    const char        *json;             /* instead of body: text, sent as application/json */
    /* Instead of body: asked for its bytes from `offset` on, in order; each attempt and each hop
       begins at 0 again. Returns how many it wrote to `out`, 1 .. room; 0: that was all;
       SPARP_LATER; SPARP_NONE: it failed, and the request with it. body_size is how many there
       are in all, or 0: unknown, they are sent chunked. `user_data` is the request's own. */
    int64_t          (*read_body)(uint64_t offset, void *out, size_t room, void *user_data);
    double             timeout_s;        /* default: sparp_options.timeout_s */
    double             deadline_s;       /* from its first start to its end (default: none) */
    double             cost;             /* its weight for max_cost_per_second: tokens, credits,
                                            bytes (default: 1; SPARP_NONE: 0, it is free) */
    bool               idempotent;       /* safe to send twice although the method is not */
    void              *user_data;        /* handed back in the result, never looked at */
} sparp_request;

/* Out. What it points at lives as long as the struct: until the callback returns, until the next
   sparp_next/sparp_ready/sparp_step/sparp_close, or until sparp_results_free. */
typedef struct sparp_result {
    uint64_t           index;            /* position in the input: 0, 1, 2, ... */
    void              *user_data;        /* the request's own */
    const char        *method, *url;     /* as sent; the password of a url is replaced by *** */
    const char        *final_url;        /* after redirects; with the fragment, if there is one */
    int                redirects;        /* followed, in the last attempt */
    sparp_outcome      outcome;          /* how the request ended (final results only) */
    sparp_error        error;            /* why there is no complete response, else SPARP_E_OK */
    int                sys_error;        /* errno, EAI_* or a proxy's status behind it, else 0 */
    const char        *detail;           /* a sentence about .error; "" without one; never NULL */
    sparp_phase        phase;            /* where SPARP_E_TIMEOUT struck */
    int                status;           /* what HTTP said: 200, 404, ...; 0 without a response */
    const sparp_field *headers;          /* in wire order, duplicates kept, names in lower case */
    size_t             num_headers;
    const char        *body;             /* never NULL; body[body_size] == 0 */
    size_t             body_size;        /* bytes */
    uint64_t           body_bytes;       /* decoded so far, kept or not */
    bool               body_complete;    /* false while inspect() looks at the head alone */
    bool               truncated;        /* cut by truncate_body, or on_body had enough */
    bool               maybe_applied;    /* unsafe request whose effect is unknown */
    bool               reused;           /* last attempt went over a connection used before */
    void              *parsed;           /* what parse() returned */
    int                attempts;         /* tries, the first included */
    int                soft_retries, timeout_retries, transport_retries;  /* tries made again */
    int                replays;          /* sent again at once after a stale connection */
    double             retry_at_s;       /* seconds from now the server asked for, beyond the cap */
    double             cost;             /* booked for it so far: each time it was sent, and what
                                            sparp_charge() added */
    uint64_t           bytes_out, bytes_in;           /* on the wire, all attempts */
    int64_t            phase_us[SPARP_PHASE_COUNT];   /* last attempt, microseconds */
    int64_t            elapsed_us;       /* last attempt: slot taken .. last byte */
    int64_t            waited_us;        /* all of wait_us */
    int64_t            wait_us[SPARP_WAIT_COUNT];     /* by reason, all attempts */
    int64_t            wait_cost_us;     /* what of wait_us[RATE] was max_cost_per_second's */
    int64_t            total_us;         /* pulled from the input .. this result */
} sparp_result;

/* The first line and the second always add up: pulled = in_flight + waiting + the outcomes. */
typedef struct sparp_stats {
    uint64_t pulled, in_flight, waiting;
    uint64_t success, hard_fail, soft_exhausted, timeout_exhausted, transport_failed, local_failed,
             cancelled, not_started;
    uint64_t soft_retries, timeout_retries, transport_retries, replays;   /* sent again */
    uint64_t soft_fails, timeouts, transport_errors;                /* events, last included */
    uint64_t redirects;                                             /* followed */
    uint64_t connects, reuses, tls_full, tls_resumed, bytes_out, bytes_in;
    double   cost;               /* booked in all, by attempts that have ended */
    int64_t  waited_us[SPARP_WAIT_COUNT];             /* all requests together, by reason */
    int64_t  waited_cost_us;     /* what of waited_us[RATE] was max_cost_per_second's */
    int64_t  elapsed_us;
    uint64_t input_size;         /* requests in all: exact with input_ended, else a guess or 0 */
    bool     input_ended;
    sparp_stopped stopped;
} sparp_stats;

typedef struct sparp_allocator {
    /* new_size == 0: free, return NULL. ptr == NULL: allocate. Else: resize. Failure: NULL. */
    void *(*func)(void *ptr, size_t old_size, size_t new_size, void *user_data);
    void  *user_data;
} sparp_allocator;

typedef enum sparp_log_level {
    SPARP_LOG_ERROR, SPARP_LOG_WARN, SPARP_LOG_INFO, SPARP_LOG_TRACE
} sparp_log_level;

typedef struct sparp_logger {
    void          (*func)(sparp_log_level level, const char *message, void *user_data);
    void           *user_data;
    sparp_log_level max_level;           /* default: SPARP_LOG_ERROR */
} sparp_logger;

enum { SPARP_TLS_1_2 = 0x0303, SPARP_TLS_1_3 = 0x0304 };

/* Whom to trust, and who we are. Files are read when the first https request starts. */
typedef struct sparp_tls_options {
    const char *ca_file;                 /* PEM (default: SSL_CERT_FILE, SSL_CERT_DIR, then the
                                            usual places of the system) */
    const void *ca_pem;                  /* instead: PEM text in memory */
    size_t      ca_pem_size;             /* bytes */
    const char *pin_sha256;              /* base64 SHA-256 of the server's public key (SPKI), or
                                            several, ';' between: one must match (default: none) */
    const char *client_cert_file;        /* PEM chain, with client_key_file (default: none) */
    const char *client_key_file;         /* PEM, not encrypted: RSA, P-256, P-384 or P-521 */
    bool        insecure_no_verify;      /* accept any certificate; a pin still counts */
    int         min_version;             /* SPARP_TLS_1_2 (default) or SPARP_TLS_1_3 */
} sparp_tls_options;

/* What one host is allowed, instead of the ..._per_origin of all. In each number 0 stands for that,
   SPARP_NONE for no limit. The first entry that matches counts, for each origin by itself. */
typedef struct sparp_host_limit {
    const char *host;                    /* "api.example.com"; "*.example.com": what is below it;
                                            "*"; with ":8080" behind it: at that port alone */
    int         max_at_once;
    double      max_per_second;
    double      max_cost_per_second;
} sparp_host_limit;

/* What an origin says is left of one of its limits, as RateLimit and its like do. */
typedef struct sparp_left {
    const char *origin;                  /* "api.example.com", "127.0.0.1:8080" */
    bool        is_cost;                 /* counted in sparp_request.cost (tokens), not requests */
    double      limit;                   /* 0: it does not say */
    double      left;                    /* of that, as its last answer knew it */
    double      reset_s;                 /* seconds from now until all is back; 0: it is, or it
                                            does not say */
} sparp_left;

/* Zeroed, every field has its default. sparp_open copies the struct; the array of requests, the
   run's headers and host_limits must stay until the run is closed. */
typedef struct sparp_options {
    /* input: an array, or a function that is asked for one request at a time */
    const sparp_request *requests;
    size_t               num_requests;
    sparp_input        (*next_request)(sparp_request *out, void *user_data);
    int                  input_buffer_size;     /* requests read ahead (default: 100; NONE: 1) */
    uint64_t             estimated_input_size;  /* for the progress bar (default: unknown) */

    /* pace */
    int      max_at_once;                /* attempts in flight, 1 .. 100000 (default: 100);
                                            SPARP_AUTO: found out, up to 1000 */
    double   max_per_second;             /* tries, retries, redirects (default: no limit) */
    int      burst;                      /* starts that may come at once (default: 1) */
    /* The same for sparp_request.cost. What is started in any W seconds costs (W + 10 ms) * rate
       + cost_burst at most, or + the heaviest of them if that is more: a request that is heavier
       than cost_burst starts when nothing is owed. */
    double   max_cost_per_second;        /* (default: no limit) */
    double   cost_burst;                 /* cost that may come at once (default: one request's) */
    int      max_at_once_per_origin;     /* (default: no limit) */
    double   max_per_second_per_origin;  /* (default: no limit) */
    double   max_cost_per_second_per_origin;         /* with the same burst (default: no limit) */
    const sparp_host_limit *host_limits; /* for some hosts other limits than these three */
    size_t   num_host_limits;
    /* Threads for I/O and TLS; inspect(), on_body(), read_body() and resolve_host() run there
       too, and parse(), but for the last response of a request that ends as SOFT_EXHAUSTED. The
       allocator must then be thread-safe.
       (default: 1, none but yours; SPARP_AUTO: as many as there are processors) */
    int      workers;
    /* Asked last, when a request could start in every other respect. 0: it may; else seconds
       after which to ask again. SPARP_NONE: not before sparp_wake(). */
    double (*permit)(const char *url, double cost, void *user_data);

    /* patience: seconds */
    double   timeout_s;                  /* one attempt, redirects included (default: 30; NONE:
                                            no limit) */
    double   connect_timeout_s;          /* DNS, TCP, TLS (default: 10; NONE: no limit) */
    double   idle_timeout_s;             /* no byte either way (default: timeout_s) */
    double   dns_timeout_s;              /* look-up alone; the above still apply (default: none) */
    double   tls_timeout_s;              /* TLS handshake (default: none) */
    double   send_timeout_s;             /* request, from first to last byte (default: none) */
    double   first_byte_timeout_s;       /* request's last byte .. answer's first, which those of
                                            1xx are not (default: none) */
    double   min_bytes_per_second;       /* a body slower than that times out (default: none) */
    double   min_speed_s;                /* ... after so many seconds; either way (default: 30) */
    double   run_deadline_s;             /* the whole run (default: none) */

    /* judgement and retries */
    sparp_verdict (*inspect)(const sparp_result *response, void *user_data);
    void         *(*parse)(const sparp_result *response, void *user_data);
    int      max_retries_by_soft_fail;   /* (default: 20) */
    int      max_retries_by_timeout;     /* (default: 20) */
    int      max_retries_by_transport;   /* (default: 5) */
    double   backoff_s;                  /* first pause before a retry, doubling (default: 0.5;
                                            NONE: no pause) */
    double   backoff_max_s;              /* longest such pause (default: 30) */
    double   retry_after_max_s;          /* longest Retry-After obeyed (default: 120); and how long
                                            an origin that has nothing left is left alone */
    double   retry_ratio;                /* retries per first try; one a second is always free;
                                            what is beyond waits (default: no budget) */
    bool     no_gate;                    /* do not hold back an origin that says 429, or that
                                            nothing is left */
    bool     retry_safe_only;            /* soft fails and timeouts: only what is safe twice */
    bool     retry_unsafe;               /* transport errors: also what is not safe twice */
    unsigned stop_on;                    /* SPARP_STOP_ON_* */
    int      stop_after_failures;        /* requests that ended without success (default: none) */
    double   stop_after_failure_ratio;   /* of all that ended, once 20 have (default: none) */
    int      stop_after_successes;       /* (default: none) */
    bool     stop_drains;                /* a stop lets what is in flight end by itself */
    bool     ordered;                    /* sparp_next(), sparp_ready(): in input order */
    uint64_t random_seed;                /* of the jitter (default: another one each run) */

    /* HTTP */
    const sparp_field *headers;          /* added to every request that does not set them */
    size_t      num_headers;
    int         max_redirects;           /* 301 302 303 307 308 (default: 10; NONE: a redirect is
                                            a response like any other) */
    const char *sensitive_headers;       /* "X-Api-Key,X-Token": not sent on to another origin, as
                                            Authorization and Cookie are not (default: none) */
    bool        compressed;              /* ask for gzip and deflate, and decode them; needs
                                            SPARP_ZLIB */
    int64_t     max_head_bytes;          /* (default: 64 KiB) */
    int64_t     max_body_bytes;          /* as sent and as decoded (default: 64 MiB) */
    bool        truncate_body;           /* a longer body is cut there and is no failure */
    bool        discard_body;            /* read and counted in body_bytes, not kept */
    /* Takes the body as it comes; none is kept then. `head` is the response without its body;
       `offset` counts what came before, and is 0 again in another attempt. Not called for an
       empty body, nor for a response that is known to be tried again. */
    sparp_flow (*on_body)(const sparp_result *head, uint64_t offset, const void *data,
                          size_t size, void *user_data);
    sparp_tls_options tls;               /* strings must stay until the run is closed */

    /* where to connect; strings must stay until the run is closed */
    const char *proxy;                   /* "http://[user:password@]host[:port]" (default: none) */
    const char *https_proxy;             /* for https:// urls (default: proxy; "": none) */
    const char *no_proxy;                /* hosts reached without: "a.org,.b.org,10.0.0.7" or "*" */
    bool        lenient_proxies;         /* a proxy that makes no sense fails the requests that
                                            would need it and no others, as suits those of the
                                            environment (default: the run is not opened) */
    const char *unix_socket;             /* this path, whatever the host (default: none) */
    const char *resolve;                 /* "host:port:address[,host:port:address...]"; an IPv6
                                            address in brackets; host may be * (default: none) */
    const char *connect_to;              /* "host:port:host2:port2[,...]": there instead; what is
                                            empty matches anything, or stays (default: none) */
    /* Asked before a look-up. NULL: look it up; else addresses, ',' between; "": there is none.
       What it returns must stay until it is called again. */
    const char *(*resolve_host)(const char *host, int port, void *user_data);
    const char *local_address;           /* bind to it: "10.0.0.5", "::1" (default: any) */
    int         ip_version;              /* 4 or 6: only such addresses (default: both) */

    /* observation: called on the thread that is inside sparp_*(), one at a time */
    void (*on_result)(sparp *run, const sparp_result *result, void *user_data);
    void (*on_retry)(sparp *run, const sparp_result *attempt, double wait_s, void *user_data);
    void (*on_redirect)(sparp *run, const sparp_result *hop, void *user_data);
    void (*on_progress)(sparp *run, const sparp_stats *stats, void *user_data);
    double   progress_every_s;           /* on_progress; and when sparp_wake() was called
                                            (default: 0.5; NONE: by results alone) */
    uint64_t progress_every_results;     /* but not before so many more have ended (default: 0) */

    sparp_allocator allocator;           /* default: realloc and free */
    sparp_logger    logger;              /* default: silent */
    void           *user_data;           /* for every callback above */
} sparp_options;

/* --- one call, start to end ---------------------------------------------------------------- */

typedef struct sparp_results {
    sparp_error   error;                 /* why the run could not be performed, else SPARP_E_OK */
    sparp_stats   stats;
    size_t        count;
    sparp_result *items;                 /* after sparp_run_all: items[i].index == i */
    sparp        *owner;                 /* keeps the memory behind items; may be NULL */
} sparp_results;

/* Sends everything, reports through on_result, returns when every request has its result.
   A failed request is a result, not an error: OK means that the run was performed. Else:
   BAD_OPTIONS, OUT_OF_MEMORY, SYSTEM, or CALLBACK_FAILED when next_request() gave up. */
SPARP_API sparp_error   sparp_run_each(const sparp_options *options, sparp_stats *stats_or_null);

/* The same, and all results at the end, in input order, in memory. Free them in any case. */
SPARP_API sparp_results sparp_run_all(const sparp_options *options);

/* The first SUCCESS alone (count == 1), the rest cancelled. Without any: all results by index. */
SPARP_API sparp_results sparp_run_any(const sparp_options *options);

/* Frees items and what they point at. Zeroed or already freed is fine. */
SPARP_API void          sparp_results_free(sparp_results *results);

/* --- results one by one, as they come; not in callbacks ------------------------------------ */

/* NULL on failure, with the code in *error_or_null; on BAD_OPTIONS the logger gets the sentence,
   and sparp_check_options() returns it. Sends nothing yet. */
SPARP_API sparp              *sparp_open(const sparp_options *options, sparp_error *error_or_null);
/* Runs until a result is there and returns it; NULL: every request has been delivered. */
SPARP_API const sparp_result *sparp_next(sparp *run);
/* Ends the run at once, whatever is in flight, and frees it. NULL is fine. */
SPARP_API void                sparp_close(sparp *run);

/* --- inside your own event loop; not in callbacks ------------------------------------------ */

/* Readable: call sparp_step(). -1 with the poll backend, which has no such descriptor: then
   watch those of sparp_poll_fds(), or call sparp_step() as often as sparp_wait_ms() says. */
SPARP_API int                 sparp_poll_fd(const sparp *run);
/* What to watch, for poll(2), with any backend: writes up to `room` of them to `fds`, which may
   be NULL without, and returns how many there are. They change with every step. */
SPARP_API size_t              sparp_poll_fds(sparp *run, struct pollfd *fds, size_t room);
/* ... or after this many milliseconds; -1: no limit; 0: now. With the poll backend no more than
   10, until sparp_poll_fds() is called for the first time. */
SPARP_API int                 sparp_wait_ms(const sparp *run);
/* One turn: waits up to wait_ms (-1: as long as it takes; 0: not at all), does what is due.
   false: the run is over and every result delivered. */
SPARP_API bool                sparp_step(sparp *run, int wait_ms);
/* A final result not seen yet, or NULL at once. */
SPARP_API const sparp_result *sparp_ready(sparp *run);

/* --- at any time, from callbacks too, on the thread of the run ----------------------------- */

SPARP_API void          sparp_stop(sparp *run);    /* as a stop rule does: aborts, or drains */
SPARP_API void          sparp_drain(sparp *run);   /* nothing new starts; the rest may end */
SPARP_API void          sparp_abort(sparp *run);   /* cuts what is in flight, while draining too */
SPARP_API void          sparp_cancel(sparp *run, uint64_t index);  /* one request, if under way */
/* From on_retry, about the request that it is told of: field lines for its next attempts, such as
   the Range of what is missing; they take the place of those of an earlier call. false: a line is
   bad, or there is no memory, and it goes out as before. Lines of the same names give way. */
SPARP_API bool          sparp_retry_with(sparp *run, const sparp_field *headers,
                                         size_t num_headers);
/* From the next start on. 0: as it is. max_per_second: SPARP_NONE is no limit. */
SPARP_API void          sparp_set_pace(sparp *run, int max_at_once, double max_per_second);
/* Books what a request turned out to cost beyond its .cost; negative: gives back, what was booked
   for it at most. Counts from the next start on, for the run and for the origin. The request is the
   one at hand: which inspect() (with workers, on their threads), on_retry() or on_result() is
   shown, or which sparp_next() or sparp_ready() has returned last. false: it is another, nothing
   limits the cost, or `more` is no number from -1e12 to 1e12. */
SPARP_API bool          sparp_charge(sparp *run, uint64_t index, double more);
SPARP_API void          sparp_wake(sparp *run);    /* legal from any thread or signal handler */
SPARP_API sparp_stats   sparp_get_stats(const sparp *run);
/* What origins say is left: i = 0, 1, ... false: there are no more. One is forgotten at its reset
   when no request is left for it. Strings live until the next sparp_next, _ready, _step, _close. */
SPARP_API bool          sparp_get_left(const sparp *run, size_t i, sparp_left *out);
SPARP_API const char   *sparp_error_detail(const sparp *run);      /* why the run failed; else "" */

/* --- helpers: pure, no run needed ---------------------------------------------------------- */

/* "" if sparp_open() would take them, else the sentence that names the field. */
SPARP_API const char   *sparp_check_options(const sparp_options *options);
/* The same of what .tls names, which is read as the first https request would read it. The
   sentence is written to `out`, which is returned. */
SPARP_API const char   *sparp_check_tls(const sparp_options *options, char *out, size_t size);
SPARP_API const char   *sparp_error_text(sparp_error error);       /* "connection refused" */
SPARP_API const char   *sparp_error_name(sparp_error error);       /* "REFUSED" */
SPARP_API const char   *sparp_outcome_name(sparp_outcome outcome); /* "success" */
SPARP_API const char   *sparp_phase_name(sparp_phase phase);       /* "first_byte" */
SPARP_API const char   *sparp_wait_name(sparp_wait wait);          /* "rate" */
/* For bindings and shared libraries: SPARP_VERSION, and the size of a struct ("sparp_options"; 0:
   there is none of that name), as they were when the implementation was compiled. */
SPARP_API int           sparp_version(void);
SPARP_API size_t        sparp_sizeof(const char *type);
SPARP_API const char   *sparp_backend(void);                       /* "epoll", "kqueue" or "poll" */
SPARP_API const char   *sparp_tls_library(void);                   /* "BearSSL", or "none" */
SPARP_API bool          sparp_has_zlib(void);                      /* built with SPARP_ZLIB */
/* The first value of that name (any case), or NULL. */
SPARP_API const char   *sparp_find_header(const sparp_result *result, const char *name);
/* 2xx, 304 and other 3xx SUCCESS; 408 425 429 500 502 503 504 SOFT_FAIL; the rest HARD_FAIL. */
SPARP_API sparp_verdict sparp_default_inspect(const sparp_result *response, void *user_data);
#ifndef SPARP_NO_STDIO
/* An on_progress: one line on stderr, redrawn on a terminal, every 10 s elsewhere. */
SPARP_API void          sparp_progress_bar(sparp *run, const sparp_stats *stats, void *user_data);
#endif

#ifdef __cplusplus
}
#endif
#endif /* SPARP_H */

/* End of API. Implementation follows. */

#if defined(SPARP_IMPLEMENTATION) && !defined(SPARP_IMPLEMENTED)
#define SPARP_IMPLEMENTED

/* ============================================================================================ */
/* >>platform   feature checks, includes, 0/1 switches, and every system call by a name that a   */
/*              test can define first, to make the n-th one fail or to script the clock          */
/* ============================================================================================ */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef SPARP_NO_STDIO
#include <sys/ioctl.h>
#endif
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* By result, not by name of the system: both are macros wherever POSIX names are visible. */
#if !defined(AI_NUMERICHOST) || !defined(CLOCK_MONOTONIC)
#error "sparp.h: POSIX names are hidden. Include sparp.h first, or use -std=gnu99 \
or -D_POSIX_C_SOURCE=200809L."
#else

#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__) \
    || defined(__DragonFly__)
#define SPARP__BSD 1
#else
#define SPARP__BSD 0
#endif

#if defined(SPARP_FORCE_POLL)
#define SPARP__EPOLL 0
#define SPARP__KQUEUE 0
#elif defined(SPARP_USE_KQUEUE) || SPARP__BSD
#define SPARP__EPOLL 0
#define SPARP__KQUEUE 1
#include <sys/event.h>
#elif defined(__linux__) && !defined(__TINYC__)        /* tcc does not pack an epoll_event */
#define SPARP__EPOLL 1
#define SPARP__KQUEUE 0
#include <sys/epoll.h>
#else
#define SPARP__EPOLL 0
#define SPARP__KQUEUE 0
#endif

#if SPARP__BSD || (defined(__linux__) && !defined(__ANDROID__))
#define SPARP__IFADDRS 1
#include <ifaddrs.h>
#else
#define SPARP__IFADDRS 0
#endif

#ifdef SPARP_NO_TLS
#define SPARP__TLS 0
#else
#define SPARP__TLS 1
#if defined(__has_include)
#if !__has_include(<bearssl.h>)
#error "sparp.h: bearssl.h is missing. Install BearSSL (Debian: libbearssl-dev) or define \
SPARP_NO_TLS."
#endif
#endif
#include <bearssl.h>
#include <dirent.h>
#include <sys/stat.h>
#if defined(__linux__) && defined(__has_include) && !defined(SPARP_RANDOM)
#if __has_include(<sys/random.h>)
#define SPARP__GETRANDOM 1              /* glibc before 2.25 and old Androids have none */
#include <sys/random.h>
#endif
#endif
#endif
#ifndef SPARP__GETRANDOM
#define SPARP__GETRANDOM 0
#endif

#ifdef SPARP_ZLIB
#define SPARP__ZLIB 1
#include <zlib.h>
#else
#define SPARP__ZLIB 0
#endif

#ifdef SPARP_NO_THREADS
#define SPARP__THREADS 0
#else
#define SPARP__THREADS 1
#include <pthread.h>
#endif

/* How much a small device can spare: see the list of macros at the top. */
#ifndef SPARP_BUFFER_SIZE
#define SPARP_BUFFER_SIZE (256 * 1024)
#endif
#ifndef SPARP_EVENTS
#define SPARP_EVENTS 1024
#endif
#ifndef SPARP_READ_AHEAD
#define SPARP_READ_AHEAD 100
#endif
#if SPARP_BUFFER_SIZE < 4096 || SPARP_BUFFER_SIZE > 16777216
#error "sparp.h: SPARP_BUFFER_SIZE must be 4096 to 16777216 bytes."
#endif
#if SPARP_EVENTS < 4 || SPARP_EVENTS > 4096
#error "sparp.h: SPARP_EVENTS must be 4 to 4096."
#endif
#if SPARP_READ_AHEAD < 1 || SPARP_READ_AHEAD > 1000000
#error "sparp.h: SPARP_READ_AHEAD must be 1 to 1000000."
#endif

/* What is left out is compiled all the same, behind an `if` that is never true: no byte of it is
   in the object, and no `#if` stands where it would have been. */
#if defined(SPARP_NO_WORKERS) || defined(SPARP_NO_THREADS)
#define SPARP__WORKERS 0
#else
#define SPARP__WORKERS 1
#endif
#ifdef SPARP_NO_DATES
#define SPARP__DATES 0
#else
#define SPARP__DATES 1
#endif
#ifdef SPARP_NO_SENTENCES
#define SPARP__SENTENCES 0
#else
#define SPARP__SENTENCES 1
#endif
#ifdef SPARP_NO_LOOKUPS
#define SPARP__LOOKUPS 0
#else
#define SPARP__LOOKUPS 1
#endif
#ifdef SPARP_NO_LIMITS
#define SPARP__LIMITS 0
#else
#define SPARP__LIMITS 1
#endif
#ifdef SPARP_NO_PROXIES
#define SPARP__PROXIES 0
#else
#define SPARP__PROXIES 1
#endif
#ifdef SPARP_NO_REDIRECTS
#define SPARP__REDIRECTS 0
#else
#define SPARP__REDIRECTS 1
#endif

#ifdef MSG_NOSIGNAL
#define SPARP__NOSIGNAL MSG_NOSIGNAL
#else
#define SPARP__NOSIGNAL 0               /* there SO_NOSIGPIPE does it, see >>socket */
#endif

#ifndef SPARP__SYS_SOCKET
#define SPARP__SYS_SOCKET socket
#endif
#ifndef SPARP__SYS_CONNECT
#define SPARP__SYS_CONNECT connect
#endif
#ifndef SPARP__SYS_BIND
#define SPARP__SYS_BIND bind
#endif
#ifndef SPARP__SYS_SEND
#define SPARP__SYS_SEND send
#endif
#ifndef SPARP__SYS_RECV
#define SPARP__SYS_RECV recv
#endif
#ifndef SPARP__SYS_CLOSE
#define SPARP__SYS_CLOSE close
#endif
#ifndef SPARP__SYS_GETSOCKOPT
#define SPARP__SYS_GETSOCKOPT getsockopt
#endif
#ifndef SPARP__SYS_SETSOCKOPT
#define SPARP__SYS_SETSOCKOPT setsockopt
#endif
#ifndef SPARP__SYS_FCNTL
#define SPARP__SYS_FCNTL fcntl
#endif
#ifndef SPARP__SYS_PIPE
#define SPARP__SYS_PIPE pipe
#endif
#ifndef SPARP__SYS_READ
#define SPARP__SYS_READ read
#endif
#ifndef SPARP__SYS_WRITE
#define SPARP__SYS_WRITE write
#endif
#ifndef SPARP__SYS_EPOLL_CREATE
#define SPARP__SYS_EPOLL_CREATE epoll_create1
#endif
#ifndef SPARP__SYS_EPOLL_CTL
#define SPARP__SYS_EPOLL_CTL epoll_ctl
#endif
#ifndef SPARP__SYS_EPOLL_WAIT
#define SPARP__SYS_EPOLL_WAIT epoll_wait
#endif
#ifndef SPARP__SYS_KQUEUE
#define SPARP__SYS_KQUEUE kqueue
#endif
#ifndef SPARP__SYS_KEVENT
#define SPARP__SYS_KEVENT kevent
#endif
#ifndef SPARP__SYS_POLL
#define SPARP__SYS_POLL poll
#endif
#ifndef SPARP__SYS_GETADDRINFO
#define SPARP__SYS_GETADDRINFO getaddrinfo
#endif
#ifndef SPARP__SYS_FREEADDRINFO
#define SPARP__SYS_FREEADDRINFO freeaddrinfo
#endif
#ifndef SPARP__SYS_GETIFADDRS
#define SPARP__SYS_GETIFADDRS getifaddrs
#endif
#ifndef SPARP__SYS_FREEIFADDRS
#define SPARP__SYS_FREEIFADDRS freeifaddrs
#endif
#ifndef SPARP__HOSTS_FILE
#define SPARP__HOSTS_FILE "/etc/hosts"
#endif
#ifndef SPARP__SYS_THREAD
#define SPARP__SYS_THREAD pthread_create
#endif
#ifndef SPARP__SYS_GETRANDOM
#define SPARP__SYS_GETRANDOM getrandom
#endif
#ifndef SPARP__URANDOM
#define SPARP__URANDOM "/dev/urandom"
#endif
#ifndef SPARP__SYS_CLOCK
#define SPARP__SYS_CLOCK clock_gettime
#endif
#ifndef SPARP__SYS_TIME
#define SPARP__SYS_TIME time
#endif
#ifndef SPARP__SYS_REALLOC
#define SPARP__SYS_REALLOC realloc
#endif
#ifndef SPARP__SYS_FREE
#define SPARP__SYS_FREE free
#endif

#if defined(__GNUC__)
#define SPARP__PRINTF(text, first) __attribute__((format(printf, text, first)))
#define SPARP__RARE __attribute__((noinline, cold))     /* its callers do without its registers */
#define SPARP__APART __attribute__((noinline))          /* and without its many variables */
#else
#define SPARP__PRINTF(text, first)
#define SPARP__RARE
#define SPARP__APART
#endif

/* ============================================================================================ */
/* >>base       slices, ASCII classes, numbers, intrusive lists. Uses nothing.                   */
/*                                                                                               */
/* "Uses" names the sections above whose functions, types and macros a section uses itself; but  */
/* for platform, base and texts, which every section may use.                                    */
/* ============================================================================================ */

#define SPARP__NEVER INT64_MAX          /* a time that does not come */
#define SPARP__COST_MOST 1e12           /* that one request may have */
#define SPARP__NS_PER_S INT64_C(1000000000)
#define SPARP__NS_PER_MS INT64_C(1000000)
#define SPARP__OWNER(type, member, pointer) \
    ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

typedef struct sparp__str {             /* somebody else's bytes, not NUL-terminated */
    const char *data;
    size_t size;
} sparp__str;

static sparp__str sparp__str_make(const char *data, size_t size) {
    sparp__str s;
    s.data = data;
    s.size = size;
    return s;
}

static sparp__str sparp__str_of(const char *text) {
    return sparp__str_make(text, strlen(text));
}

static sparp__str sparp__str_skip(sparp__str s, size_t n) {
    return sparp__str_make(s.data + n, s.size - n);
}

static sparp__str sparp__str_trim(sparp__str s) {
    if (s.size == 0)
        return s;
    const char *from = s.data, *end = s.data + s.size;
    while (from < end && (*from == ' ' || *from == '\t'))
        from++;
    while (end > from && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return sparp__str_make(from, (size_t)(end - from));
}

static char sparp__ascii_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool sparp__ascii_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool sparp__ascii_alpha(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* tchar of RFC 9110 §5.6.2: what methods and field names are made of. */
static bool sparp__ascii_token(char c) {
    return sparp__ascii_alpha(c) || sparp__ascii_digit(c)
        || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* The lower-case form of a token character, 0 for every other byte: one look-up per byte of a
   field name, which is checked and folded in the same pass. */
static const char sparp__token_fold[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, '!', 0, '#', '$', '%', '&', '\'', 0, 0, '*', '+', 0, '-', '.', 0,
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 0, 0, 0, 0, 0, 0,
    0, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, 0, 0, '^', '_',
    '`', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, '|', 0, '~', 0
};

static int sparp__hex_value(char c) {
    if (sparp__ascii_digit(c))
        return c - '0';
    c = sparp__ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ASCII only, whatever the locale says: "I" has one lower-case form on the wire. */
static bool sparp__str_same(sparp__str a, const char *text) {
    for (size_t i = 0; i < a.size; i++)
        if (text[i] == '\0'
            || (a.data[i] != text[i]
                && sparp__ascii_lower(a.data[i]) != sparp__ascii_lower(text[i])))
            return false;
    return text[a.size] == '\0';
}

static bool sparp__str_token(sparp__str s) {
    for (size_t i = 0; i < s.size; i++)
        if (!sparp__ascii_token(s.data[i]))
            return false;
    return s.size > 0;
}

static bool sparp__str_starts(sparp__str s, sparp__str prefix) {
    if (s.size < prefix.size)
        return false;
    for (size_t i = 0; i < prefix.size; i++)
        if (sparp__ascii_lower(s.data[i]) != sparp__ascii_lower(prefix.data[i]))
            return false;
    return true;
}

/* 1*DIGIT and nothing else: no sign, no blank, no overflow. */
static bool sparp__str_number(sparp__str s, uint64_t max, uint64_t *out) {
    uint64_t n = 0;
    for (size_t i = 0; i < s.size; i++) {
        unsigned digit = (unsigned char)s.data[i] - (unsigned)'0';
        if (digit > 9 || n > UINT64_MAX / 10
            || (n == UINT64_MAX / 10 && digit > UINT64_MAX % 10))
            return false;
        n = n * 10 + digit;
        if (n > max)
            return false;
    }
    *out = n;
    return s.size > 0;
}

/* Cuts the next element of a comma-separated list (RFC 9110 §5.6.1) off `list`; empty elements
   are passed over, as a recipient must. */
static bool sparp__str_element(sparp__str *list, sparp__str *out) {
    while (list->size > 0) {
        const char *comma = (const char *)memchr(list->data, ',', list->size);
        size_t n = comma != NULL ? (size_t)(comma - list->data) : list->size;
        *out = sparp__str_trim(sparp__str_make(list->data, n));
        *list = sparp__str_skip(*list, comma != NULL ? n + 1 : n);
        if (out->size > 0)
            return true;
    }
    return false;
}

static int64_t sparp__min(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t sparp__max(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Times are never negative; a sum that does not fit is never. */
static int64_t sparp__time_after(int64_t now, int64_t wait) {
    return wait >= SPARP__NEVER - now ? SPARP__NEVER : now + wait;
}

static int64_t sparp__time_from_s(double seconds) {
    return seconds >= 9e9 ? SPARP__NEVER : (int64_t)(seconds * (double)SPARP__NS_PER_S);
}

/* Milliseconds to sleep, rounded up: waking early would only mean to wake twice. -1: no limit. */
static int sparp__time_wait_ms(int64_t due, int64_t now) {
    if (due == SPARP__NEVER)
        return -1;
    int64_t ms = due <= now ? 0 : (due - now + SPARP__NS_PER_MS - 1) / SPARP__NS_PER_MS;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* Days since 1970-01-01 of a date in the Gregorian calendar. */
static int64_t sparp__days(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static uint32_t sparp__hash(sparp__str s, uint32_t seed) {
    uint32_t h = UINT32_C(2166136261) ^ seed;   /* FNV-1a */
    for (size_t i = 0; i < s.size; i++)
        h = (h ^ (unsigned char)s.data[i]) * UINT32_C(16777619);
    return h ^ h >> 15;
}

/* An element of a doubly linked ring; alone, or as a list's head, it points at itself. */
typedef struct sparp__link {
    struct sparp__link *prev, *next;
} sparp__link;

typedef struct sparp__list {
    sparp__link ring;
    size_t count;
} sparp__list;

static void sparp__list_init(sparp__list *list) {
    list->ring.prev = list->ring.next = &list->ring;
    list->count = 0;
}

static void sparp__list_insert(sparp__list *list, sparp__link *before, sparp__link *link) {
    link->prev = before->prev;
    link->next = before;
    before->prev->next = link;
    before->prev = link;
    list->count++;
}

static void sparp__list_push_back(sparp__list *list, sparp__link *link) {
    sparp__list_insert(list, &list->ring, link);
}

static void sparp__list_push_front(sparp__list *list, sparp__link *link) {
    sparp__list_insert(list, list->ring.next, link);
}

static void sparp__list_remove(sparp__list *list, sparp__link *link) {
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = link->next = NULL;
    list->count--;
}

static sparp__link *sparp__list_pop_front(sparp__list *list) {
    sparp__link *link = list->ring.next;
    if (link == &list->ring)
        return NULL;
    sparp__list_remove(list, link);
    return link;
}

/* All of `from`, which is empty then, behind `list`. */
static void sparp__list_append(sparp__list *list, sparp__list *from) {
    if (from->count == 0)
        return;
    from->ring.next->prev = list->ring.prev;
    from->ring.prev->next = &list->ring;
    list->ring.prev->next = from->ring.next;
    list->ring.prev = from->ring.prev;
    list->count += from->count;
    sparp__list_init(from);
}

/* ============================================================================================ */
/* >>texts      codes to names and sentences, from the lists of the API. Public, and down here    */
/*              because every section may want them. Uses nothing.                               */
/* ============================================================================================ */

const char *sparp_error_text(sparp_error error) {
    static const char *const texts[] = {
#define SPARP__X(name, text) text,
        SPARP_ERRORS(SPARP__X)
#undef SPARP__X
    };
    return (unsigned)error < SPARP_E_COUNT ? texts[error] : "unknown error";
}

const char *sparp_error_name(sparp_error error) {
    static const char *const names[] = {
#define SPARP__X(name, text) #name,
        SPARP_ERRORS(SPARP__X)
#undef SPARP__X
    };
    return (unsigned)error < SPARP_E_COUNT ? names[error] : "?";
}

const char *sparp_outcome_name(sparp_outcome outcome) {
    static const char *const names[] = {
#define SPARP__X(name, text) text,
        SPARP_OUTCOMES(SPARP__X)
#undef SPARP__X
    };
    return (unsigned)outcome < SPARP_OUTCOME_COUNT ? names[outcome] : "?";
}

const char *sparp_phase_name(sparp_phase phase) {
    static const char *const names[] = {
#define SPARP__X(name, text) text,
        SPARP_PHASES(SPARP__X)
#undef SPARP__X
    };
    return (unsigned)phase < SPARP_PHASE_COUNT ? names[phase] : "?";
}

const char *sparp_wait_name(sparp_wait wait) {
    static const char *const names[] = {
#define SPARP__X(name, text) text,
        SPARP_WAITS(SPARP__X)
#undef SPARP__X
    };
    return (unsigned)wait < SPARP_WAIT_COUNT ? names[wait] : "?";
}

/* ============================================================================================ */
/* >>env        what every section may need: allocator, logger, clock, dice, entropy, locks; and  */
/*              the fault, which says how something failed. Uses base.                           */
/* ============================================================================================ */

typedef struct sparp__env {
    sparp_allocator allocator;
    sparp_logger    logger;
    uint64_t        random;
} sparp__env;

typedef struct sparp__fault {           /* zeroed: nothing failed */
    sparp_error error;
    int         sys_error;
    int64_t     until;                  /* it is known to stay so; sparp__fault_set() keeps it */
    char        detail[160];
} sparp__fault;

static void *sparp__env_default_allocator(void *ptr, size_t old_size, size_t new_size,
                                          void *user_data) {
    (void)old_size;
    (void)user_data;
    if (new_size == 0) {
        SPARP__SYS_FREE(ptr);
        return NULL;
    }
    return SPARP__SYS_REALLOC(ptr, new_size);
}

static void *sparp__env_realloc(sparp__env *env, void *ptr, size_t old_size, size_t new_size) {
    return env->allocator.func(ptr, old_size, new_size, env->allocator.user_data);
}

static void *sparp__env_zalloc(sparp__env *env, size_t size) {
    void *ptr = sparp__env_realloc(env, NULL, 0, size);
    if (ptr != NULL)
        memset(ptr, 0, size);
    return ptr;
}

static void sparp__env_free(sparp__env *env, void *ptr, size_t size) {
    if (ptr != NULL)
        sparp__env_realloc(env, ptr, size, 0);
}

/* An array of items of that size which has become too short for `wanted` of them: twice as long, or
   longer. NULL: out of memory, and it is as it was. */
static void *sparp__env_grow(sparp__env *env, void *items, size_t *capacity, size_t wanted,
                             size_t size) {
    size_t to = *capacity * 2 < 64 ? 64 : *capacity * 2;
    to = to < wanted ? wanted : to;
    void *grown = to > (size_t)PTRDIFF_MAX / 2 / size ? NULL
        : sparp__env_realloc(env, items, *capacity * size, to * size);
    *capacity = grown != NULL ? to : *capacity;
    return grown;
}

#if SPARP__THREADS
/* The host's signals are the host's business: a thread of ours takes none. */
static int sparp__thread_start(pthread_t *thread, const pthread_attr_t *attributes,
                               void *(*run)(void *argument), void *argument) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = SPARP__SYS_THREAD(thread, attributes, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}
#endif

typedef struct sparp__lock {            /* zeroed: one thread alone has what it is for */
    bool            is_open;
#if SPARP__THREADS
    pthread_mutex_t mutex;
#endif
} sparp__lock;

/* False: out of memory. */
static bool sparp__lock_open(sparp__lock *l) {
#if SPARP__THREADS
    l->is_open = pthread_mutex_init(&l->mutex, NULL) == 0;
    return l->is_open;
#else
    (void)l;
    return true;
#endif
}

static void sparp__lock_close(sparp__lock *l) {
#if SPARP__THREADS
    if (l->is_open)
        pthread_mutex_destroy(&l->mutex);
#endif
    l->is_open = false;
}

static void sparp__lock_take(sparp__lock *l) {
#if SPARP__THREADS
    if (l->is_open)
        pthread_mutex_lock(&l->mutex);
#else
    (void)l;
#endif
}

static void sparp__lock_leave(sparp__lock *l) {
#if SPARP__THREADS
    if (l->is_open)
        pthread_mutex_unlock(&l->mutex);
#else
    (void)l;
#endif
}

static int64_t sparp__env_now(void) {
#ifdef SPARP_CLOCK
    return SPARP_CLOCK();
#else
    struct timespec t;
    if (SPARP__SYS_CLOCK(CLOCK_MONOTONIC, &t) != 0)
        return 0;                       /* cannot fail where CLOCK_MONOTONIC exists */
    return (int64_t)t.tv_sec * SPARP__NS_PER_S + (int64_t)t.tv_nsec;
#endif
}

/* Seconds since 1970, for the dates of certificates and of Retry-After. */
static int64_t sparp__env_wall_s(void) {
#ifdef SPARP_TIME
    return SPARP_TIME();
#else
    return (int64_t)SPARP__SYS_TIME(NULL);
#endif
}

/* splitmix64: one 64-bit word of state, good enough to spread retries. */
static uint64_t sparp__env_random(sparp__env *env) {
    uint64_t z = env->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

#if SPARP__TLS

#if !defined(SPARP_RANDOM) && !SPARP__BSD

/* For kernels before 3.17, sandboxes that forbid getrandom(), and systems that have none. */
static bool sparp__env_urandom(char *out, size_t size) {
    int fd = open(SPARP__URANDOM, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;
    while (size > 0 && n > 0) {
        n = read(fd, out, size);
        if (n > 0) {
            out += n;
            size -= (size_t)n;
        } else if (n < 0 && errno == EINTR) {
            n = 1;
        }
    }
    int keep = n == 0 ? EIO : errno;
    if (fd >= 0)
        close(fd);
    errno = keep;
    return size == 0;
}

#endif

/* Up to 256 bytes nobody can guess. False: the system has none, errno says why. */
static bool sparp__env_entropy(void *out, size_t size) {
#if defined(SPARP_RANDOM)
    return SPARP_RANDOM(out, size);
#elif SPARP__BSD
    arc4random_buf(out, size);
    return true;
#else
#if SPARP__GETRANDOM
    ssize_t n;
    do
        n = SPARP__SYS_GETRANDOM(out, size, 0);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)size)
        return true;
#endif
    return sparp__env_urandom((char *)out, size);
#endif
}

#endif

SPARP__PRINTF(3, 4)
static void sparp__env_log(const sparp__env *env, sparp_log_level level, const char *format, ...) {
    if (env->logger.func == NULL || level > env->logger.max_level)
        return;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    env->logger.func(level, text, env->logger.user_data);
}

/* Always false, so that a function can fail in one line. */
SPARP__PRINTF(4, 5)
static bool sparp__fault_set(sparp__fault *fault, sparp_error error, int sys_error,
                             const char *format, ...) {
    va_list args;
    fault->error = error;
    fault->sys_error = sys_error;
    va_start(args, format);
    vsnprintf(fault->detail, sizeof fault->detail, format, args);
    va_end(args);
    for (char *at = fault->detail; *at != '\0'; at++)      /* it may quote a hostile server */
        if ((unsigned char)*at < ' ' || *at == 0x7F)
            *at = '?';
    return false;
}

#if !SPARP__SENTENCES

static bool sparp__fault_code(sparp__fault *fault, sparp_error error, int sys_error, bool said) {
    fault->error = error;
    fault->sys_error = sys_error;
    strcpy(fault->detail, sparp_error_text(error));
    return said;
}

/* From here on: the compiler sees that no sentence is ever used, and leaves it out. */
#define sparp__fault_set(fault, error, sys_error, ...) \
    sparp__fault_code(fault, error, sys_error, \
                      0 && sparp__fault_set(fault, error, sys_error, __VA_ARGS__))
#define sparp__env_log(env, level, ...) \
    ((void)(0 && (sparp__env_log(env, level, __VA_ARGS__), 0)))

#endif

static bool sparp__fault_memory(sparp__fault *fault) {
    return sparp__fault_set(fault, SPARP_E_OUT_OF_MEMORY, ENOMEM, "out of memory");
}

static void sparp__fault_clear(sparp__fault *fault) {
    fault->error = SPARP_E_OK;
    fault->sys_error = 0;
    fault->until = 0;
    fault->detail[0] = '\0';
}

/* ============================================================================================ */
/* >>buf        a growing byte buffer. Uses env.                                                 */
/* ============================================================================================ */

#define SPARP__BUF_KEEP 16384           /* more than this is given back when a buffer is reused */

typedef struct sparp__buf {             /* zeroed: empty */
    char *data;
    size_t size, capacity;
} sparp__buf;

static void sparp__buf_free(sparp__env *env, sparp__buf *b) {
    sparp__env_free(env, b->data, b->capacity);
    memset(b, 0, sizeof *b);
}

static void sparp__buf_reuse(sparp__env *env, sparp__buf *b) {
    b->size = 0;
    if (b->capacity > SPARP__BUF_KEEP)
        sparp__buf_free(env, b);
}

SPARP__RARE static bool sparp__buf_grow(sparp__env *env, sparp__buf *b, size_t more) {
    if (more > (size_t)PTRDIFF_MAX - b->size)
        return false;
    size_t wanted = b->size + more;
    size_t capacity = b->capacity < 128 ? 128 : b->capacity;
    while (capacity < wanted)
        capacity = capacity > (size_t)PTRDIFF_MAX / 2 ? wanted : capacity * 2;
    char *data = (char *)sparp__env_realloc(env, b->data, b->capacity, capacity);
    if (data == NULL)
        return false;
    b->data = data;
    b->capacity = capacity;
    return true;
}

/* Room for `more` bytes behind what is there. */
static bool sparp__buf_reserve(sparp__env *env, sparp__buf *b, size_t more) {
    return more <= b->capacity - b->size || sparp__buf_grow(env, b, more);
}

static bool sparp__buf_append(sparp__env *env, sparp__buf *b, const char *data, size_t size) {
    size_t at = b->size;
    if (!sparp__buf_reserve(env, b, size))
        return false;
    b->size = at + size;
    if (size > 0)
        memcpy(b->data + at, data, size);
    return true;
}

static bool sparp__buf_add(sparp__env *env, sparp__buf *b, sparp__str s) {
    return sparp__buf_append(env, b, s.data, s.size);
}

/* inline: the length of a literal is known when it is compiled, and its bytes are copied by a few
   moves. A tenth fewer instructions to build a request. */
static inline bool sparp__buf_text(sparp__env *env, sparp__buf *b, const char *text) {
    size_t size = strlen(text);
    if (size > b->capacity - b->size)
        return sparp__buf_append(env, b, text, size);
    if (size > 0)
        memcpy(b->data + b->size, text, size);
    b->size += size;
    return true;
}

static bool sparp__buf_byte(sparp__env *env, sparp__buf *b, char c) {
    return sparp__buf_append(env, b, &c, 1);
}

static bool sparp__buf_number(sparp__env *env, sparp__buf *b, uint64_t n) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return sparp__buf_append(env, b, digits + at, sizeof digits - at);
}

static bool sparp__buf_percent(sparp__env *env, sparp__buf *b, char c) {
    static const char hex[] = "0123456789ABCDEF";
    unsigned char u = (unsigned char)c;
    char code[3];
    code[0] = '%';
    code[1] = hex[u >> 4];
    code[2] = hex[u & 15];
    return sparp__buf_append(env, b, code, sizeof code);
}

/* ============================================================================================ */
/* >>heap       what is due next: a binary heap of timers that live in their owners. Uses env.   */
/*                                                                                               */
/* Moving a timer later only notes the new time; its place in the heap is mended when the old    */
/* one comes up. A connection that answers request after request therefore never touches the     */
/* heap, at the price of one early wake-up per timer and timeout.                                */
/* ============================================================================================ */

typedef struct sparp__timer {           /* zeroed: not in a heap */
    int64_t due;                        /* when its owner wants to be woken */
    int64_t key;                        /* where it stands in the heap: never later than due */
    size_t  place;                      /* index + 1; 0: not in the heap */
} sparp__timer;

typedef struct sparp__heap {            /* zeroed: empty */
    sparp__timer **items;
    size_t count, capacity;
} sparp__heap;

static void sparp__heap_free(sparp__env *env, sparp__heap *h) {
    sparp__env_free(env, h->items, h->capacity * sizeof *h->items);
    memset(h, 0, sizeof *h);
}

/* Room for `count` timers in all, so that sparp__heap_set cannot fail. */
static bool sparp__heap_reserve(sparp__env *env, sparp__heap *h, size_t count) {
    if (count <= h->capacity)
        return true;
    void *items = sparp__env_grow(env, h->items, &h->capacity, count, sizeof *h->items);
    if (items != NULL)
        h->items = (sparp__timer **)items;
    return items != NULL;
}

static void sparp__heap_put(sparp__heap *h, size_t at, sparp__timer *timer) {
    h->items[at] = timer;
    timer->place = at + 1;
}

static void sparp__heap_up(sparp__heap *h, size_t at, sparp__timer *timer) {
    while (at > 0 && h->items[(at - 1) / 2]->key > timer->key) {
        sparp__heap_put(h, at, h->items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    sparp__heap_put(h, at, timer);
}

static void sparp__heap_down(sparp__heap *h, size_t at, sparp__timer *timer) {
    for (size_t child; (child = at * 2 + 1) < h->count; at = child) {
        if (child + 1 < h->count && h->items[child + 1]->key < h->items[child]->key)
            child++;
        if (h->items[child]->key >= timer->key)
            break;
        sparp__heap_put(h, at, h->items[child]);
    }
    sparp__heap_put(h, at, timer);
}

static void sparp__heap_remove(sparp__heap *h, sparp__timer *timer) {
    if (timer->place == 0)
        return;
    size_t at = timer->place - 1;
    sparp__timer *last = h->items[--h->count];
    timer->place = 0;
    if (last == timer)
        return;
    if (last->key < timer->key)
        sparp__heap_up(h, at, last);
    else
        sparp__heap_down(h, at, last);
}

static void sparp__heap_set(sparp__heap *h, sparp__timer *timer, int64_t due) {
    timer->due = due;
    if (timer->place != 0 && timer->key <= due)
        return;
    size_t at = timer->place != 0 ? timer->place - 1 : h->count++;
    timer->key = due;
    sparp__heap_up(h, at, timer);
}

/* The timer that is due at `now`; NULL: none is. */
static sparp__timer *sparp__heap_due(sparp__heap *h, int64_t now) {
    while (h->count > 0 && h->items[0]->key <= now) {
        sparp__timer *timer = h->items[0];
        if (timer->due <= now)
            return timer;
        timer->key = timer->due;
        sparp__heap_down(h, 0, timer);
    }
    return NULL;
}

/* The same, and takes it out of the heap. */
static sparp__timer *sparp__heap_expire(sparp__heap *h, int64_t now) {
    sparp__timer *timer = sparp__heap_due(h, now);
    if (timer != NULL)
        sparp__heap_remove(h, timer);
    return timer;
}

static int64_t sparp__heap_next(const sparp__heap *h) {
    return h->count > 0 ? h->items[0]->key : SPARP__NEVER;
}

/* ============================================================================================ */
/* >>bucket     how many starts per second: the generic cell rate algorithm in whole nanoseconds */
/*              and 2^-32 parts of one, so that 3 per second stay 3; the same for what they      */
/*              cost, by weight. Pure. Uses base.                                                */
/*                                                                                               */
/* With T = 1 s / rate, a start that comes late does not push the next ones back: they catch up, */
/* but for no more than the last 10 ms, so a stall is lost but for that. In any window W there    */
/* are at most floor((W + 10 ms) / T) + burst starts, in any second at most 1.01 * rate + burst.  */
/* By weight: what starts in W costs at most (W + 10 ms) * rate + the burst, or + the heaviest   */
/* of them, if that is more: who is heavier than the burst starts when nothing is owed.          */
/* ============================================================================================ */

#define SPARP__BUCKET_SLACK (10 * SPARP__NS_PER_MS)     /* a timer, or a turn, may be so late */
#define SPARP__BUCKET_NEW (INT64_MIN / 2)

typedef struct sparp__bucket {          /* zeroed: no limit */
    int64_t  period;                    /* T: nanoseconds, and 2^-32 parts */
    uint32_t period_part;
    int64_t  next;                      /* when the next start is due if there is no burst */
    uint32_t next_part;
    int64_t  ahead;                     /* (burst - 1) * T: how much earlier it may come */
} sparp__bucket;

static void sparp__bucket_init(sparp__bucket *b, double rate, int burst) {
    memset(b, 0, sizeof *b);
    if (!(rate > 0))
        return;
    double period = (double)SPARP__NS_PER_S / rate;
    b->period = (int64_t)period;
    double part = period - (double)b->period;   /* x87 may know `period` better than b->period */
    b->period_part = part > 0 ? (uint32_t)(part * 4294967296.0) : 0;
    double ahead = period * (double)(burst - 1);
    b->ahead = (int64_t)(ahead < 1e18 ? ahead : 1e18);      /* 30 years are enough */
    b->next = SPARP__BUCKET_NEW;        /* long ago: the first start is free */
}

/* Nanoseconds until the next start is allowed; 0: now. */
static int64_t sparp__bucket_wait(const sparp__bucket *b, int64_t now) {
    if (b->period == 0 && b->period_part == 0)
        return 0;
    return sparp__max(0, b->next - b->ahead - now);
}

/* Where *next stands when something is taken at `now`. */
static int64_t sparp__bucket_caught_up(int64_t next, int64_t now) {
    return next == SPARP__BUCKET_NEW ? now : sparp__max(next, now - SPARP__BUCKET_SLACK);
}

static void sparp__bucket_take(sparp__bucket *b, int64_t now) {
    if (b->period == 0 && b->period_part == 0)
        return;
    int64_t next = sparp__bucket_caught_up(b->next, now);
    uint64_t part = (uint64_t)(next == b->next ? b->next_part : 0) + b->period_part;
    b->next = next + b->period + (int64_t)(part >> 32);
    b->next_part = (uint32_t)part;
}

#define SPARP__DEBT_MOST 1e18           /* nanoseconds: 30 years are enough */

typedef struct sparp__debt {            /* zeroed: no limit */
    double  ns;                         /* in which a cost of 1 is paid off */
    double  ahead;                      /* the burst: so many of them may be owed at a start */
    int64_t paid_at;                    /* when all is paid off that was booked */
    double  part;                       /* of a nanosecond, by which that is later */
} sparp__debt;

static void sparp__debt_init(sparp__debt *d, double rate, double burst) {
    memset(d, 0, sizeof *d);
    if (!(rate > 0))
        return;
    d->ns = (double)SPARP__NS_PER_S / rate;
    d->ahead = d->ns * burst;
    d->paid_at = SPARP__BUCKET_NEW;
}

/* Nanoseconds until something of that cost may start; 0: now. What is free waits for nothing. */
static int64_t sparp__debt_wait(const sparp__debt *d, double cost, int64_t now) {
    if (!SPARP__LIMITS || d->ns == 0 || cost == 0)
        return 0;
    double early = d->ahead - cost * d->ns;
    early = early < 0 ? 0 : early < SPARP__DEBT_MOST ? early : SPARP__DEBT_MOST;
    return sparp__max(0, d->paid_at - (int64_t)early - now);
}

/* A negative cost is given back; what is beyond that which is owed is lost. */
static void sparp__debt_book(sparp__debt *d, double cost, int64_t now) {
    if (!SPARP__LIMITS || d->ns == 0)
        return;
    int64_t from = sparp__bucket_caught_up(d->paid_at, now);
    double ns = cost * d->ns + (from == d->paid_at ? d->part : 0);
    ns = ns < -SPARP__DEBT_MOST ? -SPARP__DEBT_MOST
        : ns < SPARP__DEBT_MOST ? ns : SPARP__DEBT_MOST;
    d->paid_at = sparp__min(from + (int64_t)ns, 4 * (int64_t)SPARP__DEBT_MOST);
    d->part = ns - (double)(int64_t)ns;
}

/* Both together. */
typedef struct sparp__meter {           /* zeroed: no limit */
    sparp__bucket starts;
    sparp__debt   cost;
    bool          limits;               /* either of them does */
} sparp__meter;

static void sparp__meter_init(sparp__meter *m, double rate, int burst, double cost_rate,
                              double cost_burst) {
    sparp__bucket_init(&m->starts, rate, burst);
    sparp__debt_init(&m->cost, cost_rate, cost_burst);
    m->limits = rate > 0 || cost_rate > 0;
}

static int64_t sparp__meter_wait(const sparp__meter *m, double cost, int64_t now) {
    if (!m->limits)
        return 0;
    return sparp__max(sparp__bucket_wait(&m->starts, now), sparp__debt_wait(&m->cost, cost, now));
}

static void sparp__meter_take(sparp__meter *m, double cost, int64_t now) {
    if (!m->limits)
        return;
    sparp__bucket_take(&m->starts, now);
    sparp__debt_book(&m->cost, cost, now);
}

/* Until when it has to be remembered. */
static int64_t sparp__meter_memory(const sparp__meter *m) {
    return sparp__max(m->starts.next, m->cost.paid_at);
}

/* ============================================================================================ */
/* >>pace       the token that a write takes, and its cost, whichever engine it is written by;   */
/*              and what is charged afterwards. Uses env, bucket.                                */
/* ============================================================================================ */

/* A request at hand: the user is shown it and may charge it. */
typedef struct sparp__hand {
    sparp__link   link;
    uint64_t      index;
    double        booked;               /* for it so far */
    double        charged;              /* while it was at hand */
    sparp__meter *own;                  /* of its origin's writes; NULL: it has none */
} sparp__hand;

typedef struct sparp__pace {            /* zeroed, then `hands` initialized: one engine, no limit */
    sparp__meter    all;                /* of every write; each origin has one more */
    bool            weighs;             /* some meter limits the cost */
    sparp__list     hands;              /* each thread has one at the most, and sparp_next() */
    sparp__lock     lock;               /* of `all`, those of the origins, and the hands */
} sparp__pace;

static bool sparp__pace_weighs(const sparp__pace *p) {
    return SPARP__LIMITS && p->weighs;
}

/* Nanoseconds until one of that cost may be written; `own`, if not NULL, is its origin's. */
static int64_t sparp__pace_wait(sparp__pace *p, const sparp__meter *own, double cost,
                                int64_t now) {
    sparp__lock_take(&p->lock);
    int64_t wait = sparp__meter_wait(&p->all, cost, now);
    if (own != NULL)
        wait = sparp__max(wait, sparp__meter_wait(own, cost, now));
    sparp__lock_leave(&p->lock);
    return wait;
}

/* Whether it waits for its cost, rather than for its token. */
static bool sparp__pace_owes(sparp__pace *p, const sparp__meter *own, double cost, int64_t now) {
    if (!sparp__pace_weighs(p))
        return false;
    sparp__lock_take(&p->lock);
    int64_t for_cost = sparp__max(sparp__debt_wait(&p->all.cost, cost, now),
                                  sparp__debt_wait(&own->cost, cost, now));
    int64_t for_token = sparp__max(sparp__bucket_wait(&p->all.starts, now),
                                   sparp__bucket_wait(&own->starts, now));
    sparp__lock_leave(&p->lock);
    return for_cost > for_token;
}

/* Booked at the true time: a callback of this turn may have taken long. False: not yet. */
static bool sparp__pace_take(sparp__pace *p, sparp__meter *own, double cost, int64_t now) {
    sparp__lock_take(&p->lock);
    bool may = sparp__meter_wait(&p->all, cost, now) == 0 && sparp__meter_wait(own, cost, now) == 0;
    if (may && (p->all.limits || own->limits)) {
        now = sparp__env_now();
        sparp__meter_take(&p->all, cost, now);
        sparp__meter_take(own, cost, now);
    }
    sparp__lock_leave(&p->lock);
    return may;
}

/* --- what is charged afterwards --------------------------------------------------------------- */

/* From here to sparp__pace_hide() it may be charged. */
static void sparp__pace_show(sparp__pace *p, sparp__hand *hand, uint64_t index, double booked,
                             sparp__meter *own) {
    hand->charged = 0;
    if (!sparp__pace_weighs(p))
        return;
    hand->index = index;
    hand->booked = booked;
    hand->own = own;
    sparp__lock_take(&p->lock);
    sparp__list_push_back(&p->hands, &hand->link);
    sparp__lock_leave(&p->lock);
}

/* Returns what it was charged. */
static double sparp__pace_hide(sparp__pace *p, sparp__hand *hand) {
    if (!sparp__pace_weighs(p))
        return 0;
    sparp__lock_take(&p->lock);
    sparp__list_remove(&p->hands, &hand->link);
    sparp__lock_leave(&p->lock);
    return hand->charged;
}

/* No more is given back than was booked. False: it is not at hand. */
static bool sparp__pace_charge(sparp__pace *p, uint64_t index, double more, int64_t now) {
    sparp__hand *hand = NULL;
    sparp__lock_take(&p->lock);
    for (sparp__link *at = p->hands.ring.next; hand == NULL && at != &p->hands.ring; at = at->next)
        if (SPARP__OWNER(sparp__hand, link, at)->index == index)
            hand = SPARP__OWNER(sparp__hand, link, at);
    if (hand != NULL) {
        more = more < -hand->booked ? -hand->booked : more;
        hand->booked += more;
        hand->charged += more;
        sparp__debt_book(&p->all.cost, more, now);
        if (hand->own != NULL)
            sparp__debt_book(&hand->own->cost, more, now);
    }
    sparp__lock_leave(&p->lock);
    return hand != NULL;
}

/* ============================================================================================ */
/* >>rate       how fast a run may go, as its scheduler sees it: starts, what they cost, retries; */
/*              and the time that takes. Pure. Uses bucket.                                      */
/* ============================================================================================ */

typedef struct sparp__rate {            /* how many per second, and what that costs in time */
    sparp__meter  admit;                /* of who gets a slot; sparp__pace: of who is written */
    int64_t       blocked, blocked_at;  /* time in which the rate alone held us back */
    int64_t       blocked_by_cost;      /* what of it was because of the cost */
    bool          for_cost;             /* that is what holds us back now */
    bool          heavy_said;           /* that something is heavier than cost_burst */
    int64_t       permit_at;            /* when permit() is to be asked again */
    double        retry_credit;         /* retries that the budget allows now */
    int64_t       retry_credit_at;
} sparp__rate;

/* For how long the rate alone has held everybody back; and what of that was for their cost. */
static int64_t sparp__rate_blocked(const sparp__rate *r, int64_t now) {
    return r->blocked + (r->blocked_at != 0 ? now - r->blocked_at : 0);
}

static int64_t sparp__rate_blocked_by_cost(const sparp__rate *r, int64_t now) {
    return r->blocked_by_cost + (r->for_cost ? now - r->blocked_at : 0);
}

static void sparp__rate_block(sparp__rate *r, bool for_cost, int64_t now) {
    r->blocked_at = now;
    r->for_cost = for_cost;
}

static void sparp__rate_unblock(sparp__rate *r, int64_t now) {
    r->blocked_by_cost = sparp__rate_blocked_by_cost(r, now);
    r->blocked = sparp__rate_blocked(r, now);
    r->blocked_at = 0;
    r->for_cost = false;
}

/* The retry budget: so many per first try, and one a second. 0: this one is within it, and taken
   off; else nanoseconds after which to look again. It is put off, never dropped. */
static int64_t sparp__rate_retry_wait(sparp__rate *r, double ratio, int64_t now) {
    if (!(ratio > 0))
        return 0;
    double passed = (double)(now - r->retry_credit_at) / (double)SPARP__NS_PER_S;
    r->retry_credit_at = now;
    r->retry_credit += passed;
    if (r->retry_credit >= 1) {
        r->retry_credit -= 1;
        return 0;
    }
    return sparp__max(SPARP__NS_PER_MS, sparp__time_from_s(1 - r->retry_credit));
}

/* ============================================================================================ */
/* >>gate       what one origin allows: so many at once, so many per second, and nothing at all  */
/*              for a while after it has said 429. Pure. Uses bucket.                            */
/* ============================================================================================ */

#define SPARP__GATE_OPEN 256            /* attempts at once from which it counts as open again */
#define SPARP__GATE_TRIES 4             /* that go well, until more are tried at once */
#define SPARP__GATE_PATIENCE SPARP__NS_PER_S    /* by then a 429 has come, if one comes */

typedef struct sparp__gate {            /* zeroed, then its buckets set: open */
    sparp__meter admit;                 /* of who gets a slot */
    sparp__meter write;                 /* of who is written: guarded, see >>pace */
    uint64_t in_flight;
    double   cost_in_flight;
    int64_t  entered_at;                /* the last of them */
    int64_t  closed_at, closed_until;   /* 0: never was */
    int64_t  barred_until;              /* the server asked for so long that nobody waits for it */
    uint64_t before;                    /* of those in flight: they were when it closed */
    double   before_cost;
    int      width;                     /* while it reopens: this many more at once; 0: open */
    int64_t  fastest;                   /* nanoseconds an answer took at best: see >>aimd */
    int64_t  shut, shut_at;             /* how long it was not all open, in sum; since when */
    int      strikes;                   /* closed again and again, without a success between */
    bool     held;                      /* as good as closed: see sparp__gate_hold */
    uint64_t through, known;            /* answers of this window, and the most of one before that
                                           a 429 ended; 0: not known */
    double   through_cost, known_cost;  /* theirs */
    double   refused_cost;              /* of the one that ended a window last: too much for that */
    uint64_t beyond;                    /* answers of this window that not even that explains */
    bool     ended;                     /* the window, by a 429: who enters begins the next one */
} sparp__gate;

/* Of those in flight, since it closed. */
static uint64_t sparp__gate_entered(const sparp__gate *g) {
    return g->in_flight - g->before;
}

/* What this window has let through, or may yet, and one more of that cost: no more than what a
   window before let through. */
static bool sparp__gate_knows_cost(const sparp__gate *g, double cost) {
    return g->through_cost + (g->cost_in_flight - g->before_cost) + cost <= g->known_cost;
}

/* How many may be there at once beside the next one, beyond what is known: nobody else at first,
   and all of them within some ten round trips. */
static uint64_t sparp__gate_tries(uint64_t more) {
    uint64_t tries = more / SPARP__GATE_TRIES;
    return tries * tries;
}

/* Nobody knows which of the two the server counts, requests or cost: another one is within what a
   window before let through of both, or it goes alone, because it may be told 429. */
static bool sparp__gate_full(const sparp__gate *g, double cost) {
    uint64_t more = g->through < g->known ? 0 : g->through - g->known;
    uint64_t entered = sparp__gate_entered(g);
    return g->known > 0
        && ((g->through + entered >= g->known && entered > sparp__gate_tries(more))
            || (!sparp__gate_knows_cost(g, cost) && entered > sparp__gate_tries(g->beyond)));
}

/* How long it waits for that: no longer than a 429 to the one before takes. An answer may take much
   longer, or never come. */
static int64_t sparp__gate_full_wait(const sparp__gate *g, double cost, int64_t now) {
    return sparp__gate_full(g, cost)
        ? sparp__max(0, g->entered_at + SPARP__GATE_PATIENCE - now) : 0;
}

/* Nanoseconds until one of that cost may start there; NEVER: not before another has ended. */
static int64_t sparp__gate_wait(const sparp__gate *g, int max_at_once, double cost,
                                int64_t now) {
    if (g->closed_until > now)
        return g->closed_until - now;
    if ((g->width > 0 && sparp__gate_entered(g) >= (uint64_t)g->width)
        || (max_at_once > 0 && g->in_flight >= (uint64_t)max_at_once))
        return SPARP__NEVER;
    return sparp__max(sparp__gate_full_wait(g, cost, now),
                      sparp__meter_wait(&g->admit, cost, now));
}

SPARP__RARE static void sparp__gate_begin(sparp__gate *g) {
    g->through = g->beyond = 0;
    g->through_cost = 0;
    g->ended = false;
}

static void sparp__gate_enter(sparp__gate *g, double cost, int64_t now) {
    if (g->ended)
        sparp__gate_begin(g);
    g->in_flight++;
    g->cost_in_flight += cost;
    g->entered_at = now;
    sparp__meter_take(&g->admit, cost, now);
}

static void sparp__gate_leave(sparp__gate *g, double cost, int64_t entered_at) {
    g->cost_in_flight = --g->in_flight > 0 ? g->cost_in_flight - cost : 0;
    if (g->before == 0 || (entered_at > g->closed_at && g->before <= g->in_flight))
        return;
    g->before_cost = --g->before > 0 ? g->before_cost - cost : 0;
}

static void sparp__gate_learn(sparp__gate *g) {
    g->known = g->through > g->known ? g->through : g->known;
    g->known_cost = g->through_cost > g->known_cost ? g->through_cost : g->known_cost;
}

/* One of that cost has left and was told so. The latest of all ends counts. It reopens with one
   probe, however long those that are under way may take. A window that ends before it has let
   through what another did says that the limits are lower now, or that others use them too: only
   what this one lets through is known then. */
static void sparp__gate_close(sparp__gate *g, double cost, int64_t now, int64_t until) {
    if (g->width == 0 && !g->held)
        g->shut_at = now;
    if (g->closed_until <= now) {
        if (g->through > 0 && g->through + sparp__gate_entered(g) < g->known
            && sparp__gate_knows_cost(g, cost)) {
            g->known = 0;
            g->known_cost = 0;
        }
        g->closed_at = now;
        g->before = g->in_flight;
        g->before_cost = g->cost_in_flight;
        g->strikes++;
        g->ended = true;
        g->refused_cost = cost;
        sparp__gate_learn(g);
    }
    g->closed_until = sparp__max(g->closed_until, until);
    g->width = 1;
}

SPARP__RARE static void sparp__gate_reopen(sparp__gate *g, int64_t now) {
    if (g->ended) {                     /* what was under way then belongs to that window */
        sparp__gate_learn(g);
        return;
    }
    g->beyond += g->through_cost > g->known_cost + g->refused_cost;
    if (g->width == 0)
        return;
    g->strikes = 0;
    g->width = g->width * 2 < SPARP__GATE_OPEN ? g->width * 2 : 0;
    if (g->width == 0 && !g->held)
        g->shut += now - g->shut_at;
}

/* A success: twice as many may try, until nobody counts any more. */
static void sparp__gate_widen(sparp__gate *g, double cost, int64_t now) {
    g->through++;
    g->through_cost += cost;
    if (g->width > 0 || g->known > 0)
        sparp__gate_reopen(g, now);
}

/* For another reason than its own nobody may start now, or may again. */
static void sparp__gate_hold(sparp__gate *g, bool held, int64_t now) {
    if (held == g->held)
        return;
    if (g->width == 0 && held)
        g->shut_at = now;
    else if (g->width == 0)
        g->shut += now - g->shut_at;
    g->held = held;
}

/* For how long it was not all open, in sum. */
static int64_t sparp__gate_shut(const sparp__gate *g, int64_t now) {
    return g->shut + (g->width > 0 || g->held ? now - g->shut_at : 0);
}

/* Until when it has to be remembered although nobody uses it: that it reopens slowly, for as long
   again as it was closed. */
static int64_t sparp__gate_memory(const sparp__gate *g) {
    int64_t reopening = g->width == 0 ? 0
        : sparp__time_after(g->closed_until, g->closed_until - g->closed_at);
    return sparp__max(sparp__max(reopening, g->closed_until),
                      sparp__max(sparp__meter_memory(&g->admit), sparp__meter_memory(&g->write)));
}

/* ============================================================================================ */
/* >>aimd       how many at once is right, found by trying: one more after each round that went  */
/*              well, a third less after one that did not. Pure. Uses base.                      */
/* ============================================================================================ */

#define SPARP__AIMD_START 8
#define SPARP__AIMD_MAX 1000

typedef struct sparp__aimd {
    int     limit, good;                /* attempts at once; successes since it changed */
    int64_t usual;                      /* nanoseconds an answer takes lately */
    int64_t slowness;                   /* ... in 1/256 of the fastest of its origin */
    int64_t quiet_until;                /* one round pays once for what went wrong in it */
} sparp__aimd;

static void sparp__aimd_on_failure(sparp__aimd *found, int64_t now) {
    if (now < found->quiet_until)
        return;
    found->limit = found->limit * 2 / 3 > 1 ? found->limit * 2 / 3 : 1;
    found->good = 0;
    found->quiet_until = now + found->usual + SPARP__NS_PER_MS;
}

/* An answer took `ns`, and the fastest of its origin *fastest. Answers three times as slow mean
   that they queue there. */
static void sparp__aimd_on_answer(sparp__aimd *found, int64_t *fastest, int64_t ns, int64_t now) {
    *fastest = *fastest == 0 || ns < *fastest ? ns : *fastest;
    int64_t slowness = ns / 1000 * 256 / (*fastest / 1000 + 333);       /* of microseconds */
    found->usual = found->usual == 0 ? ns : found->usual + (ns - found->usual) / 8;
    found->slowness += (slowness - found->slowness) / 8;
    if (found->slowness > 3 * 256) {
        sparp__aimd_on_failure(found, now);
    } else if (++found->good >= found->limit && found->limit < SPARP__AIMD_MAX) {
        found->good = 0;
        found->limit++;
    }
}

/* ============================================================================================ */
/* >>url        "http://user:password@host:port/path?query#fragment" (RFC 3986). Pure, but for   */
/*              inet_pton. Uses env, buf.                                                        */
/* ============================================================================================ */

#define SPARP__HOST_MAX 253             /* bytes of a host name: RFC 1035 §2.3.4 */

typedef struct sparp__url {             /* slices of the text that was parsed */
    sparp__str userinfo;                /* without the @ */
    sparp__str host;                    /* without brackets, in whatever case it came */
    sparp__str path;                    /* path and query; may be empty */
    sparp__str fragment;                /* without the # */
    sparp__str shown;                   /* host and port as written, without a default port */
    uint16_t port;
    bool https, plain;                  /* plain: nothing in it has to be encoded */
} sparp__url;

/* What a byte may be in a url, one look-up each. */
enum {
    SPARP__URL_BAD = 1,                 /* blank or control: nowhere */
    SPARP__URL_ENCODE = 2,              /* see sparp__url_must_encode */
    SPARP__URL_HOST = 4,                /* in a host name */
    SPARP__URL_END = 8,                 /* ends the authority */
    SPARP__URL_HASH = 16                /* "#" */
};

static const unsigned char sparp__url_class[256] = {
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 0, 2, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 8,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 0, 0, 2, 0, 2, 8,
    0, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 0, 2, 0, 2, 4,
    2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 2, 2, 2, 0, 1,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2
};

/* Bytes that may not stand in a path or query as they are (RFC 3986 §2) but that people write
   there all the same. A % is left alone: what is encoded already is not encoded twice. */
static bool sparp__url_must_encode(char c) {
    return (sparp__url_class[(unsigned char)c] & SPARP__URL_ENCODE) != 0;
}

static const char *sparp__url_scheme(sparp__str *rest, sparp__url *out) {
    if (rest->size >= 7 && memcmp(rest->data, "http://", 7) == 0) {     /* nearly always */
        *rest = sparp__str_skip(*rest, 7);
        return NULL;
    }
    const char *colon = (const char *)memchr(rest->data, ':', rest->size);
    if (colon == NULL || rest->size < (size_t)(colon - rest->data) + 3
        || colon[1] != '/' || colon[2] != '/')
        return "url must begin with http://";
    sparp__str scheme = sparp__str_make(rest->data, (size_t)(colon - rest->data));
    if (sparp__str_same(scheme, "https"))
        out->https = true;
    else if (!sparp__str_same(scheme, "http"))
        return "url must begin with http://";
    *rest = sparp__str_skip(*rest, scheme.size + 3);
    return NULL;
}

static const char *sparp__url_ipv6(sparp__str host) {
    char text[64];
    struct in6_addr ignored;
    if (memchr(host.data, '%', host.size) != NULL)
        return "url has an IPv6 zone, which is not supported";
    if (host.size >= sizeof text)
        return "url has a bad IPv6 address";
    memcpy(text, host.data, host.size);
    text[host.size] = '\0';
    return inet_pton(AF_INET6, text, &ignored) == 1 ? NULL : "url has a bad IPv6 address";
}

static const char *sparp__url_host(sparp__str host, sparp__str *bare) {
    *bare = host;
    if (host.size == 0)
        return "url has no host";
    if (host.data[0] == '[') {
        if (host.size < 3 || host.data[host.size - 1] != ']')
            return "url has a bad IPv6 address";        /* it has a ], see below */
        *bare = sparp__str_make(host.data + 1, host.size - 2);
        return sparp__url_ipv6(*bare);
    }
    if (host.size > SPARP__HOST_MAX)
        return "url has a host name of more than 253 bytes";
    for (size_t i = 0; i < host.size; i++) {
        unsigned char c = (unsigned char)host.data[i];
        if ((sparp__url_class[c] & SPARP__URL_HOST) != 0)
            continue;
        if (c == ':' || c == ']')       /* where colons are no port, a ] follows */
            return "url has a ] without its [";
        return c >= 0x80 ? "url has a host that is not ASCII: write its punycode form (xn--...)"
                         : "url has a character in its host that no host name has";
    }
    return host.data[0] == '.' ? "url has a host name that begins with a dot" : NULL;
}

/* Cuts "user:password@" off, which is there. */
static const char *sparp__url_userinfo(sparp__str *authority, sparp__url *out) {
    size_t at = authority->size;
    while (authority->data[at - 1] != '@')
        at--;
    out->userinfo = sparp__str_make(authority->data, at - 1);
    *authority = sparp__str_skip(*authority, at);
    for (size_t i = 0; i < out->userinfo.size; i++)     /* a browser would see another host */
        if (sparp__url_must_encode(out->userinfo.data[i]))
            return "url has a character in its user name that must be percent-encoded";
    return NULL;
}

static const char *sparp__url_authority(sparp__str authority, sparp__url *out) {
    const char *wrong = NULL;
    if (memchr(authority.data, '@', authority.size) != NULL)
        wrong = sparp__url_userinfo(&authority, out);
    if (wrong != NULL)
        return wrong;
    bool open = authority.size > 0 && authority.data[0] == '[';
    if (open && memchr(authority.data, ']', authority.size) == NULL)
        return "url has a [ without its ]";
    size_t colon = authority.size;
    for (size_t i = authority.size; i > 0 && authority.data[i - 1] != ']'; i--)
        if (authority.data[i - 1] == ':')
            colon = i - 1;
    out->port = out->https ? 443 : 80;
    out->shown = sparp__str_make(authority.data, colon);
    if (colon + 1 < authority.size) {   /* "host:" without a number is legal: RFC 3986 §3.2.3 */
        uint64_t port;
        if (!sparp__str_number(sparp__str_skip(authority, colon + 1), 65535, &port) || port == 0)
            return !open && sparp__url_ipv6(authority) == NULL
                ? "url has an IPv6 address that is not in [ ]"
                : "url has a port that is not 1 to 65535";
        if (port != out->port)
            out->shown = authority;
        out->port = (uint16_t)port;
    }
    return sparp__url_host(sparp__str_make(authority.data, colon), &out->host);
}

/* Of the bytes that no url has, the first. */
static const char *sparp__url_bad(sparp__str text) {
    size_t i = 0;
    while ((sparp__url_class[(unsigned char)text.data[i]] & SPARP__URL_BAD) == 0)
        i++;
    return text.data[i] == ' ' ? "url has a raw space: write %20" : "url has a control character";
}

/* What all its bytes are, together. */
static unsigned sparp__url_classes(sparp__str text) {
    unsigned classes = 0;
    for (size_t i = 0; i < text.size; i++)
        classes |= sparp__url_class[(unsigned char)text.data[i]];
    return classes;
}

/* What stands behind the authority. */
static void sparp__url_tail(sparp__str tail, unsigned classes, sparp__url *out) {
    out->plain = (classes & SPARP__URL_ENCODE) == 0;
    out->path = tail;
    out->fragment = sparp__str_make(NULL, 0);
    if ((classes & SPARP__URL_HASH) == 0)
        return;
    const char *hash = (const char *)memchr(tail.data, '#', tail.size);
    out->path.size = (size_t)(hash - tail.data);
    out->fragment = sparp__str_skip(tail, out->path.size + 1);
}

/* NULL, or the sentence that says what is wrong. */
static const char *sparp__url_parse(sparp__str text, sparp__url *out) {
    unsigned classes = sparp__url_classes(text);
    size_t end = 0;
    memset(out, 0, sizeof *out);
    if ((classes & SPARP__URL_BAD) != 0)
        return sparp__url_bad(text);
    const char *wrong = sparp__url_scheme(&text, out);
    if (wrong != NULL)
        return wrong;
    while (end < text.size
           && (sparp__url_class[(unsigned char)text.data[end]] & SPARP__URL_END) == 0)
        end++;
    sparp__url_tail(sparp__str_skip(text, end), classes, out);
    return sparp__url_authority(sparp__str_make(text.data, end), out);
}

/* Most urls of a run begin as the one before: that part is not looked at twice. */
typedef struct sparp__url_memo {        /* zeroed: nothing yet */
    char        text[96];               /* "http://host:port" */
    size_t      size;
    sparp__url  url;                    /* host and shown are slices of text */
} sparp__url_memo;

static void sparp__url_remember(sparp__url_memo *memo, sparp__str text, const sparp__url *url) {
    size_t size = (size_t)(url->path.data - text.data);
    if (size > sizeof memo->text || url->userinfo.data != NULL)
        return;
    memcpy(memo->text, text.data, size);
    memo->size = size;
    memo->url = *url;
    memo->url.host.data = memo->text + (url->host.data - text.data);
    memo->url.shown.data = memo->text + (url->shown.data - text.data);
}

/* The same as sparp__url_parse(), quicker. *out may point into the memo. */
static const char *sparp__url_parse_next(sparp__url_memo *memo, sparp__str text, sparp__url *out) {
    if (memo->size > 0 && text.size > memo->size && memcmp(text.data, memo->text, memo->size) == 0
        && (sparp__url_class[(unsigned char)text.data[memo->size]] & SPARP__URL_END) != 0) {
        sparp__str tail = sparp__str_skip(text, memo->size);
        unsigned classes = sparp__url_classes(tail);
        *out = memo->url;
        sparp__url_tail(tail, classes, out);
        return (classes & SPARP__URL_BAD) != 0 ? sparp__url_bad(tail) : NULL;
    }
    const char *wrong = sparp__url_parse(text, out);
    if (wrong == NULL)
        sparp__url_remember(memo, text, out);
    return wrong;
}

static bool sparp__url_unreserved(char c) {
    return sparp__ascii_alpha(c) || sparp__ascii_digit(c)
        || c == '-' || c == '.' || c == '_' || c == '~';
}

/* Any reference by its parts (RFC 3986 §3 and §4.1). What is not there has no data; what is there
   and empty has: "a?" is not "a". */
typedef struct sparp__url_parts {
    sparp__str scheme, authority, path, query, fragment;
} sparp__url_parts;

/* Cuts off the first `mark` and what is behind it, and returns the latter. */
static sparp__str sparp__url_cut(sparp__str *text, char mark) {
    for (size_t i = 0; i < text->size; i++)
        if (text->data[i] == mark) {
            sparp__str tail = sparp__str_skip(*text, i + 1);
            text->size = i;
            return tail;
        }
    return sparp__str_make(NULL, 0);
}

static bool sparp__url_in_scheme(char c, bool first) {
    return sparp__ascii_alpha(c)
        || (!first && (sparp__ascii_digit(c) || c == '+' || c == '-' || c == '.'));
}

static sparp__url_parts sparp__url_split(sparp__str text) {
    sparp__url_parts p;
    size_t n = 0;
    memset(&p, 0, sizeof p);
    p.fragment = sparp__url_cut(&text, '#');
    p.query = sparp__url_cut(&text, '?');
    while (n < text.size && sparp__url_in_scheme(text.data[n], n == 0))
        n++;
    if (n > 0 && n < text.size && text.data[n] == ':') {
        p.scheme = sparp__str_make(text.data, n);
        text = sparp__str_skip(text, n + 1);
    }
    if (text.size >= 2 && text.data[0] == '/' && text.data[1] == '/') {
        for (n = 2; n < text.size && text.data[n] != '/'; n++)
            continue;
        p.authority = sparp__str_make(text.data + 2, n - 2);
        text = sparp__str_skip(text, n);
    }
    p.path = text;
    return p;
}

/* Takes "." and ".." out of a path, in place, and returns its new size (RFC 3986 §5.2.4). */
static size_t sparp__url_remove_dots(char *path, size_t size) {
    size_t to = 0, end;
    for (size_t from = 0; from < size; from = end) {
        size_t begin = from + (path[from] == '/' ? 1 : 0);
        for (end = begin; end < size && path[end] != '/'; end++)
            continue;
        size_t dots = end - begin;
        if (dots == 0 || dots > 2 || path[begin] != '.' || path[end - 1] != '.') {
            memmove(path + to, path + from, end - from);
            to += end - from;
        } else if (begin == from) {     /* at the very beginning: the slash goes as well */
            end += end < size ? 1 : 0;
        } else {
            while (dots == 2 && to > 0 && path[--to] != '/')
                continue;
            if (end == size)
                path[to++] = '/';
        }
    }
    return to;
}

/* A part, if it is there, with `before` in front of it and its raw spaces as %20. */
static bool sparp__url_add_part(sparp__env *env, sparp__buf *b, const char *before,
                                sparp__str part) {
    bool ok = part.data == NULL || sparp__buf_text(env, b, before);
    for (size_t from = 0, i = 0; ok && i < part.size; from = ++i) {
        while (i < part.size && part.data[i] != ' ')
            i++;
        ok = sparp__buf_append(env, b, part.data + from, i - from)
            && (i == part.size || sparp__buf_text(env, b, "%20"));
    }
    return ok;
}

/* A reference's path without its dots, behind the directory of `base` (RFC 3986 §5.2.3) unless
   that is NULL. */
static bool sparp__url_add_path(sparp__env *env, sparp__buf *b, const sparp__url_parts *base,
                                sparp__str path, bool has_authority) {
    size_t at = b->size;
    bool ok = true;
    if (base != NULL && path.data[0] != '/') {
        sparp__str dir = base->path;
        while (dir.size > 0 && dir.data[dir.size - 1] != '/')
            dir.size--;
        ok = base->authority.data != NULL && base->path.size == 0
            ? sparp__buf_byte(env, b, '/') : sparp__buf_add(env, b, dir);
    }
    ok = ok && sparp__url_add_part(env, b, "", path);
    if (!ok || b->size == at)
        return ok;
    b->size = at + sparp__url_remove_dots(b->data + at, b->size - at);
    if (has_authority || b->size < at + 2 || memcmp(b->data + at, "//", 2) != 0)
        return true;
    /* "//x" would now be an authority (RFC 3986 §3.3). There is room: what stood between these
       slashes, or before them, has just gone, and had two bytes or more. */
    memmove(b->data + at + 2, b->data + at, b->size - at);
    b->data[at + 1] = '.';
    b->size += 2;
    return true;
}

/* What `ref` means when it stands in `base`, which has a scheme: RFC 3986 §5.2, strictly; but a
   fragment of the base is inherited (RFC 9110 §10.2.2). Neither may point into `out`, whose
   content is replaced. false: out of memory. */
static bool sparp__url_resolve(sparp__env *env, sparp__buf *out, sparp__str base, sparp__str ref) {
    sparp__url_parts b = sparp__url_split(base), r = sparp__url_split(ref);
    bool whole = r.scheme.data != NULL, elsewhere = whole || r.authority.data != NULL;
    sparp__str authority = elsewhere ? r.authority : b.authority;
    bool same_path = !elsewhere && r.path.size == 0;
    out->size = 0;
    if (!sparp__buf_add(env, out, whole ? r.scheme : b.scheme) || !sparp__buf_byte(env, out, ':')
        || !sparp__url_add_part(env, out, "//", authority))
        return false;
    if (same_path && r.query.data == NULL)
        r.query = b.query;
    if (r.fragment.data == NULL)
        r.fragment = b.fragment;
    return (same_path ? sparp__buf_add(env, out, b.path)
                      : sparp__url_add_path(env, out, elsewhere ? NULL : &b, r.path,
                                            authority.data != NULL))
        && sparp__url_add_part(env, out, "?", r.query)
        && sparp__url_add_part(env, out, "#", r.fragment);
}

/* ============================================================================================ */
/* >>http       the response parser (RFC 9112), resumable at every byte. Bytes come in as slices; */
/*              one event at a time goes out; no descriptor, no clock. What is refused is        */
/*              refused at once. Uses buf, env.                                                  */
/* ============================================================================================ */

#define SPARP__HTTP_MAX_LINES 256       /* field lines of one head */

/*   STATUS --line--> FIELD --empty line--> READY --> LENGTH --> DONE
       ^                |                      |----> UNTIL_EOF --peer closes--> DONE
       '--1xx-----------'                      |----> CHUNK_SIZE --> CHUNK_DATA --> CHUNK_END -.
                                               |        ^  '--last chunk--> TRAILER --> DONE   |
                                               '> DONE  '--------------------------------------'
   Every state may go to BAD. */
typedef enum sparp__http_state {
    SPARP__HTTP_STATUS,                 /* waits for the rest of the status line */
    SPARP__HTTP_FIELD,                  /* for a field line, or the empty one that ends the head */
    SPARP__HTTP_READY,                  /* for nothing: the head is complete and reported */
    SPARP__HTTP_LENGTH,                 /* for `left` more bytes */
    SPARP__HTTP_UNTIL_EOF,              /* for bytes, until the peer closes */
    SPARP__HTTP_CHUNK_SIZE,             /* for the hex digits of a chunk-size line */
    SPARP__HTTP_CHUNK_PAD,              /* for what follows the blanks behind them */
    SPARP__HTTP_CHUNK_EXT,              /* for the CR that ends its extensions */
    SPARP__HTTP_CHUNK_LF,               /* for the LF behind that */
    SPARP__HTTP_CHUNK_DATA,             /* for `left` more bytes of this chunk */
    SPARP__HTTP_CHUNK_CR,               /* for the CR behind the chunk's data */
    SPARP__HTTP_CHUNK_END,              /* for the LF behind that */
    SPARP__HTTP_TRAILER,                /* for a trailer line, or the empty one that ends it all */
    SPARP__HTTP_DONE,                   /* for nothing: the response is complete */
    SPARP__HTTP_BAD                     /* for nothing: the fault says why */
} sparp__http_state;

typedef enum sparp__http_event {
    SPARP__HTTP_MORE,                   /* everything is eaten: feed more */
    SPARP__HTTP_GO_ON,                  /* not seen outside of this section */
    SPARP__HTTP_HEAD,                   /* the final head is complete */
    SPARP__HTTP_PIECE,                  /* a piece of the body */
    SPARP__HTTP_COMPLETE,               /* the response is; what is left does not belong to it */
    SPARP__HTTP_FAILED                  /* see fault */
} sparp__http_event;

typedef struct sparp__http {            /* zeroed, then sparp__http_start() */
    sparp__http_state state;
    sparp__buf   head;                  /* "name" NUL "value" NUL, again and again */
    sparp__buf   line;                  /* the part of a line that has come so far */
    sparp_field *fields;                /* point into head, surely once that is complete */
    size_t       num_fields, fields_capacity;
    size_t       fields_room;           /* head's capacity when the first was added */
    size_t       max_head, head_bytes;  /* limit and count: status line, fields, 1xx included */
    size_t       overhead;              /* chunk extensions and trailers: the same limit */
    uint64_t     left;                  /* bytes still to come: of the body, or of this chunk */
    int          status, digits;
    int          keep_alive_s;          /* what Keep-Alive: timeout= said; -1: nothing */
    bool         has_head;              /* status and fields are complete and stay so */
    bool         is_head_request, http10, keep_alive, chunked, has_length;
    bool         is_connect_request;    /* set behind sparp__http_start() */
    bool         told_continue;         /* 100 has come: the body is welcome */
    bool         skipped;               /* an interim response is over: for >>conn to note */
    bool         may_limit;             /* a name begins like one that >>quota reads */
    bool         dropped;               /* the last field line was, and so are its folds */
    sparp__fault fault;
} sparp__http;

static void sparp__http_free(sparp__env *env, sparp__http *h) {
    sparp__buf_free(env, &h->head);
    sparp__buf_free(env, &h->line);
    sparp__env_free(env, h->fields, h->fields_capacity * sizeof *h->fields);
    memset(h, 0, sizeof *h);
}

/* Nothing has come so far, or nothing but whole interim responses. */
static bool sparp__http_waits(const sparp__http *h) {
    return h->state == SPARP__HTTP_STATUS && h->line.size == 0;
}

static void sparp__http_start(sparp__env *env, sparp__http *h, bool is_head_request,
                              size_t max_head) {
    sparp__buf_reuse(env, &h->head);
    sparp__buf_reuse(env, &h->line);
    h->state = SPARP__HTTP_STATUS;
    h->num_fields = h->head_bytes = h->overhead = 0;
    h->max_head = max_head;
    h->left = 0;
    h->status = h->digits = 0;
    h->keep_alive_s = -1;
    h->is_head_request = is_head_request;
    h->is_connect_request = false;
    h->has_head = h->http10 = h->keep_alive = h->chunked = h->has_length = false;
    h->told_continue = h->skipped = h->dropped = h->may_limit = false;
    sparp__fault_clear(&h->fault);
}

SPARP__RARE static sparp__http_event sparp__http_bad(sparp__http *h, const char *what) {
    h->state = SPARP__HTTP_BAD;
    sparp__fault_set(&h->fault, SPARP_E_PROTOCOL, 0, "not valid HTTP/1.1: %s", what);
    return SPARP__HTTP_FAILED;
}

SPARP__RARE static sparp__http_event sparp__http_no_memory(sparp__http *h) {
    h->state = SPARP__HTTP_BAD;
    sparp__fault_memory(&h->fault);
    return SPARP__HTTP_FAILED;
}

SPARP__RARE static sparp__http_event sparp__http_too_large(sparp__http *h, const char *what) {
    h->state = SPARP__HTTP_BAD;
    sparp__fault_set(&h->fault, SPARP_E_HEAD_TOO_LARGE, 0, "%s exceeds max_head_bytes (%lu)", what,
                     (unsigned long)h->max_head);
    return SPARP__HTTP_FAILED;
}

/* A peer that speaks something else is known by its first bytes: no need to wait for a line, nor
   to collect one. `in` is what comes next of it. */
static sparp__http_event sparp__http_check_start(sparp__http *h, sparp__str in) {
    static const char start[] = "HTTP/1.";
    if (h->line.size == 0 && in.size >= 7 && memcmp(in.data, start, 7) == 0)
        return SPARP__HTTP_GO_ON;
    for (size_t i = h->line.size, k = 0; i < 7 && k < in.size; i++, k++) {
        if (in.data[k] == start[i])
            continue;
        if (i == 0 && (in.data[0] == 0x15 || in.data[0] == 0x16))
            return sparp__http_bad(h, "the peer speaks TLS");
        return sparp__http_bad(h, i < 5 ? "no status line" : "another HTTP version");
    }
    return SPARP__HTTP_GO_ON;
}

/* The next line, without its end, in *line: a slice of `in`, or of h->line if it came in parts.
   A bare LF ends a line too (RFC 9112 §2.2). */
static sparp__http_event sparp__http_take_line(sparp__env *env, sparp__http *h, sparp__str *in,
                                               size_t *count, sparp__str *line) {
    const char *lf = (const char *)memchr(in->data, '\n', in->size);
    size_t n = lf != NULL ? (size_t)(lf - in->data) + 1 : in->size;
    if (n > h->max_head - *count)
        return sparp__http_too_large(h, count == &h->overhead ? "trailer" : "response head");
    *count += n;
    if (lf == NULL || h->line.size > 0) {
        if (!sparp__buf_append(env, &h->line, in->data, n))
            return sparp__http_no_memory(h);
        *line = sparp__str_make(h->line.data, h->line.size);
    } else {
        *line = sparp__str_make(in->data, n);
    }
    *in = sparp__str_skip(*in, n);
    if (lf == NULL)
        return SPARP__HTTP_MORE;
    line->size--;
    if (line->size > 0 && line->data[line->size - 1] == '\r')
        line->size--;
    h->line.size = 0;                   /* the bytes stay there until the next call */
    return SPARP__HTTP_GO_ON;
}

static sparp__http_event sparp__http_on_status(sparp__http *h, sparp__str line) {
    uint64_t status;
    if (line.size < 12 || !sparp__ascii_digit(line.data[7]) || line.data[8] != ' '
        || !sparp__str_number(sparp__str_make(line.data + 9, 3), 999, &status)
        || status < 100 || (line.size > 12 && line.data[12] != ' '))
        return sparp__http_bad(h, "bad status line");
    for (size_t i = 12; i < line.size; i++)
        if (line.data[i] == '\0' || line.data[i] == '\r')
            return sparp__http_bad(h, "NUL or CR in the status line");
    h->http10 = line.data[7] == '0';
    h->status = (int)status;
    h->dropped = false;
    h->state = SPARP__HTTP_FIELD;
    return SPARP__HTTP_GO_ON;
}

static bool sparp__http_value_ok(sparp__str value) {
    return value.size == 0
        || (memchr(value.data, '\0', value.size) == NULL
            && memchr(value.data, '\r', value.size) == NULL);
}

/* obs-fold: a line that begins with a blank goes on with the value of the one before. A user
   agent must take it as a space (RFC 9112 §5.2). */
static sparp__http_event sparp__http_on_fold(sparp__env *env, sparp__http *h, sparp__str line) {
    sparp__str more = sparp__str_trim(line);
    if (h->num_fields == 0 && !h->dropped)
        return sparp__http_bad(h, "a blank before the first field");
    if (!sparp__http_value_ok(more))
        return sparp__http_bad(h, "NUL or CR in a field value");
    if (more.size == 0 || h->dropped)
        return SPARP__HTTP_GO_ON;
    h->head.size--;                     /* the NUL behind the value */
    bool empty = h->head.data[h->head.size - 1] == '\0';
    if ((!empty && !sparp__buf_byte(env, &h->head, ' ')) || !sparp__buf_add(env, &h->head, more)
        || !sparp__buf_byte(env, &h->head, '\0'))
        return sparp__http_no_memory(h);
    return SPARP__HTTP_GO_ON;
}

/* Room for one more of up to `size` bytes. */
static bool sparp__http_reserve_field(sparp__env *env, sparp__http *h, size_t size) {
    if (h->num_fields == h->fields_capacity) {
        size_t capacity = h->num_fields + 8;
        void *fields = sparp__env_realloc(env, h->fields, h->fields_capacity * sizeof *h->fields,
                                          capacity * sizeof *h->fields);
        if (fields == NULL)
            return false;
        h->fields = (sparp_field *)fields;
        h->fields_capacity = capacity;
    }
    return sparp__buf_reserve(env, &h->head, size + 2);
}

/* Whether somebody may read this name as one of the two that say where the body ends: only letters
   count, and not what else is in it. */
static bool sparp__http_like_framing(sparp__str name) {
    static const char *const words[] = {"contentlength", "transferencoding"};
    for (int k = 0; k < 2; k++)
        for (size_t from = 0; from < name.size; from++) {
            size_t n = 0;
            for (size_t i = from; i < name.size && words[k][n] != '\0'; i++)
                if (sparp__ascii_lower(name.data[i]) == words[k][n])
                    n++;
                else if (sparp__ascii_alpha(name.data[i]))
                    break;
            if (words[k][n] == '\0')
                return true;
        }
    return false;
}

/* RFC 9110 §9.3.6: a 2xx to CONNECT has no body, whatever its fields say of one. */
static bool sparp__http_opens_tunnel(const sparp__http *h) {
    return h->is_connect_request && h->status >= 200 && h->status < 300;
}

/* A blank in a name or behind it, as some servers send: nobody can tell which field is meant, so
   the line is dropped, unless it may be about framing (RFC 9112 §5.1). */
SPARP__RARE static sparp__http_event sparp__http_on_bad_name(sparp__env *env, sparp__http *h,
                                                             sparp__str line) {
    const char *colon = (const char *)memchr(line.data, ':', line.size);
    if (colon == NULL)
        return sparp__http_bad(h, "a field without a colon");
    if (colon == line.data)
        return sparp__http_bad(h, "a field without a name");
    sparp__str name = sparp__str_make(line.data, (size_t)(colon - line.data));
    for (size_t i = 0; i < name.size; i++)
        if (!sparp__ascii_token(name.data[i]) && name.data[i] != ' ' && name.data[i] != '\t')
            return sparp__http_bad(h, "a character in a field name that no name has");
    if (!sparp__http_opens_tunnel(h) && sparp__http_like_framing(name))
        return sparp__http_bad(h, "a blank in the name of a field that frames the body");
    if (!sparp__http_value_ok(sparp__str_skip(line, name.size)))
        return sparp__http_bad(h, "NUL or CR in a field value");
    sparp__env_log(env, SPARP_LOG_INFO, "a field line is dropped, its name has a blank: \"%.*s\"",
                   name.size < 60 ? (int)name.size : 60, name.data);
    h->dropped = true;
    return SPARP__HTTP_GO_ON;
}

static sparp__http_event sparp__http_on_field(sparp__env *env, sparp__http *h, sparp__str line) {
    if (line.data[0] == ' ' || line.data[0] == '\t')
        return sparp__http_on_fold(env, h, line);
    if (h->num_fields >= SPARP__HTTP_MAX_LINES)
        return sparp__http_too_large(h, "the number of fields (256)");
    if (!sparp__http_reserve_field(env, h, line.size))
        return sparp__http_no_memory(h);
    char *out = h->head.data + h->head.size, *end = out;
    const char *at = line.data;         /* up to the first byte that no name has, such as the one */
    while ((*end = sparp__token_fold[(unsigned char)*at++]) != '\0')    /* that ends the line */
        end++;
    size_t n = (size_t)(end - out);
    if (n == 0 || n == line.size || line.data[n] != ':')
        return sparp__http_on_bad_name(env, h, line);
    sparp__str value = sparp__str_skip(line, n + 1);
    if (value.size > 0 && *value.data == ' ')
        value = sparp__str_skip(value, 1);      /* as nearly all have it */
    if (value.size > 0 && (*value.data <= ' ' || value.data[value.size - 1] <= ' '))
        value = sparp__str_trim(value);
    if (!sparp__http_value_ok(value))
        return sparp__http_bad(h, "NUL or CR in a field value");
    out[n] = '\0';
    memcpy(out + n + 1, value.data, value.size);
    out[n + 1 + value.size] = '\0';
    h->head.size += n + value.size + 2;
    h->fields[h->num_fields].name = out;
    h->fields[h->num_fields].value = out + n + 1;
    h->dropped = false;
    if (h->num_fields++ == 0)
        h->fields_room = h->head.capacity;
    return SPARP__HTTP_GO_ON;
}

/* head has grown since the first of them was added: point into it anew. */
static void sparp__http_index_fields(sparp__http *h) {
    const char *at = h->head.data;
    for (size_t i = 0; i < h->num_fields; i++) {
        h->fields[i].name = at;
        h->fields[i].value = at += strlen(at) + 1;
        at += strlen(at) + 1;
    }
}

/* RFC 9112 §6.1: the one coding we take is "chunked", once. */
static sparp__http_event sparp__http_on_coding(sparp__http *h, sparp__str value) {
    sparp__str coding;
    while (sparp__str_element(&value, &coding)) {
        if (h->chunked || !sparp__str_same(coding, "chunked"))
            return sparp__http_bad(h, "an unknown transfer coding");
        h->chunked = true;
    }
    return h->chunked ? SPARP__HTTP_GO_ON : sparp__http_bad(h, "an empty transfer coding");
}

/* RFC 9112 §6.3 rule 5: a list of equal lengths is one length. Here no element may be empty. */
static sparp__http_event sparp__http_on_length(sparp__http *h, sparp__str value) {
    uint64_t length;
    if (value.size == 0)
        return sparp__http_bad(h, "an empty Content-Length");
    for (const char *comma = value.data; comma != NULL;) {
        comma = (const char *)memchr(value.data, ',', value.size);
        size_t n = comma != NULL ? (size_t)(comma - value.data) : value.size;
        if (!sparp__str_number(sparp__str_trim(sparp__str_make(value.data, n)), INT64_MAX,
                               &length))
            return sparp__http_bad(h, "a Content-Length that is not a number");
        if (h->has_length && length != h->left)
            return sparp__http_bad(h, "two different Content-Lengths");
        h->left = length;
        h->has_length = true;
        value = sparp__str_skip(value, comma != NULL ? n + 1 : n);
    }
    return SPARP__HTTP_GO_ON;
}

/* RFC 9112 §9.3: 1.1 stays open unless it says close, 1.0 closes unless it says keep-alive. */
static void sparp__http_on_connection(sparp__str value, bool *close, bool *keep) {
    sparp__str option;
    if (value.size == 10 && memcmp(value.data, "keep-alive", 10) == 0) {
        *keep = true;                   /* as most servers say it */
        return;
    }
    while (sparp__str_element(&value, &option)) {
        *close = *close || sparp__str_same(option, "close");
        *keep = *keep || sparp__str_same(option, "keep-alive");
    }
}

static void sparp__http_on_keep_alive(sparp__http *h, sparp__str value, bool *close) {
    sparp__str parameter;
    uint64_t n;
    while (sparp__str_element(&value, &parameter)) {
        if (parameter.size > 8 && sparp__str_same(sparp__str_make(parameter.data, 8), "timeout=")
            && sparp__str_number(sparp__str_skip(parameter, 8), 3600, &n))
            h->keep_alive_s = (int)n;
        if (sparp__str_same(parameter, "max=0"))
            *close = true;
    }
}

/* ratelimit..., x-rate..., x-hubspot..., x-shopify..., anthropic...: all that >>quota reads begins
   like this, and little else. */
static bool sparp__http_may_limit(const char *name) {
    if (name[0] == 'x')
        return name[1] == '-' && ((name[2] == 'r' && name[3] == 'a')
            || (name[2] == 'h' && name[3] == 'u') || (name[2] == 's' && name[3] == 'h'));
    return (name[0] == 'r' && name[1] == 'a') || (name[0] == 'a' && name[1] == 'n');
}

/* What the fields say about framing and reuse. */
static sparp__http_event sparp__http_read_fields(sparp__http *h) {
    sparp__http_event event = SPARP__HTTP_GO_ON;
    bool close = false, keep = false, frames = !sparp__http_opens_tunnel(h);
    for (size_t i = 0; i < h->num_fields && event == SPARP__HTTP_GO_ON; i++) {
        const char *name = h->fields[i].name;
        const char *value = h->fields[i].value;
        size_t length = (size_t)(value - name) - 1;
        if (frames && length == 14 && memcmp(name, "content-length", 14) == 0)
            event = sparp__http_on_length(h, sparp__str_of(value));
        else if (frames && length == 17 && memcmp(name, "transfer-encoding", 17) == 0)
            event = sparp__http_on_coding(h, sparp__str_of(value));
        else if (length == 10 && memcmp(name, "connection", 10) == 0)
            sparp__http_on_connection(sparp__str_of(value), &close, &keep);
        else if (length == 10 && memcmp(name, "keep-alive", 10) == 0)
            sparp__http_on_keep_alive(h, sparp__str_of(value), &close);
        else if (length >= 9 && sparp__http_may_limit(name))
            h->may_limit = true;
    }
    h->keep_alive = !close && (keep || !h->http10);
    return event;
}

/* RFC 9112 §6.3, in its order. */
static void sparp__http_frame_body(sparp__http *h) {
    if (sparp__http_opens_tunnel(h)) {
        h->state = SPARP__HTTP_DONE;
        return;
    }
    if (h->chunked && (h->has_length || h->http10))
        h->keep_alive = false;          /* §6.1: somebody on the way may read it otherwise */
    if (h->status == 204 && (h->chunked || h->left > 0))
        h->keep_alive = false;          /* RFC 9110 §8.6: it has none; some send one */
    if (h->is_head_request || h->status == 204 || h->status == 304) {
        h->left = 0;
        h->state = SPARP__HTTP_DONE;
    } else if (h->chunked) {
        h->left = 0;
        h->state = SPARP__HTTP_CHUNK_SIZE;
    } else if (h->has_length) {
        h->state = h->left > 0 ? SPARP__HTTP_LENGTH : SPARP__HTTP_DONE;
    } else {
        h->keep_alive = false;
        h->state = SPARP__HTTP_UNTIL_EOF;
    }
}

static sparp__http_event sparp__http_on_head_end(sparp__http *h) {
    if (h->status == 101)
        return sparp__http_bad(h, "101 without an Upgrade request");
    if (h->status < 200) {              /* RFC 9110 §15.2: skip it, the final one follows */
        h->told_continue = h->told_continue || h->status == 100;
        h->skipped = true;
        h->head.size = h->num_fields = 0;
        h->state = SPARP__HTTP_STATUS;
        return SPARP__HTTP_GO_ON;
    }
    if (h->fields_room != h->head.capacity)
        sparp__http_index_fields(h);
    if (sparp__http_read_fields(h) == SPARP__HTTP_FAILED)
        return SPARP__HTTP_FAILED;
    h->has_head = true;
    h->state = SPARP__HTTP_READY;
    return SPARP__HTTP_HEAD;
}

/* Status line, field lines, trailer lines. */
static sparp__http_event sparp__http_feed_line(sparp__env *env, sparp__http *h, sparp__str *in) {
    sparp__str line = sparp__str_make(NULL, 0);
    bool trailer = h->state == SPARP__HTTP_TRAILER;
    size_t room = h->max_head - h->head_bytes;
    if (h->state == SPARP__HTTP_STATUS
        && sparp__http_check_start(h, sparp__str_make(in->data, in->size < room ? in->size : room))
            == SPARP__HTTP_FAILED)
        return SPARP__HTTP_FAILED;
    sparp__http_event event =
        sparp__http_take_line(env, h, in, trailer ? &h->overhead : &h->head_bytes, &line);
    if (event != SPARP__HTTP_GO_ON)
        return event;
    if (h->state == SPARP__HTTP_STATUS)
        return sparp__http_on_status(h, line);
    if (line.size > 0)                  /* trailers are bounded and dropped (RFC 9110 §6.5.1) */
        return trailer ? SPARP__HTTP_GO_ON : sparp__http_on_field(env, h, line);
    if (!trailer)
        return sparp__http_on_head_end(h);
    h->state = SPARP__HTTP_DONE;
    return SPARP__HTTP_GO_ON;
}

static sparp__http_event sparp__http_feed_piece(sparp__http *h, sparp__str *in,
                                                sparp__str *piece) {
    bool until_eof = h->state == SPARP__HTTP_UNTIL_EOF;
    size_t n = until_eof || h->left > in->size ? in->size : (size_t)h->left;
    *piece = sparp__str_make(in->data, n);
    *in = sparp__str_skip(*in, n);
    if (!until_eof && (h->left -= n) == 0)
        h->state = h->state == SPARP__HTTP_LENGTH ? SPARP__HTTP_DONE : SPARP__HTTP_CHUNK_CR;
    return SPARP__HTTP_PIECE;
}

/* What may stand behind a chunk's size: some servers pad it with blanks. */
static sparp__http_event sparp__http_on_chunk_pad(sparp__http *h, char c) {
    if (c == '\r')
        h->state = SPARP__HTTP_CHUNK_LF;
    else if (c == ';')
        h->state = SPARP__HTTP_CHUNK_EXT;
    else if (c != ' ' && c != '\t')
        return sparp__http_bad(h, "a bad chunk size");
    else if (++h->overhead > h->max_head)
        return sparp__http_too_large(h, "chunk overhead");
    else
        h->state = SPARP__HTTP_CHUNK_PAD;
    return SPARP__HTTP_GO_ON;
}

/* A hex digit, or what ends them. Bytes that say nothing (leading zeros beyond reason, blanks,
   extensions) are overhead, which has a limit. */
static sparp__http_event sparp__http_on_chunk_size(sparp__http *h, char c) {
    int value = sparp__hex_value(c);
    if (value >= 0) {
        if (h->left > (uint64_t)(INT64_MAX >> 4))
            return sparp__http_bad(h, "a chunk size beyond all measure");
        h->left = h->left << 4 | (uint64_t)value;
        if (++h->digits > 16 && ++h->overhead > h->max_head)
            return sparp__http_too_large(h, "chunk overhead");
        return SPARP__HTTP_GO_ON;
    }
    return h->digits > 0 ? sparp__http_on_chunk_pad(h, c)
                         : sparp__http_bad(h, "a chunk without a size");
}

static sparp__http_event sparp__http_on_chunk_byte(sparp__http *h, char c) {
    switch (h->state) {
    case SPARP__HTTP_CHUNK_SIZE:
        return sparp__http_on_chunk_size(h, c);
    case SPARP__HTTP_CHUNK_PAD:
        return sparp__http_on_chunk_pad(h, c);
    case SPARP__HTTP_CHUNK_EXT:
        if (c == '\n' || c == '\0')
            return sparp__http_bad(h, "a bad chunk extension");
        if (++h->overhead > h->max_head)
            return sparp__http_too_large(h, "chunk overhead");
        if (c == '\r')
            h->state = SPARP__HTTP_CHUNK_LF;
        return SPARP__HTTP_GO_ON;
    case SPARP__HTTP_CHUNK_LF:
        if (c != '\n')
            return sparp__http_bad(h, "a chunk size line without its LF");
        h->digits = 0;
        h->state = h->left > 0 ? SPARP__HTTP_CHUNK_DATA : SPARP__HTTP_TRAILER;
        return SPARP__HTTP_GO_ON;
    case SPARP__HTTP_CHUNK_CR:
        if (c != '\r')
            return sparp__http_bad(h, "a chunk longer than its size");
        h->state = SPARP__HTTP_CHUNK_END;
        return SPARP__HTTP_GO_ON;
    default:
        if (c != '\n')
            return sparp__http_bad(h, "a chunk without its end");
        h->state = SPARP__HTTP_CHUNK_SIZE;
        return SPARP__HTTP_GO_ON;
    }
}

static bool sparp__http_wants(sparp__http_state state) {
    return state != SPARP__HTTP_READY && state < SPARP__HTTP_DONE;
}

/* Eats from *in, at most up to the next event. A PIECE is a slice of what was given. */
static sparp__http_event sparp__http_feed(sparp__env *env, sparp__http *h, sparp__str *in,
                                          sparp__str *piece) {
    sparp__http_event event = SPARP__HTTP_GO_ON;
    while (event == SPARP__HTTP_GO_ON) {
        if (in->size == 0 && sparp__http_wants(h->state))
            return SPARP__HTTP_MORE;
        switch (h->state) {
        case SPARP__HTTP_READY:
            sparp__http_frame_body(h);
            break;
        case SPARP__HTTP_DONE:
            return SPARP__HTTP_COMPLETE;
        case SPARP__HTTP_BAD:
            return SPARP__HTTP_FAILED;
        case SPARP__HTTP_STATUS:
        case SPARP__HTTP_FIELD:
        case SPARP__HTTP_TRAILER:
            event = sparp__http_feed_line(env, h, in);
            break;
        case SPARP__HTTP_LENGTH:
        case SPARP__HTTP_UNTIL_EOF:
        case SPARP__HTTP_CHUNK_DATA:
            event = sparp__http_feed_piece(h, in, piece);
            break;
        default:
            event = sparp__http_on_chunk_byte(h, in->data[0]);
            *in = sparp__str_skip(*in, 1);
        }
    }
    return event;
}

/* The peer has closed: COMPLETE where that is how the body ends, else FAILED. */
static sparp__http_event sparp__http_feed_eof(sparp__http *h) {
    if (h->state == SPARP__HTTP_UNTIL_EOF)
        h->state = SPARP__HTTP_DONE;
    if (h->state == SPARP__HTTP_DONE)
        return SPARP__HTTP_COMPLETE;
    if (h->state == SPARP__HTTP_BAD)
        return SPARP__HTTP_FAILED;
    if (h->state <= SPARP__HTTP_FIELD)
        sparp__fault_set(&h->fault, SPARP_E_CLOSED, 0, h->head_bytes == 0
                         ? "peer closed the connection without an answer"
                         : "peer closed the connection in the middle of the response head");
    else
        sparp__fault_set(&h->fault, SPARP_E_TRUNCATED, 0,
                         "peer closed the connection in the middle of the body");
    h->state = SPARP__HTTP_BAD;
    return SPARP__HTTP_FAILED;
}

/* ============================================================================================ */
/* >>inflate    gzip (RFC 1952) and deflate (RFC 1950, RFC 1951), resumable at every byte, with  */
/*              SPARP_ZLIB. Uses env.                                                            */
/* ============================================================================================ */

#if SPARP__ZLIB

#define SPARP__INFLATE_SIZE 32768       /* decoded bytes at once: the bound of what a bomb does */
#define SPARP__INFLATE_HEAD 16          /* before each block of zlib: its size */

/*   gzip: DATA --end of a member--> ENDED --first byte of another--> DATA
                                       '----- a zero ------> PADDING
     deflate: FIRST --> SECOND --> DATA --end--> PADDING
   Every state may go to BROKEN, and DATA to STARVED. */
typedef enum sparp__inflate_state {
    SPARP__INFLATE_FIRST,               /* waits for the first byte of deflate */
    SPARP__INFLATE_SECOND,              /* for the second, which tells zlib's format from raw */
    SPARP__INFLATE_DATA,                /* for more */
    SPARP__INFLATE_ENDED,               /* for another member, zeros, or nothing */
    SPARP__INFLATE_PADDING,             /* for zeros, or nothing */
    SPARP__INFLATE_BROKEN,              /* for nothing: `why` says why */
    SPARP__INFLATE_STARVED              /* for nothing: there was no memory */
} sparp__inflate_state;

typedef enum sparp__inflate_event {
    SPARP__INFLATE_PIECE,               /* decoded bytes */
    SPARP__INFLATE_MORE,                /* everything is eaten: feed more */
    SPARP__INFLATE_BAD,                 /* see why */
    SPARP__INFLATE_NO_MEMORY
} sparp__inflate_event;

typedef enum sparp__inflate_coding {
    SPARP__INFLATE_OTHER, SPARP__INFLATE_GZIP, SPARP__INFLATE_DEFLATE
} sparp__inflate_coding;

typedef struct sparp__inflate {
    struct sparp__inflate *next;        /* among those not in use: see sparp.inflaters */
    z_stream             z;
    sparp__inflate_state state;
    bool                 gzip, began;
    char                 first;
    const char          *why;           /* of the body: "is not ..." */
    char                 out[SPARP__INFLATE_SIZE];
} sparp__inflate;

static voidpf sparp__inflate_alloc(voidpf env, uInt items, uInt size) {
    if (size > 0 && (size_t)items > (SIZE_MAX - SPARP__INFLATE_HEAD) / size)
        return NULL;
    size_t whole = SPARP__INFLATE_HEAD + (size_t)items * size;
    char *block = (char *)sparp__env_realloc((sparp__env *)env, NULL, 0, whole);
    if (block == NULL)
        return NULL;
    memcpy(block, &whole, sizeof whole);
    return block + SPARP__INFLATE_HEAD;
}

static void sparp__inflate_release(voidpf env, voidpf ptr) {
    char *block = (char *)ptr - SPARP__INFLATE_HEAD;
    size_t whole;
    memcpy(&whole, block, sizeof whole);
    sparp__env_free((sparp__env *)env, block, whole);
}

/* One coding that we know, and "identity" as often as they like (RFC 9110 §8.4.1). */
static sparp__inflate_coding sparp__inflate_coding_of(sparp__str content_encoding) {
    sparp__inflate_coding coding = SPARP__INFLATE_OTHER;
    sparp__str element;
    while (sparp__str_element(&content_encoding, &element)) {
        if (sparp__str_same(element, "identity"))
            continue;
        if (coding != SPARP__INFLATE_OTHER)
            return SPARP__INFLATE_OTHER;
        if (sparp__str_same(element, "deflate"))
            coding = SPARP__INFLATE_DEFLATE;
        else if (sparp__str_same(element, "gzip") || sparp__str_same(element, "x-gzip"))
            coding = SPARP__INFLATE_GZIP;
        else
            return SPARP__INFLATE_OTHER;
    }
    return coding;
}

/* false: such a body is delivered as it is. */
static bool sparp__inflate_wants(sparp__str content_encoding) {
    return sparp__inflate_coding_of(content_encoding) != SPARP__INFLATE_OTHER;
}

/* NULL: out of memory. `env` must stay where it is. */
static sparp__inflate *sparp__inflate_new(sparp__env *env) {
    sparp__inflate *z = (sparp__inflate *)sparp__env_zalloc(env, sizeof *z);
    if (z == NULL)
        return NULL;
    z->z.zalloc = sparp__inflate_alloc;
    z->z.zfree = sparp__inflate_release;
    z->z.opaque = env;
    if (inflateInit2(&z->z, MAX_WBITS) == Z_OK)
        return z;
    sparp__env_free(env, z, sizeof *z);
    return NULL;
}

static void sparp__inflate_free(sparp__env *env, sparp__inflate *z) {
    if (z == NULL)
        return;
    inflateEnd(&z->z);
    sparp__env_free(env, z, sizeof *z);
}

/* For a new body; z may have decoded another one, to its end or not. */
static bool sparp__inflate_start(sparp__inflate *z, sparp__str content_encoding) {
    sparp__inflate_coding coding = sparp__inflate_coding_of(content_encoding);
    z->gzip = coding == SPARP__INFLATE_GZIP;
    z->state = z->gzip ? SPARP__INFLATE_DATA : SPARP__INFLATE_FIRST;
    z->began = false;
    z->why = NULL;
    return coding != SPARP__INFLATE_OTHER
        && inflateReset2(&z->z, MAX_WBITS + (z->gzip ? 16 : 0)) == Z_OK;
}

static void sparp__inflate_break(sparp__inflate *z, const char *why) {
    z->state = SPARP__INFLATE_BROKEN;
    z->why = why;
}

/* As far as the input or the buffer goes. What comes out before an error is still a piece, so that
   how much was decoded does not depend on how the input was cut. */
static void sparp__inflate_run(sparp__inflate *z, sparp__str *in, sparp__str *piece) {
    size_t n = in->size < UINT_MAX ? in->size : UINT_MAX;
    z->z.next_in = (Bytef *)(uintptr_t)in->data;    /* const, if the includer told zlib.h so */
    z->z.avail_in = (uInt)n;
    z->z.next_out = (Bytef *)z->out;
    z->z.avail_out = sizeof z->out;
    int code = inflate(&z->z, Z_NO_FLUSH);
    if (n > 0)
        *in = sparp__str_skip(*in, n - z->z.avail_in);
    *piece = sparp__str_make(z->out, sizeof z->out - z->z.avail_out);
    if (code == Z_STREAM_END)
        z->state = z->gzip ? SPARP__INFLATE_ENDED : SPARP__INFLATE_PADDING;
    else if (code == Z_MEM_ERROR)
        z->state = SPARP__INFLATE_STARVED;
    else if (code == Z_NEED_DICT)
        sparp__inflate_break(z, "needs a dictionary that nobody has");
    else if (code != Z_OK && !(code == Z_BUF_ERROR && n == 0))
        sparp__inflate_break(z, z->gzip ? "is not valid gzip data" : "is not valid deflate data");
}

/* "deflate" means zlib's format, but some servers send what is inside of it (RFC 9110 §8.4.1.2).
   The header of the former is a check of itself: RFC 1950 §2.2. */
static void sparp__inflate_choose(sparp__inflate *z, char second) {
    unsigned cmf = (unsigned char)z->first, flg = (unsigned char)second;
    bool wrapped = (cmf & 15) == Z_DEFLATED && cmf >> 4 <= MAX_WBITS - 8
        && (cmf * 256 + flg) % 31 == 0;
    sparp__str byte = sparp__str_make(&z->first, 1), nothing;
    inflateReset2(&z->z, wrapped ? MAX_WBITS : -MAX_WBITS);
    z->state = SPARP__INFLATE_DATA;
    sparp__inflate_run(z, &byte, &nothing);     /* no byte comes out of one, in either format */
}

/* Where the data begins or has ended. */
static void sparp__inflate_on_byte(sparp__inflate *z, sparp__str *in) {
    char c = in->data[0];
    if (z->state == SPARP__INFLATE_SECOND) {
        sparp__inflate_choose(z, c);
        return;
    }
    if (z->state == SPARP__INFLATE_ENDED && c == 0x1F) {
        inflateReset(&z->z);
        z->state = SPARP__INFLATE_DATA;
        return;
    }
    *in = sparp__str_skip(*in, 1);
    if (z->state == SPARP__INFLATE_FIRST) {
        z->first = c;
        z->state = SPARP__INFLATE_SECOND;
    } else if (c == '\0') {
        z->state = SPARP__INFLATE_PADDING;
    } else {
        sparp__inflate_break(z, z->gzip ? "has other bytes behind its gzip data"
                                        : "has other bytes behind its deflate data");
    }
}

/* Eats from *in, at most up to the next event. A PIECE is a slice of z's own buffer and stands
   until the next call; there may be more of it while *in is empty already. */
static sparp__inflate_event sparp__inflate_feed(sparp__inflate *z, sparp__str *in,
                                                sparp__str *piece, const char **why) {
    z->began = z->began || in->size > 0;
    for (;;) {
        switch (z->state) {
        case SPARP__INFLATE_BROKEN:
            *why = z->why;
            return SPARP__INFLATE_BAD;
        case SPARP__INFLATE_STARVED:
            return SPARP__INFLATE_NO_MEMORY;
        case SPARP__INFLATE_DATA:
            sparp__inflate_run(z, in, piece);
            if (piece->size > 0)
                return SPARP__INFLATE_PIECE;
            if (z->state == SPARP__INFLATE_DATA && in->size == 0)
                return SPARP__INFLATE_MORE;
            break;
        default:
            if (in->size == 0)
                return SPARP__INFLATE_MORE;
            sparp__inflate_on_byte(z, in);
        }
    }
}

/* The body is over. NULL: so is the data, or nothing at all came; else what is wrong with it. */
static const char *sparp__inflate_end(const sparp__inflate *z) {
    if (z->state == SPARP__INFLATE_BROKEN)
        return z->why;
    if (z->state == SPARP__INFLATE_STARVED)
        return "could not be decoded: out of memory";
    if (!z->began || z->state == SPARP__INFLATE_ENDED || z->state == SPARP__INFLATE_PADDING)
        return NULL;
    return z->gzip ? "ends in the middle of the gzip data"
                   : "ends in the middle of the deflate data";
}

#endif

/* ============================================================================================ */
/* >>wake       a pipe that wakes the loop, from any thread and from a signal handler. Uses env. */
/* ============================================================================================ */

typedef struct sparp__wake {            /* zeroed: closed */
    int  fd[2];                         /* [1] is written to wake whoever waits for [0] */
    bool is_open;
} sparp__wake;

/* Also for sockets, where they cannot be made so at once. */
static bool sparp__wake_prepare_fd(int fd) {
    int flags = SPARP__SYS_FCNTL(fd, F_GETFL, 0);
    return flags >= 0 && SPARP__SYS_FCNTL(fd, F_SETFL, flags | O_NONBLOCK) == 0
        && SPARP__SYS_FCNTL(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static void sparp__wake_close(sparp__wake *w) {
    if (!w->is_open)
        return;
    SPARP__SYS_CLOSE(w->fd[0]);
    SPARP__SYS_CLOSE(w->fd[1]);
    w->is_open = false;
}

/* On false, too, it is for sparp__wake_close. */
static bool sparp__wake_open(sparp__wake *w, sparp__fault *fault) {
    if (SPARP__SYS_PIPE(w->fd) != 0)
        return sparp__fault_set(fault, SPARP_E_SYSTEM, errno, "pipe: %s", strerror(errno));
    w->is_open = true;
    return (sparp__wake_prepare_fd(w->fd[0]) && sparp__wake_prepare_fd(w->fd[1]))
        || sparp__fault_set(fault, SPARP_E_SYSTEM, errno, "fcntl: %s", strerror(errno));
}

/* A full pipe is as good: the loop will wake. */
static void sparp__wake_write(const sparp__wake *w, const char *why) {
    int keep = errno;
    while (SPARP__SYS_WRITE(w->fd[1], why, 1) < 0 && errno == EINTR)
        continue;
    errno = keep;
}

static void sparp__wake_send(const sparp__wake *w) {
    sparp__wake_write(w, "");
}

/* The user's word that there is news for callbacks that had said: later. */
static void sparp__wake_send_news(const sparp__wake *w) {
    sparp__wake_write(w, "u");
}

/* Empties it. True: there is news from the user. */
static bool sparp__wake_drain(const sparp__wake *w) {
    char drain[256];
    bool news = false;
    for (ssize_t n = sizeof drain; n > 0;) {
        n = SPARP__SYS_READ(w->fd[0], drain, sizeof drain);
        news = news || (n > 0 && memchr(drain, 'u', (size_t)n) != NULL);
    }
    return news;
}

/* ============================================================================================ */
/* >>resolve    names to addresses: getaddrinfo on helper threads, one lookup per name at a time, */
/*              a cache. Literals need none of it. Uses env, url, wake.                          */
/*                                                                                               */
/* getaddrinfo cannot be interrupted. What a thread touches therefore lives in `shared`, which   */
/* the last one to leave frees, and comes from malloc: a thread may outlive the run and its      */
/* allocator. A few names whose servers do not answer must not hold up the others: while the     */
/* queue stands still there are more threads, and those that nobody waits for do not count.      */
/* ============================================================================================ */

#define SPARP__DNS_THREADS 8            /* look names up at one time ... */
#define SPARP__DNS_MAX_THREADS 64       /* ... and while the queue stands still: so many more, */
#define SPARP__DNS_STEP 8               /*     after each */
#define SPARP__DNS_STALL_NS (100 * SPARP__NS_PER_MS)
#define SPARP__DNS_MAX_STUCK 192        /* whom nobody waits for: more of them count after all */
#define SPARP__DNS_MAX_NAMES 1024       /* cached; names in use are kept above that */
#define SPARP__DNS_MAX_ADDRESSES 64     /* of one name */
#define SPARP__DNS_KEEP_NS (60 * SPARP__NS_PER_S)
#define SPARP__DNS_KEEP_FAILED_NS (1 * SPARP__NS_PER_S)
#define SPARP__DNS_BUCKETS 256          /* a power of two */

typedef struct sparp__address {
    union {
        struct sockaddr     any;
        struct sockaddr_in  v4;
        struct sockaddr_in6 v6;
    } to;
    socklen_t size;
    const char *path;                   /* of a Unix socket; NULL: it is one of the others */
} sparp__address;

typedef struct sparp__dns_job {         /* what goes to a thread and comes back */
    sparp__link     link;               /* in todo, or in done */
    struct sparp__lookup *lookup;       /* not for the thread */
    int64_t         started_at;         /* when a thread took it; NEVER: it is in todo */
    bool            ended, unwanted;    /* is in done; is with a thread, but for nobody */
    int             family;             /* AF_UNSPEC: whatever the machine has */
    int             error, sys_error;   /* EAI_*, and errno with EAI_SYSTEM */
    size_t          count;
    sparp__address  addresses[SPARP__DNS_MAX_ADDRESSES];
    char            host[SPARP__HOST_MAX + 1];
} sparp__dns_job;

typedef struct sparp__dns_shared {
    sparp__lock     lock;
    sparp__list     todo, done;         /* jobs */
    int64_t         moved_at;           /* when the head of todo last changed */
    int             threads, stuck;     /* all; those with an unwanted job */
    bool            closed;
    const sparp__wake *wake;            /* the loop's; not looked at once closed */
} sparp__dns_shared;

typedef struct sparp__lookup {          /* one name */
    struct sparp__lookup *chain;        /* in its hash bucket */
    sparp__link     age;                /* in the list of all, oldest first */
    sparp__list     waiters;            /* who is to be told, see >>conn */
    size_t          users;              /* pinned while not 0 */
    struct sparp__resolver *resolver;
    sparp__dns_job *job;                /* while pending */
    bool            pending;
    int64_t         started_at;         /* of the last: see sparp__resolver_started */
    int64_t         expires;
    sparp__fault    fault;              /* why there are no addresses */
    sparp__address *addresses;
    size_t          count;
    char            host[SPARP__HOST_MAX + 1];
} sparp__lookup;

typedef struct sparp__resolver {        /* zeroed: closed */
    sparp__dns_shared *shared;
    sparp__lookup     *table[SPARP__DNS_BUCKETS];
    sparp__list        ages;
    int                family;          /* the one to be asked for; AF_UNSPEC: both */
    size_t             pending;         /* lookups */
} sparp__resolver;

static void sparp__dns_free_jobs(sparp__list *jobs) {
    sparp__link *link;
    while ((link = sparp__list_pop_front(jobs)) != NULL)
        SPARP__SYS_FREE(SPARP__OWNER(sparp__dns_job, link, link));
}

static void sparp__dns_free_shared(sparp__dns_shared *shared) {
    sparp__dns_free_jobs(&shared->todo);
    sparp__dns_free_jobs(&shared->done);
    sparp__lock_close(&shared->lock);
    SPARP__SYS_FREE(shared);
}

/* Alternating families, beginning with the one the system prefers (RFC 8305 §4). */
static void sparp__dns_interleave(sparp__address *list, size_t count) {
    for (size_t i = 1; i < count; i++) {
        size_t j = i;
        while (j < count && list[j].to.any.sa_family == list[i - 1].to.any.sa_family)
            j++;
        if (j == count)
            return;
        sparp__address other = list[j];
        for (; j > i; j--)
            list[j] = list[j - 1];
        list[i] = other;
    }
}

/* An address of IPv6 by which more than this machine can be reached, as AI_ADDRCONFIG means it
   (RFC 3493 §6.1). That flag itself will not do: glibc lets it hide what /etc/hosts says of ::1,
   and takes a link-local address for IPv6; musl takes ::1 for it. */
static bool sparp__dns_has_ipv6(void) {
#if SPARP__IFADDRS
    struct ifaddrs *all = NULL;
    bool has = SPARP__SYS_GETIFADDRS(&all) != 0;        /* who knows */
    for (const struct ifaddrs *i = all; i != NULL && !has; i = i->ifa_next) {
        if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET6)
            continue;
        struct sockaddr_in6 v6;
        memcpy(&v6, i->ifa_addr, sizeof v6);
        has = !IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) && !IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr);
    }
    if (all != NULL)
        SPARP__SYS_FREEIFADDRS(all);
    return has;
#else
    return true;
#endif
}

/* Whether /etc/hosts knows the name: then both families cost no question to a server. */
static bool sparp__dns_in_hosts(const char *host) {
    char bytes[1024];
    size_t at = 0, size = strlen(host);
    bool comment = false, other = false, found = false;
    int fd = open(SPARP__HOSTS_FILE, O_RDONLY | O_CLOEXEC);
    for (ssize_t n = 1; fd >= 0 && !found && n > 0;) {
        n = read(fd, bytes, sizeof bytes);
        for (ssize_t i = 0; i < n && !found; i++) {
            char c = bytes[i];
            if (strchr(" \t\r\n#", c) != NULL) {
                found = !comment && !other && at == size;
                comment = c != '\n' && (comment || c == '#');
                other = false;
                at = 0;
            } else if (at < size && sparp__ascii_lower(c) == sparp__ascii_lower(host[at])) {
                at++;
            } else {
                other = true;
            }
        }
    }
    if (fd >= 0)
        close(fd);
    return found || (!comment && !other && at == size);
}

static void sparp__dns_ask(sparp__dns_job *job, int family) {
    struct addrinfo hints, *found = NULL;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    job->error = SPARP__SYS_GETADDRINFO(job->host, NULL, &hints, &found);
    job->sys_error = job->error == EAI_SYSTEM ? errno : 0;
    if (job->error != 0)
        return;
    for (struct addrinfo *a = found; a != NULL; a = a->ai_next) {
        if (job->count == SPARP__DNS_MAX_ADDRESSES)
            break;
        if ((a->ai_family != AF_INET && a->ai_family != AF_INET6)
            || a->ai_addrlen > sizeof job->addresses[0].to)
            continue;
        memset(&job->addresses[job->count], 0, sizeof job->addresses[0]);
        memcpy(&job->addresses[job->count].to, a->ai_addr, a->ai_addrlen);
        job->addresses[job->count++].size = a->ai_addrlen;
    }
    SPARP__SYS_FREEADDRINFO(found);
    sparp__dns_interleave(job->addresses, job->count);
}

/* There is no such name, or it has no address of that family. */
static bool sparp__dns_absent(int error) {
#if defined(__linux__)
    if (error == -5 || error == -9)     /* EAI_NODATA, EAI_ADDRFAMILY: their names are hidden */
        return true;
#endif
#ifdef EAI_NODATA
    if (error == EAI_NODATA)
        return true;
#endif
    return error == EAI_NONAME;
}

/* Where IPv6 leads nowhere a name's IPv6 addresses are not waited for: some servers never answer
   that question. Only a name without any other address is asked for them, such as one for ::1. */
static void sparp__dns_run_job(sparp__dns_job *job) {
    bool alone = job->family == AF_UNSPEC && !sparp__dns_has_ipv6()
        && !sparp__dns_in_hosts(job->host);
    sparp__dns_ask(job, alone ? AF_INET : job->family);
    if (alone && (sparp__dns_absent(job->error) || (job->error == 0 && job->count == 0)))
        sparp__dns_ask(job, AF_INET6);
}

/* One thread: job after job, gone when there is none. Returns true if it has to free `shared`.
   Also called on the loop's own thread where there are no others. */
static bool sparp__dns_work(sparp__dns_shared *shared) {
    sparp__link *link;
    sparp__lock_take(&shared->lock);
    while (!shared->closed && (link = sparp__list_pop_front(&shared->todo)) != NULL) {
        sparp__dns_job *job = SPARP__OWNER(sparp__dns_job, link, link);
        job->started_at = shared->moved_at = sparp__env_now();
        sparp__lock_leave(&shared->lock);
        sparp__dns_run_job(job);
        sparp__lock_take(&shared->lock);
        job->ended = true;
        shared->stuck -= job->unwanted;
        sparp__list_push_back(&shared->done, link);
        if (!shared->closed)
            sparp__wake_send(shared->wake);
    }
    bool last = --shared->threads == 0 && shared->closed;
    sparp__lock_leave(&shared->lock);
    return last;
}

#if SPARP__THREADS
static void *sparp__dns_thread(void *argument) {
    sparp__dns_shared *shared = (sparp__dns_shared *)argument;
    if (sparp__dns_work(shared))
        sparp__dns_free_shared(shared);
    return NULL;
}

static int sparp__dns_start_thread(sparp__dns_shared *shared) {
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0)
        return ENOMEM;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 256 * 1024);     /* musl's 128 KB are tight for nss */
    int error = sparp__thread_start(&thread, &attributes, sparp__dns_thread, shared);
    pthread_attr_destroy(&attributes);
    return error;
}
#else
static int sparp__dns_start_thread(sparp__dns_shared *shared) {
    sparp__dns_work(shared);
    return 0;
}
#endif

/* One more; 0, or why not. */
static int sparp__dns_add_thread(sparp__dns_shared *shared) {
    sparp__lock_take(&shared->lock);
    shared->threads++;
    sparp__lock_leave(&shared->lock);
    int error = sparp__dns_start_thread(shared);
    if (error == 0)
        return 0;
    sparp__lock_take(&shared->lock);
    shared->threads--;
    sparp__lock_leave(&shared->lock);
    return error;
}

/* Those that are of use. The lock is held. */
static int sparp__dns_busy(const sparp__dns_shared *shared) {
    return shared->threads
        - (shared->stuck < SPARP__DNS_MAX_STUCK ? shared->stuck : SPARP__DNS_MAX_STUCK);
}

/* `family`: the one to be asked for, or AF_UNSPEC. `wake` must stay until it is closed. */
static bool sparp__resolver_open(sparp__resolver *r, int family, const sparp__wake *wake,
                                 sparp__fault *fault) {
    sparp__list_init(&r->ages);
    r->family = family;
    sparp__dns_shared *shared = (sparp__dns_shared *)SPARP__SYS_REALLOC(NULL, sizeof *shared);
    if (shared == NULL)
        return sparp__fault_memory(fault);
    memset(shared, 0, sizeof *shared);
    shared->wake = wake;
    sparp__list_init(&shared->todo);
    sparp__list_init(&shared->done);
    if (!sparp__lock_open(&shared->lock)) {
        SPARP__SYS_FREE(shared);
        return sparp__fault_memory(fault);
    }
    r->shared = shared;
    return true;
}

static sparp__lookup **sparp__resolver_bucket(sparp__resolver *r, const char *host) {
    return &r->table[sparp__hash(sparp__str_of(host), 0) % SPARP__DNS_BUCKETS];
}

static void sparp__resolver_free_lookup(sparp__env *env, sparp__resolver *r,
                                        sparp__lookup *lookup) {
    sparp__lookup **at = sparp__resolver_bucket(r, lookup->host);
    while (*at != lookup)
        at = &(*at)->chain;
    *at = lookup->chain;
    sparp__list_remove(&r->ages, &lookup->age);
    sparp__env_free(env, lookup->addresses, lookup->count * sizeof *lookup->addresses);
    sparp__env_free(env, lookup, sizeof *lookup);
}

static void sparp__resolver_close(sparp__env *env, sparp__resolver *r) {
    sparp__dns_shared *shared = r->shared;
    if (shared == NULL)
        return;
    while (SPARP__LOOKUPS && r->ages.count > 0)
        sparp__resolver_free_lookup(env, r,
                                    SPARP__OWNER(sparp__lookup, age, r->ages.ring.next));
    sparp__lock_take(&shared->lock);
    shared->closed = true;
    bool last = shared->threads == 0;
    sparp__lock_leave(&shared->lock);
    if (last)
        sparp__dns_free_shared(shared);
    r->shared = NULL;
}

static sparp__lookup *sparp__resolver_find(sparp__resolver *r, const char *host) {
    sparp__lookup *lookup = *sparp__resolver_bucket(r, host);
    while (lookup != NULL && strcmp(lookup->host, host) != 0)
        lookup = lookup->chain;
    return lookup;
}

static sparp__lookup *sparp__resolver_add(sparp__env *env, sparp__resolver *r, const char *host) {
    for (sparp__link *at = r->ages.ring.next;
         r->ages.count >= SPARP__DNS_MAX_NAMES && at != &r->ages.ring;) {
        sparp__lookup *old = SPARP__OWNER(sparp__lookup, age, at);
        at = at->next;
        if (old->users == 0 && !old->pending)
            sparp__resolver_free_lookup(env, r, old);
    }
    sparp__lookup *lookup = (sparp__lookup *)sparp__env_zalloc(env, sizeof *lookup);
    if (lookup == NULL)
        return NULL;
    memcpy(lookup->host, host, strlen(host) + 1);
    lookup->resolver = r;
    sparp__list_init(&lookup->waiters);
    sparp__list_push_back(&r->ages, &lookup->age);
    sparp__lookup **bucket = sparp__resolver_bucket(r, host);
    lookup->chain = *bucket;
    *bucket = lookup;
    return lookup;
}

/* It is pending no more; its job is the caller's. */
static sparp__dns_job *sparp__resolver_end(sparp__lookup *lookup) {
    sparp__dns_job *job = lookup->job;
    lookup->started_at = job->started_at;
    lookup->job = NULL;
    lookup->pending = false;
    lookup->resolver->pending--;
    return job;
}

/* Into the queue. True: a thread has to be started. */
static bool sparp__resolver_queue(sparp__resolver *r, sparp__lookup *lookup, int64_t now) {
    sparp__dns_shared *shared = r->shared;
    lookup->pending = true;
    r->pending++;
    sparp__lock_take(&shared->lock);
    if (shared->todo.count == 0)
        shared->moved_at = now;
    sparp__list_push_back(&shared->todo, &lookup->job->link);
    bool start = sparp__dns_busy(shared) < SPARP__DNS_THREADS;
    sparp__lock_leave(&shared->lock);
    return start;
}

/* Takes it out of the queue, if it is still there. */
static bool sparp__resolver_unqueue(sparp__resolver *r, sparp__lookup *lookup) {
    sparp__lock_take(&r->shared->lock);
    bool waits = lookup->job->started_at == SPARP__NEVER;
    if (waits)
        sparp__list_remove(&r->shared->todo, &lookup->job->link);
    sparp__lock_leave(&r->shared->lock);
    if (waits)
        SPARP__SYS_FREE(sparp__resolver_end(lookup));
    return waits;
}

/* Hands the name to a thread. False: none could be had. */
static bool sparp__resolver_start(sparp__resolver *r, sparp__lookup *lookup, int64_t now) {
    sparp__dns_job *job = (sparp__dns_job *)SPARP__SYS_REALLOC(NULL, sizeof *job);
    if (job == NULL)
        return sparp__fault_memory(&lookup->fault);
    memset(job, 0, offsetof(sparp__dns_job, addresses));
    job->lookup = lookup;
    job->started_at = SPARP__NEVER;
    job->family = r->family;
    memcpy(job->host, lookup->host, sizeof job->host);
    lookup->job = job;
    int error = sparp__resolver_queue(r, lookup, now) ? sparp__dns_add_thread(r->shared) : 0;
    if (error == 0)
        return true;
    sparp__lock_take(&r->shared->lock);
    bool others = r->shared->threads > 0;       /* they will come to it */
    sparp__lock_leave(&r->shared->lock);
    if (others || !sparp__resolver_unqueue(r, lookup))
        return true;
    return sparp__fault_set(&lookup->fault, SPARP_E_DNS_FAILED, error,
                            "no thread to look up %.60s: %s", lookup->host, strerror(error));
}

/* Since when a thread is at it; `now` while it waits in the queue for one. */
static int64_t sparp__resolver_started(const sparp__lookup *lookup, int64_t now) {
    if (!lookup->pending)
        return sparp__min(lookup->started_at, now);     /* the thread's clock was later */
    sparp__lock_take(&lookup->resolver->shared->lock);
    int64_t at = lookup->job->started_at;
    sparp__lock_leave(&lookup->resolver->shared->lock);
    return sparp__min(at, now);
}

/* When sparp__resolver_tend() is due if nothing happens before. */
static int64_t sparp__resolver_due(const sparp__resolver *r) {
    if (!SPARP__LOOKUPS || r->pending == 0)
        return SPARP__NEVER;
    sparp__lock_take(&r->shared->lock);
    int64_t due = r->shared->todo.count == 0 ? SPARP__NEVER
        : sparp__time_after(r->shared->moved_at, SPARP__DNS_STALL_NS);
    sparp__lock_leave(&r->shared->lock);
    return due;
}

/* More threads if the queue stands still. */
static void sparp__resolver_tend(sparp__resolver *r, int64_t now) {
    if (!SPARP__LOOKUPS || sparp__resolver_due(r) > now)
        return;
    sparp__lock_take(&r->shared->lock);
    int64_t room = SPARP__DNS_MAX_THREADS - sparp__dns_busy(r->shared);
    int64_t more = sparp__min(sparp__min(room, SPARP__DNS_STEP), (int64_t)r->shared->todo.count);
    r->shared->moved_at = now;
    sparp__lock_leave(&r->shared->lock);
    while (more-- > 0 && sparp__dns_add_thread(r->shared) == 0)
        continue;
}

/* Somebody waits for a job, or nobody does any more. */
static void sparp__resolver_want(sparp__lookup *lookup, bool wanted) {
    sparp__dns_shared *shared = lookup->resolver->shared;
    sparp__lock_take(&shared->lock);
    if (!lookup->job->ended && lookup->job->unwanted == wanted) {
        lookup->job->unwanted = !wanted;
        shared->stuck += wanted ? -1 : 1;
    }
    sparp__lock_leave(&shared->lock);
}

/* The name's entry, pinned for the caller: pending, or with addresses, or with a fault.
   NULL: out of memory. */
static sparp__lookup *sparp__resolver_get(sparp__env *env, sparp__resolver *r, const char *host,
                                          int64_t now) {
    sparp__lookup *lookup = sparp__resolver_find(r, host);
    if (lookup == NULL)
        lookup = sparp__resolver_add(env, r, host);
    if (lookup == NULL)
        return NULL;
    if (lookup->users++ == 0 && lookup->pending)
        sparp__resolver_want(lookup, true);
    if (lookup->pending || lookup->expires > now || lookup->users > 1)
        return lookup;
    sparp__env_free(env, lookup->addresses, lookup->count * sizeof *lookup->addresses);
    lookup->addresses = NULL;
    lookup->count = 0;
    sparp__fault_clear(&lookup->fault);
    if (!sparp__resolver_start(r, lookup, now))
        lookup->fault.until = lookup->expires = sparp__time_after(now, SPARP__DNS_KEEP_FAILED_NS);
    return lookup;
}

/* A job that nobody waits for any more is none, unless a thread is at it. */
static void sparp__resolver_put(sparp__lookup *lookup) {
    if (!SPARP__LOOKUPS || --lookup->users > 0 || !lookup->pending)
        return;
    if (sparp__resolver_unqueue(lookup->resolver, lookup))
        lookup->expires = 0;
    else
        sparp__resolver_want(lookup, false);
}

static void sparp__resolver_take_error(sparp__lookup *lookup, const sparp__dns_job *job) {
    bool absent = sparp__dns_absent(job->error);
    const char *family = job->family == AF_INET ? " by IPv4 alone"
        : job->family == AF_INET6 ? " by IPv6 alone" : "";
    if (job->error != 0)
        sparp__fault_set(&lookup->fault, absent ? SPARP_E_DNS_NOT_FOUND : SPARP_E_DNS_FAILED,
                         job->sys_error != 0 ? job->sys_error : job->error,
                         "looking up %.60s%s: %s", lookup->host, family,
                         job->sys_error != 0 ? strerror(job->sys_error)
                                             : gai_strerror(job->error));
    else
        sparp__fault_set(&lookup->fault, SPARP_E_DNS_NOT_FOUND, 0, "looking up %.60s%s: it has "
                         "no address", lookup->host, family);
}

/* The next lookup that has ended, now with addresses or a fault; NULL: no more. */
static sparp__lookup *sparp__resolver_collect(sparp__env *env, sparp__resolver *r, int64_t now) {
    sparp__dns_shared *shared = r->shared;
    if (!SPARP__LOOKUPS)
        return NULL;
    sparp__lock_take(&shared->lock);
    sparp__link *link = sparp__list_pop_front(&shared->done);
    sparp__lock_leave(&shared->lock);
    if (link == NULL)
        return NULL;
    sparp__dns_job *job = SPARP__OWNER(sparp__dns_job, link, link);
    sparp__lookup *lookup = job->lookup;
    size_t size = job->count * sizeof *job->addresses;
    sparp__resolver_end(lookup);
    if (job->count == 0) {
        sparp__resolver_take_error(lookup, job);
    } else if ((lookup->addresses = (sparp__address *)sparp__env_realloc(env, NULL, 0, size))
               == NULL) {
        sparp__fault_memory(&lookup->fault);
    } else {
        memcpy(lookup->addresses, job->addresses, size);
        lookup->count = job->count;
    }
    lookup->expires = sparp__time_after(now, lookup->count > 0 ? SPARP__DNS_KEEP_NS
                                                               : SPARP__DNS_KEEP_FAILED_NS);
    if (lookup->count == 0)             /* who asks again before would only hear it again */
        lookup->fault.until = lookup->expires;
    SPARP__SYS_FREE(job);
    return lookup;
}

/* "10.0.0.7" and "::1" need no lookup. */
static bool sparp__address_parse(sparp__address *out, const char *host) {
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &out->to.v4.sin_addr) == 1) {
        out->to.v4.sin_family = AF_INET;
        out->size = sizeof out->to.v4;
    } else if (inet_pton(AF_INET6, host, &out->to.v6.sin6_addr) == 1) {
        out->to.v6.sin6_family = AF_INET6;
        out->size = sizeof out->to.v6;
    }
    return out->size > 0;
}

/* The path must stay. */
static void sparp__address_set_path(sparp__address *address, const char *path) {
    memset(address, 0, sizeof *address);
    address->to.any.sa_family = AF_UNIX;
    address->path = path;
}

static void sparp__address_set_port(sparp__address *address, uint16_t port) {
    if (address->to.any.sa_family == AF_INET)
        address->to.v4.sin_port = htons(port);
    else if (address->to.any.sa_family == AF_INET6)
        address->to.v6.sin6_port = htons(port);
}

/* For people, without the port. */
static const char *sparp__address_text(const sparp__address *address, char *out, socklen_t size) {
    if (address->path != NULL)
        return address->path;
    bool v4 = address->to.any.sa_family == AF_INET;
    const void *from = v4 ? (const void *)&address->to.v4.sin_addr
                          : (const void *)&address->to.v6.sin6_addr;
    return inet_ntop(v4 ? AF_INET : AF_INET6, from, out, size) != NULL ? out : "?";
}

/* ============================================================================================ */
/* >>route      where to connect: proxies and who is reached without, addresses and detours that */
/*              the options name. Text work: nothing is looked up. Uses url, resolve.            */
/* ============================================================================================ */

typedef struct sparp__proxy {
    sparp__str userinfo;                /* a slice of the text; empty: none */
    char       host[SPARP__HOST_MAX + 1];       /* lower case, no brackets, no last dot */
    uint16_t   port;
} sparp__proxy;

/* "10.0.0.1", "::1", "[::1]". */
static bool sparp__route_address(sparp__str text, sparp__address *out) {
    char host[64];
    bool brackets = text.size >= 2 && text.data[0] == '[' && text.data[text.size - 1] == ']';
    if (brackets)
        text = sparp__str_make(text.data + 1, text.size - 2);
    if (text.size >= sizeof host)
        return false;
    memcpy(host, text.data, text.size);
    host[text.size] = '\0';
    return sparp__address_parse(out, host) && !(brackets && out->to.any.sa_family == AF_INET);
}

static bool sparp__route_port(sparp__str text, uint16_t *out) {
    uint64_t port;
    if (!sparp__str_number(text, 65535, &port) || port == 0)
        return false;
    *out = (uint16_t)port;
    return true;
}

/* The form in which hosts are compared and looked up. */
static void sparp__route_copy_host(char *out, sparp__str host) {
    if (host.size > 1 && host.data[host.size - 1] == '.')
        host.size--;
    for (size_t i = 0; i < host.size; i++)
        out[i] = sparp__ascii_lower(host.data[i]);
    out[host.size] = '\0';
}

/* Cuts the next field and the colon behind it off; colons in brackets are part of an address. */
static bool sparp__route_field(sparp__str *rest, sparp__str *out) {
    size_t n = 0;
    for (bool inside = false; n < rest->size && (inside || rest->data[n] != ':'); n++)
        inside = rest->data[n] == '[' || (inside && rest->data[n] != ']');
    if (n == rest->size)
        return false;
    *out = sparp__str_make(rest->data, n);
    *rest = sparp__str_skip(*rest, n + 1);
    return true;
}

static uint64_t sparp__route_width(const sparp__address *address) {
    return address->to.any.sa_family == AF_INET ? 32 : 128;
}

static const unsigned char *sparp__route_bytes(const sparp__address *address) {
    return address->to.any.sa_family == AF_INET
        ? (const unsigned char *)&address->to.v4.sin_addr
        : (const unsigned char *)&address->to.v6.sin6_addr;
}

/* Whether the first `bits` bits are the same. */
static bool sparp__route_in_block(const sparp__address *address, const sparp__address *block,
                                  uint64_t bits) {
    if (address->to.any.sa_family != block->to.any.sa_family)
        return false;
    const unsigned char *a = sparp__route_bytes(address), *b = sparp__route_bytes(block);
    for (uint64_t i = 0; i < bits; i++)
        if (((a[i / 8] ^ b[i / 8]) & 0x80u >> i % 8) != 0)
            return false;
    return true;
}

/* Names without regard to case and a last dot, addresses as addresses. */
static bool sparp__route_same_host(sparp__str pattern, const char *host) {
    sparp__address ours, other;
    if (sparp__address_parse(&ours, host))
        return sparp__route_address(pattern, &other)
            && sparp__route_in_block(&ours, &other, sparp__route_width(&other));
    if (pattern.size > 1 && pattern.data[pattern.size - 1] == '.')
        pattern.size--;
    return sparp__str_same(pattern, host);
}

/* --- proxies --------------------------------------------------------------------------------- */

/* "http://[user:password@]host[:port][/]", or that without its scheme. NULL, or the sentence that
   says what is wrong. */
static const char *sparp__proxy_parse(const char *text, sparp__proxy *out) {
    static const char bad[] = "proxy is not http://[user:password@]host[:port]";
    const char *scheme_end = strstr(text, "://");
    sparp__str rest = sparp__str_of(text);
    sparp__url url;
    if (scheme_end != NULL) {
        sparp__str scheme = sparp__str_make(text, (size_t)(scheme_end - text));
        if (!sparp__str_same(scheme, "http"))
            return "proxy must begin with http://";
        rest = sparp__str_skip(rest, scheme.size + 3);
    }
    if (rest.size > 0 && rest.data[rest.size - 1] == '/')
        rest.size--;
    for (size_t i = 0; i < rest.size; i++)
        if ((unsigned char)rest.data[i] <= ' ' || strchr("/?#\x7F", rest.data[i]) != NULL)
            return bad;
    memset(&url, 0, sizeof url);
    if (sparp__url_authority(rest, &url) != NULL)
        return bad;
    out->userinfo = url.userinfo;
    out->port = url.port;
    sparp__route_copy_host(out->host, url.host);
    return NULL;
}

/* Cuts the next entry off a list with blanks and commas between. */
static bool sparp__route_word(sparp__str *list, sparp__str *out) {
    size_t n = 0;
    while (list->size > 0 && strchr(" \t,", list->data[0]) != NULL)
        *list = sparp__str_skip(*list, 1);
    while (n < list->size && strchr(" \t,", list->data[n]) == NULL)
        n++;
    *out = sparp__str_make(list->data, n);
    *list = sparp__str_skip(*list, n);
    return n > 0;
}

/* An entry of no_proxy without its brackets and its port (0: any). "::1" has none. */
static bool sparp__route_split(sparp__str entry, sparp__str *name, uint16_t *port) {
    const char *colon = (const char *)memchr(entry.data, ':', entry.size);
    *name = entry;
    *port = 0;
    if (entry.data[0] == '[') {
        const char *end = (const char *)memchr(entry.data, ']', entry.size);
        if (end == NULL)
            return false;
        *name = sparp__str_make(entry.data + 1, (size_t)(end - entry.data) - 1);
        entry = sparp__str_skip(entry, name->size + 2);
        return entry.size == 0
            || (entry.data[0] == ':' && sparp__route_port(sparp__str_skip(entry, 1), port));
    }
    if (colon == NULL)
        return true;
    sparp__str behind = sparp__str_skip(entry, (size_t)(colon - entry.data) + 1);
    if (memchr(behind.data, ':', behind.size) != NULL)
        return true;
    name->size = (size_t)(colon - entry.data);
    return sparp__route_port(behind, port);
}

/* "10.0.0.0/8"; an address alone is the block of itself. */
static bool sparp__route_block(sparp__str text, sparp__address *out, uint64_t *bits) {
    const char *slash = (const char *)memchr(text.data, '/', text.size);
    sparp__str address = text;
    if (slash != NULL)
        address.size = (size_t)(slash - text.data);
    if (!sparp__route_address(address, out))
        return false;
    *bits = sparp__route_width(out);
    return slash == NULL
        || sparp__str_number(sparp__str_skip(text, address.size + 1), *bits, bits);
}

static bool sparp__route_excepts(sparp__str entry, const char *host, uint16_t port) {
    sparp__address address, block;
    sparp__str name;
    uint16_t only;
    uint64_t bits;
    size_t size = strlen(host);
    if (!sparp__route_split(entry, &name, &only) || (only != 0 && only != port))
        return false;
    if (sparp__str_same(name, "*"))
        return true;
    if (sparp__address_parse(&address, host))
        return sparp__route_block(name, &block, &bits)
            && sparp__route_in_block(&address, &block, bits);
    if (name.size > 1 && name.data[0] == '*' && name.data[1] == '.')
        name = sparp__str_skip(name, 1);
    if (name.size > 0 && name.data[0] == '.')
        name = sparp__str_skip(name, 1);
    if (name.size > 0 && name.data[name.size - 1] == '.')
        name.size--;
    return name.size > 0 && name.size <= size
        && sparp__str_same(name, host + size - name.size)
        && (name.size == size || host[size - name.size - 1] == '.');
}

/* Whether no_proxy says that this host is reached without. What makes no sense in the list matches
   nothing. */
static bool sparp__route_matches_no_proxy(const char *list, const char *host, uint16_t port) {
    sparp__str rest = sparp__str_of(list), entry;
    while (sparp__route_word(&rest, &entry))
        if (sparp__route_excepts(entry, host, port))
            return true;
    return false;
}

/* The proxy that this host needs. NULL: none. */
static const char *sparp__route_proxy_text(const sparp_options *o, const char *host,
                                           uint16_t port, bool https) {
    const char *text = https && o->https_proxy != NULL ? o->https_proxy : o->proxy;
    return text == NULL || *text == '\0' || o->unix_socket != NULL
        || (o->no_proxy != NULL && sparp__route_matches_no_proxy(o->no_proxy, host, port))
        ? NULL : text;
}

/* false: none. */
static bool sparp__route_proxy(const sparp_options *o, const char *host, uint16_t port,
                               bool https, sparp__proxy *out) {
    const char *text = sparp__route_proxy_text(o, host, port, https);
    return text != NULL && sparp__proxy_parse(text, out) == NULL;
}

/* With lenient_proxies: why the proxy that this host needs cannot be used. NULL: it can, or it
   needs none. */
static const char *sparp__route_bad_proxy(const sparp_options *o, const char *host, uint16_t port,
                                          bool https) {
    sparp__proxy proxy;
    const char *text = SPARP__PROXIES && o->lenient_proxies
        ? sparp__route_proxy_text(o, host, port, https) : NULL;
    return text != NULL ? sparp__proxy_parse(text, &proxy) : NULL;
}

static const char *sparp__route_bad_proxy_to(const sparp_options *o, const sparp__url *url) {
    char host[SPARP__HOST_MAX + 1];
    sparp__route_copy_host(host, url->host);
    return sparp__route_bad_proxy(o, host, url->port, url->https);
}

/* --- addresses and detours ------------------------------------------------------------------- */

typedef struct sparp__detour {          /* empty or 0: any, or as it is */
    sparp__str host, to_host;
    uint16_t   port, to_port;
} sparp__detour;

/* "host:port:host2:port2" */
static bool sparp__route_detour(sparp__str entry, sparp__detour *out) {
    sparp__str port, ignored;
    memset(out, 0, sizeof *out);
    return sparp__route_field(&entry, &out->host) && sparp__route_field(&entry, &port)
        && sparp__route_field(&entry, &out->to_host)
        && (out->host.size == 0 || sparp__url_host(out->host, &ignored) == NULL)
        && (out->to_host.size == 0
            || sparp__url_host(out->to_host, &out->to_host) == NULL)
        && (port.size == 0 || sparp__route_port(port, &out->port))
        && (entry.size == 0 || sparp__route_port(entry, &out->to_port));
}

/* The first match counts; without one it is host and port themselves. */
static void sparp__route_connect_to(const char *list, const char *host, uint16_t port,
                                    char *out_host, uint16_t *out_port) {
    sparp__str rest = sparp__str_of(list != NULL ? list : ""), entry;
    sparp__detour d;
    sparp__route_copy_host(out_host, sparp__str_of(host));
    *out_port = port;
    while (sparp__str_element(&rest, &entry)) {
        if (!sparp__route_detour(entry, &d) || (d.port != 0 && d.port != port)
            || (d.host.size > 0 && !sparp__route_same_host(d.host, host)))
            continue;
        if (d.to_host.size > 0)
            sparp__route_copy_host(out_host, d.to_host);
        if (d.to_port != 0)
            *out_port = d.to_port;
        return;
    }
}

/* "host:port:address"; a host "*" is any, and so is a port "*", which becomes 0. */
static bool sparp__route_given(sparp__str entry, sparp__str *host, uint16_t *port,
                               sparp__address *out) {
    sparp__str text, ignored;
    *port = 0;
    return sparp__route_field(&entry, host) && sparp__route_field(&entry, &text)
        && (sparp__str_same(*host, "*") || sparp__url_host(*host, &ignored) == NULL)
        && (sparp__str_same(text, "*") || sparp__route_port(text, port))
        && sparp__route_address(entry, out);
}

/* The addresses that the list has for this host and port, in its order; their port is not set. */
static size_t sparp__route_resolve(const char *list, const char *host, uint16_t port,
                                   sparp__address *out, size_t max) {
    sparp__str rest = sparp__str_of(list != NULL ? list : ""), entry, for_host;
    uint16_t for_port;
    size_t count = 0;
    while (count < max && sparp__str_element(&rest, &entry))
        if (sparp__route_given(entry, &for_host, &for_port, &out[count])
            && (for_port == 0 || for_port == port)
            && (sparp__str_same(for_host, "*") || sparp__route_same_host(for_host, host)))
            count++;
    return count;
}

/* "10.0.0.1,::1,[::2]": how many, of which only `max` are kept; -1: something is no address. */
static int sparp__route_addresses(const char *text, sparp__address *out, size_t max) {
    sparp__str rest = sparp__str_of(text), element;
    sparp__address address;
    size_t count = 0;
    while (sparp__str_element(&rest, &element)) {
        if (!sparp__route_address(element, &address))
            return -1;
        if (count < max)
            out[count++] = address;
    }
    return (int)count;
}

/* --- is all of that well-formed? NULL, or the sentence that names the field ------------------ */

static const char *sparp__route_check_proxies(const sparp_options *o) {
    sparp__proxy ignored;
    bool proxy = o->proxy != NULL && *o->proxy != '\0';
    bool https_proxy = o->https_proxy != NULL && *o->https_proxy != '\0';
    const char *wrong = proxy ? sparp__proxy_parse(o->proxy, &ignored) : NULL;
    if (wrong != NULL)
        return wrong;
    if (https_proxy && sparp__proxy_parse(o->https_proxy, &ignored) != NULL)
        return "https_proxy is not http://[user:password@]host[:port]";
    if (o->unix_socket != NULL && (proxy || https_proxy))
        return "unix_socket and a proxy are both set";
    sparp__str rest = sparp__str_of(o->no_proxy != NULL ? o->no_proxy : ""), entry, name;
    sparp__address block;
    uint16_t port;
    uint64_t bits;
    while (sparp__route_word(&rest, &entry))
        if (memchr(entry.data, '/', entry.size) != NULL
            && !(sparp__route_split(entry, &name, &port)
                 && sparp__route_block(name, &block, &bits)))
            return "no_proxy has an entry with a / that is not address/bits";
    return NULL;
}

static const char *sparp__route_check_lists(const sparp_options *o) {
    sparp__str rest = sparp__str_of(o->resolve != NULL ? o->resolve : ""), entry, host;
    sparp__address address;
    sparp__detour detour;
    uint16_t port;
    while (sparp__str_element(&rest, &entry))
        if (!sparp__route_given(entry, &host, &port, &address))
            return "resolve has an entry that is not host:port:address";
    rest = sparp__str_of(o->connect_to != NULL ? o->connect_to : "");
    while (sparp__str_element(&rest, &entry))
        if (!sparp__route_detour(entry, &detour))
            return "connect_to has an entry that is not host:port:host2:port2";
    return NULL;
}

/* The path of a socket ends with a NUL, though not every system insists on it. */
static const char *sparp__route_check_unix(const char *path) {
    struct sockaddr_un address;
    size_t max = sizeof address.sun_path - 1;
    if (*path == '\0')
        return "unix_socket is empty";
    if (strlen(path) <= max)
        return NULL;
    return max == 107 ? "unix_socket has more than 107 bytes"
        : max == 103 ? "unix_socket has more than 103 bytes"
        : "unix_socket is longer than the path of a socket may be";
}

static const char *sparp__route_check_ways(const sparp_options *o) {
    const char *wrong = o->lenient_proxies ? NULL : sparp__route_check_proxies(o);
    return wrong != NULL ? wrong : sparp__route_check_lists(o);
}

static bool sparp__route_has_ways(const sparp_options *o) {
    return o->proxy != NULL || o->https_proxy != NULL || o->resolve != NULL
        || o->connect_to != NULL;
}

static const char *sparp__route_check(const sparp_options *o) {
    sparp__address local;
    const char *wrong = SPARP__PROXIES ? sparp__route_check_ways(o) : !sparp__route_has_ways(o)
        ? NULL : "proxy, https_proxy, resolve and connect_to need a build without SPARP_NO_PROXIES";
    if (wrong == NULL && o->unix_socket != NULL)
        wrong = sparp__route_check_unix(o->unix_socket);
    if (wrong != NULL)
        return wrong;
    if (o->ip_version != 0 && o->ip_version != 4 && o->ip_version != 6)
        return "ip_version must be 4 or 6 (0: both)";
    if (o->local_address == NULL)
        return NULL;
    if (!sparp__address_parse(&local, o->local_address))
        return "local_address is not an IPv4 or IPv6 address";
    return o->ip_version != 0 && (o->ip_version == 4) != (local.to.any.sa_family == AF_INET)
        ? "local_address is not of ip_version" : NULL;
}

/* The family that the user wants, or is bound to; AF_UNSPEC: both. */
static int sparp__route_family(const sparp_options *o) {
    sparp__address local;
    if (o->ip_version != 0)
        return o->ip_version == 4 ? AF_INET : AF_INET6;
    return o->local_address != NULL && sparp__address_parse(&local, o->local_address)
        ? local.to.any.sa_family : AF_UNSPEC;
}

/* ============================================================================================ */
/* >>request    from the user's struct to the bytes on the wire, built once and sent as often as */
/*              it takes. Nothing passes unchecked: CR, LF and NUL do not reach the wire.        */
/*              Uses url, route, buf, env.                                                       */
/* ============================================================================================ */

#define SPARP__EXPECT_MIN (1024 * 1024) /* bytes of a body that asks before it comes */

typedef struct sparp__request {         /* zeroed: empty; its buffer is reused */
    /* Head and body as they go over the wire; then, each with its NUL, the url, its host (lower
       case, no brackets, no last dot), the method, and the url with its fragment if it has one. */
    sparp__buf  image;
    size_t      head_size, wire_size;   /* the url begins where the wire's bytes end; from there: */
    uint32_t    host_at, method_at, final_at;
    uint32_t    added;                  /* bytes of the head, by sparp__request_extend() */
    uint16_t    port;
    bool        https, replay_safe, is_head;
    bool        expects;                /* the body waits for 100 Continue */
    int64_t   (*read_body)(uint64_t offset, void *out, size_t room, void *user_data);
    uint64_t    body_size;              /* with read_body; 0: unknown, sent chunked */
} sparp__request;

/* As new, but for the memory of its buffer. */
static void sparp__request_reset(sparp__env *env, sparp__request *r) {
    sparp__buf image;
    sparp__buf_reuse(env, &r->image);
    image = r->image;
    memset(r, 0, sizeof *r);
    r->image = image;
}

typedef struct sparp__fields {          /* a request's own lines, and the run's below them */
    const sparp_field *own;
    size_t             num_own;
    const sparp_field *run;
    size_t             num_run;
    bool               compressed;      /* sparp_options.compressed */
} sparp__fields;

/* The last line of that name in one list; NULL: none. */
static const sparp_field *sparp__fields_in(const sparp_field *list, size_t count,
                                           const char *name) {
    for (size_t i = count; i > 0; i--)
        if (sparp__str_same(sparp__str_of(list[i - 1].name), name))
            return &list[i - 1];
    return NULL;
}

static const sparp_field *sparp__fields_search(const sparp__fields *fields, const char *name) {
    const sparp_field *own = sparp__fields_in(fields->own, fields->num_own, name);
    return own != NULL ? own : sparp__fields_in(fields->run, fields->num_run, name);
}

static inline const sparp_field *sparp__fields_find(const sparp__fields *fields, const char *name) {
    return fields->num_own + fields->num_run > 0 ? sparp__fields_search(fields, name) : NULL;
}

static const char *sparp__request_check_value(const char *value) {
    for (; *value != '\0'; value++)
        if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7F)
            return "has a control character in its value";
    return NULL;
}

/* NULL, or what is wrong with this line. Names that frame the message are ours to set. */
static const char *sparp__request_check_field(const sparp_field *f, uint64_t body_size) {
    uint64_t length;
    if (f->name == NULL || !sparp__str_token(sparp__str_of(f->name)))
        return "has a name that is not a token";
    if (f->value == NULL)
        return NULL;
    sparp__str name = sparp__str_of(f->name);
    if (sparp__str_same(name, "transfer-encoding"))
        return "is set by sparp";
    if (sparp__str_same(name, "content-length")
        && (!sparp__str_number(sparp__str_trim(sparp__str_of(f->value)), INT64_MAX, &length)
            || length != body_size))
        return "contradicts the body";
    if (sparp__str_same(name, "host") && sparp__str_trim(sparp__str_of(f->value)).size == 0)
        return "is empty";
    return sparp__request_check_value(f->value);
}

static bool sparp__request_check_fields(const sparp_field *fields, size_t count,
                                        uint64_t body_size, sparp__fault *fault) {
    if (count > 0 && fields == NULL)
        return sparp__fault_set(fault, SPARP_E_BAD_REQUEST, 0, "headers is NULL, num_headers %lu",
                                (unsigned long)count);
    for (size_t i = 0; i < count; i++) {
        const char *wrong = sparp__request_check_field(&fields[i], body_size);
        if (wrong != NULL)
            return sparp__fault_set(fault, SPARP_E_BAD_REQUEST, 0, "header %lu (%.40s) %s",
                                    (unsigned long)i + 1,
                                    fields[i].name != NULL ? fields[i].name : "NULL", wrong);
    }
    return true;
}

enum {                                  /* what there is to know of a method */
    SPARP__METHOD_TWICE = 1,            /* safe to send twice: RFC 9110 §9.2.2 */
    SPARP__METHOD_HEAD = 2,
    SPARP__METHOD_BODY = 4,             /* is expected to have a body */
    SPARP__METHOD_RAISED = 8            /* may be written in any case, as in fetch() */
};

/* All that, and *method as it has to be written; 0: nothing is known of it. */
static unsigned sparp__request_know_method(const char **method) {
    static const struct {
        const char *name;
        unsigned    traits;
    } known[] = {
        {"GET", SPARP__METHOD_TWICE | SPARP__METHOD_RAISED},
        {"POST", SPARP__METHOD_BODY | SPARP__METHOD_RAISED},
        {"HEAD", SPARP__METHOD_TWICE | SPARP__METHOD_HEAD | SPARP__METHOD_RAISED},
        {"PUT", SPARP__METHOD_TWICE | SPARP__METHOD_BODY | SPARP__METHOD_RAISED},
        {"DELETE", SPARP__METHOD_TWICE | SPARP__METHOD_RAISED},
        {"OPTIONS", SPARP__METHOD_TWICE | SPARP__METHOD_RAISED},
        {"PATCH", SPARP__METHOD_BODY}, {"TRACE", SPARP__METHOD_TWICE}
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(*method, known[i].name) == 0
            || ((known[i].traits & SPARP__METHOD_RAISED) != 0
                && sparp__str_same(sparp__str_of(*method), known[i].name))) {
            *method = known[i].name;
            return known[i].traits;
        }
    return 0;
}

static bool sparp__request_check(const sparp_request *in, unsigned traits, uint64_t body_size,
                                 sparp__fault *fault) {
    const char *wrong = NULL;
    if (in->url == NULL)
        wrong = "url is missing";
    else if (in->json != NULL && (in->body != NULL || in->body_size > 0))
        wrong = "body and json are both set";
    else if (in->read_body != NULL && (in->body != NULL || in->json != NULL))
        wrong = "read_body and body or json are both set";
    else if (in->body == NULL && in->body_size > 0 && in->read_body == NULL)
        wrong = "body is NULL, but body_size is not 0";
    else if (in->body_size > (uint64_t)(in->read_body != NULL ? INT64_MAX : PTRDIFF_MAX))
        wrong = "body_size is beyond all measure";
    else if (in->query == NULL && in->num_query > 0)
        wrong = "query is NULL, but num_query is not 0";
    else if (traits == 0 && !sparp__str_token(sparp__str_of(in->method)))
        wrong = "method is not a token";
    else if (traits == 0 && strcmp(in->method, "CONNECT") == 0)
        wrong = "method CONNECT is for proxies";
    else if (!(in->timeout_s >= 0 || in->timeout_s == SPARP_NONE))
        wrong = "timeout_s is negative";
    else if (!(in->deadline_s >= 0 || in->deadline_s == SPARP_NONE))
        wrong = "deadline_s is negative";
    else if (in->cost != 0 && in->cost != SPARP_NONE
             && !(in->cost > 0 && in->cost <= SPARP__COST_MOST))
        wrong = "cost is not 0 to 1000000000000";
    for (size_t i = 0; wrong == NULL && i < in->num_query; i++)
        if (in->query[i].name == NULL)
            wrong = "query has a parameter without a name";
    if (wrong != NULL)
        return sparp__fault_set(fault, SPARP_E_BAD_REQUEST, 0, "%s", wrong);
    return sparp__request_check_fields(in->headers, in->num_headers, body_size, fault);
}

static bool sparp__request_add_encoded(sparp__env *env, sparp__buf *b, const char *text) {
    bool ok = true;
    for (; ok && *text != '\0'; text++)
        ok = sparp__url_unreserved(*text) ? sparp__buf_byte(env, b, *text)
                                          : sparp__buf_percent(env, b, *text);
    return ok;
}

/* The request target: path and query as given, then the parameters. */
static bool sparp__request_add_target(sparp__env *env, sparp__buf *b, const sparp__url *url,
                                      const sparp_request *in) {
    sparp__str path = url->path;
    bool ok = path.size > 0 && path.data[0] == '/' ? true : sparp__buf_byte(env, b, '/');
    for (size_t from = 0, i = url->plain ? path.size : 0; ok && i <= path.size; i++)
        if (i == path.size || sparp__url_must_encode(path.data[i])) {
            ok = sparp__buf_append(env, b, path.data + from, i - from)
                && (i == path.size || sparp__buf_percent(env, b, path.data[i]));
            from = i + 1;
        }
    if (in->num_query == 0)
        return ok;
    const char *separator = path.size == 0 || memchr(path.data, '?', path.size) == NULL ? "?"
        : strchr("?&", path.data[path.size - 1]) != NULL ? "" : "&";
    for (size_t i = 0; ok && i < in->num_query; i++) {
        const char *value = in->query[i].value;
        ok = sparp__buf_text(env, b, separator)
            && sparp__request_add_encoded(env, b, in->query[i].name)
            && (value == NULL || (sparp__buf_byte(env, b, '=')
                                  && sparp__request_add_encoded(env, b, value)));
        separator = "&";
    }
    return ok;
}

static bool sparp__request_add_line(sparp__env *env, sparp__buf *b, const char *name,
                                    const char *value) {
    return sparp__buf_text(env, b, name) && sparp__buf_text(env, b, ": ")
        && sparp__buf_add(env, b, sparp__str_trim(sparp__str_of(value)))
        && sparp__buf_text(env, b, "\r\n");
}

/* "user:password" of the url as RFC 7617 credentials; percent-encoded bytes are decoded first. */
static bool sparp__request_add_basic(sparp__env *env, sparp__buf *b, sparp__str userinfo) {
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bool ok = sparp__buf_text(env, b, "Authorization: Basic ");
    bool colon = memchr(userinfo.data, ':', userinfo.size) != NULL;
    uint32_t word = 0;
    int bits = 0, count = 0;
    for (size_t i = 0; ok && i < userinfo.size + (colon ? 0 : 1); i++, count++) {
        unsigned char c = i < userinfo.size ? (unsigned char)userinfo.data[i] : ':';
        if (c == '%' && i + 2 < userinfo.size && sparp__hex_value(userinfo.data[i + 1]) >= 0
            && sparp__hex_value(userinfo.data[i + 2]) >= 0) {
            c = (unsigned char)(sparp__hex_value(userinfo.data[i + 1]) * 16
                                + sparp__hex_value(userinfo.data[i + 2]));
            i += 2;
        }
        word = word << 8 | c;
        for (bits += 8; ok && bits >= 6; bits -= 6)
            ok = sparp__buf_byte(env, b, digits[word >> (bits - 6) & 63]);
    }
    if (bits > 0)
        ok = ok && sparp__buf_byte(env, b, digits[word << (6 - bits) & 63]);
    for (; count % 3 != 0; count++)
        ok = ok && sparp__buf_byte(env, b, '=');
    return ok && sparp__buf_text(env, b, "\r\n");
}

/* Method and target. A proxy for http wants the whole url (RFC 9112 §3.2.2), and credentials. */
static bool sparp__request_add_start(sparp__env *env, sparp__buf *b, const sparp_request *in,
                                     const sparp__url *url, const sparp__proxy *proxy) {
    return sparp__buf_text(env, b, in->method) && sparp__buf_byte(env, b, ' ')
        && (proxy == NULL || (sparp__buf_text(env, b, "http://")
                              && sparp__buf_add(env, b, url->shown)))
        && sparp__request_add_target(env, b, url, in)
        && sparp__buf_text(env, b, " HTTP/1.1\r\n");
}

static bool sparp__request_add_proxy(sparp__env *env, sparp__buf *b, const sparp__proxy *proxy) {
    return proxy == NULL || proxy->userinfo.size == 0
        || (sparp__buf_text(env, b, "Proxy-") && sparp__request_add_basic(env, b, proxy->userinfo));
}

/* A line that we send unless the user has one of that name, or has switched it off. */
static bool sparp__request_add_default(sparp__env *env, sparp__buf *b, const sparp__fields *fields,
                                       const char *name, const char *line) {
    return sparp__fields_find(fields, name) != NULL || sparp__buf_text(env, b, line);
}

static bool sparp__request_add_fields(sparp__env *env, sparp__buf *b, const sparp_field *list,
                                      size_t count, const sparp_field *above, size_t num_above) {
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        if (list[i].value == NULL || sparp__str_same(sparp__str_of(list[i].name), "host")
            || sparp__str_same(sparp__str_of(list[i].name), "content-length")
            || sparp__fields_in(above, num_above, list[i].name) != NULL)
            continue;
        ok = sparp__request_add_line(env, b, list[i].name, list[i].value);
    }
    return ok;
}

/* The line that frames the body. A body-less POST says 0, so that no server waits for one
   (RFC 9110 §8.6). */
static bool sparp__request_add_length(sparp__env *env, sparp__buf *b, unsigned traits,
                                      uint64_t body_size) {
    if (body_size == UINT64_MAX)
        return sparp__buf_text(env, b, "Transfer-Encoding: chunked\r\n");
    if (body_size == 0 && (traits & SPARP__METHOD_BODY) == 0)
        return true;
    return sparp__buf_text(env, b, "Content-Length: ") && sparp__buf_number(env, b, body_size)
        && sparp__buf_text(env, b, "\r\n");
}

/* A large body asks first (RFC 9110 §10.1.1), unless the user has a word on Expect himself. */
static bool sparp__request_expects(const sparp__fields *fields, uint64_t body_size) {
    const sparp_field *own = sparp__fields_find(fields, "expect");
    if (own == NULL)
        return body_size >= SPARP__EXPECT_MIN;
    return own->value != NULL && body_size > 0
        && sparp__str_same(sparp__str_trim(sparp__str_of(own->value)), "100-continue");
}

/* From Host to the lines of the user, all but those that depend on the body. */
static bool sparp__request_add_lines(sparp__env *env, sparp__buf *b, const sparp_request *in,
                                     const sparp__url *url, const sparp__fields *fields,
                                     bool asks, const sparp__proxy *proxy) {
    const sparp_field *host = sparp__fields_find(fields, "host");
    bool ok = sparp__buf_text(env, b, "Host: ");
    if (ok && host != NULL && host->value != NULL)
        ok = sparp__buf_add(env, b, sparp__str_trim(sparp__str_of(host->value)));
    else
        ok = ok && sparp__buf_add(env, b, url->shown);
    ok = ok && sparp__buf_text(env, b, "\r\n")
        && sparp__request_add_default(env, b, fields, "User-Agent",
                                      "User-Agent: sparp/" SPARP_VERSION_STRING "\r\n")
        && sparp__request_add_default(env, b, fields, "Accept", "Accept: */*\r\n");
    if (fields->compressed)
        ok = ok && sparp__request_add_default(env, b, fields, "Accept-Encoding",
                                               "Accept-Encoding: gzip, deflate\r\n");
    if (in->json != NULL)
        ok = ok && sparp__request_add_default(env, b, fields, "Content-Type",
                                               "Content-Type: application/json\r\n");
    if (url->userinfo.size > 0 && sparp__fields_find(fields, "authorization") == NULL)
        ok = ok && sparp__request_add_basic(env, b, url->userinfo);
    if (asks)
        ok = ok && sparp__request_add_default(env, b, fields, "Expect",
                                               "Expect: 100-continue\r\n");
    return ok && sparp__request_add_proxy(env, b, proxy)
        && sparp__request_add_fields(env, b, fields->run, fields->num_run,
                                     fields->own, fields->num_own)
        && sparp__request_add_fields(env, b, fields->own, fields->num_own, NULL, 0);
}

/* What the request before had in common with this one. */
typedef struct sparp__request_memo {    /* zeroed: nothing yet */
    sparp__url_memo url;
    char            host[SPARP__HOST_MAX + 1];  /* of that origin, folded; empty: not so far */
    sparp__buf      lines;              /* of a request to it without fields of its own */
    bool            json, asks;
} sparp__request_memo;

/* The folded host of this url; all that is remembered of another origin goes. */
static const char *sparp__request_remember_host(sparp__request_memo *memo, const sparp__url *url,
                                                char *room) {
    bool known = url->shown.data == memo->url.url.shown.data;
    char *host = known ? memo->host : room;
    if (known && *host != '\0')
        return host;
    memo->lines.size = 0;
    memo->host[0] = '\0';
    sparp__route_copy_host(host, url->host);
    return host;
}

/* The lines, from the request before if they are the same: a twentieth of all instructions that a
   request takes. */
static bool sparp__request_copy_or_add_lines(sparp__env *env, sparp__buf *b,
                                             sparp__request_memo *memo, const sparp_request *in,
                                             const sparp__url *url, const sparp__fields *fields,
                                             bool asks, const sparp__proxy *proxy) {
    bool json = in->json != NULL;
    bool known = memo->host[0] != '\0'; /* the url is of the memo's origin */
    if (known && fields->num_own == 0 && memo->lines.size > 0 && memo->json == json
        && memo->asks == asks)
        return sparp__buf_append(env, b, memo->lines.data, memo->lines.size);
    size_t from = b->size;
    if (!sparp__request_add_lines(env, b, in, url, fields, asks, proxy))
        return false;
    if (!known || fields->num_own > 0)
        return true;
    memo->json = json;
    memo->asks = asks;
    memo->lines.size = 0;
    return sparp__buf_append(env, &memo->lines, b->data + from, b->size - from);
}

static bool sparp__request_add_head(sparp__env *env, sparp__buf *b, sparp__request_memo *memo,
                                    const sparp_request *in, const sparp__url *url,
                                    const sparp__fields *fields, unsigned traits,
                                    uint64_t body_size, const sparp__proxy *proxy) {
    return sparp__request_add_start(env, b, in, url, proxy)
        && sparp__request_copy_or_add_lines(env, b, memo, in, url, fields,
                                            body_size >= SPARP__EXPECT_MIN, proxy)
        && sparp__request_add_length(env, b, traits, body_size)
        && sparp__buf_text(env, b, "\r\n");
}

/* The url for people: with the parameters, without fragment and password. */
static bool sparp__request_add_url(sparp__env *env, sparp__buf *b, const sparp_request *in,
                                   const sparp__url *url) {
    const char *scheme = url->https ? "https://" : "http://";
    size_t size = strlen(scheme) + url->shown.size + url->path.size;
    if (in->url != NULL && in->num_query == 0 && url->plain && url->path.size > 0
        && url->path.data == in->url + size - url->path.size
        && memcmp(in->url, scheme, strlen(scheme)) == 0 && url->path.data[0] == '/')
        return sparp__buf_append(env, b, in->url, size);        /* it is there already */
    return sparp__buf_text(env, b, scheme)
        && (url->userinfo.size == 0 || sparp__buf_text(env, b, "***@"))
        && sparp__buf_add(env, b, url->shown)
        && sparp__request_add_target(env, b, url, in);
}

/* Safe to send twice: by its method, or said to be. */
static bool sparp__request_is_safe(const sparp_request *in, unsigned traits,
                                   const sparp__fields *fields) {
    const sparp_field *key = sparp__fields_find(fields, "idempotency-key");
    return in->idempotent || (key != NULL && key->value != NULL)
        || (traits & SPARP__METHOD_TWICE) != 0;
}

/* The proxy that gets to see it in the clear; NULL: none. */
static const sparp__proxy *sparp__request_proxy(const sparp__url *url, const char *host,
                                                const sparp_options *o, sparp__proxy *proxy) {
    return SPARP__PROXIES && !url->https && o->proxy != NULL
        && sparp__route_proxy(o, host, url->port, false, proxy) ? proxy : NULL;
}

/* The url and the method of a request that is refused, as far as they can be shown. */
static bool sparp__request_keep_names(sparp__env *env, sparp__request *r, const char *url,
                                      const char *method) {
    r->image.size = r->wire_size = 0;
    r->final_at = 0;
    r->host_at = (uint32_t)strlen(url);
    r->method_at = r->host_at + 1;
    return sparp__buf_append(env, &r->image, url, strlen(url) + 1)
        && sparp__buf_append(env, &r->image, method, strlen(method) + 1);
}

/* What stands behind the wire image. */
static bool sparp__request_add_names(sparp__env *env, sparp__request *r, const sparp_request *in,
                                     const sparp__url *url, const char *host) {
    sparp__buf *b = &r->image;
    size_t from = r->wire_size = b->size;
    r->port = url->port;
    r->https = url->https;
    r->final_at = 0;
    bool ok = sparp__request_add_url(env, b, in, url) && sparp__buf_byte(env, b, '\0');
    r->host_at = (uint32_t)(b->size - from);
    ok = ok && sparp__buf_append(env, b, host, strlen(host) + 1);
    r->method_at = (uint32_t)(b->size - from);
    ok = ok && sparp__buf_append(env, b, in->method, strlen(in->method) + 1);
    if (!ok || url->fragment.size == 0)
        return ok;
    r->final_at = (uint32_t)(b->size - from);
    return sparp__request_add_url(env, b, in, url) && sparp__buf_byte(env, b, '#')
        && sparp__buf_add(env, b, url->fragment) && sparp__buf_byte(env, b, '\0');
}

/* Fills `r`, whose buffer may have been used before. On false *fault says why, and as much of
   url and method is kept as can be. */
SPARP__APART
static bool sparp__request_build(sparp__env *env, sparp__request *r, const sparp_request *user,
                                 const sparp_options *o, sparp__request_memo *memo,
                                 sparp__fault *fault) {
    sparp__url url;
    sparp__fields fields;
    sparp_request in = *user;
    const void *body = in.json != NULL ? in.json : in.body;
    uint64_t body_size = in.json != NULL ? strlen(in.json) : in.body_size;
    uint64_t framed = in.read_body != NULL && in.body_size == 0 ? UINT64_MAX : body_size;
    char room[SPARP__HOST_MAX + 1];
    const char *wrong = NULL;
    r->is_head = r->replay_safe = false;
    if (in.method == NULL)
        in.method = body != NULL || in.read_body != NULL ? "POST" : "GET";
    unsigned traits = sparp__request_know_method(&in.method);
    if (!sparp__request_check(&in, traits, framed, fault))
        wrong = fault->detail;
    else if ((wrong = sparp__url_parse_next(&memo->url, sparp__str_of(in.url), &url)) != NULL)
        sparp__fault_set(fault, SPARP_E_BAD_REQUEST, 0, "%s", wrong);
    if (wrong != NULL) {
        bool secret = in.url != NULL && strchr(in.url, '@') != NULL;
        if (!sparp__request_keep_names(env, r, in.url == NULL ? "" : secret ? "***" : in.url,
                                       in.method))
            sparp__request_keep_names(env, r, "", "");
        return false;
    }
    fields.own = in.headers;
    fields.num_own = in.num_headers;
    fields.run = o->headers;
    fields.num_run = o->num_headers;
    fields.compressed = o->compressed;
    r->image.size = 0;
    const char *host = sparp__request_remember_host(memo, &url, room);
    if ((wrong = sparp__route_bad_proxy(o, host, url.port, url.https)) != NULL) {
        sparp__request_add_names(env, r, &in, &url, host);
        return sparp__fault_set(fault, SPARP_E_BAD_REQUEST, 0, "%s", wrong);
    }
    sparp__proxy proxy;
    bool ok = sparp__request_add_head(env, &r->image, memo, &in, &url, &fields, traits, framed,
                                      sparp__request_proxy(&url, host, o, &proxy));
    r->head_size = r->image.size;
    r->added = 0;
    r->read_body = in.read_body;
    r->body_size = in.read_body != NULL ? in.body_size : 0;
    r->expects = sparp__request_expects(&fields, framed);
    if (in.read_body == NULL)
        ok = ok && sparp__buf_append(env, &r->image, (const char *)body, (size_t)body_size);
    if (!ok || !sparp__request_add_names(env, r, &in, &url, host)) {
        sparp__request_keep_names(env, r, "", "");
        return sparp__fault_memory(fault);
    }
    r->is_head = (traits & SPARP__METHOD_HEAD) != 0;
    r->replay_safe = sparp__request_is_safe(&in, traits, &fields);
    if (!SPARP__TLS && url.https)
        return sparp__fault_set(fault, SPARP_E_TLS_ABSENT, 0, "https needs a build of sparp with "
                                "TLS");
    return true;
}

/* The lines that a request without its body does not have any more (RFC 9110 §15.4). */
static bool sparp__request_is_of_body(sparp__str name) {
    static const char *const names[] = {"transfer-encoding", "expect", "digest", "last-modified"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (sparp__str_same(name, names[i]))
            return true;
    return sparp__str_starts(name, sparp__str_of("content-"));
}

/* The lines that are meant for one origin alone (RFC 9110 §15.4). */
static bool sparp__request_is_secret(sparp__str name, const char *sensitive) {
    sparp__str list = sparp__str_of(sensitive != NULL ? sensitive : ""), one;
    while (sparp__str_element(&list, &one))
        if (one.size == name.size && sparp__str_starts(name, one))
            return true;
    return sparp__str_same(name, "authorization") || sparp__str_same(name, "cookie");
}

typedef struct sparp__turn {            /* from one hop to the next */
    const char *method;
    const sparp_options *options;
    bool        same_origin, keep_body, keep_expect;
} sparp__turn;

/* Cuts the next line of a request's head off, with its end; *name is empty if it is no field. */
static sparp__str sparp__request_next_line(sparp__str *rest, sparp__str *name) {
    size_t n = (size_t)((const char *)memchr(rest->data, '\n', rest->size) - rest->data) + 1;
    const char *colon = (const char *)memchr(rest->data, ':', n);
    sparp__str line = sparp__str_make(rest->data, n);
    *name = sparp__str_make(rest->data, colon != NULL ? (size_t)(colon - rest->data) : 0);
    *rest = sparp__str_skip(*rest, n);
    return line;
}

/* The field lines of `from` that the next hop has, too. */
static bool sparp__request_copy_lines(sparp__env *env, sparp__buf *b, const sparp__request *from,
                                      const sparp__turn *turn) {
    sparp__str rest = sparp__str_make(from->image.data, from->head_size), name;
    bool ok = true;
    for (int i = 0; ok && rest.size > 2; i++) {
        sparp__str line = sparp__request_next_line(&rest, &name);
        if (i == 0 || (sparp__str_same(name, "host") && !turn->same_origin)
            || (!turn->keep_body && sparp__request_is_of_body(name))
            || (!turn->keep_expect && sparp__str_same(name, "expect"))
            || sparp__str_same(name, "proxy-authorization")
            || (!turn->same_origin
                && sparp__request_is_secret(name, turn->options->sensitive_headers)))
            continue;
        ok = sparp__buf_add(env, b, line);
    }
    return ok;
}

/* The next hop of `from`: a request of its own, to `url`. False: out of memory. */
static bool sparp__request_build_hop(sparp__env *env, sparp__request *r,
                                     const sparp__request *from, const sparp__url *url,
                                     const sparp__turn *turn) {
    sparp_request in;
    sparp__buf *b = &r->image;
    sparp__proxy room;
    char host[SPARP__HOST_MAX + 1];
    memset(&in, 0, sizeof in);
    in.method = turn->method;
    b->size = 0;
    sparp__route_copy_host(host, url->host);
    const sparp__proxy *proxy = sparp__request_proxy(url, host, turn->options, &room);
    bool ok = sparp__request_add_start(env, b, &in, url, proxy)
        && sparp__request_add_proxy(env, b, proxy);
    if (!turn->same_origin)
        ok = ok && sparp__buf_text(env, b, "Host: ") && sparp__buf_add(env, b, url->shown)
            && sparp__buf_text(env, b, "\r\n");
    ok = ok && sparp__request_copy_lines(env, b, from, turn) && sparp__buf_text(env, b, "\r\n");
    r->head_size = b->size;
    r->added = 0;
    r->read_body = turn->keep_body ? from->read_body : NULL;
    r->body_size = turn->keep_body ? from->body_size : 0;
    r->expects = turn->keep_body && turn->keep_expect && from->expects;
    if (turn->keep_body)
        ok = ok && sparp__buf_append(env, b, from->image.data + from->head_size,
                                     from->wire_size - from->head_size);
    ok = ok && sparp__request_add_names(env, r, &in, url, host);
    r->is_head = strcmp(in.method, "HEAD") == 0;
    r->replay_safe = from->replay_safe || !turn->keep_body;
    return ok;
}

/* The lines of its own head, without those that are to be replaced. */
static bool sparp__request_copy_head(sparp__env *env, sparp__buf *b, const sparp__request *r,
                                     const sparp_field *fields, size_t count) {
    sparp__str rest = sparp__str_make(r->image.data, r->head_size - r->added - 2), name;
    bool ok = true;
    while (ok && rest.size > 0) {
        sparp__str line = sparp__request_next_line(&rest, &name);
        bool stays = true;
        for (size_t i = 0; i < count; i++)
            stays = stays && !sparp__str_same(name, fields[i].name);
        ok = !stays || sparp__buf_add(env, b, line);
    }
    return ok;
}

/* Puts lines at the end of its head, in the place of those of the same names, and of those that
   were put there before. Its old bytes are in *before then, instead of what was. False: it is as it
   was. */
static bool sparp__request_extend(sparp__env *env, sparp__request *r, const sparp_field *fields,
                                  size_t count, sparp__buf *before) {
    sparp__buf b;
    sparp__fault ignored;
    memset(&b, 0, sizeof b);
    if (!sparp__request_check_fields(fields, count, 0, &ignored) || r->head_size == 0)
        return false;
    bool ok = sparp__request_copy_head(env, &b, r, fields, count);
    size_t own = b.size;
    for (size_t i = 0; ok && i < count; i++)
        ok = fields[i].value == NULL
            || sparp__request_add_line(env, &b, fields[i].name, fields[i].value);
    uint32_t added = (uint32_t)(b.size - own);
    ok = ok && sparp__buf_text(env, &b, "\r\n");
    size_t head = b.size;
    ok = ok && sparp__buf_append(env, &b, r->image.data + r->head_size,
                                 r->image.size - r->head_size);
    if (!ok) {
        sparp__buf_free(env, &b);
        return false;
    }
    r->wire_size = r->wire_size - r->head_size + head;
    r->head_size = head;
    r->added = added;
    sparp__buf_free(env, before);
    *before = r->image;
    r->image = b;
    return true;
}

/* One of the names. Never NULL, also when there was no memory for them. */
static const char *sparp__request_name(const sparp__request *r, uint32_t at) {
    return r->wire_size + at < r->image.size ? r->image.data + r->wire_size + at : "";
}

static const char *sparp__request_url(const sparp__request *r) {
    return sparp__request_name(r, 0);
}

static const char *sparp__request_final_url(const sparp__request *r) {
    return sparp__request_name(r, r->final_at);
}

static const char *sparp__request_host(const sparp__request *r) {
    return sparp__request_name(r, r->host_at);
}

static const char *sparp__request_method(const sparp__request *r) {
    return sparp__request_name(r, r->method_at);
}

/* Whether a url leads to the same scheme, host and port. */
static bool sparp__request_same_origin(const sparp__request *r, const sparp__url *url) {
    char host[SPARP__HOST_MAX + 1];
    sparp__route_copy_host(host, url->host);
    return url->port == r->port && url->https == r->https
        && strcmp(host, sparp__request_host(r)) == 0;
}

/* ============================================================================================ */
/* >>reactor    which descriptors are ready: epoll, kqueue or poll behind the same functions.    */
/*              Level-triggered. It fills an array and calls nobody. Uses env.                   */
/*                                                                                               */
/* A tag comes back with each event; >>conn puts an index and a generation in it, so that an     */
/* event for a connection that an earlier event of the same turn has closed is known as stale.   */
/* ============================================================================================ */

#define SPARP__READABLE 1u
#define SPARP__WRITABLE 2u
#define SPARP__HANGUP 4u                /* an error or EOF waits to be read */

/* After a wait: nothing happened, or it cannot work any more. EINTR is an empty turn. */
static int sparp__reactor_failure(void) {
    return errno == EINTR || errno == EAGAIN || errno == ENOMEM ? 0 : -1;
}

typedef struct sparp__event {
    int      fd;
    uint32_t tag;
    unsigned ready;                     /* SPARP__READABLE, ... */
} sparp__event;

#if SPARP__EPOLL || SPARP__KQUEUE

typedef struct sparp__reactor {         /* zeroed: closed */
    int fd;
    bool is_open;
} sparp__reactor;

static void sparp__reactor_close(sparp__env *env, sparp__reactor *r) {
    (void)env;
    if (r->is_open)
        SPARP__SYS_CLOSE(r->fd);
    r->is_open = false;
}

static int sparp__reactor_poll_fd(const sparp__reactor *r) {
    return r->fd;
}

#endif

#if SPARP__EPOLL

static const char *sparp__reactor_name(void) {
    return "epoll";
}

static bool sparp__reactor_open(sparp__env *env, sparp__reactor *r) {
    (void)env;
    r->fd = SPARP__SYS_EPOLL_CREATE(EPOLL_CLOEXEC);
    return r->is_open = r->fd >= 0;
}

static bool sparp__reactor_ctl(sparp__reactor *r, int how, int fd, uint32_t tag, unsigned want) {
    struct epoll_event e;
    memset(&e, 0, sizeof e);
    e.events = (want & SPARP__READABLE ? (uint32_t)EPOLLIN : 0u)
        | (want & SPARP__WRITABLE ? (uint32_t)EPOLLOUT : 0u);
    e.data.u64 = (uint64_t)tag << 32 | (uint32_t)fd;
    return SPARP__SYS_EPOLL_CTL(r->fd, how, fd, &e) == 0;
}

/* False, with errno: the kernel has no room for it. */
static bool sparp__reactor_add(sparp__env *env, sparp__reactor *r, int fd, uint32_t tag,
                               unsigned want) {
    (void)env;
    return sparp__reactor_ctl(r, EPOLL_CTL_ADD, fd, tag, want);
}

static bool sparp__reactor_change(sparp__reactor *r, int fd, uint32_t tag, unsigned want) {
    return sparp__reactor_ctl(r, EPOLL_CTL_MOD, fd, tag, want);
}

/* Before close(): epoll forgets by itself, but not if the descriptor was duplicated by a fork. */
static void sparp__reactor_remove(sparp__reactor *r, int fd) {
    (void)r;
    (void)fd;
}

/* No event any more, not even that the peer hangs up, until it is added again. */
static void sparp__reactor_mute(sparp__reactor *r, int fd) {
    sparp__reactor_ctl(r, EPOLL_CTL_DEL, fd, 0, 0);
}

/* How many; -1, with errno: it cannot work. */
static int sparp__reactor_wait(sparp__reactor *r, int timeout_ms, sparp__event *out, size_t max) {
    struct epoll_event events[SPARP_EVENTS];
    int n = SPARP__SYS_EPOLL_WAIT(r->fd, events, (int)max, timeout_ms);
    for (int i = 0; i < n; i++) {
        uint32_t e = events[i].events;
        out[i].fd = (int)(uint32_t)events[i].data.u64;
        out[i].tag = (uint32_t)(events[i].data.u64 >> 32);
        out[i].ready = (e & (uint32_t)EPOLLIN ? SPARP__READABLE : 0u)
            | (e & (uint32_t)EPOLLOUT ? SPARP__WRITABLE : 0u)
            | (e & (uint32_t)(EPOLLERR | EPOLLHUP) ? SPARP__HANGUP : 0u);
    }
    return n >= 0 ? n : sparp__reactor_failure();
}

#elif SPARP__KQUEUE

static const char *sparp__reactor_name(void) {
    return "kqueue";
}

static bool sparp__reactor_open(sparp__env *env, sparp__reactor *r) {
    (void)env;
    r->fd = SPARP__SYS_KQUEUE();
    return r->is_open = r->fd >= 0;
}

/* One filter on or off; to remove what is not there is fine. Without room in the event list an
   error is returned as such, also where EV_RECEIPT is not known (NetBSD before 10). */
static bool sparp__reactor_filter(sparp__reactor *r, int fd, uint32_t tag, bool write, bool on) {
    struct kevent change;
    struct timespec zero;
    memset(&zero, 0, sizeof zero);
    memset(&change, 0, sizeof change);
    EV_SET(&change, (uintptr_t)fd, write ? EVFILT_WRITE : EVFILT_READ, on ? EV_ADD : EV_DELETE, 0,
           0, (void *)(uintptr_t)tag);
    return SPARP__SYS_KEVENT(r->fd, &change, 1, NULL, 0, &zero) == 0 || (!on && errno == ENOENT);
}

static bool sparp__reactor_change(sparp__reactor *r, int fd, uint32_t tag, unsigned want) {
    return sparp__reactor_filter(r, fd, tag, false, (want & SPARP__READABLE) != 0)
        && sparp__reactor_filter(r, fd, tag, true, (want & SPARP__WRITABLE) != 0);
}

static bool sparp__reactor_add(sparp__env *env, sparp__reactor *r, int fd, uint32_t tag,
                               unsigned want) {
    (void)env;
    return (!(want & SPARP__READABLE) || sparp__reactor_filter(r, fd, tag, false, true))
        && (!(want & SPARP__WRITABLE) || sparp__reactor_filter(r, fd, tag, true, true));
}

static void sparp__reactor_remove(sparp__reactor *r, int fd) {
    int keep = errno;
    sparp__reactor_change(r, fd, 0, 0);
    errno = keep;
}

static void sparp__reactor_mute(sparp__reactor *r, int fd) {
    sparp__reactor_remove(r, fd);
}

/* How many; -1, with errno: it cannot work. */
static int sparp__reactor_wait(sparp__reactor *r, int timeout_ms, sparp__event *out, size_t max) {
    struct kevent events[SPARP_EVENTS];
    struct timespec t;
    t.tv_sec = timeout_ms / 1000;
    t.tv_nsec = (long)(timeout_ms % 1000) * 1000000;
    int n = SPARP__SYS_KEVENT(r->fd, NULL, 0, events, (int)max, timeout_ms < 0 ? NULL : &t);
    for (int i = 0; i < n; i++) {
        out[i].fd = (int)events[i].ident;
        out[i].tag = (uint32_t)(uintptr_t)events[i].udata;
        out[i].ready = events[i].filter == EVFILT_WRITE ? SPARP__WRITABLE : SPARP__READABLE;
        if ((events[i].flags & EV_EOF) != 0)
            out[i].ready |= SPARP__HANGUP;
    }
    return n >= 0 ? n : sparp__reactor_failure();
}

#else

typedef struct sparp__reactor {         /* zeroed: empty */
    struct pollfd *fds;
    uint32_t *tags;                     /* fds[i] carries tags[i]; in the same block of memory */
    int      *where;                    /* where[fd] is its place in fds, or -1 */
    size_t    count, capacity, fd_capacity, next;
} sparp__reactor;

static const char *sparp__reactor_name(void) {
    return "poll";
}

static bool sparp__reactor_open(sparp__env *env, sparp__reactor *r) {
    (void)env;
    (void)r;
    return true;
}

static void sparp__reactor_close(sparp__env *env, sparp__reactor *r) {
    sparp__env_free(env, r->fds, r->capacity * (sizeof *r->fds + sizeof *r->tags));
    sparp__env_free(env, r->where, r->fd_capacity * sizeof *r->where);
    memset(r, 0, sizeof *r);
}

static int sparp__reactor_poll_fd(const sparp__reactor *r) {
    (void)r;
    return -1;
}

static void sparp__reactor_put(sparp__reactor *r, size_t at, struct pollfd p, uint32_t tag) {
    r->fds[at] = p;
    r->tags[at] = tag;
    r->where[p.fd] = (int)at;
}

static bool sparp__reactor_grow_fds(sparp__env *env, sparp__reactor *r) {
    size_t each = sizeof *r->fds + sizeof *r->tags;
    size_t to = r->capacity * 2 < 64 ? 64 : r->capacity * 2;
    struct pollfd *fds = (struct pollfd *)sparp__env_realloc(env, NULL, 0, to * each);
    if (fds == NULL)
        return false;
    uint32_t *tags = (uint32_t *)(void *)(fds + to);
    if (r->count > 0) {
        memcpy(fds, r->fds, r->count * sizeof *fds);
        memcpy(tags, r->tags, r->count * sizeof *tags);
    }
    sparp__env_free(env, r->fds, r->capacity * each);
    r->fds = fds;
    r->tags = tags;
    r->capacity = to;
    return true;
}

static bool sparp__reactor_grow_where(sparp__env *env, sparp__reactor *r, int fd) {
    size_t had = r->fd_capacity;
    void *where = sparp__env_grow(env, r->where, &r->fd_capacity, (size_t)fd + 1,
                                  sizeof *r->where);
    if (where == NULL)
        return false;
    r->where = (int *)where;
    for (size_t i = had; i < r->fd_capacity; i++)
        r->where[i] = -1;
    return true;
}

static short sparp__reactor_flags(unsigned want) {
    return (short)((want & SPARP__READABLE ? POLLIN : 0) | (want & SPARP__WRITABLE ? POLLOUT : 0));
}

static bool sparp__reactor_add(sparp__env *env, sparp__reactor *r, int fd, uint32_t tag,
                               unsigned want) {
    struct pollfd p;
    if ((r->count == r->capacity && !sparp__reactor_grow_fds(env, r))
        || ((size_t)fd >= r->fd_capacity && !sparp__reactor_grow_where(env, r, fd))) {
        errno = ENOMEM;
        return false;
    }
    p.fd = fd;
    p.events = sparp__reactor_flags(want);
    p.revents = 0;
    sparp__reactor_put(r, r->count++, p, tag);
    return true;
}

static bool sparp__reactor_change(sparp__reactor *r, int fd, uint32_t tag, unsigned want) {
    size_t at = (size_t)r->where[fd];
    r->fds[at].events = sparp__reactor_flags(want);
    r->tags[at] = tag;
    return true;
}

static void sparp__reactor_remove(sparp__reactor *r, int fd) {
    if ((size_t)fd >= r->fd_capacity || r->where[fd] < 0)
        return;
    size_t at = (size_t)r->where[fd];
    r->where[fd] = -1;
    if (at != --r->count)
        sparp__reactor_put(r, at, r->fds[r->count], r->tags[r->count]);
}

static void sparp__reactor_mute(sparp__reactor *r, int fd) {
    sparp__reactor_remove(r, fd);
}

/* Begins each time where it left off, so that with more than `max` ready none waits for ever. */
static int sparp__reactor_wait(sparp__reactor *r, int timeout_ms, sparp__event *out, size_t max) {
    int n = 0, ready = SPARP__SYS_POLL(r->fds, (nfds_t)r->count, timeout_ms);
    if (ready < 0)
        return sparp__reactor_failure();
    for (size_t i = 0; n < ready && i < r->count && (size_t)n < max; i++) {
        size_t at = r->next < r->count ? r->next++ : 0;
        if (at == 0)
            r->next = 1;
        short e = r->fds[at].revents;
        if (e == 0)
            continue;
        out[n].fd = r->fds[at].fd;
        out[n].tag = r->tags[at];
        out[n++].ready = (e & POLLIN ? SPARP__READABLE : 0u) | (e & POLLOUT ? SPARP__WRITABLE : 0u)
            | (e & (POLLERR | POLLHUP | POLLNVAL) ? SPARP__HANGUP : 0u);
    }
    return n;
}

#endif

/* What another loop has to watch: up to `room` of them, and how many there are. */
static size_t sparp__reactor_fds(const sparp__reactor *r, struct pollfd *out, size_t room) {
#if SPARP__EPOLL || SPARP__KQUEUE
    if (room > 0) {
        out->fd = r->fd;
        out->events = POLLIN;
        out->revents = 0;
    }
    return 1;
#else
    if (room > 0 && r->count > 0)
        memcpy(out, r->fds, (room < r->count ? room : r->count) * sizeof *out);
    return r->count;
#endif
}

/* ============================================================================================ */
/* >>socket     non-blocking TCP. The one place that knows EAGAIN and EINTR. Uses wake, resolve, */
/*              reactor.                                                                         */
/* ============================================================================================ */

typedef enum sparp__io {
    SPARP__IO_OK,
    SPARP__IO_WAIT,                     /* try again when the descriptor is ready */
    SPARP__IO_EOF,
    SPARP__IO_FAILED                    /* see errno */
} sparp__io;

static bool sparp__socket_would_block(void) {
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

/* Not the peer's doing: waiting helps, another try at once does not. */
static bool sparp__socket_starved(int error) {
    return error == EMFILE || error == ENFILE || error == EADDRNOTAVAIL || error == ENOBUFS
        || error == ENOMEM || error == ENOSPC || error == EAGAIN;
}

static void sparp__socket_close(sparp__reactor *reactor, int fd) {
    sparp__reactor_remove(reactor, fd);
    SPARP__SYS_CLOSE(fd);
}

/* -1, with errno: no descriptor to be had. */
static int sparp__socket_open(int family) {
#if defined(SOCK_NONBLOCK) && defined(SOCK_CLOEXEC)
    int fd = SPARP__SYS_SOCKET(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
#else
    int fd = SPARP__SYS_SOCKET(family, SOCK_STREAM, 0);
    if (fd >= 0 && !sparp__wake_prepare_fd(fd)) {
        SPARP__SYS_CLOSE(fd);
        return -1;
    }
#endif
    int on = 1;
    if (fd < 0)
        return -1;
    /* A request goes out in one piece: waiting for more only costs (40 ms with delayed ACKs).
       If it cannot be set, it is slower, not wrong. */
    SPARP__SYS_SETSOCKOPT(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    /* An answer may be waited for long: a connection that a NAT has forgotten, or whose peer is
       gone, is noticed by a probe a minute (RFC 9293 §3.8.4). */
    SPARP__SYS_SETSOCKOPT(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
#if defined(TCP_KEEPIDLE) && defined(TCP_KEEPINTVL)
    int idle = 60, interval = 15;
    SPARP__SYS_SETSOCKOPT(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    SPARP__SYS_SETSOCKOPT(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
#endif
#ifdef SO_NOSIGPIPE
    SPARP__SYS_SETSOCKOPT(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    return fd;
}

/* EINTR goes on in the background, as EINPROGRESS does (POSIX connect). */
static sparp__io sparp__socket_connect(int fd, const sparp__address *address) {
    struct sockaddr_un un;
    const struct sockaddr *to = &address->to.any;
    socklen_t size = address->size;
    if (address->path != NULL) {
        memset(&un, 0, sizeof un);
        un.sun_family = AF_UNIX;
        strncpy(un.sun_path, address->path, sizeof un.sun_path - 1);    /* as >>route allows */
        to = (const struct sockaddr *)&un;
        size = sizeof un;
    }
    if (SPARP__SYS_CONNECT(fd, to, size) == 0)
        return SPARP__IO_OK;
    return errno == EINPROGRESS || errno == EINTR ? SPARP__IO_WAIT : SPARP__IO_FAILED;
}

/* After the descriptor became writable: did it connect? errno says why not. */
static bool sparp__socket_connected(int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    if (SPARP__SYS_GETSOCKOPT(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return false;
    errno = error;
    return error == 0;
}

static sparp__io sparp__socket_send(int fd, const char *data, size_t size, size_t *sent) {
    for (;;) {
        ssize_t n = SPARP__SYS_SEND(fd, data, size, SPARP__NOSIGNAL);
        *sent = n > 0 ? (size_t)n : 0;
        if (n >= 0)
            return SPARP__IO_OK;
        if (errno != EINTR)
            return sparp__socket_would_block() || errno == ENOBUFS ? SPARP__IO_WAIT
                                                                    : SPARP__IO_FAILED;
    }
}

static sparp__io sparp__socket_recv(int fd, char *data, size_t size, size_t *got) {
    for (;;) {
        ssize_t n = SPARP__SYS_RECV(fd, data, size, 0);
        *got = n > 0 ? (size_t)n : 0;
        if (n != 0 && (n > 0 || errno == EINTR)) {
            if (n > 0)
                return SPARP__IO_OK;
            continue;
        }
        if (n == 0)
            return SPARP__IO_EOF;
        return sparp__socket_would_block() || errno == ENOMEM || errno == ENOBUFS
            ? SPARP__IO_WAIT : SPARP__IO_FAILED;
    }
}


/* The port is chosen when it connects: one of ours can then serve many peers. */
static bool sparp__socket_bind(int fd, const sparp__address *local) {
#ifdef IP_BIND_ADDRESS_NO_PORT
    int on = 1;
    SPARP__SYS_SETSOCKOPT(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
#endif
    return SPARP__SYS_BIND(fd, &local->to.any, local->size) == 0;
}

/* Whether this machine could send to it at all: from `local`, if that is given. EADDRNOTAVAIL of
   TCP says either that it could not, or that all ports to there are in use; UDP needs none. */
static bool sparp__socket_has_source(const sparp__address *to, const sparp__address *local) {
    int fd = SPARP__SYS_SOCKET(to->to.any.sa_family, SOCK_DGRAM, 0);
    if (fd < 0)
        return errno != EAFNOSUPPORT;
    bool has = (local->size == 0 || SPARP__SYS_BIND(fd, &local->to.any, local->size) == 0)
        && SPARP__SYS_CONNECT(fd, &to->to.any, to->size) == 0;
    SPARP__SYS_CLOSE(fd);
    return has;
}

/* Has something arrived on a connection where nothing should? */
static bool sparp__socket_is_quiet(int fd) {
    char byte;
    return SPARP__SYS_RECV(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0
        && (sparp__socket_would_block() || errno == EINTR);
}

/* ============================================================================================ */
/* >>crypto     what BearSSL computes for us, behind few names: hashes, HMAC, signatures. RSA-PSS */
/*              and X25519 are our own. Uses base, env.                                          */
/* ============================================================================================ */

#if SPARP__TLS

/* Tests with scripted peers define this as 1: nothing is encrypted, every signature is good. */
#ifndef SPARP__TLS_NEUTRAL
#define SPARP__TLS_NEUTRAL 0
#endif

#define SPARP__HASH_MAX 64              /* bytes */
#define SPARP__SIGNATURE_MAX 512        /* of RSA-4096 */
#define SPARP__WORK_RSA 5               /* public-key operations, in tenths of a millisecond: so */
#define SPARP__WORK_P256 9              /* that no turn of the loop takes long */
#define SPARP__WORK_P384 42
#define SPARP__WORK_P521 100

typedef struct sparp__crypto {          /* chosen once a run: each choice asks the processor */
    const br_block_ctr_class *ctr;
    br_ghash         ghash;
    br_chacha20_run  chacha;
    br_poly1305_run  poly;
    br_rsa_public    rsa;
    br_rsa_pkcs1_vrfy pkcs1;
    br_ecdsa_vrfy    ecdsa;
    const br_ec_impl *ec;
    bool             fast_aes;
} sparp__crypto;

/* How something is signed. In certificates the curve is free, and in TLS 1.2. */
typedef struct sparp__scheme {
    uint16_t      id;                   /* RFC 8446 §4.2.3 */
    unsigned char hash_size, key_type, curve;
    bool          pss;
} sparp__scheme;

static const sparp__scheme sparp__schemes[] = {         /* in our order of preference */
    {0x0403, 32, BR_KEYTYPE_EC, BR_EC_secp256r1, false},
    {0x0804, 32, BR_KEYTYPE_RSA, 0, true},
    {0x0401, 32, BR_KEYTYPE_RSA, 0, false},
    {0x0503, 48, BR_KEYTYPE_EC, BR_EC_secp384r1, false},
    {0x0805, 48, BR_KEYTYPE_RSA, 0, true},
    {0x0501, 48, BR_KEYTYPE_RSA, 0, false},
    {0x0603, 64, BR_KEYTYPE_EC, BR_EC_secp521r1, false},
    {0x0806, 64, BR_KEYTYPE_RSA, 0, true},
    {0x0601, 64, BR_KEYTYPE_RSA, 0, false}
};
#define SPARP__NUM_SCHEMES (sizeof sparp__schemes / sizeof *sparp__schemes)

static void sparp__wipe(void *memory, size_t size) {
    volatile unsigned char *p = (volatile unsigned char *)memory;
    while (size-- > 0)
        *p++ = 0;
}

/* In a time that does not tell where they differ. */
static bool sparp__same_secret(const void *a, const void *b, size_t size) {
    const unsigned char *p = (const unsigned char *)a, *q = (const unsigned char *)b;
    unsigned char differ = 0;
    for (size_t i = 0; i < size; i++)
        differ = (unsigned char)(differ | (p[i] ^ q[i]));
    return differ == 0 || SPARP__TLS_NEUTRAL;
}

static void sparp__crypto_choose(sparp__crypto *c) {
    bool wide = sizeof(void *) >= 8;
    c->ctr = br_aes_x86ni_ctr_get_vtable();
    c->ghash = br_ghash_pclmul_get();
    c->fast_aes = c->ctr != NULL && c->ghash != 0;
    if (c->ctr == NULL)
        c->ctr = wide ? &br_aes_ct64_ctr_vtable : &br_aes_ct_ctr_vtable;
    if (c->ghash == 0)
        c->ghash = wide ? &br_ghash_ctmul64 : &br_ghash_ctmul;
    c->chacha = br_chacha20_sse2_get();
    if (c->chacha == 0)
        c->chacha = &br_chacha20_ct_run;
    c->poly = br_poly1305_ctmulq_get();
    if (c->poly == 0)
        c->poly = &br_poly1305_ctmul_run;
    c->rsa = br_rsa_public_get_default();
    c->pkcs1 = br_rsa_pkcs1_vrfy_get_default();
    c->ecdsa = br_ecdsa_vrfy_asn1_get_default();
    c->ec = br_ec_get_default();
}

static const br_hash_class *sparp__hash_class(size_t size) {
    return size == 32 ? &br_sha256_vtable : size == 48 ? &br_sha384_vtable : &br_sha512_vtable;
}

static const unsigned char *sparp__hash_oid(size_t size) {
    return size == 32 ? BR_HASH_OID_SHA256 : size == 48 ? BR_HASH_OID_SHA384
        : BR_HASH_OID_SHA512;
}

static void sparp__digest(size_t hash_size, const void *data, size_t size, unsigned char *out) {
    br_hash_compat_context h;
    const br_hash_class *kind = sparp__hash_class(hash_size);
    kind->init(&h.vtable);
    kind->update(&h.vtable, data, size);
    kind->out(&h.vtable, out);
}

static void sparp__hmac(size_t hash_size, const unsigned char *key, size_t key_size,
                        const void *data, size_t size, unsigned char *out) {
    br_hmac_key_context k;
    br_hmac_context mac;
    br_hmac_key_init(&k, sparp__hash_class(hash_size), key, key_size);
    br_hmac_init(&mac, &k, 0);
    br_hmac_update(&mac, data, size);
    br_hmac_out(&mac, out);
}

/* --- X25519 (RFC 7748 §5), which BearSSL 0.6 has for 32 bits only ---------------------------- */

#if defined(__SIZEOF_INT128__)

__extension__ typedef unsigned __int128 sparp__wide;

/* A number modulo 2^255 - 19, in limbs of 51 bits: below 2^52 after a multiplication, below 2^54
   after a sum or a difference of such, which is what a multiplication takes. */
typedef struct sparp__field {
    uint64_t limb[5];
} sparp__field;

#define SPARP__LIMB_MASK ((UINT64_C(1) << 51) - 1)

static void sparp__field_load(sparp__field *out, const unsigned char *bytes) {
    for (size_t i = 0; i < 5; i++) {
        uint64_t word = 0;
        size_t bit = 51 * i, from = bit / 8 < 24 ? bit / 8 : 24;
        for (size_t k = 0; k < 8; k++)
            word |= (uint64_t)bytes[from + k] << 8 * k;
        out->limb[i] = word >> (bit - 8 * from) & SPARP__LIMB_MASK;
    }
}

static void sparp__field_add(sparp__field *out, const sparp__field *a, const sparp__field *b) {
    for (size_t i = 0; i < 5; i++)
        out->limb[i] = a->limb[i] + b->limb[i];
}

/* 4p is added, so that no limb becomes negative. */
static void sparp__field_subtract(sparp__field *out, const sparp__field *a,
                                  const sparp__field *b) {
    for (size_t i = 0; i < 5; i++)
        out->limb[i] = a->limb[i] + ((UINT64_C(1) << 53) - (i == 0 ? 76 : 4)) - b->limb[i];
}

static void sparp__field_carry(sparp__field *out, sparp__wide r0, sparp__wide r1, sparp__wide r2,
                               sparp__wide r3, sparp__wide r4) {
    r1 += (uint64_t)(r0 >> 51);
    r2 += (uint64_t)(r1 >> 51);
    r3 += (uint64_t)(r2 >> 51);
    r4 += (uint64_t)(r3 >> 51);
    sparp__wide low = (sparp__wide)(uint64_t)(r4 >> 51) * 19 + ((uint64_t)r0 & SPARP__LIMB_MASK);
    out->limb[0] = (uint64_t)low & SPARP__LIMB_MASK;
    out->limb[1] = ((uint64_t)r1 & SPARP__LIMB_MASK) + (uint64_t)(low >> 51);
    out->limb[2] = (uint64_t)r2 & SPARP__LIMB_MASK;
    out->limb[3] = (uint64_t)r3 & SPARP__LIMB_MASK;
    out->limb[4] = (uint64_t)r4 & SPARP__LIMB_MASK;
}

#define SPARP__TIMES(x, y) ((sparp__wide)(x) * (y))

/* 2^255 is 19. */
static void sparp__field_multiply(sparp__field *out, const sparp__field *x,
                                  const sparp__field *y) {
    uint64_t a0 = x->limb[0], a1 = x->limb[1], a2 = x->limb[2], a3 = x->limb[3], a4 = x->limb[4];
    uint64_t b0 = y->limb[0], b1 = y->limb[1], b2 = y->limb[2], b3 = y->limb[3], b4 = y->limb[4];
    uint64_t c1 = 19 * b1, c2 = 19 * b2, c3 = 19 * b3, c4 = 19 * b4;
    sparp__field_carry(out,
        SPARP__TIMES(a0, b0) + SPARP__TIMES(a1, c4) + SPARP__TIMES(a2, c3) + SPARP__TIMES(a3, c2)
            + SPARP__TIMES(a4, c1),
        SPARP__TIMES(a0, b1) + SPARP__TIMES(a1, b0) + SPARP__TIMES(a2, c4) + SPARP__TIMES(a3, c3)
            + SPARP__TIMES(a4, c2),
        SPARP__TIMES(a0, b2) + SPARP__TIMES(a1, b1) + SPARP__TIMES(a2, b0) + SPARP__TIMES(a3, c4)
            + SPARP__TIMES(a4, c3),
        SPARP__TIMES(a0, b3) + SPARP__TIMES(a1, b2) + SPARP__TIMES(a2, b1) + SPARP__TIMES(a3, b0)
            + SPARP__TIMES(a4, c4),
        SPARP__TIMES(a0, b4) + SPARP__TIMES(a1, b3) + SPARP__TIMES(a2, b2) + SPARP__TIMES(a3, b1)
            + SPARP__TIMES(a4, b0));
}

static void sparp__field_square(sparp__field *out, const sparp__field *x) {
    uint64_t a0 = x->limb[0], a1 = x->limb[1], a2 = x->limb[2], a3 = x->limb[3], a4 = x->limb[4];
    uint64_t d0 = 2 * a0, d1 = 2 * a1, c3 = 19 * a3, c4 = 19 * a4;
    sparp__field_carry(out,
        SPARP__TIMES(a0, a0) + SPARP__TIMES(d1, c4) + SPARP__TIMES(2 * a2, c3),
        SPARP__TIMES(d0, a1) + SPARP__TIMES(2 * a2, c4) + SPARP__TIMES(a3, c3),
        SPARP__TIMES(d0, a2) + SPARP__TIMES(a1, a1) + SPARP__TIMES(2 * a3, c4),
        SPARP__TIMES(d0, a3) + SPARP__TIMES(d1, a2) + SPARP__TIMES(a4, c4),
        SPARP__TIMES(d0, a4) + SPARP__TIMES(d1, a3) + SPARP__TIMES(a2, a2));
}

static void sparp__field_multiply_small(sparp__field *out, const sparp__field *x, uint64_t by) {
    const uint64_t *a = x->limb;
    sparp__field_carry(out, SPARP__TIMES(a[0], by), SPARP__TIMES(a[1], by), SPARP__TIMES(a[2], by),
                       SPARP__TIMES(a[3], by), SPARP__TIMES(a[4], by));
}

#undef SPARP__TIMES

/* To the power of p - 2 = 2^255 - 21: all bits are ones but two. */
static void sparp__field_invert(sparp__field *out, const sparp__field *a) {
    sparp__field x = *a;
    for (int bit = 253; bit >= 0; bit--) {
        sparp__field_square(&x, &x);
        if (bit != 2 && bit != 4)
            sparp__field_multiply(&x, &x, a);
    }
    *out = x;
}

/* Exchanges them if `yes` is 1, in the same steps as if it is 0. */
static void sparp__field_exchange(sparp__field *a, sparp__field *b, uint64_t yes) {
    for (size_t i = 0; i < 5; i++) {
        uint64_t differ = (a->limb[i] ^ b->limb[i]) & (0 - yes);
        a->limb[i] ^= differ;
        b->limb[i] ^= differ;
    }
}

/* The least of the numbers that it stands for. */
static void sparp__field_store(unsigned char *bytes, const sparp__field *a) {
    sparp__field x;
    sparp__field_multiply_small(&x, a, 1);
    sparp__field_multiply_small(&x, &x, 1);     /* now every limb but [1] is below 2^51 */
    uint64_t over = (x.limb[0] + 19) >> 51;     /* is it p or more? */
    for (size_t i = 1; i < 5; i++)
        over = (x.limb[i] + over) >> 51;
    x.limb[0] += 19 * over;
    for (size_t i = 0; i < 4; i++) {
        x.limb[i + 1] += x.limb[i] >> 51;
        x.limb[i] &= SPARP__LIMB_MASK;
    }
    x.limb[4] &= SPARP__LIMB_MASK;
    for (size_t i = 0; i < 32; i++) {
        size_t limb = 8 * i / 51, bit = 8 * i % 51;
        uint64_t word = x.limb[limb] >> bit;
        if (bit > 43 && limb < 4)
            word |= x.limb[limb + 1] << (51 - bit);
        bytes[i] = (unsigned char)word;
    }
}

/* One step of the ladder: doubles (x2 : z2), and adds it to (x3 : z3). */
static void sparp__x25519_step(const sparp__field *x1, sparp__field *x2, sparp__field *z2,
                               sparp__field *x3, sparp__field *z3) {
    sparp__field a, b, c, d, e;
    sparp__field_add(&a, x2, z2);
    sparp__field_subtract(&b, x2, z2);
    sparp__field_add(&c, x3, z3);
    sparp__field_subtract(&d, x3, z3);
    sparp__field_multiply(&d, &d, &a);
    sparp__field_multiply(&c, &c, &b);
    sparp__field_add(x3, &d, &c);
    sparp__field_square(x3, x3);
    sparp__field_subtract(z3, &d, &c);
    sparp__field_square(z3, z3);
    sparp__field_multiply(z3, z3, x1);
    sparp__field_square(&a, &a);
    sparp__field_square(&b, &b);
    sparp__field_multiply(x2, &a, &b);
    sparp__field_subtract(&e, &a, &b);
    sparp__field_multiply_small(z2, &e, 121665);
    sparp__field_add(z2, z2, &a);
    sparp__field_multiply(z2, z2, &e);
}

static void sparp__x25519(const sparp__crypto *crypto, unsigned char *out,
                          const unsigned char *scalar, const unsigned char *point) {
    sparp__field x1, x2 = {{1, 0, 0, 0, 0}}, z2 = {{0, 0, 0, 0, 0}}, x3, z3 = x2;
    uint64_t before = 0;
    (void)crypto;
    sparp__field_load(&x1, point);
    x3 = x1;
    for (int i = 254; i >= 0; i--) {
        unsigned char byte = scalar[i / 8];
        if (i < 8)
            byte = (unsigned char)(byte & 248);
        uint64_t bit = i == 254 ? 1 : (uint64_t)(byte >> (i & 7) & 1);
        sparp__field_exchange(&x2, &x3, bit ^ before);
        sparp__field_exchange(&z2, &z3, bit ^ before);
        before = bit;
        sparp__x25519_step(&x1, &x2, &z2, &x3, &z3);
    }
    sparp__field_exchange(&x2, &x3, before);
    sparp__field_exchange(&z2, &z3, before);
    sparp__field_invert(&z2, &z2);
    sparp__field_multiply(&x2, &x2, &z2);
    sparp__field_store(out, &x2);
    sparp__wipe(&x2, sizeof x2);
    sparp__wipe(&z2, sizeof z2);
    sparp__wipe(&x3, sizeof x3);
    sparp__wipe(&z3, sizeof z3);
}

#else

static void sparp__x25519(const sparp__crypto *crypto, unsigned char *out,
                          const unsigned char *scalar, const unsigned char *point) {
    memmove(out, point, 32);
    crypto->ec->mul(out, 32, scalar, 32, BR_EC_curve25519);
}

#endif

/* --- RSA-PSS (RFC 8017 §8.1, §9.1), with a salt as long as the hash ------------------------- */

/* MGF1, XORed onto data. */
static void sparp__pss_mask(size_t hash_size, const unsigned char *seed, unsigned char *data,
                            size_t size) {
    unsigned char from[SPARP__HASH_MAX + 4], block[SPARP__HASH_MAX];
    memcpy(from, seed, hash_size);
    memset(from + hash_size, 0, 4);
    for (size_t at = 0; at < size; at += hash_size, from[hash_size + 3]++) {
        sparp__digest(hash_size, from, hash_size + 4, block);
        for (size_t i = 0; i < hash_size && at + i < size; i++)
            data[at + i] ^= block[i];
    }
}

static void sparp__pss_hash(size_t hash_size, const unsigned char *hash,
                            const unsigned char *salt, unsigned char *out) {
    unsigned char from[8 + 2 * SPARP__HASH_MAX];
    memset(from, 0, 8);
    memcpy(from + 8, hash, hash_size);
    memcpy(from + 8 + hash_size, salt, hash_size);
    sparp__digest(hash_size, from, 8 + 2 * hash_size, out);
}

static size_t sparp__rsa_bits(const unsigned char *n, size_t size) {
    while (size > 0 && *n == 0) {
        n++;
        size--;
    }
    size_t bits = size * 8;
    for (unsigned top = size > 0 ? *n : 0x80; top < 0x80; top <<= 1)
        bits--;
    return bits;
}

/* What a signature should look like without its encryption: `em`, of a modulus of `bits`. */
static bool sparp__pss_good(size_t hash_size, const unsigned char *hash, unsigned char *em,
                            size_t bits) {
    unsigned char want[SPARP__HASH_MAX];
    size_t size = (bits + 6) / 8, spare = 8 * size - (bits - 1);
    if (size < (bits + 7) / 8 && *em++ != 0)    /* bits % 8 == 1: one byte less */
        return false;
    if (size < 2 * hash_size + 2 || em[size - 1] != 0xBC || em[0] >> (8 - spare) != 0)
        return false;
    size_t masked = size - hash_size - 1, salt = masked - hash_size;
    sparp__pss_mask(hash_size, em + masked, em, masked);
    em[0] = (unsigned char)(em[0] & (0xFF >> spare));
    for (size_t i = 0; i + 1 < salt; i++)
        if (em[i] != 0)
            return false;
    if (em[salt - 1] != 1)
        return false;
    sparp__pss_hash(hash_size, hash, em + salt, want);
    return memcmp(want, em + masked, hash_size) == 0;
}

static bool sparp__pss_verify(const sparp__crypto *crypto, size_t hash_size,
                              const unsigned char *hash, sparp__str sig,
                              const br_rsa_public_key *key) {
    unsigned char em[SPARP__SIGNATURE_MAX];
    size_t bits = sparp__rsa_bits(key->n, key->nlen);
    if (bits < 512 || sig.size != (bits + 7) / 8 || sig.size > sizeof em)
        return false;
    memcpy(em, sig.data, sig.size);
    return crypto->rsa(em, sig.size, key) == 1 && sparp__pss_good(hash_size, hash, em, bits);
}

/* The signature's size; 0: the key is too small, or there is no chance for the salt. */
static size_t sparp__pss_sign(size_t hash_size, const unsigned char *hash,
                              const br_rsa_private_key *key, unsigned char *sig) {
    size_t size = (key->n_bitlen + 7) / 8, em_size = (key->n_bitlen + 6) / 8;
    size_t spare = 8 * em_size - (key->n_bitlen - 1), masked = em_size - hash_size - 1;
    unsigned char *em = sig + size - em_size;
    if (size > SPARP__SIGNATURE_MAX || em_size < 2 * hash_size + 2)
        return 0;
    memset(sig, 0, size);
    em[masked - hash_size - 1] = 1;
    if (!sparp__env_entropy(em + masked - hash_size, hash_size))
        return 0;
    sparp__pss_hash(hash_size, hash, em + masked - hash_size, em + masked);
    sparp__pss_mask(hash_size, em + masked, em, masked);
    em[0] = (unsigned char)(em[0] & (0xFF >> spare));
    em[em_size - 1] = 0xBC;
    return br_rsa_private_get_default()(sig, key) == 1 ? size : 0;
}

/* --- signatures ------------------------------------------------------------------------------ */

static const sparp__scheme *sparp__scheme_find(unsigned id) {
    for (size_t i = 0; i < SPARP__NUM_SCHEMES; i++)
        if (sparp__schemes[i].id == id)
            return &sparp__schemes[i];
    return NULL;
}

static int sparp__signature_work(const br_x509_pkey *key) {
    if (key->key_type == BR_KEYTYPE_RSA)
        return SPARP__WORK_RSA;
    return key->key.ec.curve == BR_EC_secp256r1 ? SPARP__WORK_P256
        : key->key.ec.curve == BR_EC_secp384r1 ? SPARP__WORK_P384 : SPARP__WORK_P521;
}

static bool sparp__signature_good(const sparp__crypto *crypto, const sparp__scheme *s,
                                  const br_x509_pkey *key, const unsigned char *hash,
                                  sparp__str sig) {
    unsigned char found[SPARP__HASH_MAX];
    const unsigned char *bytes = (const unsigned char *)sig.data;
    if (SPARP__TLS_NEUTRAL)
        return true;
    if (s->key_type != key->key_type)
        return false;
    if (s->key_type == BR_KEYTYPE_EC)
        return crypto->ecdsa(crypto->ec, hash, s->hash_size, &key->key.ec, bytes, sig.size) == 1;
    if (s->pss)
        return sparp__pss_verify(crypto, s->hash_size, hash, sig, &key->key.rsa);
    return crypto->pkcs1(bytes, sig.size, sparp__hash_oid(s->hash_size), s->hash_size,
                         &key->key.rsa, found) == 1
        && memcmp(found, hash, s->hash_size) == 0;
}

#endif /* SPARP__TLS */

/* ============================================================================================ */
/* >>x509       certificates: a DER walk, trust anchors, and whether a chain leads to one        */
/*              (RFC 5280 §6). Uses crypto, buf, env, resolve (for addresses).                   */
/* ============================================================================================ */

#if SPARP__TLS

#define SPARP__CHAIN_MAX_CERTS 10       /* of a path; more may be sent */
#define SPARP__CHAIN_MAX_BYTES (128 * 1024)
#define SPARP__CHAIN_MAX_STEPS 2000     /* of the search for a path */
#define SPARP__CHAIN_WORK 100           /* done in one go, see SPARP__WORK_RSA */
#define SPARP__RSA_MIN_BITS 2048
#define SPARP__RSA_MAX_BITS 4096        /* of BearSSL */
#define SPARP__BUILT_S INT64_C(1795219200)      /* 2026-11-21: no clock can be before that */

typedef struct sparp__cert {            /* slices of one certificate's DER */
    sparp__str whole, tbs, algorithm, signature, issuer, subject, spki;
    sparp__str names, purposes, constraints;    /* subjectAltName, ... */
    int64_t    not_before, not_after;   /* seconds since 1970 */
    int        path_length;             /* certificates that may come below, but for the last */
    unsigned   seen;                    /* extensions, by their bits below */
    bool       is_ca, no_signing, no_issuing;
    bool       critical;                /* has a critical extension that is not known */
} sparp__cert;

enum {
    SPARP__EXT_NAMES = 1, SPARP__EXT_PURPOSES = 2, SPARP__EXT_CONSTRAINTS = 4, SPARP__EXT_USAGE = 8,
    SPARP__EXT_BASIC = 16
};

typedef struct sparp__anchor {          /* somebody who is trusted */
    sparp__str name, spki, constraints; /* while loading, their data are offsets into bytes */
    bool       is_ca;                   /* else only he himself */
} sparp__anchor;

typedef struct sparp__anchors {         /* zeroed: none */
    sparp__buf     bytes;               /* names and keys, one after the other */
    sparp__anchor *list;
    size_t         count, capacity;
} sparp__anchors;

/* --- DER ------------------------------------------------------------------------------------ */

/* Cuts the next element off *in. False: malformed, or nothing left. */
static bool sparp__der_next(sparp__str *in, int *tag, sparp__str *value, sparp__str *whole) {
    const unsigned char *p = (const unsigned char *)in->data;
    if (in->size < 2)
        return false;
    size_t header = 2, length = p[1];
    if (length > 0x80) {
        size_t bytes = length & 0x7F;
        if (bytes > 4 || in->size < 2 + bytes)
            return false;
        for (length = 0; header < 2 + bytes; header++)
            length = length << 8 | p[header];
    } else if (length == 0x80) {        /* indefinite: BER, not DER */
        return false;
    }
    if (length > in->size - header)
        return false;
    *tag = p[0];
    *value = sparp__str_make(in->data + header, length);
    *whole = sparp__str_make(in->data, header + length);
    *in = sparp__str_skip(*in, header + length);
    return true;
}

static bool sparp__der_take(sparp__str *in, int tag, sparp__str *value) {
    int found;
    sparp__str whole;
    return sparp__der_next(in, &found, value, &whole) && found == tag;
}

static bool sparp__der_take_whole(sparp__str *in, int tag, sparp__str *whole) {
    int found;
    sparp__str value;
    return sparp__der_next(in, &found, &value, whole) && found == tag;
}

static bool sparp__der_is(sparp__str value, const char *bytes, size_t size) {
    return value.size == size && memcmp(value.data, bytes, size) == 0;
}

static int sparp__der_two_digits(const char *at) {
    return (at[0] - '0') * 10 + (at[1] - '0');
}

/* UTCTime or GeneralizedTime, as RFC 5280 §4.1.2.5 narrows them. */
static bool sparp__der_time(sparp__str *in, int64_t *unix_s) {
    int tag;
    sparp__str t, whole;
    if (!sparp__der_next(in, &tag, &t, &whole) || (tag != 0x17 && tag != 0x18))
        return false;
    size_t digits = tag == 0x17 ? 12 : 14;
    if (t.size != digits + 1 || t.data[digits] != 'Z')
        return false;
    for (size_t i = 0; i < digits; i++)
        if (!sparp__ascii_digit(t.data[i]))
            return false;
    int year = sparp__der_two_digits(t.data);
    year = tag == 0x18 ? year * 100 + sparp__der_two_digits(t.data + 2)
        : year + (year < 50 ? 2000 : 1900);
    const char *at = t.data + digits - 10;
    *unix_s = sparp__days(year, sparp__der_two_digits(at), sparp__der_two_digits(at + 2)) * 86400
        + sparp__der_two_digits(at + 4) * 3600 + sparp__der_two_digits(at + 6) * 60
        + sparp__der_two_digits(at + 8);
    return true;
}

/* --- one certificate ------------------------------------------------------------------------ */

/* Its bit, 0: known, and of no meaning here; -1: not known. */
static int sparp__cert_extension_of(sparp__str oid) {
    static const struct { const char *id; int bit; } known[] = {        /* id-ce, 2.5.29 */
        {"\x55\x1D\x11", SPARP__EXT_NAMES}, {"\x55\x1D\x25", SPARP__EXT_PURPOSES},
        {"\x55\x1D\x1E", SPARP__EXT_CONSTRAINTS}, {"\x55\x1D\x0F", SPARP__EXT_USAGE},
        {"\x55\x1D\x13", SPARP__EXT_BASIC},
        {"\x55\x1D\x23", 0}, {"\x55\x1D\x0E", 0},      /* key identifiers */
        {"\x55\x1D\x12", 0}, {"\x55\x1D\x09", 0},      /* other names, attributes */
        {"\x55\x1D\x1F", 0}, {"\x55\x1D\x2E", 0},      /* revocation lists */
        {"\x55\x1D\x20", 0}           /* policies: any will do */
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (sparp__der_is(oid, known[i].id, 3))
            return known[i].bit;
    return sparp__der_is(oid, "\x2B\x06\x01\x05\x05\x07\x01\x01", 8) ? 0 : -1;      /* AIA */
}

/* RFC 5280 §4.2.1.9. */
static bool sparp__cert_basic(sparp__cert *c, sparp__str value) {
    sparp__str basic, flag, length;
    if (!sparp__der_take(&value, 0x30, &basic))
        return false;
    if (basic.size > 0 && basic.data[0] == 0x01) {
        if (!sparp__der_take(&basic, 0x01, &flag) || flag.size != 1)
            return false;
        c->is_ca = flag.data[0] != 0;
    }
    if (basic.size == 0)
        return true;
    if (!sparp__der_take(&basic, 0x02, &length) || length.size == 0)
        return false;
    if (length.size == 1 && (unsigned char)length.data[0] < SPARP__CHAIN_MAX_CERTS)
        c->path_length = length.data[0];
    return true;
}

static bool sparp__cert_usage(sparp__cert *c, sparp__str value) {
    sparp__str bits;                    /* digitalSignature is the first one, keyCertSign the 6th */
    if (!sparp__der_take(&value, 0x03, &bits))
        return false;
    c->no_signing = bits.size < 2 || ((unsigned char)bits.data[1] & 0x80) == 0;
    c->no_issuing = bits.size < 2 || ((unsigned char)bits.data[1] & 0x04) == 0;
    return true;
}

/* False: malformed, or there twice (RFC 5280 §4.2). */
static bool sparp__cert_extension(sparp__cert *c, sparp__str extension) {
    sparp__str oid, value, flag;
    bool critical = false;
    if (!sparp__der_take(&extension, 0x06, &oid))
        return false;
    if (extension.size > 0 && extension.data[0] == 0x01) {
        if (!sparp__der_take(&extension, 0x01, &flag) || flag.size != 1)
            return false;
        critical = flag.data[0] != 0;
    }
    if (!sparp__der_take(&extension, 0x04, &value))
        return false;
    int bit = sparp__cert_extension_of(oid);
    if (bit <= 0) {
        c->critical = c->critical || (critical && bit < 0);
        return true;
    }
    if ((c->seen & (unsigned)bit) != 0)
        return false;
    c->seen |= (unsigned)bit;
    switch (bit) {
    case SPARP__EXT_NAMES:       return sparp__der_take(&value, 0x30, &c->names);
    case SPARP__EXT_PURPOSES:    return sparp__der_take(&value, 0x30, &c->purposes);
    case SPARP__EXT_CONSTRAINTS: return sparp__der_take(&value, 0x30, &c->constraints);
    case SPARP__EXT_USAGE:       return sparp__cert_usage(c, value);
    default:                     return sparp__cert_basic(c, value);
    }
}

static bool sparp__cert_extensions(sparp__cert *c, sparp__str rest) {
    sparp__str value, whole, list, extension;
    int tag;
    while (rest.size > 0) {
        if (!sparp__der_next(&rest, &tag, &value, &whole))
            return false;
        if (tag != 0xA3)                /* the old unique identifiers */
            continue;
        if (!sparp__der_take(&value, 0x30, &list))
            return false;
        while (list.size > 0)
            if (!sparp__der_take(&list, 0x30, &extension)
                || !sparp__cert_extension(c, extension))
                return false;
    }
    return true;
}

/* What is signed, and by which algorithm, which it says twice (RFC 5280 §4.1.1.2). */
static bool sparp__cert_parse_outside(sparp__str der, sparp__cert *c, sparp__str *tbs) {
    sparp__str body, inside, bits;
    if (!sparp__der_take(&der, 0x30, &body) || !sparp__der_take_whole(&body, 0x30, &c->tbs)
        || !sparp__der_take_whole(&body, 0x30, &c->algorithm)
        || !sparp__der_take(&body, 0x03, &bits) || bits.size < 1 || bits.data[0] != 0)
        return false;
    c->signature = sparp__str_skip(bits, 1);
    inside = c->tbs;
    return sparp__der_take(&inside, 0x30, tbs);
}

/* RFC 5280 §4.1. */
static bool sparp__cert_parse(sparp__str der, sparp__cert *c) {
    sparp__str tbs, validity, ignored, algorithm;
    memset(c, 0, sizeof *c);
    c->whole = der;
    c->path_length = SPARP__CHAIN_MAX_CERTS;
    if (!sparp__cert_parse_outside(der, c, &tbs))
        return false;
    if (tbs.size > 0 && (unsigned char)tbs.data[0] == 0xA0 && !sparp__der_take(&tbs, 0xA0,
                                                                              &ignored))
        return false;
    return sparp__der_take(&tbs, 0x02, &ignored)
        && sparp__der_take_whole(&tbs, 0x30, &algorithm)
        && sparp__der_is(algorithm, c->algorithm.data, c->algorithm.size)
        && sparp__der_take_whole(&tbs, 0x30, &c->issuer)
        && sparp__der_take(&tbs, 0x30, &validity)
        && sparp__der_time(&validity, &c->not_before)
        && sparp__der_time(&validity, &c->not_after)
        && sparp__der_take_whole(&tbs, 0x30, &c->subject)
        && sparp__der_take_whole(&tbs, 0x30, &c->spki)
        && sparp__cert_extensions(c, tbs);
}

/* An INTEGER without the zero that keeps it positive. */
static bool sparp__der_unsigned(sparp__str *in, sparp__str *value) {
    if (!sparp__der_take(in, 0x02, value))
        return false;
    while (value->size > 0 && value->data[0] == 0)
        *value = sparp__str_skip(*value, 1);
    return value->size > 0;
}

/* The public key, as slices of the certificate: RSA, or one of the three NIST curves. */
static bool sparp__spki_key(sparp__str spki, br_x509_pkey *key) {
    sparp__str body, algorithm, oid, curve, bits, rsa, n, e;
    if (!sparp__der_take(&spki, 0x30, &body) || !sparp__der_take(&body, 0x30, &algorithm)
        || !sparp__der_take(&body, 0x03, &bits) || bits.size < 2 || bits.data[0] != 0
        || !sparp__der_take(&algorithm, 0x06, &oid))
        return false;
    bits = sparp__str_skip(bits, 1);
    if (sparp__der_is(oid, "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01", 9)) {
        if (!sparp__der_take(&bits, 0x30, &rsa) || !sparp__der_unsigned(&rsa, &n)
            || !sparp__der_unsigned(&rsa, &e))
            return false;
        key->key_type = BR_KEYTYPE_RSA;
        key->key.rsa.n = (unsigned char *)(uintptr_t)n.data;
        key->key.rsa.nlen = n.size;
        key->key.rsa.e = (unsigned char *)(uintptr_t)e.data;
        key->key.rsa.elen = e.size;
        return true;
    }
    if (!sparp__der_is(oid, "\x2A\x86\x48\xCE\x3D\x02\x01", 7)
        || !sparp__der_take(&algorithm, 0x06, &curve))
        return false;
    key->key_type = BR_KEYTYPE_EC;
    key->key.ec.curve = sparp__der_is(curve, "\x2A\x86\x48\xCE\x3D\x03\x01\x07", 8)
        ? BR_EC_secp256r1 : sparp__der_is(curve, "\x2B\x81\x04\x00\x22", 5) ? BR_EC_secp384r1
        : sparp__der_is(curve, "\x2B\x81\x04\x00\x23", 5) ? BR_EC_secp521r1 : 0;
    key->key.ec.q = (unsigned char *)(uintptr_t)bits.data;
    key->key.ec.qlen = bits.size;
    return key->key.ec.curve != 0;
}

/* The parameters of RSA-PSS (RFC 4055 §3.1): SHA-256 or better, twice the same, and a salt as long
   as it. NULL: others. */
static const sparp__scheme *sparp__cert_pss(sparp__str params) {
    static const char sha2[] = "\x60\x86\x48\x01\x65\x03\x04\x02";
    static const char mgf1[] = "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x08";
    sparp__str list, part, algorithm, hash, mask, again, salt;
    if (!sparp__der_take(&params, 0x30, &list)
        || !sparp__der_take(&list, 0xA0, &part) || !sparp__der_take(&part, 0x30, &algorithm)
        || !sparp__der_take(&algorithm, 0x06, &hash)
        || !sparp__der_take(&list, 0xA1, &part) || !sparp__der_take(&part, 0x30, &algorithm)
        || !sparp__der_take(&algorithm, 0x06, &mask) || !sparp__der_is(mask, mgf1, 9)
        || !sparp__der_take(&algorithm, 0x30, &part) || !sparp__der_take(&part, 0x06, &again)
        || !sparp__der_is(again, hash.data, hash.size)
        || !sparp__der_take(&list, 0xA2, &part) || !sparp__der_take(&part, 0x02, &salt)
        || list.size > 0)               /* the trailer is as it always is, so it is left out */
        return NULL;
    if (hash.size != 9 || memcmp(hash.data, sha2, 8) != 0 || salt.size != 1)
        return NULL;
    const sparp__scheme *s = sparp__scheme_find(0x0803u + (unsigned char)hash.data[8]);
    return s != NULL && salt.data[0] == (char)s->hash_size ? s : NULL;
}

/* How it was signed; NULL: in a way that is weak, or not known here. */
static const sparp__scheme *sparp__cert_scheme(const sparp__cert *c) {
    static const struct { const char *oid; size_t size; uint16_t scheme; } known[] = {
        {"\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0B", 9, 0x0401},
        {"\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0C", 9, 0x0501},
        {"\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0D", 9, 0x0601},
        {"\x2A\x86\x48\xCE\x3D\x04\x03\x02", 8, 0x0403},
        {"\x2A\x86\x48\xCE\x3D\x04\x03\x03", 8, 0x0503},
        {"\x2A\x86\x48\xCE\x3D\x04\x03\x04", 8, 0x0603}
    };
    sparp__str whole = c->algorithm, body, oid;
    if (!sparp__der_take(&whole, 0x30, &body) || !sparp__der_take(&body, 0x06, &oid))
        return NULL;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (sparp__der_is(oid, known[i].oid, known[i].size))
            return sparp__scheme_find(known[i].scheme);
    return sparp__der_is(oid, "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0A", 9) ? sparp__cert_pss(body)
        : NULL;
}

/* A name for people: the common name, else the organisation, else what there is. */
static void sparp__cert_show_name(sparp__str dn, char *out, size_t size) {
    sparp__str names, set, pair, oid, value, whole, best = sparp__str_make("?", 1);
    int tag;
    bool common = false;
    if (sparp__der_take(&dn, 0x30, &names))
        while (!common && sparp__der_take(&names, 0x31, &set))
            if (sparp__der_take(&set, 0x30, &pair) && sparp__der_take(&pair, 0x06, &oid)
                && sparp__der_next(&pair, &tag, &value, &whole)) {
                common = sparp__der_is(oid, "\x55\x04\x03", 3);
                if (common || sparp__der_is(oid, "\x55\x04\x0A", 3))
                    best = value;
            }
    size_t n = best.size < size ? best.size : size - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = best.data[i] >= 0x20 && best.data[i] < 0x7F ? best.data[i] : '?';
    out[n] = '\0';
}

/* --- whose it is ----------------------------------------------------------------------------- */

/* RFC 6125 §6.4.3, at its strictest: "*" is the whole first label, stands for exactly one, and
   has at least two behind it. */
static bool sparp__cert_name_fits(sparp__str pattern, const char *host) {
    if (pattern.size > 2 && pattern.data[0] == '*' && pattern.data[1] == '.') {
        const char *dot = strchr(host, '.');
        pattern = sparp__str_skip(pattern, 1);
        if (dot == NULL || dot == host
            || memchr(pattern.data + 1, '.', pattern.size - 1) == NULL)
            return false;
        host = dot;
    }
    return memchr(pattern.data, '*', pattern.size) == NULL && sparp__str_same(pattern, host);
}

static sparp__str sparp__cert_ip(const sparp__address *ip) {
    return ip->to.any.sa_family == AF_INET
        ? sparp__str_make((const char *)&ip->to.v4.sin_addr, 4)
        : sparp__str_make((const char *)&ip->to.v6.sin6_addr, 16);
}

/* `ip`, when it is not NULL, must be among the addresses; no dNSName stands for it. */
static bool sparp__cert_is_for(const sparp__cert *c, const char *host, const sparp__address *ip) {
    sparp__str list = c->names, value, whole, wanted = sparp__str_make(NULL, 0);
    int tag;
    if (ip != NULL)
        wanted = sparp__cert_ip(ip);
    while (sparp__der_next(&list, &tag, &value, &whole))
        if (ip != NULL ? tag == 0x87 && sparp__der_is(value, wanted.data, wanted.size)
                       : tag == 0x82 && value.size > 0 && sparp__cert_name_fits(value, host))
            return true;
    return false;
}

/* The names it has, for the sentence that says that yours is not among them. */
static void sparp__cert_show_names(const sparp__cert *c, char *out, size_t size) {
    sparp__str list = c->names, value, whole;
    size_t at = 0;
    int tag;
    out[0] = '\0';
    while (sparp__der_next(&list, &tag, &value, &whole)) {
        char name[64];
        if (tag == 0x87 && (value.size == 4 || value.size == 16)) {
            if (inet_ntop(value.size == 4 ? AF_INET : AF_INET6, value.data, name, sizeof name)
                == NULL)
                continue;
        } else if (tag == 0x82) {
            size_t n = value.size < sizeof name ? value.size : sizeof name - 1;
            for (size_t i = 0; i < n; i++)
                name[i] = value.data[i] > 0x20 && value.data[i] < 0x7F ? value.data[i] : '?';
            name[n] = '\0';
        } else {
            continue;
        }
        size_t left = size - at;
        int n = snprintf(out + at, left, "%s%s", at > 0 ? ", " : "", name);
        if (n < 0 || (size_t)n >= left) {
            out[at] = '\0';
            return;
        }
        at += (size_t)n;
    }
}

/* extendedKeyUsage: absent, serverAuth or any. */
static bool sparp__cert_serves(const sparp__cert *c) {
    sparp__str list = c->purposes, oid;
    if ((c->seen & SPARP__EXT_PURPOSES) == 0)
        return true;
    while (sparp__der_take(&list, 0x06, &oid))
        if (sparp__der_is(oid, "\x2B\x06\x01\x05\x05\x07\x03\x01", 8)
            || sparp__der_is(oid, "\x55\x1D\x25\x00", 4))
            return true;
    return false;
}

/* --- name constraints (RFC 5280 §4.2.1.10) --------------------------------------------------- */

/* "good.test" is itself and all below it; ".good.test", which is often seen, all below it. */
static bool sparp__constraint_has_dns(sparp__str base, sparp__str name) {
    if (base.size > name.size)
        return false;
    for (size_t i = 0, skip = name.size - base.size; i < base.size; i++)
        if (sparp__ascii_lower(base.data[i]) != sparp__ascii_lower(name.data[skip + i]))
            return false;
    return base.size == 0 || base.size == name.size || base.data[0] == '.'
        || name.data[name.size - base.size - 1] == '.';
}

/* An address and a mask. */
static bool sparp__constraint_has_ip(sparp__str base, sparp__str ip) {
    if (base.size != 2 * ip.size)
        return false;
    for (size_t i = 0; i < ip.size; i++)
        if (((base.data[i] ^ ip.data[i]) & base.data[ip.size + i]) != 0)
            return false;
    return true;
}

/* Whether one side of a constraint has that name in it. *applies: it has something of its kind.
   Forms that are not understood, and a minimum or a maximum, are `unknown`. */
static bool sparp__constraint_has(sparp__str list, int tag, sparp__str name, bool unknown,
                                  bool *applies) {
    sparp__str subtree, base, whole;
    int found;
    *applies = false;
    while (list.size > 0) {
        if (!sparp__der_take(&list, 0x30, &subtree)
            || !sparp__der_next(&subtree, &found, &base, &whole)) {
            *applies = true;
            return unknown;
        }
        if (found != tag)
            continue;
        *applies = true;
        bool known = subtree.size == 0 && (tag == 0x82 || tag == 0x87);
        if (known ? tag == 0x82 ? sparp__constraint_has_dns(base, name)
                                : sparp__constraint_has_ip(base, name) : unknown)
            return true;
    }
    return false;
}

static bool sparp__constraint_allows(sparp__str constraints, int tag, sparp__str name) {
    sparp__str list, whole;
    int side;
    bool applies;
    while (constraints.size > 0) {
        if (!sparp__der_next(&constraints, &side, &list, &whole))
            return false;
        if (side == 0xA0) {
            bool has = sparp__constraint_has(list, tag, name, false, &applies);
            if (applies && !has)
                return false;
        } else if (sparp__constraint_has(list, tag, name, true, &applies)) {
            return false;
        }
    }
    return true;
}

/* Every name that it has. */
static bool sparp__constraint_allows_cert(sparp__str constraints, const sparp__cert *c) {
    sparp__str list = c->names, value, whole;
    int tag;
    if (c->subject.size > 2 && !sparp__constraint_allows(constraints, 0xA4, c->subject))
        return false;
    while (list.size > 0)
        if (!sparp__der_next(&list, &tag, &value, &whole)
            || !sparp__constraint_allows(constraints, tag, value))
            return false;
    return true;
}

/* --- trust anchors --------------------------------------------------------------------------- */

static void sparp__anchors_free(sparp__env *env, sparp__anchors *a) {
    sparp__env_free(env, a->list, a->capacity * sizeof *a->list);
    sparp__buf_free(env, &a->bytes);
    memset(a, 0, sizeof *a);
}

/* Copies a slice and leaves its place as an offset, since the buffer may still move. */
static bool sparp__anchors_copy(sparp__env *env, sparp__anchors *a, sparp__str *slice) {
    size_t at = a->bytes.size;
    if (!sparp__buf_add(env, &a->bytes, *slice))
        return false;
    slice->data = (const char *)(uintptr_t)at;
    return true;
}

static bool sparp__anchors_grow(sparp__env *env, sparp__anchors *a) {
    if (a->count < a->capacity)
        return true;
    void *list = sparp__env_grow(env, a->list, &a->capacity, a->count + 1, sizeof *a->list);
    if (list != NULL)
        a->list = (sparp__anchor *)list;
    return list != NULL;
}

/* Of a size that is neither weak nor beyond BearSSL. */
static bool sparp__key_fits(const br_x509_pkey *key) {
    if (key->key_type != BR_KEYTYPE_RSA)
        return true;
    size_t bits = sparp__rsa_bits(key->key.rsa.n, key->key.rsa.nlen);
    return bits >= SPARP__RSA_MIN_BITS && bits <= SPARP__RSA_MAX_BITS;
}

/* Adds one certificate. One that is damaged, of a kind we cannot use or too weak is left out:
   it does not spoil the others. False: out of memory. */
static bool sparp__anchors_add(sparp__env *env, sparp__anchors *a, sparp__str der) {
    sparp__cert c;
    br_x509_pkey key;
    sparp__anchor anchor;
    if (!sparp__cert_parse(der, &c) || !sparp__spki_key(c.spki, &key) || !sparp__key_fits(&key))
        return true;
    anchor.name = c.subject;
    anchor.spki = c.spki;
    anchor.constraints = c.constraints;
    anchor.is_ca = c.is_ca;
    if (!sparp__anchors_grow(env, a) || !sparp__anchors_copy(env, a, &anchor.name)
        || !sparp__anchors_copy(env, a, &anchor.spki)
        || !sparp__anchors_copy(env, a, &anchor.constraints))
        return false;
    a->list[a->count++] = anchor;
    return true;
}

/* All are there: offsets become pointers, and what is too much is given back. */
static void sparp__anchors_finish(sparp__env *env, sparp__anchors *a) {
    char *bytes = a->bytes.size == 0 ? NULL : (char *)sparp__env_realloc(
        env, a->bytes.data, a->bytes.capacity, a->bytes.size);
    if (bytes != NULL) {
        a->bytes.data = bytes;
        a->bytes.capacity = a->bytes.size;
    }
    for (size_t i = 0; i < a->count; i++) {
        sparp__anchor *t = &a->list[i];
        t->name.data = a->bytes.data + (uintptr_t)t->name.data;
        t->spki.data = a->bytes.data + (uintptr_t)t->spki.data;
        t->constraints.data = a->bytes.data + (uintptr_t)t->constraints.data;
    }
}

/* --- a chain --------------------------------------------------------------------------------- */

typedef enum sparp__flaw {              /* what is wrong with a path */
    SPARP__FLAW_NONE,
    SPARP__FLAW_DATE, SPARP__FLAW_CRITICAL, SPARP__FLAW_KEY_SIZE, SPARP__FLAW_KEY_KIND,
    SPARP__FLAW_ISSUER, SPARP__FLAW_PURPOSE, SPARP__FLAW_SIGNING, SPARP__FLAW_CONSTRAINT,
    SPARP__FLAW_SCHEME, SPARP__FLAW_SIGNATURE
} sparp__flaw;

typedef enum sparp__chain_answer {
    SPARP__NO, SPARP__YES, SPARP__NOT_YET
} sparp__chain_answer;

/* What the server sent, and what we ask of it. A path grows from the leaf by names, and is tried
   when the last one's issuer is an anchor: first what costs nothing, then the signatures, from the
   anchor down, so that only what somebody trusted has signed is computed with. No signature is
   looked at twice. */
typedef struct sparp__chain {
    const sparp__crypto  *crypto;
    const sparp__anchors *anchors;
    const char           *host;
    const sparp__address *ip;           /* NULL: host is a name */
    int64_t     wall_s;
    sparp__cert certs[SPARP__CHAIN_MAX_CERTS];
    size_t      count;
    size_t      path[SPARP__CHAIN_MAX_CERTS], next[SPARP__CHAIN_MAX_CERTS], length;
    int         steps;
    bool        begun, trying;
    signed char links[SPARP__CHAIN_MAX_CERTS][SPARP__CHAIN_MAX_CERTS];  /* certs[i] is signed by */
    signed char rooted[SPARP__CHAIN_MAX_CERTS];         /* certs[k], by an anchor: 1 yes, -1 no */
    const sparp__anchor *roots[SPARP__CHAIN_MAX_CERTS];
    sparp__flaw flaw;                   /* of the first path */
    size_t      flawed;                 /* and whose */
} sparp__chain;

/* Always false. */
static bool sparp__chain_is_flawed(sparp__chain *chain, sparp__flaw flaw, size_t cert) {
    if (chain->flaw == SPARP__FLAW_NONE) {
        chain->flaw = flaw;
        chain->flawed = cert;
    }
    return false;
}

static bool sparp__chain_has(const sparp__chain *chain, sparp__str der) {
    for (size_t i = 0; i < chain->count; i++)
        if (chain->certs[i].whole.data == der.data)
            return true;
    return false;
}

/* Whether it may have issued one of those that are there. */
static bool sparp__chain_wants(const sparp__chain *chain, const sparp__cert *c) {
    for (size_t i = 0; i < chain->count; i++)
        if (c->subject.size > 0
            && sparp__der_is(c->subject, chain->certs[i].issuer.data,
                             chain->certs[i].issuer.size))
            return true;
    return false;
}

/* Cuts a certificate off a Certificate message (RFC 8446 §4.4.2; RFC 5246 §7.4.2 has no extensions
   behind each). */
static bool sparp__chain_cut(sparp__str *list, bool extensions, sparp__str *der) {
    const unsigned char *p = (const unsigned char *)list->data;
    size_t size = list->size < 3 ? SIZE_MAX - 3 : (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
    if (list->size < 3 + size)
        return false;
    *der = sparp__str_make(list->data + 3, size);
    *list = sparp__str_skip(*list, 3 + size);
    if (!extensions)
        return true;
    p = (const unsigned char *)list->data;
    size = list->size < 2 ? SIZE_MAX - 2 : (size_t)p[0] << 8 | p[1];
    if (list->size < 2 + size)
        return false;
    *list = sparp__str_skip(*list, 2 + size);
    return true;
}

/* The leaf, and of all the others, which may be a whole bundle, those that could be of use. False:
   the leaf is malformed. */
static bool sparp__chain_take(sparp__chain *chain, sparp__str list, bool extensions) {
    sparp__str der;
    if (!sparp__chain_cut(&list, extensions, &der) || !sparp__cert_parse(der, &chain->certs[0]))
        return false;
    chain->count = 1;
    for (bool more = true; more;) {
        sparp__str at = list;
        more = false;
        while (chain->count < SPARP__CHAIN_MAX_CERTS && sparp__chain_cut(&at, extensions, &der)) {
            sparp__cert *c = &chain->certs[chain->count];
            if (sparp__chain_has(chain, der) || !sparp__cert_parse(der, c)
                || !sparp__chain_wants(chain, c))
                continue;
            chain->count++;
            more = true;
        }
    }
    return true;
}

/* An anchor after `after` (NULL: the first) that may have issued this one. */
static const sparp__anchor *sparp__chain_next_anchor(const sparp__chain *chain,
                                                     const sparp__cert *c,
                                                     const sparp__anchor *after) {
    const sparp__anchors *a = chain->anchors;
    for (size_t i = after != NULL ? (size_t)(after - a->list) + 1 : 0; i < a->count; i++)
        if (a->list[i].is_ca && sparp__der_is(c->issuer, a->list[i].name.data,
                                              a->list[i].name.size))
            return &a->list[i];
    return NULL;
}

/* It is an anchor itself: nobody need have signed it. */
static bool sparp__chain_is_anchor(const sparp__chain *chain, const sparp__cert *c) {
    for (size_t i = 0; i < chain->anchors->count; i++) {
        const sparp__anchor *a = &chain->anchors->list[i];
        if (sparp__der_is(c->subject, a->name.data, a->name.size)
            && sparp__der_is(c->spki, a->spki.data, a->spki.size))
            return true;
    }
    return false;
}

/* --- the search: by names, depth first, without going back up ------------------------------- */

static bool sparp__chain_may_follow(const sparp__chain *chain, size_t i) {
    size_t top = chain->path[chain->length - 1];
    const sparp__cert *c = &chain->certs[i], *below = &chain->certs[top];
    for (size_t k = 0; k < chain->length; k++)
        if (chain->path[k] == i)
            return false;
    return c->subject.size > 0 && chain->links[top][i] >= 0
        && sparp__der_is(c->subject, below->issuer.data, below->issuer.size);
}

/* Whether the path has an end that is trusted, by name; what was computed may say otherwise. */
static bool sparp__chain_ends(const sparp__chain *chain) {
    size_t top = chain->path[chain->length - 1];
    const sparp__cert *c = &chain->certs[top];
    return (chain->rooted[top] >= 0 && sparp__chain_next_anchor(chain, c, NULL) != NULL)
        || (chain->length == 1 && sparp__chain_is_anchor(chain, c));
}

/* False: there is no other path, or enough was looked for. */
static bool sparp__chain_next_path(sparp__chain *chain) {
    if (!chain->begun) {
        chain->begun = true;
        chain->length = 1;
        if (sparp__chain_ends(chain))
            return true;
    }
    while (chain->length > 0 && ++chain->steps < SPARP__CHAIN_MAX_STEPS) {
        size_t i = ++chain->next[chain->length - 1];
        if (i >= chain->count) {
            chain->length--;
            continue;
        }
        if (!sparp__chain_may_follow(chain, i))
            continue;
        chain->path[chain->length] = i;
        chain->next[chain->length++] = 0;
        if (sparp__chain_ends(chain))
            return true;
    }
    return false;
}

/* --- one path -------------------------------------------------------------------------------- */

/* What a certificate has to be at its place, 0: the leaf. */
static bool sparp__chain_check_cert(sparp__chain *chain, size_t place) {
    size_t i = chain->path[place];
    const sparp__cert *c = &chain->certs[i];
    br_x509_pkey key;
    if (chain->wall_s < c->not_before || chain->wall_s > c->not_after)
        return sparp__chain_is_flawed(chain, SPARP__FLAW_DATE, i);
    if (c->critical)
        return sparp__chain_is_flawed(chain, SPARP__FLAW_CRITICAL, i);
    if (!sparp__spki_key(c->spki, &key))
        return sparp__chain_is_flawed(chain, SPARP__FLAW_KEY_KIND, i);
    if (!sparp__key_fits(&key))
        return sparp__chain_is_flawed(chain, SPARP__FLAW_KEY_SIZE, i);
    if (place > 0 && (!c->is_ca || c->no_issuing || (size_t)c->path_length < place - 1))
        return sparp__chain_is_flawed(chain, SPARP__FLAW_ISSUER, i);
    if (!sparp__cert_serves(c))
        return sparp__chain_is_flawed(chain, SPARP__FLAW_PURPOSE, i);
    if (place == 0 && c->no_signing)    /* which every suite of ours wants of it */
        return sparp__chain_is_flawed(chain, SPARP__FLAW_SIGNING, i);
    return true;
}

/* Those below `place` of the path, and the host, by the constraints of somebody above them. */
static bool sparp__chain_check_constraints(sparp__chain *chain, sparp__str constraints,
                                           size_t place) {
    sparp__str name = chain->ip != NULL ? sparp__cert_ip(chain->ip) : sparp__str_of(chain->host);
    if (constraints.size == 0)
        return true;
    for (size_t k = 0; k < place; k++)
        if (!sparp__constraint_allows_cert(constraints, &chain->certs[chain->path[k]]))
            return sparp__chain_is_flawed(chain, SPARP__FLAW_CONSTRAINT, chain->path[k]);
    return sparp__constraint_allows(constraints, chain->ip != NULL ? 0x87 : 0x82, name)
        || sparp__chain_is_flawed(chain, SPARP__FLAW_CONSTRAINT, 0);
}

static bool sparp__chain_check_path(sparp__chain *chain) {
    for (size_t place = 0; place < chain->length; place++)
        if (!sparp__chain_check_cert(chain, place)
            || !sparp__chain_check_constraints(chain, chain->certs[chain->path[place]].constraints,
                                               place))
            return false;
    return true;
}

static bool sparp__chain_verify(sparp__chain *chain, size_t cert, sparp__str spki, int *work) {
    const sparp__cert *c = &chain->certs[cert];
    const sparp__scheme *scheme = sparp__cert_scheme(c);
    unsigned char hash[SPARP__HASH_MAX];
    br_x509_pkey key;
    if (scheme == NULL)
        return sparp__chain_is_flawed(chain, SPARP__FLAW_SCHEME, cert);
    if (!sparp__spki_key(spki, &key) || key.key_type != scheme->key_type)
        return sparp__chain_is_flawed(chain, SPARP__FLAW_SIGNATURE, cert);
    *work += sparp__signature_work(&key);
    sparp__digest(scheme->hash_size, c->tbs.data, c->tbs.size, hash);
    return sparp__signature_good(chain->crypto, scheme, &key, hash, c->signature)
        || sparp__chain_is_flawed(chain, SPARP__FLAW_SIGNATURE, cert);
}

/* The anchor at the path's end, whose constraints hold too. */
static sparp__chain_answer sparp__chain_verify_root(sparp__chain *chain, int *work) {
    size_t top = chain->path[chain->length - 1];
    const sparp__cert *c = &chain->certs[top];
    if (chain->length == 1 && sparp__chain_is_anchor(chain, c))
        return SPARP__YES;
    if (chain->rooted[top] == 0) {
        const sparp__anchor *a = sparp__chain_next_anchor(chain, c, chain->roots[top]);
        chain->roots[top] = a;
        if (a == NULL)
            chain->rooted[top] = -1;
        else if (sparp__chain_verify(chain, top, a->spki, work))
            chain->rooted[top] = 1;
        return SPARP__NOT_YET;
    }
    return chain->rooted[top] > 0
        && sparp__chain_check_constraints(chain, chain->roots[top]->constraints, chain->length)
        ? SPARP__YES : SPARP__NO;
}

/* One more signature of the path. */
static sparp__chain_answer sparp__chain_verify_path(sparp__chain *chain, int *work) {
    sparp__chain_answer answer = sparp__chain_verify_root(chain, work);
    for (size_t k = chain->length - 1; answer == SPARP__YES && k > 0; k--) {
        size_t by = chain->path[k], of = chain->path[k - 1];
        signed char *link = &chain->links[of][by];
        if (*link < 0)
            return SPARP__NO;
        if (*link == 0) {
            *link = sparp__chain_verify(chain, of, chain->certs[by].spki, work) ? 1 : -1;
            return SPARP__NOT_YET;
        }
    }
    return answer;
}

/* Goes on looking, until the answer is found or *work is much. */
static sparp__chain_answer sparp__chain_search(sparp__chain *chain, int *work) {
    while (*work < SPARP__CHAIN_WORK) {
        if (!chain->trying) {
            if (!sparp__chain_next_path(chain))
                return SPARP__NO;
            chain->trying = sparp__chain_check_path(chain);
            continue;
        }
        sparp__chain_answer answer = sparp__chain_verify_path(chain, work);
        if (answer == SPARP__YES)
            return SPARP__YES;
        chain->trying = answer == SPARP__NOT_YET;
    }
    return SPARP__NOT_YET;
}

/* "2049-12-31" of a second since 1970, also where a time_t ends in 2038. */
static void sparp__chain_show_date(int64_t unix_s, char *out, size_t size) {
    int64_t days = (unix_s - (unix_s < 0 ? 86399 : 0)) / 86400;
    int64_t year = 1970 + days / 366, month = 12;       /* not too late: no year has more days */
    if (days < 0)
        year = 1970 + (days - 364) / 365;
    while (sparp__days(year + 1, 1, 1) <= days)
        year++;
    while (sparp__days(year, month, 1) > days)
        month--;
    snprintf(out, size, "%04lld-%02u-%02u", (long long)year, (unsigned)month % 100,
             (unsigned)(days - sparp__days(year, month, 1) + 1) % 100);
}

/* A certificate outside of its time: always false, with the sentence. */
static bool sparp__chain_say_date(const sparp__chain *chain, sparp__fault *fault) {
    const sparp__cert *c = &chain->certs[chain->flawed];
    char today[40], date[40], name[48];
    bool over = chain->wall_s > c->not_after;
    sparp__chain_show_date(chain->wall_s, today, sizeof today);
    if (chain->wall_s < SPARP__BUILT_S)
        return sparp__fault_set(fault, SPARP_E_TLS_CERTIFICATE, 0,
                                "the clock is not set: it says %s", today);
    sparp__chain_show_date(over ? c->not_after : c->not_before, date, sizeof date);
    sparp__cert_show_name(c->subject, name, sizeof name);
    return sparp__fault_set(fault, SPARP_E_TLS_CERTIFICATE, 0,
                            over ? "certificate of %s expired on %s; the clock here says %s"
                                 : "certificate of %s is not valid before %s; the clock here "
                                   "says %s", name, date, today);
}

/* No path led to anybody who is trusted: as far as the names lead. Always false. */
static bool sparp__chain_say_unknown(const sparp__chain *chain, sparp__fault *fault) {
    const sparp__cert *last = &chain->certs[0];
    char name[80];
    for (size_t i = 1; i < chain->count; i++)
        if (sparp__der_is(chain->certs[i].subject, last->issuer.data, last->issuer.size))
            last = &chain->certs[i];
    sparp__cert_show_name(last->issuer, name, sizeof name);
    return sparp__fault_set(fault, SPARP_E_TLS_CERTIFICATE, 0,
                            "certificate is from an unknown issuer: %s", name);
}

static const char *sparp__chain_flaw_text(sparp__flaw flaw) {
    switch (flaw) {
    case SPARP__FLAW_CRITICAL:   return "has a critical extension that is not known here";
    case SPARP__FLAW_KEY_KIND:   return "has a key of an unknown kind";
    case SPARP__FLAW_KEY_SIZE:   return "has an RSA key of less than 2048 bits, or more than 4096";
    case SPARP__FLAW_ISSUER:     return "has issued others, which it may not";
    case SPARP__FLAW_PURPOSE:    return "is not made for a server (extendedKeyUsage)";
    case SPARP__FLAW_SIGNING:    return "is not made for a server (keyUsage)";
    case SPARP__FLAW_CONSTRAINT: return "breaks the name constraints of its issuer";
    case SPARP__FLAW_SCHEME:     return "has a signature that is weak (SHA-1, MD5) or of an "
                                        "unknown kind";
    default:                     return "has a bad signature";
    }
}

/* Always false, with the sentence. */
static bool sparp__chain_say_why(const sparp__chain *chain, sparp__fault *fault) {
    char name[48];
    if (chain->flaw == SPARP__FLAW_NONE)
        return sparp__chain_say_unknown(chain, fault);
    if (chain->flaw == SPARP__FLAW_DATE)
        return sparp__chain_say_date(chain, fault);
    sparp__cert_show_name(chain->certs[chain->flawed].subject, name, sizeof name);
    return sparp__fault_set(fault, SPARP_E_TLS_CERTIFICATE, 0, "certificate of %s %s", name,
                            sparp__chain_flaw_text(chain->flaw));
}

static bool sparp__chain_check_name(const sparp__chain *chain, const char *host,
                                    const sparp__address *ip, sparp__fault *fault) {
    char names[96];
    const sparp__cert *leaf = &chain->certs[0];
    if (sparp__cert_is_for(leaf, host, ip))
        return true;
    if (ip != NULL && sparp__cert_is_for(leaf, host, NULL))
        return sparp__fault_set(fault, SPARP_E_TLS_CERTIFICATE, 0, "certificate has %.50s as a "
                                "dNSName; an address has to be an iPAddress", host);
    sparp__cert_show_names(leaf, names, sizeof names);
    return sparp__fault_set(fault, SPARP_E_TLS_CERTIFICATE, 0,
                            names[0] != '\0' ? "certificate is not for %.50s but for %s"
                                             : "certificate is not for %.50s: it has no names%s",
                            host, names);
}

#endif /* SPARP__TLS */

/* ============================================================================================ */
/* >>trust      what all TLS connections of a run share: whom to trust, who we are, chains known */
/*              to be good, buffers for records. Uses x509, crypto, buf, env.                    */
/* ============================================================================================ */

#if SPARP__TLS

#define SPARP__RECORD_MAX (5 + 16384 + 256)             /* bytes: RFC 8446 §5.2 */
#define SPARP__TLS_SPARE_MAX 64                         /* buffers kept for the next */
#define SPARP__TLS_VERDICTS 64                          /* chains known to be good */
#define SPARP__TLS_VERDICT_S 600
#define SPARP__TLS_KEY_MAX 2400         /* DER bytes: BearSSL's decoder overflows beyond RSA-4096 */
#define SPARP__TLS_PINS_MAX 16

typedef struct sparp__verdict {         /* this chain is good for this host, until then */
    unsigned char hash[32];
    int64_t       until_s;
} sparp__verdict;

typedef struct sparp__trust {           /* zeroed: not loaded */
    const sparp_tls_options *options;
    bool            loaded;
    sparp__fault    fault;              /* why it could not be loaded: every https request's end */
    sparp__crypto   crypto;
    sparp__anchors  anchors;
    unsigned char   pins[SPARP__TLS_PINS_MAX][32];
    size_t          num_pins;
    sparp__buf      chain_bytes, key_bytes;     /* our own certificate; key is wiped */
    sparp__str      chain[SPARP__CHAIN_MAX_CERTS];
    size_t          chain_count;
    br_skey_decoder_context *key;
    unsigned char  *spare[SPARP__TLS_SPARE_MAX];
    size_t          num_spare;
    sparp__verdict  verdicts[SPARP__TLS_VERDICTS];
    size_t          next_verdict;
} sparp__trust;

/* --- PEM ------------------------------------------------------------------------------------- */

static int sparp__pem_digit(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Base64 with blanks and line ends of any kind in it. False: no memory, or another character. */
static bool sparp__pem_decode(sparp__env *env, sparp__str text, sparp__buf *out) {
    uint32_t word = 0;
    int bits = 0;
    out->size = 0;
    if (!sparp__buf_reserve(env, out, text.size / 4 * 3 + 3))
        return false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        int digit = sparp__pem_digit(c);
        if (c == '=' || c == '\r' || c == '\n' || c == ' ' || c == '\t')
            continue;
        if (digit < 0)
            return false;
        word = word << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out->data[out->size++] = (char)(word >> bits & 0xFF);
        }
    }
    return true;
}

static const char *sparp__pem_find(sparp__str text, const char *what) {
    size_t n = strlen(what);
    for (size_t i = 0; i + n <= text.size; i++) {
        const char *at = (const char *)memchr(text.data + i, what[0], text.size - i - n + 1);
        if (at == NULL)
            return NULL;
        if (memcmp(at, what, n) == 0)
            return at;
        i = (size_t)(at - text.data);
    }
    return NULL;
}

/* The next block of *text: what stands between its BEGIN and END lines, and its label. What
   stands around blocks (comments, a byte order mark) is passed over. A block ends where the next
   dashes are, whatever they begin: no text is looked at twice. */
static bool sparp__pem_next(sparp__str *text, sparp__str *label, sparp__str *base64) {
    const char *begin = sparp__pem_find(*text, "-----BEGIN ");
    if (begin == NULL)
        return false;
    *text = sparp__str_skip(*text, (size_t)(begin - text->data) + 11);
    const char *dashes = sparp__pem_find(*text, "-----");
    if (dashes == NULL)
        return false;
    *label = sparp__str_make(text->data, (size_t)(dashes - text->data));
    *text = sparp__str_skip(*text, label->size + 5);
    dashes = sparp__pem_find(*text, "-----");
    if (dashes == NULL)
        return false;
    *base64 = sparp__str_make(text->data, (size_t)(dashes - text->data));
    *text = sparp__str_skip(*text, base64->size);
    if (text->size < 9 || memcmp(text->data, "-----END ", 9) != 0)
        base64->size = 0;               /* no end: on with the next one */
    return true;
}

/* --- whom to trust ---------------------------------------------------------------------------- */

/* Every CERTIFICATE block of a PEM text. "TRUSTED CERTIFICATE" is OpenSSL's own and left out. */
static bool sparp__anchors_add_pem(sparp__env *env, sparp__anchors *a, sparp__str text) {
    sparp__buf der;
    sparp__str label, base64;
    bool ok = true;
    memset(&der, 0, sizeof der);
    while (ok && sparp__pem_next(&text, &label, &base64)) {
        if (!sparp__str_same(label, "CERTIFICATE"))
            continue;
        if (sparp__pem_decode(env, base64, &der))
            ok = sparp__anchors_add(env, a, sparp__str_make(der.data, der.size));
        else
            ok = der.data != NULL;      /* a bad character is one bad certificate */
    }
    sparp__buf_free(env, &der);
    return ok;
}

static bool sparp__file_read(sparp__env *env, const char *path, sparp__buf *out) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;
    out->size = 0;
    while (n > 0) {
        if (!sparp__buf_reserve(env, out, 32768)) {
            errno = ENOMEM;
            n = -1;
            break;
        }
        n = SPARP__SYS_READ(fd, out->data + out->size, 32768);
        if (n > 0)
            out->size += (size_t)n;
        else if (n < 0 && errno == EINTR)
            n = 1;
    }
    int keep = errno;
    if (fd >= 0)
        SPARP__SYS_CLOSE(fd);
    errno = keep;
    return n == 0;
}

/* One file of certificates. False, with the fault: it cannot be read, or memory is out. */
static bool sparp__trust_add_file(sparp__env *env, sparp__trust *t, const char *path) {
    sparp__buf text;
    memset(&text, 0, sizeof text);
    bool ok = sparp__file_read(env, path, &text);
    if (!ok && errno == ENOMEM)
        sparp__fault_memory(&t->fault);
    else if (!ok)
        sparp__fault_set(&t->fault, SPARP_E_TLS_TRUST, errno, "cannot read %.100s: %s", path,
                         strerror(errno));
    else if (!sparp__anchors_add_pem(env, &t->anchors, sparp__str_make(text.data, text.size)))
        ok = sparp__fault_memory(&t->fault);
    sparp__buf_free(env, &text);
    return ok;
}

/* Every regular file of a directory. One that cannot be read is left out. False: out of memory. */
static bool sparp__trust_add_dir(sparp__env *env, sparp__trust *t, sparp__str dir) {
    sparp__buf path;
    struct dirent *entry;
    struct stat status;
    memset(&path, 0, sizeof path);
    bool ok = sparp__buf_add(env, &path, dir) && sparp__buf_byte(env, &path, '\0');
    DIR *open_dir = ok ? opendir(path.data) : NULL;
    while (ok && open_dir != NULL && (entry = readdir(open_dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        path.size = dir.size;
        ok = sparp__buf_byte(env, &path, '/') && sparp__buf_text(env, &path, entry->d_name)
            && sparp__buf_byte(env, &path, '\0');
        if (ok && stat(path.data, &status) == 0 && S_ISREG(status.st_mode))
            ok = sparp__trust_add_file(env, t, path.data)
                || t->fault.error != SPARP_E_OUT_OF_MEMORY;
    }
    if (open_dir != NULL)
        closedir(open_dir);
    sparp__buf_free(env, &path);
    return ok;
}

/* A list of directories, ':' between. False: out of memory. */
static bool sparp__trust_add_dirs(sparp__env *env, sparp__trust *t, const char *dirs) {
    while (*dirs != '\0') {
        size_t n = strcspn(dirs, ":");
        if (!sparp__trust_add_dir(env, t, sparp__str_make(dirs, n)))
            return sparp__fault_memory(&t->fault);
        dirs += dirs[n] == ':' ? n + 1 : n;
    }
    sparp__fault_clear(&t->fault);
    return true;
}

/* The order of OpenSSL's environment, then where the systems keep theirs. */
static bool sparp__trust_probe(sparp__env *env, sparp__trust *t) {
    static const char *const files[] = {
        "/etc/ssl/certs/ca-certificates.crt",                   /* Debian, Alpine, Arch, OpenWrt */
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",    /* Fedora, RHEL */
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",                               /* SUSE */
        "/var/lib/ca-certificates/ca-bundle.pem",
        "/etc/ssl/cert.pem",                                    /* macOS, BSDs, Alpine */
        "/usr/local/share/certs/ca-root-nss.crt",               /* FreeBSD */
        "/usr/local/etc/ssl/cert.pem",
        "/etc/ssl/certs/ca-bundle.crt",                         /* Nix */
        "/etc/pki/tls/cacert.pem",
        "/data/data/com.termux/files/usr/etc/tls/cert.pem",     /* Termux */
    };
    static const char dirs_of_android[] =
        "/apex/com.android.conscrypt/cacerts:/system/etc/security/cacerts";
    const char *file = getenv("SSL_CERT_FILE"), *dirs = getenv("SSL_CERT_DIR");
    if (file != NULL && *file != '\0')
        return sparp__trust_add_file(env, t, file);
    if (dirs != NULL && *dirs != '\0') {
        if (!sparp__trust_add_dirs(env, t, dirs) || t->anchors.count > 0)
            return t->fault.error == SPARP_E_OK;
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        sparp__fault_clear(&t->fault);
        if (sparp__trust_add_file(env, t, files[i]) && t->anchors.count > 0)
            return true;
        if (t->fault.error == SPARP_E_OUT_OF_MEMORY)
            return false;
    }
    if (!sparp__trust_add_dirs(env, t, dirs_of_android) || t->anchors.count > 0)
        return t->fault.error == SPARP_E_OK;
    return sparp__fault_set(&t->fault, SPARP_E_TLS_TRUST, 0, "no trusted certificates: tried "
                            "SSL_CERT_FILE, SSL_CERT_DIR, %s, /etc/pki/..., /etc/ssl/cert.pem, "
                            "/usr/local/...", files[0]);
}

static bool sparp__trust_load_anchors(sparp__env *env, sparp__trust *t) {
    const sparp_tls_options *o = t->options;
    bool ok = true;
    if (o->insecure_no_verify)
        return true;
    if (o->ca_pem != NULL)
        ok = sparp__anchors_add_pem(env, &t->anchors,
                                    sparp__str_make((const char *)o->ca_pem, o->ca_pem_size))
            || sparp__fault_memory(&t->fault);
    else
        ok = o->ca_file != NULL ? sparp__trust_add_file(env, t, o->ca_file)
                                : sparp__trust_probe(env, t);
    if (!ok)
        return false;
    sparp__anchors_finish(env, &t->anchors);
    if (t->anchors.count == 0)
        return sparp__fault_set(&t->fault, SPARP_E_TLS_TRUST, 0, "no usable certificate in %.100s",
                                o->ca_pem != NULL ? "ca_pem" : o->ca_file != NULL ? o->ca_file
                                : "SSL_CERT_FILE");
    sparp__env_log(env, SPARP_LOG_INFO, "%lu trusted certificates",
                   (unsigned long)t->anchors.count);
    return true;
}

/* base64 of 32 bytes each, ';' between, "sha256//" before it as curl has it. "" is refused: who
   says it means a pin, and has lost it. */
static bool sparp__trust_load_pins(sparp__env *env, sparp__trust *t) {
    const char *text = t->options->pin_sha256;
    sparp__buf hash;
    memset(&hash, 0, sizeof hash);
    while (text != NULL && (*text != '\0' || t->num_pins == 0)) {
        size_t n = strcspn(text, ";");
        sparp__str pin = sparp__str_trim(sparp__str_make(text, n));
        if (pin.size > 8 && memcmp(pin.data, "sha256//", 8) == 0)
            pin = sparp__str_skip(pin, 8);
        if (!sparp__pem_decode(env, pin, &hash) || hash.size != 32
            || t->num_pins == SPARP__TLS_PINS_MAX) {
            sparp__buf_free(env, &hash);
            return sparp__fault_set(&t->fault, SPARP_E_TLS_TRUST, 0,
                                    "pin_sha256: not the base64 of 32 bytes, or more than 16");
        }
        memcpy(t->pins[t->num_pins++], hash.data, 32);
        text += text[n] == ';' ? n + 1 : n;
    }
    sparp__buf_free(env, &hash);
    return true;
}

static bool sparp__trust_load_chain(sparp__env *env, sparp__trust *t, sparp__str text) {
    sparp__str label, base64;
    sparp__buf der;
    size_t ends[SPARP__CHAIN_MAX_CERTS];
    bool ok = true;
    memset(&der, 0, sizeof der);
    while (ok && t->chain_count < SPARP__CHAIN_MAX_CERTS
           && sparp__pem_next(&text, &label, &base64)) {
        if (!sparp__str_same(label, "CERTIFICATE"))
            continue;
        ok = sparp__pem_decode(env, base64, &der)
            && sparp__buf_append(env, &t->chain_bytes, der.data, der.size);
        ends[t->chain_count++] = t->chain_bytes.size;
    }
    sparp__buf_free(env, &der);
    for (size_t i = 0, from = 0; ok && i < t->chain_count; from = ends[i++]) {
        t->chain[i] = sparp__str_make(t->chain_bytes.data + from, ends[i] - from);
    }
    return ok && t->chain_count > 0;
}

static bool sparp__trust_load_key(sparp__env *env, sparp__trust *t, sparp__str text) {
    sparp__str label, base64;
    bool found = false;
    while (!found && sparp__pem_next(&text, &label, &base64))
        found = sparp__str_same(label, "PRIVATE KEY") || sparp__str_same(label, "RSA PRIVATE KEY")
            || sparp__str_same(label, "EC PRIVATE KEY");
    if (!found || !sparp__pem_decode(env, base64, &t->key_bytes)
        || t->key_bytes.size > SPARP__TLS_KEY_MAX)
        return false;
    t->key = (br_skey_decoder_context *)sparp__env_zalloc(env, sizeof *t->key);
    if (t->key == NULL)
        return false;
    br_skey_decoder_init(t->key);
    br_skey_decoder_push(t->key, t->key_bytes.data, t->key_bytes.size);
    return br_skey_decoder_last_error(t->key) == 0;
}

/* A signature by our key; its size, 0: it cannot sign that way. */
static size_t sparp__trust_sign(const sparp__trust *t, const sparp__scheme *s,
                                const unsigned char *hash, unsigned char *sig) {
    if (s->key_type == BR_KEYTYPE_EC) {
        const br_ec_private_key *ec = br_skey_decoder_get_ec(t->key);
        return ec == NULL ? 0 : br_ecdsa_sign_asn1_get_default()(
            t->crypto.ec, sparp__hash_class(s->hash_size), hash, ec, sig);
    }
    const br_rsa_private_key *rsa = br_skey_decoder_get_rsa(t->key);
    if (rsa == NULL || rsa->n_bitlen > SPARP__RSA_MAX_BITS)
        return 0;
    if (s->pss)
        return sparp__pss_sign(s->hash_size, hash, rsa, sig);
    return br_rsa_pkcs1_sign_get_default()(sparp__hash_oid(s->hash_size), hash, s->hash_size, rsa,
                                           sig) == 1 ? (rsa->n_bitlen + 7) / 8 : 0;
}

/* Whether the key can sign, in the way it will have to, and the certificate vouches for it. NULL,
   or what is wrong. */
static const char *sparp__trust_check_client(const sparp__trust *t) {
    unsigned char hash[SPARP__HASH_MAX], sig[SPARP__SIGNATURE_MAX];
    sparp__cert cert;
    br_x509_pkey key;
    bool is_rsa = br_skey_decoder_key_type(t->key) == BR_KEYTYPE_RSA;
    const sparp__scheme *scheme = sparp__scheme_find(is_rsa ? 0x0804 : 0x0403);
    sparp__digest(32, "", 0, hash);
    size_t size = sparp__trust_sign(t, scheme, hash, sig);
    if (size == 0)
        return "the private key cannot sign (RSA of 1024 to 4096 bits, P-256, P-384 or P-521)";
    if (!sparp__cert_parse(t->chain[0], &cert) || !sparp__spki_key(cert.spki, &key))
        return "the certificate is malformed, or has a key of an unknown kind";
    return sparp__signature_good(&t->crypto, scheme, &key, hash,
                                 sparp__str_make((const char *)sig, size))
        ? NULL : "the private key does not belong to the certificate";
}

/* Who we are, if the server asks. */
static bool sparp__trust_load_client(sparp__env *env, sparp__trust *t) {
    const sparp_tls_options *o = t->options;
    const char *wrong = NULL, *file = o->client_cert_file;
    sparp__buf text;
    memset(&text, 0, sizeof text);
    if (o->client_cert_file == NULL)
        return true;
    if (!sparp__file_read(env, file, &text))
        wrong = strerror(errno);
    else if (!sparp__trust_load_chain(env, t, sparp__str_make(text.data, text.size)))
        wrong = "no usable certificate";
    else if (file = o->client_key_file, !sparp__file_read(env, file, &text))
        wrong = strerror(errno);
    else if (!sparp__trust_load_key(env, t, sparp__str_make(text.data, text.size)))
        wrong = "no usable private key (RSA up to 4096 bits or P-256, P-384, P-521, not encrypted)";
    else
        wrong = sparp__trust_check_client(t);
    if (text.data != NULL)
        sparp__wipe(text.data, text.capacity);
    sparp__buf_free(env, &text);
    return wrong == NULL
        || sparp__fault_set(&t->fault, SPARP_E_TLS_TRUST, 0, "%.80s: %s", file, wrong);
}

/* Once per run, when the first https request wants to connect. */
static bool sparp__trust_load(sparp__env *env, sparp__trust *t) {
    if (t->loaded)
        return t->fault.error == SPARP_E_OK;
    t->loaded = true;
    sparp__crypto_choose(&t->crypto);
    return sparp__trust_load_anchors(env, t) && sparp__trust_load_pins(env, t)
        && sparp__trust_load_client(env, t);
}

static void sparp__trust_free(sparp__env *env, sparp__trust *t) {
    while (t->num_spare > 0)
        sparp__env_free(env, t->spare[--t->num_spare], SPARP__RECORD_MAX);
    if (t->key_bytes.data != NULL)
        sparp__wipe(t->key_bytes.data, t->key_bytes.capacity);
    if (t->key != NULL)
        sparp__wipe(t->key, sizeof *t->key);
    sparp__env_free(env, t->key, sizeof *t->key);
    t->key = NULL;                      /* a run can be disconnected twice */
    sparp__buf_free(env, &t->key_bytes);
    sparp__buf_free(env, &t->chain_bytes);
    sparp__anchors_free(env, &t->anchors);
}

/* --- buffers for one record, lent to whoever has half of one --------------------------------- */

/* NULL: out of memory. */
static unsigned char *sparp__trust_take_spare(sparp__env *env, sparp__trust *t) {
    return t->num_spare > 0 ? t->spare[--t->num_spare]
        : (unsigned char *)sparp__env_realloc(env, NULL, 0, SPARP__RECORD_MAX);
}

static void sparp__trust_give_spare(sparp__env *env, sparp__trust *t, unsigned char *spare) {
    if (spare != NULL && t->num_spare < SPARP__TLS_SPARE_MAX)
        t->spare[t->num_spare++] = spare;
    else
        sparp__env_free(env, spare, SPARP__RECORD_MAX);
}

/* --- verdicts: a chain that was good for this host a short time ago is good ------------------ */

/* Of the certificates as they were sent. */
static void sparp__trust_hash(const char *host, sparp__str list, unsigned char *out) {
    br_sha256_context sha;
    br_sha256_init(&sha);
    br_sha256_update(&sha, host, strlen(host) + 1);
    br_sha256_update(&sha, list.data, list.size);
    br_sha256_out(&sha, out);
}

static bool sparp__trust_knows(const sparp__trust *t, const unsigned char *hash, int64_t wall_s) {
    for (size_t i = 0; i < SPARP__TLS_VERDICTS; i++)
        if (wall_s < t->verdicts[i].until_s && memcmp(t->verdicts[i].hash, hash, 32) == 0)
            return true;
    return false;
}

static void sparp__trust_remember(sparp__trust *t, const sparp__chain *chain,
                                  const unsigned char *hash) {
    sparp__verdict *verdict = &t->verdicts[t->next_verdict++ % SPARP__TLS_VERDICTS];
    memcpy(verdict->hash, hash, 32);
    verdict->until_s = chain->wall_s + SPARP__TLS_VERDICT_S;
    for (size_t i = 0; i < chain->count; i++)
        if (chain->certs[i].not_after < verdict->until_s
            && chain->certs[i].not_after > chain->wall_s)
            verdict->until_s = chain->certs[i].not_after;
}

static bool sparp__trust_check_pins(const sparp__trust *t, sparp__str spki) {
    unsigned char hash[32];
    sparp__digest(32, spki.data, spki.size, hash);
    for (size_t i = 0; i < t->num_pins; i++)
        if (memcmp(hash, t->pins[i], 32) == 0)
            return true;
    return t->num_pins == 0;
}

#endif /* SPARP__TLS */

/* ============================================================================================ */
/* >>record     one TLS connection's state, and its records: their secrets (RFC 8446 §7, RFC     */
/*              5246 §5, §6.3), their protection, in place, and what is sent. Uses trust,        */
/*              crypto, buf, env.                                                                */
/* ============================================================================================ */

#if SPARP__TLS

#define SPARP__TLS_12 0x0303
#define SPARP__TLS_13 0x0304
#define SPARP__PLAIN_MAX 16384          /* bytes of a record, without its protection */
#define SPARP__TLS_OUT_KEEP 1024        /* more than this is given back when it is sent */
#define SPARP__TLS_UPDATE_AFTER (UINT64_C(1) << 23)     /* records under one key: RFC 8446 §5.5 */

/* Alerts (RFC 8446 §6.2). */
enum {
    SPARP__ALERT_CLOSE = 0, SPARP__ALERT_UNEXPECTED = 10, SPARP__ALERT_BAD_RECORD = 20,
    SPARP__ALERT_OVERFLOW = 22, SPARP__ALERT_HANDSHAKE = 40, SPARP__ALERT_BAD_CERT = 42,
    SPARP__ALERT_EXPIRED = 45, SPARP__ALERT_ILLEGAL = 47, SPARP__ALERT_UNKNOWN_CA = 48,
    SPARP__ALERT_DECODE = 50, SPARP__ALERT_DECRYPT = 51, SPARP__ALERT_VERSION = 70,
    SPARP__ALERT_INTERNAL = 80, SPARP__ALERT_CANCELED = 90, SPARP__ALERT_NO_RENEGOTIATION = 100,
    SPARP__ALERT_MISSING = 109, SPARP__ALERT_UNSUPPORTED = 110, SPARP__ALERT_CERT_REQUIRED = 116,
    SPARP__ALERT_NONE = -1
};

enum {
    SPARP__TYPE_CCS = 20, SPARP__TYPE_ALERT = 21, SPARP__TYPE_HANDSHAKE = 22, SPARP__TYPE_DATA = 23
};

/* What we wait for; see the table in >>tls. */
typedef enum sparp__step {
    SPARP__STEP_HELLO,
    SPARP__STEP_EXTENSIONS, SPARP__STEP_REQUEST_OR_CERT, SPARP__STEP_CERT, SPARP__STEP_VERIFY,
    SPARP__STEP_FINISHED,
    SPARP__STEP_CERT12, SPARP__STEP_KEYS12, SPARP__STEP_REQUEST_OR_DONE12, SPARP__STEP_DONE12,
    SPARP__STEP_TICKET12, SPARP__STEP_CCS12, SPARP__STEP_FINISHED12,
    SPARP__STEP_OPEN, SPARP__STEP_OPEN12, SPARP__STEP_CLOSED, SPARP__STEP_FAILED
} sparp__step;

typedef struct sparp__suite {
    uint16_t      id, version;
    unsigned char hash_size, key_size, key_type;        /* key_type: of the server's, in 1.2 */
    bool          gcm;
    const char   *name;
} sparp__suite;

static const sparp__suite sparp__suites[] = {
    {0x1301, SPARP__TLS_13, 32, 16, 0, true, "AES-128-GCM"},
    {0x1302, SPARP__TLS_13, 48, 32, 0, true, "AES-256-GCM"},
    {0x1303, SPARP__TLS_13, 32, 32, 0, false, "ChaCha20-Poly1305"},
    {0xC02B, SPARP__TLS_12, 32, 16, BR_KEYTYPE_EC, true, "ECDHE-ECDSA-AES-128-GCM"},
    {0xC02F, SPARP__TLS_12, 32, 16, BR_KEYTYPE_RSA, true, "ECDHE-RSA-AES-128-GCM"},
    {0xC02C, SPARP__TLS_12, 48, 32, BR_KEYTYPE_EC, true, "ECDHE-ECDSA-AES-256-GCM"},
    {0xC030, SPARP__TLS_12, 48, 32, BR_KEYTYPE_RSA, true, "ECDHE-RSA-AES-256-GCM"},
    {0xCCA9, SPARP__TLS_12, 32, 32, BR_KEYTYPE_EC, false, "ECDHE-ECDSA-ChaCha20-Poly1305"},
    {0xCCA8, SPARP__TLS_12, 32, 32, BR_KEYTYPE_RSA, false, "ECDHE-RSA-ChaCha20-Poly1305"}
};
#define SPARP__NUM_SUITES (sizeof sparp__suites / sizeof *sparp__suites)

/* What can be resumed. Of an origin, and shared by its connections. */
typedef struct sparp__tls_session {     /* zeroed: nothing */
    uint16_t      version, suite;
    uint16_t      group;                /* that the server wants, if not our first choice */
    bool          ems;                  /* 1.2: extended master secret, RFC 7627 */
    unsigned char id_size, id[32];      /* 1.2 */
    unsigned char secret[48];
    uint32_t      lifetime_s, age_add;
    int64_t       received_at;
    sparp__buf    ticket;
} sparp__tls_session;

typedef struct sparp__cipher {          /* one direction's protection */
    unsigned char secret[48];           /* 1.3: of which the next one is made */
    unsigned char iv[12];
    uint64_t      seq;
    union { br_aes_gen_ctr_keys aes; unsigned char chacha[32]; } key;
    unsigned char h[16];                /* GHASH's key */
} sparp__cipher;

typedef struct sparp__shake sparp__shake;

typedef struct sparp__tls {
    sparp__env         *env;
    sparp__trust       *trust;
    sparp__tls_session *session;        /* the origin's: resumed, and replaced by a newer one */
    const char         *host;           /* somebody else's; lives as long as we do */
    sparp__shake       *shake;          /* NULL once it is open */
    const sparp__suite *suite;
    sparp__step         step;
    uint16_t            version, group; /* 0: not known yet */
    bool                reading, writing;       /* under a cipher */
    bool                greeted, resumed, ems, has_ticket;
    bool                ccs_due, update_due;    /* before the next record */
    bool                asked, unsure_who;      /* who we are; and we had no certificate */
    bool                answered;       /* data has come */
    bool                busy;           /* there is more to compute: see sparp__tls_go_on */
    bool                closing, no_memory;
    int                 first_byte;     /* of what the peer said, -1: nothing */
    int                 alert_out, alert_in;
    const char         *why;
    int                 idle_records, warnings; /* in a row */
    int                 work;           /* done since it was last asked for */
    sparp__cipher       in, out;
    unsigned char       master[48];     /* 1.3: the resumption secret */
    unsigned char      *held;           /* NULL, or a buffer with (part of) a record */
    size_t              held_size;
    sparp__str          plain;          /* received; in `held`, or where it was pushed */
    sparp__buf          messages;       /* of the handshake, not yet acted upon */
    sparp__buf          outgoing;
    size_t              sent;           /* bytes of that */
} sparp__tls;

/* --- reading and writing messages ------------------------------------------------------------ */

/* What is malformed becomes a slice of nowhere. */
static sparp__str sparp__wire_bad(sparp__str *in) {
    *in = sparp__str_make(NULL, 0);
    return *in;
}

static uint32_t sparp__wire_number(sparp__str *in, size_t bytes) {
    uint32_t value = 0;
    if (in->size < bytes) {
        sparp__wire_bad(in);
        return 0;
    }
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | (unsigned char)in->data[i];
    *in = sparp__str_skip(*in, bytes);
    return value;
}

static sparp__str sparp__wire_take(sparp__str *in, size_t size) {
    sparp__str out = sparp__str_make(in->data, size);
    if (in->data == NULL || in->size < size)
        return sparp__wire_bad(in);
    *in = sparp__str_skip(*in, size);
    return out;
}

/* With its length in front of it. */
static sparp__str sparp__wire_vector(sparp__str *in, size_t bytes) {
    size_t size = sparp__wire_number(in, bytes);
    return sparp__wire_take(in, size);
}

/* Read to its end, and well-formed. */
static bool sparp__wire_over(sparp__str in) {
    return in.data != NULL && in.size == 0;
}

typedef struct sparp__wire {
    sparp__env *env;
    sparp__buf *to;
    bool        ok;                     /* memory has sufficed so far */
} sparp__wire;

static sparp__wire sparp__wire_begin(sparp__tls *tls, sparp__buf *to) {
    sparp__wire w;
    w.env = tls->env;
    w.to = to;
    w.ok = true;
    return w;
}

static void sparp__wire_put(sparp__wire *w, const void *data, size_t size) {
    w->ok = w->ok && sparp__buf_append(w->env, w->to, (const char *)data, size);
}

static void sparp__wire_put_number(sparp__wire *w, uint32_t value, size_t bytes) {
    unsigned char out[4];
    for (size_t i = 0; i < bytes; i++)
        out[i] = (unsigned char)(value >> 8 * (bytes - 1 - i));
    sparp__wire_put(w, out, bytes);
}

/* A length of so many bytes, which sparp__wire_close() fills in. */
static size_t sparp__wire_open(sparp__wire *w, size_t bytes) {
    sparp__wire_put_number(w, 0, bytes);
    return w->to->size;
}

static void sparp__wire_close(sparp__wire *w, size_t mark, size_t bytes) {
    size_t n = w->to->size - mark;
    for (size_t i = 1; w->ok && i <= bytes; i++, n >>= 8)
        w->to->data[mark - i] = (char)(n & 0xFF);
}

static void sparp__wire_put_vector(sparp__wire *w, const void *data, size_t size, size_t bytes) {
    sparp__wire_put_number(w, (uint32_t)size, bytes);
    sparp__wire_put(w, data, size);
}

static void sparp__buf_drop(sparp__env *env, sparp__buf *b) {   /* it may hold a secret */
    if (b->data != NULL)
        sparp__wipe(b->data, b->capacity);
    sparp__buf_free(env, b);
}

/* --- the key schedule ------------------------------------------------------------------------ */

/* HKDF-Expand-Label. Nothing in TLS 1.3 is longer than one block of it. */
static void sparp__expand(size_t hash_size, const unsigned char *secret, const char *label,
                          sparp__str context, unsigned char *out, size_t size) {
    unsigned char info[3 + 18 + 1 + 255 + 1], block[SPARP__HASH_MAX];
    size_t n = strlen(label);
    info[0] = 0;
    info[1] = (unsigned char)size;
    info[2] = (unsigned char)(n + 6);
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, n);
    info[9 + n] = (unsigned char)context.size;
    if (context.size > 0)
        memcpy(info + 10 + n, context.data, context.size);
    info[10 + n + context.size] = 1;
    sparp__hmac(hash_size, secret, hash_size, info, 11 + n + context.size, block);
    memcpy(out, block, size);
    sparp__wipe(block, sizeof block);
}

static void sparp__expand_plain(size_t hash_size, const unsigned char *secret, const char *label,
                                unsigned char *out, size_t size) {
    sparp__expand(hash_size, secret, label, sparp__str_make(NULL, 0), out, size);
}

/* Derive-Secret, with the hash of a transcript. */
static void sparp__derive(size_t hash_size, const unsigned char *secret, const char *label,
                          const unsigned char *hash, unsigned char *out) {
    sparp__expand(hash_size, secret, label, sparp__str_make((const char *)hash, hash_size), out,
                  hash_size);
}

/* The first of the three secrets. */
static void sparp__extract_early(size_t hash_size, const unsigned char *psk, unsigned char *out) {
    static const unsigned char zeros[48] = {0};
    sparp__hmac(hash_size, zeros, hash_size, psk != NULL ? psk : zeros, hash_size, out);
}

/* From one to the next. */
static void sparp__extract_next(size_t hash_size, unsigned char *secret,
                                const unsigned char *input, size_t size) {
    unsigned char empty[SPARP__HASH_MAX], salt[SPARP__HASH_MAX];
    sparp__digest(hash_size, "", 0, empty);
    sparp__derive(hash_size, secret, "derived", empty, salt);
    sparp__hmac(hash_size, salt, hash_size, input, size, secret);
    sparp__wipe(salt, sizeof salt);
}

static void sparp__prf(const sparp__suite *suite, const unsigned char *secret, size_t secret_size,
                       const char *label, sparp__str seed, sparp__str more, unsigned char *out,
                       size_t size) {
    br_tls_prf_seed_chunk seeds[2];
    seeds[0].data = seed.data;
    seeds[0].len = seed.size;
    seeds[1].data = more.data;
    seeds[1].len = more.size;
    (suite->hash_size == 48 ? br_tls12_sha384_prf : br_tls12_sha256_prf)(
        out, size, secret, secret_size, label, 2, seeds);
}

static const sparp__suite *sparp__suite_find(unsigned id) {
    for (size_t i = 0; i < SPARP__NUM_SUITES; i++)
        if (sparp__suites[i].id == id)
            return &sparp__suites[i];
    return NULL;
}

static void sparp__cipher_key(sparp__tls *tls, sparp__cipher *c, const unsigned char *key) {
    static const unsigned char zeros[12] = {0};
    c->seq = 0;
    if (!tls->suite->gcm) {
        memcpy(c->key.chacha, key, 32);
        return;
    }
    tls->trust->crypto.ctr->init(&c->key.aes.vtable, key, tls->suite->key_size);
    memset(c->h, 0, sizeof c->h);
    c->key.aes.vtable->run(&c->key.aes.vtable, zeros, 0, c->h, sizeof c->h);
}

/* 1.3: everything about one direction comes of one secret. */
static void sparp__cipher_secret(sparp__tls *tls, sparp__cipher *c, const unsigned char *secret) {
    unsigned char key[32];
    size_t hash_size = tls->suite->hash_size;
    memcpy(c->secret, secret, hash_size);
    sparp__expand_plain(hash_size, secret, "key", key, tls->suite->key_size);
    sparp__expand_plain(hash_size, secret, "iv", c->iv, sizeof c->iv);
    sparp__cipher_key(tls, c, key);
    sparp__wipe(key, sizeof key);
}

/* KeyUpdate (RFC 8446 §7.2). */
static void sparp__cipher_next(sparp__tls *tls, sparp__cipher *c) {
    unsigned char next[SPARP__HASH_MAX];
    sparp__expand_plain(tls->suite->hash_size, c->secret, "traffic upd", next,
                        tls->suite->hash_size);
    sparp__cipher_secret(tls, c, next);
    sparp__wipe(next, sizeof next);
}

/* --- protection ------------------------------------------------------------------------------ */

typedef struct sparp__seal {            /* of one record */
    unsigned char nonce[12], aad[13];
    size_t        aad_size;
} sparp__seal;

/* RFC 8446 §5.2, §5.3; RFC 5288 §3 and RFC 7905 §2 for 1.2. `stated`: NULL, or the half of the
   nonce that stands in the record. */
static void sparp__seal_make(const sparp__tls *tls, sparp__cipher *c, const unsigned char *header,
                             const unsigned char *stated, size_t size, sparp__seal *seal) {
    unsigned char seq[8];
    for (size_t i = 0; i < 8; i++)
        seq[i] = (unsigned char)(c->seq >> (56 - 8 * i));
    c->seq++;
    memcpy(seal->nonce, c->iv, 12);
    if (stated != NULL)
        memcpy(seal->nonce + 4, stated, 8);
    for (size_t i = 0; stated == NULL && i < 8; i++)
        seal->nonce[4 + i] ^= seq[i];
    if (tls->version == SPARP__TLS_13) {
        memcpy(seal->aad, header, 5);
        seal->aad_size = 5;
        return;
    }
    memcpy(seal->aad, seq, 8);
    memcpy(seal->aad + 8, header, 3);
    seal->aad[11] = (unsigned char)(size >> 8);
    seal->aad[12] = (unsigned char)size;
    seal->aad_size = 13;
}

/* In place; the tag is of the ciphertext either way. */
static void sparp__crypt(const sparp__tls *tls, sparp__cipher *c, bool encrypt,
                         const sparp__seal *seal, unsigned char *data, size_t size,
                         unsigned char *tag) {
    const sparp__crypto *crypto = &tls->trust->crypto;
    unsigned char lengths[16] = {0};
    if (SPARP__TLS_NEUTRAL)
        return;
    if (!tls->suite->gcm) {
        crypto->poly(c->key.chacha, seal->nonce, data, size, seal->aad, seal->aad_size, tag,
                     crypto->chacha, encrypt);
        return;
    }
    lengths[7] = (unsigned char)(seal->aad_size * 8);
    for (size_t i = 0; i < 4; i++)
        lengths[15 - i] = (unsigned char)((uint32_t)size * 8 >> 8 * i);
    if (encrypt)
        c->key.aes.vtable->run(&c->key.aes.vtable, seal->nonce, 2, data, size);
    memset(tag, 0, 16);
    crypto->ghash(tag, c->h, seal->aad, seal->aad_size);
    crypto->ghash(tag, c->h, data, size);
    crypto->ghash(tag, c->h, lengths, 16);
    if (!encrypt)
        c->key.aes.vtable->run(&c->key.aes.vtable, seal->nonce, 2, data, size);
    c->key.aes.vtable->run(&c->key.aes.vtable, seal->nonce, 1, tag, 16);
}

/* --- sending --------------------------------------------------------------------------------- */

/* Bytes of a nonce that stand in the record. */
static size_t sparp__record_stated(const sparp__tls *tls) {
    return tls->version != SPARP__TLS_13 && tls->suite->gcm ? 8 : 0;
}

/* False: out of memory. */
static bool sparp__record_put(sparp__tls *tls, int type, const void *data, size_t size) {
    sparp__wire w = sparp__wire_begin(tls, &tls->outgoing);
    size_t at = tls->outgoing.size;
    bool hidden = tls->writing && tls->version == SPARP__TLS_13;
    size_t stated = tls->writing ? sparp__record_stated(tls) : 0;
    size_t whole = tls->writing ? stated + size + (hidden ? 1 : 0) + 16 : size;
    if (!sparp__buf_reserve(tls->env, &tls->outgoing, 5 + whole))
        return false;
    sparp__wire_put_number(&w, (uint32_t)(hidden ? SPARP__TYPE_DATA : type), 1);
    sparp__wire_put_number(&w, tls->greeted ? 0x0303 : 0x0301, 2);      /* RFC 8446 §5.1 */
    tls->greeted = true;
    sparp__wire_put_number(&w, (uint32_t)whole, 2);
    if (stated > 0) {
        sparp__wire_put_number(&w, (uint32_t)(tls->out.seq >> 32), 4);
        sparp__wire_put_number(&w, (uint32_t)tls->out.seq, 4);
    }
    sparp__wire_put(&w, data, size);
    if (!tls->writing)
        return w.ok;
    if (hidden)
        sparp__wire_put_number(&w, (uint32_t)type, 1);
    unsigned char tag[16] = {0}, *header = (unsigned char *)tls->outgoing.data + at;
    sparp__seal seal;
    sparp__seal_make(tls, &tls->out, header, stated > 0 ? header + 5 : NULL, size, &seal);
    sparp__crypt(tls, &tls->out, true, &seal, header + 5 + stated, size + (hidden ? 1 : 0), tag);
    sparp__wire_put(&w, tag, sizeof tag);
    return w.ok;
}

/* False: out of memory. */
static bool sparp__record_send(sparp__tls *tls, int type, const void *data, size_t size) {
    const char *at = (const char *)data;
    bool ok = true;
    if (tls->ccs_due) {                 /* means nothing, but to middleboxes: RFC 8446 §D.4 */
        bool writing = tls->writing;
        tls->ccs_due = tls->writing = false;
        ok = sparp__record_put(tls, SPARP__TYPE_CCS, "\x01", 1);
        tls->writing = writing;
    }
    while (ok && size > 0) {
        size_t n = size < SPARP__PLAIN_MAX ? size : SPARP__PLAIN_MAX;
        ok = sparp__record_put(tls, type, at, n);
        at += n;
        size -= n;
    }
    return ok;
}

static bool sparp__record_alert(sparp__tls *tls, int level, int alert) {
    unsigned char body[2];
    body[0] = (unsigned char)level;
    body[1] = (unsigned char)alert;
    return sparp__record_send(tls, SPARP__TYPE_ALERT, body, 2);
}

/* The end, by our own decision; the peer is told. Always false. */
static bool sparp__tls_fail(sparp__tls *tls, int alert, const char *why) {
    if (tls->step == SPARP__STEP_FAILED)
        return false;
    tls->alert_out = alert;
    tls->why = why;
    if (alert >= 0)
        sparp__record_alert(tls, 2, alert);
    tls->step = SPARP__STEP_FAILED;
    return false;
}

/* Always false. */
static bool sparp__tls_fail_memory(sparp__tls *tls) {
    tls->no_memory = true;
    return sparp__tls_fail(tls, SPARP__ALERT_INTERNAL, "out of memory");
}

/* --- receiving ------------------------------------------------------------------------------- */

/* Takes a record's protection off. */
static bool sparp__record_unseal(sparp__tls *tls, unsigned char *header, int *type,
                                 sparp__str *body) {
    bool hidden = tls->version == SPARP__TLS_13;
    size_t stated = sparp__record_stated(tls), size = body->size;
    unsigned char tag[16] = {0}, *data = header + 5 + stated;
    sparp__seal seal;
    if (size < stated + 16)
        return sparp__tls_fail(tls, SPARP__ALERT_BAD_RECORD, "a record is too short");
    size -= stated + 16;
    sparp__seal_make(tls, &tls->in, header, stated > 0 ? header + 5 : NULL, size, &seal);
    sparp__crypt(tls, &tls->in, false, &seal, data, size, tag);
    if (!sparp__same_secret(tag, data + size, sizeof tag))
        return sparp__tls_fail(tls, SPARP__ALERT_BAD_RECORD, "a record was damaged on its way");
    if (size > SPARP__PLAIN_MAX + (hidden ? 1 : 0))
        return sparp__tls_fail(tls, SPARP__ALERT_OVERFLOW, "a record is too long");
    while (hidden && size > 0 && data[size - 1] == 0)
        size--;                         /* padding */
    if (hidden && size == 0)
        return sparp__tls_fail(tls, SPARP__ALERT_UNEXPECTED, "a record has no type");
    if (hidden)
        *type = data[--size];
    *body = sparp__str_make((const char *)data, size);
    return true;
}

static size_t sparp__record_size(const unsigned char *header) {
    return 5 + ((size_t)header[3] << 8 | header[4]);
}

/* The version is no version: whatever it says, RFC 8446 §5.1. */
static bool sparp__record_check(sparp__tls *tls, const unsigned char *header) {
    if (header[0] < SPARP__TYPE_CCS || header[0] > SPARP__TYPE_DATA || header[1] != 3)
        return sparp__tls_fail(tls, SPARP__ALERT_UNEXPECTED, "a record of an unknown kind");
    return sparp__record_size(header) <= SPARP__RECORD_MAX
        || sparp__tls_fail(tls, SPARP__ALERT_OVERFLOW, "a record is too long");
}

#endif /* SPARP__TLS */

/* ============================================================================================ */
/* >>shake      what both handshakes are made of: the ClientHello, key agreement, the extensions */
/*              of an answer, the server's certificate and signature, our own. Uses record,      */
/*              trust, x509, crypto, resolve, buf, env.                                          */
/* ============================================================================================ */

#if SPARP__TLS

#define SPARP__TICKET_MAX 8192          /* bytes; a larger one is not kept */
#define SPARP__POINT_MAX 97             /* of P-384 */

/* A test may say that its hello offered one more. */
#ifndef SPARP__TLS_OFFERED
#define SPARP__TLS_OFFERED(extension) 0
#endif

/* What only the handshake needs. */
struct sparp__shake {
    sparp__buf    hello, flight;        /* ours: what was said, what is being made */
    sparp__buf    cookie;               /* of a HelloRetryRequest */
    br_hash_compat_context transcript;  /* from ServerHello on */
    sparp__buf    copy;                 /* of it, 1.2: our signature may want another hash */
    unsigned char client_random[32], server_random[32], id[32], id_size;
    uint16_t      group;                /* of our key */
    unsigned char private_key[48], share[SPARP__POINT_MAX];
    size_t        share_size;           /* 0: to be made */
    unsigned char point[SPARP__POINT_MAX];      /* 1.2: the server's */
    size_t        point_size;
    unsigned char secret[SPARP__HASH_MAX], client_secret[48], server_secret[48];
    sparp__tls_session offer;           /* a copy: others may replace the origin's meanwhile */
    sparp__buf    spki;                 /* the server's key */
    br_x509_pkey  key;                  /* points into spki */
    sparp__chain *chain;                /* while it is looked at */
    unsigned char verdict[32];
    sparp__address ip;
    bool          is_ip, retried, offered_psk, ticket_due;
    const sparp__scheme *sign_with;     /* NULL: we have no certificate that is wanted */
    sparp__fault  fault;                /* of the certificate */
};

static void sparp__shake_drop_chain(sparp__tls *tls) {
    sparp__env_free(tls->env, tls->shake->chain, sizeof *tls->shake->chain);
    tls->shake->chain = NULL;
}

static void sparp__shake_free(sparp__tls *tls) {
    sparp__shake *s = tls->shake;
    if (s == NULL)
        return;
    sparp__shake_drop_chain(tls);
    sparp__buf_drop(tls->env, &s->hello);
    sparp__buf_drop(tls->env, &s->flight);
    sparp__buf_drop(tls->env, &s->cookie);
    sparp__buf_drop(tls->env, &s->copy);
    sparp__buf_drop(tls->env, &s->spki);
    sparp__buf_drop(tls->env, &s->offer.ticket);
    sparp__wipe(s, sizeof *s);
    sparp__env_free(tls->env, s, sizeof *s);
    tls->shake = NULL;
}

/* --- the transcript -------------------------------------------------------------------------- */

static void sparp__transcript_out(const sparp__tls *tls, unsigned char *out) {
    const br_hash_compat_context *h = &tls->shake->transcript;
    h->vtable->out(&h->vtable, out);
}

static void sparp__transcript_begin(sparp__tls *tls) {
    br_hash_compat_context *h = &tls->shake->transcript;
    h->vtable = sparp__hash_class(tls->suite->hash_size);
    h->vtable->init(&h->vtable);
}

/* Another message. False: out of memory. */
static bool sparp__transcript_add(sparp__tls *tls, sparp__str message) {
    br_hash_compat_context *h = &tls->shake->transcript;
    h->vtable->update(&h->vtable, message.data, message.size);
    return tls->version != SPARP__TLS_12 || tls->trust->chain_count == 0
        || sparp__buf_add(tls->env, &tls->shake->copy, message)
        || sparp__tls_fail_memory(tls);
}

/* --- key agreement --------------------------------------------------------------------------- */

static const uint16_t sparp__groups[] = {BR_EC_curve25519, BR_EC_secp256r1, BR_EC_secp384r1};
#define SPARP__NUM_GROUPS (sizeof sparp__groups / sizeof *sparp__groups)

static bool sparp__group_known(unsigned group) {
    for (size_t i = 0; i < SPARP__NUM_GROUPS; i++)
        if (sparp__groups[i] == group)
            return true;
    return false;
}

static const char *sparp__group_name(unsigned group) {
    return group == BR_EC_curve25519 ? "X25519" : group == BR_EC_secp256r1 ? "P-256"
        : group == BR_EC_secp384r1 ? "P-384" : "no group";
}

static size_t sparp__group_scalar(unsigned group) {
    return group == BR_EC_secp384r1 ? 48 : 32;
}

static int sparp__group_work(unsigned group) {
    return group == BR_EC_curve25519 ? 2 : group == BR_EC_secp256r1 ? 4 : 21;
}

/* A key pair. The orders of the NIST curves begin with 32 one-bits: a scalar whose first bit is
   zero is below them. False: no chance to be had. */
static bool sparp__group_begin(sparp__tls *tls, unsigned group) {
    static const unsigned char nine[32] = {9};
    sparp__shake *s = tls->shake;
    size_t size = sparp__group_scalar(group);
    if (!sparp__env_entropy(s->private_key, size))
        return sparp__tls_fail(tls, SPARP__ALERT_INTERNAL, "getrandom failed");
    if (group != BR_EC_curve25519)
        s->private_key[0] &= 0x7F;
    tls->work += sparp__group_work(group);
    s->group = tls->group = (uint16_t)group;
    if (group != BR_EC_curve25519) {
        s->share_size = tls->trust->crypto.ec->mulgen(s->share, s->private_key, size, (int)group);
        return true;
    }
    sparp__x25519(&tls->trust->crypto, s->share, s->private_key, nine);
    s->share_size = 32;
    return true;
}

/* X25519 may not come to zero (RFC 7748 §6.1); on the others, zero is as good as any. */
static size_t sparp__group_agree_x25519(sparp__tls *tls, sparp__str point, unsigned char *shared) {
    unsigned char any = 0;
    if (point.size != 32)
        return 0;
    sparp__x25519(&tls->trust->crypto, shared, tls->shake->private_key,
                  (const unsigned char *)point.data);
    for (size_t i = 0; i < 32; i++)
        any = (unsigned char)(any | shared[i]);
    return any != 0 ? 32 : 0;
}

/* The secret that is shared with `point`; its size, 0: it is no point of the curve. */
static size_t sparp__group_agree(sparp__tls *tls, sparp__str point, unsigned char *shared) {
    const br_ec_impl *ec = tls->trust->crypto.ec;
    sparp__shake *s = tls->shake;
    unsigned char work[SPARP__POINT_MAX];
    size_t length = 0, scalar = sparp__group_scalar(s->group);
    tls->work += sparp__group_work(s->group);
    if (s->group == BR_EC_curve25519)
        return sparp__group_agree_x25519(tls, point, shared);
    if (point.size != 2 * scalar + 1 || point.data[0] != 4)
        return 0;
    memcpy(work, point.data, point.size);
    if (ec->mul(work, point.size, s->private_key, scalar, s->group) != 1)
        return 0;
    size_t at = ec->xoff(s->group, &length);
    memcpy(shared, work + at, length);
    sparp__wipe(work, sizeof work);
    return length;
}

/* --- ClientHello ----------------------------------------------------------------------------- */

static bool sparp__session_fits(const sparp__tls *tls, const sparp__tls_session *s, int64_t now) {
    if (s->version == SPARP__TLS_13)
        return s->ticket.size > 0 && now >= s->received_at
            && now - s->received_at < (int64_t)s->lifetime_s * SPARP__NS_PER_S;
    return s->version == SPARP__TLS_12 && tls->trust->options->min_version <= SPARP__TLS_12
        && (s->id_size > 0 || s->ticket.size > 0);
}

/* Takes the origin's session along. False: out of memory. */
static bool sparp__session_copy(sparp__tls *tls) {
    sparp__tls_session *to = &tls->shake->offer, *from = tls->session;
    if (!sparp__session_fits(tls, from, sparp__env_now()))
        return true;
    *to = *from;
    memset(&to->ticket, 0, sizeof to->ticket);
    if (!sparp__buf_append(tls->env, &to->ticket, from->ticket.data, from->ticket.size))
        return false;
    if (to->version == SPARP__TLS_12 && to->ticket.size == 0) {
        tls->shake->id_size = to->id_size;      /* else ours: it is echoed if the ticket is good */
        memcpy(tls->shake->id, to->id, to->id_size);
    }
    return true;
}

static void sparp__session_clear(sparp__env *env, sparp__tls_session *s) {
    uint16_t group = s->group;
    sparp__buf_drop(env, &s->ticket);
    sparp__wipe(s, sizeof *s);
    s->group = group;
}

static size_t sparp__hello_open(sparp__wire *w, unsigned extension) {
    sparp__wire_put_number(w, extension, 2);
    return sparp__wire_open(w, 2);
}

static void sparp__hello_put(sparp__wire *w, unsigned extension, const void *body, size_t size) {
    sparp__wire_put_number(w, extension, 2);
    sparp__wire_put_vector(w, body, size, 2);
}

/* What is left out is AES where the processor does not have it, the first time through. */
static void sparp__hello_put_suites(const sparp__tls *tls, sparp__wire *w) {
    size_t mark = sparp__wire_open(w, 2);
    int least = tls->trust->options->min_version;
    for (int version = SPARP__TLS_13; version >= SPARP__TLS_12 && version >= least; version--)
        for (int pass = 0; pass < 2; pass++)
            for (size_t i = 0; i < SPARP__NUM_SUITES; i++)
                if (sparp__suites[i].version == version
                    && (sparp__suites[i].gcm == tls->trust->crypto.fast_aes) == (pass == 0))
                    sparp__wire_put_number(w, sparp__suites[i].id, 2);
    sparp__wire_close(w, mark, 2);
}

static void sparp__hello_put_name(const sparp__tls *tls, sparp__wire *w) {
    if (tls->shake->is_ip)              /* RFC 6066 §3 */
        return;
    size_t extension = sparp__hello_open(w, 0), list = sparp__wire_open(w, 2);
    sparp__wire_put_number(w, 0, 1);
    sparp__wire_put_vector(w, tls->host, strlen(tls->host), 2);
    sparp__wire_close(w, list, 2);
    sparp__wire_close(w, extension, 2);
}

static void sparp__hello_put_lists(sparp__wire *w) {
    size_t groups = sparp__hello_open(w, 10);
    sparp__wire_put_number(w, 2 * SPARP__NUM_GROUPS, 2);
    for (size_t i = 0; i < SPARP__NUM_GROUPS; i++)
        sparp__wire_put_number(w, sparp__groups[i], 2);
    sparp__wire_close(w, groups, 2);
    size_t schemes = sparp__hello_open(w, 13);
    sparp__wire_put_number(w, 2 * SPARP__NUM_SCHEMES, 2);
    for (size_t i = 0; i < SPARP__NUM_SCHEMES; i++)
        sparp__wire_put_number(w, sparp__schemes[i].id, 2);
    sparp__wire_close(w, schemes, 2);
    sparp__hello_put(w, 16, "\x00\x09\x08http/1.1", 11);
}

/* What only 1.2 wants to know. */
static void sparp__hello_put_old(const sparp__tls *tls, sparp__wire *w) {
    const sparp__tls_session *offer = &tls->shake->offer;
    bool resumes = offer->version == SPARP__TLS_12;
    if (tls->trust->options->min_version > SPARP__TLS_12)
        return;
    sparp__hello_put(w, 23, "", 0);     /* extended master secret */
    sparp__hello_put(w, 0xFF01, "\x00", 1);     /* renegotiation_info: there has been none */
    sparp__hello_put(w, 11, "\x01\x00", 2);     /* uncompressed points */
    sparp__hello_put(w, 35, resumes ? offer->ticket.data : "", resumes ? offer->ticket.size : 0);
}

/* What only 1.3 wants to know. */
static void sparp__hello_put_new(const sparp__tls *tls, sparp__wire *w) {
    const sparp__shake *s = tls->shake;
    if (tls->trust->options->min_version > SPARP__TLS_12)
        sparp__hello_put(w, 43, "\x02\x03\x04", 3);
    else
        sparp__hello_put(w, 43, "\x04\x03\x04\x03\x03", 5);
    sparp__hello_put(w, 45, "\x01\x01", 2);     /* psk_dhe_ke */
    size_t extension = sparp__hello_open(w, 51), list = sparp__wire_open(w, 2);
    if (s->share_size > 0) {
        sparp__wire_put_number(w, s->group, 2);
        sparp__wire_put_vector(w, s->share, s->share_size, 2);
    }
    sparp__wire_close(w, list, 2);
    sparp__wire_close(w, extension, 2);
    if (s->cookie.size > 0)
        sparp__hello_put(w, 44, s->cookie.data, s->cookie.size);
}

/* The ticket; last, for its binder, of `hash_size`, signs all that stands before it. */
static void sparp__hello_put_psk(const sparp__tls *tls, sparp__wire *w, size_t hash_size) {
    static const unsigned char zeros[48] = {0};
    const sparp__tls_session *offer = &tls->shake->offer;
    int64_t age_ms = (sparp__env_now() - offer->received_at) / SPARP__NS_PER_MS;
    size_t extension = sparp__hello_open(w, 41), list = sparp__wire_open(w, 2);
    sparp__wire_put_vector(w, offer->ticket.data, offer->ticket.size, 2);
    sparp__wire_put_number(w, (uint32_t)age_ms + offer->age_add, 4);
    sparp__wire_close(w, list, 2);
    sparp__wire_put_number(w, (uint32_t)hash_size + 1, 2);
    sparp__wire_put_vector(w, zeros, hash_size, 1);
    sparp__wire_close(w, extension, 2);
}

/* RFC 8446 §4.2.11.2. */
static void sparp__hello_bind(sparp__tls *tls, size_t hash_size) {
    sparp__shake *s = tls->shake;
    unsigned char secret[SPARP__HASH_MAX], hash[SPARP__HASH_MAX], key[SPARP__HASH_MAX];
    char *binder = s->hello.data + s->hello.size - hash_size;
    br_hash_compat_context h;
    if (s->retried)
        h = s->transcript;
    else
        sparp__hash_class(hash_size)->init(&h.vtable);
    h.vtable->update(&h.vtable, s->hello.data, s->hello.size - hash_size - 3);
    sparp__extract_early(hash_size, s->offer.secret, secret);
    sparp__digest(hash_size, "", 0, hash);
    sparp__derive(hash_size, secret, "res binder", hash, key);
    sparp__expand_plain(hash_size, key, "finished", secret, hash_size);
    h.vtable->out(&h.vtable, hash);
    sparp__hmac(hash_size, secret, hash_size, hash, hash_size, (unsigned char *)binder);
    sparp__wipe(secret, sizeof secret);
    sparp__wipe(key, sizeof key);
}

/* For either version. The second one, after a HelloRetryRequest, has another share, a cookie, an
   older ticket, and is the same but for that. */
static bool sparp__hello_send(sparp__tls *tls) {
    sparp__shake *s = tls->shake;
    sparp__wire w = sparp__wire_begin(tls, &s->hello);
    const sparp__suite *psk = s->offer.version == SPARP__TLS_13
        ? sparp__suite_find(s->offer.suite) : NULL;
    s->offered_psk = psk != NULL && (!s->retried || psk->hash_size == tls->suite->hash_size);
    s->hello.size = 0;
    sparp__wire_put_number(&w, 1, 1);
    size_t message = sparp__wire_open(&w, 3);
    sparp__wire_put_number(&w, SPARP__TLS_12, 2);
    sparp__wire_put(&w, s->client_random, 32);
    sparp__wire_put_vector(&w, s->id, s->id_size, 1);
    sparp__hello_put_suites(tls, &w);
    sparp__wire_put(&w, "\x01\x00", 2); /* no compression */
    size_t list = sparp__wire_open(&w, 2);
    sparp__hello_put_name(tls, &w);
    sparp__hello_put_old(tls, &w);
    sparp__hello_put_lists(&w);
    sparp__hello_put_new(tls, &w);
    if (s->offered_psk)
        sparp__hello_put_psk(tls, &w, psk->hash_size);
    sparp__wire_close(&w, list, 2);
    sparp__wire_close(&w, message, 3);
    if (!w.ok)
        return sparp__tls_fail_memory(tls);
    if (s->offered_psk)
        sparp__hello_bind(tls, psk->hash_size);
    if (s->retried
        && !sparp__transcript_add(tls, sparp__str_make(s->hello.data, s->hello.size)))
        return false;
    return sparp__record_send(tls, SPARP__TYPE_HANDSHAKE, s->hello.data, s->hello.size)
        || sparp__tls_fail_memory(tls);
}

/* --- the extensions of an answer ------------------------------------------------------------- */

enum {
    SPARP__X_NAME = 1, SPARP__X_GROUPS = 2, SPARP__X_POINTS = 4, SPARP__X_ALPN = 8,
    SPARP__X_EMS = 16, SPARP__X_TICKET = 32, SPARP__X_PSK = 64, SPARP__X_VERSION = 128,
    SPARP__X_COOKIE = 256, SPARP__X_SHARE = 512, SPARP__X_RENEGOTIATION = 1024,
    SPARP__X_NEVER = 2048,              /* ours, but never an answer */
    SPARP__X_TEST = 4096
};

typedef struct sparp__extensions {
    sparp__str share, cookie, psk, alpn;
    unsigned   seen;
} sparp__extensions;

/* Its bit; 0: it was not offered. */
static unsigned sparp__extension_bit(const sparp__tls *tls, unsigned id) {
    bool old = tls->trust->options->min_version <= SPARP__TLS_12;
    switch (id) {
    case 0:      return !tls->shake->is_ip ? SPARP__X_NAME : 0;
    case 10:     return SPARP__X_GROUPS;
    case 11:     return old ? SPARP__X_POINTS : 0;
    case 16:     return SPARP__X_ALPN;
    case 23:     return old ? SPARP__X_EMS : 0;
    case 35:     return old ? SPARP__X_TICKET : 0;
    case 41:     return tls->shake->offered_psk ? SPARP__X_PSK : 0;
    case 43:     return SPARP__X_VERSION;
    case 44:     return SPARP__X_COOKIE;
    case 51:     return SPARP__X_SHARE;
    case 13:
    case 45:     return SPARP__X_NEVER;
    case 0xFF01: return old ? SPARP__X_RENEGOTIATION : 0;
    default:     return SPARP__TLS_OFFERED(id) ? SPARP__X_TEST : 0;
    }
}

/* Empty, or the one thing that it can say. */
static bool sparp__extension_fits(unsigned bit, sparp__str body) {
    if (bit == SPARP__X_RENEGOTIATION)
        return body.size == 1 && body.data[0] == 0;
    if (bit == SPARP__X_POINTS)
        return body.size >= 2 && memchr(body.data + 1, 0, body.size - 1) != NULL;
    return (bit & (SPARP__X_NAME | SPARP__X_EMS | SPARP__X_TICKET)) == 0 || body.size == 0;
}

/* Each once, of those that were offered, and where it may stand. */
static bool sparp__extensions_read(sparp__tls *tls, sparp__str list, unsigned allowed,
                                   sparp__extensions *x) {
    memset(x, 0, sizeof *x);
    while (list.size > 0) {
        unsigned bit = sparp__extension_bit(tls, sparp__wire_number(&list, 2));
        sparp__str body = sparp__wire_vector(&list, 2);
        if (list.data == NULL)
            break;
        if (bit == 0)
            return sparp__tls_fail(tls, SPARP__ALERT_UNSUPPORTED,
                                   "an extension that was not offered");
        if ((bit & allowed) == 0 || (bit & x->seen) != 0)
            return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL,
                                   "an extension out of its place, or twice");
        if (!sparp__extension_fits(bit, body))
            return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL, "an extension with a wrong body");
        x->seen |= bit;
        if (bit == SPARP__X_SHARE)
            x->share = body;
        else if (bit == SPARP__X_COOKIE)
            x->cookie = body;
        else if (bit == SPARP__X_PSK)
            x->psk = body;
        else if (bit == SPARP__X_ALPN)
            x->alpn = body;
    }
    return list.data != NULL || sparp__tls_fail(tls, SPARP__ALERT_DECODE,
                                                "extensions are malformed");
}

/* No answer is fine, and so is ours. */
static bool sparp__extensions_check_alpn(sparp__tls *tls, const sparp__extensions *x) {
    sparp__str body = x->alpn, list, name;
    if ((x->seen & SPARP__X_ALPN) == 0)
        return true;
    list = sparp__wire_vector(&body, 2);
    name = sparp__wire_vector(&list, 1);
    if (!sparp__wire_over(body) || !sparp__wire_over(list) || name.size == 0)
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "ALPN is malformed");
    return sparp__der_is(name, "http/1.1", 8)
        || sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL, "a protocol that was not offered (ALPN)");
}

/* --- the server's certificate ---------------------------------------------------------------- */

/* Always false: the certificate is why, see fault. */
static bool sparp__shake_refuse(sparp__tls *tls, int alert) {
    return sparp__tls_fail(tls, alert, "the certificate was not accepted");
}

/* Always false. */
static bool sparp__shake_say(sparp__tls *tls, const char *text) {
    sparp__fault_set(&tls->shake->fault, SPARP_E_TLS_CERTIFICATE, 0, text, tls->host);
    return sparp__shake_refuse(tls, SPARP__ALERT_BAD_CERT);
}

/* Always false, and why not. */
static bool sparp__shake_say_flaw(sparp__tls *tls) {
    const sparp__chain *chain = tls->shake->chain;
    sparp__chain_say_why(chain, &tls->shake->fault);
    return sparp__shake_refuse(tls, chain->flaw == SPARP__FLAW_NONE ? SPARP__ALERT_UNKNOWN_CA
                               : chain->flaw == SPARP__FLAW_DATE ? SPARP__ALERT_EXPIRED
                               : SPARP__ALERT_BAD_CERT);
}

/* It outlives the message. */
static bool sparp__shake_keep_key(sparp__tls *tls, sparp__str spki) {
    sparp__shake *s = tls->shake;
    s->spki.size = 0;
    if (!sparp__buf_add(tls->env, &s->spki, spki))
        return sparp__tls_fail_memory(tls);
    if (!sparp__spki_key(sparp__str_make(s->spki.data, s->spki.size), &s->key))
        return sparp__shake_say(tls, "certificate of %.60s has a key of an unknown kind");
    return sparp__trust_check_pins(tls->trust, spki)
        || sparp__shake_say(tls, "the public key of %.60s is not the one that is pinned");
}

static bool sparp__shake_begin_chain(sparp__tls *tls, sparp__str list) {
    sparp__shake *s = tls->shake;
    sparp__chain *chain = (sparp__chain *)sparp__env_zalloc(tls->env, sizeof *chain);
    s->chain = chain;
    if (chain == NULL)
        return sparp__tls_fail_memory(tls);
    chain->crypto = &tls->trust->crypto;
    chain->anchors = &tls->trust->anchors;
    chain->host = tls->host;
    chain->ip = s->is_ip ? &s->ip : NULL;
    chain->wall_s = sparp__env_wall_s();
    if (!sparp__chain_take(chain, list, tls->version == SPARP__TLS_13))
        return sparp__shake_say(tls, "certificate of %.60s is malformed");
    if (!sparp__shake_keep_key(tls, chain->certs[0].spki))
        return false;
    sparp__trust_hash(tls->host, list, s->verdict);
    if (tls->trust->options->insecure_no_verify
        || sparp__trust_knows(tls->trust, s->verdict, chain->wall_s))
        sparp__shake_drop_chain(tls);
    return true;
}

/* Goes on looking at the chain; tls->busy: for longer. */
static bool sparp__shake_check_chain(sparp__tls *tls) {
    sparp__shake *s = tls->shake;
    sparp__chain_answer answer = sparp__chain_search(s->chain, &tls->work);
    tls->busy = answer == SPARP__NOT_YET;
    if (tls->busy)
        return true;
    if (answer == SPARP__NO)
        return sparp__shake_say_flaw(tls);
    if (!sparp__chain_check_name(s->chain, tls->host, s->chain->ip, &s->fault))
        return sparp__shake_refuse(tls, SPARP__ALERT_BAD_CERT);
    sparp__trust_remember(tls->trust, s->chain, s->verdict);
    sparp__shake_drop_chain(tls);
    return true;
}

static bool sparp__shake_check_cert_list(sparp__tls *tls, sparp__str list) {
    while (list.size > 0) {
        sparp__str der = sparp__wire_vector(&list, 3), extensions = sparp__str_make("", 0);
        if (tls->version == SPARP__TLS_13)
            extensions = sparp__wire_vector(&list, 2);
        if (list.data == NULL || der.size == 0)
            return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "Certificate is malformed");
        if (extensions.size > 0)        /* we offered none */
            return sparp__tls_fail(tls, SPARP__ALERT_UNSUPPORTED,
                                   "an extension that was not offered");
    }
    return true;
}

/* Called again while tls->busy. */
static bool sparp__shake_on_cert(sparp__tls *tls, sparp__str in, sparp__str whole) {
    sparp__shake *s = tls->shake;
    bool new_one = tls->version == SPARP__TLS_13;
    sparp__str context = sparp__str_make("", 0);
    if (new_one)
        context = sparp__wire_vector(&in, 1);
    sparp__str list = sparp__wire_vector(&in, 3);
    if (s->chain == NULL) {
        if (!sparp__wire_over(in) || context.size != 0 || list.size == 0)
            return sparp__tls_fail(tls, SPARP__ALERT_DECODE,
                                   "Certificate is malformed, or there is none");
        if (!sparp__shake_check_cert_list(tls, list) || !sparp__shake_begin_chain(tls, list))
            return false;
    }
    if (s->chain != NULL && !sparp__shake_check_chain(tls))
        return false;
    if (tls->busy)
        return true;
    if (!new_one && s->key.key_type != tls->suite->key_type)
        return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL,
                               "the certificate does not fit the cipher suite");
    tls->step = new_one ? SPARP__STEP_VERIFY : SPARP__STEP_KEYS12;
    return sparp__transcript_add(tls, whole);
}

/* Whether the server has signed `content`, in a way that was offered and fits its key. */
static bool sparp__shake_check_signature(sparp__tls *tls, sparp__str *in, const void *content,
                                         size_t size) {
    const sparp__scheme *s = sparp__scheme_find(sparp__wire_number(in, 2));
    const br_x509_pkey *key = &tls->shake->key;
    sparp__str sig = sparp__wire_vector(in, 2);
    unsigned char hash[SPARP__HASH_MAX];
    if (!sparp__wire_over(*in))
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "a signature is malformed");
    if (s == NULL || s->key_type != key->key_type
        || (tls->version == SPARP__TLS_13
            && (s->key_type == BR_KEYTYPE_EC ? s->curve != key->key.ec.curve : !s->pss)))
        return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL,
                               "a signature of a kind that was not offered");
    tls->work += sparp__signature_work(key);
    sparp__digest(s->hash_size, content, size, hash);
    return sparp__signature_good(&tls->trust->crypto, s, key, hash, sig)
        || sparp__tls_fail(tls, SPARP__ALERT_DECRYPT,
                           "the server's signature does not fit its certificate");
}

/* --- our own --------------------------------------------------------------------------------- */

/* The server wants to know who we are, and takes signatures of these kinds. */
static void sparp__shake_choose_scheme(sparp__tls *tls, sparp__str schemes) {
    const sparp__trust *t = tls->trust;
    bool new_one = tls->version == SPARP__TLS_13;
    tls->asked = tls->unsure_who = true;
    while (t->chain_count > 0 && schemes.size >= 2) {
        const sparp__scheme *s = sparp__scheme_find(sparp__wire_number(&schemes, 2));
        if (s == NULL || s->key_type != br_skey_decoder_key_type(t->key)
            || (new_one && (s->key_type == BR_KEYTYPE_RSA ? !s->pss
                            : s->curve != br_skey_decoder_get_ec(t->key)->curve)))
            continue;
        tls->shake->sign_with = s;
        tls->unsure_who = false;
        return;
    }
}

/* The message that has been put at `from` is part of the transcript. */
static bool sparp__flight_add(sparp__tls *tls, const sparp__wire *w, size_t from) {
    const sparp__buf *b = &tls->shake->flight;
    if (!w->ok)
        return sparp__tls_fail_memory(tls);
    return sparp__transcript_add(tls, sparp__str_make(b->data + from, b->size - from));
}

static bool sparp__flight_put(sparp__tls *tls, int type, const void *body, size_t size) {
    sparp__wire w = sparp__wire_begin(tls, &tls->shake->flight);
    size_t from = tls->shake->flight.size;
    sparp__wire_put_number(&w, (uint32_t)type, 1);
    sparp__wire_put_vector(&w, body, size, 3);
    return sparp__flight_add(tls, &w, from);
}

/* Maybe an empty one. */
static bool sparp__flight_put_cert(sparp__tls *tls) {
    const sparp__trust *t = tls->trust;
    sparp__wire w = sparp__wire_begin(tls, &tls->shake->flight);
    size_t from = tls->shake->flight.size;
    sparp__wire_put_number(&w, 11, 1);
    size_t message = sparp__wire_open(&w, 3);
    if (tls->version == SPARP__TLS_13)
        sparp__wire_put_number(&w, 0, 1);
    size_t list = sparp__wire_open(&w, 3);
    for (size_t i = 0; tls->shake->sign_with != NULL && i < t->chain_count; i++) {
        sparp__wire_put_vector(&w, t->chain[i].data, t->chain[i].size, 3);
        if (tls->version == SPARP__TLS_13)
            sparp__wire_put_number(&w, 0, 2);
    }
    sparp__wire_close(&w, list, 3);
    sparp__wire_close(&w, message, 3);
    return sparp__flight_add(tls, &w, from);
}

/* What CertificateVerify signs in TLS 1.3 (RFC 8446 §4.4.3); its size. */
static size_t sparp__shake_signed(const sparp__tls *tls, const char *whose, unsigned char *out) {
    memset(out, 0x20, 64);
    memcpy(out + 64, whose, 34);        /* with its NUL */
    sparp__transcript_out(tls, out + 98);
    return 98 + tls->suite->hash_size;
}

static bool sparp__flight_put_verify(sparp__tls *tls) {
    const sparp__scheme *s = tls->shake->sign_with;
    unsigned char content[98 + SPARP__HASH_MAX], hash[SPARP__HASH_MAX], sig[SPARP__SIGNATURE_MAX];
    unsigned char body[4 + SPARP__SIGNATURE_MAX];
    if (s == NULL)
        return true;
    if (tls->version == SPARP__TLS_13)
        sparp__digest(s->hash_size, content,
                    sparp__shake_signed(tls, "TLS 1.3, client CertificateVerify", content), hash);
    else
        sparp__digest(s->hash_size, tls->shake->copy.data, tls->shake->copy.size, hash);
    size_t size = sparp__trust_sign(tls->trust, s, hash, sig);
    tls->work += s->key_type == BR_KEYTYPE_RSA ? SPARP__WORK_RSA * 20 : SPARP__WORK_P256;
    if (size == 0)
        return sparp__tls_fail(tls, SPARP__ALERT_INTERNAL, "our key cannot sign that way");
    body[0] = (unsigned char)(s->id >> 8);
    body[1] = (unsigned char)(s->id & 0xFF);
    body[2] = (unsigned char)(size >> 8);
    body[3] = (unsigned char)(size & 0xFF);
    memcpy(body + 4, sig, size);
    return sparp__flight_put(tls, 15, body, 4 + size);
}

/* Our part so far goes out. */
static bool sparp__flight_send(sparp__tls *tls) {
    sparp__buf *b = &tls->shake->flight;
    bool ok = sparp__record_send(tls, SPARP__TYPE_HANDSHAKE, b->data, b->size);
    b->size = 0;
    return ok || sparp__tls_fail_memory(tls);
}

/* Keys change at the end of a record only. */
static bool sparp__shake_at_boundary(sparp__tls *tls, sparp__str whole) {
    return whole.size == tls->messages.size
        || sparp__tls_fail(tls, SPARP__ALERT_UNEXPECTED, "a message across a change of keys");
}

static void sparp__shake_open(sparp__tls *tls, sparp__step step) {
    tls->step = step;
    tls->idle_records = tls->warnings = 0;
    bool agreed = !tls->resumed || tls->version == SPARP__TLS_13;
    sparp__env_log(tls->env, tls->resumed ? SPARP_LOG_TRACE : SPARP_LOG_INFO,
                   "%s: TLS %s, %s%s%s%s", tls->host,
                   tls->version == SPARP__TLS_13 ? "1.3" : "1.2", tls->suite->name,
                   agreed ? ", " : "", agreed ? sparp__group_name(tls->group) : "",
                   tls->resumed ? ", resumed" : "");
    sparp__shake_free(tls);
}

#endif /* SPARP__TLS */

/* ============================================================================================ */
/* >>tls12      the handshake of TLS 1.2 (RFC 5246) as far as it is sound: ECDHE (RFC 8422) and   */
/*              AEAD, extended master secret (RFC 7627), tickets (RFC 5077) and session ids, no  */
/*              renegotiation. Uses shake, record, x509, crypto, buf.                            */
/* ============================================================================================ */

#if SPARP__TLS

static sparp__str sparp__tls12_random(const unsigned char *random) {
    return sparp__str_make((const char *)random, 32);
}

/* The keys of both directions; they are used after ChangeCipherSpec. */
static void sparp__tls12_make_keys(sparp__tls *tls) {
    const sparp__suite *s = tls->suite;
    unsigned char block[2 * (32 + 12)];
    size_t key = s->key_size, iv = s->gcm ? 4 : 12;
    sparp__prf(s, tls->master, 48, "key expansion", sparp__tls12_random(tls->shake->server_random),
               sparp__tls12_random(tls->shake->client_random), block, 2 * (key + iv));
    sparp__cipher_key(tls, &tls->out, block);
    sparp__cipher_key(tls, &tls->in, block + key);
    memcpy(tls->out.iv, block + 2 * key, iv);
    memcpy(tls->in.iv, block + 2 * key + iv, iv);
    sparp__wipe(block, sizeof block);
}

static void sparp__tls12_make_master(sparp__tls *tls, const unsigned char *shared, size_t size) {
    unsigned char hash[SPARP__HASH_MAX];
    sparp__transcript_out(tls, hash);
    if (tls->ems)
        sparp__prf(tls->suite, shared, size, "extended master secret",
                   sparp__str_make((const char *)hash, tls->suite->hash_size),
                   sparp__str_make(NULL, 0), tls->master, 48);
    else
        sparp__prf(tls->suite, shared, size, "master secret",
                   sparp__tls12_random(tls->shake->client_random),
                   sparp__tls12_random(tls->shake->server_random), tls->master, 48);
}

/* The session goes on that we offered, if our id is echoed. */
static bool sparp__tls12_resume(sparp__tls *tls) {
    const sparp__tls_session *offer = &tls->shake->offer;
    if (offer->version != SPARP__TLS_12 || offer->suite != tls->suite->id)
        return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL, "a session that was not offered");
    if (offer->ems != tls->ems)         /* RFC 7627 §5.3 */
        return sparp__tls_fail(tls, SPARP__ALERT_HANDSHAKE, "a session that was made otherwise");
    memcpy(tls->master, offer->secret, 48);
    tls->resumed = true;
    tls->step = tls->shake->ticket_due ? SPARP__STEP_TICKET12 : SPARP__STEP_CCS12;
    return true;
}

/* The ServerHello says 1.2. */
static bool sparp__tls12_on_hello(sparp__tls *tls, const sparp__extensions *x, sparp__str id,
                                  sparp__str whole) {
    sparp__shake *s = tls->shake;
    if (memcmp(s->server_random + 24, "DOWNGRD", 7) == 0 && s->server_random[31] <= 1)
        return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL,
                               "somebody has talked the server out of TLS 1.3");
    if (!sparp__extensions_check_alpn(tls, x))
        return false;
    tls->ems = (x->seen & SPARP__X_EMS) != 0;
    s->ticket_due = (x->seen & SPARP__X_TICKET) != 0;
    sparp__transcript_begin(tls);
    if (!sparp__transcript_add(tls, sparp__str_make(s->hello.data, s->hello.size))
        || !sparp__transcript_add(tls, whole))
        return false;
    if (id.size > 0 && sparp__der_is(id, (const char *)s->id, s->id_size))
        return sparp__tls12_resume(tls);
    s->id_size = (unsigned char)id.size;        /* to be remembered */
    memcpy(s->id, id.data, id.size);
    tls->step = SPARP__STEP_CERT12;
    return true;
}

/* ServerKeyExchange (RFC 8422 §5.4). */
static bool sparp__tls12_on_keys(sparp__tls *tls, sparp__str in, sparp__str whole) {
    sparp__shake *s = tls->shake;
    unsigned char content[64 + 4 + SPARP__POINT_MAX];
    sparp__str params = in;
    unsigned kind = sparp__wire_number(&in, 1), group = sparp__wire_number(&in, 2);
    sparp__str point = sparp__wire_vector(&in, 1);
    if (in.data == NULL)
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "ServerKeyExchange is malformed");
    if (kind != 3 || !sparp__group_known(group))
        return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL, "a group that was not offered");
    if (point.size > SPARP__POINT_MAX)
        return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL, "a key share is no point of its curve");
    params.size = 4 + point.size;
    memcpy(content, s->client_random, 32);
    memcpy(content + 32, s->server_random, 32);
    memcpy(content + 64, params.data, params.size);
    if (!sparp__shake_check_signature(tls, &in, content, 64 + params.size))
        return false;
    s->group = (uint16_t)group;
    memcpy(s->point, point.data, point.size);
    s->point_size = point.size;
    tls->step = SPARP__STEP_REQUEST_OR_DONE12;
    return sparp__transcript_add(tls, whole);
}

static bool sparp__tls12_on_request(sparp__tls *tls, sparp__str in, sparp__str whole) {
    sparp__str types = sparp__wire_vector(&in, 1), schemes = sparp__wire_vector(&in, 2);
    sparp__wire_vector(&in, 2);         /* the issuers it knows */
    if (!sparp__wire_over(in) || types.size == 0 || schemes.size == 0 || schemes.size % 2 != 0)
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "CertificateRequest is malformed");
    sparp__shake_choose_scheme(tls, schemes);
    tls->step = SPARP__STEP_DONE12;
    return sparp__transcript_add(tls, whole);
}

static void sparp__tls12_make_mac(const sparp__tls *tls, const char *label,
                                  unsigned char mac[12]) {
    unsigned char hash[SPARP__HASH_MAX];
    sparp__transcript_out(tls, hash);
    sparp__prf(tls->suite, tls->master, 48, label,
               sparp__str_make((const char *)hash, tls->suite->hash_size),
               sparp__str_make(NULL, 0), mac, 12);
}

static bool sparp__tls12_send_finished(sparp__tls *tls) {
    unsigned char mac[12];
    if (!sparp__record_send(tls, SPARP__TYPE_CCS, "\x01", 1))
        return sparp__tls_fail_memory(tls);
    tls->writing = true;
    sparp__tls12_make_mac(tls, "client finished", mac);
    return sparp__flight_put(tls, 20, mac, sizeof mac) && sparp__flight_send(tls);
}

/* ServerHelloDone: it is our turn. */
static bool sparp__tls12_on_done(sparp__tls *tls, sparp__str in, sparp__str whole) {
    sparp__shake *s = tls->shake;
    unsigned char shared[48], body[1 + SPARP__POINT_MAX];
    if (in.size != 0)
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "ServerHelloDone is malformed");
    if (!sparp__shake_at_boundary(tls, whole) || !sparp__transcript_add(tls, whole)
        || !sparp__group_begin(tls, s->group))
        return false;
    size_t size = sparp__group_agree(tls, sparp__str_make((const char *)s->point, s->point_size),
                                     shared);
    if (size == 0)
        return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL, "a key share is no point of its curve");
    body[0] = (unsigned char)s->share_size;
    memcpy(body + 1, s->share, s->share_size);
    bool ok = (!tls->asked || sparp__flight_put_cert(tls))
        && sparp__flight_put(tls, 16, body, 1 + s->share_size);
    if (ok)
        sparp__tls12_make_master(tls, shared, size);
    sparp__wipe(shared, sizeof shared);
    if (!ok || !sparp__flight_put_verify(tls) || !sparp__flight_send(tls))
        return false;
    sparp__tls12_make_keys(tls);
    tls->step = s->ticket_due ? SPARP__STEP_TICKET12 : SPARP__STEP_CCS12;
    return sparp__tls12_send_finished(tls);
}

static bool sparp__tls12_on_ticket(sparp__tls *tls, sparp__str in, sparp__str whole) {
    sparp__shake *s = tls->shake;
    uint32_t lifetime = sparp__wire_number(&in, 4);
    sparp__str ticket = sparp__wire_vector(&in, 2);
    if (!sparp__wire_over(in))
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "NewSessionTicket is malformed");
    (void)lifetime;                     /* a hint; a stale ticket costs nothing but its bytes */
    s->offer.ticket.size = 0;           /* it has served */
    if (ticket.size <= SPARP__TICKET_MAX
        && !sparp__buf_add(tls->env, &s->offer.ticket, ticket))
        return sparp__tls_fail_memory(tls);
    tls->step = SPARP__STEP_CCS12;
    return sparp__transcript_add(tls, whole);
}

/* What the next connection can resume: a ticket, or an id. */
static void sparp__tls12_remember(sparp__tls *tls) {
    sparp__tls_session *to = tls->session;
    sparp__shake *s = tls->shake;
    if (!tls->resumed && !s->ticket_due)
        s->offer.ticket.size = 0;
    sparp__session_clear(tls->env, to);
    if (s->offer.ticket.size == 0 && s->id_size == 0)
        return;
    to->version = SPARP__TLS_12;
    to->suite = tls->suite->id;
    to->ems = tls->ems;
    to->id_size = s->id_size;
    memcpy(to->id, s->id, s->id_size);
    memcpy(to->secret, tls->master, 48);
    to->ticket = s->offer.ticket;
    memset(&s->offer.ticket, 0, sizeof s->offer.ticket);
}

/* Keys change. Always from a message's end. */
static bool sparp__tls12_on_ccs(sparp__tls *tls) {
    if (tls->messages.size != 0)
        return sparp__tls_fail(tls, SPARP__ALERT_UNEXPECTED, "a message across a change of keys");
    if (tls->resumed)
        sparp__tls12_make_keys(tls);
    tls->reading = true;
    tls->step = SPARP__STEP_FINISHED12;
    return true;
}

static bool sparp__tls12_on_finished(sparp__tls *tls, sparp__str in, sparp__str whole) {
    unsigned char mac[12];
    sparp__tls12_make_mac(tls, "server finished", mac);
    if (in.size != sizeof mac)
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "Finished is malformed");
    if (!sparp__same_secret(mac, in.data, sizeof mac))
        return sparp__tls_fail(tls, SPARP__ALERT_DECRYPT, "Finished is wrong");
    if (!sparp__shake_at_boundary(tls, whole) || !sparp__transcript_add(tls, whole)
        || (tls->resumed && !sparp__tls12_send_finished(tls)))
        return false;
    sparp__tls12_remember(tls);
    sparp__shake_open(tls, SPARP__STEP_OPEN12);
    return true;
}

/* HelloRequest: no, thank you (RFC 5746 §4.5). */
static bool sparp__tls12_on_hello_request(sparp__tls *tls, sparp__str in, sparp__str whole) {
    (void)whole;
    if (in.size != 0)
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "HelloRequest is malformed");
    tls->warnings++;
    return sparp__record_alert(tls, 1, SPARP__ALERT_NO_RENEGOTIATION)
        || sparp__tls_fail_memory(tls);
}

#endif /* SPARP__TLS */

/* ============================================================================================ */
/* >>tls13      the handshake of TLS 1.3 (RFC 8446 §4), and what comes after it: tickets and      */
/*              KeyUpdate. No early data. Uses shake, record, crypto, buf, env.                  */
/* ============================================================================================ */

#if SPARP__TLS

/* HelloRetryRequest: once, and for something new (§4.1.4). */
static bool sparp__tls13_on_retry(sparp__tls *tls, const sparp__extensions *x, sparp__str whole) {
    sparp__shake *s = tls->shake;
    sparp__str share = x->share, cookie = x->cookie;
    unsigned char hash[SPARP__HASH_MAX], head[4] = {254, 0, 0, 0};
    bool regroup = (x->seen & SPARP__X_SHARE) != 0, has_cookie = (x->seen & SPARP__X_COOKIE) != 0;
    unsigned group = regroup ? sparp__wire_number(&share, 2) : s->group;
    sparp__str value = has_cookie ? sparp__wire_vector(&cookie, 2) : sparp__str_make("", 0);
    if ((regroup && !sparp__wire_over(share))
        || (has_cookie && (!sparp__wire_over(cookie) || value.size == 0)))
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "HelloRetryRequest is malformed");
    if (s->retried)
        return sparp__tls_fail(tls, SPARP__ALERT_UNEXPECTED, "a second HelloRetryRequest");
    if ((!regroup && !has_cookie) || !sparp__group_known(group) || (regroup && group == s->group))
        return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL,
                               "HelloRetryRequest asks for nothing new, or for the unknown");
    if (!sparp__buf_add(tls->env, &s->cookie, x->cookie))
        return sparp__tls_fail_memory(tls);
    sparp__digest(tls->suite->hash_size, s->hello.data, s->hello.size, hash);
    head[3] = tls->suite->hash_size;
    sparp__transcript_begin(tls);
    if (!sparp__transcript_add(tls, sparp__str_make((const char *)head, 4))
        || !sparp__transcript_add(tls, sparp__str_make((const char *)hash, head[3]))
        || !sparp__transcript_add(tls, whole))
        return false;
    s->retried = tls->ccs_due = true;
    tls->session->group = (uint16_t)group;      /* the next hello begins with it */
    if (regroup && !sparp__group_begin(tls, group))
        return false;
    return sparp__hello_send(tls);
}

/* The one ticket that was offered, or none. */
static bool sparp__tls13_check_psk(sparp__tls *tls, const sparp__extensions *x) {
    sparp__str psk = x->psk;
    if ((x->seen & SPARP__X_PSK) == 0)
        return true;
    unsigned which = sparp__wire_number(&psk, 2);
    if (!sparp__wire_over(psk))
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "pre_shared_key is malformed");
    if (which != 0
        || sparp__suite_find(tls->shake->offer.suite)->hash_size != tls->suite->hash_size)
        return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL, "a session that was not offered");
    tls->resumed = true;
    return true;
}

/* From here on everything is encrypted. */
static void sparp__tls13_make_keys(sparp__tls *tls, const unsigned char *shared, size_t size) {
    sparp__shake *s = tls->shake;
    size_t hash_size = tls->suite->hash_size;
    unsigned char hash[SPARP__HASH_MAX];
    sparp__extract_early(hash_size, tls->resumed ? s->offer.secret : NULL, s->secret);
    sparp__extract_next(hash_size, s->secret, shared, size);
    sparp__transcript_out(tls, hash);
    sparp__derive(hash_size, s->secret, "c hs traffic", hash, s->client_secret);
    sparp__derive(hash_size, s->secret, "s hs traffic", hash, s->server_secret);
    sparp__cipher_secret(tls, &tls->in, s->server_secret);
    sparp__cipher_secret(tls, &tls->out, s->client_secret);
    tls->reading = tls->writing = true;
}

/* The ServerHello says 1.3. */
static bool sparp__tls13_on_hello(sparp__tls *tls, const sparp__extensions *x, sparp__str whole) {
    sparp__shake *s = tls->shake;
    sparp__str in = x->share;
    unsigned char shared[48];
    if ((x->seen & SPARP__X_SHARE) == 0)
        return sparp__tls_fail(tls, SPARP__ALERT_MISSING, "the server sent no key share");
    unsigned group = sparp__wire_number(&in, 2);
    sparp__str point = sparp__wire_vector(&in, 2);
    if (!sparp__wire_over(in))
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "key_share is malformed");
    if (group != s->group)
        return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL, "a key share of another group");
    if (!sparp__tls13_check_psk(tls, x))
        return false;
    size_t size = sparp__group_agree(tls, point, shared);
    if (size == 0)
        return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL, "a key share is no point of its curve");
    if (!s->retried) {
        sparp__transcript_begin(tls);
        if (!sparp__transcript_add(tls, sparp__str_make(s->hello.data, s->hello.size)))
            return false;
    }
    if (!sparp__transcript_add(tls, whole))
        return false;
    sparp__tls13_make_keys(tls, shared, size);
    sparp__wipe(shared, sizeof shared);
    tls->ccs_due = !s->retried;
    tls->step = SPARP__STEP_EXTENSIONS;
    return true;
}

static bool sparp__tls13_on_extensions(sparp__tls *tls, sparp__str in, sparp__str whole) {
    sparp__extensions x;
    sparp__str list = sparp__wire_vector(&in, 2);
    if (!sparp__wire_over(in))
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "EncryptedExtensions is malformed");
    if (!sparp__extensions_read(tls, list, SPARP__X_NAME | SPARP__X_GROUPS | SPARP__X_ALPN
                                | SPARP__X_TEST, &x)
        || !sparp__extensions_check_alpn(tls, &x))
        return false;
    tls->step = tls->resumed ? SPARP__STEP_FINISHED : SPARP__STEP_REQUEST_OR_CERT;
    return sparp__transcript_add(tls, whole);
}

/* CertificateRequest: signature_algorithms must be there, others may (§4.3.2). */
static bool sparp__tls13_on_request(sparp__tls *tls, sparp__str in, sparp__str whole) {
    sparp__str context = sparp__wire_vector(&in, 1), list = sparp__wire_vector(&in, 2);
    sparp__str schemes = sparp__str_make(NULL, 0);
    bool seen = false;
    while (list.size > 0) {
        unsigned id = sparp__wire_number(&list, 2);
        sparp__str body = sparp__wire_vector(&list, 2);
        if (id != 13 || list.data == NULL)
            continue;
        schemes = sparp__wire_vector(&body, 2);
        if (seen || !sparp__wire_over(body))
            return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL, "CertificateRequest is malformed");
        seen = true;
    }
    if (list.data == NULL || !sparp__wire_over(in) || context.size != 0 || schemes.size % 2 != 0)
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "CertificateRequest is malformed");
    if (schemes.size == 0)
        return sparp__tls_fail(tls, SPARP__ALERT_MISSING,
                               "CertificateRequest names no kinds of signatures");
    sparp__shake_choose_scheme(tls, schemes);
    tls->step = SPARP__STEP_CERT;
    return sparp__transcript_add(tls, whole);
}

static bool sparp__tls13_on_verify(sparp__tls *tls, sparp__str in, sparp__str whole) {
    unsigned char content[98 + SPARP__HASH_MAX];
    size_t size = sparp__shake_signed(tls, "TLS 1.3, server CertificateVerify", content);
    if (!sparp__shake_check_signature(tls, &in, content, size))
        return false;
    tls->step = SPARP__STEP_FINISHED;
    return sparp__transcript_add(tls, whole);
}

static void sparp__tls13_make_mac(const sparp__tls *tls, const unsigned char *secret,
                                  unsigned char *out) {
    unsigned char key[SPARP__HASH_MAX], hash[SPARP__HASH_MAX];
    size_t size = tls->suite->hash_size;
    sparp__expand_plain(size, secret, "finished", key, size);
    sparp__transcript_out(tls, hash);
    sparp__hmac(size, key, size, hash, size, out);
    sparp__wipe(key, sizeof key);
}

/* Our flight: who we are, if that was asked, and Finished. */
static bool sparp__tls13_send_finished(sparp__tls *tls) {
    unsigned char mac[SPARP__HASH_MAX];
    if (tls->asked && (!sparp__flight_put_cert(tls) || !sparp__flight_put_verify(tls)))
        return false;
    sparp__tls13_make_mac(tls, tls->shake->client_secret, mac);
    return sparp__flight_put(tls, 20, mac, tls->suite->hash_size) && sparp__flight_send(tls);
}

static bool sparp__tls13_on_finished(sparp__tls *tls, sparp__str in, sparp__str whole) {
    sparp__shake *s = tls->shake;
    static const unsigned char zeros[48] = {0};
    unsigned char mac[SPARP__HASH_MAX], hash[SPARP__HASH_MAX], next[SPARP__HASH_MAX];
    size_t size = tls->suite->hash_size;
    sparp__tls13_make_mac(tls, s->server_secret, mac);
    if (in.size != size)
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "Finished is malformed");
    if (!sparp__same_secret(mac, in.data, size))
        return sparp__tls_fail(tls, SPARP__ALERT_DECRYPT, "Finished is wrong");
    if (!sparp__shake_at_boundary(tls, whole) || !sparp__transcript_add(tls, whole))
        return false;
    sparp__extract_next(size, s->secret, zeros, size);
    sparp__transcript_out(tls, hash);
    if (!sparp__tls13_send_finished(tls))
        return false;
    sparp__derive(size, s->secret, "c ap traffic", hash, next);
    sparp__cipher_secret(tls, &tls->out, next);
    sparp__derive(size, s->secret, "s ap traffic", hash, next);
    sparp__cipher_secret(tls, &tls->in, next);
    sparp__wipe(next, sizeof next);
    sparp__transcript_out(tls, hash);
    sparp__derive(size, s->secret, "res master", hash, tls->master);
    sparp__shake_open(tls, SPARP__STEP_OPEN);
    return true;
}

/* --- afterwards ------------------------------------------------------------------------------ */

/* The newest ticket is the one to be resumed (§4.6.1). */
static bool sparp__tls13_on_ticket(sparp__tls *tls, sparp__str in, sparp__str whole) {
    sparp__tls_session *to = tls->session;
    uint32_t lifetime = sparp__wire_number(&in, 4), age_add = sparp__wire_number(&in, 4);
    sparp__str nonce = sparp__wire_vector(&in, 1), ticket = sparp__wire_vector(&in, 2);
    sparp__str extensions = sparp__wire_vector(&in, 2);
    (void)whole;
    if (!sparp__wire_over(in) || ticket.size == 0)
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "NewSessionTicket is malformed");
    while (extensions.size > 0) {
        sparp__wire_number(&extensions, 2);
        sparp__wire_vector(&extensions, 2);
    }
    if (extensions.data == NULL)
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "NewSessionTicket is malformed");
    tls->has_ticket = true;
    if (lifetime == 0 || ticket.size > SPARP__TICKET_MAX)
        return true;
    sparp__session_clear(tls->env, to);
    if (!sparp__buf_add(tls->env, &to->ticket, ticket))
        return true;                    /* then the next one is not resumed */
    to->version = SPARP__TLS_13;
    to->suite = tls->suite->id;
    to->lifetime_s = lifetime < 604800 ? lifetime : 604800;
    to->age_add = age_add;
    to->received_at = sparp__env_now();
    sparp__expand(tls->suite->hash_size, tls->master, "resumption", nonce, to->secret,
                  tls->suite->hash_size);
    return true;
}

/* False: out of memory. */
static bool sparp__tls13_update_keys(sparp__tls *tls) {
    tls->update_due = false;
    if (!sparp__record_send(tls, SPARP__TYPE_HANDSHAKE, "\x18\x00\x00\x01\x00", 5))
        return false;
    sparp__cipher_next(tls, &tls->out);
    return true;
}

/* §4.6.3. The answer goes out before our next data, once for many. */
static bool sparp__tls13_on_key_update(sparp__tls *tls, sparp__str in, sparp__str whole) {
    unsigned request = sparp__wire_number(&in, 1);
    if (!sparp__wire_over(in))
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "KeyUpdate is malformed");
    if (request > 1)
        return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL, "KeyUpdate is malformed");
    if (!sparp__shake_at_boundary(tls, whole))
        return false;
    sparp__cipher_next(tls, &tls->in);
    tls->update_due = tls->update_due || request == 1;
    tls->warnings++;
    return true;
}

#endif /* SPARP__TLS */

/* ============================================================================================ */
/* >>tls        TLS 1.3 and 1.2 on BearSSL's cryptography, without a descriptor: ciphertext in    */
/*              and out, plaintext in and out; the connection drives it. Uses env, buf, resolve, */
/*              crypto, x509, trust, record, shake, tls12, tls13.                                */
/*              Nothing above knows BearSSL: another implementation gives                        */
/*              sparp__trust (zeroed; .fault), sparp__trust_load, _free;                         */
/*              sparp__tls_session (zeroed), sparp__tls_session_clear;                           */
/*              sparp__tls (.env), sparp__tls_new, _free, _status, _resumed, _awaits_session,    */
/*              _fail_memory, _say_why; _push, _go_on, _is_busy, _take_work, _peek_out,          */
/*              _ack_out, _peek_in, _ack_in, _holds, _write, _close, _rest.                      */
/* ============================================================================================ */

#if SPARP__TLS

#define SPARP__MESSAGE_MAX (64 * 1024)  /* bytes, but for certificates */
#define SPARP__IDLE_RECORDS_MAX 100000  /* without data, in a row: time is bounded elsewhere */
#define SPARP__WARNINGS_MAX 1000        /* and of those that cost something */

typedef enum sparp__tls_state {
    SPARP__TLS_SHAKING,                 /* more of the handshake is to come */
    SPARP__TLS_OPEN,
    SPARP__TLS_CLOSED,                  /* by the peer, who said so */
    SPARP__TLS_FAILED                   /* see sparp__tls_say_why */
} sparp__tls_state;

/* --- ServerHello ----------------------------------------------------------------------------- */

static const unsigned char sparp__retry_random[32] = {  /* SHA-256 of "HelloRetryRequest" */
    0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
    0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C
};

/* supported_versions decides, wherever it stands; without it, the old field. 0: nonsense. */
static unsigned sparp__hello_version(sparp__str list, unsigned version) {
    while (list.size > 0) {
        unsigned id = sparp__wire_number(&list, 2);
        sparp__str body = sparp__wire_vector(&list, 2);
        if (id != 43 || list.data == NULL)
            continue;
        unsigned chosen = sparp__wire_number(&body, 2);
        return sparp__wire_over(body) && version == SPARP__TLS_12 && chosen == SPARP__TLS_13
            ? chosen : 0;
    }
    return version <= SPARP__TLS_12 ? version : 0;
}

static bool sparp__hello_choose(sparp__tls *tls, unsigned version, unsigned suite,
                                unsigned compression) {
    const sparp__suite *found = sparp__suite_find(suite);
    bool retried = tls->shake->retried;
    if (version == 0 || (retried && version != SPARP__TLS_13))
        return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL, "a version that cannot be chosen so");
    if (version < SPARP__TLS_12
        || (int)version < tls->trust->options->min_version)
        return sparp__tls_fail(tls, SPARP__ALERT_VERSION, "another version of TLS");
    if (found == NULL || found->version != version || compression != 0
        || (retried && found != tls->suite))
        return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL, "a cipher suite that was not offered");
    tls->suite = found;
    return true;
}

static bool sparp__tls_on_hello(sparp__tls *tls, sparp__str in, sparp__str whole) {
    sparp__shake *s = tls->shake;
    sparp__extensions x;
    unsigned version = sparp__wire_number(&in, 2);
    sparp__str random = sparp__wire_take(&in, 32), id = sparp__wire_vector(&in, 1);
    unsigned suite = sparp__wire_number(&in, 2), compression = sparp__wire_number(&in, 1);
    sparp__str list = in.size > 0 ? sparp__wire_vector(&in, 2) : sparp__str_make("", 0);
    if (!sparp__wire_over(in) || id.size > 32)
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "ServerHello is malformed");
    if (!sparp__hello_choose(tls, sparp__hello_version(list, version), suite, compression))
        return false;
    bool retry = memcmp(random.data, sparp__retry_random, 32) == 0;
    memcpy(s->server_random, random.data, 32);
    if (tls->suite->version == SPARP__TLS_12) {
        tls->version = SPARP__TLS_12;
        return sparp__extensions_read(tls, list, SPARP__X_NAME | SPARP__X_GROUPS | SPARP__X_POINTS
                                      | SPARP__X_ALPN | SPARP__X_EMS | SPARP__X_TICKET
                                      | SPARP__X_RENEGOTIATION, &x)
            && sparp__tls12_on_hello(tls, &x, id, whole);
    }
    if (!sparp__extensions_read(tls, list, retry
                                ? SPARP__X_VERSION | SPARP__X_COOKIE | SPARP__X_SHARE
                                : SPARP__X_VERSION | SPARP__X_SHARE | SPARP__X_PSK, &x))
        return false;
    if (!sparp__der_is(id, (const char *)s->id, s->id_size))
        return sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL, "the session id is not ours");
    if (!sparp__shake_at_boundary(tls, whole))
        return false;
    if (retry)
        return sparp__tls13_on_retry(tls, &x, whole);
    tls->version = SPARP__TLS_13;
    return sparp__tls13_on_hello(tls, &x, whole);
}

/* --- what may come when ---------------------------------------------------------------------- */

static const struct sparp__tls_rule {
    sparp__step step;
    int         message;
    bool      (*on)(sparp__tls *tls, sparp__str body, sparp__str whole);
} sparp__tls_rules[] = {
    {SPARP__STEP_HELLO,             2,  sparp__tls_on_hello},
    {SPARP__STEP_EXTENSIONS,        8,  sparp__tls13_on_extensions},
    {SPARP__STEP_REQUEST_OR_CERT,   13, sparp__tls13_on_request},
    {SPARP__STEP_REQUEST_OR_CERT,   11, sparp__shake_on_cert},
    {SPARP__STEP_CERT,              11, sparp__shake_on_cert},
    {SPARP__STEP_VERIFY,            15, sparp__tls13_on_verify},
    {SPARP__STEP_FINISHED,          20, sparp__tls13_on_finished},
    {SPARP__STEP_OPEN,              4,  sparp__tls13_on_ticket},
    {SPARP__STEP_OPEN,              24, sparp__tls13_on_key_update},
    {SPARP__STEP_CERT12,            11, sparp__shake_on_cert},
    {SPARP__STEP_KEYS12,            12, sparp__tls12_on_keys},
    {SPARP__STEP_REQUEST_OR_DONE12, 13, sparp__tls12_on_request},
    {SPARP__STEP_REQUEST_OR_DONE12, 14, sparp__tls12_on_done},
    {SPARP__STEP_DONE12,            14, sparp__tls12_on_done},
    {SPARP__STEP_TICKET12,          4,  sparp__tls12_on_ticket},
    {SPARP__STEP_FINISHED12,        20, sparp__tls12_on_finished},
    {SPARP__STEP_OPEN12,            0,  sparp__tls12_on_hello_request}
};

static bool sparp__tls_on_message(sparp__tls *tls, int type, sparp__str body, sparp__str whole) {
    for (size_t i = 0; i < sizeof sparp__tls_rules / sizeof *sparp__tls_rules; i++)
        if (sparp__tls_rules[i].step == tls->step && sparp__tls_rules[i].message == type)
            return sparp__tls_rules[i].on(tls, body, whole);
    return sparp__tls_fail(tls, SPARP__ALERT_UNEXPECTED, "a message out of its place");
}

static bool sparp__tls_message_fits(sparp__tls *tls, int type, size_t size) {
    if (type != 11)
        return size <= SPARP__MESSAGE_MAX
            || sparp__tls_fail(tls, SPARP__ALERT_ILLEGAL, "a message is too long");
    if (size <= SPARP__CHAIN_MAX_BYTES || tls->shake == NULL)
        return true;
    sparp__fault_set(&tls->shake->fault, SPARP_E_TLS_CERTIFICATE, 0,
                     "certificate chain of more than %d KiB", SPARP__CHAIN_MAX_BYTES / 1024);
    return sparp__shake_refuse(tls, SPARP__ALERT_BAD_CERT);
}

/* Whole messages, one after the other, as long as that does not take long. */
static bool sparp__tls_run_messages(sparp__tls *tls) {
    sparp__buf *m = &tls->messages;
    tls->busy = false;
    while (m->size >= 4 && tls->step < SPARP__STEP_CLOSED) {
        sparp__str head = sparp__str_make(m->data, 4);
        int type = (int)sparp__wire_number(&head, 1);
        size_t size = sparp__wire_number(&head, 3);
        if (!sparp__tls_message_fits(tls, type, size))
            return false;
        if (m->size < 4 + size)
            return true;
        tls->busy = tls->shake != NULL && tls->work >= SPARP__CHAIN_WORK;
        if (tls->busy)
            return true;
        if (!sparp__tls_on_message(tls, type, sparp__str_make(m->data + 4, size),
                                   sparp__str_make(m->data, 4 + size)))
            return false;
        if (tls->busy)                  /* with this one */
            return true;
        memmove(m->data, m->data + 4 + size, m->size - 4 - size);
        m->size -= 4 + size;
    }
    if (m->size == 0 && tls->shake == NULL)
        sparp__buf_drop(tls->env, m);
    return true;
}

static bool sparp__tls_on_handshake(sparp__tls *tls, sparp__str body) {
    if (body.size == 0)
        return sparp__tls_fail(tls, SPARP__ALERT_UNEXPECTED, "a record of the handshake is empty");
    if (!sparp__buf_add(tls->env, &tls->messages, body))
        return sparp__tls_fail_memory(tls);
    return sparp__tls_run_messages(tls);
}

/* --- records --------------------------------------------------------------------------------- */

static bool sparp__tls_is_open(const sparp__tls *tls) {
    return tls->step == SPARP__STEP_OPEN || tls->step == SPARP__STEP_OPEN12;
}

/* The peer sends no more. What he is still to be told goes out with our own. */
static bool sparp__tls_on_close(sparp__tls *tls) {
    bool ok = tls->closing || sparp__record_alert(tls, 1, SPARP__ALERT_CLOSE);
    tls->closing = true;
    tls->step = SPARP__STEP_CLOSED;
    return ok || sparp__tls_fail_memory(tls);
}

static bool sparp__tls_on_alert(sparp__tls *tls, sparp__str body) {
    if (body.size != 2)
        return sparp__tls_fail(tls, SPARP__ALERT_DECODE, "an alert is malformed");
    int level = body.data[0], alert = (unsigned char)body.data[1];
    if (alert == SPARP__ALERT_CLOSE && sparp__tls_is_open(tls))
        return sparp__tls_on_close(tls);
    bool warning = level == 1 && alert != SPARP__ALERT_CLOSE
        && (tls->version != SPARP__TLS_13 || alert == SPARP__ALERT_CANCELED);
    if (warning) {
        tls->warnings++;
        return true;
    }
    tls->alert_in = alert;              /* in 1.3 its level means nothing */
    return sparp__tls_fail(tls, SPARP__ALERT_NONE, "the server ended it");
}

/* In TLS 1.3 it means nothing, up to Finished (RFC 8446 §5). */
static bool sparp__tls_on_ccs(sparp__tls *tls, sparp__str body) {
    if (!sparp__der_is(body, "\x01", 1))
        return sparp__tls_fail(tls, SPARP__ALERT_UNEXPECTED, "ChangeCipherSpec is malformed");
    if (tls->step == SPARP__STEP_CCS12)
        return sparp__tls12_on_ccs(tls);
    tls->warnings++;
    return (tls->version != SPARP__TLS_12 && tls->step < SPARP__STEP_OPEN)
        || sparp__tls_fail(tls, SPARP__ALERT_UNEXPECTED, "ChangeCipherSpec out of its place");
}

static bool sparp__tls_on_data(sparp__tls *tls, sparp__str body) {
    if (!sparp__tls_is_open(tls) || tls->messages.size > 0)
        return sparp__tls_fail(tls, SPARP__ALERT_UNEXPECTED, "data out of its place");
    if (body.size > 0) {
        tls->idle_records = tls->warnings = 0;
        tls->answered = true;
    }
    tls->plain = body;
    return true;
}

/* One whole record, header and all. */
static bool sparp__tls_on_record(sparp__tls *tls, unsigned char *record, size_t size) {
    int type = record[0];
    sparp__str body = sparp__str_make((const char *)record + 5, size - 5);
    bool clear = !tls->reading || (tls->version == SPARP__TLS_13 && type == SPARP__TYPE_CCS
                                   && tls->step < SPARP__STEP_OPEN);
    if (!clear && tls->version == SPARP__TLS_13 && type != SPARP__TYPE_DATA)
        return sparp__tls_fail(tls, SPARP__ALERT_UNEXPECTED, "a record that is not encrypted");
    if (clear && body.size > SPARP__PLAIN_MAX)
        return sparp__tls_fail(tls, SPARP__ALERT_OVERFLOW, "a record is too long");
    if (!clear && !sparp__record_unseal(tls, record, &type, &body))
        return false;
    if (++tls->idle_records > SPARP__IDLE_RECORDS_MAX || tls->warnings > SPARP__WARNINGS_MAX)
        return sparp__tls_fail(tls, SPARP__ALERT_UNEXPECTED, "too many records without data");
    switch (type) {
    case SPARP__TYPE_CCS:
        return clear ? sparp__tls_on_ccs(tls, body)
            : sparp__tls_fail(tls, SPARP__ALERT_UNEXPECTED, "ChangeCipherSpec out of its place");
    case SPARP__TYPE_ALERT:     return sparp__tls_on_alert(tls, body);
    case SPARP__TYPE_HANDSHAKE: return sparp__tls_on_handshake(tls, body);
    case SPARP__TYPE_DATA:      return sparp__tls_on_data(tls, body);
    default:
        return sparp__tls_fail(tls, SPARP__ALERT_UNEXPECTED, "a record of an unknown kind");
    }
}

/* --- one connection -------------------------------------------------------------------------- */

/* There is nothing to be resumed any more. */
static void sparp__tls_session_clear(sparp__env *env, sparp__tls_session *session) {
    sparp__session_clear(env, session);
}

static void sparp__tls_drop_held(sparp__tls *tls) {
    if (tls->held != NULL)
        sparp__trust_give_spare(tls->env, tls->trust, tls->held);
    tls->held = NULL;
    tls->held_size = 0;
}

static void sparp__tls_free(sparp__tls *tls) {
    if (tls == NULL)
        return;
    sparp__shake_free(tls);
    sparp__tls_drop_held(tls);
    sparp__buf_drop(tls->env, &tls->messages);
    sparp__buf_free(tls->env, &tls->outgoing);
    sparp__env *env = tls->env;
    sparp__wipe(tls, sizeof *tls);      /* keys, master secret */
    sparp__env_free(env, tls, sizeof *tls);
}

/* What is to be said first; *fault says why not. */
static bool sparp__tls_greet(sparp__tls *tls, sparp__fault *fault) {
    sparp__shake *s = tls->shake;
    unsigned group = tls->session->group != 0 ? tls->session->group : BR_EC_curve25519;
    s->is_ip = sparp__address_parse(&s->ip, tls->host);
    s->id_size = 32;
    if (!sparp__env_entropy(s->client_random, 32) || !sparp__env_entropy(s->id, 32))
        return sparp__fault_set(fault, SPARP_E_SYSTEM, errno, "getrandom: %s", strerror(errno));
    if (!sparp__session_copy(tls))
        return sparp__fault_memory(fault);
    /* Who spoke 1.2 will do so again, with no share to be computed; else he asks for one. */
    if (s->offer.version != SPARP__TLS_12 && !sparp__group_begin(tls, group))
        return sparp__fault_set(fault, SPARP_E_SYSTEM, errno, "getrandom: %s", strerror(errno));
    return sparp__hello_send(tls) || sparp__fault_memory(fault);
}

/* The session to resume is of the same origin and the same run, so the same trust decided.
   NULL, with the fault. */
static sparp__tls *sparp__tls_new(sparp__env *env, sparp__trust *trust, const char *host,
                                  sparp__tls_session *session, sparp__fault *fault) {
    sparp__tls *tls = (sparp__tls *)sparp__env_zalloc(env, sizeof *tls);
    if (tls == NULL) {
        sparp__fault_memory(fault);
        return NULL;
    }
    tls->env = env;
    tls->trust = trust;
    tls->session = session;
    tls->host = host;
    tls->first_byte = tls->alert_in = tls->alert_out = SPARP__ALERT_NONE;
    tls->shake = (sparp__shake *)sparp__env_zalloc(env, sizeof *tls->shake);
    bool ok = tls->shake != NULL ? sparp__tls_greet(tls, fault) : sparp__fault_memory(fault);
    if (ok)
        return tls;
    sparp__tls_free(tls);
    return NULL;
}

static sparp__tls_state sparp__tls_status(const sparp__tls *tls) {
    return tls->step < SPARP__STEP_OPEN ? SPARP__TLS_SHAKING
        : tls->step < SPARP__STEP_CLOSED ? SPARP__TLS_OPEN
        : tls->step == SPARP__STEP_CLOSED ? SPARP__TLS_CLOSED : SPARP__TLS_FAILED;
}

/* Of an open one: it was a session that went on. */
static bool sparp__tls_resumed(const sparp__tls *tls) {
    return tls->resumed;
}

/* It is open, and what others could resume is still to come: a ticket of 1.3. */
static bool sparp__tls_awaits_session(const sparp__tls *tls) {
    return tls->step == SPARP__STEP_OPEN && !tls->has_ticket;
}

/* There is more to compute: with or without new bytes, sparp__tls_go_on. */
static bool sparp__tls_is_busy(const sparp__tls *tls) {
    return tls->busy && tls->step < SPARP__STEP_CLOSED;
}

static void sparp__tls_go_on(sparp__tls *tls) {
    if (sparp__tls_is_busy(tls))
        sparp__tls_run_messages(tls);
}

/* How much was computed since this was last asked: see SPARP__WORK_RSA. */
static int sparp__tls_take_work(sparp__tls *tls) {
    int work = tls->work;
    tls->work = 0;
    return work;
}

/* Bytes of the record that begins in `held`, as far as that is known. */
static size_t sparp__tls_held_wants(const sparp__tls *tls) {
    return tls->held_size < 5 ? 5 : sparp__record_size(tls->held);
}

/* Part of a record, or what was missing of one. How much of it was taken. */
static size_t sparp__tls_hold(sparp__tls *tls, const unsigned char *bytes, size_t size) {
    if (tls->held == NULL)
        tls->held = sparp__trust_take_spare(tls->env, tls->trust);
    if (tls->held == NULL) {
        sparp__tls_fail_memory(tls);
        return size;
    }
    size_t n = sparp__tls_held_wants(tls) - tls->held_size;
    n = n < size ? n : size;
    memcpy(tls->held + tls->held_size, bytes, n);
    tls->held_size += n;
    if (tls->held_size == 5 && !sparp__record_check(tls, tls->held))
        return n;
    if (tls->held_size >= 5 && tls->held_size == sparp__record_size(tls->held)) {
        sparp__tls_on_record(tls, tls->held, tls->held_size);
        tls->held_size = 0;             /* its plaintext stands until something else comes */
    }
    return n;
}

/* Eats ciphertext, up to the end of a record that brought plaintext, and decrypts it where it
   lies: `cipher` is written to. What is left of it must come again. */
static size_t sparp__tls_push(sparp__tls *tls, sparp__str cipher) {
    unsigned char *bytes = (unsigned char *)(uintptr_t)cipher.data;
    size_t eaten = 0;
    if (tls->first_byte < 0 && cipher.size > 0)
        tls->first_byte = bytes[0];
    while (eaten < cipher.size && tls->plain.size == 0 && !tls->busy
           && tls->step < SPARP__STEP_CLOSED) {
        unsigned char *at = bytes + eaten;
        size_t left = cipher.size - eaten;
        if (tls->held_size > 0 || left < 5) {
            eaten += sparp__tls_hold(tls, at, left);
            continue;
        }
        if (!sparp__record_check(tls, at))
            break;
        if (sparp__record_size(at) > left) {
            eaten += sparp__tls_hold(tls, at, left);
            continue;
        }
        eaten += sparp__record_size(at);
        sparp__tls_on_record(tls, at, sparp__record_size(at));
    }
    return eaten;
}

/* Ciphertext to be sent. */
static sparp__str sparp__tls_peek_out(const sparp__tls *tls) {
    sparp__str out = sparp__str_make(tls->outgoing.data, tls->outgoing.size);
    return tls->sent > 0 ? sparp__str_skip(out, tls->sent) : out;
}

static void sparp__tls_ack_out(sparp__tls *tls, size_t size) {
    tls->sent += size;
    if (tls->sent < tls->outgoing.size)
        return;
    tls->sent = tls->outgoing.size = 0;
    if (tls->outgoing.capacity > SPARP__TLS_OUT_KEEP)
        sparp__buf_free(tls->env, &tls->outgoing);
}

/* Plaintext that has arrived. It stays where it is until it is acknowledged. */
static sparp__str sparp__tls_peek_in(const sparp__tls *tls) {
    return tls->plain;
}

static void sparp__tls_ack_in(sparp__tls *tls, size_t size) {
    if (size > 0)
        tls->plain = sparp__str_skip(tls->plain, size);
}

/* Takes plaintext to be sent: a record of it. 0: it is not open, or has failed. */
static size_t sparp__tls_write(sparp__tls *tls, sparp__str plain) {
    size_t n = plain.size < SPARP__PLAIN_MAX ? plain.size : SPARP__PLAIN_MAX;
    if (!sparp__tls_is_open(tls) || tls->closing || n == 0)
        return 0;
    bool update = tls->step == SPARP__STEP_OPEN
        && (tls->update_due || tls->out.seq >= SPARP__TLS_UPDATE_AFTER);
    if ((update && !sparp__tls13_update_keys(tls))
        || !sparp__record_send(tls, SPARP__TYPE_DATA, plain.data, n)) {
        sparp__tls_fail_memory(tls);
        return 0;
    }
    return n;
}

/* We send no more, and say so. */
static void sparp__tls_close(sparp__tls *tls) {
    if (!sparp__tls_is_open(tls) || tls->closing)
        return;
    tls->closing = true;
    sparp__record_alert(tls, 1, SPARP__ALERT_CLOSE);    /* without memory, then not */
}

/* It lies in our own buffer, where it can stay. */
static bool sparp__tls_holds(const sparp__tls *tls, const char *at) {
    uintptr_t offset = (uintptr_t)at - (uintptr_t)tls->held;
    return tls->held != NULL && offset < SPARP__RECORD_MAX;
}

/* Nothing of what it has shown is needed any more: its buffer is for others to use. */
static void sparp__tls_rest(sparp__tls *tls) {
    if (tls->held_size == 0 && tls->plain.size == 0)
        sparp__tls_drop_held(tls);
}

/* --- why it failed --------------------------------------------------------------------------- */

static const char *sparp__tls_alert_name(int alert) {
    switch (alert) {
    case 10: return "unexpected message";
    case 20: return "bad record";
    case 40: return "handshake failure: no common cipher suite, say";
    case 42: return "bad certificate";
    case 43: return "unsupported certificate";
    case 44: return "certificate revoked";
    case 45: return "certificate expired";
    case 46: return "certificate unknown";
    case 47: return "illegal parameter";
    case 48: return "unknown CA";
    case 49: return "access denied";
    case 50: return "decode error";
    case 51: return "decrypt error";
    case 70: return "protocol version";
    case 71: return "insufficient security";
    case 80: return "internal error";
    case 86: return "inappropriate fallback";
    case 109: return "missing extension";
    case 112: return "unrecognized name";
    case 116: return "certificate required";
    case 120: return "no application protocol";
    default: return "alert";
    }
}

/* It said so itself. Always false. */
static bool sparp__tls_say_alert(const sparp__tls *tls, bool shaking, sparp__fault *fault) {
    int alert = tls->alert_in;
    sparp_error error = shaking ? SPARP_E_TLS_HANDSHAKE : SPARP_E_RESET;
    if (alert == SPARP__ALERT_VERSION && shaking)
        return sparp__fault_set(fault, SPARP_E_TLS_VERSION, 256 + alert, "the server speaks no "
                                "version of TLS that is spoken here (%s1.3)",
                                tls->trust->options->min_version > SPARP__TLS_12 ? "" : "1.2, ");
    if (shaking && tls->unsure_who
        && (alert == SPARP__ALERT_CERT_REQUIRED || alert == SPARP__ALERT_HANDSHAKE
            || alert == SPARP__ALERT_BAD_CERT))
        return sparp__fault_set(fault, error, 256 + alert, "the server asks for a client "
                                "certificate (--cert, --key), and ended TLS with alert %d (%s)",
                                alert, alert == SPARP__ALERT_HANDSHAKE ? "handshake failure"
                                : sparp__tls_alert_name(alert));
    return sparp__fault_set(fault, error, 256 + alert, "the server ended TLS with alert %d (%s)",
                            alert, sparp__tls_alert_name(alert));
}

/* It has failed: why, in words. Always false. */
static bool sparp__tls_say_why(const sparp__tls *tls, sparp__fault *fault) {
    /* In 1.3 the server's word on our certificate comes when we think that it is open. */
    bool shaking = tls->shake != NULL || (tls->asked && !tls->answered);
    if (tls->no_memory)
        return sparp__fault_memory(fault);
    if (tls->shake != NULL && tls->shake->fault.error != SPARP_E_OK) {
        *fault = tls->shake->fault;
        return false;
    }
    if (tls->alert_in >= 0)
        return sparp__tls_say_alert(tls, shaking, fault);
    if (tls->alert_out == SPARP__ALERT_VERSION)
        return sparp__fault_set(fault, SPARP_E_TLS_VERSION, 512 + tls->alert_out, "the server "
                                "speaks a version of TLS below %s, which is not offered",
                                tls->trust->options->min_version > SPARP__TLS_12 ? "1.3" : "1.2");
    if (shaking && (tls->first_byte < SPARP__TYPE_CCS || tls->first_byte > SPARP__TYPE_DATA))
        return sparp__fault_set(fault, SPARP_E_TLS_HANDSHAKE, 512 + tls->alert_out,
                                "the server does not speak TLS on this port");
    return sparp__fault_set(fault, shaking ? SPARP_E_TLS_HANDSHAKE : SPARP_E_RESET,
                            512 + tls->alert_out, shaking ? "TLS handshake failed: %s"
                            : "the TLS stream is damaged: %s", tls->why);
}

#endif /* SPARP__TLS */

/* ============================================================================================ */
/* >>stream     bytes over a socket, in the clear or through TLS: an if, not a table. Uses       */
/*              env, buf, reactor, socket, record, tls.                                          */
/* ============================================================================================ */

#if !SPARP__TLS
typedef struct sparp__tls sparp__tls;   /* there are none */
#endif

/* What the TLS connections of one origin share: the session, and the first of them, which leads
   while the others wait a moment, so that they can resume it instead of computing it all anew. */
typedef struct sparp__session {
#if SPARP__TLS
    sparp__tls_session tls;             /* to be resumed */
#endif
    bool        leading, led;           /* one has begun; it has ended, well or badly */
    sparp__list followers;              /* connections that wait for it, by .waiter */
} sparp__session;

typedef struct sparp__stream {          /* zeroed, then fd set */
    int         fd;
    sparp__tls *tls;                    /* NULL: in the clear */
    sparp__str  cipher;                 /* received, not decrypted: a slice of the scratch */
    sparp__buf  early;                  /* or of this: it came before it could be used */
    size_t      shown;                  /* plaintext that is being looked at */
    bool        eof, clean;             /* the peer has closed; and TLS said so */
} sparp__stream;

#if SPARP__TLS

/* Sends what the engine has ready, record by record. */
static sparp__io sparp__stream_flush(sparp__stream *s) {
    for (;;) {
        sparp__str out = sparp__tls_peek_out(s->tls);
        size_t sent = 0;
        if (out.size == 0)
            return SPARP__IO_OK;
        sparp__io io = sparp__socket_send(s->fd, out.data, out.size, &sent);
        sparp__tls_ack_out(s->tls, sent);
        if (io != SPARP__IO_OK)
            return io;
    }
}

/* What was received outlives the scratch: the handshake is over, or still computing. False: no
   memory. */
static bool sparp__stream_keep_early(sparp__stream *s) {
    if (s->cipher.size == 0 || s->early.size > 0)
        return true;                    /* nothing is left, or it is there */
    if (!sparp__buf_add(s->tls->env, &s->early, s->cipher))
        return sparp__tls_fail_memory(s->tls);
    s->cipher = sparp__str_make(s->early.data, s->early.size);
    return true;
}

/* Goes on with the handshake, with what lies in s->cipher, but not for long. */
static sparp__io sparp__stream_shake(sparp__stream *s) {
    bool tired = false;
    sparp__tls_take_work(s->tls);
    for (;;) {
        sparp__io io = sparp__stream_flush(s);
        sparp__tls_state status = sparp__tls_status(s->tls);
        if (status > SPARP__TLS_OPEN)
            return SPARP__IO_FAILED;
        if (status == SPARP__TLS_OPEN || tired)
            return !sparp__stream_keep_early(s) ? SPARP__IO_FAILED
                : tired ? SPARP__IO_WAIT : SPARP__IO_OK;
        if (io != SPARP__IO_OK)
            return io;
        if (sparp__tls_is_busy(s->tls))
            sparp__tls_go_on(s->tls);
        else if (s->cipher.size == 0)
            return SPARP__IO_WAIT;
        else
            s->cipher = sparp__str_skip(s->cipher, sparp__tls_push(s->tls, s->cipher));
        tired = sparp__tls_is_busy(s->tls);
    }
}

static sparp__io sparp__stream_send_tls(sparp__stream *s, sparp__str plain, size_t *sent) {
    sparp__io io = sparp__stream_flush(s);
    while (io == SPARP__IO_OK && plain.size > 0) {
        size_t taken = sparp__tls_write(s->tls, plain);
        *sent += taken;
        plain = sparp__str_skip(plain, taken);
        io = sparp__stream_flush(s);
        if (taken == 0)
            return io == SPARP__IO_OK ? SPARP__IO_FAILED : io;
    }
    return io;
}

static sparp__io sparp__stream_next_tls(sparp__stream *s, sparp__str *plain) {
    for (;;) {
        sparp__tls_ack_in(s->tls, s->shown);
        *plain = sparp__tls_peek_in(s->tls);
        s->shown = plain->size;
        if (plain->size > 0)
            return SPARP__IO_OK;
        sparp__tls_state status = sparp__tls_status(s->tls);
        s->clean = status == SPARP__TLS_CLOSED;
        if (status != SPARP__TLS_OPEN)
            return s->clean ? SPARP__IO_EOF : SPARP__IO_FAILED;
        if (s->cipher.size == 0) {
            sparp__buf_free(s->tls->env, &s->early);
            return s->eof ? SPARP__IO_EOF : SPARP__IO_WAIT;
        }
        s->cipher = sparp__str_skip(s->cipher, sparp__tls_push(s->tls, s->cipher));
        if (sparp__stream_flush(s) == SPARP__IO_FAILED)     /* our half of a close_notify, say */
            sparp__tls_ack_out(s->tls, sparp__tls_peek_out(s->tls).size);   /* nobody listens; */
    }                                   /* the rest of the answer may be here */
}

#endif

/* Takes from `plain` what can be sent now; WAIT: there is more, here or in TLS. */
static sparp__io sparp__stream_send(sparp__stream *s, sparp__str plain, size_t *sent) {
#if SPARP__TLS
    if (s->tls != NULL)
        return sparp__stream_send_tls(s, plain, sent);
#endif
    return sparp__socket_send(s->fd, plain.data, plain.size, sent);
}

/* One read of the socket into `scratch`; for what it brings, sparp__stream_next. */
static sparp__io sparp__stream_recv(sparp__stream *s, char *scratch, size_t size, size_t *got) {
    if (s->cipher.size > 0)
        return SPARP__IO_OK;            /* that comes first */
    sparp__io io = sparp__socket_recv(s->fd, scratch, size, got);
    s->cipher = sparp__str_make(scratch, *got);
    s->eof = s->eof || io == SPARP__IO_EOF;
    return io;
}

/* The next stretch of plaintext, when the one before is used up. WAIT: read again when the
   descriptor is ready. */
static sparp__io sparp__stream_next(sparp__stream *s, sparp__str *plain) {
#if SPARP__TLS
    if (s->tls != NULL)
        return sparp__stream_next_tls(s, plain);
#endif
    *plain = s->cipher;
    s->cipher.size = 0;
    return plain->size > 0 ? SPARP__IO_OK : s->eof ? SPARP__IO_EOF : SPARP__IO_WAIT;
}

#if SPARP__TLS
/* Goes through what is not for us: tickets, say. True: nothing else is there. */
static bool sparp__stream_settle(sparp__stream *s) {
    sparp__str plain;
    return sparp__stream_next_tls(s, &plain) == SPARP__IO_WAIT;
}
#endif

/* An exchange is over. True: nothing is left over, so there can be another. */
static bool sparp__stream_end_exchange(sparp__stream *s, size_t unread) {
    if (unread > 0 || s->eof)
        return false;
#if SPARP__TLS
    if (s->tls != NULL)
        return sparp__stream_settle(s);
#endif
    return s->cipher.size == 0;
}

/* It has failed by what was said in TLS, and not by the socket: then *fault says why. */
static bool sparp__stream_has_failed(const sparp__stream *s, sparp__fault *fault) {
#if SPARP__TLS
    if (s->tls == NULL || sparp__tls_status(s->tls) != SPARP__TLS_FAILED)
        return false;
    sparp__tls_say_why(s->tls, fault);
    return true;
#else
    (void)s;
    (void)fault;
    return false;
#endif
}

/* Nothing has come, and the peer is there: the state in which a request can be sent. What TLS has
   to say to itself is nothing. */
static bool sparp__stream_is_quiet(sparp__stream *s) {
#if SPARP__TLS
    char scratch[4096];
    size_t got = 0;
    sparp__io io = SPARP__IO_OK;
    if (s->tls != NULL && !sparp__stream_settle(s))
        return false;
    for (int i = 0; s->tls != NULL && io == SPARP__IO_OK && i < 8; i++) {
        io = sparp__stream_recv(s, scratch, sizeof scratch, &got);
        if (io == SPARP__IO_OK && !sparp__stream_settle(s))
            return false;
    }
    if (s->tls != NULL)
        return io == SPARP__IO_WAIT;
#endif
    return sparp__socket_is_quiet(s->fd);
}

/* It lies where it can stay: in TLS's own buffer, or is what came early. */
static bool sparp__stream_holds(const sparp__stream *s, const char *at) {
#if SPARP__TLS
    return (s->early.data != NULL && at >= s->early.data && at < s->early.data + s->early.capacity)
        || (s->tls != NULL && sparp__tls_holds(s->tls, at));
#else
    (void)s;
    (void)at;
    return false;
#endif
}

/* Its session is there for others to resume, or will not come. */
static bool sparp__stream_has_session(const sparp__stream *s) {
#if SPARP__TLS
    return s->tls == NULL || !sparp__tls_awaits_session(s->tls);
#else
    (void)s;
    return true;
#endif
}

/* What was received, and is not used up, lies in a scratch that others will use: it moves to
   `stash`. *in is plaintext that was not parsed yet; *rest, if any, stands before it; through TLS,
   ciphertext stands behind them. False: no memory. */
static bool sparp__stream_put_aside(sparp__env *env, sparp__stream *s, sparp__buf *stash,
                                    sparp__str *in, sparp__str *rest) {
    sparp__str *parts[3];
    const char *from = NULL, *to = NULL;
    parts[0] = rest;
    parts[1] = in;
    parts[2] = &s->cipher;
    for (size_t i = 0; i < 3; i++)
        if (parts[i]->size > 0 && !sparp__stream_holds(s, parts[i]->data)) {
            from = from != NULL ? from : parts[i]->data;
            to = parts[i]->data + parts[i]->size;
        }
    size_t size = (size_t)(to - from);
    bool stashed = stash->data != NULL && from >= stash->data && from <= stash->data + stash->size;
    if (stashed) {
        memmove(stash->data, from, size);
    } else {
        stash->size = 0;
        if (!sparp__buf_append(env, stash, from, size))
            return false;
    }
    stash->size = size;
    for (size_t i = 0; i < 3; i++)
        if (parts[i]->size > 0 && !sparp__stream_holds(s, parts[i]->data))
            parts[i]->data = stash->data + (parts[i]->data - from);
    return true;
}

/* Connections that wait lend their buffers to the others. */
static void sparp__stream_rest(sparp__stream *s) {
#if SPARP__TLS
    if (s->tls != NULL && s->shown == 0)
        sparp__tls_rest(s->tls);
#else
    (void)s;
#endif
}

/* Something came with the end of the handshake: no event will tell of it. */
static bool sparp__stream_has_early(const sparp__stream *s) {
    return s->early.size > 0 && s->cipher.size > 0;
}

/* What was computed since this was last asked, in steps of some milliseconds. */
static int sparp__stream_steps(sparp__stream *s) {
#if SPARP__TLS
    return s->tls != NULL ? 1 + sparp__tls_take_work(s->tls) / 20 : 1;
#else
    (void)s;
    return 1;
#endif
}

static void sparp__stream_close(sparp__stream *s, sparp__reactor *reactor) {
#if SPARP__TLS
    if (s->tls != NULL) {
        sparp__buf_free(s->tls->env, &s->early);
        sparp__tls_close(s->tls);       /* servers forget the session of who does not say so */
        sparp__stream_flush(s);
        sparp__tls_free(s->tls);
    }
#endif
    sparp__socket_close(reactor, s->fd);
    memset(s, 0, sizeof *s);
}

static void sparp__session_free(sparp__env *env, sparp__session *session) {
#if SPARP__TLS
    sparp__tls_session_clear(env, &session->tls);
#else
    (void)env;
    (void)session;
#endif
}

/* ============================================================================================ */
/* >>dial       from a host to an open stream: look-up, race of addresses (Happy Eyeballs, RFC   */
/*              8305), CONNECT through a proxy, TLS handshake. Lives only while it connects. It   */
/*              reports what happened and leaves every decision to its caller.                   */
/*              Uses base, env, buf, url, http, resolve, route, request, reactor, socket, trust, */
/*              tls, stream.                                                                     */
/* ============================================================================================ */

#define SPARP__SCRATCH_MAX 8                    /* the most of them, see sparp__net_lend */
#define SPARP__RACE_MAX 4                       /* sockets that try to connect at one time */
#define SPARP__RACE_STEP_NS (250 * SPARP__NS_PER_MS)    /* RFC 8305 §5: head start of each */
#define SPARP__FOLLOW_NS SPARP__NS_PER_S        /* longest wait for the first TLS handshake */
#define SPARP__TUNNEL_HEAD_MAX (64 * 1024)      /* bytes of a proxy's answer to CONNECT */

typedef struct sparp__scratch {         /* zeroed: not needed so far */
    char *data;                         /* SPARP_BUFFER_SIZE bytes */
    bool  lent;                         /* somebody needs what is in there */
} sparp__scratch;

typedef struct sparp__net {             /* what all connections of an engine share */
    sparp__env     *env;
    sparp__reactor  reactor;
    sparp__resolver resolver;
#if SPARP__TLS
    sparp__trust    trust;
#endif
    char           *scratch;            /* one of those below; NULL: nothing was received so far */
    sparp__scratch  scratches[SPARP__SCRATCH_MAX];
    const sparp_options *options;       /* where to connect: see >>route */
    sparp__address  local;              /* to be bound to; size 0: any */
    uint64_t        bytes_out, bytes_in;        /* of all connections, ended or not */
    sparp__fault    fault;              /* why a connection failed: its caller copies it */
} sparp__net;

/* What stands between an origin and its connections; see >>route. */
typedef struct sparp__way {
    char       host[SPARP__HOST_MAX + 1];       /* where to connect to: the proxy, say */
    uint16_t   port;
    bool       proxied;
    sparp__str credentials;             /* "user:password" for the proxy */
    sparp__address *fixed;              /* that sparp_options.resolve gives */
    size_t     num_fixed;
} sparp__way;

/* Whom to connect to. */
typedef struct sparp__peer {
    const char     *host;
    uint16_t        port;
    bool            https;
    sparp__way     *way;                /* NULL: straight to host and port */
    sparp__session  session;            /* resumed, and replaced by a newer one */
    size_t          first;              /* of its addresses: the next dial begins with that one */
} sparp__peer;

/* CONNECT, on its way to a proxy and back. */
typedef struct sparp__tunnel {
    sparp__buf  out;
    sparp__http http;
} sparp__tunnel;

/*   RESOLVING --> CONNECTING -----------------> [FOLLOWING -->] SHAKING --> open
                      |  '--> TUNNELING ---------'                         ^
                      '-- in the clear ------------------------------------'
   From everywhere: fault, timeout, close. */
typedef enum sparp__dial_state {
    SPARP__DIAL_CLOSED,                 /* waits for nothing */
    SPARP__DIAL_RESOLVING,              /* for the addresses of its host */
    SPARP__DIAL_CONNECTING,             /* for one of the racing sockets */
    SPARP__DIAL_TUNNELING,              /* for a proxy's answer to CONNECT */
    SPARP__DIAL_FOLLOWING,              /* for the origin's first TLS handshake, to resume it */
    SPARP__DIAL_SHAKING,                /* for the next step of the TLS handshake */
    SPARP__DIAL_OPEN                    /* for nothing: the stream is its caller's */
} sparp__dial_state;

typedef enum sparp__dial_event {
    SPARP__DIAL_BUSY,                   /* nothing more until the next readiness, or `due` */
    SPARP__DIAL_DONE,                   /* OPEN: take the stream */
    SPARP__DIAL_FAILED                  /* see fault; the caller closes it */
} sparp__dial_event;

typedef struct sparp__dial {            /* zeroed: closed */
    struct sparp__dial *next;           /* among the spare ones */
    void          *owner;               /* whose it is; not looked at */
    sparp__peer   *peer;                /* somebody else's; outlives it */
    sparp__dial_state state;
    uint32_t       tag;                 /* of its descriptors: see >>reactor */
    bool           leads, wants_write;
    sparp__stream  stream;              /* from TUNNELING on */
    sparp__tunnel *tunnel;              /* while TUNNELING */
    int64_t        opened_at, resolved_at, connected_at, secured_at, active_at;
    int64_t        due;                 /* when the next address joins, or it follows no more */

    sparp__lookup *lookup;              /* pinned while connecting by name */
    sparp__link    waiter;              /* in lookup->waiters, or in session.followers */
    sparp__address literal;             /* instead of a lookup */
    const sparp__address *addresses;
    size_t         num_addresses, next_address;         /* counted from `first`, round the end */
    size_t         first;               /* where it begins; then the one that it is connected to */
    sparp__address *hooked;             /* what resolve_host() said */
    size_t         num_hooked;
    int            racing[SPARP__RACE_MAX];     /* descriptors, the oldest first */
    size_t         racing_address[SPARP__RACE_MAX];
    size_t         num_racing;
    sparp__fault   fault;
} sparp__dial;

/* NULL: straight to host and port. */
static const sparp__way *sparp__peer_way(const sparp__peer *peer) {
    return SPARP__PROXIES ? peer->way : NULL;
}

static bool sparp__peer_proxied(const sparp__peer *peer) {
    const sparp__way *way = sparp__peer_way(peer);
    return way != NULL && way->proxied;
}

/* What was begun at this address has failed: the next one begins with another. */
static void sparp__peer_avoid(sparp__peer *peer, size_t address) {
    if (peer->first == address)
        peer->first++;
}

/* False: out of memory. */
static bool sparp__net_open_scratch(sparp__net *net) {
    if (net->scratch != NULL)
        return true;
    net->scratch = (char *)sparp__env_realloc(net->env, NULL, 0, SPARP_BUFFER_SIZE);
    net->scratches[0].data = net->scratch;
    return net->scratch != NULL;
}

/* What is in the scratch now stays there, and the next bytes are received in another one, until
   sparp__net_take_back(). False: that cannot be. */
static bool sparp__net_lend(sparp__net *net) {
    size_t mine = 0, other = 0;
    while (net->scratches[mine].data != net->scratch)
        mine++;
    while (other < SPARP__SCRATCH_MAX && (other == mine || net->scratches[other].lent))
        other++;
    if (other == SPARP__SCRATCH_MAX)
        return false;
    sparp__scratch *s = &net->scratches[other];
    if (s->data == NULL)
        s->data = (char *)sparp__env_realloc(net->env, NULL, 0, SPARP_BUFFER_SIZE);
    if (s->data == NULL)
        return false;
    net->scratches[mine].lent = true;
    net->scratch = s->data;
    return true;
}

/* The one in which `data` is. */
static void sparp__net_take_back(sparp__net *net, const char *data) {
    for (size_t i = 0; i < SPARP__SCRATCH_MAX; i++)
        if ((uintptr_t)data - (uintptr_t)net->scratches[i].data < SPARP_BUFFER_SIZE)
            net->scratches[i].lent = false;
}

/* Always FAILED, so that a step can fail in one line. */
static sparp__dial_event sparp__dial_fail(sparp__dial *d, sparp_error error, int sys_error,
                                          const char *what) {
    sparp__fault_set(&d->fault, error, sys_error, "%s: %s", what,
                     sys_error != 0 ? strerror(sys_error) : sparp_error_text(error));
    return SPARP__DIAL_FAILED;
}

static sparp__dial_event sparp__dial_fail_watching(sparp__dial *d) {
    return sparp__dial_fail(d, SPARP_E_SYSTEM, errno, "watching the connection");
}

/* What an errno of a connection means. */
static sparp_error sparp__dial_error_of(int sys_error) {
    switch (sys_error) {
    case ECONNREFUSED:
        return SPARP_E_REFUSED;
    case ETIMEDOUT:
        return SPARP_E_TIMEOUT;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
        return SPARP_E_RESET;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENOENT:                        /* of a Unix socket */
    case EACCES:
    case EPERM:
    case EAFNOSUPPORT:
#ifdef EHOSTDOWN
    case EHOSTDOWN:
#endif
        return SPARP_E_UNREACHABLE;
    default:
        return sparp__socket_starved(sys_error) ? SPARP_E_OUT_OF_RESOURCES : SPARP_E_SYSTEM;
    }
}

static void sparp__dial_end_tunnel(sparp__net *net, sparp__dial *d) {
    if (!SPARP__PROXIES || d->tunnel == NULL)
        return;
    sparp__buf_free(net->env, &d->tunnel->out);
    sparp__http_free(net->env, &d->tunnel->http);
    sparp__env_free(net->env, d->tunnel, sizeof *d->tunnel);
    d->tunnel = NULL;
}

static void sparp__dial_forget_lookup(sparp__net *net, sparp__dial *d) {
    sparp__env_free(net->env, d->hooked, d->num_hooked * sizeof *d->hooked);
    d->hooked = NULL;
    d->num_hooked = 0;
    if (!SPARP__LOOKUPS || d->lookup == NULL)
        return;
    if (d->state == SPARP__DIAL_RESOLVING)
        sparp__list_remove(&d->lookup->waiters, &d->waiter);
    sparp__resolver_put(d->lookup);
    d->lookup = NULL;
}

static void sparp__dial_drop_racer(sparp__net *net, sparp__dial *d, size_t i) {
    sparp__socket_close(&net->reactor, d->racing[i]);
    d->num_racing--;
    for (; i < d->num_racing; i++) {
        d->racing[i] = d->racing[i + 1];
        d->racing_address[i] = d->racing_address[i + 1];
    }
}

/* Those that follow may go: what they can resume is there, or will not come. */
static void sparp__dial_end_leading(sparp__dial *d) {
    if (d->leads)
        d->peer->session.led = true;
    d->leads = false;
}

/* Whatever state it is in. An open stream is its caller's by now. */
static void sparp__dial_close(sparp__net *net, sparp__dial *d) {
    sparp__dial_forget_lookup(net, d);
    sparp__dial_end_tunnel(net, d);
    while (d->num_racing > 0)
        sparp__dial_drop_racer(net, d, 0);
    if (d->state == SPARP__DIAL_FOLLOWING)
        sparp__list_remove(&d->peer->session.followers, &d->waiter);
    if (d->state != SPARP__DIAL_OPEN)
        sparp__dial_end_leading(d);
    if (d->state >= SPARP__DIAL_CONNECTING && d->state < SPARP__DIAL_OPEN)
        sparp__peer_avoid(d->peer, d->first);
    if (d->state >= SPARP__DIAL_TUNNELING && d->state < SPARP__DIAL_OPEN)
        sparp__stream_close(&d->stream, &net->reactor);
    d->state = SPARP__DIAL_CLOSED;
}

static uint16_t sparp__dial_port(const sparp__dial *d) {
    const sparp__way *way = sparp__peer_way(d->peer);
    return way != NULL ? way->port : d->peer->port;
}

/* Whatever goes wrong before a proxy has let us through is told apart from the server's faults. */
static bool sparp__dial_blame_proxy(sparp__dial *d) {
    sparp_error e = d->fault.error;
    char detail[sizeof d->fault.detail];
    if (!sparp__peer_proxied(d->peer) || e == SPARP_E_OUT_OF_MEMORY
        || e == SPARP_E_OUT_OF_RESOURCES || e == SPARP_E_TIMEOUT || e == SPARP_E_PROXY_REFUSED)
        return false;
    memcpy(detail, d->fault.detail, sizeof detail);
    return sparp__fault_set(&d->fault, SPARP_E_PROXY_FAILED, d->fault.sys_error,
                            "proxy %.60s: %.80s", d->peer->way->host, detail);
}

/* An address that cannot be reached says less than one that answered "no". */
static void sparp__dial_note_failure(sparp__dial *d, size_t address, sparp_error error,
                                     int sys_error) {
    if (error == SPARP_E_UNREACHABLE && d->fault.error != SPARP_E_OK)
        return;
    char text[INET6_ADDRSTRLEN];
    bool v6 = d->addresses[address].to.any.sa_family == AF_INET6;
    const char *shown = sparp__address_text(&d->addresses[address], text, sizeof text);
    if (d->addresses[address].path != NULL)
        sparp__fault_set(&d->fault, error, sys_error, "connecting to %.100s: %s", shown,
                         strerror(sys_error));
    else
        sparp__fault_set(&d->fault, error, sys_error, "connecting to %s%s%s:%u: %s", v6 ? "[" : "",
                         shown, v6 ? "]" : "", (unsigned)sparp__dial_port(d),
                         strerror(sys_error));
    sparp__dial_blame_proxy(d);
}

/* Readiness to write is asked for only while there is something to write. */
static bool sparp__dial_want_write(sparp__net *net, sparp__dial *d, bool want) {
    if (d->wants_write == want)
        return true;
    d->wants_write = want;
    return sparp__reactor_change(&net->reactor, d->stream.fd, d->tag,
                                 SPARP__READABLE | (want ? SPARP__WRITABLE : 0u));
}

static sparp__dial_event sparp__dial_on_open(sparp__dial *d, int64_t now) {
    d->state = SPARP__DIAL_OPEN;
    d->secured_at = d->active_at = now;
    return SPARP__DIAL_DONE;
}

#if SPARP__TLS

/* One more step of the handshake, with what has been received. */
static sparp__dial_event sparp__dial_shake(sparp__net *net, sparp__dial *d, int64_t now) {
    sparp__stream *s = &d->stream;
    sparp__io io = sparp__stream_shake(s);
    int error = errno;
    if (io == SPARP__IO_OK) {
        if (sparp__stream_has_session(s))
            sparp__dial_end_leading(d);
        return sparp__dial_on_open(d, now);
    }
    if (io == SPARP__IO_FAILED && sparp__tls_status(s->tls) == SPARP__TLS_CLOSED)
        return sparp__dial_fail(d, SPARP_E_CLOSED, 0, "before the request was sent");
    if (io == SPARP__IO_FAILED && !sparp__stream_has_failed(s, &d->fault))
        return sparp__dial_fail(d, SPARP_E_TLS_HANDSHAKE, error, "TLS handshake");
    if (io == SPARP__IO_FAILED) {
        sparp__tls_session_clear(net->env, &d->peer->session.tls);      /* not again */
        return SPARP__DIAL_FAILED;
    }
    if (s->eof) {
        sparp__fault_set(&d->fault, SPARP_E_TLS_HANDSHAKE, 0,
                         "the server closed the connection in the TLS handshake");
        return SPARP__DIAL_FAILED;
    }
    bool want = sparp__tls_peek_out(s->tls).size > 0 || sparp__tls_is_busy(s->tls);
    return sparp__dial_want_write(net, d, want) ? SPARP__DIAL_BUSY : sparp__dial_fail_watching(d);
}

static sparp__dial_event sparp__dial_begin_shaking(sparp__net *net, sparp__dial *d, int64_t now) {
    sparp__session *session = &d->peer->session;
    d->leads = !session->leading;
    session->leading = true;
    d->due = SPARP__NEVER;
    d->state = SPARP__DIAL_SHAKING;
    d->stream.tls = sparp__tls_new(net->env, &net->trust, d->peer->host, &session->tls, &d->fault);
    return d->stream.tls != NULL ? sparp__dial_shake(net, d, now) : SPARP__DIAL_FAILED;
}

/* The leader is at it: wait for it, but not for long. */
static sparp__dial_event sparp__dial_follow(sparp__net *net, sparp__dial *d, int64_t now) {
    d->state = SPARP__DIAL_FOLLOWING;
    d->due = sparp__time_after(now, SPARP__FOLLOW_NS);
    sparp__list_push_back(&d->peer->session.followers, &d->waiter);
    return sparp__dial_want_write(net, d, false) ? SPARP__DIAL_BUSY : sparp__dial_fail_watching(d);
}

/* It has waited long enough. */
static sparp__dial_event sparp__dial_stop_following(sparp__net *net, sparp__dial *d, int64_t now) {
    sparp__list_remove(&d->peer->session.followers, &d->waiter);
    return sparp__dial_begin_shaking(net, d, now);
}

static sparp__dial_event sparp__dial_on_shaking(sparp__net *net, sparp__dial *d,
                                                const sparp__event *e, int64_t now) {
    size_t got = 0;
    if ((e->ready & (SPARP__READABLE | SPARP__HANGUP)) != 0 && !sparp__tls_is_busy(d->stream.tls)
        && sparp__stream_recv(&d->stream, net->scratch, SPARP_BUFFER_SIZE, &got)
               == SPARP__IO_FAILED)
        return sparp__dial_fail(d, SPARP_E_TLS_HANDSHAKE, errno, "TLS handshake");
    if (got > 0)
        d->active_at = now;
    return sparp__dial_shake(net, d, now);
}

#endif

/* There is a way to the server: TLS is next, or the request. */
static sparp__dial_event sparp__dial_on_through(sparp__net *net, sparp__dial *d, int64_t now) {
#if SPARP__TLS
    if (d->peer->https && d->peer->session.leading && !d->peer->session.led)
        return sparp__dial_follow(net, d, now);
    if (d->peer->https)
        return sparp__dial_begin_shaking(net, d, now);
#else
    (void)net;
#endif
    return sparp__dial_on_open(d, now);
}

static bool sparp__dial_build_tunnel(sparp__env *env, sparp__buf *b, const sparp__dial *d) {
    bool v6 = strchr(d->peer->host, ':') != NULL, ok = true;
    for (int i = 0; ok && i < 2; i++)   /* the target, and Host says it again */
        ok = sparp__buf_text(env, b, i == 0 ? "CONNECT " : " HTTP/1.1\r\nHost: ")
            && sparp__buf_text(env, b, v6 ? "[" : "") && sparp__buf_text(env, b, d->peer->host)
            && sparp__buf_text(env, b, v6 ? "]:" : ":") && sparp__buf_number(env, b, d->peer->port);
    ok = ok && sparp__buf_text(env, b, "\r\nUser-Agent: sparp/" SPARP_VERSION_STRING "\r\n");
    if (d->peer->way->credentials.size > 0)
        ok = ok && sparp__buf_text(env, b, "Proxy-")
            && sparp__request_add_basic(env, b, d->peer->way->credentials);
    return ok && sparp__buf_text(env, b, "\r\n");
}

/* Sends what is left of CONNECT (RFC 9110 §9.3.6). */
static sparp__dial_event sparp__dial_flush_tunnel(sparp__net *net, sparp__dial *d) {
    sparp__tunnel *t = d->tunnel;
    size_t sent = 0;
    sparp__io io = SPARP__IO_OK;
    if (t->out.size > 0)
        io = sparp__socket_send(d->stream.fd, t->out.data, t->out.size, &sent);
    if (io == SPARP__IO_FAILED) {
        sparp__dial_fail(d, sparp__dial_error_of(errno), errno, "sending CONNECT");
        sparp__dial_blame_proxy(d);
        return SPARP__DIAL_FAILED;
    }
    memmove(t->out.data, t->out.data + sent, t->out.size - sent);
    t->out.size -= sent;
    return sparp__dial_want_write(net, d, t->out.size > 0) ? SPARP__DIAL_BUSY
        : sparp__dial_fail_watching(d);
}

static sparp__dial_event sparp__dial_begin_tunnel(sparp__net *net, sparp__dial *d) {
    d->state = SPARP__DIAL_TUNNELING;
    d->tunnel = (sparp__tunnel *)sparp__env_zalloc(net->env, sizeof *d->tunnel);
    if (d->tunnel == NULL || !sparp__dial_build_tunnel(net->env, &d->tunnel->out, d)) {
        sparp__fault_memory(&d->fault);
        return SPARP__DIAL_FAILED;
    }
    sparp__http_start(net->env, &d->tunnel->http, false, SPARP__TUNNEL_HEAD_MAX);
    d->tunnel->http.is_connect_request = true;
    return sparp__dial_flush_tunnel(net, d);
}

/* The head of the proxy's answer is there. Only its status counts. */
static sparp__dial_event sparp__dial_on_tunnel(sparp__net *net, sparp__dial *d, size_t unread,
                                               int64_t now) {
    int status = d->tunnel->http.status;
    if (status >= 200 && status < 300 && unread == 0) {
        sparp__dial_end_tunnel(net, d);
        d->connected_at = now;
        return sparp__dial_on_through(net, d, now);
    }
    if (status < 300)
        sparp__fault_set(&d->fault, SPARP_E_PROXY_FAILED, 0,
                         "proxy %.60s sent bytes behind its answer to CONNECT", d->peer->way->host);
    else
        sparp__fault_set(&d->fault, status < 500 ? SPARP_E_PROXY_REFUSED : SPARP_E_PROXY_FAILED,
                         status, "proxy %.60s answered CONNECT with status %d", d->peer->way->host,
                         status);
    return SPARP__DIAL_FAILED;
}

static sparp__dial_event sparp__dial_on_tunneling(sparp__net *net, sparp__dial *d,
                                                  const sparp__event *e, int64_t now) {
    size_t got = 0;
    sparp__str in, piece;
    if ((e->ready & SPARP__WRITABLE) != 0 && d->tunnel->out.size > 0)
        return sparp__dial_flush_tunnel(net, d);
    if ((e->ready & (SPARP__READABLE | SPARP__HANGUP)) == 0)
        return SPARP__DIAL_BUSY;
    sparp__io io = sparp__socket_recv(d->stream.fd, net->scratch, SPARP_BUFFER_SIZE, &got);
    if (io == SPARP__IO_WAIT)
        return SPARP__DIAL_BUSY;
    if (io == SPARP__IO_OK) {
        d->active_at = now;
        in = sparp__str_make(net->scratch, got);
        sparp__http_event event = sparp__http_feed(net->env, &d->tunnel->http, &in, &piece);
        if (event == SPARP__HTTP_MORE)
            return SPARP__DIAL_BUSY;
        if (event == SPARP__HTTP_HEAD)
            return sparp__dial_on_tunnel(net, d, in.size, now);
        d->fault = d->tunnel->http.fault;
    } else if (io == SPARP__IO_EOF) {
        sparp__fault_set(&d->fault, SPARP_E_CLOSED, 0, "closed the connection after CONNECT");
    } else {
        sparp__dial_fail(d, sparp__dial_error_of(errno), errno, "reading the answer to CONNECT");
    }
    sparp__dial_blame_proxy(d);
    return SPARP__DIAL_FAILED;
}

/* The race is won: the others go. */
static sparp__dial_event sparp__dial_on_connected(sparp__net *net, sparp__dial *d, size_t winner,
                                                  int64_t now) {
    memset(&d->stream, 0, sizeof d->stream);
    d->stream.fd = d->racing[winner];
    d->first = d->peer->first = d->racing_address[winner];
    d->racing[winner] = d->racing[--d->num_racing];
    while (d->num_racing > 0)
        sparp__dial_drop_racer(net, d, 0);
    sparp__dial_forget_lookup(net, d);
    d->connected_at = d->active_at = now;
    d->due = SPARP__NEVER;
    d->wants_write = true;              /* as it was registered: see sparp__dial_want_write */
    if (d->peer->https && sparp__peer_proxied(d->peer))
        return sparp__dial_begin_tunnel(net, d);
    return sparp__dial_on_through(net, d, now);
}

/* Why no socket could even begin to connect to this address. */
static sparp_error sparp__dial_judge(const sparp__net *net, const sparp__address *to,
                                     int sys_error) {
    return sys_error == EADDRNOTAVAIL && to->size > 0
        && !sparp__socket_has_source(to, &net->local) ? SPARP_E_UNREACHABLE
        : sparp__dial_error_of(sys_error);
}

/* One more socket for this address; the oldest gives way if there are enough. False: it could not
   even begin, see fault. */
static bool sparp__dial_start_racer(sparp__net *net, sparp__dial *d, size_t address,
                                    sparp__io *io) {
    sparp__address to = d->addresses[address];
    sparp__address_set_port(&to, sparp__dial_port(d));
    if (d->num_racing == SPARP__RACE_MAX)
        sparp__dial_drop_racer(net, d, 0);
    int fd = sparp__socket_open(to.to.any.sa_family);
    if (fd < 0) {
        sparp__dial_note_failure(d, address, sparp__dial_error_of(errno), errno);
        return false;
    }
    if (to.path == NULL && net->local.size > 0 && !sparp__socket_bind(fd, &net->local))
        *io = SPARP__IO_FAILED;
    else
        *io = sparp__socket_connect(fd, &to);
    if (*io == SPARP__IO_FAILED
        || !sparp__reactor_add(net->env, &net->reactor, fd, d->tag,
                               SPARP__READABLE | SPARP__WRITABLE)) {
        int error = errno;
        SPARP__SYS_CLOSE(fd);
        sparp__dial_note_failure(d, address, sparp__dial_judge(net, &to, error), error);
        return false;
    }
    d->racing[d->num_racing] = fd;
    d->racing_address[d->num_racing++] = address;
    return true;
}

/* Of the family that the user wants, or is bound to. */
static bool sparp__dial_may_use(const sparp__net *net, const sparp__address *address) {
    return address->path != NULL || net->resolver.family == AF_UNSPEC
        || net->resolver.family == address->to.any.sa_family;
}

/* Lets the next address join, and the one after it if that fails at once. */
static sparp__dial_event sparp__dial_race(sparp__net *net, sparp__dial *d, int64_t now) {
    sparp__io io = SPARP__IO_WAIT;
    bool started = false;
    d->due = SPARP__NEVER;
    while (!started && d->next_address < d->num_addresses) {
        size_t next = (d->first + d->next_address++) % d->num_addresses;
        if (sparp__dial_may_use(net, &d->addresses[next]))
            started = sparp__dial_start_racer(net, d, next, &io);
    }
    if (started && io == SPARP__IO_OK)
        return sparp__dial_on_connected(net, d, d->num_racing - 1, now);
    if (d->num_racing == 0 && d->fault.error == SPARP_E_OK)
        sparp__fault_set(&d->fault, SPARP_E_UNREACHABLE, 0, "%.60s has no address that "
                         "ip_version or local_address allows", d->peer->host);
    if (d->num_racing == 0)
        return SPARP__DIAL_FAILED;
    if (d->next_address < d->num_addresses)
        d->due = sparp__time_after(now, SPARP__RACE_STEP_NS);
    return SPARP__DIAL_BUSY;
}

static sparp__dial_event sparp__dial_on_resolved(sparp__net *net, sparp__dial *d, int64_t now) {
    d->resolved_at = d->active_at = now;
    if (SPARP__LOOKUPS && d->lookup != NULL) {
        d->addresses = d->lookup->addresses;
        d->num_addresses = d->lookup->count;
        if (d->num_addresses == 0) {
            d->fault = d->lookup->fault;
            sparp__dial_blame_proxy(d);
            return SPARP__DIAL_FAILED;
        }
    }
    d->state = SPARP__DIAL_CONNECTING;
    d->first = d->peer->first = d->peer->first % d->num_addresses;
    return sparp__dial_race(net, d, now);
}

/* What resolve_host() has to say, if it is set. False: see fault. */
static bool sparp__dial_ask_hook(sparp__net *net, sparp__dial *d, const char *host) {
    sparp__address found[SPARP__DNS_MAX_ADDRESSES];
    const sparp_options *o = net->options;
    const char *said = o->resolve_host == NULL ? NULL
        : o->resolve_host(host, sparp__dial_port(d), o->user_data);
    if (said == NULL)
        return true;
    int count = sparp__route_addresses(said, found, SPARP__DNS_MAX_ADDRESSES);
    if (count <= 0)
        return count == 0
            ? sparp__fault_set(&d->fault, SPARP_E_DNS_NOT_FOUND, 0, "%.60s: resolve_host() knows "
                               "no address", host)
            : sparp__fault_set(&d->fault, SPARP_E_CALLBACK_FAILED, 0, "%.60s: resolve_host() gave "
                               "what is no address: %.40s", host, said);
    size_t size = (size_t)count * sizeof *found;
    d->hooked = (sparp__address *)sparp__env_realloc(net->env, NULL, 0, size);
    if (d->hooked == NULL)
        return sparp__fault_memory(&d->fault);
    memcpy(d->hooked, found, size);
    d->addresses = d->hooked;
    d->num_addresses = d->num_hooked = (size_t)count;
    return true;
}

/* An address that needs no look-up, if there is one: num_addresses says so. False: see fault. */
static bool sparp__dial_know_address(sparp__net *net, sparp__dial *d, const char *host) {
    const sparp__way *way = sparp__peer_way(d->peer);
    d->addresses = &d->literal;
    d->num_addresses = 1;
    if (net->options->unix_socket != NULL) {
        sparp__address_set_path(&d->literal, net->options->unix_socket);
    } else if (way != NULL && way->num_fixed > 0) {
        d->addresses = way->fixed;
        d->num_addresses = way->num_fixed;
    } else if (!sparp__address_parse(&d->literal, host)) {
        d->num_addresses = 0;
        return sparp__dial_ask_hook(net, d, host);
    }
    return true;
}

/* `d` is closed; owner, tag and peer are set. */
static sparp__dial_event sparp__dial_open(sparp__net *net, sparp__dial *d, int64_t now) {
    d->leads = d->wants_write = false;
    d->num_addresses = d->next_address = d->num_racing = 0;
    d->opened_at = d->resolved_at = d->connected_at = d->secured_at = d->active_at = now;
    d->due = SPARP__NEVER;
    sparp__fault_clear(&d->fault);
#if SPARP__TLS
    if (d->peer->https && !sparp__trust_load(net->env, &net->trust)) {
        d->fault = net->trust.fault;
        return SPARP__DIAL_FAILED;
    }
#endif
    const sparp__way *way = sparp__peer_way(d->peer);
    const char *host = way != NULL ? way->host : d->peer->host;
    if (!sparp__net_open_scratch(net)) {
        sparp__fault_memory(&d->fault);
        return SPARP__DIAL_FAILED;
    }
    if (!sparp__dial_know_address(net, d, host))
        return SPARP__DIAL_FAILED;
    if (d->num_addresses > 0)
        return sparp__dial_on_resolved(net, d, now);
    if (!SPARP__LOOKUPS)
        return sparp__dial_fail(d, SPARP_E_DNS_NOT_FOUND, 0, "built with SPARP_NO_LOOKUPS");
    d->lookup = sparp__resolver_get(net->env, &net->resolver, host, now);
    if (d->lookup == NULL) {
        sparp__fault_memory(&d->fault);
        return SPARP__DIAL_FAILED;
    }
    if (!d->lookup->pending)
        return sparp__dial_on_resolved(net, d, now);
    d->state = SPARP__DIAL_RESOLVING;
    sparp__list_push_back(&d->lookup->waiters, &d->waiter);
    return SPARP__DIAL_BUSY;
}

/* Moves all that it measures its time from. */
static void sparp__dial_postpone(sparp__dial *d, int64_t ns) {
    d->opened_at += ns;
    d->resolved_at += ns;
    d->connected_at += ns;
    d->active_at += ns;
    d->due = sparp__time_after(d->due, ns);
}

/* How much of the time since it was last asked its name has waited in the queue for a thread. Our
   queues eat no timeout: its own clocks are put forward here, the attempt's by the caller. */
static int64_t sparp__dial_queued(sparp__dial *d, int64_t now) {
    int64_t queued = !SPARP__LOOKUPS || d == NULL || d->state != SPARP__DIAL_RESOLVING ? 0
        : sparp__min(now, sparp__resolver_started(d->lookup, now)) - d->opened_at;
    if (queued > 0)
        sparp__dial_postpone(d, queued);
    return sparp__max(0, queued);
}

/* Its lookup has ended. */
static sparp__dial_event sparp__dial_resume(sparp__net *net, sparp__dial *d, int64_t now) {
    sparp__list_remove(&d->lookup->waiters, &d->waiter);
    d->state = SPARP__DIAL_CLOSED;
    return sparp__dial_on_resolved(net, d, now);
}

static sparp__dial_event sparp__dial_on_racer(sparp__net *net, sparp__dial *d, int fd,
                                              int64_t now) {
    for (size_t i = 0; i < d->num_racing; i++) {
        if (d->racing[i] != fd)
            continue;
        if (sparp__socket_connected(fd))
            return sparp__dial_on_connected(net, d, i, now);
        int error = errno;
        sparp__dial_note_failure(d, d->racing_address[i], sparp__dial_error_of(error), error);
        sparp__dial_drop_racer(net, d, i);
        return sparp__dial_race(net, d, now);
    }
    return SPARP__DIAL_BUSY;
}

/* One of its descriptors is ready. */
static sparp__dial_event sparp__dial_advance(sparp__net *net, sparp__dial *d,
                                             const sparp__event *e, int64_t now) {
    if (d->state == SPARP__DIAL_CONNECTING)
        return sparp__dial_on_racer(net, d, e->fd, now);
    if (d->state < SPARP__DIAL_TUNNELING || d->stream.fd != e->fd)
        return SPARP__DIAL_BUSY;        /* it lost the race, and is gone */
    if (SPARP__PROXIES && d->state == SPARP__DIAL_TUNNELING)
        return sparp__dial_on_tunneling(net, d, e, now);
#if SPARP__TLS
    if (d->state == SPARP__DIAL_SHAKING)
        return sparp__dial_on_shaking(net, d, e, now);
#endif
    if (d->state == SPARP__DIAL_FOLLOWING && (e->ready & (SPARP__READABLE | SPARP__HANGUP)) != 0)
        return sparp__dial_fail(d, SPARP_E_TLS_HANDSHAKE, 0, "before the handshake");
    return SPARP__DIAL_BUSY;
}

/* `due` has come. */
static sparp__dial_event sparp__dial_on_due(sparp__net *net, sparp__dial *d, int64_t now) {
#if SPARP__TLS
    if (d->state == SPARP__DIAL_FOLLOWING)
        return sparp__dial_stop_following(net, d, now);
#endif
    return d->state == SPARP__DIAL_CONNECTING ? sparp__dial_race(net, d, now) : SPARP__DIAL_BUSY;
}

static sparp_phase sparp__dial_phase(const sparp__dial *d) {
    switch (d->state) {
    case SPARP__DIAL_CLOSED:
    case SPARP__DIAL_RESOLVING:
        return SPARP_PHASE_DNS;
    case SPARP__DIAL_CONNECTING:
    case SPARP__DIAL_TUNNELING:
        return SPARP_PHASE_CONNECT;
    default:
        return SPARP_PHASE_TLS;
    }
}

/* How long each phase has taken so far: look-up, connect, TLS; nanoseconds. */
static void sparp__dial_times(const sparp__dial *d, int64_t now, int64_t *ns) {
    bool resolved = d->state >= SPARP__DIAL_CONNECTING;
    ns[SPARP_PHASE_DNS] = (resolved ? d->resolved_at : now) - d->opened_at;
    ns[SPARP_PHASE_CONNECT] = !resolved ? 0
        : (d->state >= SPARP__DIAL_FOLLOWING ? d->connected_at : now) - d->resolved_at;
    ns[SPARP_PHASE_TLS] = d->state < SPARP__DIAL_SHAKING ? 0
        : (d->state == SPARP__DIAL_OPEN ? d->secured_at : now) - d->connected_at;
}

/* ============================================================================================ */
/* >>conn       one exchange after another on an open stream: send, read; then idle, or closed.  */
/*              It reports what happened and leaves every decision to its caller.                */
/*              Uses base, env, buf, heap, http, request, reactor, socket, stream, dial.         */
/* ============================================================================================ */

#define SPARP__ASK_NS SPARP__NS_PER_S           /* longest wait for 100 Continue */
#define SPARP__GIVE_MAX (256 * 1024)            /* bytes of a streamed body sent in one go */
#define SPARP__CONN_INDEX_BITS 20               /* of a tag; the rest is the generation */

/*   CLOSED --open--> DIALLING --> OPEN --send--> SENDING --> READING
       ^                          ^                           |
       |                          '---- response complete ----'
       '-- from everywhere: fault, timeout, close */
typedef enum sparp__conn_state {
    SPARP__CONN_CLOSED,                 /* waits for nothing */
    SPARP__CONN_DIALLING,               /* for its dial */
    SPARP__CONN_OPEN,                   /* for a request: fresh, or idle in the pool */
    SPARP__CONN_SENDING,                /* for room to send the rest; reads what comes early */
    SPARP__CONN_READING                 /* for the response */
} sparp__conn_state;

typedef enum sparp__conn_event {
    SPARP__CONN_BUSY,                   /* nothing more until the next readiness */
    SPARP__CONN_CONNECTED,              /* now OPEN: give it a request */
    SPARP__CONN_WANTS,                  /* more of the body, by sparp__conn_give */
    SPARP__CONN_HEAD,                   /* ask for more with sparp__conn_next, as after PIECE */
    SPARP__CONN_PIECE,
    SPARP__CONN_DONE,                   /* response complete, OPEN again */
    SPARP__CONN_FAILED                  /* see net->fault; the caller closes it */
} sparp__conn_event;

/* What every exchange touches stands first and together: with a thousand connections each piece
   of memory that is looked at comes from far away. */
typedef struct sparp__conn {            /* zeroed: closed */
    sparp__timer timer;                 /* of whoever uses it: attempt, dial or idle */
    sparp__conn_state state;
    uint32_t     tag;                   /* index and generation: see >>reactor */
    sparp__stream stream;               /* once OPEN */
    void        *user;                  /* the task that uses it, or NULL: see >>engine */
    bool         wants_write, leads;
    bool         asks;                  /* `queued` waits for 100 Continue, until `due` */
    bool         more;                  /* behind `out` and `queued`, by sparp__conn_give */
    bool         muted, unfed;          /* told to wait by the user: reading; writing */
    bool         answered;              /* a byte of the response has arrived */
    sparp__http *http;                  /* the response; NULL: nothing was read so far */
    sparp__str   in;                    /* received, not parsed yet, wherever that was */
    char        *rest;                  /* NULL, or where the rest of a body goes instead: */
    size_t       rest_size;             /* so many bytes, and nothing behind them */
    sparp__str   out;                   /* what is left to send */
    sparp__str   queued;                /* and what comes behind it */
    size_t       given;                 /* bytes sent since it had to wait */
    uint64_t     bytes_out, bytes_in;   /* of this exchange */
    int64_t      started_at, sent_at, first_at, active_at;
    int64_t      free_at;               /* since when nothing of ours has held the peer up */
    int64_t      due;                   /* when it waits for 100 Continue no more */
    int64_t      speed_at;              /* since when min_bytes_per_second is counted, */
    uint64_t     speed_bytes;           /* and how many bytes there had been then */
    int          send_dead;             /* no more is sent: errno, or -1: none is needed */
    sparp__dial *dial;                  /* while DIALLING */
    uint64_t     exchanges;             /* completed on this connection */
    sparp__peer *peer;                  /* in the pool whose it is: see >>pool */
    sparp__link  idle, idle_all;        /* in the pool */
    uint64_t     idle_turn;             /* since when: see sparp__engine.turn */

    int64_t      dial_ns[SPARP_PHASE_TLS + 1];      /* how long that took, by phase */
    sparp__buf   stash;                 /* while muted: what lay in the scratch */
    sparp__link  suspended;             /* in the engine's list, while muted or unfed */
    size_t       address;               /* which of its peer's it leads to */
} sparp__conn;

static sparp__conn_event sparp__conn_fail(sparp__net *net, sparp_error error, int sys_error,
                                          const char *what) {
    sparp__fault_set(&net->fault, error, sys_error, "%s: %s", what,
                     sys_error != 0 ? strerror(sys_error) : sparp_error_text(error));
    return SPARP__CONN_FAILED;
}

static sparp__conn_event sparp__conn_fail_watching(sparp__net *net) {
    return sparp__conn_fail(net, SPARP_E_SYSTEM, errno, "watching the connection");
}

/* Those that follow may go: see sparp__dial_end_leading. */
static void sparp__conn_end_leading(sparp__conn *c) {
    if (c->leads)
        c->peer->session.led = true;
    c->leads = false;
}

/* Its dial is its caller's. */
static void sparp__conn_close(sparp__net *net, sparp__conn *c) {
    if (c->state >= SPARP__CONN_OPEN)
        sparp__stream_close(&c->stream, &net->reactor);
    c->state = SPARP__CONN_CLOSED;
    c->http = NULL;
    c->in.size = c->out.size = c->queued.size = 0;
    c->asks = c->more = c->muted = c->unfed = false;
    sparp__buf_free(net->env, &c->stash);
}

/* Readiness to write is asked for only while there is something to write. */
static bool sparp__conn_want_write(sparp__net *net, sparp__conn *c, bool want) {
    if (c->wants_write == want)
        return true;
    c->wants_write = want;
    if (c->muted)
        return true;                    /* see sparp__conn_unmute */
    return sparp__reactor_change(&net->reactor, c->stream.fd, c->tag,
                                 SPARP__READABLE | (want ? SPARP__WRITABLE : 0u));
}

/* `c` is closed; its dial may begin. */
static void sparp__conn_open(sparp__conn *c, sparp__dial *d) {
    c->state = SPARP__CONN_DIALLING;
    c->dial = d;
    c->leads = c->answered = false;
    c->send_dead = 0;
    c->exchanges = c->bytes_in = c->bytes_out = 0;
    c->started_at = c->sent_at = c->first_at = 0;
}

/* Its dial is through: what it has opened is the connection's. */
static void sparp__conn_on_dialled(sparp__conn *c, int64_t now) {
    sparp__dial *d = c->dial;
    c->state = SPARP__CONN_OPEN;
    c->stream = d->stream;
    c->wants_write = d->wants_write;
    c->leads = d->leads;
    c->address = d->first;
    c->active_at = now;
    sparp__dial_times(d, now, c->dial_ns);
}

/* The sending side is through, or dead: what remains is to read. */
static void sparp__conn_end_sending(sparp__conn *c, int64_t now) {
    c->state = SPARP__CONN_READING;
    c->asks = c->more = false;
    c->out.size = c->queued.size = 0;
    c->sent_at = now;
}

/* `out` is sent: what now? */
static sparp__conn_event sparp__conn_after_out(sparp__conn *c, int64_t now) {
    if (c->queued.size > 0 && !c->asks) {
        c->out = c->queued;
        c->queued.size = 0;
    }
    if (c->out.size > 0 || c->asks)
        return SPARP__CONN_BUSY;
    if (!c->more)
        sparp__conn_end_sending(c, now);
    else if (c->given < SPARP__GIVE_MAX)
        return SPARP__CONN_WANTS;
    return SPARP__CONN_BUSY;
}

/* A dead sending side does not end the exchange: the answer that explains it (413, say) may
   already have arrived. */
static sparp__conn_event sparp__conn_flush(sparp__net *net, sparp__conn *c, int64_t now) {
    sparp__conn_event event = SPARP__CONN_BUSY;
    sparp__io io = SPARP__IO_OK;
    while (c->state == SPARP__CONN_SENDING && io == SPARP__IO_OK && event == SPARP__CONN_BUSY) {
        size_t sent = 0;
        if (c->out.size > 0 || c->stream.tls != NULL)
            io = sparp__stream_send(&c->stream, c->out, &sent);
        if (io == SPARP__IO_FAILED && sparp__stream_has_failed(&c->stream, &net->fault))
            return SPARP__CONN_FAILED;
        if (io == SPARP__IO_FAILED) {
            c->send_dead = errno;
            sparp__conn_end_sending(c, now);
        }
        c->out = sparp__str_skip(c->out, sent);
        c->bytes_out += sent;
        net->bytes_out += sent;
        c->given += sent;
        if (sent > 0)
            c->active_at = now;
        if (io != SPARP__IO_OK || c->out.size > 0)
            break;
        event = sparp__conn_after_out(c, now);
        if (c->asks || c->given >= SPARP__GIVE_MAX)
            break;
    }
    if (event != SPARP__CONN_BUSY)
        return event;
    bool want = (c->state == SPARP__CONN_SENDING && (!c->asks || c->out.size > 0
                                                     || io == SPARP__IO_WAIT))
        || (sparp__stream_has_early(&c->stream) && !c->muted);
    if (!sparp__conn_want_write(net, c, want))
        return sparp__conn_fail_watching(net);
    if (c->state == SPARP__CONN_READING)
        sparp__stream_rest(&c->stream);
    return SPARP__CONN_BUSY;
}

/* Sends a request over an OPEN connection. It must stay until the exchange ends. */
static sparp__conn_event sparp__conn_send(sparp__net *net, sparp__conn *c,
                                          const sparp__request *r, int64_t now) {
    c->state = SPARP__CONN_SENDING;
    c->more = r->read_body != NULL;
    c->asks = r->expects;
    c->out = sparp__str_make(r->image.data, r->expects ? r->head_size : r->wire_size);
    c->queued = sparp__str_make(r->image.data + r->head_size,
                                r->expects ? r->wire_size - r->head_size : 0);
    c->due = c->asks ? sparp__time_after(now, SPARP__ASK_NS) : SPARP__NEVER;
    c->in.size = c->given = 0;
    c->http = NULL;
    c->bytes_in = c->bytes_out = c->speed_bytes = 0;
    c->answered = false;
    c->started_at = c->sent_at = c->active_at = c->free_at = c->speed_at = now;
    c->first_at = 0;
    return sparp__conn_flush(net, c, now);
}

/* More of a streamed body, after WANTS; it must stay until the next WANTS. */
static sparp__conn_event sparp__conn_give(sparp__net *net, sparp__conn *c, sparp__str piece,
                                          bool last, int64_t now) {
    c->out = piece;
    c->more = !last;
    return sparp__conn_flush(net, c, now);
}

/* The body need not wait any more: 100 has come, or nothing for a while (RFC 9110 §10.1.1). */
static sparp__conn_event sparp__conn_go_ahead(sparp__net *net, sparp__conn *c, int64_t now) {
    c->asks = false;
    c->free_at = now;
    c->due = SPARP__NEVER;
    return sparp__conn_flush(net, c, now);
}

/* There is nothing to give now: the user will say when. */
static sparp__conn_event sparp__conn_unfeed(sparp__net *net, sparp__conn *c) {
    c->unfed = true;
    return sparp__conn_want_write(net, c, false) ? SPARP__CONN_BUSY
        : sparp__conn_fail_watching(net);
}

/* No reading for now. What lies in the scratch, which others use, is put aside; *rest is a part
   of what was handed out last, and may be in there, too. */
static sparp__conn_event sparp__conn_mute(sparp__net *net, sparp__conn *c, sparp__str *rest) {
    if (!sparp__stream_put_aside(net->env, &c->stream, &c->stash, &c->in, rest)) {
        sparp__fault_memory(&net->fault);
        return SPARP__CONN_FAILED;
    }
    if (!c->muted)
        sparp__reactor_mute(&net->reactor, c->stream.fd);
    c->muted = true;
    return SPARP__CONN_BUSY;
}

/* The user is ready again. False: the reactor is not, see net->fault. */
static bool sparp__conn_unmute(sparp__net *net, sparp__conn *c, int64_t now) {
    c->muted = false;
    c->active_at = now;
    return sparp__reactor_add(net->env, &net->reactor, c->stream.fd, c->tag,
                              SPARP__READABLE | (c->wants_write ? SPARP__WRITABLE : 0u))
        || sparp__conn_fail_watching(net) != SPARP__CONN_FAILED;
}

static sparp__conn_event sparp__conn_on_eof(sparp__net *net, sparp__conn *c) {
    const sparp__stream *s = &c->stream;
    if (s->tls != NULL && !s->clean && c->http->state == SPARP__HTTP_UNTIL_EOF) {
        sparp__fault_set(&net->fault, SPARP_E_TRUNCATED, 0,
                         "peer closed the connection without TLS saying so: the body may be cut");
        return SPARP__CONN_FAILED;
    }
    if (sparp__http_feed_eof(c->http) == SPARP__HTTP_COMPLETE) {
        c->state = SPARP__CONN_OPEN;
        return SPARP__CONN_DONE;
    }
    if (c->send_dead > 0 && !c->answered)
        return sparp__conn_fail(net, sparp__dial_error_of(c->send_dead), c->send_dead,
                                "sending the request");
    net->fault = c->http->fault;
    return SPARP__CONN_FAILED;
}

/* Reading failed: by the socket's errno, or by TLS. */
static sparp__conn_event sparp__conn_on_read_error(sparp__net *net, sparp__conn *c, int error) {
    bool until_eof = c->http->state == SPARP__HTTP_UNTIL_EOF;
    if (sparp__stream_has_failed(&c->stream, &net->fault))
        return SPARP__CONN_FAILED;
    return sparp__conn_fail(net, until_eof ? SPARP_E_TRUNCATED : sparp__dial_error_of(error), error,
                            until_eof ? "reading the body" : "reading the response");
}

/* The parser has seen the last byte: can there be another exchange? RFC 9112 §9.3: what is neither
   sent nor read to its end cannot be used again. */
static sparp__conn_event sparp__conn_on_complete(sparp__conn *c) {
    if (c->state == SPARP__CONN_SENDING || c->send_dead != 0
        || !sparp__stream_end_exchange(&c->stream, c->in.size))
        c->http->keep_alive = false;
    c->state = SPARP__CONN_OPEN;
    c->exchanges++;
    return SPARP__CONN_DONE;
}

/* The first byte of the answer is not there: interim responses are none. */
static bool sparp__conn_waits(const sparp__conn *c) {
    return !c->answered || (c->http != NULL && sparp__http_waits(c->http));
}

/* What the parser gets now is, as far as we know, the answer itself. */
static void sparp__conn_note_first(sparp__conn *c) {
    c->first_at = c->free_at = c->active_at;
    c->http->skipped = false;
}

/* What has been received, one event at a time. A piece points into a buffer of ours. */
static sparp__conn_event sparp__conn_next(sparp__net *net, sparp__conn *c, sparp__str *piece) {
    for (;;) {
        sparp__http_event event = sparp__http_feed(net->env, c->http, &c->in, piece);
        if (c->http->skipped)
            sparp__conn_note_first(c);
        switch (event) {
        case SPARP__HTTP_HEAD:
            if (c->asks) {              /* the answer is no, or does not need the body */
                c->send_dead = -1;
                sparp__conn_end_sending(c, c->active_at);
            }
            return SPARP__CONN_HEAD;
        case SPARP__HTTP_PIECE:
            return SPARP__CONN_PIECE;
        case SPARP__HTTP_COMPLETE:
            return sparp__conn_on_complete(c);
        case SPARP__HTTP_FAILED:
            net->fault = c->http->fault;
            return SPARP__CONN_FAILED;
        default:
            break;
        }
        switch (sparp__stream_next(&c->stream, &c->in)) {
        case SPARP__IO_OK:
            if (sparp__conn_waits(c))
                sparp__conn_note_first(c);
            c->answered = true;
            sparp__conn_end_leading(c);
            continue;
        case SPARP__IO_WAIT:
            if (sparp__stream_has_session(&c->stream))
                sparp__conn_end_leading(c);
            if (c->asks && c->http->told_continue)
                return sparp__conn_go_ahead(net, c, c->active_at);
            if (c->state == SPARP__CONN_READING)
                sparp__stream_rest(&c->stream);
            return SPARP__CONN_BUSY;
        case SPARP__IO_EOF:
            return sparp__conn_on_eof(net, c);
        default:
            return sparp__conn_on_read_error(net, c, errno);
        }
    }
}

/* A short read means that the socket is drained: no second call to hear EAGAIN. After a full
   one the reactor, which is level-triggered, comes back to it when the others had their turn. */
static sparp__conn_event sparp__conn_read(sparp__net *net, sparp__conn *c, int64_t now,
                                          sparp__str *piece) {
    size_t got = 0;
    bool rest = c->rest_size > 0;
    sparp__io io = sparp__stream_recv(&c->stream, rest ? c->rest : net->scratch,
                                      rest ? c->rest_size : SPARP_BUFFER_SIZE, &got);
    if (rest) {
        c->rest += got;
        c->rest_size -= got;
    }
    if (io == SPARP__IO_WAIT)
        return SPARP__CONN_BUSY;
    if (io == SPARP__IO_FAILED)
        return sparp__conn_on_read_error(net, c, errno);
    if (got > 0) {
        c->bytes_in += got;
        net->bytes_in += got;
        c->active_at = now;
    }
    return sparp__conn_next(net, c, piece);
}

/* It may send or read: `http` is where the response goes. */
static sparp__conn_event sparp__conn_advance(sparp__net *net, sparp__conn *c,
                                             const sparp__event *e, int64_t now,
                                             sparp__str *piece) {
    sparp__conn_event event = SPARP__CONN_BUSY;
    if (c->state == SPARP__CONN_SENDING && (e->ready & SPARP__WRITABLE) != 0) {
        c->given = 0;
        event = sparp__conn_flush(net, c, now);
    }
    bool early = sparp__stream_has_early(&c->stream);
    if (event == SPARP__CONN_BUSY
        && (early || (e->ready & (SPARP__READABLE | SPARP__HANGUP)) != 0))
        event = sparp__conn_read(net, c, now, piece);
    if (early && c->state == SPARP__CONN_READING && !c->muted
        && !sparp__conn_want_write(net, c, false))
        return sparp__conn_fail_watching(net);
    return event;
}

/* Whose bytes? None, while names are looked up and sockets race: their events tell all. */
static int sparp__conn_fd(const sparp__conn *c) {
    return c->dial == NULL ? c->stream.fd
        : c->dial->state >= SPARP__DIAL_TUNNELING ? c->dial->stream.fd : -1;
}

/* Has more arrived than was read? */
static bool sparp__conn_has_more(const sparp__conn *c) {
    int fd = sparp__conn_fd(c);
    return !c->muted && fd >= 0 && !sparp__socket_is_quiet(fd);
}

static sparp_phase sparp__conn_phase(const sparp__conn *c) {
    if (c->state == SPARP__CONN_DIALLING)
        return sparp__dial_phase(c->dial);
    if (c->state == SPARP__CONN_CLOSED)
        return SPARP_PHASE_DNS;
    if (c->state <= SPARP__CONN_SENDING)
        return SPARP_PHASE_SEND;
    return sparp__conn_waits(c) ? SPARP_PHASE_FIRST_BYTE : SPARP_PHASE_BODY;
}

/* ============================================================================================ */
/* >>origin     scheme, host and port: the key under which is found what concerns one server.    */
/*              Uses base, env.                                                                  */
/* ============================================================================================ */

typedef struct sparp__origin {          /* stands first in what is found by it */
    struct sparp__origin *chain;        /* in its hash bucket */
    char       *host;                   /* stands behind the whole struct; lower case */
    uint32_t    hash;
    uint16_t    port;
    bool        https;
} sparp__origin;

typedef struct sparp__origins {         /* zeroed, then opened */
    sparp__origin **table;
    sparp__origin  *last;               /* found last: nearly always the one that is asked for */
    size_t          num_buckets, count; /* buckets: a power of two */
    size_t          entry_size;         /* of the structs that begin with an origin */
} sparp__origins;

static bool sparp__origins_resize(sparp__env *env, sparp__origins *os, size_t num_buckets) {
    sparp__origin **table =
        (sparp__origin **)sparp__env_zalloc(env, num_buckets * sizeof *table);
    if (table == NULL)
        return false;
    for (size_t i = 0; i < os->num_buckets; i++)
        for (sparp__origin *o = os->table[i], *next; o != NULL; o = next) {
            next = o->chain;
            o->chain = table[o->hash & (num_buckets - 1)];
            table[o->hash & (num_buckets - 1)] = o;
        }
    sparp__env_free(env, os->table, os->num_buckets * sizeof *os->table);
    os->table = table;
    os->num_buckets = num_buckets;
    return true;
}

static bool sparp__origins_open(sparp__env *env, sparp__origins *os, size_t entry_size) {
    os->entry_size = entry_size;
    return sparp__origins_resize(env, os, 64);
}

static bool sparp__origin_is(const sparp__origin *o, const char *host, uint16_t port,
                             bool https) {
    return o->port == port && o->https == https && strcmp(o->host, host) == 0;
}

static sparp__origin *sparp__origins_find(sparp__env *env, sparp__origins *os, const char *host,
                                          uint16_t port, bool https) {
    uint32_t hash = sparp__hash(sparp__str_of(host), (uint32_t)port << 1 | (https ? 1u : 0u));
    sparp__origin *o = os->table[hash & (os->num_buckets - 1)];
    for (; o != NULL; o = o->chain)
        if (o->hash == hash && sparp__origin_is(o, host, port, https))
            return os->last = o;
    if (os->count >= os->num_buckets)
        sparp__origins_resize(env, os, os->num_buckets * 2);    /* failing is only slower */
    size_t size = strlen(host) + 1;
    o = (sparp__origin *)sparp__env_zalloc(env, os->entry_size + size);
    if (o == NULL)
        return NULL;
    o->host = (char *)o + os->entry_size;
    memcpy(o->host, host, size);
    o->hash = hash;
    o->port = port;
    o->https = https;
    o->chain = os->table[hash & (os->num_buckets - 1)];
    os->table[hash & (os->num_buckets - 1)] = o;
    os->count++;
    return os->last = o;
}

/* The entry, if it is new zeroed but for its key. NULL: out of memory. */
static sparp__origin *sparp__origins_get(sparp__env *env, sparp__origins *os, const char *host,
                                         uint16_t port, bool https) {
    if (os->last != NULL && sparp__origin_is(os->last, host, port, https))
        return os->last;
    return sparp__origins_find(env, os, host, port, https);
}

static void sparp__origins_remove(sparp__env *env, sparp__origins *os, sparp__origin *o) {
    sparp__origin **at = &os->table[o->hash & (os->num_buckets - 1)];
    while (*at != o)
        at = &(*at)->chain;
    *at = o->chain;
    os->count--;
    if (os->last == o)
        os->last = NULL;
    sparp__env_free(env, o, os->entry_size + strlen(o->host) + 1);
}

/* One of those that are left, to be removed; NULL: none. *bucket begins at 0. */
static sparp__origin *sparp__origins_next(const sparp__origins *os, size_t *bucket) {
    while (*bucket < os->num_buckets && os->table[*bucket] == NULL)
        ++*bucket;
    return *bucket < os->num_buckets ? os->table[*bucket] : NULL;
}

static void sparp__origins_close(sparp__env *env, sparp__origins *os) {
    sparp__env_free(env, os->table, os->num_buckets * sizeof *os->table);
    memset(os, 0, sizeof *os);
}

/* ============================================================================================ */
/* >>pool       connections by origin. The idle are used last in, first out: the few that        */
/*              suffice stay warm, the rest grow old and close.                                  */
/*              Uses base, env, origin, stream, dial, conn.                                      */
/* ============================================================================================ */

#define SPARP__IDLE_NS (15 * SPARP__NS_PER_S)       /* if the server does not say */
#define SPARP__IDLE_MAX_S 60                        /* if it does */
#define SPARP__POOL_MAX_UNUSED 256      /* origins that are remembered for their TLS sessions */

typedef struct sparp__pool {            /* of one origin */
    sparp__origin origin;               /* first: see >>origin */
    sparp__peer   peer;                 /* whom its connections lead to */
    sparp__list   idle;                 /* of conns, the last used first */
    size_t        users;                /* flights and connections */
    sparp__link   unused;               /* in sparp__pools.unused, while there are none */
} sparp__pool;

typedef struct sparp__pools {           /* zeroed, then sparp__pools_open() */
    sparp__origins origins;
    sparp__list    idle;                /* all idle connections, the oldest first */
    sparp__list    unused;              /* the longest unused first */
} sparp__pools;

static bool sparp__pools_open(sparp__env *env, sparp__pools *ps) {
    sparp__list_init(&ps->idle);
    sparp__list_init(&ps->unused);
    return sparp__origins_open(env, &ps->origins, sizeof(sparp__pool));
}

static void sparp__pools_forget(sparp__env *env, sparp__pools *ps, sparp__pool *p) {
    sparp__way *way = p->peer.way;
    sparp__session_free(env, &p->peer.session);
    if (way != NULL)
        sparp__env_free(env, way->fixed, way->num_fixed * sizeof *way->fixed);
    sparp__env_free(env, way, sizeof *way);
    sparp__origins_remove(env, &ps->origins, &p->origin);
}

/* After the last connection has gone. */
static void sparp__pools_close(sparp__env *env, sparp__pools *ps) {
    size_t bucket = 0;
    sparp__origin *o;
    while ((o = sparp__origins_next(&ps->origins, &bucket)) != NULL)
        sparp__pools_forget(env, ps, SPARP__OWNER(sparp__pool, origin, o));
    sparp__origins_close(env, &ps->origins);
}

/* Held until sparp__pools_put. NULL: out of memory. */
static sparp__pool *sparp__pools_get(sparp__env *env, sparp__pools *ps, const char *host,
                                     uint16_t port, bool https) {
    sparp__origin *o = sparp__origins_get(env, &ps->origins, host, port, https);
    if (o == NULL)
        return NULL;
    sparp__pool *p = SPARP__OWNER(sparp__pool, origin, o);
    if (p->peer.host == NULL) {
        p->peer.host = o->host;
        p->peer.port = port;
        p->peer.https = https;
        sparp__list_init(&p->idle);
        sparp__list_init(&p->peer.session.followers);
    } else if (p->users == 0) {
        sparp__list_remove(&ps->unused, &p->unused);
    }
    p->users++;
    return p;
}

/* One that nobody uses is forgotten when many others are. */
static void sparp__pools_put(sparp__env *env, sparp__pools *ps, sparp__pool *p) {
    if (--p->users > 0)
        return;
    sparp__list_push_back(&ps->unused, &p->unused);
    if (ps->unused.count > SPARP__POOL_MAX_UNUSED)
        sparp__pools_forget(env, ps, SPARP__OWNER(sparp__pool, unused,
                                                  sparp__list_pop_front(&ps->unused)));
}

static sparp__pool *sparp__pool_of(const sparp__conn *c) {
    return SPARP__OWNER(sparp__pool, peer, c->peer);
}

/* When a connection that becomes idle now is too old to be used: a second before the server
   says it closes it. 0: it does not even begin. */
static int64_t sparp__pool_expiry(int keep_alive_s, int64_t now) {
    if (keep_alive_s < 0)
        return now + SPARP__IDLE_NS;
    int s = keep_alive_s > SPARP__IDLE_MAX_S ? SPARP__IDLE_MAX_S : keep_alive_s - 1;
    return s > 0 ? now + s * SPARP__NS_PER_S : 0;
}

static void sparp__pools_add_idle(sparp__pools *ps, sparp__conn *c) {
    sparp__list_push_front(&sparp__pool_of(c)->idle, &c->idle);
    sparp__list_push_back(&ps->idle, &c->idle_all);
}

static void sparp__pools_remove_idle(sparp__pools *ps, sparp__conn *c) {
    sparp__list_remove(&sparp__pool_of(c)->idle, &c->idle);
    sparp__list_remove(&ps->idle, &c->idle_all);
}

/* The connection used last, no longer idle; NULL: there is none. */
static sparp__conn *sparp__pools_take_idle(sparp__pools *ps, const sparp__pool *p) {
    if (p->idle.count == 0)
        return NULL;
    sparp__conn *c = SPARP__OWNER(sparp__conn, idle, p->idle.ring.next);
    sparp__pools_remove_idle(ps, c);
    return c;
}

static sparp__conn *sparp__pools_oldest(const sparp__pools *ps) {
    return ps->idle.count > 0 ? SPARP__OWNER(sparp__conn, idle_all, ps->idle.ring.next) : NULL;
}

/* ============================================================================================ */
/* >>judge      what an answer or a failure means: verdicts, pauses, redirects, Retry-After.     */
/*              Pure. Uses base, env, url, http.                                                 */
/* ============================================================================================ */

typedef enum sparp__cause {             /* of a failed attempt; semantics of the retry limits */
    SPARP__CAUSE_SOFT_FAIL,
    SPARP__CAUSE_TIMEOUT,
    SPARP__CAUSE_TRANSPORT,
    SPARP__CAUSE_LOCAL                  /* never tried again */
} sparp__cause;

/* What belongs to each of those that can be tried again. */
typedef struct sparp__retry_kind {
    size_t        limit;                /* where it is in sparp_options: an int */
    size_t        events, retries;      /* where they are in sparp_stats: uint64_t */
    double        backoff;              /* of backoff_s */
    sparp_outcome outcome;              /* when no attempt is left */
    unsigned      stop;
} sparp__retry_kind;

static const sparp__retry_kind sparp__judge_kinds[SPARP__CAUSE_LOCAL] = {
    {offsetof(sparp_options, max_retries_by_soft_fail), offsetof(sparp_stats, soft_fails),
     offsetof(sparp_stats, soft_retries), 1, SPARP_OUTCOME_SOFT_EXHAUSTED,
     SPARP_STOP_ON_SOFT_FAIL},
    {offsetof(sparp_options, max_retries_by_timeout), offsetof(sparp_stats, timeouts),
     offsetof(sparp_stats, timeout_retries), 0.5, SPARP_OUTCOME_TIMEOUT_EXHAUSTED,
     SPARP_STOP_ON_TIMEOUT},
    {offsetof(sparp_options, max_retries_by_transport), offsetof(sparp_stats, transport_errors),
     offsetof(sparp_stats, transport_retries), 0.5, SPARP_OUTCOME_TRANSPORT_FAILED,
     SPARP_STOP_ON_TRANSPORT}
};

static int sparp__judge_max_retries(const sparp_options *o, sparp__cause cause) {
    return *(const int *)(const void *)((const char *)o + sparp__judge_kinds[cause].limit);
}

/* One of the counters that a kind names. */
static uint64_t *sparp__judge_counter(sparp_stats *stats, size_t where) {
    return (uint64_t *)(void *)((char *)stats + where);
}

static void sparp__judge_count_outcome(sparp_stats *s, sparp_outcome outcome) {
    switch (outcome) {
    case SPARP_OUTCOME_SUCCESS:           s->success++; break;
    case SPARP_OUTCOME_HARD_FAIL:         s->hard_fail++; break;
    case SPARP_OUTCOME_SOFT_EXHAUSTED:    s->soft_exhausted++; break;
    case SPARP_OUTCOME_TIMEOUT_EXHAUSTED: s->timeout_exhausted++; break;
    case SPARP_OUTCOME_TRANSPORT_FAILED:  s->transport_failed++; break;
    case SPARP_OUTCOME_LOCAL_FAILED:      s->local_failed++; break;
    case SPARP_OUTCOME_CANCELLED:         s->cancelled++; break;
    default:                              s->not_started++; break;
    }
}

static sparp__cause sparp__judge_cause(sparp_error error) {
    switch (error) {
    case SPARP_E_OK:
        return SPARP__CAUSE_SOFT_FAIL;
    case SPARP_E_TIMEOUT:
        return SPARP__CAUSE_TIMEOUT;
    case SPARP_E_DNS_NOT_FOUND:
    case SPARP_E_DNS_FAILED:
    case SPARP_E_REFUSED:
    case SPARP_E_UNREACHABLE:
    case SPARP_E_RESET:
    case SPARP_E_CLOSED:
    case SPARP_E_TRUNCATED:
    case SPARP_E_PROTOCOL:
    case SPARP_E_ENCODING:
    case SPARP_E_PROXY_FAILED:
    case SPARP_E_PROXY_REFUSED:
    case SPARP_E_TLS_HANDSHAKE:
    case SPARP_E_TLS_CERTIFICATE:
    case SPARP_E_TLS_VERSION:
        return SPARP__CAUSE_TRANSPORT;
    default:
        return SPARP__CAUSE_LOCAL;
    }
}

static sparp_verdict sparp__judge_status(int status) {
    switch (status) {
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return SPARP_SOFT_FAIL;
    default:
        return status < 400 ? SPARP_SUCCESS : SPARP_HARD_FAIL;
    }
}

sparp_verdict sparp_default_inspect(const sparp_result *response, void *user_data) {
    (void)user_data;
    return sparp__judge_status(response->status);
}

/* Trying again cannot help. */
static bool sparp__judge_permanent(sparp_error error) {
    return error == SPARP_E_DNS_NOT_FOUND || error == SPARP_E_PROTOCOL
        || error == SPARP_E_PROXY_REFUSED
        || error == SPARP_E_TLS_CERTIFICATE || error == SPARP_E_TLS_VERSION;
}

/* RFC 9110 §15.4; 300 leaves the choice to people, 304 is no redirect, 305 and 306 are history. */
static bool sparp__judge_redirects(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* 303 asks for a GET, and so does everybody after 301 and 302 to a POST. */
static bool sparp__judge_becomes_get(int status, const char *method) {
    return status == 303 ? strcmp(method, "HEAD") != 0
        : (status == 301 || status == 302) && strcmp(method, "POST") == 0;
}

/* The one Location of the response; NULL: none, or *wrong says why it is none to follow. */
static const char *sparp__judge_location(const sparp__http *h, const char **wrong) {
    const char *location = NULL;
    for (size_t i = 0; i < h->num_fields; i++) {
        if (strcmp(h->fields[i].name, "location") != 0)
            continue;
        if (location != NULL && strcmp(location, h->fields[i].value) != 0)
            *wrong = "it has two different Location fields";
        location = h->fields[i].value;
    }
    return location;
}

/* NULL: `target`, split into *url, may be followed. Else the reason why not. */
static const char *sparp__judge_target(sparp__str target, bool from_https, sparp__url *url) {
    static const char plain[] = "http://";
    if (!sparp__str_starts(target, sparp__str_of(plain))
        && !sparp__str_starts(target, sparp__str_of("https://")))
        return "it leads to another scheme than http and https";
    const char *wrong = sparp__url_parse(target, url);
    if (wrong == NULL && url->userinfo.size > 0)
        wrong = "it has credentials in it";
    if (wrong == NULL && from_https && !url->https)
        wrong = "it leads from https to http";
    if (!SPARP__TLS && wrong == NULL && url->https)
        wrong = "it leads to https, which needs a build of sparp with TLS";
    return wrong;
}

/* Without what may be a password. */
static const char *sparp__judge_show(const char *location) {
    return strchr(location, '@') != NULL ? "***" : location;
}

/* The k-th pause of its kind (0, 1, ...), in seconds: half of it sure, half of it by lot, so
   that what failed together does not come back together. */
static double sparp__judge_backoff(sparp__env *env, double base, double cap, int k) {
    double pause = base;
    for (int i = 0; i < k && pause < cap; i++)
        pause *= 2;
    if (pause > cap)
        pause = cap;
    double unit = (double)(sparp__env_random(env) >> 11) / 9007199254740992.0;
    return pause / 2 + pause / 2 * unit;
}

/* The how manieth of these words of three letters each begins `name`; -1: none. */
static int sparp__judge_word(sparp__str name, const char *words) {
    for (int i = 0; name.size >= 3 && words[i * 3] != '\0'; i++)
        if (sparp__str_starts(name, sparp__str_make(words + i * 3, 3)))
            return i;
    return -1;
}

static bool sparp__judge_weekday(sparp__str word) {
    return sparp__judge_word(word, "sunmontuewedthufrisat") >= 0
        && (word.size == 3 || sparp__str_same(sparp__str_skip(word, word.size - 3), "day"));
}

/* Takes exactly so many digits off *s. */
static bool sparp__judge_digits(sparp__str *s, size_t n, uint64_t max, int64_t *out) {
    uint64_t number = 0;
    if (s->size < n || !sparp__str_number(sparp__str_make(s->data, n), max, &number))
        return false;
    *out = (int64_t)number;
    *s = sparp__str_skip(*s, n);
    return true;
}

static bool sparp__judge_mark(sparp__str *s, char c) {
    if (s->size == 0 || s->data[0] != c)
        return false;
    *s = sparp__str_skip(*s, 1);
    return true;
}

/* "08:49:37", "08:49", "084937"; a part of a second counts as a whole one: never early. */
static bool sparp__judge_clock(sparp__str *s, int64_t *seconds) {
    int64_t hour, minute, second = 0, digit, part = 0;
    if (!sparp__judge_digits(s, 2, 23, &hour))
        return false;
    bool colon = sparp__judge_mark(s, ':');
    if (!sparp__judge_digits(s, 2, 59, &minute))
        return false;
    if (colon ? sparp__judge_mark(s, ':') : s->size > 0 && sparp__ascii_digit(s->data[0])) {
        if (!sparp__judge_digits(s, 2, 60, &second))
            return false;
        if (sparp__judge_mark(s, '.') && (s->size == 0 || !sparp__ascii_digit(s->data[0])))
            return false;
        while (sparp__judge_digits(s, 1, 9, &digit))
            part = part > 0 || digit > 0;
    }
    *seconds = hour * 3600 + minute * 60 + second + part;
    return true;
}

/* "GMT" and its other names, "+0100", "-05:30", "+01": how far east of Greenwich. */
static bool sparp__judge_zone(sparp__str s, int64_t *seconds) {
    int64_t hour, minute = 0;
    *seconds = 0;
    if (sparp__str_same(s, "GMT") || sparp__str_same(s, "UTC") || sparp__str_same(s, "UT")
        || sparp__str_same(s, "Z"))
        return true;
    bool east = sparp__judge_mark(&s, '+');
    if ((!east && !sparp__judge_mark(&s, '-')) || !sparp__judge_digits(&s, 2, 23, &hour))
        return false;
    if ((sparp__judge_mark(&s, ':') || s.size > 0) && !sparp__judge_digits(&s, 2, 59, &minute))
        return false;
    *seconds = (east ? 1 : -1) * (hour * 3600 + minute * 60);
    return s.size == 0;
}

/* ISO 8601: "1994-11-06T08:49:37Z", "19941106T084937.5+0100". Without a zone nobody knows when. */
static bool sparp__judge_iso(sparp__str s, int64_t *unix_s) {
    int64_t year, month, day, clock, east;
    if (!sparp__judge_digits(&s, 4, 9999, &year))
        return false;
    sparp__judge_mark(&s, '-');
    if (!sparp__judge_digits(&s, 2, 12, &month) || month == 0)
        return false;
    sparp__judge_mark(&s, '-');
    if (!sparp__judge_digits(&s, 2, 31, &day) || day == 0
        || (!sparp__judge_mark(&s, 'T') && !sparp__judge_mark(&s, 't')
            && !sparp__judge_mark(&s, ' '))
        || !sparp__judge_clock(&s, &clock) || !sparp__judge_zone(sparp__str_trim(s), &east))
        return false;
    *unix_s = sparp__days(year, month, day) * 86400 + clock - east;
    return true;
}

typedef struct sparp__date {            /* as its words come in */
    int     month;                      /* 1 to 12 */
    int64_t day, year, clock, east;
    bool    has_year, has_clock, has_zone, month_first;
} sparp__date;

/* What one word of a date says; each thing is said once. */
static bool sparp__judge_date_word(sparp__date *d, sparp__str word) {
    int month = sparp__judge_word(word, "janfebmaraprmayjunjulaugsepoctnovdec") + 1;
    bool number = sparp__ascii_digit(word.data[0]);
    if (month > 0 && word.size == 3 && d->month == 0) {
        d->month = month;
        d->month_first = d->day == 0;
        return true;
    }
    if (number && word.size > 2 && word.data[2] == ':' && !d->has_clock) {
        d->has_clock = sparp__judge_clock(&word, &d->clock) && word.size == 0;
        return d->has_clock;
    }
    if (number && word.size <= 2 && d->day == 0)
        return sparp__judge_digits(&word, word.size, 31, &d->day) && d->day > 0;
    if (number && (word.size == 2 || word.size == 4) && !d->has_year) {
        bool short_form = word.size == 2;       /* "more than 50 years ahead" is the last century */
        d->has_year = sparp__judge_digits(&word, word.size, 9999, &d->year);
        d->year += !short_form ? 0 : d->year < 70 ? 2000 : 1900;
        return d->has_year;
    }
    if (d->has_zone)
        return false;
    d->has_zone = sparp__judge_zone(word, &d->east);
    return d->has_zone;
}

/* The three forms of RFC 9110 §5.6.7, with whatever zone of numbers, and ISO 8601:
   Sun, 06 Nov 1994 08:49:37 GMT | Sunday, 06-Nov-94 08:49:37 GMT | Sun Nov  6 08:49:37 1994 */
static bool sparp__judge_date(sparp__str text, int64_t *unix_s) {
    sparp__date d;
    if (!SPARP__DATES || sparp__judge_iso(text, unix_s))
        return SPARP__DATES;
    memset(&d, 0, sizeof d);
    for (size_t i = 0; i < text.size;) {
        size_t from = i;
        while (i < text.size && strchr(" ,", text.data[i]) == NULL
               && (text.data[i] != '-' || d.has_clock))
            i++;                        /* a dash is a sign, or it parts 06-Nov-94 */
        sparp__str word = sparp__str_make(text.data + from, i - from);
        if (word.size > 0 && !(from == 0 && sparp__judge_weekday(word))
            && !sparp__judge_date_word(&d, word))
            return false;
        i++;
    }
    if (d.month == 0 || d.day == 0 || !d.has_year || !d.has_clock
        || (!d.has_zone && !d.month_first))     /* the third form is GMT without saying so */
        return false;
    *unix_s = sparp__days(d.year, d.month, d.day) * 86400 + d.clock - d.east;
    return true;
}

/* Takes "2", "2.0" or "0.5" off *s. */
static bool sparp__judge_decimal(sparp__str *s, double *out) {
    int64_t digit;
    double unit = 1;
    bool number = s->size > 0 && sparp__ascii_digit(s->data[0]);
    *out = 0;
    while (sparp__judge_digits(s, 1, 9, &digit))
        *out = *out * 10 + (double)digit;
    if (sparp__judge_mark(s, '.'))
        while (sparp__judge_digits(s, 1, 9, &digit))
            *out += (double)digit * (unit /= 10);
    return number;
}

/* What is absurdly long is still "not soon". */
static bool sparp__judge_seconds(sparp__str s, double *seconds) {
    bool number = sparp__judge_decimal(&s, seconds);
    if (*seconds > (double)UINT32_MAX)
        *seconds = (double)UINT32_MAX;
    return number && s.size == 0;
}

/* The latest of what one field asks for, in seconds from then on; 0: some of it is not clear. */
static double sparp__judge_wait(sparp__str value, bool in_ms, int64_t from) {
    sparp__str one;
    double seconds, latest = 0;
    int64_t at;
    while (sparp__str_element(&value, &one)) {
        if (sparp__judge_weekday(one))  /* the comma behind it is no list's */
            continue;
        if (sparp__judge_seconds(one, &seconds))
            seconds /= in_ms ? 1000 : 1;
        else if (!in_ms && sparp__judge_date(one, &at))
            seconds = at > from ? (double)(at - from) : 0;
        else
            return 0;
        latest = seconds > latest ? seconds : latest;
    }
    return latest;
}

static const char *sparp__judge_header(const sparp__http *h, const char *name) {
    for (size_t i = 0; i < h->num_fields; i++)
        if (h->fields[i].name[0] == name[0] && strcmp(h->fields[i].name, name) == 0)
            return h->fields[i].value;
    return NULL;
}

#if SPARP__ZLIB

/* The values of all lines of that name as one list (RFC 9110 §5.3). false: there is none, or it is
   longer than any that means something to us. */
static bool sparp__judge_list(const sparp__http *h, const char *name, char *out, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < h->num_fields; i++) {
        if (strcmp(h->fields[i].name, name) != 0)
            continue;
        size_t n = strlen(h->fields[i].value);
        if (n + 2 > size - used)
            return false;
        if (used > 0)
            out[used++] = ',';
        memcpy(out + used, h->fields[i].value, n);
        used += n;
    }
    out[used] = '\0';
    return used > 0;
}

#endif

/* Seconds from now; 0: no usable Retry-After. Where several are named the latest counts, so that
   it is never earlier than asked. A date counts from the response's own Date, so that a machine
   without a clock is right too. */
static double sparp__judge_retry_after(const sparp__http *h, int64_t wall_s) {
    const char *date = sparp__judge_header(h, "date");
    int64_t from = wall_s;
    double latest = 0;
    if (date != NULL)
        sparp__judge_date(sparp__str_of(date), &from);
    for (size_t i = 0; i < h->num_fields; i++) {
        bool in_ms = strcmp(h->fields[i].name, "retry-after-ms") == 0;
        if (!in_ms && strcmp(h->fields[i].name, "retry-after") != 0)
            continue;
        double asked = sparp__judge_wait(sparp__str_of(h->fields[i].value), in_ms, from);
        latest = asked > latest ? asked : latest;
    }
    return latest;
}

/* ============================================================================================ */
/* >>quota      what a server says is left, in fields of many names, and when the next request   */
/*              fits into that. Pure. Uses url, http, judge.                                     */
/*                                                                                               */
/* The structured RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-11), those */
/* of its older drafts, and what services had before it: [Vendor-]RateLimit-[what-]Limit,         */
/* -Remaining, -Reset, whatever the order of the words. What is not clear says nothing.           */
/* ============================================================================================ */

#define SPARP__QUOTAS 6                 /* of one origin that are looked at */
#define SPARP__QUOTA_MOST 1e15          /* more is absurd */
#define SPARP__QUOTA_LONGEST (32 * 86400.0)     /* seconds until a reset: likewise */
#define SPARP__QUOTA_COARSE 1.5         /* seconds that two resets in whole ones may be wrong by */

/* --- what one response says ------------------------------------------------------------------- */

typedef struct sparp__told {            /* about one quota; each number negative: nothing */
    uint32_t key, part;                 /* which one, and whose share of it; 0: all have one */
    bool     is_cost;                   /* it counts no requests but what they cost */
    bool     ignored;                   /* it is not about a time: concurrent requests */
    bool     leaks;                     /* it comes back bit by bit */
    bool     coarse;                    /* reset is in whole seconds, rounded who knows how */
    double   limit, left, used, reset_s, window_s;
} sparp__told;

typedef struct sparp__telling {
    sparp__told items[SPARP__QUOTAS];
    size_t      count;
    uint32_t    bucket;                 /* the name of what the fields without one are about */
    int64_t     date;                   /* when it was said, as the server sees it */
} sparp__telling;

/* NULL: there are more than anybody wants to know. */
static sparp__told *sparp__telling_about(sparp__telling *all, uint32_t key, uint32_t part) {
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].key == key && all->items[i].part == part)
            return &all->items[i];
    if (all->count == SPARP__QUOTAS)
        return NULL;
    sparp__told *t = &all->items[all->count++];
    memset(t, 0, sizeof *t);
    t->key = key;
    t->part = part;
    t->limit = t->left = t->used = t->reset_s = t->window_s = -1;
    return t;
}

/* Of two words about the same the stricter counts. */
static void sparp__told_least(double *field, double value) {
    *field = *field < 0 || (value >= 0 && value < *field) ? value : *field;
}

static void sparp__told_most(double *field, double value) {
    *field = value > *field ? value : *field;
}

/* Two words about the same. */
static void sparp__told_merge(sparp__told *t, const sparp__told *other) {
    sparp__told_least(&t->limit, other->limit);
    sparp__told_least(&t->left, other->left);
    sparp__told_most(&t->used, other->used);
    sparp__told_most(&t->reset_s, other->reset_s);
    sparp__told_most(&t->window_s, other->window_s);
    t->is_cost = t->is_cost || other->is_cost;
    t->ignored = t->ignored || other->ignored;
    t->coarse = t->coarse || other->coarse;
}

static bool sparp__quota_number(sparp__str s, double *out) {
    return sparp__judge_decimal(&s, out) && s.size == 0 && *out <= SPARP__QUOTA_MOST;
}

/* "6m0s", "120ms", "1h2m3.5s". */
static bool sparp__quota_duration(sparp__str s, double *seconds) {
    static const struct { const char *name; double seconds; } units[] = {
        {"ms", 1e-3}, {"us", 1e-6}, {"\xC2\xB5s", 1e-6}, {"ns", 1e-9},
        {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}
    };
    const size_t num_units = sizeof units / sizeof *units;
    double n;
    *seconds = 0;
    do {
        size_t i = 0;
        if (!sparp__judge_decimal(&s, &n))
            return false;
        while (i < num_units && !sparp__str_starts(s, sparp__str_of(units[i].name)))
            i++;
        if (i == num_units)
            return false;
        *seconds += n * units[i].seconds;
        s = sparp__str_skip(s, strlen(units[i].name));
    } while (s.size > 0);
    return true;
}

/* Seconds, or milliseconds; since 1970 if that many; a duration; a date. False: none of these, or
   absurd. */
static bool sparp__quota_reset(sparp__told *t, sparp__str s, bool in_ms, int64_t now) {
    double seconds, epoch = in_ms ? 1000 : 1;
    int64_t at;
    bool coarse = false;
    if (sparp__quota_number(s, &seconds)) {
        coarse = memchr(s.data, '.', s.size) == NULL && !in_ms;
        if (seconds >= 1e12) {          /* milliseconds since then, whatever it is called */
            seconds = seconds / 1000 - (double)now;
            coarse = false;
        } else if (seconds / epoch >= 1e9) {
            seconds = seconds / epoch - (double)now;
        } else {
            seconds /= epoch;
        }
    } else if (!sparp__quota_duration(s, &seconds)) {
        if (!sparp__judge_date(s, &at))
            return false;
        seconds = (double)(at - now);
        coarse = true;
    }
    if (seconds < -86400 || seconds > SPARP__QUOTA_LONGEST)
        return false;
    sparp__told_most(&t->reset_s, seconds > 0 ? seconds : 0);
    t->coarse = t->coarse || coarse;
    return true;
}

/* --- fields of words: X-RateLimit-Remaining-Tokens -------------------------------------------- */

/* L limit, R what remains, U used, T time of the reset, W its window, M in milliseconds, C counts
   a cost, Q counts requests, K which of several, B what they are about, - nothing. */
static const struct { const char *word; char means; } sparp__quota_words[] = {
    {"limit", 'L'}, {"max", 'L'}, {"remaining", 'R'}, {"remain", 'R'}, {"left", 'R'},
    {"used", 'U'}, {"observed", 'U'}, {"reset", 'T'}, {"resettime", 'T'}, {"interval", 'T'},
    {"ms", 'M'}, {"milliseconds", 'M'}, {"tokens", 'C'}, {"token", 'C'}, {"cost", 'C'},
    {"points", 'C'}, {"credits", 'C'}, {"requests", 'Q'}, {"request", 'Q'}, {"req", 'Q'},
    {"second", 'K'}, {"secondly", 'K'}, {"minute", 'K'}, {"hour", 'K'}, {"hourly", 'K'},
    {"day", 'K'}, {"daily", 'K'}, {"month", 'K'}, {"monthly", 'K'}, {"project", 'K'},
    {"bucket", 'B'}, {"resource", 'B'}, {"after", '-'}, {"in", '-'}, {"at", '-'}
};

typedef struct sparp__quota_name {      /* what the words of a field's name say */
    char     role;                      /* L, R, U, T or B */
    bool     in_ms, is_cost;
    uint32_t key;
} sparp__quota_name;

static sparp__str sparp__quota_word(sparp__str *name) {
    const char *dash = (const char *)memchr(name->data, '-', name->size);
    size_t n = dash != NULL ? (size_t)(dash - name->data) : name->size;
    sparp__str word = sparp__str_make(name->data, n);
    *name = sparp__str_skip(*name, dash != NULL ? n + 1 : n);
    return word;
}

/* Takes "ratelimit-" or "rate-limit-", and a vendor's name before it, off *name. */
static bool sparp__quota_prefix(sparp__str *name) {
    for (int i = 0; i < 3 && name->size > 0; i++) {
        sparp__str word = sparp__quota_word(name);
        if (sparp__str_same(word, "ratelimit"))
            return true;
        if (sparp__str_same(word, "rate"))
            return sparp__str_same(sparp__quota_word(name), "limit");
    }
    return false;
}

/* False: it has a word that is not known, and may mean anything. */
static bool sparp__quota_read_name(sparp__str rest, sparp__quota_name *out) {
    const size_t num_words = sizeof sparp__quota_words / sizeof *sparp__quota_words;
    memset(out, 0, sizeof *out);
    while (rest.size > 0) {
        sparp__str word = sparp__quota_word(&rest);
        size_t i = 0;
        while (i < num_words && !sparp__str_same(word, sparp__quota_words[i].word))
            i++;
        char means = i < num_words ? sparp__quota_words[i].means : '\0';
        if (means == '\0' || (strchr("LRUTB", means) != NULL && out->role != 0))
            return false;
        if (strchr("LRUTB", means) != NULL)
            out->role = means;
        if (strchr("CQK", means) != NULL)       /* in whatever order */
            out->key += sparp__hash(sparp__str_of(sparp__quota_words[i].word), 0);
        out->in_ms = out->in_ms || means == 'M';
        out->is_cost = out->is_cost || means == 'C';
    }
    out->role = out->role != 0 ? out->role : 'L';       /* "X-Rate-Limit: 700" */
    return true;
}

/* One of the elements of its value, without the parameters behind it. */
static bool sparp__quota_read_part(sparp__told *t, const sparp__quota_name *name, sparp__str part,
                                   int64_t now) {
    const char *semicolon = (const char *)memchr(part.data, ';', part.size);
    double n;
    if (semicolon != NULL)
        part = sparp__str_trim(sparp__str_make(part.data, (size_t)(semicolon - part.data)));
    if (name->role == 'T')
        return sparp__quota_reset(t, part, name->in_ms, now);
    if (!sparp__quota_number(part, &n))
        return false;
    if (name->role == 'L')
        sparp__told_least(&t->limit, n);
    else if (name->role == 'R')
        sparp__told_least(&t->left, n);
    else
        sparp__told_most(&t->used, n);
    return name->role != 'L';           /* "100, 100;w=60, 5000;w=86400": the first is the one */
}

static void sparp__quota_read_words(sparp__telling *all, sparp__str rest, const char *value) {
    sparp__quota_name name;
    sparp__str list = sparp__str_of(value), part;
    if (!sparp__quota_read_name(rest, &name))
        return;
    if (name.role == 'B') {
        all->bucket = sparp__hash(sparp__str_of(value), 1);
        return;
    }
    sparp__told *t = sparp__telling_about(all, name.key, 0);
    if (t == NULL)
        return;
    t->is_cost = name.is_cost;
    if (name.role == 'T' && sparp__quota_reset(t, list, name.in_ms, all->date))
        return;                         /* a date has a comma */
    while (sparp__str_element(&list, &part))
        if (!sparp__quota_read_part(t, &name, part, all->date))
            return;
}

/* "32/40" of a bucket that leaks, all of it in 20 s. */
static void sparp__quota_read_bucket(sparp__telling *all, const char *value) {
    const char *slash = strchr(value, '/');
    double used, limit;
    if (slash == NULL || !sparp__quota_number(sparp__str_of(slash + 1), &limit) || !(limit > 0)
        || !sparp__quota_number(sparp__str_make(value, (size_t)(slash - value)), &used))
        return;
    sparp__told *t = sparp__telling_about(all, 0, 0);
    if (t == NULL || used > limit)
        return;
    t->limit = limit;
    t->left = limit - used;
    t->reset_s = 20 * used / limit;
    t->leaks = true;
}

/* --- structured fields (RFC 9651) ------------------------------------------------------------- */

/* Up to the next ';' or ',' that is in no string; *end is it, or 0. */
static sparp__str sparp__quota_cut(sparp__str *s, char *end) {
    bool quoted = false;
    size_t n = 0;
    while (n < s->size && (quoted || (s->data[n] != ';' && s->data[n] != ','))) {
        if (s->data[n] == '"')
            quoted = !quoted;
        else if (quoted && s->data[n] == '\\' && n + 1 < s->size)
            n++;
        n++;
    }
    *end = n < s->size ? s->data[n] : '\0';
    sparp__str part = sparp__str_trim(sparp__str_make(s->data, n));
    *s = sparp__str_skip(*s, n < s->size ? n + 1 : n);
    return part;
}

/* A unit that is no request is a cost, unless it is one that nobody here counts. */
static void sparp__quota_read_unit(sparp__told *t, sparp__str unit) {
    if (unit.size >= 2 && unit.data[0] == '"')
        unit = sparp__str_make(unit.data + 1, unit.size - 2);
    t->ignored = sparp__str_same(unit, "concurrent-requests")
        || sparp__str_same(unit, "content-bytes");
    t->is_cost = !sparp__str_same(unit, "requests");
}

/* ";r=50": one of those behind a policy's name. Of `said` only what it says is set. */
static void sparp__quota_read_parameter(sparp__told *said, sparp__str p) {
    const char *equal = (const char *)memchr(p.data, '=', p.size);
    double n;
    if (equal == NULL)
        return;
    sparp__str name = sparp__str_trim(sparp__str_make(p.data, (size_t)(equal - p.data)));
    sparp__str value = sparp__str_trim(sparp__str_skip(p, (size_t)(equal - p.data) + 1));
    if (sparp__str_same(name, "pk"))
        said->part = sparp__hash(value, 3) | 1;
    else if (sparp__str_same(name, "qu"))
        sparp__quota_read_unit(said, value);
    else if (sparp__str_same(name, "t"))
        sparp__quota_reset(said, value, false, 0);
    else if (!sparp__quota_number(value, &n))
        return;
    else if (sparp__str_same(name, "q"))
        said->limit = n;
    else if (sparp__str_same(name, "r"))
        said->left = n;
    else if (sparp__str_same(name, "w") && n <= SPARP__QUOTA_LONGEST)
        said->window_s = n;
}

/* "limit=100, remaining=50, reset=5" of draft 7: the same as three fields. */
static void sparp__quota_read_member(sparp__telling *all, sparp__str member) {
    const char *equal = (const char *)memchr(member.data, '=', member.size);
    sparp__quota_name name;
    sparp__told *t;
    size_t n = (size_t)(equal - member.data);
    if (sparp__quota_read_name(sparp__str_make(member.data, n), &name) && name.role != 'B'
        && (t = sparp__telling_about(all, name.key, 0)) != NULL)
        sparp__quota_read_part(t, &name, sparp__str_skip(member, n + 1), all->date);
}

/* '"default";r=50;t=30, "day";r=900', and the same with q and w: what each policy's name has behind
   it in either field belongs together. */
static void sparp__quota_read_structured(sparp__telling *all, const char *value) {
    sparp__str in = sparp__str_of(value);
    while (in.size > 0) {
        char end;
        sparp__str name = sparp__quota_cut(&in, &end);
        sparp__telling one;
        one.count = 0;
        sparp__told *said = sparp__telling_about(&one, 0, 0);
        for (size_t i = 0; i + 5 <= name.size; i++)
            said->is_cost = said->is_cost
                || sparp__str_same(sparp__str_make(name.data + i, 5), "token");
        while (end == ';')
            sparp__quota_read_parameter(said, sparp__quota_cut(&in, &end));
        if (name.size == 0 || sparp__ascii_digit(name.data[0]))
            continue;                   /* "100;w=60": a policy of an older draft */
        if (name.data[0] != '"' && memchr(name.data, '=', name.size) != NULL) {
            sparp__quota_read_member(all, name);
            continue;
        }
        sparp__told *t = sparp__telling_about(all, sparp__hash(name, 2), said->part);
        if (t != NULL)
            sparp__told_merge(t, said);
    }
}

/* --- a response ------------------------------------------------------------------------------- */

static void sparp__quota_read_field(sparp__telling *all, const char *name, const char *value) {
    sparp__str rest = sparp__str_of(name);
    double n;
    if (strcmp(name, "x-shopify-shop-api-call-limit") == 0) {
        sparp__quota_read_bucket(all, value);
        return;
    }
    if (!sparp__quota_prefix(&rest))
        return;
    bool structured = rest.size == 0 && !sparp__quota_number(sparp__str_of(value), &n);
    if (structured || sparp__str_same(rest, "policy"))
        sparp__quota_read_structured(all, value);
    else
        sparp__quota_read_words(all, rest, value);
}

/* What is said in two halves is put together; what contradicts itself is said by nobody. */
static bool sparp__told_is_clear(sparp__told *t, const sparp__telling *all) {
    for (size_t i = 0; t->part != 0 && i < all->count; i++)
        if (all->items[i].key == t->key && all->items[i].part == 0)
            sparp__told_merge(t, &all->items[i]);
    if (t->left < 0 && t->used >= 0 && t->limit >= t->used)
        t->left = t->limit - t->used;
    if (t->limit < 0 && t->used >= 0 && t->left >= 0)
        t->limit = t->used + t->left;
    if (t->reset_s < 0 && t->window_s >= 0) {
        t->reset_s = t->window_s;       /* all of it is back after that in any case */
        t->coarse = true;
    }
    return !t->ignored && t->left >= 0 && (t->limit < 0 || (t->limit > 0 && t->left <= t->limit));
}

/* All that the fields of this response say, and nothing that is not clear. What comes out of a
   cache was said to somebody else. */
static void sparp__quota_read(sparp__telling *all, const sparp__http *h, int64_t wall_s) {
    const char *date = sparp__judge_header(h, "date"), *age = sparp__judge_header(h, "age");
    double old;
    size_t clear = 0;
    memset(all, 0, sizeof *all);
    all->date = wall_s;
    if (age != NULL && sparp__quota_number(sparp__str_of(age), &old) && old > 0)
        return;
    if (date != NULL)
        sparp__judge_date(sparp__str_of(date), &all->date);
    for (size_t i = 0; i < h->num_fields; i++)
        if (sparp__http_may_limit(h->fields[i].name))
            sparp__quota_read_field(all, h->fields[i].name, h->fields[i].value);
    for (size_t i = 0; i < all->count; i++) {
        sparp__told t = all->items[i];
        if (!sparp__told_is_clear(&t, all))
            continue;
        t.key += t.part + all->bucket;
        all->items[clear++] = t;        /* never one that is still to be looked at, or merged */
    }
    all->count = clear;
}

/* --- what is left of one quota ---------------------------------------------------------------- */

typedef struct sparp__quota {           /* zeroed: never heard of */
    uint32_t key;
    bool     is_cost;
    bool     leaks;                     /* it comes back bit by bit; else all at once, at `until` */
    bool     no_leak;                   /* it was taken to, and a 429 came */
    int64_t  leaks_since;
    bool     too_early;                 /* its whole seconds are rounded down */
    double   limit, left;               /* limit 0: not told */
    double   unseen;                    /* taken of that, perhaps, by who brought no answer */
    int64_t  unseen_at;                 /* the last of them */
    double   leak_ns;                   /* in which one comes back, if it leaks */
    int64_t  as_of, until;              /* when that was said; when all of it is back */
    int64_t  probed_at;                 /* one has gone out to see whether it is; 0: none */
    int64_t  said_until;                /* the log has said so */
    double   mark_used, mark_reset_s;   /* of an answer before: see sparp__quota_compare */
    int64_t  mark_until;
} sparp__quota;

/* What there is by now. */
static double sparp__quota_now(const sparp__quota *q, int64_t now) {
    double left = q->left - q->unseen;
    if (!q->leaks || now <= q->as_of)
        return left;
    left += (double)(now - q->as_of) / q->leak_ns;
    return left < q->limit ? left : q->limit;
}

/* Is it a bucket, of which the rest comes back bit by bit (GCRA), or a window, of which all comes
   back at its end? The time until all is back grows with what is used of a bucket. It is compared
   with what an answer said before, while that holds. */
static void sparp__quota_compare(sparp__quota *q, const sparp__told *t, int64_t now) {
    double used = q->limit - t->left, before = q->mark_used;
    double fuzz = t->coarse ? SPARP__QUOTA_COARSE : 0.01 * t->reset_s;
    if (before > 0 && used >= before && now < q->mark_until - sparp__time_from_s(fuzz)) {
        double growth = q->mark_reset_s * (used / before - 1);
        if (growth > 2 * fuzz)
            q->leaks = !q->no_leak && t->reset_s - q->mark_reset_s > growth / 2;
        else if (used < 2 * before)
            return;                     /* too early to tell */
    }
    q->mark_used = used;
    q->mark_reset_s = t->reset_s;
    q->mark_until = sparp__time_after(now, sparp__time_from_s(t->reset_s));
}

/* When all of it is back, and how. `probed`: the answer is to who went to see whether it is. */
static void sparp__quota_learn_reset(sparp__quota *q, const sparp__told *t, bool probed,
                                     int64_t now) {
    bool early = probed && t->coarse && t->left < 1 && q->limit > 1 && t->reset_s < 2;
    q->too_early = q->too_early || early;
    q->until = sparp__time_after(now, sparp__time_from_s(t->reset_s + (q->too_early ? 1 : 0)));
    if (t->leaks)
        q->leaks = !q->no_leak;
    else if (q->limit > 0)
        sparp__quota_compare(q, t, now);
    if (q->leaks && t->left < q->limit)
        q->leak_ns = t->reset_s * (double)SPARP__NS_PER_S / (q->limit - t->left);
}

/* What the answer says to a request that started then. Answers overtake each other: what was said
   before is taken back only by who started afterwards. */
static void sparp__quota_learn(sparp__quota *q, const sparp__told *t, int64_t started_at,
                               int64_t now) {
    if (started_at >= q->unseen_at)
        q->unseen = 0;
    if (started_at < q->as_of && t->left >= sparp__quota_now(q, now) + q->unseen)
        return;
    if (t->limit > 0 || t->left > q->limit)
        q->limit = t->limit > 0 ? t->limit : 0;     /* it need not be said each time */
    if (t->reset_s >= 0)
        sparp__quota_learn_reset(q, t, q->probed_at != 0 && started_at >= q->probed_at, now);
    else
        q->until = sparp__max(q->until, now);
    if (!q->leaks)
        q->leaks_since = now;
    q->leaks = q->leaks && q->leak_ns > 0 && q->limit > 0;
    q->is_cost = t->is_cost;
    q->left = t->left;
    q->as_of = now;
    q->probed_at = 0;
}

/* When a reset is waited for no more, and one may try. */
static int64_t sparp__quota_patience(const sparp__quota *q, int64_t longest) {
    return sparp__min(q->until, sparp__time_after(q->as_of, longest));
}

/* Nanoseconds until `need` more fit in, `busy` being in flight; NEVER: not before one of these has
   ended. A reset that is further away than `longest` is not waited for. */
static int64_t sparp__quota_wait(const sparp__quota *q, double busy, double need, int64_t longest,
                                 int64_t now) {
    int64_t until = sparp__quota_patience(q, longest);
    double missing = busy + need - (q->left - q->unseen);
    if (q->until <= q->as_of || missing <= 0)
        return 0;
    if (q->leaks && missing * q->leak_ns < (double)(until - q->as_of)) {
        int64_t there = q->as_of + (int64_t)(missing * q->leak_ns) + 1;
        return sparp__max(0, there - now);
    }
    if (now >= until)
        return !(busy > 0) || (q->probed_at == 0 && busy + need <= q->limit) ? 0 : SPARP__NEVER;
    return until - now;
}

/* --- all those of one origin ------------------------------------------------------------------ */

typedef struct sparp__quotas {          /* zeroed, then linked */
    sparp__link  link;                  /* in the list of all of them */
    sparp__quota items[SPARP__QUOTAS];
    size_t       count;
    int64_t      longest;               /* nanoseconds that a reset is waited for */
    char         origin[SPARP__HOST_MAX + 8];       /* "api.example.com", "127.0.0.1:8080" */
} sparp__quotas;

/* NULL: there are more than anybody wants to know. */
static sparp__quota *sparp__quotas_find(sparp__quotas *qs, uint32_t key) {
    for (size_t i = 0; i < qs->count; i++)
        if (qs->items[i].key == key)
            return &qs->items[i];
    if (qs->count == SPARP__QUOTAS)
        return NULL;
    sparp__quota *q = &qs->items[qs->count++];
    memset(q, 0, sizeof *q);
    q->key = key;
    return q;
}

static void sparp__quotas_remove(sparp__quotas *qs, sparp__quota *q) {
    *q = qs->items[--qs->count];
}

/* `busy` and `cost` are in flight, `need` is what the next one costs. */
static int64_t sparp__quotas_wait(const sparp__quotas *qs, double busy, double cost, double need,
                                  int64_t now) {
    int64_t wait = 0;
    for (size_t i = 0; i < qs->count; i++) {
        const sparp__quota *q = &qs->items[i];
        wait = sparp__max(wait, sparp__quota_wait(q, q->is_cost ? cost : busy,
                                                  q->is_cost ? need : 1, qs->longest, now));
    }
    return wait;
}

/* One starts. `busy` and `cost` are those before it. */
static void sparp__quotas_on_start(sparp__quotas *qs, double busy, double cost, double need,
                                   int64_t now) {
    for (size_t i = 0; i < qs->count; i++) {
        sparp__quota *q = &qs->items[i];
        double missing = (q->is_cost ? cost + need : busy + 1) - sparp__quota_now(q, now);
        if (missing > 0 && now >= sparp__quota_patience(q, qs->longest))
            q->probed_at = now;
    }
}

static bool sparp__telling_has(const sparp__telling *all, uint32_t key) {
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].key == key)
            return true;
    return false;
}

/* One that had started then has ended, after so many requests (0: it was never sent) with that
   cost. Without an answer it is taken to be spent; an answer that says nothing about one of them is
   about others. Who is asked whether all is back and does not say a word has given it up. */
static void sparp__quotas_on_end(sparp__quotas *qs, const sparp__telling *told, bool answered,
                                 double sent, double cost, int64_t started_at, int64_t now) {
    for (size_t i = qs->count; i-- > 0;) {
        sparp__quota *q = &qs->items[i];
        bool probe = q->probed_at != 0 && started_at >= q->probed_at;
        if (sparp__telling_has(told, q->key))
            continue;
        if (!answered) {
            q->unseen += q->is_cost ? cost : sent;
            q->unseen_at = now;
        }
        q->probed_at = probe ? 0 : q->probed_at;
        if (probe && answered && now >= q->until)
            sparp__quotas_remove(qs, q);
    }
    for (size_t i = 0; i < told->count; i++) {
        sparp__quota *q = sparp__quotas_find(qs, told->items[i].key);
        if (q != NULL)
            sparp__quota_learn(q, &told->items[i], started_at, now);
    }
}

/* It has said 429, which was not to be expected. With Retry-After that counts, and the gate sees to
   it; then one looks what is left. */
static void sparp__quotas_on_429(sparp__quotas *qs, bool retry_after, int64_t started_at,
                                 int64_t now) {
    for (size_t i = 0; i < qs->count; i++) {
        sparp__quota *q = &qs->items[i];
        if (q->leaks && started_at > q->leaks_since) {
            q->no_leak = true;
            q->leaks = false;
        }
        if (!retry_after)
            continue;
        q->left = q->unseen = 0;
        q->as_of = now - 1;
        q->until = now;
    }
}

/* Until when they have to be remembered. */
static int64_t sparp__quotas_memory(const sparp__quotas *qs) {
    int64_t memory = 0;
    for (size_t i = 0; i < qs->count; i++)
        memory = sparp__max(memory, sparp__quota_patience(&qs->items[i], qs->longest));
    return memory;
}

/* ============================================================================================ */
/* >>task       one request, from the moment it is pulled to its result: what goes out, what     */
/*              came in, and the counters. Decides nothing.                                      */
/*              Uses base, env, buf, heap, bucket, http, inflate, request, tls, dial, conn,      */
/*              pool, judge.                                                                     */
/*                                                                                               */
/* A task has one owner at a time. The scheduler hands it to an engine when it starts, and the   */
/* engine hands it back when the attempt, or one hop of it, has ended. Whoever has it may look   */
/* at all of it, and writes only what is his.                                                    */
/* ============================================================================================ */

typedef enum sparp__task_state {
    SPARP__TASK_UNUSED,
    SPARP__TASK_FRESH,                  /* pulled, never tried */
    SPARP__TASK_AGAIN,                  /* its pause is over: to be tried again */
    SPARP__TASK_PARKED,                 /* waits for its origin: see >>limits */
    SPARP__TASK_SLEEPING,               /* pausing before a retry: holds no slot */
    SPARP__TASK_FLYING,                 /* holds a slot: it is an engine's */
    SPARP__TASK_ENDED                   /* has its outcome */
} sparp__task_state;

typedef enum sparp__end {               /* of an attempt, before anybody judges it */
    SPARP__END_RESPONSE,                /* complete, or as complete as we want it */
    SPARP__END_HOP,                     /* it goes on with sparp__task.hop */
    SPARP__END_FAULT,                   /* see sparp__task.fault */
    SPARP__END_STARVED,                 /* the system had nothing to give: it did not begin */
    SPARP__END_RECALLED,                /* its gate has closed before it was sent */
    SPARP__END_CUT                      /* we cut it */
} sparp__end;

/* What an attempt has brought so far. An engine has a few, used last in, first out: an answer that
   arrives whole is parsed where the one before it was. */
typedef struct sparp__answer {          /* zeroed: empty; its buffers are reused */
    struct sparp__answer *next;         /* among the spare ones */
    sparp__http   http;
    sparp__buf    body;                 /* with room for a NUL behind it */
    char         *lent;                 /* the body so far, in a scratch; NULL: see body */
    size_t        lent_size;
    uint64_t      seen;                 /* bytes of the body as they came, kept or not */
    uint64_t      taken;                /* decoded, and kept or given to on_body */
    struct sparp__inflate *inflate;     /* what decodes the body; NULL: nothing has to */
    sparp__str    unread;               /* of the last piece, while on_body has muted it */
    sparp_phase   phase;                /* where the attempt was when it ended */
    int64_t       phase_ns[SPARP_PHASE_COUNT], elapsed;
    sparp__fault  fault;                /* why it is not complete */
} sparp__answer;

/* The body of a request that read_body() gives. */
typedef struct sparp__upload {          /* zeroed: nothing yet; its buffer is reused */
    sparp__buf buf;                     /* what it gave last, framed */
    uint64_t   at;                      /* bytes it gave so far */
} sparp__upload;

/* The engine's, from its start to its end. */
typedef struct sparp__flight {
    sparp__conn    *conn;
    sparp__pool    *pool;               /* where its connections are: its origin's, or a proxy's */
    sparp__answer  *answer;             /* NULL: nothing has come. The scheduler gives it back */
    sparp__upload  *upload;             /* NULL: never needed */
    sparp__meter   *write;              /* of its origin: see >>pace */
    int64_t         started_at, timeout;
    int64_t         held_at;            /* since when it waits for its token; 0: it does not */
    int64_t         posted_at;          /* since when, or longer, it is on its way to a worker */
    uint64_t        bytes_out, bytes_in;        /* of all attempts */
    double          booked;             /* cost, of this hop: what was written, and charged */
    sparp__end      end;
    sparp_verdict   verdict;
    bool            posted;             /* its engine has not seen it; guarded by the crew */
    bool            cut_wanted;         /* guarded by the crew */
    bool            redirecting;        /* the response at hand says where to go on */
    bool            muting;             /* on_body has said so */
    bool            held_for_cost;      /* while held_at: its cost holds it longest */
    bool            body_complete, skip_body, truncated, reused, replayed;
    bool            sent, unsure;       /* bytes left us without an answer: this time, ever */
    bool            odd_verdict;        /* inspect() gave what is none */
    unsigned char   late;               /* reads when the time was up: SPARP__LATE_READS at most */
    uint16_t        worker;             /* who has it, from 1 on; 0: the run's own engine. There
                                           are no more than SPARP__WORKERS_MAX */
} sparp__flight;

/* Clocks that run together, or how far each went: nanoseconds. */
typedef struct sparp__clocks {
    int64_t time;
    int64_t rate;                       /* ... while the rate held everybody back */
    int64_t cost;                       /* ... and it was what they cost */
    int64_t shut;                       /* ... while this origin's gate was not all open */
} sparp__clocks;

/* The scheduler's, while it waits. */
typedef struct sparp__queueing {
    sparp__timer    timer;              /* while SLEEPING; and of its deadline while it waits */
    struct sparp__limits *limits;       /* of the origin it goes to next */
    struct sparp__limits *first_limits; /* of the request's own, once on_hop */
    int64_t         since;              /* since when it pauses, is queued, or PARKED */
    sparp__clocks   mark;               /* what the clocks said then that tell why: the run's while
                                           it is queued, those of its origin while PARKED */
} sparp__queueing;

typedef struct sparp__task {            /* zeroed: unused, its buffers empty */
    sparp__link       link;             /* in the list of its state */
    sparp__link       here;             /* and at its origin, while it is queued or PARKED; or at
                                           its engine: to be begun, held, or ended */
    sparp__task_state state;
    bool              on_hop, is_parsed;
    sparp_outcome     outcome;          /* how it has ended, or what it is if no attempt follows */
    sparp_error       error;            /* and of the attempt before, while it waits for another */
    uint64_t          index;
    void             *user_data;
    void             *parsed;
    const sparp__fault *fault;          /* in its answer, or the scheduler's; NULL: none */
    int               attempts, redirects, replays;     /* redirects: in this attempt */
    int               retries[SPARP__CAUSE_LOCAL];      /* by cause */
    int               passes;           /* 429s that cost no retry: the gate had closed meanwhile */
    int               status;           /* of the last response */
    double            cost, booked;     /* of each time it is sent; of all hops before this one */
    int64_t           pulled_at, patience, deadline;    /* patience: of all attempts */
    int64_t           waited[SPARP_WAIT_COUNT], waited_for_cost;
    sparp__flight     fly;
    sparp__queueing   wait;
    /* From here on it was large to clear, or has buffers: sparp__task_reset() does it. */
    sparp__request    request;
    sparp__request   *hop;              /* the one that counts, when on_hop; NULL: never needed */
} sparp__task;

typedef struct sparp__tally {           /* what engines count; see sparp_stats */
    uint64_t connects, reuses, tls_full, tls_resumed, bytes_out, bytes_in, replays;
    int64_t  held_us, held_cost_us;     /* what flights waited for their token, or their cost */
} sparp__tally;

static void sparp__tally_connect(sparp__tally *tally, const sparp__conn *c) {
    tally->connects++;
#if SPARP__TLS
    if (c->stream.tls != NULL && sparp__tls_resumed(c->stream.tls))
        tally->tls_resumed++;
    else if (c->stream.tls != NULL)
        tally->tls_full++;
#else
    (void)c;
#endif
}

/* --- answers ---------------------------------------------------------------------------------- */

typedef struct sparp__answers {         /* zeroed: none to spare */
    sparp__answer *spare;
} sparp__answers;

static void sparp__answer_free(sparp__env *env, sparp__answer *a) {
    sparp__http_free(env, &a->http);
    sparp__buf_free(env, &a->body);
    sparp__env_free(env, a, sizeof *a);
}

static void sparp__answers_free(sparp__env *env, sparp__answers *as) {
    while (as->spare != NULL) {
        sparp__answer *a = as->spare;
        as->spare = a->next;
        sparp__answer_free(env, a);
    }
}

/* An empty one, for the response to a HEAD, or to something else. NULL: out of memory. */
static sparp__answer *sparp__answers_get(sparp__env *env, sparp__answers *as, bool is_head,
                                         size_t max_head) {
    sparp__answer *a = as->spare;
    if (a == NULL)
        a = (sparp__answer *)sparp__env_zalloc(env, sizeof *a);
    else
        as->spare = a->next;
    if (a == NULL)
        return NULL;
    sparp__http_start(env, &a->http, is_head, max_head);
    a->body.size = 0;
    a->lent = NULL;
    a->seen = a->taken = 0;
    a->unread.size = 0;
    a->phase = SPARP_PHASE_DNS;
    a->elapsed = 0;
    memset(a->phase_ns, 0, sizeof a->phase_ns);
    sparp__fault_clear(&a->fault);
    return a;
}

static void sparp__answers_put(sparp__env *env, sparp__answers *as, sparp__answer *a) {
    sparp__buf_reuse(env, &a->body);
    a->next = as->spare;
    as->spare = a;
}

/* NULL: the body, which is complete, is so in its coding, too. */
static const char *sparp__answer_check_coding(const sparp__answer *a) {
#if SPARP__ZLIB
    return a->inflate != NULL ? sparp__inflate_end(a->inflate) : NULL;
#else
    (void)a;
    return NULL;
#endif
}

/* --- tasks ------------------------------------------------------------------------------------ */

/* All that it has, but not its own block. */
static void sparp__task_free_parts(sparp__env *env, sparp__task *t) {
    sparp__buf_free(env, &t->request.image);
    if (t->hop != NULL)
        sparp__buf_free(env, &t->hop->image);
    sparp__env_free(env, t->hop, sizeof *t->hop);
    if (t->fly.upload != NULL)
        sparp__buf_free(env, &t->fly.upload->buf);
    sparp__env_free(env, t->fly.upload, sizeof *t->fly.upload);
    if (t->fly.answer != NULL)
        sparp__answer_free(env, t->fly.answer);
}

static void sparp__task_free(sparp__env *env, sparp__task *t) {
    sparp__task_free_parts(env, t);
    sparp__env_free(env, t, sizeof *t);
}

/* As new, but for the memory of its buffers. */
static void sparp__task_reset(sparp__env *env, sparp__task *t) {
    sparp__upload *upload = t->fly.upload;
    memset(t, 0, offsetof(sparp__task, request));
    t->fly.upload = upload;
    if (upload != NULL)
        sparp__buf_reuse(env, &upload->buf);
    sparp__request_reset(env, &t->request);
    if (t->hop != NULL)
        sparp__request_reset(env, t->hop);
}

/* What goes over the wire now. */
static const sparp__request *sparp__task_wire(const sparp__task *t) {
    return SPARP__REDIRECTS && t->on_hop ? t->hop : &t->request;
}

/* Without memory even for saying what went wrong. */
static bool sparp__task_blame_memory(sparp__task *t) {
    static const sparp__fault fault = {SPARP_E_OUT_OF_MEMORY, ENOMEM, 0, "out of memory"};
    t->fault = &fault;
    return false;
}

static sparp_error sparp__task_error(const sparp__task *t) {
    return t->fault != NULL ? t->fault->error : SPARP_E_OK;
}

/* The final head is there. */
static bool sparp__task_has_head(const sparp__task *t) {
    return t->fly.answer != NULL && t->fly.answer->http.has_head;
}

/* ... and of its body nobody wants the rest. */
static bool sparp__task_has_enough(const sparp__task *t) {
    return sparp__task_has_head(t) && (t->fly.skip_body || t->fly.redirecting);
}

/* A 408 on a connection used before was meant for that: it lay idle too long, and nothing has been
   acted on (RFC 9110 §15.5.9). */
static bool sparp__task_is_idle_408(const sparp__task *t) {
    return t->fly.answer->http.status == 408 && t->fly.reused && !t->fly.replayed
        && t->fly.conn->exchanges > 0;
}

/* One message out, one back. */
static void sparp__task_begin_hop(sparp__task *t) {
    sparp__flight *f = &t->fly;
    t->fault = NULL;
    t->status = 0;
    f->verdict = SPARP_NEED_BODY;
    f->body_complete = f->skip_body = f->truncated = f->reused = f->replayed = false;
    f->redirecting = f->muting = f->cut_wanted = f->odd_verdict = false;
    f->late = 0;
    if (f->upload != NULL)
        f->upload->at = 0;
}

static void sparp__task_begin_attempt(sparp__task *t, int64_t now) {
    t->redirects = 0;
    sparp__task_begin_hop(t);
    t->fly.sent = false;
    t->fly.started_at = now;
    if (t->attempts++ == 0)
        t->deadline = sparp__time_after(now, t->patience);
}

/* What the connection knows of this attempt so far. */
static void sparp__task_take_times(const sparp__task *t, sparp__answer *a, int64_t now) {
    const sparp__conn *c = t->fly.conn;
    memset(a->phase_ns, 0, sizeof a->phase_ns);
    a->elapsed = now - t->fly.started_at;
    a->phase = sparp__conn_phase(c);
    if (c->state == SPARP__CONN_DIALLING)
        sparp__dial_times(c->dial, now, a->phase_ns);
    else if (!t->fly.reused)
        memcpy(a->phase_ns, c->dial_ns, sizeof c->dial_ns);
    if (c->started_at == 0 || c->state < SPARP__CONN_OPEN)
        return;
    int64_t sent_at = c->sent_at, first_at = sparp__conn_waits(c) ? now : c->first_at;
    if (sent_at > first_at)             /* the answer came before all was sent */
        sent_at = first_at;
    a->phase_ns[SPARP_PHASE_SEND] = sent_at - c->started_at;
    a->phase_ns[SPARP_PHASE_FIRST_BYTE] = first_at - sent_at;
    a->phase_ns[SPARP_PHASE_BODY] = now - first_at;
}

/* Moves all that an attempt measures its time from. */
static void sparp__task_postpone(sparp__task *t, int64_t ns) {
    sparp__conn *c = t->fly.conn;
    int64_t *marks[] = {&c->started_at, &c->sent_at, &c->first_at, &t->fly.held_at};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (*marks[i] != 0)
            *marks[i] += ns;
    t->fly.started_at += ns;
    c->active_at += ns;
    c->free_at += ns;
    c->speed_at += ns;
    c->due = sparp__time_after(c->due, ns);
    if (c->dial != NULL)
        sparp__dial_postpone(c->dial, ns);
}

/* Bytes that read_body is asked for at a time. */
#define SPARP__UPLOAD_SIZE ((SPARP_BUFFER_SIZE < 32768 ? SPARP_BUFFER_SIZE : 32768) - 16)
#define SPARP__CHUNK_ROOM 8             /* "7fff" CR LF before them, and a little */

/* Frames what read_body wrote behind CHUNK_ROOM bytes (RFC 9112 §7.1), and says where it is. */
static sparp__str sparp__task_frame_chunk(sparp__upload *u, size_t size) {
    static const char hex[] = "0123456789abcdef";
    char *at = u->buf.data + SPARP__CHUNK_ROOM;
    memcpy(at + size, "\r\n", 2);
    *--at = '\n';
    *--at = '\r';
    size_t left = size;
    do {
        *--at = hex[left & 15];
        left >>= 4;
    } while (left > 0);
    return sparp__str_make(at, (size_t)(u->buf.data + SPARP__CHUNK_ROOM - at) + size + 2);
}

static bool sparp__task_add_body(sparp__env *env, sparp__answer *a, sparp__str piece) {
    return sparp__buf_reserve(env, &a->body, piece.size + 1)
        && sparp__buf_add(env, &a->body, piece);
}

/* RFC 9110 §9.2.2: what is not idempotent is safe to send again only if nothing of it was sent. */
static bool sparp__task_may_repeat(const sparp__task *t, const sparp_options *o,
                                   sparp__cause cause) {
    bool safe = t->request.replay_safe || (cause != SPARP__CAUSE_SOFT_FAIL && !t->fly.sent);
    if (cause == SPARP__CAUSE_TRANSPORT)
        return !sparp__judge_permanent(sparp__task_error(t)) && (safe || o->retry_unsafe);
    return safe || !o->retry_safe_only;
}

static bool sparp__task_retries_left(const sparp__task *t, const sparp_options *o,
                                     sparp__cause cause) {
    return t->retries[cause] < sparp__judge_max_retries(o, cause)
        && sparp__task_may_repeat(t, o, cause);
}

/* The answer's part of the user's view. */
static void sparp__task_show_answer(const sparp__task *t, sparp_result *r) {
    const sparp__answer *a = t->fly.answer;
    char *body = a->lent != NULL ? a->lent : a->body.data;
    if (a->http.has_head) {
        r->headers = a->http.fields;
        r->num_headers = a->http.num_fields;
    }
    if (body != NULL) {
        r->body = body;
        r->body_size = a->lent != NULL ? a->lent_size : a->body.size;
        body[r->body_size] = '\0';
    }
    r->body_bytes = a->taken;
    r->phase = a->phase;
    for (int i = 0; i < SPARP_PHASE_COUNT; i++)
        if (a->phase_ns[i] > 0)         /* on a connection that was open few are */
            r->phase_us[i] = a->phase_ns[i] / 1000;
    r->elapsed_us = a->elapsed / 1000;
}

/* The user's view. It points into the task and its answer. */
static void sparp__task_result(const sparp__task *t, int64_t now, sparp_result *r) {
    memset(r, 0, sizeof *r);
    r->index = t->index;
    r->user_data = t->user_data;
    r->method = sparp__request_method(&t->request);
    r->url = sparp__request_url(&t->request);
    r->final_url = sparp__request_final_url(sparp__task_wire(t));
    r->redirects = t->redirects;
    r->outcome = t->outcome;
    r->detail = r->body = "";
    if (t->fault != NULL) {
        r->error = t->fault->error;
        r->sys_error = t->fault->sys_error;
        r->detail = t->fault->detail;
    }
    r->status = t->status;
    if (t->fly.answer != NULL)
        sparp__task_show_answer(t, r);
    r->body_complete = t->fly.body_complete;
    r->truncated = t->fly.truncated;
    r->maybe_applied = t->fly.unsure && !t->request.replay_safe
        && (t->state != SPARP__TASK_ENDED || t->outcome != SPARP_OUTCOME_SUCCESS);
    r->reused = t->fly.reused;
    r->parsed = t->parsed;
    r->attempts = t->attempts;
    r->soft_retries = t->retries[SPARP__CAUSE_SOFT_FAIL];
    r->timeout_retries = t->retries[SPARP__CAUSE_TIMEOUT];
    r->transport_retries = t->retries[SPARP__CAUSE_TRANSPORT];
    r->replays = t->replays;
    r->cost = t->booked + t->fly.booked;
    r->bytes_in = t->fly.bytes_in;
    r->bytes_out = t->fly.bytes_out;
    for (int i = 0; i < SPARP_WAIT_COUNT; i++) {
        if (t->waited[i] == 0)
            continue;
        r->wait_us[i] = t->waited[i] / 1000;
        r->waited_us += r->wait_us[i];
    }
    r->wait_cost_us = t->waited_for_cost / 1000;
    r->total_us = (now - t->pulled_at) / 1000;
}

/* Once the body is whole: makes of it what the user wants. Once for each request. */
static void sparp__task_parse(sparp__task *t, const sparp_options *o, int64_t now) {
    sparp_result result;
    if (!t->fly.body_complete || o->parse == NULL || t->is_parsed)
        return;
    sparp__task_result(t, now, &result);
    t->parsed = o->parse(&result, o->user_data);
    t->is_parsed = true;
}

/* ============================================================================================ */
/* >>patience   how long each phase of an attempt may take, and when it is given up. Pure.       */
/*              Uses base, dial, conn, task.                                                     */
/* ============================================================================================ */

#define SPARP__DRAIN_NS (100 * SPARP__NS_PER_MS)        /* a body that nobody wants, to its end */

typedef struct sparp__patience {        /* of sparp_options, in nanoseconds; NEVER: no limit */
    int64_t connect, idle, dns, tls, send, first_byte, speed;
    double  speed_bytes;                /* so many at least in `speed` */
} sparp__patience;

static int64_t sparp__patience_time(double seconds) {
    return seconds > 0 ? sparp__time_from_s(seconds) : SPARP__NEVER;
}

static void sparp__patience_set(sparp__patience *p, const sparp_options *o) {
    p->connect = sparp__patience_time(o->connect_timeout_s);
    p->idle = sparp__patience_time(o->idle_timeout_s);
    p->dns = sparp__patience_time(o->dns_timeout_s);
    p->tls = sparp__patience_time(o->tls_timeout_s);
    p->send = sparp__patience_time(o->send_timeout_s);
    p->first_byte = sparp__patience_time(o->first_byte_timeout_s);
    p->speed = o->min_bytes_per_second > 0 ? sparp__patience_time(o->min_speed_s) : SPARP__NEVER;
    p->speed_bytes = o->min_bytes_per_second * o->min_speed_s;
}

/* The nearer one of two ends of patience, and what it is called. */
static void sparp__patience_nearer(int64_t from, int64_t patience, const char *name, int64_t *due,
                                   const char **what) {
    int64_t at = sparp__time_after(from, patience);
    if (at >= *due)
        return;
    *due = at;
    *what = SPARP__SENTENCES ? name : "";
}

/* The same of a connection that is not open yet. */
static void sparp__patience_nearer_dial(const sparp__patience *p, const sparp__dial *d,
                                        int64_t *due, const char **what) {
    bool resolving = d->state == SPARP__DIAL_RESOLVING;
    sparp__patience_nearer(d->active_at, p->idle, "the connection was silent, after", due, what);
    sparp__patience_nearer(d->opened_at, p->connect,
                           resolving ? "no address after" : "no connection after", due, what);
    if (resolving)
        sparp__patience_nearer(d->opened_at, p->dns, "no address after", due, what);
    else if (d->state == SPARP__DIAL_SHAKING || d->state == SPARP__DIAL_FOLLOWING)
        sparp__patience_nearer(d->connected_at, p->tls, "no TLS connection after", due, what);
}

/* When an attempt has to do something, or is given up: then *what says why. */
static int64_t sparp__patience_due(const sparp__patience *p, const sparp__task *t,
                                   const sparp__conn *c, const char **what) {
    int64_t due = t->deadline;
    *what = "the request's deadline has passed, after";
    if (t->fly.held_at != 0)
        return due;
    sparp__patience_nearer(t->fly.started_at, t->fly.timeout, "the attempt took more than", &due,
                           what);
    if (c->state == SPARP__CONN_DIALLING) {
        sparp__patience_nearer_dial(p, c->dial, &due, what);
        return due;
    }
    if (!c->muted && !c->unfed)
        sparp__patience_nearer(c->active_at, p->idle, "the connection was silent, after", &due,
                               what);
    if (sparp__task_has_enough(t))
        sparp__patience_nearer(c->first_at, SPARP__DRAIN_NS, "an unwanted body, after", &due, what);
    if (c->state == SPARP__CONN_SENDING)
        sparp__patience_nearer(c->started_at, p->send, "the request was not sent after", &due,
                               what);
    else if (c->state == SPARP__CONN_READING && sparp__conn_waits(c))
        sparp__patience_nearer(c->sent_at, p->first_byte, "no byte of an answer after", &due, what);
    return due;
}

/* What it waits for besides; NEVER: nothing. */
static int64_t sparp__patience_other_due(const sparp__conn *c) {
    return c->dial != NULL ? c->dial->due : c->asks ? c->due : SPARP__NEVER;
}

/* When its connection has to be looked at again. */
static int64_t sparp__patience_alarm(const sparp__patience *p, const sparp__task *t,
                                     const sparp__conn *c) {
    const char *what;
    int64_t due = sparp__patience_due(p, t, c, &what);
    if (t->fly.held_at == 0)
        due = sparp__min(due, sparp__patience_other_due(c));
    if (p->speed != SPARP__NEVER && c->state >= SPARP__CONN_SENDING)
        due = sparp__min(due, sparp__time_after(c->speed_at, p->speed));
    return due;
}

/* The time in which min_bytes_per_second is counted is over. True: there were enough bytes, or it
   has not been the peer's turn to have any, for all that time. */
static bool sparp__patience_is_fast(const sparp__patience *p, sparp__conn *c, int64_t now) {
    uint64_t bytes = c->bytes_in + c->bytes_out, before = c->speed_bytes;
    bool moving = (c->state == SPARP__CONN_SENDING || !sparp__conn_waits(c))
        && c->free_at <= c->speed_at;
    c->speed_at = now;
    c->speed_bytes = bytes;
    return !moving || c->muted || c->unfed || c->asks || (double)(bytes - before) >= p->speed_bytes;
}

/* ============================================================================================ */
/* >>engine     one attempt after another: connect, send, head, body, hop. Tasks come in by      */
/*              sparp__engine_start, and go out by the list `ended`. It calls nobody above.      */
/*              Uses base, env, wake, buf, heap, pace, bucket, url, http, inflate, resolve,      */
/*              route, request, reactor, trust, stream, dial, conn, pool, judge, task, patience. */
/* ============================================================================================ */

#define SPARP__WAKE_TAG UINT32_MAX      /* of the pipe */
#define SPARP__DRAIN_MAX (64 * 1024)    /* unwanted bytes read to keep a connection */
#define SPARP__SHAKES_A_TURN 8          /* steps of TLS handshakes between two looks at the rest */
#define SPARP__LATE_READS 32            /* all that a socket holds, but no more than that */
#define SPARP__STALL_NS (250 * SPARP__NS_PER_MS)        /* longer than what we compute in a turn */

typedef struct sparp__spares {          /* what is used again */
    sparp__answers  answers;
    sparp__dial    *dials;
    struct sparp__inflate *inflaters;
    sparp__request  hop;                /* where the next hop of a request is made */
    sparp__buf      target;             /* and its url */
} sparp__spares;

typedef struct sparp__engine {          /* zeroed, then sparp__engine_open() */
    sparp__env     env;
    sparp__net     net;
    sparp__pools   pools;
    sparp__wake    wake;
    const sparp_options *options;       /* the run's, with every default filled in */
    sparp__patience patience;
    sparp__pace   *pace;                /* the run's */
    bool           may_lend;            /* results are shown before anything else is received */
    sparp__tally   tally;
    int64_t        now;
    uint64_t       turn;                /* counts looks */

    sparp__conn  **conns;               /* by index, see sparp__conn.tag */
    size_t         num_conns, conns_capacity, max_conns;
    sparp__list    free_conns;          /* linked by .idle */
    sparp__heap    timers;              /* of connections */
    sparp__list    held;                /* flights that wait for their token */
    sparp__list    suspended;           /* connections whose user said: later */
    sparp__list    ended;               /* flights, for the scheduler to take */

    sparp__event  *events;              /* of this look, SPARP_EVENTS of them */
    int            num_events, next_event;
    sparp__lookup *lookup;              /* has ended, and some still wait for it; NULL: none */
    size_t         num_news;            /* suspended connections that go on in this turn */
    int            shakes;              /* handshake steps in this turn */
    int64_t        deadline;            /* the run's: what has arrived by then is read before */
    size_t         unseen;              /* looks that it takes to have seen every event; 0: have */
    bool           saw_idle;            /* all were, and nothing has happened since */
    bool           woken, news;         /* by the pipe; by the user */
    sparp__spares  spares;
} sparp__engine;

/* --- connections ------------------------------------------------------------------------------ */

static void sparp__engine_drop_dial(sparp__engine *e, sparp__conn *c) {
    sparp__dial *d = c->dial;
    if (d == NULL)
        return;
    sparp__dial_close(&e->net, d);
    d->next = e->spares.dials;
    e->spares.dials = d;
    c->dial = NULL;
}

/* The next connection in this place gets another generation, so that what the reactor still has
   to say about this one is known as stale. */
static void sparp__engine_drop_conn(sparp__engine *e, sparp__conn *c) {
    if (c->muted || c->unfed)
        sparp__list_remove(&e->suspended, &c->suspended);
    sparp__engine_drop_dial(e, c);
    sparp__conn_end_leading(c);
    sparp__conn_close(&e->net, c);
    sparp__heap_remove(&e->timers, &c->timer);
    sparp__pools_put(&e->env, &e->pools, sparp__pool_of(c));
    c->peer = NULL;
    c->user = NULL;
    c->tag += UINT32_C(1) << SPARP__CONN_INDEX_BITS;
    sparp__list_push_front(&e->free_conns, &c->idle);
}

static void sparp__engine_drop_idle(sparp__engine *e, sparp__conn *c) {
    sparp__pools_remove_idle(&e->pools, c);
    sparp__engine_drop_conn(e, c);
}

static bool sparp__engine_drop_oldest_idle(sparp__engine *e) {
    sparp__conn *c = sparp__pools_oldest(&e->pools);
    if (c != NULL)
        sparp__engine_drop_idle(e, c);
    return c != NULL;
}

static sparp__conn *sparp__engine_grow_conns(sparp__engine *e) {
    if (e->num_conns == e->conns_capacity) {
        void *conns = sparp__env_grow(&e->env, e->conns, &e->conns_capacity, e->num_conns + 1,
                                      sizeof *e->conns);
        if (conns == NULL)
            return NULL;
        e->conns = (sparp__conn **)conns;
    }
    if (!sparp__heap_reserve(&e->env, &e->timers, e->num_conns + 1))
        return NULL;
    sparp__conn *c = (sparp__conn *)sparp__env_zalloc(&e->env, sizeof *c);
    if (c == NULL)
        return NULL;
    c->tag = (uint32_t)e->num_conns;
    e->conns[e->num_conns++] = c;
    return c;
}

/* A closed connection to be opened. Never more at a time than max_conns: the idle give way. */
static sparp__conn *sparp__engine_new_conn(sparp__engine *e) {
    if (e->free_conns.count == 0 && e->num_conns >= e->max_conns)
        sparp__engine_drop_oldest_idle(e);
    sparp__link *link = sparp__list_pop_front(&e->free_conns);
    return link != NULL ? SPARP__OWNER(sparp__conn, idle, link) : sparp__engine_grow_conns(e);
}

/* An idle connection that is still good. One that was idle when this turn's events were asked
   for, and is not among them, is: neither EOF nor stray bytes have come. Where that was not said
   (too many events at once, or answers were dealt with since) the socket itself is asked, for one
   more system call. */
static sparp__conn *sparp__engine_idle_conn(sparp__engine *e, const sparp__pool *pool) {
    sparp__conn *c;
    while ((c = sparp__pools_take_idle(&e->pools, pool)) != NULL) {
        bool quiet = e->saw_idle && c->idle_turn < e->turn;
        if (c->timer.due > e->now
            && (quiet || sparp__stream_is_quiet(&c->stream)))
            return c;
        sparp__engine_drop_conn(e, c);
    }
    return NULL;
}

static sparp__dial *sparp__engine_new_dial(sparp__engine *e) {
    sparp__dial *d = e->spares.dials;
    if (d == NULL)
        return (sparp__dial *)sparp__env_zalloc(&e->env, sizeof *d);
    e->spares.dials = d->next;
    return d;
}

/* --- the end of an attempt -------------------------------------------------------------------- */

/* Where what this attempt brings is kept. NULL: out of memory. */
static sparp__answer *sparp__engine_answer(sparp__engine *e, sparp__task *t) {
    if (t->fly.answer == NULL)
        t->fly.answer = sparp__answers_get(&e->env, &e->spares.answers,
                                           sparp__task_wire(t)->is_head,
                                           (size_t)e->options->max_head_bytes);
    return t->fly.answer;
}

/* Where to say what went wrong. */
static sparp__fault *sparp__engine_fault(sparp__engine *e, sparp__task *t) {
    sparp__answer *a = sparp__engine_answer(e, t);
    if (a == NULL) {
        sparp__task_blame_memory(t);
        return &e->net.fault;           /* nobody will look there */
    }
    t->fault = &a->fault;
    return &a->fault;
}

static void sparp__engine_blame(sparp__engine *e, sparp__task *t, const sparp__fault *fault) {
    sparp__fault *own = sparp__engine_fault(e, t);
    if (own != fault)
        *own = *fault;
}

static void sparp__task_count_bytes(sparp__task *t, const sparp__conn *c) {
    t->fly.bytes_in += c->bytes_in;
    t->fly.bytes_out += c->bytes_out;
}

/* It waits for its token no more. What it waited was ours: it does not count in the attempt. */
static void sparp__engine_unhold(sparp__engine *e, sparp__task *t) {
    sparp__flight *f = &t->fly;
    if (f->held_at == 0)
        return;
    sparp__list_remove(&e->held, &t->here);
    f->started_at += e->now - f->held_at;
    t->waited[SPARP_WAIT_RATE] += e->now - f->held_at;
    e->tally.held_us += (e->now - f->held_at) / 1000;
    if (f->held_for_cost) {
        t->waited_for_cost += e->now - f->held_at;
        e->tally.held_cost_us += (e->now - f->held_at) / 1000;
    }
    f->held_at = 0;
}

/* What decoded its body is free for another one. */
static void sparp__engine_end_inflating(sparp__engine *e, sparp__answer *a) {
#if SPARP__ZLIB
    if (a->inflate == NULL)
        return;
    a->inflate->next = e->spares.inflaters;
    e->spares.inflaters = a->inflate;
    a->inflate = NULL;
#else
    (void)e;
    (void)a;
#endif
}

/* The scratch is free again: until something is received, what is in there stays. Of a body that
   did not come to its end, what there is is kept. */
static void sparp__engine_end_lending(sparp__engine *e, sparp__conn *c, sparp__answer *a) {
    if (c->rest == NULL)
        return;
    c->rest = NULL;
    c->rest_size = 0;
    sparp__net_take_back(&e->net, a->lent);
    if (a->http.state == SPARP__HTTP_DONE)
        return;
    sparp__task_add_body(&e->env, a, sparp__str_make(a->lent, a->lent_size));
    a->lent = NULL;
}

/* The end of an attempt, as far as its connection goes. */
static void sparp__engine_detach(sparp__engine *e, sparp__task *t, bool reusable) {
    sparp__conn *c = t->fly.conn;
    sparp__answer *a = sparp__engine_answer(e, t);
    if (c->state >= SPARP__CONN_SENDING && c->exchanges == 0 && !c->answered)
        sparp__peer_avoid(c->peer, c->address);
    int64_t expiry = a != NULL && reusable && a->http.keep_alive
        ? sparp__pool_expiry(a->http.keep_alive_s, e->now) : 0;
    sparp__engine_unhold(e, t);
    if (a != NULL) {
        sparp__engine_end_inflating(e, a);
        sparp__engine_end_lending(e, c, a);
        sparp__task_take_times(t, a, e->now);
    }
    sparp__task_count_bytes(t, c);
    t->fly.conn = NULL;
    c->user = NULL;
    c->http = NULL;
    if (expiry > 0) {
        c->idle_turn = e->turn;
        sparp__buf_reuse(&e->env, &c->stash);
        sparp__stream_rest(&c->stream);
        sparp__heap_set(&e->timers, &c->timer, expiry);
        sparp__pools_add_idle(&e->pools, c);
    } else {
        sparp__engine_drop_conn(e, c);
    }
}

/* The task's attempt is over and its connection gone: it is the scheduler's again. */
static void sparp__engine_end(sparp__engine *e, sparp__task *t, sparp__end end) {
    if (t->fly.pool != NULL)
        sparp__pools_put(&e->env, &e->pools, t->fly.pool);
    t->fly.pool = NULL;
    t->fly.end = end;
    sparp__list_push_back(&e->ended, &t->here);
}

/* The same for an attempt that still has its connection. */
static void sparp__engine_end_attempt(sparp__engine *e, sparp__task *t, sparp__end end,
                                      bool reusable) {
    sparp__flight *f = &t->fly;
    bool sent = f->conn->bytes_out > 0;
    if (end == SPARP__END_FAULT)
        f->sent = (sent || t->redirects > 0)
            && sparp__judge_cause(sparp__task_error(t)) != SPARP__CAUSE_LOCAL;
    f->unsure = f->unsure || f->sent || (end == SPARP__END_CUT && sent);
    sparp__engine_detach(e, t, reusable);
    sparp__engine_end(e, t, end);
}

/* For the reason that t->fault says. Always false: the attempt is over. */
static bool sparp__engine_end_faulty(sparp__engine *e, sparp__task *t, bool reusable) {
    sparp__engine_end_attempt(e, t, SPARP__END_FAULT, reusable);
    return false;
}

static sparp_verdict sparp__engine_ask(sparp__engine *e, sparp__task *t) {
    sparp_result response;
    if (e->options->inspect == sparp_default_inspect)   /* which needs no result to be made */
        return sparp__judge_status(t->status);
    sparp__hand hand;
    sparp__task_result(t, e->now, &response);
    sparp__pace_show(e->pace, &hand, t->index, response.cost, t->fly.write);
    sparp_verdict verdict = e->options->inspect(&response, e->options->user_data);
    t->fly.booked += sparp__pace_hide(e->pace, &hand);
    if (verdict == SPARP_NEED_BODY && !t->fly.body_complete)
        return verdict;
    t->fly.odd_verdict = verdict != SPARP_SUCCESS && verdict != SPARP_SOFT_FAIL
        && verdict != SPARP_HARD_FAIL;
    return t->fly.odd_verdict ? SPARP_HARD_FAIL : verdict;
}

/* --- redirects -------------------------------------------------------------------------------- */

/* Makes spares.hop the next hop. False: out of memory. */
static bool sparp__engine_build_hop(sparp__engine *e, const sparp__task *t,
                                    const sparp__url *url) {
    const sparp__request *from = sparp__task_wire(t);
    const char *method = sparp__request_method(from);
    sparp__turn turn;
    bool becomes_get = sparp__judge_becomes_get(t->status, method);
    turn.method = becomes_get ? "GET" : method;
    turn.options = e->options;
    turn.keep_body = !becomes_get;
    turn.keep_expect = t->status != 417;
    turn.same_origin = sparp__request_same_origin(from, url);
    return sparp__request_build_hop(&e->env, &e->spares.hop, from, url, &turn);
}

/* The url that Location leads to, in spares.target. False: out of memory. */
static bool sparp__engine_resolve(sparp__engine *e, const sparp__task *t, const char *location) {
    const sparp__request *from = sparp__task_wire(t);
    const char *base = sparp__request_final_url(from);
    sparp__buf *target = &e->spares.target;
    size_t size = strlen(base) + 1, scheme = from->https ? 8 : 7;
    if (strncmp(base + scheme, "***@", 4) != 0)
        return sparp__url_resolve(&e->env, target, sparp__str_of(base), sparp__str_of(location));
    char *bare = (char *)sparp__env_realloc(&e->env, NULL, 0, size);
    if (bare == NULL)
        return false;
    memcpy(bare, base, scheme);
    memcpy(bare + scheme, base + scheme + 4, size - scheme - 4);
    bool ok = sparp__url_resolve(&e->env, target, sparp__str_of(bare), sparp__str_of(location));
    sparp__env_free(&e->env, bare, size);
    return ok;
}

/* The response at hand is a redirect, and complete: what follows from it? On false the attempt
   ends with the fault that is set. */
static bool sparp__engine_turn_to_hop(sparp__engine *e, sparp__task *t) {
    sparp__url url;
    const char *wrong = NULL;
    bool again = t->status == 417;      /* the same, without asking first */
    const char *location = sparp__judge_location(&t->fly.answer->http, &wrong);
    if (again)
        location = "";
    if (wrong == NULL && !again && t->redirects >= e->options->max_redirects)
        return sparp__fault_set(sparp__engine_fault(e, t), SPARP_E_REDIRECT_REFUSED, 0,
                                "more than %d redirects, the next one to %.80s",
                                e->options->max_redirects, sparp__judge_show(location));
    if (wrong == NULL && !sparp__engine_resolve(e, t, location))
        return sparp__task_blame_memory(t);
    if (wrong == NULL)
        wrong = sparp__judge_target(sparp__str_make(e->spares.target.data,
                                                           e->spares.target.size),
                                           sparp__task_wire(t)->https, &url);
    if (wrong == NULL)
        wrong = sparp__route_bad_proxy_to(e->options, &url);
    if (wrong != NULL)
        return sparp__fault_set(sparp__engine_fault(e, t), SPARP_E_REDIRECT_REFUSED, 0,
                                "redirect to %.60s refused: %s", sparp__judge_show(location),
                                wrong);
    if (t->hop == NULL)
        t->hop = (sparp__request *)sparp__env_zalloc(&e->env, sizeof *t->hop);
    if (t->hop == NULL || !sparp__engine_build_hop(e, t, &url))
        return sparp__task_blame_memory(t);
    sparp__request spare = *t->hop;
    *t->hop = e->spares.hop;
    e->spares.hop = spare;
    t->on_hop = true;
    t->redirects += !again;
    return true;
}

/* The redirect's response is complete, or as complete as we want it. */
static void sparp__engine_on_redirect(sparp__engine *e, sparp__task *t, bool reusable) {
    const sparp__answer *a = t->fly.answer;
    bool follows = sparp__engine_turn_to_hop(e, t);
    t->fly.body_complete = a->http.state == SPARP__HTTP_DONE
        && a->seen <= (uint64_t)e->options->max_body_bytes;
    sparp__engine_end_attempt(e, t, follows ? SPARP__END_HOP : SPARP__END_FAULT, reusable);
}

/* --- bodies ----------------------------------------------------------------------------------- */

/* The response is complete, or as complete as we want it. */
static void sparp__engine_on_response(sparp__engine *e, sparp__task *t, bool reusable) {
    sparp__flight *f = &t->fly;
    if (SPARP__REDIRECTS && f->redirecting) {
        sparp__engine_on_redirect(e, t, reusable);
        return;
    }
    f->body_complete = !f->skip_body;
    if (e->options->parse != NULL || f->verdict == SPARP_NEED_BODY)
        sparp__task_take_times(t, f->answer, e->now);
    if (f->verdict == SPARP_NEED_BODY)
        f->verdict = sparp__engine_ask(e, t);
    if (f->odd_verdict)
        sparp__fault_set(sparp__engine_fault(e, t), SPARP_E_CALLBACK_FAILED, 0,
                         "inspect() returned a value that is no verdict");
    if (f->verdict != SPARP_SOFT_FAIL)  /* which may come again, whatever else happens */
        sparp__task_parse(t, e->options, e->now);
    sparp__engine_end_attempt(e, t, SPARP__END_RESPONSE, reusable);
}

/* The body has more bytes than max_body_bytes. The attempt is over: always false. */
static bool sparp__engine_on_too_long(sparp__engine *e, sparp__task *t) {
    if (e->options->truncate_body) {
        t->fly.truncated = true;
        sparp__engine_on_response(e, t, false);
        return false;
    }
    sparp__fault_set(sparp__engine_fault(e, t), SPARP_E_BODY_TOO_LARGE, 0,
                     "body exceeds max_body_bytes (%lld)",
                     (long long)e->options->max_body_bytes);
    return sparp__engine_end_faulty(e, t, false);
}

/* A large body, when nothing but parse() and on_result() will look at it, is not copied: it is
   shown where it was received, which takes 6 % off the cost of 100 KB. Nothing is received before
   that, and nothing stands behind it, where its NUL goes. If it is not here as a whole the scratch
   is its own until then, and the rest is received there. */
static bool sparp__engine_lend(sparp__engine *e, sparp__task *t, sparp__str data) {
    sparp__conn *c = t->fly.conn;
    sparp__answer *a = t->fly.answer;
    uintptr_t at = (uintptr_t)data.data - (uintptr_t)e->net.scratch;
    bool whole = a->http.state == SPARP__HTTP_DONE;
    uint64_t left = whole ? 0 : a->http.left, size = data.size + left;
    if (!e->may_lend || size <= SPARP__BUF_KEEP || a->inflate != NULL || a->body.size > 0
        || (t->fly.verdict != SPARP_SUCCESS && t->fly.verdict != SPARP_HARD_FAIL)
        || (!whole && a->http.state != SPARP__HTTP_LENGTH) || c->in.size > 0
        || at >= SPARP_BUFFER_SIZE || size >= SPARP_BUFFER_SIZE - at)
        return false;
    if (left > 0 && (c->stream.tls != NULL || size > (uint64_t)e->options->max_body_bytes
                     || !sparp__net_lend(&e->net)))
        return false;
    a->lent = (char *)(uintptr_t)data.data;
    a->lent_size = data.size;
    c->rest = left > 0 ? a->lent + data.size : NULL;
    c->rest_size = (size_t)left;
    return true;
}

/* False: out of memory. */
static bool sparp__engine_keep_body(sparp__engine *e, sparp__task *t, sparp__str data, bool over) {
    sparp__answer *a = t->fly.answer;
    if (a->lent != NULL) {              /* received behind what there was */
        a->lent_size += data.size;
        return true;
    }
    return (!over && sparp__engine_lend(e, t, data)) || sparp__task_add_body(&e->env, a, data);
}

/* What on_body() has to say to it. */
static sparp_flow sparp__engine_give_body(sparp__engine *e, sparp__task *t, sparp__str data,
                                          uint64_t offset) {
    const sparp_options *o = e->options;
    sparp_result head;
    sparp__task_result(t, e->now, &head);
    sparp_flow flow = o->on_body(&head, offset, data.data, data.size, o->user_data);
    if (flow != SPARP_FLOW_ON && flow != SPARP_FLOW_PAUSE && flow != SPARP_FLOW_ENOUGH)
        sparp__fault_set(sparp__engine_fault(e, t), SPARP_E_SINK_FAILED, 0,
                         "on_body could not take the data at offset %llu",
                         (unsigned long long)offset);
    return flow;
}

/* Decoded bytes of the body: kept, or given to on_body. False: the attempt is over. */
static bool sparp__engine_take_body(sparp__engine *e, sparp__task *t, sparp__str data) {
    const sparp_options *o = e->options;
    sparp__answer *a = t->fly.answer;
    uint64_t max = (uint64_t)o->max_body_bytes, offset = a->taken;
    uint64_t room = max > offset ? max - offset : 0;
    sparp_flow flow = SPARP_FLOW_ON;
    bool over = data.size > room;
    if (over)
        data.size = (size_t)room;
    a->taken += data.size;
    if (o->on_body != NULL && data.size > 0)
        flow = sparp__engine_give_body(e, t, data, offset);
    else if (o->on_body == NULL && !o->discard_body && !sparp__engine_keep_body(e, t, data, over))
        sparp__task_blame_memory(t);
    if (t->fault != NULL)
        return sparp__engine_end_faulty(e, t, false);
    if (flow == SPARP_FLOW_ENOUGH) {
        t->fly.truncated = true;
        sparp__engine_on_response(e, t, false);
        return false;
    }
    t->fly.muting = flow == SPARP_FLOW_PAUSE;
    return !over || sparp__engine_on_too_long(e, t);
}

#if SPARP__ZLIB

/* False: out of memory. */
static bool sparp__engine_begin_inflating(sparp__engine *e, sparp__answer *a,
                                          const char *encoding) {
    a->inflate = e->spares.inflaters;
    if (a->inflate != NULL)
        e->spares.inflaters = a->inflate->next;
    else
        a->inflate = sparp__inflate_new(&e->env);
    return a->inflate != NULL && sparp__inflate_start(a->inflate, sparp__str_of(encoding));
}

/* A piece of a coded body. False: the attempt is over. */
static bool sparp__engine_inflate(sparp__engine *e, sparp__task *t, sparp__str piece) {
    sparp__answer *a = t->fly.answer;
    const char *why = NULL;
    sparp__str data;
    if (a->seen > (uint64_t)e->options->max_body_bytes)
        return sparp__engine_on_too_long(e, t);
    for (;;) {
        switch (sparp__inflate_feed(a->inflate, &piece, &data, &why)) {
        case SPARP__INFLATE_PIECE:
            if (!sparp__engine_take_body(e, t, data))
                return false;
            if (!t->fly.muting)
                continue;
            a->unread = piece;
            return true;
        case SPARP__INFLATE_MORE:
            return true;
        case SPARP__INFLATE_BAD:
            sparp__fault_set(sparp__engine_fault(e, t), SPARP_E_ENCODING, 0, "the body %s", why);
            break;
        default:
            sparp__task_blame_memory(t);
        }
        return sparp__engine_end_faulty(e, t, false);
    }
}

#endif

/* The head says that a body follows, which we want. False: no memory to decode it. */
static bool sparp__engine_expect_body(sparp__engine *e, sparp__answer *a) {
#if SPARP__ZLIB
    char coding[64];
    if (e->options->compressed
        && sparp__judge_list(&a->http, "content-encoding", coding, sizeof coding)
        && sparp__inflate_wants(sparp__str_of(coding)))
        return sparp__engine_begin_inflating(e, a, coding);
#else
    (void)e;
    (void)a;
#endif
    return true;
}

/* The response is not the end of it: a redirect that is followed, or 417 to a request that asked
   before it sent its body (RFC 9110 §15.5.18), which goes without asking then. */
static bool sparp__engine_redirects(const sparp__engine *e, const sparp__task *t) {
    if (t->status == 417)
        return SPARP__REDIRECTS && sparp__task_wire(t)->expects;
    return e->options->max_redirects > 0 && sparp__judge_redirects(t->status)
        && sparp__judge_header(&t->fly.answer->http, "location") != NULL;
}

/* The head is there: what is it, if its body does not matter? */
static void sparp__engine_ask_early(sparp__engine *e, sparp__task *t, bool bodiless) {
    sparp__flight *f = &t->fly;
    f->redirecting = sparp__engine_redirects(e, t);
    if (f->redirecting)
        return;
    f->body_complete = bodiless;
    f->verdict = sparp__engine_ask(e, t);
    f->body_complete = false;
    f->skip_body = f->verdict == SPARP_SOFT_FAIL
        && sparp__task_retries_left(t, e->options, SPARP__CAUSE_SOFT_FAIL);
}

/* False: the attempt is over. */
static bool sparp__engine_on_head(sparp__engine *e, sparp__task *t) {
    sparp__flight *f = &t->fly;
    const sparp__http *h = &f->answer->http;
    uint64_t max = (uint64_t)e->options->max_body_bytes;
    bool bodiless = h->is_head_request || h->status == 204 || h->status == 304
        || (h->has_length && !h->chunked && h->left == 0);
    t->status = h->status;
    sparp__engine_ask_early(e, t, bodiless);
    bool unwanted = f->skip_body || f->redirecting;
    if (!bodiless && !unwanted && !sparp__engine_expect_body(e, f->answer)) {
        sparp__task_blame_memory(t);
        return sparp__engine_end_faulty(e, t, false);
    }
    if (bodiless || !h->has_length || h->chunked)
        return true;
    if (unwanted && h->left > SPARP__DRAIN_MAX) {
        sparp__engine_on_response(e, t, false);
        return false;
    }
    if (unwanted || h->left <= max || e->options->truncate_body)
        return true;
    sparp__fault_set(sparp__engine_fault(e, t), SPARP_E_BODY_TOO_LARGE, 0,
                     "Content-Length %llu exceeds max_body_bytes (%llu)",
                     (unsigned long long)h->left, (unsigned long long)max);
    return sparp__engine_end_faulty(e, t, false);
}

/* A redirect's body is kept in case that it is refused, but no more than any body may have. */
static bool sparp__engine_keep_redirect(sparp__engine *e, sparp__answer *a, sparp__str piece) {
    const sparp_options *o = e->options;
    uint64_t max = (uint64_t)o->max_body_bytes;
    uint64_t room = max > a->body.size ? max - a->body.size : 0;
    if (o->discard_body || o->on_body != NULL)
        return true;
    return sparp__task_add_body(&e->env, a, sparp__str_make(piece.data, piece.size < room
                                                            ? piece.size : (size_t)room));
}

/* False: the attempt is over. */
static bool sparp__engine_on_piece(sparp__engine *e, sparp__task *t, sparp__str piece) {
    sparp__answer *a = t->fly.answer;
    a->seen += piece.size;
#if SPARP__ZLIB
    if (a->inflate != NULL)
        return sparp__engine_inflate(e, t, piece);
#endif
    if (!t->fly.skip_body && !t->fly.redirecting)
        return sparp__engine_take_body(e, t, piece);
    if (a->seen > SPARP__DRAIN_MAX) {
        sparp__engine_on_response(e, t, false);
        return false;
    }
    if (t->fly.redirecting && !sparp__engine_keep_redirect(e, a, piece)) {
        sparp__task_blame_memory(t);
        return sparp__engine_end_faulty(e, t, false);
    }
    return true;
}

/* --- the life of an attempt ------------------------------------------------------------------- */

/* The connection is open. The token for the write is taken here, so that the server sees the
   pace that was asked for, however long look-ups and connects took. */
static sparp__conn_event sparp__engine_write(sparp__engine *e, sparp__task *t) {
    sparp__conn *c = t->fly.conn;
    if (!sparp__pace_take(e->pace, t->fly.write, t->cost, e->now)) {
        if (!sparp__conn_want_write(&e->net, c, false))
            return sparp__conn_fail_watching(&e->net);
        t->fly.held_at = e->now;
        t->fly.held_for_cost = sparp__pace_owes(e->pace, t->fly.write, t->cost, e->now);
        sparp__list_push_back(&e->held, &t->here);
        return SPARP__CONN_BUSY;
    }
    t->fly.booked += t->cost;
    if (t->fly.upload != NULL)
        t->fly.upload->at = 0;
    return sparp__conn_send(&e->net, c, sparp__task_wire(t), e->now);
}

/* Its dial has done something. */
static sparp__conn_event sparp__engine_on_dial(sparp__engine *e, sparp__conn *c,
                                               sparp__dial_event event) {
    if (event == SPARP__DIAL_BUSY)
        return SPARP__CONN_BUSY;
    if (event == SPARP__DIAL_FAILED) {
        e->net.fault = c->dial->fault;
        return SPARP__CONN_FAILED;
    }
    sparp__conn_on_dialled(c, e->now);
    sparp__engine_drop_dial(e, c);
    sparp__tally_connect(&e->tally, c);
    return SPARP__CONN_CONNECTED;
}

/* Begins a new connection. False: out of memory. */
static bool sparp__engine_dial(sparp__engine *e, sparp__task *t, sparp__conn_event *event) {
    sparp__dial *d = sparp__engine_new_dial(e);
    sparp__conn *c = d != NULL ? sparp__engine_new_conn(e) : NULL;
    if (c == NULL) {
        if (d != NULL) {
            d->next = e->spares.dials;
            e->spares.dials = d;
        }
        return false;
    }
    t->fly.reused = false;
    t->fly.conn = c;
    t->fly.pool->users++;
    c->user = t;
    c->peer = d->peer = &t->fly.pool->peer;
    d->owner = c;
    d->tag = c->tag;
    sparp__conn_open(c, d);
    *event = sparp__engine_on_dial(e, c, sparp__dial_open(&e->net, d, e->now));
    return true;
}

/* Gives the task a connection. False: out of memory. */
static bool sparp__engine_connect(sparp__engine *e, sparp__task *t, sparp__conn_event *event) {
    sparp__conn *c = sparp__engine_idle_conn(e, t->fly.pool);
    if (c == NULL)
        return sparp__engine_dial(e, t, event);
    t->fly.reused = true;
    t->fly.conn = c;
    c->user = t;
    e->tally.reuses++;
    c->bytes_in = c->bytes_out = 0;
    c->answered = false;
    c->started_at = 0;
    *event = sparp__engine_write(e, t);
    return true;
}

/* What comes on a connection used before, and is no answer, belongs to the one before: a line end
   behind its body, or the body of a HEAD. Then the connection is as good as closed. */
static bool sparp__engine_got_stray_bytes(sparp__engine *e, const sparp__task *t) {
    const sparp__conn *c = t->fly.conn;
    if (!t->fly.reused || c->exchanges == 0 || c->http == NULL || c->http->status != 0
        || e->net.fault.error != SPARP_E_PROTOCOL)
        return false;
    sparp__fault_set(&e->net.fault, SPARP_E_CLOSED, 0,
                     "bytes that are no answer came on a connection that was used before");
    return true;
}

/* A connection used before that ends without a byte of an answer was closed by the server while
   it lay idle: the request goes out once more, at once, on a new one (RFC 9112 §9.3.1). */
static bool sparp__engine_is_stale(sparp__engine *e, const sparp__task *t) {
    const sparp__conn *c = t->fly.conn;
    bool stray = sparp__engine_got_stray_bytes(e, t);
    sparp_error error = e->net.fault.error;
    return t->fly.reused && !t->fly.replayed && c->exchanges > 0 && (stray || !c->answered)
        && (error == SPARP_E_RESET || error == SPARP_E_CLOSED)
        && (sparp__task_wire(t)->replay_safe || c->bytes_out == 0);
}

/* No connection could be made for want of memory. Always false: the attempt is over. */
static bool sparp__engine_on_no_conn(sparp__engine *e, sparp__task *t) {
    sparp__task_blame_memory(t);
    sparp__engine_end(e, t, SPARP__END_FAULT);
    return false;
}

/* Once more, on a new connection. False: the attempt is over. */
static bool sparp__engine_replay(sparp__engine *e, sparp__task *t, sparp__conn_event *event) {
    sparp__engine_unhold(e, t);
    sparp__task_count_bytes(t, t->fly.conn);
    sparp__engine_drop_conn(e, t->fly.conn);
    t->fly.conn = NULL;
    if (t->fly.answer != NULL)
        sparp__answers_put(&e->env, &e->spares.answers, t->fly.answer);
    t->fly.answer = NULL;
    t->fly.replayed = true;
    t->replays++;
    e->tally.replays++;
    return sparp__engine_dial(e, t, event) || sparp__engine_on_no_conn(e, t);
}

/* The connection failed, for the reason in net.fault. True: the attempt goes on with another. */
static bool sparp__engine_on_failed(sparp__engine *e, sparp__task *t, sparp__conn_event *event) {
    const sparp__conn *c = t->fly.conn;
    if (e->net.fault.error == SPARP_E_OUT_OF_RESOURCES && c->state < SPARP__CONN_SENDING) {
        sparp__engine_blame(e, t, &e->net.fault);
        sparp__engine_end_attempt(e, t, SPARP__END_STARVED, false);
        while (sparp__engine_drop_oldest_idle(e))
            continue;
        return false;
    }
    if (sparp__task_has_enough(t)) {
        sparp__engine_on_response(e, t, false);         /* nobody wanted the rest */
        return false;
    }
    if (!sparp__engine_is_stale(e, t)) {
        sparp__engine_blame(e, t, &e->net.fault);
        return sparp__engine_end_faulty(e, t, false);
    }
    return sparp__engine_replay(e, t, event);
}

/* Asks read_body for more. False: t->fault says why there is none. */
static bool sparp__engine_read_body(sparp__engine *e, sparp__task *t, int64_t *n, size_t *room) {
    const sparp__request *r = sparp__task_wire(t);
    sparp__upload *u = t->fly.upload;
    if (u == NULL)
        u = t->fly.upload = (sparp__upload *)sparp__env_zalloc(&e->env, sizeof *u);
    if (u == NULL)
        return sparp__task_blame_memory(t);
    uint64_t left = r->body_size - u->at;
    *room = r->body_size > 0 && left < SPARP__UPLOAD_SIZE ? (size_t)left : SPARP__UPLOAD_SIZE;
    u->buf.size = 0;
    if (!sparp__buf_reserve(&e->env, &u->buf, SPARP__CHUNK_ROOM + SPARP__UPLOAD_SIZE + 2))
        return sparp__task_blame_memory(t);
    *n = r->read_body(u->at, u->buf.data + SPARP__CHUNK_ROOM, *room, t->user_data);
    if ((*n < 0 && *n != SPARP_LATER) || (*n > 0 && (uint64_t)*n > *room))
        return sparp__fault_set(sparp__engine_fault(e, t), SPARP_E_CALLBACK_FAILED, 0,
                                "read_body failed at offset %llu", (unsigned long long)u->at);
    if (*n == 0 && r->body_size > 0)
        return sparp__fault_set(sparp__engine_fault(e, t), SPARP_E_CALLBACK_FAILED, 0,
                                "read_body ended after %llu of %llu bytes",
                                (unsigned long long)u->at, (unsigned long long)r->body_size);
    return true;
}

/* Its user said: later. */
static void sparp__engine_suspend(sparp__engine *e, sparp__conn *c) {
    if (!c->muted && !c->unfed)
        sparp__list_push_back(&e->suspended, &c->suspended);
}

/* The connection has sent what it had of a streamed body. False: the attempt is over. */
static bool sparp__engine_on_wants(sparp__engine *e, sparp__task *t, sparp__conn_event *event) {
    const sparp__request *r = sparp__task_wire(t);
    int64_t n = 0;
    size_t room = 0;
    if (!sparp__engine_read_body(e, t, &n, &room))
        return sparp__engine_end_faulty(e, t, false);
    if (n == SPARP_LATER) {
        sparp__engine_suspend(e, t->fly.conn);
        *event = sparp__conn_unfeed(&e->net, t->fly.conn);
        return true;
    }
    sparp__upload *u = t->fly.upload;
    u->at += (uint64_t)n;
    sparp__str piece = sparp__str_make(u->buf.data + SPARP__CHUNK_ROOM, (size_t)n);
    bool last = r->body_size > 0 ? u->at == r->body_size : n == 0;
    if (r->body_size == 0)
        piece = n > 0 ? sparp__task_frame_chunk(u, (size_t)n) : sparp__str_of("0\r\n\r\n");
    *event = sparp__conn_give(&e->net, t->fly.conn, piece, last, e->now);
    return true;
}

/* on_body wants no more for now. */
static sparp__conn_event sparp__engine_mute(sparp__engine *e, sparp__task *t) {
    sparp__conn *c = t->fly.conn;
    bool listed = c->muted || c->unfed;
    t->fly.muting = false;
    sparp__conn_event event = sparp__conn_mute(&e->net, c, &t->fly.answer->unread);
    if (event == SPARP__CONN_BUSY && !listed)
        sparp__list_push_back(&e->suspended, &c->suspended);
    return event;
}

/* The response is complete. */
static void sparp__engine_on_done(sparp__engine *e, sparp__task *t) {
    const char *wrong = sparp__answer_check_coding(t->fly.answer);
    if (wrong == NULL) {
        sparp__engine_on_response(e, t, true);
        return;
    }
    sparp__fault_set(sparp__engine_fault(e, t), SPARP_E_ENCODING, 0, "the body %s", wrong);
    sparp__engine_end_faulty(e, t, true);
}

/* Follows an attempt from event to event until there is nothing more to do now. */
static void sparp__engine_follow(sparp__engine *e, sparp__task *t, sparp__conn_event event,
                                 sparp__str piece) {
    for (bool on = true; on;) {
        sparp__conn *c = t->fly.conn;
        switch (event) {
        case SPARP__CONN_BUSY:
            sparp__heap_set(&e->timers, &c->timer, sparp__patience_alarm(&e->patience, t, c));
            return;
        case SPARP__CONN_CONNECTED:
            event = sparp__engine_write(e, t);
            continue;
        case SPARP__CONN_HEAD:
            if (sparp__task_is_idle_408(t)) {
                on = sparp__engine_replay(e, t, &event);
                continue;
            }
            on = sparp__engine_on_head(e, t);
            break;
        case SPARP__CONN_PIECE:
            on = sparp__engine_on_piece(e, t, piece);
            break;
        case SPARP__CONN_DONE:
            sparp__engine_on_done(e, t);
            return;
        case SPARP__CONN_WANTS:
            on = sparp__engine_on_wants(e, t, &event);
            continue;
        default:
            on = sparp__engine_on_failed(e, t, &event);
            continue;
        }
        if (on && t->fly.muting)
            event = sparp__engine_mute(e, t);
        else if (on)
            event = sparp__conn_next(&e->net, c, &piece);
    }
}

/* The same for one that nothing was received for. */
static void sparp__engine_go_on(sparp__engine *e, sparp__task *t, sparp__conn_event event) {
    sparp__engine_follow(e, t, event, sparp__str_make(NULL, 0));
}

/* The origin's first TLS handshake is over: those that waited for it begin. */
static void sparp__engine_release_followers(sparp__engine *e, sparp__session *session) {
#if SPARP__TLS
    while (session->led && session->followers.count > 0) {
        sparp__dial *d = SPARP__OWNER(sparp__dial, waiter, session->followers.ring.next);
        sparp__conn *c = (sparp__conn *)d->owner;
        sparp__dial_event event = sparp__dial_stop_following(&e->net, d, e->now);
        sparp__engine_go_on(e, (sparp__task *)c->user, sparp__engine_on_dial(e, c, event));
    }
#else
    (void)e;
    (void)session;
#endif
}

/* --- start, cut, recall ----------------------------------------------------------------------- */

/* The addresses that sparp_options.resolve has for this way. False: out of memory. */
static bool sparp__engine_fix_addresses(sparp__engine *e, sparp__way *way) {
    sparp__address found[SPARP__DNS_MAX_ADDRESSES];
    size_t count = sparp__route_resolve(e->options->resolve, way->host, way->port, found,
                                        SPARP__DNS_MAX_ADDRESSES);
    if (count == 0)
        return true;
    way->fixed = (sparp__address *)sparp__env_realloc(&e->env, NULL, 0, count * sizeof *found);
    if (way->fixed == NULL)
        return false;
    memcpy(way->fixed, found, count * sizeof *found);
    way->num_fixed = count;
    return true;
}

/* Where a pool's connections go instead of straight to its origin: `proxy`, if not NULL. False:
   out of memory. */
static bool sparp__engine_find_way(sparp__engine *e, sparp__peer *peer,
                                   const sparp__proxy *proxy) {
    const sparp_options *o = e->options;
    if (!SPARP__PROXIES || peer->way != NULL
        || (proxy == NULL && o->connect_to == NULL && o->resolve == NULL))
        return true;
    sparp__way *way = (sparp__way *)sparp__env_zalloc(&e->env, sizeof *way);
    if (way == NULL)
        return false;
    way->proxied = proxy != NULL;
    if (proxy != NULL) {
        memcpy(way->host, proxy->host, sizeof way->host);
        way->port = proxy->port;
        way->credentials = proxy->userinfo;
    } else {
        sparp__route_connect_to(o->connect_to, peer->host, peer->port, way->host, &way->port);
    }
    if (sparp__engine_fix_addresses(e, way)) {
        peer->way = way;
        return true;
    }
    sparp__env_free(&e->env, way, sizeof *way);
    return false;
}

/* Where its connections are. NULL: out of memory. */
static sparp__pool *sparp__engine_find_pool(sparp__engine *e, const sparp__request *r) {
    const sparp_options *o = e->options;
    const char *host = sparp__request_host(r);
    sparp__proxy proxy;
    bool proxied = SPARP__PROXIES && (o->proxy != NULL || o->https_proxy != NULL)
        && sparp__route_proxy(o, host, r->port, r->https, &proxy);
    sparp__pool *pool = proxied && !r->https    /* one set of connections for all origins */
        ? sparp__pools_get(&e->env, &e->pools, proxy.host, proxy.port, false)
        : sparp__pools_get(&e->env, &e->pools, host, r->port, r->https);
    if (pool == NULL || sparp__engine_find_way(e, &pool->peer, proxied ? &proxy : NULL))
        return pool;
    sparp__pools_put(&e->env, &e->pools, pool);
    return NULL;
}

/* Begins an attempt, or the next hop of one. The task is the engine's until it is in `ended`. */
static void sparp__engine_start(sparp__engine *e, sparp__task *t) {
    sparp__conn_event event = SPARP__CONN_BUSY;
    sparp__pool *pool = t->fly.pool = sparp__engine_find_pool(e, sparp__task_wire(t));
    if (pool != NULL && sparp__engine_connect(e, t, &event))
        sparp__engine_go_on(e, t, event);
    else
        sparp__engine_on_no_conn(e, t);
    if (pool != NULL)
        sparp__engine_release_followers(e, &pool->peer.session);
}

static void sparp__engine_cut(sparp__engine *e, sparp__task *t) {
    sparp__engine_end_attempt(e, t, SPARP__END_CUT, false);
}

/* Those of an origin that are connected and wait for their token have not been sent: nor will
   they. The last one comes back first. */
static void sparp__engine_recall(sparp__engine *e, const sparp__meter *write) {
    for (sparp__link *at = e->held.ring.prev; at != &e->held.ring;) {
        sparp__task *t = SPARP__OWNER(sparp__task, here, at);
        at = at->prev;
        if (t->fly.write == write)
            sparp__engine_end_attempt(e, t, SPARP__END_RECALLED, false);
    }
}

/* --- one turn --------------------------------------------------------------------------------- */

/* Nanoseconds until the first of those that hold a connection may be written; *first: that one.
   They are few: as many as were let in while one of them connected. */
static int64_t sparp__engine_held_wait(const sparp__engine *e, sparp__task **first) {
    int64_t wait = SPARP__NEVER;
    for (sparp__link *at = e->held.ring.next; at != &e->held.ring && wait > 0; at = at->next) {
        sparp__task *t = SPARP__OWNER(sparp__task, here, at);
        int64_t own = sparp__pace_wait(e->pace, t->fly.write, t->cost, e->now);
        if (own < wait)
            *first = t;
        wait = sparp__min(wait, own);
    }
    return wait;
}

/* Lets the first of those go that hold an open connection and wait for their token alone. The
   connection may have gone bad meanwhile, as an idle one may. False: nobody's token is there. */
static bool sparp__engine_release(sparp__engine *e) {
    sparp__task *t = NULL;
    if (sparp__engine_held_wait(e, &t) != 0)
        return false;
    sparp__session *session = &t->fly.pool->peer.session;
    sparp__engine_unhold(e, t);
    sparp__engine_go_on(e, t, sparp__stream_is_quiet(&t->fly.conn->stream)
                        ? sparp__engine_write(e, t)
                        : sparp__conn_fail(&e->net, SPARP_E_CLOSED, 0,
                                           "before the request was sent"));
    sparp__engine_release_followers(e, session);
    return true;
}

/* Its alarm goes off. True: for nothing. */
static bool sparp__engine_on_alarm(sparp__engine *e, sparp__task *t) {
    sparp__conn *c = t->fly.conn;
    t->fly.started_at += sparp__dial_queued(c->dial, e->now);
    double s = (double)(e->now - t->fly.started_at) / (double)SPARP__NS_PER_S;
    const char *what;
    bool due = sparp__patience_due(&e->patience, t, c, &what) <= e->now;
    bool counted = e->patience.speed != SPARP__NEVER && c->state >= SPARP__CONN_SENDING
        && sparp__time_after(c->speed_at, e->patience.speed) <= e->now;
    if (!due && (!counted || sparp__patience_is_fast(&e->patience, c, e->now)))
        return true;
    if (sparp__task_has_enough(t)) {
        sparp__engine_on_response(e, t, false);
        return false;
    }
    if (!due)
        what = "slower than min_bytes_per_second, after";
    else if (sparp__conn_phase(c) == SPARP_PHASE_FIRST_BYTE && e->now < t->deadline)
        what = "no byte of an answer after";
    sparp__fault_set(sparp__engine_fault(e, t), SPARP_E_TIMEOUT, 0, "%s %.3g s", what, s);
    return sparp__engine_end_faulty(e, t, false);
}

/* Nothing has to be given up: what it waited for besides has come. */
static sparp__conn_event sparp__engine_on_other_due(sparp__engine *e, sparp__conn *c) {
    if (c->dial == NULL)
        return sparp__conn_go_ahead(&e->net, c, e->now);
    return sparp__engine_on_dial(e, c, sparp__dial_on_due(&e->net, c->dial, e->now));
}

static void sparp__engine_on_timer(sparp__engine *e, sparp__conn *c) {
    sparp__task *t = (sparp__task *)c->user;
    if (t == NULL) {
        sparp__engine_drop_idle(e, c);
        return;
    }
    sparp__session *session = &c->peer->session;
    if (sparp__patience_other_due(c) <= e->now)
        sparp__engine_go_on(e, t, sparp__engine_on_other_due(e, c));
    else if (sparp__engine_on_alarm(e, t))
        sparp__heap_set(&e->timers, &c->timer, sparp__patience_alarm(&e->patience, t, c));
    sparp__engine_release_followers(e, session);
}

/* The user has said that there is news: the next one of those that were told to wait goes on. */
static void sparp__engine_resume(sparp__engine *e) {
    sparp__conn *c = SPARP__OWNER(sparp__conn, suspended, sparp__list_pop_front(&e->suspended));
    sparp__task *t = (sparp__task *)c->user;
    sparp__answer *a = t->fly.answer;
    sparp__session *session = &c->peer->session;
    sparp__conn_event event = SPARP__CONN_PIECE;
    sparp__str piece = sparp__str_make(NULL, 0);
    bool muted = c->muted, unfed = c->unfed;
    c->unfed = false;
    if (muted) {
        piece = a->unread;
        a->unread.size = 0;
    }
    if (muted && unfed && !sparp__conn_want_write(&e->net, c, true))
        event = sparp__conn_fail_watching(&e->net);
    else if (muted && !sparp__conn_unmute(&e->net, c, e->now))
        event = SPARP__CONN_FAILED;
    else if (muted && piece.size == 0 && a->inflate == NULL)
        event = sparp__conn_next(&e->net, c, &piece);
    else if (unfed)
        event = SPARP__CONN_WANTS;
    c->active_at = c->free_at = e->now;
    sparp__engine_follow(e, t, event, piece);
    sparp__engine_release_followers(e, session);
}

/* One of those that waited for a look-up which has ended goes on. False: there are none. */
static bool sparp__engine_take_lookup(sparp__engine *e) {
    while (!SPARP__LOOKUPS || e->lookup == NULL || e->lookup->waiters.count == 0) {
        if (e->lookup != NULL)
            sparp__resolver_put(e->lookup);
        e->lookup = sparp__resolver_collect(&e->env, &e->net.resolver, e->now);
        if (e->lookup == NULL)
            return false;
        e->lookup->users++;             /* ours, while its waiters come and go */
    }
    sparp__dial *d = SPARP__OWNER(sparp__dial, waiter, e->lookup->waiters.ring.next);
    sparp__conn *c = (sparp__conn *)d->owner;
    sparp__task *t = (sparp__task *)c->user;
    sparp__session *session = &d->peer->session;
    t->fly.started_at += sparp__dial_queued(d, e->now);
    sparp__engine_go_on(e, t, sparp__engine_on_dial(e, c, sparp__dial_resume(&e->net, d, e->now)));
    sparp__engine_release_followers(e, session);
    return true;
}

/* The connection an event is for; NULL: it is gone. */
static sparp__conn *sparp__engine_conn_of(const sparp__engine *e, const sparp__event *event) {
    size_t index = event->tag & ((UINT32_C(1) << SPARP__CONN_INDEX_BITS) - 1);
    sparp__conn *c = index < e->num_conns ? e->conns[index] : NULL;
    return c != NULL && c->tag == event->tag && c->state != SPARP__CONN_CLOSED
        && (c->state == SPARP__CONN_DIALLING || c->stream.fd == event->fd) ? c : NULL;
}

/* What may happen to an open connection; and where the first byte of an answer needs a place. */
static sparp__conn_event sparp__engine_advance(sparp__engine *e, sparp__task *t,
                                               const sparp__event *event, sparp__str *piece) {
    sparp__conn *c = t->fly.conn;
    if (c->muted)
        return SPARP__CONN_BUSY;
    if (c->state == SPARP__CONN_OPEN)   /* it waits for its token */
        return sparp__stream_is_quiet(&c->stream) ? SPARP__CONN_BUSY
            : sparp__conn_fail(&e->net, SPARP_E_CLOSED, 0, "before the request was sent");
    if (c->http == NULL && sparp__engine_answer(e, t) == NULL) {
        sparp__fault_memory(&e->net.fault);
        return SPARP__CONN_FAILED;
    }
    c->http = &t->fly.answer->http;
    return sparp__conn_advance(&e->net, c, event, e->now, piece);
}

/* No step of a handshake is made if there were as many as `max_shakes` in this turn. */
static void sparp__engine_on_event(sparp__engine *e, const sparp__event *event, int max_shakes) {
    sparp__conn *c = sparp__engine_conn_of(e, event);
    sparp__str piece = sparp__str_make(NULL, 0);
    if (c == NULL || c->user == NULL)
        return;
    sparp__task *t = (sparp__task *)c->user;
    sparp__session *session = &c->peer->session;
    sparp__dial *d = c->dial;
    if (d == NULL) {
        sparp__engine_follow(e, t, sparp__engine_advance(e, t, event, &piece), piece);
    } else {
        /* A step of a handshake takes milliseconds of computing: the others come next turn. */
        bool shaking = d->state == SPARP__DIAL_SHAKING;
        if (shaking && e->shakes >= max_shakes)
            return;
        sparp__dial_event did = sparp__dial_advance(&e->net, d, event, e->now);
        if (shaking)
            e->shakes += sparp__stream_steps(&d->stream);
        sparp__engine_go_on(e, t, sparp__engine_on_dial(e, c, did));
    }
    sparp__engine_release_followers(e, session);
}

/* When it has to be woken if nothing happens before. */
static int64_t sparp__engine_next_due(const sparp__engine *e) {
    sparp__task *first = NULL;
    int64_t due = sparp__min(sparp__heap_next(&e->timers),
                             sparp__resolver_due(&e->net.resolver));
    return sparp__min(due, sparp__time_after(e->now, sparp__engine_held_wait(e, &first)));
}

/* On an idle connection the server has spoken, or left: it is of no use any more, unless it was
   TLS's own business. */
static void sparp__engine_drop_if_idle(sparp__engine *e, const sparp__event *event) {
    sparp__conn *c = sparp__engine_conn_of(e, event);
    if (c != NULL && c->user == NULL
        && (c->stream.tls == NULL || !sparp__stream_is_quiet(&c->stream)))
        sparp__engine_drop_idle(e, c);
}

/* How many events are taken at once: all that there can be, so that what is not among them is known
   to be good; but where those would be too many, only as many as are still in the cache when the
   next requests go out. */
static size_t sparp__engine_max_events(const sparp__engine *e) {
    return e->num_conns < SPARP_EVENTS ? SPARP_EVENTS : SPARP_EVENTS / 4;
}

/* Takes events, and closes what went bad while idle. True: all that had happened was seen. */
static bool sparp__engine_take_events(sparp__engine *e, int wait_ms) {
    size_t max = sparp__engine_max_events(e);
    errno = 0;
    e->num_events = sparp__reactor_wait(&e->net.reactor, wait_ms, e->events, max);
    e->next_event = 0;
    for (int i = 0; i < e->num_events; i++)
        if (e->events[i].tag != SPARP__WAKE_TAG)
            sparp__engine_drop_if_idle(e, &e->events[i]);
    return e->num_events > 0 ? (size_t)e->num_events < max : errno == 0;     /* EINTR saw none */
}

/* Time in which we did not look, because a callback or whoever takes the results blocked, is not
   the server's: what is in flight gets it back. */
static void sparp__engine_forgive(sparp__engine *e, int64_t now) {
    int64_t stall = now - e->now;
    e->now = sparp__max(e->now, now);
    if (stall < SPARP__STALL_NS)
        return;
    for (size_t i = 0; i < e->num_conns; i++) {
        sparp__conn *c = e->conns[i];
        sparp__task *t = (sparp__task *)c->user;
        if (t == NULL)
            continue;
        sparp__task_postpone(t, stall);
        sparp__heap_set(&e->timers, &c->timer, sparp__patience_alarm(&e->patience, t, c));
    }
}

/* The time after a wait. One that took far longer than it should was none: the process had been
   stopped, or starved. */
static void sparp__engine_wake_up(sparp__engine *e, int wait_ms) {
    int64_t now = sparp__env_now();
    if (wait_ms > 0 && now - e->now >= wait_ms * SPARP__NS_PER_MS + SPARP__STALL_NS)
        sparp__engine_forgive(e, now);
    e->now = now;
}

/* Begins a turn: waits. False, with errno: it cannot work. */
static bool sparp__engine_look(sparp__engine *e, int wait_ms) {
    e->saw_idle = sparp__engine_take_events(e, wait_ms);
    int error = errno;
    e->unseen = 1 + e->num_conns / sparp__engine_max_events(e);
    sparp__engine_wake_up(e, wait_ms);
    e->turn++;
    e->shakes = 0;
    e->woken = e->news = false;
    for (int i = 0; i < e->num_events && !e->woken; i++)
        if (e->events[i].tag == SPARP__WAKE_TAG) {
            e->woken = true;
            e->news = sparp__wake_drain(&e->wake);
        }
    e->num_news = e->news ? e->suspended.count : 0;
    errno = error;
    return e->num_events >= 0;
}

/* Its time is up, but not all that has arrived was read: an answer may be longer than one read.
   False: it has to wait for the next turn. */
static bool sparp__engine_read_late(sparp__engine *e, sparp__conn *c, sparp__task *t) {
    sparp__event event = {sparp__conn_fd(c), c->tag, SPARP__READABLE};
    if (c->dial != NULL && c->dial->state == SPARP__DIAL_SHAKING
        && e->shakes >= 2 * SPARP__SHAKES_A_TURN)
        return false;
    t->fly.late++;
    sparp__engine_on_event(e, &event, 2 * SPARP__SHAKES_A_TURN);
    return true;
}

/* Does the next thing of this turn: `ended` may have become longer then. False: it is over. */
static bool sparp__engine_step(sparp__engine *e) {
    e->saw_idle = false;                /* callbacks take their time */
    if (e->num_news > 0 && e->suspended.count > 0) {
        e->num_news--;                  /* each once, though it may say "later" again */
        sparp__engine_resume(e);
        return true;
    }
    if (e->woken && sparp__engine_take_lookup(e))
        return true;
    e->woken = false;
    while (e->next_event < e->num_events) {
        const sparp__event *event = &e->events[e->next_event++];
        if (event->tag == SPARP__WAKE_TAG)
            e->woken = true;            /* a lookup may have ended since; the rest can wait */
        else
            sparp__engine_on_event(e, event, SPARP__SHAKES_A_TURN);
        return true;
    }
    sparp__resolver_tend(&e->net.resolver, e->now);
    sparp__timer *timer = sparp__heap_due(&e->timers, e->now);
    if (timer == NULL && e->now < e->deadline)
        return false;
    /* Nobody is given up before his answer, if it has arrived by now, was read: the look of this
       turn may have been too small, was interrupted, or lies long back (a stopped process). */
    if (e->unseen > 0) {
        e->unseen = sparp__engine_take_events(e, 0) ? 0 : e->unseen - 1;
        return true;
    }
    if (timer == NULL)
        return false;
    sparp__conn *c = SPARP__OWNER(sparp__conn, timer, timer);
    sparp__task *t = (sparp__task *)c->user;
    if (t != NULL && t->fly.late < SPARP__LATE_READS && sparp__conn_has_more(c))
        return sparp__engine_read_late(e, c, t);
    sparp__heap_remove(&e->timers, timer);
    sparp__engine_on_timer(e, c);
    return true;
}

/* --- opening and closing ---------------------------------------------------------------------- */

static bool sparp__engine_open_reactor(sparp__engine *e, sparp__fault *fault) {
    return (sparp__reactor_open(&e->env, &e->net.reactor)
            && sparp__reactor_add(&e->env, &e->net.reactor, e->wake.fd[0], SPARP__WAKE_TAG,
                                  SPARP__READABLE))
        || sparp__fault_set(fault, SPARP_E_SYSTEM, errno, "%s: %s", sparp__reactor_name(),
                            strerror(errno));
}

/* `options` and `pace` must stay. False: *fault says why, and what was built so far is for
   sparp__engine_close, as after success. */
static bool sparp__engine_open(sparp__engine *e, const sparp__env *env,
                               const sparp_options *options, sparp__pace *pace,
                               sparp__fault *fault) {
    e->env = *env;
    e->options = options;
    e->pace = pace;
    e->max_conns = (size_t)options->max_at_once;
    e->deadline = SPARP__NEVER;
    sparp__list_init(&e->free_conns);
    sparp__list_init(&e->held);
    sparp__list_init(&e->suspended);
    sparp__list_init(&e->ended);
    sparp__patience_set(&e->patience, options);
    e->net.env = &e->env;
    e->net.options = options;
#if SPARP__TLS
    e->net.trust.options = &options->tls;
#endif
    if (options->local_address != NULL)
        sparp__address_parse(&e->net.local, options->local_address);
    e->now = sparp__env_now();
    e->events = (sparp__event *)sparp__env_realloc(&e->env, NULL, 0,
                                                   SPARP_EVENTS * sizeof *e->events);
    if (!sparp__pools_open(&e->env, &e->pools) || e->events == NULL)
        return sparp__fault_memory(fault);
    return sparp__wake_open(&e->wake, fault) && sparp__engine_open_reactor(e, fault)
        && sparp__resolver_open(&e->net.resolver, sparp__route_family(options), &e->wake,
                                fault);
}

static void sparp__engine_free_spares(sparp__engine *e) {
    sparp__answers_free(&e->env, &e->spares.answers);
    while (e->spares.dials != NULL) {
        sparp__dial *d = e->spares.dials;
        e->spares.dials = d->next;
        sparp__env_free(&e->env, d, sizeof *d);
    }
#if SPARP__ZLIB
    while (e->spares.inflaters != NULL) {
        sparp__inflate *z = e->spares.inflaters;
        e->spares.inflaters = z->next;
        sparp__inflate_free(&e->env, z);
    }
#endif
    sparp__buf_free(&e->env, &e->spares.hop.image);
    sparp__buf_free(&e->env, &e->spares.target);
}

/* Takes what is in flight out of the hands of its connection: nobody is told. */
static void sparp__engine_abandon(sparp__engine *e, sparp__conn *c) {
    sparp__task *t = (sparp__task *)c->user;
    if (t != NULL && t->fly.answer != NULL)
        sparp__engine_end_inflating(e, t->fly.answer);
    if (t != NULL) {
        if (t->fly.answer != NULL)
            sparp__answers_put(&e->env, &e->spares.answers, t->fly.answer);
        t->fly.answer = NULL;
        t->fly.conn = NULL;
        t->fly.pool = NULL;
    }
    sparp__engine_drop_dial(e, c);
    sparp__conn_close(&e->net, c);
    sparp__env_free(&e->env, c, sizeof *c);
}

/* Whatever state it is in. The tasks in flight stay with the scheduler, whose they are. Closed
   already is fine. */
static void sparp__engine_close(sparp__engine *e) {
    for (size_t i = 0; i < e->num_conns; i++)
        sparp__engine_abandon(e, e->conns[i]);
    sparp__env_free(&e->env, e->conns, e->conns_capacity * sizeof *e->conns);
    e->conns = NULL;
    e->num_conns = e->conns_capacity = 0;
    sparp__resolver_close(&e->env, &e->net.resolver);
    sparp__reactor_close(&e->env, &e->net.reactor);
    sparp__wake_close(&e->wake);
#if SPARP__TLS
    sparp__trust_free(&e->env, &e->net.trust);
#endif
    sparp__pools_close(&e->env, &e->pools);
    sparp__heap_free(&e->env, &e->timers);
    sparp__engine_free_spares(e);
    sparp__env_free(&e->env, e->events, SPARP_EVENTS * sizeof *e->events);
    e->events = NULL;
    for (size_t i = 0; i < SPARP__SCRATCH_MAX; i++)
        sparp__env_free(&e->env, e->net.scratches[i].data, SPARP_BUFFER_SIZE);
    memset(e->net.scratches, 0, sizeof e->net.scratches);
    e->net.scratch = NULL;
}

/* ============================================================================================ */
/* >>store      a result that nobody has seen yet: only what it is, in one block.                */
/*              Uses base, env, heap, pace.                                                      */
/* ============================================================================================ */

#define SPARP__STORE_ROUND 256         /* sizes go by so many bytes: a block fits the next one */
#define SPARP__STORE_KEEP 4096         /* a larger one is not used again */

typedef struct sparp__stored {
    sparp__link  link;                  /* in the order of the ends */
    sparp__timer timer;                 /* or of the indexes */
    size_t       size;                  /* of the block */
    struct sparp__limits *limits;       /* where it may be charged; NULL: nowhere */
    sparp_result result;                /* what it points at stands behind it */
} sparp__stored;

/* Bytes that live as long as the run: those of results that are kept till its end. */
typedef struct sparp__slab {
    struct sparp__slab *next;
    size_t size;                        /* of the block */
} sparp__slab;

#define SPARP__SLAB_SIZE (SPARP_BUFFER_SIZE < 65536 ? SPARP_BUFFER_SIZE : 65536)

typedef struct sparp__slabs {           /* zeroed: none */
    sparp__slab *all;
    size_t       left;                  /* bytes at the end of the first one */
} sparp__slabs;

static void sparp__slabs_free(sparp__env *env, sparp__slabs *s) {
    while (s->all != NULL) {
        sparp__slab *slab = s->all;
        s->all = slab->next;
        sparp__env_free(env, slab, slab->size);
    }
    s->left = 0;
}

/* NULL: out of memory. */
static char *sparp__slabs_get(sparp__env *env, sparp__slabs *s, size_t size) {
    size = (size + 7) & ~(size_t)7;
    if (size > s->left) {
        size_t room = sizeof(sparp__slab) + size;
        if (size < SPARP__SLAB_SIZE / 8)
            room = SPARP__SLAB_SIZE;
        sparp__slab *slab = (sparp__slab *)sparp__env_realloc(env, NULL, 0, room);
        if (slab == NULL)
            return NULL;
        slab->size = room;
        slab->next = s->all;
        s->all = slab;
        s->left = room - sizeof *slab;
    }
    s->left -= size;
    return (char *)s->all + s->all->size - s->left - size;
}

/* What was got last and is not needed, from `end` on. */
static void sparp__slabs_give_back(sparp__slabs *s, const char *end) {
    s->left = (size_t)((char *)s->all + s->all->size - end) & ~(size_t)7;
}

/* Bytes that a result needs for all that it points at: as much as sparp__store_pack takes, if
   nothing is shared. */
static size_t sparp__store_size(const sparp_result *r) {
    size_t size = r->num_headers * sizeof *r->headers + r->body_size + 1 + strlen(r->url) + 1
        + strlen(r->method) + 1 + strlen(r->detail) + 1;
    if (strcmp(r->final_url, r->url) != 0)
        size += strlen(r->final_url) + 1;
    for (size_t i = 0; i < r->num_headers; i++)
        size += strlen(r->headers[i].name) + strlen(r->headers[i].value) + 2;
    return size;
}

static const char *sparp__store_copy(char **at, const char *data, size_t size) {
    char *to = *at;
    memcpy(to, data, size);
    to[size] = '\0';
    *at = to + size + 1;
    return to;
}

/* `like` may be the same text, which lives as long; or NULL. */
static const char *sparp__store_text(char **at, const char *text, const char *like) {
    return like != NULL && strcmp(text, like) == 0 ? like
                                                   : sparp__store_copy(at, text, strlen(text));
}

/* Answers of one server are alike: what is the same in `like`, at the same place, is not kept
   twice (a fifth of a small answer's memory). */
static void sparp__store_fields(sparp_result *r, char **at, const sparp_result *like) {
    sparp_field *fields = (sparp_field *)(void *)*at;
    size_t shared = like == NULL ? 0 : like->num_headers;
    *at += r->num_headers * sizeof *fields;
    for (size_t i = 0; i < r->num_headers; i++) {
        const sparp_field *same = i < shared ? &like->headers[i] : NULL;
        const sparp_field *field = &r->headers[i];
        fields[i].name = sparp__store_text(at, field->name, same != NULL ? same->name : NULL);
        fields[i].value = sparp__store_text(at, field->value, same != NULL ? same->value : NULL);
    }
    r->headers = fields;
}

/* Moves what *r points at to `at`, which is aligned and has the room. Returns its end there.
   `like` lives as long, or is NULL. */
static char *sparp__store_pack(sparp_result *r, char *at, const sparp_result *like) {
    bool moved = strcmp(r->final_url, r->url) != 0;
    sparp__store_fields(r, &at, like);
    r->body = sparp__store_copy(&at, r->body, r->body_size);
    const char *final_url = r->final_url;
    r->url = sparp__store_text(&at, r->url, NULL);
    r->final_url = moved ? sparp__store_text(&at, final_url, NULL) : r->url;
    r->method = sparp__store_text(&at, r->method, like != NULL ? like->method : NULL);
    r->detail = sparp__store_text(&at, r->detail, like != NULL ? like->detail : NULL);
    return at;
}

/* Without the memory for it: what is known of it needs none. */
static void sparp__store_forget(sparp_result *r) {
    r->outcome = SPARP_OUTCOME_LOCAL_FAILED;
    r->error = SPARP_E_OUT_OF_MEMORY;
    r->sys_error = ENOMEM;
    r->detail = "out of memory: the response could not be kept";
    r->method = r->url = r->final_url = r->body = "";
    r->headers = NULL;
    r->num_headers = r->body_size = 0;
    r->body_bytes = 0;
    r->body_complete = false;
}

typedef struct sparp__output {          /* where results go: see sparp__sched_settle */
    bool          discard, keep;
    sparp__list   ready;                /* records, in the order of the ends */
    sparp__heap   in_order;             /* records, by index */
    uint64_t      next_in_order;
    sparp__stored *shown, *spare;       /* in the user's hands; not in use */
    sparp__hand   hand;                 /* of the one that is shown */
    sparp_result *items;                /* kept, by index */
    size_t        items_capacity;
    sparp__slabs  slabs;                /* and what they point at */
    sparp_result  last;                 /* the one that was kept last */
    uint64_t      progress_results;     /* ended since on_progress was called */
    bool          progress_asked;       /* by sparp_wake() */
    int64_t       progress_at;
} sparp__output;

/* A block for a record of that size. NULL: out of memory. */
static sparp__stored *sparp__store_new(sparp__env *env, sparp__output *out, size_t size) {
    sparp__stored *r = out->spare;
    if (r != NULL)
        out->spare = (sparp__stored *)(void *)r->link.next;
    if (r != NULL && r->size >= size)
        return r;
    size = (size + SPARP__STORE_ROUND - 1) / SPARP__STORE_ROUND * SPARP__STORE_ROUND;
    void *block = sparp__env_realloc(env, r, r != NULL ? r->size : 0, size);
    if (block == NULL) {
        sparp__env_free(env, r, r != NULL ? r->size : 0);
        return NULL;
    }
    r = (sparp__stored *)block;
    r->size = size;
    return r;
}

static void sparp__store_free(sparp__env *env, sparp__output *out, sparp__stored *r) {
    if (r->size > SPARP__STORE_KEEP || r->size % SPARP__STORE_ROUND != 0) {
        sparp__env_free(env, r, r->size);
        return;
    }
    r->link.next = (sparp__link *)(void *)out->spare;
    out->spare = r;
}

static bool sparp__store_has_ready(const sparp__output *out) {
    return out->ready.count > 0
        || sparp__heap_next(&out->in_order) == (int64_t)out->next_in_order;
}

/* The next one that the user may have. */
static sparp__stored *sparp__store_take(sparp__output *out) {
    if (out->ready.count > 0)
        return SPARP__OWNER(sparp__stored, link, sparp__list_pop_front(&out->ready));
    int64_t index = (int64_t)out->next_in_order++;
    return SPARP__OWNER(sparp__stored, timer, sparp__heap_expire(&out->in_order, index));
}

/* sparp_run_all() keeps a result for each: room for that many, or at first for `guess`. */
static bool sparp__store_reserve(sparp__env *env, sparp__output *out, uint64_t wanted,
                                 size_t guess) {
    size_t to = out->items_capacity * 2 < 64 ? 64 : out->items_capacity * 2;
    if (!out->keep || wanted <= out->items_capacity)
        return true;
    if (out->items_capacity == 0 && guess > 0)
        to = guess;
    if (wanted > SIZE_MAX / 2 / sizeof *out->items)
        return false;
    void *items = sparp__env_realloc(env, out->items, out->items_capacity * sizeof *out->items,
                                     to * sizeof *out->items);
    if (items == NULL)
        return false;
    out->items = (sparp_result *)items;
    out->items_capacity = to;
    return true;
}

/* There is room for the result, but maybe not for what that points at. */
static void sparp__store_keep(sparp__env *env, sparp__output *out, sparp_result *result) {
    char *bytes = sparp__slabs_get(env, &out->slabs, sparp__store_size(result));
    if (bytes != NULL)
        sparp__slabs_give_back(&out->slabs, sparp__store_pack(result, bytes, &out->last));
    else
        sparp__store_forget(result);
    out->items[result->index] = out->last = *result;
}

static void sparp__store_close(sparp__env *env, sparp__output *out) {
    sparp__link *link;
    sparp__timer *timer;
    if (out->shown != NULL)
        sparp__store_free(env, out, out->shown);
    while ((link = sparp__list_pop_front(&out->ready)) != NULL)
        sparp__store_free(env, out, SPARP__OWNER(sparp__stored, link, link));
    while ((timer = sparp__heap_expire(&out->in_order, SPARP__NEVER)) != NULL)
        sparp__store_free(env, out, SPARP__OWNER(sparp__stored, timer, timer));
    while (out->spare != NULL) {
        sparp__stored *r = out->spare;
        out->spare = (sparp__stored *)(void *)r->link.next;
        sparp__env_free(env, r, r->size);
    }
    sparp__env_free(env, out->items, out->items_capacity * sizeof *out->items);
    sparp__slabs_free(env, &out->slabs);
}

/* ============================================================================================ */
/* >>crew       the engines of one run, as the scheduler sees them: it starts, cuts and takes    */
/*              what has ended. With workers, a lock and a wake-up are put around the same lists. */
/*              Uses base, env, wake, bucket, task, engine.                                      */
/* ============================================================================================ */

typedef struct sparp__worker {          /* an engine on a thread of its own */
    sparp__engine  engine;
    struct sparp__crew *crew;
    sparp__list    to_do;               /* tasks to be started. These are guarded by the crew: */
    sparp__answer *spent;               /* what the scheduler has done with */
    sparp__tally   published;           /* what the engine has counted until its last message */
    bool           called;              /* it was woken, and has not looked so far */
    bool           cut_any;             /* one of its flights is to be cut */
    bool           drop_idle;           /* others need its descriptors */
    size_t         load;                /* tasks it has; the scheduler's alone */
    bool           started;
#if SPARP__WORKERS
    pthread_t      thread;
#endif
} sparp__worker;

typedef struct sparp__crew {            /* zeroed, then `own` set: no workers */
    sparp__engine *own;                 /* on the run's own thread; with workers it only waits */
    sparp__worker *workers;
    int            size;                /* how many workers */
    bool           quit;
    sparp__list    ended;               /* their flights that have ended */
    sparp__lock    lock;                /* of all that workers and scheduler share */
} sparp__crew;

/* How many workers: none is what it is in a build without. */
static int sparp__crew_size(const sparp__crew *crew) {
    return SPARP__WORKERS ? crew->size : 0;
}

/* Under the lock. */
static void sparp__crew_call(sparp__worker *w) {
    if (!w->called)
        sparp__wake_send(&w->engine.wake);
    w->called = true;
}

static sparp__worker *sparp__crew_idlest(sparp__crew *crew) {
    sparp__worker *best = &crew->workers[0];
    for (int i = 1; i < sparp__crew_size(crew); i++)
        if (crew->workers[i].load < best->load)
            best = &crew->workers[i];
    return best;
}

/* Who has it; NULL: the run's own engine. */
static sparp__worker *sparp__crew_worker(const sparp__crew *crew, const sparp__task *t) {
    return SPARP__WORKERS && t->fly.worker > 0 ? &crew->workers[t->fly.worker - 1] : NULL;
}

static void sparp__crew_start(sparp__crew *crew, sparp__task *t) {
    if (sparp__crew_size(crew) == 0) {
        sparp__engine_start(crew->own, t);
        return;
    }
    sparp__worker *w = sparp__crew_idlest(crew);
    w->load++;
    t->fly.worker = (uint16_t)(w - crew->workers + 1);
    sparp__lock_take(&crew->lock);
    t->fly.posted = true;
    t->fly.posted_at = sparp__max(crew->own->now, t->fly.started_at);
    sparp__list_push_back(&w->to_do, &t->here);
    sparp__crew_call(w);
    sparp__lock_leave(&crew->lock);
}

/* It ends soon, as CUT unless it has ended already. */
static void sparp__crew_cut(sparp__crew *crew, sparp__task *t) {
    if (sparp__crew_size(crew) == 0) {
        if (t->fly.pool != NULL)
            sparp__engine_cut(crew->own, t);
        else
            t->fly.cut_wanted = true;   /* it is in `ended` */
        return;
    }
    sparp__worker *w = sparp__crew_worker(crew, t);
    sparp__lock_take(&crew->lock);
    t->fly.cut_wanted = true;
    if (t->fly.posted) {                /* nobody has seen it */
        sparp__list_remove(&w->to_do, &t->here);
        t->fly.end = SPARP__END_CUT;
        sparp__list_push_back(&crew->own->ended, &t->here);
    } else {
        w->cut_any = true;
        sparp__crew_call(w);
    }
    sparp__lock_leave(&crew->lock);
}

/* What is on its way to a worker may still be sent. */
static void sparp__crew_recall(sparp__crew *crew, const sparp__meter *write) {
    if (sparp__crew_size(crew) == 0)
        sparp__engine_recall(crew->own, write);
}

/* The next flight that has ended; NULL: there is none so far. */
static sparp__task *sparp__crew_take_ended(sparp__crew *crew) {
    sparp__link *link = sparp__list_pop_front(&crew->own->ended);
    if (link == NULL)
        return NULL;
    sparp__task *t = SPARP__OWNER(sparp__task, here, link);
    sparp__worker *w = sparp__crew_worker(crew, t);
    if (w != NULL)
        w->load--;
    return t;
}

/* What the workers have sent is put with what has ended here. */
static void sparp__crew_collect(sparp__crew *crew) {
    if (sparp__crew_size(crew) == 0)
        return;
    sparp__lock_take(&crew->lock);
    sparp__list_append(&crew->own->ended, &crew->ended);
    sparp__lock_leave(&crew->lock);
}

/* Nobody looks at what it has brought any more. */
static void sparp__crew_give_back(sparp__crew *crew, sparp__task *t) {
    sparp__answer *a = t->fly.answer;
    sparp__worker *w = sparp__crew_worker(crew, t);
    t->fly.answer = NULL;
    if (a == NULL)
        return;
    if (w == NULL) {
        sparp__answers_put(&crew->own->env, &crew->own->spares.answers, a);
        return;
    }
    sparp__lock_take(&crew->lock);
    a->next = w->spent;
    w->spent = a;
    sparp__lock_leave(&crew->lock);
}

/* Somebody needs descriptors. */
static void sparp__crew_drop_idle(sparp__crew *crew) {
    sparp__lock_take(&crew->lock);
    for (int i = 0; i < sparp__crew_size(crew); i++) {
        crew->workers[i].drop_idle = true;
        sparp__crew_call(&crew->workers[i]);
    }
    sparp__lock_leave(&crew->lock);
}

/* The user's news is for all of them. */
static void sparp__crew_tell_news(sparp__crew *crew) {
    for (int i = 0; i < sparp__crew_size(crew); i++)
        sparp__wake_send_news(&crew->workers[i].engine.wake);
}

/* The pace has changed. */
static void sparp__crew_wake(sparp__crew *crew) {
    sparp__wake_send(&crew->own->wake);
    for (int i = 0; i < sparp__crew_size(crew); i++)
        sparp__wake_send(&crew->workers[i].engine.wake);
}

/* What it has counted, with the bytes of what is under way. */
static sparp__tally sparp__crew_tally(const sparp__engine *e) {
    sparp__tally tally = e->tally;
    tally.bytes_in = e->net.bytes_in;
    tally.bytes_out = e->net.bytes_out;
    return tally;
}

static void sparp__crew_add_tally(const sparp__tally *t, sparp_stats *sum) {
    sum->connects += t->connects;
    sum->reuses += t->reuses;
    sum->tls_full += t->tls_full;
    sum->tls_resumed += t->tls_resumed;
    sum->bytes_out += t->bytes_out;
    sum->bytes_in += t->bytes_in;
    sum->replays += t->replays;
    sum->waited_us[SPARP_WAIT_RATE] += t->held_us;
    sum->waited_cost_us += t->held_cost_us;
}

/* Adds what the engines have counted. */
static void sparp__crew_count(sparp__crew *crew, sparp_stats *sum) {
    sparp__tally own = sparp__crew_tally(crew->own);
    sparp__crew_add_tally(&own, sum);
    sparp__lock_take(&crew->lock);
    for (int i = 0; i < sparp__crew_size(crew); i++)
        sparp__crew_add_tally(&crew->workers[i].published, sum);
    sparp__lock_leave(&crew->lock);
}

/* ============================================================================================ */
/* >>fair       whose turn it is: origins go round by what their requests cost, so that nobody    */
/*              waits for the many of another. Pure. Uses base, heap.                            */
/*                                                                                               */
/* Who starts something that counts n is in turn again n rounds later: deficit round robin       */
/* without the rounds in which nothing happens. Where all count 1, two lists are all it takes.   */
/* ============================================================================================ */

#define SPARP__COUNT_MOST INT64_C(1000000000000000)     /* of one turn */

typedef struct sparp__lane {            /* of one origin; zeroed, then its queues initialized */
    sparp__list  begun, fresh;          /* who waits for its turn; the former come first */
    sparp__link  link;                  /* in `now` or `next`, while somebody waits */
    sparp__timer timer;                 /* or in `later` */
    int64_t      round;                 /* when it is its turn */
} sparp__lane;

typedef struct sparp__fair {            /* zeroed, then its lists initialized */
    sparp__list now, next;              /* lanes whose turn is in this round, or in the next */
    sparp__heap later;                  /* the others, by round; has room for every lane */
    int64_t     round;
} sparp__fair;

static void sparp__fair_enter(sparp__fair *f, sparp__lane *lane) {
    lane->round = sparp__max(lane->round, f->round);
    if (lane->round - f->round > 1)
        sparp__heap_set(&f->later, &lane->timer, lane->round);
    else
        sparp__list_push_back(lane->round == f->round ? &f->now : &f->next, &lane->link);
}

static void sparp__fair_leave(sparp__fair *f, sparp__lane *lane) {
    if (lane->timer.place != 0)
        sparp__heap_remove(&f->later, &lane->timer);
    else
        sparp__list_remove(lane->round == f->round ? &f->now : &f->next, &lane->link);
}

/* A round is over. Unless nobody waits, somebody's turn is now. */
static void sparp__fair_go_round(sparp__fair *f) {
    sparp__timer *timer;
    if (f->next.count + f->later.count == 0)
        return;
    f->round = f->next.count > 0 ? f->round + 1 : sparp__heap_next(&f->later);
    while ((timer = sparp__heap_expire(&f->later, f->round)) != NULL)
        sparp__list_push_back(&f->now, &SPARP__OWNER(sparp__lane, timer, timer)->link);
    sparp__list_append(&f->now, &f->next);
}

static bool sparp__fair_waits(const sparp__lane *lane) {
    return lane->begun.count + lane->fresh.count > 0;
}

/* One more waits, in that queue of the lane. */
static void sparp__fair_add(sparp__fair *f, sparp__lane *lane, sparp__list *queue,
                            sparp__link *link) {
    if (!sparp__fair_waits(lane))
        sparp__fair_enter(f, lane);
    sparp__list_push_back(queue, link);
    if (f->now.count == 0)
        sparp__fair_go_round(f);
}

/* One that goes on with what it has begun, before all others, whatever lane they are in. */
static void sparp__fair_add_first(sparp__fair *f, sparp__lane *lane, sparp__link *link) {
    if (sparp__fair_waits(lane))
        sparp__fair_leave(f, lane);
    lane->round = f->round;
    sparp__list_push_front(&f->now, &lane->link);
    sparp__list_push_front(&lane->begun, link);
}

static void sparp__fair_remove(sparp__fair *f, sparp__lane *lane, sparp__list *queue,
                               sparp__link *link) {
    sparp__list_remove(queue, link);
    if (sparp__fair_waits(lane))
        return;
    sparp__fair_leave(f, lane);
    if (f->now.count == 0)
        sparp__fair_go_round(f);
}

static void sparp__fair_move_back(sparp__fair *f, sparp__lane *lane, int64_t n) {
    bool waits = sparp__fair_waits(lane);
    if (waits)
        sparp__fair_leave(f, lane);
    lane->round = sparp__time_after(sparp__max(lane->round, f->round), n);
    if (waits)
        sparp__fair_enter(f, lane);
    if (f->now.count == 0)
        sparp__fair_go_round(f);
}

/* It has had its turn, with something that counts `n`. Where nobody else waits it owes none. */
static void sparp__fair_count(sparp__fair *f, sparp__lane *lane, int64_t n) {
    if (f->now.count + f->next.count + f->later.count > 1 || !sparp__fair_waits(lane))
        sparp__fair_move_back(f, lane, n);
}

/* The first in the lane whose turn it is. Somebody waits. */
static sparp__link *sparp__fair_first(const sparp__fair *f) {
    const sparp__lane *lane = SPARP__OWNER(sparp__lane, link, f->now.ring.next);
    return lane->begun.count > 0 ? lane->begun.ring.next : lane->fresh.ring.next;
}

/* ============================================================================================ */
/* >>limits     what each origin allows, and who waits there for it. Uses base, env, heap,       */
/*              bucket, gate, url, resolve, route, request, origin, http, quota, task, fair.     */
/* ============================================================================================ */

typedef struct sparp__limits {          /* of one origin */
    sparp__origin origin;               /* first: see >>origin */
    sparp__gate   gate;
    int           max_at_once;          /* 0: no limit */
    size_t        users;                /* tasks */
    sparp__lane   lane;                 /* tasks that wait for its turn, by .here */
    sparp__list   parked;               /* tasks that wait for it itself, likewise */
    const sparp__task *letting;         /* one of them, on its way: the next one after it */
    sparp__clocks let;                  /* what such have waited so far; while there is one, less
                                           what the clocks said when it was let go */
    sparp__timer  timer;                /* when it lets the next one through, or is forgotten */
    sparp__quotas *quotas;              /* what it says is left; NULL: it says nothing */
} sparp__limits;

/* NULL: it says nothing. */
static sparp__quotas *sparp__limits_quotas(const sparp__limits *l) {
    return SPARP__LIMITS ? l->quotas : NULL;
}

/* --- host_limits ------------------------------------------------------------------------------ */

typedef struct sparp__pattern {
    sparp__str name;                    /* "*": any */
    uint16_t   port;                    /* 0: any */
    bool       below;                   /* what is below that name, and not itself */
} sparp__pattern;

/* False: it is none, by its form. */
static bool sparp__pattern_split(const char *text, sparp__pattern *p) {
    if (text == NULL || *text == '\0'
        || !sparp__route_split(sparp__str_of(text), &p->name, &p->port))
        return false;
    p->below = p->name.size > 2 && p->name.data[0] == '*' && p->name.data[1] == '.';
    if (p->below)
        p->name = sparp__str_skip(p->name, 2);
    if (p->name.data[0] != '*' && p->name.size > 1 && p->name.data[p->name.size - 1] == '.')
        p->name.size--;
    return true;
}

static bool sparp__pattern_valid(const char *text) {
    sparp__pattern p;
    sparp__address address;
    sparp__str ignored;
    if (!sparp__pattern_split(text, &p))
        return false;
    if (!p.below && (sparp__str_same(p.name, "*") || sparp__route_address(p.name, &address)))
        return true;
    return memchr(p.name.data, '*', p.name.size) == NULL
        && sparp__url_host(p.name, &ignored) == NULL;
}

/* There may be many of both: the host is in its one form, but for an address of IPv6 the pattern
   may be in another. */
static bool sparp__pattern_matches(const char *text, const sparp__origin *o) {
    sparp__pattern p;
    if (!sparp__pattern_split(text, &p) || (p.port != 0 && p.port != o->port))
        return false;
    if (!p.below)
        return sparp__str_same(p.name, "*") || sparp__str_same(p.name, o->host)
            || (strchr(o->host, ':') != NULL && sparp__route_same_host(p.name, o->host));
    size_t size = strlen(o->host);
    return size > p.name.size + 1 && o->host[size - p.name.size - 1] == '.'
        && sparp__str_same(p.name, o->host + size - p.name.size);
}

static double sparp__limits_else(double own, double all) {
    return own == 0 ? all : own == SPARP_NONE ? 0 : own;
}

/* What that origin is allowed; 0: no limit. */
static sparp_host_limit sparp__limits_of(const sparp_options *o, const sparp__origin *origin) {
    sparp_host_limit all;
    all.host = "*";
    all.max_at_once = o->max_at_once_per_origin;
    all.max_per_second = o->max_per_second_per_origin;
    all.max_cost_per_second = o->max_cost_per_second_per_origin;
    for (size_t i = 0; SPARP__LIMITS && i < o->num_host_limits; i++) {
        const sparp_host_limit *h = &o->host_limits[i];
        if (!sparp__pattern_matches(h->host, origin))
            continue;
        all.max_at_once = (int)sparp__limits_else(h->max_at_once, all.max_at_once);
        all.max_per_second = sparp__limits_else(h->max_per_second, all.max_per_second);
        all.max_cost_per_second = sparp__limits_else(h->max_cost_per_second,
                                                     all.max_cost_per_second);
        break;
    }
    return all;
}

/* Some limit is one of cost. */
static bool sparp__limits_weigh(const sparp_options *o) {
    bool weigh = o->max_cost_per_second > 0 || o->max_cost_per_second_per_origin > 0;
    for (size_t i = 0; SPARP__LIMITS && i < o->num_host_limits; i++)
        weigh = weigh || o->host_limits[i].max_cost_per_second > 0;
    return weigh;
}

/* NULL, or the sentence that says what is wrong. */
static const char *sparp__limits_check(const sparp_options *o) {
    if (!SPARP__LIMITS)
        return o->num_host_limits == 0 && o->max_cost_per_second == 0
            && o->max_cost_per_second_per_origin == 0 ? NULL
            : "host_limits and costs need a build without SPARP_NO_LIMITS";
    if (o->host_limits == NULL && o->num_host_limits > 0)
        return "host_limits is NULL, but num_host_limits is not 0";
    for (size_t i = 0; i < o->num_host_limits; i++) {
        const sparp_host_limit *h = &o->host_limits[i];
        double rate = h->max_per_second, cost = h->max_cost_per_second;
        if (!sparp__pattern_valid(h->host))
            return "host_limits has a host that is not name, *.name or *, with or without :port";
        if (h->max_at_once < SPARP_NONE)
            return "host_limits has a max_at_once below 0 (0: max_at_once_per_origin)";
        if (rate != 0 && rate != SPARP_NONE && !(rate >= 1e-6 && rate <= 1e9))
            return "host_limits has a max_per_second that is not 0.000001 to 1000000000";
        if (cost != 0 && cost != SPARP_NONE && !(cost >= 1e-6 && cost <= SPARP__COST_MOST))
            return "host_limits has a max_cost_per_second that is not 0.000001 to 1000000000000";
    }
    return NULL;
}

/* --- limits of one origin --------------------------------------------------------------------- */

/* Held until sparp__limits_put. NULL: out of memory. */
static sparp__limits *sparp__limits_get(sparp__env *env, sparp__origins *os, sparp__heap *timers,
                                        sparp__heap *lanes, const sparp__request *r,
                                        const sparp_options *o) {
    sparp__origin *origin = sparp__origins_get(env, os, sparp__request_host(r), r->port,
                                               r->https);
    if (origin == NULL)
        return NULL;
    sparp__limits *l = SPARP__OWNER(sparp__limits, origin, origin);
    if (l->parked.ring.next == NULL) {  /* it is new */
        if (!sparp__heap_reserve(env, timers, os->count)
            || !sparp__heap_reserve(env, lanes, os->count)) {
            sparp__origins_remove(env, os, origin);
            return NULL;
        }
        sparp_host_limit h = sparp__limits_of(o, origin);
        sparp__list_init(&l->parked);
        sparp__list_init(&l->lane.begun);
        sparp__list_init(&l->lane.fresh);
        l->max_at_once = h.max_at_once;
        sparp__meter_init(&l->gate.admit, h.max_per_second, o->burst, h.max_cost_per_second,
                          o->cost_burst);
        l->gate.write = l->gate.admit;
    }
    l->users++;
    return l;
}

/* Until when it has to be remembered although nobody uses it. */
static int64_t sparp__limits_memory(const sparp__limits *l) {
    int64_t memory = sparp__gate_memory(&l->gate);
    const sparp__quotas *qs = sparp__limits_quotas(l);
    return qs == NULL ? memory : sparp__max(memory, sparp__quotas_memory(qs));
}

/* When nobody uses it, it is forgotten at the end of the turn, or when it is all open again. */
static void sparp__limits_put(sparp__heap *timers, sparp__limits *l, int64_t now) {
    if (l != NULL && --l->users == 0)
        sparp__heap_set(timers, &l->timer, sparp__max(now, sparp__limits_memory(l)));
}

static void sparp__limits_free(sparp__env *env, sparp__origins *os, sparp__list *told,
                               sparp__limits *l) {
    if (sparp__limits_quotas(l) != NULL)
        sparp__list_remove(told, &l->quotas->link);
    sparp__env_free(env, sparp__limits_quotas(l), sizeof *l->quotas);
    sparp__origins_remove(env, os, &l->origin);
}

/* --- what is left ----------------------------------------------------------------------------- */

/* Where something is known of it. */
SPARP__RARE static int64_t sparp__limits_wait_more(sparp__limits *l, const sparp__task *t,
                                                   const sparp_options *o, int64_t now) {
    sparp__gate *g = &l->gate;
    int64_t wait = sparp__gate_wait(g, l->max_at_once, t->cost, now), left = 0;
    sparp__quotas *qs = sparp__limits_quotas(l);
    if (qs != NULL && !o->no_gate && qs->longest > 0)
        left = sparp__quotas_wait(qs, (double)g->in_flight, g->cost_in_flight, t->cost, now);
    sparp__gate_hold(g, left > wait || sparp__gate_full_wait(g, t->cost, now) > 0, now);
    return sparp__max(wait, left);
}

/* Nanoseconds until the task may start there; NEVER: not before another one has ended. */
static int64_t sparp__limits_wait(sparp__limits *l, const sparp__task *t, const sparp_options *o,
                                  int64_t now) {
    if (sparp__limits_quotas(l) != NULL || l->gate.known > 0 || l->gate.held)
        return sparp__limits_wait_more(l, t, o, now);
    return sparp__gate_wait(&l->gate, l->max_at_once, t->cost, now);
}

static void sparp__limits_enter(sparp__limits *l, const sparp__task *t, int64_t now) {
    sparp__gate *g = &l->gate;
    if (sparp__limits_quotas(l) != NULL)
        sparp__quotas_on_start(l->quotas, (double)g->in_flight, g->cost_in_flight, t->cost, now);
    sparp__gate_enter(g, t->cost, now);
}

/* Without memory for it nothing is remembered: it is only a hint. */
static sparp__quotas *sparp__limits_get_quotas(sparp__env *env, sparp__list *told,
                                               sparp__limits *l, const sparp_options *o) {
    const sparp__origin *origin = &l->origin;
    if (l->quotas != NULL)
        return l->quotas;
    sparp__quotas *qs = (sparp__quotas *)sparp__env_zalloc(env, sizeof *qs);
    if (qs == NULL)
        return NULL;
    if (origin->port == (origin->https ? 443 : 80))
        snprintf(qs->origin, sizeof qs->origin, "%s", origin->host);
    else
        snprintf(qs->origin, sizeof qs->origin, "%s:%u", origin->host, (unsigned)origin->port);
    qs->longest = sparp__time_from_s(o->retry_after_max_s);
    sparp__list_push_back(told, &qs->link);
    return l->quotas = qs;
}

/* When one is heard of, and when nothing is left of it, at most once until the reset. */
static void sparp__limits_log(sparp__env *env, sparp__quotas *qs, int64_t now) {
    for (size_t i = 0; i < qs->count; i++) {
        sparp__quota *q = &qs->items[i];
        if (q->said_until != 0 && (q->left >= 1 || now < q->said_until))
            continue;
        q->said_until = q->left >= 1 ? now : sparp__max(q->until, now);
        char of[40] = "";
        if (q->limit > 0)
            snprintf(of, sizeof of, " of %.0f", q->limit);
        sparp__env_log(env, SPARP_LOG_INFO, "%s: %.0f%s%s left, %.0f s", qs->origin, q->left, of,
                       q->is_cost ? " in cost" : "",
                       (double)(q->until - now) / (double)SPARP__NS_PER_S);
    }
}

/* Has it anything to learn from? */
static bool sparp__limits_may_learn(const sparp__limits *l, const sparp__task *t) {
    return SPARP__LIMITS
        && (l->quotas != NULL || (t->fly.answer != NULL && t->fly.answer->http.may_limit));
}

static void sparp__limits_on_429(sparp__limits *l, const sparp__task *t, bool retry_after,
                                 int64_t now) {
    if (sparp__limits_quotas(l) != NULL)
        sparp__quotas_on_429(l->quotas, retry_after, t->fly.started_at, now);
}

/* The i-th of those in the list. */
static bool sparp__limits_show(const sparp__list *list, size_t i, int64_t now, sparp_left *out) {
    for (sparp__link *at = list->ring.next; SPARP__LIMITS && at != &list->ring; at = at->next) {
        const sparp__quotas *qs = SPARP__OWNER(sparp__quotas, link, at);
        if (i >= qs->count) {
            i -= qs->count;
            continue;
        }
        const sparp__quota *q = &qs->items[i];
        out->origin = qs->origin;
        out->is_cost = q->is_cost;
        out->limit = q->limit;
        double left = sparp__quota_now(q, now);
        out->left = left > 0 ? left : 0;
        out->reset_s = (double)sparp__max(0, q->until - now) / (double)SPARP__NS_PER_S;
        return true;
    }
    return false;
}

/* An attempt, or a hop of it, has ended: what its answer says is left there. */
SPARP__RARE static void sparp__limits_learn(sparp__env *env, sparp__list *list, sparp__limits *l,
                                const sparp__task *t, const sparp_options *o, int64_t now) {
    const sparp__http *h = sparp__task_has_head(t) ? &t->fly.answer->http : NULL;
    sparp__telling told;
    told.count = 0;
    if (h != NULL)
        sparp__quota_read(&told, h, sparp__env_wall_s());
    sparp__quotas *qs = told.count > 0 ? sparp__limits_get_quotas(env, list, l, o) : l->quotas;
    if (qs == NULL)
        return;
    bool sent = h != NULL || (t->fly.sent && t->fly.end != SPARP__END_RECALLED);
    sparp__quotas_on_end(qs, &told, h != NULL, sent ? 1 : 0, sent ? t->cost : 0,
                         t->fly.started_at, now);
    sparp__limits_log(env, qs, now);
}

/* ============================================================================================ */
/* >>sched      who may start, what an attempt's end means, who gets the result. The one place   */
/*              that decides. It has no descriptor and waits for nothing: sparp__run_turn() does. */
/*              Uses base, texts, env, buf, heap, bucket, pace, rate, gate, aimd, origin,        */
/*              request, judge, task, store, crew, fair, limits.                                 */
/*                                                                                               */
/* A stop is only noted where it is asked for, in the middle of a callback perhaps, and carried  */
/* out by sparp__sched_check_stop when no task is in anybody's hands.                            */
/* ============================================================================================ */

#define SPARP__MAX_AT_ONCE 100000
#define SPARP__STARTS_A_TURN 256        /* between two looks at what they bring */
#define SPARP__MAX_SLEEPING 10000       /* requests that pause before nothing new is pulled */
#define SPARP__WINDOW 4                 /* times max_at_once: results not yet taken or in order */
#define SPARP__PASSES_MAX 20            /* 429s of one request that the closed gate explains */
#define SPARP__RATIO_AFTER 20           /* results before stop_after_failure_ratio means anything */
#define SPARP__STARVED_NS (50 * SPARP__NS_PER_MS)

typedef struct sparp__slots {           /* how many at once */
    int          limit;                 /* max_at_once, less when the system has no more to give */
    int          successes_to_grow;
    bool         starved_said;
    int64_t      starved_at;            /* since when nothing could be opened; 0: it could */
    int64_t      starved_until;         /* no start before; NEVER: before something has ended */
    sparp__aimd  found;                 /* with SPARP_AUTO */
} sparp__slots;

typedef struct sparp__input {           /* where requests come from */
    bool     later, done, memory_short;
    sparp__request_memo memo;           /* of the one before */
} sparp__input;

typedef struct sparp__sched {           /* zeroed, then sparp__sched_init() */
    sparp         *run;                 /* for callbacks alone */
    sparp__env    *env;
    sparp_options *options;             /* with every default filled in */
    sparp__crew   *crew;
    sparp__pace   *pace;                /* of who is written: the engines' too */
    sparp_stats    stats;
    int64_t        now, opened_at, deadline;
    sparp__fault   fault;               /* why the run itself failed */
    sparp__fault   refusal;             /* of the request that is being settled */
    double         retry_at_s;          /* of the same */
    sparp__task   *retrying;            /* on_retry is told of it: see sparp_retry_with() */
    sparp__buf     replaced;            /* what it was shown then: kept until it returns */

    sparp__slots   slots;
    sparp__rate    rate;
    sparp__input   input;
    sparp__output  output;
    sparp__origins origins;             /* of limits */
    sparp__heap    gates;               /* their timers */
    sparp__list    told;                /* what they say is left: quotas */
    sparp__list    fresh, again, parked, flying, unused;        /* tasks, by state */
    sparp__fair    fair;                /* whose turn it is, of fresh and again */
    sparp__heap    sleeping;
    bool           draining, stop_pending, over;
    sparp__buf     cancels;             /* indexes given to sparp_cancel */
} sparp__sched;

/* --- small questions ------------------------------------------------------------------------ */

static bool sparp__sched_stopped(const sparp__sched *s) {
    return s->stats.stopped != SPARP_STOPPED_NOT;
}

static bool sparp__sched_work_left(const sparp__sched *s) {
    return s->fresh.count + s->again.count + s->parked.count + s->flying.count
        + s->sleeping.count > 0;
}

/* Results that nobody has taken yet, and those that wait for an earlier one. */
static size_t sparp__sched_backlog(const sparp__sched *s) {
    if (s->options->ordered)
        return (size_t)(s->stats.pulled - s->output.next_in_order);
    return s->output.ready.count;
}

/* --- stopping -------------------------------------------------------------------------------- */

static void sparp__sched_stop(sparp__sched *s, sparp_stopped why, bool drain) {
    if (s->over)
        return;
    if (sparp__sched_stopped(s)) {
        if (s->draining && !drain) {
            s->draining = false;
            s->stop_pending = true;
        }
        return;
    }
    s->stats.stopped = why;
    s->draining = drain;
    s->stop_pending = s->input.done = true;
    sparp__env_log(s->env, SPARP_LOG_INFO, "stopping: %s",
                   drain ? "what is in flight may end" : "what is in flight is cut");
}

static void sparp__sched_fail(sparp__sched *s) {
    sparp__sched_stop(s, SPARP_STOPPED_BY_ERROR, false);
    sparp__env_log(s->env, SPARP_LOG_ERROR, "the run failed: %s", s->fault.detail);
}

/* A rule fires when its event has been recorded. */
static void sparp__sched_apply_rule(sparp__sched *s, unsigned event) {
    if ((s->options->stop_on & event) != 0)
        sparp__sched_stop(s, SPARP_STOPPED_BY_RULE, s->options->stop_drains);
}

static void sparp__sched_apply_counts(sparp__sched *s) {
    const sparp_stats *n = &s->stats;
    const sparp_options *o = s->options;
    if (o->stop_after_failures == 0 && o->stop_after_successes == 0
        && !(o->stop_after_failure_ratio > 0))
        return;
    uint64_t failures = n->hard_fail + n->soft_exhausted + n->timeout_exhausted
        + n->transport_failed + n->local_failed;
    uint64_t ended = failures + n->success;
    if ((o->stop_after_failures > 0 && failures >= (uint64_t)o->stop_after_failures)
        || (o->stop_after_failure_ratio > 0 && ended >= SPARP__RATIO_AFTER
            && (double)failures >= o->stop_after_failure_ratio * (double)ended))
        sparp__sched_stop(s, SPARP_STOPPED_BY_RULE, o->stop_drains);
    if (o->stop_after_successes > 0 && n->success >= (uint64_t)o->stop_after_successes)
        sparp__sched_stop(s, SPARP_STOPPED_BY_SUCCESSES, o->stop_drains);
}

/* --- the end of a request -------------------------------------------------------------------- */

static void sparp__sched_recycle(sparp__sched *s, sparp__task *t) {
    sparp__crew_give_back(s->crew, t);
    sparp__task_reset(s->env, t);
    sparp__list_push_front(&s->unused, &t->link);
}

/* A task that has ended is large enough for a record without a response. */
typedef char sparp__sched_last_resort[sizeof(sparp__task) >= sizeof(sparp__stored) ? 1 : -1];

/* A record of *result, with all it points at. Without memory the task's own is used, for
   all but the response; then *t is NULL. */
static sparp__stored *sparp__sched_record(sparp__sched *s, sparp__task **t,
                                          sparp_result *result) {
    sparp__stored *r = sparp__store_new(s->env, &s->output, sizeof *r + sparp__store_size(result));
    if (r != NULL) {
        sparp__store_pack(result, (char *)(r + 1), NULL);
    } else {
        sparp__store_forget(result);
        sparp__crew_give_back(s->crew, *t);
        sparp__task_free_parts(s->env, *t);
        r = (sparp__stored *)(void *)*t;
        r->size = sizeof **t;
        *t = NULL;
    }
    r->result = *result;
    memset(&r->timer, 0, sizeof r->timer);
    return r;
}

/* Where a result goes that the user takes when he likes. */
static void sparp__sched_push_record(sparp__sched *s, sparp__stored *r, sparp__limits *l) {
    r->limits = sparp__pace_weighs(s->pace) ? l : NULL;
    if (r->limits != NULL)
        l->users++;
    if (s->options->ordered)
        sparp__heap_set(&s->output.in_order, &r->timer, (int64_t)r->result.index);
    else
        sparp__list_push_back(&s->output.ready, &r->link);
}

static void sparp__sched_apply_outcome(sparp__sched *s, sparp_outcome outcome) {
    if (outcome == SPARP_OUTCOME_HARD_FAIL)
        sparp__sched_apply_rule(s, SPARP_STOP_ON_HARD_FAIL);
    else if (outcome == SPARP_OUTCOME_SOFT_EXHAUSTED)
        sparp__sched_apply_rule(s, SPARP_STOP_ON_SOFT_EXHAUSTED);
    else if (outcome == SPARP_OUTCOME_TIMEOUT_EXHAUSTED)
        sparp__sched_apply_rule(s, SPARP_STOP_ON_TIMEOUT_EXHAUSTED);
    sparp__sched_apply_counts(s);
}

/* What a request cost, and by how much that differs from what was admitted at that origin. */
static void sparp__sched_book(sparp__sched *s, sparp__limits *l, double cost, double more) {
    s->stats.cost += cost;
    if (more == 0 || !sparp__pace_weighs(s->pace))
        return;
    sparp__debt_book(&s->rate.admit.cost, more, s->now);
    if (l != NULL)
        sparp__debt_book(&l->gate.admit.cost, more, s->now);
}

/* on_result() may charge it. */
static void sparp__sched_report(sparp__sched *s, sparp__limits *l, const sparp_result *result) {
    sparp__hand hand;
    if (!sparp__pace_weighs(s->pace)) {
        s->options->on_result(s->run, result, s->options->user_data);
        return;
    }
    sparp__pace_show(s->pace, &hand, result->index, result->cost,
                     l != NULL ? &l->gate.write : NULL);
    s->options->on_result(s->run, result, s->options->user_data);
    double charged = sparp__pace_hide(s->pace, &hand);
    sparp__sched_book(s, l, charged, charged);
    if (s->output.keep)
        s->output.items[result->index].cost += charged;
}

/* Every pulled request comes here, once. The task is in no list. Its result goes to on_result, into
   the hands of sparp_next(), or nowhere. */
static void sparp__sched_settle(sparp__sched *s, sparp__task *t, sparp_outcome outcome) {
    const sparp_options *o = s->options;
    sparp__stored *record = NULL;
    sparp_result result;
    t->state = SPARP__TASK_ENDED;
    t->outcome = outcome;
    sparp__limits *limits = t->wait.limits, *first_limits = t->wait.first_limits;
    sparp__task_parse(t, o, s->now);
    sparp__task_result(t, s->now, &result);
    result.retry_at_s = s->retry_at_s;
    s->retry_at_s = 0;
    if (s->output.keep)
        sparp__store_keep(s->env, &s->output, &result);
    else if (!s->output.discard && o->on_result == NULL)
        record = sparp__sched_record(s, &t, &result);
    sparp__judge_count_outcome(&s->stats, result.outcome);
    s->output.progress_results++;
    s->input.memory_short = false;
    if (o->on_result != NULL)
        sparp__sched_report(s, limits, &result);
    if (record != NULL)
        sparp__sched_push_record(s, record, limits);
    sparp__limits_put(&s->gates, limits, s->now);
    sparp__limits_put(&s->gates, first_limits, s->now);
    if (t != NULL)
        sparp__sched_recycle(s, t);
    sparp__sched_apply_outcome(s, result.outcome);
}

static void sparp__sched_count_wait(sparp__sched *s, sparp__task *t, sparp_wait why, int64_t ns) {
    if (ns == 0)
        return;
    t->waited[why] += ns;
    t->fly.started_at += ns;            /* our queues eat no timeout: see sparp__sched_on_hop */
    s->stats.waited_us[why] += ns / 1000;
}

static void sparp__sched_count_rate(sparp__sched *s, sparp__task *t, int64_t ns, int64_t by_cost) {
    sparp__sched_count_wait(s, t, SPARP_WAIT_RATE, ns);
    by_cost = sparp__max(0, sparp__min(ns, by_cost));
    t->waited_for_cost += by_cost;
    s->stats.waited_cost_us += by_cost / 1000;
}

/* Its pause is over, or cut short. */
static void sparp__sched_count_pause(sparp__sched *s, sparp__task *t) {
    sparp__sched_count_wait(s, t, SPARP_WAIT_BACKOFF, s->now - t->wait.since);
    t->wait.since = s->now;
}

static sparp__clocks sparp__sched_clocks(const sparp__sched *s, const sparp__limits *l) {
    sparp__clocks c;
    c.time = s->now;
    c.rate = sparp__rate_blocked(&s->rate, s->now);
    c.cost = sparp__rate_blocked_by_cost(&s->rate, s->now);
    c.shut = sparp__gate_shut(&l->gate, s->now);
    return c;
}

/* `sign` times `b` more than `a`. */
static sparp__clocks sparp__clocks_sum(sparp__clocks a, sparp__clocks b, int sign) {
    a.time += sign * b.time;
    a.rate += sign * b.rate;
    a.cost += sign * b.cost;
    a.shut += sign * b.shut;
    return a;
}

/* How long those that this origin had let go have waited for a slot or a token, in all. */
static sparp__clocks sparp__sched_let(const sparp__sched *s, const sparp__limits *l) {
    return l->letting == NULL ? l->let : sparp__clocks_sum(l->let, sparp__sched_clocks(s, l), 1);
}

/* By these it is told what one waits for that is parked. Those behind one that was let go wait for
   what that one waits for: only the rest of the time is the gate's. */
static sparp__clocks sparp__sched_parked(const sparp__sched *s, const sparp__limits *l) {
    sparp__clocks c = sparp__sched_let(s, l);
    c.shut = sparp__gate_shut(&l->gate, s->now) - c.shut;
    return c;
}

/* It begins to wait in a queue. */
static void sparp__sched_mark(sparp__sched *s, sparp__task *t) {
    t->wait.since = s->now;
    t->wait.mark.rate = sparp__rate_blocked(&s->rate, s->now);
    t->wait.mark.cost = sparp__rate_blocked_by_cost(&s->rate, s->now);
}

/* The time in a queue, by what it was spent on: as much was the rate's as it alone held everybody
   back. */
static void sparp__sched_count_queue(sparp__sched *s, sparp__task *t) {
    int64_t waited = s->now - t->wait.since;
    int64_t rate = sparp__rate_blocked(&s->rate, s->now) - t->wait.mark.rate;
    int64_t cost = sparp__rate_blocked_by_cost(&s->rate, s->now) - t->wait.mark.cost;
    int64_t by_rate = sparp__min(waited, rate);
    sparp__sched_count_rate(s, t, by_rate, cost);
    sparp__sched_count_wait(s, t, SPARP_WAIT_SLOT, waited - by_rate);
}

/* Takes a parked request out of both its lists: it is as if it began to wait in a queue. */
static void sparp__sched_unlink_parked(sparp__sched *s, sparp__task *t) {
    sparp__limits *l = t->wait.limits;
    sparp__clocks passed = sparp__clocks_sum(sparp__sched_parked(s, l), t->wait.mark, -1);
    int64_t waited = s->now - t->wait.since;
    int64_t behind = sparp__min(waited, passed.time);
    int64_t by_rate = sparp__min(behind, passed.rate);
    int64_t shut = sparp__min(waited - behind, passed.shut);
    sparp__list_remove(&s->parked, &t->link);
    sparp__list_remove(&l->parked, &t->here);
    sparp__sched_count_wait(s, t, SPARP_WAIT_GATE, shut);
    sparp__sched_count_rate(s, t, by_rate, passed.cost);
    sparp__sched_count_wait(s, t, SPARP_WAIT_SLOT, behind - by_rate);
    sparp__sched_count_wait(s, t, SPARP_WAIT_ORIGIN, waited - shut - behind);
    sparp__sched_mark(s, t);
}

/* It waits no more, and is in no list. */
static void sparp__sched_end_wait(sparp__sched *s, sparp__task *t) {
    sparp__sched_count_queue(s, t);
    sparp__heap_remove(&s->sleeping, &t->wait.timer);
    s->stats.waiting--;
}

/* Of the origin that a request goes to; held. NULL: out of memory. */
static sparp__limits *sparp__sched_limits(sparp__sched *s, const sparp__request *r) {
    return sparp__limits_get(s->env, &s->origins, &s->gates, &s->fair.later, r, s->options);
}

/* --- what waits ------------------------------------------------------------------------------ */

/* It waits for its origin's turn; but with .ordered there are no turns. */
static void sparp__sched_queue(sparp__sched *s, sparp__task *t, sparp__list *queue,
                               sparp__list *in_lane) {
    sparp__list_push_back(queue, &t->link);
    if (!s->options->ordered)
        sparp__fair_add(&s->fair, &t->wait.limits->lane, in_lane, &t->here);
}

/* It goes on with what it has begun, before all others. */
static void sparp__sched_queue_first(sparp__sched *s, sparp__task *t) {
    sparp__list_push_front(&s->again, &t->link);
    if (!s->options->ordered)
        sparp__fair_add_first(&s->fair, &t->wait.limits->lane, &t->here);
}

static void sparp__sched_queue_fresh(sparp__sched *s, sparp__task *t) {
    t->state = SPARP__TASK_FRESH;
    sparp__sched_queue(s, t, &s->fresh, &t->wait.limits->lane.fresh);
}

/* Who starts next, of those that are queued. */
static sparp__task *sparp__sched_first(const sparp__sched *s) {
    if (!s->options->ordered)
        return SPARP__OWNER(sparp__task, here, sparp__fair_first(&s->fair));
    const sparp__list *all = s->again.count > 0 ? &s->again : &s->fresh;
    return SPARP__OWNER(sparp__task, link, all->ring.next);
}

/* To be tried again as soon as a slot is free, unless its deadline comes before that. */
static void sparp__sched_queue_again(sparp__sched *s, sparp__task *t, bool first) {
    sparp__sched_mark(s, t);
    t->state = SPARP__TASK_AGAIN;
    if (first)
        sparp__sched_queue_first(s, t);
    else
        sparp__sched_queue(s, t, &s->again, &t->wait.limits->lane.begun);
    if (t->deadline != SPARP__NEVER)
        sparp__heap_set(&s->sleeping, &t->wait.timer, t->deadline);
}

/* Its origin has asked to be left alone for longer than anyone wants to wait. */
static bool sparp__sched_is_barred(const sparp__sched *s, const sparp__limits *l) {
    return l->gate.barred_until > s->now
        && l->gate.barred_until - s->now > sparp__time_from_s(s->options->retry_after_max_s);
}

/* Then it ends at once, as those do that heard it themselves. It waits, and is in no list. */
static void sparp__sched_refuse(sparp__sched *s, sparp__task *t) {
    const sparp__limits *l = t->wait.limits;
    s->retry_at_s = (double)(l->gate.barred_until - s->now) / (double)SPARP__NS_PER_S;
    sparp__sched_end_wait(s, t);
    t->fault = &s->refusal;
    sparp__fault_set(&s->refusal, SPARP_E_NOT_STARTED, 0, "%.60s wants no request for %.0f s, "
                     "longer than retry_after_max_s", l->origin.host, s->retry_at_s);
    sparp__sched_settle(s, t, SPARP_OUTCOME_SOFT_EXHAUSTED);
}

/* Lets the next one go on that its origin held back, and sees to it that the origin is looked
   at again when it lets another one through. Called whenever that may have changed. */
static void sparp__sched_look_at_limits(sparp__sched *s, sparp__limits *l) {
    while (l->parked.count > 0 && sparp__sched_is_barred(s, l)) {
        sparp__task *t = SPARP__OWNER(sparp__task, here, l->parked.ring.next);
        sparp__sched_unlink_parked(s, t);
        sparp__sched_refuse(s, t);
    }
    if (l->parked.count == 0 || l->letting != NULL)
        return;
    sparp__task *t = SPARP__OWNER(sparp__task, here, l->parked.ring.next);
    int64_t wait = sparp__limits_wait(l, t, s->options, s->now);
    if (wait > 0) {
        if (wait != SPARP__NEVER)
            sparp__heap_set(&s->gates, &l->timer, sparp__time_after(s->now, wait));
        return;
    }
    sparp__sched_unlink_parked(s, t);
    l->letting = t;
    l->let = sparp__clocks_sum(l->let, sparp__sched_clocks(s, l), -1);
    t->state = SPARP__TASK_AGAIN;
    sparp__sched_queue(s, t, &s->again, &l->lane.begun);
}

/* Out of the queue. True: its origin had let it go, and may now let the next one. */
static bool sparp__sched_unlink_queued(sparp__sched *s, sparp__task *t) {
    sparp__limits *l = t->wait.limits;
    bool fresh = t->state == SPARP__TASK_FRESH, let_go = l->letting == t;
    sparp__list_remove(fresh ? &s->fresh : &s->again, &t->link);
    if (!s->options->ordered)
        sparp__fair_remove(&s->fair, &l->lane, fresh ? &l->lane.fresh : &l->lane.begun,
                           &t->here);
    if (let_go) {
        l->let = sparp__sched_let(s, l);
        l->letting = NULL;
    }
    return let_go;
}

/* Out of whatever it waits in, but for its timer. */
static void sparp__sched_unlink(sparp__sched *s, sparp__task *t) {
    if (t->state == SPARP__TASK_SLEEPING)
        sparp__sched_count_pause(s, t);
    else if (t->state == SPARP__TASK_PARKED)
        sparp__sched_unlink_parked(s, t);
    else if (t->state != SPARP__TASK_FLYING)
        sparp__sched_unlink_queued(s, t);
}

/* One that waits, or would wait for its retry now, is not tried any more. The turn that it had at
   its origin is another's. */
static void sparp__sched_give_up(sparp__sched *s, sparp__task *t) {
    sparp__limits *l = t->wait.limits;
    bool tried = t->attempts > 0;
    sparp_error error = tried ? SPARP_E_CANCELLED : SPARP_E_NOT_STARTED;
    sparp__sched_unlink(s, t);
    sparp__sched_end_wait(s, t);
    t->fly.body_complete = false;
    t->fault = &s->refusal;
    sparp__fault_set(&s->refusal, error, 0, "%s", sparp_error_text(error));
    sparp__sched_settle(s, t, tried ? SPARP_OUTCOME_CANCELLED : SPARP_OUTCOME_NOT_STARTED);
    sparp__sched_look_at_limits(s, l);
}

/* Its origin does not let it start now: it waits there, in nobody else's way. */
static void sparp__sched_park(sparp__sched *s, sparp__task *t, bool first) {
    sparp__limits *l = t->wait.limits;
    sparp__sched_count_queue(s, t);
    t->state = SPARP__TASK_PARKED;
    t->wait.since = s->now;
    t->wait.mark = sparp__sched_parked(s, l);
    sparp__list_push_back(&s->parked, &t->link);
    if (first)
        sparp__list_push_front(&l->parked, &t->here);
    else
        sparp__list_push_back(&l->parked, &t->here);
    sparp__sched_look_at_limits(s, l);
}

static void sparp__sched_sleep(sparp__sched *s, sparp__task *t, int64_t pause) {
    s->stats.waiting++;
    t->wait.since = s->now;
    if (pause == 0 && !(s->options->retry_ratio > 0)) {
        sparp__sched_queue_again(s, t, false);
    } else {
        t->state = SPARP__TASK_SLEEPING;
        sparp__heap_set(&s->sleeping, &t->wait.timer, sparp__time_after(s->now, pause));
    }
}

/* --- retries --------------------------------------------------------------------------------- */

/* What the server asked for, in seconds; 0: nothing. */
static double sparp__sched_retry_after(const sparp__task *t) {
    return t->fly.answer != NULL
        ? sparp__judge_retry_after(&t->fly.answer->http, sparp__env_wall_s()) : 0;
}

/* Nanoseconds to pause; -1: longer than anyone wants to wait, see retry_at_s. */
static int64_t sparp__sched_pause(sparp__sched *s, sparp__task *t, sparp__cause cause,
                                  double asked) {
    const sparp_options *o = s->options;
    double pause = sparp__judge_backoff(s->env, o->backoff_s * sparp__judge_kinds[cause].backoff,
                                        o->backoff_max_s, t->retries[cause]);
    if (asked > 0 && asked > o->retry_after_max_s) {
        s->retry_at_s = asked;
        return -1;
    }
    if (asked > pause)                  /* never early; a little later, not all at once */
        pause = asked + sparp__judge_backoff(s->env, 0.25, 0.25, 0);
    int64_t until = t->fault != NULL ? t->fault->until - s->now : 0;
    return sparp__max(sparp__time_from_s(pause), until);
}

/* Nothing is left of this attempt. */
static void sparp__sched_clear(sparp__sched *s, sparp__task *t) {
    t->error = sparp__task_error(t);
    sparp__crew_give_back(s->crew, t);
    t->fault = NULL;
}

/* Its next attempt begins with the url it was given. */
static void sparp__sched_rewind(sparp__sched *s, sparp__task *t) {
    if (t->wait.first_limits == NULL)
        return;
    sparp__limits_put(&s->gates, t->wait.limits, s->now);
    t->wait.limits = t->wait.first_limits;
    t->wait.first_limits = NULL;
    t->on_hop = false;
}

/* on_retry() may charge it, for what it did at `l`, and change what goes out next. */
static void sparp__sched_tell_retry(sparp__sched *s, sparp__task *t, sparp__limits *l,
                                    const sparp_result *attempt, double pause_s) {
    sparp__hand hand;
    s->retrying = t;
    sparp__pace_show(s->pace, &hand, t->index, t->booked, &l->gate.write);
    s->options->on_retry(s->run, attempt, pause_s, s->options->user_data);
    double charged = sparp__pace_hide(s->pace, &hand);
    sparp__sched_book(s, l, charged, charged);
    t->booked += charged;
    s->retrying = NULL;
    sparp__buf_free(s->env, &s->replaced);
}

/* Puts it to sleep before its next attempt. False: this was the last one. A pause that would
   end after a deadline is not begun. */
static bool sparp__sched_retry(sparp__sched *s, sparp__task *t, sparp__cause cause, double asked) {
    const sparp_options *o = s->options;
    sparp__limits *l = t->wait.limits;
    sparp_result attempt;
    if (sparp__sched_stopped(s) || !sparp__task_retries_left(t, o, cause))
        return false;
    int64_t pause = sparp__sched_pause(s, t, cause, asked);
    int64_t wake = sparp__time_after(s->now, pause);
    double pause_s = (double)pause / (double)SPARP__NS_PER_S;
    if (pause < 0 || wake >= t->deadline || wake >= s->deadline)
        return false;
    sparp__task_result(t, s->now, &attempt);    /* as it was: retries made before this one */
    t->retries[cause]++;
    ++*sparp__judge_counter(&s->stats, sparp__judge_kinds[cause].retries);
    sparp__env_log(s->env, SPARP_LOG_INFO, "request %llu: %s%.0d%s; again in %.3f s",
                   (unsigned long long)t->index, attempt.error == SPARP_E_OK ? "status " : "",
                   attempt.error == SPARP_E_OK ? attempt.status : 0, attempt.detail, pause_s);
    sparp__sched_rewind(s, t);
    sparp__sched_sleep(s, t, pause);
    if (o->on_retry != NULL)
        sparp__sched_tell_retry(s, t, l, &attempt, pause_s);
    sparp__sched_clear(s, t);
    return true;
}

/* The attempt did not succeed: again, or the end. */
static void sparp__sched_again_or_settle(sparp__sched *s, sparp__task *t, sparp__cause cause,
                                         double asked) {
    const sparp__retry_kind *kind = &sparp__judge_kinds[cause];
    bool exhausted = !sparp__task_retries_left(t, s->options, cause);
    t->outcome = kind->outcome;         /* what it is if no other attempt follows */
    if (!sparp__sched_retry(s, t, cause, asked)) {
        if (!exhausted && sparp__sched_stopped(s)) {
            s->stats.waiting++;         /* as if it had begun to wait for its retry */
            t->wait.since = s->now;
            sparp__sched_give_up(s, t);
        } else {
            sparp__sched_settle(s, t, kind->outcome);
        }
    }
    sparp__sched_apply_rule(s, kind->stop);
}

/* It goes back to its queue as if it, or its hop, had never begun. */
static void sparp__sched_take_back(sparp__sched *s, sparp__task *t) {
    sparp__crew_give_back(s->crew, t);
    t->fault = NULL;
    if (!t->on_hop && --t->attempts == 0)
        t->deadline = SPARP__NEVER;     /* it begins with the first attempt */
    s->stats.waiting++;
    sparp__sched_queue_again(s, t, true);
}

/* --- the end of an attempt ------------------------------------------------------------------- */

/* 429, or 503 with Retry-After: the origin has had enough. */
static void sparp__sched_close_gate(sparp__sched *s, sparp__task *t, double asked) {
    const sparp_options *o = s->options;
    sparp__gate *g = &t->wait.limits->gate;
    if (o->no_gate || (t->status != 429 && (t->status != 503 || !(asked > 0))))
        return;
    sparp__limits_on_429(t->wait.limits, t, asked > 0, s->now);
    if (!(asked > 0) && g->closed_until > s->now && t->fly.started_at <= g->closed_at)
        return;                         /* says nothing new */
    if (!(asked > 0))
        asked = sparp__judge_backoff(s->env, o->backoff_s, o->backoff_max_s, g->strikes);
    if (!(asked > 0))
        return;
    int64_t until = sparp__time_after(s->now, sparp__time_from_s(asked));
    sparp__gate_close(g, t->cost, s->now, until);
    sparp__env_log(s->env, SPARP_LOG_INFO, "request %llu: status %d, its gate is closed for %.3f s",
                   (unsigned long long)t->index, t->status, asked);
    sparp__crew_recall(s->crew, &g->write);
    if (asked > o->retry_after_max_s)
        g->barred_until = sparp__max(g->barred_until, until);
}

/* What a 429 says that was under way when the gate closed is known already: no retry is charged,
   within reason, to one that may be sent again and can wait that long. */
static bool sparp__sched_may_pass(const sparp__sched *s, const sparp__task *t, bool was_closed,
                                  double asked) {
    const sparp__gate *g = &t->wait.limits->gate;
    return was_closed && t->fly.started_at <= g->closed_at && !s->options->no_gate
        && s->options->max_retries_by_soft_fail > 0
        && (t->status == 429 || (t->status == 503 && asked > 0))
        && asked <= s->options->retry_after_max_s && t->passes < SPARP__PASSES_MAX
        && g->closed_until < sparp__min(t->deadline, s->deadline)
        && sparp__task_may_repeat(t, s->options, SPARP__CAUSE_SOFT_FAIL)
        && !sparp__sched_stopped(s);
}

static void sparp__sched_on_soft_fail(sparp__sched *s, sparp__task *t) {
    bool was_closed = t->wait.limits->gate.closed_until > s->now;
    double asked = sparp__sched_retry_after(t);
    s->stats.soft_fails++;
    sparp__sched_close_gate(s, t, asked);
    if (s->slots.found.limit > 0)
        sparp__aimd_on_failure(&s->slots.found, s->now);
    if (sparp__sched_may_pass(s, t, was_closed, asked)) {
        t->outcome = SPARP_OUTCOME_SOFT_EXHAUSTED;      /* if its deadline comes first */
        t->passes++;
        s->stats.waiting++;
        sparp__sched_clear(s, t);
        sparp__sched_rewind(s, t);
        sparp__sched_queue_again(s, t, false);
        sparp__sched_apply_rule(s, SPARP_STOP_ON_SOFT_FAIL);
        return;
    }
    sparp__sched_again_or_settle(s, t, SPARP__CAUSE_SOFT_FAIL, asked);
}

static void sparp__sched_on_verdict(sparp__sched *s, sparp__task *t) {
    sparp__gate *g = &t->wait.limits->gate;
    if (t->fly.verdict == SPARP_SOFT_FAIL) {
        sparp__sched_on_soft_fail(s, t);
        return;
    }
    sparp__gate_widen(g, t->cost, s->now);
    if (s->slots.found.limit > 0)
        sparp__aimd_on_answer(&s->slots.found, &g->fastest, t->fly.answer->elapsed, s->now);
    if (t->fly.verdict != SPARP_SUCCESS) {
        sparp__sched_settle(s, t, SPARP_OUTCOME_HARD_FAIL);
        return;
    }
    if (s->slots.limit < s->options->max_at_once && ++s->slots.successes_to_grow >= 8) {
        s->slots.successes_to_grow = 0;
        s->slots.limit++;
    }
    sparp__sched_settle(s, t, SPARP_OUTCOME_SUCCESS);
}

/* The attempt ended without a complete response, for the reason in t->fault. */
static void sparp__sched_on_fault(sparp__sched *s, sparp__task *t) {
    sparp__cause cause = sparp__judge_cause(sparp__task_error(t));
    if (cause == SPARP__CAUSE_LOCAL) {
        sparp__sched_settle(s, t, SPARP_OUTCOME_LOCAL_FAILED);
        return;
    }
    ++*sparp__judge_counter(&s->stats, sparp__judge_kinds[cause].events);
    if (cause == SPARP__CAUSE_TIMEOUT && s->slots.found.limit > 0)
        sparp__aimd_on_failure(&s->slots.found, s->now);
    sparp__sched_again_or_settle(s, t, cause, 0);
}

/* The system has no descriptor, port or buffer for us. That is nobody's failure: fewer at once,
   and the request goes back to the head of its queue, uncounted. */
static void sparp__sched_on_starved(sparp__sched *s, sparp__task *t) {
    sparp__slots *slots = &s->slots;
    if (!slots->starved_said)
        sparp__env_log(s->env, SPARP_LOG_WARN, "%s; going on with fewer connections",
                       t->fault->detail);
    slots->starved_said = true;
    if (slots->starved_at == 0 || s->stats.in_flight > 0)
        slots->starved_at = s->now;
    int64_t patience = s->options->connect_timeout_s > 0
        ? sparp__time_from_s(s->options->connect_timeout_s) : SPARP__NEVER;
    int limit = (int)s->stats.in_flight / 2;
    slots->limit = limit > 1 ? limit : 1;
    slots->successes_to_grow = 0;
    if (s->now - slots->starved_at >= patience) {
        sparp__sched_settle(s, t, SPARP_OUTCOME_LOCAL_FAILED);
        return;
    }
    slots->starved_until = s->stats.in_flight > 0 ? SPARP__NEVER : s->now + SPARP__STARVED_NS;
    sparp__crew_drop_idle(s->crew);
    sparp__sched_take_back(s, t);
}

/* A redirect leads on, maybe to another origin: the next hop waits for whatever it needs there,
   before all others. The clock of the attempt stands still meanwhile. */
static void sparp__sched_on_hop(sparp__sched *s, sparp__task *t) {
    sparp__queueing *q = &t->wait;
    sparp__limits *l = sparp__sched_limits(s, t->hop);
    sparp_result hop;
    sparp__gate_widen(&q->limits->gate, t->cost, s->now);
    if (l == NULL) {
        sparp__task_blame_memory(t);
        sparp__sched_settle(s, t, SPARP_OUTCOME_LOCAL_FAILED);
        return;
    }
    if (q->first_limits == NULL)
        q->first_limits = q->limits;
    else
        sparp__limits_put(&s->gates, q->limits, s->now);
    q->limits = l;
    bool redirected = t->status != 417; /* which has done nothing yet */
    s->stats.redirects += redirected;
    sparp__env_log(s->env, SPARP_LOG_INFO, "request %llu: status %d, on to %s",
                   (unsigned long long)t->index, t->status, sparp__request_url(t->hop));
    sparp__task_result(t, s->now, &hop);
    t->status = 0;
    t->fly.body_complete = false;
    t->fly.unsure = t->fly.unsure || redirected;        /* the first server has acted on it */
    t->outcome = SPARP_OUTCOME_TIMEOUT_EXHAUSTED;       /* if its deadline comes first */
    s->stats.waiting++;
    sparp__sched_queue_again(s, t, true);
    if (s->options->on_redirect != NULL)
        s->options->on_redirect(s->run, &hop, s->options->user_data);
    sparp__crew_give_back(s->crew, t);
}

/* Its slot is free. */
static void sparp__sched_leave(sparp__sched *s, sparp__task *t) {
    sparp__list_remove(&s->flying, &t->link);
    s->stats.in_flight--;
    sparp__gate_leave(&t->wait.limits->gate, t->cost, t->fly.started_at);
    sparp__sched_book(s, t->wait.limits, t->fly.booked, t->fly.booked - t->cost);
    t->booked += t->fly.booked;
    t->fly.booked = 0;
    if (s->slots.starved_until == SPARP__NEVER)
        s->slots.starved_until = 0;
}

/* What the end of an attempt means for its request. */
static void sparp__sched_conclude(sparp__sched *s, sparp__task *t) {
    sparp__flight *f = &t->fly;
    sparp__sched_leave(s, t);
    if (sparp__limits_may_learn(t->wait.limits, t))
        sparp__limits_learn(s->env, &s->told, t->wait.limits, t, s->options, s->now);
    if (f->cut_wanted && (f->end != SPARP__END_RESPONSE || f->verdict == SPARP_SOFT_FAIL)) {
        f->end = SPARP__END_CUT;        /* it would have been tried again */
        f->body_complete = false;
    }
    if (f->end != SPARP__END_STARVED && f->end != SPARP__END_RECALLED) {
        s->slots.starved_at = 0;
        if (t->attempts == 1 && !t->on_hop)     /* what did not begin earns no retry */
            s->rate.retry_credit += s->options->retry_ratio;
    }
    switch (f->end) {
    case SPARP__END_RESPONSE:
        sparp__sched_on_verdict(s, t);
        break;
    case SPARP__END_HOP:
        if (SPARP__REDIRECTS)
            sparp__sched_on_hop(s, t);
        break;
    case SPARP__END_FAULT:
        sparp__sched_on_fault(s, t);
        break;
    case SPARP__END_STARVED:
        sparp__sched_on_starved(s, t);
        break;
    case SPARP__END_RECALLED:
        sparp__sched_take_back(s, t);
        break;
    default:
        t->fault = &s->refusal;
        sparp__fault_set(&s->refusal, SPARP_E_CANCELLED, 0, "%s",
                         sparp_error_text(SPARP_E_CANCELLED));
        sparp__sched_settle(s, t, SPARP_OUTCOME_CANCELLED);
    }
}

/* Its origin has had its turn: one start, or as many nanoseconds as its cost takes of the run's. */
static void sparp__sched_count_turn(sparp__sched *s, sparp__task *t) {
    if (!sparp__pace_weighs(s->pace)) {
        sparp__fair_count(&s->fair, &t->wait.limits->lane, 1);
        return;
    }
    double ns = t->cost * s->rate.admit.cost.ns;
    sparp__fair_count(&s->fair, &t->wait.limits->lane,
                      ns < 1 ? 1 : ns < SPARP__COUNT_MOST ? (int64_t)ns : SPARP__COUNT_MOST);
    if (s->options->cost_burst > 0 && t->cost > s->options->cost_burst && !s->rate.heavy_said) {
        s->rate.heavy_said = true;
        sparp__env_log(s->env, SPARP_LOG_WARN, "request %llu costs %.12g, more than cost_burst: "
                       "such a one starts when nothing is owed", (unsigned long long)t->index,
                       t->cost);
    }
}

static void sparp__sched_start(sparp__sched *s, sparp__task *t) {
    sparp__limits *l = t->wait.limits;
    sparp__sched_end_wait(s, t);
    sparp__meter_take(&s->rate.admit, t->cost, s->now);
    sparp__limits_enter(l, t, s->now);
    sparp__sched_count_turn(s, t);
    if (t->on_hop)
        sparp__task_begin_hop(t);
    else
        sparp__task_begin_attempt(t, s->now);
    t->state = SPARP__TASK_FLYING;
    t->fly.write = &l->gate.write;
    sparp__list_push_back(&s->flying, &t->link);
    s->stats.in_flight++;
    sparp__crew_start(s->crew, t);
}

/* --- input ----------------------------------------------------------------------------------- */

static sparp__task *sparp__sched_new_task(sparp__sched *s) {
    sparp__link *link = sparp__list_pop_front(&s->unused);
    if (link != NULL)
        return SPARP__OWNER(sparp__task, link, link);
    return (sparp__task *)sparp__env_zalloc(s->env, sizeof(sparp__task));
}

/* Where the next request goes is there before it is asked for, so that none can get lost. */
static bool sparp__sched_reserve(sparp__sched *s) {
    size_t live = (size_t)(s->stats.in_flight + s->stats.waiting) + 1;
    return sparp__heap_reserve(s->env, &s->sleeping, live)
        && sparp__store_reserve(s->env, &s->output, s->stats.pulled + 1, s->options->num_requests)
        && (!s->options->ordered
            || sparp__heap_reserve(s->env, &s->output.in_order, sparp__sched_backlog(s) + 1));
}

static sparp_input sparp__sched_ask_input(sparp__sched *s, sparp_request *in) {
    const sparp_options *o = s->options;
    if (o->next_request != NULL)
        return o->next_request(in, o->user_data);
    if (s->stats.pulled >= o->num_requests)
        return SPARP_INPUT_END;
    *in = o->requests[s->stats.pulled];
    return SPARP_INPUT_READY;
}

static void sparp__sched_accept(sparp__sched *s, sparp__task *t, const sparp_request *in) {
    double timeout = in->timeout_s != 0 ? in->timeout_s : s->options->timeout_s;
    t->index = s->stats.pulled++;
    t->user_data = in->user_data;
    t->fly.timeout = timeout > 0 ? sparp__time_from_s(timeout) : SPARP__NEVER;
    t->patience = in->deadline_s > 0 ? sparp__time_from_s(in->deadline_s) : SPARP__NEVER;
    t->deadline = SPARP__NEVER;
    t->cost = in->cost == 0 ? 1 : in->cost == SPARP_NONE ? 0 : in->cost;
    t->pulled_at = s->now;
    sparp__sched_mark(s, t);
    if (!sparp__request_build(s->env, &t->request, in, s->options, &s->input.memo,
                              &s->refusal)) {
        t->fault = &s->refusal;
        sparp__sched_settle(s, t, SPARP_OUTCOME_LOCAL_FAILED);
        return;
    }
    t->wait.limits = sparp__sched_limits(s, &t->request);
    if (t->wait.limits == NULL) {
        sparp__task_blame_memory(t);
        sparp__sched_settle(s, t, SPARP_OUTCOME_LOCAL_FAILED);
        return;
    }
    s->stats.waiting++;
    sparp__sched_queue_fresh(s, t);
}

/* Without memory for one more request, those that are under way come first; if there are none,
   the run is over. */
static void sparp__sched_on_no_task(sparp__sched *s) {
    if (sparp__sched_work_left(s) || sparp__sched_backlog(s) > 0) {
        s->input.memory_short = true;   /* until one of them has ended */
        return;
    }
    sparp__fault_memory(&s->fault);
    sparp__sched_fail(s);
}

/* True: asked, and one more is there. */
static bool sparp__sched_pull(sparp__sched *s) {
    sparp_request in;
    sparp__task *t = sparp__sched_reserve(s) ? sparp__sched_new_task(s) : NULL;
    if (t == NULL) {
        sparp__sched_on_no_task(s);
        return false;
    }
    memset(&in, 0, sizeof in);
    sparp_input answer = sparp__sched_ask_input(s, &in);
    if (answer == SPARP_INPUT_READY) {
        sparp__sched_accept(s, t, &in);
        return true;
    }
    sparp__list_push_front(&s->unused, &t->link);
    if (answer == SPARP_INPUT_LATER) {
        s->input.later = true;
        return false;
    }
    s->input.done = true;
    if (answer == SPARP_INPUT_END) {
        s->stats.input_ended = true;
        s->stats.input_size = s->stats.pulled;
    } else {
        sparp__fault_set(&s->fault, SPARP_E_CALLBACK_FAILED, 0, "next_request gave up");
        sparp__sched_stop(s, SPARP_STOPPED_BY_INPUT, s->options->stop_drains);
    }
    return false;
}

static bool sparp__sched_may_pull(const sparp__sched *s) {
    size_t window = (size_t)SPARP__WINDOW * (size_t)s->options->max_at_once;
    return !s->input.done && !s->input.later && !s->input.memory_short
        && s->fresh.count < (size_t)s->options->input_buffer_size
        && s->sleeping.count + s->again.count + s->parked.count < SPARP__MAX_SLEEPING
        && (s->output.keep || sparp__sched_backlog(s) < window);
}

/* --- what a stop does ------------------------------------------------------------------------ */

static sparp__task *sparp__sched_find(sparp__list *list, uint64_t index) {
    for (sparp__link *at = list->ring.next; at != &list->ring; at = at->next)
        if (SPARP__OWNER(sparp__task, link, at)->index == index)
            return SPARP__OWNER(sparp__task, link, at);
    return NULL;
}

static sparp__task *sparp__sched_find_sleeper(sparp__sched *s, uint64_t index) {
    for (size_t i = 0; i < s->sleeping.count; i++)
        if (SPARP__OWNER(sparp__task, wait.timer, s->sleeping.items[i])->index == index)
            return SPARP__OWNER(sparp__task, wait.timer, s->sleeping.items[i]);
    return NULL;
}

/* At most one request is under way with that index; looking for it may take a while. */
static void sparp__sched_cancel(sparp__sched *s, uint64_t index) {
    sparp__task *t = sparp__sched_find(&s->flying, index);
    if (t != NULL) {
        sparp__crew_cut(s->crew, t);
        return;
    }
    if ((t = sparp__sched_find(&s->parked, index)) != NULL
        || (t = sparp__sched_find(&s->fresh, index)) != NULL
        || (t = sparp__sched_find(&s->again, index)) != NULL
        || (t = sparp__sched_find_sleeper(s, index)) != NULL)
        sparp__sched_give_up(s, t);
}

/* Those that pause. What is in that heap for its deadline alone is in a queue, too. */
static void sparp__sched_give_up_sleepers(sparp__sched *s) {
    for (size_t i = 0; i < s->sleeping.count;) {
        sparp__task *t = SPARP__OWNER(sparp__task, wait.timer, s->sleeping.items[i]);
        if (t->state != SPARP__TASK_SLEEPING) {
            i++;
            continue;
        }
        sparp__sched_give_up(s, t);
        i = 0;                          /* its place has been taken, and a callback has run */
    }
}

/* Those in a list, but for what is in flight between two hops if that may end by itself. */
static void sparp__sched_give_up_list(sparp__sched *s, sparp__list *list) {
    for (sparp__link *at = list->ring.next; at != &list->ring;) {
        sparp__task *t = SPARP__OWNER(sparp__task, link, at);
        at = at->next;
        if (s->draining && t->on_hop)
            continue;
        sparp__sched_give_up(s, t);
        at = list->ring.next;           /* whoever was parked behind it may be let go by now */
    }
}

/* All that wait. */
static void sparp__sched_give_up_waiting(sparp__sched *s) {
    sparp__sched_give_up_list(s, &s->parked);
    sparp__sched_give_up_list(s, &s->again);
    sparp__sched_give_up_sleepers(s);
    sparp__sched_give_up_list(s, &s->fresh);
}

/* What is in flight. */
static void sparp__sched_cut_flying(sparp__sched *s) {
    for (sparp__link *at = s->flying.ring.next; at != &s->flying.ring; at = at->next)
        sparp__crew_cut(s->crew, SPARP__OWNER(sparp__task, link, at));
}

/* What has ended means something. Nothing else is received before that. False: nothing has. (Not
   inline it takes 36 instructions more for each request.) */
static inline bool sparp__sched_take_ended(sparp__sched *s) {
    sparp__task *t = sparp__crew_take_ended(s->crew);
    if (t == NULL)
        return false;
    sparp__limits *l = t->wait.limits;
    sparp__sched_conclude(s, t);
    sparp__sched_look_at_limits(s, l);
    return true;
}

/* Carries out what was asked for in callbacks. */
SPARP__RARE static void sparp__sched_obey(sparp__sched *s) {
    while (s->cancels.size > 0) {
        uint64_t index;
        s->cancels.size -= sizeof index;
        memcpy(&index, s->cancels.data + s->cancels.size, sizeof index);
        sparp__sched_cancel(s, index);
        while (sparp__sched_take_ended(s))
            continue;
    }
    while (s->stop_pending) {
        s->stop_pending = false;
        if (!s->draining)
            sparp__sched_cut_flying(s);
        while (sparp__sched_take_ended(s))
            continue;
        sparp__sched_give_up_waiting(s);
    }
}

static void sparp__sched_check_stop(sparp__sched *s) {
    if (s->cancels.size > 0 || s->stop_pending)
        sparp__sched_obey(s);
}

/* --- one turn -------------------------------------------------------------------------------- */

/* What has ended so far, and what was asked for meanwhile. */
static void sparp__sched_catch_up(sparp__sched *s) {
    while (sparp__sched_take_ended(s))
        sparp__sched_check_stop(s);
}

/* Nanoseconds until the rate lets the first one start. */
static int64_t sparp__sched_rate_wait(const sparp__sched *s) {
    return !s->rate.admit.limits ? 0
        : sparp__pace_wait(s->pace, &s->rate.admit, sparp__sched_first(s)->cost, s->now);
}

/* How many at once: what the user said, less if the system says less, or what was found out. */
static int sparp__sched_limit(const sparp__sched *s) {
    int found = s->slots.found.limit;
    return found > 0 && found < s->slots.limit ? found : s->slots.limit;
}

/* A slot is free and somebody wants it: only the rate may say no. */
static bool sparp__sched_may_start(const sparp__sched *s) {
    return s->again.count + s->fresh.count > 0
        && s->stats.in_flight < (uint64_t)sparp__sched_limit(s)
        && s->slots.starved_until <= s->now;
}

/* The last word is the user's: a limiter that a fleet shares, say. */
static bool sparp__sched_ask_permit(sparp__sched *s, const sparp__task *t) {
    const sparp_options *o = s->options;
    if (o->permit == NULL)
        return true;
    double wait = o->permit(sparp__request_url(sparp__task_wire(t)), t->cost, o->user_data);
    if (wait == 0)                      /* what was asked for inside comes first */
        return !s->stop_pending && s->cancels.size == 0;
    s->rate.permit_at = wait > 0 ? sparp__time_after(s->now, sparp__time_from_s(wait))
                                 : SPARP__NEVER;
    sparp__rate_block(&s->rate, false, s->now);
    return false;
}

/* A slot is free and somebody wants it: does the rate say no? Then the time counts as its own. */
static bool sparp__sched_rate_blocks(sparp__sched *s) {
    if (sparp__sched_rate_wait(s) <= 0 && s->rate.permit_at <= s->now)
        return false;
    if (s->rate.blocked_at == 0)
        sparp__rate_block(&s->rate, sparp__pace_owes(s->pace, &s->rate.admit,
                                                     sparp__sched_first(s)->cost, s->now), s->now);
    return true;
}

/* Its deadline has come while it waited. */
static void sparp__sched_expire(sparp__sched *s, sparp__task *t) {
    sparp__limits *l = t->wait.limits;
    sparp__sched_unlink(s, t);
    sparp__sched_end_wait(s, t);
    if (t->on_hop)
        sparp__fault_set(&s->refusal, SPARP_E_TIMEOUT, 0,
                         "the request's deadline has passed before the next hop of a redirect");
    else
        sparp__fault_set(&s->refusal, t->error, 0, "%s; the request's deadline has passed before "
                         "it could be tried again", sparp_error_text(t->error));
    t->fault = t->on_hop || t->error != SPARP_E_OK ? &s->refusal : NULL;
    sparp__sched_settle(s, t, t->outcome);
    sparp__sched_look_at_limits(s, l);  /* the turn it had is another's */
}

/* Lets the next one start, or wait at its origin. False: nobody can start now. */
static bool sparp__sched_admit_next(sparp__sched *s) {
    if (!sparp__sched_may_start(s) || sparp__sched_rate_blocks(s))
        return false;
    sparp__task *t = sparp__sched_first(s);
    sparp__limits *l = t->wait.limits;
    if (t->deadline <= s->now) {        /* its timer goes off at the end of the turn: too late */
        sparp__sched_expire(s, t);
        return true;
    }
    if (sparp__sched_is_barred(s, l)) {
        sparp__sched_unlink_queued(s, t);
        sparp__sched_refuse(s, t);
        return true;
    }
    bool held = sparp__limits_wait(l, t, s->options, s->now) > 0
        || (t->state == SPARP__TASK_FRESH && l->parked.count > 0);      /* whose turn it is */
    if (!held && !sparp__sched_ask_permit(s, t))
        return false;
    bool let_go = sparp__sched_unlink_queued(s, t);
    if (held)
        sparp__sched_park(s, t, let_go);
    else
        sparp__sched_start(s, t);
    sparp__sched_look_at_limits(s, l);
    return true;
}

/* Starts what can be started. */
static void sparp__sched_admit(sparp__sched *s) {
    sparp__rate_unblock(&s->rate, s->now);
    for (int n = 0; n < SPARP__STARTS_A_TURN; n++) {
        sparp__sched_catch_up(s);
        while (sparp__sched_may_pull(s) && sparp__sched_pull(s))
            sparp__sched_check_stop(s);
        sparp__sched_check_stop(s);
        if (!sparp__sched_admit_next(s))
            break;
    }
    sparp__sched_catch_up(s);
    sparp__sched_check_stop(s);
}

/* Its pause is over; or its deadline came while it waited for a slot. */
static void sparp__sched_on_sleeper(sparp__sched *s, sparp__task *t) {
    if (t->state != SPARP__TASK_SLEEPING || t->deadline <= s->now) {
        sparp__sched_expire(s, t);
        return;
    }
    int64_t defer = sparp__rate_retry_wait(&s->rate, s->options->retry_ratio, s->now);
    sparp__sched_count_pause(s, t);
    if (defer > 0)
        sparp__heap_set(&s->sleeping, &t->wait.timer,
                        sparp__min(t->deadline, sparp__time_after(s->now, defer)));
    else
        sparp__sched_queue_again(s, t, false);
}

/* An origin lets the next one through; or it is forgotten, because nobody wants it any more. */
static void sparp__sched_on_gate(sparp__sched *s, sparp__limits *l) {
    if (l->users > 0) {
        sparp__sched_look_at_limits(s, l);
        return;
    }
    int64_t memory = sparp__limits_memory(l);   /* no engine writes there now */
    if (memory > s->now)
        sparp__heap_set(&s->gates, &l->timer, memory);
    else
        sparp__limits_free(s->env, &s->origins, &s->told, l);
}

static void sparp__sched_run_timers(sparp__sched *s) {
    sparp__timer *timer;
    while ((timer = sparp__heap_expire(&s->gates, s->now)) != NULL)
        sparp__sched_on_gate(s, SPARP__OWNER(sparp__limits, timer, timer));
    while ((timer = sparp__heap_expire(&s->sleeping, s->now)) != NULL) {
        sparp__sched_on_sleeper(s, SPARP__OWNER(sparp__task, wait.timer, timer));
        sparp__sched_check_stop(s);
    }
    if (s->now >= s->deadline)
        sparp__sched_stop(s, SPARP_STOPPED_BY_DEADLINE, false);
    sparp__sched_check_stop(s);
}

/* The user, a worker or a thread has woken the run: who said "later" is asked again. */
static void sparp__sched_on_wake(sparp__sched *s, bool by_user) {
    s->input.later = false;
    s->output.progress_asked = by_user;
    if (s->rate.permit_at == SPARP__NEVER)
        s->rate.permit_at = 0;
}

/* When on_progress is due; NEVER: not before something has ended, or at all. */
static int64_t sparp__sched_progress_due(const sparp__sched *s) {
    const sparp_options *o = s->options;
    const sparp__output *out = &s->output;
    bool by_time = o->progress_every_s > 0;
    if (o->on_progress == NULL || out->progress_results < o->progress_every_results
        || (!by_time && out->progress_results == 0))
        return SPARP__NEVER;
    return sparp__time_after(out->progress_at, sparp__time_from_s(o->progress_every_s));
}

/* When it has to be woken if nothing happens before. */
static int64_t sparp__sched_next_due(const sparp__sched *s) {
    int64_t due = sparp__min(sparp__heap_next(&s->sleeping), sparp__heap_next(&s->gates));
    due = sparp__min(sparp__min(due, s->deadline), sparp__sched_progress_due(s));
    if (s->again.count + s->fresh.count > 0
        && s->stats.in_flight < (uint64_t)sparp__sched_limit(s))
        due = sparp__min(due, sparp__max(sparp__max(s->slots.starved_until, s->rate.permit_at),
                                         sparp__time_after(s->now, sparp__sched_rate_wait(s))));
    return due;
}

/* With what the engines counted. */
static sparp_stats sparp__sched_stats(const sparp__sched *s) {
    sparp_stats sum = s->stats;
    sum.elapsed_us = (s->now - s->opened_at) / 1000;
    sparp__crew_count(s->crew, &sum);
    return sum;
}

static void sparp__sched_progress(sparp__sched *s) {
    const sparp_options *o = s->options;
    sparp__output *out = &s->output;
    bool asked = s->over || out->progress_asked;
    if (o->on_progress == NULL || (!asked && sparp__sched_progress_due(s) > s->now))
        return;
    sparp_stats stats = sparp__sched_stats(s);
    out->progress_results = 0;
    out->progress_asked = false;
    out->progress_at = s->now;
    o->on_progress(s->run, &stats, o->user_data);
}

/* The end of a turn. */
static void sparp__sched_end_turn(sparp__sched *s) {
    if (sparp__sched_may_start(s))      /* since now, not since the next turn */
        sparp__sched_rate_blocks(s);
    s->over = s->input.done && !sparp__sched_work_left(s);
    sparp__sched_progress(s);
}

/* --- results that the user takes ------------------------------------------------------------- */

/* The next record that the user takes; NULL: there is none. He may charge it until he gives it
   back. */
static sparp__stored *sparp__sched_hand_out(sparp__sched *s) {
    if (!sparp__store_has_ready(&s->output))
        return NULL;
    sparp__stored *r = s->output.shown = sparp__store_take(&s->output);
    sparp__pace_show(s->pace, &s->output.hand, r->result.index, r->result.cost,
                     r->limits != NULL ? &r->limits->gate.write : NULL);
    return r;
}

static void sparp__sched_take_in(sparp__sched *s) {
    sparp__stored *r = s->output.shown;
    if (r == NULL)
        return;
    double charged = sparp__pace_hide(s->pace, &s->output.hand);
    sparp__sched_book(s, r->limits, charged, charged);
    if (r->limits != NULL)
        sparp__sched_look_at_limits(s, r->limits);
    sparp__limits_put(&s->gates, r->limits, s->now);
    sparp__store_free(s->env, &s->output, r);
    s->output.shown = NULL;
    s->input.memory_short = false;
}

/* --- opening and closing --------------------------------------------------------------------- */

/* False: out of memory. Then, too, it is for sparp__sched_free. */
static bool sparp__sched_open(sparp__sched *s, sparp *run, sparp__env *env,
                              sparp_options *options, sparp__crew *crew,
                              sparp__pace *pace) {
    sparp__list *lists[10];
    lists[0] = &s->fresh;
    lists[1] = &s->again;
    lists[2] = &s->parked;
    lists[3] = &s->flying;
    lists[4] = &s->unused;
    lists[5] = &s->output.ready;
    lists[6] = &s->fair.now;
    lists[7] = &s->fair.next;
    lists[8] = &pace->hands;
    lists[9] = &s->told;
    for (size_t i = 0; i < 10; i++)
        sparp__list_init(lists[i]);
    s->run = run;
    s->env = env;
    s->options = options;
    s->crew = crew;
    s->pace = pace;
    s->now = s->opened_at = s->rate.retry_credit_at = sparp__env_now();
    s->deadline = SPARP__NEVER;
    if (options->max_at_once == SPARP_AUTO) {
        options->max_at_once = SPARP__AIMD_MAX;
        s->slots.found.limit = SPARP__AIMD_START;
    }
    s->slots.limit = options->max_at_once;
    s->stats.input_size = options->requests != NULL ? options->num_requests
                                                    : options->estimated_input_size;
    sparp__meter_init(&s->rate.admit, options->max_per_second, options->burst,
                      options->max_cost_per_second, options->cost_burst);
    s->pace->all = s->rate.admit;
    s->pace->weighs = sparp__limits_weigh(options);
    return sparp__origins_open(env, &s->origins, sizeof(sparp__limits));
}

static void sparp__sched_free_tasks(sparp__sched *s, sparp__list *list) {
    sparp__link *link;
    while ((link = sparp__list_pop_front(list)) != NULL)
        sparp__task_free(s->env, SPARP__OWNER(sparp__task, link, link));
}

/* Whatever state it is in: nobody is told anything any more. Its engines are closed. */
static void sparp__sched_free(sparp__sched *s) {
    sparp__timer *timer;
    sparp__origin *o;
    size_t bucket = 0;
    while ((timer = sparp__heap_expire(&s->sleeping, SPARP__NEVER)) != NULL)
        if (SPARP__OWNER(sparp__task, wait.timer, timer)->state == SPARP__TASK_SLEEPING)
            sparp__task_free(s->env, SPARP__OWNER(sparp__task, wait.timer, timer));
    sparp__sched_free_tasks(s, &s->fresh);
    sparp__sched_free_tasks(s, &s->again);
    sparp__sched_free_tasks(s, &s->parked);
    sparp__sched_free_tasks(s, &s->flying);
    sparp__sched_free_tasks(s, &s->unused);
    sparp__store_close(s->env, &s->output);
    while ((o = sparp__origins_next(&s->origins, &bucket)) != NULL)
        sparp__limits_free(s->env, &s->origins, &s->told, SPARP__OWNER(sparp__limits, origin, o));
    sparp__origins_close(s->env, &s->origins);
    sparp__heap_free(s->env, &s->sleeping);
    sparp__heap_free(s->env, &s->output.in_order);
    sparp__heap_free(s->env, &s->gates);
    sparp__heap_free(s->env, &s->fair.later);
    sparp__buf_free(s->env, &s->cancels);
    sparp__buf_free(s->env, &s->input.memo.lines);
}

/* ============================================================================================ */
/* >>run        one run: its scheduler, its engines, its memory; and one turn of them all.       */
/*              Uses env, pace, reactor, engine, store, crew, sched.                             */
/* ============================================================================================ */

struct sparp {
    sparp__env    env;
    sparp_options options;              /* with every default filled in */
    sparp__sched  sched;
    sparp__engine engine;
    sparp__crew   crew;
    sparp__pace   pace;                 /* of all engines */
    int64_t       bar_at;               /* of sparp_progress_bar() */
    bool          watched;              /* by a loop that asks for sparp_poll_fds() */
};

static int sparp__run_wait_ms(const sparp *run, int64_t now) {
    const sparp__sched *s = &run->sched;
    if (s->over || s->stop_pending || s->cancels.size > 0 || run->engine.turn == 0
        || sparp__store_has_ready(&s->output) || sparp__sched_may_pull(s))
        return 0;                       /* may pull: a result was taken, and made room */
    return sparp__time_wait_ms(sparp__min(sparp__engine_next_due(&run->engine),
                                            sparp__sched_next_due(s)), now);
}

/* Somebody has written to the pipe. */
static void sparp__run_on_wake(sparp *run) {
    sparp__sched_on_wake(&run->sched, run->engine.news);
    if (sparp__crew_size(&run->crew) == 0)
        return;
    if (run->engine.news)
        sparp__crew_tell_news(&run->crew);
    sparp__crew_collect(&run->crew);
    run->sched.now = sparp__env_now();  /* not before they ended */
}

/* One turn: look; start what can be started, on connections now known to be good; then the rest. */
static void sparp__run_turn(sparp *run, int wait_ms) {
    sparp__sched *s = &run->sched;
    sparp__engine *e = &run->engine;
    bool works = sparp__engine_look(e, wait_ms);
    s->now = e->now;
    if (!works) {
        sparp__fault_set(&s->fault, SPARP_E_SYSTEM, errno, "%s: %s", sparp__reactor_name(),
                         strerror(errno));
        sparp__sched_fail(s);
    }
    if (e->woken)
        sparp__run_on_wake(run);
    while (sparp__engine_release(e))
        sparp__sched_catch_up(s);
    sparp__sched_admit(s);
    while (sparp__engine_step(e))
        sparp__sched_catch_up(s);
    sparp__sched_run_timers(s);
    sparp__sched_end_turn(s);
    sparp__engine_forgive(e, sparp__env_now());
}

/* The run's options are set. False: *fault says why, and what was built so far is for
   sparp__run_close. */
static bool sparp__run_open(sparp *run, sparp__fault *fault) {
    run->env.allocator = run->options.allocator;
    run->env.logger = run->options.logger;
    run->env.random = run->options.random_seed != 0 ? run->options.random_seed
        : (uint64_t)sparp__env_now() ^ (uint64_t)(uintptr_t)run;
    run->crew.own = &run->engine;
    sparp__list_init(&run->crew.ended);
    if (!sparp__sched_open(&run->sched, run, &run->env, &run->options, &run->crew, &run->pace))
        return sparp__fault_memory(fault);
    run->engine.may_lend = run->options.on_result != NULL;
    return sparp__engine_open(&run->engine, &run->env, &run->options, &run->pace, fault);
}

/* Whatever state it is in. Its workers are gone. */
static void sparp__run_close(sparp *run) {
    sparp__env env = run->env;
    sparp__engine_close(&run->engine);
    sparp__sched_free(&run->sched);
    sparp__env_free(&env, run, sizeof *run);
}

/* ============================================================================================ */
/* >>workers    engines on threads of their own: tasks come in by `to_do`, and what became of an */
/*              attempt goes back by the crew's `ended`. With one worker there is none of this.  */
/*              Uses base, env, wake, task, engine, crew, sched.                                 */
/* ============================================================================================ */

#define SPARP__WORKERS_MAX 256

#if SPARP__WORKERS

static void sparp__worker_cut(sparp__worker *w) {
    sparp__engine *e = &w->engine;
    for (size_t i = 0; i < e->num_conns; i++) {
        sparp__task *t = (sparp__task *)e->conns[i]->user;
        if (t == NULL)
            continue;
        sparp__lock_take(&w->crew->lock);
        bool wanted = t->fly.cut_wanted;
        sparp__lock_leave(&w->crew->lock);
        if (wanted)
            sparp__engine_cut(e, t);
    }
}

/* Begins what the scheduler has sent. Its clock is that of the start of its turn, and a callback
   may have blocked since: what has passed on the way here is not the server's. */
static void sparp__worker_begin(sparp__engine *e, sparp__task *t) {
    int64_t started_at = t->fly.started_at + sparp__max(0, e->now - t->fly.posted_at);
    t->fly.started_at = sparp__min(started_at, e->now);
    sparp__engine_start(e, t);
}

/* New tasks are started; *cut: some are to be cut. True: it is time to go. */
static bool sparp__worker_take_messages(sparp__worker *w, bool *cut) {
    sparp__engine *e = &w->engine;
    sparp__list to_do;
    sparp__link *link;
    sparp__list_init(&to_do);
    sparp__lock_take(&w->crew->lock);
    while ((link = sparp__list_pop_front(&w->to_do)) != NULL) {
        SPARP__OWNER(sparp__task, here, link)->fly.posted = false;
        sparp__list_push_back(&to_do, link);
    }
    sparp__answer *spent = w->spent;
    bool quit = w->crew->quit, drop = w->drop_idle;
    *cut = w->cut_any;
    w->spent = NULL;
    w->called = w->cut_any = w->drop_idle = false;
    sparp__lock_leave(&w->crew->lock);
    e->now = sparp__env_now();          /* not before the tasks were sent */
    while (spent != NULL) {
        sparp__answer *a = spent;
        spent = a->next;
        sparp__answers_put(&e->env, &e->spares.answers, a);
    }
    while (drop && sparp__engine_drop_oldest_idle(e))
        continue;
    while (!quit && (link = sparp__list_pop_front(&to_do)) != NULL)
        sparp__worker_begin(e, SPARP__OWNER(sparp__task, here, link));
    return quit;
}

/* And how many bytes have moved, if nothing has ended. */
static void sparp__worker_send_ended(sparp__worker *w) {
    sparp__tally tally = sparp__crew_tally(&w->engine);
    if (w->engine.ended.count == 0 && tally.bytes_in == w->published.bytes_in
        && tally.bytes_out == w->published.bytes_out)
        return;
    sparp__lock_take(&w->crew->lock);
    bool first = w->engine.ended.count > 0 && w->crew->ended.count == 0;
    sparp__list_append(&w->crew->ended, &w->engine.ended);
    w->published = tally;
    sparp__lock_leave(&w->crew->lock);
    if (first)
        sparp__wake_send(&w->crew->own->wake);
}

static void *sparp__worker_main(void *argument) {
    sparp__worker *w = (sparp__worker *)argument;
    sparp__engine *e = &w->engine;
    for (;;) {
        bool cut;
        sparp__engine_forgive(e, sparp__env_now());
        sparp__engine_look(e, sparp__time_wait_ms(sparp__engine_next_due(e), e->now));
        if (sparp__worker_take_messages(w, &cut))       /* the pipe is empty: one more wakes us */
            return NULL;
        e->deadline = cut ? e->now : SPARP__NEVER;      /* what has arrived is read before */
        while (sparp__engine_release(e))
            continue;
        while (sparp__engine_step(e))
            continue;
        if (cut)
            sparp__worker_cut(w);
        sparp__worker_send_ended(w);
    }
}

static bool sparp__worker_open(sparp__worker *w, sparp *run, sparp__fault *fault) {
    sparp__env env = run->env;
    env.logger.func = NULL;
    env.random = sparp__env_random(&run->env);
    w->crew = &run->crew;
    sparp__list_init(&w->to_do);
    if (!sparp__engine_open(&w->engine, &env, &run->options, &run->pace, fault))
        return false;
    size_t size = (size_t)run->crew.size;
    w->engine.max_conns = ((size_t)run->options.max_at_once + size - 1) / size;
    int error = sparp__thread_start(&w->thread, NULL, sparp__worker_main, w);
    w->started = error == 0;
    return w->started || sparp__fault_set(fault, SPARP_E_SYSTEM, error, "starting a worker: %s",
                                          strerror(error));
}

/* Waits for the threads; a callback that one of them is in has to return first. The tasks stay
   with the scheduler, whose they are. */
static void sparp__workers_close(sparp *run) {
    sparp__crew *crew = &run->crew;
    int size = crew->size;
    if (size == 0)
        return;
    sparp__lock_take(&crew->lock);
    crew->quit = true;
    sparp__lock_leave(&crew->lock);
    for (int i = 0; i < size; i++)
        if (crew->workers[i].started) {
            sparp__wake_send(&crew->workers[i].engine.wake);
            pthread_join(crew->workers[i].thread, NULL);
        }
    run->sched.stats = sparp__sched_stats(&run->sched);
    memset(&run->engine.tally, 0, sizeof run->engine.tally);
    crew->size = 0;
    sparp__lock_close(&crew->lock);
    sparp__lock_close(&run->pace.lock);
    for (int i = 0; i < size; i++) {
        sparp__worker *w = &crew->workers[i];
        sparp__engine_close(&w->engine);
        while (w->spent != NULL) {
            sparp__answer *a = w->spent;
            w->spent = a->next;
            sparp__answer_free(&run->env, a);
        }
    }
    sparp__env_free(&run->env, crew->workers, (size_t)size * sizeof *crew->workers);
    crew->workers = NULL;
}

/* 1: none but the run's own. */
static int sparp__workers_count(const sparp_options *o) {
    if (o->workers != SPARP_AUTO)
        return o->workers;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online > SPARP__WORKERS_MAX ? SPARP__WORKERS_MAX : (int)online;
}

/* On false what was built so far is for sparp__workers_close. */
static bool sparp__workers_open(sparp *run, sparp__fault *fault) {
    sparp__crew *crew = &run->crew;
    int size = sparp__workers_count(&run->options);
    if (size <= 1)
        return true;
    size_t bytes = (size_t)size * sizeof *crew->workers;
    crew->workers = (sparp__worker *)sparp__env_zalloc(&run->env, bytes);
    if (crew->workers == NULL || !sparp__lock_open(&crew->lock)
        || !sparp__lock_open(&run->pace.lock)) {
        sparp__lock_close(&crew->lock);
        sparp__env_free(&run->env, crew->workers, bytes);
        crew->workers = NULL;
        return sparp__fault_memory(fault);
    }
    crew->size = size;
    run->engine.may_lend = false;
    for (int i = 0; i < size; i++)
        if (!sparp__worker_open(&crew->workers[i], run, fault))
            return false;
    return true;
}

#else

static bool sparp__workers_open(sparp *run, sparp__fault *fault) {
    (void)run;
    (void)fault;
    return true;
}

static void sparp__workers_close(sparp *run) {
    (void)run;
}

#endif

/* ============================================================================================ */
/* >>public     the functions of the API: check the arguments, call the sections above. Uses     */
/*              everything above.                                                                */
/* ============================================================================================ */

/* --- options: what may be in them, and what 0 stands for -------------------------------------- */

/* One row for each number: what 0 stands for, what it may be besides (NONE, AUTO, or nothing ELSE)
   and from where to where, and what is said of all other values. */
#define SPARP__OPTIONS(X) \
    X(input_buffer_size,         SPARP_READ_AHEAD, NONE, 1, 1000000, \
      "must be 1 to 1000000 (0: the default)") \
    X(max_at_once,               100, AUTO, 1,    SPARP__MAX_AT_ONCE, \
      "must be 1 to 100000 (0: 100, SPARP_AUTO: found out)") \
    X(max_per_second,            0,   NONE, 1e-6, 1e9, \
      "must be 0.000001 to 1000000000 (0: no limit)") \
    X(burst,                     1,   ELSE, 1,    1e9,     "must be 1 to 1000000000 (0: 1)") \
    X(max_cost_per_second,       0,   NONE, 1e-6, 1.0001e12, \
      "must be 0.000001 to 1000000000000 (0: no limit)") \
    X(cost_burst,                0,   NONE, 0,    1.0001e12, \
      "must be 0 to 1000000000000 (0: what one request costs)") \
    X(max_at_once_per_origin,    0,   NONE, 0,    INT_MAX, "must not be negative (0: no limit)") \
    X(max_per_second_per_origin, 0,   NONE, 1e-6, 1e9, \
      "must be 0.000001 to 1000000000 (0: no limit)") \
    X(max_cost_per_second_per_origin, 0, NONE, 1e-6, 1.0001e12, \
      "must be 0.000001 to 1000000000000 (0: no limit)") \
    X(workers,                   0,   AUTO, 1,    SPARP__WORKERS_MAX, \
      "must be 1 to 256 (0: 1, SPARP_AUTO: as many as processors)") \
    X(timeout_s,                 30,  NONE, 0,    1e9,     "must not be negative (0: 30 s)") \
    X(connect_timeout_s,         10,  NONE, 0,    1e9,     "must not be negative (0: 10 s)") \
    X(idle_timeout_s,            0,   NONE, 0,    1e9,     "must not be negative (0: timeout_s)") \
    X(dns_timeout_s,             0,   NONE, 0,    1e9,     "must not be negative (0: none)") \
    X(tls_timeout_s,             0,   NONE, 0,    1e9,     "must not be negative (0: none)") \
    X(send_timeout_s,            0,   NONE, 0,    1e9,     "must not be negative (0: none)") \
    X(first_byte_timeout_s,      0,   NONE, 0,    1e9,     "must not be negative (0: none)") \
    X(min_bytes_per_second,      0,   NONE, 0,    1e12,    "must not be negative (0: none)") \
    X(min_speed_s,               30,  ELSE, 0,    1e9,     "must not be negative (0: 30 s)") \
    X(run_deadline_s,            0,   NONE, 0,    1e9,     "must not be negative (0: none)") \
    X(max_retries_by_soft_fail,  20,  NONE, 0,    INT_MAX, \
      "must not be negative (0: 20, SPARP_NONE: none)") \
    X(max_retries_by_timeout,    20,  NONE, 0,    INT_MAX, \
      "must not be negative (0: 20, SPARP_NONE: none)") \
    X(max_retries_by_transport,  5,   NONE, 0,    INT_MAX, \
      "must not be negative (0: 5, SPARP_NONE: none)") \
    X(backoff_s,                 0.5, NONE, 0,    1e9,     "must not be negative (0: 0.5 s)") \
    X(backoff_max_s,             30,  NONE, 0,    1e9,     "must not be negative (0: 30 s)") \
    X(retry_after_max_s,         120, NONE, 0,    1e9,     "must not be negative (0: 120 s)") \
    X(retry_ratio,               0,   NONE, 0,    1e6,     "must not be negative (0: no budget)") \
    X(stop_after_failures,       0,   NONE, 0,    INT_MAX, "must not be negative (0: none)") \
    X(stop_after_failure_ratio,  0,   NONE, 0,    1,       "must be 0 to 1 (0: none)") \
    X(stop_after_successes,      0,   NONE, 0,    INT_MAX, "must not be negative (0: none)") \
    X(max_redirects,             SPARP__REDIRECTS * 10, NONE, 0, INT_MAX, \
      "must not be negative (0: 10, SPARP_NONE: not followed)") \
    X(max_head_bytes,            1 << 16, ELSE, 1,    1 << 30, "must be 1 to 1 GiB (0: 64 KiB)") \
    X(max_body_bytes,            1 << 26, NONE, 1,    SPARP__BODY_MOST, \
      "is out of range (0: 64 MiB, SPARP_NONE: no limit)") \
    X(progress_every_s,          0.5, NONE, 0,    1e9,     "must not be negative (0: 0.5 s)")

#define SPARP__BODY_MOST ((double)(INT64_MAX / 4))
#define SPARP__OR_ELSE 0                /* nothing else */
#define SPARP__OR_NONE SPARP_NONE
#define SPARP__OR_AUTO SPARP_AUTO

/* NaN does not: no comparison with it is true. */
static bool sparp__options_fits(double value, int or_else, double least, double most) {
    return value == 0 || value == or_else || (value >= least && value <= most);
}

typedef struct sparp__number {          /* a row */
    const char   *words;
    float         least, most, fallback;        /* exact, or with some room */
    short         or_else;
    unsigned char at;                   /* in sparp_options, in units of an int */
    unsigned char type;                 /* of SPARP__TYPE */
} sparp__number;

/* 4 is an int, 8 an int64_t and 9 a double: with a float an integer adds up to a float. */
#define SPARP__TYPE(value) (sizeof(value) + (sizeof(value + 0.0f) > sizeof(float)))

static const sparp__number sparp__numbers[] = {
#define SPARP__X(field, fallback, or_else, least, most, words) \
    {SPARP__SENTENCES ? #field " " words : "", (float)(least), (float)(most), (float)(fallback), \
     SPARP__OR_##or_else, offsetof(sparp_options, field) / sizeof(int), \
     SPARP__TYPE(((sparp_options *)0)->field)},
    SPARP__OPTIONS(SPARP__X)
#undef SPARP__X
};

static double sparp__number_get(const sparp__number *n, const sparp_options *o) {
    const void *at = (const int *)(const void *)o + n->at;
    return n->type == sizeof(int) ? *(const int *)at
        : n->type == sizeof(int64_t) ? (double)*(const int64_t *)at : *(const double *)at;
}

static void sparp__number_set(const sparp__number *n, sparp_options *o, double value) {
    void *at = (int *)(void *)o + n->at;
    if (n->type == sizeof(int))
        *(int *)at = (int)value;
    else if (n->type == sizeof(int64_t))
        *(int64_t *)at = (int64_t)value;
    else
        *(double *)at = value;
}

#define SPARP__NUMBERS (sizeof sparp__numbers / sizeof *sparp__numbers)

static const char *sparp__options_check_numbers(const sparp_options *o) {
    const sparp__number *n = sparp__numbers;
    for (; n < sparp__numbers + SPARP__NUMBERS; n++)
        if (!sparp__options_fits(sparp__number_get(n, o), n->or_else, (double)n->least,
                                 (double)n->most))
            return n->words;
    return NULL;
}

/* Names of fields, with commas between. One that is written wrong would protect nothing. */
static bool sparp__options_bad_names(const char *list) {
    sparp__str rest = sparp__str_of(list != NULL ? list : ""), one;
    while (sparp__str_element(&rest, &one))
        if (!sparp__str_token(one))
            return true;
    return false;
}

static const char *sparp__options_check_rest(const sparp_options *o) {
    sparp__fault ignored;
    if (o->requests != NULL && o->next_request != NULL)
        return "requests and next_request are both set";
    if (o->requests == NULL && o->num_requests > 0)
        return "requests is NULL, but num_requests is not 0";
    if (!SPARP__WORKERS && o->workers > 1)
        return "workers need a build without SPARP_NO_WORKERS and SPARP_NO_THREADS";
    if (!SPARP__REDIRECTS && o->max_redirects > 0)
        return "max_redirects needs a build without SPARP_NO_REDIRECTS";
    if (o->retry_safe_only && o->retry_unsafe)
        return "retry_safe_only and retry_unsafe contradict each other";
    if (o->stop_on >= 1u << 6)
        return "stop_on has a bit that means nothing";
    if (o->headers == NULL && o->num_headers > 0)
        return "headers is NULL, but num_headers is not 0";
    if (!sparp__request_check_fields(o->headers, o->num_headers, 0, &ignored))
        return "headers has a line with a bad name or value";
    if (sparp__options_bad_names(o->sensitive_headers))
        return "sensitive_headers must be names of header lines with commas between";
    if (!SPARP__ZLIB && o->compressed)
        return "compressed needs a build with SPARP_ZLIB";
    if ((o->tls.client_cert_file != NULL) != (o->tls.client_key_file != NULL))
        return "tls.client_cert_file and tls.client_key_file belong together";
    if (o->tls.ca_file != NULL && o->tls.ca_pem != NULL)
        return "tls.ca_file and tls.ca_pem are both set";
    if (o->tls.min_version != 0 && o->tls.min_version != SPARP_TLS_1_2
        && o->tls.min_version != SPARP_TLS_1_3)
        return "tls.min_version must be SPARP_TLS_1_2 or SPARP_TLS_1_3";
    if (o->logger.max_level > SPARP_LOG_TRACE)
        return "logger.max_level is not a level";
    return NULL;
}

const char *sparp_check_options(const sparp_options *o) {
    const char *wrong = sparp__options_check_numbers(o);
    if (wrong == NULL)
        wrong = sparp__options_check_rest(o);
    if (wrong == NULL)
        wrong = sparp__route_check(o);
    if (wrong == NULL)
        wrong = sparp__limits_check(o);
    return wrong == NULL ? "" : SPARP__SENTENCES ? wrong : sparp_error_text(SPARP_E_BAD_OPTIONS);
}

const char *sparp_check_tls(const sparp_options *o, char *out, size_t size) {
    if (size > 0)
        out[0] = '\0';
#if SPARP__TLS
    sparp__env env;
    memset(&env, 0, sizeof env);
    env.allocator = o->allocator;
    env.logger = o->logger;
    if (env.allocator.func == NULL)
        env.allocator.func = sparp__env_default_allocator;
    sparp__trust *t = (sparp__trust *)sparp__env_zalloc(&env, sizeof *t);
    if (t != NULL)
        t->options = &o->tls;
    if (t == NULL)
        snprintf(out, size, "out of memory");
    else if (!sparp__trust_load(&env, t))
        snprintf(out, size, "%s", t->fault.detail);
    if (t != NULL)
        sparp__trust_free(&env, t);
    sparp__env_free(&env, t, sizeof *t);
#else
    (void)o;
#endif
    return out;
}

/* Fills in every default; from here on 0 means none. */
static void sparp__options_fill(sparp_options *o) {
    const sparp__number *n = sparp__numbers;
    for (; n < sparp__numbers + SPARP__NUMBERS; n++) {
        double value = sparp__number_get(n, o);
        if (value == 0)
            sparp__number_set(n, o, (double)n->fallback);
        else if (value == SPARP_NONE)
            sparp__number_set(n, o, 0);
    }
    if (o->input_buffer_size == 0)
        o->input_buffer_size = 1;
    if (o->max_body_bytes == 0)
        o->max_body_bytes = INT64_MAX / 4;      /* also where memory has less: it may stream */
    if (o->tls.min_version == 0)
        o->tls.min_version = SPARP_TLS_1_2;
    if (o->inspect == NULL)
        o->inspect = sparp_default_inspect;
    if (o->allocator.func == NULL)
        o->allocator.func = sparp__env_default_allocator;
    if (o->on_result != NULL)
        o->ordered = false;             /* it says for whom order is made */
}

/* --- opening and closing --------------------------------------------------------------------- */

static void sparp__public_refuse(const sparp_options *o, sparp_error error, const char *detail,
                                 sparp_error *error_or_null) {
    if (o->logger.func != NULL)
        o->logger.func(SPARP_LOG_ERROR, detail, o->logger.user_data);
    if (error_or_null != NULL)
        *error_or_null = error;
}

sparp *sparp_open(const sparp_options *options, sparp_error *error_or_null) {
    sparp__fault fault;
    sparp_options o = *options;
    const char *wrong = sparp_check_options(options);
    if (*wrong != '\0') {
        sparp__public_refuse(options, SPARP_E_BAD_OPTIONS, wrong, error_or_null);
        return NULL;
    }
    sparp__options_fill(&o);
    sparp *run = (sparp *)o.allocator.func(NULL, 0, sizeof *run, o.allocator.user_data);
    if (run == NULL) {
        sparp__public_refuse(options, SPARP_E_OUT_OF_MEMORY, "out of memory", error_or_null);
        return NULL;
    }
    memset(run, 0, sizeof *run);
    run->options = o;
    if (!sparp__run_open(run, &fault) || !sparp__workers_open(run, &fault)) {
        sparp__public_refuse(options, fault.error, fault.detail, error_or_null);
        sparp__workers_close(run);
        sparp__run_close(run);
        return NULL;
    }
    if (error_or_null != NULL)
        *error_or_null = SPARP_E_OK;
    return run;
}

void sparp_close(sparp *run) {
    if (run == NULL)
        return;
    sparp__workers_close(run);
    sparp__run_close(run);
}

/* --- running --------------------------------------------------------------------------------- */

bool sparp_step(sparp *run, int wait_ms) {
    sparp__sched *s = &run->sched;
    sparp__sched_take_in(s);
    if (s->over)
        return sparp__store_has_ready(&s->output);
    if (wait_ms != 0) {
        int64_t now = sparp__env_now();
        int ours = sparp__run_wait_ms(run, now);
        sparp__engine_forgive(&run->engine, now);       /* else it was waited for elsewhere */
        wait_ms = wait_ms < 0 || (ours >= 0 && ours < wait_ms) ? ours : wait_ms;
    }
    if (run->engine.turn == 0) {
        s->now = s->opened_at = sparp__env_now();
        if (run->options.run_deadline_s > 0)
            s->deadline = sparp__time_after(s->now,
                                            sparp__time_from_s(run->options.run_deadline_s));
        run->engine.deadline = s->deadline;
    }
    sparp__run_turn(run, wait_ms);
    return !s->over || sparp__store_has_ready(&s->output);
}

const sparp_result *sparp_ready(sparp *run) {
    sparp__sched_take_in(&run->sched);
    sparp__stored *r = sparp__sched_hand_out(&run->sched);
    return r != NULL ? &r->result : NULL;
}

const sparp_result *sparp_next(sparp *run) {
    for (;;) {
        const sparp_result *result = sparp_ready(run);
        if (result != NULL || !sparp_step(run, -1))
            return result;
    }
}

int sparp_poll_fd(const sparp *run) {
    return sparp__reactor_poll_fd(&run->engine.net.reactor);
}

size_t sparp_poll_fds(sparp *run, struct pollfd *fds, size_t room) {
    run->watched = true;
    return sparp__reactor_fds(&run->engine.net.reactor, fds, room);
}

int sparp_wait_ms(const sparp *run) {
    int ms = sparp__run_wait_ms(run, sparp__env_now());
    bool blind = sparp_poll_fd(run) < 0 && !run->watched && !run->sched.over;
    return blind && (ms < 0 || ms > 10) ? 10 : ms;
}

void sparp_stop(sparp *run) {
    sparp__sched_stop(&run->sched, SPARP_STOPPED_BY_CALL, run->options.stop_drains);
}

void sparp_drain(sparp *run) {
    sparp__sched_stop(&run->sched, SPARP_STOPPED_BY_CALL, true);
}

void sparp_abort(sparp *run) {
    sparp__sched_stop(&run->sched, SPARP_STOPPED_BY_CALL, false);
}

bool sparp_retry_with(sparp *run, const sparp_field *headers, size_t num_headers) {
    sparp__sched *s = &run->sched;
    return s->retrying != NULL && sparp__request_extend(&run->env, &s->retrying->request, headers,
                                                        num_headers, &s->replaced);
}

void sparp_cancel(sparp *run, uint64_t index) {
    char bytes[sizeof index];
    memcpy(bytes, &index, sizeof index);
    if (!sparp__buf_append(&run->env, &run->sched.cancels, bytes, sizeof bytes))
        sparp__env_log(&run->env, SPARP_LOG_ERROR, "no memory to cancel a request");
}

bool sparp_charge(sparp *run, uint64_t index, double more) {
    return more >= -SPARP__COST_MOST && more <= SPARP__COST_MOST && sparp__pace_weighs(&run->pace)
        && sparp__pace_charge(&run->pace, index, more, sparp__env_now());
}

void sparp_wake(sparp *run) {
    sparp__wake_send_news(&run->engine.wake);
}

void sparp_set_pace(sparp *run, int max_at_once, double max_per_second) {
    sparp__sched *s = &run->sched;
    if (max_at_once > 0 && max_at_once <= SPARP__MAX_AT_ONCE) {
        run->options.max_at_once = s->slots.limit = max_at_once;
        run->engine.max_conns = (size_t)max_at_once;
        memset(&s->slots.found, 0, sizeof s->slots.found);
    }
    if (max_per_second == 0 || !sparp__options_fits(max_per_second, SPARP_NONE, 1e-6, 1e9))
        return;
    sparp__bucket *admit = &s->rate.admit.starts;
    sparp__lock_take(&s->pace->lock);
    sparp__bucket before = s->pace->all.starts;
    run->options.max_per_second = max_per_second == SPARP_NONE ? 0 : max_per_second;
    sparp__bucket_init(admit, run->options.max_per_second, run->options.burst);
    if (before.period != 0 && before.next > s->now) {   /* what was ahead still is, in starts */
        double ahead = (double)(before.next - s->now) / (double)before.period;
        double ns = ahead * (double)admit->period;
        admit->next = sparp__time_after(s->now, ns < 9e18 ? (int64_t)ns : SPARP__NEVER);
    }
    s->pace->all.starts = *admit;
    s->pace->all.limits = s->rate.admit.limits = run->options.max_per_second > 0
        || run->options.max_cost_per_second > 0;
    sparp__lock_leave(&s->pace->lock);
    sparp__crew_wake(&run->crew);
}

sparp_stats sparp_get_stats(const sparp *run) {
    return sparp__sched_stats(&run->sched);
}

bool sparp_get_left(const sparp *run, size_t i, sparp_left *out) {
    return sparp__limits_show(&run->sched.told, i, run->sched.now, out);
}

const char *sparp_error_detail(const sparp *run) {
    return run->sched.fault.detail;
}

/* --- start to end ---------------------------------------------------------------------------- */

sparp_error sparp_run_each(const sparp_options *options, sparp_stats *stats_or_null) {
    sparp_error error;
    sparp *run = sparp_open(options, &error);
    if (stats_or_null != NULL)
        memset(stats_or_null, 0, sizeof *stats_or_null);
    if (run == NULL)
        return error;
    run->sched.output.discard = true;
    run->options.ordered = false;
    while (sparp_step(run, -1))
        continue;
    if (stats_or_null != NULL)
        *stats_or_null = sparp_get_stats(run);
    error = run->sched.fault.error;
    sparp_close(run);
    return error;
}

/* All of them by their index, or the first success alone. */
static void sparp__public_list_results(sparp *run, bool any, sparp_results *out) {
    out->items = run->sched.output.items;
    out->count = (size_t)run->sched.stats.pulled;
    for (size_t i = 0; any && i < out->count; i++)
        if (out->items[i].outcome == SPARP_OUTCOME_SUCCESS) {
            out->items[0] = out->items[i];
            out->count = 1;
        }
}

static sparp_results sparp__public_collect(const sparp_options *options, bool any) {
    sparp_results out;
    sparp_options o = *options;
    memset(&out, 0, sizeof out);
    if (any) {
        o.stop_after_successes = 1;
        o.stop_drains = false;
    }
    sparp *run = out.owner = sparp_open(&o, &out.error);
    if (run == NULL)
        return out;
    run->sched.output.keep = true;
    run->engine.may_lend = false;
    run->options.ordered = false;
    while (sparp_step(run, -1))
        continue;
    sparp__workers_close(run);
    out.error = run->sched.fault.error;
    out.stats = sparp_get_stats(run);
    sparp__engine_close(&run->engine);
    sparp__public_list_results(run, any, &out);
    return out;
}

sparp_results sparp_run_all(const sparp_options *options) {
    return sparp__public_collect(options, false);
}

sparp_results sparp_run_any(const sparp_options *options) {
    return sparp__public_collect(options, true);
}

void sparp_results_free(sparp_results *results) {
    sparp_close(results->owner);
    memset(results, 0, sizeof *results);
}

/* --- helpers --------------------------------------------------------------------------------- */

int sparp_version(void) {
    return SPARP_VERSION;
}

size_t sparp_sizeof(const char *type) {
    static const struct {
        const char *name;
        size_t size;
    } types[] = {
#define SPARP__X(type) {#type, sizeof(type)},
        SPARP__X(sparp_field) SPARP__X(sparp_request) SPARP__X(sparp_result) SPARP__X(sparp_results)
        SPARP__X(sparp_stats) SPARP__X(sparp_options) SPARP__X(sparp_tls_options)
        SPARP__X(sparp_allocator) SPARP__X(sparp_logger) SPARP__X(sparp_host_limit)
        SPARP__X(sparp_left)
#undef SPARP__X
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, type) == 0)
            return types[i].size;
    return 0;
}

const char *sparp_backend(void) {
    return sparp__reactor_name();
}

const char *sparp_tls_library(void) {
    return SPARP__TLS ? "TLS 1.3 (own) on BearSSL 0.6" : "none";
}

bool sparp_has_zlib(void) {
    return SPARP__ZLIB;
}

const char *sparp_find_header(const sparp_result *result, const char *name) {
    for (size_t i = 0; i < result->num_headers; i++)
        if (sparp__str_same(sparp__str_of(result->headers[i].name), name))
            return result->headers[i].value;
    return NULL;
}

/* ============================================================================================ */
/* >>extras     the progress bar. Uses nothing.                                                  */
/* ============================================================================================ */

#ifndef SPARP_NO_STDIO

static uint64_t sparp__stats_ended(const sparp_stats *s) {
    return s->success + s->hard_fail + s->soft_exhausted + s->timeout_exhausted
        + s->transport_failed + s->local_failed + s->cancelled + s->not_started;
}

#define SPARP__BAR_EVERY_S 10           /* between two lines where there is no terminal */

/* As wide as the terminal says; COLUMNS, which is older than the last change of its size, only
   where it says nothing. */
static size_t sparp__bar_columns(void) {
    const char *columns = getenv("COLUMNS");
#ifdef TIOCGWINSZ
    struct winsize window;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1)
        return window.ws_col;
#endif
    return columns != NULL && atoi(columns) > 1 ? (size_t)atoi(columns) : 80;
}

static void sparp__bar_format(char *out, size_t size, const sparp *run, const sparp_stats *s) {
    uint64_t done = sparp__stats_ended(s);
    uint64_t retries = s->soft_retries + s->timeout_retries + s->transport_retries;
    uint64_t total = s->input_size > done || s->input_ended ? s->input_size : done;
    double elapsed = (double)(s->elapsed_us > 0 ? s->elapsed_us : 1) / 1e6;
    double left = 0, limit = run->options.max_per_second;
    const char *about = s->input_ended || run->options.requests != NULL ? "" : "~";
    char head[64], eta[32];
    snprintf(eta, sizeof eta, "-:--");
    if (s->input_size == 0 && !s->input_ended) {
        snprintf(head, sizeof head, "-%%  %llu", (unsigned long long)done);
    } else {
        snprintf(head, sizeof head, "%s%3u%%  %llu/%s%llu", about,
                 (unsigned)(total > 0 ? 100.0 * (double)done / (double)total : 100),
                 (unsigned long long)done, about, (unsigned long long)total);
        left = (double)(total - done) * elapsed / (double)(done > 0 ? done : 1);
        if (limit > 0 && (double)(total - done) / limit > left)
            left = (double)(total - done) / limit;
        if (done > 0 && left < 360000)
            snprintf(eta, sizeof eta, "%u:%02u", (unsigned)left / 60, (unsigned)left % 60);
    }
    snprintf(out, size, "%s  ok %llu  fail %llu  retry %llu  %.0f/s  live %llu  eta %s", head,
             (unsigned long long)s->success, (unsigned long long)(done - s->success),
             (unsigned long long)retries, (double)done / elapsed,
             (unsigned long long)s->in_flight, eta);
}

void sparp_progress_bar(sparp *run, const sparp_stats *stats, void *user_data) {
    char line[256];
    bool terminal = isatty(STDERR_FILENO) == 1;
    (void)user_data;
    if (!terminal && !run->sched.over && run->bar_at != 0
        && run->sched.now - run->bar_at < SPARP__BAR_EVERY_S * SPARP__NS_PER_S)
        return;
    run->bar_at = run->sched.now;
    sparp__bar_format(line, sizeof line - 8, run, stats);
    size_t width = sparp__bar_columns();
    if (terminal && strlen(line) > width - 1)
        line[width - 1] = '\0';
    const char *end = terminal && !run->sched.over ? "" : "\n";
    fprintf(stderr, terminal ? "\r%s\033[K%s" : "%s%s", line, end);
}

#endif

/* ============================================================================================ */
/* >>end        private macros go, so that the file that included us keeps its names             */
/* ============================================================================================ */

#undef SPARP__ZLIB
#undef SPARP__POOL_MAX_UNUSED
#undef SPARP__STORE_ROUND
#undef SPARP__STORE_KEEP
#undef SPARP__SLAB_SIZE
#undef SPARP__INFLATE_SIZE
#undef SPARP__INFLATE_HEAD
#undef SPARP__EPOLL
#undef SPARP__KQUEUE
#undef SPARP__THREADS
#undef SPARP__WORKERS
#undef SPARP__SENTENCES
#ifdef SPARP_NO_SENTENCES
#undef sparp__fault_set
#undef sparp__env_log
#endif
#undef SPARP__PROXIES
#undef SPARP__LIMITS
#undef SPARP__LOOKUPS
#undef SPARP__REDIRECTS
#undef SPARP__IFADDRS
#undef SPARP__BSD
#undef SPARP__NOSIGNAL
#undef SPARP__SYS_SOCKET
#undef SPARP__SYS_CONNECT
#undef SPARP__SYS_BIND
#undef SPARP__SYS_SEND
#undef SPARP__SYS_RECV
#undef SPARP__SYS_CLOSE
#undef SPARP__SYS_GETSOCKOPT
#undef SPARP__SYS_SETSOCKOPT
#undef SPARP__SYS_FCNTL
#undef SPARP__SYS_PIPE
#undef SPARP__SYS_READ
#undef SPARP__SYS_WRITE
#undef SPARP__SYS_EPOLL_CREATE
#undef SPARP__SYS_EPOLL_CTL
#undef SPARP__SYS_EPOLL_WAIT
#undef SPARP__SYS_KQUEUE
#undef SPARP__SYS_KEVENT
#undef SPARP__SYS_POLL
#undef SPARP__SYS_GETADDRINFO
#undef SPARP__SYS_FREEADDRINFO
#undef SPARP__SYS_GETIFADDRS
#undef SPARP__SYS_FREEIFADDRS
#undef SPARP__HOSTS_FILE
#undef SPARP__SYS_THREAD
#undef SPARP__SYS_CLOCK
#undef SPARP__SYS_TIME
#undef SPARP__SYS_REALLOC
#undef SPARP__SYS_FREE
#undef SPARP__PRINTF
#undef SPARP__RARE
#undef SPARP__APART
#undef SPARP__DATES
#undef SPARP__FOLLOW_NS
#undef SPARP__ASK_NS
#undef SPARP__GIVE_MAX
#undef SPARP__TUNNEL_HEAD_MAX
#undef SPARP__EXPECT_MIN
#undef SPARP__UPLOAD_SIZE
#undef SPARP__CHUNK_ROOM
#undef SPARP__WORKERS_MAX
#undef SPARP__PASSES_MAX
#undef SPARP__AIMD_MAX
#undef SPARP__AIMD_START
#undef SPARP__GATE_OPEN
#undef SPARP__GATE_TRIES
#undef SPARP__GATE_PATIENCE
#undef SPARP__QUOTAS
#undef SPARP__QUOTA_MOST
#undef SPARP__QUOTA_LONGEST
#undef SPARP__QUOTA_COARSE
#undef SPARP__BUCKET_SLACK
#undef SPARP__DEBT_MOST
#undef SPARP__COUNT_MOST
#undef SPARP__BUCKET_NEW
#undef SPARP__SHAKES_A_TURN
#undef SPARP__LATE_READS
#undef SPARP__STALL_NS
#undef SPARP__STARTS_A_TURN
#undef SPARP__TLS_NEUTRAL
#undef SPARP__LIMB_MASK
#undef SPARP__HASH_MAX
#undef SPARP__SIGNATURE_MAX
#undef SPARP__WORK_RSA
#undef SPARP__WORK_P256
#undef SPARP__WORK_P384
#undef SPARP__WORK_P521
#undef SPARP__NUM_SCHEMES
#undef SPARP__CHAIN_MAX_CERTS
#undef SPARP__CHAIN_MAX_BYTES
#undef SPARP__CHAIN_MAX_STEPS
#undef SPARP__CHAIN_WORK
#undef SPARP__RSA_MIN_BITS
#undef SPARP__RSA_MAX_BITS
#undef SPARP__BUILT_S
#undef SPARP__RECORD_MAX
#undef SPARP__TLS_SPARE_MAX
#undef SPARP__TLS_VERDICTS
#undef SPARP__TLS_VERDICT_S
#undef SPARP__TLS_KEY_MAX
#undef SPARP__TLS_PINS_MAX
#undef SPARP__TLS_12
#undef SPARP__TLS_13
#undef SPARP__PLAIN_MAX
#undef SPARP__TLS_OUT_KEEP
#undef SPARP__TLS_UPDATE_AFTER
#undef SPARP__NUM_SUITES
#undef SPARP__TICKET_MAX
#undef SPARP__POINT_MAX
#undef SPARP__TLS_OFFERED
#undef SPARP__NUM_GROUPS
#undef SPARP__MESSAGE_MAX
#undef SPARP__IDLE_RECORDS_MAX
#undef SPARP__WARNINGS_MAX
#undef SPARP__SYS_GETRANDOM
#undef SPARP__URANDOM
#undef SPARP__GETRANDOM
#undef SPARP__TLS
#undef SPARP__NEVER
#undef SPARP__COST_MOST
#undef SPARP__NS_PER_S
#undef SPARP__NS_PER_MS
#undef SPARP__OWNER
#undef SPARP__BUF_KEEP
#undef SPARP__HOST_MAX
#undef SPARP__HTTP_MAX_LINES
#undef SPARP__DNS_THREADS
#undef SPARP__DNS_MAX_THREADS
#undef SPARP__DNS_STEP
#undef SPARP__DNS_STALL_NS
#undef SPARP__DNS_MAX_STUCK
#undef SPARP__DNS_MAX_NAMES
#undef SPARP__DNS_MAX_ADDRESSES
#undef SPARP__DNS_KEEP_NS
#undef SPARP__DNS_KEEP_FAILED_NS
#undef SPARP__DNS_BUCKETS
#undef SPARP__READABLE
#undef SPARP__WRITABLE
#undef SPARP__HANGUP
#undef SPARP__SCRATCH_MAX
#undef SPARP__RACE_MAX
#undef SPARP__RACE_STEP_NS
#undef SPARP__CONN_INDEX_BITS
#undef SPARP__IDLE_NS
#undef SPARP__IDLE_MAX_S
#undef SPARP__WAKE_TAG
#undef SPARP__MAX_AT_ONCE
#undef SPARP__MAX_SLEEPING
#undef SPARP__WINDOW
#undef SPARP__DRAIN_MAX
#undef SPARP__DRAIN_NS
#undef SPARP__RATIO_AFTER
#undef SPARP__STARVED_NS
#undef SPARP__OPTIONS
#undef SPARP__BODY_MOST
#undef SPARP__TYPE
#undef SPARP__NUMBERS
#undef SPARP__OR_ELSE
#undef SPARP__OR_NONE
#undef SPARP__OR_AUTO
#undef SPARP__BAR_EVERY_S

#endif /* POSIX names */
#endif /* SPARP_IMPLEMENTATION */

/* HISTORY
   0.1.0   2026-11-21  the first: HTTP/1.1, TLS 1.3 and 1.2, pace, retries, stop rules, ordered
                       and streamed results, foreign event loops

   LICENCE (MIT)
   Copyright (c) 2026 sparp contributors

   Permission is hereby granted, free of charge, to any person obtaining a copy of this software
   and associated documentation files (the "Software"), to deal in the Software without
   restriction, including without limitation the rights to use, copy, modify, merge, publish,
   distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
   Software is furnished to do so, subject to the following conditions:

   The above copyright notice and this permission notice shall be included in all copies or
   substantial portions of the Software.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING
   BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
   NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
   DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
   OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE. */

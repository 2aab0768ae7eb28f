#!/bin/sh
# Time as real processes and sockets have it: stopped and continued, on every backend, with workers
# and over TLS; standard output that blocks; probes on a connection that waits; a machine without
# IPv6. The same on a scripted clock: tests/unit/test_faults.c. (Ctrl-C: tests/manual.sh.)
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/servers.inc
LIBS="$(sh tools/tls.sh) -lpthread"
COUNT=100

# start_temper NAME OPTION...: $port
start_temper() {
    name=$1
    shift
    rm -f "$dir/$name.port"
    $python tests/server/temper.py "$@" --port-file "$dir/$name.port" --max-seconds 200 \
        >"$dir/$name.log" 2>&1 &
    servers="$servers $!"
    until_true [ -s "$dir/$name.port" ] || { cat "$dir/$name.log"; exit 1; }
    port=$(cat "$dir/$name.port")
}

# --- stopped for longer than the timeout, when all answers are on their way ---------------------

# built NAME FLAGS...: the command for another backend, on the way: $compilers.
built() {
    backend=$1
    shift
    # shellcheck disable=SC2086
    "${CC:-cc}" -O0 "$@" -I. -o "$dir/sparp-$backend" tools/sparp.c $LIBS &
    compilers="${compilers:-} $!"
}

built poll -DSPARP_FORCE_POLL
built kqueue -DSPARP_USE_KQUEUE -Itests/compile/shim
start_temper late
late=http://127.0.0.1:$port
with_tls=no
if has_tls && command -v openssl >/dev/null && PKI=$(sh tests/tls/pki.sh); then
    with_tls=yes
    start_temper late_tls --tls "$PKI/rsa.pem" "$PKI/rsa.key"
    secret=https://127.0.0.1:$port
else
    skip 'stopped over TLS: no BearSSL, or no openssl'
fi
for compiler in $compilers; do
    wait "$compiler"
done
seq 1 $COUNT | sed "s|.*|POST $late/late/1000|" >"$dir/post"
seq 1 $COUNT | sed "s|.*|GET $late/late/1000|" >"$dir/get"
[ "$with_tls" = no ] || seq 1 $COUNT | sed "s|.*|POST $secret/late/1000|" >"$dir/tls"

# begin NAME INPUT COMMAND...
begin() {
    name=$1 input=$2
    shift 2
    "$@" -q -c $COUNT -t 3 -R 3 "$dir/$input" >"$dir/$name.out" 2>"$dir/$name.err" &
    names="${names:-} $name" processes="${processes:-} $!"
}

# sum URL: requests that it has got.
sum() {
    curl -sk "$1/stats" | jq .requests
}

arrived() {
    [ "$(sum "$late")" -ge $((COUNT * 7)) ] || return 1
    [ "$with_tls" = no ] || [ "$(sum "$secret")" -ge $((COUNT * 2)) ]
}

begin epoll post "$SPARP"
begin get get "$SPARP"
begin workers post "$SPARP" -w 3
begin poll post "$dir/sparp-poll"
begin kqueue post "$dir/sparp-kqueue"
begin deadline post "$SPARP" --deadline 5
begin deadline_workers post "$SPARP" -w 3 --deadline 5
if [ "$with_tls" = yes ]; then
    begin tls tls "$SPARP" --insecure
    begin tls_workers tls "$SPARP" --insecure -w 3
fi
check 'all requests are under way' until_true arrived
# shellcheck disable=SC2086
kill -STOP $processes
sleep 5.2
# shellcheck disable=SC2086
kill -CONT $processes
for name in $names; do
    process=${processes# }
    processes=${process#"${process%% *}"}
    wait "${process%% *}"
    status=$? expected=0
    [ "${name#deadline}" = "$name" ] || expected=4          # it has passed, after all
    check "stopped, $name: it ended well" [ $status -eq $expected ]
    check "stopped, $name: every answer was taken, in one attempt" [ "$(jq -s 'map(select(
        .outcome == "success" and .attempts == 1)) | length' "$dir/$name.out")" = $COUNT ]
done
check 'stopped: nothing was sent again' [ "$(sum "$late")" = $((COUNT * 7)) ]
[ "$with_tls" = no ] ||
    check 'stopped: nor over TLS' [ "$(sum "$secret")" = $((COUNT * 2)) ]

# --- an interim response is not the first byte ---------------------------------------------------

# early NAME URL COMMAND...: 103 at once, the answer later; and one that comes too late.
early() {
    name=$1 url=$2
    shift 2
    printf '%s\n' "$url/early/600" "$url/early/600" >"$dir/in"
    "$@" -q --insecure -c 1 "$dir/in" >"$dir/out" 2>"$dir/err"
    check "103 first, $name: it ends no time" [ "$(jq -s 'map(select(.outcome == "success" and
        .ms.ttfb >= 590)) | length' "$dir/out")" = 2 ]
    "$@" -q --insecure -R 0 -t 60 --first-byte-timeout 0.2 "$url/early/30000" \
        >"$dir/out" 2>"$dir/err"
    check "103 first, $name: nor does it end the wait" [ "$(jq -r '[.outcome, .error.phase,
        .ms.total < 20000] | join(" ")' "$dir/out")" = 'timeout_exhausted first_byte true' ]
}

early epoll "$late" "$SPARP"
early workers "$late" "$SPARP" -w 3
early poll "$late" "$dir/sparp-poll"
early kqueue "$late" "$dir/sparp-kqueue"
if [ "$with_tls" = yes ]; then
    early tls "$secret" "$SPARP"
    early tls_workers "$secret" "$SPARP" -w 3
fi

# --- standard output that blocks is not the server's fault --------------------------------------

# 200 KB of records at once, a pipe of 64 KB, and nobody who reads for 3 s; the answers to the rest
# come after 4 s, and may take 2.
start_plain
{
    seq 1 20 | sed "s|.*|http://127.0.0.1:$port/bytes/10000|"
    seq 1 20 | sed "s|.*|$late/late/4000|"
} >"$dir/in"
"$SPARP" -q -c 40 -t 2 -R 0 --body base64 "$dir/in" 2>"$dir/err" | { sleep 3; cat; } >"$dir/out"
check 'output that blocks: nobody is timed out' [ "$(jq -s 'map(select(.outcome == "success"))
    | length' "$dir/out")" = 40 ]

# --- nor is a callback that blocks a worker -----------------------------------------------------

# Each of two workers once for 2 s; the answers come after 2.6 s, and may take 1.5.
cat >"$dir/blocking.c" <<'END'
#define SPARP_IMPLEMENTATION
#include "sparp.h"
static __thread bool blocked;
static sparp_verdict block(const sparp_result *response, void *user_data) {
    struct timespec t = { 2, 0 };
    (void)user_data;
    if (!blocked)
        nanosleep(&t, NULL);
    blocked = true;
    return response->status == 200 ? SPARP_SUCCESS : SPARP_HARD_FAIL;
}
int main(int argc, char **argv) {
    sparp_request requests[80];
    sparp_options options;
    sparp_stats stats;
    memset(requests, 0, sizeof requests);
    memset(&options, 0, sizeof options);
    for (int i = 0; i < 80; i++)
        requests[i].url = argv[i < 40 ? 1 : argc - 1];
    options.requests = requests;
    options.num_requests = 80;
    options.timeout_s = 1.5;
    options.max_retries_by_timeout = SPARP_NONE;
    options.inspect = block;
    options.workers = 2;
    sparp_run_each(&options, &stats);
    printf("%d\n", (int)stats.success);
    return 0;
}
END
# shellcheck disable=SC2086
"${CC:-cc}" -std=gnu99 -Wall -Wextra -Werror -I. -o "$dir/blocking" "$dir/blocking.c" $LIBS
check 'workers that block: nobody is timed out' \
    [ "$("$dir/blocking" "$late/late/20" "$late/late/2600")" = 80 ]

# --- nor is one that blocks the scheduler, while its workers could go on ------------------------

# Five results at a time, each of which takes 0.2 s; those that follow may take 0.5.
cat >"$dir/results.c" <<'END'
#define SPARP_IMPLEMENTATION
#include "sparp.h"
static void block(sparp *run, const sparp_result *result, void *user_data) {
    struct timespec t = { 0, 200000000 };
    (void)run;
    (void)result;
    (void)user_data;
    nanosleep(&t, NULL);
}
int main(int argc, char **argv) {
    sparp_request requests[15];
    sparp_options options;
    sparp_stats stats;
    (void)argc;
    memset(requests, 0, sizeof requests);
    memset(&options, 0, sizeof options);
    for (int i = 0; i < 15; i++)
        requests[i].url = argv[1];
    options.requests = requests;
    options.num_requests = 15;
    options.max_at_once = 5;
    options.timeout_s = 0.5;
    options.max_retries_by_timeout = SPARP_NONE;
    options.on_result = block;
    options.workers = 2;
    sparp_run_each(&options, &stats);
    printf("%d\n", (int)stats.success);
    return 0;
}
END
# shellcheck disable=SC2086
"${CC:-cc}" -std=gnu99 -Wall -Wextra -Werror -I. -o "$dir/results" "$dir/results.c" $LIBS
check 'results that take their time, with workers: nobody is timed out' \
    [ "$("$dir/results" "$late/late/20")" = 15 ]

# --- a connection that waits is probed ----------------------------------------------------------

# The timer of the connection, as the kernel tells it: "02" is that of the probes.
probes() {
    awk -v port="$(printf '%04X' "$port")" 'substr($3, 10) == port && $4 == "01" { print $6 }' \
        /proc/net/tcp | grep -q '^02:'
}

if [ -r /proc/net/tcp ]; then
    "$SPARP" -q "http://127.0.0.1:$port/hang" >"$dir/out" 2>"$dir/err" &
    waiting=$!
    check 'a connection that waits is probed' until_true probes
    kill -KILL $waiting
    wait $waiting 2>/dev/null
else
    skip 'probes: no /proc/net/tcp'
fi

# --- a machine without IPv6 ---------------------------------------------------------------------

cat >"$dir/alone.sh" <<'ALONE'
ip link set lo up || exit 1
for name in all lo; do
    echo 1 >/proc/sys/net/ipv6/conf/$name/disable_ipv6 || exit 1
done
. tests/e2e/lib.sh
start_plain
{
    seq 1 100 | sed "s|.*|http://127.0.0.1:$port/items/&|"
    echo "http://both.test:$port/items/1"
    echo "http://[2001:db8::1]:$port/items/1"
    echo 'http://refused.test:1/'
    seq 1 100 | sed "s|.*|http://127.0.0.1:$port/items/&|"
} >"$1/in"
"$SPARP" -q -c 5 -R 0 --resolve "both.test:$port:[2001:db8::1]" \
    --resolve "both.test:$port:127.0.0.1" --resolve refused.test:1:127.0.0.1 \
    --resolve 'refused.test:1:[2001:db8::1]' "$1/in" >"$1/out" 2>"$1/err"
[ $? -le 1 ]
ALONE
alone=''
for flags in -n -rn; do
    [ -n "$alone" ] || ! unshare $flags ip link set lo up 2>/dev/null || alone=$flags
done
if [ -n "$alone" ] && mkdir -p "$dir/alone" && unshare $alone sh "$dir/alone.sh" "$dir/alone"; then
    check 'without IPv6: the next address is taken, the rest is not held up' [ "$(jq -s '
        map(select(.outcome == "success" and .ms.all < 2000)) | length' "$dir/alone/out")" = 201 ]
    check 'without IPv6: an address of it is unreachable, and a refusal is said' [ "$(jq -s -c '
        map(select(.outcome != "success") | .error.kind) | sort' "$dir/alone/out")" = \
        '["refused","unreachable"]' ]
else
    skip 'a machine without IPv6: no network namespace of our own'
fi
"$SPARP" -q -R 0 --interface 192.0.2.77 "http://127.0.0.1:$port/items/1" >"$dir/out" 2>"$dir/err"
check 'an --interface that is not ours is said at once' [ $? -eq 2 ]

finish

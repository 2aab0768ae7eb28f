#!/bin/sh
# The library's TLS against a server that misbehaves and certificates of all kinds, see
# tests/tls/peers.c: on both backends, with sanitizers.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/tls/lib.sh

# backend NAME PORT PORT6 FLAGS...
backend() {
    name=$1 here=$2 here6=$3
    shift 3
    # shellcheck disable=SC2086,SC2046
    ${SANITIZER:-${CC:-cc}} -std=gnu99 -Wall -Wextra -Werror -I. "$@" -o "$dir/$name" \
        tests/tls/peers.c $(sh tools/tls.sh) -lcmocka -lpthread || return
    timeout 100 "$dir/$name" "$PKI" "$here" "$here6" "$dir/$name.time"
}

has_ipv6() {
    : >"$dir/ipv6.log"
    openssl s_server -accept '[::1]:0' -nocert >"$dir/ipv6.log" 2>&1 &
    one=$!
    until_true grep -qE 'ACCEPT|rror' "$dir/ipv6.log"
    kill $one 2>/dev/null
    wait $one 2>/dev/null
    grep -q ACCEPT "$dir/ipv6.log"
}

# Each with servers of its own, for they count what arrives.
port6=0
if has_ipv6; then
    start_rude_tls_with --ipv6
    port6=$port
fi
start_rude_tls
backend poll "$port" "$port6" -DSPARP_FORCE_POLL >"$dir/poll.out" 2>&1 &
other=$!
start_rude_tls
backend native "$port" "$port6" >"$dir/native.out" 2>&1
status=$?
wait $other || status=$?

# count WORD FILE: how many cmocka says.
count() {
    sed -n "s/^\\[  $1  \\] \\([0-9]*\\) test.*/\\1/p" "$2" | head -n 1
}

for one in native poll; do
    grep -vE '^\[ (RUN|      OK|  PASSED|  SKIPPED) |^$' "$dir/$one.out"
    good=$(count PASSED "$dir/$one.out")
    bad=$(count FAILED "$dir/$one.out")
    check "$one: it came to its end" [ -n "$good" ]
    check "$one: it was many tests" [ "$((${good:-0} + ${bad:-0}))" -gt 200 ]
    passed=$((passed + ${good:-0}))
    failed=$((failed + ${bad:-0}))
    [ ! -e "$dir/$one.time" ] || cat "$dir/$one.time"
done
check 'both ended well' [ $status -eq 0 ]
finish

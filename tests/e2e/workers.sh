#!/bin/sh
# The library with several workers, see workers.c: with a sanitizer of threads, and with those of
# memory, side by side. Then the command with -w.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
LIBS="$(sh tools/tls.sh) -lpthread"
tls=no
case $LIBS in
    *-DSPARP_NO_TLS*) ;;
    *) if command -v openssl >/dev/null; then tls=yes; fi ;;
esac
if [ $tls = yes ]; then
    . tests/tls/lib.sh
else
    skip 'https with workers: no BearSSL, or no openssl'
fi
[ -d /proc/self/task ] || { echo 'skipped: no /proc/self/task'; exit 77; }

thread_sanitizer=''
echo 'int main(void) { return 0; }' >"$dir/probe.c"
for cc in gcc clang; do
    if $cc -fsanitize=thread -o "$dir/probe" "$dir/probe.c" 2>/dev/null && "$dir/probe"; then
        thread_sanitizer="$cc -g1 -fsanitize=thread"
    fi
done

# build NAME COMPILER...
build() {
    name=$1
    shift
    # shellcheck disable=SC2086
    "$@" -std=gnu99 -Wall -Wextra -Werror -I. -o "$dir/$name" tests/e2e/workers.c $LIBS
}

# start NAME: the program against servers of its own, for they count what arrives. Sets $started.
start() {
    start_plain
    plain_port=$port
    start_rude
    rude_port=$port tls_port=0 ca=-
    if [ $tls = yes ]; then
        start_rude_tls
        tls_port=$(mode_port p256) ca=$PKI/ca.crt
    fi
    TSAN_OPTIONS='halt_on_error=0 exitcode=66' timeout 80 "$dir/$1" "$plain_port" "$rude_port" \
        "$tls_port" "$ca" >"$dir/$1.out" 2>&1 &
    started=$!
}

# finished NAME PROCESS: adds what it counted.
finished() {
    wait "$2"
    status=$?
    grep -v ' passed, ' "$dir/$1.out"
    numbers=$(sed -n 's/ passed, \([0-9]*\) failed$/ \1/p' "$dir/$1.out")
    check "$1: it came to its end" [ -n "$numbers" ]
    check "$1: it ended well, and no sanitizer said anything" [ $status -eq 0 ]
    passed=$((passed + ${numbers%% *}))
    failed=$((failed + ${numbers##* }))
}

if [ -n "$thread_sanitizer" ]; then
    # shellcheck disable=SC2086
    build threads $thread_sanitizer &
    building=$!
fi
# shellcheck disable=SC2086
build memory ${SANITIZER:-${CC:-cc}} || exit 1
if [ -n "$thread_sanitizer" ]; then
    wait "$building" || exit 1
    start threads
    threads=$started
else
    skip 'no compiler with a thread sanitizer'
fi
start memory
memory=$started
[ -z "$thread_sanitizer" ] || finished threads "$threads"
finished memory "$memory"

# shellcheck disable=SC2317
each_once() {
    jq -r .index "$dir/records" | sort -n | uniq | awk '$1 != NR - 1 { exit 1 }
                                                        END { exit NR != 2000 }' &&
        [ "$(wc -l <"$dir/records")" -eq 2000 ]
}

for workers in 3 auto; do
    seq 2000 | timeout 30 "$SPARP_PLAIN" -q -w $workers -T "http://127.0.0.1:$plain_port/items/{}" \
        -o "$dir/records"
    check "2,000 records with -w $workers: exit status" [ $? -eq 0 ]
    check "2,000 records with -w $workers: each index once" each_once
done
finish

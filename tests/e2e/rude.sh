#!/bin/sh
# The library against a server that misbehaves, see rude.c: on both backends, with sanitizers.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh

# backend NAME FLAGS...: each with a server of its own, for they count what arrives.
backend() {
    name=$1
    shift
    # shellcheck disable=SC2046,SC2086
    ${SANITIZER:-${CC:-cc}} -std=gnu99 -Wall -Wextra -Werror -I. "$@" -o "$dir/$name" \
        tests/e2e/rude.c $(sh tools/tls.sh) -lpthread || return
    start_server "rude-$name" "$RUDE"
    timeout 100 "$dir/$name" "$port"
}

backend poll -DSPARP_FORCE_POLL >"$dir/poll.out" 2>&1 &
other=$!
backend native >"$dir/native.out" 2>&1
status=$?
wait $other || status=$?
for one in native poll; do
    grep -v ' passed, ' "$dir/$one.out"
    numbers=$(sed -n 's/ passed, \([0-9]*\) failed$/ \1/p' "$dir/$one.out")
    check "$one: it came to its end" [ -n "$numbers" ]
    passed=$((passed + ${numbers%% *}))
    failed=$((failed + ${numbers##* }))
done
check 'both ended well' [ $status -eq 0 ]
finish

#!/bin/sh
# Whole runs over TLS 1.3 against a server that is part of the test: tests/tls/whole.c, on both
# backends.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
case $(sh tools/tls.sh) in
    *-DSPARP_NO_TLS*) echo 'skipped: no BearSSL'; exit 77 ;;
esac

# one NAME FLAG...
one() {
    name=$1
    shift
    # shellcheck disable=SC2046,SC2086
    ${SANITIZER:-${CC:-cc}} -std=gnu99 -Wall -Wextra -I. "$@" -o "$dir/$name" \
        tests/tls/whole.c $(sh tools/tls.sh) -lcmocka -lpthread || return
    timeout 100 "$dir/$name" >"$dir/$name.out" 2>&1 && return
    cat "$dir/$name.out"
    return 1
}

check 'whole runs' one native
check 'whole runs, poll' one poll -DSPARP_FORCE_POLL
finish

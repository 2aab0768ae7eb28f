#!/bin/sh
# What the library computes, beside OpenSSL's library: tests/tls/primitives.c; once more as on a
# processor without AES and without 128-bit products.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
case $(sh tools/tls.sh) in
    *-DSPARP_NO_TLS*) echo 'skipped: no BearSSL'; exit 77 ;;
esac
printf '#include <openssl/core_names.h>\nint main(void) { return 0; }\n' >"$dir/probe.c"
if ! ${CC:-cc} -o "$dir/probe" "$dir/probe.c" -lcrypto 2>/dev/null; then
    echo 'skipped: no headers of OpenSSL 3'
    exit 77
fi

# one NAME FLAG...
one() {
    name=$1
    shift
    # shellcheck disable=SC2046,SC2086
    ${SANITIZER:-${CC:-cc}} -std=gnu99 -Wall -Wextra -I. "$@" -o "$dir/$name" \
        tests/tls/primitives.c $(sh tools/tls.sh) -lcmocka -lcrypto -lpthread || return
    "$dir/$name" >"$dir/$name.out" 2>&1 && return
    cat "$dir/$name.out"
    return 1
}

check 'beside OpenSSL' one native
CASE='test_x25519*'
export CASE
check '... without 128-bit products' one narrow -U__SIZEOF_INT128__
finish

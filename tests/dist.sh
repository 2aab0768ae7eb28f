#!/bin/sh
# The release as one file, and what somebody does who unpacks it: builds it with TLS, without, and
# for another machine.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/e2e/lib.sh
make=${MAKE:-make}
unset CC CFLAGS MAKEFLAGS MFLAGS MAKELEVEL

if ! git rev-parse HEAD >/dev/null 2>&1; then
    echo 'skipped: no git checkout'
    exit 77
fi
# As it is now: with what has not been committed, where git knows of it.
commit=$(git stash create 2>/dev/null)
"$make" -s dist COMMIT="${commit:-HEAD}" OUTPUT="$dir" >"$dir/log" || exit 1
file=$(cat "$dir/log")
cp "$file" "$dir/first"
sleep 1
"$make" -s dist COMMIT="${commit:-HEAD}" OUTPUT="$dir" >"$dir/log"
check 'the same bytes again' cmp "$file" "$dir/first"
gzip -dc "$file" | (cd "$dir" && tar xf -)
name=$(basename "$file" .tar.gz)
cd "$dir/$name" || exit 1

top_level() {
    printf '%s\n' .ci .gitignore CHANGELOG.md LICENSE Makefile README.md examples sparp.h tests \
        tools | diff - "$dir/names"
}
# shellcheck disable=SC2012
LC_ALL=C ls -A >"$dir/names"
check 'nothing else in the top folder' top_level

# build_with WHAT VARIABLE...: and -V says WHAT of TLS.
build_with() {
    what=$1
    shift
    "$make" -s sparp CFLAGS=-O0 "$@" >"$dir/log" 2>&1 || { cat "$dir/log"; return 1; }
    $qemu ./sparp -V | grep -q "^TLS .*$what"
}

qemu=''
if has_tls; then
    check 'make' build_with BearSSL
fi
check 'make TLS=no, without make clean' build_with none TLS=no
says_so() {
    "$make" -s build/sparp.pc TLS=no && grep -q '^Cflags: .* -DSPARP_NO_TLS' build/sparp.pc &&
        ! grep -q bearssl build/sparp.pc
}
check 'sparp.pc says so' says_so

cross=arm-linux-gnueabihf
echo '#include <stdio.h>' >"$dir/probe.c"
if ! $cross-gcc -c -o "$dir/probe.o" "$dir/probe.c" 2>/dev/null; then
    skip "no $cross-gcc with a C library"
elif ! qemu=$(command -v qemu-arm-static || command -v qemu-arm); then
    skip 'no qemu-arm'
else
    qemu="$qemu -L /usr/$cross"
    check "CC=$cross-gcc make" build_with '' CC=$cross-gcc
    is_for_arm() {
        readelf -h sparp | grep -q 'Machine: *ARM'
    }
    check 'it is for that machine' is_for_arm

    # Where a size_t has 32 bits. Not a byte of it is on a disk.
    large=5368709120
    starts_large() {
        timeout 300 python3 tests/server/large.py "$dir/large.port" &
        servers="$servers $!"
        until_true test -s "$dir/large.port" && large_port=$(cat "$dir/large.port")
    }
    downloads_5_gb() {
        echo "http://127.0.0.1:$large_port/" |
            $qemu ./sparp -q --timeout 100 --max-body 6G --body none >"$dir/record" &&
            grep -q '"status":200.*"in":53687091[2-9]' "$dir/record"
    }
    uploads_5_gb() {
        truncate -s "$large" "$dir/large" &&
            printf '{"url":"%s","method":"PUT","body_file":"%s"}\n' \
            "http://127.0.0.1:$large_port/" "$dir/large" |
            $qemu ./sparp -q --timeout 250 >"$dir/record" &&
            grep -q "\"status\":200.*\"body\":\"$large\"" "$dir/record"
    }
    if ! command -v python3 >/dev/null || ! starts_large; then
        skip 'no python3 for a server of 5 GB'
    else
        check '5 GB down' downloads_5_gb
        if [ -n "${FULL:-}" ]; then
            check '5 GB up' uploads_5_gb
        else
            skip '5 GB up takes 40 s: FULL=1'
        fi
    fi
fi

# A BearSSL that the compiler does not know of by itself.
finds_own() {
    mkdir -p "$dir/own/include" "$dir/own/lib"
    echo 'int own_bearssl;' >"$dir/own.c"
    echo '/* ours */' >"$dir/own/include/bearssl.h"
    ${CC:-cc} -c -o "$dir/own.o" "$dir/own.c" && ar rc "$dir/own/lib/libbearssl.a" "$dir/own.o" &&
        BEARSSL_INCLUDE=$dir/own/include sh tools/tls.sh |
            grep -q -e "^-I$dir/own/include -L$dir/own/lib -lbearssl"
}
check 'BEARSSL_INCLUDE' finds_own

finish

#!/bin/sh
# On other machines, under qemu: every example, and the command with TLS and workers, built by the
# cross compilers of the distribution. For `make soak`: it compiles for a long time.
#   tests/machines.sh [ARCH...]     aarch64 armhf i386 mips (big endian) riscv64 s390x
set -u
cd "$(dirname "$0")/.." || exit 1
[ "$(uname)" = Linux ] || { echo 'skipped: qemu-user is of Linux'; exit 77; }
${MAKE:-make} -s build/plain || exit 1
SPARP=none PLAIN=$(pwd)/build/plain RUDE=none
. tests/e2e/lib.sh
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

# Where BearSSL's sources are: of BEARSSL=DIR, or those that tools/static.sh has fetched.
find_bearssl() {
    bearssl=${BEARSSL:-$(pwd)/build/static/bearssl}
    [ -e "$bearssl/inc/bearssl.h" ] || sh tools/static.sh >"$dir/static.log" 2>&1
    [ -e "$bearssl/inc/bearssl.h" ]
}

# Sets cc and qemu; fails where one is missing, or the C library.
find_tools() {
    case $1 in
        armhf) triple=arm-linux-gnueabihf emulated=arm ;;
        i386)  triple=i686-linux-gnu emulated=i386 ;;
        *)     triple=$1-linux-gnu emulated=$1 ;;
    esac
    cc=$(command -v "$triple-gcc") || { skip "$1: no $triple-gcc"; return 1; }
    echo 'int main(void) { return 0; }' >"$dir/probe.c"
    "$cc" -static -include stdio.h -o "$dir/probe" "$dir/probe.c" 2>"$dir/err" ||
        { skip "$1: no C library for $triple-gcc"; return 1; }
    qemu=$(command -v "qemu-$emulated-static" || command -v "qemu-$emulated") ||
        { skip "$1: no qemu-$emulated"; return 1; }
}

build_bearssl() {
    ${MAKE:-make} -s -j "$jobs" -C "$bearssl" BUILD="$work/bearssl" CC="$cc" LD="$cc" \
        CFLAGS=-Os TOOLS=no TESTS=no DLL=no lib >"$work/bearssl.log" 2>&1 ||
        { tail -n 5 "$work/bearssl.log"; return 1; }
}

# All but those that want a server or a library of others.
examples() {
    for file in examples/*.c; do
        example=$(basename "$file" .c)
        case $example in
            redis_rate|foreign_lib*) ;;
            *) echo "$example" ;;
        esac
    done
}

# Lines of "SOURCE PROGRAM" are compiled, some at a time.
build_all() {
    CC="$cc -static -I$bearssl/inc -L$work/bearssl"
    # One for another machine would do, but has no zlib.
    TLS=$(CC=$CC ZLIB=no sh tools/tls.sh)
    export CC TLS
    case $TLS in
        *-lbearssl*) ;;
        *) echo "    no BearSSL: $TLS"; return 1 ;;
    esac
    # shellcheck disable=SC2016
    {
        echo "tools/sparp.c $work/sparp"
        for example in $(examples); do
            echo "examples/$example.c $work/$example"
        done
    } | xargs -L 1 -P "$jobs" sh -c \
        '$CC -std=gnu99 -O1 -w -o "$1" "$0" $TLS -lpthread 2>"$1.log" || tail -n 3 "$1.log"'
    [ -x "$work/sparp" ]
}

# As tests/examples.sh, under qemu.
runs_as_here() {
    base=http://127.0.0.1:$port
    case $1 in
        readme) set -- "$1" "$base/items/1" "$base/items/2" "$base/status/404" ;;
        *) set -- "$1" "$base" ;;
    esac
    example=$1
    shift
    timeout 60 "$qemu" "$work/$example" "$@" >"$work/$example.raw" 2>"$work/$example.err" ||
        { echo "    exit status $?"; head -n 3 "$work/$example.err"; return 1; }
    sed "s/127\.0\.0\.1:$port/127.0.0.1:PORT/g" "$work/$example.raw" |
        diff "tests/examples/$example.out" -
}

all_examples() {
    for example in $(examples); do
        curl -s "http://127.0.0.1:$port/stats/reset" >/dev/null
        check "$arch: $example" runs_as_here "$example"
    done
}

# records FLAGS...: 200 of them are good.
records() {
    seq 0 199 | timeout 120 "$qemu" "$work/sparp" -q -c 20 "$@" >"$work/records" 2>"$work/err"
    [ "$(grep -c '"outcome":"success","status":200' "$work/records")" = 200 ] ||
        { head -n 3 "$work/err" "$work/records"; return 1; }
}

start_tls() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
        -subj /CN=one.test -addext subjectAltName=DNS:one.test -keyout "$dir/key" \
        -out "$dir/cert" 2>"$dir/err" || return 1
    for version in 1_2 1_3; do
        timeout 3000 openssl s_server -accept 127.0.0.1:0 -www -tls$version -key "$dir/key" \
            -cert "$dir/cert" >"$dir/tls.$version" 2>&1 </dev/null &
        servers="$servers $!"
        until_true grep -q '^ACCEPT' "$dir/tls.$version" || return 1
    done
}

# The certificate is looked at on that machine, too.
tls_records() {
    tls_port=$(sed -n 's/^ACCEPT.*://p' "$dir/tls.$1")
    shift
    records --resolve "one.test:$tls_port:127.0.0.1" -T "https://one.test:$tls_port/{}" "$@"
}

not_trusted() {
    ! tls_records 1_2 --cacert /dev/null --limit 1 -R 0 >/dev/null &&
        grep -q '"kind":"tls_\|certificate' "$work/records" "$work/err"
}

find_bearssl || { echo 'skipped: no sources of BearSSL'; exit 77; }
[ $# -gt 0 ] || set -- aarch64 armhf i386 mips riscv64 s390x
command -v openssl >/dev/null || { echo 'skipped: no openssl'; exit 77; }
start_tls || { cat "$dir/err"; exit 1; }
for arch; do
    find_tools "$arch" || continue
    begun=$(date +%s)
    work=$dir/$arch
    mkdir -p "$work"
    if ! build_bearssl || ! build_all; then
        check "$arch: it is built" false
        continue
    fi
    start_server plain "$PLAIN"
    all_examples
    check "$arch: 200 requests" records -T "http://127.0.0.1:$port/items/{}"
    check "$arch: ... by two workers" records -w 2 -T "http://127.0.0.1:$port/items/{}"
    check "$arch: TLS 1.2" tls_records 1_2 --cacert "$dir/cert"
    check "$arch: TLS 1.3" tls_records 1_3 --cacert "$dir/cert"
    check "$arch: a certificate nobody vouches for" not_trusted
    echo "    $arch: $(($(date +%s) - begun)) s"
done
finish

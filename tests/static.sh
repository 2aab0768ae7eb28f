#!/bin/sh
# The static binaries, of this machine and of others under qemu: their size, that they need nothing,
# and that they work where there is nothing but the binary, /etc/resolv.conf, /etc/hosts and the
# certificates. The names that are looked up stand in that /etc/hosts; all servers are on loopback.
#   LONG=yes   all machines, not only this one and armhf, and BearSSL twice; `make soak` does so
set -u
cd "$(dirname "$0")/.." || exit 1
[ "$(uname)" = Linux ] || { echo 'skipped: static binaries are built on Linux'; exit 77; }
${MAKE:-make} -s build/plain || exit 1
unset SSL_CERT_FILE SSL_CERT_DIR
server_seconds=520                      # as long as the whole test may take
SPARP=none PLAIN=$(pwd)/build/plain RUDE=none
. tests/e2e/lib.sh

# --- what is there ----------------------------------------------------------------------------

# Sets qemu, empty where none is needed; fails where there is none.
find_qemu() {
    qemu=''
    [ "$1" != "$(uname -m)" ] || return 0
    case $1 in
        armhf) set -- arm ;;
        i386) [ "$(uname -m)" != x86_64 ] || return 0 ;;
    esac
    qemu=$(command -v "qemu-$1-static") || qemu=$(command -v "qemu-$1")
}

# in_root DIRECTORY COMMAND...: as root, or in a user namespace where the system lets us.
in_root() {
    root=$1
    shift
    if [ "$(id -u)" = 0 ]; then
        chroot "$root" "$@"
    else
        unshare -r chroot "$root" "$@"
    fi
}

can_chroot() {
    [ "$(id -u)" = 0 ] || unshare -r true 2>/dev/null
}

# A server for https://one.test, which our own authority signed: $tls_port. And another authority.
start_tls() {
    for name in ours other; do
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
            -subj "/CN=$name" -keyout "$dir/$name.key" -out "$dir/$name.pem" || return 1
    done
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=one.test \
        -keyout "$dir/server.key" -out "$dir/server.csr" || return 1
    echo 'subjectAltName=DNS:one.test' >"$dir/server.ext"
    openssl x509 -req -days 2 -in "$dir/server.csr" -extfile "$dir/server.ext" -set_serial 1 \
        -CA "$dir/ours.pem" -CAkey "$dir/ours.key" -out "$dir/server.pem" || return 1
    timeout "$server_seconds" openssl s_server -accept 127.0.0.1:0 -www \
        -key "$dir/server.key" -cert "$dir/server.pem" >"$dir/tls.log" 2>&1 </dev/null &
    servers="$servers $!"
    until_true grep -q '^ACCEPT' "$dir/tls.log" || return 1
    tls_port=$(sed -n 's/^ACCEPT.*://p' "$dir/tls.log")
}

# --- the tests --------------------------------------------------------------------------------

# 440 KiB, but for machines whose code is larger.
small() {
    case $name in
        i386) limit=471040 ;;
        pie)  limit=481280 ;;
        mips) limit=573440 ;;
        *)    limit=450560 ;;
    esac
    size=$(wc -c <"$1")
    echo "$name: $size bytes"
    [ "$size" -le "$limit" ]
}

# Neither an interpreter, nor libraries, nor symbols; and bound to its addresses, or not.
alone() {
    readelf -hlSWd "$1" >"$dir/elf" || return 1
    type=EXEC
    [ "$name" != pie ] || type=DYN
    grep -q "Type: *$type " "$dir/elf" && ! grep -qE 'INTERP|\(NEEDED\)|\.symtab' "$dir/elf"
}

all_answered() {
    # shellcheck disable=SC2086
    seq 200 | $qemu "$1" -q -T "http://127.0.0.1:$port/items/{}" -o "$dir/$name.jsonl" &&
        [ "$(grep -c '"outcome":"success","status":200' "$dir/$name.jsonl")" = 200 ]
}

# fetch CERTIFICATES URL [WHERE]: in a new root; the record goes to $dir/record. Under qemu a
# big-endian musl never comes back from getifaddrs(), which every look-up asks: there the address
# is told.
fetch() {
    told=''
    to=${3:-/etc/ssl/certs/ca-certificates.crt}
    [ "$name" != mips ] ||
        told="--resolve one.test:$port:127.0.0.1 --resolve one.test:${tls_port:-1}:127.0.0.1"
    rm -rf "$dir/root"
    mkdir -p "$dir/root/etc" "$(dirname "$dir/root$to")"
    cp "$binary" "$dir/root/sparp"
    [ -z "$qemu" ] || cp "$qemu" "$dir/root/qemu"
    echo 'nameserver 127.0.0.1' >"$dir/root/etc/resolv.conf"
    echo '127.0.0.1 one.test' >"$dir/root/etc/hosts"
    [ -z "$1" ] || cp "$1" "$dir/root$to"
    # shellcheck disable=SC2086
    echo "$2" | in_root "$dir/root" ${qemu:+/qemu} /sparp -q -R 0 $told >"$dir/record"
}

http_in_root() {
    fetch '' "http://one.test:$port/items/7" && grep -q '"status":200' "$dir/record"
}

https_in_root() {
    fetch "$dir/ours.pem" "https://one.test:$tls_port/" && grep -q '"status":200' "$dir/record"
}

# Where Termux has them, and where Android has each in a file.
https_on_android() {
    for to in /data/data/com.termux/files/usr/etc/tls/cert.pem \
        /system/etc/security/cacerts/01419da9.0 /apex/com.android.conscrypt/cacerts/01419da9.0; do
        fetch "$dir/ours.pem" "https://one.test:$tls_port/" "$to" &&
            grep -q '"status":200' "$dir/record" || return 1
    done
}

# https_refused CERTIFICATES ERROR
https_refused() {
    ! fetch "$1" "https://one.test:$tls_port/" && grep -q "$2" "$dir/record"
}

test_in_root() {
    if ! can_chroot; then
        skip 'no chroot without root'
        return
    fi
    if [ -n "$qemu" ] && readelf -lW "$qemu" | grep -q INTERP; then
        skip "$qemu is not static: no chroot"
        return
    fi
    check "$name: http in an empty root, name from /etc/hosts" http_in_root
    if [ -z "$tls_port" ]; then
        skip 'no openssl'
    else
        check "$name: https in an empty root, trusted" https_in_root
        [ "$name" != native ] || check 'Termux and Android: https' https_on_android
        check "$name: https, another authority" https_refused "$dir/other.pem" tls_certificate
        check "$name: https, no certificates" https_refused '' tls_trust
    fi
}

version=$(sed -n 's/^#define SPARP_VERSION_STRING "\(.*\)"/\1/p' sparp.h)

shows_version() {
    # shellcheck disable=SC2086
    $qemu "$1" -V >"$dir/version" && grep -q "^sparp $version" "$dir/version" &&
        grep -q '^TLS .*BearSSL [0-9]' "$dir/version" &&
        grep -q '^libc *musl [0-9]' "$dir/version"
}

# The list of what is in it says the same as -V, and which file it is about.
lists_its_parts() {
    of_part() {
        jq -r --arg name "$1" '.components[] | select(.name == $name).version' "$2.cdx.json"
    }
    grep -qF "BearSSL 0.6 ($(of_part BearSSL "$1"))" "$dir/version" &&
        grep -qxF "libc      musl $(of_part musl "$1")" "$dir/version" &&
        [ "$(jq -r .metadata.component.version "$1.cdx.json")" = "$version" ] &&
        [ "$(jq -r '.metadata.component.hashes[0].content' "$1.cdx.json")" = \
            "$(sha256sum "$1" | cut -d ' ' -f 1)" ]
}

# As README has it, but for the optimisation: BearSSL in the tree.
builds_with_sources() {
    rm -rf "$dir/tree"
    mkdir "$dir/tree"
    cp sparp.h "$dir/tree"
    sed 's/"\.\.\/sparp.h"/"sparp.h"/' examples/readme.c >"$dir/tree/readme.c"
    ln -s "${BEARSSL:-$(pwd)/build/static/bearssl}" "$dir/tree/bearssl"
    line=$(sed -n 's/^cc -O2 \(.*-Ibearssl.*\)/\1/p' README.md)
    [ -n "$line" ] && (cd "$dir/tree" && eval "${CC:-cc} -O0 $line") &&
        "$dir/tree/readme" "http://127.0.0.1:$port/items/1" | grep -q '^200 '
}

# In another folder, from the same sources. BearSSL is not compiled once more, but with LONG=yes.
same_again() {
    rm -rf "$dir/again"
    mkdir "$dir/again"
    cp -R sparp.h tools "$dir/again"
    if [ -z "${LONG:-}" ]; then
        mkdir -p "$dir/again/build/static/$(uname -m)"
        cp -Rp "build/static/$(uname -m)/bearssl" "$dir/again/build/static/$(uname -m)"
    fi
    BEARSSL=${BEARSSL:-$(pwd)/build/static/bearssl} sh "$dir/again/tools/static.sh" >"$dir/log" ||
        { cat "$dir/log"; return 1; }
    cmp build/static/sparp "$dir/again/build/static/sparp" &&
        cmp build/static/sparp.cdx.json "$dir/again/build/static/sparp.cdx.json"
}

# build NAME [ARCH]: adds to $built what could be built.
build() {
    name=$1
    shift
    sh tools/static.sh "$@" >"$dir/build.log" 2>&1
    status=$?
    cat "$dir/build.log"
    case $status in
        0) built="$built $name" ;;
        77) skip "$name: $(tail -n 1 "$dir/build.log" | sed 's/^static.sh: //')" ;;
        *) check "$name: build" false ;;
    esac
}

# test_one BINARY ARCH
test_one() {
    binary=$1
    check "$name: small" small "$binary"
    check "$name: static and stripped" alone "$binary"
    if ! find_qemu "$2"; then
        skip "no qemu for $name"
        return
    fi
    check "$name: -V names BearSSL and musl" shows_version "$binary"
    check "$name: the list of its parts" lists_its_parts "$binary"
    check "$name: http" all_answered "$binary"
    test_in_root
}

built=''
build native
build armhf armhf
if [ -n "${LONG:-}" ]; then
    build pie pie
    build aarch64 aarch64
    for arch in i386 mips riscv64; do   # no compiler is installed for these
        SPARP_INSTALL=no build $arch $arch
    done
fi
start_plain
tls_port=''
if command -v openssl >/dev/null && ! start_tls >"$dir/openssl.log" 2>&1; then
    cat "$dir/openssl.log"
    check 'start of the TLS server' false
fi
for name in $built; do
    case $name in
        native)
            test_one build/static/sparp "$(uname -m)"
            check 'native: the same bytes again' same_again
            check 'BearSSL in the tree' builds_with_sources ;;
        pie) test_one build/static/sparp-pie "$(uname -m)" ;;
        *) test_one "build/static/sparp-$name" "$name" ;;
    esac
done
finish

#!/bin/sh
# Builds the command with TLS as one static, stripped file for Linux:   tools/static.sh [ARCH]
#   without ARCH   for this machine: build/static/sparp
#   with ARCH      aarch64 or armhf: build/static/sparp-ARCH
# With musl, and with BearSSL from source: that of BEARSSL=DIR, or the source package of the
# distribution, which apt fetches into build/static, as it does musl of another architecture. The
# system's package lists stay as they are. What has been fetched and built is used again.
# Exit 77: something is missing and cannot be had here; the last line says what.
set -u
cd "$(dirname "$0")/.." || exit 1
work=$(pwd)/build/static
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
MAKE=${MAKE:-make}
unset MAKEFLAGS MFLAGS MAKELEVEL

# Small before fast: that is what this binary is for.
all_flags='-Os -fno-pie
           -ffunction-sections -fdata-sections -fno-unwind-tables -fno-asynchronous-unwind-tables
           -falign-functions=1 -falign-loops=1 -falign-jumps=1'
link_flags='-static -no-pie -s -Wl,--gc-sections,--build-id=none
            -Wl,-z,noseparate-code,-z,norelro,-z,max-page-size=4096'

missing() {
    echo "static.sh: $*" >&2
    exit 77
}

failed() {
    tail -n 20 "$work/$arch/log"
    echo "static.sh: $1 failed, see build/static/$arch/log" >&2
    exit 1
}

this_machine() {
    case $(uname -m) in
        armv7*|armv8l) echo armhf ;;
        arm64) echo aarch64 ;;
        *) uname -m ;;
    esac
}

# --- what the distribution has ----------------------------------------------------------------

# sources deb|deb-src ARCHITECTURE: the system's own entries for the place BearSSL comes from, as
# entries of that type, into sources/.
sources() {
    base=$(apt-get --print-uris download libbearssl-dev 2>/dev/null |
        sed -n "s|^'\(.*\)/pool/.*|\1|p" | head -n 1)
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -e "$file" ] || continue
        awk -v base="$base" -v type="$1" -v arch="$2" '
            BEGIN { RS = ""; ORS = "\n\n" }
            /(^|\n)Enabled: *no/ || !index($0, base) { next }
            {
                gsub(/(^|\n)#[^\n]*/, "")
                sub(/^\n/, "")
                sub(/\nArchitectures:[^\n]*/, "")
                sub(/Types:[^\n]*/, "Types: " type "\nArchitectures: " arch)
                print
            }' "$file" >"sources/$(basename "$file")"
    done
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -e "$file" ] || continue
        awk -v base="$base" -v type="$1" -v arch="$2" '
            /^deb[ \t]/ && index($0, base) {
                sub(/arch=[^] ]*/, "arch=" arch)
                sub(/^deb/, type)
                print
            }' "$file" >"sources/$(basename "$file")"
    done
}

apt() {
    apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$apt/sources" \
        -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root \
        -o APT::Architectures::="$debian" -o Acquire::Languages=none "$@"
}

# fetch deb|deb-src COMMAND...: in a directory of its own, which is left for what is in there then.
# An update that fails in part may do: what counts is whether the package comes.
fetch() {
    apt=$work/apt.$$
    rm -rf "$apt"
    mkdir -p "$apt/sources" "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/in"
    trap 'rm -rf "$apt"' EXIT
    trap 'exit 130' INT TERM HUP
    (
        cd "$apt" || exit 1
        sources "$1" "$debian"
        shift
        apt update
        cd in && "$@"
    ) >"$work/$arch/log" 2>&1 </dev/null || tail -n 5 "$work/$arch/log"
}

fetch_bearssl() {
    { command -v apt-get && command -v dpkg-source; } >/dev/null ||
        missing 'BEARSSL=DIR must name the source of BearSSL where there is no apt and dpkg-dev'
    echo 'fetching the source package of BearSSL'
    fetch deb-src apt source bearssl
    for dir in "$apt"/in/bearssl-*/; do
        [ -e "$dir/inc/bearssl.h" ] || missing 'the source package of BearSSL could not be fetched'
        [ -e "$work/bearssl" ] || mv "$dir" "$work/bearssl"
    done
    rm -rf "$apt"
}

fetch_musl() {
    command -v apt-get >/dev/null || missing "no $triple-musl-gcc, and no apt to fetch musl with"
    echo "fetching musl for $arch"
    fetch deb apt download "musl-dev:$debian"
    for file in "$apt"/in/musl-dev_*.deb; do
        [ -e "$file" ] || missing "musl for $arch could not be fetched"
        dpkg -x "$file" "$apt/musl" || exit 1
        [ -e "$work/$arch/musl" ] || mv "$apt/musl" "$work/$arch/musl"
    done
    rm -rf "$apt"
}

# --- compilers --------------------------------------------------------------------------------

native_compiler() {
    sh tools/need.sh static || exit 1
    if command -v musl-gcc >/dev/null; then
        cc=musl-gcc
    else
        cc=${CC:-cc}
        case $($cc -dumpmachine) in
            *musl*) ;;
            *) missing 'no musl-gcc' ;;
        esac
    fi
}

# A cross compiler for glibc becomes one for musl by a file of specs, as musl-gcc does it.
cross_compiler() {
    sh tools/need.sh "static-$arch" || exit 1
    if command -v "$triple-musl$abi-gcc" >/dev/null; then
        cc=$triple-musl$abi-gcc
        return
    fi
    command -v "$triple-gnu$abi-gcc" >/dev/null || missing "no $triple-gnu$abi-gcc"
    [ -e "$work/$arch/musl" ] || fetch_musl
    sed "s|/usr/|$work/$arch/musl/usr/|g" "$work/$arch"/musl/usr/lib/*/musl-gcc.specs \
        >"$work/$arch/musl.specs" || missing "musl for $arch has no specs for gcc"
    cc="$triple-gnu$abi-gcc -specs $work/$arch/musl.specs"
}

arch=${1:-$(this_machine)}
output=build/static/sparp${1:+-$1}
case $arch in
    x86_64)  debian=amd64 triple=x86_64-linux abi='' cpu='-fno-inline-functions-called-once
        -fno-tree-switch-conversion -fno-jump-tables -fno-expensive-optimizations' ;;
    aarch64) debian=arm64 triple=aarch64-linux abi='' cpu='-mno-outline-atomics -mcmodel=tiny
        -fno-tree-switch-conversion -fomit-frame-pointer' ;;
    armhf)   debian=armhf triple=arm-linux abi=eabihf cpu='' ;;
    *) missing "no static binary for $arch" ;;
esac
case ${1:-} in
    ''|aarch64|armhf) ;;
    *) echo 'usage: tools/static.sh [aarch64|armhf]' >&2; exit 2 ;;
esac
[ "$(uname)" = Linux ] || missing 'static binaries are built on Linux'
mkdir -p "$work/$arch"
if [ "$arch" = "$(this_machine)" ]; then
    native_compiler
else
    cross_compiler
fi

# --- build ------------------------------------------------------------------------------------

if [ -n "${BEARSSL:-}" ]; then
    bearssl=$(cd "$BEARSSL" && pwd) || exit 1
else
    bearssl=$work/bearssl
    [ -e "$bearssl" ] || fetch_bearssl
fi

# shellcheck disable=SC2086,SC2116
"$MAKE" -s -j "$jobs" -C "$bearssl" BUILD="$work/$arch/bearssl" CC="$cc" LD="$cc" \
    CFLAGS="$(echo $cpu $all_flags)" TOOLS=no TESTS=no DLL=no lib >"$work/$arch/log" 2>&1 ||
    failed 'the build of BearSSL'

# shellcheck disable=SC2086
$cc $cpu $all_flags ${CPPFLAGS:-} -I. -I"$bearssl/inc" $link_flags \
    -o "$output.new" tools/sparp.c "$work/$arch/bearssl/libbearssl.a" >"$work/$arch/log" 2>&1 ||
    failed 'the build of the command'
mv "$output.new" "$output"
echo "$output: $arch, static, $(wc -c <"$output") bytes"

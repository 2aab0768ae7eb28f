#!/bin/sh
# Builds the command with TLS as one static, stripped file for Linux:   tools/static.sh [ARCH]
#   without ARCH   for this machine: build/static/sparp
#   with ARCH      aarch64, armhf, i386, mips (big endian) or riscv64: build/static/sparp-ARCH
#   pie            for this machine, to be loaded wherever the kernel likes: build/static/sparp-pie
# With musl, and with BearSSL from source: that of BEARSSL=DIR, or the source package of the
# distribution, which apt fetches into build/static, as it does musl of another architecture (its
# source, where the distribution does not build for that). The system's package lists stay as they
# are. What has been fetched and built is used again.
# Beside the binary: a list of what is in it (CycloneDX), sparp.cdx.json. The same sources and
# compiler give the same bytes of both.
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
        i?86) echo i386 ;;
        *) uname -m ;;
    esac
}

# --- what the distribution has ----------------------------------------------------------------

. tools/fetch.sh

fetch_bearssl() {
    { command -v apt-get && command -v dpkg-source; } >/dev/null ||
        missing 'BEARSSL=DIR must name the source of BearSSL where there is no apt and dpkg-dev'
    fetch_source bearssl BearSSL inc/bearssl.h
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

# Where the distribution has no musl for it.
fetch_musl_source() {
    { command -v apt-get && command -v dpkg-source; } >/dev/null ||
        missing "no $triple-musl-gcc, and no apt and dpkg-dev to fetch musl with"
    fetch_source musl musl configure
}

build_musl() {
    [ -e "$work/musl" ] || fetch_musl_source
    echo "building musl for $arch"
    mkdir -p "$work/$arch/musl.build"
    (
        cd "$work/$arch/musl.build" && unset CFLAGS CPPFLAGS LDFLAGS &&
            CC=$triple-gnu$abi-gcc "$work/musl/configure" --target="$triple-gnu" --disable-shared \
                --prefix="$work/$arch/musl.new/usr" --syslibdir="$work/$arch/musl.new/lib" \
                --enable-wrapper=gcc CFLAGS=-Os && "$MAKE" -s -j "$jobs" && "$MAKE" -s install
    ) >"$work/$arch/log" 2>&1 || failed 'the build of musl'
    mv "$work/$arch/musl.new" "$work/$arch/musl"
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

# The linker is told by the specs, or by a compiler that has musl by itself.
pie_compiler() {
    native_compiler
    all_flags="$(echo "$all_flags" | sed 's/-fno-pie/-fPIE/')"
    link_flags='-s -Wl,--gc-sections,--build-id=none -Wl,-z,noseparate-code,-z,max-page-size=4096'
    specs=''
    [ "$cc" != musl-gcc ] || specs=$(sed -n 's/.*-specs "\(.*\)".*/\1/p' "$(command -v musl-gcc)")
    if [ -z "$specs" ]; then
        link_flags="-static-pie $link_flags"
        return
    fi
    sed 's/Scrt1\.o/rcrt1.o/; s/-dynamic-linker [^ ]*/-static -pie --no-dynamic-linker -z text/' \
        "$specs" >"$work/$arch/musl.specs"
    cc="${REALGCC:-gcc} -specs $work/$arch/musl.specs"
}

# A cross compiler for glibc becomes one for musl by a file of specs, as musl-gcc does it.
cross_compiler() {
    sh tools/need.sh "static-$arch" || exit 1
    if command -v "$triple-musl$abi-gcc" >/dev/null; then
        cc=$triple-musl$abi-gcc
        return
    fi
    command -v "$triple-gnu$abi-gcc" >/dev/null || missing "no $triple-gnu$abi-gcc"
    if [ -z "$debian" ]; then
        [ -e "$work/$arch/musl" ] || build_musl
        sed "s|musl\.new/|musl/|g" "$work/$arch/musl/usr/lib/musl-gcc.specs" \
            >"$work/$arch/musl.specs"
    else
        [ -e "$work/$arch/musl" ] || fetch_musl
        sed "s|/usr/|$work/$arch/musl/usr/|g" "$work/$arch"/musl/usr/lib/*/musl-gcc.specs \
            >"$work/$arch/musl.specs" || missing "musl for $arch has no specs for gcc"
    fi
    cc="$triple-gnu$abi-gcc -specs $work/$arch/musl.specs"
}

arch=${1:-$(this_machine)}
[ "${1:-}" != pie ] || arch=$(this_machine)
output=build/static/sparp${1:+-$1}
case $arch in
    x86_64)  debian=amd64 triple=x86_64-linux abi='' cpu='-fno-inline-functions-called-once
        -fno-tree-switch-conversion -fno-jump-tables -fno-expensive-optimizations' ;;
    aarch64) debian=arm64 triple=aarch64-linux abi='' cpu='-mno-outline-atomics -mcmodel=tiny
        -fno-tree-switch-conversion -fomit-frame-pointer' ;;
    armhf)   debian=armhf triple=arm-linux abi=eabihf cpu='' ;;
    i386)    debian=i386 triple=i686-linux abi='' cpu='-march=i586 -mpreferred-stack-boundary=2
        -fno-inline-functions-called-once -fomit-frame-pointer' ;;
    mips)    debian='' triple=mips-linux abi='' cpu='' ;;
    riscv64) debian='' triple=riscv64-linux abi='' cpu='' ;;
    *) missing "no static binary for $arch" ;;
esac
case ${1:-} in
    ''|pie|aarch64|armhf|i386|mips|riscv64) ;;
    *) echo 'usage: tools/static.sh [aarch64|armhf|i386|mips|riscv64|pie]' >&2; exit 2 ;;
esac
[ "$(uname)" = Linux ] || missing 'static binaries are built on Linux'
[ "${1:-}" != pie ] || arch=$arch-pie
mkdir -p "$work/$arch"
if [ "${1:-}" = pie ]; then
    pie_compiler
elif [ "$arch" = "$(this_machine)" ]; then
    native_compiler
else
    cross_compiler
fi

echo "$cc" >"$work/$arch/cc"

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

# --- what is in it ----------------------------------------------------------------------------

# musl has its number in its archive, BearSSL none but in the name of the source.
musl_version() {
    echo 'int main(void) { return 0; }' >"$work/$arch/probe.c"
    # shellcheck disable=SC2086
    archive=$($cc $link_flags -Wl,-t -o "$work/$arch/probe" "$work/$arch/probe.c" 2>/dev/null |
        sed -n 's/^(*\([^()]*libc\.a\).*/\1/p' | head -n 1)
    ar p "$archive" version.lo | tr -c '0-9.' '\n' | grep -x '[0-9]\{1,\}\.[0-9.]*[0-9]' | head -n 1
}

bearssl_version() {
    if [ -e "$bearssl/debian/changelog" ]; then
        sed -n '1s/.*(\(.*\)).*/\1/p' "$bearssl/debian/changelog"
    else
        basename "$bearssl" | sed -n 's/^[Bb]ear[Ss][Ss][Ll]-\([0-9].*\)/\1/p'
    fi
}

sparp=$(sed -n 's/^#define SPARP_VERSION_STRING "\(.*\)"/\1/p' sparp.h)
tls=$(bearssl_version)
tls=${tls:-unknown}
libc=$(musl_version)
libc=${libc:-unknown}

# part NAME VERSION LICENCE WHAT
part() {
    printf '    {"type": "library", "name": "%s", "version": "%s",\n' "$1" "$2"
    printf '     "description": "%s", "licenses": [{"expression": "%s"}]}' "$4" "$3"
}

list_of_parts() {
    cat <<JSON
{
  "bomFormat": "CycloneDX",
  "specVersion": "1.5",
  "version": 1,
  "metadata": {
    "component": {"type": "application", "name": "sparp", "version": "$sparp",
                  "licenses": [{"expression": "MIT"}],
                  "hashes": [{"alg": "SHA-256", "content": "$(sha256sum "$output" | cut -c 1-64)"}]}
  },
  "components": [
JSON
    part musl "$libc" MIT "C library, $arch" && echo ,
    part BearSSL "$tls" MIT TLS && echo ,
    part libgcc "$($cc -dumpfullversion)" 'GPL-3.0-or-later WITH GCC-exception-3.1' \
        "the compiler's run-time functions"
    printf '\n  ]\n}\n'
}

# shellcheck disable=SC2086
$cc $cpu $all_flags ${CPPFLAGS:-} -DSPARP_CLI_LIBC="\"musl $libc\"" -DSPARP_CLI_TLS="\" ($tls)\"" \
    -I. -I"$bearssl/inc" $link_flags \
    -o "$output.new" tools/sparp.c "$work/$arch/bearssl/libbearssl.a" >"$work/$arch/log" 2>&1 ||
    failed 'the build of the command'
mv "$output.new" "$output"
list_of_parts >"$output.cdx.json"
echo "$output: $arch, static, $(wc -c <"$output") bytes"

#!/bin/sh
# How large sparp is, by machine and by what is left out, and what it needs beside others: two
# tables, in README.md too, between its two lines "make sizes".   make sizes
# First code and constants of sparp.h alone, as an object file; then whole programs, static and
# stripped, with musl and with what they need of BearSSL; then tests/bench/memory.sh.
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=build/sizes
static=build/static
rm -rf $dir
mkdir -p $dir
flags='-Os -ffunction-sections -fdata-sections -fno-unwind-tables -fno-asynchronous-unwind-tables'

cat >$dir/program.c <<'C'
#define SPARP_IMPLEMENTATION
#include "sparp.h"

int main(int argc, char **argv) {
    sparp_request request = {0};
    sparp_options options = {0};
    request.url = argv[argc - 1];
    options.requests = &request;
    options.num_requests = 1;
    return (int)sparp_run_each(&options, NULL);
}
C

machines=''
for arch in x86_64 aarch64 armhf mips; do
    [ $arch = "$(uname -m)" ] && option='' || option=$arch
    # shellcheck disable=SC2086
    if sh tools/static.sh $option >$dir/log 2>&1; then
        machines="$machines $arch"
    else
        echo "skipped: $(tail -n 1 $dir/log)" >&2
    fi
done
[ -n "$machines" ] || exit 77

# compile ARCH FLAGS...
compile() {
    cc=$(cat "$static/$1/cc")
    shift
    # shellcheck disable=SC2086
    $cc $flags -I. -I"${BEARSSL:-$static/bearssl}/inc" "$@"
}

# object ARCH FLAGS...: bytes of sections with code or constants, but for debugging and the like.
object() {
    compile "$@" -c -o $dir/object.o tests/compile/sparp.c || exit 1
    LC_ALL=C readelf -SW $dir/object.o | sed 's/^ *\[ *[0-9]*\]//' |
        awk '$2 == "PROGBITS" && $7 ~ /A/ { print $5 }' | while read -r size; do
        echo $((0x$size))
    done | awk '{ sum += $1 } END { print sum }'
}

# program ARCH FLAGS...: bytes of the file.
program() {
    compile "$@" -static -s -Wl,--gc-sections,--build-id=none \
        -Wl,-z,noseparate-code,-z,max-page-size=4096 -o $dir/program $dir/program.c \
        "$static/$1/bearssl/libbearssl.a" || exit 1
    wc -c <$dir/program
}

whole_command() {
    file=$static/sparp-$1
    [ "$1" = "$(uname -m)" ] && file=$static/sparp
    wc -c <"$file"
}

# row TEXT HOW FLAGS...
row() {
    line="| $1 |"
    how=$2
    shift 2
    for arch in $machines; do
        line="$line $((($($how "$arch" "$@") + 512) / 1024)) |"
    done
    echo "$line"
}

version() {
    sed -n 's/^#define SPARP_VERSION_STRING "\(.*\)"/\1/p' sparp.h
}

# shellcheck disable=SC2016
table() {
    echo "| KiB, \`-Os\` |$(echo "$machines" | sed 's/ [^ ]*/& |/g')"
    echo "|---|$(echo "$machines" | sed 's/ [^ ]*/--:|/g')"
    row '`sparp.h`' object
    row '... with `SPARP_NO_TLS`' object -DSPARP_NO_TLS
    row '... with `SPARP_NO_THREADS` and `SPARP_NO_STDIO` too' object -DSPARP_NO_TLS \
        -DSPARP_NO_THREADS -DSPARP_NO_STDIO
    row '... and without all else that can be left out' object -DSPARP_NO_TLS \
        -DSPARP_NO_THREADS -DSPARP_NO_STDIO -DSPARP_NO_PROXIES -DSPARP_NO_REDIRECTS \
        -DSPARP_NO_LIMITS -DSPARP_NO_LOOKUPS -DSPARP_NO_DATES -DSPARP_NO_SENTENCES
    row 'a program that sends one request, with musl and BearSSL' program
    row '... with `SPARP_NO_TLS`' program -DSPARP_NO_TLS
    row 'the command, `make static`' whole_command
    echo
    sh tests/bench/memory.sh
    echo
    echo "$(date -u +%F), sparp $(version), gcc $(gcc -dumpfullversion)," \
        "$("$static/sparp" -V | sed -n 's/^libc *//p')," \
        "$("$static/sparp" -V | sed -n 's/^TLS *//p')."
}

table | tee $dir/table
awk -v table=$dir/table '
    /<!-- make sizes -->/ {
        print
        print ""
        while ((getline line <table) > 0) print line
        print ""
        inside = 1
    }
    /<!-- end of make sizes -->/ { inside = 0 }
    !inside
' README.md >$dir/README.md
grep -q '<!-- end of make sizes -->' README.md && cp $dir/README.md README.md

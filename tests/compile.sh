#!/bin/sh
# The header under every compiler, standard and setting; each program is linked and run.
#   tests/compile.sh          all cases, in parallel
#   tests/compile.sh CASE     one, with its output (see build/compile/cases)
set -u
cd "$(dirname "$0")/.." || exit 1
out=build/compile
src=tests/compile
jobs=${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}

strict='-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-qual
        -Wwrite-strings -Werror'
stdio='_*fprintf(_chk)?|_*printf(_chk)?|fput[cs]|fwrite|fflush|puts|putchar|stderr|stdout'
strict_c="$strict -Wstrict-prototypes -Wmissing-prototypes"

# One per line: what, compiler, standard, optimisation. It takes a compiler several times as long to
# optimise, and all it may find by that are a few warnings more: each does it with the whole header,
# gcc with the smallest of all, too.
cases() {
    echo 'first:gcc:c99:-O2
first:gcc:c11:-O0
first:gcc:gnu99:-O0
first:clang:c99:-O0
first:clang:c11:-O2
first:clang:gnu99:-O0
first:g++:c++11:-O2
first:g++:c++20:-O0
first:clang++:c++11:-O0
small:gcc:gnu99:-O2'
    for cc in gcc clang; do
        for what in after_everything twice static split no_stdio no_tls no_zlib no_threads poll \
            kqueue unsigned_char ndebug gnu_source m32 hidden declarations macros symbols shim; do
            echo "$what:$cc:gnu99:-O0"
        done
    done
    echo 'small:clang:gnu99:-O0'
    for what in everything no_workers no_limits no_sentences buffer events read_ahead; do
        echo "$what:gcc:gnu99:-O0"
    done
    # What an `if` leaves out only optimisation takes away.
    for what in no_proxies no_redirects no_lookups no_dates; do
        echo "$what:gcc:gnu99:-O1"
    done
    echo 'twice:g++:c++11:-O0
after_everything:g++:c++11:-O0
kqueue:g++:c++11:-O0
macros:g++:c++11:-O0
first:tcc:c99:-O0
large:gcc:gnu99:-O0
hooks:gcc:gnu99:-O0
hooks:g++:c++11:-O0
small:g++:c++11:-O0
small:tcc:c99:-O0
size:gcc:gnu99:-Os
first:gcc:c2x:-O0
first:clang-16:c2x:-O0
small:clang-16:c2x:-O0
macos:zig:gnu99:x86_64
macos:zig:gnu99:aarch64
large:arm-linux-gnueabihf-gcc:gnu99:-O1'
}

# All that can be left out, and as little memory as can be.
least='-DSPARP_NO_TLS -DSPARP_NO_THREADS -DSPARP_NO_STDIO -DSPARP_NO_PROXIES -DSPARP_NO_REDIRECTS
       -DSPARP_NO_LIMITS -DSPARP_NO_LOOKUPS -DSPARP_NO_DATES -DSPARP_NO_SENTENCES
       -DSPARP_BUFFER_SIZE=4096 -DSPARP_EVENTS=4 -DSPARP_READ_AHEAD=1'

skip() {
    echo "skipped: $*"
    exit 77
}

# Compiles, links and runs $bin: flags and files.
program() {
    # shellcheck disable=SC2046,SC2086
    "$cc" $language -std="$std" $opt $warn -I. "$@" -o "$bin" $after $(sh tools/tls.sh) \
        -lpthread && timeout 20 "$bin"
}

# The macros a translation unit has from sparp.h itself when it is over.
macros_of_sparp() {
    # shellcheck disable=SC2086
    "$cc" $language -std="$1" -I. -I"$src" -E -dD $2 $src/sparp.c | awk '
        /^# [0-9]/ { ours = ($3 ~ /sparp\.h"$/) }
        /^#define / && ours { sub(/\(.*/, "", $2); defined[$2] = 1 }
        /^#undef / { delete defined[$2] }
        END { for (name in defined) print name }'
}

check_macros() {
    bad=0
    zlib=
    case $(sh tools/tls.sh) in
        *-DSPARP_ZLIB*) zlib=-DSPARP_ZLIB ;;
    esac
    for standard in "$std" "$(echo "$std" | sed 's/gnu/c/')"; do
        for config in '' $zlib -DSPARP_NO_TLS -DSPARP_NO_STDIO -DSPARP_NO_THREADS \
            -DSPARP_NO_SENTENCES -DSPARP_FORCE_POLL -DSPARP_STATIC \
            '-DSPARP_USE_KQUEUE -Itests/compile/shim'; do
            # A strict standard needs the POSIX names switched on: the one foreign macro.
            allowed='^SPARP_[A-Z]'
            [ "$standard" = c99 ] && allowed='^SPARP_[A-Z]|^_POSIX_C_SOURCE$'
            macros=$(macros_of_sparp "$standard" "$config") || bad=1
            echo "$macros" | grep -q '^SPARP_VERSION_STRING$' || bad=1
            if echo "$macros" | grep -vE "$allowed"; then
                echo "^ macros left behind, -std=$standard $config"
                bad=1
            fi
        done
    done
    return $bad
}

# What a program has inside shows by its texts.
in_program() {
    grep -qF "$1" "$bin"
}

# without MACRO TEXT: builds and works without, and the text is gone.
without() {
    program "-D$1" $src/first.c && ! in_program "$2"
}

# ... all of which are there otherwise, so that their absence says something.
check_everything() {
    program $src/first.c || return 1
    for text in 'starting a worker' 'answered CONNECT' 'redirects, the next one' janfebmar \
        /etc/hosts 'host_limits is NULL' 'connecting to'; do
        in_program "$text" || { echo "no '$text' in it"; return 1; }
    done
}

# The least that sends requests: code and constants, of what a program with sparp_run_each() needs.
check_size() {
    [ "$(uname -m)" = x86_64 ] || skip 'the limit is for x86-64'
    # shellcheck disable=SC2086
    "$cc" -std="$std" $opt -fno-pic -ffunction-sections -fdata-sections -fno-unwind-tables \
        -fno-asynchronous-unwind-tables $least -I. -c -o "$bin.o" $src/sparp.c || return 1
    ld -r --gc-sections -u sparp_run_each -o "$bin.least.o" "$bin.o" || return 1
    size=$(size "$bin.least.o" | awk 'NR == 2 { print $1 }')
    echo "$size bytes"
    [ "$size" -le 58000 ]
}

# Compiled and linked for macOS; nothing runs it here.
check_macos() {
    target=$opt-macos opt=-O1
    # shellcheck disable=SC2086
    "$cc" cc -target "$target" -std="$std" $opt $warn -DSPARP_NO_TLS '-DBACKEND="kqueue"' -I. \
        -o "$bin" $src/first.c
}

check_symbols() {
    # shellcheck disable=SC2046
    "$cc" -std=gnu99 "$opt" -fno-pic -I. -c -o "$bin.o" $src/sparp.c $(sh tools/tls.sh) || return 1
    nm -g --defined-only "$bin.o" | awk '{ print $3 }' | sort > "$bin.exported"
    sed -n 's/^SPARP_API.*[ *]\(sparp_[a-z_]*\)(.*/\1/p' sparp.h | sort -u > "$bin.public"
    diff "$bin.public" "$bin.exported" || { echo '< declared   > exported'; return 1; }
    if nm "$bin.o" | grep -E ' [bBdDcCgGsS] '; then
        echo '^ mutable data'
        return 1
    fi
    "$cc" -std=gnu99 "$opt" -I. -DSPARP_STATIC -c -o "$bin.o" $src/sparp.c || return 1
    if nm -g --defined-only "$bin.o" | grep .; then
        echo '^ exported although SPARP_STATIC'
        return 1
    fi
}

# The declarations need three headers and nothing else.
check_declarations() {
    printf '#include "sparp.h"\n' > "$bin.c"
    "$cc" -std=c99 -I. -H -fsyntax-only "$bin.c" 2>"$bin.h" || return 1
    grep -q '^\.\. ' "$bin.h" || return 1
    if sed -n 's/^\.\. .*\///p' "$bin.h" | grep -vxE 'stdbool\.h|stddef\.h|stdint\.h'; then
        echo '^ included by the declarations'
        return 1
    fi
    "$cc" -std=gnu99 -O2 -I. -DSPARP_STATIC -c -o "$bin.o" "$bin.c" 2>"$bin.err" && return 1
    grep -q 'error: .*SPARP_IMPLEMENTATION belongs to it' "$bin.err"
}

check_hidden() {
    "$cc" -std=c99 -I. -c -o "$bin.o" $src/hidden.c 2>"$bin.err" && return 1
    grep 'error:' "$bin.err" >"$bin.errors"
    number=$(wc -l <"$bin.errors")
    grep -q 'POSIX names are hidden' "$bin.errors" && [ "$number" -eq 1 ] && return 0
    head -n 5 "$bin.errors"
    echo "^ $number errors instead of the one that says what to do"
    return 1
}

# Bodies that no size_t of 32 bits can count; for another machine under qemu.
check_large() {
    run=''
    case $cc in
        arm-*) run=$(command -v qemu-arm-static) || skip 'no qemu-arm-static' ;;
    esac
    # shellcheck disable=SC2086
    "$cc" -std="$std" $opt $warn -I. -static $src/large.c -o "$bin" -lpthread &&
        timeout 60 $run "$bin"
}

one() {
    IFS=: read -r what cc std opt <<CASE
$1
CASE
    bin=$out/$(echo "$1" | tr ':' '_')
    command -v "$cc" >/dev/null || skip "no $cc"
    case $cc in
        *++) language='-x c++' after='-x none' warn=$strict ;;
        tcc) language='' after='' warn='-Wall -Werror' ;;
        *)   language='' after='' warn=$strict_c ;;
    esac
    case $what in
        first|after_everything|twice) program "$src/$what.c" ;;
        static)        program $src/static_a.c $src/static_b.c ;;
        split)         program $src/sparp.c $src/user.c ;;
        no_stdio)      program -DSPARP_NO_STDIO $src/first.c || return 1
                       nm "$bin" | grep -E " (sparp_progress_bar|U ($stdio)(@|\$))" && return 1
                       return 0 ;;
        no_tls)        program -DSPARP_NO_TLS $src/first.c || return 1
                       nm "$bin" | grep ' br_' && return 1
                       return 0 ;;
        no_zlib)       export ZLIB=no
                       program $src/first.c || return 1
                       nm "$bin" | grep ' inflate' && return 1
                       return 0 ;;
        no_threads)    program -DSPARP_NO_THREADS $src/first.c || return 1
                       nm "$bin" | grep pthread_ && return 1
                       return 0 ;;
        poll)          program -DSPARP_FORCE_POLL '-DBACKEND="poll"' $src/first.c ;;
        kqueue)        program -DSPARP_USE_KQUEUE -isystem $src/shim \
                           '-DBACKEND="kqueue"' $src/first.c ;;
        unsigned_char) program -funsigned-char $src/first.c ;;
        ndebug)        program -DNDEBUG $src/first.c ;;
        gnu_source)    program -D_GNU_SOURCE $src/after_everything.c ;;
        m32)           echo 'int main(void) { return 0; }' > "$bin.c"
                       "$cc" -m32 -o "$bin" "$bin.c" 2>/dev/null || skip "no -m32 for $cc"
                       export CC="$cc" CFLAGS=-m32         # for tools/tls.sh
                       case $(sh tools/tls.sh) in
                           *NO_TLS*) skip "no 32-bit BearSSL" ;;
                       esac
                       program -m32 $src/first.c ;;
        large)         check_large ;;
        small)         # shellcheck disable=SC2086
                       program $least $src/small.c ;;
        everything)    check_everything ;;
        no_workers)    without SPARP_NO_WORKERS 'starting a worker' ;;
        no_proxies)    without SPARP_NO_PROXIES 'answered CONNECT' ;;
        no_redirects)  without SPARP_NO_REDIRECTS 'redirects, the next one' ;;
        no_limits)     without SPARP_NO_LIMITS 'host_limits is NULL' ;;
        no_lookups)    without SPARP_NO_LOOKUPS /etc/hosts &&
                           ! nm "$bin" | grep -E 'getaddrinfo|getifaddrs' ;;
        no_dates)      without SPARP_NO_DATES janfebmar ;;
        no_sentences)  without SPARP_NO_SENTENCES 'connecting to' ;;
        buffer)        program -DSPARP_BUFFER_SIZE=4096 $src/first.c ;;
        events)        program -DSPARP_EVENTS=4 $src/first.c ;;
        read_ahead)    program -DSPARP_READ_AHEAD=1 $src/first.c ;;
        size)          check_size ;;
        macos)         check_macos ;;
        hooks)         program $src/hooks.c || return 1
                       nm "$bin" | grep -E 'getrandom|arc4random|clock_gettime| time' && return 1
                       return 0 ;;
        hidden)        check_hidden ;;
        declarations)  check_declarations ;;
        macros)        check_macros ;;
        symbols)       check_symbols ;;
        shim)          program -I$src/shim $src/shim.c ;;
    esac
}

mkdir -p $out
case ${1:-} in
    '') ;;
    --case)
        result=ok
        (one "$2") > "$out/$2.log" 2>&1
        case $? in
            0) ;;
            77) result=skipped ;;
            *) result=FAILED ;;
        esac
        echo "$result $2" >> $out/results
        exit 0 ;;
    *)
        one "$1"
        exit ;;
esac

rm -f $out/results
cases > $out/cases
xargs -n 1 -P "$jobs" sh "$0" --case < $out/cases
while read -r result name; do
    case $result in
        skipped) echo "$name: $(tail -n 1 "$out/$name.log")" ;;
        FAILED) echo "FAILED $name"; head -n 12 "$out/$name.log" ;;
    esac
done < $out/results
failed=$(grep -c '^FAILED' $out/results)
skipped=$(grep -c '^skipped' $out/results)
passed=$(grep -c '^ok' $out/results)
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ $((passed + skipped)) -eq "$(wc -l < $out/cases)" ]

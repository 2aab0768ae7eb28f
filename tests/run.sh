#!/bin/sh
# What 'make test' runs: everything, from a clean checkout, on loopback alone. The log of each step
# is in build/log. The last line has the numbers.
set -u
cd "$(dirname "$0")/.." || exit 1
begin=$(date +%s)
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
PATH=$PATH:/usr/sbin:/usr/local/sbin
CC=${CC:-cc}
MAKE=${MAKE:-make}
export CC MAKE PATH

rm -rf build/log
mkdir -p build/log
: >build/log/results

interrupted() {
    for file in build/log/running.*; do
        [ -e "$file" ] && kill "$(cat "$file")"
    done
    exit 130
}
trap interrupted INT TERM HUP

# Lines of "name seconds command...", several at a time.
parallel() {
    xargs -L 1 -P "$1" sh tests/step.sh
}

step() {
    sh tests/step.sh "$@"
}

sh tools/need.sh test || exit 1

SANITIZER=''
echo 'int main(void) { return 0; }' >build/log/probe.c
for cc in gcc clang; do
    if $cc -fsanitize=address,undefined -o build/log/probe build/log/probe.c 2>/dev/null &&
        build/log/probe; then
        SANITIZER="$cc -fsanitize=address,undefined -fno-sanitize-recover=all"
    fi
done
rm -f build/log/probe*
export SANITIZER
root=$(pwd)
SPARP=$root/build/sparp-sanitized SPARP_PLAIN=$root/sparp
PLAIN=$root/build/plain RUDE=$root/build/rude PEAK=$root/build/peak
if [ -z "$SANITIZER" ]; then
    SPARP=$SPARP_PLAIN
    echo 'skipped: no compiler with address and undefined sanitizers'
fi
export SPARP SPARP_PLAIN PLAIN RUDE PEAK

build_sanitized() {
    [ -n "$SANITIZER" ] || return 0
    libs="$(sh tools/tls.sh) -lpthread"
    echo "sanitized-command 120 $SANITIZER -g -O1 -I. -o $SPARP tools/sparp.c $libs"
}

# Every unit test plain and sanitized; what is about sockets or the loop on the other backends too.
units() {
    for file in tests/unit/test_*.c; do
        [ -e "$file" ] || continue
        name=$(basename "$file" .c)
        echo "$name 60 sh tests/unit.sh $file plain"
        if [ -n "$SANITIZER" ]; then
            echo "$name-sanitized 120 sh tests/unit.sh $file sanitized"
        fi
        if grep -qE 'socket|reactor|sparp_(open|run_)' "$file"; then
            echo "$name-poll 60 sh tests/unit.sh $file poll"
            if [ "$(uname)" = Linux ]; then
                echo "$name-kqueue 60 sh tests/unit.sh $file kqueue"
            fi
        fi
    done
}

# What fuzzing has left behind: every input once more.
corpora() {
    for dir in tests/fuzz/corpus/*/; do
        name=$(basename "$dir")
        echo "fuzz-$name 120 sh tests/fuzz/replay.sh $name"
    done
}

# Those that measure come last and alone.
e2e() {
    for file in tests/e2e/*.sh; do
        case $file in
            */lib.sh|*/nginx.sh|*/rate.sh|*/redis.sh|*/origins.sh) ;;
            *) echo "e2e-$(basename "$file" .sh) 120 sh $file" ;;
        esac
    done
}

step build 120 "$MAKE" all build/plain build/rude build/peak
{
    echo 'compile 540 sh tests/compile.sh'
    echo 'static 540 sh tests/static.sh'
    echo 'lint 60 sh tests/lint.sh'
    build_sanitized
    units
    corpora
} | parallel "$jobs"
# These wait more than they compute.
{
    echo 'install 60 sh tests/install.sh'
    echo 'examples 120 sh tests/examples.sh'
    e2e
    echo 'valgrind 120 sh tests/valgrind.sh'
    echo 'instructions 120 sh tests/bench/instructions.sh'
    echo 'allocations 60 sh tests/bench/allocations.sh'
} | parallel $((jobs + 1))
step e2e-nginx 240 sh tests/e2e/nginx.sh
{
    echo 'e2e-rate 60 sh tests/e2e/rate.sh'
    echo 'e2e-redis 60 sh tests/e2e/redis.sh'
} | parallel 2
step e2e-origins 120 sh tests/e2e/origins.sh

echo "$(($(date +%s) - begin)) s in all"
awk '{ passed += $1; failed += $2; skipped += $3 }
     END {
         printf "%d passed, %d failed", passed, failed
         if (skipped > 0) printf ", %d skipped", skipped
         print ""
         exit (failed > 0 || passed == 0)
     }' build/log/results

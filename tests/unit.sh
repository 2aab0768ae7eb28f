#!/bin/sh
# Builds one unit test in one way and runs it:   tests/unit.sh FILE plain|sanitized|poll|kqueue|x87
#   LONG=yes   what runs longest runs in full in each way, as `make soak` does
set -eu
name=$(basename "$1" .c)
how=$2
light="${CC:-cc} -O0"                   # clang compiles in a third of the time
if command -v clang >/dev/null; then light='clang -O0'; fi
mkdir -p build/unit
bin=build/unit/$name-$how
libs="-lcmocka $(sh tools/tls.sh) -lpthread"
case $name in
    test_command) libs="-ljson-c $libs" ;;
esac
warn='-Wall -Wextra'
case $how in
    plain)     flags="${CC:-cc} -O1" ;;
    sanitized) flags=${SANITIZER:?} ;;
    poll)      flags="$light -DSPARP_FORCE_POLL" ;;
    x87)                                # doubles that are wider in registers
        flags='gcc -O1 -mfpmath=387'
        command -v gcc >/dev/null || { echo 'skipped: no gcc'; exit 77; } ;;
    kqueue)    flags="$light -DSPARP_USE_KQUEUE -Itests/compile/shim" ;;
    *)         exit 2 ;;
esac
# shellcheck disable=SC2086
$flags $warn -I. -Itests -o "$bin" "$1" $libs

# Seeds of their own for each way; each errno in one way to run; fewer bits.
first=''
case ${LONG:+long-}$name-$how in
    test_property-sanitized) first=10001 ;;
    test_property-poll)      first=12501 ;;
    test_property-kqueue)    first=15001 ;;
    test_sweep-plain)        ;;
    test_sweep-*)            export TURNS=yes ;;
    test_tls-sanitized)      export EVERY=29 ;;
    long-test_tls-plain)     export EVERY=3 ;;
    long-test_tls-sanitized) export EVERY=7 ;;
esac
[ -z "$first" ] || export SEEDS="${SEEDS:-2500}"
# shellcheck disable=SC2086
exec "$bin" $first

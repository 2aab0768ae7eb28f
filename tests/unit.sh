#!/bin/sh
# Builds one unit test in one way and runs it:   tests/unit.sh FILE plain|sanitized|poll|kqueue|x87
set -eu
name=$(basename "$1" .c)
how=$2
mkdir -p build/unit
bin=build/unit/$name-$how
libs="-lcmocka $(sh tools/tls.sh) -lpthread"
case $name in
    test_command) libs="-ljson-c $libs" ;;
esac
warn='-Wall -Wextra'
# What runs longer than it compiles.
case $name-$how in
    test_inflate-sanitized|test_property-sanitized|test_sweep-sanitized) faster=-O1 ;;
    test_inflate-plain|test_property-plain|test_sweep-plain)             faster=-O2 ;;
    *) faster='' ;;
esac
case $how in
    plain)     flags="${CC:-cc} -O1" ;;
    sanitized) flags="${SANITIZER:?} -g -O0" ;;
    poll)      flags="${CC:-cc} -O0 -g -DSPARP_FORCE_POLL" ;;
    x87)                                # doubles that are wider in registers
        flags='gcc -O1 -mfpmath=387'
        command -v gcc >/dev/null || { echo 'skipped: no gcc'; exit 77; } ;;
    kqueue)    flags="${CC:-cc} -O0 -g -DSPARP_USE_KQUEUE -Itests/compile/shim" ;;
    *)         exit 2 ;;
esac
# shellcheck disable=SC2086
$flags $faster $warn -I. -Itests -o "$bin" "$1" $libs
exec "$bin"

#!/bin/sh
# Builds one unit test in one way and runs it:   tests/unit.sh FILE plain|sanitized|poll|kqueue
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
case $how in
    plain)     flags="${CC:-cc} -O2" ;;
    sanitized) flags="${SANITIZER:?} -g -O1 -fno-omit-frame-pointer" ;;
    poll)      flags="${CC:-cc} -O0 -g -DSPARP_FORCE_POLL" ;;
    kqueue)    flags="${CC:-cc} -O0 -g -DSPARP_USE_KQUEUE -Itests/compile/shim" ;;
    *)         exit 2 ;;
esac
# shellcheck disable=SC2086
$flags $warn -I. -Itests -o "$bin" "$1" $libs
exec "$bin"

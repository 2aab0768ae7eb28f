#!/bin/sh
# Every input of the corpus of one target once more, sanitized:   tests/fuzz/replay.sh NAME
# Any compiler will do: SANITIZER is one with its flags (none: as it is).
set -eu
cd "$(dirname "$0")/../.."
mkdir -p build/fuzz
bin=build/fuzz/$1-replay
# shellcheck disable=SC2046,SC2086
${SANITIZER:-${CC:-cc}} -std=gnu99 -Wall -Wextra -DFUZZ_REPLAY -I. -o "$bin" \
    "tests/fuzz/$1.c" -lcmocka $(sh tools/tls.sh) -lpthread
"$bin" tests/fuzz/corpus/"$1"/*

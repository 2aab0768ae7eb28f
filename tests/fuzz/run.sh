#!/bin/sh
# What 'make fuzz' runs: the targets of tests/fuzz, each for a while, with clang's libFuzzer and the
# address and undefined sanitizers.   tests/fuzz/run.sh [NAME...]
#   FUZZ_SECONDS   for each target (60)
# build/fuzz/corpus keeps what has led somewhere new: there the next run goes on. build/fuzz/found
# gets the inputs that break something, build/fuzz/NAME.log what was said about them.
set -u
cd "$(dirname "$0")/../.." || exit 1
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
FUZZ_SECONDS=${FUZZ_SECONDS:-60}
export FUZZ_SECONDS

build() {
    # shellcheck disable=SC2046
    clang -std=gnu99 -g -O1 -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined \
        -fno-sanitize-recover=all -I. -o "build/fuzz/$1" "$2" -lcmocka $(sh tools/tls.sh) -lpthread
}

fuzz() {
    "build/fuzz/$1" -max_total_time="$FUZZ_SECONDS" -max_len=4096 -timeout=25 -rss_limit_mb=2048 \
        -print_final_stats=1 -dict=tests/fuzz/http.dict -artifact_prefix="build/fuzz/found/$1-" \
        "build/fuzz/corpus/$1" "tests/fuzz/corpus/$1"
}

number() {
    sed -n "s/^stat::$2: *//p" "build/fuzz/$1.log"
}

# The last of the numbers that libFuzzer shows as it goes.
coverage() {
    grep -o 'cov: [0-9]*' "build/fuzz/$1.log" | tail -n 1 | sed 's/cov: //'
}

one() {
    log=build/fuzz/$1.log
    mkdir -p "build/fuzz/corpus/$1"
    if ! build "$1" "tests/fuzz/$1.c" >"$log" 2>&1; then
        echo "FAILED  $1: does not compile, see $log"
    elif fuzz "$1" >>"$log" 2>&1; then
        printf 'ok      %-10s %9s inputs, %6s a second, %5s edges covered, %5s inputs kept\n' "$1" \
            "$(number "$1" number_of_executed_units)" "$(number "$1" average_exec_per_sec)" \
            "$(coverage "$1")" "$(find "build/fuzz/corpus/$1" -type f | wc -l)"
    else
        found=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
        echo "FAILED  $1: ${found:-see $log}"
        grep -E '^(ERROR|SUMMARY|.*runtime error:|tests/fuzz/)' "$log" | head -n 4 | sed 's/^/    /'
        [ -z "$found" ] || echo "    again:     build/fuzz/$1 $found"
        [ -z "$found" ] || echo "    shorter:   build/fuzz/$1 -minimize_crash=1 -runs=100000 $found"
    fi
}

if [ "${1:-}" = --one ]; then
    one "$2"
    exit 0
fi

mkdir -p build/fuzz/found
sh tools/need.sh fuzz || exit 1
echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { (void)d; (void)n; return 0; }' \
    >build/fuzz/probe.c
if ! clang -fsanitize=fuzzer,address,undefined -o build/fuzz/probe build/fuzz/probe.c \
    >build/fuzz/probe.log 2>&1; then
    tail -n 3 build/fuzz/probe.log
    echo 'make fuzz: there is no clang with -fsanitize=fuzzer here; nothing was fuzzed' >&2
    exit 1
fi
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(find tests/fuzz -name '*.c' -exec basename {} .c \; | sort)
printf '%s\n' "$@" | xargs -n 1 -P "$jobs" sh tests/fuzz/run.sh --one | tee build/fuzz/results
passed=$(grep -c '^ok' build/fuzz/results)
echo "$passed passed, $(grep -c '^FAILED' build/fuzz/results) failed"
[ "$passed" -eq $# ]

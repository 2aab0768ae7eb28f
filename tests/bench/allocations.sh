#!/bin/sh
# Once warm, a request allocates nothing: 6,000 requests take as many allocations as 1,000.
#   tests/bench/allocations.sh            does that hold?
#   tests/bench/allocations.sh measure    prints how many a request takes, by way to run
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=build/allocations
mkdir -p $dir
# shellcheck disable=SC2046
${CC:-cc} -O0 -I. -o $dir/allocations tests/bench/allocations.c $(sh tools/tls.sh) -lpthread ||
    exit 1

passed=0 failed=0
for way in each next; do
    if ! few=$($dir/allocations $way 1000) || ! many=$($dir/allocations $way 6000); then
        failed=$((failed + 1))
    elif [ "${1:-}" = measure ]; then
        awk -v way=$way -v extra=$((many - few)) 'BEGIN { print way, extra / 5000 }'
    elif [ "$many" -eq "$few" ]; then
        passed=$((passed + 1))
        echo "ok $way: $few allocations, for 1,000 requests and for 6,000"
    else
        failed=$((failed + 1))
        echo "FAILED $way: $few allocations for 1,000 requests, $many for 6,000"
    fi
done
if [ "${1:-}" != measure ]; then
    echo "$passed passed, $failed failed"
fi
[ $failed -eq 0 ]

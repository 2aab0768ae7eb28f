#!/bin/sh
# Four hosts in one input: one that throttles, one that is dead, a slow one and a fast one. None of
# them is in another's way, each is treated as it asks, and every line has its one record.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
start_plain
throttling=http://127.0.0.1:$port
start_plain
slow=http://127.0.0.1:$port
start_plain
fast=http://127.0.0.1:$port
dead=http://127.0.0.1:1

# Of 100 lines: 85 to the fast one, 5 to the slow one, 7 to the dead one, 3 to the one that
# throttles (100 a second, else 429 with Retry-After: 2).
awk -v throttling="$throttling" -v slow="$slow" -v fast="$fast" -v dead="$dead" 'BEGIN {
    for (i = 0; i < 20000; i++) {
        kind = i * 37 % 100
        url = kind < 85 ? fast "/items/" i : kind < 90 ? slow "/delay/300" \
            : kind < 97 ? dead "/items/" i : throttling "/throttle/100/2/5"
        host = kind < 85 ? "fast" : kind < 90 ? "slow" : kind < 97 ? "dead" : "throttling"
        printf "{\"url\":\"%s\",\"id\":\"%s\"}\n", url, host
    }
}' >"$dir/in.jsonl"
grep '"id":"fast"' "$dir/in.jsonl" >"$dir/fast.jsonl"

# send INPUT FLAGS...: $status and $dir/out.jsonl
send() {
    input=$1
    shift
    status=0
    timeout -k 2 50 "$SPARP_PLAIN" -q -c 100 --per-host 25 --backoff 100ms --body none \
        "$@" -o "$dir/out.jsonl" "$input" || status=$?
}

# Milliseconds from the first record of the fast host to its last.
fast_took() {
    jq -s 'map(select(.id == "fast") | .t, .t - .ms.all / 1000) | (max - min) * 1000 | round' \
        "$dir/out.jsonl"
}

# all HOST JQ: true of each record of that host, and there are some
all() {
    [ "$(jq -n "[inputs | select(.id == \"$1\") | $2] | length > 0 and all" \
        "$dir/out.jsonl")" = true ]
}

# stats BASE: what that server has counted.
stats() {
    curl -s "$1/stats" >"$dir/stats"
    curl -s "$1/stats/reset" >/dev/null
}

# stat JQ: the filter is true of it
stat() {
    [ "$(jq "$1" "$dir/stats")" = true ] && return
    cat "$dir/stats"
    return 1
}

at_most() {
    echo "$1 (at most $2)"
    [ "$1" -le "$2" ]
}

# --- the four -----------------------------------------------------------------------------------

send "$dir/fast.jsonl"
alone=$(fast_took)
check 'the fast one alone' [ $status -eq 0 ]
stats "$fast"
start=$(date +%s)
send "$dir/in.jsonl"
echo "20,000 requests in $(($(date +%s) - start)) s"
check 'some failed: exit 1' [ $status -eq 1 ]
jq .index "$dir/out.jsonl" | sort -n >"$dir/indexes"
seq 0 19999 >"$dir/expected"
check 'every line has one record' cmp "$dir/indexes" "$dir/expected"
check 'the fast one is as fast as alone (ms)' at_most "$(fast_took)" $((alone * 3 / 2 + 1000))
check 'it answered all, at the first try' all fast '.outcome == "success" and .attempts == 1'
check 'the slow one answered all' all slow '.outcome == "success" and .attempts == 1'
check 'the dead one was given up after 5 retries' all dead \
    '.outcome == "transport_failed" and .attempts == 6 and .error.kind == "refused"'
check 'the one that throttles answered all' all throttling '.outcome == "success"'
check 'and was waited for' \
    [ "$(jq -n '[inputs | select(.ms.gate > 1000)] | length > 100' "$dir/out.jsonl")" = true ]
stats "$throttling"
check 'it had to throttle' stat '.refused > 0'
check 'after its 429 nothing came but what was on its way' stat '.early == 0'
check 'then one probe at a time' stat '.probes == 1'

# --- a fifth of what the fast one can take -------------------------------------------------------

# N a second are at most N in any second, which may have to be read as 1.01 s; one more where a
# window begins. That is what leaves us. What the server sees can be a little more when the machine
# has held it up for some ms, so the best of three tries counts.
rate=$((17000 * 1000 / (alone * 5)))
bound=$((rate + rate / 100 + 2))
seq $((rate * 5 / 2)) | sed "s|^|$fast/items/|" >"$dir/some.txt"
for try in 1 2 3; do
    stats "$fast"
    send "$dir/some.txt" -r $rate
    stats "$fast"
    [ "$(jq .max_in_window "$dir/stats")" -gt $bound ] || break
done
check "-r $rate: all answered (try $try)" [ $status -eq 0 ]
check "-r $rate: never more than that in a second" \
    at_most "$(jq .max_in_window "$dir/stats")" $bound
check "-r $rate: and not much less" stat ".max_in_window > $rate / 2"
finish

#!/bin/sh
# --per-host: never more than that at once at a server, while another one goes on.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_plain
slow=http://127.0.0.1:$port
start_plain
fast=http://127.0.0.1:$port

stat() {
    curl -s "$1/stats" | jq ".$2"
}

# run MS LINES FLAGS...: all the slow lines first, those of the fast server behind them.
run() {
    ms=$1 lines=$2
    shift 2
    curl -s "$slow/stats/reset" "$fast/stats/reset" >/dev/null
    seq "$lines" | sed "s|.*|$slow/delay/$ms|" >"$dir/in"
    seq "$lines" | sed "s|^|$fast/items/|" >>"$dir/in"
    try -q -c 50 --body none "$@"
}

# Of the records in the order in which they were written: where the last fast one stands.
fast_before_slow() {
    [ "$(jq -n '[inputs | .url | contains("/items/")] | rindex(true) < length * 2 / 3' \
        "$dir/out")" = true ]
}

for n in 1 7; do
    run 100 $((n * 10)) --per-host $n
    expect "--per-host $n: all answered" 0 \
        "length == $((n * 20)) and all(.outcome == \"success\" and .attempts == 1)"
    check "--per-host $n: never more at once, and as many" [ "$(stat "$slow" most_at_once)" -eq $n ]
    check "--per-host $n: nor at the other" [ "$(stat "$fast" most_at_once)" -le $n ]
    check "--per-host $n: no more connections than that" [ "$(stat "$slow" connections)" -eq $n ]
    check "--per-host $n: the other one did not wait" fast_before_slow
    check "--per-host $n: the records say for what they waited" \
        records_are 'map(select(.ms.origin > 500)) | length > 0 and all(.url | contains("/delay/"))'
done

# Without it the slow server has all the slots; a limit above -c changes nothing.
for flags in '' '--per-host 80'; do
    # shellcheck disable=SC2086
    run 300 100 $flags
    check "-c 50 $flags: 50 at once" [ "$(stat "$slow" most_at_once)" -eq 50 ]
    expect "-c 50 $flags: nobody waited for his host" 0 'all(has("ms") and (.ms.origin // 0) == 0)'
done

# A host that never answers fills the head of the input: those behind it have their turn all the
# same, for 10,000 lines may wait for their host.
curl -s "$slow/stats/reset" "$fast/stats/reset" >/dev/null
seq 9900 | sed "s|.*|$slow/hang?&|" >"$dir/in"
seq 500 | sed "s|^|$fast/items/|" >>"$dir/in"
"$SPARP" -q -c 50 --per-host 4 "$dir/in" >"$dir/out" 2>"$dir/err" &
run=$!
all_fast() { [ "$(stat "$fast" requests)" -eq 500 ]; }
check 'behind 9,900 lines of a host that hangs: all others are sent' until_true all_fast
check '... while it has what it may' [ "$(stat "$slow" requests)" -eq 4 ]
kill -KILL $run
wait $run 2>/dev/null

# Soft fails come back under the same limit.
curl -s "$slow/stats/reset" >/dev/null
seq 60 | sed "s|.*|$slow/flaky/&/2|" >"$dir/in"
try -q -c 50 --per-host 3 --backoff 10ms
expect 'with retries: all answered' 0 'length == 60 and all(.attempts == 3)'
check 'with retries: never more than 3 at once' [ "$(stat "$slow" most_at_once)" -le 3 ]
finish

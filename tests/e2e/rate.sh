#!/bin/sh
# -r 50 for ten seconds: as many as that, evenly, as the server sees it. Then a burst. Then rates at
# which a request comes more often than a timer can: they are kept within 1 % all the same.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
start_plain
base=http://127.0.0.1:$port

between() {
    echo "$2: $1 .. $3"
    [ "$1" -le "$2" ] && [ "$2" -le "$3" ]
}

stat() {
    jq ".$1" "$dir/stats"
}

# run NAME COUNT FLAGS...: sends, then asks the server what came.
run() {
    name=$1 count=$2
    shift 2
    curl -s "$base/stats/reset" >/dev/null
    status=0
    seq "$count" | "$SPARP_PLAIN" -q -T "$base/items/{}" -o "$dir/$name.jsonl" "$@" || status=$?
    curl -s "$base/stats" >"$dir/stats"
}

# Never more than that; a few less only while the machine has something else to do, so that
# another try, of three in all, has to have them.
for try in 1 2 3; do
    run even 100000 -r 50 --deadline 10s
    requests=$(stat requests)
    check 'the deadline ended it' [ $status -eq 4 ]
    check 'at most 501 requests in ten seconds' between 1 "$requests" 501
    check 'at most 51 in any second' between 1 "$(stat max_in_window)" 51
    [ "$requests" -lt 499 ] || break
done
check "500 requests in ten seconds (try $try)" between 499 "$requests" 501
apart=$(jq '(.last_us - .first_us) / (.requests - 1) | round' "$dir/stats")
check '20 ms apart' between 19940 "$apart" 20060

run burst 100 -r 50 --burst 10
check 'all answered' [ $status -eq 0 ]
check '100 requests' between 100 "$(stat requests)" 100
check 'a burst of 10 and 50 more in a second' between 58 "$(stat max_in_window)" 61
took=$(jq '(.last_us - .first_us) / 1000 | round' "$dir/stats")
check '1.8 s' between 1780 "$took" 1860

# The rate over the whole, in thousandths of what was asked for; the window holds in every try.
for rate in 300 700 1000; do
    for try in 1 2 3; do
        run "rate_$rate" $((rate * 3)) -r $rate
        kept=$(jq "(.requests - 1) * 1e9 / (.last_us - .first_us) / $rate | round" "$dir/stats")
        check "at most $((rate + rate / 100 + 1)) of $rate in any second" \
            between 1 "$(stat max_in_window)" $((rate + rate / 100 + 1))
        [ "$kept" -lt 990 ] || break
    done
    check "$rate a second, within 1 % (try $try)" between 990 "$kept" 1010
done
finish

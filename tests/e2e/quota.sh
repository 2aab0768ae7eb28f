#!/bin/sh
# Servers that let 60 requests and 90,000 tokens through in a window, or out of a bucket that fills
# in that time, and say how much is left, in both styles of fields: requests of random weight get
# through without a 429, in the time that the limits allow. Without the fields the gate alone finds
# out: one 429 for each window.
#   QUOTA_REQUESTS   how many (180); QUOTA_SECONDS   the window, a minute scaled down (1)
#   tests/e2e/quota.sh table    beside the script that one writes: the lines of a table
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
for python in python3 /usr/bin/python3; do
    $python -c 'import aiohttp' 2>/dev/null && break
done
command -v python3 >/dev/null || { skip 'no python3'; finish; }
requests=${QUOTA_REQUESTS:-180}
seconds=${QUOTA_SECONDS:-1}
run_quota() {
    exec python3 tests/server/quota.py --max-seconds 1500 "$@"
}
start_server quota run_quota
base=http://127.0.0.1:$port

# The same weights every time: 100 to 1,900 and 1,000 to 3,000, so that the requests are the tighter
# limit first, then the tokens.
for weights in light heavy; do
    awk -v n="$requests" -v weights=$weights 'BEGIN {
        srand(7)
        for (i = 0; i < n; i++)
            print weights == "light" ? 100 + int(rand() * 1800) : 1000 + int(rand() * 2000)
    }' >"$dir/$weights"
    sed "s|.*|{\"url\":\"$base/cost/&\",\"cost\":&}|" "$dir/$weights" >"$dir/$weights.jsonl"
done

stat() {
    jq ".$1" "$dir/stats"
}

# begin KIND STYLE
begin() {
    curl -s "$base/begin/$1/$2/$seconds/60/90000" >/dev/null
}

# run WEIGHTS: sends them, then asks the server what came.
run() {
    "$SPARP_PLAIN" -q -c 30 "$dir/$1.jsonl" -o "$dir/out.jsonl" --body none
    status=$?
    curl -s "$base/stats" >"$dir/stats"
}

in_time() {
    jq -c . "$dir/stats"
    jq -e ".served == $requests and .took_s <= .least_s * 1.03" "$dir/stats" >/dev/null
}

# The machine may have something else to do: of three tries one has to be in time. No 429 in any.
fields() {
    for try in 1 2 3; do
        begin "$1" "$2"
        run "$3"
        check "$1, $2, $3: all get through" [ "$status $(stat served)" = "0 $requests" ]
        check "$1, $2, $3: no 429" [ "$(stat refused)" = 0 ]
        in_time >/dev/null && break
    done
    check "$1, $2, $3: in time (try $try)" in_time
}

one_a_window() {
    jq -c . "$dir/stats"
    jq -e '.refused_by_window[0] <= 30 and ([.refused_by_window[1:][] | select(. > 1)] == [])' \
        "$dir/stats" >/dev/null
}

alone() {
    begin window none
    run "$1"
    check "the gate alone, $1: all get through" [ "$status $(stat served)" = "0 $requests" ]
    check "the gate alone, $1: one 429 a window, but for the first" one_a_window
}

# row WHO KIND STYLE WEIGHTS COMMAND
row() {
    begin "$2" "$3"
    $5 "$4"
    curl -s "$base/stats" >"$dir/stats"
    jq -r --arg who "$1" --arg kind "$2" --arg weights "$4" '
        "| \($kind) | \($weights) | \($who) | \(.served) | \(.took_s) | \(.least_s) |"
        + " \((.took_s / .least_s - 1) * 1000 | round / 10) % | \(.refused) |"' "$dir/stats"
}

script() {
    $python tests/bench/quota_client.py "$base" "$seconds" 60 90000 30 <"$dir/$1" >/dev/null
}

if [ "${1:-}" = table ]; then
    for kind in window bucket; do
        for weights in light heavy; do
            row 'sparp, ietf' "$kind" ietf "$weights" run
            row 'sparp, pairs' "$kind" pairs "$weights" run
            row 'sparp, gate alone' "$kind" none "$weights" run
            row 'script' "$kind" none "$weights" script
        done
    done
    exit
fi

for style in ietf pairs; do
    fields window $style light
    fields bucket $style heavy
done
alone light
alone heavy
finish

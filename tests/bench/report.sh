#!/bin/sh
# The picture of a report in the README, light and dark, with chromium and python3:
#   sh tests/bench/report.sh
# A run of half a minute against a server of its own, which in its middle is slow and asks for
# pauses, and which does not know everything that it is asked for.
set -eu
cd "$(dirname "$0")/../.."
make -s sparp build/plain
dir=build/report
rm -rf "$dir"
mkdir -p "$dir"
build/plain --port-file "$dir/port" --max-seconds 120 >/dev/null &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
tries=0
until [ -s "$dir/port" ] || [ $tries -ge 100 ]; do
    tries=$((tries + 1))
    sleep 0.05
done

# Latencies are spread as they often are: most near the least, a few far above.
awk -v base="http://127.0.0.1:$(cat "$dir/port")" 'BEGIN {
    srand(5)
    for (i = 0; i < 12000; i++) {
        share = i / 12000
        slow = share > 0.4 && share < 0.62 ? 1 + 5 * sin((share - 0.4) / 0.22 * 3.1416) : 1
        took = int(25 * slow * exp(0.35 * sqrt(-2 * log(rand())) * cos(6.2832 * rand())))
        if (rand() < 0.006) print base "/status/404?" i
        else if (i % 520 == 300 && slow > 2) print base "/retry-after/" i "/1"
        else print base "/delay/" took "?" i
    }
}' >"$dir/urls.txt"
./sparp -q -c 100 -r 500 --retries 4 --body none --report "$dir/report.html" "$dir/urls.txt" \
    -o "$dir/results.jsonl" || true

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
for scheme in light dark; do
    "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars \
        --user-data-dir="$PWD/$dir/profile" --window-size=1000,1125 \
        --blink-settings=preferredColorScheme="$([ $scheme = dark ] && echo 0 || echo 1)" \
        --screenshot="$PWD/$dir/$scheme.png" "file://$PWD/$dir/report.html" 2>/dev/null
    python3 tests/e2e/report.py shrink "$dir/$scheme.png" "tests/bench/report-$scheme.png"
done

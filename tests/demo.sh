#!/bin/sh
# What 'make demo' runs: a server of its own on loopback, 2,000 requests, 50 at once and 300 per
# second. Some of them fail on purpose: there are items missing, refusals and slow answers.
set -eu
cd "$(dirname "$0")/.."
dir=build/demo
total=2000
rm -rf $dir
mkdir -p $dir

build/plain --port-file $dir/port --max-seconds 60 >$dir/server.log 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM HUP

tries=0
while [ ! -s $dir/port ]; do
    tries=$((tries + 1))
    if [ $tries -gt 100 ] || ! kill -0 $server 2>/dev/null; then
        echo 'demo: the server did not start' >&2
        cat $dir/server.log >&2
        exit 1
    fi
    sleep 0.05
done
port=$(cat $dir/port)

awk -v n=$total -v port="$port" 'BEGIN {
    for (i = 1; i <= n; i++)
        printf "{\"id\":\"user-%d\",\"url\":\"http://127.0.0.1:%s/demo/%d\"}\n", i, port, i
}' >$dir/requests.jsonl

set -- ./sparp -c 50 -r 300 -t 1s --backoff 50ms $dir/requests.jsonl -o $dir/results.jsonl
echo "$*"
status=0
"$@" || status=$?

lines=$(wc -l <$dir/results.jsonl | tr -d ' ')
if [ $status -gt 1 ] || [ "$lines" -ne $total ]; then
    echo "demo: exit status $status, $lines records instead of $total" >&2
    exit 1
fi
echo
echo "The requests are in $dir/requests.jsonl, the results in $dir/results.jsonl, for example:"
head -n 2 $dir/results.jsonl

#!/bin/sh
# Thousands of requests through resets, ends, stray bytes and late answers, see temper.py, while the
# command is stopped and goes on, again and again: every index once, no unsafe request twice.
#   REQUESTS=20000 sh tests/e2e/stops_and_continues.sh
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/servers.inc
REQUESTS=${REQUESTS:-3000}
seed=${SEED:-$$}
echo "SEED=$seed"

# begin NAME FLAGS...: a server of its own, and the command; $command.
begin() {
    name=$1
    shift
    rm -f "$dir/$name.port"
    $python tests/server/temper.py --seed "$seed" --port-file "$dir/$name.port" --max-seconds 200 \
        >"$dir/$name.log" 2>&1 &
    servers="$servers $!"
    until_true [ -s "$dir/$name.port" ] || { cat "$dir/$name.log"; exit 1; }
    url="http://127.0.0.1:$(cat "$dir/$name.port")/dice/"
    seq 1 "$REQUESTS" | awk -v url="$url" '
        $1 % 2 { print url $1; next }
        { printf "{\"url\":\"%s%d\",\"method\":\"POST\",\"body\":\"%d\"}\n", url, $1, $1 }
    ' >"$dir/$name.in"
    "$SPARP" -q -c 20 -t 3 -R 5 --backoff 50ms "$@" "$dir/$name.in" >"$dir/$name.out" \
        2>"$dir/$name.err" &
    command=$!
}

# Stops and continues them until all have ended: most of the times shortly, four times for longer
# than -t allows, while no answer takes a fourth of that. Timeouts would be tried again, POSTs too.
disturb() {
    awk -v seed="$seed" 'BEGIN {
        srand(seed)
        for (i = 0; i < 600; i++)
            print i % 4 == 2 && i < 16 ? 3.5 : int(rand() * 4) / 10
    }' >"$dir/stops"
    while read -r stop; do
        alive=''
        for process in "$@"; do
            if kill -STOP "$process" 2>/dev/null; then alive="$alive $process"; fi
        done
        [ -n "$alive" ] || return 0
        sleep "$stop"
        for process in $alive; do
            kill -CONT "$process" 2>/dev/null
        done
        sleep 0.1
    done <"$dir/stops"
}

# ended NAME PROCESS
ended() {
    wait "$2"
    check "$1: it came to its end" [ $? -le 1 ]
    check "$1: no sanitizer said anything" quiet "$dir/$1.err"
    check "$1: as many records" [ "$(wc -l <"$dir/$1.out")" = "$REQUESTS" ]
    check "$1: every index once" [ "$(jq .index "$dir/$1.out" | sort -nu | wc -l)" = "$REQUESTS" ]
    curl -s "http://127.0.0.1:$(cat "$dir/$1.port")/stats" >"$dir/$1.stats"
    check "$1: no POST arrived twice" [ "$(jq '[.bodies[]] | max' "$dir/$1.stats")" = 1 ]
    check "$1: no success that has not arrived" missed_none "$1"
    jq -s --arg name "$1" -r 'group_by(.outcome) | map("\(length) \(.[0].outcome)") | join(", ")
        | "    \($name): \(.)"' "$dir/$1.out"
}

quiet() {
    ! grep -E 'Sanitizer|runtime error' "$1"
}

# Every POST that succeeded has arrived.
missed_none() {
    jq -n -e --slurpfile stats "$dir/$1.stats" --slurpfile all "$dir/$1.out" '
        ($stats[0].bodies) as $bodies
        | [$all[] | select(.outcome == "success" and (.index % 2 == 1))
            | select($bodies[(.index + 1 | tostring)] != 1)] == []' >/dev/null
}

begin one -w 1
one=$command
begin three -w 3
three=$command
disturb "$one" "$three"
ended one "$one"
ended three "$three"
finish

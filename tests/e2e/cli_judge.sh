#!/bin/sh
# What counts as success, what is tried again and when, what stops a run.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base

# --- judging ------------------------------------------------------------------------------------

for code in 200 204 301 304 400 404 408 425 429 500 501 502 503 504 599; do
    echo "$base/status/$code"
done >"$dir/in"
# verdicts WHAT LETTERS FLAGS...: of those statuses, in order: s success, h hard, r retried in vain
letters='sort_by(.index) | map({success: "s", hard_fail: "h", soft_exhausted: "r"}[.outcome]) | add'
verdicts() {
    what=$1 wanted=$2
    shift 2
    try -q -R 1 --backoff 0 "$@"
    check "$what" records_are "($letters) == \"$wanted\"
        and all(.attempts == if .outcome == \"soft_exhausted\" then 2 else 1 end)"
}
verdicts 'the defaults' sssshhrrrrhrrrh
verdicts '--ok 404' hhhhhsrrrrhrrrh --ok 404
verdicts '--ok all' sssssssssssssss --ok all
verdicts '--ok none' hhhhhhrrrrhrrrh --ok none
verdicts '--ok 200-299,4xx,301' ssshsssssrrrrrr --ok 200-299,4xx,301 --retry-on 5xx
verdicts '--ok 503: it is not tried again' hhhhhhrrrrhrsrh --ok 503
verdicts '--retry-on none' sssshhhhhhhhhhh --retry-on none
verdicts '--retry-on 404,5xx' sssshrhhhrrrrrr --retry-on 404,5xx
verdicts '--ok none, --retry-on 503' hhhhhhhhhhhhrhh --ok none --retry-on 503
given ''
refused 'a status in both lists' '503' --ok 503 --retry-on 5xx

# --- how often ----------------------------------------------------------------------------------

given '%s/status/503\n{"url":"%s/hang","timeout":0.05}\n%s/eof\n' "$base" "$base" "$base"
attempts() {
    what=$1 wanted=$2
    shift 2
    try -q --backoff 1ms "$@"
    expect "$what" 1 "sort_by(.index) | map(.attempts) == $wanted"
}
attempts '-R 0' '[1, 1, 1]' -R 0
attempts '-R 2' '[3, 3, 3]' -R 2
attempts 'each its own' '[2, 3, 4]' --soft-retries 1 --timeout-retries 2 --transport-retries 3
attempts '-R and one of its own' '[3, 1, 3]' --timeout-retries 0 -R 2

given '%s/flaky/a/2\n%s/slow-then-fast/a/2/30000\n' "$base" "$base"
try -R 2 -t 200ms --backoff 1ms
expect 'the third try succeeds' 0 'all(.outcome == "success" and .attempts == 3)'
said 'the summary knows why' '^retries +4: +2 after a status +2 after a timeout'
said 'and which statuses' '503 2 \(retried\)'

# --- when ---------------------------------------------------------------------------------------

given '%s/status/503\n' "$base"
try -q -R 3 --backoff 200ms
expect 'pauses double: 0.7 to 1.4 s in all' 1 \
    '.[0].ms.all | . >= 699 and . < 5000'
try -q -R 3 --backoff 200ms --backoff-max 200ms
expect '--backoff-max: 0.3 to 0.6 s' 1 '.[0].ms.all | . >= 299 and . < 2000'
try -q -R 3 --backoff 0
expect '--backoff 0: at once' 1 '.[0] | .attempts == 4 and .ms.all < 1000'
given '%s/retry-after/a/1\n' "$base"
try -q --backoff 1ms
expect 'Retry-After: not before' 0 '.[0] | .attempts == 2 and .ms.all >= 1000 and .ms.all < 6000'
given '%s/retry-after/b/1000\n' "$base"
try -q
expect 'Retry-After beyond the limit: given up' 1 \
    '.[0] | .outcome == "soft_exhausted" and .status == 429 and .attempts == 1
        and (.retry_at - .t - 1000 | . > -2 and . < 2)'
given '%s/retry-after/c/1\n' "$base"
try -q --retry-after-max 500ms
expect '--retry-after-max' 1 \
    '.[0] | .outcome == "soft_exhausted" and .attempts == 1 and has("retry_at")'

# --- what may be sent twice ---------------------------------------------------------------------

given 'POST %s/status/503\n%s/status/503\nPUT %s/status/503
{"url":"%s/status/503","method":"POST","headers":{"Idempotency-Key":"1"}}
{"url":"%s/status/503","method":"POST","idempotent":true}\n' "$base" "$base" "$base" "$base" "$base"
try -q -R 1 --backoff 1ms
expect 'statuses: every method is tried again' 1 'all(.attempts == 2)'
try -q -R 1 --backoff 1ms --retry-safe-only
expect '--retry-safe-only: not a POST, but with a key or a mark' 1 \
    'sort_by(.index) | map(.attempts) == [1, 2, 2, 2, 2]'
given 'POST %s/eof\n%s/eof\nDELETE %s/rst\nPATCH %s/rst\n' "$base" "$base" "$base" "$base"
try -q -R 1 --backoff 1ms
expect 'transport: not a POST' 1 'sort_by(.index) | map(.attempts) == [1, 2, 2, 1]
    and map(.maybe_applied) == [true, false, false, true]'
try -q -R 1 --backoff 1ms --retry-unsafe
expect '--retry-unsafe: every method' 1 'all(.attempts == 2)'
given 'POST http://127.0.0.1:1/\n'
try -q -R 1 --backoff 1ms
expect 'a POST that never left us is safe' 1 \
    '.[0] | .attempts == 2 and .error.kind == "refused" and .maybe_applied == false'

# --- stopping -----------------------------------------------------------------------------------

# stops WHAT EVENT STATUS PATH FLAGS...: good ones, then that one, then more good ones. While it
# waits for its retry, others get their turn.
stops() {
    what=$1 event=$2 wanted=$3 path=$4
    shift 4
    {
        seq 1 3 | sed "s|.*|$base/items/&|"
        echo "$base$path"
        seq 1 1000 | sed "s|.*|$base/items/&|"
    } >"$dir/in"
    try --stop-on "$event" -c 1 -t 200ms --backoff 1ms "$@"
    if [ "$wanted" -eq 3 ]; then
        expect "$what stops" 3 \
            'sort_by(.index) | length < 1004 and (.[:3] | all(.outcome == "success"))
                and (.[4:] | all(.outcome == "success"
                    or (.outcome == "not_started" and .attempts == 0 and .status == null)))
                and (.[3].attempts > 1 or (map(select(.outcome == "success")) | length == 3))
                and (last | .outcome == "not_started")'
        said "$what: says so" 'stopped after [0-9]+ by --stop-on'
    else
        expect "$what does not stop" "$wanted" 'length == 1004'
    fi
}
stops 'hard-fail: a 404' hard-fail 3 /status/404
stops 'hard-fail: a 503' hard-fail 1 /status/503 -R 1
stops 'soft-fail: a 503' soft-fail 3 /status/503
stops 'soft-fail: a 503 without retries' soft-fail 3 /status/503 -R 0
stops 'soft-fail: a 404' soft-fail 1 /status/404
stops 'soft-exhausted: a 503 in the end' soft-exhausted 3 /status/503 -R 1
stops 'soft-exhausted: a 503 at first' soft-exhausted 0 /flaky/stop/1
stops 'timeout: the first one' timeout 3 /hang
stops 'timeout-exhausted: the last one' timeout-exhausted 3 /hang -R 1
stops 'timeout-exhausted: one of two' timeout-exhausted 0 /slow-then-fast/stop/1/30000
stops 'transport: a reset' transport 3 /rst
stops 'one of several events' timeout,hard-fail 3 /status/404
given ''
refused 'an unknown event' 'soft-exhausted' --stop-on nonsense

seq 1 500 | sed "s|.*|$base/status/404|" >"$dir/in"
try -c 1 --max-fail 3
expect '--max-fail 3' 3 'map(select(.outcome == "hard_fail")) | length == 3'
said '--max-fail: says so' '--max-fail'
try -q -c 1 --max-fail 50%
expect '--max-fail 50%: after 20 have finished' 3 \
    'map(select(.outcome == "hard_fail")) | length == 20'
{
    seq 1 60 | sed "s|.*|$base/items/&|"
    seq 1 40 | sed "s|.*|$base/status/404|"
} >"$dir/in"
try -q -c 1 --max-fail 50%
expect '--max-fail 50%: 40 % is not enough' 1 'length == 100 and all(.status != null)'
try -q -c 1 --max-fail 25%
expect '--max-fail 25%: 20 of 80' 3 'map(select(.outcome == "hard_fail")) | length == 20'

# 17: the ratio is judged once. What is in flight then ends by itself, and brings it down again.
{
    seq 1 19 | sed "s|.*|$base/items/&|"
    echo "$base/status/404"
    seq 300 100 700 | sed "s|.*|$base/delay/&|"
    seq 1 400 | sed "s|.*|$base/items/&|"
} >"$dir/in"
try -c 25 --max-fail 5%
expect '17: --max-fail P% lets finish what is in flight' 3 \
    'map(select(.outcome == "cancelled")) == [] and
        (map(select(.url | test("/delay/"))) | length == 5 and all(.outcome == "success"))'
said '17: --max-fail P%: the flag that did it' 'stopped after [0-9]+ by --max-fail'
{
    seq 1 199 | sed "s|.*|$base/items/&|"
    echo "$base/status/404"
    seq 1 200 | sed "s|.*|$base/items/&|"
} >"$dir/in"
try -q -c 1 --max-fail 0.5%
expect '17: --max-fail 0.5%: 1 of 200' 3 'map(select(.outcome != "not_started")) | length == 200'
try -q -c 1 --max-fail 0.6%
expect '17: --max-fail 0.6%: 1 of 200 is not enough' 1 'length == 400'
{
    echo "$base/status/404"
    seq 1 398 | sed "s|.*|$base/items/&|"
    echo "$base/status/404"
} >"$dir/in"
try -q -c 1 --max-fail 0.5%/400
expect '17: --max-fail P%/N: not before N have ended' 3 'length == 400'
try -q -c 1 --max-fail 1%/300
expect '17: --max-fail P%/N: 1 of 300 is not enough' 1 'length == 400'

# 14: without the gate a 429 holds back the request that got it and no other.
forget
given '%s/retry-after/gate/2\n%s/items/1\n%s/items/2\n' "$base" "$base" "$base"
try -q -c 1 --no-gate
expect '14: --no-gate: the others go on' 0 \
    'map(.index) == [1, 2, 0] and all(.[:2][]; .ms.all < 1500) and .[2].attempts == 2'
given '%s/retry-after/gate2/1\n%s/items/1\n%s/items/2\n' "$base" "$base" "$base"
try -q -c 1
expect '14: with it they wait' 0 'all(.ms.all > 900)'

given '%s/delay/400\n%s/status/404\n%s/items/1\n' "$base" "$base" "$base"
try -q -c 2 --max-fail 1
expect '--max-fail lets finish what is in flight' 3 \
    'sort_by(.index) | map(.outcome) | .[:2] == ["success", "hard_fail"]'
try -q -c 2 --max-fail 1 --stop-mode abort
expect '--stop-mode abort cuts it' 3 \
    'sort_by(.index) | map(.outcome) | .[:2] == ["cancelled", "hard_fail"]'
try -q -c 2 --stop-on hard-fail
expect '--stop-on cuts what is in flight' 3 \
    'sort_by(.index) | map(.outcome) | .[:2] == ["cancelled", "hard_fail"]'
try -q -c 2 --stop-on hard-fail --stop-mode drain
expect '--stop-mode drain lets it finish' 3 \
    'sort_by(.index) | map(.outcome) | .[:2] == ["success", "hard_fail"]'

given '%s/delay/20000\n%s/status/404\n%s/items/1\n%s/items/2\n%s/items/3\n' \
    "$base" "$base" "$base" "$base" "$base"
try -q -c 2 --first 2
expect '--first 2: two, and the rest is cut' 0 \
    '(map(select(.outcome == "success")) | length == 2)
        and (sort_by(.index) | .[0].outcome == "cancelled")'
given '%s/delay/300\n%s/items/1\n%s/items/2\n' "$base" "$base" "$base"
try -q -c 2 --first 1 --stop-mode drain
expect '--first 1 --stop-mode drain' 0 \
    'sort_by(.index) | .[0].outcome == "success" and .[1].outcome == "success"'

# A pipe that is closed ends its writer, unless it is read to its end.
stream() {
    {
        status=0
        seq 1000000 2>/dev/null || status=$?
        echo $status >"$dir/writer"
    } | timeout -k 2 "$limit" "$SPARP" -q -T "$base/items/{}" "$@" >"$dir/out" 2>"$dir/err"
    status=$?
}
stream --first 1
expect '--first 1 of a long stream' 0 'map(select(.outcome == "success")) | length >= 1'
check 'the writer is told' [ "$(cat "$dir/writer")" -ne 0 ]
stream --first 1 --drain-input
expect '--drain-input' 0 'map(select(.outcome == "success")) | length >= 1'
check 'the writer may finish' [ "$(cat "$dir/writer")" -eq 0 ]
stream --max-fail 1 --ok 404 --drain-input
check '--drain-input after a rule' [ "$status $(cat "$dir/writer")" = '3 0' ]

seq 1 200 | sed "s|.*|$base/delay/50|" >"$dir/in"
try --deadline 400ms -c 5
expect '--deadline: what was sent has its record' 4 \
    '(map(select(.outcome == "success")) | length | . >= 5 and . < 100)
        and all(.outcome == "success" or .outcome == "cancelled" or .outcome == "not_started")'

# --- pace ---------------------------------------------------------------------------------------

seq 1 60 | sed "s|.*|$base/delay/20|" >"$dir/in"
for most in 1 7; do
    forget
    try -q -c $most
    most_seen=$(curl -s "$base/stats" | jq .most_at_once)
    check "-c $most: never more at once" [ "$most_seen" -le $most ]
    check "-c $most: but as many" [ "$most_seen" -eq $most ]
done
seq 1 30 | sed "s|.*|$base/items/&|" >"$dir/in"
# rated WHAT MOST FLAGS...: MOST arrive within a second: $in_window, and all of them within $took ms
rated() {
    what=$1 most=$2
    shift 2
    forget
    try -q "$@"
    check "$what: all" records_are 'length == 30 and all(.outcome == "success")'
    curl -s "$base/stats" >"$dir/stats"
    in_window=$(jq .max_in_window "$dir/stats")
    took=$(jq '(.last_us - .first_us) / 1000 | floor' "$dir/stats")
    check "$what: $in_window in a second" [ "$in_window" -le "$most" ]
}
rated '-r 20' 21 -r 20
check "which takes 1.45 s: $took ms" [ "$took" -ge 1440 ]
rated '-r 1200/m' 21 -r 1200/m
rated '--burst 10' 31 --rate 20 --burst 10
check "which takes 1 s: $took ms" [ "$took" -ge 990 ]
check 'because more than 21 came in a second' [ "$in_window" -gt 21 ]
finish

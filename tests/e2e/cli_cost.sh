#!/bin/sh
# What requests cost: --max-cost, "cost", --cost, --cost-from. Limits of single hosts: --limit-host,
# --per-host-rate. And --retry-ratio.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base
one=$base
start_plain
two=http://127.0.0.1:$port

stat() {
    curl -s "$1/stats" | jq ".$2"
}
forget_both() {
    curl -s "$one/stats/reset" "$two/stats/reset" >/dev/null
}

# took URL LOW HIGH: seconds from the first to the last request, as the server saw it.
took() {
    span=$(curl -s "$1/stats" | jq '(.last_us - .first_us) / 1e6')
    [ "$(jq -n "$span >= $2 and $span <= $3")" = true ] || { echo "    $span s"; return 1; }
}

# paced WHAT LOW HIGH ARGS...: all succeed, and they take that long, in one of three tries: on a
# machine with other work the server may see the first one late, or the last one.
paced() {
    what=$1 low=$2 high=$3
    shift 3
    for _ in 1 2 3; do
        forget
        try "$@"
        took "$base" "$low" "$high" >/dev/null && break
    done
    check "$what" ended 0
    check "$what: in $low to $high s" took "$base" "$low" "$high"
}

# costs COST...: a line for each
costs() {
    for cost; do
        printf '{"url":"%s/items/1","cost":%s}\n' "$base" "$cost"
    done >"$dir/in"
}

# --- cost -----------------------------------------------------------------------------------------

costs 200 200 200 200 200 200
paced '1000 a second, 6 of 200' 0.98 1.5 --max-cost 1000 --summary json
check '... the records say what was booked' records_are 'all(.cost == 200)'
check '... and waited for the rate' records_are 'map(.ms.rate // 0) | max > 900'
check '... the summary, too' holds "$dir/err" '.cost.booked == 1200 and .cost.held_by == "max_cost"
    and .cost.unknown == 0 and .cost.waited_ms > 2900 and .waited_ms.rate >= .cost.waited_ms'
cp "$dir/out" "$dir/records"
try --summarize --summary json "$dir/records"
check '... and --summarize' holds "$dir/err" '.cost.booked == 1200 and .cost.held_by == "max_cost"'
try --summarize "$dir/records"
said '--summarize: what was booked' '^cost       1200 booked   [0-9]+/s$'
said '... what was waited for' '[0-9]+ % for the limit of cost \(--max-cost\)$'
costs 200 200 200 200 200 200
paced '... with a burst of 1000' 0.18 0.6 --max-cost 1000 --cost-burst 1000
paced '... with -r, which is tighter' 1.64 2.2 --max-cost 1000 -r 3 --summary json
check '... as the summary says' holds "$dir/err" '.cost.held_by == "max_per_second"'
try --max-cost 1000
said '... in text' '^cost       1200 booked   [0-9.]+/s$'
said '... with the flag' '^waiting .*[0-9]+ % for the limit of cost \(--max-cost\)$'
costs 0.25 0.5 0.25 1
paced 'fractions: 4 a second' 0.24 0.7 --max-cost 4
check '... as they are' records_are 'map(.cost) | sort == [0.25, 0.25, 0.5, 1]'
costs 0 0 0 0 0 0 0 0 0 0 1
paced 'what is free does not wait' 0 0.9 --max-cost 1/h
check '... and is booked as 0' records_are 'map(.cost) | add == 1'
costs 500 1 1
paced 'heavier than the burst: it gets through' 0.48 1 --max-cost 1000 --cost-burst 10
said '... which is said' '^sparp: request 0 costs 500, more than --cost-burst: '

given '%s/items/1\n%s/items/2\n' "$base" "$base"
try -q --max-cost 1000 --cost-burst 100
expect 'without any: 1' 0 'all(.cost == 1)'
try -q --max-cost 1000 --cost 2.5
expect '--cost' 0 'all(.cost == 2.5)'
try -q
expect 'no limit, no key' 0 'all(has("cost") | not)'
given 'id,tokens\n1,30\n2,12\n3,0\n'
try -q --csv -T "$base/items/{id}" --max-cost 1000 --cost-burst 100 --cost '{tokens}'
expect '--cost out of a column' 0 'sort_by(.index) | map(.cost) == [30, 12, 0]'
try -q --csv -T "$base/items/{id}" --max-cost 1000 --cost '{tokens}' -n
expect '-n shows it' 0 'map(.cost) == [30, 12, 0]'
given 'id,tokens\n1,30\n2,many\n'
try -q --csv -T "$base/items/{id}" --max-cost 1000 --cost '{tokens}'
expect '... which is none' 1 'sort_by(.index) | .[1].error.message
    == "line 3, column 1: --cost is no number with these values"'
given '{"url":"%s/flaky/cost/2","cost":5}\n{"url":"%s/redirect/302/2","cost":7}\n' "$base" "$base"
try -q --max-cost 1000 --cost-burst 100 --backoff 1ms
expect 'retries and redirects pay again' 0 'sort_by(.index) | map(.cost) == [15, 21]'
given '{"url":"%s/items/1","cost":2}\n{"url":"%s/items/2","cost":-1}\n' "$base" "$base"
try -q --fields index,cost --output-format csv --max-cost 5
check 'as a column' [ "$(paste -sd ' ' "$dir/out")" = 'index,cost 1, 0,2' ]

# --- what the answer says -------------------------------------------------------------------------

# used N...: answers that say so
used() {
    for n; do
        printf '{"url":"%s/v1/x","cost":10,"json":{"usage":{"total_tokens":%s}}}\n' "$base" "$n"
    done >"$dir/in"
}
used 400 400 400
for workers in 1 2; do
    # The first one starts as if it cost 10; the next has to wait for what it cost.
    paced "--cost-from, -w $workers" 0.78 1.4 -c 1 -w $workers --max-cost 1000 \
        --cost-from usage.total_tokens --summary json
    check '... the records say it' records_are 'all(.cost == 400)'
    check '... the summary, too' holds "$dir/err" '.cost.booked == 1200'
done
used 4 0 2.5
try -q --max-cost 1000 --cost-burst 100 --cost-from usage.total_tokens
expect '... given back' 0 'sort_by(.index) | map(.cost) == [4, 0, 2.5]'
check '... the bodies are there' records_are 'all(.body | contains("usage"))'
try -q --max-cost 1000 --cost-burst 100 --cost-from usage.total_tokens --body none --ok 200
expect '... with --body none and --ok' 0 'sort_by(.index) | map([.cost, .body]) ==
    [[4, null], [0, null], [2.5, null]]'
try --cost-from usage.total_tokens --summary json
expect '... without a limit' 0 'sort_by(.index) | map(.cost) == [4, 0, 2.5]'
check '... the summary, too' holds "$dir/err" '.cost.booked == 6.5 and .cost.held_by == null'
used 3 '"4"' null '[]'
{
    printf '{"url":"%s/%s","cost":10}\n' "$base" items/1 "$base" bytes/20 "$base" status/404
    printf '{"url":"%s/v1/","cost":10,"json":[{"a.b":1}]}\n' "$base"
} >>"$dir/in"
try --max-cost 1000 --cost-burst 1000 --cost-from usage.total_tokens --order input
expect 'an answer that does not say: what was booked stays' 1 'map(.cost)
    == [3, 10, 10, 10, 10, 10, 10, 10]'
check '... said once' [ "$(grep -c 'has no number at usage.total_tokens' "$dir/err")" -eq 1 ]
said '... of which request' '^sparp: request 1: the answer has no number at usage'
said '... and counted, but for what failed' \
    '^cost       73 booked .* 6 answers without usage.total_tokens$'
try -q --max-cost 1000 --cost-burst 1000 --cost-from 0.a --order input
silent '-q: not said'
printf '{"url":"%s/v1/","cost":10,"json":[1,{"n":4}]}\n' "$base" >"$dir/in"
try -q --max-cost 1000 --cost-from 1.n
expect 'a place in an array' 0 '.[0].cost == 4'
printf '{"url":"%s/flaky/from/1","cost":10}\n{"url":"%s/redirect-to/307?%s","cost":10,%s}\n' \
    "$base" "$base" "$base/v1/" '"method":"PUT","json":{"n":50}' >"$dir/in"
try -q --max-cost 1000 --cost-burst 1000 --cost-from n --backoff 1ms --order input
expect 'tries before it stay booked, hops are part of it' 0 'map(.cost) == [20, 50]'

printf '{"url":"%s/v1/","json":{"n":1e11}}\n' "$base" >"$dir/in"
try -q --max-cost 1000 --cost-from n
expect 'one answer books an hour of the limit at most' 0 '.[0].cost == 3600000'
try -q --limit-host '127.0.0.1=,,10' --max-cost 1000 --cost-from n
expect '... of the tightest' 0 '.[0].cost == 36000'
try -q --cost-from n
expect '... without one it may say what it likes' 0 '.[0].cost == 1e11'

# Of an event stream the last event that says it.
if command -v python3 >/dev/null; then
    printf '#!/bin/sh\nexec python3 tests/server/world.py "%s" "$@"\n' "$dir/world.jsonl" \
        >"$dir/start_world"
    chmod 755 "$dir/start_world"
    start_server world "$dir/start_world"
    # stream HOW FORMAT: a line whose answer is that, in chunks of some bytes
    stream() {
        # shellcheck disable=SC2059
        printf "$2" | jq -Rsc --arg url "http://127.0.0.1:$port/events/$1" \
            '{url: $url, cost: 10, body: .}'
    }
    {
        stream 1 'data: {"usage":null}\n\ndata: {"usage":{"tokens":7}}\n\ndata: [DONE]\n\n'
        stream 7 'data:{"usage":{"tokens":9}}\r\n\r\ndata:{"usage":\r\ndata:{"tokens":30}}\r\n\r\n'
        stream 9999 'data: {"id":1}\n\ndata: [DONE]\n\n'
        case $("$SPARP" -V) in
            *'zlib      yes'*)
                stream '5?gzip' 'data: {"usage":{"tokens":1}}\n\ndata: {"usage":{"tokens":50}}\n\n'
                compressed=--compressed ;;
            *) compressed='' ;;
        esac
    } >"$dir/in"
    for workers in 1 2; do
        # shellcheck disable=SC2086
        try -q $compressed -w $workers --max-cost 1000 --cost-burst 1000 \
            --cost-from usage.tokens --order input
        expect "an event stream, -w $workers: the last event that says it" 0 \
            "map(.cost) == [7, 30, 10${compressed:+, 50}]"
    done
    try -q --max-cost 1000 --cost-burst 1000 --cost-from usage.tokens --order input --limit 1
    expect '... without --compressed' 0 'map(.cost) == [7]'
else
    skip 'event streams: no python3'
fi

# --- single hosts ---------------------------------------------------------------------------------

seq 24 | sed "s|.*|$one/delay/20?&|" >"$dir/in"
seq 24 | sed "s|.*|$two/delay/20?&|" >>"$dir/in"
forget_both
try -q -c 50 --limit-host "${one#http://}=3" --limit-host "${two#http://}=8"
expect 'two hosts' 0 'length == 48 and all(.outcome == "success")'
check '... 3 at once at one' [ "$(stat "$one" most_at_once)" -eq 3 ]
check '... 8 at the other' [ "$(stat "$two" most_at_once)" -eq 8 ]
forget_both
try -q -c 50 --per-host 2 --limit-host "${two#http://}=none"
check '--per-host, and none: 2' [ "$(stat "$one" most_at_once)" -eq 2 ]
check '... all' [ "$(stat "$two" most_at_once)" -eq 24 ]
seq 11 | sed "s|.*|$one/items/&|" >"$dir/in"
seq 21 | sed "s|.*|$two/items/&|" >>"$dir/in"
forget_both
try --per-host-rate 20 --limit-host "${two#http://}=5,40"
expect 'rates of hosts' 0 'length == 32'
check '... 20 a second' took "$one" 0.48 2
check '... 40 a second' took "$two" 0.48 2
check '... at 5 at once' [ "$(stat "$two" most_at_once)" -le 5 ]
said '... which the summary names' \
    '[0-9]+ % for the limits of its host \(--per-host-rate, --limit-host\)$'
seq 11 | sed "s|.*|http://a.example.test/items/&|" >"$dir/in"
seq 11 | sed "s|.*|http://example.test/items/&|" >>"$dir/in"
forget_both
try -q --limit-host '*.Example.test=,20' --connect-to "a.example.test::127.0.0.1:${one##*:}" \
    --connect-to "::127.0.0.1:${two##*:}"
expect 'what is below a name' 0 'length == 22'
check '... is limited' took "$one" 0.48 2
check '... the name is not' took "$two" 0 0.4
costs 200 200 200 200 200 200
paced 'a cost of one host' 0.98 1.5 --limit-host '127.0.0.1=,,1000'
check '... in the records' records_are 'all(.cost == 200) and (map(.ms.origin // 0) | max > 900)'

# --- retries of all together ----------------------------------------------------------------------

seq 20 | sed "s|.*|$base/flaky/ratio&/1|" >"$dir/in"
try -q --backoff 1ms --retry-ratio 90%
expect '--retry-ratio: all in the end' 0 'length == 20 and all(.attempts == 2)'
check '... the last ones after a second' records_are 'map(.ms.backoff) | max > 500'
seq 20 | sed "s|.*|$base/flaky/free&/1|" >"$dir/in"
try -q --backoff 1ms --retry-ratio 2
expect '... with enough of them at once' 0 'all(.attempts == 2 and .ms.backoff < 500)'

# --- what servers say is left  -----------------------------------------------------------------

given '%s/left/60/57/100\n' "$base"
try
said 'what is left' "^left       ${base#http://}: 57 of 60 left, (100|99) s\$"
try --summary json
check '... as JSON' holds "$dir/err" '.left == [{origin: "'"${base#http://}"'", of: "requests",
    limit: 60, left: 57, reset: .left[0].reset}] and .left[0].reset > 90 and .left[0].reset <= 100'
try -q --report "$dir/page.html" --max-cost 1000
page_left="<li>${base#http://}: 57 of 60 left, [0-9]* s</li>"
check '... in the report' grep -q "$page_left" "$dir/page.html"
check '... and the cost' grep -q 'cost booked' "$dir/page.html"
given '%s/items/1\n' "$base"
try
check 'nobody says: no row' sh -c "! grep -q '^left' '$dir/err'"

# --- what is refused ------------------------------------------------------------------------------

watched=no
given ''
forget
refused '--cost-burst alone' '--cost-burst says .*--max-cost' --cost-burst 5
refused '--cost alone' '--cost is what --max-cost counts' --cost 5
refused '--cost without -T' "--cost: '\{2\}' is not a number" --max-cost 5 --cost '{2}'
refused '--cost-from and --body-dir' 'which --body-dir puts into files' --cost-from a --body-dir d
for wrong in '' .usage '$.usage' 'a[0]' a..b; do
    refused "--cost-from '$wrong'" '--cost-from:.* as in usage.total_tokens' --cost-from "$wrong"
done
refused '--limit-host: no limit' 'as in api.example.com=10,5/s' --limit-host api.example.com
refused '--limit-host: a URL' 'with a host alone' --limit-host http://api.example.com/=5
refused '--limit-host: a rate first' 'a rate alone is HOST=,5/s' --limit-host h=5/s
refused '--limit-host: four' 'three limits at the most' --limit-host h=1,2,3,4
refused '--limit-host: a pattern that is none' 'not name, \*\.name or \*' --limit-host 'a.*.b=5'
refused '--limit-host: twice' "'h:80=3' never counts, for \*= stands before it" \
    --limit-host '*=5' --limit-host h:80=3
refused '--retry-ratio 0' 'more than 0' --retry-ratio 0
refused '--retry-ratio 5/s' 'a fraction like 0.1, or 10%' --retry-ratio 5/s
refused 'too much' '--max-cost must be' --max-cost 99999999999999
refused '--tpm' 'did you mean --max-cost' --tpm 90000
check 'nothing was sent' [ "$(arrived)" -eq 0 ]
finish

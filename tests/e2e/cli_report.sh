#!/bin/sh
# --report: a page that agrees with the summary, is valid, small, without secrets, and can be seen.
# shellcheck disable=SC2016,SC2154
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
"${CC:-cc}" -O2 -o "$dir/signal" tests/e2e/signal.c || exit 1
page=$dir/page.html
start_base
if ! command -v python3 >/dev/null; then
    skip 'no python3'
    finish
fi
ask() {
    python3 tests/e2e/report.py "$@"
}
# Debian's modules are those of its own python3.
for python in python3 /usr/bin/python3; do
    $python -c 'import html5lib' 2>/dev/null && break
done
makes_html5() {
    $python tests/e2e/report.py html5 "$1"
}

# valid WHAT FILE: strictly XML, strictly HTML, of itself alone; at most 200 KB.
is_quiet() {
    "$@" >"$dir/log" 2>&1
    [ ! -s "$dir/log" ] || { head -n 5 "$dir/log"; return 1; }
}
is_small() {
    [ "$(wc -c <"$1")" -le 204800 ] && return
    echo "    $(wc -c <"$1") bytes"
    return 1
}
valid() {
    check "$1: at most 200 KB" is_small "$2"
    check "$1: closed, alone, without scripts" ask check "$2"
    if command -v xmllint >/dev/null; then
        check "$1: XML" is_quiet xmllint --noout "$2"
    fi
    if command -v tidy >/dev/null; then
        check "$1: HTML, says tidy" is_quiet tidy -q -e "$2"
    fi
    if [ "$html5lib" = yes ]; then
        check "$1: HTML, says html5lib" makes_html5 "$2"
    fi
}
command -v xmllint >/dev/null || skip 'no xmllint'
command -v tidy >/dev/null || skip 'no tidy'
if $python -c 'import html5lib' 2>/dev/null; then html5lib=yes; else html5lib=no; fi
[ $html5lib = yes ] || skip 'no html5lib for python3'

# shows WHAT JQ: of the figures of the page ($f) and the summary ($s) it is true.
reads() {
    if ! cmp -s "$page" "$dir/figures.page"; then
        ask figures "$page" >"$dir/figures" || return 1
        cp "$page" "$dir/figures.page"
    fi
    [ "$(jq -n --slurpfile f "$dir/figures" --slurpfile s "$dir/summary" \
        "\$f[0] as \$f | \$s[0] as \$s | $1" 2>&1)" = true ] && return
    jq -c 'del(.pictures)' "$dir/figures" | cut -c 1-900
    jq -c . "$dir/summary"
    return 1
}
shows() {
    check "$1" reads "$2"
}

# agree WHAT: every figure of the page that the summary has, too; durations have three digits.
agree() {
    shows "$1: outcomes" '$f.tiles.ok == $s.outcomes.success
        and $f.tiles.failed == $s.outcomes.hard_fail + $s.outcomes.local_failed
        and $f.tiles["out of retries"] == $s.outcomes.soft_exhausted
            + $s.outcomes.timeout_exhausted + $s.outcomes.transport_failed
        and ($f.tiles["cut off"] // 0) == $s.outcomes.cancelled + $s.outcomes.not_started
        and ($f.tiles.invalid // 0) == $s.outcomes.invalid
        and $f.tiles["tries again"] == $s.retries'
    shows "$1: statuses" '([$f.tables.statuses[] | select(.[1] != "" and .[0] != "none")
            | {key: "\(.[0])", value: .[1]}] | from_entries) == $s.status
        and ([$f.tables.statuses[] | select(.[2] != "" ) | {key: "\(.[0])", value: .[2]}]
            | from_entries) == ($s.retried | with_entries(select(.key | test("^[0-9]"))))'
    shows "$1: errors" '([$f.tables.errors // [] | .[] | select(.[1] != "") | .[1]] | sort)
            == ([$s.errors[]] | sort)
        and ([$f.tables.errors // [] | .[] | select(.[2] != "") | .[2]] | sort)
            == ([$s.retried | to_entries[] | select(.key | test("^[a-z]")) | .value] | sort)'
    shows "$1: latencies" 'def near($a; $b): ($a - $b | fabs) <= 0.0051 * $b + 0.001;
        def row($l): [$l.min, $l.mean, $l.p50, $l.p90, $l.p95, $l.p99, $l.max];
        [[$f.tables.latency[0][1:], row($s.latency_ms)],
         [$f.tables.latency[1][1:], row($s.overall_ms)]]
        | all(transpose | length == 7 and all(near(.[0]; .[1])))'
    shows "$1: over time, none is lost" '$f.sums.ok == $f.tiles.ok
        and $f.sums.failed == $f.tiles.failed
        and $f.sums["out of retries"] == $f.tiles["out of retries"]
        and $f.sums["cut off"] == ($f.tiles["cut off"] // 0)'
    shows "$1: hosts" '([$f.tables.hosts[] | .[1]] | add)
        == ([$s.outcomes[]] | add) - $s.outcomes.invalid'
    shows "$1: the slowest" '($f.tables.slowest[0][0] - $f.tables.latency[0][7] | fabs) < 0.01'
}
sum_up() {
    try --summarize --summary json --summary-file "$dir/summary" --report "$page" "$@"
}

# --- saved records ------------------------------------------------------------------------------

ask records 1 100000 60 >"$dir/records"
sum_up "$dir/records"
check '100,000 records: exit 0' ended 0
silent '100,000 records: nothing said'
agree '100,000 records'
shows 'all latencies are in the map' '$f.sums.latencies == ([$s.status[]] | add)
    + $s.errors["timeout/first_byte"]'
shows 'ten of the slowest, sorted' '[$f.tables.slowest[][0]] | length == 10
    and . == (sort | reverse)'
shows 'an example of everything' '[$f.tables.statuses[], $f.tables.errors[]]
    | all(.[0] == "none" or (.[3] | test("^[0-9]+ [a-z0-9.-]+example")))'
shows 'what waits cost' '[$f.captions[] | select(test("free place|had enough"))] | length == 2
    and all(test("(ms|s) a request, [0-9.]+ % of all waiting"))'
shows 'how many succeeded' '$f.verdict
    | test("^Summed up from saved records. 1,[0-9]{3} of 100,000 did not succeed.$")'
shows 'what records do not say' \
    '$f.gaps | length == 1 and (.[0] | test("gate of a host"))'
valid '100,000 records' "$page"
cp "$page" "$dir/sorted.html"
jq .pictures "$dir/figures" >"$dir/pictures"

# In which order they come makes no difference to what is over time.
awk 'BEGIN { srand(2) } { print rand() "\t" $0 }' "$dir/records" | sort | cut -f 2- >"$dir/mixed"
split -n l/3 "$dir/mixed" "$dir/part."
sum_up "$dir/part.ac" "$dir/part.aa" "$dir/part.ab"
agree 'three files, mixed'
first_pictures() {
    jq -c ".[:4] | map(gsub(\"\\\\n\"; \"\"))" "$1"
}
check 'three files, mixed: the same pictures' [ "$(first_pictures "$dir/pictures")" = \
    "$(jq .pictures "$dir/figures" | first_pictures /dev/stdin)" ]

ask records 2 30000 86400 worst >"$dir/worst"
sum_up "$dir/worst"
check 'the worst: exit 0' ended 0
shows 'the worst: many statuses are one row' '[$f.tables.statuses[] | select(.[0] | tostring
    | test("others"))] | length == 1 and .[0][1] > 1000'
shows 'the worst: many hosts, too' '($f.tables.hosts[-1][0] == "others")
    and ([$f.tables.hosts[][1]] | add) == 30000'
shows 'the worst: over time, none is lost' \
    '$f.sums["cut off"] == $f.tiles["cut off"] and $f.sums.ok == $f.tiles.ok'
valid 'the worst' "$page"

# A run of any length: from a tenth of a second to years.
for seconds in 0.1 3 9e4 1e9; do
    ask records 3 2000 $seconds >"$dir/length"
    sum_up "$dir/length"
    shows "$seconds s: none is lost" '$f.sums.ok == $f.tiles.ok and $f.sums.ok > 1900'
    check "$seconds s: closed" ask check "$page"
done

# What others have written may be anything.
good='"outcome":"success","status":200,"attempts":1,"t":1795176142,"ms":{"total":5,"all":5}'
bad=$(printf '\001\033[31m\177\302\205\377\300\200\355\240\200\342\200\256')
{
    echo "{$good,\"url\":\"http://<script>alert(1)</script>/\\\"><img src=x onerror=alert(1)>\"}"
    echo "{$good,\"url\":\"http://$bad/'\\\"&amp;</pre></td>\"}"
    echo "{$good,\"url\":\"http://h/\\u0000\\u001b\\u202e\\ud800\\u003cscript\\u003e\"}"
    printf '%s' '{"index":1e400,"outcome":"hard_fail","status":-1e99,"attempts":1e99,"t":1e300,'
    printf '%s' '"url":"","ms":{"total":-1e300,"all":1e300,"gate":1e300},"bytes":{"in":1e300},'
    echo '"retried":{"x":-5}}'
    echo '{"index":4,"outcome":"timeout_exhausted","error":{"kind":"<b>","phase":"<i>"},"t":-5}'
    echo '{"index":5,"outcome":"success","url":"javascript:alert(1)","t":1,"ms":{"total":1e-9}}'
    echo '{"index":6,"outcome":"invalid","line":"<script>"}'
    echo '{"index":7,"outcome":"<script>"}'
} >"$dir/hostile <script>\"'&"
sum_up "$dir/hostile <script>\"'&"
check 'hostile records: exit 0' ended 0
valid 'hostile records' "$page"
check 'hostile records: nothing of it is markup' sh -c "! grep -qE '<(script|img|b>a|i>)' '$page'"
shows 'hostile records: they are there as text' '[$f.tables.slowest[][3]]
    | any(tostring | test("<script>"))'
shows 'hostile records: and the name of their file' '$f.command | test("hostile <script>\"")'

# Records that were cut down to some fields, or of which some were left out.
given '%s/items/1\n%s/status/404\n%s/items/3\n' "$base" "$base" "$base"
try --fields index,outcome,status,url -o "$dir/few"
sum_up "$dir/few"
shows '--fields: what is not there is said' '$f.gaps | length == 2 and any(test("^3 have no time"))'
shows '--fields: the rest is' '$f.tiles.ok == 2 and $f.tiles.failed == 1 and ($f.sections
    | index("Requests per second")) == null'
try --fields index,outcome,status,attempts,url,t,ms.total,ms.all,error.kind -o "$dir/few"
sum_up "$dir/few"
agree '--fields ms.total'
try --only failed -o "$dir/few"
sum_up "$dir/few"
shows '--only: lines without a record' \
    '$f.gaps | any(test("^1 of the lines up to the last one have no record"))'
sum_up "$dir/in"
shows 'no records: a page, too' '$f.title == "0 requests" and ($f.pictures | length) == 0'
valid 'no records' "$page"

# --- a run --------------------------------------------------------------------------------------

forget
seq 1 12 | sed "s|.*|$base/throttle/8/1/5?&|" >"$dir/in"
printf '%s\n' "$base/status/404" 'http://127.0.0.1:1/x' "$base/hang" 'no request' >>"$dir/in"
live() {
    try --summary json --summary-file "$dir/summary" --report "$page" "$@"
}
live -c 20 -R 3 -t 0.3 --backoff 0 --timeout-retries 1 -o "$dir/records"
check 'a run: exit 1' ended 1
agree 'a run'
valid 'a run' "$page"
shows 'a run: how it ended' \
    '$f.verdict | test("^The run came to its end. [0-9]+ of 16 did not succeed. Exit status 1.$")'
shows 'a run: its gate' \
    '[$f.captions[] | select(test("^gate closed: [0-9,]+ times")) ] | length == 1'
shows 'a run: a mark for each' '[$f.pictures[] | select(test("gates of hosts"))
    | [scan("M[0-9]+.5 0v1000")] | length] | .[0] >= 1'
shows 'a run: what it is made of' '$f.sections[-1] == "Made by" and ($f.command
    | test("^sparp --summary json --summary-file .* -c 20 -R 3 -t 0.3 --backoff 0 "))'
shows 'a run: nothing is not known' '$f.gaps == []'
# The page of its records is the same, but for what only the run can know.
cp "$dir/summary" "$dir/live"
jq '{tables, sums, tiles: (.tiles | del(.connections))}' "$dir/figures" >"$dir/live.figures"
sum_up "$dir/records"
ask figures "$page" | jq '{tables, sums, tiles}' >"$dir/saved.figures"
check 'of a run and of its records: the same figures' cmp "$dir/live.figures" "$dir/saved.figures"
live -c 20 -R 1 -t 0.3 --no-gate --order input
shows '--no-gate: none closes' '[$f.captions[] | select(test("^gate"))] == []'
shows '--order input: what that means here' '$f.gaps | any(test("--order input"))'

# Whatever the end is.
seq 1 2000 | sed "s|.*|$base/delay/5?&|" >"$dir/in"
echo old >"$page"
ended=$("$dir/signal" "$dir/out" lines=20 INT -- "$SPARP" -c 4 --report "$page" --summary json \
    --summary-file "$dir/summary" <"$dir/in" 2>"$dir/err")
check 'Ctrl-C: dies of it' [ "${ended% *}" = 'signal 2' ]
shows 'Ctrl-C: a page' '$f.verdict
    | test("^The run was stopped by a signal, such as Ctrl-C.* Exit status 130. ")'
shows 'Ctrl-C: lines were not read' '$f.verdict | test("[0-9] lines were not read")'
agree 'Ctrl-C'
ended=$("$dir/signal" "$dir/out" lines=20 KILL -- "$SPARP" -c 4 --report "$page" <"$dir/in" \
    2>"$dir/err")
shows 'killed: the page of before is whole' '$f.verdict | test("Exit status 130.")'
check 'killed: the next one is begun beside it' [ -e "$page.part" ]
seq 1 300 | sed "s|.*|$base/status/404?&|" >"$dir/in"
live --max-fail 10
shows '--max-fail' '$f.verdict | test("^The run was stopped by --max-fail. .* Exit status 3.")'
check 'the part is gone' [ ! -e "$page.part" ]
agree '--max-fail'
given '%s/hang\n' "$base"
live --deadline 0.3
shows '--deadline' '$f.verdict
    | test("^The run was stopped by its --deadline. 1 of 1 did .* Exit status 4")'
given ''
live
shows 'no input: a page, too' '$f.title == "0 requests"'
valid 'no input' "$page"

# --- no secret ----------------------------------------------------------------------------------

echo 's3cr3t' >"$dir/token"
echo 'X-C: s3cr3t' >"$dir/headers"
given 'http://s3cr3t:s3cr3t@%s/echo?token=s3cr3t#s3cr3t\n' "${base#http://}"
S3=s3cr3t
export S3
hides() {
    what=$1
    shift
    live --no-fail "$@"
    check "$what: exit 0" ended 0
    check "$what: no secret" sh -c "! grep -ai -e s3cr3t -e czNjcjN0 '$page'"
}
hides 'credentials' -u me:s3cr3t -b a=s3cr3t -H 'X-A: s3cr3t' -H @"$dir/headers" --sensitive X-A \
    --url-query 'k=s3cr3t' -d s3cr3t
shows 'credentials: the flags are there' "\$f.command | test(\"-u '\\\\*{3}' -b '\\\\*{3}' $(:
    )-H 'X-A: \\\\*{3}' -H @.*/headers --sensitive X-A --url-query 'k=\\\\*{3}' -d '\\\\*{3}'\$\")"
hides 'tokens' --bearer '$S3' --json '{"a":"s3cr3t"}' -x "http://s3cr3t:s3cr3t@${base#http://}" \
    "http://s3cr3t@${base#http://}/echo?s3cr3t&a=s3cr3t"
hides 'a form' -F 'a=s3cr3t' -F "f=@$dir/token" --bearer @"$dir/token"
shows 'a form: files are named' '$f.command | test("-F .?f=@.*/token")'
given 's3cr3t\n'
hides 'a template' -T "http://s3cr3t:x@${base#http://}/echo?q={}&key=s3cr3t" \
    --base-url 'http://s3cr3t@h/?s3cr3t'
shows 'a template: its word is there' '$f.command | test("echo\\?q=\\{\\}&key=\\*{3}")'

# --- files --------------------------------------------------------------------------------------

given '%s/items/1\n' "$base"
refused 'no such folder' 'cannot create .*/none/x.html.part: No such file' \
    --report "$dir/none/x.html"
refused 'a folder' 'cannot create .*: Is a directory' --report "$dir"
refused 'the input' 'in is input and output' --report "$dir/in" "$dir/in"
cp "$dir/in" "$dir/x.part"
refused 'an input, behind it' 'x.part is input and output' --report "$dir/x" "$dir/x.part"
check 'an input, behind it: stays' cmp "$dir/in" "$dir/x.part"
refused 'the records' 'would be two outputs in one' --report "$dir/x.html" -o "$dir/x.html"
refused 'the summary' 'would be two outputs in one' --report "$dir/x.html" \
    --summary-file "$dir/x.html.part"
refused 'the journal' 'is input and output' --report "$dir/j" -j "$dir/j" -o "$dir/x"
refused '--dry-run' '--report does not go with --dry-run' -n --report "$page"
try --merge "$dir/few" --report "$page"
check '--merge: exit 2' ended 2
try --report "$page"
said 'the summary names it' '^output +.*page.html$'
try --report /dev/full
check 'a full disk: exit 5' ended 5
said 'a full disk: says so' 'cannot write /dev/full: No space'
mkfifo "$dir/pipe"
cat "$dir/pipe" >"$page" &
live --report "$dir/pipe"
wait $!
shows 'a pipe' '$f.tiles.ok == 1'

# --- large --------------------------------------------------------------------------------------

# 40 KB while it runs (which the compiler knows), and the page when it is made.
seq 1 100000 | sed "s|.*|$base/items/&|" >"$dir/in"
for report in no yes; do
    set -- --limit 20000
    [ $report = no ] || set -- --report "$page"
    status=0
    "$PEAK" "$dir/peak.$report" "$SPARP_PLAIN" -q -c 100 --summary json \
        --summary-file "$dir/summary" "$@" "$dir/in" >/dev/null 2>"$dir/err" || status=$?
done
check '100,000 requests: exit 0' ended 0
shows '100,000 requests: how it ended' \
    '$f.verdict == "The run came to its end. Every request succeeded. Exit status 0."'
agree '100,000 requests'
valid '100,000 requests' "$page"
grown=$(($(cat "$dir/peak.yes") - $(cat "$dir/peak.no")))
check "100,000 requests: $grown KB more at the most" [ $grown -le 700 ]

# --- to look at ---------------------------------------------------------------------------------

# browse WIDTH light|dark FLAG FILE
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
browse() {
    timeout -k 5 60 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars \
        --user-data-dir="$dir/profile" --window-size="$1,1400" \
        --blink-settings=preferredColorScheme="$([ "$2" = dark ] && echo 0 || echo 1)" \
        "$3" "file://$4" 2>"$dir/log"
}

# What the page finds out about itself, at 400 and at 1,200 px.
probe() {
    ask probe "$dir/sorted.html" 400 1200 >"$dir/probe.html"
    browse 1300 "$1" --dump-dom "$dir/probe.html" | sed -n 's|.*<title>\(.*\)</title>.*|\1|p' |
        head -n 1 | tr ';' '\n' >"$dir/dom"
}
fits() {
    grep -q "^wide $1 of $1 paper $2 out \$" "$dir/dom" || { cat "$dir/dom"; return 1; }
}
if [ -z "$browser" ]; then
    skip 'no chromium'
    finish
fi
for scheme in light dark; do
    probe $scheme
    paper='rgb(255, 255, 255)'
    [ $scheme = light ] || paper='rgb(13, 17, 23)'
    for width in 400 1200; do
        photo=$dir/$width-$scheme.png
        browse $width $scheme --screenshot="$photo" "$dir/sorted.html"
        check "$width px, $scheme: something is seen" ask picture "$photo" $width 1400
        check "$width px, $scheme: it fits, and has its colours" fits $width "$paper"
    done
done
check 'light and dark differ' sh -c "! cmp -s '$dir/400-light.png' '$dir/400-dark.png'"
finish

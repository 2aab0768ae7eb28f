#!/bin/sh
# What people see: the summary, whose numbers are those of the records, and the progress bar.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base

# --- summary ------------------------------------------------------------------------------------

{
    seq 1 80 | sed "s|.*|$base/delay/&|"
    seq 1 7 | sed "s|.*|$base/status/404|"
    seq 1 5 | sed "s|.*|$base/status/503|"
    seq 1 3 | sed "s|.*|$base/flaky/&/1|"
    echo "$base/redirect/302/2"
    seq 1 2 | sed "s|.*|$base/hang|"
    seq 1 2 | sed "s|.*|$base/eof|"
    echo 'http://127.0.0.1:1/'
    echo '{"bad"'
    echo "{\"url\":\"$base/items/1\",\"method\":\"A B\"}"
    seq 1 4 | sed "s|.*|$base/bytes/3000|"
} >"$dir/in"
total=$(wc -l <"$dir/in")
try --summary json --summary-file "$dir/summary" -R 1 --backoff 1ms -t 400ms -c 20
check 'exit 1' ended 1
check 'one record each' records_are "length == $total"
cp "$dir/out" "$dir/records"
jq -s 'def count(f): map(f) | group_by(.) | map({key: (.[0] | tostring), value: length})
        | from_entries;
    {
        requests: map(select(.outcome != "invalid")) | length,
        retries: map(if .attempts > 1 then .attempts - 1 else 0 end) | add,
        outcomes: count(.outcome),
        status: map(select(.status)) | count(.status),
        errors: map(select(.error and .outcome != "invalid"))
            | count(.error | if .phase then "\(.kind)/\(.phase)" else .kind end),
        bytes: {out: (map(.bytes.out // 0) | add), in: (map(.bytes.in // 0) | add)},
        retried: map(.retried // {} | to_entries) | add | group_by(.key)
            | map({key: .[0].key, value: map(.value) | add}) | from_entries,
        redirects: map(.redirects // 0) | add,
        reused: map(select(.reused)) | length,
        waited_ms: (map(.ms) | ["slot", "rate", "origin", "gate", "backoff"] as $why
            | [$why[] as $w | {key: $w, value: (map(.[$w] // 0) | add * 1000 | round)}]
            | from_entries),
        latency: map(select(.status or .error.kind == "timeout") | .ms.total) | sort,
        overall: map(select(.status or .error.kind == "timeout") | .ms.all) | sort
    }' "$dir/records" >"$dir/counted"
# agrees KEY: the summary and the records
agrees() {
    jq -c ".waited_ms[] |= (. * 1000 | round) | $1" "$dir/summary" >"$dir/a"
    jq -c "$1" "$dir/counted" >"$dir/b"
    cmp -s "$dir/a" "$dir/b" || { cat "$dir/a" "$dir/b"; return 1; }
}
within() {
    jq -e -n --slurpfile s "$dir/summary" --slurpfile c "$dir/counted" \
        '$s[0].'"$1"'_ms as $l | $c[0].'"$1"' as $all | ($all | length) as $n
            | def near($x; $part): $all[($n * $part | ceil) - 1] as $y
                | $x >= $y * 0.995 - 0.002 and $x <= $y * 1.005 + 0.002;
            ($l.min - $all[0] | fabs) < 0.002 and ($l.max - $all[-1] | fabs) < 0.002
            and (($all | add) / $n - $l.mean | fabs) < 0.01
            and near($l.p50; 0.5) and near($l.p90; 0.9) and near($l.p95; 0.95)
            and near($l.p99; 0.99)' >"$dir/a" && return
    jq -c ".$1_ms" "$dir/summary"
    jq -c ".$1" "$dir/counted"
    return 1
}
numbers_agree() {
    for key in requests retries retried redirects reused waited_ms status errors bytes; do
        check "$1: $key" agrees ".$key | if type == \"object\" then to_entries | sort else . end"
    done
    check "$1: outcomes" agrees '.outcomes | to_entries | map(select(.value > 0)) | sort'
    check "$1: latencies, within 0.5 %" within latency
    check "$1: with all tries and pauses, within 0.5 %" within overall
}
numbers_agree 'summary and records'
cp "$dir/summary" "$dir/live"
check 'it took as long as it says' holds "$dir/summary" '.seconds > 0.3 and .seconds < 20'

try --summarize --summary json --summary-file "$dir/summary" "$dir/records"
check '--summarize: exit 0' ended 0
numbers_agree '--summarize'
saved_has='del(.connections, .left, .done_before, .failed_before, .not_read, .all_read,
    .stopped, .exit_code)'
# 18: every figure of it, but for those that only the run itself can know.
check '18: the summary and --summarize say the same' [ "$(jq -c . "$dir/summary")" = \
    "$(jq -c "$saved_has" "$dir/live")" ]
check '23: what only the run itself can know' holds "$dir/live" \
    '.connections > 0 and .not_read == 0 and .all_read and .stopped == null and .exit_code == 1'
head -n 50 "$dir/records" >"$dir/part1"
tail -n +51 "$dir/records" >"$dir/part2"
try --summarize --summary json --summary-file "$dir/summary" "$dir/part1" "$dir/part2"
numbers_agree '--summarize of two files'
{
    head -n 10 "$dir/records"
    tail -n 1 "$dir/records" | head -c 100
} >"$dir/torn"
try --summarize "$dir/torn"
check '--summarize of a torn file: exit 0' ended 0
said 'and says what it left out' '1 line skipped'
try --summarize "$dir/nowhere"
check '--summarize of no file: exit 2' ended 2

cp "$dir/in" "$dir/all"
grep -v hang "$dir/all" >"$dir/in"
try -R 0 -o "$dir/records" --rejects "$dir/rejects"
counts() { jq -r "select($1) | 1" "$dir/records" | wc -l; }
said 'text: finished' \
    "^requests +$(counts '.outcome != "invalid"') finished in [0-9.]+ s +[0-9.]+/s"
said 'text: what came of them' "^ +$(counts '.outcome == "success"') ok +$(
    counts '.outcome == "hard_fail" or .outcome == "local_failed"') failed +$(
    counts '.outcome == "soft_exhausted" or .outcome == "transport_failed"'
    ) out of retries +1 invalid"
said 'text: statuses' \
    "^status +200 $(counts '.status == 200') +404 7 +503 $(counts '.status == 503')"
said 'text: errors' '^errors .*refused 1'
said 'text: with an example' ' first: index [0-9]+ http'
said 'text: traffic' '^traffic .* in .* out .*[0-9]+ connections? +[0-9.]+ % reused'
for row in 'last try' overall; do
    said "text: latencies, $row" "^$row +min .* mean .* p50 .* p90 .* p95 "
done
check 'text: no row is wider than 80' sh -c "! grep -v 'file\|line' '$dir/err' | grep -q '.\{81\}'"
said 'text: files' "^output .*records \($(wc -l <"$dir/records") lines\)"
said 'text: and those' "rejects \($(wc -l <"$dir/rejects") lines\)"
said 'text: bad lines, with an example' 'in:[0-9]+:[0-9]+: .*\(1 bad line|stdin:[0-9]+:[0-9]+: '

given '%s/items/1\n' "$base"
try --summary none
silent '--summary none'
try -q
silent '-q'
try --summary json --summary-file "$dir/summary"
silent '--summary-file: nothing on stderr'
check '--summary-file' holds "$dir/summary" '.requests == 1'

# 18: a server that takes ten in two seconds. Each 429 of it is in the summary, and each try.
forget
seq 1 40 | sed "s|.*|$base/throttle/10/1/5|" >"$dir/in"
try -c 20 --summary json --summary-file "$dir/summary"
sent=$(arrived)
check "18: all $sent tries are in the records" records_are "map(.attempts) | add == $sent"
check '18: and in the summary' holds "$dir/summary" \
    ".requests == 40 and .retries == $sent - 40 and .retried == {\"429\": $((sent - 40))}"
check '18: there were some' [ "$sent" -gt 40 ]
cp "$dir/out" "$dir/records"
cp "$dir/summary" "$dir/live"
try --summarize --summary json --summary-file "$dir/summary" "$dir/records"
check '18: --summarize says the same' [ "$(jq -c . "$dir/summary")" = \
    "$(jq -c "$saved_has" "$dir/live")" ]

# --- histogram ----------------------------------------------------------------------------------

seq 1 150 | sed "s|.*|$base/delay/&|" >"$dir/in"
try -v -c 50
grep -E '^ +<= ' "$dir/err" >"$dir/rows"
check 'histogram: has rows' [ "$(wc -l <"$dir/rows")" -ge 4 ]
check 'histogram: of all requests' [ "$(awk '{ n += $3 } END { print n }' "$dir/rows")" -eq 150 ]
per_mille=$(awk '{ p += $4 * 10 } END { print int(p + 0.5) }' "$dir/rows")
check 'histogram: 100 %, but for rounding' [ "$per_mille" -ge 990 -a "$per_mille" -le 1010 ]
check 'histogram: has bars' grep -q '█' "$dir/rows"
check 'histogram: no row is wider than 80' [ "$(wc -L <"$dir/rows")" -le 80 ]
LC_ALL=C
try -v -c 50
LC_ALL=C.UTF-8
check 'histogram: ASCII where the locale is' sh -c "grep -qE '^ +<= .*##' '$dir/err' &&
    ! LC_ALL=C grep -q '[^ -~]' '$dir/err'"
try -c 50
check 'histogram: not without -v' sh -c "! grep -q '<= ' '$dir/err'"
cp "$dir/out" "$dir/saved"
try --summarize "$dir/saved"
check 'histogram: nor when summing up' sh -c "! grep -q '<= ' '$dir/err'"
try --summarize -v "$dir/saved"
said 'histogram: but then with -v' '^ +<= '
head -n 100 "$dir/in" >"$dir/hundred" && mv "$dir/hundred" "$dir/in"
try -v -c 50
check 'histogram: not of a hundred' sh -c "! grep -q '<= ' '$dir/err'"

# --- progress without a terminal ----------------------------------------------------------------

no_bar() {
    ! grep -q "$(printf '\r\|\033')" "$dir/err"
}
seq 1 40 | sed "s|.*|$base/delay/20|" >"$dir/in"
try -c 1
check 'no bar without a terminal' no_bar
FORCE_COLOR=1
export FORCE_COLOR
try -c 1
check 'nor with FORCE_COLOR' no_bar
unset FORCE_COLOR
try --progress none -v -c 10
check 'nor with --progress none' no_bar
"${CC:-cc}" -O2 -o "$dir/signal" tests/e2e/signal.c || exit 1
for mode in line json; do
    "$dir/signal" "$dir/out" lines=10 USR1 -- "$SPARP" --summary none --progress $mode -c 1 \
        <"$dir/in" 2>"$dir/err" >/dev/null
    check "--progress $mode: one line when asked" [ "$(wc -l <"$dir/err")" -eq 1 ]
done
check '--progress json: as an object' holds "$dir/err" \
    '.done >= 10 and .done <= 40 and .total == 40 and .ok == .done and .fail == 0 and .retry == 0
        and .rate > 1 and .live == 1 and .eta >= 0 and .estimated == false
        and .elapsed >= 0 and .bytes > 0 and .wait == null'

# --- the bar ------------------------------------------------------------------------------------

if ! script -qec true /dev/null >/dev/null 2>&1; then
    skip 'no script(1) for a terminal'
    finish
fi
TERM=xterm
export TERM
unset COLUMNS NO_COLOR CLICOLOR_FORCE

# terminal NAME COLUMNS COMMAND: $dir/NAME.tty is all that came to the screen
terminal() {
    timeout -k 2 "$limit" script -qefc "stty cols $2 rows 24; $3" "$dir/$1.tty" \
        </dev/null >/dev/null
}
# The frames of the bar, each a line.
frames() {
    tr '\r' '\n' <"$dir/$1.tty" | sed 's/\x1b\[[0-9;]*[mK]//g' | grep -E '^~? *[0-9-]+%'
}
number='[0-9]+'
frame="^ *$number%( [█░]{10,30})?  $number/40(  ok $number)?(  fail $number)?(  retry $number)?"
frame="$frame(  [0-9.]+/s)?(  live $number)?(  in [0-9:]+)?(  eta [0-9:-]+)?\$"
for columns in 120 80 60 40 20 8; do
    terminal "bar$columns" $columns "'$SPARP' -c 1 -o '$dir/bar$columns.out' '$dir/in'" &
done
wait_for_bars() {
    for columns in 120 80 60 40 20 8; do
        [ -e "$dir/bar$columns.out" ] || return 1
        [ "$(wc -l <"$dir/bar$columns.out")" -eq 40 ] || return 1
    done
}
check 'six bars at once' until_true wait_for_bars
beyond='^~? *(10[1-9]|1[1-9][0-9]|[2-9][0-9][0-9]|[0-9]{4,})%'
for columns in 120 80 60 40 20; do
    ended_well() { grep -q 'requests  *40' "$dir/bar$columns.tty"; }
    check "$columns: the summary comes after it" until_true ended_well
    frames "bar$columns" >"$dir/frames"
    check "$columns: drawn, at most 5 times a second" \
        sh -c "n=\$(wc -l <'$dir/frames'); [ \$n -ge 2 ] && [ \$n -le 40 ]"
    check "$columns: never wraps" [ "$(wc -L <"$dir/frames")" -lt $columns ]
    check "$columns: only these fields" [ "$(grep -cvE "$frame" "$dir/frames")" -eq 0 ]
    check "$columns: never beyond 100 %" sh -c "! grep -qE '$beyond' '$dir/frames'"
    # shellcheck disable=SC1003
    check "$columns: is wiped away" sh -c \
        "tr -d '\n' <'$dir/bar$columns.tty' | grep -q \"\$(printf '\r\033')\\[K *requests\""
done
check '8: nothing wraps either' [ "$(frames bar8 | wc -L)" -lt 8 ]
frames bar120 >"$dir/frames"
check '120: has everything' grep -qE '% [█░]{30}  .*ok .*fail .*retry .*/s  live 1  in .*  eta ' \
    "$dir/frames"
frames bar80 >"$dir/frames"
check '21: 80: a graph, and the rest' \
    grep -qE '% [█░]{10,30}  .*ok .*fail .*retry .*/s  live 1  .*eta ' "$dir/frames"
frames bar20 >"$dir/frames"
check '20: percent and count' grep -qE "^ *$number%  $number/40" "$dir/frames"

sed "s|.*|$base/status/404|" "$dir/in" >"$dir/failing"
sed 's|$|?|' "$dir/in" | head -n 20 >>"$dir/failing"
red=$(printf '\033')'\[31m  fail [0-9]*'$(printf '\033')'\[m'

# other NAME COLUMNS BEFORE FLAGS...: another terminal at the same time; BEFORE stands in front of
# the command
terminals=''
other() {
    name=$1 columns=$2 before=$3
    shift 3
    terminal "$name" "$columns" "$before '$SPARP' -c 1 $*" &
    terminals="$terminals $!"
}
slowly="{ cat '$dir/in'; sleep 1; } |"
other red 120 '' -o "$dir/1" "$dir/failing"
other no_color 120 'NO_COLOR=1' -o "$dir/2" "$dir/failing"
other always 120 'NO_COLOR=1' --color always -o "$dir/3" "$dir/failing"
other never 120 '' --color never -o "$dir/4" "$dir/failing"
other dumb 80 'TERM=dumb' -o "$dir/5" "$dir/in"
other same 80 '' "$dir/in"
other quiet 80 '' -q -o "$dir/6" "$dir/in"
other piped 80 '' "'$dir/in' | cat"
other ascii 120 'LC_ALL=C' -o "$dir/7" "$dir/in"
other narrow 120 'COLUMNS=50' -o "$dir/8" "$dir/in"
other unknown 120 "$slowly" -o "$dir/9"
other estimate 120 "$slowly" -o "$dir/10" --total 80
other too_low 120 "$slowly" -o "$dir/11" --total 5
# Until a bar has been drawn: after 20 of 40 records.
halfway() {
    echo "until [ -e $1 ] && [ \$(wc -l <$1) -ge 20 ]; do sleep 0.02; done"
}
other log 80 '' -v -o "$dir/12" "$dir/in" \
    "& sparp=\$!; $(halfway "$dir/12"); kill -USR1 \$sparp; wait \$sparp"
other resized 120 '' -o "$dir/13" "$dir/in" \
    "& sparp=\$!; $(halfway "$dir/13"); stty cols 40; echo; echo RESIZED; wait \$sparp"
for one in $terminals; do
    wait "$one"
done

check 'fail is red' grep -q "$red" "$dir/red.tty"
check 'NO_COLOR: it is not' sh -c "! grep -qF '[31m' '$dir/no_color.tty'"
check 'NO_COLOR, --color always: it is' grep -q "$red" "$dir/always.tty"
check '--color never: it is not' sh -c "! grep -qF '[31m' '$dir/never.tty'"
has_no_bar() { ! grep -qE '[0-9]%|'"$(printf '\033')" "$dir/$1.tty"; }
check 'TERM=dumb: no bar' has_no_bar dumb
check 'records on the same terminal: no bar' has_no_bar same
check '21: records through a pipe, which may end there: no bar' has_no_bar piped
check '-q: no bar' has_no_bar quiet
check '-q: nothing at all' sh -c "! grep -q requests '$dir/quiet.tty'"
check 'LC_ALL=C: # and .' grep -qE '% #*[.]+  [0-9]' "$dir/ascii.tty"
check 'COLUMNS=50' [ "$(frames narrow | wc -L)" -lt 50 ]
frames unknown >"$dir/frames"
check 'a pipe: no total' grep -qE \
    '^ *-%  [0-9]+  ok [0-9]+  fail 0  retry 0  [0-9.]+/s  live [0-9]+(  in [0-9:]+)?  eta -:--' \
    "$dir/frames"
frames estimate >"$dir/frames"
check 'a pipe with --total: an estimate' grep -qE '^~ *[0-9]+%.*  [0-9]+/~80  ok ' "$dir/frames"
frames too_low >"$dir/frames"
check '--total too low: never beyond 100 %' sh -c \
    "grep -q . '$dir/frames' && ! grep -qE '$beyond' '$dir/frames'"
check 'a line in between clears the bar first' sh -c \
    "tr -d '\n' <'$dir/log.tty' | grep -qE \"\$(printf '\r\033')\\[K[0-9]{4}-.*T.*Z sparp \""

# 21: when nothing is in flight it says what it waits for, and until when.
{
    echo "$base/items/1"
    echo "$base/retry-after/bar/2"
} >"$dir/in2"
terminal waits 80 "'$SPARP' -o '$dir/15' '$dir/in2'"
frames waits >"$dir/frames"
check '21: the bar says what it waits for' grep -qE '50% .* 1/2 .*/s  429: [1-3] s ' "$dir/frames"
echo "$base/flaky/bar/1" >"$dir/in2"
terminal pauses 80 "'$SPARP' -o '$dir/16' --backoff 1500ms '$dir/in2'"
frames pauses >"$dir/frames"
check '21: a pause before a retry, too' grep -qE '0% .* 0/1 .*  retry in [1-3] s ' "$dir/frames"

# What holds all of it without a word from a server, and with one.
printf '%s/items/1\n%s/items/2\n' "$base" "$base" >"$dir/in2"
terminal rate 80 "'$SPARP' -r 1/3s -o '$dir/17' '$dir/in2'"
frames rate >"$dir/frames"
check 'the bar names the limit' grep -qE '50% .* 1/2 .*/s  waits: rate ' "$dir/frames"
printf '%s/left/60/0/3\n%s/items/2\n' "$base" "$base" >"$dir/in2"
terminal quota 80 "'$SPARP' -c 1 -o '$dir/18' '$dir/in2'"
frames quota >"$dir/frames"
check 'the bar names a quota, and its end' grep -qE '50% .* 1/2 .*/s  quota: [1-3] s ' "$dir/frames"

# After the terminal has become narrower, no frame is too wide for it.
check 'resized: wide before' [ "$(frames resized | head -n 1 | wc -L)" -gt 60 ]
sed '1,/^RESIZED/d' "$dir/resized.tty" >"$dir/after.tty"
check 'resized: narrow after' [ "$(frames after | wc -L)" -lt 40 ]
check 'resized: still drawn' [ "$(frames after | wc -l)" -ge 1 ]

# --- in a real terminal ---------------------------------------------------------------------------

if command -v tmux >/dev/null; then
    tmux() {
        command tmux -L "sparp-e2e-$$" -f /dev/null "$@"
    }
    sed 's|/delay/20|/delay/60|' "$dir/in" >"$dir/slow"
    tmux new-session -d -x 41 -y 12 \
        "'$SPARP' -c 1 -o '$dir/tmux.out' '$dir/slow'; echo; echo the end; sleep 20"
    half() { [ -e "$dir/tmux.out" ] && [ "$(wc -l <"$dir/tmux.out")" -ge 15 ]; }
    check 'tmux: under way' until_true half
    tmux capture-pane -p >"$dir/pane"
    check 'tmux: one bar, on one line' [ "$(grep -cE '[0-9]+%|/40|fail' "$dir/pane")" -eq 1 ]
    over() { tmux capture-pane -p -S -50 >"$dir/pane" && grep -q 'the end' "$dir/pane"; }
    check 'tmux: comes to its end' until_true over
    check 'tmux: no bar is left' [ "$(grep -cE '[0-9]%  [0-9]+/40' "$dir/pane")" -eq 0 ]
    tmux kill-server
else
    skip 'no tmux'
fi
finish

#!/bin/sh
# -j: the same command goes on where it was, whatever ended it. It is killed JOURNAL_KILLS times.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base
results=$dir/results.jsonl journal=$dir/run.journal

# One record for each line of $dir/all, and it is whole.
complete() {
    [ "$(jq -s "(map(.index) | sort) == [range($1)] and all(.outcome == \"success\")" \
        "$results" 2>&1)" = true ] && return
    jq -s 'length, (map(.index) | unique | length)' "$results"
    return 1
}

seq 1 3000 | sed "s|.*|$base/delay/5?&|" >"$dir/all"
kills=${JOURNAL_KILLS:-12} killed=0
for n in $(seq 1 "$kills"); do
    "$SPARP_PLAIN" -q -c 6 -w $((n % 2 + 1)) -j "$journal" -o "$results" "$dir/all" \
        >/dev/null 2>&1 &
    run=$!
    sleep "0.0$((n * 37 % 90 + 10))"
    kill -9 $run 2>/dev/null && killed=$((killed + 1))
    wait $run 2>/dev/null
done
check "kill -9: $killed of $kills were killed" [ $killed -gt 0 ]
noted=$(sed 1d "$journal" | grep -c ' success ')
forget
try -j "$journal" -o "$results" -c 50 "$dir/all"
check 'kill -9: comes to its end' ended 0
check 'kill -9: each line has one whole record' complete 3000
check 'kill -9: no success that was noted is sent again' [ "$(arrived)" -le $((3000 - noted + 1)) ]
forget
try -j "$journal" -o "$results" "$dir/all"
check 'once more: nothing is left' [ "$status" -eq 0 -a "$(arrived)" -eq 0 ]
said 'once more: says so' '3000 done before'
check 'once more: the records are as they were' complete 3000

# A line more at the top moves all of them; equal ones count.
{
    echo "$base/items/new"
    cat "$dir/all"
    head -n 2 "$dir/all"
} >"$dir/more"
forget
try -q -j "$journal" -o "$results" "$dir/more"
check 'a line above, two equal ones below: three are sent' [ "$(arrived)" -eq 3 ]

# Stopped by Ctrl-C: what was not begun has no record yet.
rm -f "$journal" "$results"
"${CC:-cc}" -O2 -o "$dir/signal" tests/e2e/signal.c || exit 1
"$dir/signal" "$dir/out" ms=150 INT INT -- "$SPARP" -c 20 -j "$journal" -o "$results" "$dir/all" \
    2>"$dir/err" >/dev/null
said 'Ctrl-C: how to go on' 'to go on, give the same command again'
try -q -c 50 -j "$journal" -o "$results" "$dir/all"
check 'Ctrl-C: and then each line has one record' complete 3000

# Failures are final, unless they are asked for.
printf '%s/flaky/j/1\n{"bad"\n%s/items/1\n' "$base" "$base" >"$dir/all"
rm -f "$journal" "$results"
try -q -R 0 -j "$journal" -o "$results" "$dir/all"
check 'a failure' ended 1
try -q -R 0 -j "$journal" -o "$results" "$dir/all"
check 'has its result' [ "$(wc -l <"$results")" -eq 3 ]
try -q -R 0 -j "$journal" --retry-failed -o "$results" "$dir/all"
check '--retry-failed: is sent again' [ "$(jq -sc 'map(.outcome) | sort' "$results")" = \
    '["invalid","soft_exhausted","success","success"]' ]
try -q -R 0 -j "$journal" --restart -o "$results" "$dir/all"
check '--restart: begins anew' [ "$(wc -l <"$results")" -eq 3 ]

# What failed in an earlier run is failed still.
rm -f "$journal" "$results"
printf '%s/flaky/again/1\n{"bad"\n%s/items/1\n' "$base" "$base" >"$dir/all"
try -q -R 0 -j "$journal" -o "$results" --rejects "$dir/rejects" "$dir/all"
try -R 0 -j "$journal" -o "$results" --rejects "$dir/rejects" "$dir/all"
check 'once more: exit 1 as before' ended 1
said 'once more: how many failed' '3 done before.* 2 of them failed'
head -n 2 "$dir/all" >"$dir/wanted"
check 'once more: the rejects are as they were' cmp "$dir/wanted" "$dir/rejects"
before=$(arrived)
try -q -R 0 -j "$journal" --retry-failed -o "$results" --rejects "$dir/rejects" "$dir/all"
check '--retry-failed: sends what failed' [ "$(arrived)" -eq $((before + 1)) ]
check '--retry-failed: what has succeeded is in no rejects' grep -qvx 'http.*' "$dir/rejects"
try -q -R 0 -j "$journal" -o "$results" --rejects "$dir/rejects" "$dir/all"
check '... then neither' [ "$(cat "$dir/rejects")" = '{"bad"' ]

# Of equal lines as many are done as have a result: one that failed and was sent again is one.
printf '%s/flaky/equal/2\n' "$base" >"$dir/one"
cat "$dir/one" "$dir/one" >"$dir/equal"
try -q -R 0 -j "$dir/equal.j" -o "$dir/equal.out" "$dir/equal"
try -q -R 0 -j "$dir/equal.j" --retry-failed -o "$dir/equal.out" "$dir/equal"
check 'two equal ones, sent again: exit 0' ended 0
cat "$dir/one" >>"$dir/equal"
forget
try -q -R 0 -j "$dir/equal.j" -o "$dir/equal.out" "$dir/equal"
check '... and a third one is sent' [ "$(arrived)" -eq 1 ]

# Equal names are numbered as in one run.
printf "$base/%s/40\n" bytes chunked items >"$dir/names"
for n in 1 2 3; do
    try -q -j "$dir/names.j" --body-dir "$dir/bodies" --body-name '{name}' --limit $n \
        -o "$dir/names.out" "$dir/names"
done
check 'equal names: those of earlier runs count' ended 0
check '... each has its own' [ -e "$dir/bodies/40" -a -e "$dir/bodies/40-2" -a \
    -e "$dir/bodies/40-3" ]
for n in 1 2 3; do
    try -q --resume "$dir/resumed" --body-dir "$dir/bodies2" --body-name '{name}' --limit $n \
        -o "$dir/resumed" "$dir/names"
done
check '... with --resume likewise' ended 0

# A request is what is sent: what the command line adds to it, too, but for credentials.
printf '%s/echo?1\n%s/echo?2\n' "$base" "$base" >"$dir/two"
rm -f "$dir/key"
# sends N FLAGS...: so many of the two
sends() {
    n=$1
    shift
    forget
    try -q -j "$dir/key" -o "$dir/keyed" "$@" "$dir/two"
    sent=$(arrived)
    [ "$status" -eq 0 ] && [ "$sent" -eq "$n" ] && return
    echo "    exit status $status, $sent sent"
    return 1
}
for flags in -dx -dy '--json {}' '--json [] -H A:1' '-d {}' '-X PUT' '-H A:1' '-H A:2' \
    '-H Accept:' '-A me' '-F a=b' '-F a=c' '-F b=c' "-F a=@$dir/two"; do
    # shellcheck disable=SC2086
    check "$flags: sent" sends 2 $flags
    # shellcheck disable=SC2086
    check "$flags: once more" sends 0 $flags
done
check 'a credential: not sent again' sends 0 -d x -u a:b
check '... another one' sends 0 -d x -H 'Authorization: Bearer c' -b d=e
check '... named by --sensitive' sends 0 -d x --sensitive X-Key -H 'X-Key: f'
check '... and one that is not' sends 2 -d x -H 'X-Key: f'
check 'a template' sends 2 -T '{raw}' -H 'X: {raw}' -H 'Authorization: g'
check '... with another credential' sends 0 -T '{raw}' -H 'X: {raw}' -H 'Authorization: h'
check '... with another value' sends 2 -T '{raw}' -H 'X: {raw}!' -H 'Authorization: h'
check '... with a credential of the row' sends 2 -T '{raw}' -H 'X: {raw}' -H 'Authorization: {raw}'

# What is torn is cut off.
rm -f "$journal" "$results"
try -q -R 0 -j "$journal" -o "$results" "$dir/all"
printf '99 0123456789ab' >>"$journal"
printf '{"torn' >>"$results"
try -q -j "$journal" -o "$results" "$dir/all"
check 'a torn line in both: they are whole again' \
    [ "$(wc -l <"$journal")" -eq 4 -a "$(wc -l <"$results")" -eq 3 ]

echo 'something else' >"$dir/other"
refused '-j of another file' 'a file of another kind' -j "$dir/other" -o "$results" "$dir/all"
refused '--restart with another file' 'a file of another kind' --restart -j "$dir/other" \
    -o "$results" "$dir/all"
check '... which stays' grep -q 'something else' "$dir/other"
printf 'sparp-journal 1\n0 0123456789abcdef success 9\n' >"$dir/other"
refused '-j of another version' 'another version, .*--restart' -j "$dir/other" -o "$results" \
    "$dir/all"
try -q --restart -j "$dir/other" -o "$dir/anew" "$dir/all"
check '... with --restart it begins anew' [ "$(wc -l <"$dir/anew")" -eq "$(wc -l <"$dir/all")" ]
refused '-j and stdout in a file' 'give the records their file by -o' -j "$dir/j" "$dir/all"
refused '-j and --resume' 'does not go with' -j "$dir/j" --resume "$results" \
    -o "$results" "$dir/all"
refused '--restart alone' 'journal' --restart "$dir/all"
: >"$results"
refused 'an output that is shorter' 'shorter than when it was left' -j "$journal" -o "$results" \
    "$dir/all"

# What other commands have written is not lost.
printf '%10000d\n' 0 >"$dir/precious"
cp "$dir/precious" "$results"
refused 'a new journal, an output that is not empty' 'run.new is new, but .*--restart empties it' \
    -j "$dir/run.new" -o "$results" "$dir/all"
refused '... once more' 'run.new is new, but' -j "$dir/run.new" -o "$results" "$dir/all"
check '... which stays' cmp -s "$dir/precious" "$results"
refused 'the output of another journal' 'is not what was written with' -j "$dir/other" \
    -o "$results" "$dir/all"
check '... which stays' cmp -s "$dir/precious" "$results"
cp "$dir/other" "$dir/before"
refused '... with --retry-failed' 'is not what was written' --retry-failed -j "$dir/other" \
    -o "$results" "$dir/all"
check '... nor is anything noted' cmp -s "$dir/other" "$dir/before"
try -q -R 0 --restart -j "$dir/run.new" -o "$results" "$dir/all"
check '--restart: it is emptied' [ "$(wc -l <"$results")" -eq 3 ]
printf 'sparp-journal 2\n' >"$dir/run.begun"    # killed before the first line was noted
try -q -R 0 -j "$dir/run.begun" -o "$results" "$dir/all"
check 'a journal that has begun: it goes on' [ "$(wc -l <"$results")" -eq 3 ]
given '%s/delay/3000\n' "$base"
rm -f "$journal"
forget
"$SPARP" -q -j "$journal" -o "$dir/1" "$dir/in" 2>/dev/null &
first=$!
begun() { [ "$(arrived)" -ge 1 ]; }
until_true begun
watched=no
refused 'two runs with one journal' 'in use by another run' -j "$journal" -o "$dir/2" "$dir/in"
kill $first
wait $first 2>/dev/null
finish

#!/bin/sh
# --resume: what an earlier run has had a success with is not sent again, and its records stay.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base
results=$dir/results.jsonl

{
    seq 1 40 | sed "s|.*|$base/items/&|"
    echo "$base/flaky/resume/1"
    echo "{\"url\":\"$base/echo?q=a%20b\",\"query\":{\"x\":\"y z\"},\"id\":{\"k\":1}}"
    printf '%s/echo/\303\244\n' "$base"
    echo "http://me:pw@${base#http://}"
    echo '{"bad"'
} >"$dir/in"
cp "$dir/in" "$dir/all"
try -q -R 0 --ok 2xx,404 --resume "$results" -o "$results" "$dir/all"
check 'the first time there is nothing to go on with' ended 1
check 'all of it has a record' [ "$(wc -l <"$results")" -eq 45 ]
forget
try -R 0 --ok 2xx,404 --resume "$results" -o "$results" "$dir/all"
check 'the same command again: exit 1, for the bad line' ended 1
check 'only what failed is sent' [ "$(arrived)" -eq 1 ]
said 'what was left out is counted' '43 done before'
check 'the records stay, and one is added' [ "$(wc -l <"$results")" -eq 47 ]
try -q --ok 2xx,404 --resume "$results" -o "$results" "$dir/all"
succeeded() {
    jq -s "$1" "$results"
}
check 'each has a success' [ "$(succeeded 'map(select(.outcome == "success").index) | sort
    == [range(44)]')" = true ]

# By id, wherever it stands; without one by place and URL.
seq 1 5 | sed "s|.*|{\"id\":\"n&\",\"url\":\"$base/items/&\"}|" >"$dir/all"
rm -f "$results"
try -q -o "$results" "$dir/all"
{
    echo "{\"url\":\"$base/items/9\",\"id\":\"new\"}"
    cat "$dir/all"
    echo "$base/items/3"
} >"$dir/more"
forget
try -q --resume "$results" -o "$results" "$dir/more"
check 'a line above: what has an id is known' [ "$(arrived)" -eq 2 ]
printf '%s/items/1\n%s/items/2\n' "$base" "$base" >"$dir/all"
try -q -o "$results" "$dir/all"
printf '%s/items/2\n%s/items/2\n' "$base" "$base" >"$dir/all"
forget
try -q --resume "$results" "$dir/all"
expect 'no id: another URL at that place is sent' 0 'map(.index) == [0]'

# Killed in the middle: whole records, none lost, no success sent again.
seq 1 2000 | sed "s|.*|$base/delay/2?&|" >"$dir/all"
rm -f "$results"
for _ in 1 2 3 4 5; do
    "$SPARP" -q -c 20 --resume "$results" -o "$results" "$dir/all" >/dev/null 2>&1 &
    killed=$!
    grown=$(wc -l 2>/dev/null <"$results" || echo 0)
    more() { [ "$(wc -l 2>/dev/null <"$results" || echo 0)" -gt $((grown + 100)) ]; }
    until_true more
    kill -9 $killed
    wait $killed 2>/dev/null
    printf '{"torn' >>"$results"
done
try -q -c 50 --resume "$results" -o "$results" "$dir/all"
check 'kill -9, five times: comes to its end' ended 0
check 'kill -9: whole records' sh -c "jq -e . '$results' >/dev/null"
check 'kill -9: one success each, and none twice' [ "$(succeeded 'map(select(.outcome == "success")
    .index) | sort == [range(2000)]')" = true ]

given '%s/items/1\n' "$base"
refused '--resume of a directory' 'directory' --resume "$dir"
refused '--resume and --fields' 'whole records' --resume "$results" --fields index
refused '--resume and --only' 'whole records' --resume "$results" --only failed
finish

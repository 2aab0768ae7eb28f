#!/bin/sh
# Many processes for one input: --shard, --fleet-rate, and --merge of what they have written.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
unset SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_MIN SLURM_ARRAY_TASK_COUNT SLURM_ARRAY_TASK_STEP \
    SLURM_PROCID SLURM_NTASKS AWS_BATCH_JOB_ARRAY_INDEX JOB_COMPLETION_INDEX NOMAD_ALLOC_INDEX
start_base

# --- shards -----------------------------------------------------------------------------------

seq 0 99 | sed "s|.*|$base/items/&|" >"$dir/in"
forget
for i in 0 1 2; do
    try -q --shard $i/3 -o "$dir/$i.jsonl"
    check "shard $i of 3: exit 0" ended 0
done
check 'three shards send each line once' [ "$(arrived)" -eq 100 ]
try -q --shard 1/3
expect 'a shard has every third line, with the index of the whole input' 0 \
    'map(.index) | sort == [range(1; 100; 3)]'
try -n -q --shard 1/3 --skip 50 --limit 20
expect '--skip and --limit count lines of the whole input' 0 'map(.index) == [range(52; 70; 3)]'
try -q --shard 0/1
expect 'one shard has all lines' 0 'length == 100'
try -n --shard 4/1000000000000
expect 'more shards than lines: one each' 0 'map(.index) == [4]'
try -q --shard 100/101
expect 'a shard without lines: exit 0, nothing' 0 'length == 0'
{ echo n; seq 1 6; } >"$dir/rows"
try -n -q --csv -T "$base/items/{n}" --shard 0/2 "$dir/rows"
expect 'the line of names is for every shard' 0 'map(.index) == [2, 4, 6]'
printf '{"bad\n%s/items/1\n{"bad\n' "$base" >"$dir/bad"
try -n -q --shard 1/2 "$dir/bad"
expect 'bad lines of others are none of ours' 0 'map(.index) == [1]'

# After a stop only our own lines are kept, and they are for this command without --shard.
seq 0 29999 | sed "s|.*|$base/status/404|" >"$dir/all"
try -c 1 --max-fail 1 --shard 3/10 --rejects "$dir/rejects" "$dir/all"
check 'rejects of a shard: its lines alone' [ "$(wc -l <"$dir/rejects")" -eq 3000 ]
said 'how to go on with them' 'not read.*that file, without --shard'

sharded() {
    what=$1 expected=$2
    shift 2
    env "$@" "$SPARP" -n -q --shard "$flag" "$dir/in" >"$dir/out" 2>"$dir/err"
    status=$?
    expect "$what" 0 "map(.index)[:2] == $expected"
}
not_sharded() {
    what=$1 pattern=$2
    shift 2
    env "$@" "$SPARP" -n -q --shard "$flag" "$dir/in" >"$dir/out" 2>"$dir/err"
    status=$?
    expect "$what: nothing, exit 2" 2 'length == 0'
    said "$what: why" "$pattern"
}
flag=auto
sharded 'auto: a Slurm array' '[2, 6]' SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_MIN=5 \
    SLURM_ARRAY_TASK_COUNT=4 SLURM_PROCID=0 SLURM_NTASKS=1
sharded 'auto: a Slurm step' '[1, 3]' SLURM_PROCID=1 SLURM_NTASKS=2
not_sharded 'auto: no engine' 'neither Slurm' X=1
not_sharded 'auto: no N' 'JOB_COMPLETION_INDEX does not say of how many' JOB_COMPLETION_INDEX=1
not_sharded 'auto: an array with steps' 'in steps of 1' SLURM_ARRAY_TASK_ID=4 \
    SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_STEP=2 SLURM_ARRAY_TASK_COUNT=4
not_sharded 'auto: no number' "SLURM_PROCID is 'x'" SLURM_PROCID=x SLURM_NTASKS=2
not_sharded 'auto: empty' 'SLURM_PROCID is none of' SLURM_PROCID= SLURM_NTASKS=2
not_sharded 'auto: beyond N' 'none of 0 to 1' SLURM_PROCID=2 SLURM_NTASKS=2
not_sharded 'auto: below the first' 'none of 0 to 3' SLURM_ARRAY_TASK_ID=4 \
    SLURM_ARRAY_TASK_MIN=5 SLURM_ARRAY_TASK_COUNT=4
flag=auto/8
sharded 'auto/N: AWS Batch' '[3, 11]' AWS_BATCH_JOB_ARRAY_INDEX=3
sharded 'auto/N: Kubernetes' '[7, 15]' JOB_COMPLETION_INDEX=7
sharded 'auto/N: Nomad' '[0, 8]' NOMAD_ALLOC_INDEX=0
sharded 'auto/N: Slurm, of as many' '[1, 9]' SLURM_PROCID=1 SLURM_NTASKS=8
not_sharded 'auto/N: Slurm, of others' 'COUNT is 1, not 8' SLURM_ARRAY_TASK_ID=3 \
    SLURM_ARRAY_TASK_MIN=3 SLURM_ARRAY_TASK_COUNT=1
for flag in 3/3 3 / 1/ /3 -1/3 1/0 a/3 1/2/3 auto/ auto/0 auto/x autos ''; do
    refused "--shard '$flag'" 'is not I/N' --shard "$flag"
done

# 8 starts at 40 per second for two: the last is 7 / 20 s after the first, whatever else the machine
# does; undivided it would be 7 / 40 s.
begun=$(jq -n now)
try -q --shard 0/2 --fleet-rate 40 --limit 16
expect '--fleet-rate is divided' 0 "length == 8 and (map(.t) | max) - $begun >= 0.345"
try -n -q --shard 0/2 --fleet-rate 40 --burst 2 --limit 2
expect '--burst goes with --fleet-rate' 0 'length == 1'
refused '--fleet-rate without --shard' 'give that too' --fleet-rate 10
refused '--fleet-rate and -r' 'exclude' --fleet-rate 10 -r 5 --shard 0/2

# --- what engines that run many of us rely on -------------------------------------------------

: >"$dir/in"
try -q
expect 'empty input: exit 0, no output' 0 'length == 0'
silent 'empty input: nothing is said'

# Four writers append to one file, records of 20 KB: each is whole.
seq 50 | sed "s|.*|$base/bytes/20000?&|" >"$dir/long"
for n in 1 2 3 4; do
    "$SPARP_PLAIN" -q -c 20 "$dir/long" >>"$dir/shared" &
    eval "writer$n=\$!"
done
# shellcheck disable=SC2154
wait "$writer1" "$writer2" "$writer3" "$writer4"
check 'four writers, one file: all records are whole' \
    [ "$(jq -s 'map(.body | length) | sort == [range(200) | 20000]' "$dir/shared")" = true ]

# produce COMMAND...: a producer into its stdin; how that has ended is in $dir/producer.
produce() {
    status=0
    { yes "$base/items/1" | head -n 300000; echo $? >"$dir/producer"; } |
        timeout 60 "$SPARP" "$@" >"$dir/out" 2>"$dir/err" || status=$?
}
read_all() {
    [ "$(cat "$dir/producer")" -eq 0 ]
}
echo '# of another kind' >"$dir/strange"
produce --drain-input -j "$dir/strange" -o "$dir/drained"
check '--drain-input: refused, and yet' ended 2
check '... all is read' read_all
if [ -e /dev/full ]; then
    produce -q --drain-input -o /dev/full
    check '--drain-input: a full disk, and yet' ended 5
    check '... all is read' read_all
fi
produce -q -j "$dir/strange" -o "$dir/drained"
check 'without it nobody waits for the producer' [ "$(cat "$dir/producer")" -ne 0 ]

# Nobody takes the records: what is read of the input has an end. Then they are taken: all come.
mkfifo "$dir/slow"
seq 20000 | sed "s|.*|$base/bytes/700?&|" >"$dir/in"
forget
"$SPARP_PLAIN" -q <"$dir/in" >"$dir/slow" &
stopped=$!
exec 3<"$dir/slow"
stands() {
    before=$(arrived)
    [ "$before" -gt 0 ] && sleep 0.3 && [ "$(arrived)" -eq "$before" ]
}
until_true stands
check 'stdout is full: what is sent has an end' [ "$(arrived)" -lt 5000 ]
jq -s 'length' <&3 >"$dir/taken"
exec 3<&-
check '... and goes on when it is taken' [ "$(cat "$dir/taken")" -eq 20000 ]
wait $stopped
check '... to the end' [ $? -eq 0 ]

# An engine that writes all before it reads: by way of a file.
# shellcheck disable=SC2016
head -n 500 "$dir/in" |
    sh -c 't=$(mktemp) && cat >"$t" && "$0" -q "$t" && rm "$t"' "$SPARP_PLAIN" >"$dir/out"
check 'spooled' [ "$(wc -l <"$dir/out")" -eq 500 ]

# stderr of --progress line: a time first, no CR, short.
seq 3 | sed "s|.*|$base/items/&|" >"$dir/in"
try --progress line --summary none
check '--progress line: no CR, short lines' \
    awk '/\r/ || length > 200 { exit 1 }' "$dir/err"

# What splits lines at a CR, or fields at a TAB, finds none; with --ascii no charset matters.
jq -cn --arg url "$base/echo" '{url: $url, id: "a\tb\rcü", body: "x\ty\rzü\u2028"}' >"$dir/in"
try -q --ascii
expect '--ascii: id and body are as they were' 0 \
    '.[0] | .id == "a\tb\rcü" and (.body | fromjson.body) == "x\ty\rzü\u2028"'
plain_ascii() {
    [ "$(LC_ALL=C tr -d '\n -~' <"$dir/out" | wc -c)" -eq 0 ]
}
check '--ascii: no TAB, no CR, nothing but ASCII' plain_ascii

# --- merging ----------------------------------------------------------------------------------

try --merge "$dir/2.jsonl" "$dir/0.jsonl" "$dir/1.jsonl" --total 100 -o "$dir/all.jsonl"
check 'three shards, whole: exit 0' ended 0
said 'how many' '^sparp: 100 records of 100$'
in_order() {
    [ "$(jq -s 'map(.index) == [range(100)]' "$dir/all.jsonl")" = true ]
}
check 'each index once, in order' in_order
sort "$dir/all.jsonl" >"$dir/sorted"
cat "$dir"/[012].jsonl | sort >"$dir/wanted"
check 'byte by byte what was written' cmp -s "$dir/sorted" "$dir/wanted"
try -q --merge "$dir/0.jsonl" "$dir/2.jsonl"
expect 'a shard is missing: exit 1, the rest is written' 1 'length == 67'
said 'the gaps, ten of them' \
    '33 indices without a record: 1, 4, 7, 10, 13, 16, 19, 22, 25, 28, \.\.\. \('
try -q --no-fail --merge "$dir/0.jsonl"
expect '--no-fail: exit 0 all the same' 0 'length == 34'

record() {
    printf '{"index":%s,"outcome":"%s","url":"%s","n":%s}\n' "$@"
}
{ record 1 success u 1; record 0 timeout u 2; record 2 soft_fail u 3; } >"$dir/a"
{ record 2 hard_fail u 4; record 1 hard_fail u 5; record 0 success u 6; } >"$dir/b"
try --merge "$dir/a" "$dir/b"
expect 'a success is taken, else the later one' 1 'map(.n) == [6, 1, 4]'
said 'duplicates' '3 indices with several records: 0, 1, 2 \('
said 'records of how many' '3 records of 6'
try -q --merge "$dir/b" "$dir/a"
expect 'the other way round' 1 'map(.n) == [6, 1, 3]'
cat "$dir/b" "$dir/a" >"$dir/both"
try -q --merge "$dir/both"
expect 'in one file likewise' 1 'map(.n) == [6, 1, 3]'
try -q --merge "$dir/a" --total 7
expect '--total: a gap at the end' 1 'length == 3'
said 'where' '4 indices without a record: 3-6 \('
{ record 0 success other 1; } >"$dir/other"
try -q --merge "$dir/a" "$dir/other"
said 'another request' '1 index with records of different requests: 0 \('
{ record 2 success u 1; } >"$dir/two"
try -q --skip 2 --merge "$dir/two"
expect '--skip: the first have none' 0 'length == 1'
silent '... and nothing is said'
{ record 1 success u 1; record 4 success u 1; } >"$dir/skipped"
try -q --skip 4 --merge "$dir/skipped"
expect '... although one is there all the same' 0 'length == 2'
silent '... without a word'
record 18446744073709551615 success u 1 >"$dir/huge"
refused 'an index beyond what we count' 'huge:1: no record' --merge "$dir/huge"
record 999999999999999999 success u 1 >"$dir/far"
try -q --merge "$dir/far"
expect 'an index far away' 1 'length == 1'
said 'its gap' '999999999999999999 indices without a record: 0-999999999999999998'

# By id, where each process has counted lines of its own.
named() {
    printf '{"index":%s,"id":%s,"outcome":"%s","url":"%s","n":%s}\n' "$@"
}
{ named 0 '"x"' success u 1; named 1 2 timeout u 2; named 2 '"z"' hard_fail u 3; } >"$dir/ids1"
{ named 0 '"y"' success u 4; named 1 2 success u 5; named 2 '"z"' timeout u 6; } >"$dir/ids2"
try --by-id --merge "$dir/ids1" "$dir/ids2"
expect '--by-id: a success, else the later one, as they stand in the files' 1 \
    'map(.n) == [1, 4, 5, 6]'
said '--by-id: duplicates' '2 ids with several records \(a success'
said '--by-id: records of how many' '4 records of 6'
{ named 0 '"x"' success u 1; named 0 '"y"' success u 2; } >"$dir/ids1"
try --by-id --merge "$dir/ids1"
expect '--by-id: an index of its own each time' 0 'map(.n) == [1, 2]'
try -q --by-id --merge "$dir/ids1" --total 3
expect '--by-id, --total: one is missing' 1 'length == 2'
said '--by-id, --total: said' '1 id without a record \(of those of --total'
{ cat "$dir/ids1"; named 5 '"x"' success other 7; } >"$dir/ids2"
try -q --by-id --merge "$dir/ids2"
said '--by-id: another request' '1 id with records of different requests'
{ cat "$dir/ids1"; record 1 invalid u 1; record 2 invalid u 2; } >"$dir/ids2"
try -q --by-id --merge "$dir/ids2"
expect '--by-id: those without an id are kept' 1 'length == 4'
said '--by-id: those without an id are named' '2 records without an id'
refused '--by-id alone' 'about --merge' --by-id "$dir/in"

# What kill -9 leaves behind.
{ cat "$dir/a"; printf '{"index":3,"outc'; } >"$dir/torn"
try --merge "$dir/torn" -o "$dir/all.jsonl"
check 'a torn last line: exit 0, if no record is missing' ended 0
said 'the torn line is named' 'torn:4: the last line is torn, it is left out'
check '... and left out' [ "$(wc -l <"$dir/all.jsonl")" -eq 3 ]
{ cat "$dir/a"; record 3 success u 1 | tr -d '\n'; } >"$dir/open"
try -q --merge "$dir/open"
expect 'a last line that only lacks its LF counts' 0 'map(.index) == [0, 1, 2, 3]'
check '... and gets one' [ "$(tail -c 1 "$dir/out" | od -An -c | tr -d ' ')" = '\n' ]
{ record 0 success u 1; printf '\n\r\n'; record 1 success u 2 | sed 's/$/\r/'; } >"$dir/crlf"
try -q --merge "$dir/crlf"
expect 'blank lines, CR LF' 0 'map(.index) == [0, 1]'

# Nothing is lost by a mistake: the output is as it was.
cp "$dir/all.jsonl" "$dir/before"
kept() {
    what=$1 pattern=$2
    shift 2
    try --merge "$@" -o "$dir/all.jsonl"
    check "$what: exit 2" ended 2
    said "$what: why" "$pattern"
    check "$what: the output is as it was" cmp -s "$dir/all.jsonl" "$dir/before"
}
{ cat "$dir/a"; echo '{"index":3,"ou{"index":4}'; cat "$dir/b"; } >"$dir/middle"
kept 'torn in the middle' 'middle:4: no record of sparp, it is no JSON; nothing was written' \
    "$dir/a" "$dir/middle"
echo '{"id":3}' >"$dir/strange"
kept 'no index' 'strange:1: no record of sparp, it has no index' "$dir/a" "$dir/strange"
kept 'no such file' 'cannot open .*/nowhere: No such' "$dir/a" "$dir/nowhere"
kept 'a directory' 'directory' "$dir/a" "$dir"
kept 'input and output' 'input and output' "$dir/a" "$dir/all.jsonl"
kept 'a URL' 'not http://h/' http://h/
kept 'stdin' 'not stdin' -
kept 'no file' 'which files'
kept '--fields' 'whole records' --fields index "$dir/a"
kept '--summarize' 'does not go with' --summarize "$dir/a"
mkfifo "$dir/pipe"
(exec 3<>"$dir/pipe"; try --merge "$dir/pipe"; echo "$status" >"$dir/code")
check 'a pipe: exit 2' [ "$(cat "$dir/code")" -eq 2 ]
said 'a pipe: why' 'takes a regular file'
: >"$dir/nothing"
try -q --merge "$dir/nothing"
expect 'an empty file has no records and no gaps' 0 'length == 0'
if [ -e /dev/full ]; then
    try -q --merge "$dir/a" -o /dev/full
    check 'a full disk: exit 5' ended 5
    said 'a full disk: said' 'cannot write /dev/full'
fi

# A hundred files of 2,000 records each, interleaved, some of them long: not in memory.
mkdir "$dir/many"
awk -v dir="$dir/many" 'BEGIN {
    long = sprintf("%5000s", "")
    gsub(" ", "x", long)
    for (i = 0; i < 200000; i++)
        printf "{\"index\":%d,\"outcome\":\"success\",\"body\":\"%s\"}\n", i,
            i % 20 == 0 ? long : "" >(dir "/" i * 7 % 100)
}'
set -- "$dir"/many/*
status=0
"$PEAK" "$dir/peak" "$SPARP_PLAIN" -q --merge "$@" -o "$dir/all.jsonl" 2>"$dir/err" || status=$?
check 'a hundred files: exit 0' ended 0
check 'a hundred files: all in order' sh -c "cut -d , -f 1 '$dir/all.jsonl' |
    awk -F : '\$2 != NR - 1 { exit 1 } END { exit NR != 200000 }'"
check "a hundred files, $(cat "$@" | wc -c) bytes, in $(cat "$dir/peak") KB of memory" \
    [ "$(cat "$dir/peak")" -lt 30000 ]
finish

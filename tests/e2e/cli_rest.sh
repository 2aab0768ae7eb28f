#!/bin/sh
# 15: what a stop leaves unread. Records and rejects together are the input, whatever stops the run.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base
"${CC:-cc}" -O2 -o "$dir/signal" tests/e2e/signal.c || exit 1

# Each line of $dir/all is the url of a success, or a line of the rejects, and never both.
adds_up() {
    {
        jq -r 'select(.outcome == "success") | .url' "$dir/out"
        cat "$dir/rejects"
    } | sort >"$dir/both"
    grep -vE '^ *(#.*)?$' "$dir/all" | sort | cmp -s - "$dir/both" && return
    grep -vE '^ *(#.*)?$' "$dir/all" | sort | diff - "$dir/both" | head -n 5
    return 1
}

# stopped HOW STATUS FLAGS...: of $dir/all as a file
stopped() {
    how=$1 wanted=$2
    shift 2
    try -c 10 --rejects "$dir/rejects" "$@" "$dir/all"
    check "15: $how: exit $wanted" ended "$wanted"
    check "15: $how: records and rejects are the input" adds_up
    said "15: $how: how many were not read" '^ .* [0-9]+ not read'
    said "15: $how: how to go on" \
        "[0-9]+ lines were not read: in $dir/rejects, .*give the same command that file"
}

# --- a file -------------------------------------------------------------------------------------

{
    seq 1 300 | sed "s|.*|$base/delay/5?&|"
    printf '\n# a comment\n'
    seq 301 1500 | sed "s|.*|$base/delay/5?&|"
} >"$dir/all"
stopped --deadline 4 --deadline 300ms
stopped --first 0 --first 50
{
    echo "$base/status/404"
    cat "$dir/all"
} >"$dir/more" && mv "$dir/more" "$dir/all"
stopped --max-fail 3 --max-fail 1
stopped '--max-fail P%' 3 --max-fail 1%
stopped --stop-on 3 --stop-on hard-fail
stopped '--order input' 3 --stop-on hard-fail --order input

"$dir/signal" "$dir/out" lines=50 INT -- "$SPARP" -c 10 --rejects "$dir/rejects" "$dir/all" \
    2>"$dir/err" >/dev/null
check '15: Ctrl-C: records and rejects are the input' adds_up
said '15: Ctrl-C: how to go on' 'lines were not read'
"$dir/signal" "$dir/out" lines=50 INT INT -- "$SPARP" -c 10 --rejects "$dir/rejects" "$dir/all" \
    2>"$dir/err" >/dev/null
check '15: Ctrl-C twice: records and rejects are the input' adds_up

# Whoever goes on with the rejects loses nothing.
cp "$dir/out" "$dir/first"
mv "$dir/rejects" "$dir/again"
try -q -c 50 --rejects "$dir/rejects" "$dir/again"
cat "$dir/first" >>"$dir/out"
check '15: the second run has the rest' adds_up
check '15: and leaves the one that fails' [ "$(wc -l <"$dir/rejects")" -eq 1 ]

# The bad line, too, has a record and is in the rejects.
printf '%s/items/1\n{"bad"\n%s/items/2\n%s/items/3\n' "$base" "$base" "$base" >"$dir/all"
stopped '--on-bad-line fail' 3 --on-bad-line fail

seq 1 1000 | sed "s|.*|$base/delay/5?&|" >"$dir/all"
sed -n '101,900p' "$dir/all" >"$dir/part"
try -c 10 --rejects "$dir/rejects" --first 20 --skip 100 --limit 800 "$dir/all"
cp "$dir/all" "$dir/whole"
mv "$dir/part" "$dir/all"
check '15: --skip and --limit: what they leave out is no input' adds_up

# --- without rejects ----------------------------------------------------------------------------

mv "$dir/whole" "$dir/all"
try -c 10 --first 20 "$dir/all"
said '15: no rejects: where to go on' '[0-9]+ lines were not read. To go on, add --skip [0-9]+'
skip=$(sed -n 's/.*--skip \([0-9]*\).*/\1/p' "$dir/err")
unread=$(sed -n 's/.* \([0-9]*\) lines were not read.*/\1/p' "$dir/err")
check '15: no rejects: which is right' [ $((skip + unread)) -eq 1000 ]
check '15: no rejects: each that was read has a record' records_are \
    "map(.index) | sort == [range($skip)]"
# --skip would leave out those that were read and had no turn.
try -c 10 --first 20 -o "$dir/records" "$dir/all"
said '15: no rejects, but records in a file' "not read. To go on, add --resume $dir/records:"
try -q -c 10 --resume "$dir/records" -o "$dir/records" "$dir/all"
check '15: --resume: all get through' [ "$(jq -s 'map(select(.outcome == "success").index)
    | unique | length' "$dir/records")" -eq 1000 ]
try -q -c 10 "$dir/all"
silent '15: nothing was left: nothing is said'

# --- several files, arguments and pipes ---------------------------------------------------------

head -n 300 "$dir/all" >"$dir/1"
sed -n '301,600p' "$dir/all" >"$dir/2"
sed -n '601,999p' "$dir/all" >"$dir/3"
last=$(tail -n 1 "$dir/all")
try -c 10 --rejects "$dir/rejects" --first 20 "$dir/1" "$dir/2" "$last" "$dir/3"
check '15: several files and a URL' adds_up

cp "$dir/all" "$dir/in"
try -c 10 --rejects "$dir/rejects" --first 20
check '15: stdin that is a file' adds_up

piped() {
    status=0
    # shellcheck disable=SC2002
    cat "$dir/all" | timeout -k 2 "$limit" "$SPARP" -c 10 --rejects "$dir/rejects" "$@" \
        >"$dir/out" 2>"$dir/err" || status=$?
    no_report || check "no report of a sanitizer: $*" false
}
piped --first 20 --drain-input
check '15: a pipe with --drain-input' adds_up
piped --deadline 100ms --drain-input
check '15: a pipe with --drain-input and a deadline' adds_up
cp "$dir/all" "$dir/saved"
head -n 2 "$dir/saved" >"$dir/all"
piped --first 1 -c 1
check '15: a pipe that has ended' adds_up
cp "$dir/saved" "$dir/all"

# Without --drain-input nobody waits for a pipe. What has come out of it is kept, whole lines only.
mkfifo "$dir/pipe"
exec 9<>"$dir/pipe"
head -n 500 "$dir/saved" >"$dir/all"
{
    cat "$dir/all"
    printf '%s/torn' "$base"
} >&9 &
try -c 10 --rejects "$dir/rejects" --first 20 "$dir/pipe"
check '15: a pipe that goes on' adds_up
said '15: a pipe that goes on: says so' 'at least [0-9]+ lines were not read'
exec 9>&-
exec 9<>"$dir/pipe"
given ''
head -n 100 "$dir/saved" >"$dir/1"
{
    cat "$dir/1"
    sed -n '101,200p' "$dir/saved"
} >"$dir/all"
sed -n '101,200p' "$dir/saved" >"$dir/2"
try -c 10 --rejects "$dir/rejects" --first 20 "$dir/1" "$dir/pipe" "$dir/2"
check '15: a file behind a silent pipe' adds_up
exec 9>&-
finish

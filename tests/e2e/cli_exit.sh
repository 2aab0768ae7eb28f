#!/bin/sh
# Exit codes: each of the table, and which one wins; outputs that cannot be written.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base

# code WHAT STATUS FLAGS...
code() {
    what=$1 wanted=$2
    shift 2
    try "$@"
    check "$what: exit $wanted" ended "$wanted"
}

given '%s/items/1\n' "$base"
code 'all succeeded' 0 -q
given '%s/items/1\n%s/status/404\n' "$base" "$base"
code 'one failed' 1 -q
code 'one failed, --no-fail' 0 -q --no-fail
expect 'but its record says so' 0 'map(select(.outcome == "hard_fail")) | length == 1'
code '--first 1 reached' 0 -q --first 1
code '--first 2 not reached' 1 -q --first 2
code '--first 2 not reached, --no-fail' 0 -q --first 2 --no-fail
code 'a stop rule' 3 -q --stop-on hard-fail
code 'a stop rule, --no-fail' 3 -q --stop-on hard-fail --no-fail
code '--max-fail' 3 -q --max-fail 1
given '{"bad"\n%s/items/1\n' "$base"
code 'an invalid line' 1 -q
code 'an invalid line, --no-fail' 0 -q --no-fail
code 'an invalid line, skipped' 0 -q --on-bad-line skip

given '%s/status/404\n%s/hang\n' "$base" "$base"
code '--deadline' 4 -q --deadline 300ms
code '--deadline, --no-fail' 4 -q --deadline 300ms --no-fail
expect 'what was in flight is cancelled' 4 \
    'sort_by(.index) | map(.outcome) == ["hard_fail", "cancelled"]'
given '%s/hang\n%s/status/503\n' "$base" "$base"
before=$(date +%s)
code '--deadline while waiting for a retry' 4 --deadline 300ms --backoff 100s --backoff-max 100s
check 'and it does not wait' [ $(($(date +%s) - before)) -lt 5 ]
said 'the deadline is said' 'deadline'

# --- 5: output lost -----------------------------------------------------------------------------

full() {
    status=0
    timeout -k 2 $limit "$SPARP" "$@" <"$dir/in" >/dev/full 2>"$dir/err" || status=$?
    : >"$dir/out"
    no_report || check 'no report of a sanitizer' false
}

seq 1 2000 | sed "s|.*|$base/items/&|" >"$dir/in"
if [ -e /dev/full ]; then
    forget
    full -q -c 10
    check 'a full disk: exit 5' ended 5
    said 'and says so' 'cannot write stdout: No space left'
    check 'once' [ "$(grep -c 'cannot write' "$dir/err")" -eq 1 ]
    check 'and sends nothing more' [ "$(arrived)" -lt 200 ]
    full -q -c 10 --no-fail
    check 'a full disk, --no-fail: exit 5' ended 5
    full -q -c 10 --order input
    check 'a full disk, --order input: exit 5' ended 5
    full -n
    check 'a full disk, dry run: exit 5' ended 5
    full --help
    check 'a full disk, --help: exit 5' ended 5
    try -q -o /dev/full
    check '-o on a full disk: exit 5' ended 5
    given '%s/status/404\n' "$base"
    try -q --rejects /dev/full
    check '--rejects on a full disk: exit 5' ended 5
    try -q --summary-file /dev/full
    check '--summary-file on a full disk: exit 5' ended 5
    full -q --stop-on hard-fail
    check '5 comes before 3' ended 5
    given '{"bad"\n'
    full -q
    check 'a bad line onto a full disk: exit 5' ended 5
    full -q --deadline 1ms
    check '5 comes before 4' ended 5
else
    skip 'no /dev/full'
fi

seq 1 300 | sed "s|.*|$base/bytes/1000|" >"$dir/in"
mkdir -p "$dir/small"
if mount -t tmpfs -o size=64k none "$dir/small" 2>/dev/null; then
    try -q -o "$dir/small/out"
    check 'the disk fills up on the way: exit 5' ended 5
    cp "$dir/small/out" "$dir/out"
    umount "$dir/small"
    check 'and has whole lines' records_are 'length > 10 and length < 300'
    check 'the last one too' [ -z "$(tail -c 1 "$dir/out")" ]
else
    skip 'no tmpfs can be mounted'
fi

# --- descriptors that are closed ----------------------------------------------------------------

given '%s/items/1\n' "$base"
closed() {
    wanted=$1
    shift
    status=0
    timeout -k 2 "$limit" "$@" || status=$?
    if [ "$wanted" = bad ]; then [ "$status" -ne 0 ] && [ "$status" -lt 86 ]
    else [ "$status" -eq "$wanted" ]; fi
}
stdout_closed() { closed bad "$SPARP" -q <"$dir/in" >&- 2>"$dir/err"; }
stderr_closed() { closed 0 "$SPARP" -v <"$dir/in" >"$dir/out" 2>&-; }
all_closed() { closed bad "$SPARP" -v <&- >&- 2>&-; }
output_closed() { closed 0 "$SPARP" -o "$dir/out" "$base/items/1" <&- >&- 2>&-; }
check 'stdout closed: not 0' stdout_closed
check 'and says so' grep -q 'stdout' "$dir/err"
check 'stderr closed: exit 0' stderr_closed
check 'and the record is whole' records_are 'length == 1 and .[0].status == 200'
check 'all closed: not 0' all_closed
: >"$dir/out"
check 'all closed, but -o: exit 0' output_closed
check 'and the file has the record, and nothing else' records_are 'length == 1'

# SIGPIPE may be ignored where this runs: then the write fails, and that is 5.
seq 1 5000 | sed "s|.*|$base/bytes/500|" >"$dir/in"
{
    status=0
    timeout -k 2 $limit "$SPARP" -q <"$dir/in" 2>"$dir/err" || status=$?
    echo $status >"$dir/status"
} | head -n 1 >"$dir/out"
case $(cat "$dir/status") in 5|141) ok=true ;; *) ok=false ;; esac
check "the reader is gone: 141 (or 5), $(cat "$dir/status")" $ok
check 'it has a whole line' records_are 'length == 1'

# --- 2: nothing was sent ------------------------------------------------------------------------

given '%s/items/1\n' "$base"
refused 'a file that is not there' 'nowhere' "$dir/nowhere"
refused 'an output that cannot be created' 'cannot create' -o "$dir/no/such/dir"
refused '--rejects that cannot be created' 'cannot create' --rejects "$dir/no/such/dir"
echo kept >"$dir/twice"
refused 'two outputs in one file' 'twice' -o "$dir/twice" --rejects "$dir/twice"
refused 'two outputs in one file, one a summary' 'twice' -o "$dir/twice" \
    --summary-file "$dir/./twice"
refused '-d @FILE that is not there' 'nowhere' -d @"$dir/nowhere"
refused '-H @FILE that is not there' 'nowhere' -H @"$dir/nowhere"
finish

#!/bin/sh
# Ctrl-C and its relatives: whole records, none twice, a death that a shell sees as one.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
"${CC:-cc}" -O2 -o "$dir/signal" tests/e2e/signal.c || exit 1
start_base

# with STEP... -- FLAGS...: $ended "signal 2", $took milliseconds
with() {
    steps=''
    while [ "$1" != -- ]; do
        steps="$steps $1"
        shift
    done
    shift
    # shellcheck disable=SC2086
    result=$("$dir/signal" "$dir/out" $steps -- "$SPARP" "$@" <"$dir/in" 2>"$dir/err")
    took=${result##* }
    ended=${result% *}
    no_report || check "no report of a sanitizer: $*" false
}

# died WHAT HOW MS: of what, and how soon.
quickly() {
    [ "$ended" = "$1" ] && [ "$took" -le "$2" ] && return 0
    echo "    $ended after $took ms"
    head -n 5 "$dir/err"
    return 1
}

died() {
    check "$1" quickly "$2" "$3"
}

# The third signal ends the handler itself, with the code that shells give to such a death.
by_term() {
    if [ "$ended" = 'exit 143' ]; then echo "$ended"; else echo 'signal 15'; fi
}

# Every record is whole, and there is one for each index; those of requests that had been begun.
whole() {
    check "$1: whole records, none twice" records_are \
        'length > 0 and (map(.index) | unique | length) == length
            and all(has("outcome") and has("attempts"))'
}

many() {
    seq "$1" | sed "s|.*|$base/delay/20|" >"$dir/in"
}

many 3000
with lines=50 INT -- -c 10
died 'INT: dies of INT' 'signal 2' 3000
whole 'INT'
check 'INT: what was in flight has ended by itself' records_are \
    'map(.outcome) | all(. == "success" or . == "not_started")'
said 'INT: says what it waits for' 'stopping: [0-9]+ requests? in flight'
said 'INT: says how far it came' 'interrupted after [0-9]+'
said 'INT: the summary' '^requests +[0-9]+ finished'
finished=$(sed -n 's/^requests *\([0-9]*\) finished.*/\1/p' "$dir/err")
check 'INT: which has counted them' records_are \
    "map(select(.outcome == \"success\")) | length == ${finished:-0}"

with lines=1 INT -- -r 1/m
died 'INT, nothing in flight: dies of INT' 'signal 2' 3000
check 'INT, nothing in flight: none is waited for' [ "$(grep -c 'stopping:' "$dir/err")" -eq 0 ]

with lines=50 TERM -- -c 10
died 'TERM: dies of TERM' 'signal 15' 3000
whole 'TERM'
said 'TERM: the summary' '^requests +[0-9]+ finished'

with lines=50 HUP -- -c 10 -q
died 'HUP: dies of HUP' 'signal 1' 3000
whole 'HUP'

with lines=50 TERM TERM TERM TERM -- -c 10 -q
died 'a burst of TERM' "$(by_term)" 1000
whole 'a burst'

with lines=50 KILL -- -c 10 -q
died 'KILL' 'signal 9' 1000
whole 'KILL'

given '%s/items/1\n%s/hang\n%s/hang\n%s/hang\n' "$base" "$base" "$base" "$base"
with lines=1 INT ms=100 INT -- -c 10
died 'INT twice: what hangs is cut' 'signal 2' 2000
check 'INT twice: and has its record' records_are \
    'length == 4 and (map(.outcome) | sort) == ["cancelled", "cancelled", "cancelled", "success"]
        and all(.outcome == "success" or .error.kind == "cancelled")'
with lines=1 INT -- -c 10 -t 1
died 'INT once: what hangs gets its time' 'signal 2' 3000
check 'INT once: no more than that' [ "$took" -ge 500 ]
check 'INT once: no retries' records_are \
    'length == 4 and all(.attempts == 1)
        and (map(.outcome) | sort | .[0] == "cancelled" and .[3] == "success")'

given '%s/items/1\n%s/status/503\n%s/status/503\n' "$base" "$base" "$base"
with lines=1 INT -- -q --backoff 100s --backoff-max 100s
died 'INT: nobody waits for a retry' 'signal 2' 2000
check 'INT: but each has its record' records_are 'length == 3'

mkfifo "$dir/silent"
exec 9<>"$dir/silent"
echo "$base/items/1" >&9
given ''
with lines=1 INT -- -q "$dir/silent"
died 'INT: while the input says nothing' 'signal 2' 2000
whole 'silent input'
exec 9>&-

# Nobody reads the fifo: the second write blocks. The third signal needs no loop.
mkfifo "$dir/blocked"
exec 9<>"$dir/blocked"
seq 1 20 | sed "s|.*|$base/bytes/20000|" >"$dir/in"
result=$("$dir/signal" "$dir/blocked" ms=1000 TERM ms=100 TERM ms=100 TERM -- "$SPARP" -q \
    <"$dir/in" 2>"$dir/err")
took=${result##* } ended=${result% *}
died 'TERM three times: even while stdout blocks' "$(by_term)" 1000
exec 9>&-

many 400
with lines=20 USR1 lines=100 USR1 -- -c 10
died 'USR1: goes on' 'exit 0' 20000
check 'USR1: all records' records_are 'length == 400'
line='^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z sparp [0-9]+/~?[0-9]+ ok=[0-9]+ fail=0 retry=0 rate='
line="${line}[0-9.]+/s live=[0-9]+ elapsed=[0-9]+s eta="
said 'USR1: a status line' "$line"
check 'USR1: one each' [ "$(grep -cE "$line" "$dir/err")" -eq 2 ]

with lines=20 STOP ms=1200 CONT -- -c 10 -q -t 1
died 'STOP and CONT: goes on' 'exit 0' 20000
check 'STOP and CONT: one result each' records_are \
    'length == 400 and all(.outcome == "success") and (map(.index) | unique | length == 400)'

with lines=20 WINCH USR1 WINCH -- -c 10 -q
died 'WINCH: goes on' 'exit 0' 20000
finish

#!/bin/sh
# Runs one step of the tests:   tests/step.sh NAME SECONDS COMMAND...
# Its output goes to build/log/NAME.log, one line about it to the terminal, and one with the numbers
# to build/log/results. A step counts as many tests as its last line says ("N passed, N failed"), or
# as cmocka counted, or as one. Exit 77 means skipped; the reason is its last line.
set -u
[ $# -gt 0 ] || exit 0                  # xargs had nothing to do
name=$1 limit=$2
shift 2
log=build/log/$(echo "$name" | tr ' /:' '___').log
start=$(date +%s)
running=build/log/running.$$
# shellcheck disable=SC2016
timeout -k 5 "$limit" sh -c 'echo "$PPID" >"$0"; exec "$@"' $running "$@" >"$log" 2>&1 </dev/null
status=$?
took=$(($(date +%s) - start))
times >$running
awk -v name="$name" -v took="$took" '
    NR == 2 { split($0, part, /[ms ]+/)
              printf "%.1f %d %s\n", part[1] * 60 + part[2] + part[3] * 60 + part[4], took, name }
' $running >>build/log/times
rm -f $running

numbers=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1 |
    sed 's/ passed, / /; s/ failed, / /; s/ failed$/ 0/; s/ skipped.*//')
if [ -z "$numbers" ]; then
    numbers=$(awk '
        /^\[  PASSED  \] [0-9]+ test/ { passed += $4 }
        /^\[  FAILED  \] [0-9]+ test/ { failed += $4 }
        /^\[  SKIPPED \] [0-9]+ test/ { skipped += $4 }
        /^\[==========\]/             { ran = 1 }
        END { if (ran) print passed + 0, failed + 0, skipped + 0 }' "$log")
fi
read -r passed failed skipped <<NUMBERS
${numbers:-1 0 0}
NUMBERS

case $status in
    0)
        [ $((passed + failed + skipped)) -gt 0 ] || [ -n "${CASE:-}" ] || failed=1 ;;
    77)
        passed=0 failed=0 skipped=1 ;;
    124|137)
        [ -n "$numbers" ] || passed=0
        failed=$((failed + 1))
        echo "no end after $limit s" >>"$log" ;;
    *)
        [ -n "$numbers" ] || passed=0
        [ "$failed" -gt 0 ] || failed=1 ;;
esac

if [ "$failed" -gt 0 ]; then
    line=$(printf 'FAILED  %-28s %3d s  see %s' "$name" "$took" "$log")
elif [ "$status" -eq 77 ]; then
    line=$(printf 'skipped %-28s        %s' "$name" "$(tail -n 1 "$log" | sed 's/^skipped: //')")
else
    line=$(printf 'ok      %-28s %3d s  %d tests' "$name" "$took" "$passed")
    if [ "$skipped" -gt 0 ]; then
        reasons=$(grep -o 'skipped: .*' "$log" | sed 's/skipped: //' | sort -u | paste -sd ';' -)
        line="$line, $skipped skipped: $reasons"
    fi
fi
echo "$line"
echo "$passed $failed $skipped $name" >>build/log/results
[ "$failed" -eq 0 ]

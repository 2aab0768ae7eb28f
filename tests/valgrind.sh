#!/bin/sh
# The command under valgrind, over a few hundred requests with failures and retries.
set -eu
command -v valgrind >/dev/null || { echo 'skipped: no valgrind'; exit 77; }
cd "$(dirname "$0")/.."
. tests/e2e/lib.sh
start_plain

seq 300 | sed "s|.*|http://127.0.0.1:$port/demo/&|" >"$dir/urls"
echo "http://127.0.0.1:$port/chunked/100000" >>"$dir/urls"
echo "http://127.0.0.1:1/refused" >>"$dir/urls"
status=0
valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=all \
    "$SPARP_PLAIN" -q -c 20 -t 5s --transport-retries 0 -o "$dir/out.jsonl" "$dir/urls" || status=$?
check 'valgrind finds nothing' [ "$status" -eq 1 ]
check '302 records' [ "$(wc -l <"$dir/out.jsonl")" -eq 302 ]
finish

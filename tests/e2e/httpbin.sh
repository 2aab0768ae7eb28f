#!/bin/sh
# Against httpbin: requests as JSON Lines in, records out, each checked with jq.
set -u
cd "$(dirname "$0")/../.." || exit 1
python=/usr/bin/python3
[ -x $python ] || python=python3
$python -c 'import httpbin' 2>/dev/null || { echo 'skipped: no httpbin'; exit 77; }
$python -c 'import gunicorn' 2>/dev/null || { echo 'skipped: no gunicorn'; exit 77; }
. tests/e2e/lib.sh

$python -m gunicorn.app.wsgiapp httpbin:app -b 127.0.0.1:0 -k gthread --threads 32 -w 1 \
    --keep-alive 5 >"$dir/gunicorn.log" 2>&1 &
servers=$!
until_true grep -q 'Listening at' "$dir/gunicorn.log" || { cat "$dir/gunicorn.log"; exit 1; }
port=$(sed -n 's/.*Listening at: http:\/\/127.0.0.1:\([0-9]*\).*/\1/p' "$dir/gunicorn.log")
answers() {
    curl -s -o /dev/null "http://127.0.0.1:$port/get"
}
until_true answers || { cat "$dir/gunicorn.log"; exit 1; }

# httpbin.txt: an id, the rest of the request, what must be true of the record. HOST is the server.
sed "s/HOST/127.0.0.1:$port/g" tests/e2e/httpbin.txt >"$dir/filled"
awk -F '|' '{ printf "{\"id\":\"%s\",%s}\n", $1, $2 }' "$dir/filled" >"$dir/in.jsonl"
{
    cat "$dir/in.jsonl"
    echo '{"id":"torn","url"'
} >"$dir/with-torn.jsonl"
total=$(wc -l <"$dir/with-torn.jsonl")

status=0
"$SPARP" -q -c 20 --body json --headers all --soft-retries 2 --timeout-retries 1 \
    --transport-retries 0 --backoff 10ms -o "$dir/out.jsonl" "$dir/with-torn.jsonl" || status=$?
check 'exit status 1: some failed' [ $status -eq 1 ]
check "$total records" [ "$(wc -l <"$dir/out.jsonl")" -eq "$total" ]
check 'each index once' [ "$(jq .index "$dir/out.jsonl" | sort -n | tr '\n' ' ')" = \
    "$(seq 0 $((total - 1)) | tr '\n' ' ')" ]
kind=$(jq -r 'select(.outcome == "invalid") | .error.kind' "$dir/out.jsonl" | tr '\n' ' ')
check 'the torn line' [ "$kind" = "bad_line " ]

holds() {
    jq -c "select(.id == \"$1\")" "$dir/out.jsonl" >"$dir/record"
    [ "$(jq "$2" "$dir/record" 2>&1)" = true ] && return 0
    cut -c 1-600 "$dir/record"
    return 1
}
while IFS='|' read -r id _ filter; do
    check "$id" holds "$id" "$filter"
done <"$dir/filled"

unpacked() {
    jq -r 'select(.id == "gzip") | .body_base64' "$dir/out.jsonl" | base64 -d | gzip -dc |
        jq .gzipped | grep -qx true
}
check 'a compressed body comes through untouched' unpacked
finish

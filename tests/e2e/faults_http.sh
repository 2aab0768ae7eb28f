#!/bin/sh
# What rude.c does not ask about: requests that must not leave as they are given, every byte in
# every place, framing by hand, and what may be sent twice when the connection breaks.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/servers.inc
start_world
world=127.0.0.1:$port
server WORLD "$world"
start_rude
rude=127.0.0.1:$port

# --- injections -----------------------------------------------------------------------------------

$python tests/e2e/faults_http.py injections "$world" >"$dir/injections"
count=$(wc -l <"$dir/injections")
forget world
ask -R 0 "$dir/injections"
check 'injections: exit status 1' [ $status -eq 1 ]
check "injections: none of $count is sent" records "length == $count and
    all(.outcome == \"local_failed\" or .outcome == \"invalid\")"
check 'injections: each is told why' records 'all(.error.message | length > 5 and
    (explode | any(. < 32 or . == 127) | not))'
check 'injections: nothing has arrived' log world 'length == 0'

# --- every byte -----------------------------------------------------------------------------------

$python tests/e2e/faults_http.py bytes "$world" >"$dir/bytes"
cat >"$dir/bytes.jq" <<'JQ'
def token: [.] | implode | test("^[!#$%&'*+.^_`|~0-9A-Za-z-]$");
def text: . == 9 or (. >= 32 and . != 127);
def sent: .outcome == "success" or .outcome == "hard_fail";
map({key: (.id | tostring), value: .}) | from_entries as $r |
[range(256) | . as $i |
    (($r["[\"method\",\($i)]"] | sent) == token),
    (($r["[\"name\",\($i)]"] | sent) == token),
    (($r["[\"value\",\($i)]"] | sent) == text),
    (($r["[\"path\",\($i)]"] | sent) == ($i > 32 and $i != 127))] |
to_entries | map(select(.value | not) | "\(.key / 4 | floor) in place \(.key % 4)")
JQ
forget world
ask -R 0 -c 20 "$dir/bytes"
check 'every byte: 1,024 records' records 'length == 1024'
check 'every byte: what may be sent is, the rest is not' \
    [ "$(jq -s -c -f "$dir/bytes.jq" "$dir/out")" = '[]' ]
check 'every byte: refused as a bad request' records '
    map(select(.status == null and .outcome != "invalid")) | length > 300 and
    all(.outcome == "local_failed" and .error.kind == "bad_request" and .attempts == 0)'
# Python reads fields as Latin-1 and drops blanks around a value, but these have none.
# shellcheck disable=SC2016
check 'every byte: values arrive as they were' log world 'map(select(.headers["x-n"])) |
    length == 224 and all((.headers["x-n"][0] | tonumber) as $i |
        (if $i < 128 then [$i] elif $i < 192 then [194, $i] else [195, $i - 64] end) as $c |
        .headers["x-v"] == [[97] + $c + [98] | implode])'
check 'every byte: paths have none that needs to be encoded' log world '
    map(select(.target | startswith("/echo/p"))) | length >= 220 and
    all(.target | test("^/echo/p[0-9]+[!-~]*q?$|[?#]"))'

# --- framing by hand ------------------------------------------------------------------------------

cat tests/e2e/faults_http.txt >"$dir/framing.table"
run_table framing 1 -R 0

# --- sent twice -----------------------------------------------------------------------------------

# seen FAULT: how often the rude one was asked for it since the last time.
seen() {
    curl -s "http://$rude/seen" | jq ".faults[\"$1\"].requests // 0"
    curl -s "http://$rude/seen/reset" >/dev/null
}

# twice WHAT ATTEMPTS MAYBE FLAGS...: a request that is answered by the end of the connection.
twice() {
    what=$1 attempts=$2 maybe=$3
    shift 3
    for fault in close-at-once rst-at-once; do
        seen $fault >/dev/null
        ask -R 3 "$@" "http://$rude/$fault"
        check "$fault: $what" record ".attempts == $attempts and
            .outcome == \"transport_failed\" and (.maybe_applied // false) == $maybe"
        check "$fault: $what: so often" [ "$(seen $fault)" -eq "$attempts" ]
    done
}
twice GET 4 false
twice HEAD 4 false -X HEAD
twice PUT 4 false -X PUT -d x
twice DELETE 4 false -X DELETE
twice POST 1 true -d x
twice PATCH 1 true -X PATCH -d x
twice 'POST with --retry-unsafe' 4 true -d x --retry-unsafe
twice 'POST with Idempotency-Key' 4 false -d x -H 'Idempotency-Key: 1'
echo "{\"url\":\"http://$rude/close-at-once\",\"method\":\"POST\",\"idempotent\":true}" >"$dir/in"
ask -R 3 "$dir/in"
check 'POST marked idempotent' record '.attempts == 4 and .maybe_applied != true'
ask -R 3 -d x http://127.0.0.1:1/
check 'POST to where nobody is: nothing was sent, so it is tried again' \
    record '.attempts == 4 and .maybe_applied != true'

# A connection that ends when it is used again.
seen stale >/dev/null
printf '{"url":"http://%s/stale"}\n' "$rude" "$rude" "$rude" >"$dir/in"
check 'stale: GET is replayed' ask -R 0 -c 1 "$dir/in"
check 'stale: that is no attempt' records 'length == 3 and all(.status == 200 and .attempts == 1)'
check 'stale: each got one answer' [ "$(seen stale)" -eq 3 ]
printf '{"url":"http://%s/stale"}\n{"url":"http://%s/chunk-trailers","body":"x"}\n' \
    "$rude" "$rude" >"$dir/in"
ask -R 3 -c 1 --order input "$dir/in"
check 'stale: POST is not' records '.[0].status == 200 and (.[1] | (.status == 200 or
    (.outcome == "transport_failed" and .maybe_applied)) and .attempts == 1)'
finish

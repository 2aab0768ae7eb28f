#!/bin/sh
# The records: their keys, bodies, headers and order, when they are written and how.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_server rude "$RUDE"
rude=http://127.0.0.1:$port
start_base

# --- keys ---------------------------------------------------------------------------------------

given '{"url":"%s/echo","id":"a","meta":1}\n' "$base"
try -q --headers all --echo
now=$(date +%s)
expect 'a success has these keys, small ones first, the body last' 0 \
    '.[0] | keys_unsorted == ["index", "id", "outcome", "status", "attempts", "url", "t", "ms",
        "bytes", "reused", "headers", "meta", "request", "body"]'
expect 'with these values' 0 \
    '.[0] | .index == 0 and .outcome == "success" and .status == 200 and .attempts == 1
        and (.t > '"$now"' - 60 and .t < '"$now"' + 60) and .bytes.out > 50 and .bytes.in > 100
        and .reused == false and .headers["content-type"] == ["application/json"]
        and (.ms | (keys - ["slot", "rate", "origin", "gate", "backoff"] | sort)
            == ["all", "connect", "dns", "queue", "tls", "total", "ttfb"])
        and (.ms | all(.[]; type == "number" and . >= 0)) and .ms.ttfb <= .ms.total
        and .ms.total <= .ms.all + 0.001 and .request.id == "a"'

given '{"url":"%s/hang","timeout":0.1,"id":7}\nPOST %s/eof\nhttp://127.0.0.1:1/\n{"bad"\n' \
    "$base" "$base"
try -q -R 0
expect 'outcomes without a status' 1 \
    'sort_by(.index) | map(.outcome) == ["timeout_exhausted", "transport_failed",
            "transport_failed", "invalid"]
        and all(.status == null)
        and map(.error.kind) == ["timeout", "closed", "refused", "bad_line"]
        and .[0].error.phase == "first_byte" and all(.error.message | length > 10)
        and map(.maybe_applied) == [false, true, false, null]
        and (map(has("body")) | any | not)'
expect 'error stands behind the times' 1 \
    'sort_by(.index) | .[0] | keys_unsorted | .[:6] == ["index", "id", "outcome", "status",
            "attempts", "url"] and index("ms") < index("error")'
expect 'a bad line has its own' 1 \
    'sort_by(.index) | .[3] | keys_unsorted == ["index", "outcome", "status", "attempts", "error",
                                                "line"] and .line == "{\"bad\""'

given '%s/items/1\n%s/status/404\n%s/status/503\n' "$base" "$base" "$base"
try -q -R 1 --backoff 1ms -c 1
expect 'one line per request, whatever came of it' 1 \
    'sort_by(.index) | map([.outcome, .status, .attempts])
        == [["success", 200, 1], ["hard_fail", 404, 1], ["soft_exhausted", 503, 2]]
        and (map(.reused) | .[1:] | all)'

given 'http://user:secret@%s/items/1\nhttp://user:secret@127.0.0.1:1/\n' "${base#http://}"
try -v -R 0
expect 'userinfo becomes ***' 1 'map(select(.url != null)) | all(.url | contains("***@"))'
check 'and the password is nowhere' sh -c "! cat '$dir/out' '$dir/err' | grep -q secret"

is_ascii() {
    [ "$(LC_ALL=C tr -d '\000-\177' <"$dir/out" | wc -c)" -eq 0 ]
}

# --- bodies -------------------------------------------------------------------------------------

given '{"url":"%s/echo","body":"ü\\u2028\\u2029😀\\u007f"}' "$base"
try -q
expect 'a body is text' 0 '.[0].body | fromjson.body == "ü\u2028\u2029😀\u007f"'
check 'U+2028 and U+2029 are escaped' grep -qF 'ü\u2028\u2029😀' "$dir/out"
try -q --ascii
expect '--ascii: the same' 0 '.[0].body | fromjson.body == "ü\u2028\u2029😀\u007f"'
check 'in ASCII' is_ascii
try -q --ascii --body json
expect '--ascii --body json: the same' 0 '.[0].json.body == "ü\u2028\u2029😀\u007f"'
check 'in ASCII' is_ascii
try -q --body json
expect '--body json: embedded' 0 \
    '.[0] | .json.body == "ü\u2028\u2029😀\u007f" and (has("body") | not)'
check 'U+2028 is escaped there too' grep -qF 'ü\u2028\u2029😀' "$dir/out"

given '%s/items/7\n' "$base"
try -q --body json
check '--body json: verbatim' grep -qF '"json":{"id":7,"name":"item 7"}}' "$dir/out"
try -q --body base64
expect '--body base64' 0 '.[0] | (.body_base64 | @base64d) == "{\"id\":7,\"name\":\"item 7\"}"
    and (has("body") or has("json") | not)'
try -q --body none
expect '--body none' 0 \
    '.[0] | (has("body") or has("json") or has("body_base64") | not) and .bytes.in > 20'

given '%s/bytes/10\n%s/binary-body\n%s/gzip-corrupt\n%s/status/304\n' \
    "$base" "$rude" "$rude" "$base"
for mode in auto json; do
    try -q --body $mode
    expect "--body $mode: text, else base64, else nothing" 0 \
        'sort_by(.index) | .[0].body == "abcdefghij" and (.[1] | has("body") | not)
            and .[2].body_base64 == "H4sIAGhlbGxvIQ==" and (.[3] | has("body") | not)'
    check 'all 256 bytes' [ "$(jq -r 'select(.index == 1).body_base64' "$dir/out" | base64 -d |
        od -An -v -tu1 | tr -s ' \n' '  ')" = " $(seq -s ' ' 0 255) " ]
done

given '%s/bytes/100\n%s/chunked/100\n%s/close/100\n%s/bytes/10\n' "$base" "$base" "$base" "$base"
try -q --max-body 10
expect '--max-body' 1 \
    'sort_by(.index) | (.[:3] | all(.outcome == "local_failed" and .error.kind == "body_too_large"
        and .status == 200)) and .[3].outcome == "success"
        and (map(.body // "" | length) | max <= 10)'
try -q --max-body 1k
expect '--max-body 1k' 0 'all(.outcome == "success" and .status == 200)'

given 'HEAD %s/bytes/100\nHEAD %s/items/1\n' "$base" "$base"
try -q --headers content-length
expect 'HEAD' 0 'sort_by(.index) | .[0].headers == {"content-length": ["100"]}
    and all(.status == 200 and (has("body") | not))'

# --- headers, id, echo --------------------------------------------------------------------------

given '%s/items/1\n' "$base"
try -q
expect 'no headers without --headers' 0 '.[0] | has("headers") | not'
try -q --headers 'Content-Type, nothing'
expect '--headers NAME,..' 0 '.[0].headers == {"content-type": ["application/json"]}'
try -q --headers none
expect '--headers none' 0 '.[0] | has("headers") | not'

for name in bad-utf8-header utf8-header esc-in-header quote-in-header latin1-reason obs-fold; do
    echo "$rude/$name"
done >"$dir/in"
try -q -R 0 --headers all
check 'strange headers: UTF-8' iconv -f UTF-8 -t UTF-8 -o /dev/null "$dir/out"
check 'no control characters' sh -c "! LC_ALL=C grep -q '[[:cntrl:]]' '$dir/out'"
check 'strange headers: JSON' records_are \
    'sort_by(.index) | length == 6 and .[3].headers["x-a"] == ["\"a\\b\", {}"]
        and .[2].headers["x-a"] == ["\u001b[31mred"] and .[5].headers["x-a"] == ["one two"]'

given '%s/items/1\n  %s/items/2\t\n{"url" : "%s/items/3"}\n' "$base" "$base" "$base"
try -q --echo
expect '--echo: the line, or its object' 0 \
    'sort_by(.index) | map(.request)
        == ["'"$base"'/items/1", "'"$base"'/items/2", {url: "'"$base"'/items/3"}]'
check 'the object verbatim' grep -qF "\"request\":{\"url\" : \"$base/items/3\"}" "$dir/out"

# --- rejects ------------------------------------------------------------------------------------

given '%s/items/1
{"id": 1, "url" : "%s/status/404"}
{"bad"\t
%s/flaky/again/1
POST %s/status/410\n' \
    "$base" "$base" "$base" "$base"
sed -n '2,5p' "$dir/in" | sort >"$dir/wanted"
try -q -R 0 --rejects "$dir/again"
expect '--rejects: exit 1, all records' 1 'length == 5'
sort "$dir/again" >"$dir/sorted"
check 'the lines of what failed, verbatim' cmp "$dir/wanted" "$dir/sorted"
cp "$dir/again" "$dir/in"
try -q -R 0 --rejects "$dir/again2"
expect 'fed back: one of them succeeds now' 1 \
    'length == 4 and (map(select(.outcome == "success")) | length == 1)'
check 'and three remain' [ "$(wc -l <"$dir/again2")" -eq 3 ]
# Byte for byte, CR LF too; a last line without its end gets one.
given '\357\273\277%s/status/404\r\n{"url": "%s/status/410" }\r\n{"bad"\r\n%s/gone\n  %s/no ' \
    "$base" "$base" "$base" "$base"
{ tail -c +4 "$dir/in"; echo; } >"$dir/wanted"
same_rejects() {
    sort "$dir/wanted" >"$dir/wanted.sorted"
    sort "$dir/again" | cmp - "$dir/wanted.sorted"
}
try -q --rejects "$dir/again"
check 'CR LF: the lines of what failed, verbatim' same_rejects
cp "$dir/again" "$dir/in"
for round in first second; do       # they come out of the journal then
    try -q -j "$dir/crlf.journal" -o "$dir/crlf.out" --rejects "$dir/again"
    check "CR LF, a journal, $round run: verbatim" same_rejects
done
yes "$base/status/404" | head -n 300 | sed 's/$/\r/' >"$dir/in"
cp "$dir/in" "$dir/wanted"
for from in "$dir/in" -; do
    try -q -c 2 --max-fail 1 --drain-input --rejects "$dir/again" "$from"
    check "CR LF, after a stop, $from: verbatim" same_rejects
done
printf 'id,name\r\n404,"a\r\nb"\r\n200,c\r\n410,d\n' >"$dir/1.csv"
printf 'id,name\n403,e\r\n' >"$dir/2.csv"
try -q --csv -T "$base/status/{id}" -d '{name}' --rejects "$dir/again" "$dir/1.csv" "$dir/2.csv"
printf 'id,name\r\n404,"a\r\nb"\r\n410,d\n403,e\r\n' >"$dir/wanted"
check 'CR LF, CSV: verbatim' same_rejects
check '... the names first' sh -c "head -n 1 '$dir/again' | grep -q '^id,name'"

given '%s/items/1\n' "$base"
try -q --rejects "$dir/again"
check 'no rejects: an empty file' sh -c "[ -e '$dir/again' ] && [ ! -s '$dir/again' ]"

# --- order --------------------------------------------------------------------------------------

i=0
while [ $i -lt 200 ]; do
    if [ $((i % 7)) -eq 3 ]; then
        echo '{"bad"'
    else
        echo "$base/delay/$((i * 37 % 20))"
    fi
    i=$((i + 1))
done >"$dir/in"
try -q -c 10 --order input
expect '--order input: also bad lines in their place' 1 'map(.index) == [range(200)]'
try -q -c 10
expect 'order of completion: other, but complete' 1 \
    'map(.index) != [range(200)] and (map(.index) | sort) == [range(200)]'
given '%s/delay/300\n{"bad"\n%s/items/1\n{"bad"\n' "$base" "$base"
try -q --order input
expect 'bad lines wait for the slow one before them' 1 'map(.index) == [0, 1, 2, 3]'
given '{"bad"\n%s/items/1\n{"bad"\n' "$base"
try -q --order input -o "$dir/file"
check 'nothing on stdout with -o' [ ! -s "$dir/out" ]
cp "$dir/file" "$dir/out"
expect '-o FILE' 1 'map(.index) == [0, 1, 2]'
try -q --order input -o -
expect '-o - is stdout' 1 'map(.index) == [0, 1, 2]'

# --- everything a server can do -----------------------------------------------------------------

curl -s "$rude/list" | cut -f 1 | sed "s|^|$rude/|" >"$dir/in"
count=$(wc -l <"$dir/in")
try -q -R 0 -t 1 -c 30 --headers all --max-body 1M
expect 'all faults: one record each' 1 \
    'length == '"$count"' and (map(.index) | sort) == [range('"$count"')]
        and all((.status == null) == (has("reused") | not))
        and all(.outcome == "success" or has("error") or .status >= 400)'
check 'all faults: UTF-8' iconv -f UTF-8 -t UTF-8 -o /dev/null "$dir/out"

# --- how it is written --------------------------------------------------------------------------

# Under strace the sanitizers' search for leaks does not work: the plain build.
if strace -o /dev/null true 2>/dev/null; then
    i=0
    while [ $i -lt 60 ]; do
        echo "$base/bytes/$((i * 700))"
        i=$((i + 1))
    done >"$dir/in"
    timeout -k 2 60 strace -f -e trace=write,writev -s 20000000 -o "$dir/strace" \
        "$SPARP_PLAIN" -q -c 20 <"$dir/in" >"$dir/out" 2>"$dir/err"
    status=$?
    expect 'under strace' 0 'length == 60'
    writes=$(grep -cE 'writev?\(1, ' "$dir/strace")
    # shellcheck disable=SC1003
    torn=$(grep -E 'writev?\(1, ' "$dir/strace" | grep -cvE '\\n", [0-9]+\) += [0-9]+$')
    check 'a write carries whole records' [ "$torn" -eq 0 ]
    check 'and none waits for the end' [ "$writes" -ge 2 ]
else
    skip 'no strace'
fi

# first_line NAME FLAGS...: a line goes in, its record comes out, and only then more goes in.
first_line() {
    name=$1
    shift
    mkfifo "$dir/$name.fifo"
    : >"$dir/out"
    timeout -k 2 $limit "$SPARP" -q "$@" <"$dir/$name.fifo" >"$dir/out" 2>"$dir/err" &
    sparp=$!
    exec 8>"$dir/$name.fifo"
    echo "$base/items/1" >&8
    until_true [ -s "$dir/out" ]
    check "$name: the first record comes while the input is open" \
        [ "$(wc -l <"$dir/out") $(kill -0 $sparp 2>/dev/null; echo $?)" = '1 0' ]
    echo '{"bad"' >&8
    two() { [ "$(wc -l <"$dir/out")" -eq 2 ]; }
    check "$name: so does that of a bad line" until_true two
    printf '%s/items/3' "$base" >&8
    exec 8>&-
    status=0
    wait $sparp || status=$?
    expect "$name: and the rest" 1 'map(.index) == [0, 1, 2]'
}
first_line completion
first_line input --order input

mkfifo "$dir/argument.fifo"
: >"$dir/out"
{
    echo "$base/items/1"
    until_true [ -s "$dir/out" ]
    echo "$base/items/2"
} >"$dir/argument.fifo" &
try -q "$dir/argument.fifo"
wait $!
expect 'a fifo as FILE' 0 'length == 2'

if locale -a 2>/dev/null | grep -qi '^de_DE'; then
    given '%s/delay/10\n' "$base"
    LC_ALL=$(locale -a | grep -i '^de_DE' | head -n 1)
    try --summary json
    LC_ALL=C.UTF-8
    expect 'a decimal comma is no concern' 0 '.[0].ms.total > 9'
    check 'nor in the summary' holds "$dir/err" '.latency_ms.min > 9'
else
    skip 'no de_DE locale'
fi

# Nobody reads for a while: what came in meanwhile has come in time.
seq 1 100 | {
    timeout -k 2 "$limit" "$SPARP" -q -c 10 -t 500ms -R 0 -T "$base/bytes/20000?{}" 2>"$dir/err"
} | {
    sleep 1
    cat
} >"$dir/out"
check 'a slow reader makes no timeouts' records_are \
    'length == 100 and all(.outcome == "success" and (.body | length) == 20000)'
check 'no report of a sanitizer' no_report

# A body of many buffers' size is one record.
given '%s/bytes/5000000\n%s/chunked/3000000\n' "$base" "$base"
try -q
expect 'bodies of megabytes' 0 'sort_by(.index) | map(.body | length) == [5000000, 3000000]'

# --- schemas ------------------------------------------------------------------------------------

if ! [ -e tools/result.schema.json ]; then
    skip 'no schemas'
elif python3 -c 'import jsonschema' 2>/dev/null; then
    valid() {
        python3 -W ignore - "$1" "$2" <<'PYTHON'
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
kind = jsonschema.validators.validator_for(schema)
kind.check_schema(schema)
bad = 0
for line in open(sys.argv[2], encoding="utf-8"):
    for error in kind(schema).iter_errors(json.loads(line)):
        print("    " + error.message[:200])
        bad += 1
sys.exit(bad > 0)
PYTHON
    }
    cat >"$dir/in" <<INPUT
{"url":"$base/echo","method":"PUT","id":[1],"query":{"a":[1,"b",true]},"json":{},"meta":null}
{"url":"$base/echo","headers":{"X":"1","Y":["2","3"],"Z":null},"timeout":2.5,"idempotent":true}
{"url":"$base/echo","custom_id":"x","body":"text","cost":0.5}
{"url":"$base/echo","body":[1],"cost":0}
{"url":"$base/echo","body_base64":"AP/+gA"}
{"url":"$base/echo","body_file":"$dir/in"}
{"url":"$base/echo","body_file":"$dir/nowhere"}
{"url":"$base/echo","form":{"a":[1,"b",true],"c":""}}
{"url":"$base/status/404"}
{"url":"$base/hang","timeout":0.1}
{"url":"$base/retry-after/schema/1000"}
{"url":"$base/bytes/2000"}
{"url":"$base/redirect/302/2"}
{"url":"$base/redirect/302/11"}
{"url":"http://127.0.0.1:1/"}
INPUT
    check 'schema: inputs' valid tools/request.schema.json "$dir/in"
    echo '{"bad"' >>"$dir/in"
    for mode in auto json base64 none; do
        try -q -R 0 --headers all --echo --max-body 1000 --body $mode
        check "schema: records with --body $mode" valid tools/result.schema.json "$dir/out"
    done
    try -q -R 0 --max-cost 1000 --cost-burst 1000
    check 'schema: records with a cost' valid tools/result.schema.json "$dir/out"
    check 'schema: ... which some have' grep -q '"cost"' "$dir/out"
    try -q -R 0 --body-dir "$dir/bodies"
    check 'schema: records with --body-dir' valid tools/result.schema.json "$dir/out"
    check 'schema: ... of which some have one' grep -q '"body_file"' "$dir/out"
    try -q -R 0 --stop-on hard-fail -c 1
    check 'schema: records after a stop' valid tools/result.schema.json "$dir/out"
    try -n --max-cost 5
    check 'schema: records of a dry run' valid tools/result.schema.json "$dir/out"
    echo '{"url":"x","unknown":1}' >"$dir/strange"
    check 'schema: an unknown key is none' sh -c \
        "! python3 -W ignore -m jsonschema -i '$dir/strange' tools/request.schema.json 2>/dev/null"
else
    skip 'no jsonschema for python3'
fi
finish

#!/bin/sh
# What the command takes for a request: lines, objects, templates, files, arguments.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base

# --- lines --------------------------------------------------------------------------------------

given '# one\n\n  \t\n%s/items/1\n \t# two\n%s/items/2\n' "$base" "$base"
try -q
expect 'comments and blank lines are counted, not sent' 0 \
    'map(.index) == [3, 5] and all(.status == 200)'

given '\357\273\277%s/items/1\r\n%s/items/2\r\n\r\n' "$base" "$base"
try -q
expect 'BOM and CR are dropped' 0 \
    'map(.index) == [0, 1] and all(.status == 200) and all(.url | test("\r|\ufeff") | not)'

given '\357\273\277{"url":"%s/items/1"}\r\n%s/items/2' "$base" "$base"
try -q
expect 'BOM before an object, no LF at the end' 0 'length == 2 and all(.status == 200)'

given '%s/echo\nDELETE %s/echo\n{"method":"PATCH","url":"%s/echo"}\nPOST %s/echo\n' \
    "$base" "$base" "$base" "$base"
try -q --body json
expect 'METHOD SP URL, objects and URLs mixed' 0 \
    'sort_by(.index) | map(.json.method) == ["GET", "DELETE", "PATCH", "POST"]'

given 'post %s/echo\nGet %s/echo\nhead %s/echo\n' "$base" "$base" "$base"
try -q --body json
expect 'the methods of fetch in lower case are raised there, too' 0 \
    'sort_by(.index) | map(.json.method) == ["POST", "GET", null]'
given 'patch %s/echo\n' "$base"
try -q
expect 'another word in lower case is no method' 1 '.[0].outcome == "invalid"'

given ''
try -q
expect 'empty input: nothing, exit 0' 0 '. == []'
silent 'and nothing said'

given '\n\n# nothing\n'
try -q
expect 'nothing but comments' 0 '. == []'

given '# a comment\n%s/items/1\n' "$base"
try -q --format jsonl
expect '--format jsonl: a URL is a bad line' 1 'all(.outcome == "invalid") and length == 2'
given '{"url":"%s/items/1"}\n%s/items/2\n' "$base" "$base"
try -q --format url
expect '--format url: an object is a bad line' 1 \
    'sort_by(.index) | map(.outcome) == ["invalid", "success"]'

# --- the keys of an object ----------------------------------------------------------------------

given '{"url":"%s/echo?x=1#f","query":{"b":"2 x","a":[1,true,"ü&="],"c":1.50,"":""}}\n' "$base"
try -q --body json
expect 'query: appended in its order, encoded, numbers as written' 0 \
    '.[0].json.url == "/echo?x=1&b=2%20x&a=1&a=true&a=%C3%BC%26%3D&c=1.50&="'

given '{"url":"%s/echo","headers":{"X-One":"1","X-Two":["a","b"],"X-Gone":null,"x-mine":"l"}}' \
    "$base"
try -q --body json -H 'X-Gone: here' -H 'X-Mine: default' -H 'X-Kept: k'
expect 'headers: string, array, null; the line wins' 0 \
    '.[0].json.headers | .["x-one"] == "1" and .["x-two"] == "a, b" and .["x-mine"] == "l"
        and .["x-kept"] == "k" and (has("x-gone") | not)'

given '{"url":"%s/echo","json":{"a": 1.0e2,  "b":"\\u00e9","c":12345678901234567890}}' "$base"
try -q --body json
expect 'json: sent as written' 0 \
    '.[0].json | .method == "POST" and .headers["content-type"] == "application/json"
        and .body == "{\"a\": 1.0e2,  \"b\":\"\\u00e9\",\"c\":12345678901234567890}"'

given '{"url":"%s/echo","body":{"a" :[1]}}
{"url":"%s/echo","body":"n\\u00fc\\u0001\\n","method":"PUT"}' \
    "$base" "$base"
try -q --body json
expect 'body: an object is JSON, a string is its bytes' 0 \
    'sort_by(.index) | map(.json | [.method, .body])
        == [["POST", "{\"a\" :[1]}"], ["PUT", "nü\u0001\n"]]'

given '{"url":"%s/echo","json":null}\n{"url":"%s/echo","body":""}\n' "$base" "$base"
try -q --body json
expect 'json null and an empty body are bodies' 0 \
    'sort_by(.index) | map(.json | [.method, .body]) == [["POST", "null"], ["POST", ""]]'

given '{"url":"%s/echo","body_base64":"AAH\\/+w"}
{"url":"%s/echo","body_base64":"","method":"PUT"}' "$base" "$base"
try -q --body json -d default
expect 'body_base64: its bytes arrive' 0 \
    'sort_by(.index) | map(.json | [.method, .body])
        == [["POST", "\u0000\u0001\u00ff\u00fb"], ["PUT", ""]]'

given '{"url":"%s/echo","form":{"a b":["x y","&=+"],"n":[1.50,true],"ü*~":""}}
{"url":"%s/echo","form":{},"headers":{"content-type":"text/own"}}
{"url":"%s/echo","form":{},"headers":{"Content-Type":null}}' "$base" "$base" "$base"
try -q --body json
expect 'form: encoded as forms are, the line may set the type' 0 \
    'sort_by(.index) | map(.json | [.method, .body, .headers["content-type"]])
        == [["POST", "a+b=x+y&a+b=%26%3D%2B&n=1.50&n=true&%C3%BC*%7E=",
             "application/x-www-form-urlencoded"], ["POST", "", "text/own"], ["POST", "", null]]'

mkdir -p "$dir/files"
printf 'bytes \000\377 of a file' >"$dir/files/data"
: >"$dir/files/empty"
mkfifo "$dir/files/fifo"
printf '{"id":"%s","url":"%s/echo","body_file":"%s"}\n' one "$base" data two "$base" empty \
    three "$base" "$dir/files/data" gone "$base" nowhere fifo "$base" fifo folder "$base" . \
    four "$base" ../files/data >"$dir/files/in.jsonl"
forget
try -q --body json --order input --rejects "$dir/rejects" "$dir/files/in.jsonl"
expect 'body_file: relative to its input file' 1 \
    'map(select(.outcome == "success") | [.id, .json.method, .json.body])
        == [["one", "POST", "bytes \u0000\u00ff of a file"], ["two", "POST", ""],
            ["three", "POST", "bytes \u0000\u00ff of a file"],
            ["four", "POST", "bytes \u0000\u00ff of a file"]]'
expect 'one that cannot be read: a record, the run goes on' 1 \
    'length == 7 and (.[3:6] | all(.outcome == "local_failed" and .attempts == 0
            and .error.kind == "bad_request") and map(.id) == ["gone", "fifo", "folder"]
        and (map(.error.message) | (.[0] | test("files/nowhere: No such file"))
            and (.[1] | test("files/fifo: not a regular file"))
            and (.[2] | test("files/.: not a regular file"))))'
check 'and nothing of it was sent' [ "$(arrived)" -eq 4 ]
check 'and the rejects have their lines' [ "$(wc -l <"$dir/rejects")" -eq 3 ]
given '{"url":"%s/echo","body_file":"tests/server/plain.c"}\n' "$base"
try -q --body json
expect 'body_file: on stdin, relative to where we are' 0 '.[0].json.body | startswith("/* plain.c")'

# 40 files of 32 MiB, one at a time: none of them is ever in memory.
head -c 33554432 /dev/zero >"$dir/files/large"
for i in $(seq 40); do
    printf '{"id":%s,"url":"%s/items/%s","method":"POST","body_file":"%s"}\n' "$i" "$base" "$i" \
        "$dir/files/large"
done >"$dir/in"
"$PEAK" "$dir/peak" "$SPARP_PLAIN" -q -c 1 "$dir/in" >"$dir/out" 2>"$dir/err"
status=$?
expect 'body_file: 40 large ones' 0 'length == 40 and all(.bytes.out > 33554432)'
peak_below() {
    [ "$(cat "$dir/peak")" -lt "$1" ] && return 0
    echo "    peak of $(cat "$dir/peak") KiB"
    return 1
}
check 'in less than 16 MiB' peak_below 16384

given '{"url":"%s/echo","body_base64":"AAEC/+A="}\n{"url":"%s/echo","body_base64":""}\n' \
    "$base" "$base"
try -q --body json
expect 'body_base64: the bytes' 0 'sort_by(.index) | map(.json | [.method, .body])
    == [["POST", "\u0000\u0001\u0002\u00ff\u00e0"], ["POST", ""]]'

given '{"url":"%s/echo","form":{"a":"1 2","b":["x",true,3.0],"ü":"&=+","":""}}\n' "$base"
try -q --body json
expect 'form: encoded as a form' 0 '.[0].json | .method == "POST"
    and .headers["content-type"] == "application/x-www-form-urlencoded"
    and (.body | gsub("%20"; "+")) == "a=1+2&b=x&b=true&b=3.0&%C3%BC=%26%3D%2B&="'

mkdir -p "$dir/sub"
printf 'a\000b\377' >"$dir/sub/body"
: >"$dir/sub/empty"
printf '{"url":"%s/echo","body_file":"body"}\n{"url":"%s/echo","body_file":"nowhere"}
{"url":"%s/echo","body_file":"%s/sub/body"}\n{"url":"%s/echo","body_file":"."}
{"url":"%s/echo","body_file":"empty"}\n{"url":"%s/items/1"}\n' \
    "$base" "$base" "$base" "$dir" "$base" "$base" "$base" >"$dir/sub/in.jsonl"
forget
try -q --body json -R 0 "$dir/sub/in.jsonl"
expect 'body_file: relative to the input file, or absolute; or none' 1 \
    'sort_by(.index) | map(.outcome) == ["success", "local_failed", "success", "local_failed",
                                         "success", "success"]
        and .[0].json.body == "a\u0000b\u00ff" and .[2].json.body == "a\u0000b\u00ff"
        and .[4].json.body == "" and (.[1].error.message | contains("nowhere"))
        and map(.index) == [range(6)]'
check 'body_file: without it nothing is sent' [ "$(arrived)" -eq 4 ]
(cd "$dir/sub" && timeout $limit "$SPARP" -q --body json -R 0 <in.jsonl >../out 2>../err)
status=$?
expect 'body_file: on stdin, relative to the working directory' 1 \
    'sort_by(.index) | .[0].json.body == "a\u0000b\u00ff" and .[1].outcome == "local_failed"'
head -c 1000000 /dev/zero >"$dir/sub/large"
seq 1 20 | sed "s|.*|{\"url\":\"$base/status/200\",\"body_file\":\"large\"}|" >"$dir/sub/in.jsonl"
try -q -c 4 "$dir/sub/in.jsonl"
expect 'body_file: 20 of 1 MB' 0 'length == 20 and all(.bytes.out > 1000000)'

given '{"url":"%s/hang","timeout":0.25}\n' "$base"
try -q -R 0
expect 'timeout: of this request' 1 \
    '.[0] | .outcome == "timeout_exhausted" and .ms.total >= 240 and .ms.total < 5000'

given '{"url":"%s/eof","method":"POST","idempotent":true}\n{"url":"%s/eof","method":"POST"}' \
    "$base" "$base"
try -q --transport-retries 2 --backoff 1ms
expect 'idempotent: a POST that may be sent again' 1 \
    'sort_by(.index) | map(.attempts) == [3, 1] and map(.maybe_applied) == [false, true]'

given '{"id": 1.50e3 ,"url":"%s/items/1","meta":{"x" : [ 1e2,"\\u00e4" ]}}\n' "$base"
try -q
expect 'id and meta' 0 '.[0] | .id == 1500 and .meta == {x: [100, "ä"]}'
check 'id: byte for byte' grep -qF '"id":1.50e3,' "$dir/out"
check 'meta: byte for byte' grep -qF '"meta":{"x" : [ 1e2,"\u00e4" ]}' "$dir/out"

given '{"url":"%s/items/1","custom_id":{"a":[9007199254740993]}}\n' "$base"
try -q
check 'custom_id is id, 64 bits stay whole' grep -qF '"id":{"a":[9007199254740993]}' "$dir/out"

# --- bad lines ----------------------------------------------------------------------------------

# bad COLUMN LINE (a printf format): is bad there, and its neighbours are not.
is_bad() {
    expected=$1
    # shellcheck disable=SC2059
    {
        printf '%s/items/1\n' "$base"
        printf "$2\n"
        printf '%s/items/2\n' "$base"
    } >"$dir/in"
    forget
    try -q
    as_wanted 1 'sort_by(.index) | map(.outcome) == ["success", "invalid", "success"]
            and (.[1] | .status == null and .attempts == 0 and .error.kind == "bad_line"
                 and has("line")
                 and (.error.message | startswith("line 2, column '"$expected"': ")))' &&
        [ "$(arrived)" -eq 2 ]
}

bad() {
    check "bad at column $1: $2" is_bad "$1" "$2"
}

u='"url":"http://127.0.0.1:1/"'
bad 8  '{"url" 1}'
bad 8  '{"url":1}'
bad 2  '{'
bad 2  "{'url':1}"
bad 1  '{}'
bad 30 "{$u,}"
bad 29 "{$u"
bad 31 "{$u} x"
bad 30 "{$u}{$u}"
bad 30 "{$u,$u}"
bad 30 "{$u,\"unknown\":1}"
bad 39 "{$u,\"json\":1,\"body\":\"x\"}"
bad 40 "{$u,\"form\":{},\"body_file\":\"x\"}"
bad 48 "{$u,\"body_base64\":\"Zm9_\"}"
bad 42 "{$u,\"form\":{\"a\":null}}"
bad 42 "{$u,\"body_file\":[]}"
bad 37 "{$u,\"id\":1,\"custom_id\":2}"
bad 35 "{$u,\"id\":01}"
bad 35 "{$u,\"id\":NaN}"
bad 37 "{$u,\"id\":1.}"
bad 35 "{$u,\"id\":tru}"
bad 37 "{$u,\"id\":\"\\\\x\"}"
bad 40 "{$u,\"timeout\":-1}"
bad 40 "{$u,\"timeout\":\"5\"}"
bad 40 "{$u,\"timeout\":1e999}"
bad 43 "{$u,\"idempotent\":1}"
bad 40 "{$u,\"headers\":[]}"
bad 45 "{$u,\"headers\":{\"a\":1}}"
bad 49 "{$u,\"headers\":{\"a\":\"1\",\"A\":\"2\"}}"
bad 43 "{$u,\"query\":{\"a\":null}}"
bad 37 "{$u,\"body\":1}"
bad 46 "{$u,\"body_base64\":\"A===\"}"
bad 49 "{$u,\"body_base64\":\"AAAA*\"}"
bad 44 "{$u,\"body_base64\":1}"
bad 42 "{$u,\"body_file\":1}"
bad 37 "{$u,\"form\":[]}"
bad 40 "{$u,\"body\":\"\",\"form\":{}}"
bad 39 "{$u,\"method\":\"\\\\ud800\"}"
bad 2  '{\377"url":1}'
bad 18 'http://127.0.0.1/\300\200'
bad 18 'http://127.0.0.1/\355\240\200'
bad 1  'no/absolute/url'
bad 1  'ftp://127.0.0.1/'
bad 6  'POST nothing'
bad 1  'null'
bad 1  '[1]'

printf '%s/items/1\nhttp://127.0.0.1/a\000b\n{"url":"%s/items/2","id":"\000"}\n%s/items/3\n' \
    "$base" "$base" "$base" >"$dir/in"
try -q
expect 'NUL bytes' 1 \
    'sort_by(.index) | map(.outcome) == ["success", "invalid", "invalid", "success"]'

given '{"url":"%s/items/1","id":"\\ud83d\\ude00"}\n{"url":"%s/items/2","body":"\\udc00"}\n' \
    "$base" "$base"
try -q
expect 'surrogates: a pair is fine, half of one is not' 1 \
    'sort_by(.index) | .[0].id == "😀" and map(.outcome) == ["success", "invalid"]'

# What is well-formed JSON but no HTTP is refused before anything is sent, and the rest goes on.
given '{"url":"%s/items/1","method":"GET\\r\\nX: 1"}
{"url":"%s/items/1","headers":{"X":"1\\r\\nY: 2"}}
{"url":"%s/items/1","headers":{"X Y":"1"}}
{"url":"%s/items/1\\r\\nX: 1"}
{"url":"%s/items/1","headers":{"Content-Length":"3"}}
{"url":"%s/items/1","headers":{"Transfer-Encoding":"chunked"}}
{"url":"%s/items/1","headers":{"":"1"}}
{"url":"http://127.0.0.1:65536/"}
{"url":"http:///"}
{"url":"https://127.0.0.1:0/"}
{"url":"%s/items/1"}\n' "$base" "$base" "$base" "$base" "$base" "$base" "$base" "$base"
forget
try -q
expect 'injection, framing by hand, ports out of range: local_failed' 1 \
    'sort_by(.index) | length == 11 and (.[:10] | all(.outcome == "local_failed" and .attempts == 0
        and .status == null)) and .[10].outcome == "success"'
check 'and nothing of it was sent' [ "$(arrived)" -eq 1 ]

head -c 16777216 /dev/zero | tr '\0' a >"$dir/long"
{
    printf '%s/items/1\n' "$base"
    printf '{"url":"'
    cat "$dir/long"
    printf '\n{"url":"%s/status/200","body":"' "$base"
    cat "$dir/long"
    printf '"}\n'
    printf '%s/items/2\n' "$base"
} >"$dir/in"
try -q
expect 'lines of 16 MiB' 1 \
    'sort_by(.index) | map(.outcome) == ["success", "invalid", "success", "success"]
        and .[2].bytes.out > 16777216 and (.[1].line | length) <= 4096 and .[1].truncated'

{
    printf '{"url":"%s/items/1","id":' "$base"
    head -c 200000 /dev/zero | tr '\0' '['
    printf '\n{"url":"%s/items/1","id":' "$base"
    head -c 200000 /dev/zero | tr '\0' '['
    head -c 200000 /dev/zero | tr '\0' ']'
    printf '}\n%s/items/2\n' "$base"
} >"$dir/in"
status=0
timeout -k 2 $limit "$SPARP" -q <"$dir/in" 2>"$dir/err" | cut -c 1-100 >"$dir/out"
check '200,000 brackets' [ "$(grep -c '"index":[012],' "$dir/out")" -eq 3 ]
check 'no report of a sanitizer' no_report

given '%s/items/1\n{"url" 1}\nftp:\n%s/items/2\n' "$base" "$base"
try
expect '--on-bad-line record is the default' 1 'length == 4'
said 'one line about all bad lines' 'stdin:2:8: expected .:.* +\(2 bad lines; see outcome .invalid'
try --on-bad-line skip
expect '--on-bad-line skip: no records, exit 0' 0 \
    'sort_by(.index) | map(.index) == [0, 3] and all(.outcome == "success")'
said 'but it is said' '2 bad lines; skipped'
try -q --on-bad-line fail
check '--on-bad-line fail: not 0, not 1' [ "$status" -gt 1 ]
given '{"url" 1}\n%s/items/2\n' "$base"
forget
try -q --on-bad-line fail
check 'and 2 when nothing was sent' ended 2
check 'which is so' [ "$(arrived)" -eq 0 ]

# --- parts of the input -------------------------------------------------------------------------

seq 0 5 | sed "s|^|$base/items/|" >"$dir/in"
try -q --skip 2 --limit 3
expect '--skip and --limit: the index is that of the whole input' 0 \
    'map(.index) | sort == [2, 3, 4]'
try -q --limit 0
expect '--limit 0' 0 '. == []'
try -q --skip 100
expect '--skip beyond the end' 0 '. == []'
try -q --skip 4 --limit 100
expect '--limit beyond the end' 0 'map(.index) | sort == [4, 5]'

# --- templates ----------------------------------------------------------------------------------

given 'a b/ü\n\n%%\nx&y=z\n{"url":"%s/echo"}\n' "$base"
try -q --body json -T "$base/echo?q={}"
expect '-T: {} is the line, encoded; objects stay objects' 0 \
    'sort_by(.index) | map(.json.url)
        == ["/echo?q=a%20b%2F%C3%BC", "/echo?q=%25", "/echo?q=x%26y%3Dz", "/echo"]'
given 'one\ttwo 2\nthree\tfo/ur\tfive\n'
try -q --body json -T "$base/echo/{1}?b={2}&a={1}"
expect '-T: {1} and {2} are the columns' 0 \
    'sort_by(.index) | map(.json.url)
        == ["/echo/one?b=two%202&a=one", "/echo/three?b=fo%2Fur&a=three"]'
given 'a/b?c=d\n'
try -q --body json -T "$base/echo/{raw}"
expect '-T: {raw} is as it is' 0 '.[0].json.url == "/echo/a/b?c=d"'
refused '-T without {}' '\{\}' -T "$base/items/1"

# --- files and arguments ------------------------------------------------------------------------

printf '%s/items/1\n{"bad"\n' "$base" >"$dir/one.txt"
printf '\357\273\277{"url":"%s/items/2"}\n{"bad"\n%s/items/3' "$base" "$base" >"$dir/two.jsonl"
given '%s/items/4\n' "$base"
try -q "$base/items/0" "$dir/one.txt" - "$base/items/5" "$dir/two.jsonl"
expect 'URLs, files and stdin in their order' 1 \
    'sort_by(.index) | map(.index) == [0, 1, 2, 3, 4, 5, 6, 7]
        and map(.url // "-" | split("/") | last) == ["0", "1", "-", "4", "5", "2", "-", "3"]'
expect 'the line number is that of the file' 1 \
    '[.[] | select(.outcome == "invalid") | .error.message] | sort
        | (.[0] | contains("one.txt") and contains("line 2,"))
            and (.[1] | contains("two.jsonl") and contains("line 2,"))'

mkdir -p "$dir/http:"
printf '%s/items/1\n' "$base" >"$dir/-file"
printf '%s/items/2\n' "$base" >"$dir/http:/file"
(cd "$dir" && timeout $limit "$SPARP" -q ./http://file -- -file >out 2>err)
status=$?
expect 'files of strange names' 0 'length == 2 and all(.status == 200)'

refused 'a file that is not there: nothing is sent' 'nowhere' "$base/items/0" "$dir/nowhere"
refused 'a directory' 'directory' "$base/items/0" "$dir"
if [ "$(id -u)" -ne 0 ]; then
    : >"$dir/locked"
    chmod 000 "$dir/locked"
    refused 'a file without permission' 'ermission' "$base/items/0" "$dir/locked"
fi
cp "$dir/one.txt" "$dir/both"
refused 'input and output in one file' 'input and output' "$dir/both" -o "$dir/both"
check 'and the file is as it was' cmp -s "$dir/one.txt" "$dir/both"

given ''
status=0
timeout $limit "$SPARP" -q <&- >"$dir/out" 2>"$dir/err" || status=$?
check 'stdin closed: a clean end' [ "$status" -le 2 ]
check 'and no report of a sanitizer' no_report

# --- what is added to every request -------------------------------------------------------------

given '../b?x\n/c#f\n%s/echo/d\n?y\n' "$base"
try -q --body json --base-url "$base/echo/a/b" --url-query 'k=v w' --url-query e=
expect '--base-url and --url-query' 1 \
    'sort_by(.index) | map(.json.url) == ["/echo/b?x&k=v%20w&e=", null, "/echo/d?k=v%20w&e=",
                                          "/echo/a/b?y&k=v%20w&e="] and .[1].status == 404'

given '%s/echo\n{"url":"%s/echo","body":"own"}\n' "$base" "$base"
printf 'X-File: 1\r\n\nX-Other:  two \n' >"$dir/headers"
try -q --body json -X PUT -H @"$dir/headers" -H 'X-Empty;' -d text
check 'a header without a colon is refused' ended 2
try -q --body json -X PUT -H @"$dir/headers" -d text
expect '-X, -H @FILE, -d' 0 \
    'sort_by(.index) | map(.json.method) == ["PUT", "PUT"] and map(.json.body) == ["text", "own"]
        and all(.json.headers | .["x-file"] == "1" and .["x-other"] == "two")'
given '%s/echo\n' "$base"
printf 'from a\nfile\0' >"$dir/data"
try -q --body json -d @"$dir/data"
expect '-d @FILE' 0 '.[0].json | .method == "POST" and .body == "from a\nfile\u0000"'
try -q --body json --json '{"a" :1}'
expect '--json sets Content-Type and Accept' 0 \
    '.[0].json | .body == "{\"a\" :1}" and .headers.accept == "application/json"
        and .headers["content-type"] == "application/json"'
refused '-X that is no method' 'method' -X 'A B'
refused '--json that is none' 'JSON' --json '{a:1}'
refused '-d and --json' 'two bodies' -d 1 --json 1
try -q --body json -H 'User-Agent: me' -H 'Host: other.example'
expect '-H: User-Agent and Host' 0 \
    '.[0].json.headers | .["user-agent"] == "me" and .host == "other.example"'
try -q --body json -H 'X-A: 1' -H 'X-A:' -H 'User-Agent:'
expect "-H 'K:' removes" 0 '.[0].json.headers | has("x-a") or has("user-agent") | not'
finish

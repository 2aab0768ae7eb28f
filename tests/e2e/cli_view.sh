#!/bin/sh
# --only, --fields, --output-format: which records are written, and what of them.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base

{
    printf '%s\n' '{"url":"'"$base"'/items/1","id":"a,\"b\"\n"}'
    echo "$base/status/404"
    echo "$base/status/503"
    echo '{"bad"'
    echo "{\"url\":\"$base/items/2\",\"id\":[1,2],\"meta\":{\"k\":\"v\"}}"
} >"$dir/in"
try --order input -R 0 --only failed -o "$dir/records" --rejects "$dir/rejects"
check '--only failed' [ "$(jq -sc 'map(.index)' "$dir/records")" = '[1,2,3]' ]
said '--only failed: all are counted' '2 ok +1 failed +1 out of retries +1 invalid'
said '--only failed: what is written' 'records \(3 lines\)'
check '--only failed: the rejects are what they were' [ "$(wc -l <"$dir/rejects")" -eq 3 ]
try -q --order input -R 0 --only success
expect '--only success' 1 'map(.index) == [0, 4]'
try -q --order input -R 0 --only 404,5xx
expect '--only LIST' 1 'map(.status) == [404, 503]'
try -q --order input -R 0 --only none
expect '--only none' 1 'length == 0'
refused '--only that is none' 'failed, success or a list' --only bad

try -q --order input -R 0 --fields 'index, id,ms.total,error.kind,headers.content-type,meta.k' \
    --headers all
expect '--fields: those, in that order, and what is there of them' 1 \
    'map(keys_unsorted) == [["index", "id", "ms.total", "headers.content-type"],
        ["index", "ms.total", "headers.content-type"],
        ["index", "ms.total", "headers.content-type"],
        ["index", "error.kind"], ["index", "id", "ms.total", "headers.content-type", "meta.k"]]
        and .[4].id == [1, 2] and .[4]["meta.k"] == "v"'
for field in nothing error. "" idx; do
    refused "--fields '$field'" 'a record has no' --fields "index,$field"
done

try -q --order input -R 0 --output-format csv --fields index,id,status,error.message,meta
check '--output-format csv: exit 1' ended 1
if command -v python3 >/dev/null; then
    check '--output-format csv: as others read it' python3 -c "
import csv
rows = list(csv.reader(open('$dir/out', newline='')))
assert rows[0] == ['index', 'id', 'status', 'error.message', 'meta'], rows
assert rows[1] == ['0', 'a,\"b\"\n', '200', '', ''], rows
assert rows[2] == ['1', '', '404', '', ''], rows
assert rows[4][:3] == ['3', '', ''] and rows[4][3].startswith('line 4, column'), rows
assert rows[5] == ['4', '[1,2]', '200', '', '{\"k\":\"v\"}'], rows
assert len(rows) == 6"
else
    skip 'no python3'
fi
try -q --order input -R 0 --output-format tsv --fields index,id
printf 'index\tid\n0\ta,"b"\\n\n1\t\n2\t\n3\t\n4\t[1,2]\n' | cmp -s - "$dir/out"
check '--output-format tsv' [ $? -eq 0 ]
try -q --order input -R 0 --output-format csv -o "$dir/some.csv"
check '--output-format csv: fields of its own' \
    [ "$(head -n 1 "$dir/some.csv")" = "$(printf 'index,id,outcome,status,attempts,url,ms.total,'
    )ms.all,bytes.in,error.kind,error.message" ]

# The form of batches of OpenAI, in and out.
{
    echo '{"custom_id":"r-1","method":"POST","url":"/echo","body":{"model":"m","n":1}}'
    echo '{"custom_id":"r-2","method":"POST","url":"/eof","body":{}}'
} >"$dir/in"
try -q --order input -R 0 --base-url "$base" --output-format openai-batch
expect '--output-format openai-batch' 1 \
    '.[0].custom_id == "r-1" and .[0].response.status_code == 200 and .[0].error == null
        and (.[0].response.body.body | fromjson) == {model: "m", n: 1}
        and .[1].custom_id == "r-2" and .[1].response == null
        and .[1].error.code == "closed" and (.[1].error.message | length > 0)'
finish

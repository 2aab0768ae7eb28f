#!/bin/sh
# Values of a line in URLs, bodies, headers and names of files; CSV and TSV with named columns.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base
echo=$base/echo

printf 'id,name,note\n1,Anna,"says ""hi"", twice"\n2,"B o\nb",plain\n3,Ärger,"a,b"\n' >"$dir/in"
cp "$dir/in" "$dir/people.csv"
try -q --order input --csv -T "$echo/{id}?n={name}" --body json \
    --json '{"n":{id},"t":"{note}","o":{}}' -H 'X-Name: {id}-{1}'
expect '--csv: columns by name and number, in the URL, the body and a header' 0 \
    'map(.json.url) == ["/echo/1?n=Anna", "/echo/2?n=B%20o%0Ab", "/echo/3?n=%C3%84rger"]
        and map(.json.body | fromjson) == [{n: 1, t: "says \"hi\", twice", o: {}},
            {n: 2, t: "plain", o: {}}, {n: 3, t: "a,b", o: {}}]
        and map(.json.headers["x-name"]) == ["1-1", "2-2", "3-3"]'
check '--csv: the first line is no request' records_are 'map(.index) == [1, 2, 3]'

printf 'a b\tname\n x \ty"z\n' >"$dir/in"
try -q --tsv -T "$echo/{a b}" -d 'v={name}' --body json
expect '--tsv: TAB, and no quotes' 0 '.[0].json | .url == "/echo/%20x%20" and .body == "v=y\"z"'

given '7\t"x"\n'
try -q -T "$echo/{1}" --json '{"v":"{2}","all":"{}","brace":"{{2}"}' --body json
expect '-T: TAB columns in --json, escaped' 0 \
    '.[0].json.body | fromjson == {v: "\"x\"", all: "7\t\"x\"", brace: "{2}"}'
try -q -T "$echo/same" -H 'X: {1}' --body json
expect '-T without a word is fine if another template has one' 0 '.[0].json.headers.x == "7"'

# --- what is wrong is said before anything is sent ------------------------------------------------

cp "$dir/people.csv" "$dir/in"
refused 'a name that is no column, in -T' \
    "^sparp: --template: {nam} means nothing;.*{name} the one" \
    --csv -T "$echo/{nam}"
refused '... in --json' '^sparp: --json: {nam} means' --csv -T "$echo/{id}" --json '{"a":"{nam}"}'
refused '... in -d' '^sparp: --data: {nam} means' --csv -T "$echo/{id}" -d '{nam}'
refused '... in -H' '^sparp: --header: {nam} means' --csv -T "$echo/{id}" -H 'A: {nam}'
refused '... in --body-name' '^sparp: --body-name: {nam} means' --csv -T "$echo/{id}" \
    --body-dir "$dir/bodies" --body-name '{nam}'
refused 'without --csv, too' '^sparp: --data: {nam} means' -T "$echo/{}" -d '{nam}'
refused '--csv alone' '--template' --csv
refused '--csv and --tsv' 'exclude' --csv --tsv -T "$echo/{1}"
refused '--json that is none, with words' '^sparp: --json: {name} means' \
    -T "$echo/{}" --json '{name}'
given 'a,a\n1,2\n'
refused 'two columns of one name' 'stdin:1: two columns' --csv -T "$echo/{a}"
given 'a,"b\n1,2\n'
refused 'a quote that does not end' 'stdin:1: a quote is not closed' --csv -T "$echo/{a}"

# --- what is wrong about one line is its record ---------------------------------------------------

given 'a,b\n1\n"x"y,2\n3,4\n'
try -q --order input --csv -T "$echo/{b}"
expect 'bad rows have records' 1 'map(.outcome) == ["invalid", "invalid", "success"]
    and (.[0].error.message | endswith("fewer columns than in the template"))
    and (.[1].error.message | endswith("text behind the closing quote of a cell"))'
given 'a\nx\n"y\n"\n'
try -q --order input --csv -T "$echo" -H 'A: {a}'
expect 'a header does not end before its time' 1 '.[1].error.message | test("control character")'
given 'a\n1\nx\n'
try -q --order input --csv -T "$echo" --json '[{a}]'
expect 'a body that is no JSON with these values' 1 \
    '.[0].outcome == "success" and (.[1].error.message | test("--json is no JSON"))'
given '{"url":"%s"}\n7\n' "$echo"
try -q --order input -T "$echo/{}" -d '{}'
expect 'an object has no values' 1 '.[0].outcome == "invalid" and .[1].outcome == "success"'

# --- names of files, rejects, several files -------------------------------------------------------

try -q --csv -T "$base/items/{id}" --body-dir "$dir/bodies" --body-name '{2}-{index}' \
    "$dir/people.csv"
check '--body-name: a column' [ -e "$dir/bodies/Anna-1" -a -e "$dir/bodies/B o_b-2" -a \
    -e "$dir/bodies/Ärger-3" ]
printf 'id,c\n1,404\n2,200\n' >"$dir/1.csv"
printf 'id,c\n3,404\n' >"$dir/2.csv"
try -q --csv -T "$base/status/{c}?{id}" --rejects "$dir/rejects" "$dir/1.csv" "$dir/2.csv"
expect 'several files: each has its first line' 1 \
    'map(.url | sub(".*[?]"; "")) | sort == ["1", "2", "3"]'
check '--rejects: with the names of the columns' [ "$(sort "$dir/rejects" | tr '\n' ' ')" = \
    '1,404 3,404 id,c ' ]
check '... once' [ "$(head -n 1 "$dir/rejects")" = 'id,c' ]
try -q --csv -T "$base/status/{c}?{id}" -n "$dir/rejects"
expect '... so that they can be read again' 0 'length == 2'
seq 1 300 | sed 's|.*|&,200|' >>"$dir/1.csv"
try -q -c 2 --csv --first 1 -T "$base/status/{c}?{id}" --rejects "$dir/rejects" \
    "$dir/1.csv" "$dir/2.csv"
check '... after a stop, too' [ "$(grep -c id "$dir/rejects")" -eq 1 -a \
    "$(wc -l <"$dir/rejects")" -eq 303 ]
printf 'c,id\n404,3\n' >"$dir/2.csv"
try -q --csv -T "$base/status/{c}?{id}" "$dir/1.csv" "$dir/2.csv"
said 'other columns in another file' '2.csv:1: other columns than in the first file'
check '... ends the run' ended 5
try -q --csv -T "$base/items/{id}" --skip 1 --limit 1 "$dir/people.csv"
expect '--skip 1: not the names' 0 'length == 1 and (.[0].url | endswith("/1"))'
finish

#!/bin/sh
# 16: names for the files of --body-dir, what is there already, and downloads that go on.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base
bodies=$dir/bodies

names() {
    (cd "$bodies" 2>/dev/null && LC_ALL=C ls -A) | tr '\n' ' '
}

has_names() {
    [ "$(names)" = "$1" ] && return 0
    echo "    has: $(names | cut -c 1-300)"
    return 1
}

has() {
    check "$1" has_names "$2"
}

# --- what is there is kept ------------------------------------------------------------------------

given '%s/items/1\n%s/items/2\n' "$base" "$base"
try -q --body-dir "$bodies"
echo mine >"$bodies/0"
given '%s/items/3\n%s/items/4\n%s/items/5\n' "$base" "$base" "$base"
forget
try -q --order input --body-dir "$bodies" --rejects "$dir/rejects"
expect '16: a second run keeps what is there, and says so' 1 \
    'map(.kept) == [true, true, null] and map(.outcome)
        == ["local_failed", "local_failed", "success"]
        and all(.[:2][]; .error.kind == "sink_failed" and .attempts == 0
            and (.error.message | test("bodies/[01]: it exists and is kept; --overwrite")))'
check '16: it is as it was' [ "$(cat "$bodies/0")" = mine ]
check '16: and not asked for' [ "$(arrived)" -eq 1 ]
check '16: which the rejects have' [ "$(wc -l <"$dir/rejects")" -eq 2 ]
try -q --order input --body-dir "$bodies" --overwrite
expect '16: --overwrite replaces it' 0 'map(has("kept")) == [false, false, false]'
check '16: indeed' grep -q 'item 3' "$bodies/0"
refused '16: --overwrite alone' 'body-dir' --overwrite
refused '16: --body-name alone' 'body-dir' --body-name '{id}'
for word in '{x}' '{}' '{0}' '{'; do
    refused "16: --body-name $word" '^sparp: --body-name: ' --body-dir "$dir/none" \
        --body-name "$word"
done

# --- names ----------------------------------------------------------------------------------------

rm -rf "$bodies"
u=$base/echo
printf '%s\n' "{\"url\":\"$u/a.txt?x=1\",\"id\":\"one\"}" "{\"url\":\"$u/b/a.txt\",\"id\":2}" \
    "{\"url\":\"$u/A.TXT\"}" "{\"url\":\"$u/c/\",\"id\":null}" \
    "{\"url\":\"$u/%2e%2e%2fx\"}" "{\"url\":\"$u/y.part\"}" "{\"url\":\"$base\",\"id\":\"../z\"}" \
    "{\"url\":\"$u/%00%ff\"}" "{\"url\":\"$u/%C3%A4\"}" "{\"url\":\"$u/a-2.txt\"}" >"$dir/in"
try -q --order input --body-dir "$bodies" --body-name '{name}'
check '16: {name}: the last part of the path, made safe, equal ones numbered' records_are \
    'map(.body_file | sub(".*bodies/"; "")) == ["a.txt", "a-2.txt", "A-3.TXT", "c",
        "_._x", "y.part_", "index.failed", "%00_", "ä", "a-2-2.txt"]'
has '16: and nothing else is there' \
    '%00_ A-3.TXT _._x a-2-2.txt a-2.txt a.txt c index.failed y.part_ ä '
check '16: nor anywhere above' [ ! -e "$dir/x" -a ! -e "$dir/z" ]
rm -rf "$bodies"
try -q --order input --body-dir "$bodies" --body-name 'f{{{id}}-{index}'
check '16: {id} and {index}' records_are 'map(.body_file | sub(".*bodies/"; "")) == ["f{one}-0",
    "f{2}-1", "f{2}-2", "f{null}-3", "f{4}-4", "f{5}-5", "f{.._z}-6.failed", "f{7}-7", "f{8}-8",
    "f{9}-9"]'
rm -rf "$bodies"
printf '%s/items/%d\n' "$base" 7 "$base" 7 "$base" 8 >"$dir/in"
try -q -c 1 --body-dir "$bodies" --body-name same
has '16: equal names are numbered' 'same same-2 same-3 '
long=$(printf '%0300d' 1)
given '%s/echo/%s\n' "$base" "$long"
rm -rf "$bodies"
try -q --body-dir "$bodies" --body-name '{name}'
check '16: a long name is cut' [ "$(names | wc -c)" -eq 201 ]

# What was no success takes no name away from what comes later.
rm -rf "$bodies"
given '%s/flaky/names/1\n' "$base"
try -q -R 0 --body-dir "$bodies"
has '16: a failure has its body in a file of that name' '0.failed '
try -q -R 0 --body-dir "$bodies"
expect '16: which is in nobodys way' 0 '.[0].outcome == "success"'
has '16: and goes then' '0 '

# A link that lies there is no way out.
rm -rf "$bodies"
mkdir "$bodies"
ln -s "$dir/outside" "$bodies/0.part"
given '%s/items/1\n' "$base"
try -q --body-dir "$bodies"
check '16: a link is not followed' [ ! -e "$dir/outside" ]

# --- how large it may be --------------------------------------------------------------------------

given '%s/bytes/80000000\n' "$base"
rm -rf "$bodies"
try -q --body-dir "$bodies"
expect '16: no limit for what goes to a file' 0 '.[0].outcome == "success"'
check '16: all of it' [ "$(wc -c <"$bodies/0")" -eq 80000000 ]
rm -rf "$bodies"
try -q --body-dir "$bodies" --max-body 1M
expect '16: but for that of --max-body' 1 '.[0].error.message | test("--max-body")'

# --- what has come is not asked for again ---------------------------------------------------------

if ! command -v python3 >/dev/null; then
    skip 'no python3'
    finish
fi
start_server ranges tests/server/ranges.py
files=http://127.0.0.1:$port
size=3000001

# The bytes that the server has under version V.
content() {
    python3 -c "import sys
block = bytes((i + $1) % 251 for i in range(251)) * 64
sys.stdout.buffer.write((block * ($size // len(block) + 1))[:$size])"
}
content 0 >"$dir/v0"
content 1 >"$dir/v1"
size=3000008
content 0 >"$dir/longer"
size=3000001

# goes_on WHAT URL VERSION RANGES: all at once
ranges() {
    curl -s "$files/seen" | jq -c .ranges
}
same() {
    cmp -s "$dir/v$1" "$bodies/0"
}
again() {
    rm -rf "$bodies"
    given '%s\n' "$files/$1"
    ranges >/dev/null
    shift
    try -q --backoff 1ms --body-dir "$bodies" "$@"
}

again cut/r/2/$size
expect '16: cut short twice, and complete' 0 '.[0] | .attempts == 3 and .status == 206'
check '16: retries ask for what is missing' \
    [ "$(ranges)" = '[null,"bytes=1500000-","bytes=2250000-"]' ]
check '16: it is whole' same 0
has '16: and nothing else is left' '0 '
again cut/l/1/$size -X get
check '16: get, in lower case, too' [ "$(ranges)" = '[null,"bytes=1500000-"]' ]
again cut/w/2/$size -w 3
check '16: with workers, too' same 0

again cut/x/1/$size -R 0
expect '16: a run that ends with half of it' 1 '.[0] | .outcome == "transport_failed"'
has '16: leaves it to another' '0.part 0.part-of '
check '16: with nothing secret in it' grep -qx "$files/cut/x/1/$size" "$bodies/0.part-of"
try -q --body-dir "$bodies"
expect '16: which asks for the rest' 0 '.[0].status == 206 and .[0].bytes.in < 1600000'
check '16: only' [ "$(ranges)" = '[null,"bytes=1500000-"]' ]
check '16: and has all of it' same 0
has '16: under its name' '0 '

again cut/y/1/$size -R 0
given '%s\n' "$files/whole/other/$size"
try -q --body-dir "$bodies"
check '16: what is of another URL is not gone on with' [ "$(ranges)" = '[null,null]' ]

again cut/z/3/$size -R 0
try -q --backoff 1ms --body-dir "$bodies"
check '16: another run, and its retries' \
    [ "$(ranges)" = '[null,"bytes=1500000-","bytes=2250000-","bytes=2625000-"]' ]
check '16: come to its end' same 0

again changed/a/1/$size
check '16: a file that has changed comes as a whole' same 1
check '16: because If-Range says so' [ "$(ranges)" = '[null,"bytes=1500000-"]' ]
again weak/a/1/$size
check '16: a weak ETag: as a whole' [ "$(ranges)" = '[null,null]' ]
check '16: ... it is whole' same 0
again cut/c/1/$size --compressed
check '16: --compressed: as a whole' [ "$(ranges)" = '[null,null]' ]
again cut/s/1/2000
check '16: a small one: as a whole' [ "$(ranges)" = '[null,null]' ]
again cut/h/1/$size -H 'Range: bytes=0-'
check '16: a Range of the user: not touched' [ "$(ranges)" = '["bytes=0-","bytes=0-"]' ]
# An answer to a Range that is no use: all is asked for again.
for kind in liar forgetful packed gone grown vague; do
    again $kind/a/1/$size
    expect "16: $kind: the third answer is the whole" 0 '.[0].status == 200 and .[0].attempts == 3'
    check "16: $kind: asked for so" [ "$(ranges)" = '[null,"bytes=1500000-",null]' ]
    whole=v0
    [ $kind != forgetful ] || whole=v1
    [ $kind != grown ] || whole=longer
    check "16: $kind: it is whole" cmp -s "$dir/$whole" "$bodies/0"
    has "16: $kind: and nothing else is left" '0 '
    again $kind/b/1/$size --soft-retries 0
    check "16: $kind: without a retry it is a failure" [ $status -eq 1 ]
done
again gone/c/1/$size -R 0
try -q --backoff 1ms --body-dir "$bodies"
expect '16: an earlier part that is no use' 0 '.[0].status == 200 and .[0].attempts == 2'
check '16: ... it is whole' same 0
again cut/t/1/$size -R 0
sed -i.bak '3s/.*/2999999/' "$bodies/0.part-of"
rm "$bodies/0.part-of.bak"
try -q --backoff 1ms --body-dir "$bodies"
expect '16: a part of another size: all anew' 0 '.[0].status == 200 and .[0].attempts == 2'
again cut/u/1/$size -R 0
sed -i.bak 3d "$bodies/0.part-of"
rm "$bodies/0.part-of.bak"
try -q --body-dir "$bodies"
expect '16: a part of unknown size is gone on with' 0 '.[0].status == 206'
check '16: ... it is whole' same 0
again endless/a/1/$size
expect "16: half of a rest is not put behind the beginning" 1 '.[0] |
    .outcome == "local_failed" and (.error.message | test("another part"))'
has "16: nor in a file" ''
again busy/a/1/$size --soft-retries 0
expect '16: a 503 in between' 1 '.[0].status == 503'
has '16: leaves what has come' '0.part 0.part-of '
try -q --body-dir "$bodies"
check '16: for the next run' same 0

# Killed in the middle.
again cut/k/0/$size
rm -rf "$bodies"
given '%s\n' "$files/whole/killed/$size"
"$SPARP" -q --body-dir "$bodies" --max-body 1G "$base/bytes/200000000" "$dir/in" >"$dir/out" 2>&1 &
killed=$!
begun() { [ -e "$bodies/1" ]; }
until_true begun
kill -9 $killed
wait $killed 2>/dev/null
check '16: kill -9: what has its name is whole' cmp -s "$dir/v0" "$bodies/1"
finish

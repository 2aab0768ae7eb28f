#!/bin/sh
# Bodies in files: --body-dir, body_file.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base
bodies=$dir/bodies

# names: what is in the directory, in one line.
names() {
    (cd "$bodies" 2>/dev/null && LC_ALL=C ls) | tr '\n' ' '
}

# has WHAT NAMES: those files and no others.
has_names() {
    [ "$(names)" = "$1" ] && return 0
    echo "    has: $(names | cut -c 1-200)"
    return 1
}

has() {
    check "$1" has_names "$2"
}

# Bytes "abc..z" repeated, as the server has them.
alphabet() {
    awk -v n="$1" 'BEGIN {
        for (line = ""; length(line) < n; line = line "abcdefghijklmnopqrstuvwxyz") continue
        printf "%s", substr(line, 1, n)
    }'
}

# --- bodies into files --------------------------------------------------------------------------

{
    echo "$base/items/7"
    echo "$base/bytes/300000"
    echo '# nothing'
    echo "$base/chunked/100001"
    echo "$base/close/70000"
    echo "$base/status/404"
    echo "$base/status/204"
    echo "HEAD $base/bytes/5"
    echo "$base/redirect/302/2"
} >"$dir/in"
for workers in 1 3; do
    for order in completion input; do
        rm -rf "$bodies"
        try --body-dir "$bodies" --order $order -w $workers
        how="-w $workers --order $order"
        expect "$how: records name the files" 1 \
            'sort_by(.index)
                | map(.body_file) == ([0, 1, 3, 4, "5.failed", 6, 7, 8] | map("'"$bodies"'/\(.)"))
                and all(has("body") or has("truncated") | not)'
        has "$how: complete bodies, and nothing else" '0 1 3 4 5.failed 6 7 8 '
        [ "$order" = completion ] || continue
        said "$how: how many" "$bodies \(8 files\)"
        check "$how: the bytes" grep -qx '{"id":7,"name":"item 7"}' "$bodies/0"
        for file in 1:300000 3:100001 4:70000; do
            alphabet "${file#*:}" >"$dir/expected"
            check "$how: the bytes of $file" cmp -s "$dir/expected" "$bodies/${file%:*}"
        done
        check "$how: of a 404, too" grep -qx '{"status":404}' "$bodies/5.failed"
        check "$how: empty ones" [ ! -s "$bodies/6" -a ! -s "$bodies/7" ]
        check "$how: that behind redirects" grep -q '"url":"/redirect/302/0"' "$bodies/8"
    done
done

given '%s/items/1\n' "$base"
try -q --body-dir "$bodies/" --ascii --overwrite
expect 'a slash at the end is no two' 0 '.[0].body_file == "'"$bodies"'/0"'
has 'what was there stays' '0 1 3 4 5.failed 6 7 8 '
check 'what has the same name is another now' grep -q 'item 1' "$bodies/0"

# An attempt begins the file afresh, and what one leaves behind is no body.
for workers in 1 2; do
    rm -rf "$bodies"
    for key in a b c d; do
        case $key in
            a) url=half/a$workers/300000/5 ;;
            b) url=half/b$workers/300000/0 ;;
            c) url=half/c$workers/5/300000 ;;
            d) url=flaky/d$workers/2 ;;
        esac
        echo "$base/$url"
    done >"$dir/in"
    try -q --body-dir "$bodies" --backoff 1ms -w $workers
    expect "-w $workers: bodies that came whole in the end" 0 \
        'length == 4 and all(.attempts > 1 and has("body_file"))'
    has "-w $workers: nothing is left of the first tries" '0 1 2 3 '
    sizes=$(cd "$bodies" && wc -c 0 1 2 3 | awk '{ printf "%s ", $1 }')
    check "-w $workers: their sizes ($sizes)" [ "$sizes" = '5 0 300000 14 300019 ' ]
done

{
    seq 1 60 | sed "s|.*|$base/half/&/300000|"
    echo "$base/hang"
    echo "$base/trickle/9/1000"
    echo "$base/retry-after/x/1000"
    echo "$base/bytes/3000000"
    echo 'http://127.0.0.1:1/'
    echo '{"bad"'
} >"$dir/in"
rm -rf "$bodies"
for order in completion input; do
    forget
    try -q --body-dir "$bodies" -R 0 --soft-retries 1 -t 1 -c 4 --max-body 2M --order $order
    expect "--order $order: no whole body, no file" 1 'length == 66 and all(has("body_file") | not)'
    has "--order $order: nor half of one" ''
done
expect '... in its place, with what it holds closed' 1 'map(.index) == [range(66)]'

# The end of the answer to a request that is not tried again is its body.
given '%s/status/503\n' "$base"
try -q -R 1 --backoff 1ms --body-dir "$bodies"
expect 'the last soft fail has a body' 1 '.[0] | .outcome == "soft_exhausted" and has("body_file")'
check '... its own' grep -q '{"status":503}' "$bodies/0.failed"

# --- killed in the middle -----------------------------------------------------------------------

rm -rf "$bodies"
seq 1 3000 | sed "s|.*|$base/bytes/200000|" >"$dir/in"
"$SPARP" -q -c 20 -w 2 --body-dir "$bodies" "$dir/in" >"$dir/out" 2>"$dir/err" &
killed=$!
many() {
    # shellcheck disable=SC2012
    [ "$(ls "$bodies" 2>/dev/null | wc -l)" -gt 300 ]
}
until_true many
kill -9 $killed
wait $killed 2>/dev/null
found=$(find "$bodies" ! -name '*.part' -type f | wc -l)
check "kill -9: there are some ($found)" [ "$found" -gt 200 -a "$found" -lt 3000 ]
check 'kill -9: what has its name is whole' \
    [ -z "$(find "$bodies" ! -name '*.part' -type f ! -size 200000c)" ]
check 'kill -9: a record has its file' sh -c "sed '\$d' '$dir/out' | jq -r .body_file |
    while read -r file; do [ -e \"\$file\" ] || echo \"\$file\"; done | wc -l | grep -qx 0"
head -n 400 "$dir/in" >"$dir/some" && mv "$dir/some" "$dir/in"
rm -rf "$bodies"
mkdir "$bodies"
: >"$bodies/5.part"
try -q -c 20 --body-dir "$bodies"
expect 'again: all of it' 0 'length == 400 and all(.status == 200)'
check 'again: nothing else is left' [ "$(names | wc -w)" -eq 400 -a ! -e "$bodies/5.part" ]

given '%s/bytes/100000\n%s/trickle/50/100\n' "$base" "$base"
rm -rf "$bodies"
try -q --body-dir "$bodies" --deadline 1500ms
expect 'cut by a deadline: its file goes' 4 'map(has("body_file")) | sort == [false, true]'
has '... the other stays' '0 '

# --- what cannot be written ---------------------------------------------------------------------

# failed WHAT PATTERN: local_failed, sink_failed, exit 5, the run has stopped.
failed() {
    expect "$1: exit 5" 5 'map(select(.error.kind == "sink_failed")) | length > 0
        and all(.outcome == "local_failed" and (has("body_file") | not)
                and (.error.message | test("cannot write .*'"$2"'")))'
    said "$1: and says so" "^sparp: cannot write $bodies/[0-9]+: .*$2"
    check "$1: once" [ "$(grep -c 'cannot write' "$dir/err")" -eq 1 ]
    check "$1: it stops" records_are 'map(select(.outcome == "not_started")) | length > 0'
    check "$1: nothing is half" \
        [ -z "$(find "$bodies/" -type f \( -name '*.part' -o ! -size 100000c \))" ]
}

seq 1 300 | sed "s|.*|$base/bytes/100000|" >"$dir/in"
rm -rf "$bodies"
mkdir "$bodies"
if mount -t tmpfs -o size=1m none "$bodies" 2>/dev/null; then
    for workers in 1 2; do
        rm -f "$bodies"/*
        try -q -c 4 -w $workers --body-dir "$bodies"
        failed "a full disk, -w $workers" 'No space left'
    done
    try -q -c 4 --body-dir "$bodies" --no-fail
    check 'a full disk, --no-fail: exit 5 all the same' ended 5
    umount "$bodies"
else
    skip 'no tmpfs can be mounted'
fi

rm -rf "$bodies"
{
    seq 1 20 | sed 's/.*/100000/'
    echo 900000
    seq 1 300 | sed 's/.*/100000/'
} >"$dir/sizes"
status=0
# shellcheck disable=SC3045
(ulimit -f 400 && exec timeout -k 2 "$limit" "$SPARP" -q -c 2 --body-dir "$bodies" \
    -T "$base/bytes/{}" "$dir/sizes") >"$dir/out" 2>"$dir/err" </dev/null || status=$?
no_report || check 'no report of a sanitizer' false
failed 'a file that may not be so large' 'File too large'

seq 1 300 | sed "s|.*|$base/bytes/100000|" >"$dir/in"
rm -rf "$bodies"
mkdir -p "$bodies/3.part"
try -q -c 1 --body-dir "$bodies"
rmdir "$bodies/3.part"
failed 'a file that cannot be created' 'Is a directory'
rm -rf "$bodies"
mkdir -p "$bodies/4/x"
try -q -c 1 --body-dir "$bodies" --overwrite
failed 'a name that cannot be had' ''

refused 'a directory that cannot be created' 'cannot create' --body-dir "$dir/no/such" \
    "$base/items/1"
echo precious | tee "$dir/precious" >"$dir/kept"
refused '... with files of before' 'cannot create' --body-dir "$dir/no/such" -o "$dir/kept" \
    "$base/items/1"
check '... which stay' cmp -s "$dir/precious" "$dir/kept"
refused 'a file for a directory' 'cannot write to .*: Not a directory' \
    --body-dir "$dir/in" "$base/items/1"
refused '--body-dir and --body' 'body-dir' --body-dir "$bodies" --body none "$base/items/1"
refused '--body-dir ""' 'body-dir' --body-dir '' "$base/items/1"
rm -rf "$bodies"
try -n --body-dir "$bodies" "$base/items/1"
check 'dry run: makes no directory' [ "$status" -eq 0 -a ! -e "$bodies" ]

# --- descriptors --------------------------------------------------------------------------------

limited() {
    status=0
    n=$1
    shift
    # shellcheck disable=SC3045
    (ulimit -n "$n" && exec timeout -k 2 "$limit" "$SPARP" "$@") \
        <"$dir/in" >"$dir/out" 2>"$dir/err" || status=$?
    no_report || check 'no report of a sanitizer' false
}
seq 1 200 | sed "s|.*|$base/trickle/2/20|" >"$dir/in"
for flags in '-c 30' '-c 500' '-c 500 --order input'; do
    rm -rf "$bodies"
    # shellcheck disable=SC2086
    limited 40 -q --body-dir "$bodies" $flags
    expect "$flags, few descriptors: fewer at once" 0 'length == 200 and all(has("body_file"))'
    said "$flags: says so" 'file descriptors, the limit is 40: fewer at once.* use -c [0-9]+\.$'
done
rm -rf "$bodies"
limited 40 -q --body-dir "$bodies" -c 12
expect '40 descriptors are enough for 12 at once' 0 'length == 200 and all(has("body_file"))'
check '... without a word' [ ! -s "$dir/err" ]
seq 1 200 | sed "s|.*|$base/half/&/50000|" >"$dir/in"
forget
rm -rf "$bodies"
limited 40 -q --body-dir "$bodies" -c 500 --order input -R 0
expect 'bodies that break off, in order: none is held' 1 \
    'length == 200 and all(.outcome == "transport_failed")'

seq 1 200 | sed "s|.*|$base/half/&/50000/5|" >"$dir/in"
forget
rm -rf "$bodies"
limited 40 -q --body-dir "$bodies" -c 12 --backoff 500ms
expect 'who waits for another try holds none' 0 'length == 200 and all(.attempts == 2)'
check '... and they are all there' [ "$(find "$bodies" -type f -size 5c | wc -l)" -eq 200 ]

if [ -d /proc/self/fd ]; then
    {
        echo "$base/delay/20000"
        seq 1 39 | sed "s|.*|$base/bytes/1000|"
    } >"$dir/in"
    for workers in 1 2; do
        rm -rf "$bodies"
        "$SPARP" -q --body-dir "$bodies" -c 10 -w $workers --order input "$dir/in" \
            >"$dir/out" 2>"$dir/err" &
        ordered=$!
        none_is_open() {
            [ "$(names | wc -w)" -eq 39 ] && kill -0 "$ordered" &&
                ! find "/proc/$ordered/fd" -lname '*.part' | grep -q .
        }
        check "-w $workers: nor who waits for its turn" until_true none_is_open
        kill -9 $ordered
        wait $ordered 2>/dev/null
    done
else
    skip 'no /proc'
fi

# --- bodies out of files ------------------------------------------------------------------------

peak_below() {
    [ "$(cat "$dir/peak")" -lt "$1" ] && return 0
    echo "    peak of $(cat "$dir/peak") KiB"
    return 1
}

head -c 52428800 /dev/urandom >"$dir/large"
sum=$(cksum <"$dir/large")
digest='.size == 52428800 and .cksum == '${sum%% *}
{
    printf '{"url":"%s/digest","body_file":"%s/large"}\n' "$base" "$dir"
    printf '{"url":"%s/redirect-to/307?/digest","body_file":"%s/large"}\n' "$base" "$dir"
} >"$dir/in"
for workers in 1 2; do
    "$PEAK" "$dir/peak" "$SPARP_PLAIN" -q --body json --order input -w $workers "$dir/in" \
        >"$dir/out" 2>"$dir/err"
    status=$?
    expect "-w $workers: 50 MiB go out of a file, also once more after a redirect" 0 \
        'length == 2 and all(.json | '"$digest"') and .[1].redirects == 1'
    check "-w $workers: in less than 16 MiB of memory" peak_below 16384
done

head -c 3000000 "$dir/large" >"$dir/file"
sum=$(cksum <"$dir/file")
printf '{"url":"%s/flaky/up/2","body_file":"%s/file"}
{"url":"%s/digest","body_file":"%s/file","method":"PUT"}\n' "$base" "$dir" "$base" "$dir" \
    >"$dir/in"
try -q --body json --order input --backoff 1ms
expect 'each attempt begins at its first byte' 0 \
    '.[0].attempts == 3 and .[0].bytes.out > 3000000 and .[1].json.cksum == '"${sum%% *}"

# Files that are no longer what they were when their line was read.
change() {
    forget
    given '{"url":"%s/delay/2000"}\n{"url":"%s/digest","body_file":"%s/file"}
{"url":"%s/items/3"}\n' "$base" "$base" "$dir" "$base"
    "$SPARP" -q -c 1 --order input --body json <"$dir/in" >"$dir/out" 2>"$dir/err" &
    changed=$!
    has_come() { [ "$(arrived)" -ge 1 ]; }
    until_true has_come
    "$@"
    status=0
    wait $changed || status=$?
    no_report || check 'no report of a sanitizer' false
}
grow() { echo x >>"$dir/file"; }
replace() { tail -c 3000002 "$dir/large" >"$dir/new" && mv "$dir/new" "$dir/file"; }
change grow
expect 'grown meanwhile: refused with a sentence, the rest goes on' 1 \
    'map(.outcome) == ["success", "local_failed", "success"]
        and (.[1].error.message | test("cannot read body_file .*/file: its size has changed"))'
change replace
expect 'another one of that size: that one is sent' 0 \
    '.[1].json.cksum == '"$(tail -c 3000002 "$dir/large" | cksum | sed 's/ .*//')"
change rm "$dir/file"
expect 'gone meanwhile' 1 '.[1].error.message | test("cannot read body_file .*: No such file")'

# Many at once, and few descriptors.
head -c 100000 /dev/zero >"$dir/file"
seq 1 300 | sed "s|.*|{\"url\":\"$base/digest\",\"body_file\":\"$dir/file\"}|" >"$dir/in"
limited 40 -q -c 200
expect 'few descriptors: all of them go' 0 'length == 300 and all(.status == 200)'
finish

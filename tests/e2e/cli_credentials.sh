#!/bin/sh
# -u, --bearer, -b: credentials that are seen by the server alone. -F: multipart forms.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base
given '%s/echo\n' "$base"

# has_line WHAT NAME VALUE FLAGS...: that line arrives, and its value is nowhere else
has_line() {
    what=$1 name=$2 value=$3
    shift 3
    try -v --body json "$@"
    expect "$what" 0 ".[0].json.headers[\"$name\"] == \"$value\""
    check "$what: it is not said" sh -c "! grep -qF '$value' '$dir/err'"
}

basic='Basic YW5uYTpzM2NyM3Q='
has_line '-u' authorization "$basic" -u anna:s3cr3t
printf 'anna:s3cr3t\n' >"$dir/user"
has_line '-u @FILE' authorization "$basic" -u "@$dir/user"
printf 't0k3n\r\n' >"$dir/token"
has_line '--bearer @FILE' authorization 'Bearer t0k3n' --bearer "@$dir/token"
SPARP_TEST_TOKEN=fr0m-variable
export SPARP_TEST_TOKEN
# shellcheck disable=SC2016
has_line '--bearer of a variable' authorization 'Bearer fr0m-variable' --bearer '$SPARP_TEST_TOKEN'
has_line '-b' cookie 'a=1; b=2; c=3' -b 'a=1; b=2' -b c=3
has_line '-H wins' authorization 'Mine' -u a:b -H 'Authorization: Mine'
given '{"url":"%s/echo","headers":{"authorization":"Line"}}\n' "$base"
has_line 'a line wins' authorization 'Line' -u a:b
given '%s/echo\n' "$base"
refused '--bearer with the token itself' "^sparp: --bearer wants @FILE or the name" --bearer t0k3n
check '... which is not said' sh -c "! grep -q t0k3n '$dir/err'"
# shellcheck disable=SC2016
refused '--bearer of no variable' 'SPARP_NOT_SET is not set' --bearer '$SPARP_NOT_SET'
refused '--bearer of no file' 'cannot open' --bearer @/nonexist/x
printf 'a\001b\n' >"$dir/token"
refused '--bearer of a strange file' 'control character' --bearer "@$dir/token"
refused '-u and --bearer' 'give one' -u a:b --bearer "@$dir/user"
refused '-b that is none' 'NAME=VALUE' -b s3cr3t
check '... which is not said' sh -c "! grep -q s3cr3t '$dir/err'"
if command -v setsid >/dev/null; then
    no_terminal() {
        setsid -w "$SPARP" -u anna "$base/echo" </dev/null >"$dir/out" 2>"$dir/err"
        [ $? -eq 2 ] && has_said 'the password is missing, and there is no terminal'
    }
    check '-u without a password or a terminal' no_terminal
fi
if script -qec true /dev/null >/dev/null 2>&1; then
    rm -f "$dir/out"
    : >"$dir/tty"
    { until_true grep -aq 'Password of' "$dir/tty"; echo s3cr3t; until_true [ -s "$dir/out" ]; } |
        timeout 20 script -qefc \
        "'$SPARP' -q --body json -u anna -o '$dir/out' '$base/echo'" "$dir/tty" >/dev/null 2>&1
    : >"$dir/err"
    check '-u asks on the terminal' records_are ".[0].json.headers.authorization == \"$basic\""
    check '... and does not show what is typed' sh -c \
        "grep -q 'Password of anna: ' '$dir/tty' && [ \$(grep -c s3cr3t '$dir/tty') -eq 0 ]"
else
    skip 'no script(1) for a terminal'
fi

# --- multipart ------------------------------------------------------------------------------------

head -c 3000000 /dev/urandom >"$dir/large"
printf 'hello\n' >"$dir/small.txt"
try -q --body json -F a=1 -F "f=@$dir/small.txt" \
    -F "g=@$dir/small.txt;type=text/plain;filename=x\"y" \
    -F "h=@$dir/small.txt;filename=z;type=a/b"
expect '-F: POST, as multipart' 0 '.[0].json | .method == "POST"
    and (.headers["content-type"] | startswith("multipart/form-data; boundary=sparp-"))'
jq -r '.json.body' "$dir/out" >"$dir/body"
boundary=$(jq -r '.json.headers["content-type"] | sub(".*="; "")' "$dir/out")
cat >"$dir/expected" <<BODY
--$boundary
Content-Disposition: form-data; name="a"

1
--$boundary
Content-Disposition: form-data; name="f"; filename="small.txt"
Content-Type: application/octet-stream

hello

--$boundary
Content-Disposition: form-data; name="g"; filename="x%22y"
Content-Type: text/plain

hello

--$boundary
Content-Disposition: form-data; name="h"; filename="z"
Content-Type: a/b

hello

--$boundary--

BODY
tr -d '\r' <"$dir/body" | diff - "$dir/expected" >"$dir/diff"
check '-F: its bytes' [ ! -s "$dir/diff" ]
if command -v python3 >/dev/null && python3 -c 'import email' 2>/dev/null; then
    check '-F: another reader takes it' python3 -c "
import email, json
r = json.loads(open('$dir/out').readline())['json']
m = email.message_from_string('Content-Type: ' + r['headers']['content-type'] + '\n\n' + r['body'])
parts = m.get_payload()
assert [p.get_param('name', header='content-disposition') for p in parts] == ['a', 'f', 'g', 'h']
assert parts[1].get_payload() in ('hello\n', 'hello\r\n')"
fi
printf '%s/digest\n%s/digest\n' "$base" "$base" >"$dir/in"
try -q --body json -F "f=@$dir/large" -F x=y
expect '-F: large files, for each request' 0 \
    'length == 2 and all(.json.size > 3000100 and .json.size < 3000400)
        and .[0].json.cksum == .[1].json.cksum'
given '{"url":"%s/echo","body":"own"}\n' "$base"
try -q --body json -F a=b
expect '-F: a line with a body has its own' 0 '.[0].json.body == "own"'
given '%s/flaky/form/2\n' "$base"
try -q --backoff 1ms -F "f=@$dir/large"
expect '-F: again with each try' 0 '.[0].attempts == 3 and .[0].bytes.out > 9000000'
refused '-F of no file' 'cannot read' -F a=@/nonexist/x
refused '-F of a directory' 'not a regular file' -F "a=@$dir"
refused '-F that is none' 'NAME=VALUE' -F abc
refused '-F and -d' 'two bodies' -F a=b -d c
finish

#!/bin/sh
# --dry-run, --curl, -v, -vv: what is shown of requests and answers is what is sent and what comes,
# but for the secrets.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base

# --- what -n and --curl show is what is sent ----------------------------------------------------

printf 'a\001b\n%%s' >"$dir/file"
cat >"$dir/in" <<INPUT
$base/echo?a|{}[1]^"<>\`#fragment
$base/echo/../x/./y
DELETE $base/echo
{"url":"$base/echo","method":"put","json":{"a":"it's 5%\\\\ \\n"},"headers":{"X-A":["1","2"]}}
{"url":"$base/echo","body":"line 1\\nline'2 %s \\\\ é\\t\\u007f"}
{"url":"$base/echo","body":"@$dir/file","headers":{"Host":"other.test","Accept":"text/plain"}}
{"url":"$base/echo","method":"PATCH","query":{"x":"ü&","y":["1","2"]}}
{"url":"$base/echo","body":"","headers":{"X-Empty":"","User-Agent":"me"}}
{"url":"$base/echo","body_file":"file"}
{"url":"$base/echo","form":{"a":"b c","d":"'"}}
{"url":"$base/echo","body_base64":"JScA/wo="}
INPUT
lines=$(wc -l <"$dir/in")

# The same one JSON per line, of what the server got.
as_sent() {
    try -q --order input "$@" "$dir/in"
    jq -cS '.body // .json | if type == "string" then fromjson else . end' "$dir/out"
}

# ... of what -n shows; the server joins lines of one name.
as_shown() {
    try -n "$@" "$dir/in"
    jq -cS --arg base "$base" '{method, url: (.url | ltrimstr($base)),
        headers: (.headers | with_entries(.key |= ascii_downcase | .value |= join(", "))),
        body: (.body // "")}' "$dir/out"
}
same_as_sent() {
    as_sent "$@" >"$dir/sent"
    as_shown "$@" >"$dir/shown"
    jq -ncS --slurpfile a "$dir/sent" --slurpfile b "$dir/shown" '
        [$a, $b] | transpose[] | if .[1].body | test("^<[0-9]+ bytes>$")
            then .[0].body = .[1].body else . end | .[0]' >"$dir/sent.sizes"
    [ "$(wc -l <"$dir/sent.sizes")" -eq "$lines" ] && diff "$dir/sent.sizes" "$dir/shown"
}
same_by_curl() {
    as_sent "$@" >"$dir/sent"
    try -n --curl "$@" "$dir/in"
    [ "$(wc -l <"$dir/out")" -eq "$lines" ] || return 1
    while read -r command; do
        printf '%s\n' "$command" | sed 's/curl /curl -sS /' | sh || return 1
        echo
    done <"$dir/out" | jq -cS . >"$dir/by_curl"
    diff "$dir/sent" "$dir/by_curl"
}
case $("$SPARP" -V) in
    *'zlib      yes'*) compressed=--compressed ;;
    *) compressed='' ;;
esac
check '-n shows what is sent' same_as_sent
check '--curl sends the same' same_by_curl
for same in same_as_sent same_by_curl; do
    # shellcheck disable=SC2086
    check "with flags: $same" $same -H 'X-A: 3' -H 'X-B: é' -H 'Accept:' -A '' \
        --url-query 'k=v w' $compressed -X POST -d "it's default"
done
echo "$base/echo" >"$dir/in"
lines=1
try -n -F 'a=b c' -F "f=@$dir/file" "$dir/in"
expect '-n: a form has its size' 0 '.[0] | (.body | test("^<[0-9]+ bytes>$"))
    and .headers["Content-Length"] == [.body | ltrimstr("<") | rtrimstr(" bytes>")]
    and (.headers["Content-Type"][0] | startswith("multipart/form-data; boundary="))'
try -n --curl -F "a=b'c" -F "f=@$dir/file" "$dir/in"
sed 's/curl /curl -sS /' "$dir/out" | sh >"$dir/by_curl"
check '--curl: a form' holds "$dir/by_curl" \
    '.body | contains("name=\"a\"\r\n\r\nb\u0027c\r\n--") and contains("a\u0001b\n%s\r\n--")
        and endswith("--\r\n")'
forget
given '%s\n' "{\"url\":\"$base/echo\",\"body\":\"$(printf %1001d 0)\"}" \
    "{\"url\":\"$base/echo\",\"body_file\":\"$dir/none\"}" '{"bad"'
try -n
expect '-n: a long body, one that is not there' 1 '.[0].body == "<1001 bytes>"
    and (.[1].body | test("^cannot read body_file .*/none: ")) and .[2].outcome == "invalid"'
try -n --curl
check '--curl: what is no request is a comment' [ "$status" -eq 1 -a \
    "$(cut -c 1-5 "$dir/out" | tr '\n' ',')" = 'curl ,# can,# {"i,' ]
check '-n, --curl: nothing is sent' [ "$(arrived)" -eq 0 ]
given 'https://[::1]/x\n'
try -n --curl -x http://me:s3cr3t@p:1 --unix-socket "it's" --connect-to a:1:b:2 -4 -X HEAD
check '--curl: the way there' [ "$(sed 's/ -H .*//' "$dir/out")" = "curl --http1.1 -I $(:
    )--unix-socket 'it'\\''s' --connect-to 'a:1:b:2' -x 'http://***@p:1' -4" ]
refused '--curl without -n' '^sparp: --curl is about --dry-run' --curl
refused '--curl --fields' '^sparp: --curl prints no records' -n --curl --fields url

# --- secrets ------------------------------------------------------------------------------------

# hides WHAT FLAGS...: no secret, and stars in their place
hides() {
    what=$1
    shift
    try --sensitive X-Key -u me:s3cr3t -b a=s3cr3t -H 'X-Key: s3cr3t' \
        -H 'Proxy-Authorization: s3cr3t' "$@"
    check "$what: exit 0" ended 0
    check "$what: no secret" sh -c \
        "! cat '$dir/out' '$dir/err' | grep -ai -e s3cr3t -e bWU6czNjcjN0"
    for name in Authorization Cookie X-Key Proxy-Authorization; do
        check "$what: $name" grep -qE "$name(: |\":\[\")\*\*\*" "$dir/out" "$dir/err"
    done
}
given 'http://me:s3cr3t@%s/items/1\n' "${base#http://}"
hides -n -n
hides --curl -n --curl
hides -vv -vv
try -n
expect '-n: of the URL' 0 \
    '.[0].headers.Authorization == ["***"] and (.[0].url | contains("//***@"))'

# --- -v, -vv ------------------------------------------------------------------------------------

given '%s\n' "$base/status/429" "$base/redirect/302/1" http://127.0.0.1:1/
try -v -R 1 --backoff 0.001 --order input
check '-v: exit 1' ended 1
said '-v: a gate' '^sparp: request 0: status 429, its gate is closed for [0-9.]+ s$'
said '-v: a retry' '^sparp: request 0: status 429; again in [0-9.]+ s$'
said '-v: a redirect' "^sparp: request 1: status 302, on to $base/redirect/302/0\$"
said '-v: a connection failure' \
    '^sparp: request 2: connecting to 127.0.0.1:1: Connection refused; again in [0-9.]+ s$'
said '-v: the last one' \
    '^sparp: request 2: connecting to 127.0.0.1:1: .* refused; given up after 2 attempts$'
check '-v: no heads' sh -c "! grep '^[<>]' '$dir/err'"
try -v --verbose -R 1 --backoff 0.001 --order input
check '-vv: heads of requests' [ "$(grep -c '^> [0-2] GET /.* HTTP/1.1$' "$dir/err")" -eq 3 ]
said '-vv: ... their lines' '^> 2 Host: 127.0.0.1:1$'
check '-vv: heads of answers, that of a retry, too' \
    [ "$(grep -c '^< 0 HTTP/1.1 429$' "$dir/err")" -eq 2 ]
said '-vv: ... their lines' '^< 1 content-type: application/json$'
check '-vv: ... of a redirect, too' [ "$(grep -E '^< 1 (HTTP|location)' "$dir/err" | tr '\n' ,)" = \
    '< 1 HTTP/1.1 302,< 1 location: /redirect/302/0,< 1 HTTP/1.1 200,' ]
try -R 1 --backoff 0.001
check 'neither: none of it' sh -c "! grep -e '^[<>]' -e 'request [0-9]' '$dir/err'"
try -q -vv -R 1 --backoff 0.001
silent '-q -vv: nothing'
given '%s\n' "$base/redirect-to/302?http://a:s3cr3t@127.0.0.1:1/" \
    "$base/redirect-to/302?HTTPS://a:s3cr3t@127.0.0.1:1/" \
    "$base/redirect-to/302?//a:s3cr3t@127.0.0.1:1/"
try -vv
check '-vv: no secret of a Location' \
    [ "$(grep -ci '^< [0-2] location: .*//\*\*\*@127' "$dir/err")" -eq 3 ]
try -q -vv -w 2 "$base/redirect/302/1"
silent '-q -vv: nothing of a redirect'
try -vv -w 2 "$base/redirect/302/1"
check '-vv: with workers' [ "$(grep -cE '^< 0 HTTP/1.1 [23]0' "$dir/err")" -eq 2 ]
finish

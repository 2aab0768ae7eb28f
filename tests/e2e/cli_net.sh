#!/bin/sh
# Redirects, ways to a server, timeouts of one phase.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base
other_name=http://localhost:$port

# --- redirects ----------------------------------------------------------------------------------

given '{"id":1,"url":"%s/redirect/302/3?x"}\n{"id":2,"url":"%s/echo"}\n' "$base" "$base"
forget
try --body json
expect 'redirects are followed' 0 \
    'sort_by(.id) | map(.status) == [200, 200] and .[0].redirects == 3
        and .[0].final_url == "'"$base"'/redirect/302/0" and (.[0].url | endswith("/302/3?x"))
        and .[0].attempts == 1 and .[0].json.url == "/redirect/302/0"
        and (.[1] | has("redirects") or has("final_url") | not)'
check '... each of them one request' [ "$(arrived)" -eq 5 ]
said '... and counted' '^redirects  3$'
cp "$dir/out" "$dir/saved"
try --summarize "$dir/saved"
said '... also when summing up' '^redirects  3$'
try --summarize --summary json --summary-file "$dir/summary" "$dir/saved"
check '... and in JSON' holds "$dir/summary" '.redirects == 3'
given '%s/redirect/302/1\n' "$base"
try
said 'one redirect' '^redirects  1$'
given '%s/echo\n' "$base"
try
check 'none: not a word' sh -c "! grep -q redirect '$dir/err'"

for status in 301 302 303 307 308; do
    printf '{"url":"%s/redirect/%s/1","method":"%s","body":"b"}\n' "$base" $status POST \
        "$base" $status PUT
done >"$dir/in"
try -q --body json --order input
expect '303 becomes a GET, 301 and 302 from POST too, 307 and 308 stay' 0 \
    'map(.json | .method + .body) == ["GET", "PUTb", "GET", "PUTb", "GET", "GET", "POSTb", "PUTb",
                                      "POSTb", "PUTb"]'

given '%s/redirect/302/3\n' "$base"
try -q --max-redirs 3
expect '--max-redirs 3: three' 0 '.[0].redirects == 3'
try -q --max-redirs 2
expect '--max-redirs 2: one too many, and the last one is the result' 1 \
    '.[0] | .outcome == "local_failed" and .error.kind == "redirect_refused" and .status == 302
        and .redirects == 2 and .attempts == 1 and .body == "{\"status\":302}"
        and has("truncated") == false and (.error.message | test("more than 2 redirects"))'
given '%s/redirect/302/11\n' "$base"
try -q
expect 'ten, if nothing is said' 1 '.[0] | .redirects == 10 and .error.kind == "redirect_refused"'
for none in none 0; do
    forget
    try -q --max-redirs $none --headers location
    expect "--max-redirs $none: an answer like any other, and a success" 0 \
        '.[0] | .status == 302 and .outcome == "success" and (has("final_url") | not)
            and .headers.location == ["/redirect/302/10"]'
    check '... not followed' [ "$(arrived)" -eq 1 ]
done
try -q --max-redirs none --retry-on 500
expect '... also with --retry-on' 0 '.[0].outcome == "success"'
try -q --max-redirs none --ok 2xx
expect '... not with --ok 2xx' 1 '.[0].outcome == "hard_fail"'

given '%s/redirect-to/302?ftp://127.0.0.1/\n%s/redirect-to/302?http://me:secret@127.0.0.1/\n' \
    "$base" "$base"
try -q --order input
expect 'another scheme, a password: refused, with the 3xx' 1 \
    'map(.error.kind) == ["redirect_refused", "redirect_refused"] and all(.status == 302)'
given '%s/status/301\n' "$base"
try -q
expect '301 without Location: an answer' 0 '.[0] | .status == 301 and .outcome == "success"'

given 'http://me:secret@%s/redirect/302/1\n' "${base#http://}"
try -q --body json
expect 'the password goes along' 0 '.[0].json.headers.authorization == "Basic bWU6c2VjcmV0"'
expect '... and is shown nowhere' 0 \
    '.[0] | .redirects == 1 and ([.url, .final_url] | all(contains("secret") | not))'

# Another name is another origin.
given '{"url":"%s/redirect-to/307?%s/echo","headers":{"Authorization":"a","Cookie":"c","X-Key":"k",
"X-Token":"t","X-Plain":"p"}}' "$base" "$other_name"
tr -d '\n' <"$dir/in" >"$dir/one" && mv "$dir/one" "$dir/in"
try -q --body json --sensitive X-Key,x-token
expect '--sensitive: not sent on to another host' 0 \
    '.[0].json.headers | [.["x-plain"], .["x-key"], .["x-token"], .authorization, .cookie]
        == ["p", null, null, null, null]'
try -q --body json --sensitive X-Key
expect '... the others are' 0 '.[0].json.headers | [.["x-key"], .["x-token"]] == [null, "t"]'
given '{"url":"%s/redirect-to/307?%s/echo","headers":{"X-Key":"k","Cookie":"c"}}' "$base" "$base"
try -q --body json --sensitive X-Key
expect '... and it stays on the same one' 0 \
    '.[0].json.headers | [.["x-key"], .cookie] == ["k", "c"]'

given '%s/redirect/302/4\n%s/redirect/302/4\n' "$base" "$base"
forget
try -q -r 5 -c 2
check '-r: each hop counts' sh -c "curl -s '$base/stats' |
    jq -e '.requests == 10 and .max_in_window <= 6' >/dev/null"

# --- who we say we are --------------------------------------------------------------------------

given '%s/echo\n' "$base"
try -q --body json -A 'robot/1 (x)'
expect '-A' 0 '.[0].json.headers["user-agent"] == "robot/1 (x)"'
try -q --body json -A 'robot/1' -H 'user-agent: mine'
expect '-A: -H wins' 0 '.[0].json.headers["user-agent"] == "mine"'
try -q --body json -A ''
expect '-A "": none' 0 '.[0].json.headers | has("user-agent") | not'

# --- where to connect ---------------------------------------------------------------------------

start_unix() {
    "$PLAIN" --unix "$dir/socket" --port-file "$dir/unix.port" --max-seconds 200 \
        >"$dir/unix.log" 2>&1 &
    servers="$servers $!"
    until_true [ -s "$dir/unix.port" ] || { echo 'no unix server'; exit 1; }
}
start_unix
given 'http://any.example/echo\nhttp://other.example:8080/redirect/302/1\n'
try -q --body json --order input --unix-socket "$dir/socket"
expect '--unix-socket: whatever the host' 0 \
    'map(.json.headers.host) == ["any.example", "other.example:8080"] and .[1].redirects == 1'
http_proxy=http://127.0.0.1:1 try -q --unix-socket "$dir/socket"
expect '... and the proxy of the environment is out' 0 'all(.status == 200)'
try -q -R 0 --unix-socket "$dir/none"
expect '... one that is not there' 1 'all(.outcome == "transport_failed")'

given 'http://a.example:%s/echo\n' "$port"
try -q --body json --resolve "a.example:$port:127.0.0.1"
expect '--resolve: no look-up' 0 \
    '.[0] | .json.headers.host == "a.example:'"$port"'"
        and .url == "http://a.example:'"$port"'/echo"'
try -q --body json --resolve "b.example:$port:127.0.0.9" --resolve "a.example:1:127.0.0.9" \
    --resolve "A.Example:$port:127.0.0.1"
expect '--resolve: the one that fits' 0 '.[0].status == 200'
try -q --resolve "*:$port:127.0.0.1"
expect '--resolve: any host' 0 '.[0].status == 200'
try -q -R 0 --resolve "a.example:$port:127.0.0.9"
expect '--resolve: obeyed even if nobody is there' 1 '.[0].error.kind == "refused"'
try -q --resolve "a.example:$port:127.0.0.9,127.0.0.1"
expect '--resolve: several addresses, one answers' 0 '.[0].status == 200'

given 'http://a.example/echo\n'
try -q --body json --connect-to "a.example:80:127.0.0.1:$port"
expect '--connect-to: there instead' 0 '.[0].json.headers.host == "a.example"'
try -q --connect-to "x.example::127.0.0.1:1" --connect-to "::127.0.0.1:$port"
expect '--connect-to: empty matches anything' 0 '.[0].status == 200'
given 'http://a.example:%s/echo\n' "$port"
try -q --connect-to "a.example::127.0.0.1:"
expect '--connect-to: an empty port stays' 0 '.[0].status == 200'
try -q --connect-to "::b.example:" --resolve "b.example:$port:127.0.0.1"
expect '--connect-to, then --resolve' 0 '.[0].status == 200'

given '%s/peer\n' "$base"
try -q --body json --interface 127.0.0.3
expect '--interface: our own address' 0 '.[0].json.address == "127.0.0.3"'

given '%s/peer\n' "$other_name"
try -q --body json -4
expect '-4' 0 '.[0].json.address == "127.0.0.1"'
try -q -R 0 -6
expect '-6: nobody is there' 1 '.[0] | .outcome == "transport_failed"'
"$PLAIN" --ipv6 --port-file "$dir/six.port" --max-seconds 200 >/dev/null 2>&1 &
six=$!
servers="$servers $six"
tried() {
    [ -s "$dir/six.port" ] || ! kill -0 "$six" 2>/dev/null
}
if until_true tried && [ -s "$dir/six.port" ]; then
    six=$(cat "$dir/six.port")
    given 'http://a.example:%s/peer\n' "$six"
    try -q --body json -6 --resolve "a.example:$six:::1" --resolve "a.example:$six:127.0.0.1"
    expect '-6: the address that is one' 0 '.[0].json.address == "::1"'
else
    skip 'no IPv6'
fi

# --- the environment ----------------------------------------------------------------------------

# Whoever asks for this proxy is refused at once: nothing listens on port 1.
given '%s/echo\n' "$base"
for name in http_proxy all_proxy ALL_PROXY; do
    export $name=127.0.0.1:1
    try -q -R 0
    expect "$name is obeyed" 1 '.[0].error.kind == "proxy_failed"'
    try -q -x ''
    expect '... not with --proxy ""' 0 '.[0].status == 200'
    try -q --noproxy 'a.org,127.0.0.1'
    expect '... not for those of --noproxy' 0 '.[0].status == 200'
    no_proxy='*' try -q
    expect '... not for those of no_proxy' 0 '.[0].status == 200'
    NO_PROXY='b.org, 127.0.0.1' try -q
    expect '... not for those of NO_PROXY' 0 '.[0].status == 200'
    no_proxy='*' try -q -R 0 --noproxy ''
    expect '... --noproxy "" wins' 1 '.[0].error.kind == "proxy_failed"'
    unset $name
done
for name in HTTP_PROXY https_proxy HTTPS_PROXY; do
    export $name=127.0.0.1:1
    try -q -R 0
    expect "$name is not for http" 0 '.[0].status == 200'
    unset $name
done

# --- timeouts -----------------------------------------------------------------------------------

# phase WHAT PHASE FLAGS...: times out there, and soon.
phase() {
    what=$1 wanted=$2
    shift 2
    try -q -R 0 "$@"
    expect "$what: $wanted" 1 '.[0] | .outcome == "timeout_exhausted" and .error.kind == "timeout"
        and .error.phase == "'"$wanted"'" and .ms.total >= 190 and .ms.total < 5000'
}
given '%s/hang\n' "$base"
phase --first-byte-timeout first_byte --first-byte-timeout 200ms
phase --idle-timeout first_byte --idle-timeout 200ms
given '%s/trickle/100/100\n' "$base"
phase --min-speed body --min-speed 1k --min-speed-time 200ms
given '%s/trickle/3/300\n' "$base"
phase --idle-timeout body --idle-timeout 200ms
try -q --min-speed 1 --min-speed-time 1 --first-byte-timeout 5 --idle-timeout 5
expect 'fast enough' 0 '.[0].body == "aaa"'
given '%s/items/1\n' "$base"
try -q --dns-timeout 5 --tls-timeout 5 --send-timeout 5 --first-byte-timeout 5 --idle-timeout 5 \
    --min-speed 1
expect 'none of them strikes for nothing' 0 '.[0].status == 200'
finish

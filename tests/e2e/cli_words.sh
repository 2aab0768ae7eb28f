#!/bin/sh
# 19: a secret is never printed. 20: what cannot work is refused before anything is sent, in words
# that name the flag; and what others send is passed on so that every reader takes it.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base

# --- 19: secrets --------------------------------------------------------------------------------

# hides WHAT STATUS FLAGS...: the word is nowhere in what is said, nor in the records
hides() {
    what=$1 wanted=$2
    shift 2
    try "$@"
    check "19: $what: exit $wanted" ended "$wanted"
    check "19: $what" sh -c "! grep -ai s3cr3t '$dir/err' '$dir/out'"
}

given '%s/items/1\n' "$base"
printf 'Accept: a\n\ns3cr3t-token\n' >"$dir/token"
hides '-H @FILE' 2 -H "@$dir/token"
said '19: -H @FILE: file and line' \
    "^sparp: --header: $dir/token, line 3: this is not 'Name: value'\$"
printf 'Authorization: s3cr3t\001\n' >"$dir/token"
hides '-H @FILE, a control character' 2 -H "@$dir/token"
said '19: ... file and line' "$dir/token, line 1: a control character is in the value"
hides '-H without a colon' 2 -H s3cr3t
hides '-H with a bad name' 2 -H 's3cr3t token: x'
hides '-H with a control character' 2 -H "A: s3cr3t$(printf '\001')x"
hides 'a URL without //' 2 http:/me:s3cr3t@h/
hides 'a URL without its scheme' 2 me:s3cr3t@h/
hides '--json' 2 --json '{"token":"s3cr3t"'
hides '--json @FILE' 2 --json "@$dir/token"
hides '--url-query' 2 --url-query s3cr3t
hides '--base-url' 2 --base-url ftp://me:s3cr3t@h/
hides '-T without a placeholder' 2 -T http://me:s3cr3t@h/
hides '-T with a placeholder that means nothing' 2 -T 'http://me:s3cr3t@h/{id}'
hides '-x' 2 -x socks5://me:s3cr3t@h
hides '-A' 2 -A "s3cr3t$(printf '\001')"
hides 'a URL with a capital scheme' 2 HTTP://me:s3cr3t@127.0.0.1/
hides 'a URL of another scheme' 2 ftp://me:s3cr3t@127.0.0.1/
hides 'an option that we do not have' 2 --bearer=s3cr3t
hides 'a letter that we do not have' 2 -us3cr3t
hides 'a URL that fails' 1 -R 0 http://me:s3cr3t@127.0.0.1:1/x
hides 'a URL that is none' 1 -R 0 'http://me:s3cr3t@h h/'
hides 'a dry run' 0 -n http://me:s3cr3t@h/
export http_proxy=socks5://me:s3cr3t@h
hides 'a proxy of the environment' 1 -R 0 http://a.test/
unset http_proxy

# --- 20: refused before anything is sent --------------------------------------------------------

given 'a\n'
for word in '{id}' '{0}' '{raw1}' '{1raw}' '{line}' '{ }' '{#}' '{'; do
    refused "20: -T: $word" '^sparp: --template: ' -T "$base/items/{}$word"
done
try -q -T "$base/echo?{{{}}" --body json
expect '20: -T: {{ is a brace' 0 '.[0].json.url == "/echo?%7Ba%7D" or .[0].json.url == "/echo?{a}"'

given '%s/items/1\n' "$base"
refused '20: --summary-file that cannot be written' '^sparp: cannot create /nonexist/s: ' \
    --summary-file /nonexist/s
refused '20: --summary-file in a directory' 'cannot create' --summary-file "$dir"
try -q --summary-file "$dir/sum"
check '20: --summary-file: is written' grep -q '^requests   1 finished' "$dir/sum"

case $("$SPARP" -V) in
    *'TLS       none'*) skip 'no TLS in this build' ;;
    *)
        for pin in abc '' ';'; do
            refused '20: --pin that is none' '^sparp: --pin: not the base64 of 32 bytes' \
                --pin "$pin"
        done
        : >"$dir/empty.pem"
        refused '20: --cacert without a certificate' 'no usable certificate in .*empty.pem' \
            --cacert "$dir/empty.pem"
        refused '20: --cert without a certificate' 'empty.pem: no usable certificate' \
            --cert "$dir/empty.pem" --key "$dir/empty.pem"
        try -q --pin "$(printf %032d 0 | base64)"
        check '20: --pin that could be one' ended 0
        ;;
esac
refused '20: --interface that is not ours' '^sparp: --interface: 192.0.2.1 is no address of this' \
    --interface 192.0.2.1
refused '20: --interface, IPv6' '^sparp: --interface: 2001:db8::1 is no address of this' \
    --interface 2001:db8::1
refused '20: --interface of the other family' ' is not of --ipv4 or --ipv6$' \
    --interface 127.0.0.1 -6
for line in 'Content-Length: 5' 'Transfer-Encoding: chunked'; do
    refused "20: $line" '^sparp: --header: this line is set by sparp' -H "$line"
done
refused '20: --burst alone' '^sparp: --burst ' --burst 5

# --- hints --------------------------------------------------------------------------------------

for hint in k:--insecure L:--max-redirs s:--quiet f:--ok i:--headers m:--timeout Z:-c \
    O:--body-dir; do
    refused "-${hint%%:*} is ${hint#*:} here" \
        "^sparp: unknown option -${hint%%:*}; here that is .*${hint#*:}" "-${hint%%:*}"
done
for word in localhost:8080/x www.example.com example.com/x; do
    refused "a URL without its scheme: $word" \
        "$word: No such file .*\\(a URL begins with http://" "$word"
done
for word in urls.txt ./a.b/c ../a.b/c folder/urls.txt; do
    refused "no URL without its scheme: $word" "$word: No such file or directory\$" "$word"
done

# --- 20: words ----------------------------------------------------------------------------------

given 'http://[::1]:%s/items/1\n' "$port"
try -q -4
expect '20: no address of that family: the flags' 1 \
    '.[0].error.message | test("--ipv4 or --ipv6") and (test("ip_version") | not)'
given '%s/bytes/5000\n' "$base"
try -q --max-body 1k
expect '20: a body that is too long: the flag' 1 \
    '.[0].error.message | test("exceeds --max-body \\(1024\\)")'
printf '%s\n' '{"url":"http:/x/","id":"a"}' '{"id":"b","url":"ftp://x/"}' \
    '{"url":"http://x/","headers":{"A":5},"meta":{"m":1},"id":"d"}' '{"id":"g"}' \
    '{"id":"h","uri":"http://x/"}' '{"id":"i" "url":1}' >"$dir/in"
try -q
expect '20: a bad line keeps its id and meta' 1 \
    'map(.id) == ["a", "b", "d", "g", "h", "i"] and .[2].meta == {m: 1}
        and all(.outcome == "invalid")'
check '20: an unknown key: which, and what may be meant' records_are \
    '.[4].error.message | endswith("unknown key \"uri\"; did you mean \"url\"?")'

# --- 20: half of a surrogate pair ---------------------------------------------------------------

printf '%s\n' '{"url":"'"$base"'/items/1","id":"\ud83d","meta":["\ude00"]}' \
    '{"url":"'"$base"'/items/2","id":"\ud83d\ude00"}' >"$dir/in"
try -q --order input --echo
expect '20: half of a pair in id and meta: as text' 0 \
    'length == 2 and .[0].id == "\"\\ud83d\"" and .[0].meta == "[\"\\ude00\"]"
        and (.[0].request | type) == "string" and (.[1].request | type) == "object"'
check '20: and not to be taken for an escape' [ "$(grep -c 'ud83d' "$dir/out")" -eq 2 -a \
    "$(grep -cF '\ud83d"' "$dir/out")" -eq 0 ]

# --- 20: codings --------------------------------------------------------------------------------

start_rude
rude=http://127.0.0.1:$port
given '%s/coding-identity\n%s/coding-twice\n%s/coding-br\n' "$rude" "$rude" "$rude"
try -q -R 0 --order input
expect '20: codings that nobody undoes are said' 0 \
    'map(.encoded) == ["gzip", "gzip, gzip", "gzip, br"] and all(has("body_base64"))'
case $("$SPARP" -V) in
    *'zlib      yes'*)
        try -q -R 0 --order input --compressed
        expect '20: several Content-Encoding lines are one list' 0 \
            '.[0].body == "hello" and (.[0] | has("encoded") | not)
                and map(.encoded) == [null, "gzip, gzip", "gzip, br"]
                and all(.[1:][]; has("body_base64"))'
        ;;
    *) skip 'no zlib in this build' ;;
esac

# --- 20: proxies of the environment -------------------------------------------------------------

# runs WHAT JQ VARIABLE=VALUE... -- FLAGS...: exit 0 or 1, and records
runs() {
    what=$1 jq=$2
    shift 2
    set_here=''
    while [ "$1" != -- ]; do
        export "${1?}"
        set_here="$set_here ${1%%=*}"
        shift
    done
    shift
    given '%s/items/1\n' "$base"
    try -q -R 0 "$@"
    # shellcheck disable=SC2086
    unset $set_here
    check "20: $what" records_are "length == 1 and (.[0] | $jq)"
}
works='.outcome == "success"'
named() {
    echo ".outcome == \"local_failed\" and .error.message == \"$1: proxy must begin with http://\""
}
runs 'https_proxy that an http URL does not need' "$works" https_proxy=socks5h://127.0.0.1:1 --
runs 'all_proxy beside http_proxy' '.error.kind == "proxy_failed"' all_proxy=socks5h://h \
    http_proxy=http://127.0.0.1:1 --
runs 'all_proxy, and no_proxy=*' "$works" all_proxy=socks5://127.0.0.1:1 no_proxy='*' --
runs 'all_proxy, and no_proxy has the host' "$works" ALL_PROXY=socks5://127.0.0.1:1 \
    no_proxy=localhost,169.254/16,127.0.0.1 --
for name in http_proxy all_proxy ALL_PROXY; do
    runs "$name that is needed: is named" "$(named $name)" $name=socks5://127.0.0.1:1 --
    runs "$name: --proxy none switches it off" "$works" $name=socks5://127.0.0.1:1 -- -x none
done
runs 'a strange entry of no_proxy' '.error.kind == "proxy_failed"' no_proxy=169.254/16,.corp \
    http_proxy=127.0.0.1:1 --
runs 'http_proxy with a path' '.error.message | test("127.0.0.1:1")' http_proxy=127.0.0.1:1/path --
# What a redirect leads to does not go past the proxy that it would need, either.
export https_proxy=socks5://127.0.0.1:1
try -q -R 0 "$base/redirect-to/302?https://127.0.0.1:1/"
expect '20: a redirect to where the proxy is no use' 1 \
    '.[0].error | .kind == "redirect_refused" and (.message | test("proxy must begin with"))'
unset https_proxy

# --- 20: -w auto --------------------------------------------------------------------------------

threads() {
    awk '/^Threads/ { print $2 }' "/proc/$1/status"
}
if command -v taskset >/dev/null && [ -e /proc/self/status ]; then
    given '%s/delay/1500\n' "$base"
    forget
    taskset -c "$(taskset -cp $$ | sed 's/.*: \([0-9]*\).*/\1/')" "$SPARP_PLAIN" -q -w auto \
        "$dir/in" >"$dir/out" &
    one=$!
    seen() { [ "$(arrived)" -ge 1 ]; }
    until_true seen
    check '20: -w auto on one processor: no thread more' [ "$(threads $one)" -le 1 ]
    wait $one
else
    skip 'no taskset, or no /proc'
fi
finish

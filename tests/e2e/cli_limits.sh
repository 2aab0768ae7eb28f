#!/bin/sh
# What the command refuses, and how it says so; descriptors; help; dry run.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/cli.inc
start_base
given '%s/items/1\n' "$base"

# --- descriptors --------------------------------------------------------------------------------

limited() {
    status=0
    kind=$1 n=$2
    shift 2
    # shellcheck disable=SC3045
    (ulimit "-$kind" "$n" && exec timeout -k 2 "$limit" "$SPARP" "$@") \
        <"$dir/in" >"$dir/out" 2>"$dir/err" || status=$?
    no_report || check 'no report of a sanitizer' false
}
seq 1 300 | sed "s|.*|$base/delay/5|" >"$dir/in"
for at_once in 30 1000; do
    forget
    limited n 40 -q -c $at_once
    said "-c $at_once: says how many it needs" \
        "-c $at_once needs $((at_once + 16)) file descriptors, the limit is 40:.*ulimit -n"
    check "-c $at_once: says it once" [ "$(grep -c descriptors "$dir/err")" -eq 1 ]
    expect "-c $at_once: fewer at once, and all of it" 0 \
        'length == 300 and all(.outcome == "success")'
    advice=$(sed -n 's/.* use -c \([0-9]*\)\..*/\1/p' "$dir/err")
    limited n 40 -q -c "${advice:-0}"
    expect "-c ${advice:-?}, as advised, works" 0 'length == 300 and all(.outcome == "success")'
    check '... without a word' [ ! -s "$dir/err" ]
done
limited Sn 40 -q -c 30
expect 'a soft limit is raised' 0 'length == 300 and all(.outcome == "success")'
limited n 40 -q -c 24 -r 1000
expect 'ulimit -n 40, -c 24' 0 'length == 300 and all(.outcome == "success")'

# --- -c auto ------------------------------------------------------------------------------------

most_at_once() {
    curl -s "$base/stats" | jq .most_at_once
}
seq 1 30 | sed "s|.*|$base/hang?&|" >"$dir/in"
forget
try -q -c auto -t 100ms -R 0
expect '-c auto: a server that hangs' 1 'length == 30 and all(.outcome == "timeout_exhausted")'
check '-c auto: never more than 8 there' [ "$(most_at_once)" -le 8 ]
seq 1 800 | sed "s|.*|$base/delay/5?&|" >"$dir/in"
forget
try -q -c auto
expect '-c auto: a server that answers' 0 'length == 800 and all(.outcome == "success")'
check '-c auto: more and more there' [ "$(most_at_once)" -gt 12 ]
forget
try -q -c auto --per-host 4
check '-c auto --per-host 4: never more than 4' [ "$status" -eq 0 -a "$(most_at_once)" -le 4 ]
refused '-c AUTO' 'a number or auto' -c AUTO

# --- usage --------------------------------------------------------------------------------------

given '%s/items/1\n' "$base"
watched=no
forget
refused '--report without a name: refused' '--report needs an argument' --report
refused '--unheard-of: refused' "unknown option --unheard-of; 'sparp --help'" --unheard-of
refused '--unheard-of=1: refused' "unknown option --unheard-of; 'sparp --help'" --unheard-of=1
# hint GIVEN MEANT
hint() {
    refused "$1: did you mean $2?" "unknown option $1; did you mean $2\?" "$1"
    refused "$1=1: did you mean $2?" "unknown option $1; did you mean $2\?" "$1=1"
}
hint --retry --retries
hint --timout --timeout
hint --max-at-onc --max-at-once
hint --max-per --max-per-second
hint --concurency --concurrency
hint --time --timeout
hint --out --output
hint --dry --dry-run
hint --location --max-redirs
hint --speed-limit --min-speed
hint --max-redir --max-redirs
refused 'nothing like it: no hint' 'unknown option --zzzzzz' --zzzzzz
check 'no hint indeed' sh -c "! grep -q 'did you mean' '$dir/err'"
refused 'the hint says only one thing' . --retry
check 'in one line' [ "$(wc -l <"$dir/err")" -eq 1 ]

for flag in -c -r -t -R -o -X -H -d -T --ok --retry-on --first --rejects --total; do
    refused "$flag without its argument" 'needs an argument' $flag
done
refused 'a switch with an argument' 'takes no argument' --quiet=1

# out_of_range FLAG VALUE...: an error with a sentence that names flag and value
out_of_range() {
    flag=$1
    shift
    for value; do
        refused "$flag '$value'" "$flag" "$flag" "$value"
    done
}
out_of_range --max-at-once 0 100001 -1 1.5 abc '' 1e3 99999999999999999999 '1 ' +5 0x10
out_of_range --max-per-second 0 -1 1/0s 5/ 5/x abc '' nan inf 1e3 /s
out_of_range --burst 0 -1 x 4294967296
out_of_range --timeout 0 -5 5x nan inf '' 1,5 .
out_of_range --connect-timeout 0 x
out_of_range --deadline 0 x
out_of_range --retries -1 x 1.5 99999999999
out_of_range --backoff -1 x
out_of_range --backoff-max 0 x
out_of_range --retry-after-max -1 x
out_of_range --ok 99 1000 2x 300-200 '' 200, 200-
out_of_range --retry-on 0 ok
out_of_range --stop-on '' hard-fail, never
out_of_range --max-fail 0 101% 0% 0.0% x % x% 5%/ 5%/x 5%/0 5%1000 1e1%
out_of_range --first 0 -1 x
out_of_range --stop-mode later
out_of_range --order random
out_of_range --format xml
out_of_range --body text
out_of_range --on-bad-line ignore
out_of_range --progress dots
out_of_range --summary html
out_of_range --color maybe
out_of_range --max-body 0 5x -1 '' 99999999999999999999 99999999999G
out_of_range --skip -1 x
out_of_range --limit x
out_of_range --total 0 x
out_of_range --base-url ftp://x x
out_of_range --url-query novalue
out_of_range --header nocolon ''
out_of_range --headers '' , all,x none,none 'a b'
out_of_range --max-redirs -1 x '' 1001 1.5
for flag in --dns-timeout --tls-timeout --send-timeout --first-byte-timeout --idle-timeout; do
    out_of_range $flag 0 x -1 ''
done
out_of_range --min-speed 0 x -1 1.5 ''
refused '--min-speed-time alone' '--min-speed-time.*--min-speed' --min-speed-time 5
out_of_range --min-speed-time 0 x
out_of_range --resolve '' x x:80 x:80: x:0:127.0.0.1 x:80:localhost :80:127.0.0.1 x:80:127.0.0.1,
out_of_range --connect-to '' x x:80 x:80:y x:80:y:80:z x:80:y:0 x:p:y:80 'a b:80:y:80' a,b:80:y:80
out_of_range --unix-socket '' "/$(printf '%0200d' 0)"
out_of_range --interface '' eth0 localhost 127.0.0.256 '[::1]'
refused '--interface and -6' 'not of --ipv4 or --ipv6' --interface 127.0.0.1 -6
out_of_range --sensitive '' , 'a b' a,,b a:b
refused '--user-agent of two lines' '--user-agent: a control' --user-agent "$(printf 'a\nb')"
out_of_range --proxy socks5://127.0.0.1 https://127.0.0.1 ftp://h 127.0.0.1:x : http:// 'a b' h/p
refused '--ipv4 and --ipv6' 'exclude each other' -4 -6
refused '--proxy and --unix-socket' 'exclude each other' -x h --unix-socket /nowhere
refused 'no password of a proxy is shown' '^sparp: --proxy: proxy must' -x socks5://me:secret@h
check 'indeed' sh -c "! grep -q secret '$dir/err'"
case $("$SPARP" -V) in
    *'zlib      yes'*) ;;
    *) refused '--compressed without zlib' 'built without zlib' --compressed ;;
esac

check 'none of these has sent anything' [ "$(arrived)" -eq 0 ]

export HTTP_PROXY=socks5://127.0.0.1:9 no_proxy=x
try -q "$base/items/1"
expect 'HTTP_PROXY is none: a CGI script has it from its client' 0 'length == 1'
unset HTTP_PROXY no_proxy
watched=yes

# What is huge is refused, or obeyed: never undefined.
for value in 1e9 999999999 999999999999 99999999999h; do
    for flag in --timeout --connect-timeout --deadline --backoff --backoff-max --retry-after-max; do
        try -q $flag $value
        case $status in 0|2) ok=true ;; *) ok=false ;; esac
        check "$flag $value: obeyed or refused ($status)" $ok
    done
done
for value in 0.000001 1000000000 99999999999999 1/9999999h; do
    try -q -r $value
    case $status in 0|2) ok=true ;; *) ok=false ;; esac
    check "-r $value: obeyed or refused ($status)" $ok
done
try -q -R 2147483647 -r 1000000 --burst 1000000000 --first 2147483647 --skip 999999999999999999 \
    --limit 999999999999999999 --total 999999999999999999 --max-fail 2147483647
check 'the greatest counts' ended 1

# Arguments after their options or before them, together or apart.
try -qc5 --retries=1 "$base/items/1" -t 5 "$base/items/2" --body=none
expect 'options and arguments mixed' 0 'length == 2 and all(has("body") | not)'
try -q --concurrency 5 --rate 1000
expect 'the other names of -c and -r' 0 'length == 1'

# --- help ---------------------------------------------------------------------------------------

given ''
try -h
check '-h: exit 0' ended 0
check '-h fits 24 x 80' [ "$(wc -l <"$dir/out")" -le 24 -a "$(wc -L <"$dir/out")" -le 80 ]
check '-h is on stdout' [ -s "$dir/out" ]
silent '-h: nothing on stderr'
cp "$dir/out" "$dir/short"
try --help
check '--help: exit 0' ended 0
for flag in max-cost cost-burst cost cost-from per-host per-host-rate limit-host retry-ratio \
    shard fleet-rate merge user bearer cookie form csv tsv body-name overwrite \
    only fields output-format resume journal retry-failed restart \
    method header data json url-query base-url template format on-bad-line skip limit \
    total max-at-once max-per-second burst timeout connect-timeout deadline ok retry-on retries \
    soft-retries timeout-retries transport-retries backoff backoff-max retry-after-max \
    retry-safe-only retry-unsafe no-gate stop-on max-fail first stop-mode drain-input output order \
    body report \
    headers echo ascii rejects max-body progress summary summary-file summarize no-fail quiet \
    verbose color dry-run curl help version concurrency rate max-redirs compressed user-agent \
    ipv4 ipv6 \
    resolve connect-to unix-socket proxy noproxy interface sensitive dns-timeout tls-timeout \
    send-timeout first-byte-timeout idle-timeout min-speed min-speed-time; do
    check "--help has --$flag" grep -qE -e "--$flag([^a-z-]|\$)" "$dir/out"
done
grep -oE -e '--[a-z][a-z-]+' "$dir/short" | sort -u >"$dir/named"
while read -r flag; do
    check "$flag of -h is in --help" grep -qF -e "$flag" "$dir/out"
done <"$dir/named"
check '--help is at most 80 wide' [ "$(wc -L <"$dir/out")" -le 80 ]
try -V
check '-V: exit 0' ended 0
check '-V: the version' grep -qE '^sparp [0-9]+\.[0-9]+\.[0-9]+' "$dir/out"
for word in compiler TLS backend zlib; do
    check "-V says which $word" grep -qi "$word" "$dir/out"
done
check '-V: with zlib or without' grep -qE '^zlib +(yes|no)$' "$dir/out"
check '-V: the same version as -h' \
    [ "$(head -n 1 "$dir/out")" = "$(sed -n '1s/ - .*//p' "$dir/short")" ]

if script -qec true /dev/null >/dev/null 2>&1; then
    script -qec "'$SPARP'" /dev/null </dev/null >"$dir/tty" 2>&1 || true
    check 'no arguments on a terminal: the short help' grep -q 'many HTTP requests' "$dir/tty"
fi

# --- dry run ------------------------------------------------------------------------------------

given '{"url":"/a?b","id":1,"query":{"c":"d e"},"json":{}}\nhttp://me:secret@127.0.0.1:1/\n{"bad"\n'
forget
try -n --base-url "$base" --url-query k=v
expect '-n: the requests as records' 1 \
    'sort_by(.index) | .[0] == {index: 0, id: 1, outcome: "not_started", status: null, attempts: 0,
            method: "POST", url: "'"$base"'/a?b&c=d%20e&k=v", body: "{}",
            headers: {Host: ["'"${base#http://}"'"], "User-Agent": .[0].headers["User-Agent"],
                Accept: ["*/*"], "Content-Type": ["application/json"], "Content-Length": ["2"]}}
        and .[1].method == "GET" and (.[1].url | contains("***@")) and .[2].outcome == "invalid"'
check '-n: the password is nowhere' sh -c "! cat '$dir/out' '$dir/err' | grep -q secret"
check '-n: nothing is sent' [ "$(arrived)" -eq 0 ]
given '%s/items/1\n' "$base"
try --dry-run
expect '--dry-run: exit 0' 0 'length == 1'
finish

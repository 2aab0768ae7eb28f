#!/bin/sh
# What 'make bench' runs. One server at a time answers on one core, one client at a time asks on
# another; the clients take turns, round after round, so that what disturbs the machine disturbs all
# of them. FULL=1: more requests, more rounds, more clients. When the time is up, each scenario has
# had at least one round. The tables go to the screen and to build/bench/bench.md; what could not be
# measured is said. Exit 0 unless a client failed.
set -u
cd "$(dirname "$0")/../.." || exit 1
PATH=$PATH:/usr/sbin:/usr/local/sbin
begin=$(date +%s)
load=$(cut -d ' ' -f 1 /proc/loadavg 2>/dev/null)
rm -rf build/bench
mkdir -p build/bench
dir=$(pwd)/build/bench
measure=$dir/measure
raw=$dir/raw
CC=${CC:-cc}
FULL=${FULL:-0}
override=''
tls100_seconds=1 tlsbig_seconds=1
: >"$raw"
: >"$dir/failures"
: >"$dir/missing"
. tests/bench/servers.sh
. tests/bench/growth.sh

interrupted() {
    stop_servers
    exit 130
}
trap stop_servers EXIT
trap interrupted INT TERM HUP

say() {
    echo "$*" >&2
}

missing() {
    say "skipped: $*"
    echo "$*" >>"$dir/missing"
}

# --- what there is ------------------------------------------------------------------------------

[ "$(uname)" = Linux ] || { echo 'skipped: the benchmark needs Linux'; exit 0; }
for tool in nginx curl; do
    command -v $tool >/dev/null || { echo "skipped: the benchmark needs $tool"; exit 0; }
done
descriptors=$(awk '/^Max open files/ { print $5 }' /proc/self/limits)
server_core=0 client_core=1
if [ "$(nproc)" -lt 2 ]; then
    server_core=-1 client_core=-1
    missing 'pinning: there is only one core'
fi

if [ "$FULL" = 1 ]; then
    rounds=5 size=100000 seconds=3 budget=520
    curve_rounds=3 curve_size=20000 curve_limit=60000000 growth_budget=780
    scale_size=300000 long_size=10000000
else
    rounds=3 size=40000 seconds=1 budget=55
    curve_rounds=1 curve_size=5000 curve_limit=1500000 growth_budget=100
    scale_size=100000 long_size=1000000
fi

# build NAME SOURCE LIBRARIES...
build() {
    name=$1 file=$2
    shift 2
    # shellcheck disable=SC2086
    $CC -I. ${CPPFLAGS:-} ${CFLAGS:--O2} ${LDFLAGS:-} -o "$dir/$name" "$file" "$@" \
        2>"$dir/$name.log"
}

must_build() {
    build "$@" || { cat "$dir/$1.log" >&2; exit 1; }
}

must_build measure tests/bench/measure.c
must_build server tests/bench/server.c
tls_flags=$(sh tools/tls.sh)
# shellcheck disable=SC2086
must_build scale tests/bench/scale.c $tls_flags -lpthread
# shellcheck disable=SC2086
must_build sparp_client tests/bench/sparp_client.c $tls_flags -lpthread
# shellcheck disable=SC2086
must_build sparp tools/sparp.c $tls_flags -lpthread
clients='library all command urls'
add() {
    clients="$clients $1"
}
if build floor tests/bench/floor.c -lbearssl; then add floor; else missing 'floor: no BearSSL'; fi
if build curl_client tests/bench/curl_client.c -lcurl -lssl -lcrypto; then
    add libcurl
else
    missing 'libcurl: no headers of libcurl or OpenSSL'
fi
for tool in wrk h2load; do
    if command -v $tool >/dev/null; then add $tool; else missing "no $tool"; fi
done
if curl --help all 2>/dev/null | grep -q -e --parallel-immediate; then
    add curl
else
    missing 'curl is too old for --parallel'
fi
python=''
for candidate in python3 /usr/bin/python3; do
    if $candidate -c 'import aiohttp' 2>/dev/null; then
        python=$candidate
    fi
done
if [ -n "$python" ]; then add aiohttp; else missing 'no aiohttp'; fi

has() {
    case " $clients " in
        *" $1 "*) return 0 ;;
    esac
    return 1
}

# --- the scenarios ------------------------------------------------------------------------------

# scenario NAME: sets url, at_once, expect, requests, ca (empty: in the clear) and who takes part.
scenario() {
    at_once=100 expect=120 requests=$size ca='' base="http://127.0.0.1:$port"
    who='library floor libcurl wrk'
    case $1 in
        tls*)   base="https://127.0.0.1:$((port + 1))" ca=$dir/ca.pem ;;
        bare*)  base="http://127.0.0.1:$bare_port" ;;
        ecdsa)  base="https://127.0.0.1:$((port + 2))" ca=$dir/ca.pem ;;
        rsa)    base="https://127.0.0.1:$((port + 3))" ca=$dir/ca.pem ;;
    esac
    url=$base/items/
    case $1 in
        plain100)  who='library all command urls floor libcurl wrk h2load curl aiohttp' ;;
        tls100)    who='library command floor libcurl wrk h2load curl aiohttp' requests=100000 ;;
        *10000)    at_once=10000 who='library floor' requests=$((size * 15)) ;;
        tls1000)   at_once=1000 who='library floor wrk' ;;
        *1000)     at_once=1000 ;;
        *big)      requests=$((size / 5)) url=$base/big/ expect=100000 ;;
        ecdsa|rsa) requests=$((size / 200)) at_once=10 who='library libcurl' ;;
    esac
    if [ "$FULL" = 1 ]; then
        [ "$1" = tls1000 ] && who="$who libcurl"
    else
        case $1 in
            tls100)    who='library command floor libcurl wrk' ;;
            bare100)   who='library floor wrk' ;;
        esac
    fi
    # So that a slow client takes about as long as a fast one.
    case $2 in
        curl)    [ "$1" = plain100 ] && requests=$((requests / 4)) || requests=$((requests / 10)) ;;
        aiohttp) requests=$((requests / 20)) ;;
    esac
}

# The lines that the command reads are made before anything is measured.
inputs() {
    for kind in plain100 tls100; do
        [ $kind = tls100 ] && [ $tls = no ] && continue
        scenario $kind command
        seq 0 $((requests - 1)) |
            awk -v url="$url" '{ printf "{\"id\":%d,\"url\":\"%s%d\"}\n", $1, url, $1 }' \
            >"$dir/$kind.jsonl"
        seq 0 $((requests - 1)) | sed "s|^|$url|" >"$dir/$kind.urls"
    done
}

# ask SCENARIO CLIENT PREFIX...: runs the client behind the words of the prefix. $override, if not
# empty, is how many requests instead.
# shellcheck disable=SC2086
ask() {
    scenario "$1" "$2"
    secure=${ca:+--ca $ca} trust=${ca:+--cacert $ca} input=$dir/$1 client=$2
    shift 2
    requests=${override:-$requests}
    case $client in
        library) "$@" "$dir/sparp_client" $secure --expect $expect "$url" $requests $at_once ;;
        all)     "$@" "$dir/sparp_client" --mode all --expect $expect "$url" $requests $at_once ;;
        floor)   "$@" "$dir/floor" --expect $expect "$url" $requests $at_once ;;
        libcurl) "$@" "$dir/curl_client" $secure --expect $expect "$url" $requests $at_once ;;
        command) "$@" "$dir/sparp" -q -c $at_once $trust --limit $requests -o "$dir/records" \
                     "$input.jsonl" ;;
        urls)    "$@" "$dir/sparp" -q -c $at_once $trust --limit $requests -o "$dir/records" \
                     "$input.urls" ;;
        wrk)     "$@" wrk -t1 -c$at_once -d${wrk_seconds}s "${url}1" ;;
        h2load)  "$@" h2load --h1 -t1 -c$at_once -n$requests "${url}1" ;;
        curl)    "$@" curl -q -s -f --http1.1 $trust -Z --parallel-max $at_once \
                     --parallel-immediate -o /dev/null "${url}[1-$requests]" ;;
        aiohttp) "$@" "$python" tests/bench/aiohttp_client.py "$url" $requests $at_once $expect \
                     $ca ;;
    esac
}

# What it says of itself: sets good, connects, full, resumed.
judge() {
    connects=- full=- resumed=- good=$requests
    case $1 in
        library|all|floor|libcurl|aiohttp)
            read -r line <"$dir/said"
            for pair in $line; do
                case $pair in
                    good=*) good=${pair#*=} ;;
                    connects=*) connects=${pair#*=} ;;
                    full=*) full=${pair#*=} ;;
                    resumed=*) resumed=${pair#*=} ;;
                esac
            done ;;
        command|urls)
            good=$(grep -c '"outcome":"success"' "$dir/records") ;;
        wrk)
            requests=$(sed -n 's/^ *\([0-9]*\) requests in.*/\1/p' "$dir/said")
            good=${requests:=0}
            grep -q 'Non-2xx\|Socket errors: connect [1-9]' "$dir/said" && good=0 ;;
        h2load)
            good=$(sed -n 's/.* done, \([0-9]*\) succeeded.*/\1/p' "$dir/said") ;;
    esac
    [ "$requests" -gt 0 ] && [ "$good" = "$requests" ]
}

# wrk cannot be told how many requests: if it made less than half of what the others make, its
# handshakes would count for more than theirs: it is run again, with more time from now on.
wrk_was_short() {
    short=$requests
    scenario "$1" wrk
    [ "$short" -gt 0 ] && [ $((short * 2)) -lt "$requests" ] && [ $wrk_seconds -eq 1 ] || return 1
    wrk_seconds=$((requests / short + 1))
    [ $wrk_seconds -lt 8 ] || wrk_seconds=8
    sed '$d' "$raw" >"$dir/raw.new" && mv "$dir/raw.new" "$raw"
}

# one ROUND SCENARIO CLIENT: a line in raw, or one in failures. To free the records of the round
# before is no part of a request.
one() {
    status=0
    rm -f "$dir/records"
    ask "$2" "$3" "$measure" $client_core 120 "$dir/cost" >"$dir/said" 2>"$dir/complaint" ||
        status=$?
    if [ $status -ne 0 ] || ! judge "$3"; then
        echo "$2, $3: exit status $status, $(tail -n 1 "$dir/complaint")" >>"$dir/failures"
        say "FAILED $2, $3: exit status $status"
        head -n 5 "$dir/said" "$dir/complaint" >&2
        return 1
    fi
    read -r cpu wall peak status user <"$dir/cost"
    echo "$2 $3 $1 $requests $cpu $wall $peak $connects $full $resumed $user" >>"$raw"
}

# take_turns ROUND SCENARIO: every client that takes part, once. Where a thousand handshakes are a
# large part of the cost, all the others get as many requests as wrk has made of its time.
take_turns() {
    turns=$clients
    wrk_seconds=1
    case $2 in
        *1000|*10000) wrk_seconds=$((seconds + 1)) ;;
        tls100)       wrk_seconds=$tls100_seconds ;;
        tlsbig)       wrk_seconds=$tlsbig_seconds ;;
    esac
    [ "$2" = tls1000 ] && turns="wrk $clients"
    taken=' '
    for client in $turns; do
        scenario "$2" "$client"
        case " $who " in
            *" $client "*) ;;
            *) continue ;;
        esac
        case $taken in
            *" $client "*) continue ;;
        esac
        taken="$taken$client "
        while one "$1" "$2" "$client"; do
            case $2,$client in
                tls100,wrk|tlsbig,wrk) wrk_was_short "$2" || break ;;
                *) break ;;
            esac
        done
        if [ "$2,$client" = tls1000,wrk ]; then
            override=$((requests < 20000 ? 20000 : requests > 300000 ? 300000 : requests))
        fi
    done
    override=''
    case $2 in
        tls100) tls100_seconds=$wrk_seconds ;;
        tlsbig) tlsbig_seconds=$wrk_seconds ;;
    esac
}

# How many system calls: of two runs the difference, so that starting and connecting drop out. wrk
# takes no number of requests: there they are in it.
calls() {
    if ! command -v strace >/dev/null; then
        missing 'system calls: no strace'
        return
    fi
    wrk_seconds=1
    for client in $clients; do
        counts='' asked=''
        for override in 2000 6000; do
            [ "$client" = aiohttp ] && override=$((override / 2))
            ask plain100 "$client" "$measure" $client_core 120 /dev/null \
                strace -f -c -o "$dir/strace" >"$dir/said" 2>"$dir/complaint"
            counts="$counts $(awk '$NF == "total" { print $4 }' "$dir/strace")"
            judge "$client" || say "strace: $client failed"
            asked="$asked $requests"
            [ "$client" = wrk ] && break
        done
        override=''
        echo "$client $counts $asked" |
            awk '{ if (NF == 3) print "calls", $1, $2 / $3
                   else if (NF == 5) print "calls", $1, ($3 - $2) / ($5 - $4) }' >>"$raw"
    done
}

# Connections that lie idle: memory now, and CPU time of a second in which nothing happens.
rests() {
    for name in plain1000 tls1000; do
        [ $name = tls1000 ] && [ $tls = no ] && continue
        for client in library floor libcurl; do
            has $client || continue
            scenario $name $client
            program=$dir/sparp_client
            [ $client = floor ] && program=$dir/floor
            [ $client = libcurl ] && program=$dir/curl_client
            # shellcheck disable=SC2086
            "$measure" $client_core 60 "$dir/cost" "$program" ${ca:+--ca $ca} --rest 1 \
                "$url" 10000 $at_once >"$dir/said" 2>"$dir/complaint" || {
                echo "$name at rest, $client" >>"$dir/failures"
                say "FAILED $name at rest, $client"
                cat "$dir/complaint" >&2
                continue
            }
            sed 's/[a-z_]*=//g' "$dir/said" | awk -v what="rest $name $client" '{
                print what, $2, $5, $6 }' >>"$raw"
        done
    done
}

# --- all of it ----------------------------------------------------------------------------------

scenarios='plain100 plain1000 plainbig tls100 tls1000 tlsbig ecdsa rsa bare100'
[ "$FULL" = 1 ] && scenarios="$scenarios bare1000 plain10000"

unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
start_servers || exit 1
[ "$tls" = yes ] || missing 'TLS: openssl made no certificates'
case $tls_flags in
    *-DSPARP_NO_TLS*)
        tls=no
        missing 'TLS: no BearSSL' ;;
esac
inputs
possible=''
for name in $scenarios; do
    case $name in
        tls*|ecdsa|rsa) [ $tls = yes ] || continue ;;
        *10000)
            if [ "$descriptors" != unlimited ] && [ "$descriptors" -lt 10100 ]; then
                missing "10,000 at once: at most $descriptors descriptors"
                continue
            fi ;;
    esac
    possible="$possible $name"
done

round=1
while [ $round -le $rounds ]; do
    for name in $possible; do
        if [ $round -gt 1 ] && [ $(($(date +%s) - begin)) -gt $budget ]; then
            missing "round $round of $rounds, from $name on: there was no more time"
            break 2
        fi
        take_turns $round "$name"
    done
    done_rounds=$round
    say "round $round of $rounds: $(($(date +%s) - begin)) s"
    round=$((round + 1))
done
calls
rests
curve
crowd
stop_servers
scales
allocations
[ "$FULL" = 1 ] && sh tests/bench/instructions.sh profile >"$dir/profile" 2>&1

# --- the report ---------------------------------------------------------------------------------

version_of() {
    case $1 in
        nginx)   nginx -v 2>&1 | sed 's|.*/|nginx |' ;;
        wrk)     wrk -v 2>&1 | sed -n '1s/^\(wrk [^ ]*\).*/\1/p' ;;
        h2load)  h2load --version ;;
        curl)    curl --version |
                     sed -n '1s/^\(curl [^ ]*\).* libcurl[^ ]* \([^ ]*\).*/\1 with \2/p' ;;
        aiohttp) $python -c 'import aiohttp, sys
print("aiohttp", aiohttp.__version__, "on Python", sys.version.split()[0])' ;;
        bearssl) dpkg-query -W -f 'BearSSL ${Version}\n' libbearssl-dev 2>/dev/null ||
                     echo BearSSL ;;
        cc)      $CC --version | head -n 1 ;;
    esac
}

# What stands between the two marks of README.md.
quote() {
    awk -v file="$dir/readme.md" '
        /^<!-- end of make bench -->$/ { inside = 0 }
        !inside
        /^<!-- make bench -->$/ {
            inside = 1
            while ((getline line <file) > 0) print line
        }' README.md >"$dir/README.md" && cat "$dir/README.md" >README.md
}

{
    echo "date $(date -u '+%Y-%m-%d %H:%M') UTC"
    model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
    echo "machine $(nproc) cores, ${model:-unknown}, $(uname -m), Linux $(uname -r)"
    printf 'versions sparp %s' "$(sed -n 's/^#define SPARP_VERSION_STRING "\(.*\)"/\1/p' sparp.h)"
    for tool in cc bearssl nginx wrk h2load curl aiohttp; do
        case $tool in
            wrk|h2load|curl|aiohttp) has $tool || continue ;;
        esac
        printf ', %s' "$(version_of $tool)"
    done
    echo
    echo "form $([ "$FULL" = 1 ] && echo full || echo quick), $done_rounds of $rounds rounds"
    echo "load $load"
    echo "took $(($(date +%s) - begin)) s"
} >"$dir/about"
awk -v dir="$dir" -f tests/bench/report.awk "$dir/about" "$raw" "$dir/missing" "$dir/failures" \
    >"$dir/bench.md"
graphs
[ "$FULL" != 1 ] || quote
if [ -s "$dir/profile" ]; then
    {
        echo
        echo '## Where the time goes'
        echo
        cat "$dir/profile"
    } >>"$dir/bench.md"
fi
sed -e '/^|[-:| ]*$/d' -e 's/^| //' -e 's/ |$//' -e 's/ | /  /g' "$dir/bench.md"
echo
echo "The tables are in build/bench/bench.md, the graphs in build/bench/*.svg; every measurement is"
echo "in build/bench/raw."
[ ! -s "$dir/failures" ]

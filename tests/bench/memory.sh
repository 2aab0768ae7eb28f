#!/bin/sh
# What a client of HTTP needs: code, heap for 1, 10 and 100 connections at a time, and stack. Ours,
# whole and with all left out that can be; mongoose and a libcurl that can do nothing but HTTP. A
# table. All of them static with musl, at -Os, against a server that keeps every answer back until
# all requests are there; tests/bench/memory says how it is measured.   tests/bench/memory.sh
# `make sizes` runs it. Mongoose (in the source of swupdate) and libcurl are fetched by apt into
# build/memory, and are used for nothing else.
set -u
cd "$(dirname "$0")/../.." || exit 1
root=$(pwd)
work=$root/build/memory
static=build/static
debian=$(dpkg --print-architecture 2>/dev/null)
arch=.
mkdir -p "$work"
flags='-Os -ffunction-sections -fdata-sections -fno-unwind-tables -fno-asynchronous-unwind-tables'
wrap='-Wl,--gc-sections,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free'
least='-DSPARP_NO_THREADS -DSPARP_NO_STDIO -DSPARP_NO_PROXIES -DSPARP_NO_REDIRECTS
       -DSPARP_NO_LIMITS -DSPARP_NO_LOOKUPS -DSPARP_NO_DATES -DSPARP_NO_SENTENCES
       -DSPARP_BUFFER_SIZE=4096 -DSPARP_EVENTS=32 -DSPARP_READ_AHEAD=8'
servers=''
end_servers() {
    # shellcheck disable=SC2086
    [ -z "$servers" ] || kill $servers 2>/dev/null
}
trap end_servers EXIT
trap 'exit 130' INT TERM HUP

missing() {
    echo "skipped: $*" >&2
    exit 77
}

. tools/fetch.sh

# --- servers ----------------------------------------------------------------------------------

# wait_for FILE
wait_for() {
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        [ -s "$1" ] && return
        sleep 0.1
    done
    missing "no server: $1"
}

start_plain() {
    ${MAKE:-make} -s build/plain && rm -f "$work/port" || exit 1
    build/plain --port-file "$work/port" --max-seconds 900 >/dev/null &
    servers="$servers $!"
    wait_for "$work/port"
    plain=http://127.0.0.1:$(cat "$work/port")/delay/5000
}

# The same behind TLS, which the plain server does not speak.
start_tls() {
    { command -v python3 && command -v openssl; } >/dev/null || return 1
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=one \
        -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null && rm -f "$work/tls.port" ||
        return 1
    timeout 900 python3 tests/bench/memory/tls_server.py "$work" 10 &
    servers="$servers $!"
    wait_for "$work/tls.port"
    tls=https://127.0.0.1:$(cat "$work/tls.port")/
}

# --- clients ----------------------------------------------------------------------------------

# cc_of ARCH: a compiler with musl.
cc_of() {
    cat "$static/$1/cc"
}

# A library for ARCH, with what is of no use to us turned off.
build_curl() {
    lib=$work/curl-$1/lib/libcurl.a
    [ ! -e "$lib" ] || return 0
    cc=$(cc_of "$1")
    off=''
    for what in ALTSVC COOKIES CRYPTO_AUTH DOH GETOPTIONS HSTS HTTP_AUTH LIBCURL_OPTION MIME NETRC \
        NTLM PARSEDATE PROGRESS_METER PROXY SHUFFLE_DNS SOCKETPAIR; do
        off="$off -DCURL_DISABLE_$what=ON"
    done
    for what in CURL_ENABLE_SSL CURL_ZLIB CURL_BROTLI CURL_ZSTD CURL_USE_LIBSSH2 CURL_USE_LIBSSH \
        CURL_USE_LIBPSL USE_LIBIDN2 USE_NGHTTP2 ENABLE_THREADED_RESOLVER ENABLE_UNIX_SOCKETS \
        ENABLE_MANUAL BUILD_SHARED_LIBS BUILD_CURL_EXE BUILD_TESTING; do
        off="$off -D$what=OFF"
    done
    [ "$1" = "$(uname -m)" ] ||
        off="$off -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_CROSSCOMPILING_EMULATOR=$(emulator "$1")"
    # shellcheck disable=SC2086
    { cmake -S "$work/curl" -B "$work/curl-$1" -DCMAKE_C_COMPILER="${cc%% *}" \
        -DCMAKE_C_FLAGS="$(echo "$cc " | cut -d ' ' -f 2-) $flags" -DCMAKE_BUILD_TYPE=None \
        -DCMAKE_EXE_LINKER_FLAGS=-static -DHTTP_ONLY=ON $off &&
        cmake --build "$work/curl-$1" --target libcurl -j 2; } >"$work/log" 2>&1 ||
        { tail -n 3 "$work/log" >&2; return 1; }
}

emulator() {
    case $1 in
        armhf) command -v qemu-arm-static || command -v qemu-arm ;;
    esac
}

# client ARCH NAME LIBRARY FLAGS...: $work/client, and $text, the bytes of code and constants that
# are not the C library's. Those of the client itself are among them.
client() {
    machine=$1 name=$2 library=$3
    shift 3
    # shellcheck disable=SC2046,SC2086
    $(cc_of "$machine") $flags -I. "$@" -c -o "$work/$name.o" "tests/bench/memory/$name.c" &&
        $(cc_of "$machine") -static -s $wrap -Wl,-Map="$work/map" -o "$work/client" \
            "$work/$name.o" $library -lpthread || return 1
    text=$(awk '
        /^Linker script and memory map/ { on = 1 }
        on && NF == 1 && /^ \.(text|rodata|data\.rel\.ro)/ { getline rest; $0 = $0 " " rest }
        on && /^ \.(text|rodata|data\.rel\.ro)/ && $4 ~ /memory\/|bearssl/ { print $3 }
        ' "$work/map" | while read -r size; do echo $((size)); done |
        awk '{ n += $1 } END { print n }')
}

# Sets figures: "text heap1 heap10 heap100 stack", in bytes; none if something went wrong.
measure() {
    figures=$text
    for count in 1 10 100; do
        # shellcheck disable=SC2046
        line=$(timeout 60 $(emulator "$1") "$work/client" "$count" "$2") ||
            { echo "skipped: $1, $2, $count" >&2; figures=''; return; }
        figures="$figures ${line% *}"
    done
    figures="$figures ${line#* }"
}

# row TEXT URL NAME FLAGS...: a line of the table, each figure for all machines.
row() {
    label=$1 url=$2 name=$3
    shift 3
    : >"$work/row"
    for machine in $machines; do
        figures=''
        case $name in
            curl) build_curl "$machine" && library=$work/curl-$machine/lib/libcurl.a ;;
            mongoose) library=$work/swupdate/mongoose/mongoose.c ;;
            *) library=$static/$machine/bearssl/libbearssl.a ;;
        esac || continue
        if [ "$name" = mongoose ]; then
            library=$work/mongoose-memory/mongoose.o
            mkdir -p "$work/mongoose-memory"
            # shellcheck disable=SC2046,SC2086
            $(cc_of "$machine") $flags -c -o "$library" "$work/swupdate/mongoose/mongoose.c"
        fi
        client "$machine" "$name" "$library" "$@" && measure "$machine" "$url"
        echo "${figures:-- - - - -}" >>"$work/row"
    done
    awk -v label="$label" '
        {
            for (i = 1; i <= 5; i++) {
                k = $i / 1024
                shown = $i == "-" ? "-" : k < 10 ? sprintf("%.1f", k) : sprintf("%.0f", k)
                cell[i] = cell[i] (NR > 1 ? " / " : "") shown
            }
        }
        END {
            printf "| %s |", label
            for (i = 1; i <= 5; i++)
                printf " %s |", cell[i]
            print ""
        }' "$work/row"
}

# --- the table --------------------------------------------------------------------------------

machines=''
for machine in x86_64 armhf; do
    [ "$machine" = "$(uname -m)" ] && option='' || option=$machine
    # shellcheck disable=SC2086
    if ! sh tools/static.sh $option >"$work/log" 2>&1; then
        echo "skipped: $(tail -n 1 "$work/log")" >&2
    elif [ -n "$option" ] && [ -z "$(emulator "$machine")" ]; then
        echo "skipped: no qemu for $machine" >&2
    else
        machines="$machines $machine"
    fi
done
[ -n "$machines" ] || exit 77
start_plain
bearssl=${BEARSSL:-$static/bearssl}/inc

echo "| KiB, $(echo "$machines" | sed 's|^ ||; s| | / |g') | code | heap: 1 | 10 | 100 | stack |"
echo '|---|--:|--:|--:|--:|--:|'
# shellcheck disable=SC2016,SC2086
{
    row 'sparp, `SPARP_NO_TLS`' "$plain" sparp -DSPARP_NO_TLS
    row '... and all that can be left out, 4 KB' "$plain" sparp -DSPARP_NO_TLS $least
}
if start_tls; then
    row 'sparp with TLS' "$tls" sparp "-I$bearssl"
    # shellcheck disable=SC2086
    row '... and all else left out, 4 KB' "$tls" sparp "-I$bearssl" $least
else
    echo 'skipped: no python3, or no openssl, for a server with TLS' >&2
fi
if [ -e "$work/swupdate" ] || (fetch_source swupdate mongoose mongoose/mongoose.h) >&2; then
    row "mongoose $(sed -n 's/^#define MG_VERSION "\(.*\)"/\1/p' \
        "$work/swupdate/mongoose/mongoose.h")" "$plain" mongoose "-I$work/swupdate/mongoose"
fi
if ! command -v cmake >/dev/null; then
    echo 'skipped: no cmake to build libcurl' >&2
elif [ -e "$work/curl" ] || (fetch_source curl libcurl CMakeLists.txt) >&2; then
    row "libcurl $(sed -n 's/^#define LIBCURL_VERSION "\(.*\)"/\1/p' \
        "$work/curl/include/curl/curlver.h"), HTTP alone" "$plain" curl "-I$work/curl/include" \
        -DCURL_STATICLIB
fi

#!/bin/sh
# The manual at the top of sparp.h: its examples compile as they stand, and do what it says of them;
# its tables of defaults and limits have the numbers of the code.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/e2e/lib.sh
tls=$(sh tools/tls.sh)
sed -n '1,/^#/p' sparp.h >"$dir/manual"

# --- headings ---------------------------------------------------------------------------------

headings_are_listed() {
    sed -n '/^   This manual has/,/^$/p' "$dir/manual" | sed 1d | tr ',' '\n' | sed 's/^ *//' |
        grep . >"$dir/listed"
    sed -n '/^   WAYS TO RUN$/,$p' "$dir/manual" |
        awk '/^   ===*$/ { sub(/,.*/, "", last); print substr(last, 4) } { last = $0 }' |
        diff "$dir/listed" -
}
check 'its contents are its headings' headings_are_listed

# Functions, macros and private names, such as INSIDE has.
names_exist() {
    sed '1,/^#/d' sparp.h | grep -owE 'sparp_[a-z0-9_]+|SPARP_[A-Z0-9_]+' | sort -u >"$dir/known"
    grep -owE 'sparp_[a-z0-9_]+|SPARP_[A-Z0-9_]+' "$dir/manual" | sort -u |
        comm -23 - "$dir/known" >"$dir/unknown"
    cat "$dir/unknown"
    [ ! -s "$dir/unknown" ]
}
check 'the names in it are those of the code' names_exist

# --- the table of defaults --------------------------------------------------------------------

# Of the table of the code: field, default, what else, from, to.
rows_of_code() {
    sed -n '/^#define SPARP__OPTIONS(X)/,/^$/p' sparp.h | sed '1d;s/\\$//' | tr -d '\n' |
        sed 's/    X(/\n/g' | sed 1d | awk -F ', *' '
            function number(n) {
                if (n == "SPARP_READ_AHEAD") return 100
                if (n == "SPARP__REDIRECTS * 10") return 10
                if (n == "SPARP__MAX_AT_ONCE") return 100000
                if (n == "SPARP__WORKERS_MAX") return 256
                if (n == "SPARP__BODY_MOST") return "2^61"
                if (n == "1 << 16") return "64KiB"
                if (n == "1 << 26") return "64MiB"
                if (n == "1 << 30") return "1GiB"
                if (n == "1.0001e12") return "10^12"    # as a float may have it
                if (n ~ /^1e/) return "10^" substr(n, 3) + 0
                return n
            }
            {
                from = $5 == "INT_MAX" && $4 == 0 ? 1 : number($4)
                print $1, number($2), ($3 == "ELSE" ? "" : $3), from, number($5)
            }' | tr -s ' '
}

# Of the manual, with 0 where the default is a word.
rows_of_manual() {
    sed -n '/^       sparp_options  /,/^$/p' "$dir/manual" | sed '1,2d;$d' |
        sed 's/no limit/0/; s/no budget/0/; s/one request.s/0/; s/ none / 0 /; s/ \.\. / /' |
        sed 's/^\( *workers *\) 1 /\1 0 /; s/\([0-9]\) \([KMG]iB\)/\1\2/g; s/,//g' |
        tr -s ' ' | sed 's/^ //; s/_s timeout_s /_s 0 /'
}

# Field and default of the comments of the struct, where the manual has it in the same words.
defaults_of_api() {
    sed -n '/^typedef struct sparp_options {/,/^} sparp_options;/p' sparp.h |
        sed -n 's/^[^*]* \([a-z_]*\);.*(default: \([^;,)]*\)[;,)].*/\1 \2/p' | tr -s ' '
}
agrees_with_api() {
    sed -n '/^       sparp_options  /,/^$/p' "$dir/manual" | sed '1,2d;$d' |
        sed 's/^ *//; s/   *[A-Z].*//; s/   *[0-9^-]* \.\. .*//; s/   */ /' >"$dir/manual.defaults"
    defaults_of_api >"$dir/api.defaults"
    awk 'NR == FNR { manual[$1] = $0; next }
         $1 in manual {
             compared++
             if (manual[$1] != $0) { print "manual: " manual[$1] "; api: " $0; wrong = 1 }
         }
         END { print compared " compared"; exit wrong || compared < 15 }' \
        "$dir/manual.defaults" "$dir/api.defaults"
}
same_rows() {
    rows_of_code >"$dir/code.rows"
    rows_of_manual | diff "$dir/code.rows" - && [ "$(wc -l <"$dir/code.rows")" -ge 30 ]
}
check 'the table of defaults is that of the code' same_rows
check '... and has the words of the struct' agrees_with_api

# Of the table of limits: what a row begins with, and the constant whose number it has.
limits_of_code() {
    while read -r constant row; do
        number=$(sed -n "s/^#define $constant  *(*\([0-9]*\).*/\1/p" sparp.h)
        sed -n '/^   LIMITS$/,/^   THREATS$/p' "$dir/manual" | sed 's/,//g' |
            grep -qE "^       $row .* ?$number([^0-9]|\$)" || echo "$row: not $number ($constant)"
    done >"$dir/wrong" <<'LIMITS'
SPARP__HTTP_MAX_LINES    fields of a response
SPARP__DNS_MAX_ADDRESSES addresses of a name
SPARP__DNS_MAX_NAMES     names kept
SPARP__RACE_MAX          connections racing
SPARP__IDLE_NS           idle connection kept
SPARP__POOL_MAX_UNUSED   unused origins remembered
SPARP__GIVE_MAX          body paused by on_body\(\)
SPARP__RATIO_AFTER       stop_after_failure_ratio
SPARP__PASSES_MAX        passes of a request
SPARP__QUOTAS            limits that an origin tells
SPARP__CHAIN_MAX_CERTS   certificates
SPARP__CHAIN_MAX_BYTES   certificates
SPARP__TLS_PINS_MAX      pins
SPARP__MAX_SLEEPING      requests that pause or
SPARP__WINDOW            results not yet taken or
LIMITS
    cat "$dir/wrong"
    [ ! -s "$dir/wrong" ]
}
check 'the table of limits has the numbers of the code' limits_of_code

# --- examples ---------------------------------------------------------------------------------

# Each begins with the line "// NAME.c" and ends where the text is indented less.
examples() {
    awk -v dir="$dir" '
        /^       \/\/ [a-z_]+\.c$/ { file = dir "/" $2; printf "" >file; print $2; next }
        /^   ? ? ? ?[^ ]/ { file = "" }
        file != "" { print substr($0, 8) >file }' "$dir/manual"
}

# As it stands it has the implementation in it. That costs time, so all but one share it.
compiles() {
    name=$(basename "$1" .c)
    # shellcheck disable=SC2086
    ${CC:-cc} -std=c99 -O0 -Wall -Wextra -Wpedantic -Werror -I. ${2:-} -o "$dir/$name" "$dir/$1" \
        $3 $tls -lpthread ${LDLIBS:-}
}
# shellcheck disable=SC2086
${CC:-cc} -O0 -I. -c -o "$dir/implementation.o" tests/compile/sparp.c $tls || exit 1

start_plain
for example in $(examples); do
    sed "s/127\.0\.0\.1:8080/127.0.0.1:$port/" "$dir/$example" >"$dir/there.c"
    mv "$dir/there.c" "$dir/$example"
    if [ "$example" = each.c ]; then
        check "$example compiles as it stands" compiles "$example" '' ''
    else
        check "$example compiles" compiles "$example" -DSPARP_IMPLEMENTED "$dir/implementation.o"
    fi
    if command -v g++ >/dev/null; then
        check '... as C++11, too' g++ -std=c++11 -fsyntax-only -I. -DSPARP_IMPLEMENTED \
            -x c++ "$dir/$example"
    else
        skip 'no g++'
    fi
done

# prints NAME TEXT...: these lines, in any order.
prints() {
    name=$1
    shift
    timeout 20 "$dir/$name" >"$dir/out" 2>"$dir/err" || { cat "$dir/err"; return 1; }
    printf '%s\n' "$@" | sort >"$dir/wanted"
    sed "s/127\.0\.0\.1:$port/127.0.0.1:8080/" "$dir/out" | sort | diff "$dir/wanted" -
}
as_the_manual_says() {
    sed -n '/^   It prints, in the order/,/^   CONTENTS/s/^       //p' "$dir/manual" >"$dir/said"
    [ "$(wc -l <"$dir/said")" -eq 2 ] && prints each "$(sed -n 1p "$dir/said")" \
        "$(sed -n 2p "$dir/said")"
}
check 'each prints what the manual says' as_the_manual_says
check 'all tells success, status and error apart' prints all '{"id":1,"name":"item 1"}' \
    'http://127.0.0.1:8080/status/404: status 404' \
    'http://127.0.0.1:8080/rst: connection reset by peer'
check 'any takes the first' prints any '{"id":1,"name":"item 1"}'
check 'next has them all' prints next '1000 of 1000'
check 'step does, too' prints step '200 {"id":1,"name":"item 1"}' '200 {"id":2,"name":"item 2"}'

# Both requests are there, then the signal comes.
arrived() {
    curl -s "http://127.0.0.1:$port/stats" | grep -q '"requests":2'
}
stops() {
    curl -s "http://127.0.0.1:$port/stats/reset" >/dev/null
    "$dir/ctrl_c" >"$dir/out" &
    pid=$!
    until_true arrived || { kill "$pid"; return 1; }
    kill -INT "$pid"
    wait "$pid" && [ "$(cat "$dir/out")" = '1 of 2' ]
}
check 'ctrl_c ends with what it has' stops

finish

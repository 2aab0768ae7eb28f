#!/bin/sh
# Compiles every example as its first lines say, runs it against the plain server and compares what
# it prints with tests/examples/NAME.out, where PORT is the port:   tests/examples.sh [NAME...]
# Two are built as they stand. The others are looked at as they stand, and built with an
# implementation that they share, for that is what takes time.
# With UPDATE=1 it writes those files instead.
set -u
cd "$(dirname "$0")/.." || exit 1
work=build/examples
server=
plain=${PLAIN:-build/plain}
passed=0
failed=0
skipped=0
tls=$(sh tools/tls.sh) no_tls=''
case $tls in
    *-DSPARP_NO_TLS*) no_tls=-DSPARP_NO_TLS ;;
esac

mkdir -p $work tests/examples
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null; fi' EXIT
trap 'exit 1' HUP INT TERM

# What stands in the first lines of an example between "cc NAME.c" and "-o NAME".
libraries() {
    sed -n "2,5s/^   cc $1\.c \(.*\) -o $1\$/\1/p" "examples/$1.c"
}

compile() {
    ${CC:-cc} -std=gnu99 -Wall -Wextra -Werror "$@"
}

# build NAME: the messages go to NAME.log
build() {
    rm -f "$work/$1"
    libs="$loop $tls -lpthread"
    [ "$no_tls" ] || libs=$(libraries "$1")
    case $1 in
        readme|redis_rate) ;;
        *) compile -fsyntax-only $no_tls "examples/$1.c" || return
           set -- "$1" -O1 -DSPARP_IMPLEMENTED $work/implementation.o ;;
    esac
    name=$1
    shift
    # shellcheck disable=SC2086
    compile "$@" -o "$work/$name" "examples/$name.c" $libs ${LDLIBS:-}
}

ok() {
    passed=$((passed + 1))
    echo "ok       $1"
}

not_ok() {
    failed=$((failed + 1))
    echo "FAILED   $1: $2"
}

start_server() {
    rm -f $work/port
    "$plain" --port-file $work/port --max-seconds 300 >/dev/null &
    server=$!
    tries=0
    while [ ! -s $work/port ]; do
        tries=$((tries + 1))
        if [ $tries -gt 500 ] || ! kill -0 $server 2>/dev/null; then
            echo "the server did not start"
            return 1
        fi
        sleep 0.02
    done
    port=$(cat $work/port)
}

run_example() {
    name=$1
    base=http://127.0.0.1:$port
    case $name in
    redis_rate) limit=116 ;;    # a client of Redis is in it, too
    *)          limit=60 ;;
    esac
    if [ "$(wc -l <"examples/$name.c")" -ge $limit ]; then
        not_ok "$name" "has $limit lines or more"
        return
    fi
    if ! loop=$(sh tools/loop.sh "examples/$name.c"); then
        skipped=$((skipped + 1))
        echo "$loop"
        return
    fi
    if [ ! -x "$work/$name" ]; then
        not_ok "$name" "does not compile"
        cat "$work/$name.log"
        return
    fi
    case $name in
    redis_rate)                 # tests/e2e/redis.sh runs it
        ok "$name"
        return ;;
    readme) set -- "$base/items/1" "$base/items/2" "$base/status/404" ;;
    *) set -- "$base" ;;
    esac
    timeout 20 "$work/$name" "$@" >"$work/$name.raw" 2>"$work/$name.err"
    status=$?
    sed "s/127\.0\.0\.1:$port/127.0.0.1:PORT/g" "$work/$name.raw" >"$work/$name.out"
    if [ -n "${UPDATE:-}" ]; then
        cp "$work/$name.out" "tests/examples/$name.out"
    fi
    if [ $status -ne 0 ]; then
        not_ok "$name" "ended with status $status"
        cat "$work/$name.err"
    elif diff "tests/examples/$name.out" "$work/$name.out" >"$work/$name.diff" 2>&1; then
        ok "$name"
    else
        not_ok "$name" "prints something else (<: expected)"
        cat "$work/$name.diff" "$work/$name.err"
    fi
}

# run_script NAME INTERPRETER: one that has the command as a co-process. Its results come in any
# order.
run_script() {
    name=${1%.*}
    if ! command -v "$2" >/dev/null; then
        skipped=$((skipped + 1))
        echo "skipped: no $2"
        return
    fi
    SPARP=${SPARP:-./sparp} timeout 20 "$2" "examples/$1" "http://127.0.0.1:$port" \
        >"$work/$name.raw" 2>"$work/$name.err"
    status=$?
    LC_ALL=C sort "$work/$name.raw" >"$work/$name.out"
    if [ $status -ne 0 ]; then
        not_ok "$name" "ended with status $status"
        cat "$work/$name.err"
    elif diff tests/examples/from_script.out "$work/$name.out" >"$work/$name.diff" 2>&1; then
        ok "$name"
    else
        not_ok "$name" "prints something else (<: expected)"
        cat "$work/$name.diff" "$work/$name.err"
    fi
}

scripts=no
if [ $# -eq 0 ]; then
    scripts=yes
    for file in examples/*.c; do
        set -- "$@" "$(basename "$file" .c)"
    done
fi
[ -n "${PLAIN:-}" ] || ${MAKE:-make} -s "$plain" || exit 1
# shellcheck disable=SC2086
compile $no_tls -I. -c -o $work/implementation.o tests/compile/sparp.c || exit 1
for name; do
    loop=$(sh tools/loop.sh "examples/$name.c") || continue
    build "$name" >"$work/$name.log" 2>&1
done
start_server || exit 1
for name; do
    run_example "$name"
done
if [ $scripts = yes ]; then
    [ -n "${SPARP:-}" ] || ${MAKE:-make} -s sparp || exit 1
    run_script from_python.py python3
    run_script from_node.mjs node
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]

#!/bin/sh
# How many instructions a request costs in the library itself, and in the command, counted by
# callgrind over the fixed runs of instructions.c and instructions_command.c. It is the lines of
# sparp.h that count, or those of tools/, inlined or not: what libc does depends on the processor.
#   tests/bench/instructions.sh           as recorded in instructions.txt, within 5 %?
#   tests/bench/instructions.sh record    prints the lines for that file
#   tests/bench/instructions.sh profile   which functions cost most, what they call included
set -u
cd "$(dirname "$0")/../.." || exit 1
recorded=tests/bench/instructions.txt
command -v valgrind >/dev/null || { echo 'skipped: no valgrind'; exit 77; }
dir=build/instructions
mkdir -p $dir
dir=$(cd $dir && pwd)

# compile COMPILER PROGRAM: always the same flags, whatever the others are built with.
compile() {
    source=instructions.c
    [ "$2" = command ] && source=instructions_command.c
    # shellcheck disable=SC2046
    $1 -O2 -g -I. -o "$dir/$1-$2" tests/bench/$source $(sh tools/tls.sh) -lpthread
}

# run COMPILER PROGRAM REQUESTS
run() {
    set -- "$1-$2" "$2" "$3" valgrind --tool=callgrind --callgrind-out-file="$dir/$1-$2.$3"
    program=$dir/$1 kind=$2 requests=$3
    shift 3
    case $kind in
        library) "$@" "$program" "$requests" ;;
        command) seq "$requests" | sed 's|.*|{"id":&,"url":"http://127.0.0.1:8080/items/&"}|' |
                     "$@" "$program" -q -c 100 -o /dev/null ;;
    esac
}

# count COMPILER PROGRAM REQUESTS: instructions on its own lines, in all.
count() {
    run "$@" >"$dir/$1-$2.log" 2>&1 || { cat "$dir/$1-$2.log" >&2; return 1; }
    awk -v program="$2" '
        BEGIN { files = program == "command" ? "/tools/sparp" : "sparp\\.h$" }
        /^(fl|fi|fe|cfi|cfl)=/ {
            id = $1
            sub(/^[a-z]*=/, "", id)
            if (NF > 1) ours[id] = $0 ~ files
            if ($1 !~ /^c/) counts = ours[id]
            next
        }
        /^calls=/ { skip = 1; next }                # the next line is the cost of the callee
        /^[0-9+*-]/ { if (counts && !skip) sum += $2; skip = 0 }
        END { print sum + 0 }' "$dir/$1-$2.$3"
}

# Between two runs, so that starting and connecting drop out.
per_request() {
    few=$(count "$1" "$2" 1000) && many=$(count "$1" "$2" 6000) || return 1
    echo $(((many - few) / 5000))
}

# "library gcc 12 x86_64": only this compiler, in this version, on this machine, makes this code.
describe() {
    echo "$2 $1 $($1 -dumpversion | sed 's/\..*//') $(uname -m)"
}

profile() {
    compile gcc library && count gcc library 20000 >/dev/null || return 1
    echo "Instructions per request (gcc -O2, a network in memory, 20,000 requests), what is called"
    echo "included:"
    echo
    echo '```'
    callgrind_annotate --inclusive=yes "$dir/gcc-library.20000" |
        awk '/:(sparp|main)/ && /sparp__|sparp_run|sparp_step|libc/ {
            sub(/\([^)]*\) */, ""); gsub(/,/, "", $1); sub(/.*:/, "", $2)
            if (seen[$2]++) next
            printf "%8.0f  %s\n", $1 / 20000, $2
            if (++n == 15) exit
        }'
    echo '```'
    echo
    echo 'The same, alone:'
    echo
    echo '```'
    callgrind_annotate "$dir/gcc-library.20000" |
        awk '/^ *[0-9,]+ \(/ && /:/ {
            sub(/\([^)]*\) */, ""); gsub(/,/, "", $1); sub(/.*:/, "", $2)
            printf "%8.0f  %s\n", $1 / 20000, $2
            if (++n == 15) exit
        }'
    echo '```'
}

if [ "${1:-}" = profile ]; then
    profile
    exit
fi

passed=0 failed=0 skipped=0

# check COMPILER PROGRAM
check() {
    name=$(describe "$1" "$2")
    expected=$(sed -n "s/^$name \([0-9]*\)$/\1/p" $recorded)
    if [ -z "$expected" ]; then
        skipped=$((skipped + 1))
        echo "skipped: no figure for $name"
    elif ! got=$(per_request "$1" "$2"); then
        failed=$((failed + 1))
    elif [ $((got * 100)) -gt $((expected * 105)) ] || [ $((got * 100)) -lt $((expected * 95)) ]
    then
        failed=$((failed + 1))
        echo "FAILED $name: $got instructions a request, $expected are recorded in $recorded"
        echo "If that is meant, record it: sh tests/bench/instructions.sh record >$recorded"
    else
        passed=$((passed + 1))
        echo "ok $name: $got instructions a request, $expected are recorded"
    fi
}

unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
for program in library command; do
    for compiler in gcc clang; do
        command -v $compiler >/dev/null || continue
        compile $compiler $program || { failed=$((failed + 1)); continue; }
        if [ "${1:-}" = record ]; then
            echo "$(describe $compiler $program) $(per_request $compiler $program)"
        else
            check $compiler $program
        fi
    done
done
[ "${1:-}" = record ] && exit
[ $((passed + failed + skipped)) -gt 0 ] || { echo 'skipped: neither gcc nor clang'; exit 77; }
if [ $((passed + failed)) -eq 0 ]; then
    exit 77
fi
if [ $skipped -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ $failed -eq 0 ]

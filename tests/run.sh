#!/bin/sh
# What 'make test' runs: everything, from a clean checkout, on loopback alone. The log of each step
# is in build/log. The last line has the numbers.
#   ONLY='test_pace e2e-cli*,poll'   only these steps, and what they need. A word is the name of a
#                                    step, or a glob over all of it, or else a part of it.
#   CASE='test_S09*'                 of the unit tests among them only these cases
set -u
cd "$(dirname "$0")/.." || exit 1
sh tools/need.sh test || exit 1
. tests/steps.sh
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
ONLY=$(echo "${ONLY:-}" | tr , ' ')
[ -n "$ONLY" ] || export JOBS=1         # of compile.sh: it has others beside it
root=$(pwd)
SPARP=$root/build/sparp-sanitized SPARP_PLAIN=$root/sparp
PLAIN=$root/build/plain RUDE=$root/build/rude PEAK=$root/build/peak
if [ -z "$SANITIZER" ]; then
    SPARP=$SPARP_PLAIN
    echo 'skipped: no compiler with address and undefined sanitizers'
fi
export SPARP SPARP_PLAIN PLAIN RUDE PEAK

# Every time, but for a few steps only where something has changed.
build_sanitized() {
    [ -n "$SANITIZER" ] || return 0
    [ -n "$ONLY" ] && [ -e "$SPARP" ] && [ -z "$(find sparp.h tools -newer "$SPARP")" ] && return
    libs="$(sh tools/tls.sh) -lpthread"
    echo "sanitized-command 120 $SANITIZER -I. -o $SPARP tools/sparp.c $libs"
}

# Every unit test plain and sanitized; what is about sockets or the loop on the other backends too.
units() {
    for file in tests/unit/test_*.c; do
        [ -e "$file" ] || continue
        name=$(basename "$file" .c)
        echo "$name 60 sh tests/unit.sh $file plain"
        if [ -n "$SANITIZER" ]; then
            echo "$name-sanitized 120 sh tests/unit.sh $file sanitized"
        fi
        if grep -qE 'socket|reactor|sparp_(open|run_)' "$file"; then
            echo "$name-poll 60 sh tests/unit.sh $file poll"
            if [ "$(uname)" = Linux ]; then
                echo "$name-kqueue 60 sh tests/unit.sh $file kqueue"
            fi
        fi
    done
    if [ "$(uname -m)" = x86_64 ]; then
        echo 'test_base-x87 60 sh tests/unit.sh tests/unit/test_base.c x87'
    fi
}

# What fuzzing has left behind: every input once more.
corpora() {
    for dir in tests/fuzz/corpus/*/; do
        name=$(basename "$dir")
        echo "fuzz-$name 120 sh tests/fuzz/replay.sh $name"
    done
}

# Those that measure come last and alone.
e2e() {
    for file in tests/e2e/*.sh; do
        case $file in
            */lib.sh|*/nginx.sh|*/rate.sh|*/redis.sh|*/origins.sh) ;;
            *) echo "e2e-$(basename "$file" .sh) 120 sh $file" ;;
        esac
    done
}

build_plain() {
    echo "build 120 $MAKE all build/plain build/rude build/peak"
}

# The longest first, in both lists: then none is left over at the end.
computing() {
    echo 'compile 540 sh tests/compile.sh'
    echo 'static 540 sh tests/static.sh'
    echo 'lint 120 sh tests/lint.sh'
    echo 'instructions 240 sh tests/bench/instructions.sh'
    units
    corpora
    echo 'allocations 60 sh tests/bench/allocations.sh'
}

# These wait more than they compute.
waiting() {
    echo 'readme 240 sh tests/readme.sh'
    echo 'packaging 240 sh tests/packaging.sh'
    e2e | grep -E "$longest"
    echo 'install 120 sh tests/install.sh'
    echo 'dist 120 sh tests/dist.sh'
    echo 'examples 120 sh tests/examples.sh'
    echo 'shared 120 sh tests/shared.sh'
    e2e | grep -vE "$longest"
    echo 'man 60 sh tests/man.sh'
    echo 'manual 120 sh tests/manual.sh'
    echo 'valgrind 120 sh tests/valgrind.sh'
}
longest='^e2e-(workers|faults_time|tls_(peers|whole|primitives)|cli_report) '

# One that computes, one that waits: so the processors have enough to do, and none of those that
# wait too little of them.
mixed() {
    computing >build/log/computing
    waiting >build/log/waiting
    paste -d '\n' build/log/computing build/log/waiting | sed '/^$/d'
}

# These measure and want to be alone, more or less.
measuring() {
    echo 'e2e-nginx 240 sh tests/e2e/nginx.sh'
}

measuring_rates() {
    echo 'e2e-rate 60 sh tests/e2e/rate.sh'
    echo 'e2e-redis 60 sh tests/e2e/redis.sh'
}

measuring_origins() {
    echo 'e2e-origins 120 sh tests/e2e/origins.sh'
}

# --- which of them ----------------------------------------------------------------------------

# The names of $list that a word of ONLY means.
choose() {
    grep -x -F -e "$1" $list && return
    case $1 in
        *[*?[]*) pattern=$1 ;;
        *)       pattern="*$1*" ;;
    esac
    while read -r name; do
        # shellcheck disable=SC2254
        case $name in
            $pattern) echo "$name" ;;
        esac
    done <$list
}

# The five names that share most pairs of letters with it.
near() {
    awk -v word="$1" '{
        shared = 0
        for (i = 1; i < length(word); i++)
            shared += index($1, substr(word, i, 2)) > 0
        print shared, length($1), $1
    }' $list | sort -k 1,1nr -k 2,2n | head -n 5 | sed 's/.* //' | paste -sd ' ' -
}

# Sets names: the steps that ONLY means, and those that they need.
choose_all() {
    list=build/log/names
    {
        build_plain; build_sanitized; computing; waiting; measuring; measuring_rates
        measuring_origins
    } | sed 's/ .*//' >$list
    names=' '
    set -f
    for word in $ONLY; do
        found=$(choose "$word" | paste -sd ' ' -)
        if [ -z "$found" ]; then
            echo "no step of the tests is called '$word'; near it: $(near "$word")" >&2
            exit 2
        fi
        names="$names$found "
    done
    set +f
    case $names in
        *' e2e-'*|*' examples '*) names=" sanitized-command$names" ;;
    esac
    case $names in
        *' '[!tfl]*) names=" build$names" ;;        # all but test_*, fuzz-*, lint
    esac
}

# Of lines of steps those that are to run.
chosen() {
    while read -r name rest; do
        case ${names:- $name } in
            *" $name "*) echo "$name $rest" ;;
        esac
    done
}

[ -z "$ONLY" ] || choose_all
{ build_plain; build_sanitized; } | chosen | parallel "$jobs"
mixed | chosen | parallel $((jobs + 1))
measuring | chosen | parallel 1
measuring_rates | chosen | parallel 2
measuring_origins | chosen | parallel 1
summary

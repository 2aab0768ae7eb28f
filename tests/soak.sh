#!/bin/sh
# What `make soak` runs: the long forms of tests that `make test` has in short, and other machines.
# 20 to 40 minutes. The log of each step is in build/log.
#   ONLY='machines fleet'   only the steps in whose names one of the words is
set -u
cd "$(dirname "$0")/.." || exit 1
sh tools/need.sh soak || exit 1
. tests/steps.sh

steps() {
    cat <<'STEPS'
build                900 sh -c "$MAKE -s all build/plain build/rude build/peak"
journal-kills       1500 env KILLS=1000 STEP=1 sh tests/e2e/journal_kills.sh
fleet-parallel       900 env REQUESTS=100000 sh tests/e2e/fleet_parallel.sh
fleet-slurm          900 env REQUESTS=100000 sh tests/e2e/fleet_slurm.sh
stops-and-continues  900 env REQUESTS=20000 sh tests/e2e/stops_and_continues.sh
static              3000 env LONG=yes sh tests/static.sh
machines            3000 sh tests/machines.sh
STEPS
    for test in property-poll property-kqueue sweep-poll sweep-kqueue tls-plain \
        ${SANITIZER:+property-sanitized sweep-sanitized tls-sanitized}; do
        echo "$test 900 env LONG=yes sh tests/unit.sh tests/unit/test_${test%-*}.c ${test#*-}"
    done
}

chosen() {
    [ -n "${ONLY:-}" ] || { cat; return; }
    while read -r name rest; do
        for word in build $ONLY; do
            case $name in
                *"$word"*) echo "$name $rest"; break ;;
            esac
        done
    done
}

steps | chosen | parallel 1
summary

# For run.sh and soak.sh, from the root of the project: . tests/steps.sh
# shellcheck shell=sh disable=SC2034
# Has: $CC, $MAKE, $SANITIZER (a compiler with its flags, empty without; it
# does not optimise, for with sanitizers that takes ten times as long), parallel, summary.
begin=$(date +%s)
PATH=$PATH:/usr/sbin:/usr/local/sbin
CC=${CC:-cc}
MAKE=${MAKE:-make}
export CC MAKE PATH
rm -rf build/log
mkdir -p build/log
: >build/log/results
: >build/log/times

interrupted() {
    for file in build/log/running.*; do
        [ -e "$file" ] && kill "$(cat "$file")"
    done
    exit 130
}
trap interrupted INT TERM HUP

SANITIZER=''
echo 'int main(void) { return 0; }' >build/log/probe.c
for cc in gcc clang; do
    if $cc -fsanitize=address,undefined -o build/log/probe build/log/probe.c 2>/dev/null &&
        build/log/probe; then
        SANITIZER="$cc -g1 -fsanitize=address,undefined -fno-sanitize-recover=all"
    fi
done
rm -f build/log/probe*
export SANITIZER

# Lines of "name seconds command...", several at a time.
parallel() {
    xargs -L 1 -P "$1" sh tests/step.sh
}

# The last lines. What a step has computed and how long it took is in build/log/times.
summary() {
    awk -v took="$(($(date +%s) - begin))" '{ cpu += $1 }
        END { printf "%d s in all, %d s of the processors\n", took, cpu }' build/log/times
    awk '{ passed += $1; failed += $2; skipped += $3 }
         END {
             printf "%d passed, %d failed", passed, failed
             if (skipped > 0) printf ", %d skipped", skipped
             print ""
             exit (failed > 0 || passed == 0)
         }' build/log/results
}

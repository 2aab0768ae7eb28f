#!/bin/sh
# -j under kill -9, with each kind of output: no record is lost or torn, no success that the journal
# has is sent again, each line ends with one record; into a pipe with at least one.
#   KILLS=1000 STEP=1 SEED=7 sh tests/e2e/journal_kills.sh
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/servers.inc
kills=${KILLS:-54}
step=${STEP:-4}
seed=${SEED:-$$}
echo "SEED=$seed"

# survives NAME KIND ARGS...: killed so, and in the end all is there.
survives() {
    name=$1 kind=$2
    shift 2
    if $python tests/e2e/journal_kills.py "$kind" "$SPARP_PLAIN" "$dir/$name" "$@" >"$dir/log"; then
        done=$((done + $(sed -n 's/^kills: //p' "$dir/log")))
        return
    fi
    cat "$dir/log"
    return 1
}

done=0
for mode in plain workers order csv bodies pipe; do
    check "$mode: killed at random" survives $mode kills $mode $(((kills + 5) / 6)) "$seed"
done
echo "    $done times in all"
if [ "$(uname)" = Linux ] &&
    ${CC:-cc} -shared -fPIC -O2 -o "$dir/tear.so" tests/e2e/tear.c -ldl 2>"$dir/err"; then
    done=0
    for mode in plain order csv bodies pipe; do
        check "$mode: killed while it changes a file" survives $mode tears $mode "$dir/tear.so" \
            $((seed % step + 1)) "$step"
    done
    echo "    $done times in all"
else
    skip 'no library to preload'
fi
finish

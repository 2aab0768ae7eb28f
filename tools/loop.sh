#!/bin/sh
# The library of events that an example needs, by its second line, if $CC can link with it:
#   tools/loop.sh FILE.c
# Prints nothing where it needs none. Fails, with a line that says so, where it is not there.
set -u
library=$(sed -n '2s/.* \(-l[a-z]*\) .*/\1/p' "$1")
case $library in
    -luv) header=uv.h ;;
    -lev) header=ev.h ;;
    *) exit 0 ;;
esac
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
printf '#include <%s>\nint main(void) { return 0; }\n' "$header" >"$work/probe.c"
if ${CC:-cc} -o "$work/probe" "$work/probe.c" "$library" 2>/dev/null; then
    echo "$library"
else
    echo "skipped: $1 needs $library"
    exit 1
fi

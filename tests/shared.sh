#!/bin/sh
# The shared library: its soname, what it exports, and a program in Python that uses it.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/e2e/lib.sh
${MAKE:-make} -s shared CFLAGS=-O0 || exit 1
library=build/shared/libsparp.so
[ "$(uname)" = Linux ] || { echo 'skipped: looked at on Linux'; exit 77; }

has_soname() {
    series=$(sed -n 's/^#define SPARP_VERSION_STRING "\(.*\)\..*"/\1/p' sparp.h)
    readelf -d "$library" | grep -q "SONAME.*\[libsparp\.so\.$series\]"
}
check 'soname' has_soname

# What the API declares, no more and no less.
exports_the_api() {
    nm -D --defined-only "$library" | sed 's/.* //' | sort >"$dir/exported"
    sed -n '/^#endif \/\* SPARP_H/q; s/^SPARP_API.*[ *]\(sparp_[a-z_]*\)(.*/\1/p' sparp.h |
        sort >"$dir/declared"
    diff "$dir/declared" "$dir/exported"
}
check 'exports' exports_the_api

# shellcheck disable=SC2317
runs_in_python() {
    start_plain
    python3 examples/from_ctypes.py "$library" "http://127.0.0.1:$port/items/1" \
        "http://127.0.0.1:$port/items/2" "http://127.0.0.1:$port/status/404" >"$dir/out"
    [ $? = 1 ] && sed "s/:$port/:PORT/" "$dir/out" | diff tests/examples/from_ctypes.out -
}
if command -v python3 >/dev/null; then
    check 'examples/from_ctypes.py' runs_in_python
else
    skip 'no python3'
fi

finish

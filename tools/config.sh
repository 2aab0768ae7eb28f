#!/bin/sh
# Says in build/ what is built here, for pkg-config (sparp.pc) and for CMake's find_package
# (sparp-config.cmake, sparp-config-version.cmake):   PREFIX=DIR INCLUDEDIR=DIR tools/config.sh
set -eu
cd "$(dirname "$0")/.."
mkdir -p build
version=$(sed -n 's/^#define SPARP_VERSION_STRING "\(.*\)"/\1/p' sparp.h)
flags=$(sh tools/tls.sh)

# of PATTERN SEPARATOR: the flags like that.
of() {
    echo "$flags" | tr ' ' '\n' | grep "^$1" | paste -sd "$2" - || true
}

for template in tools/sparp.pc.in tools/cmake/sparp-config.cmake.in \
    tools/cmake/sparp-config-version.cmake.in; do
    sed -e "s|@PREFIX@|$PREFIX|; s|@INCLUDEDIR@|$INCLUDEDIR|" \
        -e "s|@VERSION@|$version|; s|@SERIES@|${version%.*}|" \
        -e "s|@CFLAGS@|$(of '-[DI]' ' ')|; s|@LIBS@|$(of '-[lL]' ' ')|" \
        -e "s|@CMAKE_CFLAGS@|$(of '-[DI]' ';')|; s|@CMAKE_LIBS@|$(of '-[lL]' ';')|" \
        "$template" >"build/$(basename "$template" .in)"
done

#!/bin/sh
# make install puts four things where they belong, a program builds with them, uninstall takes them
# away again. The CMake target builds the same program.
set -eu
cd "$(dirname "$0")/.." || exit 1
root=$(pwd)/build/install
rm -rf "$root"
mkdir -p "$root/cmake"
make=${MAKE:-make}

"$make" -s install DESTDIR="$root" PREFIX=/opt/sparp
(cd "$root" && find . -type f | sort) >"$root.files"
diff - "$root.files" <<'FILES'
./opt/sparp/bin/sparp
./opt/sparp/include/sparp.h
./opt/sparp/lib/pkgconfig/sparp.pc
FILES
"$root/opt/sparp/bin/sparp" --version

cat >"$root/program.c" <<'PROGRAM'
#define SPARP_IMPLEMENTATION
#include <sparp.h>

int main(void) {
    return SPARP_VERSION_STRING[0] == 0 || sparp_error_text(SPARP_E_OK)[0] == 0;
}
PROGRAM
flags="-I$root/opt/sparp/include $(sh tools/tls.sh) -lpthread"
if command -v pkg-config >/dev/null; then
    flags=$(PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=$root/opt/sparp/lib/pkgconfig \
        pkg-config --cflags --libs sparp)
fi
# shellcheck disable=SC2086
${CC:-cc} -o "$root/program" "$root/program.c" $flags
"$root/program"

"$make" -s uninstall DESTDIR="$root" PREFIX=/opt/sparp
[ -z "$(find "$root/opt" -type f)" ]

if command -v cmake >/dev/null; then
    cat >"$root/cmake/CMakeLists.txt" <<CMAKE
cmake_minimum_required(VERSION 3.13)
project(program LANGUAGES C)
add_subdirectory("$(pwd)/tools/cmake" sparp)
add_executable(program "$root/program.c")
target_link_libraries(program sparp::sparp)
CMAKE
    cmake -S "$root/cmake" -B "$root/cmake/build" >/dev/null
    cmake --build "$root/cmake/build" >/dev/null
    "$root/cmake/build/program"
fi

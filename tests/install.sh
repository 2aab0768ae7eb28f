#!/bin/sh
# make install puts nine things where they belong, a program builds with them, uninstall takes them
# away again. CMake, by find_package and as a subdirectory, and Meson build the same program.
set -eu
cd "$(dirname "$0")/.." || exit 1
root=$(pwd)/build/install
rm -rf "$root"
mkdir -p "$root"
make=${MAKE:-make}

"$make" -s install DESTDIR="$root" PREFIX=/opt/sparp
(cd "$root" && find . -type f | sort) >"$root.files"
diff - "$root.files" <<'FILES'
./opt/sparp/bin/sparp
./opt/sparp/include/sparp.h
./opt/sparp/lib/cmake/sparp/sparp-config-version.cmake
./opt/sparp/lib/cmake/sparp/sparp-config.cmake
./opt/sparp/lib/pkgconfig/sparp.pc
./opt/sparp/share/bash-completion/completions/sparp
./opt/sparp/share/fish/vendor_completions.d/sparp.fish
./opt/sparp/share/man/man1/sparp.1
./opt/sparp/share/zsh/site-functions/_sparp
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

passed=1 skipped=0

# by_cmake NAME COMMAND: a project that finds sparp by that command.
by_cmake() {
    mkdir -p "$root/$1"
    cat >"$root/$1/CMakeLists.txt" <<CMAKE
cmake_minimum_required(VERSION 3.13)
project(program LANGUAGES C)
$2
add_executable(program "$root/program.c")
target_link_libraries(program sparp::sparp)
CMAKE
    cmake -S "$root/$1" -B "$root/$1/build" -DCMAKE_PREFIX_PATH="$root/opt/sparp" >/dev/null &&
        cmake --build "$root/$1/build" >/dev/null &&
        "$root/$1/build/program" &&
        passed=$((passed + 1))
}

if command -v cmake >/dev/null; then
    by_cmake subdirectory "add_subdirectory($(pwd)/tools/cmake sparp)"
    by_cmake package 'find_package(sparp 0.1 REQUIRED)'
    if by_cmake newer 'find_package(sparp 0.2 REQUIRED)' 2>/dev/null; then
        exit 1
    fi
else
    skipped=$((skipped + 1))
    echo 'skipped: no cmake'
fi

if command -v meson >/dev/null; then
    mkdir -p "$root/meson/subprojects/sparp"
    cp sparp.h tools/meson/meson.build "$root/meson/subprojects/sparp"
    cp "$root/program.c" "$root/meson"
    cat >"$root/meson/meson.build" <<'MESON'
project('program', 'c')
executable('program', 'program.c', dependencies: dependency('sparp', fallback: 'sparp'))
MESON
    (cd "$root/meson" && meson setup build && meson compile -C build) >"$root/log" ||
        { cat "$root/log"; exit 1; }
    "$root/meson/build/program"
    passed=$((passed + 1))
else
    skipped=$((skipped + 1))
    echo 'skipped: no meson'
fi

"$make" -s uninstall DESTDIR="$root" PREFIX=/opt/sparp
[ -z "$(find "$root/opt" -type f)" ]
echo "$passed passed, 0 failed, $skipped skipped"

#!/bin/sh
# The recipes of tools/packaging, as far as the tools that read them are here.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/e2e/lib.sh
make=${MAKE:-make}
unset CC CFLAGS MAKEFLAGS MFLAGS MAKELEVEL
if ! git rev-parse HEAD >/dev/null 2>&1; then
    echo 'skipped: no git checkout'
    exit 77
fi
commit=$(git stash create 2>/dev/null)
# In a folder of its own: others make their own dist meanwhile.
git archive "${commit:-HEAD}" | (mkdir "$dir/tree" && cd "$dir/tree" && tar xf -)
fill() {
    mkdir -p "$dir/tree/build"
    "$make" -s dist COMMIT="${commit:-HEAD}" OUTPUT="$dir/tree/build" &&
        URL=https://sparp.example sh "$dir/tree/tools/packaging/fill.sh"
}
fill >"$dir/log" || { cat "$dir/log"; exit 1; }
recipes=$dir/tree/build/recipes
file=$(ls "$dir"/tree/build/sparp-*.tar.gz)
version=$(basename "${file#*/sparp-}" .tar.gz | sed 's/^sparp-//')

nothing_left() {
    ! grep -rn '@[A-Z0-9]*@' "$recipes"
}
check 'every blank is filled in' nothing_left

# with COMMAND: it is here, or that is told.
with() {
    command -v "$1" >/dev/null || { skip "no $1"; return 1; }
}

# --- Debian -----------------------------------------------------------------------------------

debian_builds() {
    mkdir "$dir/debian"
    cp "$file" "$dir/debian/sparp_$version.orig.tar.gz"
    (
        cd "$dir/debian" && tar xf "sparp_$version.orig.tar.gz" && cd "sparp-$version" &&
            cp -R "$recipes/debian" . && DEB_BUILD_OPTIONS=noopt dpkg-buildpackage -us -uc -d
    ) >"$dir/log" 2>&1 || { tail -n 20 "$dir/log"; return 1; }
}
debian_has() {
    for deb in "$dir"/debian/*.deb; do
        dpkg -c "$deb" | sed 's|.* \./||' | grep -vE '/$|^$'
    done | sed "s|$(dpkg-architecture -qDEB_HOST_MULTIARCH)|ARCH|" | grep -vE 'share/doc|debug' |
        LC_ALL=C sort >"$dir/files"
    diff - "$dir/files" <<'FILES'
usr/bin/sparp
usr/include/sparp.h
usr/lib/ARCH/cmake/sparp/sparp-config-version.cmake
usr/lib/ARCH/cmake/sparp/sparp-config.cmake
usr/lib/ARCH/pkgconfig/sparp.pc
usr/share/bash-completion/completions/sparp
usr/share/fish/vendor_completions.d/sparp.fish
usr/share/man/man1/sparp.1.gz
usr/share/zsh/vendor-completions/_sparp
FILES
}
lintian_says_no_error() {
    lintian --allow-root --fail-on error "$dir"/debian/*.changes >"$dir/log" 2>&1
    status=$?
    grep -v '^N:' "$dir/log"
    return "$status"
}
if with dh; then
    check 'Debian: builds' debian_builds
    check 'Debian: what is in the packages' debian_has
    if with lintian; then
        check 'Debian: lintian has no errors' lintian_says_no_error
    fi
fi

# --- the others -------------------------------------------------------------------------------

# Its functions, where abuild would call them.
# shellcheck disable=SC1091,SC2034,SC2154
alpine_builds() {
    (
        cd "$dir/tree" && . "$recipes/alpine/APKBUILD" || exit 1
        [ "$sha512sums" = "$(sha512sum "$file" | sed "s|$dir.*/||")" ] || exit 1
        pkgdir=$dir/alpine
        export CFLAGS=-O0
        build && check && package
    ) >"$dir/log" 2>&1 || { cat "$dir/log"; return 1; }
    [ -x "$dir/alpine/usr/bin/sparp" ] && [ -e "$dir/alpine/usr/share/licenses/sparp/LICENSE" ]
}
check 'Alpine: build, check, package' alpine_builds

# Read by make with the files that OpenWrt would include, nearly empty.
openwrt_reads() {
    mkdir "$dir/openwrt"
    cat >"$dir/openwrt/rules.mk" <<'MAKE'
INCLUDE_DIR := $(TOPDIR)
MAKE
    cat >"$dir/openwrt/package.mk" <<'MAKE'
Download =
define BuildPackage
all: ; @echo $(PKG_NAME) $(PKG_VERSION) $(PKG_HASH)
endef
MAKE
    "$make" -s -f "$recipes/openwrt/Makefile" TOPDIR="$dir/openwrt" >"$dir/log" || return 1
    [ "$(cat "$dir/log")" = "sparp $version $(sha256sum "$file" | cut -d ' ' -f 1)" ]
}
check 'OpenWrt: make reads it' openwrt_reads

if with ruby; then
    check 'Homebrew: ruby reads it' ruby -c "$recipes/homebrew/sparp.rb"
fi
if with nix-instantiate; then
    check 'Nix: nix reads it' env NIX_STATE_DIR="$dir/nix" NIX_STORE_DIR="$dir/nix/store" \
        nix-instantiate --parse "$recipes/nix/package.nix"
fi

vcpkg_installs() {
    [ "$(jq -r .version "$recipes/vcpkg/vcpkg.json")" = "$version" ] || return 1
    cat >"$dir/vcpkg.cmake" <<CMAKE
set(VERSION $version)
set(PORT sparp)
set(CURRENT_PACKAGES_DIR "$dir/vcpkg")
function(vcpkg_download_distfile variable)
    cmake_parse_arguments(PARSE_ARGV 1 ARG "" "FILENAME;SHA512" "URLS")
    file(SHA512 "$file" sum)
    if(NOT sum STREQUAL ARG_SHA512)
        message(FATAL_ERROR "another checksum")
    endif()
    set(\${variable} "$file" PARENT_SCOPE)
endfunction()
function(vcpkg_extract_source_archive variable)
    set(\${variable} "$dir/tree" PARENT_SCOPE)
endfunction()
function(vcpkg_install_copyright)
    cmake_parse_arguments(PARSE_ARGV 0 ARG "" "" "FILE_LIST")
    file(INSTALL \${ARG_FILE_LIST} DESTINATION "$dir/vcpkg/share/sparp" RENAME copyright)
endfunction()
include("$recipes/vcpkg/portfile.cmake")
CMAKE
    cmake -P "$dir/vcpkg.cmake" >"$dir/log" 2>&1 || { cat "$dir/log"; return 1; }
    [ -e "$dir/vcpkg/include/sparp.h" ] && [ -e "$dir/vcpkg/share/sparp/copyright" ] &&
        [ -e "$dir/vcpkg/share/sparp/usage" ]
}
if with cmake; then
    check 'vcpkg: installs header, usage, licence' vcpkg_installs
fi

# With a `conan` that only has the names.
conan_packages() {
    mkdir -p "$dir/conan/conan/tools"
    echo 'ConanFile = object' >"$dir/conan/conan/__init__.py"
    : >"$dir/conan/conan/tools/__init__.py"
    cat >"$dir/conan/conan/tools/files.py" <<'PYTHON'
import os
import shutil


def copy(_self, name, source, target):
    os.makedirs(target, exist_ok=True)
    shutil.copy(os.path.join(source, name), target)


def get(*_arguments, **_options):
    pass
PYTHON
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$dir/conan:$recipes/conan" python3 -c "
import conanfile
recipe = conanfile.SparpConan()
recipe.source_folder, recipe.package_folder = '$dir/tree', '$dir/conan/package'
recipe.source()
recipe.package()" && [ -e "$dir/conan/package/include/sparp.h" ]
}
if with python3; then
    check 'Conan: packages the header' conan_packages
fi

finish

#!/bin/sh
# Builds the shared library, for bindings:   make shared
# build/shared/libsparp.so is a link to libsparp.so.MAJOR.MINOR, the soname, and that to the file.
# The minor version is in it because a new option makes a struct larger.
set -eu
cd "$(dirname "$0")/.."
out=build/shared
version=$(sed -n 's/^#define SPARP_VERSION_STRING "\(.*\)"/\1/p' sparp.h)
series=${version%.*}
mkdir -p $out
rm -f $out/libsparp*

case $(uname) in
    Darwin)
        file=libsparp.$version.dylib soname=libsparp.$series.dylib link=libsparp.dylib
        flags="-dynamiclib -Wl,-install_name,$soname" ;;
    *)
        file=libsparp.so.$version soname=libsparp.so.$series link=libsparp.so
        flags="-shared -Wl,-soname,$soname" ;;
esac
# shellcheck disable=SC2046,SC2086
${CC:-cc} -I. ${CPPFLAGS:-} ${CFLAGS:--O2} -fPIC -fvisibility=hidden \
    -DSPARP_API='extern __attribute__((visibility("default")))' $flags ${LDFLAGS:-} \
    -o "$out/$file" tests/compile/sparp.c $(sh tools/tls.sh) -lpthread ${LDLIBS:-}
ln -s "$file" "$out/$soname"
ln -s "$soname" "$out/$link"
echo "$out/$link -> $soname -> $file"

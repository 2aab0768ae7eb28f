#!/bin/sh
# Prints the flags with which $CC builds sparp.h: with BearSSL if it links a program with it, else
# without TLS; and with zlib if it links one with that.
#   TLS=no, ZLIB=no       without, although it could
#   BEARSSL_INCLUDE=DIR   where bearssl.h is, if the compiler does not know; the library: DIR/../lib
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# links HEADER FLAGS...
links() {
    printf '#include <%s>\nint main(void) { return 0; }\n' "$1" >"$work/probe.c"
    shift
    # shellcheck disable=SC2086
    ${CC:-cc} ${CPPFLAGS:-} ${CFLAGS:-} ${LDFLAGS:-} -o "$work/probe" "$work/probe.c" "$@" \
        >"$work/log" 2>&1
}

# library HEADER NAME [DIRECTORY]: the flags for it; fails if there is none.
library() {
    for dir in "${3:-}" '' /usr/local/include /opt/homebrew/include; do
        flags="${dir:+-I$dir -L${dir%/include}/lib }-l$2"
        # shellcheck disable=SC2086
        if { [ -z "$dir" ] || [ -e "$dir/$1" ]; } && links "$1" $flags; then
            echo "$flags"
            return
        fi
    done
    return 1
}

tls=-DSPARP_NO_TLS
[ "${TLS:-}" = no ] || tls=$(library bearssl.h bearssl "${BEARSSL_INCLUDE:-}") || tls=-DSPARP_NO_TLS
if [ "${ZLIB:-}" != no ] && zlib=$(library zlib.h z); then
    echo "$tls -DSPARP_ZLIB $zlib"
else
    echo "$tls"
fi

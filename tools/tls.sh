#!/bin/sh
# Prints the flags with which sparp.h is built here: with BearSSL if it is there, else without TLS;
# and with zlib if that is there, unless SPARP_ZLIB=no.

# library HEADER NAME [DIRECTORY]: the flags for it; fails if it is not there.
library() {
    for dir in ${3:+"$3"} /usr/include /usr/local/include /opt/homebrew/include; do
        [ -e "$dir/$1" ] || continue
        case $dir in
            /usr/include) echo "-l$2" ;;
            *)            echo "-I$dir -L${dir%/include}/lib -l$2" ;;
        esac
        return 0
    done
    return 1
}

tls=$(library bearssl.h bearssl "${BEARSSL_INCLUDE:-}") || tls=-DSPARP_NO_TLS
if [ "${SPARP_ZLIB:-}" != no ] && zlib=$(library zlib.h z); then
    echo "$tls -DSPARP_ZLIB $zlib"
else
    echo "$tls"
fi

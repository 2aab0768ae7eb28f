#!/bin/sh
# Prints the flags with which sparp.h is built here: with BearSSL if it is there, else without TLS.
for dir in ${BEARSSL_INCLUDE:-} /usr/include /usr/local/include /opt/homebrew/include; do
    if [ -e "$dir/bearssl.h" ]; then
        case $dir in
            /usr/include) echo '-lbearssl' ;;
            *)            echo "-I$dir -L${dir%/include}/lib -lbearssl" ;;
        esac
        exit 0
    fi
done
echo '-DSPARP_NO_TLS'

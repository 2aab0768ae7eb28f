# For the TLS scripts of tests/e2e, after lib.sh: . tests/tls/lib.sh
# shellcheck shell=sh disable=SC2034,SC2154
# Has: $PKI (see pki.sh), start_rude_tls ($port, and mode_port), and with the command: ask,
# refused, fine, field.
PATH=$PATH:/usr/sbin:/usr/local/sbin
has_tls || { echo 'skipped: no BearSSL'; exit 77; }
command -v openssl >/dev/null || { echo 'skipped: no openssl'; exit 77; }
PKI=$(sh tests/tls/pki.sh) || exit 1
unset SSL_CERT_FILE SSL_CERT_DIR

# start_rude_tls_with OPTION...: tests/server/rude_tls.c; $port is its plain one.
start_rude_tls_with() {
    # shellcheck disable=SC2046
    [ -x "$dir/rude_tls" ] ||
        "${CC:-cc}" -std=gnu99 -Wall -Wextra -Werror -O2 -o "$dir/rude_tls" \
            tests/server/rude_tls.c $(sh tools/tls.sh) -lpthread || exit 1
    cat >"$dir/start_rude_tls" <<START
#!/bin/sh
exec "$dir/rude_tls" --pki "$PKI" $* "\$@"
START
    chmod 755 "$dir/start_rude_tls"
    start_server rude_tls "$dir/start_rude_tls"
}

start_rude_tls() {
    start_rude_tls_with --max-seconds 200
}

# mode_port MODE: the port of one mode.
mode_port() {
    curl -s "http://127.0.0.1:$port/list" | awk -v mode="$1" '$1 == mode { print $2 }'
}

# --- the command: one request, its record in $dir/record, no retries ------------------------------

# ask URL [OPTION...]: returns what the command returns.
ask() {
    url=$1
    shift
    rm -f "$dir/record"
    "$SPARP" -q -R 0 -t 10 "$@" -o "$dir/record" "$url" 2>"$dir/errors"
}

# field FILTER: of the record.
field() {
    jq -r "$1" "$dir/record"
}

# fine URL [OPTION...]: a success.
fine() {
    if ask "$@" && [ "$(field .outcome)" = success ] && [ "$(field .status)" = 200 ]; then
        return 0
    fi
    cat "$dir/record" "$dir/errors"
    return 1
}

# unusable TEXT URL [OPTION...]: a file of ours will not do: exit status 2, a sentence with that
# text, and nothing is sent.
unusable() {
    text=$1
    shift
    ask "$@"
    if [ $? -eq 2 ] && grep -qF "$text" "$dir/errors"; then
        return 0
    fi
    cat "$dir/errors"
    return 1
}

# refused KIND TEXT URL [OPTION...]: error.kind is that, the message has that text, exit status 1.
refused() {
    kind=$1 text=$2
    shift 2
    ask "$@"
    if [ $? -eq 1 ] && [ "$(field .error.kind)" = "$kind" ] && [ "$(field .status)" = null ] &&
        field .error.message | grep -qF "$text"; then
        return 0
    fi
    cat "$dir/record" "$dir/errors"
    return 1
}

#!/bin/sh
# https against a real nginx with a private CA: what is refused and in which words, what is not;
# sessions resumed, connections kept, client certificates, large bodies.
set -u
cd "$(dirname "$0")/../.." || exit 1
PATH=$PATH:/usr/sbin:/usr/local/sbin
command -v nginx >/dev/null || { echo 'skipped: no nginx'; exit 77; }
. tests/e2e/lib.sh
. tests/tls/lib.sh

# server NAME OFFSET CHAIN KEY [DIRECTIVE...]: a server block at port $base + OFFSET.
server() {
    echo "server {"
    echo "    listen 127.0.0.1:$((base + $2)) ssl;"
    echo "    access_log $dir/$1.log tls;"
    echo "    ssl_certificate $PKI/$3.pem;"
    echo "    ssl_certificate_key $PKI/$4.key;"
    case "$*" in
        *ssl_protocols*) ;;
        *) echo "    ssl_protocols TLSv1.2 TLSv1.3;" ;;
    esac
    echo "    root $dir/www;"
    echo "    location = /hello { return 200 hello; }"
    echo "    location = /who { return 200 \"\$ssl_client_s_dn\"; }"
    shift 4
    for directive in "$@"; do
        echo "    $directive;"
    done
    echo "}"
}

configure() {
    cat <<NGINX
daemon off;
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/error.log;
events { worker_connections 1024; }
http {
    log_format tls '\$ssl_session_reused \$connection \$ssl_protocol \$ssl_cipher \$status';
    access_log off;
    keepalive_requests 100000;
    client_max_body_size 100m;
    client_body_temp_path $dir/temp;
    proxy_temp_path $dir/temp;
    fastcgi_temp_path $dir/temp;
    uwsgi_temp_path $dir/temp;
    scgi_temp_path $dir/temp;
NGINX
    server rsa 0 rsa rsa
    server p256 1 p256 ec
    server wrong-name 2 wrong-name rsa
    server expired 3 expired rsa
    server self-signed 4 self-signed rsa
    server shared 5 p256 ec 'ssl_session_cache shared:one:1m' 'ssl_session_tickets off' \
        'keepalive_timeout 0'
    server unshared 6 rsa rsa 'ssl_session_cache none' 'ssl_session_tickets off' \
        'keepalive_timeout 0'
    server client 7 rsa rsa "ssl_client_certificate $PKI/client-ca.crt" 'ssl_verify_client on' \
        'ssl_verify_depth 3'
    server new 8 rsa rsa 'ssl_protocols TLSv1.3'
    server chacha 9 p256 ec 'ssl_protocols TLSv1.2' \
        'ssl_ciphers ECDHE-ECDSA-CHACHA20-POLY1305'
    server old 10 rsa rsa 'ssl_protocols TLSv1.2' 'ssl_ciphers AES128-SHA'
    server p384 11 p384 p384 'ssl_ecdh_curve secp384r1'
    server stapled 12 rsa rsa 'ssl_buffer_size 1k'
    server quick 13 p256 ec 'keepalive_timeout 1' 'keepalive_requests 3'
    server older 14 rsa rsa 'ssl_protocols TLSv1.2' 'ssl_prefer_server_ciphers on' \
        'keepalive_timeout 0'
    server tickets 15 p256 ec 'keepalive_timeout 0'
    echo "}"
}

is_there() {
    [ "$(curl -s --cacert "$PKI/ca.crt" "https://localhost:$base/hello")" = hello ]
}

# A port that is taken ends nginx at once: then the next ones are tried.
start_nginx() {
    for base in 18440 18540 28440 28540 38440 38540; do
        configure >"$dir/nginx.conf"
        is_there && continue
        nginx -p "$dir" -e "$dir/error.log" -c "$dir/nginx.conf" >"$dir/nginx.out" 2>&1 &
        nginx=$!
        tries=0
        while [ $tries -lt 100 ] && kill -0 $nginx 2>/dev/null; do
            if is_there && [ -s "$dir/nginx.pid" ]; then
                servers="$servers $nginx"
                return
            fi
            tries=$((tries + 1))
            sleep 0.05
        done
        kill $nginx 2>/dev/null
    done
    echo 'nginx did not start:'
    cat "$dir/nginx.out" "$dir/error.log"
    exit 1
}

# at OFFSET PATH
at() {
    echo "https://localhost:$((base + $1))$2"
}

mkdir -p "$dir/www" "$dir/temp"
awk 'BEGIN { for (i = 0; i < 300000; i++) printf "line %d\n", i }' >"$dir/www/large"
start_nginx
ca="--cacert $PKI/ca.crt"

# --- a private CA ---------------------------------------------------------------------------------

check 'a private CA is unknown: its name is told' refused tls_certificate \
    'unknown issuer: root.test' "$(at 0 /hello)"
check 'the request was not sent' [ "$(grep -c ' 200$' "$dir/rsa.log")" -eq 1 ]
# shellcheck disable=SC2086
{
check 'with --cacert it is fine' fine "$(at 0 /hello)" $ca
check 'its answer' [ "$(field .body)" = hello ]
check 'with an elliptic key' fine "$(at 1 /hello)" $ca
check 'with P-384' fine "$(at 11 /hello)" $ca
check 'with ChaCha20' fine "$(at 9 /hello)" $ca
check 'ChaCha20 it was' grep -q CHACHA20 "$dir/chacha.log"
check 'wrong name: both are told' refused tls_certificate 'not for localhost but for other.test' \
    "$(at 2 /hello)" $ca
check 'the name is wrong by address too' refused tls_certificate 'not for 127.0.0.1' \
    "https://127.0.0.1:$base/hello" $ca
check 'expired: both dates are told' refused tls_certificate 'expired on 2021-01-01' \
    "$(at 3 /hello)" $ca
check 'the clock of this box' grep -q "the clock here says $(date -u +%Y-)" "$dir/record"
check 'self-signed' refused tls_certificate 'unknown issuer: self-signed.test' \
    "$(at 4 /hello)" $ca
check 'self-signed, trusted' fine "$(at 4 /hello)" --cacert "$PKI/self-signed.crt"
check 'right pin' fine "$(at 0 /hello)" $ca --pin "$(cat "$PKI/rsa.pin")"
check "right pin, as curl writes it" fine "$(at 0 /hello)" $ca --pin "sha256//$(cat "$PKI/rsa.pin")"
check 'one of two pins' fine "$(at 0 /hello)" $ca \
    --pin "$(cat "$PKI/ec.pin");$(cat "$PKI/rsa.pin")"
check 'wrong pin' refused tls_certificate pinned "$(at 0 /hello)" $ca --pin "$(cat "$PKI/ec.pin")"
check 'right pin, insecure' fine "$(at 3 /hello)" --insecure --pin "$(cat "$PKI/rsa.pin")"
check 'wrong pin, insecure' refused tls_certificate pinned "$(at 0 /hello)" --insecure \
    --pin "$(cat "$PKI/ec.pin")"
check 'insecure' fine "$(at 2 /hello)" --insecure
check 'TLS 1.3 only' fine "$(at 8 /hello)" $ca
check '... TLS 1.3 it was' grep -q 'TLSv1.3 TLS_AES' "$dir/new.log"
check 'TLS 1.2 only, and its own order of ciphers' fine "$(at 14 /hello)" $ca
check '... TLS 1.2 it was' grep -q 'TLSv1.2 ECDHE-RSA-AES' "$dir/older.log"
check 'no common cipher' refused tls_handshake handshake "$(at 10 /hello)" $ca
}

# --- client certificates -------------------------------------------------------------------------

# answers STATUS BODY URL [OPTION...]
answers() {
    wanted=$1 text=$2
    shift 2
    ask "$@"
    [ "$(field .status)" = "$wanted" ] && field .body | grep -q "$text"
}

# shellcheck disable=SC2086
{
check 'none: nginx says 400' answers 400 'No required SSL certificate' "$(at 7 /who)" $ca
for kind in rsa ec deep; do
    check "client-$kind" answers 200 "client-$kind.test" "$(at 7 /who)" $ca \
        --cert "$PKI/client-$kind.pem" --key "$PKI/client-$kind.key"
done
check 'one of another CA: 400' answers 400 'certificate error' "$(at 7 /who)" $ca \
    --cert "$PKI/client-unknown.pem" --key "$PKI/client-ec.key"
check 'an encrypted key is refused' unusable 'not encrypted' "$(at 7 /who)" $ca \
    --cert "$PKI/client-ec.pem" --key "$PKI/client-encrypted.key"
}

# --- sessions and connections --------------------------------------------------------------------

# run COUNT OPTION...: that many requests; all succeed.
run() {
    amount=$1
    shift
    # shellcheck disable=SC2086
    "$SPARP" -q -R 0 $ca "$@" -o "$dir/many" 2>"$dir/errors" &&
        [ "$(jq -r 'select(.outcome == "success") | .index' "$dir/many" | sort -u | wc -l)" \
            -eq "$amount" ]
}

# lines FILE WORD: how often the first field of the log is that.
lines() {
    awk -v word="$2" '$1 == word { n++ } END { print n + 0 }' "$dir/$1.log"
}

seq 20 >"$dir/twenty"
check '20 requests, one after the other, on 20 connections' \
    run 20 -c 1 -T "$(at 5 '/hello?{}')" "$dir/twenty"
check '19 of them resumed' [ "$(lines shared r)" -eq 19 ]
check '20 at once' run 20 -c 20 -T "$(at 5 '/hello?{}')" "$dir/twenty"
check '20 requests, where tickets are the default' run 20 -c 1 -T "$(at 15 '/hello?{}')" \
    "$dir/twenty"
check '... of TLS 1.3: 19 resumed' [ "$(lines tickets r)" -eq 19 ]
check '20 requests, tickets of TLS 1.2' run 20 -c 1 -T "$(at 14 '/hello?{}')" "$dir/twenty"
check '... 19 resumed' [ "$(lines older r)" -eq 19 ]
check '20 requests where nothing is cached' run 20 -c 1 -T "$(at 6 '/hello?{}')" "$dir/twenty"
check 'none of them resumed' [ "$(lines unshared r)" -eq 0 ]
seq 2000 >"$dir/thousands"
check '2,000 requests on kept connections' run 2000 -c 10 -T "$(at 0 '/hello?{}')" "$dir/thousands"
check '... at most 30 of them' \
    [ "$(tail -n 2000 "$dir/rsa.log" | awk '{ print $2 }' | sort -u | wc -l)" -le 30 ]
# A ticket that another connection replaces while one is being offered would be noticed here.
seq 20000 >"$dir/twenty-thousands"
check '20,000 requests, three to a connection' \
    run 20000 -c 10 -T "$(at 13 '/hello?{}')" "$dir/twenty-thousands"
check '... of TLS 1.3, each of them' [ "$(grep -c 'TLSv1.3' "$dir/quick.log")" -eq 20000 ]
check '... and all connections but the first resumed' [ "$(
    awk '$1 == "." { print $2 }' "$dir/quick.log" | sort -u | wc -l)" -le 10 ]
check '... with no attempt but one each' \
    [ "$(jq -r 'select(.attempts != 1 or .replays > 0) | .index' "$dir/many" | wc -l)" -eq 0 ]

# --- bodies --------------------------------------------------------------------------------------

same_body() {
    # shellcheck disable=SC2086
    fine "$@" $ca && jq -j .body "$dir/record" | cmp -s - "$dir/www/large"
}

check 'a body of 3 MB' same_body "$(at 0 /large)"
check '... in records of 1 KB' same_body "$(at 12 /large)"
# shellcheck disable=SC2086
check 'an upload that nobody wants' answers 405 'Not Allowed' "$(at 1 /large)" $ca \
    -d "@$dir/www/large"
finish

#!/bin/sh
# Bodies from files, from nothing to 64 MB: to Python, Node and nginx, which tell what they got.
# Expect: 100-continue, answers that come before the body is read, slow readers, retries, memory.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/servers.inc

start_world
world=127.0.0.1:$port
server WORLD "$world"
if start_node; then
    server NODE "127.0.0.1:$port"
fi
PKI=''
if ! has_tls; then
    skip 'no BearSSL'
elif has openssl; then
    PKI=$(sh tests/tls/pki.sh) || exit 1
fi

# To the Python server, for nginx itself does not look at bodies.
nginx_servers() {
    echo "server {"
    echo "    listen 127.0.0.1:$port;"
    [ -z "$PKI" ] || cat <<NGINX
        listen 127.0.0.1:$port2 ssl;
        ssl_certificate $PKI/rsa.pem;
        ssl_certificate_key $PKI/rsa.key;
NGINX
    cat <<NGINX
        client_max_body_size 100m;
        location / { proxy_pass http://$world; }
        location /small { client_max_body_size 100k; proxy_pass http://$world/echo; }
        location /stream/ {
            proxy_pass http://$world/;
            proxy_http_version 1.1;
            proxy_request_buffering off;
        }
    }
NGINX
}
if has nginx && launch_nginx nginx_servers; then
    server NGINX "127.0.0.1:$port"
    [ -z "$PKI" ] || server SECURE "localhost:$port2"
fi

# make_file NAME SIZE: and its sum in sum_NAME.
make_file() {
    head -c "$2" /dev/urandom >"$dir/$1"
    server "SUM_$1" "$($python -c 'import hashlib, sys
print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$dir/$1")"
    server "FILE_$1" "$(echo "$dir/$1" | sed 's|/|\\/|g')"
}
make_file none 0
make_file byte 1
make_file million 1000000
make_file under $((1024 * 1024 - 1))
make_file over $((1024 * 1024))
make_file eight 8000000
make_file many 64000000

# --- what arrives ---------------------------------------------------------------------------------

for word in WORLD NODE NGINX; do
    for file in none:0 byte:1 million:1000000 under:1048575 over:1048576 many:64000000; do
        size=${file#*:} file=${file%:*}
        echo "$word $file|\"url\":\"http://$word/echo\",\"body_file\":\"FILE_$file\"|" \
            ".r.status == 200 and .r.bytes.out >= $size and (.r.body | fromjson |" \
            ".method == \"POST\" and .size == $size and .sha256 == \"SUM_$file\" and" \
            ".headers[\"content-length\"] == [\"$size\"])"
    done
done >"$dir/sizes.table"
cat tests/e2e/uploads_sizes.txt >>"$dir/sizes.table"
limit=60
# shellcheck disable=SC2086
run_table sizes 0 -c 4 -t 50 ${PKI:+--cacert "$PKI/ca.crt"}

# --- Expect: 100-continue -------------------------------------------------------------------------

cat tests/e2e/uploads_expect.txt >"$dir/expect.table"
# shellcheck disable=SC2086
run_table expect 1 -c 4 --soft-retries 2 --timeout-retries 0 --transport-retries 0 \
    ${PKI:+--cacert "$PKI/ca.crt"}

none_sent() {
    [ "$(jq -s 'map(select(.target | startswith("/refuse")) | .surplus | values) |
        length >= 5 and all(. == 0)' "$dir/world.jsonl")" = true ]
}
check 'not one byte of what was refused was sent' until_true none_sent

# After /keep the server takes what comes next for the body, unless that comes first.
forget world
{
    echo "{\"url\":\"http://$world/keep/401\",\"body_file\":\"$dir/eight\"}"
    seq 5 | sed "s|.*|{\"url\":\"http://$world/echo/&\"}|"
} >"$dir/in"
ask -c 1 -R 0 "$dir/in"
check 'who refuses and stays: the next ones are not taken for the body' \
    records 'sort_by(.index) | .[0].status == 401 and (.[1:] | all(.status == 200))'

# --- memory ---------------------------------------------------------------------------------------

seq 4 | sed "s|.*|{\"url\":\"http://$world/echo\",\"body_file\":\"$dir/many\"}|" >"$dir/in"
check '4 times 64 MB at once' \
    "$PEAK" "$dir/peak" "$SPARP_PLAIN" -q -c 4 -t 50 -o "$dir/out" "$dir/in"
echo "peak memory $(cat "$dir/peak") KiB"
check 'they are never in memory' [ "$(cat "$dir/peak")" -lt 16384 ]
finish

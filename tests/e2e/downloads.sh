#!/bin/sh
# Bodies into files, byte for byte: from nginx, apache2, lighttpd, Node and Python; large, small and
# many, chunked and until the end of the connection, compressed or not, sound or damaged; and how
# much of them --max-body takes.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/servers.inc
public=$(mktemp -d "${TMPDIR:-/tmp}/sparp-downloads.XXXXXX")
chmod 755 "$public"
trap 'stop_servers; rm -rf "$public"' EXIT

start_world
world=127.0.0.1:$port
server WORLD "$world"
node=''
if start_node; then
    node=127.0.0.1:$port
    server NODE "$node"
fi
PKI='' trust=''
if ! has_tls; then
    skip 'no BearSSL'
elif has openssl; then
    PKI=$(sh tests/tls/pki.sh) || exit 1
    trust="--cacert $PKI/ca.crt"
fi

nginx_servers() {
    [ -z "$PKI" ] || echo "ssl_certificate $PKI/rsa.pem; ssl_certificate_key $PKI/rsa.key;"
    cat <<NGINX
    gzip on;
    gzip_types text/plain application/octet-stream;
    gzip_proxied any;
    gzip_vary on;
    sendfile on;
    server {
        listen 127.0.0.1:$port;
        ${PKI:+listen 127.0.0.1:$port2 ssl;}
        root $public/www;
        location /chunked/ { chunked_transfer_encoding on; proxy_buffering off;
            proxy_pass http://$world/; proxy_http_version 1.1; }
    }
NGINX
}

apache_server() {
    cat <<APACHE
ServerName 127.0.0.1
ServerRoot $public
Listen 127.0.0.1:$port
PidFile $public/apache.pid
ErrorLog $public/apache.log
DocumentRoot $public/www
StartServers 1
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule filter_module $modules/mod_filter.so
LoadModule deflate_module $modules/mod_deflate.so
User nobody
Group nogroup
SetOutputFilter DEFLATE
APACHE
}

lighttpd_server() {
    cat <<LIGHTTPD
server.document-root = "$public/www"
server.bind = "127.0.0.1"
server.port = $port
server.errorlog = "$dir/lighttpd.log"
LIGHTTPD
}

# numbers SIZE: what the Python and the Node server send.
numbers() {
    $python -c 'import sys
size = int(sys.argv[1])
sys.stdout.write("".join("%07d\n" % i for i in range(size // 8 + 1))[:size])' "$1"
}

www=$public/www
mkdir "$www"
numbers 64000000 >"$www/large"
numbers 3000000 >"$www/three"
numbers 300000 >"$www/text.txt"
numbers 1 >"$www/one"
: >"$www/none"
head -c 500000 /dev/urandom >"$www/noise"
chmod -R a+rX "$www"
plain='' secure='' apache='' lighttpd=''
if has nginx && launch_nginx nginx_servers; then
    plain=127.0.0.1:$port
    [ -z "$PKI" ] || secure=localhost:$port2
fi
modules=/usr/lib/apache2/modules
if has apache2 && launch apache apache_server apache2 -DFOREGROUND -f "$dir/apache.conf"; then
    apache=127.0.0.1:$port
fi
if has lighttpd && launch lighttpd lighttpd_server lighttpd -D -f "$dir/lighttpd.conf"; then
    lighttpd=127.0.0.1:$port
fi
zlib=yes
if ! "$SPARP" -V | grep -qi 'zlib.*yes'; then
    zlib=no
    skip 'no zlib'
fi

# --- into files -----------------------------------------------------------------------------------

# sources: a url and the file it should be, a line each.
sources() {
    for word in "http://$plain" "https://$secure" "http://$apache" "http://$lighttpd"; do
        case $word in
            *:) continue ;;
            */) continue ;;
        esac
        for file in three text.txt one none noise large; do
            echo "$word/$file $file"
        done
    done
    for size in 3000000:three 300000:text.txt 1:one 0:none; do
        echo "http://$world/bytes/${size%:*} ${size#*:}"
        echo "http://$world/old/${size%:*} ${size#*:}"
        [ -z "$plain" ] || echo "http://$plain/chunked/bytes/${size%:*} ${size#*:}"
        [ -z "$node" ] || echo "http://$node/chunked/${size%:*}/777 ${size#*:}"
    done
    echo "http://$world/to/302?l=/bytes/300000 text.txt"
    echo "http://$world/pack/none text"
}

# same_files: what is in $dir/bodies is what was meant.
same_files() {
    index=0 wrong=0
    while read -r url file; do
        cmp "$dir/bodies/$index" "$www/$file" || { echo "    $url" && wrong=$((wrong + 1)); }
        index=$((index + 1))
    done <"$dir/sources"
    [ "$wrong" -eq 0 ] && [ "$(find "$dir/bodies" -type f | wc -l)" -eq "$index" ]
}

curl -s "http://$world/pack/none" >"$www/text"
sources >"$dir/sources"
cut -d ' ' -f 1 "$dir/sources" >"$dir/urls"
total=$(wc -l <"$dir/urls")
limit=60
# shellcheck disable=SC2086
check "$total bodies" ask -c 5 -R 0 $trust --body-dir "$dir/bodies" "$dir/urls"
check 'each in its file' same_files
check 'each in its record' records "length == $total and all(.body == null and .truncated == null
    and .index as \$i | .body_file | endswith(\"/bodies/\(\$i)\"))"
rm -rf "$dir/bodies"
if [ $zlib = yes ]; then
    [ -z "$node" ] || echo "http://$node/gzip/3000000 three" >>"$dir/sources"
    for kind in gzip x-gzip upper deflate raw multi identity 'gzip?chunked' 'multi?chunked'; do
        echo "http://$world/pack/$kind text" >>"$dir/sources"
    done
    grep -v 'large$' "$dir/sources" >"$dir/some"
    mv "$dir/some" "$dir/sources"
    cut -d ' ' -f 1 "$dir/sources" >"$dir/urls"
    forget nginx
    # shellcheck disable=SC2086
    check '--compressed' ask -c 5 -R 0 $trust --compressed --headers content-encoding \
        --body-dir "$dir/bodies" "$dir/urls"
    check '--compressed: each in its file' same_files
    [ -z "$plain" ] ||
        check '--compressed: it was' records 'map(select(.bytes.in < 200000 and
            .headers["content-encoding"] == ["gzip"] and (.url | endswith("/text.txt")))) |
            length >= 1'
    rm -rf "$dir/bodies"
fi

# 3,000 small ones.
seq 3000 | sed "s|.*|http://$world/bytes/&|" >"$dir/urls"
check '3,000 small ones' ask -c 50 -R 0 --body-dir "$dir/bodies" "$dir/urls"
right() {
    $python -c 'import sys
text = b"".join(b"%07d\n" % i for i in range(400))
for i in range(3000):
    with open("%s/%d" % (sys.argv[1], i), "rb") as file:
        if file.read() != text[:i + 1]:
            sys.exit("    body %d is wrong" % i)' "$dir/bodies"
}
check '3,000 small ones are right' right
rm -rf "$dir/bodies"

if [ -n "$plain" ]; then
    seq 4 | sed "s|.*|http://$plain/large?&|" >"$dir/urls"
    check '4 times 64 MB at once' "$PEAK" "$dir/peak" "$SPARP_PLAIN" -q -c 4 \
        --body-dir "$dir/bodies" -o "$dir/out" "$dir/urls"
    echo "peak memory $(cat "$dir/peak") KiB"
    check 'they are never in memory' [ "$(cat "$dir/peak")" -lt 16384 ]
    rm -rf "$dir/bodies"
fi

# A body that ends early is no file; nor is one of an attempt that was not the last.
start_rude
check 'cut short: exit status 1' [ "$(
    ask -R 1 --body-dir "$dir/bodies" "http://127.0.0.1:$port/fin-mid-body"
    echo $?)" -eq 1 ]
check 'cut short: no file of its name' [ ! -e "$dir/bodies/0" ]
check 'tried again' ask -R 1 --body-dir "$dir/bodies" "http://$world/busy/file/1"
check 'tried again: the last one counts' \
    [ "$(jq -r .target "$dir/bodies/0")" = /busy/file/1 ]
check 'nothing is left behind' [ "$(find "$dir/bodies" -type f | wc -l)" -eq 1 ]
rm -rf "$dir/bodies"

# --- how much -------------------------------------------------------------------------------------

cat tests/e2e/downloads_cut.txt >"$dir/cut.table"
[ -z "$plain" ] || server NGINX "$plain"
run_table cut 1 -R 1 --max-body 100k

# --- compressed -----------------------------------------------------------------------------------

cat tests/e2e/downloads_raw.txt >"$dir/raw.table"
run_table raw 0 -R 0 --headers all
check 'nobody was asked for it' log world 'map(select(.headers["x-id"] != null and
    (.headers["x-id"][0] | startswith("raw")))) | length > 5 and
    all(.headers["accept-encoding"] == null)'
if [ $zlib = yes ]; then
    cat tests/e2e/downloads_packed.txt >"$dir/packed.table"
    run_table packed 1 -R 1 --compressed --headers all --max-body 1M
    check 'who is asked is told what may come' log world 'map(select(.headers["x-id"] != null and
        (.headers["x-id"][0] | startswith("packed")))) | length > 5 and
        all(.headers["accept-encoding"][0] | test("gzip") and test("deflate") and
            (test("br|zstd|\\*") | not))'
    check 'a bomb' [ "$(
        "$PEAK" "$dir/peak" "$SPARP_PLAIN" -q -R 0 --compressed --max-body 1M -o "$dir/out" \
            "http://$world/pack/bomb" "http://$world/pack/bomb?chunked"
        echo $?)" -eq 1 ]
    check 'a bomb does not go off' records 'length == 2 and all(.outcome == "local_failed" and
        .error.kind == "body_too_large" and .status == 200)'
    echo "peak memory $(cat "$dir/peak") KiB"
    check 'a bomb needs no memory' [ "$(cat "$dir/peak")" -lt 16384 ]
fi
finish

#!/bin/sh
# Against a real nginx: 100,000 requests, every one answered once, over few connections; and the
# memory does not grow with the number of requests.
set -u
cd "$(dirname "$0")/../.." || exit 1
PATH=$PATH:/usr/sbin:/usr/local/sbin
command -v nginx >/dev/null || { echo 'skipped: no nginx'; exit 77; }
. tests/e2e/lib.sh

configure() {
    cat >"$dir/nginx.conf" <<NGINX
daemon off;
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/error.log;
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 10000000;
    client_body_temp_path $dir/temp;
    proxy_temp_path $dir/temp;
    fastcgi_temp_path $dir/temp;
    uwsgi_temp_path $dir/temp;
    scgi_temp_path $dir/temp;
    server {
        listen 127.0.0.1:$port;
        location ~ ^/items/(?<id>[0-9]+)\$ {
            default_type application/json;
            return 200 '{"id":\$id}';
        }
        location = /connections { stub_status; }
    }
}
NGINX
}

answers() {
    [ "$(curl -s "http://127.0.0.1:$port/items/0")" = '{"id":0}' ]
}

# A port that is taken ends nginx at once: then the next one is tried.
start_nginx() {
    for port in 18080 18181 28080 28181 38080 38181; do
        configure
        answers && continue
        nginx -p "$dir" -e "$dir/error.log" -c "$dir/nginx.conf" >"$dir/nginx.log" 2>&1 &
        server=$!
        tries=0
        while [ $tries -lt 100 ] && kill -0 $server 2>/dev/null; do
            if answers && [ -s "$dir/nginx.pid" ]; then
                servers=$server
                return
            fi
            tries=$((tries + 1))
            sleep 0.05
        done
        kill $server 2>/dev/null
    done
    echo 'nginx did not start:'
    cat "$dir/nginx.log" "$dir/error.log"
    exit 1
}

connections() {
    curl -s "http://127.0.0.1:$port/connections" | awk 'NR == 3 { print $1 }'
}

# run COUNT OUTPUT: all of them, the peak memory goes to $dir/peak.
run() {
    seq "$1" | "$PEAK" "$dir/peak" \
        "$SPARP_PLAIN" -q -c 100 -T "http://127.0.0.1:$port/items/{}" -o "$2"
}

start_nginx
before=$(connections)
start=$(date +%s)
check '100,000 requests, exit status 0' run 100000 "$dir/out.jsonl"
took=$(($(date +%s) - start))
small=$(cat "$dir/peak")
used=$(($(connections) - before))
echo "100,000 requests in $took s over $used connections, peak memory $small KiB"
check 'connections are used again' [ "$used" -le 110 ]

jq -r '[.index, .outcome, .status, .body] | @tsv' "$dir/out.jsonl" | sort -n >"$dir/got"
seq 100000 | awk '{ printf "%d\tsuccess\t200\t{\"id\":%d}\n", $1 - 1, $1 }' >"$dir/expected"
check 'each index once, each with its own answer' cmp "$dir/got" "$dir/expected"

# A million when that takes less than a minute, else 20,000 against 200,000.
if [ "$took" -lt 6 ]; then
    few=100000 many=1000000
else
    few=20000 many=200000
    run $few /dev/null
    small=$(cat "$dir/peak")
fi
start=$(date +%s)
check "$many requests, exit status 0" run $many /dev/null
large=$(cat "$dir/peak")
echo "peak memory: $small KiB for $few, $large KiB for $many ($(($(date +%s) - start)) s)"
check 'memory does not grow, but for noise' [ $((large - small)) -le 512 ]
finish

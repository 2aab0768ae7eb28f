# The servers of the benchmark: . tests/bench/servers.sh, with $dir, $measure and $server_core.
# shellcheck shell=sh disable=SC2034,SC2154
# start_servers sets $port of nginx (+ 1: TLS; + 2 and + 3: TLS without resumption, one handshake a
# request, ECDSA and RSA) and $bare_port of server.c, and counts on a trap for stop_servers.
servers=''

stop_servers() {
    for server in $servers; do
        kill "$server" 2>/dev/null || continue
        wait "$server" 2>/dev/null || true
    done
    servers=''
}

# certificate NAME SUBJECT ISSUER EXTENSIONS GENPKEY-OPTIONS...: NAME.key, NAME.crt.
certificate() {
    name=$1 subject=$2 issuer=$3 extensions=$4
    shift 4
    printf '%b' "$extensions" >"$dir/$name.ext"
    openssl genpkey "$@" -out "$dir/$name.key" 2>/dev/null || return 1
    openssl req -new -config "$dir/openssl.conf" -key "$dir/$name.key" -subj "/CN=$subject" \
        -out "$dir/$name.csr" || return 1
    if [ "$issuer" = "$name" ]; then
        set -- -signkey "$dir/$name.key"
    else
        set -- -CA "$dir/$issuer.crt" -CAkey "$dir/$issuer.key" -set_serial "$(date +%s)"
    fi
    openssl x509 -req -sha256 -days 30 -in "$dir/$name.csr" -extfile "$dir/$name.ext" "$@" \
        -out "$dir/$name.crt" 2>/dev/null
}

# chain KIND GENPKEY-OPTIONS...: a root to trust, and a server's chain of two below it.
chain() {
    kind=$1
    shift
    authority='basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n'
    leaf='subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n'
    certificate "$kind-root" "bench $kind root" "$kind-root" "$authority" "$@" &&
        certificate "$kind-mid" "bench $kind middle" "$kind-root" "$authority" "$@" &&
        certificate "$kind" localhost "$kind-mid" "$leaf" "$@" &&
        cat "$dir/$kind.crt" "$dir/$kind-mid.crt" >"$dir/$kind.pem"
}

make_certificates() {
    printf '[req]\ndistinguished_name = dn\n[dn]\n' >"$dir/openssl.conf"
    chain ecdsa -algorithm EC -pkeyopt ec_paramgen_curve:P-256 &&
        chain rsa -algorithm RSA -pkeyopt rsa_keygen_bits:2048 &&
        cat "$dir/ecdsa-root.crt" "$dir/rsa-root.crt" >"$dir/ca.pem"
}

# site PORT KIND-OR-"" LINE: one virtual server.
site() {
    if [ -n "$2" ]; then
        echo "server { listen 127.0.0.1:$1 ssl backlog=4096;"
        echo "    ssl_certificate $dir/$2.pem; ssl_certificate_key $dir/$2.key;"
    else
        echo "server { listen 127.0.0.1:$1 backlog=4096;"
    fi
    echo "    $3"
    echo "    location /items/ { default_type application/json; return 200 '$small_body'; }"
    echo "    location /big/ { root $dir; try_files /big.bin =404; }"
    echo '}'
}

# AES-128-GCM for everybody, so that all clients do the same work: with TLS 1.3, but for the floor,
# which is BearSSL's own engine and knows 1.2.
configure() {
    cat <<NGINX
daemon off;
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/error.log crit;
events { worker_connections 16384; }
http {
    access_log off;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    open_file_cache max=10 inactive=600s;
    client_body_temp_path $dir/temp;
    proxy_temp_path $dir/temp;
    fastcgi_temp_path $dir/temp;
    uwsgi_temp_path $dir/temp;
    scgi_temp_path $dir/temp;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256;
    ssl_session_tickets off;
NGINX
    site "$port" '' ''
    if [ "$tls" = yes ]; then
        site $((port + 1)) ecdsa 'ssl_session_cache shared:bench:10m;'
        site $((port + 2)) ecdsa 'ssl_session_cache off; keepalive_timeout 0;'
        site $((port + 3)) rsa 'ssl_session_cache off; keepalive_timeout 0;'
    fi
    echo '}'
}

answers() {
    [ "$(curl -s --noproxy '*' "http://127.0.0.1:$port/items/0")" = "$small_body" ]
}

# A port that is taken ends nginx at once: then the next one is tried.
start_nginx() {
    for port in 18280 18380 28280 28380 38280 38380; do
        configure >"$dir/nginx.conf"
        answers && continue
        "$measure" "$server_core" 0 - nginx -p "$dir" -e "$dir/error.log" -c "$dir/nginx.conf" \
            >"$dir/nginx.log" 2>&1 &
        server=$!
        tries=0
        while [ $tries -lt 100 ] && kill -0 $server 2>/dev/null; do
            if answers && [ -s "$dir/nginx.pid" ]; then
                servers="$servers $server"
                return 0
            fi
            tries=$((tries + 1))
            sleep 0.05
        done
        kill $server 2>/dev/null
    done
    echo 'bench: nginx did not start:' >&2
    cat "$dir/nginx.log" "$dir/error.log" >&2
    return 1
}

start_bare() {
    rm -f "$dir/port"
    "$measure" "$server_core" 0 - "$dir/server" --port-file "$dir/port" --max-seconds 1500 \
        >"$dir/server.log" 2>&1 &
    servers="$servers $!"
    tries=0
    until [ -s "$dir/port" ]; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || { echo 'bench: server.c did not start' >&2; return 1; }
        sleep 0.05
    done
    bare_port=$(cat "$dir/port")
}

start_servers() {
    small_body=$(awk 'BEGIN {
        text = "{\"id\":12345,\"name\":\"item 12345\",\"description\":\""
        filler = "lorem ipsum dolor sit amet "
        while (length(text) < 118) text = text substr(filler, length(text) % 27 + 1, 1)
        print text "\"}"
    }')
    awk 'BEGIN { for (i = 0; i < 1000; i++) printf "%099d\n", i }' >"$dir/big.bin"
    tls=no
    if command -v openssl >/dev/null && make_certificates; then
        tls=yes
    fi
    start_bare || return 1
    start_nginx
}

#!/bin/sh
# Through squid, tinyproxy and a rude proxy, with and without credentials, http and https; which
# proxy the environment means; what proxy and origin must not see of each other. And haproxy, which
# is one nobody has to know of.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/servers.inc
public=$(mktemp -d "${TMPDIR:-/tmp}/sparp-proxies.XXXXXX")
chmod 777 "$public"

# squid takes its time to end, and killed it leaves its shared memory, by its name, to whoever comes
# next: somebody else could not open it.
end_all() {
    [ -z "${squid:-}" ] || kill -9 "$squid" 2>/dev/null
    rm -f "/dev/shm/sparp$$-"*
    stop_servers
    rm -rf "$public"
}
trap end_all EXIT

PKI='' trust=''
if ! has_tls; then
    skip 'no BearSSL'
elif has openssl; then
    PKI=$(sh tests/tls/pki.sh) || exit 1
    trust="--cacert $PKI/ca.crt"
fi
start_world
world=127.0.0.1:$port

nginx_servers() {
    [ -z "$PKI" ] || echo "ssl_certificate $PKI/rsa.pem; ssl_certificate_key $PKI/rsa.key;"
    cat <<NGINX
    server {
        listen 127.0.0.1:$port;
        ${PKI:+listen 127.0.0.1:$port2 ssl;}
        client_max_body_size 100m;
        location / { return 200 "\$request_method \$request_uri"; }
        location /world/ { proxy_pass http://$world/; }
    }
NGINX
}

# The names are those of the helper, and the passwords.
squid_conf() {
    cat <<SQUID
http_port 127.0.0.1:$port
pid_filename none
access_log none
cache_log $public/squid.log
cache deny all
cache_mem 8 MB
memory_pools off
max_filedescriptors 1024
pinger_enable off
coredump_dir none
visible_hostname squid.test
auth_param basic program $public/passwords
auth_param basic realm squid
acl known proxy_auth REQUIRED
acl bad port 9
http_access deny !known
http_access deny bad
http_access allow all
SQUID
}

tinyproxy_conf() {
    cat <<TINYPROXY
Port $port
Listen 127.0.0.1
MaxClients 100
LogFile "$dir/tinyproxy.log"
BasicAuth user secret
$([ -z "$secure" ] || echo "ConnectPort ${secure#*:}")
ConnectPort 1
TINYPROXY
}

haproxy_conf() {
    [ -z "$PKI" ] || cat "$PKI/rsa.pem" "$PKI/rsa.key" >"$dir/haproxy.pem"
    cat <<HAPROXY
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
    retries 0
frontend front
    bind 127.0.0.1:$port
    ${PKI:+bind 127.0.0.1:$port2 ssl crt $dir/haproxy.pem}
    use_backend dead if { path_beg /dead }
    http-request return status 429 hdr Retry-After 0 if { path_beg /limited }
    default_backend back
backend back
    server one $world
backend dead
    server none 127.0.0.1:1
HAPROXY
}

# shellcheck disable=SC2016
printf '#!/bin/sh\nwhile read -r line; do case $line in "user secret") echo OK;; *) echo ERR;; %s' \
    'esac; done' >"$public/passwords"
chmod 755 "$public/passwords"
plain='' secure=''
if has nginx && launch_nginx nginx_servers; then
    plain=127.0.0.1:$port
    [ -z "$PKI" ] || secure=localhost:$port2
fi
start_rude_proxy
rude=127.0.0.1:$port

# --- real proxies ---------------------------------------------------------------------------------

# fails KIND ATTEMPTS URL FLAGS...: nothing that the proxy says is taken for the origin's.
fails() {
    kind=$1 attempts=$2
    shift 2
    ask "$@"
    record ".outcome == \"transport_failed\" and .error.kind == \"$kind\" and .status == null and
        .attempts == $attempts and .body == null and (.error.message | length > 10)"
}

# says STATUS OUTCOME ATTEMPTS FLAGS...
says() {
    wanted=$1 outcome=$2 attempts=$3
    shift 3
    ask "$@"
    record ".status == $wanted and .outcome == \"$outcome\" and .attempts == $attempts"
}

head -c 3000000 /dev/urandom >"$dir/large"
large=$($python -c 'import hashlib, sys
print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$dir/large")
{
    echo "{\"url\":\"http://$world/echo\",\"body_file\":\"$dir/large\"}"
    echo "{\"url\":\"http://$world/echo\",\"method\":\"HEAD\"}"
    echo "{\"url\":\"http://$world/chain/5\"}"
    echo "{\"url\":\"http://$world/old/5000\"}"
    echo "{\"url\":\"http://$world/to/204\"}"
    echo "{\"url\":\"http://user:secret@$world/echo?credentials\"}"
    seq 94 | sed "s|.*|{\"url\":\"http://$world/bytes/&\"}|"
} >"$dir/hundred"

# http_through NAME DOWN: DOWN is what it says of an origin that is not there.
http_through() {
    good="--proxy http://user:secret@$proxy"
    # shellcheck disable=SC2086
    {
    forget world
    check "$1: a hundred requests" ask -R 0 -c 10 $good "$dir/hundred"
    check "$1: each has its answer" records "length == 100 and (sort_by(.index) |
        (.[0].body | fromjson | .sha256 == \"$large\") and .[1].status == 200 and
        .[2].redirects == 5 and (.[3].body | length) == 5000 and .[4].status == 204 and
        ([.[6:][] | .body | length] == [range(1; 95)]))"
    check "$1: they all went through it" log world 'length == 105 and
        all(.headers.via != null or .headers["x-forwarded-for"] != null)'
    check "$1: the origin does not see the proxy's credentials" log world \
        'all(.headers["proxy-authorization"] == null)'
    check "$1: but its own" log world 'map(select(.target == "/echo?credentials") |
        .headers.authorization) == [["Basic dXNlcjpzZWNyZXQ="]]'
    check "$1: an origin that is not there" says "$2" soft_exhausted 2 -R 1 $good \
        http://127.0.0.1:1/
    }
    for who in nobody@ user:wrong@ ''; do
        ask -R 1 --proxy "http://$who$proxy" "http://$world/echo"
        check "$1: ${who:-no credentials}: a response" record '.outcome == "hard_fail" and
            .attempts == 1 and (.status == 407 or .status == 401)'
    done
}

# https_through NAME: CONNECT.
https_through() {
    [ -n "$secure" ] || return 0
    good="$trust --proxy http://user:secret@$proxy"
    forget nginx
    seq 20 | sed "s|.*|https://$secure/&|" >"$dir/twenty"
    # shellcheck disable=SC2086
    {
    check "$1: https" ask -R 0 -c 1 $good -H 'Authorization: Bearer b' "$dir/twenty"
    check "$1: https: each has its answer" records 'length == 20 and
        ([.[].body] == [range(1; 21) | "GET /\(.)"])'
    check "$1: https: over one connection" log nginx 'map(.peer) | unique | length == 1'
    check "$1: https: the origin sees its credentials alone" log nginx \
        'length == 20 and all(.authorization == "Bearer b" and .proxy == "")'
    check "$1: https: 3 MB there" ask -R 0 $good -X PUT -d "@$dir/large" \
        "https://$secure/world/echo"
    check "$1: https: all of it" record ".body | fromjson | .sha256 == \"$large\""
    check "$1: https: the origin's certificate is checked" fails tls_certificate 1 -R 1 \
        --proxy "http://user:secret@$proxy" --cacert "$PKI/root-ec.crt" "https://$secure/"
    check "$1: https: an origin that is not there" fails proxy_failed 2 -R 1 $good \
        https://localhost:1/
    check "$1: https: a port it does not allow" fails proxy_refused 1 -R 1 $good \
        https://localhost:9/
    for who in nobody@ user:wrong@ ''; do
        check "$1: https: ${who:-no credentials}" fails proxy_refused 1 -R 1 $trust \
            --proxy "http://$who$proxy" "https://$secure/"
    done
    }
}

if has squid && launch squid squid_conf squid -N -n "sparp$$" -f "$dir/squid.conf"; then
    squid=$launched proxy=127.0.0.1:$port
    http_through squid 503
    https_through squid
fi
if has tinyproxy && launch tinyproxy tinyproxy_conf tinyproxy -d -c "$dir/tinyproxy.conf"; then
    proxy=127.0.0.1:$port
    http_through tinyproxy 500
    https_through tinyproxy
fi

# --- which one ------------------------------------------------------------------------------------

# went_through JQ FLAGS...: a request to the origin; the filter is about what the proxy has seen.
went_through() {
    filter=$1
    shift
    forget proxy world
    ask -R 0 "$@" "http://$world/echo"
    log proxy "$filter"
}
used='length == 1' unused='length == 0'

check '--proxy' went_through "$used" --proxy "http://$rude"
check '... asked for the whole url' log proxy ".[0].line == \"GET http://$world/echo HTTP/1.1\""
check '... with the right Host' log proxy ".[0].headers.host == [\"$world\"]"
check '--proxy without http://' went_through "$used" --proxy "$rude"
check '--noproxy' went_through "$unused" --proxy "http://$rude" --noproxy 127.0.0.1
check '--noproxy of another host' went_through "$used" --proxy "http://$rude" --noproxy localhost
http_proxy=http://$rude
export http_proxy
check 'http_proxy' went_through "$used"
check '--proxy none' went_through "$unused" --proxy none
NO_PROXY='example.org, 127.0.0.1'
export NO_PROXY
check 'NO_PROXY' went_through "$unused"
NO_PROXY='*'
check 'NO_PROXY=*' went_through "$unused"
NO_PROXY=example.org
check 'NO_PROXY of another host' went_through "$used"
unset NO_PROXY http_proxy
HTTP_PROXY=http://$rude https_proxy=http://$rude
export HTTP_PROXY https_proxy
check 'HTTP_PROXY is what a request header can be: not looked at' went_through "$unused"
unset HTTP_PROXY https_proxy
all_proxy=http://$rude
export all_proxy
check 'all_proxy' went_through "$used"
unset all_proxy
check 'a proxy that is no url: exit status 2' [ "$(
    ask --proxy 'ftp://x' "http://$world/echo"
    echo $?)" -eq 2 ]

# --- a rude one -----------------------------------------------------------------------------------

for mode in 400:hard_fail 403:hard_fail 407:hard_fail kept-407:hard_fail 502:soft_exhausted \
    503:soft_exhausted; do
    status=${mode%%:*}
    attempts=1
    [ "${mode#*:}" = hard_fail ] || attempts=2
    check "http: ${mode%%:*} is a response" says "${status#kept-}" "${mode#*:}" $attempts -R 1 \
        --proxy "http://${mode%%:*}@$rude" "http://$world/"
done
check 'http: FIN' fails closed 2 -R 1 --proxy "http://fin@$rude" "http://$world/"
check 'http: RST' fails reset 2 -R 1 --proxy "http://rst@$rude" "http://$world/"
ask -R 0 -t 0.3 --proxy "http://hang@$rude" "http://$world/"
check 'http: no answer' record '.outcome == "timeout_exhausted" and .error.phase == "first_byte"'
check 'http: nobody there' fails proxy_failed 2 -R 1 --proxy http://127.0.0.1:1 "http://$world/"
check 'http: no such host' fails proxy_failed 1 -R 0 --proxy http://none.invalid:1 "http://$world/"

# shellcheck disable=SC2086
if [ -n "$secure" ]; then
    for mode in good old length chunked no-length two-lengths identity interim drip fields; do
        check "CONNECT: $mode" ask -R 0 $trust --proxy "http://$mode@$rude" "https://$secure/x"
        check "CONNECT: $mode: the origin's answer" record '.status == 200 and .body == "GET /x"'
    done
    for mode in 302 400 401 403 404 407 kept-403 kept-407; do
        check "CONNECT: $mode" fails proxy_refused 1 -R 1 $trust \
            --proxy "http://$mode@$rude" "https://$secure/x"
        check "CONNECT: $mode: it is named" record ".error.message | contains(\"${mode#kept-}\")"
    done
    for mode in 500 502 503 504 kept-503 fin rst half garbage endless open-junk; do
        check "CONNECT: $mode" fails proxy_failed 2 -R 1 $trust \
            --proxy "http://$mode@$rude" "https://$secure/x"
    done
    for mode in open-fin open-rst; do
        ask -R 1 $trust --proxy "http://$mode@$rude" "https://$secure/x"
        check "CONNECT: $mode" record '.outcome == "transport_failed" and .attempts == 2 and
            (.error.kind | . == "closed" or . == "reset" or . == "tls_handshake")'
    done
    for mode in hang half-hang; do
        ask -R 0 $trust --connect-timeout 0.3 --proxy "http://$mode@$rude" "https://$secure/x"
        check "CONNECT: $mode" record '.outcome == "timeout_exhausted" and .ms.total < 3000 and
            .error.kind == "timeout" and .error.phase == "connect"'
    done
    check 'CONNECT: nobody there' fails proxy_failed 2 -R 1 $trust --proxy http://127.0.0.1:1 \
        "https://$secure/"
    forget proxy
    seq 10 | sed "s|.*|https://user:hunter2@$secure/&|" >"$dir/in"
    check 'CONNECT: ten requests' ask -R 0 -c 1 $trust --proxy "http://good:pass@$rude" \
        -H 'Cookie: c=1' -H 'X-Key: k' "$dir/in"
    check 'CONNECT: one tunnel' log proxy "length == 1 and
        .[0].line == \"CONNECT $secure HTTP/1.1\" and .[0].headers.host == [\"$secure\"]"
    check 'CONNECT: nothing that is for the origin' log proxy 'all(.headers |
        has("authorization") or has("cookie") or has("x-key") or has("accept") or
        has("content-length") | not)'
    check 'CONNECT: but what is for the proxy' log proxy \
        'all(.headers["proxy-authorization"] == ["Basic Z29vZDpwYXNz"])'
    https_proxy=http://$rude
    export https_proxy
    forget proxy
    check 'https_proxy' ask -R 0 $trust "https://$secure/" "http://$plain/" \
        "http://$world/to/302?l=https://$secure/after"
    check 'https_proxy: of https alone, of redirects too' log proxy 'length >= 1 and
        all(.line | startswith("CONNECT "))'
    forget proxy
    check 'https_proxy is empty: none' env https_proxy= "$SPARP" -q -R 0 $trust -o "$dir/out" \
        "https://$secure/"
    check 'https_proxy is empty: none was asked' log proxy 'length == 0'
    unset https_proxy
fi

# --- haproxy --------------------------------------------------------------------------------------

if has haproxy && launch haproxy haproxy_conf haproxy -db -f "$dir/haproxy.conf"; then
    front=127.0.0.1:$port
    forget world
    sed "s/$world/$front/" "$dir/hundred" >"$dir/in"
    check 'haproxy: a hundred requests' ask -R 0 -c 10 "$dir/in"
    check 'haproxy: each has its answer' records "length == 100 and (sort_by(.index) |
        (.[0].body | fromjson | .sha256 == \"$large\") and .[2].redirects == 5 and
        (.[3].body | length) == 5000 and .[4].status == 204 and
        ([.[6:][] | .body | length] == [range(1; 95)]))"
    check 'haproxy: nobody behind it' says 503 soft_exhausted 3 -R 2 "http://$front/dead"
    check 'haproxy: 429' says 429 soft_exhausted 3 -R 2 "http://$front/limited"
    # shellcheck disable=SC2086
    [ -z "$PKI" ] || \
        check 'haproxy: https' says 200 success 1 $trust "https://localhost:$port2/echo"
fi
finish

#!/bin/sh
# Redirects as the world sends them: nginx, apache2, lighttpd, httpbin, Python and Node. What is
# followed, how, how far, what another origin must not see, and what is refused.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/servers.inc
public=$(mktemp -d "${TMPDIR:-/tmp}/sparp-redirects.XXXXXX")
chmod 755 "$public"
trap 'stop_servers; rm -rf "$public"' EXIT

# --- the servers ----------------------------------------------------------------------------------

start_world
world=127.0.0.1:$port
server WORLD "$world"
server OTHER "localhost:$port"
if start_node; then
    server NODE "127.0.0.1:$port"
fi

# PKI is set if https can be had.
PKI=''
if ! has_tls; then
    skip 'no BearSSL'
elif has openssl; then
    PKI=$(sh tests/tls/pki.sh) || exit 1
fi

nginx_servers() {
    cat <<NGINX
    server {
        listen 127.0.0.1:$port;
        root $dir/www;
        location / { return 200 "\$request_method \$request_uri"; }
        location = /301 { return 301 /after; }
        location = /302 { return 302 /after?x=1; }
        location = /303 { return 303 http://\$http_host/after; }
        location = /307 { return 307 /after; }
        location = /308 { return 308 http://\$http_host/after; }
        location = /relative { absolute_redirect off; return 301 /after; }
        location /folder { }
        rewrite ^/old/(.*)\$ /new/\$1 permanent;
    }
NGINX
    [ -z "$PKI" ] || cat <<NGINX
    server {
        listen 127.0.0.1:$port2 ssl;
        ssl_certificate $PKI/rsa.pem;
        ssl_certificate_key $PKI/rsa.key;
        location / { return 200 "\$request_method \$request_uri"; }
        location = /down { return 302 http://$world/echo; }
        location = /same { return 302 /after; }
        location = /up { return 302 https://\$http_host/after; }
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
LoadModule alias_module $modules/mod_alias.so
LoadModule dir_module $modules/mod_dir.so
LoadModule rewrite_module $modules/mod_rewrite.so
User nobody
Group nogroup
Redirect 301 /301 /folder/page
Redirect 302 /302 /folder/page
Redirect 303 /303 /folder/page
Redirect 307 /307 /folder/page
Redirect 308 /308 http://localhost:$port/folder/page
RewriteEngine on
RewriteRule ^/rewritten/(.*)\$ /folder/\$1?a=b\\%20c [R=302,QSA,NE,L]
APACHE
}

lighttpd_server() {
    cat <<LIGHTTPD
server.document-root = "$public/www"
server.bind = "127.0.0.1"
server.port = $port
server.modules = ("mod_redirect")
server.errorlog = "$dir/lighttpd.log"
url.redirect = ("^/301\$" => "/folder/page",
    "^/there/(.*)\$" => "http://localhost:$port/folder/\$1")
LIGHTTPD
}

mkdir -p "$public/www/folder" "$dir/www/folder"
echo page >"$public/www/folder/page"
echo index >"$public/www/folder/index.html"
echo index >"$dir/www/folder/index.html"
if has nginx && launch_nginx nginx_servers; then
    server NGINX "127.0.0.1:$port"
    secure=localhost:$port2
    [ -z "$PKI" ] || server SECURE "$secure"
fi
modules=/usr/lib/apache2/modules
if has apache2 && launch apache apache_server apache2 -DFOREGROUND -f "$dir/apache.conf"; then
    server APACHE "127.0.0.1:$port"
fi
if has lighttpd && launch lighttpd lighttpd_server lighttpd -D -f "$dir/lighttpd.conf"; then
    server LIGHTTPD "127.0.0.1:$port"
fi
gunicorn_bind() {
    echo "bind = '127.0.0.1:$port'"
}
if $python -c 'import httpbin, gunicorn' 2>/dev/null; then
    launch httpbin gunicorn_bind $python -m gunicorn.app.wsgiapp httpbin:app -k gthread \
        --threads 8 --keep-alive 5 -c "$dir/httpbin.conf" && server HTTPBIN "127.0.0.1:$port"
else
    skip 'no httpbin'
fi

# --- each status with each method -----------------------------------------------------------------

# methods WORD CODE...: what becomes of a method and of the body, per status.
methods() {
    word=$1
    shift
    for code in "$@"; do
        for method in GET HEAD POST PUT PATCH DELETE; do
            body='' size=0 after=$method
            case $method in
                POST|PUT|PATCH) body=',"body":"a=b&c","headers":{"Content-Type":"x/y"}' size=5 ;;
            esac
            case $code:$method in
                30[12]:POST|303:P*|303:DELETE) after=GET size=0 ;;
            esac
            kept='.seen[1].headers["content-type"] == null and
                .seen[1].headers["content-length"] == null'
            [ $size = 0 ] || kept='.seen[1].headers["content-type"] == ["x/y"]'
            [ "$after" = "$method" ] && [ $size = 0 ] && kept=true
            echo "$word $code $method|\"url\":\"http://$word/to/$code?l=/echo\"," \
                "\"method\":\"$method\"$body|.r.status == 200 and .r.redirects == 1 and" \
                "(.seen | length) == 2 and .seen[1].method == \"$after\" and" \
                ".seen[1].size == $size and .r.attempts == 1 and" "$(echo "$kept" | tr '\n' ' ')"
        done
    done
}
{
    methods WORLD 301 302 303 307 308
    methods NODE 301 303 307
} >"$dir/methods.table"
run_table methods 0 -R 0 --body json

# --- Locations ------------------------------------------------------------------------------------

cp tests/e2e/redirects.txt "$dir/places.table"
[ -z "$PKI" ] || trust="--cacert $PKI/ca.crt"
# shellcheck disable=SC2086
run_table places 1 -R 3 ${trust:-}

# --- secrets --------------------------------------------------------------------------------------

# secrets WHAT PATH JQ: what each server gets to see of them. /echo is last: two servers have two
# clocks, which do not tell within a millisecond who was first.
secrets() {
    echo "$1|\"url\":\"http://user:hunter2@WORLD$2\",\"headers\":{\"Cookie\":\"c=1\"," \
        "\"X-Api-Key\":\"key\",\"x-token\":\"token\",\"X-Open\":\"open\"," \
        "\"Proxy-Authorization\":\"Basic eDp5\"}|" \
        "(.r | tostring | contains(\"hunter2\") | not) and" \
        ".r.status == 200 and (.seen | sort_by(.target == \"/echo\") | ($3) and" \
        '.[-1].headers["x-open"] == ["open"] and .[1].headers["proxy-authorization"] == null)'
}
# shellcheck disable=SC2016
all='map(.headers | [.authorization, .cookie, .["x-api-key"], .["x-token"]] | map(values[]))'
four='["Basic dXNlcjpodW50ZXIy", "c=1", "key", "token"]'
{
    secrets 'the same origin gets them' '/to/302?l=/echo' "$all == [$four, $four]"
    secrets 'the same origin in capitals' '/to/302?l=HTTP://WORLD/echo' \
        "$all == [$four, $four]"
    secrets 'another host does not' '/to/302?l=http://OTHER/echo' "$all == [$four, []]"
    secrets 'another port does not' '/to/307?l=http://NODE/echo' \
        "$all == [$four, []]"
    secrets 'nor does who comes behind it' \
        '/to/302?l=http://OTHER/to/302%3Fl=http://OTHER/echo' "$all == [$four, [], []]"
    secrets 'back again: not even the first one' \
        '/to/302?l=http://OTHER/to/302%3Fl=http://WORLD/echo' "$all == [$four, [], []]"
    secrets 'the next attempt sends them again' '/to/302?l=http://OTHER/busy/secrets/1' \
        "$all == [$four, [], $four, []]"
} >"$dir/secrets.table"
run_table secrets 0 -R 2 --sensitive X-Api-Key,X-Token

if [ -n "$PKI" ] && [ -s "$dir/nginx.jsonl" ]; then
    : >"$dir/nginx.jsonl"
    # shellcheck disable=SC2086
    ask -R 0 $trust -H 'Cookie: c=1' -H 'Authorization: Bearer b' "https://$secure/same" \
        "http://$world/to/302?l=https://$secure/up"
    check 'https: the same origin gets them' \
        log nginx 'map(select(.authorization == "Bearer b" and .cookie == "c=1") | .target) |
            sort == ["/after", "/same"]'
    check 'http to https does not' \
        log nginx 'map(select(.authorization == "" and .cookie == "")) | length == 2'
fi

# --- what is refused ------------------------------------------------------------------------------

# refused_to WHAT LOCATION: the 302 is the result, and nothing else was sent.
refused_to() {
    echo "$1|\"url\":\"http://WORLD/to/302?l=$2\"|.r.outcome == \"local_failed\" and" \
        '.r.status == 302 and .r.error.kind == "redirect_refused" and .r.attempts == 1 and' \
        '(.seen | length) == 1 and .r.body == "go there" and' \
        '(.r.error.message | length > 10 and (contains("hunter2") | not))'
}
{
    for to in file:///etc/passwd ftp://WORLD/x javascript:alert%281%29 mailto:a@b.test \
        data:,hello gopher://WORLD/ ws://WORLD/ HTTPX://WORLD/; do
        refused_to "scheme ${to%%:*}" "$to"
    done
    refused_to 'user and password' http://user:hunter2@WORLD/echo
    refused_to 'user alone' http://user@WORLD/echo
    refused_to 'user without a scheme' //user:hunter2@WORLD/echo
    refused_to 'no host' http:///echo
    refused_to 'port 65536' http://127.0.0.1:65536/
    refused_to 'a port that is none' http://127.0.0.1:http/
    refused_to 'a broken address' http://%5B::1/
    refused_to 'a control character' /echo%01
    refused_to 'a tab' /echo%09x
    refused_to 'a blank in the host' http://a%20b/
    echo 'two that differ|"url":"http://WORLD/to/302?l=/echo&l=/other"|' \
        '.r.outcome == "local_failed" and .r.status == 302 and' \
        '.r.error.kind == "redirect_refused" and (.seen | length) == 1'
    echo 'eleven|"url":"http://WORLD/chain/11"|.r.outcome == "local_failed" and .r.status == 302' \
        'and .r.error.kind == "redirect_refused" and .r.redirects == 10 and .r.attempts == 1' \
        'and (.r.error.message | contains("10")) and (.seen | length) == 11'
    echo 'a loop|"url":"http://WORLD/loop"|.r.status == 302 and .r.redirects == 10 and' \
        '.r.error.kind == "redirect_refused" and (.seen | length) == 11'
    echo 'a host that does not exist|"url":"http://WORLD/to/302?l=http://none.invalid/"|' \
        '.r.outcome == "transport_failed" and (.r.error.kind | startswith("dns_"))'
    echo 'nobody there|"url":"http://WORLD/to/302?l=http://127.0.0.1:1/"|' \
        '.r.outcome == "transport_failed" and .r.error.kind == "refused" and .r.status == null'
    echo 'https to http|"url":"https://SECURE/down"|.r.outcome == "local_failed" and' \
        '.r.status == 302 and .r.error.kind == "redirect_refused" and .seen == []'
    echo 'too slow in all|"url":"http://WORLD/nap/300?l=/nap/300%3Fl=/nap/300%253Fl=/echo",' \
        '"timeout":0.7|.r.outcome == "timeout_exhausted" and .r.ms.total >= 699 and' \
        '.r.ms.total < 3000 and .r.status == null'
} >"$dir/refused.table"
# shellcheck disable=SC2086
run_table refused 1 -R 0 ${trust:-}

check 'refused: their bodies are whole' records 'map(select(.body == "go there")) |
    length > 10 and all(.truncated == null)'

# --- how far --------------------------------------------------------------------------------------

forget world
check 'none: exit status 0' ask --max-redirs none "http://$world/chain/3"
check 'none: the 302 is a response' record '.status == 302 and .outcome == "success" and
    (.redirects // 0) == 0 and .error == null and .body == "further"'
check 'none: one request' log world 'length == 1'
forget world
check 'ten alone' ask "http://$world/chain/10"
check 'ten alone: over one connection' log world \
    'length == 11 and (map(.peer) | unique | length == 1)'
check 'three of three' ask --max-redirs 3 "http://$world/chain/3"
check 'three of three: 200' record '.status == 200 and .redirects == 3'
forget world
ask -R 5 --max-redirs 3 "http://$world/chain/4"
check 'four of three: exit status 1' [ $status -eq 1 ]
check 'four of three are refused' record '.status == 302 and .redirects == 3 and
    .error.kind == "redirect_refused" and .attempts == 1'
check 'four of three: four requests' log world 'length == 4'

# --- bodies ---------------------------------------------------------------------------------------

head -c 3000000 /dev/urandom >"$dir/large"
large=$($python -c 'import hashlib, sys
print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$dir/large")
for code in 307 308; do
    forget world
    echo "{\"url\":\"http://$world/to/$code?l=http://localhost:${world#*:}/echo\"," \
        "\"method\":\"PUT\",\"body_file\":\"$dir/large\"}" >"$dir/in"
    check "$code: 3 MB from a file" ask "$dir/in"
    check "$code: both times" log world "length == 2 and all(.sha256 == \"$large\")"
done

# --- pace -----------------------------------------------------------------------------------------

forget world
seq 8 | sed "s|.*|http://$world/chain/3|" >"$dir/in"
check '-r 20: all of 32 hops' ask -r 20 "$dir/in"
check '-r 20: 32 requests' log world 'length == 32'
check '-r 20: a hop is one' log world 'map(.t) | max - min | . > 31 / 20 * 0.9 and . < 4'

# --- many -----------------------------------------------------------------------------------------

forget world
{
    seq 150 | sed "s|.*|http://$world/chain/2?&|"
    seq 150 | sed "s|.*|http://$world/to/307?l=http://localhost:${world#*:}/echo/&|"
    seq 150 | sed "s|.*|http://$world/bytes/&|"
    seq 50 | sed "s|.*|http://$world/loop?&|"
} >"$dir/in"
ask -c 30 "$dir/in"
check 'many: exit status 1' [ $status -eq 1 ]
# shellcheck disable=SC2016
check 'many: each has its own answer' records 'length == 500 and
    (map(.index) | unique | length) == 500 and all(.index as $i | .url as $url |
    if $i < 150 then .redirects == 2 and .status == 200
    elif $i < 300 then .redirects == 1 and (.body | fromjson | .target) == "/echo/\($i - 149)"
    elif $i < 450 then .status == 200 and (.body | length) == $i - 299
    else .error.kind == "redirect_refused" and .redirects == 10 end)'
check 'many: every hop once' log world 'length == 150 * 3 + 150 * 2 + 150 + 50 * 11'
finish

#!/bin/sh
# The command against the TLS of others: OpenSSL's s_server, GnuTLS's gnutls-serv, node.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/tls/lib.sh
trust="--cacert $PKI/ca.crt"

# run COUNT OPTION...: that many requests, one result each, all a success.
run() {
    amount=$1
    shift
    # shellcheck disable=SC2086
    "$SPARP" -q -R 0 $trust "$@" -o "$dir/many" 2>"$dir/errors" &&
        [ "$(jq -r 'select(.outcome == "success") | .index' "$dir/many" | sort -u | wc -l)" \
            -eq "$amount" ]
}

# --- OpenSSL --------------------------------------------------------------------------------------

# s_server NAME OPTION...: $port, $server.
s_server() {
    log=$dir/s_server-$1.log
    shift
    : >"$log"
    (cd "$dir/www" && exec openssl s_server -accept 127.0.0.1:0 "$@") >"$log" 2>&1 </dev/null &
    server=$!
    servers="$servers $server"
    until_true grep -q ACCEPT "$log" || { cat "$log"; exit 1; }
    port=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$log" | head -n 1)
    here=https://localhost:$port
}

mkdir -p "$dir/www"
awk 'BEGIN { for (i = 0; i < 100000; i++) printf "line %d\n", i }' >"$dir/www/large.txt"
rsa="-cert $PKI/rsa.crt -key $PKI/rsa.key -cert_chain $PKI/int.crt"
ec="-cert $PKI/p256.crt -key $PKI/ec.key -cert_chain $PKI/int-ec.crt"
seq 20 >"$dir/twenty"

# s_server answers one request to a connection, as HTTP/1.0.
# shellcheck disable=SC2086
{
s_server rsa -tls1_2 -www $rsa
check 'OpenSSL, -www: a page' fine "$here/" $trust
check '... about TLS 1.2' grep -q 'TLSv1.2' "$dir/record"
check 'OpenSSL: 20 requests, one after the other' run 20 -c 1 -T "$here/{}" "$dir/twenty"
check '... 19 of them resumed' [ "$(jq -r .body "$dir/many" | grep -c '^Reused')" -eq 19 ]
check 'OpenSSL: 20 at once' run 20 -c 20 -T "$here/{}" "$dir/twenty"

s_server ec -tls1_2 -WWW $ec
check 'OpenSSL, -WWW: a file' fine "$here/large.txt" $trust
check '... all of it' [ "$(field '.body | length')" -eq "$(wc -c <"$dir/www/large.txt")" ]
s_server small -tls1_2 -WWW $ec -split_send_frag 512 -max_send_frag 512
check 'OpenSSL, records of 512 bytes' fine "$here/large.txt" $trust
check '... all of them' [ "$(field '.body | length')" -eq "$(wc -c <"$dir/www/large.txt")" ]

awk 'BEGIN { printf "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" }' >"$dir/www/whole"
s_server as-is -tls1_2 -HTTP $rsa
check 'OpenSSL, -HTTP: a whole response in a file' fine "$here/whole" $trust
check '... its body' [ "$(field .body)" = hello ]
s_server both -www $rsa
check 'OpenSSL, TLS 1.2 and 1.3' fine "$here/" $trust
s_server new -tls1_3 -www $rsa
check 'OpenSSL, TLS 1.3 only' fine "$here/" $trust
check '... about TLS 1.3' grep -q 'New, TLSv1.3' "$dir/record"
s_server uncached -tls1_2 -www -no_cache -no_ticket $rsa
check 'OpenSSL without sessions' run 20 -c 1 -T "$here/{}" "$dir/twenty"
check '... none resumed' [ "$(jq -r .body "$dir/many" | grep -c '^Reused')" -eq 0 ]
s_server asking -tls1_2 -www -Verify 3 -CAfile "$PKI/client-ca.crt" -verify_return_error $rsa
check 'OpenSSL asks who we are: nobody' refused tls_handshake handshake "$here/" $trust
check '... client-rsa' fine "$here/" $trust --cert "$PKI/client-rsa.pem" \
    --key "$PKI/client-rsa.key"
check '... client-ec' fine "$here/" $trust --cert "$PKI/client-ec.pem" --key "$PKI/client-ec.key"
check '... an unknown one' refused tls_handshake 'unknown CA' "$here/" $trust \
    --cert "$PKI/client-unknown.pem" --key "$PKI/client-ec.key"
for suite in ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305; do
    s_server $suite -tls1_2 -www -cipher $suite $rsa
    check "OpenSSL, $suite" fine "$here/" $trust
    check '... it was that one' grep -q "Cipher is $suite" "$dir/record"
done
for group in P-256 P-384 X25519; do
    s_server $group -tls1_2 -www -groups $group $rsa
    check "OpenSSL, $group" fine "$here/" $trust
done
s_server P-521 -tls1_2 -www -groups P-521 $rsa
check 'OpenSSL, P-521 alone: no common one' refused tls_handshake handshake "$here/" $trust
s_server cbc -tls1_2 -www -cipher ECDHE-RSA-AES128-SHA256 $rsa
check 'OpenSSL, CBC alone: no common one' refused tls_handshake handshake "$here/" $trust
s_server strict -tls1_2 -www -servername other.test -servername_fatal \
    -cert2 "$PKI/rsa.crt" -key2 "$PKI/rsa.key" $rsa
check 'OpenSSL knows another name alone' refused tls_handshake name "$here/" $trust
s_server scsv -tls1_2 -www -alpn h2 $rsa
check 'OpenSSL, ALPN h2 alone' \
    [ "$(ask "$here/" $trust; field '.outcome, .error.kind' | grep -cE 'success|tls_hand')" -eq 1 ]
}
stop_servers

# --- GnuTLS, which listens on all addresses: in a network namespace of its own ---------------

cat >"$dir/gnutls" <<GNUTLS
ip link set lo up || exit 99
priority=\$1
shift
: >"$dir/gnutls.log"
gnutls-serv --http -p 4433 --x509certfile "$PKI/rsa.pem" --x509keyfile "$PKI/rsa.key" \
    --x509certfile "$PKI/p256.pem" --x509keyfile "$PKI/ec.key" --priority "\$priority" \
    >"$dir/gnutls.log" 2>&1 </dev/null &
server=\$!
trap 'kill \$server; wait \$server' EXIT
tries=0
until grep -q 'listening on IPv4' "$dir/gnutls.log"; do
    tries=\$((tries + 1))
    [ \$tries -lt 600 ] || exit 99
    sleep 0.05
done
"$SPARP" -q -R 0 $trust -o "$dir/many" "\$@"
GNUTLS

# gnutls PRIORITY OPTION...: runs the command beside a server.
gnutls() {
    unshare -rn sh "$dir/gnutls" "$@" 2>"$dir/errors"
}

if ! command -v gnutls-serv >/dev/null; then
    skip 'no gnutls-serv'
elif ! unshare -rn ip link set lo up 2>/dev/null; then
    skip 'no network namespaces for gnutls-serv'
else
    for priority in NORMAL NORMAL:-VERS-TLS1.3 NORMAL:-VERS-ALL:+VERS-TLS1.2:-RSA:-AES-128-GCM \
        NORMAL:-VERS-ALL:+VERS-TLS1.2:-SIGN-ALL:+SIGN-ECDSA-SHA256; do
        check "GnuTLS, $priority" gnutls "$priority" -c 1 -T 'https://localhost:4433/{}' \
            "$dir/twenty"
        check '... all 20' [ "$(grep -c '"outcome":"success"' "$dir/many")" -eq 20 ]
    done
    gnutls NORMAL:-VERS-ALL:+VERS-TLS1.3 https://localhost:4433/
    check 'GnuTLS, TLS 1.3 only' grep -q '"outcome":"success"' "$dir/many"
fi

# --- node -----------------------------------------------------------------------------------------

cat >"$dir/server.js" <<'NODE'
const fs = require('fs'), https = require('https');
const [pki, portFile] = process.argv.slice(2);
const options = { cert: fs.readFileSync(pki + '/rsa.pem'), key: fs.readFileSync(pki + '/rsa.key') };
const server = https.createServer(options, (request, response) => {
    let size = 0;
    request.on('data', piece => { size += piece.length; });
    request.on('end', () => {
        if (request.url === '/chunked') {
            for (let i = 0; i < 100; i++)
                response.write('x'.repeat(i));
            response.end();
        } else {
            response.end(JSON.stringify({ url: request.url, size }));
        }
    });
});
server.listen(0, '127.0.0.1', () => {
    fs.writeFileSync(portFile + '.new', String(server.address().port));
    fs.renameSync(portFile + '.new', portFile);
});
setTimeout(() => process.exit(), 200000);
NODE

if command -v node >/dev/null; then
    node "$dir/server.js" "$PKI" "$dir/node.port" >"$dir/node.log" 2>&1 &
    servers="$servers $!"
    until_true [ -s "$dir/node.port" ] || { cat "$dir/node.log"; exit 1; }
    here=https://localhost:$(cat "$dir/node.port")
    seq 1000 >"$dir/thousand"
    check 'node: 1,000 requests' run 1000 -c 20 -T "$here/{}" "$dir/thousand"
    jq -r '[.index, .body] | @tsv' "$dir/many" | sort -n >"$dir/got"
    awk '{ printf "%d\t{\"url\":\"/%d\",\"size\":0}\n", $1 - 1, $1 }' "$dir/thousand" \
        >"$dir/expected"
    check '... each with its own answer' cmp "$dir/got" "$dir/expected"
    # shellcheck disable=SC2086
    {
    check 'node: chunks' fine "$here/chunked" $trust
    check '... all of them' [ "$(field '.body | length')" -eq 4950 ]
    check 'node: an upload' fine "$here/up" $trust -d "@$dir/www/large.txt"
    check '... all of it' grep -q "\\\\\"size\\\\\":$(wc -c <"$dir/www/large.txt")" "$dir/record"
    }
else
    skip 'no node'
fi
finish

#!/bin/sh
# TLS 1.3, and 1.2 beside it, with the peers there are: each group, suite and kind of key; tickets
# in all ways; who we are; what is refused; connections that wait; whole bundles; the goodbye.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/tls/lib.sh
trust="--cacert $PKI/ca.crt"
seq 20 >"$dir/twenty"

# s_server NAME OPTION...: $port, $here, $log.
s_server() {
    log=$dir/s_server-$1.log
    shift
    : >"$log"
    openssl s_server -accept 127.0.0.1:0 -www "$@" >"$log" 2>&1 </dev/null &
    server=$!
    servers="$servers $server"
    until_true grep -q ACCEPT "$log" || { cat "$log"; exit 1; }
    port=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$log" | head -n 1)
    here=https://localhost:$port
}

# run COUNT OPTION...: that many requests, one result each, all a success.
run() {
    amount=$1
    shift
    # shellcheck disable=SC2086
    "$SPARP" -q -R 0 $trust "$@" -o "$dir/many" 2>"$dir/errors" &&
        [ "$(jq -r 'select(.outcome == "success") | .index' "$dir/many" | sort -u | wc -l)" \
            -eq "$amount" ]
}

# reused COUNT: so many of the last run's went on with a session.
reused() {
    [ "$(jq -r .body "$dir/many" | grep -c '^Reused')" -eq "$1" ]
}

rsa="-cert $PKI/rsa.crt -key $PKI/rsa.key -cert_chain $PKI/int.crt"
ec="-cert $PKI/p256.crt -key $PKI/ec.key -cert_chain $PKI/int-ec.crt"
p384="-cert $PKI/p384.crt -key $PKI/p384.key -cert_chain $PKI/int-ec.crt"

# --- groups, suites, keys -------------------------------------------------------------------------

# shellcheck disable=SC2086
{
for group in X25519 P-256 P-384; do
    s_server "13-$group" -tls1_3 -groups $group $ec
    check "1.3, $group: three" run 3 -c 1 -T "$here/{}" --skip 17 "$dir/twenty"
    check '... two of them resumed' reused 2
    s_server "12-$group" -tls1_2 -groups $group $ec
    check "1.2, $group: three" run 3 -c 1 -T "$here/{}" --skip 17 "$dir/twenty"
    check '... two of them resumed' reused 2
done
s_server P-521 -tls1_3 -groups P-521 $ec
check '1.3, P-521 alone' refused tls_handshake handshake "$here/" $trust
for suite in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
    s_server $suite -tls1_3 -ciphersuites $suite $rsa
    check "$suite: three" run 3 -c 1 -T "$here/{}" --skip 17 "$dir/twenty"
    check '... two of them resumed' reused 2
    check '... it was that one' grep -q "Cipher is $suite" "$dir/many"
done
for bits in 2047 2048 4096; do
    openssl req -x509 -newkey rsa:$bits -noenc -keyout "$dir/$bits.key" -out "$dir/$bits.crt" \
        -days 3000 -subj /CN=self -addext subjectAltName=DNS:localhost 2>/dev/null
    for version in 2 3; do
        s_server "rsa-$bits-$version" -tls1_$version -cert "$dir/$bits.crt" -key "$dir/$bits.key"
        check "1.$version, RSA of $bits bits: its signature" fine "$here/" --insecure
        if [ $bits -lt 2048 ]; then
            check '... is refused' unusable 'no usable certificate' "$here/" \
                --cacert "$dir/$bits.crt"
        else
            check '... is trusted' fine "$here/" --cacert "$dir/$bits.crt"
        fi
    done
done
s_server p384 -tls1_3 $p384
check '1.3, a P-384 certificate' fine "$here/" $trust
openssl ecparam -name secp521r1 -genkey -noout -out "$dir/p521.key"
openssl req -x509 -new -key "$dir/p521.key" -out "$dir/p521.crt" -days 3000 -subj /CN=self \
    -addext subjectAltName=DNS:localhost
s_server p521 -tls1_3 -cert "$dir/p521.crt" -key "$dir/p521.key"
check '1.3, a P-521 certificate' fine "$here/" --cacert "$dir/p521.crt"
for salt in 32:sha256 48:sha384 64:sha512 20:sha256 max:sha256; do
    openssl req -new -key "$dir/2048.key" -subj /CN=leaf -out "$dir/pss.csr"
    echo 'subjectAltName=DNS:localhost' >"$dir/pss.ext"
    openssl x509 -req -in "$dir/pss.csr" -CA "$dir/2048.crt" -CAkey "$dir/2048.key" -days 3000 \
        -set_serial 9 -extfile "$dir/pss.ext" -sigopt rsa_padding_mode:pss "-${salt#*:}" \
        -sigopt "rsa_pss_saltlen:${salt%:*}" -out "$dir/pss.crt" 2>/dev/null
    s_server "pss-$salt" -tls1_3 -cert "$dir/pss.crt" -key "$dir/2048.key"
    case $salt in
        20*|max*) check "a certificate signed by PSS, a salt of ${salt%:*}" refused \
            tls_certificate 'of an unknown kind' "$here/" --cacert "$dir/2048.crt" ;;
        *) check "a certificate signed by PSS with ${salt#*:}" fine "$here/" \
            --cacert "$dir/2048.crt" ;;
    esac
done
for scheme in rsa_pss_rsae_sha256 rsa_pss_rsae_sha384 rsa_pss_rsae_sha512 RSA+SHA256 RSA+SHA384 \
    RSA+SHA512; do
    s_server "12-$scheme" -tls1_2 -sigalgs $scheme -serverpref $rsa
    check "1.2, $scheme" fine "$here/" $trust
done

# --- tickets --------------------------------------------------------------------------------------

for tickets in 0 1 2 10; do
    s_server tickets-$tickets -tls1_3 -num_tickets $tickets $ec
    check "$tickets tickets: 20 requests" run 20 -c 1 -T "$here/{}" "$dir/twenty"
    check '... resumed' reused "$([ $tickets -eq 0 ] && echo 0 || echo 19)"
done
s_server stateful -tls1_3 -no_ticket $ec
check 'tickets that are names: 20 requests' run 20 -c 1 -T "$here/{}" "$dir/twenty"
s_server 12-ids -tls1_2 -no_ticket $ec
check '1.2, session ids: 20 requests' run 20 -c 1 -T "$here/{}" "$dir/twenty"
check '... resumed' reused 19
check '... with extended master secret' grep -q 'Extended master secret: yes' "$dir/many"
s_server stateless -tls1_3 -stateless $ec
check 'a cookie first: 3 requests' run 3 -c 1 -T "$here/{}" --skip 17 "$dir/twenty"
s_server cold -tls1_3 $ec
check '20 at once where nobody was before' run 20 -c 20 -T "$here/{}" "$dir/twenty"
check '... one of them led' reused 19
s_server no-compat -tls1_3 -no_middlebox $ec
check 'without middlebox compatibility' fine "$here/" $trust
s_server padded -tls1_3 -record_padding 500 -max_send_frag 600 $ec
check 'small records, padded' fine "$here/" $trust
s_server anti -tls1_3 -anti_replay $ec
check 'with anti-replay: 20 requests' run 20 -c 4 -T "$here/{}" "$dir/twenty"

# An open connection waits for its token, and tickets come meanwhile: it is as good as before.
s_server paced -tls1_3 $ec
check 'six requests, each of which waits for its token' run 6 -c 6 -r 10 -T "$here/{}" \
    --skip 14 "$dir/twenty"

# --- who we are -----------------------------------------------------------------------------------

for version in 2 3; do
    s_server asks-$version -tls1_$version -Verify 3 -CAfile "$PKI/client-ca.crt" \
        -verify_return_error $rsa
    check "1.$version, asked: nobody" refused tls_handshake \
        'the server asks for a client certificate (--cert, --key)' "$here/" $trust
    for kind in rsa ec p384 deep; do
        check "... client-$kind" fine "$here/" $trust --cert "$PKI/client-$kind.pem" \
            --key "$PKI/client-$kind.key"
    done
    check '... an unknown one' refused tls_handshake 'unknown CA' "$here/" $trust \
        --cert "$PKI/client-unknown.pem" --key "$PKI/client-ec.key"
    s_server offers-$version -tls1_$version -verify 3 $rsa
    check "1.$version, asked, and nobody will do" fine "$here/" $trust
done
check 'a key of another certificate' unusable 'does not belong' "$here/" $trust \
    --cert "$PKI/client-ec.pem" --key "$PKI/not-ours.key"

# --- versions -------------------------------------------------------------------------------------

s_server both $rsa
check 'both versions: 1.3' fine "$here/" $trust
check '... it is' grep -q 'New, TLSv1.3' "$dir/record"
check '--tls-min 1.3' fine "$here/" $trust --tls-min 1.3
s_server old -tls1_2 $rsa
check '--tls-min 1.3, and 1.2 alone' refused tls_version '1.3' "$here/" $trust --tls-min 1.3
check '--tls-min 1.2' fine "$here/" $trust --tls-min 1.2
"$SPARP" -v -R 0 $trust "$here/" -o "$dir/many" 2>"$dir/errors"
check '-v names version, suite and group' \
    grep -q 'localhost: TLS 1.2, ECDHE-RSA-.*, X25519' "$dir/errors"

# --- bundles --------------------------------------------------------------------------------------

others=''
for file in "$PKI"/int-*.crt "$PKI"/root*.crt; do
    case $file in
        *sha1*|*weak*) ;;               # OpenSSL does not take them
        *) others="$others $file" ;;
    esac
done
cat "$PKI/int.crt" $others >"$dir/bundle"
check 'a bundle of more than ten' [ "$(grep -c BEGIN "$dir/bundle")" -gt 10 ]
cat $others "$PKI/int.crt" >"$dir/bundle-last"
for bundle in bundle bundle-last; do
    s_server $bundle -tls1_3 -cert "$PKI/rsa.crt" -key "$PKI/rsa.key" -cert_chain "$dir/$bundle"
    check "$bundle: trusted" fine "$here/" $trust
    check "$bundle: --insecure" fine "$here/" --insecure
done
}

# --- the goodbye ----------------------------------------------------------------------------------

# Without it OpenSSL says "unexpected EOF", and forgets the session.
cat >"$dir/keeps.js" <<'NODE'
const fs = require('fs'), tls = require('tls');
const [pki, portFile, heard] = process.argv.slice(2);
const options = { cert: fs.readFileSync(pki + '/rsa.pem'), key: fs.readFileSync(pki + '/rsa.key') };
const server = tls.createServer(options, socket => {
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'));
    socket.on('end', () => fs.appendFileSync(heard, 'goodbye\n'));
    socket.on('error', error => fs.appendFileSync(heard, error.code + '\n'));
});
server.listen(0, '127.0.0.1', () => {
    fs.writeFileSync(portFile + '.new', String(server.address().port));
    fs.renameSync(portFile + '.new', portFile);
});
setTimeout(() => process.exit(), 200000);
NODE
if command -v node >/dev/null; then
    node "$dir/keeps.js" "$PKI" "$dir/node.port" "$dir/heard" >"$dir/node.log" 2>&1 &
    servers="$servers $!"
    until_true [ -s "$dir/node.port" ] || { cat "$dir/node.log"; exit 1; }
    # shellcheck disable=SC2086
    check 'node, a connection kept' fine "https://localhost:$(cat "$dir/node.port")/" $trust
    check '... which ends with a goodbye' until_true grep -q goodbye "$dir/heard"
else
    skip 'no node'
fi
finish

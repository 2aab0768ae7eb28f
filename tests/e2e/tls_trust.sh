#!/bin/sh
# Whom the command trusts: --cacert, SSL_CERT_FILE, SSL_CERT_DIR, the system's bundle, and what
# bundles look like in the wild.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/tls/lib.sh
start_rude_tls
here=https://localhost:$(mode_port rsa)/
pem=$dir/bundle.pem

# --- where it comes from --------------------------------------------------------------------------

check '--cacert' fine "$here" --cacert "$PKI/root.crt"
check 'the wrong --cacert' refused tls_certificate 'unknown issuer: root.test' "$here" \
    --cacert "$PKI/root-ec.crt"
check '... and how to trust it' refused tls_certificate 'cacert FILE trusts' "$here" \
    --cacert "$PKI/root-ec.crt"
check 'a --cacert that is not there: exit status 2' [ "$(
    ask "$here" --cacert "$dir/none"
    echo $?)" -eq 2 ]
check '... and it is named' grep -q "$dir/none" "$dir/errors"

SSL_CERT_FILE=$PKI/root.crt
export SSL_CERT_FILE
check 'SSL_CERT_FILE' fine "$here"
check '--cacert comes before SSL_CERT_FILE' refused tls_certificate 'unknown issuer' "$here" \
    --cacert "$PKI/root-ec.crt"
SSL_CERT_FILE=$dir/none
check 'an SSL_CERT_FILE that is not there' refused tls_trust "$dir/none" "$here"
: >"$dir/empty"
SSL_CERT_FILE=$dir/empty
check 'an empty SSL_CERT_FILE' refused tls_trust 'SSL_CERT_FILE' "$here"
unset SSL_CERT_FILE

mkdir "$dir/one" "$dir/two" "$dir/three" "$dir/three/folder"
cp "$PKI/root-ec.crt" "$dir/two/a.pem"
cp "$PKI/root.crt" "$dir/two/12345678.0"
cp "$PKI/root.crt" "$dir/three/root.crt"
echo 'nothing of the kind' >"$dir/three/README"
mkfifo "$dir/three/fifo"
SSL_CERT_DIR=$dir/two
export SSL_CERT_DIR
check 'SSL_CERT_DIR' fine "$here"
SSL_CERT_DIR=$dir/one:$dir/none:$dir/three
check 'SSL_CERT_DIR of several, with things that are not certificates' fine "$here"
SSL_CERT_FILE=$PKI/root-ec.crt
export SSL_CERT_FILE
check 'SSL_CERT_FILE comes before SSL_CERT_DIR' refused tls_certificate 'unknown issuer' "$here"
unset SSL_CERT_FILE SSL_CERT_DIR

# With an empty directory the system's is asked; it does not know us, or there is none.
SSL_CERT_DIR=$dir/one
export SSL_CERT_DIR
ask "$here"
check 'an SSL_CERT_DIR with nothing in it' \
    [ "$(field .error.kind | sed 's/tls_trust/tls_certificate/')" = tls_certificate ]
unset SSL_CERT_DIR

# Nothing anywhere: in a mount namespace of its own, where there is such a thing.
cat >"$dir/nowhere" <<NOWHERE
for place in /etc/ssl /etc/pki /usr/local/share/certs /usr/local/etc/ssl /var/lib/ca-certificates
do
    [ ! -d \$place ] || mount -t tmpfs none \$place || exit 99
done
exec "$SPARP" -q -R 0 -o "$dir/record" "$here" 2>"$dir/errors"
NOWHERE
if unshare -rm mount -t tmpfs none /mnt 2>/dev/null; then
    unshare -rm sh "$dir/nowhere"
    check 'no bundle anywhere: tls_trust' [ "$(field .error.kind)" = tls_trust ]
    for tried in SSL_CERT_FILE SSL_CERT_DIR /etc/ssl/certs/ca-certificates.crt /etc/pki \
        /etc/ssl/cert.pem; do
        check "... it says that it tried $tried" grep -qF "$tried" "$dir/record"
    done
    check 'and --insecure does without' fine "$here" --insecure
else
    skip 'no mount namespaces'
fi

# --- what it looks like ---------------------------------------------------------------------------

trusts() {
    fine "$here" --cacert "$pem"
}

sed 's/$/\r/' "$PKI/ca.crt" >"$pem"
check 'CR LF' trusts
{ printf '\357\273\277'; cat "$PKI/root.crt"; } >"$pem"
check 'a byte order mark' trusts
{ printf '\357\273\277'; sed 's/$/\r/' "$PKI/root-ec.crt"; printf '%s' "$(cat "$PKI/root.crt")"; } \
    >"$pem"
check 'all at once, and no last newline' trusts
openssl x509 -in "$PKI/root.crt" -text >"$pem"
check 'the text that openssl writes' trusts
{ echo '# ours'; echo; echo 'Root'; echo '===='; cat "$PKI/root.crt"; echo '# end'; } >"$pem"
check 'comments' trusts
{
    cat "$PKI/root-ec.crt"
    echo '-----BEGIN CERTIFICATE-----'
    echo 'this is not one'
    echo '-----END CERTIFICATE-----'
    echo '-----BEGIN CERTIFICATE-----'
    sed -n '2,5p' "$PKI/int.crt"
    echo '-----END CERTIFICATE-----'
    echo '-----BEGIN CERTIFICATE-----'
    sed -n '2,5p' "$PKI/int.crt"
    cat "$PKI/root.crt"
} >"$pem"
check 'bad ones in between' trusts
openssl x509 -in "$PKI/root-ec.crt" -trustout -addtrust serverAuth >"$dir/trusted"
cat "$dir/trusted" "$PKI/root.crt" >"$pem"
check 'a TRUSTED CERTIFICATE is passed over' trusts
cp "$dir/trusted" "$pem"
check '... and is none' unusable "$pem" "$here" --cacert "$pem"
cat "$PKI/rsa.key" "$PKI/root.crt" >"$pem"
check 'a private key before it' trusts
openssl x509 -in "$PKI/root.crt" -outform DER -out "$pem"
check 'DER is none' unusable "$pem" "$here" --cacert "$pem"
: >"$pem"
check 'an empty one' unusable "$pem" "$here" --cacert "$pem"
yes 'no certificate at all' | head -c 3000000 >"$pem"
check '3 MB of something else' unusable "$pem" "$here" --cacert "$pem"

# --- the system's ---------------------------------------------------------------------------------

system=/etc/ssl/certs/ca-certificates.crt
if [ -e $system ]; then
    cat $system "$PKI/root.crt" >"$pem"
    check "the system's and ours" trusts
    check 'in less than 300 ms' [ "$(jq '.ms.all | floor' "$dir/record")" -lt 300 ]
    cat "$PKI/root.crt" $system | sed 's/$/\r/' >"$pem"
    check 'the same, with CR LF' trusts
    check "the system's alone does not know us" refused tls_certificate 'issuer: root.test' \
        "$here" --cacert $system
else
    skip "no $system"
fi
finish

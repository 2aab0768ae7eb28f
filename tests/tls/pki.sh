#!/bin/sh
# Makes keys and certificates for the TLS tests with the openssl command, and prints the directory
# they are in. What is there from an earlier time is used again, as long as this file is the same.
#
#   NAME.key     a private key
#   NAME.crt     one certificate
#   NAME.pem     what a server of that name sends: its certificate, then the others
#   ca.crt       what a client trusts: both private roots, root.crt (RSA) and root-ec.crt
set -eu
cd "$(dirname "$0")/../.."
command -v openssl >/dev/null || { echo 'skipped: no openssl' >&2; exit 77; }
place=$(pwd)/build/tls/pki-$(cksum <tests/tls/pki.sh | cut -d ' ' -f 1)
if [ -e "$place/complete" ]; then
    echo "$place"
    exit 0
fi
mkdir -p build/tls
new=$(pwd)/build/tls/new.$$
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT TERM HUP
mkdir "$new" "$new/copies"
cd "$new"

# Whatever is in openssl.cnf on this machine stays out of it.
cat >ca.conf <<'CONF'
[req]
distinguished_name = dn
prompt = no
[dn]
CN = request.test
[ca]
default_ca = any
[any]
database = index
serial = serial
new_certs_dir = copies
policy = policy
unique_subject = no
default_md = sha256
copy_extensions = none
[policy]
organizationName = optional
commonName = optional
CONF
OPENSSL_CONF=$new/ca.conf
export OPENSSL_CONF
: >index
echo 1000 >serial

# quietly COMMAND...: its output is shown if it fails.
quietly() {
    "$@" >log 2>&1 || { echo "pki.sh: $*" >&2; cat log >&2; exit 1; }
}

# --- keys, each with a request, which is only there to bring its public half to "openssl ca" ------

key() {
    name=$1
    shift
    quietly openssl genpkey -out "$name.key" "$@"
    quietly openssl req -new -key "$name.key" -out "$name.csr"
}

for name in rsa rsa-ca; do
    key $name -algorithm RSA -pkeyopt rsa_keygen_bits:2048
done
key rsa1024 -algorithm RSA -pkeyopt rsa_keygen_bits:1024
for name in ec ec-int root-ec other not-ours; do
    key $name -algorithm EC -pkeyopt ec_paramgen_curve:P-256
done
key p384 -algorithm EC -pkeyopt ec_paramgen_curve:P-384
key ed25519 -algorithm ED25519

# --- certificates -----------------------------------------------------------------------------

from=20200101000000Z
to=20491231000000Z
md=sha256
subject=''

# issue NAME ISSUER ISSUER_KEY KEY 'EXTENSION|EXTENSION...': NAME.crt. ISSUER "-": self-signed.
# Obeys $from, $to, $md and $subject (default: CN=NAME.test).
issue() {
    echo "$5" | tr '|' '\n' >ext
    if [ "$2" = - ]; then
        set -- "$1" -selfsign "$3" "$4"
    else
        set -- "$1" "-cert $2.crt" "$3" "$4"
    fi
    # shellcheck disable=SC2086
    quietly openssl ca -config ca.conf -batch -notext -preserveDN $2 -keyfile "$3.key" \
        -in "$4.csr" -out "$1.crt" -startdate "$from" -enddate "$to" -md "$md" \
        -subj "/O=Sparp Test/CN=${subject:-$1.test}" -extfile ext
}

# chain NAME CERTIFICATE...: NAME.pem.
chain() {
    to_file=$1.pem
    shift
    for one in "$@"; do
        cat "$one.crt"
    done >"$to_file"
}

names='subjectAltName=DNS:localhost,DNS:good.test'
usage='keyUsage=critical,digitalSignature|extendedKeyUsage=serverAuth'
common="basicConstraints=critical,CA:FALSE|$usage"
ca_bits='keyUsage=critical,keyCertSign,cRLSign|subjectKeyIdentifier=hash'
ca="basicConstraints=critical,CA:TRUE|$ca_bits"

# leaf NAME 'EXTENSION|...': an RSA certificate under the intermediate "int", and its chain.
leaf() {
    issue "$1" int ec-int rsa "$2"
    chain "$1" "$1" int
}

# under INTERMEDIATE NAME: a good RSA certificate under another intermediate that has int's key.
under() {
    issue "$2" "$1" ec-int rsa "$common|$names"
    chain "$2" "$2" "$1"
}

issue root - rsa-ca rsa-ca "$ca"
issue root-ec - root-ec root-ec "$ca"
issue other-root - other other "$ca"
issue int root rsa-ca ec-int "$ca"
issue int-ec root-ec root-ec ec-int "$ca"
cat root.crt root-ec.crt >ca.crt

# What has to be accepted.
leaf rsa "$common|$names"
issue p256 int-ec ec-int ec "$common|$names"
chain p256 p256 int-ec
issue p384 int-ec ec-int p384 "$common|$names"
chain p384 p384 int-ec
issue rsa-rsa root rsa-ca rsa "$common|$names"
chain rsa-rsa rsa-rsa
leaf no-eku "basicConstraints=critical,CA:FALSE|keyUsage=critical,digitalSignature|$names"
leaf two-ekus "extendedKeyUsage=clientAuth,serverAuth|$names"
leaf upper-case "$common|subjectAltName=DNS:LOCALHOST,DNS:Good.TEST"
chain root-sent rsa int root
chain duplicate rsa rsa int int
chain out-of-order rsa root int
chain unrelated rsa other-root p256 int
issue int-a root rsa-ca ec "$ca"
issue int-b int-a ec p384 "$ca"
issue int-c int-b p384 ec-int "$ca"
issue deep int-c ec-int rsa "$common|$names"
chain deep deep int-c int-b int-a
chain backwards deep int-a int-b int-c
(from=20180101000000Z to=20210101000000Z subject=root.test
 issue root-cross other-root other rsa-ca "$ca"
 to=20190101000000Z subject=int.test
 issue int-old root rsa-ca ec-int "$ca")
chain cross-expired rsa int root-cross
chain old-int-first rsa int-old int

# The name is not right.
leaf wrong-name "$common|subjectAltName=DNS:other.test,DNS:second.test"
leaf wrong-name-many "$common|subjectAltName=$(
    for i in 1 2 3 4 5 6 7 8 9; do printf 'DNS:name-%d0.test,DNS:name-%d1.test,' $i $i; done
)DNS:last.test"
leaf ip "$common|subjectAltName=IP:127.0.0.1,IP:::1"
leaf ip-other "$common|subjectAltName=IP:127.0.0.2,IP:::2"
leaf ip-as-dns "$common|subjectAltName=DNS:127.0.0.1"
(subject=localhost; leaf cn-only "$common")
(subject=localhost; leaf cn-ignored "$common|subjectAltName=DNS:other.test")
(subject=localhost; leaf only-email "$common|subjectAltName=email:me@good.test")
leaf wild "$common|subjectAltName=DNS:*.wild.test"
leaf wild-tld "$common|subjectAltName=DNS:*.test"
leaf wild-part "$common|subjectAltName=DNS:w*.wild.test"
leaf wild-all "$common|subjectAltName=DNS:*"
leaf wild-middle "$common|subjectAltName=DNS:a.*.test"
leaf wild-ip "$common|subjectAltName=DNS:*.0.0.1"
# localhost, a NUL, and .evil.test
leaf nul-name "$common|subjectAltName=DER:30168214$(
    printf 'localhost\000.evil.test' | od -An -tx1 | tr -d ' \n')"

# The time is not right.
(to=20210101000000Z; leaf expired "$common|$names")
(from=20480101000000Z; leaf not-yet "$common|$names")
chain old-int rsa int-old
(from=20480101000000Z subject=int.test; issue int-future root rsa-ca ec-int "$ca")
chain not-yet-int rsa int-future

# Nobody known has signed it; of the first two, one can trust the certificate itself.
issue self-signed - rsa rsa "$common|$names"
chain self-signed self-signed
issue self-ca - rsa rsa "basicConstraints=critical,CA:TRUE|$names"
chain self-ca self-ca
issue int-other other-root other ec-int "$ca"
under int-other unknown-issuer
chain unknown-root unknown-issuer int-other other-root
chain no-intermediate rsa
(subject=root.test; issue root-false - other other "$ca"
 subject=int-false.test; issue int-false root-false other ec-int "$ca")
under int-false same-name
openssl x509 -in rsa.crt -outform DER -out rsa.der
size=$(wc -c <rsa.der)
{
    dd if=rsa.der bs=1 count=$((size - 1)) 2>/dev/null
    tail -c 1 rsa.der | od -An -tu1 | awk '{ printf "\\%03o", $1 < 128 ? $1 + 1 : $1 - 1 }' |
        xargs printf '%b'
} >bad.der
openssl x509 -inform DER -in bad.der -out bad-signature.crt
chain bad-signature bad-signature int

# What it may be used for is not right.
leaf for-clients "basicConstraints=critical,CA:FALSE|extendedKeyUsage=clientAuth|$names"
leaf no-signing "keyUsage=critical,keyEncipherment|$names"
leaf critical-unknown "$common|$names|1.2.3.4.5=critical,ASN1:UTF8String:what"
issue int-not-ca root rsa-ca ec-int "basicConstraints=critical,CA:FALSE|$ca_bits"
under int-not-ca not-ca
issue int-no-basic root rsa-ca ec-int "$ca_bits"
under int-no-basic no-basic
issue int-no-sign root rsa-ca ec-int "basicConstraints=critical,CA:TRUE|keyUsage=critical,cRLSign"
under int-no-sign no-cert-sign
issue int-last root rsa-ca ec "basicConstraints=critical,CA:TRUE,pathlen:0|$ca_bits"
issue int-over int-last ec ec-int "$ca"
under int-over path-too-long
chain path-too-long path-too-long int-over int-last
issue int-for-clients root rsa-ca ec-int "$ca|extendedKeyUsage=clientAuth"
under int-for-clients under-for-clients
constrained() {
    issue "int-$1" root rsa-ca ec-int "$ca|nameConstraints=$2"
    under "int-$1" "$1"
}
constrained constraint-kept 'critical,permitted;DNS:good.test,permitted;DNS:localhost'
constrained constraint-broken 'critical,permitted;DNS:evil.test'
constrained constraint-excluded 'critical,excluded;DNS:localhost'
constrained constraint-soft 'permitted;DNS:evil.test'

# What it is made of is too weak, too strong or too much.
(md=sha1; issue sha1 root rsa-ca rsa "$common|$names"; issue int-sha1 root rsa-ca ec-int "$ca")
chain sha1 sha1
under int-sha1 sha1-int
issue rsa1024 int ec-int rsa1024 "$common|$names"
chain rsa1024 rsa1024 int
issue int-weak root rsa-ca rsa1024 "$ca"
issue rsa1024-int int-weak rsa1024 rsa "$common|$names"
chain rsa1024-int rsa1024-int int-weak
issue ed25519 int ec-int ed25519 "$common|$names"
chain ed25519 ed25519 int
leaf many-names "$common|subjectAltName=$(
    awk 'BEGIN { for (i = 0; i < 10000; i++) printf "DNS:name-%d.test,", i }')DNS:localhost"

# A public key of 8192 bits: its modulus has no known factors, and needs none.
modulus=$(awk 'BEGIN { for (i = 0; i < 512; i++) printf "%04x", (i * 40503 + 12345) % 65536 }')
cat >big.conf <<BIG
asn1 = SEQUENCE:spki
[spki]
algorithm = SEQUENCE:rsa
key = BITWRAP,SEQUENCE:key
[rsa]
oid = OID:rsaEncryption
null = NULL
[key]
n = INTEGER:0xD${modulus#?}F
e = INTEGER:65537
BIG
quietly openssl asn1parse -genconf big.conf -noout -out big.der
quietly openssl pkey -pubin -inform DER -in big.der -out big.pub
echo "$common|$names" | tr '|' '\n' >ext
quietly openssl x509 -req -in rsa.csr -force_pubkey big.pub -CA int.crt -CAkey ec-int.key \
    -set_serial 8192 -days 9000 -extfile ext -out rsa8192.crt
chain rsa8192 rsa8192 int
cp rsa.pem long.pem
i=0
while [ $i -lt 8 ]; do
    cat self-signed.crt unknown-issuer.crt p256.crt deep.crt
    i=$((i + 1))
done >some
while [ "$(wc -c <long.pem)" -lt 280000 ]; do      # as text: 200 KB in DER
    cat some >>long.pem
done

# --- clients ----------------------------------------------------------------------------------

key client-ca -algorithm EC -pkeyopt ec_paramgen_curve:P-256
issue client-ca - client-ca client-ca "$ca"
for name in client-rsa:rsa client-ec:ec client-p384:p384; do
    key=${name#*:} name=${name%:*}
    issue "$name" client-ca client-ca "$key" 'extendedKeyUsage=clientAuth'
    cp "$key.key" "$name.key"
    chain "$name" "$name"
done
issue client-int client-ca client-ca ec-int "$ca"
issue client-deep client-int ec-int ec 'extendedKeyUsage=clientAuth'
cp ec.key client-deep.key
chain client-deep client-deep client-int
issue client-unknown other-root other ec 'extendedKeyUsage=clientAuth'
chain client-unknown client-unknown
quietly openssl rsa -in rsa.key -traditional -out client-rsa-old.key
quietly openssl ec -in ec.key -out client-ec-old.key
quietly openssl ecparam -name prime256v1 -out params
cat params client-ec-old.key >client-ec-params.key
quietly openssl pkcs8 -topk8 -in ec.key -passout pass:secret -out client-encrypted.key
quietly openssl rsa -in rsa.key -traditional -aes128 -passout pass:secret -out client-sealed.key
cat >big-key.conf <<BIG
asn1 = SEQUENCE:key
[key]
version = INTEGER:0
n = INTEGER:0x${modulus}${modulus}F
e = INTEGER:65537
d = INTEGER:0x${modulus}${modulus}1
p = INTEGER:0x${modulus}1
q = INTEGER:0x${modulus}3
BIG
quietly openssl asn1parse -genconf big-key.conf -noout -out big-key.der
{
    echo '-----BEGIN RSA PRIVATE KEY-----'
    openssl base64 -in big-key.der
    echo '-----END RSA PRIVATE KEY-----'
} >client-big.key

# --- what the server's public key looks like from outside ---------------------------------------

for name in rsa ec p384; do
    openssl pkey -in $name.key -pubout -outform DER | openssl dgst -sha256 -binary |
        openssl base64 >$name.pin
done

rm -rf copies index* serial* ext log ./*.csr ./*.der ./*.conf some params big.pub
: >complete
cd ..
[ -e "$place/complete" ] || mv "$new" "$place"
rm -rf "${place:?}/${new##*/}"
echo "$place"

#!/bin/sh
# Several addresses of one name, some of them dead: who does not answer costs a quarter of a second,
# who refuses nothing (RFC 8305). The black holes are listeners whose queue is full, on loopback.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/servers.inc
[ "$(uname)" = Linux ] || { echo 'skipped: a full queue refuses here'; exit 77; }

start_plain
good=$port
$python tests/server/hole.py "$good" 127.0.0.2 127.0.0.3 127.0.0.4 \
    --port-file "$dir/hole.port" >"$dir/hole.out" 2>&1 &
hole=$!
servers="$servers $hole"
until_true [ -s "$dir/hole.port" ] || { echo "skipped: $(cat "$dir/hole.out")"; exit 77; }

# took FROM TO: milliseconds of the one record, a success.
took() {
    record ".outcome == \"success\" and .status == 200 and .attempts == 1 and
        .ms.all >= $1 and .ms.all < $2"
}

# to ADDRESS...: a request to a name that stands for them, in that order.
to() {
    list=''
    for address in "$@"; do
        list="$list --resolve name.test:$good:$address"
    done
    # shellcheck disable=SC2086
    ask -R 0 -t 5 ${extra:-} $list "http://name.test:$good/items/1"
}

# within FROM UNTIL ADDRESS...: the best of three, for the machine may be busy.
within() {
    from=$1 until=$2
    shift 2
    for try in 1 2 3; do
        to "$@"
        ! took "$from" "$until" >"$dir/why" || return 0
        echo "    try $try" >>"$dir/why"
    done
    cat "$dir/why"
    return 1
}

# fast ADDRESS..., slow ADDRESS..., three ADDRESS...: at once, after one dead one, after three.
fast() {
    within 0 200 "$@"
}
slow() {
    within 200 600 "$@"
}
fast_or_slow() {
    within 0 600 "$@"
}
three() {
    within 600 1500 "$@"
}

# nowhere KIND FROM TO ADDRESS...
nowhere() {
    kind=$1 from=$2 to=$3
    shift 3
    to "$@"
    record ".outcome != \"success\" and .status == null and .error.kind == \"$kind\" and
        .ms.all >= $from and .ms.all < $to"
}

# --- one family -----------------------------------------------------------------------------------

check 'one that is good' fast 127.0.0.1
check 'a good one first' fast 127.0.0.1 127.0.0.2
check 'a black hole first' slow 127.0.0.2 127.0.0.1
check 'three black holes first' three 127.0.0.2 127.0.0.3 127.0.0.4 127.0.0.1
check 'one that refuses first' fast 127.0.0.5 127.0.0.1
check 'ten that refuse first' fast 127.0.0.11 127.0.0.12 127.0.0.13 127.0.0.14 127.0.0.15 \
    127.0.0.16 127.0.0.17 127.0.0.18 127.0.0.19 127.0.0.20 127.0.0.1
check 'a black hole between two that refuse' slow 127.0.0.11 127.0.0.2 127.0.0.12 127.0.0.1
check 'all refuse' nowhere refused 0 300 127.0.0.11 127.0.0.12 127.0.0.13
extra='--connect-timeout 0.5'
check 'black holes alone' nowhere timeout 490 1500 127.0.0.2 127.0.0.3
check '... in the connect phase' record '.error.phase == "connect"'
check 'a black hole and one that refuses' nowhere timeout 490 1500 127.0.0.2 127.0.0.11
extra=''

# --- both families --------------------------------------------------------------------------------

$python tests/server/hole.py "$good" ::1 --port-file "$dir/six.port" >"$dir/six.out" 2>&1 &
six=$!
servers="$servers $six"
has_six() {
    [ -s "$dir/six.port" ] || ! kill -0 "$six" 2>/dev/null
}
until_true has_six
if [ -s "$dir/six.port" ]; then
    check 'IPv6 is a black hole, IPv4 good' slow '[::1]' 127.0.0.1
    check 'in the other order' fast_or_slow 127.0.0.1 '[::1]'
    check 'IPv6 is a black hole, the first of IPv4 refuses' slow '[::1]' 127.0.0.11 127.0.0.1
    extra=-4
    check '-4 does not even try' fast '[::1]' 127.0.0.1
    extra='-6 --connect-timeout 0.5'
    check '-6 tries nothing else' nowhere timeout 490 1500 '[::1]' 127.0.0.1
    extra=''
    seq 20 | sed "s|.*|http://name.test:$good/items/&|" >"$dir/in"
    check 'twenty at once' ask -c 20 -R 0 --resolve "name.test:$good:[::1]" \
        --resolve "name.test:$good:127.0.0.1" "$dir/in"
    check 'twenty at once: none takes longer' records 'length == 20 and
        all(.status == 200 and .ms.all < 1500)'
    if getent ahosts localhost 2>/dev/null | grep -q '^::1 '; then
        ask -R 0 "http://localhost:$good/items/1"
        check 'localhost, as the system has it' took 0 600
    else
        skip 'localhost has no IPv6 address'
    fi
    kill $six
    wait $six 2>/dev/null
    "$PLAIN" --ipv6 --port "$good" --port-file "$dir/plain6.port" --max-seconds 100 \
        >"$dir/plain6.log" 2>&1 &
    servers="$servers $!"
    until_true [ -s "$dir/plain6.port" ]
    check 'both are good' fast '[::1]' 127.0.0.1
    check 'IPv4 is a black hole, IPv6 good' fast_or_slow 127.0.0.2 '[::1]'
    extra=-6
    check '-6' fast 127.0.0.2 '[::1]'
    extra='-4 --connect-timeout 0.5'
    check '-4 tries nothing else' nowhere timeout 490 1500 127.0.0.2 '[::1]'
    extra=''
    check 'IPv6 alone' fast '[::1]'
else
    skip "no IPv6: $(cat "$dir/six.out")"
fi

# --- no route -------------------------------------------------------------------------------------

# In a network of its own, that has nothing but loopback and what is said here.
cat >"$dir/alone.sh" <<'ALONE'
ip link set lo up || exit 77
ip route add unreachable 192.0.2.0/24 || exit 77
ip route add prohibit 198.51.100.0/24 || exit 77
"$PLAIN" --port-file "$dir/alone.port" --max-seconds 60 >"$dir/alone.log" 2>&1 &
server=$!
tries=0
until [ -s "$dir/alone.port" ]; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || break
    sleep 0.05
done
port=$(cat "$dir/alone.port")
for address in 192.0.2.1 198.51.100.1 203.0.113.1 '[2001:db8::1]'; do
    "$SPARP" -q -R 0 -t 5 --resolve "both.test:$port:$address" \
        --resolve "both.test:$port:127.0.0.1" --resolve "none.test:$port:$address" \
        "http://both.test:$port/items/1" "http://none.test:$port/items/1"
done
kill $server
ALONE
export PLAIN SPARP dir
alone=''
for flags in -n -rn; do
    [ -n "$alone" ] || ! unshare $flags ip link set lo up 2>/dev/null || alone=$flags
done
if [ -n "$alone" ] && unshare $alone sh "$dir/alone.sh" >"$dir/out" 2>"$dir/err"; then
    check 'no way to the first: the second at once' records \
        'map(select(.url | contains("both"))) | length == 4 and
        all(.status == 200 and .ms.all < 200)'
    check 'no way at all: unreachable, at once' records \
        'map(select(.url | contains("none"))) | length == 4 and
        all(.error.kind == "unreachable" and .ms.all < 200)'
else
    skip 'no network of its own'
fi
finish

# For the scripts of this directory: . tests/e2e/lib.sh, from the root of the project.
# shellcheck shell=sh disable=SC2034
# Has: $dir (empty, of this script alone), check, finish, start_plain and start_rude ($port). The
# programs come in as $SPARP (with sanitizers), $SPARP_PLAIN (as installed), $PLAIN, $RUDE, $PEAK.
[ -n "${SPARP:-}" ] && [ -n "${PLAIN:-}" ] && [ -n "${RUDE:-}" ] ||
    "${MAKE:-make}" -s sparp build/plain build/rude build/peak || exit 1
: "${SPARP:=$(pwd)/sparp}" "${SPARP_PLAIN:=$(pwd)/sparp}" "${PLAIN:=$(pwd)/build/plain}"
: "${RUDE:=$(pwd)/build/rude}" "${PEAK:=$(pwd)/build/peak}"
unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY
LSAN_OPTIONS=suppressions=$(pwd)/tests/lsan.txt:print_suppressions=0
export LSAN_OPTIONS
export PYTHONDONTWRITEBYTECODE=1
dir=build/e2e/$(basename "$0" .sh)
rm -rf "$dir"
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
passed=0 failed=0 skipped=0 servers=''

stop_servers() {
    for server in $servers; do
        kill "$server" 2>/dev/null || continue
        wait "$server" 2>/dev/null || true
    done
    servers=''
}
trap stop_servers EXIT
trap 'exit 130' INT TERM HUP

# check 'what should be' command...: counts, goes on.
check() {
    label=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok $label"
    else
        failed=$((failed + 1))
        echo "FAILED $label: $*"
    fi
}

# skip 'reason': what cannot be checked here.
skip() {
    skipped=$((skipped + 1))
    echo "skipped: $1"
}

# Built with BearSSL?
has_tls() {
    case $(sh tools/tls.sh) in
        *-DSPARP_NO_TLS*) return 1 ;;
    esac
}

# until_true COMMAND...: tries for up to 10 s.
until_true() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || return 1
        sleep 0.05
    done
}

# start_server NAME PROGRAM: $port.
start_server() {
    rm -f "$dir/$1.port"
    "$2" --port-file "$dir/$1.port" --max-seconds "${server_seconds:-200}" >"$dir/$1.log" 2>&1 &
    servers="$servers $!"
    until_true [ -s "$dir/$1.port" ] || { echo "$1 did not start"; exit 1; }
    port=$(cat "$dir/$1.port")
}

# Starts tests/server/plain.c: $port.
start_plain() {
    start_server plain "$PLAIN"
}

# Starts tests/server/rude.c: $port.
start_rude() {
    start_server rude "$RUDE"
}

finish() {
    if [ $skipped -gt 0 ]; then
        echo "$passed passed, $failed failed, $skipped skipped"
    else
        echo "$passed passed, $failed failed"
    fi
    [ "$failed" -eq 0 ]
    exit
}

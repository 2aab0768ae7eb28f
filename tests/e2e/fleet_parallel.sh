#!/bin/sh
# Under GNU parallel: several workers, one that fails, one that is killed, hosts behind ssh (an sshd
# of the test's own on loopback). No line is lost, none is there twice after --merge.
#   REQUESTS=100000 sh tests/e2e/fleet_parallel.sh
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/servers.inc
parallel --version 2>/dev/null | grep -q '^GNU parallel' ||
    { echo 'skipped: no GNU parallel'; exit 77; }
requests=${REQUESTS:-4000}
block=$((requests / 8))
PARALLEL_HOME=$dir/home TMPDIR=$dir
export PARALLEL_HOME TMPDIR
mkdir -p "$PARALLEL_HOME"
start_plain
base=http://127.0.0.1:$port
awk -v base="$base" -v n="$requests" 'BEGIN {
    for (i = 0; i < n; i++)
        printf "{\"url\":\"%s/items/%d\",\"id\":%d}\n", base, i, i
}' >"$dir/in.jsonl"

# worker NUMBER NAME...: sparp as a job; the first attempt of the second one fails when it has done
# its work, the first one of the third is killed on the way.
cat >"$dir/worker" <<WORKER
#!/bin/sh
number=\$1
shift
if [ "\$number" = 2 ] && mkdir "$dir/failed" 2>/dev/null; then
    "$SPARP_PLAIN" "\$@"
    exit 75
fi
if [ "\$number" = 3 ] && mkdir "$dir/killed" 2>/dev/null; then
    exec 3<&0
    "$SPARP_PLAIN" -r $((block / 4 + 1)) "\$@" <&3 &
    sleep 0.25
    kill -KILL \$! && : >"$dir/killed/on the way"
    wait \$!
    exit
fi
exec "$SPARP_PLAIN" "\$@"
WORKER
chmod +x "$dir/worker"

# begin NAME: its folder, and the two accidents once more.
begin() {
    rm -rf "$dir/failed" "$dir/killed" "${dir:?}/$1"
    mkdir "$dir/$1"
    curl -s "$base/stats/reset" >/dev/null
}

# run ARGS...: parallel.
run() {
    timeout -k 5 400 parallel --will-cite "$@" 2>"$dir/err"
}

# whole FLAGS FILE...: each line has one record, says --merge.
whole() {
    # shellcheck disable=SC2086
    "$SPARP_PLAIN" $1 --merge --total "$requests" -o "$dir/all.jsonl" "$2" 2>"$dir/merge.err" ||
        { cat "$dir/merge.err"; head -n 5 "$dir/err"; return 1; }
    grep -qx "sparp: $requests records of $requests" "$dir/merge.err" &&
        jq -r '[.id, .outcome] | @tsv' "$dir/all.jsonl" | sort -n |
        awk '$1 != NR - 1 || $2 != "success" { exit 1 }'
}

both_happened() {
    [ -d "$dir/failed" ] && [ -e "$dir/killed/on the way" ]
}

arrived() {
    curl -s "$base/stats" | jq .requests
}

# --- blocks through a pipe --------------------------------------------------------------------

# Of an attempt that fails parallel throws the output away: no journal then, the block is redone.
begin pipe
run --pipe -N $block -j 4 --retries 3 "$dir/worker {#} -q --no-fail" <"$dir/in.jsonl" \
    >"$dir/pipe/out.jsonl"
check '--pipe: comes to its end' [ $? -eq 0 ]
check '--pipe: one worker has failed, one was killed' both_happened
check '--pipe: each line once' whole --by-id "$dir/pipe/out.jsonl"

begin keep
run --pipe -N $block -j 4 -k "$dir/worker 0 -q --no-fail --order input" <"$dir/in.jsonl" \
    >"$dir/keep/out.jsonl"
in_order() {
    jq .id "$dir/keep/out.jsonl" |
        awk -v n="$requests" '$1 != NR - 1 { exit 1 } END { exit NR != n }'
}
check '--pipe -k: the order of the input' in_order
check '--pipe -k: each is sent once' [ "$(arrived)" -eq "$requests" ]

# With its records in a file the journal knows how far the killed one came. Blocks of one size give
# each job the same lines again.
begin journal
run --pipe -N $block -j 4 --retries 3 "$dir/worker {#} -q --no-fail -j $dir/journal/{#}.journal \
    -o $dir/journal/{#}.jsonl" <"$dir/in.jsonl"
check '--pipe and a journal: comes to its end' [ $? -eq 0 ]
check '--pipe and a journal: both accidents' both_happened
cat "$dir"/journal/*.jsonl >"$dir/journal/out"
check '--pipe and a journal: each line once' whole --by-id "$dir/journal/out"
check '--pipe and a journal: at most those in flight are sent twice' \
    [ "$(arrived)" -le $((requests + 200)) ]

# A worker that stops early must read on, or parallel dies, and with it the output of all.
begin robin
run --pipe --round-robin -j 2 --block 10k "$SPARP_PLAIN -q --first 1 --drain-input" \
    <"$dir/in.jsonl" >"$dir/robin/out"
check '--round-robin, --drain-input: nobody dies of SIGPIPE' [ $? -eq 0 ]
check '--round-robin, --drain-input: the records are there' \
    [ "$(jq -s 'map(select(.outcome == "success")) | length >= 2' "$dir/robin/out")" = true ]

# --- shards of one file -----------------------------------------------------------------------

# As tools/fleet/parallel.sh has it.
begin shards
run -j 4 --retries 3 "$dir/worker {#} -q --no-fail --shard {}/8 -j $dir/shards/{}.journal \
    -o $dir/shards/{}.jsonl $dir/in.jsonl" ::: 0 1 2 3 4 5 6 7
check 'shards: come to their end' [ $? -eq 0 ]
check 'shards: both accidents' both_happened
cat "$dir"/shards/*.jsonl >"$dir/shards/out"
check 'shards: each line once' whole '' "$dir/shards/out"

# TERM to parallel: TERM to each worker, and KILL 350 ms later. Then the same command again.
begin stopped
stopped() {
    parallel --will-cite -j 4 "$SPARP_PLAIN -q --no-fail -r $1 --shard {}/4 \
        -j $dir/stopped/{}.journal -o $dir/stopped/{}.jsonl $dir/in.jsonl" ::: 0 1 2 3 2>"$dir/err"
}
stopped $((requests / 16)) &
job=$!
enough() { [ "$(cat "$dir"/stopped/*.jsonl 2>/dev/null | wc -l)" -ge $((requests / 8)) ]; }
until_true enough
pkill -TERM -P $job
wait $job
check 'TERM: not all is done' [ "$(cat "$dir"/stopped/*.jsonl | wc -l)" -lt "$requests" ]
check 'TERM: each record is whole' sh -c "cat '$dir'/stopped/*.jsonl | jq .index >/dev/null"
stopped 1000000
check 'TERM: the same command goes on' [ $? -eq 0 ]
cat "$dir"/stopped/*.jsonl >"$dir/stopped/out"
check 'TERM: each line once' whole '' "$dir/stopped/out"

# --- hosts behind ssh -------------------------------------------------------------------------

made=''
# Its own keys, a free port; it ends with the script. As root it wants this folder to be there.
start_sshd() {
    sshd=$(command -v sshd) && command -v ssh >/dev/null || return 1
    mkdir -p "$dir/ssh"
    ssh-keygen -q -t ed25519 -N '' -f "$dir/ssh/host" && cp "$dir/ssh/host" "$dir/ssh/user" &&
        cp "$dir/ssh/host.pub" "$dir/ssh/keys" || return 1
    # shellcheck disable=SC2046
    set -- $(free_ports)
    ssh_port=$1
    if [ "$(id -u)" = 0 ] && [ ! -e /run/sshd ]; then
        mkdir /run/sshd && made=/run/sshd
    fi
    printf '%s\n' "ListenAddress 127.0.0.1:$ssh_port" "HostKey $dir/ssh/host" 'PidFile none' \
        "AuthorizedKeysFile $dir/ssh/keys" 'StrictModes no' 'UsePAM no' 'MaxStartups 100' \
        'PasswordAuthentication no' 'PermitRootLogin prohibit-password' >"$dir/ssh/sshd.conf"
    printf '%s\n' 'Host *' 'HostName 127.0.0.1' "Port $ssh_port" "IdentityFile $dir/ssh/user" \
        'IdentitiesOnly yes' 'BatchMode yes' 'StrictHostKeyChecking no' 'LogLevel ERROR' \
        "UserKnownHostsFile $dir/ssh/known" >"$dir/ssh/ssh.conf"
    "$sshd" -D -e -f "$dir/ssh/sshd.conf" >"$dir/ssh/log" 2>&1 </dev/null &
    servers="$servers $!"
    until_true grep -q '^Server listening' "$dir/ssh/log" &&
        ssh -F "$dir/ssh/ssh.conf" one true 2>"$dir/ssh/err" </dev/null
}

hosts() {
    run --ssh "ssh -F $dir/ssh/ssh.conf" -S 2/one,2/two "$@"
}

if start_sshd; then
    begin far
    hosts --pipe -N $block --retries 3 "$dir/worker {#} -q --no-fail" <"$dir/in.jsonl" \
        >"$dir/far/out.jsonl"
    check '-S, --pipe: comes to its end' [ $? -eq 0 ]
    check '-S, --pipe: both accidents' both_happened
    check '-S, --pipe: each line once' whole --by-id "$dir/far/out.jsonl"
    begin recipe
    printf '2/one\n2/two\n' >"$dir/recipe/hosts"
    SPARP=$SPARP_PLAIN SSH="ssh -F $dir/ssh/ssh.conf" BLOCK=$block \
        sh tools/fleet/parallel.sh "$dir/in.jsonl" "$dir/recipe/all" "$dir/recipe/hosts" \
        >"$dir/out" 2>"$dir/err"
    check 'tools/fleet/parallel.sh: exit 0' [ $? -eq 0 ]
    check 'tools/fleet/parallel.sh: each line once' whole --by-id "$dir/recipe/all"
    check 'tools/fleet/parallel.sh: each is sent once' [ "$(arrived)" -eq "$requests" ]
elif ! command -v sshd >/dev/null; then
    skip 'no sshd'
elif grep -q 'not allowed because' "$dir/ssh/log"; then
    skip "sshd does not let $(id -un) in"
else
    tail -n 5 "$dir/ssh/log" "$dir/ssh/err"
    check 'sshd starts' false
fi
[ -z "$made" ] || rmdir "$made"
finish

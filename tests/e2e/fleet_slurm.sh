#!/bin/sh
# Under Slurm: an array of the recipe on two nodes, a controller and their daemons on this machine,
# started here as the user that we are. A task is requeued, one cancelled, and the array submitted
# again: no line is lost, none is there twice after --merge.
#   REQUESTS=100000 sh tests/e2e/fleet_slurm.sh
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/servers.inc
for program in slurmctld slurmd sbatch; do
    command -v $program >/dev/null || { echo "skipped: no $program"; exit 77; }
done
requests=${REQUESTS:-4000}

# --- a cluster --------------------------------------------------------------------------------

# Nobody is asked who he is: it listens on loopback, and ends with the script.
configure() {
    host=$(hostname -s) user=$(id -un)
    # shellcheck disable=SC2046
    set -- $(free_ports)
    cat <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$1
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/none
CredType=cred/none
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool.%n
SlurmctldPidFile=$dir/controller.pid
SlurmdPidFile=$dir/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1
NodeName=one NodeHostname=$host NodeAddr=127.0.0.1 Port=$2 CPUs=2
NodeName=two NodeHostname=$host NodeAddr=127.0.0.1 Port=$3 CPUs=2
PartitionName=all Nodes=one,two Default=YES OverSubscribe=NO
CONF
}

start_daemon() {
    name=$1
    shift
    timeout -k 5 600 "$@" -D -f "$SLURM_CONF" >"$dir/$name.log" 2>&1 </dev/null &
    servers="$servers $!"
}

are_idle() {
    [ "$(sinfo -h -t idle -o %D 2>/dev/null)" = 2 ]
}

# For a minute, as daemons take their time where the machine has others to do.
patiently() {
    for _ in 1 2 3 4 5 6; do
        until_true "$@" && return
    done
    return 1
}

start_cluster() {
    mkdir -p "$dir/state"
    SLURM_CONF=$dir/slurm.conf
    export SLURM_CONF
    configure >"$SLURM_CONF"
    start_daemon controller slurmctld
    start_daemon one slurmd -N one
    start_daemon two slurmd -N two
    patiently are_idle
}

# --- an array ---------------------------------------------------------------------------------

# submit RATE: the recipe; $job.
submit() {
    job=$(sbatch --parsable --array=0-3 --output="$dir/task.%a.log" tools/fleet/slurm.sh \
        "$dir/in.jsonl" "$dir/results" --fleet-rate "$1" 2>"$dir/err")
}

records() {
    cat "$dir"/results/"$1".part "$dir"/results/"$1".jsonl 2>/dev/null | wc -l
}

has_begun() {
    [ "$(records "$1")" -ge 20 ]
}

# Nothing is queued or runs, for so many seconds at most.
has_ended() {
    seconds=0
    while [ -n "$(squeue -h)" ]; do
        scontrol show job "${job}_1" >>"$dir/requeued" 2>/dev/null
        seconds=$((seconds + 1))
        [ "$seconds" -lt "$1" ] || { squeue; return 1; }
        # Slurm lets two minutes pass before it runs a task again. In the second in which that was
        # ended, its node would take it for the one that is: "already killed, do not launch".
        sleep 1
        scontrol update JobId="${job}_1" StartTime=now >/dev/null 2>&1 || true
    done
}

whole() {
    "$SPARP_PLAIN" --merge --total "$requests" "$dir"/results/*.jsonl -o "$dir/all.jsonl" \
        2>"$dir/err" || { cat "$dir/err" "$dir"/task.*.log; return 1; }
    grep -qx "sparp: $requests records of $requests" "$dir/err" &&
        [ "$(jq -s 'all(.outcome == "success")' "$dir/all.jsonl")" = true ]
}

start_plain
awk -v base="http://127.0.0.1:$port" -v n="$requests" 'BEGIN {
    for (i = 0; i < n; i++)
        print base "/items/" i
}' >"$dir/in.jsonl"
if ! start_cluster; then
    tail -n 5 "$dir"/*.log
    if grep -q 'fatal.*\(auth\|cred\)' "$dir/controller.log"; then
        echo 'skipped: this Slurm does not start without munge'
        exit 77
    fi
    check 'the cluster starts' false
    finish
fi
SPARP=$SPARP_PLAIN
export SPARP

submit $((requests / 8))
check 'the array is taken' [ -n "$job" ]
patiently has_begun 1 && patiently has_begun 2
check 'two tasks have begun' [ $? -eq 0 ]
scontrol requeue "${job}_1" >"$dir/err" 2>&1
check 'one is requeued' [ $? -eq 0 ]
scancel "${job}_2"
check 'one is cancelled' [ $? -eq 0 ]
check 'they come to their end' has_ended 90
check 'the cancelled one has begun and not ended' [ -e "$dir/results/2.part" -a \
    ! -e "$dir/results/2.jsonl" ]
check '... its records are whole' sh -c "jq .index '$dir/results/2.part' >/dev/null"
check 'the requeued one is complete' [ "$(records 1)" -eq $((requests / 4)) ]
check '... it was run again' grep -q 'Restarts=1' "$dir/requeued"
submit $((requests * 10))
check 'the array once more: comes to its end' has_ended 60
check 'each line once' whole
arrived=$(curl -s "http://127.0.0.1:$port/stats" | jq .requests)
check 'none that had its record is sent again' [ "$arrived" -le $((requests + 200)) ]
finish

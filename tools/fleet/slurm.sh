#!/bin/sh
#SBATCH --job-name=sparp
#SBATCH --array=0-7
#SBATCH --requeue
#SBATCH --open-mode=append
# One input as a Slurm array, each task a shard of it, in a folder that the nodes share:
#
#   sbatch tools/fleet/slurm.sh requests.jsonl results -c 50 --fleet-rate 200
#   sparp --merge results/*.jsonl -o all.jsonl
#
# The first two words are the input and a folder for the results; the others are flags of sparp.
# Another number of tasks: sbatch --array=0-31. A task that is requeued, or the same sbatch given
# again, goes on where it was; what is complete is left alone. 0.jsonl is there when it is complete.
#
# An array, and not srun -n8: srun would give its stdin to each task, and cut long records where it
# joins what the tasks write.
set -eu
input=$1 folder=$2 shard=$SLURM_ARRAY_TASK_ID
shift 2
mkdir -p "$folder"
[ ! -e "$folder/$shard.jsonl" ] || exit 0
# --no-fail: that requests fail is said in their records, and no reason to fail the task.
"${SPARP:-sparp}" -q --no-fail --shard auto -j "$folder/$shard.journal" -o "$folder/$shard.part" \
    "$@" "$input"
mv "$folder/$shard.part" "$folder/$shard.jsonl"

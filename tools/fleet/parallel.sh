#!/bin/sh
# One input on several hosts, by GNU parallel over ssh:
#
#   tools/fleet/parallel.sh requests.jsonl all.jsonl hosts.txt
#
# Each line of the input needs an "id", for each process counts lines of its own. From URLs:
#   jq -Rc '{url: ., id: input_line_number}' urls.txt >requests.jsonl
# hosts.txt has a line for each host, such as 4/user@host: four processes there. The hosts need
# sparp (SPARP: where it is) and an ssh key, and no files. BLOCK is how many lines a process gets at
# a time; those of a process or a host that fails are all sent again.
#
# Where the hosts share a folder, shards and journals go on where they were, without ids:
#   parallel --sshloginfile hosts.txt --wd . --retries 3 'sparp -q --no-fail --shard {}/32 \
#       -j {}.journal -o {}.jsonl requests.jsonl' ::: $(seq 0 31)
#   sparp --merge [0-9]*.jsonl -o all.jsonl
set -eu
input=$1 output=$2 hosts=$3 sparp=${SPARP:-sparp}

# --no-fail: that requests fail is said in their records, and no reason to send all again. No -u, no
# --line-buffer: of an attempt that fails the output must go. No journal, which would leave out what
# went with it. Not --pipe-part, which loses blocks when it tries again.
parallel --will-cite --ssh "${SSH:-ssh}" --sshloginfile "$hosts" --pipe -N "${BLOCK:-20000}" \
    --retries 3 "$sparp -q --no-fail" <"$input" >"$output.part"

# Exit 1 if an id has no record, or several.
"$sparp" --by-id --merge --total "$(grep -c . "$input")" "$output.part" -o "$output"
rm "$output.part"

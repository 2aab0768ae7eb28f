#!/bin/sh
# One input through Hadoop Streaming, BLOCK lines to each process:
#
#   tools/fleet/hadoop.sh /requests.jsonl /results
#
# SPARP is a static binary for the nodes (make static). Each line needs an "id", for each process
# counts lines of its own. A task that fails is sent again as a whole. Then:
#   hdfs dfs -get /results && sparp --by-id --merge results/part-* -o all.jsonl
set -eu

# --no-fail: a task whose process does not exit with 0 fails. --progress line: a task that says
# nothing for ten minutes is killed. --drain-input: so is one that does not read to the end.
# Speculation would send requests twice. Without ignoreKey each line would begin with its offset,
# and a TAB.
exec mapred streaming \
    -D mapreduce.job.reduces=0 \
    -D mapreduce.map.speculative=false \
    -D mapreduce.input.lineinputformat.linespermap="${BLOCK:-20000}" \
    -D stream.map.input.ignoreKey=true \
    -files "${SPARP:-build/static/sparp}" \
    -inputformat org.apache.hadoop.mapred.lib.NLineInputFormat \
    -input "$1" -output "$2" \
    -mapper './sparp --no-fail --ascii --progress line --summary none --drain-input'

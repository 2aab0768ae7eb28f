#!/bin/sh
# The recipes of tools/fleet for engines that are too large for a test: what they run is run here as
# they have it, by small stand-ins that treat it as the engine does.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/e2e/servers.inc
start_plain
recipes=$(pwd)/tools/fleet
mkdir -p "$dir/bin"
ln -s "$SPARP_PLAIN" "$dir/bin/sparp"

# input NAME: a folder with requests; each has an id, one is a 404.
input() {
    mkdir -p "$dir/$1"
    awk -v base="http://127.0.0.1:$port" 'BEGIN {
        for (i = 0; i < 400; i++)
            printf "{\"url\":\"%s/%s/%d\",\"id\":%d}\n", base, i == 9 ? "status" : "items",
                i == 9 ? 404 : i, i
    }' >"$dir/$1/requests.jsonl"
}

# whole FLAGS FILE...: each line has one record.
whole() {
    # shellcheck disable=SC2086
    "$SPARP_PLAIN" -q --total 400 --merge "$@" -o "$dir/all.jsonl" 2>"$dir/err" ||
        { cat "$dir/err"; return 1; }
    [ "$(jq -s 'map(.id) | sort == [range(400)]' "$dir/all.jsonl")" = true ]
}

# --- Kubernetes -------------------------------------------------------------------------------

# The manifest against the schema; its container's script, shards and exit codes into files.
read_manifest() {
    $python - tools/fleet/kubernetes.yaml tests/e2e/kubernetes_job.schema.json "$dir" <<'PYTHON'
import json
import sys
import jsonschema
import yaml
job = yaml.safe_load(open(sys.argv[1], encoding="utf-8"))
jsonschema.validate(job, json.load(open(sys.argv[2], encoding="utf-8")))
spec = job["spec"]
pod = spec["template"]["spec"]
box = pod["containers"][0]
assert box["command"] == ["/bin/sh", "-euc"], box["command"]
assert "auto/%d " % spec["completions"] in box["args"][0], "--shard is of another number"
assert {m["name"] for m in box["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
assert box["workingDir"] in {m["mountPath"] for m in box["volumeMounts"]}
rules = [r["onExitCodes"] for r in spec["podFailurePolicy"]["rules"] if "onExitCodes" in r]
assert all(r["containerName"] == box["name"] for r in rules)
open(sys.argv[3] + "/script", "w", encoding="utf-8").write(box["args"][0])
open(sys.argv[3] + "/last", "w", encoding="utf-8").write(str(spec["completions"] - 1))
open(sys.argv[3] + "/fails", "w", encoding="utf-8").write(str(rules[0]["values"]))
PYTHON
}

# pod INDEX: in the folder of the claim.
pod() {
    (cd "$dir/claim" && JOB_COMPLETION_INDEX=$1 PATH=$dir/bin:$PATH /bin/sh -euc \
        "$(cat "$dir/script")") >"$dir/out" 2>"$dir/err"
}

pods() {
    for index in $(seq 0 "$(cat "$dir/last")"); do
        pod "$index" || { cat "$dir/err"; return 1; }
    done
}

if $python -c 'import jsonschema, yaml' 2>/dev/null; then
    check 'kubernetes.yaml: as the schema has it' read_manifest
    input claim
    check 'kubernetes.yaml: each pod succeeds' pods
    check 'kubernetes.yaml: each line once' whole "$dir"/claim/results/*.jsonl
    requests=$(curl -s "http://127.0.0.1:$port/stats" | jq .requests)
    check 'kubernetes.yaml: once more' pods
    check '... nothing is sent' \
        [ "$(curl -s "http://127.0.0.1:$port/stats" | jq .requests)" -eq "$requests" ]
    rm -r "$dir/claim/results"
    rm "$dir/claim/requests.jsonl"
    pod 0
    check 'kubernetes.yaml: no input is the exit code that fails an index' \
        [ "[$?]" = "$(cat "$dir/fails")" ]
else
    skip 'no jsonschema and yaml for Python'
fi

# --- Spark ------------------------------------------------------------------------------------

# What PySpark makes of it: a process for each partition, one of them empty; its words split as a
# shell does, its lines written while its output is read; a status that is not 0 is an exception.
mkdir -p "$dir/stand-in"
cat >"$dir/stand-in/pyspark.py" <<'PYTHON'
import os
import shlex
import subprocess


class RDD:
    def __init__(self, partitions):
        self.partitions = partitions

    def repartition(self, count):
        lines = sum(self.partitions, [])
        return RDD([lines[i::count - 1] for i in range(count - 1)] + [[]])

    def pipe(self, command, env=None, checkCode=False):
        return RDD([self.through(command, lines, checkCode) for lines in self.partitions])

    @staticmethod
    def through(command, lines, check):
        done = subprocess.run(shlex.split(command), input="".join(s + "\n" for s in lines).encode(),
                              stdout=subprocess.PIPE, check=check)
        return done.stdout.decode("ascii").splitlines()

    def saveAsTextFile(self, folder):
        os.mkdir(folder)
        for i, lines in enumerate(self.partitions):
            with open("%s/part-%05d" % (folder, i), "w", encoding="ascii") as file:
                file.writelines(line + "\n" for line in lines)


class SparkContext:
    def __init__(self, appName):
        self.name = appName

    def textFile(self, path):
        return RDD([open(path, encoding="utf-8").read().splitlines()])
PYTHON
spark() {
    (cd "$dir/spark" && ln -sf "$SPARP_PLAIN" sparp && PYTHONPATH=$dir/stand-in \
        $python "$recipes/spark.py" requests.jsonl results 5) >"$dir/out" 2>"$dir/err" ||
        { cat "$dir/err"; return 1; }
}
input spark
check 'spark.py: succeeds' spark
check 'spark.py: an empty partition has nothing' [ ! -s "$dir/spark/results/part-00004" ]
check 'spark.py: each line once' whole --by-id "$dir"/spark/results/part-*

# --- Hadoop -----------------------------------------------------------------------------------

# mapred streaming: takes its options as they are, and gives the mapper some lines at a time. It
# wants all of them read, and status 0.
cat >"$dir/bin/mapred" <<'MAPRED'
#!/bin/sh
set -eu
[ "$1" = streaming ]
shift
while [ $# -gt 0 ]; do
    case $1=$2 in
        -D=mapreduce.input.lineinputformat.linespermap=*) lines=${2#*=} ;;
        -D=stream.map.input.ignoreKey=true) ignored=yes ;;
        -D=mapreduce.*) ;;
        -files=*) cp -L "$2" . ;;
        -inputformat=org.apache.hadoop.mapred.lib.NLineInputFormat) ;;
        -input=*) input=$2 ;;
        -output=*) output=$2 ;;
        -mapper=*) mapper=$2 ;;
        *) echo "mapred: $1 $2?" >&2; exit 1 ;;
    esac
    shift 2
done
[ "$ignored" = yes ]
mkdir "$output"
split -d -l "$lines" "$input" "$output/split-"
for file in "$output"/split-*; do
    # shellcheck disable=SC2086
    eval $mapper <"$file" >"$output/part-${file##*-}"
    rm "$file"
done
MAPRED
chmod +x "$dir/bin/mapred"
hadoop() {
    (cd "$dir/hadoop" && PATH=$dir/bin:$PATH SPARP=$SPARP_PLAIN BLOCK=150 \
        sh "$recipes/hadoop.sh" requests.jsonl results) >"$dir/out" 2>"$dir/err" ||
        { cat "$dir/err"; return 1; }
}
input hadoop
check 'hadoop.sh: succeeds' hadoop
check 'hadoop.sh: each line once' whole --by-id "$dir"/hadoop/results/part-*

finish

"""One input through Spark, a partition to each process:

    spark-submit --conf spark.speculation=false --files build/static/sparp \\
        tools/fleet/spark.py hdfs:///requests.jsonl hdfs:///results 32

Each line needs an "id", for each process counts lines of its own. A partition that fails is sent
again as a whole (spark.task.maxFailures, 4 times); with speculation each could be sent twice.
The results are the files part-*: sparp --by-id --merge part-* -o all.jsonl
"""
import sys

from pyspark import SparkContext

# --no-fail: that requests fail is said in their records. --ascii: Spark reads with the charset of
# its JVM. checkCode: otherwise PySpark takes what a process has written before it died for all.
COMMAND = "./sparp -q --no-fail --ascii --drain-input"


def main(source, target, partitions):
    context = SparkContext(appName="sparp")
    lines = context.textFile(source).repartition(int(partitions))
    lines.pipe(COMMAND, checkCode=True).saveAsTextFile(target)


if __name__ == "__main__":
    main(*sys.argv[1:])

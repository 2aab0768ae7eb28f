#!/usr/bin/env python3
"""The command as a co-process: requests go in as they are thought of, results come as they are
there. Here the numbers of three chains are asked for, and each answer gives the next request:

    examples/from_python.py http://127.0.0.1:8080
"""
import json
import os
import subprocess
import sys


class Sparp:
    """Iterating over it gives a record for each request that was sent."""

    def __init__(self, *flags):
        command = [os.environ.get("SPARP", "sparp"), "-q", "--no-fail", *flags]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.end = self.process.stdin.close     # no more requests: the last record ends the loop

    def send(self, **request):
        """Waits while the pipe is full: a thread should send thousands, while this one reads."""
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def __iter__(self):
        return map(json.loads, self.process.stdout)


def main(base):
    sparp, chains = Sparp("-c", "20", "--body", "json"), 3
    for number in (10, 20, 30):
        sparp.send(id=number, url="%s/items/%d" % (base, number))
    for record in sparp:
        print(record["id"], record["outcome"], record["json"]["name"])
        number = record["id"] + 1
        if number % 10 < 3:                     # what was learned decides what is asked next
            sparp.send(id=number, url="%s/items/%d" % (base, number))
            continue
        chains -= 1
        if chains == 0:
            sparp.end()
    return sparp.process.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

#!/usr/bin/env python3
"""The command as a co-process: requests go in as they are thought of, results come as they are
there. Here the numbers of a chain are asked for, and each answer gives the next request:

    examples/from_python.py http://127.0.0.1:8080
"""
import json
import os
import subprocess
import sys
import threading


class Sparp:
    """Records come out of iterating over it, once for each request that was sent."""

    def __init__(self, *flags):
        command = [os.environ.get("SPARP", "sparp"), "-q", "--no-fail", *flags]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lock = threading.Lock()            # any thread may send

    def send(self, **request):
        """Waits while the pipe is full: thousands are sent by a thread, while this one reads."""
        line = json.dumps(request).encode() + b"\n"
        with self.lock:
            self.process.stdin.write(line)
            self.process.stdin.flush()          # or it waits in a buffer of ours

    def __iter__(self):
        return map(json.loads, self.process.stdout)

    def end(self):
        """No more requests: the results end when the last is there."""
        with self.lock:
            self.process.stdin.close()


def main(base):
    sparp = Sparp("-c", "20", "--body", "json")
    for number in (10, 20, 30):
        sparp.send(id=number, url="%s/items/%d" % (base, number))
    left = 3
    for record in sparp:
        print(record["id"], record["outcome"], record["json"]["name"])
        if record["id"] % 10 < 2:               # what was learned decides what is asked next
            sparp.send(id=record["id"] + 1, url="%s/items/%d" % (base, record["id"] + 1))
        else:
            left -= 1
        if left == 0:
            sparp.end()
    return sparp.process.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

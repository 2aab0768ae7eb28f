"""The command with a journal, killed again and again:

    journal_kills.py kills SPARP DIR MODE TIMES SEED     at random, that often in all
    journal_kills.py tears SPARP DIR MODE SO FIRST STEP  in so many of its changes of files

The server is in here and sees what is sent again. Prints "kills: N" and a line for each fault;
ends with status 1 if there was one."""
import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import threading

MODES = {
    "plain": [],
    "workers": ["-w", "2"],
    "order": ["--order", "input"],
    "csv": ["--output-format", "csv", "--fields", "index,outcome"],
    "bodies": ["--body-name", "{name}"],
    "pipe": [],
}


class Server(asyncio.Protocol):
    """GET /SESSION/INDEX/NAME: its body says which index it is, and is large for some."""
    base = None
    confirmed = set()       # (session, index) whose success is in the journal after a kill
    arrived = {}
    faults = []

    def connection_made(self, transport):
        self.transport, self.data = transport, b""

    def data_received(self, data):
        self.data += data
        while b"\r\n\r\n" in self.data:
            head, self.data = self.data.split(b"\r\n\r\n", 1)
            _, session, index, _ = head.split(b" ", 2)[1].split(b"/")
            self.request(session.decode(), int(index))

    def request(self, session, index):
        key = session, index
        if key in Server.confirmed:
            Server.faults.append("index %d had succeeded, and was sent again" % index)
        Server.arrived[key] = Server.arrived.get(key, 0) + 1
        status = b"404" if index % 23 == 0 else b"200"
        if index % 17 == 0 and Server.arrived[key] == 1:
            status = b"503"
        body = b"%d:" % index + b"x" * (30000 if index % 50 == 0 else index * 7919 % 300)
        answer = b"HTTP/1.1 %s x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
        if index % 7 == 0:
            asyncio.get_running_loop().call_later(0.003, self.transport.write, answer)
        else:
            self.transport.write(answer)

    @staticmethod
    async def serve(ready):
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
        Server.base = "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    @staticmethod
    def start():
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(Server.serve(ready)), daemon=True).start()
        ready.wait()


class Session:
    """One input, run again and again until it comes to its end."""

    def __init__(self, sparp, folder, mode, name, lines):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        self.mode, self.name, self.lines = mode, name, lines
        self.input, self.output, self.journal, self.errors, self.bodies = (
            os.path.join(folder, file) for file in ("in", "out", "journal", "err", "bodies"))
        self.piped, self.noted, self.seen = b"", {}, 0
        with open(self.input, "w", encoding="utf-8") as file:
            for i in range(lines):
                # Of the names each is there twice. Of the bad lines all are equal.
                file.write("{bad\n" if self.is_bad(i) else
                           "%s/%s/%d/n%d\n" % (Server.base, name, i, i // 2))
        self.command = [sparp, "-q", "-c", "20", "--backoff", "1ms", "-j", self.journal]
        self.command += MODES[mode]
        if mode == "bodies":
            self.command += ["--body-dir", self.bodies]
        if mode != "pipe":
            self.command += ["-o", self.output]
        self.command.append(self.input)

    @staticmethod
    def is_bad(index):
        return index % 101 == 100

    def fault(self, text):
        Server.faults.append("%s: %s" % (self.mode, text))

    def run(self, after=None, env=None):
        """Its exit status; None: it was killed, by us after that many seconds or by itself."""
        with open(self.errors, "ab") as errors:
            process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stderr=errors, env=env,
                stdout=subprocess.PIPE if self.mode == "pipe" else subprocess.DEVNULL)
        chunks = []
        reader = None
        if process.stdout:
            reader = threading.Thread(target=lambda: chunks.append(process.stdout.read()))
            reader.start()
        try:
            status = process.wait(60 if after is None else after)
        except subprocess.TimeoutExpired:
            if after is None:
                self.fault("does not come to its end")
            process.kill()
            status = process.wait()
        if reader:
            reader.join()
            # What was torn is nobody's: a new line begins.
            self.piped += b"".join(chunks)
            self.piped = self.piped[:self.piped.rfind(b"\n") + 1]
        self.check()
        return None if status == -9 else status

    def check(self):
        """What the journal says is true of the output, as far as it is whole."""
        journal = self.read(self.journal).split(b"\n")[1:-1]
        lines, records = journal[self.seen:], []
        for line in lines:
            index, _, outcome, offset = line.split(b" ")
            if outcome in (b"file", b"retry"):
                continue
            records.append((int(index), outcome.decode(), int(offset)))
        self.seen = len(journal)
        output = self.piped if self.mode == "pipe" else self.read(self.output)
        for index, outcome, offset in records:
            if index in self.noted:
                self.fault("index %d is in the journal twice" % index)
            self.noted[index] = outcome
            if outcome == "success":
                Server.confirmed.add((self.name, index))
            if self.mode == "pipe":
                continue
            start = output.rfind(b"\n", 0, offset - 1) + 1
            if output[offset - 1:offset] != b"\n" or self.index_of(output[start:offset]) != index:
                self.fault("index %d is in the journal, not in the output" % index)

    def index_of(self, line):
        try:
            return int(line.split(b",")[0]) if self.mode == "csv" else json.loads(line)["index"]
        except (ValueError, KeyError):
            return None

    @staticmethod
    def read(path):
        try:
            with open(path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def check_end(self, status):
        """Each line has its record, and just one."""
        if status != 1:         # there are 404s
            self.fault("ends with status %s" % status)
        output = self.piped if self.mode == "pipe" else self.read(self.output)
        lines = output.split(b"\n")
        lines = lines[1:-1] if self.mode == "csv" else lines[:-1]
        indices = [self.index_of(line) for line in lines]
        if set(indices) != set(range(self.lines)):
            self.fault("%s records, not of %d lines" % (len(set(indices)), self.lines))
        if self.mode != "pipe" and len(indices) != self.lines:
            self.fault("%d records for %d lines" % (len(indices), self.lines))
        if self.mode == "order" and None not in indices and indices != sorted(indices):
            self.fault("not in the order of the input: %s" % indices[:20])
        for index, line in zip(indices, lines):
            wanted = ("invalid" if self.is_bad(index) else "hard_fail" if index % 23 == 0
                      else "success")
            if self.mode == "csv":
                found = line.split(b",")[1].strip().decode()
            else:
                record = json.loads(line)
                found = record["outcome"]
                if self.mode == "bodies" and found == "success":
                    self.check_body(index, record)
            if found != wanted:
                self.fault("index %d is %s, not %s" % (index, found, wanted))

    def check_body(self, index, record):
        body = self.read(record["body_file"])
        if not body.startswith(b"%d:" % index):
            self.fault("%s is not the body of index %d" % (record["body_file"], index))


def kills(sparp, folder, mode, times, seed):
    chance, killed, session, sessions = random.Random("%s %s" % (seed, mode)), 0, None, 0
    while killed < int(times) or session:
        if session is None:
            session, sessions = Session(sparp, folder, mode, str(sessions), 3000), sessions + 1
        status = session.run(chance.uniform(0.005, 0.12) if killed < int(times) else None)
        if status is None:
            killed += 1
        else:
            session.check_end(status)
            session = None
        if Server.faults:
            break
    return killed


def tears(sparp, folder, mode, library, first, step):
    env, killed, at = dict(os.environ, LD_PRELOAD=library), 0, int(first)
    while not Server.faults:
        session = Session(sparp, folder, mode, "t%d" % at, 24)
        status = session.run(env=dict(env, TEAR=str(at)))
        if status is not None:
            break               # so many changes of files there are not
        killed += 1
        if session.run(env=dict(env, TEAR="4")) is None:
            killed += 1
        session.check_end(session.run())
        at += int(step)
    return killed


def main(kind, sparp, folder, mode, *rest):
    Server.start()
    killed = {"kills": kills, "tears": tears}[kind](sparp, folder, mode, *rest)
    print("kills: %d" % killed)
    for fault in Server.faults[:10]:
        print(fault)
    return 1 if Server.faults or killed == 0 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

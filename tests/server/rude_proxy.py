#!/usr/bin/python3
"""An HTTP proxy that misbehaves as the user name in Proxy-Authorization says.

usage: rude_proxy.py LOG [--port-file FILE] [--max-seconds N]

LOG gets one JSON object per request: mode, line, headers (names in lower case, lists of values).
CONNECT, by mode:
  (none), good   200, then the tunnel, to whatever is asked for
  old            200 in HTTP/1.0
  length, chunked      200 with a Content-Length or a Transfer-Encoding: it means nothing there
  no-length, two-lengths, identity     ... not even one that is not valid
  interim        100 and 103 before the 200
  drip           200, a byte at a time
  fields         200 with 40 kB of fields
  CODE           that status with a body, Connection: close
  kept-CODE      that status with a body, and the connection stays
  fin, rst       the end, instead of an answer
  open-fin, open-rst, open-junk        200, then the end, or what is no TLS
  half           half of a head, then FIN
  garbage        no HTTP
  endless        fields for ever
  hang, half-hang      nothing, or half of a head, for ever
Anything else is answered here: 200 and that JSON object, or as CODE, kept-CODE, fin, rst, hang say.
"""
import base64
import collections
import ctypes
import json
import os
import select
import signal
import socket
import socketserver
import struct
import sys
import threading
import time

OPEN = b'HTTP/1.1 200 Connection established\r\n'
HEADS = {
    'old': b'HTTP/1.0 200 OK\r\n\r\n',
    'length': OPEN + b'Content-Length: 100\r\n\r\n',
    'chunked': OPEN + b'Transfer-Encoding: chunked\r\n\r\n',
    'no-length': OPEN + b'Content-Length: x\r\n\r\n',
    'two-lengths': OPEN + b'Content-Length: 1\r\nContent-Length: 2\r\n\r\n',
    'identity': OPEN + b'Transfer-Encoding: identity\r\n\r\n',
    'interim': b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'
               + OPEN + b'\r\n',
    'fields': OPEN + b'X-Filler: %s\r\n' % (b'a' * 400) * 100 + b'\r\n',
    'garbage': b'SSH-2.0-OpenSSH_9.2\r\n',
    'half': OPEN + b'X-Ha',
    'half-hang': OPEN + b'X-Ha',
    'open-junk': OPEN + b'\r\nSSH-2.0-OpenSSH_9.2\r\n',
}


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    timeout = 20
    lock = threading.Lock()
    log_file = None

    def read_head(self):
        self.line = self.rfile.readline(100000).decode('latin-1').rstrip('\r\n')
        self.fields = collections.defaultdict(list)
        for raw in self.rfile:
            text = raw.decode('latin-1').rstrip('\r\n')
            if not text:
                break
            name, _, value = text.partition(':')
            self.fields[name.lower()].append(value.strip())
        words = self.fields.get('proxy-authorization', [''])[0].split()
        self.mode = ''
        if len(words) == 2:
            self.mode = base64.b64decode(words[1]).decode().partition(':')[0]

    def say(self, status, body, more=b''):
        self.wfile.write(b'HTTP/1.1 %d Said\r\nContent-Length: %d\r\n%s\r\n%s'
                         % (status, len(body), more, body))

    def end_with_rst(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.connection.close()

    def wait_for_end(self):
        while self.connection.recv(65536):
            pass

    def tunnel(self):
        host, _, port = self.line.split()[1].rpartition(':')
        server = socket.create_connection((host.strip('[]'), int(port)), 5)
        ends = {self.connection: server, server: self.connection}
        while ends:
            for end in select.select(list(ends), [], [], 20)[0]:
                data = end.recv(65536)
                if not data:
                    server.close()
                    return
                ends[end].sendall(data)

    def refused(self, mode):
        """Answers CODE and kept-CODE; True if the connection stays."""
        if mode.startswith('kept-'):
            self.say(int(mode[5:]), b'<h1>no</h1>' * 100)
            return True
        self.say(int(mode), b'<h1>no</h1>' * 100,
                 b'Connection: close\r\nProxy-Authenticate: Basic realm="x"\r\n')
        return False

    def connect(self):
        mode = self.mode
        if mode[-3:].isdigit():
            return self.refused(mode)
        if mode == 'drip':
            for byte in OPEN + b'\r\n':
                self.wfile.write(bytes([byte]))
                time.sleep(0.001)
        elif mode == 'endless':
            for _ in range(1000000):
                self.wfile.write(b'X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n' * 100)
        elif mode in ('open-fin', 'open-rst', 'good', ''):
            self.wfile.write(OPEN + b'\r\n')
        elif mode not in ('fin', 'rst', 'hang'):
            self.wfile.write(HEADS[mode])
        if mode.endswith('rst'):
            time.sleep(0.02)
            self.end_with_rst()
        elif mode.endswith('hang') or mode == 'open-junk':
            self.wait_for_end()
        elif not mode.endswith('fin') and mode not in ('half', 'garbage'):
            self.tunnel()
        return False

    def answer(self, record):
        mode = self.mode
        left = int(self.fields.get('content-length', ['0'])[0])
        self.rfile.read(left)
        if mode[-3:].isdigit():
            return self.refused(mode)
        if mode == 'rst':
            self.end_with_rst()
        elif mode == 'hang':
            self.wait_for_end()
        elif mode != 'fin':
            self.say(200, record.encode(), b'Content-Type: application/json\r\n')
            return True
        return False

    def handle(self):
        more = True
        try:
            while more:
                self.read_head()
                if not self.line:
                    return
                record = json.dumps(dict(mode=self.mode, line=self.line, headers=self.fields))
                with self.lock:
                    self.log_file.write(record + '\n')
                more = self.connect() if self.line.startswith('CONNECT ') else self.answer(record)
        except (OSError, ValueError):
            pass

    def finish(self):
        try:
            super().finish()
        except OSError:
            pass


class Server(socketserver.ThreadingTCPServer):
    request_queue_size = 1000
    daemon_threads = True
    allow_reuse_address = True


def main():
    arguments = sys.argv[1:]
    seconds = 200
    if '--max-seconds' in arguments:
        seconds = int(arguments[arguments.index('--max-seconds') + 1])
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)      # with the parent gone
    except (OSError, AttributeError):
        pass
    signal.alarm(seconds)
    Handler.log_file = open(arguments[0], 'a', buffering=1, encoding='utf-8')
    server = Server(('127.0.0.1', 0), Handler)
    if '--port-file' in arguments:
        name = arguments[arguments.index('--port-file') + 1]
        with open(name + '.new', 'w', encoding='ascii') as file:
            file.write('%d\n' % server.server_address[1])
        os.rename(name + '.new', name)
    server.serve_forever()


main()

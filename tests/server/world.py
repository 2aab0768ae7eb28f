#!/usr/bin/python3
"""An HTTP server on Python's http.server, for redirects, uploads and downloads.

usage: world.py LOG [--port-file FILE] [--max-seconds N]

LOG gets one JSON object per request, before its answer is sent: t (seconds), method, target,
headers (names in lower case, lists of values), size and sha256 of the body, waited_ms (from the
head to the first byte of the body), peer (the client's port).

  /echo            200 and that object
  /to/CODE?l=LOCATION     that status; as many Locations as there are l, percent-decoded
  /chain/N         302 to /chain/N-1; /chain/0 is /echo
  /loop            302 to /loop
  /nap/MS?l=LOCATION      the same as /to/302, MS milliseconds later
  /long/N          302 to /echo?aaa..., N bytes of it
  /slow            reads the body slowly
  /mute            never says 100 Continue
  /refuse/CODE     with Expect: that status, the body unread, Connection: close; else /echo
  /keep/CODE       the same, but what comes next is read as the body, as HTTP has it
  /early/CODE      that status after the first 64 KiB of the body; then reads on
  /busy/NAME/N     503 for the first N of that name, then /echo
  /bytes/N         N bytes
  /old/N           N bytes, HTTP/1.0, until the end of the connection
  /pack/KIND       200,000 bytes of text with a Content-Encoding, see packed(); ?chunked
  /events/N        the body it got, as text/event-stream, in chunks of N bytes; ?gzip: packed
  /linger/N        200 with N bytes, 1 ms apart
"""
import collections
import ctypes
import gzip
import hashlib
import http.server
import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.parse
import zlib

TEXT = b''.join(b'line %d of the text\n' % i for i in range(20000))[:200000]


def pattern(size):
    """What /bytes and /old send: the decimal numbers, one a line."""
    text = b''.join(b'%07d\n' % i for i in range(size // 8 + 1))
    return text[:size]


def raw_deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def damaged(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xff]) + data[middle + 1:]


def wrong_sum(data):
    return data[:-8] + bytes([data[-8] ^ 0xff]) + data[-7:]


def packed(kind):
    """Content-Encoding and body."""
    whole = gzip.compress(TEXT, mtime=0)
    halves = gzip.compress(TEXT[:70000], mtime=0) + gzip.compress(TEXT[70000:], mtime=0)
    return {
        'gzip': lambda: ('gzip', whole),
        'x-gzip': lambda: ('x-gzip', whole),
        'upper': lambda: ('GZIP', whole),
        'deflate': lambda: ('deflate', zlib.compress(TEXT)),
        'raw': lambda: ('deflate', raw_deflate(TEXT)),
        'multi': lambda: ('gzip', halves),
        'identity': lambda: ('identity', TEXT),
        'none': lambda: (None, TEXT),
        'empty': lambda: ('gzip', b''),
        'nothing': lambda: ('gzip', gzip.compress(b'', mtime=0)),
        'damaged': lambda: ('gzip', damaged(whole)),
        'cut': lambda: ('gzip', whole[:-9]),
        'sum': lambda: ('gzip', wrong_sum(whole)),
        'junk': lambda: ('gzip', b'this was never packed'),
        'br': lambda: ('br', b'\x0b\x02\x80hello\x03'),
        'twice': lambda: ('gzip, gzip', gzip.compress(whole, mtime=0)),
        'bomb': lambda: ('gzip', gzip.compress(bytes(100 << 20), 9, mtime=0)),
    }[kind]()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True
    timeout = 20
    busy = collections.Counter()
    bombs = {}
    lock = threading.Lock()
    log_file = None

    def log_message(self, format, *args):
        pass

    # --- the request ---------------------------------------------------------------------------

    def words(self):
        return self.path.partition('?')[0].split('/')[1:]

    def handle_expect_100(self):
        self.expected = True
        if self.words()[0] in ('mute', 'refuse', 'keep'):
            return True
        return super().handle_expect_100()

    def pieces(self):
        """The body as it comes."""
        if 'chunked' in self.headers.get('Transfer-Encoding', '').lower():
            while True:
                size = int(self.rfile.readline().split(b';')[0], 16)
                if size > 0:
                    yield self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return
        left = int(self.headers.get('Content-Length', 0))
        while left > 0:
            piece = self.rfile.read1(min(left, 65536))
            if not piece:
                raise ConnectionError('the body ended early')
            left -= len(piece)
            yield piece

    def read_body(self, pause=0.0, most=None):
        for piece in self.pieces():
            if self.size == 0:
                self.waited = time.monotonic() - self.began
            self.sum.update(piece)
            self.size += len(piece)
            if pause:
                time.sleep(pause)
            if most is not None and self.size >= most:
                return

    def record(self, **more):
        fields = collections.defaultdict(list)
        for name, value in self.headers.items():
            fields[name.lower()].append(value)
        return json.dumps(dict(
            t=self.arrived, method=self.command, target=self.path, headers=fields, size=self.size,
            sha256=self.sum.hexdigest(), waited_ms=round(self.waited * 1000),
            peer=self.client_address[1], **more))

    def note(self, **more):
        with self.lock:
            self.log_file.write(self.record(**more) + '\n')

    # --- answers -------------------------------------------------------------------------------

    def say(self, status, body=b'', fields=()):
        if not self.noted:
            self.note(status=status)
        head = 'HTTP/1.1 %d Said\r\n' % status
        for name, value in fields:
            head += '%s: %s\r\n' % (name, value)
        if status in (204, 304):
            body = b''
        else:
            head += 'Content-Length: %d\r\n' % len(body)
        if ('Connection', 'close') in fields:
            self.close_connection = True
        if self.command == 'HEAD':
            body = b''
        self.wfile.write(head.encode('latin-1') + b'\r\n' + body)

    def on_echo(self, *_):
        self.read_body()
        body = self.record().encode()
        self.say(200, body, [('Content-Type', 'application/json')])

    def on_loop(self):
        self.say(302, b'again', [('Location', '/loop')])

    def on_nap(self, ms):
        self.note(status=302)
        self.noted = True
        time.sleep(int(ms) / 1000)
        self.on_to('302')

    def on_to(self, status, *_):
        if not status.isdigit():
            return self.on_echo()
        self.read_body()
        places = [pair[2:] for pair in self.path.partition('?')[2].split('&') if pair[:2] == 'l=']
        fields = [('Location', urllib.parse.unquote_to_bytes(place).decode('latin-1'))
                  for place in places]
        return self.say(int(status), b'go there', fields)

    def on_chain(self, left):
        if int(left) == 0:
            return self.on_echo()
        self.read_body()
        return self.say(302, b'further', [('Location', '/chain/%d' % (int(left) - 1))])

    def on_long(self, size):
        self.say(302, b'far', [('Location', '/echo?' + 'a' * int(size))])

    def on_slow(self):
        self.read_body(pause=0.01)
        self.say(200, self.record().encode())

    def on_mute(self):
        self.on_echo()

    def on_refuse(self, status):
        if not self.expected:
            return self.on_echo()
        self.say(int(status), b'no', [('Connection', 'close')])
        return self.linger()

    def on_keep(self, status):
        if not self.expected:
            return self.on_echo()
        self.say(int(status), b'no')
        return self.read_body()

    def on_early(self, status):
        self.read_body(most=65536)
        self.say(int(status), b'enough', [('Connection', 'close')])
        self.linger()

    def linger(self):
        """So that unread bytes do not make a RST of the end."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(2)
        surplus = 0
        try:
            while True:
                piece = self.rfile.read1(65536)
                if not piece:
                    break
                surplus += len(piece)
        except OSError:
            pass
        self.note(surplus=surplus)

    def on_busy(self, name, count):
        self.read_body()
        with self.lock:
            self.busy[name] += 1
            number = self.busy[name]
        if number <= int(count):
            self.say(503, b'busy')
        else:
            self.say(200, self.record().encode())

    def on_bytes(self, size):
        self.say(200, pattern(int(size)))

    def on_old(self, size):
        self.note(status=200)
        head = b'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n'
        self.wfile.write(head + pattern(int(size)))
        self.close_connection = True

    def on_linger(self, size):
        self.note(status=200)
        self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % int(size))
        for _ in range(int(size)):
            self.wfile.write(b'x')
            time.sleep(0.001)

    def on_pack(self, kind):
        with self.lock:
            if kind not in self.bombs:
                self.bombs[kind] = packed(kind)
        coding, body = self.bombs[kind]
        fields = [] if coding is None else [('Content-Encoding', coding)]
        if not self.path.endswith('?chunked'):
            return self.say(200, body, fields)
        self.note(status=200)
        head = 'HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nTransfer-Encoding: chunked\r\n\r\n'
        self.wfile.write((head % coding).encode())
        for at in range(0, len(body), 777):
            piece = body[at:at + 777]
            self.wfile.write(b'%x\r\n%s\r\n' % (len(piece), piece))
        return self.wfile.write(b'0\r\n\r\n')

    def on_events(self, size):
        body = b''.join(self.pieces())
        fields = b'Content-Type: text/event-stream; charset=utf-8\r\n'
        if self.path.endswith('?gzip'):
            body = gzip.compress(body)
            fields += b'Content-Encoding: gzip\r\n'
        self.note(status=200)
        self.wfile.write(b'HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n\r\n' % fields)
        for at in range(0, len(body), int(size)):
            piece = body[at:at + int(size)]
            self.wfile.write(b'%x\r\n%s\r\n' % (len(piece), piece))
        self.wfile.write(b'0\r\n\r\n')

    def parse_request(self):
        self.began, self.arrived = time.monotonic(), time.time()
        self.size, self.sum, self.waited = 0, hashlib.sha256(), 0.0
        self.expected = self.noted = False
        return super().parse_request()

    def any(self):
        first, *rest = self.words()
        method = getattr(self, 'on_' + first, None)
        if method is None:
            self.read_body()
            return self.say(404, b'no such thing')
        return method(*rest)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = any


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1000

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            super().handle_error(request, client_address)


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
            file.write('%d\n' % server.server_port)
        os.rename(name + '.new', name)
    server.serve_forever()


main()

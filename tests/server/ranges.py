#!/usr/bin/env python3
"""A server of files that come in parts:   ranges.py --port-file FILE --max-seconds N

/whole/NAME/SIZE       SIZE bytes with a strong ETag; Range and If-Range are obeyed
/cut/KEY/N/SIZE        the same, but the first N answers with this KEY end in the middle
/weak/KEY/N/SIZE       as /cut, with a weak ETag
/changed/KEY/N/SIZE    as /cut, and then the file is another one
/liar/KEY/N/SIZE       as /cut, and then another range than was asked for
/busy/KEY/N/SIZE       as /cut, and then a 503 once
/gone/KEY/N/SIZE       as /cut, and then 416 for any Range
/forgetful/KEY/N/SIZE  as /changed, but If-Range is not obeyed
/grown/KEY/N/SIZE      as /cut, and then the file is longer, with the same ETag
/vague/KEY/N/SIZE      as /cut, and then half of the rest, and of the whole it says only "*"
/packed/KEY/N/SIZE     as /cut, and then the rest says that it is in gzip
/endless/KEY/N/SIZE    as /cut, and then half of the rest, without a Content-Length
/seen                  {"ranges": ["bytes=0-" or null, ...]} of all requests since the last /seen"""
import http.server
import json
import sys
import threading
import time

seen, counts, lock = [], {}, threading.Lock()


def content(size, version):
    block = bytes((i + version) % 251 for i in range(251)) * 64
    return (block * (size // len(block) + 1))[:size]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def answer(self, status, body, lines=(), promised=None):
        self.send_response(status)
        for name, value in lines:
            self.send_header(name, value)
        if promised != '':
            self.send_header('Content-Length', str(len(body) if promised is None else promised))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.path.split('?')[0].split('/')[1:]
        with lock:
            if path[0] == 'seen':
                body = json.dumps({'ranges': seen}).encode()
                seen.clear()
                return self.answer(200, body)
            seen.append(self.headers.get('Range'))
            key = '/'.join(path[:3])
            turn = counts[key] = counts.get(key, 0) + 1
        kind, size = path[0], int(path[-1])
        cut = kind != 'whole' and turn <= int(path[2])
        after = kind != 'whole' and turn == int(path[2]) + 1
        if kind == 'busy' and after:
            return self.answer(503, b'not now')
        if kind == 'gone' and not cut and self.headers.get('Range'):
            return self.answer(416, b'')
        version = 1 if kind in ('changed', 'forgetful') and not cut else 0
        tag = ('W/' if kind == 'weak' else '') + '"v%d"' % version
        if kind == 'grown' and not cut:
            size += 7
        body, start = content(size, version), 0
        asked = self.headers.get('Range')
        if asked and (self.headers.get('If-Range') == tag or kind == 'forgetful'):
            start = int(asked[6:].rstrip('-'))
        lines = [('ETag', tag), ('Accept-Ranges', 'bytes')]
        if start > 0:
            said = start + 7 if kind == 'liar' else start
            vague = kind == 'vague' and not cut
            if vague:
                body = body[:start + (size - start) // 2]
            lines.append(('Content-Range', 'bytes %d-%d/%s' % (said, len(body) - 1,
                                                               '*' if vague else size)))
        rest = body[start:]
        if kind == 'packed' and start > 0:
            lines.append(('Content-Encoding', 'gzip'))
        if kind == 'endless' and start > 0:
            self.answer(206, rest[:len(rest) // 2], lines, '')
            self.close_connection = True
        elif cut:
            self.answer(206 if start else 200, rest[:len(rest) // 2], lines, len(rest))
            self.close_connection = True
        else:
            self.answer(206 if start else 200, rest, lines)


def main():
    args = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(args['--port-file'], 'w', encoding='ascii') as file:
        file.write(str(server.server_address[1]))
    time.sleep(float(args['--max-seconds']))


main()

#!/usr/bin/python3
"""An HTTP server that answers late, or throws dice about what it does to a request.

usage: temper.py [--tls CHAIN KEY] [--seed N] [--port-file FILE] [--max-seconds N]

  /late/MS      200, so long after the request
  /early/MS     103 at once, and 200 so long after the request
  /dice/...     most requests are answered within 20 ms. Of others the connection is reset or closed
                before the answer, or in it, or right behind it, or a line end follows that nobody
                asked for; or an idle connection is told 408; or the answer takes 0.5 s; a GET may
                be told 503
  /stats        {"requests": N, "bodies": {BODY: TIMES}}, of requests with a body; not counted

A request counts when all of it has been read, whatever becomes of it then.
"""
import asyncio
import collections
import json
import random
import socket
import ssl
import struct
import sys

from loopback import answer, option, run

bodies = collections.Counter()
requests = 0


def reset(writer):
    """A RST instead of an end."""
    sock = writer.get_extra_info('socket')
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    writer.transport.abort()


async def read_request(reader):
    """Method, path, body."""
    global requests
    head = (await reader.readuntil(b'\r\n\r\n')).decode('latin-1')
    lines = head.split('\r\n')
    method, path = lines[0].split(' ')[:2]
    size = 0
    for line in lines[1:]:
        if line.lower().startswith('content-length:'):
            size = int(line.split(':', 1)[1])
    body = (await reader.readexactly(size)).decode('latin-1')
    if path != '/stats':
        requests += 1
    if size > 0:
        bodies[body] += 1
    return method, path, body


async def throw(dice, method, writer):
    """What becomes of a request. True: the connection goes on."""
    whole = answer('200 OK', 'ok')
    face = dice.random()
    await asyncio.sleep(dice.random() * 0.02)
    if face < 0.03:
        reset(writer)
    elif face < 0.06:
        writer.close()
    elif face < 0.09:
        writer.write(whole[:dice.randrange(1, len(whole))])
        await writer.drain()
        reset(writer)
    elif face < 0.12:
        writer.write(whole)
        writer.close()
    elif face < 0.15:
        writer.write(whole)
        await asyncio.sleep(0.002)
        writer.write(b'\r\n')
        return True
    elif face < 0.18:
        writer.write(whole)
        await asyncio.sleep(0.005)
        writer.write(answer('408 Idle', ''))
        writer.close()
    elif face < 0.19:
        await asyncio.sleep(0.5)
        writer.write(whole)
        return True
    elif face < 0.22 and method == 'GET':
        writer.write(answer('503 Busy', 'busy'))
        return True
    else:
        writer.write(whole)
        return True
    return False


async def talk(reader, writer):
    dice = random.Random(option('--seed', '1') + str(writer.get_extra_info('peername')))
    while True:
        method, path, _ = await read_request(reader)
        if path == '/stats':
            writer.write(answer('200 OK', json.dumps({'requests': requests, 'bodies': bodies})))
        elif path.startswith(('/late/', '/early/')):
            if path.startswith('/early/'):
                writer.write(b'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n')
            await asyncio.sleep(int(path.split('/')[2]) / 1000)
            writer.write(answer('200 OK', 'ok'))
        elif not await throw(dice, method, writer):
            break
        await writer.drain()


tls = None
if '--tls' in sys.argv:
    at = sys.argv.index('--tls')
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[at + 1], sys.argv[at + 2])
run(talk, tls)

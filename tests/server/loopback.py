"""What quota.py and temper.py share: options, answers, and a server that ends by itself.

Every server has --port-file FILE, which gets its port once it listens, and --max-seconds N.
"""
import asyncio
import ctypes
import os
import signal
import sys


def option(name, default):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def answer(status, body, fields=''):
    return ('HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s'
            % (status, len(body), fields, body)).encode()


async def listen(talk, tls):
    async def connected(reader, writer):
        try:
            await talk(reader, writer)
        except (OSError, EOFError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, '127.0.0.1', 0, ssl=tls, backlog=4096)
    name = option('--port-file', None)
    with open(name + '.new', 'w', encoding='ascii') as file:
        file.write('%d\n' % server.sockets[0].getsockname()[1])
    os.rename(name + '.new', name)
    await server.serve_forever()


def run(talk, tls=None):
    """talk(reader, writer) has one connection, until it returns or the other side is gone."""
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)      # with the parent gone
    except (OSError, AttributeError):
        pass
    signal.alarm(int(option('--max-seconds', '200')))
    asyncio.run(listen(talk, tls))

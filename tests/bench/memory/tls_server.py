"""Answers every request over TLS with 200, SECONDS after it came: tls_server.py DIRECTORY SECONDS
The directory has cert.pem and key.pem, and gets tls.port."""
import asyncio
import os
import ssl
import sys


async def answer(reader, writer):
    try:
        while await reader.readuntil(b'\r\n\r\n'):
            await asyncio.sleep(float(sys.argv[2]))
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    except (asyncio.IncompleteReadError, OSError):
        writer.close()


async def main():
    directory = sys.argv[1]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(directory, 'cert.pem'), os.path.join(directory, 'key.pem'))
    server = await asyncio.start_server(answer, '127.0.0.1', 0, ssl=context, backlog=200)
    with open(os.path.join(directory, 'tls.port'), 'w', encoding='ascii') as file:
        file.write(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()

asyncio.run(main())

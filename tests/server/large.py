"""Takes a body of whatever size, or sends one of 5 GiB of zeros: large.py PORTFILE"""
import socket
import sys

listener = socket.create_server(('127.0.0.1', 0))
with open(sys.argv[1], 'w', encoding='ascii') as file:
    file.write(str(listener.getsockname()[1]))
room = memoryview(bytearray(1 << 20))
while True:
    connection, _ = listener.accept()
    head = b''
    while b'\r\n\r\n' not in head:
        head += connection.recv(65536)
    head, rest = head.split(b'\r\n\r\n', 1)
    size = 0
    for line in head.split(b'\r\n'):
        if line.lower().startswith(b'content-length:'):
            size = int(line[15:])
    if b'\r\nexpect: 100' in head.lower():
        connection.sendall(b'HTTP/1.1 100 Continue\r\n\r\n')
    got = len(rest)
    while got < size:
        n = connection.recv_into(room)
        if n == 0:
            break
        got += n
    if head.startswith(b'GET'):
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 5368709120\r\n\r\n')
        for _ in range(5120):
            connection.sendall(room)
    else:
        text = b'%d' % got
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s' % (len(text), text))

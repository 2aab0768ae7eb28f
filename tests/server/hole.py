#!/usr/bin/python3
"""Listens where nobody ever gets in: the queue of who wants to is full, so what knocks is ignored.

usage: hole.py PORT ADDRESS... [--port-file FILE] [--max-seconds N]

FILE gets the port when every ADDRESS is full. A system that refuses instead ends it with status 77.
"""
import ctypes
import os
import signal
import socket
import sys
import time


def is_full(family, place):
    """Knocks until it is not heard; what was heard has to stay open."""
    guests = []
    for _ in range(20):
        guest = socket.socket(family)
        guest.settimeout(0.2)
        guests.append(guest)
        try:
            guest.connect(place)
        except socket.timeout:
            return guests
        except OSError:
            break
    sys.exit(77)


def main():
    arguments = sys.argv[1:]
    name = arguments[arguments.index('--port-file') + 1]
    seconds = 200
    if '--max-seconds' in arguments:
        seconds = int(arguments[arguments.index('--max-seconds') + 1])
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)      # with the parent gone
    except (OSError, AttributeError):
        pass
    signal.alarm(seconds)
    kept = []
    for address in arguments[1:arguments.index('--port-file')]:
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, int(arguments[0])))
            listener.listen(0)
        except OSError as error:
            print(address, error)
            sys.exit(77)
        kept.append((listener, is_full(family, (address, int(arguments[0])))))
    with open(name + '.new', 'w', encoding='ascii') as file:
        file.write(arguments[0] + '\n')
    os.rename(name + '.new', name)
    while True:
        time.sleep(60)


main()

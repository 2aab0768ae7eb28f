#!/usr/bin/python3
"""Requests for faults_http.sh, one JSON object a line.

usage: faults_http.py injections|bytes HOST:PORT
"""
import json
import sys

HOST = sys.argv[2]
BASE = 'http://%s/echo' % HOST
EVIL = ['\r\nX-Evil: 1', '\nX-Evil: 1', '\rX-Evil: 1',
        '\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n', '\n\nGET /evil HTTP/1.1',
        'a\r\n X-Evil: folded', '\x00', 'a\x00b', '\x0b', '\x0c', '\x1b[31m', '\x7f', '\r', '\n']
METHODS = ['GET /evil HTTP/1.1', 'G ET', '', ' ', 'GET ', ' GET', 'GET\t', 'G(T', 'G\u00c9T']
NAMES = ['X A', 'X-A ', ' X-A', 'X-A:', '', ':', 'X-\u00c4', 'X(', 'X/Y', '"X"']
URLS = ['http://', 'http:///x', 'http://a b/', 'http://%00/', 'http://[::1/',
        'http://1.2.3.4:70000/', 'http://1.2.3.4:-1/', 'http://1.2.3.4:0/', 'http://a/b c',
        'gopher://x/', '//x/', 'x', 'http://exa\nmple/', 'http://a\\b/', 'http://a<b/',
        'http://user@/']


def say(place, **request):
    print(json.dumps(dict({'url': BASE, 'id': place}, **request)))


def injections():
    """Each as an url, a method, a name and a value of a field: nothing of it may leave."""
    for text in EVIL:
        say('url', url=BASE + text)
        say('query', url=BASE + '?q=' + text)
        say('host', url='http://%s%s/' % (HOST, text))
        say('method', method='GET' + text)
        say('name', headers={'X-A' + text: 'b'})
        say('value', headers={'X-A': 'b' + text + 'c'})
    for text in METHODS:
        say('method', method=text)
    for text in NAMES:
        say('name', headers={text: 'b'})
    for text in URLS:
        say('url', url=text)


def every_byte():
    """All 256 in each place, as JSON has them: from U+0080 on they are two."""
    for i in range(256):
        byte = chr(i)
        say(['method', i], method='A' + byte + 'B')
        say(['name', i], headers={'X-%d%sX' % (i, byte): 'v'})
        say(['value', i], headers={'X-V': 'a%sb' % byte, 'X-N': str(i)})
        say(['path', i], url=BASE + '/p%d%sq' % (i, byte))


if sys.argv[1] == 'injections':
    injections()
else:
    every_byte()

#!/usr/bin/python3
"""What sparp is compared with where a server limits requests and tokens: the script that one
writes. A semaphore, two token buckets with the server's own limits, and a pause on 429.

usage: quota_client.py BASE SECONDS REQUESTS COST AT_ONCE <costs, one a line
"""
import asyncio
import sys
import time

import aiohttp


class Bucket:
    """So much in so many seconds; as much may come at once."""

    def __init__(self, amount, seconds):
        self.amount, self.rate = amount, amount / seconds
        self.left, self.at = amount, time.monotonic()
        self.lock = asyncio.Lock()

    async def take(self, n):
        async with self.lock:
            while True:
                now = time.monotonic()
                self.left = min(self.amount, self.left + (now - self.at) * self.rate)
                self.at = now
                if self.left >= n:
                    break
                await asyncio.sleep((n - self.left) / self.rate)
            self.left -= n


async def one(session, url, cost, slots, requests, tokens):
    for _ in range(21):
        async with slots:
            await requests.take(1)
            await tokens.take(cost)
            async with session.get(url) as response:
                await response.read()
                if response.status == 200:
                    return True
                pause = float(response.headers.get('Retry-After', '1'))
        await asyncio.sleep(pause)
    return False


async def main():
    base, seconds = sys.argv[1], float(sys.argv[2])
    slots = asyncio.Semaphore(int(sys.argv[5]))
    requests, tokens = Bucket(int(sys.argv[3]), seconds), Bucket(int(sys.argv[4]), seconds)
    costs = [int(line) for line in sys.stdin]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        done = await asyncio.gather(*(one(session, '%s/cost/%d' % (base, cost), cost, slots,
                                          requests, tokens) for cost in costs))
    print(sum(done))


asyncio.run(main())

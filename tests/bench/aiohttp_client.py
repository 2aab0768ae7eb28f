"""aiohttp in the benchmark:   aiohttp_client.py URL REQUESTS AT_ONCE EXPECTED_BYTES [CA_FILE]"""
import asyncio
import ssl
import sys

import aiohttp


async def main(url, requests, at_once, expected, ca_file):
    context = ssl.create_default_context(cafile=ca_file) if ca_file else None
    numbers = iter(range(requests))
    good = 0

    async def worker(session):
        nonlocal good
        for n in numbers:
            async with session.get(url + str(n), ssl=context) as response:
                body = await response.read()
                good += response.status == 200 and len(body) == expected

    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(worker(session) for _ in range(at_once)))
    print("good=%d" % good)
    return good == requests


url, requests, at_once, expected = sys.argv[1:5]
ca_file = sys.argv[5] if len(sys.argv) > 5 else None
sys.exit(not asyncio.run(main(url, int(requests), int(at_once), int(expected), ca_file)))

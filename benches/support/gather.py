"""The naive client in Python: one gather over whole connections, which holds its sockets.

Reads lines `N ADDRESS`, opens that many sockets there, writes how many of them failed when all are decided, and drops
them at the next line. With `greeted` as its first argument a socket must also be greeted, else it failed; a second names
the certificate to trust.
"""

import asyncio
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

GREETED = "greeted" in sys.argv[1:]
TLS = ssl.create_default_context(cafile=sys.argv[2]) if len(sys.argv) > 2 else None


async def open_one(address):
    try:
        socket = await connect(address, open_timeout=60, ping_interval=None, proxy=None, ssl=TLS)
        if GREETED:
            await asyncio.wait_for(socket.recv(), 10)
        return socket
    except (WebSocketException, OSError):
        return None


async def main():
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        count, address = line.split()
        sockets = await asyncio.gather(*(open_one(address) for _ in range(int(count))))
        print(sockets.count(None), flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)
        for socket in filter(None, sockets):
            socket.transport.abort()


asyncio.run(main())

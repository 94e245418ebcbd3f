"""The naive client in Python: one gather over whole connections, which holds its sockets.

Reads a number of sockets from each line of its input, opens them at the address of its first argument, writes a line
when all are open, and drops them at the next line.
"""

import asyncio
import sys

from websockets.asyncio.client import connect


async def open_one(address):
    return await connect(address, open_timeout=60, ping_interval=None, proxy=None)


async def main(address):
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        sockets = await asyncio.gather(*(open_one(address) for _ in range(int(line))))
        print("open", flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)
        for socket in sockets:
            socket.transport.abort()


asyncio.run(main(sys.argv[1]))

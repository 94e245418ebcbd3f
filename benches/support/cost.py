"""What sockets cost in Python: `ADDRESS COUNT AT_ONCE [CERTIFICATE]` opens and closes that many, `AT_ONCE` at a time.

Prints their number a second, and microseconds of processor time for each. With `hold` for AT_ONCE all are held, and the
kilobytes of memory for each are printed.
"""

import asyncio
import ssl
import sys
import time

from websockets.asyncio.client import connect

ADDRESS, COUNT, AT_ONCE = sys.argv[1], int(sys.argv[2]), sys.argv[3]
TLS = ssl.create_default_context(cafile=sys.argv[4]) if len(sys.argv) > 4 else None


async def open_one():
    socket = await connect(ADDRESS, open_timeout=60, ping_interval=None, proxy=None, ssl=TLS)
    await socket.recv()
    return socket


async def open_and_close(count):
    for _ in range(count):
        await (await open_one()).close()


async def hold():
    held = [await open_one() for _ in range(100)]
    before = resident()
    for _ in range(COUNT // 50):
        held += await asyncio.gather(*(open_one() for _ in range(50)))
    print((resident() - before) / (len(held) - 100), flush=True)


def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


async def main():
    if AT_ONCE == "hold":
        return await hold()
    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(open_and_close(COUNT // int(AT_ONCE)) for _ in range(int(AT_ONCE))))
    print(COUNT / (time.perf_counter() - began), (time.process_time() - used) / COUNT * 1e6, flush=True)


asyncio.run(main())

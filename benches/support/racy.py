"""A FastAPI server with a same-user race: GET /?user=U&us=W checks, waits W microseconds, and acts.

The window is open for the other tasks of the loop, and for whoever wants the core, and as long as it says:
`asyncio.sleep` would round it up to the millisecond of the system's timer. Listens on the port that is its argument, and
prints it.
"""

import asyncio
import os
import socket
import sys
from time import perf_counter

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
users = set()


@app.websocket("/")
async def serve(websocket: WebSocket, user: str, us: float):
    lost = False
    if user not in users:
        end = perf_counter() + us / 1e6
        while perf_counter() < end:
            os.sched_yield()
            await asyncio.sleep(0)
        lost = user in users
        users.add(user)
    await websocket.accept()
    if lost:
        await websocket.close(1011)
        return
    try:
        await websocket.send_text("welcome")
        await websocket.receive_text()
    except WebSocketDisconnect:
        pass


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
print(listener.getsockname()[1], flush=True)
config = uvicorn.Config(app, log_level="error", ws_ping_interval=None)
uvicorn.Server(config).run(sockets=[listener])

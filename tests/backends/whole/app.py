"""A correct agent backend on FastAPI, with everything at once that a real one has.

Tokens (HS256, in Authorization; each bad one is refused with an error in the log and close 1008), a welcome, agent runs of
five events, a heartbeat, /health, and frames of any kind. Nothing in it is wrong.

Run: BACKEND_JWT_SECRET=... python -m uvicorn app:app --host 127.0.0.1 --port $PORT
"""

import asyncio
import json
import os
import sys
import uuid

import jwt
from fastapi import FastAPI, WebSocket

SECRET = os.environ["BACKEND_JWT_SECRET"]
HEARTBEAT = 0.5
STEP = 0.02

app = FastAPI()


def say(severity, message):
    print(json.dumps({"severity": severity, "message": message}), file=sys.stderr, flush=True)


def user_of(websocket):
    scheme, _, token = websocket.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise jwt.InvalidTokenError("no token")
    return jwt.decode(token, SECRET, algorithms=["HS256"], options={"require": ["sub", "exp"]})["sub"]


async def run_agent(send, user, message):
    fields = {"run_id": str(uuid.uuid4()), "user_id": user, "thread_id": message.get("thread_id")}
    request = message["payload"]["user_request"]
    await send({"type": "agent_started", "data": fields})
    await asyncio.sleep(STEP)
    await send({"type": "agent_event", "payload": {"type": "agent_thinking", **fields}})
    await asyncio.sleep(STEP)
    await send({"event": "tool_executing", "tool": "count_words", **fields})
    await asyncio.sleep(STEP)
    await send({"type": "tool_completed", "data": {"tool": "count_words", **fields}})
    await asyncio.sleep(STEP)
    await send({"type": "agent_completed", "payload": {**fields, "result": f"done: {request}"}})


async def answer(send, user, text):
    try:
        message = json.loads(text)
        kind = message["type"]
    except (ValueError, KeyError, TypeError):
        await send({"type": "error", "error": "not a message"})
        return
    if kind == "ping":
        await send({"type": "pong", "payload": message.get("payload")})
    elif kind == "start_agent":
        await run_agent(send, user, message)
    else:
        await send({"type": "error", "error": "unknown type"})


async def heartbeats(send):
    while True:
        await asyncio.sleep(HEARTBEAT)
        await send({"type": "heartbeat"})


@app.websocket("/ws")
async def endpoint(websocket: WebSocket):
    try:
        user = user_of(websocket)
    except jwt.PyJWTError as error:
        say("ERROR", f"authentication failed: {error}")
        await websocket.accept()
        await websocket.send_json({"type": "error", "error": "authentication failed"})
        await websocket.close(1008, "authentication failed")
        return
    await websocket.accept()
    send = websocket.send_json
    await send({"type": "handshake_validation", "data": {"status": "accepted"}})
    data = {"event": "connection_established", "startup_complete": True, "user_id": user}
    await send({"type": "system_message", "data": data})
    beating = asyncio.create_task(heartbeats(send))
    try:
        while (event := await websocket.receive())["type"] == "websocket.receive":
            text = event.get("text")
            await answer(send, user, (event.get("bytes") or b"").decode(errors="replace") if text is None else text)
    finally:
        beating.cancel()


@app.get("/health")
async def health():
    return {"status": "healthy"}

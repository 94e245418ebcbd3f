"""An agent backend on FastAPI with everything at once that a real one has, and one defect or none, by BACKEND_MODE.

Tokens (HS256, in Authorization; each bad one is refused with an error in the log and close 1008), a welcome, agent runs of
five events, a heartbeat, /health, and frames of any kind. What fails writes an error into its log, as a real one does.

fixed               nothing is wrong
dies                agent_started, and seven seconds later close 1011
fallback            the supervisor is missing, and a fallback plays the five events
degraded-welcome    the welcome says that services are missing
wrong-order         tool_completed comes before tool_executing
missing-completion  everything but agent_completed
leak                the result is of whichever run was begun last: wrong only where two overlap
bad-1011            a bad token is answered with close 1011
bad-1006            a bad token raises in the handler: the connection ends without a close frame
bad-accepted        a bad token is served like a good one
heartbeat-never     no heartbeat comes
sockets-die         /health is well, and every socket is closed with 1011
errors-in-log       everybody is served, and each agent run writes an error

Run: BACKEND_JWT_SECRET=... python -m uvicorn app:app --host 127.0.0.1 --port $PORT
"""

import asyncio
import json
import os
import sys
import uuid

import jwt
from fastapi import FastAPI, WebSocket

MODE = os.environ.get("BACKEND_MODE") or "fixed"
SECRET = os.environ["BACKEND_JWT_SECRET"]
HEARTBEAT = 0.5
STEP = 0.02
DELAY = 7

app = FastAPI()
latest = {}


class Died(Exception):
    """The agent is gone."""


def say(severity, message):
    print(json.dumps({"severity": severity, "message": message}), file=sys.stderr, flush=True)


def user_of(websocket):
    scheme, _, token = websocket.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise jwt.InvalidTokenError("no token")
    return jwt.decode(token, SECRET, algorithms=["HS256"], options={"require": ["sub", "exp"]})["sub"]


def events(fields, request):
    """The events of a run: their fields under data, under payload, or flat."""
    yield {"type": "agent_started", "data": fields}
    yield {"type": "agent_event", "payload": {"type": "agent_thinking", **fields}}
    tool = [
        {"event": "tool_executing", "tool": "count_words", **fields},
        {"type": "tool_completed", "data": {"tool": "count_words", **fields}},
    ]
    yield from reversed(tool) if MODE == "wrong-order" else tool
    if MODE == "missing-completion":
        say("WARNING", "a run has no result")
        return
    done = latest["request"] if MODE == "leak" else request
    yield {"type": "agent_completed", "payload": {**fields, "result": f"done: {done}"}}


async def fall_back(send):
    for name in ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"]:
        await send({"type": name, "data": {"agent": "fallback_handler", "fallback_active": True}})
        await asyncio.sleep(0.1)


async def run_agent(send, user, message):
    fields = {"run_id": str(uuid.uuid4()), "user_id": user, "thread_id": message.get("thread_id")}
    request = message["payload"]["user_request"]
    latest["request"] = request
    if MODE == "errors-in-log":
        say("ERROR", "Redis manager lost its connection")
    if MODE == "fallback":
        await fall_back(send)
        return
    for event in events(fields, request):
        await send(event)
        if MODE == "dies":
            await asyncio.sleep(DELAY)
            raise Died("orchestrator is None")
        await asyncio.sleep(STEP)


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
    while MODE != "heartbeat-never":
        await asyncio.sleep(HEARTBEAT)
        await send({"type": "heartbeat"})


async def refuse(websocket, error):
    say("ERROR", f"authentication failed: {error}")
    await websocket.accept()
    if MODE == "bad-1006":
        raise RuntimeError("the token could not be read")
    if MODE == "bad-accepted":
        await converse(websocket, "anonymous")
        return
    await websocket.send_json({"type": "error", "error": "authentication failed"})
    await websocket.close(1011 if MODE == "bad-1011" else 1008, "authentication failed")


async def converse(websocket, user):
    send = websocket.send_json
    await send({"type": "handshake_validation", "data": {"status": "accepted"}})
    data = {"event": "connection_established", "startup_complete": True, "user_id": user}
    if MODE == "degraded-welcome":
        data |= {"degraded_mode": True, "service_info": {"missing": ["supervisor"]}}
    await send({"type": "system_message", "data": data})
    beating = asyncio.create_task(heartbeats(send))
    try:
        while (event := await websocket.receive())["type"] == "websocket.receive":
            text = event.get("text")
            await answer(send, user, (event.get("bytes") or b"").decode(errors="replace") if text is None else text)
    except Died as error:
        say("ERROR", f"the agent died: {error}")
        await websocket.close(1011, str(error))
    finally:
        beating.cancel()


@app.websocket("/ws")
async def endpoint(websocket: WebSocket):
    try:
        user = user_of(websocket)
    except jwt.PyJWTError as error:
        await refuse(websocket, error)
        return
    await websocket.accept()
    if MODE == "sockets-die":
        await websocket.close(1011, "Factory init failed")
        return
    await converse(websocket, user)


@app.get("/health")
async def health():
    return {"status": "healthy"}

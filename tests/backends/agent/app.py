"""An agent backend on FastAPI with one defect in its runs, or none, chosen by BACKEND_MODE.

fixed               five events in order, in three envelopes; what belongs to one user stays with that user
dies                agent_started, and BACKEND_DELAY_MS (7000) later close 1011
fallback            the supervisor is missing, and a fallback plays the five events
degraded-welcome    the welcome says that services are missing
late-start          the welcome says that start-up is not complete
wrong-order         tool_completed comes before tool_executing
missing-completion  everything but agent_completed
error               agent_error in the middle of a run
dies-after          close 1011 right behind agent_completed
leak                the last event of a run is of whichever run was begun last: wrong only where two overlap

BACKEND_STEP_MS     time between two events (50)

Run: python -m uvicorn app:app --host 127.0.0.1 --port $PORT
"""

import asyncio
import json
import os
import uuid

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

MODE = os.environ.get("BACKEND_MODE") or "fixed"
STEP = float(os.environ.get("BACKEND_STEP_MS") or 50) / 1000
DELAY = float(os.environ.get("BACKEND_DELAY_MS") or 7000) / 1000

app = FastAPI()
latest = {}


class Died(Exception):
    """The agent is gone."""


async def welcome(websocket, user):
    await websocket.send_json({"type": "handshake_validation", "data": {"status": "accepted"}})
    await websocket.send_json({"type": "ping", "data": {}})
    data = {"event": "connection_established", "startup_complete": MODE != "late-start", "user_id": user}
    if MODE == "degraded-welcome":
        data |= {"degraded_mode": True, "service_info": {"missing": ["supervisor"]}}
    await websocket.send_json({"type": "system_message", "data": data})


def events(run):
    """The events of a run: its fields under data, under payload, or flat."""
    fields = {"run_id": run["run_id"], "user_id": run["user"], "thread_id": run["thread_id"]}
    yield {"type": "agent_started", "data": fields}
    yield {"type": "agent_event", "payload": {"type": "agent_thinking", **fields}}
    yield {"event": "tool_executing", "tool": "count_words", **fields}
    yield {"type": "tool_completed", "data": {"tool": "count_words", **fields}}
    done = latest if MODE == "leak" else run
    result = f"done: {done['request']}"
    yield {"type": "agent_completed", "payload": {**fields, "run_id": done["run_id"], "result": result}}


async def run_agent(websocket, user, message):
    run = {
        "run_id": str(uuid.uuid4()),
        "user": user,
        "thread_id": message.get("thread_id"),
        "request": message["payload"]["user_request"],
    }
    latest.clear()
    latest.update(run)
    if MODE == "fallback":
        for name in ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"]:
            await websocket.send_json({"type": name, "data": {"agent": "fallback_handler", "fallback_active": True}})
            await asyncio.sleep(0.1)
        return
    for number, event in enumerate(events(run)):
        if MODE == "dies" and number == 1:
            await asyncio.sleep(DELAY)
            raise Died("orchestrator is None")
        if MODE == "error" and number == 2:
            await websocket.send_json({"type": "agent_error", "data": {"message": "the model is gone"}})
        if MODE == "missing-completion" and number == 4:
            return
        if MODE == "wrong-order" and number in (2, 3):
            event = {"type": ["tool_completed", "tool_executing"][number - 2], "data": {}}
        await websocket.send_json(event)
        await asyncio.sleep(STEP)
    if MODE == "dies-after":
        raise Died("late")


async def answer(websocket, user, text):
    message = json.loads(text)
    if message.get("type") == "start_agent":
        await run_agent(websocket, user, message)
    elif message.get("type") == "ping":
        await websocket.send_json({"type": "pong", "payload": message.get("payload")})
    else:
        await websocket.send_json({"type": "error", "error": "unknown type"})


@app.websocket("/ws")
async def endpoint(websocket: WebSocket):
    user = websocket.query_params.get("user") or "user-001"
    await websocket.accept()
    try:
        await welcome(websocket, user)
        while True:
            await answer(websocket, user, await websocket.receive_text())
    except Died as error:
        await websocket.close(1011, str(error))
    except WebSocketDisconnect:
        pass

"""A WebSocket backend on FastAPI whose inside is unwell, or not, chosen by BACKEND_MODE.

fixed             correct; writes much on both streams, and one line that looks like an error and has no severity
naive             correct; its handler dies of each client's leaving, as in many a tutorial
sockets-die       /health is well, every socket is closed with 1011
errors-in-log     every socket is served, and after each an error is written: a JSON line with its severity
traceback-in-log  every socket is served, and after each an exception is written as plain text
known-error       as errors-in-log, but it is the one that everybody knows of
crash             every socket is served, and the process ends when an agent is asked for (POST /agent)
wrong-json        /health says that it is degraded
tenth             the tenth request under way at once is answered with 500
redirect          /health leads to another host
echo              /echo gives back every header, and writes them at ERROR
slow              /health takes three quarters of a second

Run: python -m uvicorn app:app --host 127.0.0.1 --port $PORT
"""

import asyncio
import json
import logging
import os
import sys
import traceback

from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, RedirectResponse

MODE = os.environ.get("BACKEND_MODE") or "fixed"
REVISION = os.environ.get("K_REVISION", "local")
ECHO = [] if os.environ.get("BACKEND_ECHO") == "none" else [(b"x-revision", REVISION.encode())]

app = FastAPI()
logging.basicConfig(stream=sys.stderr, level=logging.INFO)
log = logging.getLogger("inside")
under_way = 0


def say(severity, message, **more):
    print(json.dumps({"severity": severity, "message": message, **more}), flush=True)


def after_a_socket():
    if MODE == "errors-in-log":
        say("ERROR", "Redis manager lost its connection", component="redis")
    elif MODE == "known-error":
        say("ERROR", "metrics exporter is not configured")
    elif MODE == "traceback-in-log":
        try:
            json.dumps({"state": object()})
        except TypeError:
            traceback.print_exc()
            sys.stderr.flush()
    else:
        say("INFO", "socket closed", revision=REVISION)
        say("WARNING", "cache is cold")
        log.info("ERROR counters are all zero")


@app.get("/health")
async def health():
    if MODE == "wrong-json":
        return {"status": "degraded", "ready": True, "version": "1.4.2"}
    if MODE == "redirect":
        return RedirectResponse("https://elsewhere.example/health\x1b[31m", status_code=302)
    if MODE == "slow":
        await asyncio.sleep(0.75)
    return {"status": "healthy", "ready": True, "version": "1.4.2", "revision": REVISION}


@app.get("/work")
async def work():
    global under_way
    under_way += 1
    try:
        if MODE == "tenth" and under_way >= 10:
            return JSONResponse({"detail": "pool exhausted"}, status_code=500)
        await asyncio.sleep(0.3)
        return {"done": True}
    finally:
        under_way -= 1


@app.post("/agent")
async def agent(request: Request):
    if MODE == "crash":
        os._exit(3)
    return {"asked": await request.json(), "by": request.headers.get("x-tenant")}


@app.get("/echo")
async def echo(request: Request):
    headers = dict(request.headers)
    if MODE == "echo":
        say("ERROR", f"asked with {headers.get('x-key')} and {headers.get('authorization')}")
        say("ERROR", "asked with", all=headers)
        print(json.dumps({"severity": "ERROR", "headers": headers}), flush=True)
    return {"headers": headers}


@app.get("/large")
async def large():
    return Response('{"status": "healthy", "fill": "' + "x" * (2 << 20) + '"}', media_type="application/json")


@app.websocket("/ws")
async def endpoint(websocket: WebSocket):
    await websocket.accept(headers=ECHO)
    if MODE == "sockets-die":
        await websocket.close(1011, "Internal error")
        return
    try:
        await websocket.send_json({"type": "welcome"})
        while True:
            message = json.loads(await websocket.receive_text())
            await websocket.send_json({"type": "pong", "nonce": message.get("nonce")})
    except WebSocketDisconnect:
        if MODE == "naive":
            raise
        after_a_socket()

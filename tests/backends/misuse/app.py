"""A WebSocket backend on FastAPI that treats bad tokens or bad frames wrongly, or properly, by BACKEND_MODE.

properly by how a bad token is refused; each writes an error into its log, as a healthy server does:
refuse-401            401 before the upgrade
refuse-403            close before the accept, which the server makes a 403
refuse-1008           the upgrade, an error frame that repeats the token, and close 1008
refuse-4001           the upgrade, and close 4001
hello-then-1008       a first frame for everybody, before the token is looked at; then close 1008

wrongly, with a bad token:
bad-1011              the upgrade, and close 1011
bad-1006              the handler raises behind the upgrade: the connection ends without a close frame
bad-500               the handler raises before the upgrade
bad-accepted          served like a good one
bad-silence           accepted, and nothing ever comes
bad-mute              an error frame, and the socket stays open
bad-poisons           refused with 403; from then on good tokens are refused, too
expired-accepted      what is expired is served; everything else is refused with 403
welcome-then-1008     the welcome comes for every token that has claims; then close 1008

with the token in the first message, and not in a header:
first-waits           whatever is no token is passed over; after BACKEND_WAIT_MS (default 6000) without a good one, close 1008
first-forever         the same, and it waits for ever
first-closes          a first message that is no good token is refused with 1008 at once; without one it waits as first-waits

wrongly, with a bad frame:
text-only             reads texts alone: a binary frame raises
json-only             what is no JSON raises
kills-everybody       what is no JSON ends the sockets of all users
kills-third           each third text that is no JSON ends the socket of one other user
hangs                 after what is no JSON nothing is ever answered
half-close-kills      a connection that is not closed with 1000 ends the process

wrongly, while a socket is held:
drops                 every socket ends after BACKEND_DROP_MS (default 6000) without a close frame
heartbeat-never       no heartbeat comes; every other mode sends one each BACKEND_HEARTBEAT_MS (default 500)
errors-later          after two seconds an error frame comes, and the socket stays open

properly, while a socket is held:
wants-heartbeat       a client that sends no heartbeat for two seconds is closed with 4408; every mode answers those that come
session-over          every socket is closed after three seconds with 1000
counts                every message is told on standard error, with its user and the time

Run: BACKEND_JWT_SECRET=... python -m uvicorn app:app --host 127.0.0.1 --port $PORT
"""

import asyncio
import base64
import contextlib
import json
import logging
import os
import sys
import time

import jwt
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from starlette.responses import PlainTextResponse

MODE = os.environ.get("BACKEND_MODE") or "refuse-403"
SECRET = os.environ.get("BACKEND_JWT_SECRET") or "a-signing-key-that-is-long-enough-for-hs256"
AUDIENCE = os.environ.get("BACKEND_AUDIENCE")
HEARTBEAT = float(os.environ.get("BACKEND_HEARTBEAT_MS") or 500) / 1000
WAIT = float(os.environ.get("BACKEND_WAIT_MS") or 6000) / 1000
DROP = float(os.environ.get("BACKEND_DROP_MS") or 6000) / 1000

log = logging.getLogger("backend")
app = FastAPI()
sockets = set()
poisoned = False
bad_texts = 0


class Refused(Exception):
    """The client may not open a socket."""


def verified(token):
    options = {"require": ["sub", "exp"], "verify_aud": bool(AUDIENCE), "verify_exp": MODE != "expired-accepted"}
    return jwt.decode(token, SECRET, algorithms=["HS256"], audience=AUDIENCE, options=options)["sub"]


def user_of(websocket):
    scheme, _, token = websocket.headers.get("authorization", "").partition(" ")
    if poisoned:
        raise Refused("somebody came with a bad token")
    if scheme.lower() != "bearer" or not token:
        raise Refused("no token")
    try:
        return verified(token)
    except jwt.PyJWTError as error:
        raise Refused(str(error)) from error


def has_claims(websocket):
    """Whether the token has claims that can be read, whoever signed them."""
    try:
        token = websocket.headers["authorization"].partition(" ")[2]
        claims = token.split(".")[1]
        return "sub" in json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    except (KeyError, IndexError, ValueError):
        return False


async def refuse(websocket, error):
    global poisoned
    log.error("refused a token: %s", error)
    if MODE == "refuse-401":
        await websocket.send_denial_response(PlainTextResponse("unauthorized", status_code=401))
        return
    if MODE == "bad-500":
        raise RuntimeError("the token could not be read")
    poisoned = MODE == "bad-poisons"
    after = {"refuse-1008", "refuse-4001", "hello-then-1008", "welcome-then-1008"}
    if MODE not in after and not MODE.startswith("bad-") or poisoned:
        await websocket.close()
        return
    await websocket.accept()
    if MODE == "hello-then-1008":
        await websocket.send_json({"type": "hello"})
    elif MODE == "welcome-then-1008" and has_claims(websocket):
        await websocket.send_json({"type": "hello"})
        await websocket.send_json({"type": "welcome", "user": "somebody"})
    elif MODE in ("refuse-1008", "bad-mute"):
        # Says back what it was given, as some do.
        shown = websocket.headers.get("authorization", "no token")
        await websocket.send_json({"type": "error", "error": f"authentication failed: {shown}"})
    elif MODE == "bad-1006":
        raise RuntimeError("the token could not be read")
    elif MODE == "bad-accepted":
        await converse(websocket, "anonymous")
        return
    if MODE in ("bad-silence", "bad-mute"):
        while (await websocket.receive())["type"] == "websocket.receive":
            pass
        return
    code = {"bad-1011": 1011, "refuse-4001": 4001}.get(MODE, 1008)
    await websocket.close(code, "authentication failed")


async def first_message(websocket):
    """The user of the first message that holds a good token; None where the socket was closed instead."""
    with contextlib.suppress(TimeoutError, WebSocketDisconnect):
        async with asyncio.timeout(None if MODE == "first-forever" else WAIT):
            while True:
                text = await websocket.receive_text()
                try:
                    return verified(text)
                except jwt.PyJWTError:
                    if MODE == "first-closes":
                        break
    with contextlib.suppress(RuntimeError):
        await websocket.close(1008, "no token")
    return None


async def limits(websocket):
    """What ends or disturbs a socket while it is held."""
    if MODE == "session-over":
        await asyncio.sleep(3)
        await websocket.close(1000, "session over")
    elif MODE == "errors-later":
        await asyncio.sleep(2)
        await websocket.send_json({"type": "error", "error": "the session store is gone"})
    while MODE == "wants-heartbeat":
        await asyncio.sleep(0.1)
        if asyncio.get_running_loop().time() - websocket.state.heard > 2:
            await websocket.close(4408, "no heartbeat")
            return


async def heartbeats(websocket):
    while MODE != "heartbeat-never":
        await asyncio.sleep(HEARTBEAT)
        await websocket.send_json({"type": "heartbeat"})


async def messages(websocket):
    """Every message of the client as text, until it goes."""
    while True:
        if MODE == "text-only":
            yield await websocket.receive_text()
            continue
        event = await websocket.receive()
        if event["type"] != "websocket.receive":
            if MODE == "half-close-kills" and event.get("code") != 1000:
                os._exit(1)
            return
        text = event.get("text")
        yield (event.get("bytes") or b"").decode(errors="replace") if text is None else text


async def answer(websocket, text):
    global bad_texts
    try:
        message = json.loads(text)
        if not isinstance(message, dict):
            raise ValueError("not an object")
    except ValueError:
        if MODE == "json-only":
            raise
        if MODE == "kills-everybody":
            for other in list(sockets):
                await other.close(1011, "internal error")
            return False
        if MODE == "hangs":
            return False
        bad_texts += 1
        if MODE == "kills-third" and bad_texts % 3 == 0:
            others = sorted((other for other in sockets if other is not websocket), key=lambda other: other.state.user)
            for other in others[:1]:
                await other.close(1011, "internal error")
        await websocket.send_json({"type": "error", "error": "a message is a JSON object"})
        return True
    if message.get("type") == "heartbeat":
        websocket.state.heard = asyncio.get_running_loop().time()
        await websocket.send_json({"type": "heartbeat_ack"})
    elif message.get("type") == "ping":
        await websocket.send_json({"type": "pong", "nonce": message.get("nonce")})
    else:
        await websocket.send_json({"type": "error", "error": "unknown type"})
    return True


async def converse(websocket, user):
    sockets.add(websocket)
    websocket.state.user = user
    websocket.state.heard = asyncio.get_running_loop().time()
    beating = asyncio.create_task(heartbeats(websocket))
    limiting = asyncio.create_task(limits(websocket))
    try:
        await websocket.send_json({"type": "hello"})
        await websocket.send_json({"type": "welcome", "user": user})
        answers = True
        async for text in messages(websocket):
            if MODE == "counts":
                print("message", user, time.time(), file=sys.stderr, flush=True)
            answers = answers and await answer(websocket, text)
    finally:
        sockets.discard(websocket)
        for task in (beating, limiting):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


@app.websocket("/ws")
async def endpoint(websocket: WebSocket):
    if MODE.startswith("first-"):
        await websocket.accept()
        user = await first_message(websocket)
        if user is not None:
            await converse(websocket, user)
        return
    try:
        user = user_of(websocket)
    except Refused as error:
        await refuse(websocket, error)
        return
    await websocket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        if MODE == "drops":
            async with asyncio.timeout(DROP):
                await converse(websocket, user)
        else:
            await converse(websocket, user)

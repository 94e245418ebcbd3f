"""A WebSocket backend on FastAPI with one start-up defect, or none, chosen by BACKEND_MODE.

fixed                      correct under concurrency
fixed-singleton            correct under concurrency: one session for everybody, made by the first, gone with the last
check-then-act             two sockets of one user at once: the later one is closed with 1011
check-then-act-exception   the same race, but the later one raises: the connection ends without a close frame
singleton                  the same for any two sockets, whoever they are: again whenever everybody has left
early-message              what the client says within the window after the 101 is lost
startup-race               sockets within the window after start-up are closed with 1011
lazy-start                 the same, but the window begins with the first socket
flaky                      one socket in fifty, whoever it is, fails
crash                      one socket in a hundred, whoever it is, takes its process along: for several workers
silent                     accepts and never says anything
health-ok-sockets-die      /health is well, every socket is closed with 1011

BACKEND_WINDOW_MS   length of the window; each mode has its own default; a fraction is kept to
BACKEND_FAILURE     how check-then-act, singleton, startup-race and flaky fail: 1011 (the default), 1006, 500 or silence
BACKEND_SEED        draws the sockets that flaky and crash fail: the same ones each time; without it others each time
BACKEND_JWT_SECRET  when set, a valid HS256 token is asked for and names the user

Run: python -m uvicorn app:app --host 127.0.0.1 --port $PORT
"""

import asyncio
import base64
import functools
import json
import os
import random
import time
from collections import defaultdict
from contextlib import asynccontextmanager

import jwt
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

MODE = os.environ.get("BACKEND_MODE") or "fixed"
DEFAULT_WINDOW_MS = {"early-message": 50, "startup-race": 2000, "lazy-start": 100}
WINDOW = float(os.environ.get("BACKEND_WINDOW_MS") or DEFAULT_WINDOW_MS.get(MODE, 1)) / 1000
FAILURE = os.environ.get("BACKEND_FAILURE") or ("1006" if MODE == "check-then-act-exception" else "1011")
SECRET = os.environ.get("BACKEND_JWT_SECRET")
CHANCE = random.Random(os.environ.get("BACKEND_SEED"))
REVISION = os.environ.get("K_REVISION", "local")
# On Cloud Run an instance's id comes from the metadata server; here the process is the instance.
NAMES = [(b"x-revision", REVISION.encode()), (b"x-instance", str(os.getpid()).encode())]


class Refused(Exception):
    """The client may not open a socket."""


class FactoryError(Exception):
    """A user's session could not be made."""


async def window():
    """Waits, as for another service; shorter than a timer can wait, it only lets others run, once at least."""
    if WINDOW >= 0.001:
        await asyncio.sleep(WINDOW)
        return
    end = time.perf_counter() + WINDOW
    while True:
        await asyncio.sleep(0)
        if time.perf_counter() >= end:
            return


class Sessions:
    """One session a user, shared by all sockets of that user; made by the first and removed with the last."""

    def __init__(self):
        self.sockets = defaultdict(int)
        self.made = {}
        self.locks = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def joined(self, user):
        # Counted before the first await: nobody can remove the entry while this socket waits for the lock.
        self.sockets[user] += 1
        try:
            async with self.locks[user]:
                await self.make(user)
            yield self.made[user]
        finally:
            self.sockets[user] -= 1
            if self.sockets[user] == 0:
                for table in (self.sockets, self.made, self.locks):
                    table.pop(user, None)

    async def make(self, user):
        if user not in self.made:
            await window()
            self.made[user] = {"user": user}


class RacySessions(Sessions):
    """The same without the lock: between the check and the act another socket of the user may act."""

    @asynccontextmanager
    async def joined(self, user):
        if user not in self.made:
            await window()
            if user in self.made:
                raise FactoryError(f"Factory init failed: session of {user} exists")
            self.made[user] = {"user": user}
        self.sockets[user] += 1
        try:
            yield self.made[user]
        finally:
            self.sockets[user] -= 1
            if self.sockets[user] == 0:
                del self.sockets[user], self.made[user]


class Supervisor:
    """What every session needs; `ready` says whether it has been made."""

    def __init__(self):
        self.ready = False
        self.starting = None

    def start(self):
        if self.starting is None:
            self.starting = asyncio.create_task(self.become_ready())

    async def become_ready(self):
        await asyncio.sleep(WINDOW)
        self.ready = True


sessions = Sessions()
racy_sessions = RacySessions()
supervisor = Supervisor()


# --- the conversation -------------------------------------------------------------------------------------------


async def welcome(websocket, user):
    await websocket.send_json({"type": "welcome", "revision": REVISION, "user": user})


async def answer(websocket, text):
    try:
        message = json.loads(text)
        if not isinstance(message, dict):
            raise ValueError("not an object")
    except ValueError:
        await websocket.send_json({"type": "error", "error": "a message is a JSON object"})
        return
    if message.get("type") == "ping":
        await websocket.send_json({"type": "pong", "nonce": message.get("nonce")})
    else:
        await websocket.send_json({"type": "error", "error": "unknown type"})


async def texts(websocket):
    """Every message of the client, binary ones too, until it goes."""
    while (event := await websocket.receive())["type"] == "websocket.receive":
        text = event.get("text")
        yield (event.get("bytes") or b"").decode(errors="replace") if text is None else text


async def converse(websocket, user):
    if accept := websocket.scope.pop("accept", None):
        await accept()
    await welcome(websocket, user)
    async for text in texts(websocket):
        await answer(websocket, text)


# --- the modes --------------------------------------------------------------------------------------------------


async def fixed(websocket, user):
    async with sessions.joined(user):
        await converse(websocket, user)


async def check_then_act(websocket, user):
    async with racy_sessions.joined(user):
        await converse(websocket, user)


async def singleton(websocket, user):
    async with racy_sessions.joined("everybody"):
        await converse(websocket, user)


async def fixed_singleton(websocket, user):
    async with sessions.joined("everybody"):
        await converse(websocket, user)


async def fail(websocket, error):
    if FAILURE == "1011":
        await websocket.close(1011, str(error))
    elif FAILURE == "silence":
        async for _ in texts(websocket):
            pass
    else:
        # Without a close frame after the accept, with a 500 before it.
        raise error


async def early_message(websocket, user):
    handlers = []

    async def attach():
        await asyncio.sleep(WINDOW)
        handlers.append(answer)

    # The reader runs from the first moment and hands each message to whoever listens: at first, nobody.
    attaching = asyncio.create_task(attach())
    await welcome(websocket, user)
    async for text in texts(websocket):
        for handler in handlers:
            await handler(websocket, text)
    await attaching


async def startup_race(websocket, user):
    if not supervisor.ready:
        raise FactoryError("supervisor not ready")
    await fixed(websocket, user)


async def lazy_start(websocket, user):
    supervisor.start()
    await startup_race(websocket, user)


async def flaky(websocket, user):
    if CHANCE.random() < 0.02:
        raise FactoryError("a bad day")
    await fixed(websocket, user)


async def crash(websocket, user):
    if CHANCE.random() < 0.01:
        os._exit(1)
    await fixed(websocket, user)


async def silent(websocket, user):
    async for _ in texts(websocket):
        pass


async def health_ok_sockets_die(websocket, user):
    await websocket.close(1011, "Internal error")


MODES = {
    "fixed": fixed,
    "check-then-act": check_then_act,
    "check-then-act-exception": check_then_act,
    "singleton": singleton,
    "fixed-singleton": fixed_singleton,
    "early-message": early_message,
    "startup-race": startup_race,
    "lazy-start": lazy_start,
    "flaky": flaky,
    "crash": crash,
    "silent": silent,
    "health-ok-sockets-die": health_ok_sockets_die,
}
serve = MODES[MODE]


# --- who asks ---------------------------------------------------------------------------------------------------


def token_of(websocket):
    """The token, from `Authorization: Bearer` or from the subprotocol `jwt.<base64url(token)>`."""
    scheme, _, token = websocket.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token
    for protocol in websocket.scope["subprotocols"]:
        if protocol.startswith("jwt."):
            encoded = protocol.removeprefix("jwt.")
            return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    raise Refused("no token")


def user_of(websocket):
    if not SECRET:
        return websocket.query_params.get("user") or "user-001"
    try:
        options = {"require": ["sub", "exp"], "verify_aud": False}
        return jwt.decode(token_of(websocket), SECRET, algorithms=["HS256"], options=options)["sub"]
    except (ValueError, jwt.PyJWTError) as error:
        raise Refused("bad token") from error


# --- the application --------------------------------------------------------------------------------------------


@asynccontextmanager
async def lifespan(_):
    if MODE == "startup-race":
        supervisor.start()
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def health():
    return {"status": "ok", "revision": REVISION}


@app.websocket("/ws")
async def endpoint(websocket: WebSocket):
    try:
        user = user_of(websocket)
    except Refused:
        # Before the accept: the server answers the upgrade with 403.
        await websocket.close()
        return
    offered = websocket.scope["subprotocols"]
    chosen = "jwt-auth" if "jwt-auth" in offered else next(iter(offered), None)
    accept = functools.partial(
        websocket.accept, subprotocol=chosen, headers=NAMES
    )
    if FAILURE == "500":
        # Everything is decided before the answer: `converse` accepts.
        websocket.scope["accept"] = accept
    else:
        await accept()
    try:
        await serve(websocket, user)
    except WebSocketDisconnect:
        pass
    except FactoryError as error:
        await fail(websocket, error)

"""A WebSocket backend with a thread for each socket, with one defect or none, chosen by BACKEND_MODE.

fixed            correct under concurrency: one session a user
fixed-singleton  correct under concurrency: one session for everybody, made by the first, gone with the last
check-then-act   two sockets of one user at once: the later one fails
singleton        the same for any two sockets, whoever they are: again whenever everybody has left
startup-race     sockets within the window after the port was opened fail

BACKEND_WINDOW_MS   length of the window; a fraction is kept to
BACKEND_FAILURE     how a socket fails: 1011 (the default), 1006, 500 or silence

Run: PORT=8080 python server.py
"""

import json
import os
import socket
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

MODE = os.environ.get("BACKEND_MODE") or "fixed"
WINDOW = float(os.environ.get("BACKEND_WINDOW_MS") or {"startup-race": 2000}.get(MODE, 1)) / 1000
FAILURE = os.environ.get("BACKEND_FAILURE") or "1011"
REVISION = os.environ.get("K_REVISION", "local")


class FactoryError(Exception):
    """A session could not be made."""


def window():
    """Waits, as for another service; shorter than a timer can wait, it only lets others have the interpreter."""
    if WINDOW >= 0.001:
        time.sleep(WINDOW)
        return
    end = time.perf_counter() + WINDOW
    while time.perf_counter() < end:
        time.sleep(0)


class Sessions:
    """One session a key, shared by all sockets of that key; made by the first and removed with the last."""

    def __init__(self, racy):
        self.racy = racy
        self.lock = threading.Lock()
        self.sockets = defaultdict(int)
        self.made = {}

    def join(self, key):
        if self.racy:
            self.make(key)
        else:
            with self.lock:
                self.make(key)
                self.sockets[key] += 1
            return
        with self.lock:
            self.sockets[key] += 1

    def make(self, key):
        if key in self.made:
            return
        window()
        if key in self.made:
            raise FactoryError(f"session of {key} exists")
        self.made[key] = {"key": key}

    def leave(self, key):
        with self.lock:
            self.sockets[key] -= 1
            if self.sockets[key] == 0:
                self.sockets.pop(key)
                self.made.pop(key, None)


class Supervisor:
    """What every session needs; it is made some time after the port was opened."""

    def __init__(self):
        self.ready_at = time.monotonic() + WINDOW if MODE == "startup-race" else 0

    def check(self):
        if time.monotonic() < self.ready_at:
            raise FactoryError("supervisor not ready")


sessions = Sessions(racy=MODE in ("check-then-act", "singleton"))
supervisor = None


def key_of(path):
    user = parse_qs(urlsplit(path).query).get("user", ["user-001"])[0]
    return "everybody" if MODE.endswith("singleton") else user


@contextmanager
def joined(path):
    supervisor.check()
    key = key_of(path)
    sessions.join(key)
    try:
        yield key
    finally:
        sessions.leave(key)


def before_the_answer(connection, request):
    """Runs in the socket's thread, before the 101."""
    if FAILURE != "500":
        return None
    try:
        connection.entered = joined(request.path)
        connection.entered.__enter__()
    except FactoryError as error:
        return connection.respond(HTTPStatus.INTERNAL_SERVER_ERROR, f"{error}\n")
    return None


def name_revision(connection, request, response):
    response.headers["x-revision"] = REVISION
    response.headers["x-instance"] = str(os.getpid())


def answer(text):
    message = json.loads(text)
    if message.get("type") == "ping":
        return {"type": "pong", "nonce": message.get("nonce")}
    return {"type": "error", "error": "unknown type"}


def converse(connection):
    connection.send(json.dumps({"type": "welcome", "revision": REVISION}))
    for text in connection:
        connection.send(json.dumps(answer(text)))


def fail(connection):
    if FAILURE == "1011":
        connection.close(1011, "Factory init failed")
    elif FAILURE == "1006":
        connection.socket.shutdown(socket.SHUT_RDWR)
    else:
        for _ in connection:
            pass


def endpoint(connection):
    try:
        if FAILURE == "500":
            try:
                converse(connection)
            finally:
                connection.entered.__exit__(None, None, None)
            return
        with joined(connection.request.path):
            converse(connection)
    except FactoryError:
        fail(connection)
    except ConnectionClosed:
        pass


def main():
    global supervisor
    options = {"process_request": before_the_answer, "process_response": name_revision, "compression": None}
    with serve(endpoint, "127.0.0.1", int(os.environ.get("PORT") or 8080), **options) as server:
        supervisor = Supervisor()
        server.serve_forever()


main()

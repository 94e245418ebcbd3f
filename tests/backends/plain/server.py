"""A WebSocket backend written by hand, with a thread for each socket, that misbehaves as no library lets it.

Nothing but Python's own modules is needed. BACKEND_MODE chooses:

fixed            answers each text with a pong
late             two sockets of anybody at once: the later one is answered, and closed with 1011 100 ms later
startup          who is accepted within 300 ms after the first accept is closed with 1011
limit            a socket beyond BACKEND_LIMIT at once is closed with 4429
rate             behind BACKEND_LIMIT texts in all each text is answered by a close 1008, "rate limit exceeded"
takeover         a socket whose user still holds another is closed with 1011
replace          the older socket of a user is closed with 4001, "replaced by a newer session"
flood            texts without end, and a close frame is never answered
pings            pings without end, and nothing else
deaf             answers, and never answers a close frame

BACKEND_BACKLOG     the backlog that the port listens with (default 128)
BACKEND_ACCEPTS_MS  how long the port is open before anybody is accepted (default 0)
BACKEND_NOISE       writes so many MiB without a line's end first

Run: PORT=8080 python server.py
"""

import base64
import hashlib
import os
import select
import socket
import struct
import sys
import threading
import time

MODE = os.environ.get("BACKEND_MODE") or "fixed"
LIMIT = int(os.environ.get("BACKEND_LIMIT") or 3)
BACKLOG = int(os.environ.get("BACKEND_BACKLOG") or 128)
ACCEPTS = int(os.environ.get("BACKEND_ACCEPTS_MS") or 0) / 1000
NOISE = int(os.environ.get("BACKEND_NOISE") or 0)
lock = threading.Lock()
open_sockets = {}
busy = 0
answered = 0
ready_at = 0.0


def frame(opcode, payload=b""):
    return bytes([0x80 | opcode, len(payload)]) + payload


def close_frame(code, reason=b""):
    return frame(8, struct.pack(">H", code) + reason)


def exactly(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionError("ended")
        data += more
    return data


def read_frame(connection):
    first, length = exactly(connection, 2)
    length &= 127
    if length == 126:
        length = struct.unpack(">H", exactly(connection, 2))[0]
    mask = exactly(connection, 4)
    payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(exactly(connection, length)))
    return first & 15, payload


def upgrade(connection):
    """Reads the request, gives its path; the answer is for the caller to send."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(4096)
        if not more:
            raise ConnectionError("ended")
        head += more
    lines = head.decode().split("\r\n")
    key = next(line.split(": ")[1] for line in lines if line.lower().startswith("sec-websocket-key"))
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    answer = "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
    return lines[0].split(" ")[1], (answer % base64.b64encode(digest).decode()).encode()


def is_gone(connection):
    """Whether the other end has ended the connection, by what the kernel knows."""
    try:
        readable = select.select([connection], [], [], 0)[0]
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):
        return True


def admit(connection, path):
    """The close frame of a socket that is not welcome, or None."""
    with lock:
        held = open_sockets.setdefault(path, [])
        if MODE == "takeover" and any(not is_gone(other) for other in held):
            return close_frame(1011, b"still there")
        if MODE == "limit" and sum(map(len, open_sockets.values())) >= LIMIT:
            return close_frame(4429, b"too many connections")
        if MODE == "replace":
            for other in held:
                other.sendall(close_frame(4001, b"replaced by a newer session"))
        held.append(connection)
    return close_frame(1011, b"supervisor") if time.monotonic() < ready_at else None


def flood(connection):
    what = frame(1, b"tick") if MODE == "flood" else frame(9, b"x")
    while True:
        connection.sendall(what * 100)


def drain(connection):
    try:
        while connection.recv(65536):
            pass
    except OSError:
        pass


def answer(connection):
    global busy, answered
    with lock:
        lost = busy > 0
        busy += 1
        answered += 1
    time.sleep(0.0005)
    with lock:
        busy -= 1
    if MODE == "rate" and answered > LIMIT:
        connection.sendall(close_frame(1008, b"rate limit exceeded"))
        return
    connection.sendall(frame(1, b"pong"))
    if MODE == "late" and lost:
        time.sleep(0.1)
        connection.sendall(close_frame(1011, b"init failed"))


def converse(connection):
    while True:
        opcode, _ = read_frame(connection)
        if opcode == 8:
            if MODE == "deaf":
                drain(connection)
            connection.sendall(close_frame(1000))
            return
        if opcode == 1:
            answer(connection)


def serve(connection):
    path = None
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        path, accepted = upgrade(connection)
        if MODE == "replace":
            # Before anybody else can know of it, or a newer one's close would come first.
            connection.sendall(accepted)
        unwelcome = admit(connection, path)
        if MODE != "replace":
            connection.sendall(accepted)
        if unwelcome:
            connection.sendall(unwelcome)
        elif MODE in ("flood", "pings"):
            threading.Thread(target=drain, args=(connection,), daemon=True).start()
            flood(connection)
        else:
            converse(connection)
    except (OSError, ConnectionError):
        pass
    finally:
        with lock:
            if connection in open_sockets.get(path, []):
                open_sockets[path].remove(connection)
        connection.close()


def main():
    global ready_at
    if NOISE:
        for _ in range(NOISE):
            sys.stdout.write("x" * 1024 * 1024)
        sys.stdout.flush()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(os.environ.get("PORT") or 8080)))
    listener.listen(BACKLOG)
    time.sleep(ACCEPTS)
    if MODE == "startup":
        ready_at = time.monotonic() + 0.3
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


main()

"""A WebSocket server that means harm, with a thread for each socket. Nothing but Python's own modules is needed.

BACKEND_MODE chooses what comes after the 101. With `?when=answered` a socket is greeted and its first message answered
before, and only then harmed; with `?when=crowd` only a socket beside which another is open:

huge       one text of 100 MB
tiny       a million texts of one letter, and a pong to whatever is said in between
deep       JSON of a hundred thousand arrays in each other, and a pong to whatever is said
utf8       a text that is no UTF-8
deaf       nothing is ever read
half       the first half of a text of 8 MB, and nothing more
pings      pings without end

or what becomes of a header of more than 16 KiB; everything else is answered:

drops-tokens    one of the token alone gets no answer, and one of anything else does
drops-third     the same, and of any other each third gets none

Run: PORT=8080 python hostile.py
"""

import base64
import hashlib
import os
import socket
import struct
import sys
import threading

MODE = os.environ.get("BACKEND_MODE") or "huge"
fillers = 0


def frame(opcode, payload):
    length = len(payload)
    if length < 126:
        head = bytes([0x80 | opcode, length])
    elif length < 1 << 16:
        head = bytes([0x80 | opcode, 126]) + struct.pack(">H", length)
    else:
        head = bytes([0x80 | opcode, 127]) + struct.pack(">Q", length)
    return head + payload


def upgrade(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("ended")
        head += more
    if MODE.startswith("drops-") and len(head) > 16 * 1024:
        drop(head)
    key = next(
        line.split(": ")[1] for line in head.decode().split("\r\n") if line.lower().startswith("sec-websocket-key")
    )
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    answer = "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
    connection.sendall((answer % base64.b64encode(digest).decode()).encode())


def drop(head):
    """Ends the connection without an answer, by what makes the head so large."""
    global fillers
    if b"x-filler" not in head.lower():
        raise ConnectionError("the token is too large")
    fillers += 1
    print("filler", fillers, file=sys.stderr, flush=True)
    if MODE == "drops-third" and fillers % 3 == 0:
        raise ConnectionError("the head is too large")


def answer_everything(connection, lock):
    """Whatever comes, in whatever pieces, is answered: this server does not know what it reads."""
    try:
        while connection.recv(65536):
            with lock:
                connection.sendall(frame(1, b'{"type":"pong"}'))
    except OSError:
        pass


sockets = set()


def be_good_once(connection):
    """Greets, and answers the first message."""
    connection.sendall(frame(1, b'{"type":"welcome"}'))
    if not connection.recv(65536):
        raise ConnectionError("ended")
    connection.sendall(frame(1, b'{"type":"pong"}'))


def be_good_while_alone(connection):
    """Greets, and answers every message until it is closed; true when somebody else has come."""
    connection.sendall(frame(1, b'{"type":"welcome"}'))
    connection.settimeout(0.05)
    while len(sockets) < 2:
        try:
            message = connection.recv(65536)
        except TimeoutError:
            continue
        if not message:
            raise ConnectionError("ended")
        if message[0] & 15 == 8:
            connection.sendall(frame(8, b"\x03\xe8"))
            raise ConnectionError("closed")
        connection.sendall(frame(1, b'{"type":"pong"}'))
    connection.settimeout(None)


def harm(connection):
    if MODE == "deaf":
        threading.Event().wait()
    lock = threading.Lock()
    if MODE not in ("huge", "utf8", "half", "pings"):
        threading.Thread(target=answer_everything, args=(connection, lock), daemon=True).start()
    if MODE == "huge":
        with lock:
            connection.sendall(frame(1, b"x" * 100_000_000))
    elif MODE == "tiny":
        for _ in range(1000):
            with lock:
                connection.sendall(frame(1, b"x") * 1000)
    elif MODE == "deep":
        with lock:
            connection.sendall(frame(1, b"[" * 100_000 + b"]" * 100_000))
    elif MODE == "utf8":
        with lock:
            connection.sendall(frame(1, b"\xff\xfe\xfd"))
    elif MODE == "half":
        with lock:
            connection.sendall(frame(1, b"x" * 8_000_000)[:4_000_000])
    while MODE == "pings":
        with lock:
            connection.sendall(frame(9, b"p") * 100)
    threading.Event().wait()


def serve(connection):
    try:
        # The first line of the request, which is read below.
        address = connection.recv(4096, socket.MSG_PEEK).split(b" ")[1]
        upgrade(connection)
        sockets.add(connection)
        if b"when=answered" in address:
            be_good_once(connection)
        if b"when=crowd" in address:
            be_good_while_alone(connection)
        harm(connection)
    except (OSError, ConnectionError, IndexError):
        sockets.discard(connection)
        connection.close()


def main():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(os.environ.get("PORT") or 8080)))
    listener.listen(128)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


main()

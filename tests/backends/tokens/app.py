"""A WebSocket backend on FastAPI that lets nobody in without a token that PyJWT verifies.

TOKENS_ALGORITHM   HS256, RS256, ES256; or `ready`: tokens that nobody signed
TOKENS_KEY         file with the secret or the public key in PEM; for `ready` JSON of each token's user
TOKENS_KEY_ID      when set, the `kid` that a token's header must have
TOKENS_CARRY       authorization, subprotocol, query, cookie or first-message: where alone the token is looked for
TOKENS_GOSSIP      when set, says every token that it is sent in every form, in frames, close reasons and its own output
TOKENS_HEARD       when set, a file to which every token is appended, a line each

Run: python -m uvicorn app:app --host 127.0.0.1 --port $PORT
"""

import base64
import json
import os
import urllib.parse
from pathlib import Path

import jwt
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

ALGORITHM = os.environ["TOKENS_ALGORITHM"]
KEY = Path(os.environ["TOKENS_KEY"]).read_text()
KEY_ID = os.environ.get("TOKENS_KEY_ID")
CARRY = os.environ["TOKENS_CARRY"]
GOSSIP = os.environ.get("TOKENS_GOSSIP")
HEARD = os.environ.get("TOKENS_HEARD")
REVISION = os.environ.get("K_REVISION", "local")

app = FastAPI()


def offered(socket):
    """The subprotocol that carries a token, and the token."""
    for name in socket.headers.get("sec-websocket-protocol", "").split(","):
        for prefix in ("jwt.", "bearer+"):
            if name.strip().startswith(prefix):
                encoded = name.strip().removeprefix(prefix)
                return name.strip(), base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    return None, None


async def presented(socket):
    """The token, from its one carrier."""
    if CARRY == "authorization":
        return socket.headers.get("authorization", "").removeprefix("Bearer ")
    if CARRY == "subprotocol":
        return offered(socket)[1]
    if CARRY == "query":
        return socket.query_params.get("access_token")
    if CARRY == "cookie":
        return socket.cookies.get("session")
    message = await socket.receive_json()
    return message["token"] if message["type"] == "auth" else None


def user_of(token):
    """The user, or None when the token is not good."""
    if ALGORITHM == "ready":
        return json.loads(KEY).get(token)
    try:
        claims = jwt.decode(token, KEY, algorithms=[ALGORITHM], options={"require": ["exp", "iat", "sub"]})
        key_id = jwt.get_unverified_header(token).get("kid")
        return claims["sub"] if KEY_ID in (None, key_id) else None
    except jwt.PyJWTError:
        return None


def forms(token):
    """The token and its parts in every form in which a server might repeat them."""
    for part in [token, *token.split(".")[1:]]:
        yield part
        yield part.encode().hex()
        yield part.encode().hex().upper()
        yield urllib.parse.quote(part, safe="")
        yield "".join(f"%{byte:02x}" for byte in part.encode())
        for before in (b"", b"x", b"xx"):
            yield base64.b64encode(before + part.encode()).decode()
            yield base64.urlsafe_b64encode(before + part.encode()).decode().rstrip("=")
    if CARRY == "subprotocol":  # what it was offered as, encoded once more
        again = base64.urlsafe_b64encode(token.encode()).rstrip(b"=")
        yield again.hex()
        yield base64.b64encode(again).decode()


async def tell(socket, token):
    """Repeats the token, and all else that it came with."""
    print("gossip", token, socket.url, flush=True)
    said = list(forms(token))
    for form in said:
        print("gossip", form, flush=True)
    await socket.send_json({"type": "debug", "token": token, "url": str(socket.url), "headers": dict(socket.headers)})
    for start in range(0, len(said), 6):
        await socket.send_json({"type": "debug", "said": said[start : start + 6]})


@app.get("/health")
def health():
    return {"status": "ok"}


@app.websocket("/ws")
async def ws(socket: WebSocket):
    first = CARRY == "first-message"
    token = None if first else await presented(socket)
    if not first and (not token or user_of(token) is None) and not GOSSIP:
        await socket.close()  # before the socket is accepted: 403
        return
    await socket.accept(subprotocol=offered(socket)[0] if CARRY == "subprotocol" else None)
    try:
        token = await presented(socket) if first else token
        user = user_of(token or "")
        if HEARD:
            with open(HEARD, "a") as file:
                file.write(f"{token}\n")
        if GOSSIP:
            await tell(socket, token or "")
        if user is None:
            await socket.send_json({"type": "error", "error": f"refused {token if GOSSIP else ''}"})
            await socket.close(1008, (token or "")[:120] if GOSSIP else "not authenticated")
            return
        await socket.send_json({"type": "welcome", "user": user, "revision": REVISION})
        while True:
            message = await socket.receive_json()
            if message.get("type") == "ping":
                await socket.send_json({"type": "pong", "nonce": message.get("nonce"), "user": user})
            else:
                # A token that comes again, or after something else, is no message.
                await socket.send_json({"type": "error", "error": "unknown type"})
    except (WebSocketDisconnect, KeyError, ValueError):
        return

"""A server with a thread for each socket and a same-user race: GET /?user=U&us=W checks, waits W microseconds, and acts.

The window is open for whoever wants the interpreter, and as long as it says. Listens on the port that is its argument,
and prints it.
"""

import sys
import time
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

users = set()


def endpoint(connection):
    query = parse_qs(urlsplit(connection.request.path).query)
    user, window = query["user"][0], float(query["us"][0])
    lost = False
    if user not in users:
        end = time.perf_counter() + window / 1e6
        while time.perf_counter() < end:
            time.sleep(0)
        lost = user in users
        users.add(user)
    if lost:
        connection.close(1011)
        return
    try:
        connection.send("welcome")
        connection.recv()
    except ConnectionClosed:
        pass


with serve(endpoint, "127.0.0.1", int(sys.argv[1]), compression=None, ping_interval=None) as server:
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()

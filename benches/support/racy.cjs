// A Node server with a same-user race: GET /?user=U&us=W checks, waits W microseconds, and acts.
//
// The window is open for everything else on the loop, and as long as it says: a timer would round it up to a
// millisecond. Listens on the port that is its argument, and prints it.
"use strict";

const { WebSocketServer } = require("ws");

const users = new Set();

async function serve(socket, request) {
  const query = new URL(request.url, "http://here").searchParams;
  const user = query.get("user");
  let lost = false;
  if (!users.has(user)) {
    const end = performance.now() + Number(query.get("us")) / 1000;
    while (performance.now() < end) await new Promise(setImmediate);
    lost = users.has(user);
    users.add(user);
  }
  if (lost) socket.close(1011);
  else socket.send("welcome");
}

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
server.on("connection", (socket, request) => void serve(socket, request));
server.on("listening", () => console.log(server.address().port));

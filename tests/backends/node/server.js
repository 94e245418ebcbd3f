// A WebSocket backend on Node's `ws` with one start-up defect, or none, chosen by BACKEND_MODE.
//
// fixed            correct under concurrency
// check-then-act   two sockets of one user at once: the later one is closed with 1011
// early-message    what the client says within the window after the 101 is lost
// silent           accepts and never says anything
//
// BACKEND_WINDOW_MS   length of the window; each mode has its own default
// BACKEND_JWT_SECRET  when set, a valid HS256 token is asked for and names the user
//
// Run: PORT=8080 node server.js

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocketServer } from "ws";

const mode = process.env.BACKEND_MODE || "fixed";
const windowMs = Number(process.env.BACKEND_WINDOW_MS || { "early-message": 50 }[mode] || 1);
const secret = process.env.BACKEND_JWT_SECRET;
const revision = process.env.K_REVISION || "local";

// --- the conversation ---

const say = (socket, message) => socket.send(JSON.stringify(message));
const welcome = (socket, user) => say(socket, { type: "welcome", revision, user });

function answer(socket, data) {
  let message = null;
  try {
    message = JSON.parse(data);
  } catch {
    // Answered below, like everything else that is not an object.
  }
  if (typeof message !== "object" || message === null || Array.isArray(message)) {
    say(socket, { type: "error", error: "a message is a JSON object" });
  } else if (message.type === "ping") {
    say(socket, { type: "pong", nonce: message.nonce ?? null });
  } else {
    say(socket, { type: "error", error: "unknown type" });
  }
}

/** Answers every message from now on, in order, none of them before `ready`. */
const listen = (socket, ready) => socket.on("message", (data) => ready.then(() => answer(socket, data)));

// --- sessions: one a user, shared by all sockets of that user, removed with the last ---

const sessions = new Map();

function join(user, socket, session) {
  session.sockets += 1;
  socket.once("close", () => {
    session.sockets -= 1;
    if (session.sockets === 0) sessions.delete(user);
  });
}

// --- the modes ---

const modes = {
  async fixed(socket, user) {
    // The entry stands before the first await, so that nobody else can build a second session.
    if (!sessions.has(user)) sessions.set(user, { sockets: 0, ready: sleep(windowMs) });
    const session = sessions.get(user);
    join(user, socket, session);
    const welcomed = session.ready.then(() => welcome(socket, user));
    listen(socket, welcomed);
    await welcomed;
  },

  async "check-then-act"(socket, user) {
    const joined = (async () => {
      if (!sessions.has(user)) {
        await sleep(windowMs);
        // Between the check and the act another socket of the user may have acted.
        if (sessions.has(user)) return socket.close(1011, "Factory init failed");
        if (socket.readyState !== socket.OPEN) return undefined;
        sessions.set(user, { sockets: 0 });
      }
      join(user, socket, sessions.get(user));
      return welcome(socket, user);
    })();
    listen(socket, joined);
    await joined;
  },

  async "early-message"(socket, user) {
    welcome(socket, user);
    await sleep(windowMs);
    // `ws` emits each message once: what came before this line had no listener.
    listen(socket, Promise.resolve());
  },

  async silent() {},
};

const serve = modes[mode];
if (!serve) throw new Error(`BACKEND_MODE: unknown mode ${mode}`);

// --- who asks ---

function tokenOf(request) {
  const [scheme, token] = (request.headers.authorization || "").split(" ");
  if (scheme.toLowerCase() === "bearer") return token || "";
  const offered = (request.headers["sec-websocket-protocol"] || "").split(",").map((name) => name.trim());
  const carrier = offered.find((name) => name.startsWith("jwt."));
  return carrier ? Buffer.from(carrier.slice("jwt.".length), "base64url").toString() : "";
}

/** The user, or null when the token is not good. */
function userOf(request) {
  if (!secret) return new URL(request.url, "http://localhost").searchParams.get("user") || "user-001";
  const [header, payload, signature] = tokenOf(request).split(".");
  try {
    const due = createHmac("sha256", secret).update(`${header}.${payload}`).digest();
    const given = Buffer.from(signature, "base64url");
    if (given.length !== due.length || !timingSafeEqual(given, due)) return null;
    const decoded = (part) => JSON.parse(Buffer.from(part, "base64url"));
    const { sub, exp } = decoded(payload);
    const good = decoded(header).alg === "HS256" && typeof sub === "string" && exp > Date.now() / 1000;
    return good ? sub : null;
  } catch {
    return null;
  }
}

// --- the server ---

const server = createServer((request, response) => {
  const found = new URL(request.url, "http://localhost").pathname === "/health";
  response.writeHead(found ? 200 : 404, { "content-type": "application/json" });
  response.end(JSON.stringify(found ? { status: "ok", revision } : { error: "not found" }));
});

const sockets = new WebSocketServer({
  noServer: true,
  handleProtocols: (offered) => (offered.has("jwt-auth") ? "jwt-auth" : offered.values().next().value),
});
sockets.on("headers", (headers) => headers.push(`x-revision: ${revision}`));
sockets.on("connection", (socket, _request, user) => {
  socket.on("error", () => socket.terminate());
  serve(socket, user);
});

server.on("upgrade", (request, stream, head) => {
  stream.on("error", () => stream.destroy());
  const refuse = (status) => stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  if (new URL(request.url, "http://localhost").pathname !== "/ws") return refuse("404 Not Found");
  const user = userOf(request);
  if (user === null) return refuse("401 Unauthorized");
  return sockets.handleUpgrade(request, stream, head, (socket) => {
    sockets.emit("connection", socket, request, user);
  });
});

server.listen(Number(process.env.PORT || 8080), "127.0.0.1");

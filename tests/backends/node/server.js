// A WebSocket backend on Node's `ws` with one start-up defect, or none, chosen by BACKEND_MODE.
//
// fixed            correct under concurrency
// fixed-singleton  correct under concurrency: one session for everybody, made by the first, gone with the last
// check-then-act   two sockets of one user at once: the later one fails
// singleton        the same for any two sockets, whoever they are: again whenever everybody has left
// startup-race     sockets within the window after the port was opened fail
// early-message    what the client says within the window after the 101 is lost
// silent           accepts and never says anything
//
// BACKEND_WINDOW_MS   length of the window; each mode has its own default; a fraction is kept to
// BACKEND_FAILURE     how a socket fails: 1011 (the default), 1006, 500 or silence
// BACKEND_JWT_SECRET  when set, a valid HS256 token is asked for and names the user
//
// Run: PORT=8080 node server.js

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { WebSocketServer } from "ws";

const mode = process.env.BACKEND_MODE || "fixed";
const windowMs = Number(process.env.BACKEND_WINDOW_MS || { "early-message": 50, "startup-race": 2000 }[mode] || 1);
const failure = process.env.BACKEND_FAILURE || "1011";
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

/** Waits, as for another service; shorter than a timer can wait, it only lets others run, once at least. */
async function pause() {
  if (windowMs >= 1) return sleep(windowMs);
  const end = performance.now() + windowMs;
  do await turn();
  while (performance.now() < end);
  return undefined;
}

// --- sessions: one a key, shared by all sockets of that key, removed with the last ---

const sessions = new Map();
const keyOf = (user) => (mode.endsWith("singleton") ? "everybody" : user);
let supervisorReady = mode !== "startup-race";

/** Enters the session of a key; gives what leaves it again. */
async function enter(key) {
  if (!supervisorReady) throw new Error("supervisor not ready");
  if (mode !== "check-then-act" && mode !== "singleton") {
    // The entry stands before the first await, so that nobody else can build a second session.
    if (!sessions.has(key)) sessions.set(key, { sockets: 0, ready: mode === "startup-race" ? undefined : pause() });
  } else if (!sessions.has(key)) {
    await pause();
    // Between the check and the act another socket of the key may have acted.
    if (sessions.has(key)) throw new Error("Factory init failed");
    sessions.set(key, { sockets: 0, ready: undefined });
  }
  const session = sessions.get(key);
  session.sockets += 1;
  await session.ready;
  return () => {
    session.sockets -= 1;
    if (session.sockets === 0) sessions.delete(key);
  };
}

function fail(socket, error) {
  if (failure === "1011") socket.close(1011, error.message);
  else if (failure === "1006") socket.terminate();
}

// --- the modes ---

/** Converses in the session that `entered` leads to. */
async function converse(socket, user, entered = enter(keyOf(user))) {
  const welcomed = entered.then((leave) => {
    if (socket.readyState !== socket.OPEN) return leave();
    socket.once("close", leave);
    return welcome(socket, user);
  });
  listen(socket, welcomed.catch(() => new Promise(() => {})));
  await welcomed.catch((error) => fail(socket, error));
}

const modes = {
  fixed: converse,
  "fixed-singleton": converse,
  "check-then-act": converse,
  singleton: converse,
  "startup-race": converse,

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
sockets.on("headers", (headers) => headers.push(`x-revision: ${revision}`, `x-instance: ${process.pid}`));
sockets.on("connection", (socket, _request, user, entered) => {
  socket.on("error", () => socket.terminate());
  serve(socket, user, entered);
});

server.on("upgrade", (request, stream, head) => {
  stream.on("error", () => stream.destroy());
  const refuse = (status) => stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  if (new URL(request.url, "http://localhost").pathname !== "/ws") return refuse("404 Not Found");
  const user = userOf(request);
  if (user === null) return refuse("401 Unauthorized");
  const accept = (entered) =>
    sockets.handleUpgrade(request, stream, head, (socket) => {
      sockets.emit("connection", socket, request, user, entered);
    });
  if (failure !== "500" || modes[mode] !== converse) return accept();
  // Everything is decided before the answer.
  return enter(keyOf(user)).then(
    (leave) => accept(Promise.resolve(leave)),
    () => refuse("500 Internal Server Error"),
  );
});

server.listen(Number(process.env.PORT || 8080), "127.0.0.1", () => {
  if (!supervisorReady) setTimeout(() => (supervisorReady = true), windowMs);
});

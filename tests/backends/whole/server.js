// An agent backend on Node and `ws` with everything at once that a real one has, and one defect or none, by BACKEND_MODE:
// the twin of app.py, where the modes are told.
//
// BACKEND_MODULES is the folder where `ws` is installed; BACKEND_JWT_SECRET the key of good tokens.
//
// Run: PORT=8080 BACKEND_MODULES=... BACKEND_JWT_SECRET=... node server.js

import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

const { WebSocketServer } = createRequire(`${process.env.BACKEND_MODULES}/`)("ws");
const MODE = process.env.BACKEND_MODE || "fixed";
const SECRET = process.env.BACKEND_JWT_SECRET;
const HEARTBEAT = 500;
const STEP = 20;
const DELAY = 7000;

let latest = null;

const log = (severity, message) => console.error(JSON.stringify({ severity, message }));

function userOf(request) {
  const [scheme, token] = (request.headers.authorization || "").split(" ");
  if (scheme.toLowerCase() !== "bearer") throw new Error("no token");
  const [head, body, signature, ...rest] = token.split(".");
  if (signature === undefined || rest.length) throw new Error("not a JWT");
  if (JSON.parse(Buffer.from(head, "base64url")).alg !== "HS256") throw new Error("not HS256");
  const due = createHmac("sha256", SECRET).update(`${head}.${body}`).digest();
  const given = Buffer.from(signature, "base64url");
  if (given.length !== due.length || !timingSafeEqual(given, due)) throw new Error("bad signature");
  const claims = JSON.parse(Buffer.from(body, "base64url"));
  const now = Date.now() / 1000;
  if (!(claims.exp > now)) throw new Error("expired");
  if (claims.nbf > now) throw new Error("not yet valid");
  if (typeof claims.sub !== "string") throw new Error("nobody");
  return claims.sub;
}

/** The events of a run: their fields under data, under payload, or flat. */
function* events(fields, request) {
  yield { type: "agent_started", data: fields };
  yield { type: "agent_event", payload: { type: "agent_thinking", ...fields } };
  const tool = [
    { event: "tool_executing", tool: "count_words", ...fields },
    { type: "tool_completed", data: { tool: "count_words", ...fields } },
  ];
  yield* MODE === "wrong-order" ? tool.reverse() : tool;
  if (MODE === "missing-completion") {
    log("WARNING", "a run has no result");
    return;
  }
  yield { type: "agent_completed", payload: { ...fields, result: `done: ${MODE === "leak" ? latest : request}` } };
}

async function fallBack(say) {
  for (const type of ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"]) {
    say({ type, data: { agent: "fallback_handler", fallback_active: true } });
    await sleep(100);
  }
}

async function runAgent(socket, say, user, message) {
  const fields = { run_id: randomUUID(), user_id: user, thread_id: message.thread_id };
  const request = message.payload.user_request;
  latest = request;
  if (MODE === "errors-in-log") log("ERROR", "Redis manager lost its connection");
  if (MODE === "fallback") return fallBack(say);
  for (const event of events(fields, request)) {
    say(event);
    if (MODE === "dies") {
      await sleep(DELAY);
      log("ERROR", "the agent died: orchestrator is None");
      return socket.close(1011, "orchestrator is None");
    }
    await sleep(STEP);
  }
}

function converse(socket, user) {
  const say = (frame) => socket.readyState === socket.OPEN && socket.send(JSON.stringify(frame));
  say({ type: "handshake_validation", data: { status: "accepted" } });
  const data = { event: "connection_established", startup_complete: true, user_id: user };
  if (MODE === "degraded-welcome") Object.assign(data, { degraded_mode: true, service_info: { missing: ["supervisor"] } });
  say({ type: "system_message", data });
  const beating = MODE === "heartbeat-never" ? undefined : setInterval(() => say({ type: "heartbeat" }), HEARTBEAT);
  socket.on("close", () => clearInterval(beating));
  socket.on("message", (raw) => {
    let message;
    try {
      message = JSON.parse(raw);
    } catch {
      // Whatever it is, it is answered below.
    }
    if (message?.type === "ping") say({ type: "pong", payload: message.payload });
    else if (message?.type === "start_agent") runAgent(socket, say, user, message);
    else say({ type: "error", error: message?.type ? "unknown type" : "not a message" });
  });
}

function refuse(socket, stream, error) {
  log("ERROR", `authentication failed: ${error.message}`);
  if (MODE === "bad-1006") return stream.destroy();
  if (MODE === "bad-accepted") return converse(socket, "anonymous");
  socket.send(JSON.stringify({ type: "error", error: "authentication failed" }));
  socket.close(MODE === "bad-1011" ? 1011 : 1008, "authentication failed");
}

const sockets = new WebSocketServer({ noServer: true });
const server = createServer((request, response) => {
  response.statusCode = request.url === "/health" ? 200 : 404;
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify({ status: request.url === "/health" ? "healthy" : "unknown" }));
});

server.on("upgrade", (request, stream, head) => {
  stream.on("error", () => {});
  sockets.handleUpgrade(request, stream, head, (socket) => {
    socket.on("error", (error) => log("WARNING", error.message));
    let user;
    try {
      user = userOf(request);
    } catch (error) {
      return refuse(socket, stream, error);
    }
    if (MODE === "sockets-die") return socket.close(1011, "Factory init failed");
    converse(socket, user);
  });
});

server.listen(Number(process.env.PORT || 8080), "127.0.0.1");

// An agent backend on Node's `ws` with one defect in its runs, or none, chosen by BACKEND_MODE.
//
// fixed, dies, fallback, degraded-welcome, wrong-order, missing-completion, leak: as in app.py
// leak-upper, leak-base64, leak-streamed   as leak, in capital letters, in base64, and in pieces of five letters
// dies-later       close BACKEND_CODE (1011) so long behind the last event of BACKEND_USER; others take 20 times as long
// mute-heartbeats  correct, and heartbeats and progress come in between all the time
// listed           correct, and all events of a run come in one frame, which is a list
// empty-result     the last event carries an empty result
// presence         correct, and tells everybody who is there
// socket-io        speaks Socket.IO: joins the namespace, and replies to a message
// graphql          speaks graphql-transport-ws: two results of a subscription, and its end
//                  both ask for a heartbeat every BACKEND_HEARTBEAT_MS, where that is set, and close a socket that lets the
//                  next one come without having answered
// flood, huge, deep, bad-utf8, never-reads   behind agent_thinking: a million tiny frames without end, a frame of 100 MB,
//                  JSON of a million brackets, a text that is no UTF-8, and a server that reads no more and says no more
//
// or one of these, in `?behaviour=` of the upgrade, at the `&position=` beside it:
// always-503, never-answers, 404, 200, silent, abort, 1000, 1008, 1011, error-1011, frame-1011, pong-1011
// opening: before anything is said; first-frame: behind the first frame; welcome: behind the welcome; pong: behind the answer
// to a ping; mid-run: behind agent_thinking. The first four concern the upgrades that come once the position was reached
// on any socket of the same behaviour and position.
// With BACKEND_COUNTS_APART the first run of every user is `run-0001`.
// With BACKEND_FIRST_RUN runs are numbered from there on, and their events name the numbers before and behind.
//
// BACKEND_DELAY_MS  how long `dies` and `dies-later` take (7000)
// BACKEND_RECORD    a file to which every start_agent and stop_agent is appended, a line each
// BACKEND_STEP_MS   time between two events (50), and before a reply of Socket.IO
//
// Run: PORT=8080 node server.js

import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocketServer } from "ws";

const mode = process.env.BACKEND_MODE || "fixed";
const delay = Number(process.env.BACKEND_DELAY_MS || 7000);
const step = Number(process.env.BACKEND_STEP_MS || 50);
const UPGRADES = ["always-503", "never-answers", "404", "200"];
const SOCKETS = ["silent", "abort", "1000", "1008", "1011", "error-1011", "frame-1011", "pong-1011"];

const leaks = mode.startsWith("leak");
const reached = new Set();
const runsOf = new Map();
let latest = null;
let nextRun = Number(process.env.BACKEND_FIRST_RUN || 0);

const say = (socket, message) => socket.send(JSON.stringify(message));

/** What becomes of a socket at the position; true when nothing more is said on it. */
async function misbehave(socket, at) {
  const { behaviour, position } = socket.asked;
  if (at !== position) return false;
  reached.add(`${behaviour} ${position}`);
  if (!SOCKETS.includes(behaviour)) return false;
  socket.done = true;
  if (behaviour === "abort") socket.resetSocket();
  if (behaviour === "error-1011") say(socket, { type: "error", error: { message: "Service initialization failed" } });
  if (behaviour === "frame-1011") say(socket, { type: "heartbeat" });
  if (behaviour === "pong-1011") {
    say(socket, { type: "pong" });
    await sleep(500);
  }
  if (/^\d+$/.test(behaviour)) socket.close(Number(behaviour), "at the position");
  if (behaviour.endsWith("-1011")) socket.close(1011, "internal error");
  return true;
}

async function greet(socket, user) {
  if (await misbehave(socket, "opening")) return;
  say(socket, { type: "handshake_validation", data: { status: "accepted" } });
  if (await misbehave(socket, "first-frame")) return;
  const data = { event: "connection_established", startup_complete: true, user_id: user };
  if (mode === "degraded-welcome") Object.assign(data, { degraded_mode: true });
  say(socket, { type: "system_message", data });
  await misbehave(socket, "welcome");
}

/** What a hostile server does in the middle of a run; true when the run is over. */
async function assault(socket) {
  if (mode === "never-reads") {
    socket.pause();
    return true;
  }
  if (mode === "huge") socket.send("x".repeat(100 * 1024 * 1024));
  if (mode === "deep") socket.send("[".repeat(1024 * 1024));
  if (mode === "bad-utf8") socket.send(Buffer.from([0x22, 0xff, 0xfe, 0x22]), { binary: false });
  if (mode === "flood") {
    for (let sent = 0; sent < 1000000 && socket.readyState === socket.OPEN; sent += 1) {
      socket.send("x");
      if (socket.bufferedAmount > 1024 * 1024) await sleep(5);
    }
    return true;
  }
  return false;
}

const present = new Map();

/** Tells everybody who is there. */
function tellPresence() {
  for (const socket of present.keys()) say(socket, { type: "presence", users: [...present.values()] });
}

function* events(run) {
  const fields = { run_id: run.id, user_id: run.user };
  if (nextRun) Object.assign(fields, { before: run.id - 1, text: `run ${run.id} comes before ${run.id + 1}` });
  yield { type: "agent_started", payload: fields };
  yield { type: "agent_thinking", ...fields };
  yield { type: "tool_executing", data: { tool: "count_words", ...fields } };
  yield { type: "tool_completed", payload: { tool: "count_words", ...fields } };
  const done = leaks ? latest : run;
  let { request } = done;
  if (mode === "leak-upper") request = request.toUpperCase();
  if (mode === "leak-base64") request = Buffer.from(request).toString("base64");
  if (mode === "leak-streamed") {
    for (const text of request.match(/.{1,5}/g)) yield { type: "token", data: { text } };
    request = run.request;
  }
  yield { type: "agent_completed", data: { ...fields, result: `done: ${request}` } };
}

/** What a run is called. */
function nameOfRun(user) {
  if (process.env.BACKEND_COUNTS_APART) {
    runsOf.set(user, (runsOf.get(user) || 0) + 1);
    return `run-${String(runsOf.get(user)).padStart(4, "0")}`;
  }
  return nextRun ? nextRun++ : randomUUID();
}

async function runAgent(socket, user, message) {
  const run = { id: nameOfRun(user), user, request: message.payload.user_request };
  latest = run;
  let due = [...(leaks ? [] : events(run))];
  if (mode === "wrong-order") due = [due[1], due[0], ...due.slice(2)];
  if (mode === "missing-completion") due = due.slice(0, 4);
  if (mode === "fallback") due = due.map((event) => ({ ...event, fallback_active: true }));
  if (mode === "empty-result") due[4].data.result = "";
  if (mode === "listed") due = [due];
  const dying = mode === "dies-later" && user === process.env.BACKEND_USER;
  for (const event of leaks ? events(run) : due) {
    if (socket.readyState !== socket.OPEN) return;
    say(socket, event);
    if (mode === "dies") {
      await sleep(delay);
      socket.close(1011, "orchestrator is None");
      return;
    }
    if (event.type === "agent_thinking" && (await misbehave(socket, "mid-run"))) return;
    if (event.type === "agent_thinking" && (await assault(socket))) return;
    if (mode === "mute-heartbeats") {
      say(socket, { type: "heartbeat" });
      say(socket, { type: "progress_update", data: { percent: 50 } });
    }
    await sleep(mode === "dies-later" && !dying ? 20 * step : step);
  }
  if (dying) setTimeout(() => socket.close(Number(process.env.BACKEND_CODE || 1011), "late"), delay);
}

function converse(socket, user) {
  socket.on("message", (data) => {
    if (socket.done) return;
    const message = JSON.parse(data);
    if (process.env.BACKEND_RECORD && /^st(art|op)_agent$/.test(message.type)) {
      appendFileSync(process.env.BACKEND_RECORD, `${message.type} ${message.payload.run_id ?? message.payload.user_request}\n`);
    }
    if (message.type === "start_agent") runAgent(socket, user, message);
    else if (message.type === "stop_agent") say(socket, { type: "stopped" });
    else if (message.type === "ping") say(socket, { type: "pong", payload: message.payload });
    else say(socket, { type: "error", error: "unknown type" });
  });
  socket.on("error", () => {});
  if (mode === "presence") {
    present.set(socket, user);
    socket.on("close", () => present.delete(socket));
    tellPresence();
  }
  greet(socket, user);
}

const heartbeat = Number(process.env.BACKEND_HEARTBEAT_MS || 0);

/** Asks for a heartbeat again and again; gives what is to be called when one was answered. */
function askForHeartbeats(socket, ask, closeUnanswered) {
  let answered = true;
  const timer = heartbeat && setInterval(() => {
    if (!answered) return closeUnanswered();
    answered = false;
    ask();
  }, heartbeat);
  socket.on("close", () => clearInterval(timer));
  return () => (answered = true);
}

/** Engine.IO and Socket.IO, as far as one event and its reply need them. */
function converseSocketIo(socket) {
  socket.send(`0${JSON.stringify({ sid: randomUUID(), upgrades: [], pingInterval: 25000, pingTimeout: 20000 })}`);
  // A server of Engine.IO closes without a code when its ping has timed out.
  const alive = askForHeartbeats(socket, () => socket.send("2"), () => socket.close());
  socket.on("message", async (data) => {
    const text = String(data);
    if (text === "3") alive();
    if (text.startsWith("40")) socket.send(`40${JSON.stringify({ sid: randomUUID() })}`);
    if (text.startsWith("42")) {
      if (!heartbeat) socket.send("2");
      await sleep(step);
      socket.send(`42${JSON.stringify(["reply", { text: JSON.parse(text.slice(2))[1].text }])}`);
    }
  });
}

/** graphql-transport-ws, as far as one subscription needs it. */
function converseGraphql(socket) {
  const alive = askForHeartbeats(socket, () => say(socket, { type: "ping" }), () => socket.close(4408, "ping timeout"));
  socket.on("message", async (data) => {
    const { id, type, payload } = JSON.parse(data);
    if (type === "pong") alive();
    if (type === "connection_init") say(socket, { type: "connection_ack" });
    if (type !== "subscribe") return;
    for (const part of [1, 2]) {
      say(socket, { id, type: "next", payload: { data: { replies: `${payload.variables.text} ${part}` } } });
      await sleep(step);
    }
    say(socket, { id, type: "complete" });
  });
}

const server = createServer((_, response) => response.end("{}"));
const sockets = new WebSocketServer({ noServer: true });
const ANSWERS = { "always-503": "503 Service Unavailable", 404: "404 Not Found", 200: "200 OK" };

server.on("upgrade", (request, stream, head) => {
  stream.on("error", () => {});
  const asked = Object.fromEntries(new URL(request.url, "http://localhost").searchParams);
  const { behaviour, position, user } = asked;
  if (UPGRADES.includes(behaviour) && (position === "opening" || reached.has(`${behaviour} ${position}`))) {
    if (behaviour === "never-answers") return;
    stream.end(`HTTP/1.1 ${ANSWERS[behaviour]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    return;
  }
  sockets.handleUpgrade(request, stream, head, (socket) => {
    socket.asked = asked;
    socket.resetSocket = () => stream.resetAndDestroy();
    if (mode === "socket-io") converseSocketIo(socket);
    else if (mode === "graphql") converseGraphql(socket);
    else converse(socket, user || "user-001");
    if (position === "pong") socket.on("message", (data) => JSON.parse(data).type === "ping" && misbehave(socket, "pong"));
  });
});

server.listen(Number(process.env.PORT || 8080), "127.0.0.1");

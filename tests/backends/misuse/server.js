// A WebSocket backend on Node and `ws` that treats bad tokens or bad frames wrongly, or properly, by BACKEND_MODE.
//
// properly:
// refuse-401        401 before the upgrade
// refuse-1008       the upgrade, an error frame, and close 1008
// refuse-4001       the upgrade, and close 4001
// wrongly, with a bad token:
// bad-1011          the upgrade, and close 1011
// bad-1006          the upgrade, and the connection is destroyed
// bad-500           500 instead of the upgrade
// bad-accepted      served like a good one
// bad-silence       accepted, and nothing ever comes
// alg-none          what says that it is not signed is believed; everything else is refused with 401
// wrongly, with a bad frame:
// json-only         what is no JSON destroys the connection
// crash             what is no JSON ends the process
// kills-third       each third text that is no JSON destroys the connection of one other user
// deafens-third     the same, and that connection is read no more
// hangs             after what is no JSON nothing is ever answered
// leaks-half-open   a connection whose other side has ended is kept
// wrongly, while a socket is held:
// heartbeat-never   no heartbeat comes; every other mode sends one each BACKEND_HEARTBEAT_MS (default 500)
// unponging         pings are not answered
// properly, while a socket is held:
// pings-clients     a client whose pong does not come before the next ping, half a second later, is terminated
//
// BACKEND_TLS_KEY and BACKEND_TLS_CERTIFICATE are paths of PEM files; with them TLS is spoken.
// BACKEND_MODULES is the folder where `ws` is installed; BACKEND_JWT_SECRET the key of good tokens.

import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { createRequire } from "node:module";

const { WebSocketServer } = createRequire(`${process.env.BACKEND_MODULES}/`)("ws");
const MODE = process.env.BACKEND_MODE || "refuse-401";
const SECRET = process.env.BACKEND_JWT_SECRET || "a-signing-key-that-is-long-enough-for-hs256";
const HEARTBEAT = Number(process.env.BACKEND_HEARTBEAT_MS || 500);

function claimsOf(token) {
  const [head, body, signature, ...rest] = token.split(".");
  if (signature === undefined || rest.length) throw new Error("not a JWT");
  const { alg } = JSON.parse(Buffer.from(head, "base64url"));
  if (!(MODE === "alg-none" && alg === "none")) {
    if (alg !== "HS256") throw new Error(`algorithm ${alg}`);
    const due = createHmac("sha256", SECRET).update(`${head}.${body}`).digest();
    const given = Buffer.from(signature, "base64url");
    if (given.length !== due.length || !timingSafeEqual(given, due)) throw new Error("bad signature");
  }
  const claims = JSON.parse(Buffer.from(body, "base64url"));
  const now = Date.now() / 1000;
  if (!(claims.exp > now - 30)) throw new Error("expired");
  if (claims.nbf > now + 30 || claims.iat > now + 30) throw new Error("not yet valid");
  return claims;
}

let badTexts = 0;
const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024, autoPong: MODE !== "unponging" });

function refuse(request, socket, head, error) {
  console.error(`ERROR refused a token: ${error.message}`);
  const plain = (status) => socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  if (MODE === "bad-500") return plain("500 Internal Server Error");
  if (!MODE.startsWith("bad-") && !["refuse-1008", "refuse-4001"].includes(MODE)) return plain("401 Unauthorized");
  sockets.handleUpgrade(request, socket, head, (websocket) => {
    websocket.on("error", () => {});
    if (MODE === "refuse-1008") {
      websocket.send(JSON.stringify({ type: "error", error: "authentication failed" }));
      websocket.close(1008, "authentication failed");
    } else if (MODE === "refuse-4001") websocket.close(4001, "authentication failed");
    else if (MODE === "bad-1011") websocket.close(1011, "internal error");
    else if (MODE === "bad-1006") socket.destroy();
    else if (MODE === "bad-accepted") serve(websocket, "anonymous");
  });
}

function serve(websocket, user) {
  const say = (frame) => websocket.readyState === 1 && websocket.send(JSON.stringify(frame));
  let answers = true;
  websocket.user = user;
  // A message beyond maxPayload is closed with 1009 by the library.
  websocket.on("error", (error) => console.error(`ERROR ${error.message}`));
  const beating = MODE === "heartbeat-never" ? undefined : setInterval(() => say({ type: "heartbeat" }), HEARTBEAT);
  websocket.on("close", () => clearInterval(beating));
  if (MODE === "pings-clients") {
    let alive = true;
    websocket.on("pong", () => (alive = true));
    const pinging = setInterval(() => {
      if (!alive) websocket.terminate();
      alive = false;
      if (websocket.readyState === 1) websocket.ping();
    }, 500);
    websocket.on("close", () => clearInterval(pinging));
  }
  say({ type: "welcome", user });
  websocket.on("message", (data) => {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      if (MODE === "crash") process.exit(1);
      if (MODE === "json-only") return websocket.terminate();
      if (MODE === "hangs") answers = false;
      badTexts += 1;
      if (MODE.endsWith("-third") && badTexts % 3 === 0) {
        // The newest first: those that are read no more never learn that they were closed.
        const others = [...sockets.clients].reverse().filter((other) => other !== websocket && other.readyState === 1);
        const [other] = others.sort((one, two) => one.user.localeCompare(two.user));
        if (MODE === "kills-third") other?.terminate();
        else other?.pause();
      }
    }
    if (!answers) return;
    if (message?.type === "heartbeat") say({ type: "heartbeat_ack" });
    else if (message?.type === "ping") say({ type: "pong", nonce: message.nonce });
    else say({ type: "error", error: message ? "unknown type" : "a message is a JSON object" });
  });
}

const { BACKEND_TLS_KEY, BACKEND_TLS_CERTIFICATE } = process.env;
const tls = BACKEND_TLS_KEY && { key: readFileSync(BACKEND_TLS_KEY), cert: readFileSync(BACKEND_TLS_CERTIFICATE) };
const server = (tls ? createSecureServer : createServer)({ maxHeaderSize: 16 * 1024, ...tls });
server.on("upgrade", (request, socket, head) => {
  socket.on("error", () => {});
  let user;
  try {
    const [scheme, token] = (request.headers.authorization || "").split(" ");
    if (scheme !== "Bearer") throw new Error("no token");
    user = claimsOf(token).sub;
  } catch (error) {
    return refuse(request, socket, head, error);
  }
  sockets.handleUpgrade(request, socket, head, (websocket) => {
    if (MODE === "leaks-half-open") socket.removeAllListeners("end");
    serve(websocket, user);
  });
});
server.listen(Number(process.env.PORT), "127.0.0.1");

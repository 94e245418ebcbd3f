//! A server that repeats all it is sent: headers, queries, subprotocols, bodies and messages, in every form, in its
//! frames, its close reasons and its HTTP answers.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Message, WebSocket};

use crate::secrecy::forms;

/// A running server; it ends with the test's process.
pub(crate) struct Echo {
    pub(crate) port: u16,
    told: Arc<Told>,
}

/// What it was sent, and how much it has said.
struct Told {
    serves: bool,
    turn: AtomicUsize,
    heard: Mutex<Vec<String>>,
}

impl Echo {
    /// `serves` sockets, but for a conversation that begins with `start`; or fails each of them.
    pub(crate) fn start(serves: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = Arc::new(Told { serves, turn: AtomicUsize::new(0), heard: Mutex::default() });
        let all = Arc::clone(&told);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, told) = (stream.unwrap(), Arc::clone(&all));
                std::thread::spawn(move || told.answer(stream));
            }
        });
        Self { port, told }
    }

    /// Every JWT that it was sent.
    pub(crate) fn tokens(&self) -> Vec<String> {
        let jwt = regex::Regex::new(r"eyJ[\w-]+\.[\w-]+\.[\w-]+").unwrap();
        let heard = self.told.heard.lock().unwrap().join("\n");
        let mut tokens: Vec<String> = jwt.find_iter(&heard).map(|found| found.as_str().to_owned()).collect();
        tokens.sort();
        tokens.dedup();
        tokens
    }

    /// True when it was sent this text.
    pub(crate) fn heard(&self, text: &str) -> bool {
        self.told.heard.lock().unwrap().iter().any(|heard| heard.contains(text))
    }
}

impl Told {
    /// Something of what it was sent, each time something else and in another form.
    fn say(&self, sent: &[String]) -> String {
        let turn = self.turn.fetch_add(1, Ordering::SeqCst);
        let text = &sent[turn % sent.len()];
        let forms = forms(text);
        forms[(turn / sent.len()) % forms.len()].clone()
    }

    fn answer(&self, mut stream: TcpStream) {
        let Some(head) = read_head(&mut stream) else { return };
        let mut sent = values(&head);
        if let Some(key) = field(&head, "sec-websocket-key") {
            self.heard.lock().unwrap().extend(sent.iter().cloned());
            let offered = field(&head, "sec-websocket-protocol").and_then(|all| all.split(", ").last());
            let chosen =
                offered.map_or_else(String::new, |name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
            let accept = derive_accept_key(key.as_bytes());
            let upgrade = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\nX-Said: {}\r\n{chosen}\r\n",
                self.say(&sent)
            );
            if stream.write_all(upgrade.as_bytes()).is_ok() {
                self.talk(WebSocket::from_raw_socket(stream, Role::Server, None), sent);
            }
            return;
        }
        let length = field(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        let _ = stream.read_exact(&mut body);
        sent.extend((length > 0).then(|| String::from_utf8_lossy(&body).into_owned()));
        self.heard.lock().unwrap().extend(sent.iter().cloned());
        let said: Vec<String> = (0..4).map(|_| self.say(&sent)).collect();
        let body = json!({ "status": self.say(&sent), "said": said }).to_string();
        let status =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Said: {}\r\n", self.say(&sent));
        let answer = format!("{status}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        let _ = stream.write_all(answer.as_bytes());
    }

    fn talk(&self, mut socket: WebSocket<TcpStream>, mut sent: Vec<String>) {
        let fail = |socket: &mut WebSocket<TcpStream>, sent: &[String]| {
            let error =
                json!({"type": "error", "error": { "message": self.say(sent), "said": self.say(sent) }});
            let _ = socket.send(Message::text(error.to_string()));
            let reason: String = self.say(sent).chars().take(120).collect();
            let _ = socket.close(Some(CloseFrame { code: 1011.into(), reason: reason.into() }));
            while socket.read().is_ok() {}
        };
        if !self.serves {
            return fail(&mut socket, &sent);
        }
        while let Ok(message) = socket.read() {
            let Message::Text(text) = message else { continue };
            self.heard.lock().unwrap().push(text.to_string());
            sent.push(text.to_string());
            let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let frame = match json["type"].as_str() {
                Some("start") => return fail(&mut socket, &sent),
                Some("ping") => json!({"type": "pong", "nonce": json["nonce"], "said": self.say(&sent)}),
                _ => json!({"type": "hello", "said": self.say(&sent)}),
            };
            if socket.send(Message::text(frame.to_string())).is_err() {
                return;
            }
        }
    }
}

fn read_head(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    String::from_utf8(head).ok()
}

/// The value of a header.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// What a request carries that may be secret: the values of its own headers, of its query and of its subprotocols.
fn values(head: &str) -> Vec<String> {
    const USUAL: [&str; 9] = [
        "host",
        "connection",
        "upgrade",
        "sec-websocket-",
        "user-agent",
        "accept",
        "content-",
        "origin",
        "traceparent",
    ];
    let target = head.split(' ').nth(1).unwrap_or_default();
    let queried =
        url::form_urlencoded::parse(target.split_once('?').map_or("", |(_, query)| query).as_bytes());
    let mut values: Vec<String> = queried.map(|(_, value)| value.into_owned()).collect();
    for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(": ")) {
        if USUAL.iter().any(|usual| name.to_ascii_lowercase().starts_with(usual)) {
            continue;
        }
        values.push(value.to_owned());
        values.extend(value.split_once(' ').map(|(_, credential)| credential.to_owned()));
        let login = value.strip_prefix("Basic ").and_then(|login| STANDARD.decode(login).ok());
        if let Some(login) = login.and_then(|login| String::from_utf8(login).ok()) {
            values.extend(login.split_once(':').map(|(_, password)| password.to_owned()));
            values.push(login);
        }
        if name.eq_ignore_ascii_case("cookie") {
            let cookies = value.split("; ").filter_map(|cookie| cookie.split_once('='));
            values.extend(cookies.map(|(_, value)| value.to_owned()));
        }
    }
    for offered in field(head, "sec-websocket-protocol").unwrap_or_default().split(", ") {
        let token = offered.strip_prefix("jwt.").and_then(|encoded| URL_SAFE_NO_PAD.decode(encoded).ok());
        values.extend(token.and_then(|token| String::from_utf8(token).ok()));
    }
    values.push(target.to_owned());
    values
}

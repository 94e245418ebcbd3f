//! A server of nobody's framework that says back every credential it is sent, in every form and in every place.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// A running server; it ends with the test's process.
pub(crate) struct Parrot {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Parrot {
    /// Answers upgrades, each in another way.
    pub(crate) fn sockets() -> Self {
        Self::start(socket)
    }

    /// Answers API calls with this status, and the token in the message.
    pub(crate) fn api(status: u16) -> Self {
        Self::start(move |_, head| {
            let said = said_back(head).join(" ");
            let error = serde_json::json!({"error": {"code": status, "message": said, "status": "PERMISSION_DENIED"}});
            // A success without a service in it is what a proxy's own page looks like.
            let body = if status == 200 { format!("<html>{said}</html>") } else { error.to_string() };
            plain(&format!("{status} Said"), "", &body)
        })
    }

    fn start(answer: impl Fn(usize, &str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let (requests, answer) = (Arc::clone(&log), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, requests, answer) =
                    (stream.unwrap(), Arc::clone(&requests), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let Some(head) = read_head(&mut stream) else { return };
                    let number = {
                        let mut requests = requests.lock().unwrap();
                        requests.push(head.clone());
                        requests.len() - 1
                    };
                    let _ = stream.write_all(&answer(number, &head));
                    let _ = stream.shutdown(std::net::Shutdown::Write);
                    let _ = stream.read_to_end(&mut Vec::new());
                });
            }
        });
        Self { port, heard: log }
    }

    /// Every request's head so far.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
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
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// All that a request carries and nobody else may see.
pub(crate) fn credentials(head: &str) -> Vec<String> {
    let bearers = ["authorization", "x-serverless-authorization"]
        .map(|name| field(head, name).and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned));
    let offered = field(head, "sec-websocket-protocol").unwrap_or_default();
    let subprotocol = offered
        .split(", ")
        .find_map(|offered| offered.strip_prefix("jwt."))
        .map(|encoded| String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap());
    let cookie =
        field(head, "cookie").and_then(|cookie| cookie.split_once('=')).map(|(_, value)| value.to_owned());
    let key = field(head, "x-api-key").map(str::to_owned);
    bearers.into_iter().chain([subprotocol, cookie, key]).flatten().collect()
}

/// A text in all forms in which servers repeat what they were sent.
pub(crate) fn forms(text: &str) -> Vec<String> {
    let hex = |format: fn(u8) -> String| text.bytes().map(format).collect::<String>();
    let reserved = |format: fn(u8) -> String| -> String {
        let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        text.bytes().map(|b| if kept(b) { char::from(b).to_string() } else { format(b) }).collect()
    };
    let mut forms = vec![
        text.to_owned(),
        hex(|byte| format!("{byte:02x}")),
        hex(|byte| format!("{byte:02X}")),
        hex(|byte| format!("%{byte:02x}")),
        hex(|byte| format!("%{byte:02X}")),
        reserved(|byte| format!("%{byte:02x}")),
        reserved(|byte| format!("%{byte:02X}")),
        reserved(|byte| if byte == b' ' { "+".to_owned() } else { format!("%{byte:02X}") }),
        serde_json::Value::from(text).to_string().trim_matches('"').to_owned(),
    ];
    for before in ["", "x", "xx"] {
        let longer = format!("{before}{text}");
        forms.extend([STANDARD.encode(&longer), URL_SAFE_NO_PAD.encode(&longer)]);
    }
    forms
}

/// What a signed token says of itself, and its signature; its header is the same for everybody.
pub(crate) fn parts(secret: &str) -> Vec<&str> {
    let segments: Vec<&str> = secret.split('.').collect();
    match segments[..] {
        [_, payload, signature] if secret.starts_with("eyJ") => vec![payload, signature],
        _ => vec![secret],
    }
}

/// Every credential of a request in every form, and each part of a JWT but its header by itself.
fn said_back(head: &str) -> Vec<String> {
    let credentials = credentials(head);
    let parts = credentials.iter().flat_map(|text| parts(text)).map(str::to_owned);
    credentials.iter().cloned().chain(parts).flat_map(|text| forms(&text)).collect()
}

fn plain(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into_bytes()
}

fn accepted(head: &str, headers: &str) -> Vec<u8> {
    let key = derive_accept_key(field(head, "sec-websocket-key").unwrap_or_default().as_bytes());
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    format!("{upgrade}Sec-WebSocket-Accept: {key}\r\n{headers}\r\n").into_bytes()
}

fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => frame.push(length),
        _ => {
            frame.push(126);
            frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    [frame, payload.to_vec()].concat()
}

fn close(code: u16, reason: &str) -> Vec<u8> {
    let cut = &reason.as_bytes()[..reason.len().min(123)];
    frame(8, &[&code.to_be_bytes(), cut].concat())
}

/// The answer to the upgrade of this number.
fn socket(number: usize, head: &str) -> Vec<u8> {
    let said = said_back(head);
    let one = &said[number * 7 % said.len()];
    let credentials = credentials(head);
    let whole = &credentials[number % credentials.len()];
    match number % 10 {
        0 => plain("403 Forbidden", "", &said[(number * 3) % said.len()..].join(" ")),
        1 => plain("302 Found", &format!("Location: https://elsewhere.example/{one}\r\n"), one),
        2 => format!("{one} is not HTTP\r\n\r\n").into_bytes(),
        3 => accepted(head, &format!("Sec-WebSocket-Protocol: {one}\r\n")),
        4 => String::from_utf8(accepted(head, ""))
            .unwrap()
            .replace("Accept: ", &format!("Accept: {one}"))
            .into(),
        5 => [accepted(head, &format!("x-revision: {one}\r\n")), close(1011, one)].concat(),
        6 => {
            // The excerpt's end falls into the secret.
            let padding = "x".repeat(250 + number % 260);
            [accepted(head, ""), frame(1, format!("{padding}{whole}").as_bytes()), close(1008, whole)]
                .concat()
        }
        7 => {
            let mut error = String::new();
            for form in said.iter().skip(number % 20).step_by(20) {
                let _ = write!(error, "{form} ");
            }
            let error = serde_json::json!({"type": "error", "revision": one, "error": {"message": error}});
            [accepted(head, ""), frame(1, error.to_string().as_bytes()), close(1011, "")].concat()
        }
        8 => [
            accepted(head, ""),
            frame(2, whole.as_bytes()),
            frame(1, one.as_bytes()),
            frame(0x3, whole.as_bytes()),
        ]
        .concat(),
        _ => plain("401 Unauthorized", &format!("WWW-Authenticate: Bearer {one}\r\n"), one),
    }
}

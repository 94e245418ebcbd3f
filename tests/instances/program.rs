//! The emulator as a program: its end, and its ports.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use revgate::emulator::{Emulator, EmulatorError, EmulatorOptions};

use crate::support::{eventually, options, two, with};

/// A server that says its process group, with a child of its own.
const SERVER: &str = r#"python3 -u -c '
import http.server, os, subprocess
subprocess.Popen(["sleep", "600"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(os.getpgid(0)).encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
'"#;

/// `revgate emulator` that has said where it is, with the lines that it said until then.
struct Program {
    child: Child,
    said: String,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_revgate"))
            .arg("emulator")
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !said.ends_with("until Ctrl-C\n") && lines.read_line(&mut said).unwrap() > 0 {}
        Self { child, said }
    }

    /// What stands behind a word at the beginning of a line.
    fn address(&self, word: &str) -> &str {
        let line = self.said.lines().find_map(|line| line.strip_prefix(word));
        line.unwrap_or_else(|| panic!("no {word} in {}", self.said)).trim()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a process group has a member that is not a zombie.
fn is_alive(group: i32) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { return false };
        let Some((_, fields)) = stat.rsplit_once(") ") else { return false };
        let fields: Vec<&str> = fields.split(' ').collect();
        fields[0] != "Z" && fields[2] == group.to_string()
    })
}

/// The process group of the candidate, which the service's URL leads to when it is the only ready one.
async fn group_of(program: &Program) -> i32 {
    let api = program.address("Admin API");
    let body = serde_json::json!({"traffic": [{"type": 1, "percent": 100}]});
    let path = crate::support::path("services/demo?updateMask=traffic");
    let moved = reqwest::Client::new().patch(format!("{api}{path}")).json(&body).send().await.unwrap();
    assert_eq!(moved.status(), 200);
    let url = program.address("service");
    let mut group = None;
    eventually("the candidate answers", || async {
        reqwest::get(url).await.unwrap().text().await.unwrap().parse::<i32>().is_ok()
    })
    .await;
    if let Ok(text) = reqwest::get(url).await.unwrap().text().await {
        group = text.parse().ok();
    }
    group.expect("a number")
}

#[tokio::test]
async fn however_it_ends_nothing_is_left() {
    for (signal, code) in [("INT", Some(130)), ("TERM", Some(143)), ("KILL", None)] {
        let mut program = Program::start(&["--exec", SERVER, "--port", "0"]);
        let group = group_of(&program).await;
        assert!(is_alive(group));
        let process = program.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &process]).status().unwrap().success());
        let ended = program.child.wait().unwrap();
        assert_eq!(ended.code(), code, "{signal}");
        eventually("no member of the group is left", || async { !is_alive(group) }).await;
    }
}

#[test]
fn two_take_different_ports_and_a_busy_one_is_named() {
    let (one, other) = (Program::start(&[]), Program::start(&[]));
    assert_ne!(one.address("Admin API"), other.address("Admin API"));
    let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = busy.local_addr().unwrap().port().to_string();
    let mut refused = Program::start(&["--port", &port]);
    let mut said = String::new();
    refused.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(refused.child.wait().unwrap().code(), Some(2), "{said}");
    assert!(said.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{said}");
    assert!(said.contains("revgate emulator --port 0"), "{said}");
}

#[tokio::test]
async fn it_binds_loopback_only_unless_it_is_told_otherwise() {
    let other = IpAddr::from([127, 0, 0, 2]);
    let reached = |address: IpAddr, url: &str| {
        let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
        TcpStream::connect((address, port)).is_ok()
    };
    let emulator = two().await;
    let told = with(EmulatorOptions { bind: other, ..options() }, vec![]).await;
    for url in [emulator.api_endpoint(), emulator.service_url().unwrap()] {
        assert!(!reached(other, &url) && reached(Ipv4Addr::LOCALHOST.into(), &url), "{url}");
    }
    let url = told.api_endpoint();
    assert!(reached(other, &url) && reached(Ipv4Addr::LOCALHOST.into(), &url), "{url}");
    let taken =
        Emulator::start(EmulatorOptions { port: url.rsplit(':').next().unwrap().parse().ok(), ..options() });
    assert!(matches!(taken.await, Err(EmulatorError::Listen { .. })));
}

//! A backend process, and the binary aimed at it.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::backends;

/// The conversation of every socket, and the reference flow by three users at once. A few clean rounds pass `serves`.
pub(crate) const CONFIG: &str = r#"
path: /ws?user={{user}}
send: { type: ping, payload: { nonce: "{{nonce}}" } }
expect: { type: pong }
users: [gate-user-1, gate-user-2, gate-user-3, gate-user-10, gate-user-11]
race: { tolerated: 25%, noise: 1% }
timeouts: { opening: 3s, first-contact: 5s, answer: 3s }
agent: { flow: reference-agent, runs: 1, at-once: 3, within: 20s }
isolation: {}
"#;

/// A backend process; dropping it ends the process.
pub(crate) struct Backend {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Backend {
    /// The FastAPI backend in this mode.
    pub(crate) fn fastapi(mode: &str, variables: &[(&str, &str)]) -> Self {
        let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends/agent");
        let port = free_port();
        let mut command = Command::new(backends::python());
        command.args(["-m", "uvicorn", "--log-level", "critical", "--app-dir"]).arg(app);
        command.args(["app:app", "--host", "127.0.0.1", "--port", &port.to_string()]);
        Self::start(command, port, mode, variables)
    }

    /// The Node backend in this mode.
    pub(crate) fn node(mode: &str, variables: &[(&str, &str)]) -> Self {
        let (node, installed) = backends::node();
        let port = free_port();
        let mut command = Command::new(node);
        command.arg(beside_its_packages(&installed)).env("PORT", port.to_string());
        Self::start(command, port, mode, variables)
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    fn start(mut command: Command, port: u16, mode: &str, variables: &[(&str, &str)]) -> Self {
        command.env("BACKEND_MODE", mode).envs(variables.iter().copied());
        let child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut backend = Self { child, port, folder: tempfile::tempdir().unwrap() };
        for _ in 0..3000 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return backend;
            }
            assert!(backend.child.try_wait().unwrap().is_none(), "{mode}: the backend ended");
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{mode}: the backend does not listen");
    }

    /// A check of this backend: exit code and document. Its record, judged again, must give the very same document.
    pub(crate) fn check(&self, config: &str, arguments: &[&str]) -> (i32, Value) {
        let mut check = self.command(config, arguments);
        check.args(["--format", "json", "--progress", "none", "--record", "run.json"]);
        let output = check.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let record = self.folder.path().join("run.json");
        assert!(record.exists(), "there is no record\n{told}");
        let again = revgate().arg("judge").arg(&record).args(["--format", "json"]).output().unwrap();
        assert_eq!(again.status.code(), output.status.code(), "judge gives another code");
        assert_eq!(again.stdout, output.stdout, "judge gives another report");
        let document = serde_json::from_slice(&output.stdout).expect("one JSON document");
        (output.status.code().unwrap_or(-1), document)
    }
}

impl Backend {
    /// A check of this backend that has not begun.
    pub(crate) fn command(&self, config: &str, arguments: &[&str]) -> Command {
        std::fs::write(self.folder.path().join("revgate.yaml"), config).unwrap();
        let url = format!("ws://127.0.0.1:{}", self.port);
        let mut check = revgate();
        check.current_dir(self.folder.path()).args(["check", "--url", &url]).args(arguments);
        check
    }

    /// What the last check recorded of its conversations.
    pub(crate) fn recorded(&self) -> Value {
        let record = std::fs::read(self.folder.path().join("run.json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        record["configured"]["agent"].clone()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary without any variable that could change what it does.
pub(crate) fn revgate() -> Command {
    let mut revgate = Command::new(env!("CARGO_BIN_EXE_revgate"));
    #[expect(clippy::disallowed_methods, reason = "the binary must not inherit settings")]
    for (name, _) in std::env::vars() {
        if name.starts_with("REVGATE_") || name.starts_with("GITHUB_") || name.starts_with("GOOGLE_") {
            revgate.env_remove(name);
        }
    }
    revgate
}

/// A check of a document: its outcome and its summary.
pub(crate) fn check_of<'a>(document: &'a Value, name: &str) -> (&'a str, &'a str) {
    let checks = document["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["name"] == name).expect("the check");
    (check["outcome"].as_str().unwrap(), check["summary"].as_str().unwrap())
}

/// The name of the first check that failed.
pub(crate) fn first_failed(document: &Value) -> Option<&str> {
    let checks = document["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["outcome"] == "fail")?["name"].as_str()
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// The agent server in a folder that has the installed packages too: Node looks for them beside the script.
fn beside_its_packages(installed: &Path) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agent-server");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let packages = folder.join("node_modules");
    let target = installed.join("node_modules");
    if std::fs::read_link(&packages).ok().as_ref() != Some(&target) {
        let _ = std::fs::remove_file(&packages);
        std::os::unix::fs::symlink(&target, &packages).unwrap();
    }
    for (name, text) in
        [("package.json", r#"{"type":"module"}"#), ("server.js", include_str!("../backends/agent/server.js"))]
    {
        // A server that is starting may be reading it: it is never half there.
        let path = folder.join(name);
        if std::fs::read_to_string(&path).ok().as_deref() != Some(text) {
            let beside = folder.join(format!("{name}.new"));
            std::fs::write(&beside, text).unwrap();
            std::fs::rename(&beside, &path).unwrap();
        }
    }
    folder.join("server.js")
}

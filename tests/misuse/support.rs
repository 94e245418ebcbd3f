//! A backend on a free port, and the binary aimed at it.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::backends;
use crate::memory::{Measured, measured};

/// The key of good tokens.
pub(crate) const SECRET: &str = "a-signing-key-that-is-long-enough-for-hs256";

/// How these backends are spoken to; what is asked of them comes behind it.
const CONVERSATION: &str = r#"
path: /ws
send: '{"type":"ping","nonce":"{{nonce}}"}'
users: [u01, u02, u03, u04, u05, u06]
token: { secret-env: APP_SECRET, claims: { aud: us } }
timeouts: { opening: 4s, answer: 3s, serves-hold: 300ms }
race: { tolerated: 25%, noise: 1% }
limits: { openings-per-second: 200 }
"#;

/// A backend process; dropping it ends the process.
pub(crate) struct Backend {
    child: Child,
    port: u16,
    log: File,
    /// What a certificate is verified with, where TLS is spoken.
    roots: Option<tempfile::TempDir>,
}

impl Backend {
    /// `tests/backends/misuse/app.py` in `mode`.
    pub(crate) fn fastapi(mode: &str) -> Self {
        Self::fastapi_with(mode, &[])
    }

    /// The same with further options of the server's.
    pub(crate) fn fastapi_with(mode: &str, options: &[&str]) -> Self {
        Self::start(uvicorn(options), mode, true)
    }

    /// The same with TLS.
    pub(crate) fn secure_fastapi(mode: &str) -> Self {
        let roots = certificate();
        let path = |name: &str| roots.path().join(name).to_str().unwrap().to_owned();
        let (key, certificate) = (path("key.pem"), path("certificate.pem"));
        let options = ["--ssl-keyfile", &key, "--ssl-certfile", &certificate];
        let mut backend = Self::start(uvicorn(&options), mode, true);
        backend.roots = Some(roots);
        backend
    }

    /// `tests/backends/misuse/server.js` in `mode`, with TLS.
    pub(crate) fn secure_node(mode: &str) -> Self {
        let roots = certificate();
        let (node, modules) = backends::node();
        let mut command = Command::new(node);
        command.arg(folder().join("server.js")).env("BACKEND_MODULES", modules);
        command.env("BACKEND_TLS_KEY", roots.path().join("key.pem"));
        command.env("BACKEND_TLS_CERTIFICATE", roots.path().join("certificate.pem"));
        let mut backend = Self::start(command, mode, false);
        backend.roots = Some(roots);
        backend
    }

    /// `tests/backends/misuse/server.js` in `mode`.
    pub(crate) fn node(mode: &str) -> Self {
        let (node, modules) = backends::node();
        let mut command = Command::new(node);
        command.arg(folder().join("server.js")).env("BACKEND_MODULES", modules);
        Self::start(command, mode, false)
    }

    /// `tests/backends/misuse/hostile.py` in `mode`.
    pub(crate) fn hostile(mode: &str) -> Self {
        let mut command = Command::new(backends::python());
        command.arg(folder().join("hostile.py"));
        Self::start(command, mode, false)
    }

    fn start(mut command: Command, mode: &str, by_argument: bool) -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        if by_argument {
            command.arg(port.to_string());
        }
        let log = tempfile::tempfile().unwrap();
        command.env("PORT", port.to_string()).env("BACKEND_MODE", mode).env("BACKEND_AUDIENCE", "us");
        command.env("BACKEND_JWT_SECRET", SECRET).stdout(Stdio::null()).stderr(log.try_clone().unwrap());
        let mut backend = Self { child: command.spawn().unwrap(), port, log, roots: None };
        for _ in 0..1500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return backend;
            }
            let ended = backend.child.try_wait().unwrap();
            assert!(ended.is_none(), "{mode} does not listen: {ended:?}\n{}", backend.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{mode} never listens\n{}", backend.said());
    }

    /// What the process has said on standard error.
    pub(crate) fn said(&mut self) -> String {
        let mut text = String::new();
        self.log.rewind().unwrap();
        self.log.read_to_string(&mut text).unwrap();
        text
    }

    /// A check of what `asked` configures, with these arguments; its record, judged again, must give the same.
    pub(crate) fn check(&self, asked: &str, arguments: &[&str]) -> Checked {
        let folder = tempfile::tempdir().unwrap();
        let yaml =
            if asked.contains("path:") { asked.to_owned() } else { format!("{CONVERSATION}{asked}\n") };
        std::fs::write(folder.path().join("revgate.yaml"), yaml).unwrap();
        let mut check = revgate(folder.path(), "check");
        let url = match &self.roots {
            Some(roots) => {
                check.env("SSL_CERT_FILE", roots.path().join("certificate.pem"));
                format!("wss://localhost:{}", self.port)
            }
            None => format!("ws://127.0.0.1:{}", self.port),
        };
        check.args(["--url", &url, "--format", "json"]);
        check.args(["--record", "run.json"]).args(arguments);
        let Measured { code, out, err, peak } = measured(&mut check, folder.path());
        let report: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}\n{out}{err}"));
        let mut judge = revgate(folder.path(), "judge");
        let again = run(judge.args(["run.json", "--format", "json"]));
        assert_eq!((again.0, again.1 == out), (code, true), "judge says something else\n{err}");
        let text = run(revgate(folder.path(), "judge").arg("run.json")).1;
        let record = std::fs::read_to_string(folder.path().join("run.json")).unwrap();
        for shown in [&out, &err, &text, &record] {
            assert!(!shown.contains(SECRET), "the key is shown\n{text}");
            // The head of a token is the same for everybody, and shorter than the claims of any.
            let is_part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            let mut parts = shown.split("eyJ").skip(1).map(|rest| rest.chars().take_while(is_part).count());
            assert!(parts.all(|length| length < 40), "the claims of a token are shown\n{text}");
        }
        Checked { code, report, text, peak }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a check came to.
pub(crate) struct Checked {
    pub(crate) code: i32,
    pub(crate) report: Value,
    pub(crate) text: String,
    /// The most memory that the run took, in KiB; 0 where the system does not tell.
    pub(crate) peak: u64,
}

impl Checked {
    /// Outcome and summary of a check.
    pub(crate) fn of(&self, name: &str) -> (&str, &str) {
        let checks = self.report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == name).unwrap();
        (check["outcome"].as_str().unwrap(), check["summary"].as_str().unwrap())
    }

    /// Blocked by this check alone, in these words.
    pub(crate) fn assert_blocked_by(&self, name: &str, words: &str) {
        assert_eq!(self.code, 10, "{}", self.text);
        let checks = self.report["checks"].as_array().unwrap();
        let failed: Vec<&Value> = checks.iter().filter(|check| check["outcome"] == "fail").collect();
        assert_eq!(failed.len(), 1, "{}", self.text);
        let (outcome, summary) = self.of(name);
        assert_eq!(outcome, "fail", "{}", self.text);
        assert!(summary.contains(words), "{words:?} is not in {summary:?}\n{}", self.text);
    }

    pub(crate) fn assert_approved(&self) {
        assert_eq!(self.code, 0, "{}", self.text);
    }
}

fn uvicorn(options: &[&str]) -> Command {
    let mut command = Command::new(backends::python());
    command.args(["-m", "uvicorn", "--app-dir"]).arg(folder()).args(options);
    command.args(["app:app", "--host", "127.0.0.1", "--log-level", "warning", "--port"]);
    command
}

/// A key and a certificate for `localhost`, as PEM files in a folder.
fn certificate() -> tempfile::TempDir {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.path().join("certificate.pem"), made.cert.pem()).unwrap();
    folder
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends/misuse")
}

/// The binary without any variable that could change what it does.
pub(crate) fn revgate(folder: &Path, command: &str) -> Command {
    let mut revgate = Command::new(env!("CARGO_BIN_EXE_revgate"));
    #[expect(clippy::disallowed_methods, reason = "the binary must not inherit settings")]
    for (name, _) in std::env::vars() {
        if name.starts_with("REVGATE_") || name.starts_with("GITHUB_") || name.starts_with("GOOGLE_") {
            revgate.env_remove(name);
        }
    }
    revgate.env("APP_SECRET", SECRET).env("REVGATE_PROGRESS", "none").env("REVGATE_COLOR", "never");
    revgate.current_dir(folder).arg(command);
    revgate
}

fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().expect("the binary");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Runs each case on a thread of its own, a few at once.
pub(crate) fn side_by_side<T: Sync>(cases: &[T], run: impl Fn(&T) + Sync) {
    std::thread::scope(|scope| {
        for part in cases.chunks(cases.len().div_ceil(4)) {
            scope.spawn(|| part.iter().for_each(&run));
        }
    });
}

//! An emulator with one candidate, and the binary aimed at it.

use std::path::PathBuf;
use std::process::{Command, Output};

use revgate::emulator::{Emulator, Scenario};
use serde_json::Value;

/// A runtime that keeps an emulator alive while the binary runs.
pub(crate) struct World {
    pub(crate) emulator: Option<Emulator>,
    runtime: tokio::runtime::Runtime,
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    /// Starts a scenario: YAML or JSON.
    pub(crate) fn new(scenario: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let scenario = Scenario::parse(scenario).expect("a scenario");
        let started_at = jiff::Timestamp::from_second(now()).unwrap();
        let emulator =
            runtime.block_on(Emulator::start_scenario(&scenario, None, started_at)).expect("an emulator");
        Self { emulator: Some(emulator), runtime, folder: tempfile::tempdir().unwrap() }
    }

    /// A healthy old revision and a candidate of this behaviour, on this share of its sockets.
    pub(crate) fn candidate(behaviour: &str, rate: f64) -> Self {
        Self::new(&format!(
            "revisions: [{{created_minutes_ago: 60}}, {{behaviour: {behaviour}, rate: {rate}, echo_revision: true}}]"
        ))
    }

    /// `revgate COMMAND` aimed at the emulator, with the sample backend's conversation in `revgate.yaml`.
    pub(crate) fn revgate(&self, command: &str) -> Command {
        let config = self.file("revgate.yaml");
        if !config.exists() {
            std::fs::write(&config, CONFIG).unwrap();
        }
        let mut revgate = binary(command);
        revgate.current_dir(self.folder.path()).args(["--progress", "none", "--color", "never"]);
        revgate.args(["--project", "demo-project", "--region", "us-central1", "--service", "demo"]);
        revgate.arg("--api-endpoint").arg(self.emulator.as_ref().unwrap().api_endpoint());
        revgate
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The traffic entries of the service, as the API tells them.
    pub(crate) fn traffic(&self) -> Vec<Value> {
        let url = format!(
            "{}/v2/projects/demo-project/locations/us-central1/services/demo",
            self.emulator.as_ref().unwrap().api_endpoint()
        );
        let service: Value =
            self.runtime.block_on(async { reqwest::get(url).await.unwrap().json().await.unwrap() });
        service["traffic"].as_array().unwrap().clone()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(emulator) = self.emulator.take() {
            self.runtime.block_on(emulator.shutdown());
        }
    }
}

const CONFIG: &str = r#"
path: /ws?user={{user}}
send: '{"type":"ping","nonce":"{{nonce}}"}'
expect: '{"type":"pong"}'
identity: { header: x-revision }
users: [u01, u02, u03, u04, u05, u06, u07, u08, u09, u10, u11, u12, u13, u14, u15, u16, u17, u18, u19, u20]
timeouts: { opening: 2s, first-contact: 3s, answer: 2s }
limits: { openings-per-second: 1000 }
"#;

/// The binary without any variable that could change what it does.
pub(crate) fn binary(command: &str) -> Command {
    let mut revgate = Command::new(env!("CARGO_BIN_EXE_revgate"));
    #[expect(clippy::disallowed_methods, reason = "the binary must not inherit settings")]
    for (name, _) in std::env::vars() {
        if name.starts_with("REVGATE_") || name.starts_with("GITHUB_") || name.starts_with("GOOGLE_") {
            revgate.env_remove(name);
        }
    }
    revgate.arg(command);
    revgate
}

/// Exit code and both outputs.
pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the binary");
    (
        status.code().unwrap_or(-1),
        String::from_utf8_lossy(&stdout).into_owned(),
        String::from_utf8_lossy(&stderr).into_owned(),
    )
}

#[expect(clippy::disallowed_methods, reason = "the emulator is told the wall clock")]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

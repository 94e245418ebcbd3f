//! An emulator with one candidate, and the binary aimed at it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use revgate::emulator::{Deployment, Emulator, Scenario};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

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
        // To the last digit: what happens within the first second must not seem to have come before it.
        let started_at = jiff::Timestamp::try_from(wall_clock()).unwrap();
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
        revgate.current_dir(self.folder.path());
        // Variables, so that a test can choose otherwise by a flag.
        revgate.env("REVGATE_PROGRESS", "none").env("REVGATE_COLOR", "never");
        revgate.args(["--project", "demo-project", "--region", "us-central1", "--service", "demo"]);
        revgate.arg("--api-endpoint").arg(self.emulator().api_endpoint());
        revgate
    }

    /// Writes another `revgate.yaml`.
    pub(crate) fn configure(&self, text: &str) {
        std::fs::write(self.file("revgate.yaml"), text).unwrap();
    }

    /// A check with `--record`; the record, judged again, must give the very same text.
    pub(crate) fn check(&self, arguments: &[&str]) -> Ended {
        self.recorded(arguments, &[])
    }

    /// The same as one JSON document.
    pub(crate) fn check_json(&self, arguments: &[&str]) -> (Ended, Value) {
        let ended = self.recorded(arguments, &["--format", "json"]);
        let document = serde_json::from_str(&ended.out).expect("one JSON document");
        (ended, document)
    }

    fn recorded(&self, arguments: &[&str], shown: &[&str]) -> Ended {
        let mut check = self.revgate("check");
        let ended = Ended::of(check.args(arguments).args(shown).args(["--record", "run.json"]));
        let record = self.file("run.json");
        assert!(record.exists(), "there is no record\n{ended:?}");
        let verbose = arguments.contains(&"--verbose").then_some("--verbose");
        let shown: Vec<&str> = shown.iter().copied().chain(verbose).collect();
        assert_judged_alike(&record, &shown, &ended);
        ended
    }

    /// Starts a check in the background, which tells its progress.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut check = self.revgate("check");
        check.args(arguments);
        self.start_command(&mut check)
    }

    /// Starts a command in the background; a later `--progress` wins.
    pub(crate) fn start_command(&self, command: &mut Command) -> Running {
        let number = std::fs::read_dir(self.folder.path()).unwrap().count();
        let [out, err] = ["out", "err"].map(|name| self.file(&format!("{name}-{number}")));
        command.stdout(std::fs::File::create(&out).unwrap()).stderr(std::fs::File::create(&err).unwrap());
        Running { child: command.spawn().unwrap(), out, err }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn emulator(&self) -> &Emulator {
        self.emulator.as_ref().unwrap()
    }

    fn service_url(&self) -> String {
        let endpoint = self.emulator().api_endpoint();
        format!("{endpoint}/v2/projects/demo-project/locations/us-central1/services/demo")
    }

    /// Writes the traffic as another person would, and waits until that is in effect.
    pub(crate) fn set_traffic(&self, entries: &[Value]) {
        let url = format!("{}?updateMask=traffic", self.service_url());
        let body = json!({ "traffic": entries });
        self.runtime.block_on(async {
            let answer = reqwest::Client::new().patch(url).json(&body).send().await.unwrap();
            assert!(answer.status().is_success(), "{:?}", answer.text().await);
            self.emulator().settled().await;
        });
    }

    /// Deploys a revision, and waits until it is settled; gives its name.
    pub(crate) fn deploy(&self, deployment: Deployment) -> String {
        self.runtime.block_on(async {
            let revision = self.emulator().deploy(deployment).await.unwrap();
            self.emulator().settled().await;
            revision
        })
    }

    /// The names of all tags.
    pub(crate) fn tags(&self) -> Vec<String> {
        self.traffic().iter().filter_map(|entry| entry["tag"].as_str().map(str::to_owned)).collect()
    }

    /// The short name of the revision that has all traffic from the start.
    pub(crate) fn old_revision(&self) -> String {
        let service = self.read(&self.service_url());
        let statuses = service["trafficStatuses"].as_array().unwrap();
        let serving = statuses.iter().find(|status| status["percent"] == 100).expect("one has all traffic");
        serving["revision"].as_str().unwrap().to_owned()
    }

    fn read(&self, url: &str) -> Value {
        self.runtime.block_on(async { reqwest::get(url).await.unwrap().json().await.unwrap() })
    }

    /// Asks for an address and does not care for the answer.
    pub(crate) fn read_status(&self, url: &str) {
        self.runtime.block_on(async { reqwest::get(url).await.unwrap().status() });
    }

    /// How many writes the API has been asked for.
    pub(crate) fn writes(&self) -> usize {
        self.emulator().requests().iter().filter(|request| request.method == "PATCH").count()
    }

    /// The traffic entries of the service, as the API tells them.
    pub(crate) fn traffic(&self) -> Vec<Value> {
        let service = self.read(&self.service_url());
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

/// The sample backend's conversation, by twenty users.
pub(crate) const CONFIG: &str = r#"
path: /ws?user={{user}}
send: '{"type":"ping","nonce":"{{nonce}}"}'
expect: '{"type":"pong"}'
identity: { header: x-revision }
users: [u01, u02, u03, u04, u05, u06, u07, u08, u09, u10, u11, u12, u13, u14, u15, u16, u17, u18, u19, u20]
timeouts: { opening: 2s, first-contact: 3s, answer: 2s }
limits: { openings-per-second: 1000 }
"#;

/// The same, with a verdict after a few rounds: for tests of what surrounds the verdict.
pub(crate) const QUICK: &str = r#"
path: /ws?user={{user}}
send: '{"type":"ping","nonce":"{{nonce}}"}'
expect: '{"type":"pong"}'
identity: { header: x-revision }
users: [u01, u02, u03, u04, u05, u06, u07, u08, u09, u10, u11, u12]
race: { tolerated: 25%, noise: 1% }
timeouts: { opening: 2s, first-contact: 3s, answer: 2s }
limits: { openings-per-second: 1000 }
"#;

/// Sockets that wait for a minute: with a server that hangs, a run that lasts until it is interrupted.
pub(crate) const PATIENT: &str = "path: /ws\ntimeouts: { opening: 60s, first-contact: 60s }\n";

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn of(command: &mut Command) -> Self {
        let (code, out, err) = run(command);
        Self { code, out, err }
    }
}

/// A run in the background; it is killed with the test.
pub(crate) struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until standard error holds these words.
    pub(crate) fn says(&self, words: &str) {
        wait_until(words, || std::fs::read_to_string(&self.err).unwrap().contains(words));
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub(crate) fn wait(mut self) -> Ended {
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        Ended { code, out: read(&self.out), err: read(&self.err) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Judging the record of a run must give the same code and, byte for byte, the same report.
pub(crate) fn assert_judged_alike(record: &Path, shown: &[&str], ended: &Ended) {
    let again = Ended::of(binary("judge").arg(record).args(shown).args(["--color", "never"]));
    assert_eq!(again.code, ended.code, "judge gives another code than check\n{ended:?}\n{again:?}");
    assert_eq!(again.out, ended.out, "judge gives another report than check");
}

pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "a generous bound on a test that polls")]
    let clock = Instant::now;
    let begun = clock();
    while !done() {
        assert!(begun.elapsed() < Duration::from_mins(1), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

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

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = wall_clock().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the emulator is told the wall clock")]
fn wall_clock() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

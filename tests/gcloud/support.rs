//! One emulator, and a gcloud that knows of nothing else.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Once,
    time::Duration,
};

use revgate::emulator::{Emulator, EmulatorOptions};
use serde_json::Value;
use tokio::process::Command;

/// Far longer than any command takes; only a defect reaches it.
const DEADLINE: Duration = Duration::from_mins(6);

/// One line for all tests.
static SAID: Once = Once::new();

/// An emulator, and the environment of the shell that uses it.
pub(crate) struct Story {
    pub(crate) emulator: Emulator,
    gcloud: PathBuf,
    place: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The gcloud of this machine; `None` is said loudly, or fails where gcloud is required.
#[expect(clippy::disallowed_methods, reason = "whether gcloud must be there is asked of the environment")]
pub(crate) fn gcloud() -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("gcloud")).find(|file| file.is_file());
    if found.is_none() {
        assert!(
            std::env::var("REVGATE_REQUIRE_GCLOUD").is_err(),
            "gcloud is required and not on the PATH: {path}"
        );
        // Not by a macro: what those print is kept from sight when a test passes.
        let said =
            b"NOT TESTED AGAINST GCLOUD: there is no gcloud on the PATH, so these tests show nothing\n";
        SAID.call_once(|| std::io::stderr().write_all(said).unwrap());
    }
    found
}

impl Story {
    /// A story with an empty emulator; `None` without gcloud.
    pub(crate) async fn begin() -> Option<Self> {
        Self::with(|_| {}).await
    }

    /// The same, with other options.
    pub(crate) async fn with(change: impl FnOnce(&mut EmulatorOptions)) -> Option<Self> {
        let gcloud = gcloud()?;
        let mut options = EmulatorOptions::new("2026-11-23T20:28:12Z".parse().unwrap());
        options.pace = Duration::from_millis(100);
        // `gcloud logging` asks for the entries of the last day by the machine's clock.
        options.started_at = now();
        change(&mut options);
        let emulator = Emulator::start(options).await.unwrap();
        let place = tempfile::tempdir().unwrap();
        let mut story = Self { emulator, gcloud, place, variables: Vec::new() };
        let port = story.emulator.api_endpoint().rsplit(':').next().unwrap().to_owned();
        let printed = story.revgate(&["emulator", "env", "--dotenv", "--port", &port]).await;
        assert_eq!((printed.code, printed.err.as_str()), (0, ""));
        let line = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        story.variables = printed.out.lines().filter_map(line).collect();
        Some(story)
    }

    /// A file of the story's folder.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.place.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Runs gcloud.
    pub(crate) async fn run(&self, line: &str) -> Ran {
        let words = shlex::split(line).unwrap();
        self.ran(&self.gcloud, &words).await
    }

    /// Runs gcloud, which must succeed; gives what it wrote to both streams.
    pub(crate) async fn good(&self, line: &str) -> String {
        let ran = self.run(line).await;
        assert_eq!(ran.code, 0, "gcloud {line}\n{}{}", ran.out, ran.err);
        ran.out + &ran.err
    }

    /// Runs gcloud with `--format json`, which must succeed; gives what it printed.
    pub(crate) async fn json(&self, line: &str) -> Value {
        let ran = self.run(&format!("{line} --format json")).await;
        assert_eq!(ran.code, 0, "gcloud {line}\n{}{}", ran.out, ran.err);
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("gcloud {line}: {error}: {}", ran.out))
    }

    /// Runs gcloud, which must fail; gives what it says on standard error.
    pub(crate) async fn bad(&self, line: &str) -> String {
        let ran = self.run(line).await;
        assert_eq!(ran.code, 1, "gcloud {line}\n{}{}", ran.out, ran.err);
        ran.err
    }

    /// Runs the binary.
    pub(crate) async fn revgate(&self, words: &[&str]) -> Ran {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        self.ran(Path::new(env!("CARGO_BIN_EXE_revgate")), &words).await
    }

    /// Runs a line of sh, without the variables of the emulator.
    pub(crate) async fn plain_shell(&self, line: &str) -> Ran {
        let mut command = self.command(Path::new("sh"));
        command.args(["-c", line]);
        finished(command, line).await
    }

    async fn ran(&self, program: &Path, words: &[String]) -> Ran {
        let mut command = self.command(program);
        command.args(words).envs(self.variables.iter().map(|(name, value)| (name, value)));
        finished(command, &words.join(" ")).await
    }

    /// A command with an environment of a home and a path.
    #[expect(clippy::disallowed_methods, reason = "the programs are found where the test's own are")]
    fn command(&self, program: &Path) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_revgate")).parent().unwrap();
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.place.path())
            .current_dir(self.place.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

async fn finished(mut command: Command, line: &str) -> Ran {
    let output = tokio::time::timeout(DEADLINE, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("did not end: {line}")).unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[expect(clippy::disallowed_methods, reason = "the emulator is told the wall clock")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The status of a plain GET.
pub(crate) async fn status_of(url: &str) -> u16 {
    reqwest::Client::new().get(url).send().await.unwrap().status().as_u16()
}

/// A service's effective traffic, as `revision percent tag` in order.
pub(crate) fn traffic(service: &Value) -> Vec<String> {
    let entries = service["status"]["traffic"].as_array().cloned().unwrap_or_default();
    let told = |entry: &Value| {
        let latest = if entry["latestRevision"] == true { "LATEST=" } else { "" };
        let tag = entry["tag"].as_str().unwrap_or("-");
        format!(
            "{latest}{} {} {tag}",
            entry["revisionName"].as_str().unwrap(),
            entry["percent"].as_u64().unwrap_or(0)
        )
    };
    entries.iter().map(told).collect()
}

/// The URL of a tag.
pub(crate) fn tag_url(service: &Value, tag: &str) -> String {
    let entries = service["status"]["traffic"].as_array().unwrap();
    let found = entries.iter().find(|entry| entry["tag"] == tag).expect("the tag is in the traffic");
    found["url"].as_str().unwrap().to_owned()
}

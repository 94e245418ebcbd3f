//! One emulator, and what a script saw of it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use revgate::emulator::{Emulator, EmulatorOptions, Images};
use serde_json::{Value, json};
use tokio::process::Command;

/// What a script saw, by story.
pub(crate) type Stories = BTreeMap<String, Value>;

/// Far longer than any script takes; only a defect reaches it.
const DEADLINE: Duration = Duration::from_mins(5);

/// An empty emulator in which the image `app:broken` does not start.
pub(crate) async fn emulator() -> Emulator {
    let mut options = EmulatorOptions::new(now());
    options.pace = Duration::from_millis(20);
    options.images = Images::parse("'app:broken': 'false'").unwrap();
    Emulator::start(options).await.unwrap()
}

/// The clients compare the times of entries with the machine's clock.
#[expect(clippy::disallowed_methods, reason = "the emulator is told the wall clock")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The path of one of the scripts.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Runs a script; gives what it saw, by story.
pub(crate) async fn stories(program: &Path, script: &Path, arguments: &[&str]) -> Stories {
    let mut command = Command::new(program);
    command.arg(script).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("does not end: {}", script.display())).unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    let story = |line: &str| {
        let told: Value = serde_json::from_str(line).unwrap();
        (told["story"].as_str().unwrap().to_owned(), told["saw"].clone())
    };
    told.lines().map(story).collect()
}

/// What a story saw is as expected; of members that nobody expects nothing is said.
pub(crate) fn saw(stories: &Stories, story: &str, expected: Value) {
    let saw = stories.get(story).unwrap_or_else(|| panic!("there is no story {story}"));
    let Value::Object(expected) = expected else { panic!("{story}: an object is expected") };
    for (key, value) in expected {
        assert_eq!(saw[&key], value, "{story}, {key}: {saw:#}");
    }
}

/// Type, revision, share and tag, as the scripts write the traffic.
pub(crate) fn split(targets: &[(&str, u32, &str)]) -> Value {
    let target = |(revision, percent, tag): &(&str, u32, &str)| match *revision {
        "LATEST" => json!(["LATEST", "", percent, tag]),
        revision => json!(["REVISION", revision, percent, tag]),
    };
    targets.iter().map(target).collect()
}

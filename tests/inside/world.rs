//! An emulator whose candidate is a backend with an inside, and a quick conversation.

use std::path::Path;

use serde_json::json;

use crate::backends;
use crate::support::World;

/// A verdict after a few rounds; `MORE` is what a test configures besides.
pub(crate) const QUICK: &str = r#"
path: /ws?user={{user}}
send: '{"type":"ping","nonce":"{{nonce}}"}'
expect: '{"type":"pong"}'
users: [u01, u02, u03, u04, u05, u06, u07, u08, u09, u10, u11, u12]
race: { tolerated: 25%, noise: 1% }
timeouts: { opening: 10s, first-contact: 20s, answer: 5s }
limits: { openings-per-second: 1000 }
"#;

/// Answers name their revision.
pub(crate) const NAMED: &str = "identity: { header: x-revision }\n";

/// The command of the backend in `mode`.
pub(crate) fn command(mode: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends/inside");
    let python = backends::python();
    let words = ["env", &format!("BACKEND_MODE={mode}"), python.to_str().unwrap(), "-m", "uvicorn"]
        .map(str::to_owned);
    let more =
        ["--app-dir", folder.to_str().unwrap(), "--host", "127.0.0.1", "--port", "$PORT"].map(str::to_owned);
    let app = ["app:app".to_owned()];
    shlex::try_join(words.iter().chain(&app).chain(&more).map(String::as_str))
        .unwrap()
        .replace("'$PORT'", "$PORT")
}

/// A gate with a healthy old revision and the backend in `mode` as the candidate; `more` is added to `revgate.yaml`.
pub(crate) fn backend(mode: &str, more: &str, faults: &str) -> World {
    let candidate = json!({ "exec": command(mode) });
    let world = World::new(&format!(
        "revisions:\n  - {{created_minutes_ago: 60}}\n  - {candidate}\nfaults: {faults}\n"
    ));
    world.configure(&format!("{QUICK}{more}"));
    world
}

/// The same with the sample backend of these fields as the candidate.
pub(crate) fn sample(fields: &str, more: &str, faults: &str) -> World {
    let world =
        World::new(&format!("revisions:\n  - {{created_minutes_ago: 60}}\n  - {fields}\nfaults: {faults}\n"));
    world.configure(&format!("{QUICK}{more}"));
    world
}

/// Holds what was printed against what must be in it.
pub(crate) fn assert_says(text: &str, words: &[&str]) {
    for due in words {
        assert!(text.contains(due), "it does not say {due:?}\n{text}");
    }
}

/// The check that a report names first: failures come first.
pub(crate) fn first_check(text: &str) -> &str {
    let marks = ["FAIL", "pass", "????"];
    let line = text.lines().find(|line| marks.iter().any(|mark| line.trim_start().starts_with(mark)));
    line.and_then(|line| line.split_whitespace().nth(1)).unwrap_or_default()
}

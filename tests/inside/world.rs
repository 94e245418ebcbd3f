//! An emulator whose candidate is a backend with an inside, and a quick conversation.

use std::path::Path;

use serde_json::json;

use crate::backends;
use crate::support::World;

/// A verdict after a few rounds.
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
    let (mode, python, folder) =
        (format!("BACKEND_MODE={mode}"), python.to_str().unwrap(), folder.to_str().unwrap());
    let words =
        ["env", &mode, python, "-m", "uvicorn", "--app-dir", folder, "app:app", "--host", "127.0.0.1"];
    // The port's place is no text to be quoted.
    format!("{} --port $PORT", shlex::try_join(words).unwrap())
}

/// A gate with a healthy old revision and the backend in `mode` as the candidate; `config` is added to `revgate.yaml`.
pub(crate) fn backend(mode: &str, config: &str, faults: &str) -> World {
    let candidate = json!({ "exec": command(mode), "concurrency": 80 });
    let world = World::new(&format!(
        "revisions:\n  - {{created_minutes_ago: 60}}\n  - {candidate}\nfaults: {faults}\n"
    ));
    world.configure(&format!("{QUICK}{config}"));
    world
}

/// The same with the sample backend of these fields as the candidate.
pub(crate) fn sample(fields: &str, config: &str, faults: &str) -> World {
    let world =
        World::new(&format!("revisions:\n  - {{created_minutes_ago: 60}}\n  - {fields}\nfaults: {faults}\n"));
    world.configure(&format!("{QUICK}{config}"));
    world
}

/// Holds what was printed against what must be in it.
pub(crate) fn assert_says(text: &str, words: &[&str]) {
    for due in words {
        assert!(text.contains(due), "it does not say {due:?}\n{text}");
    }
}

/// The first failing check of a report.
pub(crate) fn first_failure(text: &str) -> &str {
    let line = text.lines().find(|line| line.trim_start().starts_with("FAIL"));
    line.and_then(|line| line.split_whitespace().nth(1)).unwrap_or_default()
}

//! What is secret reaches endpoints and nobody else, also where a server gives it back and writes it into its log.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::support::Ended;
use crate::world::{NAMED, assert_says, backend, sample};

const KEY: &str = "correct-horse-battery-staple";

#[test]
fn what_a_server_gives_back_and_logs_is_redacted() {
    let config = r"
token: { secret-env: JWT_SECRET, carry: [authorization] }
logs: { patience: 20s }
api:
  endpoints:
    - { path: '/echo?access_token=correct-horse-in-a-query', headers: { X-Key: { env: API_KEY } }, token: true, status: [418] }
    - { path: /echo, json: { /headers/x-key: { regex: '^nobody$' } }, headers: { X-Key: { env: API_KEY } } }
    - { path: /echo, json: { /headers/authorization: { regex: '^Bearer eyJ[A-Za-z0-9_.-]+$' } }, token: true }
";
    let world = backend("echo", &format!("{NAMED}{config}"), "{}");
    let mut check = world.revgate("check");
    check.args([
        "--tag",
        "gate",
        "--skip",
        "race",
        "--record",
        "run.json",
        "--verbose",
        "--progress",
        "plain",
    ]);
    check.env("API_KEY", KEY).env("JWT_SECRET", "a-key-that-signs-tokens-of-users");
    let Ended { code, out, err } = Ended::of(&mut check);
    assert_eq!(code, 10, "{out}{err}");
    assert_says(&out, &["FAIL  api", "FAIL  logs", "status 200 where 418 is due", "asked with"]);
    let record = std::fs::read_to_string(world.file("run.json")).unwrap();
    let encoded = STANDARD.encode(KEY);
    for secret in [KEY, &encoded, "eyJ", "correct-horse-in-a-query", "a-key-that-signs"] {
        for (place, text) in [("out", &out), ("err", &err), ("record", &record)] {
            assert!(!text.contains(secret), "{secret} stands in {place}\n{text}");
        }
    }
    // The third endpoint saw a token: it is the one that is right.
    let document: serde_json::Value = serde_json::from_str(&record).unwrap();
    let answers = &document["configured"]["api"]["endpoints"][2]["answers"];
    assert!(
        answers.as_array().unwrap().iter().all(|answer| answer["result"]["result"] == "right"),
        "{answers}"
    );
}

#[test]
fn a_private_service_is_asked_with_the_id_token() {
    let config = format!("{NAMED}logs: {{ patience: 20s }}\napi: {{ endpoints: [{{ path: /health }}] }}\n");
    let world =
        sample("{echo_revision: true}", &config, "{private: true, id_token: the-id-token-of-the-invoker}");
    std::fs::write(world.file("id-token"), "the-id-token-of-the-invoker").unwrap();
    let Ended { code, out, err } = world.check(&["--tag", "gate", "--id-token-file", "id-token"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_says(&out, &["pass  api", "pass  logs"]);
    let Ended { code, out, err } = world.check(&["--tag", "gate", "--only", "api,logs"]);
    assert_eq!(code, 11, "{out}{err}");
    assert_says(&out, &["IAM does not let this caller in", "roles/run.invoker"]);
}

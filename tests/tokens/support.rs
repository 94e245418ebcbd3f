//! Keys, the backend that verifies tokens, and the binary in a folder of its own.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::backends;

/// What signs, and what verifies it.
pub(crate) struct Keys {
    pub(crate) private: String,
    pub(crate) public: String,
}

/// A fresh key of an algorithm.
pub(crate) fn keys(algorithm: &str) -> Keys {
    let kind = match algorithm {
        "RS256" => &rcgen::PKCS_RSA_SHA256,
        "ES256" => &rcgen::PKCS_ECDSA_P256_SHA256,
        _ => {
            let secret = "kQ7+w/Zr4=vN tX2&pL9mB6yH3jD8".to_owned();
            return Keys { private: secret.clone(), public: secret };
        }
    };
    let pair = rcgen::KeyPair::generate_for(kind).unwrap();
    Keys { private: pair.serialize_pem(), public: pair.public_key_pem() }
}

/// A folder with a configuration.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

/// What a run has said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new(configuration: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        place.write("revgate.yaml", configuration);
        place
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.file(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// The backend's command line, which verifies with the file `public`.
    pub(crate) fn backend(&self, algorithm: &str, carry: &str, more: &[(&str, &str)]) -> String {
        let (key, heard) = (self.file("public"), self.file("heard"));
        let mut variables = vec![
            ("TOKENS_ALGORITHM", algorithm),
            ("TOKENS_CARRY", carry),
            ("TOKENS_KEY", key.to_str().unwrap()),
            ("TOKENS_HEARD", heard.to_str().unwrap()),
        ];
        variables.extend(more);
        backends::tokens_command(&variables)
    }

    /// The binary without any variable that could change what it does.
    pub(crate) fn revgate(&self, arguments: &[&str]) -> Command {
        let mut revgate = Command::new(env!("CARGO_BIN_EXE_revgate"));
        #[expect(clippy::disallowed_methods, reason = "the binary must not inherit settings")]
        for (name, _) in std::env::vars() {
            if ["REVGATE_", "GITHUB_", "GOOGLE_"].iter().any(|start| name.starts_with(start)) {
                revgate.env_remove(name);
            }
        }
        revgate.current_dir(self.folder.path()).args(arguments).env("REVGATE_COLOR", "never");
        revgate
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        ended(&mut self.revgate(arguments))
    }
}

pub(crate) fn ended(command: &mut Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().expect("the binary");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
}

/// A verdict within seconds, said to be less than the usual one.
pub(crate) const CONVERSATION: &str = r#"
path: /ws
send: '{"type":"ping","nonce":"{{nonce}}"}'
expect: '{"type":"pong","nonce":"{{nonce}}","user":"{{user}}"}'
timeouts: { opening: 5s, first-contact: 10s, answer: 5s, hold: 50ms, serves-hold: 1s }
limits: { openings-per-second: 1000 }
race: { tolerated: 25%, cold-tolerated: 50%, patterns: [control, users, same-user] }
users: [u01, u02, u03, u04, u05, u06, u07, u08, u09, u10]
"#;

/// How the backend wants its first message, as a configuration carries it.
pub(crate) const FIRST_MESSAGE: &str = r#"'first-message:{"type":"auth","token":"{{token}}"}'"#;

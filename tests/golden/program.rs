//! The binary in an empty folder and an empty environment, and what it said, ready to be compared.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

/// How wide the help is drawn.
const COLUMNS: &str = "100";

/// A folder of its own for the binary to run in.
pub(crate) struct Workplace {
    folder: tempfile::TempDir,
}

/// What a run of the binary said.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Workplace {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).expect("a file");
    }

    /// Runs `revgate ARGUMENTS` with these variables and no others.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: &[A], variables: &[(&str, &str)]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_revgate"));
        command.env_clear().env("COLUMNS", COLUMNS).envs(variables.iter().copied());
        let output = command.args(arguments).current_dir(self.folder.path()).output().expect("the binary");
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: self.redacted(&String::from_utf8_lossy(&output.stdout)),
            err: self.redacted(&String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// The same as one block of a golden file: what was typed, what was said, and the code.
    pub(crate) fn session(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let Ran { code, out, err } = self.run(arguments, variables);
        let mut text = String::from("$ ");
        for (name, value) in variables {
            let _ = write!(text, "{name}={} ", typed(value));
        }
        text.push_str("revgate");
        for argument in arguments {
            let _ = write!(text, " {}", typed(argument));
        }
        let _ = write!(text, "\n{out}{err}[exit {code}]\n");
        self.redacted(&text)
    }

    /// Without what differs from run to run and from machine to machine.
    fn redacted(&self, text: &str) -> String {
        let text = text.replace(&*self.folder.path().to_string_lossy(), "<folder>");
        let text = text.replace(concat!("revgate ", env!("CARGO_PKG_VERSION")), "revgate <version>");
        let port = regex::Regex::new(r"(127\.0\.0\.1:|--port )\d{4,5}").expect("an expression");
        let age = regex::Regex::new(r"\d+ min old").expect("an expression");
        age.replace_all(&port.replace_all(&text, "$1<port>"), "<age> min old").into_owned()
    }
}

/// As a person would type it.
fn typed(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

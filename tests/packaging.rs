//! The action and the pipeline say what the binary understands.
//!
//! No schema relates an input to a flag, a flag to its variable, or a step to an exit code; these tests do, by reading
//! `action.yml` and `cloudbuild.yaml` beside the binary's own `--help`. They run the action's scripts too, with a
//! program in revgate's place, but nothing of Google's or GitHub's.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/backends.rs"]
pub mod backends;
#[path = "../benches/support/readme.rs"]
pub mod figures;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use regex::Regex;
use serde_yaml::Value;

/// The commands that the action runs.
const COMMANDS: [&str; 2] = ["check", "promote"];
/// Inputs of the action that are no flag.
const NO_FLAG: [&str; 1] = ["command"];
/// Flags that are no input: they give no verdict, only change how a terminal looks, or run a command, which whoever
/// wants it names in the job's own `REVGATE_EXEC`.
const NO_INPUT: [&str; 6] = ["help", "version", "dry-run", "color", "progress", "exec"];
/// Inputs that reach the binary as a flag and not as a variable: what they allow must stand in the command line.
const NO_VARIABLE: [&str; 1] = ["allow-commands"];
/// Flags that only `promote` has.
const ONLY_PROMOTE: [&str; 2] = ["recorded", "yes"];
/// What the binary writes to `GITHUB_OUTPUT`.
const OUTPUTS: [&str; 5] = ["exit-code", "previous-revision", "report", "revision", "verdict"];
/// The exit codes of a verdict that is no approval: blocked and inconclusive.
const NOT_APPROVED: [u64; 2] = [10, 11];
/// What Cloud Build substitutes in every build, started by a trigger or by hand.
const BUILT_IN: [&str; 2] = ["BUILD_ID", "PROJECT_ID"];

/// A file of the repository, by its path from the root.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A YAML file of the repository.
fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&fs::read_to_string(repository(path)).unwrap()).expect(path)
}

/// The keys of a mapping.
fn keys(mapping: &Value) -> BTreeSet<&str> {
    mapping.as_mapping().expect("a mapping").keys().map(|key| key.as_str().expect("a string")).collect()
}

/// The elements of a list; none when it is absent.
fn elements(list: &Value) -> &[Value] {
    list.as_sequence().map_or(&[], Vec::as_slice)
}

/// A string of the file.
fn string(value: &Value) -> &str {
    value.as_str().expect("a string")
}

/// The one step of `steps` with this id.
fn step<'a>(steps: &'a Value, id: &str) -> &'a Value {
    elements(steps).iter().find(|step| step["id"] == id).expect(id)
}

/// What `revgate COMMAND --help` prints.
fn help(command: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_revgate")).args([command, "--help"]).output().unwrap();
    assert!(output.status.success(), "revgate {command} --help: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The long flags that the lines of a help text define.
fn flags(help: &str) -> BTreeSet<String> {
    let definition = Regex::new(r"(?m)^\s*(?:-\w, )?--([a-z][a-z0-9-]*)").unwrap();
    definition.captures_iter(help).map(|found| found[1].to_owned()).collect()
}

/// The variables that a help text names, wherever its lines are broken.
fn variables(help: &str) -> BTreeSet<String> {
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let named = Regex::new(r"\[env: (REVGATE_[A-Z0-9_]+)").unwrap();
    named.captures_iter(&words).map(|found| found[1].to_owned()).collect()
}

/// The variable of a flag.
fn variable(flag: &str) -> String {
    format!("REVGATE_{}", flag.replace('-', "_").to_uppercase())
}

/// The inputs of the action that are flags.
fn flag_inputs(action: &Value) -> BTreeSet<&str> {
    keys(&action["inputs"]).into_iter().filter(|name| !NO_FLAG.contains(name)).collect()
}

#[test]
fn both_files_satisfy_their_schemas() {
    let python = backends::validators();
    for (schema, file) in [("vendor.github-actions", "action.yml"), ("vendor.cloudbuild", "cloudbuild.yaml")]
    {
        let output = Command::new(&python)
            .args(["-m", "check_jsonschema", "--builtin-schema", schema])
            .arg(repository(file))
            .output()
            .unwrap();
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn every_input_of_the_action_reaches_its_variable() {
    let action = yaml("action.yml");
    let env = &step(&action["runs"]["steps"], "run")["env"];
    let mut due: BTreeMap<String, String> = keys(&action["inputs"])
        .into_iter()
        .map(|name| (variable(name), format!("${{{{ inputs.{name} }}}}")))
        .collect();
    due.insert("REVGATE_BIN".to_owned(), "${{ steps.install.outputs.bin }}".to_owned());
    let stands: BTreeMap<String, String> =
        keys(env).into_iter().map(|name| (name.to_owned(), string(&env[name]).to_owned())).collect();
    assert_eq!(stands, due);
}

#[test]
fn every_input_of_the_action_is_a_flag_of_the_binary() {
    let action = yaml("action.yml");
    for command in COMMANDS {
        let help = help(command);
        let (flags, variables) = (flags(&help), variables(&help));
        for input in flag_inputs(&action) {
            if command != "promote" && ONLY_PROMOTE.contains(&input) {
                assert!(!flags.contains(input), "{command} has --{input}");
                continue;
            }
            assert!(flags.contains(input), "{command} has no --{input}");
            let reads = variables.contains(&variable(input));
            assert_eq!(reads, !NO_VARIABLE.contains(&input), "{command} reads {}: {reads}", variable(input));
        }
    }
}

#[test]
fn every_flag_of_the_binary_is_an_input_of_the_action() {
    let action = yaml("action.yml");
    let inputs = flag_inputs(&action);
    for command in COMMANDS {
        let flags = flags(&help(command));
        assert!(!flags.is_empty(), "{command} --help defines no flag");
        for flag in flags {
            let known = inputs.contains(flag.as_str()) || NO_INPUT.contains(&flag.as_str());
            assert!(known, "--{flag} of {command} is no input of the action");
        }
    }
}

#[test]
fn the_outputs_of_the_action_are_those_the_binary_writes() {
    let action = yaml("action.yml");
    assert_eq!(keys(&action["outputs"]), BTreeSet::from(OUTPUTS));
    for name in OUTPUTS {
        assert_eq!(action["outputs"][name]["value"], format!("${{{{ steps.run.outputs.{name} }}}}"));
    }
}

#[test]
fn no_script_of_the_action_holds_an_expression() {
    for step in elements(&yaml("action.yml")["runs"]["steps"]) {
        assert_eq!(step["shell"], "bash");
        assert!(!string(&step["run"]).contains("${{"), "an expression in a script is an injection: {step:?}");
    }
}

/// A runner's step: the script of one of the action's steps under `bash`, as GitHub runs it.
struct Runner {
    /// Holds what a runner would keep between steps.
    folder: tempfile::TempDir,
}

impl Runner {
    /// A runner with a program in revgate's place that prints its arguments and ends with `code`.
    fn with_program_ending(code: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(
            &program,
            format!("#!/bin/sh\necho \"asked: $*\"\n[ \"$1\" = --version ] || exit {code}\n"),
        )
        .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    /// Runs the script of the step `id`.
    fn run(&self, id: &str, command: &str) -> Output {
        let action = yaml("action.yml");
        let script = self.folder.path().join(format!("{id}.sh"));
        fs::write(&script, string(&step(&action["runs"]["steps"], id)["run"])).unwrap();
        Command::new("bash")
            .args(["--noprofile", "--norc", "-e", "-o", "pipefail"])
            .arg(script)
            .env("REVGATE_BIN", self.folder.path().join("program"))
            .env("REVGATE_COMMAND", command)
            .env("GITHUB_OUTPUT", self.folder.path().join("output"))
            .output()
            .unwrap()
    }
}

#[test]
fn the_action_takes_a_given_binary_instead_of_building_one() {
    let runner = Runner::with_program_ending(0);
    let output = runner.run("install", "check");
    assert!(output.status.success(), "{output:?}");
    let written = fs::read_to_string(runner.folder.path().join("output")).unwrap();
    assert_eq!(written, format!("bin={}\n", runner.folder.path().join("program").display()));
}

#[test]
fn the_action_ends_as_the_binary_ends() {
    for code in [0, 1, 2, 3, 10, 11, 12, 13, 101, 129, 143] {
        for command in COMMANDS {
            let output = Runner::with_program_ending(code).run("run", command);
            assert_eq!(output.status.code(), Some(i32::from(code)), "{output:?}");
            assert_eq!(String::from_utf8_lossy(&output.stdout), format!("asked: {command}\n"));
        }
    }
}

#[test]
fn the_action_runs_no_other_command() {
    for command in ["", "--help", "--version", "judge", "check --dry-run", "Check"] {
        let output = Runner::with_program_ending(0).run("run", command);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {output:?}");
    }
}

/// The steps of the pipeline that run revgate, each with its arguments.
fn revgate_steps(pipeline: &Value) -> Vec<(&Value, Vec<&str>)> {
    elements(&pipeline["steps"])
        .iter()
        .filter(|step| string(&step["name"]).contains("_REVGATE_IMAGE"))
        .map(|step| (step, elements(&step["args"]).iter().map(string).collect()))
        .collect()
}

#[test]
fn every_argument_of_the_pipeline_is_one_of_the_binary() {
    let pipeline = yaml("cloudbuild.yaml");
    let steps = revgate_steps(&pipeline);
    let commands: Vec<&str> = steps.iter().map(|(_, arguments)| arguments[0]).collect();
    assert_eq!(commands, ["check", "judge", "promote"]);
    for (step, arguments) in steps {
        assert_eq!((&step["entrypoint"], &step["script"]), (&Value::Null, &Value::Null));
        let known = flags(&help(arguments[0]));
        for argument in &arguments[1..] {
            let Some(flag) = argument.strip_prefix("--") else { continue };
            let name = flag.split('=').next().unwrap();
            assert!(known.contains(name), "{} has no --{name}", arguments[0]);
        }
    }
}

#[test]
fn the_steps_of_the_pipeline_share_one_record_of_one_revision() {
    let pipeline = yaml("cloudbuild.yaml");
    let steps = revgate_steps(&pipeline);
    let value = |position: usize, flag: &str| {
        let arguments = &steps[position].1;
        arguments.iter().find_map(|argument| argument.strip_prefix(flag)).expect(flag).to_owned()
    };
    let record = value(0, "--record=");
    assert_eq!(steps[1].1[1..], [record.as_str()]);
    assert_eq!(value(2, "--recorded="), record);
    for flag in ["--config=", "--project=", "--region=", "--service=", "--revision="] {
        assert_eq!(value(2, flag), value(0, flag));
    }
    let deploy: Vec<&str> =
        elements(&step(&pipeline["steps"], "deploy")["args"]).iter().map(string).collect();
    assert!(deploy.contains(&"--no-traffic"));
    let suffix = deploy.iter().find_map(|argument| argument.strip_prefix("--revision-suffix=")).unwrap();
    assert_eq!(value(0, "--revision="), format!("${{_SERVICE}}-{suffix}"));
}

#[test]
fn nothing_but_an_approval_reaches_the_promotion() {
    let pipeline = yaml("cloudbuild.yaml");
    let mut enforced = false;
    for (step, arguments) in revgate_steps(&pipeline) {
        assert_eq!(step["waitFor"], Value::Null, "steps run in order");
        assert_eq!(step["allowFailure"], Value::Null);
        let allowed: Vec<u64> = elements(&step["allowExitCodes"]).iter().filter_map(Value::as_u64).collect();
        match arguments[0] {
            "check" => assert!(allowed.iter().all(|code| NOT_APPROVED.contains(code)), "{allowed:?}"),
            "judge" => enforced = allowed.is_empty(),
            _ => assert!(enforced && allowed.is_empty(), "a promotion without an enforced verdict"),
        }
    }
}

#[test]
fn every_substitution_is_declared_and_used() {
    let text = fs::read_to_string(repository("cloudbuild.yaml")).unwrap();
    let pipeline = yaml("cloudbuild.yaml");
    let code: String =
        text.lines().map(|line| line.split('#').next().unwrap_or("")).collect::<Vec<_>>().join("\n");
    let reference = Regex::new(r"\$\{?([A-Z_][A-Z0-9_]*)").unwrap();
    let used: BTreeSet<&str> =
        reference.captures_iter(&code).map(|found| found.get(1).unwrap().as_str()).collect();
    let declared = keys(&pipeline["substitutions"]);
    let known: BTreeSet<&str> = declared.iter().copied().chain(BUILT_IN).collect();
    assert_eq!(used, known);
    assert_eq!(pipeline["options"]["dynamicSubstitutions"], true);
    assert_eq!(pipeline["options"]["logging"], "CLOUD_LOGGING_ONLY");
}

#[test]
fn the_figures_of_the_readme_are_those_that_the_benches_wrote() {
    let readme = fs::read_to_string(repository("README.md")).unwrap();
    let (_, block, _) = figures::parts(&readme).expect("README has a place for the figures");
    assert_eq!(figures::flaw(block), None, "run `cargo bench -- --readme`");
}

#[test]
fn a_figure_that_was_edited_by_hand_is_noticed() {
    let measures = figures::MEASURES.iter().flat_map(|(_, measures)| *measures);
    let lines: Vec<String> =
        measures.map(|measure| format!("| {measure} | 1.0 | 2.0 | 3.0 | 2.0× |")).collect();
    let block = figures::block(&lines, "2 cores:");
    assert_eq!(figures::flaw(&block), None);
    for (stands, instead) in [("1.0", "0.5"), ("2 cores", "64 cores"), ("| measure |", "| what |")] {
        assert!(figures::flaw(&block.replacen(stands, instead, 1)).is_some(), "{stands} became {instead}");
    }
    let fewer = block.lines().filter(|line| !line.contains(" of 10 ")).collect::<Vec<_>>().join("\n");
    assert!(figures::flaw(&fewer).is_some(), "a line is gone");
}

//! The help of every command, a hundred columns wide.

use revgate::cli;

use crate::assert_golden;
use crate::program::Workplace;

#[test]
fn each_command_explains_itself() {
    let place = Workplace::new();
    assert_golden("help", &place.session(&["--help"], &[]));
    for command in cli::command().get_subcommands().filter(|command| command.get_name() != "help") {
        let name = command.get_name();
        assert_golden(&format!("help_{name}"), &place.session(&[name, "--help"], &[]));
        let (long, short) = (place.run(&[name, "--help"], &[]), place.run(&[name, "-h"], &[]));
        assert_eq!((long.out, 0), (short.out, short.code), "{name}: -h says something else than --help");
    }
}

#[test]
fn the_version_is_the_packages() {
    assert_golden("version", &Workplace::new().session(&["--version"], &[]));
}

#[test]
fn each_check_and_each_subject_has_its_page() {
    let place = Workplace::new();
    let checks = revgate::config::CheckName::ALL.map(revgate::config::CheckName::name);
    for page in checks.into_iter().chain(["tokens", "configuration", "offline"]) {
        let ran = place.run(&["explain", page], &[]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        assert!(ran.out.starts_with("# "), "{}", ran.out);
    }
}

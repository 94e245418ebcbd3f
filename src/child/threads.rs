//! The threads of a process group, and whether they run.
//!
//! Read from `/proc`, so there is nothing to tell elsewhere than on Linux.

use std::fs;
use std::path::Path;

/// One thread: the numbers of its process and of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thread {
    pub(super) process: i32,
    pub(super) number: i32,
}

/// The processes of a group; none where there is no `/proc`.
pub(super) fn members(group: i32) -> Vec<i32> {
    let of_group = |process: &i32| {
        stat(Path::new(&format!("/proc/{process}/stat"))).is_some_and(|stat| stat.group == group)
    };
    numbers("/proc").filter(of_group).collect()
}

/// The threads of these processes.
pub(super) fn threads(processes: &[i32]) -> Vec<Thread> {
    let of = |process: i32| {
        numbers(&format!("/proc/{process}/task")).map(move |number| Thread { process, number })
    };
    processes.iter().flat_map(|process| of(*process)).collect()
}

impl Thread {
    /// Its state as one letter: `R` runs, `S` sleeps, `T` is stopped; `None` when it is gone.
    pub(super) fn state(self) -> Option<u8> {
        stat(Path::new(&format!("/proc/{}/task/{}/stat", self.process, self.number))).map(|stat| stat.state)
    }
}

fn numbers(folder: &str) -> impl Iterator<Item = i32> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

struct Stat {
    state: u8,
    group: i32,
}

/// What stands behind the name, which is in brackets and may hold anything (proc(5)).
fn stat(path: &Path) -> Option<Stat> {
    let text = fs::read(path).ok()?;
    let behind = text.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(text.get(behind + 1..)?).ok()?.split_ascii_whitespace();
    let state = fields.next()?.bytes().next()?;
    let group = fields.nth(1)?.parse().ok()?;
    Some(Stat { state, group })
}

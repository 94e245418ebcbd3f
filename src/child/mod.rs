//! A command of the user's own as a child process: started without a shell, and ended with all that it started.
//!
//! Takes an argument vector and variables; gives a process that leads a group, its output line by line, and its end. It
//! knows nothing of revisions or rounds. The surprising rule: servers such as gunicorn fork workers, so what is
//! signalled, stopped and ended is always the group and never the leader alone; the group dies with us, also when
//! we are killed without a word, where the machine has a shell to see to that.

mod answer;
mod argv;
mod freeze;
mod group;
#[cfg(target_os = "linux")]
mod placement;
mod process;
mod threads;
mod watchdog;

pub(crate) use answer::answer;
pub(crate) use argv::split;
pub(crate) use freeze::Freezer;
pub(crate) use process::{Process, Sink, free_port};

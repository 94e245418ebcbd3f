//! What runs behind a revision's name?
//!
//! Either the sample backend in this process or a command of the user's own as a child process, with its log. A
//! process is started in a process group of its own and never outlives the emulator. It never touches the routing.

mod backend;
mod log;
mod process;

pub(crate) use backend::{Backend, Failure};
pub(crate) use log::Log;
pub(crate) use process::Process;

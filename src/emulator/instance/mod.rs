//! What runs behind a revision's name?
//!
//! Instances: each is either the sample backend in this process or a command of the user's own as a child process, with
//! its log. They start when requests find no room and go when nobody comes. A process is started in a process group of
//! its own and never outlives the emulator. It never touches the routing.

mod backend;
mod idle;
mod log;
mod probe;
mod process;
mod recipe;
mod scaling;
mod specification;

pub(crate) use backend::{Backend, Failure};
pub(crate) use log::{InstanceLog, Log};
pub(crate) use process::{Container, Process};
pub(crate) use recipe::Recipe;
pub(crate) use scaling::{Instances, Slot, Unserved};
pub(crate) use specification::Specification;

//! Whole conversations: a flow's steps on a socket, alone and by several users at once.
//!
//! Takes the flows that are asked for and the prober; gives what was seen of every run and, where that is asked, of what
//! conversations show of each other. It never judges. The surprising rule: all conversations of a round take their first
//! step at the same instant, behind the welcome, so that they run side by side and not one behind the other.

mod barrier;
mod condition;
mod conversation;
mod incoming;
mod isolation;
mod marks;
mod places;
mod progress;
mod runs;
mod seen;
mod streams;
mod transcript;

pub use runs::{FlowsAsked, run_flows};
pub use seen::{
    AgentAsked, AgentSeen, Came, Company as FlowCompany, Ending, FlowRun, IsolationSeen, Leak, Near,
};

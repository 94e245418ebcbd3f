//! `flows:`: named conversations of sending and expecting.
//!
//! Takes the sources and gives flows by name, those of the file and those that come with revgate. It holds no
//! conversation. The surprising rule: a flow of the file beats one of ours of the same name.

#[cfg(test)]
mod mistakes;
mod model;
mod named;
mod parse;
mod pattern;
mod settings;
mod times;

pub(crate) use model::{FlowModel, RuleModel};
pub(crate) use named::{chosen, flows, names, needed};
pub(crate) use pattern::{Reading, based};
pub use settings::{Answer, Flow, FramePattern, Holds, Message, Pointed, Rule, Step, Wanted};
pub(crate) use times::refuse_longer;

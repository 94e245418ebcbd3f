//! Flows by their names: those of the file, and those that come with revgate.
//!
//! Takes a name and where it was written; gives the flow. It holds no conversation. The surprising rule: ours are the very
//! files of the examples, so that what works by name works when it is copied.

use super::super::error::ConfigError;
use super::super::file::FileConfig;
use super::super::locate::KeyPath;
use super::super::scalars::Text;
use super::super::sources::{Sources, Spot};
use super::super::suggest::did_you_mean;
use super::super::values::{Flaw, quoted};
use super::parse;
use super::settings::Flow;

/// The flows that come with revgate: their names, and the examples that hold them.
const OURS: [(&str, &str); 3] = [
    ("reference-agent", include_str!("../../../examples/reference-agent.yaml")),
    ("socket-io", include_str!("../../../examples/socket-io.yaml")),
    ("graphql-transport-ws", include_str!("../../../examples/graphql-transport-ws.yaml")),
];

/// All flows of a file, in its order.
pub(crate) fn flows(sources: &Sources<'_>) -> Result<Vec<Flow>, ConfigError> {
    let pairs = sources.file.model.flows.iter().flat_map(|pairs| &pairs.0);
    let path = KeyPath::of(&["flows"]);
    pairs.map(|(name, model)| parse::flow(sources, &path.key(name), name, model)).collect()
}

/// The flow that is named at `path`; where none is named, the only one of the file.
pub(crate) fn chosen(
    sources: &Sources<'_>,
    path: &KeyPath,
    name: Option<&Text>,
) -> Result<Option<Flow>, ConfigError> {
    let mut flows = flows(sources)?;
    let Some(Text(name)) = name else {
        return Ok(if flows.len() == 1 { flows.pop() } else { None });
    };
    if let Some(flow) = flows.iter().find(|flow| &flow.name == name) {
        return Ok(Some(flow.clone()));
    }
    if let Some((_, text)) = OURS.iter().find(|(ours, _)| ours == name) {
        return ours(sources, name, text).map(Some);
    }
    let known: Vec<&str> =
        flows.iter().map(|flow| flow.name.as_str()).chain(OURS.iter().map(|(name, _)| *name)).collect();
    let guess =
        did_you_mean(name, &known).map_or_else(String::new, |guess| format!(", did you mean {guess}?"));
    let flaw = Flaw::new(format!("there is no flow {}{guess}", quoted(name)));
    let help = format!("write it under `flows:`; these exist: {}", known.join(", "));
    Err(sources.error(&Spot::File(path.clone()), flaw.help(help)))
}

/// The names of those that come with revgate.
pub(crate) fn names_of_ours() -> String {
    OURS.map(|(name, _)| name).join(", ")
}

fn ours(sources: &Sources<'_>, name: &str, text: &str) -> Result<Flow, ConfigError> {
    let file = FileConfig::parse(name, text.as_bytes())?;
    let own = Sources { typed: sources.typed, file: &file };
    let mut flows = flows(&own)?;
    let position = flows.iter().position(|flow| flow.name == name);
    position.map(|position| flows.swap_remove(position)).ok_or_else(|| {
        ConfigError::new(format!("the example {} holds no flow of its name", quoted(name)), None)
    })
}

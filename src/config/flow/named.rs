//! Flows by their names: those of the file, and those that come with revgate.
//!
//! Takes a name and where it was written; gives the flow. It holds no conversation. The surprising rule: ours are the very
//! files of the examples, so that what works by name works when it is copied.

use super::super::error::ConfigError;
use super::super::file::FileConfig;
use super::super::locate::KeyPath;
use super::super::scalars::Text;
use super::super::secrets::{Lookup, SecretSource};
use super::super::sources::{Sources, Spot};
use super::super::suggest::did_you_mean;
use super::super::template::Template;
use super::super::values::{Flaw, quoted};
use super::parse;
use super::pattern::based;
use super::settings::Flow;

/// The flows that come with revgate: their names, and the examples that hold them.
const OURS: [(&str, &str); 3] = [
    ("reference-agent", include_str!("../../../examples/reference-agent.yaml")),
    ("socket-io", include_str!("../../../examples/socket-io.yaml")),
    ("graphql-transport-ws", include_str!("../../../examples/graphql-transport-ws.yaml")),
];

/// All flows of a file, in its order, without the secrets in them.
pub(crate) fn flows(sources: &Sources<'_>) -> Result<Vec<Flow>, ConfigError> {
    read(sources, None, |_| true)
}

/// The flows of these names.
fn read(
    sources: &Sources<'_>,
    lookup: Option<&Lookup>,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Flow>, ConfigError> {
    let pairs = sources.file.model.flows.iter().flat_map(|pairs| &pairs.0);
    let path = KeyPath::of(&["flows"]);
    let wanted = pairs.filter(|(name, _)| is_wanted(name));
    wanted.map(|(name, model)| parse::flow(sources, lookup, &path.key(name), name, model)).collect()
}

/// The secrets that the flows of a file will want. One that cannot be read wants none: its mistake is told later.
pub(crate) fn needed(sources: &Sources<'_>) -> Result<Vec<SecretSource>, ConfigError> {
    let flows = flows(sources).unwrap_or_default();
    let templates = flows.iter().flat_map(Flow::templates);
    templates.flat_map(Template::outside).map(|(_, source)| based(source, sources)).collect()
}

/// The flow that is named at `path`; where none is named, the only one of the file.
pub(crate) fn chosen(
    sources: &Sources<'_>,
    lookup: &Lookup,
    path: &KeyPath,
    name: Option<&Text>,
) -> Result<Option<Flow>, ConfigError> {
    let flows = flows(sources)?;
    // Only of the flow that is used a secret must be there.
    let whole = |name: &str| Ok(read(sources, Some(lookup), |other| other == name)?.pop());
    let Some(Text(name)) = name else {
        return if let [only] = flows.as_slice() { whole(&only.name) } else { Ok(None) };
    };
    if flows.iter().any(|flow| &flow.name == name) {
        return whole(name);
    }
    if let Some((_, text)) = OURS.iter().find(|(ours, _)| ours == name) {
        return ours(sources, name, text).map(Some);
    }
    let known = names(&flows);
    let guess =
        did_you_mean(name, &known).map_or_else(String::new, |guess| format!(", did you mean {guess}?"));
    let flaw = Flaw::new(format!("there is no flow {}{guess}", quoted(name)));
    let help = format!("write it under `flows:`; these exist: {}", known.join(", "));
    Err(sources.error(&Spot::File(path.clone()), flaw.help(help)))
}

/// The names that can be chosen where a file has these flows: its own, then those that come with revgate.
pub(crate) fn names(flows: &[Flow]) -> Vec<&str> {
    flows.iter().map(|flow| flow.name.as_str()).chain(OURS.iter().map(|(name, _)| *name)).collect()
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

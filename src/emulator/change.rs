//! What does a write want, and may it have it?
//!
//! Takes a service and a change in the words of neither API; gives a refusal, or makes the change. A write is checked
//! whole before anything of it is applied. The surprising rule: a template that says what the newest one says makes no
//! revision, and one that names a revision which exists must say the very same as that revision.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    deploy::{AUTHOR, add_revision},
    error::EmulatorError,
    images,
    knative::{named, unnamed},
    model::{Service, Target},
    state::{State, World},
};

/// What a write wants; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    /// The version that the client has read, in the decimal digits of the conflict's text.
    pub(crate) version: Option<String>,
    /// All labels.
    pub(crate) labels: Option<Map<String, Value>>,
    /// All annotations.
    pub(crate) annotations: Option<Map<String, Value>>,
    /// The template, as v1 writes it, completed.
    pub(crate) template: Option<Value>,
    /// All traffic.
    pub(crate) traffic: Option<Vec<Target>>,
    /// The template makes a revision, even where it says nothing new.
    pub(crate) forced: bool,
}

/// Why a write is refused at once.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Somebody else has written since.
    Stale {
        /// The version that the client has read.
        specified: String,
        /// The version that there is.
        current: i64,
    },
    /// The revision of this name says something else.
    Different(String),
    /// It is no valid service, for this reason.
    Invalid(String),
    /// The service is being deleted.
    Deleting,
    /// What is to run cannot be run.
    Workload(EmulatorError),
}

/// Whether a change makes a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Makes {
    /// It does.
    Revision,
    /// It does not.
    Nothing,
}

/// Refuses what the API refuses at once.
pub(crate) fn check(service: &Service, change: &Change) -> Result<Makes, Refusal> {
    if service.deleted.is_some() {
        return Err(Refusal::Deleting);
    }
    let current = service.version();
    if let Some(specified) = change.version.as_ref().filter(|specified| **specified != current.to_string()) {
        return Err(Refusal::Stale { specified: specified.clone(), current });
    }
    for (place, words) in [("labels", &change.labels), ("annotations", &change.annotations)] {
        if let Some((name, value)) = words.iter().flatten().find(|(_, value)| !value.is_string()) {
            return Err(Refusal::Invalid(format!(
                "Invalid value at '{place}.{name}' (TYPE_STRING), {value}"
            )));
        }
    }
    let Some(template) = &change.template else { return Ok(Makes::Nothing) };
    let containers = template.pointer("/spec/containers").and_then(Value::as_array);
    let image = |container: &Value| {
        container.get("image").and_then(Value::as_str).is_some_and(|image| !image.is_empty())
    };
    if !containers.is_some_and(|containers| !containers.is_empty() && containers.iter().all(image)) {
        return Err(Refusal::Invalid(
            "The template needs at least one container, and every container an image.".to_owned(),
        ));
    }
    match named(template) {
        None if *template == service.template && !change.forced => Ok(Makes::Nothing),
        None => Ok(Makes::Revision),
        Some(name) => match service.revision(name) {
            Some(revision) if revision.template == unnamed(template) => Ok(Makes::Nothing),
            Some(_) => Err(Refusal::Different(name.to_owned())),
            None if is_revision_of(name, &service.name) => Ok(Makes::Revision),
            None => Err(Refusal::Invalid(format!(
                "Revision name '{name}' must be a DNS label that begins with '{}-'.",
                service.name
            ))),
        },
    }
}

/// Makes the change, which was checked; gives the revision that it made.
pub(crate) fn apply(
    world: &Arc<World>,
    state: &mut State,
    service: &mut Service,
    (change, makes): (Change, Makes),
) -> Result<Option<String>, Refusal> {
    let mut created = None;
    if let Some(template) = change.template {
        if makes == Makes::Revision {
            let deployment = images::deployment(&world.options, &template).map_err(Refusal::Workload)?;
            let made = add_revision(world, state, service, template, &deployment);
            created = Some(made.map_err(Refusal::Workload)?);
        } else {
            service.template = template;
        }
    }
    if let Some(traffic) = change.traffic {
        service.traffic = traffic;
    }
    if let Some(labels) = change.labels {
        service.labels = labels;
    }
    if let Some(annotations) = change.annotations {
        service.annotations = annotations;
    }
    service.written(AUTHOR, world.clock.tick());
    Ok(created)
}

/// The service as the change would leave it, without a new revision.
pub(crate) fn preview(service: &Service, change: Change) -> Service {
    let mut service = service.clone();
    service.template = change.template.unwrap_or(service.template);
    service.traffic = change.traffic.unwrap_or(service.traffic);
    service.labels = change.labels.unwrap_or(service.labels);
    service.annotations = change.annotations.unwrap_or(service.annotations);
    service
}

fn is_revision_of(name: &str, service: &str) -> bool {
    name.strip_prefix(service).is_some_and(|rest| rest.starts_with('-')) && is_label(name)
}

/// Lower-case letters, digits and hyphens, a letter first, no hyphen last, at most 63 of them.
pub(crate) fn is_label(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= 63
        && name.chars().all(fits)
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
}

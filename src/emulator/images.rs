//! What runs in the place of an image that nobody can pull?
//!
//! Takes a map from images to commands or sample backends, and the template of a revision; gives the deployment. A key is
//! an image as it is deployed, or one without its tag and digest, or `*` for all others; an image `exec:CMD` is the
//! command itself. An image that nothing names runs the sample backend, and its log says so. The surprising rule: the
//! command in an image is run only where that was allowed at the start, since whoever reaches the API could name one.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

use super::{
    error::EmulatorError,
    instance::Specification,
    options::{Deployment, EmulatorOptions, Workload},
    scenario::RevisionEntry,
};

/// What an image is that is a command.
const COMMAND: &str = "exec:";
/// The key of all other images.
const ANY: &str = "*";

/// What runs in the place of which image.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Images(BTreeMap<String, RevisionEntry>);

impl<'de> Deserialize<'de> for Images {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut images = BTreeMap::new();
        for (image, what) in BTreeMap::<String, Value>::deserialize(deserializer)? {
            let named = |error: &dyn std::fmt::Display| D::Error::custom(format!("{image}: {error}"));
            let entry = match what {
                Value::String(command) => RevisionEntry { exec: Some(command), ..RevisionEntry::default() },
                fields @ Value::Object(_) => serde_json::from_value(fields).map_err(|error| named(&error))?,
                // A list would be read as the fields in their order.
                _ => return Err(named(&"a command or the fields of a revision are expected")),
            };
            let RevisionEntry { name, tag, percent, created_minutes_ago, .. } = &entry;
            if name.is_some() || tag.is_some() || *percent > 0 || *created_minutes_ago > 0 {
                let words = "name, tag, percent and created_minutes_ago are the deployment's to choose";
                return Err(named(&words));
            }
            images.insert(image, entry);
        }
        Ok(Self(images))
    }
}

impl Images {
    /// Reads a map from YAML or JSON: `IMAGE: COMMAND`, or `IMAGE:` and the fields of a scenario's revision.
    ///
    /// # Errors
    /// What is no such map, with the parser's line and column or the image.
    pub fn parse(text: &str) -> Result<Self, EmulatorError> {
        serde_yaml::from_str(text).map_err(|source| EmulatorError::Images { source })
    }

    /// The entry of an image: by its whole name, without its tag or digest, or the one for all others.
    fn of(&self, image: &str) -> Option<&RevisionEntry> {
        self.0.get(image).or_else(|| self.0.get(repository(image))).or_else(|| self.0.get(ANY))
    }
}

/// An image without its tag and its digest.
fn repository(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    let last = image.rfind('/').map_or(0, |slash| slash + 1);
    image[last..].find(':').map_or(image, |colon| &image[..last + colon])
}

/// The deployment of a revision that an API write makes of this template.
///
/// # Errors
/// A command in an image, where that is not allowed.
pub(crate) fn deployment(options: &EmulatorOptions, template: &Value) -> Result<Deployment, EmulatorError> {
    let specification = Specification::read(template);
    let Specification { image, concurrency, min, max, .. } = &specification;
    let chosen = match (image.strip_prefix(COMMAND), options.images.of(image)) {
        (Some(command), _) if options.allow_commands => {
            Deployment::new(Workload::Command(command.trim().to_owned()))
        }
        (Some(_), _) => {
            let reason =
                "an image that is a command needs an emulator that was started with --allow-commands";
            return Err(EmulatorError::Deployment { reason: reason.to_owned() });
        }
        (None, Some(entry)) => entry.deployment(),
        (None, None) => Deployment {
            note: Some(format!(
                "The emulator pulls no image, and nothing says what to run in the place of {image}: this is its \
                 sample backend. Say it with --images FILE."
            )),
            ..Deployment::new(options.default_workload.clone())
        },
    };
    let chosen = commanded(chosen, &specification, options.allow_commands);
    Ok(Deployment {
        concurrency: Some(*concurrency),
        min_instances: *min,
        max_instances: Some(*max),
        ..chosen
    })
}

/// The deployment with the template's command in the place of the image's, and its arguments behind it.
fn commanded(chosen: Deployment, specification: &Specification, allowed: bool) -> Deployment {
    let Specification { command, args, .. } = specification;
    let own = match &chosen.workload {
        _ if !command.is_empty() && allowed => Some(String::new()),
        Workload::Command(own) if command.is_empty() && !args.is_empty() => Some(own.clone()),
        _ => None,
    };
    let words = command.iter().chain(args).map(String::as_str);
    match (own, shlex::try_join(words)) {
        (Some(own), Ok(words)) => {
            Deployment { workload: Workload::Command(format!("{own} {words}").trim().to_owned()), ..chosen }
        }
        _ if command.is_empty() && args.is_empty() => chosen,
        _ => {
            let ignored = "The template's command and args are not what runs here: a sample backend takes none, and a command \
                           of a template needs an emulator that was started with --allow-commands.";
            let note = chosen.note.map_or_else(|| ignored.to_owned(), |note| format!("{note} {ignored}"));
            Deployment { note: Some(note), ..chosen }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MAP: &str =
        "r/p/a:v1: serve --port $PORT\nr/p/a: {behaviour: startup-race, starts_in: 1s}\n'*': other\n";

    fn options(images: &str) -> EmulatorOptions {
        let images = Images::parse(images).unwrap();
        EmulatorOptions { images, ..EmulatorOptions::new("2026-11-23T20:28:12Z".parse().unwrap()) }
    }

    #[test]
    fn the_nearest_key_is_taken() {
        let command = |image: &str| {
            let template = json!({"spec": {"containers": [{"image": image}], "containerConcurrency": 7}});
            let deployment = deployment(&options(MAP), &template).unwrap();
            assert_eq!(deployment.concurrency, Some(7));
            match deployment.workload {
                Workload::Command(command) => command,
                Workload::Sample(sample) => format!("{:?}", sample.behaviour),
            }
        };
        assert_eq!(command("r/p/a:v1"), "serve --port $PORT");
        assert_eq!(command("r/p/a:v2"), "StartupRace");
        assert_eq!(command("r/p/a@sha256:00"), "StartupRace");
        assert_eq!(command("localhost:5000/b:1"), "other");
    }

    #[test]
    fn what_nothing_names_says_so_and_commands_need_leave() {
        let of = |image: &str, options: &EmulatorOptions| {
            deployment(options, &json!({"containers": [{"image": image}]}))
        };
        let mut options = options("{}");
        assert!(of("r/p/a", &options).unwrap().note.unwrap().contains("place of r/p/a:"));
        assert!(of("exec:serve", &options).unwrap_err().to_string().contains("--allow-commands"));
        options.allow_commands = true;
        let allowed = of("exec: serve $PORT", &options).unwrap();
        assert!(matches!(allowed.workload, Workload::Command(command) if command == "serve $PORT"));
    }

    #[test]
    fn a_command_of_the_template_needs_leave_and_arguments_follow_what_runs() {
        let mut options = options("{a: serve --port $PORT}");
        let of = |container: serde_json::Value, options: &EmulatorOptions| {
            let chosen = deployment(options, &json!({"containers": [container]})).unwrap();
            match chosen.workload {
                Workload::Command(command) => (command, chosen.note),
                Workload::Sample(_) => ("sample".to_owned(), chosen.note),
            }
        };
        let arguments = json!({"image": "a", "args": ["--name", "b c"]});
        assert_eq!(of(arguments, &options), ("serve --port $PORT --name 'b c'".to_owned(), None));
        let replaced = json!({"image": "a", "command": ["python", "app.py"], "args": ["-v"]});
        let (command, note) = of(replaced.clone(), &options);
        assert_eq!(command, "serve --port $PORT");
        assert!(note.unwrap().contains("--allow-commands"));
        assert!(of(json!({"image": "b", "args": ["-v"]}), &options).1.unwrap().contains("takes none"));
        options.allow_commands = true;
        assert_eq!(of(replaced, &options), ("python app.py -v".to_owned(), None));
    }

    #[test]
    fn what_a_deployment_chooses_is_refused() {
        for (wrong, word) in [("a: {tag: t}", "tag"), ("a: {behavior: x}", "behavior"), ("a: []", "a:")] {
            let error = Images::parse(wrong).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}

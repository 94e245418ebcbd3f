//! How frames are told: are these conditions ones that a frame can be tested for?
//!
//! Takes what was written at a place of the file, and gives a pattern or the error that points there. It tests no frame.
//! The surprising rule: `regex` belongs to the pointer where there is one, and to the whole text where there is none.

use serde_json::Value;

use super::super::error::{ConfigError, Place};
use super::super::file::FileConfig;
use super::super::locate::KeyPath;
use super::super::pointer;
use super::super::scalars::{Several, Text};
use super::super::secrets::{self, Lookup, SecretSource};
use super::super::signing::LARGEST_SECRET;
use super::super::sources::{Found, Sources, Spot};
use super::super::suggest::did_you_mean;
use super::super::template::{BadPlace, Captured, Escaping, Template, Values};
use super::super::values::{self, Flaw, quoted};
use super::model::{Conditions, RuleModel};
use super::settings::{FramePattern, Holds, Pointed, Rule};

/// Values that stand in for a socket's when a text is tried out.
const TRIAL: Values<'static> = Values { user: "user", nonce: "nonce", round: 1 };

/// Which captures a text may name, and where the file stands.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) sources: &'a Sources<'a>,
    /// What is captured before.
    pub(crate) known: &'a [String],
    /// What is captured anywhere in the flow.
    pub(crate) all: &'a [String],
    /// What was read from outside; `None` while it is only asked what that will be.
    pub(crate) lookup: Option<&'a Lookup>,
}

impl Reading<'_> {
    /// The error for a flaw at `path`; its help, where it has none of its own, is the page on flows.
    pub(crate) fn error(&self, path: &KeyPath, flaw: Flaw) -> ConfigError {
        let flaw = if flaw.help.is_some() {
            flaw
        } else {
            flaw.help("how flows are written: revgate explain agent")
        };
        self.sources.error(&Spot::File(path.clone()), flaw)
    }

    /// A text with places for values. `json` is what it was written as, where that was no text.
    pub(crate) fn template(
        &self,
        path: &KeyPath,
        text: &str,
        json: Option<&Value>,
    ) -> Result<Template, ConfigError> {
        let place = |number| place_of(self.sources.file, path, json, number);
        let template = Template::in_flow(text)
            .map_err(|BadPlace { flaw, number }| self.error(path, flaw).at(place(number)))?;
        let mut captures = template.numbered_captures();
        let unknown = captures.find(|(_, name)| !self.known.iter().any(|known| known == name));
        if let Some((number, name)) = unknown {
            return Err(self.uncaptured(path, name).at(place(number)));
        }
        drop(captures);
        self.with_secrets(path, template, place)
    }

    /// The same with what is kept outside.
    fn with_secrets(
        &self,
        path: &KeyPath,
        template: Template,
        place: impl Fn(usize) -> Place,
    ) -> Result<Template, ConfigError> {
        let Some(lookup) = self.lookup else { return Ok(template) };
        let mut secrets = Vec::new();
        for (number, source) in template.outside() {
            let value = based(source, self.sources)?;
            let found = lookup.secret(self.sources, &Found { value, spot: Spot::File(path.clone()) });
            let secret = found.map_err(|error| error.at(place(number)))?;
            if secret.expose().len() > LARGEST_SECRET {
                let flaw = Flaw::new("what is kept there is larger than the 16 KiB that a secret may have");
                return Err(self.error(path, flaw).at(place(number)));
            }
            secrets.push(secret);
        }
        Ok(template.with_secrets(secrets))
    }

    fn uncaptured(&self, path: &KeyPath, name: &str) -> ConfigError {
        let flaw = if self.all.iter().any(|other| other == name) {
            Flaw::new(format!("{{{{capture.{name}}}}} is used before it is captured"))
                .help("capture it in an earlier step")
        } else {
            let help =
                format!("capture it in an earlier step: expect: {{ …, capture: {{ {name}: /run_id }} }}");
            let known: Vec<&str> = self.all.iter().map(String::as_str).collect();
            let guess = did_you_mean(name, &known);
            let guess =
                guess.map_or_else(String::new, |guess| format!(", did you mean {{{{capture.{guess}}}}}?"));
            Flaw::new(format!("{{{{capture.{name}}}}} is captured nowhere in this flow{guess}")).help(help)
        };
        self.error(path, flaw)
    }

    fn filled(template: &Template, escaping: Escaping) -> String {
        let captured: Captured = template.captures().map(|name| (name.to_owned(), "1".into())).collect();
        template.fill_captured(TRIAL, &captured, escaping).unwrap_or_default()
    }

    fn regex(&self, path: &KeyPath, text: &str) -> Result<Template, ConfigError> {
        if text.is_empty() {
            let flaw = Flaw::new("the regular expression is empty, which every text matches");
            return Err(self.error(path, flaw));
        }
        let template = self.template(path, text, None)?;
        match regex::Regex::new(&Self::filled(&template, Escaping::Regex)) {
            Ok(_) => Ok(template),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
                Err(self.error(path, Flaw::new(format!("this is not a regular expression: {reason}"))))
            }
        }
    }

    fn json(&self, path: &KeyPath, text: &str, json: Option<&Value>) -> Result<Template, ConfigError> {
        let template = self.template(path, text, json)?;
        match serde_json::from_str::<Value>(&Self::filled(&template, Escaping::Json)) {
            Ok(_) => Ok(template),
            Err(error) => Err(self.error(
                path,
                Flaw::new(format!("this is not JSON: {error}"))
                    .help("a regular expression over the text is written under `regex:`"),
            )),
        }
    }

    fn types(&self, path: &KeyPath, texts: &Several<Text>) -> Result<Vec<Template>, ConfigError> {
        let type_at = |path: &KeyPath, text: &str| match values::text(text) {
            Ok(text) => self.template(path, &text, None),
            Err(flaw) => Err(self.error(path, flaw)),
        };
        each(path, texts, type_at)
    }

    /// JSON pointers, at least one.
    pub(crate) fn pointers(&self, path: &KeyPath, texts: &Several<Text>) -> Result<Vec<String>, ConfigError> {
        let pointers =
            each(path, texts, |path, text| pointer::parse(text).map_err(|flaw| self.error(path, flaw)))?;
        if pointers.is_empty() {
            return Err(self.error(path, Flaw::new("no pointer is named").help("write one as /data/run_id")));
        }
        Ok(pointers)
    }

    /// The pattern of the conditions at `path`; at least one is due.
    pub(crate) fn pattern(
        &self,
        path: &KeyPath,
        conditions: &Conditions<'_>,
    ) -> Result<FramePattern, ConfigError> {
        let Conditions { types, json, pointer, equals, regex } = *conditions;
        if types.is_none() && json.is_none() && pointer.is_none() && regex.is_none() {
            let flaw = Flaw::new("there is no condition, which every frame fulfils");
            let help = "name one of type, json, pointer and regex";
            let spot = if equals.is_some() { path.key("equals") } else { path.clone() };
            return Err(self.error(&spot, flaw.help(help)));
        }
        let types = types.map(|types| self.types(&path.key("type"), types)).transpose()?;
        if types.as_ref().is_some_and(Vec::is_empty) {
            return Err(self.error(&path.key("type"), Flaw::new("no type is named")));
        }
        let json = json.map(|json| self.json(&path.key("json"), &json.text(), json.json())).transpose()?;
        let regex = regex.map(|Text(text)| self.regex(&path.key("regex"), text)).transpose()?;
        let Some(pointer) = pointer else {
            if equals.is_some() {
                let flaw = Flaw::new("equals what? There is no pointer")
                    .help("name the place: pointer: /data/event");
                return Err(self.error(&path.key("equals"), flaw));
            }
            return Ok(FramePattern { types: types.unwrap_or_default(), json, regex, pointed: None });
        };
        let pointers = self.pointers(&path.key("pointer"), pointer)?;
        let equals = equals
            .map(|value| self.json(&path.key("equals"), &value.to_string(), Some(value)))
            .transpose()?;
        let holds = match (equals, regex) {
            (Some(_), Some(_)) => {
                return Err(
                    self.error(&path.key("regex"), Flaw::new("excludes `equals`: give one of the two"))
                );
            }
            (Some(json), None) => Holds::Json(json),
            (None, Some(regex)) => Holds::Regex(regex),
            (None, None) => Holds::Anything,
        };
        let place = Some(Pointed { pointers, holds });
        Ok(FramePattern { types: types.unwrap_or_default(), json, regex: None, pointed: place })
    }

    /// Frames that are forbidden, passed over or shared.
    pub(crate) fn rules(
        &self,
        path: &KeyPath,
        written: Option<&Several<RuleModel>>,
    ) -> Result<Vec<Rule>, ConfigError> {
        let Some(Several { values: models, listed }) = written else { return Ok(Vec::new()) };
        let rule = |(index, model): (usize, &RuleModel)| {
            let path = if *listed { path.index(index) } else { path.clone() };
            let pattern = self.pattern(&path, &model.conditions())?;
            let because = model.because.as_ref().map(|Text(text)| values::text(text)).transpose();
            let because = because.map_err(|flaw| self.error(&path.key("because"), flaw))?;
            Ok(Rule { name: called(&pattern), pattern, because })
        };
        models.iter().enumerate().map(rule).collect()
    }
}

/// Where something is kept that a text of the file names.
pub(crate) fn based(source: &SecretSource, sources: &Sources<'_>) -> Result<SecretSource, ConfigError> {
    match source {
        SecretSource::File(name) => secrets::file(name, Some(sources.file.name()))
            .map_err(|flaw| ConfigError::new(flaw.message, None)),
        other => Ok(other.clone()),
    }
}

/// The place of the two opening braces of this number in what was written at `path`, as a text or as JSON.
fn place_of(file: &FileConfig, path: &KeyPath, json: Option<&Value>, number: usize) -> Place {
    let mut left = number;
    let text = json.and_then(|json| text_with(json, path, &mut left));
    file.place_of_braces(text.as_ref().unwrap_or(path), left)
}

/// The text in a value that holds the braces of this number; what is left of the number is counted in that text.
fn text_with(value: &Value, path: &KeyPath, left: &mut usize) -> Option<KeyPath> {
    let holds = |text: &str, left: &mut usize| {
        let number = text.matches("{{").count();
        let is_inside = *left < number;
        *left -= if is_inside { 0 } else { number };
        is_inside
    };
    match value {
        Value::String(text) => holds(text, left).then(|| path.clone()),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| text_with(item, &path.index(index), left))
        }
        Value::Object(members) => members.iter().find_map(|(key, member)| {
            let path = path.key(key);
            if holds(key, left) { Some(path) } else { text_with(member, &path, left) }
        }),
        _ => None,
    }
}

/// Each of the texts, at its own place.
fn each<T>(
    path: &KeyPath,
    texts: &Several<Text>,
    parse: impl Fn(&KeyPath, &str) -> Result<T, ConfigError>,
) -> Result<Vec<T>, ConfigError> {
    let at = |index| if texts.listed { path.index(index) } else { path.clone() };
    texts.values.iter().enumerate().map(|(index, Text(text))| parse(&at(index), text)).collect()
}

/// What a frame of this pattern is called where nobody has named it.
pub(crate) fn called(pattern: &FramePattern) -> String {
    let types: Vec<&str> = pattern.types.iter().map(Template::source).collect();
    let pointed = pattern.pointed.as_ref().map(|Pointed { pointers, holds }| {
        let place = pointers.first().map_or("", String::as_str);
        match holds {
            Holds::Anything => place.to_owned(),
            Holds::Json(json) => format!("{place} = {}", json.source()),
            Holds::Regex(regex) => format!("{place} ~ {}", regex.source()),
        }
    });
    let of_json = pattern.json.as_ref().map(|json| json.source().to_owned());
    let of_text = pattern.regex.as_ref().map(|regex| format!("~ {}", regex.source()));
    let named = (!types.is_empty()).then(|| types.join(" or "));
    let words: Vec<String> = [named, pointed, of_json, of_text].into_iter().flatten().collect();
    let words = words.join(", ");
    if words.chars().count() <= 60 { words } else { words.chars().take(59).chain(['…']).collect() }
}

/// A name that is one word, for captures and flows.
pub(crate) fn word(text: &str) -> Result<String, Flaw> {
    let is_word = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if is_word {
        return Ok(text.to_owned());
    }
    Err(Flaw::new(format!("{} is not a name: letters, digits, ., _ and -", quoted(text))))
}

//! `flows:` as it was written.
//!
//! Takes what the YAML parser found and judges nothing. The surprising rule: where a list is due, one element without a
//! list is taken as well, since most flows have one welcome and one pointer.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::super::scalars::{Pairs, Several, Text, TextOrJson};

/// One flow.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct FlowModel {
    pub(crate) strict: Option<bool>,
    pub(crate) welcome: Option<Several<ExpectModel>>,
    pub(crate) steps: Option<Vec<StepModel>>,
    pub(crate) forbid: Option<Several<RuleModel>>,
    pub(crate) ignore: Option<Several<RuleModel>>,
    pub(crate) answers: Option<Several<AnswerModel>>,
    pub(crate) cleanup: Option<Vec<StepModel>>,
}

/// One step: exactly one of its keys.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct StepModel {
    pub(crate) send: Option<TextOrJson>,
    pub(crate) expect: Option<ExpectModel>,
    pub(crate) any_order: Option<Several<ExpectModel>>,
    pub(crate) wait: Option<Text>,
}

/// A frame that is due.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct ExpectModel {
    pub(crate) name: Option<Text>,
    pub(crate) r#type: Option<Several<Text>>,
    pub(crate) json: Option<TextOrJson>,
    pub(crate) pointer: Option<Several<Text>>,
    #[serde(deserialize_with = "as_written")]
    pub(crate) equals: Option<serde_json::Value>,
    pub(crate) regex: Option<Text>,
    pub(crate) within: Option<Text>,
    pub(crate) optional: Option<bool>,
    pub(crate) repeat: Option<RepeatModel>,
    pub(crate) follows: Option<Text>,
    pub(crate) capture: Option<Pairs<Several<Text>>>,
}

/// Frames that are forbidden, or passed over.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct RuleModel {
    pub(crate) r#type: Option<Several<Text>>,
    pub(crate) json: Option<TextOrJson>,
    pub(crate) pointer: Option<Several<Text>>,
    #[serde(deserialize_with = "as_written")]
    pub(crate) equals: Option<serde_json::Value>,
    pub(crate) regex: Option<Text>,
    pub(crate) because: Option<Text>,
}

/// What is said whenever a frame comes.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct AnswerModel {
    pub(crate) on: Option<OnModel>,
    pub(crate) send: Option<TextOrJson>,
}

/// The frames that are answered.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
pub(crate) struct OnModel {
    pub(crate) r#type: Option<Several<Text>>,
    pub(crate) json: Option<TextOrJson>,
    pub(crate) pointer: Option<Several<Text>>,
    #[serde(deserialize_with = "as_written")]
    pub(crate) equals: Option<serde_json::Value>,
    pub(crate) regex: Option<Text>,
    pub(crate) capture: Option<Pairs<Several<Text>>>,
}

/// The conditions of a frame, wherever they were written.
pub(crate) struct Conditions<'a> {
    pub(crate) types: Option<&'a Several<Text>>,
    pub(crate) json: Option<&'a TextOrJson>,
    pub(crate) pointer: Option<&'a Several<Text>>,
    pub(crate) equals: Option<&'a serde_json::Value>,
    pub(crate) regex: Option<&'a Text>,
}

impl ExpectModel {
    pub(crate) fn conditions(&self) -> Conditions<'_> {
        Conditions {
            types: self.r#type.as_ref(),
            json: self.json.as_ref(),
            pointer: self.pointer.as_ref(),
            equals: self.equals.as_ref(),
            regex: self.regex.as_ref(),
        }
    }
}

impl OnModel {
    pub(crate) fn conditions(&self) -> Conditions<'_> {
        Conditions {
            types: self.r#type.as_ref(),
            json: self.json.as_ref(),
            pointer: self.pointer.as_ref(),
            equals: self.equals.as_ref(),
            regex: self.regex.as_ref(),
        }
    }
}

impl RuleModel {
    pub(crate) fn conditions(&self) -> Conditions<'_> {
        Conditions {
            types: self.r#type.as_ref(),
            json: self.json.as_ref(),
            pointer: self.pointer.as_ref(),
            equals: self.equals.as_ref(),
            regex: self.regex.as_ref(),
        }
    }
}

/// `equals: null` is a condition, and not one that is left out.
fn as_written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(deserializer).map(Some)
}

/// `true`, or bounds.
#[derive(Clone, Default)]
pub(crate) struct RepeatModel {
    pub(crate) any: bool,
    pub(crate) at_least: Option<Text>,
    pub(crate) at_most: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default, expecting = "keys and values")]
struct Bounds {
    at_least: Option<Text>,
    at_most: Option<Text>,
}

impl<'de> Deserialize<'de> for RepeatModel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RepeatVisitor)
    }
}

struct RepeatVisitor;

impl<'de> Visitor<'de> for RepeatVisitor {
    type Value = RepeatModel;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true or {at-least: N, at-most: N}")
    }

    fn visit_bool<E: Error>(self, any: bool) -> Result<RepeatModel, E> {
        Ok(RepeatModel { any, ..RepeatModel::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RepeatModel, A::Error> {
        let Bounds { at_least, at_most } = Bounds::deserialize(MapAccessDeserializer::new(map))?;
        Ok(RepeatModel { any: true, at_least, at_most })
    }
}

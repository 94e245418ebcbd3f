//! What may a request of v2 say?
//!
//! Names of query parameters and of members in, a refusal out for one that Google's API does not know: a mask under a
//! misspelled name would else be a write of everything. Members may be spelled as in the protos, `launch_stage`; they
//! come out as JSON spells them.
//!
//! Source: Google's public protos, google/cloud/run/v2, and the discovery document of run v2.

use serde_json::{Map, Value};

use super::{dispatch::Query, error::ApiError, v2::mask::camel};
use crate::emulator::knative::members::{CONTAINER, SERVICE, TARGET, TEMPLATE, WORDS};

/// Parameters of the calls, and of every call of Google's APIs; one with a `$` in front is of the latter.
const PARAMETERS: [&str; 26] = [
    "access_token",
    "allowMissing",
    "alt",
    "bearer_token",
    "callback",
    "etag",
    "fields",
    "filter",
    "forceNewRevision",
    "key",
    "oauth_token",
    "options.requestedPolicyVersion",
    "pageSize",
    "pageToken",
    "pp",
    "prettyPrint",
    "quotaUser",
    "returnPartialSuccess",
    "serviceId",
    "showDeleted",
    "trace",
    "updateMask",
    "uploadProtocol",
    "uploadType",
    "userIp",
    "validateOnly",
];

/// Refuses a query with a parameter that no call has.
pub(super) fn parameters(query: &Query) -> Result<(), ApiError> {
    let is_known = |name: &str| name.is_empty() || name.starts_with('$') || PARAMETERS.contains(&name);
    match query.iter().find(|(name, _)| !is_known(name) && !is_known(&camel(name))) {
        None => Ok(()),
        Some((name, _)) => Err(ApiError::invalid(format!(
            "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' could \
             not be found in request message."
        ))),
    }
}

/// A Service as JSON spells it; what has another member than a Service is refused.
pub(super) fn service(body: &Value) -> Result<Value, ApiError> {
    if body.is_null() {
        return Ok(Value::Object(Map::new()));
    }
    if !body.is_object() {
        let message = "Invalid JSON payload received. Unknown name \"\": Root element must be a message.";
        return Err(ApiError::invalid(message));
    }
    only(body, &SERVICE, "service")?;
    each(body.get("traffic"), &TARGET, "service.traffic")?;
    if let Some(template) = body.get("template") {
        only(template, &TEMPLATE, "service.template")?;
        each(template.get("containers"), &CONTAINER, "service.template.containers")?;
    }
    Ok(spelled(body))
}

fn spelled(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(spelled).collect(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let name = camel(name);
                let value = if WORDS.contains(&name.as_str()) { value.clone() } else { spelled(value) };
                (name, value)
            };
            Value::Object(members.iter().map(member).collect())
        }
        other => other.clone(),
    }
}

fn each(list: Option<&Value>, known: &[&str], place: &str) -> Result<(), ApiError> {
    let items = list.and_then(Value::as_array).into_iter().flatten().enumerate();
    items.into_iter().try_for_each(|(at, item)| only(item, known, &format!("{place}[{at}]")))
}

fn only(value: &Value, known: &[&str], place: &str) -> Result<(), ApiError> {
    let mut names = value.as_object().into_iter().flat_map(Map::keys);
    match names.find(|name| !known.contains(&camel(name).as_str())) {
        None => Ok(()),
        Some(name) => Err(ApiError::invalid(format!(
            "Invalid JSON payload received. Unknown name \"{name}\" at '{place}': Cannot find field."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn either_spelling_of_a_member_is_known_and_no_other() {
        let sent = json!({
            "launch_stage": "GA", "labels": {"a_b": "c"}, "build_config": {"environment_variables": {"A_B": "c"}},
            "template": {"containers": [{"image": "i", "startup_probe": {"http_get": {"path": "/"}}}]},
        });
        let due = json!({
            "launchStage": "GA", "labels": {"a_b": "c"}, "buildConfig": {"environmentVariables": {"A_B": "c"}},
            "template": {"containers": [{"image": "i", "startupProbe": {"httpGet": {"path": "/"}}}]},
        });
        assert_eq!(service(&sent), Ok(due));
        for (body, place) in [
            (json!({"spec": {}}), "\"spec\" at 'service'"),
            (json!({"traffic": [{}, {"revisionName": "a"}]}), "\"revisionName\" at 'service.traffic[1]'"),
            (json!({"template": {"concurrency": 1}}), "\"concurrency\" at 'service.template'"),
            (json!({"launch_stages": "GA"}), "\"launch_stages\" at 'service'"),
            (
                json!({"template": {"containers": [{"img": "i"}]}}),
                "\"img\" at 'service.template.containers[0]'",
            ),
            (json!([]), "Root element must be a message"),
        ] {
            let refusal = service(&body).unwrap_err();
            assert!(refusal.code == 400 && refusal.message.contains(place), "{}", refusal.message);
        }
    }

    #[test]
    fn a_parameter_that_no_call_has_is_refused() {
        let query = |name: &str| vec![(name.to_owned(), "x".to_owned())];
        for known in [
            "updateMask",
            "update_mask",
            "$alt",
            "$.xgafv",
            "key",
            "validate_only",
            "upload_protocol",
            "uploadProtocol",
            "trace",
            "forceNewRevision",
        ] {
            assert_eq!(parameters(&query(known)), Ok(()), "{known}");
        }
        assert!(parameters(&query("updatemask")).unwrap_err().message.contains("Field 'updatemask'"));
    }
}

//! What may a request of v2 say?
//!
//! Names of query parameters and of members in, a refusal out for one that Google's API does not know: a mask under a
//! misspelled name would else be a write of everything. Members may be spelled as in the protos, `launch_stage`; they
//! come out as JSON spells them.
//!
//! Source: Google's public protos, google/cloud/run/v2.

use serde_json::{Map, Value};

use super::{dispatch::Query, error::ApiError, v2::mask::camel};

/// Parameters of the calls, and of every call of Google's APIs; one with a `$` in front is of the latter.
const PARAMETERS: [&str; 20] = [
    "access_token",
    "allowMissing",
    "alt",
    "callback",
    "etag",
    "fields",
    "filter",
    "key",
    "oauth_token",
    "options.requestedPolicyVersion",
    "pageSize",
    "pageToken",
    "prettyPrint",
    "quotaUser",
    "returnPartialSuccess",
    "serviceId",
    "showDeleted",
    "updateMask",
    "uploadType",
    "validateOnly",
];

const SERVICE: [&str; 39] = [
    "name",
    "description",
    "uid",
    "generation",
    "labels",
    "annotations",
    "createTime",
    "updateTime",
    "deleteTime",
    "expireTime",
    "creator",
    "lastModifier",
    "client",
    "clientVersion",
    "ingress",
    "launchStage",
    "binaryAuthorization",
    "template",
    "traffic",
    "scaling",
    "invokerIamDisabled",
    "defaultUriDisabled",
    "urls",
    "iapEnabled",
    "multiRegionSettings",
    "customAudiences",
    "observedGeneration",
    "terminalCondition",
    "conditions",
    "latestReadyRevision",
    "latestCreatedRevision",
    "trafficStatuses",
    "uri",
    "satisfiesPzs",
    "threatDetectionEnabled",
    "buildConfig",
    "reconciling",
    "etag",
    "@type",
];

const TEMPLATE: [&str; 20] = [
    "revision",
    "labels",
    "annotations",
    "scaling",
    "vpcAccess",
    "timeout",
    "serviceAccount",
    "containers",
    "volumes",
    "executionEnvironment",
    "encryptionKey",
    "maxInstanceRequestConcurrency",
    "serviceMesh",
    "encryptionKeyRevocationAction",
    "encryptionKeyShutdownDuration",
    "sessionAffinity",
    "healthCheckDisabled",
    "nodeSelector",
    "gpuZonalRedundancyDisabled",
    "client",
];

const CONTAINER: [&str; 16] = [
    "name",
    "image",
    "sourceCode",
    "command",
    "args",
    "env",
    "resources",
    "ports",
    "volumeMounts",
    "workingDir",
    "livenessProbe",
    "startupProbe",
    "readinessProbe",
    "dependsOn",
    "baseImageUri",
    "buildInfo",
];

const TARGET: [&str; 4] = ["type", "revision", "percent", "tag"];

/// Maps of the user's own words.
const WORDS: [&str; 4] = ["labels", "annotations", "limits", "nodeSelector"];

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
    let members = match body {
        Value::Null => Value::Object(Map::new()),
        Value::Object(_) => spelled(body),
        _ => {
            let message = "Invalid JSON payload received. Unknown name \"\": Root element must be a message.";
            return Err(ApiError::invalid(message));
        }
    };
    only(&members, &SERVICE, "service")?;
    each(members.get("traffic"), &TARGET, "service.traffic")?;
    if let Some(template) = members.get("template") {
        only(template, &TEMPLATE, "service.template")?;
        each(template.get("containers"), &CONTAINER, "service.template.containers")?;
    }
    Ok(members)
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
    match names.find(|name| !known.contains(&name.as_str())) {
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
            "launch_stage": "GA", "labels": {"a_b": "c"},
            "template": {"containers": [{"image": "i", "startup_probe": {"http_get": {"path": "/"}}}]},
        });
        let due = json!({
            "launchStage": "GA", "labels": {"a_b": "c"},
            "template": {"containers": [{"image": "i", "startupProbe": {"httpGet": {"path": "/"}}}]},
        });
        assert_eq!(service(&sent), Ok(due));
        for (body, place) in [
            (json!({"spec": {}}), "\"spec\" at 'service'"),
            (json!({"traffic": [{}, {"revisionName": "a"}]}), "\"revisionName\" at 'service.traffic[1]'"),
            (json!({"template": {"concurrency": 1}}), "\"concurrency\" at 'service.template'"),
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
        for known in ["updateMask", "update_mask", "$alt", "$.xgafv", "key", "validate_only"] {
            assert_eq!(parameters(&query(known)), Ok(()), "{known}");
        }
        assert!(parameters(&query("updatemask")).unwrap_err().message.contains("Field 'updatemask'"));
    }
}

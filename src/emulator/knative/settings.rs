//! What of a service is neither template nor traffic.

use serde_json::{Map, Value, json};

use super::annotations::{Form, Pair, is_hidden, put_members, take_members, visible};

const INGRESS: Form = Form::Enum(&[
    ("all", "INGRESS_TRAFFIC_ALL", 1),
    ("internal", "INGRESS_TRAFFIC_INTERNAL_ONLY", 2),
    ("internal-and-cloud-load-balancing", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER", 3),
    ("none", "INGRESS_TRAFFIC_NONE", 4),
]);
const STAGE: Form = Form::Enum(&[
    ("ALPHA", "ALPHA", 2),
    ("BETA", "BETA", 3),
    ("GA", "GA", 4),
    ("DEPRECATED", "DEPRECATED", 5),
]);
const SCALING: Form = Form::Enum(&[("automatic", "AUTOMATIC", 1), ("manual", "MANUAL", 2)]);

/// The annotations of a service that v2 has members for.
const PAIRS: [Pair; 13] = [
    ("run.googleapis.com/description", "description", Form::Text),
    ("run.googleapis.com/ingress", "ingress", INGRESS),
    ("run.googleapis.com/launch-stage", "launchStage", STAGE),
    ("run.googleapis.com/client-name", "client", Form::Text),
    ("run.googleapis.com/client-version", "clientVersion", Form::Text),
    ("run.googleapis.com/minScale", "scaling.minInstanceCount", Form::Number),
    ("run.googleapis.com/maxScale", "scaling.maxInstanceCount", Form::Number),
    ("run.googleapis.com/scalingMode", "scaling.scalingMode", SCALING),
    ("run.googleapis.com/manualInstanceCount", "scaling.manualInstanceCount", Form::Number),
    ("run.googleapis.com/default-url-disabled", "defaultUriDisabled", Form::Switch),
    ("run.googleapis.com/invoker-iam-disabled", "invokerIamDisabled", Form::Switch),
    ("run.googleapis.com/iap-enabled", "iapEnabled", Form::Switch),
    ("run.googleapis.com/custom-audiences", "customAudiences", Form::Json),
];

/// Labels and annotations of v1 from a Service of v2.
///
/// `known` are those of the service so far: the platform's own that v2 has no member for stay.
pub(crate) fn settings_from_v2(
    service: &Value,
    known: (&Map<String, Value>, &Map<String, Value>),
) -> (Map<String, Value>, Map<String, Value>) {
    let mut fields = service.as_object().cloned().unwrap_or_default();
    let own = |key: &str, known: &Map<String, Value>| {
        let sent = service.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
        let kept =
            known.iter().filter(|(name, _)| is_hidden(name) && !PAIRS.iter().any(|(pair, ..)| pair == name));
        let kept = kept.map(|(name, value)| (name.clone(), value.clone()));
        sent.into_iter().chain(kept).collect::<Map<String, Value>>()
    };
    let labels = own("labels", known.0);
    let mut annotations = own("annotations", known.1);
    take_members(&PAIRS, &mut fields, &mut annotations);
    (labels, annotations)
}

/// The members of a Service of v2 that are neither template nor traffic.
pub(crate) fn settings_to_v2(
    labels: &Map<String, Value>,
    annotations: &Map<String, Value>,
) -> Map<String, Value> {
    let mut fields = Map::new();
    for (key, all) in [("labels", labels), ("annotations", annotations)] {
        if let Some(shown) = visible(all) {
            fields.insert(key.to_owned(), shown);
        }
    }
    fields.insert("ingress".to_owned(), json!("INGRESS_TRAFFIC_ALL"));
    fields.insert("launchStage".to_owned(), json!("GA"));
    put_members(&PAIRS, annotations, &mut fields);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_other_api() {
        let sent = json!({
            "labels": {"team": "a"}, "description": "d", "ingress": 2, "launchStage": "BETA",
            "scaling": {"minInstanceCount": 1}, "customAudiences": ["x"], "template": {},
        });
        let known = json!({"run.googleapis.com/sandbox": "s", "run.googleapis.com/description": "old", "mine": "old"});
        let (labels, annotations) = settings_from_v2(&sent, (&Map::new(), known.as_object().unwrap()));
        let due = json!({
            "run.googleapis.com/sandbox": "s", "run.googleapis.com/description": "d", "run.googleapis.com/ingress": "internal",
            "run.googleapis.com/launch-stage": "BETA", "run.googleapis.com/minScale": "1",
            "run.googleapis.com/custom-audiences": "[\"x\"]",
        });
        assert_eq!(Value::Object(annotations.clone()), due);
        let back = settings_to_v2(&labels, &annotations);
        assert_eq!(back["ingress"], "INGRESS_TRAFFIC_INTERNAL_ONLY");
        assert_eq!(back["scaling"], json!({"minInstanceCount": 1}));
        assert_eq!((&back["labels"], back.get("annotations")), (&json!({"team": "a"}), None));
    }
}

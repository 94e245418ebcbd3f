//! A Revision as the v2 API writes it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::service::revision_name;
use crate::emulator::{
    clock::rfc3339,
    knative::template_to_v2,
    model::{Readiness, Revision, Service},
    state::World,
};

/// The Revision: its template's fields, and then what the platform knows of it.
pub(crate) fn revision(world: &World, service: &Service, revision: &Revision) -> Value {
    let (owner, name) = (&service.name, &revision.name);
    let mut fields = template_to_v2(&revision.annotated());
    if let Some(container) = fields.pointer_mut("/containers/0") {
        container["image"] = json!(revision.digest);
    }
    let container =
        fields.pointer("/containers/0/name").and_then(Value::as_str).unwrap_or("app-1").to_owned();
    fields["name"] = json!(revision_name(world, owner, name));
    fields["uid"] = json!(revision.uid);
    fields["generation"] = json!("1");
    fields["createTime"] = json!(rfc3339(revision.created));
    fields["updateTime"] = json!(rfc3339(revision.changed.max(revision.created)));
    fields["launchStage"] = json!("GA");
    fields["service"] = json!(owner);
    if revision.readiness == Readiness::Pending {
        fields["reconciling"] = json!(true);
    } else {
        fields["observedGeneration"] = json!("1");
        fields["containerStatuses"] = json!([{"name": container, "imageDigest": revision.digest}]);
    }
    fields["conditions"] = conditions(service, revision);
    fields["logUri"] = json!(log_url(world, owner, name));
    fields["etag"] =
        json!(format!("\"{}\"", STANDARD.encode(format!("{name}/{}", revision.changed.as_microsecond()))));
    fields
}

/// Where Google's console would show the revision's log.
pub(crate) fn log_url(world: &World, service: &str, revision: &str) -> String {
    format!(
        "https://console.cloud.google.com/logs/viewer?project={}&resource=cloud_run_revision/service_name/{service}/revision_name/{revision}",
        world.options.project
    )
}

/// The conditions of a revision.
pub(crate) fn conditions(service: &Service, revision: &Revision) -> Value {
    let since = rfc3339(revision.changed);
    let plain = |kind: &str, state: &str| json!({"type": kind, "state": state, "lastTransitionTime": since});
    let with = |mut condition: Value, more: &[(&str, &str)]| {
        for (key, value) in more {
            condition[*key] = json!(value);
        }
        condition
    };
    let ok = "CONDITION_SUCCEEDED";
    match &revision.readiness {
        Readiness::Pending => json!([
            with(
                plain("Ready", "CONDITION_RECONCILING"),
                &[("message", "Deploying Revision."), ("revisionReason", "PENDING")]
            ),
            plain("ContainerHealthy", "CONDITION_RECONCILING"),
            plain("ResourcesAvailable", "CONDITION_RECONCILING"),
        ]),
        Readiness::Failed(failure) => {
            let why = [("message", failure.message.as_str()), ("revisionReason", failure.reason.as_ref())];
            json!([
                with(plain("Ready", "CONDITION_FAILED"), &why),
                with(plain("ContainerHealthy", "CONDITION_FAILED"), &why),
                plain("ContainerReady", ok),
                plain("ResourcesAvailable", ok),
            ])
        }
        Readiness::Ready if service.routes_to(&revision.name) => json!([
            plain("Ready", ok),
            with(plain("Active", ok), &[("severity", "INFO")]),
            plain("ContainerHealthy", ok),
            plain("ContainerReady", ok),
            plain("ResourcesAvailable", ok),
        ]),
        Readiness::Ready => json!([
            with(plain("Ready", ok), &[("revisionReason", "RETIRED")]),
            with(
                plain("Active", "CONDITION_FAILED"),
                &[("severity", "INFO"), ("message", "Revision retired."), ("revisionReason", "RETIRED")],
            ),
            plain("ContainerReady", ok),
        ]),
    }
}

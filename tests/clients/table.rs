//! What is broken on the wire, and which check must notice it.

use serde_json::{Value, json};

use super::proxy::{Answer, Break, Sent};

/// What is broken, the check that must notice it, words of the check's failure, and the break.
pub(super) type Mutant = (&'static str, &'static str, &'static str, Break);

/// Breaks of requests: the emulator does not get what was sent.
pub(super) const REQUESTS: &[Mutant] = &[
    (
        "etag ignored",
        "a_stale_etag_is_a_conflict",
        "a stale etag",
        Break::Request(|sent| forget(sent, "/etag")),
    ),
    (
        "resourceVersion ignored",
        "a_stale_resource_version_is_a_conflict",
        "a stale version",
        Break::Request(|sent| forget(sent, "/metadata/resourceVersion")),
    ),
    (
        "etag of a policy ignored",
        "a_stale_policy_is_a_conflict",
        "a stale policy",
        Break::Request(|sent| forget(sent, "/policy/etag")),
    ),
    (
        "labelSelector ignored",
        "a_label_selects",
        "of another service are left out",
        Break::Request(|sent| without(sent, "labelSelector")),
    ),
    (
        "validateOnly ignored",
        "validate_only_changes_nothing",
        "nothing was written",
        Break::Request(|sent| without(sent, "validateOnly")),
    ),
    (
        "dryRun ignored",
        "a_dry_run_changes_nothing",
        "nothing was written",
        Break::Request(|sent| without(sent, "dryRun")),
    ),
    (
        "updateMask ignored",
        "a_mask_keeps_the_rest",
        "the template is kept",
        Break::Request(|sent| without(sent, "updateMask")),
    ),
    (
        "allowMissing ignored",
        "a_missing_service_is_made_where_allowed",
        "it may be missing",
        Break::Request(|sent| without(sent, "allowMissing")),
    ),
    (
        "allowMissing always",
        "a_missing_service_is_made_where_allowed",
        "it is missing",
        Break::Request(|sent| sent.query.push(("allowMissing".to_owned(), "true".to_owned()))),
    ),
    (
        "pageSize ignored",
        "pages_follow_each_other",
        "one on a page",
        Break::Request(|sent| without(sent, "pageSize")),
    ),
    (
        "pageToken ignored",
        "pages_follow_each_other",
        "the next page is another",
        Break::Request(|sent| without(sent, "pageToken")),
    ),
    ("limit ignored", "a_list_continues", "one on a page", Break::Request(|sent| without(sent, "limit"))),
    (
        "filter of entries ignored",
        "entries_are_filtered_and_ordered",
        "the filter holds",
        Break::Request(|sent| {
            if sent.body["filter"].as_str().is_some_and(|filter| filter.contains(" AND ")) {
                sent.body["filter"] = json!("logName=\"projects/demo-project/logs/check\"");
            }
        }),
    ),
    (
        "orderBy ignored",
        "entries_are_filtered_and_ordered",
        "the newest first",
        Break::Request(|sent| forget(sent, "/orderBy")),
    ),
];

/// Breaks of answers: the client does not get what was answered.
pub(super) const ANSWERS: &[Mutant] = &[
    (
        "an enum of another name",
        "enums_have_their_documented_names",
        "the type of a target",
        Break::Answer(|_, answer| rename_values(&mut answer.body, "TRAFFIC_TARGET_ALLOCATION_TYPE_", "")),
    ),
    (
        "a state of another name",
        "enums_have_their_documented_names",
        "the state of a condition",
        Break::Answer(|_, answer| rename_values(&mut answer.body, "CONDITION_SUCCEEDED", "True")),
    ),
    (
        "a number for an enum refused",
        "enums_of_a_request_may_be_numbers",
        "a number for a type",
        Break::Answer(|sent, answer| {
            if sent.body.pointer("/traffic/0/type").is_some_and(Value::is_number) {
                *answer = refusal(400, "INVALID_ARGUMENT");
            }
        }),
    ),
    (
        "percent present at zero",
        "a_share_of_zero_is_absent",
        "a share of zero has no member",
        Break::Answer(|_, answer| {
            each_target(&mut answer.body, |target| {
                if target.get("percent").is_none() {
                    target["percent"] = json!(0);
                }
            });
        }),
    ),
    (
        "no URL of a tag",
        "a_tag_has_its_url",
        "the tag has a URL in uri",
        Break::Answer(|_, answer| {
            each_target(&mut answer.body, |target| {
                target.as_object_mut().unwrap().remove("uri");
            });
        }),
    ),
    (
        "no operation id",
        "a_write_names_an_operation_to_wait_for",
        "a write names its operation",
        Break::Answer(|_, answer| {
            if let Some(Value::Object(annotations)) = answer.body.pointer_mut("/metadata/annotations") {
                annotations.remove("run.googleapis.com/operation-id");
            }
        }),
    ),
    (
        "an operation that nobody can wait for",
        "a_write_names_an_operation_to_wait_for",
        "the operation can be waited for",
        Break::Answer(|sent, answer| {
            if sent.path.ends_with(":wait") {
                *answer = refusal(404, "NOT_FOUND");
            }
        }),
    ),
    (
        "an operation that never ends",
        "a_missing_revision_fails_later",
        "the operation ends",
        Break::Answer(|_, answer| {
            if let Value::Object(operation) = &mut answer.body {
                operation.remove("done");
            }
        }),
    ),
    (
        "unknown @type in an operation",
        "an_operation_has_typed_contents",
        "the type of the metadata",
        Break::Answer(|_, answer| {
            rename_values(&mut answer.body, "google.cloud.run.v2.Service", "google.cloud.Thing");
        }),
    ),
    (
        "an operation that hides its error",
        "a_missing_revision_fails_later",
        "the operation fails",
        Break::Answer(|_, answer| {
            if answer.body.get("done").is_some() {
                answer.body.as_object_mut().unwrap().remove("error");
            }
        }),
    ),
    (
        "a failed condition that says it succeeded",
        "a_revision_that_does_not_start_fails_its_service",
        "the service is not ready",
        Break::Answer(|_, answer| rename_values(&mut answer.body, "CONDITION_FAILED", "CONDITION_SUCCEEDED")),
    ),
    (
        "the newest created taken for the newest ready",
        "a_revision_that_does_not_start_fails_its_service",
        "the newest ready one is the old one",
        Break::Answer(|_, answer| {
            if let Some(created) = answer.body.get("latestCreatedRevision").cloned() {
                answer.body["latestReadyRevision"] = created;
            }
        }),
    ),
    (
        "int64 as a number",
        "large_integers_are_text",
        "generation is text",
        Break::Answer(|_, answer| number(&mut answer.body, "generation")),
    ),
    (
        "nextPageToken dropped",
        "pages_follow_each_other",
        "the page names the next",
        Break::Answer(|_, answer| drop(answer.body.as_object_mut().unwrap().remove("nextPageToken"))),
    ),
    (
        "continue dropped",
        "a_list_continues",
        "the list says where it continues",
        Break::Answer(|_, answer| {
            if let Some(Value::Object(metadata)) = answer.body.get_mut("metadata") {
                metadata.remove("continue");
            }
        }),
    ),
    (
        "observedGeneration never catches up",
        "a_write_is_observed_later",
        "observed in the end",
        Break::Answer(|_, answer| {
            if let Some(observed) = answer.body.pointer_mut("/status/observedGeneration") {
                *observed = json!(2);
            }
        }),
    ),
    (
        "observedGeneration ahead of the work",
        "a_write_is_observed_later",
        "not yet observed",
        Break::Answer(|_, answer| {
            let generation = answer.body.pointer("/metadata/generation").cloned();
            if let (Some(generation), Some(observed)) =
                (generation, answer.body.pointer_mut("/status/observedGeneration"))
            {
                *observed = generation;
            }
        }),
    ),
    (
        "the new split before it serves",
        "a_write_is_observed_later",
        "the old split still serves",
        Break::Answer(|_, answer| {
            let asked = answer.body.pointer("/spec/traffic").cloned();
            if let (Some(asked), Some(served)) = (asked, answer.body.pointer_mut("/status/traffic")) {
                *served = asked;
            }
        }),
    ),
    (
        "a conflict that is a bad request",
        "a_stale_etag_is_a_conflict",
        "a stale etag",
        Break::Answer(|_, answer| {
            if answer.status == 409 {
                *answer = refusal(400, "INVALID_ARGUMENT");
            }
        }),
    ),
    (
        "a wrong sum accepted",
        "shares_sum_to_a_hundred",
        "a sum of 90",
        Break::Answer(|_, answer| answer.status = 200),
    ),
    (
        "an error without its status",
        "an_error_has_code_status_and_message",
        "an error as Google writes it",
        Break::Answer(|_, answer| {
            if let Some(Value::Object(error)) = answer.body.get_mut("error") {
                error.remove("status");
            }
        }),
    ),
    (
        "conditions of other names",
        "conditions_have_their_names",
        "the condition RoutesReady",
        Break::Answer(|_, answer| rename_values(&mut answer.body, "RoutesReady", "RouteReady")),
    ),
    (
        "an item missing from a list",
        "a_list_is_whole",
        "every revision is in the list",
        Break::Answer(|_, answer| {
            if let Some(Value::Array(revisions)) = answer.body.get_mut("revisions") {
                revisions.pop();
            }
        }),
    ),
    (
        "short names of the newest revisions",
        "revisions_are_named_in_full_and_in_short",
        "the full name",
        Break::Answer(|_, answer| {
            rename_values(
                &mut answer.body,
                "projects/demo-project/locations/us-central1/services/demo/revisions/",
                "",
            );
        }),
    ),
    (
        "the project's id as the namespace",
        "a_namespace_is_the_projects_number",
        "the namespace is the number",
        Break::Answer(|_, answer| {
            if let Some(namespace) = answer.body.pointer_mut("/metadata/namespace") {
                *namespace = json!("demo-project");
            }
        }),
    ),
    (
        "what serves is deleted",
        "what_serves_is_not_deleted",
        "it serves",
        Break::Answer(|sent, answer| {
            if sent.method == "DELETE" && sent.path.contains("/revisions/") {
                answer.status = 200;
            }
        }),
    ),
];

/// Takes a member out of a body.
fn forget(sent: &mut Sent, pointer: &str) {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    if let Some(Value::Object(parent)) = sent.body.pointer_mut(parent) {
        parent.remove(member);
    }
}

/// Takes a parameter out of a query.
fn without(sent: &mut Sent, name: &str) {
    sent.query.retain(|(known, _)| known != name);
}

/// An error of the API.
fn refusal(status: u16, name: &str) -> Answer {
    Answer { status, body: json!({"error": {"code": status, "message": "no", "status": name}}) }
}

/// Changes a piece of every text in a body.
fn rename_values(body: &mut Value, from: &str, to: &str) {
    match body {
        Value::String(text) => *text = text.replace(from, to),
        Value::Array(items) => items.iter_mut().for_each(|item| rename_values(item, from, to)),
        Value::Object(members) => members.values_mut().for_each(|member| rename_values(member, from, to)),
        _ => {}
    }
}

/// Changes every target of the traffic, of both APIs.
fn each_target(body: &mut Value, change: fn(&mut Value)) {
    for place in ["/traffic", "/trafficStatuses", "/spec/traffic", "/status/traffic"] {
        if let Some(Value::Array(targets)) = body.pointer_mut(place) {
            targets.iter_mut().for_each(change);
        }
    }
}

/// Writes a member that is digits in text as a number.
fn number(body: &mut Value, member: &str) {
    if let Some(Ok(number)) = body[member].as_str().map(str::parse::<i64>) {
        body[member] = json!(number);
    }
}

//! Who may do what: the policy of a service.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{error::ApiError, route::Call, write::find};
use crate::emulator::{
    model::Policy,
    state::{PROJECT_NUMBER, State, World},
};

/// The etag of a policy that was never set.
const NEVER_SET: &str = "ACAB";

/// What the number of writes is added to, so that the etag looks like one.
const WRITTEN: u64 = 0x0706_31c9_cd00_0000;

/// GET services/S:getIamPolicy
pub(crate) fn policy(world: &World, call: &Call, name: &str) -> Result<Value, ApiError> {
    let state = world.lock();
    Ok(rendered(world, &state, &find(&state, call, name)?.policy))
}

fn rendered(world: &World, state: &State, policy: &Policy) -> Value {
    let mut bindings = policy.bindings.clone();
    if state.faults.private && policy.is_public() {
        let invoker = format!("serviceAccount:invoker@{}.iam.gserviceaccount.com", world.options.project);
        bindings = vec![json!({"role": "roles/run.invoker", "members": [invoker]})];
    }
    let mut answer = json!({"version": 1, "etag": etag(policy)});
    if bindings.is_empty() {
        return json!({"etag": etag(policy)});
    }
    answer["bindings"] = Value::Array(bindings);
    answer
}

fn etag(policy: &Policy) -> String {
    // Clients decode and encode it again: it must be base64 to its last character.
    if policy.writes == 0 {
        NEVER_SET.to_owned()
    } else {
        STANDARD.encode((WRITTEN + policy.writes).to_be_bytes())
    }
}

/// POST services/S:setIamPolicy, whose etag is the condition that nobody has set it since.
pub(crate) fn set_policy(world: &World, call: &Call, name: &str, body: &Value) -> Result<Value, ApiError> {
    let sent = body.get("policy").filter(|policy| policy.is_object());
    let sent = sent.ok_or_else(|| ApiError::invalid("Invalid value at 'policy': a policy is expected."))?;
    let bindings = sent.get("bindings").and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(member) = bindings.iter().find_map(unknown_member) {
        return Err(ApiError::invalid(format!("Invalid member: {member}")));
    }
    let mut state = world.lock();
    let current = find(&state, call, name)?.policy.clone();
    if let Some(specified) = sent.get("etag").and_then(Value::as_str).filter(|etag| !etag.is_empty())
        && specified != etag(&current)
    {
        let message = "There were concurrent policy changes. Please retry the whole read-modify-write with \
                       exponential backoff.";
        return Err(ApiError::new(409, "ABORTED", message));
    }
    let policy = Policy { bindings, writes: current.writes + 1 };
    if let Some(service) = state.services.get_mut(name) {
        service.policy = policy.clone();
    }
    let answer = rendered(world, &state, &policy);
    world.changed(state);
    Ok(answer)
}

/// A member of a binding that is written as none can be.
fn unknown_member(binding: &Value) -> Option<String> {
    const KINDS: [&str; 9] = [
        "user:",
        "serviceAccount:",
        "group:",
        "domain:",
        "principal:",
        "principalSet:",
        "deleted:",
        "projectOwner:",
        "projectEditor:",
    ];
    let members = binding.get("members").and_then(Value::as_array).into_iter().flatten();
    let known = |member: &str| {
        ["allUsers", "allAuthenticatedUsers"].contains(&member)
            || member.starts_with("projectViewer:")
            || KINDS.iter().any(|kind| member.starts_with(kind))
    };
    members.filter_map(Value::as_str).find(|member| !known(member)).map(str::to_owned)
}

/// POST services/S:testIamPermissions
pub(crate) fn permissions(world: &World, body: &Value) -> Value {
    let state = world.lock();
    let asked = body.get("permissions").and_then(Value::as_array).cloned().unwrap_or_default();
    let denied = |permission: &Value| {
        state.faults.denied_permissions.iter().any(|denied| Some(denied.as_str()) == permission.as_str())
    };
    let granted: Vec<Value> = asked.into_iter().filter(|permission| !denied(permission)).collect();
    if granted.is_empty() { json!({}) } else { json!({"permissions": granted}) }
}

/// GET /v1/projects: the one that there is.
pub(crate) fn projects(world: &World) -> Value {
    json!({"projects": [project(world)]})
}

/// GET /v1/projects/P
pub(crate) fn project(world: &World) -> Value {
    json!({
        "projectId": world.options.project,
        "projectNumber": PROJECT_NUMBER,
        "name": world.options.project,
        "lifecycleState": "ACTIVE",
        "createTime": "2020-01-01T00:00:00.000000Z",
    })
}

/// GET /v1/projects/P/services/A, by which gcloud asks whether an API may be used: all may.
pub(crate) fn enabled(api: &str) -> Value {
    json!({"name": format!("projects/{PROJECT_NUMBER}/services/{api}"), "state": "ENABLED"})
}

/// GET /v1/projects/P/services: what there is.
pub(crate) fn all_enabled() -> Value {
    let services = ["cloudresourcemanager", "logging", "run"].map(|api| {
        let api = format!("{api}.googleapis.com");
        let mut service = enabled(&api);
        service["config"] = json!({"name": api});
        service
    });
    json!({"services": services})
}

/// POST services/A:enable: an operation that has nothing to do.
pub(crate) fn enable() -> Value {
    json!({"name": "operations/noop.DONE_OPERATION", "done": true, "response": {}})
}

/// GET /v1/projects/P/locations: the one region that there is.
pub(crate) fn locations(world: &World) -> Value {
    let region = &world.options.region;
    json!({"locations": [{"name": world.location(), "locationId": region, "displayName": region}]})
}

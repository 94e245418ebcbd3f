//! From an HTTP request to an answer.

use std::{io, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, State},
    http::{HeaderMap, Method, Response, Uri, header},
};
use serde_json::Value;
use url::form_urlencoded;

use super::{
    ApiListener, control, entries,
    error::{ApiError, respond},
    listener::Cut,
    operations, read,
    route::{self, Call, Verb},
    write,
};
use crate::emulator::{options::ApiRequest, state::World};

/// Query parameters, as sent.
pub(crate) type Query = Vec<(String, String)>;

/// Serves the API until the emulator stops.
pub(crate) async fn serve(world: Arc<World>, listener: ApiListener) -> io::Result<()> {
    let stop = world.stop.clone();
    let application = Router::new().fallback(answer).with_state(world);
    let service = application.into_make_service_with_connect_info::<Cut>();
    // Not a graceful shutdown: that would wait for clients that keep their connections open.
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        served = axum::serve(listener, service) => served,
    }
}

async fn answer(
    State(world): State<Arc<World>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if method == Method::CONNECT {
        return respond(Err(ApiError::invalid(
            "The emulator is no tunnel: set the client's endpoint to it.",
        )));
    }
    let text = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
    let Ok(body) = text else {
        return respond(Err(ApiError::invalid("Invalid JSON payload received.")));
    };
    if let Some(tail) = uri.path().strip_prefix("/__emulator/") {
        return respond(control::answer(&world, &method, tail, body));
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    world.lock().remember(ApiRequest { method: method.to_string(), path, body: body.clone() });
    let answer = match route::parse(method.as_str(), uri.path()) {
        None => Err(ApiError::no_route(method.as_str(), uri.path())),
        Some(call) => match admit(&world, &call, &headers) {
            Ok(()) => perform(&world, &call, &query(&uri), &body, &cut).await,
            Err(refusal) => Err(refusal),
        },
    };
    respond(answer)
}

/// Splits on the first `=` only: some clients send a second one raw.
fn query(uri: &Uri) -> Query {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}

fn admit(world: &World, call: &Call, headers: &HeaderMap) -> Result<(), ApiError> {
    let mut state = world.lock();
    if let Some(token) = &state.faults.api_token {
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if sent.and_then(|sent| sent.strip_prefix("Bearer ")) != Some(token) {
            return Err(ApiError::unauthenticated());
        }
    }
    let permission = call.permission().unwrap_or_default();
    if state.faults.denied_permissions.contains(&permission) {
        return Err(ApiError::denied(&permission, &call.resource()));
    }
    match state.faults.take_status(call.method()) {
        Some(status) => Err(ApiError::fault(status, &permission, &call.resource())),
        None => Ok(()),
    }
}

async fn perform(
    world: &Arc<World>,
    call: &Call,
    query: &Query,
    body: &Value,
    cut: &Cut,
) -> Result<Value, ApiError> {
    let options = &world.options;
    let known = call.project == options.project && call.region == options.region;
    match &call.verb {
        Verb::ListServices => Ok(read::services(world, known)),
        Verb::GetService(name) => read::service(world, call, known, name),
        Verb::ListRevisions(name) => read::revisions(world, call, known, (name, query)),
        Verb::GetRevision(name, revision) => read::revision(world, call, known, (name, revision)),
        Verb::GetIamPolicy(name) => read::iam_policy(world, call, known, name),
        Verb::TestIamPermissions(_) => Ok(read::permissions(world, body)),
        Verb::GetOperation(id) => operations::get(world, id),
        Verb::WaitOperation(id) => operations::wait(world, id, body).await,
        Verb::ListEntries => entries::list(world, body),
        Verb::CreateService if known => write::create(world, query, body),
        Verb::UpdateService(name) if known => write::update(world, name, (query, body), cut),
        Verb::CreateService => Err(ApiError::denied("run.services.create", &call.resource())),
        Verb::UpdateService(name) => Err(ApiError::not_found("SERVICE", name, (&call.project, &call.region))),
    }
}

/// The value of a query parameter.
pub(crate) fn parameter<'a>(query: &'a Query, name: &str) -> Option<&'a str> {
    query
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}

//! From an HTTP request to an answer.

use std::{io, sync::Arc};

use axum::{
    Router,
    body::{self, Body},
    extract::{ConnectInfo, State},
    http::{HeaderMap, Method, Response, Uri, header},
};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{
    ApiListener, control, entries,
    error::{ApiError, respond},
    form::Form,
    iam, known,
    listener::Cut,
    operations,
    route::{self, Api, Call, Verb},
    v1,
    v2::{self, mask::camel},
};
use crate::emulator::{
    nesting::{DEEPEST, is_deeper},
    options::ApiRequest,
    state::{PROJECT_NUMBER, World},
    state_file::kept,
};

/// The most bytes of a body.
const LARGEST_BODY: usize = 10 << 20;

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
    body: Body,
) -> Response<Body> {
    let plain = Form::default();
    let said = match keep_out(&method, &uri, &headers) {
        Ok(()) => read(&method, &uri, &headers, body).await,
        Err(refusal) => Err(refusal),
    };
    let (query, body) = match said {
        Ok(said) => said,
        Err(refusal) => return respond(Err(refusal), &plain),
    };
    if let Some(tail) = uri.path().strip_prefix("/__emulator/") {
        let answer = control::answer(&world, &method, tail, body);
        return respond(once_kept(&world, answer).await, &plain);
    }
    let method = meant(&method, &headers);
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    world.lock().remember(ApiRequest { method: method.to_string(), path, body: body.clone() });
    let host = uri
        .host()
        .map(str::to_owned)
        .or_else(|| Some(headers.get(header::HOST)?.to_str().ok()?.split(':').next()?.to_owned()));
    let form = Form::parse(&query);
    let answer = match route::parse(method.as_str(), host.as_deref().unwrap_or_default(), uri.path()) {
        None => Err(ApiError::no_route(method.as_str(), uri.path())),
        Some(mut call) => {
            let admitted = admit(&world, call.placed(&world.options.region), &headers);
            match admitted.and(form.clone()).and_then(|form| form.of(&call)) {
                Ok(form) => {
                    let answer = perform(&world, &call, &query, &body, &cut).await;
                    answer.map(|answer| form.shape(answer, call.api == Api::V2 && call.is_of_run()))
                }
                Err(refusal) => Err(refusal),
            }
        }
    };
    let answer = once_kept(&world, answer).await;
    let latency = world.lock().faults.api_latency;
    world.clock.pass(latency).await;
    respond(answer, &form.unwrap_or(plain))
}

/// Refuses what is for nobody here.
fn keep_out(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    if method == Method::CONNECT {
        return Err(ApiError::invalid(format!(
            "The emulator is no tunnel to {uri}: a client that asks for one was not told that its API is here. Set what \
             `revgate emulator env` prints, and http:// endpoints."
        )));
    }
    // Any page in a browser can send to a loopback port, and what is deployed here may be a command.
    if headers.get(header::ORIGIN).is_some_and(|origin| !is_local(origin.to_str().unwrap_or_default())) {
        let message = "The emulator takes no requests from web pages of other hosts.";
        return Err(ApiError::new(403, "PERMISSION_DENIED", message));
    }
    Ok(())
}

/// The query, and the body as JSON; null where there is none.
async fn read(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Query, Value), ApiError> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(ApiError::invalid("The emulator reads no compressed bodies: send it as plain JSON."));
    }
    let bytes = body::to_bytes(body, LARGEST_BODY).await.map_err(|_| {
        ApiError::invalid(format!("Request payload size exceeds the limit: {LARGEST_BODY} bytes."))
    })?;
    let mut query = query(uri.query().unwrap_or_default().as_bytes());
    // Google's clients send a GET whose address would be too long so: what stood behind its `?` is the body.
    if *method == Method::POST && meant(method, headers) == Method::GET && is_form(headers) {
        query.extend(self::query(&bytes));
        return Ok((query, Value::Null));
    }
    Ok((query, parsed(&bytes)?))
}

fn parsed(bytes: &[u8]) -> Result<Value, ApiError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let body =
        serde_json::from_slice(bytes).map_err(|_| ApiError::invalid("Invalid JSON payload received."))?;
    if is_deeper(&body, DEEPEST) {
        let message = "Invalid JSON payload received. Message too deep. Max recursion depth reached.";
        return Err(ApiError::invalid(message));
    }
    Ok(body)
}

/// The method that is meant: a POST may say that it stands for another, where a proxy lets no other through.
fn meant(method: &Method, headers: &HeaderMap) -> Method {
    let other = headers.get("x-http-method-override").filter(|_| method == Method::POST);
    other.and_then(|other| Method::from_bytes(other.as_bytes()).ok()).unwrap_or_else(|| method.clone())
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")
}

/// The answer, as soon as all that it may show is in the file that keeps the state, where there is one.
async fn once_kept(world: &World, answer: Result<Value, ApiError>) -> Result<Value, ApiError> {
    match kept(world).await {
        Ok(()) => answer,
        Err(problem) => Err(ApiError::new(503, "UNAVAILABLE", problem)),
    }
}

/// Whether a page is of this machine.
fn is_local(origin: &str) -> bool {
    let host = origin.split_once("://").map_or("", |(_, rest)| rest.split(':').next().unwrap_or_default());
    ["localhost", "127.0.0.1"].contains(&host)
}

/// Splits on the first `=` only: some clients send a second one raw.
fn query(text: &[u8]) -> Query {
    form_urlencoded::parse(text).into_owned().collect()
}

fn admit(world: &World, call: &Call, headers: &HeaderMap) -> Result<(), ApiError> {
    let mut state = world.lock();
    if let Some(token) = &state.faults.api_token {
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if sent.and_then(|sent| sent.strip_prefix("Bearer ")) != Some(token) {
            return Err(ApiError::unauthenticated());
        }
    }
    if let Some(permission) = call.permission()
        && state.faults.denied_permissions.contains(&permission)
    {
        return Err(ApiError::denied(&permission, &call.resource()));
    }
    match state.faults.take_status(call.method()) {
        Some(status) => Err(ApiError::fault(status, &call.named_permission(), &call.resource())),
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
    let is_own = call.project == options.project || call.project == PROJECT_NUMBER;
    let known = is_own && call.region == options.region;
    if call.is_in_project() && !is_own {
        return Err(elsewhere(world, call, &call.verb));
    }
    if call.api == Api::V2 && call.is_of_run() {
        known::parameters(query)?;
    }
    match &call.verb {
        Verb::WaitOperation(id) => operations::wait(world, id, body, call.api).await,
        Verb::GetOperation(id) => operations::get(world, id, call.api),
        Verb::ListOperations => operations::list(world, known, query, call.api),
        Verb::DeleteOperation(id) => operations::delete(world, id),
        Verb::ListEntries => entries::list(world, body),
        Verb::WriteEntries => entries::write(world, body),
        Verb::ListLogs if known => Ok(entries::logs(world)),
        Verb::DeleteLog(log) if known => entries::delete_log(world, log),
        Verb::ListProjects => Ok(iam::projects(world)),
        Verb::GetIamPolicy(name) if known => iam::policy(world, call, name),
        Verb::SetIamPolicy(name) if known => iam::set_policy(world, call, name, body),
        Verb::TestIamPermissions(_) => Ok(iam::permissions(world, body)),
        Verb::GetProject if known => Ok(iam::project(world)),
        Verb::GetUsage(api) if known => Ok(iam::enabled(api)),
        Verb::ListUsage if known => Ok(iam::all_enabled()),
        Verb::Enable if known => Ok(iam::enable()),
        Verb::ListLocations if known => Ok(iam::locations(world)),
        Verb::ListServices if call.api == Api::V1 => v1::read::services(world, known, query),
        Verb::ListServices => v2::read::services(world, known, query),
        Verb::GetService(name) if call.api == Api::V1 => v1::read::service(world, call, known, name),
        Verb::GetService(name) => v2::read::service(world, call, known, name),
        Verb::ListRevisions(_) if call.api == Api::V1 => v1::read::revisions(world, known, query),
        Verb::ListRevisions(name) => v2::read::revisions(world, call, known, (name, query)),
        Verb::GetRevision(_, name) if call.api == Api::V1 => v1::read::revision(world, call, known, name),
        Verb::GetRevision(owner, name) => v2::read::revision(world, call, known, (owner, name)),
        _ if known => change(world, call, (query, body), cut),
        verb => Err(elsewhere(world, call, verb)),
    }
}

/// The calls that change something.
fn change(
    world: &Arc<World>,
    call: &Call,
    (query, body): (&Query, &Value),
    cut: &Cut,
) -> Result<Value, ApiError> {
    match (&call.verb, call.api) {
        (Verb::CreateService, Api::V1) => v1::write::create(world, query, body, cut),
        (Verb::CreateService, Api::V2) => v2::write::create(world, query, body, cut),
        (Verb::UpdateService(name), Api::V1) => v1::write::replace(world, name, (query, body), cut),
        (Verb::UpdateService(name), Api::V2) => v2::write::update(world, name, (query, body), cut),
        (Verb::DeleteService(name), Api::V1) => v1::write::delete_service(world, call, name, query),
        (Verb::DeleteService(name), Api::V2) => v2::write::delete_service(world, call, name, query),
        (Verb::DeleteRevision(_, name), Api::V1) => v1::write::delete_revision(world, call, name, query),
        (Verb::DeleteRevision(owner, name), Api::V2) => {
            v2::write::delete_revision(world, call, (owner, name), query)
        }
        _ => Err(ApiError::new(500, "INTERNAL", "Internal error encountered.")),
    }
}

/// The refusal of a call for another project or region than the emulator's.
fn elsewhere(world: &World, call: &Call, verb: &Verb) -> ApiError {
    let options = &world.options;
    let is_own = call.project == options.project || call.project == PROJECT_NUMBER;
    let project = if is_own { &options.project } else { &call.project };
    let hint = format!(
        "This emulator is region '{}' of project '{}', and the request is for region '{2}' of project '{project}'. Ask for \
         the former, or start: revgate emulator --project {project} --region {2}",
        options.region, options.project, call.region,
    );
    let denied = || ApiError::denied(&call.named_permission(), &call.resource());
    match verb {
        Verb::CreateService => ApiError::new(400, "FAILED_PRECONDITION", hint),
        // The message is Google's; what clients show below it says what to do.
        _ if !is_own => ApiError { details: Some(localized(&hint)), ..denied() },
        Verb::GetIamPolicy(name)
        | Verb::SetIamPolicy(name)
        | Verb::UpdateService(name)
        | Verb::DeleteService(name) => ApiError::not_found("SERVICE", name, (&call.project, &call.region)),
        Verb::DeleteRevision(_, name) => ApiError::not_found("REVISION", name, (&call.project, &call.region)),
        _ => denied(),
    }
}

/// A text for people, as details have it.
fn localized(message: &str) -> Value {
    json!([{
        "@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": message,
    }])
}

/// The value of a query parameter, which may be written in either spelling, `pageSize` or `page_size`.
pub(crate) fn parameter<'a>(query: &'a Query, name: &str) -> Option<&'a str> {
    query
        .iter()
        .find(|(known, _)| known == name || camel(known) == name)
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}

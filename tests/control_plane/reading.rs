//! Reading: pages, refusals, repetitions, readiness.

use std::time::Duration;

use revgate::cloudrun::{ApiError, Client, Invokers, ReadyOutcome, await_ready};
use revgate::config::ApiAccess;
use revgate::trust::Redactor;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::server::{FULL, Server, error, name, start, usual_traffic};

#[tokio::test]
async fn reads_all_pages_and_sends_the_token() {
    let page = |revision: &str, next: &str| {
        let name = format!("{FULL}/revisions/{revision}");
        (200, json!({"revisions": [{"name": name}], "nextPageToken": next}))
    };
    let (server, client) =
        start(Server::scripted([page("a", "t=1&x"), page("b", "t2"), page("c", "")])).await;
    let revisions = client.list_revisions(&name()).await.unwrap();
    let names: Vec<_> = revisions.iter().map(|revision| revision.short_name().to_owned()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen[1].1, format!("/v2/{FULL}/revisions?pageSize=100&pageToken=t%3D1%26x"));
    assert!(seen.iter().all(|(.., token)| token == "Bearer sesame-of-the-test"));
}

#[tokio::test]
async fn pages_that_go_round_in_circles_are_an_error() {
    let page = (200, json!({"nextPageToken": "again"}));
    let (_, client) = start(Server::scripted([page.clone(), page])).await;
    let error = client.list_revisions(&name()).await.unwrap_err();
    assert!(error.to_string().contains("the same page token twice"), "{error}");
}

#[tokio::test]
async fn refusals_keep_their_words_and_name_the_next_command() {
    let denied = "Permission 'run.services.get' denied on resource 'projects/demo-project' (or resource may not exist).";
    let enable = json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "has not been used",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}]}});
    let cases = [
        (
            404,
            error(404, "NOT_FOUND", "Resource 'demo' does not exist."),
            "does not exist",
            "gcloud run services list",
        ),
        (
            403,
            error(403, "PERMISSION_DENIED", denied),
            "run.services.get is denied",
            "--role roles/run.viewer",
        ),
        (403, enable, "not enabled", "gcloud services enable run.googleapis.com --project demo-project"),
        (401, error(401, "UNAUTHENTICATED", "Request had sesame-of-the-test"), "had [redacted]", "login"),
        (
            400,
            error(400, "INVALID_ARGUMENT", "no\u{1b}[2J"),
            "no\\u{1b}[2J",
            "gcloud run services describe demo",
        ),
        (409, error(409, "ABORTED", "Conflict for resource"), "Conflict", "--region us-central1"),
        (302, json!({}), "302", "curl -v http://127.0.0.1"),
    ];
    for (status, body, words, command) in cases {
        let (server, client) = start(Server::scripted([(status, body)])).await;
        let error = client.get_service(&name()).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.help().contains(command), "{}", error.help());
        assert_eq!(server.seen.lock().unwrap().len(), 1, "{status} is not tried again");
    }
}

#[tokio::test]
async fn pages_for_people_and_json_of_others_are_no_answer() {
    for body in ["<html><title>Sign in</title></html>", "", "[]", "\"ok\""] {
        let server = Server::scripted([]);
        server.script.lock().unwrap().push_back((200, vec![], body.to_owned()));
        let (_, client) = start(server).await;
        let error = client.get_service(&name()).await.unwrap_err();
        assert!(matches!(error, ApiError::UnexpectedAnswer { .. }), "{error}");
    }
}

#[tokio::test]
async fn reads_are_repeated_while_the_failure_may_pass() {
    let quota = error(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Read requests'");
    let server = Server::new(&usual_traffic());
    let after = vec![("retry-after", "1".to_owned())];
    server
        .script
        .lock()
        .unwrap()
        .extend([(429, after, quota.to_string()), (503, vec![], "<html>".to_owned())]);
    let (server, client) = start(server).await;
    let begun = Instant::now();
    assert_eq!(client.get_service(&name()).await.unwrap().generation, 4);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.seen.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn an_api_that_is_not_there_is_told_soon() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let access = ApiAccess::Other { endpoint: endpoint.parse().unwrap(), token: None };
    let client = Client::new(&access, &Redactor::default()).unwrap();
    let begun = Instant::now();
    let error = client.get_service(&name()).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable { .. }) && begun.elapsed() < Duration::from_secs(10));
    assert!(error.to_string().contains(&endpoint) && error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn tells_who_may_invoke() {
    let public = json!({"bindings": [{"role": "roles/run.invoker", "members": ["allUsers"]}]});
    let denied = error(403, "PERMISSION_DENIED", "no");
    let (server, client) = start(Server::scripted([(200, public), (200, json!({})), (403, denied)])).await;
    assert_eq!(client.invoker_policy(&name()).await.unwrap(), Invokers::Everybody);
    assert_eq!(client.invoker_policy(&name()).await.unwrap(), Invokers::Some);
    assert!(matches!(client.invoker_policy(&name()).await.unwrap(), Invokers::Unknown { .. }));
    assert!(server.seen.lock().unwrap()[0].1.starts_with(&format!("/v2/{FULL}:getIamPolicy?")));
}

#[tokio::test]
async fn waits_for_the_revision_and_tells_each_change_once() {
    let standing =
        |state: Value| (200, json!({"name": "r", "conditions": [{"type": "Ready", "state": state}]}));
    let pending = standing(json!("CONDITION_PENDING"));
    let answers = [pending.clone(), pending, standing(json!(2)), standing(json!("CONDITION_SUCCEEDED"))];
    let (_, client) = start(Server::scripted(answers)).await;
    let mut changes = 0;
    let patience = Duration::from_mins(1);
    let outcome =
        await_ready(&client, &name(), "demo-00002-new", 0, patience, |_| changes += 1).await.unwrap();
    assert!(matches!(outcome, ReadyOutcome::Ready { .. }), "{outcome:?}");
    assert_eq!(changes, 2, "waiting and ready");

    let answers = std::iter::repeat_n(standing(json!("CONDITION_PENDING")), 9);
    let (_, client) = start(Server::scripted(answers)).await;
    let patience = Duration::from_millis(900);
    let outcome = await_ready(&client, &name(), "demo-00002-new", 0, patience, |_| ()).await.unwrap();
    assert!(matches!(outcome, ReadyOutcome::NeverReady { .. }), "{outcome:?}");
}

//! Promoting: one write, what stops it, and what is told when it went wrong.

use revgate::cloudrun::Client;
use revgate::promote::{PromoteError, promote};
use revgate::revision::TrafficSnapshot;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::server::{FULL, REVISION, Server, Twist, error, name, start, usual_traffic, write};

async fn snapshot(client: &Client) -> TrafficSnapshot {
    TrafficSnapshot::of(&client.get_service(&name()).await.unwrap())
}

#[tokio::test]
async fn promotes_in_one_write_and_keeps_what_others_own() {
    let (server, client) = start(Server::new(&usual_traffic())).await;
    let before = snapshot(&client).await;
    let promoted =
        promote(&CancellationToken::new(), &client, &name(), "demo-00002-new", &before).await.unwrap();
    assert!(promoted.written && promoted.notes[0].contains("--to-latest"), "{promoted:?}");
    let writes = server.writes();
    assert_eq!(writes.len(), 1);
    assert_eq!((&writes[0]["etag"], &writes[0]["name"]), (&json!("\"e4\""), &json!(FULL)));
    assert_eq!(
        server.traffic(),
        json!([
            {"type": REVISION, "revision": "demo-00002-new", "percent": 100},
            {"type": REVISION, "revision": "demo-00001-duz", "tag": "blue", "futureField": {"a": 1}},
            {"type": 2, "revision": "demo-00002-new", "tag": "candidate"}])
    );
    assert!(
        server.seen.lock().unwrap().iter().any(|(_, path, ..)| path.ends_with("demo?updateMask=traffic"))
    );
    let again =
        promote(&CancellationToken::new(), &client, &name(), "demo-00002-new", &before).await.unwrap();
    assert!(!again.written && server.writes().len() == 1);
}

#[tokio::test]
async fn writes_nothing_when_somebody_else_moved_traffic() {
    let (server, client) = start(Server::new(&usual_traffic())).await;
    let mut before = snapshot(&client).await;
    before.ignore("mine");
    let mut traffic = usual_traffic();
    traffic[0]["percent"] = json!(80);
    traffic[1]["percent"] = json!(20);
    write(&mut server.service.lock().unwrap(), traffic);
    let error =
        promote(&CancellationToken::new(), &client, &name(), "demo-00002-new", &before).await.unwrap_err();
    assert!(matches!(error, PromoteError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("demo-00001-duz had 10 % and has 20 %"), "{error}");
    assert!(server.writes().is_empty());
}

#[tokio::test]
async fn a_conflict_is_read_again_and_refused_only_for_a_change_of_concern() {
    let to_another = |traffic: &mut Value| {
        *traffic = json!([{"type": REVISION, "revision": "demo-00003-zap", "percent": 100}]);
    };
    let (server, client) = start(Server::new(&usual_traffic()).twisted(Twist::OtherFirst(to_another))).await;
    let before = snapshot(&client).await;
    let error =
        promote(&CancellationToken::new(), &client, &name(), "demo-00002-new", &before).await.unwrap_err();
    assert!(matches!(error, PromoteError::Refused { .. }), "{error}");
    assert_eq!(server.traffic()[0]["revision"], "demo-00003-zap");

    let (server, client) = start(Server::new(&usual_traffic()).twisted(Twist::OtherFirst(|_| ()))).await;
    let before = snapshot(&client).await;
    assert!(
        promote(&CancellationToken::new(), &client, &name(), "demo-00002-new", &before)
            .await
            .unwrap()
            .written
    );
    assert_eq!(server.writes().len(), 2);
}

#[tokio::test]
async fn a_write_that_was_turned_away_for_now_is_made_again() {
    let quota = Twist::Refuse(429, error(429, "RESOURCE_EXHAUSTED", "Quota exceeded"));
    let (server, client) = start(Server::new(&usual_traffic()).twisted(quota)).await;
    let before = snapshot(&client).await;
    assert!(
        promote(&CancellationToken::new(), &client, &name(), "demo-00002-new", &before)
            .await
            .unwrap()
            .written
    );
    assert_eq!(server.writes().len(), 2);
}

#[tokio::test]
async fn a_server_that_ignores_etags_is_caught_by_the_generation() {
    let to_another = |traffic: &mut Value| traffic[0]["percent"] = json!(90);
    let mut server = Server::new(&usual_traffic()).twisted(Twist::OtherFirst(to_another));
    server.honours_etag = false;
    let (_, client) = start(server).await;
    let before = snapshot(&client).await;
    let error =
        promote(&CancellationToken::new(), &client, &name(), "demo-00002-new", &before).await.unwrap_err();
    let PromoteError::NotAsAsked { command, .. } = &error else { panic!("{error}") };
    assert_eq!(
        command,
        "gcloud run services update-traffic demo --to-revisions=demo-00002-new=100 --region us-central1 --project demo-project"
    );
}

#[tokio::test]
async fn a_lost_answer_is_read_back_and_not_written_again() {
    let (server, client) = start(Server::new(&usual_traffic()).twisted(Twist::DropReply)).await;
    let before = snapshot(&client).await;
    assert!(
        promote(&CancellationToken::new(), &client, &name(), "demo-00002-new", &before)
            .await
            .unwrap()
            .written
    );
    assert_eq!(server.writes().len(), 1);
}

#[tokio::test]
async fn an_operation_that_fails_is_told_with_what_is_in_effect() {
    let (_, client) = start(Server::new(&usual_traffic()).twisted(Twist::FailOperation)).await;
    let before = snapshot(&client).await;
    let error =
        promote(&CancellationToken::new(), &client, &name(), "demo-00002-new", &before).await.unwrap_err();
    assert!(matches!(error, PromoteError::NotAsAsked { .. }), "{error}");
    assert!(
        error.to_string().contains("LATEST 90 %") && error.to_string().contains("does not exist"),
        "{error}"
    );
}

#[tokio::test]
async fn a_refused_write_says_that_nothing_was_written() {
    let denied = error(403, "PERMISSION_DENIED", "Permission 'run.services.update' denied on resource 'x'.");
    let (server, client) = start(Server::new(&usual_traffic()).twisted(Twist::Refuse(403, denied))).await;
    let before = snapshot(&client).await;
    let error =
        promote(&CancellationToken::new(), &client, &name(), "demo-00002-new", &before).await.unwrap_err();
    assert!(error.to_string().starts_with("nothing was written"), "{error}");
    assert!(error.help().contains("roles/run.developer"), "{}", error.help());
    assert_eq!(server.writes().len(), 1);
}

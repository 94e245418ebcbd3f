//! Tagging: added, watched and taken away, whatever others do meanwhile.

use std::time::Duration;

use revgate::cloudrun::{AddedTag, Adding, Client, Removal, TagError, TagToAdd, add_tag, remove_tag};
use revgate::config::Identifier;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::server::{REVISION, Server, Twist, error, name, start, usual_traffic};

fn tag_to_add(name: &str) -> TagToAdd {
    let base = Identifier::new("gate").unwrap();
    TagToAdd { name: name.into(), base, revision: "demo-00002-new".into() }
}

async fn add(client: &Client, tag: &str) -> Result<AddedTag, TagError> {
    // The minute of `hn3k2`.
    let now = jiff::Timestamp::from_second(29_631_170 * 60).unwrap();
    add_tag(client, &name(), &tag_to_add(tag), now, Instant::now() + Duration::from_secs(20)).await
}

async fn remove(client: &Client, tag: &str, adding: Adding) -> Result<Removal, TagError> {
    remove_tag(client, &name(), &tag_to_add(tag), adding).await
}

#[tokio::test]
async fn adds_a_tag_and_takes_it_away_again() {
    let (server, client) = start(Server::new(&usual_traffic())).await;
    let added = add(&client, "gate-hn3k20f0a").await.unwrap();
    assert_eq!(added.uri, "https://gate-hn3k20f0a---demo-abcdefghij-uc.a.run.app");
    assert_eq!(server.tags(), ["blue", "candidate", "gate-hn3k20f0a"]);
    let seen = Adding::Seen { generation: added.generation };
    assert_eq!(remove(&client, "gate-hn3k20f0a", seen).await.unwrap(), Removal::Gone);
    assert_eq!(server.traffic(), usual_traffic());
    let writes = server.writes().len();
    assert_eq!(remove(&client, "gate-hn3k20f0a", seen).await.unwrap(), Removal::Absent);
    assert_eq!(server.writes().len(), writes, "nothing is written when there is nothing to take away");
}

#[tokio::test]
async fn cleans_up_what_an_earlier_run_left_and_never_moves_a_tag() {
    let mut traffic = usual_traffic();
    let left = json!({"type": REVISION, "revision": "demo-00001-duz", "tag": "gate-0000a0f0a"});
    traffic.as_array_mut().unwrap().push(left);
    let (server, client) = start(Server::new(&traffic)).await;
    let added = add(&client, "gate-hn3k20f0a").await.unwrap();
    assert_eq!(added.dropped, ["gate-0000a0f0a"]);
    assert_eq!(server.writes().len(), 1);
    let error = add(&client, "blue").await.unwrap_err();
    assert!(matches!(&error, TagError::Taken { holder, .. } if holder == "demo-00001-duz"), "{error}");
}

#[tokio::test]
async fn conflicts_and_lost_answers_do_not_stop_a_tag() {
    let server = Server::new(&usual_traffic()).twisted(Twist::OtherFirst(|_| ())).twisted(Twist::DropReply);
    let (server, client) = start(server).await;
    add(&client, "gate-hn3k20f0a").await.unwrap();
    let conflict = error(400, "FAILED_PRECONDITION", "The service is reconciling.");
    server
        .twists
        .lock()
        .unwrap()
        .extend([Twist::Refuse(409, conflict.clone()), Twist::Refuse(400, conflict)]);
    remove(&client, "gate-hn3k20f0a", Adding::Unknown).await.unwrap();
    assert_eq!(server.tags(), ["blue", "candidate"]);
}

#[tokio::test]
async fn a_tag_that_cannot_be_taken_away_is_told_with_the_command() {
    let (server, client) = start(Server::new(&usual_traffic())).await;
    add(&client, "gate-hn3k20f0a").await.unwrap();
    let denied = error(403, "PERMISSION_DENIED", "no more");
    server.twists.lock().unwrap().push_back(Twist::Refuse(403, denied));
    let error = remove(&client, "gate-hn3k20f0a", Adding::Unknown).await.unwrap_err();
    assert!(error.help().contains("--remove-tags=gate-hn3k20f0a --region us-central1"), "{}", error.help());
}

#[tokio::test]
async fn two_runs_at_once_keep_each_others_tags() {
    for honours_etag in [true, false] {
        let mut server = Server::new(&usual_traffic());
        server.honours_etag = honours_etag;
        server.delay = Duration::from_millis(50);
        let (server, client) = start(server).await;
        let (one, two) = tokio::join!(add(&client, "gate-hn3k20001"), add(&client, "gate-hn3k20002"));
        let notes = [one.unwrap().notes, two.unwrap().notes].concat();
        assert_eq!(notes.iter().any(|note| note.contains("added again")), !honours_etag, "{notes:?}");
        let mut tags = server.tags();
        tags.sort();
        assert_eq!(tags, ["blue", "candidate", "gate-hn3k20001", "gate-hn3k20002"]);
        remove(&client, "gate-hn3k20001", Adding::Unknown).await.unwrap();
        assert!(server.tags().contains(&"gate-hn3k20002".to_owned()));
    }
}

#[tokio::test]
async fn a_tag_that_somebody_moved_is_theirs() {
    let (server, client) = start(Server::new(&usual_traffic())).await;
    let added = add(&client, "gate-hn3k20f0a").await.unwrap();
    let moved = |entry: &mut Value| entry["revision"] = json!("demo-00001-duz");
    server.service.lock().unwrap()["traffic"].as_array_mut().unwrap().last_mut().map(moved);
    let seen = Adding::Seen { generation: added.generation };
    let holder = "demo-00001-duz".to_owned();
    assert_eq!(remove(&client, "gate-hn3k20f0a", seen).await.unwrap(), Removal::Left { holder });
    assert!(server.tags().contains(&"gate-hn3k20f0a".to_owned()));
}

/// Answers that come first: a read, a write that somebody else was before, and a read from before both.
#[tokio::test]
async fn a_read_from_before_the_tag_does_not_show_it_gone() {
    let (server, client) = start(Server::new(&usual_traffic())).await;
    let before = server.service.lock().unwrap().clone();
    add(&client, "gate-hn3k20f0a").await.unwrap();
    let with_it = server.service.lock().unwrap().clone();
    let answers = [(200, with_it), (409, error(409, "ABORTED", "Conflict.")), (200, before)];
    let answers = answers.into_iter().map(|(status, body)| (status, vec![], body.to_string()));
    server.script.lock().unwrap().extend(answers);
    assert_eq!(remove(&client, "gate-hn3k20f0a", Adding::Unknown).await.unwrap(), Removal::Gone);
    assert_eq!(server.tags(), ["blue", "candidate"]);
}

#[tokio::test]
async fn only_a_write_that_was_refused_was_not_written() {
    let denied = || (403, error(403, "PERMISSION_DENIED", "no more"));
    let begun = || Server::new(&usual_traffic()).service.lock().unwrap().clone();
    let done = json!({"name": "projects/p/locations/l/operations/o-1", "done": true, "response": begun()});
    for (answers, adding) in [
        (vec![denied()], Adding::Refused),
        (vec![(200, begun()), denied()], Adding::Refused),
        // The read behind the write is refused.
        (vec![(200, begun()), (200, done), denied()], Adding::Unknown),
        // The second try is refused, and nobody knows what became of the first.
        (vec![(200, begun()), (503, json!({})), (200, moved_on(begun())), denied()], Adding::Unknown),
    ] {
        let server = Server::scripted(answers.clone());
        let (_, client) = start(server).await;
        let error = add(&client, "gate-hn3k20f0a").await.unwrap_err();
        assert_eq!(error.adding(), adding, "{error}\n{answers:?}");
    }
}

/// The service behind somebody else's change.
fn moved_on(mut service: Value) -> Value {
    service["generation"] = json!("5");
    service
}

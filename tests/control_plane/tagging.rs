//! Tagging: added, watched and taken away, whatever others do meanwhile.

use std::time::Duration;

use revgate::cloudrun::{AddedTag, Adding, Client, TagError, TagToAdd, add_tag, remove_tag};
use revgate::config::Identifier;
use serde_json::json;
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

#[tokio::test]
async fn adds_a_tag_and_takes_it_away_again() {
    let (server, client) = start(Server::new(&usual_traffic())).await;
    let added = add(&client, "gate-hn3k20f0a").await.unwrap();
    assert_eq!(added.uri, "https://gate-hn3k20f0a---demo-abcdefghij-uc.a.run.app");
    assert_eq!(server.tags(), ["blue", "candidate", "gate-hn3k20f0a"]);
    let seen = Adding::Seen { generation: added.generation };
    remove_tag(&client, &name(), "gate-hn3k20f0a", seen).await.unwrap();
    assert_eq!(server.traffic(), usual_traffic());
    let writes = server.writes().len();
    remove_tag(&client, &name(), "gate-hn3k20f0a", seen).await.unwrap();
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
    remove_tag(&client, &name(), "gate-hn3k20f0a", Adding::Unknown).await.unwrap();
    assert_eq!(server.tags(), ["blue", "candidate"]);
}

#[tokio::test]
async fn a_tag_that_cannot_be_taken_away_is_told_with_the_command() {
    let (server, client) = start(Server::new(&usual_traffic())).await;
    add(&client, "gate-hn3k20f0a").await.unwrap();
    let denied = error(403, "PERMISSION_DENIED", "no more");
    server.twists.lock().unwrap().push_back(Twist::Refuse(403, denied));
    let error = remove_tag(&client, &name(), "gate-hn3k20f0a", Adding::Unknown).await.unwrap_err();
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
        remove_tag(&client, &name(), "gate-hn3k20001", Adding::Unknown).await.unwrap();
        assert!(server.tags().contains(&"gate-hn3k20002".to_owned()));
    }
}

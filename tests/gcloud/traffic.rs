//! `gcloud run services update-traffic`, in every form.

use super::support::{Story, traffic};

async fn moved(story: &Story, form: &str) -> Vec<String> {
    story.good(&format!("run services update-traffic web {form}")).await;
    traffic(&story.json("run services describe web").await)
}

#[tokio::test]
async fn shares_and_tags_move_in_every_form() {
    let Some(story) = Story::begin().await else { return };
    story.good("run deploy web --image app:1 --revision-suffix a").await;
    story.good("run deploy web --image app:2 --revision-suffix b --no-traffic").await;
    assert_eq!(moved(&story, "--to-revisions web-b=10").await, ["web-a 90 -", "web-b 10 -"]);
    assert_eq!(moved(&story, "--to-revisions web-a=50,web-b=50").await, ["web-a 50 -", "web-b 50 -"]);
    let tagged = moved(&story, "--set-tags green=web-b").await;
    assert_eq!(tagged, ["web-a 50 -", "web-b 50 -", "web-b 0 green"]);
    let tagged = moved(&story, "--update-tags blue=web-a").await;
    assert!(
        tagged.contains(&"web-a 0 blue".to_owned()) && tagged.contains(&"web-b 0 green".to_owned()),
        "{tagged:?}"
    );
    let split = moved(&story, "--to-tags green=100").await;
    assert!(
        split.contains(&"web-b 100 -".to_owned()) && split.contains(&"web-a 0 blue".to_owned()),
        "{split:?}"
    );
    let tagged = moved(&story, "--remove-tags blue").await;
    assert!(
        !tagged.contains(&"web-a 0 blue".to_owned()) && tagged.contains(&"web-b 0 green".to_owned()),
        "{tagged:?}"
    );
    assert_eq!(moved(&story, "--clear-tags").await, ["web-b 100 -"]);
    assert_eq!(moved(&story, "--to-revisions LATEST=100").await, ["LATEST=web-b 100 -"]);
    let both = moved(&story, "--to-revisions LATEST=60,web-a=40 --set-tags next=LATEST").await;
    assert!(
        both.contains(&"LATEST=web-b 60 -".to_owned()) && both.contains(&"web-a 40 -".to_owned()),
        "{both:?}"
    );
    assert_eq!(moved(&story, "--to-latest --clear-tags").await, ["LATEST=web-b 100 -"]);
    let revisions = story.json("run revisions list --service web").await;
    assert_eq!(revisions.as_array().unwrap().len(), 2, "moving traffic makes no revision");
}

#[tokio::test]
async fn a_missing_revision_fails_later_and_the_old_split_stays() {
    let Some(story) = Story::begin().await else { return };
    story.good("run deploy web --image app:1 --revision-suffix a").await;
    story.good("run services update-traffic web --to-revisions web-a=100").await;
    let said = story.bad("run services update-traffic web --to-revisions web-gone=100").await;
    let message = "Revision 'web-gone' does not exist or is deleted. Update all traffic to route to currently \
                   available revisions.";
    assert!(said.contains(message), "{said}");
    let service = story.json("run services describe web").await;
    assert_eq!(traffic(&service), ["web-a 100 -"]);
    assert_eq!(service["spec"]["traffic"][0]["revisionName"], "web-gone");
    story.good("run services update-traffic web --to-revisions web-a=100").await;
    let said = story.bad("run services update-traffic web --to-tags none=10").await;
    assert!(said.contains("There is no revision tagged with [none]"), "{said}");
}

#[tokio::test]
async fn a_write_between_read_and_write_is_a_conflict() {
    let Some(story) = Story::begin().await else { return };
    story.good("run deploy web --image app:1 --revision-suffix a").await;
    story.good("run deploy web --image app:2 --revision-suffix b --no-traffic").await;
    let mut faults = story.emulator.faults();
    faults.foreign_writer = 1;
    story.emulator.set_faults(faults);
    let said = story.bad("run services update-traffic web --to-revisions web-b=100").await;
    let begins =
        "ERROR: (gcloud.run.services.update-traffic) ABORTED: Conflict for resource 'web': version '";
    assert!(said.contains(begins) && said.contains("' was specified but current version is '"), "{said}");
    let moved = traffic(&story.json("run services describe web").await);
    assert_eq!(moved, ["web-a 90 -", "web-b 10 -"], "the other writer's write stands");
    story.good("run services update-traffic web --to-revisions web-b=100").await;
}

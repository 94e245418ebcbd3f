//! `gcloud run revisions`.

use super::support::Story;

#[tokio::test]
async fn revisions_are_listed_by_the_page_and_deleted_unless_they_serve() {
    let Some(story) = Story::begin().await else { return };
    for suffix in ["a", "b", "c"] {
        story.good(&format!("run deploy web --image app:{suffix} --revision-suffix {suffix}")).await;
    }
    story.good("run deploy api --image app:1 --revision-suffix a").await;
    let names = |list: &serde_json::Value| -> Vec<String> {
        let all = list.as_array().unwrap().iter();
        all.map(|revision| revision["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    for line in ["run revisions list --service web", "run revisions list --service web --page-size 1"] {
        assert_eq!(names(&story.json(line).await), ["web-c", "web-b", "web-a"], "{line}");
    }
    assert_eq!(names(&story.json("run revisions list --service web --limit 2").await), ["web-c", "web-b"]);
    assert_eq!(names(&story.json("run revisions list").await).len(), 4);
    let shown = story.good("run revisions list --service web").await;
    let active: Vec<&str> = shown.lines().filter(|line| line.contains("yes")).collect();
    assert!(active.len() == 1 && active[0].contains("web-c"), "{shown}");

    let revision = story.json("run revisions describe web-a").await;
    assert_eq!(revision["metadata"]["labels"]["serving.knative.dev/service"], "web");
    assert_eq!(
        revision["metadata"]["labels"].get("serving.knative.dev/route"),
        None,
        "it is not in the route"
    );
    let said = story.bad("run revisions delete web-c").await;
    assert!(said.contains("FAILED_PRECONDITION") && said.contains("it can receive traffic"), "{said}");
    story.good("run revisions delete web-a").await;
    assert!(story.bad("run revisions describe web-a").await.contains("Cannot find revision [web-a]"));
    assert!(story.bad("run revisions delete web-a").await.contains("could not be found"));
    assert_eq!(names(&story.json("run revisions list --service web").await), ["web-c", "web-b"]);
}

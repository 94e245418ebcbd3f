//! `gcloud run services`: list, describe, update, replace, delete.

use super::support::{Story, traffic};

#[tokio::test]
async fn services_are_listed_updated_and_deleted() {
    let Some(story) = Story::begin().await else { return };
    story.good("run deploy web --image app:1").await;
    story.good("run deploy api --image app:1").await;
    for line in ["run services list", "run services list --region us-central1"] {
        let names: Vec<_> = story
            .json(line)
            .await
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["metadata"]["name"].clone())
            .collect();
        assert_eq!(names, ["api", "web"], "{line}");
    }
    story.good("run services update web --update-labels team=a --update-env-vars A=1 --concurrency 5").await;
    let service = story.json("run services describe web").await;
    assert_eq!(service["metadata"]["labels"]["team"], "a");
    let container = &service["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["env"][0]["value"], "1");
    let image = container["image"].as_str().unwrap();
    assert!(image.starts_with("app@sha256:"), "an update without an image pins what runs: {image}");
    let shown = story.good("run services describe web").await;
    assert!(shown.contains("Concurrency:       5"), "{shown}");

    story.good("run services delete web").await;
    assert!(story.bad("run services describe web").await.contains("Cannot find service [web]"));
    assert!(story.bad("run services delete web").await.contains("could not be found"));
    assert_eq!(story.json("run revisions list --service web").await, serde_json::json!([]));
    story.good("run deploy web --image app:9").await;
    let again = story.json("run services describe web").await;
    assert_eq!(again["metadata"]["generation"], 1, "a new service of the old name");
    assert_ne!(again["metadata"]["uid"], service["metadata"]["uid"]);
    assert_eq!(again["status"]["url"], service["status"]["url"], "at the address of the old one");
}

#[tokio::test]
async fn a_service_is_replaced_from_a_file_and_a_dry_run_changes_nothing() {
    let Some(story) = Story::begin().await else { return };
    let file = |name: &str, image: &str, more: &str| {
        let text = format!(
            "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata:\n  name: web\n{more}spec:\n  template:\n    \
             metadata:\n      name: {name}\n    spec:\n      containers:\n      - image: {image}\n"
        );
        story.file(&format!("{name}.yaml"), &text)
    };
    let first = file("web-one", "app:1", "");
    let dry = story.run(&format!("run services replace {first} --dry-run")).await;
    assert_eq!(dry.code, 0, "{}", dry.err);
    assert!(story.bad("run services describe web").await.contains("Cannot find service [web]"));
    story.good(&format!("run services replace {first}")).await;
    assert_eq!(traffic(&story.json("run services describe web").await), ["LATEST=web-one 100 -"]);
    // The same file again is the same service, and no revision.
    story.good(&format!("run services replace {first}")).await;
    assert_eq!(story.json("run revisions list --service web").await.as_array().unwrap().len(), 1);

    let other = file("web-one", "app:2", "");
    let said = story.bad(&format!("run services replace {other}")).await;
    assert!(said.contains("Revision named 'web-one' with different configuration already exists."), "{said}");
    let with_namespace = file("web-two", "app:2", "  namespace: demo-project\n");
    story.good(&format!("run services replace {with_namespace} --dry-run")).await;
    assert_eq!(story.json("run services describe web").await["status"]["latestReadyRevisionName"], "web-one");
    story.good(&format!("run services replace {with_namespace}")).await;
    assert_eq!(traffic(&story.json("run services describe web").await), ["LATEST=web-two 100 -"]);

    // What describe exports can be given back.
    let exported = story.run("run services describe web --format export").await.out;
    let exported = story.file("exported.yaml", &exported);
    story.good(&format!("run services replace {exported}")).await;
    assert_eq!(story.json("run revisions list --service web").await.as_array().unwrap().len(), 2);
    let bad = file("other-name", "app:3", "");
    assert!(story.bad(&format!("run services replace {bad}")).await.contains("other-name"));
}

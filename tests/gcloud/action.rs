//! The command lines of Google's published deploy action, and what it takes from their output.

use super::support::{Story, tag_url};

#[tokio::test]
async fn the_deploy_actions_commands_print_the_urls_that_it_hands_on() {
    let Some(story) = Story::begin().await else { return };
    let labels = "--update-labels ^,^managed-by=github-actions,commit-sha=4f6a1c2";
    let place = "--region us-central1 --project demo-project";
    let service = story.json(&format!("run deploy web --image gcr.io/p/app:1 {labels} {place}")).await;
    let url = service["status"]["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert_eq!(service["metadata"]["labels"]["managed-by"], "github-actions");
    let line = format!(
        "run deploy web --image gcr.io/p/app:2 --update-env-vars A=1 --tag candidate --no-traffic --timeout 120 {labels} {place}"
    );
    let service = story.json(&line).await;
    let tag = tag_url(&service, "candidate");
    assert_ne!(tag, url);
    // After a move of traffic it looks for the first `urls`, and else takes the service's.
    let moved = story.json(&format!("run services update-traffic web --to-tags candidate=100 {place}")).await;
    assert!(moved.to_string().contains(&tag), "{moved}");
    let newest = service["status"]["latestReadyRevisionName"].as_str().unwrap();
    let moved =
        story.json(&format!("run services update-traffic web --to-revisions {newest}=100 {place}")).await;
    assert!(moved.to_string().contains(newest), "{moved}");
    let file = story.file(
        "service.yaml",
        "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  template:\n    spec:\n      \
         containers:\n      - image: gcr.io/p/app:3\n",
    );
    let replaced = story.json(&format!("run services replace {file} {place}")).await;
    assert_eq!(replaced["status"]["url"], url);
}

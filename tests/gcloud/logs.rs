//! `gcloud logging` and `gcloud run services logs`.

use super::support::{Story, status_of};

#[tokio::test]
async fn entries_are_read_filtered_and_written() {
    let Some(story) = Story::begin().await else { return };
    story.good("run deploy web --image app:1 --allow-unauthenticated").await;
    let url = story.json("run services describe web").await["status"]["url"].as_str().unwrap().to_owned();
    assert_eq!(status_of(&format!("{url}/one")).await, status_of(&format!("{url}/one")).await);
    let service = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"web\"";
    let requests =
        format!("{service} AND logName=\"projects/demo-project/logs/run.googleapis.com%2Frequests\"");
    let found = story.json(&format!("logging read '{requests}'")).await;
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert_eq!(found[0]["httpRequest"]["requestUrl"], format!("{url}/one"));
    assert_eq!(
        story.json(&format!("logging read '{requests}' --limit 1")).await.as_array().unwrap().len(),
        1
    );
    let none = story.json(&format!("logging read '{service} AND severity>=CRITICAL' --freshness 1h")).await;
    assert_eq!(none, serde_json::json!([]));
    let lines = story.run("run services logs read web --limit 20").await.out;
    assert_eq!(
        lines.matches(&format!("GET {} {url}/one", 200)).count() + lines.matches("GET 404").count(),
        2,
        "{lines}"
    );

    story.good("logging write deploys 'web was gated' --severity=NOTICE").await;
    let written = story.json("logging read 'logName:deploys AND severity=NOTICE'").await;
    assert_eq!(written[0]["textPayload"], "web was gated");
    assert!(story.good("logging logs list").await.contains("projects/demo-project/logs/deploys"));
    let quoted =
        "resource.labels.\"service_name\"=\"web\" AND httpRequest:* AND httpRequest.latency<\"600s\"";
    assert_eq!(story.json(&format!("logging read '{quoted}'")).await.as_array().unwrap().len(), 2);
    story.good("logging logs delete deploys").await;
    assert!(!story.good("logging logs list").await.contains("logs/deploys"));
    let said = story.bad("logging read 'severity>=LOUD'").await;
    assert!(said.contains("INVALID_ARGUMENT"), "{said}");
}

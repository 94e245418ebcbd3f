//! IAM policies.

use super::support::Story;

#[tokio::test]
async fn bindings_are_read_added_and_removed() {
    let Some(story) = Story::begin().await else { return };
    story.good("run deploy web --image app:1").await;
    assert_eq!(story.json("run services get-iam-policy web").await.get("bindings"), None);
    let binding = "--member=serviceAccount:ci@demo-project.iam.gserviceaccount.com --role=roles/run.invoker";
    let policy = story.json(&format!("run services add-iam-policy-binding web {binding}")).await;
    assert_eq!(policy["bindings"][0]["role"], "roles/run.invoker");
    let public = "--member=allUsers --role=roles/run.invoker";
    let policy = story.json(&format!("run services add-iam-policy-binding web {public}")).await;
    assert_eq!(policy["bindings"][0]["members"].as_array().unwrap().len(), 2);
    story.good(&format!("run services remove-iam-policy-binding web {binding}")).await;
    let policy = story.json("run services get-iam-policy web").await;
    assert_eq!(
        policy["bindings"],
        serde_json::json!([{"members": ["allUsers"], "role": "roles/run.invoker"}])
    );
    let stale = policy.to_string();
    story.good(&format!("run services remove-iam-policy-binding web {public}")).await;
    let file = story.file("policy.json", &stale);
    let said = story.bad(&format!("run services set-iam-policy web {file}")).await;
    assert!(said.contains("There were concurrent policy changes."), "{said}");
    let said =
        story.bad("run services add-iam-policy-binding web --member=nobody --role=roles/run.invoker").await;
    assert!(said.contains("nobody"), "{said}");
    story.good("run deploy web --image app:2 --allow-unauthenticated").await;
    let policy = story.json("run services get-iam-policy web").await;
    assert_eq!(policy["bindings"][0]["members"], serde_json::json!(["allUsers"]));
}

#[tokio::test]
async fn what_the_emulator_denies_is_told_in_googles_words() {
    let Some(story) = Story::begin().await else { return };
    story.good("run deploy web --image app:1 --revision-suffix a").await;
    let mut faults = story.emulator.faults();
    faults.denied_permissions = vec!["run.services.update".to_owned()];
    story.emulator.set_faults(faults);
    let said = story.bad("run services update-traffic web --to-latest").await;
    let due = "PERMISSION_DENIED: Permission 'run.services.update' denied on resource 'namespaces/demo-project/services/web' \
               (or resource may not exist).";
    assert!(said.contains(due), "{said}");
    story.emulator.set_faults(revgate::emulator::Faults::default());
    let said = story.bad("run deploy web --image app:1 --region europe-west1").await;
    assert!(said.contains("revgate emulator --project demo-project --region europe-west1"), "{said}");
    assert_eq!(story.json("run regions list").await[0]["locationId"], "us-central1");
    assert_eq!(story.json("projects list").await[0]["projectId"], "demo-project");
    let said = story.bad("run services list --project other").await;
    assert!(said.contains("Permission 'run.services.list' denied on resource"), "{said}");
    let said = story.bad("run deploy web --image app:1 --project other").await;
    assert!(said.contains("start: revgate emulator --project other"), "it says what to do: {said}");
    let said = story.bad("run jobs describe nightly").await;
    assert!(said.contains("The emulator does not serve GET"), "it says nothing of a job: {said}");
}

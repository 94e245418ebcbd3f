//! A plain shell, and what `revgate emulator env` prints into it.

use super::support::Story;

#[tokio::test]
async fn a_shell_needs_one_line_and_can_take_it_back() {
    let Some(story) = Story::begin().await else { return };
    story.good("run deploy web --image app:1").await;
    let port = story.emulator.api_endpoint().rsplit(':').next().unwrap().to_owned();
    let line = format!(
        "eval \"$(revgate emulator env --port {port})\" && gcloud run services list --format='value(name)'"
    );
    let ran = story.plain_shell(&line).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "web\n"), "{}", ran.err);
    let line = format!(
        "eval \"$(revgate emulator env --port {port})\" && eval \"$(revgate emulator env --unset)\" && env | grep -c -E 'CLOUDSDK|REVGATE'"
    );
    assert_eq!(story.plain_shell(&line).await.out, "0\n");
    story.good("services enable run.googleapis.com").await;
    assert!(story.good("services list --enabled").await.contains("run.googleapis.com"));
    assert_eq!(
        story.good("projects describe demo-project --format=value(projectNumber)").await,
        "123456789012\n"
    );
    // Before the emulator is there, the variables are printed all the same.
    let ran = story.plain_shell("revgate emulator env --port 1 --project other | grep -c other").await;
    assert_eq!(ran.out, "3\n");
    assert!(ran.err.contains("no emulator answers at http://127.0.0.1:1 yet"), "{}", ran.err);
}

#[tokio::test]
async fn an_api_that_nobody_overrode_is_refused_at_once_and_never_reached() {
    let Some(story) = Story::begin().await else { return };
    let said = story.bad("secrets list").await;
    assert!(said.contains("Tunnel connection failed: 400"), "{said}");
}

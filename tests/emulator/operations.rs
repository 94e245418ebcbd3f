//! Operations whose service, or whose own record, is gone before they end.

use std::time::Duration;

use revgate::emulator::{Behaviour, Emulator, EmulatorOptions};
use serde_json::{Value, json};

use super::{
    state::{VERSION_1, end, kept_in, start},
    support::{call, eventually, faults, get, named, options, sample, settled, tagged, two, with},
};

/// The path of an operation that a write was answered with.
fn of(begun: &(u16, Value)) -> String {
    assert_eq!(begun.0, 200, "{begun:?}");
    format!("operations/{}", begun.1["name"].as_str().unwrap().rsplit('/').next().unwrap())
}

async fn waited(emulator: &Emulator, operation: &str) -> Value {
    call(emulator, "POST", &format!("{operation}:wait"), Some(json!({}))).await.1
}

fn shop() -> Value {
    json!({"template": {"containers": [{"image": "r/p/a"}]}})
}

#[tokio::test]
async fn a_deletion_that_was_forgotten_is_carried_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (_, quick) = kept_in(&folder);
    let first = start(&EmulatorOptions { pace: Duration::from_hours(1), ..quick.clone() }).await;
    call(&first, "POST", "services?serviceId=shop", Some(shop())).await;
    let deleting = of(&call(&first, "DELETE", "services/shop", None).await);
    assert_eq!(call(&first, "DELETE", &deleting, None).await.0, 200);
    for method in ["GET", "DELETE"] {
        assert_eq!(call(&first, method, &deleting, None).await.0, 404, "{method}");
    }
    let listed = get(&first, "operations").await;
    assert_eq!(listed["operations"].as_array().unwrap().len(), 1, "the creation: {listed}");
    end(first).await;
    let second = start(&quick).await;
    eventually("it is gone", || async { call(&second, "GET", "services/shop", None).await.0 == 404 }).await;
    assert_eq!(call(&second, "GET", &deleting, None).await.0, 404);
    end(second).await;
}

#[tokio::test]
async fn what_was_meant_for_a_service_that_is_gone_ends_and_leaves_another_of_its_name_alone() {
    let mut state: Value = serde_json::from_str(VERSION_1).unwrap();
    let works = [json!("delete-service"), json!({"delete-revision": "demo-a"})];
    for (id, work) in works.iter().enumerate() {
        let operation = json!({
            "id": id.to_string(), "service": "demo", "uid": "another", "work": work, "done": false, "error": null, "last": null,
        });
        state["operations"].as_array_mut().unwrap().push(operation);
    }
    let folder = tempfile::tempdir().unwrap();
    let (file, options) = kept_in(&folder);
    std::fs::write(file, state.to_string()).unwrap();
    let emulator = start(&options).await;
    for id in 0..works.len() {
        let ended = waited(&emulator, &format!("operations/{id}")).await;
        assert_eq!((&ended["done"], &ended["metadata"]), (&json!(true), &Value::Null), "{ended}");
    }
    get(&emulator, "services/demo/revisions/demo-a").await;
    end(emulator).await;
}

#[tokio::test]
async fn a_write_that_a_deletion_has_overtaken_does_not_end_as_its_successors() {
    let emulator = with(options(), vec![]).await;
    faults(&emulator, |faults| faults.pending_for = Duration::MAX);
    let writing = of(&call(&emulator, "POST", "services?serviceId=shop", Some(shop())).await);
    let deleting = of(&call(&emulator, "DELETE", "services/shop", None).await);
    assert_eq!(waited(&emulator, &deleting).await["done"], true);
    faults(&emulator, |faults| faults.pending_for = Duration::ZERO);
    call(&emulator, "POST", "services?serviceId=shop", Some(shop())).await;
    settled(&emulator).await;
    assert_eq!(waited(&emulator, &writing).await["done"], true);
    let url = format!("{}/v1/projects/demo-project/locations/us-central1/{writing}", emulator.api_endpoint());
    let of_v1: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(of_v1["error"]["message"], "Resource 'shop' was deleted.", "{of_v1}");
}

#[tokio::test]
async fn a_deployment_that_is_refused_leaves_nothing() {
    let emulator = two().await;
    let before = get(&emulator, "services/demo").await;
    let refused = tagged("No Label", named("demo-c", sample(Behaviour::Fixed)));
    let error = emulator.deploy(refused).await.unwrap_err();
    assert!(error.to_string().contains("'No Label'"), "{error}");
    assert_eq!(get(&emulator, "services/demo").await, before);
    assert_eq!(call(&emulator, "GET", "services/demo/revisions/demo-c", None).await.0, 404);
    settled(&emulator).await;
}

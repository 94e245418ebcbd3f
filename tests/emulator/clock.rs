//! What does not go by the emulator's clock, however far that is ahead.

use jsonwebtoken::{EncodingKey, Header, encode};

use revgate::emulator::{Deployment, SampleBackend, Workload};
use serde_json::json;

use super::{
    state::{end, json_of, kept_in, start},
    support::{faults, open_with, settled},
};

#[tokio::test]
async fn tokens_expire_by_the_clock_of_those_who_make_them() {
    let folder = tempfile::tempdir().unwrap();
    let (file, options) = kept_in(&folder);
    let secure = SampleBackend { jwt_secret: Some("a secret".to_owned()), ..SampleBackend::default() };
    let first = start(&options).await;
    first.deploy(Deployment::new(Workload::Sample(secure))).await.unwrap();
    settled(&first).await;
    end(first).await;
    // As a faster clock leaves it.
    let mut state = json_of(&file);
    state["latest"] = json!("2027-11-23T20:28:12Z");
    std::fs::write(&file, state.to_string()).unwrap();

    let emulator = start(&options).await;
    let url = emulator.service_url().unwrap();
    let token = |audience: &str| {
        let expires = options.started_at.as_second() + 600;
        let claims = json!({"sub": "ann", "aud": audience, "exp": expires});
        encode(&Header::default(), &claims, &EncodingKey::from_secret(b"a secret")).unwrap()
    };
    let for_container = format!("Bearer {}", token("anybody"));
    let for_platform = format!("Bearer {}", token(&url));
    let container = ("authorization", for_container.as_str());
    open_with(&url, "/ws", &[container]).await.expect("the container takes it");
    faults(&emulator, |faults| faults.private = true);
    let platform = ("x-serverless-authorization", for_platform.as_str());
    open_with(&url, "/ws", &[container, platform]).await.expect("the platform takes it");
    end(emulator).await;
}

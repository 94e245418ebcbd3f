//! Is an ID token one for this service?
//!
//! Takes the token and gives yes or no: it must be a JWT that has not expired and whose audience is one of the service's
//! addresses or custom audiences. It never looks at the signature, since nobody but Google can make one that Google's
//! keys verify; and a token made by hand is what a rehearsal needs. The surprising rule: the audience of `gcloud auth
//! print-identity-token` is good for every service, as on Cloud Run.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::Value;

use super::hosts::Zone;
use crate::emulator::{model::Service, state::World};

/// The audience of the tokens of people who are logged in to gcloud.
const GCLOUD: &str = "32555940559.apps.googleusercontent.com";

/// The audiences that a service accepts.
pub(crate) fn audiences(world: &World, service: &Service) -> Vec<String> {
    let zone = Zone { project: &world.options.project, region: &world.options.region };
    let custom = service.annotations.get("run.googleapis.com/custom-audiences").and_then(Value::as_str);
    let custom = custom.and_then(|list| serde_json::from_str::<Vec<String>>(list).ok());
    let own = [
        format!("http://127.0.0.1:{}", service.port),
        format!("https://{}", zone.hashed(&service.name, None)),
        format!("https://{}", zone.numbered(&service.name, None)),
        GCLOUD.to_owned(),
    ];
    own.into_iter().chain(custom.unwrap_or_default()).collect()
}

/// Whether a token is for one of `audiences` at this time.
pub(crate) fn is_for(token: &str, audiences: &[String], now: Timestamp) -> bool {
    claims(token).is_some_and(|claims| {
        let expires = claims.get("exp").and_then(Value::as_i64).unwrap_or(0);
        let named = match claims.get("aud") {
            Some(Value::Array(named)) => named.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(named)) => vec![named.as_str()],
            _ => Vec::new(),
        };
        let meant = |name: &str| audiences.iter().any(|known| known == name.trim_end_matches('/'));
        expires > now.as_second() && named.into_iter().any(meant)
    })
}

fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn audience_and_time_decide() {
        let now: Timestamp = "2026-11-23T20:28:12Z".parse().unwrap();
        let known = ["https://demo.run.app".to_owned()];
        let token = |claims: Value| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let later = now.as_second() + 60;
        for (claims, due) in [
            (json!({"aud": "https://demo.run.app", "exp": later}), true),
            (json!({"aud": ["x", "https://demo.run.app/"], "exp": later}), true),
            (json!({"aud": "https://other.run.app", "exp": later}), false),
            (json!({"aud": "https://demo.run.app", "exp": later - 60}), false),
            (json!({"exp": later}), false),
        ] {
            assert_eq!(is_for(&token(claims.clone()), &known, now), due, "{claims}");
        }
        assert!(!is_for("opaque", &known, now));
    }
}

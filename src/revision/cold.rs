//! Which cold starts does the specification of a revision make possible?
//!
//! Takes a revision and gives one remark. It opens nothing. The surprising rule: the platform's own start-up probe is a
//! TCP connect and passes as soon as the port is bound, so that the specification alone shows that sockets may come
//! before the application is ready.

use crate::cloudrun::wire::Revision;
use crate::trust::one_line;

/// What may happen when an instance starts.
pub fn cold_start(revision: &Revision) -> String {
    let probe = revision.containers.iter().find_map(|container| container.startup_probe.as_ref());
    let when = match probe {
        Some(probe) if probe.grpc.is_some() => "a gRPC health check: sockets come once it says so".to_owned(),
        Some(probe) => match &probe.http_get {
            Some(get) => {
                let path = if get.path.is_empty() { "/" } else { &get.path };
                format!("GET {}: sockets come once it is answered", one_line(path))
            }
            None => tcp(),
        },
        None => tcp(),
    };
    let kept = revision.scaling.min_instance_count.max(0);
    format!("cold starts: {kept} instances are kept, the start-up probe is {when}")
}

fn tcp() -> String {
    "a TCP connect: sockets may come as soon as the port is bound, before the application is ready".to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(containers: &serde_json::Value) -> String {
        let revision = json!({ "name": "projects/p/locations/l/services/s/revisions/s-1", "uid": "u",
            "containers": containers, "scaling": { "minInstanceCount": 1 } });
        cold_start(&serde_json::from_value(revision).unwrap())
    }

    #[test]
    fn the_default_probe_lets_sockets_in_before_the_application_is_ready() {
        for containers in
            [json!([]), json!([{}]), json!([{ "startupProbe": { "tcpSocket": { "port": 8080 } } }])]
        {
            assert!(said(&containers).contains("as soon as the port is bound"), "{containers}");
        }
        let http = json!([{ "startupProbe": { "httpGet": { "path": "/ready" } } }]);
        assert_eq!(
            said(&http),
            "cold starts: 1 instances are kept, the start-up probe is GET /ready: sockets come once it is answered"
        );
        assert!(said(&json!([{ "startupProbe": { "grpc": {} } }])).contains("gRPC"));
    }
}

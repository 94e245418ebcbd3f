//! Can the service be reached from here at all?
//!
//! Takes a service and gives nothing, or the setting that makes its run.app addresses unreachable. It sends nothing.
//! The surprising rule: this is asked before the first probe, since Google answers such requests with a 404 of its own
//! and writes no log entry, which would look like a broken revision.

use crate::cloudrun::wire::{Ingress, Service};
use crate::config::ServiceName;

use super::command;

/// Why the run.app addresses cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// The ingress setting keeps requests from outside away.
    #[error(
        "{service} takes requests from {from} (ingress {setting}), so its run.app address answers 404 here"
    )]
    Ingress {
        /// The setting's value, as gcloud writes it.
        setting: &'static str,
        /// Who may send requests.
        from: &'static str,
        /// The service.
        service: ServiceName,
    },
    /// The run.app addresses are switched off.
    #[error("the run.app addresses of {service} are switched off")]
    DefaultUriDisabled {
        /// The service.
        service: ServiceName,
    },
    /// Identity-Aware Proxy stands in front.
    #[error("Identity-Aware Proxy stands in front of {service} and answers in its place")]
    Proxy {
        /// The service.
        service: ServiceName,
    },
    /// The API names no address.
    #[error("the API names no address for {service}")]
    NoAddress {
        /// The service.
        service: ServiceName,
    },
}

impl Unreachable {
    /// What to type next.
    pub fn help(&self) -> String {
        match self {
            Self::Ingress { service, .. } => format!(
                "probe through the load balancer, or run this inside the network: {}",
                command::check(service, &["--url", "wss://YOUR-LOAD-BALANCER"])
            ),
            Self::DefaultUriDisabled { service } => {
                format!(
                    "probe through the load balancer: {}; or switch them on: {}",
                    command::check(service, &["--url", "wss://YOUR-LOAD-BALANCER"]),
                    command::gcloud_run(service, &["services", "update", &service.service, "--default-url"])
                )
            }
            Self::Proxy { service } => format!(
                "revgate cannot sign in to Identity-Aware Proxy; see how it is set: {}",
                command::describe(service)
            ),
            Self::NoAddress { service } => {
                format!("see whether its deployment has ended: {}", command::describe(service))
            }
        }
    }
}

/// Whether the service's run.app addresses can be reached from outside.
///
/// # Errors
/// The first setting that keeps requests away.
pub fn reachable(service: &Service) -> Result<(), Unreachable> {
    let name = || service.service_name();
    let ingress = |setting, from| Err(Unreachable::Ingress { setting, from, service: name() });
    match &service.ingress {
        Ingress::InternalOnly => return ingress("internal", "its own networks only"),
        Ingress::InternalLoadBalancer => {
            return ingress("internal-and-cloud-load-balancing", "its own networks and load balancers only");
        }
        Ingress::None => return ingress("none", "nobody"),
        Ingress::All | Ingress::Unspecified | Ingress::Other(_) => {}
    }
    if service.default_uri_disabled {
        return Err(Unreachable::DefaultUriDisabled { service: name() });
    }
    if service.iap_enabled {
        return Err(Unreachable::Proxy { service: name() });
    }
    if service.uri.is_none() {
        return Err(Unreachable::NoAddress { service: name() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::{Value, json};

    use super::*;

    fn service(extra: Value) -> Service {
        let mut raw = json!({"name": "projects/p/locations/l/services/s", "uri": "https://s-x-ew.a.run.app"});
        if let (Some(raw), Value::Object(extra)) = (raw.as_object_mut(), extra) {
            raw.extend(extra);
        }
        Service::deserialize(raw).unwrap()
    }

    #[test]
    fn names_the_setting_and_the_way_round_it() {
        assert_eq!(reachable(&service(json!({"ingress": "INGRESS_TRAFFIC_ALL"}))), Ok(()));
        assert_eq!(reachable(&service(json!({}))), Ok(()));
        let error = reachable(&service(json!({"ingress": 2}))).unwrap_err();
        assert!(error.to_string().contains("ingress internal)"));
        assert!(
            error
                .help()
                .contains("revgate check --project p --region l --service s --url wss://YOUR-LOAD-BALANCER")
        );
        let off = reachable(&service(json!({"defaultUriDisabled": true}))).unwrap_err();
        assert!(off.help().contains("gcloud run services update s --default-url --region l --project p"));
        assert!(matches!(reachable(&service(json!({"iapEnabled": true}))), Err(Unreachable::Proxy { .. })));
        assert!(matches!(reachable(&Service::default()), Err(Unreachable::NoAddress { .. })));
    }
}

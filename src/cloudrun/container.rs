//! The containers of a revision, as the API tells them.

use serde::Deserialize;

use super::lenient;

/// A container as it was asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Image, by tag or by digest.
    #[serde(deserialize_with = "lenient::name")]
    pub image: String,
    /// How the platform finds out that it has started; `None`: by a TCP connect.
    pub startup_probe: Option<StartupProbe>,
}

/// How the platform finds out that a container has started. Source: `google.cloud.run.v2.Probe`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StartupProbe {
    /// By an HTTP request.
    pub http_get: Option<HttpGet>,
    /// By a gRPC health check; what it holds does not matter here.
    pub grpc: Option<serde::de::IgnoredAny>,
}

/// The HTTP request of a probe.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpGet {
    /// Its path; empty: `/`.
    #[serde(deserialize_with = "lenient::name")]
    pub path: String,
}

/// A container as it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// Image by digest.
    #[serde(deserialize_with = "lenient::name")]
    pub image_digest: String,
}

//! The members that v2 knows.
//!
//! A write with another one is refused, and a read shows no other one: what v1 alone knows is not in v2.
//!
//! Source: Google's public protos, google/cloud/run/v2, and the discovery document of run v2, revision 20261031.

/// Those of a Service.
pub(crate) const SERVICE: [&str; 41] = [
    "name",
    "description",
    "uid",
    "generation",
    "labels",
    "annotations",
    "createTime",
    "updateTime",
    "deleteTime",
    "expireTime",
    "creator",
    "lastModifier",
    "client",
    "clientVersion",
    "ingress",
    "launchStage",
    "binaryAuthorization",
    "template",
    "traffic",
    "scaling",
    "invokerIamDisabled",
    "defaultUriDisabled",
    "urls",
    "iapEnabled",
    "multiRegionSettings",
    "customAudiences",
    "observedGeneration",
    "terminalCondition",
    "conditions",
    "latestReadyRevision",
    "latestCreatedRevision",
    "trafficStatuses",
    "uri",
    "satisfiesPzs",
    "threatDetectionEnabled",
    "buildConfig",
    "reconciling",
    "etag",
    "functionalType",
    "sshEnabled",
    "@type",
];

/// Those of a `RevisionTemplate`.
pub(crate) const TEMPLATE: [&str; 24] = [
    "revision",
    "labels",
    "annotations",
    "scaling",
    "vpcAccess",
    "timeout",
    "serviceAccount",
    "containers",
    "volumes",
    "executionEnvironment",
    "encryptionKey",
    "maxInstanceRequestConcurrency",
    "serviceMesh",
    "encryptionKeyRevocationAction",
    "encryptionKeyShutdownDuration",
    "sessionAffinity",
    "healthCheckDisabled",
    "nodeSelector",
    "gpuZonalRedundancyDisabled",
    "client",
    "clientVersion",
    "ambientNetworking",
    "sandboxes",
    "workloadIdentityConfig",
];

/// Those of a Container.
pub(crate) const CONTAINER: [&str; 18] = [
    "name",
    "image",
    "sourceCode",
    "command",
    "args",
    "env",
    "resources",
    "ports",
    "volumeMounts",
    "workingDir",
    "livenessProbe",
    "startupProbe",
    "readinessProbe",
    "dependsOn",
    "baseImageUri",
    "buildInfo",
    "buildConfig",
    "sandboxLauncher",
];

/// Those of a `TrafficTarget`.
pub(crate) const TARGET: [&str; 4] = ["type", "revision", "percent", "tag"];

/// Maps of the user's own words, whose names are no members.
pub(crate) const WORDS: [&str; 5] =
    ["labels", "annotations", "limits", "nodeSelector", "environmentVariables"];

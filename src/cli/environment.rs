//! What must a shell know to reach the emulator?
//!
//! Takes a port, gives variables: for gcloud, for Google's client libraries and for revgate itself. It asks the emulator
//! on that port for its project and region, and says so on standard error when none answers. The surprising rule: the
//! emulator is gcloud's HTTP proxy too, since gcloud puts the region before the host of an endpoint and such a name
//! leads nowhere; a proxy is handed the name instead of having it looked up.

use std::io::Write as _;
use std::time::Duration;

use clap::ArgMatches;
use serde_json::Value;

use super::emulator::{USUAL_PORT, port};
use super::input;
use super::output::{Failure, print};
use crate::emulator::{PROJECT, REGION};
use crate::exit::Exit;

/// How long the emulator may take to answer; it is on this machine.
const PATIENCE: Duration = Duration::from_secs(3);

/// Prints the variables.
pub(super) async fn run(matches: &ArgMatches) -> Result<Exit, Failure> {
    let port = port(matches)?.unwrap_or(USUAL_PORT);
    if matches.get_flag("unset") {
        let names = variables(port, (PROJECT, REGION)).into_iter().map(|(name, _)| format!("unset {name}\n"));
        print(&names.collect::<String>());
        return Ok(Exit::Success);
    }
    let about = about(port).await;
    if about.is_none() {
        let _ = writeln!(
            anstream::stderr(),
            "note: no emulator answers at http://127.0.0.1:{port} yet; start one: revgate emulator --port {port}"
        );
    }
    let told = |key: &str, default: &str| {
        let asked = about.as_ref().and_then(|about| about.get(key)?.as_str().map(str::to_owned));
        asked.or_else(|| input::text(matches, key)).unwrap_or_else(|| default.to_owned())
    };
    let (project, region) = (told("project", PROJECT), told("region", REGION));
    let lines = variables(port, (&project, &region)).into_iter().map(|(name, value)| {
        if matches.get_flag("dotenv") {
            return format!("{name}={value}\n");
        }
        format!("export {name}={}\n", shlex::try_quote(&value).unwrap_or_default())
    });
    print(&lines.collect::<String>());
    Ok(Exit::Success)
}

/// What the emulator says of itself; `None` when none answers.
async fn about(port: u16) -> Option<Value> {
    // The proxy of the environment may be the very emulator, or none that knows this machine's loopback.
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().ok()?;
    let answer = client.get(format!("http://127.0.0.1:{port}/__emulator/about")).send().await.ok()?;
    let about: Value = answer.json().await.ok()?;
    (about.get("emulator")?.as_str()? == "revgate").then_some(about)
}

/// The variables, each with its value; an empty one takes another's effect away.
fn variables(port: u16, (project, region): (&str, &str)) -> Vec<(&'static str, String)> {
    let endpoint = format!("http://127.0.0.1:{port}");
    // gcloud takes no override without the slash.
    let api = format!("{endpoint}/");
    let own = |text: &str| text.to_owned();
    vec![
        ("CLOUDSDK_CONFIG", configuration()),
        ("CLOUDSDK_ACTIVE_CONFIG_NAME", String::new()),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN", api.clone()),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING", api.clone()),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER", api.clone()),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_SERVICEUSAGE", api),
        ("CLOUDSDK_PROXY_TYPE", own("http")),
        ("CLOUDSDK_PROXY_ADDRESS", own("127.0.0.1")),
        ("CLOUDSDK_PROXY_PORT", port.to_string()),
        // No account of the user's goes anywhere: the emulator takes any token.
        ("CLOUDSDK_AUTH_ACCESS_TOKEN", own("emulator")),
        ("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", String::new()),
        ("CLOUDSDK_CORE_PROJECT", own(project)),
        ("CLOUDSDK_RUN_REGION", own(region)),
        ("CLOUDSDK_CORE_DISABLE_PROMPTS", own("1")),
        ("CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API", own("false")),
        ("CLOUDSDK_CORE_CHECK_GCE_METADATA", own("false")),
        ("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", own("1")),
        ("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", own("1")),
        ("GOOGLE_CLOUD_PROJECT", own(project)),
        // The Python client of Cloud Logging then speaks REST.
        ("GOOGLE_CLOUD_DISABLE_GRPC", own("true")),
        ("REVGATE_API_ENDPOINT", endpoint),
        ("REVGATE_PROJECT", own(project)),
        ("REVGATE_REGION", own(region)),
    ]
}

/// A folder of gcloud's own beside the user's: nothing that is configured there is used, or changed.
fn configuration() -> String {
    let home = || input::environment("HOME").map(|home| format!("{home}/.cache"));
    let cache = input::environment("XDG_CACHE_HOME").or_else(home).unwrap_or_else(|| "/tmp".to_owned());
    format!("{cache}/revgate/gcloud")
}

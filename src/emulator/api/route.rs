//! Which call is it?
//!
//! Method, host and path in, a call out. A plain function over segments: the custom verbs after a colon (`:wait`) do not
//! fit the patterns of a router. The surprising rule: v1 has its region in the host's name alone, and where the host
//! names none it is the emulator's own.

/// A call of one of the APIs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Which API.
    pub(crate) api: Api,
    /// The project in the path: its id, or its number.
    pub(crate) project: String,
    /// The region in the path or the host; `-` is any.
    pub(crate) region: String,
    /// What is asked.
    pub(crate) verb: Verb,
}

/// The two APIs of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    /// Knative's, which gcloud uses.
    V1,
    /// Google's own.
    V2,
}

/// What a call asks for; the strings are short names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verb {
    /// GET services
    ListServices,
    /// POST services
    CreateService,
    /// GET services/S
    GetService(String),
    /// PATCH services/S, or PUT in v1
    UpdateService(String),
    /// DELETE services/S
    DeleteService(String),
    /// GET services/S/revisions; v1 has revisions without a service, as `-`
    ListRevisions(String),
    /// GET services/S/revisions/R
    GetRevision(String, String),
    /// DELETE services/S/revisions/R
    DeleteRevision(String, String),
    /// GET services/S:getIamPolicy
    GetIamPolicy(String),
    /// POST services/S:setIamPolicy
    SetIamPolicy(String),
    /// POST services/S:testIamPermissions
    TestIamPermissions(String),
    /// GET operations/ID
    GetOperation(String),
    /// POST operations/ID:wait
    WaitOperation(String),
    /// GET operations
    ListOperations,
    /// DELETE operations/ID
    DeleteOperation(String),
    /// GET /v1/projects/P/locations
    ListLocations,
    /// GET /v1/projects
    ListProjects,
    /// GET /v1/projects/P
    GetProject,
    /// GET /v1/projects/P/services/A
    GetUsage(String),
    /// GET /v1/projects/P/services
    ListUsage,
    /// POST /v1/projects/P/services/A:enable, or services:batchEnable
    Enable,
    /// POST entries:list, which names its projects in the body
    ListEntries,
    /// POST entries:write
    WriteEntries,
    /// GET /v2/projects/P/logs
    ListLogs,
    /// DELETE /v2/projects/P/logs/L
    DeleteLog(String),
}

/// Where v1 has what Knative knows.
const KNATIVE: &str = "/apis/serving.knative.dev/v1/namespaces/";
/// In place of a service or a region: any.
const ANY: &str = "-";

/// The call behind a method, a host and a path.
pub(crate) fn parse(method: &str, host: &str, path: &str) -> Option<Call> {
    let made = |api, project: &str, region: &str, verb| {
        Some(Call { api, project: project.to_owned(), region: region.to_owned(), verb })
    };
    match (method, path) {
        ("POST", "/v2/entries:list") => return made(Api::V2, "", "", Verb::ListEntries),
        ("POST", "/v2/entries:write") => return made(Api::V2, "", "", Verb::WriteEntries),
        ("GET", "/v1/projects") => return made(Api::V1, "", ANY, Verb::ListProjects),
        _ => {}
    }
    let region = region_of(host).unwrap_or(ANY);
    if let Some(path) = path.strip_prefix(KNATIVE) {
        let segments: Vec<&str> = path.split('/').collect();
        let [project, rest @ ..] = segments.as_slice() else { return None };
        return made(Api::V1, project, region, collection(Api::V1, method, rest)?);
    }
    let (api, path) = match path.strip_prefix("/v2/projects/") {
        Some(path) => (Api::V2, path),
        None => (Api::V1, path.strip_prefix("/v1/projects/")?),
    };
    let segments: Vec<&str> = path.split('/').collect();
    match (api, segments.as_slice()) {
        (_, [project, "locations", region, rest @ ..]) if !rest.is_empty() => {
            made(api, project, region, collection(api, method, rest)?)
        }
        (Api::V2, [project, "logs"]) if method == "GET" => made(api, project, ANY, Verb::ListLogs),
        (Api::V2, [project, "logs", log]) if method == "DELETE" => {
            made(api, project, ANY, Verb::DeleteLog((*log).to_owned()))
        }
        (Api::V1, [project, "locations"]) if method == "GET" => made(api, project, ANY, Verb::ListLocations),
        (Api::V1, [project, "services", name]) if method == "GET" => {
            made(api, project, ANY, Verb::GetUsage((*name).to_owned()))
        }
        (Api::V1, [project, "services"]) if method == "GET" => made(api, project, ANY, Verb::ListUsage),
        (Api::V1, [project, "services:batchEnable"]) if method == "POST" => {
            made(api, project, ANY, Verb::Enable)
        }
        (Api::V1, [project, "services", name]) if method == "POST" && name.ends_with(":enable") => {
            made(api, project, ANY, Verb::Enable)
        }
        (Api::V1, [project]) if method == "GET" => made(api, project, ANY, Verb::GetProject),
        _ => None,
    }
}

/// The region that a host such as `us-central1-127.0.0.1` begins with.
fn region_of(host: &str) -> Option<&str> {
    let mut ends = host.match_indices('-').map(|(at, _)| at);
    let (_, end) = (ends.next()?, ends.next()?);
    let region = &host[..end];
    let (area, number) = region.split_at(region.find(|c: char| c.is_ascii_digit())?);
    let fits = area.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        && number.chars().all(|c| c.is_ascii_digit());
    fits.then_some(region)
}

/// What is asked of the collections below a project or a location.
fn collection(api: Api, method: &str, rest: &[&str]) -> Option<Verb> {
    let own = |text: &str| text.to_owned();
    Some(match (api, method, rest) {
        (_, "GET", ["services"]) => Verb::ListServices,
        (_, "POST", ["services"]) => Verb::CreateService,
        (Api::V2, "GET", ["services", name, "revisions"]) => Verb::ListRevisions(own(name)),
        (Api::V2, "GET", ["services", name, "revisions", revision]) => {
            Verb::GetRevision(own(name), own(revision))
        }
        (Api::V2, "DELETE", ["services", name, "revisions", revision]) => {
            Verb::DeleteRevision(own(name), own(revision))
        }
        (Api::V1, "GET", ["revisions"]) => Verb::ListRevisions(own(ANY)),
        (Api::V1, "GET", ["revisions", name]) => Verb::GetRevision(own(ANY), own(name)),
        (Api::V1, "DELETE", ["revisions", name]) => Verb::DeleteRevision(own(ANY), own(name)),
        (_, _, ["services", name]) => match (api, method, name.split_once(':')) {
            (_, "GET", None) => Verb::GetService(own(name)),
            (Api::V2, "PATCH", None) | (Api::V1, "PUT", None) => Verb::UpdateService(own(name)),
            (_, "DELETE", None) => Verb::DeleteService(own(name)),
            (_, "GET", Some((name, "getIamPolicy"))) => Verb::GetIamPolicy(own(name)),
            (_, "POST", Some((name, "setIamPolicy"))) => Verb::SetIamPolicy(own(name)),
            (_, "POST", Some((name, "testIamPermissions"))) => Verb::TestIamPermissions(own(name)),
            _ => return None,
        },
        (_, "GET", ["operations"]) => Verb::ListOperations,
        (_, _, ["operations", name]) => match (method, name.split_once(':')) {
            ("GET", None) => Verb::GetOperation(own(name)),
            ("DELETE", None) => Verb::DeleteOperation(own(name)),
            ("POST", Some((name, "wait"))) => Verb::WaitOperation(own(name)),
            _ => return None,
        },
        _ => return None,
    })
}

impl Call {
    /// The call in the region that there is, where it names none.
    pub(crate) fn placed(&mut self, region: &str) -> &Self {
        if self.region == ANY {
            region.clone_into(&mut self.region);
        }
        self
    }

    /// True when it names its project in the path.
    pub(crate) fn is_in_project(&self) -> bool {
        !matches!(self.verb, Verb::ListEntries | Verb::WriteEntries | Verb::ListProjects)
    }

    /// True for a call of Cloud Run itself.
    pub(crate) fn is_of_run(&self) -> bool {
        self.is_in_project() && self.permission().is_none_or(|permission| permission.starts_with("run."))
    }

    /// The name by which faults speak of it; `run.` before it is the permission.
    pub(crate) fn method(&self) -> &'static str {
        match self.verb {
            Verb::ListServices => "services.list",
            Verb::CreateService => "services.create",
            Verb::GetService(_) => "services.get",
            Verb::UpdateService(_) => "services.update",
            Verb::DeleteService(_) => "services.delete",
            Verb::ListRevisions(_) => "revisions.list",
            Verb::GetRevision(..) => "revisions.get",
            Verb::DeleteRevision(..) => "revisions.delete",
            Verb::GetIamPolicy(_) => "services.getIamPolicy",
            Verb::SetIamPolicy(_) => "services.setIamPolicy",
            Verb::TestIamPermissions(_) => "services.testIamPermissions",
            Verb::GetOperation(_) => "operations.get",
            Verb::WaitOperation(_) => "operations.wait",
            Verb::ListOperations => "operations.list",
            Verb::DeleteOperation(_) => "operations.delete",
            Verb::ListLocations => "locations.list",
            Verb::ListProjects => "projects.list",
            Verb::GetProject => "projects.get",
            Verb::GetUsage(_) | Verb::ListUsage | Verb::Enable => "services.usage",
            Verb::ListEntries => "entries.list",
            Verb::WriteEntries => "entries.write",
            Verb::ListLogs => "logs.list",
            Verb::DeleteLog(_) => "logs.delete",
        }
    }

    /// The permission that it needs; `None` for the two calls that need none.
    pub(crate) fn permission(&self) -> Option<String> {
        let own = |name: &str| Some(name.to_owned());
        match self.verb {
            Verb::TestIamPermissions(_) | Verb::ListProjects => None,
            Verb::WaitOperation(_) => own("run.operations.get"),
            Verb::ListEntries => own("logging.logEntries.list"),
            Verb::WriteEntries => own("logging.logEntries.create"),
            Verb::ListLogs => own("logging.logs.list"),
            Verb::DeleteLog(_) => own("logging.logs.delete"),
            Verb::GetProject => own("resourcemanager.projects.get"),
            Verb::GetUsage(_) => own("serviceusage.services.get"),
            Verb::ListUsage => own("serviceusage.services.list"),
            Verb::Enable => own("serviceusage.services.enable"),
            _ => Some(format!("run.{}", self.method())),
        }
    }

    /// The permission that an error names: one that is needed to see it, where the call itself needs none.
    pub(crate) fn named_permission(&self) -> String {
        let needs_none = || match self.verb {
            Verb::ListProjects => "resourcemanager.projects.list",
            _ => "run.services.get",
        };
        self.permission().unwrap_or_else(|| needs_none().to_owned())
    }

    /// The resource that an error names.
    pub(crate) fn resource(&self) -> String {
        let location = match self.api {
            Api::V1 => format!("namespaces/{}", self.project),
            Api::V2 => format!("projects/{}/locations/{}", self.project, self.region),
        };
        match &self.verb {
            Verb::ListServices | Verb::CreateService | Verb::ListOperations => location,
            Verb::ListEntries | Verb::WriteEntries => "entries".to_owned(),
            Verb::ListProjects => "projects".to_owned(),
            Verb::DeleteLog(log) => format!("projects/{}/logs/{log}", self.project),
            Verb::ListLogs
            | Verb::GetProject
            | Verb::GetUsage(_)
            | Verb::ListUsage
            | Verb::Enable
            | Verb::ListLocations => {
                format!("projects/{}", self.project)
            }
            Verb::GetOperation(id) | Verb::WaitOperation(id) | Verb::DeleteOperation(id) => {
                format!("{location}/operations/{id}")
            }
            Verb::GetRevision(service, revision) | Verb::DeleteRevision(service, revision) => {
                match self.api {
                    Api::V1 => format!("{location}/revisions/{revision}"),
                    Api::V2 => format!("{location}/services/{service}/revisions/{revision}"),
                }
            }
            Verb::ListRevisions(_) if self.api == Api::V1 => location,
            Verb::GetService(name)
            | Verb::UpdateService(name)
            | Verb::DeleteService(name)
            | Verb::ListRevisions(name)
            | Verb::GetIamPolicy(name)
            | Verb::SetIamPolicy(name)
            | Verb::TestIamPermissions(name) => format!("{location}/services/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_after_a_colon_are_told_apart() {
        let verb = |method, tail: &str| {
            parse(method, "h", &format!("/v2/projects/p/locations/l/{tail}")).map(|call| call.verb)
        };
        assert_eq!(verb("GET", "services/s"), Some(Verb::GetService("s".into())));
        assert_eq!(verb("GET", "services/s:getIamPolicy"), Some(Verb::GetIamPolicy("s".into())));
        assert_eq!(verb("POST", "operations/o:wait"), Some(Verb::WaitOperation("o".into())));
        assert_eq!(verb("GET", "services/s/revisions/r"), Some(Verb::GetRevision("s".into(), "r".into())));
        assert_eq!(verb("POST", "services/s"), None);
        assert_eq!(verb("PUT", "services/s"), None, "v1 puts, v2 patches");
    }

    #[test]
    fn v1_has_its_region_in_the_host() {
        let call = |method, host, tail: &str| parse(method, host, &format!("{KNATIVE}{tail}"));
        let got = call("GET", "us-central1-127.0.0.1", "p/services/s").unwrap();
        assert_eq!((got.api, got.project.as_str(), got.region.as_str()), (Api::V1, "p", "us-central1"));
        assert_eq!(call("GET", "127.0.0.1", "p/services").unwrap().region, ANY);
        assert_eq!(call("GET", "my-laptop-7", "p/services").unwrap().region, ANY);
        assert_eq!(
            call("GET", "h", "7/revisions/r").unwrap().verb,
            Verb::GetRevision("-".into(), "r".into())
        );
        assert_eq!(call("PATCH", "h", "p/services/s"), None);
    }

    #[test]
    fn projects_are_asked_about_on_other_hosts_too() {
        let verb = |path| parse("GET", "h", path).map(|call| call.verb);
        assert_eq!(verb("/v1/projects/p"), Some(Verb::GetProject));
        assert_eq!(verb("/v1/projects/p/locations"), Some(Verb::ListLocations));
        assert_eq!(
            verb("/v1/projects/p/services/run.googleapis.com"),
            Some(Verb::GetUsage("run.googleapis.com".into()))
        );
        assert_eq!(verb("/v1/projects/p/locations/-/services"), Some(Verb::ListServices));
        assert_eq!(verb("/v1/projects/p/services"), Some(Verb::ListUsage));
        let enable = parse("POST", "h", "/v1/projects/p/services/run.googleapis.com:enable");
        assert_eq!(enable.map(|call| call.verb), Some(Verb::Enable));
        assert_eq!(verb("/v1/projects"), Some(Verb::ListProjects));
        assert_eq!(verb("/v1/projects/p/l"), None);
    }
}

//! Which call is it?
//!
//! Method and path in, a call out. A plain function over segments: the custom verbs after a colon (`:wait`) do not fit
//! the patterns of a router.

/// A call of the Admin API v2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The project in the path.
    pub(crate) project: String,
    /// The location in the path.
    pub(crate) region: String,
    /// What is asked.
    pub(crate) verb: Verb,
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
    /// PATCH services/S
    UpdateService(String),
    /// GET services/S/revisions
    ListRevisions(String),
    /// GET services/S/revisions/R
    GetRevision(String, String),
    /// GET services/S:getIamPolicy
    GetIamPolicy(String),
    /// POST services/S:testIamPermissions
    TestIamPermissions(String),
    /// GET operations/ID
    GetOperation(String),
    /// POST operations/ID:wait
    WaitOperation(String),
    /// POST entries:list, which names its projects in the body
    ListEntries,
}

/// The call behind a method and a path.
pub(crate) fn parse(method: &str, path: &str) -> Option<Call> {
    if (method, path) == ("POST", "/v2/entries:list") {
        return Some(Call { project: String::new(), region: String::new(), verb: Verb::ListEntries });
    }
    let segments: Vec<&str> = path.strip_prefix("/v2/projects/")?.split('/').collect();
    let [project, "locations", region, rest @ ..] = segments.as_slice() else { return None };
    let own = |text: &str| text.to_owned();
    let verb = match (method, rest) {
        ("GET", ["services"]) => Verb::ListServices,
        ("POST", ["services"]) => Verb::CreateService,
        ("GET", ["services", name, "revisions"]) => Verb::ListRevisions(own(name)),
        ("GET", ["services", name, "revisions", revision]) => Verb::GetRevision(own(name), own(revision)),
        ("PATCH", ["services", name]) => Verb::UpdateService(own(name)),
        (_, [collection @ ("services" | "operations"), name]) => {
            match (method, *collection, name.split_once(':')) {
                ("GET", "services", None) => Verb::GetService(own(name)),
                ("GET", "services", Some((name, "getIamPolicy"))) => Verb::GetIamPolicy(own(name)),
                ("POST", "services", Some((name, "testIamPermissions"))) => {
                    Verb::TestIamPermissions(own(name))
                }
                ("GET", "operations", None) => Verb::GetOperation(own(name)),
                ("POST", "operations", Some((name, "wait"))) => Verb::WaitOperation(own(name)),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(Call { project: own(project), region: own(region), verb })
}

impl Call {
    /// The name by which faults speak of it; `run.` before it is the permission.
    pub(crate) fn method(&self) -> &'static str {
        match self.verb {
            Verb::ListServices => "services.list",
            Verb::CreateService => "services.create",
            Verb::GetService(_) => "services.get",
            Verb::UpdateService(_) => "services.update",
            Verb::ListRevisions(_) => "revisions.list",
            Verb::GetRevision(..) => "revisions.get",
            Verb::GetIamPolicy(_) => "services.getIamPolicy",
            Verb::TestIamPermissions(_) => "services.testIamPermissions",
            Verb::GetOperation(_) => "operations.get",
            Verb::WaitOperation(_) => "operations.wait",
            Verb::ListEntries => "entries.list",
        }
    }

    /// The permission that it needs; `None` for the one call that needs none.
    pub(crate) fn permission(&self) -> Option<String> {
        match self.verb {
            Verb::TestIamPermissions(_) => None,
            Verb::WaitOperation(_) => Some("run.operations.get".to_owned()),
            Verb::ListEntries => Some("logging.logEntries.list".to_owned()),
            _ => Some(format!("run.{}", self.method())),
        }
    }

    /// The resource that an error names.
    pub(crate) fn resource(&self) -> String {
        let location = format!("projects/{}/locations/{}", self.project, self.region);
        match &self.verb {
            Verb::ListServices | Verb::CreateService => location,
            Verb::ListEntries => "entries".to_owned(),
            Verb::GetOperation(id) | Verb::WaitOperation(id) => format!("{location}/operations/{id}"),
            Verb::GetRevision(service, revision) => {
                format!("{location}/services/{service}/revisions/{revision}")
            }
            Verb::GetService(name)
            | Verb::UpdateService(name)
            | Verb::ListRevisions(name)
            | Verb::GetIamPolicy(name)
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
            parse(method, &format!("/v2/projects/p/locations/l/{tail}")).map(|call| call.verb)
        };
        assert_eq!(verb("GET", "services/s"), Some(Verb::GetService("s".into())));
        assert_eq!(verb("GET", "services/s:getIamPolicy"), Some(Verb::GetIamPolicy("s".into())));
        assert_eq!(verb("POST", "operations/o:wait"), Some(Verb::WaitOperation("o".into())));
        assert_eq!(verb("GET", "services/s/revisions/r"), Some(Verb::GetRevision("s".into(), "r".into())));
        assert_eq!(verb("POST", "services/s"), None);
        assert_eq!(parse("GET", "/v1/projects/p"), None);
    }
}

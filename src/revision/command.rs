//! The commands that errors and reports tell the reader to type next.
//!
//! Takes a service and names, gives one line that can be pasted into a POSIX shell. It never runs anything. The
//! surprising rule: every word is quoted where it needs to be, since names may come from an answer of a server.

use std::borrow::Cow;

use crate::config::ServiceName;

/// Joins words into one shell line; a word that no shell can take (with a NUL) is left out.
pub fn line(words: &[&str]) -> String {
    words.iter().filter_map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

/// The word as a shell takes it; quoted only where that is needed.
fn quote(word: &str) -> Option<Cow<'_, str>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:@,+".contains(c);
    let needs_none = !word.is_empty() && word.chars().all(plain);
    if needs_none { Some(word.into()) } else { shlex::try_quote(word).ok() }
}

/// `gcloud run VERB NAME … --region R --project P`.
pub fn gcloud_run(service: &ServiceName, words: &[&str]) -> String {
    let mut all = vec!["gcloud", "run"];
    all.extend(words);
    all.extend(["--region", &service.region, "--project", &service.project]);
    line(&all)
}

/// Shows the service with its traffic and conditions.
pub fn describe(service: &ServiceName) -> String {
    gcloud_run(service, &["services", "describe", &service.service])
}

/// Lists the revisions of the service.
pub fn list_revisions(service: &ServiceName) -> String {
    gcloud_run(service, &["revisions", "list", "--service", &service.service])
}

/// Changes the traffic of the service by further flags.
pub fn update_traffic(service: &ServiceName, flags: &[&str]) -> String {
    let mut words = vec!["services", "update-traffic", service.service.as_str()];
    words.extend(flags);
    gcloud_run(service, &words)
}

/// Gives `revision` all requests.
pub fn give_all(service: &ServiceName, revision: &str) -> String {
    update_traffic(service, &[&format!("--to-revisions={revision}=100")])
}

/// Adds `tag` to `revision`, without traffic.
pub fn add_tag(service: &ServiceName, tag: &str, revision: &str) -> String {
    update_traffic(service, &[&format!("--update-tags={tag}={revision}")])
}

/// Takes `tag` away.
pub fn remove_tag(service: &ServiceName, tag: &str) -> String {
    update_traffic(service, &[&format!("--remove-tags={tag}")])
}

/// Shows the requests of a revision that ended with 5xx within the last hour.
pub fn errors_of(service: &ServiceName, revision: &str) -> String {
    read_log(service, revision, "httpRequest.status>=500")
}

/// Shows what went wrong in a revision's log within the last hour.
pub fn log_of(service: &ServiceName, revision: &str) -> String {
    let system = "logName:\"varlog%2Fsystem\"";
    read_log(service, revision, &format!("(severity>=ERROR OR textPayload:\"Traceback\" OR {system})"))
}

fn read_log(service: &ServiceName, revision: &str, rest: &str) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let filter = format!(
        "resource.labels.service_name={} AND resource.labels.revision_name={} AND {rest}",
        quoted(&service.service),
        quoted(revision)
    );
    line(&["gcloud", "logging", "read", &filter, "--project", &service.project, "--freshness", "1h"])
}

/// `revgate check` on the service with further flags.
pub fn check(service: &ServiceName, flags: &[&str]) -> String {
    revgate("check", service, flags)
}

/// `revgate promote` on the service with further flags.
pub fn promote(service: &ServiceName, flags: &[&str]) -> String {
    revgate("promote", service, flags)
}

fn revgate(verb: &str, service: &ServiceName, flags: &[&str]) -> String {
    let mut words = vec!["revgate", verb, "--project", &service.project, "--region", &service.region];
    words.extend(["--service", &service.service]);
    words.extend(flags);
    line(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_a_shell_would_act_upon() {
        let service = ServiceName { project: "p".into(), region: "europe-west1".into(), service: "s".into() };
        assert_eq!(
            give_all(&service, "s-00001;rm -rf"),
            "gcloud run services update-traffic s '--to-revisions=s-00001;rm -rf=100' --region europe-west1 --project p"
        );
        let read = shlex::split(&errors_of(&service, "s-1\"")).unwrap();
        assert!(read[3].contains(r#"revision_name="s-1\"" AND"#), "{read:?}");
        assert_eq!(
            remove_tag(&service, "gate"),
            "gcloud run services update-traffic s --remove-tags=gate --region europe-west1 --project p"
        );
    }
}

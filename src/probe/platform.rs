//! Which answers come from Google's front end itself and not from the application?
//!
//! Takes status, headers and body of a refusal and gives the page of the platform's, if it is one. It never guesses
//! from the status alone: a crashed worker looks like a busy platform. The surprising rule: the front end's page for a
//! request that an instance broke off is *not* in this list, because it is the application that broke it off.
//!
//! Source of the texts: Cloud Run's troubleshooting pages and recorded answers of run.app hosts.

use serde::{Deserialize, Serialize};

/// A page that the platform serves by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlatformPage {
    /// 404: the host, a tag perhaps, is not routed (yet), or ingress forbids the way.
    NotRouted,
    /// 429 `Rate exceeded.`: all instances are busy.
    NoCapacity,
    /// 503: no instance is available yet.
    NotAvailable,
    /// 401 or 403: IAM does not let us in.
    NotAllowed,
}

impl PlatformPage {
    /// What it means, as a fragment.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotRouted => "the platform's own 404: this host is not routed",
            Self::NoCapacity => "the platform's own 429: no instance had room",
            Self::NotAvailable => "the platform's own 503: no instance is available",
            Self::NotAllowed => "the platform's own refusal: IAM does not let this caller in",
        }
    }

    /// Recognises a page by status, `server` header and body together.
    pub fn recognise(status: u16, server: Option<&str>, body: &str) -> Option<Self> {
        let from_front_end = server.is_some_and(|name| name.eq_ignore_ascii_case("Google Frontend"));
        let holds = |text: &str| body.contains(text);
        match status {
            // The page for an unknown host may lack the header: the request never reached a service.
            404 if holds("<h1>Error: Page not found</h1>") && holds("The requested URL") => {
                Some(Self::NotRouted)
            }
            404 if from_front_end && holds("<title>404") && holds("was not found on this server") => {
                Some(Self::NotRouted)
            }
            429 if from_front_end && body.trim() == "Rate exceeded." => Some(Self::NoCapacity),
            503 if from_front_end && holds("The service you requested is not available yet") => {
                Some(Self::NotAvailable)
            }
            401 | 403 if from_front_end && holds("Your client does not have permission to get URL") => {
                Some(Self::NotAllowed)
            }
            401 if from_front_end && holds("<title>401 Unauthorized</title>") => Some(Self::NotAllowed),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_alone_proves_nothing() {
        let front_end = Some("Google Frontend");
        let page = "<h1>Error: Server Error</h1>\n<h2>The service you requested is not available yet.<p>";
        assert_eq!(PlatformPage::recognise(503, front_end, page), Some(PlatformPage::NotAvailable));
        assert_eq!(PlatformPage::recognise(503, Some("uvicorn"), page), None);
        assert_eq!(PlatformPage::recognise(503, front_end, "Service Unavailable"), None);
        assert_eq!(
            PlatformPage::recognise(429, front_end, "Rate exceeded.\n"),
            Some(PlatformPage::NoCapacity)
        );
        assert_eq!(PlatformPage::recognise(429, front_end, "slow down"), None);
    }
}

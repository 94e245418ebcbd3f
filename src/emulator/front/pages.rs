//! What Google's front end says when the application says nothing.
//!
//! Gives whole HTTP answers with the headers and the HTML by which real ones are recognised. Each asks the client to
//! close, so that its next request is routed anew.

use std::fmt::Write as _;

use jiff::Timestamp;

/// What the log says of a request that no instance could take.
const NO_INSTANCE: &str = "The request was aborted because there was no available instance. Additional troubleshooting \
                           documentation can be found at: https://cloud.google.com/run/docs/troubleshooting#abort-request";
/// What the log says of a request that took too long.
const TOO_LATE: &str = "The request has been terminated because it has reached the maximum request timeout. To change \
                        this limit, see https://cloud.google.com/run/docs/configuring/request-timeout";

/// A page of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Page {
    /// No such service or tag.
    UnknownHost,
    /// A path that Google keeps for itself.
    Swallowed,
    /// The ingress setting or a disabled default URL keeps this request out.
    Ingress,
    /// No identity on a private service.
    Forbidden,
    /// An identity that is not the invoker's.
    Unauthorized,
    /// Identity-Aware Proxy wants its own token.
    Iap,
    /// The most instances are busy.
    RateExceeded,
    /// No instance could be started.
    ServerError,
    /// No ready revision, or no instance of it.
    NotAvailable,
    /// The instance closed the connection without an answer.
    Malformed,
    /// The request took too long.
    TimedOut,
    /// The request is not HTTP/1.1.
    BadRequest,
}

impl Page {
    /// The page that a status fault asks for.
    pub(crate) fn for_status(status: u16) -> Self {
        match status {
            429 => Self::RateExceeded,
            500 => Self::ServerError,
            504 => Self::TimedOut,
            _ => Self::NotAvailable,
        }
    }

    /// What the log says of it, in Cloud Run's words.
    pub(crate) fn said(&self) -> Option<&'static str> {
        match self {
            Self::RateExceeded | Self::ServerError => Some(NO_INSTANCE),
            Self::NotAvailable => {
                Some("The request failed because the instance could not start successfully.")
            }
            Self::Malformed => Some(
                "The request failed because either the HTTP response was malformed or connection to the instance \
                 had an error. Additional troubleshooting documentation can be found at: \
                 https://cloud.google.com/run/docs/troubleshooting#malformed-response-or-connection-error",
            ),
            Self::TimedOut => Some(TOO_LATE),
            Self::Forbidden => Some(
                "The request was not authenticated. Either allow unauthenticated invocations or set the proper \
                 Authorization header. Read more at https://cloud.google.com/run/docs/securing/authenticating",
            ),
            Self::Unauthorized => Some("The request was not authorized to invoke this service."),
            _ => None,
        }
    }

    /// The whole answer. `path` is named by some pages; `trace` is 32 hexadecimal digits.
    pub(crate) fn render(&self, path: &str, trace: &str, now: Timestamp) -> Vec<u8> {
        let (status, content_type, body) = self.content(path);
        let mut head = format!("HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\n");
        let _ = write!(head, "x-cloud-trace-context: {trace}\r\ndate: {}\r\n", http_date(now));
        if *self == Self::Iap {
            head.push_str("x-goog-iap-generated-response: true\r\n");
        }
        if *self == Self::Unauthorized {
            head.push_str("www-authenticate: Bearer error=\"invalid_token\"\r\n");
        }
        // What never reached the service's front end does not bear its name.
        if *self != Self::Swallowed {
            head.push_str("server: Google Frontend\r\n");
        }
        let _ = write!(head, "content-length: {}\r\n", body.len());
        head.push_str(
            "alt-svc: h3=\":443\"; ma=2592000,h3-29=\":443\"; ma=2592000\r\nconnection: close\r\n\r\n",
        );
        head.push_str(&body);
        head.into_bytes()
    }

    fn content(&self, path: &str) -> (&'static str, &'static str, String) {
        const HTML: &str = "text/html; charset=UTF-8";
        const TEXT: &str = "text/plain";
        let path = escape(path);
        match self {
            Self::UnknownHost => (
                "404 Not Found",
                HTML,
                html(
                    "404 Page not found",
                    "Page not found",
                    "The requested URL was not found on this server.",
                ),
            ),
            Self::Swallowed => {
                let said = format!("The requested URL <code>{path}</code> was not found on this server.");
                ("404 Not Found", HTML, html("Error 404 (Not Found)!!1", "Not Found", &said))
            }
            Self::Ingress => {
                let said = format!("The requested URL <code>{path}</code> was not found on this server.");
                ("404 Not Found", HTML, html("404 Not Found", "Not Found", &said))
            }
            Self::Forbidden => {
                let said = format!(
                    "Your client does not have permission to get URL <code>{path}</code> from this server."
                );
                ("403 Forbidden", HTML, html("403 Forbidden", "Forbidden", &said))
            }
            Self::Unauthorized => {
                let said =
                    format!("Your client does not have permission to the requested URL <code>{path}</code>.");
                ("401 Unauthorized", HTML, html("401 Unauthorized", "Unauthorized", &said))
            }
            Self::Iap => ("401 Unauthorized", TEXT, "Invalid IAP credentials: empty token".to_owned()),
            Self::RateExceeded => ("429 Too Many Requests", "text/html", "Rate exceeded.".to_owned()),
            Self::ServerError => {
                let said = "The server encountered an error and could not complete your request.\
                            <p>Please try again in 30 seconds.";
                ("500 Internal Server Error", HTML, html("500 Server Error", "Server Error", said))
            }
            Self::NotAvailable => {
                let said =
                    "The service you requested is not available yet.<p>Please try again in 30 seconds.";
                ("503 Service Unavailable", HTML, html("503 Server Error", "Server Error", said))
            }
            Self::Malformed => ("503 Service Unavailable", TEXT, "Service Unavailable".to_owned()),
            Self::TimedOut => ("504 Gateway Timeout", TEXT, "upstream request timeout".to_owned()),
            Self::BadRequest => {
                let said = "Your client has issued a malformed or illegal request.";
                ("400 Bad Request", HTML, html("400 Bad Request", "Bad Request", said))
            }
        }
    }
}

fn html(title: &str, error: &str, said: &str) -> String {
    format!(
        "<html><head>\n<meta http-equiv=\"content-type\" content=\"text/html;charset=utf-8\">\n\
         <title>{title}</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n<h1>Error: {error}</h1>\n\
         <h2>{said}</h2>\n<h2></h2>\n</body></html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn http_date(now: Timestamp) -> String {
    now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_whole_answer() {
        let now = "2026-11-23T20:28:12Z".parse().unwrap();
        let answer = String::from_utf8(Page::Forbidden.render("/<ws>", "0af7", now)).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\n"));
        assert!(head.contains("server: Google Frontend"));
        assert!(head.contains("date: Mon, 23 Nov 2026 20:28:12 GMT"));
        assert!(head.contains(&format!("content-length: {}", body.len())));
        assert!(body.contains("<code>/&lt;ws&gt;</code>"));
    }
}

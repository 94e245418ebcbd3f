//! Has an instance started?
//!
//! Takes a template's `startupProbe` and gives the answer of asking an address as it says: a TCP connect, or an HTTP GET
//! that is answered with 2xx or 3xx, at the times that it names. It never looks at the process. The surprising rule: an
//! attempt waits for the port to open until its own time-out, since Cloud Run's default probe is a single attempt of
//! four minutes; only an HTTP answer that is no success ends an attempt at once. A gRPC probe is asked like a TCP one.

use std::{fmt::Write as _, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::specification::number;

/// Time between two attempts to connect.
const CONNECT_EVERY: Duration = Duration::from_millis(20);
/// The times of Cloud Run's default probe.
const DEFAULT: Duration = Duration::from_mins(4);

/// The longest time that is believed; a clock cannot be set beyond its end.
const LONGEST: Duration = Duration::from_hours(24);

/// A start-up probe.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StartupProbe {
    kind: Kind,
    initial_delay: Duration,
    period: Duration,
    timeout: Duration,
    threshold: u32,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// Cloud Run's own, where a template names none.
    Default,
    Tcp,
    Http {
        path: String,
        headers: Vec<(String, String)>,
    },
}

/// How a probe ended: the number of attempts, as the log says it.
pub(crate) type Attempts = u32;

impl Default for StartupProbe {
    fn default() -> Self {
        Self {
            kind: Kind::Default,
            initial_delay: Duration::ZERO,
            period: DEFAULT,
            timeout: DEFAULT,
            threshold: 1,
        }
    }
}

impl StartupProbe {
    /// Reads a `startupProbe` of either API.
    pub(crate) fn read(probe: &Value) -> Self {
        let field = |name: &str| probe.get(name).and_then(number::<u64>).filter(|value| *value > 0);
        let seconds = |name: &str, default| Duration::from_secs(field(name).unwrap_or(default)).min(LONGEST);
        let read = Self {
            kind: kind(probe),
            initial_delay: seconds("initialDelaySeconds", 0),
            period: seconds("periodSeconds", 10),
            timeout: seconds("timeoutSeconds", 1),
            threshold: field("failureThreshold").and_then(|many| u32::try_from(many).ok()).unwrap_or(3),
        };
        // Google's own answers write the default out.
        let default = Self::default();
        if (Self { kind: Kind::Default, ..read.clone() }) == default && read.kind == Kind::Tcp {
            default
        } else {
            read
        }
    }

    /// True for the one that a template without a probe has.
    pub(crate) fn is_default(&self) -> bool {
        self.kind == Kind::Default
    }

    /// The default probe with `deadline` in place of its four minutes, where that is shorter; any other as it is.
    pub(crate) fn within(self, deadline: Duration) -> Self {
        if self.is_default() { Self { timeout: self.timeout.min(deadline), ..self } } else { self }
    }

    /// The longest that it takes.
    pub(crate) fn longest(&self) -> Duration {
        let periods = self.period.saturating_mul(self.threshold.saturating_sub(1));
        self.initial_delay.saturating_add(periods).saturating_add(self.timeout)
    }

    /// Asks until the answer is known.
    pub(crate) async fn ask(&self, port: u16) -> Result<Attempts, Attempts> {
        sleep(self.initial_delay).await;
        for attempt in 1..=self.threshold {
            let next = Instant::now() + self.period;
            if timeout(self.timeout, self.attempt(port)).await == Ok(true) {
                return Ok(attempt);
            }
            if attempt < self.threshold {
                sleep_until(next).await;
            }
        }
        Err(self.threshold)
    }

    async fn attempt(&self, port: u16) -> bool {
        let stream = loop {
            match TcpStream::connect(("127.0.0.1", port)).await {
                Ok(stream) => break stream,
                Err(_) => sleep(CONNECT_EVERY).await,
            }
        };
        match &self.kind {
            Kind::Default | Kind::Tcp => true,
            Kind::Http { path, headers } => is_well(stream, path, headers).await,
        }
    }

    /// What the log says of an end, in Cloud Run's words; `port` is the container's.
    pub(crate) fn said(&self, ended: Result<Attempts, Attempts>, port: u16) -> String {
        let (kind, place) = match &self.kind {
            Kind::Default => ("Default STARTUP TCP", String::new()),
            Kind::Tcp => ("STARTUP TCP", String::new()),
            Kind::Http { path, .. } => ("STARTUP HTTP", format!(" path \"{path}\"")),
        };
        let times = |many: u32, word: &str| format!("{many} {word}{}", if many == 1 { "" } else { "s" });
        let container = format!("for container \"app-1\" on port {port}{place}.");
        match ended {
            Ok(many) => format!("{kind} probe succeeded after {} {container}", times(many, "attempt")),
            Err(many) => format!(
                "{kind} probe failed {} consecutively {container} The instance was not started.",
                times(many, "time")
            ),
        }
    }
}

fn kind(probe: &Value) -> Kind {
    let Some(http) = probe.get("httpGet") else { return Kind::Tcp };
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let path = text(http, "path").filter(|path| !path.is_empty()).unwrap_or_else(|| "/".to_owned());
    let headers = http.get("httpHeaders").and_then(Value::as_array).into_iter().flatten();
    let headers = headers.filter_map(|header| Some((text(header, "name")?, text(header, "value")?)));
    Kind::Http { path, headers: headers.collect() }
}

/// Whether a GET is answered with 2xx or 3xx.
async fn is_well(mut stream: TcpStream, path: &str, headers: &[(String, String)]) -> bool {
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: GoogleHC/1.0\r\nConnection: close\r\n"
    );
    for (name, value) in headers {
        let _ = write!(request, "{name}: {value}\r\n");
    }
    request.push_str("\r\n");
    let mut answer = [0; 12];
    let asked = async {
        stream.write_all(request.as_bytes()).await?;
        stream.read_exact(&mut answer).await
    };
    asked.await.is_ok() && matches!(answer.strip_prefix(b"HTTP/1."), Some([_, b' ', b'2' | b'3', ..]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_default_is_known_when_it_is_written_out() {
        let written = json!({
            "timeoutSeconds": 240, "periodSeconds": 240, "failureThreshold": 1, "tcpSocket": {"port": 8080},
        });
        let default = StartupProbe::read(&written);
        assert_eq!(default, StartupProbe::default());
        assert_eq!(default.within(Duration::from_secs(1)).longest(), Duration::from_secs(1));
        let own = StartupProbe::read(&json!({"httpGet": {"path": "/ready"}, "initialDelaySeconds": 5}));
        assert_eq!(own.clone().within(Duration::from_secs(1)), own);
        assert_eq!(own.longest(), Duration::from_secs(5 + 2 * 10 + 1));
    }

    #[test]
    fn its_words_are_cloud_runs() {
        let own = StartupProbe::read(&json!({"httpGet": {"path": "/ready"}}));
        assert_eq!(
            own.said(Err(3), 8080),
            "STARTUP HTTP probe failed 3 times consecutively for container \"app-1\" on port 8080 path \"/ready\". \
             The instance was not started."
        );
        assert_eq!(
            StartupProbe::default().said(Ok(1), 80),
            "Default STARTUP TCP probe succeeded after 1 attempt for container \"app-1\" on port 80."
        );
    }

    #[tokio::test]
    async fn a_period_beyond_the_end_of_time_is_no_panic() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let probe = StartupProbe::read(&json!({"tcpSocket": {}, "periodSeconds": u64::MAX}));
        assert_eq!(probe.ask(listener.local_addr().unwrap().port()).await, Ok(1));
    }

    #[tokio::test]
    async fn an_answer_that_is_no_success_is_asked_for_again() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            for answer in ["HTTP/1.1 503 X\r\n\r\n", "HTTP/1.1 204 X\r\n\r\n"] {
                let mut stream = listener.accept().await.unwrap().0;
                let mut head = [0; 1024];
                assert!(stream.read(&mut head).await.unwrap() > 0);
                assert!(String::from_utf8_lossy(&head).contains("X-Key: k\r\n"));
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let headers = json!([{"name": "X-Key", "value": "k"}]);
        let probe = StartupProbe::read(&json!({"httpGet": {"httpHeaders": headers}, "periodSeconds": 1}));
        assert_eq!(probe.ask(port).await, Ok(2));
        server.await.unwrap();
    }
}

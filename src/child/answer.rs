//! What a command prints, for one that is run to answer a question.
//!
//! Takes an argument vector and gives its standard output as a secret, or why there is none, with what it said on
//! standard error. It starts no shell. The surprising rule: what it started and left running is ended with it, since a
//! process that keeps the output open would otherwise be waited for.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::group::Group;
use super::watchdog::Watchdog;
use crate::trust::{Excerpt, Redactor, Secret};

/// How long a command may take.
const LONGEST: Duration = Duration::from_secs(30);
/// The most that it may print.
const LARGEST: usize = 1 << 20;
/// What is kept of its standard error.
const COMPLAINT: usize = 16 * 1024;

/// Runs `words` and gives what they print, without the white space around it.
///
/// # Errors
/// A lower-case fragment such as `ended with exit status: 1`; what the command said besides is redacted and escaped.
pub(crate) async fn answer(words: &[String], redactor: &Redactor) -> Result<Secret, String> {
    let (program, arguments) = words.split_first().ok_or("has no program")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| format!("could not be started: {error}"))?;
    // Ends all that is left of it, on every way out.
    let group = Group::of(&child);
    let watchdog = group.id().and_then(Watchdog::start);
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let ending = async {
        let status = child.wait().await;
        group.kill();
        status
    };
    let all = async { tokio::join!(read(out, LARGEST), read(err, COMPLAINT), ending) };
    let (said, complaint, status) =
        timeout(LONGEST, all).await.map_err(|_| format!("did not end within {} s", LONGEST.as_secs()))?;
    if let Some(watchdog) = watchdog {
        watchdog.dismiss().await;
    }
    let status = status.map_err(|error| format!("could not be waited for: {error}"))?;
    if !status.success() {
        let complaint = redactor.redact_cut(String::from_utf8_lossy(&complaint).trim());
        let complaint = Excerpt::new(&complaint);
        let words =
            if complaint.is_empty() { " and said nothing".to_owned() } else { format!(": {complaint}") };
        return Err(format!("ended with {status}{words}"));
    }
    if said.len() > LARGEST {
        return Err(format!("printed more than {} MiB", LARGEST >> 20));
    }
    let text = std::str::from_utf8(&said).map_err(|_| "printed what is not UTF-8".to_owned())?;
    match text.trim() {
        "" => Err("printed nothing".to_owned()),
        text => Ok(Secret::new(text)),
    }
}

/// All that comes, of which one byte more than `most` is kept, in memory that is wiped.
async fn read(stream: Option<impl AsyncRead + Unpin>, most: usize) -> Zeroizing<Vec<u8>> {
    let mut kept = Zeroizing::new(Vec::with_capacity(most + 1));
    let Some(mut stream) = stream else { return kept };
    let mut buffer = Zeroizing::new(vec![0; 8 * 1024]);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let room = (most + 1).saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&buffer[..room]);
    }
    kept
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    async fn said(words: &[&str]) -> Result<Secret, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let redactor = Redactor::default();
        redactor.learn(&Secret::new("s3cret-of-another"));
        answer(&words, &redactor).await
    }

    #[tokio::test]
    async fn a_command_answers_without_a_shell() {
        assert_eq!(said(&["printf", " %s \n", "$HOME"]).await.unwrap().expose(), "$HOME");
        let left_running = said(&["sh", "-c", "sleep 60 & echo done"]).await.unwrap();
        assert_eq!(left_running.expose(), "done", "what it left running is not waited for");
    }

    #[tokio::test]
    async fn a_failure_says_why_and_shows_no_secret() {
        let failed =
            said(&["sh", "-c", "printf 'no \\033[31m s3cret-of-another' >&2; echo hidden; exit 3"]).await;
        let words = failed.unwrap_err();
        assert!(
            words.starts_with("ended with exit status: 3: no ") && words.contains("[redacted]"),
            "{words}"
        );
        assert!(!words.contains("hidden") && !words.contains('\u{1b}'), "{words}");
        assert!(said(&["revgate-has-no-such-program"]).await.unwrap_err().contains("could not be started"));
        assert_eq!(said(&["true"]).await.unwrap_err(), "printed nothing");
        assert_eq!(
            said(&["head", "-c", "3000000", "/dev/zero"]).await.unwrap_err(),
            "printed more than 1 MiB"
        );
        assert_eq!(said(&["printf", "\\377"]).await.unwrap_err(), "printed what is not UTF-8");
    }
}

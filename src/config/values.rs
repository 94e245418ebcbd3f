//! Single values as people write them: is this text a duration, a share, a count, a name?
//!
//! Takes one text and gives the value, or a [`Flaw`] that says what is wrong and how to write it. It does not know where
//! the text was written: the merge adds that. The surprising rule: a share without its unit is refused, since `0.01` means
//! different things to different people.

use super::baseline::PreExisting;
use super::checks::CheckName;
pub(crate) use super::duration::{duration, positive_duration};
use super::pattern::Pattern;
use super::settings::Identifier;
use super::suggest::did_you_mean;
use crate::trust::escape;

/// What is wrong with a text, and where it helps, how to write it instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Flaw {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// `text` in quotes: escaped, and cut after 60 characters. Not for anything that may be a secret.
pub(crate) fn quoted(text: &str) -> String {
    let safe = escape(text);
    if safe.chars().count() <= 60 {
        return format!("\"{safe}\"");
    }
    format!("\"{}…\"", safe.chars().take(60).collect::<String>())
}

/// `1%` or `0.01 %` as a fraction, above 0 and below 1.
pub(crate) fn rate(text: &str) -> Result<f64, Flaw> {
    let fraction = percent(text)?;
    if fraction > 0.0 && fraction < 1.0 {
        return Ok(fraction);
    }
    Err(Flaw::new(format!("{} is not between 0 % and 100 %, both excluded", quoted(text))))
}

/// `1%` or `0.01 %` as a fraction.
pub(crate) fn percent(text: &str) -> Result<f64, Flaw> {
    let flaw = || Flaw::new(format!("{} is not a percentage: write it as 1% or 0.01%", quoted(text)));
    let number = text.strip_suffix('%').ok_or_else(flaw)?.trim_end();
    let plain = number.starts_with(|c: char| c.is_ascii_digit())
        && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    if !plain {
        return Err(flaw());
    }
    number.parse::<f64>().map(|percent| percent / 100.0).map_err(|_| flaw())
}

/// A fraction as the number before a `%`, without the noise of binary fractions: 0.07 is 7, not 7.000000000000001.
pub(crate) fn in_percent(fraction: f64) -> f64 {
    (fraction * 1e11).round() / 1e9
}

/// A whole number of at least `least`.
pub(crate) fn count(text: &str, least: u32) -> Result<u32, Flaw> {
    let number: u64 = whole(text)?;
    match u32::try_from(number) {
        Ok(number) if number >= least => Ok(number),
        Ok(_) => Err(Flaw::new(format!("{} is too small: it must be at least {least}", quoted(text)))),
        Err(_) => Err(Flaw::new(format!("{} is too large: it may be at most {}", quoted(text), u32::MAX))),
    }
}

/// A whole number from 0 to 2^64 - 1.
pub(crate) fn whole(text: &str) -> Result<u64, Flaw> {
    let flaw = || Flaw::new(format!("{} is not a whole number", quoted(text)));
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(flaw());
    }
    text.parse().map_err(|_| flaw())
}

/// A close code of RFC 6455, 1000 to 4999.
pub(crate) fn close_code(text: &str) -> Result<u16, Flaw> {
    let code = whole(text)?;
    u16::try_from(code)
        .ok()
        .filter(|code| (1000..5000).contains(code))
        .ok_or_else(|| Flaw::new(format!("{} is not a close code: they are 1000 to 4999", quoted(text))))
}

/// A text that is not empty and holds no control characters.
pub(crate) fn text(text: &str) -> Result<String, Flaw> {
    if text.trim().is_empty() {
        return Err(Flaw::new("the value is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(Flaw::new("the value holds a control character"));
    }
    Ok(text.to_owned())
}

/// A name by the rules of Cloud Run.
pub(crate) fn identifier(text: &str) -> Result<Identifier, Flaw> {
    Identifier::new(text).ok_or_else(|| {
        Flaw::new(format!(
            "{} is not a Cloud Run name: 1 to 63 lower-case letters, digits and hyphens, a letter first, \
             no hyphen last",
            quoted(text)
        ))
    })
}

/// A project: an id, `domain.com:id`, or a number.
pub(crate) fn project(text: &str) -> Result<String, Flaw> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (domain, id) = text.rsplit_once(':').unwrap_or(("example.com", text));
    let is_domain = domain.starts_with(|c: char| c.is_ascii_alphanumeric())
        && domain.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c));
    if is_number || (is_domain && Identifier::new(id).is_some()) {
        return Ok(text.to_owned());
    }
    Err(Flaw::new(format!(
        "{} is not a project: give its id, as in demo-project, or its number",
        quoted(text)
    ))
    .help("list yours: gcloud projects list"))
}

/// `sha256:` and 64 hexadecimal digits; what stands before an `@` is the image's name and is dropped.
pub(crate) fn image_digest(text: &str) -> Result<String, Flaw> {
    let digest = text.rsplit_once('@').map_or(text, |(_, digest)| digest).to_ascii_lowercase();
    let is_digest = digest
        .strip_prefix("sha256:")
        .is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_digest {
        return Ok(digest);
    }
    Err(Flaw::new(format!("{} is not an image digest: sha256: and 64 hexadecimal digits", quoted(text))))
}

/// `key=value`.
pub(crate) fn label(text: &str) -> Result<(String, String), Flaw> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| Flaw::new(format!("{} is not a label: write it as key=value", quoted(text))))?;
    label_part(key)?;
    if !value.is_empty() {
        label_part(value)?;
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// One side of a label.
pub(crate) fn label_part(text: &str) -> Result<(), Flaw> {
    let allowed = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    if text.is_empty() || text.chars().count() > 63 || !text.chars().all(allowed) {
        let message =
            format!("{} cannot be part of a label: letters, digits, _ and -, at most 63", quoted(text));
        return Err(Flaw::new(message));
    }
    Ok(())
}

/// A check by its name.
pub(crate) fn check(text: &str) -> Result<CheckName, Flaw> {
    named("check", text, &CheckName::ALL, CheckName::name)
}

/// A switch: `true` or `false`; a variable may also say `1` or `0`.
pub(crate) fn boolean(text: &str) -> Result<bool, Flaw> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => {
            Err(Flaw::new(format!("\"{other}\" is neither true nor false"))
                .help("write true, or leave it out"))
        }
    }
}

/// What becomes of a failure that the serving revision shows as well.
pub(crate) fn pre_existing(text: &str) -> Result<PreExisting, Flaw> {
    match text {
        "block" => Ok(PreExisting::Block),
        "allow" => Ok(PreExisting::Allow),
        other => Err(Flaw::new(format!("{} is neither block nor allow", quoted(other)))),
    }
}

/// A method of HTTP that an endpoint may be asked with.
pub(crate) fn method(text: &str) -> Result<String, Flaw> {
    const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    named("method", text, &METHODS, |name| name).map(str::to_owned)
}

/// A pattern by its name.
pub(crate) fn pattern(text: &str) -> Result<Pattern, Flaw> {
    named("pattern", text, &Pattern::ALL, Pattern::name)
}

/// One of a closed set, by its name.
pub(crate) fn named<T: Copy>(
    what: &str,
    text: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, Flaw> {
    if let Some(found) = all.iter().find(|candidate| name(**candidate) == text) {
        return Ok(*found);
    }
    let names: Vec<&str> = all.iter().map(|candidate| name(*candidate)).collect();
    let guess =
        did_you_mean(text, &names).map_or_else(String::new, |guess| format!(", did you mean {guess}?"));
    Err(Flaw::new(format!("there is no {what} {}{guess}", quoted(text)))
        .help(format!("these exist: {}", names.join(", "))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_rates_and_refuses_impossible_ones() {
        assert_eq!(rate("1%"), Ok(0.01));
        assert_eq!(rate("0.01 %"), Ok(1e-4));
        for text in ["0%", "100%", "101%", "0.01", "%", ".5%", "1e-3%", "nan%", "-1%", "1.2.3%"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn knows_names_and_numbers() {
        assert_eq!(count("2", 2), Ok(2));
        assert!(count("1", 2).unwrap_err().message.contains("at least 2"));
        assert!(count("4294967296", 1).unwrap_err().message.contains("too large"));
        assert!(count("+1", 1).is_err() && count("", 1).is_err() && count("many", 1).is_err());
        assert!(close_code("999").is_err() && close_code("5000").is_err() && close_code("1011").is_ok());
        for good in ["demo-project", "example.com:demo", "1234567890"] {
            assert!(project(good).is_ok(), "{good}");
        }
        for bad in ["", "Demo", "a/b", "example.com:", ":x", "a b"] {
            assert!(project(bad).is_err(), "{bad}");
        }
        let digest = format!("sha256:{}", "AB".repeat(32));
        assert_eq!(image_digest(&format!("host/image@{digest}")), Ok(digest.to_lowercase()));
        assert!(image_digest("sha256:abc").is_err());
        assert_eq!(label("commit=abc"), Ok(("commit".to_owned(), "abc".to_owned())));
        assert!(label("commit").is_err() && label("=x").is_err() && label("a=b c").is_err());
    }

    #[test]
    fn guesses_what_was_meant() {
        let flaw = pattern("same-users").unwrap_err();
        assert_eq!(flaw.message, "there is no pattern \"same-users\", did you mean same-user?");
        assert!(check("raze").unwrap_err().message.ends_with("did you mean race?"));
    }

    proptest! {
        #[test]
        fn percentages_survive_being_written(hundredths in 0_u32..1_000_000) {
            let percentage = f64::from(hundredths) / 100.0;
            let read = percent(&format!("{percentage} %")).unwrap();
            prop_assert!((read - percentage / 100.0).abs() < 1e-12);
            prop_assert_eq!(in_percent(read).to_string(), percentage.to_string());
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = (percent(&text), count(&text, 1), project(&text), label(&text));
        }
    }
}

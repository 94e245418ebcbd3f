//! A known secret is found in each form in which a server could echo it. The encoders here are not those of the code.

use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::*;

fn knowing(secret: &str) -> Redactor {
    let redactor = Redactor::default();
    redactor.learn(&Secret::new(secret));
    redactor
}

/// Secrets as people make them: words, base64, passwords with every printable character, other alphabets.
fn secrets() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{4,8}(-[a-z]{3,8}){2}", "[A-Za-z0-9+/]{16,60}={0,2}", "[!-~]{8,40}", "[ -~é€🔑]{8,24}"]
}

/// What stands around it.
fn around() -> impl Strategy<Value = String> {
    "[ -~é€]{0,12}"
}

/// Writes one character.
type Encode = fn(char) -> String;

/// All of them written one after another.
fn each<T>(units: impl Iterator<Item = T>, write: impl Fn(T) -> String) -> String {
    units.map(write).collect::<Vec<_>>().concat()
}

/// Every encoding that works character by character, by name.
fn encodings() -> Vec<(&'static str, Encode)> {
    fn percent(c: char, kept: &str) -> String {
        let mut bytes = [0; 4];
        if c.is_ascii_alphanumeric() || kept.contains(c) {
            return c.to_string();
        }
        each(c.encode_utf8(&mut bytes).bytes(), |byte| format!("%{byte:02X}"))
    }
    fn hexadecimal(c: char) -> String {
        each(c.to_string().bytes(), |byte| format!("{byte:02x}"))
    }
    fn json(c: char) -> String {
        match c {
            '"' | '\\' => format!("\\{c}"),
            c => c.to_string(),
        }
    }
    fn utf16(c: char) -> String {
        each(c.encode_utf16(&mut [0; 2]).iter(), |unit| format!("\\u{unit:04x}"))
    }
    vec![
        ("plain", |c| c.to_string()),
        ("RFC 3986", |c| percent(c, "-._~")),
        ("RFC 3986 with lower-case digits", |c| match percent(c, "-._~") {
            encoded if encoded.starts_with('%') => encoded.to_lowercase(),
            kept => kept,
        }),
        ("encodeURIComponent", |c| percent(c, "-_.!~*'()")),
        ("quote of Python", |c| percent(c, "_.-~/")),
        ("HTML form", |c| if c == ' ' { "+".to_owned() } else { percent(c, "*-._") }),
        ("hexadecimal", hexadecimal),
        ("HEXADECIMAL", |c| hexadecimal(c).to_uppercase()),
        ("JSON", json),
        ("JSON with \\/", |c| if c == '/' { "\\/".to_owned() } else { json(c) }),
        ("JSON in ASCII", |c| if c.is_ascii() { json(c) } else { utf16(c) }),
        ("JSON of Go", |c| if "<>&".contains(c) { utf16(c) } else { json(c) }),
        ("JSON of Flask", |c| if !c.is_ascii() || "<>&'".contains(c) { utf16(c) } else { json(c) }),
        ("JSON in escapes alone", utf16),
        ("JSON in JSON in escapes alone", |c| utf16(c).replace('\\', "\\\\")),
        ("HTML", |c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#x27;".to_owned(),
            c => c.to_string(),
        }),
        ("HTML in numbers", |c| format!("&#{};", u32::from(c))),
        ("HTML in hexadecimal numbers", |c| format!("&#x{:X};", u32::from(c))),
        ("HTML in numbers without a semicolon, with zeros", |c| format!("&#{:07}", u32::from(c))),
        ("bytes with blanks", |c| each(c.to_string().bytes(), |byte| format!("{byte:02x} "))),
        ("BYTES with colons", |c| each(c.to_string().bytes(), |byte| format!("{byte:02X}:"))),
        ("JSON of PHP", |c| match c {
            '/' => "\\/".to_owned(),
            c if c.is_ascii() => json(c),
            c => utf16(c),
        }),
    ]
}

/// How many characters of base64 have only bits of the secret in them, and how many have any other.
fn base64_of_others(before: usize, secret: usize, after: usize) -> (usize, usize) {
    let bits = |bytes: usize| bytes * 8;
    let left = bits(before).div_ceil(6);
    let right = bits(before + secret + after).div_ceil(6) - bits(before + secret) / 6;
    (left, right)
}

fn assert_gone_from_base64(redactor: &Redactor, parts: [&str; 3], engine: &GeneralPurpose) {
    let [before, secret, after] = parts;
    let encoded = engine.encode(parts.concat());
    let clean = redactor.redact(&encoded);
    let (left, right) = base64_of_others(before.len(), secret.len(), after.len());
    let (head, tail) = clean.split_once(MARK).unwrap_or_else(|| panic!("{secret} is in {encoded}"));
    assert!(head.len() <= left && tail.trim_end_matches('=').len() <= right, "{secret} is partly in {clean}");
}

#[test]
fn takes_out_each_part_of_a_jwt() {
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyLTAwMSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ";
    let redactor = knowing(token);
    assert_eq!(redactor.redact("sig c2lnbmF0dXJlLXNpZ25hdHVyZQ."), "sig [redacted].");
    assert_eq!(redactor.redact("claims eyJzdWIiOiJ1c2VyLTAwMSJ9"), "claims [redacted]");
    assert_eq!(redactor.redact(&format!("Bearer {token}")), "Bearer [redacted]");
    for part in token.split('.').skip(1) {
        for (name, encode) in encodings() {
            let encoded: String = part.chars().map(encode).collect();
            assert_eq!(redactor.redact(&encoded).trim_end_matches([' ', ':']), MARK, "{name}");
        }
        for engine in [STANDARD, URL_SAFE] {
            for before in ["", "a", "ab"] {
                let encoded = engine.encode(format!("{before}{part}"));
                assert!(redactor.redact(&encoded).contains(MARK), "{encoded}");
            }
        }
    }
}

#[test]
fn takes_out_the_head_of_a_cut_secret() {
    assert_eq!(knowing("correct-horse-battery").redact_cut("x correct-hor"), "x [redacted]");
}

#[test]
fn leaves_what_is_no_secret() {
    let redactor = knowing("correct-horse-battery");
    assert_eq!(redactor.redact("correct horse, battery: staple"), "correct horse, battery: staple");
    assert_eq!(Redactor::default().redact("anything"), "anything");
    assert_eq!(knowing("").redact("anything"), "anything");
    assert_eq!(knowing("abc").redact("abc is shorter than four"), "abc is shorter than four");
}

#[test]
fn other_readings_show_no_head_of_a_cut_secret_and_hide_nothing_else() {
    let redactor = knowing("correct-horse-battery");
    for cut in [
        r"x \u0063\u006f\u0072\u0072\u0065\u0063\u0074\u002d\u0068",
        "x 63 6f 72 72 65 63 74 2d 68 6",
        "x &#99;orrect&#45;h&#11",
        r"x \\u0063orrect-hor\\u00",
    ] {
        assert_eq!(redactor.redact_cut(cut), "x [redacted]", "{cut}");
    }
    for other in [
        r"\u00e9t\u00e9 \ud83d and \u12",
        "a & b &amp; c &unknown; &#x110000; &#",
        "12:30:45 on 20 26 11 30, de ad be ef",
        "é63 6f",
    ] {
        assert_eq!(redactor.redact(other), other);
    }
}

#[test]
fn a_reading_leaves_what_stands_around_a_secret_as_it_is() {
    let redactor = knowing("correct-horse");
    for (text, due) in [
        (r"\u0041 \u0063orrect-hors\u0065 \u00e9", r"\u0041 [redacted] \u00e9"),
        ("&lt;&#99;orrect&#45;horse&gt;&amp;", "&lt;[redacted]&gt;&amp;"),
        ("é 01 02 63 6f 72:7265 63742d68 6f:72 73 65 03 04, 1", "é 01 02 [redacted] 03 04, 1"),
        ("correct-horse&amp;correct-horse", "[redacted]&amp;[redacted]"),
    ] {
        assert_eq!(redactor.redact(text), due);
    }
}

#[test]
fn a_text_of_a_million_escapes_that_are_none_is_read_to_its_end() {
    // To look behind each backslash, or each digit, anew would take this test hours.
    let redactor = knowing("correct-horse-battery");
    for text in [
        format!("{}x\\u", "\\".repeat(1 << 20)),
        "\\ud83d".repeat(1 << 17),
        format!("&{}", "&#".repeat(1 << 19)),
        "a".repeat(1 << 20),
        "ab ".repeat(1 << 18),
    ] {
        assert_eq!(redactor.redact_cut(&text).len(), text.len());
    }
}

#[test]
fn secrets_written_into_each_other_are_both_gone() {
    let redactor = Redactor::default();
    redactor.learn_all(&[Secret::new("sid-test"), Secret::new("test-of-a-long-signing-key")]);
    assert_eq!(redactor.redact("x sid-test-of-a-long-signing-key y"), "x [redacted] y");
    assert_eq!(redactor.redact("sid-test, sid-test"), "[redacted], [redacted]");
}

proptest! {
    // A matcher is built for each case, which is slow without optimisation.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn takes_the_secret_out_of_every_encoding(secret in secrets(), before in around(), after in around()) {
        let redactor = knowing(&secret);
        for (name, encode) in encodings() {
            let encoded = |text: &str| text.chars().map(encode).collect::<String>();
            let clean = redactor.redact(&format!("{}{}{}", encoded(&before), encoded(&secret), encoded(&after)));
            prop_assert!(clean.contains(MARK), "{}: {}", name, clean);
            prop_assert!(!clean.contains(&encoded(&secret)), "{}: {}", name, clean);
        }
    }

    #[test]
    fn takes_the_secret_out_of_base64_at_every_alignment(secret in secrets(), before in around(), after in around()) {
        use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
        let redactor = knowing(&secret);
        for engine in [STANDARD, URL_SAFE, STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            for more in ["", "a", "ab"] {
                assert_gone_from_base64(&redactor, [&format!("{more}{before}"), &secret, &after], &engine);
            }
        }
    }

    #[test]
    fn two_secrets_that_share_their_ends_leave_nothing(head in "[a-z]{4,12}", shared in "[a-z]{1,8}", tail in "[a-z]{4,12}") {
        let redactor = Redactor::default();
        redactor.learn_all(&[Secret::new(format!("{head}{shared}")), Secret::new(format!("{shared}{tail}"))]);
        prop_assert_eq!(redactor.redact(&format!("{head}{shared}{tail}")), MARK);
    }

    #[test]
    fn a_cut_text_keeps_fewer_than_eight_characters_of_the_secret(secret in "[A-Za-z0-9-]{12,40}", length in 8_usize..40) {
        let cut = &secret[..length.min(secret.len())];
        prop_assert_eq!(knowing(&secret).redact_cut(&format!("body: {cut}")), "body: [redacted]");
    }
}

//! From text to words.

/// A dot in quotes, inside a member: a control character, which no name has.
const QUOTED_DOT: char = '\u{1f}';

/// A word of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// `(`
    Open,
    /// `)`
    Close,
    /// An operator.
    Operator(Operator),
    /// Text without quotes.
    Plain(String),
    /// Text in double quotes, without them.
    Quoted(String),
}

/// How a member is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `:`
    Holds,
    /// `=~`
    Matches,
    /// `!~`
    Differs,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

/// The longer before the shorter.
const OPERATORS: [(&str, Operator); 9] = [
    ("=~", Operator::Matches),
    ("!~", Operator::Differs),
    ("!=", Operator::Unequal),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("=", Operator::Equal),
    (":", Operator::Holds),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

impl Word {
    /// As it was written, but for quotes.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Open => "(",
            Self::Close => ")",
            Self::Plain(text) | Self::Quoted(text) => text,
            Self::Operator(operator) => {
                OPERATORS.iter().find(|(_, known)| known == operator).map_or("", |(text, _)| text)
            }
        }
    }
}

/// The words of a filter, each with its column from 1.
pub(super) fn words(text: &str) -> Result<Vec<(Word, usize)>, String> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let column = text.len() - rest.len() + 1;
        if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
        } else if rest.starts_with("--") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if let Some((operator, kind)) = OPERATORS.iter().find(|(known, _)| rest.starts_with(known)) {
            rest = &rest[operator.len()..];
            words.push((Word::Operator(*kind), column));
        } else if first == '(' || first == ')' {
            rest = &rest[1..];
            words.push((if first == '(' { Word::Open } else { Word::Close }, column));
        } else if first == '"' {
            let (quoted, after) = quoted(&rest[1..]).ok_or("Unparseable filter: a quotation mark is open")?;
            rest = after;
            words.push((Word::Quoted(quoted), column));
        } else if let Some((member, after)) = member(rest) {
            rest = after;
            words.push((Word::Plain(member), column));
        } else {
            let length = plain(rest);
            if length == 0 {
                return Err(format!(
                    "Unparseable filter: syntax error at line 1, column {column}, token '{first}'"
                ));
            }
            words.push((Word::Plain(rest[..length].to_owned()), column));
            rest = &rest[length..];
        }
    }
    Ok(words)
}

/// How long the text is plain.
fn plain(text: &str) -> usize {
    text.find(|c: char| !is_plain(c)).unwrap_or(text.len())
}

/// A member of which a part stands in quotes, `labels."k8s-pod/app"`, and what comes behind it.
fn member(text: &str) -> Option<(String, &str)> {
    let (first, mut rest) = text.split_at(plain(text));
    let mut member = first.to_owned();
    if !member.ends_with('.') || !rest.starts_with('"') {
        return None;
    }
    while let Some(opened) = rest.strip_prefix('"').filter(|_| member.ends_with('.')) {
        let (part, after) = quoted(opened)?;
        member.push_str(&part.replace('.', &QUOTED_DOT.to_string()));
        let (more, after) = after.split_at(plain(after));
        member.push_str(more);
        rest = after;
    }
    Some((member, rest))
}

/// The parts of a member, whose dots are between them where they are not in quotes.
pub(super) fn parts(member: &str) -> Vec<String> {
    member.split('.').map(|part| part.replace(QUOTED_DOT, ".")).collect()
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "_-./%*@+".contains(c)
}

/// The text up to the closing quote, and what comes behind it. A backslash before anything but a quote or a backslash
/// stays, as regular expressions want it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                escaped @ ('"' | '\\') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

//! What was probably meant: the known name that is nearest to a mistyped one.
//!
//! Takes a text and the names that exist, and gives one of them or none. It never changes what was typed. The surprising
//! rule: a name further away than a third of its letters is not offered, since a wrong guess is worse than none.

/// The nearest of `names`, when it is near enough to be what was meant.
pub(crate) fn did_you_mean<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    let text: String = text.chars().take(64).collect::<String>().to_lowercase().replace('_', "-");
    names
        .iter()
        .map(|name| (distance(&text, name), *name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters must be inserted, removed or replaced (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_only_what_is_near() {
        let names = ["sockets", "rounds", "time-budget", "seed"];
        assert_eq!(did_you_mean("sokets", &names), Some("sockets"));
        assert_eq!(did_you_mean("time_budget", &names), Some("time-budget"));
        assert_eq!(did_you_mean("timeout", &names), None);
        assert_eq!(did_you_mean("", &names), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}

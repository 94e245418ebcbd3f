//! Pages of a list.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::error::ApiError;

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    start: usize,
    size: usize,
}

impl Page {
    /// Reads the size and the token that a client sent; `limit` is the largest size and the one for none.
    pub(crate) fn parse(size: Option<&str>, token: Option<&str>, limit: usize) -> Result<Self, ApiError> {
        let limit = limit.max(1);
        let size = match size.map(str::parse::<usize>) {
            None | Some(Ok(0)) => limit,
            Some(Ok(size)) => size.min(limit),
            Some(Err(_)) => return Err(ApiError::invalid("Invalid value at 'page_size'.")),
        };
        let start = match token {
            None => 0,
            Some(token) => decode(token).ok_or_else(|| ApiError::invalid("The page token is invalid."))?,
        };
        Ok(Self { start, size })
    }

    /// The items of this page, and the token of the next where there is one.
    pub(crate) fn of<T>(self, mut all: Vec<T>) -> (Vec<T>, Option<String>) {
        let end = self.start.saturating_add(self.size);
        let token = (end < all.len()).then(|| STANDARD.encode(format!("items/{end}")));
        all.truncate(end);
        (all.split_off(self.start.min(all.len())), token)
    }
}

fn decode(token: &str) -> Option<usize> {
    String::from_utf8(STANDARD.decode(token).ok()?).ok()?.strip_prefix("items/")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_on_one_page() {
        let (mut seen, mut token) = (Vec::new(), None::<String>);
        loop {
            let page = Page::parse(Some("2"), token.as_deref(), 100).unwrap();
            let (items, next) = page.of((0..5).collect::<Vec<_>>());
            seen.push(items);
            token = next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, [vec![0, 1], vec![2, 3], vec![4]]);
        assert!(Page::parse(Some("-1"), None, 100).is_err());
        assert!(Page::parse(None, Some("x"), 100).is_err());
    }
}

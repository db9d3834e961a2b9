//! Pages of lists: a limit and an opaque cursor.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::codes::Code;
use super::problem::{Answer, Problem};

/// Entries of a page where none is asked for.
const LIMIT: usize = 100;
/// Entries of a page, at most.
const LIMIT_MAX: usize = 1000;
/// Binds a cursor to its form.
const TAG: u8 = 1;

/// Which page.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// Entries, at most; 1 to 1000, 100 where absent.
    pub(crate) limit: Option<usize>,
    /// Where the page before ended; opaque.
    pub(crate) cursor: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// Entries.
    pub(crate) items: Vec<T>,
    /// For the page that follows; null where none does.
    pub(crate) next_cursor: Option<String>,
}

impl Paging {
    /// Entries, at most.
    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX)
    }

    /// How many come before this page.
    pub(crate) fn skip(&self) -> Answer<usize> {
        let Some(cursor) = &self.cursor else { return Ok(0) };
        let wrong = || Problem::of(Code::BadCursor);
        let raw = BASE64URL_NOPAD.decode(cursor.as_bytes()).map_err(|_| wrong())?;
        let [TAG, rest @ ..] = raw.as_slice() else { return Err(wrong()) };
        let count = u64::from_be_bytes(rest.try_into().map_err(|_| wrong())?);
        usize::try_from(count).map_err(|_| wrong())
    }

    /// A page of a list that is here as a whole.
    pub(crate) fn of<T>(&self, all: Vec<T>) -> Answer<Page<T>> {
        let (skip, limit) = (self.skip()?, self.limit());
        let more = all.len() > skip.saturating_add(limit);
        let items: Vec<T> = all.into_iter().skip(skip).take(limit).collect();
        Ok(Page { next_cursor: more.then(|| cursor(skip + items.len())), items })
    }
}

/// A cursor behind `count` entries.
pub(crate) fn cursor(count: usize) -> String {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    BASE64URL_NOPAD.encode(&[&[TAG][..], &count.to_be_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_without_gap_or_repetition() {
        let (mut paging, mut seen) = (Paging { limit: Some(3), cursor: None }, Vec::new());
        loop {
            let page = paging.of((0..8).collect()).expect("a page");
            seen.extend(page.items);
            let Some(next) = page.next_cursor else { break };
            paging.cursor = Some(next);
        }
        assert_eq!(seen, (0..8).collect::<Vec<_>>(), "every entry once, in order");
    }

    #[test]
    fn a_cursor_that_no_list_gave_is_refused() {
        let paging = Paging { limit: None, cursor: Some("zz".into()) };
        assert!(paging.of(vec![1]).is_err(), "not a cursor");
    }
}

//! Times of the API: RFC 3339 in UTC outside, milliseconds since 1970 UTC inside.

use jiff::Timestamp;

use super::codes::Code;
use super::problem::{Answer, Problem};
pub(super) use crate::words::rfc3339;

/// Milliseconds since 1970 UTC of an RFC 3339 time with any offset.
pub(crate) fn milliseconds(text: &str) -> Answer<u64> {
    let wrong =
        || Problem::of(Code::BadRequest).detail("A time must be RFC 3339, such as 2026-03-01T10:00:00Z.");
    let time: Timestamp = text.parse().map_err(|_| wrong())?;
    u64::try_from(time.as_millisecond()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_whatever_offset_they_came_with() {
        let ms = milliseconds("2026-03-01T12:00:00.25+02:00").expect("a lawful time");
        assert_eq!(rfc3339(ms).as_deref(), Some("2026-03-01T10:00:00.25Z"), "in UTC");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        assert!(milliseconds("yesterday").is_err(), "not RFC 3339");
        assert!(milliseconds("1960-01-01T00:00:00Z").is_err(), "before 1970");
        assert_eq!(rfc3339(u64::MAX), None, "no time of the calendar");
    }
}

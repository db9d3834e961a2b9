//! Dates of clinical files: FHIR dates of any precision, the compact dates of DICOM and HL7 version 3.
//!
//! It knows no clock and no time zone database: a date without a zone counts as UTC, which is exact enough to
//! find the newest of several. Called by the modules of the formats.

use jiff::Timestamp;
use jiff::civil::Date;

/// The date part of a FHIR date, dateTime or instant: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`; none if it is no date.
pub(crate) fn day(text: &str) -> Option<&str> {
    let day = text.split('T').next()?;
    first_day(day).map(|_| day)
}

/// `YYYY-MM-DD` if the text is a full date, and none otherwise.
pub(crate) fn full_day(text: &str) -> Option<&str> {
    day(text).filter(|day| day.len() == 10)
}

/// The date of DICOM DA (PS3.5 6.2) or HL7 v3 TS: `YYYY`, `YYYYMM` or `YYYYMMDD…` as an ISO date of that precision.
pub(crate) fn from_compact(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let iso = match digits {
        4 | 5 => text.get(..4)?.to_owned(),
        6 | 7 => format!("{}-{}", text.get(..4)?, text.get(4..6)?),
        8.. => format!("{}-{}-{}", text.get(..4)?, text.get(4..6)?, text.get(6..8)?),
        _ => return None,
    };
    first_day(&iso).map(|_| iso)
}

/// The instant of a FHIR date of any precision: the start of a year, month or day, in UTC where no zone is given.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    if text.contains('T')
        && let Ok(instant) = text.parse::<Timestamp>()
    {
        return Some(instant);
    }
    let midnight = first_day(day(text)?)?.at(0, 0, 0, 0);
    midnight.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// The first day of a year, a month or a day in ISO form.
fn first_day(iso: &str) -> Option<Date> {
    let mut parts = iso.split('-');
    let year = number(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |part| number(part, 2))?;
    let day = parts.next().map_or(Some(1), |part| number(part, 2))?;
    if parts.next().is_some() {
        return None;
    }
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn number(text: &str, digits: usize) -> Option<i16> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fhir_dates_of_any_precision_are_read() {
        assert_eq!(day("2013-07-17T04:23:40.791+00:00"), Some("2013-07-17"), "a time is cut off");
        assert_eq!(day("2013"), Some("2013"), "a year alone is a date");
        assert_eq!(full_day("2013-07"), None, "a month is no full date");
        assert_eq!(day("2013-13-01"), None, "there is no thirteenth month");
        assert_eq!(day("not a date"), None, "words are no date");
    }

    #[test]
    fn compact_dates_become_iso_dates() {
        assert_eq!(from_compact("20141015103026-0500").as_deref(), Some("2014-10-15"), "HL7 v3 with a time");
        assert_eq!(from_compact("1950").as_deref(), Some("1950"), "a year alone keeps its precision");
        assert_eq!(from_compact("20040230"), None, "the 30th of February is refused");
        assert_eq!(from_compact("199é1231"), None, "a byte outside ASCII is no digit");
    }

    #[test]
    fn instants_order_across_zones() {
        let earlier = instant("2020-01-01T01:00:00+02:00").unwrap();
        let later = instant("2020-01-01").unwrap();
        assert!(earlier < later, "23:00 UTC of the day before is earlier than midnight");
    }
}

//! What a patient reads before the tap: a grant in at most 60 plain words, always the same for the same grant.
//!
//! Who, what, why, how long, how to stop, what happens on no. The hash of the text and its language go under
//! the card's signature. A language is a row of [`LANGUAGES`]; nothing else in here knows words. Names come from
//! the caller, who looks them up; six words for the grantee and three for the study keep the 60.

use std::borrow::Cow;

use crate::personal::{Anonymity, Category, GrantEntry, Label, Right};

/// The words of one language.
#[derive(Debug)]
pub struct Language {
    /// BCP 47 tag.
    pub tag: &'static str,
    /// {who} may {do} your {what}.
    grant: &'static str,
    /// One, two and three rights: read, write, share, in this order.
    rights: [&'static str; 7],
    categories: [&'static str; 8],
    everything: &'static str,
    /// One record, {n} records.
    records: [&'static str; 2],
    labels: [&'static str; 3],
    why: &'static str,
    purposes: [&'static str; 5],
    /// For study {study}, {anonymity}.
    study: &'static str,
    anonymity: [&'static str; 3],
    /// From {from} to {until}.
    period: &'static str,
    one_time: &'static str,
    stop_and_no: &'static str,
    /// Between two, between the last two.
    and: [&'static str; 2],
    /// {day} {month} {year}.
    date: &'static str,
    months: [&'static str; 12],
}

/// Every language, English first.
pub static LANGUAGES: &[Language] = &[Language {
    tag: "en",
    grant: "{who} may {do} your {what}.",
    rights: [
        "read",
        "add to",
        "read and add to",
        "share",
        "read and share",
        "add to and share",
        "read, add to and share",
    ],
    categories: [
        "visits",
        "lab results",
        "radiation doses",
        "images",
        "medicines",
        "letters",
        "emergency summary",
        "private notes",
    ],
    everything: "papers of every kind",
    records: ["one paper", "{n} papers"],
    labels: ["", ", also sensitive ones", ", also very sensitive ones"],
    why: " Why: {why}.",
    purposes: ["treatment", "emergency treatment", "research", "running the clinic", "you asked for it"],
    study: " For study {study}, {anonymity}.",
    anonymity: ["with your name", "under a code", "without your name"],
    period: " From {from} to {until}.",
    one_time: " Once only.",
    stop_and_no: " You can stop any day. No is fine: care goes on.",
    and: [", ", " and "],
    date: "{day} {month} {year}",
    months: [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
}];

/// The language of a tag, by its first part; English where we have none.
#[must_use]
pub fn language(tag: &str) -> &'static Language {
    let primary = tag.split('-').next().unwrap_or_default();
    LANGUAGES.iter().find(|l| l.tag.eq_ignore_ascii_case(primary)).unwrap_or(&LANGUAGES[0])
}

/// A grant, with the names that a person knows.
#[derive(Clone, Copy, Debug)]
pub struct GrantText<'a> {
    /// The grant.
    pub grant: &'a GrantEntry,
    /// Who may, by name.
    pub grantee: &'a str,
    /// The study, by name.
    pub study: Option<&'a str>,
    /// Minutes east of UTC at the desk, for the dates.
    pub utc_offset_minutes: i32,
}

/// The text of a grant in a language (see [`language`]; its `tag` is what is signed beside the hash).
#[must_use]
pub fn consent_text(text: &GrantText<'_>, language: &Language) -> String {
    let grant = text.grant;
    let offset = text.utc_offset_minutes;
    let mut out = fill(language.grant, |name| match name {
        "who" => clean(text.grantee),
        "do" => language.rights[place(grant.rights, 7)].into(),
        _ => what(grant, language).into(),
    });
    out += &fill(language.why, |_| language.purposes[place(grant.purpose.code(), 5)].into());
    if grant.allows(Right::Share) {
        out += &fill(language.study, |name| match name {
            "study" => clean(text.study.unwrap_or("?")),
            _ => language.anonymity[place(anonymity(grant), 3)].into(),
        });
    }
    out += &fill(language.period, |name| match name {
        "from" => date(grant.from, offset, language).into(),
        // The end is exclusive: what is shown is the last day that still counts.
        _ => date(grant.until.saturating_sub(1), offset, language).into(),
    });
    if grant.one_time {
        out += language.one_time;
    }
    out + language.stop_and_no
}

fn anonymity(grant: &GrantEntry) -> u64 {
    let anonymity: Anonymity = grant.anonymity;
    anonymity.code()
}

// Numbers of the wire begin at 1.
fn place(code: u64, len: usize) -> usize {
    usize::try_from(code).unwrap_or(1).clamp(1, len) - 1
}

fn what(grant: &GrantEntry, language: &Language) -> String {
    let scope = &grant.scope;
    let label: Label = scope.label;
    let shown: Vec<_> = scope.categories.iter().filter(|c| **c != Category::PrivateNotes).collect();
    let what = if !scope.records.is_empty() {
        let form = language.records[usize::from(scope.records.len() > 1)];
        fill(form, |_| scope.records.len().to_string().into())
    } else if shown.len() + 1 == Category::ALL.len() {
        language.everything.to_owned()
    } else {
        let names: Vec<_> = shown.iter().map(|c| language.categories[place(c.code(), 8)]).collect();
        join(&names, language.and)
    };
    what + language.labels[place(label.code(), 3)]
}

fn join(names: &[&str], [between, last]: [&str; 2]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [init @ .., end] => format!("{}{last}{end}", init.join(between)),
    }
}

// One pass, so that a name in braces stays a name.
fn fill<'t>(template: &str, value: impl Fn(&str) -> Cow<'t, str>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else { break };
        out += before;
        out += &value(name);
        rest = behind;
    }
    out + rest
}

// Names can't break lines or turn the direction of what stands around them.
fn clean(name: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if name.contains(harmful) { name.replace(harmful, " ").into() } else { name.into() }
}

fn date(at_ms: u64, offset_minutes: i32, language: &Language) -> String {
    let local = at_ms.saturating_add_signed(i64::from(offset_minutes) * 60_000);
    let (year, month, day) = civil(local / 86_400_000);
    fill(language.date, |name| match name {
        "day" => day.to_string().into(),
        "month" => language.months[place(month, 12)].into(),
        _ => year.to_string().into(),
    })
}

/// Year, month and day of a day counted from 1970-01-01 (Hinnant, "chrono-compatible low-level date
/// algorithms", civil_from_days).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BlockHash, ContentId, PatientId, PersonId, StudyId};
    use crate::personal::{After, Grantee, Purpose, Scope};

    const DAY: u64 = 86_400_000;

    fn grant() -> GrantEntry {
        GrantEntry {
            patient: PatientId([1; 32]),
            by_proxy: None,
            grantee: Grantee::Person(PersonId([2; 32])),
            scope: Scope {
                categories: vec![Category::Laboratory, Category::Letters],
                label: Label::Normal,
                records: Vec::new(),
            },
            rights: Right::Read.code(),
            from: 20_454 * DAY,
            until: 20_514 * DAY,
            purpose: Purpose::Treatment,
            study: None,
            anonymity: Anonymity::AsIs,
            one_time: false,
            two_signatures: false,
            after: After { height: 0, block: BlockHash([0; 32]), revocations: Vec::new() },
        }
    }

    fn text(grant: &GrantEntry, grantee: &str) -> String {
        let text = GrantText { grant, grantee, study: Some("Heart 2026"), utc_offset_minutes: 0 };
        consent_text(&text, language("en-GB"))
    }

    #[test]
    fn a_grant_reads_as_plain_words() {
        assert_eq!(
            text(&grant(), "Green Hill Clinic"),
            "Green Hill Clinic may read your lab results and letters. Why: treatment. From 1 January 2026 to 1 \
             March 2026. You can stop any day. No is fine: care goes on.",
            "who, what, why, how long, how to stop, what on no"
        );
    }

    #[test]
    fn no_grant_takes_more_than_sixty_words() {
        let mut longest = 0;
        for rights in 1..=7 {
            for n in 0..=8 {
                for (label, purpose) in
                    [(Label::Normal, Purpose::Operations), (Label::VeryRestricted, Purpose::PatientRequest)]
                {
                    let scope = Scope {
                        categories: Category::ALL[..n].to_vec(),
                        label,
                        records: vec![ContentId([0; 32]); usize::from(n == 0) * 12],
                    };
                    let study = (rights & 4 != 0).then_some(StudyId([1; 32]));
                    let grant = GrantEntry { scope, rights, purpose, study, one_time: true, ..grant() };
                    longest =
                        longest.max(text(&grant, "Dr Ana Maria Lima Green Hill").split_whitespace().count());
                }
            }
        }
        assert!((40..=60).contains(&longest), "the longest has {longest} words");
    }

    #[test]
    fn what_differs_in_the_grant_differs_in_the_text() {
        let base = text(&grant(), "D1");
        let changes: [fn(&mut GrantEntry); 8] = [
            |g| g.rights = 3,
            |g| g.rights = 4,
            |g| g.scope.categories = vec![Category::Imaging],
            |g| {
                g.scope =
                    Scope { categories: Vec::new(), label: Label::Normal, records: vec![ContentId([0; 32])] }
            },
            |g| g.scope.label = Label::Restricted,
            |g| g.until += DAY,
            |g| g.purpose = Purpose::Research,
            |g| g.one_time = true,
        ];
        for (i, change) in changes.iter().enumerate() {
            let mut other = grant();
            change(&mut other);
            assert_ne!(text(&other, "D1"), base, "change {i} shows");
        }
        let share = |anonymity| text(&GrantEntry { rights: 4, anonymity, ..grant() }, "D1");
        assert_ne!(share(Anonymity::AsIs), share(Anonymity::Anonymised), "anonymity shows");
    }

    #[test]
    fn a_name_cannot_change_the_text_around_it() {
        assert!(
            text(&grant(), "{what}\u{202e}\nAll").starts_with("{what}  All may read"),
            "braces, lines, direction"
        );
    }

    #[test]
    fn dates_are_those_of_the_calendar_and_of_the_desk() {
        assert_eq!(civil(0), (1970, 1, 1), "the first day");
        assert_eq!(civil(11_016), (2000, 2, 29), "a leap day of a century");
        assert_eq!(civil(20_512), (2026, 2, 28), "a month's end");
        let english = language("tlh");
        assert_eq!(english.tag, "en", "English where a language is missing");
        assert_eq!(
            date(20_512 * DAY + 23 * 3_600_000, 120, english),
            "1 March 2026",
            "east of UTC it is tomorrow"
        );
        assert_eq!(date(20_512 * DAY + 3_600_000, -120, english), "27 February 2026", "west it is yesterday");
    }
}

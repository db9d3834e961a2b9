//! What people of the story do, each as the requests that a portal would send.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hospes_import::{Category, Label, PatientIdentity};
use serde_json::{Value, json};

use super::failed::Failed;
use super::http::{Client, Refused, quoted};
use super::people::tap;
use super::samples::Sample;
use super::tap::{follow, list, needed, text, until};
use super::world::PIN;
use crate::words;

/// A list has at most this many pages here.
const PAGES_MAX: usize = 100;

/// The API's name of a category.
pub(crate) fn category_name(category: Category) -> &'static str {
    words::name(&words::CATEGORIES, &category)
}

/// Identifying data as enrolment takes them. A desk always knows a date of birth; where the file has none, the
/// demo's desk was shown this one.
pub(crate) fn identity(of: &PatientIdentity) -> Value {
    let identifiers: Vec<Value> =
        of.identifiers.iter().map(|i| json!({ "system": i.system, "value": i.value })).collect();
    json!({
        "family": of.family,
        "given": of.given,
        "birth_date": of.birth_date.as_deref().unwrap_or("1970-01-01"),
        "gender": of.gender,
        "postal_code": of.postal_code.as_deref().unwrap_or_default(),
        "identifiers": identifiers,
    })
}

/// What is filed beside the bytes.
pub(crate) struct Filing<'a> {
    /// The pseudonym.
    pub(crate) patient: &'a str,
    /// Its category.
    pub(crate) category: Category,
    /// Its label.
    pub(crate) label: Label,
    /// Its title.
    pub(crate) title: &'a str,
    /// The media type.
    pub(crate) media_type: &'a str,
    /// Whether an emergency summary is derived in the same tap.
    pub(crate) derive_summary: bool,
}

impl<'a> Filing<'a> {
    /// As the import proposes it for a sample.
    pub(crate) fn of(sample: &'a Sample, patient: &'a str) -> Self {
        Self {
            patient,
            category: sample.category,
            label: sample.label,
            title: &sample.title,
            media_type: &sample.media_type,
            derive_summary: sample.kind == super::samples::Kind::Fhir,
        }
    }

    /// A letter.
    pub(crate) const fn letter(patient: &'a str, title: &'a str) -> Self {
        let (category, label) = (Category::Letters, Label::Normal);
        Self { patient, category, label, title, media_type: "application/pdf", derive_summary: false }
    }
}

/// Files a record and gives its content id.
///
/// # Errors
/// The refusal of the upload or of its tap.
pub(crate) fn file(client: &Client, filing: &Filing<'_>, bytes: &[u8]) -> Result<String, Refused> {
    let path = format!(
        "/records?patient={}&category={}&label={}&title={}&media_type={}&derive_summary={}",
        quoted(filing.patient),
        category_name(filing.category),
        words::name(&words::LABELS, &filing.label),
        quoted(filing.title),
        quoted(filing.media_type),
        filing.derive_summary,
    );
    let begun = client.upload(&path, bytes)?;
    content_of(&follow(client, begun, PIN)?)
}

/// Reads a record whole.
///
/// # Errors
/// The refusal.
pub(crate) fn read(client: &Client, content: &str) -> Result<Vec<u8>, Refused> {
    client.bytes(&format!("/records/{content}/content"))
}

/// Takes a record out for a study.
///
/// # Errors
/// The refusal.
pub(crate) fn share(client: &Client, content: &str, study: &str) -> Result<Vec<u8>, Refused> {
    client.bytes(&format!("/records/{content}/content?study={study}"))
}

/// Reads a record that is on its way to this node, and says how long that took.
///
/// # Errors
/// [`Failed::Wrong`] with the last refusal.
pub(crate) fn read_soon(
    client: &Client,
    content: &str,
    at_most: Duration,
) -> Result<(Vec<u8>, Duration), Failed> {
    let mut last = String::new();
    let found = until(at_most, "reading", || match read(client, content) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(refused) => {
            last = refused.to_string();
            Ok(None)
        }
    });
    found.map_err(|f| f.doing(&last))
}

/// Reads until the node refuses, and says how long that took and with which code. A read during which the consent
/// ends breaks off.
///
/// # Errors
/// [`Failed::Wrong`] if it goes on reading.
pub(crate) fn refused_soon(
    client: &Client,
    content: &str,
    at_most: Duration,
) -> Result<(String, Duration), Failed> {
    until(at_most, "still reads", || match read(client, content) {
        Ok(_) | Err(Refused::Unreachable(_)) => Ok(None),
        Err(refused) => Ok(Some(refused.code().to_owned())),
    })
}

/// What a patient consents to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Consent<'a> {
    /// A person's id.
    pub(crate) person: &'a str,
    /// Categories by their names.
    pub(crate) categories: &'a [&'a str],
    /// `read`, `write`, `share`.
    pub(crate) rights: &'a [&'a str],
    /// From so many milliseconds after now.
    pub(crate) from_ms: u64,
    /// For so many milliseconds; a month where zero.
    pub(crate) for_ms: u64,
    /// Study and anonymity of a share right.
    pub(crate) study: Option<(&'a str, &'a str)>,
}

/// The patient consents; the content id of the grant.
///
/// # Errors
/// The refusal of the request or its tap.
pub(crate) fn consent(client: &Client, to: &Consent<'_>) -> Result<String, Refused> {
    let start = now_ms() + to.from_ms;
    let length = if to.for_ms == 0 { 30 * 24 * 3_600_000 } else { to.for_ms };
    let mut body = json!({
        "grantee": { "person": to.person },
        "categories": to.categories,
        "label": "normal",
        "rights": to.rights,
        "from": rfc3339(start),
        "until": rfc3339(start + length),
        "purpose": if to.study.is_some() { "research" } else { "treatment" },
    });
    if let Some((study, anonymity)) = to.study {
        body["study"] = json!(study);
        body["anonymity"] = json!(anonymity);
    }
    content_of(&tap(client, "/grants", &body)?)
}

/// The patient withdraws grants, all in one tap.
///
/// # Errors
/// The refusal of the request or its tap.
pub(crate) fn revoke(client: &Client, grants: &[String]) -> Result<(), Refused> {
    tap(client, "/grants/revoke", &json!({ "grants": grants })).map(|_| ())
}

/// A whole list, page by page.
///
/// # Errors
/// The refusal of a page.
pub(crate) fn all(client: &Client, path: &str) -> Result<Vec<Value>, Refused> {
    let joint = if path.contains('?') { '&' } else { '?' };
    let (mut entries, mut cursor) = (Vec::new(), String::new());
    for _ in 0..PAGES_MAX {
        let next =
            if cursor.is_empty() { String::new() } else { format!("{joint}cursor={}", quoted(&cursor)) };
        let page = client.get(&format!("{path}{next}"))?;
        entries.extend(list(&page));
        cursor = text(&page, "next_cursor").to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    Ok(entries)
}

/// How far an entry is, as its list shows it: `signed`, `final` or `void`.
pub(crate) fn finality(entry: &Value) -> &str {
    entry.get("finality").map_or("", |f| text(f, "state"))
}

/// The number of nodes known to hold it.
pub(crate) fn holders(entry: &Value) -> u64 {
    entry.get("finality").and_then(|f| f.get("holders")).and_then(Value::as_u64).unwrap_or_default()
}

/// Waits until a record, which may still be on its way, is final as the node shows it, and says how long that took.
///
/// # Errors
/// [`Failed::Wrong`] after `at_most`.
pub(crate) fn final_soon(client: &Client, content: &str, at_most: Duration) -> Result<Duration, Failed> {
    let (_, took) = until(at_most, "becoming final", || match client.get(&format!("/records/{content}")) {
        Ok(entry) => Ok((finality(&entry) == "final").then_some(())),
        // A record that isn't here yet and one that may not be seen are one answer.
        Err(refused) if refused.is_denial() => Ok(None),
        Err(refused) => Err(refused.into()),
    })?;
    Ok(took)
}

// A tap that files records names a list, whose first is what was uploaded.
fn content_of(result: &Value) -> Result<String, Refused> {
    let first = |key| needed(result, key).ok();
    let listed = || needed(result.get("records")?.get(0)?, "content").ok();
    let found = listed().or_else(|| first("content")).or_else(|| first("grant"));
    found.ok_or_else(|| Refused::Unreachable("the tap's result names no content".into()))
}

/// Milliseconds since 1970 UTC.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn rfc3339(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms).map(|t| t.to_string()).unwrap_or_default()
}

//! Answers as text for people: fields, tables, progress.
//!
//! What comes from a node is shown without control characters.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

/// Work under this time shows no progress.
const QUIET: Duration = Duration::from_secs(1);
/// What a bar shows.
const TEMPLATE: &str = "{bar:30} {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";
/// Characters of one cell, at most.
const CELL_CHARS_MAX: usize = 66;

/// A text field; empty where there is none.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A value by a path such as `finality.state`.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |v, key| v.get(key).unwrap_or(&Value::Null))
}

/// A value on one line.
fn cell(value: &Value) -> String {
    let line = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            fields.iter().map(|(k, v)| format!("{k} {}", cell(v))).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn short(text: String) -> String {
    match text.char_indices().nth(CELL_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A line for each field.
pub(crate) fn fields(value: &Value) -> String {
    let Value::Object(fields) = value else { return cell(value) };
    let shown: Vec<_> = fields.iter().filter(|(_, v)| !v.is_null()).collect();
    let width = shown.iter().map(|(k, _)| k.chars().count()).max().unwrap_or(0);
    let line = |(key, value): &(&String, &Value)| format!("{key:<width$}  {}", cell(value));
    shown.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Rows under headings; the last column is not padded.
pub(crate) fn table(columns: &[(&str, &str)], rows: &[Value]) -> String {
    let heading = columns.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
    let row = |value: &Value| columns.iter().map(|(_, path)| short(cell(at(value, path)))).collect();
    let all: Vec<Vec<String>> = std::iter::once(heading).chain(rows.iter().map(row)).collect();
    let width = |i: usize| all.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(c, w)| format!("{c:<w$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A time as RFC 3339 in UTC; empty for one that no calendar has.
pub(crate) fn time(ms: u64) -> String {
    let ms = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    ms.map_or_else(String::new, |t| t.to_string())
}

/// A bar for what takes over a second; none where stderr is no terminal.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    begun: Instant,
    total: Option<u64>,
}

impl Progress {
    /// Of bytes.
    pub(crate) fn bytes(total: Option<u64>) -> Self {
        Self { bar: None, begun: Instant::now(), total }
    }

    /// So much is done.
    pub(crate) fn at(&mut self, done: u64) {
        if self.bar.is_none() && self.begun.elapsed() > QUIET && std::io::stderr().is_terminal() {
            let style =
                ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = self.total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            self.bar = Some(bar.with_style(style));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_lines_up_and_reaches_into_fields() {
        let rows = [json!({"name": "A\u{1b}", "f": {"state": "final"}}), json!({"name": "Bee", "f": null})];
        let shown = table(&[("NAME", "name"), ("STATE", "f.state")], &rows);
        assert_eq!(shown, "NAME  STATE\nA     final\nBee", "no escapes, no trailing spaces");
    }

    #[test]
    fn fields_leave_out_what_is_not_there() {
        assert_eq!(fields(&json!({"a": 1, "bb": null, "ccc": ["x", "y"]})), "a    1\nccc  x, y", "aligned");
    }
}

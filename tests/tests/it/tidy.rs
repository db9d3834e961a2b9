//! The rules of the house that a compiler doesn't hold: who may depend on whom, what a file may look like, which
//! versions and licences come in.
//!
//! Method: each check is a function from what it looks at to a list of violations. Its test demands an empty list for
//! this repository, and a list that names the culprit for a violation planted beside it: a checker that was never seen
//! to fail counts as not built. Replay: `cargo test -p hospes-tests tidy::`.

mod dependencies;
mod files;
mod manifest;

/// Fails with the violations, one in each line.
#[track_caller]
pub(crate) fn assert_none(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}:\n  {}", violations.join("\n  "));
}

/// The positive control: the planted culprit, and nothing else, is named.
#[track_caller]
pub(crate) fn assert_names(violations: &[String], culprit: &str) {
    assert_eq!(violations.len(), 1, "the planted violation is seen, and only it: {violations:?}");
    assert!(violations[0].contains(culprit), "{culprit} is named in {violations:?}");
}

//! The root manifest and the lock file: versions that must not fall below, dependencies that say what they are for.

use std::cmp::Ordering;

use crate::tidy::{assert_names, assert_none};
use crate::tree::{Source, TRACKED, file};

/// Versions below these have holes that advisory databases mostly miss. A crate that isn't locked breaks nothing.
const FLOORS: [(&str, &str); 7] = [
    ("libp2p-gossipsub", "0.50.1"),
    ("yamux", "0.14.1"),
    ("libp2p-rendezvous", "0.17.1"),
    ("libp2p-quic", "0.13.1"),
    ("quinn-proto", "0.11.15"),
    ("snow", "0.9.5"),
    ("redb", "4.4.0"),
];

/// Name and version of each locked package.
fn locked(lock: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut name = "";
    for line in lock.lines() {
        if let Some(text) = quoted(line, "name = ") {
            name = text;
        } else if let Some(version) = quoted(line, "version = ") {
            found.push((name, version));
        }
    }
    found
}

fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix('"')?.strip_suffix('"')
}

/// Number by number; what follows a hyphen (a pre-release) is left out.
fn compare(left: &str, right: &str) -> Ordering {
    let numbers = |version: &str| -> Vec<u64> {
        let release = version.split(['-', '+']).next().unwrap_or_default();
        release.split('.').map(|part| part.parse().unwrap_or(0)).collect()
    };
    numbers(left).cmp(&numbers(right))
}

fn below_floors(lock: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, version) in locked(lock) {
        let floor = FLOORS.iter().find(|(floored, _)| *floored == name);
        if let Some((_, floor)) = floor.filter(|(_, floor)| compare(version, floor).is_lt()) {
            found.push(format!("{name} {version} is below {floor}"));
        }
    }
    found
}

#[test]
fn no_dependency_falls_below_its_floor() {
    let lock = file("Cargo.lock");
    assert_none("versions with known holes stay out", &below_floors(&lock));
    let low = "[[package]]\nname = \"snow\"\nversion = \"0.9.4\"\n\n[[package]]\nname = \"redb\"\nversion = \"4.10.0\"\n";
    assert_names(&below_floors(low), "snow 0.9.4");
    assert!(locked(&lock).len() > 100, "the lock file was read");
    assert!(
        locked(&lock).iter().any(|(name, _)| *name == "libp2p-gossipsub"),
        "gossip is there to be checked"
    );
}

/// First lines of groups under `[workspace.dependencies]` that no comment introduces. Our own packages need none.
fn unexplained(manifest: &str) -> Vec<String> {
    let section = manifest.split("\n[workspace.dependencies]\n").nth(1).unwrap_or_default();
    let mut found = Vec::new();
    let mut introduced = false;
    for line in section.lines().take_while(|line| !line.starts_with('[')) {
        if line.trim().is_empty() {
            introduced = false;
        } else if line.starts_with('#') {
            introduced = true;
        } else if !introduced && !line.starts_with("hospes") {
            found.push(format!("nothing says what {line} is for"));
        }
    }
    found
}

#[test]
fn each_group_of_dependencies_says_what_it_is_for() {
    let manifest = file("Cargo.toml");
    assert_none("each group has a comment", &unexplained(&manifest));
    assert!(manifest.contains("\n[workspace.dependencies]\n"), "the section was found");
    let planted = "[x]\n\n[workspace.dependencies]\n# Clocks.\na = \"1\"\nb = \"1\"\n\nc = \"1\"\n[profile.dev]\nd = 1\n";
    assert_names(&unexplained(planted), "c = ");
}

/// What tests switch on in our code, each where its feature is empty.
const OF_TESTS: [&str; 4] = ["failpoints", "memo", "mutants", "test-root"];

/// Features of tests that a release could be built with: their package holds no line that refuses it.
fn admitted_by_a_release(files: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for manifest in files.iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        let folder = manifest.path.trim_end_matches("Cargo.toml");
        for name in OF_TESTS.iter().filter(|name| manifest.text.contains(&format!("\n{name} = []\n"))) {
            let refusal =
                format!("#[cfg(all(feature = \"{name}\", not(debug_assertions)))]\ncompile_error!(");
            let refuses = |file: &Source| file.path.starts_with(folder) && file.text.contains(&refusal);
            if !files.iter().any(refuses) {
                found.push(format!("{}: {name}", manifest.path));
            }
        }
    }
    found
}

#[test]
fn a_release_can_not_be_built_with_what_tests_switch_on() {
    assert_none(
        "every such feature is refused by a build without debug assertions",
        &admitted_by_a_release(&TRACKED),
    );
    let planted = [
        Source::new("card/Cargo.toml", "[features]\ntest-root = []\n"),
        Source::new("card/src/roots.rs", "#[cfg(feature = \"test-root\")]\ncompile_error!(\"no\");\n"),
        Source::new("protocol/Cargo.toml", "[features]\nmemo = []\n"),
        Source::new(
            "protocol/src/memo.rs",
            "#[cfg(all(feature = \"memo\", not(debug_assertions)))]\ncompile_error!(\"no\");\n",
        ),
    ];
    assert_names(&admitted_by_a_release(&planted), "card/Cargo.toml: test-root");
    let root = std::fs::read_to_string(crate::tree::root().join("card/Cargo.toml")).unwrap();
    assert!(root.contains("\ntest-root = []\n"), "the feature of the test root was looked at");
}

/// From the workspace, or the package itself with a feature for its own tests.
fn from_the_workspace(line: &str) -> bool {
    line.starts_with('#') || line.contains("workspace = true") || line.contains("path = \".\"")
}

/// A package outside the workspace has a lock file of its own, and versions of its own.
fn stands_alone(manifest: &Source) -> bool {
    manifest.text.lines().any(|line| line == "[workspace]")
}

/// Dependencies of a member that state a version of their own.
fn pinned_apart(files: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    let manifests = files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    for file in manifests.filter(|file| !stands_alone(file)) {
        let mut among_dependencies = false;
        for line in file.text.lines() {
            if line.starts_with('[') {
                among_dependencies = line.ends_with("dependencies]");
            } else if among_dependencies && line.contains('=') && !from_the_workspace(line) {
                found.push(format!("{}: {line}", file.path));
            }
        }
    }
    found
}

#[test]
fn versions_are_stated_once() {
    assert_none("a member takes its dependencies from the workspace", &pinned_apart(&TRACKED));
    let planted = [
        Source::new("a/Cargo.toml", "[dependencies]\nredb = \"4\"\n[lib]\ndoctest = false\n"),
        Source::new("c/Cargo.toml", "[workspace]\n[dependencies]\nredb = \"4\"\n"),
        Source::new(
            "b/Cargo.toml",
            "[dev-dependencies]\nredb.workspace = true\nserde = { workspace = true }\nb = { path = \".\" }\n",
        ),
    ];
    assert_names(&pinned_apart(&planted), "a/Cargo.toml: redb");
}

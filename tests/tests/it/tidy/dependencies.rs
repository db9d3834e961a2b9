//! Who depends on whom, and what comes in from outside: direction, sources, licences.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::tidy::{assert_names, assert_none};
use crate::tree::{BUILT, METADATA};

/// For each of our packages, in the order of the layers, which others of ours it may use.
const MAY_USE: [(&str, &[&str]); 11] = [
    ("hospes-protocol", &[]),
    ("hospes-import", &["hospes-protocol"]),
    ("hospes-storage", &["hospes-protocol"]),
    ("hospes-card", &["hospes-protocol"]),
    ("hospes-breakglass", &["hospes-protocol"]),
    ("hospes-net", &["hospes-protocol"]),
    ("hospes-service", &["hospes-protocol", "hospes-storage", "hospes-breakglass"]),
    (
        "hospes",
        &[
            "hospes-protocol",
            "hospes-storage",
            "hospes-card",
            "hospes-breakglass",
            "hospes-service",
            "hospes-import",
            "hospes-net",
        ],
    ),
    ("hospes-sim", &["hospes-protocol", "hospes-storage", "hospes-breakglass", "hospes-service"]),
    ("hospes-virtual-card", &["hospes-protocol", "hospes-card"]),
    (
        "hospes-tests",
        &[
            "hospes-protocol",
            "hospes-storage",
            "hospes-card",
            "hospes-breakglass",
            "hospes-service",
            "hospes-import",
            "hospes-net",
            "hospes",
        ],
    ),
];

/// Which packages alone may name a crate in what they ship. The tests of any package may use what they like.
const NAMED_BY: [(&str, &[&str]); 15] = [
    ("redb", &["hospes-storage"]),
    ("pcsc", &["hospes-card"]),
    ("yubikey", &["hospes-card"]),
    ("openpgp-card", &["hospes-card"]),
    ("argon2", &["hospes-card", "hospes"]),
    ("blst", &["hospes-breakglass"]),
    ("blstrs", &["hospes-breakglass"]),
    ("blsttc", &["hospes-breakglass"]),
    ("threshold_crypto", &[]),
    ("tokio", &["hospes", "hospes-net"]),
    ("libp2p", &["hospes", "hospes-net"]),
    ("libp2p-stream", &["hospes", "hospes-net"]),
    ("axum", &["hospes"]),
    ("serde_json", &["hospes", "hospes-import", "hospes-tests", "hospes-virtual-card"]),
    ("arc-malachitebft-core-consensus", &["hospes-service"]),
];

/// Licences that may come in, by SPDX name.
const LICENCES: [&str; 18] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BlueOak-1.0.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn ours(metadata: &Value) -> impl Iterator<Item = &Value> {
    packages(metadata).filter(|package| package["source"].is_null())
}

fn dependencies(package: &Value) -> impl Iterator<Item = &Value> {
    package["dependencies"].as_array().into_iter().flatten()
}

/// Uses of our packages by each other that go against the layers, tests included.
fn against_the_layers(metadata: &Value) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    let mut found = Vec::new();
    for package in ours(metadata) {
        let name = text(package, "name");
        let Some(may_use) = allowed.get(name) else {
            found.push(format!("{name} has no place among the layers"));
            continue;
        };
        for used in
            dependencies(package).map(|one| text(one, "name")).filter(|used| allowed.contains_key(used))
        {
            // A package may switch on a feature of its own for its own tests.
            if used != name && !may_use.contains(&used) {
                found.push(format!("{name} may not use {used}"));
            }
        }
    }
    found
}

/// Crates named by a package that has no business with them.
fn named_elsewhere(metadata: &Value) -> Vec<String> {
    let keepers: BTreeMap<&str, &[&str]> = NAMED_BY.into_iter().collect();
    let mut found = Vec::new();
    for package in ours(metadata) {
        let name = text(package, "name");
        let shipped = dependencies(package).filter(|one| text(one, "kind") != "dev");
        for used in shipped.map(|one| text(one, "name")) {
            if keepers.get(used).is_some_and(|by| !by.contains(&name)) {
                found.push(format!("{name} may not name {used}"));
            }
        }
    }
    found
}

fn planted(name: &str, dependencies: &[(&str, &str)]) -> Value {
    let dependencies: Vec<Value> =
        dependencies.iter().map(|(name, kind)| json!({"name": name, "kind": kind})).collect();
    json!({"name": name, "source": null, "dependencies": dependencies})
}

#[test]
fn packages_depend_in_one_direction() {
    assert_none("protocol <- storage, card, breakglass <- node <- tests", &against_the_layers(&METADATA));
    let allowed = planted("hospes-storage", &[("hospes-protocol", ""), ("hospes-storage", "dev")]);
    let forbidden = planted("hospes-protocol", &[("hospes-storage", "dev")]);
    assert_names(
        &against_the_layers(&json!({"packages": [allowed, forbidden]})),
        "hospes-protocol may not use",
    );
    let stranger = json!({"packages": [planted("hospes-extra", &[])]});
    assert_names(&against_the_layers(&stranger), "hospes-extra has no place");
    assert_eq!(ours(&METADATA).count(), MAY_USE.len(), "every layer exists, so that no rule is empty");
}

#[test]
fn each_library_has_one_keeper() {
    assert_none("a library is named only where it belongs", &named_elsewhere(&METADATA));
    let allowed = planted("hospes-storage", &[("redb", "")]);
    let in_tests = planted("hospes-protocol", &[("serde_json", "dev")]);
    let forbidden = planted("hospes-protocol", &[("tokio", "")]);
    let metadata = json!({"packages": [allowed, in_tests, forbidden]});
    assert_names(&named_elsewhere(&metadata), "hospes-protocol may not name tokio");
}

/// Packages that come from anywhere but the one registry.
fn foreign(metadata: &Value) -> Vec<String> {
    packages(metadata)
        .filter(|package| package["source"].as_str().is_some_and(|from| !from.ends_with("/crates.io-index")))
        .map(|package| format!("{} comes from {}", text(package, "name"), text(package, "source")))
        .collect()
}

#[test]
fn dependencies_come_from_one_registry() {
    assert_none("sources are crates.io and this repository", &foreign(&METADATA));
    let good = json!({"name": "good", "source": "registry+https://example/crates.io-index"});
    let bad = json!({"name": "bad", "source": "git+https://example/bad.git"});
    assert_names(&foreign(&json!({"packages": [good, bad]})), "bad comes from git+");
}

fn unlicensed(metadata: &Value) -> Vec<String> {
    packages(metadata)
        .filter(|package| !permits(text(package, "license")))
        .map(|package| format!("{} {}", text(package, "name"), package["license"]))
        .collect()
}

/// Whether an SPDX expression leaves a choice that is allowed. A slash is the old way to write OR.
fn permits(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    any_of(&mut words) && words.peek().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>) -> bool {
    let mut permitted = all_of(words);
    while words.next_if_eq(&"OR").is_some() {
        permitted |= all_of(words);
    }
    permitted
}

fn all_of(words: &mut Words<'_>) -> bool {
    let mut permitted = licence(words);
    while words.next_if_eq(&"AND").is_some() {
        permitted &= licence(words);
    }
    permitted
}

fn licence(words: &mut Words<'_>) -> bool {
    match words.next() {
        Some("(") => any_of(words) && words.next() == Some(")"),
        Some(name) => match words.next_if_eq(&"WITH").and_then(|_| words.next()) {
            Some(exception) => LICENCES.contains(&format!("{name} WITH {exception}").as_str()),
            None => LICENCES.contains(&name),
        },
        None => false,
    }
}

#[test]
fn licences_of_dependencies_are_on_the_list() {
    assert_none("each licence is on the list", &unlicensed(&METADATA));
    let good = json!({"name": "good", "license": "GPL-3.0-only OR (MIT AND Zlib)"});
    let bad = json!({"name": "bad", "license": "MIT AND GPL-3.0-only"});
    assert_names(&unlicensed(&json!({"packages": [good, bad]})), "bad");
    assert_names(&unlicensed(&json!({"packages": [{"name": "silent", "license": null}]})), "silent");
    for (expression, expected) in [
        ("MIT/Apache-2.0", true),
        ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
        ("GPL-2.0 WITH Classpath-exception-2.0", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("MIT MIT", false),
        ("(MIT", false),
        ("", false),
    ] {
        assert_eq!(permits(expression), expected, "{expression:?}");
    }
}

/// Packages that bring in a resolver with an open advisory. Cargo locks them for weak features of libp2p, and
/// `cargo metadata` lists what is locked, so this looks at the tree of what is built, one `name version` in each line.
fn resolvers(built: &str) -> Vec<String> {
    let names: BTreeSet<&str> = built.lines().filter_map(|line| line.split(' ').next()).collect();
    let forbidden =
        |name: &&&str| ["libp2p-dns", "libp2p-mdns"].contains(*name) || name.starts_with("hickory-");
    names.iter().filter(forbidden).map(|name| format!("{name} is built")).collect()
}

#[test]
fn libp2p_resolves_no_names() {
    assert_none("dns and mdns of libp2p stay off", &resolvers(&BUILT));
    assert!(BUILT.lines().any(|line| line.starts_with("libp2p-tcp ")), "the tree of libp2p was read");
    assert_names(
        &resolvers("libp2p v0.57.1\nlibp2p-mdns v0.49.0\nlibp2p-mdns v0.49.0 (*)\n"),
        "libp2p-mdns is built",
    );
}

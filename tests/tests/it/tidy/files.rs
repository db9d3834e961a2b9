//! What a tracked file may look like and where it may lie.

use crate::tidy::{assert_names, assert_none};
use crate::tree::{Source, TRACKED};

const LINES_MAX: usize = 800;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "helper", "misc", "shared"];

/// What may stand at the top of the repository.
const TOP_LEVEL: [&str; 15] = [
    ".ci",
    ".clippy.toml",
    ".gitattributes",
    ".gitignore",
    ".rustfmt.toml",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "breakglass",
    "card",
    "node",
    "protocol",
    "storage",
];

/// Packages whose sources may touch no file, socket, clock or randomness of the system.
const PURE: [&str; 4] = ["protocol/src/", "breakglass/src/", "node/service/src/", "node/import/src/"];

const IMPURE: [&str; 11] = [
    "std::fs",
    "std::net",
    "std::process",
    "SystemTime",
    "Instant",
    "getrandom",
    "OsRng",
    "SysRng",
    "thread_rng",
    "rand::rng",
    "std::env",
];

fn rust(files: &[Source]) -> impl Iterator<Item = &Source> {
    files.iter().filter(|file| file.ends_with(".rs"))
}

fn without_header(files: &[Source]) -> Vec<String> {
    let opens = |file: &&Source| !file.text.starts_with("//! ");
    rust(files).filter(opens).map(|file| format!("{} does not open with what it is", file.path)).collect()
}

#[test]
fn each_source_opens_with_what_it_is() {
    assert_none("each .rs file opens with //!", &without_header(&TRACKED));
    let planted = [Source::new("a.rs", "//! What it is.\n"), Source::new("b.rs", "use std::io;\n//! late\n")];
    assert_names(&without_header(&planted), "b.rs");
}

fn too_long(files: &[Source]) -> Vec<String> {
    let lines = |file: &Source| file.text.lines().count();
    rust(files)
        .filter(|file| lines(file) > LINES_MAX)
        .map(|file| format!("{} has {} lines", file.path, lines(file)))
        .collect()
}

#[test]
fn no_source_is_longer_than_800_lines() {
    assert_none("files stop at 800 lines", &too_long(&TRACKED));
    let planted = [Source::new("a.rs", &"\n".repeat(800)), Source::new("b.rs", &"\n".repeat(801))];
    assert_names(&too_long(&planted), "b.rs has 801");
}

/// Words that promise something, in pieces so that this file doesn't hold them.
fn promises(files: &[Source]) -> Vec<String> {
    let words = [["to", "do!("], ["unimple", "mented!("], ["TO", "DO"], ["FIX", "ME"], ["XX", "X"]]
        .map(|two| two.concat());
    let read = [".rs", ".py", ".md", ".toml", ".sh", ".js", ".html", "/run", "/setup"];
    let mut found = Vec::new();
    for file in files.iter().filter(|file| read.iter().any(|end| file.ends_with(end))) {
        for (number, line) in file.text.lines().enumerate() {
            if words.iter().any(|word| holds_word(line, word)) {
                found.push(format!("{}:{} {}", file.path, number + 1, line.trim()));
            }
        }
    }
    found
}

/// The word with no letter, digit or underscore directly before or after it.
fn holds_word(line: &str, word: &str) -> bool {
    let joins = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    line.match_indices(word).any(|(at, _)| {
        let open = word.ends_with(['(', ':']);
        !joins(line[..at].chars().next_back()) && (open || !joins(line[at + word.len()..].chars().next()))
    })
}

#[test]
fn nothing_is_promised_in_the_sources() {
    assert_none("no stubs and no notes about work to come", &promises(&TRACKED));
    let stub = Source::new("a.rs", &format!("fn late() {{ {}{}) }}", "to", "do!("));
    assert_names(&promises(&[stub, Source::new("b.rs", "let mastodon = \"mXXXm\";")]), "a.rs:1");
    let note = Source::new("a.py", &format!("# {}: later", ["FIX", "ME"].concat()));
    assert_names(&promises(&[note]), "a.py:1");
}

fn empty_names(files: &[Source]) -> Vec<String> {
    let stem = |part: &str| part.split('.').next().unwrap_or_default().to_owned();
    let says_nothing =
        |file: &&Source| file.path.split('/').any(|part| EMPTY_NAMES.contains(&stem(part).as_str()));
    rust(files).filter(says_nothing).map(|file| format!("{} says nothing by its name", file.path)).collect()
}

#[test]
fn names_of_modules_say_what_is_inside() {
    assert_none("no module is called utils or the like", &empty_names(&TRACKED));
    let planted = [Source::new("node/src/utils/time.rs", ""), Source::new("node/src/utilisation.rs", "")];
    assert_names(&empty_names(&planted), "utils/time.rs");
}

fn without_readme(files: &[Source]) -> Vec<String> {
    let present = |path: &str| files.iter().any(|file| file.path == path);
    let manifests = files.iter().filter_map(|file| file.path.strip_suffix("Cargo.toml"));
    manifests
        .map(|folder| format!("{folder}README.md"))
        .filter(|readme| !present(readme))
        .map(|readme| format!("{readme} is missing"))
        .collect()
}

#[test]
fn each_package_has_a_readme() {
    assert_none("each folder with a package says what lives there", &without_readme(&TRACKED));
    let planted = ["Cargo.toml", "README.md", "node/Cargo.toml"].map(|path| Source::new(path, ""));
    assert_names(&without_readme(&planted), "node/README.md");
}

/// Folders of a person's machine and settings of a package registry; sample data may hold anything.
fn local_to_a_machine(files: &[Source]) -> Vec<String> {
    let folders = ["work", "root", "farm"].map(|name| ["/", name, "/"].concat());
    let settings = [["index-", "url"], ["replace-", "with ="]].map(|two| two.concat());
    let home = ["/", "home", "/"].concat();
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !file.path.contains("/samples/") && !file.ends_with(".lock")) {
        for (number, line) in file.text.lines().enumerate() {
            let starts =
                |part: &String| line.match_indices(part.as_str()).any(|(at, _)| begins_a_path(&line[..at]));
            let registry = settings.iter().any(|name| line.contains(name.as_str()));
            if folders.iter().any(starts) || starts(&home) || registry {
                found.push(format!("{}:{} {}", file.path, number + 1, line.trim()));
            }
        }
    }
    found
}

/// Whether what follows starts at the root of the file system: not in the middle of a longer path.
fn begins_a_path(before: &str) -> bool {
    !before
        .ends_with(|last: char| last.is_alphanumeric() || matches!(last, '.' | '_' | '-' | '}' | ')' | '/'))
}

#[test]
fn nothing_depends_on_one_machine() {
    assert_none("no folder of a machine, no address of a registry", &local_to_a_machine(&TRACKED));
    let path = Source::new("a.md", &format!("see {}project", ["/", "work", "/"].concat()));
    assert_names(&local_to_a_machine(&[path, Source::new("b.md", "in net/work/here")]), "a.md:1");
    let setting = Source::new("pip.conf", &format!("{}url = x", "index-"));
    assert_names(&local_to_a_machine(&[setting]), "pip.conf:1");
}

fn misplaced(files: &[Source]) -> Vec<String> {
    let mut tops: Vec<&str> = files.iter().filter_map(|file| file.path.split('/').next()).collect();
    tops.dedup();
    let strange = |top: &&&str| **top != "tests" && !TOP_LEVEL.contains(*top);
    tops.iter().filter(strange).map(|top| format!("{top} does not belong at the top")).collect()
}

#[test]
fn the_top_of_the_repository_holds_only_its_parts() {
    assert_none("the top level is the map of the project", &misplaced(&TRACKED));
    let planted = ["tests/run", "notes.txt", "node/src/main.rs"].map(|path| Source::new(path, ""));
    assert_names(&misplaced(&planted), "notes.txt");
}

/// Uses of the system outside comments and test modules.
fn impure(files: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for file in rust(files).filter(|file| PURE.iter().any(|folder| file.path.starts_with(folder))) {
        if file.path.contains("/tests") || file.path.contains("/bin/") {
            continue;
        }
        let code = file.text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default();
            if IMPURE.iter().any(|name| holds_word(line, name)) {
                found.push(format!("{}:{} {}", file.path, number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn what_decides_touches_no_file_socket_clock_or_system_randomness() {
    assert_none("time and randomness are arguments; IO is elsewhere", &impure(&TRACKED));
    let planted = [
        Source::new("protocol/src/a.rs", "// SystemTime is not for us\nfn now() { SystemTime::now(); }"),
        Source::new("storage/src/b.rs", "use std::fs::File;"),
        Source::new("protocol/src/c.rs", "#[cfg(test)]\nmod tests {\n use std::fs::File;\n}"),
    ];
    assert_names(&impure(&planted), "protocol/src/a.rs:2");
}

//! TRACE.md names, for each requirement, tests that exist, or says that it is not met yet; THREATS.md does for each
//! threat.
//!
//! Method: the table is read line by line; a name in backticks is a function under `#[test]`, a step that the demo
//! has (`demo:ID`), or a tracked file. Replay: `cargo test -p hospes-tests trace::`.

use std::collections::BTreeSet;

use crate::tidy::{assert_names, assert_none};
use crate::tree::{Source, TRACKED, file};

/// Requirements are numbered from 1 to this.
const LAST: u32 = 152;

const UNMET: &str = "not met yet";

/// Where the steps of the demo stand.
const STEPS: &str = "node/src/demo/steps/mod.rs";

/// What a row may refer to.
struct Known {
    tests: BTreeSet<String>,
    steps: BTreeSet<String>,
    files: BTreeSet<String>,
}

impl Known {
    fn of(sources: &[Source]) -> Self {
        let rust = sources.iter().filter(|source| source.ends_with(".rs"));
        let tests = rust.flat_map(|source| tests_in(&source.text)).collect();
        let steps = sources.iter().filter(|source| source.path == STEPS);
        let steps = steps.flat_map(|source| steps_in(&source.text)).collect();
        Self { tests, steps, files: sources.iter().map(|source| source.path.clone()).collect() }
    }

    fn holds(&self, name: &str) -> bool {
        match name.strip_prefix("demo:") {
            Some(step) => self.steps.contains(step),
            None => self.tests.contains(name) || self.files.contains(name),
        }
    }
}

/// The first argument of each `step(…)` of the table, where that is a text.
fn steps_in(text: &str) -> Vec<String> {
    let id = |call: &str| call.trim_start().strip_prefix('"')?.split_once('"').map(|(id, _)| id.to_owned());
    text.split("step(").skip(1).filter_map(id).collect()
}

/// Names of the functions that follow a test attribute, other attributes between them allowed.
fn tests_in(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            marked |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| marked) {
            found.extend(rest.split(['(', '<']).next().map(str::to_owned));
            marked = false;
        } else if marked && !line.starts_with("//") && line.ends_with('{') {
            // `proptest! {` and the like keep the attribute inside.
            marked = false;
        }
    }
    found
}

/// Number and last cell of each row.
fn rows(table: &str) -> Vec<(u32, &str)> {
    let cells = |line: &'_ str| -> Option<(u32, usize)> {
        let number = line.strip_prefix("| ")?.split(" | ").next()?.parse().ok()?;
        Some((number, line.trim_end_matches([' ', '|']).rfind(" | ")? + 3))
    };
    let row = |line| {
        cells(line).map(|(number, at): (u32, usize)| (number, line[at..].trim_end_matches([' ', '|'])))
    };
    table.lines().filter_map(row).collect()
}

fn in_backticks(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn untraced(table: &str, known: &Known) -> Vec<String> {
    let rows = rows(table);
    let mut found = Vec::new();
    for number in 1..=LAST {
        let count = rows.iter().filter(|(row, _)| *row == number).count();
        if count != 1 {
            found.push(format!("requirement {number} has {count} rows"));
        }
    }
    for (number, cell) in rows {
        let names = in_backticks(cell);
        if number == 0 || number > LAST {
            found.push(format!("there is no requirement {number}"));
        }
        if names.is_empty() && cell != UNMET {
            found.push(format!("requirement {number} neither names a test nor says \"{UNMET}\""));
        }
        for name in names.iter().filter(|name| !known.holds(name)) {
            found.push(format!("requirement {number} names {name}, which does not exist"));
        }
    }
    found
}

#[test]
fn every_requirement_names_tests_that_exist_or_is_not_met_yet() {
    let known = Known::of(&TRACKED);
    assert!(
        known.tests.contains("every_requirement_names_tests_that_exist_or_is_not_met_yet"),
        "tests are found"
    );
    let table = file("tests/TRACE.md");
    assert_none("TRACE.md is whole and true", &untraced(&table, &known));
    let met = rows(&table).iter().filter(|(_, cell)| *cell != UNMET).count();
    eprintln!("{met} of {LAST} requirements are traced to what shows them, in whole or in part");

    let damaged = table.replacen("| 77 | ", "| 78 | ", 1);
    assert_eq!(untraced(&damaged, &known).len(), 2, "a missing row and a double one are both seen");
    let replaced = |cell: &str| {
        let lines = table.lines().map(|line| match line.starts_with("| 152 | ") {
            true => format!("| 152 | turnaround | {cell} |\n"),
            false => format!("{line}\n"),
        });
        untraced(&lines.collect::<String>(), &known)
    };
    assert_names(&replaced("`a_test_that_nobody_wrote`"), "a_test_that_nobody_wrote");
    assert_names(&replaced("soon"), "requirement 152 neither");
    assert_none("a demo step counts", &replaced("partly: `demo:4a`; no courier"));
    assert_names(&replaced("`demo:4z`"), "demo:4z");
}

#[test]
fn only_functions_under_a_test_attribute_count_as_tests() {
    let text = "#[test]\nfn first() {}\nfn second() {}\n#[tokio::test(start_paused = true)]\n#[expect(x)]\nasync fn \
                third() {}\n#[cfg(test)]\nmod tests {\n";
    assert_eq!(tests_in(text), ["first", "third"], "what merely stands in a test module is no test");
}

#[test]
fn only_calls_with_an_id_count_as_steps() {
    let text = "const fn step(\n    id: &str,\n)\n &[\n step(\"1a\", \"claim\", 5),\n step(\n  \"1b\",\n  \"c\",\n ),\n]";
    assert_eq!(steps_in(text), ["1a", "1b"], "on one line or several, and not the function itself");
}

/// The cells of each row of THREATS.md: threat, what holds, shown by, what doesn't hold.
fn threats(table: &str) -> Vec<Vec<&str>> {
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| threat |"));
    rows.map(|line| line.trim_matches([' ', '|']).split(" | ").map(str::trim).collect()).collect()
}

fn unshown(table: &str, known: &Known) -> Vec<String> {
    let mut found = Vec::new();
    for row in threats(table) {
        let [threat, _, shown, _] = row[..] else {
            found.push(format!("{} has {} cells instead of four", row[0], row.len()));
            continue;
        };
        let names = in_backticks(shown);
        if names.is_empty() {
            found.push(format!("{threat}: nothing shows it"));
        }
        let unknown = names.iter().filter(|name| !known.holds(name));
        found.extend(unknown.map(|name| format!("{threat}: names {name}, which does not exist")));
    }
    found
}

#[test]
fn every_threat_names_tests_that_exist_and_says_what_does_not_hold() {
    let known = Known::of(&TRACKED);
    let table = file("tests/THREATS.md");
    assert_none("THREATS.md is true", &unshown(&table, &known));
    assert!(threats(&table).len() > 20, "its rows were read");
    let with = |row: &str| unshown(&format!("{table}{row}\n"), &known);
    assert_none("a row that is right", &with("| a | holds | `demo:4a` | - |"));
    assert_names(&with("| a | holds | `a_test_that_nobody_wrote` | - |"), "a_test_that_nobody_wrote");
    assert_names(&with("| a | holds | of course | - |"), "nothing shows it");
    assert_names(&with("| a | holds | `demo:4a` |"), "3 cells");
}

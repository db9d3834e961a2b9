//! What a tap leaves behind: the memory of the node, its files, what it says, its arguments and environment, read
//! while it runs, after PINs were typed for signing in, signing and opening, and a letter was filed and read.
//!
//! Method: the memory is read as a core dump would have it, mapping by mapping. A word that was planted in the
//! environment, and is never wiped, must be found by the same search.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::program::{Desk, Node, wait_until};

/// Like no other word, so that a hit is no chance.
const PIN: &str = "Kx7-Qz4w";
const PLANTED: &str = "Wv9+Jb2m";
const LETTER: &str = "Hx5/Tr0k, to whom it may concern";
/// Bytes that are read at once; mappings are read with an overlap.
const WINDOW: usize = 1 << 20;

fn times(bytes: &[u8], word: &str) -> usize {
    bytes.windows(word.len()).filter(|w| *w == word.as_bytes()).count()
}

/// How often a word stands in the memory of a process.
fn in_memory(node: &Node, word: &str) -> usize {
    let process = Path::new("/proc").join(node.child.id().to_string());
    let memory = File::open(process.join("mem")).unwrap();
    let maps = BufReader::new(File::open(process.join("maps")).unwrap());
    let mappings = maps.lines().map(Result::unwrap).filter(|line| line.contains(" rw"));
    let ends = mappings.filter_map(|line| {
        let (from, to) = line.split(' ').next()?.split_once('-')?;
        Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?))
    });
    let mut window = vec![0; WINDOW + word.len() - 1];
    let mut found = 0;
    for (from, to) in ends {
        for at in (from..to).step_by(WINDOW) {
            let wanted = window.len().min(usize::try_from(to - at).unwrap());
            // A mapping may go while it is read; what is gone holds nothing.
            let read = memory.read_at(&mut window[..wanted], at).unwrap_or(0);
            found += times(&window[..read], word);
        }
    }
    found
}

/// The files under a folder in which a word stands.
fn in_files(folder: &Path, word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(in_files(&path, word));
        } else if times(&std::fs::read(&path).unwrap(), word) > 0 {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found
}

#[test]
fn pins_and_codes_are_found_nowhere_after_taps() {
    let desk = Desk::new();
    std::fs::write(desk.path("pin"), format!("{PIN}\n")).unwrap();
    desk.found("north", &[]).data();
    let mut node = desk.start_with("north", &[("A_PLANTED_WORD", PLANTED)]);
    let made = desk.json(&[
        "--data-dir",
        "north",
        "card",
        "enrol",
        "--kind",
        "practitioner",
        "--label",
        "ana",
        "--pin-file",
        "pin",
    ]);
    let puk = made.data()["puk"].as_str().unwrap().to_owned();
    desk.card("reader/p17.card", "patient", "p17");
    desk.wait_for_cards("north", 3);
    std::fs::write(desk.path("attestation"), "in the register").unwrap();
    let role = ["person", "role", "physician", "--right", "read", "--right", "write"];
    desk.at("north", "north", &role).data();
    let enrol =
        ["person", "enrol", "--person-card", "ana", "--role", "physician", "--register-number", "R-1"];
    desk.at("north", "north", &[&enrol[..], &["--attestation", "attestation"]].concat()).data();
    let create = ["patient", "create", "--patient-card", "p17", "--family", "Byron", "--given", "Ada"];
    let made = desk.at("north", "north", &[&create[..], &["--birth-date", "1815-12-10"]].concat()).data();
    let (patient, code) = (made["patient"].as_str().unwrap(), made["recovery_code"].as_str().unwrap());
    std::fs::write(desk.path("letter"), LETTER).unwrap();
    let add = ["record", "add", patient, "letter", "--category", "letters", "--title", "Letter"];
    desk.at("north", "ana", &add).data();
    let records = desk.at("north", "p17", &["record", "list", patient]).data();
    let record = records["records"][0]["content"].as_str().unwrap();
    let get = ["record", "get", record, "--out", "letter.again"];
    assert_eq!(desk.at("north", "p17", &get).code, 0, "the patient signs in and reads it");

    assert!(in_memory(&node, PLANTED) > 0, "what is not wiped is found");
    for (what, word) in
        [("the PIN", PIN), ("the PUK", puk.as_str()), ("the recovery code", code), ("the letter", LETTER)]
    {
        wait_until(&format!("{what} is nowhere in the node's memory"), || in_memory(&node, word) == 0);
    }
    assert_eq!(
        in_files(desk.folder.path(), PIN),
        ["pin"],
        "the PIN is in the file that the test wrote, and in no other"
    );
    let letters = std::collections::BTreeSet::from_iter(in_files(desk.folder.path(), LETTER));
    assert_eq!(
        letters,
        ["letter", "letter.again"].map(String::from).into(),
        "nor is the letter in any other"
    );
    for word in [&puk, code] {
        assert_eq!(in_files(desk.folder.path(), word), [""; 0], "no file keeps a code");
    }
    let process = Path::new("/proc").join(node.child.id().to_string());
    for file in ["cmdline", "environ"] {
        assert_eq!(times(&std::fs::read(process.join(file)).unwrap(), PIN), 0, "in {file}");
    }
    let mut said = node.child.stderr.take().unwrap();
    assert_eq!(node.end("TERM"), 0, "an orderly end");
    let mut log = Vec::new();
    said.read_to_end(&mut log).unwrap();
    assert_eq!(times(&log, PIN) + times(&log, &puk) + times(&log, code), 0, "nor does the log say it");
}

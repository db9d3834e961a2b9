//! `hospes-scan`: looks for the identifying strings of clinical files in whatever a run left behind.
//!
//! `hospes-scan --input PATH… [--words FILE] [--skip-code-list] [--pcap FILE…] [PATH…]`. Exit 0: nothing found; 1: a
//! table of what was found; 2: the scan could not be made. Prints hash prefixes, never the strings. Deliberately takes
//! no decision about what is a harmless hit. Called by `tests/run` and by hand.

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hospes_tests::scan::search::{Found, Scanner};
use hospes_tests::scan::{Kind, Needles, ScanError, capture, extract, files_below};

const USAGE: &str = "hospes-scan --input PATH… [--words FILE] [--skip-code-list] [--pcap FILE…] [PATH…]";

#[derive(Default)]
struct Options {
    inputs: Vec<PathBuf>,
    words: Vec<PathBuf>,
    skip_codes: bool,
    captures: Vec<PathBuf>,
    searched: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match scan(&options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("hospes-scan: {error}");
            ExitCode::from(2)
        }
    }
}

/// Each option holds until the next one; `--` ends the list of an option that takes several.
fn options(arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options::default();
    let mut current = String::new();
    for argument in arguments {
        match argument.as_str() {
            "--skip-code-list" => options.skip_codes = true,
            "--input" | "--words" | "--pcap" | "--" => current = argument,
            other if other.starts_with("--") => return None,
            path => match current.as_str() {
                "--input" => options.inputs.push(path.into()),
                "--words" => options.words.push(path.into()),
                "--pcap" => options.captures.push(path.into()),
                _ => options.searched.push(path.into()),
            },
        }
    }
    let asked = !(options.inputs.is_empty() && options.words.is_empty());
    (asked && !(options.searched.is_empty() && options.captures.is_empty())).then_some(options)
}

/// The number of hits.
fn scan(options: &Options) -> Result<u64, ScanError> {
    let needles = needles(options)?;
    let scanner = Scanner::new(&needles)?;
    println!(
        "searching for {} strings in {} forms; planted ones are found",
        needles.len(),
        scanner.patterns()
    );
    let (mut hits, mut bytes, mut files) = (0, 0, 0_u64);
    for path in files_below(&options.searched)? {
        let found = scanner.search_file(&path)?;
        report(&path, &found);
        hits += found.count;
        bytes += found.bytes;
        files += 1;
    }
    for path in files_below(&options.captures)? {
        let found = scan_capture(&scanner, &path)?;
        hits += found.count;
        bytes += found.bytes;
        files += 1;
    }
    println!("{hits} hits in {files} files of {bytes} bytes");
    Ok(hits)
}

fn needles(options: &Options) -> Result<Needles, ScanError> {
    let mut needles = Needles::new();
    let mut silent = 0_u64;
    for path in files_below(&options.inputs)? {
        match extract::needles_of(&read(&path)?) {
            Some(found) => needles.extend(found),
            None => silent += 1,
        }
    }
    for path in &options.words {
        needles.extend(extract::needles_of_list(&String::from_utf8_lossy(&read(path)?)));
    }
    if options.skip_codes {
        needles.retain(|needle| needle.kind != Kind::Code);
    }
    if needles.is_empty() {
        return Err(ScanError::Nothing);
    }
    if silent > 0 {
        println!("{silent} input files gave no strings (PDF, licence texts and the like)");
    }
    Ok(needles)
}

/// Loss is not repaired, so the recorder's own report of dropped packets has to be read beside this.
fn scan_capture(scanner: &Scanner, path: &Path) -> Result<Found, ScanError> {
    let capture = capture::read(&read(path)?)?;
    println!(
        "{}: {} packets, {} directions between nodes, {} of them opened as libp2p, {} set apart as HTTP",
        path.display(),
        capture.packets,
        capture.between_nodes.len(),
        capture.libp2p,
        capture.http
    );
    if capture.libp2p == 0 {
        return Err(ScanError::Capture("it holds no traffic between nodes"));
    }
    let mut all = Found::default();
    for payload in &capture.between_nodes {
        let found = scanner.search(payload.as_slice()).map_err(|source| ScanError::io(path, source))?;
        report(path, &found);
        all.count += found.count;
        all.bytes += found.bytes;
    }
    Ok(all)
}

fn report(path: &Path, found: &Found) {
    for hit in &found.hits {
        println!("{:<11} {:<15} {} at {} of {}", hit.kind, hit.form, hit.tag, hit.offset, path.display());
    }
    let unlisted = found.count - found.hits.len() as u64;
    if unlisted > 0 {
        println!("… and {unlisted} more in {}", path.display());
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ScanError> {
    std::fs::read(path).map_err(|source| ScanError::io(path, source))
}

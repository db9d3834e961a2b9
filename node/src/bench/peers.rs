//! Programs that we only compare with, and our simulator: built in their own folders and run as child processes.
//!
//! What has a speed runs in turns with our side; the simulator measures both sides itself, in virtual time.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::row::{Failed, Goal, Row, failed, quantile};
use super::{Size, blocks, ingest};

/// Both sides run so often, in turns; the median counts.
const ROUNDS: usize = 3;
/// A program that has not ended after so many seconds, building included, is ended.
const CHILD_SECONDS_MAX: &str = "2400";

/// Ingest beside a program that seals, hashes and writes, and keeps nothing.
pub(super) fn plain(folder: &Path, size: Size) -> Result<Vec<Row>, Failed> {
    let bytes = size.ingest_bytes;
    in_turns("peer-plain", "MB/s", 0.45, || ingest::ingest(bytes), || speed(folder, "plain", bytes))
}

/// Blocks beside the engine's own full stack under an application that does nothing.
pub(super) fn engine(folder: &Path, size: Size) -> Result<Vec<Row>, Failed> {
    let count = size.peer_blocks;
    in_turns("peer-engine", "blocks/s", 1.0, || blocks::blocks(count), || speed(folder, "engine", count))
}

fn in_turns(
    id: &str,
    unit: &str,
    goal: f64,
    ours: impl Fn() -> Result<f64, Failed>,
    theirs: impl Fn() -> Result<f64, Failed>,
) -> Result<Vec<Row>, Failed> {
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        other.push(theirs()?);
        one.push(ours()?);
    }
    let (one, other) = (quantile(&mut one, 0.5), quantile(&mut other, 0.5));
    Ok(vec![Row::new(id, one, other, unit, &Goal::AtLeast(goal))])
}

/// What a peer prints when it does so much in a folder of its own: how much of it in a second.
pub(super) fn speed(folder: &Path, peer: &str, amount: u64) -> Result<f64, Failed> {
    let scratch = tempfile::tempdir().map_err(failed)?;
    let amount = amount.to_string();
    let args = [OsStr::new(&amount), scratch.path().as_os_str()];
    child(&folder.join(peer).join("Cargo.toml"), "release", &args)?.parse().map_err(failed)
}

/// Threshold operations beside those of a library of others, in one program.
pub(super) fn threshold(folder: &Path, _: Size) -> Result<Vec<Row>, Failed> {
    let told = child(&folder.join("threshold/Cargo.toml"), "release", &[OsStr::new("--json")])?;
    let told: Value = serde_json::from_str(&told).map_err(failed)?;
    let row = |name: &str| {
        let of = |side: &str| number(&told[name][side], name);
        Ok(Row::new(&format!("threshold-{name}"), of("ours")?, of("theirs")?, "us", &Goal::AtMost(1.0)))
    };
    ["deal", "sign", "verify", "combine"].map(row).into_iter().collect()
}

/// What a block costs one of 64 validators against one of 4.
pub(super) fn growth(folder: &Path, _: Size) -> Result<Vec<Row>, Failed> {
    let told = simulator(folder, &["--growth", "yes"])?;
    let of = |at: usize, what: &str| number(&told["rows"][at][what], what);
    let last = told["rows"].as_array().map_or(0, |rows| rows.len().saturating_sub(1));
    let row = |id: &str, what: &str, unit: &str| {
        Ok(Row::new(id, of(last, what)?, of(0, what)?, unit, &Goal::AtMost(20.0)))
    };
    Ok(vec![
        row("growth-bytes", "bytes_per_block_per_node", "bytes")?,
        row("growth-cpu", "cpu_us_per_block_per_node", "us")?,
    ])
}

/// The CPU of a block at the end of a long chain against that after a thousand blocks.
pub(super) fn history(folder: &Path, size: Size) -> Result<Vec<Row>, Failed> {
    let told = simulator(folder, &["--history", &size.history_blocks.to_string()])?;
    let of = |what: &str| number(&told[what], what);
    let (late, early) = (of("cpu_us_at_end")?, of("cpu_us_at_1000")?);
    Ok(vec![Row::new("history-cpu", late, early, "us", &Goal::AtMost(1.2))])
}

fn number(value: &Value, what: &str) -> Result<f64, Failed> {
    value.as_f64().ok_or_else(|| failed(format!("the program does not say {what}")))
}

fn simulator(folder: &Path, args: &[&str]) -> Result<Value, Failed> {
    let manifest = folder.join("../sim/Cargo.toml");
    let args: Vec<_> = args.iter().chain(&["--json", "yes"]).map(OsStr::new).collect();
    serde_json::from_str(&child(&manifest, "sim", &args)?).map_err(failed)
}

/// Builds and runs a package; gives what it prints.
fn child(manifest: &Path, profile: &str, args: &[&OsStr]) -> Result<String, Failed> {
    let ran = Command::new("timeout")
        .args([
            CHILD_SECONDS_MAX,
            "cargo",
            "run",
            "--locked",
            "--quiet",
            "--profile",
            profile,
            "--manifest-path",
        ])
        .arg(manifest)
        .arg("--")
        .args(args)
        .output()
        .map_err(|e| failed(format!("cargo, which builds {}: {e}", manifest.display())))?;
    let told = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
    // The simulator ends with 1 where its own goal is missed; what it measured counts all the same.
    if told.is_empty() {
        let late = ran.status.code() == Some(124);
        let why = if late { "it came to no end".into() } else { String::from_utf8_lossy(&ran.stderr) };
        return Err(failed(format!("{}: {}", manifest.display(), why.trim())));
    }
    Ok(told)
}

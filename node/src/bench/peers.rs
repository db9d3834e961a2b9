//! Programs that we only compare with: built in their own folder and run as child processes, in turns with our side.

use std::path::Path;
use std::process::Command;

use super::row::{Failed, Goal, Row, failed, quantile};
use super::{Size, ingest};

/// Both sides run so often, in turns; the median counts.
const ROUNDS: usize = 3;

/// Runs every peer of a folder.
pub(super) fn run(folder: &Path, size: Size) -> Result<Vec<Row>, Failed> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(plain(folder, size.ingest_bytes)?);
        ours.push(ingest::ingest(size.ingest_bytes)?);
    }
    let (ours, theirs) = (quantile(&mut ours, 0.5), quantile(&mut theirs, 0.5));
    Ok(vec![Row::new("peer-plain", ours, theirs, "MB/s", &Goal::AtLeast(0.45))])
}

/// Megabytes a second of the program that seals, hashes and writes, and keeps nothing.
fn plain(folder: &Path, bytes: u64) -> Result<f64, Failed> {
    let scratch = tempfile::tempdir().map_err(failed)?;
    let manifest = folder.join("plain/Cargo.toml");
    let ran = Command::new("cargo")
        .args(["run", "--release", "--locked", "--quiet", "--manifest-path"])
        .arg(&manifest)
        .args(["--", &bytes.to_string()])
        .arg(scratch.path())
        .output()
        .map_err(|e| failed(format!("cargo, which builds {}: {e}", manifest.display())))?;
    if !ran.status.success() {
        let why = String::from_utf8_lossy(&ran.stderr);
        return Err(failed(format!("{}: {}", manifest.display(), why.trim())));
    }
    String::from_utf8_lossy(&ran.stdout).trim().parse().map_err(failed)
}

//! Idle: CPU and memory of a process in which four connected validators have nothing to do, by the system's
//! own accounts; a quarter of both is one node's.

use std::time::Duration;

use super::Size;
use super::row::{Failed, Goal, Row, failed};
use super::world::World;

const NODES: u8 = 4;
/// One clock tick of /proc/self/stat is a hundredth of a second on every Linux that Rust runs on.
pub(super) const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn run(size: Size) -> Result<Vec<Row>, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let before = resident_mib()?;
        let world = World::start(NODES).await?;
        let ticks = cpu_ticks()?;
        tokio::time::sleep(Duration::from_secs(size.idle_seconds)).await;
        let spent = cpu_ticks()? - ticks;
        let resident = resident_mib()? - before;
        world.stop().await;
        #[allow(clippy::cast_precision_loss, reason = "a number of seconds")]
        let percent = spent / TICKS_PER_SECOND / size.idle_seconds as f64 / f64::from(NODES) * 100.0;
        Ok(vec![
            Row::new("idle-cpu", percent, 1.0, "% of a core", &Goal::AtMost(1.0)),
            Row::new("idle-memory", resident / f64::from(NODES), 40.0, "MiB", &Goal::AtMost(1.0)),
        ])
    })
}

/// CPU time of this process so far, in ticks.
pub(super) fn cpu_ticks() -> Result<f64, Failed> {
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(failed)?;
    // The name in parentheses may hold spaces; what follows it doesn't. utime and stime are fields 14 and 15.
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok());
    Ok(field(11).ok_or_else(|| failed("no utime"))? + field(12).ok_or_else(|| failed("no stime"))?)
}

/// Memory of this process in use, in MiB.
pub(super) fn resident_mib() -> Result<f64, Failed> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(failed)?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).ok_or_else(|| failed("no VmRSS"))?;
    let kib = line.split_whitespace().nth(1).and_then(|n| n.parse::<f64>().ok());
    Ok(kib.ok_or_else(|| failed("VmRSS is no number"))? / 1024.0)
}

//! `hospes demo` and `hospes bench`: they start nodes of their own.

use serde_json::json;

use super::Global;
use super::answer::{Done, Exit, Failure, Outcome, note, print};
use crate::bench::{BENCHES, PEERS, Row, Size};
use crate::config::place::ReaderPlace;
use crate::demo::{BANNER, CardKind, DemoArgs, Failed, PcscReaders, StepLine};

/// Options of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Which; all where absent.
    names: Vec<String>,
    /// A tenth of the sizes.
    #[arg(long)]
    quick: bool,
    /// A missed goal makes the exit code 1.
    #[arg(long)]
    check: bool,
    /// A folder with programs to compare with: the repository's tests/peers, which needs cargo. Adds benches of theirs.
    #[arg(long, value_name = "DIR")]
    peers: Option<std::path::PathBuf>,
}

/// `hospes demo`.
pub(crate) fn demo(global: &Global, args: &DemoArgs) -> Outcome<Done> {
    note(BANNER);
    let show = |line: &StepLine| {
        let shown = line.to_string();
        if global.json { note(&shown) } else { print(&shown) }
    };
    let readers = if args.cards == CardKind::Pcsc { pcsc_readers(global)? } else { PcscReaders::default() };
    let report = crate::demo::run(args, &readers, show).map_err(|failed| match failed {
        Failed::Usage(text) => Failure::usage(text, "`hospes demo --help` lists options and steps."),
        other => Failure::new(Exit::Failed, "demo", other.to_string(), "Look at the nodes' logs with --dir."),
    })?;
    let exit = match report.exit_code() {
        0 => None,
        3 => Some(Exit::Unavailable),
        _ => Some(Exit::Failed),
    };
    let text = report.running.join("\n");
    let data = serde_json::to_value(&report).unwrap_or_default();
    Ok(Done { data, text, exit })
}

fn pcsc_readers(global: &Global) -> Outcome<PcscReaders> {
    let config = global.config(Vec::new())?;
    let name = |place| match place {
        ReaderPlace::Pcsc(name) => Some(name),
        ReaderPlace::Folder(_) => None,
    };
    Ok(PcscReaders { names: config.readers.into_iter().filter_map(name).collect(), pcscd: config.pcscd })
}

const fn held(ok: bool) -> &'static str {
    if ok { "ok" } else { "FAIL" }
}

fn line(row: &Row) -> String {
    format!(
        "{:<4} {:<30} {:>12.3} {:<8} against {:>12.3}  ratio {:>8.3}  goal {}",
        held(row.met),
        row.id,
        row.ours,
        row.unit,
        row.other,
        row.ratio,
        row.goal
    )
}

/// `hospes bench`.
pub(crate) fn bench(global: &Global, args: &BenchArgs) -> Outcome<Done> {
    let beside = PEERS.iter().filter(|_| args.peers.is_some()).map(|(name, _)| *name);
    let names: Vec<_> = BENCHES.iter().map(|(name, _)| *name).chain(beside).collect();
    if let Some(unknown) = args.names.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(Failure::usage(
            format!("no bench `{unknown}`"),
            format!("There are {}.", names.join(", ")),
        ));
    }
    let size = if args.quick { Size::QUICK } else { Size::FULL };
    let show = |row: &Row| if global.json { note(&line(row)) } else { print(&line(row)) };
    let rows = crate::bench::run(&args.names, size, args.peers.as_deref(), show).map_err(|failed| {
        Failure::new(Exit::Failed, "bench", failed.to_string(), "Close other programs and try again.")
    })?;
    let missed = rows.iter().any(|row| !row.met);
    let exit = (args.check && missed).then_some(Exit::Failed);
    Ok(Done { data: json!({"rows": rows}), text: String::new(), exit })
}

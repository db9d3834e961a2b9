//! `hospes demo` and `hospes bench`: they start nodes of their own.

use std::io::IsTerminal as _;

use serde_json::json;

use super::Global;
use super::answer::{Done, Exit, Failure, Outcome, note, print};
use crate::bench::{BENCHES, PEERS, Row, Shown, Size};
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
    if let Some(why) = &row.absent {
        return format!("{:<4} {:<30} not here: {why}", "-", row.id);
    }
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
    let watched = std::io::stderr().is_terminal();
    let show = |shown: Shown<'_>| match shown {
        Shown::Begun(name) if watched => note(&format!("     {name} …")),
        Shown::Begun(_) => {}
        Shown::Row(row) if global.json => note(&line(row)),
        Shown::Row(row) => print(&line(row)),
        Shown::Failed(failed) => note(&failed.to_string()),
    };
    let (rows, broken) = crate::bench::run(&args.names, size, args.peers.as_deref(), show);
    if let (true, Some(first)) = (rows.is_empty(), broken.first()) {
        let next = "Close other programs and try again.";
        return Err(Failure::new(Exit::Failed, "bench", first.to_string(), next));
    }
    let missed = args.check && rows.iter().any(Row::is_missed);
    let exit = (missed || !broken.is_empty()).then_some(Exit::Failed);
    let broken: Vec<_> = broken.iter().map(ToString::to_string).collect();
    Ok(Done { data: json!({"rows": rows, "not_run": broken}), text: String::new(), exit })
}

//! `hospes demo`: four hospitals and a clinic on this machine, played through and checked from outside.
//!
//! It starts nodes as processes of the same program, speaks to them only as a user would (command line and
//! HTTP API), plays the table of [`steps`] and says of each step whether it held, how long it took and what
//! was seen. It decides nothing about records and reads no node's files. Called by the command line;
//! the benches that need a whole federation of processes borrow its world.

pub(crate) mod acts;
mod failed;
pub(crate) mod http;
pub(crate) mod node;
pub(crate) mod people;
mod play;
pub(crate) mod proxy;
pub(crate) mod readers;
mod samples;
pub(crate) mod steps;
pub(crate) mod story;
pub(crate) mod tap;
pub(crate) mod world;

use std::path::PathBuf;

pub(crate) use failed::Failed;
pub(crate) use play::{Report, StepLine};

/// Shown before anything else, on the error stream.
pub(crate) const BANNER: &str =
    "DEMO  made-up organizations and people, one PIN for all, no protection: never use it with real data";

/// Which cards serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CardKind {
    /// Encrypted files in folders that stand for readers.
    Soft,
    /// Cards in PC/SC readers, from the factory: twelve readers of `card.readers`, and a hand that swaps cards.
    Pcsc,
}

/// The PC/SC readers of the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct PcscReaders {
    /// Their names.
    pub(crate) names: Vec<String>,
    /// The socket of the smart card service.
    pub(crate) pcscd: PathBuf,
}

/// What the demo is asked for.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Folder of clinical files; without it the samples inside the program.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Empty or new folder for the nodes' files, which stay; without it a temporary one that goes.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Cards that people use.
    #[arg(long, value_enum, default_value = "soft")]
    pub(crate) cards: CardKind,
    /// Program that swaps cards in PC/SC readers: called with `insert READER HOLDER` and `remove READER HOLDER`.
    #[arg(long, value_name = "PROGRAM", required_if_eq("cards", "pcsc"))]
    pub(crate) hand: Option<PathBuf>,
    /// Leave the nodes running at the end and print their addresses.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Play only this step and those that it stands on.
    #[arg(long, value_name = "ID")]
    pub(crate) only: Option<String>,
    /// A missed deadline fails its step: exit 3 if nothing else was wrong.
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Plays the demo; `show` gets each step as it ends.
///
/// # Errors
/// [`Failed`] if it could not even begin: an unknown step, a folder that is not empty, unreadable samples.
pub(crate) fn run(
    args: &DemoArgs,
    readers: &PcscReaders,
    show: impl FnMut(&StepLine),
) -> Result<Report, Failed> {
    play::play(args, readers, steps::TABLE, show)
}

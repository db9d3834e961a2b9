//! `hospes ledger export` and `hospes verify`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::Global;
use super::acts::{CardArgs, Seat};
use super::answer::{Done, Exit, Failure, Outcome};
use super::interrupt;
use super::show::Progress;
use crate::durable::{Draft, Readers};
use crate::export::{Place, VerifyError, verify as verify_export};

/// What of the ledger.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum LedgerCommand {
    /// Write everything that is final to a file, for `hospes verify`.
    Export {
        /// The file; an old one is replaced once the new one is whole.
        file: PathBuf,
        #[command(flatten)]
        card: CardArgs,
    },
}

/// Which file.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// What `ledger export` wrote.
    file: PathBuf,
}

/// `hospes ledger`.
pub(crate) fn run(global: &Global, command: &LedgerCommand) -> Outcome<Done> {
    match command {
        LedgerCommand::Export { file, card } => export(&Seat::take(global, card)?, file),
    }
}

fn export(seat: &Seat, file: &Path) -> Outcome<Done> {
    let failed = |e: &std::io::Error| Failure::file(file, e);
    let download = seat.client().download("/ledger/export")?;
    let mut draft = Draft::begin(file, Readers::Anyone).map_err(|e| failed(&e))?;
    let temporary = draft.temporary().to_owned();
    // Nothing more can be done about a file that does not go.
    let guard = interrupt::on_interrupt(move || drop(std::fs::remove_file(temporary)));
    let mut progress = Progress::bytes(download.bytes);
    let bytes = download.copy(&mut draft, |n| progress.at(n))?;
    drop(progress);
    // A stream that broke off looks whole to HTTP; its closing says whether it is.
    let written = File::open(draft.temporary()).map_err(|e| failed(&e))?;
    let verified = verify_export(BufReader::new(written), |_| ()).map_err(|e| of_verify(file, e))?;
    draft.keep().map_err(|e| failed(&e))?;
    drop(guard);
    let data = json!({"file": file, "bytes": bytes, "height": verified.height, "headers": verified.headers});
    Ok(Done::new(data, format!("{}: blocks 1 to {}, {bytes} bytes", file.display(), verified.height)))
}

fn of_verify(file: &Path, error: VerifyError) -> Failure {
    let message = format!("{}: {error}", file.display());
    match error {
        VerifyError::Unreadable(_) => Failure::new(Exit::Failed, "file", message, "Check the path."),
        VerifyError::NotAnExport => {
            let next = "Name a file that `hospes ledger export` wrote, unchanged from its first byte.";
            Failure::new(Exit::Corrupt, "not-an-export", message, next)
        }
        VerifyError::Damaged { place, .. } => {
            let code = match place {
                Place::Genesis => "genesis-damaged",
                Place::Height(_) => "block-damaged",
                Place::Closing(_) => "end-damaged",
            };
            Failure::new(Exit::Corrupt, code, message, "Have it exported again, from another node.")
        }
    }
}

/// Hears how far a file was read.
struct Metered<'a, R>(R, u64, &'a mut dyn FnMut(u64));

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.read(buffer)?;
        self.1 += n as u64;
        (self.2)(self.1);
        Ok(n)
    }
}

/// `hospes verify`.
pub(crate) fn verify(args: &VerifyArgs) -> Outcome<Done> {
    let file = File::open(&args.file).map_err(|e| Failure::file(&args.file, &e))?;
    let mut progress = Progress::bytes(file.metadata().ok().map(|m| m.len()));
    let mut told = |n| progress.at(n);
    let input = BufReader::with_capacity(1 << 20, Metered(file, 0, &mut told));
    let verified = verify_export(input, |_| ()).map_err(|e| of_verify(&args.file, e))?;
    drop(progress);
    let time = super::show::time(verified.time);
    let data = json!({
        "network": verified.network.to_string(),
        "name": verified.name,
        "height": verified.height,
        "time": time,
        "state_root": verified.root.to_string(),
        "headers": verified.headers,
        "void": verified.void,
    });
    let text = format!(
        "The ledger is whole: network {} ({}), blocks 1 to {}, {} headers, state root {}",
        verified.network, verified.name, verified.height, verified.headers, verified.root
    );
    Ok(Done::new(data, text))
}

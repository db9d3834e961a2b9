//! `hospes-sim`: many seeds, every mutant, or one seed told and shortened.
//!
//! ```text
//! hospes-sim [--seeds N] [--from K] [--jobs J]     N seeds from K on, and the table of what they survived
//! hospes-sim --mutants yes [--seeds N]             every mutant, until a seed catches it, at most N
//! hospes-sim --day yes [--seed N] [--mutant NAME]  24 virtual hours of twelve organizations, and their tables
//! hospes-sim --growth yes [--json yes]             what a block costs in federations of 4 to 64 validators
//! hospes-sim --history N [--json yes]              CPU of a block after 1,000 blocks and after N
//! hospes-sim --seed N [--mutant NAME]              the story of one seed, shortened where it fails
//! ```
//!
//! Exit 0: all held and every mutant was caught; 1: not so; 2: usage.

use std::io::Write;
use std::process::ExitCode;

use hospes_sim::report::{Job, tell};

fn main() -> ExitCode {
    let Some(job) = Job::read(std::env::args().skip(1)) else {
        let _closed = writeln!(std::io::stderr(), "{}", Job::USAGE);
        return ExitCode::from(2);
    };
    // A panic is a violation that the run reports with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    let mut out = std::io::stdout();
    match tell(&job, &mut out) {
        Ok(true) => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    }
}

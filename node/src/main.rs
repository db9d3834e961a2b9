//! Hospes: the daemon and its command line.
//!
//! One binary: `hospes run` is the node, every other command its client or off line. Nothing is decided here.

mod cli;
mod config;
mod durable;
mod export;
mod init;

fn main() -> std::process::ExitCode {
    cli::run()
}

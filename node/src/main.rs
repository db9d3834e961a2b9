//! Hospes: the daemon and its command line.
//!
//! One binary: `hospes run` is the node, every other command its client or off line. Nothing is decided here.

mod api;
mod bench;
mod cli;
mod config;
mod demo;
mod desk;
mod durable;
mod export;
mod init;
mod runtime;
mod words;

/// Whatever is freed is wiped: PINs and codes pass through buffers of libraries that don't.
#[global_allocator]
static WIPING: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> std::process::ExitCode {
    cli::run()
}

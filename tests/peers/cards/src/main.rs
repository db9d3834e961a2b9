//! A card that others wrote, for the readers of `tests/virtual-card`: `hospes-peer-cards piv|openpgp NUMBER SOCKET`.
//!
//! Listens on a Unix socket; each connection is the card in a reader, which `attach SOCKET` of the reader makes. Pulled, it
//! keeps what it holds until the program is ended. NUMBER tells cards apart: the random generator under both applications
//! begins with a constant, so it is moved on by so many bytes. Nothing here keeps a secret. Called by `tests/cards/run`.

mod services;
mod wire;

use std::error::Error;
use std::os::unix::net::UnixListener;
use std::process::ExitCode;

use heapless::VecView;
use iso7816::Status;
use iso7816::command::CommandView;
use services::Client;
use trussed_core::{CryptoClient as _, try_syscall};
use wire::Application;

/// VERIFY that ends a verified PIN (SP 800-73-4, part 2, 3.2.1).
const PIV_LOG_OUT: &[u8] = &[0x00, 0x20, 0xFF, 0x80];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hospes-peer-cards: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), Box<dyn Error>> {
    let [family @ ("piv" | "openpgp"), number, socket] = words else {
        return Err("hospes-peer-cards piv|openpgp NUMBER SOCKET".into());
    };
    let number: u8 = number.parse()?;
    let listener = UnixListener::bind(socket)?;
    services::with_client(|mut client| {
        for _ in 0..number {
            let _drawn = try_syscall!(client.random_bytes(1));
        }
        if *family == "piv" {
            wire::serve(
                &listener,
                &mut Piv(piv_authenticator::Authenticator::new(client, Default::default())),
            )
        } else {
            let mut options = opcard::Options::default();
            options.serial = [0, 0, 0, number];
            options.button_available = false;
            wire::serve(&listener, &mut OpenPgp(opcard::Card::new(client, options)))
        }
    })?;
    Ok(())
}

struct Piv<'a>(piv_authenticator::Authenticator<Client<'a>>);

impl Application for Piv<'_> {
    fn respond(&mut self, command: CommandView<'_>, reply: &mut VecView<u8>) -> Result<(), Status> {
        self.0.respond(command, reply)
    }

    /// Its own `deselect` does nothing, so the PIN is taken back by command.
    fn reset(&mut self) {
        let mut reply = heapless::Vec::<u8, 16>::new();
        if let Ok(log_out) = CommandView::try_from(PIV_LOG_OUT) {
            let _verified_or_not = self.0.respond(log_out, reply.as_mut_view());
        }
    }
}

struct OpenPgp<'a>(opcard::Card<Client<'a>>);

impl Application for OpenPgp<'_> {
    fn respond(&mut self, command: CommandView<'_>, reply: &mut VecView<u8>) -> Result<(), Status> {
        self.0.handle(command, reply)
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

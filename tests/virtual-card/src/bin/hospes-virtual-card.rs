//! The virtual card from a shell: makes cards, runs a private `pcscd`, tells readers what to do.
//!
//! `hospes-virtual-card new FILE FIRMWARE SEED` (`openpgp` in the place of a firmware makes an OpenPGP card, `openpgp-nist` one
//! without Ed25519 and X25519), `serve READERS NAME` (prints the socket, each reader's folder and `ready`,
//! and runs until its standard input ends), `ask FOLDER WORD…`, `root FILE` (the test root of attestations, DER).
//! Called by `tests/cards/run`.
#![allow(clippy::print_stdout, reason = "it is what this program is for")]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use hospes_virtual_card::pcscd::Pcscd;
use hospes_virtual_card::{Curves, State, ask, test_root_certificate};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hospes-virtual-card: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), Box<dyn Error>> {
    match words {
        ["new", file, firmware, seed] => {
            let seed = seed.parse()?;
            let state = match *firmware {
                "openpgp" => State::openpgp(Curves::All, seed),
                "openpgp-nist" => State::openpgp(Curves::Nist, seed),
                firmware => State::new(firmware.parse()?, seed),
            };
            state.save(Path::new(file))?;
        }
        ["root", file] => std::fs::write(file, test_root_certificate())?,
        ["ask", folder, line @ ..] => println!("{}", ask(Path::new(folder), &line.join(" "))?),
        ["serve", readers, name] => {
            let readers = readers.parse()?;
            let pcscd = Pcscd::start_called(name, readers)?;
            println!("socket {}", pcscd.socket().display());
            for reader in 0..readers {
                println!("reader {} {}", pcscd.reader_folder(reader).display(), pcscd.reader_name(reader));
            }
            println!("ready");
            std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
        }
        _ => return Err("new FILE FIRMWARE SEED | root FILE | ask FOLDER WORD… | serve READERS NAME".into()),
    }
    Ok(())
}

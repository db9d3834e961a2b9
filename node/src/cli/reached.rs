//! A card that a command reaches by itself: a soft card's file, or a card in a PC/SC reader of the configuration.
//!
//! What signs or opens goes through the running node; this is for looking at a card, its PIN, and making one.

use std::path::{Path, PathBuf};

use hospes_card::pcsc::PcscReader;
use hospes_card::piv::Roots;
use hospes_card::soft::SoftCard;
use hospes_card::{Card, Reader as _};
use serde_json::Value;

use super::Global;
use super::answer::{Exit, Failure, Outcome};
use super::cards::{absent, pick};
use super::found::of_card;
use super::place::absolute;
use super::show::text;
use crate::config::Config;
use crate::config::place::ReaderPlace;

/// The name of the node's one reader, or of the one that is named.
///
/// # Errors
/// None, or several.
pub(super) fn reader<'a>(readers: &'a [Value], named: Option<&str>) -> Outcome<&'a str> {
    let mut fits = readers.iter().map(|r| text(r, "name")).filter(|name| named.is_none_or(|n| n == *name));
    match (fits.next(), fits.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => {
            let next = "Set card.readers in hospes.toml, and start the node again.";
            Err(Failure::new(Exit::Unavailable, "no-reader", "the node has no such reader", next))
        }
        (Some(_), Some(_)) => Err(Failure::usage("the node has several readers", "Name one with --reader.")),
    }
}

/// Where a reader of the node is, by the configuration of the node's data folder.
///
/// # Errors
/// If the configuration here doesn't name it.
pub(super) fn place_of(global: &Global, reader: &str) -> Outcome<ReaderPlace> {
    let is_it = |place: &ReaderPlace| place.name() == reader && place.folder().is_none_or(Path::is_dir);
    global.config(Vec::new())?.readers.into_iter().find(is_it).ok_or_else(|| {
        let message = format!("`{reader}` is none that the configuration here names as a reader");
        Failure::new(Exit::Unavailable, "no-reader", message, "Give the node's own --data-dir.")
    })
}

/// A PC/SC reader of the configuration.
///
/// # Errors
/// If the configuration can't be read.
pub(super) fn pcsc(global: &Global, name: &str) -> Outcome<PcscReader> {
    Ok(PcscReader::new(&global.config(Vec::new())?.pcscd, name))
}

/// Makers whose word for a card counts: Yubico, and those of the configuration.
///
/// # Errors
/// If a certificate can't be read, or is none that this build trusts.
pub(super) fn makers(config: &Config) -> Outcome<Roots> {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|e| Failure::file(path, &e));
    let certificates = config.makers.iter().map(read).collect::<Outcome<_>>()?;
    Roots::of_makers(certificates).map_err(|e| {
        let next = "card.makers names files of X.509 certificates, DER.";
        Failure::new(Exit::Failed, "makers", e.to_string(), next)
    })
}

/// A card given as a file, or found in the readers of the running node.
///
/// # Errors
/// If it is not in.
pub(super) fn card(global: &Global, name: &str) -> Outcome<Box<dyn Card>> {
    if Path::new(name).is_file() {
        return soft(Path::new(name));
    }
    let cards = global.client()?.list("/cards")?;
    let wanted = pick(&cards, Some(name))?;
    let serial = text(wanted, "serial");
    match place_of(global, text(wanted, "reader"))? {
        ReaderPlace::Folder(folder) => soft(&file_of(&folder, serial)?),
        ReaderPlace::Pcsc(reader) => {
            let serial = serial.parse().map_err(|_| absent("the node names no serial"))?;
            pcsc(global, &reader)?.connect(&serial).map_err(|e| of_card(&e))
        }
    }
}

fn soft(file: &Path) -> Outcome<Box<dyn Card>> {
    Ok(Box::new(SoftCard::open(&absolute(file)).map_err(|e| of_card(&e))?))
}

/// The file of a soft card in a folder.
fn file_of(folder: &Path, serial: &str) -> Outcome<PathBuf> {
    let is_it = |file: &PathBuf| {
        let found = SoftCard::open(file).and_then(|mut card| card.info()).map(|info| info.serial.to_string());
        found.is_ok_and(|found| found == serial)
    };
    let files = std::fs::read_dir(folder).map_err(|e| Failure::file(folder, &e))?;
    let cards = files.filter_map(|entry| entry.ok().map(|e| e.path()));
    cards
        .filter(|path| path.extension().is_some_and(|e| e == "card"))
        .find(is_it)
        .ok_or_else(|| absent("the card has left the reader"))
}

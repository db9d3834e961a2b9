//! Cards and the people who hold them. Putting a card into a reader moves its file, so a card is in one place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::failed::Failed;
use super::http::{Client, Refused};
use super::node::{Node, run};
use super::tap::{follow, list, needed, text, until};
use super::world::PIN;

/// How long a reader may take to notice a card.
const NOTICED_MAX: Duration = Duration::from_secs(5);

/// A soft card, and where it lies.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    path: PathBuf,
    /// Its serial; empty for an organization's until it was in a reader.
    pub(crate) serial: String,
}

impl Card {
    /// The card in a file that exists.
    pub(crate) fn at(path: PathBuf, serial: String) -> Self {
        Self { path, serial }
    }

    /// A new card in `drawer`, by the command line.
    ///
    /// # Errors
    /// [`Failed`] of the command.
    pub(crate) fn create(drawer: &Path, name: &str, kind: &str, pins: &Path) -> Result<Self, Failed> {
        fs::create_dir_all(drawer).map_err(Failed::wrong)?;
        let path = drawer.join(format!("{name}.card"));
        let mut command = Command::new(std::env::current_exe().map_err(Failed::wrong)?);
        command.args(["--json", "card", "create"]).arg(&path);
        command.args(["--kind", kind, "--label", name, "--pin-file"]).arg(pins);
        let made = run(&mut command).map_err(|f| f.doing("making a card"))?;
        Ok(Self { path, serial: needed(&made, "serial")? })
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it into a node's reader, wherever it was, and waits until the node has noticed.
    ///
    /// # Errors
    /// [`Failed::Wrong`] if the file can't be moved or the card isn't noticed.
    pub(crate) fn insert(&mut self, node: &Node) -> Result<(), Failed> {
        self.move_to(&node.reader())?;
        let client = node.client();
        let (serial, _) = until(NOTICED_MAX, "the reader noticing a card", || {
            let cards = list(&client.get("/cards")?);
            let this = |c: &&serde_json::Value| {
                // An organization's card is known by its name alone before it was in once.
                let named = self.serial.is_empty() && text(c, "holder") == node.name;
                text(c, "serial") == self.serial || named
            };
            Ok(cards.iter().find(this).map(|c| text(c, "serial").to_owned()))
        })?;
        self.serial = serial;
        Ok(())
    }

    fn move_to(&mut self, folder: &Path) -> Result<(), Failed> {
        let name = self.path.file_name().ok_or_else(|| Failed::wrong("a card without a name"))?;
        let to = folder.join(name);
        if to != self.path {
            fs::rename(&self.path, &to).map_err(Failed::wrong)?;
            self.path = to;
        }
        Ok(())
    }
}

/// Someone with a card.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// What the story calls them.
    pub(crate) name: String,
    /// Their card.
    pub(crate) card: Card,
    /// The id of a person or the pseudonym of a patient, in hexadecimal digits.
    pub(crate) id: String,
}

impl Person {
    /// Puts the card into the node's reader and signs in there.
    ///
    /// # Errors
    /// What the node says.
    pub(crate) fn sign_in(&mut self, node: &Node) -> Result<Client, Failed> {
        self.card.insert(node)?;
        sign_in(node, &self.card.serial).map_err(|f| f.doing(&format!("{} signing in", self.name)))
    }
}

/// Signs in with a card that is in the node's reader.
///
/// # Errors
/// What the node says.
pub(crate) fn sign_in(node: &Node, serial: &str) -> Result<Client, Failed> {
    let client = node.client();
    let tap = client.post("/sessions", &json!({ "card": serial }))?;
    let result = follow(&client, tap, PIN)?;
    Ok(client.signed_in(&needed(&result, "token")?))
}

/// An act that ends in a tap: the answer is followed, PINs are given.
///
/// # Errors
/// The refusal of the request or of the tap.
pub(crate) fn tap(
    client: &Client,
    path: &str,
    body: &serde_json::Value,
) -> Result<serde_json::Value, Refused> {
    let begun = client.post(path, body)?;
    follow(client, begun, PIN)
}

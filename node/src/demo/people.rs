//! Cards and the people who hold them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hospes_card::Reader as _;
use hospes_card::pcsc::PcscReader;
use serde_json::json;

use super::failed::Failed;
use super::http::{Client, Refused};
use super::node::Node;
use super::readers::Desk;
use super::tap::{follow, list, needed, text, until};
use super::world::{PIN, shown};

/// How long a reader may take to notice a card.
const NOTICED_MAX: Duration = Duration::from_secs(5);

/// Somebody's card.
#[derive(Clone)]
pub(crate) struct Card {
    /// Whose, as screens and the hand call it.
    holder: String,
    /// Where a soft card lies.
    file: Option<PathBuf>,
    /// Its serial; empty for an organization's until it was in a reader.
    pub(crate) serial: String,
    /// The node that saw it last, where a hand moves it.
    seen_by: Option<Client>,
}

impl Card {
    /// An organization's card, which founding makes: a file in the drawer, or in a reader.
    pub(crate) fn of_organization(node: &Node, drawer: &Path, file: &str) -> Self {
        let file = match &node.desk {
            Desk::Folder(_) => Some(drawer.join(format!("{file}.card"))),
            Desk::Pcsc { .. } => None,
        };
        Self { holder: node.name.to_owned(), file, serial: String::new(), seen_by: None }
    }

    /// A new card for someone, by the command line: a file in `drawer`, or a card from the factory in the node's reader.
    ///
    /// # Errors
    /// [`Failed`] of the command.
    pub(crate) fn create(
        node: &Node,
        drawer: &Path,
        name: &str,
        kind: &str,
        pins: &Path,
    ) -> Result<Self, Failed> {
        let pins = shown(pins);
        let options = ["--kind", kind, "--label", name, "--pin-file", &pins];
        let (file, made) = match &node.desk {
            Desk::Folder(_) => {
                fs::create_dir_all(drawer).map_err(Failed::wrong)?;
                let path = drawer.join(format!("{name}.card"));
                let made = node.command(&[&["card", "create", &shown(&path)], &options[..]].concat());
                (Some(path), made)
            }
            Desk::Pcsc { readers, hand } => {
                let started = Instant::now();
                let (reader, _) = hand.put(readers, name)?;
                nobodys_card(node, &reader)?;
                hand.spend(started.elapsed());
                (None, node.command(&[&["card", "enrol", "--reader", &reader], &options[..]].concat()))
            }
        };
        let made = made.map_err(|f| f.doing("making a card"))?;
        let seen_by = node.desk.hand().map(|_| node.client());
        Ok(Self { holder: name.to_owned(), file, serial: needed(&made, "serial")?, seen_by })
    }

    /// What `--org-card` takes at a node that doesn't run: the file, or the reader, once the card is in.
    ///
    /// # Errors
    /// [`Failed::Wrong`] if no card comes.
    pub(crate) fn offer(&self, node: &Node) -> Result<String, Failed> {
        let (Desk::Pcsc { readers, hand }, None) = (&node.desk, &self.file) else {
            return self
                .file
                .as_deref()
                .map(shown)
                .ok_or_else(|| Failed::wrong("a soft card without a file"));
        };
        let (name, _) = hand.put(readers, &self.holder)?;
        let mut reader = PcscReader::new(hand.pcscd(), &name);
        until(NOTICED_MAX, "a card in the reader", || {
            let cards = reader.cards().map_err(Failed::wrong)?;
            Ok((!cards.is_empty()).then_some(()))
        })?;
        Ok(format!("pcsc:{name}"))
    }

    /// Puts it into a node's reader, wherever it was, and waits until the node has noticed.
    ///
    /// # Errors
    /// [`Failed::Wrong`] if it can't be moved or isn't noticed.
    pub(crate) fn insert(&mut self, node: &Node) -> Result<(), Failed> {
        let started = Instant::now();
        match &node.desk {
            Desk::Folder(folder) => self.move_to(folder)?,
            Desk::Pcsc { readers, hand } => {
                let (_, moved) = hand.put(readers, &self.holder)?;
                if moved {
                    self.is_gone()?;
                    self.seen_by = Some(node.client());
                }
            }
        }
        self.is_noticed(node)?;
        if let Some(hand) = node.desk.hand() {
            hand.spend(started.elapsed());
        }
        Ok(())
    }

    /// Waits until the node where it was has seen it leave: it may come back before that.
    fn is_gone(&mut self) -> Result<(), Failed> {
        let Some(client) = self.seen_by.take() else { return Ok(()) };
        let gone = until(NOTICED_MAX, "the reader noticing that a card left", || {
            // A node that doesn't answer sees nothing.
            let cards = client.get("/cards").map(|cards| list(&cards)).unwrap_or_default();
            Ok((!cards.iter().any(|c| text(c, "serial") == self.serial)).then_some(()))
        });
        gone.map(drop)
    }

    fn is_noticed(&mut self, node: &Node) -> Result<(), Failed> {
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
        let path = self.file.as_mut().ok_or_else(|| Failed::wrong("a soft card without a file"))?;
        let name = path.file_name().ok_or_else(|| Failed::wrong("a card without a name"))?;
        let to = folder.join(name);
        if to != *path {
            fs::rename(&*path, &to).map_err(Failed::wrong)?;
            *path = to;
        }
        Ok(())
    }
}

/// Waits until the node sees a card from the factory in this reader.
fn nobodys_card(node: &Node, reader: &str) -> Result<(), Failed> {
    let client = node.client();
    let noticed = until(NOTICED_MAX, "the reader noticing a card from the factory", || {
        let cards = list(&client.get("/cards")?);
        let blank = |c: &serde_json::Value| text(c, "reader") == reader && text(c, "holder").is_empty();
        Ok(cards.iter().any(blank).then_some(()))
    });
    noticed.map(drop)
}

/// Someone with a card.
#[derive(Clone)]
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

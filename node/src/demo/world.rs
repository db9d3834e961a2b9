//! The demo's world: the folder, the nodes with their lines, the people, and what the story has come to.
//!
//! Nodes 0 to 3 are hospitals and validators, node 4 is the clinic, a replica. The clinic reaches the
//! hospitals only through lines that can be cut, and nobody dials it.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::failed::Failed;
use super::http::Client;
use super::node::{Node, multiaddr};
use super::people::{Card, sign_in};
use super::proxy::Proxy;
use super::readers::{Desk, Hand, READERS_AT_HOME, READERS_PER_NODE};
use super::samples::Samples;
use super::story::{Story, Who};
use super::{BANNER, CardKind, DemoArgs, PcscReaders};

/// The PIN of every card of the demo.
pub(crate) const PIN: &str = "273941";
/// The clinic's place among the nodes.
pub(crate) const CLINIC: usize = 4;
/// How many nodes vote.
pub(crate) const VALIDATORS: usize = 4;

/// Folder, organization; made up, and found in none of the samples.
const NODES: [(&str, &str); 5] = [
    ("norrhavn", "Norrhavn Hospital"),
    ("quillmere", "Quillmere Hospital"),
    ("tarnwick", "Tarnwick Hospital"),
    ("osterfell", "Osterfell Hospital"),
    ("brambleford", "Brambleford Clinic"),
];

/// Which node has which PC/SC readers; none where cards are files.
struct Desks(Vec<Desk>);

impl Desks {
    fn new(args: &DemoArgs, readers: &PcscReaders) -> Result<Self, Failed> {
        let (CardKind::Pcsc, Some(program)) = (args.cards, &args.hand) else { return Ok(Self(Vec::new())) };
        // The node beside the table has one, for founding.
        let needed = READERS_AT_HOME + (NODES.len() - 1) * READERS_PER_NODE + 1;
        if readers.names.len() < needed {
            let (has, need) = (readers.names.len(), "card.readers must name PC/SC readers");
            return Err(Failed::Usage(format!("{need}: {needed} of them, and has {has}")));
        }
        let hand = Rc::new(Hand::new(program.clone(), readers.pcscd.clone()));
        let desk = |readers: &[String]| Desk::Pcsc { readers: readers.to_vec(), hand: hand.clone() };
        let (home, others) = readers.names[..needed].split_at(READERS_AT_HOME);
        Ok(Self(std::iter::once(home).chain(others.chunks(READERS_PER_NODE)).map(desk).collect()))
    }

    fn of(&self, node: usize) -> Option<Desk> {
        self.0.get(node).cloned()
    }
}

/// Everything that the steps act on.
pub(crate) struct World {
    /// Hospitals, then the clinic.
    pub(crate) nodes: Vec<Node>,
    /// The clinic's lines to the hospitals.
    pub(crate) lines: Vec<Proxy>,
    /// The organizations' cards, in the order of the nodes.
    pub(crate) organization_cards: Vec<Card>,
    /// A node beside those of the table, once it is admitted.
    pub(crate) ward: Option<Node>,
    /// Clinical files.
    pub(crate) samples: Samples,
    /// People, records and what was seen.
    pub(crate) story: Story,
    /// The file with the PIN.
    pub(crate) pins: PathBuf,
    desks: Desks,
    dir: PathBuf,
    temporary: bool,
}

impl World {
    /// The folder and the nodes, not started.
    ///
    /// # Errors
    /// [`Failed::Usage`] for a folder that is in use or samples that can't be read.
    pub(crate) fn new(args: &DemoArgs, readers: &PcscReaders) -> Result<Self, Failed> {
        let desks = Desks::new(args, readers)?;
        let samples = Samples::load(args.data.as_deref())?;
        let temporary = args.dir.is_none() && !args.keep;
        let dir = folder(args.dir.as_deref())?;
        fs::write(dir.join("DEMO"), format!("{BANNER}\n")).map_err(Failed::wrong)?;
        let pins = dir.join("pins");
        write_secret(&pins, PIN)?;
        let nodes = NODES.iter().enumerate();
        let nodes = nodes.map(|(at, (folder, name))| Node::new(&dir, folder, name, desks.of(at)));
        Ok(Self {
            nodes: nodes.collect::<Result<_, _>>()?,
            lines: Vec::new(),
            organization_cards: Vec::new(),
            desks,
            ward: None,
            samples,
            story: Story::default(),
            pins,
            dir,
            temporary,
        })
    }

    /// How long cards were in somebody's hand until now.
    pub(crate) fn in_hand(&self) -> Duration {
        self.desks.of(0).and_then(|desk| desk.hand().map(Hand::spent)).unwrap_or_default()
    }

    /// Where cards lie that are in no reader.
    pub(crate) fn drawer(&self) -> PathBuf {
        self.dir.join("drawer")
    }

    /// A new node in the folder of the demo, outside the table; not started.
    ///
    /// # Errors
    /// [`Failed::Wrong`] without a folder or port.
    pub(crate) fn stranger(&self, folder: &str, name: &'static str) -> Result<Node, Failed> {
        Node::new(&self.dir, folder, name, self.desks.of(NODES.len()))
    }

    /// The network's genesis file.
    pub(crate) fn genesis(&self) -> PathBuf {
        self.dir.join("genesis.cbor")
    }

    /// Five organizations with a node each, and the genesis file of their network, by the command line.
    ///
    /// # Errors
    /// [`Failed`] of a command.
    pub(crate) fn found(&mut self) -> Result<(), Failed> {
        fs::create_dir_all(self.drawer()).map_err(Failed::wrong)?;
        for (at, node) in self.nodes.iter().enumerate() {
            let card = Card::of_organization(node, &self.drawer(), NODES[at].0);
            let (address, pins) = (node.multiaddr(), shown(&self.pins));
            let offered = card.offer(node)?;
            let mut arguments =
                vec!["init", "--organization", node.name, "--org-card", &offered, "--new-card"];
            arguments.extend(["--pin-file", &pins, "--found-only"]);
            if at != CLINIC {
                arguments.extend(["--p2p", &address]);
            }
            node.command(&arguments).map_err(|f| f.doing("founding"))?;
            self.organization_cards.push(card);
        }
        self.combine()
    }

    fn combine(&self) -> Result<(), Failed> {
        let founding = |node: &Node| shown(&node.dir.join("founding.cbor"));
        let hospitals: Vec<String> = self.nodes.iter().take(VALIDATORS).map(founding).collect();
        let (clinic, genesis) = (founding(&self.nodes[CLINIC]), shown(&self.genesis()));
        let mut arguments = vec!["init", "--found"];
        arguments.extend(hospitals.iter().map(String::as_str));
        arguments.extend(["--replica", &clinic, "--network", "hospes demo", "--out", &genesis]);
        self.nodes[0].command(&arguments).map_err(|f| f.doing("the genesis file"))?;
        for node in &self.nodes {
            node.command(&["init", "--join", &genesis]).map_err(|f| f.doing("joining"))?;
        }
        Ok(())
    }

    /// Starts the hospitals, then the clinic behind its lines.
    ///
    /// # Errors
    /// [`Failed`] naming the node.
    pub(crate) fn start(&mut self) -> Result<(), Failed> {
        for node in self.nodes.iter_mut().take(VALIDATORS) {
            node.start()?;
        }
        for at in 0..VALIDATORS {
            let hospital = &self.nodes[at];
            let line = Proxy::start(hospital.p2p)?;
            let address = format!("{}/p2p/{}", multiaddr(line.address()), hospital.peer_id);
            self.nodes[CLINIC].bootstrap.push(address);
            self.lines.push(line);
        }
        self.nodes[CLINIC].start()
    }

    /// Puts somebody's card into the reader of the node at `at` and signs in there.
    ///
    /// # Errors
    /// What the node says; [`Failed::NotReached`] for somebody who isn't enrolled.
    pub(crate) fn sign_in(&mut self, who: Who, at: usize) -> Result<Client, Failed> {
        let person = self.story.someone(who)?;
        person.sign_in(&self.nodes[at])
    }

    /// Puts the organization's card into the reader of its node at `at` and signs in with it.
    ///
    /// # Errors
    /// What the node says.
    pub(crate) fn administers(&mut self, at: usize) -> Result<Client, Failed> {
        let (card, node) = (&mut self.organization_cards[at], &self.nodes[at]);
        card.insert(node)?;
        sign_in(node, &card.serial).map_err(|f| f.doing("the organization signing in"))
    }

    /// Leaves everything running and says where. The clinic then reaches the others without the lines, which end
    /// with the demo.
    ///
    /// # Errors
    /// [`Failed`] of the clinic.
    pub(crate) fn keep(&mut self) -> Result<Vec<String>, Failed> {
        self.temporary = false;
        if self.nodes[CLINIC].runs() {
            self.nodes[CLINIC].stop()?;
            self.nodes[CLINIC].bootstrap.clear();
            self.nodes[CLINIC].start()?;
        }
        let mut running = Vec::new();
        for node in self.nodes.iter_mut().filter(|n| n.runs()) {
            running.push(format!("{}: {} in {}", node.name, node.api(), node.dir.display()));
            node.release();
        }
        Ok(running)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.ward = None;
        self.nodes.clear();
        if self.temporary {
            // What can't be removed is the system's to clean up.
            let _left = fs::remove_dir_all(&self.dir);
        }
    }
}

/// A path as an argument.
pub(crate) fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn folder(asked: Option<&Path>) -> Result<PathBuf, Failed> {
    let cannot = |e: std::io::Error| Failed::Usage(format!("no folder for the demo: {e}"));
    let dir = match asked {
        Some(dir) => dir.to_owned(),
        None => std::env::temp_dir().join(format!("hospes-demo-{}", std::process::id())),
    };
    fs::create_dir_all(&dir).map_err(cannot)?;
    if fs::read_dir(&dir).map_err(cannot)?.next().is_some() {
        return Err(Failed::Usage(format!("{} is not empty: name a new folder", dir.display())));
    }
    fs::canonicalize(dir).map_err(cannot)
}

fn write_secret(path: &Path, line: &str) -> Result<(), Failed> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(Failed::wrong)?;
    writeln!(file, "{line}").map_err(Failed::wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused_and_a_new_one_taken() {
        let dir = tempfile::tempdir().unwrap();
        assert!(folder(Some(&dir.path().join("new"))).is_ok(), "a new folder");
        assert!(matches!(folder(Some(dir.path())), Err(Failed::Usage(_))), "one with files in it");
    }

    #[test]
    fn no_sample_names_a_hospital_of_the_demo() {
        let samples = Samples::load(None).unwrap();
        for word in NODES.iter().flat_map(|(_, name)| name.split(' ').next()) {
            let found = samples.files.iter().any(|f| String::from_utf8_lossy(&f.bytes).contains(word));
            assert!(!found, "{word} would be taken for a leak by the scan");
        }
    }
}

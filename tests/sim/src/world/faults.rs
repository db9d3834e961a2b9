//! What goes wrong, carried out when its time comes; and the healing at the end.

use hospes_storage::Ledger;
use hospes_storage::fault::FaultFile;

use super::links::Weather;
use super::node::{Node, Off};
use super::{Due, World};
use crate::dice::Dice;
use crate::plan::{Fault, Trick, What};

/// Power fails after so long, in virtual milliseconds, where the medium was not written to often enough before.
const CUT_MS: u64 = 1_500;

impl World {
    /// An item of the plan is due.
    pub(crate) fn item(&mut self, number: usize) {
        match self.plan.items[number].what {
            What::Act(act) => self.act(number, act),
            What::Fault(fault) => self.fault(fault),
        }
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        let now = self.now;
        match fault {
            Fault::Crash { node, after, left, down_ms } => self.crash(node, after, (left, down_ms)),
            Fault::Cut { from, to, both, for_ms } => self.cut(from, to, both, for_ms),
            Fault::Split { side, for_ms } => self.split(side, for_ms),
            Fault::Weather { lost, doubled, spread_ms, for_ms } => {
                self.tell(format!(
                    "weather: {lost}/1000 lost, {doubled}/1000 doubled, {spread_ms} ms, for {for_ms} ms"
                ));
                self.coverage.fault("loss, doubling, reordering");
                self.links.storm(Weather { lost, doubled, spread_ms, until: now + for_ms });
            }
            Fault::Slow { node, bytes_per_ms, for_ms } => {
                self.tell(format!("node {node} has a line of {bytes_per_ms} bytes/ms for {for_ms} ms"));
                self.coverage.fault("slow line");
                self.links.slow_down(node, bytes_per_ms, now + for_ms);
            }
            Fault::Clock { node, skew_ms } => {
                self.tell(format!("node {node}: its clock is {skew_ms} ms off"));
                self.coverage.fault(if skew_ms < self.nodes[node].skew {
                    "clock back"
                } else {
                    "clock ahead"
                });
                self.nodes[node].skew = skew_ms;
                self.nodes[node].wake = None;
                self.arm(node);
            }
            Fault::Flip { node } => self.flip(node),
            Fault::Rot { node } => self.rot(node),
            Fault::LyingDisk { node, for_ms } => {
                self.tell(format!("node {node}: its disk lies about syncs for {for_ms} ms"));
                self.coverage.fault("lost syncs");
                self.nodes[node].medium.lie_about_syncs(true);
                self.nodes[node].excused = true;
                // A lie shows when the power fails.
                self.due(now + for_ms, Due::Fail { node });
            }
            // A machine that nobody has set up yet has no disk to fill.
            Fault::Full { node, .. } if self.nodes[node].off == Off::Unborn => {}
            Fault::Full { node, pages, hidden, for_ms } => {
                self.tell(format!("node {node}: its disk has {pages} pages left, for {for_ms} ms"));
                self.nodes[node].medium.set_free_pages(Some(pages), hidden);
                self.due(now + for_ms, Due::Space { node });
            }
            Fault::Copy { node } => self.copy(node),
            Fault::GoOver { node } => self.go_over(node),
            Fault::Turn { node, trick } => self.turn(node, trick),
        }
    }

    fn crash(&mut self, i: usize, after: u64, (left, down_ms): (crate::plan::Left, u64)) {
        let node = &mut self.nodes[i];
        if !node.is_running() || node.cut_at.is_some() {
            return;
        }
        node.cut = (left, down_ms);
        let at = node.medium.operations() + after;
        node.medium.cut_after(at);
        node.cut_at = Some(at);
        if after == 0 {
            return self.go_dark(i);
        }
        // A node that writes little meets its power cut all the same.
        let lives = self.nodes[i].lives;
        self.due(self.now + CUT_MS, Due::Blackout { node: i, lives });
    }

    /// Power fails at once.
    pub(crate) fn fail(&mut self, node: usize) {
        self.crash(node, 0, (crate::plan::Left::Nothing, 500));
    }

    /// Power fails at a node that was to lose it.
    pub(crate) fn blackout(&mut self, i: usize) {
        if self.nodes[i].is_running() && self.nodes[i].cut_at.is_some() {
            self.go_dark(i);
        }
    }

    fn cut(&mut self, from: usize, to: usize, both: bool, for_ms: u64) {
        if from == to {
            return;
        }
        self.tell(format!(
            "the line from {from} to {to} is cut for {for_ms} ms{}",
            if both { ", both ways" } else { "" }
        ));
        self.coverage.fault(if both { "line cut" } else { "line cut one way" });
        self.links.block(from, to, self.now + for_ms);
        if both {
            self.links.block(to, from, self.now + for_ms);
        }
        let mut dice = Dice::of(&[self.plan.seed, 7, self.now, from as u64, to as u64]);
        self.due(self.now + dice.below(3_000), Due::Notice { a: from, b: to });
        self.due(self.now + for_ms + 100, Due::Relink);
    }

    fn split(&mut self, side: u64, for_ms: u64) {
        let nodes = self.nodes.len();
        let far: Vec<usize> = (0..nodes).filter(|i| (side >> i) & 1 == 1).collect();
        if far.is_empty() || far.len() == nodes {
            return;
        }
        self.tell(format!("the network falls apart for {for_ms} ms: {far:?} on the other side"));
        self.coverage.fault("partition");
        self.links.split(side, self.now + for_ms);
        let mut dice = Dice::of(&[self.plan.seed, 8, self.now, side]);
        for a in 0..nodes {
            for b in a + 1..nodes {
                let at = self.now + dice.below(3_000);
                self.due(at, Due::Notice { a, b });
            }
        }
        self.due(self.now + for_ms + 100, Due::Relink);
    }

    // A bit inside what the store keeps for others: the newest block, or a segment. Where redb keeps its own
    // pages a flip may end the process, as storage says; that is shown there.
    fn flip(&mut self, i: usize) {
        let Some(store) = self.nodes[i].store.clone() else { return };
        let block = store.tip().ok().flatten().and_then(|tip| store.block(tip.height).ok().flatten());
        let segment = self.people.a_segment();
        let mut dice = Dice::of(&[self.plan.seed, 9, self.now]);
        let (file, needle) = match (block, segment) {
            (Some((block, _)), None) => (FaultFile::Ledger, block),
            (Some((block, _)), Some(_)) if dice.permille(500) => (FaultFile::Ledger, block),
            (_, Some(segment)) => (FaultFile::Objects, segment),
            _ => return,
        };
        let needle = &needle[needle.len() / 3..][..24.min(needle.len() / 2)];
        let Some(at) = self.nodes[i].medium.find(file, needle).first().copied() else { return };
        self.tell(format!("node {i}: a bit flips in {file:?}"));
        self.coverage.fault("flipped bit");
        self.nodes[i].excused = true;
        self.nodes[i].medium.flip(file, at + dice.place(needle.len()), 1 << dice.below(8));
        // What is in memory is not on the medium: the node meets it after the next start at the latest.
        self.due(self.now + 300, Due::Fail { node: i });
    }

    // A bit anywhere: in what redb keeps for itself too. The node may refuse to start or end; it harms nobody.
    fn rot(&mut self, i: usize) {
        let mut dice = Dice::of(&[self.plan.seed, 15, self.now]);
        let file = dice.pick(&[FaultFile::Ledger, FaultFile::Objects]);
        let length = self.nodes[i].medium.length(file);
        if !self.nodes[i].is_running() || length == 0 {
            return;
        }
        self.tell(format!("node {i}: a bit flips somewhere in {file:?}"));
        self.coverage.fault("flipped bit in a database's own pages");
        self.nodes[i].excused = true;
        self.nodes[i].rotten = true;
        self.nodes[i].medium.flip(file, dice.place(length), 1 << dice.below(8));
        self.due(self.now + 300, Due::Fail { node: i });
    }

    fn turn(&mut self, i: usize, trick: Trick) {
        // Who has a twin keeps it; any other trick may be changed for another.
        let before = self.nodes[i].trick;
        if !self.nodes[i].is_running() || before == Some(Trick::Twin) || before == Some(trick) {
            return;
        }
        self.tell(format!("node {i} turns hostile: {trick:?}"));
        self.coverage.fault(trick.name());
        self.nodes[i].trick = Some(trick);
        self.nodes[i].excused = true;
        match trick {
            Trick::Twin => self.make_hostile_twin(i),
            Trick::ForeignCertificates | Trick::Flood | Trick::InvalidProposal => {
                self.due(self.now + 100, Due::Mischief { node: i });
            }
            _ => {}
        }
    }

    fn make_hostile_twin(&mut self, i: usize) {
        let place = self.make_twin(i);
        self.nodes[place].trick = Some(Trick::Twin);
        for twin in [i, place] {
            self.due(self.now + 50, Due::Mischief { node: twin });
        }
    }

    fn copy(&mut self, i: usize) {
        if !self.nodes[i].is_running() || self.nodes[i].removed_at.is_some() {
            return;
        }
        self.tell(format!("the disk of node {i} is copied, and both machines run"));
        self.coverage.fault("a disk copied, and both run");
        let place = self.make_twin(i);
        for twin in [i, place] {
            self.nodes[twin].copied = true;
            self.nodes[twin].excused = true;
        }
    }

    fn go_over(&mut self, i: usize) {
        let twin = self.nodes.iter().position(|node| node.twin_of == Some(i));
        let desk = &mut self.people.organizations[i].desk;
        *desk = if desk.is_none() { twin } else { None };
    }

    // The same key and the same past, twice. From here on both go their own way.
    fn make_twin(&mut self, i: usize) -> usize {
        let medium = self.nodes[i].medium.after(hospes_storage::fault::Cut::KeepAll);
        let place = self.nodes.len();
        let original = &self.nodes[i];
        let mut twin = Node::new(self.plan.seed, i, (original.organization, original.organization_id));
        twin.medium = medium;
        twin.off = Off::Power;
        twin.excused = true;
        twin.twin_of = Some(i);
        // Its store draws other keys and nonces.
        twin.lives = 1_000;
        self.nodes.push(twin);
        self.start(place);
        self.relink();
        place
    }

    /// All that failed works again: lines, power, clocks. Liars keep lying.
    pub(crate) fn heal(&mut self) {
        self.tell("all lines, clocks and machines are well again");
        self.links.clear_up();
        for i in 0..self.nodes.len() {
            self.nodes[i].skew = 0;
            self.nodes[i].medium.set_free_pages(None, false);
            if self.nodes[i].is_running() && !self.nodes[i].is_dark() {
                self.nodes[i].medium.cut_after(u64::MAX / 2);
                self.nodes[i].cut_at = None;
            }
            self.nodes[i].wake = None;
            self.arm(i);
            if self.nodes[i].off == Off::Power && !self.nodes[i].is_running() {
                self.start(i);
            }
        }
        self.due(self.now, Due::Relink);
    }
}

//! The world: nodes, lines and virtual time in one queue. It carries out what services ask for, as the
//! runtime does, and tells the watch what happened.
//!
//! Nothing sleeps, nothing reads a clock. What goes wrong is decided by the plan and the seed alone.

pub(crate) mod effects;
pub(crate) mod faults;
pub(crate) mod links;
pub(crate) mod node;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hospes_protocol::genesis::Genesis;
use hospes_protocol::ids::NodeId;
use hospes_service::effects::Timer;
use hospes_service::service::{Fatal, Service};

use self::links::Links;
use self::node::{Node, Off};
use crate::book::Book;
use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::glass::Glass;
use crate::people::People;
use crate::plan::Plan;
use crate::watch::{DURABLE, Watch};

/// The virtual clock begins here, in milliseconds since 1970 UTC.
pub(crate) const T0: u64 = 1_790_000_000_000;
/// A request that is not answered fails after so long, in milliseconds.
const REQUEST_MS: u64 = 5_000;
/// A node that found no room to start in is started again after so long, in milliseconds.
const START_MS: u64 = 1_000;

/// Something on its way to a node.
pub(crate) enum Packet {
    Gossip(Vec<u8>),
    Channel(Vec<u8>),
    Request { id: u64, bytes: Vec<u8> },
    Answer { id: u64, bytes: Vec<u8> },
    ObjectRequest { id: u64, bytes: Vec<u8> },
    Frame { id: u64, bytes: Vec<u8> },
    End { id: u64, complete: bool },
}

/// Something that is due.
pub(crate) enum Due {
    /// A message over a link, while that link lives.
    Packet { from: usize, to: usize, life: u64, packet: Packet },
    /// A request of a node fails unless it was answered, in that life of the node.
    Expire { node: usize, id: u64, lives: u64 },
    /// A node looks at its timers.
    Wake { node: usize, lives: u64 },
    /// Both ends are connected.
    Connected { a: usize, b: usize, life: u64 },
    /// Ends of a cut line notice.
    Notice { a: usize, b: usize },
    /// A connection ends, and is made again.
    Break { a: usize, b: usize, life: u64 },
    /// Lines are looked at again.
    Relink,
    /// Power is back.
    Power { node: usize },
    /// Power fails at a node that was to lose it, in that life.
    Blackout { node: usize, lives: u64 },
    /// Power fails at a node.
    Fail { node: usize },
    /// A disk has room again.
    Space { node: usize },
    /// A hostile node does something of its own accord.
    Mischief { node: usize },
    /// An item of the plan.
    Item(usize),
}

/// How often something is done that a long run can't afford at every step, in virtual milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// All records are asked for at a node that learned something, at most so often.
    pub(crate) permits_ms: u64,
    /// Objects are looked for where nothing puts them.
    pub(crate) places_ms: u64,
    /// A hostile node does something of its own accord.
    pub(crate) mischief_ms: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { permits_ms: 0, places_ms: 2_000, mischief_ms: 150 }
    }
}

/// The federation and all around it.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Links,
    pub(crate) genesis: Genesis,
    pub(crate) people: People,
    pub(crate) glass: Glass,
    pub(crate) watch: Watch,
    pub(crate) coverage: Coverage,
    /// Virtual milliseconds since the beginning.
    pub(crate) now: u64,
    pub(crate) story: Vec<String>,
    queue: BTreeMap<(u64, u64), Due>,
    order: u64,
    next_token: u64,
    /// How closely is looked, and how often liars act.
    pub(crate) pace: Pace,
    /// What is counted where somebody asked for it.
    pub(crate) book: Option<Book>,
    /// Penalties of peers, by judge and judged.
    scores: BTreeMap<(usize, usize), u32>,
}

/// Does something over a database that may be rotten: then a panic of the database is the end of that process, and
/// of nothing else.
pub(crate) fn braced<T>(rotten: bool, f: impl FnOnce() -> Result<T, Fatal>) -> Result<T, Fatal> {
    if !rotten {
        return f();
    }
    let ended = |_| Err(Fatal::Engine("the database ended the process".into()));
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(ended)
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let people = People::of(&plan);
        let genesis = people.genesis(&plan);
        let mut world = Self {
            nodes: Vec::new(),
            links: Links::new(plan.seed),
            watch: Watch::new(&genesis),
            people,
            glass: Glass::default(),
            genesis,
            coverage: Coverage::default(),
            now: 0,
            story: Vec::new(),
            queue: BTreeMap::new(),
            order: 0,
            next_token: 0,
            pace: Pace::default(),
            book: None,
            scores: BTreeMap::new(),
            plan,
        };
        let shape = world.plan.shape.clone();
        for place in 0..shape.nodes() {
            let organization = place % shape.organizations();
            let id = world.people.organizations[organization].id;
            world.nodes.push(Node::new(world.plan.seed, place, (organization, id)));
        }
        for number in 0..world.plan.items.len() {
            world.due(world.plan.items[number].at, Due::Item(number));
        }
        (0..shape.founders()).for_each(|place| world.start(place));
        world
    }

    /// True time, in milliseconds since 1970 UTC.
    pub(crate) fn time(&self) -> u64 {
        T0 + self.now
    }

    /// A node's own clock.
    pub(crate) fn local(&self, i: usize) -> u64 {
        self.time().saturating_add_signed(self.nodes[i].skew)
    }

    pub(crate) fn tell(&mut self, what: impl AsRef<str>) {
        let now = self.now;
        self.story.push(format!("{now:>7} {}", what.as_ref()));
    }

    pub(crate) fn due(&mut self, at: u64, due: Due) {
        self.order += 1;
        self.queue.insert((at.max(self.now), self.order), due);
    }

    /// The node that `i` reaches under an id.
    pub(crate) fn reached(&self, i: usize, id: &NodeId) -> Option<usize> {
        (0..self.nodes.len()).find(|j| *j != i && self.nodes[*j].id == *id && self.links.is_up(i, *j))
    }

    /// Starts a node over what its medium holds.
    pub(crate) fn start(&mut self, i: usize) {
        let now = self.local(i);
        let seed = self.plan.seed;
        let first = self.nodes[i].off == Off::Unborn;
        let rotten = self.nodes[i].rotten;
        let (node, genesis) = (&mut self.nodes[i], &self.genesis);
        match braced(rotten, || node.open(seed, now, genesis)) {
            Ok(()) => {
                if !first {
                    self.tell(format!("node {i} is back at height {}", self.nodes[i].height().unwrap_or(0)));
                }
                self.effects(i);
                self.watch_start(i);
                self.relink();
            }
            // As a service manager does.
            Err(fatal) if fatal.is_full() && !first => {
                self.tell(format!("node {i} finds no room to start in"));
                self.nodes[i].off = Off::Power;
                self.due(self.now + START_MS, Due::Power { node: i });
            }
            Err(fatal) if !first && self.nodes[i].is_honest() && !self.nodes[i].is_dark() => {
                self.watch.violated(DURABLE, format!("node {i} does not come back: {fatal}"));
            }
            Err(fatal) => self.fatal(i, &fatal),
        }
    }

    /// Gives a node an input and carries out what follows.
    pub(crate) fn input<R>(
        &mut self,
        i: usize,
        f: impl FnOnce(&mut Service) -> Result<R, Fatal>,
    ) -> Option<R> {
        let now = self.local(i);
        let rotten = self.nodes[i].rotten;
        let begun = self.book.as_ref().map(Book::begin);
        let service = self.nodes[i].service.as_mut()?;
        service.tick(now);
        let done = braced(rotten, || f(service));
        self.charge(i, begun);
        match done {
            Ok(done) => {
                self.effects(i);
                Some(done)
            }
            Err(fatal) => {
                self.fatal(i, &fatal);
                None
            }
        }
    }

    /// A service stopped: because its power failed, as it must, or wrongly.
    pub(crate) fn fatal(&mut self, i: usize, fatal: &Fatal) {
        if self.nodes[i].is_dark() {
            self.go_dark(i);
        } else if self.nodes[i].is_honest() {
            self.watch.violated("a node goes on", format!("node {i} stopped: {fatal}"));
        } else {
            self.tell(format!("node {i} stops for good: {fatal}"));
            self.nodes[i].drop_all();
            self.nodes[i].off = Off::Stopped;
            self.nodes[i].forget();
            self.unlink(i);
        }
    }

    /// Power is off at a node, after what it did last reached the line or not.
    pub(crate) fn go_dark(&mut self, i: usize) {
        let mut dice = Dice::of(&[self.plan.seed, 5, i as u64, self.nodes[i].lives]);
        if dice.permille(500) {
            self.effects(i);
        }
        let down_ms = self.nodes[i].cut.1;
        let left = self.nodes[i].cut.0;
        self.nodes[i].lose_power(dice.draw());
        self.tell(format!("node {i} loses power; of unsynced writes is left: {left:?}"));
        self.coverage.fault("power cut");
        self.unlink(i);
        self.due(self.now + down_ms, Due::Power { node: i });
    }

    fn unlink(&mut self, i: usize) {
        for j in self.links.of(i) {
            self.disconnect(i, j);
        }
    }

    pub(crate) fn disconnect(&mut self, a: usize, b: usize) {
        if !self.links.drop_link(a, b) {
            return;
        }
        for (i, j) in [(a, b), (b, a)] {
            let other = self.nodes[j].id;
            self.input(i, |s| {
                s.on_disconnected(other);
                Ok(())
            });
            let node = &mut self.nodes[i];
            node.tokens.retain(|_, (peer, _)| *peer != j);
            let asked: Vec<u64> = node.asked.iter().filter(|(_, p)| **p == j).map(|(id, _)| *id).collect();
            let fetched: Vec<u64> =
                node.fetching.iter().filter(|(_, p)| **p == j).map(|(id, _)| *id).collect();
            for id in asked {
                self.nodes[i].asked.remove(&id);
                self.input(i, |s| s.on_response(other, id, None));
            }
            for id in fetched {
                self.nodes[i].fetching.remove(&id);
                self.input(i, |s| s.on_object_end(id, false));
            }
        }
    }

    /// Raises the links that may be up and drops those that may not.
    pub(crate) fn relink(&mut self) {
        for a in 0..self.nodes.len() {
            for b in a + 1..self.nodes.len() {
                let wanted = self.may_link(a, b);
                if wanted && !self.links.is_up(a, b) && !self.is_cut(a, b) {
                    self.links.raise(a, b);
                    let life = self.links.life(a, b).unwrap_or(0);
                    self.due(self.now + 2, Due::Connected { a, b, life });
                } else if !wanted {
                    self.disconnect(a, b);
                }
            }
        }
    }

    pub(crate) fn is_cut(&self, a: usize, b: usize) -> bool {
        self.links.is_blocked(a, b, self.now) || self.links.is_blocked(b, a, self.now)
    }

    // Twins share a key and split the others between them.
    fn may_link(&self, a: usize, b: usize) -> bool {
        let (x, y) = (&self.nodes[a], &self.nodes[b]);
        // A node that the genesis does not name finds the others by its configuration, they admit it by the ledger.
        let bootstrap = |n: &Node, of: &Node| n.admits.contains(&of.id);
        x.is_running()
            && y.is_running()
            && x.id != y.id
            && bootstrap(x, y)
            && bootstrap(y, x)
            && !self.links.is_banned(a, b, self.now)
            && self.sees(a, b)
            && self.sees(b, a)
    }

    fn sees(&self, a: usize, b: usize) -> bool {
        let twin = self.nodes[a].twin_of;
        let has_twin = self.nodes.iter().any(|n| n.twin_of == Some(a));
        let side = Dice::of(&[self.plan.seed, 6, b as u64]).permille(500);
        match (twin, has_twin) {
            (Some(_), _) => side,
            (None, true) => !side,
            (None, false) => true,
        }
    }

    /// Lets the next thing happen; false when nothing is due until then.
    pub(crate) fn step(&mut self, until: u64) -> bool {
        let Some(entry) = self.queue.first_entry() else { return false };
        if entry.key().0 > until {
            return false;
        }
        let ((at, _), due) = entry.remove_entry();
        self.now = self.now.max(at);
        match due {
            Due::Packet { from, to, life, packet } if self.links.life(from, to) == Some(life) => {
                self.deliver(from, to, packet);
            }
            Due::Packet { .. } => {}
            Due::Expire { node, id, lives } => self.expire(node, id, lives),
            Due::Wake { node, lives } if self.nodes[node].lives == lives => self.wake(node),
            Due::Wake { .. } => {}
            Due::Connected { a, b, life } if self.links.life(a, b) == Some(life) => {
                let (x, y) = (self.nodes[a].id, self.nodes[b].id);
                self.input(a, |s| s.on_connected(y));
                // Power may have failed at the first, and the line with it.
                if self.links.life(a, b) == Some(life) {
                    self.input(b, |s| s.on_connected(x));
                }
            }
            Due::Connected { .. } => {}
            Due::Notice { a, b } => {
                if self.is_cut(a, b) {
                    self.disconnect(a, b);
                }
            }
            Due::Break { a, b, life } if self.links.life(a, b) == Some(life) => {
                self.disconnect(a, b);
                self.due(self.now + 200, Due::Relink);
            }
            Due::Break { .. } => {}
            Due::Relink => self.relink(),
            Due::Power { node } if self.nodes[node].off == Off::Power => self.start(node),
            Due::Power { .. } => {}
            Due::Blackout { node, lives } if self.nodes[node].lives == lives => self.blackout(node),
            Due::Blackout { .. } => {}
            Due::Fail { node } => self.fail(node),
            Due::Space { node } => self.nodes[node].medium.set_free_pages(None, false),
            Due::Mischief { node } => self.mischief(node),
            Due::Item(number) => self.item(number),
        }
        true
    }

    fn expire(&mut self, i: usize, id: u64, lives: u64) {
        if self.nodes[i].lives != lives {
            return;
        }
        if let Some(peer) = self.nodes[i].asked.remove(&id) {
            let peer = self.nodes[peer].id;
            self.input(i, |s| s.on_response(peer, id, None));
        }
    }

    fn wake(&mut self, i: usize) {
        self.nodes[i].wake = None;
        let now = self.local(i);
        let due: Vec<Timer> =
            self.nodes[i].timers.iter().filter(|(_, at)| **at <= now).map(|(t, _)| *t).collect();
        for timer in due {
            if self.nodes[i].timers.get(&timer).is_some_and(|at| *at <= now) {
                self.nodes[i].timers.remove(&timer);
                self.input(i, |s| s.on_timer(timer));
            }
        }
        self.arm(i);
    }

    /// Sees to it that a node wakes at its next timer.
    pub(crate) fn arm(&mut self, i: usize) {
        let local = self.local(i);
        let node = &mut self.nodes[i];
        let Some(next) = node.timers.values().min().copied() else { return };
        let at = self.now + next.saturating_sub(local);
        if node.is_running() && node.wake.is_none_or(|wake| at < wake) {
            node.wake = Some(at);
            let lives = node.lives;
            self.due(at, Due::Wake { node: i, lives });
        }
    }

    /// Runs until a time or a violation.
    pub(crate) fn run_to(&mut self, until: u64) {
        while self.watch.violation.is_none() && self.step(until) {}
        if self.watch.violation.is_none() {
            self.now = self.now.max(until);
        }
    }
}

//! The end of a day, node by node: what each has, beside what it should have.

use std::io::{self, Write};

use hospes_protocol::ids::{ContentId, StateRoot};
use hospes_storage::{Head, Ledger, Objects};

use crate::world::World;

/// Something that a node should have, and how much of it is there.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    due: usize,
    here: usize,
}

impl Share {
    fn count(&mut self, here: bool) {
        self.due += 1;
        self.here += usize::from(here);
    }

    fn is_whole(self) -> bool {
        self.due == self.here
    }

    fn text(self) -> String {
        format!("{}/{}", self.here, self.due)
    }
}

/// What all nodes must have alike.
#[derive(PartialEq, Eq)]
struct Chain {
    height: u64,
    root: StateRoot,
    heads: Vec<Head>,
}

/// One node at the end.
struct End {
    node: usize,
    chain: Option<Chain>,
    own: Share,
    bodies: Share,
    blobs: Share,
    accesses: Share,
    decisions: Share,
    verdicts: Share,
    sent: u64,
}

impl End {
    fn is_whole(&self) -> bool {
        let shares = [self.own, self.bodies, self.blobs, self.accesses, self.decisions, self.verdicts];
        shares.into_iter().all(Share::is_whole)
    }
}

impl World {
    fn chain_of(&self, i: usize) -> Option<Chain> {
        let (service, store) = (self.nodes[i].service.as_ref()?, self.nodes[i].store.as_ref()?);
        let state = service.state();
        Some(Chain { height: state.height, root: state.root(), heads: store.heads().ok()? })
    }

    fn end_of(&self, i: usize) -> End {
        let organization = self.nodes[i].organization;
        let body = |id: &ContentId| self.has_body(i, id);
        let mut end = End {
            node: i,
            chain: self.chain_of(i),
            own: Share::default(),
            bodies: Share::default(),
            blobs: Share::default(),
            accesses: Share::default(),
            decisions: Share::default(),
            verdicts: Share::default(),
            sent: self.links.bytes.get(&i).copied().unwrap_or(0),
        };
        for one in self.people.reported.iter().filter(|r| r.node == i) {
            let store = self.nodes[i].store.as_ref();
            let header = store.is_some_and(|s| matches!(s.header(&one.header), Ok(Some(_))));
            end.own.count(header && (!one.personal || body(&one.content)));
        }
        let homed = |p: usize| self.people.patients[p].home == Some(organization);
        for opened in self.people.opened.iter().filter(|o| o.node == i || homed(o.patient)) {
            end.accesses.count(body(&opened.access));
        }
        let Some(knowledge) = self.knowledge(i) else { return end };
        for grant in &self.people.grants {
            let final_here = self.watch.finals.contains_key(&grant.content);
            if final_here
                && (homed(grant.patient) || grant.to.organization() == organization && knowledge.lives(grant))
            {
                end.bodies.count(body(&grant.content));
            }
        }
        self.count_records(i, &mut end);
        end
    }

    fn count_records(&self, i: usize, end: &mut End) {
        let organization = self.nodes[i].organization;
        let (Some(knowledge), Some(store), Some(service)) =
            (self.knowledge(i), self.nodes[i].store.as_ref(), self.nodes[i].service.as_ref())
        else {
            return;
        };
        for record in self.people.records.iter().filter(|r| self.watch.finals.contains_key(&r.content)) {
            let placed = self.placed(record, Some(&knowledge)).contains(&organization);
            if placed {
                end.bodies.count(self.has_body(i, &record.content));
                end.blobs.count(store.has_objects(&record.objects).is_ok_and(|here| !here.contains(&false)));
            } else {
                end.blobs.count(store.has_objects(&record.objects).is_ok_and(|here| !here.contains(&true)));
            }
            if let Some(person) = self.people.organizations[organization].person {
                let decision = service.decide(&self.request(record.patient, person, record.content));
                let known = self.has_body(i, &record.content);
                let counts = known && knowledge.has_author(record);
                let wanted = counts && knowledge.permits(organization, record);
                end.decisions.count(decision.is_permitted() == wanted);
            }
        }
    }
}

/// Prints all nodes; gives whether the honest ones are the same and whole.
pub(super) fn tell(world: &World, out: &mut impl Write) -> io::Result<bool> {
    writeln!(
        out,
        "{:<4} {:<22} {:>7} {:<9} {:>7} {:>9} {:>9} {:>11} {:>9} {:>11} {:>11} {:>9}",
        "node",
        "is",
        "height",
        "root",
        "headers",
        "own",
        "bodies",
        "blobs",
        "accesses",
        "decisions",
        "verdicts",
        "sent kB"
    )?;
    let honest = world.settled_nodes();
    let first = honest.first().and_then(|i| world.chain_of(*i));
    let verdicts = world.verdicts(&honest);
    let mut same = true;
    for i in 0..world.nodes.len() {
        let watched = honest.contains(&i);
        let mut end = world.end_of(i);
        for (content, said) in &verdicts {
            if let Some(here) = world.verdict(i, content) {
                end.verdicts.count(world.agrees(here, content, *said));
            }
        }
        let alike = end.chain == first;
        row(world, &end, if watched { "" } else { " *" }, out)?;
        if watched && !(alike && end.is_whole()) {
            same = false;
            writeln!(out, "     node {i} differs")?;
        }
    }
    writeln!(out, "* hostile, removed or off: printed, not compared; blobs count those rightly absent too")?;
    Ok(same)
}

fn row(world: &World, end: &End, mark: &str, out: &mut impl Write) -> io::Result<()> {
    let shape = &world.plan.shape;
    let organization = world.nodes[end.node].organization;
    let kind = match end.node {
        i if i < shape.validators => format!("hospital {organization}"),
        i if i < shape.organizations() => format!("clinic {organization}"),
        _ => format!("second of {organization}"),
    };
    let (height, root, headers) = match &end.chain {
        Some(c) => {
            let root: String = c.root.0[..4].iter().map(|b| format!("{b:02x}")).collect();
            (c.height.to_string(), root, c.heads.iter().map(|h| h.sequence).sum::<u64>().to_string())
        }
        None => ("-".into(), "off".into(), "-".into()),
    };
    writeln!(
        out,
        "{:<4} {:<22} {height:>7} {root:<9} {headers:>7} {:>9} {:>9} {:>11} {:>9} {:>11} {:>11} {:>9}",
        end.node,
        format!("{kind}{mark}"),
        end.own.text(),
        end.bodies.text(),
        end.blobs.text(),
        end.accesses.text(),
        end.decisions.text(),
        end.verdicts.text(),
        end.sent / 1000
    )
}

//! Forked sequences: the branch on which a block stands, where this node's pool stands on another.
//!
//! A node that signs two headers with one number splits the others: each keeps the one that it saw first. Which
//! of them stands is decided by the block that comes first; whoever has the other branch fetches this one, holds it
//! beside the pool, and lets it stand when the block is final. Evidence is the pool's; who has some and can't propose tells
//! those who can; what is on the losing branch
//! another node of the organization files again (`records/anew`).

use std::collections::{BTreeMap, BTreeSet};

use hospes_protocol::block::Cut;
use hospes_protocol::entry::Header;
use hospes_protocol::ids::{HeaderId, NodeId};
use hospes_protocol::wire::Bytes;
use hospes_storage::HeaderRow;

use crate::service::{Fatal, Service};

/// A verified header that the pool did not take, with its body where it is a control header.
pub(crate) type Aside = (Header, Option<Bytes>);

/// Branches beside the pool: one of each forked node at a time.
#[derive(Default)]
pub(crate) struct Branches {
    /// Nodes of which headers came that don't continue what is known.
    forked: BTreeSet<NodeId>,
    /// The cut of a block that stands on a branch which is not here.
    wanted: BTreeMap<NodeId, Cut>,
    found: BTreeMap<NodeId, Vec<Header>>,
}

impl Branches {
    /// A header of the node doesn't continue what is known.
    pub(crate) fn suspect(&mut self, node: NodeId) {
        self.forked.insert(node);
    }

    /// Whether a run of the node may have to be fetched from its beginning.
    pub(crate) fn is_forked(&self, node: &NodeId) -> bool {
        self.forked.contains(node)
    }

    /// A block stands on this cut.
    pub(crate) fn want(&mut self, cut: &Cut) {
        if self.of(cut).is_none() {
            self.wanted.insert(cut.node, cut.clone());
        }
    }

    /// Whether headers of the node are waited for.
    pub(crate) fn is_wanted(&self, node: &NodeId) -> bool {
        self.wanted.contains_key(node)
    }

    /// The headers of a cut, if its branch is here.
    pub(crate) fn of(&self, cut: &Cut) -> Option<&[Header]> {
        let found = self.found.get(&cut.node)?;
        let first = found.first().is_some_and(|h| h.fields().sequence == cut.from);
        let last = found.last().is_some_and(|h| h.id() == cut.last);
        (first && last).then_some(found)
    }

    /// Takes headers that make a wanted branch whole; `known` gives those that both branches share.
    pub(crate) fn take(
        &mut self,
        headers: &[Header],
        known: impl Fn(&NodeId, u64) -> Option<Header>,
    ) -> bool {
        let by_id: BTreeMap<HeaderId, &Header> = headers.iter().map(|h| (h.id(), h)).collect();
        let whole = |cut: &Cut| {
            let (mut branch, mut next) = (Vec::new(), Some(cut.last));
            for sequence in (cut.from..=cut.to).rev() {
                let id = next?;
                let shared = || known(&cut.node, sequence).filter(|h| h.id() == id);
                let header = by_id.get(&id).map(|h| (*h).clone()).or_else(shared)?;
                next = (header.fields().sequence == sequence).then_some(header.fields().previous)?;
                branch.push(header);
            }
            branch.reverse();
            Some(branch)
        };
        let found: Vec<_> = self.wanted.values().filter_map(|cut| Some((cut.node, whole(cut)?))).collect();
        for (node, branch) in &found {
            self.wanted.remove(node);
            self.found.insert(*node, branch.clone());
        }
        !found.is_empty()
    }

    /// Forgets a node whose cut is final.
    pub(crate) fn forget(&mut self, node: &NodeId) {
        self.wanted.remove(node);
        self.found.remove(node);
    }
}

impl Service {
    /// Keeps what makes a branch whole that a block stands on; gives whether one is whole now.
    pub(crate) fn take_aside(&mut self, aside: Vec<Aside>) -> bool {
        let headers: Vec<Header> = aside.iter().map(|(header, _)| header.clone()).collect();
        let whole = self.pool.take_branch(&headers);
        for (header, control) in aside.into_iter().filter(|_| whole) {
            if let Some(body) = control {
                self.pool.keep_control(header.fields().content, body);
            }
        }
        whole
    }

    /// Evidence that only the store remembers: what was taken aside of nodes that take part.
    pub(crate) fn recall_forks(&mut self) -> Result<(), Fatal> {
        let nodes: Vec<_> = self.state.membership.active_nodes().map(|(id, _)| *id).collect();
        for node in nodes {
            for aside in self.ledger.forks(&node)? {
                let other = Header::read(&aside.bytes, &self.network).map_err(Fatal::Contradiction)?;
                let standing = self.ledger.headers(&node, aside.sequence, aside.sequence)?;
                let standing = standing.first().map(|bytes| Header::read(bytes, &self.network)).transpose();
                if let Some(one) =
                    standing.map_err(Fatal::Contradiction)?.filter(|one| one.id() != other.id())
                {
                    self.pool.keep_fork(node, &one, &other);
                }
            }
        }
        Ok(())
    }

    /// Shows the validators evidence that they may lack: a replica may be the only one that heard of a branch.
    pub(crate) fn tell_forks(&mut self) -> Result<(), Fatal> {
        if self.is_validator() {
            return Ok(());
        }
        let headers = self.pool.evidence().flat_map(|fork| [fork.one.0.clone(), fork.other.0.clone()]);
        let headers: Vec<_> = headers.collect();
        let items = headers.into_iter().map(|header| self.header_item(header)).collect::<Result<_, _>>()?;
        self.publish_headers(items);
        Ok(())
    }

    /// Lets the branches stand on which a final block stands, durably; what stood before is kept as evidence.
    pub(crate) fn adopt_branches(&mut self, cuts: &[Cut]) -> Result<(), Fatal> {
        for cut in cuts {
            let Some(branch) = self.pool.other_branch(cut) else { continue };
            let control = |h: &Header| self.pool.control_body(&h.fields().content).map(|b| b.0.clone());
            let rows: Vec<_> = branch.iter().map(|h| HeaderRow::of(h, control(h))).collect();
            self.ledger.adopt_branch(&rows)?;
            self.pool.adopt(cut, branch.clone());
            self.see_reveals(&branch)?;
            let bodies: Vec<_> = branch.iter().map(|h| h.fields().content).collect();
            self.on_headers_known(&bodies)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hospes_protocol::entry::{FORMAT, HeaderFields};
    use hospes_protocol::ids::{ContentId, NetworkId, OrganizationId};
    use hospes_protocol::keys::{Signer, SoftwareSigner};

    fn header(sequence: u64, previous: Option<HeaderId>, content: u8) -> Header {
        let mut signer = SoftwareSigner::from_seed(&[7; 32]);
        let node = NodeId(signer.verifying_key().id().0);
        let fields = HeaderFields {
            format: FORMAT,
            network: NetworkId([1; 32]),
            organization: OrganizationId([2; 32]),
            node,
            sequence,
            previous,
            kind: 5,
            subject: None,
            content: ContentId([content; 32]),
            lock: None,
            reveal: Vec::new(),
            signed_at: 1,
        };
        Header::sign(fields, &mut signer).expect("software signs")
    }

    #[test]
    fn a_branch_is_whole_only_with_every_header_down_to_what_both_share() {
        let shared = header(1, None, 1);
        let ours = header(2, Some(shared.id()), 2);
        let (two, three) = (header(2, Some(shared.id()), 3), header(3, None, 4));
        let three = Header::sign(
            HeaderFields { previous: Some(two.id()), ..three.fields().clone() },
            &mut SoftwareSigner::from_seed(&[7; 32]),
        )
        .expect("software signs");
        let cut = Cut { node: shared.fields().node, from: 1, to: 3, last: three.id() };
        let known = |_: &NodeId, sequence: u64| match sequence {
            1 => Some(shared.clone()),
            2 => Some(ours.clone()),
            _ => None,
        };
        let mut branches = Branches::default();
        assert!(!branches.take(&[two.clone(), three.clone()], known), "nobody wants it");
        branches.want(&cut);
        assert!(
            !branches.take(std::slice::from_ref(&three), known),
            "the second is missing: ours is another"
        );
        assert!(branches.of(&cut).is_none(), "so it is not here");
        assert!(branches.take(&[three.clone(), two.clone()], known), "whole, in any order");
        let ids: Vec<_> = branches.of(&cut).into_iter().flatten().map(Header::id).collect();
        assert_eq!(ids, [shared.id(), two.id(), three.id()], "from the shared one on");
        branches.forget(&cut.node);
        assert!(branches.of(&cut).is_none(), "and forgotten once it is final");
    }
}

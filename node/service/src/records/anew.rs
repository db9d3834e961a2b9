//! Filing anew: what a node of this organization had filed and what can't become final any more, because that node
//! forked its sequence and was retired.
//!
//! ```text
//! space      group  order     item     value
//! file-anew  -      sequence  content  Lost
//! ```
//!
//! The block with the evidence names the node. What another node of its organization knows of its headers beyond those
//! that are final, on either branch, is noted then; whatever body of these is here or comes is filed once more, under
//! this node: the body is the same, so content id and signatures stand, and the subject is made of the same K. The first
//! of the organization's connected nodes files; another does where that one has not after a minute, and two that file
//! the same do no harm, because a content counts once. A node that was removed by people's will is not followed here: that
//! what it filed counts all the same is for people to say, at another desk. Receipts are each node's own; what belongs
//! to a break-glass in progress is asked for again.

use hospes_protocol::block::Block;
use hospes_protocol::check::Check;
use hospes_protocol::entry::{Header, Kind, is_control};
use hospes_protocol::ids::{ContentId, NodeId, Reveal};
use hospes_protocol::wire::Wire;
use hospes_protocol::{mutant, wire_struct};
use hospes_storage::{SealedKey, SealedRow, Write};

use super::index;
use crate::filing::{FileError, Filing};
use crate::service::{Fatal, Service};

const FILE_ANEW: &str = "file-anew";
/// How long the first node of the organization is waited for, in milliseconds.
const PATIENCE_MS: u64 = 60_000;
/// How long a body is waited for, in milliseconds: 30 days.
const WAIT_MS: u64 = 30 * 24 * 60 * 60 * 1000;

wire_struct! {
    /// An entry whose header became final on no branch.
    pub struct Lost {
        /// When that was noted, in milliseconds since 1970 UTC.
        pub at: u64,
        /// What the header showed.
        pub reveal: Vec<Reveal>,
    }
}

/// Whether an entry of this kind may be filed by another node than the one at which it was signed.
fn is_anyones(kind: u64) -> bool {
    use Kind::{Access, Amendment, Card, Erasure, Grant, Locker, Patient, Proxy, Record, Revocation};
    let personal = Kind::from_code(kind).is_some_and(|kind| {
        let known = [Patient, Card, Locker, Record, Amendment, Grant, Revocation, Proxy, Access, Erasure];
        known.contains(&kind)
    });
    personal || is_control(kind) && kind != Kind::Dkg.code()
}

impl Service {
    /// Notes what the nodes that a block retires by evidence had filed in vain, where they are of this organization.
    pub(super) fn note_lost(&self, block: &Block) -> Result<(), Fatal> {
        let mut writes = Vec::new();
        for fork in &block.forks {
            let header = Header::read(&fork.one, &self.network).map_err(Fatal::Contradiction)?;
            let node = header.fields().node;
            let known = self.state.membership.nodes.get(&node);
            if node == self.me.node || known.is_none_or(|n| n.organization != self.me.organization) {
                continue;
            }
            for header in self.headers_in_vain(&node)? {
                let fields = header.fields();
                if is_anyones(fields.kind) {
                    let key = SealedKey::new(FILE_ANEW, &[], fields.sequence, &fields.content.0);
                    let value = Lost { at: self.now, reveal: fields.reveal.clone() }.encode();
                    writes.push(Write::Sealed(SealedRow { key, patient: None, value }));
                }
            }
        }
        self.write(&writes)
    }

    /// Headers of a node that were taken aside, or wait for a block in vain.
    fn headers_in_vain(&self, node: &NodeId) -> Result<Vec<Header>, Fatal> {
        let mut headers: Vec<_> = self.pool.waiting().filter(|h| h.fields().node == *node).cloned().collect();
        for aside in self.ledger.forks(node)? {
            headers.push(Header::read(&aside.bytes, &self.network).map_err(Fatal::Contradiction)?);
        }
        Ok(headers)
    }

    /// Files what is due.
    pub(crate) fn file_anew(&mut self) -> Result<(), Fatal> {
        if self.is_outdated() || mutant!(BranchForgotten) {
            return Ok(());
        }
        let first = self.is_first_of_its_organization();
        for row in self.objects.sealed_rows(FILE_ANEW, None, None, index::PAGE)? {
            let (id, lost) = (index::content_of(&row)?, index::value::<Lost>(&row)?);
            if !first && self.now < lost.at.saturating_add(PATIENCE_MS) {
                continue;
            }
            let over = self.now >= lost.at.saturating_add(WAIT_MS);
            if over || self.stands_or_waits(&id)? || self.is_filed_anew(&id, lost.reveal)? {
                self.write(&[Write::DropSealed(row.key)])?;
            }
        }
        Ok(())
    }

    fn is_first_of_its_organization(&self) -> bool {
        let ours =
            self.state.membership.active_nodes().filter(|(_, n)| n.organization == self.me.organization);
        let mut here = ours.filter(|(id, _)| **id == self.me.node || self.peers.contains_key(id));
        here.next().is_some_and(|(id, _)| *id == self.me.node)
    }

    /// Whether a header names a content that is final or still may be.
    pub(crate) fn stands_or_waits(&self, id: &ContentId) -> Result<bool, Fatal> {
        for header in self.ledger.headers_of(id)? {
            let filer = self.ledger.header(&header)?.map(|stored| stored.node);
            let takes_part = filer.is_some_and(|node| self.state.membership.node(&node).is_some());
            if takes_part || self.ledger.finality(&header)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an entry is to be filed anew.
    pub(super) fn is_to_be_filed(&self, id: &ContentId) -> Result<bool, Fatal> {
        let mut found = false;
        index::each(&*self.objects, FILE_ANEW, None, |row| {
            found = index::content_of(row)? == *id;
            Ok(!found)
        })?;
        Ok(found)
    }

    /// Whether nothing is left to do for an entry: it is filed, or never can be.
    fn is_filed_anew(&mut self, id: &ContentId, reveal: Vec<Reveal>) -> Result<bool, Fatal> {
        let Some(filing) = self.same_again(id, reveal)? else { return Ok(false) };
        match self.file_in_room(vec![filing], &mut Vec::new()) {
            Ok(()) => Ok(true),
            Err(FileError::Fatal(fatal)) => Err(fatal),
            // What it rests on may come.
            Err(FileError::Rejected(refused)) => {
                Ok(!matches!(refused.check, Check::StandsOnMissing | Check::ObjectMissing))
            }
            Err(FileError::Clock { .. } | FileError::DiskFull | FileError::Outdated) => Ok(false),
        }
    }

    /// The same body, under the K of its patient; null while either is not here.
    fn same_again(&self, id: &ContentId, reveal: Vec<Reveal>) -> Result<Option<Filing>, Fatal> {
        if let Some(body) = self.ledger.control_body(id)? {
            return Ok(Some(Filing { body, key: None, reveal, packets: Vec::new() }));
        }
        let (Some(held), Some((_, payload))) = (self.objects.body(id)?, self.entry(id)?) else {
            return Ok(None);
        };
        let key = payload.patient().map(|patient| self.subject_key(patient)).transpose()?.flatten();
        Ok(key.map(|key| Filing { body: held.bytes, key: Some(key), reveal, packets: Vec::new() }))
    }

    /// Whether the header of a kept entry was taken aside with the branch of a node that was retired.
    pub(super) fn is_taken_aside(&self, id: &ContentId) -> Result<bool, Fatal> {
        let members = &self.state.membership;
        for node in members.nodes.keys().filter(|id| members.node(id).is_none()) {
            for aside in self.ledger.forks(node)? {
                let header = Header::read(&aside.bytes, &self.network).map_err(Fatal::Contradiction)?;
                if header.fields().content == *id {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

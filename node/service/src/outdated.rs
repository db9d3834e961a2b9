//! A store that is older than what this node signed: put back from a copy, or kept by a disk that lost what it had
//! confirmed. Going on would sign another header under a number that is taken, or another vote for a height; so
//! the node signs nothing more under its key, follows the others, and says so, until it is a new node.
//!
//! Only what this node's own key signed counts as proof, never what a peer claims: a header of this node that its
//! store doesn't hold, seen or named by a certified state, or a certificate with its signature where its log has no
//! such vote. Own headers and votes
//! are durable before they leave, so no crash looks like that. What was signed and is known to no peer in reach is
//! not found out.

use hospes_protocol::block::CommitCertificate;
use hospes_protocol::entry::Header;
use hospes_protocol::state::LedgerState;

use crate::consensus::WalEntry;
use crate::effects::Event;
use crate::service::{Fatal, Service};

/// Where it is kept for which node, so that a new start under the same key signs nothing either.
const PROPERTY: &str = "outdated";

impl Service {
    /// Whether this node's store is older than what its key signed. Then it signs nothing more under it.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        self.outdated
    }

    /// What was found out before the last stop.
    pub(crate) fn recall_outdated(&mut self) -> Result<(), Fatal> {
        self.outdated = self.ledger.property(PROPERTY)?.is_some_and(|node| node == self.me.node.0);
        Ok(())
    }

    /// Verified headers that were not known here; one of this node's own was signed by a later store.
    pub(crate) fn look_for_own_headers(&mut self, unknown: &[Header]) -> Result<(), Fatal> {
        let own = unknown.iter().any(|header| header.fields().node == self.me.node);
        if own { self.stop_signing() } else { Ok(()) }
    }

    /// A verified certificate of the height that follows the state; a vote of this node's in it is in its log.
    pub(crate) fn look_for_own_vote(&mut self, certificate: &CommitCertificate) -> Result<(), Fatal> {
        let signed = certificate.signatures.iter().any(|signature| signature.validator == self.me.node);
        if !signed || self.outdated {
            return Ok(());
        }
        let vote = certificate.precommit(&self.network, self.me.node);
        let logged =
            WalEntry::read_all(self.ledger.wal(certificate.height)?).map_err(Fatal::Contradiction)?;
        let is_logged = |entry: &WalEntry| matches!(entry, WalEntry::Vote(signed) if signed.vote == vote);
        if logged.iter().any(is_logged) { Ok(()) } else { self.stop_signing() }
    }

    /// A certified state that this node goes on from; the headers of its own that it names were stored here.
    pub(crate) fn look_for_own_sequence(&mut self, state: &LedgerState) -> Result<(), Fatal> {
        let certified = state.frontiers.get(&self.me.node).map_or(0, |frontier| frontier.0);
        if certified > self.pool.head(&self.me.node).0 { self.stop_signing() } else { Ok(()) }
    }

    fn stop_signing(&mut self) -> Result<(), Fatal> {
        if self.outdated {
            return Ok(());
        }
        self.ledger.put_property(PROPERTY, &self.me.node.0)?;
        self.outdated = true;
        self.steps.clear();
        self.event(Event::Outdated);
        Ok(())
    }
}

//! Serving: a blob goes to a node that an order makes its holder, and to nobody else.
//!
//! The order travels with the request. It counts when the organization that gave it also ordered the blob
//! here, or is this node's own; so nobody writes himself a key to what another answers for. In its place a
//! node may show the authorization of a patient who is signed in there, for that patient's blobs.

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::ids::NodeId;
use hospes_protocol::wire::Wire;

use super::blob;
use super::order::{FetchRequest, SIGNED_BYTES_MAX, read_order};
use crate::effects::Effect;
use crate::service::{Fatal, Service};

/// A request for a blob in bytes, at most: an order, and little beside it.
const REQUEST_BYTES_MAX: usize = SIGNED_BYTES_MAX + 256;

impl Service {
    /// A peer asks for a blob; it is served or refused under `token`.
    ///
    /// # Errors
    /// [`Fatal`] only.
    pub fn on_object_request(&mut self, from: NodeId, token: u64, bytes: &[u8]) -> Result<(), Fatal> {
        let request = match FetchRequest::decode_within(bytes, REQUEST_BYTES_MAX) {
            Ok(request) => request,
            Err(rejected) => return self.refuse(from, token, rejected),
        };
        if self.is_gone(&request.root.0)? {
            return self.refuse(from, token, Check::Erased.into());
        }
        let entitled = match self.judge_request(&from, &request)? {
            Ok(()) => Ok(()),
            // Not an order's holder: perhaps the node at which the patient is signed in.
            Err(rejected) => {
                let visit = self.judge_visit(&from, &request.root, &request.order)?;
                visit.map_err(|_| rejected)
            }
        };
        if let Err(rejected) = entitled {
            return self.refuse(from, token, rejected);
        }
        match blob::to_serve(&*self.objects, &request.root, request.have)? {
            Some(objects) => self.emit(Effect::Serve { token, objects }),
            None => return self.refuse(from, token, Check::ObjectMissing.into()),
        }
        Ok(())
    }

    fn judge_request(&self, from: &NodeId, request: &FetchRequest) -> Result<Result<(), Rejected>, Fatal> {
        let judge = || {
            let signed = read_order(&request.order, &self.state)?;
            let peer = self.state.membership.node(from).ok_or(Check::UnknownNode)?;
            ensure(signed.order.root == request.root, Check::NotEntitled)?;
            ensure(signed.order.holder == peer.organization, Check::NotEntitled)?;
            ensure(signed.order.until > self.now, Check::NotEntitled)?;
            Ok(signed.order.organization)
        };
        let ordering = match judge() {
            Ok(organization) => organization,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let orders = self.objects.orders(&request.root)?;
        let here = ordering == self.me.organization || orders.iter().any(|o| o.organization == ordering);
        Ok(ensure(here, Check::NotEntitled))
    }

    fn refuse(&mut self, from: NodeId, token: u64, rejected: Rejected) -> Result<(), Fatal> {
        self.judge_peer(from, Some(rejected));
        self.emit(Effect::Refuse { token, check: rejected.check });
        Ok(())
    }
}

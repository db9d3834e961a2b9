//! What every handler shares: the desk, the service, the stores, and the rings of this module.
//!
//! It decides nothing. Made once by [`super::serve`].

use std::sync::Arc;

use hospes_protocol::genesis::Genesis;
use hospes_protocol::ids::{NetworkId, NodeId, OrganizationId};
use hospes_service::service::Service;
use hospes_storage::{Ledger, Objects};

use super::events::Ring;
use super::idempotency::Answers;
use super::metrics::Counters;
use super::oversight::Counted;
use super::problem::Answer;
use crate::desk::Desk;
use crate::runtime::Damages;
use crate::runtime::actor::Handle;

/// What the API stands on.
#[derive(Clone)]
pub(crate) struct Parts {
    /// What needs a card.
    pub(crate) desk: Desk,
    /// What the node decides.
    pub(crate) service: Handle,
    /// Bodies and blobs.
    pub(crate) objects: Arc<dyn Objects>,
    /// Headers and blocks.
    pub(crate) ledger: Arc<dyn Ledger>,
    /// The network's beginning.
    pub(crate) genesis: Genesis,
    /// What the node says of itself.
    pub(crate) node: NodeFacts,
}

/// What the node says of itself.
#[derive(Clone, Debug)]
pub(crate) struct NodeFacts {
    /// The network.
    pub(crate) network: NetworkId,
    /// The node.
    pub(crate) node: NodeId,
    /// Its organization.
    pub(crate) organization: OrganizationId,
    /// Its libp2p name.
    pub(crate) peer_id: String,
    /// Where peers reach it.
    pub(crate) p2p: Vec<String>,
    /// What an administrator should know, such as keys that lie unsealed.
    pub(crate) warnings: Vec<String>,
    /// What the background scrub found damaged.
    pub(crate) damages: Damages,
}

/// Shared by all handlers.
#[derive(Clone)]
pub(crate) struct Api(Arc<Shared>);

/// Behind [`Api`].
pub(crate) struct Shared {
    pub(crate) parts: Parts,
    pub(crate) ring: Ring,
    pub(crate) answers: Answers,
    pub(crate) counters: Counters,
    pub(crate) counted: Counted,
}

impl std::ops::Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Api {
    /// Over these parts.
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(Shared {
            parts,
            ring: Ring::default(),
            answers: Answers::default(),
            counters: Counters::default(),
            counted: Counted::default(),
        }))
    }

    /// Asks the service, on its thread.
    ///
    /// # Errors
    /// `stopping`, and what `ask` gives.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Service) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        self.parts.service.call(move |service| ask(service)).await?
    }
}

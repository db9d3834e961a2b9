//! From what is willed to what is filed: contents with fresh salts, the signatures of a tap, one batch.
//!
//! Whether an entry is lawful is judged by the service when it is filed.

use hospes_card::{CardSerial, Slot};
use hospes_protocol::entry::{Content, FORMAT, Kind};
use hospes_protocol::fail_point;
use hospes_protocol::ids::{ContentId, Lock, NetworkId, OrganizationId, Reveal};
use hospes_protocol::keys::Signer;
use hospes_protocol::patient::{LockKey, PatientKey};
use hospes_protocol::tap::{CardSignature, sign_tap};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::filing::{Filed, Filing, body_bytes};
use rand::Rng as _;
use rand_chacha::ChaCha20Rng;
use tokio::sync::oneshot;

use super::error::DeskError;
use super::taps::{Shown, Tap};
use crate::runtime::actor::{Handle, Input};

/// Where entries of this node are filed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The network.
    pub(super) network: NetworkId,
    /// The node's organization.
    pub(super) organization: OrganizationId,
}

/// An entry on its way to the ledger.
pub(super) struct Entry {
    /// What is willed.
    pub(super) content: Content,
    /// K for its subject; null for control kinds.
    pub(super) key: Option<PatientKey>,
    /// Values that close locks.
    pub(super) reveal: Vec<Reveal>,
    /// Packets that it names.
    pub(super) packets: Vec<Vec<u8>>,
    /// Signatures so far.
    pub(super) signatures: Vec<CardSignature>,
}

impl Entry {
    /// Its content id.
    pub(super) fn id(&self) -> ContentId {
        self.content.id()
    }

    fn filing(self) -> Filing {
        Filing {
            body: body_bytes(&self.content, self.signatures),
            key: self.key,
            reveal: self.reveal,
            packets: self.packets,
        }
    }
}

impl Place {
    /// An entry of a control kind, or of a personal kind with its K.
    pub(super) fn entry(
        &self,
        kind: Kind,
        stands_on: &[ContentId],
        payload: &impl Wire,
        key: Option<PatientKey>,
        rng: &mut ChaCha20Rng,
    ) -> Entry {
        let mut salt = [0; 32];
        rng.fill_bytes(&mut salt);
        let mut stands_on = stands_on.to_vec();
        stands_on.sort_unstable();
        stands_on.dedup();
        let content = Content {
            format: FORMAT,
            network: self.network,
            kind: kind.code(),
            organization: self.organization,
            salt,
            lock: None,
            stands_on,
            payload: Bytes(payload.encode()),
        };
        Entry { content, key, reveal: Vec::new(), packets: Vec::new(), signatures: Vec::new() }
    }
}

impl Entry {
    /// Puts the patient's lock on it; gives the value that closes it.
    pub(super) fn locked(&mut self, key: &LockKey) -> Reveal {
        let reveal = key.reveal(&self.content.salt);
        self.content.lock = Some(Lock::of(&reveal));
        reveal
    }
}

/// Signs entries in one tap.
///
/// # Errors
/// As the card.
pub(super) fn sign_entries(
    signer: &mut dyn Signer,
    network: &NetworkId,
    shown: &Shown,
    entries: &mut [Entry],
) -> Result<(), DeskError> {
    let ids: Vec<_> = entries.iter().map(Entry::id).collect();
    let signatures = sign_tap(signer, network, shown.pair(), &ids)?;
    for (entry, signature) in entries.iter_mut().zip(signatures) {
        entry.signatures.push(signature);
    }
    Ok(())
}

/// Signs the same entries by several cards, one after another, in one tap: each under its 9C, over the same text.
///
/// # Errors
/// As the tap and the cards; then none is to be filed.
pub(super) async fn sign_in_turn(
    tap: &mut Tap,
    cards: impl IntoIterator<Item = CardSerial>,
    network: &NetworkId,
    shown: &Shown,
    mut entries: Vec<Entry>,
) -> Result<Vec<Entry>, DeskError> {
    for card in cards {
        let (mut signing, network, shown) = (entries, *network, shown.clone());
        entries = tap
            .card(card, move |mut card| {
                sign_entries(&mut card.signer(Slot::Signature)?, &network, &shown, &mut signing)?;
                Ok(signing)
            })
            .await?;
    }
    Ok(entries)
}

/// Files entries as one batch, in order.
///
/// # Errors
/// As the service; then none is filed. When the service fails, it stops.
pub(super) async fn file(service: &Handle, entries: Vec<Entry>) -> Result<Vec<Filed>, DeskError> {
    file_filings(service, entries.into_iter().map(Entry::filing).collect()).await
}

/// As [`file()`], for bodies that are made already.
///
/// # Errors
/// As [`file()`].
pub(super) async fn file_filings(service: &Handle, filings: Vec<Filing>) -> Result<Vec<Filed>, DeskError> {
    use hospes_service::filing::FileError;
    let (done, result) = oneshot::channel();
    let act = Box::new(move |service: &mut hospes_service::service::Service| {
        let (answer, fatal) = match service.file(filings) {
            Ok(filed) => (Ok(filed), Ok(())),
            Err(FileError::Fatal(fatal)) => (Err(DeskError::Stopping), Err(fatal)),
            Err(refused) => (Err(refused.into()), Ok(())),
        };
        fail_point!(FiledUnsaid, return Err(hospes_storage::StoreError::wanted().into()));
        // Whoever asked may have gone; what is filed stands all the same.
        let _gone = done.send(answer);
        fatal
    });
    service.send(Input::Act(act)).await?;
    result.await.map_err(|_| DeskError::Stopping)?
}

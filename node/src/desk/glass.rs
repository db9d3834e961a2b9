//! Opening what was released: the requester's card opens the key of the request, the shares under it open both halves of
//! the escrow (one of them, where the patient's card or a hospital's witness card has the other), and the escrow's secret opens the packet of lockers, as
//! any reader's key does.
//!
//! What it opened stays in the session until the card leaves. Each record is decided and its access filed by `reading`,
//! as always.

use std::sync::Arc;
use std::time::Duration;

use hospes_breakglass::escrow::{CardSealedEscrow, EscrowKeys, Openings, SealedEscrow, WitnessSealedEscrow};
use hospes_breakglass::threshold::{Purpose, Signature, SignatureShare, ThresholdError, ThresholdKey};
use hospes_protocol::context::Context;
use hospes_protocol::emergency::{EscrowRef, Tier};
use hospes_protocol::ids::{ContentId, NetworkId};
use hospes_protocol::keys::{KeyAgreement, SoftwareAgreement};
use hospes_protocol::seal::envelope::{Envelope, OpenError};
use hospes_protocol::wire::Wire;
use hospes_service::emergency::{Gathered, Ready};
use hospes_service::service::Service;
use hospes_storage::Objects;
use serde_json::json;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::Desk;
use super::break_glass::{LOOK, person};
use super::error::DeskError;
use super::sessions::{Session, Unlocked};
use super::taps::blocking;
use super::unseal::take_packet;

/// How long shares are waited for.
const SHARES: Duration = Duration::from_secs(10);
/// Packets of an escrow: locker secrets, and a bundle.
const ESCROW_PACKETS: usize = 2;

/// What opens an escrow.
pub(super) struct Parts {
    /// The request, and the shares.
    pub(super) ready: Ready,
    escrow: EscrowRef,
    /// The escrow's secret, sealed.
    pub(super) sealed: Vec<u8>,
    /// Null where the patient's card stands in for guardians.
    pub(super) guardians: Option<ThresholdKey>,
    /// The validators' key; null where the hospital's witness card stands in for them.
    pub(super) ledger: Option<ThresholdKey>,
    /// The witness card's half, sealed to the key of the request.
    witness: Option<Vec<u8>>,
    /// What the escrow reads.
    pub(super) packets: Vec<Vec<u8>>,
}

fn parts(service: &Service, objects: &dyn Objects, request: &ContentId) -> Result<Option<Parts>, DeskError> {
    let Some(ready) = service.opening_shares(request)? else { return Ok(None) };
    let enough =
        |key: &ThresholdKey, shares: &Gathered| shares.len() >= usize::from(key.threshold().shares_needed());
    let (ledger, witness) = if ready.request.tier == Tier::Offline {
        let Some(half) = service.witness_half(request)? else { return Ok(None) };
        (None, Some(half))
    } else {
        let key = service.threshold_key(&ready.request.ledger)?;
        let Some(key) = key.filter(|key| enough(key, &ready.ledger)) else { return Ok(None) };
        (Some(key), None)
    };
    let guardians = if ready.request.tier == Tier::Card {
        None
    } else {
        let key = service.threshold_key(&ready.request.guardians)?;
        let Some(key) = key.filter(|key| enough(key, &ready.guardians)) else { return Ok(None) };
        Some(key)
    };
    let Some(escrow) = service.escrow_in(&ready.request.locker, &ready.request.label.escrow)? else {
        return Ok(None);
    };
    let Some(sealed) = objects.object(&escrow.sealed)? else { return Ok(None) };
    let packets = service.packets_for(&escrow.public.key.id(), &ready.request.patient)?;
    Ok(Some(Parts { ready, escrow, sealed, guardians, ledger, witness, packets }))
}

impl Desk {
    /// Opens what was released for the person who is signed in: `{request, release, patient, until}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for anyone but the requester; [`DeskError::SignerAbsent`] where the patient's card has a
    /// half and is not in; [`DeskError::NotHere`] while it is not final, or not signed by the witness card where that must, or shares are missing; [`DeskError::SessionOver`].
    pub(crate) async fn open_emergency(
        &self,
        session: &Arc<Session>,
        request: ContentId,
    ) -> Result<serde_json::Value, DeskError> {
        let (requester, _) = person(session)?;
        let known =
            self.ask(move |s| s.emergency(&request)?.ok_or(DeskError::Unknown("this request"))).await?;
        if known.request.requester != requester {
            return Err(DeskError::NotAllowed("only the requester opens what was released"));
        }
        let parts = self.gathered(request).await?;
        let (release, until) = (parts.ready.release, parts.ready.request.until);
        let patient = parts.ready.request.patient;
        let (network, opening) = (self.0.parts.network, session.clone());
        let half = match parts.guardians {
            Some(_) => None,
            None => Some(self.half_on_card(&parts.ready.request).await?),
        };
        blocking(move || opening.with(|unlocked| open(unlocked, &parts, half.as_deref(), &network))).await?;
        Ok(json!({
            "request": request.to_string(),
            "release": release.to_string(),
            "patient": patient.to_string(),
            "until": crate::words::rfc3339(until),
        }))
    }

    /// Waits a little for what opens an escrow.
    pub(super) async fn gathered(&self, request: ContentId) -> Result<Parts, DeskError> {
        let began = Instant::now();
        loop {
            let objects = self.0.parts.objects.clone();
            if let Some(parts) = self.ask(move |service| parts(service, &*objects, &request)).await? {
                return Ok(parts);
            }
            if began.elapsed() >= SHARES {
                return Err(DeskError::NotHere(
                    "it is not released yet, or shares of guardians or validators are still on their way",
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn open(
    unlocked: &mut Unlocked,
    parts: &Parts,
    on_card: Option<&[u8; 32]>,
    network: &NetworkId,
) -> Result<(), DeskError> {
    let request = &parts.ready.request;
    let opened = Envelope::parse(&request.sealed_opener)?.open(
        &mut unlocked.card.agreement()?,
        Context::Opener,
        network,
    )?;
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(opened.get(..32).ok_or(BROKEN)?);
    let mut opener = SoftwareAgreement::from_secret(&secret);
    let label = &request.label;
    let mut half = |key: &ThresholdKey, shares: &Gathered| {
        signature(key, shares, &label.opening(), (&mut opener, network))
    };
    let guardians = parts.guardians.as_ref().map(|key| half(key, &parts.ready.guardians)).transpose()?;
    let ledger = parts.ledger.as_ref().map(|key| half(key, &parts.ready.ledger)).transpose()?;
    let guardians = parts.guardians.as_ref().map(ThresholdKey::public).zip(guardians);
    let ledger = parts.ledger.as_ref().map(ThresholdKey::public).zip(ledger);
    let secret = match (guardians, ledger) {
        (Some(guardians), Some(ledger)) => {
            let openings = Openings { guardians: guardians.1, ledger: ledger.1 };
            let keys = EscrowKeys { guardians: guardians.0, ledger: ledger.0 };
            SealedEscrow::decode(&parts.sealed)?.open(label, &keys, &openings)
        }
        (None, Some((ledger, signature))) => {
            let keys = (on_card.ok_or(BROKEN)?, &ledger);
            CardSealedEscrow::decode(&parts.sealed)?.open(label, keys, &signature)
        }
        (Some((guardians, signature)), None) => {
            let sealed = Envelope::parse(parts.witness.as_ref().ok_or(BROKEN)?)?;
            let witness = sealed.open(&mut opener, Context::WitnessHalf, network)?;
            let half = Zeroizing::new(<[u8; 32]>::try_from(witness.as_slice()).map_err(|_| BROKEN)?);
            WitnessSealedEscrow::decode(&parts.sealed)?.open(label, (&guardians, &signature), &half)
        }
        (None, None) => return Err(BROKEN),
    };
    let secret = secret.map_err(|_| BROKEN)?;
    let mut escrow = SoftwareAgreement::from_secret(&secret);
    debug_assert_eq!(parts.escrow.public.key.id(), label.escrow, "the request is of this escrow");
    for sealed in parts.packets.iter().take(ESCROW_PACKETS) {
        take_packet(&mut unlocked.opened, &request.patient, sealed, &mut escrow, network)?;
    }
    Ok(())
}

const BROKEN: DeskError = DeskError::Invalid("the shares do not open this escrow");

// Shares that are not their member's are left out; the others must be enough.
pub(super) fn signature(
    key: &ThresholdKey,
    shares: &Gathered,
    opening: &[u8],
    (opener, network): (&mut dyn KeyAgreement, &NetworkId),
) -> Result<Signature, DeskError> {
    let mut good = Vec::new();
    for (index, sealed) in shares {
        let plain = Envelope::parse(sealed).map_err(OpenError::from);
        let Ok(plain) = plain.and_then(|e| e.open(opener, Context::OpeningShare, network)) else { continue };
        let Ok(share) = SignatureShare::decode(&plain) else { continue };
        let of_its_place = u64::from(share.index.get()) == *index;
        if of_its_place && key.verify_share(Purpose::Opening, opening, &share).is_ok() {
            good.push(share);
        }
    }
    key.combine(Purpose::Opening, opening, &good).map_err(|e| match e {
        ThresholdError::TooFew { .. } => DeskError::NotHere("too few of the shares that came are good"),
        _ => BROKEN,
    })
}

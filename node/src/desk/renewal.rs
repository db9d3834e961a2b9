//! Renewing a patient's lockers in a tap: what stands now is gathered from the service, then the patient's card
//! opens its newest packet and the keys that no locker holds, and a fresh epoch is made for those who may read.
//!
//! Grants and revocations both do this; neither which grants remain nor what they say is decided here.

use hospes_card::Card;
use hospes_protocol::control::Standing;
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{BlockHash, ContentId, KeyId, OrganizationId, PatientId};
use hospes_protocol::keys::AgreementKey;
use hospes_protocol::personal::{CardEntry, GrantEntry, Grantee, RecordEntry, RevocationEntry, Revoked};
use hospes_protocol::policy::{Known, LockState, PatientView as _, Personal, View as _};
use hospes_protocol::seal::locker::{Keyring, open_data_key};
use hospes_protocol::state::Membership;
use hospes_service::records::{Finality, Listed};
use hospes_service::service::Service;
use rand_chacha::ChaCha20Rng;

use super::alone::half_of;
use super::compose::{Entry, Place};
use super::error::DeskError;
use super::lockers::{
    Carried, EscrowPlan, NewEpoch, Reader, escrow_plans, make_epoch, needs_packet, treating,
};
use super::sessions::{Opened, Session};
use super::sign_in::{CardSecret, read_secret};
use super::unseal::take_packet;

/// Packets of the newest epoch: locker secrets, and a bundle.
const OWN_PACKETS: usize = 3;

/// What stands for a patient now.
pub(super) struct Lockers {
    /// Whose.
    pub(super) patient: PatientId,
    /// The card entry of the session's card.
    pub(super) card_entry: ContentId,
    /// What it says.
    pub(super) card: CardEntry,
    /// Records.
    pub(super) records: Vec<(ContentId, RecordEntry)>,
    /// Packets for the session's card, newest first.
    pub(super) packets: Vec<Vec<u8>>,
    /// Grants in force.
    pub(super) live: Vec<(ContentId, GrantEntry)>,
    /// The newest live epoch; 0 for none.
    pub(super) epoch: u64,
    /// Who takes part.
    pub(super) members: std::sync::Arc<Membership>,
    /// Height of the newest certified block.
    pub(super) height: u64,
    /// Its hash.
    pub(super) block: BlockHash,
    /// Revocations that are not final.
    pub(super) pending: Vec<ContentId>,
    /// The home organization for which the card was issued.
    pub(super) home: OrganizationId,
    /// The escrows that a fresh epoch gets.
    pub(super) escrows: Vec<EscrowPlan>,
}

/// Reads what stands for the patient of a session.
pub(super) fn standing(service: &Service, session: &Session) -> Result<Lockers, DeskError> {
    let (patient, _) = session.patient()?;
    let (of, known) = service.card_entry(&session.authentication)?.ok_or(DeskError::UnknownCard)?;
    let Personal::Card(card) = &known.entry else { return Err(DeskError::UnknownCard) };
    if of != patient {
        return Err(DeskError::UnknownCard);
    }
    let issued = service.issued_by(&known.id)?.ok_or(DeskError::UnknownCard)?;
    standing_of(service, (patient, issued), (known.id, (**card).clone()), &session.agreement.id())
}

/// Reads what stands for a patient whose card is, or will be, this one; `reader` is whose packets are opened.
pub(super) fn standing_of(
    service: &Service,
    (patient, home): (PatientId, OrganizationId),
    (card_entry, card): (ContentId, CardEntry),
    reader: &KeyId,
) -> Result<Lockers, DeskError> {
    let records = service.records_of(&patient)?.into_iter().map(|l| (l.content, l.entry)).collect();
    let revocations = revocations(service, &patient)?;
    let mut live = Vec::new();
    for grant in service.grants_of(&patient)? {
        if is_live(service, &grant, &revocations)? {
            live.push((grant.content, grant.entry));
        }
    }
    let state = service.state();
    Ok(Lockers {
        home,
        escrows: escrow_plans(service, &service.offline_at(&patient)?)?,
        patient,
        card_entry,
        card,
        records,
        packets: service.packets_for(reader, &patient)?,
        live,
        epoch: service.locker_epoch(&patient)?.map_or(0, |(_, entry)| entry.epoch),
        members: state.membership.clone(),
        height: state.height,
        block: state.block,
        pending: service.pending_revocations(&patient)?,
    })
}

fn revocations(service: &Service, patient: &PatientId) -> Result<Vec<Known<RevocationEntry>>, DeskError> {
    let mut found = Vec::new();
    service.view().revocations(patient, &mut |known| {
        found.push(known.clone());
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(found)
}

// As `decide` has it, but for what depends on who reads: a locker is made for no one whose grant has ended.
fn is_live(
    service: &Service,
    grant: &Listed<GrantEntry>,
    revocations: &[Known<RevocationEntry>],
) -> Result<bool, DeskError> {
    if matches!(grant.state.finality, Finality::Void(_)) || grant.entry.until <= service.now() {
        return Ok(false);
    }
    let lock = service.view().entry(&grant.content)?.and_then(|known| known.lock);
    if lock.is_some_and(|lock| service.view().lock(&lock) != Ok(LockState::Open)) {
        return Ok(false);
    }
    Ok(!revocations.iter().any(|r| beats(r, grant)))
}

fn beats(revocation: &Known<RevocationEntry>, grant: &Listed<GrantEntry>) -> bool {
    let named = match &revocation.entry.revoked {
        Revoked::Entries(ids) => return ids.contains(&grant.content),
        Revoked::Grantee(grantee) => *grantee == grant.entry.grantee,
        Revoked::Everything => true,
    };
    let after = &grant.entry.after;
    let knew = after.revocations.contains(&revocation.id)
        || revocation.height.is_some_and(|height| height <= after.height);
    named && !knew
}

/// The organization whose people act under a grantee, and the key that its packets are sealed to; null where
/// nothing can be sealed, as for a code that nobody used yet.
pub(super) fn reader_key(members: &Membership, grantee: &Grantee) -> Option<(OrganizationId, AgreementKey)> {
    match grantee {
        Grantee::Person(id) => {
            let person = members.people.get(id).filter(|p| p.standing == Standing::Active)?;
            Some((person.organization, person.agreement.clone()))
        }
        Grantee::Organization(id) | Grantee::Role(id, _) => {
            members.organization(id)?;
            Some((*id, members.keys.get(id)?.key.clone()))
        }
        Grantee::Code(_) | Grantee::Proxy(_) => None,
    }
}

/// Makes the locker entry of a fresh epoch under `grants`, with the patient's unlocked card.
///
/// # Errors
/// As the card; [`DeskError::UnknownCard`] where its secret is another's; [`DeskError::NotHere`] where there are
/// lockers whose packet is not here.
pub(super) fn renew(
    card: &mut dyn Card,
    now: &Lockers,
    grants: &[(ContentId, GrantEntry)],
    place: &Place,
    rng: &mut ChaCha20Rng,
) -> Result<Entry, DeskError> {
    let network = &place.network;
    let secret =
        read_secret(card, network)?.filter(|s| s.patient == now.patient).ok_or(DeskError::UnknownCard)?;
    let mut opened = Opened::default();
    for sealed in now.packets.iter().take(OWN_PACKETS) {
        take_packet(&mut opened, &now.patient, sealed, &mut card.agreement()?, network)?;
    }
    renew_with(card, (&secret, opened), now, grants, place, rng)
}

/// As [`renew`], with what a packet gave that the card itself may not open.
///
/// # Errors
/// As [`renew`].
pub(super) fn renew_with(
    card: &mut dyn Card,
    (secret, mut opened): (&CardSecret, Opened),
    now: &Lockers,
    grants: &[(ContentId, GrantEntry)],
    place: &Place,
    rng: &mut ChaCha20Rng,
) -> Result<Entry, DeskError> {
    let network = &place.network;
    let ring = opened.lockers.remove(&now.patient).unwrap_or_default();
    let old: Vec<_> = ring.secrets().into_iter().cloned().collect();
    let newest = old.last().map_or(0, |s| s.name.epoch);
    if newest == 0 && now.epoch > 0 {
        return Err(DeskError::NotHere("the lockers of this patient are not here yet"));
    }
    let carried = carried(card, now, &ring, &opened, grants, place)?;
    let of = |(_, grant): &(ContentId, GrantEntry)| {
        let (organization, key) = reader_key(&now.members, &grant.grantee)?;
        Some(Reader { key, organization, grant: grant.clone() })
    };
    let readers: Vec<_> = grants.iter().filter_map(of).collect();
    // A hospital that the patient names holds the summary, and files under K what it opens.
    let named = now.escrows.iter().filter_map(|plan| plan.under.hospital());
    let organizations: Vec<_> = readers.iter().map(|r| r.organization).chain(named).collect();
    let on_card = half_of(card)?;
    let made = make_epoch(
        NewEpoch {
            number: newest.max(now.epoch) + 1,
            secret,
            card: &now.card.agreement,
            recovery: &now.card.recovery,
            old,
            carried: &carried,
            rests_on: grants.iter().filter(|(_, g)| needs_packet(g)).map(|(id, _)| *id).collect(),
            treating: &treating(&now.members, &organizations, &secret.secret),
            readers: &readers,
            home: now.home,
            escrows: &now.escrows,
            on_card: on_card.as_deref(),
        },
        network,
        rng,
    )?;
    let k = secret.secret.k(&place.organization);
    let mut locker = place.entry(Kind::Locker, &[now.card_entry], &made.entry, Some(k), rng);
    locker.packets = made.packets;
    Ok(locker)
}

// Keys that no locker holds, always; of those in lockers, the ones that a grant names.
fn carried(
    card: &mut dyn Card,
    now: &Lockers,
    ring: &Keyring,
    opened: &Opened,
    grants: &[(ContentId, GrantEntry)],
    place: &Place,
) -> Result<Vec<Carried>, DeskError> {
    let network = &place.network;
    let mut carried = Vec::new();
    for (content, record) in &now.records {
        let named = grants.iter().any(|(_, g)| g.scope.records.contains(content));
        let held = ring.open_any(&record.keys, network).ok();
        let (key, in_locker) = match (held, opened.records.get(content)) {
            (Some(_), _) if !named => continue,
            (Some(key), _) => (key, true),
            (None, Some(key)) => (key.clone(), false),
            (None, None) => {
                let mut agreement = card.agreement()?;
                let own =
                    record.keys.iter().find_map(|sealed| open_data_key(sealed, &mut agreement, network).ok());
                let Some(key) = own else { continue };
                (key, false)
            }
        };
        let (category, label) = (record.category, record.label);
        carried.push(Carried { content: *content, category, label, key, in_locker });
    }
    Ok(carried)
}

//! A fresh epoch of a patient's lockers: new pairs, one packet for each reader, K for nodes that come to treat.
//!
//! Every epoch has the lockers of all categories and labels. The patient's card and the recovery code get all
//! secrets, older epochs included; a grantee gets those in the scope of live grants. What no locker holds (records
//! named one by one, or filed while no epoch was live) travels as a bundle: record id and data key, 64 bytes each,
//! sealed as a data key is. Nothing here asks a card or files.

use std::collections::{BTreeMap, BTreeSet};

use hospes_breakglass::escrow::{
    CardSealedEscrow, EscrowKeys, SealedEscrow, WitnessKeys, WitnessSealedEscrow,
};
use hospes_breakglass::threshold::PublicKey;
use hospes_protocol::context::Context;
use hospes_protocol::control::{LEDGER_COMMITTEE, local_committee};
use hospes_protocol::emergency::{EscrowLabel, EscrowPublic, EscrowRef, Tier};
use hospes_protocol::ids::{ContentId, KeyId, NetworkId, ObjectId, OrganizationId};
use hospes_protocol::keys::{AgreementKey, KeyAgreement as _, SoftwareAgreement};
use hospes_protocol::patient::PatientKey;
use hospes_protocol::personal::{Category, GrantEntry, Label, LockerEntry, PacketRef, Right, SubjectKey};
use hospes_protocol::seal::blob::DataKey;
use hospes_protocol::seal::envelope::seal_to;
use hospes_protocol::seal::locker::{NamedSecret, all_lockers, fresh_epoch};
use hospes_protocol::seal::packet::{Packet, seal_packet};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::service::Service;
use rand::Rng as _;
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

use super::error::DeskError;
use super::sign_in::CardSecret;

/// Bytes of one record in a bundle.
const BUNDLED_BYTES: usize = 64;

/// A record whose data key no locker holds, or that a grant names.
#[derive(Clone)]
pub(super) struct Carried {
    /// The record.
    pub(super) content: ContentId,
    /// Its category.
    pub(super) category: Category,
    /// Its label.
    pub(super) label: Label,
    /// Its data key.
    pub(super) key: DataKey,
    /// Whether a locker of the patient's holds the key, so that it travels only where it is named.
    pub(super) in_locker: bool,
}

/// The key of one reader under a live grant.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    /// Whom packets are sealed to.
    pub(super) key: AgreementKey,
    /// Whose nodes hold them.
    pub(super) organization: OrganizationId,
    /// What permits.
    pub(super) grant: GrantEntry,
}

/// A node that is to know K.
#[derive(Clone, Debug)]
pub(super) struct Treating {
    /// The node.
    pub(super) node: hospes_protocol::ids::NodeId,
    /// Its agreement key.
    pub(super) agreement: AgreementKey,
    /// Its organization's K.
    pub(super) key: PatientKey,
}

/// What a fresh epoch is made of.
pub(super) struct NewEpoch<'a> {
    /// Its number.
    pub(super) number: u64,
    /// The patient's secret, for the recovery code.
    pub(super) secret: &'a CardSecret,
    /// 9D of the patient's card.
    pub(super) card: &'a AgreementKey,
    /// The reading key of the recovery code.
    pub(super) recovery: &'a AgreementKey,
    /// Secrets of older epochs.
    pub(super) old: Vec<NamedSecret>,
    /// What no locker holds.
    pub(super) carried: &'a [Carried],
    /// Readers under live grants.
    pub(super) readers: &'a [Reader],
    /// Those grants.
    pub(super) rests_on: Vec<ContentId>,
    /// Nodes that are to know K.
    pub(super) treating: &'a [Treating],
    /// The home organization that the labels of its escrows name.
    pub(super) home: OrganizationId,
    /// The escrows that it gets, where committees hold keys.
    pub(super) escrows: &'a [EscrowPlan],
    /// The card's half of tier 0; without it that escrow is left out.
    pub(super) on_card: Option<&'a [u8; 32]>,
}

/// Under what an escrow's secret is sealed.
#[derive(Clone, Debug)]
pub(super) enum Under {
    /// Two threshold keys.
    Guardians(EscrowKeys),
    /// A value on the patient's card, and the validators' key.
    Card(PublicKey),
    /// A hospital's guardians and its witness card.
    Witness(WitnessKeys),
}

impl Under {
    fn id(&self) -> KeyId {
        match self {
            Self::Guardians(keys) => keys.id(),
            Self::Card(ledger) => CardSealedEscrow::keys(ledger),
            Self::Witness(keys) => keys.id(),
        }
    }

    /// The one hospital at which it opens.
    pub(super) fn hospital(&self) -> Option<OrganizationId> {
        match self {
            Self::Witness(keys) => Some(keys.organization),
            Self::Guardians(_) | Self::Card(_) => None,
        }
    }
}

/// An escrow to make: its tier, and what it is sealed under.
#[derive(Clone, Debug)]
pub(super) struct EscrowPlan {
    /// What it opens.
    pub(super) tier: Tier,
    /// The guardians' committee; the validators' where a card stands in for guardians.
    pub(super) guardians: ContentId,
    /// The validators'; the hospital's own where its witness card stands in for them.
    pub(super) ledger: ContentId,
    /// Their keys.
    pub(super) under: Under,
}

/// The escrows that a patient's lockers get now: of each tier whose guardians hold a key, if the validators do; and one of each
/// hospital that the patient names for emergencies without a line, if its guardians hold a key.
///
/// # Errors
/// Of the store.
pub(super) fn escrow_plans(
    service: &Service,
    offline_at: &BTreeSet<OrganizationId>,
) -> Result<Vec<EscrowPlan>, DeskError> {
    let mut plans = Vec::new();
    for organization in offline_at {
        let Some(own) = service.committee_key(&local_committee(organization))? else { continue };
        let Some(local) = own.entry.local else { continue };
        let (organization, guardians) = (local.organization, own.key.public());
        let under = Under::Witness(WitnessKeys { organization, guardians, witness: local.agreement });
        let (guardians, ledger) = (own.committee, own.committee);
        plans.push(EscrowPlan { tier: Tier::Offline, guardians, ledger, under });
    }
    let Some(ledger) = service.committee_key(LEDGER_COMMITTEE)? else { return Ok(plans) };
    let (tier, under) = (Tier::Card, Under::Card(ledger.key.public()));
    plans.push(EscrowPlan { tier, guardians: ledger.committee, ledger: ledger.committee, under });
    for tier in [Tier::Summary, Tier::Full, Tier::Recovery] {
        let Some((name, _)) = tier.committee() else { continue };
        let Some(guardians) = service.committee_key(name)? else { continue };
        let keys = EscrowKeys { guardians: guardians.key.public(), ledger: ledger.key.public() };
        let under = Under::Guardians(keys);
        plans.push(EscrowPlan { tier, guardians: guardians.committee, ledger: ledger.committee, under });
    }
    Ok(plans)
}

/// An epoch that is ready to be signed.
pub(super) struct MadeEpoch {
    /// The entry.
    pub(super) entry: LockerEntry,
    /// The packets that it names.
    pub(super) packets: Vec<Vec<u8>>,
}

struct Packets {
    refs: Vec<PacketRef>,
    sealed: Vec<Vec<u8>>,
}

impl Packets {
    fn push(&mut self, reader: KeyId, organization: Option<OrganizationId>, sealed: Vec<u8>) {
        self.refs.push(PacketRef { reader, packet: ObjectId::of_structured(&sealed), organization });
        self.sealed.push(sealed);
    }
}

/// Whether a grant lets a reader open this locker.
fn opens(grant: &GrantEntry, category: Category, label: Label) -> bool {
    grant.scope.categories.contains(&category)
        && label <= grant.scope.label
        && category != Category::PrivateNotes
}

/// Whether a grant's packets hold anything at all.
pub(super) fn needs_packet(grant: &GrantEntry) -> bool {
    grant.allows(Right::Read) || grant.allows(Right::Share)
}

fn bundles(grant: &GrantEntry, record: &Carried) -> bool {
    let private = record.category == Category::PrivateNotes;
    let named = grant.scope.records.contains(&record.content) && record.label <= grant.scope.label;
    !private && (named || !record.in_locker && opens(grant, record.category, record.label))
}

/// Makes a fresh epoch.
///
/// # Errors
/// As sealing; [`hospes_protocol::check::Check::TooLarge`] for too many secrets.
pub(super) fn make_epoch(
    new: NewEpoch<'_>,
    network: &NetworkId,
    rng: &mut ChaCha20Rng,
) -> Result<MadeEpoch, DeskError> {
    let patient = new.secret.patient;
    let (lockers, fresh) = fresh_epoch(all_lockers(), new.number, rng);
    let mut secrets = new.old.clone();
    secrets.retain(|old| old.name.epoch < new.number);
    secrets.extend(fresh);
    secrets.sort_by_key(|secret| secret.name);
    secrets.dedup_by_key(|secret| secret.name);
    let mut packets = Packets { refs: Vec::new(), sealed: Vec::new() };
    let own = Packet { patient, epoch: new.number, secrets: secrets.clone() };
    let unheld: Vec<_> = new.carried.iter().filter(|c| !c.in_locker).collect();
    for key in [new.card, new.recovery] {
        packets.push(key.id(), None, seal_packet(key, &own, network, rng)?);
        if !unheld.is_empty() {
            packets.push(key.id(), None, seal_bundle(key, &unheld, network, rng)?);
        }
    }
    let plain = Zeroizing::new(new.secret.encode());
    let sealed = seal_to(new.recovery, Context::PatientSecret, network, &plain, rng)?;
    packets.push(new.recovery.id(), None, sealed);
    for (key, (organization, grants)) in by_key(new.readers) {
        let open = |s: &&NamedSecret| grants.iter().any(|g| opens(g, s.name.category, s.name.label));
        let within: Vec<_> = secrets.iter().filter(open).cloned().collect();
        if !within.is_empty() {
            let packet = Packet { patient, epoch: new.number, secrets: within };
            packets.push(key.id(), Some(organization), seal_packet(&key, &packet, network, rng)?);
        }
        let named: Vec<_> = new.carried.iter().filter(|c| grants.iter().any(|g| bundles(g, c))).collect();
        if !named.is_empty() {
            packets.push(key.id(), Some(organization), seal_bundle(&key, &named, network, rng)?);
        }
    }
    let mut escrows = Vec::new();
    for plan in new.escrows {
        escrows.extend(add_escrow(&new, plan, &secrets, network, (&mut packets, rng))?);
    }
    escrows.sort_by_key(|e| (e.public.tier, e.public.key.id()));
    let mut rests_on = new.rests_on;
    rests_on.sort_unstable();
    rests_on.dedup();
    let subject_keys = seal_subject_keys(new.treating, network, rng)?;
    let entry = LockerEntry {
        patient,
        epoch: new.number,
        lockers,
        rests_on,
        packets: packets.refs,
        subject_keys,
        staged: false,
        escrows,
    };
    Ok(MadeEpoch { entry, packets: packets.sealed })
}

// An escrow is a reader like any other; only its secret stands under threshold keys. None where the card lacks its half.
fn add_escrow(
    new: &NewEpoch<'_>,
    plan: &EscrowPlan,
    secrets: &[NamedSecret],
    network: &NetworkId,
    (packets, rng): (&mut Packets, &mut ChaCha20Rng),
) -> Result<Option<EscrowRef>, DeskError> {
    let (mut secret, mut salt) = (Zeroizing::new([0; 32]), [0; 32]);
    rng.fill_bytes(&mut *secret);
    rng.fill_bytes(&mut salt);
    let key = SoftwareAgreement::from_secret(&secret).agreement_key();
    let public = EscrowPublic { tier: plan.tier, key: key.clone(), staged: false };
    let keys = plan.under.id();
    let label = EscrowLabel::new(*network, keys, &public, &salt, (new.card, &new.home));
    let sealed = match (&plan.under, new.on_card) {
        (Under::Guardians(keys), _) => SealedEscrow::seal(&secret, &label, keys, rng).encode(),
        (Under::Card(ledger), Some(half)) => {
            CardSealedEscrow::seal(&secret, &label, (half, ledger), rng).encode()
        }
        (Under::Witness(keys), _) => WitnessSealedEscrow::seal(&secret, &label, keys, rng)?.encode(),
        (Under::Card(_), None) => return Ok(None),
    };
    let within: Vec<_> = secrets.iter().filter(|s| plan.tier.holds(s.name.category)).cloned().collect();
    let packet = Packet { patient: new.secret.patient, epoch: new.number, secrets: within };
    packets.push(key.id(), None, seal_packet(&key, &packet, network, rng)?);
    let unheld: Vec<_> = new.carried.iter().filter(|c| !c.in_locker && plan.tier.holds(c.category)).collect();
    if !unheld.is_empty() {
        packets.push(key.id(), None, seal_bundle(&key, &unheld, network, rng)?);
    }
    if plan.tier == Tier::Recovery {
        let plain = Zeroizing::new(new.secret.encode());
        packets.push(key.id(), None, seal_to(&key, Context::PatientSecret, network, &plain, rng)?);
    }
    let escrow = EscrowRef {
        public,
        guardians: plan.guardians,
        ledger: plan.ledger,
        keys,
        salt,
        sealed: ObjectId::of_structured(&sealed),
    };
    packets.sealed.push(sealed);
    Ok(Some(escrow))
}

type Held<'a> = (OrganizationId, Vec<&'a GrantEntry>);

// One reader with several grants gets one packet.
fn by_key(readers: &[Reader]) -> BTreeMap<AgreementKey, Held<'_>> {
    let mut held: BTreeMap<AgreementKey, Held<'_>> = BTreeMap::new();
    for reader in readers.iter().filter(|r| needs_packet(&r.grant)) {
        held.entry(reader.key.clone())
            .or_insert_with(|| (reader.organization, Vec::new()))
            .1
            .push(&reader.grant);
    }
    held
}

fn seal_bundle(
    reader: &AgreementKey,
    records: &[&Carried],
    network: &NetworkId,
    rng: &mut ChaCha20Rng,
) -> Result<Vec<u8>, DeskError> {
    let mut plain = Zeroizing::new(Vec::with_capacity(records.len() * BUNDLED_BYTES));
    for record in records {
        plain.extend_from_slice(&record.content.0);
        plain.extend_from_slice(record.key.as_bytes());
    }
    Ok(seal_to(reader, Context::DataKey, network, &plain, rng)?)
}

/// Reads an opened bundle: record ids with their data keys.
pub(super) fn read_bundle(plain: &[u8]) -> Option<Vec<(ContentId, DataKey)>> {
    if plain.is_empty() || !plain.len().is_multiple_of(BUNDLED_BYTES) {
        return None;
    }
    let one = |part: &[u8]| {
        let (mut id, mut key) = ([0; 32], Zeroizing::new([0; 32]));
        id.copy_from_slice(&part[..32]);
        key.copy_from_slice(&part[32..]);
        (ContentId(id), DataKey::from_bytes(key))
    };
    Some(plain.chunks_exact(BUNDLED_BYTES).map(one).collect())
}

/// Seals K to nodes.
///
/// # Errors
/// As sealing.
pub(super) fn seal_subject_keys(
    nodes: &[Treating],
    network: &NetworkId,
    rng: &mut ChaCha20Rng,
) -> Result<Vec<SubjectKey>, DeskError> {
    let mut keys = Vec::new();
    for to in nodes {
        let sealed = seal_to(&to.agreement, Context::PatientKey, network, to.key.as_bytes(), rng)?;
        keys.push(SubjectKey { node: to.node, sealed: Bytes(sealed) });
    }
    Ok(keys)
}

/// Active nodes of organizations, with their K.
pub(super) fn treating(
    members: &hospes_protocol::state::Membership,
    organizations: &[OrganizationId],
    secret: &hospes_protocol::patient::PatientSecret,
) -> Vec<Treating> {
    let of = |(id, node): (&hospes_protocol::ids::NodeId, &hospes_protocol::control::NodeEntry)| Treating {
        node: *id,
        agreement: node.agreement.clone(),
        key: secret.k(&node.organization),
    };
    members.active_nodes().filter(|(_, n)| organizations.contains(&n.organization)).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sessions::Opened;
    use super::super::sign_in::CARD_SECRET_FORMAT;
    use super::super::unseal::take_packet;
    use super::*;
    use hospes_protocol::ids::{BlockHash, PatientId, PersonId};
    use hospes_protocol::patient::PatientSecret;
    use hospes_protocol::personal::{After, Anonymity, Grantee, Purpose, Scope};
    use rand::SeedableRng as _;

    const NET: NetworkId = NetworkId([3; 32]);
    const PATIENT: PatientId = PatientId([4; 32]);

    fn grant(categories: &[Category], records: &[ContentId]) -> GrantEntry {
        GrantEntry {
            patient: PATIENT,
            by_proxy: None,
            grantee: Grantee::Person(PersonId([5; 32])),
            scope: Scope { categories: categories.to_vec(), label: Label::Normal, records: records.to_vec() },
            rights: 1,
            from: 0,
            until: 1,
            purpose: Purpose::Treatment,
            study: None,
            anonymity: Anonymity::AsIs,
            one_time: false,
            two_signatures: false,
            after: After { height: 0, block: BlockHash([0; 32]), revocations: Vec::new() },
        }
    }

    fn carried(id: u8, category: Category, label: Label, in_locker: bool) -> Carried {
        let key = DataKey::from_bytes(Zeroizing::new([id; 32]));
        Carried { content: ContentId([id; 32]), category, label, key, in_locker }
    }

    /// What the reader of one grant can open of an epoch: its locker secrets, and records by their number.
    fn open_as_reader(grant: GrantEntry, carried: &[Carried]) -> (Vec<(Category, Label)>, Vec<u8>) {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = |n: u8| SoftwareAgreement::from_secret(&[n; 32]);
        let secret = CardSecret {
            format: CARD_SECRET_FORMAT,
            generation: 1,
            patient: PATIENT,
            secret: PatientSecret::from_bytes(Zeroizing::new([6; 32])),
        };
        let reader = Reader { key: key(7).agreement_key(), organization: OrganizationId([8; 32]), grant };
        let new = NewEpoch {
            number: 1,
            secret: &secret,
            card: &key(9).agreement_key(),
            recovery: &key(10).agreement_key(),
            old: Vec::new(),
            carried,
            readers: &[reader],
            rests_on: Vec::new(),
            treating: &[],
            home: OrganizationId([8; 32]),
            escrows: &[],
            on_card: None,
        };
        let made = make_epoch(new, &NET, &mut rng).expect("within all limits");
        let mut opened = Opened::default();
        for (packet, named) in made.packets.iter().zip(&made.entry.packets) {
            assert_eq!(named.packet, ObjectId::of_structured(packet), "the entry names its packets in order");
            if named.reader == key(7).agreement_key().id() {
                take_packet(&mut opened, &PATIENT, packet, &mut key(7), &NET).expect("its own packet");
            }
        }
        let ring = opened.lockers.remove(&PATIENT).unwrap_or_default();
        let lockers = ring.secrets().iter().map(|s| (s.name.category, s.name.label)).collect();
        (lockers, opened.records.keys().map(|id| id.0[0]).collect())
    }

    #[test]
    fn a_reader_gets_what_the_scope_covers_and_nothing_else() {
        let records = [
            carried(1, Category::Letters, Label::Normal, false),
            carried(2, Category::Letters, Label::Restricted, false),
            carried(3, Category::Imaging, Label::Normal, false),
            carried(4, Category::PrivateNotes, Label::Normal, false),
            carried(5, Category::Letters, Label::Normal, true),
        ];
        let wide = grant(&[Category::Letters, Category::PrivateNotes], &[]);
        let (lockers, bundled) = open_as_reader(wide, &records);
        assert_eq!(lockers, [(Category::Letters, Label::Normal)], "one locker, and never private notes");
        assert_eq!(bundled, [1], "of what no locker holds, the records in scope");
        let named = grant(&[], &[2, 4, 5].map(|n| ContentId([n; 32])));
        let (lockers, bundled) = open_as_reader(named, &records);
        assert!(lockers.is_empty(), "a grant of single records opens no locker");
        assert_eq!(bundled, [5], "but those records, up to its label and without private notes");
        let writes = GrantEntry { rights: 2, ..grant(&[Category::Letters], &[]) };
        assert_eq!(open_as_reader(writes, &records), (Vec::new(), Vec::new()), "who writes need not read");
    }

    #[test]
    fn bytes_that_are_no_bundle_are_none() {
        assert!(read_bundle(&[0; 64]).is_some(), "one record");
        assert!(read_bundle(&[0; 65]).is_none(), "a byte too many");
        assert!(read_bundle(&[]).is_none(), "nothing");
    }
}

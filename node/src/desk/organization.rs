//! What an organization decides for itself with its card: roles, backup partners, its agreement key.
//!
//! The secret of the agreement key is sealed to each member's card and to the organization's own; the packets lie
//! in the stores of the organization's nodes, by epoch, so that what older epochs sealed can still be opened. The
//! ledger holds their addresses only; the service gives them to the organization's other nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hospes_card::{Card, Slot};
use hospes_protocol::context::Context;
use hospes_protocol::control::{OrganizationKeyEntry, OrganizationPacket, PolicyEntry, RoleEntry, Standing};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{KeyId, NetworkId, ObjectId, OrganizationId};
use hospes_protocol::keys::{AgreementKey, KeyAgreement, SoftwareAgreement};
use hospes_protocol::seal::envelope::{Envelope, seal_to};
use hospes_protocol::wire::Wire;
use hospes_service::records::{
    PacketPlace, organization_packet, organization_packet_writes, organization_packets,
};
use hospes_storage::{Objects, SealedKey, SealedRow, Write};
use rand::Rng as _;
use rand_chacha::ChaCha20Rng;
use serde_json::json;
use zeroize::Zeroizing;

use super::compose::{Entry, file, sign_entries};
use super::error::DeskError;
use super::sessions::Session;
use super::taps::{Shown, TapView, blocking};
use super::unseal::take_secrets;
use super::{Desk, random, text};

/// Bytes of an epoch secret.
const SECRET_BYTES: usize = 32;
/// The newest epoch that was made at this node, final or not.
const NEWEST: &str = "organization-key";

/// A role to define.
#[derive(Clone, Debug)]
pub(crate) struct RoleRequest {
    /// Its name.
    pub(crate) name: String,
    /// Categories by number that its holders may read at all; empty for all.
    pub(crate) categories: Vec<u64>,
    /// Sum of rights.
    pub(crate) rights: u64,
    /// Whether its holders enrol people.
    pub(crate) administrator: bool,
    /// Whether a registry attestation is demanded.
    pub(crate) attested: bool,
}

/// An organization's own policy; what is absent stays as it is.
#[derive(Clone, Debug)]
pub(crate) struct PolicyChoice {
    /// Organizations that hold copies of what this one authored; none before the first choice.
    pub(crate) backup_partners: Option<Vec<OrganizationId>>,
    /// Whether its people open emergency summaries by the patient's card and their own alone; yes before the first
    /// choice.
    pub(crate) tier_zero: Option<bool>,
}

/// An epoch secret whose packets grow.
pub(super) struct EpochKey {
    secret: Zeroizing<[u8; SECRET_BYTES]>,
    /// Secrets of older epochs, which go along.
    older: Secrets,
    epoch: u64,
    packets: Vec<OrganizationPacket>,
    sealed: Vec<(KeyId, Vec<u8>)>,
}

impl EpochKey {
    fn fresh(epoch: u64, rng: &mut ChaCha20Rng) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *secret);
        Self { secret, older: Secrets::new(), epoch, packets: Vec::new(), sealed: Vec::new() }
    }

    /// The public half.
    fn public(&self) -> AgreementKey {
        SoftwareAgreement::from_secret(&self.secret).agreement_key()
    }

    /// Seals it to one more reader.
    pub(super) fn add(
        &mut self,
        reader: &AgreementKey,
        network: &NetworkId,
        rng: &mut ChaCha20Rng,
    ) -> Result<(), DeskError> {
        let mut plain = Zeroizing::new(Vec::with_capacity((1 + self.older.len()) * SECRET_BYTES));
        plain.extend_from_slice(&*self.secret);
        self.older.values().for_each(|secret| plain.extend_from_slice(&**secret));
        let sealed = seal_to(reader, Context::OrganizationKey, network, &plain, rng)?;
        self.packets.retain(|p| p.reader != reader.id());
        self.packets
            .push(OrganizationPacket { reader: reader.id(), packet: ObjectId::of_structured(&sealed) });
        self.sealed.push((reader.id(), sealed));
        Ok(())
    }

    /// The entry that names its packets.
    pub(super) fn entry(&self, organization: OrganizationId) -> OrganizationKeyEntry {
        OrganizationKeyEntry {
            organization,
            epoch: self.epoch,
            key: self.public(),
            packets: self.packets.clone(),
        }
    }

    /// Stores the packets that were sealed here.
    pub(super) fn store(&self, objects: &dyn Objects, of: OrganizationId) -> Result<(), DeskError> {
        let group = self.public().id();
        let newest = SealedKey::new(NEWEST, &of.0, 0, &[]);
        let mut writes =
            vec![Write::Sealed(SealedRow { key: newest, patient: None, value: self.entry(of).encode() })];
        for (reader, sealed) in &self.sealed {
            let place = PacketPlace { key: group, epoch: self.epoch, reader: *reader };
            writes.extend(organization_packet_writes(&place, sealed));
        }
        Ok(objects.apply(&writes)?)
    }
}

/// The newest epoch of an organization's key: the certified one, or one made here that is not final yet.
pub(super) fn newest_key(
    objects: &dyn Objects,
    organization: &OrganizationId,
    certified: Option<OrganizationKeyEntry>,
) -> Result<Option<OrganizationKeyEntry>, DeskError> {
    let row = objects.sealed(&SealedKey::new(NEWEST, &organization.0, 0, &[]))?;
    let made = row.map(|bytes| OrganizationKeyEntry::decode(&bytes)).transpose()?;
    Ok(match (certified, made) {
        (Some(certified), Some(made)) if made.key == certified.key => Some(joined(certified, made)),
        (Some(certified), Some(made)) => Some(if made.epoch > certified.epoch { made } else { certified }),
        (certified, made) => certified.or(made),
    })
}

/// Of one key: what was made here lists members who are not final yet, what is certified those whom another node
/// of the organization enrolled.
fn joined(certified: OrganizationKeyEntry, mut made: OrganizationKeyEntry) -> OrganizationKeyEntry {
    let known: BTreeSet<_> = made.packets.iter().map(|p| p.reader).collect();
    made.packets.extend(certified.packets.into_iter().filter(|p| !known.contains(&p.reader)));
    made
}

/// Organizations' epoch secrets, by public key.
pub(super) type Secrets = BTreeMap<KeyId, Zeroizing<[u8; SECRET_BYTES]>>;

/// Opens a packet: the secret of its epoch, then those of older ones.
fn open_packet(
    sealed: &[u8],
    card: &mut dyn Card,
    network: &NetworkId,
    into: &mut Secrets,
) -> Result<(), DeskError> {
    let plain = Envelope::parse(sealed)?.open(&mut card.agreement()?, Context::OrganizationKey, network)?;
    if plain.is_empty() || !plain.len().is_multiple_of(SECRET_BYTES) {
        return Err(hospes_protocol::check::Check::Malformed.into());
    }
    for part in plain.chunks_exact(SECRET_BYTES) {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        secret.copy_from_slice(part);
        into.insert(SoftwareAgreement::from_secret(&secret).agreement_key().id(), secret);
    }
    Ok(())
}

/// Opens an organization's epoch secret with a member's unlocked card, where a packet of that epoch is for it.
pub(super) fn open_secret(
    objects: &dyn Objects,
    public: &KeyId,
    card: &mut dyn Card,
    network: &NetworkId,
    into: &mut Secrets,
) -> Result<(), DeskError> {
    let reader = card.agreement()?.agreement_key().id();
    match organization_packet(objects, public, &reader)? {
        Some(sealed) => open_packet(&sealed, card, network, into),
        None => Ok(()),
    }
}

/// Opens every epoch secret that is for an unlocked card, the newest packet first: it mostly has them all.
pub(super) fn open_secrets(
    objects: &dyn Objects,
    card: &mut dyn Card,
    network: &NetworkId,
    into: &mut Secrets,
) -> Result<(), DeskError> {
    let reader = card.agreement()?.agreement_key().id();
    for (public, sealed) in organization_packets(objects, &reader)? {
        if !into.contains_key(&public) {
            open_packet(&sealed, card, network, into)?;
        }
    }
    Ok(())
}

/// The epoch key as it stands, with the secrets that the card of whoever administers opened; a first one where there is none.
pub(super) fn epoch_key(
    current: Option<&OrganizationKeyEntry>,
    own: &[AgreementKey],
    mut older: Secrets,
    network: &NetworkId,
    rng: &mut ChaCha20Rng,
) -> Result<EpochKey, DeskError> {
    let Some(current) = current else {
        let mut key = EpochKey::fresh(1, rng);
        own.iter().try_for_each(|reader| key.add(reader, network, rng))?;
        return Ok(key);
    };
    let secret = older.remove(&current.key.id()).ok_or(DeskError::NotHere(
        "the organization's key has not come here yet from the node that made it: connect them",
    ))?;
    let packets = current.packets.clone();
    Ok(EpochKey { secret, older, epoch: current.epoch, packets, sealed: Vec::new() })
}

impl Desk {
    /// Defines or changes a role of this node's organization: `{entry, header}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`]; the tap says what else went wrong.
    pub(crate) async fn define_role(
        &self,
        session: &Arc<Session>,
        request: RoleRequest,
    ) -> Result<TapView, DeskError> {
        let mut categories = request.categories;
        categories.sort_unstable();
        categories.dedup();
        let entry = RoleEntry {
            organization: self.0.parts.organization,
            name: request.name.clone(),
            categories,
            rights: request.rights,
            administrator: request.administrator,
            attested: request.attested,
        };
        let what = format!("the role {}", request.name);
        self.organization_act(session, "role", &what, Kind::Role, &entry).await
    }

    /// Sets the policy of this node's organization: `{entry, header}`.
    ///
    /// # Errors
    /// As [`Desk::define_role`].
    pub(crate) async fn set_policy(
        &self,
        session: &Arc<Session>,
        choice: PolicyChoice,
    ) -> Result<TapView, DeskError> {
        let own = self.0.parts.organization;
        let before =
            self.ask(move |s| Ok(s.state().membership.organization_policies.get(&own).cloned())).await?;
        let (partners, alone) = before.map_or((Vec::new(), true), |p| (p.backup_partners, p.tier_zero));
        let mut backup_partners = choice.backup_partners.unwrap_or(partners);
        backup_partners.sort_unstable();
        backup_partners.dedup();
        let tier_zero = choice.tier_zero.unwrap_or(alone);
        let alone = if tier_zero { "one person alone opens" } else { "nobody alone opens" };
        let what = format!(
            "{} backup partners; {alone} emergency summaries by the patient's card",
            backup_partners.len()
        );
        let entry = PolicyEntry { organization: Some(own), fields: None, backup_partners, tier_zero };
        self.organization_act(session, "policy", &what, Kind::Policy, &entry).await
    }

    /// One entry that the organization's card alone signs.
    pub(super) async fn organization_act(
        &self,
        session: &Arc<Session>,
        kind: &'static str,
        what: &str,
        entry_kind: Kind,
        payload: &impl Wire,
    ) -> Result<TapView, DeskError> {
        self.administers(session).await?;
        let shown = text::organization_act(&self.organization_name().await?, what);
        let entry = self.0.place.entry(entry_kind, &[], payload, None, &mut random::generator()?);
        self.one_card(kind, shown, entry).await
    }

    /// A tap of the organization's card over one entry.
    pub(super) async fn one_card(
        &self,
        kind: &'static str,
        shown: Shown,
        entry: Entry,
    ) -> Result<TapView, DeskError> {
        let (serial, _) = self.organization_card().await?;
        let (desk, network, signed) = (self.clone(), self.0.parts.network, shown.clone());
        self.0.taps.begin(kind, shown, serial, move |mut tap| async move {
            let mut entries = vec![entry];
            let entries = tap
                .card(serial, move |mut card| {
                    sign_entries(&mut card.signer(Slot::Signature)?, &network, &signed, &mut entries)?;
                    Ok(entries)
                })
                .await?;
            let filed = file(&desk.0.parts.service, entries).await?;
            Ok(json!({
                "entry": filed.first().map(|f| f.content.to_string()),
                "header": filed.first().map(|f| f.header.to_string()),
            }))
        })
    }

    /// The secrets of the organization's key that the session's card opens. A tap is no place for it: there the PIN comes
    /// right before the signature.
    ///
    /// # Errors
    /// [`DeskError::SessionOver`]; as the card says.
    pub(super) async fn organization_secrets(
        &self,
        session: &Arc<Session>,
        current: Option<&OrganizationKeyEntry>,
    ) -> Result<Secrets, DeskError> {
        let Some(public) = current.map(|current| current.key.id()) else { return Ok(Secrets::new()) };
        let (session, objects) = (session.clone(), self.0.parts.objects.clone());
        let network = self.0.parts.network;
        blocking(move || session.with(|unlocked| take_secrets(unlocked, &public, &*objects, &network))).await
    }

    /// Begins a new epoch of the organization's agreement key, sealed to every active member: `{epoch}`.
    ///
    /// # Errors
    /// As [`Desk::define_role`].
    pub(crate) async fn organization_key(&self, session: &Arc<Session>) -> Result<TapView, DeskError> {
        self.administers(session).await?;
        let (_, own) = self.organization_card().await?;
        let organization = self.0.parts.organization;
        let (certified, members) = self
            .ask(move |service| {
                let members = &service.state().membership;
                let active = |p: &&hospes_protocol::control::PractitionerEntry| {
                    p.organization == organization && p.standing == Standing::Active
                };
                let readers: Vec<_> =
                    members.people.values().filter(active).map(|p| p.agreement.clone()).collect();
                Ok((members.keys.get(&organization).cloned(), readers))
            })
            .await?;
        let (mut rng, network) = (random::generator()?, self.0.parts.network);
        let last = certified.map_or(0, |k| k.epoch);
        let mut key = EpochKey::fresh(last + 1, &mut rng);
        for reader in own.agreement.iter().chain(&members) {
            key.add(reader, &network, &mut rng)?;
        }
        key.store(&*self.0.parts.objects, organization)?;
        let entry = self.0.place.entry(Kind::OrganizationKey, &[], &key.entry(organization), None, &mut rng);
        let shown = text::organization_act(&own.name, "a new key for what its members may open");
        self.one_card("organization-key", shown, entry).await
    }
}

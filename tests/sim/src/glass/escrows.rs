//! Escrows: the patient's home seals an epoch of lockers to a pair for each tier, once the keys stand there.

use hospes_breakglass::escrow::{CardSealedEscrow, EscrowKeys, SealedEscrow};
use hospes_protocol::context::Context;
use hospes_protocol::control::LEDGER_COMMITTEE;
use hospes_protocol::emergency::{EscrowLabel, EscrowPublic, EscrowRef, Tier};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{KeyId, ObjectId};
use hospes_protocol::keys::{KeyAgreement, SoftwareAgreement};
use hospes_protocol::personal::{Category, Label, LockerEntry, PacketRef};
use hospes_protocol::seal::envelope::seal_to;
use hospes_protocol::seal::locker::{NamedSecret, fresh_epoch};
use hospes_protocol::seal::packet::{Packet, seal_packet};
use hospes_protocol::wire::Wire;
use hospes_service::committees::StandingKey;

use crate::acts::Draft;
use crate::dice::Dice;
use crate::world::World;

/// What an epoch is made of besides its lockers.
#[derive(Default)]
struct Sealed {
    packets: Vec<PacketRef>,
    escrows: Vec<EscrowRef>,
    objects: Vec<Vec<u8>>,
}

impl Sealed {
    fn packet(&mut self, reader: KeyId, bytes: Vec<u8>) {
        let packet = ObjectId::of_structured(&bytes);
        self.packets.push(PacketRef { reader, packet, organization: None });
        self.objects.push(bytes);
    }
}

impl World {
    /// The patient's home seals lockers to escrows, once the keys stand there: those of all tiers, or at least of the
    /// summary.
    pub(crate) fn make_escrows(&mut self, p: usize, all: bool) {
        let Some(at) = self.people.patients[p].home.filter(|at| self.is_open(*at)) else { return };
        let Some(card) = self.people.patients[p].card_entry else { return };
        if self.glass.escrowed.contains(&p) {
            return;
        }
        let epoch = self.people.patients[p].epochs + 1;
        let Some((entry, packets)) = self.escrowed_epoch(at, p, epoch) else { return };
        let made = |tier: Tier| entry.escrows.iter().any(|escrow| escrow.public.tier == tier);
        if !made(Tier::Summary) || all && !made(Tier::Full) {
            return;
        }
        self.people.patients[p].epochs = epoch;
        let signer = self.people.patients[p].card.signer();
        let content = self.draft(at, Kind::Locker, &[card], &entry);
        let draft = Draft::by(content, vec![signer]).with(packets);
        if self.tap(at, Some(p), vec![draft]).is_some() {
            self.glass.escrowed.insert(p);
            self.tell(format!("patient {p} has escrows"));
        }
    }

    /// What lies in the free object of a patient's card.
    pub(super) fn on_card(&self, p: usize) -> [u8; 32] {
        Dice::of(&[self.plan.seed, 64, p as u64]).bytes()
    }

    fn escrowed_epoch(&self, at: usize, p: usize, epoch: u64) -> Option<(LockerEntry, Vec<Vec<u8>>)> {
        let service = self.service(at)?;
        let standing = |name: &str| service.committee_key(name).ok().flatten();
        let ledger = standing(LEDGER_COMMITTEE)?;
        let all = [Category::Laboratory, Category::EmergencySummary].map(|c| (c, Label::Normal));
        let (lockers, secrets) = fresh_epoch(all, epoch, &mut self.rng(&[1, p as u64]));
        let mut sealed = Sealed::default();
        for tier in [Tier::Card, Tier::Summary, Tier::Full, Tier::Recovery] {
            if let Some(guardians) = tier.committee().and_then(|(name, _)| standing(name)) {
                self.seal_escrow(&mut sealed, (at, p, epoch), (tier, &guardians, &ledger), &secrets)?;
            }
        }
        let entry = LockerEntry {
            patient: self.people.patients[p].id,
            epoch,
            lockers,
            rests_on: Vec::new(),
            packets: sealed.packets,
            subject_keys: Vec::new(),
            staged: false,
            escrows: sealed.escrows,
        };
        Some((entry, sealed.objects))
    }

    fn seal_escrow(
        &self,
        sealed: &mut Sealed,
        (at, p, epoch): (usize, usize, u64),
        (tier, guardians, ledger): (Tier, &StandingKey, &StandingKey),
        secrets: &[NamedSecret],
    ) -> Option<()> {
        let (network, patient) = (self.genesis.network(), &self.people.patients[p]);
        let mut rng = self.rng(&[4, p as u64, tier.code()]);
        let keys = EscrowKeys { guardians: guardians.key.public(), ledger: ledger.key.public() };
        let secret = Dice::of(&[self.plan.seed, 61, p as u64, epoch, tier.code()]).bytes();
        let key = SoftwareAgreement::from_secret(&secret).agreement_key();
        let public = EscrowPublic { tier, key, staged: false };
        let alone = tier == Tier::Card;
        let of = if alone { CardSealedEscrow::keys(&keys.ledger) } else { keys.id() };
        let salt = Dice::of(&[self.plan.seed, 65, p as u64, epoch, tier.code()]).bytes();
        let holder = (&patient.card.agreement().agreement_key(), &self.people.organizations[at].id);
        let label = EscrowLabel::new(network, of, &public, &salt, holder);
        let escrow = match tier {
            Tier::Card => {
                CardSealedEscrow::seal(&secret, &label, (&self.on_card(p), &keys.ledger), &mut rng).encode()
            }
            _ => SealedEscrow::seal(&secret, &label, &keys, &mut rng).encode(),
        };
        let secrets = secrets.iter().filter(|s| tier.holds(s.name.category)).cloned().collect();
        let packet = Packet { patient: patient.id, epoch, secrets };
        sealed.packet(public.key.id(), seal_packet(&public.key, &packet, &network, &mut rng).ok()?);
        if tier == Tier::Recovery {
            let plain = patient.secret.as_bytes();
            let own = seal_to(&public.key, Context::PatientSecret, &network, plain, &mut rng).ok()?;
            sealed.packet(public.key.id(), own);
        }
        sealed.escrows.push(EscrowRef {
            public,
            guardians: guardians.committee,
            ledger: ledger.committee,
            keys: of,
            salt,
            sealed: ObjectId::of_structured(&escrow),
        });
        sealed.objects.push(escrow);
        Some(())
    }
}

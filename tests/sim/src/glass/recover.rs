//! A lost card without its printed code: notice by home and another organization, contest, the request for the way back,
//! and the new card that takes over.

use hospes_protocol::emergency::Tier;
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, Reveal};
use hospes_protocol::keys::{AgreementKey, KeyAgreement};
use hospes_protocol::personal::{RevocationEntry, Revoked};
use hospes_protocol::recovery::RecoveryEntry;
use hospes_protocol::wire::Bytes;

use super::Ask;
use crate::acts::Draft;
use crate::dice::Dice;
use crate::people::Card;
use crate::world::World;

/// How long what was asked for may take, in milliseconds.
const FOR_MS: u64 = 3_600_000;

/// A notice that a lost card is to be replaced.
pub(crate) struct Notice {
    id: ContentId,
    /// The new card's 9D.
    pub(super) to: AgreementKey,
    /// What contests it.
    reveal: Reveal,
    /// Whether home ever tried to contest it.
    pub(super) contested: bool,
}

impl World {
    pub(super) fn new_card(&self, p: usize) -> Card {
        Card::of(&[self.plan.seed, 16, p as u64])
    }

    /// Home and another organization give notice, once.
    pub(crate) fn give_notice(&mut self, p: usize, witness: usize) {
        let patient = &self.people.patients[p];
        let Some(at) = patient.home.filter(|at| self.is_open(*at)) else { return };
        let (Some(enrolment), Some(lost)) = (patient.enrolment, patient.card_entry) else { return };
        let many = self.people.organizations.len();
        let witness = if witness == at { (at + 1) % many } else { witness };
        if self.glass.notices.contains_key(&p) || self.people.organizations[witness].expelled {
            return;
        }
        let card = self.new_card(p).entry(patient.id);
        let to = card.agreement.clone();
        let (delay_ms, reveal) =
            (self.plan.shape.recovery_delay_ms, Reveal(Dice::of(&[self.plan.seed, 66, p as u64]).bytes()));
        let entry = RecoveryEntry {
            patient: patient.id,
            home: self.people.organizations[at].id,
            witness: Some(self.people.organizations[witness].id),
            lost,
            card,
            delay_ms,
            contest: Bytes::default(),
        };
        let mut content = self.draft(at, Kind::Recovery, &[enrolment, lost], &entry);
        content.lock = Some(reveal.lock());
        let id = content.id();
        let signers = [at, witness].map(|o| self.people.organizations[o].card.signer()).into();
        // It may be there although the node never said so.
        self.glass.notices.insert(p, Notice { id, to, reveal, contested: false });
        if self.tap(at, Some(p), vec![Draft::by(content, signers)]).is_some() {
            self.coverage.notices += 1;
            self.tell(format!("{at} and {witness} give notice of a new card for patient {p}"));
        }
    }

    /// Home shows what closes the notice's lock.
    pub(crate) fn contest_notice(&mut self, p: usize) {
        let Some(at) = self.people.patients[p].home.filter(|at| self.is_open(*at)) else { return };
        let patient = self.people.patients[p].id;
        let Some(notice) = self.glass.notices.get_mut(&p) else { return };
        notice.contested = true;
        let (id, reveal) = (notice.id, notice.reveal);
        let entry = RevocationEntry { patient, by_proxy: None, revoked: Revoked::Entries(vec![id]) };
        let content = self.draft(at, Kind::Revocation, &[], &entry);
        let signer = self.people.organizations[at].card.signer();
        let draft = Draft::by(content, vec![signer]).revealing(vec![reveal]);
        if self.tap(at, Some(p), vec![draft]).is_some() {
            self.coverage.contests += 1;
            self.tell(format!("{at} contests the new card of patient {p}"));
        }
    }

    /// Home asks for the way back to the new card, or somebody there to a card of the own.
    pub(crate) fn ask_way_back(&mut self, nth: usize, p: usize, thief: bool) {
        let patient = &self.people.patients[p];
        let (Some(by), id) = (patient.home.filter(|at| self.is_open(*at)), patient.id) else { return };
        let Some(notice) = self.glass.notices.get(&p) else { return };
        if self.glass.emergencies.contains_key(&nth) {
            return;
        }
        let own = self.people.organizations[by].practitioner.agreement().agreement_key();
        let (on, opener) = (notice.id, if thief { own } else { notice.to.clone() });
        let Some(basis) = self.service(by).and_then(|s| s.escrow_of(&id, Tier::Recovery).ok().flatten())
        else {
            return;
        };
        let ask = Ask { by, patient: p, tier: Tier::Recovery, for_ms: FOR_MS };
        self.file_request(nth, ask, &basis, Some((on, opener)));
        // What a node that is well refused is asked for again, at a better time.
        let Some(id) = self.glass.emergencies.get(&nth).map(|e| e.id) else { return };
        let refused = self.service(by).is_some_and(|s| matches!(s.emergency(&id), Ok(None)));
        if refused && !self.nodes[by].is_dark() && !self.nodes[by].is_full() {
            self.glass.emergencies.remove(&nth);
            self.coverage.glass_refusals += 1;
        }
    }

    /// The new card opened what the lost one had sealed: its entry takes the place, and the lost card's lock is closed.
    pub(super) fn finish_recovery(&mut self, p: usize) {
        let card = self.new_card(p);
        let lost = self.people.patients[p].card_entry;
        self.suspend(p);
        self.give_card(p, card);
        if self.people.patients[p].card_entry != lost {
            self.coverage.recoveries += 1;
        }
    }
}

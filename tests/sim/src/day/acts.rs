//! What people do in a day and not in the short runs: amendments, cards replaced, consultations, certificates
//! renewed, an organization admitted.

use crate::acts::Draft;
use crate::people::{Card, node_entry, organization_entry};
use crate::world::node::Off;
use crate::world::{T0, World};
use hospes_protocol::control::{NodeEntry, Standing};
use hospes_protocol::entry::Kind;

/// A renewed certificate holds for so long, in milliseconds.
const CERTIFIED_MS: u64 = 365 * 24 * 3_600_000;

impl World {
    /// The place of a patient's record in the list of all.
    fn record_of(&self, p: usize, nth: usize) -> Option<usize> {
        let records = self.people.records.iter().enumerate();
        let own: Vec<usize> = records.filter(|(_, r)| r.patient == p).map(|(number, _)| number).collect();
        own.get(nth % own.len().max(1)).copied()
    }

    pub(crate) fn amend(&mut self, p: usize, nth: usize) {
        let Some(number) = self.record_of(p, nth) else { return };
        let record = &self.people.records[number];
        let (amended, category) = (record.content, record.category);
        self.write_record(p, category, 1_000, Some(amended));
        self.tell(format!("which amends record {number}"));
    }

    pub(crate) fn consult(&mut self, by: usize, p: usize, nth: usize) {
        if let Some(number) = self.record_of(p, nth) {
            self.read(by, number);
        }
    }

    /// The home gives a new card with new keys, under a lock of its own. The secret stays the patient's.
    pub(crate) fn replace_card(&mut self, p: usize) {
        let card = Card::of(&[self.plan.seed, 15, p as u64, self.now]);
        self.give_card(p, card);
    }

    pub(crate) fn give_card(&mut self, p: usize, card: Card) {
        let Some(at) = self.people.patients[p].home.filter(|at| self.is_open(*at)) else { return };
        let Some(enrolment) = self.people.patients[p].enrolment else { return };
        let salt = self.people.salt();
        let patient = &self.people.patients[p];
        let entry = card.entry(patient.id);
        let lock = patient.secret.lock_key().reveal(&salt).lock();
        let mut content = self.draft(at, Kind::Card, &[enrolment], &entry);
        content.salt = salt;
        content.lock = Some(lock);
        let id = content.id();
        let signer = self.people.organizations[at].card.signer();
        if self.tap(at, Some(p), vec![Draft::by(content, vec![signer])]).is_some() {
            self.tell(format!("patient {p} has a new card"));
            let patient = &mut self.people.patients[p];
            patient.card = card;
            patient.card_entry = Some(id);
            patient.card_lock = Some(lock);
            patient.card_salt = salt;
            patient.suspended = false;
        }
    }

    pub(crate) fn renew(&mut self, place: usize) {
        let at = self.nodes[place].organization;
        if !self.is_open(at) {
            return;
        }
        let id = self.people.organizations[at].id;
        let until = T0 + self.now + CERTIFIED_MS;
        let entry = NodeEntry { expires: until, ..node_entry(self.plan.seed, place, id, Standing::Active) };
        let signer = self.people.organizations[at].card.signer();
        let content = self.draft(at, Kind::Node, &[], &entry);
        if self.tap(at, None, vec![Draft::by(content, vec![signer])]).is_some() {
            self.coverage.changes += 1;
            self.tell(format!("the certificate of node {place} is renewed"));
        }
    }

    /// Two thirds of the organizations admit one more; once it is, it certifies its node, which starts from nothing.
    pub(crate) fn found(&mut self, place: usize) {
        let Some(at) = (0..self.plan.shape.validators).find(|at| self.is_open(*at)) else { return };
        if self.nodes[place].off != Off::Unborn {
            return;
        }
        let id = self.people.organizations[place].id;
        let members = self.nodes[at].service.as_ref().map(|s| &s.state().membership);
        if members.is_some_and(|m| m.organization(&id).is_some()) {
            return self.certify_first(at, place);
        }
        let organization = &self.people.organizations[place];
        let (entry, own) = (organization_entry(place, organization), organization.card.signer());
        let mut cards = self.all_cards();
        cards.push(own);
        let founded = self.draft(at, Kind::Organization, &[], &entry);
        if self.tap(at, None, vec![Draft::by(founded, cards)]).is_some() {
            self.coverage.changes += 1;
            self.tell(format!("the organizations admit organization {place}"));
        }
    }

    fn certify_first(&mut self, at: usize, place: usize) {
        let organization = &self.people.organizations[place];
        let (id, own) = (organization.id, organization.card.signer());
        let entry = node_entry(self.plan.seed, place, id, Standing::Active);
        let content = self.draft(at, Kind::Node, &[], &entry);
        if self.tap(at, None, vec![Draft::by(content, vec![own])]).is_some() {
            self.coverage.changes += 1;
            self.tell(format!("organization {place} certifies its node {place}"));
            self.start(place);
        }
    }
}

//! Tier 0: the requester has the patient's card in the reader, and releases by it; or tries to by a card of the own.

use hospes_protocol::context::Context;
use hospes_protocol::emergency::ReleaseEntry;
use hospes_protocol::entry::Kind;
use hospes_protocol::sign1::sign1;
use hospes_protocol::wire::{Bytes, Wire};

use crate::acts::Draft;
use crate::world::World;

impl World {
    /// The card in the reader signs the release, once the request is there.
    pub(crate) fn present_card(&mut self, nth: usize, forged: bool) {
        let Some(emergency) = self.glass.emergencies.get(&nth) else { return };
        let (id, by, p) = (emergency.id, emergency.by, emergency.patient);
        let here =
            self.service(by).is_some_and(|s| matches!(s.emergency(&id), Ok(Some(e)) if e.release.is_none()));
        if emergency.presented.is_some() || !self.is_open(by) || !here {
            return;
        }
        let request = &emergency.request;
        let (network, card) = (self.genesis.network(), request.card);
        let said = request.release(network, id).encode();
        let practitioner = &self.people.organizations[by].practitioner;
        let in_reader = if forged { practitioner } else { &self.people.patients[p].card };
        let Ok(signed) = sign1(&mut in_reader.authentication(), Context::Presence, &network, &said) else {
            return;
        };
        let entry = ReleaseEntry {
            patient: self.people.patients[p].id,
            request: id,
            approvals: Vec::new(),
            signature: None,
            presence: Some(Bytes(signed)),
            link: None,
        };
        let signer = practitioner.signer();
        let content = self.draft(by, Kind::Release, &[id, card], &entry);
        // The card has signed, whatever the node will say.
        self.note_presence(nth, forged, false);
        let done = self.tap(by, Some(p), vec![Draft::by(content, vec![signer])]).is_some();
        self.note_presence(nth, forged, done);
        match (done, forged) {
            (true, false) => self.tell(format!("the card of patient {p} releases emergency {nth}")),
            (true, true) => self.tell(format!("a card of {by} releases emergency {nth}")),
            (false, _) => self.coverage.glass_refusals += 1,
        }
    }

    fn note_presence(&mut self, nth: usize, forged: bool, taken: bool) {
        if let Some(emergency) = self.glass.emergencies.get_mut(&nth).filter(|_| !forged) {
            emergency.presented = Some(taken);
        }
    }
}

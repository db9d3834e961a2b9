//! Erasing a patient: ordered at home by the patient's card and the home's, due after a cooling-off that the policy of the
//! run makes short. When all is well again nothing is left of the patient anywhere but accesses and the erasure itself.

use hospes_protocol::entry::Kind;
use hospes_protocol::personal::ErasureEntry;
use hospes_service::records::Finality;
use hospes_storage::Objects;

use crate::acts::Draft;
use crate::world::World;

/// Bodies of a patient that are looked for.
const SOME: usize = 8;

impl World {
    /// The patient and the home order that everything be erased. Whoever erases asks for nothing more.
    pub(crate) fn erase(&mut self, p: usize) {
        let Some(at) = self.people.patients[p].home.filter(|at| self.is_open(*at)) else { return };
        let Some(card) = self.people.patients[p].card_entry else { return };
        if self.is_erasing(Some(p)) {
            return;
        }
        let now = self.nodes[at].service.as_ref().map_or(0, |s| s.now()).max(self.local(at));
        let not_before = now + self.plan.shape.cooling_off_ms;
        let entry = ErasureEntry { patient: self.people.patients[p].id, records: Vec::new(), not_before };
        let mut content = self.draft(at, Kind::Erasure, &[card], &entry);
        let patient = &self.people.patients[p];
        content.lock = Some(patient.secret.lock_key().reveal(&content.salt).lock());
        let signers = vec![patient.card.signer(), self.people.organizations[at].card.signer()];
        // It may be there although the node never said so.
        self.people.patients[p].erasure = Some(content.id());
        if self.tap(at, Some(p), vec![Draft::by(content, signers)]).is_some() {
            self.coverage.erasures += 1;
            self.tell(format!("patient {p} and {at} order that everything of the patient be erased"));
        }
    }

    /// Whether everything of a patient may be gone.
    pub(crate) fn is_erasing(&self, patient: Option<usize>) -> bool {
        patient.is_some_and(|p| self.people.patients[p].erasure.is_some())
    }

    /// What a node still has of a patient whose erasure is final.
    pub(crate) fn unerased(&self, nodes: &[usize]) -> Option<String> {
        for (p, patient) in self.people.patients.iter().enumerate() {
            let Some(erasure) = patient.erasure else { continue };
            let last = |i: &usize| matches!(self.verdict(*i, &erasure), Some(Finality::Final(_)));
            if !nodes.iter().any(last) {
                continue;
            }
            if let Some((i, what)) = nodes.iter().find_map(|i| Some((*i, self.left_of(*i, p)?))) {
                return Some(format!("node {i} has {what} of patient {p}"));
            }
        }
        None
    }

    fn left_of(&self, i: usize, p: usize) -> Option<String> {
        let (service, store) = (self.nodes[i].service.as_ref()?, self.nodes[i].store.as_ref()?);
        let patient = &self.people.patients[p].id;
        let bodies = store.bodies(Some(patient), None, 0, SOME).ok()?;
        if !bodies.is_empty() {
            let kinds = bodies.iter().filter_map(|id| store.body(id).ok()?.map(|body| body.kind));
            return Some(format!("bodies of kinds {:?}", kinds.collect::<Vec<_>>()));
        }
        if matches!(service.subject_key(patient), Ok(Some(_))) {
            return Some("K".into());
        }
        let any = |ids: &[_]| store.has_objects(ids).is_ok_and(|here| here.contains(&true));
        if any(&self.people.patients[p].packets) {
            return Some("packets".into());
        }
        let records = || self.people.records.iter().filter(|r| r.patient == p);
        if records().any(|record| any(&record.objects)) {
            return Some("parts of a blob".into());
        }
        let by = self.people.organizations[self.nodes[i].organization].person?;
        let opens =
            |r: &crate::people::Record| service.decide(&self.request(p, by, r.content)).is_permitted();
        records().any(opens).then(|| "a record that it lets be read".into())
    }
}

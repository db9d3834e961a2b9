//! What becomes final: heights and effects of entries whose bodies are here.

use hospes_protocol::block::Block;
use hospes_protocol::check::Check;
use hospes_protocol::entry::{Header, Kind, is_control};
use hospes_protocol::ids::{ContentId, PatientId};
use hospes_protocol::mutant;
use hospes_protocol::policy::view::standing_patient;
use hospes_protocol::policy::{HeaderFacts, Personal, judge_body};
use hospes_protocol::state::Outcome;
use hospes_protocol::tap::Body;
use hospes_protocol::wire::Wire;
use hospes_storage::{SealedKey, SealedRow, Write};

use super::index::{self, Home, PATIENTS};
use crate::effects::Event;
use crate::service::{Fatal, Service};

/// Whether entries of this kind stand at the end: of all kinds they are the many.
fn is_leaf(kind: u64) -> bool {
    matches!(Kind::from_code(kind), Some(Kind::Record | Kind::Amendment | Kind::Access))
}

/// The height up to which finality is noted in the objects.
const SETTLED: &str = "settled";
/// Blocks that changed nothing here are noted together, so that most cost no write.
const SETTLED_EVERY: u64 = 64;

fn settled_key() -> SealedKey {
    SealedKey::new(SETTLED, &[], 0, &[])
}

fn settled_row(height: u64) -> Write {
    Write::Sealed(SealedRow { key: settled_key(), patient: None, value: height.encode() })
}

/// The row that says where a patient is at home.
pub(super) fn home_key(patient: &PatientId) -> SealedKey {
    SealedKey::new(PATIENTS, &[], 0, &patient.0)
}

impl Service {
    /// Does again for the newest blocks what becoming final does here: the ledger may have them from before a
    /// crash that kept the objects from following.
    pub(crate) fn settle_final(&mut self) -> Result<(), Fatal> {
        let Some(settled) = index::read::<u64>(&*self.objects, &settled_key())? else {
            return self.write(&[settled_row(self.state.height)]);
        };
        for height in settled + 1..=self.state.height {
            if let Some((headers, outcomes)) = self.final_at(height)? {
                self.on_forks_at(height)?;
                self.on_final(height, &headers, &outcomes)?;
            }
        }
        Ok(())
    }

    /// A block with evidence of forks retires their nodes.
    pub(crate) fn on_forks_final(&mut self, block: &Block) -> Result<(), Fatal> {
        if block.forks.is_empty() {
            return Ok(());
        }
        self.note_lost(block)?;
        self.on_control_final(Kind::Node.code())
    }

    fn on_forks_at(&mut self, height: u64) -> Result<(), Fatal> {
        let Some((bytes, _)) = self.ledger.block(height)? else { return Ok(()) };
        self.on_forks_final(&Block::read(&bytes, &self.network).map_err(Fatal::Contradiction)?)
    }

    /// Says that this is done up to a height.
    pub(crate) fn settled_at(&self, height: u64) -> Result<(), Fatal> {
        self.write(&[settled_row(height)])
    }

    /// The same for heights that were filled in, whose neighbours are done or come in their turn.
    pub(crate) fn settle_filled(&mut self, heights: std::ops::RangeInclusive<u64>) -> Result<(), Fatal> {
        for height in heights {
            if let Some((headers, outcomes)) = self.final_at(height)? {
                let writes = self.take_final(height, &headers, &outcomes)?;
                self.write(&writes)?;
            }
        }
        Ok(())
    }

    #[allow(clippy::type_complexity, reason = "headers, and one outcome for each")]
    fn final_at(&self, height: u64) -> Result<Option<(Vec<Header>, Vec<Outcome>)>, Fatal> {
        let Some((bytes, _)) = self.ledger.block(height)? else { return Ok(None) };
        let block = Block::read(&bytes, &self.network).map_err(Fatal::Contradiction)?;
        let (mut headers, mut outcomes) = (Vec::new(), Vec::new());
        for cut in &block.cuts {
            for bytes in self.ledger.headers(&cut.node, cut.from, cut.to)? {
                let header = Header::read(&bytes, &self.network).map_err(Fatal::Contradiction)?;
                let Some(finality) = self.ledger.finality(&header.id())? else { continue };
                outcomes.push(Outcome { header: header.id(), void: finality.void });
                headers.push(header);
            }
        }
        Ok(Some((headers, outcomes)))
    }

    /// A block made these headers final.
    pub(crate) fn on_final(
        &mut self,
        height: u64,
        headers: &[Header],
        outcomes: &[Outcome],
    ) -> Result<(), Fatal> {
        let mut writes = self.take_final(height, headers, outcomes)?;
        if !writes.is_empty() || height.is_multiple_of(SETTLED_EVERY) {
            writes.push(settled_row(height));
        }
        self.write(&writes)
    }

    /// Does what becoming final does here; gives what is still to be written.
    fn take_final(
        &mut self,
        height: u64,
        headers: &[Header],
        outcomes: &[Outcome],
    ) -> Result<Vec<Write>, Fatal> {
        let (mut ours, mut writes) = (Vec::new(), Vec::new());
        for (place, (header, outcome)) in headers.iter().zip(outcomes).enumerate() {
            let fields = header.fields();
            if fields.node == self.me.node {
                ours.push((header.id(), outcome.void));
            }
            if is_control(fields.kind) {
                self.on_control_final(fields.kind)?;
                match Kind::from_code(fields.kind).filter(|_| outcome.void.is_none()) {
                    Some(Kind::OrganizationKey) => self.on_organization_key_final(&fields.content)?,
                    Some(Kind::Dkg) => self.on_dkg_final(height, place, &fields.content)?,
                    _ => {}
                }
            } else {
                // Entries that others are judged by take effect before the next is judged.
                if !is_leaf(fields.kind) {
                    self.write(&std::mem::take(&mut writes))?;
                }
                writes.extend(self.on_entry_final(height, header, outcome.void)?);
            }
        }
        if !ours.is_empty() {
            self.event(Event::Finalised { height, headers: ours });
        }
        Ok(writes)
    }

    /// The first final header of a content counts; then it is judged for good.
    fn on_entry_final(
        &mut self,
        height: u64,
        header: &Header,
        void: Option<Check>,
    ) -> Result<Vec<Write>, Fatal> {
        let id = header.fields().content;
        let Some(mut facts) = index::facts(&*self.objects, &id)? else { return Ok(Vec::new()) };
        if mutant!(FinalityUnnoted) && facts.kind == Kind::Access.code() {
            return Ok(Vec::new());
        }
        let Some(held) = self.objects.body(&id)? else { return Ok(Vec::new()) };
        let (body, content) = Body::read(&held.bytes, &self.network).map_err(Fatal::Contradiction)?;
        let payload = Personal::read(&content).map_err(Fatal::Contradiction)?;
        if facts.height.is_some_and(|h| h <= height) || header.matches(&content).is_err() {
            if let (Personal::Patient(entry), Some(true)) = (&payload, facts.height.map(|h| h == height)) {
                // A crash may have come before them.
                self.settle_home(&entry.patient)?;
            }
            if facts.height == Some(height) {
                self.judge_again_after(id)?;
            }
            return Ok(Vec::new());
        }
        let finality = HeaderFacts::of(header, Some(height), void);
        let judged = judge_body(&self.view(), &body, &content, &finality).err().map(|r| r.check);
        let before = facts.void;
        facts.height = Some(height);
        facts.void = judged.map(|c| u64::from(c.code()));
        let mut writes = index::final_rows(id, &facts, &payload);
        writes.extend(Self::mark(&id, &payload));
        if !is_leaf(content.kind) || facts.void != before {
            self.write(&std::mem::take(&mut writes))?;
        }
        if let Personal::Patient(entry) = &payload {
            self.settle_home(&entry.patient)?;
        }
        if matches!(payload, Personal::Release(_) | Personal::Search(_)) {
            self.wake_emergency();
        }
        if facts.void != before || matches!(payload, Personal::Patient(_)) {
            self.judge_again_after(id)?;
        }
        Ok(writes)
    }

    /// Notes which patient entry counts now, whatever the order in which they came.
    pub(super) fn settle_home(&self, patient: &PatientId) -> Result<(), Fatal> {
        let mut entries = Vec::new();
        for id in self.contents_of(patient, Kind::Patient.code())? {
            let Some(known) = self.known_entry(&id)? else { continue };
            let (Personal::Patient(entry), Some((content, _))) = (known.entry.clone(), self.entry(&id)?)
            else {
                continue;
            };
            entries.push((known.map(|_| entry), content.stands_on));
        }
        let ids: Vec<_> = entries.iter().map(|(known, _)| known.id).collect();
        let from = |stands_on: &[ContentId]| stands_on.iter().find(|id| ids.contains(id)).copied();
        let moves: Vec<_> = entries.iter().map(|(known, stands_on)| (known, from(stands_on))).collect();
        let Some(standing) = standing_patient(&moves) else { return Ok(()) };
        let home = Home { entry: standing.id, organization: standing.entry.home };
        let row = SealedRow { key: home_key(patient), patient: Some(*patient), value: home.encode() };
        self.write(&[Write::Sealed(row)])
    }

    /// Where a patient is at home, where that is known here.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn home(&self, patient: &PatientId) -> Result<Option<Home>, Fatal> {
        index::read(&*self.objects, &home_key(patient))
    }
}

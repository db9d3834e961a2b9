//! A guardian's part in the ceremonies of committees, by the guardian's card, and the share of a key that comes of it.
//!
//! What is sealed to the card is opened by the session's card before the tap, so that the PIN comes right before the
//! signature; plaintext lives until then and is wiped. What is kept (`GuardianRow`) stays on this node and goes to no other. A share that is not
//! here is made again from the blocks, by the card; a dealing is answered for only where it was made.

use std::sync::Arc;

use hospes_breakglass::ceremony::Said;
use hospes_breakglass::threshold::KeyShare;
use hospes_card::Card;
use hospes_protocol::check::Check;
use hospes_protocol::context::Context;
use hospes_protocol::control::CommitteeMember;
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, PersonId};
use hospes_protocol::keys::KeyAgreement as _;
use hospes_protocol::seal::envelope::{Envelope, seal_to};
use hospes_service::committees::{DealerSeed, Duty, GuardianRow, Part, PartError};
use hospes_service::service::Service;
use hospes_storage::{Objects, SealedKey, SealedRow, Write};
use rand::Rng as _;
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::compose::{Entry, Place, file, sign_in_turn};
use super::error::DeskError;
use super::sessions::{Session, Who};
use super::taps::{TapView, blocking};
use super::{Desk, random, text};

fn row(key: SealedKey, value: Vec<u8>) -> Write {
    Write::Sealed(SealedRow { key, patient: None, value })
}

/// The word for a duty in the API.
pub(crate) const fn duty_name(duty: Duty) -> &'static str {
    match duty {
        Duty::Deal => "deal",
        Duty::Look => "look",
        Duty::Answer => "answer",
        Duty::Prove => "prove",
    }
}

/// What a guardian owes in one ceremony.
#[derive(Clone, Debug)]
pub(super) struct Owed {
    /// The committee's name.
    pub(super) name: String,
    /// The guardian's part.
    pub(super) part: Part,
    /// Its part in the ceremony of the committee before, out of which its share of the key can be made again.
    before: Option<Part>,
    /// What it owes.
    pub(super) duties: Vec<Duty>,
}

/// What a person owes to the ceremonies that run.
pub(super) fn owed_by(
    service: &Service,
    objects: &dyn Objects,
    person: &PersonId,
) -> Result<Vec<Owed>, DeskError> {
    let member = CommitteeMember::Guardian(*person);
    let mut owed = Vec::new();
    for (id, committee) in &service.state().membership.committees {
        let Some(part) = service.ceremony_part(id, &member)? else { continue };
        let mut duties = part.duties();
        if objects.sealed(&GuardianRow::Look.key(id, person))?.is_some() {
            duties.retain(|duty| *duty != Duty::Look);
        }
        if duties.is_empty() {
            continue;
        }
        let before = match &part.previous {
            Some(previous) => service.ceremony_part(previous, &member)?,
            None => None,
        };
        owed.push(Owed { name: committee.entry.name.clone(), part, before, duties });
    }
    Ok(owed)
}

/// What was made for one tap.
struct Made {
    entries: Vec<Entry>,
    writes: Vec<Write>,
    /// `{committee, name, act}` for each duty.
    did: Vec<Value>,
}

/// Makes what a guardian owes, with the card.
struct Maker<'a> {
    card: &'a mut dyn Card,
    objects: &'a dyn Objects,
    person: PersonId,
    place: Place,
    rng: ChaCha20Rng,
    made: Made,
}

impl Maker<'_> {
    fn open(&mut self, sealed: &[u8], context: Context) -> Result<Zeroizing<[u8; 32]>, DeskError> {
        let plain =
            Envelope::parse(sealed)?.open(&mut self.card.agreement()?, context, &self.place.network)?;
        <[u8; 32]>::try_from(plain.as_slice()).map(Zeroizing::new).map_err(|_| Check::Malformed.into())
    }

    fn seal(&mut self, plain: &[u8; 32], context: Context) -> Result<Vec<u8>, DeskError> {
        let reader = self.card.agreement()?.agreement_key();
        Ok(seal_to(&reader, context, &self.place.network, plain, &mut self.rng)?)
    }

    /// What the dealing is made from: of an earlier tap, or fresh.
    fn seed(&mut self, committee: &ContentId, fresh: bool) -> Result<DealerSeed, DeskError> {
        let at = GuardianRow::Seed.key(committee, &self.person);
        if let Some(sealed) = self.objects.sealed(&at)? {
            return self.open(&sealed, Context::DealerSeed);
        }
        if !fresh {
            return Err(DeskError::NotHere("this guardian dealt at another node, which must answer for it"));
        }
        let mut seed = Zeroizing::new([0; 32]);
        self.rng.fill_bytes(&mut *seed);
        let sealed = self.seal(&seed, Context::DealerSeed)?;
        self.made.writes.push(row(at, sealed));
        Ok(seed)
    }

    fn old_share(&mut self, owed: &Owed) -> Result<Option<KeyShare>, DeskError> {
        let (Some(committee), Some(before)) = (&owed.part.previous, &owed.before) else { return Ok(None) };
        guardian_share(self.card, self.objects, (committee, &self.person), before).map(Some)
    }

    fn make(&mut self, owed: &Owed, duty: Duty) -> Result<(), DeskError> {
        let (part, committee) = (&owed.part, owed.part.committee);
        let said = match duty {
            Duty::Deal => {
                let (seed, old) = (self.seed(&committee, true)?, self.old_share(owed)?);
                vec![part.deal(&seed, old.as_ref())?]
            }
            Duty::Answer => {
                let (seed, old) = (self.seed(&committee, false)?, self.old_share(owed)?);
                part.answers(&seed, old.as_ref())?
            }
            Duty::Look => {
                let complaints = part.complaints(&mut self.card.agreement()?)?;
                // A complaint that is never signed must be made again.
                if complaints.is_empty() {
                    self.made.writes.push(row(GuardianRow::Look.key(&committee, &self.person), Vec::new()));
                }
                complaints
            }
            Duty::Prove => {
                let share = part.share(&mut self.card.agreement()?)?;
                let sealed = self.seal(share.to_bytes(), Context::KeyShare)?;
                self.made.writes.push(row(GuardianRow::Share.key(&committee, &self.person), sealed));
                vec![part.proof(&share)]
            }
        };
        self.say(owed, duty, &said);
        Ok(())
    }

    fn say(&mut self, owed: &Owed, duty: Duty, said: &[Said]) {
        for said in said {
            let payload = owed.part.entry(said);
            self.made.entries.push(self.place.entry(Kind::Dkg, &[], &payload, None, &mut self.rng));
        }
        let complaints = matches!(duty, Duty::Look).then_some(said.len());
        self.made.did.push(json!({
            "committee": owed.part.committee.to_string(),
            "name": owed.name,
            "act": duty_name(duty),
            "complaints": complaints,
        }));
    }
}

/// A guardian's share of a committee's key, by the guardian's unlocked card: the one that this node keeps, or made again from
/// the blocks. Blocks; `part` is the guardian's part in the committee's ceremony, as the service gives it.
///
/// # Errors
/// [`DeskError::NotAllowed`] for who is not in the committee; [`DeskError::NotHere`] where no share came; as the card says.
pub(super) fn guardian_share(
    card: &mut dyn Card,
    objects: &dyn Objects,
    (committee, person): (&ContentId, &PersonId),
    part: &Part,
) -> Result<KeyShare, DeskError> {
    if let Some(sealed) = objects.sealed(&GuardianRow::Share.key(committee, person))? {
        let envelope = Envelope::parse(&sealed)?;
        // Of a card that was replaced since, it opens no more.
        if envelope.recipient() == card.agreement()?.agreement_key().id() {
            let plain = envelope.open(&mut card.agreement()?, Context::KeyShare, part.network())?;
            let bytes = <[u8; 32]>::try_from(plain.as_slice()).map(Zeroizing::new);
            let bytes = bytes.map_err(|_| DeskError::from(Check::Malformed))?;
            let index =
                part.receiver().ok_or(DeskError::NotAllowed("this person is not in the committee"))?;
            return Ok(KeyShare::from_bytes(index, &bytes)?);
        }
    }
    Ok(part.share(&mut card.agreement()?)?)
}

impl Desk {
    fn guardian(session: &Session) -> Result<PersonId, DeskError> {
        match &session.who {
            Who::Person { id, .. } => Ok(*id),
            _ => Err(DeskError::NotAllowed("only a guardian can do this")),
        }
    }

    /// Does what the guardian who is signed in owes to all ceremonies that run: a tap, whose result is `{did, entries}`;
    /// or `{did}` at once, where there is nothing to sign.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for anyone but a person; [`DeskError::NotHere`] where something that it needs is at
    /// another node; as the card says.
    pub(crate) async fn committee_tap(
        &self,
        session: &Arc<Session>,
    ) -> Result<Result<TapView, Value>, DeskError> {
        let person = Self::guardian(session)?;
        let (objects, place) = (self.0.parts.objects.clone(), self.0.place);
        let stored = objects.clone();
        let owed = self.ask(move |service| owed_by(service, &*stored, &person)).await?;
        let (opened, shown) = (session.clone(), text::committee_tap(&owed));
        let made = blocking(move || {
            let rng = random::generator()?;
            opened.with(|unlocked| {
                let made = Made { entries: Vec::new(), writes: Vec::new(), did: Vec::new() };
                let card = unlocked.card.as_mut();
                let mut maker = Maker { card, objects: &*objects, person, place, rng, made };
                for owed in &owed {
                    owed.duties.iter().try_for_each(|duty| maker.make(owed, *duty))?;
                }
                // A share that was proved must be here, and a dealing be answered for, before anyone hears of it.
                let kept = objects.apply(&maker.made.writes);
                kept.map(|()| maker.made).map_err(DeskError::from)
            })
        })
        .await?;
        if made.entries.is_empty() {
            return Ok(Err(json!({ "did": made.did })));
        }
        let (desk, serial, signed) = (self.clone(), session.card, shown.clone());
        let tap = self.0.taps.begin("committee", shown, serial, move |mut tap| async move {
            let entries = sign_in_turn(&mut tap, [serial], &place.network, &signed, made.entries).await?;
            let filed = file(&desk.0.parts.service, entries).await?;
            let entries: Vec<_> = filed.iter().map(|f| f.content.to_string()).collect();
            Ok(json!({ "did": made.did, "entries": entries }))
        })?;
        Ok(Ok(tap))
    }
}

impl From<PartError> for DeskError {
    fn from(error: PartError) -> Self {
        match error {
            PartError::Key(e) => Self::Key(e),
            PartError::Rejected(e) => Self::Rejected(e),
            PartError::NoPart => Self::NotAllowed("this person has no part in this phase of the ceremony"),
            PartError::NoShare => Self::NotHere("not every share of the key came to this guardian"),
        }
    }
}

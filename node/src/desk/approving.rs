//! A guardian approves a request: one tap of the card signs, opens the guardian's share of the key, and makes the two
//! shares that the request needs; the key share is wiped before the tap ends.
//!
//! The share of the release goes to the requester's node. The opening share is sealed to the key of the request and held
//! by this node until the release is final; that is the service's part.

use std::sync::Arc;

use hospes_breakglass::threshold::Purpose;
use hospes_card::{Card, Slot};
use hospes_protocol::context::Context;
use hospes_protocol::control::CommitteeMember;
use hospes_protocol::emergency::{Approval, ApprovalStatement, RequestEntry};
use hospes_protocol::ids::{ContentId, PersonId, sha256};
use hospes_protocol::policy::PatientView as _;
use hospes_protocol::seal::envelope::seal_to;
use hospes_protocol::sign1::sign1;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::committees::Part;
use hospes_service::service::Service;
use serde_json::json;

use super::error::DeskError;
use super::guardians::guardian_share;
use super::sessions::{Session, Who};
use super::sign_in::name_of;
use super::taps::{Shown, TapView};
use super::{Desk, random, text};

/// What a guardian is asked.
struct Asked {
    id: ContentId,
    request: RequestEntry,
    person: PersonId,
    index: u64,
    shown: Shown,
    /// The guardian's part in the ceremony of the key, out of which the card makes its share where this node keeps none.
    part: Part,
}

fn asked(service: &Service, id: ContentId, person: PersonId) -> Result<Asked, DeskError> {
    let found = service.emergency(&id)?.ok_or(DeskError::Unknown("this request"))?;
    let request = found.request;
    if service.now() >= request.until {
        return Err(DeskError::Invalid("the request has ended"));
    }
    if request.tier.wants_others() && request.requester == person {
        return Err(DeskError::NotAllowed("who asks for this approves it not"));
    }
    let committee = service.view().committee(&request.guardians)?;
    let committee = committee.ok_or(DeskError::Unknown("the committee"))?;
    let index = committee.roster.index_of(&CommitteeMember::Guardian(person));
    let index = index.ok_or(DeskError::NotAllowed("only guardians of the committee approve"))?;
    let part = service.ceremony_part(&request.guardians, &CommitteeMember::Guardian(person))?;
    let part = part.ok_or(DeskError::NotHere("the ceremony of this committee is not known here"))?;
    let shown = text::approve_emergency(
        &name_of(service, &request.organization),
        &request.requester,
        request.tier,
        (request.reason, &request.text),
        request.until,
    );
    Ok(Asked { id, request, person, index: u64::from(index), shown, part })
}

impl Desk {
    /// Approves a request: `{request, approved}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for who is no guardian of the committee; [`DeskError::Unknown`] for a request that is not
    /// here; the tap says what else went wrong.
    pub(crate) async fn approve(
        &self,
        session: &Arc<Session>,
        request: ContentId,
    ) -> Result<TapView, DeskError> {
        let person = match &session.who {
            Who::Person { id, .. } => *id,
            _ => return Err(DeskError::NotAllowed("only guardians of the committee approve")),
        };
        let asked = self.ask(move |service| asked(service, request, person)).await?;
        let (desk, serial, shown) = (self.clone(), session.card, asked.shown.clone());
        self.0.taps.begin("approve", shown, serial, move |mut tap| async move {
            let giving = desk.clone();
            let (approval, opening) =
                tap.card(serial, move |mut card| giving.give(card.as_mut(), &asked)).await?;
            desk.ask(move |service| Ok(service.approve(request, &approval, opening)?)).await?;
            Ok(json!({ "request": request.to_string(), "approved": true }))
        })
    }

    fn give(&self, card: &mut dyn Card, asked: &Asked) -> Result<(Approval, Vec<u8>), DeskError> {
        let (network, request) = (self.0.parts.network, &asked.request);
        let said = ApprovalStatement {
            request: asked.id,
            text: sha256(&[asked.shown.text.as_bytes()]),
            language: asked.shown.language.tag().to_owned(),
        };
        // Signed first: a PIV card wants the PIN to be the very command before a signature in 9C.
        let signed = sign1(&mut card.signer(Slot::Signature)?, Context::Approval, &network, &said.encode())?;
        let place = (&request.guardians, &asked.person);
        let share = guardian_share(card, &*self.0.parts.objects, place, &asked.part)?;
        let release = share.sign(Purpose::Release, &request.release(network, asked.id).encode());
        let opening = share.sign(Purpose::Opening, &request.label.opening()).encode();
        let mut rng = random::generator()?;
        let opening = seal_to(&request.opener, Context::OpeningShare, &network, &opening, &mut rng)?;
        let approval = Approval {
            person: asked.person,
            index: asked.index,
            signed: Bytes(signed),
            share: release.signature.to_bytes(),
        };
        Ok((approval, opening))
    }
}

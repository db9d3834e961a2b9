//! Break-glass in a hospital without a line: which hospitals a patient names for it, a hospital's own committee with its
//! witness card, and that card's part in a request.
//!
//! The witness card signs the next link of its log; only once the release that has it is durable here does it agree the half
//! of the escrow that stands under it, which goes on sealed to the key of the request. Guardians approve as ever.

use std::collections::BTreeSet;
use std::sync::Arc;

use hospes_breakglass::escrow::WitnessSealedEscrow;
use hospes_card::{Card, CardSerial, Slot};
use hospes_protocol::check::Check;
use hospes_protocol::context::Context;
use hospes_protocol::control::{LocalCommittee, local_committee};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, NetworkId, OrganizationId};
use hospes_protocol::keys::{AgreementKey, VerifyingKey};
use hospes_protocol::seal::envelope::{Envelope, seal_to};
use hospes_protocol::sign1::sign1;
use hospes_protocol::wire::Wire;
use hospes_service::emergency::{NotWitnessed, Witnessing};
use serde_json::json;

use super::break_glass::person;
use super::committees::{CommitteeRequest, said};
use super::compose::{file, sign_in_turn};
use super::error::DeskError;
use super::lockers::escrow_plans;
use super::patient_text::named_hospitals;
use super::renewal::{renew, standing};
use super::sessions::Session;
use super::sign_in::name_of;
use super::taps::{TapView, blocking};
use super::{Desk, random, text};

/// Hospitals that a patient names at most: each has an escrow in every locker entry.
const NAMED_MAX: usize = 4;

/// A hospital's own committee to set.
#[derive(Clone, Debug)]
pub(crate) struct LocalRequest {
    /// The witness card, which is in.
    pub(crate) witness: CardSerial,
    /// The committee, its name left to the hospital.
    pub(crate) committee: CommitteeRequest,
}

/// What is refused where the newest certified block is too old.
pub(super) const CUT_OFF_TOO_LONG: DeskError = DeskError::NotAllowed(
    "the newest certified block is older than 30 days: nothing is opened without a line",
);

impl Desk {
    /// Sets this hospital's own committee, by its card and the witness card's: `{entry}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`]; [`DeskError::SignerAbsent`] without the organization's card; [`DeskError::Invalid`] for a
    /// witness card that lacks a key; the tap says what else went wrong.
    pub(crate) async fn set_local_committee(
        &self,
        session: &Arc<Session>,
        asked: LocalRequest,
    ) -> Result<TapView, DeskError> {
        self.administers(session).await?;
        let (organization_card, _) = self.organization_card().await?;
        let own = self.0.parts.organization;
        let (witness, agreement) = self.witness_keys(&asked.witness)?;
        let local = LocalCommittee { organization: own, witness, agreement };
        let (payload, shown) = self
            .ask(move |service| {
                let request = CommitteeRequest { name: local_committee(&own), ..asked.committee };
                let mut payload = request.entry(service)?;
                payload.local = Some(local);
                let shown = text::local_committee(&name_of(service, &own), &said(service, &payload));
                Ok((payload, shown))
            })
            .await?;
        let mut rng = random::generator()?;
        let entry = self.0.place.entry(Kind::Committee, &[], &payload, None, &mut rng);
        let (desk, cards, signed) = (self.clone(), [organization_card, asked.witness], shown.clone());
        self.0.taps.begin("committee", shown, organization_card, move |mut tap| async move {
            let network = desk.0.parts.network;
            let entries = sign_in_turn(&mut tap, cards, &network, &signed, vec![entry]).await?;
            let filed = file(&desk.0.parts.service, entries).await?;
            Ok(json!({ "entry": filed.first().map(|f| f.content.to_string()) }))
        })
    }

    fn witness_keys(&self, serial: &CardSerial) -> Result<(VerifyingKey, AgreementKey), DeskError> {
        let info = self.card_info(serial)?;
        let lacking = DeskError::Invalid("the card lacks a key");
        info.signature.zip(info.key_management).ok_or(lacking)
    }

    /// Names the hospitals at which the summary of the patient who is signed in may be opened without a line, in place of
    /// those named before: `{locker}`. Later taps of the patient renew it.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for anyone but the patient; [`DeskError::Unknown`] for a hospital without a committee of
    /// its own whose key stands; the tap says what else went wrong.
    pub(crate) async fn name_hospitals(
        &self,
        session: &Arc<Session>,
        hospitals: BTreeSet<OrganizationId>,
    ) -> Result<TapView, DeskError> {
        if hospitals.len() > NAMED_MAX {
            return Err(DeskError::Invalid("at most four hospitals are named"));
        }
        let opened = session.clone();
        let (now, shown) = self
            .ask(move |service| {
                let mut now = standing(service, &opened)?;
                now.escrows = escrow_plans(service, &hospitals)?;
                let planned = now.escrows.iter().filter_map(|plan| plan.under.hospital()).count();
                if planned != hospitals.len() {
                    return Err(DeskError::Unknown(
                        "a hospital with a committee of its own that holds a key,",
                    ));
                }
                let names: Vec<_> = hospitals.iter().map(|id| name_of(service, id)).collect();
                Ok((now, named_hospitals(opened.language, &names)))
            })
            .await?;
        let (opened, place) = (session.clone(), self.0.place);
        let entries = blocking(move || {
            let mut rng = random::generator()?;
            // By the session's card: in the tap nothing may come between the PIN and the signature.
            opened.with(|u| Ok(vec![renew(u.card.as_mut(), &now, &now.live, &place, &mut rng)?]))
        })
        .await?;
        let (desk, serial, signed) = (self.clone(), session.card, shown.clone());
        self.0.taps.begin("emergency-at", shown, serial, move |mut tap| async move {
            let entries = sign_in_turn(&mut tap, [serial], &place.network, &signed, entries).await?;
            let filed = file(&desk.0.parts.service, entries).await?;
            Ok(json!({ "locker": filed.first().map(|f| f.content.to_string()) }))
        })
    }

    /// The witness card signs what a request without a line lets be opened, and then gives its half: `{request, release}`.
    /// Where it was interrupted it goes on.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for anyone but the requester, and where the node was cut off too long;
    /// [`DeskError::NotHere`] while guardians are missing; [`DeskError::SignerAbsent`] without the witness card; the tap
    /// says what else went wrong.
    pub(crate) async fn witness_emergency(
        &self,
        session: &Arc<Session>,
        request: ContentId,
    ) -> Result<TapView, DeskError> {
        let (requester, _) = person(session)?;
        let (asked, organization) = self
            .ask(move |service| {
                let asked = service.to_witness(&request)?.map_err(not_witnessed)?;
                let name = name_of(service, &asked.local.organization);
                Ok((asked, name))
            })
            .await?;
        if asked.request.requester != requester {
            return Err(DeskError::NotAllowed("only the requester puts it before the witness card"));
        }
        let cards = self.0.parts.readers.cards();
        let found = cards.iter().find(|(_, info)| info.signature.as_ref() == Some(&asked.local.witness));
        let absent = DeskError::SignerAbsent("this hospital's witness card is not in a reader");
        let serial = found.map(|(_, info)| info.serial).ok_or(absent)?;
        let shown = text::witness_emergency(&organization, &asked);
        let desk = self.clone();
        self.0.taps.begin("witness", shown, serial, move |mut tap| async move {
            let network = desk.0.parts.network;
            let (opener, sealed) = (asked.request.opener.clone(), asked.sealed);
            let (signed, card) = tap.card(serial, move |card| sign_link(card, asked, &network)).await?;
            let kept = desk.ask(move |s| Ok(s.release_by_witness(&request, &signed)?)).await?;
            let objects = desk.0.parts.objects.clone();
            let half = blocking(move || {
                let escrow = objects.object(&sealed)?.ok_or(DeskError::NotHere("the escrow's secret"))?;
                agree_half(card, &escrow, (&opener, &network))
            })
            .await?;
            desk.ask(move |service| Ok(service.keep_witness_half(&request, half)?)).await?;
            Ok(json!({ "request": request.to_string(), "release": kept.to_string() }))
        })
    }
}

const fn not_witnessed(why: NotWitnessed) -> DeskError {
    match why {
        NotWitnessed::Unknown => DeskError::Unknown("this request of this node"),
        NotWitnessed::OtherTier => DeskError::Invalid("only a request without a line needs the witness card"),
        NotWitnessed::Ended => DeskError::Invalid("the request has ended"),
        NotWitnessed::TooOld => CUT_OFF_TOO_LONG,
        NotWitnessed::TooFew => DeskError::NotHere("guardians of this hospital are still needed"),
    }
}

type Signed = (Vec<u8>, Box<dyn Card>);

fn sign_link(mut card: Box<dyn Card>, asked: Witnessing, network: &NetworkId) -> Result<Signed, DeskError> {
    let signed = match asked.link {
        Ok(link) => sign1(&mut card.signer(Slot::Signature)?, Context::WitnessLink, network, &link.encode())?,
        Err(signed_before) => signed_before.0,
    };
    Ok((signed, card))
}

fn agree_half(
    mut card: Box<dyn Card>,
    escrow: &[u8],
    (opener, network): (&AgreementKey, &NetworkId),
) -> Result<Vec<u8>, DeskError> {
    let escrow = WitnessSealedEscrow::decode(escrow)?;
    let half =
        Envelope::parse(&escrow.witness)?.open(&mut card.agreement()?, Context::WitnessHalf, network)?;
    if half.len() != 32 {
        return Err(Check::Malformed.into());
    }
    Ok(seal_to(opener, Context::WitnessHalf, network, &half, &mut random::generator()?)?)
}

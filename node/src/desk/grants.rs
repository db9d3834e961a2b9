//! Consent: a grant and the fresh lockers that it opens, in one tap of the patient's card.
//!
//! What is shown is made from what is signed. Who may and for how long is the patient's word; the service judges
//! the entry's form, and `decide` what it permits.

use std::sync::Arc;

use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, StudyId};
use hospes_protocol::personal::{After, Anonymity, Category, GrantEntry, Grantee, Label, Purpose, Scope};
use hospes_service::service::Service;
use serde_json::json;

use super::compose::{file, sign_in_turn};
use super::error::DeskError;
use super::language::Language;
use super::lockers::needs_packet;
use super::patient_text::{ConsentText, grantee_name};
use super::renewal::{Lockers, reader_key, renew, standing};
use super::sessions::Session;
use super::taps::{Shown, TapView, blocking};
use super::{Desk, random};

/// A consent to give.
#[derive(Clone, Debug)]
pub(crate) struct GrantRequest {
    /// Who may.
    pub(crate) grantee: Grantee,
    /// Categories; empty where single records are named.
    pub(crate) categories: Vec<Category>,
    /// The highest label included.
    pub(crate) label: Label,
    /// Single records; empty where categories are named.
    pub(crate) records: Vec<ContentId>,
    /// Sum of rights.
    pub(crate) rights: u64,
    /// From, in milliseconds since 1970 UTC, inclusive.
    pub(crate) from: u64,
    /// Until, exclusive.
    pub(crate) until: u64,
    /// For what.
    pub(crate) purpose: Purpose,
    /// The study of a share right.
    pub(crate) study: Option<StudyId>,
    /// How data leave under a share right.
    pub(crate) anonymity: Anonymity,
    /// Ends with its first use.
    pub(crate) one_time: bool,
    /// Changes need two signatures.
    pub(crate) two_signatures: bool,
}

fn sorted<T: Ord + Clone>(list: &[T]) -> Vec<T> {
    let mut list = list.to_vec();
    list.sort_unstable();
    list.dedup();
    list
}

fn grant_entry(request: &GrantRequest, now: &Lockers) -> GrantEntry {
    GrantEntry {
        patient: now.patient,
        by_proxy: None,
        grantee: request.grantee.clone(),
        scope: Scope {
            categories: sorted(&request.categories),
            label: request.label,
            records: sorted(&request.records),
        },
        rights: request.rights,
        from: request.from,
        until: request.until,
        purpose: request.purpose,
        study: request.study,
        anonymity: request.anonymity,
        one_time: request.one_time,
        two_signatures: request.two_signatures,
        after: After { height: now.height, block: now.block, revocations: now.pending.clone() },
    }
}

fn consent_text(service: &Service, request: &GrantRequest, now: &Lockers, language: Language) -> Shown {
    let title = |id: &ContentId| {
        let found = now.records.iter().find(|(content, _)| content == id);
        found.map(|(_, record)| record.title.clone())
    };
    ConsentText {
        language,
        grantee: grantee_name(service, &request.grantee, language),
        categories: sorted(&request.categories),
        titles: sorted(&request.records).iter().map(title).collect(),
        label: request.label,
        rights: request.rights,
        from: request.from,
        until: request.until,
        purpose: request.purpose,
        study: request.study.map(|study| (study, request.anonymity)),
        one_time: request.one_time,
        two_signatures: request.two_signatures,
    }
    .shown()
}

impl Desk {
    /// The text that a patient would read and sign for a consent.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for anyone but the patient.
    pub(crate) async fn consent_text(
        &self,
        session: &Arc<Session>,
        request: GrantRequest,
    ) -> Result<Shown, DeskError> {
        let (_, shown) = self.consent(session, &request).await?;
        Ok(shown)
    }

    async fn consent(
        &self,
        session: &Arc<Session>,
        request: &GrantRequest,
    ) -> Result<(Lockers, Shown), DeskError> {
        let (session, request) = (session.clone(), request.clone());
        self.ask(move |service| {
            let now = standing(service, &session)?;
            let shown = consent_text(service, &request, &now, session.language);
            Ok((now, shown))
        })
        .await
    }

    /// Gives a consent: `{grant, locker}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for anyone but the patient, [`DeskError::Unknown`] for a grantee who takes no part,
    /// [`DeskError::Invalid`]; the tap says what else went wrong.
    pub(crate) async fn grant(
        &self,
        session: &Arc<Session>,
        request: GrantRequest,
    ) -> Result<TapView, DeskError> {
        let (now, shown) = self.consent(session, &request).await?;
        let payload = grant_entry(&request, &now);
        payload.judge()?;
        let sealable = reader_key(&now.members, &payload.grantee).is_some();
        let others = matches!(payload.grantee, Grantee::Code(_) | Grantee::Proxy(_));
        if needs_packet(&payload) && !sealable && !others {
            return Err(DeskError::Unknown("a grantee who takes part, with an agreement key,"));
        }
        let (opened, place) = (session.clone(), self.0.place);
        let entries = blocking(move || {
            let (secret, mut rng) = (opened.secret()?, random::generator()?);
            let k = secret.k(&place.organization);
            let mut entry = place.entry(Kind::Grant, &[now.card_entry], &payload, Some(k), &mut rng);
            entry.locked(&secret.lock_key());
            let mut live = now.live.clone();
            live.push((entry.id(), payload));
            // By the session's card: in the tap nothing may come between the PIN and the signature.
            let locker = opened.with(|u| renew(u.card.as_mut(), &now, &live, &place, &mut rng))?;
            Ok(vec![entry, locker])
        })
        .await?;
        let (desk, serial, signed) = (self.clone(), session.card, shown.clone());
        self.0.taps.begin("grant", shown, serial, move |mut tap| async move {
            let entries = sign_in_turn(&mut tap, [serial], &place.network, &signed, entries).await?;
            let filed = file(&desk.0.parts.service, entries).await?;
            let ids: Vec<_> = filed.iter().map(|f| f.content.to_string()).collect();
            Ok(json!({ "grant": ids.first(), "locker": ids.get(1) }))
        })
    }
}

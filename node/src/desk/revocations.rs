//! Withdrawing consent: the revocation, the reveals that close the grants' locks, and fresh lockers without those
//! readers, in one tap of the patient's card.
//!
//! A header shows at most eight reveals, so a withdrawal of more grants takes several headers. What the patient
//! withdrew is never undone; a new consent is a new grant.

use std::sync::Arc;

use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, Lock, NetworkId, Reveal};
use hospes_protocol::limits::REVEALS_MAX;
use hospes_protocol::patient::{LockKey, PatientSecret};
use hospes_protocol::personal::{Grantee, RevocationEntry, Revoked};
use hospes_protocol::tap::Body;
use hospes_storage::Objects;
use rand_chacha::ChaCha20Rng;
use serde_json::json;

use super::compose::{Entry, Place, file, sign_in_turn};
use super::error::DeskError;
use super::patient_text::{self, grantee_name};
use super::renewal::{Lockers, renew, standing};
use super::sessions::Session;
use super::taps::{TapView, blocking};
use super::{Desk, random};

/// What to withdraw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Revoke {
    /// These grants.
    Grants(Vec<ContentId>),
    /// All that one grantee holds.
    Grantee(Grantee),
    /// Everything.
    Everything,
}

impl Revoke {
    fn takes(&self, id: &ContentId, grantee: &Grantee) -> bool {
        match self {
            Self::Grants(ids) => ids.contains(id),
            Self::Grantee(of) => of == grantee || under(of, grantee),
            Self::Everything => true,
        }
    }

    fn revoked(&self) -> Revoked {
        match self {
            Self::Grants(ids) => {
                let mut ids = ids.clone();
                ids.sort_unstable();
                ids.dedup();
                Revoked::Entries(ids)
            }
            Self::Grantee(grantee) => Revoked::Grantee(grantee.clone()),
            Self::Everything => Revoked::Everything,
        }
    }
}

// A role of an organization falls with the organization.
fn under(of: &Grantee, grantee: &Grantee) -> bool {
    matches!((of, grantee), (Grantee::Organization(a), Grantee::Role(b, _)) if a == b)
}

impl Desk {
    /// Withdraws consent: `{revocations, locker, grants}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for anyone but the patient, [`DeskError::Unknown`] where no grant is in force; the tap
    /// says what else went wrong.
    pub(crate) async fn revoke(&self, session: &Arc<Session>, revoke: Revoke) -> Result<TapView, DeskError> {
        let (asked, what) = (session.clone(), revoke.clone());
        let (now, names) = self
            .ask(move |service| {
                let now = standing(service, &asked)?;
                let of_grant = |id: &ContentId| {
                    let found = now.live.iter().find(|(live, _)| live == id);
                    found.map(|(_, grant)| grantee_name(service, &grant.grantee, asked.language))
                };
                let names = match &what {
                    Revoke::Grants(ids) => ids.iter().filter_map(of_grant).collect(),
                    Revoke::Grantee(grantee) => vec![grantee_name(service, grantee, asked.language)],
                    Revoke::Everything => Vec::new(),
                };
                Ok((now, names))
            })
            .await?;
        let (stopped, stays): (Vec<_>, Vec<_>) =
            now.live.iter().cloned().partition(|(id, grant)| revoke.takes(id, &grant.grantee));
        if stopped.is_empty() {
            return Err(DeskError::Unknown("a consent in force that this would stop"));
        }
        let ids: Vec<_> = stopped.iter().map(|(id, _)| *id).collect();
        let (opened, objects) = (session.clone(), self.0.parts.objects.clone());
        let (revealing, network) = (ids.clone(), self.0.parts.network);
        let (secret, reveals) = blocking(move || {
            let secret = opened.secret()?;
            let reveals = reveals(&*objects, &network, &secret.lock_key(), &revealing)?;
            Ok((secret, reveals))
        })
        .await?;
        let (place, opened) = (self.0.place, session.clone());
        let entries = blocking(move || {
            let mut entries = revocations(&place, &now, &revoke, &reveals, &secret)?;
            // By the session's card: in the tap nothing may come between the PIN and the signature.
            let mut rng = random::generator()?;
            entries.push(opened.with(|u| renew(u.card.as_mut(), &now, &stays, &place, &mut rng))?);
            Ok(entries)
        })
        .await?;
        let shown = patient_text::revoke(session.language, &names);
        let (desk, serial, signed) = (self.clone(), session.card, shown.clone());
        self.0.taps.begin("revoke", shown, serial, move |mut tap| async move {
            let entries = sign_in_turn(&mut tap, [serial], &place.network, &signed, entries).await?;
            let filed = file(&desk.0.parts.service, entries).await?;
            let mut contents: Vec<_> = filed.iter().map(|f| f.content.to_string()).collect();
            let locker = contents.pop();
            let grants: Vec<_> = ids.iter().map(ContentId::to_string).collect();
            Ok(json!({ "revocations": contents, "locker": locker, "grants": grants }))
        })
    }
}

/// The reveals of grants or erasures; one whose lock comes from another secret is left to the revocation's body.
pub(super) fn reveals(
    objects: &dyn Objects,
    network: &NetworkId,
    key: &LockKey,
    grants: &[ContentId],
) -> Result<Vec<(ContentId, Reveal)>, DeskError> {
    let mut found = Vec::new();
    for id in grants {
        let Some(held) = objects.body(id)? else { continue };
        let (_, content) = Body::read(&held.bytes, network)?;
        let reveal = key.reveal(&content.salt);
        if content.lock == Some(Lock::of(&reveal)) {
            found.push((*id, reveal));
        }
    }
    Ok(found)
}

fn revocations(
    place: &Place,
    now: &Lockers,
    revoke: &Revoke,
    reveals: &[(ContentId, Reveal)],
    secret: &PatientSecret,
) -> Result<Vec<Entry>, DeskError> {
    let mut rng: ChaCha20Rng = random::generator()?;
    let mut one = |revoked: Revoked, shown: &[(ContentId, Reveal)]| {
        let payload = RevocationEntry { patient: now.patient, by_proxy: None, revoked };
        let k = secret.k(&place.organization);
        let mut entry = place.entry(Kind::Revocation, &[now.card_entry], &payload, Some(k), &mut rng);
        entry.reveal = shown.iter().map(|(_, reveal)| *reveal).collect();
        entry
    };
    let mut chunks = reveals.chunks(REVEALS_MAX);
    let mut entries = vec![one(revoke.revoked(), chunks.next().unwrap_or_default())];
    for chunk in chunks {
        let mut ids: Vec<_> = chunk.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        entries.push(one(Revoked::Entries(ids), chunk));
    }
    Ok(entries)
}

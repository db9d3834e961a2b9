//! What a node keeps of shares, and how it is dropped once it is over.
//!
//! ```text
//! space             group       order   item        value
//! committee-shares  committee   -       -           [index, 32 bytes] of this validator
//! guardian-shares   committee   -       person      the share of a key, sealed to the guardian's card
//! guardian-seeds    committee   -       person      what a dealing is made from, sealed to the card
//! guardian-looks    committee   -       person      -     what was dealt was looked at, and found good
//! ```
//!
//! A desk writes the guardians' rows, this crate drops them: shares once a later committee holds the key, all else once no
//! answer can be owed any more, since out of a seed comes the share that was dealt on.

use hospes_breakglass::threshold::{Index, KeyShare};
use hospes_protocol::ids::{ContentId, PersonId};
use hospes_protocol::wire::Wire;
use hospes_storage::{SealedKey, SealedRow, Write};
use zeroize::Zeroizing;

use super::deadlines;
use crate::service::{Fatal, Service};

/// This validator's shares of keys.
const SHARES: &str = "committee-shares";
/// Rows that are read at a time: more than a committee has members.
const PAGE: usize = 256;

/// What a desk keeps for a guardian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardianRow {
    /// The share of a key, sealed to the card.
    Share,
    /// What a dealing is made from, sealed to the card.
    Seed,
    /// That what was dealt was looked at.
    Look,
}

impl GuardianRow {
    const fn space(self) -> &'static str {
        match self {
            Self::Share => "guardian-shares",
            Self::Seed => "guardian-seeds",
            Self::Look => "guardian-looks",
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn key(self, committee: &ContentId, person: &PersonId) -> SealedKey {
        SealedKey::new(self.space(), &committee.0, 0, &person.0)
    }
}

fn share_key(committee: &ContentId) -> SealedKey {
    SealedKey::new(SHARES, &committee.0, 0, &[])
}

impl Service {
    pub(super) fn keep_share(&self, committee: &ContentId, share: &KeyShare) -> Result<(), Fatal> {
        let value = (share.index(), **share.to_bytes()).encode();
        self.write(&[Write::Sealed(SealedRow { key: share_key(committee), patient: None, value })])
    }

    /// The share of a committee's key that this node keeps.
    pub(crate) fn kept_share(&self, committee: &ContentId) -> Result<Option<KeyShare>, Fatal> {
        let Some(row) = self.objects.sealed(&share_key(committee))?.map(Zeroizing::new) else {
            return Ok(None);
        };
        let (index, bytes) = <(Index, [u8; 32])>::decode(&row).map_err(Fatal::Contradiction)?;
        let bytes = Zeroizing::new(bytes);
        KeyShare::from_bytes(index, &bytes).map(Some).map_err(Fatal::Contradiction)
    }

    /// Drops shares of keys that a later committee holds, and what no answer needs any more.
    pub(super) fn drop_what_is_over(&mut self) -> Result<(), Fatal> {
        let committees: Vec<_> = self.state.membership.committees.values().cloned().collect();
        let mut over = Vec::new();
        for committee in &committees {
            let holder = self.key_since(&committee.id)?;
            if holder.is_some_and(|standing| standing.committee != committee.id) {
                over.extend(self.rows_of(SHARES, &committee.id)?);
                over.extend(self.rows_of(GuardianRow::Share.space(), &committee.id)?);
            }
            if self.state.height >= deadlines(committee).answer {
                over.extend(self.rows_of(GuardianRow::Seed.space(), &committee.id)?);
                over.extend(self.rows_of(GuardianRow::Look.space(), &committee.id)?);
            }
        }
        self.write(&over)
    }

    fn rows_of(&self, space: &str, committee: &ContentId) -> Result<Vec<Write>, Fatal> {
        let rows = self.objects.sealed_rows(space, Some(&committee.0), None, PAGE)?;
        Ok(rows.into_iter().map(|row| Write::DropSealed(row.key)).collect())
    }
}

//! A member's part in a ceremony: what it owes now, and how it is made, given who opens what was sealed to the member.
//!
//! A part is taken out of the service with all that it needs, so that a validator's node and a desk with a guardian's card
//! do the same: the one opens with the node's key, the other with the card. Nothing here is kept, filed or sent.
//!
//! A dealer's polynomial comes from 32 bytes that the dealer alone has. So a dealing that is made again, after a crash or
//! to answer a complaint, is the same dealing, and no dealer contradicts itself by accident.

use std::collections::BTreeMap;

use hospes_breakglass::ceremony::{Answer, Ceremony, Deal, Said};
use hospes_breakglass::threshold::{Dealing, DealtShare, Index, KeyShare, Purpose, Threshold};
use hospes_protocol::check::Rejected;
use hospes_protocol::context::Context;
use hospes_protocol::control::{CommitteeMember, DkgEntry};
use hospes_protocol::ids::{ContentId, NetworkId};
use hospes_protocol::keys::{AgreementKey, KeyAgreement};
use hospes_protocol::seal::envelope::{Envelope, OpenError, seal_to};
use hospes_protocol::wire::{Bytes, Wire};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use zeroize::Zeroizing;

/// What a dealer makes its dealing from, again and again.
pub type DealerSeed = Zeroizing<[u8; 32]>;

/// What a member owes to a ceremony at a height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// To deal.
    Deal,
    /// To look at what was dealt to it, and to complain of what is not good.
    Look,
    /// To answer complaints of its dealing.
    Answer,
    /// To prove its share.
    Prove,
}

/// A member's part in one ceremony.
#[derive(Clone, Debug)]
pub struct Part {
    pub(super) network: NetworkId,
    /// The committee.
    pub committee: ContentId,
    /// Who.
    pub member: CommitteeMember,
    /// The committee whose share the member deals; null where it deals a secret of its own.
    pub previous: Option<ContentId>,
    /// Its place among those who deal.
    pub(super) dealer: Option<Index>,
    /// Its place among those who get shares.
    pub(super) receiver: Option<Index>,
    pub(super) threshold: Threshold,
    /// To which each member's share is sealed.
    pub(super) readers: Vec<AgreementKey>,
    pub(super) ceremony: Ceremony,
    /// The height of the next block.
    pub(super) next: u64,
    /// What each dealer sealed to this member.
    pub(super) sealed: BTreeMap<Index, Bytes>,
}

/// Why a member could not do its part.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// A key could not be used: the card is gone, or refuses.
    #[error(transparent)]
    Key(#[from] hospes_protocol::keys::KeyError),
    /// What is sealed or needed is not what it must be.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The member has no part in this.
    #[error("this member has no part in this phase of the ceremony")]
    NoPart,
    /// Shares that it needs did not come, or are not good.
    #[error("not every share that counts came to this member, or not a good one")]
    NoShare,
}

impl Part {
    /// What dealings and proofs of the ceremony are bound to.
    #[must_use]
    pub fn context(&self) -> &[u8] {
        self.ceremony.context()
    }

    /// Whether what this dealer dealt is part of the key, once the answers are in.
    #[must_use]
    pub fn counts(&self, dealer: Index) -> bool {
        self.ceremony.dealers_that_count(self.next).is_some_and(|(dealers, _)| dealers.contains(&dealer))
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &NetworkId {
        &self.network
    }

    /// Its place among those who get shares.
    #[must_use]
    pub fn receiver(&self) -> Option<Index> {
        self.receiver
    }

    /// What the member owes at the next height. It looks at its shares for as long as it may complain: what it owes
    /// nothing for leaves no trace on the ledger.
    #[must_use]
    pub fn duties(&self) -> Vec<Duty> {
        let (next, until) = (self.next, self.ceremony.deadlines());
        let dealer = |owes: &dyn Fn(Index) -> bool| self.dealer.is_some_and(owes);
        let proves = |me| self.ceremony.may_prove(me) && self.ceremony.dealers_that_count(next).is_some();
        let owed = [
            (Duty::Deal, next <= until.deal && dealer(&|me| self.ceremony.may_deal(me))),
            (Duty::Look, until.deal < next && next <= until.complain && self.receiver.is_some()),
            (Duty::Answer, next <= until.answer && dealer(&|me| !self.ceremony.answers_owed(me).is_empty())),
            (Duty::Prove, until.answer < next && next <= until.prove && self.receiver.is_some_and(proves)),
        ];
        owed.into_iter().filter(|(_, owes)| *owes).map(|(duty, _)| duty).collect()
    }

    /// Deals, from the dealer's seed and, where a key is taken over, the share of it that the member holds.
    ///
    /// # Errors
    /// [`PartError::NoPart`]; [`PartError::Rejected`] where a member's key cannot be sealed to.
    pub fn deal(&self, seed: &DealerSeed, old: Option<&KeyShare>) -> Result<Said, PartError> {
        let (dealing, shares, mut rng) = self.dealing(seed, old)?;
        let seal = |(share, reader): (&DealtShare, &AgreementKey)| {
            let sealed = seal_to(reader, Context::DealtShare, &self.network, &**share.to_bytes(), &mut rng)?;
            Ok(Bytes(sealed))
        };
        let sealed = shares.iter().zip(&self.readers).map(seal).collect::<Result<Vec<_>, Rejected>>()?;
        Ok(Said::Deal(Deal { dealing, sealed }))
    }

    fn dealing(
        &self,
        seed: &DealerSeed,
        old: Option<&KeyShare>,
    ) -> Result<(Dealing, Vec<DealtShare>, ChaCha20Rng), PartError> {
        let dealer = self.dealer.ok_or(PartError::NoPart)?;
        if old.map(KeyShare::index) != self.previous.and(self.dealer) {
            return Err(PartError::NoShare);
        }
        let mut rng = ChaCha20Rng::from_seed(**seed);
        let (dealing, shares) = Dealing::deal(self.ceremony.context(), dealer, self.threshold, old, &mut rng);
        Ok((dealing, shares, rng))
    }

    /// Complains of every dealer whose share for this member does not open, or is not what its commitments say.
    ///
    /// # Errors
    /// [`PartError::NoPart`]; [`PartError::Key`] where the member's key could not be used.
    pub fn complaints(&self, key: &mut dyn KeyAgreement) -> Result<Vec<Said>, PartError> {
        let receiver = self.receiver.ok_or(PartError::NoPart)?;
        let mut said = Vec::new();
        for dealer in self.ceremony.dealers_that_stand() {
            if self.ceremony.complained(receiver, dealer) || self.dealt(dealer, receiver, key)?.is_some() {
                continue;
            }
            said.push(Said::Complain(dealer));
        }
        Ok(said)
    }

    /// What a dealer sealed to this member, if it is good.
    fn dealt(
        &self,
        dealer: Index,
        receiver: Index,
        key: &mut dyn KeyAgreement,
    ) -> Result<Option<DealtShare>, PartError> {
        let Some(sealed) = self.sealed.get(&dealer) else { return Ok(None) };
        let Ok(envelope) = Envelope::parse(sealed) else { return Ok(None) };
        let opened = match envelope.open(key, Context::DealtShare, &self.network) {
            Ok(opened) => opened,
            Err(OpenError::Key(failed)) => return Err(failed.into()),
            Err(OpenError::Rejected(_)) => return Ok(None),
        };
        let Ok(bytes) = <[u8; 32]>::try_from(opened.as_slice()).map(Zeroizing::new) else { return Ok(None) };
        let share = DealtShare::from_bytes(receiver, &bytes).ok();
        let dealing = self.ceremony.dealing(dealer);
        Ok(share.filter(|share| dealing.is_some_and(|dealing| dealing.holds(share))))
    }

    /// Shows everyone the shares of which somebody complained.
    ///
    /// # Errors
    /// As [`Part::deal`].
    pub fn answers(&self, seed: &DealerSeed, old: Option<&KeyShare>) -> Result<Vec<Said>, PartError> {
        let (_, shares, _) = self.dealing(seed, old)?;
        let dealer = self.dealer.ok_or(PartError::NoPart)?;
        let owed = self.ceremony.answers_owed(dealer);
        let of = |to: &Index| {
            let share = shares.iter().find(|share| share.to() == *to)?;
            Some(Said::Answer(Answer { to: *to, share: **share.to_bytes() }))
        };
        Ok(owed.iter().filter_map(of).collect())
    }

    /// This member's share of the key, out of what the dealers that count dealt to it or showed in answer to its complaint.
    ///
    /// # Errors
    /// [`PartError::NoPart`], [`PartError::NoShare`]; [`PartError::Key`] where the member's key could not be used.
    pub fn share(&self, key: &mut dyn KeyAgreement) -> Result<KeyShare, PartError> {
        let receiver = self.receiver.ok_or(PartError::NoPart)?;
        let (dealers, sum) = self.ceremony.dealers_that_count(self.next).ok_or(PartError::NoPart)?;
        let mut dealt = Vec::new();
        for dealer in dealers {
            let share = match self.ceremony.answered(receiver, dealer) {
                Some(shown) => shown.clone(),
                None => self.dealt(dealer, receiver, key)?.ok_or(PartError::NoShare)?,
            };
            dealt.push((dealer, share));
        }
        KeyShare::assemble(receiver, &dealt, sum).map_err(|_| PartError::NoShare)
    }

    /// The proof of a share.
    #[must_use]
    pub fn proof(&self, share: &KeyShare) -> Said {
        Said::Prove(share.sign(Purpose::Possession, self.ceremony.context()))
    }

    /// The entry in which the member says it.
    #[must_use]
    pub fn entry(&self, said: &Said) -> DkgEntry {
        DkgEntry { committee: self.committee, sender: self.member.clone(), said: Bytes(said.encode()) }
    }
}

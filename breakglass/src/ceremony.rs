//! A ceremony: how a roster makes a threshold key, or takes one over from an older roster, with the ledger as the
//! channel on which everyone hears the same.
//!
//! ```text
//!            deal            complain            answer             prove
//!  begin ------------> . ---------------> . ---------------> . ---------------> ready
//!          every dealer     who got no        the dealer shows    every member signs   enough have proved
//!          deals once       good share says   that share to all   with its new share   that they can sign
//!                                                   |                    |
//!                                              too few dealers      too few proved -> failed
//! ```
//!
//! Each message is judged by the height of the block that it is final in, so that every node comes to the same key.
//! Deadlines are heights, the last one at which a message of the phase counts. A dealer that contradicts itself, deals
//! wrongly, or leaves a complaint unanswered is out; a complaint that is answered cost only the complainer's own share of
//! that one dealing its secrecy. It knows indexes, no persons: who stands at which index, and that their card signed the
//! message, is judged before. No clock, no IO, no secret.

use std::collections::{BTreeMap, BTreeSet};

use hospes_protocol::ids::{ContentId, NetworkId};
use hospes_protocol::wire::{Bytes, Enc, Wire};
use hospes_protocol::{wire_struct, wire_union};

use crate::threshold::{
    Dealing, DealtShare, Index, Purpose, SignatureShare, Sum, Threshold, ThresholdError, ThresholdKey,
};

wire_struct! {
    /// The last height at which a message of each phase counts; each later than the one before.
    pub struct Deadlines {
        /// Dealings.
        pub deal: u64,
        /// Complaints.
        pub complain: u64,
        /// Answers to complaints.
        pub answer: u64,
        /// Proofs of new shares.
        pub prove: u64,
    }
}

wire_struct! {
    /// A dealing, and the share of each member of the new roster sealed to that member, by index.
    pub struct Deal {
        /// What everyone may see.
        pub dealing: Dealing,
        /// One envelope for each member.
        pub sealed: Vec<Bytes>,
    }
}

wire_struct! {
    /// The share that a complaint was about, shown to everyone.
    pub struct Answer {
        /// Who complained.
        pub to: Index,
        /// The dealt share.
        pub share: [u8; 32],
    }
}

wire_union! {
    /// What a member says in a ceremony.
    pub enum Said {
        /// A dealer deals.
        Deal(Deal) = 1,
        /// A member of the new roster had no good share of this dealer.
        Complain(Index) = 2,
        /// The dealer shows it.
        Answer(Answer) = 3,
        /// A member of the new roster has signed the ceremony's context with its new share.
        Prove(SignatureShare) = 4,
    }
}

/// Why a message of a ceremony has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its phase has not begun or is over.
    #[error("not in this phase of the ceremony")]
    Untimely,
    /// The sender is not one of those who may say this.
    #[error("index {0} has no part in this")]
    NoPart(u16),
    /// The sender has no place in the roster that says this.
    #[error("the sender has no place among those who say this")]
    NoPlace,
    /// The bytes are no message of a ceremony.
    #[error("this is no message of a ceremony")]
    Unreadable,
    /// The same was said before.
    #[error("was said before")]
    Again,
    /// Another dealing of the same dealer is final: it is out.
    #[error("dealer {0} has contradicted itself and is out")]
    Contradiction(u16),
    /// The dealing, answer or proof is false: the dealer is out, or the proof doesn't count.
    #[error(transparent)]
    False(#[from] ThresholdError),
    /// Nobody has complained of this.
    #[error("there is no such complaint")]
    NoComplaint,
}

/// Where a ceremony stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// These dealers have not dealt.
    Dealing(Vec<Index>),
    /// Members look at their shares.
    Complaining,
    /// These dealers owe answers.
    Answering(Vec<Index>),
    /// These members have not proved their new shares.
    Proving(Vec<Index>),
    /// The key stands; these members have no proved share.
    Ready(Vec<Index>),
    /// Fewer dealers than needed are left.
    TooFewDealers,
    /// Fewer members than needed have proved their shares.
    TooFewProofs,
}

/// A dealer's dealing and what became of it.
#[derive(Clone, Debug, Default)]
struct Dealer {
    dealing: Option<Dealing>,
    /// What was shown to each who complained, once it was.
    complaints: BTreeMap<Index, Option<DealtShare>>,
    out: bool,
}

impl Dealer {
    fn is_good(&self) -> bool {
        !self.out && self.dealing.is_some()
    }

    fn owes(&self) -> bool {
        self.is_good() && self.complaints.values().any(Option::is_none)
    }
}

/// One ceremony, as far as the ledger tells it.
#[derive(Clone, Debug)]
pub struct Ceremony {
    context: Vec<u8>,
    threshold: Threshold,
    provers_needed: u16,
    deadlines: Deadlines,
    old: Option<ThresholdKey>,
    dealers: BTreeMap<Index, Dealer>,
    proved: BTreeSet<Index>,
    /// Members whose proof was false.
    disproved: BTreeSet<Index>,
    /// The height at which the last member proved its share.
    complete_at: Option<u64>,
    key: Option<ThresholdKey>,
}

/// What a ceremony is about.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The network.
    pub network: NetworkId,
    /// The committee entry that names the roster: the name of the ceremony.
    pub entry: ContentId,
    /// How many of the new roster.
    pub threshold: Threshold,
    /// How many must prove their shares before the key stands, even if the rest are away: `shares_needed` at least.
    pub provers_needed: u16,
    /// When.
    pub deadlines: Deadlines,
    /// The key that is taken over; its members deal.
    pub old: Option<ThresholdKey>,
}

impl Ceremony {
    /// A ceremony in which nobody has said anything.
    ///
    /// # Errors
    /// [`ThresholdError::NoThreshold`] if fewer proofs than the threshold would do, or more than there are members.
    pub fn begin(plan: Plan) -> Result<Self, ThresholdError> {
        let (threshold, needed) = (plan.threshold, plan.provers_needed);
        if needed < threshold.shares_needed() || needed > threshold.members() {
            return Err(ThresholdError::NoThreshold { needed, of: threshold.members() });
        }
        let roster = plan.old.as_ref().map_or(threshold, ThresholdKey::threshold);
        Ok(Self {
            context: context(&plan.network, &plan.entry),
            threshold,
            provers_needed: needed,
            deadlines: plan.deadlines,
            dealers: roster.indexes().map(|index| (index, Dealer::default())).collect(),
            old: plan.old,
            proved: BTreeSet::new(),
            disproved: BTreeSet::new(),
            complete_at: None,
            key: None,
        })
    }

    /// What dealings and proofs of this ceremony are bound to.
    #[must_use]
    pub fn context(&self) -> &[u8] {
        &self.context
    }

    /// Takes a message that is final at `height`, of the member at `from`: of the dealing roster for a dealing or an
    /// answer, of the new one for a complaint or a proof. Heights must not go back from call to call.
    ///
    /// # Errors
    /// [`Refused`] says why it has no effect, or which effect it had on its sender.
    pub fn hear(&mut self, height: u64, from: Index, said: &Said) -> Result<(), Refused> {
        match said {
            Said::Deal(deal) => self.hear_deal(height, from, deal),
            Said::Complain(of) => self.hear_complaint(height, from, *of),
            Said::Answer(answer) => self.hear_answer(height, from, answer),
            Said::Prove(share) => self.hear_proof(height, from, share),
        }
    }

    fn dealer(&mut self, index: Index) -> Result<&mut Dealer, Refused> {
        self.dealers.get_mut(&index).ok_or(Refused::NoPart(index.get()))
    }

    fn ensure_member(&self, index: Index) -> Result<(), Refused> {
        if index.get() <= self.threshold.members() { Ok(()) } else { Err(Refused::NoPart(index.get())) }
    }

    fn hear_deal(&mut self, height: u64, from: Index, deal: &Deal) -> Result<(), Refused> {
        if height > self.deadlines.deal {
            return Err(Refused::Untimely);
        }
        // Who floods is refused before anything is verified.
        let dealer = self.dealer(from)?;
        match &dealer.dealing {
            _ if dealer.out => return Err(Refused::Contradiction(from.get())),
            Some(before) if *before == deal.dealing => return Err(Refused::Again),
            Some(_) => {
                dealer.out = true;
                return Err(Refused::Contradiction(from.get()));
            }
            None => {}
        }
        let whole = deal.sealed.len() == usize::from(self.threshold.members());
        let judged = deal.dealing.check(&self.context, from, self.threshold, self.old.as_ref());
        let judged = if whole { judged } else { Err(ThresholdError::BadDealing(from.get())) };
        let dealer = self.dealer(from)?;
        dealer.out = judged.is_err();
        dealer.dealing = judged.is_ok().then(|| deal.dealing.clone());
        judged.map_err(Refused::False)
    }

    fn hear_complaint(&mut self, height: u64, from: Index, of: Index) -> Result<(), Refused> {
        if height <= self.deadlines.deal || height > self.deadlines.complain {
            return Err(Refused::Untimely);
        }
        self.ensure_member(from)?;
        let dealer = self.dealer(of)?;
        if !dealer.is_good() {
            return Err(Refused::NoPart(of.get()));
        }
        if dealer.complaints.contains_key(&from) {
            return Err(Refused::Again);
        }
        dealer.complaints.insert(from, None);
        Ok(())
    }

    fn hear_answer(&mut self, height: u64, from: Index, answer: &Answer) -> Result<(), Refused> {
        if height <= self.deadlines.deal || height > self.deadlines.answer {
            return Err(Refused::Untimely);
        }
        let dealer = self.dealer(from)?;
        match dealer.complaints.get(&answer.to) {
            None => return Err(Refused::NoComplaint),
            Some(Some(_)) => return Err(Refused::Again),
            Some(None) => {}
        }
        let share = DealtShare::from_bytes(answer.to, &answer.share).ok();
        let share = share.filter(|share| dealer.dealing.as_ref().is_some_and(|dealing| dealing.holds(share)));
        if share.is_none() {
            dealer.out = true;
            return Err(Refused::False(ThresholdError::BadDealing(from.get())));
        }
        dealer.complaints.insert(answer.to, share);
        Ok(())
    }

    fn hear_proof(&mut self, height: u64, from: Index, share: &SignatureShare) -> Result<(), Refused> {
        if height <= self.deadlines.answer || height > self.deadlines.prove {
            return Err(Refused::Untimely);
        }
        self.ensure_member(from)?;
        if share.index != from {
            return Err(Refused::NoPart(share.index.get()));
        }
        self.settle(height);
        let key = self.key.as_ref().ok_or(Refused::Untimely)?;
        if self.proved.contains(&from) || self.disproved.contains(&from) {
            return Err(Refused::Again);
        }
        if let Err(wrong) = key.verify_share(Purpose::Possession, &self.context, share) {
            self.disproved.insert(from);
            return Err(wrong.into());
        }
        self.proved.insert(from);
        if self.proved.len() == usize::from(self.threshold.members()) {
            self.complete_at = Some(height);
        }
        Ok(())
    }

    /// The dealers that count once all answers are in, by index: all good ones make a fresh key, and the first that
    /// are enough for the old key take it over.
    fn qualified(&self) -> Option<Vec<Index>> {
        let mut good: Vec<Index> =
            self.dealers.iter().filter(|(_, d)| d.is_good() && !d.owes()).map(|(index, _)| *index).collect();
        let needed = self.old.as_ref().map_or(self.threshold, ThresholdKey::threshold).shares_needed();
        if good.len() < usize::from(needed) {
            return None;
        }
        if self.old.is_some() {
            good.truncate(usize::from(needed));
        }
        Some(good)
    }

    fn sum(&self) -> Sum {
        if self.old.is_some() { Sum::Reshared } else { Sum::Fresh }
    }

    // Once the answers are in, the key is what it is.
    fn settle(&mut self, height: u64) {
        if height > self.deadlines.answer && self.key.is_none() {
            self.key = self.key_of_dealings();
        }
    }

    fn key_of_dealings(&self) -> Option<ThresholdKey> {
        let qualified = self.qualified()?;
        let dealings: Vec<(Index, &Dealing)> = qualified
            .iter()
            .filter_map(|index| Some((*index, self.dealers.get(index)?.dealing.as_ref()?)))
            .collect();
        ThresholdKey::assemble(self.threshold, &dealings, self.sum()).ok()
    }

    /// The dealers whose shares a member adds up, and how, once the answers are in at `height`.
    #[must_use]
    pub fn dealers_that_count(&self, height: u64) -> Option<(Vec<Index>, Sum)> {
        (height > self.deadlines.answer).then(|| self.qualified().map(|dealers| (dealers, self.sum())))?
    }

    /// What a dealer dealt, while it counts.
    #[must_use]
    pub fn dealing(&self, dealer: Index) -> Option<&Dealing> {
        self.dealers.get(&dealer).filter(|d| d.is_good())?.dealing.as_ref()
    }

    /// Those whose dealings stand so far.
    #[must_use]
    pub fn dealers_that_stand(&self) -> Vec<Index> {
        self.dealers.iter().filter(|(_, d)| d.is_good()).map(|(index, _)| *index).collect()
    }

    /// Whether a dealer may still deal.
    #[must_use]
    pub fn may_deal(&self, dealer: Index) -> bool {
        self.dealers.get(&dealer).is_some_and(|d| d.dealing.is_none() && !d.out)
    }

    /// Whether a member has complained of a dealer.
    #[must_use]
    pub fn complained(&self, member: Index, of: Index) -> bool {
        self.dealers.get(&of).is_some_and(|d| d.complaints.contains_key(&member))
    }

    /// Those whose complaints a dealer has not answered, while it counts.
    #[must_use]
    pub fn answers_owed(&self, dealer: Index) -> Vec<Index> {
        let Some(dealer) = self.dealers.get(&dealer).filter(|d| d.is_good()) else { return Vec::new() };
        dealer.complaints.iter().filter(|(_, shown)| shown.is_none()).map(|(to, _)| *to).collect()
    }

    /// What a dealer showed in answer to a member's complaint.
    #[must_use]
    pub fn answered(&self, member: Index, by: Index) -> Option<&DealtShare> {
        self.dealers.get(&by)?.complaints.get(&member)?.as_ref()
    }

    /// Whether a member may still prove its share: it has not, and has said no false proof.
    #[must_use]
    pub fn may_prove(&self, member: Index) -> bool {
        !self.proved.contains(&member) && !self.disproved.contains(&member)
    }

    /// The height from which the key stands, once enough members have proved their shares: the last deadline, or that
    /// of the last proof where all have.
    #[must_use]
    pub fn stands_from(&self) -> Option<u64> {
        let enough = self.proved.len() >= usize::from(self.provers_needed);
        self.complete_at.or_else(|| enough.then_some(self.deadlines.prove))
    }

    /// When its phases end.
    #[must_use]
    pub fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// The key, once enough members have proved that they can sign with it and nobody else is waited for.
    #[must_use]
    pub fn key(&self, height: u64) -> Option<ThresholdKey> {
        matches!(self.phase(height), Phase::Ready(_))
            .then(|| self.key.clone().or_else(|| self.key_of_dealings()))?
    }

    /// Where the ceremony stands once the block at `height` is final, and who is missing.
    #[must_use]
    pub fn phase(&self, height: u64) -> Phase {
        let dealers = |which: fn(&Dealer) -> bool| {
            self.dealers.iter().filter(|(_, d)| which(d)).map(|(index, _)| *index).collect::<Vec<_>>()
        };
        let unproved = || self.threshold.indexes().filter(|i| !self.proved.contains(i)).collect::<Vec<_>>();
        let enough = self.proved.len() >= usize::from(self.provers_needed);
        match height {
            h if h < self.deadlines.deal => Phase::Dealing(dealers(|d| d.dealing.is_none() && !d.out)),
            h if h < self.deadlines.complain => Phase::Complaining,
            h if h < self.deadlines.answer => Phase::Answering(dealers(Dealer::owes)),
            _ if self.key.is_none() && self.key_of_dealings().is_none() => Phase::TooFewDealers,
            _ if self.proved.len() == usize::from(self.threshold.members()) => Phase::Ready(Vec::new()),
            h if h < self.deadlines.prove => Phase::Proving(unproved()),
            _ if enough => Phase::Ready(unproved()),
            _ => Phase::TooFewProofs,
        }
    }
}

fn context(network: &NetworkId, entry: &ContentId) -> Vec<u8> {
    let mut e = Enc::default();
    e.array(3).text("hospes/1/ceremony");
    network.put(&mut e);
    entry.put(&mut e);
    e.into_bytes()
}

#[cfg(test)]
mod tests;

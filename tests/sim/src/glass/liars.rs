//! Guardians who lie in ceremonies: they deal twice, or for another threshold, withhold a share, complain of everyone.
//!
//! That the ceremony puts them out is shown by `breakglass` and `node/service`; here they are at work while all else happens,
//! and keys are made all the same.

use hospes_breakglass::ceremony::{Deal, Said};
use hospes_breakglass::threshold::{Dealing, Index, Threshold};
use hospes_protocol::control::CommitteeEntry;
use hospes_protocol::wire::Bytes;
use hospes_service::committees::Part;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::dice::Dice;
use crate::plan::Lie;
use crate::world::World;

/// Entries of one who floods, each time that the ceremonies are gone on with.
const FLOOD: usize = 4;

impl World {
    /// From here on a guardian lies.
    pub(crate) fn turn_liar(&mut self, guardian: usize, how: Lie) {
        self.coverage.fault(how.name());
        self.glass.liars.insert(guardian, how);
        self.tell(format!("guardian {guardian} lies in ceremonies: {how:?}"));
    }

    /// What a liar makes of a dealing: one of another degree, or one that gives the first of the others nothing.
    pub(super) fn spoil_deal(
        &self,
        guardian: usize,
        part: &Part,
        deal: Deal,
        entry: &CommitteeEntry,
    ) -> Deal {
        match self.glass.liars.get(&guardian) {
            Some(Lie::WrongDegree) => {
                let of = (entry.shares_needed, entry.roster.len() as u64);
                let dealing = self.of_another_degree(guardian, part, of);
                Deal { dealing: dealing.unwrap_or(deal.dealing), ..deal }
            }
            Some(Lie::Withhold) => {
                let victim = usize::from(part.receiver().is_some_and(|me| me.get() == 1));
                let spoilt = |(n, sealed)| if n == victim { Bytes(vec![0]) } else { sealed };
                Deal { sealed: deal.sealed.into_iter().enumerate().map(spoilt).collect(), ..deal }
            }
            _ => deal,
        }
    }

    fn of_another_degree(&self, guardian: usize, part: &Part, (needed, many): (u64, u64)) -> Option<Dealing> {
        let needed = if needed < many { needed + 1 } else { needed - 1 };
        let threshold = Threshold::new(u16::try_from(needed).ok()?, u16::try_from(many).ok()?).ok()?;
        let old = part.previous.and_then(|previous| self.guardian_share(guardian, &previous));
        let dealer = old.as_ref().map(|share| share.index()).or(part.receiver())?;
        let about = u64::from_be_bytes(part.committee.0[..8].try_into().ok()?);
        let mut rng = ChaCha20Rng::from_seed(Dice::of(&[self.plan.seed, 67, about, guardian as u64]).bytes());
        Some(Dealing::deal(part.context(), dealer, threshold, old.as_ref(), &mut rng).0)
    }

    /// Complaints of one who accuses everyone.
    pub(super) fn accusations(part: &Part, many: usize) -> Vec<Said> {
        let others = (1..=u16::try_from(many).unwrap_or(0)).filter_map(|n| Index::new(n).ok());
        others.filter(|n| part.receiver() != Some(*n)).map(Said::Complain).collect()
    }

    /// How often a guardian says the same, under another name each time.
    pub(super) fn repeats(&self, guardian: usize, said: &Said) -> usize {
        let floods = self.glass.liars.get(&guardian) == Some(&Lie::Flood);
        if floods && matches!(said, Said::Complain(_)) { FLOOD } else { 1 }
    }
}

//! The validators' ceremonies: each node deals, complains, answers and proves by itself, and keeps its share.
//!
//! After each block of a ceremony, and at upkeep, a node looks what it owes and files it. What it files is the same
//! however often it is made, so a node that was killed in between files nothing twice.

use hospes_breakglass::ceremony::Said;
use hospes_protocol::check::Check;
use hospes_protocol::control::{CommitteeMember, LEDGER_COMMITTEE, Roster};
use hospes_protocol::entry::{Content, FORMAT, Kind};
use hospes_protocol::ids::{ContentId, sha256};
use hospes_protocol::wire::{Bytes, Wire};

use super::deadlines;
use super::part::{Duty, Part, PartError};
use crate::effects::Timer;
use crate::filing::{FileError, Filing, body_bytes};
use crate::service::{Fatal, Service};

impl Service {
    fn as_member(&self) -> CommitteeMember {
        CommitteeMember::Validator(self.me.node)
    }

    /// Validators' committees with a part of this node in them, whose ceremony runs at the next height.
    fn own_ceremonies(&self) -> Vec<ContentId> {
        let me = self.as_member();
        let next = self.state.height + 1;
        let committees = self.state.membership.committees.values();
        let running = committees.filter(|c| {
            let concerns = c.entry.roster.index_of(&me).or_else(|| self.dealing_roster(c).index_of(&me));
            matches!(c.entry.roster, Roster::Validators(_))
                && concerns.is_some()
                && next <= deadlines(c).prove
        });
        running.map(|c| c.id).collect()
    }

    /// A block was committed: a ceremony may have come further.
    pub(crate) fn look_at_ceremonies(&mut self) {
        if !self.own_ceremonies().is_empty() {
            self.set_timer(Timer::Ceremony, self.now);
        }
    }

    /// Does what this node owes to ceremonies.
    pub(crate) fn ceremonies_upkeep(&mut self) -> Result<(), Fatal> {
        for committee in self.own_ceremonies() {
            let Some(part) = self.ceremony_part(&committee, &self.as_member())? else { continue };
            for duty in part.duties() {
                self.do_duty(&part, duty)?;
            }
        }
        self.take_late_share()?;
        self.drop_what_is_over()
    }

    /// Takes this node's share of the key that stands, where it was away while shares were proved.
    fn take_late_share(&mut self) -> Result<(), Fatal> {
        let Some(standing) = self.committee_key(LEDGER_COMMITTEE)? else { return Ok(()) };
        let member = standing.entry.roster.index_of(&self.as_member()).is_some();
        if !member || self.kept_share(&standing.committee)?.is_some() {
            return Ok(());
        }
        let Some(part) = self.ceremony_part(&standing.committee, &self.as_member())? else { return Ok(()) };
        match part.share(&mut self.me.agreement) {
            Ok(share) => self.keep_share(&standing.committee, &share),
            // Nor will it ever come: status says who has none.
            Err(_) => Ok(()),
        }
    }

    fn do_duty(&mut self, part: &Part, duty: Duty) -> Result<(), Fatal> {
        match self.said_of(part, duty) {
            Ok(said) => said.iter().try_for_each(|said| self.say(part, said)),
            // A share that never came, or of a key that isn't this node's to deal on.
            Err(DutyError::Part(PartError::NoShare | PartError::NoPart | PartError::Rejected(_))) => Ok(()),
            Err(DutyError::Part(PartError::Key(key))) => Err(Fatal::Engine(format!("the node key: {key}"))),
            Err(DutyError::Fatal(fatal)) => Err(fatal),
        }
    }

    fn said_of(&mut self, part: &Part, duty: Duty) -> Result<Vec<Said>, DutyError> {
        let old = part.previous.map(|id| self.kept_share(&id)).transpose()?.flatten();
        let seed = self.me.dealer_seed(&part.committee);
        Ok(match duty {
            Duty::Deal => vec![part.deal(&seed, old.as_ref())?],
            Duty::Look => part.complaints(&mut self.me.agreement)?,
            Duty::Answer => part.answers(&seed, old.as_ref())?,
            Duty::Prove => {
                let share = part.share(&mut self.me.agreement)?;
                self.keep_share(&part.committee, &share)?;
                vec![part.proof(&share)]
            }
        })
    }

    /// Files it, once: the same is the same content.
    fn say(&mut self, part: &Part, said: &Said) -> Result<(), Fatal> {
        let payload = part.entry(said).encode();
        let content = Content {
            format: FORMAT,
            network: self.network,
            kind: Kind::Dkg.code(),
            organization: self.me.organization,
            salt: self.me.once("ceremony", &sha256(&[&payload])),
            lock: None,
            stands_on: Vec::new(),
            payload: Bytes(payload),
        };
        if self.ledger.is_filed(&content.id())? {
            return Ok(());
        }
        let body = body_bytes(&content, Vec::new());
        match self.file(vec![Filing { body, key: None, reveal: Vec::new(), packets: Vec::new() }]) {
            Ok(_) => Ok(()),
            Err(FileError::Rejected(refused)) if refused.check == Check::ContentFiled => Ok(()),
            Err(FileError::Fatal(fatal)) => Err(fatal),
            // Upkeep tries again while the phase lasts.
            Err(
                FileError::Rejected(_) | FileError::Clock { .. } | FileError::DiskFull | FileError::Outdated,
            ) => Ok(()),
        }
    }
}

/// Why a duty was not done.
enum DutyError {
    Part(PartError),
    Fatal(Fatal),
}

impl From<PartError> for DutyError {
    fn from(e: PartError) -> Self {
        Self::Part(e)
    }
}

impl From<Fatal> for DutyError {
    fn from(e: Fatal) -> Self {
        Self::Fatal(e)
    }
}

//! Whoever disturbs a ceremony of guardians is refused by every node alike, for the same reason, and the others come to
//! their key all the same. The test prints one row for each attack (`tests/attacks`).
//!
//! Method: services over memory and virtual time, five guardians of four hospitals, two of whom open; each attack in a
//! ceremony of its own, at the height where it could do most.

use std::collections::BTreeMap;

use hospes_breakglass::ceremony::{Answer, Deal, Phase, Refused, Said};
use hospes_breakglass::threshold::{Dealing, Index, Purpose, Threshold, ThresholdError, ThresholdKey};
use hospes_protocol::check::Check;
use hospes_protocol::control::{
    CeremonyBlocks, CommitteeEntry, CommitteeMember, DkgEntry, PolicyFields, PractitionerEntry, Roster,
    Standing,
};
use hospes_protocol::entry::Kind;
use hospes_protocol::genesis::default_policy;
use hospes_protocol::ids::{ContentId, sha256};
use hospes_protocol::tap::{Body, sign_tap};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::committees::{Duty, Part, Stage};
use hospes_service::effects::Event;
use hospes_service::filing::{FileError, Filed, Filing};
use hospes_service::service::Service;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use zeroize::Zeroizing;

use crate::people::{Doctor, agreement, key};
use crate::world::World;

const NODES: usize = 4;
/// Who attacks: the first guardian, index 1.
const MALLORY: usize = 0;

struct Play {
    w: World,
    guardians: Vec<Doctor>,
    salt: u64,
    rows: Vec<(&'static str, String)>,
}

fn bad_dealing() -> Refused {
    Refused::False(ThresholdError::BadDealing(1))
}

impl Play {
    fn new() -> Self {
        let policy = PolicyFields { idle_block_ms: 1_000, ..default_policy() };
        let mut w = World::under(21, 4, 0, policy);
        w.run(50);
        let guardians = [(0, 100), (1, 110), (2, 120), (3, 130), (0, 140)];
        let guardians = guardians.map(|(at, seed)| w.doctor(at, seed)).into_iter().collect();
        Self { w, guardians, salt: 0, rows: Vec::new() }
    }

    fn service(&self, i: usize) -> &Service {
        self.w.nodes[i].service.as_ref().expect("the node is on")
    }

    /// A ceremony begins; every node knows of it.
    fn begin(&mut self) -> ContentId {
        let entry = CommitteeEntry {
            name: "summary".into(),
            roster: Roster::Guardians(self.guardians.iter().map(|g| g.id).collect()),
            shares_needed: 2,
            provers_needed: 3,
            previous: None,
            blocks: CeremonyBlocks { deal: 5, complain: 10, answer: 15, prove: 20 },
            local: None,
        };
        let filing = self.w.control(0, Kind::Committee, &entry, &[0, 1, 2]);
        let filed = self.w.file(0, filing);
        let known = |w: &World| (0..NODES).all(|i| w.is_final(i, &filed));
        assert!(self.w.run_until(10_000, known), "the committee is set");
        filed.content
    }

    fn member(&self, g: usize) -> CommitteeMember {
        CommitteeMember::Guardian(self.guardians[g].id)
    }

    fn part(&self, g: usize, committee: &ContentId) -> Part {
        let service = self.service(self.guardians[g].at);
        service.ceremony_part(committee, &self.member(g)).expect("the store holds").expect("it is a member")
    }

    /// A message by the card of `signer`, filed at its node.
    fn files(&mut self, signer: usize, entry: &DkgEntry) -> Result<Filed, Check> {
        self.salt += 1;
        let (at, seed) = (self.guardians[signer].at, self.guardians[signer].seed);
        let content = self.w.draft(at, Kind::Dkg, sha256(&[&self.salt.to_be_bytes()]), &[], entry);
        let ids = [content.id()];
        let signatures =
            sign_tap(&mut key(seed), &self.w.genesis.network(), ("t", "en"), &ids).expect("signs");
        let body = Body { content: Bytes(content.encode()), signatures }.encode();
        let filing = Filing { body, key: None, reveal: Vec::new(), packets: Vec::new() };
        self.w.try_file(at, filing).map_err(|refused| match refused {
            FileError::Rejected(rejected) => rejected.check,
            other => panic!("{other}"),
        })
    }

    fn says(&mut self, g: usize, committee: ContentId, said: &Said) {
        let entry = DkgEntry { committee, sender: self.member(g), said: Bytes(said.encode()) };
        self.files(g, &entry).expect("consensus lets a member speak");
    }

    /// What an honest guardian says.
    fn honest(&self, g: usize, committee: &ContentId, duty: Duty) -> Vec<Said> {
        let part = self.part(g, committee);
        if !part.duties().contains(&duty) {
            return Vec::new();
        }
        let seed = Zeroizing::new([self.guardians[g].seed; 32]);
        let card = &mut agreement(self.guardians[g].seed);
        match duty {
            Duty::Deal => vec![part.deal(&seed, None).expect("deals")],
            Duty::Look => part.complaints(card).expect("the card opens"),
            Duty::Answer => part.answers(&seed, None).expect("answers"),
            Duty::Prove => vec![part.proof(&part.share(card).expect("has a share"))],
        }
    }

    fn all_do(&mut self, committee: ContentId, duty: Duty, but: &[usize]) {
        for g in (0..self.guardians.len()).filter(|g| !but.contains(g)) {
            for said in self.honest(g, &committee, duty) {
                self.says(g, committee, &said);
            }
        }
    }

    fn phase(&self, i: usize, committee: &ContentId) -> Phase {
        let views = self.service(i).committees().expect("the store holds");
        match views.into_iter().find(|v| v.committee.id == *committee).map(|v| v.stage) {
            Some(Stage::Held(phase)) => phase,
            other => panic!("no ceremony: {other:?}"),
        }
    }

    fn comes_to(&mut self, committee: &ContentId, what: &str, is: fn(&Phase) -> bool) {
        for _ in 0..100 {
            if (0..NODES).all(|i| is(&self.phase(i, committee))) {
                return;
            }
            self.w.run(250);
        }
        panic!("it never comes to {what}: {:?}", self.phase(0, committee));
    }

    fn comes_to_complaints(&mut self, committee: &ContentId) {
        self.comes_to(committee, "complaints", |p| *p == Phase::Complaining);
    }

    fn comes_to_answers(&mut self, committee: &ContentId) {
        self.comes_to(committee, "answers", |p| matches!(p, Phase::Answering(_)));
    }

    fn comes_to_proofs(&mut self, committee: &ContentId) {
        self.comes_to(committee, "proofs", |p| matches!(p, Phase::Proving(_)));
    }

    /// From complaints to the key, with nobody lying any more.
    fn goes_on(&mut self, committee: ContentId, silent: &[usize]) -> ThresholdKey {
        self.comes_to_complaints(&committee);
        self.all_do(committee, Duty::Look, silent);
        self.goes_on_from_answers(committee, silent)
    }

    fn goes_on_from_answers(&mut self, committee: ContentId, silent: &[usize]) -> ThresholdKey {
        self.comes_to_answers(&committee);
        self.all_do(committee, Duty::Answer, silent);
        self.comes_to_proofs(&committee);
        self.all_do(committee, Duty::Prove, silent);
        self.key(committee)
    }

    /// The key, the same at every node.
    fn key(&mut self, committee: ContentId) -> ThresholdKey {
        self.comes_to(&committee, "a key", |p| matches!(p, Phase::Ready(_)));
        let key_at =
            |i| self.service(i).committee_key("summary").expect("the store holds").expect("it stands");
        let keys: Vec<_> = (0..NODES).map(key_at).collect();
        assert!(
            keys.iter().all(|k| k == &keys[0] && k.committee == committee),
            "every node has the same key"
        );
        keys[0].key.clone()
    }

    /// What was refused in a ceremony, which is the same at every node: how often each.
    fn refusals(&self, committee: &ContentId) -> Vec<(Refused, usize)> {
        let of = |i: usize| {
            let mut counts: BTreeMap<String, (Refused, usize)> = BTreeMap::new();
            for event in &self.w.nodes[i].events {
                if let Event::Ceremony { committee: of, refused: Some(why), .. } = event
                    && of == committee
                {
                    counts.entry(why.to_string()).or_insert((*why, 0)).1 += 1;
                }
            }
            counts.into_values().collect::<Vec<_>>()
        };
        let all: Vec<_> = (0..NODES).map(of).collect();
        assert!(all.windows(2).all(|w| w[0] == w[1]), "every node refuses the same: {all:?}");
        all.into_iter().next().unwrap_or_default()
    }

    /// Whether Mallory's dealing is part of the key: her polynomial moves it.
    fn dealt_by_mallory(&self, committee: &ContentId) -> bool {
        let part = self.part(1, committee);
        part.counts(Index::new(1).expect("an index"))
    }

    fn row(&mut self, attack: &'static str, committee: &ContentId, expected: &[(Refused, usize)]) {
        assert_eq!(self.refusals(committee), expected, "{attack}");
        let said: Vec<_> = expected.iter().map(|(why, n)| format!("{n} x {why}")).collect();
        let counts =
            if self.dealt_by_mallory(committee) { "her dealing counts" } else { "her dealing is out" };
        let said = if said.is_empty() { "nothing to refuse".to_owned() } else { said.join("; ") };
        self.rows.push((attack, format!("{said}; {counts}; the key stands at {NODES} nodes")));
    }

    fn foreign_deal(&self, context: &[u8], needed: u16) -> Deal {
        let threshold = Threshold::new(needed, 5).expect("a threshold");
        let rng = &mut ChaCha20Rng::seed_from_u64(self.salt);
        let (dealing, _) = Dealing::deal(context, Index::new(1).expect("an index"), threshold, None, rng);
        Deal { dealing, sealed: vec![Bytes(vec![0; 4]); 5] }
    }

    fn equivocating_dealer(&mut self) {
        let committee = self.begin();
        self.all_do(committee, Duty::Deal, &[]);
        self.w.run(2_000);
        let part = self.part(MALLORY, &committee);
        let second = part.deal(&Zeroizing::new([7; 32]), None).expect("deals again");
        self.says(MALLORY, committee, &second);
        self.goes_on(committee, &[]);
        assert!(!self.dealt_by_mallory(&committee), "she is out");
        self.row("equivocating dealer", &committee, &[(Refused::Contradiction(1), 1)]);
    }

    fn wrong_degree(&mut self) {
        let committee = self.begin();
        self.all_do(committee, Duty::Deal, &[MALLORY]);
        let context = self.part(MALLORY, &committee).context().to_vec();
        let deal = self.foreign_deal(&context, 3);
        self.says(MALLORY, committee, &Said::Deal(deal));
        self.goes_on(committee, &[]);
        self.row("wrong degree", &committee, &[(bad_dealing(), 1)]);
    }

    fn missing_proof(&mut self) {
        let committee = self.begin();
        self.all_do(committee, Duty::Deal, &[MALLORY]);
        let deal = self.foreign_deal(b"another ceremony", 2);
        self.says(MALLORY, committee, &Said::Deal(deal));
        self.goes_on(committee, &[]);
        self.row("missing proof", &committee, &[(bad_dealing(), 1)]);
    }

    fn dealing_of_another(&mut self) {
        let committee = self.begin();
        self.all_do(committee, Duty::Deal, &[MALLORY]);
        let copied = self.honest(1, &committee, Duty::Deal);
        self.says(MALLORY, committee, &copied[0]);
        self.goes_on(committee, &[]);
        self.row("another's dealing copied", &committee, &[(bad_dealing(), 1)]);
    }

    fn without_share_for_one(&mut self, committee: ContentId) {
        self.all_do(committee, Duty::Deal, &[MALLORY]);
        let Some(Said::Deal(mut deal)) = self.honest(MALLORY, &committee, Duty::Deal).pop() else {
            panic!("she deals")
        };
        deal.sealed[2] = Bytes(vec![0; 4]);
        self.says(MALLORY, committee, &Said::Deal(deal));
        self.comes_to_complaints(&committee);
        self.all_do(committee, Duty::Look, &[]);
    }

    fn withheld_share(&mut self) {
        let committee = self.begin();
        self.without_share_for_one(committee);
        self.comes_to_answers(&committee);
        let owes = Phase::Answering(vec![Index::new(1).expect("an index")]);
        assert_eq!(self.phase(3, &committee), owes, "the one who got none complained");
        self.goes_on_from_answers(committee, &[MALLORY]);
        assert!(!self.dealt_by_mallory(&committee), "no answer came");
        self.row("withheld share", &committee, &[]);
    }

    fn false_answer(&mut self) {
        let committee = self.begin();
        self.without_share_for_one(committee);
        self.comes_to_answers(&committee);
        let answer = Answer { to: Index::new(3).expect("an index"), share: [1; 32] };
        self.says(MALLORY, committee, &Said::Answer(answer));
        self.w.run(2_000);
        self.goes_on_from_answers(committee, &[]);
        assert!(!self.dealt_by_mallory(&committee), "she is out");
        self.row("false answer", &committee, &[(bad_dealing(), 1)]);
    }

    fn late_share(&mut self) {
        let committee = self.begin();
        self.without_share_for_one(committee);
        self.goes_on_from_answers(committee, &[]);
        assert!(self.dealt_by_mallory(&committee), "she showed the share");
        self.row("the same, answered", &committee, &[]);
    }

    fn false_complaint(&mut self) {
        let committee = self.begin();
        self.all_do(committee, Duty::Deal, &[]);
        self.comes_to_complaints(&committee);
        self.says(MALLORY, committee, &Said::Complain(Index::new(2).expect("an index")));
        self.goes_on_from_answers(committee, &[]);
        let honest = Index::new(2).expect("an index");
        assert!(self.part(2, &committee).counts(honest), "who answers counts");
        self.row("false complaint", &committee, &[]);
    }

    fn complaint_flood(&mut self) {
        let committee = self.begin();
        self.all_do(committee, Duty::Deal, &[]);
        self.comes_to_complaints(&committee);
        for _ in 0..20 {
            for n in 2..=5 {
                self.says(MALLORY, committee, &Said::Complain(Index::new(n).expect("an index")));
            }
        }
        self.goes_on_from_answers(committee, &[]);
        self.row("complaint flood", &committee, &[(Refused::Again, 76)]);
    }

    fn false_proof(&mut self) {
        let committee = self.begin();
        self.all_do(committee, Duty::Deal, &[]);
        self.comes_to_complaints(&committee);
        self.comes_to_proofs(&committee);
        let share = self.part(1, &committee).share(&mut agreement(self.guardians[1].seed)).expect("a share");
        let context = self.part(1, &committee).context().to_vec();
        let mut proof = share.sign(Purpose::Possession, &context);
        proof.index = Index::new(1).expect("an index");
        self.says(MALLORY, committee, &Said::Prove(proof));
        self.w.run(2_000);
        self.all_do(committee, Duty::Prove, &[]);
        self.key(committee);
        assert_eq!(
            self.phase(2, &committee),
            Phase::Ready(vec![Index::new(1).expect("an index")]),
            "she has no proved share"
        );
        self.row("proof of another's share", &committee, &[(Refused::False(ThresholdError::BadShare(1)), 1)]);
    }

    fn speaking_for_another(&mut self) {
        let committee = self.begin();
        let said = self.honest(1, &committee, Duty::Deal).remove(0);
        let entry = DkgEntry { committee, sender: self.member(1), said: Bytes(said.encode()) };
        let refused = self.files(MALLORY, &entry);
        assert_eq!(refused, Err(Check::MissingSignature), "her card is not his");
        assert!(self.files(1, &entry).is_ok(), "his is");
        self.rows.push(("speaking for another", "refused by consensus: 207".into()));
    }

    fn roster_change_midway(&mut self) {
        let committee = self.begin();
        self.all_do(committee, Duty::Deal, &[]);
        self.comes_to_complaints(&committee);
        // Mallory's card is suspended, and a committee without her is set, while this one still runs.
        let lost = &self.guardians[MALLORY];
        let members = &self.service(0).state().membership;
        let entry = PractitionerEntry {
            person: Some(lost.id),
            standing: Standing::Suspended,
            ..members.people[&lost.id].clone()
        };
        let filing = self.w.control(0, Kind::Practitioner, &entry, &[0]);
        self.w.file(0, filing);
        self.w.run(2_000);
        let mallory = self.guardians.remove(MALLORY);
        let second = self.begin();
        self.guardians.insert(MALLORY, mallory);
        let sender = self.member(MALLORY);
        let said = Said::Complain(Index::new(2).expect("an index"));
        let entry = DkgEntry { committee, sender, said: Bytes(said.encode()) };
        assert_eq!(self.files(MALLORY, &entry), Err(Check::CardSuspended), "she says nothing more");
        self.all_do(second, Duty::Deal, &[MALLORY]);
        self.comes_to_proofs(&committee);
        self.all_do(committee, Duty::Prove, &[MALLORY]);
        self.key_of(committee, "the first goes on with the others");
        self.comes_to_proofs(&second);
        self.all_do(second, Duty::Prove, &[MALLORY]);
        self.key(second);
        assert_eq!(self.refusals(&committee), [], "nothing of one is heard in the other");
        let said = "her card refused by consensus: 705; both ceremonies come to their keys";
        self.rows.push(("roster change midway", said.into()));
    }

    fn key_of(&mut self, committee: ContentId, why: &str) {
        self.comes_to(&committee, why, |p| matches!(p, Phase::Ready(_)));
    }
}

#[test]
fn attacks_on_a_ceremony_are_refused_everywhere_alike_and_cost_nobody_the_key() {
    let mut play = Play::new();
    play.equivocating_dealer();
    play.wrong_degree();
    play.missing_proof();
    play.dealing_of_another();
    play.withheld_share();
    play.false_answer();
    play.late_share();
    play.false_complaint();
    play.complaint_flood();
    play.false_proof();
    play.speaking_for_another();
    play.roster_change_midway();
    for (attack, said) in &play.rows {
        println!("| ceremony | {attack} | {said} |");
    }
    assert_eq!(play.rows.len(), 12, "every attack has its row");
    play.w.check();
}

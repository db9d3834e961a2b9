//! Ceremonies that end in a key, and every way to disturb one.

use super::*;
use crate::threshold::KeyShare;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

const DEADLINES: Deadlines = Deadlines { deal: 10, complain: 20, answer: 30, prove: 40 };
const NETWORK: NetworkId = NetworkId([1; 32]);

fn at(n: u16) -> Index {
    Index::new(n).expect("a place of a roster")
}

/// People who follow the ceremony, and what each dealt to whom.
struct Play {
    ceremony: Ceremony,
    members: Threshold,
    dealt: BTreeMap<Index, Vec<DealtShare>>,
    rng: ChaCha20Rng,
}

impl Play {
    fn begin(needed: u16, members: u16, provers: u16, old: Option<&ThresholdKey>) -> Self {
        let members = Threshold::new(needed, members).expect("a threshold");
        let plan = Plan {
            network: NETWORK,
            entry: ContentId([u8::from(old.is_some()); 32]),
            threshold: members,
            provers_needed: provers,
            deadlines: DEADLINES,
            old: old.cloned(),
        };
        let ceremony = Ceremony::begin(plan).expect("a plan");
        Self { ceremony, members, dealt: BTreeMap::new(), rng: ChaCha20Rng::seed_from_u64(7) }
    }

    fn make(&mut self, dealer: u16, threshold: Threshold, old: Option<&KeyShare>) -> (Deal, Vec<DealtShare>) {
        let context = self.ceremony.context().to_vec();
        let (dealing, shares) = Dealing::deal(&context, at(dealer), threshold, old, &mut self.rng);
        (Deal { dealing, sealed: vec![Bytes(vec![0; 4]); usize::from(self.members.members())] }, shares)
    }

    fn deal(&mut self, dealer: u16, old: Option<&KeyShare>) -> Result<(), Refused> {
        let (deal, shares) = self.make(dealer, self.members, old);
        self.dealt.insert(at(dealer), shares);
        self.ceremony.hear(9, at(dealer), &Said::Deal(deal))
    }

    fn all_deal(&mut self) {
        for dealer in 1..=self.members.members() {
            self.deal(dealer, None).expect("an honest dealing");
        }
    }

    fn answer(&mut self, dealer: u16, to: u16) -> Result<(), Refused> {
        let share = **self.dealt[&at(dealer)][usize::from(to) - 1].to_bytes();
        self.ceremony.hear(25, at(dealer), &Said::Answer(Answer { to: at(to), share }))
    }

    fn share(&self, member: u16) -> KeyShare {
        let (dealers, sum) = self.ceremony.dealers_that_count(31).expect("enough dealers");
        let mine: Vec<(Index, DealtShare)> =
            dealers.iter().map(|d| (*d, self.dealt[d][usize::from(member) - 1].clone())).collect();
        KeyShare::assemble(at(member), &mine, sum).expect("honest shares")
    }

    fn prove(&mut self, member: u16) -> Result<(), Refused> {
        let share = self.share(member).sign(Purpose::Possession, self.ceremony.context());
        self.ceremony.hear(35, at(member), &Said::Prove(share))
    }

    fn signs(&self, key: &ThresholdKey, who: &[u16]) -> bool {
        let parts: Vec<SignatureShare> =
            who.iter().map(|n| self.share(*n).sign(Purpose::Release, b"m")).collect();
        key.combine(Purpose::Release, b"m", &parts)
            .is_ok_and(|s| key.public().verify(Purpose::Release, b"m", &s).is_ok())
    }

    fn ready(&mut self) -> ThresholdKey {
        for member in 1..=self.members.members() {
            self.prove(member).expect("its share signs");
        }
        self.ceremony.key(35).expect("everyone has proved")
    }
}

#[test]
fn a_roster_makes_a_key_that_some_of_it_can_use() {
    let mut play = Play::begin(3, 5, 5, None);
    assert_eq!(play.ceremony.phase(0), Phase::Dealing((1..=5).map(at).collect()), "all are missing");
    play.all_deal();
    assert_eq!(play.ceremony.phase(9), Phase::Dealing(Vec::new()), "nobody is");
    assert_eq!(play.ceremony.phase(10), Phase::Complaining, "now members look");
    assert_eq!(play.ceremony.phase(30), Phase::Proving((1..=5).map(at).collect()), "and prove");
    assert_eq!(play.ceremony.key(30), None, "no key before that");
    let key = play.ready();
    assert!(play.signs(&key, &[1, 3, 5]), "three sign");
    assert!(!play.signs(&key, &[1, 3]), "two don't");
}

#[test]
fn another_roster_takes_the_key_over() {
    let mut first = Play::begin(2, 3, 3, None);
    first.all_deal();
    let old = first.ready();
    let mut second = Play::begin(3, 5, 4, Some(&old));
    for dealer in [3, 1] {
        second.deal(dealer, Some(&first.share(dealer))).expect("deals its share");
    }
    assert_eq!(second.ceremony.phase(9), Phase::Dealing(vec![at(2)]), "one of the old roster is away");
    for member in [1, 2, 4] {
        second.prove(member).expect("its share signs");
    }
    assert_eq!(
        second.ceremony.phase(40),
        Phase::TooFewProofs,
        "four must prove before the old roster may go"
    );
    second.prove(5).expect("its share signs");
    assert_eq!(second.ceremony.phase(39), Phase::Proving(vec![at(3)]), "the last is waited for");
    assert_eq!(second.ceremony.phase(40), Phase::Ready(vec![at(3)]), "until the deadline");
    let key = second.ceremony.key(40).expect("ready");
    assert_eq!(key.public(), old.public(), "it is the old key");
    assert!(second.signs(&key, &[2, 4, 5]), "in new hands");
}

#[test]
fn a_dealer_that_contradicts_itself_is_out() {
    let mut play = Play::begin(2, 4, 2, None);
    play.all_deal();
    let (again, _) = play.make(2, play.members, None);
    let other = Said::Deal(again);
    assert_eq!(play.ceremony.hear(9, at(2), &other), Err(Refused::Contradiction(2)), "another polynomial");
    assert_eq!(play.ceremony.hear(9, at(2), &other), Err(Refused::Contradiction(2)), "and again");
    let (dealers, _) = play.ceremony.dealers_that_count(31).expect("three are left");
    assert_eq!(dealers, [at(1), at(3), at(4)], "without it");
    let key = play.ready();
    assert!(play.signs(&key, &[2, 4]), "it is still a member, of a key to which it added nothing");
}

#[test]
fn a_dealing_repeated_word_by_word_changes_nothing() {
    let mut play = Play::begin(2, 3, 2, None);
    let (deal, shares) = play.make(1, play.members, None);
    play.dealt.insert(at(1), shares);
    let said = Said::Deal(deal);
    assert_eq!(play.ceremony.hear(8, at(1), &said), Ok(()), "first");
    assert_eq!(play.ceremony.hear(9, at(1), &said), Err(Refused::Again), "an honest node may send it twice");
    assert!(play.ceremony.dealing(at(1)).is_some(), "it counts");
}

#[test]
fn a_wrong_degree_a_missing_proof_or_a_missing_share_puts_a_dealer_out() {
    let mut play = Play::begin(2, 4, 2, None);
    let high = Threshold::new(3, 4).expect("a threshold");
    let (degree, _) = play.make(1, high, None);
    let (mut proof, _) = play.make(2, play.members, None);
    let (other, _) = play.make(3, play.members, None);
    let (mut short, _) = play.make(3, play.members, None);
    let swap = |deal: &Deal| deal.dealing.encode();
    // The commitments of one with the proof of another.
    let mut bytes = swap(&proof.clone());
    let end = bytes.len() - 96;
    bytes.splice(end.., swap(&other)[end..].iter().copied());
    proof.dealing = Dealing::decode(&bytes).expect("has the shape of a dealing");
    short.sealed.pop();
    for (dealer, deal) in [(1, degree), (2, proof), (3, short)] {
        let bad = Err(Refused::False(ThresholdError::BadDealing(dealer)));
        assert_eq!(play.ceremony.hear(9, at(dealer), &Said::Deal(deal)), bad, "dealer {dealer}");
        assert_eq!(play.deal(dealer, None), Err(Refused::Contradiction(dealer)), "there is no second try");
    }
    play.deal(4, None).expect("one is honest");
    assert_eq!(play.ceremony.phase(30), Phase::TooFewDealers, "one dealer could know the whole key");
    assert_eq!(play.ceremony.key(40), None, "so there is none");
}

#[test]
fn a_withheld_share_puts_its_dealer_out() {
    let mut play = Play::begin(2, 4, 4, None);
    play.all_deal();
    assert_eq!(
        play.ceremony.hear(10, at(4), &Said::Complain(at(2))),
        Err(Refused::Untimely),
        "dealing isn't over"
    );
    play.ceremony.hear(11, at(4), &Said::Complain(at(2))).expect("it got nothing");
    assert_eq!(play.ceremony.phase(25), Phase::Answering(vec![at(2)]), "an answer is owed");
    let (dealers, _) = play.ceremony.dealers_that_count(31).expect("three are left");
    assert_eq!(dealers, [at(1), at(3), at(4)], "none came");
    let key = play.ready();
    assert!(play.signs(&key, &[1, 2]), "the key stands without it");
}

#[test]
fn a_false_complaint_changes_nothing_and_a_false_answer_puts_its_dealer_out() {
    let mut play = Play::begin(2, 4, 4, None);
    play.all_deal();
    for dealer in [1, 2] {
        play.ceremony.hear(12, at(3), &Said::Complain(at(dealer))).expect("anyone may complain");
    }
    assert_eq!(play.answer(1, 4), Err(Refused::NoComplaint), "nobody asked for that share");
    assert_eq!(play.answer(1, 3), Ok(()), "the dealer shows what it dealt");
    assert_eq!(play.answer(1, 3), Err(Refused::Again), "once");
    let wrong = **play.dealt[&at(2)][0].to_bytes();
    let said = Said::Answer(Answer { to: at(3), share: wrong });
    let out = Err(Refused::False(ThresholdError::BadDealing(2)));
    assert_eq!(play.ceremony.hear(25, at(2), &said), out, "another's share");
    let (dealers, _) = play.ceremony.dealers_that_count(31).expect("three are left");
    assert_eq!(dealers, [at(1), at(3), at(4)], "the first stays, the second is out");
}

#[test]
fn a_flood_of_complaints_is_one_of_each_against_each() {
    let mut play = Play::begin(2, 4, 4, None);
    play.all_deal();
    let mut taken = 0;
    for _ in 0..3 {
        for dealer in 1..=4 {
            taken += u16::from(play.ceremony.hear(15, at(3), &Said::Complain(at(dealer))).is_ok());
        }
    }
    assert_eq!(taken, 4, "one against each dealer");
    assert_eq!(
        play.ceremony.hear(15, at(5), &Said::Complain(at(1))),
        Err(Refused::NoPart(5)),
        "strangers have none"
    );
    assert_eq!(
        play.ceremony.hear(15, at(1), &Said::Complain(at(5))),
        Err(Refused::NoPart(5)),
        "nor do they deal"
    );
    assert_eq!(play.ceremony.hear(21, at(1), &Said::Complain(at(2))), Err(Refused::Untimely), "nor for ever");
    for dealer in 1..=4 {
        play.answer(dealer, 3).expect("shows the share");
    }
    let key = play.ready();
    assert!(play.signs(&key, &[1, 2]), "all are answered, and the key stands");
}

#[test]
fn nothing_of_one_ceremony_counts_in_another() {
    let mut one = Play::begin(2, 3, 3, None);
    let (deal, _) = one.make(1, one.members, None);
    let entry = ContentId([9; 32]);
    let plan = |entry| Plan {
        network: NETWORK,
        entry,
        threshold: one.members,
        provers_needed: 3,
        deadlines: DEADLINES,
        old: None,
    };
    let mut other = Ceremony::begin(plan(entry)).expect("a plan");
    let bad = Err(Refused::False(ThresholdError::BadDealing(1)));
    assert_eq!(other.hear(5, at(1), &Said::Deal(deal)), bad, "another roster's");
    one.all_deal();
    let proof = one.share(1).sign(Purpose::Possession, other.context());
    assert_eq!(
        one.ceremony.hear(35, at(1), &Said::Prove(proof.clone())),
        Err(Refused::False(ThresholdError::BadShare(1))),
        "a proof of another"
    );
    let lent = SignatureShare { index: at(2), ..proof };
    assert_eq!(one.ceremony.hear(35, at(1), &Said::Prove(lent)), Err(Refused::NoPart(2)), "another's proof");
    assert_eq!(one.prove(1), Err(Refused::Again), "a false proof is a member's last");
    assert_eq!(one.prove(2), Ok(()), "who has said none proves its own");
    assert_eq!(one.ceremony.stands_from(), None, "and three must");
}

#[test]
fn what_comes_too_late_has_no_effect() {
    let mut play = Play::begin(2, 3, 2, None);
    for dealer in [1, 2] {
        play.deal(dealer, None).expect("an honest dealing");
    }
    let (late, _) = play.make(3, play.members, None);
    assert_eq!(
        play.ceremony.hear(11, at(3), &Said::Deal(late)),
        Err(Refused::Untimely),
        "after the deadline"
    );
    let (dealers, _) = play.ceremony.dealers_that_count(31).expect("two are enough");
    assert_eq!(dealers, [at(1), at(2)], "it is not among them");
    assert_eq!(play.ceremony.dealers_that_count(30), None, "answers may still come");
    let early = play.share(3).sign(Purpose::Possession, play.ceremony.context());
    assert_eq!(
        play.ceremony.hear(30, at(3), &Said::Prove(early.clone())),
        Err(Refused::Untimely),
        "too early"
    );
    assert_eq!(play.ceremony.hear(41, at(3), &Said::Prove(early)), Err(Refused::Untimely), "too late");
    play.prove(1).expect("in time");
    assert_eq!(play.ceremony.phase(40), Phase::TooFewProofs, "one proof is none");
}

#[test]
fn too_few_or_too_many_proofs_are_no_plan() {
    for needed in [1, 4] {
        let plan = Plan {
            network: NETWORK,
            entry: ContentId([0; 32]),
            threshold: Threshold::new(2, 3).expect("a threshold"),
            provers_needed: needed,
            deadlines: DEADLINES,
            old: None,
        };
        let refused = Err(ThresholdError::NoThreshold { needed, of: 3 });
        assert_eq!(Ceremony::begin(plan).map(|_| ()), refused, "{needed} of a key of 2 of 3");
    }
}

#[test]
fn what_is_said_reads_back() {
    let mut play = Play::begin(2, 3, 2, None);
    let (deal, shares) = play.make(1, play.members, None);
    let proof =
        KeyShare::from_bytes(at(1), shares[0].to_bytes()).expect("a scalar").sign(Purpose::Possession, b"m");
    let share = **shares[0].to_bytes();
    let all = [
        Said::Deal(deal),
        Said::Complain(at(3)),
        Said::Answer(Answer { to: at(1), share }),
        Said::Prove(proof),
    ];
    for said in all {
        assert_eq!(Said::decode(&said.encode()), Ok(said.clone()), "nothing is lost");
    }
}

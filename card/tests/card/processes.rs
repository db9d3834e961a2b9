//! Processes that use one card at a time share its three tries and lose no write.
//!
//! Method: this test binary starts itself again; the child's part is the ignored test below.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use hospes_card::soft::SoftCard;
use hospes_card::{Card as _, Object};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::{Desk, pin};

const CARD: &str = "HOSPES_TEST_CARD";
const TASK: &str = "HOSPES_TEST_TASK";
const CHILDREN: usize = 8;

fn start(card: &Path, task: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::the_part_of_a_child", "--ignored", "--nocapture"])
        .env(CARD, card)
        .env(TASK, task)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What each child said, sorted.
fn said(children: Vec<Child>) -> Vec<String> {
    let mut lines: Vec<String> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            text.lines().find_map(|l| l.split_once("SAID ").map(|(_, s)| s.to_owned())).unwrap()
        })
        .collect();
    lines.sort();
    lines
}

#[test]
#[ignore = "started by the tests of this file"]
fn the_part_of_a_child() {
    let Some(path) = std::env::var_os(CARD) else { return };
    let mut card = SoftCard::open(Path::new(&path)).unwrap();
    let said = match std::env::var(TASK).unwrap().as_str() {
        "guess" => format!("{:?}", card.verify_pin(&pin("000000"))),
        "sign in" => format!("{:?}", card.verify_pin(&pin("271828"))),
        object => {
            card.verify_pin(&pin("271828")).unwrap();
            let object = Object::from_code(object.parse().unwrap()).unwrap();
            format!("{:?}", card.write_object(object, &[9; 32], &mut ChaCha20Rng::seed_from_u64(2)))
        }
    };
    println!("SAID {said}");
}

#[test]
fn eight_processes_that_guess_have_three_tries_between_them() {
    let mut desk = Desk::new();
    let mut card = desk.ada();
    let path = desk.path("ada.card");
    let answers = said((0..CHILDREN).map(|_| start(&path, "guess")).collect());
    let mut expected = vec!["Err(PinBlocked)".to_owned(); CHILDREN - 2];
    expected.extend([1, 2].map(|n| format!("Err(WrongPin {{ tries_left: {n} }})")));
    assert_eq!(answers, expected, "each try is counted once");
    assert_eq!(card.info().unwrap().pin_tries_left, 0, "and the card is blocked");
}

#[test]
fn processes_that_write_at_once_lose_nothing() {
    let mut desk = Desk::new();
    let mut card = desk.ada();
    let path = desk.path("ada.card");
    let objects = [Object::Network, Object::HomeOrganization, Object::TierZeroHalf, Object::PatientSecret];
    let mut children: Vec<Child> = objects.iter().map(|o| start(&path, &o.code().to_string())).collect();
    children.extend((0..3).map(|_| start(&path, "sign in")));
    assert_eq!(said(children), vec!["Ok(())"; 7], "everyone gets a turn");
    card.verify_pin(&pin("271828")).unwrap();
    for object in objects {
        let bytes = card.read_object(object).unwrap().map(|b| b.to_vec());
        assert_eq!(bytes, Some(vec![9; 32]), "{object:?} is there");
    }
    let beside = std::fs::read_dir(desk.folder.path()).unwrap().count();
    assert_eq!(beside, 1, "no leftover beside the card");
}

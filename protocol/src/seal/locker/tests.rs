//! One packet opens the records of its lockers, old epochs included, and of no other locker.
//!
//! Method: a patient makes two epochs; a reader gets a packet of some lockers; records are sealed to several.

use super::*;
use crate::seal::fixtures::{NET, P256Key, rng};
use crate::seal::packet::{open_packet, seal_packet};

const ADA: crate::ids::PatientId = crate::ids::PatientId([1; 32]);

fn key_of(publics: &[LockerPublic], category: Category, label: Label) -> AgreementKey {
    let found = publics.iter().find(|p| (p.category, p.label) == (category, label));
    found.expect("every locker was made").key.clone()
}

#[test]
fn a_fresh_epoch_has_one_locker_for_each_category_and_label() {
    let (publics, secrets) = fresh_epoch(all_lockers(), 3, &mut rng(1));
    assert_eq!((publics.len(), secrets.len()), (24, 24), "eight categories, three labels");
    for (public, secret) in publics.iter().zip(&secrets) {
        let name = LockerName { epoch: 3, category: public.category, label: public.label };
        assert_eq!(secret.name, name, "halves stand in the same place");
        assert_eq!(secret.secret.public(), public.key, "and belong together");
    }
    let (again, _) = fresh_epoch(all_lockers(), 3, &mut rng(2));
    assert!(publics.iter().all(|p| again.iter().all(|a| a.key != p.key)), "nothing is derived");
}

#[test]
fn one_packet_opens_any_number_of_records_with_one_use_of_the_card() {
    let mut rng = rng(1);
    let (old, old_secrets) = fresh_epoch(all_lockers(), 1, &mut rng);
    let (new, new_secrets) = fresh_epoch(all_lockers(), 2, &mut rng);
    let mut card = P256Key::from_byte(9);
    let mut granted: Vec<_> = [old_secrets, new_secrets].concat();
    granted.retain(|s| s.name.category == Category::Laboratory && s.name.label == Label::Normal);
    let packet = Packet { patient: ADA, epoch: 2, secrets: granted };
    let sealed = seal_packet(&card.agreement_key(), &packet, &NET, &mut rng).expect("a good packet");

    let mut ring = Keyring::default();
    ring.add(open_packet(&sealed, &ADA, &mut card, &NET).expect("her packet"));
    for (epoch, publics) in [(1, &old), (2, &new), (1, &old), (2, &new)] {
        let data_key = DataKey::random(&mut rng);
        let laboratory = key_of(publics, Category::Laboratory, Label::Normal);
        let imaging = key_of(publics, Category::Imaging, Label::Normal);
        let restricted = key_of(publics, Category::Laboratory, Label::Restricted);
        let keys = seal_data_key(&data_key, &[&imaging, &laboratory, &restricted], &NET, &mut rng)
            .expect("good lockers");
        assert_eq!(ring.open_any(&keys, &NET), Ok(data_key.clone()), "epoch {epoch}: its laboratory");
        assert_eq!(ring.open_data_key(&keys[1], &NET), Ok(data_key), "epoch {epoch}: by the locker's own");
        let refused = Err(Check::SealBroken.into());
        assert_eq!(ring.open_data_key(&keys[0], &NET), refused, "epoch {epoch}: another category");
        assert_eq!(ring.open_data_key(&keys[2], &NET), refused, "epoch {epoch}: another label");
    }
    assert_eq!(card.uses, 1, "one operation of the card");
}

#[test]
fn a_reader_of_the_old_epoch_opens_nothing_of_the_next() {
    let mut rng = rng(1);
    let (_, before) = fresh_epoch(all_lockers(), 1, &mut rng);
    let (after, _) = fresh_epoch(all_lockers(), 2, &mut rng);
    let mut ring = Keyring::default();
    ring.extend(before);
    let data_key = DataKey::random(&mut rng);
    let publics: Vec<&AgreementKey> = after.iter().map(|p| &p.key).collect();
    let keys = seal_data_key(&data_key, &publics, &NET, &mut rng).expect("good lockers");
    assert_eq!(ring.open_any(&keys, &NET), Err(Check::SealBroken.into()), "revoked");
}

#[test]
fn a_data_key_opens_with_the_organizations_key_too() {
    let mut rng = rng(1);
    let mut organization = SoftwareAgreement::from_secret(&[8; 32]);
    let locker = LockerSecret::random(&mut rng);
    let data_key = DataKey::random(&mut rng);
    let to = [&locker.public(), &organization.agreement_key()];
    let keys = seal_data_key(&data_key, &to, &NET, &mut rng).expect("good keys");
    assert_eq!(open_data_key(&keys[1], &mut organization, &NET), Ok(data_key), "the author's own");
    let wrong = open_data_key(&keys[0], &mut organization, &NET);
    assert_eq!(wrong, Err(Check::SealBroken.into()), "the locker's is the patient's");
}

#[test]
fn what_is_no_data_key_is_refused() {
    let mut rng = rng(1);
    let locker = LockerSecret::random(&mut rng);
    let sealed = |context, plain: &[u8]| {
        seal_to(&locker.public(), context, &NET, plain, &mut crate::seal::fixtures::rng(2))
            .expect("a good key")
    };
    let open = |bytes: Vec<u8>| open_data_key(&bytes, &mut locker.agreement(), &NET);
    assert_eq!(open(sealed(Context::DataKey, &[1; 31])), Err(Check::Malformed.into()), "too short");
    assert_eq!(open(sealed(Context::DataKey, &[1; 33])), Err(Check::Malformed.into()), "too long");
    assert_eq!(open(sealed(Context::Packet, &[1; 32])), Err(Check::SealBroken.into()), "made as a packet");
    assert!(open(sealed(Context::DataKey, &[1; 32])).is_ok(), "a key");
}

#[test]
fn a_keyring_knows_its_lockers_and_prints_no_secret() {
    let (publics, secrets) = fresh_epoch(all_lockers(), 1, &mut rng(1));
    let first = secrets[0].clone();
    let mut ring = Keyring::default();
    ring.extend(secrets);
    assert_eq!(ring.name_of(&publics[0].key.id()), Some(first.name), "by public key");
    assert_eq!(ring.name_of(&KeyId([0; 32])), None, "a stranger");
    assert!(ring.secrets().windows(2).all(|w| w[0].name < w[1].name), "in order, ready for a packet");
    assert!(format!("{first:?}").ends_with("secret: LockerSecret(..) }"), "redacted");
}

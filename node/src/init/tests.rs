//! Founding files and the genesis that they make.

use hospes_protocol::check::Check;
use hospes_protocol::wire::Wire as _;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::network::{NetworkError, combine};
use super::*;

struct Hospital {
    _folder: tempfile::TempDir,
    card: SoftCard,
    pin: Pin,
    name: &'static str,
}

fn hospital(name: &'static str, seed: u64) -> Hospital {
    let folder = tempfile::tempdir().unwrap();
    let pin = Pin::new("271828").unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let (card, _) = new_organization_card(&folder.path().join("o.card"), name, &pin, &mut rng).unwrap();
    Hospital { _folder: folder, card, pin, name }
}

impl Hospital {
    fn found(&mut self) -> Founding {
        let addresses =
            ["/ip4/192.0.2.1/tcp/7172".parse().unwrap(), "/ip4/0.0.0.0/tcp/7172".parse().unwrap()];
        let founder = Founder {
            name: self.name,
            accreditation: None,
            addresses: &addresses,
            emergency: false,
            now: 1_000,
        };
        found(&founder, &mut self.card, &self.pin).unwrap().0
    }
}

#[test]
fn founders_and_their_replicas_make_one_network_in_any_order() {
    let (mut north, mut south) = (hospital("North", 1), hospital("South", 2));
    let (a, b, desk) = (north.found(), south.found(), north.found());
    let one = combine("n", 5, &[a.clone(), b.clone()], std::slice::from_ref(&desk)).unwrap();
    let other = combine("n", 5, &[b, a.clone()], std::slice::from_ref(&desk)).unwrap();
    assert_eq!(one.network(), other.network(), "the order of the files says nothing");
    assert_eq!(
        (one.organizations.len(), one.nodes.len(), one.validators.len()),
        (2, 3, 2),
        "one is a replica"
    );
    assert_eq!(a.node.addresses, ["/ip4/192.0.2.1/tcp/7172"], "only what peers can dial");
    let repeated = combine("n", 5, &[a.clone(), a.clone()], &[]);
    assert!(matches!(repeated, Err(NetworkError::Repeated(_))), "one node twice");
    let mut renamed = desk;
    renamed.organization.name = "Other".into();
    assert!(matches!(combine("n", 5, &[a], &[renamed]), Err(NetworkError::Contradiction(_))), "two names");
}

#[test]
fn a_founding_file_is_signed_in_every_byte() {
    let founding = hospital("North", 3).found();
    let bytes = founding.encode();
    assert_eq!(Founding::read(&bytes), Ok(founding.clone()), "as it was written");
    for i in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[i] ^= 1;
        assert!(Founding::read(&bad).is_err(), "byte {i}");
    }
    let mut stolen = founding;
    stolen.node.organization = hospes_protocol::ids::OrganizationId([9; 32]);
    assert_eq!(Founding::read(&stolen.encode()), Err(Check::WrongOrganization.into()), "a node of another");
}

#[test]
fn an_address_that_only_listens_is_not_announced() {
    for (text, dialable) in [
        ("/ip4/192.0.2.1/tcp/1", true),
        ("/ip4/192.0.2.1/tcp/0", false),
        ("/ip4/0.0.0.0/tcp/1", false),
        ("/ip6/::/tcp/1", false),
        ("/ip6/2001:db8::1/tcp/1", true),
    ] {
        assert_eq!(is_dialable(&text.parse().unwrap()), dialable, "{text}");
    }
}

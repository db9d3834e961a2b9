//! Makers whose cards are believed: pinned certificates, and what they say of a card as a whole.
//!
//! Where the certificates come from is in `card/roots/README.md`. Nothing is ever fetched. Only builds with the feature
//! `test-root` can be told to believe virtual cards, and a build without debug assertions refuses that feature.

#[cfg(all(feature = "test-root", not(debug_assertions)))]
compile_error!("a release believes no virtual card: build without the feature `test-root`");

use hospes_protocol::ids::sha256;
use hospes_protocol::keys::KeyError;

use super::attestation::{AttestationError, Attested, Certificate};
use crate::card::Card;
use crate::slot::Slot;

/// What signs the attesting keys of YubiKeys: the root of firmware 4.3 to 5.7.3, and the three issuers of later ones.
const YUBICO: [&[u8]; 4] = [
    include_bytes!("../../roots/yubico-piv-root-263751.der"),
    include_bytes!("../../roots/yubico-piv-attestation-a-1.der"),
    include_bytes!("../../roots/yubico-piv-attestation-b-1.der"),
    include_bytes!("../../roots/yubico-piv-attestation-b2-1.der"),
];

/// SHA-256 of the public key of the root of `tests/virtual-card`.
const TEST_ROOT: [u8; 32] = [
    0x65, 0x1C, 0x6E, 0xE5, 0x02, 0x64, 0x7C, 0x2C, 0x87, 0xA0, 0x70, 0x74, 0xCB, 0x44, 0xFF, 0xED, 0x74,
    0x10, 0x1D, 0x15, 0xF6, 0x95, 0x62, 0x8E, 0x83, 0x07, 0x04, 0x68, 0xBC, 0x4B, 0x56, 0x00,
];

/// Makers that are trusted.
#[derive(Clone, Debug, Default)]
pub struct Roots(Vec<Vec<u8>>);

impl Roots {
    /// Pins certificates, DER.
    ///
    /// # Errors
    /// [`AttestationError::Malformed`]; [`AttestationError::TestRoot`] without the feature `test-root`.
    pub fn new(certificates: Vec<Vec<u8>>) -> Result<Self, AttestationError> {
        for der in &certificates {
            let info = Certificate::read(der).ok_or(AttestationError::Malformed)?.key;
            if !cfg!(feature = "test-root") && info.is_some_and(|key| sha256(&[key.bits]) == TEST_ROOT) {
                return Err(AttestationError::TestRoot);
            }
        }
        Ok(Self(certificates))
    }

    /// Yubico's, and these.
    ///
    /// # Errors
    /// As [`Roots::new`].
    pub fn of_makers(others: Vec<Vec<u8>>) -> Result<Self, AttestationError> {
        Self::new(YUBICO.map(<[u8]>::to_vec).into_iter().chain(others).collect())
    }

    pub(super) fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// What a maker vouches for of a card: that all its keys were made on it, and that the PIN guards those that it should.
    /// Gives what is said of 9C.
    ///
    /// # Errors
    /// Outside, as [`Card`] says; inside, why the card counts as unattested.
    pub fn judge(&self, card: &mut dyn Card) -> Result<Result<Attested, AttestationError>, KeyError> {
        let mut found: Option<Attested> = None;
        for slot in [Slot::Authentication, Slot::KeyManagement, Slot::CardAuthentication, Slot::Signature] {
            let said = match self.of_slot(card, slot)? {
                Ok(said) => said,
                Err(why) => return Ok(Err(why)),
            };
            if !guards(slot, said.pin_policy) {
                return Ok(Err(AttestationError::PinPolicy));
            }
            if found.is_some_and(|before| (before.serial, before.firmware) != (said.serial, said.firmware)) {
                return Ok(Err(AttestationError::SeveralCards));
            }
            found = Some(said);
        }
        Ok(found.ok_or(AttestationError::Absent))
    }

    fn of_slot(
        &self,
        card: &mut dyn Card,
        slot: Slot,
    ) -> Result<Result<Attested, AttestationError>, KeyError> {
        let Some(attestation) = card.attestation(slot)? else { return Ok(Err(AttestationError::Absent)) };
        let info = card.info()?;
        let said = match (slot, info.verifying_key(slot), &info.key_management) {
            (Slot::KeyManagement, _, Some(key)) => attestation.of_agreement(key, self),
            (_, Some(key), _) => attestation.of_signing(key, self),
            _ => Err(AttestationError::Absent),
        };
        Ok(said)
    }
}

/// Whether a PIN policy (Yubico: 1 never, 2 once, 3 always, 4 and 5 the same by finger) guards a slot as it should.
fn guards(slot: Slot, pin_policy: u8) -> bool {
    match slot {
        Slot::CardAuthentication => true,
        Slot::Signature => matches!(pin_policy, 3 | 5),
        Slot::Authentication | Slot::KeyManagement => matches!(pin_policy, 2..=5),
    }
}

#[cfg(test)]
mod tests {
    use hospes_protocol::keys::Algorithm;
    use p256::ecdsa::signature::Signer as _;

    use super::*;
    use crate::piv::certificate;
    use crate::piv::keys::{KeyKind, RawKey};

    #[test]
    fn a_slot_is_guarded_by_no_less_than_it_promises() {
        let guarded = |slot| (1..=6).filter(|policy| guards(slot, *policy)).collect::<Vec<_>>();
        assert_eq!(guarded(Slot::Signature), [3, 5], "before every signature");
        assert_eq!(guarded(Slot::Authentication), [2, 3, 4, 5], "at least once");
        assert_eq!(guarded(Slot::KeyManagement), [2, 3, 4, 5], "at least once");
        assert!(guards(Slot::CardAuthentication, 1), "presence needs none");
    }

    /// The certificate of a root whose key follows from its name, as that of virtual cards does.
    fn root_of(name: &str) -> Vec<u8> {
        let key = p256::ecdsa::SigningKey::from_slice(&sha256(&[name.as_bytes()])).unwrap();
        let public = RawKey::new(KeyKind::P256, key.verifying_key().to_sec1_point(false).as_bytes());
        let body = certificate::to_be_signed(Slot::Authentication, &public, Algorithm::Esp256);
        let signature: p256::ecdsa::Signature = key.sign(&body);
        certificate::signed(&body, Algorithm::Esp256, &signature.to_vec()).unwrap().to_vec()
    }

    #[test]
    fn the_root_of_virtual_cards_is_believed_only_by_builds_that_can_be_no_release() {
        let refused = Roots::new(vec![root_of("Hospes virtual card test root")]).err();
        let expected = (!cfg!(feature = "test-root")).then_some(AttestationError::TestRoot);
        assert_eq!(refused, expected, "whatever a configuration names");
        assert!(Roots::new(vec![root_of("another root")]).is_ok(), "another root, made the same way");
    }

    #[test]
    fn what_is_pinned_comes_from_yubicos_roots() {
        const PAST: [&[u8]; 3] = [
            include_bytes!("../../roots/yubico-attestation-root-1.der"),
            include_bytes!("../../roots/yubico-attestation-intermediate-a-1.der"),
            include_bytes!("../../roots/yubico-attestation-intermediate-b-1.der"),
        ];
        let [root, a, b] = PAST.map(|der| Certificate::read(der).unwrap());
        let [old, by_a, by_b, by_b2] = YUBICO.map(|der| Certificate::read(der).unwrap());
        assert!(a.is_signed_by(&root) && b.is_signed_by(&root), "the root signed both intermediates");
        assert!(
            by_a.is_signed_by(&a) && by_b.is_signed_by(&b) && by_b2.is_signed_by(&b),
            "they signed the issuers"
        );
        assert!(!by_a.is_signed_by(&b) && !by_a.is_signed_by(&root), "each its own");
        assert!(old.is_signed_by(&old), "the old root signed itself");
        assert!(Roots::of_makers(Vec::new()).is_ok(), "all can be read");
        assert!(Roots::of_makers(vec![vec![0x30, 0]]).is_err(), "and what can't is refused");
    }
}

//! A PIV or OpenPGP card from the factory, in a reader of the configuration, becomes somebody's.
//!
//! What is written on it is the caller's; whether its keys are what they say is `attestation`'s in the card crate.

use hospes_card::pcsc::PcscReader;
use hospes_card::smart::{SmartCard, SmartCardSpec};
use hospes_card::{CardInfo, Pin, Puk, UnblockError};
use hospes_protocol::keys::KeyError;
use rand_chacha::ChaCha20Rng;

use super::answer::{Exit, Failure, Outcome};
use super::found::of_card;

/// Makes the card in the reader what `spec` says, with this PIN and PUK.
///
/// # Errors
/// Where its PIN or PUK is no longer that of the factory; as the card says.
pub(super) fn enrol_factory_card(
    reader: &PcscReader,
    spec: &SmartCardSpec,
    (pin, puk): (&Pin, &Puk),
    rng: &mut ChaCha20Rng,
) -> Outcome<(SmartCard, CardInfo)> {
    let mut card = reader.handle();
    let made = card.enrol(spec, pin, puk, rng).map_err(|e| match e {
        UnblockError::Key(KeyError::WrongPin { .. } | KeyError::PinBlocked)
        | UnblockError::WrongPuk { .. } => {
            let next =
                "Take a new card, or reset this one: ykman piv reset, or factory-reset in gpg --card-edit.";
            Failure::new(Exit::Denied, "card-used", "the card is not as it came from the factory", next)
        }
        UnblockError::Key(e) => of_card(&e),
    })?;
    Ok((card, made))
}

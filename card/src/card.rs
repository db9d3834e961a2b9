//! The interface of every card and reader, and the adaptors that lend a slot to `protocol`.
//!
//! A card blocks while it works (a person may look for the PIN), so each reader has a thread of the node.
//! No method waits for insertion: polling gives events, and a call to an absent card says so.

use hospes_protocol::ids::KeyId;
use hospes_protocol::keys::{AgreementKey, KeyAgreement, KeyError, Signer, VerifyingKey};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::info::{CardInfo, CardSerial};
use crate::object::Object;
use crate::pin::{Pin, Puk};
use crate::piv::Attestation;
use crate::slot::Slot;

/// A card in a reader.
///
/// Every method answers [`KeyError::Absent`] when the card is not in its reader, [`KeyError::Removed`] when
/// it was pulled during the call, [`KeyError::Failed`] when it is damaged. Removal ends the PIN session.
/// After any error nothing is half done, except that a wrong try stays counted.
pub trait Card: Send {
    /// What it says of itself without PIN.
    ///
    /// # Errors
    /// As the trait says.
    fn info(&mut self) -> Result<CardInfo, KeyError>;

    /// Begins a PIN session: 9A, 9D and protected objects until logout, 9C once.
    ///
    /// # Errors
    /// [`KeyError::WrongPin`]; [`KeyError::PinBlocked`] from the last wrong try on;
    /// [`KeyError::PukBlocked`] if the PUK is blocked as well.
    fn verify_pin(&mut self, pin: &Pin) -> Result<(), KeyError>;

    /// Ends the PIN session.
    fn logout(&mut self);

    /// Signs `message` in a slot: raw signature, r || s with low s for ECDSA.
    ///
    /// # Errors
    /// [`KeyError::PinNeeded`]; [`KeyError::Unsupported`] for 9D or an empty slot.
    fn sign(&mut self, slot: Slot, message: &[u8]) -> Result<Vec<u8>, KeyError>;

    /// The shared secret of 9D with `peer`.
    ///
    /// # Errors
    /// [`KeyError::PinNeeded`]; [`KeyError::Unsupported`] for a key of another curve.
    fn agree(&mut self, peer: &AgreementKey) -> Result<Zeroizing<[u8; 32]>, KeyError>;

    /// Agreement keys that were in 9D before, newest first: what was sealed to them still opens.
    ///
    /// # Errors
    /// As the trait says.
    fn older_agreement_keys(&mut self) -> Result<Vec<AgreementKey>, KeyError> {
        Ok(Vec::new())
    }

    /// The shared secret of one of these with `peer`.
    ///
    /// # Errors
    /// As [`Card::agree`]; [`KeyError::Unsupported`] for a key that the card has not.
    fn agree_by_older(
        &mut self,
        _own: &AgreementKey,
        _peer: &AgreementKey,
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        Err(KeyError::Unsupported("agreement by an older key"))
    }

    /// Makes another key in 9D, of the same curve, and keeps the one before among the older ones. A card that was pulled midway
    /// has that one there, and none in 9D until this is called again.
    ///
    /// # Errors
    /// [`KeyError::PinNeeded`]; [`KeyError::Unsupported`] where the card can't move keys or has no place left, which costs it
    /// nothing.
    fn renew_agreement(&mut self, _rng: &mut dyn CryptoRng) -> Result<AgreementKey, KeyError> {
        Err(KeyError::Unsupported("another agreement key beside the one before"))
    }

    /// An object's bytes; none if it was never written.
    ///
    /// # Errors
    /// [`KeyError::PinNeeded`] for a protected one.
    fn read_object(&mut self, object: Object) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError>;

    /// Writes an object; the PIN is needed for each.
    ///
    /// # Errors
    /// [`KeyError::PinNeeded`]; [`KeyError::Unsupported`] for bytes too many or of another form.
    fn write_object(&mut self, object: Object, bytes: &[u8], rng: &mut dyn CryptoRng)
    -> Result<(), KeyError>;

    /// Replaces the PIN and ends the session.
    ///
    /// # Errors
    /// As [`Card::verify_pin`]; a wrong old PIN costs a try.
    fn change_pin(&mut self, old: &Pin, new: &Pin, rng: &mut dyn CryptoRng) -> Result<(), KeyError>;

    /// Sets a new PIN by the PUK; both counters are full again, and no session begins.
    ///
    /// # Errors
    /// [`UnblockError::WrongPuk`]; [`KeyError::PukBlocked`] from the last wrong try on.
    fn unblock(&mut self, puk: &Puk, new: &Pin, rng: &mut dyn CryptoRng) -> Result<(), UnblockError>;

    /// Whether the reader has a keypad on which the PIN can be typed.
    ///
    /// # Errors
    /// [`KeyError::Absent`], [`KeyError::Removed`].
    fn has_pad(&mut self) -> Result<bool, KeyError> {
        Ok(false)
    }

    /// Begins a session as [`Card::verify_pin`] does, by the PIN that somebody types on the reader's keypad. It never comes to
    /// this machine. Blocks for half a minute at most.
    ///
    /// # Errors
    /// [`PadError`]; [`KeyError::Unsupported`] without a keypad.
    fn verify_on_pad(&mut self) -> Result<(), PadError> {
        Err(KeyError::Unsupported("a PIN by keypad").into())
    }

    /// What the card's maker says of the key in a slot; none where nobody does, or the key came from elsewhere.
    ///
    /// # Errors
    /// [`KeyError::Removed`], [`KeyError::Absent`].
    fn attestation(&mut self, _slot: Slot) -> Result<Option<Attestation>, KeyError> {
        Ok(None)
    }

    /// Lends a signing slot to whatever takes a [`Signer`].
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] for 9D or an empty slot.
    fn signer(&mut self, slot: Slot) -> Result<SlotSigner<'_>, KeyError>;

    /// Lends 9D to whatever takes a [`KeyAgreement`].
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] for an empty slot.
    fn agreement(&mut self) -> Result<SlotAgreement<'_>, KeyError>;
}

/// Why a PIN could not be unblocked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnblockError {
    /// The PUK was wrong.
    #[error("wrong PUK: {tries_left} tries left")]
    WrongPuk {
        /// Tries before the PUK is blocked and the card is dead.
        tries_left: u8,
    },
    /// The card did not do it.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Why no PIN came from the reader's keypad.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PadError {
    /// Nobody typed it.
    #[error("nobody typed a PIN on the reader's keypad in time")]
    TimedOut,
    /// Somebody pressed its cancel key.
    #[error("the PIN was cancelled on the reader's keypad")]
    Cancelled,
    /// The card or the reader did not do it.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// One signing slot of a card.
pub struct SlotSigner<'a> {
    card: &'a mut dyn Card,
    slot: Slot,
    key: VerifyingKey,
}

impl<'a> SlotSigner<'a> {
    pub(crate) fn new(card: &'a mut dyn Card, slot: Slot) -> Result<Self, KeyError> {
        let info = card.info()?;
        Self::of(card, slot, &info)
    }

    /// The same, of a card that was asked before.
    pub(crate) fn of(card: &'a mut dyn Card, slot: Slot, info: &CardInfo) -> Result<Self, KeyError> {
        let key = info.verifying_key(slot).ok_or(KeyError::Unsupported("signing in this slot"))?.clone();
        Ok(Self { card, slot, key })
    }
}

impl Signer for SlotSigner<'_> {
    fn verifying_key(&self) -> VerifyingKey {
        self.key.clone()
    }

    fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.card.sign(self.slot, message)
    }
}

/// The key-agreement slot of a card, and the keys that were in it before.
pub struct SlotAgreement<'a> {
    card: &'a mut dyn Card,
    key: AgreementKey,
    /// Whether `key` is one of those.
    older: bool,
}

impl<'a> SlotAgreement<'a> {
    pub(crate) fn new(card: &'a mut dyn Card) -> Result<Self, KeyError> {
        let info = card.info()?;
        Self::of(card, info)
    }

    /// The same, of a card that was asked before.
    pub(crate) fn of(card: &'a mut dyn Card, info: CardInfo) -> Result<Self, KeyError> {
        let key = info.key_management.ok_or(KeyError::Unsupported("key agreement"))?;
        Ok(Self { card, key, older: false })
    }
}

impl KeyAgreement for SlotAgreement<'_> {
    fn agreement_key(&self) -> AgreementKey {
        self.key.clone()
    }

    fn agree(&mut self, peer: &AgreementKey) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        if self.older { self.card.agree_by_older(&self.key, peer) } else { self.card.agree(peer) }
    }

    fn turn_to(&mut self, id: &KeyId) -> Result<(), KeyError> {
        let current = self.card.info()?.key_management.filter(|key| key.id() == *id);
        if let Some(key) = current {
            (self.key, self.older) = (key, false);
        } else if let Some(key) = self.card.older_agreement_keys()?.into_iter().find(|key| key.id() == *id) {
            (self.key, self.older) = (key, true);
        }
        Ok(())
    }
}

/// What a poll of a reader found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CardEvent {
    /// A card came in.
    Inserted(Box<CardInfo>),
    /// A card went; its sessions are over.
    Removed(CardSerial),
    /// Something is in the reader that cannot be used as a card.
    Unreadable {
        /// Where: the file name of a soft card.
        place: String,
        /// Why.
        error: KeyError,
    },
}

/// A place for cards. A PC/SC reader holds one; a folder of soft cards many.
pub trait Reader: Send {
    /// Its name, for people.
    fn name(&self) -> &str;

    /// What changed since the last poll. The first one reports every card.
    ///
    /// # Errors
    /// [`KeyError::Failed`] if the reader itself is gone.
    fn poll(&mut self) -> Result<Vec<CardEvent>, KeyError>;

    /// Whether it has a keypad on which a PIN can be typed, as far as a card that was in has told.
    fn has_keypad(&self) -> bool {
        false
    }

    /// Has the next poll read anew what is in: another program may have enrolled it since. A folder sees that by itself.
    fn look_again(&mut self) {}

    /// The cards that are in and readable.
    ///
    /// # Errors
    /// [`KeyError::Failed`] if the reader itself is gone.
    fn cards(&mut self) -> Result<Vec<CardInfo>, KeyError>;

    /// A handle on one of them, without PIN session.
    ///
    /// # Errors
    /// [`KeyError::Absent`] if it is not in.
    fn connect(&mut self, serial: &CardSerial) -> Result<Box<dyn Card>, KeyError>;
}

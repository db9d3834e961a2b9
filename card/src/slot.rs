//! The four key slots of a card and what opens each (NIST SP 800-73-4, part 1, 3.1).
//!
//! Says when a PIN is needed; the card enforces it.

use hospes_protocol::wire_enum;

wire_enum! {
    /// A key slot, by its PIV key reference.
    pub enum Slot {
        /// 9A signs in: the PIN once per session.
        Authentication = 0x9A,
        /// 9C signs documents: the PIN before every signature.
        Signature = 0x9C,
        /// 9D agrees keys: the PIN once per session.
        KeyManagement = 0x9D,
        /// 9E proves that the card is there: no PIN.
        CardAuthentication = 0x9E,
    }
}

impl Slot {
    /// Whether the slot signs; the other one agrees keys.
    #[must_use]
    pub const fn signs(self) -> bool {
        !matches!(self, Self::KeyManagement)
    }

    /// Whether the slot works only after a PIN.
    #[must_use]
    pub const fn needs_pin(self) -> bool {
        !matches!(self, Self::CardAuthentication)
    }

    /// Whether one PIN allows one operation only.
    #[must_use]
    pub const fn needs_pin_always(self) -> bool {
        matches!(self, Self::Signature)
    }
}

//! Data objects: small values beside the keys, numbered by the PIV objects that real cards have for them.
//!
//! The card stores bytes; what they mean and how they are sealed is the caller's.

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::wire::Wire;
use hospes_protocol::wire_enum;

use crate::info::{HolderKind, HolderLabel};

/// Bytes of one object: several sealed secrets of older generations fit.
pub const OBJECT_BYTES_MAX: usize = 4096;

const DIGEST_BYTES: usize = 32;

wire_enum! {
    /// A data object, by its PIV tag (NIST SP 800-73-4, part 1, table 3). The free ones use the
    /// certificate objects of retired keys 16 to 20, which every PIV card has and lets anyone read.
    pub enum Object {
        /// One CBOR number: [`HolderKind`].
        HolderKind = 0x5F_C11C,
        /// UTF-8 text: [`HolderLabel`].
        HolderLabel = 0x5F_C11D,
        /// The network id, 32 bytes.
        Network = 0x5F_C11E,
        /// The home organization's id, 32 bytes.
        HomeOrganization = 0x5F_C11F,
        /// The card's half of tier 0, a random value (DESIGN 9).
        TierZeroHalf = 0x5F_C120,
        /// The patient secret, sealed to 9D. Read behind the PIN (cardholder iris images in PIV).
        PatientSecret = 0x5F_C121,
    }
}

impl Object {
    /// Whether reading needs the PIN. Writing always does.
    #[must_use]
    pub const fn needs_pin(self) -> bool {
        matches!(self, Self::PatientSecret)
    }

    /// Checks that `bytes` have this object's form.
    ///
    /// # Errors
    /// [`Check::TooLarge`], [`Check::Malformed`].
    pub(crate) fn check(self, bytes: &[u8]) -> Result<(), Rejected> {
        ensure(bytes.len() <= OBJECT_BYTES_MAX, Check::TooLarge)?;
        match self {
            Self::HolderKind => HolderKind::decode(bytes).map(drop),
            Self::HolderLabel => {
                let text = std::str::from_utf8(bytes).map_err(|_| Check::Malformed)?;
                ensure(HolderLabel::new(text).is_some(), Check::Malformed)
            }
            Self::Network | Self::HomeOrganization => ensure(bytes.len() == DIGEST_BYTES, Check::Malformed),
            Self::TierZeroHalf | Self::PatientSecret => Ok(()),
        }
    }
}

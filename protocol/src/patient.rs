//! What comes from a patient's secret: subjects, locks, the pseudonym, and the key of the recovery code.
//!
//! ```text
//! secret (32 random bytes, in the card's PIN-protected object)
//!   |- K(organization) = HMAC(secret, "hospes/1/derive/subject" | organization)
//!   |    `- subject    = HMAC(K, node | sequence as 8 bytes, big-endian)
//!   |- lock key        = HMAC(secret, "hospes/1/derive/lock")
//!   |    `- reveal     = HMAC(lock key, salt);   lock = SHA-256(reveal)
//!   `- pseudonym key   = HMAC(secret, "hospes/1/derive/pseudonym")
//!        `- patient id = HMAC(pseudonym key, normalised identity)
//! ```
//!
//! HMAC is HMAC-SHA-256 (RFC 2104). Nothing here draws random numbers by itself, seals, or talks to a card:
//! the node calls it with a secret that `card` handed over. Dropping a value wipes it; what `encode` returns
//! is for the caller to wipe.

use std::collections::BTreeMap;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::check::{Check, Rejected, ensure};
use crate::context::Context;
use crate::entry::HeaderFields;
use crate::ids::{NodeId, OrganizationId, PatientId, Reveal, Subject};
use crate::keys::SoftwareAgreement;
use crate::secret::secret_type;
use crate::wire::{Dec, Enc, Wire};

fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length (RFC 2104)");
    parts.iter().for_each(|p| mac.update(p));
    mac.finalize().into_bytes().into()
}

secret_type! {
    /// The secret of a patient, of one generation.
    PatientSecret;
    /// K: what an organization that treats the patient needs to make and recognise subjects.
    PatientKey;
    /// What the reveals of a patient's locks come from.
    LockKey;
}

macro_rules! wire_secret {
    ($($name:ident),+) => { $(
        impl Wire for $name {
            fn put(&self, e: &mut Enc) {
                e.bytes(&*self.0);
            }
            fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
                let bytes = d.bytes()?;
                ensure(bytes.len() == 32, Check::Malformed)?;
                let mut secret = Zeroizing::new([0; 32]);
                secret.copy_from_slice(bytes);
                Ok(Self(secret))
            }
        }
    )+ };
}

wire_secret!(PatientSecret, PatientKey, LockKey);

impl PatientSecret {
    /// K of an organization.
    #[must_use]
    pub fn k(&self, organization: &OrganizationId) -> PatientKey {
        PatientKey(self.derive(Context::DeriveSubject, &organization.0))
    }

    /// The key of the patient's locks: of grants, proxies and cards.
    #[must_use]
    pub fn lock_key(&self) -> LockKey {
        LockKey(self.derive(Context::DeriveLock, &[]))
    }

    /// The pseudonym under which bodies speak of the patient. Without the secret, nobody who knows the
    /// identity can tell whether a pseudonym is its.
    #[must_use]
    pub fn patient_id(&self, identity: &Identity) -> PatientId {
        let key = self.derive(Context::DerivePseudonym, &[]);
        PatientId(hmac(&key, &[identity.normalise().as_bytes()]))
    }

    fn derive(&self, context: Context, of: &[u8]) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(hmac(&self.0, &[context.text().as_bytes(), of]))
    }
}

impl PatientKey {
    /// The subject of a node's header with this sequence number.
    #[must_use]
    pub fn subject(&self, node: &NodeId, sequence: u64) -> Subject {
        Subject(hmac(&self.0, &[&node.0, &sequence.to_be_bytes()]))
    }

    /// Whether a header is about this patient.
    #[must_use]
    pub fn belongs(&self, header: &HeaderFields) -> bool {
        header.subject == Some(self.subject(&header.node, header.sequence))
    }
}

impl LockKey {
    /// The value that closes the lock of the entry with this salt: of a grant, a proxy or a card.
    #[must_use]
    pub fn reveal(&self, salt: &[u8; 32]) -> Reveal {
        Reveal(hmac(&self.0, &[salt]))
    }
}

/// Finds a patient's headers among all: one HMAC a header and generation, so that what was kept from the
/// patient shows.
#[derive(Debug, Default)]
pub struct SubjectTest {
    secrets: Vec<PatientSecret>,
    keys: BTreeMap<OrganizationId, Vec<PatientKey>>,
}

impl SubjectTest {
    /// With the secrets of all generations, the newest last.
    #[must_use]
    pub fn new(secrets: Vec<PatientSecret>) -> Self {
        Self { secrets, keys: BTreeMap::new() }
    }

    /// Adds a K that comes from no secret here: an organization knows only its own, and break-glass makes a
    /// fresh one.
    pub fn add(&mut self, organization: OrganizationId, key: PatientKey) {
        self.keys_of(organization).push(key);
    }

    /// Whether a header is about the patient.
    pub fn belongs(&mut self, header: &HeaderFields) -> bool {
        self.keys_of(header.organization).iter().any(|k| k.belongs(header))
    }

    fn keys_of(&mut self, organization: OrganizationId) -> &mut Vec<PatientKey> {
        let secrets = &self.secrets;
        let derive = || secrets.iter().map(|s| s.k(&organization)).collect();
        self.keys.entry(organization).or_insert_with(derive)
    }
}

/// The reading key of a printed recovery code, its 16 bytes without check digits (HKDF-SHA-256, RFC 5869).
#[must_use]
pub fn recovery_key(code: &[u8; 16]) -> SoftwareAgreement {
    let mut secret = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, code)
        .expand(Context::DeriveRecovery.text().as_bytes(), &mut *secret)
        .expect("32 bytes are within HKDF's 255 blocks");
    SoftwareAgreement::from_secret(&secret)
}

/// A name, code or number in an identity in bytes, at most.
pub const IDENTITY_TEXT_BYTES_MAX: usize = 256;
/// Given names in an identity.
pub const GIVEN_NAMES_MAX: usize = 16;

/// Identifying data of a patient. It leaves the enrolling organization only sealed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Identity {
    /// Family name.
    pub family: String,
    /// Given names, in their order.
    pub given: Vec<String>,
    /// "YYYY-MM-DD".
    pub birth_date: String,
    /// Postal code of the home address.
    pub postal_code: String,
    /// A national number, where there is one.
    pub national_id: Option<String>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}

impl Wire for Identity {
    fn put(&self, e: &mut Enc) {
        e.array(5).text(&self.family);
        self.given.put(e);
        e.text(&self.birth_date).text(&self.postal_code);
        self.national_id.put(e);
    }

    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        d.array_of(5)?;
        Ok(Self {
            family: Wire::get(d)?,
            given: Wire::get(d)?,
            birth_date: Wire::get(d)?,
            postal_code: Wire::get(d)?,
            national_id: Wire::get(d)?,
        })
    }
}

impl Identity {
    /// Judges the form: a name, a date, and nothing longer than a name.
    ///
    /// # Errors
    /// [`Check::TooLarge`], [`Check::Malformed`].
    pub fn judge(&self) -> Result<(), Rejected> {
        let texts = [&self.family, &self.birth_date, &self.postal_code];
        let mut all = texts.into_iter().chain(&self.given).chain(&self.national_id);
        ensure(self.given.len() <= GIVEN_NAMES_MAX, Check::TooLarge)?;
        ensure(all.all(|t| t.len() <= IDENTITY_TEXT_BYTES_MAX), Check::TooLarge)?;
        let named = !fold(&self.family).is_empty() || self.given.iter().any(|g| !fold(g).is_empty());
        ensure(named && is_date(&self.birth_date), Check::Malformed)
    }

    /// The form from which the pseudonym comes: the five fields, each folded, joined by U+001F.
    ///
    /// Folding: NFKD (UAX 15), combining marks away, upper and then lower case (so that ß is ss and the two
    /// sigmas are one), letters and digits only. Given names run together, because one desk types "José
    /// María" into one field and the next into two.
    #[must_use]
    pub fn normalise(&self) -> Zeroizing<String> {
        let given: Zeroizing<String> = Zeroizing::new(self.given.concat());
        let national = self.national_id.as_deref().unwrap_or_default();
        let fields = [&*self.family, &**given, &*self.birth_date, &*self.postal_code, national];
        let folded: Zeroizing<Vec<String>> = Zeroizing::new(fields.into_iter().map(fold).collect());
        Zeroizing::new(folded.join("\u{1f}"))
    }
}

pub(crate) fn fold(text: &str) -> String {
    let bare = text.nfkd().filter(|c| !is_combining_mark(*c));
    let cased = bare.flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    cased.nfkd().filter(|c| c.is_alphanumeric() && !is_combining_mark(*c)).collect()
}

pub(crate) fn is_date(text: &str) -> bool {
    let shape = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
    let number = |range: std::ops::Range<usize>| {
        text.get(range).and_then(|t| t.parse::<u8>().ok()).unwrap_or_default()
    };
    shape && (1..=12).contains(&number(5..7)) && (1..=31).contains(&number(8..10))
}

#[cfg(test)]
mod tests;

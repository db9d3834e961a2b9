//! Escrow pairs and the label under which an escrow's secret is sealed.
//!
//! The label is the identity of the sealing (DESIGN 9): an escrow copied under another name, network, tier or
//! key opens nothing, because the threshold signature that opens it is over this label.

use hospes_protocol::ids::{KeyId, NetworkId, OrganizationId, sha256};
use hospes_protocol::keys::AgreementKey;
use hospes_protocol::wire::Wire;
use hospes_protocol::{wire_enum, wire_struct};

wire_enum! {
    /// What an escrow opens, and how many people it takes.
    pub enum Tier {
        /// The emergency summary, by the patient's card and one practitioner.
        Card = 0,
        /// The emergency summary, by two guardians.
        Summary = 1,
        /// The full record, by three guardians.
        Full = 2,
        /// The patient's own secret, for a new card.
        Recovery = 3,
        /// The emergency summary at one hospital without a line.
        Offline = 4,
    }
}

wire_struct! {
    /// The public half of an escrow pair, to which lockers are sealed as to any reader.
    pub struct EscrowPublic {
        /// What it opens.
        pub tier: Tier,
        /// The X25519 key.
        pub key: AgreementKey,
        /// A staged pair takes over when break-glass closes.
        pub staged: bool,
    }
}

wire_struct! {
    /// `open | network | key id | tier | escrow public key | SHA-256(salt, patient key, home organization)`.
    pub struct EscrowLabel {
        /// The network.
        pub network: NetworkId,
        /// The threshold key under which the escrow is sealed.
        pub key: KeyId,
        /// The tier.
        pub tier: Tier,
        /// The escrow's public key, as its id.
        pub escrow: KeyId,
        /// Binds patient and home organization without naming them.
        pub holder: [u8; 32],
    }
}

impl EscrowLabel {
    /// The label of an escrow; `salt` keeps the holder's hash from being guessed.
    #[must_use]
    pub fn new(
        network: NetworkId,
        key: KeyId,
        escrow: &EscrowPublic,
        salt: &[u8; 32],
        holder: (&AgreementKey, &OrganizationId),
    ) -> Self {
        let (patient, home) = holder;
        let holder = sha256(&[salt, patient.as_bytes(), &home.0]);
        Self { network, key, tier: escrow.tier, escrow: escrow.key.id(), holder }
    }

    /// The bytes that a threshold signature opens with: `open` and the encoding.
    #[must_use]
    pub fn opening(&self) -> Vec<u8> {
        [b"open".as_slice(), &self.encode()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hospes_protocol::keys::{KeyAgreement, SoftwareAgreement};

    fn key(seed: u8) -> AgreementKey {
        SoftwareAgreement::from_secret(&[seed; 32]).agreement_key()
    }

    fn label(network: u8, tier: Tier, escrow: u8, patient: u8, salt: u8) -> Vec<u8> {
        let escrow = EscrowPublic { tier, key: key(escrow), staged: false };
        let holder = (&key(patient), &OrganizationId([9; 32]));
        EscrowLabel::new(NetworkId([network; 32]), KeyId([1; 32]), &escrow, &[salt; 32], holder).opening()
    }

    #[test]
    fn an_escrow_under_another_name_has_another_label() {
        let ours = label(1, Tier::Summary, 2, 3, 4);
        assert_eq!(ours, label(1, Tier::Summary, 2, 3, 4), "the same names give the same label");
        for other in [
            label(2, Tier::Summary, 2, 3, 4),
            label(1, Tier::Full, 2, 3, 4),
            label(1, Tier::Summary, 5, 3, 4),
            label(1, Tier::Summary, 2, 5, 4),
            label(1, Tier::Summary, 2, 3, 5),
        ] {
            assert_ne!(ours, other, "network, tier, escrow, patient and salt each count");
        }
    }

    #[test]
    fn labels_read_back() {
        let bytes = label(1, Tier::Offline, 2, 3, 4);
        let label = EscrowLabel::decode(&bytes[4..]).expect("its own encoding");
        assert_eq!(label.opening(), bytes, "nothing is lost");
        assert_eq!(Tier::from_code(9), None, "there is no tier 9");
    }
}

//! Packets: the locker secrets that one reader may open, sealed to the reader's key. One card operation on a
//! packet opens any number of records.
//!
//! The plaintext is the deterministic encoding of [format, patient, epoch, [[category, label, epoch, secret]…]].
//! It is written and read here rather than through [`crate::wire::Wire`], so that every buffer that held a
//! secret is sized once and wiped. A packet is an object; which grants it rests on stands in the locker entry.

use minicbor::{Decoder, Encoder};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::check::{Check, Rejected, ensure};
use crate::context::Context;
use crate::entry::FORMAT;
use crate::ids::{NetworkId, PatientId};
use crate::keys::{AgreementKey, KeyAgreement};
use crate::personal::{Category, Label};
use crate::seal::envelope::{ENVELOPE_PLAIN_BYTES_MAX, Envelope, OpenError, seal_to};
use crate::seal::locker::{LockerName, LockerSecret, NamedSecret};

/// Secrets in a packet, at most: 24 lockers in each of 800 epochs, which fit one envelope even with epochs of
/// 64 bits.
pub const PACKET_SECRETS_MAX: usize = 24 * 800;
/// Bytes of one secret in a packet, at most: array head, category, label, epoch, secret.
const SECRET_BYTES_MAX: usize = 1 + 1 + 1 + 9 + 34;
/// Bytes of the fields before the secrets, at most.
const HEAD_BYTES_MAX: usize = 64;
const _: () = assert!(HEAD_BYTES_MAX + PACKET_SECRETS_MAX * SECRET_BYTES_MAX <= ENVELOPE_PLAIN_BYTES_MAX);

/// What a packet holds, opened. Dropping it wipes the secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Whose lockers these are.
    pub patient: PatientId,
    /// The epoch that the packet was made in; it may hold secrets of older ones.
    pub epoch: u64,
    /// The secrets, ascending by name, each locker once.
    pub secrets: Vec<NamedSecret>,
}

/// Seals a packet to `reader`.
///
/// # Errors
/// [`Check::TooLarge`] for more than [`PACKET_SECRETS_MAX`] secrets, [`Check::ScopeForm`] unless they ascend by name and
/// none is of a later epoch than the packet; otherwise as [`seal_to`].
pub fn seal_packet(
    reader: &AgreementKey,
    packet: &Packet,
    network: &NetworkId,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, Rejected> {
    packet.judge()?;
    seal_to(reader, Context::Packet, network, &packet.encode(), rng)
}

/// Opens a packet of `patient` with the reader's key, in one operation of that key.
///
/// # Errors
/// As [`Envelope::parse`] and [`Envelope::open`]; as [`seal_packet`] for the form; [`Check::Malformed`],
/// [`Check::NonCanonical`], [`Check::UnknownFormat`]; [`Check::StandsOnWrong`] for another patient's packet.
pub fn open_packet(
    sealed: &[u8],
    patient: &PatientId,
    key: &mut dyn KeyAgreement,
    network: &NetworkId,
) -> Result<Packet, OpenError> {
    let plain = Envelope::parse(sealed)?.open(key, Context::Packet, network)?;
    let packet = Packet::decode(&plain)?;
    ensure(packet.patient == *patient, Check::StandsOnWrong)?;
    Ok(packet)
}

impl Packet {
    fn judge(&self) -> Result<(), Rejected> {
        let names = || self.secrets.iter().map(|s| s.name);
        ensure(self.secrets.len() <= PACKET_SECRETS_MAX, Check::TooLarge)?;
        ensure(names().zip(names().skip(1)).all(|(a, b)| a < b), Check::ScopeForm)?;
        ensure(names().all(|n| n.epoch <= self.epoch), Check::ScopeForm)
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let capacity = HEAD_BYTES_MAX + self.secrets.len() * SECRET_BYTES_MAX;
        let mut out = Zeroizing::new(Vec::with_capacity(capacity));
        let written = self.write(&mut Encoder::new(&mut *out));
        written.expect("writing to memory does not fail");
        debug_assert!(out.len() <= capacity, "the buffer was never outgrown");
        out
    }

    fn write(
        &self,
        e: &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
        e.array(4)?.u64(FORMAT)?.bytes(&self.patient.0)?.u64(self.epoch)?;
        e.array(self.secrets.len() as u64)?;
        for NamedSecret { name, secret } in &self.secrets {
            e.array(4)?.u64(name.category.code())?.u64(name.label.code())?;
            e.u64(name.epoch)?.bytes(secret.as_bytes())?;
        }
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<Self, Rejected> {
        let packet = Self::read(&mut Decoder::new(bytes))?;
        packet.judge()?;
        ensure(packet.encode().as_slice() == bytes, Check::NonCanonical)?;
        Ok(packet)
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, Rejected> {
        array(d, Some(4))?;
        ensure(d.u64().map_err(malformed)? == FORMAT, Check::UnknownFormat)?;
        let patient = PatientId(bytes32(d)?);
        let epoch = d.u64().map_err(malformed)?;
        let count = usize::try_from(array(d, None)?).map_err(malformed)?;
        ensure(count <= PACKET_SECRETS_MAX, Check::TooLarge)?;
        // Room for all at once: a vector that grows leaves copies of secrets behind.
        let mut secrets = Vec::with_capacity(count);
        for _ in 0..count {
            secrets.push(read_secret(d)?);
        }
        Ok(Self { patient, epoch, secrets })
    }
}

fn read_secret(d: &mut Decoder<'_>) -> Result<NamedSecret, Rejected> {
    array(d, Some(4))?;
    let category = Category::from_code(d.u64().map_err(malformed)?).ok_or(Check::Malformed)?;
    let label = Label::from_code(d.u64().map_err(malformed)?).ok_or(Check::Malformed)?;
    let epoch = d.u64().map_err(malformed)?;
    let secret = LockerSecret::from_bytes(Zeroizing::new(bytes32(d)?));
    Ok(NamedSecret { name: LockerName { epoch, category, label }, secret })
}

fn array(d: &mut Decoder<'_>, length: Option<u64>) -> Result<u64, Rejected> {
    let n = d.array().map_err(malformed)?.ok_or(Check::Malformed)?;
    ensure(length.is_none_or(|l| l == n), Check::Malformed)?;
    Ok(n)
}

fn bytes32(d: &mut Decoder<'_>) -> Result<[u8; 32], Rejected> {
    d.bytes().map_err(malformed)?.try_into().map_err(malformed)
}

fn malformed<E>(_: E) -> Rejected {
    Check::Malformed.into()
}

#[cfg(test)]
mod tests;

//! The management key of a card, 9B: kept on the card behind the PIN, so that nobody needs another secret to write.
//!
//! Where it lies is the convention of Yubico's tools ("protected management key"): under 88, 89 in the object of printed
//! information, which SP 800-73-4 gives out after the PIN only. Writing needs it; so does making keys.

use aes::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use hospes_protocol::keys::KeyError;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::smart::Applet;
use crate::smart::apdu::status;
use crate::smart::tlv;

/// Printed information.
const PRINTED: [u8; 3] = [0x5F, 0xC1, 0x09];
const MANAGEMENT: u8 = 0x9B;

/// What the key enciphers with (SP 800-78-4, table 6-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cipher {
    TripleDes = 0x03,
    Aes128 = 0x08,
    Aes192 = 0x0A,
    Aes256 = 0x0C,
}

impl Cipher {
    fn of(number: u8) -> Option<Self> {
        [Self::TripleDes, Self::Aes128, Self::Aes192, Self::Aes256]
            .into_iter()
            .find(|one| *one as u8 == number)
    }

    fn key_bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    fn block_bytes(self) -> usize {
        if self == Self::TripleDes { 8 } else { 16 }
    }

    fn encrypt(self, key: &[u8], block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::TripleDes => encrypt::<des::TdesEde3>(key, block),
            Self::Aes128 => encrypt::<aes::Aes128>(key, block),
            Self::Aes192 => encrypt::<aes::Aes192>(key, block),
            Self::Aes256 => encrypt::<aes::Aes256>(key, block),
        }
    }

    fn decrypt(self, key: &[u8], block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::TripleDes => decrypt::<des::TdesEde3>(key, block),
            Self::Aes128 => decrypt::<aes::Aes128>(key, block),
            Self::Aes192 => decrypt::<aes::Aes192>(key, block),
            Self::Aes256 => decrypt::<aes::Aes256>(key, block),
        }
    }
}

fn encrypt<C: KeyInit + BlockCipherEncrypt>(key: &[u8], block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut block = Block::<C>::try_from(block).ok()?;
    C::new_from_slice(key).ok()?.encrypt_block(&mut block);
    Some(Zeroizing::new(block.to_vec()))
}

fn decrypt<C: KeyInit + BlockCipherDecrypt>(key: &[u8], block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut block = Block::<C>::try_from(block).ok()?;
    C::new_from_slice(key).ok()?.decrypt_block(&mut block);
    Some(Zeroizing::new(block.to_vec()))
}

impl Applet {
    /// Writes an object, within a PIN session: reads the management key, shows it, and writes.
    pub(super) fn write(
        &mut self,
        tag: &[u8],
        value: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(), KeyError> {
        self.show_protected(rng)?;
        self.put_data(tag, value)
    }

    /// Shows the management key that lies behind the PIN, within a PIN session.
    pub(super) fn show_protected(&mut self, rng: &mut dyn CryptoRng) -> Result<(), KeyError> {
        let unprotected =
            KeyError::Unsupported("writing to a card whose management key is not behind its PIN");
        let key = self.protected_key()?.ok_or(unprotected)?;
        self.show_management(&key, rng)
    }

    /// PUT DATA, once the management key was shown.
    pub(super) fn put_data(&mut self, tag: &[u8], value: &[u8]) -> Result<(), KeyError> {
        let mut data = tlv::object(0x5C, tag);
        tlv::put(&mut data, 0x53, value);
        self.send([0xDB, 0x3F, 0xFF], &data)?.done().map(drop)
    }

    /// The management key behind the PIN, if it is there.
    pub(super) fn protected_key(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
        let printed = self.read(&PRINTED)?;
        let key = printed.as_deref().and_then(|printed| tlv::find(tlv::find(printed, 0x88)?, 0x89));
        Ok(key.map(|key| Zeroizing::new(key.to_vec())))
    }

    /// Sets a fresh management key of the same cipher, and puts it behind the PIN first: whenever the card is pulled, the
    /// one in force is that or the one before.
    pub(super) fn protect_management(&mut self, rng: &mut dyn CryptoRng) -> Result<(), KeyError> {
        let cipher = self.cipher()?;
        let mut key = Zeroizing::new(vec![0; cipher.key_bytes()]);
        rng.fill_bytes(&mut key);
        self.put_data(&PRINTED, &tlv::object(0x88, &tlv::object(0x89, &key)))?;
        let mut data =
            Zeroizing::new(vec![cipher as u8, MANAGEMENT, u8::try_from(key.len()).unwrap_or_default()]);
        data.extend_from_slice(&key);
        self.send([0xFF, 0xFF, 0xFF], &data)?.done().map(drop)
    }

    /// Shows the management key by mutual authentication (SP 800-73-4, part 2, A.1), so that neither side can be mimicked.
    pub(super) fn show_management(&mut self, key: &[u8], rng: &mut dyn CryptoRng) -> Result<(), KeyError> {
        let cipher = self.cipher()?;
        let head = [0x87, cipher as u8, MANAGEMENT];
        let wrong = || KeyError::Failed("its management key is another".to_owned());
        let asked = self.send(head, &tlv::object(0x7C, &tlv::object(0x80, &[])))?.done()?;
        let witness =
            tlv::find(&asked, 0x7C).and_then(|template| tlv::find(template, 0x80)).ok_or_else(wrong)?;
        let shown = cipher.decrypt(key, witness).ok_or_else(wrong)?;
        let mut challenge = Zeroizing::new(vec![0; cipher.block_bytes()]);
        rng.fill_bytes(&mut challenge);
        let mut both = tlv::object(0x80, &shown);
        tlv::put(&mut both, 0x81, &challenge);
        let answer = self.send(head, &tlv::object(0x7C, &both))?;
        if answer.status == status::NOT_SATISFIED {
            return Err(wrong());
        }
        let answer = answer.done()?;
        let response =
            tlv::find(&answer, 0x7C).and_then(|template| tlv::find(template, 0x82)).ok_or_else(wrong)?;
        let expected = cipher.encrypt(key, &challenge).ok_or_else(wrong)?;
        if bool::from(expected.ct_eq(response)) { Ok(()) } else { Err(wrong()) }
    }

    /// What the management key enciphers with: the card's metadata say it, else it is Triple DES.
    fn cipher(&mut self) -> Result<Cipher, KeyError> {
        let told = self.send([0xF7, 0x00, MANAGEMENT], &[])?;
        let number = tlv::find(&told.data, 0x01).and_then(|number| number.first());
        Ok(number.and_then(|number| Cipher::of(*number)).unwrap_or(Cipher::TripleDes))
    }
}

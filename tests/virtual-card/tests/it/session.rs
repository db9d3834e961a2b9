//! Talking to a card: commands put together, chained, and their long answers fetched.

use hospes_virtual_card::{Answer, Firmware, ManagementAlgorithm, State, VirtualCard, tlv};

pub(crate) const MANAGEMENT: [u8; 24] =
    [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8];
pub(crate) const PIV: &[u8] = &[0xA0, 0, 0, 3, 8];

pub(crate) fn card(firmware: Firmware) -> VirtualCard {
    let mut card = VirtualCard::new(State::new(firmware, 1));
    assert!(send(&mut card, [0, 0xA4, 4, 0], PIV).is_ok(), "the application is there");
    card
}

/// The raw answer to raw bytes.
pub(crate) fn raw(card: &mut VirtualCard, bytes: &[u8]) -> Vec<u8> {
    match card.transmit(bytes) {
        Answer::Bytes(answer) => answer,
        Answer::Gone => panic!("nobody pulled it"),
    }
}

/// Data of the answer, or the status word. Short commands, chained; long answers fetched.
pub(crate) fn send(card: &mut VirtualCard, head: [u8; 4], data: &[u8]) -> Result<Vec<u8>, u16> {
    let mut pieces: Vec<&[u8]> = data.chunks(255).collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let mut bytes = vec![head[0] | 0x10, head[1], head[2], head[3], u8::try_from(piece.len()).unwrap()];
        bytes.extend_from_slice(piece);
        assert_eq!(raw(card, &bytes), [0x90, 0], "a piece of a chain is taken");
    }
    let mut bytes = head.to_vec();
    if !last.is_empty() {
        bytes.push(u8::try_from(last.len()).unwrap());
        bytes.extend_from_slice(last);
    }
    let mut answer = raw(card, &bytes);
    let mut data = Vec::new();
    loop {
        let low = answer.pop().unwrap();
        let high = answer.pop().unwrap();
        data.append(&mut answer);
        match (high, low) {
            (0x90, 0) => return Ok(data),
            (0x61, _) => answer = raw(card, &[0, 0xC0, 0, 0, 0]),
            _ => return Err(u16::from_be_bytes([high, low])),
        }
    }
}

pub(crate) fn verify(card: &mut VirtualCard, pin: &str) -> Result<Vec<u8>, u16> {
    send(card, [0, 0x20, 0, 0x80], &padded(pin))
}

pub(crate) fn padded(pin: &str) -> [u8; 8] {
    let mut padded = [0xFF; 8];
    padded[..pin.len()].copy_from_slice(pin.as_bytes());
    padded
}

/// Shows the management key by mutual authentication.
pub(crate) fn manage(card: &mut VirtualCard, cipher: ManagementAlgorithm, key: &[u8]) -> Result<(), u16> {
    let head = [0, 0x87, cipher as u8, 0x9B];
    let asked = send(card, head, &tlv::put(0x7C, &tlv::put(0x80, &[])))?;
    let witness = tlv::find(tlv::find(&asked, 0x7C).unwrap(), 0x80).unwrap().to_vec();
    let shown = cipher.decrypt(key, &witness).unwrap();
    let challenge = vec![0x5A; cipher.block_bytes()];
    let both = [tlv::put(0x80, &shown), tlv::put(0x81, &challenge)].concat();
    let answer = send(card, head, &tlv::put(0x7C, &both))?;
    let response = tlv::find(tlv::find(&answer, 0x7C).unwrap(), 0x82).unwrap();
    assert_eq!(response, cipher.encrypt(key, &challenge).unwrap(), "the card knows the key too");
    Ok(())
}

/// A managed card of this firmware with its first management key.
pub(crate) fn managed(firmware: Firmware) -> VirtualCard {
    let mut card = card(firmware);
    let aes = firmware >= Firmware(5, 7, 0);
    let cipher = if aes { ManagementAlgorithm::Aes192 } else { ManagementAlgorithm::TripleDes };
    manage(&mut card, cipher, &MANAGEMENT).unwrap();
    card
}

/// Makes a key and gives its public half.
pub(crate) fn generate(card: &mut VirtualCard, slot: u8, algorithm: u8) -> Result<Vec<u8>, u16> {
    let made = send(card, [0, 0x47, 0, slot], &tlv::put(0xAC, &tlv::put(0x80, &[algorithm])))?;
    Ok(tlv::find(tlv::find(&made, 0x7F49).unwrap(), 0x86).unwrap().to_vec())
}

/// GENERAL AUTHENTICATE with a challenge (0x81) or a point (0x85).
pub(crate) fn use_key(
    card: &mut VirtualCard,
    slot: u8,
    algorithm: u8,
    tag: u32,
    input: &[u8],
) -> Result<Vec<u8>, u16> {
    let inner = [tlv::put(0x82, &[]), tlv::put(tag, input)].concat();
    let answer = send(card, [0, 0x87, algorithm, slot], &tlv::put(0x7C, &inner))?;
    Ok(tlv::find(tlv::find(&answer, 0x7C).unwrap(), 0x82).unwrap().to_vec())
}

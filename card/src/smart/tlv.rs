//! BER-TLV of what cards answer and DER of certificates: definite lengths, tags of one or two bytes. Bytes from outside.

use zeroize::Zeroizing;

/// Takes one object off the front: its tag, its value, what follows.
pub(crate) fn take(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (tag, rest) = if first & 0x1F == 0x1F {
        let (second, rest) = rest.split_first().filter(|(second, _)| **second & 0x80 == 0)?;
        (u16::from_be_bytes([*first, *second]), rest)
    } else {
        (u16::from(*first), rest)
    };
    let (count, rest) = match rest {
        [short @ 0..=0x7F, rest @ ..] => (usize::from(*short), rest),
        [0x81, one, rest @ ..] => (usize::from(*one), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(count)?;
    Some((tag, value, rest))
}

/// The value of the first object with this tag.
pub(crate) fn find(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some((tag, value, rest)) = take(bytes) {
        if tag == wanted {
            return Some(value);
        }
        bytes = rest;
    }
    None
}

/// Appends an object.
pub(crate) fn put(out: &mut Zeroizing<Vec<u8>>, tag: u16, value: &[u8]) {
    match tag.to_be_bytes() {
        [0, one] => out.push(one),
        two => out.extend(two),
    }
    match value.len() {
        short @ 0..=0x7F => out.push(u8::try_from(short).unwrap_or_default()),
        one @ 0x80..=0xFF => out.extend([0x81, u8::try_from(one).unwrap_or_default()]),
        more => {
            let count = u16::try_from(more).expect("an object of a card is far smaller");
            out.push(0x82);
            out.extend(count.to_be_bytes());
        }
    }
    out.extend_from_slice(value);
}

/// One object.
pub(crate) fn object(tag: u16, value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() + 5));
    put(&mut out, tag, value);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_found_and_nothing_is_read_beyond_the_end() {
        for count in [0, 127, 128, 255, 256, 3000] {
            let bytes = object(0x53, &vec![7; count]);
            assert_eq!(find(&bytes, 0x53), Some(&vec![7; count][..]), "{count} bytes");
            assert_eq!(find(&bytes[..bytes.len() - 1], 0x53), None, "{count} bytes cut short");
        }
        for bytes in
            [&[][..], &[0x7F], &[0x7F, 0x80, 0], &[0x53, 0x80], &[0x53, 0x83, 0, 0, 0], &[0x53, 0x82, 1]]
        {
            assert_eq!(take(bytes), None, "{bytes:02x?}");
        }
    }
}

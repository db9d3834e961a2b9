//! BER-TLV as PIV uses it: tags of one to three bytes, definite lengths of up to three bytes.

/// A tag with its value.
pub type Tlv<'a> = (u32, &'a [u8]);

/// Takes one object off the front; none if it is not whole.
#[must_use]
pub fn take(bytes: &[u8]) -> Option<(Tlv<'_>, &[u8])> {
    let (tag, rest) = take_tag(bytes)?;
    let (count, rest) = take_length(rest)?;
    let (value, rest) = rest.split_at_checked(count)?;
    Some(((tag, value), rest))
}

fn take_tag(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    let mut tag = u32::from(*first);
    if first & 0x1F == 0x1F {
        for _ in 0..2 {
            let (next, after) = rest.split_first()?;
            (tag, rest) = (tag << 8 | u32::from(*next), after);
            if next & 0x80 == 0 {
                return Some((tag, rest));
            }
        }
        return None;
    }
    Some((tag, rest))
}

fn take_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [short @ 0..=0x7F, rest @ ..] => Some((usize::from(*short), rest)),
        [0x81, one, rest @ ..] => Some((usize::from(*one), rest)),
        [0x82, high, low, rest @ ..] => Some((usize::from(u16::from_be_bytes([*high, *low])), rest)),
        _ => None,
    }
}

/// All objects of a template; none if anything is left over.
#[must_use]
pub fn all(mut bytes: &[u8]) -> Option<Vec<Tlv<'_>>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (one, rest) = take(bytes)?;
        found.push(one);
        bytes = rest;
    }
    Some(found)
}

/// The value of a tag in a template.
#[must_use]
pub fn find(bytes: &[u8], tag: u32) -> Option<&[u8]> {
    all(bytes)?.into_iter().find(|(found, _)| *found == tag).map(|(_, value)| value)
}

/// One object.
///
/// # Panics
/// If the value has more than 65,535 bytes, which no card holds.
#[must_use]
pub fn put(tag: u32, value: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = tag.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let count = u16::try_from(value.len()).expect("a card's buffer is smaller");
    match count.to_be_bytes() {
        [0, low @ 0..=0x7F] => out.push(low),
        [0, low] => out.extend([0x81, low]),
        [high, low] => out.extend([0x82, high, low]),
    }
    out.extend_from_slice(value);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_taken_again() {
        for count in [0, 1, 127, 128, 255, 256, 3000] {
            let value = vec![7; count];
            for tag in [0x53, 0x7F49, 0x5F_C102] {
                let bytes = put(tag, &value);
                assert_eq!(take(&bytes), Some(((tag, &value[..]), &[][..])), "{tag:x} of {count} bytes");
                assert!(take(&bytes[..bytes.len() - 1]).is_none(), "{tag:x} cut short");
            }
        }
        assert_eq!(find(&[put(0x80, b"a"), put(0x81, b"b")].concat(), 0x81), Some(&b"b"[..]), "by its tag");
    }
}

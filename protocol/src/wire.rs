//! Deterministic CBOR (RFC 8949, 4.2.1): one reader, one writer, one rule.
//!
//! A value is accepted only if its bytes are exactly what we would have written: `decode` reads, writes
//! again and compares. So every value has one encoding, and what is hashed is what was received.
//! Structures are arrays of their fields in order; there are no maps, tags, floats or negative numbers.
//! Nesting is bounded by the types, none of which contains itself.

use minicbor::data::Type;

use crate::check::{Check, Rejected};

/// Writes CBOR into memory.
#[derive(Default)]
pub struct Enc(Vec<u8>);

/// Reads CBOR from a slice.
pub struct Dec<'b>(minicbor::Decoder<'b>);

/// A type with one canonical encoding.
pub trait Wire: Sized {
    /// Appends the encoding of `self`.
    fn put(&self, e: &mut Enc);

    /// Reads one value.
    ///
    /// # Errors
    /// [`Check::Malformed`] where the bytes are of another shape.
    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected>;

    /// The canonical encoding.
    fn encode(&self) -> Vec<u8> {
        let mut e = Enc::default();
        self.put(&mut e);
        e.0
    }

    /// Reads exactly one value from `bytes`, which must be its canonical encoding.
    ///
    /// # Errors
    /// [`Check::Malformed`] for another shape, [`Check::TrailingBytes`] for more than one value,
    /// [`Check::NonCanonical`] if the bytes differ from `encode` of what they say.
    fn decode(bytes: &[u8]) -> Result<Self, Rejected> {
        let mut d = Dec::new(bytes);
        let value = Self::get(&mut d)?;
        if d.0.position() != bytes.len() {
            return Err(Check::TrailingBytes.into());
        }
        if value.encode() != bytes {
            return Err(Check::NonCanonical.into());
        }
        Ok(value)
    }

    /// As [`Wire::decode`], after a check of the size in bytes.
    ///
    /// # Errors
    /// [`Check::TooLarge`] above `max`, otherwise as `decode`.
    fn decode_within(bytes: &[u8], max: usize) -> Result<Self, Rejected> {
        if bytes.len() > max {
            return Err(Check::TooLarge.into());
        }
        Self::decode(bytes)
    }
}

// Writing to a Vec cannot fail; minicbor's result type says so with `Infallible`.
impl Enc {
    fn with(&mut self, f: impl FnOnce(&mut minicbor::Encoder<&mut Vec<u8>>)) {
        f(&mut minicbor::Encoder::new(&mut self.0));
    }

    /// Begins an array of `n` items.
    pub fn array(&mut self, n: usize) -> &mut Self {
        self.with(|e| {
            let _infallible = e.array(n as u64);
        });
        self
    }

    /// Writes an unsigned integer.
    pub fn u64(&mut self, v: u64) -> &mut Self {
        self.with(|e| {
            let _infallible = e.u64(v);
        });
        self
    }

    /// Writes a byte string.
    pub fn bytes(&mut self, v: &[u8]) -> &mut Self {
        self.with(|e| {
            let _infallible = e.bytes(v);
        });
        self
    }

    /// Writes a text string.
    pub fn text(&mut self, v: &str) -> &mut Self {
        self.with(|e| {
            let _infallible = e.str(v);
        });
        self
    }

    /// Writes one value that was encoded before.
    pub(crate) fn encoded(&mut self, value: &[u8]) -> &mut Self {
        self.0.extend_from_slice(value);
        self
    }

    /// Writes a map of nothing.
    pub(crate) fn empty_map(&mut self) -> &mut Self {
        self.with(|e| {
            let _infallible = e.map(0);
        });
        self
    }

    /// Writes null.
    pub fn null(&mut self) -> &mut Self {
        self.with(|e| {
            let _infallible = e.null();
        });
        self
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Whether `bytes` hold at most `max` data items, those inside others counted too. A list of empty byte strings takes
/// 24 times its bytes in memory, so whoever reads large messages of strangers asks this first. Bytes that are no CBOR
/// are within any number: decoding them says what is wrong.
#[must_use]
pub fn items_within(bytes: &[u8], max: usize) -> bool {
    let mut d = minicbor::Decoder::new(bytes);
    for _ in 0..max {
        let step = match d.datatype() {
            _ if d.position() == bytes.len() => return true,
            Ok(Type::Array) => d.array().map(drop),
            Ok(Type::Map) => d.map().map(drop),
            Ok(_) => d.skip(),
            Err(_) => return true,
        };
        if step.is_err() {
            return true;
        }
    }
    d.position() == bytes.len()
}

fn malformed<E>(_: E) -> Rejected {
    Check::Malformed.into()
}

impl<'b> Dec<'b> {
    /// Reads from the beginning of `bytes`. Whoever reads so, and not by [`Wire::decode`], compares with what
    /// it would write.
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self(minicbor::Decoder::new(bytes))
    }

    /// Reads a definite map of nothing.
    ///
    /// # Errors
    /// [`Check::Malformed`] for anything else.
    pub(crate) fn empty_map(&mut self) -> Result<(), Rejected> {
        if self.0.map().map_err(malformed)? == Some(0) { Ok(()) } else { Err(Check::Malformed.into()) }
    }

    /// Reads the head of a definite array.
    ///
    /// # Errors
    /// [`Check::Malformed`] for anything else.
    pub fn array(&mut self) -> Result<u64, Rejected> {
        self.0.array().map_err(malformed)?.ok_or_else(|| Check::Malformed.into())
    }

    /// Reads the head of an array of exactly `n` items.
    ///
    /// # Errors
    /// [`Check::Malformed`] for anything else.
    pub fn array_of(&mut self, n: u64) -> Result<(), Rejected> {
        if self.array()? == n { Ok(()) } else { Err(Check::Malformed.into()) }
    }

    /// Reads an unsigned integer.
    ///
    /// # Errors
    /// [`Check::Malformed`] for anything else.
    pub fn u64(&mut self) -> Result<u64, Rejected> {
        self.0.u64().map_err(malformed)
    }

    /// Reads a definite byte string.
    ///
    /// # Errors
    /// [`Check::Malformed`] for anything else.
    pub fn bytes(&mut self) -> Result<&'b [u8], Rejected> {
        self.0.bytes().map_err(malformed)
    }

    /// Reads a definite text string.
    ///
    /// # Errors
    /// [`Check::Malformed`] for anything else, invalid UTF-8 included.
    pub fn text(&mut self) -> Result<&'b str, Rejected> {
        self.0.str().map_err(malformed)
    }

    /// Reads null if it is next.
    ///
    /// # Errors
    /// [`Check::Malformed`] at the end of the input.
    pub fn take_null(&mut self) -> Result<bool, Rejected> {
        if self.0.datatype().map_err(malformed)? != Type::Null {
            return Ok(false);
        }
        self.0.null().map_err(malformed)?;
        Ok(true)
    }
}

impl Wire for u64 {
    fn put(&self, e: &mut Enc) {
        e.u64(*self);
    }
    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        d.u64()
    }
}

impl Wire for bool {
    fn put(&self, e: &mut Enc) {
        e.with(|e| {
            let _infallible = e.bool(*self);
        });
    }
    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        d.0.bool().map_err(malformed)
    }
}

impl Wire for String {
    fn put(&self, e: &mut Enc) {
        e.text(self);
    }
    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        d.text().map(str::to_owned)
    }
}

/// A byte string of any length.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Bytes(pub Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bytes({})", self.0.len())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(v: Vec<u8>) -> Self {
        Self(v)
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Wire for Bytes {
    fn put(&self, e: &mut Enc) {
        e.bytes(&self.0);
    }
    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        d.bytes().map(|b| Self(b.to_vec()))
    }
}

impl<const N: usize> Wire for [u8; N] {
    fn put(&self, e: &mut Enc) {
        e.bytes(self);
    }
    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        d.bytes()?.try_into().map_err(malformed)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, e: &mut Enc) {
        match self {
            Some(v) => v.put(e),
            None => {
                e.null();
            }
        }
    }
    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        if d.take_null()? { Ok(None) } else { T::get(d).map(Some) }
    }
}

// No capacity is reserved from a length that a peer wrote: every item costs it at least one byte.
impl<T: Wire> Wire for Vec<T> {
    fn put(&self, e: &mut Enc) {
        e.array(self.len());
        self.iter().for_each(|v| v.put(e));
    }
    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        let n = d.array()?;
        let mut out = Self::new();
        for _ in 0..n {
            out.push(T::get(d)?);
        }
        Ok(out)
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, e: &mut Enc) {
        e.array(2);
        self.0.put(e);
        self.1.put(e);
    }
    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        d.array_of(2)?;
        Ok((A::get(d)?, B::get(d)?))
    }
}

/// Declares a structure whose encoding is the array of its fields in order.
#[macro_export]
macro_rules! wire_struct {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident : $ty:ty),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis struct $name { $($(#[$fmeta])* pub $field: $ty),+ }

        impl $crate::wire::Wire for $name {
            fn put(&self, e: &mut $crate::wire::Enc) {
                e.array([$(stringify!($field)),+].len());
                $($crate::wire::Wire::put(&self.$field, e);)+
            }
            fn get(d: &mut $crate::wire::Dec<'_>) -> Result<Self, $crate::check::Rejected> {
                d.array_of([$(stringify!($field)),+].len() as u64)?;
                Ok(Self { $($field: $crate::wire::Wire::get(d)?),+ })
            }
        }
    };
}

/// Declares an enumeration whose encoding is its number; another number is malformed.
#[macro_export]
macro_rules! wire_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $code:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name { $($(#[$vmeta])* $variant = $code),+ }

        impl $name {
            /// Every variant, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> u64 {
                self as u64
            }

            /// The variant of a number.
            #[must_use]
            pub const fn from_code(code: u64) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }

        impl $crate::wire::Wire for $name {
            fn put(&self, e: &mut $crate::wire::Enc) {
                e.u64(self.code());
            }
            fn get(d: &mut $crate::wire::Dec<'_>) -> Result<Self, $crate::check::Rejected> {
                Self::from_code(d.u64()?).ok_or_else(|| $crate::check::Check::Malformed.into())
            }
        }
    };
}

/// Declares a union whose encoding is [number, value]; another number is malformed.
#[macro_export]
macro_rules! wire_union {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident($ty:ty) = $code:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis enum $name { $($(#[$vmeta])* $variant($ty)),+ }

        impl $crate::wire::Wire for $name {
            fn put(&self, e: &mut $crate::wire::Enc) {
                e.array(2);
                match self { $(Self::$variant(v) => { e.u64($code); $crate::wire::Wire::put(v, e); })+ }
            }
            fn get(d: &mut $crate::wire::Dec<'_>) -> Result<Self, $crate::check::Rejected> {
                d.array_of(2)?;
                match d.u64()? {
                    $($code => <$ty as $crate::wire::Wire>::get(d).map(Self::$variant),)+
                    _ => Err($crate::check::Check::Malformed.into()),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    wire_struct! {
        /// A pair for the tests.
        struct Pair { /// A number.
            pub a: u64, /// Perhaps bytes.
            pub b: Option<Bytes> }
    }

    #[test]
    fn a_value_has_exactly_one_encoding() {
        let pair = Pair { a: 23, b: None };
        assert_eq!(pair.encode(), [0x82, 23, 0xf6], "shortest form");
        assert_eq!(Pair::decode(&[0x82, 23, 0xf6]), Ok(pair), "reads back");
        for (bytes, check) in [
            (&[0x82, 0x18, 23, 0xf6][..], Check::NonCanonical), // longer integer than needed
            (&[0x98, 2, 23, 0xf6][..], Check::NonCanonical),    // longer length than needed
            (&[0x82, 23, 0xf6, 0][..], Check::TrailingBytes),
            (&[0x9f, 23, 0xf6, 0xff][..], Check::Malformed), // indefinite array
            (&[0x82, 23, 0x5f, 0x41, 0, 0xff][..], Check::Malformed), // indefinite bytes
            (&[0x82, 23][..], Check::Malformed),
            (&[0x83, 23, 0xf6, 0xf6][..], Check::Malformed),
            (&[0x82, 0xc1, 23, 0xf6][..], Check::Malformed), // tagged
        ] {
            assert_eq!(Pair::decode(bytes), Err(check.into()), "{bytes:02x?}");
        }
    }

    #[test]
    fn items_are_counted_with_those_inside() {
        let pair = Pair { a: 23, b: Some(Bytes(vec![0x81; 9])) }.encode();
        assert!(items_within(&pair, 3), "an array, a number, a byte string whose bytes are no items");
        assert!(!items_within(&pair, 2), "one less is too few");
        assert!(!items_within(&[0x84, 0x40, 0x40, 0x40, 0x40], 4), "empty strings count");
        assert!(items_within(&[0x82, 0xff], 9), "what is no CBOR is for the decoder to refuse");
    }

    #[test]
    fn a_claimed_length_reserves_no_memory() {
        let claim = [0x9b, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Vec::<u64>::decode(&claim), Err(Check::Malformed.into()), "the items are missing");
    }
}

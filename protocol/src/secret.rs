//! 32 secret bytes as a type of their own: wiped when dropped, compared and cloned, never printed.
//!
//! One macro declares all of them, so that none is shown by a `Debug` that somebody derived. It deliberately gives them
//! no encoding: what travels sealed says so where it is declared.

/// Declares types of 32 secret bytes.
macro_rules! secret_type {
    ($($(#[$meta:meta])* $name:ident;)+) => { $(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(::zeroize::Zeroizing<[u8; 32]>);

        impl $name {
            /// A fresh one.
            #[must_use]
            pub fn random(rng: &mut dyn ::rand_core::CryptoRng) -> Self {
                let mut bytes = ::zeroize::Zeroizing::new([0; 32]);
                rng.fill_bytes(&mut *bytes);
                Self(bytes)
            }

            /// The secret of these bytes.
            #[must_use]
            pub fn from_bytes(bytes: ::zeroize::Zeroizing<[u8; 32]>) -> Self {
                Self(bytes)
            }

            /// The raw secret, to be sealed and nothing else.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )+ };
}

pub(crate) use secret_type;

//! Readers behind `pcscd`: a client of its own socket, safe code throughout.
//!
//! `message` is the protocol, `daemon` one connection with deadlines, `link` one card in one reader for `smart`, `reader`
//! what the node polls. No C library is loaded and none must be there at build time; card/README.md says why.

mod daemon;
mod link;
mod message;
mod pad;
mod reader;

pub use reader::{PcscReader, SOCKET, reader_names};

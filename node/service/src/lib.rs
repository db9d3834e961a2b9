//! What a node decides: consensus, sync, placement and policy. No sockets, files, clocks or threads:
//! time and randomness are arguments, stores are behind traits, and effects leave through an outbox.

pub mod consensus;

//! The desk over a real node of one, with real soft cards.

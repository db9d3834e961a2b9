//! What the engine sends and logs, in borsh, for which it brings the bodies of nearly all of its types.
//!
//! Nobody falls behind here, so synchronisation is off, and its messages have no bytes.

use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use malachite_app_channel::app::types::codec::{Codec, HasEncodedLen};
use malachite_core_consensus::{LivenessMsg, ProposedValue, SignedConsensusMsg};
use malachite_core_types::{PolkaCertificate, ValidatorProof};
use malachite_engine::util::streaming::StreamMessage;
use malachite_sync::{Request, Response, Status};

use crate::context::{Empty, Part};

/// The codec of all three: WAL, network, and what is off.
#[derive(Clone, Copy)]
pub struct Borsh;

macro_rules! in_borsh {
    ($($what:ty),+) => { $(
        impl Codec<$what> for Borsh {
            type Error = io::Error;

            fn decode(&self, bytes: Bytes) -> io::Result<$what> {
                <$what>::try_from_slice(&bytes)
            }
            fn encode(&self, what: &$what) -> io::Result<Bytes> {
                borsh::to_vec(what).map(Bytes::from)
            }
        }
    )+ };
}
in_borsh!(
    Part,
    SignedConsensusMsg<Empty>,
    LivenessMsg<Empty>,
    StreamMessage<Part>,
    ProposedValue<Empty>,
    PolkaCertificate<Empty>
);

impl Codec<ValidatorProof<Empty>> for Borsh {
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<ValidatorProof<Empty>> {
        let (key, peer, signature) = BorshDeserialize::try_from_slice(&bytes)?;
        Ok(ValidatorProof::new(key, peer, signature))
    }
    fn encode(&self, proof: &ValidatorProof<Empty>) -> io::Result<Bytes> {
        let mut bytes = Vec::new();
        (&proof.public_key, &proof.peer_id, &proof.signature).serialize(&mut bytes)?;
        Ok(bytes.into())
    }
}

macro_rules! off {
    ($($what:ty),+) => { $(
        impl Codec<$what> for Borsh {
            type Error = io::Error;

            fn decode(&self, _: Bytes) -> io::Result<$what> {
                Err(io::ErrorKind::Unsupported.into())
            }
            fn encode(&self, _: &$what) -> io::Result<Bytes> {
                Err(io::ErrorKind::Unsupported.into())
            }
        }
    )+ };
}
off!(Status<Empty>, Request<Empty>, Response<Empty>);

impl HasEncodedLen<Response<Empty>> for Borsh {
    fn encoded_len(&self, _: &Response<Empty>) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

//! The payload of recorded packets: what travelled between nodes, in the order in which it travelled.
//!
//! Reads libpcap's classic format with Ethernet, raw IP and Linux "cooked" frames. TCP payload is put together per
//! direction, so that a string across two packets is found. Connections that speak HTTP are set apart: they are the
//! API on loopback, between a person's command line and the node of the same machine. Everything else counts as
//! traffic between nodes. Deliberately no repair of lost packets: the recorder reports those. Called by `hospes-scan`.

use std::collections::BTreeMap;

use super::ScanError;

/// What a capture held.
#[derive(Debug, Default)]
pub struct Capture {
    /// Payload of each direction of each connection that is not HTTP.
    pub between_nodes: Vec<Vec<u8>>,
    /// How many of these began with libp2p's multistream-select.
    pub libp2p: usize,
    /// Directions set apart because their connection speaks HTTP.
    pub http: usize,
    /// Packets read.
    pub packets: usize,
}

type End = (Vec<u8>, u16);
type Directions = BTreeMap<(End, End), Direction>;

#[derive(Default)]
struct Direction {
    next: Option<u32>,
    payload: Vec<u8>,
    /// Segments that came before their turn, by sequence number.
    early: BTreeMap<u32, Vec<u8>>,
}

/// Takes a capture apart.
///
/// # Errors
/// [`ScanError::Capture`] for other formats (pcapng, for one). A capture cut off in the middle of a packet is read up
/// to there.
pub fn read(bytes: &[u8]) -> Result<Capture, ScanError> {
    let order = Order::of(bytes)?;
    let link = order.u32(bytes, 20).ok_or(ScanError::Capture("it ends within its header"))?;
    let mut directions = Directions::new();
    let (mut at, mut packets) = (24_usize, 0_usize);
    while let Some(length) = order.u32(bytes, at + 8).and_then(|length| usize::try_from(length).ok()) {
        let Some(frame) = bytes.get(at + 16..at + 16 + length) else { break };
        packets += 1;
        if let Some(found) = network_layer(link, frame).and_then(segment) {
            directions.entry(found.ends).or_default().add(found.sequence, found.opens, found.payload);
        }
        at += 16 + length;
    }
    Ok(sort_out(directions, packets))
}

fn sort_out(directions: Directions, packets: usize) -> Capture {
    let mut capture = Capture { packets, ..Capture::default() };
    let speaks_http = |key: &(End, End)| directions.get(key).is_some_and(|found| found.begins_as_http());
    for (key, direction) in &directions {
        if speaks_http(key) || speaks_http(&(key.1.clone(), key.0.clone())) {
            capture.http += 1;
            continue;
        }
        let mut payload = direction.payload.clone();
        direction.early.values().for_each(|segment| payload.extend_from_slice(segment));
        capture.libp2p += usize::from(payload.starts_with(b"\x13/multistream/1.0.0\n"));
        capture.between_nodes.push(payload);
    }
    capture
}

impl Direction {
    /// Puts a segment where it belongs; what was sent again is dropped.
    fn add(&mut self, sequence: u32, opens: bool, payload: &[u8]) {
        if opens {
            self.next = Some(sequence.wrapping_add(1));
        } else if !payload.is_empty() {
            self.early.insert(sequence, payload.to_vec());
            self.next.get_or_insert(sequence);
        }
        while let Some((sequence, segment)) = self.next.and_then(|next| self.take_due(next)) {
            let next = self.next.unwrap_or(sequence);
            let seen = usize::try_from(next.wrapping_sub(sequence)).unwrap_or(usize::MAX);
            if let Some(fresh) = segment.get(seen..).filter(|fresh| !fresh.is_empty()) {
                self.payload.extend_from_slice(fresh);
                self.next = Some(next.wrapping_add(u32::try_from(fresh.len()).unwrap_or(0)));
            }
        }
    }

    /// A waiting segment that starts at or before the next byte (sequence numbers wrap, RFC 9293, 3.4).
    fn take_due(&mut self, next: u32) -> Option<(u32, Vec<u8>)> {
        let due = *self.early.keys().find(|sequence| next.wrapping_sub(**sequence) < 1 << 31)?;
        self.early.remove_entry(&due)
    }

    fn begins_as_http(&self) -> bool {
        [b"GET /".as_slice(), b"POST /", b"PUT /", b"DELETE /", b"PATCH /", b"HEAD /"]
            .iter()
            .any(|method| self.payload.starts_with(method))
    }
}

/// The IP packet inside a frame.
fn network_layer(link: u32, frame: &[u8]) -> Option<&[u8]> {
    match link {
        1 => frame.get(14..),
        101 | 12 => Some(frame),
        113 => frame.get(16..),
        276 => frame.get(20..),
        _ => None,
    }
}

/// One TCP segment.
struct Segment<'a> {
    ends: (End, End),
    sequence: u32,
    /// Whether it opens the connection (SYN).
    opens: bool,
    payload: &'a [u8],
}

fn segment(packet: &[u8]) -> Option<Segment<'_>> {
    let (from, to, tcp) = match packet.first()? >> 4 {
        4 if packet.get(9) == Some(&6) => {
            let header = usize::from(packet.first()? & 15) * 4;
            let total = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?));
            // Length 0: the sender leaves the cutting to the network card, which loopback does not have.
            let end = if total == 0 { packet.len() } else { total.min(packet.len()) };
            (packet.get(12..16)?, packet.get(16..20)?, packet.get(header..end)?)
        }
        6 if packet.get(6) == Some(&6) => (packet.get(8..24)?, packet.get(24..40)?, packet.get(40..)?),
        _ => return None,
    };
    let port = |at: usize| Some(u16::from_be_bytes(tcp.get(at..at + 2)?.try_into().ok()?));
    let sequence = u32::from_be_bytes(tcp.get(4..8)?.try_into().ok()?);
    let payload = tcp.get(usize::from(tcp.get(12)? >> 4) * 4..)?;
    let opens = tcp.get(13)? & 2 != 0;
    let ends = ((from.to_vec(), port(0)?), (to.to_vec(), port(2)?));
    Some(Segment { ends, sequence, opens, payload })
}

/// Which end of a number comes first in this capture.
#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn of(bytes: &[u8]) -> Result<Self, ScanError> {
        match bytes.get(..4) {
            Some([0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1]) => Ok(Self::Little),
            Some([0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d]) => Ok(Self::Big),
            _ => Err(ScanError::Capture("its first bytes are not those of a libpcap file")),
        }
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let four = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(four),
            Self::Big => u32::from_be_bytes(four),
        })
    }
}

//! Limits of what is accepted, in one place, each with its reason.

/// A signed header in bytes: 8 reveals and every field at its widest come to about 760.
pub const HEADER_BYTES_MAX: usize = 1024;
/// A content in bytes: consent texts and lists of record ids fit; anything larger is an object.
pub const CONTENT_BYTES_MAX: usize = 64 * 1024;
/// A body in bytes: a content and up to 64 card signatures with their paths.
pub const BODY_BYTES_MAX: usize = CONTENT_BYTES_MAX + 64 * 1024;
/// A block in bytes: control bodies are rare, cuts are about 80 bytes a node.
pub const BLOCK_BYTES_MAX: usize = 1024 * 1024;
/// A gossip message in bytes: the largest that gossipsub carries without splitting badly.
pub const GOSSIP_BYTES_MAX: usize = 64 * 1024;
/// An answer to a request in bytes; longer lists come in pages.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Nesting of any CBOR; the types nest to 9.
pub const NESTING_MAX: usize = 16;
/// A stored segment in bytes, tag included: just under 1 MiB, because the database's pages are powers of two.
pub const SEGMENT_BYTES: usize = 1_048_064;
/// Segment ids in one manifest page: the page stays under 40 KiB.
pub const MANIFEST_PAGE_IDS: usize = 1024;
/// A record in bytes.
pub const RECORD_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;
/// Headers per block and organization: one organization cannot fill the blocks of all.
pub const HEADERS_PER_ORGANIZATION_MAX: usize = 2000;
/// Reveals in one header.
pub const REVEALS_MAX: usize = 8;
/// Entries that one content may stand on.
pub const STANDS_ON_MAX: usize = 64;
/// Clock skew that voters allow a proposer, in milliseconds.
pub const CLOCK_SKEW_MS_MAX: u64 = 5_000;
/// How far ahead of the block's time an entry may be signed, in milliseconds.
pub const SIGNED_AHEAD_MS_MAX: u64 = 5 * 60 * 1000;
/// Contents under one tap.
pub const TAP_CONTENTS_MAX: usize = 4096;
/// Validators in a set.
pub const VALIDATORS_MAX: usize = 64;
/// Members of a committee: more people than any hospital wakes at night.
pub const COMMITTEE_MEMBERS_MAX: u16 = 128;
/// Blocks that a ceremony of a committee may take: at one a second, half a year.
pub const CEREMONY_BLOCKS_MAX: u64 = 1 << 24;
/// A message of a ceremony in bytes: a dealing for the largest committee, each share sealed, comes to about 50,000.
pub const CEREMONY_BYTES_MAX: usize = 60 * 1024;
/// How long a release opens, at most, in milliseconds: a night's work; extending is a new request with a reason.
pub const EMERGENCY_MS_MAX: u64 = 4 * 60 * 60 * 1000;
/// Blocks after a request's `after` in which its release may become final: four hours at one a second.
pub const EMERGENCY_BLOCKS_MAX: u64 = 14_400;
/// Nodes that a search for a patient is sealed to, at most: each takes some 300 bytes of the 64 KiB of a content.
pub const SEARCH_NODES_MAX: usize = 128;
/// How long after a search a request may rest on it, in milliseconds: as long as a release opens.
pub const SEARCH_MS_MAX: u64 = EMERGENCY_MS_MAX;
/// How old the newest certified block may be where a hospital opens without a line: a month, within which a line is mended.
pub const OFFLINE_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1000;
/// How far consent may reach without a newer certified block, in milliseconds (policy may shorten it).
pub const LEASE_MS_DEFAULT: u64 = 72 * 60 * 60 * 1000;
/// Idle blocks come at this interval, in milliseconds.
pub const IDLE_BLOCK_MS: u64 = 60 * 60 * 1000;
/// Handover certificates are trusted for this long, in milliseconds.
pub const TRUST_PERIOD_MS: u64 = 90 * 24 * 60 * 60 * 1000;
/// Blocks that a node lacks before it asks for a state rather than for each block: some seconds of replay.
pub const SNAPSHOT_GAP_BLOCKS: u64 = 1_000;
/// A state in bytes, without its locks: a membership of some 100,000 people.
pub const STATE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of a state that come in one part.
pub const STATE_PART_BYTES: usize = 1024 * 1024;
/// Closed locks that come in one part: just over a megabyte.
pub const LOCKS_PART: usize = 32 * 1024;

/// How long the replacing of a lost card can be contested, where a federation sets nothing else: 24 hours.
pub const RECOVERY_DELAY_MS_DEFAULT: u64 = 24 * 60 * 60 * 1000;
/// And at most: a year, so that a notice ends.
pub const RECOVERY_DELAY_MS_MAX: u64 = 365 * 24 * 60 * 60 * 1000;
/// How long an erasure can be taken back, where a federation sets nothing else: 14 days, for second thoughts.
pub const COOLING_OFF_MS_DEFAULT: u64 = 14 * 24 * 60 * 60 * 1000;

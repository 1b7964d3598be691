//! A container that knows whether its content is whole.
//!
//! ```text
//! offset  0  "bantamck"      eight bytes that name the format
//!         8  1               version, u32, little-endian like all numbers here
//!        12  n               length of the content in bytes, u64
//!        20  …               the content
//!      20+n  checksum        CRC-32 (IEEE 802.3) of everything before it
//! ```
//!
//! A checkpoint that was cut short at any byte is recognised by its length; a checksum of 32 bits recognises every
//! change of up to 32 bits in a row (so every single flipped bit), and others but for one in four billion. It
//! protects from accidents, not from an adversary.

use core::fmt;
use crc32fast::Hasher;

/// The first bytes of every checkpoint.
pub const MAGIC: [u8; 8] = *b"bantamck";
/// The version that this crate writes, and the only one that it reads.
pub const VERSION: u32 = 1;
/// Bytes before the content.
pub const HEAD_LEN: usize = 20;
/// Bytes after the content.
pub const TAIL_LEN: usize = 4;

/// What is wrong with a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The first bytes are not those of a checkpoint.
    NotACheckpoint,
    /// Written by another version of the format.
    Version {
        /// The version found.
        found: u32,
    },
    /// Cut short.
    Truncated {
        /// Bytes of the whole checkpoint.
        expected: u64,
        /// Bytes there are.
        found: usize,
    },
    /// Longer than its header says.
    Trailing {
        /// Bytes of the whole checkpoint.
        expected: u64,
        /// Bytes there are.
        found: usize,
    },
    /// The content is not what was written.
    Checksum {
        /// The checksum that was written.
        expected: u32,
        /// The checksum of what is there.
        found: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotACheckpoint => f.write_str("not a checkpoint: it should begin with \"bantamck\""),
            Error::Version { found } => {
                write!(f, "the checkpoint has version {found} of the format, expected {VERSION}")
            }
            Error::Truncated { expected, found } => {
                write!(f, "the checkpoint is cut short: expected {expected} bytes, found {found}")
            }
            Error::Trailing { expected, found } => {
                write!(f, "the checkpoint is too long: expected {expected} bytes, found {found}")
            }
            Error::Checksum { expected, found } => {
                write!(f, "the checkpoint is damaged: expected checksum {expected:08x}, found {found:08x}")
            }
        }
    }
}

impl core::error::Error for Error {}

/// What has to be written before and after `content`, for writers without an allocator: head, content, tail.
///
/// ```
/// use bantam_store::checkpoint;
/// let (head, tail) = checkpoint::frame(b"parameters");
/// let whole = [&head[..], b"parameters", &tail[..]].concat();
/// assert_eq!(checkpoint::open(&whole), Ok(&b"parameters"[..]));
/// ```
pub fn frame(content: &[u8]) -> ([u8; HEAD_LEN], [u8; TAIL_LEN]) {
    let mut head = [0; HEAD_LEN];
    head[..8].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head[12..20].copy_from_slice(&(content.len() as u64).to_le_bytes());
    (head, checksum(&head, content).to_le_bytes())
}

fn checksum(head: &[u8], content: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(head);
    hasher.update(content);
    hasher.finalize()
}

/// The content of a checkpoint, after everything about it has been checked.
///
/// # Errors
/// What is wrong with it.
pub fn open(bytes: &[u8]) -> Result<&[u8], Error> {
    let found = bytes.len();
    let known = found.min(MAGIC.len());
    if found == 0 || bytes[..known] != MAGIC[..known] {
        return Err(Error::NotACheckpoint);
    }
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_LEN>() else {
        return Err(Error::Truncated { expected: (HEAD_LEN + TAIL_LEN) as u64, found });
    };
    let [.., v0, v1, v2, v3, n0, n1, n2, n3, n4, n5, n6, n7] = *head;
    let version = u32::from_le_bytes([v0, v1, v2, v3]);
    if version != VERSION {
        return Err(Error::Version { found: version });
    }
    let length = u64::from_le_bytes([n0, n1, n2, n3, n4, n5, n6, n7]);
    let expected = length.saturating_add((HEAD_LEN + TAIL_LEN) as u64);
    if (found as u64) < expected {
        return Err(Error::Truncated { expected, found });
    }
    if found as u64 > expected {
        return Err(Error::Trailing { expected, found });
    }
    let Some((content, tail)) = rest.split_last_chunk::<TAIL_LEN>() else {
        return Err(Error::Truncated { expected, found });
    };
    let (expected, found) = (u32::from_le_bytes(*tail), checksum(head, content));
    if expected == found { Ok(content) } else { Err(Error::Checksum { expected, found }) }
}

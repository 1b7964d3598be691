//! Checkpoints: every single flipped bit and every cut is noticed, without an allocator in the library.

use bantam_store::checkpoint::{Error, HEAD_LEN, TAIL_LEN, frame, open};
use proptest::prelude::*;

fn sealed(content: &[u8]) -> Vec<u8> {
    let (head, tail) = frame(content);
    [&head, content, &tail].concat()
}

#[test]
fn every_flipped_bit_is_noticed() {
    let whole = sealed(b"seventeen bytes..");
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let error = open(&damaged).expect_err("a flipped bit");
        match bit / 8 {
            0..8 => assert_eq!(error, Error::NotACheckpoint),
            8..12 => assert!(matches!(error, Error::Version { .. })),
            12..20 => assert!(matches!(error, Error::Truncated { .. } | Error::Trailing { .. })),
            _ => assert!(matches!(error, Error::Checksum { .. })),
        }
    }
}

#[test]
fn every_cut_is_noticed() {
    let whole = sealed(b"seventeen bytes..");
    assert_eq!(open(&[]), Err(Error::NotACheckpoint));
    for len in 1..whole.len() {
        let expected = if len < HEAD_LEN { HEAD_LEN + TAIL_LEN } else { whole.len() } as u64;
        assert_eq!(open(&whole[..len]), Err(Error::Truncated { expected, found: len }));
    }
    let longer = [&whole[..], &[0]].concat();
    assert_eq!(open(&longer), Err(Error::Trailing { expected: whole.len() as u64, found: longer.len() }));
}

#[test]
fn other_files_and_other_versions_say_so() {
    assert_eq!(open(b"PNG image, honestly").unwrap_err(), Error::NotACheckpoint);
    let mut newer = sealed(b"x");
    newer[8] = 2;
    assert_eq!(
        open(&newer).unwrap_err().to_string(),
        "the checkpoint has version 2 of the format, expected 1"
    );
    assert_eq!(
        open(&sealed(b"abc")[..25]).unwrap_err().to_string(),
        "the checkpoint is cut short: expected 27 bytes, found 25"
    );
    // A length that cannot be added to anything.
    let mut huge = sealed(b"x");
    huge[12..20].fill(0xff);
    assert!(matches!(open(&huge), Err(Error::Truncated { expected: u64::MAX, .. })));
}

#[test]
fn the_checksum_is_the_one_of_zip_and_png() {
    // The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms.
    assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    let (head, tail) = frame(b"123456789");
    assert_eq!(u32::from_le_bytes(tail), crc32fast::hash(&[&head[..], b"123456789"].concat()));
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(content in prop::collection::vec(any::<u8>(), 0..300)) {
        let whole = sealed(&content);
        prop_assert_eq!(open(&whole), Ok(&content[..]));
    }

    #[test]
    fn nonsense_is_never_accepted_and_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut bytes = bytes;
        prop_assert!(open(&bytes).is_err());
        let known = bytes.len().min(12);
        bytes[..known].copy_from_slice(&frame(b"").0[..known]);
        prop_assert!(open(&bytes).is_err());
    }
}

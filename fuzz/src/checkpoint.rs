//! Checkpoints and the tensors in them: a container opens exactly if its format says so, any bytes as its content come back,
//! and tensors that can be read can be written and read again with the same bits.

use crate::{Choices, Outcome};
use bantam_core::Shape;
use bantam_store::checkpoint;
use bantam_store::safetensors::{Tensors, Writer};

/// The first byte chooses what the others are: a whole container, or the content of one.
pub fn check(bytes: &[u8]) -> Outcome {
    let mut choices = Choices::new(bytes);
    let is_whole = choices.below(2) == 0;
    let bytes = choices.rest();
    if is_whole {
        let opened = checkpoint::open(bytes);
        assert_eq!(opened.ok(), second_reader(bytes), "{opened:?}");
        return match opened {
            Ok(content) => check_content(content),
            Err(_) => Outcome::Rejected,
        };
    }
    let (head, tail) = checkpoint::frame(bytes);
    let whole = [&head, bytes, &tail[..]].concat();
    assert_eq!(checkpoint::open(&whole), Ok(bytes));
    for end in 0..whole.len() {
        assert!(checkpoint::open(&whole[..end]).is_err(), "cut off at {end}");
    }
    check_content(bytes)
}

/// The content, by the description of the format alone.
fn second_reader(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(b"bantamck\x01\0\0\0")?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (content, sum) = (rest.get(..length)?, rest.get(length..)?);
    (sum == crc32(&bytes[..20 + length]).to_le_bytes()).then_some(content)
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = !0_u32;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    !sum
}

/// Accepted if there are tensors in it, all of which can be written and read again.
fn check_content(content: &[u8]) -> Outcome {
    let tensors = match Tensors::parse(content) {
        Ok(tensors) => tensors,
        Err(error) => {
            assert!(error.to_string().starts_with("not a safetensors file: "), "{error}");
            return Outcome::Rejected;
        }
    };
    let mut writer = Writer::new();
    let mut read = Vec::new();
    for name in tensors.names() {
        let dims = tensors.shape(&name).expect("a name that is there has a shape").to_vec();
        // Tensors of other types and of too many axes exist; asking for them is an error.
        let Ok(tensor) = tensors.tensor::<f32>(&name) else { continue };
        let shape = Shape::new(&dims).expect("what was read has few axes");
        let mut data = vec![0.0_f32; shape.len()];
        tensors
            .read_into(&name, shape, &mut data)
            .expect("what can be had as a tensor can be read into a slice");
        let bits = |data: &[f32]| data.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&data), bits(tensor.data()));
        assert!(tensors.read_into(&name, shape, &mut vec![0.0_f32; shape.len() + 1]).is_err());
        assert!(tensors.tensor::<f64>(&name).is_err(), "another type");
        if writer.tensor(&name, shape, &data).is_ok() {
            read.push((name, shape, bits(&data)));
        }
    }
    let written = writer.finish();
    let again = Tensors::parse(&written).expect("what was written can be read");
    assert_eq!(again.names().len(), read.len());
    for (name, shape, bits) in &read {
        let mut data = vec![0.0_f32; shape.len()];
        again.read_into(name, *shape, &mut data).expect("what was written can be read");
        assert!(data.iter().map(|number| number.to_bits()).eq(bits.iter().copied()));
    }
    if read.is_empty() { Outcome::Rejected } else { Outcome::Accepted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded;

    fn content() -> Vec<u8> {
        let mut writer = Writer::new();
        writer.metadata("step", "120").unwrap();
        writer
            .tensor("a.weight", Shape::of([2, 3]), &[1.0_f32, -0.0, f32::NAN, 3.5, 1e-40, f32::MAX])
            .unwrap();
        writer.tensor("b", Shape::SCALAR, &[7.0_f32]).unwrap();
        writer.tensor("counts", Shape::of([2]), &[1_u64, 2]).unwrap();
        writer.finish()
    }

    #[test]
    fn mutated_containers_and_contents() {
        let content = content();
        let (head, tail) = checkpoint::frame(&content);
        let seeds = [[&[0][..], &head, &content, &tail].concat(), [&[1], &content[..]].concat()];
        let (accepted, rejected) = seeded::mutations(&seeds, 8_000, check);
        assert!(accepted > 2_000 && rejected > 2_000, "{accepted} accepted, {rejected} rejected");
    }

    #[test]
    fn the_second_reader_knows_the_checksum() {
        // The check value that the catalogue of CRCs gives for this polynomial.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn random_bytes() {
        let (accepted, rejected) = seeded::random(64, 5_000, check);
        assert_eq!(accepted + rejected, 5_000);
    }
}

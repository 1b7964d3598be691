//! IDX arrays: any bytes either are a data set whose every sample can be read, or an error, as a second reader, written
//! from the format's description alone, says.

use crate::{Choices, Outcome};
use bantam_data::idx::IdxDataset;
use bantam_data::{Dataset, Target};

const CLASSES: usize = 10;

/// The first two bytes say where the images end and the labels begin; then come both.
pub fn check(bytes: &[u8]) -> Outcome {
    let mut choices = Choices::new(bytes);
    let split = usize::from(u16::from_be_bytes([choices.byte(), choices.byte()]));
    let rest = choices.rest();
    let (images, labels) = rest.split_at(split.min(rest.len()));
    let read = IdxDataset::new(images, labels, 255.0, CLASSES);
    let expected = second_reader(images, labels);
    let dataset = match (read, expected) {
        (Ok(dataset), Some(_)) => dataset,
        (Err((_, error)), None) => {
            assert!(!error.to_string().is_empty());
            return Outcome::Rejected;
        }
        (read, expected) => panic!("read {read:?}, but the format says {expected:?}"),
    };
    let (pixels, labels) = expected.unwrap_or_default();
    assert_eq!(dataset.len(), labels.len());
    assert_eq!(dataset.target(), Target::Classes(CLASSES));
    let size = dataset.features().len();
    assert_eq!(size * dataset.len(), pixels.len());
    let mut sample = vec![f32::NAN; size];
    for (index, (&label, pixels)) in labels.iter().zip(pixels.chunks_exact(size)).enumerate() {
        dataset.write_features(index, &mut sample).expect("a sample of the data set");
        // Division by 255 is rounded once: at most half a unit in the last place of 1 away.
        let same =
            |(written, pixel): (&f32, &u8)| (written - f32::from(*pixel) / 255.0).abs() <= f32::EPSILON;
        assert!(sample.iter().zip(pixels).all(same));
        assert_eq!(dataset.label(index), Ok(u32::from(label)));
    }
    assert!(dataset.label(labels.len()).is_err());
    assert!(dataset.write_features(labels.len(), &mut sample).is_err());
    Outcome::Accepted
}

/// The elements of both arrays, if they are what the format asks for.
fn second_reader<'a>(images: &'a [u8], labels: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (image_lengths, pixels) = array(images)?;
    let (label_lengths, label_values) = array(labels)?;
    let ranks_fit = (2..=bantam_core::MAX_RANK).contains(&image_lengths.len()) && label_lengths.len() == 1;
    let counts_fit = image_lengths.first() == label_lengths.first();
    let labels_fit = label_values.iter().all(|label| usize::from(*label) < CLASSES);
    (ranks_fit && counts_fit && labels_fit).then_some((pixels, label_values))
}

/// The lengths of the axes and the elements.
fn array(bytes: &[u8]) -> Option<(Vec<u64>, &[u8])> {
    let rank = match bytes {
        [0, 0, 8, rank, ..] => usize::from(*rank),
        _ => return None,
    };
    let header = bytes.get(4..4 + 4 * rank)?;
    let lengths: Vec<u64> =
        header.chunks_exact(4).map(|b| u64::from(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))).collect();
    let count = lengths.iter().try_fold(1_u64, |count, length| count.checked_mul(*length))?;
    let elements = &bytes[4 + 4 * rank..];
    (count > 0 && count == elements.len() as u64).then_some((lengths, elements))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded;

    /// Three images of two by two pixels, as `check` wants them.
    fn valid(image_axes: &[u8], classes: [u8; 3]) -> Vec<u8> {
        let mut images = vec![0, 0, 8, image_axes.len() as u8];
        image_axes.iter().for_each(|axis| images.extend([0, 0, 0, *axis]));
        images.extend((0..image_axes.iter().product()).map(|pixel: u8| pixel * 20));
        let mut bytes = (images.len() as u16).to_be_bytes().to_vec();
        bytes.extend(images);
        bytes.extend([0, 0, 8, 1, 0, 0, 0, 3]);
        bytes.extend(classes);
        bytes
    }

    #[test]
    fn mutated_arrays() {
        let seeds =
            [valid(&[3, 2, 2], [0, 9, 4]), valid(&[3, 4], [1, 1, 1]), valid(&[3, 1, 2, 2], [2, 0, 1])];
        let (accepted, rejected) = seeded::mutations(&seeds, 20_000, check);
        assert!(accepted > 5_000 && rejected > 5_000, "{accepted} accepted, {rejected} rejected");
    }

    #[test]
    fn random_bytes() {
        let (accepted, rejected) = seeded::random(64, 5_000, check);
        assert_eq!(accepted + rejected, 5_000);
    }
}

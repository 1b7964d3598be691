//! Orders and batches, with borrowed data and without an allocator in the library.

use bantam_core::random::{Key, Purpose};
use bantam_data::{Batches, Dataset, Error, Permutation, Sampler, Sequential, Shape, Shuffled, Target};
use proptest::prelude::*;

/// Sample i has features [i, -i], label i mod 3 and no values.
struct Counting(usize);

impl Dataset for Counting {
    fn len(&self) -> usize {
        self.0
    }
    fn features(&self) -> Shape {
        Shape::of([2])
    }
    fn target(&self) -> Target {
        Target::Classes(3)
    }
    fn write_features(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        out.copy_from_slice(&[index as f32, -(index as f32)]);
        Ok(())
    }
    fn label(&self, index: usize) -> Result<u32, Error> {
        Ok(index as u32 % 3)
    }
}

/// Sample i has the value i.
struct Values(usize);

impl Dataset for Values {
    fn len(&self) -> usize {
        self.0
    }
    fn features(&self) -> Shape {
        Shape::of([1])
    }
    fn target(&self) -> Target {
        Target::Values(Shape::of([1]))
    }
    fn write_features(&self, _index: usize, out: &mut [f32]) -> Result<(), Error> {
        out.fill(0.0);
        Ok(())
    }
    fn write_values(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        out[0] = index as f32;
        Ok(())
    }
}

#[test]
fn the_order_a_seed_gives_is_a_promise() {
    let order: Vec<usize> = (0..10).map(|i| Shuffled::new(42).index(3, i, 10)).collect();
    assert_eq!(order, PROMISED);
}
const PROMISED: [usize; 10] = [4, 6, 8, 9, 7, 1, 5, 0, 2, 3];

#[test]
fn every_length_is_permuted() {
    for len in 1..600 {
        let permutation = Permutation::new(Key::new(len as u64, Purpose::Shuffle), len);
        let mut seen = vec![false; len];
        for i in 0..len {
            let to = permutation.at(i);
            assert!(!core::mem::replace(&mut seen[to], true), "{to} twice in {len}");
        }
    }
    let huge = Permutation::new(Key::new(1, Purpose::Shuffle), usize::MAX);
    assert!(huge.at(5) != huge.at(6));
    assert_eq!(Permutation::new(Key::new(1, Purpose::Shuffle), 0).at(3), 3);
}

#[test]
fn every_position_goes_everywhere_equally_often_and_neighbours_part() {
    for len in [2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 17, 33] {
        let epochs = 10_000;
        let mut counts = vec![0_u32; len * len];
        let mut followed = vec![0_u32; len * len];
        for epoch in 0..epochs {
            let permutation = Permutation::new(Key::new(9, Purpose::Shuffle).step(epoch), len);
            for i in 0..len {
                counts[i * len + permutation.at(i)] += 1;
                if i + 1 < len {
                    followed[permutation.at(i) * len + permutation.at(i + 1)] += 1;
                }
            }
        }
        // Binomial(epochs, p) within five and a half standard deviations.
        let fair = |counts: &[u32], p: f64| {
            let (mean, deviation) = (epochs as f64 * p, (epochs as f64 * p * (1.0 - p)).sqrt());
            counts.iter().all(|&c| (f64::from(c) - mean).abs() <= 5.5 * deviation)
        };
        assert!(fair(&counts, 1.0 / len as f64), "positions of {len}: {counts:?}");
        let pairs: Vec<u32> =
            (0..len * len).filter(|ab| ab / len != ab % len).map(|ab| followed[ab]).collect();
        assert!(fair(&pairs, 1.0 / len as f64), "neighbours of {len}: {pairs:?}");
    }
}

#[test]
fn epochs_and_seeds_differ() {
    let order = |seed, epoch| (0..100).map(|i| Shuffled::new(seed).index(epoch, i, 100)).collect::<Vec<_>>();
    assert_ne!(order(1, 0), order(1, 1));
    assert_ne!(order(1, 0), order(2, 0));
    assert_eq!(order(1, 7), order(1, 7));
}

#[test]
fn wrong_sizes_are_errors() {
    assert_eq!(Batches::new(Sequential, 10, 0).err(), Some(Error::ZeroBatch));
    assert_eq!(Batches::new(Sequential, 0, 3).err(), Some(Error::NoRows));
    let large = Batches::new(Sequential, 10, 11).unwrap().drop_last();
    assert_eq!(large.err(), Some(Error::BatchTooLarge { batch: 11, rows: 10 }));
    let batches = Batches::new(Sequential, 10, 4).unwrap();
    let short = batches.write_features(&Counting(10), 0, 0, &mut [0.0; 7]);
    assert_eq!(short, Err(Error::Length { what: "features", expected: 8, found: 7 }));
    assert_eq!(
        batches.write_labels(&Counting(10), 0, 0, &mut [0; 3]),
        Err(Error::Length { what: "labels", expected: 4, found: 3 })
    );
    assert_eq!(batches.write_values(&Counting(10), 0, 0, &mut [0.0; 9]), Err(Error::NoValues));
    assert_eq!(batches.write_labels(&Values(10), 0, 0, &mut [0; 9]), Err(Error::NoLabels));
    assert_eq!(Counting(3).rows(1..4).err(), Some(Error::Index { index: 3, len: 3 }));
    assert_eq!(Counting(3).rows(1..1).err(), Some(Error::NoRows));
}

#[test]
fn values_and_ranges_arrive_in_order() {
    let data = Values(10).rows(4..9).unwrap();
    let batches = Batches::new(Sequential, data.len(), 3).unwrap();
    let mut out = [0.0; 3];
    assert_eq!(batches.write_values(&data, 0, 1, &mut out), Ok(2));
    assert_eq!(out[..2], [7.0, 8.0]);
    assert_eq!(batches.write_values(&data, 0, 2, &mut out), Ok(0));
}

proptest! {
    #[test]
    fn an_epoch_has_every_sample_once(len in 1_usize..200, size in 1_usize..70, epoch in any::<u64>(), seed in any::<u64>()) {
        let data = Counting(len);
        let batches = Batches::new(Shuffled::new(seed), len, size).unwrap();
        let (mut features, mut labels) = (vec![0.0; 2 * size], vec![0; size]);
        let mut seen = Vec::new();
        for batch in 0..batches.per_epoch() {
            let rows = batches.write_features(&data, epoch, batch, &mut features).unwrap();
            prop_assert_eq!(batches.write_labels(&data, epoch, batch, &mut labels), Ok(rows));
            prop_assert_eq!(rows, batches.rows(batch));
            prop_assert!(rows == size || batch == batches.per_epoch() - 1);
            for (pair, label) in features.chunks(2).zip(&labels).take(rows) {
                prop_assert_eq!(pair[0], -pair[1]);
                prop_assert_eq!(*label, pair[0] as u32 % 3);
                seen.push(pair[0] as usize);
            }
        }
        prop_assert_eq!(batches.rows(batches.per_epoch()), 0);
        seen.sort_unstable();
        prop_assert!(seen.into_iter().eq(0..len));
        if size <= len {
            let complete = batches.drop_last().unwrap();
            prop_assert_eq!(complete.per_epoch(), len / size);
            prop_assert!((0..complete.per_epoch()).all(|batch| complete.rows(batch) == size));
            // Dropping changes no other batch.
            prop_assert!(batches.indices(epoch, 0).eq(complete.indices(epoch, 0)));
        }
    }
}

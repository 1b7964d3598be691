//! Splits, folds, normalisation and generated data.
#![cfg(feature = "alloc")]

use bantam_data::{
    Dataset, Error, InMemory, InOrder, Normalize, Random, Split, Stratified, Subset, Target, moons, spirals,
    xor,
};
use bantam_tensor::Tensor;
use proptest::prelude::*;

/// One feature, the row's number, and these labels.
fn labelled(labels: &[u32], classes: usize) -> InMemory {
    let features = Tensor::from_fn([labels.len(), 1], |i| i[0] as f32);
    InMemory::classification(features, labels.to_vec(), classes).unwrap()
}

fn counts<D: Dataset>(part: &Subset<D>, classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    (0..part.len()).for_each(|row| counts[part.label(row).unwrap() as usize] += 1);
    counts
}

#[test]
fn wrong_tables_are_errors() {
    let table = |data: Vec<f32>, rows, columns| Tensor::from_vec(data, [rows, columns]).unwrap();
    let classify = |table, labels: &[u32]| InMemory::classification(table, labels.to_vec(), 2).err();
    assert_eq!(classify(table(vec![], 0, 3), &[]), Some(Error::NoRows));
    assert_eq!(classify(table(vec![], 3, 0), &[0; 3]), Some(Error::NoFeatures));
    assert_eq!(
        classify(table(vec![0.0; 4], 2, 2), &[0]),
        Some(Error::Length { what: "labels", expected: 2, found: 1 })
    );
    assert_eq!(
        classify(table(vec![0.0; 4], 2, 2), &[0, 2]),
        Some(Error::Label { row: 1, label: 2, classes: 2 })
    );
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(
            classify(table(vec![0.0, 1.0, 2.0, bad], 2, 2), &[0, 1]),
            Some(Error::NonFinite { row: 1, column: 1 })
        );
    }
    assert_eq!(
        InMemory::regression(table(vec![0.0; 4], 2, 2), table(vec![0.0; 3], 3, 1)).err(),
        Some(Error::Length { what: "rows of target values", expected: 2, found: 3 })
    );
    let data = labelled(&[0, 1], 2);
    assert_eq!(data.write_features(2, &mut [0.0]), Err(Error::Index { index: 2, len: 2 }));
    assert_eq!(
        data.write_features(0, &mut [0.0; 2]),
        Err(Error::Length { what: "features", expected: 1, found: 2 })
    );
}

#[test]
fn wrong_splits_are_errors() {
    let data = labelled(&[0, 0, 0, 1, 1, 1, 2], 3);
    let split = |how: Split<2>| (&data).split(how, 1).err();
    assert_eq!(split(Random([0.0, 1.0])), Some(Error::Fraction { found: 0.0 }));
    assert_eq!(split(Random([1.5, -0.5])), Some(Error::Fraction { found: 1.5 }));
    assert!(matches!(split(Random([f64::NAN, 0.5])), Some(Error::Fraction { .. })));
    assert_eq!(split(Random([0.5, 0.25])), Some(Error::Fraction { found: 0.75 }));
    assert_eq!(split(Stratified([0.5, 0.5])), Some(Error::ClassTooSmall { class: 2, rows: 1, parts: 2 }));
    let one = labelled(&[0], 1);
    assert_eq!((&one).split(InOrder([0.5, 0.5]), 1).err(), Some(Error::PartTooSmall { rows: 1, parts: 2 }));
    assert_eq!((&data).k_fold(1, 1).err(), Some(Error::Folds { folds: 1, rows: 7 }));
    assert_eq!((&data).k_fold(8, 1).err(), Some(Error::Folds { folds: 8, rows: 7 }));
    assert_eq!(
        (&data).stratified_k_fold(3, 1).err(),
        Some(Error::ClassTooSmall { class: 2, rows: 1, parts: 3 })
    );
    let numbers = Tensor::from_fn([4, 1], |i| i[0] as f32);
    let regression = InMemory::regression(numbers.clone(), numbers).unwrap();
    assert_eq!((&regression).split(Stratified([0.5, 0.5]), 1).err(), Some(Error::NoLabels));
    assert!((&regression).split(Random([0.5, 0.5]), 1).is_ok());
    assert_eq!(Subset::new(&data, vec![7]).err(), Some(Error::Index { index: 7, len: 7 }));
    assert_eq!(Subset::new(&data, vec![]).err(), Some(Error::NoRows));
}

#[test]
fn a_class_without_samples_is_no_obstacle() {
    let data = labelled(&[0, 2, 0, 2], 4);
    let [a, b] = (&data).split(Stratified([0.5, 0.5]), 3).unwrap();
    assert_eq!((counts(&a, 4), counts(&b, 4)), (vec![1, 0, 1, 0], vec![1, 0, 1, 0]));
    assert_eq!((&data).stratified_k_fold(2, 3).unwrap().len(), 2);
}

#[cfg(feature = "digits")]
#[test]
fn the_digits_split_as_asked() {
    let [train, test] = bantam_data::digits().split(Stratified([0.8, 0.2]), 42).unwrap();
    assert_eq!((train.len(), test.len()), (1438, 359));
    let [again, _] = bantam_data::digits().split(Stratified([0.8, 0.2]), 42).unwrap();
    let [other, _] = bantam_data::digits().split(Stratified([0.8, 0.2]), 43).unwrap();
    assert_eq!(train.indices(), again.indices());
    assert_ne!(train.indices(), other.indices());
    let all = counts(&train, 10).into_iter().zip(counts(&test, 10));
    assert!(all.clone().all(|(a, b)| ((a + b) as f64 * 0.8 - a as f64).abs() <= 1.0), "{all:?}");
}

#[test]
fn in_order_keeps_the_order() {
    let data = labelled(&[0; 10], 1);
    let [a, b, c] = (&data).split(InOrder([0.5, 0.3, 0.2]), 0).unwrap();
    assert_eq!((a.indices(), b.indices(), c.indices()), (&[0, 1, 2, 3, 4][..], &[5, 6, 7][..], &[8, 9][..]));
}

proptest! {
    #[test]
    fn parts_are_disjoint_complete_and_of_the_right_size(
        labels in prop::collection::vec(0_u32..3, 12..80),
        first in 0.1_f64..0.8,
        seed in any::<u64>(),
    ) {
        // Each class at least three times, as many as there are parts.
        let labels = [&[0, 1, 2, 0, 1, 2, 0, 1, 2][..], &labels].concat();
        let data = labelled(&labels, 3);
        let fractions = [first, (1.0 - first) / 2.0, (1.0 - first) / 2.0];
        for how in [Stratified(fractions), Random(fractions), InOrder(fractions)] {
            let parts = (&data).split(how, seed).unwrap();
            let mut all: Vec<usize> = parts.iter().flat_map(|p| p.indices().to_vec()).collect();
            all.sort_unstable();
            prop_assert!(all.into_iter().eq(0..labels.len()));
            for (part, fraction) in parts.iter().zip(fractions) {
                // Two roundings of cumulative sizes, and one sample that a class may owe an empty part.
                let off = (part.len() as f64 - fraction * labels.len() as f64).abs();
                prop_assert!(off <= if matches!(how, Stratified(_)) { 4.0 } else { 1.0 + 1e-9 }, "{how:?}: {off}");
                if matches!(how, Stratified(_)) {
                    for (class, count) in counts(part, 3).into_iter().enumerate() {
                        let rows = labels.iter().filter(|&&l| l as usize == class).count() as f64;
                        prop_assert!(count >= 1 && (count as f64 - fraction * rows).abs() <= 2.0 + 1e-9);
                    }
                }
            }
        }
    }

    #[test]
    fn folds_cover_every_sample_once(
        labels in prop::collection::vec(0_u32..3, 0..60),
        folds in 2_usize..6,
        seed in any::<u64>(),
    ) {
        let labels: Vec<u32> = (0..18).map(|i| i % 3).chain(labels).collect();
        let data = labelled(&labels, 3);
        for stratified in [false, true] {
            let pairs = if stratified { (&data).stratified_k_fold(folds, seed) } else { (&data).k_fold(folds, seed) };
            let pairs = pairs.unwrap();
            prop_assert_eq!(pairs.len(), folds);
            let mut validated: Vec<usize> = pairs.iter().flat_map(|[_, v]| v.indices().to_vec()).collect();
            validated.sort_unstable();
            prop_assert!(validated.into_iter().eq(0..labels.len()));
            for [train, validation] in &pairs {
                let mut both = [train.indices(), validation.indices()].concat();
                both.sort_unstable();
                prop_assert!(both.into_iter().eq(0..labels.len()));
                prop_assert!(validation.len().abs_diff(labels.len() / folds) <= 1);
            }
            if stratified {
                for class in 0..3 {
                    let in_fold = pairs.iter().map(|[_, v]| counts(v, 3)[class]);
                    prop_assert!(in_fold.clone().max().unwrap() - in_fold.min().unwrap() <= 1);
                }
            }
        }
    }

    #[test]
    fn normalising_gives_mean_0_and_deviation_1(
        rows in prop::collection::vec(prop::array::uniform2(-1e3_f32..1e3), 2..50),
        offset in -1e4_f32..1e4,
    ) {
        let n = rows.len();
        // Three columns: at random, far from 0, constant.
        let data: Vec<f32> = rows.iter().flat_map(|&[a, b]| [a, b + offset, 0.1]).collect();
        let table = Tensor::from_vec(data, [n, 3]).unwrap();
        let data = InMemory::classification(table, vec![0; n], 1).unwrap();
        let column = |data: &dyn Dataset, c: usize| -> Vec<f64> {
            let mut row = [0.0; 3];
            (0..n).map(|i| { data.write_features(i, &mut row).unwrap(); f64::from(row[c]) }).collect()
        };
        let standard = Normalize::standard(&data).unwrap();
        let normal = standard.apply(&data).unwrap();
        for c in 0..2 {
            let x = column(&normal, c);
            let mean = x.iter().sum::<f64>() / n as f64;
            let deviation = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
            // The shift is rounded to f32 by up to 2^-24 of 11000, divided by the scale; then each x by 2^-24
            // relative.
            let rounding = 11_000.0 * 2_f64.powi(-24) / f64::from(standard.scale()[c]) + 1e-6;
            prop_assert!(mean.abs() <= rounding, "mean {mean}");
            prop_assert!((deviation - 1.0).abs() <= 1e-5 || rounding > 1e-4, "deviation {deviation}");
        }
        let range = Normalize::min_max(&data).unwrap().apply(&data).unwrap();
        for c in 0..2 {
            let x = column(&range, c);
            prop_assert!(x.iter().all(|x| (0.0..=1.0).contains(x)));
            prop_assert!(x.contains(&0.0) && (x.contains(&1.0) || column(&data, c).windows(2).all(|w| w[0] == w[1])));
        }
        // A constant column must not be divided by its spread, be it 0 or a rounding error.
        let tiny = 0.1 * 2_f64.powi(-23);
        prop_assert!(column(&normal, 2).iter().chain(&column(&range, 2)).all(|x| x.abs() <= tiny));
    }
}

#[test]
fn what_was_fitted_on_one_part_is_applied_to_another() {
    let train = labelled(&[0; 5], 1); // 0, 1, 2, 3, 4: mean 2, deviation √2
    let normalize = Normalize::standard(&train).unwrap();
    assert_eq!((normalize.shift(), normalize.scale()), (&[2.0][..], &[2_f32.sqrt()][..]));
    let far = InMemory::classification(Tensor::full([1, 1], 12.0), vec![0], 1).unwrap();
    let mut x = [0.0];
    normalize.apply(&far).unwrap().write_features(0, &mut x).unwrap();
    assert_eq!(x, [10.0 / 2_f32.sqrt()]);
    let restored = Normalize::from_parts(normalize.shift().to_vec(), normalize.scale().to_vec()).unwrap();
    assert_eq!(restored, normalize);

    let wide = InMemory::classification(Tensor::zeros([1, 2]), vec![0], 1).unwrap();
    assert_eq!(normalize.apply(&wide).err(), Some(Error::Length { what: "features", expected: 1, found: 2 }));
    assert_eq!(Normalize::from_parts(vec![0.0], vec![0.0]), Err(Error::NonFinite { row: 1, column: 0 }));
    assert!(Normalize::from_parts(vec![0.0], vec![]).is_err());
}

#[test]
fn generated_problems_are_balanced_seeded_and_where_they_should_be() {
    for make in [|s| moons(100, 0.0, s), |s| spirals(100, 0.0, s), |s| xor(100, s)] {
        let (a, b, c) = (make(1).unwrap(), make(1).unwrap(), make(2).unwrap());
        assert_eq!(a.table(), b.table());
        assert_ne!(a.table(), c.table());
        assert_eq!(a.target(), Target::Classes(2));
        assert_eq!((0..100).map(|row| a.label(row).unwrap()).sum::<u32>(), 50);
    }
    let data = xor(200, 5).unwrap();
    for (row, point) in data.table().data().chunks(2).enumerate() {
        assert_eq!(data.label(row).unwrap() == 1, (point[0] < 0.0) != (point[1] < 0.0));
    }
    let data = moons(200, 0.0, 5).unwrap();
    for (row, p) in data.table().data().chunks(2).enumerate() {
        let (x, y) = if data.label(row) == Ok(0) { (p[0], p[1]) } else { (1.0 - p[0], 0.5 - p[1]) };
        assert!(((x * x + y * y) - 1.0).abs() < 1e-5 && y > -1e-5);
    }
    // With noise the distance from the half circle has the standard deviation asked for, to within a tenth: five
    // standard errors of 4000 numbers are 0.056.
    let noisy = moons(4000, 0.1, 6).unwrap();
    let clean = moons(4000, 0.0, 6).unwrap();
    let squares =
        noisy.table().data().iter().zip(clean.table().data()).map(|(a, b)| f64::from(a - b).powi(2));
    assert!(((squares.sum::<f64>() / 8000.0).sqrt() - 0.1).abs() < 0.01);
    assert_eq!(moons(1, 0.0, 1).err(), Some(Error::NoRows));
    assert!(matches!(moons(10, f32::NAN, 1).err(), Some(Error::NonFinite { .. })));
}

//! Parts of a data set: training, validation and test, and the folds of cross-validation.

use crate::{Dataset, Error, Target};
use alloc::vec;
use alloc::vec::Vec;
use bantam_core::Shape;
use bantam_core::random::{Key, Purpose, shuffle};

/// How samples are dealt to N parts, by the fraction that each part gets. The fractions add up to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Split<const N: usize> {
    /// At random, with every class as frequent in each part as it is in all samples. The choice for classification.
    Stratified([f64; N]),
    /// At random.
    Random([f64; N]),
    /// As they lie, the first part first. The choice where samples follow each other in time.
    InOrder([f64; N]),
}

/// Some of a data set's samples, in the order of the whole. Made by [`Dataset::split`] and the k-folds.
#[derive(Clone, Debug)]
pub struct Subset<D> {
    dataset: D,
    indices: Vec<usize>,
}

impl<D: Dataset> Subset<D> {
    /// The samples with these numbers, in this order.
    ///
    /// # Errors
    /// [`Error::NoRows`] without any, [`Error::Index`] if one does not exist.
    pub fn new(dataset: D, indices: Vec<usize>) -> Result<Subset<D>, Error> {
        let len = dataset.len();
        match indices.iter().find(|&&index| index >= len) {
            Some(&index) => Err(Error::Index { index, len }),
            None if indices.is_empty() => Err(Error::NoRows),
            None => Ok(Subset { dataset, indices }),
        }
    }

    /// Which samples of the whole these are.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// The whole.
    pub fn dataset(&self) -> &D {
        &self.dataset
    }

    fn at(&self, index: usize) -> Result<usize, Error> {
        self.indices.get(index).copied().ok_or(Error::Index { index, len: self.indices.len() })
    }
}

impl<D: Dataset> Dataset for Subset<D> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn features(&self) -> Shape {
        self.dataset.features()
    }

    fn target(&self) -> Target {
        self.dataset.target()
    }

    fn write_features(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.dataset.write_features(self.at(index)?, out)
    }

    fn label(&self, index: usize) -> Result<u32, Error> {
        self.dataset.label(self.at(index)?)
    }

    fn write_values(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.dataset.write_values(self.at(index)?, out)
    }

    fn class_name(&self, class: u32) -> Option<&str> {
        self.dataset.class_name(class)
    }
}

/// The samples of each class, each class in random order. A class without samples has an empty list.
fn by_class(dataset: &impl Dataset, key: Key) -> Result<Vec<Vec<usize>>, Error> {
    let Target::Classes(classes) = dataset.target() else { return Err(Error::NoLabels) };
    let mut members = vec![Vec::new(); classes];
    for row in 0..dataset.len() {
        let label = dataset.label(row)?;
        members.get_mut(label as usize).ok_or(Error::Label { row, label, classes })?.push(row);
    }
    for (class, rows) in members.iter_mut().enumerate() {
        shuffle(&mut key.node(class as u64).stream(), rows);
    }
    Ok(members)
}

/// All samples as a single group, in random order.
fn all_shuffled(len: usize, key: Key) -> Vec<Vec<usize>> {
    let mut rows: Vec<usize> = (0..len).collect();
    shuffle(&mut key.stream(), &mut rows);
    vec![rows]
}

/// Turns the samples of each part into a data set. Ascending order reads memory forward; shuffling is a sampler's
/// work.
fn subset<D: Dataset>(dataset: D, mut indices: Vec<usize>) -> Subset<D> {
    indices.sort_unstable();
    Subset { dataset, indices }
}

pub(crate) fn split<D: Dataset + Clone, const N: usize>(
    dataset: D,
    how: Split<N>,
    seed: u64,
) -> Result<[Subset<D>; N], Error> {
    let (Split::Stratified(fractions) | Split::Random(fractions) | Split::InOrder(fractions)) = how;
    // A single part of 1 is no split, but harmless.
    if let Some(&found) = fractions.iter().find(|f| !(**f > 0.0 && (**f < 1.0 || N == 1))) {
        return Err(Error::Fraction { found });
    }
    let sum: f64 = fractions.iter().sum();
    if (sum - 1.0).abs() > 1e-9 {
        return Err(Error::Fraction { found: sum });
    }
    let rows = dataset.len();
    if rows == 0 {
        return Err(Error::NoRows);
    }
    let key = Key::new(seed, Purpose::Split);
    let groups = match how {
        Split::Stratified(_) => by_class(&dataset, key)?,
        Split::Random(_) => all_shuffled(rows, key),
        Split::InOrder(_) => vec![(0..rows).collect()],
    };

    // The groups lie one after the other. A part's share of the group at start..end ends where the cumulative
    // fraction of `end` rounds to, minus where that of `start` rounds to: each group is right to within one sample,
    // and so is the total, because the roundings do not add up. A group that has enough samples leaves no part empty.
    let mut parts: [Vec<usize>; N] = core::array::from_fn(|_| Vec::new());
    let mut start = 0;
    for (class, group) in groups.iter().enumerate().filter(|(_, group)| !group.is_empty()) {
        if group.len() < N {
            return Err(match how {
                Split::Stratified(_) => {
                    Error::ClassTooSmall { class: class as u32, rows: group.len(), parts: N }
                }
                _ => Error::PartTooSmall { rows, parts: N },
            });
        }
        let end = start + group.len();
        let (mut cumulative, mut taken) = (0.0, 0);
        for (p, (part, fraction)) in parts.iter_mut().zip(fractions).enumerate() {
            let parts_after = N - 1 - p;
            cumulative += fraction;
            let share = round(cumulative * end as f64).saturating_sub(round(cumulative * start as f64));
            let upto = if parts_after == 0 {
                group.len()
            } else {
                share.clamp(taken + 1, group.len() - parts_after)
            };
            part.extend_from_slice(&group[taken..upto]);
            taken = upto;
        }
        start = end;
    }
    Ok(parts.map(|part| subset(dataset.clone(), part)))
}

/// The nearest integer of a number that is not negative.
fn round(x: f64) -> usize {
    (x + 0.5) as usize
}

pub(crate) fn k_fold<D: Dataset + Clone>(
    dataset: D,
    folds: usize,
    stratified: bool,
    seed: u64,
) -> Result<Vec<[Subset<D>; 2]>, Error> {
    let rows = dataset.len();
    if folds < 2 || folds > rows {
        return Err(Error::Folds { folds, rows });
    }
    let key = Key::new(seed, Purpose::Split);
    let groups = if stratified { by_class(&dataset, key)? } else { all_shuffled(rows, key) };

    // Samples are dealt out like cards, each class going on where the last one stopped: no fold has more than one
    // sample more than another, neither of a class nor in total.
    let mut fold_of = vec![0; rows];
    let mut dealt = 0;
    for (class, group) in groups.iter().enumerate() {
        if !group.is_empty() && group.len() < folds {
            return Err(Error::ClassTooSmall { class: class as u32, rows: group.len(), parts: folds });
        }
        for &row in group {
            fold_of[row] = dealt % folds;
            dealt += 1;
        }
    }
    let part = |wanted: &dyn Fn(usize) -> bool| {
        subset(dataset.clone(), (0..rows).filter(|&row| wanted(fold_of[row])).collect())
    };
    Ok((0..folds).map(|fold| [part(&|f| f != fold), part(&|f| f == fold)]).collect())
}

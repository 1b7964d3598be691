//! Which samples make a batch, and their way into a session's input.

use crate::{Dataset, Error, Sampler, Target};
use core::ops::Range;

/// Divides every epoch into batches, in the order of a [`Sampler`].
///
/// It holds no data and no position. Batch `b` of epoch `e` is always the same, so a run that was interrupted goes on
/// from the two numbers. The last batch of an epoch holds what is left, unless [`drop_last`](Self::drop_last) leaves
/// it out.
#[derive(Clone, Copy, Debug)]
pub struct Batches<S> {
    sampler: S,
    len: usize,
    size: usize,
    drop_last: bool,
}

impl<S: Sampler> Batches<S> {
    /// Batches of `size` out of `len` samples.
    ///
    /// # Errors
    /// [`Error::NoRows`], [`Error::ZeroBatch`].
    pub fn new(sampler: S, len: usize, size: usize) -> Result<Batches<S>, Error> {
        if len == 0 {
            return Err(Error::NoRows);
        }
        if size == 0 {
            return Err(Error::ZeroBatch);
        }
        Ok(Batches { sampler, len, size, drop_last: false })
    }

    /// Leaves out the last batch of every epoch if it is not complete.
    ///
    /// # Errors
    /// [`Error::BatchTooLarge`] if no batch would be left.
    pub fn drop_last(mut self) -> Result<Batches<S>, Error> {
        if self.size > self.len {
            return Err(Error::BatchTooLarge { batch: self.size, rows: self.len });
        }
        self.drop_last = true;
        Ok(self)
    }

    /// The number of batches in an epoch, at least 1.
    pub fn per_epoch(&self) -> usize {
        if self.drop_last { self.len / self.size } else { self.len.div_ceil(self.size) }
    }

    /// Samples in a batch other than a last, incomplete one.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The number of samples in batch `batch`; 0 past the end of the epoch.
    pub fn rows(&self, batch: usize) -> usize {
        self.positions(batch).len()
    }

    fn positions(&self, batch: usize) -> Range<usize> {
        if batch >= self.per_epoch() {
            return 0..0;
        }
        let start = batch * self.size;
        start..(start + self.size).min(self.len)
    }

    /// The samples of batch `batch` in epoch `epoch`; none past the end of the epoch.
    pub fn indices(&self, epoch: u64, batch: usize) -> impl ExactSizeIterator<Item = usize> {
        self.positions(batch).map(move |i| self.sampler.index(epoch, i, self.len))
    }

    /// Writes the features of a batch, sample after sample, to the start of `out`, and returns how many samples it
    /// has.
    ///
    /// # Errors
    /// [`Error::Length`] if the batch does not fit into `out`, and the data set's own errors.
    pub fn write_features<D: Dataset + ?Sized>(
        &self,
        dataset: &D,
        epoch: u64,
        batch: usize,
        out: &mut [f32],
    ) -> Result<usize, Error> {
        let width = dataset.features().len();
        self.write(epoch, batch, "features", width, out, |index, out| dataset.write_features(index, out))
    }

    /// Writes the labels of a batch to the start of `out`, and returns how many samples it has.
    ///
    /// # Errors
    /// As for [`write_features`](Self::write_features); [`Error::NoLabels`] if the targets are values.
    pub fn write_labels<D: Dataset + ?Sized>(
        &self,
        dataset: &D,
        epoch: u64,
        batch: usize,
        out: &mut [u32],
    ) -> Result<usize, Error> {
        self.write(epoch, batch, "labels", 1, out, |index, out| {
            out[0] = dataset.label(index)?;
            Ok(())
        })
    }

    /// Writes the target values of a batch, sample after sample, to the start of `out`, and returns how many samples
    /// it has.
    ///
    /// # Errors
    /// As for [`write_features`](Self::write_features); [`Error::NoValues`] if the targets are classes.
    pub fn write_values<D: Dataset + ?Sized>(
        &self,
        dataset: &D,
        epoch: u64,
        batch: usize,
        out: &mut [f32],
    ) -> Result<usize, Error> {
        let Target::Values(shape) = dataset.target() else { return Err(Error::NoValues) };
        self.write(epoch, batch, "target values", shape.len(), out, |index, out| {
            dataset.write_values(index, out)
        })
    }

    fn write<T>(
        &self,
        epoch: u64,
        batch: usize,
        what: &'static str,
        width: usize,
        out: &mut [T],
        sample: impl Fn(usize, &mut [T]) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        let rows = self.rows(batch);
        let found = out.len();
        let out = out.get_mut(..rows * width).ok_or(Error::Length { what, expected: rows * width, found })?;
        for (row, index) in self.indices(epoch, batch).enumerate() {
            sample(index, &mut out[row * width..(row + 1) * width])?;
        }
        Ok(rows)
    }
}

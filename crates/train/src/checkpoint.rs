//! The complete state of a run as bytes: parameters, optimizer state, counters, history and the best parameters so far.
//!
//! The format is safetensors, so a checkpoint can be looked into with any tool that reads those.

use crate::{
    EpochRecord, Error, Network, Trainer,
    progress::{Best, Identity, Progress},
};
use alloc::{boxed::Box, format, string::String, vec, vec::Vec};
use bantam_core::Shape;
use bantam_store::safetensors::{Tensors, Writer};

/// The numbers of an [`EpochRecord`], absent ones as NaN.
const COLUMNS: usize = 7;
/// Where the run stands.
const COUNTERS: usize = 8;

impl<'a> Trainer<'a> {
    /// Gives `sink` the complete state of the run after each epoch and when the observer ends the run.
    /// [`resume`](Self::resume) goes on from any of them with the same bits as if nothing had happened.
    #[must_use]
    pub fn checkpoint(mut self, mut sink: impl FnMut(&[u8]) -> Result<(), Error> + 'a) -> Self {
        self.keep =
            Some(Box::new(move |network, progress, identity| sink(&save(network, progress, identity)?)));
        self
    }

    /// Keeps the latest checkpoint in a file, which is replaced at once or not at all.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn checkpoint_file(self, path: impl Into<std::path::PathBuf>) -> Self {
        let path = path.into();
        self.checkpoint(move |content| Ok(bantam_store::file::write_checkpoint(&path, content)?))
    }

    /// Goes on from a checkpoint file.
    ///
    /// # Errors
    /// The file cannot be read, or is cut short or damaged.
    #[cfg(feature = "std")]
    pub fn resume_file(self, path: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        let content = bantam_store::file::read_checkpoint(path)?;
        Ok(self.resume(content))
    }

    /// Goes on from a checkpoint.
    #[must_use]
    pub fn resume(mut self, checkpoint: Vec<u8>) -> Self {
        self.restore = Some(Box::new(move |network, identity| restore(&checkpoint, network, identity)));
        self
    }
}

impl Identity {
    fn entries(&self) -> [(&'static str, u64); 5] {
        [
            ("seed", self.seed),
            ("batch", self.batch as u64),
            ("micro-batch", self.micro_batch as u64),
            ("training samples", self.samples as u64),
            ("batches per epoch", self.batches_per_epoch as u64),
        ]
    }
}

fn save(network: &Network<'_>, progress: &Progress, identity: &Identity) -> Result<Vec<u8>, Error> {
    let mut writer = Writer::new();
    for (name, value) in identity.entries() {
        writer.metadata(name, &format!("{value}"))?;
    }
    for (index, (path, shape, values)) in network.parameters().enumerate() {
        writer.tensor(&format!("parameter/{path}"), shape, values)?;
        let state = network.session.optimizer_state(index);
        writer.tensor(&format!("optimizer/{path}"), Shape::of([state.len()]), state)?;
        if let Some(best) = progress.best.as_ref().and_then(|best| best.parameters.get(index)) {
            writer.tensor(&format!("best/{path}"), shape, best)?;
        }
    }
    let counters: [u64; COUNTERS] = [
        network.session.steps(),
        network.session.updates(),
        progress.epoch,
        progress.batch,
        progress.correct,
        progress.samples,
        progress.stale,
        progress.best.as_ref().map_or(0, |best| best.epoch),
    ];
    writer.tensor("counters", Shape::of([counters.len()]), &counters)?;
    let sums = [progress.loss_sum, progress.best.as_ref().map_or(f64::INFINITY, |best| best.watched)];
    writer.tensor("sums", Shape::of([sums.len()]), &sums)?;
    let history: Vec<f64> = progress.history.iter().flat_map(to_row).collect();
    writer.tensor("history", Shape::of([progress.history.len(), COLUMNS]), &history)?;
    Ok(writer.finish())
}

fn restore(bytes: &[u8], network: &mut Network<'_>, identity: &Identity) -> Result<Progress, Error> {
    let tensors = Tensors::parse(bytes)?;
    for (name, expected) in identity.entries() {
        let got = tensors.metadata(name).unwrap_or("nothing");
        if got != format!("{expected}") {
            return Err(Error::OtherRun { name, expected: format!("{expected}"), got: got.into() });
        }
    }
    let mut counters = [0_u64; COUNTERS];
    tensors.read_into("counters", Shape::of([counters.len()]), &mut counters)?;
    let [steps, updates, epoch, batch, correct, samples, stale, best_epoch] = counters;
    let mut sums = [0.0_f64; 2];
    tensors.read_into("sums", Shape::of([2]), &mut sums)?;
    let rows = match tensors.shape("history") {
        Some(&[rows, COLUMNS]) => rows,
        _ => 0,
    };
    let mut history = vec![0.0_f64; rows * COLUMNS];
    tensors.read_into("history", Shape::of([rows, COLUMNS]), &mut history)?;

    // Everything is read before anything is set, so that a checkpoint of another model changes nothing.
    let specs = network.params().specs();
    let mismatch =
        |path: &str, expected: String, got: String| Error::Mismatch { path: path.into(), expected, got };
    for name in tensors.names() {
        if let Some(path) = name.strip_prefix("parameter/")
            && !specs.iter().any(|spec| spec.path == path)
        {
            let got = format!("{:?}", tensors.shape(&name).unwrap_or_default());
            return Err(mismatch(path, "nothing".into(), got));
        }
    }
    let (mut parameters, mut states, mut best) = (Vec::new(), Vec::new(), Vec::new());
    for (index, spec) in specs.iter().enumerate() {
        let read = |kind: &str, shape: Shape| -> Result<Vec<f32>, Error> {
            let name = format!("{kind}/{}", spec.path);
            match tensors.shape(&name) {
                Some(found) if found == shape.dims() => {}
                found => {
                    let path = if kind == "parameter" { &spec.path } else { &name };
                    let found = found.map_or("nothing".into(), |found| format!("{found:?}"));
                    return Err(mismatch(path, format!("{shape}"), found));
                }
            }
            let mut values = vec![0.0_f32; shape.len()];
            tensors.read_into(&name, shape, &mut values)?;
            Ok(values)
        };
        parameters.push(read("parameter", spec.shape)?);
        states.push(read("optimizer", Shape::of([network.session.optimizer_state(index).len()]))?);
        if tensors.shape(&format!("best/{}", spec.path)).is_some() {
            best.push(read("best", spec.shape)?);
        }
    }
    if batch >= identity.batches_per_epoch as u64 || rows as u64 != epoch {
        return Err(Error::OtherRun {
            name: "batches per epoch",
            expected: format!("{}", identity.batches_per_epoch),
            got: format!("batch {batch} in epoch {epoch} and {rows} rows of history"),
        });
    }
    for (index, (parameter, state)) in parameters.iter().zip(&states).enumerate() {
        network.session.parameter_mut(index).copy_from_slice(parameter);
        network.session.optimizer_state_mut(index).copy_from_slice(state);
    }
    network.session.resume_at(steps, updates);
    Ok(Progress {
        epoch,
        batch,
        loss_sum: sums[0],
        correct,
        samples,
        stale,
        history: history.chunks_exact(COLUMNS).map(from_row).collect(),
        best: (best_epoch > 0).then_some(Best { epoch: best_epoch, watched: sums[1], parameters: best }),
    })
}

fn to_row(record: &EpochRecord) -> [f64; COLUMNS] {
    let absent = f64::NAN;
    [
        record.epoch as f64,
        record.steps as f64,
        record.learning_rate.map_or(absent, f64::from),
        record.train_loss,
        record.train_accuracy.unwrap_or(absent),
        record.validation_loss.unwrap_or(absent),
        record.validation_accuracy.unwrap_or(absent),
    ]
}

fn from_row(row: &[f64]) -> EpochRecord {
    let present = |value: f64| (!value.is_nan()).then_some(value);
    EpochRecord {
        epoch: row[0] as u64,
        steps: row[1] as u64,
        learning_rate: present(row[2]).map(|rate| rate as f32),
        train_loss: row[3],
        train_accuracy: present(row[4]),
        validation_loss: present(row[5]),
        validation_accuracy: present(row[6]),
    }
}

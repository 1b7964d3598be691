//! The loop over epochs and batches.

use crate::{
    EpochRecord, Error, Network, Stop,
    network::{LossFunction, Traced, Training, Use},
    progress::{Best, Identity, Progress},
};
use alloc::{boxed::Box, vec::Vec};
use bantam_autodiff::{Mode, Var};
use bantam_core::{Context, Optimizer};
use bantam_data::{Batches, Dataset, Shuffled, Target};
use bantam_nn::{Layer, Params, loss};
use bantam_optim::AdamW;
use core::{fmt, ops::ControlFlow};

/// What an observer is told.
#[derive(Clone, Copy, Debug)]
pub enum Event<'e> {
    /// The run begins, or goes on after `history`.
    Start {
        /// The epochs already done.
        history: &'e [EpochRecord],
        /// Batches in an epoch.
        batches: u64,
        /// Epochs in all.
        epochs: u64,
        /// The bytes of the training plan's arena.
        arena_bytes: usize,
    },
    /// A batch is done.
    Batch {
        /// The epoch's number, from 1.
        epoch: u64,
        /// The batch's number within the epoch, from 1.
        batch: u64,
        /// The batch's mean loss.
        loss: f64,
        /// The share of correct predictions so far in this epoch.
        accuracy: Option<f64>,
        /// The learning rate of the update.
        learning_rate: Option<f32>,
    },
    /// An epoch is done, and its checkpoint is written.
    Epoch(&'e EpochRecord),
}

/// Takes the state of the run away, to be gone on from.
pub(crate) type Keep<'a> = Box<dyn FnMut(&Network<'_>, &Progress, &Identity) -> Result<(), Error> + 'a>;
/// Puts the run where it stood.
pub(crate) type Restore<'a> = Box<dyn FnOnce(&mut Network<'_>, &Identity) -> Result<Progress, Error> + 'a>;

/// When to give up on further epochs.
#[derive(Clone, Copy, Debug)]
struct EarlyStopping {
    patience: u64,
    min_delta: f64,
    restore_best: bool,
}

impl EarlyStopping {
    /// Derived and not stored, so that a run that goes on with more patience does go on.
    fn ends(self, progress: &Progress) -> bool {
        progress.stale >= self.patience.max(1)
    }
}

/// Trains a model. Settings first, then [`fit`](Trainer::fit).
///
/// | setting | default |
/// |---|---|
/// | [`loss`](Trainer::loss) | cross-entropy for classes, mean squared error for values |
/// | [`optimizer`](Trainer::optimizer) | [`AdamW`] with its defaults |
/// | [`batch`](Trainer::batch) | 32 |
/// | [`epochs`](Trainer::epochs) | 10 |
/// | [`seed`](Trainer::seed) | 0 |
/// | [`validate`](Trainer::validate) | no validation |
/// | [`stop_early`](Trainer::stop_early) | never |
/// | [`context`](Trainer::context) | this CPU's best instructions, one thread |
pub struct Trainer<'a> {
    model: Box<dyn Layer + Send + Sync + 'a>,
    params: Params,
    loss: Option<Box<LossFunction<'a>>>,
    optimizer: Box<dyn Optimizer<f32> + 'a>,
    batch: usize,
    micro_batch: Option<usize>,
    drop_last: bool,
    epochs: u64,
    seed: u64,
    validation: Option<&'a dyn Dataset>,
    early: Option<EarlyStopping>,
    context: Context<'a>,
    pub(crate) keep: Option<Keep<'a>>,
    pub(crate) restore: Option<Restore<'a>>,
}

impl fmt::Debug for Trainer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("batch", &self.batch)
            .field("epochs", &self.epochs)
            .field("seed", &self.seed)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

/// What a run came to: the network and how it got there.
#[derive(Debug)]
pub struct Trained<'a> {
    /// The trained network.
    pub network: Network<'a>,
    /// What each epoch came to.
    pub history: Vec<EpochRecord>,
    /// The epoch, from 1, with the lowest watched loss; 0 if none was completed.
    pub best_epoch: u64,
    /// Why the run ended.
    pub stop: Stop,
}

impl fmt::Display for Trained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let best = self.history.iter().find(|record| record.epoch == self.best_epoch);
        let why = match self.stop {
            Stop::Finished => "all epochs done",
            Stop::Early => "stopped early: no more improvement",
            Stop::Observer => "stopped on request",
        };
        for (label, record) in [("best", best), ("last", self.history.last())] {
            if let Some(record) = record {
                writeln!(f, "{label}: {record}")?;
            }
        }
        write!(f, "{why} after {} epochs", self.history.len())
    }
}

impl<'a> Trainer<'a> {
    /// A trainer for `model`, whose parameters were declared in `params`.
    pub fn new(model: impl Layer + Send + Sync + 'a, params: Params) -> Self {
        Trainer {
            model: Box::new(model),
            params,
            loss: None,
            optimizer: Box::new(AdamW::default()),
            batch: 32,
            micro_batch: None,
            drop_last: false,
            epochs: 10,
            seed: 0,
            validation: None,
            early: None,
            context: Context::default(),
            keep: None,
            restore: None,
        }
    }

    /// The loss, from the model's output and the targets: [`cross_entropy`](bantam_nn::loss::cross_entropy) or your own.
    #[must_use]
    pub fn loss(mut self, loss: impl for<'g> Fn(Var<'g>, Var<'g>) -> Var<'g> + Send + Sync + 'a) -> Self {
        self.loss = Some(Box::new(loss));
        self
    }

    /// The optimizer with its schedules; schedules that span the run are told its length.
    #[must_use]
    pub fn optimizer(mut self, optimizer: impl Optimizer<f32> + 'a) -> Self {
        self.optimizer = Box::new(optimizer);
        self
    }

    /// Samples per update.
    #[must_use]
    pub fn batch(mut self, samples: usize) -> Self {
        self.batch = samples;
        self
    }

    /// Samples per forward and backward pass, of which as many as make a batch are accumulated before an update: a
    /// large batch in little memory. Must divide the batch. The gradient is that of the mean over the whole batch;
    /// batch normalisation sees each micro-batch on its own.
    #[must_use]
    pub fn micro_batch(mut self, samples: usize) -> Self {
        self.micro_batch = Some(samples);
        self
    }

    /// Leaves out the last batch of each epoch if it is not complete.
    #[must_use]
    pub fn drop_last(mut self, drop: bool) -> Self {
        self.drop_last = drop;
        self
    }

    /// How often to go through the training data.
    #[must_use]
    pub fn epochs(mut self, epochs: u64) -> Self {
        self.epochs = epochs;
        self
    }

    /// The seed of initial values, of the order of samples and of dropout.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Evaluates on this data after each epoch.
    #[must_use]
    pub fn validate(mut self, dataset: &'a dyn Dataset) -> Self {
        self.validation = Some(dataset);
        self
    }

    /// Stops after `patience` epochs in a row without a new lowest validation loss (training loss without validation
    /// data), and goes back to the parameters of the best epoch.
    #[must_use]
    pub fn stop_early(self, patience: u64) -> Self {
        self.stop_early_with(patience, 0.0, true)
    }

    /// [`stop_early`](Self::stop_early) where only improvements by more than `min_delta` count, and where going back
    /// to the best parameters is a choice. The least patience is 1 epoch.
    #[must_use]
    pub fn stop_early_with(mut self, patience: u64, min_delta: f64, restore_best: bool) -> Self {
        self.early = Some(EarlyStopping { patience, min_delta, restore_best });
        self
    }

    /// Where and how to run: instruction set, numerics, threads.
    #[must_use]
    pub fn context(mut self, context: Context<'a>) -> Self {
        self.context = context;
        self
    }

    /// Traces and plans the training without beginning it: the network with its fresh parameters and its training plan,
    /// to look at [`summary`](Network::summary) and [`plan`](Network::plan), and to find out early what does not fit.
    ///
    /// # Errors
    /// A setting, the data or the model does not fit.
    pub fn prepare<D: Dataset + ?Sized>(mut self, train: &D) -> Result<Network<'a>, Error> {
        Ok(self.begin(train)?.network)
    }

    fn begin<D: Dataset + ?Sized>(&mut self, train: &D) -> Result<Begun<'a>, Error> {
        let micro = self.micro_batch.unwrap_or(self.batch);
        if self.batch == 0 {
            return Err(bantam_data::Error::ZeroBatch.into());
        }
        if micro == 0 || !self.batch.is_multiple_of(micro) {
            return Err(Error::Setting {
                name: "the micro-batch",
                rule: "at least 1 and a divisor of the batch",
            });
        }
        let len = train.len();
        let batches = Batches::new(Shuffled::new(self.seed), len, micro)?;
        let per_epoch = if self.drop_last { len / self.batch } else { len.div_ceil(self.batch) };
        if per_epoch == 0 {
            return Err(bantam_data::Error::BatchTooLarge { batch: self.batch, rows: len }.into());
        }
        self.optimizer.validate()?;
        self.optimizer.set_run_length(self.epochs * per_epoch as u64, per_epoch as u64);

        let loss = self.loss.take().unwrap_or_else(|| -> Box<LossFunction<'a>> {
            match train.target() {
                Target::Classes(_) => Box::new(loss::cross_entropy),
                Target::Values(_) => Box::new(loss::mean_squared_error),
            }
        });
        let parts = self.batch / micro;
        let training = Training { optimizer: &*self.optimizer, micro_batches: parts > 1 };
        let used = if self.drop_last { per_epoch * self.batch } else { len };
        let mut uses: Vec<Use> = Use::batches(Mode::Train, used, micro).collect();
        if let Some(validation) = self.validation {
            if validation.is_empty() {
                return Err(bantam_data::Error::NoRows.into());
            }
            uses.extend(Use::to_evaluate(validation.len()));
        }
        let model = Traced {
            model: core::mem::replace(&mut self.model, Box::new(())),
            loss,
            params: core::mem::take(&mut self.params),
            features: train.features(),
            target: train.target(),
            numerics: self.context.numerics,
        };
        let network = Network::make(model, &uses, Some(training), self.context, self.seed)?;
        if let Some(validation) = self.validation {
            network.check(validation, true)?;
        }
        let identity = Identity {
            seed: self.seed,
            batch: self.batch,
            micro_batch: micro,
            samples: len,
            batches_per_epoch: per_epoch,
        };
        Ok(Begun { network, batches, per_epoch, parts, identity })
    }

    /// Trains on `train`.
    ///
    /// # Errors
    /// A setting, the data or the model does not fit; the loss is not finite; the checkpoint cannot be written or
    /// belongs to another run.
    pub fn fit<D: Dataset + ?Sized>(self, train: &D) -> Result<Trained<'a>, Error> {
        self.fit_observed(train, |_| ControlFlow::Continue(()))
    }

    /// Trains on `train` and tells `observer` of every batch and epoch; it can end the run by returning
    /// [`ControlFlow::Break`].
    ///
    /// # Errors
    /// As for [`fit`](Self::fit).
    pub fn fit_observed<D: Dataset + ?Sized>(
        mut self,
        train: &D,
        mut observer: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Trained<'a>, Error> {
        let Begun { mut network, batches, per_epoch, parts, identity } = self.begin(train)?;
        let classes = matches!(train.target(), Target::Classes(_));
        let mut progress = match self.restore.take() {
            Some(restore) => restore(&mut network, &identity)?,
            None => Progress::default(),
        };
        // What watches the loss has seen every epoch of the past.
        progress.history.iter().for_each(|record| self.optimizer.observe(record.watched()));
        // A best epoch whose parameters were not kept cannot be gone back to: look for a new one.
        let keep_best = self.early.is_some_and(|early| early.restore_best);
        if keep_best && progress.best.as_ref().is_some_and(|best| best.parameters.is_empty()) {
            (progress.best, progress.stale) = (None, 0);
        }
        let ends_early = |progress: &Progress| self.early.is_some_and(|early| early.ends(progress));

        let mut tell = |event: Event<'_>| observer(event).is_break();
        let mut stop = tell(Event::Start {
            history: &progress.history,
            batches: per_epoch as u64,
            epochs: self.epochs,
            arena_bytes: network.plan().arena_bytes(),
        });
        while !stop && progress.epoch < self.epochs && !ends_early(&progress) {
            let optimizer = &*self.optimizer;
            let training = Training { optimizer, micro_batches: parts > 1 };
            while progress.batch < per_epoch as u64 && !stop {
                let batch = progress.batch as usize;
                let loss = train_batch(&mut network, training, &batches, train, &mut progress, batch, parts)?;
                progress.batch += 1;
                stop = tell(Event::Batch {
                    epoch: progress.epoch + 1,
                    batch: progress.batch,
                    loss,
                    accuracy: classes.then(|| progress.correct as f64 / progress.samples as f64),
                    learning_rate: optimizer.learning_rate(network.session.updates() - 1),
                });
            }
            let complete = progress.batch == per_epoch as u64;
            if complete {
                let trained = network.swap_in(optimizer);
                let validation =
                    self.validation.map(|validation| network.evaluate(validation)).transpose()?;
                let samples = progress.samples as f64;
                let record = EpochRecord {
                    epoch: progress.epoch + 1,
                    steps: network.session.updates() / optimizer.gradients_per_update(),
                    learning_rate: optimizer.learning_rate(network.session.updates() - 1),
                    train_loss: progress.loss_sum / samples,
                    train_accuracy: classes.then(|| progress.correct as f64 / samples),
                    validation_loss: validation.map(|evaluation| evaluation.loss),
                    validation_accuracy: validation.and_then(|evaluation| evaluation.accuracy),
                };
                judge(&mut progress, &network, &record, self.early);
                network.swap_out(&trained);
                self.optimizer.observe(record.watched());
                progress.history.push(record);
                progress.epoch += 1;
                (progress.batch, progress.loss_sum, progress.correct, progress.samples) = (0, 0.0, 0, 0);
            }
            if let Some(keep) = &mut self.keep {
                keep(&network, &progress, &identity)?;
            }
            if complete && let Some(record) = progress.history.last() {
                stop |= tell(Event::Epoch(record));
            }
        }

        let stopped_early = ends_early(&progress);
        let finished = progress.epoch >= self.epochs || stopped_early;
        let best_epoch = progress.best.as_ref().map_or(0, |best| best.epoch);
        if finished
            && keep_best
            && let Some(best) = &progress.best
        {
            for (index, values) in best.parameters.iter().enumerate() {
                network.session.parameter_mut(index).copy_from_slice(values);
            }
        } else {
            network.swap_in(&*self.optimizer);
        }
        let stop = match (finished, stopped_early) {
            (_, true) => Stop::Early,
            (true, _) => Stop::Finished,
            (false, _) => Stop::Observer,
        };
        Ok(Trained { network, history: progress.history, best_epoch, stop })
    }
}

/// Everything that is there before the first step.
struct Begun<'a> {
    network: Network<'a>,
    batches: Batches<Shuffled>,
    per_epoch: usize,
    /// Micro-batches in a batch.
    parts: usize,
    identity: Identity,
}

/// One update from one batch, from as many gradients as the optimizer takes, each in as many parts as the batch has
/// micro-batches. Returns the batch's mean loss before it.
fn train_batch<D: Dataset + ?Sized>(
    network: &mut Network<'_>,
    training: Training<'_>,
    batches: &Batches<Shuffled>,
    train: &D,
    progress: &mut Progress,
    batch: usize,
    parts: usize,
) -> Result<f64, Error> {
    let parts = batch * parts..((batch + 1) * parts).min(batches.per_epoch());
    let total: usize = parts.clone().map(|part| batches.rows(part)).sum();
    let mut loss_sum = 0.0;
    for gradient in 0..training.optimizer.gradients_per_update() {
        for part in parts.clone() {
            let rows = batches.rows(part);
            network.activate(Use { mode: Mode::Train, rows }, Some(training))?;
            network.load(batches, train, progress.epoch, part)?;
            let loss = if training.micro_batches {
                network.session.accumulate(rows as f64 / total as f64)?
            } else {
                network.session.step(training.optimizer)?
            };
            // What comes after the first gradient is at another point.
            if gradient == 0 {
                loss_sum += f64::from(loss) * rows as f64;
                progress.correct += network.correct().unwrap_or(0);
            }
        }
        if training.micro_batches {
            network.session.apply(training.optimizer)?;
        }
    }
    progress.loss_sum += loss_sum;
    progress.samples += total as u64;
    Ok(loss_sum / total as f64)
}

/// Keeps the best epoch and counts those without improvement.
fn judge(progress: &mut Progress, network: &Network<'_>, record: &EpochRecord, early: Option<EarlyStopping>) {
    let watched = record.watched();
    let lowest = progress.best.as_ref().map_or(f64::INFINITY, |best| best.watched);
    if watched < lowest - early.map_or(0.0, |early| early.min_delta) {
        // The parameters are only kept where somebody may go back to them.
        let keep = early.is_some_and(|early| early.restore_best);
        let parameters = if keep {
            network.parameters().map(|(_, _, values)| values.to_vec()).collect()
        } else {
            Vec::new()
        };
        progress.best = Some(Best { epoch: record.epoch, watched, parameters });
        progress.stale = 0;
    } else {
        progress.stale += 1;
    }
}

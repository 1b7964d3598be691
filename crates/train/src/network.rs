//! A model with numbers: plans for each batch size over one session.

use crate::Error;
use alloc::{boxed::Box, format, string::String, vec::Vec};
use bantam_autodiff::{Graph, Mode, Plan, Session, ValueType, Var};
use bantam_core::{Context, Numerics, Optimizer, Shape, UpdateContext};
use bantam_data::{Batches, Dataset, Sampler, Sequential, Target};
use bantam_nn::{Layer, Params, Summary};
use core::fmt;

/// A loss: a single number from the model's output and the targets.
pub type LossFunction<'a> = dyn for<'g> Fn(Var<'g>, Var<'g>) -> Var<'g> + Send + Sync + 'a;

/// The number of samples that are evaluated at a time.
const EVALUATION_ROWS: usize = 256;

/// How good a network is on a data set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// The mean loss.
    pub loss: f64,
    /// The share of samples whose largest output is their class; `None` if values are predicted.
    pub accuracy: Option<f64>,
    /// The number of samples.
    pub samples: usize,
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loss {:.4}", self.loss)?;
        if let Some(accuracy) = self.accuracy {
            write!(f, ", accuracy {:.2} %", 100.0 * accuracy)?;
        }
        write!(f, " over {} samples", self.samples)
    }
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub mode: Mode,
    pub rows: usize,
}

impl Use {
    /// The two batch sizes (or one) in which `len` samples are evaluated.
    pub fn to_evaluate(len: usize) -> impl Iterator<Item = Use> {
        Use::batches(Mode::Infer, len, EVALUATION_ROWS)
    }

    /// The batch sizes that `len` samples make in batches of `rows`: the full one, and that of the last batch if it is
    /// another.
    pub fn batches(mode: Mode, len: usize, rows: usize) -> impl Iterator<Item = Use> {
        let (full, rest) = (rows.min(len), len % rows.max(1));
        let rest = (rest != full).then_some(rest);
        core::iter::once(full).chain(rest).filter(|rows| *rows > 0).map(move |rows| Use { mode, rows })
    }
}

/// The input numbers of every plan here.
const FEATURES: usize = 0;
const TARGETS: usize = 1;
/// The output numbers of every plan here.
const PREDICTION: usize = 0;
const LOSS: usize = 1;

/// A model and everything else that its plans are made from.
pub(crate) struct Traced<'a> {
    pub model: Box<dyn Layer + Send + Sync + 'a>,
    pub loss: Box<LossFunction<'a>>,
    pub params: Params,
    /// The shape of one sample.
    pub features: Shape,
    pub target: Target,
    /// What its plans have memory for.
    pub numerics: Numerics,
}

/// A model with the numbers of its parameters, ready to evaluate and predict.
///
/// Plans are made when a batch size is first seen and kept.
pub struct Network<'a> {
    model: Traced<'a>,
    pub(crate) session: Session<'a>,
    plans: Vec<(Use, Option<Plan>)>,
    active: usize,
}

impl fmt::Debug for Network<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("features", &self.model.features)
            .field("target", &self.model.target)
            .finish_non_exhaustive()
    }
}

fn batch_shape(rows: usize, sample: Shape) -> Result<Shape, Error> {
    let mut dims = [rows; bantam_core::MAX_RANK + 1];
    dims[1..=sample.rank()].copy_from_slice(sample.dims());
    let rule = "of at most five axes besides the batch";
    Shape::new(&dims[..=sample.rank()]).map_err(|_| Error::Setting { name: "the shape of a sample", rule })
}

/// How training plans are made.
#[derive(Clone, Copy)]
pub(crate) struct Training<'o> {
    pub optimizer: &'o dyn Optimizer<f32>,
    pub micro_batches: bool,
}

impl<'a> Network<'a> {
    /// A network with freshly initialised parameters for samples like those of `like`.
    ///
    /// # Errors
    /// The model does not fit the data.
    pub fn new(
        model: impl Layer + Send + Sync + 'a,
        params: Params,
        loss: impl for<'g> Fn(Var<'g>, Var<'g>) -> Var<'g> + Send + Sync + 'a,
        like: &(impl Dataset + ?Sized),
        seed: u64,
    ) -> Result<Self, Error> {
        let model = Traced {
            model: Box::new(model),
            loss: Box::new(loss),
            params,
            features: like.features(),
            target: like.target(),
            numerics: Numerics::default(),
        };
        let uses: Vec<Use> = Use::to_evaluate(like.len()).collect();
        Network::make(model, &uses, None, Context::default(), seed)
    }

    /// A network with fresh parameters and a plan for each of `uses`, so that whatever does not fit comes out here and
    /// memory is reserved once. The first of them is active; no use is in `uses` twice.
    pub(crate) fn make(
        model: Traced<'a>,
        uses: &[Use],
        training: Option<Training<'_>>,
        context: Context<'a>,
        seed: u64,
    ) -> Result<Self, Error> {
        let first = uses.first().copied().unwrap_or(Use { mode: Mode::Infer, rows: 1 });
        let plan = model.plan(first, training, None)?;
        let mut plans = alloc::vec![(first, None)];
        for &other in uses.iter().skip(1) {
            let made = model.plan(other, training, Some(&plan)).map_err(|error| match error {
                // The full batch went well, so it is the number of samples.
                Error::Graph(error) if other.mode == Mode::Train => {
                    Error::LastBatch { rows: other.rows, error }
                }
                error => error,
            });
            plans.push((other, Some(made?)));
        }
        let bytes = plans.iter().filter_map(|(_, plan)| plan.as_ref()).map(Plan::arena_bytes).max();
        let mut session = Session::with_capacity(plan, bytes.unwrap_or(0)).context(context).seed(seed);
        model.params.initialize(&mut session, seed);
        Ok(Network { model, session, plans, active: 0 })
    }

    /// Makes the plan for `what` the session's, tracing it if it is the first time.
    pub(crate) fn activate(&mut self, what: Use, training: Option<Training<'_>>) -> Result<(), Error> {
        if self.plans[self.active].0 == what {
            return Ok(());
        }
        let slot = match self.plans.iter().position(|(known, _)| *known == what) {
            Some(slot) => slot,
            None => {
                let plan = self.model.plan(what, training, Some(self.session.plan()))?;
                self.session.reserve(plan.arena_bytes());
                self.plans.push((what, Some(plan)));
                self.plans.len() - 1
            }
        };
        if let Some(mut plan) = self.plans[slot].1.take() {
            self.session.swap(&mut plan)?;
            self.plans[self.active].1 = Some(plan);
            self.active = slot;
        }
        Ok(())
    }

    /// Writes batch `batch` of epoch `epoch` straight into the session's inputs.
    pub(crate) fn load<S: Sampler, D: Dataset + ?Sized>(
        &mut self,
        batches: &Batches<S>,
        dataset: &D,
        epoch: u64,
        batch: usize,
    ) -> Result<(), Error> {
        batches.write_features(dataset, epoch, batch, self.session.input(FEATURES))?;
        self.load_targets(batches, dataset, epoch, batch)
    }

    fn load_targets<S: Sampler, D: Dataset + ?Sized>(
        &mut self,
        batches: &Batches<S>,
        dataset: &D,
        epoch: u64,
        batch: usize,
    ) -> Result<(), Error> {
        match self.model.target {
            Target::Classes(classes) => {
                let labels = self.session.indices(TARGETS);
                let rows = batches.write_labels(dataset, epoch, batch, labels)?;
                for (row, &label) in batches.indices(epoch, batch).zip(labels.iter()) {
                    if label as usize >= classes {
                        return Err(bantam_data::Error::Label { row, label, classes }.into());
                    }
                }
                rows
            }
            Target::Values(_) => batches.write_values(dataset, epoch, batch, self.session.input(TARGETS))?,
        };
        Ok(())
    }

    /// How many rows of the last prediction have their largest number at their label; `None` for values.
    pub(crate) fn correct(&mut self) -> Option<u64> {
        let Target::Classes(classes) = self.model.target else { return None };
        let rows = self.session.indices(TARGETS).len();
        let mut correct = 0;
        for row in 0..rows {
            let label = self.session.indices(TARGETS)[row];
            let best = largest(&self.session.output(PREDICTION)[row * classes..][..classes]);
            correct += u64::from(best == label as usize);
        }
        Some(correct)
    }

    /// Whether samples of `dataset` can be put in, and, if their targets are asked for, compared with what comes out.
    pub(crate) fn check(&self, dataset: &(impl Dataset + ?Sized), with_targets: bool) -> Result<(), Error> {
        let (expected, got) = (self.model.features, dataset.features());
        if got != expected {
            return Err(Error::Features { expected, got });
        }
        let (expected, got) = (self.model.target, dataset.target());
        if with_targets && got != expected {
            return Err(Error::Target { expected, got });
        }
        Ok(())
    }

    /// The mean loss and accuracy over a data set.
    ///
    /// # Errors
    /// The data cannot be read, or does not fit the network.
    pub fn evaluate(&mut self, dataset: &(impl Dataset + ?Sized)) -> Result<Evaluation, Error> {
        let (mut loss, mut correct) = (0.0, 0);
        self.for_each_batch(dataset, true, |network, _, rows| {
            loss +=
                f64::from(network.session.output(LOSS).first().copied().unwrap_or(f32::NAN)) * rows as f64;
            correct += network.correct().unwrap_or(0);
            Ok(())
        })?;
        let samples = dataset.len();
        let accuracy =
            matches!(self.model.target, Target::Classes(_)).then(|| correct as f64 / samples as f64);
        Ok(Evaluation { loss: loss / samples as f64, accuracy, samples })
    }

    /// Calls `each` with the number of every sample and the model's output for it: logits or values. Targets are not
    /// asked for.
    ///
    /// # Errors
    /// The data cannot be read, or does not fit the network.
    pub fn predict(
        &mut self,
        dataset: &(impl Dataset + ?Sized),
        mut each: impl FnMut(usize, &[f32]),
    ) -> Result<(), Error> {
        self.for_each_batch(dataset, false, |network, start, rows| {
            let output = network.session.output(PREDICTION);
            for (row, values) in output.chunks_exact((output.len() / rows).max(1)).enumerate() {
                each(start + row, values);
            }
            Ok(())
        })
    }

    fn for_each_batch<D: Dataset + ?Sized>(
        &mut self,
        dataset: &D,
        with_targets: bool,
        mut each: impl FnMut(&mut Self, usize, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.check(dataset, with_targets)?;
        let batches = Batches::new(Sequential, dataset.len(), EVALUATION_ROWS)?;
        for batch in 0..batches.per_epoch() {
            let rows = batches.rows(batch);
            self.activate(Use { mode: Mode::Infer, rows }, None)?;
            batches.write_features(dataset, 0, batch, self.session.input(FEATURES))?;
            if with_targets {
                self.load_targets(&batches, dataset, 0, batch)?;
            }
            self.session.run();
            each(self, batch * EVALUATION_ROWS, rows)?;
        }
        Ok(())
    }

    /// Puts the parameters to evaluate in the place of those that are trained, where the optimizer says that they are
    /// others. Returns the latter; nothing if they are the same.
    pub(crate) fn swap_in(&mut self, optimizer: &dyn Optimizer<f32>) -> Vec<Vec<f32>> {
        if !optimizer.evaluates_elsewhere() {
            return Vec::new();
        }
        let step = self.session.updates();
        let specs = self.model.params.specs().iter().enumerate();
        specs
            .map(|(index, spec)| {
                let trained = self.session.parameter(index).to_vec();
                if spec.trainable && !spec.buffer {
                    let cx = UpdateContext { index, ..UpdateContext::new(step, spec.shape) };
                    let mut other = trained.clone();
                    optimizer.evaluation(&cx, &mut other, self.session.optimizer_state(index));
                    self.session.parameter_mut(index).copy_from_slice(&other);
                }
                trained
            })
            .collect()
    }

    /// Puts the parameters back that [`swap_in`](Self::swap_in) returned.
    pub(crate) fn swap_out(&mut self, trained: &[Vec<f32>]) {
        for (index, values) in trained.iter().enumerate() {
            self.session.parameter_mut(index).copy_from_slice(values);
        }
    }

    /// A table of the layers for batches of one.
    ///
    /// # Errors
    /// The model does not accept its own input; a bug.
    pub fn summary(&self) -> Result<Summary, Error> {
        let input = ValueType::real(batch_shape(1, self.model.features)?);
        Ok(Summary::of::<f32>(&*self.model.model, &self.model.params, input)?)
    }

    /// The plan that was used last.
    pub fn plan(&self) -> &Plan {
        self.session.plan()
    }

    /// The parameters' names, shapes and initializers.
    pub fn params(&self) -> &Params {
        &self.model.params
    }

    /// Every parameter and buffer: path, shape and values.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, Shape, &[f32])> {
        self.session.parameters().map(|(spec, values)| (spec.path.as_str(), spec.shape, values))
    }

    /// Sets every parameter and buffer from `find`, which returns shape and values by path.
    ///
    /// # Errors
    /// One is missing or has another shape. Nothing has changed then.
    pub fn set_parameters<'v>(
        &mut self,
        find: impl Fn(&str) -> Option<(Shape, &'v [f32])>,
    ) -> Result<(), Error> {
        let mut found = Vec::new();
        for spec in self.model.params.specs() {
            let mismatch = |got: String| Error::Mismatch {
                path: spec.path.clone(),
                expected: format!("{}", spec.shape),
                got,
            };
            match find(&spec.path) {
                Some((shape, values)) if shape == spec.shape && values.len() == shape.len() => {
                    found.push(values)
                }
                Some((shape, _)) => return Err(mismatch(format!("{shape}"))),
                None => return Err(mismatch("nothing".into())),
            }
        }
        for (index, values) in found.into_iter().enumerate() {
            self.session.parameter_mut(index).copy_from_slice(values);
        }
        Ok(())
    }
}

/// The position of the largest number; the first of equal ones, 0 if there is none.
fn largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (at, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = at;
        }
    }
    best
}

impl Traced<'_> {
    /// Runs the model once to record it, and plans what was recorded.
    fn plan(&self, what: Use, training: Option<Training<'_>>, like: Option<&Plan>) -> Result<Plan, Error> {
        let graph: Graph = self.params.graph(what.mode);
        let x = graph.input("features", batch_shape(what.rows, self.features)?);
        let (y, expected) = match self.target {
            Target::Classes(classes) => {
                (graph.indices("labels", Shape::of([what.rows])), Shape::of([what.rows, classes]))
            }
            Target::Values(shape) => {
                let shape = batch_shape(what.rows, shape)?;
                (graph.input("values", shape), shape)
            }
        };
        let prediction = self.model.forward(x);
        graph.check()?;
        if prediction.shape() != expected {
            return Err(Error::Output { expected, got: prediction.shape() });
        }
        let loss = (self.loss)(prediction, y);
        let mut planner =
            graph.planner().numerics(self.numerics).output("prediction", prediction).output("loss", loss);
        if let (Mode::Train, Some(training)) = (what.mode, training) {
            planner = planner.loss(loss).optimizer(training.optimizer).micro_batches(training.micro_batches);
        }
        if let Some(like) = like {
            planner = planner.same_memory_as(like);
        }
        Ok(planner.build()?)
    }
}

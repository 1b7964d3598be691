//! What several trials need: small data, small models, and the bits that a run ends with.

use bantam_core::Shape;
use bantam_data::{Dataset, Error, InMemory, Normalize, Normalized, Stratified, Subset, Target};
use bantam_nn::{Activation, BatchNorm, Dropout, Linear, Params, Sequential};
use bantam_store::safetensors::Tensors;
use bantam_tensor::Tensor;
use bantam_train::{Network, Trained};
use core::cell::Cell;

/// The rows of irises to learn and to validate on, standardised by the first.
pub fn iris() -> [Normalized<Subset<InMemory>>; 2] {
    let [train, validation] = bantam_data::iris().split(Stratified([0.8, 0.2]), 1).unwrap();
    let normalize = Normalize::standard(&train).unwrap();
    [normalize.apply(train).unwrap(), normalize.apply(validation).unwrap()]
}

/// With everything that has a state or draws random numbers: batch normalisation and dropout.
pub fn noisy_net() -> (Sequential, Params) {
    let mut params = Params::new();
    let net = Sequential::new()
        .then(Linear::new(params.at("hidden"), 4, 12))
        .then(BatchNorm::new(params.at("norm"), 12))
        .then(Activation::Relu)
        .then(Dropout::new(0.25))
        .then(Linear::new(params.at("logits"), 12, 3));
    (net, params)
}

/// A pure function of its parameters: no noise, no statistics of the batch.
pub fn plain_net() -> (Sequential, Params) {
    let mut params = Params::new();
    let net = Sequential::new()
        .then(Linear::new(params.at("hidden"), 4, 12))
        .then(Activation::Tanh)
        .then(Linear::new(params.at("logits"), 12, 3));
    (net, params)
}

/// One weight and one bias.
pub fn line() -> (Sequential, Params) {
    let mut params = Params::new();
    let net = Sequential::new().then(Linear::new(params.at("line"), 1, 1));
    (net, params)
}

/// Points (x, y) to regress.
pub fn points(points: &[[f32; 2]]) -> InMemory {
    let column = |i: usize| {
        let values = points.iter().map(|point| point[i]).collect();
        Tensor::from_vec(values, Shape::of([points.len(), 1])).unwrap()
    };
    InMemory::regression(column(0), column(1)).unwrap()
}

/// Every parameter and buffer of a network, as bits.
pub fn bits(network: &Network<'_>) -> Vec<(String, Vec<u32>)> {
    let values = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect();
    network.parameters().map(|(path, _, numbers)| (path.to_owned(), values(numbers))).collect()
}

/// The same of a checkpoint.
pub fn saved_bits(checkpoint: &[u8], like: &Trained<'_>) -> Vec<(String, Vec<u32>)> {
    let tensors = Tensors::parse(checkpoint).unwrap();
    let values = |path: &str| tensors.tensor::<f32>(&format!("parameter/{path}")).unwrap().data().to_vec();
    let bits = |path: &str| values(path).iter().map(|x| x.to_bits()).collect();
    like.network.parameters().map(|(path, ..)| (path.to_owned(), bits(path))).collect()
}

/// A data set that counts how often each of its samples is read.
pub struct Counted<D> {
    pub dataset: D,
    pub reads: Vec<Cell<usize>>,
}

impl<D: Dataset> Counted<D> {
    pub fn new(dataset: D) -> Self {
        let reads = vec![Cell::new(0); dataset.len()];
        Counted { dataset, reads }
    }
}

impl<D: Dataset> Dataset for Counted<D> {
    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn features(&self) -> Shape {
        self.dataset.features()
    }

    fn target(&self) -> Target {
        self.dataset.target()
    }

    fn write_features(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.reads[index].set(self.reads[index].get() + 1);
        self.dataset.write_features(index, out)
    }

    fn label(&self, index: usize) -> Result<u32, Error> {
        self.dataset.label(index)
    }
}

/// A data set with a mistake in one sample.
pub struct Spoilt<D> {
    pub dataset: D,
    pub sample: usize,
    pub mistake: Mistake,
}

/// What is wrong with the sample.
#[derive(Clone, Copy, PartialEq)]
pub enum Mistake {
    NanFeature,
    NanValue,
    Label(u32),
    Unreadable,
}

impl<D: Dataset> Dataset for Spoilt<D> {
    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn features(&self) -> Shape {
        self.dataset.features()
    }

    fn target(&self) -> Target {
        self.dataset.target()
    }

    fn write_features(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.dataset.write_features(index, out)?;
        match self.mistake {
            Mistake::NanFeature if index == self.sample => out[0] = f32::NAN,
            Mistake::Unreadable if index == self.sample => return Err(Error::Custom("the card was removed")),
            _ => {}
        }
        Ok(())
    }

    fn label(&self, index: usize) -> Result<u32, Error> {
        match self.mistake {
            Mistake::Label(label) if index == self.sample => Ok(label),
            _ => self.dataset.label(index),
        }
    }

    fn write_values(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.dataset.write_values(index, out)?;
        if self.mistake == Mistake::NanValue && index == self.sample {
            out[0] = f32::NAN;
        }
        Ok(())
    }
}

//! `model.safetensors`: the parameters, what normalises their input, and what the classes are called.

use crate::failure::Failure;
use bantam::data::Normalize;
use bantam::prelude::*;
use bantam::store::file::write_atomic;
use bantam::store::safetensors::{Tensors, Writer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The names under which the normalisation is kept beside the parameters.
const SHIFT: &str = "input.shift";
const SCALE: &str = "input.scale";
/// The metadata entry with the names of the classes, one on a line.
const CLASSES: &str = "classes";
/// The metadata entry with the shape of one sample, one length on a line.
const FEATURES: &str = "features";

/// Writes a network, whole or not at all.
///
/// # Errors
/// The disk refuses.
pub fn write(
    path: &Path,
    network: &Network<'_>,
    features: Shape,
    normalize: &Normalize,
    class_names: &[String],
) -> Result<(), Failure> {
    let mut writer = Writer::new();
    writer.metadata(CLASSES, &class_names.join("\n"))?;
    let lengths: Vec<String> = features.dims().iter().map(usize::to_string).collect();
    writer.metadata(FEATURES, &lengths.join("\n"))?;
    for (name, shape, values) in network.parameters() {
        writer.tensor(name, shape, values)?;
    }
    writer.tensor(SHIFT, Shape::of([normalize.shift().len()]), normalize.shift())?;
    writer.tensor(SCALE, Shape::of([normalize.scale().len()]), normalize.scale())?;
    Ok(write_atomic(path, &writer.finish())?)
}

/// What a file of a network says.
pub struct Saved {
    path: PathBuf,
    values: BTreeMap<String, (Shape, Vec<f32>)>,
    /// The shape of one sample.
    pub features: Shape,
    /// What normalises the input.
    pub normalize: Normalize,
    /// The names of the classes.
    pub class_names: Vec<String>,
}

impl Saved {
    /// Reads a file of a network.
    ///
    /// # Errors
    /// The file cannot be read or is not what this program writes.
    pub fn read(path: &Path) -> Result<Saved, Failure> {
        let bad = |error: &dyn std::fmt::Display| Failure::new(format!("{}: {error}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| bad(&error))?;
        let tensors = Tensors::parse(&bytes).map_err(|error| bad(&error))?;
        let mut values = BTreeMap::new();
        for name in tensors.names() {
            let tensor = tensors.tensor::<f32>(&name).map_err(|error| bad(&error))?;
            values.insert(name, (tensor.shape(), tensor.data().to_vec()));
        }
        let mut take = |name: &str| -> Result<Vec<f32>, Failure> {
            let found: Option<(Shape, Vec<f32>)> = values.remove(name);
            Ok(found.ok_or_else(|| bad(&format!("there is no tensor `{name}`")))?.1)
        };
        let normalize = Normalize::from_parts(take(SHIFT)?, take(SCALE)?).map_err(|error| bad(&error))?;
        let lines = |entry: &str| -> Result<Vec<String>, Failure> {
            let missing = || bad(&format!("expected the entry `{entry}` in the metadata, found none"));
            Ok(tensors.metadata(entry).ok_or_else(missing)?.lines().map(str::to_owned).collect())
        };
        let lengths: Vec<usize> = lines(FEATURES)?
            .iter()
            .map(|line| line.parse())
            .collect::<Result<_, _>>()
            .map_err(|e| bad(&e))?;
        let features = Shape::new(&lengths).map_err(|error| bad(&error))?;
        Ok(Saved { path: path.to_owned(), values, features, normalize, class_names: lines(CLASSES)? })
    }

    /// Gives a network these parameters.
    ///
    /// # Errors
    /// They belong to another model.
    pub fn load_into(&self, network: &mut Network<'_>) -> Result<(), Failure> {
        let find = |name: &str| self.values.get(name).map(|(shape, values)| (*shape, values.as_slice()));
        network
            .set_parameters(find)
            .map_err(|error| Failure::new(format!("{}: {error}", self.path.display())))
    }
}

/// The class with the largest logit, and its probability by the softmax.
pub fn most_probable(logits: &[f32]) -> (usize, f64) {
    let mut best = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = class;
        }
    }
    let largest = f64::from(logits.get(best).copied().unwrap_or(f32::NAN));
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
    (best, 1.0 / sum)
}

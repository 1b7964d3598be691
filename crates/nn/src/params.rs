//! Parameter sets: names, shapes and initializers, declared once and filled with numbers in a session.

use crate::{Initializer, init::stream};
use alloc::{string::String, vec::Vec};
use bantam_autodiff::{Element, Graph, Mode, ParameterSpec, Session, Var};
use bantam_core::Shape;
use core::fmt;

/// The parameters and buffers of a model: a name, a shape and an initializer each, and no numbers yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    specs: Vec<ParameterSpec>,
    initializers: Vec<Initializer>,
}

/// One declared parameter or buffer: what a layer keeps of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    index: usize,
}

impl Parameter {
    /// Its number in the set, and in a [`Session`].
    pub fn index(self) -> usize {
        self.index
    }

    /// Its value in a graph.
    #[track_caller]
    pub fn var<T: Element>(self, graph: &Graph<T>) -> Var<'_, T> {
        graph.parameter(self.index)
    }
}

/// A path pattern that matches no parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoMatch {
    /// The pattern.
    pub pattern: String,
    /// What there is.
    pub paths: Vec<String>,
}

impl fmt::Display for NoMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no parameter matches `{}`; there are: {}", self.pattern, self.paths.join(", "))
    }
}

impl core::error::Error for NoMatch {}

impl Params {
    /// An empty set.
    pub fn new() -> Self {
        Params::default()
    }

    /// Where the parameters of the layer called `name` are declared.
    pub fn at(&mut self, name: &str) -> Scope<'_> {
        Scope { params: self, path: name.into() }
    }

    /// Where parameters without a layer are declared; for passing the set itself to what takes a [`Scope`].
    pub fn root(&mut self) -> Scope<'_> {
        Scope { params: self, path: String::new() }
    }

    /// The declared parameters and buffers, in order.
    pub fn specs(&self) -> &[ParameterSpec] {
        &self.specs
    }

    /// The number of degrees of freedom: elements of all parameters, buffers not counted.
    pub fn count(&self) -> usize {
        self.specs.iter().filter(|spec| !spec.buffer).map(|spec| spec.shape.len()).sum()
    }

    /// Keeps parameters from being trained: they get no gradient, no optimizer state and no update, and nothing is
    /// saved for them. Returns how many match.
    ///
    /// A pattern is a path (`hidden`, which means everything below it, or `hidden.weight`) in which `*` stands for
    /// anything.
    ///
    /// # Errors
    /// Nothing matches.
    pub fn freeze(&mut self, pattern: &str) -> Result<usize, NoMatch> {
        self.set_trainable(pattern, false)
    }

    /// Takes [`freeze`](Self::freeze) back.
    ///
    /// # Errors
    /// Nothing matches.
    pub fn unfreeze(&mut self, pattern: &str) -> Result<usize, NoMatch> {
        self.set_trainable(pattern, true)
    }

    fn set_trainable(&mut self, pattern: &str, trainable: bool) -> Result<usize, NoMatch> {
        let mut count = 0;
        for spec in self.specs.iter_mut().filter(|spec| !spec.buffer && path_matches(pattern, &spec.path)) {
            spec.trainable = trainable;
            count += 1;
        }
        if count > 0 {
            return Ok(count);
        }
        let paths = self.specs.iter().filter(|spec| !spec.buffer).map(|spec| spec.path.clone()).collect();
        Err(NoMatch { pattern: pattern.into(), paths })
    }

    /// An empty graph over these parameters.
    pub fn graph<T: Element>(&self, mode: Mode) -> Graph<T> {
        Graph::with_parameters(self.specs.clone(), mode)
    }

    /// Gives every parameter and buffer of a session its first value. Each draws from a stream of its own, so adding a
    /// layer at the end does not change the numbers of those before it.
    pub fn initialize<T: Element>(&self, session: &mut Session<'_, T>, seed: u64) {
        for (index, (spec, initializer)) in self.specs.iter().zip(&self.initializers).enumerate() {
            initializer.fill(spec.shape, &mut stream(seed, index), session.parameter_mut(index));
        }
    }
}

/// Whether `path` is `pattern` or lies below it; `*` in the pattern stands for any characters.
fn path_matches(pattern: &str, path: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        let rest = path.strip_prefix(pattern);
        return rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    };
    let Some(rest) = path.strip_prefix(head) else { return false };
    tail.is_empty() || rest.char_indices().any(|(at, _)| path_matches(tail, &rest[at..]))
}

/// A place in a parameter set, such as `features.0`: where a layer declares what it needs.
#[derive(Debug)]
pub struct Scope<'p> {
    params: &'p mut Params,
    path: String,
}

impl Scope<'_> {
    /// A place below this one.
    pub fn at(&mut self, name: &str) -> Scope<'_> {
        let path = self.join(name);
        Scope { params: self.params, path }
    }

    /// The path of this place.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Declares a parameter.
    pub fn parameter(&mut self, name: &str, shape: impl Into<Shape>, initializer: Initializer) -> Parameter {
        self.declare(name, shape.into(), initializer, false)
    }

    /// Declares a buffer: kept and saved with the parameters, but no degree of freedom.
    pub fn buffer(&mut self, name: &str, shape: impl Into<Shape>, initializer: Initializer) -> Parameter {
        self.declare(name, shape.into(), initializer, true)
    }

    fn declare(&mut self, name: &str, shape: Shape, initializer: Initializer, buffer: bool) -> Parameter {
        let path = self.join(name);
        self.params.specs.push(ParameterSpec { path, shape, trainable: !buffer, buffer });
        self.params.initializers.push(initializer);
        Parameter { index: self.params.specs.len() - 1 }
    }

    fn join(&self, name: &str) -> String {
        let mut path = self.path.clone();
        for part in [if path.is_empty() { "" } else { "." }, name] {
            path.push_str(part);
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn patterns_match_paths_and_what_lies_below() {
        for (pattern, path, expected) in [
            ("hidden", "hidden.weight", true),
            ("hidden", "hidden2.weight", false),
            ("hidden.weight", "hidden.weight", true),
            ("*.bias", "features.0.bias", true),
            ("*.bias", "features.0.bias_gain", false),
            ("features.*.weight", "features.12.weight", true),
            ("features.*", "classifier.weight", false),
            ("*", "anything", true),
        ] {
            assert_eq!(path_matches(pattern, path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn freezing_nothing_is_an_error_that_lists_what_there_is() {
        let mut params = Params::new();
        params.at("a").parameter("weight", [2, 2], Initializer::ZEROS);
        assert_eq!(params.freeze("a"), Ok(1));
        let error = params.freeze("b").unwrap_err();
        assert_eq!(format!("{error}"), "no parameter matches `b`; there are: a.weight");
    }
}

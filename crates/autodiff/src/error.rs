//! What can go wrong while a graph is recorded, differentiated, planned or bound to memory.

use crate::Kind;
use bantam_core::Shape;
use core::fmt;

/// Why an op does not accept its operands. Says nothing of where: the graph adds the layer and the line.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum OpError {
    /// Two shapes do not broadcast to one.
    Broadcast {
        /// The op.
        op: &'static str,
        /// The first operand's shape.
        left: Shape,
        /// The second operand's shape.
        right: Shape,
    },
    /// The wrong number of something, such as features or channels.
    Count {
        /// The op.
        op: &'static str,
        /// What is counted, in the plural.
        what: &'static str,
        /// How many there must be.
        expected: usize,
        /// How many there are.
        got: usize,
        /// The shape of the operand at fault.
        shape: Shape,
    },
    /// A shape that is not of the required form.
    Form {
        /// The op.
        op: &'static str,
        /// The form, such as `[batch, channels, height, width]`.
        expected: &'static str,
        /// The shape.
        got: Shape,
    },
    /// A shape that must be another.
    Shape {
        /// The op.
        op: &'static str,
        /// The required shape.
        expected: Shape,
        /// The shape.
        got: Shape,
    },
    /// An axis that the operand does not have, or that is named twice.
    Axis {
        /// The op.
        op: &'static str,
        /// The axis.
        axis: usize,
        /// The operand's shape.
        shape: Shape,
    },
    /// An operand of the wrong kind.
    Kind {
        /// The op.
        op: &'static str,
        /// The operand's position, from 0.
        operand: usize,
        /// The required kind.
        expected: Kind,
        /// The kind.
        got: Kind,
    },
    /// A setting outside its domain.
    Setting {
        /// The op.
        op: &'static str,
        /// The rule it breaks.
        rule: &'static str,
        /// The value.
        got: f64,
    },
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            OpError::Broadcast { op, left, right } => {
                write!(
                    f,
                    "{op} cannot broadcast {left} with {right}: aligned at the last axis, lengths must be equal or 1"
                )
            }
            OpError::Count { op, what, expected, got, shape } => {
                write!(f, "{op} expects {expected} {what}, got {got} (shape {shape})")
            }
            OpError::Form { op, expected, got } => write!(f, "{op} expects a shape {expected}, got {got}"),
            OpError::Shape { op, expected, got } => write!(f, "{op} expects shape {expected}, got {got}"),
            OpError::Axis { op, axis, shape } => {
                write!(
                    f,
                    "{op} cannot use axis {axis}: the shape {shape} has {} axes, each named at most once",
                    shape.rank()
                )
            }
            OpError::Kind { op, operand, expected, got } => {
                write!(f, "{op} expects {} numbers as operand {operand}, got {}", expected.name(), got.name())
            }
            OpError::Setting { op, rule, got } => write!(f, "{op} needs {rule}, got {got}"),
        }
    }
}

impl core::error::Error for OpError {}

/// Why a plan cannot be bound to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindError {
    /// The memory is too small.
    TooSmall {
        /// Bytes the plan needs.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
    /// The memory does not start at a multiple of the plan's alignment.
    Misaligned {
        /// The alignment in bytes.
        needed: usize,
    },
    /// The plan keeps other parameters, or keeps them elsewhere, than the session's plan.
    OtherParameters,
    /// The weights were written for another plan, or are not whole.
    OtherWeights {
        /// The number of the plan.
        plan: u64,
        /// The number that the weights carry.
        weights: u64,
    },
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            BindError::TooSmall { needed, given } => {
                write!(f, "the plan needs an arena of {needed} bytes, got {given}")
            }
            BindError::Misaligned { needed } => {
                write!(f, "the arena must start at an address that is a multiple of {needed}")
            }
            BindError::OtherWeights { plan, weights } if plan == weights => {
                write!(f, "the weights do not have the length that the plan expects")
            }
            BindError::OtherWeights { plan, weights } => {
                write!(f, "the weights belong to plan {weights:016x}, not to plan {plan:016x}")
            }
            BindError::OtherParameters => {
                write!(f, "the plan was made for other parameters or another optimizer than the session's")
            }
        }
    }
}

impl core::error::Error for BindError {}

#[cfg(feature = "alloc")]
pub use with_alloc::{Error, ErrorKind, Mistake};

#[cfg(feature = "alloc")]
mod with_alloc {
    use super::OpError;
    use crate::{Shared, ValueType, VerifyError};
    use alloc::string::String;
    use bantam_core::Shape;
    use core::{fmt, ops::Deref, panic::Location};

    /// What is wrong with a graph.
    #[derive(Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub enum ErrorKind {
        /// An op does not accept its operands.
        Op(OpError),
        /// A gradient was asked for through an op that has none.
        NotDifferentiable {
            /// The op.
            op: &'static str,
            /// The operand whose gradient is missing, from 0.
            operand: usize,
        },
        /// A gradient was asked for with respect to something that the result does not depend on.
        NoPath {
            /// The path or name of what was to be differentiated for.
            of: String,
        },
        /// Only a single number can be differentiated.
        NotScalar {
            /// The type of what was to be differentiated.
            got: ValueType,
        },
        /// A graph has no parameter of this number.
        NoParameter {
            /// The number.
            index: usize,
            /// How many parameters there are.
            count: usize,
        },
        /// A value without elements, or with more bytes than an address can count.
        Size {
            /// The shape.
            shape: Shape,
        },
        /// An operand, loss or output belongs to another graph.
        OtherGraph,
        /// An op's derivative does not have the type of the operand it is for.
        Gradient {
            /// The op.
            op: &'static str,
            /// The operand, from 0.
            operand: usize,
            /// The operand's type.
            expected: ValueType,
            /// The derivative's type.
            got: ValueType,
        },
        /// An op [says](crate::Op::is_alias) that its output is its first input, but they differ in size or kind.
        Alias {
            /// The op.
            op: &'static str,
        },
        /// A plan was asked to use [the same memory](crate::Planner::same_memory_as) as one for other parameters, another
        /// optimizer, or without sums over micro-batches.
        OtherParameters,
        /// The plan needs more bytes than an address can count.
        TooLarge,
        /// The plan contradicts itself: the planner has a bug, or a custom op says different things at different times.
        Contradiction(VerifyError),
        /// A plan needs at least one output or a loss.
        Empty,
    }

    /// What is wrong with a graph, in which layer and on which line of the caller's code.
    ///
    /// Prints like `fc1: linear expects 50 features, got 10 (shape [32, 10]) (src/main.rs:12:9)`. As small as an address, since
    /// nearly everything that records or plans may return one; reads as a [`Mistake`]: `error.kind`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Error(Shared<Mistake>);

    impl Error {
        pub(crate) fn new(
            kind: ErrorKind,
            path: String,
            location: Option<&'static Location<'static>>,
        ) -> Error {
            Error(Shared::new(Mistake { kind, path, location }))
        }
    }

    impl Deref for Error {
        type Target = Mistake;
        fn deref(&self) -> &Mistake {
            &self.0
        }
    }

    /// What an [`Error`] says.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Mistake {
        /// What is wrong.
        pub kind: ErrorKind,
        /// The path of the layer; empty outside of any.
        pub path: String,
        /// The line that recorded the op.
        pub location: Option<&'static Location<'static>>,
    }

    impl fmt::Display for Error {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            (**self).fmt(f)
        }
    }

    impl fmt::Display for Mistake {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            if !self.path.is_empty() {
                write!(f, "{}: ", self.path)?;
            }
            match &self.kind {
                ErrorKind::Op(error) => write!(f, "{error}")?,
                ErrorKind::NotDifferentiable { op, operand } => {
                    write!(
                        f,
                        "{op} has no gradient for its operand {operand}, which depends on what is differentiated for"
                    )?;
                }
                ErrorKind::NoPath { of } => write!(
                    f,
                    "the gradient of {of} was asked for, but the result does not depend on it; freeze it or use it"
                )?,
                ErrorKind::NotScalar { got } => {
                    write!(
                        f,
                        "only a single number can be differentiated, got {got}; sum or average it first"
                    )?;
                }
                ErrorKind::NoParameter { index, count } => {
                    write!(f, "there is no parameter {index}: the graph was made with {count}")?;
                }
                ErrorKind::Size { shape } if shape.dims().contains(&0) => {
                    write!(f, "the shape {shape} has no elements; every axis needs a length of at least 1")?;
                }
                ErrorKind::Size { shape } => {
                    write!(f, "the shape {shape} has more elements than can be addressed")?;
                }
                ErrorKind::OtherGraph => write!(f, "a value of another graph was used")?,
                ErrorKind::Gradient { op, operand, expected, got } => {
                    write!(f, "{op} gives a gradient {got} for its operand {operand}, which is {expected}")?;
                }
                ErrorKind::Alias { op } => {
                    write!(
                        f,
                        "{op} says that its output is its first input, but they differ in size or kind"
                    )?;
                }
                ErrorKind::OtherParameters => write!(
                    f,
                    "the plan whose memory is to be used has other parameters, another optimizer or no sums over micro-batches"
                )?,
                ErrorKind::TooLarge => write!(f, "the plan needs more memory than can be addressed")?,
                ErrorKind::Contradiction(error) => write!(f, "the plan contradicts itself: {error}")?,
                ErrorKind::Empty => write!(f, "a plan needs a loss or at least one output")?,
            }
            match self.location {
                Some(at) => write!(f, " ({}:{}:{})", at.file(), at.line(), at.column()),
                None => Ok(()),
            }
        }
    }

    impl core::error::Error for Error {}
}

//! The type of a value in a graph: its shape and what its elements are.

use bantam_core::Shape;
use core::fmt;

/// What the elements of a value are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Numbers of the graph's type, `f32` or `f64`: the only ones with gradients.
    Real,
    /// `u32`: labels, token ids.
    Index,
    /// `u8`: positions inside a pooling window, masks.
    Byte,
}

impl Kind {
    /// The size of one element in bytes, when a number has `real` bytes.
    pub const fn size(self, real: usize) -> usize {
        match self {
            Kind::Real => real,
            Kind::Index => 4,
            Kind::Byte => 1,
        }
    }

    /// The kind's name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Real => "real",
            Kind::Index => "index",
            Kind::Byte => "byte",
        }
    }
}

/// The type of a value: shape and kind. Values are contiguous and row-major.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueType {
    /// The lengths of the axes.
    pub shape: Shape,
    /// What the elements are.
    pub kind: Kind,
}

impl ValueType {
    /// Numbers of shape `shape`.
    pub const fn real(shape: Shape) -> ValueType {
        ValueType { shape, kind: Kind::Real }
    }

    /// Indices of shape `shape`.
    pub const fn index(shape: Shape) -> ValueType {
        ValueType { shape, kind: Kind::Index }
    }

    /// Bytes of shape `shape`.
    pub const fn byte(shape: Shape) -> ValueType {
        ValueType { shape, kind: Kind::Byte }
    }

    /// The number of elements.
    #[allow(clippy::len_without_is_empty, reason = "a value with no elements is rejected where it enters")]
    pub fn len(&self) -> usize {
        self.shape.len()
    }

    /// The number of bytes, if they can be addressed.
    #[cfg(feature = "alloc")]
    pub(crate) fn checked_bytes(&self, real: usize) -> Option<usize> {
        let size = self.kind.size(real);
        let bytes = self.shape.dims().iter().try_fold(size, |product, &dim| product.checked_mul(dim));
        bytes.filter(|&bytes| isize::try_from(bytes).is_ok())
    }

    /// The number of bytes, when a number has `real` bytes.
    pub fn bytes(&self, real: usize) -> usize {
        self.len() * self.kind.size(real)
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Real => write!(f, "{}", self.shape),
            Kind::Index => write!(f, "u32{}", self.shape),
            Kind::Byte => write!(f, "u8{}", self.shape),
        }
    }
}

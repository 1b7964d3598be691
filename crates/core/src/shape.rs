//! The lengths of a tensor's axes.

use core::fmt;

/// The largest number of axes a tensor may have.
pub const MAX_RANK: usize = 6;

/// The lengths of a tensor's axes, outermost first (row-major), held inline: no allocator, `Copy`.
///
/// ```
/// use bantam_core::Shape;
/// let shape = Shape::of([32, 1, 28, 28]);
/// assert_eq!(shape.len(), 32 * 28 * 28);
/// assert_eq!(shape.strides(), [784, 784, 28, 1]);
/// assert_eq!(format!("{shape}"), "[32, 1, 28, 28]");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: [usize; MAX_RANK],
    rank: u8,
}

/// More than [`MAX_RANK`] axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RankError {
    /// How many axes were asked for.
    pub rank: usize,
}

impl fmt::Display for RankError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a tensor has at most {MAX_RANK} axes, got {}", self.rank)
    }
}

impl core::error::Error for RankError {}

impl Shape {
    /// The shape of a single number: no axes, one element.
    pub const SCALAR: Shape = Shape { dims: [1; MAX_RANK], rank: 0 };

    /// A shape whose rank is known when compiling; more than [`MAX_RANK`] axes do not compile.
    pub const fn of<const RANK: usize>(dims: [usize; RANK]) -> Shape {
        const { assert!(RANK <= MAX_RANK, "too many axes") }
        let mut shape = Shape { dims: [1; MAX_RANK], rank: RANK as u8 };
        let mut axis = 0;
        while axis < RANK {
            shape.dims[axis] = dims[axis];
            axis += 1;
        }
        shape
    }

    /// A shape from a slice.
    ///
    /// # Errors
    /// More than [`MAX_RANK`] axes.
    pub fn new(dims: &[usize]) -> Result<Shape, RankError> {
        if dims.len() > MAX_RANK {
            return Err(RankError { rank: dims.len() });
        }
        // Axis by axis: a copy of unknown length would be a call.
        let axis = |axis: usize| dims.get(axis).copied().unwrap_or(1);
        Ok(Shape { dims: core::array::from_fn(axis), rank: dims.len() as u8 })
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        usize::from(self.rank)
    }

    /// The lengths of the axes.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank()]
    }

    /// The lengths of the axes, to change.
    pub fn dims_mut(&mut self) -> &mut [usize] {
        &mut self.dims[..usize::from(self.rank)]
    }

    /// The number of elements: the product of all lengths, 1 for a scalar.
    #[allow(clippy::len_without_is_empty, reason = "an axis of length 0 is rejected where data enters")]
    pub fn len(&self) -> usize {
        // Axes that do not exist are 1: without a loop of unknown length it is a few multiplications, and every step of a plan asks.
        let [a, b, c, d, e, f] = self.dims;
        (a * b) * (c * d) * (e * f)
    }

    /// How many elements lie between neighbours along each axis when the data is contiguous and row-major. Only the
    /// first [`rank`](Self::rank) entries are returned.
    pub fn strides(&self) -> Strides {
        let mut strides = [0; MAX_RANK];
        let mut stride = 1;
        for axis in (0..self.rank()).rev() {
            strides[axis] = stride;
            stride *= self.dims[axis];
        }
        Strides { strides, rank: self.rank }
    }

    /// The last axis's length, 1 for a scalar.
    pub fn last(&self) -> usize {
        self.dims().last().copied().unwrap_or(1)
    }

    /// The same shape with axis `axis` set to `len`; unchanged if there is no such axis.
    #[must_use]
    pub fn with(mut self, axis: usize, len: usize) -> Shape {
        if let Some(dim) = self.dims_mut().get_mut(axis) {
            *dim = len;
        }
        self
    }
}

/// The strides of a contiguous [`Shape`]; reads as a slice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Strides {
    strides: [usize; MAX_RANK],
    rank: u8,
}

impl core::ops::Deref for Strides {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.strides[..usize::from(self.rank)]
    }
}

impl fmt::Debug for Strides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<const RANK: usize> PartialEq<[usize; RANK]> for Strides {
    fn eq(&self, other: &[usize; RANK]) -> bool {
        **self == *other
    }
}

impl<const RANK: usize> PartialEq<[usize; RANK]> for Shape {
    fn eq(&self, other: &[usize; RANK]) -> bool {
        self.dims() == other
    }
}

impl<const RANK: usize> From<[usize; RANK]> for Shape {
    fn from(dims: [usize; RANK]) -> Shape {
        Shape::of(dims)
    }
}

impl core::ops::Index<usize> for Shape {
    type Output = usize;
    fn index(&self, axis: usize) -> &usize {
        &self.dims()[axis]
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (axis, dim) in self.dims().iter().enumerate() {
            if axis > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{dim}")?;
        }
        f.write_str("]")
    }
}

/// The shape that two shapes broadcast to by NumPy's rule: aligned at the last axis, equal lengths or a 1.
///
/// `None` if they do not fit.
pub fn broadcast_shapes(a: Shape, b: Shape) -> Option<Shape> {
    let rank = a.rank().max(b.rank());
    let mut out = Shape { dims: [1; MAX_RANK], rank: rank as u8 };
    for from_last in 0..rank {
        let dim = |s: &Shape| if from_last < s.rank() { s[s.rank() - 1 - from_last] } else { 1 };
        out.dims[rank - 1 - from_last] = match (dim(&a), dim(&b)) {
            (x, y) if x == y => x,
            (1, y) => y,
            (x, 1) => x,
            _ => return None,
        };
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_numpy() {
        let fits = |a: &[usize], b: &[usize]| {
            broadcast_shapes(Shape::new(a).unwrap(), Shape::new(b).unwrap()).map(|s| s.dims().len())
        };
        assert_eq!(
            broadcast_shapes(Shape::of([8, 1, 6, 1]), Shape::of([7, 1, 5])),
            Some(Shape::of([8, 7, 6, 5]))
        );
        assert_eq!(broadcast_shapes(Shape::SCALAR, Shape::of([3])), Some(Shape::of([3])));
        assert_eq!(fits(&[3], &[4]), None);
        assert_eq!(fits(&[2, 1], &[8, 4, 3]), None);
    }

    #[test]
    fn too_many_axes_are_an_error() {
        assert_eq!(Shape::new(&[1; 7]), Err(RankError { rank: 7 }));
    }
}

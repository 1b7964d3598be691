//! The seam between an operation and everything else.

use crate::{Element, Kind, OpError, ValueType};
use bantam_core::{Context, Numerics};
#[cfg(feature = "alloc")]
use bantam_kernels::Activation;
use bantam_kernels::{Arg, Span};
use core::{fmt, marker::PhantomData};

#[cfg(feature = "alloc")]
use crate::{Gradient, NodeRef, Shared, Var};
#[cfg(feature = "alloc")]
use alloc::vec::Vec;
#[cfg(feature = "std")]
use alloc::{format, string::String};

/// What an op may know of the step it runs in.
#[derive(Clone, Copy, Debug)]
pub struct StepContext<'a> {
    /// Where and how kernels run.
    pub kernels: Context<'a>,
    /// The run's seed, for the keys of random streams.
    pub seed: u64,
    /// The training step, for the keys of random streams.
    pub step: u64,
    /// What the gradient of the loss starts from: 1, or the share of a micro-batch in its batch.
    pub loss_scale: f64,
}

/// An operation: shape rule, evaluation and derivative, side by side.
///
/// Built-in ops and those of other crates are the same thing: there is no closed list anywhere. Values are contiguous
/// and row-major. One op has any number of inputs and one output.
///
/// Implementing it takes no `unsafe`: an op that says something wrong of itself makes an error or wrong numbers, but never
/// reaches memory that is not its own.
pub trait Op<T: Element>: Send + Sync {
    /// The op's name in messages, such as `"conv2d"`.
    fn name(&self) -> &'static str;

    /// The output's type for these inputs.
    ///
    /// # Errors
    /// The inputs do not fit; the graph adds the layer and the caller's line.
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError>;

    /// Computes the output. Must write every element of it (or add to every element, if [`Io::accumulate`] is set) and
    /// must not allocate.
    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>);

    /// Records the vector-Jacobian product: for each input the gradient that follows from `dy`, the gradient of the
    /// output. What is not needed is dropped by the planner, so an op simply gives all that it has.
    ///
    /// The default has none: asking for a gradient through the op is then an error.
    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let _ = dy;
        node.inputs().iter().map(|_| Gradient::Missing).collect()
    }

    /// The op as a Rust expression, for [plans in flash](crate::StaticPlan): with `ops`, `functions` and the settings'
    /// types in scope for built-in ops, with its full path for one of another crate.
    ///
    /// The default has none: such a plan is then an error.
    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        None
    }

    /// Evaluating the op as a Rust expression of `cx` and `io`. An op that can do with less code for these inputs, such as for
    /// operands of one shape, says so here: a plan in flash then holds no more than that.
    #[cfg(feature = "std")]
    fn call_to_rust(&self, inputs: &[ValueType]) -> Option<String> {
        let _ = inputs;
        self.to_rust().map(|op| format!("Op::<{}>::eval(&{op}, cx, io)", T::NAME))
    }

    /// Elements of scratch memory that [`eval`](Self::eval) needs for these inputs. With [`Numerics::Fast`] no less than with
    /// portable ones: what a plan is made for, it can compute with either.
    fn scratch(&self, inputs: &[ValueType], numerics: Numerics) -> usize {
        let _ = (inputs, numerics);
        0
    }

    /// Whether the op can compute a few rows of its output, or a part of one, alone ([`Io::first`]), with the same bits and without
    /// scratch memory. Such a gradient need never be whole.
    fn evaluates_parts(&self) -> bool {
        false
    }

    /// Whether each element of the output depends on the elements in its place alone, of inputs of the output's shape, and on
    /// inputs of one element. Of such ops in a row the planner computes piece after piece, so that they pass over memory
    /// once.
    fn is_elementwise(&self) -> bool {
        false
    }

    /// Whether the output may lie where input `operand` lies, if they have the same size. An op that says so reads
    /// that input through [`Io::span`] or [`Io::arg`].
    fn in_place(&self, operand: usize) -> bool {
        let _ = operand;
        false
    }

    /// Whether the op can add to what is in the output instead of overwriting it ([`Io::accumulate`]).
    fn accumulates(&self) -> bool {
        false
    }

    /// Whether the output is the first input under another shape: nothing runs and the memory is shared.
    fn is_alias(&self) -> bool {
        false
    }

    /// Whether the op is the sum of its two inputs; such a sum can become an accumulation into one of them.
    fn is_sum(&self) -> bool {
        false
    }

    /// The activation that this op applies to each element of its only input, if a kernel's epilogue can apply it.
    #[cfg(feature = "alloc")]
    fn as_activation(&self) -> Option<Activation> {
        None
    }

    /// The same op with `activation` applied to its output, if it can do that itself.
    #[cfg(feature = "alloc")]
    fn with_activation(&self, activation: Activation) -> Option<Shared<dyn Op<T>>> {
        let _ = activation;
        None
    }
}

/// With its settings on a host; its name on a board, which need not carry what prints them.
impl<T: Element> fmt::Debug for dyn Op<T> + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(feature = "std")]
        if let Some(op) = self.to_rust() {
            return f.write_str(&op);
        }
        f.write_str(self.name())
    }
}

/// Where a value lies in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Bytes from the start of the arena.
    pub offset: usize,
    /// What lies there.
    pub value: ValueType,
}

impl Slot {
    /// An offset from here on counts from the start of the read-only memory of a [plan in flash](crate::StaticPlan)
    /// instead: no arena is as large.
    pub const FLASH: usize = 1 << (usize::BITS - 1);
}

/// The output of an op, by the kind of its elements.
#[derive(Debug)]
pub enum Output<'a, T> {
    /// Numbers.
    Real(&'a mut [T]),
    /// Indices.
    Index(&'a mut [u32]),
    /// Bytes.
    Byte(&'a mut [u8]),
}

impl<'a, T> Output<'a, T> {
    /// The output as numbers; empty if it is of another kind.
    pub fn real(self) -> &'a mut [T] {
        match self {
            Output::Real(slice) => slice,
            _ => &mut [],
        }
    }

    /// The output as indices; empty if it is of another kind.
    pub fn index(self) -> &'a mut [u32] {
        match self {
            Output::Index(slice) => slice,
            _ => &mut [],
        }
    }

    /// The output as bytes; empty if it is of another kind.
    pub fn byte(self) -> &'a mut [u8] {
        match self {
            Output::Byte(slice) => slice,
            _ => &mut [],
        }
    }
}

/// The inputs of an op while it is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a, T> {
    base: *const u8,
    flash: *const u8,
    slots: &'a [Slot],
    output: usize,
    element: PhantomData<&'a T>,
}

impl<'a, T: Element> Inputs<'a, T> {
    /// The inputs in `slots` of the arena at `base` and of read-only memory at `flash`, for an output at `output`.
    ///
    /// # Safety
    /// 1. For every slot, `base + offset .. + bytes` (or `flash + offset - FLASH`) is one live allocation, initialised,
    ///    aligned for its kind, and is not written during `'a`, except for slots whose offset is `output`.
    pub(crate) unsafe fn new(base: *const u8, flash: *const u8, slots: &'a [Slot], output: usize) -> Self {
        Inputs { base, flash, slots, output, element: PhantomData }
    }

    /// Input `i` as numbers. Empty if it is of another kind, or if the output lies in its place: only an op that
    /// [allows that](Op::in_place) meets such inputs, and asks [`Io::span`] or [`Io::arg`] instead.
    pub fn real(&self, i: usize) -> &'a [T] {
        self.slice(i, Kind::Real)
    }

    /// Input `i` as indices; empty if it is of another kind.
    pub fn indices(&self, i: usize) -> &'a [u32] {
        self.slice(i, Kind::Index)
    }

    /// Input `i` as bytes; empty if it is of another kind.
    pub fn byte(&self, i: usize) -> &'a [u8] {
        self.slice(i, Kind::Byte)
    }

    /// The type of input `i`.
    pub fn value(&self, i: usize) -> ValueType {
        self.slots[i].value
    }

    /// Whether the output lies where input `i` lies.
    pub fn is_output(&self, i: usize) -> bool {
        self.slots[i].offset == self.output
    }

    /// The number of inputs.
    #[allow(clippy::len_without_is_empty, reason = "not a collection")]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    fn slice<E>(&self, i: usize, kind: Kind) -> &'a [E] {
        let slot = &self.slots[i];
        if slot.value.kind != kind || slot.offset == self.output {
            return &[];
        }
        let start = match slot.offset.checked_sub(Slot::FLASH) {
            None => self.base.wrapping_add(slot.offset),
            Some(offset) => self.flash.wrapping_add(offset),
        };
        // SAFETY: 1. of `new`: the range is live, initialised, aligned for the kind and not written, since its offset
        // is not the output's. `E` is the element of `kind` in each of the three callers.
        unsafe { core::slice::from_raw_parts(start.cast::<E>(), slot.value.len()) }
    }
}

/// What an op reads and writes when it is evaluated: disjoint slices, or the output in the place of one input.
#[derive(Debug)]
pub struct Io<'a, T> {
    /// The inputs.
    pub inputs: Inputs<'a, T>,
    /// The output.
    pub output: Output<'a, T>,
    /// The output's type.
    pub value: ValueType,
    /// As many elements as [`Op::scratch`] asked for, with any content.
    pub scratch: &'a mut [T],
    /// Add to the output instead of overwriting it. Only set for ops that [can](Op::accumulates).
    pub accumulate: bool,
    /// Which element of the whole output is the first of `output`, if that is only a part of one row or up to four whole
    /// rows. Only set for ops that [can](Op::evaluates_parts).
    pub first: Option<usize>,
}

impl<'a, T: Element> Io<'a, T> {
    /// The first input and the output as one operand of an elementwise kernel.
    pub fn span(self) -> Span<'a, T> {
        if self.inputs.is_output(0) {
            Span::InPlace(self.output.real())
        } else {
            Span::Separate(self.inputs.real(0), self.output.real())
        }
    }

    /// Input `i` as the operand of a kernel that takes strided operands; `strides` are in elements.
    pub fn arg<'s>(&self, i: usize, strides: &'s [usize]) -> Arg<'s, T>
    where
        'a: 's,
    {
        if self.inputs.is_output(i) { Arg::Out } else { Arg::In(self.inputs.real(i), strides) }
    }
}

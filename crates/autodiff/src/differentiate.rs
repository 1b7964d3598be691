//! Reverse-mode differentiation: walks the graph backwards and records the gradients as more nodes.

use crate::{Element, Error, ErrorKind, Graph, Kind, Op, Shared, Var, graph::Source, plan::unlocated};
use alloc::{string::String, vec, vec::Vec};
use bantam_kernels::functions;

/// The gradient of one input of an op.
#[derive(Clone, Copy, Debug)]
pub enum Gradient<'g, T: Element> {
    /// A recorded value of the input's shape.
    Flow(Var<'g, T>),
    /// Zero wherever the derivative exists, such as that of a comparison: nothing flows, and that is right.
    Zero,
    /// The op has none. An error, should the gradient be needed.
    Missing,
}

impl<'g, T: Element> From<Var<'g, T>> for Gradient<'g, T> {
    fn from(var: Var<'g, T>) -> Self {
        Gradient::Flow(var)
    }
}

/// A recorded op as its derivative sees it.
#[derive(Debug)]
pub struct NodeRef<'n, 'g, T: Element> {
    inputs: &'n [Var<'g, T>],
    output: Var<'g, T>,
}

impl<'g, T: Element> NodeRef<'_, 'g, T> {
    /// The op's inputs.
    pub fn inputs(&self) -> &[Var<'g, T>] {
        self.inputs
    }

    /// Input `i`.
    pub fn input(&self, i: usize) -> Var<'g, T> {
        self.inputs[i]
    }

    /// The op's output.
    pub fn output(&self) -> Var<'g, T> {
        self.output
    }

    /// The graph to record into.
    pub fn graph(&self) -> &'g Graph<T> {
        self.output.graph
    }
}

impl<T: Element> Graph<T> {
    /// Records the gradients of the number `loss` with respect to each of `wrt`, in their order.
    ///
    /// The gradients are ordinary values: they can be used in further computation and differentiated again. Ops that only
    /// derivatives record have derivatives themselves with the feature `higher-order`, which `std` brings along; without it,
    /// a board holds none of them, and asking for one is an error.
    ///
    /// # Errors
    /// `loss` is not a single number; it does not depend on one of `wrt`; an op on the way has no gradient. A gradient
    /// is never silently left out.
    pub fn differentiate<'g>(
        &'g self,
        loss: Var<'g, T>,
        wrt: &[Var<'g, T>],
    ) -> Result<Vec<Var<'g, T>>, Error> {
        self.pull_back(loss, self.constant(T::one()), wrt)
    }

    /// Like [`differentiate`](Self::differentiate), but starts from `seed` in place of 1.
    ///
    /// # Errors
    /// See [`differentiate`](Self::differentiate).
    pub fn pull_back<'g>(
        &'g self,
        loss: Var<'g, T>,
        seed: Var<'g, T>,
        wrt: &[Var<'g, T>],
    ) -> Result<Vec<Var<'g, T>>, Error> {
        self.check()?;
        if !self.owns(loss) || !self.owns(seed) || !wrt.iter().all(|var| self.owns(*var)) {
            return Err(unlocated(ErrorKind::OtherGraph));
        }
        let got = loss.value_type();
        if got.len() != 1 || got.kind != Kind::Real {
            return Err(self.error_at(loss.id, ErrorKind::NotScalar { got }));
        }
        let seed = seed.reshape(loss.shape());

        // Forward sweep: what depends on one of `wrt`? Nothing else asks for a gradient.
        let count = loss.id as usize + 1;
        let mut active = vec![false; count];
        for var in wrt.iter().filter(|var| (var.id as usize) < count) {
            active[var.id as usize] = true;
        }
        {
            let inner = self.inner.borrow();
            for id in 0..count {
                let node = &inner.nodes[id];
                active[id] |=
                    node.inputs.iter().any(|&i| active[i as usize]) && node.value.kind == Kind::Real;
            }
        }

        // Backward sweep: every node passes on the sum of what has arrived.
        let mut gradients: Vec<Option<Var<'g, T>>> = vec![None; count];
        // What is computed again, as soon as something asks for it.
        let mut again = Vec::new();
        let recompute = self.inner.borrow().recompute;
        let mut as_seen = |var: Var<'g, T>| recompute.map_or(var, |find| find(self, var.id, &mut again));
        gradients[loss.id as usize] = Some(seed);
        for id in (0..count).rev() {
            let Some(dy) = gradients[id] else { continue };
            if !active[id] {
                continue;
            }
            let Some((op, mut seen, path)) = self.op_at(id as u32) else { continue };
            seen.iter_mut().for_each(|input| *input = as_seen(*input));
            let node = NodeRef { inputs: &seen, output: as_seen(Var { graph: self, id: id as u32 }) };
            let before = core::mem::replace(&mut self.inner.borrow_mut().path, path);
            let flown = self.pass_on(id as u32, &*op, &node, dy, &active, &mut gradients);
            self.inner.borrow_mut().path = before;
            flown?;
        }
        self.check()?;
        let mut found = Vec::with_capacity(wrt.len());
        for var in wrt {
            let Some(Some(gradient)) = gradients.get(var.id as usize) else {
                let of = self.describe(var.id);
                return Err(self.error_at(loss.id, ErrorKind::NoPath { of }));
            };
            found.push(*gradient);
        }
        Ok(found)
    }

    /// What the backward pass sees of node `id`: itself, or where it is marked the same op, recorded again over what it sees
    /// of the inputs. What turns out to be read by nobody is never planned.
    pub(crate) fn compute_again<'g>(&'g self, id: u32, again: &mut Vec<Option<Var<'g, T>>>) -> Var<'g, T> {
        let itself = Var { graph: self, id };
        again.resize(again.len().max(id as usize + 1), None);
        if again[id as usize].is_some() || !self.inner.borrow().nodes[id as usize].recompute {
            return again[id as usize].unwrap_or(itself);
        }
        // Inputs come before their readers: one sweep marks what is needed, and needs no recursion as deep as the network.
        let mut marked = vec![false; id as usize + 1];
        marked[id as usize] = true;
        {
            let inner = self.inner.borrow();
            for id in (0..=id as usize).rev().filter(|&id| inner.nodes[id].recompute && again[id].is_none()) {
                if marked[id] {
                    inner.nodes[id].inputs.iter().for_each(|&input| marked[input as usize] = true);
                }
            }
        }
        for id in (0..=id).filter(|&id| marked[id as usize]) {
            if again[id as usize].is_some() || !self.inner.borrow().nodes[id as usize].recompute {
                continue;
            }
            let Some((op, inputs, path)) = self.op_at(id) else {
                again[id as usize] = Some(Var { graph: self, id });
                continue;
            };
            let inputs: Vec<_> =
                inputs.iter().map(|input| again[input.id as usize].unwrap_or(*input)).collect();
            let before = core::mem::replace(&mut self.inner.borrow_mut().path, path);
            let recorded = self.apply_shared(op, &inputs);
            again[id as usize] = Some(recorded);
            let mut inner = self.inner.borrow_mut();
            inner.nodes[recorded.id as usize].again = true;
            inner.path = before;
        }
        again[id as usize].unwrap_or(itself)
    }

    /// Adds what flows from node `id` to the gradients of its inputs.
    fn pass_on<'g>(
        &'g self,
        id: u32,
        op: &dyn Op<T>,
        node: &NodeRef<'_, 'g, T>,
        dy: Var<'g, T>,
        active: &[bool],
        gradients: &mut [Option<Var<'g, T>>],
    ) -> Result<(), Error> {
        let flows = op.vjp(node, dy);
        for operand in 0..node.inputs.len() {
            let input = Var { graph: self, id: self.inner.borrow().nodes[id as usize].inputs[operand] };
            if !active[input.id as usize] {
                continue;
            }
            let flow = match flows.get(operand).copied().unwrap_or(Gradient::Missing) {
                Gradient::Zero => continue,
                Gradient::Missing => {
                    return Err(self.error_at(id, ErrorKind::NotDifferentiable { op: op.name(), operand }));
                }
                Gradient::Flow(flow) => flow,
            };
            if !self.owns(flow) {
                return Err(self.error_at(id, ErrorKind::OtherGraph));
            }
            self.check()?;
            let (expected, got) = (input.value_type(), flow.value_type());
            if expected != got {
                let kind = ErrorKind::Gradient { op: op.name(), operand, expected, got };
                return Err(self.error_at(id, kind));
            }
            let so_far = &mut gradients[input.id as usize];
            *so_far = Some(so_far.map_or(flow, |sum| sum.alike(flow, functions::Add)));
        }
        Ok(())
    }

    #[allow(clippy::type_complexity, reason = "three fields of one node, taken apart by the only caller")]
    fn op_at(&self, id: u32) -> Option<(Shared<dyn Op<T>>, Vec<Var<'_, T>>, u32)> {
        let inner = self.inner.borrow();
        let node = &inner.nodes[id as usize];
        match &node.source {
            Source::Op(op) => {
                let inputs = node.inputs.iter().map(|&id| Var { graph: self, id }).collect();
                Some((Shared::clone(op), inputs, node.path))
            }
            _ => None,
        }
    }

    /// The path of a parameter, the name of an input or op.
    pub(crate) fn describe(&self, id: u32) -> String {
        let inner = self.inner.borrow();
        let node = &inner.nodes[id as usize];
        match &node.source {
            Source::Parameter(index) => inner.parameters[*index].path.clone(),
            _ => node.name().into(),
        }
    }

    pub(crate) fn error_at(&self, id: u32, kind: ErrorKind) -> Error {
        self.inner.borrow().error_at(id as usize, kind)
    }
}

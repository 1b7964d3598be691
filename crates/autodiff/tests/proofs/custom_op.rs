//! Ops and elementwise functions that are defined here, in another crate, are used exactly like built-in ones:
//! values, gradients, in-place planning, accumulation, fusion into nothing they did not ask for.

use crate::gradients::{Case, Checked};
use crate::support::{Domain, Momentum, parameter};
use bantam_autodiff::{
    Element, Gradient, Graph, Io, Mode, NodeRef, Op, OpError, Session, StepContext, ValueType, Var,
    ops::{Elementwise, ZipElementwise},
};
use bantam_core::{Numerics, Shape};
use bantam_kernels::{MapFn, Simd, Span, Vector, ZipFn};
use serde_json::Value;

/// x · sigmoid(beta · x) (Ramachandran et al., 2017), by a plain loop.
#[derive(Clone, Copy, Debug)]
struct Swish {
    beta: f64,
}

impl<T: Element> Op<T> for Swish {
    fn name(&self) -> &'static str {
        "swish"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        match inputs {
            [x] => Ok(*x),
            _ => Err(OpError::Form { op: "swish", expected: "of one operand", got: Shape::SCALAR }),
        }
    }

    fn eval(&self, _: &StepContext<'_>, io: Io<'_, T>) {
        let beta = T::from_f64(self.beta);
        let swish = |x: T| x / (T::one() + (-beta * x).exp());
        match io.span() {
            Span::Separate(x, y) => y.iter_mut().zip(x).for_each(|(y, x)| *y = swish(*x)),
            Span::InPlace(y) => y.iter_mut().for_each(|y| *y = swish(*y)),
        }
    }

    /// With s = sigmoid(beta·x): dy · (s + beta·x·s·(1 − s)).
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (x, beta) = (node.input(0), T::from_f64(self.beta));
        let s = (x * beta).sigmoid();
        vec![(dy * (s + x * s * (-s + T::one()) * beta)).into()]
    }

    fn in_place(&self, _: usize) -> bool {
        true
    }
}

/// The product of every element of one vector with every element of another; works in scratch memory and can add.
#[derive(Clone, Copy, Debug)]
struct Outer;

impl<T: Element> Op<T> for Outer {
    fn name(&self) -> &'static str {
        "outer"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        Ok(ValueType::real(Shape::of([inputs[0].len(), inputs[1].len()])))
    }

    fn scratch(&self, inputs: &[ValueType], _: Numerics) -> usize {
        inputs[1].len()
    }

    fn eval(&self, _: &StepContext<'_>, io: Io<'_, T>) {
        let (a, b, accumulate) = (io.inputs.real(0), io.inputs.real(1), io.accumulate);
        for (&a, row) in a.iter().zip(io.output.real().chunks_exact_mut(b.len())) {
            io.scratch.iter_mut().zip(b).for_each(|(product, &b)| *product = a * b);
            for (y, product) in row.iter_mut().zip(&*io.scratch) {
                *y = if accumulate { *y + *product } else { *product };
            }
        }
    }

    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (a, b) = (node.input(0), node.input(1));
        let (rows, columns) = (a.shape().len(), b.shape().len());
        let da = dy.matmul(b.reshape([columns, 1])).reshape(a.shape());
        let db = dy.matmul_tn(a.reshape([rows, 1])).reshape(b.shape());
        vec![da.into(), db.into()]
    }

    fn accumulates(&self) -> bool {
        true
    }
}

/// x³ as a function for the kernels: SIMD, threads and in-place operands come with it.
#[derive(Clone, Copy, Debug)]
struct Cube;

impl<T: Element> MapFn<T> for Cube {
    #[inline(always)]
    fn apply<S: Simd>(self, _: S, x: T::Vector<S>) -> T::Vector<S> {
        x * x * x
    }
}

impl<T: Element> Elementwise<T> for Cube {
    const NAME: &'static str = "cube";

    fn derivative<'g>(self, x: Var<'g, T>, _: Var<'g, T>, dy: Var<'g, T>) -> Gradient<'g, T> {
        (dy * x.square() * T::from_f64(3.0)).into()
    }
}

/// √(a² + b²), with broadcasting.
#[derive(Clone, Copy, Debug)]
struct Hypotenuse;

impl<T: Element> ZipFn<T> for Hypotenuse {
    #[inline(always)]
    fn apply<S: Simd>(self, _: S, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        (a * a + b * b).sqrt()
    }
}

impl<T: Element> ZipElementwise<T> for Hypotenuse {
    const NAME: &'static str = "hypotenuse";

    fn derivatives<'g>(
        self,
        a: Var<'g, T>,
        b: Var<'g, T>,
        y: Var<'g, T>,
        dy: Var<'g, T>,
    ) -> [Gradient<'g, T>; 2] {
        [(dy * a / y).into(), (dy * b / y).into()]
    }
}

/// PyTorch calls the swish with beta = 1 silu.
fn agrees_with_pytorch<T: Element>(tolerance: f64) {
    let rows: Value = serde_json::from_str(include_str!("golden/activations.json")).unwrap();
    let row = rows.as_array().unwrap().iter().find(|row| row["name"] == "silu").unwrap();
    let data = |tensor: &Value| -> Vec<f64> {
        tensor["data"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    };
    let (x, y, dy) = (data(&row["inputs"][0]), data(&row["y"]), data(&row["dy"]));
    let dx = data(&row["dinputs"][0]);

    let graph = Graph::<T>::new();
    let shape = Shape::of([x.len()]);
    let (input, flow) = (graph.input("x", shape), graph.input("dy", shape));
    let output = graph.apply(Swish { beta: 1.0 }, &[input]);
    let gradient = graph.differentiate((output * flow).sum_all(), &[input]).unwrap()[0];
    let plan = graph.planner().output("y", output).output("dx", gradient).build().unwrap();
    let mut session = Session::new(plan);
    for (port, values) in [(0, &x), (1, &dy)] {
        session.input(port).iter_mut().zip(values).for_each(|(slot, x)| *slot = T::from_f64(*x));
    }
    session.run();
    for (port, expected) in [(0, &y), (1, &dx)] {
        let scale = expected.iter().fold(1.0_f64, |scale, x| scale.max(x.abs()));
        for (&got, expected) in session.output(port).iter().zip(expected) {
            assert!((got.to_f64() - expected).abs() <= tolerance * scale, "{got} is not {expected}");
        }
    }
}

#[test]
fn values_and_gradients() {
    // See `golden` for where the tolerances come from.
    agrees_with_pytorch::<f64>(1e-12);
    agrees_with_pytorch::<f32>(1e-5);
    let mut checked = Checked::default();
    for seed in 0..4 {
        let one = Case::new(&[&[3, 7]], Domain::Any, seed);
        checked.twice(&one, |o| o.graph.apply(Swish { beta: 1.3 }, &[o.x[0]])).unwrap();
        checked.twice(&one, |o| o.x[0].map(Cube)).unwrap();
        let two = Case::new(&[&[2, 1, 5], &[3, 1]], Domain::Positive, seed);
        checked.twice(&two, |o| o.x[0].zip(o.x[1], Hypotenuse)).unwrap();
        let two = Case::new(&[&[4], &[9]], Domain::Any, seed);
        checked.twice(&two, |o| o.graph.apply(Outer, &[o.x[0], o.x[1]])).unwrap();
    }
}

#[test]
fn planned_like_built_in_ones() {
    let graph = Graph::<f64>::with_parameters(vec![parameter("w", &[4, 4])], Mode::Train);
    let (a, b) = (graph.input("a", Shape::of([4])), graph.input("b", Shape::of([4])));
    let outer = |a, b| graph.apply(Outer, &[a, b]);
    // Two outer products and a sum, and the rest happens in place.
    let y = graph.apply(Swish { beta: 1.0 }, &[outer(a, b) + outer(b, b)]).map(Cube);
    let y = y.zip(graph.full(Shape::of([4, 4]), 2.0), Hypotenuse);
    let loss = (y * graph.parameter(0)).mean_all();
    let optimizer = Momentum { rate: 0.1, momentum: 0.0 };
    let plan = graph.planner().optimizer(&optimizer).loss(loss).build().unwrap();
    plan.verify().unwrap();
    let text = plan.to_string();
    for op in ["swish", "cube", "hypotenuse"] {
        let line = text.lines().find(|line| line.contains(op)).unwrap();
        assert!(line.contains("in place"), "{line}");
    }
    // Where nothing trains, one of the products adds to the other.
    let text = graph.planner().output("y", y).build().unwrap().to_string();
    assert_eq!(text.matches("+= outer(").count(), 1, "{text}");
    assert_eq!(text.matches(" add(").count(), 0, "{text}");
    assert_eq!(plan.memory().scratch, 4 * 8);

    let mut session = Session::new(plan);
    session.input(0).copy_from_slice(&[1.0, -2.0, 0.5, 3.0]);
    session.input(1).copy_from_slice(&[0.3, 0.1, -0.7, 2.0]);
    session.parameter_mut(0).fill(1.0);
    let first = session.step(&optimizer).unwrap();
    let last = session.step(&optimizer).unwrap();
    // The mean of y·w falls by rate·|y/16|² in every step; y is the same in both.
    let y = |i: usize| {
        let (a, b) = ([1.0, -2.0, 0.5, 3.0], [0.3, 0.1, -0.7, 2.0]);
        let x: f64 = a[i / 4] * b[i % 4] + b[i / 4] * b[i % 4];
        let s = x / (1.0 + (-x).exp());
        (s * s * s).hypot(2.0)
    };
    let expected: f64 = (0..16).map(|i| 0.1 * y(i) * y(i) / 256.0).sum();
    assert!((first - last - expected).abs() <= 1e-12 * first, "{first} {last} {expected}");
}

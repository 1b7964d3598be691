//! Every op's vector-Jacobian product against central differences, at relative error 1e-6, over random shapes and
//! settings; and a list of the ops in `src/ops` that fails when one of them was not checked.
//!
//! Most ops are checked twice: their gradient, and the gradient of their gradient, which checks the ops that only occur
//! in backward passes.

use crate::support::{Domain, choose, derivative, draw, rng};
use alloc::collections::BTreeSet;
use bantam_autodiff::{
    ErrorKind, Graph, Mode, Session, Var,
    ops::{Conv2dOptions, Copied, Pool2dOptions, SliceRange},
};
use bantam_core::Shape;
use bantam_core::random::below;
use bantam_kernels::functions;
use bantam_tensor::Tensor;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

pub type V<'g> = Var<'g, f64>;

/// What an op under test is applied to.
pub struct Operands<'g> {
    pub graph: &'g Graph<f64>,
    pub x: Vec<V<'g>>,
    pub indices: Vec<V<'g>>,
}

/// The numbers for it.
#[derive(Clone, Debug, Default)]
pub struct Case {
    pub x: Vec<(Shape, Vec<f64>)>,
    indices: Vec<(Shape, Vec<u32>)>,
    seed: u64,
}

impl Case {
    /// Operands of these shapes; the numbers of all of them together are from `domain`.
    pub fn new(shapes: &[&[usize]], domain: Domain, seed: u64) -> Case {
        let shapes: Vec<Shape> = shapes.iter().map(|dims| Shape::new(dims).unwrap()).collect();
        let mut all = draw(domain, shapes.iter().map(Shape::len).sum(), &mut rng(seed)).into_iter();
        let x = shapes.into_iter().map(|shape| (shape, all.by_ref().take(shape.len()).collect())).collect();
        Case { x, indices: Vec::new(), seed }
    }

    pub fn index(mut self, dims: &[usize], bound: usize) -> Case {
        let shape = Shape::new(dims).unwrap();
        let mut rng = rng(self.seed + 1);
        self.indices.push((shape, (0..shape.len()).map(|_| below(&mut rng, bound as u32)).collect()));
        self
    }

    fn declare<'g>(&self, graph: &'g Graph<f64>) -> Operands<'g> {
        Operands {
            graph,
            x: self.x.iter().map(|(shape, _)| graph.input("x", *shape)).collect(),
            indices: self.indices.iter().map(|(shape, _)| graph.indices("indices", *shape)).collect(),
        }
    }
}

/// The names of all ops whose gradient was checked.
#[derive(Default)]
pub struct Checked(BTreeSet<String>);

/// The ops of a printed graph: `%7 = linear(%0, %5) -> [32, 64]`.
fn ops_of(graph: &Graph<f64>) -> impl Iterator<Item = String> {
    let text = graph.to_string();
    let names: Vec<String> = text
        .lines()
        .filter_map(|line| line.split_once(" = ").and_then(|(_, op)| op.split_once('(')))
        .map(|(name, _)| name.to_owned())
        .collect();
    names.into_iter()
}

impl Checked {
    /// The gradient of Σ y·dy with respect to each operand against differences of it.
    pub fn gradient(
        &mut self,
        case: &Case,
        build: impl for<'g> Fn(&Operands<'g>) -> V<'g>,
    ) -> Result<(), TestCaseError> {
        let graph = Graph::<f64>::with_parameters(Vec::new(), Mode::Train);
        let operands = case.declare(&graph);
        let y = build(&operands);
        graph.check().map_err(|error| TestCaseError::fail(error.to_string()))?;
        let seen: Vec<String> = ops_of(&graph).collect();
        let dy = graph.input("dy", y.shape());
        let loss = (y * dy).sum_all();
        let mut planner = graph.planner().output("loss", loss);
        let mut outputs = vec![None; operands.x.len()];
        let mut count = 1;
        for (x, output) in operands.x.iter().zip(&mut outputs) {
            match graph.differentiate(loss, &[*x]) {
                Ok(gradient) => {
                    prop_assert_eq!(gradient[0].shape(), x.shape());
                    planner = planner.output("gradient", gradient[0]);
                    *output = Some(count);
                    count += 1;
                }
                // Says that the derivative is zero, which is held to the differences as well.
                Err(error) if matches!(error.kind, ErrorKind::NoPath { .. }) => {}
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
        }
        let mut session = Session::new(planner.build().unwrap());
        let value = graph.planner().output("loss", loss).build().unwrap();
        let mut value = Session::new(value);
        let mut rng = rng(case.seed + 2);
        let flow = draw(Domain::AwayFromZero, y.shape().len(), &mut rng);
        for session in [&mut session, &mut value] {
            for (i, (_, x)) in case.x.iter().enumerate() {
                session.input(i).copy_from_slice(x);
            }
            for (i, (_, indices)) in case.indices.iter().enumerate() {
                session.indices(case.x.len() + i).copy_from_slice(indices);
            }
            session.input(case.x.len() + case.indices.len()).copy_from_slice(&flow);
        }
        session.run();
        let gradients: Vec<Vec<f64>> = (outputs.iter().zip(&case.x))
            .map(|(output, (_, x))| output.map_or(vec![0.0; x.len()], |i| session.output(i).to_vec()))
            .collect();
        // Relative to the largest derivative: a smaller one among larger ones has lost its digits in the sums.
        let scale = gradients.iter().flatten().fold(1e-3, |scale: f64, g| scale.max(g.abs()));
        for (i, (_, x)) in case.x.iter().enumerate() {
            for at in choose(x.len(), 24, &mut rng) {
                let numeric = derivative(x[at].abs(), |h| {
                    value.input(i)[at] = x[at] + h;
                    value.run();
                    value.output(0)[0]
                });
                value.input(i)[at] = x[at];
                let analytic = gradients[i][at];
                prop_assert!(
                    (analytic - numeric).abs() <= 1e-6 * scale,
                    "the derivative by x{i}[{at}] is {analytic}, differences give {numeric}, at\n{graph}"
                );
            }
        }
        self.0.extend(seen);
        Ok(())
    }

    /// The gradient, and the gradient of the gradient.
    pub fn twice(
        &mut self,
        case: &Case,
        build: impl for<'g> Fn(&Operands<'g>) -> V<'g>,
    ) -> Result<(), TestCaseError> {
        self.gradient(case, &build)?;
        let graph = Graph::<f64>::with_parameters(Vec::new(), Mode::Train);
        let y = build(&case.declare(&graph)).shape();
        let mut second = case.clone();
        second.x.push((y, draw(Domain::AwayFromZero, y.len(), &mut rng(case.seed + 3))));
        self.gradient(&second, |operands| {
            let (dy, x) = operands.x.split_last().unwrap();
            let first = Operands { graph: operands.graph, x: x.to_vec(), indices: operands.indices.clone() };
            let loss = (build(&first) * *dy).sum_all();
            let mut flat = Vec::new();
            for x in x {
                match operands.graph.differentiate(loss, &[*x]) {
                    Ok(gradient) => flat.push(gradient[0].reshape([gradient[0].shape().len()])),
                    Err(error) if matches!(error.kind, ErrorKind::NoPath { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            operands.graph.concat(&flat, 0)
        })
    }
}

/// How much is tried: the numbers of cases below, times this.
const THOROUGH: u32 = 3;

/// Runs a property over `cases` times [`THOROUGH`] seeded random choices.
fn hold<S: Strategy>(cases: u32, choices: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config {
        cases: cases * THOROUGH,
        rng_seed: RngSeed::Fixed(20),
        failure_persistence: None,
        ..Config::default()
    };
    if let Err(error) = TestRunner::new(config).run(&choices, property) {
        panic!("{error}");
    }
}

/// The same for properties that note what they check.
fn check<S: Strategy>(
    checked: &mut Checked,
    cases: u32,
    choices: S,
    property: impl Fn(&mut Checked, S::Value) -> Result<(), TestCaseError>,
) {
    let cell = core::cell::RefCell::new(core::mem::take(checked));
    hold(cases, choices, |choice| property(&mut cell.borrow_mut(), choice));
    *checked = cell.into_inner();
}

fn dims(longest: usize, rank: core::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..=longest, rank)
}

/// Two shapes that broadcast together: each is the common one without some leading axes and with some axes of 1.
fn broadcast_pair(longest: usize) -> impl Strategy<Value = [Vec<usize>; 2]> {
    let operand = || (0..3_usize, prop::collection::vec(prop::bool::weighted(0.3), 3));
    (dims(longest, 1..=3), operand(), operand()).prop_map(|(out, left, right)| {
        [left, right].map(|(missing, ones)| {
            let mut dims = out.clone();
            dims.iter_mut().zip(ones).filter(|(_, one)| *one).for_each(|(dim, _)| *dim = 1);
            dims.split_off(missing.min(out.len() - 1))
        })
    })
}

/// A subset of the axes below `rank`, as bits; at least one.
fn axes_of(rank: usize, bits: u8) -> Vec<usize> {
    let axes: Vec<usize> = (0..rank).filter(|axis| bits >> axis & 1 == 1).collect();
    if axes.is_empty() { vec![0] } else { axes }
}

fn elementwise(checked: &mut Checked) {
    type Function = for<'g> fn(V<'g>) -> V<'g>;
    let functions: [(Domain, Function); 26] = [
        (Domain::Any, |x| -x),
        (Domain::Distinct, |x| x.abs()),
        (Domain::Any, |x| x.exp()),
        (Domain::Positive, |x| x.ln()),
        (Domain::Positive, |x| x.sqrt()),
        (Domain::Positive, |x| x.rsqrt()),
        (Domain::AwayFromZero, |x| x.recip()),
        (Domain::Any, |x| x.square()),
        (Domain::Any, |x| x.sin()),
        (Domain::Any, |x| x.cos()),
        (Domain::Any, |x| x + 0.7),
        (Domain::Any, |x| x - 0.7),
        (Domain::Any, |x| x * -1.3),
        (Domain::Any, |x| x / 0.3),
        (Domain::Positive, |x| x.powf(-1.7)),
        (Domain::Distinct, |x| x.clamp(-0.7, 1.1)),
        (Domain::Distinct, |x| x.relu()),
        (Domain::Any, |x| x.sigmoid()),
        (Domain::Any, |x| x.tanh()),
        (Domain::Any, |x| x.gelu()),
        (Domain::Any, |x| x.graph().apply(Copied, &[x])),
        (Domain::Any, |x| x.dropout(0.4)),
        (Domain::Any, |x| x.gaussian_dropout(0.4)),
        (Domain::Any, |x| x.gaussian_noise(0.4).tanh()),
        (Domain::Any, |x| x.alpha_dropout(0.4)),
        // An elementwise function of an intermediate value that is used twice.
        (Domain::Any, |x| {
            let y = x.tanh();
            y * y.exp() + y
        }),
    ];
    for (domain, function) in functions {
        check(checked, 6, (dims(5, 0..=3), any::<u64>()), |checked, (dims, seed)| {
            checked.twice(&Case::new(&[&dims], domain, seed >> 8), |o| function(o.x[0]))
        });
    }
    check(checked, 6, (dims(5, 2..=4), any::<u64>()), |checked, (dims, seed)| {
        checked.twice(&Case::new(&[&dims], Domain::Any, seed >> 8), |o| o.x[0].spatial_dropout(0.4))?;
        checked.twice(&Case::new(&[&dims], Domain::Any, seed >> 8), |o| o.x[0].drop_path(0.4))?;
        checked.twice(&Case::new(&[&dims, &dims], Domain::Any, seed >> 8), |o| o.x[0].zoneout(o.x[1], 0.4))
    });
    // Their derivatives are zero wherever they have one.
    let flat: [Function; 2] = [|x| x.map(functions::Sign), |x| x.map(functions::Step)];
    for function in flat {
        check(checked, 4, (dims(5, 0..=3), any::<u64>()), |checked, (dims, seed)| {
            checked.gradient(&Case::new(&[&dims], Domain::Distinct, seed >> 8), |o| function(o.x[0]))
        });
    }
}

fn arithmetic(checked: &mut Checked) {
    type Function = for<'g> fn(V<'g>, V<'g>) -> V<'g>;
    let functions: [(Domain, Function); 7] = [
        (Domain::Any, |a, b| a + b),
        (Domain::Any, |a, b| a - b),
        (Domain::Any, |a, b| a * b),
        (Domain::AwayFromZero, |a, b| a / b),
        (Domain::Positive, |a, b| a.pow(b)),
        (Domain::Distinct, |a, b| a.maximum(b)),
        (Domain::Distinct, |a, b| a.minimum(b)),
    ];
    for (domain, function) in functions {
        check(checked, 16, (broadcast_pair(4), any::<u64>()), |checked, ([a, b], seed)| {
            checked.twice(&Case::new(&[&a, &b], domain, seed >> 8), |o| function(o.x[0], o.x[1]))
        });
    }
    let flat: [Function; 3] =
        [|a, b| a.greater(b), |a, b| a.equal(b), |a, b| a.zip(b, functions::GreaterEqual)];
    for function in flat {
        check(checked, 4, (broadcast_pair(4), any::<u64>()), |checked, ([a, b], seed)| {
            checked.gradient(&Case::new(&[&a, &b], Domain::Distinct, seed >> 8), |o| function(o.x[0], o.x[1]))
        });
    }
    // The same operand twice, and an operand broadcast against itself.
    check(checked, 8, (dims(4, 2..=2), any::<u64>()), |checked, (dims, seed)| {
        checked.twice(&Case::new(&[&dims], Domain::Any, seed >> 8), |o| {
            let x = o.x[0];
            x * x + x.sum_keep(0) * x
        })
    });
}

fn matrices(checked: &mut Checked) {
    let sizes = (broadcast_pair(3), 1..=5_usize, 1..=9_usize, 1..=5_usize, any::<[bool; 2]>(), any::<u64>());
    check(checked, 32, sizes, |checked, ([mut a, mut b], m, k, n, [ta, tb], seed)| {
        // Up to two axes of batches in front of the matrix.
        a.truncate(2);
        b.truncate(2);
        if a.len() == 2 && b.len() == 2 && (a[0] != b[0] && a[0] != 1 && b[0] != 1) {
            b[0] = a[0];
        }
        if let (Some(x), Some(y)) = (a.last().copied(), b.last_mut())
            && x != *y
            && x != 1
            && *y != 1
        {
            *y = x;
        }
        a.extend(if ta { [k, m] } else { [m, k] });
        b.extend(if tb { [n, k] } else { [k, n] });
        checked.twice(&Case::new(&[&a, &b], Domain::Any, seed >> 8), |o| {
            let (a, b) = (o.x[0], o.x[1]);
            match (ta, tb) {
                (false, false) => a.matmul(b),
                (true, false) => a.matmul_tn(b),
                (false, true) => a.matmul_nt(b),
                (true, true) => a.matmul_tn(b.transpose()),
            }
        })
    });
    let sizes = (1..=3_usize, 1..=3_usize, 1..=4_usize, 1..=9_usize, 1..=9_usize, any::<u64>());
    check(checked, 24, sizes, |checked, (batch, heads, head, queries, keys, seed)| {
        let [queries, keys] = [queries, keys].map(|length| [batch, length, heads * head]);
        checked.twice(&Case::new(&[&queries, &keys, &keys], Domain::Any, seed >> 8), |o| {
            o.x[0].attention_scores(o.x[1], heads).softmax().attention_mix(o.x[2])
        })
    });
    let sizes = (1..=9_usize, 1..=9_usize, 1..=9_usize, any::<u64>());
    check(checked, 16, sizes, |checked, (m, n, k, seed)| {
        checked.twice(&Case::new(&[&[m, n], &[m, k], &[n, k]], Domain::Any, seed >> 8), |o| {
            // In the place of the sum, and beside it.
            let sum = o.x[0].square();
            sum.add_matmul_nt(o.x[1], o.x[2]).tanh() * (o.x[0] * 2.0).add_matmul_nt(o.x[1], o.x[2]) + sum
        })
    });
    let sizes = (dims(3, 0..=2), 1..=9_usize, 1..=9_usize, any::<bool>(), any::<u64>());
    check(checked, 24, sizes, |checked, (mut x, fan_in, fan_out, bias, seed)| {
        x.push(fan_in);
        let case = Case::new(&[&x, &[fan_out, fan_in], &[fan_out]], Domain::Any, seed >> 8);
        checked.twice(&case, |o| o.x[0].linear(o.x[1], bias.then_some(o.x[2])).tanh())
    });
}

fn reductions(checked: &mut Checked) {
    let choices = || (dims(4, 1..=4), any::<u8>(), any::<u64>());
    type Reduction = for<'g> fn(V<'g>, &[usize]) -> V<'g>;
    let functions: [(Domain, Reduction); 6] = [
        (Domain::Any, |x, axes| x.sum(axes)),
        (Domain::Any, |x, axes| x.mean(axes)),
        (Domain::Any, |x, axes| x.mean_keep(axes)),
        (Domain::Distinct, |x, axes| x.max(axes)),
        (Domain::Distinct, |x, axes| x.min(axes)),
        (Domain::AwayFromZero, |x, axes| x.product(&axes[..1])),
    ];
    for (domain, function) in functions {
        check(checked, 12, choices(), |checked, (dims, bits, seed)| {
            let axes = axes_of(dims.len(), bits);
            checked.twice(&Case::new(&[&dims], domain, seed >> 8), |o| function(o.x[0], &axes))
        });
    }
    check(checked, 8, (dims(3, 0..=5), any::<u64>()), |checked, (dims, seed)| {
        checked.twice(&Case::new(&[&dims], Domain::Any, seed >> 8), |o| {
            o.x[0].square().mean_all() + o.x[0].sum_all()
        })
    });
}

fn movements(checked: &mut Checked) {
    check(checked, 16, (dims(4, 1..=4), any::<u64>()), |checked, (dims, seed)| {
        let order = choose(dims.len(), dims.len(), &mut rng(seed >> 8));
        checked.twice(&Case::new(&[&dims], Domain::Any, seed >> 8), |o| {
            // Squared: of something that is not linear, or the second gradient would have nothing to say.
            o.x[0].square().permute(&order).transpose()
        })
    });
    let choices = (dims(6, 1..=3), any::<u8>(), any::<[u8; 3]>(), any::<u64>());
    check(checked, 24, choices, |checked, (dims, axis, [start, len, step], seed)| {
        let axis = usize::from(axis) % dims.len();
        let start = usize::from(start) % dims[axis];
        let end = start + 1 + usize::from(len) % (dims[axis] - start);
        let range = SliceRange::from(start..end).step_by(1 + usize::from(step) % 3);
        checked.twice(&Case::new(&[&dims], Domain::Any, seed >> 8), |o| {
            let x = o.x[0].square();
            let sliced = x.slice(axis, range).flip(axis);
            // Overlapping slices of one value add up.
            sliced.sum_all() * x.slice(axis, start..).mean_all() + sliced
        })
    });
    check(checked, 12, (broadcast_pair(4), any::<u64>()), |checked, ([a, b], seed)| {
        let shape = bantam_core::broadcast_shapes(Shape::new(&a).unwrap(), Shape::new(&b).unwrap()).unwrap();
        checked.twice(&Case::new(&[&a], Domain::Any, seed >> 8), |o| o.x[0].square().broadcast_to(shape))
    });
    check(
        checked,
        12,
        (dims(4, 1..=3), any::<u8>(), 1..=4_usize, any::<u64>()),
        |checked, (dims, axis, other, seed)| {
            let axis = usize::from(axis) % dims.len();
            let mut longer = dims.clone();
            longer[axis] = other;
            checked.twice(&Case::new(&[&dims, &longer], Domain::Any, seed >> 8), |o| {
                let x = [o.x[0], o.x[1].square(), o.x[0] * 2.0];
                let both = o.graph.concat(&x, axis);
                both * o.graph.stack(&[both, both.sin()], axis).sum(axis)
            })
        },
    );
    check(checked, 8, (dims(4, 1..=3), any::<u64>()), |checked, (dims, seed)| {
        checked.twice(&Case::new(&[&dims], Domain::Any, seed >> 8), |o| {
            let x = o.x[0].exp();
            x.flatten().reshape([x.shape().len(), 1]) + o.graph.full(Shape::of([1, 2]), 0.5)
        })
    });
    check(
        checked,
        16,
        (1..=5_usize, 1..=4_usize, dims(3, 0..=3), any::<u64>()),
        |checked, (rows, width, indices, seed)| {
            let case = Case::new(&[&[rows, width]], Domain::Any, seed >> 8).index(&indices, rows);
            checked.twice(&case, |o| o.x[0].square().gather_rows(o.indices[0]))
        },
    );
}

fn images(checked: &mut Checked) {
    let pairs = |range: core::ops::RangeInclusive<usize>| [range.clone(), range];
    let channels = (1..=2_usize, 1..=3_usize, 1..=2_usize, 1..=2_usize);
    let window = (pairs(1..=3), pairs(1..=3), pairs(0..=2), pairs(1..=2), pairs(0..=3));
    check(
        checked,
        40,
        (channels, window, any::<bool>(), any::<u64>()),
        |checked, (channels, window, bias, seed)| {
            let (batch, groups, channels_in, channels_out) = channels;
            let (kernel, stride, padding, dilation, extra) = window;
            let size = |axis: usize| {
                let reach = dilation[axis] * (kernel[axis] - 1) + 1;
                reach.saturating_sub(2 * padding[axis]).max(1) + extra[axis]
            };
            let x = [batch, groups * channels_in, size(0), size(1)];
            let weight = [groups * channels_out, channels_in, kernel[0], kernel[1]];
            let case = Case::new(&[&x, &weight, &weight[..1]], Domain::Any, seed >> 8);
            let options = Conv2dOptions { stride, padding, dilation, groups };
            checked.twice(&case, |o| o.x[0].conv2d(o.x[1], bias.then_some(o.x[2]), options))
        },
    );
    // Channels enough for squares of outputs, whole ones and others.
    check(
        checked,
        3,
        ([4..=8_usize, 6..=8], 0..=2_usize, any::<u64>()),
        |checked, ([h, w], padding, seed)| {
            let case = Case::new(&[&[1, 16, h, w], &[17, 16, 3, 3], &[17]], Domain::Any, seed >> 8);
            let options = Conv2dOptions { padding: [1, padding], ..Default::default() };
            checked.twice(&case, |o| o.x[0].conv2d(o.x[1], Some(o.x[2]), options))
        },
    );
    let window = (pairs(1..=3), pairs(1..=3), pairs(0..=1), pairs(0..=3));
    check(
        checked,
        40,
        (dims(2, 2..=2), window, any::<bool>(), any::<u64>()),
        |checked, (dims, window, include, seed)| {
            let (kernel, stride, padding, extra) = window;
            let padding = [padding[0].min(kernel[0] / 2), padding[1].min(kernel[1] / 2)];
            let size = |axis: usize| kernel[axis].saturating_sub(2 * padding[axis]).max(1) + extra[axis];
            let case = Case::new(&[&[dims[0], dims[1], size(0), size(1)]], Domain::Distinct, seed >> 8);
            let options = Pool2dOptions { kernel, stride, padding, count_include_pad: include };
            checked.twice(&case, |o| o.x[0].max_pool2d_with(options))?;
            checked.twice(&case, |o| o.x[0].square().avg_pool2d_with(options))
        },
    );
    let choices = (2..=4_usize, 1..=3_usize, dims(3, 0..=2), any::<u64>());
    check(checked, 16, choices, |checked, (batch, channels, inner, seed)| {
        let x: Vec<usize> = [batch, channels].into_iter().chain(inner).collect();
        let per = [channels];
        let case = Case::new(&[&x, &per, &per], Domain::Distinct, seed >> 8);
        // Result and statistics together, as running averages might use them in a loss.
        checked.gradient(&case, |o| {
            let (y, statistics) = o.x[0].batch_norm(o.x[1], o.x[2], 0.1);
            o.graph.concat(&[y.reshape([y.shape().len()]), statistics.reshape([2 * channels])], 0)
        })?;
        // Given statistics: the variance must be positive.
        let mut case = Case::new(&[&x, &per, &per, &per, &per], Domain::Any, seed >> 8);
        case.x[4].1 = draw(Domain::Positive, channels, &mut rng(seed >> 9));
        checked.twice(&case, |o| o.x[0].batch_norm_with(o.x[3], o.x[4], o.x[1], o.x[2], 1e-3))
    });
    check(checked, 16, (dims(3, 0..=2), 2..=9_usize, any::<u64>()), |checked, (outer, width, seed)| {
        let x: Vec<usize> = outer.into_iter().chain([width]).collect();
        let case = Case::new(&[&x, &[width], &[width]], Domain::Distinct, seed >> 8);
        checked.gradient(&case, |o| o.x[0].layer_norm(o.x[1], o.x[2], 0.1))?;
        // Beside another way for its gradient, to which it is added.
        checked.gradient(&case, |o| o.x[0].layer_norm(o.x[1], o.x[2], 0.1) + o.x[0].tanh())
    });
}

fn losses(checked: &mut Checked) {
    check(checked, 12, (dims(5, 1..=3), any::<u64>()), |checked, (dims, seed)| {
        checked.twice(&Case::new(&[&dims], Domain::Any, seed >> 8), |o| o.x[0].softmax())?;
        checked.twice(&Case::new(&[&dims], Domain::Any, seed >> 8), |o| o.x[0].log_softmax())?;
        checked.twice(&Case::new(&[&dims, &dims], Domain::Any, seed >> 8), |o| {
            o.x[0].mean_squared_error(o.x[1])
        })?;
        let classes = *dims.last().unwrap();
        let case = Case::new(&[&dims], Domain::Any, seed >> 8).index(&dims[..dims.len() - 1], classes);
        checked.twice(&case, |o| o.x[0].cross_entropy(o.indices[0]))?;
        checked.twice(&case, |o| o.x[0].smoothed_cross_entropy(o.indices[0], 0.3))
    });
}

/// Backward ops that are their own end: asking for more is an error (see `second_order`).
const ONCE_ONLY: [&str; 4] = [
    "batch_norm_backward_affine",
    "batch_norm_backward_input",
    "layer_norm_backward_affine",
    "layer_norm_backward_input",
];
/// Ops without an operand that could have a gradient, or whose output is no number.
const NOTHING_TO_CHECK: [&str; 3] = ["full", "loss_scale", "max_pool2d_argmax"];

/// The names of all ops in the sources of this crate: every string that a `name` returns, a `NAME` is set to, or a
/// table of functions gives.
fn ops_in_sources() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ops");
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let mut in_name = false;
        for line in text.lines() {
            in_name |= line.contains("fn name(&self)") || line.contains("fn op_name(&self)");
            let in_table = line.trim_start().starts_with("f::") || line.trim_start().starts_with("flat!");
            if in_name || in_table || line.contains("const NAME") || line.contains("Gather { name: ") {
                names.extend(line.split('"').skip(1).step_by(2).map(str::to_owned));
            }
            in_name &= line != "    }";
        }
    }
    names
}

#[test]
fn every_op_has_its_derivative_held_to_differences() {
    let mut checked = Checked::default();
    for family in [elementwise, arithmetic, matrices, reductions, movements, images, losses] {
        family(&mut checked);
    }
    let known: BTreeSet<String> =
        ONCE_ONLY.iter().chain(&NOTHING_TO_CHECK).map(|&name| name.to_owned()).collect();
    let sources = ops_in_sources();
    // If the sources are written differently one day, this list must not become empty without a word.
    assert!(sources.len() > 60 && sources.is_superset(&known), "found only {sources:?}");
    let missing: Vec<&String> =
        sources.iter().filter(|name| !known.contains(*name) && !checked.0.contains(*name)).collect();
    assert!(missing.is_empty(), "no property test checks the gradient of {missing:?}");
    println!("{} ops checked: {:?}", checked.0.len(), checked.0);
}

/// A view of other data, copied into an input, is the same as moving the elements inside of the graph; the gradients
/// flow back to where the view came from.
#[test]
fn strided_views_as_inputs() {
    hold(24, (dims(4, 3..=3), any::<u8>(), any::<u64>()), |(dims, axis, seed)| {
        let mut random = rng(seed >> 8);
        let shape = Shape::new(&dims).unwrap();
        let data = draw(Domain::Any, shape.len(), &mut random);
        let order = choose(3, 3, &mut random);
        let axis = usize::from(axis) % 3;
        let tensor = Tensor::from_vec(data.clone(), shape).unwrap();
        let view = tensor.view().permute(&order).unwrap().flip(axis).unwrap();
        let view = view.slice(axis, 0..view.shape()[axis], 2).unwrap();

        let graph = Graph::<f64>::new();
        let whole = graph.input("whole", shape);
        let moved = whole.permute(&order).flip(axis).slice(axis, SliceRange::from(0..).step_by(2));
        let gradient = graph.differentiate(moved.tanh().sum_all(), &[whole]).unwrap()[0];
        let plan = graph.planner().output("y", moved.tanh()).output("gradient", gradient).build().unwrap();
        let mut inside = Session::new(plan);
        inside.input(0).copy_from_slice(&data);
        inside.run();

        let graph = Graph::<f64>::new();
        let part = graph.input("part", view.shape());
        let gradient = graph.differentiate(part.tanh().sum_all(), &[part]).unwrap()[0];
        let plan = graph.planner().output("y", part.tanh()).output("gradient", gradient).build().unwrap();
        let mut outside = Session::new(plan);
        view.copy_to(outside.input(0)).unwrap();
        outside.run();

        prop_assert_eq!(inside.output(0), outside.output(0));
        // What flows back to the elements of the view, looked at through the same view.
        let back = Tensor::from_vec(inside.output(1).to_vec(), shape).unwrap();
        let back = back.view().permute(&order).unwrap().flip(axis).unwrap();
        let back = back.slice(axis, 0..back.shape()[axis], 2).unwrap();
        prop_assert_eq!(back.to_vec(), outside.output(1));
        Ok(())
    });
}

//! Everything else that a network spends time in, against the speed of a copy.

use crate::measure::{Numbers, Row, Work};
use alloc::rc::Rc;
use bantam_autodiff::{Graph, Mode, Session};
use bantam_core::random::{Key, Purpose};
use bantam_core::{Context, Optimizer, Shape, UpdateContext};
use bantam_kernels::{
    Arg, MapFn, NormShape, PoolShape, Reduce, Span, ZipFn, axpy, copy_strided, cross_entropy,
    cross_entropy_backward, dot, dropout, functions, map, max_pool_argmax, max_pool_scatter, max_pool_select,
    norm_apply, norm_backward_affine, norm_backward_input, norm_statistics, reduce, softmax, zip,
};
use bantam_optim::ALL;
use core::cell::RefCell;
use core::hint::black_box;

/// Elements of the large operands: 4 MiB of `f32`.
const LEN: usize = 1 << 20;

/// Bytes of so many elements.
fn elements(count: usize) -> Work {
    Work::Bytes(4.0 * count as f64)
}

fn mapped<F: MapFn<f32> + 'static>(cx: Context<'static>, name: &str, f: F) -> Row {
    let (x, mut y) = (Numbers::new(LEN), Numbers::new(LEN));
    Row::new(name, elements(2 * LEN), move || {
        map(&cx, f, Span::Separate(&x, &mut y));
        black_box(&mut y);
    })
}

/// √(x² + 1)·x − x as a plan: of as many elements as one pass would read and write.
fn chain(cx: Context<'static>, name: &str, piece: Option<usize>) -> Row {
    let graph = Graph::<f32>::with_parameters(Vec::new(), Mode::Infer);
    let x = graph.input("x", Shape::of([LEN]));
    let one = graph.input("one", Shape::of([1]));
    let y = (x.square() + one).sqrt() * x - x;
    let mut planner = graph.planner().output("y", y);
    if let Some(piece) = piece {
        planner = planner.piece(piece);
    }
    let mut session = Session::new(planner.build().expect("the graph is sound")).context(cx);
    session.input(0).copy_from_slice(&Numbers::new(LEN));
    session.input(1).fill(1.0);
    Row::new(name, elements(2 * LEN), move || session.run())
}

/// Elementwise functions.
pub fn maps(cx: Context<'static>) -> Vec<Row> {
    vec![
        mapped(cx, "relu", functions::Relu),
        mapped(cx, "square root", functions::Sqrt),
        mapped(cx, "exp", functions::Exp),
        mapped(cx, "ln", functions::Ln),
        mapped(cx, "tanh", functions::Tanh),
        mapped(cx, "sigmoid", functions::Sigmoid),
        mapped(cx, "gelu", functions::Gelu),
        mapped(cx, "sine", functions::Sin),
    ]
}

fn zipped<F: ZipFn<f32> + 'static>(
    cx: Context<'static>,
    name: &str,
    f: F,
    shape: [usize; 2],
    b_strides: [usize; 2],
) -> Row {
    let len = shape[0] * shape[1];
    let (a, b, mut out) = (Numbers::new(len), Numbers::new(len), Numbers::new(len));
    let read = if b_strides[0] == 0 { shape[1] } else { len };
    Row::new(name, elements(2 * len + read), move || {
        zip(&cx, f, &shape, Arg::In(&a, &[shape[1], 1]), Arg::In(&b, &b_strides), &mut out);
        black_box(&mut out);
    })
}

/// Two operands, with and without broadcasting.
pub fn zips(cx: Context<'static>) -> Vec<Row> {
    let (mut y, x) = (Numbers::new(LEN), Numbers::new(LEN));
    vec![
        zipped(cx, "add", functions::Add, [1024, 1024], [1024, 1]),
        zipped(cx, "add a row to 1024×1024", functions::Add, [1024, 1024], [0, 1]),
        zipped(cx, "add a row to 104857×10", functions::Add, [104_857, 10], [0, 1]),
        zipped(cx, "add the transpose of 1024×1024", functions::Add, [1024, 1024], [1, 1024]),
        Row::new("axpy", elements(3 * LEN), move || {
            axpy(&cx, 0.5, &x, &mut y);
            black_box(&mut y);
        }),
    ]
}

/// Reductions and what is made of them.
pub fn reductions(cx: Context<'static>) -> Vec<Row> {
    let reduction = |name: &str, kind: Reduce, outer: usize, n: usize, inner: usize| {
        let (x, mut out) = (Numbers::new(outer * n * inner), vec![0.0; outer * inner]);
        Row::new(name, elements(x.len()), move || {
            reduce(&cx, kind, outer, n, inner, &x, &mut out, false);
            black_box(&mut out);
        })
    };
    let (x, y) = (Numbers::new(LEN), Numbers::new(LEN));
    let (rows, columns) = (LEN / 10, 10);
    let (logits, mut probabilities) = (Numbers::new(rows * columns), Numbers::new(rows * columns));
    let (wide, mut wide_out) = (Numbers::new(LEN), Numbers::new(LEN));
    let labels: Vec<u32> = (0..rows as u32).map(|i| i % 10).collect();
    let (loss_logits, loss_labels) = (logits.clone(), labels.clone());
    let (gradient_logits, mut gradient) = (logits.clone(), logits.clone());
    vec![
        reduction("sum of 2^20", Reduce::Sum, 1, LEN, 1),
        reduction("sums of 1024 rows", Reduce::Sum, 1024, 1024, 1),
        reduction("sums of 1024 columns", Reduce::Sum, 1, 1024, 1024),
        reduction("maxima of 1024 rows", Reduce::Max, 1024, 1024, 1),
        Row::new("dot", elements(2 * LEN), move || {
            black_box(dot(&cx, &x, &y));
        }),
        Row::new("softmax of 1024×1024", elements(2 * LEN), move || {
            softmax(&cx, 1024, 1024, Span::Separate(&wide, &mut wide_out));
            black_box(&mut wide_out);
        }),
        Row::new("softmax of 104857×10", elements(2 * rows * columns), move || {
            softmax(&cx, rows, columns, Span::Separate(&logits, &mut probabilities));
            black_box(&mut probabilities);
        }),
        Row::new("cross-entropy of 104857×10", elements(rows * columns), move || {
            black_box(cross_entropy(&cx, rows, columns, &loss_logits, &loss_labels));
        }),
        Row::new("cross-entropy of 104857×10, gradient", elements(2 * rows * columns), move || {
            cross_entropy_backward(&cx, rows, columns, &gradient_logits, &labels, 1.0, &mut gradient);
            black_box(&mut gradient);
        }),
    ]
}

/// The other layers.
pub fn layers(cx: Context<'static>) -> Vec<Row> {
    let mut rows = vec![];
    {
        let (x, mut y) = (Numbers::new(LEN), Numbers::new(LEN));
        let key = Key::new(1, Purpose::Dropout);
        rows.push(Row::new("dropout", elements(2 * LEN), move || {
            dropout(&cx, key, 0.5, Span::Separate(&x, &mut y));
            black_box(&mut y);
        }));
    }
    rows.push(chain(cx, "five elementwise ops in one pass", None));
    rows.push(chain(cx, "the same, one after the other", Some(usize::MAX)));
    {
        let (x, mut y) = (Numbers::new(LEN), Numbers::new(LEN));
        rows.push(Row::new("transpose of 1024×1024", elements(2 * LEN), move || {
            copy_strided(&cx, &[1024, 1024], &x, 0, &[1, 1024], &mut y);
            black_box(&mut y);
        }));
    }
    let pool = PoolShape {
        planes: 1024,
        height: 28,
        width: 28,
        kernel: [2; 2],
        stride: [2; 2],
        padding: [0; 2],
        dilation: [1; 2],
    };
    {
        let (x, mut index) = (Numbers::new(pool.input_len()), vec![0; pool.output_len()]);
        rows.push(Row::new("max-pool 2×2, argmax", elements(pool.input_len()), move || {
            max_pool_argmax(&cx, &pool, &x, &mut index);
            black_box(&mut index);
        }));
    }
    {
        let (x, index, mut y) =
            (Numbers::new(pool.input_len()), vec![1; pool.output_len()], Numbers::new(pool.output_len()));
        rows.push(Row::new("max-pool 2×2, select", elements(pool.input_len()), move || {
            max_pool_select(&cx, &pool, &x, &index, &mut y);
            black_box(&mut y);
        }));
    }
    {
        let (dy, index, mut dx) =
            (Numbers::new(pool.output_len()), vec![1; pool.output_len()], Numbers::new(pool.input_len()));
        rows.push(Row::new("max-pool 2×2, scatter", elements(pool.input_len()), move || {
            max_pool_scatter(&cx, &pool, &dy, &index, &mut dx, false);
            black_box(&mut dx);
        }));
    }
    for (name, shape) in [
        ("64×32×14×14", NormShape { batch: 64, channels: 32, inner: 196 }),
        ("1024×512", NormShape { batch: 1024, channels: 512, inner: 1 }),
    ] {
        let len = shape.len();
        let (x, channels) = (Numbers::new(len), shape.channels);
        let (mut mean, mut variance) = (vec![0.0; channels], vec![1.0; channels]);
        rows.push(Row::new(format!("batch norm {name}, statistics"), elements(len), move || {
            norm_statistics(&cx, &shape, &x, &mut mean, &mut variance);
            black_box((&mut mean, &mut variance));
        }));
        let (x, one, zero, mut y) =
            (Numbers::new(len), vec![1.0; channels], vec![0.0; channels], Numbers::new(len));
        rows.push(Row::new(format!("batch norm {name}, apply"), elements(2 * len), move || {
            norm_apply(&cx, &shape, &x, &zero, &one, &one, &zero, false, &mut y);
            black_box(&mut y);
        }));
        let (x, dy, mut dx) = (Numbers::new(len), Numbers::new(len), Numbers::new(len));
        let (one, zero) = (vec![1.0; channels], vec![0.0; channels]);
        let (mut dgamma, mut dbeta) = (zero.clone(), zero.clone());
        rows.push(Row::new(format!("batch norm {name}, gradient"), elements(3 * len), move || {
            norm_backward_affine(&cx, &shape, &x, &zero, &one, &dy, &mut dgamma, &mut dbeta);
            norm_backward_input(
                &cx,
                &shape,
                &x,
                &zero,
                &one,
                &one,
                &dgamma,
                &dbeta,
                Span::Separate(&dy, &mut dx),
            );
            black_box(&mut dx);
        }));
    }
    rows
}

/// An update of ten million parameters, more than a last-level cache holds, by every optimizer that is known by name. The
/// bytes are those that one pass has to move: the parameter twice, the gradient once, the state twice. A rule that needs
/// norms before it steps has to read twice: LARS parameter and gradient; LAMB writes its update, reads it again and goes
/// over the parameters once more.
pub fn optimizers(cx: Context<'static>) -> Vec<Row> {
    const PARAMETERS: usize = 10_000_000;
    // Muon's products would take minutes: as a vector it is AdamW. For the others a matrix, which has a rate of its own.
    let shape_for = |name: &str| match name {
        "muon" => Shape::of([PARAMETERS]),
        _ => Shape::of([2_500, PARAMETERS / 2_500]),
    };
    let optimizers: Vec<_> = ALL.iter().map(|named| (named.name, named.build(named.rate))).collect();
    let longest = optimizers
        .iter()
        .map(|(name, optimizer)| optimizer.state_len_for(0, shape_for(name)))
        .max()
        .unwrap_or(0);
    // One set of buffers for all: whose turn it is, parameters, gradients and state.
    let buffers = (usize::MAX, vec![0.0; PARAMETERS], vec![0.0; PARAMETERS], vec![0.0; longest]);
    let buffers = Rc::new(RefCell::new(buffers));
    let row = |(own, (name, optimizer)): (usize, (&str, Box<dyn Optimizer<f32>>))| {
        let buffers = Rc::clone(&buffers);
        let shape = shape_for(name);
        let len = optimizer.state_len_for(0, shape);
        let again = match name {
            "lars" => 2 * PARAMETERS,
            "lamb" => 3 * PARAMETERS,
            _ => 0,
        };
        let bytes = (3 * PARAMETERS + 2 * len + again) * size_of::<f32>();
        let mut step = 0;
        Row::new(name, Work::Bytes(bytes as f64), move || {
            let (turn, parameter, gradient, state) = &mut *buffers.borrow_mut();
            if *turn != own {
                // In the call that is not timed.
                (*turn, step) = (own, 0);
                parameter.fill(0.5);
                gradient.fill(1e-3);
                state.fill(0.0);
            }
            let update = UpdateContext { context: cx, ..UpdateContext::new(step, shape) };
            optimizer.update(&update, parameter, gradient, &mut state[..len]);
            step += 1;
        })
    };
    // What passes over as much memory reach that do next to nothing with it: reading is slower than writing.
    let (adds, reads) = (Rc::clone(&buffers), Rc::clone(&buffers));
    let passes = [
        Row::new(
            "y + x in place of y: two reads, one write",
            Work::Bytes(12.0 * PARAMETERS as f64),
            move || {
                let (turn, y, x, _) = &mut *adds.borrow_mut();
                *turn = usize::MAX;
                axpy(&cx, 1e-9, x, y);
            },
        ),
        Row::new("sums of x and y: two reads", Work::Bytes(8.0 * PARAMETERS as f64), move || {
            let (_, y, x, _) = &*reads.borrow();
            black_box(dot(&cx, x, y));
        }),
    ];
    passes.into_iter().chain(optimizers.into_iter().enumerate().map(row)).collect()
}

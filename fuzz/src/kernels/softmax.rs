//! Softmax and cross-entropy of random rows, with labels that need not be classes.

use super::{Operand, same_at_all_levels, stream};
use crate::{Choices, Outcome};
use bantam_kernels::{
    Span, cross_entropy, cross_entropy_backward, cross_entropy_with_gradient, log_softmax,
    log_softmax_backward, softmax, softmax_backward,
};

/// Reads the bytes as a kernel, its shape and how its operands are filled.
pub fn check(bytes: &[u8]) -> Outcome {
    let choices = &mut Choices::new(bytes);
    let random = &mut stream(choices);
    let (rows, columns) = (choices.below(20), choices.below(70));
    let x = Operand::new(choices, random, rows * columns);
    let dy = Operand::new(choices, random, rows * columns);
    let labels: Vec<u32> = (0..rows).map(|_| choices.below(columns + 2) as u32).collect();
    let way = choices.below(7);
    same_at_all_levels(&format!("{rows} rows of {columns}, way {way}"), |cx| {
        let (x, labels) = (&x, labels.as_slice());
        match way {
            0 => x.changed(|y| softmax(cx, rows, columns, Span::InPlace(y))),
            1 => x.changed(|y| log_softmax(cx, rows, columns, Span::InPlace(y))),
            2 => dy.changed(|dx| softmax_backward(cx, rows, columns, x.get(), x.get(), dx)),
            3 => dy.changed(|dx| log_softmax_backward(cx, rows, columns, x.get(), x.get(), dx)),
            4 => vec![cross_entropy(cx, rows, columns, x.get(), labels)],
            5 => dy.changed(|dx| cross_entropy_backward(cx, rows, columns, x.get(), labels, 0.5, dx)),
            _ => {
                let mut loss = 0.0;
                let mut out = dy.changed(|dx| {
                    loss = cross_entropy_with_gradient(cx, rows, columns, x.get(), labels, 0.5, dx);
                });
                out.push(loss);
                out
            }
        }
    })
}

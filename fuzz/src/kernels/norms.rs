//! Normalisation of random shapes, and its gradients.

use super::{Operand, same_at_all_levels, stream};
use crate::{Choices, Outcome};
use bantam_core::random::Stream;
use bantam_kernels::{
    NormShape, RowStatistics, Span, layer_norm, layer_norm_backward_affine, layer_norm_backward_input,
    norm_apply, norm_backward_affine, norm_backward_input, norm_statistics,
};

/// Reads the bytes as a kernel, its shape and how its operands are filled.
pub fn check(bytes: &[u8]) -> Outcome {
    let choices = &mut Choices::new(bytes);
    let random = &mut stream(choices);
    if choices.below(3) == 0 {
        return rows(choices, random);
    }
    let inner = if choices.below(2) == 0 { 1 } else { choices.below(40) };
    let shape = NormShape { batch: choices.below(9), channels: choices.below(20), inner };
    let [x, dy] = [0; 2].map(|_| Operand::new(choices, random, shape.len()));
    let [mean, rstd, gamma, beta, old] = [0; 5].map(|_| Operand::new(choices, random, shape.channels));
    let relu = choices.below(2) == 0;
    let way = choices.below(4);
    same_at_all_levels(&format!("{shape:?}, way {way}"), |cx| {
        let [x, mean, rstd, gamma] = [&x, &mean, &rstd, &gamma].map(|operand| operand.get());
        match way {
            0 => {
                let mut second = vec![];
                let mut first = old.changed(|means| {
                    second = beta.changed(|variances| norm_statistics(cx, &shape, x, means, variances));
                });
                first.extend(second);
                first
            }
            1 => dy.changed(|y| norm_apply(cx, &shape, x, mean, rstd, gamma, beta.get(), relu, y)),
            2 => {
                let mut second = vec![];
                let mut first = old.changed(|dgamma| {
                    second = beta.changed(|dbeta| {
                        norm_backward_affine(cx, &shape, x, mean, rstd, dy.get(), dgamma, dbeta);
                    });
                });
                first.extend(second);
                first
            }
            _ => {
                let (dgamma, dbeta) = (old.get(), beta.get());
                dy.changed(|dx| {
                    norm_backward_input(
                        cx,
                        &shape,
                        x,
                        mean,
                        rstd,
                        gamma,
                        dgamma,
                        dbeta,
                        Span::Separate(dy.get(), dx),
                    );
                })
            }
        }
    })
}

/// The same for layer normalisation.
fn rows(choices: &mut Choices<'_>, random: &mut Stream) -> Outcome {
    let (rows, width) = (choices.below(20), choices.below(40));
    let [x, dy, old] = [0; 3].map(|_| Operand::new(choices, random, rows * width));
    let [mean, variance] = [0; 2].map(|_| Operand::new(choices, random, rows));
    let [gain, shift] = [0; 2].map(|_| Operand::new(choices, random, width));
    let (way, accumulate) = (choices.below(3), choices.below(2) == 0);
    same_at_all_levels(&format!("{rows} rows of {width}, way {way}"), |cx| {
        // Variances are at least −½.
        let statistics = RowStatistics { mean: mean.get(), variance: variance.get(), epsilon: 0.75 };
        let (x, dy, gain) = (x.get(), dy.get(), gain.get());
        match way {
            0 => old.changed(|y| layer_norm(cx, statistics, x, gain, shift.get(), y)),
            1 => {
                let mut second = vec![];
                let mut first = shift.changed(|dgain| {
                    second = shift.changed(|dshift| {
                        layer_norm_backward_affine(cx, statistics, x, dy, dgain, dshift);
                    });
                });
                first.extend(second);
                first
            }
            _ => old.changed(|dx| {
                layer_norm_backward_input(cx, statistics, x, gain, Span::Separate(dy, dx), accumulate);
            }),
        }
    })
}

//! Pools of random windows, windows that do not fit included, and their gradients.

use super::{Operand, same_at_all_levels, stream};
use crate::{Choices, Outcome};
use bantam_kernels::{
    PoolShape, avg_pool, avg_pool_backward, max_pool_argmax, max_pool_scatter, max_pool_select,
};

/// Reads the bytes as a kernel, its shape and how its operands are filled.
pub fn check(bytes: &[u8]) -> Outcome {
    let choices = &mut Choices::new(bytes);
    let random = &mut stream(choices);
    let mut both = |least, most| [least + choices.below(most), least + choices.below(most)];
    let (kernel, stride, dilation) = (both(1, 4), both(1, 3), both(1, 2));
    // Most windows are quads: two by two, side by side.
    let quads = choices.below(2) == 0;
    let (kernel, stride) = if quads { ([2; 2], [2; 2]) } else { (kernel, stride) };
    let shape = PoolShape {
        planes: choices.below(5),
        height: 1 + choices.below(12),
        width: 1 + choices.below(40),
        kernel,
        stride,
        padding: if quads { [0; 2] } else { kernel.map(|size| choices.below(size)) },
        dilation: if quads { [1; 2] } else { dilation },
    };
    let x = Operand::new(choices, random, shape.input_len()).rounded();
    let dy = Operand::new(choices, random, shape.output_len());
    let (accumulate, padded) = (choices.below(2) == 0, choices.below(2) == 0);
    let way = choices.below(4);
    same_at_all_levels(&format!("{shape:?}, way {way}"), |cx| {
        let mut index = vec![255; shape.output_len()];
        max_pool_argmax(cx, &shape, x.get(), &mut index);
        match way {
            0 => dy.changed(|y| max_pool_select(cx, &shape, x.get(), &index, y)),
            1 => x.changed(|dx| max_pool_scatter(cx, &shape, dy.get(), &index, dx, accumulate)),
            2 => dy.changed(|y| avg_pool(cx, &shape, padded, x.get(), y)),
            _ => x.changed(|dx| avg_pool_backward(cx, &shape, padded, dy.get(), dx, accumulate)),
        }
        .into_iter()
        .chain(index.iter().map(|tap| f32::from(*tap)))
        .collect()
    })
}

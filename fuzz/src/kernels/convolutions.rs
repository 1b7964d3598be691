//! Convolutions of random shapes, and their gradients.

use super::{Operand, same_where_finite, stream};
use crate::{Choices, Outcome};
use bantam_core::Numerics;
use bantam_kernels::{
    Activation, ConvMethod, ConvShape, conv2d_backward_input, conv2d_backward_input_scratch,
    conv2d_backward_weight, conv2d_backward_weight_scratch, conv2d_forward, conv2d_forward_scratch,
};

/// Reads the bytes as a kernel, its shape and how its operands are filled.
pub fn check(bytes: &[u8]) -> Outcome {
    let choices = &mut Choices::new(bytes);
    let random = &mut stream(choices);
    let groups = 1 + choices.below(3);
    let mut both = |least, most| [least + choices.below(most), least + choices.below(most)];
    let [kernel, stride, padding, dilation, size] =
        [both(1, 3), both(1, 2), both(0, 2), both(1, 2), both(1, 9)];
    let shape = ConvShape {
        batch: 1 + choices.below(2),
        channels_in: groups * (1 + choices.below(9)),
        height: size[0] + dilation[0] * kernel[0],
        width: size[1] + dilation[1] * kernel[1],
        channels_out: groups * (1 + choices.below(18)),
        kernel,
        stride,
        padding,
        dilation,
        groups,
    };
    // A shape of networks, which fast numerics compute in squares.
    let shape = match choices.below(4) {
        0 => ConvShape {
            channels_in: 16 + choices.below(9),
            channels_out: 16 + choices.below(9),
            height: 4 + size[0],
            width: 4 + size[1],
            kernel: [3; 2],
            stride: [1; 2],
            dilation: [1; 2],
            groups: 1,
            ..shape
        },
        _ => shape,
    };
    let x = Operand::new(choices, random, shape.input_len());
    let weight = Operand::new(choices, random, shape.weight_len());
    let dy = Operand::new(choices, random, shape.output_len());
    let way = choices.below(3);
    let finite = [&x, &weight, &dy].iter().all(|operand| operand.get().iter().all(|x| x.is_finite()));
    let spreads = shape.forward_method(Numerics::Fast) == ConvMethod::Winograd && !finite;
    same_where_finite(&format!("{shape:?}, way {way}"), spreads, |cx| match way {
        0 => {
            let mut scratch = vec![f32::NAN; conv2d_forward_scratch(&shape, cx.numerics)];
            let (x, weight) = (x.get(), weight.get());
            dy.changed(|y| conv2d_forward(cx, &shape, x, weight, None, Activation::Relu, y, &mut scratch))
        }
        1 => {
            let mut scratch = vec![f32::NAN; conv2d_backward_input_scratch(&shape, cx.numerics)];
            let (dy, weight) = (dy.get(), weight.get());
            x.changed(|dx| conv2d_backward_input(cx, &shape, dy, weight, dx, false, &mut scratch))
        }
        _ => {
            let mut scratch = vec![f32::NAN; conv2d_backward_weight_scratch(&shape, cx.numerics)];
            let (x, dy) = (x.get(), dy.get());
            weight.changed(|dw| conv2d_backward_weight(cx, &shape, x, dy, dw, false, &mut scratch))
        }
    })
}

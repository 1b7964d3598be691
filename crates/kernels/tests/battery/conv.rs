//! Convolution and its gradients against the definition: one loop over every product.

use crate::support::{Random, assert_within, contexts, same_bits};
use crate::winograd;
use bantam_core::{Numerics, Real};
use bantam_kernels::{
    Activation, ConvMethod, ConvShape, Element, conv2d_backward_input, conv2d_backward_input_scratch,
    conv2d_backward_weight, conv2d_backward_weight_scratch, conv2d_forward, conv2d_forward_scratch,
};

/// Calls `f(output index, input index, weight index)` for every product of the convolution.
pub fn products(shape: &ConvShape, mut f: impl FnMut(usize, usize, usize)) {
    let (in_group, out_group) = (shape.channels_in / shape.groups, shape.channels_out / shape.groups);
    let (out_height, out_width) = (shape.out_height(), shape.out_width());
    let inside = |out: usize, tap: usize, axis: usize, len: usize| {
        (out * shape.stride[axis] + tap * shape.dilation[axis])
            .checked_sub(shape.padding[axis])
            .filter(|at| *at < len)
    };
    for out in 0..shape.output_len() {
        let (out_x, rest) = (out % out_width, out / out_width);
        let (out_y, rest) = (rest % out_height, rest / out_height);
        let (image, out_channel) = (rest / shape.channels_out, rest % shape.channels_out);
        for tap in 0..in_group * shape.kernel[0] * shape.kernel[1] {
            let (kx, rest) = (tap % shape.kernel[1], tap / shape.kernel[1]);
            let (ky, channel) = (rest % shape.kernel[0], rest / shape.kernel[0]);
            let (Some(y), Some(x)) = (inside(out_y, ky, 0, shape.height), inside(out_x, kx, 1, shape.width))
            else {
                continue;
            };
            let plane = image * shape.channels_in + out_channel / out_group * in_group + channel;
            let weight = out_channel * in_group * shape.kernel[0] * shape.kernel[1] + tap;
            f(out, (plane * shape.height + y) * shape.width + x, weight);
        }
    }
}

/// Sums of products in f64, each with the bound n · ε · Σ |a||b| (Higham, 2002, section 3.5) for any order of additions.
struct Sums {
    exact: Vec<f64>,
    absolute: Vec<f64>,
    count: Vec<f64>,
}

impl Sums {
    fn starting_from<T: Element>(start: impl Iterator<Item = T>) -> Sums {
        let exact: Vec<f64> = start.map(Real::to_f64).collect();
        Sums { absolute: exact.iter().map(|x| x.abs()).collect(), count: vec![2.0; exact.len()], exact }
    }

    fn add<T: Element>(&mut self, at: usize, a: T, b: T) {
        let product = Real::to_f64(a) * Real::to_f64(b);
        self.exact[at] += product;
        self.absolute[at] += product.abs();
        self.count[at] += 1.0;
    }

    fn bounds<T: Element>(&self) -> Vec<(f64, f64)> {
        let sums = self.exact.iter().zip(&self.absolute).zip(&self.count);
        sums.map(|((exact, absolute), n)| (*exact, n * Real::to_f64(T::epsilon()) * absolute)).collect()
    }
}

pub fn check<T: Element>(random: &mut Random, shape: &ConvShape) {
    let (x, weight): (Vec<T>, Vec<T>) = (random.vec(shape.input_len()), random.vec(shape.weight_len()));
    let dy: Vec<T> = random.vec(shape.output_len());
    let bias: Option<Vec<T>> = random.coin().then(|| random.vec(shape.channels_out));
    let (dx, dw): (Vec<T>, Vec<T>) = (random.vec(x.len()), random.vec(weight.len()));
    let accumulate = random.coin();
    let relu = random.coin();
    let plane = (shape.out_height() * shape.out_width()).max(1);

    let start = (0..dy.len()).map(|i| bias.as_ref().map_or(T::zero(), |b| b[i / plane % shape.channels_out]));
    let mut y_sums = Sums::starting_from(start);
    let old = |x: &T| if accumulate { *x } else { T::zero() };
    let (mut dx_sums, mut dw_sums) =
        (Sums::starting_from(dx.iter().map(old)), Sums::starting_from(dw.iter().map(old)));
    products(shape, |out, input, tap| {
        y_sums.add(out, x[input], weight[tap]);
        dx_sums.add(input, dy[out], weight[tap]);
        dw_sums.add(tap, x[input], dy[out]);
    });
    let mut y_bounds = y_sums.bounds::<T>();
    if relu {
        y_bounds.iter_mut().for_each(|(exact, _)| *exact = exact.max(0.0));
    }

    // What is overwritten starts as NaN, and scratch too.
    let fresh = |old: &[T]| if accumulate { old.to_vec() } else { vec![T::nan(); old.len()] };
    let name = format!("{shape:?} accumulate {accumulate}");
    let ys = same_bits(&name, |cx| {
        let (mut y, mut scratch) =
            (vec![T::nan(); dy.len()], vec![T::nan(); conv2d_forward_scratch(shape, cx.numerics)]);
        let activation = if relu { Activation::Relu } else { Activation::Identity };
        conv2d_forward(cx, shape, &x, &weight, bias.as_deref(), activation, &mut y, &mut scratch);
        y
    });
    let dxs = same_bits(&name, |cx| {
        let (mut dx, mut scratch) =
            (fresh(&dx), vec![T::nan(); conv2d_backward_input_scratch(shape, cx.numerics)]);
        conv2d_backward_input(cx, shape, &dy, &weight, &mut dx, accumulate, &mut scratch);
        dx
    });
    let dws = same_bits(&name, |cx| {
        let (mut dw, mut scratch) =
            (fresh(&dw), vec![T::nan(); conv2d_backward_weight_scratch(shape, cx.numerics)]);
        conv2d_backward_weight(cx, shape, &x, &dy, &mut dw, accumulate, &mut scratch);
        dw
    });
    let (dx_bounds, dw_bounds) = (dx_sums.bounds::<T>(), dw_sums.bounds::<T>());
    // Winograd's products, where there are any, have larger bounds.
    let larger = (shape.forward_method(Numerics::Fast) == ConvMethod::Winograd).then(|| {
        let [y, dx, dw] = winograd::bounds(shape, &x, &weight, &dy);
        [(&y_bounds, y), (&dx_bounds, dx), (&dw_bounds, dw)].map(|(bounds, larger)| {
            bounds.iter().zip(larger).map(|((exact, bound), larger)| (*exact, bound + larger)).collect()
        })
    });
    let in_order = [y_bounds.clone(), dx_bounds.clone(), dw_bounds.clone()];
    for (((cx, y), dx), dw) in contexts().zip(&ys).zip(&dxs).zip(&dws) {
        let [y_bounds, dx_bounds, dw_bounds]: &[Vec<_>; 3] = match &larger {
            Some(larger) if cx.numerics == Numerics::Fast => larger,
            _ => &in_order,
        };
        assert_within(&format!("forward {name} {cx:?}"), y, y_bounds);
        assert_within(&format!("input gradient {name} {cx:?}"), dx, dx_bounds);
        assert_within(&format!("weight gradient {name} {cx:?}"), dw, dw_bounds);
    }
}

fn random_shape(random: &mut Random) -> ConvShape {
    let groups = random.pick(&[1, 1, 1, 2, 3, 9]);
    let mut pair = |low, high| [random.between(low, high), random.between(low, high)];
    let (kernel, stride, padding, dilation) = (pair(1, 4), pair(1, 3), pair(0, 3), pair(1, 2));
    ConvShape {
        batch: random.pick(&[0, 1, 2, 3]),
        // Few channels, and enough to be lanes.
        channels_in: groups * random.pick(&[1, 1, 2, 3, 8, 17]),
        height: random.between(1, 13),
        width: random.between(1, 13),
        channels_out: groups * random.pick(&[1, 1, 2, 4, 7, 8, 18]),
        kernel,
        stride,
        padding,
        dilation,
        groups,
    }
}

#[test]
fn random_shapes() {
    let mut random = Random::new(1);
    for _ in 0..120 {
        let shape = random_shape(&mut random);
        check::<f32>(&mut random, &shape);
    }
    for _ in 0..30 {
        let shape = random_shape(&mut random);
        check::<f64>(&mut random, &shape);
    }
}

#[test]
fn shapes_of_networks() {
    let mut random = Random::new(2);
    let shape = |batch, channels_in, size, channels_out, kernel: usize, stride, groups| ConvShape {
        batch,
        channels_in,
        height: size,
        width: size,
        channels_out,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [kernel / 2; 2],
        dilation: [1; 2],
        groups,
    };
    // The first layer, a deep one (taps are cut into stretches), one with stride, depthwise, pointwise.
    for shape in [
        shape(20, 1, 28, 8, 3, 1, 1),
        shape(2, 45, 9, 20, 3, 1, 1),
        shape(5, 8, 16, 16, 5, 2, 1),
        shape(3, 8, 14, 8, 3, 1, 8),
        shape(2, 5, 19, 5, 3, 2, 5),
        shape(4, 24, 7, 48, 1, 1, 1),
    ] {
        check::<f32>(&mut random, &shape);
    }
    // Strides whose gradients are written in pairs, in several pieces; with one tap, most of them are zeros. Several
    // times, so that some overwrite and some add.
    for shape in [shape(8, 16, 16, 32, 3, 2, 1), shape(4, 18, 20, 24, 1, 2, 1), shape(3, 8, 13, 8, 3, 2, 1)] {
        for _ in 0..3 {
            check::<f32>(&mut random, &shape);
        }
    }
    // Products of images, in one piece and in several, in groups, and with one channel.
    for shape in [shape(2, 6, 9, 10, 1, 1, 2), shape(20, 24, 9, 48, 1, 1, 1), shape(3, 1, 8, 9, 1, 1, 1)] {
        assert_eq!(shape.forward_method(Numerics::Portable), ConvMethod::Product, "{shape:?}");
        check::<f32>(&mut random, &shape);
        check::<f64>(&mut random, &shape);
    }
}

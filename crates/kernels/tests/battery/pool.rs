//! Pooling against its definition, window by window.

use crate::support::{Random, assert_same_bits, assert_within, contexts, same_bits};
use bantam_kernels::{
    PoolShape, avg_pool, avg_pool_backward, max_pool_argmax, max_pool_scatter, max_pool_select,
};

fn random_shape(random: &mut Random) -> PoolShape {
    let mut pair = |low, high| [random.between(low, high), random.between(low, high)];
    let (kernel, stride, dilation) = (pair(1, 4), pair(1, 3), pair(1, 2));
    let padding = [0, 1].map(|axis| random.between(0, kernel[axis] - 1));
    PoolShape {
        planes: random.between(1, 5),
        height: random.between(1, 12),
        width: random.pick(&[1, 3, 8, 17, 80]),
        kernel,
        stride,
        padding,
        dilation,
    }
}

/// For each output the elements of its window that are inside: (tap, input index).
fn windows(shape: &PoolShape) -> Vec<Vec<(usize, usize)>> {
    let inside = |out: usize, tap: usize, axis: usize, len: usize| {
        (out * shape.stride[axis] + tap * shape.dilation[axis])
            .checked_sub(shape.padding[axis])
            .filter(|at| *at < len)
    };
    (0..shape.output_len())
        .map(|out| {
            let (out_x, rest) = (out % shape.out_width(), out / shape.out_width());
            let (out_y, plane) = (rest % shape.out_height(), rest / shape.out_height());
            (0..shape.kernel[0] * shape.kernel[1])
                .filter_map(|tap| {
                    let y = inside(out_y, tap / shape.kernel[1], 0, shape.height)?;
                    let x = inside(out_x, tap % shape.kernel[1], 1, shape.width)?;
                    Some((tap, (plane * shape.height + y) * shape.width + x))
                })
                .collect()
        })
        .collect()
}

#[test]
fn max_pooling_takes_the_first_greatest() {
    let mut random = Random::new(1);
    for _ in 0..150 {
        let shape = random_shape(&mut random);
        // Few different values, so that there are ties; NaN and windows of −∞ too.
        let x: Vec<f32> = (0..shape.input_len())
            .map(|_| match random.between(0, 30) {
                0 => f32::NAN,
                1..6 => f32::NEG_INFINITY,
                other => (other % 4) as f32,
            })
            .collect();
        let dy: Vec<f32> = random.vec(shape.output_len());
        let old: Vec<f32> = random.vec(x.len());
        let accumulate = random.coin();
        let mut expected_index = vec![];
        let (mut expected_y, mut expected_dx) =
            (vec![], if accumulate { old.clone() } else { vec![0.0; x.len()] });
        for (window, dy) in windows(&shape).iter().zip(&dy) {
            let best = window.iter().copied().reduce(|best, next| {
                let (greatest, x) = (x[best.1], x[next.1]);
                if !greatest.is_nan() && (x > greatest || x.is_nan()) { next } else { best }
            });
            expected_index.push(best.map_or(0, |(tap, _)| tap as u8));
            expected_y.push(best.map_or(0.0, |(_, input)| x[input]));
            if let Some((_, input)) = best {
                expected_dx[input] += dy;
            }
        }
        for cx in contexts() {
            let mut index = vec![255; dy.len()];
            max_pool_argmax(&cx, &shape, &x, &mut index);
            assert_eq!(index, expected_index, "{shape:?} {cx:?}");
        }
        let name = format!("{shape:?}");
        let ys = same_bits(&name, |cx| {
            let mut y = vec![f32::NAN; dy.len()];
            max_pool_select(cx, &shape, &x, &expected_index, &mut y);
            y
        });
        let dxs = same_bits(&name, |cx| {
            let mut dx = if accumulate { old.clone() } else { vec![f32::NAN; x.len()] };
            max_pool_scatter(cx, &shape, &dy, &expected_index, &mut dx, accumulate);
            dx
        });
        for (y, dx) in ys.iter().zip(&dxs) {
            assert_same_bits(&name, &expected_y, y);
            assert_same_bits(&name, &expected_dx, dx);
        }
    }
}

#[test]
fn average_pooling_and_its_gradient() {
    let mut random = Random::new(2);
    for _ in 0..100 {
        let shape = random_shape(&mut random);
        let include = random.coin();
        let (x, dy): (Vec<f32>, Vec<f32>) = (random.vec(shape.input_len()), random.vec(shape.output_len()));
        let old: Vec<f32> = random.vec(x.len());
        let accumulate = random.coin();
        let mut y_bounds = vec![];
        let mut dx_bounds: Vec<(f64, f64)> = old
            .iter()
            .map(|old| if accumulate { f64::from(*old) } else { 0.0 })
            .map(|old| (old, 0.0))
            .collect();
        for (window, dy) in windows(&shape).iter().zip(&dy) {
            let taps = shape.kernel[0] * shape.kernel[1];
            let divisor = if include { taps } else { window.len() } as f64;
            let sum: f64 = window.iter().map(|(_, input)| f64::from(x[*input])).sum();
            // At most 16 additions and a division of numbers below 16; here and below for 16 windows.
            y_bounds.push((sum / divisor, 17.0 * 16.0 / divisor * f64::from(f32::EPSILON)));
            for (_, input) in window {
                dx_bounds[*input].0 += f64::from(*dy) / divisor;
                dx_bounds[*input].1 = 18.0 * 17.0 * f64::from(f32::EPSILON);
            }
        }
        // A window without any element has no mean unless padding counts.
        let empty: Vec<bool> = windows(&shape).iter().map(|window| window.is_empty() && !include).collect();
        let name = format!("{shape:?} {include}");
        let ys = same_bits(&name, |cx| {
            let mut y = vec![f32::NAN; dy.len()];
            avg_pool(cx, &shape, include, &x, &mut y);
            y
        });
        let dxs = same_bits(&name, |cx| {
            let mut dx = if accumulate { old.clone() } else { vec![f32::NAN; x.len()] };
            avg_pool_backward(cx, &shape, include, &dy, &mut dx, accumulate);
            dx
        });
        for (mut y, dx) in ys.into_iter().zip(dxs) {
            for ((y, bound), empty) in y.iter_mut().zip(&mut y_bounds).zip(&empty) {
                assert_eq!(y.is_nan(), *empty, "{name}");
                if *empty {
                    (*y, *bound) = (0.0, (0.0, 0.0));
                }
            }
            assert_within(&name, &y, &y_bounds);
            assert_within(&name, &dx, &dx_bounds);
        }
    }
}

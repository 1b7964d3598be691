//! A linear layer for one sample against plain loops, bit for bit.

use crate::support::{Random, assert_same_bits, contexts, fuses, same_bits};
use bantam_kernels::{Activation, Element, linear_backward, linear_forward, linear_update};

/// A layer, a sample, and what came back for its output.
struct Case<T> {
    weight: Vec<T>,
    bias: Vec<T>,
    x: Vec<T>,
    dy: Vec<T>,
    /// The output of a ReLU: about half of it 0, one of them negative.
    y: Vec<T>,
}

impl<T: Element> Case<T> {
    fn new(random: &mut Random, fan_in: usize, fan_out: usize) -> Case<T> {
        let mut y: Vec<T> = random.vec(fan_out);
        y.iter_mut().filter(|y| **y < T::zero()).for_each(|y| *y = T::zero());
        if let Some(off) = y.iter_mut().find(|y| **y == T::zero()) {
            *off = -T::zero();
        }
        Case {
            weight: random.vec(fan_in * fan_out),
            bias: random.vec(fan_out),
            x: random.vec(fan_in),
            dy: random.vec(fan_out),
            y,
        }
    }

    fn row(&self, i: usize) -> &[T] {
        &self.weight[i * self.x.len()..][..self.x.len()]
    }

    fn forward(&self, activation: Activation) {
        let results = same_bits("linear_forward", |cx| {
            let mut y = vec![T::nan(); self.bias.len()];
            linear_forward(cx, &self.weight, &self.bias, &self.x, activation, &mut y);
            y
        });
        for (cx, result) in contexts().zip(results) {
            let sum = |i: usize| {
                let products = self.row(i).iter().zip(&self.x);
                products.fold(
                    self.bias[i],
                    |sum, (w, x)| if fuses(&cx) { x.mul_add(*w, sum) } else { sum + *x * *w },
                )
            };
            let relu =
                |sum: T| if activation == Activation::Relu && sum < T::zero() { T::zero() } else { sum };
            let naive: Vec<T> = (0..self.bias.len()).map(|i| relu(sum(i))).collect();
            assert_same_bits(&format!("{} of {} {cx:?}", self.bias.len(), self.x.len()), &naive, &result);
        }
    }

    fn backward(&self, y: Option<&[T]>) {
        let results = same_bits("linear_backward", |cx| {
            let mut dx = vec![T::nan(); self.x.len()];
            linear_backward(cx, &self.weight, &self.dy, y, &mut dx);
            dx
        });
        for (cx, result) in contexts().zip(results) {
            let mut naive = vec![T::zero(); self.x.len()];
            for i in (0..self.dy.len()).filter(|&i| y.is_none_or(|y| y[i] != T::zero())) {
                for (dx, w) in naive.iter_mut().zip(self.row(i)) {
                    let fused = y.is_none() && fuses(&cx);
                    *dx = if fused { self.dy[i].mul_add(*w, *dx) } else { *dx + self.dy[i] * *w };
                }
            }
            assert_same_bits(&format!("{} of {} {cx:?}", self.bias.len(), self.x.len()), &naive, &result);
        }
    }

    fn update(&self, y: Option<&[T]>) {
        let results = same_bits("linear_update", |cx| {
            let (mut weight, mut bias) = (self.weight.clone(), self.bias.clone());
            linear_update(cx, &self.dy, y, &self.x, &mut weight, &mut bias);
            [weight, bias].concat()
        });
        let (mut weight, mut bias) = (self.weight.clone(), self.bias.clone());
        for i in (0..bias.len()).filter(|&i| y.unwrap_or(&self.dy)[i] != T::zero()) {
            bias[i] += self.dy[i];
            for (w, x) in weight[i * self.x.len()..].iter_mut().zip(&self.x) {
                *w += self.dy[i] * *x;
            }
        }
        let naive = [weight, bias].concat();
        for result in results {
            assert_same_bits(&format!("{} of {}", self.bias.len(), self.x.len()), &naive, &result);
        }
    }

    fn check(&self) {
        self.forward(Activation::Identity);
        self.forward(Activation::Relu);
        self.backward(None);
        self.backward(Some(&self.y));
        self.update(None);
        self.update(Some(&self.y));
    }
}

#[test]
fn layers_of_all_sizes() {
    let mut random = Random::new(1);
    // Whole blocks of a board's loops, blocks and a rest, less than one; rows by fours and a rest; nothing.
    for fan_in in [0, 1, 7, 16, 31, 32, 50] {
        for fan_out in [0, 1, 4, 5, 10, 32] {
            Case::<f32>::new(&mut random, fan_in, fan_out).check();
            Case::<f64>::new(&mut random, fan_in, fan_out).check();
        }
    }
    // Beyond what one task takes.
    Case::<f32>::new(&mut random, 300, 230).check();
}

#[test]
fn what_is_off_takes_no_part() {
    let mut case = Case::<f32>::new(&mut Random::new(2), 20, 6);
    case.y = vec![0.0, 1.0, -0.0, f32::NAN, 2.0, 0.0];
    for off in [0, 2, 5] {
        case.dy[off] = f32::INFINITY;
    }
    case.backward(Some(&case.y));
    case.update(Some(&case.y));
    let (mut weight, mut bias) = (case.weight.clone(), case.bias.clone());
    let cx = bantam_core::Context::REFERENCE;
    linear_update(&cx, &case.dy, Some(&case.y), &case.x, &mut weight, &mut bias);
    assert!(weight.iter().chain(&bias).all(|number| number.is_finite()));
    // A step of zero leaves its row alone even where an input is infinite; others do not.
    case.x[3] = f32::INFINITY;
    linear_update(&cx, &[0.0, -0.0, 0.0, 0.0, 0.0, 1.0], None, &case.x, &mut weight, &mut bias);
    let broken: Vec<usize> = (0..weight.len()).filter(|&i| !weight[i].is_finite()).collect();
    assert_eq!(broken, [5 * 20 + 3]);
}

#[test]
#[should_panic(expected = "a slice does not fit its shape")]
fn a_weight_of_another_shape_panics() {
    linear_forward(
        &bantam_core::Context::REFERENCE,
        &[0.0; 5],
        &[0.0; 2],
        &[0.0; 3],
        Activation::Relu,
        &mut [0.0; 2],
    );
}

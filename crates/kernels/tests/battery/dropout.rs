//! Dropout: how many, which, and again.

use crate::support::{Random, contexts, same_bits};
use bantam_core::Context;
use bantam_core::random::{Key, Purpose};
use bantam_kernels::{Span, dropout};

fn dropped(cx: &Context<'_>, key: Key, rate: f32, x: &[f32]) -> Vec<f32> {
    let mut y = vec![f32::NAN; x.len()];
    dropout(cx, key, rate, Span::Separate(x, &mut y));
    y
}

const KEY: Key = Key::new(7, Purpose::Dropout);

#[test]
fn keeps_the_right_share_and_scales_it() {
    let x = vec![1.0; 200_000];
    for rate in [0.1_f32, 0.5, 0.75] {
        let results = same_bits("dropout", |cx| dropped(cx, KEY, rate, &x));
        let y = &results[0];
        let kept = y.iter().filter(|y| **y != 0.0).count() as f64;
        let (n, p) = (x.len() as f64, 1.0 - f64::from(rate));
        // Binomial: five standard deviations.
        assert!((kept - n * p).abs() < 5.0 * (n * p * (1.0 - p)).sqrt(), "{kept} kept at rate {rate}");
        assert!(y.iter().all(|y| *y == 0.0 || *y == (1.0 / p) as f32));
        // Neighbours are independent: as many pairs are kept as chance has it.
        let pairs = y.windows(2).filter(|pair| pair[0] != 0.0 && pair[1] != 0.0).count() as f64;
        let q = p * p;
        assert!(
            (pairs - n * q).abs() < 10.0 * (n * q * (1.0 - q)).sqrt(),
            "{pairs} pairs kept at rate {rate}"
        );
    }
}

#[test]
fn the_mask_is_a_function_of_key_and_position() {
    let x: Vec<f32> = Random::new(1).vec(1000);
    for cx in contexts() {
        let y = dropped(&cx, KEY, 0.5, &x);
        assert_eq!(y, dropped(&cx, KEY, 0.5, &x));
        // A part from the start has the same mask, and so has what is done in place.
        assert_eq!(y[..333], dropped(&cx, KEY, 0.5, &x[..333]));
        let mut in_place = x.clone();
        dropout(&cx, KEY, 0.5, Span::InPlace(&mut in_place));
        assert_eq!(y, in_place);
        // Another key has another mask: two fair coins agree in half of 1000 cases, standard deviation 16.
        for key in [KEY.step(1), KEY.node(1), Key::new(8, Purpose::Dropout)] {
            let other = dropped(&cx, key, 0.5, &x);
            let agreeing = y.iter().zip(&other).filter(|(a, b)| (**a == 0.0) == (**b == 0.0)).count();
            assert!((420..580).contains(&agreeing), "{agreeing} of 1000 agree");
        }
    }
}

#[test]
fn rates_at_the_ends() {
    let x: Vec<f32> = Random::new(2).vec(100);
    for cx in contexts() {
        for rate in [0.0, -1.0] {
            assert_eq!(dropped(&cx, KEY, rate, &x), x);
        }
        for rate in [1.0, 2.0, f32::NAN] {
            assert!(dropped(&cx, KEY, rate, &x).iter().all(|y| *y == 0.0), "rate {rate}");
        }
    }
}

#[test]
fn the_values_a_key_produces_are_a_promise() {
    let y = dropped(&Context::REFERENCE, KEY.step(3).node(2), 0.5, &[1.0; 32]);
    let mask = y.iter().rev().fold(0_u32, |mask, y| mask << 1 | u32::from(*y != 0.0));
    assert_eq!(mask, PROMISED, "{mask:#010x}");
}
const PROMISED: u32 = 0x6c62_a494;

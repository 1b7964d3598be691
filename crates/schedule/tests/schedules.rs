//! Every schedule against other frameworks' values, at its edges, and what all of them promise.

use bantam_schedule::{
    Cosine, Exponential, Linear, MultiStep, OneCycle, PerEpoch, PiecewiseConstant, Polynomial, Schedule,
    Step, WarmUp,
};
use proptest::prelude::*;

/// The schedule that a golden row was computed with.
fn named(name: &str) -> Box<dyn Schedule> {
    match name {
        "step" => Box::new(Step::new(0.1, 0.5, 10)),
        "multistep" => Box::new(MultiStep::new(0.1, 0.1, [10, 25, 40])),
        "exponential" => Box::new(Exponential::new(0.1, 0.95)),
        "polynomial" => Box::new(Polynomial::new(0.1, 0.0, 2.0).steps(50)),
        "linear" => Box::new(Linear::new(0.1 / 3.0, 0.1).steps(20)),
        // PyTorch's ConstantLR halves the rate for 15 steps.
        "constant" => Box::new(PiecewiseConstant::new(0.05, [(15, 0.1)])),
        "cosine" => Box::new(Cosine::new(0.1).down_to(0.001).steps(60)),
        "onecycle_cos" => Box::new(OneCycle::to(0.5).steps(61)),
        "warmup_then_cosine" => Box::new(WarmUp::new(10, Cosine::new(0.1).steps(50))),
        "keras_exponential" => Box::new(Exponential::new(0.1, 0.9).every(10)),
        "keras_exponential_staircase" => Box::new(Step::new(0.1, 0.9, 10)),
        // Keras changes after the boundary, here the new value holds from it on.
        "keras_piecewise" => Box::new(PiecewiseConstant::new(0.1, [(11, 0.01), (21, 0.001)])),
        other => panic!("no schedule for the row {other}"),
    }
}

#[test]
fn values_of_other_frameworks() {
    let rows: serde_json::Value = serde_json::from_str(include_str!("golden.json")).unwrap();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 12);
    for row in rows {
        let name = row["name"].as_str().unwrap();
        let schedule = named(name);
        for (step, expected) in row["lr"].as_array().unwrap().iter().enumerate() {
            let expected = expected.as_f64().unwrap();
            let got = f64::from(schedule.at(step as u64));
            // A parameter is off by up to 2^-24 in f32, and a power of up to 60 multiplies that by 60; the few
            // roundings of the formula itself add up to less than 16 · 2^-24. The sum is 4.5e-6. The last value of
            // a fall to 0 is an exact 0 here and a rounding error of float64 there.
            let tolerance = 5e-6 * expected.abs() + 1e-16;
            assert!((got - expected).abs() <= tolerance, "{name}, step {step}: {got} instead of {expected}");
        }
    }
}

#[test]
fn lengths_of_zero_and_one_are_as_stated() {
    assert_eq!(Step::new(1.0, 0.5, 0).at(3), Step::new(1.0, 0.5, 1).at(3));
    assert_eq!(Exponential::new(1.0, 0.5).every(0).at(3), 0.125);
    assert_eq!(Linear::new(1.0, 0.5).steps(0).at(0), 0.5);
    assert_eq!(Polynomial::new(1.0, 0.5, 0.0).steps(2).at(1), 1.0);
    assert_eq!(Polynomial::new(1.0, 0.5, -1.0).steps(2).at(2), 0.5);
    assert_eq!(Cosine::new(1.0).down_to(0.5).steps(0).at(0), 0.5);
    let cycle = OneCycle::to(1.0).steps(1);
    assert_eq!(cycle.at(0), 1.0);
    assert_eq!(cycle.at(1), 1.0 / 25.0 / 1e4);
    assert_eq!(OneCycle::to(1.0).steps(4).warm_up(1.0).at(3), 1.0);
    assert_eq!(OneCycle::to(1.0).steps(4).warm_up(0.0).at(0), 1.0);
    assert_eq!(WarmUp::new(0, 0.5).at(0), 0.5);
    assert_eq!(PerEpoch::new(Step::new(1.0, 0.5, 1)).steps_per_epoch(0).at(2), 0.25);
    assert_eq!(PiecewiseConstant::new(0.5, []).at(7), 0.5);
    assert_eq!(MultiStep::new(0.5, 0.1, []).at(7), 0.5);
}

#[test]
fn a_growing_factor_stays_finite() {
    assert_eq!(Exponential::new(1.0, 2.0).at(u64::MAX), f32::MAX);
    assert_eq!(Step::new(2.0, 1e30, 1).at(10), f32::MAX);
    assert_eq!(Step::new(0.0, 1e30, 1).at(10), 0.0);
}

#[test]
fn the_run_tells_its_length_to_those_that_were_not_told() {
    let told = |mut schedule: Box<dyn Schedule>| {
        schedule.set_run_length(100, 10);
        schedule
    };
    assert_eq!(Cosine::new(0.5).at(1_000), 0.5);
    assert_eq!(OneCycle::to(0.5).at(1_000), 0.02);
    assert_eq!(told(Box::new(Cosine::new(0.5))).at(50), Cosine::new(0.5).steps(100).at(50));
    assert_eq!(told(Box::new(Linear::new(1.0, 0.0).steps(2))).at(2), 0.0);
    assert_eq!(told(Box::new(WarmUp::new(20, Linear::new(1.0, 0.0)))).at(60), 0.5);
    // Ten epochs of ten steps, of which the schedule sees ten.
    let per_epoch = told(Box::new(PerEpoch::new(Linear::new(1.0, 0.0))));
    assert_eq!([per_epoch.at(49), per_epoch.at(50), per_epoch.at(100)], [0.6, 0.5, 0.0]);
    assert_eq!(told(Box::new(0.25_f32)).at(50), 0.25);
}

#[test]
fn schedules_are_continuous_where_they_should_be() {
    let n = 100_000;
    let smooth: [(&str, Box<dyn Schedule>, f32); 5] = [
        ("linear", Box::new(Linear::new(1.0, 0.2).steps(n)), 0.8),
        ("polynomial", Box::new(Polynomial::new(1.0, 0.2, 2.0).steps(n)), 1.6),
        ("cosine", Box::new(Cosine::new(1.0).steps(n)), 1.58),
        ("one cycle", Box::new(OneCycle::to(1.0).steps(n)), 5.3),
        ("warm-up", Box::new(WarmUp::new(n / 2, Cosine::new(1.0).steps(n / 2))), 3.15),
    ];
    for (name, schedule, steepest) in smooth {
        for step in 0..n + 10 {
            let change = (schedule.at(step + 1) - schedule.at(step)).abs();
            // The steepest slope over the whole run, a step's share of it, and roundings of values of at most 1.
            let bound = steepest / n as f32 + 8.0 * f32::EPSILON;
            assert!(change <= bound, "{name}, step {step}: a jump of {change}");
        }
    }
}

/// What proptest needs to report a failure.
trait Printable: Schedule + core::fmt::Debug {}

impl<S: Schedule + core::fmt::Debug> Printable for S {}

/// Any schedule with parameters from its domain.
fn any_schedule() -> impl Strategy<Value = Box<dyn Printable>> {
    let rate = || prop_oneof![Just(0.0_f32), 1e-30_f32..1e30, 1e-6_f32..1.0];
    let unit = || 0.0_f32..=1.0;
    let length = || prop_oneof![0_u64..5, 1_u64..2_000, any::<u64>()];
    let boxed = |schedule: Box<dyn Printable>| schedule;
    prop_oneof![
        (rate(), unit(), length()).prop_map(move |(r, f, n)| boxed(Box::new(Step::new(r, f, n)))),
        (rate(), unit(), prop::array::uniform3(length()))
            .prop_map(move |(r, f, m)| boxed(Box::new(MultiStep::new(r, f, m)))),
        (rate(), length(), rate())
            .prop_map(move |(a, n, b)| boxed(Box::new(PiecewiseConstant::new(a, [(n, b)])))),
        (rate(), unit(), length())
            .prop_map(move |(r, f, n)| boxed(Box::new(Exponential::new(r, f).every(n)))),
        (rate(), rate(), length()).prop_map(move |(a, b, n)| boxed(Box::new(Linear::new(a, b).steps(n)))),
        (rate(), rate(), -1.0_f32..9.0, length())
            .prop_map(move |(a, b, p, n)| boxed(Box::new(Polynomial::new(a, b, p).steps(n)))),
        (rate(), rate(), length())
            .prop_map(move |(a, b, n)| boxed(Box::new(Cosine::new(a).down_to(b).steps(n)))),
        (rate(), unit(), 0.0_f32..100.0, 0.0_f32..1e6, length()).prop_map(move |(r, w, d, e, n)| boxed(
            Box::new(OneCycle::to(r).warm_up(w).div_factor(d).final_div_factor(e).steps(n))
        )),
        (rate(), unit(), length(), length()).prop_map(move |(r, s, w, n)| boxed(Box::new(
            WarmUp::new(w, Cosine::new(r).steps(n)).start_factor(s)
        ))),
        (rate(), rate(), length(), length()).prop_map(move |(a, b, e, n)| boxed(Box::new(
            PerEpoch::new(Linear::new(a, b).steps(n)).steps_per_epoch(e)
        ))),
    ]
}

proptest! {
    #[test]
    fn finite_not_negative_and_the_same_in_any_order(
        schedule in any_schedule(),
        far in any::<u64>(),
        order in Just((0_u64..200).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let in_sequence: Vec<u32> = (0..200).map(|step| schedule.at(step).to_bits()).collect();
        for step in order {
            let value = schedule.at(step);
            prop_assert!(value.is_finite() && value >= 0.0, "{} at {}", value, step);
            prop_assert_eq!(value.to_bits(), in_sequence[step as usize]);
        }
        let value = schedule.at(far);
        prop_assert!(value.is_finite() && value >= 0.0, "{} at {}", value, far);
    }

    #[test]
    fn falls_never_rise(from in 0.1_f32..1.0, to in 0.0_f32..0.1, n in 1_u64..500, step in 0_u64..600) {
        // Values of at most 1, a handful of roundings each.
        let slack = 4.0 * f32::EPSILON;
        for schedule in [
            &Linear::new(from, to).steps(n) as &dyn Schedule,
            &Polynomial::new(from, to, 2.0).steps(n),
            &Cosine::new(from).down_to(to).steps(n),
            &Exponential::new(from, 0.9).every(n),
            &Step::new(from, 0.9, n),
        ] {
            prop_assert!(schedule.at(step + 1) <= schedule.at(step) + slack);
            prop_assert!(schedule.at(step) <= from + slack);
        }
    }

    /// Digits survive where a schedule gets small: against the formula in f64.
    #[test]
    fn small_values_keep_their_digits(n in 2_u64..1_000_000, back in 1_u64..1_000) {
        let step = n.saturating_sub(back);
        let left = (n - step) as f64 / n as f64;
        let close = |got: f32, expected: f64| (f64::from(got) - expected).abs() <= 16.0 * 2_f64.powi(-24) * expected;
        let cosine = (core::f64::consts::FRAC_PI_2 * left).sin().powi(2);
        prop_assert!(close(Cosine::new(1.0).steps(n).at(step), cosine), "cosine");
        prop_assert!(close(Linear::new(1.0, 0.0).steps(n).at(step), left), "linear");
        prop_assert!(close(Polynomial::new(1.0, 0.0, 2.0).steps(n).at(step), left * left), "polynomial");
    }
}

//! The text of schedules: any text either is a schedule that prints what reads back as itself and has finite values that
//! are not negative, or an error that names a column of the text.

use crate::Outcome;
use bantam_schedule::{AnySchedule, Schedule};

/// Steps that are asked for: the first ones, and some far beyond any run.
const STEPS: [u64; 9] = [0, 1, 2, 9, 10, 99, 1_000, 1_000_000, u64::MAX];

/// The bytes are the text.
pub fn check(bytes: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(bytes);
    let mut schedule = match text.parse::<AnySchedule>() {
        Ok(schedule) => schedule,
        Err(error) => {
            // One column more than there are characters is the end.
            assert!((1..=text.chars().count() + 1).contains(&error.column), "{text:?}: {error}");
            return Outcome::Rejected;
        }
    };
    let printed = schedule.to_string();
    let mut again: AnySchedule = printed.parse().unwrap_or_else(|error| panic!("{printed:?}: {error}"));
    assert_eq!(again.to_string(), printed);
    for schedule in [&mut schedule, &mut again] {
        schedule.set_run_length(1_000, 10);
    }
    if schedule.validate().is_err() {
        // Nothing is left of the run for its last part.
        return Outcome::Rejected;
    }
    for step in STEPS {
        let value = schedule.at_f64(step);
        assert!(value.is_finite() && value >= 0.0, "{printed} is {value} at {step}");
        assert_eq!(value.to_bits(), again.at_f64(step).to_bits(), "{printed} at {step}");
    }
    Outcome::Accepted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded;

    #[test]
    fn mutated_texts() {
        let texts = [
            "0.1",
            "time_based(0.1, 0.01)",
            "power(0.1, every=10, exponent=0.5)",
            "multistep(0.1, 0.5, at=[10, 25])",
            "piecewise(0.1, 10: 0.01, 20: 0.001)",
            "exponential(0.1, lambda=0.01)",
            "polynomial(0.1, to=0.01, power=2, steps=50, cycle=true)",
            "cosine_restarts(0.1, 10, growth=2)",
            "onecycle(max=0.5, steps=1000, phases=3, annealing=linear)",
            "cyclic(0.1, 0.5, 20, mode=exp_range, gamma=0.99)",
            "noam(512, 4000)",
            "plateau(0.1, factor=0.5, patience=2)",
            "warmup(100, sequence(0.1, 100: step(0.1, 0.5, 10), 1000: scaled(2, cosine(0.1))))",
            "per_epoch(product(linear(0.1, steps=9), 0.5))",
        ];
        let texts = texts.map(|text| text.as_bytes().to_vec());
        let (accepted, rejected) = seeded::mutations(&texts, 20_000, check);
        assert!(accepted > 5_000 && rejected > 5_000, "{accepted} accepted, {rejected} rejected");
    }

    #[test]
    fn random_bytes() {
        let (accepted, rejected) = seeded::random(64, 5_000, check);
        assert_eq!(accepted + rejected, 5_000);
    }
}

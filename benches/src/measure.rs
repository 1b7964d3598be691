//! Times rows of a table in turns and prints each as a ratio to what the machine can do.

use core::time::Duration;
use std::time::Instant;

/// What one call does, to be compared with a limit of the machine.
#[derive(Clone, Copy)]
pub enum Work {
    /// Floating-point operations (a fused multiply-add is two), against the peak of the level.
    Flops(f64),
    /// Bytes read and written, against a copy in main memory.
    Bytes(f64),
    /// Seconds that it should take at most.
    Budget(f64),
}

/// One row: something to call again and again.
pub struct Row {
    /// What the table calls it.
    pub name: String,
    /// What one call does.
    pub work: Work,
    /// The call. What it needs, it owns.
    pub call: Box<dyn FnMut()>,
}

impl Row {
    /// A row.
    pub fn new(name: impl Into<String>, work: Work, call: impl FnMut() + 'static) -> Row {
        Row { name: name.into(), work, call: Box::new(call) }
    }
}

/// How long to measure.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Samples per row.
    rounds: usize,
    /// The least duration of a sample.
    sample: Duration,
}

impl Effort {
    /// A few seconds for the whole program: shows that every row runs, not how fast.
    pub const QUICK: Effort = Effort { rounds: 3, sample: Duration::from_micros(50) };
    /// About half a minute.
    pub const FULL: Effort = Effort { rounds: 61, sample: Duration::from_micros(500) };
}

/// Times per call: lower quartile, median, upper quartile, in seconds.
struct Times {
    low: f64,
    median: f64,
    high: f64,
}

/// Measures all rows, one sample of each in turn, so that what disturbs the machine disturbs all alike.
fn measure(rows: &mut [Row], effort: Effort) -> Vec<Times> {
    let sample = |row: &mut Row, calls: usize| {
        let start = Instant::now();
        (0..calls).for_each(|_| (row.call)());
        start.elapsed()
    };
    let calls: Vec<usize> = rows
        .iter_mut()
        .map(|row| {
            let mut calls = 1;
            while sample(row, calls) < effort.sample {
                calls *= 2;
            }
            calls
        })
        .collect();
    let mut times = vec![Vec::with_capacity(effort.rounds); rows.len()];
    for _ in 0..effort.rounds {
        for ((row, calls), times) in rows.iter_mut().zip(&calls).zip(&mut times) {
            times.push(sample(row, *calls).as_secs_f64() / *calls as f64);
        }
    }
    let quartiles = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        let at = |quarters: usize| times[(times.len() - 1) * quarters / 4];
        Times { low: at(1), median: at(2), high: at(3) }
    };
    times.iter_mut().map(quartiles).collect()
}

/// Measures a table and prints it. The first rows are the machine's limits, measured in the same rounds: the last row of
/// them with [`Work::Flops`] and the last one with [`Work::Bytes`] are what the other rows are compared with.
pub fn table(title: &str, limits: Vec<Row>, rows: Vec<Row>, effort: Effort) {
    let count = limits.len();
    let mut rows: Vec<Row> = limits.into_iter().chain(rows).collect();
    let times = measure(&mut rows, effort);
    println!("\n{title}");
    println!("{:<46} {:>12} {:>15} {:>12} {:>9}", "", "median", "quartiles", "rate", "of limit");
    let (mut flops, mut bytes) = (f64::NAN, f64::NAN);
    for (i, (row, time)) in rows.iter().zip(&times).enumerate() {
        let spread = format!(
            "-{:.0} % +{:.0} %",
            100.0 * (1.0 - time.low / time.median),
            100.0 * (time.high / time.median - 1.0)
        );
        let (rate, limit) = match row.work {
            Work::Flops(work) => {
                let rate = work / time.median;
                if i < count {
                    flops = rate;
                }
                (format!("{:.1} GFLOP/s", rate / 1e9), rate / flops)
            }
            Work::Bytes(work) => {
                let rate = work / time.median;
                if i < count {
                    bytes = rate;
                }
                (format!("{:.1} GB/s", rate / 1e9), rate / bytes)
            }
            Work::Budget(seconds) => (format!("≤ {:.0} µs", seconds * 1e6), seconds / time.median),
        };
        println!(
            "{:<46} {:>9.2} µs {spread:>15} {rate:>14} {:>6.0} %",
            row.name,
            time.median * 1e6,
            100.0 * limit
        );
    }
}

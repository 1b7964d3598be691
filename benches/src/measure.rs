//! Times rows of a table in turns and prints each as a ratio to what the machine can do.

use core::ops::{Deref, DerefMut};
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

/// Numbers of ordinary size that start with a cache line, as every tensor of a plan does, and of other frameworks.
pub struct Numbers {
    all: Vec<f32>,
    start: usize,
}

impl Numbers {
    /// `count` numbers, whole multiples of 1/250 between −2 and 2: neither equal nor subnormal, nor large when they are added.
    pub fn new(count: usize) -> Self {
        const LINE: usize = 64;
        let mut all = vec![0.0; count + LINE / size_of::<f32>()];
        let start = all.as_ptr().align_offset(LINE);
        for (i, number) in all[start..].iter_mut().enumerate() {
            *number = ((i * 37 % 1001) as f32 - 500.0) / 250.0;
        }
        all.truncate(start + count);
        Numbers { all, start }
    }
}

impl Clone for Numbers {
    /// Starts with a line again, as a copy of the vector would not.
    fn clone(&self) -> Self {
        let mut copy = Numbers::new(self.len());
        copy.copy_from_slice(self);
        copy
    }
}

impl Deref for Numbers {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.all[self.start..]
    }
}

impl DerefMut for Numbers {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.all[self.start..]
    }
}

/// One row: something to call again and again.
pub struct Row {
    /// What the table calls it.
    pub name: String,
    /// What one call does.
    pub work: Work,
    /// Calls it so often, after one call that is not timed, and says how long that took. What it needs, it owns.
    pub sample: Box<dyn FnMut(usize) -> Duration>,
    /// Whether another framework does the work of the last row before it that is ours.
    pub peer: bool,
}

impl Row {
    /// A row.
    pub fn new(name: impl Into<String>, work: Work, mut call: impl FnMut() + 'static) -> Row {
        let sample = move |calls| {
            // The other rows have emptied the caches.
            call();
            let start = Instant::now();
            (0..calls).for_each(|_| call());
            start.elapsed()
        };
        Row::timed(name, work, sample)
    }

    /// A row that takes the time itself, as another process does.
    pub fn timed(
        name: impl Into<String>,
        work: Work,
        sample: impl FnMut(usize) -> Duration + 'static,
    ) -> Row {
        Row { name: name.into(), work, sample: Box::new(sample), peer: false }
    }

    /// The same work as the row before, by another framework.
    #[must_use]
    pub fn peer(mut self) -> Row {
        self.peer = true;
        self
    }
}

/// What a row took, and how much of the limit that is.
pub struct Measured {
    /// The table's title.
    pub table: String,
    /// The row's name.
    pub row: String,
    /// Seconds per call.
    pub median: f64,
    /// The lower quartile.
    pub low: f64,
    /// The upper quartile.
    pub high: f64,
    /// The share of the limit, median by median.
    pub of_limit: f64,
    /// The share of the limit, best by best.
    pub of_limit_best: f64,
}

/// How long to measure.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Samples per row; fewer where rows are slow.
    rounds: usize,
    /// The least duration of a sample.
    sample: Duration,
}

/// How long a table of slow rows may take, about.
const TABLE: Duration = Duration::from_secs(20);

impl Effort {
    /// A few seconds for the whole program: shows that every row runs, not how fast.
    pub const QUICK: Effort = Effort { rounds: 3, sample: Duration::from_micros(50) };
    /// About half a minute.
    pub const FULL: Effort = Effort { rounds: 61, sample: Duration::from_micros(500) };
}

/// Times per call in seconds: the shortest, and the quartiles.
struct Times {
    best: f64,
    low: f64,
    median: f64,
    high: f64,
}

/// Measures all rows, one sample of each in turn, so that what disturbs the machine disturbs all alike.
fn measure(rows: &mut [Row], effort: Effort) -> Vec<Times> {
    let calls: Vec<usize> = rows
        .iter_mut()
        .map(|row| {
            let mut calls = 1;
            while (row.sample)(calls) < effort.sample {
                calls *= 2;
            }
            calls
        })
        .collect();
    // One round more tells how many there is time for.
    let start = Instant::now();
    for (row, calls) in rows.iter_mut().zip(&calls) {
        (row.sample)(*calls);
    }
    let fitting = (TABLE.as_secs_f64() / start.elapsed().as_secs_f64()) as usize;
    let rounds = effort.rounds.min(fitting.max(Effort::QUICK.rounds));
    let mut times = vec![Vec::with_capacity(rounds); rows.len()];
    for _ in 0..rounds {
        for ((row, calls), times) in rows.iter_mut().zip(&calls).zip(&mut times) {
            times.push((row.sample)(*calls).as_secs_f64() / *calls as f64);
        }
    }
    let quartiles = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        let at = |quarters: usize| times[(times.len() - 1) * quarters / 4];
        Times { best: at(0), low: at(1), median: at(2), high: at(3) }
    };
    times.iter_mut().map(quartiles).collect()
}

/// Measures a table, prints it and returns it. The first rows are the machine's limits, measured in the same rounds: the last row of
/// them with [`Work::Flops`] and the last one with [`Work::Bytes`] are what the other rows are compared with, median with
/// median and, in brackets, best with best: on a machine that others use too, the best is closer to the truth.
pub fn table(title: &str, limits: Vec<Row>, rows: Vec<Row>, effort: Effort) -> Vec<Measured> {
    let count = limits.len();
    let mut rows: Vec<Row> = limits.into_iter().chain(rows).collect();
    let times = measure(&mut rows, effort);
    println!("\n{title}");
    println!("{:<44} {:>14} {:>16} {:>14} {:>17}", "", "median", "quartiles", "rate", "of limit (best)");
    let (mut flops, mut bytes) = ([f64::NAN; 2], [f64::NAN; 2]);
    // The last row that is ours: what peers are compared with.
    let mut ours = [f64::NAN; 2];
    let mut measured = Vec::new();
    for (i, (row, time)) in rows.iter().zip(&times).enumerate() {
        let percent = |ratio: f64| 100.0 * ratio;
        let spread = format!(
            "-{:.0} % +{:.0} %",
            percent(1.0 - time.low / time.median),
            percent(time.high / time.median - 1.0)
        );
        let rates = |work: f64| [work / time.median, work / time.best];
        let (rate, [median, best]) = match row.work {
            Work::Flops(work) => {
                let rates = rates(work);
                if i < count {
                    flops = rates;
                }
                (format!("{:.1} GFLOP/s", rates[0] / 1e9), [rates[0] / flops[0], rates[1] / flops[1]])
            }
            Work::Bytes(work) => {
                let rates = rates(work);
                if i < count {
                    bytes = rates;
                }
                (format!("{:.1} GB/s", rates[0] / 1e9), [rates[0] / bytes[0], rates[1] / bytes[1]])
            }
            Work::Budget(seconds) => (format!("≤ {:.0} µs", seconds * 1e6), rates(seconds)),
        };
        let against = match row.peer {
            true => format!("  {:.2} × ours ({:.2})", time.median / ours[0], time.best / ours[1]),
            false => {
                ours = [time.median, time.best];
                String::new()
            }
        };
        println!(
            "{:<44} {:>11.2} µs {spread:>16} {rate:>14} {:>7.0} % ({:.0} %){against}",
            row.name,
            time.median * 1e6,
            percent(median),
            percent(best)
        );
        let (table, row) = (title.to_string(), row.name.clone());
        let Times { low, median: seconds, high, .. } = *time;
        measured.push(Measured {
            table,
            row,
            median: seconds,
            low,
            high,
            of_limit: median,
            of_limit_best: best,
        });
    }
    measured
}

//! A machine's vibration, sample by sample: a generator in the place of a sensor, a buffer between the interrupt and the
//! loop, normalisation that needs no pass over the data, and training on what comes.

use crate::board;
use crate::plans::Parts;
use crate::training::{Made, Outcome, Stopped, context, fnv};
use bantam::autodiff::StaticStepError;
use bantam::core::random::{Key, Purpose, Stream, unit_f32};
use bantam::optim::Adam;
use core::cell::Cell;

/// The samples that are judged together.
pub const WINDOW: usize = 64;

/// A rotating machine with a bearing that is sound or damaged, as an accelerometer on its housing feels it: the rotation,
/// a harmonic and noise, and, from a damaged bearing, a short ringing each time a ball rolls over the damage.
#[derive(Clone, Debug)]
pub struct Machine {
    noise: Stream,
    rotation: Oscillator,
    harmonic: Oscillator,
    ringing: Oscillator,
    /// Samples until a ball reaches the damage.
    until: u32,
    /// Whether the bearing is damaged.
    pub damaged: bool,
}

/// A sine wave or a decaying one by the recurrence y ← 2·d·cos ω·y − d²·y₋₁: multiplications and additions only, so every
/// processor makes the same bits.
#[derive(Clone, Copy, Debug)]
struct Oscillator {
    factor: f32,
    decay: f32,
    last: [f32; 2],
}

impl Oscillator {
    fn next(&mut self) -> f32 {
        let [now, before] = self.last;
        self.last = [self.factor * now - self.decay * before, now];
        self.last[0]
    }
}

impl Machine {
    /// Switched on, sound.
    pub fn new(seed: u64) -> Machine {
        Machine {
            noise: Key::new(seed, Purpose::Generate).stream(),
            // 2 cos(2π/40) and 2 cos(2π/13), from a quarter wave on.
            rotation: Oscillator { factor: 1.975_376_7, decay: 1.0, last: [0.0, -0.156_434_46] },
            harmonic: Oscillator { factor: 1.770_912, decay: 1.0, last: [0.0, -0.2] },
            // 2·0.85·cos(2π/4.5), silent until it is struck.
            ringing: Oscillator { factor: 0.295_202, decay: 0.722_5, last: [0.0, 0.0] },
            until: 0,
            damaged: false,
        }
    }
}

impl Iterator for Machine {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        if self.until == 0 {
            self.until = 17 + (8.0 * unit_f32(&mut self.noise)) as u32;
            if self.damaged {
                self.ringing.last[0] += 1.5;
            }
        }
        self.until -= 1;
        let noise = unit_f32(&mut self.noise) + unit_f32(&mut self.noise) - 1.0;
        let sum = self.rotation.next() + self.harmonic.next() + self.ringing.next() + 0.5 * noise;
        // Gravity and the sensor's own units: what normalisation is for.
        Some(9.81 + 0.2 * sum)
    }
}

/// Samples between an interrupt, which [pushes](Ring::push), and the loop, which [pops](Ring::pop): N of them, and
/// what does not fit is counted as lost.
#[derive(Debug)]
pub struct Ring<const N: usize> {
    samples: [Cell<f32>; N],
    /// Samples ever pushed and popped.
    pushed: Cell<usize>,
    popped: Cell<usize>,
    lost: Cell<usize>,
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Ring {
            samples: [const { Cell::new(0.0) }; N],
            pushed: Cell::new(0),
            popped: Cell::new(0),
            lost: Cell::new(0),
        }
    }
}

impl<const N: usize> Ring<N> {
    /// Adds a sample, or counts it as lost.
    pub fn push(&self, sample: f32) {
        if self.pushed.get() - self.popped.get() == N {
            self.lost.set(self.lost.get() + 1);
        } else {
            self.samples[self.pushed.get() % N].set(sample);
            self.pushed.set(self.pushed.get() + 1);
        }
    }

    /// The oldest sample.
    pub fn pop(&self) -> Option<f32> {
        let at = self.popped.get();
        (at < self.pushed.get()).then(|| {
            self.popped.set(at + 1);
            self.samples[at % N].get()
        })
    }

    /// How many samples found no room.
    pub fn lost(&self) -> usize {
        self.lost.get()
    }
}

/// Mean and variance of everything so far (Welford, "Note on a method for calculating corrected sums of squares and
/// products", 1962), with a shortest memory: after `MEMORY` samples the old ones fade exponentially.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunningNorm {
    count: f32,
    mean: f32,
    variance: f32,
}

impl RunningNorm {
    /// Samples after which the weight of a new one falls no further.
    const MEMORY: f32 = 4096.0;

    /// Takes a sample in.
    pub fn observe(&mut self, x: f32) {
        self.count = (self.count + 1.0).min(Self::MEMORY);
        let difference = x - self.mean;
        self.mean += difference / self.count;
        self.variance += (difference * (x - self.mean) - self.variance) / self.count;
    }

    /// Mean and variance.
    pub fn moments(&self) -> [f32; 2] {
        [self.mean, self.variance]
    }

    /// Centres a window and scales it to a variance of 1. Nothing happens before two different samples.
    pub fn apply(&self, window: &mut [f32]) {
        if self.variance > 0.0 {
            // One over the root by Newton's iteration on the bits' guess: no library, the same bits everywhere.
            let mut root = f32::from_bits(0x5f37_59df - (self.variance.to_bits() >> 1));
            for _ in 0..3 {
                root *= 1.5 - 0.5 * self.variance * root * root;
            }
            window.iter_mut().for_each(|x| *x = (*x - self.mean) * root);
        }
    }
}

/// How many windows are learned from, in micro-batches of one: a multiple of [`SUMMED`].
const WINDOWS: usize = 480;
/// Windows whose gradients are added up for an update.
const SUMMED: usize = 4;
/// Windows to be judged afterwards.
const JUDGED: usize = 200;

/// The signal as it comes: a simulated interrupt per sample.
struct Listening {
    machine: Machine,
    ring: Ring<{ WINDOW / 2 }>,
    norm: RunningNorm,
}

impl Listening {
    /// Waits for a window. The interrupt fires several times while the loop does something else, as it would on a board.
    fn window(&mut self, damaged: bool, out: &mut [f32]) {
        self.machine.damaged = damaged;
        let mut filled = 0;
        while filled < out.len() {
            for _ in 0..5 {
                if let Some(sample) = self.machine.next() {
                    self.ring.push(sample);
                }
            }
            while let Some(sample) = self.ring.pop() {
                self.norm.observe(sample);
                // What comes after the window belongs to none: the machine may be another then.
                if let Some(place) = out.get_mut(filled) {
                    *place = sample;
                    filled += 1;
                }
            }
        }
        self.norm.apply(out);
    }
}

/// Learns from windows one by one, then judges others. `damaged` windows come at random.
///
/// # Errors
/// The plan does not fit; the loss is no number; samples were lost.
pub fn listen(parts: &Parts, memory: &mut [u8], seed: u64) -> Result<Outcome, Stopped> {
    let session = parts.bind(memory, seed);
    let mut session = session.map_err(|_| Stopped::Plan)?.context(context()).seed(seed);
    let (ring, norm) = (Ring::default(), RunningNorm::default());
    let mut listening = Listening { machine: Machine::new(seed), ring, norm };
    let mut coin = Key::new(seed, Purpose::Shuffle).stream();
    let adam = Made(|| -> Adam { Adam::new(0.005) });
    let mut outcome = Outcome::default();
    let stopped = |error| match error {
        StaticStepError::NonFinite { .. } => Stopped::NonFinite,
        _ => Stopped::Plan,
    };
    for window in 1..=WINDOWS {
        let damaged = unit_f32(&mut coin) < 0.5;
        listening.window(damaged, session.input(0));
        session.indices(1)[0] = u32::from(damaged);
        let before = board::ticks();
        outcome.loss = session.accumulate(1.0 / SUMMED as f64).map_err(stopped)?;
        if window.is_multiple_of(SUMMED) {
            session.apply(&adam).map_err(stopped)?;
        }
        outcome.ticks += u64::from(board::elapsed(before, board::ticks()));
        outcome.steps += 1;
    }
    session.swap(parts.evaluate).map_err(|_| Stopped::Plan)?;
    for _ in 0..JUDGED {
        let damaged = unit_f32(&mut coin) < 0.5;
        listening.window(damaged, session.input(0));
        session.run();
        let scores = session.output(0);
        outcome.right += usize::from((scores[1] > scores[0]) == damaged);
        outcome.tested += 1;
    }
    outcome.hash = session.parameters().fold(fnv(None, &[]), |hash, values| fnv(Some(hash), values));
    if listening.ring.lost() > 0 { Err(Stopped::Data) } else { Ok(outcome) }
}

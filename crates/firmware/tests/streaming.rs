//! Learning from a stream: the buffer, the running moments, and that a damaged bearing is heard.

use bantam::autodiff::Aligned;
use bantam_firmware::plans::VIBRATION;
use bantam_firmware::vibration::{Machine, Ring, RunningNorm, WINDOW, listen};

fn memory() -> &'static mut [u8] {
    let lines: &'static mut [Aligned<[u8; 64]>] =
        vec![Aligned([0; 64]); VIBRATION.arena_bytes().div_ceil(64)].leak();
    let len = size_of_val(lines);
    // SAFETY: lines are 64 bytes each, without gaps, and nobody else has them.
    unsafe { core::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), len) }
}

#[test]
fn a_damaged_bearing_is_heard() {
    let outcome = listen(&VIBRATION, memory(), 7).unwrap();
    assert_eq!((outcome.steps, outcome.tested), (480, 200));
    assert!(outcome.right >= 190, "{} of 200", outcome.right);
    // Another stream ends elsewhere, and the same one at the same bits.
    assert_eq!(listen(&VIBRATION, memory(), 7).unwrap().hash, outcome.hash);
    assert_ne!(listen(&VIBRATION, memory(), 8).unwrap().hash, outcome.hash);
}

/// Loudness alone does not tell the two apart in every window: otherwise a threshold would do.
#[test]
fn the_task_is_not_trivial() {
    let mut machine = Machine::new(7);
    let mut loudness = |damaged: bool| -> Vec<f32> {
        machine.damaged = damaged;
        let mut window = || {
            let window: Vec<f32> = machine.by_ref().take(WINDOW).map(|x| x - 9.81).collect();
            window.iter().map(|x| x * x).sum::<f32>()
        };
        (0..200).map(|_| window()).collect()
    };
    let (mut sound, mut damaged) = (loudness(false), loudness(true));
    sound.sort_by(f32::total_cmp);
    damaged.sort_by(f32::total_cmp);
    assert!(sound[190] > damaged[10], "{} against {}", sound[190], damaged[10]);
}

#[test]
fn a_full_buffer_counts_what_it_loses() {
    let ring = Ring::<3>::default();
    (0..5).for_each(|i| ring.push(i as f32));
    assert_eq!(ring.lost(), 2);
    let mut popped: Vec<f32> = core::iter::from_fn(|| ring.pop()).collect();
    ring.push(9.0);
    popped.extend(ring.pop());
    assert_eq!(popped, [0.0, 1.0, 2.0, 9.0]);
    assert_eq!(ring.pop(), None);
}

/// Against the two-pass formulas, in double precision: roundings of 2⁻²⁴ each, of which 1000 pile up at most.
#[test]
fn running_moments_are_the_moments() {
    let samples: Vec<f32> = Machine::new(1).take(1000).collect();
    let mut norm = RunningNorm::default();
    let mut window = [1.0, 1.0];
    norm.apply(&mut window);
    assert_eq!(window, [1.0, 1.0]);
    samples.iter().for_each(|x| norm.observe(*x));
    let mean = samples.iter().map(|x| f64::from(*x)).sum::<f64>() / 1000.0;
    let variance = samples.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / 1000.0;
    let bound = 1000.0 * (-24_f64).exp2();
    let [found_mean, found_variance] = norm.moments().map(f64::from);
    assert!((found_mean - mean).abs() < bound * mean, "{found_mean} against {mean}");
    // A sample's own rounding is relative to the mean, not to the deviation.
    assert!(
        (found_variance - variance).abs() < bound * mean * variance.sqrt(),
        "{found_variance}, {variance}"
    );
    window = [found_mean as f32, (found_mean + variance.sqrt()) as f32];
    norm.apply(&mut window);
    assert!(window[0].abs() < 1e-3 && (window[1] - 1.0).abs() < 1e-3, "{window:?}");
}

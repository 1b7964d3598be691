//! The order of long walks over memory: every element once.

use bantam_kernels::in_streams;

#[test]
fn every_element_is_met_once_by_each_walk() {
    for len in [0, 1, 31, 8191, 8192, 8193, 8192 + 127, 3 * 8192 + 77, 1 << 15] {
        let mut met = vec![0; len];
        for range in (0..6).flat_map(|slices| in_streams(len, slices)) {
            assert!(range.start.is_multiple_of(32) && !range.is_empty(), "{len}: {range:?}");
            assert!(range.end.is_multiple_of(32) || range.end == len, "{len}: {range:?}");
            met[range].iter_mut().for_each(|met| *met += 1);
        }
        assert!(met.iter().all(|met| *met == 6), "{len}");
    }
}

#[test]
fn a_long_walk_alternates_between_places_that_differ_within_a_page() {
    let starts: Vec<usize> = in_streams(1 << 15, 2).take(5).map(|range| range.start).collect();
    let stride = (1 << 13) + 256 + 32;
    assert_eq!(starts, [0, stride, 2 * stride, 3 * stride, 32]);
}

#[test]
fn a_short_walk_is_one_range() {
    assert!(in_streams(8191, 1).eq([0..8191]));
}

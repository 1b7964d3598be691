//! The fuzzer writes schedules: `cargo fuzz run schedule`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bantam_fuzz::schedule::check(bytes);
});

//! The fuzzer compares normalisation at all levels: `cargo fuzz run norms`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bantam_fuzz::kernels::norms::check(bytes);
});

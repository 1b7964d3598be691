//! The fuzzer compares convolutions and their gradients at all levels: `cargo fuzz run convolutions`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bantam_fuzz::kernels::convolutions::check(bytes);
});

//! The fuzzer compares kernels at all levels: `cargo fuzz run kernels`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bantam_fuzz::kernels::check(bytes);
});

//! The fuzzer compares pools at all levels: `cargo fuzz run pools`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bantam_fuzz::kernels::pools::check(bytes);
});

//! The fuzzer compares elementary functions at all levels: `cargo fuzz run elementary`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bantam_fuzz::kernels::elementary::check(bytes);
});

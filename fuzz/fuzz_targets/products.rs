//! The fuzzer compares products at all levels: `cargo fuzz run products`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bantam_fuzz::kernels::products::check(bytes);
});

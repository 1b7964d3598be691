//! The fuzzer reads the bytes of IDX arrays: `cargo fuzz run idx`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bantam_fuzz::idx::check(bytes);
});

//! The fuzzer compares dropout at all levels: `cargo fuzz run dropout`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bantam_fuzz::kernels::dropout::check(bytes);
});

//! The fuzzer compares reductions at all levels: `cargo fuzz run reductions`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bantam_fuzz::kernels::reductions::check(bytes);
});

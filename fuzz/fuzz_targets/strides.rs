//! The fuzzer compares what walks over strides at all levels: `cargo fuzz run strides`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bantam_fuzz::kernels::strides::check(bytes);
});

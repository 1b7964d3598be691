//! The fuzzer compares softmax and cross-entropy at all levels: `cargo fuzz run softmax`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bantam_fuzz::kernels::softmax::check(bytes);
});

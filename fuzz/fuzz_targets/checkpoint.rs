//! The fuzzer reads the bytes of checkpoints and of the tensors in them: `cargo fuzz run checkpoint`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bantam_fuzz::checkpoint::check(bytes);
});

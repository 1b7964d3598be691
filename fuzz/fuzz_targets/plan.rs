//! The fuzzer plans and runs random graphs: `cargo fuzz run plan`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bantam_fuzz::plan::check(bytes);
});

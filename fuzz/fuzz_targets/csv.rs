//! The fuzzer reads the bytes of CSV files: `cargo fuzz run csv`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    bantam_fuzz::csv::check(bytes);
});

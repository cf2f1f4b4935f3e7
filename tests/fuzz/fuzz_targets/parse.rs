#![no_main]

// Bytes as they are: the corpus should be modules.
libfuzzer_sys::fuzz_target!(|data: &[u8]| wasmfx_tests::fuzz::parse(data));

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some(module) = wasmfx_tests::fuzz::smith_module(data) {
        wasmfx_tests::fuzz::optimize(&module);
    }
});

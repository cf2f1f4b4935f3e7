//! Which features of WebAssembly are accepted.

use wasmparser::WasmFeatures;

/// Everything that this toolchain supports, which is what inputs are read with unless somebody says otherwise: WebAssembly 3.0, threads,
/// wide arithmetic, custom page sizes, compact imports, stack switching, and the legacy form of exception handling.
pub fn supported() -> WasmFeatures {
    WasmFeatures::WASM3
        | WasmFeatures::THREADS
        | WasmFeatures::WIDE_ARITHMETIC
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::COMPACT_IMPORTS
        | WasmFeatures::STACK_SWITCHING
        | WasmFeatures::LEGACY_EXCEPTIONS
}

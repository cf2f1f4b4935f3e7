fn main() {
    let args: Vec<String> = std::env::args().collect();
    let options = wasmfx::engine::EngineOptions { stack_switching: false, ..Default::default() };
    let engine = options.build().unwrap();
    let code = engine.precompile_module(&std::fs::read(&args[1]).unwrap()).unwrap();
    std::fs::write(&args[2], code).unwrap();
}

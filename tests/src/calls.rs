//! Calls written down as data: `name(1, 2.5) -> 3`, `name() -> trap unhandled tag`, `name() -> throws`.

use anyhow::{Context, Result, anyhow, bail};
use wasmtime::{Engine, ExnRef, Instance, Linker, Module, RootScope, Store, ThrownException, Trap, Val, ValType};

/// A call of an export and what comes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// As it was written.
    pub text: String,
    pub name: String,
    pub arguments: Vec<String>,
    pub expected: Expected,
}

/// What comes of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// The results. References are written `null`, `i31 5` or by their kind (`struct`, `func` …).
    Values(Vec<String>),
    /// A trap whose message contains the text.
    Trap(String),
    /// An exception that nothing caught.
    Throws,
}

fn items(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_string).collect()
}

impl Call {
    /// Reads one call.
    ///
    /// # Errors
    /// If it is not written as one.
    pub fn parse(text: &str) -> Result<Call> {
        let malformed =
            || format!("`{text}` is not a call: write `name(arguments) -> results`, `-> trap MESSAGE` or `-> throws`");
        let (call, expected) = match text.split_once("->") {
            Some((call, expected)) => (call.trim(), expected.trim()),
            None => (text.trim(), ""),
        };
        let (name, arguments) = call.strip_suffix(')').and_then(|call| call.split_once('(')).with_context(malformed)?;
        let expected = match expected.split_once(' ').unwrap_or((expected, "")) {
            ("trap", message) => Expected::Trap(message.trim().to_string()),
            ("throws", "") => Expected::Throws,
            _ => Expected::Values(items(expected)),
        };
        Ok(Call { text: text.trim().to_string(), name: name.trim().to_string(), arguments: items(arguments), expected })
    }

    /// The same call of a lowered module, which traps where it should, but on other instructions: a trap is a trap there.
    pub fn of_lowered(&self) -> Call {
        match &self.expected {
            Expected::Trap(_) => Call { expected: Expected::Trap(String::new()), ..self.clone() },
            Expected::Values(_) | Expected::Throws => self.clone(),
        }
    }
}

/// An instance that calls are made of, one after the other.
pub struct Session {
    store: Store<()>,
    instance: Instance,
}

impl Session {
    /// Instantiates a module, after the modules that it is linked with.
    ///
    /// # Errors
    /// If the engine refuses one of them, or its instantiation fails.
    pub fn new(engine: &Engine, linked: &[(&str, &[u8])], wasm: &[u8]) -> Result<Session> {
        let mut store = Store::new(engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        let mut linker = Linker::new(engine);
        for (name, wasm) in linked {
            let module = compile(engine, wasm)?;
            let instance = linker.instantiate(&mut store, &module).map_err(|error| anyhow!("{name}: {error:#}"))?;
            linker.instance(&mut store, name, instance).map_err(|error| anyhow!("{name}: {error:#}"))?;
        }
        let module = compile(engine, wasm)?;
        let instance =
            linker.instantiate(&mut store, &module).map_err(|error| anyhow!("cannot instantiate: {error:#}"))?;
        Ok(Session { store, instance })
    }

    /// Makes a call.
    ///
    /// # Errors
    /// If it cannot be made, or something else came of it than what was expected.
    pub fn check(&mut self, call: &Call) -> Result<()> {
        let function = self
            .instance
            .get_func(&mut self.store, &call.name)
            .with_context(|| format!("the module exports no function `{}`", call.name))?;
        let ty = function.ty(&self.store);
        if ty.params().len() != call.arguments.len() {
            bail!("`{}` takes {} arguments, not {}", call.name, ty.params().len(), call.arguments.len());
        }
        let mut scope = RootScope::new(&mut self.store);
        let mut arguments = vec![];
        for (ty, text) in ty.params().zip(&call.arguments) {
            arguments.push(argument(&ty, text)?);
        }
        let mut results = vec![Val::I32(0); ty.results().len()];
        let outcome = function.call(&mut scope, &arguments, &mut results);
        let found = match outcome {
            Ok(()) => {
                let Expected::Values(expected) = &call.expected else {
                    bail!("`{}` returned {}", call.text, shown(&results, &mut scope));
                };
                let same = expected.len() == results.len()
                    && results.iter().zip(expected).all(|(value, text)| matches(value, text, &mut scope));
                if same {
                    return Ok(());
                }
                format!("returned {}", shown(&results, &mut scope))
            }
            Err(error) => match error.downcast_ref::<Trap>() {
                Some(trap) => match &call.expected {
                    Expected::Trap(message) if trap.to_string().contains(message) => return Ok(()),
                    _ => format!("trapped: {trap}"),
                },
                None if error.is::<ThrownException>() => {
                    let _: Option<wasmtime::Rooted<ExnRef>> =
                        wasmtime::AsContextMut::as_context_mut(&mut scope).take_pending_exception();
                    match call.expected {
                        Expected::Throws => return Ok(()),
                        _ => "threw an exception".to_string(),
                    }
                }
                None => format!("failed: {error:#}"),
            },
        };
        bail!("`{}` {found}", call.text)
    }
}

fn compile(engine: &Engine, wasm: &[u8]) -> Result<Module> {
    Module::new(engine, wasm).map_err(|error| anyhow!("the engine refuses the module: {error:#}"))
}

fn integer(text: &str) -> Result<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let value = match digits.strip_prefix("0x") {
        Some(digits) => u128::from_str_radix(digits, 16).map(|value| value as i128),
        None => digits.parse::<i128>(),
    };
    Ok(sign * value.with_context(|| format!("`{text}` is not an integer"))?)
}

fn argument(ty: &ValType, text: &str) -> Result<Val> {
    Ok(match ty {
        ValType::I32 => Val::I32(integer(text)? as i32),
        ValType::I64 => Val::I64(integer(text)? as i64),
        ValType::F32 => Val::F32(text.parse::<f32>().with_context(|| format!("`{text}` is not a number"))?.to_bits()),
        ValType::F64 => Val::F64(text.parse::<f64>().with_context(|| format!("`{text}` is not a number"))?.to_bits()),
        ValType::V128 => Val::V128((integer(text)? as u128).into()),
        ValType::Ref(reference) if text == "null" => Val::null_ref(reference.heap_type()),
        ValType::Ref(_) => bail!("of references, only `null` can be written as an argument, not `{text}`"),
    })
}

fn shown(values: &[Val], scope: &mut RootScope<&mut Store<()>>) -> String {
    let texts: Vec<String> = values.iter().map(|value| show(value, scope)).collect();
    if texts.is_empty() { "nothing".to_string() } else { texts.join(", ") }
}

fn show(value: &Val, scope: &mut RootScope<&mut Store<()>>) -> String {
    match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F32(bits) => format!("{:?}", f32::from_bits(*bits)),
        Val::F64(bits) => format!("{:?}", f64::from_bits(*bits)),
        Val::V128(value) => format!("{:#034x}", value.as_u128()),
        Val::FuncRef(None) | Val::ExternRef(None) | Val::AnyRef(None) | Val::ExnRef(None) | Val::ContRef(None) => {
            "null".to_string()
        }
        Val::FuncRef(Some(_)) => "func".to_string(),
        Val::ExternRef(Some(_)) => "extern".to_string(),
        Val::AnyRef(Some(reference)) => {
            if let Ok(Some(value)) = reference.as_i31(&*scope) {
                return format!("i31 {}", value.get_i32());
            }
            let is_struct = reference.is_struct(&*scope).unwrap_or(false);
            if is_struct { "struct".to_string() } else { "array".to_string() }
        }
        Val::ExnRef(Some(_)) => "exn".to_string(),
        Val::ContRef(Some(_)) => "cont".to_string(),
    }
}

/// Numbers are compared as numbers (any NaN is a NaN), everything else as it is shown.
fn matches(value: &Val, text: &str, scope: &mut RootScope<&mut Store<()>>) -> bool {
    match value {
        Val::I32(value) => integer(text).is_ok_and(|expected| expected as i32 == *value),
        Val::I64(value) => integer(text).is_ok_and(|expected| expected as i64 == *value),
        Val::F32(bits) => text
            .parse::<f32>()
            .is_ok_and(|expected| expected.to_bits() == *bits || (expected.is_nan() && f32::from_bits(*bits).is_nan())),
        Val::F64(bits) => text
            .parse::<f64>()
            .is_ok_and(|expected| expected.to_bits() == *bits || (expected.is_nan() && f64::from_bits(*bits).is_nan())),
        Val::V128(value) => integer(text).is_ok_and(|expected| expected as u128 == value.as_u128()),
        _ => show(value, scope) == text,
    }
}

//! Conformance scripts on Node: a script, with its modules lowered, as JavaScript.
//!
//! What a script asserts about modules that must not validate is left to the validator's own tests. A call that JavaScript cannot make (with a
//! v128, say) is counted as skipped and printed.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use wast::core::{NanPattern, WastArgCore, WastRetCore};
use wast::parser::{ParseBuffer, parse};
use wast::token::Id;
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet};

/// What runs the steps of a script; its first argument is the file with them.
const DRIVER: &str = include_str!("node.js");

/// Node, where the environment says that there is one with exceptions and garbage collection: `NODE26` names it.
pub fn node() -> Option<PathBuf> {
    std::env::var_os("NODE26").map(PathBuf::from).filter(|path| path.exists())
}

/// What is made of a module's bytes before it runs; the first argument says where in the script it stands.
pub type Transform<'t> = dyn Fn(&str, &[u8]) -> Result<Vec<u8>> + 't;

/// A script as steps for the driver. `transform` makes of each module what runs.
///
/// # Errors
/// If the script cannot be parsed, or a module cannot be encoded or transformed.
pub fn steps(name: &str, text: &str, transform: &Transform<'_>) -> Result<Value> {
    let buffer = ParseBuffer::new(text)?;
    let script: Wast<'_> = parse(&buffer)?;
    let mut steps = Vec::new();
    for directive in script.directives {
        let (line, _) = directive.span().linecol_in(text);
        let place = format!("{name}:{}", line + 1);
        if let Some(mut step) = step(&place, directive, transform).with_context(|| place.clone())? {
            step["place"] = json!(place);
            steps.push(step);
        }
    }
    Ok(json!(steps))
}

fn id(id: Option<Id<'_>>) -> Value {
    id.map_or(Value::Null, |id| json!(id.name()))
}

fn module(place: &str, mut module: QuoteWat<'_>, transform: &Transform<'_>) -> Result<Value> {
    let binary = module.encode().map_err(|error| anyhow!("{error}"))?;
    Ok(json!(transform(place, &binary)?.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

fn step(place: &str, directive: WastDirective<'_>, transform: &Transform<'_>) -> Result<Option<Value>> {
    Ok(Some(match directive {
        WastDirective::Module(wat) => {
            let name = id(wat.name());
            json!({ "do": "module", "name": name, "binary": module(place, wat, transform)? })
        }
        WastDirective::ModuleDefinition(wat) => {
            let name = id(wat.name());
            json!({ "do": "definition", "name": name, "binary": module(place, wat, transform)? })
        }
        WastDirective::ModuleInstance { instance, module, .. } => {
            json!({ "do": "instance", "name": id(instance), "definition": id(module) })
        }
        WastDirective::Register { name, module, .. } => {
            json!({ "do": "register", "as": name, "module": id(module) })
        }
        WastDirective::Invoke(call) => json!({ "do": "run", "action": invoke(&call) }),
        WastDirective::AssertReturn { exec, results, .. } => {
            let results: Vec<Value> = results.iter().map(expectation).collect();
            json!({ "do": "returns", "action": action(place, exec, transform)?, "results": results })
        }
        WastDirective::AssertTrap { exec, .. } | WastDirective::AssertSuspension { exec, .. } => {
            json!({ "do": "traps", "action": action(place, exec, transform)? })
        }
        WastDirective::AssertException { exec, .. } => {
            json!({ "do": "throws", "action": action(place, exec, transform)? })
        }
        WastDirective::AssertExhaustion { call, .. } => json!({ "do": "exhausts", "action": invoke(&call) }),
        // Without the lowering's help: a module that is refused or does not link.
        WastDirective::AssertMalformed { .. }
        | WastDirective::AssertInvalid { .. }
        | WastDirective::AssertInvalidCustom { .. }
        | WastDirective::AssertMalformedCustom { .. }
        | WastDirective::AssertUnlinkable { .. } => return Ok(None),
        WastDirective::Thread(_) | WastDirective::Wait { .. } => bail!("scripts with threads do not run on Node"),
    }))
}

fn action(place: &str, action: WastExecute<'_>, transform: &Transform<'_>) -> Result<Value> {
    Ok(match action {
        WastExecute::Invoke(call) => invoke(&call),
        WastExecute::Wat(wat) => json!({ "binary": module(place, QuoteWat::Wat(wat), transform)? }),
        WastExecute::Get { module, global, .. } => json!({ "module": id(module), "global": global }),
    })
}

fn invoke(call: &WastInvoke<'_>) -> Value {
    let arguments: Vec<Value> = call.args.iter().map(argument).collect();
    json!({ "module": id(call.module), "function": call.name, "arguments": arguments })
}

/// A value as its type and its bits.
fn argument(argument: &WastArg<'_>) -> Value {
    match argument {
        WastArg::Core(WastArgCore::I32(value)) => json!(["i32", value]),
        WastArg::Core(WastArgCore::I64(value)) => json!(["i64", value.to_string()]),
        WastArg::Core(WastArgCore::F32(value)) => json!(["f32", value.bits]),
        WastArg::Core(WastArgCore::F64(value)) => json!(["f64", value.bits.to_string()]),
        WastArg::Core(WastArgCore::RefNull(_)) => json!(["null"]),
        WastArg::Core(WastArgCore::RefExtern(number) | WastArgCore::RefHost(number)) => json!(["host", number]),
        _ => json!(["unknown"]),
    }
}

fn expectation(expected: &WastRet<'_>) -> Value {
    match expected {
        WastRet::Core(WastRetCore::I32(value)) => json!(["i32", value]),
        WastRet::Core(WastRetCore::I64(value)) => json!(["i64", value.to_string()]),
        WastRet::Core(WastRetCore::F32(NanPattern::Value(value))) => json!(["f32", value.bits]),
        WastRet::Core(WastRetCore::F64(NanPattern::Value(value))) => json!(["f64", value.bits.to_string()]),
        WastRet::Core(WastRetCore::F32(_) | WastRetCore::F64(_)) => json!(["nan"]),
        WastRet::Core(WastRetCore::RefNull(_)) => json!(["null"]),
        WastRet::Core(WastRetCore::RefExtern(Some(number)) | WastRetCore::RefHost(number)) => json!(["host", number]),
        WastRet::Core(WastRetCore::RefFunc(_)) => json!(["function"]),
        _ => json!(["unknown"]),
    }
}

/// Runs scripts, each in a world of its own: the number of assertions that held, and what did not.
///
/// # Errors
/// If there is no Node, or the driver does not come to its end.
pub fn run(scripts: &[(String, Value)]) -> Result<(usize, Vec<String>)> {
    let node = node().context("NODE26 names no program")?;
    let directory = tempfile::tempdir()?;
    let write = |name: &str, content: &str| -> Result<PathBuf> {
        let path = directory.path().join(name);
        std::fs::write(&path, content)?;
        Ok(path)
    };
    let driver = write("driver.js", DRIVER)?;
    let steps: Vec<Value> = scripts.iter().map(|(name, steps)| json!({ "script": name, "steps": steps })).collect();
    let steps = write("steps.json", &json!(steps).to_string())?;
    let output = Command::new(node).arg(driver).arg(steps).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let Some(last) = text.lines().last().filter(|_| output.status.success()) else {
        bail!("node failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr));
    };
    let result: Value = serde_json::from_str(last).with_context(|| format!("node printed '{last}'"))?;
    let failures = result["failures"].as_array().context("node reports failures")?;
    let failures = failures.iter().map(|failure| failure.as_str().unwrap_or_default().to_owned()).collect();
    let passed = result["passed"].as_u64().context("node counts")?;
    Ok((usize::try_from(passed)?, failures))
}

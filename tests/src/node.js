// Runs conformance scripts: see node.rs, which makes the steps.
'use strict';
const fs = require('fs');

const floats = new DataView(new ArrayBuffer(8));
function float32(bits) { floats.setUint32(0, bits); return floats.getFloat32(0); }
function float64(bits) { floats.setBigUint64(0, BigInt(bits)); return floats.getFloat64(0); }

class Skip extends Error {}

const hosts = new Map();
function host(number) {
  if (!hosts.has(number)) hosts.set(number, { number });
  return hosts.get(number);
}

function value([type, bits]) {
  switch (type) {
    case 'i32': return bits;
    case 'i64': return BigInt(bits);
    case 'f32': return float32(bits);
    case 'f64': return float64(bits);
    case 'null': return null;
    case 'host': return host(bits);
    default: throw new Skip(`a value of type ${type}`);
  }
}

function matches(actual, expected) {
  switch (expected[0]) {
    case 'nan': return Number.isNaN(actual);
    case 'function': return typeof actual === 'function';
    case 'f32': case 'f64': return Object.is(actual, value(expected));
    default: return actual === value(expected);
  }
}

function spectest() {
  const print = () => {};
  return {
    print, print_i32: print, print_i64: print, print_f32: print, print_f64: print, print_i32_f32: print, print_f64_f64: print,
    global_i32: new WebAssembly.Global({ value: 'i32' }, 666),
    global_i64: new WebAssembly.Global({ value: 'i64' }, 666n),
    table: new WebAssembly.Table({ element: 'anyfunc', initial: 10, maximum: 20 }),
    memory: new WebAssembly.Memory({ initial: 1, maximum: 2 }),
  };
}

function isTrap(error) {
  return error instanceof WebAssembly.RuntimeError;
}
// JavaScript's own stack overflow is a RangeError.
function isExhaustion(error) {
  return error instanceof RangeError;
}

function runScript({ steps }, report) {
  const registered = { spectest: spectest() };
  const instances = new Map();
  const definitions = new Map();
  let current, lastDefinition;
  const compile = (binary) => new WebAssembly.Module(Buffer.from(binary, 'hex'));
  const instantiate = (module) => new WebAssembly.Instance(module, registered).exports;
  const define = (name, exports) => { current = exports; if (name !== null) instances.set(name, exports); };
  const find = (name) => {
    const exports = name === null ? current : instances.get(name);
    if (exports === undefined) throw new Error(`there is no module ${name}`);
    return exports;
  };
  const act = (action) => {
    if (action.binary !== undefined) { instantiate(compile(action.binary)); return []; }
    const exports = find(action.module);
    if (action.global !== undefined) return [exports[action.global].value];
    const results = exports[action.function](...action.arguments.map(value));
    return results === undefined ? [] : Array.isArray(results) ? results : [results];
  };
  const fails = (step, kind, is) => {
    let results;
    try { results = act(step.action); } catch (error) {
      if (is(error)) return;
      throw error;
    }
    throw new Error(`returned ${results}, but ${kind} was expected`);
  };
  for (const step of steps) {
    try {
      switch (step.do) {
        case 'module': define(step.name, instantiate(compile(step.binary))); break;
        case 'definition':
          lastDefinition = compile(step.binary);
          if (step.name !== null) definitions.set(step.name, lastDefinition);
          break;
        case 'instance':
          define(step.name, instantiate(step.definition === null ? lastDefinition : definitions.get(step.definition)));
          break;
        case 'register': registered[step.as] = find(step.module); break;
        case 'run': act(step.action); break;
        case 'returns': {
          const results = act(step.action);
          const same = results.length === step.results.length && results.every((result, i) => matches(result, step.results[i]));
          if (!same) throw new Error(`returned ${results}, expected ${JSON.stringify(step.results)}`);
          break;
        }
        case 'traps': fails(step, 'a trap', isTrap); break;
        case 'throws': fails(step, 'an exception', (error) => error instanceof WebAssembly.Exception); break;
        case 'exhausts': fails(step, 'an exhausted stack', isExhaustion); break;
        default: throw new Error(`unknown step ${step.do}`);
      }
      report.passed += 1;
    } catch (error) {
      if (error instanceof Skip) { console.log(`${step.place}: skipped: ${error.message}`); continue; }
      report.failures.push(`${step.place}: ${error}`);
    }
  }
}

const report = { passed: 0, failures: [] };
for (const script of JSON.parse(fs.readFileSync(process.argv[2], 'utf8'))) runScript(script, report);
console.log(JSON.stringify(report));

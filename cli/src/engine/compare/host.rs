//! Imports that depend on nothing but names, arguments and the seed, and a record of the calls made to them.

use std::sync::Arc;

use anyhow::{Context, Result};
use rustc_hash::{FxHashMap, FxHashSet};
use wasmtime::{
    AnyRef, AsContextMut, Extern, ExternType, FuncType, Global, HeapType, I31, Linker, Memory, Module, Mutability,
    SharedMemory, Store, StoreLimits, StoreLimitsBuilder, Table, Tag, V128, Val, ValType,
};

use super::observe::bits_without_nan_payload;
use super::random::{Random, combine, hash_text};
use crate::engine::engine_error;
use crate::engine::values::{host_reference, null_of, null_reference_of, refuse_impassable};

/// Calls of imports kept one by one for each call of an export; of the rest, only their number and hash.
const CALLS_KEPT: usize = 1000;
/// Table elements that modules may have.
const TABLE_LIMIT: usize = 10_000_000;
/// Bytes at the beginning of an imported memory that are not zero.
const FILLED_BYTES: usize = 4096;

const INTEGER_EDGES: &[u64] = &[
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x0000_0001_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

const FLOAT_EDGES: &[f32] = &[
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    f32::MAX,
    f32::MIN_POSITIVE,
    2_147_483_648.0,
    4_294_967_296.0,
];

/// What a store of a comparison holds.
pub struct Host {
    /// Bounds memories and tables, equally on both sides.
    pub limits: StoreLimits,
    /// Calls of imports since the export was called.
    pub trace: Trace,
    /// How often each import has been called.
    counts: FxHashMap<Arc<str>, u64>,
}

impl Host {
    /// Nothing has been called.
    pub fn new(memory_limit: usize) -> Host {
        let limits = StoreLimitsBuilder::new().memory_size(memory_limit).table_elements(TABLE_LIMIT).build();
        Host { limits, trace: Trace::default(), counts: FxHashMap::default() }
    }
}

/// The calls made to imports.
#[derive(Default)]
pub struct Trace {
    calls: Vec<(Arc<str>, u64)>,
    count: usize,
    hash: u64,
}

impl Trace {
    /// Forgets all calls.
    pub fn clear(&mut self) {
        *self = Trace::default();
    }

    fn record(&mut self, import: Arc<str>, call: u64) {
        self.hash = combine(self.hash, call);
        if self.calls.len() < CALLS_KEPT {
            self.calls.push((import, call));
        }
        self.count += 1;
    }

    /// The first call in which two traces differ, by its number and its import on either side.
    pub fn first_difference(&self, other: &Trace) -> Option<(usize, String, String)> {
        if (self.count, self.hash) == (other.count, other.hash) {
            return None;
        }
        let differs = |index: &usize| self.calls.get(*index) != other.calls.get(*index);
        let index = (0..self.calls.len().max(other.calls.len())).find(differs);
        let show = |trace: &Trace| match index.and_then(|index| trace.calls.get(index)) {
            Some((import, call)) => format!("{import} (arguments with hash {call:016x})"),
            None => format!("{} calls with hash {:016x}", trace.count, trace.hash),
        };
        Some((index.unwrap_or(CALLS_KEPT) + 1, show(self), show(other)))
    }
}

/// Defines everything that a module imports.
///
/// # Errors
/// If the host cannot make an import: which one.
pub fn define_imports(linker: &mut Linker<Host>, store: &mut Store<Host>, module: &Module, seed: u64) -> Result<()> {
    // Two imports of the same name are one thing, of the first one's type; if the other's does not fit, the engine refuses the module.
    let mut defined: FxHashSet<(&str, &str)> = FxHashSet::default();
    for import in module.imports() {
        if !defined.insert((import.module(), import.name())) {
            continue;
        }
        let name = format!("{}.{}", import.module(), import.name());
        let hash = combine(seed, hash_text(&name));
        let definition = definition(store, &name, &import.ty(), hash).with_context(|| format!("import {name}"))?;
        linker.define(&mut *store, import.module(), import.name(), definition).map_err(engine_error)?;
    }
    Ok(())
}

fn definition(store: &mut Store<Host>, name: &str, ty: &ExternType, hash: u64) -> Result<Extern> {
    Ok(match ty {
        ExternType::Func(ty) => {
            refuse_impassable(name, ty)?;
            Extern::Func(function(store, name, ty, hash))
        }
        ExternType::Global(ty) => {
            let value = match (ty.content(), ty.mutability()) {
                // Where compilers import numbers they are addresses: of data (constant) or of the stack (mutable). Others fit nothing.
                (ValType::I32, Mutability::Const) => Val::I32(0),
                (ValType::I64, Mutability::Const) => Val::I64(0),
                (ValType::I32, Mutability::Var) => Val::I32(i32::from(u16::MAX / 2)),
                (ValType::I64, Mutability::Var) => Val::I64(i64::from(u16::MAX / 2)),
                (content, _) => value(&mut *store, content, &mut Random::new(hash))?
                    .with_context(|| format!("the host cannot make a global of type {content}"))?,
            };
            Extern::Global(Global::new(store, ty.clone(), value).map_err(engine_error)?)
        }
        ExternType::Table(ty) => {
            let element = ty.element();
            let null = null_reference_of(element.heap_type()).filter(|_| element.is_nullable());
            let null = null.with_context(|| format!("the host cannot make a table of {element}"))?;
            Extern::Table(Table::new(store, ty.clone(), null).map_err(engine_error)?)
        }
        ExternType::Memory(ty) if ty.is_shared() => {
            Extern::SharedMemory(SharedMemory::new(store.engine(), ty.clone()).map_err(engine_error)?)
        }
        ExternType::Memory(ty) => {
            let memory = Memory::new(&mut *store, ty.clone()).map_err(engine_error)?;
            let mut random = Random::new(hash);
            for byte in memory.data_mut(&mut *store).iter_mut().take(FILLED_BYTES) {
                *byte = random.next().to_le_bytes()[0];
            }
            Extern::Memory(memory)
        }
        ExternType::Tag(ty) => Extern::Tag(Tag::new(store, ty).map_err(engine_error)?),
    })
}

fn function(store: &mut Store<Host>, name: &str, ty: &FuncType, hash: u64) -> wasmtime::Func {
    let name: Arc<str> = Arc::from(name);
    let result_types: Vec<ValType> = ty.results().collect();
    wasmtime::Func::new(store, ty.clone(), move |mut caller, arguments, results| {
        let host = caller.data_mut();
        let count = host.counts.entry(Arc::clone(&name)).or_default();
        *count += 1;
        let call = arguments.iter().fold(combine(hash, *count), |hash, argument| {
            bits_without_nan_payload(argument).into_iter().fold(hash, combine)
        });
        host.trace.record(Arc::clone(&name), call);
        let mut random = Random::new(call);
        for (result, ty) in results.iter_mut().zip(&result_types) {
            let made = value(&mut caller, ty, &mut random).map_err(|error| wasmtime::format_err!("{error:#}"))?;
            *result = made.ok_or_else(|| wasmtime::format_err!("the host cannot make a value of type {ty}"))?;
        }
        Ok(())
    })
}

/// A value of a type: sometimes an edge case, sometimes small, sometimes any. `None` if the host cannot make one.
///
/// # Errors
/// If the engine cannot allocate a reference.
pub fn value(mut store: impl AsContextMut, ty: &ValType, random: &mut Random) -> Result<Option<Val>> {
    Ok(Some(match ty {
        ValType::I32 => Val::I32(low_half(integer(random)).cast_signed()),
        ValType::I64 => Val::I64(integer(random).cast_signed()),
        ValType::F32 => Val::F32(float32(random)),
        ValType::F64 => Val::F64(float64(random)),
        ValType::V128 => Val::V128(V128::from(u128::from(integer(random)) | (u128::from(integer(random)) << 64))),
        ValType::Ref(reference) => {
            let null = reference.is_nullable() && random.below(4) == 0;
            match reference.heap_type() {
                HeapType::Extern if !null => {
                    let number = low_half(random.below(8));
                    Val::ExternRef(Some(host_reference(&mut store, number)?))
                }
                HeapType::I31 | HeapType::Eq | HeapType::Any if !null => {
                    let number = I31::wrapping_u32(low_half(integer(random)));
                    Val::AnyRef(Some(AnyRef::from_i31(&mut store, number)))
                }
                heap if reference.is_nullable() => null_of(heap),
                _ => return Ok(None),
            }
        }
    }))
}

fn low_half(bits: u64) -> u32 {
    let [a, b, c, d, ..] = bits.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn integer(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => random.choose(INTEGER_EDGES).unwrap_or_default(),
        1 => random.below(16),
        2 => random.below(1 << 16),
        _ => random.next(),
    }
}

/// Edge cases, multiples of 1/8 around zero, or any bits.
fn float32(random: &mut Random) -> u32 {
    match random.below(4) {
        0 => random.choose(FLOAT_EDGES).unwrap_or_default().to_bits(),
        1 => low_half(random.next()),
        _ => (small_fraction(random) as f32).to_bits(),
    }
}

/// As [`float32`].
fn float64(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => f64::from(random.choose(FLOAT_EDGES).unwrap_or_default()).to_bits(),
        1 => random.next(),
        _ => small_fraction(random).to_bits(),
    }
}

fn small_fraction(random: &mut Random) -> f64 {
    (f64::from(low_half(random.below(2048))) - 1024.0) / 8.0
}

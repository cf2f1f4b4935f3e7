use super::*;
use crate::options::Options;
use wasmfx_ir::Module;
use wasmfx_ir::func::Terminator;
use wasmfx_ir::module::TypeId;
use wasmfx_ir::subtype::Subtyping;
use wasmfx_ir::wasmparser::{MemArg, MemArgTarget, WasmFeatures};

fn simplify(func: &mut Func, options: &Options) -> Changed {
    let module = Module { features: WasmFeatures::all(), ..Module::default() };
    let subtyping = Subtyping::new(&module.types);
    let environment = ModuleEnvironment::new(&module, &subtyping, options);
    let mut changed = Changed::No;
    for _ in 0..4 {
        changed |= run(func, &environment);
        changed |= crate::function::dead_code::run(func, &environment);
    }
    changed
}

/// The body as text: the operators of the entry block in order.
fn names(func: &Func) -> Vec<&'static str> {
    func.blocks[func.entry].insts.iter().map(|&inst| Opcode::of(func.operator(inst)).name()).collect()
}

/// Runs the entry block on constants; `None` if something traps.
fn evaluate(func: &Func, arguments: &[Constant]) -> Option<Constant> {
    let mut values: SecondaryMap<Value, Option<Constant>> = SecondaryMap::new();
    for (&param, &argument) in func.blocks[func.entry].params.iter().zip(arguments) {
        values[param] = Some(argument);
    }
    for &inst in &func.blocks[func.entry].insts {
        let operands: Vec<Constant> = func.operands(inst).iter().map(|&value| values[value].unwrap()).collect();
        let result = match (func.operator(inst), &operands[..]) {
            (Operator::Select, &[a, b, Constant::I32(condition)]) => {
                if condition != 0 {
                    a
                } else {
                    b
                }
            }
            (operator, []) => Constant::of(operator).unwrap(),
            (operator, _) => fold(operator, &operands)?,
        };
        values[func.first_result(inst)] = Some(result);
    }
    let Terminator::Return(results) = &func.blocks[func.entry].terminator else { panic!("a function of one block") };
    values[results[0]]
}

struct Random(u64);
impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % bound
    }
    fn interesting(&mut self) -> i64 {
        const NUMBERS: [i64; 22] = [
            0,
            0,
            1,
            1,
            -1,
            -1,
            2,
            3,
            7,
            8,
            16,
            31,
            32,
            63,
            64,
            255,
            256,
            65535,
            0xffff_ffff,
            i32::MIN as i64,
            i64::MIN,
            i64::MAX,
        ];
        NUMBERS[self.below(NUMBERS.len())]
    }
}

const UNARY: [Integer; 6] =
    [Integer::Eqz, Integer::Clz, Integer::Ctz, Integer::Popcnt, Integer::Extend8S, Integer::Extend16S];
const BINARY: [Integer; 25] = [
    Integer::Add,
    Integer::Sub,
    Integer::Mul,
    Integer::DivS,
    Integer::DivU,
    Integer::RemS,
    Integer::RemU,
    Integer::And,
    Integer::Or,
    Integer::Xor,
    Integer::Shl,
    Integer::ShrS,
    Integer::ShrU,
    Integer::Rotl,
    Integer::Rotr,
    Integer::Eq,
    Integer::Ne,
    Integer::LtS,
    Integer::LtU,
    Integer::GtS,
    Integer::GtU,
    Integer::LeS,
    Integer::LeU,
    Integer::GeS,
    Integer::GeU,
];

/// A random expression over two i32 and two i64 parameters.
fn random_func(random: &mut Random) -> Func {
    let params = [ValType::I32, ValType::I32, ValType::I64, ValType::I64];
    let mut func = Func::new(TypeId::from_u32(0), &params, &[]);
    let entry = func.entry;
    let mut values: Vec<Value> = func.blocks[entry].params.to_vec();
    let pick = |random: &mut Random, func: &Func, values: &[Value], ty: ValType| loop {
        // Mostly recent values, so that expressions get deep.
        let at = if random.below(3) == 0 {
            random.below(values.len())
        } else {
            values.len() - 1 - random.below(values.len().min(5))
        };
        if func.value_type(values[at]) == ty {
            return values[at];
        }
        if let Some(&value) = values.iter().find(|&&value| func.value_type(value) == ty)
            && random.below(4) == 0
        {
            return value;
        }
    };
    for _ in 0..2 + random.below(10) {
        let width = if random.below(2) == 0 { Width::W32 } else { Width::W64 };
        let ty = width.ty();
        let value = match random.below(10) {
            0 | 1 => {
                let unary = UNARY[random.below(UNARY.len())];
                let a = pick(random, &func, &values, ty);
                let result = if unary == Integer::Eqz { ValType::I32 } else { ty };
                func.append_value(entry, unary.operator(width), &[a], result)
            }
            2 => {
                let (operator, from, to) = [
                    (Operator::I32WrapI64, ValType::I64, ValType::I32),
                    (Operator::I64ExtendI32S, ValType::I32, ValType::I64),
                    (Operator::I64ExtendI32U, ValType::I32, ValType::I64),
                    (Operator::I64Extend32S, ValType::I64, ValType::I64),
                ][random.below(4)]
                .clone();
                let a = pick(random, &func, &values, from);
                func.append_value(entry, operator, &[a], to)
            }
            3 => {
                let a = pick(random, &func, &values, ty);
                let b = pick(random, &func, &values, ty);
                let condition = pick(random, &func, &values, ValType::I32);
                func.append_value(entry, Operator::Select, &[a, b, condition], ty)
            }
            kind => {
                let binary = BINARY[random.below(BINARY.len())];
                let mut operands = [pick(random, &func, &values, ty), pick(random, &func, &values, ty)];
                if kind < 8 {
                    let constant = width.wrap(random.interesting());
                    let constant = func.append_value(entry, width.constant(constant), &[], ty);
                    operands[usize::from(random.below(5) != 0)] = constant;
                }
                let opcode = Opcode::of(&binary.operator(width));
                let result = if opcode.is_boolean() { ValType::I32 } else { ty };
                func.append_value(entry, binary.operator(width), &operands, result)
            }
        };
        values.push(value);
    }
    let last = *values.last().unwrap();
    func.blocks[entry].terminator = Terminator::Return([last].into_iter().collect());
    func
}

#[test]
fn random_expressions_keep_their_value_and_their_traps() {
    let mut random = Random(0x1234_5678_9abc_def1);
    for round in 0..20_000 {
        let before = random_func(&mut random);
        let mut after = before.clone();
        let _ = simplify(&mut after, &Options::default());
        for _ in 0..12 {
            let mut number = || {
                if random.below(2) == 0 { random.interesting() } else { random.below(usize::MAX) as i64 }
            };
            let arguments = [
                Constant::I32(number() as i32),
                Constant::I32(number() as i32),
                Constant::I64(number()),
                Constant::I64(number()),
            ];
            // Removing what is unused may not remove a trap either, which dead code elimination sees to.
            assert_eq!(
                evaluate(&before, &arguments),
                evaluate(&after, &arguments),
                "round {round}, arguments {arguments:?}\n{:?}\n{:?}",
                names(&before),
                names(&after)
            );
        }
    }
}

#[test]
fn simplifying_twice_changes_nothing_more() {
    let mut random = Random(77);
    for _ in 0..500 {
        let mut func = random_func(&mut random);
        let _ = simplify(&mut func, &Options::default());
        let _ = simplify(&mut func, &Options::default());
        assert_eq!(simplify(&mut func, &Options::default()), Changed::No, "{:?}", names(&func));
    }
}

/// A function of these parameters that returns what `build` makes of them.
fn func_of(params: &[ValType], build: impl FnOnce(&mut Func, &[Value]) -> Vec<Value>) -> Func {
    let mut func = Func::new(TypeId::from_u32(0), params, &[]);
    let params = func.blocks[func.entry].params.clone();
    let results = build(&mut func, &params);
    func.blocks[func.entry].terminator = Terminator::Return(results.into_iter().collect());
    func
}

fn memarg() -> MemArg {
    MemArg { align: 0, max_align: 0, offset: 4, target: MemArgTarget::Memory(0), ordering: None }
}

#[test]
fn masks_before_narrow_stores_and_after_narrow_loads_go() {
    let mut func = func_of(&[ValType::I32, ValType::I32], |func, params| {
        let entry = func.entry;
        let mask = func.append_value(entry, Operator::I32Const { value: 0xff }, &[], ValType::I32);
        let masked = func.append_value(entry, Operator::I32And, &[params[1], mask], ValType::I32);
        func.append(entry, Operator::I32Store8 { memarg: memarg() }, &[params[0], masked], &[]);
        let loaded = func.append_value(entry, Operator::I32Load8U { memarg: memarg() }, &[params[0]], ValType::I32);
        vec![func.append_value(entry, Operator::I32And, &[loaded, mask], ValType::I32)]
    });
    let _ = simplify(&mut func, &Options::default());
    assert_eq!(names(&func), ["i32.store8", "i32.load8_u"]);
}

#[test]
fn a_load_is_not_made_narrower_unless_nothing_traps() {
    let build = || {
        func_of(&[ValType::I32], |func, params| {
            let entry = func.entry;
            let loaded = func.append_value(entry, Operator::I64Load { memarg: memarg() }, &[params[0]], ValType::I64);
            vec![func.append_value(entry, Operator::I32WrapI64, &[loaded], ValType::I32)]
        })
    };
    let mut func = build();
    let _ = simplify(&mut func, &Options::default());
    assert_eq!(names(&func), ["i64.load", "i32.wrap_i64"]);
    let mut func = build();
    let _ = simplify(&mut func, &Options { traps_never_happen: true, ..Options::default() });
    assert_eq!(names(&func), ["i32.load"]);
}

#[test]
fn a_load_that_has_another_user_stays_what_it_is() {
    let mut func = func_of(&[ValType::I32], |func, params| {
        let entry = func.entry;
        let loaded = func.append_value(entry, Operator::I32Load8U { memarg: memarg() }, &[params[0]], ValType::I32);
        vec![func.append_value(entry, Operator::I64ExtendI32U, &[loaded], ValType::I64), loaded]
    });
    let _ = simplify(&mut func, &Options::default());
    assert_eq!(names(&func), ["i32.load8_u", "i64.extend_i32_u"]);
}

#[test]
fn adding_zero_to_a_float_stays_because_of_signalling_nans() {
    for value in [0.0, -0.0] {
        let mut func = func_of(&[ValType::F32], |func, params| {
            let entry = func.entry;
            let zero = Constant::F32(f32::to_bits(value));
            let zero = func.append_value(entry, zero.operator(), &[], ValType::F32);
            vec![func.append_value(entry, Operator::F32Add, &[params[0], zero], ValType::F32)]
        });
        assert_eq!(simplify(&mut func, &Options::default()), Changed::No);
    }
}

#[test]
fn a_null_test_of_a_continuation_folds_by_its_type_and_casts_nothing() {
    use wasmfx_ir::wasmparser::{AbstractHeapType, HeapType, RefType};
    let heap = HeapType::Abstract { shared: false, ty: AbstractHeapType::Cont };
    for (nullable, expected) in [(false, vec!["i32.const"]), (true, vec!["ref.is_null"])] {
        let ty = ValType::Ref(RefType::new(nullable, heap).unwrap());
        let mut func = func_of(&[ty], |func, params| {
            let entry = func.entry;
            vec![func.append_value(entry, Operator::RefIsNull, &[params[0]], ValType::I32)]
        });
        let _ = simplify(&mut func, &Options::default());
        assert_eq!(names(&func), expected);
    }
}

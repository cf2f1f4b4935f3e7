//! The inputs: each with what becomes of it.

use super::binary::{body, code_section, custom, function, leb, module, section, string, types, vector};

/// What a tool has to do with an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It is valid, and goes through every tool.
    Accepted,
    /// Every tool refuses it, with these words in the message.
    Refused(&'static str),
}

use Expected::{Accepted, Refused};

/// An input.
pub struct Hostile {
    pub name: &'static str,
    pub expected: Expected,
    pub bytes: Vec<u8>,
}

fn hostile(name: &'static str, expected: Expected, bytes: impl Into<Vec<u8>>) -> Hostile {
    Hostile { name, expected, bytes: bytes.into() }
}

const MANY: usize = 100_000;
/// A count that no input of a test can have, but that a header can claim.
const ENORMOUS: u64 = 0xffff_ffff;

const NO_LOCALS: &[u8] = &[0];
const LOCAL_GET_0: [u8; 2] = [0x20, 0];

/// `before`, so many times, then the middle, then `after` as often.
fn nested(before: &[u8], middle: &[u8], after: &[u8], depth: usize) -> Vec<u8> {
    [before.repeat(depth), middle.to_vec(), after.repeat(depth)].concat()
}

/// Well-formed and valid, but large in one direction.
pub fn large() -> Vec<Hostile> {
    let mut inputs = vec![
        hostile("nested blocks", Accepted, nested_function(&[0x02, 0x40], &[0x0b])),
        hostile("nested loops", Accepted, nested_function(&[0x03, 0x40], &[0x0b])),
        hostile(
            "nested blocks with results",
            Accepted,
            nested_function(&[0x02, 0x7f, 0x41, 1, 0x1a], &[0x41, 0, 0x0b, 0x1a]),
        ),
        // -O2 is not linear in their depth yet.
        hostile("nested ifs", Accepted, {
            let code = nested(&[0x20, 0, 0x04, 0x40], &[], &[0x0b], MANY / 5);
            function(NO_LOCALS, &[code, LOCAL_GET_0.to_vec()].concat())
        }),
        hostile("nested ifs with else", Accepted, nested_function(&[0x20, 0, 0x04, 0x40, 0x01, 0x05], &[0x0b])),
        hostile("nested try_tables", Accepted, {
            // In a block, because the function's own label takes a result.
            let code = [&[0x02, 0x40][..], &[0x1f, 0x40, 1, 2, 0].repeat(MANY), &[0x0b].repeat(MANY + 1)].concat();
            function(NO_LOCALS, &[code, LOCAL_GET_0.to_vec()].concat())
        }),
        hostile("nested blocks with branches", Accepted, nested_function(&[0x02, 0x40], &[0x20, 0, 0x0d, 0, 0x0b])),
        hostile("nested loops that assign", Accepted, {
            let before = [0x03, 0x40, 0x20, 0, 0x41, 1, 0x6a, 0x21, 0];
            nested_function(&before, &[0x20, 0, 0x0d, 0, 0x0b])
        }),
        hostile("a deep expression", Accepted, {
            let code = nested(&[0x20, 0], &[], &[0x6a], 200_000);
            function(NO_LOCALS, &[&[0x41, 0], &code[..]].concat())
        }),
        hostile("a chain of a million bytes", Accepted, {
            let step = [&LOCAL_GET_0[..], &[0x41, 3, 0x6c, 0x41, 1, 0x6a, 0x22, 0, 0x1a]].concat();
            function(NO_LOCALS, &[step.repeat((1 << 20) / step.len()), LOCAL_GET_0.to_vec()].concat())
        }),
        hostile("a million bytes of calls", Accepted, {
            let step = [LOCAL_GET_0.to_vec(), vec![0x10, 0, 0x21, 0]].concat();
            function(NO_LOCALS, &[step.repeat((1 << 20) / step.len()), LOCAL_GET_0.to_vec()].concat())
        }),
        hostile("many locals, all used", Accepted, {
            let mut code = LOCAL_GET_0.to_vec();
            for local in 1..50_000 {
                code.extend([&[0x22][..], &leb(local), &[0x41, 1, 0x6a]].concat());
            }
            for local in 1..50_000 {
                code.extend([&[0x20][..], &leb(local), &[0x73]].concat());
            }
            function(&[&[1][..], &leb(49_999), &[0x7f]].concat(), &code)
        }),
        hostile("many declarations of locals", Accepted, {
            let declarations =
                [leb(49_999), [[1, 0x7f], [1, 0x7e]].concat().repeat(25_000)[..2 * 49_999].to_vec()].concat();
            function(&declarations, &LOCAL_GET_0)
        }),
        hostile("a table of branches to one label", Accepted, branch_table(60_000, 1)),
        hostile("a table of branches to many labels", Accepted, branch_table(60_000, 1_000)),
        hostile("many function types", Accepted, {
            let mut items = Vec::new();
            for number in 0..MANY {
                items.extend([
                    0x60,
                    4,
                    TYPE_CODES[number & 3],
                    TYPE_CODES[number >> 2 & 3],
                    TYPE_CODES[number >> 4 & 3],
                ]);
                items.extend([TYPE_CODES[number >> 6 & 3], 0]);
            }
            module(&[vector(1, MANY as u64, &items)])
        }),
        hostile("a large recursion group", Accepted, {
            // Each a struct that refers to the next one.
            let mut items = vec![0x4e];
            items.extend(leb(MANY as u64));
            for number in 0..MANY {
                items.extend([&[0x5f, 1, 0x63][..], &signed_leb(((number + 1) % MANY) as i64), &[1]].concat());
            }
            module(&[vector(1, 1, &items)])
        }),
        hostile("many recursion groups of continuation types", Accepted, {
            let mut items = Vec::new();
            for number in 0..MANY / 2 {
                let function = [&[0x60, 1, 0x63][..], &signed_leb(2 * number as i64 + 1), &[0]].concat();
                items.extend([&[0x4e, 2][..], &function, &[0x5d], &signed_leb(2 * number as i64)].concat());
            }
            module(&[vector(1, MANY as u64 / 2, &items)])
        }),
        hostile("a chain of subtypes", Accepted, subtype_chain(63)),
        hostile("a wide tree of subtypes", Accepted, {
            let mut items = vec![0x50, 0, 0x5f, 0];
            for _ in 0..MANY {
                items.extend([0x50, 1, 0, 0x5f, 0]);
            }
            module(&[vector(1, MANY as u64 + 1, &items)])
        }),
        hostile("a long constant expression", Accepted, {
            let sum = nested(&[0x41, 1], &[], &[0x6a], MANY);
            let global = [&[0x7f, 0, 0x41, 0][..], &sum, &[0x0b]].concat();
            module(&[vector(6, 1, &global)])
        }),
        hostile("a deep constant object", Accepted, {
            let value = [&[0xd0, 0x71][..], &[0xfb, 0, 0].repeat(MANY), &[0x0b]].concat();
            let types = vector(1, 1, &[0x5f, 1, 0x6e, 0]);
            module(&[types, vector(6, 1, &[&[0x6e, 0][..], &value].concat())])
        }),
        hostile("a chain of globals", Accepted, {
            let mut items = vec![0x7f, 0, 0x41, 1, 0x0b];
            for number in 1..MANY as u64 {
                items.extend([&[0x7f, 0, 0x23][..], &leb(number - 1), &[0x0b]].concat());
            }
            module(&[vector(6, MANY as u64, &items)])
        }),
        hostile("many functions", Accepted, circle_of_calls(MANY, &[])),
        hostile("a chain of functions that are called once", Accepted, {
            circle_of_calls(MANY / 20, &vector(7, 1, &[string(b"f"), vec![0, 0]].concat()))
        }),
        hostile("many exports of one function", Accepted, {
            let names: Vec<Vec<u8>> =
                (0..MANY).map(|number| [string(number.to_string().as_bytes()), vec![0, 0]].concat()).collect();
            module(&[
                types(),
                vector(3, 1, &[1]),
                vector(7, MANY as u64, &names.concat()),
                code_section(&[body(NO_LOCALS, &[])]),
            ])
        }),
        hostile("many imports that are the same", Accepted, {
            module(&[
                types(),
                vector(2, MANY as u64, &[&string(b"env")[..], &string(b"f"), &[0, 1]].concat().repeat(MANY)),
            ])
        }),
        hostile("many data and element segments", Accepted, {
            let elements = vector(9, MANY as u64, &[1, 0, 0].repeat(MANY));
            module(&[elements, vector(12, MANY as u64, &[]), vector(11, MANY as u64, &[1, 1, 7].repeat(MANY))])
        }),
        hostile("many custom sections", Accepted, module(&[custom(b"x", b"y").repeat(MANY)])),
        hostile("many handlers", Accepted, {
            // resume with ten thousand clauses for one tag, to one label.
            let types = vector(1, 3, &[0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 0, 0x5d, 1]);
            let handlers = [leb(10_000), [0, 0, 0].repeat(10_000)].concat();
            let code = [&[0x02, 0x63, 2, 0xd0, 2, 0xe3, 2][..], &handlers, &[0xd0, 2, 0x0b, 0x1a, 0x20, 0]].concat();
            module(&[types, vector(3, 1, &[0]), vector(13, 1, &[0, 1]), code_section(&[body(NO_LOCALS, &code)])])
        }),
        hostile("many calls under many handlers", Accepted, {
            let clauses = [leb(200), [0, 0, 0].repeat(200)].concat();
            let code = [&[0x1f, 0x40][..], &clauses, &[0x10, 0].repeat(5_000), &[0x0b]].concat();
            let bodies = [body(NO_LOCALS, &code)];
            module(&[types(), vector(3, 1, &[1]), vector(13, 1, &[0, 1]), code_section(&bodies)])
        }),
        hostile("names of everything, twice", Accepted, {
            let names = [
                leb(MANY as u64),
                (0..MANY as u64).map(|number| [leb(number), string(b"name")].concat()).collect::<Vec<_>>().concat(),
            ]
            .concat();
            let subsection = [vec![1], string(&names)].concat();
            module(&[custom(b"name", &[subsection.clone(), subsection].concat())])
        }),
    ];
    for (name, text) in large_text().into_iter().chain(super::suspending::large()) {
        inputs.push(hostile(name, Accepted, text));
    }
    inputs
}

const TYPE_CODES: [u8; 4] = [0x7f, 0x7e, 0x7d, 0x7c];

fn nested_function(before: &[u8], after: &[u8]) -> Vec<u8> {
    function(NO_LOCALS, &[nested(before, &[], after, MANY), LOCAL_GET_0.to_vec()].concat())
}

fn branch_table(entries: usize, labels: usize) -> Vec<u8> {
    let mut code = [0x02, 0x40].repeat(labels);
    code.extend([0x20, 0, 0x0e]);
    code.extend(leb(entries as u64));
    (0..entries).for_each(|entry| code.extend(leb((entry * 7 % labels) as u64)));
    code.push(0);
    for label in 0..labels {
        // After each label another constant, so that no two of them are the same.
        code.extend([&[0x0b, 0x41][..], &signed_leb(label as i64), &[0x21, 0]].concat());
    }
    code.extend(LOCAL_GET_0);
    function(NO_LOCALS, &code)
}

/// Functions of which each calls the next, and the last one the first.
fn circle_of_calls(count: usize, exports: &[u8]) -> Vec<u8> {
    let call = |number| body(NO_LOCALS, &[&LOCAL_GET_0[..], &[0x10], &leb((number + 1) % count as u64)].concat());
    let bodies: Vec<Vec<u8>> = (0..count as u64).map(call).collect();
    module(&[types(), vector(3, count as u64, &vec![0; count]), exports.to_vec(), code_section(&bodies)])
}

fn subtype_chain(depth: usize) -> Vec<u8> {
    let mut items = vec![0x50, 0, 0x5f, 0];
    for number in 1..=depth as u64 {
        items.extend([&[0x50, 1][..], &leb(number - 1), &[0x5f, 0]].concat());
    }
    module(&[vector(1, depth as u64 + 1, &items)])
}

fn signed_leb(mut value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        let done = (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0);
        bytes.push(if done { byte } else { byte | 0x80 });
        if done {
            return bytes;
        }
    }
}

fn large_text() -> Vec<(&'static str, String)> {
    vec![
        ("text: nested folded blocks", format!("(module (func {} {}))", "(block ".repeat(MANY), ")".repeat(MANY))),
        ("text: nested flat blocks", format!("(module (func {} {}))", "block ".repeat(MANY), "end ".repeat(MANY))),
        (
            "text: a deep folded expression",
            format!(
                "(module (func (param i32) (result i32) {} (local.get 0) {}))",
                "(i32.eqz ".repeat(MANY),
                ")".repeat(MANY)
            ),
        ),
        ("text: one line of a megabyte", format!("(module (func {}))", "nop ".repeat(1 << 18))),
        ("text: parameters of nested loops that are all one value", {
            const LOOPS: usize = 20_000;
            format!(
                "(module (import \"m\" \"c\" (func $c (result i32))) (func (param i32) (result i32) {} (local.set 0 (i32.or (local.get 0) (i32.const 0))) {} (local.get 0)))",
                "(loop ".repeat(LOOPS),
                "(br_if 0 (call $c)))".repeat(LOOPS)
            )
        }),
        ("text: many calls in a row that are inlined", {
            const CALLS: usize = 60_000;
            format!(
                "(module (func $add (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
                   (func (export \"f\") (param i32) (result i32) {} (local.get 0)))",
                "(local.set 0 (call $add (local.get 0)))".repeat(CALLS)
            )
        }),
        ("text: a switch between many branches", {
            const BRANCHES: usize = 20_000;
            let labels: String = (0..BRANCHES).map(|n| format!("{n} ")).collect();
            let blocks = "(block ".repeat(BRANCHES);
            let branches: String =
                (0..BRANCHES).map(|n| format!(") (br_if {} (local.get 0))", BRANCHES - 1 - n)).collect();
            format!(
                "(module (func (param i32) (block {blocks} (br_table {labels} {BRANCHES} (local.get 0)) {branches})))"
            )
        }),
        ("text: two tables of the same branches with a long chain of blocks between them", {
            const BRANCHES: usize = 50_000;
            let labels: String = (0..BRANCHES).map(|n| format!("{n} ")).collect();
            let branches: String = (0..=BRANCHES).map(|n| format!(") (call $f (i32.const {n})) (return)")).collect();
            format!(
                "(module (import \"m\" \"f\" (func $f (param i32))) (func (export \"h\") (param i32) {}
                   (block (br_table {labels} {BRANCHES} (local.get 0))) {}
                   (br_table {labels} {BRANCHES} (local.get 0)) {branches}))",
                "(block ".repeat(BRANCHES + 1),
                "(if (local.get 0) (then (call $f (i32.const 0))))".repeat(BRANCHES)
            )
        }),
        ("text: an array of many elements in one instruction", {
            const ELEMENTS: usize = 70_000;
            format!(
                "(module (type $a (array i32)) (func (result i32) {} (array.new_fixed $a {ELEMENTS}) (array.len)))",
                "(i32.const 0) ".repeat(ELEMENTS)
            )
        }),
        ("text: calls that hand on a thousand values", {
            format!(
                "(module (import \"m\" \"g\" (func $g (result {THOUSAND}))) (import \"m\" \"f\" (func $f (param {THOUSAND})))
                   (func (export \"h\") {}))",
                "call $g call $f ".repeat(30_000),
                THOUSAND = "i32 ".repeat(1_000)
            )
        }),
        ("text: branches that return a thousand values", {
            format!(
                "(module (func (export \"h\") (param i32) (result {}) {} {}))",
                "i32 ".repeat(1_000),
                "(i32.const 0) ".repeat(1_000),
                "local.get 0 br_if 0 ".repeat(30_000)
            )
        }),
        ("text: calls whose handlers receive a thousand values", {
            format!(
                "(module (import \"m\" \"g\" (func $g)) (tag $t (param {THOUSAND}))
                   (func (export \"h\") (result {THOUSAND}) try_table (catch $t 0) {} end unreachable))",
                "call $g ".repeat(10_000),
                THOUSAND = "i32 ".repeat(1_000)
            )
        }),
        ("text: many imports of one name", {
            let types = ["i32", "i64", "f32", "f64"];
            let import = |n: usize| {
                let params: String = (0..8).map(|digit| format!("{} ", types[n >> (2 * digit) & 3])).collect();
                format!("(import \"m\" \"f\" (func (param {params})))")
            };
            format!("(module {})", (0..50_000).map(import).collect::<String>())
        }),
        ("text: nested comments", format!("{} {} (module)", "(;".repeat(MANY), ";)".repeat(MANY))),
    ]
}

/// Not a module, or not a valid one.
pub fn refused() -> Vec<Hostile> {
    let malformed_length = |id: u8| module(&[vec![id], leb(ENORMOUS)].map(|bytes| bytes));
    let mut inputs = vec![
        hostile("nothing", Refused("is empty"), ""),
        hostile("a header cut off in the magic number", Refused("neither a WebAssembly binary"), *b"\0as"),
        hostile("a header without a version", Refused("unexpected end"), *b"\0asm"),
        hostile("a header with half a version", Refused("unexpected end"), *b"\0asm\x01\0"),
        hostile("a version of the future", Refused("version"), *b"\0asm\x02\0\0\0"),
        hostile("a component", Refused("is a component"), *b"\0asm\x0d\0\x01\0"),
        hostile("a component in text", Refused("is a component"), "(component (core module))"),
        hostile("machine code", Refused("neither a WebAssembly binary"), *b"\x7fELF\x02\x01\x01\xff"),
        hostile("prose", Refused("nor the text format"), "wasm, please"),
        hostile("text that is not UTF-8", Refused("not UTF-8"), *b"(module \xff)"),
        hostile("a section longer than the file", Refused("unexpected end"), malformed_length(1)),
        hostile("a custom section longer than the file", Refused("unexpected end"), malformed_length(0)),
        hostile("a section of an unknown kind", Refused("section"), module(&[section(99, &[])])),
        hostile("two type sections", Refused("out of order"), module(&[types(), types()])),
        hostile("sections out of order", Refused("out of order"), module(&[vector(3, 0, &[]), types()])),
        hostile("a section with bytes left over", Refused("section"), module(&[vector(1, 1, &[0x60, 0, 0, 0])])),
        hostile("functions without code", Refused("section is absent"), module(&[types(), vector(3, 1, &[1])])),
        hostile(
            "code without functions",
            Refused("section is absent"),
            module(&[code_section(&[body(NO_LOCALS, &[])])]),
        ),
        hostile("an import's name that is not UTF-8", Refused("UTF-8"), {
            module(&[types(), vector(2, 1, &[&string(b"\xff\xfe")[..], &string(b"f"), &[0, 1]].concat())])
        }),
        hostile("a custom section's name that is not UTF-8", Refused("UTF-8"), module(&[custom(b"\xc3", &[])])),
        hostile("two exports of one name", Refused("duplicate export"), {
            let exports = vector(7, 2, &[string(b"f"), vec![0, 0]].concat().repeat(2));
            module(&[types(), vector(3, 1, &[1]), exports, code_section(&[body(NO_LOCALS, &[])])])
        }),
        hostile("an index out of bounds", Refused("unknown function"), function(NO_LOCALS, &[0x20, 0, 0x10, 5])),
        hostile("a body that ends early", Refused("end"), {
            let bodies = vector(10, 1, &string(&[0, 0x20, 0]));
            module(&[types(), vector(3, 1, &[0]), bodies])
        }),
        hostile("an opcode that does not exist", Refused("illegal opcode"), function(NO_LOCALS, &[0xff])),
        hostile("an overlong number", Refused("integer"), {
            module(&[section(1, &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0])])
        }),
        hostile(
            "too many locals",
            Refused("too many locals"),
            function(&[&[1][..], &leb(50_001), &[0x7f]].concat(), &[]),
        ),
        hostile("an enormous count of locals", Refused("too many locals"), {
            function(&[&[2][..], &leb(ENORMOUS), &[0x7f], &leb(ENORMOUS), &[0x7e]].concat(), &[])
        }),
        hostile("an enormous count of declarations", Refused(""), function(&leb(ENORMOUS), &[])),
        hostile("an enormous table of branches", Refused("br_table"), {
            function(NO_LOCALS, &[&LOCAL_GET_0[..], &[0x0e], &leb(ENORMOUS)].concat())
        }),
        hostile("an enormous table of handlers", Refused(""), {
            function(NO_LOCALS, &[&[0xd0, 0x6e, 0xe3, 0][..], &leb(ENORMOUS)].concat())
        }),
        hostile(
            "an enormous try_table",
            Refused(""),
            function(NO_LOCALS, &[&[0x1f, 0x40][..], &leb(ENORMOUS)].concat()),
        ),
        hostile(
            "an enormous recursion group",
            Refused(""),
            module(&[vector(1, 1, &[&[0x4e][..], &leb(ENORMOUS)].concat())]),
        ),
        hostile("an enormous struct", Refused(""), module(&[vector(1, 1, &[&[0x5f][..], &leb(ENORMOUS)].concat())])),
        hostile("an enormous signature", Refused(""), module(&[vector(1, 1, &[&[0x60][..], &leb(ENORMOUS)].concat())])),
        hostile("a subtype chain that is too long", Refused("sub type hierarchy too deep"), subtype_chain(64)),
        hostile(
            "an enormous memory",
            Refused("memory size"),
            module(&[vector(5, 1, &[&[0][..], &leb(ENORMOUS)].concat())]),
        ),
        hostile("an enormous data segment", Refused("unexpected end"), {
            module(&[vector(5, 1, &[0, 1]), vector(11, 1, &[&[1][..], &leb(ENORMOUS)].concat())])
        }),
        hostile("a resume at a type that is no continuation type", Refused("continuation"), {
            function(NO_LOCALS, &[0xd0, 0x70, 0xe3, 0, 0])
        }),
        hostile("a cast of a continuation", Refused("cast"), {
            "(module (type $f (func)) (type $k (cont $f)) (func (drop (ref.cast (ref $k) (ref.null $k)))))"
        }),
        hostile("text: parentheses", Refused("nor the text format (it"), "x".repeat(MANY)),
        hostile("text: open parentheses", Refused(""), "(".repeat(MANY)),
        hostile("text: open parentheses in a module", Refused(""), format!("(module {}", "(".repeat(MANY))),
        hostile("text: open parentheses in a function", Refused(""), format!("(module (func {}", "(".repeat(MANY))),
        hostile(
            "text: folded blocks that nobody closes",
            Refused(""),
            format!("(module (func {}", "(block ".repeat(MANY)),
        ),
        hostile("text: annotations", Refused(""), format!("(module {}", "(@a ".repeat(MANY))),
        hostile("text: comments that nobody closes", Refused(""), format!("(module {}", "(;".repeat(MANY))),
        hostile(
            "text: a string that nobody closes",
            Refused(""),
            format!("(module (func (export \"{}", "x".repeat(MANY)),
        ),
        hostile(
            "text: references to references",
            Refused(""),
            format!("(module (func (param {}", "(ref ".repeat(MANY)),
        ),
        hostile(
            "text: a number of many digits",
            Refused(""),
            format!("(module (func (i32.const {}) drop))", "9".repeat(MANY)),
        ),
        hostile("text: an unknown instruction", Refused(""), "(module (func i32.plus))"),
    ];
    for (name, id) in [
        ("an enormous type section", 1),
        ("an enormous import section", 2),
        ("an enormous function section", 3),
        ("an enormous table section", 4),
        ("an enormous memory section", 5),
        ("an enormous global section", 6),
        ("an enormous export section", 7),
        ("an enormous element section", 9),
        ("an enormous code section", 10),
        ("an enormous data section", 11),
        ("an enormous data count", 12),
        ("an enormous tag section", 13),
    ] {
        inputs.push(hostile(name, Refused(""), module(&[vector(id, ENORMOUS, &[])])));
    }
    inputs
}

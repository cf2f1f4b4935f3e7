//! Binary modules written byte by byte, so that they can be as large and as wrong as wanted.

/// A module: its header and what follows.
pub fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    [b"\0asm\x01\0\0\0".to_vec(), sections.concat()].concat()
}

/// A section with its size.
pub fn section(id: u8, contents: &[u8]) -> Vec<u8> {
    [vec![id], leb(contents.len() as u64), contents.to_vec()].concat()
}

/// A section that holds a vector.
pub fn vector(id: u8, count: u64, items: &[u8]) -> Vec<u8> {
    section(id, &[leb(count), items.to_vec()].concat())
}

/// A custom section.
pub fn custom(name: &[u8], contents: &[u8]) -> Vec<u8> {
    section(0, &[string(name), contents.to_vec()].concat())
}

/// Bytes with their length before them.
pub fn string(bytes: &[u8]) -> Vec<u8> {
    [leb(bytes.len() as u64), bytes.to_vec()].concat()
}

/// An unsigned LEB128 number.
pub fn leb(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        bytes.push(if value == 0 { byte } else { byte | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

/// `[i32] -> [i32]` as type 0, `[] -> []` as type 1.
pub fn types() -> Vec<u8> {
    vector(1, 2, &[0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 0])
}

/// A module with one function of type 0, which is exported as `f`. `locals` are its declarations, `code` is all but the last `end`.
pub fn function(locals: &[u8], code: &[u8]) -> Vec<u8> {
    let exports = vector(7, 1, &[string(b"f"), vec![0, 0]].concat());
    module(&[types(), vector(3, 1, &[0]), exports, code_section(&[body(locals, code)])])
}

/// A function's body with its size.
pub fn body(locals: &[u8], code: &[u8]) -> Vec<u8> {
    string(&[locals, code, &[0x0b]].concat())
}

/// A code section.
pub fn code_section(bodies: &[Vec<u8>]) -> Vec<u8> {
    vector(10, bodies.len() as u64, &bodies.concat())
}

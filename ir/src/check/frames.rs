//! The nesting of emitted code.

use crate::emit::{CodeItem, EmittedBody};

/// The number of a frame; 0 is the function itself.
pub(super) type FrameId = usize;

/// What opened a frame.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Function,
    Block,
    Loop,
    If,
    Try(u32),
}

/// A construct that labels refer to.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub kind: FrameKind,
    pub parent: FrameId,
    /// Where the instruction is that opens it.
    pub start: usize,
    /// Where its `else` is, if it has one.
    pub or_else: Option<usize>,
    /// Where its `end` is; one past the code for the function.
    pub end: usize,
    pub params: usize,
    pub results: usize,
    /// Whether something branches to it.
    pub is_target: bool,
    /// The innermost `try_table` around its code (or itself), or 0.
    pub try_table: FrameId,
}

impl Frame {
    /// How many values a branch to the frame's label carries.
    pub(super) fn label_arity(&self) -> usize {
        if self.kind == FrameKind::Loop { self.params } else { self.results }
    }
}

/// All frames of a body.
pub(super) struct Frames {
    pub frames: Vec<Frame>,
    /// The frame that is opened or closed at a position, or that a `br` or `br_if` there leads to.
    at: Vec<FrameId>,
}

impl Frames {
    /// Reads the nesting; `Err` says where it is broken.
    pub(super) fn new(body: &EmittedBody, result_count: usize) -> Result<Self, (usize, String)> {
        let function = Frame {
            kind: FrameKind::Function,
            parent: 0,
            start: 0,
            or_else: None,
            end: body.code.len(),
            params: 0,
            results: result_count,
            is_target: true,
            try_table: 0,
        };
        let mut this = Self { frames: vec![function], at: vec![0; body.code.len()] };
        let mut open: Vec<FrameId> = vec![0];
        for (position, item) in body.code.iter().enumerate() {
            let (kind, ty) = match *item {
                CodeItem::Block(ty) => (FrameKind::Block, ty),
                CodeItem::Loop(ty) => (FrameKind::Loop, ty),
                CodeItem::If(ty) => (FrameKind::If, ty),
                CodeItem::TryTable(number) => (FrameKind::Try(number), body.try_tables[number as usize].ty),
                CodeItem::Else | CodeItem::End => {
                    let Some(&frame) = open.last().filter(|&&frame| frame != 0) else {
                        return Err((position, "nothing is open that this could belong to".into()));
                    };
                    this.at[position] = frame;
                    if *item == CodeItem::End {
                        this.frames[frame].end = position;
                        open.pop();
                    } else {
                        this.frames[frame].or_else = Some(position);
                    }
                    continue;
                }
                _ => {
                    for &label in labels_of(body, item) {
                        let Some(target) = this.mark_target(&open, label) else {
                            return Err((position, "a label is out of range".into()));
                        };
                        this.at[position] = target;
                    }
                    continue;
                }
            };
            let parent = *open.last().expect("the function is never closed");
            let frame = this.frames.len();
            let block_type = &body.block_types[ty.0 as usize];
            this.frames.push(Frame {
                kind,
                parent,
                start: position,
                or_else: None,
                end: 0,
                params: block_type.params.len(),
                results: block_type.results.len(),
                is_target: false,
                try_table: if let FrameKind::Try(_) = kind { frame } else { this.frames[parent].try_table },
            });
            this.at[position] = frame;
            if let CodeItem::TryTable(number) = *item {
                // Labels of clauses are counted from outside.
                for catch in &body.try_tables[number as usize].catches {
                    if this.mark_target(&open, label_of(catch)).is_none() {
                        return Err((position, "the label of a clause is out of range".into()));
                    }
                }
            }
            open.push(frame);
        }
        if open.len() == 1 { Ok(this) } else { Err((body.code.len(), "a frame is not closed".into())) }
    }

    /// Marks the frame that a label means as one that something leads to, and returns it if there is such a frame. `open` has the frames around.
    fn mark_target(&mut self, open: &[FrameId], label: u32) -> Option<FrameId> {
        let target = open[open.len().checked_sub(1 + label as usize)?];
        self.frames[target].is_target = true;
        Some(target)
    }

    /// The frame that opens or closes at a position, or that a `br` or `br_if` there leads to.
    pub(super) fn at(&self, position: usize) -> FrameId {
        self.at[position]
    }

    /// The frame that a relative depth means within `frame`.
    pub(super) fn label(&self, mut frame: FrameId, depth: u32) -> FrameId {
        for _ in 0..depth {
            frame = self.frames[frame].parent;
        }
        frame
    }
}

/// The labels of a branch, or of an instruction that has some.
fn labels_of<'a>(body: &'a EmittedBody, item: &'a CodeItem) -> &'a [u32] {
    match item {
        CodeItem::Br(label) | CodeItem::BrIf(label) => std::slice::from_ref(label),
        CodeItem::BrTable(number) => &body.branch_tables[*number as usize],
        CodeItem::Labelled(number) => &body.labelled[*number as usize].labels,
        _ => &[],
    }
}

/// The label of a clause.
pub(super) fn label_of(catch: &wasmparser::Catch) -> u32 {
    match *catch {
        wasmparser::Catch::One { label, .. }
        | wasmparser::Catch::OneRef { label, .. }
        | wasmparser::Catch::All { label }
        | wasmparser::Catch::AllRef { label } => label,
    }
}

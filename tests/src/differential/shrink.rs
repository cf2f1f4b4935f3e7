//! Making a failing program small: edits of the tree, each kept if the program still fails.
//!
//! An edit may leave something invalid (a branch without its label, a local read before it is set); the predicate must answer
//! no for such a program, as it does if it first validates the module. Termination needs no care: see [`crate::generate::program`].

use wasm_encoder::Instruction;

use crate::generate::program::{Node, Op, Program, ValueType};

/// The smallest program that this finds for which `fails` holds; it holds for `program`. Tries at most `attempts` edits.
pub fn shrink(program: &Program, attempts: usize, fails: &mut dyn FnMut(&Program) -> bool) -> Program {
    let mut shrinker = Shrinker { best: program.clone(), attempts, fails };
    loop {
        let before = (shrinker.best.size(), shrinker.best.invocations.len());
        shrinker.round();
        let after = (shrinker.best.size(), shrinker.best.invocations.len());
        if before == after || shrinker.attempts == 0 {
            return shrinker.best;
        }
    }
}

struct Shrinker<'a> {
    best: Program,
    attempts: usize,
    fails: &'a mut dyn FnMut(&Program) -> bool,
}

impl Shrinker<'_> {
    /// Keeps the candidate if it still fails.
    fn offer(&mut self, candidate: Program) -> bool {
        if self.attempts == 0 {
            return false;
        }
        self.attempts -= 1;
        let kept = (self.fails)(&candidate);
        if kept {
            self.best = candidate;
        }
        kept
    }

    fn round(&mut self) {
        self.shrink_invocations();
        for segment in 0..self.best.segments.len() {
            for item in 0..self.best.segments[segment].items.len() {
                if self.best.segments[segment].items[item].is_some() {
                    let mut candidate = self.best.clone();
                    candidate.segments[segment].items[item] = None;
                    self.offer(candidate);
                }
            }
        }
        let functions = self.best.functions.len();
        for function in (0..functions).rev() {
            let results = self.best.signature(self.best.functions[function].ty).results.clone();
            if self.best.functions[function].body.iter().all(|node| matches!(node.op, Op::Default)) {
                continue;
            }
            let mut candidate = self.best.clone();
            candidate.functions[function].body = vec![Node::default_of(results)];
            self.offer(candidate);
        }
        for function in 0..functions {
            self.remove_statements(function);
            self.simplify_nodes(function);
        }
    }

    fn shrink_invocations(&mut self) {
        for index in (0..self.best.invocations.len()).rev() {
            let mut candidate = self.best.clone();
            candidate.invocations.remove(index);
            self.offer(candidate);
        }
        if self.best.start.is_some() {
            let mut candidate = self.best.clone();
            candidate.start = None;
            self.offer(candidate);
        }
        // What nothing calls from outside need not be exported.
        for function in 0..self.best.functions.len() {
            let called = self.best.invocations.iter().any(|invocation| invocation.function == function as u32);
            if self.best.functions[function].exported && !called {
                let mut candidate = self.best.clone();
                candidate.functions[function].exported = false;
                self.offer(candidate);
            }
        }
        for global in 0..self.best.globals.len() {
            if self.best.globals[global].exported {
                let mut candidate = self.best.clone();
                candidate.globals[global].exported = false;
                self.offer(candidate);
            }
        }
    }

    /// Removes runs of statements, long ones first.
    fn remove_statements(&mut self, function: usize) {
        let mut list = 0;
        loop {
            let Some(length) = list_at(&mut self.best.functions[function].body, list).map(|nodes| nodes.len()) else {
                return;
            };
            let mut run = length.max(1);
            while run > 0 {
                let mut start = 0;
                loop {
                    let mut candidate = self.best.clone();
                    let Some(nodes) = list_at(&mut candidate.functions[function].body, list) else {
                        break;
                    };
                    let end = (start + run).min(nodes.len());
                    if start >= end {
                        break;
                    }
                    let removable = nodes[start..end].iter().any(|node| node.results.is_empty());
                    let mut position = 0;
                    nodes.retain(|node| {
                        let inside = (start..end).contains(&position);
                        position += 1;
                        !(inside && node.results.is_empty())
                    });
                    if !removable || !self.offer(candidate) {
                        start += run;
                    }
                }
                run /= 2;
            }
            list += 1;
        }
    }

    /// Tries to put something simpler in the place of each node.
    fn simplify_nodes(&mut self, function: usize) {
        let mut index = 0;
        loop {
            let Some(node) = node_at(&mut self.best.functions[function].body, index).cloned() else {
                return;
            };
            for simpler in simpler_nodes(&node) {
                let mut candidate = self.best.clone();
                let place = node_at(&mut candidate.functions[function].body, index).expect("the tree is a copy");
                *place = simpler;
                tidy(&mut candidate.functions[function].body);
                if self.offer(candidate) {
                    // The node that is now here comes next.
                    index = index.wrapping_sub(1);
                    break;
                }
            }
            index = index.wrapping_add(1);
        }
    }
}

/// Replacements for a node, boldest first. Each has the same results.
fn simpler_nodes(node: &Node) -> Vec<Node> {
    let mut simpler = vec![];
    let sequence = |nodes: Vec<Node>| Node::control(Op::Sequence, node.results.clone(), vec![], vec![nodes]);
    let operands_for_effects = || -> Vec<Node> {
        let effects = node.inputs.iter().filter(|input| !is_pure(input));
        let statement = |input: &Node| Op::Assign(vec![None; input.results.len()]);
        effects.map(|input| Node::statement(statement(input), vec![input.clone()])).collect()
    };
    let simple_constant = matches!(
        node.op,
        Op::Plain(
            Instruction::I32Const(_) | Instruction::I64Const(_) | Instruction::F32Const(_) | Instruction::F64Const(_)
        )
    );
    if !matches!(node.op, Op::Default) && !simple_constant {
        simpler.push(Node::default_of(node.results.clone()));
    }
    if let Op::Plain(Instruction::I32Const(value)) = node.op
        && value != 0
        && value != 1
    {
        simpler.push(Node::i32(1));
    }
    for input in &node.inputs {
        if input.results == node.results {
            simpler.push(input.clone());
        }
    }
    // A default for the result.
    if !node.inputs.is_empty() && !matches!(node.op, Op::Assign(_)) {
        let mut nodes = operands_for_effects();
        if !nodes.is_empty() {
            nodes.push(Node::default_of(node.results.clone()));
            simpler.push(sequence(nodes));
        }
    }
    if matches!(node.op, Op::Block(_) | Op::If | Op::Landing(..) | Op::TryTable(_) | Op::Loop(..)) {
        for body in &node.bodies {
            if !matches!(node.op, Op::Landing(..)) || node.results.is_empty() {
                let mut nodes = operands_for_effects();
                nodes.extend(body.iter().cloned());
                simpler.push(sequence(nodes));
            }
        }
    }
    let mut with_op = |op| simpler.push(Node { op, ..node.clone() });
    match &node.op {
        Op::Resume(ty, handlers) => {
            without_each(handlers, |handlers| with_op(Op::Resume(*ty, handlers)));
        }
        Op::ResumeThrow(ty, tag, handlers) => {
            without_each(handlers, |handlers| with_op(Op::ResumeThrow(*ty, *tag, handlers)));
        }
        Op::ResumeThrowReference(ty, handlers) => {
            without_each(handlers, |handlers| with_op(Op::ResumeThrowReference(*ty, handlers)));
        }
        Op::TryTable(clauses) => without_each(clauses, |clauses| with_op(Op::TryTable(clauses))),
        Op::BrTable(labels, default) => without_each(labels, |labels| with_op(Op::BrTable(labels, *default))),
        Op::CallReference(_) | Op::CallIndirect(..) => {
            if let Some(Node { op: Op::RefFunc(function), .. }) = node.inputs.last() {
                let mut direct = Node { op: Op::Call(*function), ..node.clone() };
                direct.inputs.pop();
                simpler.push(direct);
            }
        }
        Op::TakeLocal(local) => with_op(Op::LocalGet(*local)),
        Op::Assign(destinations) => {
            for (index, destination) in destinations.iter().enumerate() {
                if destination.is_some() {
                    let mut destinations = destinations.clone();
                    destinations[index] = None;
                    with_op(Op::Assign(destinations));
                }
            }
        }
        _ => {}
    }
    simpler
}

fn without_each<T: Clone>(items: &[T], mut offer: impl FnMut(Vec<T>)) {
    for index in 0..items.len() {
        let mut fewer = items.to_vec();
        fewer.remove(index);
        offer(fewer);
    }
}

/// Whether dropping the node changes nothing else.
fn is_pure(node: &Node) -> bool {
    let constant = match &node.op {
        Op::Default | Op::LocalGet(_) | Op::GlobalGet(_) | Op::RefNull(_) | Op::RefFunc(_) => true,
        Op::Plain(instruction) => matches!(
            instruction,
            Instruction::I32Const(_)
                | Instruction::I64Const(_)
                | Instruction::F32Const(_)
                | Instruction::F64Const(_)
                | Instruction::V128Const(_)
        ),
        _ => false,
    };
    constant && node.results.iter().all(|ty| matches!(ty, ValueType::Reference(_)) || constant)
}

/// Removes empty nodes, and splices sequences into the lists that they stand in.
fn tidy(nodes: &mut Vec<Node>) {
    let mut tidied = Vec::with_capacity(nodes.len());
    for mut node in nodes.drain(..) {
        node.inputs.iter_mut().for_each(|input| {
            let mut list = vec![std::mem::replace(input, Node::default_of(vec![]))];
            tidy_children(&mut list[0]);
            *input = list.remove(0);
        });
        tidy_children(&mut node);
        match node.op {
            Op::Default if node.results.is_empty() => {}
            Op::Sequence => tidied.append(&mut node.bodies[0]),
            _ => tidied.push(node),
        }
    }
    *nodes = tidied;
}

fn tidy_children(node: &mut Node) {
    node.inputs.iter_mut().for_each(tidy_children);
    node.bodies.iter_mut().for_each(tidy);
}

/// The node at a position in preorder.
fn node_at(nodes: &mut [Node], index: usize) -> Option<&mut Node> {
    fn find<'a>(nodes: &'a mut [Node], left: &mut usize) -> Option<&'a mut Node> {
        for node in nodes {
            if *left == 0 {
                return Some(node);
            }
            *left -= 1;
            let Node { inputs, bodies, .. } = node;
            if let Some(found) = find(inputs, left) {
                return Some(found);
            }
            for body in bodies {
                if let Some(found) = find(body, left) {
                    return Some(found);
                }
            }
        }
        None
    }
    let mut left = index;
    find(nodes, &mut left)
}

/// The list of nodes (a body) at a position in preorder; the function's own body is the first.
fn list_at(body: &mut Vec<Node>, index: usize) -> Option<&mut Vec<Node>> {
    fn find<'a>(list: &'a mut Vec<Node>, left: &mut usize) -> Option<&'a mut Vec<Node>> {
        if *left == 0 {
            return Some(list);
        }
        *left -= 1;
        list.iter_mut().find_map(|node| inside(node, left))
    }
    fn inside<'a>(node: &'a mut Node, left: &mut usize) -> Option<&'a mut Vec<Node>> {
        let Node { inputs, bodies, .. } = node;
        if let Some(found) = inputs.iter_mut().find_map(|input| inside(input, left)) {
            return Some(found);
        }
        bodies.iter_mut().find_map(|body| find(body, left))
    }
    let mut left = index;
    find(body, &mut left)
}

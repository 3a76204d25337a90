//! The constraints as a graph in which no sum or product is there twice, and as Yul.
//!
//! A node of several readers gets a word of memory; others are written where they are read. `mulmod` and `addmod`
//! reduce operands of any size, so sums are left unreduced while they fit in a word: each node knows a bound `b`, with
//! its value at most `b·r`, and `5·r` is below `2^256`.

use std::collections::HashMap;
use std::fmt::Write as _;

use ff::{Field, PrimeField};
use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;

use crate::yul::{Memory, Slot, hex_word};

/// Most times r that a word holds.
const MOST: u32 = 5;
/// Depth of the stack above which a node gets a word of memory: the machine reaches 16 entries, of which the contract's
/// own variables take some.
const DEPTH: usize = 8;

/// A node, by its place in the graph.
pub(crate) type Id = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Node {
    Constant([u8; 32]),
    /// A word of calldata below r, at this place.
    Calldata(usize),
    /// A word of memory below r.
    Memory(Slot),
    Negated(Id),
    Sum(Id, Id),
    Product(Id, Id),
}

/// Sums and products of words.
#[derive(Debug, Default)]
pub(crate) struct Expressions {
    nodes: Vec<Node>,
    known: HashMap<Node, Id>,
}

/// What the leaves of a circuit's expressions are.
pub(crate) struct Leaves<'l> {
    /// By column and rotation; none where the circuit does not open it.
    pub(crate) fixed: &'l dyn Fn(usize, i32) -> Option<Id>,
    pub(crate) advice: &'l dyn Fn(usize, i32) -> Option<Id>,
    pub(crate) instance: &'l dyn Fn(usize, i32) -> Option<Id>,
    pub(crate) challenge: &'l dyn Fn(usize) -> Id,
}

impl Expressions {
    fn node(&mut self, node: Node) -> Id {
        if let Some(id) = self.known.get(&node) {
            return *id;
        }
        let id = self.nodes.len();
        self.nodes.push(node);
        self.known.insert(node, id);
        id
    }

    pub(crate) fn constant(&mut self, value: Fr) -> Id {
        self.node(Node::Constant(value.to_repr()))
    }

    pub(crate) fn calldata(&mut self, at: usize) -> Id {
        self.node(Node::Calldata(at))
    }

    pub(crate) fn memory(&mut self, slot: Slot) -> Id {
        self.node(Node::Memory(slot))
    }

    fn value(&self, id: Id) -> Option<Fr> {
        match self.nodes[id] {
            Node::Constant(repr) => Fr::from_repr(repr).into(),
            Node::Calldata(_) | Node::Memory(_) | Node::Negated(_) | Node::Sum(..) | Node::Product(..) => None,
        }
    }

    pub(crate) fn negated(&mut self, of: Id) -> Id {
        if let Some(value) = self.value(of) {
            return self.constant(-value);
        }
        match self.nodes[of] {
            Node::Negated(inner) => inner,
            Node::Constant(_) | Node::Calldata(_) | Node::Memory(_) | Node::Sum(..) | Node::Product(..) => {
                self.node(Node::Negated(of))
            }
        }
    }

    pub(crate) fn sum(&mut self, a: Id, b: Id) -> Id {
        match (self.value(a), self.value(b)) {
            (Some(a), Some(b)) => self.constant(a + b),
            (Some(Fr::ZERO), None) => b,
            (None, Some(Fr::ZERO)) => a,
            _ => self.node(Node::Sum(a.min(b), a.max(b))),
        }
    }

    pub(crate) fn product(&mut self, a: Id, b: Id) -> Id {
        match (self.value(a), self.value(b)) {
            (Some(a), Some(b)) => self.constant(a * b),
            (Some(scalar), None) => self.scaled(b, scalar),
            (None, Some(scalar)) => self.scaled(a, scalar),
            (None, None) => match (self.nodes[a], self.nodes[b]) {
                // A sign is outermost, so that what differs by it is there once.
                (Node::Negated(inner), _) => {
                    let product = self.product(inner, b);
                    self.negated(product)
                }
                (_, Node::Negated(inner)) => {
                    let product = self.product(a, inner);
                    self.negated(product)
                }
                _ => self.node(Node::Product(a.min(b), a.max(b))),
            },
        }
    }

    pub(crate) fn scaled(&mut self, of: Id, scalar: Fr) -> Id {
        if let Some(value) = self.value(of) {
            return self.constant(value * scalar);
        }
        if scalar == Fr::ZERO {
            return self.constant(Fr::ZERO);
        }
        if scalar == Fr::ONE {
            return of;
        }
        // Of a constant and its opposite one is short.
        if bytes(-scalar) < bytes(scalar) {
            let product = self.scaled(of, -scalar);
            return self.negated(product);
        }
        let scalar = self.constant(scalar);
        self.node(Node::Product(of.min(scalar), of.max(scalar)))
    }

    /// An expression of a circuit.
    pub(crate) fn circuit(&mut self, expression: &Expression<Fr>, leaves: &Leaves<'_>) -> Option<Id> {
        Some(match expression {
            Expression::Constant(value) => self.constant(*value),
            // There are none after key generation.
            Expression::Selector(_) => return None,
            Expression::Fixed(query) => (leaves.fixed)(query.column_index(), query.rotation().0)?,
            Expression::Advice(query) => (leaves.advice)(query.column_index(), query.rotation().0)?,
            Expression::Instance(query) => (leaves.instance)(query.column_index(), query.rotation().0)?,
            Expression::Challenge(challenge) => (leaves.challenge)(challenge.index()),
            Expression::Negated(of) => {
                let of = self.circuit(of, leaves)?;
                self.negated(of)
            }
            Expression::Sum(a, b) => {
                let (a, b) = (self.circuit(a, leaves)?, self.circuit(b, leaves)?);
                self.sum(a, b)
            }
            Expression::Product(a, b) => {
                let (a, b) = (self.circuit(a, leaves)?, self.circuit(b, leaves)?);
                self.product(a, b)
            }
            Expression::Scaled(of, scalar) => {
                let of = self.circuit(of, leaves)?;
                self.scaled(of, *scalar)
            }
        })
    }

    /// Statements that leave `Σ y^(count − 1 − i)·roots[i]` in the variable `h`, as a value of at most `5·r`; `y` and
    /// `r` are variables.
    pub(crate) fn combined(&self, roots: &[Id], memory: &mut Memory) -> String {
        let mut writer = Writer::new(self, roots, memory);
        for (index, root) in roots.iter().enumerate() {
            let Written { text, bound, .. } = writer.operand(*root, MOST - 1);
            debug_assert!(bound < MOST);
            let _ = match index {
                0 => writeln!(writer.text, "h := {text}"),
                _ => writeln!(writer.text, "h := add(mulmod(h, y, r), {text})"),
            };
        }
        writer.text
    }
}

/// Bytes of a constant's shortest form.
fn bytes(value: Fr) -> usize {
    let repr = value.to_repr();
    32 - repr.iter().rev().take_while(|byte| **byte == 0).count()
}

/// A node as Yul: its value is at most `bound·r`.
#[derive(Clone)]
struct Written {
    text: String,
    bound: u32,
    /// Entries of the stack that its evaluation takes.
    depth: usize,
}

struct Writer<'e, 'm> {
    of: &'e Expressions,
    readers: Vec<u32>,
    slots: HashMap<Id, (Slot, u32)>,
    memory: &'m mut Memory,
    text: String,
}

impl<'e, 'm> Writer<'e, 'm> {
    fn new(of: &'e Expressions, roots: &[Id], memory: &'m mut Memory) -> Self {
        let mut writer =
            Self { of, readers: vec![0; of.nodes.len()], slots: HashMap::new(), memory, text: String::new() };
        roots.iter().for_each(|root| writer.count(*root));
        writer
    }

    fn count(&mut self, id: Id) {
        self.readers[id] += 1;
        if self.readers[id] > 1 {
            return;
        }
        match self.of.nodes[id] {
            Node::Constant(_) | Node::Calldata(_) | Node::Memory(_) => {}
            Node::Negated(of) => self.count(of),
            Node::Sum(a, b) | Node::Product(a, b) => {
                self.count(a);
                self.count(b);
            }
        }
    }

    /// A node whose bound is at most `most`: reduced where it is above.
    fn operand(&mut self, id: Id, most: u32) -> Written {
        let written = self.node(id);
        if written.bound <= most {
            return written;
        }
        Written { text: format!("mod({}, r)", written.text), bound: 1, depth: written.depth + 1 }
    }

    fn node(&mut self, id: Id) -> Written {
        if let Some((slot, bound)) = self.slots.get(&id) {
            return Written { text: format!("mload({slot})"), bound: *bound, depth: 1 };
        }
        let leaf = |text: String| Written { text, bound: 1, depth: 1 };
        let written = match self.of.nodes[id] {
            Node::Constant(repr) => {
                let value = Fr::from_repr(repr).unwrap_or(Fr::ZERO);
                if bytes(-value) + 2 < bytes(value) {
                    Written { text: format!("sub(r, {})", hex_word(-value)), bound: 1, depth: 2 }
                } else {
                    let own = leaf(hex_word(value));
                    // A short one is shorter than the place of a word.
                    if bytes(value) < 5 {
                        return own;
                    }
                    own
                }
            }
            Node::Calldata(at) => return leaf(format!("calldataload({at:#x})")),
            Node::Memory(slot) => return leaf(format!("mload({slot})")),
            Node::Negated(of) => {
                let of = self.operand(of, 1);
                Written { text: format!("sub(r, {})", of.text), bound: 1, depth: of.depth + 1 }
            }
            Node::Sum(a, b) => {
                let (a, b) = self.pair(a, b, MOST);
                if a.bound + b.bound <= MOST {
                    let depth = (b.depth).max(a.depth + 1);
                    Written { text: format!("add({}, {})", a.text, b.text), bound: a.bound + b.bound, depth }
                } else {
                    let depth = (b.depth + 1).max(a.depth + 2);
                    Written { text: format!("addmod({}, {}, r)", a.text, b.text), bound: 1, depth }
                }
            }
            Node::Product(a, b) => {
                let (a, b) = self.pair(a, b, MOST);
                let depth = (b.depth + 1).max(a.depth + 2);
                Written { text: format!("mulmod({}, {}, r)", a.text, b.text), bound: 1, depth }
            }
        };
        if self.readers[id] > 1 || written.depth > DEPTH { self.keep(id, &written) } else { written }
    }

    /// The deeper operand is evaluated first, which is the second one.
    fn pair(&mut self, a: Id, b: Id, most: u32) -> (Written, Written) {
        let (a, b) = (self.operand(a, most), self.operand(b, most));
        if a.depth > b.depth { (b, a) } else { (a, b) }
    }

    fn keep(&mut self, id: Id, written: &Written) -> Written {
        let slot = self.memory.word();
        let _ = writeln!(self.text, "mstore({slot}, {})", written.text);
        self.slots.insert(id, (slot, written.bound));
        Written { text: format!("mload({slot})"), bound: written.bound, depth: 1 }
    }
}

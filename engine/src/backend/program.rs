//! Expression programs, independent of any back end.
//!
//! A [`ProgramBuilder`] interns nodes, so expression trees with repeated subtrees become a graph in which everything is
//! computed once, and folds constants. [`ProgramBuilder::finish`] schedules what the outputs need into a [`Program`]:
//! straight-line code in single-assignment form, in two parts. The *scalar* part depends on constants and run-time
//! scalars (challenges) alone and is computed once per evaluation, however many nodes it has; the *row* part is
//! computed for every row.
//!
//! ```
//! use zkml_gpu_engine::backend::program::ProgramBuilder;
//! use halo2curves::bn256::Fr;
//!
//! // selector·(a·b - c) and selector·(a - 1), folded with y = scalar 0
//! let mut builder = ProgramBuilder::new();
//! let [selector, a, b, c] = [0, 1, 2, 3].map(|column| builder.column(column, 0));
//! let product = builder.mul(a, b);
//! let difference = builder.sub(product, c);
//! let first = builder.mul(selector, difference);
//! let one = builder.constant(Fr::one());
//! let difference = builder.sub(a, one);
//! let second = builder.mul(selector, difference);
//! let y = builder.scalar(0);
//! let folded = builder.horner(&[first, second], y);
//! let program = builder.finish(&[folded]);
//! assert_eq!(program.queries().len(), 4);
//! ```

use std::collections::{BTreeSet, HashMap};

use ff::Field;
use halo2curves::bn256::Fr;

use super::Result;
use crate::error::BackendError;

/// A node of a [`ProgramBuilder`]. Meaningful only to the builder that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

/// A cell of a column relative to the current row: row `(i + rotation) mod n` of the caller's column list entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Query {
    /// Index in the column list given at evaluation.
    pub column: usize,
    /// Rotation, cyclic.
    pub rotation: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Node {
    Constant(Fr),
    Scalar(usize),
    Column(Query),
    Operation(Instruction<NodeId>),
}

/// One arithmetic step over operands of type `T`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Instruction<T> {
    /// a + b
    Add(T, T),
    /// a - b
    Sub(T, T),
    /// a · b
    Mul(T, T),
    /// a²
    Square(T),
    /// -a
    Negate(T),
}

impl<T: Copy> Instruction<T> {
    /// The same step over translated operands.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Instruction<U> {
        match self {
            Instruction::Add(a, b) => Instruction::Add(f(a), f(b)),
            Instruction::Sub(a, b) => Instruction::Sub(f(a), f(b)),
            Instruction::Mul(a, b) => Instruction::Mul(f(a), f(b)),
            Instruction::Square(a) => Instruction::Square(f(a)),
            Instruction::Negate(a) => Instruction::Negate(f(a)),
        }
    }

    /// The operands, the first twice where there is only one.
    pub fn operands(self) -> [T; 2] {
        match self {
            Instruction::Add(a, b) | Instruction::Sub(a, b) | Instruction::Mul(a, b) => [a, b],
            Instruction::Square(a) | Instruction::Negate(a) => [a, a],
        }
    }
}

impl Instruction<Fr> {
    /// The result.
    pub fn apply(self) -> Fr {
        match self {
            Instruction::Add(a, b) => a + b,
            Instruction::Sub(a, b) => a - b,
            Instruction::Mul(a, b) => a * b,
            Instruction::Square(a) => a.square(),
            Instruction::Negate(a) => -a,
        }
    }
}

/// A summand `scale·cofactor·atom` of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Depends on no row.
    pub scale: NodeId,
    /// A row's own factor, which the term may share with others; 1 where there is none.
    pub cofactor: Option<NodeId>,
    /// The rest.
    pub atom: NodeId,
}

/// Builds a [`Program`] out of shared nodes.
#[derive(Debug, Default)]
pub struct ProgramBuilder {
    nodes: Vec<Node>,
    /// The degree of each node.
    degrees: Vec<usize>,
    interned: HashMap<Node, NodeId>,
}

impl ProgramBuilder {
    /// A builder without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// A constant.
    pub fn constant(&mut self, value: Fr) -> NodeId {
        self.intern(Node::Constant(value))
    }

    /// Entry `index` of the scalar list given at evaluation, such as a challenge.
    pub fn scalar(&mut self, index: usize) -> NodeId {
        self.intern(Node::Scalar(index))
    }

    /// Row `(i + rotation) mod n` of entry `column` of the column list given at evaluation.
    pub fn column(&mut self, column: usize, rotation: i32) -> NodeId {
        self.intern(Node::Column(Query { column, rotation }))
    }

    /// a + b
    pub fn add(&mut self, a: NodeId, b: NodeId) -> NodeId {
        match (self.value(a), self.value(b)) {
            (Some(a), Some(b)) => self.constant(a + b),
            (Some(zero), None) if bool::from(zero.is_zero()) => b,
            (None, Some(zero)) if bool::from(zero.is_zero()) => a,
            _ => match (self.negated(a), self.negated(b)) {
                (_, Some(b)) => self.sub(a, b),
                (Some(a), None) => self.sub(b, a),
                (None, None) => self.operation(Instruction::Add(a.min(b), a.max(b))),
            },
        }
    }

    /// a - b
    pub fn sub(&mut self, a: NodeId, b: NodeId) -> NodeId {
        match (self.value(a), self.value(b)) {
            (Some(a), Some(b)) => self.constant(a - b),
            (_, Some(zero)) if bool::from(zero.is_zero()) => a,
            (Some(zero), _) if bool::from(zero.is_zero()) => self.negate(b),
            _ if a == b => self.constant(Fr::zero()),
            _ => match self.negated(b) {
                Some(b) => self.add(a, b),
                None => self.operation(Instruction::Sub(a, b)),
            },
        }
    }

    /// a · b
    pub fn mul(&mut self, a: NodeId, b: NodeId) -> NodeId {
        match (self.value(a), self.value(b)) {
            (Some(a), Some(b)) => self.constant(a * b),
            (Some(factor), None) => self.mul_constant(b, a, factor),
            (None, Some(factor)) => self.mul_constant(a, b, factor),
            (None, None) if a == b => self.operation(Instruction::Square(a)),
            (None, None) => self.operation(Instruction::Mul(a.min(b), a.max(b))),
        }
    }

    /// -a
    pub fn negate(&mut self, a: NodeId) -> NodeId {
        match (self.value(a), self.negated(a)) {
            (Some(value), _) => self.constant(-value),
            (None, Some(inner)) => inner,
            (None, None) => self.operation(Instruction::Negate(a)),
        }
    }

    /// `Σ_i terms_i · y^{len-1-i}`: the accumulation `acc = acc·y + term`, from the first term on. 0 for no terms.
    pub fn horner(&mut self, terms: &[NodeId], y: NodeId) -> NodeId {
        let zero = self.constant(Fr::zero());
        terms.iter().fold(zero, |acc, &term| {
            let shifted = self.mul(acc, y);
            self.add(shifted, term)
        })
    }

    /// The node's degree as a polynomial in the columns' cells: 0 for what depends on no row. No sum is expected to
    /// cancel its leading terms, so this is a bound.
    pub fn degree(&self, node: NodeId) -> usize {
        self.degrees[node.0 as usize]
    }

    /// The columns that a node reads, ascending.
    pub fn columns(&self, node: NodeId) -> Vec<usize> {
        let (mut columns, mut seen, mut stack) = (BTreeSet::new(), BTreeSet::new(), vec![node]);
        while let Some(node) = stack.pop() {
            match self.nodes[node.0 as usize] {
                Node::Constant(_) | Node::Scalar(_) => (),
                Node::Column(query) => {
                    columns.insert(query.column);
                }
                Node::Operation(step) if seen.insert(node) => stack.extend(step.operands()),
                Node::Operation(_) => (),
            }
        }
        columns.into_iter().collect()
    }

    /// A term as a sum of terms, of which one that reads more than `most` columns is neither a sum, nor a product of a
    /// sum with something that reads one column or none.
    pub fn split(&mut self, term: Term, most: usize) -> Vec<Term> {
        let (mut parts, mut stack) = (Vec::new(), vec![term]);
        while let Some(term) = stack.pop() {
            let Node::Operation(step) = self.nodes[term.atom.0 as usize] else {
                parts.push(term);
                continue;
            };
            if self.columns(term.atom).len() <= most {
                parts.push(term);
                continue;
            }
            let with = |atom| Term { atom, ..term };
            match step {
                Instruction::Add(a, b) => stack.extend([with(b), with(a)]),
                Instruction::Sub(a, b) => {
                    let scale = self.negate(term.scale);
                    stack.extend([Term { scale, ..with(b) }, with(a)]);
                }
                Instruction::Negate(a) => {
                    let scale = self.negate(term.scale);
                    stack.push(Term { scale, ..with(a) });
                }
                Instruction::Mul(a, b) => match self.factor_of_sum(a, b) {
                    Some((factor, sum)) if self.degree(factor) == 0 => {
                        let scale = self.mul(term.scale, factor);
                        stack.push(Term { scale, ..with(sum) });
                    }
                    Some((factor, sum)) => {
                        let cofactor = Some(term.cofactor.map_or(factor, |before| self.mul(before, factor)));
                        stack.push(Term { cofactor, ..with(sum) });
                    }
                    None => parts.push(term),
                },
                Instruction::Square(_) => parts.push(term),
            }
        }
        parts
    }

    /// Two factors, if the second is a sum or a product and the first reads one column or none.
    fn factor_of_sum(&self, a: NodeId, b: NodeId) -> Option<(NodeId, NodeId)> {
        let is_operation = |node: NodeId| matches!(self.nodes[node.0 as usize], Node::Operation(_));
        [(a, b), (b, a)].into_iter().find(|(factor, sum)| is_operation(*sum) && self.columns(*factor).len() <= 1)
    }

    /// Schedules what `outputs` need. Nodes that no output needs cost nothing.
    pub fn finish(&self, outputs: &[NodeId]) -> Program {
        let mut schedule = Schedule::new(&self.nodes);
        for &output in outputs {
            schedule.visit(output);
        }
        schedule.finish(outputs)
    }

    fn mul_constant(&mut self, a: NodeId, constant: NodeId, factor: Fr) -> NodeId {
        if factor == Fr::one() {
            a
        } else if factor == -Fr::one() {
            self.negate(a)
        } else if factor == Fr::zero() {
            constant
        } else {
            self.operation(Instruction::Mul(a.min(constant), a.max(constant)))
        }
    }

    fn value(&self, node: NodeId) -> Option<Fr> {
        match self.nodes[node.0 as usize] {
            Node::Constant(value) => Some(value),
            _ => None,
        }
    }

    fn negated(&self, node: NodeId) -> Option<NodeId> {
        match self.nodes[node.0 as usize] {
            Node::Operation(Instruction::Negate(inner)) => Some(inner),
            _ => None,
        }
    }

    fn operation(&mut self, instruction: Instruction<NodeId>) -> NodeId {
        self.intern(Node::Operation(instruction))
    }

    fn intern(&mut self, node: Node) -> NodeId {
        let (nodes, degrees) = (&mut self.nodes, &mut self.degrees);
        *self.interned.entry(node).or_insert_with(|| {
            let id = u32::try_from(nodes.len()).expect("a program has fewer than 2^32 nodes");
            nodes.push(node);
            degrees.push(degree(node, degrees));
            NodeId(id)
        })
    }
}

/// The degree of a node whose operands have these.
fn degree(node: Node, degrees: &[usize]) -> usize {
    match node {
        Node::Constant(_) | Node::Scalar(_) => 0,
        Node::Column(_) => 1,
        Node::Operation(step) => match step.map(|operand| degrees[operand.0 as usize]) {
            Instruction::Add(a, b) | Instruction::Sub(a, b) => a.max(b),
            Instruction::Mul(a, b) => a.saturating_add(b),
            Instruction::Square(a) => a.saturating_mul(2),
            Instruction::Negate(a) => a,
        },
    }
}

/// Where an instruction of the row part finds an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// Entry of the scalar table, see [`Program::scalar_table`].
    Scalar(usize),
    /// Entry of [`Program::queries`], at the current row.
    Query(usize),
    /// Result of an earlier entry of [`Program::instructions`], at the current row.
    Result(usize),
}

/// Straight-line code over columns, made by [`ProgramBuilder::finish`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Program {
    leaves: Vec<ScalarLeaf>,
    scalar_instructions: Vec<ScalarStep>,
    queries: Vec<Query>,
    instructions: Vec<Instruction<Operand>>,
    outputs: Vec<Operand>,
}

/// An entry of the scalar table that is not computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ScalarLeaf {
    Constant(Fr),
    Input(usize),
}

/// Operand of the scalar part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ScalarOperand {
    Leaf(usize),
    Result(usize),
}

type ScalarStep = Instruction<ScalarOperand>;

impl Program {
    /// The cells that the row part reads, without repetition.
    pub fn queries(&self) -> &[Query] {
        &self.queries
    }

    /// The row part. Entry i may use the results of entries before i.
    pub fn instructions(&self) -> &[Instruction<Operand>] {
        &self.instructions
    }

    /// Where to find each output.
    pub fn outputs(&self) -> &[Operand] {
        &self.outputs
    }

    /// Renumbers the columns in the order in which they are read first, and returns which entry of the old column list
    /// each is. Over those columns alone the program computes what it did over all.
    pub fn compact(mut self) -> (Self, Vec<usize>) {
        let (mut columns, mut numbers) = (Vec::new(), HashMap::new());
        for query in &mut self.queries {
            query.column = *numbers.entry(query.column).or_insert_with_key(|&column| {
                columns.push(column);
                columns.len() - 1
            });
        }
        (self, columns)
    }

    /// Operations a row: multiplications and squarings, then additions, subtractions and negations.
    pub fn operations(&self) -> (usize, usize) {
        let multiplies = |step: &&Instruction<Operand>| matches!(step, Instruction::Mul(..) | Instruction::Square(_));
        let multiplications = self.instructions.iter().filter(multiplies).count();
        (multiplications, self.instructions.len() - multiplications)
    }

    /// Number of entries of the scalar table.
    pub fn scalar_table_len(&self) -> usize {
        self.leaves.len() + self.scalar_instructions.len()
    }

    /// Computes everything that depends on constants and run-time scalars alone: the values that
    /// [`Operand::Scalar`] refers to.
    ///
    /// # Errors
    /// [`MissingInput`](BackendError::MissingInput) when the program reads an index past `scalars`.
    pub fn scalar_table(&self, scalars: &[Fr]) -> Result<Vec<Fr>> {
        let mut table = Vec::with_capacity(self.scalar_table_len());
        for leaf in &self.leaves {
            table.push(match *leaf {
                ScalarLeaf::Constant(value) => value,
                ScalarLeaf::Input(index) => *scalars.get(index).ok_or(BackendError::MissingInput {
                    kind: "scalar",
                    index,
                    supplied: scalars.len(),
                })?,
            });
        }
        for step in &self.scalar_instructions {
            let value = step.map(|operand| table[self.scalar_index(operand)]).apply();
            table.push(value);
        }
        Ok(table)
    }

    /// Checks that every column query is within a list of columns of the given lengths, all equal to `n`.
    ///
    /// # Errors
    /// [`MissingInput`](BackendError::MissingInput) or [`LengthMismatch`](BackendError::LengthMismatch).
    pub fn check_columns(&self, n: usize, lengths: &[usize]) -> Result<()> {
        for query in &self.queries {
            match lengths.get(query.column) {
                None => {
                    return Err(BackendError::MissingInput {
                        kind: "column",
                        index: query.column,
                        supplied: lengths.len(),
                    });
                }
                Some(&got) if got != n => {
                    return Err(BackendError::LengthMismatch { operation: "evaluate", expected: n, got });
                }
                Some(_) => (),
            }
        }
        Ok(())
    }

    /// The outputs on one row, whose cells are given in the order of [`queries`](Self::queries).
    ///
    /// # Errors
    /// [`MissingInput`](BackendError::MissingInput) when the program reads an index past `cells` or `scalars`.
    pub fn evaluate_row(&self, cells: &[Fr], scalars: &[Fr]) -> Result<Vec<Fr>> {
        if cells.len() < self.queries.len() {
            return Err(BackendError::MissingInput { kind: "cell", index: cells.len(), supplied: cells.len() });
        }
        let table = self.scalar_table(scalars)?;
        let value = |results: &[Fr], operand: Operand| match operand {
            Operand::Scalar(index) => table[index],
            Operand::Query(index) => cells[index],
            Operand::Result(index) => results[index],
        };
        let mut results = Vec::with_capacity(self.instructions.len());
        for instruction in &self.instructions {
            results.push(instruction.map(|operand| value(&results, operand)).apply());
        }
        Ok(self.outputs.iter().map(|output| value(&results, *output)).collect())
    }

    fn scalar_index(&self, operand: ScalarOperand) -> usize {
        match operand {
            ScalarOperand::Leaf(index) => index,
            ScalarOperand::Result(index) => self.leaves.len() + index,
        }
    }
}

/// Where a scheduled node's value lives. Scalar results are numbered after all leaves, whose count is known last.
#[derive(Debug, Clone, Copy)]
enum Place {
    Scalar(ScalarOperand),
    Query(usize),
    Result(usize),
}

/// Post-order scheduling: operands right before their first use, which keeps few results alive at a time.
struct Schedule<'a> {
    nodes: &'a [Node],
    places: Vec<Option<Place>>,
    program: Program,
    row_steps: Vec<Instruction<Place>>,
}

impl<'a> Schedule<'a> {
    fn new(nodes: &'a [Node]) -> Self {
        Schedule { nodes, places: vec![None; nodes.len()], program: Program::default(), row_steps: Vec::new() }
    }

    /// Schedules a node after its operands. Expressions can be deep, hence the stack of our own.
    fn visit(&mut self, root: NodeId) {
        let mut stack = vec![root];
        while let Some(&node) = stack.last() {
            if self.places[node.0 as usize].is_some() {
                stack.pop();
                continue;
            }
            let missing = self.missing_operands(node);
            if missing.is_empty() {
                self.places[node.0 as usize] = Some(self.place(node));
                stack.pop();
            } else {
                stack.extend(missing.into_iter().rev());
            }
        }
    }

    fn missing_operands(&self, node: NodeId) -> Vec<NodeId> {
        match self.nodes[node.0 as usize] {
            Node::Operation(step) => {
                step.operands().into_iter().filter(|operand| self.places[operand.0 as usize].is_none()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn place(&mut self, node: NodeId) -> Place {
        match self.nodes[node.0 as usize] {
            Node::Constant(value) => self.leaf(ScalarLeaf::Constant(value)),
            Node::Scalar(index) => self.leaf(ScalarLeaf::Input(index)),
            Node::Column(query) => {
                self.program.queries.push(query);
                Place::Query(self.program.queries.len() - 1)
            }
            Node::Operation(step) => self.step(step.map(|operand| self.placed(operand))),
        }
    }

    fn leaf(&mut self, leaf: ScalarLeaf) -> Place {
        self.program.leaves.push(leaf);
        Place::Scalar(ScalarOperand::Leaf(self.program.leaves.len() - 1))
    }

    fn step(&mut self, step: Instruction<Place>) -> Place {
        if let [Place::Scalar(_), Place::Scalar(_)] = step.operands() {
            let scalar_step = step.map(|operand| match operand {
                Place::Scalar(operand) => operand,
                Place::Query(_) | Place::Result(_) => unreachable!("both operands are scalars"),
            });
            self.program.scalar_instructions.push(scalar_step);
            return Place::Scalar(ScalarOperand::Result(self.program.scalar_instructions.len() - 1));
        }
        self.row_steps.push(step);
        Place::Result(self.row_steps.len() - 1)
    }

    fn placed(&self, node: NodeId) -> Place {
        self.places[node.0 as usize].expect("operands are scheduled before their users")
    }

    fn finish(self, outputs: &[NodeId]) -> Program {
        let leaves = self.program.leaves.len();
        let operand = |place: Place| match place {
            Place::Scalar(ScalarOperand::Leaf(index)) => Operand::Scalar(index),
            Place::Scalar(ScalarOperand::Result(index)) => Operand::Scalar(leaves + index),
            Place::Query(index) => Operand::Query(index),
            Place::Result(index) => Operand::Result(index),
        };
        let outputs = outputs.iter().map(|&output| operand(self.placed(output))).collect();
        let instructions = self.row_steps.iter().map(|step| step.map(operand)).collect();
        Program { instructions, outputs, ..self.program }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_count_columns_and_no_scalars() {
        let mut nodes = ProgramBuilder::new();
        let (a, b, scalar) = (nodes.column(0, 0), nodes.column(1, -1), nodes.scalar(0));
        let product = nodes.mul(a, b);
        let square = nodes.mul(product, product);
        let sum = nodes.add(square, scalar);
        let negated = nodes.negate(sum);
        let scaled = nodes.mul(scalar, negated);
        let difference = nodes.sub(a, scalar);
        let all = [scalar, a, difference, product, square, sum, negated, scaled];
        assert_eq!(all.map(|node| nodes.degree(node)), [0, 1, 1, 2, 4, 4, 4, 4]);
    }

    #[test]
    fn terms_add_up_to_what_was_split() {
        let mut nodes = ProgramBuilder::new();
        let columns: Vec<NodeId> = (0..6).map(|column| nodes.column(column, 0)).collect();
        let (r, one) = (nodes.scalar(0), nodes.constant(Fr::ONE));
        // selector·((f_1·f_2 + r·(f_3 - r·f_4)) - f_5²)
        let product = nodes.mul(columns[1], columns[2]);
        let inner = nodes.mul(r, columns[4]);
        let inner = nodes.sub(columns[3], inner);
        let inner = nodes.mul(r, inner);
        let square = nodes.mul(columns[5], columns[5]);
        let sum = nodes.add(product, inner);
        let sum = nodes.sub(sum, square);
        let whole = nodes.mul(columns[0], sum);
        assert_eq!(nodes.columns(whole), [0, 1, 2, 3, 4, 5]);
        let term = Term { scale: r, cofactor: None, atom: whole };
        let cells: Vec<Fr> = (2..8).map(Fr::from).collect();
        let evaluate = |nodes: &ProgramBuilder, node: NodeId| {
            let program = nodes.finish(&[node]);
            let cells: Vec<Fr> = program.queries().iter().map(|query| cells[query.column]).collect();
            program.evaluate_row(&cells, &[Fr::from(10)]).unwrap()[0]
        };
        let expected = evaluate(&nodes, whole) * Fr::from(10);
        assert_eq!(expected, Fr::from(10 * 2) * (Fr::from(3 * 4 + 10 * 5) - Fr::from(100 * 6 + 49)));
        for (most, count) in [(6, 1), (2, 3), (1, 4)] {
            let parts = nodes.split(term, most);
            assert_eq!(parts.len(), count, "{most}");
            let mut total = Fr::ZERO;
            for Term { scale, cofactor, atom } in parts {
                let value = nodes.mul(cofactor.unwrap_or(one), atom);
                let value = nodes.mul(scale, value);
                total += evaluate(&nodes, value);
            }
            assert_eq!(total, expected, "{most}");
        }
    }

    #[test]
    fn one_row_is_evaluated_from_its_cells() {
        let mut nodes = ProgramBuilder::new();
        let (a, next, y) = (nodes.column(0, 0), nodes.column(0, 1), nodes.scalar(0));
        let product = nodes.mul(a, next);
        let folded = nodes.horner(&[product, a], y);
        let program = nodes.finish(&[folded, y]);
        let cells: Vec<Fr> = program.queries().iter().map(|query| Fr::from(5 + query.rotation as u64)).collect();
        assert_eq!(program.evaluate_row(&cells, &[Fr::from(10)]).unwrap(), [305, 10].map(Fr::from));
        assert!(program.evaluate_row(&cells[1..], &[Fr::from(10)]).is_err());
        assert!(program.evaluate_row(&cells, &[]).is_err());
    }

    #[test]
    fn compact_program_reads_each_of_its_columns() {
        let mut nodes = ProgramBuilder::new();
        let (a, unread, b) = (nodes.column(3, 0), nodes.column(0, 0), nodes.column(1, 1));
        let again = nodes.column(3, 2);
        nodes.add(a, unread);
        let sum = nodes.add(a, b);
        let product = nodes.mul(sum, again);
        let (program, columns) = nodes.finish(&[product]).compact();
        assert_eq!(columns, [3, 1]);
        let query = |column, rotation| Query { column, rotation };
        assert_eq!(program.queries(), [query(0, 2), query(0, 0), query(1, 1)]);
    }
}

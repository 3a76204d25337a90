//! The contract: Solidity with one block of assembly, specialised to a key.
//!
//! ```text
//! calldata -> shape and ranges -> transcript -> inverses -> instances, constraints -> combination of points -> pairing
//! ```
//!
//! All that stock verification does is done, in its order of challenges; nothing else is kept. Numbers of calldata have
//! fixed places, since the contract demands the one canonical encoding of its arguments: nothing can overlap.

use std::fmt::Write as _;

use ff::Field;
use halo2_proofs::plonk::VerifyingKey;
use halo2curves::bn256::{Fq, Fr, G1Affine, G2Affine};

use crate::constraints::Roots;
use crate::expressions::Expressions;
use crate::link::Link;
use crate::opening;
use crate::protocol::{Challenge, Protocol, SCALAR_BYTES, Step};
use crate::source::{interface, source};
use crate::statement::{Range, Run, Statement, runs};
use crate::yul::{Memory, Slot, hex_word};
use crate::{Error, calldata};

/// Bytes of memory for the inputs of precompiled contracts.
const SCRATCH_BYTES: usize = 0x1c0;
/// Most bytes of code that a contract may have (EIP-170).
pub const MAX_CODE_BYTES: usize = 24_576;

/// What a contract verifies.
#[derive(Clone, Debug)]
pub struct Circuit<'k> {
    /// The key, of any circuit.
    pub vk: &'k VerifyingKey<G1Affine>,
    /// log2 of the number of rows.
    pub k: u32,
    /// `[s]G2` of the reference string, whose G1 and G2 are the generators.
    pub s_g2: G2Affine,
    /// What is given to the contract.
    pub statement: Statement,
    /// What ties a column to a commitment outside the circuit.
    pub link: Option<Link>,
}

impl Circuit<'_> {
    /// Checks that the parts are of one circuit.
    fn check(&self) -> Result<(), Error> {
        self.statement.check()?;
        let fail = |reason: &str| Err(Error::Circuit(reason.into()));
        let cs = self.vk.cs();
        if self.k != self.vk.get_domain().k() {
            return fail("it has another number of rows than its key");
        }
        if self.statement.lengths.len() != cs.num_instance_columns() {
            return fail("its instance columns are not those of the statement");
        }
        let unusable = cs.blinding_factors() + 1;
        let usable = (1usize << self.k).saturating_sub(unusable);
        // A row behind the last one would be the first one again, and two numbers one cell's sum. The stock verifier
        // leaves that to its caller.
        if self.statement.lengths.iter().any(|len| *len > usable) {
            return fail("an instance column is longer than the usable rows");
        }
        let Some(link) = &self.link else { return Ok(()) };
        let challenge = cs.challenge_phase().first().copied();
        let column = cs.advice_column_phase().get(link.folded).copied();
        // The combination follows from the challenge, so it is committed later.
        if challenge.zip(column).is_none_or(|(challenge, column)| column <= challenge) {
            return fail("its link is of no column behind the first challenge");
        }
        if link.blinding_points.len() != unusable {
            return fail("its link has not as many points as there are blinding rows");
        }
        Ok(())
    }
}

/// A contract's source, and what its calldata looks like.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Contract {
    /// Name in the source.
    pub name: String,
    /// Solidity.
    pub source: String,
    /// Bytes of a proof.
    pub proof_bytes: usize,
    /// What it is given.
    pub statement: Statement,
    /// Points that are multiplied: most of the gas.
    pub multiplications: usize,
}

impl Contract {
    /// Writes the verifier of a circuit. `about` is said of it in its documentation, a line each.
    ///
    /// # Errors
    /// [`Error::Name`] for a name that is no identifier, [`Error::Circuit`] for a circuit whose proofs no verifier
    /// accepts, [`Error::Statement`] for numbers without a cell.
    pub fn new(name: &str, circuit: &Circuit<'_>, about: &[String]) -> Result<Self, Error> {
        if !is_identifier(name) {
            return Err(Error::Name(name.into()));
        }
        circuit.check()?;
        let protocol = Protocol::new(circuit.vk, circuit.k)?;
        let mut writer = Writer::new(circuit, &protocol);
        let body = writer.body()?;
        let proof_bytes = writer.proof_bytes();
        let source = source(name, about, &circuit.statement, proof_bytes, &body);
        let multiplications = writer.multiplications;
        Ok(Self { name: name.into(), source, proof_bytes, statement: circuit.statement.clone(), multiplications })
    }

    /// What other contracts import to call this one.
    pub fn interface(&self) -> String {
        interface(&self.name)
    }

    /// The call of `verify`, as calldata.
    ///
    /// # Errors
    /// [`Error::Calldata`] for a proof of another length or numbers that the contract refuses.
    pub fn calldata(&self, proof: &[u8], values: &[calldata::Number]) -> Result<Vec<u8>, Error> {
        calldata::encode(&self.statement, self.proof_bytes, proof, values)
    }
}

/// Whether text is a name that Solidity takes, and no word of its own that begins with a capital letter exists.
fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Words of memory that the parts of the contract share.
pub(crate) struct Words {
    circuit: Slot,
    named: [Slot; 9],
    /// `x^n`.
    pub(crate) x_n: Slot,
    /// The quotient's value.
    pub(crate) quotient_value: Slot,
    /// The quotient's commitment.
    pub(crate) quotient: Slot,
    /// The combination of all sets so far.
    pub(crate) combined: Slot,
    /// Numbers to be inverted: `x`, `x^n − 1`, SHPLONK's, then `x − ω^i` for the rows in use.
    pub(crate) inverses: Slot,
    /// Values of the instance queries.
    pub(crate) instance: Slot,
    /// What is hashed first: the link's digest, the key, the instances, the first phase's points.
    first: Slot,
    /// The cells of the instances among them.
    cells: Slot,
    /// What is hashed later: the hash before, and what is read after it.
    buffer: Slot,
}

/// Place of `1/x` among the inverses.
pub(crate) const INVERSE_X: usize = 0;
/// Place of `1/(x^n − 1)`.
const INVERSE_VANISHING: usize = 1;
/// Place of the inverse of SHPLONK's normalisation.
pub(crate) const INVERSE_OPENING: usize = 2;
/// Place of the first row's.
const INVERSE_ROWS: usize = 3;

pub(crate) struct Writer<'c> {
    pub(crate) circuit: &'c Circuit<'c>,
    pub(crate) protocol: &'c Protocol<'c>,
    pub(crate) memory: Memory,
    pub(crate) words: Words,
    /// Rows whose Lagrange polynomials are evaluated, in order.
    rows: Vec<usize>,
    /// `u − x·ω^rotation` by the rotation.
    pub(crate) distances: Vec<(i32, Slot)>,
    pub(crate) text: String,
    pub(crate) multiplications: usize,
}

impl<'c> Writer<'c> {
    fn new(circuit: &'c Circuit<'c>, protocol: &'c Protocol<'c>) -> Self {
        let mut memory = Memory::from(SCRATCH_BYTES);
        let cs = circuit.vk.cs();
        let rows = rows(circuit);
        let steps = steps(circuit, protocol);
        let absorbed = |step: &Step| if let Step::Absorb(_, bytes) = step { bytes / SCALAR_BYTES } else { 0 };
        let longest = steps.iter().map(absorbed).max().unwrap_or(0);
        let key = usize::from(circuit.link.is_some()) + 1;
        let words = Words {
            circuit: memory.words(cs.num_challenges()),
            named: std::array::from_fn(|_| memory.word()),
            x_n: memory.word(),
            quotient_value: memory.word(),
            quotient: memory.words(2),
            combined: memory.words(2),
            inverses: memory.words(INVERSE_ROWS + rows.len()),
            instance: memory.words(cs.instance_queries().len()),
            // With a word for the byte behind what is a word alone.
            buffer: memory.words(longest + 2),
            first: memory.words(key),
            cells: memory.words(circuit.statement.cells() + longest + 1),
        };
        Self { circuit, protocol, memory, words, rows, distances: Vec::new(), text: String::new(), multiplications: 0 }
    }

    /// Bytes of a proof, the link's included.
    fn proof_bytes(&self) -> usize {
        self.protocol.bytes + self.circuit.link.as_ref().map_or(0, Link::bytes)
    }

    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// The word of a challenge.
    pub(crate) fn challenge(&self, challenge: Challenge) -> Slot {
        let named = |place: usize| self.words.named[place];
        match challenge {
            Challenge::Circuit(index) => self.words.circuit.plus(index),
            Challenge::Theta => named(0),
            Challenge::Beta => named(1),
            Challenge::Gamma => named(2),
            Challenge::Y => named(3),
            Challenge::X => named(4),
            Challenge::OpeningY => named(5),
            Challenge::OpeningV => named(6),
            Challenge::OpeningU => named(7),
            Challenge::Link => named(8),
        }
    }

    /// Place of a byte of the proof in calldata.
    pub(crate) fn proof(&self, offset: usize) -> usize {
        calldata::PROOF + offset
    }

    /// All statements of the block, after the functions.
    fn body(&mut self) -> Result<String, Error> {
        self.shape();
        self.transcript();
        let constraints = self.constraints()?;
        self.inverses();
        self.instances();
        self.text.push_str(&constraints);
        opening::write(self);
        if let Some(link) = &self.circuit.link {
            link.write(self);
        }
        self.pairing();
        Ok(std::mem::take(&mut self.text))
    }

    /// The arguments have their only encoding, and every scalar is reduced.
    fn shape(&mut self) {
        let (proof, values) = (self.proof_bytes(), self.circuit.statement.values.len());
        let [at, size] = [calldata::values(proof), calldata::bytes(proof, values)];
        self.line("// The arguments in their only encoding: nothing overlaps, nothing is between or behind.");
        self.line(format!("if xor(proof.offset, {:#x}) {{ fail() }}", calldata::PROOF));
        self.line(format!("if xor(proof.length, {proof:#x}) {{ fail() }}"));
        self.line(format!("if xor(values.offset, {at:#x}) {{ fail() }}"));
        self.line(format!("if xor(values.length, {values:#x}) {{ fail() }}"));
        self.line(format!("if xor(calldatasize(), {size:#x}) {{ fail() }}"));
        self.line("// Scalars below r.");
        let mut scalars = self.protocol.scalars.clone();
        scalars.extend(self.circuit.link.as_ref().map(|link| link.scalars(self.protocol.bytes)));
        let mut merged: Vec<[usize; 2]> = Vec::new();
        for (at, count) in scalars {
            let end = at + count * SCALAR_BYTES;
            match merged.last_mut() {
                Some(run) if run[1] == at => run[1] = end,
                _ => merged.push([at, end]),
            }
        }
        for [start, end] in merged {
            let line = format!("reduced({:#x}, {:#x})", self.proof(start), self.proof(end));
            self.line(line);
        }
    }

    /// Takes everything in, and leaves the challenges in memory.
    fn transcript(&mut self) {
        let steps = self.steps();
        let link = self.circuit.link.as_ref().map(|link| link.digest);
        self.line("// Transcript: the key, the instances, then the proof.");
        let Words { first, buffer, cells, .. } = self.words;
        let words: Vec<Fr> = link.into_iter().chain([self.circuit.vk.transcript_repr()]).collect();
        for (index, word) in words.into_iter().enumerate() {
            self.line(format!("mstore({}, {})", first.plus(index), hex_word(word)));
        }
        self.numbers();
        let (mut current, mut end) = (first, cells.plus(self.circuit.statement.cells()).0);
        for step in steps {
            match step {
                Step::Absorb(at, bytes) => {
                    let from = self.proof(at);
                    self.line(format!("calldatacopy({end:#x}, {from:#x}, {bytes:#x})"));
                    end += bytes;
                }
                Step::Squeeze(challenge) => {
                    let mut bytes = end - current.0;
                    if bytes == SCALAR_BYTES {
                        self.line(format!("mstore8({end:#x}, 1)"));
                        bytes += 1;
                    }
                    let slot = self.challenge(challenge);
                    self.line(format!("mstore({slot}, squeeze({current}, {bytes:#x}, {buffer}))"));
                    (current, end) = (buffer, buffer.0 + SCALAR_BYTES);
                }
            }
        }
    }

    /// The whole transcript.
    fn steps(&self) -> Vec<Step> {
        steps(self.circuit, self.protocol)
    }

    /// Copies the numbers to their cells, and checks their ranges.
    fn numbers(&mut self) {
        let values = calldata::values(self.proof_bytes());
        for copy in self.circuit.statement.copies() {
            let Run { start, step, count } = copy.run;
            let from = values as i64 + 32 * start[0];
            let to = self.words.cells.0 as i64 + 32 * start[1];
            let [low, high] = match copy.range {
                Range::Element => ["0".into(), "sub(r, 1)".into()],
                Range::Integers { min, max } => [integer(min), integer(max)],
            };
            let [from_step, to_step] = step.map(|words| integer(32 * words));
            self.line(format!("put({from:#x}, {from_step}, {to:#x}, {to_step}, {count}, {low}, {high})"));
        }
    }

    /// Powers of x, and the inverses of all numbers that are divided by.
    fn inverses(&mut self) {
        let Words { inverses, x_n, .. } = self.words;
        let x = self.challenge(Challenge::X);
        self.line("// Inverses of all denominators at once.");
        self.line(format!("mstore({inverses}, mload({x}))"));
        self.line("{");
        self.line(format!("let p := mload({x})"));
        let k = self.circuit.k;
        self.line(format!("for {{ let i := 0 }} lt(i, {k}) {{ i := add(i, 1) }} {{ p := mulmod(p, p, r) }}"));
        self.line(format!("mstore({x_n}, p)"));
        self.line(format!("mstore({}, addmod(p, sub(r, 1), r))", inverses.plus(INVERSE_VANISHING)));
        self.line("}");
        opening::differences(self);
        for (place, run) in self.row_runs() {
            let at = inverses.plus(INVERSE_ROWS + place);
            let [start, step] = self.powers(&run);
            self.line(format!("distances({at}, {}, mload({x}), {start}, {step})", run.count));
        }
        let count = INVERSE_ROWS + self.rows.len();
        let prefixes = self.memory.words(count);
        self.line(format!("invert({inverses}, {count}, {prefixes})"));
        if self.rows.is_empty() {
            return;
        }
        self.line("{");
        let n = hex_word(Fr::from(1 << self.circuit.k).invert().unwrap_or(Fr::ZERO));
        self.line(format!("let c := mulmod(addmod(mload({x_n}), sub(r, 1), r), {n}, r)"));
        for (place, run) in self.row_runs() {
            let at = inverses.plus(INVERSE_ROWS + place);
            let [start, step] = self.powers(&run);
            self.line(format!("lagrange({at}, {}, c, {start}, {step})", run.count));
        }
        self.line("}");
    }

    /// The rows in use as runs, each with the place of its first one.
    fn row_runs(&self) -> Vec<(usize, Run)> {
        let pairs: Vec<[i64; 2]> = self.rows.iter().enumerate().map(|(i, row)| [i as i64, *row as i64]).collect();
        runs(&pairs).into_iter().map(|run| (run.start[0] as usize, run)).collect()
    }

    /// ω to a run's first row, and from row to row.
    fn powers(&self, run: &Run) -> [String; 2] {
        [run.start[1], if run.count == 1 { 0 } else { run.step[1] }]
            .map(|exponent| hex_word(self.protocol.rotated(exponent)))
    }

    /// The word of a row's Lagrange polynomial at x.
    pub(crate) fn lagrange(&self, row: i64) -> Slot {
        let row = row.rem_euclid(1 << self.circuit.k) as usize;
        let place = self.rows.binary_search(&row).unwrap_or(0);
        self.words.inverses.plus(INVERSE_ROWS + place)
    }

    /// Values of the instance queries.
    fn instances(&mut self) {
        let queries = self.circuit.vk.cs().instance_queries();
        if queries.is_empty() {
            return;
        }
        self.line("// Instance columns at x.");
        for (index, (column, rotation)) in queries.iter().enumerate() {
            let column = column.index();
            let pairs: Vec<[i64; 2]> = self
                .circuit
                .statement
                .rows(column)
                .into_iter()
                .map(|row| {
                    let cell = self.words.cells.plus(self.circuit.statement.cell(column, row));
                    [cell.0 as i64, self.lagrange(row as i64 - i64::from(rotation.0)).0 as i64]
                })
                .collect();
            let slot = self.words.instance.plus(index);
            self.line("{");
            self.line("let sum := 0");
            for Run { start, step, count } in runs(&pairs) {
                let [cell_step, row_step] = step.map(integer);
                let [cell, row] = start;
                self.line(format!("sum := inner(sum, {cell:#x}, {cell_step}, {row:#x}, {row_step}, {count})"));
            }
            self.line(format!("mstore({slot}, sum)"));
            self.line("}");
        }
    }

    /// The quotient's value, which all constraints imply.
    fn constraints(&mut self) -> Result<String, Error> {
        let mut graph = Expressions::default();
        let roots = Roots { writer: self, graph: &mut graph }.all()?;
        let text = graph.combined(&roots, &mut self.memory);
        let mut all = String::from("// The quotient's value at x by all constraints.\n{\n");
        let y = self.challenge(Challenge::Y);
        let _ = writeln!(all, "let y := mload({y})\nlet h := 0");
        all += &text;
        let Words { quotient_value, inverses, .. } = self.words;
        let inverse = inverses.plus(INVERSE_VANISHING);
        let _ = writeln!(all, "mstore({quotient_value}, mulmod(h, mload({inverse}), r))\n}}");
        Ok(all)
    }

    fn pairing(&mut self) {
        let second = self.proof(self.protocol.opening[1]);
        let Words { combined, .. } = self.words;
        let minus_g2 = -G2Affine::generator();
        self.line("// e([W'], [s]G2) = e(combination, G2).");
        self.line(format!("calldatacopy(0, {second:#x}, 0x40)"));
        for (at, word) in g2_words(&self.circuit.s_g2).into_iter().enumerate() {
            self.line(format!("mstore({:#x}, {word})", 0x40 + 32 * at));
        }
        self.line(format!("mstore(0xc0, mload({combined}))"));
        self.line(format!("mstore(0xe0, mload({}))", combined.plus(1)));
        for (at, word) in g2_words(&minus_g2).into_iter().enumerate() {
            self.line(format!("mstore({:#x}, {word})", 0x100 + 32 * at));
        }
        self.line("mstore(0x180, 0)");
        self.line("if iszero(staticcall(gas(), 8, 0, 0x180, 0x180, 0x20)) { fail() }");
        self.line("if xor(mload(0x180), 1) { fail() }");
    }
}

/// Rows whose Lagrange polynomials are evaluated at x.
fn rows(circuit: &Circuit<'_>) -> Vec<usize> {
    let cs = circuit.vk.cs();
    let n = 1i64 << circuit.k;
    let mut rows: Vec<usize> = Vec::new();
    for (column, rotation) in cs.instance_queries() {
        let own = circuit.statement.rows(column.index()).into_iter();
        rows.extend(own.map(|row| (row as i64 - i64::from(rotation.0)).rem_euclid(n) as usize));
    }
    if !cs.lookups().is_empty() || !cs.permutation().get_columns().is_empty() {
        let unusable = cs.blinding_factors() as i64 + 1;
        rows.push(0);
        rows.extend((n - unusable..n).map(|row| row as usize));
    }
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// The whole transcript, the link's included.
fn steps(circuit: &Circuit<'_>, protocol: &Protocol<'_>) -> Vec<Step> {
    let link = circuit.link.as_ref().map(|link| link.steps(protocol)).unwrap_or_default();
    [&protocol.steps[..], &link].concat()
}

/// Coordinates as the pairing's precompiled contract takes them: the imaginary parts first.
fn g2_words(point: &G2Affine) -> [String; 4] {
    [point.x.c1, point.x.c0, point.y.c1, point.y.c0].map(hex_word::<Fq>)
}

/// An integer as Yul has it: negative ones in two's complement.
fn integer(value: i64) -> String {
    if value < 0 { format!("sub(0, {:#x})", value.unsigned_abs()) } else { format!("{value:#x}") }
}

//! What a circuit costs: the work of a proof by what causes it, its verification, and memory.
//!
//! The engine counts its own steps ([`CircuitSize::work`]); what is added here is what the cells hold. A commitment
//! costs by its points that are not zero: an accumulator's and a lookup helper's are the rows of their bank. Unused cells
//! are looked up too, but a helper has one number on all their rows, which costs little. A value of phase 1 costs by its
//! bits.
//!
//! Numbers that are neither counted nor measured on the back end are constants here: the host's own work, in
//! multiplications of field elements, and bytes. They were fitted to proofs of eight models from 24 to 4 million
//! parameters on the reference processor (`Costs::reference`), with the command line's own figures.

use zkml_gpu_engine::batch_columns;
use zkml_gpu_engine::cost::Work;
use zkml_gpu_engine::prover::{CircuitSize, QuotientSize};
use zkml_gpu_graph::{Graph, Op, Visibility};

use crate::system::formulas::{Key, keys};
use crate::system::{Architecture, BLINDING_ROWS, WeightMode};

/// What the cells hold, as far as the cost depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filling {
    /// Rows in use: operand, result and cross-term bank, table, hashes.
    pub(super) rows: [usize; 5],
    /// Copied elements of operands.
    pub(super) operand_cells: usize,
    /// Gathered copies.
    pub(super) gathered_cells: usize,
    /// The network's own numbers.
    pub(super) network: Network,
}

/// Numbers of a network that every layout of it shares.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Network {
    /// Bits of a quantised value.
    value_bits: u32,
    /// Learned values.
    parameters: usize,
    /// Multiplications of an inference.
    macs: usize,
    /// Public values of inputs and outputs.
    pub(super) public_values: usize,
    /// Committed values of inputs and outputs.
    committed_values: usize,
}

impl Network {
    pub(super) fn of(graph: &Graph) -> Self {
        let raw = |tensor: usize| {
            let of = |op: &Op| matches!(op, Op::Linear(linear) if linear.raw);
            graph.nodes.iter().any(|node| node.output == tensor && of(&node.op))
        };
        let magnitude = |(_, tensor): (usize, &zkml_gpu_graph::Tensor)| tensor.format.max.max(-tensor.format.min);
        let largest = graph.tensors.iter().enumerate().filter(|(id, _)| !raw(*id)).map(magnitude).max().unwrap_or(0);
        let values = |of: Visibility| {
            let [inputs, outputs] = [&graph.inputs, &graph.outputs].map(|list| list.iter().enumerate());
            let inputs = inputs.map(|(i, id)| (graph.visibility.input(i), id));
            let all = inputs.chain(outputs.map(|(i, id)| (graph.visibility.output(i), id)));
            all.filter(|(own, _)| *own == of).map(|(_, id)| graph.tensors[*id].shape.len()).sum()
        };
        Self {
            value_bits: bits_of(largest.max(0).unsigned_abs()),
            parameters: graph.weight_cells(),
            macs: graph.macs(),
            public_values: values(Visibility::Public),
            committed_values: values(Visibility::Committed),
        }
    }
}

/// The work that one column of the weight bank makes for prover and verifier of each proof.
#[derive(Clone, Copy, Debug)]
pub(super) struct WeightColumn(pub(super) Work);

impl WeightColumn {
    /// A committed column is outside the circuit: it costs the verifier a scalar multiplication, and the prover
    /// nothing. An embedded one is counted among the circuit's fixed columns.
    pub(super) fn of(weights: WeightMode) -> Self {
        match weights {
            WeightMode::Committed => Self(Work { host_multiplications: VERIFIED_POINT, ..Work::default() }),
            WeightMode::Embedded => Self(Work::default()),
        }
    }
}

/// Host work for each cell of an advice column: computed, assigned, copied.
const CELL: f64 = 4.0;
/// Host work for each advice column, however short: its blinding, and what its commitment takes beside the points.
const COLUMN: f64 = 10_000.0;
/// Elements of a row of a hash: the state and its square; a word, the word before, and a digest on most rows.
const HASH_CELLS: f64 = 6.0;
/// Host work for each lookup: its table row found and its reciprocal summed up.
const LOOKUP: f64 = 2.0;
/// Host work for each multiplication of the inference in integers.
const MAC: f64 = 0.03;
/// Host work for each learned value: folded by a power of the challenge.
const PARAMETER: f64 = 0.2;
/// The verifier's work whatever the circuit: two pairings above all.
const VERIFICATION: f64 = 300_000.0;
/// The verifier's work for each point of the proof or the key: read, and multiplied by a scalar.
const VERIFIED_POINT: f64 = 3_000.0;

/// The verifier's work for each public value: hashed twice, and its Lagrange polynomial evaluated.
const PUBLIC_VALUE: f64 = 200.0;

/// The work of a proof by what causes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expense {
    /// Operand, result and cross-term bank, table.
    pub(super) banks: [Bank; 4],
    /// What no bank causes: the grand sum, blinding, the inference, the weights' fold.
    pub(super) rest: Work,
    /// Of the verifier.
    pub(super) verification: Work,
}

/// The work of one bank.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bank {
    /// Work for all rows of its columns, used or not.
    pub(super) columns: Work,
    /// Work for its rows in use.
    pub(super) rows: Work,
}

impl Expense {
    pub(super) fn new(a: &Architecture, size: &CircuitSize, filling: &Filling, weight_column: WeightColumn) -> Self {
        let n = (1u64 << size.k) as f64;
        let columns = bank_columns(a);
        let all = (columns.iter().sum::<usize>() + 1) as f64;
        let every = size.work() + host(a, n);
        let mut banks = rows(a, filling).map(|rows| Bank { columns: Work::default(), rows });
        for (bank, columns) in banks.iter_mut().zip(columns) {
            bank.columns = every * (columns as f64 / all);
        }
        banks[1].rows += full(a.helpers() as f64 * filling.rows[1] as f64);
        let blinding = (size.advice_columns * BLINDING_ROWS) as f64;
        let inference = filling.network.macs as f64 * MAC + filling.network.parameters as f64 * PARAMETER;
        // A column of integers, and the accumulator of its digest.
        let committed = filling.network.committed_values;
        let committed = small(committed, filling.network.value_bits) + full(committed as f64);
        let rest = every * (1.0 / all)
            + full(n + blinding)
            + committed
            + full(filling.rows[4] as f64 * HASH_CELLS)
            + Work { host_multiplications: inference, ..Work::default() };
        // The points of commitments to hidden tensors come with the proof.
        let points = (size.advice_columns + size.fixed_columns + size.pieces() + a.committed_columns) as f64;
        let public = filling.network.public_values as f64 * PUBLIC_VALUE;
        let host_multiplications = VERIFICATION + VERIFIED_POINT * points + public;
        let verification = Work { host_multiplications, ..Work::default() } + weight_column.0 * a.weight_columns as f64;
        Self { banks, rest, verification }
    }

    /// Of the prover.
    pub(super) fn proof(&self) -> Work {
        self.banks.iter().map(|bank| bank.columns + bank.rows).sum::<Work>() + self.rest
    }
}

fn full(points: f64) -> Work {
    Work { full_points: points, ..Work::default() }
}

fn small(points: usize, bits: u32) -> Work {
    let small_points = points as f64;
    Work { small_points, small_point_bits: small_points * f64::from(bits), ..Work::default() }
}

/// Bits of integers up to `largest`.
fn bits(largest: usize) -> u32 {
    bits_of(largest as u64)
}

/// As [`bits`].
fn bits_of(largest: u64) -> u32 {
    u64::BITS - largest.leading_zeros()
}

/// The host's work for all rows.
fn host(a: &Architecture, n: f64) -> Work {
    let cells = a.advice_columns() as f64 * CELL + a.lookups() as f64 * LOOKUP;
    Work { host_multiplications: n * cells + a.advice_columns() as f64 * COLUMN, ..Work::default() }
}

/// Advice and instance columns of each bank; the grand sum is the one left.
fn bank_columns(a: &Architecture) -> [usize; 4] {
    let accumulators = 3;
    let cross_terms = if a.cross_term_lanes > 0 { a.cross_term_lanes + 1 } else { 0 };
    let operand = a.operand_columns + a.instance_columns() + 1 + accumulators;
    let table = 2 * a.table_lanes;
    [operand, a.advice_columns() + a.instance_columns() - operand - cross_terms - table - 1, cross_terms, table]
}

/// Commitments to the rows in use, bank by bank.
fn rows(a: &Architecture, filling: &Filling) -> [Work; 4] {
    let [operand, result, cross_terms, table, _] = filling.rows;
    let value = filling.network.value_bits;
    let accumulators = 3.0;
    let product_bits = (a.degree() as u32 * a.limb_bits * a.spread_limbs.max(1) as u32).min(SMALL_BITS);
    // Rounded and activated value, the sign of the saturation, remainders and limbs, copies, partial products.
    let results = small(result * (a.activation_lanes + a.looked_up_lanes), value)
        + small(result * a.activation_lanes, 1)
        + small(result * a.range_columns, a.limb_bits)
        + small(filling.gathered_cells, value)
        + small(result * a.product_columns, product_bits);
    let sources = (result * a.source_lanes()).min(filling.gathered_cells);
    let counts = bits(a.lookups() * result.max(operand));
    [
        // Folded weights and the three accumulators.
        small(filling.operand_cells, value) + full(operand as f64 * (1.0 + accumulators)),
        results + full(result as f64 * accumulators + sources as f64),
        full(cross_terms as f64 * if a.cross_term_lanes > 0 { a.cross_term_lanes as f64 + 1.0 } else { 0.0 }),
        small(table * a.table_lanes, counts) + full((table * a.table_lanes) as f64),
    ]
}

/// Scalars of more bits are full-size to a multi-scalar multiplication.
const SMALL_BITS: u32 = 64;

/// The least that any division of the gates into classes takes: every column is read on the first coset and every fixed
/// column a factor there; a helper of g keys has degree g + 2, so its gate, which multiplies its keys, and the keys'
/// columns are evaluated on g + 1 cosets.
pub(super) fn least_quotient(a: &Architecture, fixed_columns: usize) -> QuotientSize {
    let (mut operations, mut columns, mut cosets) = (fixed_columns, a.advice_columns() + a.instance_columns(), 1);
    for group in keys(a).chunks(a.lookup_group) {
        let sum = |count: fn(&Key) -> usize| group.iter().map(count).sum::<usize>();
        // The first coset's columns are counted already.
        columns += group.len() * (1 + sum(key_columns));
        operations += (group.len() + 1) * (1 + group.len() + sum(compressions));
        cosets = cosets.max(group.len() + 1);
    }
    QuotientSize {
        cosets,
        multiplications: operations,
        additions: operations,
        transforms: columns,
        inverse_transforms: cosets,
        interpolation: cosets * (cosets + 1),
        key_columns: fixed_columns + cosets - 1,
    }
}

/// Multiplications that compress a key: by powers of a challenge, where they are not of a tag that other keys have too.
fn compressions(key: &Key) -> usize {
    match key {
        Key::Range(_) => 0,
        Key::Copy(_) => 1,
        Key::Activation(_) => 2,
    }
}

/// Advice columns of a key.
fn key_columns(key: &Key) -> usize {
    match key {
        Key::Range(_) | Key::Copy(_) => 1,
        Key::Activation(_) => 3,
    }
}

/// Bytes of a field element; a point has two.
const SCALAR: usize = 32;
const POINT: usize = 64;
/// Bytes of a cell of phase 1 on the host, and of most of them on the back end.
const INTEGER: [usize; 2] = [8, 4];
/// Bytes of the layout for each fixed cell: half of them are zero, which it does not list.
const FIXED_CELL: usize = 8;
/// Part of a proof's memory that allocators keep of what they were given back, or lose between vectors: one in so many.
const SLACK: usize = 16;
/// Bytes that the process takes before the first proof: the pages of the program that it touches (21 MB optimised, 38
/// MB not), the model reader, the runtime.
const PROCESS: usize = 64 << 20;
/// Bytes for each learned value: the file, the reader's two copies, the float graph, integers, and the bank.
const PARAMETER_BYTES: usize = 24;
/// Columns that are there while lookups' helpers are made, besides the helpers.
const LOOKUP_COLUMNS: usize = 10;
/// Bytes of sums of buckets while columns are committed to, and of what makes them.
const SUMS_BYTES: usize = 32 << 20;
/// What a stage of the quotient's evaluation brings to a coset: as many bytes, or as many columns.
const STAGE_BYTES: usize = 8 << 20;
const STAGE_COLUMNS: usize = 8;
/// The part of all columns that stages hold on to, since others read them, too: one in so many.
const READ_TOGETHER: usize = 4;
/// Levels of a table of multiples of the reference string's points, at most, with what making it takes.
const TABLE_LEVELS: usize = 20;

/// Memory of a process that makes keys and a proof: what it needs, and what makes proofs faster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryNeeds {
    /// Estimate of the peak in bytes, without anything that only saves time.
    pub least_bytes: u64,
    /// Estimate of what each further proof at the same time needs, in bytes.
    pub proof_bytes: u64,
    /// Bytes of the key's columns on one coset of the quotient, on the average. Kept, they need not be transformed in
    /// every proof.
    pub coset_bytes: u64,
    /// Cosets of the quotient.
    pub cosets: u64,
    /// Most bytes that multiples of the reference string's points may take, for one of the two bases.
    pub table_bytes: u64,
    /// Estimate of what key and proof need of the memory of a device that has its own: points, the key's columns and the
    /// witness's as field elements, and what a phase holds besides.
    pub device_bytes: u64,
}

impl MemoryNeeds {
    pub(super) fn new(a: &Architecture, size: &CircuitSize, filling: &Filling) -> Self {
        let n = 1usize << size.k;
        let column = n * SCALAR;
        // On the host powers, and Lagrange points twice; both on the device.
        let string = 5 * n * POINT;
        let shared = PROCESS + filling.network.parameters * PARAMETER_BYTES + string;
        // A prover keeps the key's columns, as integers; in a small proof as coefficients, too.
        let kept = INTEGER[1] + if size.is_small() { SCALAR } else { 0 };
        let proof = size.fixed_columns * n * kept + witness(a, size, n);
        // Fixed columns are made together; columns are uploaded and committed to batch by batch.
        let setup =
            (size.fixed_columns + 2 * a.weight_columns.min(batch_columns(n))) * column + size.fixed_columns * n * kept;
        let layout = size.fixed_columns * n * FIXED_CELL;
        let most = proof.max(setup);
        Self {
            least_bytes: (shared + layout + most + most / SLACK) as u64,
            proof_bytes: (witness(a, size, n) + witness(a, size, n) / SLACK) as u64,
            coset_bytes: (size.quotient.key_columns * column).div_ceil(size.pieces().max(1)) as u64,
            cosets: size.pieces() as u64,
            table_bytes: (n * POINT * TABLE_LEVELS) as u64,
            device_bytes: (2 * n * POINT + (size.fixed_columns + 2 * size.advice_columns) * column + proof) as u64,
        }
    }
}

/// What a proof holds besides, at its last phase or on the first two cosets of the quotient, whichever is more.
fn witness(a: &Architecture, size: &CircuitSize, n: usize) -> usize {
    let (first, late, column) = (a.first_phase(), a.second_phase() + a.third_phase(), n * SCALAR);
    let [host, device] = INTEGER;
    if size.is_small() {
        // As values or coefficients, and those on a coset.
        let all = size.advice_columns + a.instance_columns();
        return n * first * host + (2 * all + size.fixed_columns + 4 * size.pieces()) * column + SUMS_BYTES;
    }
    // The first phase's columns are integers on both sides; those of later phases are values, then coefficients.
    let columns = n * (first + a.instance_columns()) * (host + device) + late * column;
    // Reciprocals of the tables' rows, and the keys of a lookup on each thread.
    let phases = LOOKUP_COLUMNS * column + SUMS_BYTES;
    // On each of two cosets what stages read; the constraints' folds there, and what is made of them.
    let all = size.advice_columns + a.instance_columns() + size.fixed_columns;
    let read = 2 * all.min(STAGE_BYTES / column + STAGE_COLUMNS + all / READ_TOGETHER);
    let quotient = (read + 4 * size.pieces()) * column;
    columns + phases.max(quotient)
}

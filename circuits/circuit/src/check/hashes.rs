//! Hashes of tensors: the rows are run.
//!
//! On each row the fixed cells say how its cells follow from those of the row before, or from nothing: by the gates of
//! `hash`, and by those alone. So the first lane of a row with a public hash is a polynomial in the row's salt and in
//! the values that digests tie to elements. Here every element is a random number of its own, as is each salt; the rows
//! are gone through, and what comes out must be the hash, by its definition over words, of the tensor that the statement
//! names. A polynomial of the same form with another row, constant, digit or value in it comes out otherwise. The rows
//! are run as they stand in the fixed columns, and must be those of the tensors' own places.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ff::Field;
use halo2curves::bn256::Fr;
use rand_core::{OsRng, RngCore};
use zkml_gpu_graph::{Graph, Op, Storage, TensorId};

use super::cells::{Cells, Columns};
use super::fixed::Fixed;
use super::values::{Value, Values};
use super::{Check, refuse, require};
use crate::hash::{HashRole, HashedTensor, Packing, Poseidon, RowConstants, hash_elements};
use crate::layout::Layout;
use crate::scalar;
use crate::system::{FixedRole, Port};

/// Roles of rows whose state follows from the row before.
const WAYS: [HashRole; 4] = [HashRole::Rotation, HashRole::FullMix, HashRole::PartialMix, HashRole::Pair];

/// What hashes are checked with.
pub(super) struct Hashing<'l> {
    pub(super) graph: &'l Graph,
    pub(super) layout: &'l Layout,
    pub(super) fixed: &'l Fixed<'l>,
    pub(super) values: &'l Values,
    pub(super) cells: &'l Cells,
}

/// What the fixed cells say of a row.
#[derive(Default)]
struct Said {
    flags: HashSet<HashRole>,
    constant: Option<i64>,
}

/// The cells of a row as numbers; none of one that nothing determines.
#[derive(Clone, Copy, Default)]
struct Run {
    state: Option<[Option<Fr>; 3]>,
    word: Option<Fr>,
    held: Option<Fr>,
    /// The salt of the hash that the row belongs to.
    salt: Option<Fr>,
}

/// Each hashed tensor has its hash in the public cell that the statement says; returns their number.
pub(super) fn check(hashing: &Hashing<'_>) -> Check<usize> {
    let ports = hashing.ports()?;
    let tensors = hashing.layout.statement.hashed().or_else(|error| refuse(error.to_string()))?;
    let poseidon = Poseidon::new();
    let constants = RowConstants::new(&poseidon, &tensors);
    let mut public: BTreeMap<usize, Run> = BTreeMap::new();
    let mut before = Run::default();
    let said = hashing.said()?;
    hashing.is_placed(&ports, &tensors)?;
    let elements = Elements::random();
    for row in 0..hashing.fixed.usable() {
        let nothing = Said::default();
        let said = said.get(&row).unwrap_or(&nothing);
        // Row 0 has a blinding row before it.
        require(row > 0 || said.flags.is_empty(), || "a hash on row 0".into())?;
        let run = hashing.run(row, said, &before, (&poseidon, &constants, &elements))?;
        // What ends without a public cell is no tensor's hash, and no hash goes on behind its own.
        let goes_on = WAYS.iter().any(|way| said.flags.contains(way));
        let ended = before.state.is_none() || row.checked_sub(1).is_some_and(|row| public.contains_key(&row));
        require(goes_on != ended, || format!("a hash ends before row {row}, or goes on behind its end"))?;
        if said.flags.contains(&HashRole::Public) {
            public.insert(row, run);
        }
        before = run;
    }
    let ended = before.state.is_none() || public.keys().next_back() == Some(&(hashing.fixed.usable() - 1));
    require(ended, || "a hash goes on behind the last row".into())?;
    require(public.len() == ports.len(), || format!("{} public hashes of {} tensors", public.len(), ports.len()))?;
    for ((port, tensor), rows) in ports.iter().zip(&tensors) {
        let run = public.get(&rows.output_row()).copied().unwrap_or_default();
        let value = |element| match port.storage {
            Storage::OneHot => hashing.values.index(*tensor, element),
            Storage::Plain | Storage::Transposed | Storage::Interleaved { .. } => {
                hashing.values.element(*tensor, element)
            }
        };
        let values: Vec<Fr> = (0..port.logical_len()).map(|element| elements.value(value(element))).collect();
        let hash = run.salt.map(|salt| hash_elements(&poseidon, port.logical_format(), &values, salt));
        let holds = hash.is_some() && run.state.and_then(|[first, ..]| first) == hash;
        require(holds, || format!("the public hash of '{}' is not bound to it", port.name))?;
    }
    Ok(ports.len())
}

impl<'l> Hashing<'l> {
    /// The hashed tensors with the cells that they are hashed from, inputs first.
    fn ports(&self) -> Check<Vec<(&'l Port, TensorId)>> {
        let statement = &self.layout.statement;
        let mut ports = Vec::new();
        for (port, &input) in statement.inputs.iter().zip(&self.graph.inputs).filter(|(port, _)| is_hashed(port)) {
            let enters = |op: &Op| matches!(op, Op::Enter);
            let entered = self.graph.nodes.iter().find(|node| node.inputs == [input] && enters(&node.op));
            match entered {
                Some(entered) => ports.push((port, entered.output)),
                None => return refuse(format!("the hashed input '{}' has no cells", port.name)),
            }
        }
        let outputs = statement.outputs.iter().zip(&self.graph.outputs).filter(|(port, _)| is_hashed(port));
        ports.extend(outputs.map(|(port, output)| (port, *output)));
        Ok(ports)
    }

    /// The fixed cells of hashes are those of the tensors' own places, which say how many digits a word has.
    fn is_placed(&self, ports: &[(&Port, TensorId)], tensors: &[HashedTensor]) -> Check {
        require(ports.len() == tensors.len(), || "hashes of other tensors".into())?;
        let mut expected = BTreeSet::new();
        for (number, ((port, _), tensor)) in ports.iter().zip(tensors).enumerate() {
            let own = HashedTensor::new(port.logical_format(), port.logical_len(), tensor.first_row());
            require(own.as_ref() == Ok(tensor), || format!("the hash of '{}' is of another format", port.name))?;
            expected.extend(tensor.fixed_cells(number));
        }
        let mut found = BTreeSet::new();
        for (role, cells) in self.fixed.roles() {
            if let FixedRole::Hash(role) = role {
                found.extend(cells.iter().map(|(row, value)| (*role, *row as usize, *value)));
            }
        }
        let other = expected.symmetric_difference(&found).next();
        require(other.is_none(), || format!("a cell of a hash is there or missing: {other:?}"))
    }

    fn said(&self) -> Check<BTreeMap<usize, Said>> {
        let mut rows: BTreeMap<usize, Said> = BTreeMap::new();
        for (role, cells) in self.fixed.roles() {
            let FixedRole::Hash(role) = role else { continue };
            for (row, value) in cells {
                let said = rows.entry(*row as usize).or_default();
                if *role == HashRole::Constant {
                    said.constant = Some(*value);
                } else {
                    require(*value == 1, || format!("{role:?} is {value} on row {row}"))?;
                    said.flags.insert(*role);
                }
            }
        }
        Ok(rows)
    }

    /// The cells of a row, given those of the row before.
    fn run(
        &self,
        row: usize,
        said: &Said,
        before: &Run,
        (poseidon, constants, elements): (&Poseidon, &RowConstants, &Elements),
    ) -> Check<Run> {
        let mut run = Run { salt: before.salt, ..Run::default() };
        let digits: Vec<(Packing, bool)> = said.flags.iter().filter_map(digit).collect();
        match digits[..] {
            [] => {}
            [(packing, first)] => {
                let value = self.cells.get(Columns(&self.layout.architecture).hashed(), row);
                require(value != Value::UNKNOWN, || format!("the hash on row {row} has the value of no element"))?;
                let higher = if first { Some(Fr::ZERO) } else { before.word.map(|word| word * packing.base()) };
                run.word = higher.map(|higher| higher + elements.value(value) + packing.offset());
                run.held = if first { before.word } else { before.held };
            }
            _ => return refuse(format!("row {row} has two digits of a hash")),
        }
        let has = |role: HashRole| said.flags.contains(&role);
        let ways: Vec<HashRole> = WAYS.into_iter().filter(|role| has(*role)).collect();
        if !has(HashRole::Row) {
            let alone = ways.is_empty() && said.constant.is_none() && !has(HashRole::Lone) && !has(HashRole::Public);
            require(alone, || format!("row {row} is of no hash, and has a part of one"))?;
            return Ok(run);
        }
        let constant = match said.constant.map(|number| constants.element(number)) {
            None => Fr::ZERO,
            Some(Some(constant)) => constant,
            Some(None) => return refuse(format!("row {row} has a constant that no hash has")),
        };
        let lanes = match (&ways[..], before.after()) {
            ([], _) => {
                let salt = elements.salt(row);
                run.salt = Some(salt);
                [Some(Fr::ZERO), Some(salt), if has(HashRole::Lone) { run.word } else { Some(Fr::ZERO) }]
            }
            (_, None) => return refuse(format!("row {row} goes on with a hash that has no row before")),
            ([HashRole::Rotation], Some([powered, second, third])) => [second, third, powered].map(Some),
            ([HashRole::PartialMix], Some(state)) => poseidon.mix(state).map(Some),
            ([HashRole::FullMix], Some([powered, second, third])) => poseidon.mix([second, third, powered]).map(Some),
            ([HashRole::Pair], Some([powered, second, third])) => {
                [Some(poseidon.mix([second, third, powered])[0]), run.held, run.word]
            }
            _ => return refuse(format!("row {row} follows from the row before in two ways")),
        };
        require(ways.is_empty() || !has(HashRole::Lone), || format!("row {row} adds a word to a mixed state"))?;
        let [first, second, third] = lanes;
        run.state = Some([first.map(|first| first + constant), second, third]);
        Ok(run)
    }
}

impl Run {
    /// The S-box of the first lane, and the other two; none where a lane is free.
    fn after(&self) -> Option<[Fr; 3]> {
        let [first, second, third] = self.state?;
        let first = first?;
        Some([first.square().square() * first, second?, third?])
    }
}

fn is_hashed(port: &Port) -> bool {
    port.hashed().is_some()
}

/// Packing of a digit, and whether it is a word's first.
const fn digit(role: &HashRole) -> Option<(Packing, bool)> {
    match *role {
        HashRole::First(packing) => Some((packing, true)),
        HashRole::Next(packing) => Some((packing, false)),
        HashRole::Row
        | HashRole::Constant
        | HashRole::Rotation
        | HashRole::FullMix
        | HashRole::PartialMix
        | HashRole::Pair
        | HashRole::Lone
        | HashRole::Public => None,
    }
}

/// What stands for values and salts. An owner chooses the layout, so it must not know them: with numbers that it knows it
/// could look for sums of other elements that are equal to a word.
struct Elements([u8; 64]);

impl Elements {
    fn random() -> Self {
        let mut seed = [0; 64];
        OsRng.fill_bytes(&mut seed);
        Self(seed)
    }

    /// The number that stands for a value: 0 for 0, for others one that no other has.
    fn value(&self, value: Value) -> Fr {
        if value == Value::ZERO { Fr::ZERO } else { self.element(b"value", value.number().into()) }
    }

    /// The number that stands for the salt of a hash that begins on this row.
    fn salt(&self, row: usize) -> Fr {
        self.element(b"salt", row as u64)
    }

    /// An element that follows from nothing in a circuit.
    fn element(&self, what: &[u8], number: u64) -> Fr {
        let mut state = blake2b_simd::Params::new().personal(b"zkml-gpu check").key(&self.0).to_state();
        let hash = state.update(what).update(&number.to_le_bytes()).finalize();
        scalar::from_wide(hash.as_array())
    }
}

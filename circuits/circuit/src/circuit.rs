//! The Halo2 circuit of a network. Its witness is computed by columns: our prover takes them as they are
//! ([`NetworkColumns`]), any other runs the circuit, which assigns them.

use std::borrow::Cow;
use std::fmt;

use halo2_proofs::circuit::{Layouter, Region, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{Advice, Circuit, Column, ConstraintSystem, Error};
use halo2curves::bn256::Fr;
use zkml_gpu_engine::prover::{AdviceColumn, ColumnWitness, Derived, Rule};

use crate::commit::Bank;
use crate::hash::{HashColumns, HashRole, Poseidon, RowConstants};
use crate::layout::Layout;
use crate::system::{Architecture, Challenges, FixedRole, NetworkConfig};
use crate::trace::{self, Before, SecondPhase};
use crate::{gates, scalar};

pub use crate::trace::Witness;

/// The folded weights, where these are a column, and the columns of the last phase (accumulators, lookup helpers, the
/// grand sum), and how they follow from the weights and from columns before: for a prover whose columns are on a
/// device.
pub fn derived_columns(layout: &Layout, bank: &Bank) -> Vec<Derived> {
    let folded = layout.architecture.folded_weights();
    let folded = folded.map(|column| Derived { column, rule: Rule::Fold(bank.to_fold()) });
    let last = gates::configure(&mut ConstraintSystem::default(), layout.architecture.clone()).derived;
    folded.into_iter().chain(last).collect()
}

/// A network as a circuit: without a witness for key generation, with one for proving.
#[derive(Clone, Debug)]
pub struct NetworkCircuit<'a> {
    layout: &'a Layout,
    /// Assigned where the weights are embedded.
    bank: &'a Bank,
    witness: Option<Witness<'a>>,
    changed: Vec<(usize, usize, Fr)>,
}

impl<'a> NetworkCircuit<'a> {
    /// The circuit without a witness, for key generation: assigns the fixed columns, which hold the learned values only
    /// where the layout embeds them.
    pub fn keygen(layout: &'a Layout, bank: &'a Bank) -> Self {
        Self { layout, bank, witness: None, changed: Vec::new() }
    }

    /// The circuit with a witness.
    pub fn proving(layout: &'a Layout, witness: Witness<'a>) -> Self {
        Self { witness: Some(witness), ..Self::keygen(layout, witness.bank) }
    }

    /// Adds `delta` to an advice cell after everything is computed. Breaks the witness: for tests of soundness.
    #[doc(hidden)]
    pub fn with_changed_cell(mut self, column: usize, row: usize, delta: Fr) -> Self {
        self.changed.push((column, row, delta));
        self
    }
}

impl NetworkCircuit<'_> {
    /// What the circuit assigns to its advice columns; `None` without a witness.
    pub fn columns(&self) -> Option<NetworkColumns<'_>> {
        let witness = self.witness?;
        Some(NetworkColumns { layout: self.layout, witness, changed: &self.changed, second: None })
    }
}

impl Circuit<Fr> for NetworkCircuit<'_> {
    type Config = NetworkConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Architecture;

    fn params(&self) -> Architecture {
        self.layout.architecture.clone()
    }

    fn without_witnesses(&self) -> Self {
        Self { witness: None, ..self.clone() }
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> NetworkConfig {
        gates::configure(meta, Architecture::default())
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, params: Architecture) -> NetworkConfig {
        gates::configure(meta, params)
    }

    fn synthesize(&self, config: NetworkConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_region(|| "network", |mut region| self.assign(&config, self.layout, &mut region))
    }
}

impl NetworkCircuit<'_> {
    fn assign(&self, config: &NetworkConfig, layout: &Layout, region: &mut Region<'_, Fr>) -> Result<(), Error> {
        self.assign_fixed(config, layout, region)?;
        let Some(mut columns) = self.columns() else { return Ok(()) };
        let Challenges { s, r, t, alpha, theta } = config.challenges;
        for phase in 0..=columns.last_phase() {
            if phase > 0 {
                region.next_phase();
            }
            let challenges = [s, r, t, alpha, theta].map(|challenge| known(region.get_challenge(challenge)));
            let due = match phase {
                0 => 0,
                last if last == columns.last_phase() => challenges.len(),
                _ => 1,
            };
            // A prover that runs the circuit once for each phase knows the challenges of later ones in later runs.
            if challenges[..due].iter().any(Option::is_none) {
                return Ok(());
            }
            for (index, column) in columns.columns(phase, &challenges)? {
                let column_of = config.advice[index];
                match column {
                    AdviceColumn::Integers(values) => {
                        assign_column(column_of, values.iter().map(|v| scalar::from_i64(*v)), region);
                    }
                    AdviceColumn::Elements(values) => assign_column(column_of, values.iter().copied(), region),
                }
            }
        }
        Ok(())
    }

    fn assign_fixed(&self, config: &NetworkConfig, layout: &Layout, region: &mut Region<'_, Fr>) -> Result<(), Error> {
        let roles = layout.architecture.fixed.iter();
        for ((role, column), cells) in roles.zip(&config.fixed).zip(&layout.fixed) {
            let is_constant = *role == FixedRole::Hash(HashRole::Constant);
            let constants = if is_constant { Some(hash_constants(layout)?) } else { None };
            for (row, value) in cells {
                let element = match &constants {
                    Some(constants) => constants.element(*value).ok_or(Error::Synthesis)?,
                    None => scalar::from_i64(*value),
                };
                region.assign_fixed(*column, *row as usize, element);
            }
        }
        for (index, column) in config.weights.iter().enumerate() {
            for (row, value) in self.bank.cells(index) {
                region.assign_fixed(*column, row, scalar::from_i64(value));
            }
        }
        Ok(())
    }
}

/// The elements of the hashes' constants.
fn hash_constants(layout: &Layout) -> Result<RowConstants, Error> {
    let tensors = layout.statement.hashed().map_err(|_| Error::Synthesis)?;
    Ok(RowConstants::new(&Poseidon::new(), &tensors))
}

fn assign_column(column: Column<Advice>, values: impl Iterator<Item = Fr>, region: &mut Region<'_, Fr>) {
    for (row, value) in values.enumerate() {
        region.assign_advice(column, row, Value::known(value));
    }
}

/// The value, where it is known.
fn known(value: Value<Fr>) -> Option<Fr> {
    let mut inner = None;
    value.map(|v| inner = Some(v));
    inner
}

/// The witness of a circuit, phase by phase.
pub struct NetworkColumns<'c> {
    layout: &'c Layout,
    witness: Witness<'c>,
    changed: &'c [(usize, usize, Fr)],
    second: Option<SecondPhase>,
}

impl fmt::Debug for NetworkColumns<'_> {
    /// Nothing: the values may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkColumns").finish_non_exhaustive()
    }
}

impl NetworkColumns<'_> {
    /// Phase of the accumulators, the helpers and the sum.
    fn last_phase(&self) -> u8 {
        1 + u8::from(self.layout.architecture.second_phase() > 0)
    }

    fn first_columns(&self) -> Vec<(usize, AdviceColumn<'_>)> {
        let (a, first) = (&self.layout.architecture, self.witness.first);
        let products = a.product(0)..a.product(a.product_columns);
        let hashes = a.hash(0)..a.hash(a.hash_columns().min(HashColumns::ELEMENTS));
        let column = |index: usize| {
            if products.contains(&index) {
                AdviceColumn::Elements(Cow::Borrowed(&*first.products[index - products.start]))
            } else if hashes.contains(&index) {
                AdviceColumn::Elements(Cow::Borrowed(&*first.hashes[index - hashes.start]))
            } else {
                AdviceColumn::Integers(Cow::Borrowed(&*first.columns[index]))
            }
        };
        (0..a.first_phase()).map(|index| (index, column(index))).collect()
    }

    fn second_columns(&mut self, s: Fr) -> Vec<(usize, AdviceColumn<'_>)> {
        let a = &self.layout.architecture;
        let SecondPhase { folded, cross_terms } = self.second.insert(SecondPhase::new(&self.witness, self.layout, s));
        let folded = a.folded_weights().map(|index| (index, &*folded));
        let columns = folded.into_iter().chain((a.cross_term(0)..).zip(&*cross_terms));
        columns.map(|(index, column)| (index, AdviceColumn::Elements(Cow::Borrowed(column)))).collect()
    }

    fn third_columns(&mut self, challenges: &Challenges<Fr>) -> Vec<(usize, AdviceColumn<'_>)> {
        let Witness { first, instances, .. } = self.witness;
        let embedded = || SecondPhase::new(&self.witness, self.layout, challenges.s);
        let second = self.second.take().unwrap_or_else(embedded);
        let before = Before { layout: self.layout, first, second: &second, instances };
        let columns = trace::third_phase(before, challenges).into_iter();
        let a = &self.layout.architecture;
        let indices = a.first_phase() + a.second_phase()..;
        indices.zip(columns.map(|column| AdviceColumn::Elements(Cow::Owned(column)))).collect()
    }
}

impl ColumnWitness for NetworkColumns<'_> {
    fn columns(&mut self, phase: u8, challenges: &[Option<Fr>]) -> Result<Vec<(usize, AdviceColumn<'_>)>, Error> {
        let (last, changed) = (self.last_phase(), self.changed);
        let known = |index: usize| challenges.get(index).copied().flatten().ok_or(Error::Synthesis);
        let mut columns = match phase {
            0 => self.first_columns(),
            _ if phase < last => self.second_columns(known(0)?),
            _ if self.witness.derived => Vec::new(),
            _ => {
                let [s, r, t, alpha, theta] = [known(0)?, known(1)?, known(2)?, known(3)?, known(4)?];
                self.third_columns(&Challenges { s, r, t, alpha, theta })
            }
        };
        for &(index, row, delta) in changed {
            if let Some((_, column)) = columns.iter_mut().find(|(of, _)| *of == index) {
                let mut elements: Vec<Fr> = match column {
                    AdviceColumn::Integers(values) => values.iter().map(|v| scalar::from_i64(*v)).collect(),
                    AdviceColumn::Elements(values) => values.to_vec(),
                };
                elements[row] += delta;
                *column = AdviceColumn::Elements(Cow::Owned(elements));
            }
        }
        Ok(columns)
    }
}

//! The Halo2 circuit of a network.

use ff::Field;
use halo2_proofs::{
    circuit::{Layouter, Region, SimpleFloorPlanner, Value},
    plonk::{Circuit, ConstraintSystem, Error},
};
use halo2curves::bn256::Fr;
use zkml_gpu_engine::prover::Derived;

use crate::{
    chips::{self, NetworkConfig},
    commit::Bank,
    graph::{Execution, Graph},
    layout::{Architecture, Layout},
    scalar,
    trace::{self, Before, FirstPhase, SecondPhase},
};

/// What the prover knows.
#[derive(Clone, Copy, Debug)]
pub struct Witness<'a> {
    /// The network.
    pub graph: &'a Graph,
    /// One inference.
    pub execution: &'a Execution,
    /// The learned values by row and column of the weight bank.
    pub bank: &'a Bank,
    /// Phase 1 of the witness.
    pub first: &'a FirstPhase,
    /// The instance columns.
    pub instances: &'a [Vec<Fr>],
    /// Whether the prover computes the last phase by itself, from [`derived_columns`].
    pub derived: bool,
}

/// The columns of the last phase (accumulators, lookup helpers, the grand sum), and how they follow from those before: for a prover whose
/// columns are on a device.
pub fn derived_columns(layout: &Layout) -> Vec<Derived> {
    chips::configure(&mut ConstraintSystem::default(), layout.architecture.clone()).derived
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
        chips::configure(meta, Architecture::default())
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, params: Architecture) -> NetworkConfig {
        chips::configure(meta, params)
    }

    fn synthesize(&self, config: NetworkConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_region(|| "network", |mut region| self.assign(&config, self.layout, &mut region))
    }
}

impl NetworkCircuit<'_> {
    fn assign(&self, config: &NetworkConfig, layout: &Layout, region: &mut Region<'_, Fr>) -> Result<(), Error> {
        self.assign_fixed(config, layout, region);
        let Some(witness) = &self.witness else { return Ok(()) };
        let a = &layout.architecture;
        self.assign_first(config, witness.first, a, region);
        region.next_phase();
        if witness.derived && a.second_phase() == 0 {
            return Ok(());
        }
        let Some(s) = known(region.get_challenge(config.challenges.s)) else { return Ok(()) };
        let second = SecondPhase::new(layout, witness.graph, witness.execution, witness.bank, s);
        if let Some(folded) = a.folded_weights() {
            self.assign_column(config, folded, second.folded.iter().copied(), region);
        }
        self.assign_columns(config, a.garbage(0), &second.garbage, region);
        if a.second_phase() > 0 {
            region.next_phase();
        }
        if witness.derived {
            return Ok(());
        }
        let challenges = config.challenges.map(|challenge| known(region.get_challenge(challenge)));
        if challenges.r.is_none() {
            return Ok(());
        }
        let challenges = challenges.map(|value| value.unwrap_or(Fr::ZERO));
        let before = Before { layout, first: witness.first, second: &second, instances: witness.instances };
        let third = trace::third_phase(before, &challenges);
        self.assign_columns(config, a.first_phase() + a.second_phase(), &third, region);
        Ok(())
    }

    fn assign_fixed(&self, config: &NetworkConfig, layout: &Layout, region: &mut Region<'_, Fr>) {
        for (column, cells) in config.fixed.iter().zip(&layout.fixed) {
            for (row, value) in cells {
                region.assign_fixed(*column, *row as usize, scalar::from_i64(*value));
            }
        }
        for (index, column) in config.weights.iter().enumerate() {
            for (row, value) in self.bank.cells(index) {
                region.assign_fixed(*column, row, scalar::from_i64(value));
            }
        }
    }

    fn assign_first(&self, config: &NetworkConfig, first: &FirstPhase, a: &Architecture, region: &mut Region<'_, Fr>) {
        for (index, column) in first.columns.iter().enumerate() {
            let product = (a.product(0)..a.product(a.product_columns)).contains(&index);
            if product {
                self.assign_column(config, index, first.products[index - a.product(0)].iter().copied(), region);
            } else {
                self.assign_column(config, index, column.iter().map(|v| scalar::from_i64(*v)), region);
            }
        }
    }

    fn assign_columns(&self, config: &NetworkConfig, first: usize, columns: &[Vec<Fr>], region: &mut Region<'_, Fr>) {
        for (i, column) in columns.iter().enumerate() {
            self.assign_column(config, first + i, column.iter().copied(), region);
        }
    }

    fn assign_column(
        &self,
        config: &NetworkConfig,
        index: usize,
        values: impl Iterator<Item = Fr>,
        region: &mut Region<'_, Fr>,
    ) {
        for (row, mut value) in values.enumerate() {
            for (_, _, delta) in self.changed.iter().filter(|(c, r, _)| (*c, *r) == (index, row)) {
                value += delta;
            }
            region.assign_advice(config.advice[index], row, Value::known(value));
        }
    }
}

/// The value, where it is known.
fn known(value: Value<Fr>) -> Option<Fr> {
    let mut inner = None;
    value.map(|v| inner = Some(v));
    inner
}

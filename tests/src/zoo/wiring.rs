//! Instance columns, copy constraints and constants.

use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{Advice, Circuit, Column, ConstraintSystem, Error, Fixed, Instance, Selector};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;

use super::{Specimen, field};

/// Two instance columns: one tied to advice cells by copy constraints, one read by a gate at two rotations.
#[derive(Debug, Clone)]
pub struct Public {
    secrets: Vec<u64>,
    inputs: [Vec<u64>; 2],
}

impl Specimen for Public {
    const K: u32 = 5;

    fn honest() -> Self {
        Public { secrets: vec![3, 4, 5], inputs: [vec![3, 4, 5], vec![1, 2, 2, 3]] }
    }

    fn other() -> Self {
        Public { secrets: vec![7, 8, 9], inputs: [vec![7, 8, 9], vec![3, 4, 4, 5]] }
    }

    fn tampered() -> Option<Self> {
        Some(Public { inputs: [vec![3, 5, 5], vec![1, 2, 2, 3]], ..Self::honest() })
    }

    fn instances(&self) -> Vec<Vec<Fr>> {
        self.inputs.iter().map(|column| field(column)).collect()
    }
}

impl Circuit<Fr> for Public {
    type Config = (Column<Advice>, [Column<Instance>; 2], Selector);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let secret = cs.advice_column();
        let inputs = [(); 2].map(|()| cs.instance_column());
        let selector = cs.selector();
        cs.enable_equality(secret);
        cs.enable_equality(inputs[0]);
        cs.create_gate("secret is the sum of two inputs", |cells| {
            let secret = cells.query_advice(secret, Rotation::cur());
            let first = cells.query_instance(inputs[1], Rotation::cur());
            let second = cells.query_instance(inputs[1], Rotation::next());
            vec![cells.query_selector(selector) * (first + second - secret)]
        });
        (secret, inputs, selector)
    }

    fn synthesize(
        &self,
        (secret, inputs, selector): Self::Config,
        mut layouter: impl Layouter<Fr>,
    ) -> Result<(), Error> {
        let cells = layouter.assign_region(
            || "secrets",
            |mut region| {
                let mut cells = Vec::new();
                for (row, &value) in self.secrets.iter().enumerate() {
                    selector.enable(&mut region, row)?;
                    cells.push(region.assign_advice(secret, row, Value::known(Fr::from(value))).cell());
                }
                Ok(cells)
            },
        )?;
        for (row, cell) in cells.into_iter().enumerate() {
            layouter.constrain_instance(cell, inputs[0], row);
        }
        Ok(())
    }
}

/// Copy constraints among seven advice columns, a fixed and an instance column: several grand products.
#[derive(Debug, Clone)]
pub struct Chunks {
    values: Vec<u64>,
    odd_one: Option<u64>,
}

const CHUNK_COLUMNS: usize = 7;

impl Specimen for Chunks {
    const K: u32 = 6;

    fn honest() -> Self {
        Chunks { values: vec![11, 22, 33, 44, 55], odd_one: None }
    }

    fn tampered() -> Option<Self> {
        Some(Chunks { odd_one: Some(45), ..Self::honest() })
    }

    fn instances(&self) -> Vec<Vec<Fr>> {
        vec![field(&self.values)]
    }
}

impl Circuit<Fr> for Chunks {
    type Config = ([Column<Advice>; CHUNK_COLUMNS], Column<Fixed>, Column<Instance>);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let advice = [(); CHUNK_COLUMNS].map(|()| cs.advice_column());
        let (fixed, instance) = (cs.fixed_column(), cs.instance_column());
        for column in advice {
            cs.enable_equality(column);
        }
        cs.enable_equality(fixed);
        cs.enable_equality(instance);
        (advice, fixed, instance)
    }

    /// Value i stands in every column, at rows that wander, and all its cells are tied in one cycle.
    fn synthesize(
        &self,
        (advice, fixed, instance): Self::Config,
        mut layouter: impl Layouter<Fr>,
    ) -> Result<(), Error> {
        let firsts = layouter.assign_region(
            || "copies",
            |mut region| {
                let mut firsts = Vec::new();
                for (index, &value) in self.values.iter().enumerate() {
                    let constant = region.assign_fixed(fixed, 2 * index, Fr::from([11, 22, 33, 44, 55][index]));
                    let first = region.assign_advice(advice[0], index, Value::known(Fr::from(value)));
                    region.constrain_equal(first.cell(), constant);
                    for (offset, &column) in advice.iter().enumerate().skip(1) {
                        let copied = match self.odd_one {
                            Some(other) if (index, offset) == (3, 5) => other,
                            _ => value,
                        };
                        let row = (index * 3 + offset * 5) % 40;
                        let copy = region.assign_advice(column, row, Value::known(Fr::from(copied)));
                        region.constrain_equal(copy.cell(), first.cell());
                    }
                    firsts.push(first.cell());
                }
                Ok(firsts)
            },
        )?;
        for (row, cell) in firsts.into_iter().enumerate() {
            layouter.constrain_instance(cell, instance, row);
        }
        Ok(())
    }
}

/// Cells fixed to constants, and copied with their values from assigned cells.
#[derive(Debug, Clone)]
pub struct Constants {
    last: u64,
}

impl Specimen for Constants {
    const K: u32 = 4;

    fn honest() -> Self {
        Constants { last: 42 }
    }

    fn tampered() -> Option<Self> {
        Some(Constants { last: 43 })
    }
}

impl Circuit<Fr> for Constants {
    type Config = [Column<Advice>; 2];
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let columns = [(); 2].map(|()| cs.advice_column());
        let constants = cs.fixed_column();
        cs.enable_constant(constants);
        for column in columns {
            cs.enable_equality(column);
        }
        columns
    }

    fn synthesize(&self, [left, right]: Self::Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_region(
            || "constants",
            |mut region| {
                region.assign_advice_from_constant(|| "seven", left, 0, Fr::from(7))?;
                let answer = region.assign_advice(left, 1, Value::known(Fr::from(self.last)));
                region.constrain_constant(answer.cell(), Fr::from(42))?;
                answer.copy_advice(&mut region, right, 3);
                Ok(())
            },
        )
    }
}

//! Circuits without columns or without witness, many columns, many rows.

use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{Advice, Circuit, Column, ConstraintSystem, Error, Fixed, Instance, Selector, TableColumn};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;

use super::{Specimen, field};

/// No columns and no constraints at all.
#[derive(Debug, Clone)]
pub struct Empty;

impl Specimen for Empty {
    const K: u32 = 4;

    fn honest() -> Self {
        Empty
    }

    fn tampered() -> Option<Self> {
        None
    }
}

impl Circuit<Fr> for Empty {
    type Config = ();
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        Empty
    }

    fn configure(_: &mut ConstraintSystem<Fr>) {}

    fn synthesize(&self, (): (), _: impl Layouter<Fr>) -> Result<(), Error> {
        Ok(())
    }
}

/// A statement about public inputs alone: no advice columns.
#[derive(Debug, Clone)]
pub struct PublicOnly {
    inputs: Vec<u64>,
}

impl Specimen for PublicOnly {
    const K: u32 = 4;

    fn honest() -> Self {
        PublicOnly { inputs: vec![3, 1, 4] }
    }

    fn tampered() -> Option<Self> {
        Some(PublicOnly { inputs: vec![3, 1, 5] })
    }

    fn instances(&self) -> Vec<Vec<Fr>> {
        vec![field(&self.inputs)]
    }
}

impl Circuit<Fr> for PublicOnly {
    type Config = (Column<Fixed>, Selector);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let (expected, input, selector) = (cs.fixed_column(), cs.instance_column(), cs.selector());
        cs.create_gate("expected", |cells| {
            let expected = cells.query_fixed(expected, Rotation::cur());
            let input = cells.query_instance(input, Rotation::cur());
            vec![cells.query_selector(selector) * (expected - input)]
        });
        (expected, selector)
    }

    fn synthesize(&self, (expected, selector): Self::Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_region(
            || "expected",
            |mut region| {
                for (row, value) in field(&[3, 1, 4]).into_iter().enumerate() {
                    region.assign_fixed(expected, row, value);
                    selector.enable(&mut region, row)?;
                }
                Ok(())
            },
        )
    }
}

/// Sixty advice columns of small and full-size values on 4096 rows, in gates of degree 3: the shape of a small network.
#[derive(Debug, Clone)]
pub struct Wide {
    error: u64,
}

/// Advice columns of [`Wide`].
const WIDE_COLUMNS: usize = 60;
const WIDE_ROWS: usize = 4000;

impl Specimen for Wide {
    const K: u32 = 12;

    fn honest() -> Self {
        Wide { error: 0 }
    }

    fn tampered() -> Option<Self> {
        Some(Wide { error: 1 })
    }

    fn instances(&self) -> Vec<Vec<Fr>> {
        vec![field(&[1, 2, 3])]
    }
}

impl Circuit<Fr> for Wide {
    type Config = (Vec<Column<Advice>>, Column<Instance>, Selector);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let columns: Vec<_> = (0..WIDE_COLUMNS).map(|_| cs.advice_column()).collect();
        let (instance, selector) = (cs.instance_column(), cs.selector());
        cs.enable_equality(instance);
        cs.enable_equality(columns[0]);
        for triple in columns.chunks(3) {
            cs.create_gate("product and next", |cells| {
                let selector = cells.query_selector(selector);
                let [a, b, c] =
                    [triple[0], triple[1], triple[2]].map(|column| cells.query_advice(column, Rotation::cur()));
                vec![selector * (a * b - c)]
            });
        }
        (columns, instance, selector)
    }

    /// Per three columns: two small values and their product.
    fn synthesize(
        &self,
        (columns, instance, selector): Self::Config,
        mut layouter: impl Layouter<Fr>,
    ) -> Result<(), Error> {
        let inputs = layouter.assign_region(
            || "products",
            |mut region| {
                let mut inputs = Vec::new();
                for row in 0..WIDE_ROWS {
                    selector.enable(&mut region, row)?;
                    for (index, triple) in columns.chunks(3).enumerate() {
                        let seed = (row * 31 + index * 17) as u64;
                        let a = if index == 0 && row < 3 { row as u64 + 1 } else { seed % 251 };
                        let b = Fr::from(seed % 127) - Fr::from(60);
                        let error = Fr::from(if (row, index) == (3999, 19) { self.error } else { 0 });
                        let cell = region.assign_advice(triple[0], row, Value::known(Fr::from(a))).cell();
                        region.assign_advice(triple[1], row, Value::known(b));
                        region.assign_advice(triple[2], row, Value::known(Fr::from(a) * b + error));
                        if index == 0 && row < 3 {
                            inputs.push(cell);
                        }
                    }
                }
                Ok(inputs)
            },
        )?;
        for (row, cell) in inputs.into_iter().enumerate() {
            layouter.constrain_instance(cell, instance, row);
        }
        Ok(())
    }
}

/// One running sum over 16 000 rows with a range lookup of 2^13 entries.
#[derive(Debug, Clone)]
pub struct Tall {
    error: u64,
}

const TALL_ROWS: usize = 16_000;
const TALL_TABLE: usize = 1 << 13;

impl Specimen for Tall {
    const K: u32 = 14;

    fn honest() -> Self {
        Tall { error: 0 }
    }

    fn tampered() -> Option<Self> {
        Some(Tall { error: 1 })
    }
}

impl Circuit<Fr> for Tall {
    type Config = ([Column<Advice>; 2], TableColumn, Selector);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let [value, sum] = [(); 2].map(|()| cs.advice_column());
        let (table, selector) = (cs.lookup_table_column(), cs.selector());
        cs.create_gate("running sum", |cells| {
            let value = cells.query_advice(value, Rotation::cur());
            let current = cells.query_advice(sum, Rotation::cur());
            let next = cells.query_advice(sum, Rotation::next());
            vec![cells.query_selector(selector) * (current + value - next)]
        });
        cs.lookup("range", |cells| vec![(cells.query_advice(value, Rotation::cur()), table)]);
        ([value, sum], table, selector)
    }

    fn synthesize(
        &self,
        ([value, sum], table, selector): Self::Config,
        mut layouter: impl Layouter<Fr>,
    ) -> Result<(), Error> {
        layouter.assign_table(
            || "range",
            |mut cells| {
                (0..TALL_TABLE).try_for_each(|row| {
                    cells.assign_cell(|| "entry", table, row, || Value::known(Fr::from(row as u64)))
                })
            },
        )?;
        layouter.assign_region(
            || "sum",
            |mut region| {
                let mut total = Fr::zero();
                for row in 0..TALL_ROWS {
                    let number = Fr::from((row * 7919 % TALL_TABLE) as u64);
                    region.assign_advice(value, row, Value::known(number));
                    region.assign_advice(sum, row, Value::known(total));
                    total += number;
                    if row + 1 < TALL_ROWS {
                        selector.enable(&mut region, row)?;
                    } else {
                        let past_end = number + Fr::from(self.error * TALL_TABLE as u64);
                        region.assign_advice(value, row, Value::known(past_end));
                    }
                }
                Ok(())
            },
        )
    }
}

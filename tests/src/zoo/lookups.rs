//! Built-in lookups.

use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{Advice, Circuit, Column, ConstraintSystem, Error, Expression, Selector, TableColumn};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;

use super::Specimen;

/// One lookup of one column in one fixed table, with many repetitions.
#[derive(Debug, Clone)]
pub struct RangeCheck {
    values: Vec<u64>,
}

impl Specimen for RangeCheck {
    const K: u32 = 6;

    fn honest() -> Self {
        RangeCheck { values: (0..40).map(|index| index * index % 16).collect() }
    }

    fn tampered() -> Option<Self> {
        let mut values = Self::honest().values;
        values[39] = 16;
        Some(RangeCheck { values })
    }
}

impl Circuit<Fr> for RangeCheck {
    type Config = (Column<Advice>, TableColumn);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let (value, table) = (cs.advice_column(), cs.lookup_table_column());
        cs.lookup("range", |cells| vec![(cells.query_advice(value, Rotation::cur()), table)]);
        (value, table)
    }

    fn synthesize(&self, (value, table): Self::Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_table(
            || "range",
            |mut cells| {
                (0..16).try_for_each(|row| {
                    cells.assign_cell(|| "entry", table, row, || Value::known(Fr::from(row as u64)))
                })
            },
        )?;
        layouter.assign_region(
            || "values",
            |mut region| {
                for (row, &number) in self.values.iter().enumerate() {
                    region.assign_advice(value, row, Value::known(Fr::from(number)));
                }
                Ok(())
            },
        )
    }
}

/// Three lookups at once: pairs with selected, shifted expression inputs in a table of two columns; the same table's
/// first column by a product of cells; and advice in advice.
#[derive(Debug, Clone)]
pub struct ManyLookups {
    error: u64,
}

/// Columns of [`ManyLookups`].
#[derive(Debug, Clone, Copy)]
pub struct ManyLookupsConfig {
    number: Column<Advice>,
    square: Column<Advice>,
    memory: Column<Advice>,
    selector: Selector,
    table: [TableColumn; 2],
}

const TABLE_ROWS: usize = 100;
const LOOKUP_ROWS: usize = 200;

impl Specimen for ManyLookups {
    const K: u32 = 8;

    fn honest() -> Self {
        ManyLookups { error: 0 }
    }

    fn tampered() -> Option<Self> {
        Some(ManyLookups { error: 1 })
    }
}

impl Circuit<Fr> for ManyLookups {
    type Config = ManyLookupsConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let config = ManyLookupsConfig {
            number: cs.advice_column(),
            square: cs.advice_column(),
            memory: cs.advice_column(),
            selector: cs.complex_selector(),
            table: [(); 2].map(|()| cs.lookup_table_column()),
        };
        cs.lookup("squares", |cells| {
            let selector = cells.query_selector(config.selector);
            let number = cells.query_advice(config.number, Rotation::cur());
            let square = cells.query_advice(config.square, Rotation::cur());
            vec![(selector.clone() * number, config.table[0]), (selector * square, config.table[1])]
        });
        cs.lookup("difference", |cells| {
            let selector = cells.query_selector(config.selector);
            let number = cells.query_advice(config.number, Rotation::cur());
            let previous = cells.query_advice(config.number, Rotation::prev());
            vec![(selector * (number - previous * Fr::from(2) + offset()), config.table[0])]
        });
        cs.lookup_any("memory", |cells| {
            let number = cells.query_advice(config.number, Rotation::cur());
            let memory = cells.query_advice(config.memory, Rotation::cur());
            vec![(number, memory)]
        });
        config
    }

    fn synthesize(&self, config: Self::Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_table(
            || "squares",
            |mut cells| {
                (0..TABLE_ROWS).try_for_each(|row| {
                    let number = Fr::from(row as u64);
                    cells.assign_cell(|| "number", config.table[0], row, || Value::known(number))?;
                    cells.assign_cell(|| "square", config.table[1], row, || Value::known(number.square()))
                })
            },
        )?;
        layouter.assign_region(
            || "numbers",
            |mut region| {
                for row in 0..LOOKUP_ROWS {
                    let number = Fr::from(row as u64 * 7 % 45);
                    let error = Fr::from(if row + 1 == LOOKUP_ROWS { self.error } else { 0 });
                    region.assign_advice(config.number, row, Value::known(number));
                    region.assign_advice(config.square, row, Value::known(number.square() + error));
                    region.assign_advice(config.memory, row, Value::known(Fr::from(row as u64 % 45)));
                    if row > 0 {
                        config.selector.enable(&mut region, row)?;
                    }
                }
                Ok(())
            },
        )
    }
}

/// Keeps `number - 2·previous` within the table: `number` is `previous + 7` modulo 45.
fn offset() -> Expression<Fr> {
    Expression::Constant(Fr::from(82))
}

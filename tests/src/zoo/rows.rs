//! Rotations, and rows up to the last usable one.

use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{Advice, Circuit, Column, ConstraintSystem, Error, Fixed, Selector};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;

use super::Specimen;

/// A recurrence over four rotations of one column, two of them negative: `a[i+3] = a[i]·a[i-1] + c[i+1]·a[i-2]`.
#[derive(Debug, Clone)]
pub struct Recurrence {
    error_row: Option<usize>,
}

const RECURRENCE_ROWS: usize = 90;

impl Specimen for Recurrence {
    const K: u32 = 7;

    fn honest() -> Self {
        Recurrence { error_row: None }
    }

    fn tampered() -> Option<Self> {
        Some(Recurrence { error_row: Some(RECURRENCE_ROWS - 1) })
    }
}

impl Recurrence {
    fn values(&self) -> Vec<Fr> {
        let mut values: Vec<Fr> = (1..=5).map(Fr::from).collect();
        for row in 5..RECURRENCE_ROWS {
            values.push(values[row - 3] * values[row - 4] + coefficient(row - 2) * values[row - 5]);
        }
        if let Some(row) = self.error_row {
            values[row] += Fr::one();
        }
        values
    }
}

fn coefficient(row: usize) -> Fr {
    Fr::from(row as u64 % 13)
}

impl Circuit<Fr> for Recurrence {
    type Config = (Column<Advice>, Column<Fixed>, Selector);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let (value, coefficient, selector) = (cs.advice_column(), cs.fixed_column(), cs.selector());
        cs.create_gate("recurrence", |cells| {
            let [before, last, now, later] = [-2, -1, 0, 3].map(|at| cells.query_advice(value, Rotation(at)));
            let coefficient = cells.query_fixed(coefficient, Rotation::next());
            vec![cells.query_selector(selector) * (now * last + coefficient * before - later)]
        });
        (value, coefficient, selector)
    }

    fn synthesize(&self, (value, fixed, selector): Self::Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_region(
            || "recurrence",
            |mut region| {
                for (row, number) in self.values().into_iter().enumerate() {
                    region.assign_advice(value, row, Value::known(number));
                    region.assign_fixed(fixed, row, coefficient(row));
                    if (2..RECURRENCE_ROWS - 3).contains(&row) {
                        selector.enable(&mut region, row)?;
                    }
                }
                Ok(())
            },
        )
    }
}

/// Squares on every usable row, the last one included.
#[derive(Debug, Clone)]
pub struct FullRows {
    error_in_last_row: bool,
}

impl Specimen for FullRows {
    const K: u32 = 8;

    fn honest() -> Self {
        FullRows { error_in_last_row: false }
    }

    fn tampered() -> Option<Self> {
        Some(FullRows { error_in_last_row: true })
    }
}

impl Circuit<Fr> for FullRows {
    /// Columns, selector and number of usable rows.
    type Config = ([Column<Advice>; 2], Selector, usize);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let columns = [(); 2].map(|()| cs.advice_column());
        let selector = cs.selector();
        for column in columns {
            cs.enable_equality(column);
        }
        cs.create_gate("square", |cells| {
            let [root, square] = columns.map(|column| cells.query_advice(column, Rotation::cur()));
            vec![cells.query_selector(selector) * (root.clone() * root - square)]
        });
        (columns, selector, (1 << Self::K) - cs.blinding_factors() - 1)
    }

    fn synthesize(
        &self,
        (columns, selector, rows): Self::Config,
        mut layouter: impl Layouter<Fr>,
    ) -> Result<(), Error> {
        let [root, square] = columns;
        layouter.assign_region(
            || "squares",
            |mut region| {
                let mut previous = None;
                for row in 0..rows {
                    selector.enable(&mut region, row)?;
                    let number = Fr::from(row as u64 / 2);
                    let error = Fr::from(u64::from(self.error_in_last_row && row + 1 == rows));
                    let cell = region.assign_advice(root, row, Value::known(number)).cell();
                    region.assign_advice(square, row, Value::known(number.square() + error));
                    if let Some(previous) = previous.filter(|_| row % 2 == 1) {
                        region.constrain_equal(previous, cell);
                    }
                    previous = Some(cell);
                }
                Ok(())
            },
        )
    }
}

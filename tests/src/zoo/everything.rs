//! All features in one circuit.

use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    Advice, Assigned, Challenge, Circuit, Column, ConstraintSystem, Error, Expression, FirstPhase, Fixed, Instance,
    SecondPhase, Selector, TableColumn, ThirdPhase,
};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;

use super::{Specimen, field};

/// Instance columns, fixed columns, two kinds of selectors, constants, copies over several chunks, two lookups, three
/// phases, a gate of degree 5 and rotations to both sides.
#[derive(Debug, Clone)]
pub struct Everything {
    step: u64,
    error: u64,
}

/// Columns of [`Everything`].
#[derive(Debug, Clone, Copy)]
pub struct EverythingConfig {
    base: Column<Advice>,
    power: Column<Advice>,
    copies: [Column<Advice>; 4],
    folded: Column<Advice>,
    late: Column<Advice>,
    coefficient: Column<Fixed>,
    inputs: Column<Instance>,
    table: [TableColumn; 2],
    selector: Selector,
    looked_up: Selector,
    fold: Challenge,
    weight: Challenge,
}

const ROWS: usize = 400;
const TABLE: u64 = 64;

impl Specimen for Everything {
    const K: u32 = 9;

    fn honest() -> Self {
        Everything { step: 11, error: 0 }
    }

    fn other() -> Self {
        Everything { step: 13, error: 0 }
    }

    fn tampered() -> Option<Self> {
        Some(Everything { error: 1, ..Self::honest() })
    }

    fn instances(&self) -> Vec<Vec<Fr>> {
        vec![field(&(0..10).map(|row| self.base_value(row)).collect::<Vec<_>>())]
    }
}

impl Everything {
    fn base_value(&self, row: u64) -> u64 {
        row * self.step % TABLE
    }

    fn folded(&self, fold: Value<Fr>, row: u64) -> Value<Fr> {
        let [before, next] = [row - 1, row + 1].map(|row| Fr::from(self.base_value(row)));
        fold.map(|fold| before + fold * next * Fr::from(row))
    }
}

impl EverythingConfig {
    fn gates(&self, cs: &mut ConstraintSystem<Fr>) {
        cs.create_gate("fourth power", |cells| {
            let base = cells.query_advice(self.base, Rotation::cur());
            let power = cells.query_advice(self.power, Rotation::cur());
            let square = base.clone() * base;
            vec![cells.query_selector(self.selector) * (square.clone() * square - power)]
        });
        cs.create_gate("folded", |cells| {
            let [fold, weight] = [self.fold, self.weight].map(|challenge| cells.query_challenge(challenge));
            let coefficient = cells.query_fixed(self.coefficient, Rotation::prev());
            let [before, next] = [-1, 1].map(|at| cells.query_advice(self.base, Rotation(at)));
            let folded = cells.query_advice(self.folded, Rotation::cur());
            let late = cells.query_advice(self.late, Rotation::cur());
            let selector = cells.query_selector(self.selector);
            let sum = before + fold * next * coefficient - folded.clone();
            vec![selector.clone() * sum, selector * (folded * weight + Expression::Constant(Fr::one()) - late)]
        });
    }

    fn lookups(&self, cs: &mut ConstraintSystem<Fr>) {
        cs.lookup("fourth powers", |cells| {
            let selector = cells.query_selector(self.looked_up);
            let base = cells.query_advice(self.base, Rotation::cur());
            let power = cells.query_advice(self.power, Rotation::cur());
            vec![(selector.clone() * base, self.table[0]), (selector * power, self.table[1])]
        });
        cs.lookup("range", |cells| {
            let selector = cells.query_selector(self.looked_up);
            let base = cells.query_advice(self.base, Rotation::next());
            vec![(selector * (Expression::Constant(Fr::from(TABLE - 1)) - base), self.table[0])]
        });
    }

    fn assign_first_phase(&self, layouter: &mut impl Layouter<Fr>, circuit: &Everything) -> Result<(), Error> {
        let firsts = layouter.assign_region(
            || "first phase",
            |mut region| {
                let mut firsts = Vec::new();
                for row in 0..ROWS {
                    let value = Fr::from(circuit.base_value(row as u64));
                    let base = region.assign_advice(self.base, row, Value::known(value));
                    let power = Assigned::from((value.square().square() * Fr::from(3), Fr::from(3)));
                    region.assign_advice(self.power, row, Value::known(power));
                    region.assign_fixed(self.coefficient, row, Fr::from(row as u64 + 1));
                    let copy = base.copy_advice(&mut region, self.copies[row % 4], ROWS - 1 - row);
                    if (1..ROWS - 1).contains(&row) {
                        self.selector.enable(&mut region, row)?;
                    }
                    if row % 3 == 0 {
                        self.looked_up.enable(&mut region, row)?;
                    }
                    if row < 10 {
                        firsts.push(copy.cell());
                    }
                }
                region.assign_advice_from_constant(|| "constant", self.copies[0], ROWS + 1, Fr::from(99))?;
                Ok(firsts)
            },
        )?;
        for (row, cell) in firsts.into_iter().enumerate() {
            layouter.constrain_instance(cell, self.inputs, row);
        }
        Ok(())
    }

    fn assign_column(
        &self,
        layouter: &mut impl Layouter<Fr>,
        column: Column<Advice>,
        values: &[Value<Fr>],
    ) -> Result<(), Error> {
        layouter.assign_region(
            || "later phase",
            |mut region| {
                for (index, &value) in values.iter().enumerate() {
                    region.assign_advice(column, index + 1, value);
                }
                Ok(())
            },
        )
    }
}

impl Circuit<Fr> for Everything {
    type Config = EverythingConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let [base, power] = [(); 2].map(|()| cs.advice_column());
        let copies = [(); 4].map(|()| cs.advice_column());
        let fold = cs.challenge_usable_after(FirstPhase);
        let folded = cs.advice_column_in(SecondPhase);
        let weight = cs.challenge_usable_after(SecondPhase);
        let config = EverythingConfig {
            base,
            power,
            copies,
            folded,
            late: cs.advice_column_in(ThirdPhase),
            coefficient: cs.fixed_column(),
            inputs: cs.instance_column(),
            table: [(); 2].map(|()| cs.lookup_table_column()),
            selector: cs.selector(),
            looked_up: cs.complex_selector(),
            fold,
            weight,
        };
        let constants = cs.fixed_column();
        cs.enable_constant(constants);
        cs.enable_equality(config.base);
        cs.enable_equality(config.inputs);
        for column in copies {
            cs.enable_equality(column);
        }
        config.gates(cs);
        config.lookups(cs);
        config
    }

    fn synthesize(&self, config: Self::Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_table(
            || "fourth powers",
            |mut cells| {
                (0..TABLE).try_for_each(|row| {
                    let (number, offset) = (Fr::from(row), row as usize);
                    cells.assign_cell(|| "number", config.table[0], offset, || Value::known(number))?;
                    cells.assign_cell(|| "power", config.table[1], offset, || Value::known(number.square().square()))
                })
            },
        )?;
        config.assign_first_phase(&mut layouter, self)?;
        layouter.next_phase();
        let fold = layouter.get_challenge(config.fold);
        let folded: Vec<_> = (1..ROWS as u64 - 1).map(|row| self.folded(fold, row)).collect();
        config.assign_column(&mut layouter, config.folded, &folded)?;
        layouter.next_phase();
        let weight = layouter.get_challenge(config.weight);
        let mut late: Vec<_> =
            folded.iter().map(|&folded| (folded * weight).map(|product| product + Fr::one())).collect();
        late[ROWS / 2] = late[ROWS / 2].map(|value| value + Fr::from(self.error));
        config.assign_column(&mut layouter, config.late, &late)
    }
}

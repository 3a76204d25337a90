//! Gates, selectors, fixed columns, degrees.

use ff::Field;
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    Advice, Assigned, Circuit, Column, ConstraintSystem, Constraints, Error, Expression, Fixed, Selector,
};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;

use super::{Specimen, field};

/// One gate `a·b = c` under one selector.
#[derive(Debug, Clone)]
pub struct Product {
    rows: Vec<[u64; 3]>,
}

impl Specimen for Product {
    const K: u32 = 4;

    fn honest() -> Self {
        Product { rows: vec![[2, 3, 6], [5, 7, 35], [0, 9, 0]] }
    }

    fn tampered() -> Option<Self> {
        Some(Product { rows: vec![[2, 3, 6], [5, 7, 36], [0, 9, 0]] })
    }
}

impl Circuit<Fr> for Product {
    type Config = ([Column<Advice>; 3], Selector);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let columns = [(); 3].map(|()| cs.advice_column());
        let selector = cs.selector();
        cs.create_gate("product", |cells| {
            let [a, b, c] = columns.map(|column| cells.query_advice(column, Rotation::cur()));
            vec![cells.query_selector(selector) * (a * b - c)]
        });
        (columns, selector)
    }

    fn synthesize(&self, (columns, selector): Self::Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_region(
            || "products",
            |mut region| {
                for (row, values) in self.rows.iter().enumerate() {
                    selector.enable(&mut region, row)?;
                    for (column, &value) in columns.into_iter().zip(values) {
                        region.assign_advice(column, row, Value::known(Fr::from(value)));
                    }
                }
                Ok(())
            },
        )
    }
}

/// Two gates under a simple and a complex selector, several constraints per gate, active on different rows.
#[derive(Debug, Clone)]
pub struct Switches {
    values: Vec<u64>,
}

impl Specimen for Switches {
    const K: u32 = 5;

    fn honest() -> Self {
        Switches { values: vec![1, 14, 0, 9, 1, 3] }
    }

    fn tampered() -> Option<Self> {
        Some(Switches { values: vec![1, 14, 2, 9, 1, 3] })
    }
}

impl Circuit<Fr> for Switches {
    type Config = (Column<Advice>, Column<Advice>, Selector, Selector);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let (value, double) = (cs.advice_column(), cs.advice_column());
        let (even, odd) = (cs.selector(), cs.complex_selector());
        cs.create_gate("boolean and doubled", |cells| {
            let selector = cells.query_selector(even);
            let value = cells.query_advice(value, Rotation::cur());
            let double = cells.query_advice(double, Rotation::cur());
            let one = Expression::Constant(Fr::ONE);
            Constraints::with_selector(selector, [value.clone() * (value.clone() - one), double - value * Fr::from(2)])
        });
        cs.create_gate("negated", |cells| {
            let selector = cells.query_selector(odd);
            let value = cells.query_advice(value, Rotation::cur());
            let double = cells.query_advice(double, Rotation::cur());
            vec![("negated", (value + double) * selector)]
        });
        (value, double, even, odd)
    }

    fn synthesize(&self, config: Self::Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let (value, double, even, odd) = config;
        layouter.assign_region(
            || "switches",
            |mut region| {
                for (row, &number) in self.values.iter().enumerate() {
                    let number = Fr::from(number);
                    region.assign_advice(value, row, Value::known(number));
                    let second = if row % 2 == 0 {
                        even.enable(&mut region, row)?;
                        number.double()
                    } else {
                        odd.enable(&mut region, row)?;
                        -number
                    };
                    region.assign_advice(double, row, Value::known(second));
                }
                Ok(())
            },
        )
    }
}

/// The PLONK gate with all coefficients in fixed columns, and cells assigned as fractions.
#[derive(Debug, Clone)]
pub struct Arithmetic {
    denominators: Vec<u64>,
    error: u64,
}

impl Specimen for Arithmetic {
    const K: u32 = 5;

    fn honest() -> Self {
        Arithmetic { denominators: vec![3, 7, 11, 65537], error: 0 }
    }

    fn tampered() -> Option<Self> {
        Some(Arithmetic { error: 1, ..Self::honest() })
    }
}

impl Circuit<Fr> for Arithmetic {
    type Config = ([Column<Advice>; 3], [Column<Fixed>; 5]);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let wires = [(); 3].map(|()| cs.advice_column());
        let coefficients = [(); 5].map(|()| cs.fixed_column());
        cs.create_gate("arithmetic", |cells| {
            let [a, b, c] = wires.map(|column| cells.query_advice(column, Rotation::cur()));
            let [left, right, product, output, constant] =
                coefficients.map(|column| cells.query_fixed(column, Rotation::cur()));
            vec![left * a.clone() + right * b.clone() + product * (a * b) - output * c + constant]
        });
        (wires, coefficients)
    }

    /// Row by row: x = 1/d, then 2x + 3y + 5xy + 7 = 11z with y = x².
    fn synthesize(&self, (wires, coefficients): Self::Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_region(
            || "arithmetic",
            |mut region| {
                for (row, &denominator) in self.denominators.iter().enumerate() {
                    for (column, value) in coefficients.into_iter().zip(field(&[2, 3, 5, 11, 7])) {
                        region.assign_fixed(column, row, value);
                    }
                    let x = Assigned::from((Fr::ONE, Fr::from(denominator)));
                    let y = x * x;
                    let constant = Assigned::from(Fr::from(7 + self.error));
                    let sum = x * Fr::from(2) + y * Fr::from(3) + x * y * Fr::from(5) + constant;
                    let z = sum * Assigned::from((Fr::ONE, Fr::from(11)));
                    for (column, value) in wires.into_iter().zip([x, y, z]) {
                        // The second assignment of a cell counts, be the first a fraction or not.
                        region.assign_advice(column, row, Value::known(Assigned::from((Fr::from(5), Fr::from(9)))));
                        region.assign_advice(column, row, Value::known(value));
                    }
                }
                Ok(())
            },
        )
    }
}

/// A gate of the greatest degree that the stock keys allow: `q·(b - a⁴)`.
#[derive(Debug, Clone)]
pub struct DegreeFive {
    values: Vec<[u64; 2]>,
}

impl Specimen for DegreeFive {
    const K: u32 = 6;

    fn honest() -> Self {
        DegreeFive { values: vec![[2, 16], [3, 81], [10, 10_000]] }
    }

    fn tampered() -> Option<Self> {
        Some(DegreeFive { values: vec![[2, 16], [3, 82], [10, 10_000]] })
    }
}

impl Circuit<Fr> for DegreeFive {
    type Config = ([Column<Advice>; 2], Selector);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        configure_power(cs, 4)
    }

    fn synthesize(&self, config: Self::Config, layouter: impl Layouter<Fr>) -> Result<(), Error> {
        assign_powers(&self.values, config, layouter)
    }
}

/// A gate of degree 6, `q·(b - a⁵)`: beyond what halo2-axiom makes keys for. It has no proofs.
#[derive(Debug, Clone)]
pub struct DegreeSix {
    /// Pairs of a and a⁵.
    pub values: Vec<[u64; 2]>,
}

impl Circuit<Fr> for DegreeSix {
    type Config = ([Column<Advice>; 2], Selector);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        configure_power(cs, 5)
    }

    fn synthesize(&self, config: Self::Config, layouter: impl Layouter<Fr>) -> Result<(), Error> {
        assign_powers(&self.values, config, layouter)
    }
}

/// Gates of degrees 2, 3 and 5, each over columns of its own: `q·(b - 2·a)` over four columns, `r·(a·b - c)`,
/// `s·(b - a⁴)`.
#[derive(Debug, Clone)]
pub struct MixedDegrees {
    /// Rows that the gates hold on.
    rows: usize,
    /// What is added to the last column of a gate: gate, row, error.
    errors: Vec<(usize, usize, u64)>,
}

impl MixedDegrees {
    /// The columns of each gate.
    const WIDTHS: [usize; 3] = [4, 3, 2];

    /// Errors of the same size in some rows of one of the three gates.
    pub fn tampered_in(gate: usize, rows: &[usize]) -> Self {
        MixedDegrees { errors: rows.iter().map(|&row| (gate, row, 1)).collect(), ..Self::honest() }
    }

    fn constraints(gate: usize, cells: &[Expression<Fr>]) -> Vec<Expression<Fr>> {
        match gate {
            0 => cells.windows(2).map(|pair| pair[1].clone() - pair[0].clone() * Fr::from(2)).collect(),
            1 => vec![cells[0].clone() * cells[1].clone() - cells[2].clone()],
            _ => vec![cells[1].clone() - (1..4).fold(cells[0].clone(), |power, _| power * cells[0].clone())],
        }
    }

    fn cells(&self, gate: usize, row: usize) -> Vec<Fr> {
        let a = Fr::from(row as u64 + 2);
        let mut cells = match gate {
            0 => vec![a, a.double(), a.double().double(), a.double().double().double()],
            1 => vec![a, a + Fr::ONE, a * (a + Fr::ONE)],
            _ => vec![a, a.square().square()],
        };
        let errors = self.errors.iter().filter(|(of, at, _)| (*of, *at) == (gate, row));
        let error: u64 = errors.map(|(_, _, error)| error).sum();
        if let Some(last) = cells.last_mut() {
            *last += Fr::from(error);
        }
        cells
    }
}

impl Specimen for MixedDegrees {
    const K: u32 = 6;

    fn honest() -> Self {
        MixedDegrees { rows: 40, errors: Vec::new() }
    }

    fn tampered() -> Option<Self> {
        Some(Self::tampered_in(0, &[7]))
    }
}

impl Circuit<Fr> for MixedDegrees {
    type Config = [(Vec<Column<Advice>>, Column<Fixed>); 3];
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let gates = Self::WIDTHS.map(|width| {
            let columns: Vec<_> = (0..width).map(|_| cs.advice_column()).collect();
            (columns, cs.fixed_column())
        });
        for (gate, (columns, switch)) in gates.iter().enumerate() {
            cs.create_gate("of one degree", |cells| {
                let switch = cells.query_fixed(*switch, Rotation::cur());
                let read: Vec<_> = columns.iter().map(|column| cells.query_advice(*column, Rotation::cur())).collect();
                Constraints::with_selector(switch, Self::constraints(gate, &read))
            });
        }
        gates
    }

    fn synthesize(&self, gates: Self::Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_region(
            || "mixed degrees",
            |mut region| {
                for (gate, (columns, switch)) in gates.iter().enumerate() {
                    for row in 0..self.rows {
                        region.assign_fixed(*switch, row, Fr::ONE);
                        for (column, value) in columns.iter().zip(self.cells(gate, row)) {
                            region.assign_advice(*column, row, Value::known(value));
                        }
                    }
                }
                Ok(())
            },
        )
    }
}

fn configure_power(cs: &mut ConstraintSystem<Fr>, exponent: usize) -> ([Column<Advice>; 2], Selector) {
    let columns = [(); 2].map(|()| cs.advice_column());
    let selector = cs.selector();
    cs.create_gate("power", |cells| {
        let [base, power] = columns.map(|column| cells.query_advice(column, Rotation::cur()));
        let product = (1..exponent).fold(base.clone(), |product, _| product * base.clone());
        vec![cells.query_selector(selector) * (power - product)]
    });
    (columns, selector)
}

fn assign_powers(
    values: &[[u64; 2]],
    (columns, selector): ([Column<Advice>; 2], Selector),
    mut layouter: impl Layouter<Fr>,
) -> Result<(), Error> {
    layouter.assign_region(
        || "powers",
        |mut region| {
            for (row, values) in values.iter().enumerate() {
                selector.enable(&mut region, row)?;
                for (column, &value) in columns.into_iter().zip(values) {
                    region.assign_advice(column, row, Value::known(Fr::from(value)));
                }
            }
            Ok(())
        },
    )
}

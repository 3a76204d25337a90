//! Challenges and advice phases, in both styles of synthesis.

use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    Advice, Challenge, Circuit, Column, ConstraintSystem, Error, Expression, FirstPhase, SecondPhase, Selector,
    ThirdPhase,
};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;

use super::Specimen;

const ROWS: usize = 20;

/// A running evaluation `acc[i] = acc[i-1]·r + value[i]` of first-phase values at a challenge.
#[derive(Debug, Clone, Copy)]
pub struct Horner {
    value: Column<Advice>,
    acc: Column<Advice>,
    selector: Selector,
    challenge: Challenge,
}

impl Horner {
    fn configure(
        cs: &mut ConstraintSystem<Fr>,
        value: Column<Advice>,
        acc: Column<Advice>,
        challenge: Challenge,
    ) -> Self {
        let selector = cs.selector();
        cs.create_gate("horner", |cells| {
            let challenge = cells.query_challenge(challenge);
            let value = cells.query_advice(value, Rotation::cur());
            let previous = cells.query_advice(acc, Rotation::prev());
            let acc = cells.query_advice(acc, Rotation::cur());
            vec![cells.query_selector(selector) * (previous * challenge + value - acc)]
        });
        Horner { value, acc, selector, challenge }
    }

    /// Enables the gate from row 1 on, assigns the accumulators, and returns them. Row 0's accumulator is zero.
    fn assign(
        &self,
        layouter: &mut impl Layouter<Fr>,
        values: &[Value<Fr>],
        error: Fr,
    ) -> Result<Vec<Value<Fr>>, Error> {
        let challenge = layouter.get_challenge(self.challenge);
        layouter.assign_region(
            || "horner",
            |mut region| {
                let mut accumulators = vec![Value::known(Fr::zero())];
                for (row, &value) in values.iter().enumerate().skip(1) {
                    self.selector.enable(&mut region, row)?;
                    let acc = accumulators[row - 1] * challenge + value;
                    accumulators.push(acc);
                }
                for (row, &acc) in accumulators.iter().enumerate() {
                    let error = if row == 5 { error } else { Fr::zero() };
                    region.assign_advice(self.acc, row, acc.map(|acc| acc + error));
                }
                Ok(accumulators)
            },
        )
    }

    fn assign_values(&self, layouter: &mut impl Layouter<Fr>) -> Result<Vec<Value<Fr>>, Error> {
        layouter.assign_region(
            || "values",
            |mut region| {
                let values: Vec<Value<Fr>> =
                    (0..ROWS).map(|row| Value::known(Fr::from(row as u64 * 37 % 101))).collect();
                for (row, &value) in values.iter().enumerate() {
                    region.assign_advice(self.value, row, value);
                }
                Ok(values)
            },
        )
    }
}

/// Two phases, `next_phase` called between them: synthesis runs once.
#[derive(Debug, Clone)]
pub struct TwoPhases {
    error: u64,
}

/// Two phases without a call of `next_phase`: synthesis runs once per phase.
#[derive(Debug, Clone)]
pub struct SelfPacedPhases {
    error: u64,
}

macro_rules! two_phases {
    ($name:ident, $between:expr) => {
        impl Specimen for $name {
            const K: u32 = 6;

            fn honest() -> Self {
                $name { error: 0 }
            }

            fn tampered() -> Option<Self> {
                Some($name { error: 1 })
            }
        }

        impl Circuit<Fr> for $name {
            type Config = Horner;
            type FloorPlanner = SimpleFloorPlanner;
            type Params = ();

            fn without_witnesses(&self) -> Self {
                self.clone()
            }

            fn configure(cs: &mut ConstraintSystem<Fr>) -> Horner {
                let value = cs.advice_column();
                let challenge = cs.challenge_usable_after(FirstPhase);
                let acc = cs.advice_column_in(SecondPhase);
                Horner::configure(cs, value, acc, challenge)
            }

            fn synthesize(&self, horner: Horner, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
                let values = horner.assign_values(&mut layouter)?;
                let between: fn(&mut _) = $between;
                between(&mut layouter);
                horner.assign(&mut layouter, &values, Fr::from(self.error))?;
                Ok(())
            }
        }
    };
}

two_phases!(TwoPhases, |layouter| Layouter::next_phase(layouter));
two_phases!(SelfPacedPhases, |_| ());

/// Three phases: an evaluation at one challenge, an evaluation of its accumulators at another, and a gate that a third
/// challenge, after the last phase, weighs. Two challenges follow the first phase.
#[derive(Debug, Clone)]
pub struct ThreePhases {
    error: u64,
}

/// Columns of [`ThreePhases`].
#[derive(Debug, Clone, Copy)]
pub struct ThreePhasesConfig {
    first: Horner,
    second: Horner,
    scaled: Column<Advice>,
    factor: Challenge,
}

impl Specimen for ThreePhases {
    const K: u32 = 7;

    fn honest() -> Self {
        ThreePhases { error: 0 }
    }

    fn tampered() -> Option<Self> {
        Some(ThreePhases { error: 1 })
    }
}

impl Circuit<Fr> for ThreePhases {
    type Config = ThreePhasesConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let value = cs.advice_column();
        let point = cs.challenge_usable_after(FirstPhase);
        let factor = cs.challenge_usable_after(FirstPhase);
        // Columns of the phases interleave, so that their commitments are not in order of index.
        let acc = cs.advice_column_in(SecondPhase);
        let late_point = cs.challenge_usable_after(SecondPhase);
        let late_acc = cs.advice_column_in(ThirdPhase);
        let scaled = cs.advice_column_in(SecondPhase);
        let weight = cs.challenge_usable_after(ThirdPhase);
        let first = Horner::configure(cs, value, acc, point);
        let second = Horner::configure(cs, acc, late_acc, late_point);
        cs.create_gate("scaled", |cells| {
            let [factor, weight] = [factor, weight].map(|challenge| cells.query_challenge(challenge));
            let [acc, scaled] = [acc, scaled].map(|column| cells.query_advice(column, Rotation::cur()));
            let selector = cells.query_selector(second.selector);
            let square = factor.clone() * factor - Expression::Constant(Fr::one());
            vec![selector * weight * (square * acc - scaled)]
        });
        ThreePhasesConfig { first, second, scaled, factor }
    }

    fn synthesize(&self, config: Self::Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let values = config.first.assign_values(&mut layouter)?;
        layouter.next_phase();
        let accumulators = config.first.assign(&mut layouter, &values, Fr::zero())?;
        let factor = layouter.get_challenge(config.factor);
        layouter.assign_region(
            || "scaled",
            |mut region| {
                for (row, &acc) in accumulators.iter().enumerate() {
                    let scaled = acc * factor.map(|factor| factor.square() - Fr::one());
                    region.assign_advice(config.scaled, row, scaled);
                }
                Ok(())
            },
        )?;
        layouter.next_phase();
        config.second.assign(&mut layouter, &accumulators, Fr::from(self.error))?;
        Ok(())
    }
}

/// A second-phase cell that may be unknown in the first phase, but not in its own.
#[derive(Debug, Clone)]
pub struct Unknown {
    /// The cell's value as the first and as the second phase assign it.
    values: [Option<u64>; 2],
}

impl Unknown {
    /// A good witness, which MockProver does not accept.
    pub fn known_in_time() -> Self {
        Unknown { values: [None, Some(5)] }
    }
}

impl Specimen for Unknown {
    const K: u32 = 4;

    fn honest() -> Self {
        Unknown { values: [Some(3), Some(5)] }
    }

    fn tampered() -> Option<Self> {
        Some(Unknown { values: [Some(3), None] })
    }
}

impl Circuit<Fr> for Unknown {
    type Config = ([Column<Advice>; 2], Selector);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let (first, selector) = (cs.advice_column(), cs.selector());
        let challenge = cs.challenge_usable_after(FirstPhase);
        let second = cs.advice_column_in(SecondPhase);
        cs.create_gate("five of the second phase", |cells| {
            let challenge = cells.query_challenge(challenge);
            let [first, second] = [first, second].map(|column| cells.query_advice(column, Rotation::cur()));
            let five = second - Expression::Constant(Fr::from(5));
            vec![cells.query_selector(selector) * (first + challenge * five)]
        });
        ([first, second], selector)
    }

    fn synthesize(
        &self,
        ([first, second], selector): Self::Config,
        mut layouter: impl Layouter<Fr>,
    ) -> Result<(), Error> {
        for value in self.values {
            layouter.assign_region(
                || "cell",
                |mut region| {
                    selector.enable(&mut region, 2)?;
                    region.assign_advice(first, 2, Value::known(Fr::zero()));
                    let value = value.map_or(Value::unknown(), |value| Value::known(Fr::from(value)));
                    region.assign_advice(second, 2, value);
                    Ok(())
                },
            )?;
            layouter.next_phase();
        }
        Ok(())
    }
}

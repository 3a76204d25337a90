//! The grand sum: one column that starts at 0, adds up all lookups and all identities, each identity `l`, from 1, over
//! `t + l`, and ends at 0. Identities are batched by random rational weights `1/(t + l)`, as logUp batches keys
//! (`docs/protocol.md`, section 7): as a rational function of `t` the sum vanishes only if every identity holds, and
//! all lookups together; otherwise it is 0 at no more points than there are identities.
//!
//! A term is an accumulator on the row where it ends, times a coefficient. The terms on a row stand in slots, one for
//! each of their identities, whose number is a fixed cell: `V·(t + l) = Σ terms`. So the columns are those of one
//! layer, however many follow.

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;
use zkml_gpu_engine::prover::{Derived, Rule};

use crate::system::{Accumulator, FixedRole, Multiplicand, NetworkConfig, RowCells, constant, total};

/// Creates the gates, and tells how the weighted terms and the sum follow from them.
pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, config: &NetworkConfig) -> [Vec<Derived>; 2] {
    let a = &config.architecture;
    let (mut weighted, mut sums) = (Vec::new(), Vec::new());
    for slot in 0..a.slots {
        meta.create_gate("weighted terms", |cells| {
            let mut row = RowCells::new(cells, config);
            let (terms, t) = (terms(&mut row, slot), row.challenges().t);
            let number = row.role(&FixedRole::Identity(slot)).unwrap_or(constant(0));
            let denominator = t.clone() + number.clone();
            weighted.push(Derived {
                column: a.weighted(slot),
                rule: Rule::Quotient { numerator: terms.clone(), denominator },
            });
            // Rows without a term have the number 0: what stands there is 0.
            vec![row.advice(a.weighted(slot)) * (row.usable() * t + number) - terms]
        });
    }
    meta.create_gate("grand sum", |cells| {
        let mut row = RowCells::new(cells, config);
        let sum = row.advice(a.sum());
        let helpers = total((0..a.helpers()).map(|group| row.advice(a.helper(group))));
        let tables = total((0..a.table_lanes).map(|lane| row.advice(a.table_helper(lane))));
        let sources = total((0..a.source_lanes()).map(|lane| row.advice(a.source_helper(lane))));
        let identities = total((0..a.slots).map(|slot| row.advice(a.weighted(slot))));
        let added = helpers - tables - sources + identities;
        let step = row.role(&FixedRole::SumStep).unwrap_or(constant(0));
        let end = row.role(&FixedRole::SumEnd).unwrap_or(constant(0));
        sums.push(Derived { column: a.sum(), rule: Rule::Recurrence { step: step.clone(), input: added.clone() } });
        let recurrence = row.usable() * (sum.clone() - added) - step * row.previous(a.sum());
        vec![recurrence, end * sum]
    });
    [weighted, sums]
}

/// The terms in a slot: polynomials in `s` and `r` with fixed coefficients that are 0 on unusable rows.
fn terms(row: &mut RowCells<'_, '_>, slot: usize) -> Expression<Fr> {
    let (a, ring) = (row.architecture(), row.ring());
    let mut terms = Vec::new();
    for (index, role) in a.fixed.iter().enumerate() {
        let FixedRole::Term { slot: of, multiplicand, factor } = role else { continue };
        if *of != slot {
            continue;
        }
        let value = match multiplicand {
            Multiplicand::Dot => row.accumulator(Accumulator::Operand) * row.accumulator(Accumulator::Weights),
            Multiplicand::Accumulator(accumulator) => row.accumulator(*accumulator),
        };
        terms.push(row.fixed_at(index) * ring.factor(factor) * value);
    }
    total(terms)
}

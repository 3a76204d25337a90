//! Lookups by logarithmic derivatives (logUp, Haböck, ePrint 2022/1530): `Σ 1/key = Σ multiplicity/table` in the grand
//! sum (`docs/protocol.md`, section 3).
//!
//! Every key of every usable row is looked up; unused cells are 0, a range entry. Activation lanes count only on
//! rows whose fixed mark `m` is 1. A helper holds the sum of its group's reciprocals: `H·Π key = Σ m·Π of the others`
//! (degree: group + 2). On rows of functions by lines those lanes count that hold a line. No key is 0 but with the probability that `α` hits one, so a key that does not count leaves
//! nothing free. Keys and multiplicities are all in phase 1, before
//! `α` and `θ`. Gather sources are entries that hold a witness's value at a fixed index; they are read as often as the
//! layout says, and, where their tensor is gathered at indices that depend on the witness, as often as a phase-1 cell
//! says besides. At most (columns · rows) < 2^33 lookups hit one entry, so multiplicities, free in the field, cannot
//! wrap to a false balance.

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;
use zkml_gpu_engine::prover::{Derived, Rule};

use crate::system::formulas::{Key, compress, keys};
use crate::system::{Challenges, FixedRole, GATHER_TAG, NetworkConfig, RANGE_TAG, RowCells, constant, product, total};

/// Creates the gates, and tells how the helpers follow from them.
pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, config: &NetworkConfig) -> Vec<Derived> {
    let a = &config.architecture;
    let mut derived = Vec::new();
    let mut fraction = |column: usize, numerator: &Expression<Fr>, denominator: &Expression<Fr>| {
        let (numerator, denominator) = (numerator.clone(), denominator.clone());
        derived.push(Derived { column, rule: Rule::Quotient { numerator, denominator } });
    };
    for (group, members) in keys(a).chunks(a.lookup_group).enumerate() {
        meta.create_gate("lookup helper", |cells| {
            let mut row = RowCells::new(cells, config);
            let keys: Vec<_> = members.iter().map(|key| self::key(&mut row, *key)).collect();
            let marks: Vec<_> = members.iter().map(|key| mark(&mut row, *key)).collect();
            let others = |i: usize| keys.iter().enumerate().filter(move |(j, _)| *j != i).map(|(_, k)| k.clone());
            let counted = |i: usize| product(marks[i].iter().cloned().chain(others(i)));
            let (sum, product) = (total((0..keys.len()).map(counted)), product(keys.iter().cloned()));
            fraction(a.helper(group), &sum, &product);
            vec![row.usable() * (row.advice(a.helper(group)) * product - sum)]
        });
    }
    for lane in 0..a.table_lanes {
        meta.create_gate("table helper", |cells| {
            let mut row = RowCells::new(cells, config);
            let Challenges { alpha, theta, .. } = row.challenges();
            // Cells beyond the table have tag 0, which no key that counts has.
            let mut cell = |value: u8| row.role(&FixedRole::Table { lane, value }).unwrap_or(constant(0));
            let [v0, v1, v2, tag] = [0, 1, 2, 3].map(&mut cell);
            let entry = compress([v0, v1, v2], tag, &theta, &alpha);
            let multiplicity = row.advice(a.multiplicity(lane));
            fraction(a.table_helper(lane), &multiplicity, &entry);
            vec![row.usable() * (row.advice(a.table_helper(lane)) * entry - multiplicity)]
        });
    }
    for lane in 0..a.source_lanes() {
        meta.create_gate("gather source", |cells| {
            let mut row = RowCells::new(cells, config);
            let Challenges { alpha, theta, .. } = row.challenges();
            let index = row.role(&FixedRole::SourceIndex).unwrap_or(constant(0)) + constant(lane as i64);
            let value = row.advice(a.activated(lane));
            let entry = compress([value, index, constant(0)], constant(GATHER_TAG), &theta, &alpha);
            let mut count = row.role(&FixedRole::SourceCount(lane)).unwrap_or(constant(0));
            if let Some(open) = row.role(&FixedRole::SourceByIndex(lane)).filter(|_| a.gather_by_index) {
                count = count + open * row.advice(a.source_uses(lane));
            }
            fraction(a.source_helper(lane), &count, &entry);
            vec![row.usable() * row.advice(a.source_helper(lane)) * entry - count]
        });
    }
    derived
}

/// 1 where a key counts; none where it does on every row.
fn mark(row: &mut RowCells<'_, '_>, key: Key) -> Option<Expression<Fr>> {
    match key {
        Key::Range(_) | Key::Copy(_) => None,
        Key::Activation(lane) => {
            let marks: Vec<usize> = row.architecture().marks(lane).collect();
            Some(total(marks.into_iter().map(|index| row.fixed_at(index)).collect::<Vec<_>>()))
        }
    }
}

fn key(row: &mut RowCells<'_, '_>, key: Key) -> Expression<Fr> {
    let a = row.architecture();
    let Challenges { alpha, theta, .. } = row.challenges();
    match key {
        // Only θ³·tag + α besides the value: both constant over the rows.
        Key::Range(i) => {
            compress([row.advice(a.range(i)), constant(0), constant(0)], constant(RANGE_TAG), &theta, &alpha)
        }
        Key::Copy(k) => {
            let mut index = row.role(&FixedRole::GatherIndex(k)).unwrap_or(constant(0));
            if a.gather_by_index && k == 1 {
                index = index + row.advice(a.gather_offset());
            }
            compress([row.advice(a.copy(k)), index, constant(0)], constant(GATHER_TAG), &theta, &alpha)
        }
        Key::Activation(lane) => {
            let values = [a.rounded(lane), a.activated(lane), a.saturation(lane)].map(|i| row.advice(i));
            let tag = row.role(&FixedRole::ActivationTag).unwrap_or(constant(0));
            compress(values, tag, &theta, &alpha)
        }
    }
}

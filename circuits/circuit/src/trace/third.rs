//! Phase 3: accumulators, lookup helpers and the grand sum.

use ff::Field;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::dense::{dense, marks};
use super::first::{FirstPhase, gather_indices};
use super::second::SecondPhase;
use crate::layout::Layout;
use crate::scalar;
use crate::system::formulas::{Key, compress, horner, keys};
use crate::system::{
    Accumulator, Architecture, Challenges, FixedRole, GATHER_TAG, Lanes, Multiplicand, RANGE_TAG, Read, Ring,
};

/// Everything before phase 3.
#[derive(Clone, Copy)]
pub(crate) struct Before<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) first: &'a FirstPhase,
    pub(crate) second: &'a SecondPhase,
    pub(crate) instances: &'a [Vec<Fr>],
}

/// The columns of phase 3 over the usable rows, in column order.
pub(crate) fn third_phase(before: Before<'_>, challenges: &Challenges<Fr>) -> Vec<Vec<Fr>> {
    let mut builder = Builder::new(before, challenges);
    builder.accumulate();
    builder.weigh();
    builder.look_up();
    builder.sum();
    builder.columns
}

struct Builder<'a> {
    before: Before<'a>,
    a: &'a Architecture,
    challenges: &'a Challenges<Fr>,
    ring: Ring<Fr>,
    usable: usize,
    columns: Vec<Vec<Fr>>,
}

impl<'a> Builder<'a> {
    fn new(before: Before<'a>, challenges: &'a Challenges<Fr>) -> Self {
        let a = &before.layout.architecture;
        let ring = Ring { one: Fr::ONE, s: challenges.s, r: challenges.r };
        let usable = before.layout.usable_rows();
        Self { before, a, challenges, ring, usable, columns: Vec::with_capacity(a.third_phase()) }
    }

    fn column(&self, index: usize) -> &[Fr] {
        &self.columns[index - self.a.first_phase() - self.a.second_phase()]
    }

    fn small(&self, column: usize, row: usize) -> Fr {
        scalar::from_i64(self.before.first.columns[column][row])
    }

    fn instance(&self, column: usize, row: usize) -> Fr {
        self.before.instances[column].get(row).copied().unwrap_or(Fr::ZERO)
    }

    /// Accumulators in column order. Totals add up others, which come before them.
    fn accumulate(&mut self) {
        let all: Vec<Accumulator> = self.a.accumulators().collect();
        let is_total = |of: &Accumulator| matches!(of, Accumulator::ResultTotal | Accumulator::CrossTermsTotal);
        let own = all.par_iter().map(|of| if is_total(of) { Vec::new() } else { self.accumulated(*of) });
        self.columns = own.collect();
        for (index, of) in all.iter().enumerate().filter(|(_, of)| is_total(of)) {
            self.columns[index] = self.accumulated(*of);
        }
    }

    fn accumulated(&self, accumulator: Accumulator) -> Vec<Fr> {
        let mut values = self.input(accumulator);
        let mut steps = vec![Fr::ZERO; self.usable];
        for (role, cells) in self.before.layout.architecture.fixed.iter().zip(&self.before.layout.fixed) {
            if let FixedRole::Step(of, power) = role
                && *of == accumulator
            {
                let power = self.ring.power(*power);
                cells.iter().for_each(|(row, _)| steps[*row as usize] = power);
            }
        }
        for row in 1..self.usable {
            if steps[row] != Fr::ZERO {
                let carried = steps[row] * values[row - 1];
                values[row] += carried;
            }
        }
        values
    }

    fn input(&self, accumulator: Accumulator) -> Vec<Fr> {
        match accumulator {
            Accumulator::Weights => self.weights_input(),
            Accumulator::Operand | Accumulator::OperandDigest => self.operand_input(),
            Accumulator::Result => self.result_input(),
            Accumulator::ResultTotal => self.taken(&FixedRole::Accumulate, Accumulator::Result),
            Accumulator::ResultDigest => self.digest_input(),
            Accumulator::LeftDigest => self.left_input(|_| self.ring.r, vec![Fr::ZERO; self.usable]),
            Accumulator::Auxiliary => self.auxiliary_input(),
            Accumulator::CrossTerms => self.cross_term_input(),
            Accumulator::CrossTermsTotal => self.taken(&FixedRole::AccumulateCrossTerms, Accumulator::CrossTerms),
            Accumulator::Hashed => self.hashed_input(),
            Accumulator::Committed(column) => {
                (0..self.usable).map(|row| self.small(self.a.committed(column as usize), row)).collect()
            }
        }
    }

    /// The values of hashes, on their rows.
    fn hashed_input(&self) -> Vec<Fr> {
        let mut input = vec![Fr::ZERO; self.usable];
        for (role, cells) in self.a.fixed.iter().zip(&self.before.layout.fixed) {
            if matches!(role, FixedRole::Hash(role) if role.has_value()) {
                cells
                    .iter()
                    .for_each(|(row, _)| input[*row as usize] = self.small(self.a.hashed_values(), *row as usize));
            }
        }
        input
    }

    /// An accumulator on the rows where it is taken.
    fn taken(&self, role: &FixedRole, accumulator: Accumulator) -> Vec<Fr> {
        let taken = dense(self.before.layout, role, self.usable);
        let values = self.column(self.a.accumulator(accumulator));
        values.iter().zip(taken).map(|(v, take)| if take == 1 { *v } else { Fr::ZERO }).collect()
    }

    fn weights_input(&self) -> Vec<Fr> {
        let folded = self.before.second.folded.clone();
        self.left_input(|stride| self.ring.pow(&self.ring.s, stride), folded)
    }

    /// Left operand lanes by powers of what the spacing says, in the place of what `values` holds on their rows.
    fn left_input(&self, point: impl Fn(usize) -> Fr, mut values: Vec<Fr>) -> Vec<Fr> {
        let a = self.a;
        for (role, cells) in a.fixed.iter().zip(&self.before.layout.fixed) {
            let Some(Read::Left(lanes, stride)) = role.read() else { continue };
            let lanes = match lanes {
                Lanes::Packed => a.left_lanes,
                Lanes::Single => 1,
            };
            let ring = Ring { r: point(stride), ..self.ring.clone() };
            for row in cells.iter().map(|(row, _)| *row as usize) {
                values[row] = horner(&ring, lanes, |lane| self.small(a.left(lane), row));
            }
        }
        values
    }

    fn auxiliary_input(&self) -> Vec<Fr> {
        let mut input = vec![Fr::ZERO; self.usable];
        for result in &self.before.layout.results {
            let row = result.row as usize;
            let value = result.kind.auxiliary(self.a, &self.ring, &mut |i| self.small(i, row));
            input[row] = value.unwrap_or(Fr::ZERO);
        }
        input
    }

    fn operand_input(&self) -> Vec<Fr> {
        let a = self.a;
        let mut input = vec![Fr::ZERO; self.usable];
        for (role, cells) in a.fixed.iter().zip(&self.before.layout.fixed) {
            let Some(read) = role.read() else { continue };
            for row in cells.iter().map(|(row, _)| *row as usize) {
                let lanes = a.operand_lanes;
                input[row] += match read {
                    Read::Operand(Lanes::Packed) => horner(&self.ring, lanes, |lane| self.small(a.operand(lane), row)),
                    Read::Operand(Lanes::Single) => self.small(a.operand(0), row),
                    Read::Instance(Lanes::Packed) => horner(&self.ring, lanes, |lane| self.instance(lane, row)),
                    Read::Instance(Lanes::Single) => self.instance(0, row),
                    Read::Left(..) => break,
                };
            }
        }
        input
    }

    fn result_input(&self) -> Vec<Fr> {
        let mut input = vec![Fr::ZERO; self.usable];
        for result in &self.before.layout.results {
            let row = result.row as usize;
            let raw = || self.instance(self.a.operand_lanes, row);
            let value = result.kind.result(self.a, &self.ring, &mut |i| self.small(i, row), raw);
            input[row] = value.unwrap_or(Fr::ZERO);
        }
        for (row, epsilon) in dense(self.before.layout, &FixedRole::Epsilon, self.usable).into_iter().enumerate() {
            input[row] -= scalar::from_i64(epsilon) * self.ring.s;
        }
        input
    }

    fn digest_input(&self) -> Vec<Fr> {
        let mut input = vec![Fr::ZERO; self.usable];
        for result in &self.before.layout.results {
            let (row, lanes) = (result.row as usize, result.kind.digest_lanes());
            input[row] = horner(&self.ring, lanes, |lane| self.small(self.a.activated(lane), row));
        }
        input
    }

    fn cross_term_input(&self) -> Vec<Fr> {
        let lanes = self.a.cross_term_lanes;
        let masks: Vec<Vec<i64>> =
            (0..lanes).map(|lane| dense(self.before.layout, &FixedRole::CrossTermMask(lane), self.usable)).collect();
        let value = |lane: usize, row: usize| match self.before.second.cross_terms.get(lane) {
            Some(folded) => folded[row],
            None => self.small(self.a.cross_term(lane), row),
        };
        let cell = |lane: usize, row: usize| value(lane, row) * Fr::from(masks[lane][row] as u64);
        (0..self.usable).map(|row| horner(&self.ring, lanes, |lane| cell(lane, row))).collect()
    }

    /// The slots' terms.
    fn weigh(&mut self) {
        let weighted: Vec<Vec<Fr>> = (0..self.a.slots).into_par_iter().map(|slot| self.weighted(slot)).collect();
        self.columns.extend(weighted);
    }

    /// The terms in a slot, each row's over `t` plus the number of its identity.
    fn weighted(&self, slot: usize) -> Vec<Fr> {
        let layout = self.before.layout;
        let mut weighted = vec![Fr::ZERO; self.usable];
        for (role, cells) in self.a.fixed.iter().zip(&layout.fixed) {
            let FixedRole::Term { slot: of, multiplicand, factor } = role else { continue };
            if *of != slot {
                continue;
            }
            let factor = self.ring.factor(factor);
            for &(row, coefficient) in cells {
                let row = row as usize;
                let value = match multiplicand {
                    Multiplicand::Dot => {
                        let at = |accumulator| self.column(self.a.accumulator(accumulator))[row];
                        at(Accumulator::Operand) * at(Accumulator::Weights)
                    }
                    Multiplicand::Accumulator(accumulator) => self.column(self.a.accumulator(*accumulator))[row],
                };
                weighted[row] += factor * scalar::from_i64(coefficient) * value;
            }
        }
        let numbers = self.a.fixed.iter().zip(&layout.fixed).find(|(role, _)| **role == FixedRole::Identity(slot));
        let numbers = numbers.map(|(_, cells)| cells.as_slice()).unwrap_or_default();
        let mut shares: Vec<Fr> = numbers.iter().map(|(_, n)| self.challenges.t + scalar::from_i64(*n)).collect();
        invert_all(&mut shares);
        numbers.iter().zip(shares).for_each(|((row, _), share)| weighted[*row as usize] *= share);
        weighted
    }

    /// Helpers of lookup groups, of the table and of gather sources.
    fn look_up(&mut self) {
        let tables = &self.before.layout.tables;
        let mut entries: Vec<Fr> = tables.rows.iter().map(|row| self.key(row.values, row.tag)).collect();
        invert_all(&mut entries);
        let groups = keys(self.a);
        let helpers = groups.par_chunks(self.a.lookup_group).map(|group| self.helper(group, &entries));
        self.columns.extend(helpers.collect::<Vec<_>>());
        let beyond = self.challenges.alpha.invert().unwrap_or(Fr::ZERO);
        for lane in 0..self.a.table_lanes {
            let multiplicities = &self.before.first.columns[self.a.multiplicity(lane)];
            let helper = |(row, count): (usize, &i64)| match count {
                0 => Fr::ZERO,
                _ => {
                    let entry = entries.get(row * self.a.table_lanes + lane).copied();
                    entry.unwrap_or(beyond) * scalar::from_i64(*count)
                }
            };
            self.columns.push(multiplicities.iter().enumerate().map(helper).collect());
        }
        let sources = (0..self.a.source_lanes()).into_par_iter().map(|lane| self.source_helper(lane));
        self.columns.extend(sources.collect::<Vec<_>>());
    }

    /// The sum of a group's reciprocals.
    fn helper(&self, group: &[Key], entries: &[Fr]) -> Vec<Fr> {
        let mut helper = vec![Fr::ZERO; self.usable];
        for key in group {
            let reciprocals = self.reciprocals(*key, entries);
            helper.iter_mut().zip(reciprocals).for_each(|(sum, value)| *sum += value);
        }
        helper
    }

    fn key(&self, values: [i64; 3], tag: i64) -> Fr {
        let Challenges { theta, alpha, .. } = self.challenges;
        compress(values.map(scalar::from_i64), scalar::from_i64(tag), theta, alpha)
    }

    /// `1/key` on every usable row where the key counts: from the table's entry where the key is one.
    fn reciprocals(&self, key: Key, entries: &[Fr]) -> Vec<Fr> {
        let (a, layout, columns) = (self.a, self.before.layout, &self.before.first.columns);
        let fixed = match key {
            Key::Range(_) => Vec::new(),
            Key::Copy(k) => gather_indices(layout, self.before.first, k),
            Key::Activation(_) => dense(layout, &FixedRole::ActivationTag, self.usable),
        };
        let marks = match key {
            Key::Range(_) | Key::Copy(_) => None,
            Key::Activation(lane) => Some(marks(layout, lane, self.usable)),
        };
        let mut missing = Vec::new();
        let mut values = vec![Fr::ZERO; self.usable];
        for (row, value) in values.iter_mut().enumerate() {
            if marks.as_ref().is_some_and(|marks| marks[row] == 0) {
                continue;
            }
            let cell = |column: usize| columns[column][row];
            let (triple, tag) = match key {
                Key::Range(i) => ([cell(a.range(i)), 0, 0], RANGE_TAG),
                Key::Copy(k) => ([cell(a.copy(k)), fixed[row], 0], GATHER_TAG),
                Key::Activation(lane) => {
                    ([cell(a.rounded(lane)), cell(a.activated(lane)), cell(a.saturation(lane))], fixed[row])
                }
            };
            match layout.tables.find(triple, tag) {
                Some(entry) => *value = entries[entry],
                None => missing.push((row, self.key(triple, tag))),
            }
        }
        let (rows, mut keys): (Vec<usize>, Vec<Fr>) = missing.into_iter().unzip();
        invert_all(&mut keys);
        rows.into_iter().zip(keys).for_each(|(row, value)| values[row] = value);
        values
    }

    fn source_helper(&self, lane: usize) -> Vec<Fr> {
        let layout = self.before.layout;
        let index = dense(layout, &FixedRole::SourceIndex, self.usable);
        let mut count = dense(layout, &FixedRole::SourceCount(lane), self.usable);
        if self.a.gather_by_index {
            let open = dense(layout, &FixedRole::SourceByIndex(lane), self.usable);
            let uses = &self.before.first.columns[self.a.source_uses(lane)];
            count.iter_mut().zip(open.iter().zip(uses)).for_each(|(count, (open, uses))| *count += open * uses);
        }
        let value = &self.before.first.columns[self.a.activated(lane)];
        let entry = |row: usize| self.key([value[row], index[row] + lane as i64, 0], GATHER_TAG);
        let mut helper: Vec<Fr> =
            (0..self.usable).map(|row| if count[row] == 0 { Fr::ZERO } else { entry(row) }).collect();
        invert_all(&mut helper);
        helper.iter_mut().zip(count).for_each(|(value, count)| *value *= scalar::from_i64(count));
        helper
    }

    fn sum(&mut self) {
        let mut added = vec![Fr::ZERO; self.usable];
        for group in 0..self.a.helpers() {
            added.iter_mut().zip(self.column(self.a.helper(group))).for_each(|(sum, value)| *sum += value);
        }
        let negative = (0..self.a.source_lanes()).map(|lane| self.a.source_helper(lane));
        let tables = (0..self.a.table_lanes).map(|lane| self.a.table_helper(lane));
        for index in negative.chain(tables) {
            added.iter_mut().zip(self.column(index)).for_each(|(sum, value)| *sum -= value);
        }
        for slot in 0..self.a.slots {
            added.iter_mut().zip(self.column(self.a.weighted(slot))).for_each(|(sum, value)| *sum += value);
        }
        let mut sum = Fr::ZERO;
        for value in &mut added {
            sum += *value;
            *value = sum;
        }
        self.columns.push(added);
    }
}

/// Inverts all elements, on the host: the columns are built there. Zeros stay.
fn invert_all(values: &mut [Fr]) {
    zkml_gpu_engine::backend::Cpu::new().invert_all(values);
}

//! The oracle: every operation as a textbook writes it, one element after the other.
//!
//! It shares no code with any other back end. Transforms are the recursive radix-2 FFT and the bucket method is the
//! plain unsigned one, so that whole proofs of a few thousand rows can run against it; everything else is a loop.

use std::collections::BTreeMap;
use std::ops::Range;

use ff::{Field, PrimeField};
use group::{Curve, Group};
use halo2curves::bn256::{Fr, G1, G1Affine};
use zkml_gpu_engine::BackendError;
use zkml_gpu_engine::backend::program::{Operand, Program};
use zkml_gpu_engine::backend::{FoldOps, IntegerRow, MemoryOps, MsmOps, NttOps, QuotientOps, Result, VectorOps};

/// The textbook back end.
#[derive(Debug, Default)]
pub struct Naive {
    fault: Option<&'static str>,
}

impl Naive {
    /// A correct oracle.
    pub fn new() -> Self {
        Self::default()
    }

    /// An oracle whose results of the named operation are off by one in the last element, for testing what is
    /// supposed to notice.
    pub fn with_fault(operation: &'static str) -> Self {
        Naive { fault: Some(operation) }
    }

    fn done(&self, operation: &'static str, mut values: Vec<Fr>) -> Vec<Fr> {
        if let (true, Some(last)) = (self.fault == Some(operation), values.last_mut()) {
            *last += Fr::ONE;
        }
        values
    }

    fn done_point(&self, operation: &'static str, point: G1) -> G1Affine {
        let error = if self.fault == Some(operation) { G1::generator() } else { G1::identity() };
        (point + error).to_affine()
    }
}

impl MemoryOps for Naive {
    type Scalars = Vec<Fr>;

    fn name(&self) -> String {
        "naive".to_owned()
    }

    fn description(&self) -> String {
        "textbook loops".to_owned()
    }

    fn len(&self, vector: &Vec<Fr>) -> usize {
        vector.len()
    }

    fn upload(&self, values: &[Fr]) -> Result<Vec<Fr>> {
        Ok(self.done("upload", values.to_vec()))
    }

    fn zeros(&self, len: usize) -> Result<Vec<Fr>> {
        Ok(self.done("zeros", vec![Fr::ZERO; len]))
    }

    fn download(&self, vector: &Vec<Fr>) -> Result<Vec<Fr>> {
        Ok(vector.clone())
    }

    fn read_range(&self, vector: &Vec<Fr>, range: Range<usize>) -> Result<Vec<Fr>> {
        check_range("read_range", vector, &range)?;
        Ok(self.done("read_range", vector[range].to_vec()))
    }

    fn write_range(&self, vector: &mut Vec<Fr>, start: usize, values: &[Fr]) -> Result<()> {
        check_range("write_range", vector, &(start..start.saturating_add(values.len())))?;
        for (i, value) in values.iter().enumerate() {
            vector[start + i] = *value;
        }
        *vector = self.done("write_range", std::mem::take(vector));
        Ok(())
    }

    fn slice(&self, vector: &Vec<Fr>, range: Range<usize>) -> Result<Vec<Fr>> {
        check_range("slice", vector, &range)?;
        Ok(self.done("slice", vector[range].to_vec()))
    }
}

fn check_range(operation: &'static str, vector: &[Fr], range: &Range<usize>) -> Result<()> {
    let Range { start, end } = *range;
    if start <= end && end <= vector.len() {
        return Ok(());
    }
    Err(BackendError::OutOfRange { operation, start, end, len: vector.len() })
}

/// `out[i] = Σ_j a_j omega^{ij}` by even and odd halves.
fn fft(values: &[Fr], omega: Fr) -> Vec<Fr> {
    let n = values.len();
    if n == 1 {
        return values.to_vec();
    }
    let half = |odd: usize| fft(&values.iter().skip(odd).step_by(2).copied().collect::<Vec<_>>(), omega.square());
    let (even, odd) = (half(0), half(1));
    let mut out = vec![Fr::ZERO; n];
    let mut power = Fr::ONE;
    for i in 0..n / 2 {
        out[i] = even[i] + power * odd[i];
        out[i + n / 2] = even[i] - power * odd[i];
        power *= omega;
    }
    out
}

fn inverse_fft(values: &[Fr], omega: Fr) -> Vec<Fr> {
    let n_inverse = Fr::from(values.len() as u64).invert().unwrap_or(Fr::ZERO);
    fft(values, omega.invert().unwrap_or(Fr::ZERO)).into_iter().map(|value| value * n_inverse).collect()
}

/// The generator of the domain of the columns' common length.
fn omega(operation: &'static str, columns: &[&Vec<Fr>]) -> Result<Fr> {
    let n = columns.first().map_or(1, |column| column.len());
    for column in columns {
        if column.len() != n {
            return Err(BackendError::LengthMismatch { operation, expected: n, got: column.len() });
        }
    }
    if n == 0 || !n.is_power_of_two() || n > 1 << Fr::S {
        return Err(BackendError::NoSuchDomain { operation, len: n });
    }
    Ok(Fr::ROOT_OF_UNITY.pow([(1u64 << Fr::S) / n as u64]))
}

impl NttOps for Naive {
    fn ntt(&self, columns: &[&Vec<Fr>]) -> Result<Vec<Vec<Fr>>> {
        let omega = omega("ntt", columns)?;
        Ok(columns.iter().map(|column| self.done("ntt", fft(column, omega))).collect())
    }

    fn intt(&self, columns: &[&Vec<Fr>]) -> Result<Vec<Vec<Fr>>> {
        let omega = omega("intt", columns)?;
        Ok(columns.iter().map(|column| self.done("intt", inverse_fft(column, omega))).collect())
    }

    fn coset_ntt(&self, columns: &[&Vec<Fr>], shift: Fr) -> Result<Vec<Vec<Fr>>> {
        let omega = omega("coset_ntt", columns)?;
        let shifted = |column: &Vec<Fr>| -> Vec<Fr> {
            column.iter().enumerate().map(|(i, value)| *value * shift.pow([i as u64])).collect()
        };
        Ok(columns.iter().map(|column| self.done("coset_ntt", fft(&shifted(column), omega))).collect())
    }

    fn interpolate_cosets(&self, cosets: &[(Fr, &Vec<Fr>)]) -> Result<Vec<Vec<Fr>>> {
        let operation = "interpolate_cosets";
        let dependent = || BackendError::DependentCosets { operation, cosets: cosets.len() };
        let columns: Vec<&Vec<Fr>> = cosets.iter().map(|(_, values)| *values).collect();
        let n = columns.first().ok_or_else(dependent)?.len();
        let omega = omega(operation, &columns)?;
        // Row i of the system: Σ_j (g_i^n)^j h_j = r_i, with r_i the interpolation on coset i.
        let mut system: Vec<(Vec<Fr>, Vec<Fr>)> = Vec::new();
        for (shift, values) in cosets {
            let inverse = Option::<Fr>::from(shift.invert()).ok_or_else(dependent)?;
            let residue = inverse_fft(values, omega).into_iter().enumerate();
            let residue = residue.map(|(i, value)| value * inverse.pow([i as u64])).collect();
            let node = shift.pow([n as u64]);
            system.push(((0..cosets.len()).map(|j| node.pow([j as u64])).collect(), residue));
        }
        let pieces = eliminate(system).ok_or_else(dependent)?;
        Ok(pieces.into_iter().map(|piece| self.done(operation, piece)).collect())
    }
}

/// Gauss-Jordan elimination of a square system with vectors on the right-hand side.
fn eliminate(mut system: Vec<(Vec<Fr>, Vec<Fr>)>) -> Option<Vec<Vec<Fr>>> {
    for column in 0..system.len() {
        let pivot = (column..system.len()).find(|row| !bool::from(system[*row].0[column].is_zero()))?;
        system.swap(column, pivot);
        let inverse = Option::<Fr>::from(system[column].0[column].invert())?;
        let (left, right) = &mut system[column];
        left.iter_mut().chain(right).for_each(|value| *value *= inverse);
        let (pivot_left, pivot_right) = system[column].clone();
        for (row, (left, right)) in system.iter_mut().enumerate() {
            if row != column {
                let factor = left[column];
                left.iter_mut().zip(&pivot_left).for_each(|(value, pivot)| *value -= factor * pivot);
                right.iter_mut().zip(&pivot_right).for_each(|(value, pivot)| *value -= factor * pivot);
            }
        }
    }
    Some(system.into_iter().map(|(_, right)| right).collect())
}

/// `Σ scalar·point`, byte by byte from the top: sort points into 255 buckets, add up the weighted buckets.
pub fn multi_scalar_multiplication(scalars: &[Fr], points: &[G1Affine]) -> G1 {
    let bytes: Vec<[u8; 32]> = scalars.iter().map(|scalar| scalar.to_repr()).collect();
    let mut acc = G1::identity();
    for position in (0..32).rev() {
        for _ in 0..8 {
            acc = acc.double();
        }
        let mut buckets = vec![G1::identity(); 256];
        for (bytes, point) in bytes.iter().zip(points) {
            if bytes[position] != 0 {
                buckets[usize::from(bytes[position])] += point;
            }
        }
        let mut running = G1::identity();
        for bucket in buckets[1..].iter().rev() {
            running += bucket;
            acc += running;
        }
    }
    acc
}

impl MsmOps for Naive {
    type Bases = Vec<G1Affine>;

    fn load_bases(&self, points: &[G1Affine], _table_budget_bytes: usize) -> Result<Vec<G1Affine>> {
        Ok(points.to_vec())
    }

    fn bases_len(&self, bases: &Vec<G1Affine>) -> usize {
        bases.len()
    }

    fn msm(&self, bases: &Vec<G1Affine>, columns: &[&Vec<Fr>]) -> Result<Vec<G1Affine>> {
        for column in columns {
            if column.len() > bases.len() {
                return Err(BackendError::TooFewBases { scalars: column.len(), bases: bases.len() });
            }
        }
        let sum = |column: &&Vec<Fr>| self.done_point("msm", multi_scalar_multiplication(column, bases));
        Ok(columns.iter().map(sum).collect())
    }

    fn msm_rows(&self, bases: &Vec<G1Affine>, rows: &[usize], scalars: &[Fr]) -> Result<G1Affine> {
        let (expected, got) = (rows.len(), scalars.len());
        if expected != got {
            return Err(BackendError::LengthMismatch { operation: "msm_rows", expected, got });
        }
        let mut sum = G1::identity();
        for (row, scalar) in rows.iter().zip(scalars) {
            let too_few = BackendError::TooFewBases { scalars: row + 1, bases: bases.len() };
            sum += *bases.get(*row).ok_or(too_few)? * scalar;
        }
        Ok(self.done_point("msm_rows", sum))
    }
}

fn check_lengths(operation: &'static str, a: &[Fr], b: &[Fr]) -> Result<()> {
    if a.len() == b.len() {
        return Ok(());
    }
    Err(BackendError::LengthMismatch { operation, expected: a.len(), got: b.len() })
}

impl Naive {
    fn zip(&self, operation: &'static str, acc: &mut Vec<Fr>, other: &[Fr], f: impl Fn(Fr, Fr) -> Fr) -> Result<()> {
        check_lengths(operation, acc, other)?;
        *acc = self.done(operation, acc.iter().zip(other).map(|(a, b)| f(*a, *b)).collect());
        Ok(())
    }
}

impl VectorOps for Naive {
    fn add_assign(&self, acc: &mut Vec<Fr>, other: &Vec<Fr>) -> Result<()> {
        self.zip("add_assign", acc, other, |a, b| a + b)
    }

    fn sub_assign(&self, acc: &mut Vec<Fr>, other: &Vec<Fr>) -> Result<()> {
        self.zip("sub_assign", acc, other, |a, b| a - b)
    }

    fn mul_assign(&self, acc: &mut Vec<Fr>, other: &Vec<Fr>) -> Result<()> {
        self.zip("mul_assign", acc, other, |a, b| a * b)
    }

    fn scale(&self, acc: &mut Vec<Fr>, factor: Fr) -> Result<()> {
        *acc = self.done("scale", acc.iter().map(|value| *value * factor).collect());
        Ok(())
    }

    fn linear_combination(&self, terms: &[(Fr, &Vec<Fr>)]) -> Result<Vec<Fr>> {
        let mut out = Vec::new();
        for (factor, vector) in terms {
            out.resize(out.len().max(vector.len()), Fr::ZERO);
            for (i, value) in vector.iter().enumerate() {
                out[i] += *factor * value;
            }
        }
        Ok(self.done("linear_combination", out))
    }

    fn batch_invert(&self, vector: &mut Vec<Fr>) -> Result<()> {
        let inverses = vector.iter().map(|value| value.invert().unwrap_or(Fr::ZERO)).collect();
        *vector = self.done("batch_invert", inverses);
        Ok(())
    }

    fn prefix_sum(&self, vector: &Vec<Fr>, initial: Fr) -> Result<Vec<Fr>> {
        let mut out = Vec::new();
        let mut acc = initial;
        for value in vector {
            out.push(acc);
            acc += value;
        }
        Ok(self.done("prefix_sum", out))
    }

    fn prefix_product(&self, vector: &Vec<Fr>, initial: Fr) -> Result<Vec<Fr>> {
        let mut out = Vec::new();
        let mut acc = initial;
        for value in vector {
            out.push(acc);
            acc *= value;
        }
        Ok(self.done("prefix_product", out))
    }

    fn affine_scan(&self, factors: &Vec<Fr>, terms: &Vec<Fr>, initial: Fr) -> Result<Vec<Fr>> {
        check_lengths("affine_scan", factors, terms)?;
        let mut out = Vec::new();
        let mut acc = initial;
        for (factor, term) in factors.iter().zip(terms) {
            out.push(acc);
            acc = *factor * acc + term;
        }
        Ok(self.done("affine_scan", out))
    }

    fn eval_polynomials(&self, queries: &[(&Vec<Fr>, Fr)]) -> Result<Vec<Fr>> {
        let mut values = Vec::new();
        for (polynomial, point) in queries {
            let mut power = Fr::ONE;
            let mut value = Fr::ZERO;
            for coefficient in polynomial.iter() {
                value += *coefficient * power;
                power *= point;
            }
            values.push(value);
        }
        Ok(self.done("eval_polynomials", values))
    }

    /// Schoolbook long division by X - root.
    fn divide_by_linear(&self, polynomial: &Vec<Fr>, root: Fr) -> Result<Vec<Fr>> {
        let mut remainder = polynomial.clone();
        let mut quotient = vec![Fr::ZERO; polynomial.len()];
        for i in (1..polynomial.len()).rev() {
            let leading = remainder[i];
            quotient[i - 1] = leading;
            remainder[i - 1] += leading * root;
        }
        Ok(self.done("divide_by_linear", quotient))
    }

    fn powers(&self, initial: Fr, base: Fr, len: usize) -> Result<Vec<Fr>> {
        Ok(self.done("powers", (0..len).map(|i| initial * base.pow([i as u64])).collect()))
    }

    fn inner_product(&self, a: &Vec<Fr>, b: &Vec<Fr>) -> Result<Fr> {
        check_lengths("inner_product", a, b)?;
        let sum = a.iter().zip(b).fold(Fr::ZERO, |acc, (a, b)| acc + *a * b);
        Ok(self.done("inner_product", vec![sum])[0])
    }

    fn permute_lookup(&self, input: &Vec<Fr>, table: &Vec<Fr>, usable: usize) -> Result<(Vec<Fr>, Vec<Fr>)> {
        let operation = "permute_lookup";
        check_lengths(operation, input, table)?;
        check_range(operation, input, &(0..usable))?;
        // Most significant byte first: the order of integers.
        let key = |value: &Fr| value.to_repr().into_iter().rev().collect::<Vec<u8>>();
        let mut left_over: BTreeMap<Vec<u8>, (Fr, usize)> = BTreeMap::new();
        for value in &table[..usable] {
            left_over.entry(key(value)).or_insert((*value, 0)).1 += 1;
        }
        for (row, value) in input[..usable].iter().enumerate() {
            if !left_over.contains_key(&key(value)) {
                return Err(BackendError::NotInTable { row });
            }
        }
        let mut sorted = input[..usable].to_vec();
        sorted.sort_by_key(key);
        let first_of_run = |row: usize| row == 0 || sorted[row] != sorted[row - 1];
        for row in (0..usable).filter(|row| first_of_run(*row)) {
            if let Some((_, count)) = left_over.get_mut(&key(&sorted[row])) {
                *count -= 1;
            }
        }
        let mut unused = left_over.into_values().flat_map(|(value, count)| std::iter::repeat_n(value, count));
        let choose = |row| if first_of_run(row) { sorted[row] } else { unused.next().unwrap_or(Fr::ZERO) };
        let mut permuted: Vec<Fr> = (0..usable).map(choose).collect();
        sorted.resize(input.len(), Fr::ZERO);
        permuted.resize(input.len(), Fr::ZERO);
        Ok((self.done(operation, sorted), permuted))
    }
}

impl QuotientOps for Naive {
    type Compiled = Program;

    fn compile(&self, program: &Program) -> Result<Program> {
        Ok(program.clone())
    }

    fn evaluate(&self, program: &Program, n: usize, columns: &[&Vec<Fr>], scalars: &[Fr]) -> Result<Vec<Vec<Fr>>> {
        program.check_columns(n, &columns.iter().map(|column| column.len()).collect::<Vec<_>>())?;
        let scalars = program.scalar_table(scalars)?;
        let mut outputs = vec![Vec::new(); program.outputs().len()];
        for row in 0..n as i64 {
            let mut results: Vec<Fr> = Vec::new();
            let value = |results: &[Fr], operand| match operand {
                Operand::Scalar(index) => scalars[index],
                Operand::Result(index) => results[index],
                Operand::Query(index) => {
                    let query = program.queries()[index];
                    columns[query.column][(row + i64::from(query.rotation)).rem_euclid(n as i64) as usize]
                }
            };
            for instruction in program.instructions() {
                let result = instruction.map(|operand| value(&results, operand)).apply();
                results.push(result);
            }
            for (output, operand) in outputs.iter_mut().zip(program.outputs()) {
                output.push(value(&results, *operand));
            }
        }
        Ok(outputs.into_iter().map(|output| self.done("evaluate", output)).collect())
    }
}

impl FoldOps for Naive {
    /// Pairs of a factor's index and an integer.
    type Integers = Vec<Vec<(usize, i16)>>;

    fn load_integers(&self, rows: &[IntegerRow<'_>]) -> Result<Self::Integers> {
        Ok(rows.iter().map(|row| (row.first..).zip(row.integers.iter().copied()).collect()).collect())
    }

    fn fold_integers(&self, integers: &Self::Integers, factors: &[Fr]) -> Result<Vec<Fr>> {
        let reach = integers.iter().filter_map(|row| row.last()).map(|(index, _)| index + 1).max().unwrap_or(0);
        if reach > factors.len() {
            let operation = "fold_integers";
            return Err(BackendError::LengthMismatch { operation, expected: factors.len(), got: reach });
        }
        let product = |(index, integer): &(usize, i16)| {
            let magnitude = factors[*index] * Fr::from(u64::from(integer.unsigned_abs()));
            if *integer < 0 { -magnitude } else { magnitude }
        };
        let sums = integers.iter().map(|row| row.iter().map(product).sum()).collect();
        Ok(self.done("fold_integers", sums))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn msm_agrees_with_double_and_add() {
        let scalars = [Fr::ZERO, Fr::ONE, -Fr::ONE, Fr::from(300), Fr::TWO_INV];
        let points: Vec<G1Affine> = (1..6u64).map(|i| (G1::generator() * Fr::from(i * i)).to_affine()).collect();
        let expected = scalars.iter().zip(&points).fold(G1::identity(), |acc, (scalar, point)| acc + *point * scalar);
        assert_eq!(multi_scalar_multiplication(&scalars, &points), expected);
    }

    #[test]
    fn fft_agrees_with_the_definition() {
        let coefficients: Vec<Fr> = (1..9u64).map(|i| Fr::from(i).square()).collect();
        let omega = Fr::ROOT_OF_UNITY.pow([1u64 << (Fr::S - 3)]);
        for (i, value) in fft(&coefficients, omega).iter().enumerate() {
            let term = |(j, coefficient): (usize, &Fr)| *coefficient * omega.pow([(i * j) as u64]);
            assert_eq!(*value, coefficients.iter().enumerate().map(term).sum::<Fr>());
        }
        assert_eq!(inverse_fft(&fft(&coefficients, omega), omega), coefficients);
    }
}

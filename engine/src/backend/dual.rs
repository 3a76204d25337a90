//! Two back ends in lock step, for finding out which operation of a new back end is wrong.
//!
//! Every operation runs on both; results come back to the host and are compared. The first difference is reported by
//! the operation's name and the index of the element. Nothing here is fast.

use std::ops::Range;

use halo2curves::bn256::{Fr, G1Affine};

use super::program::Program;
use super::{
    Backend, Counts, FoldOps, IntegerColumn, IntegerRow, MemoryOps, MsmOps, NttOps, QuotientOps, Result, VectorOps,
};
use crate::error::BackendError;

/// Runs `A` and `B` together; itself a back end whose results are A's.
///
/// ```
/// use zkml_gpu_engine::backend::{MemoryOps, NttOps, cpu::Cpu, dual::Dual};
/// use halo2curves::bn256::Fr;
///
/// let both = Dual::new(Cpu::new(), Cpu::new());
/// let vector = both.upload(&[Fr::one(), Fr::zero()])?;
/// assert_eq!(both.download(&both.ntt(&[&vector])?[0])?, [Fr::one(); 2]);
/// # Ok::<(), zkml_gpu_engine::BackendError>(())
/// ```
#[derive(Debug)]
pub struct Dual<A, B> {
    left: A,
    right: B,
}

/// The same object on both back ends.
#[derive(Debug)]
pub struct Twin<A, B> {
    left: A,
    right: B,
}

type Scalars<A, B> = Twin<<A as MemoryOps>::Scalars, <B as MemoryOps>::Scalars>;

impl<A: Backend, B: Backend> Dual<A, B> {
    /// Runs the two together.
    pub fn new(left: A, right: B) -> Self {
        Dual { left, right }
    }

    /// Joins the outcomes of an operation that both ran: equal success, equal failure, or an error that names it.
    fn join<T, U>(&self, operation: &'static str, left: Result<T>, right: Result<U>) -> Result<(T, U)> {
        let one_sided = |failed, cause| BackendError::OneSided { operation, failed, cause: Box::new(cause) };
        match (left, right) {
            (Ok(left), Ok(right)) => Ok((left, right)),
            (Err(left), Err(right)) if left == right => Err(left),
            (Err(cause), _) => Err(one_sided(self.left.name(), cause)),
            (Ok(_), Err(cause)) => Err(one_sided(self.right.name(), cause)),
        }
    }

    /// Joins host values, which must be equal.
    fn join_values<T: PartialEq>(
        &self,
        operation: &'static str,
        left: Result<Vec<T>>,
        right: Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        let (left, right) = self.join(operation, left, right)?;
        self.compare(operation, 0, &left, &right)?;
        Ok(left)
    }

    /// Joins resident vectors, which must be equal.
    fn join_vectors(
        &self,
        operation: &'static str,
        left: Result<Vec<A::Scalars>>,
        right: Result<Vec<B::Scalars>>,
    ) -> Result<Vec<Scalars<A, B>>> {
        let (left, right) = self.join(operation, left, right)?;
        let same_count = left.len() == right.len();
        let twins: Vec<_> = left.into_iter().zip(right).map(|(left, right)| Twin { left, right }).collect();
        let mut offset = 0;
        for twin in &twins {
            offset = self.compare_twin(operation, offset, twin)?;
        }
        if same_count { Ok(twins) } else { Err(self.divergence(operation, offset)) }
    }

    fn join_vector(
        &self,
        operation: &'static str,
        left: Result<A::Scalars>,
        right: Result<B::Scalars>,
    ) -> Result<Scalars<A, B>> {
        let (left, right) = self.join(operation, left, right)?;
        let twin = Twin { left, right };
        self.compare_twin(operation, 0, &twin)?;
        Ok(twin)
    }

    /// Joins an operation that changed a vector in place.
    fn join_in_place(
        &self,
        operation: &'static str,
        changed: &Scalars<A, B>,
        left: Result<()>,
        right: Result<()>,
    ) -> Result<()> {
        self.join(operation, left, right)?;
        self.compare_twin(operation, 0, changed).map(|_| ())
    }

    fn compare_twin(&self, operation: &'static str, offset: usize, twin: &Scalars<A, B>) -> Result<usize> {
        let left = self.left.download(&twin.left)?;
        self.compare(operation, offset, &left, &self.right.download(&twin.right)?)?;
        Ok(offset + left.len())
    }

    fn compare<T: PartialEq>(&self, operation: &'static str, offset: usize, left: &[T], right: &[T]) -> Result<()> {
        if left == right {
            return Ok(());
        }
        let common = left.iter().zip(right).take_while(|(left, right)| left == right).count();
        Err(self.divergence(operation, offset + common))
    }

    fn divergence(&self, operation: &'static str, index: usize) -> BackendError {
        BackendError::Divergence { operation, left: self.left.name(), right: self.right.name(), index }
    }
}

fn lefts<'a, A, B>(twins: &[&'a Twin<A, B>]) -> Vec<&'a A> {
    twins.iter().map(|twin| &twin.left).collect()
}

fn rights<'a, A, B>(twins: &[&'a Twin<A, B>]) -> Vec<&'a B> {
    twins.iter().map(|twin| &twin.right).collect()
}

fn left_pairs<'a, A, B>(pairs: &[(Fr, &'a Twin<A, B>)]) -> Vec<(Fr, &'a A)> {
    pairs.iter().map(|(factor, twin)| (*factor, &twin.left)).collect()
}

fn right_pairs<'a, A, B>(pairs: &[(Fr, &'a Twin<A, B>)]) -> Vec<(Fr, &'a B)> {
    pairs.iter().map(|(factor, twin)| (*factor, &twin.right)).collect()
}

impl<A: Backend, B: Backend> MemoryOps for Dual<A, B> {
    type Scalars = Scalars<A, B>;

    fn name(&self) -> String {
        format!("dual({}, {})", self.left.name(), self.right.name())
    }

    fn description(&self) -> String {
        format!("{} beside {}", self.left.description(), self.right.description())
    }

    fn is_host(&self) -> bool {
        self.left.is_host() && self.right.is_host()
    }

    fn is_compact(&self, vector: &Self::Scalars) -> bool {
        self.left.is_compact(&vector.left) && self.right.is_compact(&vector.right)
    }

    fn peak_bytes(&self) -> Option<u64> {
        self.left.peak_bytes().or(self.right.peak_bytes())
    }

    fn free_bytes(&self) -> Option<u64> {
        [self.left.free_bytes(), self.right.free_bytes()].into_iter().flatten().min()
    }

    fn counts(&self) -> Option<Counts> {
        self.left.counts().or(self.right.counts())
    }

    fn len(&self, vector: &Self::Scalars) -> usize {
        self.left.len(&vector.left)
    }

    fn upload(&self, values: &[Fr]) -> Result<Self::Scalars> {
        self.join_vector("upload", self.left.upload(values), self.right.upload(values))
    }

    fn upload_columns(&self, columns: &[&[Fr]]) -> Result<Vec<Self::Scalars>> {
        self.join_vectors("upload_columns", self.left.upload_columns(columns), self.right.upload_columns(columns))
    }

    fn upload_integer_columns(&self, columns: &[IntegerColumn<'_>]) -> Result<Vec<Self::Scalars>> {
        let (left, right) = (self.left.upload_integer_columns(columns), self.right.upload_integer_columns(columns));
        self.join_vectors("upload_integer_columns", left, right)
    }

    fn zeros(&self, len: usize) -> Result<Self::Scalars> {
        self.join_vector("zeros", self.left.zeros(len), self.right.zeros(len))
    }

    fn download(&self, vector: &Self::Scalars) -> Result<Vec<Fr>> {
        self.join_values("download", self.left.download(&vector.left), self.right.download(&vector.right))
    }

    fn read_range(&self, vector: &Self::Scalars, range: Range<usize>) -> Result<Vec<Fr>> {
        let left = self.left.read_range(&vector.left, range.clone());
        self.join_values("read_range", left, self.right.read_range(&vector.right, range))
    }

    fn write_range(&self, vector: &mut Self::Scalars, start: usize, values: &[Fr]) -> Result<()> {
        let left = self.left.write_range(&mut vector.left, start, values);
        let right = self.right.write_range(&mut vector.right, start, values);
        self.join_in_place("write_range", vector, left, right)
    }

    fn slice(&self, vector: &Self::Scalars, range: Range<usize>) -> Result<Self::Scalars> {
        let left = self.left.slice(&vector.left, range.clone());
        self.join_vector("slice", left, self.right.slice(&vector.right, range))
    }
}

impl<A: Backend, B: Backend> NttOps for Dual<A, B> {
    fn ntt(&self, columns: &[&Self::Scalars]) -> Result<Vec<Self::Scalars>> {
        self.join_vectors("ntt", self.left.ntt(&lefts(columns)), self.right.ntt(&rights(columns)))
    }

    fn intt(&self, columns: &[&Self::Scalars]) -> Result<Vec<Self::Scalars>> {
        self.join_vectors("intt", self.left.intt(&lefts(columns)), self.right.intt(&rights(columns)))
    }

    fn coset_ntt(&self, columns: &[&Self::Scalars], shift: Fr) -> Result<Vec<Self::Scalars>> {
        let left = self.left.coset_ntt(&lefts(columns), shift);
        self.join_vectors("coset_ntt", left, self.right.coset_ntt(&rights(columns), shift))
    }

    fn interpolate_cosets(&self, cosets: &[(Fr, &Self::Scalars)]) -> Result<Vec<Self::Scalars>> {
        let left = self.left.interpolate_cosets(&left_pairs(cosets));
        self.join_vectors("interpolate_cosets", left, self.right.interpolate_cosets(&right_pairs(cosets)))
    }
}

impl<A: Backend, B: Backend> MsmOps for Dual<A, B> {
    type Bases = Twin<A::Bases, B::Bases>;

    fn load_bases(&self, points: &[G1Affine], table_budget_bytes: usize) -> Result<Self::Bases> {
        let left = self.left.load_bases(points, table_budget_bytes);
        let right = self.right.load_bases(points, table_budget_bytes);
        self.join("load_bases", left, right).map(|(left, right)| Twin { left, right })
    }

    fn bases_len(&self, bases: &Self::Bases) -> usize {
        self.left.bases_len(&bases.left)
    }

    fn table_bytes(&self, bases: &Self::Bases) -> Option<usize> {
        Some(self.left.table_bytes(&bases.left)? + self.right.table_bytes(&bases.right)?)
    }

    fn msm(&self, bases: &Self::Bases, columns: &[&Self::Scalars]) -> Result<Vec<G1Affine>> {
        let left = self.left.msm(&bases.left, &lefts(columns));
        self.join_values("msm", left, self.right.msm(&bases.right, &rights(columns)))
    }

    fn msm_rows(&self, bases: &Self::Bases, rows: &[usize], scalars: &[Fr]) -> Result<G1Affine> {
        let left = self.left.msm_rows(&bases.left, rows, scalars);
        let (left, right) = self.join("msm_rows", left, self.right.msm_rows(&bases.right, rows, scalars))?;
        self.compare("msm_rows", 0, &[left], &[right])?;
        Ok(left)
    }
}

impl<A: Backend, B: Backend> VectorOps for Dual<A, B> {
    fn add_assign(&self, acc: &mut Self::Scalars, other: &Self::Scalars) -> Result<()> {
        let left = self.left.add_assign(&mut acc.left, &other.left);
        let right = self.right.add_assign(&mut acc.right, &other.right);
        self.join_in_place("add_assign", acc, left, right)
    }

    fn sub_assign(&self, acc: &mut Self::Scalars, other: &Self::Scalars) -> Result<()> {
        let left = self.left.sub_assign(&mut acc.left, &other.left);
        let right = self.right.sub_assign(&mut acc.right, &other.right);
        self.join_in_place("sub_assign", acc, left, right)
    }

    fn mul_assign(&self, acc: &mut Self::Scalars, other: &Self::Scalars) -> Result<()> {
        let left = self.left.mul_assign(&mut acc.left, &other.left);
        let right = self.right.mul_assign(&mut acc.right, &other.right);
        self.join_in_place("mul_assign", acc, left, right)
    }

    fn scale(&self, acc: &mut Self::Scalars, factor: Fr) -> Result<()> {
        let left = self.left.scale(&mut acc.left, factor);
        let right = self.right.scale(&mut acc.right, factor);
        self.join_in_place("scale", acc, left, right)
    }

    fn linear_combination(&self, terms: &[(Fr, &Self::Scalars)]) -> Result<Self::Scalars> {
        let left = self.left.linear_combination(&left_pairs(terms));
        self.join_vector("linear_combination", left, self.right.linear_combination(&right_pairs(terms)))
    }

    fn batch_invert(&self, vector: &mut Self::Scalars) -> Result<()> {
        let left = self.left.batch_invert(&mut vector.left);
        let right = self.right.batch_invert(&mut vector.right);
        self.join_in_place("batch_invert", vector, left, right)
    }

    fn prefix_sum(&self, vector: &Self::Scalars, initial: Fr) -> Result<Self::Scalars> {
        let left = self.left.prefix_sum(&vector.left, initial);
        self.join_vector("prefix_sum", left, self.right.prefix_sum(&vector.right, initial))
    }

    fn prefix_product(&self, vector: &Self::Scalars, initial: Fr) -> Result<Self::Scalars> {
        let left = self.left.prefix_product(&vector.left, initial);
        self.join_vector("prefix_product", left, self.right.prefix_product(&vector.right, initial))
    }

    fn affine_scan(&self, factors: &Self::Scalars, terms: &Self::Scalars, initial: Fr) -> Result<Self::Scalars> {
        let left = self.left.affine_scan(&factors.left, &terms.left, initial);
        let right = self.right.affine_scan(&factors.right, &terms.right, initial);
        self.join_vector("affine_scan", left, right)
    }

    fn eval_polynomials(&self, queries: &[(&Self::Scalars, Fr)]) -> Result<Vec<Fr>> {
        let left: Vec<_> = queries.iter().map(|(twin, point)| (&twin.left, *point)).collect();
        let right: Vec<_> = queries.iter().map(|(twin, point)| (&twin.right, *point)).collect();
        let (left, right) = (self.left.eval_polynomials(&left), self.right.eval_polynomials(&right));
        self.join_values("eval_polynomials", left, right)
    }

    fn divide_by_linear(&self, polynomial: &Self::Scalars, root: Fr) -> Result<Self::Scalars> {
        let left = self.left.divide_by_linear(&polynomial.left, root);
        self.join_vector("divide_by_linear", left, self.right.divide_by_linear(&polynomial.right, root))
    }

    fn powers(&self, initial: Fr, base: Fr, len: usize) -> Result<Self::Scalars> {
        let left = self.left.powers(initial, base, len);
        self.join_vector("powers", left, self.right.powers(initial, base, len))
    }

    fn inner_product(&self, a: &Self::Scalars, b: &Self::Scalars) -> Result<Fr> {
        let left = self.left.inner_product(&a.left, &b.left);
        let (left, right) = self.join("inner_product", left, self.right.inner_product(&a.right, &b.right))?;
        self.compare("inner_product", 0, &[left], &[right])?;
        Ok(left)
    }

    fn permute_lookup(
        &self,
        input: &Self::Scalars,
        table: &Self::Scalars,
        usable: usize,
    ) -> Result<(Self::Scalars, Self::Scalars)> {
        let operation = "permute_lookup";
        let left = self.left.permute_lookup(&input.left, &table.left, usable);
        let right = self.right.permute_lookup(&input.right, &table.right, usable);
        let (left, right) = self.join(operation, left, right)?;
        let input = self.join_vector(operation, Ok(left.0), Ok(right.0))?;
        Ok((input, self.join_vector(operation, Ok(left.1), Ok(right.1))?))
    }
}

impl<A: Backend, B: Backend> QuotientOps for Dual<A, B> {
    type Compiled = Twin<A::Compiled, B::Compiled>;

    fn compile(&self, program: &Program) -> Result<Self::Compiled> {
        let (left, right) = self.join("compile", self.left.compile(program), self.right.compile(program))?;
        Ok(Twin { left, right })
    }

    fn evaluate(
        &self,
        compiled: &Self::Compiled,
        n: usize,
        columns: &[&Self::Scalars],
        scalars: &[Fr],
    ) -> Result<Vec<Self::Scalars>> {
        let left = self.left.evaluate(&compiled.left, n, &lefts(columns), scalars);
        let right = self.right.evaluate(&compiled.right, n, &rights(columns), scalars);
        self.join_vectors("evaluate", left, right)
    }
}

impl<A: Backend, B: Backend> FoldOps for Dual<A, B> {
    type Integers = Twin<A::Integers, B::Integers>;

    fn load_integers(&self, rows: &[IntegerRow<'_>]) -> Result<Self::Integers> {
        let (left, right) =
            self.join("load_integers", self.left.load_integers(rows), self.right.load_integers(rows))?;
        Ok(Twin { left, right })
    }

    fn fold_integers(&self, integers: &Self::Integers, factors: &[Fr]) -> Result<Self::Scalars> {
        let left = self.left.fold_integers(&integers.left, factors);
        self.join_vector("fold_integers", left, self.right.fold_integers(&integers.right, factors))
    }
}

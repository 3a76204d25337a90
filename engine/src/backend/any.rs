//! A back end that is chosen at run time: what is built on it is compiled once, whichever back ends there are.
//!
//! Vectors, points and programs are objects behind a pointer; an operation finds out what they are and hands them on. That costs some
//! nanoseconds for each operand, and the operands are whole columns.

use super::program::Program;
use super::{Backend, MemoryOps, MsmOps, NttOps, QuotientOps, Result, VectorOps};
use crate::error::BackendError;
use halo2curves::bn256::{Fr, G1Affine};
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

/// Any back end.
///
/// ```
/// use halo2curves::bn256::Fr;
/// use zkml_gpu_engine::backend::{Any, Cpu, MemoryOps, NttOps};
///
/// let backend = Any::new(Cpu::new());
/// let vector = backend.upload(&[Fr::one(), Fr::zero()])?;
/// assert_eq!(backend.download(&backend.ntt(&[&vector])?[0])?, [Fr::one(); 2]);
/// # Ok::<(), zkml_gpu_engine::BackendError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Any(Arc<dyn Erased>);

/// What a back end keeps in its memory.
trait Resident: std::any::Any + Debug + Send + Sync {}

impl<T: std::any::Any + Debug + Send + Sync> Resident for T {}

/// Something in the memory of the back end that made it.
#[derive(Debug)]
pub struct Object(Box<dyn Resident>);

impl Object {
    fn new<T: Resident>(value: T) -> Self {
        Self(Box::new(value))
    }

    fn all<T: Resident>(values: Vec<T>) -> Vec<Self> {
        values.into_iter().map(Self::new).collect()
    }

    fn get<T: Resident>(&self, operation: &'static str) -> Result<&T> {
        let object: &dyn std::any::Any = &*self.0;
        object.downcast_ref().ok_or_else(|| stranger(operation))
    }

    fn get_mut<T: Resident>(&mut self, operation: &'static str) -> Result<&mut T> {
        let object: &mut dyn std::any::Any = &mut *self.0;
        object.downcast_mut().ok_or_else(|| stranger(operation))
    }
}

fn stranger(operation: &'static str) -> BackendError {
    let message = "an operand was made by another back end".to_owned();
    BackendError::Device { operation, device: "any".to_owned(), message }
}

/// The operands as what they are.
fn get_all<'o, T: Resident>(operation: &'static str, objects: &[&'o Object]) -> Result<Vec<&'o T>> {
    objects.iter().map(|object| object.get(operation)).collect()
}

/// The operands of pairs with scalars.
fn get_pairs<'o, T: Resident>(operation: &'static str, pairs: &[(Fr, &'o Object)]) -> Result<Vec<(Fr, &'o T)>> {
    pairs.iter().map(|(scalar, object)| Ok((*scalar, object.get(operation)?))).collect()
}

/// All operations, on objects.
trait Erased: Debug + Send + Sync {
    fn name(&self) -> String;
    fn description(&self) -> String;
    fn is_host(&self) -> bool;
    fn peak_bytes(&self) -> Option<u64>;
    fn len(&self, vector: &Object) -> usize;
    fn upload(&self, values: &[Fr]) -> Result<Object>;
    fn upload_columns(&self, columns: &[&[Fr]]) -> Result<Vec<Object>>;
    fn zeros(&self, len: usize) -> Result<Object>;
    fn download(&self, vector: &Object) -> Result<Vec<Fr>>;
    fn read_range(&self, vector: &Object, range: Range<usize>) -> Result<Vec<Fr>>;
    fn write_range(&self, vector: &mut Object, start: usize, values: &[Fr]) -> Result<()>;
    fn slice(&self, vector: &Object, range: Range<usize>) -> Result<Object>;

    fn ntt(&self, columns: &[&Object]) -> Result<Vec<Object>>;
    fn intt(&self, columns: &[&Object]) -> Result<Vec<Object>>;
    fn coset_ntt(&self, columns: &[&Object], shift: Fr) -> Result<Vec<Object>>;
    fn interpolate_cosets(&self, cosets: &[(Fr, &Object)]) -> Result<Vec<Object>>;

    fn load_bases(&self, points: &[G1Affine], table_budget_bytes: usize) -> Result<Object>;
    fn bases_len(&self, bases: &Object) -> usize;
    fn table_bytes(&self, bases: &Object) -> Option<usize>;
    fn msm(&self, bases: &Object, columns: &[&Object]) -> Result<Vec<G1Affine>>;
    fn msm_rows(&self, bases: &Object, rows: &[usize], scalars: &[Fr]) -> Result<G1Affine>;

    fn add_assign(&self, acc: &mut Object, other: &Object) -> Result<()>;
    fn sub_assign(&self, acc: &mut Object, other: &Object) -> Result<()>;
    fn mul_assign(&self, acc: &mut Object, other: &Object) -> Result<()>;
    fn scale(&self, acc: &mut Object, factor: Fr) -> Result<()>;
    fn linear_combination(&self, terms: &[(Fr, &Object)]) -> Result<Object>;
    fn batch_invert(&self, vector: &mut Object) -> Result<()>;
    fn prefix_sum(&self, vector: &Object, initial: Fr) -> Result<Object>;
    fn prefix_product(&self, vector: &Object, initial: Fr) -> Result<Object>;
    fn affine_scan(&self, factors: &Object, terms: &Object, initial: Fr) -> Result<Object>;
    fn eval_polynomials(&self, queries: &[(&Object, Fr)]) -> Result<Vec<Fr>>;
    fn divide_by_linear(&self, polynomial: &Object, root: Fr) -> Result<Object>;
    fn powers(&self, initial: Fr, base: Fr, len: usize) -> Result<Object>;
    fn inner_product(&self, a: &Object, b: &Object) -> Result<Fr>;
    fn permute_lookup(&self, input: &Object, table: &Object, usable: usize) -> Result<(Object, Object)>;

    fn compile(&self, program: &Program) -> Result<Object>;
    fn evaluate(&self, compiled: &Object, n: usize, columns: &[&Object], scalars: &[Fr]) -> Result<Vec<Object>>;
}

impl<B> Erased for B
where
    B: Backend,
    B::Scalars: 'static,
    B::Bases: 'static,
    B::Compiled: 'static,
{
    fn name(&self) -> String {
        MemoryOps::name(self)
    }

    fn description(&self) -> String {
        MemoryOps::description(self)
    }

    fn is_host(&self) -> bool {
        MemoryOps::is_host(self)
    }

    fn peak_bytes(&self) -> Option<u64> {
        MemoryOps::peak_bytes(self)
    }

    fn len(&self, vector: &Object) -> usize {
        vector.get("len").map_or(0, |vector| MemoryOps::len(self, vector))
    }

    fn upload(&self, values: &[Fr]) -> Result<Object> {
        MemoryOps::upload(self, values).map(Object::new)
    }

    fn upload_columns(&self, columns: &[&[Fr]]) -> Result<Vec<Object>> {
        MemoryOps::upload_columns(self, columns).map(Object::all)
    }

    fn zeros(&self, len: usize) -> Result<Object> {
        MemoryOps::zeros(self, len).map(Object::new)
    }

    fn download(&self, vector: &Object) -> Result<Vec<Fr>> {
        MemoryOps::download(self, vector.get("download")?)
    }

    fn read_range(&self, vector: &Object, range: Range<usize>) -> Result<Vec<Fr>> {
        MemoryOps::read_range(self, vector.get("read_range")?, range)
    }

    fn write_range(&self, vector: &mut Object, start: usize, values: &[Fr]) -> Result<()> {
        MemoryOps::write_range(self, vector.get_mut("write_range")?, start, values)
    }

    fn slice(&self, vector: &Object, range: Range<usize>) -> Result<Object> {
        MemoryOps::slice(self, vector.get("slice")?, range).map(Object::new)
    }

    fn ntt(&self, columns: &[&Object]) -> Result<Vec<Object>> {
        NttOps::ntt(self, &get_all("ntt", columns)?).map(Object::all)
    }

    fn intt(&self, columns: &[&Object]) -> Result<Vec<Object>> {
        NttOps::intt(self, &get_all("intt", columns)?).map(Object::all)
    }

    fn coset_ntt(&self, columns: &[&Object], shift: Fr) -> Result<Vec<Object>> {
        NttOps::coset_ntt(self, &get_all("coset_ntt", columns)?, shift).map(Object::all)
    }

    fn interpolate_cosets(&self, cosets: &[(Fr, &Object)]) -> Result<Vec<Object>> {
        NttOps::interpolate_cosets(self, &get_pairs("interpolate_cosets", cosets)?).map(Object::all)
    }

    fn load_bases(&self, points: &[G1Affine], table_budget_bytes: usize) -> Result<Object> {
        MsmOps::load_bases(self, points, table_budget_bytes).map(Object::new)
    }

    fn bases_len(&self, bases: &Object) -> usize {
        bases.get("bases_len").map_or(0, |bases| MsmOps::bases_len(self, bases))
    }

    fn table_bytes(&self, bases: &Object) -> Option<usize> {
        MsmOps::table_bytes(self, bases.get("table_bytes").ok()?)
    }

    fn msm(&self, bases: &Object, columns: &[&Object]) -> Result<Vec<G1Affine>> {
        MsmOps::msm(self, bases.get("msm")?, &get_all("msm", columns)?)
    }

    fn msm_rows(&self, bases: &Object, rows: &[usize], scalars: &[Fr]) -> Result<G1Affine> {
        MsmOps::msm_rows(self, bases.get("msm_rows")?, rows, scalars)
    }

    fn add_assign(&self, acc: &mut Object, other: &Object) -> Result<()> {
        VectorOps::add_assign(self, acc.get_mut("add_assign")?, other.get("add_assign")?)
    }

    fn sub_assign(&self, acc: &mut Object, other: &Object) -> Result<()> {
        VectorOps::sub_assign(self, acc.get_mut("sub_assign")?, other.get("sub_assign")?)
    }

    fn mul_assign(&self, acc: &mut Object, other: &Object) -> Result<()> {
        VectorOps::mul_assign(self, acc.get_mut("mul_assign")?, other.get("mul_assign")?)
    }

    fn scale(&self, acc: &mut Object, factor: Fr) -> Result<()> {
        VectorOps::scale(self, acc.get_mut("scale")?, factor)
    }

    fn linear_combination(&self, terms: &[(Fr, &Object)]) -> Result<Object> {
        VectorOps::linear_combination(self, &get_pairs("linear_combination", terms)?).map(Object::new)
    }

    fn batch_invert(&self, vector: &mut Object) -> Result<()> {
        VectorOps::batch_invert(self, vector.get_mut("batch_invert")?)
    }

    fn prefix_sum(&self, vector: &Object, initial: Fr) -> Result<Object> {
        VectorOps::prefix_sum(self, vector.get("prefix_sum")?, initial).map(Object::new)
    }

    fn prefix_product(&self, vector: &Object, initial: Fr) -> Result<Object> {
        VectorOps::prefix_product(self, vector.get("prefix_product")?, initial).map(Object::new)
    }

    fn affine_scan(&self, factors: &Object, terms: &Object, initial: Fr) -> Result<Object> {
        VectorOps::affine_scan(self, factors.get("affine_scan")?, terms.get("affine_scan")?, initial).map(Object::new)
    }

    fn eval_polynomials(&self, queries: &[(&Object, Fr)]) -> Result<Vec<Fr>> {
        let vectors = queries.iter().map(|(object, point)| Ok((object.get("eval_polynomials")?, *point)));
        VectorOps::eval_polynomials(self, &vectors.collect::<Result<Vec<_>>>()?)
    }

    fn divide_by_linear(&self, polynomial: &Object, root: Fr) -> Result<Object> {
        VectorOps::divide_by_linear(self, polynomial.get("divide_by_linear")?, root).map(Object::new)
    }

    fn powers(&self, initial: Fr, base: Fr, len: usize) -> Result<Object> {
        VectorOps::powers(self, initial, base, len).map(Object::new)
    }

    fn inner_product(&self, a: &Object, b: &Object) -> Result<Fr> {
        VectorOps::inner_product(self, a.get("inner_product")?, b.get("inner_product")?)
    }

    fn permute_lookup(&self, input: &Object, table: &Object, usable: usize) -> Result<(Object, Object)> {
        let operation = "permute_lookup";
        let (input, table) = VectorOps::permute_lookup(self, input.get(operation)?, table.get(operation)?, usable)?;
        Ok((Object::new(input), Object::new(table)))
    }

    fn compile(&self, program: &Program) -> Result<Object> {
        QuotientOps::compile(self, program).map(Object::new)
    }

    fn evaluate(&self, compiled: &Object, n: usize, columns: &[&Object], scalars: &[Fr]) -> Result<Vec<Object>> {
        let columns = get_all("evaluate", columns)?;
        QuotientOps::evaluate(self, compiled.get("evaluate")?, n, &columns, scalars).map(Object::all)
    }
}

impl Any {
    /// The back end, its kind forgotten.
    pub fn new<B>(backend: B) -> Self
    where
        B: Backend + 'static,
        B::Scalars: 'static,
        B::Bases: 'static,
        B::Compiled: 'static,
    {
        Self(Arc::new(backend))
    }
}

impl MemoryOps for Any {
    type Scalars = Object;

    fn name(&self) -> String {
        self.0.name()
    }

    fn description(&self) -> String {
        self.0.description()
    }

    fn is_host(&self) -> bool {
        self.0.is_host()
    }

    fn peak_bytes(&self) -> Option<u64> {
        self.0.peak_bytes()
    }

    fn len(&self, vector: &Object) -> usize {
        self.0.len(vector)
    }

    fn upload(&self, values: &[Fr]) -> Result<Object> {
        self.0.upload(values)
    }

    fn upload_columns(&self, columns: &[&[Fr]]) -> Result<Vec<Object>> {
        self.0.upload_columns(columns)
    }

    fn zeros(&self, len: usize) -> Result<Object> {
        self.0.zeros(len)
    }

    fn download(&self, vector: &Object) -> Result<Vec<Fr>> {
        self.0.download(vector)
    }

    fn read_range(&self, vector: &Object, range: Range<usize>) -> Result<Vec<Fr>> {
        self.0.read_range(vector, range)
    }

    fn write_range(&self, vector: &mut Object, start: usize, values: &[Fr]) -> Result<()> {
        self.0.write_range(vector, start, values)
    }

    fn slice(&self, vector: &Object, range: Range<usize>) -> Result<Object> {
        self.0.slice(vector, range)
    }
}

impl NttOps for Any {
    fn ntt(&self, columns: &[&Object]) -> Result<Vec<Object>> {
        self.0.ntt(columns)
    }

    fn intt(&self, columns: &[&Object]) -> Result<Vec<Object>> {
        self.0.intt(columns)
    }

    fn coset_ntt(&self, columns: &[&Object], shift: Fr) -> Result<Vec<Object>> {
        self.0.coset_ntt(columns, shift)
    }

    fn interpolate_cosets(&self, cosets: &[(Fr, &Object)]) -> Result<Vec<Object>> {
        self.0.interpolate_cosets(cosets)
    }
}

impl MsmOps for Any {
    type Bases = Object;

    fn load_bases(&self, points: &[G1Affine], table_budget_bytes: usize) -> Result<Object> {
        self.0.load_bases(points, table_budget_bytes)
    }

    fn bases_len(&self, bases: &Object) -> usize {
        self.0.bases_len(bases)
    }

    fn table_bytes(&self, bases: &Object) -> Option<usize> {
        self.0.table_bytes(bases)
    }

    fn msm(&self, bases: &Object, columns: &[&Object]) -> Result<Vec<G1Affine>> {
        self.0.msm(bases, columns)
    }

    fn msm_rows(&self, bases: &Object, rows: &[usize], scalars: &[Fr]) -> Result<G1Affine> {
        self.0.msm_rows(bases, rows, scalars)
    }
}

impl VectorOps for Any {
    fn add_assign(&self, acc: &mut Object, other: &Object) -> Result<()> {
        self.0.add_assign(acc, other)
    }

    fn sub_assign(&self, acc: &mut Object, other: &Object) -> Result<()> {
        self.0.sub_assign(acc, other)
    }

    fn mul_assign(&self, acc: &mut Object, other: &Object) -> Result<()> {
        self.0.mul_assign(acc, other)
    }

    fn scale(&self, acc: &mut Object, factor: Fr) -> Result<()> {
        self.0.scale(acc, factor)
    }

    fn linear_combination(&self, terms: &[(Fr, &Object)]) -> Result<Object> {
        self.0.linear_combination(terms)
    }

    fn batch_invert(&self, vector: &mut Object) -> Result<()> {
        self.0.batch_invert(vector)
    }

    fn prefix_sum(&self, vector: &Object, initial: Fr) -> Result<Object> {
        self.0.prefix_sum(vector, initial)
    }

    fn prefix_product(&self, vector: &Object, initial: Fr) -> Result<Object> {
        self.0.prefix_product(vector, initial)
    }

    fn affine_scan(&self, factors: &Object, terms: &Object, initial: Fr) -> Result<Object> {
        self.0.affine_scan(factors, terms, initial)
    }

    fn eval_polynomials(&self, queries: &[(&Object, Fr)]) -> Result<Vec<Fr>> {
        self.0.eval_polynomials(queries)
    }

    fn divide_by_linear(&self, polynomial: &Object, root: Fr) -> Result<Object> {
        self.0.divide_by_linear(polynomial, root)
    }

    fn powers(&self, initial: Fr, base: Fr, len: usize) -> Result<Object> {
        self.0.powers(initial, base, len)
    }

    fn inner_product(&self, a: &Object, b: &Object) -> Result<Fr> {
        self.0.inner_product(a, b)
    }

    fn permute_lookup(&self, input: &Object, table: &Object, usable: usize) -> Result<(Object, Object)> {
        self.0.permute_lookup(input, table, usable)
    }
}

impl QuotientOps for Any {
    type Compiled = Object;

    fn compile(&self, program: &Program) -> Result<Object> {
        self.0.compile(program)
    }

    fn evaluate(&self, compiled: &Object, n: usize, columns: &[&Object], scalars: &[Fr]) -> Result<Vec<Object>> {
        self.0.evaluate(compiled, n, columns, scalars)
    }
}

#[cfg(test)]
mod tests {
    use super::{Any, stranger};
    use crate::backend::{Cpu, Dual, MemoryOps, NttOps};
    use halo2curves::bn256::Fr;

    #[test]
    fn what_another_back_end_made_is_refused() {
        let (one, other) = (Any::new(Cpu::new()), Any::new(Dual::new(Cpu::new(), Cpu::new())));
        let vector = one.upload(&[Fr::one()]).expect("uploads");
        let refused = other.download(&vector).expect_err("a stranger");
        assert_eq!(refused, stranger("download"));
        assert_eq!(other.ntt(&[&vector]).expect_err("a stranger"), stranger("ntt"));
    }
}

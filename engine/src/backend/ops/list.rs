//! The operations once more, as a list: back ends that hand operations on are generated from it.

/// Passes the operations of a family, one line each, to a macro: `operations!(NttOps: name)` becomes
/// `name! { NttOps: fn .. }`, and `operations!(NttOps: name(what))` becomes `name! { (what) NttOps: fn .. }`.
///
/// `Scalars`, `Bases`, `Compiled` and `Integers` are the families' associated types. They and all other names mean what
/// they do where the list is expanded.
macro_rules! operations {
    (MemoryOps: $then:ident $($what:tt)?) => {
        $then! { $($what)? MemoryOps:
            fn name(&self) -> String;
            fn description(&self) -> String;
            fn is_host(&self) -> bool;
            fn is_compact(&self, vector: &Scalars) -> bool;
            fn peak_bytes(&self) -> Option<u64>;
            fn free_bytes(&self) -> Option<u64>;
            fn counts(&self) -> Option<Counts>;
            fn len(&self, vector: &Scalars) -> usize;
            fn upload(&self, values: &[Fr]) -> Result<Scalars>;
            fn upload_columns(&self, columns: &[&[Fr]]) -> Result<Vec<Scalars>>;
            fn upload_owned(&self, values: Vec<Fr>) -> Result<Scalars>;
            fn upload_integers(&self, column: IntegerColumn<'_>) -> Result<Scalars>;
            fn upload_integer_columns(&self, columns: &[IntegerColumn<'_>]) -> Result<Vec<Scalars>>;
            fn zeros(&self, len: usize) -> Result<Scalars>;
            fn download(&self, vector: &Scalars) -> Result<Vec<Fr>>;
            fn read_range(&self, vector: &Scalars, range: Range<usize>) -> Result<Vec<Fr>>;
            fn write_range(&self, vector: &mut Scalars, start: usize, values: &[Fr]) -> Result<()>;
            fn slice(&self, vector: &Scalars, range: Range<usize>) -> Result<Scalars>;
        }
    };
    (NttOps: $then:ident $($what:tt)?) => {
        $then! { $($what)? NttOps:
            fn ntt(&self, columns: &[&Scalars]) -> Result<Vec<Scalars>>;
            fn intt(&self, columns: &[&Scalars]) -> Result<Vec<Scalars>>;
            fn coset_ntt(&self, columns: &[&Scalars], shift: Fr) -> Result<Vec<Scalars>>;
            fn interpolate_cosets(&self, cosets: &[(Fr, &Scalars)]) -> Result<Vec<Scalars>>;
        }
    };
    (MsmOps: $then:ident $($what:tt)?) => {
        $then! { $($what)? MsmOps:
            fn load_bases(&self, points: &[G1Affine], table_budget_bytes: usize) -> Result<Bases>;
            fn bases_len(&self, bases: &Bases) -> usize;
            fn table_bytes(&self, bases: &Bases) -> Option<usize>;
            fn msm(&self, bases: &Bases, columns: &[&Scalars]) -> Result<Vec<G1Affine>>;
            fn msm_rows(&self, bases: &Bases, rows: &[usize], scalars: &[Fr]) -> Result<G1Affine>;
        }
    };
    (VectorOps: $then:ident $($what:tt)?) => {
        $then! { $($what)? VectorOps:
            fn add_assign(&self, acc: &mut Scalars, other: &Scalars) -> Result<()>;
            fn sub_assign(&self, acc: &mut Scalars, other: &Scalars) -> Result<()>;
            fn mul_assign(&self, acc: &mut Scalars, other: &Scalars) -> Result<()>;
            fn scale(&self, acc: &mut Scalars, factor: Fr) -> Result<()>;
            fn linear_combination(&self, terms: &[(Fr, &Scalars)]) -> Result<Scalars>;
            fn batch_invert(&self, vector: &mut Scalars) -> Result<()>;
            fn prefix_sum(&self, vector: &Scalars, initial: Fr) -> Result<Scalars>;
            fn prefix_product(&self, vector: &Scalars, initial: Fr) -> Result<Scalars>;
            fn affine_scan(&self, factors: &Scalars, terms: &Scalars, initial: Fr) -> Result<Scalars>;
            fn eval_polynomials(&self, queries: &[(&Scalars, Fr)]) -> Result<Vec<Fr>>;
            fn divide_by_linear(&self, polynomial: &Scalars, root: Fr) -> Result<Scalars>;
            fn powers(&self, initial: Fr, base: Fr, len: usize) -> Result<Scalars>;
            fn inner_product(&self, a: &Scalars, b: &Scalars) -> Result<Fr>;
            fn permute_lookup(&self, input: &Scalars, table: &Scalars, usable: usize) -> Result<(Scalars, Scalars)>;
        }
    };
    (QuotientOps: $then:ident $($what:tt)?) => {
        $then! { $($what)? QuotientOps:
            fn compile(&self, program: &Program) -> Result<Compiled>;
            fn evaluate(&self, made: &Compiled, n: usize, columns: &[&Scalars], scalars: &[Fr]) -> Result<Vec<Scalars>>;
        }
    };
    (FoldOps: $then:ident $($what:tt)?) => {
        $then! { $($what)? FoldOps:
            fn load_integers(&self, rows: &[IntegerRow<'_>]) -> Result<Integers>;
            fn fold_integers(&self, integers: &Integers, factors: &[Fr]) -> Result<Scalars>;
        }
    };
}

/// The operations of a family, handed on as they are to a field: `operations!(VectorOps: hand_on(cpu))` in the `impl`.
macro_rules! hand_on {
    (($field:tt) $family:ident: $(fn $name:ident(&$self:ident $(, $arg:ident: $type:ty)*) -> $result:ty;)*) => {
        $(fn $name(&$self $(, $arg: $type)*) -> $result { $self.$field.$name($($arg),*) })*
    };
}

pub(in crate::backend) use {hand_on, operations};

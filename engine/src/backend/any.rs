//! A back end that is chosen at run time: what is built on it is compiled once, whichever back ends there are.
//!
//! Vectors, points and programs are objects behind a pointer; an operation finds out what they are and hands them on.
//! That costs some nanoseconds for each operand, and the operands are whole columns.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use halo2curves::bn256::{Fr, G1Affine};

use super::ops::list::{hand_on, operations};
use super::program::Program;
use super::{
    Backend, Counts, FoldOps, IntegerColumn, IntegerRow, MemoryOps, MsmOps, NttOps, QuotientOps, Result, VectorOps,
};
use crate::error::BackendError;

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

/// The operands of pairs with factors.
fn get_terms<'o, T: Resident>(operation: &'static str, terms: &[(Fr, &'o Object)]) -> Result<Vec<(Fr, &'o T)>> {
    terms.iter().map(|(factor, object)| Ok((*factor, object.get(operation)?))).collect()
}

/// The operands of pairs with points.
fn get_queries<'o, T: Resident>(operation: &'static str, queries: &[(&'o Object, Fr)]) -> Result<Vec<(&'o T, Fr)>> {
    queries.iter().map(|(object, point)| Ok((object.get(operation)?, *point))).collect()
}

/// A result with objects for all that stays in the back end's memory.
trait Erase<E> {
    fn erase(self) -> E;
}

impl<T: Resident> Erase<Object> for T {
    fn erase(self) -> Object {
        Object(Box::new(self))
    }
}

impl<T: Resident> Erase<Vec<Object>> for Vec<T> {
    fn erase(self) -> Vec<Object> {
        self.into_iter().map(T::erase).collect()
    }
}

impl<T: Resident> Erase<(Object, Object)> for (T, T) {
    fn erase(self) -> (Object, Object) {
        (self.0.erase(), self.1.erase())
    }
}

/// Results that are host values.
macro_rules! host_values {
    ($($value:ty),*) => { $(impl Erase<$value> for $value { fn erase(self) -> $value { self } })* };
}

host_values!((), Fr, Vec<Fr>, G1Affine, Vec<G1Affine>);

// What the list of operations is about, once it is forgotten whose it is.
type Scalars = Object;
type Bases = Object;
type Compiled = Object;
type Integers = Object;

/// A family's operations on objects.
macro_rules! declare {
    ($family:ident: $(fn $name:ident $arguments:tt -> $result:ty;)*) => { $(fn $name $arguments -> $result;)* };
}

/// A family's operations on objects, by the back end's own.
macro_rules! erase {
    ($family:ident:) => {};
    ($family:ident: fn $name:ident(&$self:ident $(, $($arguments:tt)*)?) -> Result<$made:ty>; $($rest:tt)*) => {
        fn $name(&$self $(, $($arguments)*)?) -> Result<$made> {
            call!($family::$name, stringify!($name), ($self) $($($arguments)*)?).map(Erase::erase)
        }
        erase! { $family: $($rest)* }
    };
    // Inquiries do not fail: of another back end's object they tell nothing.
    ($family:ident: fn $name:ident(&$self:ident $(, $($arguments:tt)*)?) -> $told:ty; $($rest:tt)*) => {
        fn $name(&$self $(, $($arguments)*)?) -> $told {
            let told = || -> Result<$told> { Ok(call!($family::$name, stringify!($name), ($self) $($($arguments)*)?)) };
            told().unwrap_or_default()
        }
        erase! { $family: $($rest)* }
    };
}

/// A call of an operation. Its arguments are made ready one by one: objects become what they are, host values stay.
macro_rules! call {
    ($called:path, $operation:expr, ($($ready:expr),*)) => { $called($($ready),*) };
    ($called:path, $operation:expr, ($($ready:expr),*) $argument:ident: &mut $kind:ident $(, $($rest:tt)*)?) => {
        call!($called, $operation, ($($ready,)* $argument.get_mut($operation)?) $($($rest)*)?)
    };
    ($called:path, $operation:expr, ($($ready:expr),*) $argument:ident: &Program $(, $($rest:tt)*)?) => {
        call!($called, $operation, ($($ready,)* $argument) $($($rest)*)?)
    };
    ($called:path, $operation:expr, ($($ready:expr),*) $argument:ident: &$kind:ident $(, $($rest:tt)*)?) => {
        call!($called, $operation, ($($ready,)* $argument.get($operation)?) $($($rest)*)?)
    };
    ($called:path, $operation:expr, ($($ready:expr),*) $argument:ident: &[&Scalars] $(, $($rest:tt)*)?) => {
        call!($called, $operation, ($($ready,)* &get_all($operation, $argument)?) $($($rest)*)?)
    };
    ($called:path, $operation:expr, ($($ready:expr),*) $argument:ident: &[(Fr, &Scalars)] $(, $($rest:tt)*)?) => {
        call!($called, $operation, ($($ready,)* &get_terms($operation, $argument)?) $($($rest)*)?)
    };
    ($called:path, $operation:expr, ($($ready:expr),*) $argument:ident: &[(&Scalars, Fr)] $(, $($rest:tt)*)?) => {
        call!($called, $operation, ($($ready,)* &get_queries($operation, $argument)?) $($($rest)*)?)
    };
    ($called:path, $operation:expr, ($($ready:expr),*) $argument:ident: $host:ty $(, $($rest:tt)*)?) => {
        call!($called, $operation, ($($ready,)* $argument) $($($rest)*)?)
    };
}

/// All operations, on objects.
trait Erased: Debug + Send + Sync {
    operations!(MemoryOps: declare);
    operations!(NttOps: declare);
    operations!(MsmOps: declare);
    operations!(VectorOps: declare);
    operations!(QuotientOps: declare);
    operations!(FoldOps: declare);
}

impl<B> Erased for B
where
    B: Backend,
    B::Scalars: 'static,
    B::Bases: 'static,
    B::Compiled: 'static,
    B::Integers: 'static,
{
    operations!(MemoryOps: erase);
    operations!(NttOps: erase);
    operations!(MsmOps: erase);
    operations!(VectorOps: erase);
    operations!(QuotientOps: erase);
    operations!(FoldOps: erase);
}

impl Any {
    /// The back end, its kind forgotten.
    pub fn new<B>(backend: B) -> Self
    where
        B: Backend + 'static,
        B::Scalars: 'static,
        B::Bases: 'static,
        B::Compiled: 'static,
        B::Integers: 'static,
    {
        Self(Arc::new(backend))
    }
}

impl MemoryOps for Any {
    type Scalars = Object;
    operations!(MemoryOps: hand_on(0));
}

impl NttOps for Any {
    operations!(NttOps: hand_on(0));
}

impl MsmOps for Any {
    type Bases = Object;
    operations!(MsmOps: hand_on(0));
}

impl VectorOps for Any {
    operations!(VectorOps: hand_on(0));
}

impl QuotientOps for Any {
    type Compiled = Object;
    operations!(QuotientOps: hand_on(0));
}

impl FoldOps for Any {
    type Integers = Object;
    operations!(FoldOps: hand_on(0));
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

//! Eight field elements at a time.
//!
//! [`Lanes`] is arithmetic modulo one of BN254's primes on vectors of eight elements. There are four implementations
//! of it, and every kernel of this back end is written once over the trait:
//!
//! | lanes | processor | representation |
//! |---|---|---|
//! | [`Ifma`] | x86-64 with AVX-512 IFMA and VBMI2 | five limbs of 52 bits, one register each, residues not reduced |
//! | [`Avx2`] | x86-64 with AVX2 and FMA | five signed limbs of 51 bits in doubles, two registers each, not reduced |
//! | `Narrow` | of 32 bits, WebAssembly with vectors among them | nine limbs of 29 bits, four lanes to a register, not reduced |
//! | [`Portable`] | any | an array of elements, reduced |
//!
//! A kernel is a value that implements [`Kernel`]; [`Lanes::run`] runs it, compiled for the lanes' instructions. The
//! lanes' methods are inlined into the kernel, and a kernel's own functions must be too (`#[inline(always)]`): a
//! function that is not would be compiled without those instructions. A closure is such a function, so that
//! `array::from_fn`, `map` and the like must not compute with vectors in a kernel: loops do.
//!
//! # Residues
//! A vector's elements are Montgomery residues with R = 2^256, as in memory, but they need not be below p. A bound in
//! multiples of p goes with each vector, in the comments of the kernel: every operation says what it needs and what it
//! gives. With [`Portable`] every residue is below p, so that only the larger bounds, those of [`Ifma`], matter; those of
//! [`Avx2`], where residues have a sign, stand in its module.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod ifma;
#[cfg(any(test, not(target_pointer_width = "64")))]
mod narrow;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(super) use ifma::Ifma;
#[cfg(any(test, not(target_pointer_width = "64")))]
pub(super) use narrow::Narrow;
pub(super) use portable::Portable;

use std::mem::MaybeUninit;

use ff::PrimeField;
use halo2curves::bn256::{Fq, Fr};
use zkml_gpu_kernels::field::{Montgomery, Words};

/// Elements in a vector.
pub(super) const LANES: usize = 8;

/// The largest multiple of p that [`Lanes::raise`] adds.
pub(super) const MAX_RAISE: usize = 32;
/// Products that may be added up before they are reduced: their limbs, of which a product adds at most nine halves of
/// 52 bits to one, stay below 2^63.
pub(super) const MAX_PRODUCTS: usize = 128;
/// Products, and other terms, that may be in a sum that becomes a factor: its limbs, at most (9·(8 + 1) + 16 + 1)·2^52,
/// take the factor's scale as well.
pub(super) const MAX_FACTOR_PRODUCTS: usize = 8;
/// See [`MAX_FACTOR_PRODUCTS`].
pub(super) const MAX_FACTOR_TERMS: usize = 16;

/// A prime field whose elements are four words of 64 bits in Montgomery form with R = 2^256.
pub(in crate::backend) trait Modulus: PrimeField + Send + Sync + 'static {
    /// The field's constants.
    const MONTGOMERY: Montgomery;
}

impl Modulus for Fr {
    const MONTGOMERY: Montgomery = Montgomery::SCALAR;
}

impl Modulus for Fq {
    const MONTGOMERY: Montgomery = Montgomery::BASE;
}

/// Arithmetic on vectors of [`LANES`] elements. Residues are bounded in multiples of p; no vector may reach 84·p.
pub(super) trait Lanes: Copy + Send + Sync + std::fmt::Debug + 'static {
    /// Eight elements.
    type Vector<F: Modulus>: Copy + Send + Sync;
    /// Eight elements, made ready to multiply by.
    type Factor<F: Modulus>: Copy + Send + Sync;
    /// One element, made ready to multiply by.
    type Single<F: Modulus>: Copy + Send + Sync;
    /// Eight sums, not carried. In between they may be negative.
    type Sum<F: Modulus>: Copy;
    /// Eight sums of products, not reduced: at most [`MAX_PRODUCTS`] each.
    type Products<F: Modulus>: Copy;

    /// Whether plain loops over elements are faster than kernels: arrays of elements are copied where registers would
    /// be used.
    const PLAIN: bool;

    /// Whether [`refresh`](Self::refresh) does anything.
    const REFRESHES: bool;

    /// What [`scaled_factor`](Self::scaled_factor) takes out of a vector: not zero.
    fn scale<F: Modulus>() -> F;

    /// Runs a kernel, compiled for these lanes' instructions.
    fn run<K: Kernel<Self>>(self, kernel: K) -> K::Output;

    /// Zeros.
    fn zero<F: Modulus>(self) -> Self::Vector<F>;

    /// The elements as they are: below p.
    fn load<F: Modulus>(self, source: &[F; LANES]) -> Self::Vector<F>;

    /// As [`load`](Self::load), from eight places.
    fn gather<F: Modulus>(self, elements: [&F; LANES]) -> Self::Vector<F>;

    /// Reduces and stores.
    fn store<F: Modulus>(self, vector: Self::Vector<F>, target: &mut [F; LANES]);

    /// Stores residues below p.
    fn store_reduced<F: Modulus>(self, vector: Self::Vector<F>, target: &mut [F; LANES]);

    /// The elements in canonical words, not in Montgomery form: word i of every element stands in row i.
    fn canonical_words<F: Modulus>(self, vector: Self::Vector<F>) -> [[u64; LANES]; 4];

    /// One element in all lanes: below p.
    fn splat<F: Modulus>(self, element: F) -> Self::Vector<F>;

    /// As [`load`](Self::load), to multiply by: counts as 16·p in a product's bound.
    fn load_factor<F: Modulus>(self, source: &[F; LANES]) -> Self::Factor<F>;

    /// The vector, to multiply by: below 5·p; counts as 16 times its bound in a product's.
    fn factor<F: Modulus>(self, vector: Self::Vector<F>) -> Self::Factor<F>;

    /// The factor x of a vector that holds [`scale`](Self::scale)·x. Costs nothing; counts with the vector's own bound.
    fn scaled_factor<F: Modulus>(self, vector: Self::Vector<F>) -> Self::Factor<F>;

    /// One element to multiply by: below p.
    fn single<F: Modulus>(element: F) -> Self::Single<F>;

    /// The same factor in all lanes.
    fn broadcast<F: Modulus>(self, single: &Self::Single<F>) -> Self::Factor<F>;

    /// Factors, one a lane: below p.
    fn factors<F: Modulus>(self, elements: &[F; LANES]) -> Self::Factor<F>;

    /// a + b; the bounds add up.
    fn add<F: Modulus>(self, a: Self::Vector<F>, b: Self::Vector<F>) -> Self::Vector<F>;

    /// a - b for b up to 4·p; adds 4·p to the bound of a.
    fn sub<F: Modulus>(self, a: Self::Vector<F>, b: Self::Vector<F>) -> Self::Vector<F>;

    /// a - b - c for b and c up to 4·p; adds 8·p to the bound of a.
    fn sub_both<F: Modulus>(self, a: Self::Vector<F>, b: Self::Vector<F>, c: Self::Vector<F>) -> Self::Vector<F>;

    /// a·b. With a below α·p, and b counting as β·p, the product is below (1 + α·β/84)·p.
    fn mul<F: Modulus>(self, a: Self::Vector<F>, b: Self::Factor<F>) -> Self::Vector<F>;

    /// Two products as [`mul`](Self::mul) makes them, faster than one after the other: a single one waits for itself.
    fn mul_pair<F: Modulus>(self, a: [Self::Vector<F>; 2], b: [Self::Factor<F>; 2]) -> [Self::Vector<F>; 2];

    /// Brings any residue below p.
    #[allow(dead_code, reason = "for kernels that compare residues")]
    fn reduce<F: Modulus>(self, vector: Self::Vector<F>) -> Self::Vector<F>;

    /// One bit for each lane in which two residues below p are equal, the first lane's the lowest.
    fn equal<F: Modulus>(self, a: Self::Vector<F>, b: Self::Vector<F>) -> u8;

    /// The lanes of `a` where the mask has a one, else those of `b`.
    fn select<F: Modulus>(self, mask: u8, a: Self::Vector<F>, b: Self::Vector<F>) -> Self::Vector<F>;

    /// Brings a residue below 2·p below p.
    fn reduce_once<F: Modulus>(self, vector: Self::Vector<F>) -> Self::Vector<F>;

    /// As [`store`](Self::store), of residues below 2·p.
    fn store_once<F: Modulus>(self, vector: Self::Vector<F>, target: &mut [F; LANES]);

    /// As [`transpose`](Self::transpose).
    fn transpose_factors<F: Modulus>(self, factors: [Self::Factor<F>; LANES]) -> [Self::Factor<F>; LANES];

    /// Brings any residue below 2·p: at half the cost of [`reduce`](Self::reduce).
    fn lower<F: Modulus>(self, vector: Self::Vector<F>) -> Self::Vector<F>;

    /// A sum of one term.
    fn sum<F: Modulus>(self, first: Self::Vector<F>) -> Self::Sum<F>;

    /// The same sum, with so many multiples of p more, at most [`MAX_RAISE`]: as many as make up for what was
    /// subtracted.
    fn raise<F: Modulus>(self, sum: Self::Sum<F>, multiple: usize) -> Self::Sum<F>;

    /// sum + a.
    fn include<F: Modulus>(self, sum: Self::Sum<F>, a: Self::Vector<F>) -> Self::Sum<F>;

    /// sum - a.
    fn exclude<F: Modulus>(self, sum: Self::Sum<F>, a: Self::Vector<F>) -> Self::Sum<F>;

    /// The vector of a sum, which is not negative.
    fn settle_sum<F: Modulus>(self, sum: Self::Sum<F>) -> Self::Vector<F>;

    /// The factor of a sum, which is not negative and below 5·p: counts as 16 times its bound. At most
    /// [`MAX_FACTOR_PRODUCTS`] products and [`MAX_FACTOR_TERMS`] terms went into it.
    fn settle_factor<F: Modulus>(self, sum: Self::Sum<F>) -> Self::Factor<F>;

    /// a·b.
    fn product<F: Modulus>(self, a: Self::Vector<F>, b: Self::Factor<F>) -> Self::Products<F>;

    /// products + a·b.
    fn accumulate<F: Modulus>(
        self,
        products: Self::Products<F>,
        a: Self::Vector<F>,
        b: Self::Factor<F>,
    ) -> Self::Products<F>;

    /// No products.
    fn no_products<F: Modulus>(self) -> Self::Products<F>;

    /// Elements, made ready for [`accumulate_integers`](Self::accumulate_integers).
    fn for_integers<F: Modulus>(elements: &[F; LANES]) -> [F; LANES];

    /// products + a·b for integers b below 2^51. Counts as one product of an operand below α·p with one below
    /// 2^51/2^256.
    fn accumulate_integers<F: Modulus>(
        self,
        products: Self::Products<F>,
        a: Self::Vector<F>,
        b: &[u64; LANES],
    ) -> Self::Products<F>;

    /// -products.
    fn negate_products<F: Modulus>(self, products: Self::Products<F>) -> Self::Products<F>;

    /// The sum of the products, reduced once: with operands of positive and of negative products below α_i·p and β_i·p,
    /// it lies between -Σ α_i·β_i/84·p over the negative and (1 + Σ α_i·β_i/84)·p over the positive ones.
    fn sum_products<F: Modulus>(self, products: Self::Products<F>) -> Self::Sum<F>;

    /// The same vector, fit for three layers of [`cross`](Self::cross) and [`twist`](Self::twist): the first ones need
    /// it, and every third layer's results.
    fn refresh<F: Modulus>(self, vector: Self::Vector<F>) -> Self::Vector<F>;

    /// `(a + b, a - b)`, in the lazy form that only this method, [`twist`](Self::twist) and [`settle`](Self::settle)
    /// take. Doubles the bounds' absolute value.
    fn cross<F: Modulus>(self, a: &mut Self::Vector<F>, b: &mut Self::Vector<F>);

    /// `(a + w·b, a - w·b)`, in the lazy form; w below p. Residues may be negative here, between -32·p and 32·p; the
    /// absolute value grows by 2·p.
    fn twist<F: Modulus>(self, a: &mut Self::Vector<F>, b: &mut Self::Vector<F>, w: &Self::Single<F>);

    /// [`twist`](Self::twist) of two pairs.
    fn twist_pair<F: Modulus>(
        self,
        a: &mut [Self::Vector<F>; 2],
        b: &mut [Self::Vector<F>; 2],
        w: &[Self::Single<F>; 2],
    );

    /// From the lazy form to an ordinary vector below 64·p.
    fn settle<F: Modulus>(self, vector: Self::Vector<F>) -> Self::Vector<F>;

    /// Element j of vector i becomes element i of vector j.
    fn transpose<F: Modulus>(self, vectors: [Self::Vector<F>; LANES]) -> [Self::Vector<F>; LANES];
}

/// A computation that is compiled for the lanes' instructions.
pub(super) trait Kernel<L: Lanes> {
    /// The result.
    type Output;

    /// Computes with these lanes, on the calling thread: what other threads run is not compiled with it.
    /// Implementations are `#[inline(always)]`.
    fn run(self, lanes: L) -> Self::Output;
}

/// As [`Lanes::store_once`], to memory that is not initialised.
#[inline(always)]
pub(super) fn store_new_once<L: Lanes, F: Modulus>(
    lanes: L,
    vector: L::Vector<F>,
    target: &mut [MaybeUninit<F>; LANES],
) {
    let mut elements = [F::ZERO; LANES];
    lanes.store_once(vector, &mut elements);
    target.write_copy_of_slice(&elements);
}

/// Reduces and stores to memory that is not initialised.
#[inline(always)]
pub(super) fn store_new<L: Lanes, F: Modulus>(lanes: L, vector: L::Vector<F>, target: &mut [MaybeUninit<F>; LANES]) {
    // The array is in registers: the compiler stores it once, to the target.
    let mut elements = [F::ZERO; LANES];
    lanes.store(vector, &mut elements);
    target.write_copy_of_slice(&elements);
}

/// The lanes that this processor has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Processor {
    Portable(Portable),
    #[cfg(any(test, not(target_pointer_width = "64")))]
    Narrow(Narrow),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Ifma(Ifma),
}

impl Processor {
    /// All lanes there are, the fastest first.
    pub(super) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(Ifma::detect().map(Self::Ifma));
            all.extend(Avx2::detect().map(Self::Avx2));
        }
        // Where products of 64 bits are a processor's own, the host library's arithmetic is faster.
        #[cfg(not(target_pointer_width = "64"))]
        all.push(Self::Narrow(Narrow));
        all.push(Self::Portable(Portable));
        all
    }

    /// The fastest lanes there are.
    pub(super) fn detect() -> Self {
        Self::all()[0]
    }

    /// In words.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Portable(_) => "portable",
            #[cfg(any(test, not(target_pointer_width = "64")))]
            Self::Narrow(_) => "limbs of 29 bits",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Self::Ifma(_) => "AVX-512 IFMA",
        }
    }

    /// As users choose them.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Portable(_) => "portable",
            #[cfg(any(test, not(target_pointer_width = "64")))]
            Self::Narrow(_) => "narrow",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Ifma(_) => "ifma",
        }
    }
}

/// Evaluates an expression with `$lanes` bound to a processor's lanes.
macro_rules! with_lanes {
    ($processor:expr, $lanes:ident => $result:expr) => {
        match $processor {
            $crate::backend::cpu::lanes::Processor::Portable($lanes) => $result,
            #[cfg(any(test, not(target_pointer_width = "64")))]
            $crate::backend::cpu::lanes::Processor::Narrow($lanes) => $result,
            #[cfg(target_arch = "x86_64")]
            $crate::backend::cpu::lanes::Processor::Avx2($lanes) => $result,
            #[cfg(target_arch = "x86_64")]
            $crate::backend::cpu::lanes::Processor::Ifma($lanes) => $result,
        }
    };
}
pub(super) use with_lanes;

/// The inverses of eight elements that are not zero, with one inversion.
pub(super) fn invert_lanes<F: Modulus>(elements: [F; LANES]) -> [F; LANES] {
    let mut prefixes = [F::ONE; LANES];
    for lane in 1..LANES {
        prefixes[lane] = prefixes[lane - 1] * elements[lane - 1];
    }
    // A product of elements that are not zero.
    let mut inverse = (prefixes[LANES - 1] * elements[LANES - 1]).invert().unwrap_or(F::ZERO);
    let mut inverses = [F::ZERO; LANES];
    for lane in (0..LANES).rev() {
        inverses[lane] = inverse * prefixes[lane];
        inverse *= elements[lane];
    }
    inverses
}

/// The words of elements in memory.
///
/// Elements are `struct F([u64; 4])` in their own crate, little-endian words in Montgomery form.
#[allow(unsafe_code)]
#[inline(always)]
pub(in crate::backend) fn as_words<F: Modulus>(elements: &[F]) -> &[Words] {
    const { assert!(size_of::<F>() == size_of::<Words>() && align_of::<F>() == align_of::<Words>()) };
    // SAFETY: equal size and alignment; a type of that size cannot but consist of its four words, without padding, and
    // a word has no invalid bits. That they are the residue's words in order is what the tests below and of the lanes
    // check.
    unsafe { std::slice::from_raw_parts(elements.as_ptr().cast(), elements.len()) }
}

/// As [`as_words`], to write. Words written must be below p.
#[allow(unsafe_code)]
#[inline(always)]
pub(super) fn as_words_mut<F: Modulus>(elements: &mut [F]) -> &mut [Words] {
    const { assert!(size_of::<F>() == size_of::<Words>() && align_of::<F>() == align_of::<Words>()) };
    // SAFETY: as for `as_words`; any four words are a value of the type, and the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(elements.as_mut_ptr().cast(), elements.len()) }
}

#[cfg(test)]
mod tests;

//! What proofs cost on a back end: quantities of work, and a price for each, measured on the back end at hand.
//!
//! A proof is a list of [`Work`]: so many points in multi-scalar multiplications, so many butterflies, and so on,
//! counted from the protocol ([`CircuitSize`](crate::prover::CircuitSize)) and from what the columns hold. [`Costs`]
//! are the prices of one unit of each; their product is the time. The prices come from small instances of the
//! operations of the [`Backend`](crate::backend::Backend) trait, timed where they will run.
//!
//! Whoever chooses a circuit by these prices chooses its keys, so the choice must not follow the noise of a clock:
//! [`Costs::rounded`] keeps of a measurement only what sets a device apart from the reference processor, in powers of
//! four. All ordinary processors then have the same prices, to the bit.
//!
//! ```
//! use zkml_gpu_engine::backend::Cpu;
//! use zkml_gpu_engine::cost::{Costs, Work};
//!
//! let costs = Costs::measure(&Cpu::new())?;
//! let columns = Work { full_points: 10.0 * 4096.0, butterflies: 10.0 * 2048.0 * 12.0, ..Work::default() };
//! assert!(costs.time(&columns).busy_ms > 0.0);
//! # Ok::<(), zkml_gpu_engine::BackendError>(())
//! ```

mod measure;

use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul};

use serde::{Deserialize, Serialize};

/// Quantities of work. Fractions are allowed: a share of a column belongs to each layer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Work {
    /// Points with full-size scalars in multi-scalar multiplications.
    pub full_points: f64,
    /// Points with small scalars.
    pub small_points: f64,
    /// Bits of those scalars' absolute values, all together.
    pub small_point_bits: f64,
    /// Butterflies of transforms: n/2·log2(n) for n elements.
    pub butterflies: f64,
    /// Multiplications in expression programs: one for each row.
    pub row_multiplications: f64,
    /// Additions in expression programs.
    pub row_additions: f64,
    /// `a·x + b` for each element, in linear combinations, evaluations and divisions of polynomials.
    pub scaled_additions: f64,
    /// Elements that move to the device.
    pub transferred: f64,
    /// Multiplications of field elements on the host, one after another: the unit of its other work.
    pub host_multiplications: f64,
}

/// Prices in nanoseconds for one unit of each kind of [`Work`], on one back end. For a processor they are times of one
/// thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// Name of the back end.
    pub backend: String,
    /// Its device in words.
    pub device: String,
    /// How many times faster the device works on many columns than the prices say: a processor's threads.
    pub parallelism: f64,
    /// Price of [`Work::full_points`].
    pub full_point_ns: f64,
    /// Price of [`Work::small_points`].
    pub small_point_ns: f64,
    /// Price of [`Work::small_point_bits`].
    pub small_point_bit_ns: f64,
    /// Price of [`Work::butterflies`].
    pub butterfly_ns: f64,
    /// Price of [`Work::row_multiplications`].
    pub row_multiplication_ns: f64,
    /// Price of [`Work::row_additions`].
    pub row_addition_ns: f64,
    /// Price of [`Work::scaled_additions`].
    pub scaled_addition_ns: f64,
    /// Price of [`Work::transferred`].
    pub transferred_ns: f64,
    /// Price of [`Work::host_multiplications`].
    pub host_multiplication_ns: f64,
}

/// An estimate of time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Time {
    /// Time of one thread, or of the device, in milliseconds.
    pub busy_ms: f64,
    /// Time that passes, in milliseconds.
    pub wall_ms: f64,
}

impl Costs {
    /// The prices of the reference processor: two virtual cores of an Intel Xeon at 2.3 GHz with AVX-512 IFMA. Where
    /// the portable code's price, relative to its butterfly, is another one, theirs are the geometric means of both:
    /// each is then within a factor of two to three of the reference. Circuits chosen by them are the same everywhere.
    pub fn reference() -> Self {
        Self {
            backend: "cpu".into(),
            device: "reference processor".into(),
            parallelism: 2.0,
            full_point_ns: 1240.0,
            small_point_ns: 60.0,
            small_point_bit_ns: 8.0,
            butterfly_ns: 5.7,
            row_multiplication_ns: 4.5,
            row_addition_ns: 0.7,
            scaled_addition_ns: 5.2,
            transferred_ns: 0.7,
            host_multiplication_ns: 11.0,
        }
    }

    /// Prices of a millisecond for one kind of work, by its place in [`Work::KINDS`], and of nothing for the others:
    /// whatever adds up busy time in milliseconds by these counts that work.
    pub fn counting(kind: usize) -> Self {
        let price = |of: usize| if of == kind { 1e6 } else { 0.0 };
        Self {
            backend: String::new(),
            device: String::new(),
            parallelism: 1.0,
            full_point_ns: price(0),
            small_point_ns: price(1),
            small_point_bit_ns: price(2),
            butterfly_ns: price(3),
            row_multiplication_ns: price(4),
            row_addition_ns: price(5),
            scaled_addition_ns: price(6),
            transferred_ns: price(7),
            host_multiplication_ns: price(8),
        }
    }

    /// What the work takes.
    pub fn time(&self, work: &Work) -> Time {
        let total: f64 = self.prices().iter().zip(work.quantities()).map(|(price, quantity)| price * quantity).sum();
        let host = work.host_multiplications * self.host_multiplication_ns;
        Time { busy_ms: total / 1e6, wall_ms: ((total - host) / self.parallelism.max(1.0) + host) / 1e6 }
    }

    /// The prices by which a circuit is chosen: the reference's where this back end's ratio to them is below four
    /// either way, which is what instruction sets and a busy machine's clock were seen to make of them; else the
    /// reference's times the power of four that is nearest. Ratios are relative to the butterfly's, for the speed of a
    /// whole device changes no choice.
    pub fn rounded(&self) -> Self {
        let reference = Self::reference();
        let speed = self.butterfly_ns / reference.butterfly_ns;
        let rounded = |own: f64, reference: f64| {
            let steps = (own / speed / reference).log2() / 2.0;
            if steps.is_finite() && steps.abs() >= 1.0 { reference * (2.0 * steps.round()).exp2() } else { reference }
        };
        Self {
            full_point_ns: rounded(self.full_point_ns, reference.full_point_ns),
            small_point_ns: rounded(self.small_point_ns, reference.small_point_ns),
            small_point_bit_ns: rounded(self.small_point_bit_ns, reference.small_point_bit_ns),
            row_multiplication_ns: rounded(self.row_multiplication_ns, reference.row_multiplication_ns),
            row_addition_ns: rounded(self.row_addition_ns, reference.row_addition_ns),
            scaled_addition_ns: rounded(self.scaled_addition_ns, reference.scaled_addition_ns),
            transferred_ns: rounded(self.transferred_ns, reference.transferred_ns),
            host_multiplication_ns: rounded(self.host_multiplication_ns, reference.host_multiplication_ns),
            backend: self.backend.clone(),
            device: self.device.clone(),
            ..reference
        }
    }

    /// Whether every price is a positive number: for prices read from a file.
    pub fn is_sound(&self) -> bool {
        let positive = |price: &f64| price.is_normal() && price.is_sign_positive();
        self.prices().iter().all(positive) && self.parallelism.is_finite() && self.parallelism >= 1.0
    }

    /// The prices in the order of [`Work::quantities`].
    fn prices(&self) -> [f64; 9] {
        [
            self.full_point_ns,
            self.small_point_ns,
            self.small_point_bit_ns,
            self.butterfly_ns,
            self.row_multiplication_ns,
            self.row_addition_ns,
            self.scaled_addition_ns,
            self.transferred_ns,
            self.host_multiplication_ns,
        ]
    }
}

impl Work {
    /// The kinds of work, as the fields are named.
    pub const KINDS: [&str; 9] = [
        "full_points",
        "small_points",
        "small_point_bits",
        "butterflies",
        "row_multiplications",
        "row_additions",
        "scaled_additions",
        "transferred",
        "host_multiplications",
    ];

    fn quantities(&self) -> [f64; 9] {
        [
            self.full_points,
            self.small_points,
            self.small_point_bits,
            self.butterflies,
            self.row_multiplications,
            self.row_additions,
            self.scaled_additions,
            self.transferred,
            self.host_multiplications,
        ]
    }

    fn from_quantities(quantities: [f64; 9]) -> Self {
        let [
            full_points,
            small_points,
            small_point_bits,
            butterflies,
            row_multiplications,
            row_additions,
            scaled_additions,
            transferred,
            host_multiplications,
        ] = quantities;
        Self {
            full_points,
            small_points,
            small_point_bits,
            butterflies,
            row_multiplications,
            row_additions,
            scaled_additions,
            transferred,
            host_multiplications,
        }
    }
}

impl Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (mine, theirs) = (self.quantities(), other.quantities());
        Self::from_quantities(std::array::from_fn(|i| mine[i] + theirs[i]))
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<f64> for Work {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self::from_quantities(self.quantities().map(|quantity| quantity * factor))
    }
}

impl Sum for Work {
    fn sum<I: Iterator<Item = Self>>(works: I) -> Self {
        works.fold(Self::default(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prices that a clock might give: each of the reference's times a factor.
    fn measured(factors: [f64; 9]) -> Costs {
        let mut costs = Costs::reference();
        let fields = [
            &mut costs.full_point_ns,
            &mut costs.small_point_ns,
            &mut costs.small_point_bit_ns,
            &mut costs.butterfly_ns,
            &mut costs.row_multiplication_ns,
            &mut costs.row_addition_ns,
            &mut costs.scaled_addition_ns,
            &mut costs.transferred_ns,
            &mut costs.host_multiplication_ns,
        ];
        fields.into_iter().zip(factors).for_each(|(field, factor)| *field *= factor);
        costs
    }

    #[test]
    fn noise_and_the_speed_of_the_whole_device_round_away() {
        for speed in [0.1, 1.0, 3.0] {
            for noise in [
                [1.0; 9],
                [1.18, 0.85, 1.1, 0.9, 1.15, 0.86, 1.0, 0.9, 1.12],
                [0.8, 0.4, 2.5, 1.0, 1.2, 0.7, 1.3, 0.4, 2.9],
            ] {
                assert_eq!(measured(noise.map(|factor| factor * speed)).rounded(), Costs::reference());
            }
        }
    }

    #[test]
    fn a_device_of_another_kind_keeps_its_ratios() {
        let mut factors = [1.0; 9];
        factors[0] = 0.24;
        let rounded = measured(factors).rounded();
        assert_eq!(rounded.full_point_ns, Costs::reference().full_point_ns / 4.0);
        assert_eq!(rounded.butterfly_ns, Costs::reference().butterfly_ns);
        assert_eq!(rounded.rounded(), rounded, "rounding twice is rounding once");
    }

    #[test]
    fn prices_that_are_no_positive_numbers_are_unsound() {
        assert!(Costs::reference().is_sound());
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            for at in 0..9 {
                let mut factors = [1.0; 9];
                factors[at] = wrong;
                assert!(!measured(factors).is_sound(), "{wrong} at {at}");
            }
            assert!(!Costs { parallelism: wrong, ..Costs::reference() }.is_sound(), "{wrong}");
        }
    }

    #[test]
    fn work_is_counted_by_the_price_of_its_kind() {
        let work = Work::from_quantities([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        let counted: Vec<f64> = (0..Work::KINDS.len()).map(|kind| Costs::counting(kind).time(&work).busy_ms).collect();
        assert_eq!(counted, work.quantities());
        assert_eq!((work.full_points, work.host_multiplications), (1.0, 9.0));
    }

    #[test]
    fn only_the_devices_part_of_the_time_shrinks_with_threads() {
        let costs = Costs { parallelism: 4.0, ..Costs::reference() };
        let device = Work { full_points: 1e6, ..Work::default() };
        let host = Work { host_multiplications: 1e6, ..Work::default() };
        let (device, host) = (costs.time(&device), costs.time(&host));
        assert_eq!(device.busy_ms, 4.0 * device.wall_ms);
        assert_eq!(host.busy_ms, host.wall_ms);
    }
}

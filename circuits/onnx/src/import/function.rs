//! Functions of one number that are tables in a circuit.

use std::sync::Arc;

/// A function that is applied to each element. A new one is a variant with its arms in [`Function::apply`] and
/// [`Function::is_monotone`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Function {
    /// `x` where it is positive, `slope · x` elsewhere.
    LeakyRelu {
        /// Factor of negative numbers.
        slope: f32,
    },
    /// `x · min(max(x / 6 + 1/2, 0), 1)`.
    HardSwish,
    /// `|x|`.
    Abs,
    /// `x²`.
    Square,
    /// `x^exponent`.
    Power {
        /// The exponent.
        exponent: f32,
    },
    /// The square root.
    Sqrt,
    /// `1 / sqrt(x)`.
    InverseSqrt,
    /// `1 / x`.
    Reciprocal,
    /// `e^x`.
    Exp,
    /// The natural logarithm.
    Log,
    /// The hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `x / (1 + e^-x)`.
    Silu,
    /// The error function.
    Erf,
    /// `x · (1 + erf(x / sqrt(2))) / 2`.
    Gelu,
    /// `x · (1 + tanh(sqrt(2/π) · (x + 0.044715 · x³))) / 2`.
    GeluTanh,
    /// -1, 0 or 1.
    Sign,
    /// The greatest whole number that is not above.
    Floor,
    /// The least whole number that is not below.
    Ceil,
    /// The nearest whole number, of two the even one.
    Round,
    /// The number without its fraction.
    Truncate,
    /// A function of an angle, or of an area.
    Angle(Angle),
    /// What several operators make of one number.
    Composed(Arc<Composed>),
}

/// Trigonometric and hyperbolic functions, and their inverses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Angle {
    /// The sine.
    Sin,
    /// The cosine.
    Cos,
    /// The tangent.
    Tan,
    /// The inverse sine.
    Asin,
    /// The inverse cosine.
    Acos,
    /// The inverse tangent.
    Atan,
    /// The hyperbolic sine.
    Sinh,
    /// The hyperbolic cosine.
    Cosh,
    /// The inverse hyperbolic sine.
    Asinh,
    /// The inverse hyperbolic cosine.
    Acosh,
    /// The inverse hyperbolic tangent.
    Atanh,
}

impl Angle {
    fn apply(self, x: f32) -> f32 {
        match self {
            Self::Sin => libm::sinf(x),
            Self::Cos => libm::cosf(x),
            Self::Tan => libm::tanf(x),
            Self::Asin => libm::asinf(x),
            Self::Acos => libm::acosf(x),
            Self::Atan => libm::atanf(x),
            Self::Sinh => libm::sinhf(x),
            Self::Cosh => libm::coshf(x),
            Self::Asinh => libm::asinhf(x),
            Self::Acosh => libm::acoshf(x),
            Self::Atanh => libm::atanhf(x),
        }
    }
}

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The first is less.
    Less,
    /// The first is not greater.
    AtMost,
    /// The first is greater.
    Greater,
    /// The first is not less.
    AtLeast,
    /// They are equal.
    Equal,
    /// They differ.
    Different,
}

impl Comparison {
    fn holds(self, a: f32, b: f32) -> bool {
        match self {
            Self::Less => a < b,
            Self::AtMost => a <= b,
            Self::Greater => a > b,
            Self::AtLeast => a >= b,
            Self::Equal => a == b,
            Self::Different => a != b,
        }
    }

    /// The same of the numbers in the other order.
    pub(super) const fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::AtMost => Self::AtLeast,
            Self::Greater => Self::Less,
            Self::AtLeast => Self::AtMost,
            Self::Equal | Self::Different => self,
        }
    }
}

/// An expression over one number.
#[derive(Clone, Debug, PartialEq)]
pub enum Composed {
    /// The number.
    Argument,
    /// `scale · x + shift`.
    Affine(Arc<Self>, f32, f32),
    /// `min(max(x, low), high)`.
    Clamp(Arc<Self>, f32, f32),
    /// A function of an expression.
    Apply(Function, Arc<Self>),
    /// The product of two expressions.
    Product(Arc<Self>, Arc<Self>),
    /// `a·x + b·y`.
    Sum(Arc<Self>, Arc<Self>, [f32; 2]),
    /// The greater of two expressions, or the less where the flag is clear.
    Greatest(Arc<Self>, Arc<Self>, bool),
    /// A number, which is not learned.
    Constant(f32),
    /// 1 where a comparison holds, and 0 elsewhere.
    Compare(Comparison, Arc<Self>, Arc<Self>),
    /// The second where the first, a truth value, is 1, and the third where it is 0.
    Choose(Arc<Self>, Arc<Self>, Arc<Self>),
}

/// Most parts of an expression that grows by one: a table's entries are computed from all of them.
const MOST_PARTS: usize = 512;

impl Composed {
    /// Whether it is a number, scaled and shifted.
    pub(super) fn is_linear(&self) -> bool {
        match self {
            Self::Argument | Self::Constant(_) => true,
            Self::Affine(of, ..) => of.is_linear(),
            Self::Clamp(..)
            | Self::Apply(..)
            | Self::Product(..)
            | Self::Sum(..)
            | Self::Greatest(..)
            | Self::Compare(..)
            | Self::Choose(..) => false,
        }
    }

    /// Whether it has few enough parts to be one of a longer expression.
    pub(super) fn is_short(&self) -> bool {
        self.parts(MOST_PARTS) > 0
    }

    /// What is left of so many parts without its own; 0 where they are too few. No more than those are looked at.
    fn parts(&self, left: usize) -> usize {
        let Some(left) = left.checked_sub(1) else { return 0 };
        match self {
            Self::Argument | Self::Constant(_) => left,
            Self::Affine(of, ..) | Self::Clamp(of, ..) | Self::Apply(_, of) => of.parts(left),
            Self::Product(a, b) | Self::Sum(a, b, _) | Self::Greatest(a, b, _) | Self::Compare(_, a, b) => {
                b.parts(a.parts(left))
            }
            Self::Choose(condition, a, b) => b.parts(a.parts(condition.parts(left))),
        }
    }

    /// Whether it is more than scales, shifts and clamps.
    pub(super) fn is_curved(&self) -> bool {
        match self {
            Self::Argument | Self::Constant(_) => false,
            Self::Affine(of, ..) | Self::Clamp(of, ..) => of.is_curved(),
            Self::Apply(..)
            | Self::Product(..)
            | Self::Sum(..)
            | Self::Greatest(..)
            | Self::Compare(..)
            | Self::Choose(..) => true,
        }
    }

    /// Whether it jumps.
    fn is_stepped(&self) -> bool {
        match self {
            Self::Argument | Self::Constant(_) => false,
            Self::Affine(of, ..) | Self::Clamp(of, ..) => of.is_stepped(),
            Self::Apply(function, of) => function.is_stepped() || of.is_stepped(),
            Self::Product(a, b) | Self::Sum(a, b, _) | Self::Greatest(a, b, _) => a.is_stepped() || b.is_stepped(),
            Self::Compare(..) | Self::Choose(..) => true,
        }
    }

    fn apply(&self, x: f32) -> f32 {
        match self {
            Self::Argument => x,
            Self::Affine(of, scale, shift) => scale * of.apply(x) + shift,
            Self::Clamp(of, low, high) => of.apply(x).max(*low).min(*high),
            Self::Apply(function, of) => function.apply(of.apply(x)),
            Self::Product(a, b) => a.apply(x) * b.apply(x),
            Self::Sum(a, b, [c, d]) => c * a.apply(x) + d * b.apply(x),
            Self::Greatest(a, b, true) => a.apply(x).max(b.apply(x)),
            Self::Greatest(a, b, false) => a.apply(x).min(b.apply(x)),
            Self::Constant(number) => *number,
            Self::Compare(comparison, a, b) => f32::from(u8::from(comparison.holds(a.apply(x), b.apply(x)))),
            Self::Choose(condition, a, b) => {
                if condition.apply(x) > 0.5 {
                    a.apply(x)
                } else {
                    b.apply(x)
                }
            }
        }
    }
}

impl Function {
    /// The function's value; infinite or not a number where it has none. It is the same on every machine, for tables follow
    /// from it.
    pub fn apply(&self, x: f32) -> f32 {
        match self {
            Self::LeakyRelu { slope } => {
                if x < 0.0 {
                    slope * x
                } else {
                    x
                }
            }
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Abs => x.abs(),
            Self::Square => x * x,
            Self::Power { exponent } => libm::powf(x, *exponent),
            Self::Sqrt => x.sqrt(),
            Self::InverseSqrt => x.sqrt().recip(),
            Self::Reciprocal => x.recip(),
            Self::Exp => libm::expf(x),
            Self::Log => libm::logf(x),
            Self::Tanh => libm::tanhf(x),
            Self::Sigmoid => (1.0 + libm::expf(-x)).recip(),
            Self::Silu => x / (1.0 + libm::expf(-x)),
            Self::Erf => libm::erff(x),
            Self::Gelu => x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)) / 2.0,
            Self::GeluTanh => {
                let inner = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                x * (1.0 + libm::tanhf(inner)) / 2.0
            }
            Self::Sign if x == 0.0 => 0.0,
            Self::Sign => x.signum(),
            Self::Floor => x.floor(),
            Self::Ceil => x.ceil(),
            Self::Round => x.round_ties_even(),
            Self::Truncate => x.trunc(),
            Self::Angle(angle) => angle.apply(x),
            Self::Composed(expression) => expression.apply(x),
        }
    }

    /// Whether it jumps, perhaps for a single number.
    pub(crate) fn is_stepped(&self) -> bool {
        match self {
            Self::Sign | Self::Floor | Self::Ceil | Self::Round | Self::Truncate => true,
            Self::Composed(expression) => expression.is_stepped(),
            Self::LeakyRelu { .. }
            | Self::HardSwish
            | Self::Abs
            | Self::Square
            | Self::Power { .. }
            | Self::Sqrt
            | Self::InverseSqrt
            | Self::Reciprocal
            | Self::Exp
            | Self::Log
            | Self::Tanh
            | Self::Sigmoid
            | Self::Silu
            | Self::Erf
            | Self::Gelu
            | Self::GeluTanh
            | Self::Angle(_) => false,
        }
    }

    /// Whether it never falls, so that it commutes with a maximum.
    pub const fn is_monotone(&self) -> bool {
        match self {
            Self::LeakyRelu { slope } => *slope >= 0.0,
            Self::Exp | Self::Tanh | Self::Sigmoid | Self::Erf => true,
            Self::Sign | Self::Floor | Self::Ceil | Self::Round | Self::Truncate => true,
            Self::Angle(angle) => matches!(angle, Angle::Atan | Angle::Sinh | Angle::Asinh),
            Self::HardSwish
            | Self::Abs
            | Self::Square
            | Self::Power { .. }
            | Self::Sqrt
            | Self::InverseSqrt
            | Self::Reciprocal
            | Self::Log
            | Self::Silu
            | Self::Gelu
            | Self::GeluTanh
            | Self::Composed(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_take_their_defined_values() {
        let leaky = Function::LeakyRelu { slope: 0.25 };
        assert_eq!([-4.0, 0.0, 2.0].map(|x| leaky.apply(x)), [-1.0, 0.0, 2.0]);
        assert_eq!([-5.0, -3.0, 0.0, 3.0, 7.0].map(|x| Function::HardSwish.apply(x)), [0.0, 0.0, 0.0, 3.0, 7.0]);
        assert!((Function::HardSwish.apply(-1.5) + 0.375).abs() < 1e-6);
        let near = |function: Function, x: f32, y: f32| assert!((function.apply(x) - y).abs() < 1e-5, "{function:?}");
        near(Function::Gelu, 1.0, 0.841_345);
        near(Function::GeluTanh, 1.0, 0.841_192);
        near(Function::Silu, 2.0, 1.761_594);
        near(Function::Erf, 0.5, 0.520_5);
        near(Function::Power { exponent: 1.5 }, 4.0, 8.0);
        near(Function::InverseSqrt, 4.0, 0.5);
    }

    #[test]
    fn whole_numbers_are_those_of_the_standard() {
        let of = |function: Function| [-2.5, -1.5, -0.5, 0.0, 0.5, 1.5, 2.5].map(|x| function.apply(x));
        assert_eq!(of(Function::Sign), [-1.0, -1.0, -1.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!(of(Function::Floor), [-3.0, -2.0, -1.0, 0.0, 0.0, 1.0, 2.0]);
        assert_eq!(of(Function::Ceil), [-2.0, -1.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
        assert_eq!(of(Function::Round), [-2.0, -2.0, 0.0, 0.0, 0.0, 2.0, 2.0]);
        assert_eq!(of(Function::Truncate), [-2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0]);
    }

    #[test]
    fn a_choice_takes_the_branch_of_its_condition() {
        let argument = Arc::new(Composed::Argument);
        let above = |limit: f32| {
            Arc::new(Composed::Compare(Comparison::Greater, argument.clone(), Arc::new(Composed::Constant(limit))))
        };
        let shifted = Arc::new(Composed::Affine(argument.clone(), 1.0, -0.5));
        let shrunk =
            Function::Composed(Arc::new(Composed::Choose(above(1.0), shifted, Arc::new(Composed::Constant(0.0)))));
        assert_eq!([-3.0, 1.0, 1.5, 4.0].map(|x| shrunk.apply(x)), [0.0, 0.0, 1.0, 3.5]);
        let [less, at_most, greater, at_least, equal, different] = [
            Comparison::Less,
            Comparison::AtMost,
            Comparison::Greater,
            Comparison::AtLeast,
            Comparison::Equal,
            Comparison::Different,
        ]
        .map(|comparison| [(1.0, 2.0), (2.0, 2.0), (3.0, 2.0)].map(|(a, b)| comparison.holds(a, b)));
        assert_eq!((less, at_most), ([true, false, false], [true, true, false]));
        assert_eq!((greater, at_least), ([false, false, true], [false, true, true]));
        assert_eq!((equal, different), ([false, true, false], [true, false, true]));
    }

    #[test]
    fn a_composed_function_is_what_its_parts_compute() {
        let argument = Arc::new(Composed::Argument);
        let erf = Composed::Apply(Function::Erf, Arc::new(Composed::Affine(argument.clone(), 0.5f32.sqrt(), 0.0)));
        let half = Composed::Affine(Arc::new(erf), 0.5, 0.5);
        let gelu = Function::Composed(Arc::new(Composed::Product(argument, Arc::new(half))));
        for x in [-3.0, -0.5, 0.0, 0.25, 2.0] {
            assert!((gelu.apply(x) - Function::Gelu.apply(x)).abs() < 1e-6, "{x}");
        }
    }

    #[test]
    fn the_greater_and_the_less_of_two_expressions_are_one_of_them() {
        let argument = Arc::new(Composed::Argument);
        let other = Arc::new(Composed::Affine(argument.clone(), -0.5, 1.0));
        let [most, least] = [true, false].map(|greater| {
            let chosen = Composed::Greatest(argument.clone(), other.clone(), greater);
            [-2.0, 0.5, 4.0].map(|x| Function::Composed(Arc::new(chosen.clone())).apply(x))
        });
        assert_eq!((most, least), ([2.0, 0.75, 4.0], [-2.0, 0.5, -1.0]));
        let huge = Arc::new(Composed::Apply(Function::Exp, argument.clone()));
        assert_eq!(Composed::Greatest(argument.clone(), huge, false).apply(20.0), 20.0);
        let low = Arc::new(Composed::Apply(Function::Log, argument.clone()));
        assert_eq!(Composed::Greatest(argument, low, true).apply(0.0), 0.0);
    }

    #[test]
    fn an_expression_of_too_many_parts_is_no_part_of_another() {
        // 2^20 parts, of which few are looked at.
        let mut expression = Arc::new(Composed::Argument);
        for doublings in 0..20 {
            assert_eq!(expression.is_short(), doublings < 9, "{doublings}");
            expression = Arc::new(Composed::Product(expression.clone(), expression));
        }
    }

    #[test]
    fn what_is_called_monotone_never_falls() {
        let functions = [
            Function::LeakyRelu { slope: 0.1 },
            Function::LeakyRelu { slope: -0.1 },
            Function::HardSwish,
            Function::Tanh,
            Function::Sigmoid,
            Function::Gelu,
            Function::Sign,
            Function::Floor,
            Function::Ceil,
            Function::Round,
            Function::Truncate,
            Function::Angle(Angle::Sin),
            Function::Angle(Angle::Atan),
            Function::Angle(Angle::Sinh),
            Function::Angle(Angle::Asinh),
        ];
        for function in functions {
            let values: Vec<f32> = (-100..100).map(|i| function.apply(i as f32 / 10.0)).collect();
            assert_eq!(values.is_sorted(), function.is_monotone(), "{function:?}");
        }
    }
}

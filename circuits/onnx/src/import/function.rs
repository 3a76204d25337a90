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
    /// What several operators make of one number.
    Composed(Arc<Composed>),
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
}

impl Composed {
    /// Whether it is more than scales, shifts and clamps.
    pub(super) fn is_curved(&self) -> bool {
        match self {
            Self::Argument => false,
            Self::Affine(of, ..) | Self::Clamp(of, ..) => of.is_curved(),
            Self::Apply(..) | Self::Product(..) | Self::Sum(..) => true,
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
        }
    }
}

impl Function {
    /// The function's value; infinite or not a number where it has none.
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
            Self::Power { exponent } => x.powf(*exponent),
            Self::Sqrt => x.sqrt(),
            Self::InverseSqrt => x.sqrt().recip(),
            Self::Reciprocal => x.recip(),
            Self::Exp => x.exp(),
            Self::Log => x.ln(),
            Self::Tanh => x.tanh(),
            Self::Sigmoid => (1.0 + (-x).exp()).recip(),
            Self::Silu => x / (1.0 + (-x).exp()),
            Self::Erf => libm::erff(x),
            Self::Gelu => x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)) / 2.0,
            Self::GeluTanh => {
                let inner = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                x * (1.0 + inner.tanh()) / 2.0
            }
            Self::Composed(expression) => expression.apply(x),
        }
    }

    /// Whether it never falls, so that it commutes with a maximum.
    pub const fn is_monotone(&self) -> bool {
        match self {
            Self::LeakyRelu { slope } => *slope >= 0.0,
            Self::Exp | Self::Tanh | Self::Sigmoid | Self::Erf => true,
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
    fn what_is_called_monotone_never_falls() {
        let functions = [
            Function::LeakyRelu { slope: 0.1 },
            Function::LeakyRelu { slope: -0.1 },
            Function::HardSwish,
            Function::Tanh,
            Function::Sigmoid,
            Function::Gelu,
        ];
        for function in functions {
            let values: Vec<f32> = (-100..100).map(|i| function.apply(i as f32 / 10.0)).collect();
            assert_eq!(values.is_sorted(), function.is_monotone(), "{function:?}");
        }
    }
}

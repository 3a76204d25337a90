//! Functions of one number that are tables in a circuit.

/// A function that is applied to each element. A new one is a variant with its arm in [`Function::apply`], and one in
/// [`Function::is_monotone`] where it never falls.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Function {
    /// `x` where it is positive, `slope · x` elsewhere.
    LeakyRelu {
        /// Factor of negative numbers.
        slope: f32,
    },
    /// `x · min(max(x / 6 + 1/2, 0), 1)`.
    HardSwish,
}

impl Function {
    /// The function's value.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::LeakyRelu { slope } => {
                if x < 0.0 {
                    slope * x
                } else {
                    x
                }
            }
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        }
    }

    /// Whether it never falls, so that it commutes with a maximum.
    pub fn is_monotone(self) -> bool {
        match self {
            Self::LeakyRelu { slope } => slope >= 0.0,
            Self::HardSwish => false,
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
    }

    #[test]
    fn what_is_called_monotone_never_falls() {
        for function in [Function::LeakyRelu { slope: 0.1 }, Function::LeakyRelu { slope: -0.1 }, Function::HardSwish] {
            let values: Vec<f32> = (-100..100).map(|i| function.apply(i as f32 / 10.0)).collect();
            assert_eq!(values.is_sorted(), function.is_monotone(), "{function:?}");
        }
    }
}

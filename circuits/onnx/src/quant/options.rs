//! How to quantise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zkml_gpu_graph::WEIGHT_BITS;

/// How to quantise. Outside the crate it is built from its default.
///
/// ```
/// use zkml_gpu_onnx::quant::QuantOptions;
///
/// let options = QuantOptions::default().with_shift(12).with_headroom(1.5);
/// assert_eq!((options.shift, options.activation_bits), (12, 8));
/// ```
///
/// The defaults keep the largest error of a LeNet, a residual block, a CNN of 264k and an MLP of 4M parameters below
/// 1.6 % of the output's range with 8 bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct QuantOptions {
    /// Bits of an activation to begin with, 2 to 16.
    pub activation_bits: u32,
    /// Bits of an activation that the search for accuracy may reach, up to 16.
    pub max_activation_bits: u32,
    /// Bits of single tensors, by name, instead of those of an activation. What a softmax takes and gives has two more,
    /// up to 12, either way.
    pub tensor_bits: BTreeMap<String, u32>,
    /// The file that those bits were read from, for messages.
    #[serde(skip)]
    pub precision_file: Option<PathBuf>,
    /// Requantisation shift `S`, 1 to 20, for activations of up to 10 bits. It is as many bits greater as the widest
    /// has more, up to 14: the shift is what weights have of fractional bits, apart from their layer's scales.
    pub shift: u32,
    /// Factor by which activations may exceed those of the samples before they saturate, 1 to 16.
    pub headroom: f32,
    /// Outputs, by name, that are not public. They are requantised as what other layers read is, since accumulators as
    /// they are have no cells but public ones.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub hidden_outputs: BTreeSet<String>,
    /// Error on the samples, as a part of the output's range, above which activations get more bits.
    pub error_target: f32,
}

impl Default for QuantOptions {
    fn default() -> Self {
        Self {
            activation_bits: 8,
            max_activation_bits: 10,
            tensor_bits: BTreeMap::new(),
            precision_file: None,
            shift: 11,
            headroom: 1.25,
            hidden_outputs: BTreeSet::new(),
            error_target: 0.016,
        }
    }
}

/// Most bits of a tensor.
pub(super) const MAX_TENSOR_BITS: u32 = 16;
/// Bits of the widest activations that the shift is for.
const NARROW_BITS: u32 = 10;
/// Greatest shift that wide activations ask for: at more, weights about 1 would not fit their bits.
const MAX_WIDE_SHIFT: u32 = WEIGHT_BITS - 2;

impl QuantOptions {
    /// The options with these [`activation_bits`](Self::activation_bits).
    #[must_use]
    pub fn with_activation_bits(self, activation_bits: u32) -> Self {
        Self { activation_bits, ..self }
    }

    /// The options with these [`max_activation_bits`](Self::max_activation_bits).
    #[must_use]
    pub fn with_max_activation_bits(self, max_activation_bits: u32) -> Self {
        Self { max_activation_bits, ..self }
    }

    /// The options with these [`tensor_bits`](Self::tensor_bits).
    #[must_use]
    pub fn with_tensor_bits(self, tensor_bits: BTreeMap<String, u32>) -> Self {
        Self { tensor_bits, ..self }
    }

    /// The options with these [`hidden_outputs`](Self::hidden_outputs).
    #[must_use]
    pub fn with_hidden_outputs(self, hidden_outputs: BTreeSet<String>) -> Self {
        Self { hidden_outputs, ..self }
    }

    /// The options with this [`shift`](Self::shift).
    #[must_use]
    pub fn with_shift(self, shift: u32) -> Self {
        Self { shift, ..self }
    }

    /// The options with this [`headroom`](Self::headroom).
    #[must_use]
    pub fn with_headroom(self, headroom: f32) -> Self {
        Self { headroom, ..self }
    }

    /// The options with this [`error_target`](Self::error_target).
    #[must_use]
    pub fn with_error_target(self, error_target: f32) -> Self {
        Self { error_target, ..self }
    }

    /// The shift where tensors that are not named have so many bits.
    pub(super) fn shift_for(&self, activation_bits: u32) -> u32 {
        let widest = self.tensor_bits.values().copied().fold(activation_bits, u32::max);
        let more = widest.saturating_sub(NARROW_BITS);
        self.shift.max(self.shift.saturating_add(more).min(MAX_WIDE_SHIFT))
    }
}

//! `LRN`: each element by a power of the mean of squares over neighbouring channels.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::cnn::{PaddingSpec, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::math::{add, mul, pow_const, square};
use tract_onnx::tract_core::ops::nn::DataFormat;
use tract_onnx::tract_hir::internal::*;

use super::refused_attribute;
use super::wiring::Wiring;

/// Most channels of a mean.
const MAX_SIZE: usize = 1 << 12;

/// `x / (bias + alpha · mean(x²))^beta`, the mean over `size` channels, those outside counting as zeros.
#[derive(Clone, Debug)]
struct Lrn {
    alpha: f32,
    beta: f32,
    bias: f32,
    size: usize,
}

pub(super) fn read(_: &ParsingContext<'_>, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let number = |name: &str, default: f32| TractResult::Ok(node.get_attr_opt(name)?.unwrap_or(default));
    let size: usize = node.get_attr("size")?;
    let op = Lrn { alpha: number("alpha", 1e-4)?, beta: number("beta", 0.75)?, bias: number("bias", 1.0)?, size };
    // Then the base of the power is positive.
    let is_positive = op.alpha >= 0.0 && op.alpha.is_finite() && op.bias > 0.0 && op.bias.is_finite();
    if !(is_positive && op.beta.is_finite() && (1..=MAX_SIZE).contains(&size)) {
        let form = format!("alpha {}, bias {} and size {size}", op.alpha, op.bias);
        return Err(refused_attribute(node, form, "use an alpha of 0 or more, a bias above 0 and a size of 1 to 4096"));
    }
    Ok((expand(op), vec![]))
}

impl Expansion for Lrn {
    fn name(&self) -> StaticName {
        "LRN".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        s.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let mut wiring = Wiring::new(model, prefix);
        let dims = wiring.dims(inputs[0])?;
        ensure!(dims.len() > 1, "LRN takes a batch and channels");
        let (last, channels) = (dims.len() - 1, dims[1]);
        // Channels as the positions of a sequence, one for each place of the image.
        let squares = wiring.apply(square(), &[inputs[0]])?;
        let squares = wiring.moved(squares, 1, last)?;
        let places = dims.iter().product::<usize>() / channels;
        let rows = wiring.reshaped(squares, 0, dims.len(), &[places, channels])?;
        let before = (self.size - 1) / 2;
        let spec = PoolSpec {
            data_format: DataFormat::CHW,
            kernel_shape: tvec!(self.size),
            padding: PaddingSpec::Explicit(tvec!(before), tvec!(self.size - 1 - before)),
            dilations: None,
            strides: None,
            input_channels: places,
            output_channels: places,
        };
        let means = wiring.apply(SumPool { pool_spec: spec, count_include_pad: true, normalize: true }, &[rows])?;
        let mut moved = dims;
        moved.remove(1);
        moved.push(channels);
        let means = wiring.reshaped(means, 0, 2, &moved)?;
        let means = wiring.moved(means, last, 1)?;
        let base = wiring.with_number(mul(), means, self.alpha)?;
        let base = wiring.with_number(add(), base, self.bias)?;
        let factors = wiring.apply(pow_const(-self.beta), &[base])?;
        Ok(tvec!(wiring.binary(mul(), inputs[0], factors)?))
    }
}

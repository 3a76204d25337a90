//! Post-training quantisation: calibration and conversion, from a float graph and sample inputs to the integers that
//! are proved.
//!
//! Quantisation is symmetric, by tensor, with power-of-two scales and without a zero point; Jacob et al. 2018
//! (<https://arxiv.org/abs/1712.05877>) have the general form. Each tensor has the most fractional bits that hold its
//! values on the samples, with some headroom; weights take `S + f_y - f_x` fractional bits, so that one shift
//! requantises every layer. Tensors that are related by movement of data alone have one scale between them
//! (`scales.rs`), and functions are tables with a scale of their own before them (`table.rs`), long ones by straight lines
//! (`lines.rs`), several for numbers that span decades (`wide.rs`). The error is measured on the samples, and activations get one bit more while it is above the
//! target: a circuit has limbs for it, and longer tables of functions.
//!
//! A new operation is a file in `ops`, and the arms that the compiler then misses.
//!
//! ```no_run
//! use zkml_gpu_onnx::import::{FloatModel, ImportOptions};
//! use zkml_gpu_onnx::quant::{QuantOptions, quantise};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = FloatModel::load("model.onnx", &ImportOptions::default())?;
//! let samples = vec![vec![vec![0.5; 784]]];
//! let quantised = quantise(model.graph(), &samples, &QuantOptions::default())?;
//! let execution = quantised.graph.run(&quantised.graph.quantise_inputs(&samples[0]))?;
//! # Ok(())
//! # }
//! ```

mod calibrate;
mod context;
mod convert;
mod converter;
mod error;
mod evaluate;
#[cfg(test)]
mod extremes;
mod fitting;
mod group;
mod lines;
mod ops;
mod options;
mod outline;
mod quantise;
mod rescale;
mod scales;
mod search;
mod table;
mod wide;

pub use calibrate::Calibration;
pub use error::QuantError;
pub use evaluate::{Evaluation, TensorError, evaluate};
pub use lines::MOST_OFF_BY_LINES;
pub use options::QuantOptions;
pub use outline::outline;
pub use quantise::{
    Observed, QuantReport, Quantised, Sample, needs_samples, quantise, recall, requantise, split_samples,
};
pub use search::{Precision, Target, search};

//! Operators that tract does not read, or reads as something that is not translated: each is written by operators that
//! are, where the shapes of its operands are known.
//!
//! What tract has no reader for becomes an expansion of ours ([`register`]): the reader takes the attributes, and its
//! `wire` makes nodes of a typed model. What it reads to an operator of its own is replaced there ([`replace`]). Either
//! way tract's own run of the model, the float reference, computes what is proved.

mod attention;
mod classes;
mod cumulative;
mod gather;
mod indices;
mod linear_models;
mod lrn;
mod resize;
mod top_k;
mod trees;
mod truths;
mod volumes;
mod whole_numbers;
mod wiring;

use tract_onnx::Onnx;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::model::Rewriter;

use super::error::ImportError;
use super::protos::node_name;

/// Adds the readers of operators that are expanded.
pub(super) fn register(onnx: &mut Onnx) {
    let readers = &mut onnx.op_register;
    readers.insert("Attention", attention::read);
    readers.insert("LRN", lrn::read);
    readers.insert("LinearClassifier", linear_models::read_classifier);
    readers.insert("LinearRegressor", linear_models::read_regressor);
    readers.insert("Normalizer", linear_models::read_normalizer);
    readers.insert("Resize", resize::read);
    readers.insert("Scaler", linear_models::read_scaler);
    readers.insert("TreeEnsembleClassifier", trees::read_classifier);
    readers.insert("TreeEnsembleRegressor", trees::read_regressor);
    readers.insert("Upsample", resize::read_upsample);
}

/// Replaces operators of a typed model that would not be translated.
pub(super) fn replace(model: &mut TypedModel) -> TractResult<()> {
    let rules = Rewriter::default()
        .with_rule_for("cumulative-sum", cumulative::cumulative_sum)
        .with_rule_for("gather", gather::gather)
        .with_rule_for("gather-elements", gather::gather_elements)
        .with_rule_for("gather-nd", gather::gather_nd)
        .with_rule_for("quotient", whole_numbers::quotient)
        .with_rule_for("truths", truths::comparison)
        .with_rule_for("scatter-elements", gather::scatter_elements)
        .with_rule_for("top-k", top_k::top_k)
        .with_rule_for("conv-3d", volumes::convolution)
        .with_rule_for("max-pool-3d", volumes::max_pool)
        .with_rule_for("sum-pool-3d", volumes::sum_pool);
    rules.rewrite(&(), model)?;
    indices::write_tables(model)
}

/// The error of a form of an operator that is not expanded.
fn refused(operator: &str, node: &str, form: impl Into<String>, hint: &'static str) -> TractError {
    let (operator, node) = (operator.to_owned(), node.to_owned());
    ImportError::UnsupportedForm { operator, node, form: form.into(), hint }.into()
}

/// The error of an attribute that an operator is not expanded with.
fn refused_attribute(node: &NodeProto, form: impl Into<String>, hint: &'static str) -> TractError {
    refused(&node.op_type, &node_name(node), form, hint)
}

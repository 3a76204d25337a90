//! `/v1/model`: what is served, and the key to verify its proofs with.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use zkml_gpu::circuit::system::Port;

use super::answer::{bytes_of, json};
use crate::server::Service;

/// A model.
#[derive(Serialize)]
struct About<'a> {
    model: &'a str,
    verifying_key: &'a str,
    weights: &'a str,
    note: &'a str,
    insecure_srs: bool,
    max_error: f64,
    k: u32,
    /// Segments that it is proved in; none of a model in one piece.
    segments: Option<usize>,
    backend: String,
    device: String,
    /// Inferences in each proof.
    inferences: usize,
    inputs: Vec<Tensor<'a>>,
    outputs: Vec<Tensor<'a>>,
    max_body_bytes: u64,
    max_saturation: f64,
    queue_limit: usize,
    workers: usize,
}

/// An input or output of a proof.
#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    shape: &'a [usize],
    visibility: &'static str,
    /// The real numbers that its integers reach.
    range: [f64; 2],
}

impl<'a> Tensor<'a> {
    fn new(port: &'a Port) -> Self {
        let format = port.logical_format();
        let range = [format.min, format.max].map(|value| value as f64 * format.step());
        Self { name: &port.name, shape: &port.logical_shape, visibility: port.visibility().name(), range }
    }
}

pub(super) async fn model(State(service): State<Arc<Service>>) -> Response {
    let (prover, options) = (&service.prover, &service.options);
    let key = &service.key;
    json(
        200,
        &About {
            model: key.model(),
            verifying_key: key.digest(),
            weights: key.weights(),
            note: key.note(),
            insecure_srs: key.is_insecure(),
            max_error: key.accuracy().max_error,
            k: prover.model().k(),
            segments: key.segments(),
            backend: prover.backend(),
            device: prover.device(),
            inferences: prover.model().inferences(),
            inputs: key.inputs().into_iter().map(Tensor::new).collect(),
            outputs: key.outputs().into_iter().map(Tensor::new).collect(),
            max_body_bytes: service.max_body_bytes,
            max_saturation: options.max_saturation,
            queue_limit: options.queue,
            workers: options.workers,
        },
    )
}

pub(super) async fn verifying_key(State(service): State<Arc<Service>>) -> Response {
    bytes_of(200, "application/octet-stream", service.key.to_bytes().to_vec())
}

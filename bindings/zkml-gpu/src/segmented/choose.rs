//! Where a model is cut: the cheapest segments that fit the memory, laid out, and cut again where bounds promised more
//! than layouts kept.

use zkml_gpu_circuit::layout::{LayoutOptions, SegmentLimits, segmentation};
use zkml_gpu_circuit::placement::LayoutError;
use zkml_gpu_graph::Graph;

use super::SegmentedModel;
use crate::memory::limit_bytes;
use crate::{Error, ModelAbout};

/// Times that cuts are chosen again.
const MOST_TRIALS: usize = 8;
/// Bounds of memory are asked to leave so much more than the last layouts went beyond the limit.
const MARGIN: f64 = 0.97;

/// How a model is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentChoice {
    /// How many segments; as many as the memory demands where absent.
    pub segments: Option<usize>,
    /// Memory that the keys and the proof of a segment may take, in bytes; what there is where absent.
    pub max_memory_bytes: Option<u64>,
}

impl SegmentedModel {
    /// The cheapest segments of a quantised graph that is not lowered, and after how many nodes each is cut.
    pub(crate) fn cheapest(
        model: &ModelAbout,
        graph: &Graph,
        options: &LayoutOptions,
        choice: SegmentChoice,
    ) -> Result<(Self, Vec<usize>), Error> {
        let available_bytes = limit_bytes(choice.max_memory_bytes);
        let refusal = || Error::SegmentsWouldNotFit { segments: choice.segments, available_bytes };
        let mut limits = SegmentLimits::new(available_bytes);
        if let Some(segments) = choice.segments {
            limits = limits.with_segments(segments);
        }
        let mut without = Vec::new();
        for _ in 0..MOST_TRIALS {
            let found = {
                let _span = tracing::info_span!(target: "zkml_gpu::compile", "cut").entered();
                segmentation(graph, options, limits, &without)?.ok_or_else(refusal)?
            };
            let sized = options.clone().with_sizes(found.k, found.k);
            let made = match Self::of(model.clone(), graph, &found.cuts, &sized) {
                Err(Error::Layout(LayoutError::Unsupported { node, reason })) => {
                    // Cut elsewhere than before and after the part that has the node.
                    let at = graph.nodes.iter().position(|own| own.name == node);
                    let near = at.and_then(|at| found.cuts.iter().copied().min_by_key(|cut| cut.abs_diff(at)));
                    let cut = near.ok_or(LayoutError::Unsupported { node, reason })?;
                    without.push(cut);
                    continue;
                }
                // The size is one row too small for what places differently than it counts.
                Err(Error::Layout(LayoutError::WouldNotFit { .. })) => {
                    let larger = options.clone().with_sizes(found.k + 1, options.max_k);
                    Self::of(model.clone(), graph, &found.cuts, &larger)?
                }
                made => made?,
            };
            let needed = made.most_memory()?;
            if needed <= available_bytes {
                return Ok((made, found.cuts));
            }
            let over = available_bytes as f64 / needed as f64;
            #[allow(
                clippy::cast_possible_truncation,
                reason = "a bound on bytes, which a fraction less changes nothing of"
            )]
            let most = (limits.max_bytes.min(found.bytes) as f64 * over * MARGIN) as u64;
            limits.max_bytes = most;
        }
        Err(refusal())
    }

    /// The memory that the largest segment's keys and proof need at least, with the proof of its weights.
    pub(crate) fn most_memory(&self) -> Result<u64, Error> {
        let mut most = 0;
        for segment in 0..self.segments() {
            most = most.max(self.segment(segment)?.least_memory());
        }
        Ok(most)
    }
}

//! A tract value as a strided view of a stored tensor.
//!
//! tract moves, adds and drops axes freely; a stored tensor is always `channels × height × width`. A view says
//! where each element of the tract value lies, so that squeezes, unsqueezes, most reshapes and the transposes that
//! a later operator undoes cost nothing.

use tract_onnx::tract_core::internal::DimLike;
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use zkml_gpu_graph::{Shape, TensorId};

/// Axes and strides of a tract value over a stored tensor, of which it holds every element once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct View {
    /// The stored tensor.
    pub(super) tensor: TensorId,
    /// Extents, tract's axis order.
    pub(super) dims: Vec<usize>,
    /// Distance in storage between neighbours along each axis.
    pub(super) strides: Vec<usize>,
}

impl View {
    /// The view whose row-major order is the stored order.
    pub(super) fn row_major(tensor: TensorId, dims: &[usize]) -> Self {
        let mut strides = vec![1; dims.len()];
        for i in (1..dims.len()).rev() {
            strides[i - 1] = strides[i] * dims[i];
        }
        Self { tensor, dims: dims.to_vec(), strides }
    }

    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Storage index of each element in the view's row-major order.
    pub(super) fn offsets(&self) -> Vec<usize> {
        let mut offsets = vec![0];
        for (&dim, &stride) in self.dims.iter().zip(&self.strides) {
            offsets = offsets.iter().flat_map(|o| (0..dim).map(move |i| o + i * stride)).collect();
        }
        offsets
    }

    /// Storage index of each element of the view broadcast to `dims`, in row-major order: axes of extent 1 repeat, and
    /// further axes come before the first.
    pub(super) fn broadcast_offsets(&self, dims: &[usize]) -> Vec<usize> {
        let lead = dims.len() - self.dims.len();
        let stride = |axis: usize| match axis.checked_sub(lead) {
            Some(own) if self.dims[own] != 1 => self.strides[own],
            _ => 0,
        };
        Self { tensor: self.tensor, dims: dims.to_vec(), strides: (0..dims.len()).map(stride).collect() }.offsets()
    }

    /// The view with its axes in the order given.
    pub(super) fn permuted(&self, order: &[usize]) -> Self {
        let pick = |list: &[usize]| order.iter().map(|&axis| list[axis]).collect();
        Self { tensor: self.tensor, dims: pick(&self.dims), strides: pick(&self.strides) }
    }

    /// The view whose axes in the order given are this one's.
    pub(super) fn unpermuted(&self, order: &[usize]) -> Self {
        let mut inverse = vec![0; order.len()];
        order.iter().enumerate().for_each(|(position, &axis)| inverse[axis] = position);
        self.permuted(&inverse)
    }

    /// Whether the axes, in the order given, are contiguous row-major with the innermost at stride `inner`.
    pub(super) fn is_dense(&self, axes: impl DoubleEndedIterator<Item = usize>, inner: usize) -> bool {
        let mut expected = inner;
        for axis in axes.rev().filter(|&axis| self.dims[axis] != 1) {
            if self.strides[axis] != expected {
                return false;
            }
            expected *= self.dims[axis];
        }
        true
    }

    /// Whether the view's row-major order is the stored order.
    pub(super) fn is_row_major(&self) -> bool {
        self.is_dense(0..self.dims.len(), 1)
    }

    /// The view without axis `axis`, which has extent 1.
    pub(super) fn without(mut self, axis: usize) -> Self {
        self.dims.remove(axis);
        self.strides.remove(axis);
        self
    }

    /// The view with a new axis of extent 1.
    pub(super) fn with(mut self, axis: usize) -> Self {
        self.dims.insert(axis, 1);
        self.strides.insert(axis, 0);
        self
    }

    /// The view with axis `from` moved to `to`.
    pub(super) fn moved(mut self, from: usize, to: usize) -> Self {
        let (dim, stride) = (self.dims.remove(from), self.strides.remove(from));
        self.dims.insert(to, dim);
        self.strides.insert(to, stride);
        self
    }

    /// The view with the axes `at..at + from` split or merged into `to`; `None` where their elements are not in
    /// one run.
    pub(super) fn reshaped(mut self, at: usize, from: usize, to: &[usize]) -> Option<Self> {
        let axes = at..at + from;
        let inner = axes.clone().filter(|&a| self.dims[a] != 1).map(|a| self.strides[a]).next_back().unwrap_or(1);
        if !self.is_dense(axes.clone(), inner) {
            return None;
        }
        let mut fresh = Self::row_major(self.tensor, to);
        fresh.strides.iter_mut().for_each(|s| *s *= inner);
        self.dims.splice(axes.clone(), fresh.dims);
        self.strides.splice(axes, fresh.strides);
        Some(self)
    }

    /// The view after a change of axes; `None` where it merges elements that are not in one run.
    pub(super) fn changed(self, op: &AxisOp) -> Option<Self> {
        match op {
            AxisOp::Add(axis) => Some(self.with(*axis)),
            AxisOp::Rm(axis) => Some(self.without(*axis)),
            AxisOp::Move(from, to) => Some(self.moved(*from, *to)),
            AxisOp::Reshape(at, from, to) => {
                let sizes: Option<Vec<usize>> = to.iter().map(|d| d.to_usize().ok()).collect();
                self.reshaped(*at, from.len(), &sizes?)
            }
        }
    }

    /// Whether both place equal axes equally, so that an elementwise operation pairs equal storage indices.
    pub(super) fn aligned(&self, other: &Self) -> bool {
        let same = |i: usize| self.dims[i] == 1 || self.strides[i] == other.strides[i];
        self.dims == other.dims && (0..self.dims.len()).all(same)
    }

    /// The number of inferences along the first axis whose elements alternate in a stored `shape`, one after the other
    /// in the model's order; `None` where they are stored otherwise.
    pub(super) fn interleaved(&self, shape: Shape) -> Option<usize> {
        let first = self.dims.iter().position(|dim| *dim != 1)?;
        let count = self.dims[first];
        let alternate = self.strides[first] == 1 && self.is_dense(first + 1..self.dims.len(), count);
        (alternate && (shape.height * shape.width).is_multiple_of(count)).then_some(count)
    }

    /// Whether the model's order is the transpose of a stored `shape` (one channel a feature, rows inside);
    /// `None` where it is neither that nor the stored order.
    pub(super) fn transposition(&self, shape: Shape) -> Option<bool> {
        if self.is_row_major() {
            return Some(false);
        }
        let rows = shape.height * shape.width;
        let split = (0..=self.dims.len()).find(|&i| self.dims[..i].iter().product::<usize>() == rows)?;
        let transposed = self.is_dense(0..split, 1) && self.is_dense(split..self.dims.len(), rows);
        transposed.then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_axes_are_seen_through_and_not_merged() {
        let view = View::row_major(0, &[1, 2, 3, 4]).moved(1, 3);
        assert_eq!((view.dims.as_slice(), view.strides.as_slice()), (&[1, 3, 4, 2][..], &[24, 4, 1, 12][..]));
        assert!(!view.is_row_major());
        assert_eq!(view.clone().reshaped(2, 2, &[8]), None);
        let merged = view.clone().reshaped(1, 2, &[12]).unwrap();
        assert_eq!((merged.dims.as_slice(), merged.strides.as_slice()), (&[1, 12, 2][..], &[24, 1, 12][..]));
        assert!(view.moved(3, 1).is_row_major());
    }

    #[test]
    fn offsets_visit_every_element_once() {
        let mut offsets = View::row_major(0, &[2, 3]).moved(0, 1).offsets();
        assert_eq!(offsets, [0, 3, 1, 4, 2, 5]);
        offsets.sort_unstable();
        assert_eq!(offsets, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn permuted_axes_come_back() {
        let view = View::row_major(0, &[2, 3, 4]);
        let permuted = view.permuted(&[2, 0, 1]);
        assert_eq!((permuted.dims.as_slice(), permuted.strides.as_slice()), (&[4, 2, 3][..], &[1, 12, 4][..]));
        assert_eq!(permuted.unpermuted(&[2, 0, 1]), view);
    }

    #[test]
    fn broadcast_axes_repeat() {
        let view = View::row_major(0, &[2, 1]).moved(0, 1);
        assert_eq!(view.broadcast_offsets(&[2, 2, 2]), [0, 1, 0, 1, 0, 1, 0, 1]);
        assert_eq!(View::row_major(0, &[2, 1]).broadcast_offsets(&[2, 3]), [0, 0, 0, 1, 1, 1]);
    }

    #[test]
    fn inferences_in_turn_are_recognised() {
        let shape = Shape { channels: 3, height: 4, width: 10 };
        let batch = View::row_major(0, &[3, 4, 5, 2]).moved(3, 0);
        assert_eq!((batch.dims.as_slice(), batch.interleaved(shape)), (&[2, 3, 4, 5][..], Some(2)));
        assert_eq!(batch.clone().moved(2, 3).interleaved(shape), None);
        assert_eq!(View::row_major(0, &[2, 3, 4, 5]).interleaved(shape), None);
        assert_eq!(batch.interleaved(Shape { channels: 120, height: 1, width: 1 }), None);
    }

    #[test]
    fn a_transposed_matrix_is_recognised() {
        let shape = Shape { channels: 4, height: 1, width: 3 };
        let matrix = View::row_major(0, &[1, 4, 3]).moved(1, 2);
        assert_eq!(matrix.transposition(shape), Some(true));
        assert_eq!(View::row_major(0, &[4, 3]).transposition(shape), Some(false));
        assert_eq!(View::row_major(0, &[2, 2, 3]).moved(0, 1).transposition(shape), None);
    }
}

//! Where an element of a tensor stands in the tensor's digest `Σ r^e · v`.
//!
//! A tensor is tied to its copies by equal digests, so each tensor has one map from elements to exponents. An image
//! that a convolution reads has a row pitch wide enough for the padding, so that the digest's polynomial is, channel by
//! channel, the polynomial that the convolution multiplies. Exponents fall in storage order: Horner's rule reads the
//! elements as they are stored. Rows and columns may stand further apart, as on the grid of a transposed convolution.

use serde::{Deserialize, Serialize};
use zkml_gpu_graph::Shape;

/// The exponents of a tensor's digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Geometry {
    /// Element `i` of `len` has exponent `len - 1 - i`.
    Flat {
        /// Number of elements.
        len: usize,
    },
    /// Element `(c, i, j)` has exponent `(C-1-c)·channel_pitch + (H-1-i)·row_pitch + (W-1-j)·column_pitch`.
    Image {
        /// Channels.
        channels: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Distance of rows; at least the width and its padding.
        row_pitch: usize,
        /// Distance of columns.
        column_pitch: usize,
        /// Distance of channels: a channel's extent, rounded up to whole rows of operand lanes.
        channel_pitch: usize,
    },
}

impl Geometry {
    /// The image geometry of `shape` for operand rows of `lanes` cells; `pitch` are the distances of rows and columns.
    pub fn image(shape: Shape, [row_pitch, column_pitch]: [usize; 2], lanes: usize) -> Self {
        let Shape { channels, height, width } = shape;
        let extent = (height - 1) * row_pitch + (width - 1) * column_pitch + 1;
        let channel_pitch = extent.next_multiple_of(lanes);
        Self::Image { channels, height, width, row_pitch, column_pitch, channel_pitch }
    }

    /// Number of elements.
    pub const fn len(&self) -> usize {
        match *self {
            Self::Flat { len } => len,
            Self::Image { channels, height, width, .. } => channels * height * width,
        }
    }

    /// Whether there is no element.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Exponent of the element with this storage index.
    pub const fn exponent(&self, element: usize) -> usize {
        match *self {
            Self::Flat { len } => len - 1 - element,
            Self::Image { channels, height, width, row_pitch, column_pitch, channel_pitch } => {
                let (c, i, j) = Shape { channels, height, width }.position(element);
                (channels - 1 - c) * channel_pitch + (height - 1 - i) * row_pitch + (width - 1 - j) * column_pitch
            }
        }
    }

    /// Number of sequences that start anew (channels), and the cells of each, for packed rows of `lanes`.
    pub fn sequences(&self, lanes: usize) -> (usize, usize) {
        match *self {
            Self::Flat { len } => (1, len.next_multiple_of(lanes)),
            Self::Image { channels, channel_pitch, .. } => (channels, channel_pitch),
        }
    }
}

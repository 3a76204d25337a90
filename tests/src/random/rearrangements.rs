//! Elements in any order: transposition, concatenation, slices, padding, upsampling, constants, and what is made of
//! these.

use rand::Rng;
use rand::seq::SliceRandom;
use zkml_gpu_graph::{Op, Origin, Shape, TensorId};

use super::{Grower, LARGEST};
use crate::networks::image;

fn element(operand: usize, element: usize) -> Origin {
    Origin::Element { operand: operand as u32, element: element as u32 }
}

impl Grower {
    /// Adds a rearrangement, whose range holds all that it is made of.
    fn rearranged(&mut self, inputs: &[TensorId], shape: Shape, origins: Vec<Origin>) -> TensorId {
        let constants = origins.iter().filter_map(|origin| match origin {
            Origin::Constant(value) => Some((*value, *value)),
            Origin::Element { .. } => None,
        });
        let formats = inputs.iter().map(|input| (self.format(*input).min, self.format(*input).max));
        let union = |a: (i64, i64), b: (i64, i64)| (a.0.min(b.0), a.1.max(b.1));
        let range = formats.chain(constants).reduce(union).expect("an element");
        self.push(Op::Rearrange { origins }, inputs, shape, range)
    }

    pub(super) fn rearrangement(&mut self) -> TensorId {
        if self.rng.gen_bool(0.4) {
            return self.pieces();
        }
        let tensor = self.pick_reshaped();
        self.rearrangement_of(tensor)
    }

    /// One tensor's elements in another order or number.
    pub(super) fn rearrangement_of(&mut self, tensor: TensorId) -> TensorId {
        let len = self.len(tensor);
        match self.rng.gen_range(0..8) {
            0 | 1 => self.transposed(tensor),
            2 => {
                let size = self.rng.gen_range(1..=len);
                self.resized(tensor, size)
            }
            3 => self.padded(tensor),
            4 => self.upsampled(tensor),
            5 => {
                let mut order: Vec<usize> = (0..len).collect();
                order.shuffle(&mut self.rng);
                let shape = self.shape_of(len);
                self.rearranged(&[tensor], shape, order.into_iter().map(|e| element(0, e)).collect())
            }
            6 => {
                let size = self.rng.gen_range(1..=LARGEST.min(len + 4));
                let constant = *[0, 0, 1, -3].choose(&mut self.rng).expect("a constant");
                let mut origin = || match self.rng.gen_bool(0.2) {
                    true => Origin::Constant(constant),
                    false => element(0, self.rng.gen_range(0..len)),
                };
                let origins = (0..size).map(|_| origin()).collect();
                let shape = self.shape_of(size);
                self.rearranged(&[tensor], shape, origins)
            }
            _ => self.resized(tensor, len),
        }
    }

    /// A contiguous part, or all and zeros: as many elements as asked for.
    pub(super) fn resized(&mut self, tensor: TensorId, size: usize) -> TensorId {
        let len = self.len(tensor);
        let first = self.rng.gen_range(0..=len.saturating_sub(size));
        let before = self.rng.gen_range(0..=size.saturating_sub(len));
        let origin = |place: usize| match place.checked_sub(before).map(|e| e + first).filter(|e| *e < len) {
            Some(e) => element(0, e),
            None => Origin::Constant(0),
        };
        let shape = self.shape_of(size);
        self.rearranged(&[tensor], shape, (0..size).map(origin).collect())
    }

    fn transposed(&mut self, tensor: TensorId) -> TensorId {
        let x = self.of(tensor);
        let sizes = [x.channels, x.height, x.width];
        let mut axes = [0, 1, 2];
        axes.shuffle(&mut self.rng);
        let [c, h, w] = axes.map(|axis| sizes[axis]);
        let y = image(c, h, w);
        let origin = |e: usize| {
            let (c, i, j) = y.position(e);
            let mut place = [0; 3];
            axes.iter().zip([c, i, j]).for_each(|(axis, at)| place[*axis] = at);
            element(0, x.index(place[0], place[1], place[2]))
        };
        self.rearranged(&[tensor], y, (0..x.len()).map(origin).collect())
    }

    /// A border of zeros, or of another constant.
    fn padded(&mut self, tensor: TensorId) -> TensorId {
        let x = self.of(tensor);
        let [above, below, left, right] = [0; 4].map(|_| self.rng.gen_range(0..=1));
        let y = image(x.channels, x.height + above + below, x.width + left + right);
        if y.len() > LARGEST {
            return self.transposed(tensor);
        }
        let constant = if self.rng.gen_bool(0.7) { 0 } else { 5 };
        let origin = |e: usize| {
            let (c, i, j) = y.position(e);
            match (i.checked_sub(above), j.checked_sub(left)) {
                (Some(i), Some(j)) if i < x.height && j < x.width => element(0, x.index(c, i, j)),
                _ => Origin::Constant(constant),
            }
        };
        self.rearranged(&[tensor], y, (0..y.len()).map(origin).collect())
    }

    fn upsampled(&mut self, tensor: TensorId) -> TensorId {
        let x = self.of(tensor);
        let [tall, wide] = [0; 2].map(|_| self.rng.gen_range(1..=2));
        let y = image(x.channels, x.height * tall, x.width * wide);
        if y.len() > LARGEST {
            return self.transposed(tensor);
        }
        let origin = |e: usize| {
            let (c, i, j) = y.position(e);
            element(0, x.index(c, i / tall, j / wide))
        };
        self.rearranged(&[tensor], y, (0..y.len()).map(origin).collect())
    }

    /// Runs of several tensors' elements and zeros, at whole channels or anywhere.
    fn pieces(&mut self) -> TensorId {
        let inputs: Vec<TensorId> = (0..self.rng.gen_range(1..=3)).map(|_| self.pick()).collect();
        let aligned = self.rng.gen_bool(0.4);
        let (mut origins, count) = (Vec::new(), self.rng.gen_range(1..=4));
        for _ in 0..count {
            let operand = self.rng.gen_range(0..inputs.len());
            let x = self.of(inputs[operand]);
            let (unit, units) = if aligned { (x.height * x.width, x.channels) } else { (1, x.len()) };
            let first = self.rng.gen_range(0..units);
            let end = self.rng.gen_range(first + 1..=units);
            if origins.len() + (end - first) * unit <= LARGEST {
                origins.extend((first * unit..end * unit).map(|e| element(operand, e)));
            }
            if self.rng.gen_bool(0.2) && origins.len() + unit <= LARGEST {
                origins.extend(std::iter::repeat_n(Origin::Constant(0), unit));
            }
        }
        if origins.is_empty() {
            origins.push(element(0, 0));
        }
        let x = self.of(inputs[0]);
        // Often of the same area, so that it can be read as its parts are.
        let shape = match origins.len().is_multiple_of(x.height * x.width) && self.rng.gen_bool(0.6) {
            true => image(origins.len() / (x.height * x.width), x.height, x.width),
            false => self.shape_of(origins.len()),
        };
        self.rearranged(&inputs, shape, origins)
    }

    /// A tensor that is read both in pieces cut anywhere and, in whole channels, as an image: its digest must serve
    /// both, whichever comes first.
    pub(super) fn shared_pieces(&mut self) {
        let q = self.pick();
        let areas: Vec<usize> = (2..=6).filter(|area| self.len(q).is_multiple_of(*area)).collect();
        let area = areas.choose(&mut self.rng).copied().unwrap_or(1);
        let fits: Vec<TensorId> =
            self.readable.iter().copied().filter(|tensor| self.len(*tensor).is_multiple_of(area)).collect();
        let p = *fits.choose(&mut self.rng).unwrap_or(&q);
        if self.rng.gen_bool(0.6) {
            self.cut_anywhere(p, q, area);
            self.cut_in_channels(q, area);
        } else {
            self.cut_in_channels(q, area);
            self.cut_anywhere(p, q, area);
        }
    }

    /// Runs of two tensors, and zeros up to a multiple of the area.
    fn cut_anywhere(&mut self, p: TensorId, q: TensorId, area: usize) {
        let [from, of] = [p, q].map(|tensor| self.len(tensor));
        let first = self.rng.gen_range(0..of);
        let end = self.rng.gen_range(first + 1..=of.min(first + 8));
        let wanted = (end - first + self.rng.gen_range(0..=2 * area)).next_multiple_of(area);
        let head = (wanted - (end - first)).min(from);
        let mut origins: Vec<Origin> = (0..head).map(|e| element(0, e)).collect();
        origins.extend((first..end).map(|e| element(1, e)));
        origins.resize(wanted, Origin::Constant(0));
        if self.rng.gen_bool(0.3) {
            origins.rotate_left(head);
        }
        let shape = self.shape_of(wanted);
        let joined = self.rearranged(&[p, q], shape, origins);
        match self.rng.gen_range(0..4) {
            0 => drop(self.combine_of(joined)),
            1 => drop(self.linear_of(joined, false)),
            _ => {}
        }
    }

    /// Whole channels of a tensor, read as an image or a matrix.
    fn cut_in_channels(&mut self, q: TensorId, area: usize) {
        let channels = self.len(q) / area;
        let first = self.rng.gen_range(0..channels);
        let end = self.rng.gen_range(first + 1..=channels);
        let heights: Vec<usize> = (1..=area).filter(|h| area.is_multiple_of(*h)).collect();
        let height = *heights.choose(&mut self.rng).expect("a divisor");
        let shape = image(end - first, height, area / height);
        let origins = (first * area..end * area).map(|e| element(0, e)).collect();
        let part = self.rearranged(&[q], shape, origins);
        self.linear_of(part, false);
    }
}

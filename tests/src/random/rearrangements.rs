//! Elements in any order: transposition, concatenation, slices, padding, upsampling, constants, and what is made of these.

use rand::{Rng, seq::SliceRandom};
use zkml_gpu_circuits::graph::{Op, Origin, Shape, TensorId};

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

    /// A tensor that is read both in pieces cut anywhere and as an image, in either order: its digest must serve both.
    pub(super) fn shared_pieces(&mut self) {
        let [p, q] = [0; 2].map(|_| self.pick());
        let steps: [fn(&mut Self, TensorId, TensorId); 2] = [
            |grower, p, q| {
                let [from, of] = [p, q].map(|tensor| grower.len(tensor));
                let (head, first) = (grower.rng.gen_range(0..=from.min(8)), grower.rng.gen_range(0..of));
                let end = grower.rng.gen_range(first + 1..=of.min(first + 12));
                let mut origins: Vec<Origin> = (0..head).map(|e| element(0, e)).collect();
                origins.extend((first..end).map(|e| element(1, e)));
                let shape = grower.shape_of(origins.len());
                let joined = grower.rearranged(&[p, q], shape, origins);
                if grower.rng.gen_bool(0.4) {
                    grower.linear_of(joined, false);
                }
            },
            |grower, _, q| {
                let size = grower.rng.gen_range(1..=grower.len(q));
                let part = if grower.rng.gen_bool(0.7) { grower.resized(q, size) } else { q };
                let shape = grower.shape_of(grower.len(part));
                let part = grower.reshaped(part, shape);
                grower.linear_of(part, false);
            },
        ];
        let order = if self.rng.gen_bool(0.5) { [0, 1] } else { [1, 0] };
        order.into_iter().for_each(|step| steps[step](self, p, q));
    }
}

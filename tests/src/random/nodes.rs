//! Nodes that compute: each with a scale that keeps most of its values inside a range.

use rand::Rng;
use zkml_gpu_graph::{
    Activation, Bounds, Interleaving, Linear, MatMul, Normalise, Op, Rescale, Shape, Softmax, TensorId, Width, Window,
};

use super::{Grower, LARGEST};
use crate::networks::{WIDE, image, lines_of};

/// Most products with weights of an output.
const MOST_TAPS: usize = 36;
/// Most output channels of a window with several taps: all stand in one row of the weight bank.
const MOST_CHANNELS: usize = 5;

fn magnitude((min, max): (i64, i64)) -> f64 {
    max.max(-min) as f64
}

impl Grower {
    /// A product with weights: dense, matrix or convolution of any form.
    pub(super) fn linear(&mut self, raw: bool) -> TensorId {
        let input = self.pick_reshaped();
        self.linear_of(input, raw)
    }

    pub(super) fn linear_of(&mut self, input: TensorId, raw: bool) -> TensorId {
        let range = if raw { WIDE } else { self.range() };
        let x = self.of(input);
        let form = self.form(x, raw);
        let shape = match form.transposed {
            true => image(x.width, 1, form.out_channels),
            false => {
                let [height, width] = form.pooled(x).expect("the window fits");
                image(form.out_channels, height, width)
            }
        };
        let op = Op::Linear(self.weighted(form, input, if raw { (-32, 31) } else { range }));
        self.push(op, &[input], shape, range)
    }

    /// A form of product that an input of this shape can have, without weights.
    fn form(&mut self, x: Shape, raw: bool) -> Linear {
        for _ in 0..20 {
            if let Some(form) = self.try_form(x, raw) {
                return form;
            }
        }
        Linear { raw, ..Linear::dense(1, Vec::new(), Vec::new()) }
    }

    fn try_form(&mut self, x: Shape, raw: bool) -> Option<Linear> {
        let pointwise = x.height == 1 && self.rng.gen_bool(0.5);
        let window = if pointwise { Window::UNIT } else { self.window(x)? };
        let rng = &mut self.rng;
        let channels = rng.gen_range(1..=if window == Window::UNIT { 9 } else { MOST_CHANNELS });
        let mut form = Linear { window, raw, ..Linear::dense(channels, Vec::new(), Vec::new()) };
        if rng.gen_bool(0.25) && x.channels <= MOST_CHANNELS {
            form.groups = x.channels;
            form.out_channels = x.channels * rng.gen_range(1..=MOST_CHANNELS / x.channels);
        }
        if rng.gen_bool(0.15) {
            form.input_dilation = [0; 2].map(|_| rng.gen_range(1..=2));
        }
        let [height, width] = form.output(x)?;
        if !raw && form.input_dilation == [1, 1] && rng.gen_bool(0.3) {
            form.pool = [height, width / window.images].map(|size| rng.gen_range(1..=size.min(2)));
        }
        form.transposed = !raw && pointwise && form.groups == 1 && form.pool == [1, 1] && form.input_dilation == [1, 1];
        form.transposed &= x.width > 1 && rng.gen_bool(0.3);
        let [height, width] = form.pooled(x)?;
        let len = form.out_channels * height * width;
        let taps = x.channels / form.groups * window.taps();
        ((1..=LARGEST).contains(&len) && taps <= MOST_TAPS).then_some(form)
    }

    /// A window of any kind that fits.
    fn window(&mut self, x: Shape) -> Option<Window> {
        let rng = &mut self.rng;
        let kernel = [x.height, x.width].map(|size| rng.gen_range(1..=if size > 1 { 3 } else { 2 }));
        let [pad_before, pad_after] = [kernel; 2].map(|kernel| kernel.map(|k| rng.gen_range(0..=k / 2 + k % 2)));
        let stride = [0; 2].map(|_| if rng.gen_bool(0.3) { 2 } else { 1 });
        let dilation = [0; 2].map(|_| if rng.gen_bool(0.2) { 2 } else { 1 });
        let images: Vec<usize> = (1..=4).filter(|n| x.width.is_multiple_of(*n)).collect();
        let images = if rng.gen_bool(0.3) { images[rng.gen_range(0..images.len())] } else { 1 };
        let mut window = Window { kernel, stride, dilation, pad_before, pad_after, images };
        if rng.gen_bool(0.4) {
            (window.pad_before, window.pad_after) = ([0, 0], [0, 0]);
        }
        window.output(x.height, x.width).map(|_| window)
    }

    /// A form with random weights, such that most accumulators stay in a range.
    fn weighted(&mut self, form: Linear, input: TensorId, range: (i64, i64)) -> Linear {
        let per_output = self.of(input).channels / form.groups * form.window.taps();
        let unit = f64::from(1u32 << self.graph.shift) * magnitude(range);
        let deviation = self.scale(input) * (per_output as f64 / 3.0).sqrt();
        let amplitude = (unit * 0.5 / deviation).clamp(1.0, 4096.0) as i32;
        let (reach, lift) = ((unit * 0.2) as i64, if range.0 == 0 { (unit * 0.3) as i64 } else { 0 });
        let rng = &mut self.rng;
        let weights = (0..form.out_channels * per_output).map(|_| rng.gen_range(-amplitude..=amplitude)).collect();
        let bias = (0..form.out_channels).map(|_| lift + rng.gen_range(-reach..=reach)).collect();
        Linear { weights, bias, ..form }
    }

    /// Another tensor of the same shape: reshaped, or made of pieces; sometimes the tensor itself.
    fn like(&mut self, tensor: TensorId) -> TensorId {
        let (shape, len) = (self.of(tensor), self.len(tensor));
        if self.rng.gen_bool(0.15) {
            return tensor;
        }
        let other = self.pick();
        if self.len(other) == len {
            return self.reshaped(other, shape);
        }
        let resized = self.resized(other, len);
        self.reshaped(resized, shape)
    }

    pub(super) fn combine(&mut self) -> TensorId {
        let first = self.pick_reshaped();
        self.combine_of(first)
    }

    pub(super) fn combine_of(&mut self, first: TensorId) -> TensorId {
        let count = [1, 2, 2, 2, 3, 4][self.rng.gen_range(0..6)];
        let inputs: Vec<TensorId> = (0..count).map(|i| if i == 0 { first } else { self.like(first) }).collect();
        let (shape, range) = (self.of(first), self.range());
        let one = f64::from(1u32 << self.graph.shift);
        let mut multipliers: Vec<i64> = Vec::new();
        for input in &inputs {
            let fit = one * magnitude(range) * 0.6 / (self.scale(*input) * f64::from(count).sqrt());
            let size = if self.rng.gen_bool(0.3) { one } else { fit * self.rng.gen_range(0.5..1.5) };
            let sign = if self.rng.gen_bool(0.3) { -1 } else { 1 };
            multipliers.push(sign * (size as i64).max(1));
        }
        let reach = (one * magnitude(range) * 0.3) as i64;
        let learned = if self.rng.gen_bool(0.3) { shape.len() } else { 0 };
        let sharing: Vec<usize> = (1..=4).filter(|n| learned > 0 && learned.is_multiple_of(*n)).collect();
        let sharing = if self.rng.gen_bool(0.5) { sharing.last().copied().unwrap_or(1) } else { 1 };
        let shared = Interleaving { inferences: sharing, run: 1 };
        let offset = (0..learned / sharing).map(|_| self.rng.gen_range(-reach..=reach)).collect();
        self.push(Op::Combine { multipliers, offset, shared, width: None }, &inputs, shape, range)
    }

    /// A window in which no output lies in padding alone.
    fn covering(&mut self, x: Shape, large: bool) -> Window {
        for _ in 0..20 {
            let Some(mut window) = self.window(x) else { continue };
            if large {
                let images = window.images;
                window = Window { kernel: [x.height, x.width / images], images, ..Window::UNIT };
            }
            window.pad_before = [0, 1].map(|axis| window.pad_before[axis].min(window.kernel[axis] / 2));
            window.pad_after = [0, 1].map(|axis| window.pad_after[axis].min(window.kernel[axis] / 2));
            let small = |[height, width]: [usize; 2]| x.channels * height * width <= LARGEST;
            // A dilated window may reach around the image.
            let sound = window.dilation == [1, 1] || !window.is_padded();
            if sound && window.output(x.height, x.width).is_some_and(small) {
                return window;
            }
        }
        Window::UNIT
    }

    /// An image to pool.
    fn pooled_input(&mut self) -> TensorId {
        let input = self.pick_reshaped();
        if self.of(input).height * self.of(input).width > 1 {
            return input;
        }
        let width = self.len(input);
        self.reshaped(input, image(1, 1, width))
    }

    pub(super) fn max_pool(&mut self) -> TensorId {
        let input = self.pooled_input();
        let (x, large) = (self.of(input), self.rng.gen_bool(0.2));
        let window = self.covering(x, large);
        let [height, width] = window.output(x.height, x.width).expect("the window fits");
        let format = self.format(input);
        self.push(Op::MaxPool(window), &[input], image(x.channels, height, width), (format.min, format.max))
    }

    pub(super) fn average_pool(&mut self) -> TensorId {
        let input = self.pooled_input();
        let (x, large, range) = (self.of(input), self.rng.gen_bool(0.3), self.range());
        let window = self.covering(x, large);
        let [height, width] = window.output(x.height, x.width).expect("the window fits");
        let unit = f64::from(1u32 << self.graph.shift) * magnitude(range) * 0.6 / self.scale(input);
        let by_count = self.rng.gen_bool(0.5);
        let taps = window.taps();
        let factor = |count: usize| (unit / if by_count { count.max(1) } else { taps } as f64).max(1.0) as i64;
        let multipliers = (0..=taps).map(factor).collect();
        self.push(Op::AveragePool { window, multipliers }, &[input], image(x.channels, height, width), range)
    }

    /// What brings products of this size into a range.
    fn rescale(&mut self, size: f64, range: (i64, i64)) -> Rescale {
        let limbs = self.rng.gen_range(1..=2u32);
        let unit = f64::from(1u32 << (self.graph.shift * limbs)) * magnitude(range) * 0.6;
        Rescale { multiplier: (unit / size).max(1.0) as i64, limbs }
    }

    pub(super) fn mat_mul(&mut self) -> TensorId {
        let left = self.pick();
        let same = self.rng.gen_bool(0.2);
        let right = if same { left } else { self.pick() };
        let blocks: Vec<usize> = (1..=8).filter(|n| self.len(left).is_multiple_of(*n)).collect();
        let fits = |blocks: &usize, right: usize| (self.len(left) / blocks) * right <= LARGEST;
        let wanted = |blocks: &usize| fits(blocks, (self.len(right) / blocks).max(1));
        let Some(blocks) = blocks.into_iter().rev().find(wanted) else { return self.multiply() };
        let columns = if self.rng.gen_bool(0.2) { 1 } else { (self.len(right) / blocks).max(1) };
        let right = if self.len(right) == blocks * columns { right } else { self.resized(right, blocks * columns) };
        let rows = self.len(left) / blocks;
        let left = self.reshaped(left, image(blocks, 1, rows));
        let right = self.reshaped(right, image(blocks, 1, columns));
        let heads: Vec<usize> =
            (1..=blocks).filter(|h| blocks.is_multiple_of(*h) && rows * h * columns <= LARGEST).collect();
        let heads = heads[self.rng.gen_range(0..heads.len())];
        let (per_head, range, head_minor) = (blocks / heads, self.range(), self.rng.gen_bool(0.5));
        // Of the blocks of a head, some may be other inferences'.
        let sharing = if self.rng.gen_bool(0.3) { (1..=4).rev().find(|n| per_head.is_multiple_of(*n)) } else { None };
        let inferences = sharing.filter(|n| rows * heads * n * columns <= LARGEST).unwrap_or(1);
        let inner = per_head / inferences;
        let size = self.scale(left) * self.scale(right) * (inner as f64).sqrt();
        let rescale = self.rescale(size, range);
        let some = columns > 1 && self.rng.gen_bool(0.4);
        let limit = i64::from(some) << (self.graph.shift * rescale.limbs + 3).min(30);
        let summands: Vec<i64> =
            (0..if some { rows * heads * columns } else { 0 }).map(|_| self.rng.gen_range(-limit..=limit)).collect();
        let width =
            (some && self.rng.gen_bool(0.5)).then(|| Width::of(&[Bounds::within(Bounds::of(&summands).magnitude())]));
        let product = MatMul { heads, inner, rows, columns, head_minor, inferences, rescale, summands, width };
        let products = product.products();
        self.push(Op::MatMul(product), &[left, right], image(rows * products, 1, columns), range)
    }

    pub(super) fn multiply(&mut self) -> TensorId {
        let a = self.pick_reshaped();
        let b = self.like(a);
        let (range, size) = (self.range(), self.scale(a) * self.scale(b));
        let rescale = self.rescale(size, range);
        self.push(Op::Multiply(rescale), &[a, b], self.of(a), range)
    }

    /// A tensor, and groups of at least two members.
    fn grouped(&mut self) -> (TensorId, usize, usize) {
        let input = self.pick_reshaped();
        let len = self.len(input);
        let members: Vec<usize> = (2..=len.max(2)).filter(|n| len.is_multiple_of(*n)).collect();
        // A tensor of one element is a group of one.
        let members = if members.is_empty() { 1 } else { members[self.rng.gen_range(0..members.len())] };
        (input, len / members, members)
    }

    pub(super) fn softmax(&mut self) -> TensorId {
        let (input, groups, len) = self.grouped();
        let format = self.format(input);
        let masks = self.rng.gen_bool(0.5);
        let mut masked: Vec<bool> = (0..if masks { groups * len } else { 0 }).map(|_| self.rng.gen_bool(0.3)).collect();
        // Every group keeps its last member.
        masked.iter_mut().skip(groups * (len - 1)).for_each(|m| *m = false);
        let range = [(0, 15), (0, 31)][self.rng.gen_range(0..2)];
        let (limbs, extra) = (self.rng.gen_range(1..=3u32), self.rng.gen_range(0..=2));
        let bits = (self.graph.shift * limbs + 5).min(30) - extra;
        let first = f64::from(1u32 << (bits / 2).min(9));
        let decay = self.scale(input) * self.rng.gen_range(0.5..2.0);
        let exp = |d: i64| match d {
            0 => first as i64,
            d => ((first * (-d as f64 / decay).exp()).round() as i64).min(first as i64 - 1),
        };
        let table = Activation::table(0, (0..=format.max - format.min).map(exp).collect());
        let exp = self.exponentials_by_lines(&table).unwrap_or(table);
        let rescale = Rescale { multiplier: 1 << extra, limbs };
        let softmax = Softmax { groups, len, masked, exp, bits, rescale };
        self.push(Op::Softmax(softmax), &[input], self.of(input), range)
    }

    /// Exponentials by straight lines, as near as they come; none where they would not fall from the first one on.
    fn exponentials_by_lines(&mut self, table: &Activation) -> Option<Activation> {
        let (low, scale) = (self.rng.gen_range(1..=3u32), self.rng.gen_range(1..=6));
        if !table.values.len().is_multiple_of(1 << low) || self.rng.gen_bool(0.3) {
            return None;
        }
        let value = |d: f64| table.values[d as usize] as f64;
        let exp = lines_of(0, [low, scale], table.values.len() >> low, value);
        let first = exp.values[0];
        exp.values[1..].iter().all(|e| (0..first).contains(e)).then_some(exp)
    }

    pub(super) fn normalise(&mut self) -> TensorId {
        let (input, groups, len) = self.grouped();
        let (range, limbs) = (self.range(), self.rng.gen_range(2..=3u32));
        let bits = self.graph.shift * limbs + magnitude(range).log2() as u32 - 1;
        let rescale = Rescale { multiplier: self.rng.gen_range(1..=2), limbs };
        let (centred, epsilon) = (self.rng.gen_bool(0.5), self.rng.gen_range(1..=20));
        let normalise = Normalise { groups, len, centred, epsilon, bits, rescale };
        self.push(Op::Normalise(normalise), &[input], self.of(input), range)
    }

    pub(super) fn arg_max(&mut self) -> TensorId {
        let mut input = self.pick();
        if self.len(input) < 2 {
            input = self.resized(input, 4);
        }
        let (x, last) = (self.of(input), self.rng.gen_bool(0.5));
        let (area, len) = (x.height * x.width, x.len());
        let (starts, stride, count) = match self.rng.gen_range(0..3) {
            0 if x.channels > 1 => ((0..area as u32).collect(), area, x.channels),
            1 if x.width > 1 => ((0..(len / x.width) as u32).map(|row| row * x.width as u32).collect(), 1, x.width),
            _ => {
                let stride = self.rng.gen_range(1..=(len - 1).min(3));
                let count = self.rng.gen_range(2..=(len - 1) / stride + 1);
                let reach = (count - 1) * stride;
                let many = self.rng.gen_range(1..=4);
                let starts: Vec<u32> = (0..many).map(|_| self.rng.gen_range(0..len - reach) as u32).collect();
                (starts, stride, count)
            }
        };
        let shape = self.shape_of(starts.len());
        let op = Op::ArgMax { starts, stride, count, last };
        self.push(op, &[input], shape, (0, count as i64 - 1))
    }
}

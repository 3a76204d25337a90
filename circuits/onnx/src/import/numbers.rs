//! Constants that are paired with the elements of a stored tensor.

use super::view::View;

/// A number for each element of a stored tensor, in its order.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    pub(super) values: Vec<f32>,
    /// One for each channel, where they do not vary within one: learned ones by where they come from, others by what
    /// they are.
    pub(super) by_channel: Option<Vec<f32>>,
    pub(super) learned: bool,
}

impl Numbers {
    /// A constant broadcast to the elements of a view whose tensor has channels of `area` elements.
    pub(super) fn stored(view: &View, (dims, constant): (&[usize], &[f32]), learned: bool, area: usize) -> Self {
        let mut sources = vec![0; view.len()];
        let offsets = View::row_major(0, dims).broadcast_offsets(&view.dims);
        view.offsets().into_iter().zip(offsets).for_each(|(place, source)| sources[place] = source);
        let same = |a: usize, b: usize| if learned { a == b } else { constant[a] == constant[b] };
        let channel = |sources: &[usize]| sources.iter().all(|s| same(*s, sources[0])).then(|| constant[sources[0]]);
        let by_channel = sources.chunks(area.max(1)).map(channel).collect();
        Self { values: sources.iter().map(|source| constant[*source]).collect(), by_channel, learned }
    }

    /// The same number, a constant of the architecture, for so many elements in channels of `area`.
    pub(super) fn uniform(value: f32, elements: usize, area: usize) -> Self {
        let by_channel = Some(vec![value; elements / area.max(1)]);
        Self { values: vec![value; elements], by_channel, learned: false }
    }

    /// Each number changed in the same way.
    pub(super) fn map(&self, change: impl Fn(f32) -> f32) -> Self {
        let of = |values: &[f32]| values.iter().map(|value| change(*value)).collect::<Vec<f32>>();
        Self { values: of(&self.values), by_channel: self.by_channel.as_deref().map(of), learned: self.learned }
    }

    /// What each number is more than another one.
    pub(super) fn less(&self, other: &Self) -> Self {
        let of = |own: &[f32], other: &[f32]| own.iter().zip(other).map(|(a, b)| a - b).collect::<Vec<f32>>();
        let by_channel = self.by_channel.as_deref().zip(other.by_channel.as_deref());
        Self {
            values: of(&self.values, &other.values),
            by_channel: by_channel.map(|(own, other)| of(own, other)),
            learned: self.learned || other.learned,
        }
    }

    /// The one number that all are, where it is a constant of the architecture.
    pub(super) fn constant(&self) -> Option<f32> {
        let first = *self.values.first()?;
        (!self.learned && self.values.iter().all(|value| *value == first)).then_some(first)
    }
}

//! Where the elements of several inferences stand in a tensor that they share.

use serde::{Deserialize, Serialize};

/// Elements of several inferences in turn: `run` neighbours of each, then the next `run` of each, and so on.
///
/// ```
/// use zkml_gpu_graph::Interleaving;
///
/// let pairs = Interleaving { inferences: 3, run: 2 };
/// assert_eq!(pairs.place(0, 1), 2);
/// assert_eq!(pairs.place(5, 2), 17);
/// assert_eq!(pairs.element(17), (5, 2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Interleaving {
    /// How many inferences.
    pub inferences: usize,
    /// Elements of one that stand together.
    pub run: usize,
}

impl Interleaving {
    /// One inference.
    pub const NONE: Self = Self { inferences: 1, run: 1 };

    /// Where an element of an inference stands.
    pub const fn place(&self, element: usize, inference: usize) -> usize {
        (element / self.run * self.inferences + inference) * self.run + element % self.run
    }

    /// Which element stands at a place, and of which inference.
    pub const fn element(&self, place: usize) -> (usize, usize) {
        let turn = place / self.run;
        (turn / self.inferences * self.run + place % self.run, turn % self.inferences)
    }

    /// Places that inferences of so many elements take; `None` where these are no whole number of runs.
    pub(crate) fn places(&self, elements: usize) -> Option<usize> {
        let whole = self.run > 0 && self.inferences > 0 && elements.is_multiple_of(self.run);
        whole.then(|| elements.checked_mul(self.inferences))?
    }
}

//! What of an inference is cleared when it is dropped.

use zkml_gpu_engine::secret::{wipe_elements, wipe_integers};
use zkml_gpu_graph::Execution;

use crate::trace::FirstPhase;

/// Values that are cleared when they are dropped, on every way out.
pub(crate) struct Cleared<T: Clear>(pub(crate) T);

impl<T: Clear> Drop for Cleared<T> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// What can be overwritten with zeros.
pub(crate) trait Clear {
    fn clear(&mut self);
}

impl Clear for Execution {
    fn clear(&mut self) {
        self.values.iter_mut().chain(&mut self.accumulators).for_each(|values| wipe_integers(values));
    }
}

impl Clear for Vec<Vec<i64>> {
    fn clear(&mut self) {
        self.iter_mut().for_each(|values| wipe_integers(values));
    }
}

impl Clear for FirstPhase {
    fn clear(&mut self) {
        self.columns.iter_mut().for_each(|column| wipe_integers(column));
        self.products.iter_mut().chain(&mut self.hashes).for_each(|column| wipe_elements(column));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_is_cleared_whole() {
        let mut execution = Execution { values: vec![vec![1, -2], vec![3]], accumulators: vec![vec![4]] };
        execution.clear();
        assert_eq!(execution, Execution { values: vec![vec![0, 0], vec![0]], accumulators: vec![vec![0]] });
    }
}

//! Buffers that tasks use one after the other.

use std::sync::{Mutex, PoisonError};

/// As many values as were ever in use at once.
#[derive(Debug, Default)]
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T: Default> Pool<T> {
    /// Works with a value that nobody else uses, in the state in which it was left.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = lock().pop();
        let mut value = spare.unwrap_or_default();
        let result = work(&mut value);
        lock().push(value);
        result
    }
}

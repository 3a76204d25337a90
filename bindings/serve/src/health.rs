//! Whether the server can do what it is for.

use std::sync::atomic::{AtomicBool, Ordering};

/// What is known of it.
#[derive(Debug, Default)]
pub(crate) struct Health {
    stopping: AtomicBool,
    no_storage: AtomicBool,
}

impl Health {
    /// It takes no more requests.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the disk took what was last written.
    pub(crate) fn storage(&self, works: bool) {
        self.no_storage.store(!works, Ordering::Relaxed);
    }

    /// In a word: `ok`, `no_storage` or `stopping`.
    pub(crate) fn word(&self) -> &'static str {
        match (self.stopping.load(Ordering::Relaxed), self.no_storage.load(Ordering::Relaxed)) {
            (true, _) => "stopping",
            (false, true) => "no_storage",
            (false, false) => "ok",
        }
    }
}

//! Where Python's calls become the library's work: without Python's lock, on a thread of the pool, and no panic comes
//! back.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::prelude::*;

use crate::error::Failure;
use crate::progress::{self, Sink};

/// The process that started the pool's threads; 0 before.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// Does work for Python: other threads of Python run meanwhile, and `progress` is called with each step.
///
/// # Errors
/// The work's failure, a panic of it, or what the callback raised, as exceptions.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> PyResult<T> {
    check_process()?;
    let sink = progress.map(Sink::new);
    let result = py.detach(|| {
        // On a thread of the pool, where parallel steps begin without waking it, and where the library's own spans are
        // told to this call's callback.
        rayon::scope(|_| {
            progress::with(sink.as_ref(), || {
                // What the work has changed is dropped with it, or is behind locks that a panic poisons.
                catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(Failure::panic(words(&*panic))))
            })
        })
    });
    match sink.and_then(|sink| sink.raised()) {
        Some(raised) => Err(raised),
        None => Ok(result?),
    }
}

/// Refuses a process that was forked from one whose pool had started: the threads are the parent's, and work for them
/// would wait forever.
pub(crate) fn check_process() -> Result<(), Failure> {
    let own = std::process::id();
    match OWNER.compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed) {
        Err(owner) if owner != own => Err(Failure::new(
            "ForkError",
            "fork",
            "this process was forked from one that had used zkml_gpu, and its threads did not come along\n\
             hint: multiprocessing.get_context(\"spawn\"), or use zkml_gpu in the child only"
                .into(),
        )),
        _ => Ok(()),
    }
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

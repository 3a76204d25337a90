//! Compilations that run beside everything else, on threads of their own: proofs keep the pool of threads to themselves.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

type Job = Box<dyn FnOnce() + Send>;

/// What waits for a thread.
struct Queue {
    state: Mutex<State>,
    /// A thread has ended.
    ended: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    /// Whether the process ends, and whether that is known to be noticed.
    closed: bool,
    watched: bool,
}

static QUEUE: Queue = Queue {
    state: Mutex::new(State { jobs: VecDeque::new(), threads: 0, closed: false, watched: false }),
    ended: Condvar::new(),
};

/// Threads at most: half of the processor's.
fn most_threads() -> usize {
    thread::available_parallelism().map_or(1, |threads| threads.get().div_ceil(2))
}

/// Does something once a thread is free. What has not begun when the process ends is dropped; the end waits for what has.
pub(super) fn start(job: impl FnOnce() + Send + 'static) {
    let mut state = QUEUE.state.lock().unwrap_or_else(PoisonError::into_inner);
    if state.closed {
        return;
    }
    if !std::mem::replace(&mut state.watched, true) {
        watch_end();
    }
    state.jobs.push_back(Box::new(job));
    if state.threads < most_threads() && thread::Builder::new().name("zkml-compile".to_owned()).spawn(work).is_ok() {
        state.threads += 1;
    }
}

fn work() {
    let mut state = QUEUE.state.lock().unwrap_or_else(PoisonError::into_inner);
    while let Some(job) = state.jobs.pop_front() {
        drop(state);
        job();
        state = QUEUE.state.lock().unwrap_or_else(PoisonError::into_inner);
    }
    state.threads -= 1;
    QUEUE.ended.notify_all();
}

/// Lets the end of the process wait. A library's own end must not come while a thread is in it: the compiler is loaded
/// by now, so what is registered here comes before.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn watch_end() {
    // SAFETY: the function takes nothing, is there for as long as the program, and does not unwind.
    let _ = unsafe { libc::atexit(end) };
}

/// Elsewhere the system ends all threads before libraries.
#[cfg(not(target_os = "linux"))]
fn watch_end() {}

#[cfg(target_os = "linux")]
extern "C" fn end() {
    let mut state = QUEUE.state.lock().unwrap_or_else(PoisonError::into_inner);
    state.closed = true;
    state.jobs.clear();
    while state.threads > 0 {
        state = QUEUE.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

//! Why a module trapped, and the memory that it took.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use wasm_bindgen::prelude::wasm_bindgen;

/// The words of a panic.
static PANIC: Mutex<String> = Mutex::new(String::new());
/// Whether memory was refused.
static REFUSED: AtomicBool = AtomicBool::new(false);
/// The most bytes that were in use at a time.
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[cfg(target_family = "wasm")]
mod counting {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{PEAK, REFUSED};

    /// Bytes that are in use.
    static USED: AtomicUsize = AtomicUsize::new(0);

    /// The system's allocator, which counts, and remembers that memory was refused: what follows a refusal is a trap, which
    /// says nothing of its cause.
    struct Counting;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    fn taken(block: *mut u8, bytes: usize) -> *mut u8 {
        if block.is_null() {
            REFUSED.store(true, Ordering::Relaxed);
        } else {
            let used = USED.fetch_add(bytes, Ordering::Relaxed) + bytes;
            PEAK.fetch_max(used, Ordering::Relaxed);
        }
        block
    }

    // SAFETY: every call is handed on to the system's allocator as it came.
    #[allow(unsafe_code)]
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's contract is the system's.
            taken(unsafe { System.alloc(layout) }, layout.size())
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            // SAFETY: as above.
            taken(unsafe { System.alloc_zeroed(layout) }, layout.size())
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            USED.fetch_sub(layout.size(), Ordering::Relaxed);
            // SAFETY: as above.
            unsafe { System.dealloc(block, layout) }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // SAFETY: as above.
            let moved = taken(unsafe { System.realloc(block, layout, size) }, size);
            if !moved.is_null() {
                USED.fetch_sub(layout.size(), Ordering::Relaxed);
            }
            moved
        }
    }
}

/// To be called once, before anything else: from then on [`fault`] has the words of a panic.
#[wasm_bindgen]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| {
        if let Ok(mut words) = PANIC.try_lock() {
            *words = panic.to_string();
        }
    }));
}

/// Why the module trapped: `memory` where memory was refused, else the words of a panic; empty where neither is known.
#[wasm_bindgen]
pub fn fault() -> String {
    if REFUSED.load(Ordering::Relaxed) {
        return "memory".into();
    }
    PANIC.try_lock().map(|words| words.clone()).unwrap_or_default()
}

/// The most bytes that were allocated at a time.
#[wasm_bindgen]
pub fn peak_bytes() -> f64 {
    PEAK.load(Ordering::Relaxed) as f64
}

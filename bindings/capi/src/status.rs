//! What functions return, and the words for what went wrong.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use zkml_gpu::engine::BackendError;
use zkml_gpu::{Error, ErrorClass, FileError};

/// What a function did: the exit codes of the command line.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is done; a proof is accepted.
    Ok = 0,
    /// The proof does not hold: it shows nothing.
    Rejected = 1,
    /// An argument or a file is wrong.
    BadInput = 2,
    /// An operator or a device is not supported, or a device failed.
    Unsupported = 3,
    /// The machine is too small, or the model too large.
    WouldNotFit = 4,
    /// A promise of the library was broken, or it panicked: please report it. Objects of the call should be freed.
    Bug = 70,
}

/// What went wrong.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) words: String,
}

impl Failure {
    pub(crate) fn bad_input(problem: impl Into<String>) -> Self {
        Self { status: Status::BadInput, words: problem.into() }
    }
}

const fn of_class(class: ErrorClass) -> Status {
    match class {
        ErrorClass::BadInput => Status::BadInput,
        ErrorClass::Unsupported => Status::Unsupported,
        ErrorClass::WouldNotFit => Status::WouldNotFit,
        ErrorClass::Bug => Status::Bug,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { status: of_class(error.class()), words: error.to_string() }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Error::from(error).into()
    }
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        // What callers give is checked before: what is left is the device's.
        Self { status: Status::Unsupported, words: error.to_string() }
    }
}

thread_local! {
    /// The words of this thread's last failure.
    static LAST: RefCell<CString> = RefCell::new(CString::default());
}

/// Does the work of a function: its failure is told, and a panic is one.
pub(crate) fn guarded(work: impl FnOnce() -> Result<(), Failure>) -> Status {
    // What the work has changed is behind locks that a panic poisons, or the caller's to be written.
    let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word");
        Err(Failure { status: Status::Bug, words: format!("panicked: {words}\nhint: this is a bug; please report it") })
    });
    match result {
        Ok(()) => Status::Ok,
        Err(Failure { status, words }) => {
            let words = CString::new(words.replace('\0', "\u{fffd}")).unwrap_or_default();
            // Where the thread ends already, nobody asks any more.
            let _ = LAST.try_with(|last| *last.borrow_mut() = words);
            status
        }
    }
}

/// The words of the last failure of this thread, UTF-8, a line that begins with `hint:` at the end where something
/// can be done; empty before any. They are there until the thread's next failure.
#[unsafe(no_mangle)]
pub extern "C" fn zkml_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// The library's version, such as `0.1.0`.
#[unsafe(no_mangle)]
pub extern "C" fn zkml_version() -> *const c_char {
    // A constant has no zero inside.
    const { concat!(env!("CARGO_PKG_VERSION"), "\0") }.as_ptr().cast()
}

/// Panics in the place of work: what tests of the boundary call.
#[unsafe(no_mangle)]
#[expect(clippy::panic, reason = "it is what the function is for")]
pub extern "C" fn zkml_panic_for_tests() -> Status {
    guarded(|| panic!("with words"))
}

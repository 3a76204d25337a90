//! How the programs of this project end.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | proof made or accepted, or what was asked for printed |
//! | 1 | proof rejected |
//! | 2 | bad arguments or input |
//! | 3 | unsupported operator or device |
//! | 4 | would not fit |
//! | 70 | a bug of ours |

use std::io::Write as _;
use std::panic::UnwindSafe;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use crate::ErrorClass;

/// Writes a line to stderr. Where nobody reads that, nothing can be done, and it is no bug.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Runs a program of this version, to the code that it ends with. A panic that nothing catches is told as a bug.
pub fn run(name: &str, version: &str, body: impl FnOnce() -> u8 + UnwindSafe) -> ExitCode {
    // Kept until it is known to be a bug: the model reader panics on some bad files, and the import makes errors of
    // that.
    let last_panic = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&last_panic);
    std::panic::set_hook(Box::new(move |panic| {
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
    let code = std::panic::catch_unwind(body).unwrap_or_else(|_| {
        let panic = last_panic.lock().unwrap_or_else(PoisonError::into_inner).clone();
        tell(&format!("{name} {version} failed: {panic}"));
        tell("sorry: this is a bug of ours; please report it with these lines and the command that you ran");
        ErrorClass::Bug.exit_code()
    });
    ExitCode::from(code)
}

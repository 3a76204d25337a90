//! Calls of tract, which panics on some models.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tract_onnx::prelude::TractError;

/// Runs a part of tract that panics, rather than failing, on some invalid models: axes beyond the rank (`ReduceMean`,
/// `Flatten`), a kernel of another rank than its operand (`Conv`), indices out of range (`Gather`). Checks of ours
/// would have to know all of its operators. A panic becomes its message; what the program's panic hook does is the
/// program's choice.
pub(super) fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    // Nothing that the closure touches is used after a panic.
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        format!("its analysis ended with: {}", text.lines().next().unwrap_or_default())
    })
}

/// An error and its causes in one line.
pub(super) fn chain(error: &TractError) -> String {
    error.chain().map(|e| e.to_string().replace('\n', " ")).collect::<Vec<_>>().join(": ")
}

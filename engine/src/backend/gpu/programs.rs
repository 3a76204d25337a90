//! The two ways in which a GPU runs expression programs.

/// How a GPU runs expression programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Programs {
    /// By kernels generated from them.
    Generated,
    /// By one kernel that interprets them.
    Interpreted,
}

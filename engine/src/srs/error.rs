//! Why a structured reference string was refused.

use std::path::PathBuf;

use zkml_gpu_files::container::ContainerError;

/// A failure to make or read a structured reference string.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SrsError {
    /// The file cannot be opened or read.
    #[error("{}: {source}\nhint: --srs takes a .ptau file of snarkjs, a KZG parameters file of Halo2, or what `srs import` wrote", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// The file is neither a `.ptau` file nor Halo2 parameters nor one of ours.
    #[error(
        "{}: not a structured reference string: {problem}\nhint: a .ptau file starts with the letters 'ptau', one of srs import \
         with 'zkmlgpuS'; Halo2 parameters are 4 bytes of k, then 2·2^k points of G1 and two of G2, and nothing else",
        path.display()
    )]
    Unrecognised {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A header or section says one thing and the file another.
    #[error("{}: {place}: expected {expected}, got {got}\nhint: {hint}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        place: &'static str,
        /// What was found.
        got: String,
        /// What belongs there.
        expected: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// A file of ours is damaged, or of another version.
    #[error("{}: {source}\nhint: fetch the file again, or make it anew with `srs import`", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ContainerError,
    },
    /// The file holds fewer powers than the circuit needs.
    #[error("{}: holds 2^{found} powers, but the circuit needs 2^{needed}\nhint: use the output of a ceremony of power {needed} or more", path.display())]
    TooSmall {
        /// The file.
        path: PathBuf,
        /// The file's power.
        found: u32,
        /// The power asked for.
        needed: u32,
    },
    /// A point is not on the curve, not canonical, the identity or outside the group.
    #[error("{}: {place}: point {index} is not a valid point\nhint: the file is damaged or was tampered with; fetch it again and compare its hash", path.display())]
    Point {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        place: &'static str,
        /// Which point, from 0.
        index: usize,
    },
    /// The points are on the curve, but are not the powers of one secret.
    #[error("{}: {problem}\nhint: {hint}", path.display())]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// Which equation fails.
        problem: &'static str,
        /// What to do about it.
        hint: &'static str,
    },
    /// Parts of a reference string that do not fit together.
    #[error("2^{k} powers were expected, got {powers} powers and {lagrange} Lagrange points")]
    Parts {
        /// The size asked for.
        k: u32,
        /// Number of powers.
        powers: usize,
        /// Number of Lagrange points.
        lagrange: usize,
    },
    /// No domain of this size exists in the scalar field.
    #[error("a reference string of 2^{k} powers does not exist\nhint: BN254 allows k from 1 to 28")]
    UnsupportedSize {
        /// The size asked for.
        k: u32,
    },
}

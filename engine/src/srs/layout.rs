//! Where a file has what, by its header: all that is read of a file before its points.

use halo2curves::bn256::{Fr, G2Affine};

use super::source::{At, Form, Run, Source};
use super::{MAX_K, SrsError, container, params, ptau};
use crate::backend::root_of_unity;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// `.ptau`, of snarkjs.
    Ptau,
    /// Parameters of Halo2.
    Halo2,
    /// A file of this program: checked, prepared, and with the mark of a development string.
    Ours,
}

/// Which root of unity counts the rows of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Halo2's.
    Natural,
    /// That of snarkjs: the same points in another order.
    Snarkjs,
}

impl Order {
    /// The generator of the domain of size 2^k.
    pub(super) fn root(self, k: u32) -> Result<Fr, SrsError> {
        match self {
            Self::Natural => root_of_unity(k).ok_or(SrsError::UnsupportedSize { k }),
            Self::Snarkjs => Ok(ptau::root(k)),
        }
    }
}

/// The Lagrange points of one domain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Domain {
    pub(super) k: u32,
    pub(super) run: Run,
    pub(super) order: Order,
}

/// Where a file has its points, and what else its header says.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) kind: FileKind,
    pub(super) k: u32,
    pub(super) insecure: bool,
    pub(super) contributions: Option<u32>,
    /// All powers of G1: 2^k, and of `.ptau` files nearly twice as many.
    pub(super) powers: Run,
    /// The domains that there are Lagrange points of.
    pub(super) domains: Vec<Domain>,
    /// The generator of G2 and `[s]G2`.
    pub(super) g2: (At, Form, &'static str),
}

impl Layout {
    pub(super) fn of(source: &mut Source) -> Result<Self, SrsError> {
        if source.starts_with(ptau::MAGIC)? {
            ptau::layout(source)
        } else if source.starts_with(&container::KIND.magic)? {
            container::layout(source)
        } else {
            params::layout(source)
        }
    }

    /// The Lagrange points of the domain of size 2^k, where the file has them.
    pub(super) fn domain(&self, k: u32) -> Option<&Domain> {
        self.domains.iter().find(|domain| domain.k == k)
    }

    /// The generator of G2 and `[s]G2`.
    pub(super) fn g2(&self, source: &mut Source) -> Result<[G2Affine; 2], SrsError> {
        let (at, form, place) = self.g2;
        source.g2(at, form, place)
    }

    /// Whether `k` can be the power of a file.
    pub(super) fn is_power(k: u32) -> bool {
        (1..=MAX_K).contains(&k)
    }
}

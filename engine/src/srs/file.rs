//! Files of reference strings: what they say of themselves, whether all of it is true, and the part that is proved
//! with.

use std::path::Path;

use halo2curves::bn256::{Fr, G1Affine};
use rand_core::OsRng;

use super::check::{LagrangePoints, Powers, challenge, secret};
use super::layout::{Domain, FileKind, Layout, Order};
use super::source::{Run, Source};
use super::{Identity, Origin, Points, SrsError, ptau};

/// How far reading is, in points of G1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Points that were read.
    pub done: u64,
    /// All that will be.
    pub total: u64,
}

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileInfo {
    /// What the file is.
    pub kind: FileKind,
    /// Binary logarithm of the number of powers that it offers.
    pub k: u32,
    /// Whether it has the Lagrange points of all these powers, which otherwise are computed whenever it is read.
    pub prepared: bool,
    /// The name of its reference string.
    pub identity: Identity,
    /// How many have contributed to the secret, where the file says so.
    pub contributions: Option<u32>,
    /// Whether it has the mark of a secret that was drawn on one machine. A file without it may be one all the same.
    pub insecure: bool,
}

impl FileInfo {
    fn of(layout: &Layout, identity: Identity) -> Self {
        let Layout { kind, k, insecure, contributions, .. } = *layout;
        Self { kind, k, prepared: layout.domain(k).is_some(), identity, contributions, insecure }
    }
}

/// What a file says of itself, by its header and its points of G2. Its other points are not read.
///
/// # Errors
/// [`SrsError`] for a file that is no reference string, or whose header is damaged.
pub fn inspect(path: impl AsRef<Path>) -> Result<FileInfo, SrsError> {
    let mut source = Source::open(path.as_ref())?;
    let layout = Layout::of(&mut source)?;
    let g2 = layout.g2(&mut source)?;
    secret(source.path(), g2)?;
    Ok(FileInfo::of(&layout, Identity::of(&g2[1])))
}

/// Checks a whole file: every power of G1, `[s]G2`, and the Lagrange points of every domain that it has them of. What
/// KZG does not use (of `.ptau` files the higher powers of G2 and the points for Groth16) is not looked at. Memory is
/// bounded whatever the file's size.
///
/// # Errors
/// Every [`SrsError`].
pub fn check(path: impl AsRef<Path>, progress: impl FnMut(Progress)) -> Result<FileInfo, SrsError> {
    check_source(&mut Source::open(path.as_ref())?, progress)
}

pub(super) fn check_source(source: &mut Source, progress: impl FnMut(Progress)) -> Result<FileInfo, SrsError> {
    let layout = Layout::of(source)?;
    let g2 = layout.g2(source)?;
    secret(source.path(), g2)?;
    let mut reader = Reader::new(source, progress);
    reader.total = layout.powers.count + layout.domains.iter().map(|domain| domain.run.count).sum::<u64>();
    let powers = reader.powers(&layout.powers, count(layout.powers.count)?, |_| ())?;
    powers.check(reader.source.path(), g2)?;
    for domain in &layout.domains {
        reader.lagrange(domain, &powers, |_| ())?;
    }
    Ok(FileInfo::of(&layout, Identity::of(&g2[1])))
}

/// The part of a file that a circuit of 2^k rows needs, checked.
pub(super) fn read(source: &mut Source, k: u32, progress: impl FnMut(Progress)) -> Result<(Points, Origin), SrsError> {
    let layout = Layout::of(source)?;
    if layout.k < k {
        return Err(SrsError::TooSmall { path: source.path().into(), found: layout.k, needed: k });
    }
    let domain = layout.domain(k).copied();
    let [g2, s_g2] = layout.g2(source)?;
    secret(source.path(), [g2, s_g2])?;
    let n = 1usize << k;
    let mut reader = Reader::new(source, progress);
    reader.total = (n + domain.map_or(0, |_| n)) as u64;
    let mut g = Vec::with_capacity(n);
    let powers = reader.powers(&layout.powers, n, |points| g.extend_from_slice(points))?;
    powers.check(reader.source.path(), [g2, s_g2])?;
    let mut lagrange = None;
    if let Some(domain) = domain {
        let mut points = Vec::with_capacity(n);
        reader.lagrange(&domain, &powers, |piece| points.extend_from_slice(piece))?;
        lagrange = Some(match domain.order {
            Order::Natural => points,
            Order::Snarkjs => ptau::reorder(points, k)?,
        });
    }
    Ok((Points { g, lagrange, g2, s_g2 }, Origin::of(layout.insecure)))
}

/// Numbers of points are below 2^30: a `usize` where there is memory for anything.
fn count(points: u64) -> Result<usize, SrsError> {
    usize::try_from(points).map_err(|_| SrsError::UnsupportedSize { k: points.ilog2() })
}

/// Reads points and checks them as they come.
struct Reader<'a, F> {
    source: &'a mut Source,
    z: Fr,
    progress: F,
    done: u64,
    total: u64,
}

impl<'a, F: FnMut(Progress)> Reader<'a, F> {
    fn new(source: &'a mut Source, progress: F) -> Self {
        Self { source, z: challenge(OsRng), progress, done: 0, total: 0 }
    }

    /// The first `count` powers of a run.
    fn powers(&mut self, run: &Run, count: usize, mut take: impl FnMut(&[G1Affine])) -> Result<Powers, SrsError> {
        let mut powers = Powers::new(self.z);
        self.points(run, count, |points| {
            powers.add(points);
            take(points);
        })?;
        Ok(powers)
    }

    /// The Lagrange points of a domain, against the powers.
    fn lagrange(
        &mut self,
        domain: &Domain,
        powers: &Powers,
        mut take: impl FnMut(&[G1Affine]),
    ) -> Result<(), SrsError> {
        let mut sum = LagrangePoints::new(self.z, domain.k, domain.order.root(domain.k)?);
        self.points(&domain.run, 1 << domain.k, |points| {
            sum.add(points);
            take(points);
        })?;
        sum.check(self.source.path(), powers)
    }

    fn points(&mut self, run: &Run, count: usize, mut take: impl FnMut(&[G1Affine])) -> Result<(), SrsError> {
        let Self { source, progress, done, total, .. } = self;
        source.g1_chunks(run, count, |points| {
            take(points);
            *done += points.len() as u64;
            progress(Progress { done: *done, total: *total });
            Ok(())
        })
    }
}

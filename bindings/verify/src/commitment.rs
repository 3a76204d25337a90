//! Commitments to tensors, in files of their own: what proofs of several models refer to.
//!
//! A commitment is to integers, in circuits of one size, by one reference string; beside its points the file says what
//! the integers mean. Whoever compares it with a proof's compares both.

use std::path::Path;

use halo2curves::bn256::G1Affine;
use serde::{Deserialize, Serialize};
use zkml_gpu_circuit::keys::{VerifyingKeys, point_from_hex, point_to_hex};
use zkml_gpu_circuit::system::{Placement, Port};
use zkml_gpu_graph::{Format, Storage, Visibility};

use crate::Error;
use crate::bundle::{is_power_of_two, power_of_two};
use crate::files::read_bounded;

/// Value of [`TensorCommitment::format`].
const FORMAT: &str = "zkml-gpu commitment";
/// Value of [`TensorCommitment::version`].
const VERSION: u32 = 1;
/// Largest file that is read: some thousand points.
const MAX_BYTES: u64 = 1 << 20;
const HINT: &str =
    "commitments are written by `zkml-gpu commit` and `prove`; fetch it again from whoever owns the tensor";

/// A commitment to a tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorCommitment {
    /// Always `zkml-gpu commitment`.
    pub format: String,
    /// Version of the format.
    pub version: u32,
    /// Shape in the model.
    pub shape: Vec<usize>,
    /// Fractional bits of the integers: `real = value · mantissa · 2^-frac_bits`.
    pub frac_bits: i32,
    /// What their scale is beside a power of two; 1 where it is not written.
    #[serde(default = "power_of_two", skip_serializing_if = "is_power_of_two")]
    pub mantissa: u32,
    /// Order in which the integers are stored: `plain`, in the order of the model's axes; `transposed`, the last axis
    /// first; `one-hot`, one channel for each index; `interleaved-N`, element by element those of `N` inferences in turn,
    /// each inference in the order of its axes, or with `-transposed` the last of them first.
    pub order: String,
    /// log2 of the rows of the circuits that it is for.
    pub k: u32,
    /// Identity of the reference string.
    pub srs: String,
    /// The points, compressed, in lower-case hexadecimal: one a column.
    pub points: Vec<String>,
}

/// The name of an order.
fn order(storage: Storage) -> String {
    match storage {
        Storage::Plain => "plain".into(),
        Storage::Transposed => "transposed".into(),
        Storage::OneHot => "one-hot".into(),
        Storage::Interleaved { inferences, transposed: false } => format!("interleaved-{inferences}"),
        Storage::Interleaved { inferences, transposed: true } => format!("interleaved-{inferences}-transposed"),
    }
}

impl TensorCommitment {
    /// The commitment to a tensor of a statement by these points.
    pub fn new(keys: &VerifyingKeys, port: &Port, points: &[G1Affine]) -> Self {
        Self {
            format: FORMAT.into(),
            version: VERSION,
            shape: port.logical_shape.clone(),
            frac_bits: port.format.frac_bits,
            mantissa: port.format.mantissa,
            order: order(port.storage),
            k: keys.k(),
            srs: keys.srs_identity(),
            points: points.iter().map(point_to_hex).collect(),
        }
    }

    /// Reads a commitment's file.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::FileSize`] and [`Error::Artifact`] where the file is none.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::from_json(&read_bounded(path, MAX_BYTES)?, &path.display().to_string())
    }

    /// Whether a file says of itself that it is a commitment, in whatever version.
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::FileSize`] where it cannot be read.
    pub fn is_one(path: impl AsRef<Path>) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Own {
            format: String,
        }
        let bytes = match read_bounded(path.as_ref(), MAX_BYTES) {
            // Larger than any commitment.
            Err(Error::FileSize { .. }) => return Ok(false),
            bytes => bytes?,
        };
        Ok(serde_json::from_slice(&bytes).is_ok_and(|own: Own| own.format == FORMAT))
    }

    /// As [`read`](Self::read), from memory; `file` stands for the file in messages.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_json(bytes: &[u8], file: &str) -> Result<Self, Error> {
        let fail = |problem| Error::Artifact { file: file.into(), problem, hint: HINT };
        let this: Self = serde_json::from_slice(bytes).map_err(|error| fail(format!("not a commitment: {error}")))?;
        if this.format != FORMAT || this.version != VERSION {
            let found = format!("format {:?} version {}", this.format, this.version);
            return Err(fail(format!("{found}, this program reads {FORMAT:?} version {VERSION}")));
        }
        match this.points() {
            Some(points) if !points.is_empty() => Ok(this),
            _ => Err(fail("its points are none, or not in their canonical encoding".into())),
        }
    }

    /// The file's text.
    ///
    /// # Errors
    /// [`Error::Internal`], if it has no JSON after all.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        let mut text = serde_json::to_vec(self).map_err(|error| Error::Internal(format!("a commitment: {error}")))?;
        text.push(b'\n');
        Ok(text)
    }

    /// The points; none where one is not in its canonical encoding.
    pub fn points(&self) -> Option<Vec<G1Affine>> {
        points(&self.points)
    }

    /// What 1 stands for among the integers, in words.
    pub fn scale_text(&self) -> String {
        self.scale().scale_text()
    }

    /// The integers' scale, whatever their range.
    const fn scale(&self) -> Format {
        Format { frac_bits: self.frac_bits, mantissa: self.mantissa, min: 0, max: 0 }
    }

    /// Whether it can be the commitment to this tensor of a statement, whatever its points.
    ///
    /// # Errors
    /// What of it is another.
    pub fn fits(&self, keys: &VerifyingKeys, port: &Port) -> Result<(), String> {
        let other = |what: &str, got: String, expected: String| {
            Err(format!("the commitment is of {what} {got}, but '{}' has {expected}", port.name))
        };
        match port.placement {
            Placement::Committed { .. } => {}
            Placement::Packed { .. } | Placement::Column { .. } | Placement::Private | Placement::Hashed { .. } => {
                return Err(format!("'{}' is {}, not committed", port.name, port.visibility().name()));
            }
        }
        if self.k != keys.k() {
            return other("circuits with k =", self.k.to_string(), format!("k = {}", keys.k()));
        }
        if self.srs != keys.srs_identity() {
            return other("the reference string", self.srs.clone(), keys.srs_identity());
        }
        if self.shape != port.logical_shape {
            return other("shape", format!("{:?}", self.shape), format!("{:?}", port.logical_shape));
        }
        if !self.scale().has_scale_of(&port.format) {
            return other("integers times", self.scale_text(), port.format.scale_text());
        }
        if self.order != order(port.storage) {
            return other("order", self.order.clone(), order(port.storage));
        }
        if self.points.len() != port.committed_columns() {
            return other("columns", self.points.len().to_string(), port.committed_columns().to_string());
        }
        Ok(())
    }
}

/// Points from their hexadecimal encodings; none where one is not canonical.
pub(crate) fn points(texts: &[String]) -> Option<Vec<G1Affine>> {
    texts.iter().map(|text| point_from_hex(text)).collect()
}

/// A tensor of a statement by its name; none where an input and an output have it, of which only one can be meant.
pub fn port<'k>(keys: &'k VerifyingKeys, name: &str) -> Option<&'k Port> {
    let mut ports = keys.statement().ports().filter(|port| port.name == name);
    let port = ports.next()?;
    ports.next().is_none().then_some(port)
}

/// The names of a statement's tensors with one visibility.
pub fn names(keys: &VerifyingKeys, visibility: Visibility) -> Vec<&str> {
    keys.statement().ports().filter(|port| port.visibility() == visibility).map(|port| port.name.as_str()).collect()
}

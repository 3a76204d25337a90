//! What the disk holds of a job.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zkml_gpu::{PublicTensor, Sample};

use super::Id;
use crate::problem::Problem;

/// Version of the format.
const VERSION: u32 = 1;

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    version: u32,
    pub(crate) id: Id,
    /// Jobs are proved in the order of these.
    pub(crate) number: u64,
    /// When it was accepted, in milliseconds since 1970.
    pub(crate) accepted_ms: u64,
    /// The key that the request came with.
    pub(crate) idempotency: Option<Idempotency>,
    /// The outputs that were answered, which the proof must have.
    pub(crate) outputs: Vec<PublicTensor>,
    pub(crate) state: State,
}

/// A request's key, and what it came with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Idempotency {
    /// Blake2b-256 of the key.
    pub(crate) key: String,
    /// [`digest`] of what it came with.
    pub(crate) request: String,
}

impl Idempotency {
    pub(crate) fn new(key: &[u8], sample: &Sample) -> Self {
        let key = blake2b_simd::Params::new().hash_length(32).hash(key);
        Self { key: key.to_hex().to_string(), request: digest(sample) }
    }
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum State {
    /// It waits, or its proof is under way. The input: 32-bit floats, each list in little-endian order and base64.
    Waiting { input: Vec<String> },
    /// Its proof is made; how long it took is not known where the process ended before it could say so.
    Proved { finished_ms: u64, prove_ms: Option<f64> },
    /// It has none.
    Failed { finished_ms: u64, error: Problem },
}

impl Record {
    /// A job that waits.
    pub(crate) fn new(
        number: u64,
        idempotency: Option<Idempotency>,
        sample: &Sample,
        outputs: Vec<PublicTensor>,
    ) -> Self {
        let state = State::Waiting { input: sample.iter().map(|numbers| text(numbers)).collect() };
        Self { version: VERSION, id: Id::draw(), number, accepted_ms: unix_ms(), idempotency, outputs, state }
    }

    /// The job of a file's bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let record: Self = serde_json::from_slice(bytes).map_err(|error| format!("not a job: {error}"))?;
        match record.version {
            VERSION => Ok(record),
            other => Err(format!("a job of version {other}, this program reads version {VERSION}")),
        }
    }

    /// Its bytes.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, zkml_gpu::Error> {
        serde_json::to_vec(self).map_err(|error| zkml_gpu::Error::Internal(format!("a job has no JSON: {error}")))
    }

    /// What is to be proved; nothing of a finished job.
    pub(crate) fn sample(&self) -> Option<Sample> {
        match &self.state {
            State::Waiting { input } => input.iter().map(|text| numbers(text)).collect(),
            State::Proved { .. } | State::Failed { .. } => None,
        }
    }

    /// When it was finished.
    pub(crate) fn finished_ms(&self) -> Option<u64> {
        match self.state {
            State::Waiting { .. } => None,
            State::Proved { finished_ms, .. } | State::Failed { finished_ms, .. } => Some(finished_ms),
        }
    }
}

/// Numbers as they are, without rounding and in fewer characters than as decimals.
fn text(numbers: &[f32]) -> String {
    STANDARD.encode(numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>())
}

fn numbers(text: &str) -> Option<Vec<f32>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// What two requests have alike if they ask for the same.
fn digest(sample: &Sample) -> String {
    let mut state = blake2b_simd::Params::new().hash_length(32).to_state();
    for numbers in sample {
        state.update(&(numbers.len() as u64).to_le_bytes());
        for number in numbers {
            state.update(&number.to_le_bytes());
        }
    }
    state.finalize().to_hex().to_string()
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_to_the_last_bit() {
        let sample = vec![vec![0.1, -0.0, f32::MIN_POSITIVE / 2.0, f32::MAX, 16_777_217.0], vec![]];
        let record = Record::new(7, Some(Idempotency::new(b"key", &sample)), &sample, Vec::new());
        let read = Record::read(&record.to_json().expect("JSON")).expect("a job");
        assert_eq!(read, record);
        let bits = |sample: &Sample| sample.iter().flatten().map(|number| number.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read.sample().expect("an input")), bits(&sample));
        assert_ne!(digest(&sample), digest(&vec![vec![], sample[0].clone()]));
    }

    #[test]
    fn what_is_no_job_of_this_version_is_refused() {
        let record = Record::new(7, None, &vec![vec![1.0]], Vec::new());
        let text = String::from_utf8(record.to_json().expect("JSON")).expect("text");
        assert!(Record::read(text.as_bytes()).is_ok());
        for (from, to) in [("\"version\":1", "\"version\":2"), ("\"number\"", "\"other\""), ("waiting", "lost")] {
            assert!(text.contains(from), "{text}");
            assert!(Record::read(text.replace(from, to).as_bytes()).is_err(), "{from}");
        }
        assert!(Record::read(&text.as_bytes()[..text.len() - 1]).is_err());
        assert_eq!(numbers("AAAA"), None, "three bytes");
    }
}
